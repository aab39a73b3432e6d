package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func (p *product) diffRuns(ctx context.Context, a, b string) *headwaterv1.DiffRunsResponse {
	p.t.Helper()
	d, err := p.lineage.DiffRuns(ctx, &headwaterv1.DiffRunsRequest{A: a, B: b})
	if err != nil {
		p.t.Fatal(fault.FromError(err))
	}
	return d
}

// changesText is a comparison, a line for each change, with digests as they are told apart: by whether they are there.
func changesText(d *headwaterv1.DiffRunsResponse) string {
	var b strings.Builder
	for _, c := range d.GetChanges() {
		short := func(s string) string {
			words := strings.Fields(s)
			for i, w := range words {
				if len(w) == 64 {
					words[i] = "DIGEST"
				}
			}
			return strings.Join(words, " ")
		}
		fmt.Fprintf(&b, "%s | %s | %s | %s\n", c.GetAbout(), c.GetName(), short(c.GetA()), short(c.GetB()))
	}
	for _, l := range d.GetLeftOut() {
		fmt.Fprintf(&b, "left out: %s\n", l)
	}
	return b.String()
}

func expectChanges(t *testing.T, d *headwaterv1.DiffRunsResponse, want string) {
	t.Helper()
	if found := changesText(d); found != strings.TrimPrefix(want, "\n") {
		t.Errorf("found\n%s\nexpected\n%s", found, want)
	}
}

// Of two runs it is told which loads came and went, what became of rows, and, of two versions, what the definition says otherwise.
func TestRunsAreCompared(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Views = append(d.Views, feature.View{Name: "spread", Entity: "airport", Features: []feature.Column{{Name: "gap", Type: feature.TypeFloat64}},
		SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "delays"}}, Query: `
			SELECT origin, event_time, available_at, delay AS gap FROM delays WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}`}})
	d.Roles = []feature.Role{
		role("tracer", "read_lineage on view:recent,source:flights"), role("lister", "read_lineage,list on view:recent"),
		role("reader", "read_lineage,list,read_offline on view:recent,source:flights"),
	}
	p.apply(d)
	at := time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)
	first := p.ingestFile("first.csv", flights(flight("ORD", 7, at, feature.Float64(3)), flight("JFK", 8, at, feature.Float64(4))))
	p.ingestFile("second.csv", flights(flight("LAX", 7, at.Add(time.Hour), feature.Float64(9))))
	p.materialize("recent", "delays")
	p.materialize("spread")

	replacing := flights(flight("ORD", 7, at, feature.Float64(5)), flight("SFO", 8, at, feature.Float64(6)), flight("JFK", 9, at, feature.Float64(1))).arrow(t)
	header := p.header(replacing, first.GetId())
	header.FileName = "mended.csv"
	if _, err := p.send(p.admin, "flights", header, replacing, 1000); err != nil {
		t.Fatal(err)
	}
	p.materialize("recent", "delays")
	p.materialize("spread")
	want := `
inputs | source:flights rows | 3 | 4
inputs | source:flights loads up to | number 2 | number 3
inputs | load:1 | 2 rows of first.csv, sha256 DIGEST | not read; load:3 replaced it
inputs | load:3 | not read | 3 rows of mended.csv, sha256 DIGEST
rows | read | 3 | 4
rows | accepted | 3 | 4
rows | used | 3 | 4
rows | computed | 3 | 4
checks | output keys_and_times_not_null | passed, found 3 rows, expected no NULL in join keys, event_time, available_at | passed, found 4 rows, expected no NULL in join keys, event_time, available_at
checks | output inside_interval | passed, found 3 rows, expected event_time less grain in what the run owns | passed, found 4 rows, expected event_time less grain in what the run owns
checks | output one_row_per_moment | passed, found 3 rows, expected one row per key, event_time and available_at | passed, found 4 rows, expected one row per key, event_time and available_at
checks | output live_rows_are_the_output | passed, found 3 rows, expected as many rows live in what the run owns as it produced | passed, found 4 rows, expected as many rows live in what the run owns as it produced
result | digest | DIGEST | DIGEST
result | rows produced | 3 | 4
result | rows unchanged | 0 | 1
result | rows closed | 0 | 2
result | rows live after | 3 | 4
result | rows of earlier runs closed |  | run 1: 2
`
	expectChanges(t, p.diffRuns(p.admin, "recent@1/1", "recent@1/2"), want)
	over := p.diffRuns(p.admin, "spread@1/1", "spread@1/2")
	if text := changesText(over); !strings.Contains(text, "inputs | view:delays | as of run delays@1/1, 3 rows | as of run delays@1/2, 4 rows\n") {
		t.Errorf("found\n%s", text)
	}
	if same := p.diffRuns(p.admin, "recent@1/2", "recent@1/2"); len(same.GetChanges()) > 0 || same.GetA() != "recent@1/2" {
		t.Errorf("found %v of a run and itself", same)
	}

	// Another version, an interval of it, computed by another server.
	d.Views[1].SQL.Query = strings.Replace(d.Views[1].SQL.Query, "SELECT origin, delay", "SELECT origin,\n  delay * 2 AS delay", 1)
	d.Views[1].TTL = 48 * time.Hour
	p.apply(d)
	r, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{Views: []string{"recent"}, From: timestamppb.New(at), To: timestamppb.New(at.Add(time.Minute))})
	if err != nil {
		t.Fatal(err)
	}
	if run, err := p.watch(p.admin, r.GetRuns()[0].GetId()); err != nil || run.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED {
		t.Fatal(run, err)
	}
	_, err = p.pool.Exec(context.Background(), `UPDATE headwater.run SET engine = engine || '{"postgres": "12.1", "time_zones": "abc"}' WHERE id = $1`, r.GetRuns()[0].GetId())
	if err != nil {
		t.Fatal(err)
	}
	versions := p.diffRuns(p.admin, "recent@1/2", "recent@2/1")
	text := changesText(versions)
	for _, line := range []string{
		"definition | version | recent@1 | recent@2\n", "definition | fingerprint | DIGEST | DIGEST\n", "definition | ttl | 24h | 48h\n",
		"definition | sql.query | SELECT origin, delay, event_time", "inputs | interval | [2020-01-01T12:00:00Z, 2020-01-01T13:00:00.000001Z) | [2020-01-01T12:00:00Z, 2020-01-01T12:01:00Z)\n",
		"settings | scope | full | interval\n", "settings | asked from |  | 2020-01-01T12:00:00Z\n", "settings | postgres version | 1", " | 12.1\n",
		"settings | time zone data |  | abc\n", "load:2 | 1 row of second.csv, sha256 DIGEST | not read\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("found\n%s\nexpected %q", text, line)
		}
	}
	i := slices.IndexFunc(versions.GetChanges(), func(c *headwaterv1.RunChange) bool { return c.GetName() == "sql.query" })
	if i < 0 || !strings.Contains(versions.GetChanges()[i].GetB(), "origin,\n  delay * 2 AS delay") {
		t.Errorf("found %v, expected the query whole", versions.GetChanges())
	}

	// Who may see less is told less, and that it is.
	withoutRows := strings.NewReplacer(", sha256 DIGEST", "", "result | digest | DIGEST | DIGEST\n", "").Replace(want)
	unlisted := ""
	for line := range strings.Lines(withoutRows) {
		if !strings.HasPrefix(line, "checks | ") {
			unlisted += line
		}
	}
	expectChanges(t, p.diffRuns(p.as("tess", "tracer"), "recent@1/1", "recent@1/2"), unlisted+
		"left out: the definition, the checks and the reasons of rows: you may not list view recent\n"+
		"left out: what view recent reads, as far as you may not read its lineage\nleft out: digests of rows: you may not read_offline view recent as a whole\n")
	expectChanges(t, p.diffRuns(p.as("lee", "lister"), "recent@1/1", "recent@1/2"), withoutRows[strings.Index(withoutRows, "rows | read"):]+
		"left out: what view recent reads, as far as you may not read its lineage\nleft out: digests of rows: you may not read_offline view recent as a whole\n")
	expectChanges(t, p.diffRuns(p.as("rea", "reader"), "recent@1/1", "recent@1/2"), want)

	for _, c := range []struct {
		a, b   string
		reason fault.Reason
		want   string
	}{
		{"recent@1/1", "delays@1/1", fault.InvalidArgument, "b: found delays@1/1, a run of view delays, expected one of view recent as recent@1/1 is: " +
			"runs of two views have nothing to be compared by"},
		{"recent@1/1", "recent@1/9", fault.NotFound, "there is no run recent@1/9; `headwater runs list` shows those there are"},
		{"recent", "recent@1/1", fault.InvalidArgument, "run: found \"recent\", expected an id or VIEW@VERSION/SEQ; `headwater runs list` shows both"},
	} {
		_, err := p.lineage.DiffRuns(p.admin, &headwaterv1.DiffRunsRequest{A: c.a, B: c.b})
		wantFault(t, err, c.reason, c.want)
	}
	_, err = p.lineage.DiffRuns(p.as("tess2", "tracer"), &headwaterv1.DiffRunsRequest{A: "recent@1/1", B: "delays@1/1"})
	wantFault(t, err, fault.NotFound, "there is no run delays@1/1; `headwater runs list` shows those there are")
}
