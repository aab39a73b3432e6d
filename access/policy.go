package access

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/feature"
)

// Policy is the roles in force, compiled. It decides alike for ever. A nil Policy denies everything.
type Policy struct {
	roles map[string]*role
	// compiled are decisions that allow, as they were asked for.
	compiled keptBy[compiledKey, *decision]
	// tagged is nil where nobody said what tags there are.
	tagged *Tagged

	rules Rules
	// number is no other policy's with rules, and keyed what a reading's key begins with.
	number int64
	keyed  string
	// byPurpose says that a policy looks at the purpose of a reading.
	byPurpose bool
	// byName says that a policy may look at the name of who reads, which is no part of Principal.key.
	byName bool
	// restrictions are what readings of services were held to, as they were asked for.
	restrictions keptBy[restrictedKey, *Restriction]
}

// role holds a role's rules by what they are about.
type role struct {
	allow, deny map[permission][]rule
	// broken says what cannot be meant in its definition. Such a role denies its holders everything: left out, a deny
	// would be lost.
	broken string
	// elevations are the roles that whoever has it may take for a time, with the longest.
	elevations map[string]time.Duration
	// attributes are those of whoever has the role.
	attributes map[string][]string
}

type permission struct {
	action Action
	kind   Kind
}

// rule is one pattern of one grant.
type rule struct {
	pattern string
	// reason is what a decision by this rule says, and id its grant as ROLE#N.
	reason, id string
}

// Verdict is a decision and why it came out so, for the audit log and the caller: the role and the grant that decided,
// or what is missing.
type Verdict struct {
	Allowed bool
	Reason  string
	// missing is the permission that no grant gives, ACTION on KIND:NAME. Empty: none is.
	missing string
	// remedy is what to do about a denial. Empty: what can be done about roles.
	remedy string
	// rules are those that decided: grants as ROLE#N, policies as NAME@VERSION.
	rules []string
}

// rolesRemedy is what can be done about a denial by what roles say, or do not say.
const rolesRemedy = "whoever administers the roles can change that"

// NewPolicy compiles roles. Of several versions of one role, the newest counts. A grant that cannot be meant (an action or
// kind not on the lists, a pattern with a version) makes its role deny everything. A definition of the built-in role is
// ignored.
func NewPolicy(roles []*feature.RoleVersion) *Policy {
	newest := map[string]*feature.RoleVersion{}
	for _, r := range roles {
		if n := newest[r.Name]; r.Name != feature.AdminRole && (n == nil || n.Version < r.Version) {
			newest[r.Name] = r
		}
	}
	p := &Policy{roles: make(map[string]*role, len(newest))}
	for name, r := range newest {
		p.roles[name] = compileRole(&r.Role)
	}
	return p
}

func compileRole(r *feature.Role) *role {
	compiled := &role{allow: map[permission][]rule{}, deny: map[permission][]rule{}, attributes: r.Attributes, elevations: elevationsOf(r)}
	for i, g := range r.Grants {
		rules, verb := compiled.allow, "allows"
		if g.Deny {
			rules, verb = compiled.deny, "denies"
		}
		if found := cannotBeMeant(&g); found != "" {
			return &role{broken: fmt.Sprintf("role %s denies everything until its grant %d is mended: %s", r.Name, i+1, found)}
		}
		for _, a := range g.Actions {
			for _, pattern := range g.Resources {
				what := permission{Action(a), Kind(pattern.Kind)}
				rules[what] = append(rules[what], rule{
					pattern: pattern.Name, id: fmt.Sprintf("%s#%d", r.Name, i+1),
					reason: fmt.Sprintf("role %s %s %s on %s", r.Name, verb, a, pattern),
				})
			}
		}
	}
	return compiled
}

func cannotBeMeant(g *feature.Grant) string {
	for _, a := range g.Actions {
		if !Action(a).Valid() {
			return fmt.Sprintf("there is no action %q", a)
		}
	}
	for _, p := range g.Resources {
		switch {
		case !Kind(p.Kind).Valid():
			return fmt.Sprintf("there is no kind of resource %q", p.Kind)
		case p.Name == "":
			return fmt.Sprintf("found the resource %q, expected KIND:NAME", p)
		case strings.Contains(p.Name, "@"):
			return fmt.Sprintf("found the resource %q, expected a name without a version, for grants hold for every version", p)
		}
	}
	return ""
}

// HasRole reports whether there is a role of that name, built in or defined.
func (p *Policy) HasRole(name string) bool {
	return name == feature.AdminRole || p != nil && p.roles[name] != nil
}

// Decide decides whether a principal with these roles may do something to one resource, or to a kind as a whole (name
// Whole). The name may be NAME@VERSION; grants do not look at versions. Denied by default; a deny of any role beats every
// allow, the built-in role's included, and a deny of one resource denies the kind as a whole. A role that is not there
// grants nothing.
func (p *Policy) Decide(roles []string, action Action, kind Kind, name string) Verdict {
	if v, denied := p.denied(roles, action, kind, name); denied {
		return v
	}
	name = bare(name)
	if kind == KindView {
		if v, denied := p.deniedWithin(roles, action, name); denied {
			return v
		}
	}
	return p.allowed(roles, action, kind, name, func() []string { return p.tagsOf(kind, name) })
}

// allowed looks for what allows, whatever denies.
func (p *Policy) allowed(roles []string, action Action, kind Kind, name string, tags func() []string) Verdict {
	what := permission{action, kind}
	for _, r := range roles {
		if r == feature.AdminRole {
			return allowedByAdmin
		}
		if compiled := p.roles[r]; compiled != nil {
			for i := range compiled.allow[what] {
				if rule := &compiled.allow[what][i]; rule.covers(name, tags) {
					return Verdict{Allowed: true, Reason: rule.reason, rules: []string{rule.id}}
				}
			}
		}
	}
	return Verdict{
		Reason: fmt.Sprintf("no grant of %s on %s in roles %v", action, resource(kind, name), roles), missing: fmt.Sprintf("%s on %s", action, resource(kind, name)),
	}
}

var allowedByAdmin = Verdict{Allowed: true, Reason: "role " + feature.AdminRole + " allows everything", rules: []string{feature.AdminRole}}

// denied looks for what denies, whatever else allows.
func (p *Policy) denied(roles []string, action Action, kind Kind, name string) (Verdict, bool) {
	switch {
	case p == nil:
		return Verdict{Reason: "no policy is loaded"}, true
	case !action.Valid():
		return Verdict{Reason: fmt.Sprintf("there is no action %q", action)}, true
	case !kind.Valid():
		return Verdict{Reason: fmt.Sprintf("there is no kind of resource %q", kind)}, true
	}
	name = bare(name)
	what := permission{action, kind}
	for _, r := range roles {
		compiled := p.roles[r]
		if compiled == nil {
			continue
		}
		if compiled.broken != "" {
			return Verdict{Reason: compiled.broken}, true
		}
		for i := range compiled.deny[what] {
			if rule := &compiled.deny[what][i]; name == Whole || p.denies(rule, name, func() []string { return p.tagsOf(kind, name) }) {
				return Verdict{Reason: rule.reason, rules: []string{rule.id}}, true
			}
		}
	}
	return Verdict{}, false
}

// DecideAny decides whether there may be a resource of the kind on which the roles allow the action. It does not depend
// on what there is, so a denial reveals nothing.
func (p *Policy) DecideAny(roles []string, action Action, kind Kind) Verdict {
	// A name that only the pattern `*` matches: what is denied to it is denied to all.
	if v, denied := p.denied(roles, action, kind, ""); denied {
		return v
	}
	for _, r := range roles {
		if r == feature.AdminRole {
			return allowedByAdmin
		}
		if compiled := p.roles[r]; compiled != nil {
			if rules := compiled.allow[permission{action, kind}]; len(rules) > 0 {
				return Verdict{Allowed: true, Reason: rules[0].reason, rules: []string{rules[0].id}}
			}
		}
	}
	return Verdict{Reason: fmt.Sprintf("no grant of %s on any %s in roles %v", action, kind, roles)}
}

// withRules are rules and others that are not among them, in a list of its own.
func withRules(rules, others []string) []string {
	rules = slices.Clip(rules)
	for _, other := range others {
		if !slices.Contains(rules, other) {
			rules = append(rules, other)
		}
	}
	return rules
}

// viewsRead are the views whose values reading a service takes, each version once: its own, and those that its on-demand
// features are computed of, for whoever sees what was computed of a value may learn it.
func viewsRead(s *feature.ServiceVersion) []*feature.ViewVersion {
	var views []*feature.ViewVersion
	var add func(v *feature.ViewVersion)
	add = func(v *feature.ViewVersion) {
		if !slices.Contains(views, v) {
			views = append(views, v)
		}
		if v.OnDemand != nil {
			for _, w := range v.ViewVersions {
				add(w)
			}
		}
	}
	for i := range s.Pins {
		add(s.Pins[i].View)
	}
	return views
}

// DecideService decides on a service and, for the two reading actions, on each view that it reads: the action must be
// allowed on the view too, or on each feature of it that is read, unless the service is declared to serve as the grant. A deny on a
// view or on a feature that is read holds even then.
func (p *Policy) DecideService(roles []string, action Action, s *feature.ServiceVersion) Verdict {
	v := p.Decide(roles, action, KindService, s.Name)
	if !v.Allowed || action != ActionReadOnline && action != ActionReadOffline {
		return v
	}
	list := uses(s)
	for i := range list {
		view := p.decideUse(roles, action, &list[i], s.ServesAsGrant)
		if !view.Allowed {
			return Verdict{Reason: fmt.Sprintf("%s reads %s: %s", resource(KindService, s.Name), resource(KindView, list[i].view.Name), view.Reason), missing: view.missing, rules: view.rules}
		}
		v.rules = withRules(v.rules, view.rules)
	}
	if s.ServesAsGrant {
		v.Reason += ", which serves as the grant of its views"
	}
	return v
}
