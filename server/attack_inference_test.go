package server

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// varying is what differs between two servers that hold the same: ids, times of the clock, and the digests of what has those in it.
var varying = regexp.MustCompile(`ds_[a-z0-9]{26}|rd_[0-9A-Za-z]+|"[0-9A-HJKMNP-TV-Z]{26}"|\{seconds:\d+ *(nanos:\d+)?\}|20\d\d-\d\d-\d\dT[0-9:.]+Z?|(seconds|nanos|ages|duration_micros|position): *\d+|127\.0\.0\.1:\d+`)

// toldAttacker is all that somebody is told who may know of everything and sees neither the rows of a policy nor the values behind a mask, by how
// it was asked for.
func (p *product) toldAttacker(ctx context.Context, at time.Time) map[string]string {
	told := map[string]string{}
	note := func(what string, m proto.Message, err error) {
		text := prototext.MarshalOptions{Multiline: false}.Format(m)
		if f := fault.FromError(err); f != nil {
			text = f.Reason.String() + " " + f.Error() + fmt.Sprint(f.Metadata)
		}
		told[what] = strings.Join(strings.Fields(varying.ReplaceAllString(text, "…")), " ")
	}
	spine := spineOf(asked("ORD", 7, at.Add(time.Hour)), asked("JFK", 7, at.Add(time.Hour)), asked("LAX", 7, at.Add(time.Hour))).arrow(p.t)
	keys := map[string]*headwaterv1.KeyColumn{"origin": texts("ORD", "JFK", "LAX")}
	for _, service := range []string{"small", "model"} {
		asked := map[string]*headwaterv1.KeyColumn{"origin": keys["origin"]}
		if service == "model" {
			asked["number"] = numbers(7, 7, 7)
		}
		r, err := p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Service: service, Keys: asked, WithProvenance: true})
		note("read "+service, r, err)
		arrow, m, err := p.build(ctx, service, &headwaterv1.BuildDatasetHeader{Name: service + "_d", AllowPartial: true, WithStatuses: true}, spine)
		note("build "+service, m, err)
		if err == nil {
			told["rows "+service] = strings.Join(readRows(p.t, arrow), "\n")
			got, err := p.datasets.GetDataset(ctx, &headwaterv1.GetDatasetRequest{Dataset: service + "_d"})
			note("dataset "+service, got, err)
			node, err := p.lineage.GetLineage(ctx, &headwaterv1.GetLineageRequest{Node: "dataset:" + m.GetId(), Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP})
			note("lineage of the dataset "+service, node, err)
		}
		e, err := p.access.ExplainAccess(ctx, &headwaterv1.ExplainAccessRequest{Action: readOffline, Resource: "service:" + service})
		note("explain "+service, e, err)
	}
	// What somebody built who sees everything.
	for _, ref := range []string{"whole_d", "whole_d@1"} {
		m, err := p.datasets.GetDataset(ctx, &headwaterv1.GetDatasetRequest{Dataset: ref})
		note("dataset "+ref, m, err)
		_, _, err = p.fetch(ctx, ref)
		note("fetch "+ref, nil, err)
		v, err := p.datasets.VerifyDataset(ctx, &headwaterv1.VerifyDatasetRequest{Dataset: ref})
		note("verify "+ref, v, err)
		d, err := p.datasets.DiffDatasets(ctx, &headwaterv1.DiffDatasetsRequest{A: ref, B: "model_d@1"})
		note("diff "+ref, d, err)
	}
	list, err := p.datasets.ListDatasets(ctx, &headwaterv1.ListDatasetsRequest{})
	note("datasets", list, err)
	quarantine := headwaterv1.NewQuarantineServiceClient(p.conn)
	for _, view := range []string{"delays", "recent", "traffic"} {
		d, err := p.registry.GetDefinition(ctx, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: view})
		note("describe "+view, d, err)
		runs, err := p.materialization.ListRuns(ctx, &headwaterv1.ListRunsRequest{View: view})
		note("runs "+view, runs, err)
		run, err := p.materialization.GetRun(ctx, &headwaterv1.GetRunRequest{Run: view + "@1/1"})
		note("run "+view, run, err)
		checks, err := p.materialization.ListCheckResults(ctx, &headwaterv1.ListCheckResultsRequest{View: view})
		note("checks "+view, checks, err)
		q, err := quarantine.ListQuarantine(ctx, &headwaterv1.ListQuarantineRequest{View: view})
		note("quarantine "+view, q, err)
		rows, err := quarantine.ShowQuarantine(ctx, &headwaterv1.ShowQuarantineRequest{Run: view + "@1/1"})
		note("quarantined rows "+view, rows, err)
		g, err := p.lineage.GetLineage(ctx, &headwaterv1.GetLineageRequest{Node: "view:" + view, Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP})
		note("lineage "+view, g, err)
		stream, err := p.materialization.VerifyRuns(ctx, &headwaterv1.VerifyRunsRequest{Runs: []string{view + "@1/1"}})
		if err == nil {
			v, err := stream.Recv()
			note("verify the run of "+view, v, err)
		}
	}
	s, err := p.registry.GetDefinition(ctx, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_SOURCE, Name: "flights"})
	note("describe flights", s, err)
	// A spine with a condition, a view over the view, and an error that depends on a value.
	_, _, err = p.build(ctx, "small", queryHeader("SELECT origin, date AS timestamp FROM flights WHERE delay > 20", "flights"), nil)
	note("a spine's condition", nil, err)
	_, _, err = p.build(ctx, "small", queryHeader("SELECT origin, date AS timestamp, 1 / (delay - 8)::int AS n FROM flights", "flights"), nil)
	note("a spine's error", nil, err)
	over := feature.View{Name: "copy", Entity: "airport", Features: []feature.Column{{Name: "words", Type: feature.TypeString}},
		SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "delays"}}, Query: "SELECT origin, words, event_time, available_at FROM delays WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}} AND delay > 20"}}
	note("a view over the view", nil, p.tryApply(ctx, &feature.Definitions{Views: []feature.View{over}}))
	note("an on-demand view", nil, p.tryApply(ctx, &feature.Definitions{Views: []feature.View{
		onDemandView("late_ones", nil, []feature.ViewRef{{Name: "delays"}}, [3]string{"high", "bool", "delays.delay > 20.0"})}}))
	reads, err := p.reads().ListReads(ctx, &headwaterv1.ListReadsRequest{})
	note("reads", reads, err)
	return told
}

// Two servers differ in a hidden row and in a masked value, and in nothing else. Whoever may see neither is told the same by both, whatever is asked.
func TestAttackInference(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(-6 * time.Hour).Truncate(time.Hour)
	var told [2]map[string]string
	for world := range told {
		p := newProduct(t)
		d := readers(policy("own_places", "view:delays", ownPlaces), policy("rounded", "feature:delays.delay,feature:recent.delay,feature:traffic.delay", roundTo("100")))
		d.Services[1].Log = "all"
		d.Roles = append(d.Roles, role("attacker", "read_online,read_offline,list,read_lineage on view:*,service:*,dataset:*", "list,read_lineage on source:*", "register on view:*"))
		roleOf(d, "attacker").Attributes = map[string][]string{"places": {"from ORD"}}
		p.apply(d)
		hidden, masked := 8.0, 34.0
		if world == 1 {
			hidden, masked = 44.0, 27.0
		}
		p.ingest(flights(flight("ORD", 7, at, feature.Float64(masked)), flight("JFK", 7, at, feature.Float64(hidden))), 0)
		for _, view := range []string{"delays", "recent", "traffic"} {
			p.materialize(view)
		}
		whole := p.as("wes", "reader", "whole")
		spine := spineOf(asked("ORD", 7, at.Add(time.Hour)), asked("JFK", 7, at.Add(time.Hour))).arrow(t)
		if _, _, err := p.build(whole, "model", &headwaterv1.BuildDatasetHeader{Name: "whole_d", AllowPartial: true}, spine); err != nil {
			t.Fatal(err)
		}
		told[world] = p.toldAttacker(p.as("mallory", "attacker"), at)
	}
	if len(told[0]) < 40 {
		t.Errorf("found %d answers", len(told[0]))
	}
	for _, what := range slices.Sorted(maps.Keys(told[0])) {
		if a, b := told[0][what], told[1][what]; a != b {
			at := 0
			for at < min(len(a), len(b)) && a[at] == b[at] {
				at++
			}
			from := max(0, at-200)
			t.Errorf("%s tells of what is hidden:\n  …%s\n  …%s", what, a[from:min(len(a), at+200)], b[from:min(len(b), at+200)])
		}
		for _, value := range []string{"34", "from JFK"} {
			if strings.Contains(told[0]["rows small"]+told[0]["read small"]+told[0]["read model"], value) {
				t.Errorf("found %s in what is shown", value)
			}
		}
	}
	if !strings.Contains(told[0]["read small"], "MASKED") || !strings.Contains(told[0]["rows small"], "NO_ROW") {
		t.Errorf("found %s and %s, expected a mask and a hidden row", told[0]["read small"], told[0]["rows small"])
	}
}

// Who may list a dataset is not told who built it with which roles and under which rules; who built it and who reads the audit are.
func TestAttackWhoBuiltIt(t *testing.T) {
	p := newProduct(t)
	d := readers(policy("own_places", "view:delays", ownPlaces))
	d.Services[1].Log = "all"
	d.Roles = append(d.Roles, role("lister", "list on dataset:*,service:*", "read_lineage on service:*"), role("auditor", "read_audit on system:*", "list on dataset:*", "read_lineage on service:*"))
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	p.materialize("delays")
	west := p.as("wanda", "reader", "west")
	_, m, err := p.build(west, "small", &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true}, spineOf(asked("ORD", 7, time.Now())).arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	read, err := p.online.GetFeatures(west, &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who   string
		ctx   context.Context
		shown bool
	}{
		{"its builder", west, true}, {"a lister", p.as("l", "lister"), false}, {"another reader", p.as("w", "reader", "whole"), false}, {"an auditor", p.as("a", "auditor"), true},
	} {
		policies := map[string]*headwaterv1.AppliedPolicy{}
		got, err := p.datasets.GetDataset(c.ctx, &headwaterv1.GetDatasetRequest{Dataset: m.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		list, err := p.datasets.ListDatasets(c.ctx, &headwaterv1.ListDatasetsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		kept, err := p.reads().GetRead(c.ctx, &headwaterv1.GetReadRequest{ReadId: read.GetReadId()})
		if c.who != "another reader" && c.who != "its builder" {
			if err != nil {
				t.Fatal(err)
			}
			policies["read"] = kept.GetRead().GetPolicy()
		}
		policies["get"], policies["list"] = got.GetManifest().GetPolicy(), list.GetDatasets()[0].GetPolicy()
		if c.who == "another reader" {
			_, fetched, err := p.fetch(c.ctx, m.GetId())
			if err != nil {
				t.Fatal(err)
			}
			policies["fetch"] = fetched.GetPolicy()
			v, err := p.datasets.VerifyDataset(c.ctx, &headwaterv1.VerifyDatasetRequest{Dataset: m.GetId()})
			if err != nil || !v.GetSame() {
				t.Fatal(v, err)
			}
			policies["verify"] = v.GetManifest().GetPolicy()
			diff, err := p.datasets.DiffDatasets(c.ctx, &headwaterv1.DiffDatasetsRequest{A: m.GetId(), B: m.GetId()})
			if err != nil {
				t.Fatal(err)
			}
			policies["diff"] = diff.GetA().GetPolicy()
		}
		for how, policy := range policies {
			text := policy.String()
			if shown := strings.Contains(text, "from ORD"); shown != c.shown || policy.GetWithheld() == c.shown || !c.shown && !proto.Equal(policy, &headwaterv1.AppliedPolicy{Withheld: true}) {
				t.Errorf("%s of %s: found %s, expected it shown: %v", how, c.who, text, c.shown)
			}
		}
	}
}
