package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// newDividedProduct has two sources, views, services, loads, runs and datasets: of one each, few may know.
func newDividedProduct(t *testing.T) (p *product, shown, hidden *headwaterv1.Load, datasets map[string]string) {
	p = newProduct(t)
	d := definitions()
	d.Sources = append(d.Sources, feature.Source{Name: "salaries", EventTime: "date", Columns: d.Sources[0].Columns})
	d.Views = append(d.Views, feature.View{Name: "pay", Entity: "airport", Features: []feature.Column{{Name: "delay", Type: feature.TypeFloat64}},
		SQL: &feature.SQLTransform{Sources: []string{"salaries"}, Query: "SELECT origin, delay, event_time, available_at FROM salaries"}})
	d.Services = append(d.Services, feature.Service{Name: "wages", ServesAsGrant: true, Views: []feature.ServiceView{{View: "pay"}}})
	d.Roles = []feature.Role{
		role("few", "list on view:delays,source:flights,dataset:small", "read_lineage on view:delays,source:flights,dataset:small,service:small",
			"read_offline,read_online on service:small", "ingest on source:flights"),
		role("lists_sources", "read_lineage on source:flights"), role("auditor", "read_audit on system:*"),
	}
	p.apply(d)
	shown = p.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Hour), feature.Float64(1))), 0)
	content := flights(flight("JFK", 7, time.Now().Add(-time.Hour), feature.Float64(100))).arrow(t)
	hidden, err := p.send(p.admin, "salaries", p.header(content, 0), content, 1000)
	if err != nil {
		t.Fatal(err)
	}
	p.materialize("delays", "pay")
	datasets = map[string]string{}
	for _, service := range []string{"small", "wages"} {
		_, m, err := p.build(p.admin, service, &headwaterv1.BuildDatasetHeader{AllowPartial: true}, spineOf(asked("ORD", 7, time.Now())).arrow(t))
		if err != nil {
			t.Fatal(err)
		}
		datasets[service] = m.GetId()
	}
	return p, shown, hidden, datasets
}

// named are calls that name one thing, in the order of the names given for them.
func (p *product) named(ctx context.Context) map[string]func(name string) error {
	up := headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP
	id := func(name string) (n int64) {
		fmt.Sscan(name, &n)
		return n
	}
	lineage := func(prefix string) func(string) error {
		return func(name string) error {
			_, err := p.lineage.GetLineage(ctx, &headwaterv1.GetLineageRequest{Node: prefix + name, Direction: up})
			return err
		}
	}
	return map[string]func(string) error{
		"load": func(name string) error {
			_, err := p.loads.GetLoad(ctx, &headwaterv1.GetLoadRequest{Id: id(name)})
			return err
		},
		"retract": func(name string) error {
			_, err := p.loads.RetractLoad(ctx, &headwaterv1.RetractLoadRequest{Id: id(name), Reason: "r"})
			return err
		},
		"load lineage": lineage("load:"),
		"loads": func(name string) error {
			_, err := p.loads.ListLoads(ctx, &headwaterv1.ListLoadsRequest{Source: name})
			return err
		},
		"ingest":  func(name string) error { _, err := p.send(ctx, name, p.header(nil, 0), nil, 1); return err },
		"source":  lineage("source:"),
		"view":    lineage("view:"),
		"service": lineage("service:"),
		"run": func(name string) error {
			_, err := p.materialization.GetRun(ctx, &headwaterv1.GetRunRequest{Run: name})
			return err
		},
		"run by id": func(name string) error {
			_, err := p.materialization.GetRun(ctx, &headwaterv1.GetRunRequest{Run: name})
			return err
		},
		"diff": func(name string) error {
			_, err := p.lineage.DiffRuns(ctx, &headwaterv1.DiffRunsRequest{A: name, B: name})
			return err
		},
		"watch":       func(name string) error { _, err := p.watch(ctx, id(name)); return err },
		"run lineage": lineage("run:"),
		"verify run": func(name string) error {
			stream, err := p.materialization.VerifyRuns(ctx, &headwaterv1.VerifyRunsRequest{Runs: []string{name}})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		"runs": func(name string) error {
			_, err := p.materialization.ListRuns(ctx, &headwaterv1.ListRunsRequest{View: name})
			return err
		},
		"materialize": func(name string) error {
			_, err := p.materialization.Materialize(ctx, &headwaterv1.MaterializeRequest{Views: []string{name}})
			return err
		},
		"quarantine": func(name string) error {
			_, err := headwaterv1.NewQuarantineServiceClient(p.conn).ShowQuarantine(ctx, &headwaterv1.ShowQuarantineRequest{Run: name})
			return err
		},
		"quarantine of": func(name string) error {
			_, err := headwaterv1.NewQuarantineServiceClient(p.conn).ListQuarantine(ctx, &headwaterv1.ListQuarantineRequest{View: name})
			return err
		},
		"replay": func(name string) error {
			_, err := headwaterv1.NewQuarantineServiceClient(p.conn).ReplayQuarantine(ctx, &headwaterv1.ReplayQuarantineRequest{View: name})
			return err
		},
		"checks": func(name string) error {
			_, err := p.materialization.ListCheckResults(ctx, &headwaterv1.ListCheckResultsRequest{View: name})
			return err
		},
		"dataset": func(name string) error {
			_, err := p.datasets.GetDataset(ctx, &headwaterv1.GetDatasetRequest{Dataset: name})
			return err
		},
		"dataset by id": func(name string) error {
			_, err := p.datasets.GetDataset(ctx, &headwaterv1.GetDatasetRequest{Dataset: name})
			return err
		},
		"fetch": func(name string) error { _, _, err := p.fetch(ctx, name); return err },
		"verify": func(name string) error {
			_, err := p.datasets.VerifyDataset(ctx, &headwaterv1.VerifyDatasetRequest{Dataset: name})
			return err
		},
		"dataset lineage": lineage("dataset:"),
		"definition": func(name string) error {
			_, err := p.registry.GetDefinition(ctx, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: name})
			return err
		},
		"build": func(name string) error {
			_, _, err := p.build(ctx, name, &headwaterv1.BuildDatasetHeader{}, nil)
			return err
		},
		"read": func(name string) error {
			_, err := p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Service: name, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
			return err
		},
	}
}

func TestWhatIsHiddenLooksMissing(t *testing.T) {
	t.Parallel()
	p, _, hidden, datasets := newDividedProduct(t)
	pay := p.count(`SELECT r.id FROM headwater.run r JOIN headwater.definition d ON d.id = r.view_id WHERE d.name = 'pay'`)
	load := fmt.Sprint(hidden.GetId())
	// The name of what is hidden, and of what there is none.
	names := map[string][2]string{
		"load": {load, "9999"}, "retract": {load, "9999"}, "load lineage": {load, "9999"}, "loads": {"salaries", "salarias"},
		"ingest": {"salaries", "salarias"}, "source": {"salaries", "salarias"}, "view": {"pay", "pat"}, "service": {"wages", "wagas"},
		"run": {"pay@1/1", "pat@1/1"}, "verify run": {"pay@1/1", "pat@1/1"}, "run by id": {fmt.Sprint(pay), "9999"}, "watch": {fmt.Sprint(pay), "9999"}, "run lineage": {"pay@1/1", "pat@1/1"},
		"diff": {"pay@1/1", "pat@1/1"}, "runs": {"pay", "pat"}, "materialize": {"pay", "pat"}, "quarantine": {"pay@1/1", "pat@1/1"}, "quarantine of": {"pay", "pat"}, "replay": {"pay", "pat"},
		"checks": {"pay", "pat"}, "dataset": {"wages@1", "wagas@1"},
		"dataset by id": {datasets["wages"], "ds_" + strings.Repeat("a", 26)}, "fetch": {"wages@1", "wagas@1"}, "verify": {"wages@1", "wagas@1"},
		"dataset lineage": {"wages@1", "wagas@1"}, "definition": {"pay", "pat"}, "build": {"wages", "wagas"}, "read": {"wages", "wagas"},
	}
	for principal, roles := range map[string][]string{"fay": {"few"}, "nobody": {"auditor"}} {
		calls := p.named(p.as(principal, roles...))
		for name, call := range calls {
			both := names[name]
			there, missing := fault.FromError(call(both[0])), fault.FromError(call(both[1]))
			if there == nil || missing == nil {
				t.Errorf("%s, %s: found %v and %v, expected errors", principal, name, there, missing)
				continue
			}
			said := func(f *fault.Fault, name string) string {
				bare, _, _ := strings.Cut(name, "@")
				text := strings.ReplaceAll(strings.ReplaceAll(f.Error(), name, "NAME"), bare, "BARE")
				return fmt.Sprint(f.Reason, " ", text, " ", len(f.Metadata))
			}
			got, want := said(there, both[0]), said(missing, both[1])
			if got != want {
				t.Errorf("%s can tell by %s what there is:\n  hidden:  %s\n  missing: %s", principal, name, got, want)
			}
			if r := there.Reason; r != fault.NotFound && r != fault.PermissionDenied {
				t.Errorf("%s, %s: found %v", principal, name, there)
			}
		}
	}
	if n := p.count(`SELECT count(*) FROM headwater.load WHERE ends IS NOT NULL`); n != 0 {
		t.Error("a load was retracted by who may not")
	}
}

func TestFewSeeTheirOwn(t *testing.T) {
	t.Parallel()
	p, shown, _, datasets := newDividedProduct(t)
	ctx := p.as("fay", "few")
	names := map[string]string{
		"load": fmt.Sprint(shown.GetId()), "load lineage": fmt.Sprint(shown.GetId()), "loads": "flights", "source": "flights", "view": "delays", "service": "small",
		"run": "delays@1/1", "diff": "delays@1/1", "run lineage": "delays@1/1", "runs": "delays", "dataset": "small@1", "dataset by id": datasets["small"], "fetch": "small@1",
		"verify": "small@1", "dataset lineage": "small@1", "definition": "delays", "read": "small",
	}
	calls := p.named(ctx)
	for name, of := range names {
		if err := calls[name](of); err != nil {
			t.Errorf("%s %s: %v", name, of, err)
		}
	}
	runs, err := p.materialization.ListRuns(ctx, &headwaterv1.ListRunsRequest{})
	if err != nil || len(runs.GetRuns()) != 1 || runs.GetRuns()[0].GetView() != "delays" {
		t.Errorf("found %v, %v", runs, err)
	}
	// A page is full of what may be seen, whatever lies between.
	for range 3 {
		p.materialize("pay")
	}
	p.materialize("delays")
	if runs, err = p.materialization.ListRuns(ctx, &headwaterv1.ListRunsRequest{PageSize: 2}); err != nil || len(runs.GetRuns()) != 2 {
		t.Errorf("found %v, %v", runs, err)
	}
	list, err := p.datasets.ListDatasets(ctx, &headwaterv1.ListDatasetsRequest{})
	if err != nil || len(list.GetDatasets()) != 1 || list.GetDatasets()[0].GetName() != "small" {
		t.Errorf("found %v, %v", list, err)
	}
	views, err := p.registry.ListDefinitions(ctx, &headwaterv1.ListDefinitionsRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW})
	if err != nil || len(views.GetDefinitions()) != 1 || views.GetDefinitions()[0].GetName() != "delays" {
		t.Errorf("found %v, %v", views, err)
	}
	d, err := p.registry.GetDefinition(ctx, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "delays"})
	if err != nil || len(d.GetDependents()) != 0 || strings.Join(d.GetInputs(), " ") != "entity:airport source:flights" {
		t.Errorf("found %v, %v, expected no service of which it may not list any", d, err)
	}
	_, err = p.registry.ListDefinitions(ctx, &headwaterv1.ListDefinitionsRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_ROLE})
	if f := fault.FromError(err); f == nil || f.Reason != fault.PermissionDenied {
		t.Errorf("found %v", err)
	}
	// Of a graph, what others may see is left out with its edges.
	for _, direction := range []headwaterv1.LineageDirection{headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP, headwaterv1.LineageDirection_LINEAGE_DIRECTION_DOWN} {
		for _, req := range []*headwaterv1.GetLineageRequest{{}, {PageSize: 1}, {Columns: true}, {Columns: true, PageSize: 2}, {PageSize: 3, AsOf: "2100-01-01T00:00:00Z"}} {
			req.Node, req.Direction = "view:delays", direction
			there := map[string]bool{}
			for {
				g, err := p.lineage.GetLineage(ctx, req)
				if err != nil {
					t.Fatalf("%v: %v", req, err)
				}
				for _, n := range g.GetNodes() {
					there[n.GetId()] = true
					for _, word := range []string{"pay", "salar", "wage", "model"} {
						if strings.Contains(n.String(), word) {
							t.Errorf("found %v", n)
						}
					}
				}
				for _, e := range g.GetEdges() {
					if !there[e.GetFrom()] || !there[e.GetTo()] {
						t.Errorf("found an edge %v to what is not shown", e)
					}
				}
				if req.PageToken = g.GetNextPageToken(); req.PageToken == "" {
					break
				}
			}
			if len(there) < 2 {
				t.Errorf("%v: found %v", req, there)
			}
		}
	}
	// Whoever may see sources alone may ask for those.
	g, err := p.lineage.GetLineage(p.as("sue", "lists_sources"), &headwaterv1.GetLineageRequest{Node: "source:flights", Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_DOWN})
	if err != nil || len(g.GetNodes()) == 0 {
		t.Errorf("found %v, %v", g, err)
	}
	_, err = p.lineage.GetLineage(ctx, &headwaterv1.GetLineageRequest{Node: "flights", Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP})
	if f := fault.FromError(err); f == nil || f.Reason != fault.InvalidArgument {
		t.Errorf("found %v", err)
	}
}
