package access

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
)

// taggedViews are customers (email: pii, region: place, visits without), spend (amount: money) and score, which is computed on demand:
// safe of spend.amount, risky of customers.email.
func taggedViews() (map[string]*feature.ViewVersion, Tagged) {
	column := func(name string, tags ...string) feature.Column {
		return feature.Column{Name: name, Type: feature.TypeString, Tags: tags}
	}
	entity := &feature.EntityVersion{Version: 1, Entity: feature.Entity{Name: "customer", JoinKeys: []feature.Column{column("id")}}}
	view := func(name string, columns ...feature.Column) *feature.ViewVersion {
		return &feature.ViewVersion{Version: 1, EntityVersion: entity, View: feature.View{Name: name, Entity: "customer", Features: columns}, Analysis: &feature.Analysis{}}
	}
	customers := view("customers", column("email", "pii"), column("region", "place"), column("visits"))
	customers.Docs.Tags = []string{"gold"}
	spend := view("spend", column("amount", "money"))
	score := &feature.ViewVersion{
		Version: 1, View: feature.View{Name: "score", Features: []feature.Column{column("safe"), column("risky")}, OnDemand: &feature.OnDemand{}},
		ViewVersions: []*feature.ViewVersion{customers, spend},
		Analysis: &feature.Analysis{Inputs: []feature.ColumnInput{
			{Column: "risky", Kind: feature.InputValue, Relation: "customers", InputColumn: "email"},
			{Column: "safe", Kind: feature.InputValue, Relation: "spend", InputColumn: "amount"},
		}},
	}
	views := map[string]*feature.ViewVersion{"customers": customers, "spend": spend, "score": score}
	newest := func(name string) *feature.ViewVersion { return views[name] }
	return views, Tagged{
		Tags: feature.NewTags(func(string) *feature.EntityVersion { return nil }, func(string) *feature.SourceVersion { return nil }, newest),
		View: newest,
		Of: func(kind Kind, name string) []string {
			switch v := views[name]; {
			case kind == KindView && v != nil:
				return v.Docs.Tags
			case kind == KindService && name == "model":
				return []string{"prod"}
			}
			return nil
		},
	}
}

// picking is a service over features, VIEW.NAME.
func picking(views map[string]*feature.ViewVersion, grant bool, names ...string) *feature.ServiceVersion {
	s := &feature.ServiceVersion{Version: 1, Service: feature.Service{Name: "model", ServesAsGrant: grant}}
	for _, name := range names {
		view, column, _ := strings.Cut(name, ".")
		v := views[view]
		at := slices.IndexFunc(s.Pins, func(p feature.ServicePin) bool { return p.View == v })
		if at < 0 {
			at = len(s.Pins)
			s.Pins = append(s.Pins, feature.ServicePin{View: v})
		}
		s.Pins[at].Features = append(s.Pins[at].Features, v.FeatureIndex(column))
	}
	return s
}

func TestGrantsByTagAndOnFeatures(t *testing.T) {
	views, tags := taggedViews()
	for _, c := range []struct {
		grants   string
		serves   bool
		features string
		want     string
	}{
		{"allow service:model,view:*", false, "customers.email", "role r allows read_online on service:model"},
		{"allow service:tag=prod,view:tag=gold", false, "customers.email", "role r allows read_online on service:tag=prod"},
		{"allow service:model,view:tag=gold", false, "spend.amount", "service:model reads view:spend: no grant of read_online on view:spend in roles [r]"},
		{"allow service:model,feature:customers.visits", false, "customers.visits", "role r allows read_online on service:model"},
		// A grant by tag covers what has the tag, and nothing else.
		{"allow service:model,feature:tag=place", false, "customers.region", "role r allows read_online on service:model"},
		{"allow service:model,feature:tag=place", false, "customers.region customers.visits", "service:model reads view:customers: no grant of read_online on feature:customers.visits in roles [r]"},
		{"allow service:model,feature:tag=place,feature:customers.v*", false, "customers.region customers.visits", "role r allows read_online on service:model"},
		{"allow service:model,view:*; deny feature:tag=pii", false, "customers.region spend.amount", "role r allows read_online on service:model"},
		{"allow service:model,view:*; deny feature:tag=pii", false, "customers.email", "service:model reads view:customers: role r denies read_online on feature:tag=pii, which customers.email is"},
		{"allow service:model; deny feature:tag=pii", true, "customers.email", "service:model reads view:customers: role r denies read_online on feature:tag=pii, which customers.email is"},
		{"allow service:model; deny feature:tag=pii", true, "customers.region", "role r allows read_online on service:model, which serves as the grant of its views"},
		{"allow service:model,view:*; deny view:tag=gold", false, "customers.region", "service:model reads view:customers: role r denies read_online on view:tag=gold"},
		{"allow service:model,view:*; deny feature:spend.*", false, "spend.amount", "service:model reads view:spend: role r denies read_online on feature:spend.*, which spend.amount is"},
		// What an on-demand feature is computed of counts, and it has its tags.
		{"allow service:model,view:*; deny feature:tag=pii", false, "score.safe", "role r allows read_online on service:model"},
		{"allow service:model,view:*; deny feature:tag=pii", false, "score.risky", "service:model reads view:score: role r denies read_online on feature:tag=pii, which score.risky is"},
		{"allow service:model,view:customers,feature:score.safe,feature:tag=money", false, "score.safe", "role r allows read_online on service:model"},
		{"allow service:model,view:customers,feature:score.safe", false, "score.safe", "service:model reads view:spend: no grant of read_online on feature:spend.amount in roles [r]"},
	} {
		role := roleVersion("r", 1)
		for _, part := range strings.Split(c.grants, "; ") {
			verb, on, _ := strings.Cut(part, " ")
			g := grant("read_online on " + on)
			g.Deny = verb == "deny"
			role.Grants = append(role.Grants, g)
		}
		p := NewPolicy([]*feature.RoleVersion{role}).WithTags(tags)
		if got := p.DecideService([]string{"r"}, ActionReadOnline, picking(views, c.serves, strings.Fields(c.features)...)); got.Reason != c.want {
			t.Errorf("%s of %s: found %+v, expected %s", c.grants, c.features, got, c.want)
		}
	}
}

func TestAViewThatIsReadWholeIsDeniedWithAFeature(t *testing.T) {
	_, tags := taggedViews()
	roles := []*feature.RoleVersion{roleVersion("r", 1, grant("read_offline,list on view:*"), grant("deny read_offline on feature:tag=pii"))}
	p := NewPolicy(roles).WithTags(tags)
	for _, c := range []struct {
		action  Action
		kind    Kind
		name    string
		allowed bool
	}{
		{ActionReadOffline, KindView, "customers", false}, {ActionReadOffline, KindView, "spend@1", true}, {ActionList, KindView, "customers", true},
		{ActionReadOffline, KindFeature, "customers.email", false},
	} {
		if got := p.Decide([]string{"r", "admin"}, c.action, c.kind, c.name); got.Allowed != c.allowed {
			t.Errorf("%s on %s:%s: found %+v", c.action, c.kind, c.name, got)
		}
	}
	// Nobody said what tags there are: a deny by tag is of all.
	if got := NewPolicy(roles).Decide([]string{"r", "admin"}, ActionReadOffline, KindFeature, "spend.amount"); got.Allowed {
		t.Errorf("found %+v", got)
	}
	if got := NewPolicy([]*feature.RoleVersion{roleVersion("r", 1, grant("list on view:tag=gold"))}).Decide([]string{"r"}, ActionList, KindView, "customers"); got.Allowed {
		t.Errorf("found %+v", got)
	}
}

// The compiled decision is that of an evaluator that looks at every grant for every column.
func TestFeatureGrantsAsANaiveEvaluatorDecides(t *testing.T) {
	views, tags := taggedViews()
	reads := map[string][]string{"score.safe": {"spend.amount"}, "score.risky": {"customers.email"}}
	all := []string{"customers.email", "customers.region", "customers.visits", "spend.amount", "score.safe", "score.risky"}
	patterns := []string{"view:*", "view:customers", "view:s*", "view:tag=gold", "feature:*", "feature:customers.*", "feature:spend.amount", "feature:tag=pii",
		"feature:tag=m*", "feature:score.safe", "feature:*.risky"}
	rapid.Check(t, func(r *rapid.T) {
		role := roleVersion("r", 1, grant("read_online on service:model"))
		type naive struct {
			deny    bool
			pattern feature.ResourcePattern
		}
		var rules []naive
		for i := range rapid.IntRange(0, 5).Draw(r, "grants") {
			pattern, deny := rapid.SampledFrom(patterns).Draw(r, fmt.Sprint("pattern", i)), rapid.IntRange(0, 3).Draw(r, fmt.Sprint("deny", i)) == 0
			kind, name, _ := strings.Cut(pattern, ":")
			role.Grants = append(role.Grants, feature.Grant{Deny: deny, Actions: []string{"read_online"}, Resources: []feature.ResourcePattern{{Kind: kind, Name: name}}})
			rules = append(rules, naive{deny, feature.ResourcePattern{Kind: kind, Name: name}})
		}
		picked := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 3, func(s string) string { return s }).Draw(r, "picked")
		serves := rapid.Bool().Draw(r, "serves")
		read := slices.Clone(picked)
		touched := map[string]bool{}
		for _, name := range picked {
			read = append(read, reads[name]...)
			touched[strings.Split(name, ".")[0]] = true
			if strings.HasPrefix(name, "score.") {
				touched["customers"], touched["spend"] = true, true
			}
		}
		about := func(n naive, name string) bool {
			view, column, isFeature := strings.Cut(name, ".")
			if isFeature != (n.pattern.Kind == "feature") {
				return false
			}
			has := views[view].Docs.Tags
			if isFeature {
				has = nil
				for _, t := range tags.Tags.Column(views[view], column) {
					has = append(has, t.Tag)
				}
			}
			if tag, byTag := strings.CutPrefix(n.pattern.Name, "tag="); byTag {
				return slices.ContainsFunc(has, func(t string) bool { return feature.MatchesPattern(tag, t) })
			}
			return feature.MatchesPattern(n.pattern.Name, name)
		}
		anyRule := func(deny bool, name string) bool {
			return slices.ContainsFunc(rules, func(n naive) bool { return n.deny == deny && about(n, name) })
		}
		want := true
		for view := range touched {
			want = want && !anyRule(true, view)
			whole := anyRule(false, view)
			used := 0
			for _, name := range read {
				if strings.HasPrefix(name, view+".") {
					used++
					want = want && !anyRule(true, name) && (serves || whole || anyRule(false, name))
				}
			}
			want = want && (used > 0 || serves || whole)
		}
		p := NewPolicy([]*feature.RoleVersion{role}).WithTags(tags)
		if got := p.DecideService([]string{"r"}, ActionReadOnline, picking(views, serves, picked...)); got.Allowed != want {
			r.Fatalf("%v of %v: found %+v, expected %t", role.Grants, picked, got, want)
		}
	})
}

func BenchmarkDecideServiceByTag(b *testing.B) {
	views, tags := taggedViews()
	p := NewPolicy([]*feature.RoleVersion{roleVersion("r", 1, grant("read_online on service:tag=prod,feature:tag=*,feature:customers.visits,feature:score.*"))}).WithTags(tags)
	s := picking(views, false, "customers.email", "customers.visits", "score.safe")
	who := NewPrincipal("ada", []string{"r"}, nil)
	if d := p.compiledService(who, ActionReadOnline, s); d == nil {
		b.Fatal("found a denial")
	}
	b.Run("compiled", func(b *testing.B) {
		for b.Loop() {
			p.compiledService(who, ActionReadOnline, s)
		}
	})
	b.Run("anew", func(b *testing.B) {
		for b.Loop() {
			p.DecideService(who.Roles, ActionReadOnline, s)
		}
	})
}
