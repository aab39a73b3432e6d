package server

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A view over views goes from its file to what is served, and says what it is made of.
func TestAViewOverViews(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	over := feature.View{
		Name: "spread", Entity: "airport", Features: []feature.Column{{Name: "gap", Type: feature.TypeFloat64}},
		SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "delays"}, {Name: "traffic", Version: 1}}, Query: `
			SELECT origin, event_time, greatest(max(t.available_at), max(d.available_at)) AS available_at, max(t.delay) - min(d.delay) AS gap
			FROM delays d JOIN traffic t USING (origin, event_time) GROUP BY origin, event_time`},
	}
	// It stands before what it reads, which is applied first all the same.
	d.Views = append([]feature.View{over}, d.Views...)
	d.Services = append(d.Services, feature.Service{Name: "gaps", Views: []feature.ServiceView{{View: "spread"}}})
	d.Roles = []feature.Role{role("author", "register on view:*", "read_online,read_offline on view:traffic")}
	p.apply(d)
	p.ingest(flights(flight("a", 1, time.Now().Add(-time.Hour), feature.Float64(5))), 0)

	r, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{Views: []string{"spread"}})
	if err != nil {
		t.Fatal(err)
	}
	failed, err := p.watch(p.admin, r.GetRuns()[0].GetId())
	want := "view spread@1 reads view delays@1, of which no run is published; run that first: headwater materialize delays@1 --wait"
	if err != nil || failed.GetState() != headwaterv1.RunState_RUN_STATE_FAILED || failed.GetError() != want {
		t.Fatalf("found %s, %q, %v\nexpected %s", failed.GetState(), failed.GetError(), err, want)
	}
	p.materialize("delays", "traffic")
	run := p.materialize("spread")[0]
	run, err = p.watch(p.admin, run.GetId())
	if err != nil || len(run.GetInputs()) != 2 {
		t.Fatalf("found %v, %v", run.GetInputs(), err)
	}
	for i, name := range []string{"delays", "traffic"} {
		if in := run.GetInputs()[i]; in.GetView() != name || in.GetViewVersion() != 1 || in.GetViewSeq() != 1 || in.GetRowsRead() != 1 || in.GetSource() != "" {
			t.Errorf("found %v", in)
		}
	}
	if found := p.delayOf("gaps", "a"); !strings.HasPrefix(found, "0") {
		t.Errorf("found the gap %s, expected 0", found)
	}

	g, err := p.lineage.GetLineage(p.admin, &headwaterv1.GetLineageRequest{Node: "view:spread", Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP})
	if err != nil {
		t.Fatal(err)
	}
	var edges []string
	for _, e := range g.GetEdges() {
		edges = append(edges, e.GetFrom()+" "+e.GetTo())
	}
	for _, edge := range []string{"view:delays@1 view:spread@1", "view:traffic@1 view:spread@1", "run:delays@1/1 run:spread@1/2", "load:1 run:traffic@1/1"} {
		if !slices.Contains(edges, edge) {
			t.Errorf("found the edges %q, expected %s among them", edges, edge)
		}
	}

	// Who makes a view over views gives away what is in them.
	plan := func(ctx context.Context, refs ...feature.ViewRef) error {
		other := over
		other.Name = "other"
		sql := *over.SQL
		sql.Views, sql.Query = refs, "SELECT origin, event_time, available_at, delay AS gap FROM "+refs[0].Name
		other.SQL = &sql
		_, err := p.registry.Plan(ctx, &headwaterv1.PlanRequest{Files: []*headwaterv1.DefinitionSource{{
			Path: "other.yaml", File: definition.ToProto(&feature.Definitions{Views: []feature.View{other}}),
		}}})
		return err
	}
	author := p.as("ann", "author")
	if err := plan(author, feature.ViewRef{Name: "traffic"}); err != nil {
		t.Errorf("found %v, expected that who may read a view may make another of it", err)
	}
	err = plan(author, feature.ViewRef{Name: "delays", Version: 1})
	if fault.ReasonOf(fault.FromError(err)) != fault.PermissionDenied || !strings.Contains(err.Error(), "view:delays") {
		t.Errorf("found %v, expected a refusal that names view:delays", err)
	}
}
