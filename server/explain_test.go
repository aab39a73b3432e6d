package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

const (
	readOnline  = headwaterv1.Action_ACTION_READ_ONLINE
	readOffline = headwaterv1.Action_ACTION_READ_OFFLINE
)

// explainedRules are the rules that an explanation says hide something, as a manifest has them.
func explainedRules(r *headwaterv1.ExplainAccessResponse) (rules []string) {
	for _, f := range r.GetFilters() {
		if !f.GetHidesNothing() {
			rules = append(rules, f.GetPolicy()+" "+f.GetAbout()+" rows where "+f.GetWords())
		}
	}
	for _, m := range r.GetMasks() {
		rules = append(rules, m.GetPolicy()+" "+m.GetAbout()+" "+m.GetDoes())
	}
	slices.Sort(rules)
	return rules
}

func (p *product) explain(ctx context.Context, r *headwaterv1.ExplainAccessRequest) *headwaterv1.ExplainAccessResponse {
	p.t.Helper()
	e, err := p.access.ExplainAccess(ctx, r)
	if err != nil {
		p.t.Fatal(fault.FromError(err))
	}
	return e
}

func TestExplanationsAreWhatReadsDo(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	d := readers(
		policy("for_model", "service:model", func(p *feature.Policy) { p.Require = &feature.Requirement{Purposes: []string{"delays", "tests"}} }),
		policy("own_places", "view:delays", ownPlaces),
		policy("rounded", "feature:traffic.delay,feature:delays.delay", roundTo("10")),
	)
	d.Services[0].Owner, d.Views[1].Owner = "ops", "traffic team"
	d.Roles = append(d.Roles,
		role("smallest", "read_online,read_offline on service:small"),
		role("modeler", "read_online,read_offline on service:model,view:delays,view:traffic"))
	d.Roles = append(d.Roles, role("picker", "read_online,read_offline on service:model,service:small,view:recent,feature:delays.delay,feature:traffic.delay"))
	barred := role("barred")
	barred.Grants = []feature.Grant{{Deny: true, Actions: []string{"read_online", "read_offline"}, Resources: []feature.ResourcePattern{{Kind: "view", Name: "delays"}}}}
	d.Roles = append(d.Roles, barred)
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8))), 0)
	p.materialize("delays", "recent", "traffic")
	routes := map[string]*headwaterv1.KeyColumn{"origin": texts("ORD"), "number": numbers(7)}
	airports := map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}
	spine := spineOf(asked("ORD", 7, time.Now())).arrow(t)

	outcomes := map[string]int{}
	for who, roles := range map[string][]string{
		"whole": {"reader", "whole"}, "west": {"reader", "west"}, "none": {"reader"}, "small": {"smallest"}, "modeler": {"modeler"},
		"barred": {"reader", "barred"}, "barred_small": {"smallest", "barred"}, "nobody": {"west"}, "picker": {"picker"},
	} {
		ctx := p.as(who, roles...)
		for _, resource := range []string{"service:model", "service:small", "view:delays", "view:recent", "feature:traffic.delay"} {
			for _, purpose := range []string{"", "delays"} {
				for _, action := range []headwaterv1.Action{readOnline, readOffline} {
					what := fmt.Sprintf("%s of %s by %s for %q", action, resource, who, purpose)
					ask := &headwaterv1.ExplainAccessRequest{Action: action, Resource: resource, Purpose: purpose}
					own := p.explain(ctx, ask)
					ask.Principal = who
					other := p.explain(p.admin, ask)
					kind, name, _ := strings.Cut(resource, ":")
					var err error
					var rules []string
					if action == readOnline {
						keys := airports
						if name == "model" || name == "traffic.delay" {
							keys = routes
						}
						request := &headwaterv1.GetFeaturesRequest{Service: name, Keys: keys, Purpose: purpose}
						if kind != "service" {
							request.Service, request.Features = "", []string{name}
						}
						_, err = p.online.GetFeatures(ctx, request)
					} else {
						header := &headwaterv1.BuildDatasetHeader{Name: "d", Purpose: purpose, AllowPartial: true}
						service := name
						if kind != "service" {
							service, header.Features = "", []string{name}
						}
						var m *headwaterv1.Manifest
						_, m, err = p.build(ctx, service, header, spine)
						for _, r := range m.GetPolicy().GetRules() {
							rules = append(rules, r.GetPolicy()+" "+r.GetAbout()+" "+r.GetDoes())
						}
						slices.Sort(rules)
					}
					f := fault.FromError(err)
					if f != nil && f.Reason != fault.PermissionDenied {
						t.Fatalf("%s: %v", what, f)
					}
					for _, e := range []*headwaterv1.ExplainAccessResponse{own, other} {
						outcomes[e.GetDecision().String()]++
						if allowed := e.GetDecision() == headwaterv1.Decision_DECISION_ALLOWED; allowed != (f == nil) {
							t.Errorf("%s: explained %s for %q, and found %v", what, e.GetDecision(), e.GetReason(), f)
						}
						if f != nil && !strings.Contains(f.Message, e.GetReason()) {
							t.Errorf("%s: found %q, explained %q", what, f.Message, e.GetReason())
						}
						if action == readOffline && f == nil && !slices.Equal(explainedRules(e), rules) {
							t.Errorf("%s: explained\n%q\nfound\n%q", what, explainedRules(e), rules)
						}
					}
				}
			}
		}
	}
	if outcomes["DECISION_ALLOWED"] < 40 || outcomes["DECISION_DENIED"] < 40 {
		t.Errorf("found the outcomes %v", outcomes)
	}

	west := p.explain(p.admin, &headwaterv1.ExplainAccessRequest{Principal: "west", Action: readOffline, Resource: "service:model", Purpose: "tests"})
	if f := west.GetFilters(); len(f) != 1 || f[0].GetSql() != `(((r.words)::text COLLATE "C" = ANY ($1::text[])) IS TRUE)` || !slices.Equal(f[0].GetParameters(), []string{`["from ORD"]`}) {
		t.Errorf("found the filters %v", f)
	}
	if !strings.HasPrefix(west.GetKnownBy(), "token:") || west.GetOwner() != "ops" || west.GetDefinition() != "service:model@1" || len(west.GetViews()) != 3 ||
		west.GetAttributes()["places"].GetValues()[0] != "from ORD" || !slices.Equal(west.GetPolicies(), []string{"for_model@1", "own_places@1", "rounded@1"}) {
		t.Errorf("found %v", west)
	}
	modeler := p.explain(p.admin, &headwaterv1.ExplainAccessRequest{Principal: "modeler", Action: readOnline, Resource: "service:model@1"})
	if modeler.GetMissing() != "read_online on view:recent" || modeler.GetViews()[1].GetOwner() != "traffic team" || len(modeler.GetFilters()) != 0 {
		t.Errorf("found %v", modeler)
	}
	small := p.explain(p.as("s", "smallest"), &headwaterv1.ExplainAccessRequest{Action: readOnline, Resource: "service:small"})
	if !small.GetServesAsGrant() || small.GetKnownBy() != "caller" || small.GetViews()[0].GetReason() != "service:small serves as the grant of its views" {
		t.Errorf("found %v", small)
	}
	need := p.explain(p.admin, &headwaterv1.ExplainAccessRequest{Principal: "whole", Action: readOnline, Resource: "service:model"}).GetRequirements()
	if len(need) != 1 || need[0].GetMet() || need[0].GetRequires() != "a purpose of delays, tests" || !strings.Contains(need[0].GetRefusal(), "found none") {
		t.Errorf("found %v", need)
	}
}

// Rows of a source are read as policies show them, and under the terms of the source.
func TestExplanationsOfSources(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	licensed := policy("licensed", "source:flights", func(p *feature.Policy) { p.Require = &feature.Requirement{Purposes: []string{"delays"}} })
	own := policy("own", "source:flights", func(p *feature.Policy) {
		p.RowFilter, p.ExceptRoles = `row.origin == "ORD"`, []string{"whole"}
	})
	p.apply(readers(licensed, own))
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	p.materialize("delays", "recent", "traffic")
	for _, c := range []struct{ who, purpose, expected string }{
		{"reader", "delays", ""},
		{"reader whole", "", "policy licensed@1 of source:flights asks for a purpose, found none"},
		{"reader whole", "delays", ""},
	} {
		ctx := p.as(strings.ReplaceAll(c.who+c.purpose, " ", "_"), strings.Fields(c.who)...)
		e := p.explain(ctx, &headwaterv1.ExplainAccessRequest{Action: readOffline, Resource: "source:flights", Purpose: c.purpose})
		header := &headwaterv1.BuildDatasetHeader{Name: "d", Purpose: c.purpose, AllowPartial: true,
			Spine: &headwaterv1.BuildDatasetHeader_Events{Events: &headwaterv1.SpineEvents{Source: "flights", Columns: []string{"origin"}}}}
		_, _, err := p.build(ctx, "small", header, nil)
		f := fault.FromError(err)
		if c.expected == "" {
			if f != nil || e.GetDecision() != headwaterv1.Decision_DECISION_ALLOWED {
				t.Errorf("%s for %q: found %v, explained %v", c.who, c.purpose, f, e)
			}
			whole := strings.Contains(c.who, "whole")
			if filters := e.GetFilters(); (len(filters) == 0) != whole || !whole && (filters[0].GetAbout() != "source:flights@1" || filters[0].GetPolicy() != "own@1") {
				t.Errorf("%s: explained the filters %v", c.who, filters)
			}
			continue
		}
		if f == nil || !strings.Contains(f.Message, c.expected) || !strings.Contains(e.GetReason(), c.expected) || e.GetDecision() != headwaterv1.Decision_DECISION_DENIED {
			t.Errorf("%s for %q: found %v, explained %v", c.who, c.purpose, f, e)
		}
	}
}

// Who may not know of a definition is told the same whether or not there is one.
func TestExplanationsDoNotRevealWhatIsThere(t *testing.T) {
	p := newProduct(t)
	d := readers(policy("own_places", "view:delays", ownPlaces))
	d.Services[0].Owner, d.Views[0].Owner = "ops", "flight team"
	d.Roles = append(d.Roles, role("outsider", "list on view:recent"), role("keeper", "administer on system:*"))
	p.apply(d)
	for who, ctx := range map[string]context.Context{"o": p.as("o", "outsider"), "k": p.as("k", "keeper")} {
		for _, there := range []string{"view:delays", "service:model", "service:small", "feature:delays.delay", "source:flights", "role:reader", "policy:own_places", "entity:airport"} {
			kind, _, _ := strings.Cut(there, ":")
			missing := kind + ":absent"
			if kind == "feature" {
				missing += ".delay"
			}
			for action := headwaterv1.Action(1); headwaterv1.Action_name[int32(action)] != ""; action++ {
				about := func(principal, resource string, roles ...string) proto.Message {
					e := p.explain(ctx, &headwaterv1.ExplainAccessRequest{Principal: principal, Action: action, Resource: resource, Roles: roles})
					name, _, _ := strings.Cut(strings.TrimPrefix(resource, kind+":"), ".")
					for _, text := range []*string{&e.Reason, &e.Missing} {
						*text = strings.ReplaceAll(*text, ":"+name, ":NAME")
					}
					return e
				}
				if a, b := about("", there), about("", missing); !proto.Equal(a, b) {
					t.Errorf("%s, %s: found\n%v\n%v", who, action, a, b)
				}
				if who != "k" {
					continue
				}
				if a, b := about("x", there, "reader"), about("x", missing, "reader"); !proto.Equal(a, b) {
					t.Errorf("%s of another, %s: found\n%v\n%v", who, action, a, b)
				}
			}
		}
	}
	outsider := p.as("p", "outsider")
	for _, c := range []struct {
		who      string
		ctx      context.Context
		request  *headwaterv1.ExplainAccessRequest
		expected string
	}{
		{"of another", outsider, &headwaterv1.ExplainAccessRequest{Principal: "ada", Action: readOnline, Resource: "view:recent"}, "may not administer system:*"},
		{"with roles", outsider, &headwaterv1.ExplainAccessRequest{Roles: []string{"reader"}, Action: readOnline, Resource: "view:recent"}, "may not administer system:*"},
		{"with attributes", outsider, &headwaterv1.ExplainAccessRequest{
			Attributes: map[string]*headwaterv1.AttributeValues{"a": {Values: []string{"b"}}}, Action: readOnline, Resource: "view:recent"}, "may not administer system:*"},
		{"of nobody", p.admin, &headwaterv1.ExplainAccessRequest{Principal: "nobody", Action: readOnline, Resource: "view:recent"}, `"nobody" has no token that is good`},
		{"with no such role", p.admin, &headwaterv1.ExplainAccessRequest{Roles: []string{"absent"}, Action: readOnline, Resource: "view:recent"}, "nobody can be like this"},
		{"of no kind", p.admin, &headwaterv1.ExplainAccessRequest{Action: readOnline, Resource: "table:x"}, `found "table:x", expected KIND:NAME`},
		{"of a dataset", p.admin, &headwaterv1.ExplainAccessRequest{Action: readOffline, Resource: "dataset:x"}, "expected the service of the dataset"},
		{"of a feature that is not there", p.admin, &headwaterv1.ExplainAccessRequest{Action: readOffline, Resource: "feature:recent.absent"}, "found no feature called"},
	} {
		_, err := p.access.ExplainAccess(c.ctx, c.request)
		if f := fault.FromError(err); f == nil || !strings.Contains(f.Message, c.expected) {
			t.Errorf("%s: found %v, expected %q", c.who, err, c.expected)
		}
	}
	// What is asked about somebody is recorded.
	var own, denied int
	for _, r := range p.records(p.admin) {
		switch {
		case !strings.HasSuffix(r.GetMethod(), "/ExplainAccess"):
		case strings.Contains(r.GetReason(), "may ask what is decided on itself"):
			own++
		case r.GetDecision() == headwaterv1.Decision_DECISION_DENIED:
			denied++
		}
	}
	if own == 0 || denied != 3 {
		t.Errorf("found %d records of explanations of oneself, and %d denials, expected 3", own, denied)
	}
}
