package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func TestModels(t *testing.T) {
	p, shown, hidden, datasets := newDividedProduct(t)
	register := func(dataset, service, uri string) *headwaterv1.RegisterModelResponse {
		t.Helper()
		r, err := p.lineage.RegisterModel(p.admin, &headwaterv1.RegisterModelRequest{
			Name: "arrivals", Dataset: dataset, Service: service, RunUri: uri, Owner: "ml@example.com",
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := register(datasets["small"], "small", "https://runs.example.com/1")
	if m := first.GetModel(); !first.GetRegistered() || m.GetVersion() != 1 || m.GetDataset() != datasets["small"] || m.GetService() != "small@1" ||
		m.GetRegisteredBy() != "ada" || m.GetRegisteredAt() == nil {
		t.Errorf("found %v", first)
	}
	if again := register(datasets["small"], "small@1", "https://runs.example.com/1"); again.GetRegistered() || again.GetModel().GetVersion() != 1 {
		t.Errorf("the same again: found %v", again)
	}
	if next := register("", "small", "https://runs.example.com/2"); !next.GetRegistered() || next.GetModel().GetVersion() != 2 {
		t.Errorf("another: found %v", next)
	}
	if back := register(datasets["small"], "small", "https://runs.example.com/1"); back.GetModel().GetVersion() != 3 {
		t.Errorf("as it was before: found %v, expected a version of its own", back)
	}
	all, err := p.lineage.GetModel(p.admin, &headwaterv1.GetModelRequest{Model: "arrivals@2"})
	if err != nil || len(all.GetVersions()) != 3 || all.GetVersions()[0].GetVersion() != 3 || all.GetModel().GetVersion() != 2 {
		t.Errorf("found %v, %v", all, err)
	}
	list, err := p.lineage.ListModels(p.admin, &headwaterv1.ListModelsRequest{})
	if err != nil || len(list.GetModels()) != 1 || list.GetModels()[0].GetVersion() != 3 {
		t.Errorf("found %v, %v", list, err)
	}
	var records int
	if err := p.pool.QueryRow(p.admin, `SELECT count(*) FROM headwater.audit_record WHERE writer = 'model-registered:arrivals' AND resource = 'model:arrivals'`).
		Scan(&records); err != nil || records != 3 {
		t.Errorf("found %d audit records, %v, expected one for each version", records, err)
	}

	// The graph.
	ids := func(node string, direction headwaterv1.LineageDirection) (found []string) {
		t.Helper()
		g, err := p.lineage.GetLineage(p.admin, &headwaterv1.GetLineageRequest{Node: node, Direction: direction})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range g.GetNodes() {
			if strings.HasPrefix(n.GetId(), "model:") || n.GetId() == g.GetRoot() {
				found = append(found, n.GetId())
			}
		}
		return found
	}
	up, down := headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP, headwaterv1.LineageDirection_LINEAGE_DIRECTION_DOWN
	load := "load:" + fmt.Sprint(shown.GetId())
	for _, node := range []string{load, "source:flights", "source:flights#delay", "view:delays@1", "service:small@1"} {
		if found := ids(node, down); !slices.Equal(found, slices.Sorted(slices.Values([]string{"model:arrivals@1", "model:arrivals@2", "model:arrivals@3", node}))) {
			t.Errorf("down from %s: found %v", node, found)
		}
	}
	if found := ids("dataset:"+datasets["small"], down); !slices.Equal(found, []string{"dataset:" + datasets["small"], "model:arrivals@1", "model:arrivals@3"}) {
		t.Errorf("down from the dataset: found %v", found)
	}
	if found := ids("load:"+fmt.Sprint(hidden.GetId()), down); len(found) != 1 {
		t.Errorf("down from a load that no model used: found %v", found)
	}
	g, err := p.lineage.GetLineage(p.admin, &headwaterv1.GetLineageRequest{Node: "model:arrivals", Direction: up})
	if err != nil {
		t.Fatal(err)
	}
	var above []string
	for _, n := range g.GetNodes() {
		above = append(above, n.GetId())
	}
	for _, want := range []string{"dataset:" + datasets["small"], "service:small@1", "view:delays@1", "run:delays@1/1", load, "source:flights"} {
		if !slices.Contains(above, want) {
			t.Errorf("up from the model: found %v, expected %s", above, want)
		}
	}
	if slices.Contains(above, "source:salaries") {
		t.Errorf("up from the model: found %v, expected none of what it does not use", above)
	}
}

// What is wrong with a name is said of the field that has it.
func TestModelsRefuseNames(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	for _, c := range []struct {
		call func() error
		want string
	}{
		{func() error {
			_, err := p.lineage.RegisterModel(p.admin, &headwaterv1.RegisterModelRequest{Name: "m", Service: "Bad"})
			return err
		}, "service: found \"Bad\", expected `NAME` or `NAME@VERSION`, with names in lower case; `headwater list services` shows those there are"},
		{func() error {
			_, err := p.lineage.RegisterModel(p.admin, &headwaterv1.RegisterModelRequest{Name: "m", Service: "small@0"})
			return err
		}, "service: found \"small@0\", expected `NAME` or `NAME@VERSION`, with names in lower case; `headwater list services` shows those there are"},
		{func() error {
			_, err := p.lineage.GetModel(p.admin, &headwaterv1.GetModelRequest{Model: "M"})
			return err
		}, "model: found \"M\", expected `NAME` or `NAME@VERSION`, with names in lower case; `headwater model list` shows those there are"},
	} {
		wantFault(t, c.call(), fault.InvalidArgument, c.want)
	}
}

func TestModelsNameOnlyWhatTheirWriterMayList(t *testing.T) {
	p, _, _, datasets := newDividedProduct(t)
	d := definitions()
	d.Roles = []feature.Role{role("trainer", "register,list on model:mine_*", "list on service:small,dataset:small")}
	p.apply(d)
	ctx := p.as("tess", "trainer")
	ask := func(name, dataset, service string) error {
		_, err := p.lineage.RegisterModel(ctx, &headwaterv1.RegisterModelRequest{Name: name, Dataset: dataset, Service: service})
		return err
	}
	if err := ask("mine_1", datasets["small"], "small"); err != nil {
		t.Fatal(err)
	}
	if err := ask("other", datasets["small"], "small"); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a model of others: found %v", err)
	}
	alike := func(about, hidden, none string, a, b error) {
		t.Helper()
		if status.Code(a) != codes.NotFound || status.Code(b) != codes.NotFound ||
			strings.ReplaceAll(a.Error(), hidden, none) != b.Error() {
			t.Errorf("%s: found\n%v\n%v\nexpected the two to be alike", about, a, b)
		}
	}
	alike("service", "wages", "nosuch", ask("mine_2", "", "wages"), ask("mine_2", "", "nosuch"))
	alike("version of a service", "wages", "nosuch", ask("mine_2", "", "wages@7"), ask("mine_2", "", "nosuch@7"))
	alike("dataset", datasets["wages"], "ds_nosuch", ask("mine_2", datasets["wages"], "small"), ask("mine_2", "ds_nosuch", "small"))
	_, err := p.lineage.GetModel(ctx, &headwaterv1.GetModelRequest{Model: "mine_2"})
	if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "there is no model mine_2; `headwater model list` shows those there are") {
		t.Errorf("found %v", err)
	}

	// What a model names is for who may list it.
	if _, err := p.lineage.RegisterModel(p.admin, &headwaterv1.RegisterModelRequest{Name: "mine_9", Dataset: datasets["wages"], Service: "wages"}); err != nil {
		t.Fatal(err)
	}
	r, err := p.lineage.GetModel(ctx, &headwaterv1.GetModelRequest{Model: "mine_9"})
	if err != nil || r.GetModel().GetService() != "" || r.GetModel().GetDataset() != "" {
		t.Errorf("found %v, %v, expected neither the service nor the dataset", r, err)
	}
}
