package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
)

const checkedDefinitions = `entities:
  - {name: shop, join_keys: [{name: shop, type: string}]}
sources:
  - name: sales
    columns:
      - {name: at, type: timestamp}
      - {name: shop, type: string}
      - {name: amount, type: int64}
      - {name: kind, type: string}
    event_time: at
    landing: {}
    max_quarantine_ratio: 0.5
    expectations:
      - {column: amount, range: {min: 0}, on_failure: quarantine}
      - {column: kind, accepted_values: {values: [ok, refund]}, on_failure: drop}
      - {name: no_gifts, cel: row.amount != 0, on_failure: quarantine}
      - {column: shop, not_null: {}, on_failure: fail}
feature_views:
  - name: sold
    entity: shop
    features: [{name: amount, type: int64}]
    sql: {sources: [sales], query: "SELECT shop, event_time, available_at, amount FROM sales"}
feature_services:
  - {name: checked, views: [{view: sold}]}
`

// Rows that a run would set aside or drop are in no spine either, and lineage tells which loads a spine was read from.
func TestSpinesOfSourcesThatAreChecked(t *testing.T) {
	t.Parallel()
	w := startServe(t, testenv.EmptyPostgresURL(t), testenv.RedisURL(t))
	w.must(t, "apply", file(t, "checked.yaml", checkedDefinitions))
	w.must(t, "ingest", "sales", file(t, "first.csv", "at,shop,amount,kind\n2001-01-01 10:00,a,1,ok\n2001-01-01 11:00,a,-1,ok\n2001-01-01 12:00,b,2,probe\n"+
		"2001-01-01 13:00,b,0,refund\n2001-01-01 14:00,b,3,refund\n"))
	w.must(t, "ingest", "sales", file(t, "second.csv", "at,shop,amount,kind\n2001-01-02 10:00,a,4,ok\n"))
	w.must(t, "materialize", "sold", "--wait")
	out := filepath.Join(t.TempDir(), "out.csv")
	build := func(name string, args ...string) result {
		return w.run(append([]string{"dataset", "build", "--service", "checked", "--name", name, "--out", out}, args...)...)
	}
	expect := func(r result, want string) {
		t.Helper()
		if r.code != exitDone {
			t.Fatalf("found status %d and %s", r.code, r.err)
		}
		if got := string(readFile(t, out)); got != want {
			t.Errorf("found\n%s\nexpected\n%s", got, want)
		}
	}
	events := build("events", "--spine-events", "sales", "--spine-columns", "shop,amount", "--to", "2001-01-02")
	expect(events, "at,shop,amount,sold__amount\n2001-01-01T10:00:00Z,a,1,1\n2001-01-01T14:00:00Z,b,3,3\n")
	if want := "\nrows of sources that are not in the spine\n  SOURCE   ROWS  OF  WHY\n  sales@1     1   5  dropped: kind_accepted_values\n" +
		"  sales@1     1   5  quarantined: amount_range\n  sales@1     1   5  quarantined: no_gifts\n"; !strings.Contains(events.out, want) {
		t.Errorf("found\n%s\nexpected %s", events.out, want)
	}
	expect(build("query", "--spine-source", "sales", "--spine-sql", "SELECT shop, max(event_time) AS timestamp, count(*) AS n FROM sales GROUP BY shop ORDER BY shop"),
		"shop,timestamp,n,sold__amount\na,2001-01-02T10:00:00Z,2,4\nb,2001-01-01T14:00:00Z,1,3\n")

	var query headwaterv1.GetDatasetResponse
	w.ask(t, &query, "dataset", "show", "query@1")
	source := query.GetManifest().GetSpineOrigin().GetSources()[0]
	if source.GetRowsRead() != 6 || len(source.GetLeftOut()) != 3 {
		t.Errorf("found %v, expected 6 rows read and 3 left out", source)
	}
	w.reaches(t, query.GetManifest().GetId())

	// A load that was wrong reaches the datasets of which the spine has its rows, and no others.
	w.must(t, "ingest", "sales", file(t, "third.csv", "at,shop,amount,kind\n2001-01-03 10:00,a,-4,ok\n2001-01-03 11:00,a,-5,ok\n2001-01-03 12:00,,6,ok\n"))
	r := build("refused", "--spine-events", "sales", "--allow-partial")
	if want := "headwater: spine: rows of source sales do not meet what is expected of them, as they would not for a run: shop_not_null of source:sales: expected "; r.code != exitFailed ||
		!strings.HasPrefix(r.err, want) || !strings.Contains(r.err, "replace the loads that brought them (headwater loads list sales)") {
		t.Errorf("found status %d and %s\nexpected %s…", r.code, r.err, want)
	}
	r = build("refused", "--spine-events", "sales", "--from", "2001-01-03", "--to", "2001-01-03T12:00:00Z", "--allow-partial")
	if want := "max_quarantine_ratio of source:sales: expected at most 50% of rows quarantined, found 2 of 2 rows quarantined (100%); "; r.code != exitFailed || !strings.Contains(r.err, want) {
		t.Errorf("found status %d and %s\nexpected %s", r.code, r.err, want)
	}
}

// reaches holds the lineage of both datasets to what their spines were read from.
func (s *serverProcess) reaches(t *testing.T, query string) {
	t.Helper()
	var shown headwaterv1.GetDatasetResponse
	s.ask(t, &shown, "dataset", "show", "events@1")
	events := shown.GetManifest().GetId()
	edges := func(node string, flags ...string) (list []string) {
		var g headwaterv1.GetLineageResponse
		s.ask(t, &g, append([]string{"lineage", "show", node, "--depth", "1"}, flags...)...)
		for _, e := range g.GetEdges() {
			list = append(list, e.GetFrom()+" "+e.GetTo())
		}
		return list
	}
	for _, c := range []struct {
		edge string
		want bool
	}{
		{"load:1 dataset:" + events, true}, {"load:2 dataset:" + events, false},
		{"load:1 dataset:" + query, true}, {"load:2 dataset:" + query, true},
	} {
		load, dataset, _ := strings.Cut(c.edge, " ")
		if down := edges(load, "--down"); slices.Contains(down, c.edge) != c.want {
			t.Errorf("down from %s: found %v, expected %s: %t", load, down, c.edge, c.want)
		}
		if up := edges(dataset); slices.Contains(up, c.edge) != c.want {
			t.Errorf("up from %s: found %v, expected %s: %t", dataset, up, c.edge, c.want)
		}
	}
}
