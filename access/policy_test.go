package access

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
)

func roleVersion(name string, version int, grants ...feature.Grant) *feature.RoleVersion {
	return &feature.RoleVersion{Version: version, Role: feature.Role{Name: name, Grants: grants}}
}

// grant reads `read_online,list on service:*,view:a` and, with a leading `deny`, the opposite.
func grant(text string) feature.Grant {
	text, deny := strings.CutPrefix(text, "deny ")
	what, on, _ := strings.Cut(text, " on ")
	g := feature.Grant{Deny: deny, Actions: strings.Split(what, ",")}
	for _, r := range strings.Split(on, ",") {
		kind, name, _ := strings.Cut(r, ":")
		g.Resources = append(g.Resources, feature.ResourcePattern{Kind: kind, Name: name})
	}
	return g
}

func storyPolicy() *Policy {
	return NewPolicy([]*feature.RoleVersion{
		roleVersion("model", 1, grant("list on service:*")),
		roleVersion("model", 2, grant("read_online on service:delay_model_v1")),
		roleVersion("scientist", 1, grant("list,read_offline on service:*,view:airport_*,dataset:*"), grant("deny read_offline on view:airport_secret")),
		roleVersion("engineer", 1, grant("register on catalog:*"), grant("list,materialize on view:*_delays,view:route_*_by_*")),
		roleVersion("outsider", 1, grant("deny list on view:*"), grant("deny read_online on service:delay*")),
		roleVersion("narrow", 1, grant("deny list on view:airport_secret")),
		roleVersion("broken", 1, grant("read_online on service:x"), grant("deny list on view:x@2")),
	})
}

func TestDecide(t *testing.T) {
	for _, c := range []struct {
		roles   string
		action  Action
		kind    Kind
		name    string
		allowed bool
		reason  string
	}{
		{"model", ActionReadOnline, KindService, "delay_model_v1", true, "role model allows read_online on service:delay_model_v1"},
		{"model", ActionReadOnline, KindService, "delay_model_v1@3", true, "role model allows read_online on service:delay_model_v1"},
		{"model", ActionReadOnline, KindService, "delay_model_v10", false, "no grant of read_online on service:delay_model_v10 in roles [model]"},
		{"model", ActionReadOffline, KindService, "delay_model_v1", false, "no grant of read_offline on service:delay_model_v1 in roles [model]"},
		{"model", ActionReadOnline, KindView, "delay_model_v1", false, "no grant of read_online on view:delay_model_v1 in roles [model]"},
		// An older version of the role had it.
		{"model", ActionList, KindService, "delay_model_v1", false, "no grant of list on service:delay_model_v1 in roles [model]"},
		{"", ActionList, KindView, "airport_delays", false, "no grant of list on view:airport_delays in roles []"},
		{"ghost", ActionList, KindView, "airport_delays", false, "no grant of list on view:airport_delays in roles [ghost]"},
		{"ghost model", ActionReadOnline, KindService, "delay_model_v1", true, "role model allows read_online on service:delay_model_v1"},
		{"scientist", ActionReadOffline, KindView, "airport_delays@2", true, "role scientist allows read_offline on view:airport_*"},
		{"scientist", ActionReadOffline, KindView, "airport_secret@2", false, "role scientist denies read_offline on view:airport_secret"},
		{"scientist admin", ActionReadOffline, KindView, "airport_secret", false, "role scientist denies read_offline on view:airport_secret"},
		{"admin", ActionAdminister, KindSystem, Whole, true, "role admin allows everything"},
		{"admin outsider", ActionReadOnline, KindService, "delay_model_v1", false, "role outsider denies read_online on service:delay*"},
		{"model outsider", ActionReadOnline, KindService, "delay_model_v1", false, "role outsider denies read_online on service:delay*"},
		{"engineer", ActionMaterialize, KindView, "route_delays", true, "role engineer allows materialize on view:*_delays"},
		{"engineer", ActionMaterialize, KindView, "route_mean_by_day", true, "role engineer allows materialize on view:route_*_by_*"},
		{"engineer", ActionMaterialize, KindView, "_by_route_", false, "no grant of materialize on view:_by_route_ in roles [engineer]"},
		{"engineer", ActionMaterialize, KindView, Whole, false, "no grant of materialize on view:* in roles [engineer]"},
		{"engineer", ActionRegister, KindCatalog, Whole, true, "role engineer allows register on catalog:*"},
		{"scientist", ActionList, KindDataset, Whole, true, "role scientist allows list on dataset:*"},
		// The whole includes what is denied.
		{"admin narrow", ActionList, KindView, Whole, false, "role narrow denies list on view:airport_secret"},
		{"admin narrow", ActionList, KindView, "airport_delays", true, "role admin allows everything"},
		{"admin", "fly", KindView, "x", false, `there is no action "fly"`},
		{"admin", ActionList, "moon", "x", false, `there is no kind of resource "moon"`},
		{"admin broken", ActionReadOnline, KindService, "x", false, "role broken denies everything until its grant 2 is mended: " +
			`found the resource "view:x@2", expected a name without a version, for grants hold for every version`},
	} {
		got := storyPolicy().Decide(strings.Fields(c.roles), c.action, c.kind, c.name)
		if got.Allowed != c.allowed || got.Reason != c.reason {
			t.Errorf("[%s] %s on %s:%s: got %+v, want %t, %q", c.roles, c.action, c.kind, c.name, got, c.allowed, c.reason)
		}
	}
}

func TestNoPolicyDeniesEverything(t *testing.T) {
	var none *Policy
	want := Verdict{Reason: "no policy is loaded"}
	if got := none.Decide([]string{feature.AdminRole}, ActionList, KindView, "x"); !reflect.DeepEqual(got, want) {
		t.Errorf("Decide: got %+v, want %+v", got, want)
	}
	if got := none.DecideAny([]string{feature.AdminRole}, ActionList, KindView); !reflect.DeepEqual(got, want) {
		t.Errorf("DecideAny: got %+v, want %+v", got, want)
	}
}

func TestGrantsThatCannotBeMeant(t *testing.T) {
	for text, reason := range map[string]string{
		"fly on view:x":    `there is no action "fly"`,
		"list on moon:x":   `there is no kind of resource "moon"`,
		"list on view:":    `found the resource "view:", expected KIND:NAME`,
		"list on view:x@1": `found the resource "view:x@1", expected a name without a version, for grants hold for every version`,
	} {
		p := NewPolicy([]*feature.RoleVersion{roleVersion("r", 1, grant("list on view:ok"), grant(text)), roleVersion("s", 1, grant("list on view:ok"))})
		want := Verdict{Reason: "role r denies everything until its grant 2 is mended: " + reason}
		if got := p.Decide([]string{"r"}, ActionList, KindView, "ok"); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
		if !p.Decide([]string{"s"}, ActionList, KindView, "ok").Allowed {
			t.Errorf("%s: another role's grant was lost", text)
		}
	}
}

func TestAdminCannotBeDefined(t *testing.T) {
	p := NewPolicy([]*feature.RoleVersion{roleVersion("admin", 1, grant("deny administer on system:*"))})
	if v := p.Decide([]string{"admin"}, ActionAdminister, KindSystem, Whole); !v.Allowed {
		t.Errorf("got %+v", v)
	}
}

func TestDecideAny(t *testing.T) {
	for _, c := range []struct {
		roles   string
		allowed bool
		reason  string
	}{
		{"engineer", true, "role engineer allows list on view:*_delays"},
		{"admin", true, "role admin allows everything"},
		{"admin narrow", true, "role admin allows everything"},
		{"admin outsider", false, "role outsider denies list on view:*"},
		{"model", false, "no grant of list on any view in roles [model]"},
		{"", false, "no grant of list on any view in roles []"},
	} {
		got := storyPolicy().DecideAny(strings.Fields(c.roles), ActionList, KindView)
		if got.Allowed != c.allowed || got.Reason != c.reason {
			t.Errorf("[%s]: got %+v, want %t, %q", c.roles, got, c.allowed, c.reason)
		}
	}
}

func TestDecideService(t *testing.T) {
	service := func(name string, servesAsGrant bool, views ...string) *feature.ServiceVersion {
		s := &feature.ServiceVersion{Version: 1, Service: feature.Service{Name: name, ServesAsGrant: servesAsGrant}}
		for _, v := range views {
			s.Pins = append(s.Pins, feature.ServicePin{View: &feature.ViewVersion{Version: 1, View: feature.View{Name: v}}})
		}
		return s
	}
	for _, c := range []struct {
		name    string
		roles   string
		action  Action
		service *feature.ServiceVersion
		allowed bool
		reason  string
	}{
		{
			"each view is granted", "scientist", ActionReadOffline, service("s", false, "airport_delays", "airport_delays"),
			true, "role scientist allows read_offline on service:*",
		},
		{
			"a view is not granted", "scientist", ActionReadOffline, service("s", false, "airport_delays", "route_delays"),
			false, "service:s reads view:route_delays: no grant of read_offline on view:route_delays in roles [scientist]",
		},
		{
			"the service serves as the grant", "model", ActionReadOnline, service("delay_model_v1", true, "route_delays"),
			true, "role model allows read_online on service:delay_model_v1, which serves as the grant of its views",
		},
		{
			"the service does not", "model", ActionReadOnline, service("delay_model_v1", false, "route_delays"),
			false, "service:delay_model_v1 reads view:route_delays: no grant of read_online on view:route_delays in roles [model]",
		},
		{
			"a deny on a view holds all the same", "scientist", ActionReadOffline, service("s", true, "airport_secret"),
			false, "service:s reads view:airport_secret: role scientist denies read_offline on view:airport_secret",
		},
		{
			"the service itself is not granted", "model", ActionReadOnline, service("other", true, "route_delays"),
			false, "no grant of read_online on service:other in roles [model]",
		},
		{
			"listing reads no view", "scientist", ActionList, service("s", false, "route_delays"),
			true, "role scientist allows list on service:*",
		},
	} {
		got := storyPolicy().DecideService(strings.Fields(c.roles), c.action, c.service)
		if got.Allowed != c.allowed || got.Reason != c.reason {
			t.Errorf("%s: got %+v, want %t, %q", c.name, got, c.allowed, c.reason)
		}
	}
}

func TestCachedPolicies(t *testing.T) {
	type catalog struct{ roles []*feature.RoleVersion }
	now, compiled := &catalog{}, 0
	policies := CachedPolicies(func() *catalog { return now }, func(c *catalog) *Policy {
		compiled++
		return NewPolicy(c.roles)
	})
	decide := func() bool { return policies().Decide([]string{"r"}, ActionList, KindView, "x").Allowed }
	for range 2 {
		if decide() {
			t.Error("an undefined role was allowed something")
		}
	}
	now = &catalog{roles: []*feature.RoleVersion{roleVersion("r", 1, grant("list on view:x"))}}
	for range 2 {
		if !decide() {
			t.Error("the new catalog's role does not hold")
		}
	}
	if compiled != 2 {
		t.Errorf("compiled %d times, want once per catalog", compiled)
	}
}

func TestMatchesIsTheRegularExpression(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab*")), 0, 6, -1).Draw(t, "pattern")
		name := rapid.StringOfN(rapid.RuneFrom([]rune("ab*")), 0, 8, -1).Draw(t, "name")
		re := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
		if got, want := feature.MatchesPattern(pattern, name), re.MatchString(name); got != want {
			t.Errorf("feature.MatchesPattern(%q, %q) = %t, want %t", pattern, name, got, want)
		}
	})
}

func TestADenyIsNeverOverruled(t *testing.T) {
	names := rapid.SampledFrom([]string{"*", "a", "b", "a*", "*b", "ab"})
	grants := rapid.Custom(func(t *rapid.T) feature.Grant {
		return feature.Grant{
			Deny:      rapid.Bool().Draw(t, "deny"),
			Actions:   []string{rapid.SampledFrom([]string{"list", "ingest"}).Draw(t, "action")},
			Resources: []feature.ResourcePattern{{Kind: rapid.SampledFrom([]string{"view", "source"}).Draw(t, "kind"), Name: names.Draw(t, "pattern")}},
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		one := roleVersion("one", 1, rapid.SliceOfN(grants, 0, 4).Draw(t, "one")...)
		two := roleVersion("two", 1, rapid.SliceOfN(grants, 0, 4).Draw(t, "two")...)
		p := NewPolicy([]*feature.RoleVersion{one, two})
		name := rapid.SampledFrom([]string{"a", "b", "ab", "ab@3"}).Draw(t, "name")
		roles := rapid.SampledFrom([][]string{{"one"}, {"one", "two"}, {"two", "one", feature.AdminRole}, {}}).Draw(t, "roles")

		allowed, denied := false, false
		for _, r := range roles {
			allowed = allowed || r == feature.AdminRole
			for _, v := range []*feature.RoleVersion{one, two} {
				for _, g := range v.Grants {
					if v.Name != r || g.Actions[0] != "list" || g.Resources[0].Kind != "view" || !feature.MatchesPattern(g.Resources[0].Name, bare(name)) {
						continue
					}
					allowed, denied = allowed || !g.Deny, denied || g.Deny
				}
			}
		}
		if got := p.Decide(roles, ActionList, KindView, name); got.Allowed != (allowed && !denied) {
			t.Errorf("got %+v, want allowed=%t", got, allowed && !denied)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	p, roles := storyPolicy(), []string{"model"}
	for b.Loop() {
		if !p.Decide(roles, ActionReadOnline, KindService, "delay_model_v1").Allowed {
			b.Fatal("denied")
		}
	}
}

func TestCompiledDecisionsAreThoseOfThePolicy(t *testing.T) {
	names := []string{"delay_model_v1", "x", "airport_delays", "airport_secret"}
	var services []*feature.ServiceVersion
	for i, name := range names {
		for _, grants := range []bool{false, true} {
			services = append(services, &feature.ServiceVersion{
				Version: 1, Service: feature.Service{Name: name, ServesAsGrant: grants},
				Pins: []feature.ServicePin{{View: &feature.ViewVersion{View: feature.View{Name: names[(i+1)%len(names)]}}}},
			})
		}
	}
	allowed := 0
	rapid.Check(t, func(t *rapid.T) {
		var roles []*feature.RoleVersion
		for _, name := range []string{"a", "b"} {
			var grants []feature.Grant
			for range rapid.IntRange(0, 3).Draw(t, "grants") {
				text := rapid.SampledFrom([]string{"deny ", "", "", ""}).Draw(t, "deny") + "read_online,read_offline on " +
					rapid.SampledFrom([]string{"service:*", "view:*", "service:delay*", "view:airport_secret", "view:x"}).Draw(t, "resource")
				grants = append(grants, grant(text))
			}
			roles = append(roles, roleVersion(name, 1, grants...))
		}
		p := NewPolicy(roles)
		for range 20 {
			principal := &Principal{Roles: rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "admin", "ghost"}), 0, 2).Draw(t, "roles")}
			action := rapid.SampledFrom([]Action{ActionReadOnline, ActionReadOffline, ActionList}).Draw(t, "action")
			s := rapid.SampledFrom(services).Draw(t, "service")
			want := p.DecideService(principal.Roles, action, s)
			switch got := p.compiledService(principal, action, s); {
			case (got != nil) != want.Allowed:
				t.Fatalf("%v %s %s: got %v, want %v", principal.Roles, action, s.Ref(), got, want)
			case got != nil:
				allowed++
				if *got != (decision{action, "service:" + s.Ref(), true, want.Reason, strings.Join(want.rules, " ")}) {
					t.Fatalf("got %v, want %v", *got, want)
				}
				if again := p.compiledService(principal, action, s); again != got {
					t.Fatal("the decision was compiled twice")
				}
			}
		}
	})
	if allowed == 0 {
		t.Error("nothing was allowed")
	}
	if d := (*Policy)(nil).compiledService(&Principal{Roles: []string{"admin"}}, ActionReadOnline, services[0]); d != nil {
		t.Errorf("no policy allows: %v", d)
	}
}
