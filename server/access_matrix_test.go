package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func (p *product) matrix(ctx context.Context, r *headwaterv1.GetAccessMatrixRequest) map[string]*headwaterv1.AccessMatrixCell {
	p.t.Helper()
	response, err := p.access.GetAccessMatrix(ctx, r)
	if err != nil {
		p.t.Fatal(fault.FromError(err))
	}
	cells := map[string]*headwaterv1.AccessMatrixCell{}
	for _, c := range response.GetCells() {
		cells[cellName(c.GetRole(), c.GetResource(), c.GetAction())] = c
	}
	return cells
}

func cellName(role, resource string, action headwaterv1.Action) string {
	return fmt.Sprintf("%s %s %s", role, strings.ToLower(strings.TrimPrefix(action.String(), "ACTION_")), resource)
}

// anyGrant draws a grant on what definitions has, by name, pattern or tag.
var anyGrant = rapid.Custom(func(t *rapid.T) feature.Grant {
	g := feature.Grant{Deny: rapid.IntRange(0, 5).Draw(t, "deny") == 0}
	g.Actions = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"read_online", "read_offline", "list", "register", "read_lineage"}), 1, 4, rapid.ID[string]).Draw(t, "actions")
	patterns := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
		"view:*", "view:*", "view:delays", "view:recent", "view:traffic", "view:*s", "view:tag=closed", "feature:delays.delay", "feature:tag=secret", "service:*",
		"service:*", "service:model", "service:small", "source:flights", "entity:*", "role:r1", "role:*", "policy:*",
	}), 1, 4, rapid.ID[string]).Draw(t, "resources")
	for _, text := range patterns {
		kind, name, _ := strings.Cut(text, ":")
		g.Resources = append(g.Resources, feature.ResourcePattern{Kind: kind, Name: name})
	}
	return g
})

// Whatever roles and policies there are, each cell is what a call is told, and what is in no cell is denied.
func TestAMatrixIsWhatCallsDecide(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	spine := spineOf(asked("ORD", 7, time.Now())).arrow(t)
	outcomes := map[string]int{}
	for seed := range 3 {
		d := readers(
			policy("for_model", "service:model", func(p *feature.Policy) {
				p.Require, p.ExceptRoles = &feature.Requirement{Purposes: []string{"tests"}}, []string{"r0", "r1", "r2"}
			}),
			policy("own_places", "view:delays", func(p *feature.Policy) {
				p.RowFilter, p.ExceptRoles = "row.words in principal.places", []string{"r3", "r4"}
			}),
			policy("rounded", "tag:secret", func(p *feature.Policy) { roundTo("10")(p); p.ExceptRoles = []string{"r0", "r4"} }),
		)
		column(d, "delay").Tags, d.Views[2].Tags = []string{"secret"}, []string{"closed"}
		var names []string
		for i := range 7 {
			r := feature.Role{Name: fmt.Sprintf("r%d", i), Grants: rapid.SliceOfN(anyGrant, 1, 6).Example(100*seed + i)}
			if i == 2 {
				r.Attributes = map[string][]string{"places": {"from ORD"}}
			}
			if i == 6 {
				r.Grants = role("x", "read_online,read_offline,list,register,read_lineage on view:*,service:*,source:*,entity:*,role:*,policy:*").Grants
			}
			d.Roles, names = append(d.Roles, r), append(names, r.Name)
		}
		p.apply(d)
		if seed == 0 {
			p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
			p.materialize("delays", "recent", "traffic")
		}
		cells := p.matrix(p.admin, &headwaterv1.GetAccessMatrixRequest{Roles: names, Resources: []string{
			"view:*", "service:*", "source:*", "entity:*", "role:r*", "policy:*", "feature:delays.*",
		}})
		for _, name := range names {
			ctx := p.as(fmt.Sprintf("%s_%d", name, seed), name)
			for what, call := range p.callsOfMatrix(ctx, d, spine) {
				cell := cells[name+" "+what]
				rules, err := call()
				f := fault.FromError(err)
				refused := f != nil && (f.Reason == fault.PermissionDenied || f.Reason == fault.NotFound)
				if f != nil && !refused {
					t.Fatalf("seed %d: %s %s: %v", seed, name, what, f)
				}
				allowed := cell.GetDecision() == headwaterv1.Decision_DECISION_ALLOWED
				outcomes[cell.GetDecision().String()]++
				switch {
				case allowed == refused:
					t.Errorf("seed %d: %s %s: the matrix has %v, a call is told %v", seed, name, what, cell, f)
				// Lineage is denied on the kind as a whole first.
				case refused && cell != nil && !strings.HasPrefix(what, "read_lineage") && f.Reason == fault.PermissionDenied && !strings.Contains(f.Message, cell.GetReason()):
					t.Errorf("seed %d: %s %s: the matrix says %q, a call is told %q", seed, name, what, cell.GetReason(), f.Message)
				case allowed && rules != nil && !slices.Equal(rules, cell.GetPolicies()):
					t.Errorf("seed %d: %s %s: the matrix has the policies %v, a dataset was built under %v", seed, name, what, cell.GetPolicies(), rules)
				}
				if len(cell.GetPolicies()) > 0 {
					outcomes["hidden"]++
				}
			}
		}
	}
	if outcomes["DECISION_ALLOWED"] < 50 || outcomes["DECISION_DENIED"] < 20 || outcomes["DECISION_UNSPECIFIED"] < 50 || outcomes["hidden"] < 10 {
		t.Errorf("found the outcomes %v", outcomes)
	}
}

// callsOfMatrix are calls by what they are about, `ACTION KIND:NAME`. One that builds a dataset returns the policies that hid something.
func (p *product) callsOfMatrix(ctx context.Context, d *feature.Definitions, spine []byte) map[string]func() ([]string, error) {
	calls := map[string]func() ([]string, error){}
	add := func(action, kind, name string, call func() ([]string, error)) { calls[action+" "+kind+":"+name] = call }
	reads := func(kind, name string) {
		service, features := name, []string(nil)
		if kind != "service" {
			service, features = "", []string{name}
		}
		add("read_online", kind, name, func() ([]string, error) {
			_, err := p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Service: service, Features: features, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD"), "number": numbers(7)}})
			if f := fault.FromError(err); f != nil && f.Reason == fault.InvalidArgument {
				_, err = p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Service: service, Features: features, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
			}
			return nil, err
		})
		add("read_offline", kind, name, func() ([]string, error) {
			_, m, err := p.build(ctx, service, &headwaterv1.BuildDatasetHeader{Name: "d", Features: features, AllowPartial: true}, spine)
			rules := []string{}
			for _, r := range m.GetPolicy().GetRules() {
				rules = append(rules, r.GetPolicy())
			}
			return sortedOnce(rules), err
		})
	}
	lists := func(kind feature.Kind, name string) {
		add("list", kind.String(), name, func() ([]string, error) {
			_, err := p.registry.GetDefinition(ctx, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind(kind), Name: name})
			return nil, err
		})
	}
	registers := func(kind feature.Kind, name string, one *feature.Definitions) {
		add("register", kind.String(), name, func() ([]string, error) {
			_, err := p.registry.Plan(ctx, &headwaterv1.PlanRequest{Files: files(one)})
			return nil, err
		})
	}
	lineage := func(kind, name string) {
		add("read_lineage", kind, name, func() ([]string, error) {
			_, err := p.lineage.GetLineage(ctx, &headwaterv1.GetLineageRequest{Node: kind + ":" + name, Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP})
			return nil, err
		})
	}
	for _, v := range d.Views {
		reads("view", v.Name)
		lists(feature.KindView, v.Name)
		lineage("view", v.Name)
		registers(feature.KindView, v.Name, &feature.Definitions{Views: []feature.View{v}})
	}
	reads("feature", "delays.delay")
	reads("feature", "delays.words")
	for _, s := range d.Services {
		reads("service", s.Name)
		lists(feature.KindService, s.Name)
		lineage("service", s.Name)
	}
	lists(feature.KindSource, "flights")
	lineage("source", "flights")
	registers(feature.KindSource, "flights", &feature.Definitions{Sources: d.Sources})
	registers(feature.KindEntity, "route", &feature.Definitions{Entities: d.Entities[1:]})
	lists(feature.KindRole, "r1")
	lists(feature.KindPolicy, "rounded")
	registers(feature.KindPolicy, "rounded", &feature.Definitions{Policies: d.Policies[2:]})
	return calls
}

func TestMatrixOfWhatThereIs(t *testing.T) {
	p := newProduct(t)
	d := readers(policy("rounded", "feature:delays.delay", roundTo("10")))
	blind := role("keeper", "administer on system:*", "list on view:recent,role:*")
	d.Roles = append(d.Roles, blind)
	p.apply(d)
	all := p.matrix(p.admin, &headwaterv1.GetAccessMatrixRequest{})
	for name, expected := range map[string]string{
		"reader read_offline view:delays":    "DECISION_ALLOWED role reader allows read_offline on view:* rounded@1",
		"whole read_offline view:delays":     "",
		"reader read_online service:small":   "DECISION_ALLOWED role reader allows read_online on service:*, which serves as the grant of its views rounded@1",
		"reader read_offline source:flights": "DECISION_ALLOWED role reader allows read_offline on source:* ",
		"reader list view:*":                 "DECISION_ALLOWED role reader allows list on view:* ",
		"admin administer system:*":          "DECISION_ALLOWED role admin allows everything ",
		"keeper list role:whole":             "DECISION_ALLOWED role keeper allows list on role:* ",
		"keeper list view:delays":            "",
	} {
		got := ""
		if c := all[name]; c != nil {
			got = fmt.Sprintf("%s %s %s", c.GetDecision(), c.GetReason(), strings.Join(c.GetPolicies(), ","))
		}
		if got != expected {
			t.Errorf("%s: found %q, expected %q", name, got, expected)
		}
	}
	// Of what the caller may not list there are the names that it gave, and what grants say of those.
	keeper := p.as("k", "keeper")
	some := p.matrix(keeper, &headwaterv1.GetAccessMatrixRequest{Roles: []string{"reader"}, Actions: []headwaterv1.Action{readOffline}, Resources: []string{"view:*", "view:delays", "view:absent"}})
	var found []string
	for name, c := range some {
		found = append(found, name+" "+strings.Join(c.GetPolicies(), ","))
	}
	slices.Sort(found)
	if got, expected := strings.Join(found, "\n"), "reader read_offline view:* \nreader read_offline view:absent \nreader read_offline view:delays \nreader read_offline view:recent "; got != expected {
		t.Errorf("found\n%s\nexpected\n%s", got, expected)
	}
	for _, c := range []struct {
		ctx      context.Context
		request  *headwaterv1.GetAccessMatrixRequest
		expected string
	}{
		{p.as("r", "reader"), &headwaterv1.GetAccessMatrixRequest{}, "r may not administer system:*"},
		{p.admin, &headwaterv1.GetAccessMatrixRequest{Roles: []string{"absent"}}, "nobody can be like this"},
		{p.admin, &headwaterv1.GetAccessMatrixRequest{Resources: []string{"view:*", "table:x"}}, `resources[1]: found "table:x", expected KIND:PATTERN such as view:delay_*, without a version`},
		{p.admin, &headwaterv1.GetAccessMatrixRequest{Resources: []string{"view:delays@1"}}, `resources[0]: found "view:delays@1", expected KIND:PATTERN`},
		{p.admin, &headwaterv1.GetAccessMatrixRequest{Actions: []headwaterv1.Action{0}}, "actions[0]: found ACTION_UNSPECIFIED, expected an action that grants can name"},
	} {
		_, err := p.access.GetAccessMatrix(c.ctx, c.request)
		if f := fault.FromError(err); f == nil || !strings.Contains(f.Error(), c.expected) {
			t.Errorf("found %v, expected %q", err, c.expected)
		}
	}
}
