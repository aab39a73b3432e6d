package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// usesOf is who used a node, newest first, a line each.
func (p *product) usesOf(ctx context.Context, node string, since time.Time, page int32) string {
	p.t.Helper()
	req := &headwaterv1.ListUsesRequest{Node: node, PageSize: page}
	if !since.IsZero() {
		req.Since = timestamppb.New(since)
	}
	var b strings.Builder
	for {
		r, err := p.lineage.ListUses(ctx, req)
		if err != nil {
			p.t.Fatal(fault.FromError(err))
		}
		for _, u := range r.GetUses() {
			fmt.Fprintf(&b, "%s %s %s x%d %s", u.GetPrincipal(), u.GetAction(), u.GetResource(), u.GetCalls(), strings.Join(u.GetPath(), " > "))
			if u.GetPurpose() != "" {
				fmt.Fprintf(&b, " for %s", u.GetPurpose())
			}
			if u.GetDataset() != "" {
				b.WriteString(" a dataset")
			}
			b.WriteString("\n")
		}
		if req.PageToken = r.GetNextPageToken(); req.PageToken == "" {
			return b.String()
		}
	}
}

// Who read a column is told by the audit and the graph; and which sources a view was made of, through views that it reads.
func TestUses(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Sources = append(d.Sources, feature.Source{Name: "wages", EventTime: "date", Columns: d.Sources[0].Columns})
	d.Views = append(d.Views,
		feature.View{Name: "over", Entity: "airport", Features: []feature.Column{{Name: "twice", Type: feature.TypeFloat64}}, SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "delays"}}, Query: `
			SELECT origin, event_time, available_at, 2 * delay AS twice FROM delays WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}`}},
		feature.View{Name: "pay", Entity: "airport", Features: []feature.Column{{Name: "words", Type: feature.TypeString}}, SQL: &feature.SQLTransform{Sources: []string{"wages", "flights"}, Query: `
			SELECT w.origin, w.event_time, greatest(w.available_at, f.available_at) AS available_at, w.words FROM wages w
			JOIN flights f ON f.number = w.number AND f.event_time = w.event_time WHERE w.event_time >= {{interval.start}} AND w.event_time < {{interval.end}}`}})
	d.Services = append(d.Services, feature.Service{Name: "doubled", ServesAsGrant: true, Views: []feature.ServiceView{{View: "over"}}},
		feature.Service{Name: "paid", ServesAsGrant: true, Views: []feature.ServiceView{{View: "pay"}}})
	d.Roles = []feature.Role{
		role("model", "read_online on service:*"), role("scientist", "read_offline on service:small"), role("auditor", "read_audit on system:*"),
		role("traces", "read_lineage on source:flights,view:*"),
	}
	p.apply(d)
	at := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	rows := flights(flight("ORD", 7, at, feature.Float64(3)))
	p.ingest(rows, 0)
	if content := rows.arrow(t); true {
		if _, err := p.send(p.admin, "wages", p.header(content, 0), content, 1000); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []string{"delays", "over", "pay"} {
		p.materialize(v)
	}
	read := func(principal, service string) {
		t.Helper()
		_, err := p.online.GetFeatures(p.as(principal, "model"), &headwaterv1.GetFeaturesRequest{Service: service, Purpose: "checkout", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
		if err != nil {
			t.Fatal(err)
		}
	}
	read("mia", "doubled")
	read("mia2", "paid")
	between := time.Now()
	if _, _, err := p.build(p.as("sam", "scientist"), "small", &headwaterv1.BuildDatasetHeader{Purpose: "training"}, spineOf(asked("ORD", 7, at.Add(time.Minute))).arrow(t)); err != nil {
		t.Fatal(err)
	}

	auditor := p.as("ann", "auditor", "traces")
	const build = "sam read_offline service:small@1 x1 source:flights#delay > view:delays@1#delay > service:small@1 for training a dataset\n"
	const column = build +
		"mia read_online service:doubled@1 x1 source:flights#delay > view:delays@1#delay > view:over@1#twice > service:doubled@1 for checkout\n" +
		"ada materialize run:delays@1/1 x1 source:flights#delay > run:delays@1/1 > view:delays@1\n"
	for _, page := range []int32{0, 1, 2} {
		if found := p.usesOf(auditor, "source:flights#delay", time.Time{}, page); found != column {
			t.Errorf("in pages of %d: found\n%s\nexpected\n%s", page, found, column)
		}
	}
	if found := p.usesOf(auditor, "source:flights#delay", between, 0); found != build {
		t.Errorf("found\n%s\nexpected\n%s", found, build)
	}
	// Without a time it goes back 30 days from when the first page was asked for, and says so.
	const month = 30 * 24 * time.Hour
	before := time.Now().Add(-month).Truncate(time.Second)
	first, err := p.lineage.ListUses(auditor, &headwaterv1.ListUsesRequest{Node: "source:flights#delay", PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	if since := first.GetSince().AsTime(); since.Before(before) || since.After(time.Now().Add(-month)) {
		t.Errorf("found readings since %s, expected since 30 days", since)
	}
	second, err := p.lineage.ListUses(auditor, &headwaterv1.ListUsesRequest{Node: "source:flights#delay", PageSize: 1, PageToken: first.GetNextPageToken()})
	if err != nil || !second.GetSince().AsTime().Equal(first.GetSince().AsTime()) || len(second.GetUses()) != 1 {
		t.Errorf("found %v and %v, expected the second reading since %s", second, err, first.GetSince().AsTime())
	}
	// Of the source, whatever is made of any column; a filter is a use as well.
	whole := p.usesOf(auditor, "source:flights", time.Time{}, 0)
	for _, line := range []string{"sam read_offline service:small@1", "mia read_online service:doubled@1", "ada materialize run:delays@1/1", "ada materialize run:pay@1/1", "mia2 read_online service:paid@1"} {
		if !strings.Contains(whole, line) {
			t.Errorf("found\n%s\nexpected %s", whole, line)
		}
	}

	const made = "ada materialize source:flights x1 view:over@1 > view:delays@1 > run:delays@1/1 > source:flights\n"
	if found := p.usesOf(auditor, "view:over", time.Time{}, 0); found != made {
		t.Errorf("found\n%s\nexpected\n%s", found, made)
	}
	// A source whose lineage may not be read is left out.
	if found, want := p.usesOf(auditor, "view:pay@1", time.Time{}, 0), "ada materialize source:flights x1 view:pay@1 > run:pay@1/1 > source:flights\n"; found != want {
		t.Errorf("found\n%s\nexpected\n%s", found, want)
	}
	if found := p.usesOf(p.admin, "view:pay", time.Time{}, 0); strings.Count(found, "\n") != 2 || !strings.Contains(found, "source:wages x1") {
		t.Errorf("found\n%s", found)
	}

	// Who looks is recorded too.
	seen := false
	for _, r := range p.records(p.admin) {
		seen = seen || r.GetPrincipal() == "ann" && strings.HasSuffix(r.GetMethod(), "/ListUses") && r.GetAction() == headwaterv1.Action_ACTION_READ_LINEAGE && r.GetResource() == "source:flights"
	}
	if !seen {
		t.Error("found no record of who asked for the uses of flights")
	}

	for _, c := range []struct {
		ctx    context.Context
		req    *headwaterv1.ListUsesRequest
		reason fault.Reason
		want   string
	}{
		{p.admin, &headwaterv1.ListUsesRequest{Node: "service:small"}, fault.InvalidArgument, "node: found service:small, expected source:NAME or source:NAME#COLUMN for who read what " +
			"comes of it, or view:NAME[@VERSION] for which sources were read to make it"},
		{p.admin, &headwaterv1.ListUsesRequest{Node: "source:flight"}, fault.NotFound, "there is no source flight; `headwater list sources` shows those there are"},
		{auditor, &headwaterv1.ListUsesRequest{Node: "source:wages"}, fault.NotFound, "there is no source wages; `headwater list sources` shows those there are"},
		{p.admin, &headwaterv1.ListUsesRequest{Node: "view:ovr"}, fault.NotFound, "there is no view ovr; `headwater list views` shows those there are"},
		{p.admin, &headwaterv1.ListUsesRequest{Node: "source:flights#dely"}, fault.NotFound, "there is no column flights#dely; `headwater describe source flights` shows those of the source"},
		{p.admin, &headwaterv1.ListUsesRequest{Node: "source:flights", PageToken: "x"}, fault.InvalidArgument, `page_token: found "x", expected the next_page_token of the page before, with all else as it was asked for`},
		{p.as("tom", "traces"), &headwaterv1.ListUsesRequest{Node: "source:flights"}, fault.PermissionDenied, "tom may not read_audit system:*: no grant of read_audit on system:* in roles [traces]; " +
			"whoever administers the roles can change that"},
	} {
		_, err := p.lineage.ListUses(c.ctx, c.req)
		wantFault(t, err, c.reason, c.want)
	}

	// What more is made of than is looked through is refused, with what can be asked for.
	p.force(`INSERT INTO headwater.column_edge (definition_id, to_column, kind, from_source, from_column, valid_from)
		SELECT d.id, 'c' || n, 1, 'flights', 'delay', now() FROM headwater.definition d, generate_series(1, 10001) AS n WHERE d.kind = 'view' AND d.name = 'over' AND d.version = $1`, 1)
	const sql = "read headwater.query_history in SQL, WHERE 'flights.delay' = ANY (source_columns)"
	for node, want := range map[string]string{
		"source:flights": "node: found source:flights, of which more than 10000 columns are made, or by more than 100000 ways, expected at most as many; ask for one of its columns, " +
			"source:flights#COLUMN (`headwater describe source flights` lists them), or " + strings.Replace(sql, "delay", "COLUMN", 1),
		"source:flights#delay": "node: found source:flights#delay, of which more than 10000 columns are made, or by more than 100000 ways, expected at most as many; " + sql,
	} {
		_, err := p.lineage.ListUses(auditor, &headwaterv1.ListUsesRequest{Node: node})
		wantFault(t, err, fault.ResourceExhausted, want)
	}
	if _, err := p.lineage.ListUses(auditor, &headwaterv1.ListUsesRequest{Node: "source:flights#words"}); err != nil {
		t.Error(fault.FromError(err))
	}
}
