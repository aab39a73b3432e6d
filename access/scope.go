package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Scope bounds what a token is used for: one action, on the resources of one kind whose names match a pattern. A token with scopes
// may do what one of them and its roles allow. A scope on a service covers the views that reading it takes, on which roles decide.
type Scope struct {
	Action  Action
	Kind    Kind
	Pattern string
}

// String is ACTION:KIND:PATTERN, as ParseScope reads it.
func (s Scope) String() string { return string(s.Action) + ":" + resource(s.Kind, s.Pattern) }

// ParseScope reads ACTION:KIND:PATTERN, in which `*` stands for any run of characters. An error says what is found and what is
// expected.
func ParseScope(text string) (Scope, error) {
	action, rest, _ := strings.Cut(text, ":")
	kind, pattern, ok := strings.Cut(rest, ":")
	s := Scope{Action(action), Kind(kind), pattern}
	switch found := withoutSecrets(text); {
	case !ok || pattern == "":
		return Scope{}, fmt.Errorf("found %q, expected ACTION:KIND:PATTERN, such as read_online:service:delay_*", found)
	case !s.Action.Valid():
		return Scope{}, fmt.Errorf("found %q, whose action is none, expected one of %s", found, allOf(actions))
	case !s.Kind.Valid():
		return Scope{}, fmt.Errorf("found %q, whose kind is none, expected one of %s", found, allOf(kinds))
	case notAName(pattern) != "":
		return Scope{}, fmt.Errorf("found %s for the pattern, expected one of names, such as delay_*", notAName(pattern))
	case strings.Contains(pattern, "@"):
		return Scope{}, fmt.Errorf("found %q, expected a name without a version, for scopes hold for every version", found)
	}
	return s, nil
}

// scopesOf reads scopes, each once. nil: none. What cannot be one is a violation.
func scopesOf(texts []string) (scopes []Scope, violations []fault.Violation) {
	for i, text := range texts {
		scope, err := ParseScope(text)
		if err != nil {
			violations = append(violations, fault.Violation{Field: fmt.Sprintf("scopes[%d]", i), Description: err.Error()})
			continue
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes, violations
}

// ScopeTexts are scopes as ParseScope reads them, an empty list for nil.
func ScopeTexts(scopes []Scope) []string {
	texts := make([]string, len(scopes))
	for i, s := range scopes {
		texts[i] = s.String()
	}
	return texts
}

func allOf[T ~string](all map[T]bool) string {
	var names []string
	for name := range all {
		names = append(names, string(name))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// beyond is a denial where what is decided on is in none of the scopes of the principal's token.
func (p *Principal) beyond(action Action, kind Kind, name string) (Verdict, bool) {
	if p.scopes == nil {
		return Verdict{}, false
	}
	name = bare(name)
	for i := range p.scopes {
		if s := &p.scopes[i]; s.Action == action && s.Kind == kind && feature.MatchesPattern(s.Pattern, name) {
			return Verdict{}, false
		}
	}
	return p.lacks(Scope{action, kind, name}), true
}

// beyondAny is beyond for whatever is of the kind.
func (p *Principal) beyondAny(action Action, kind Kind) (Verdict, bool) {
	if p.scopes == nil || slices.ContainsFunc(p.scopes, func(s Scope) bool { return s.Action == action && s.Kind == kind }) {
		return Verdict{}, false
	}
	return p.lacks(Scope{action, kind, Whole}), true
}

func (p *Principal) lacks(missing Scope) Verdict {
	return Verdict{
		Reason: fmt.Sprintf("its token is without the scope %s, whatever its roles allow; it has %v", missing, p.scopes),
		remedy: "use a token with that scope, or have one made",
	}
}

// decide is Policy.Decide for the caller, within the scopes of its token.
func (s *Session) decide(action Action, kind Kind, name string) Verdict {
	return s.policy.decideFor(s.principal, action, kind, name)
}

// decideService is Policy.DecideService for the caller, within the scopes of its token.
func (s *Session) decideService(action Action, service *feature.ServiceVersion) Verdict {
	return s.policy.decideServiceFor(s.principal, action, service)
}

// decideFor is Decide for a principal, within the scopes of its token.
func (p *Policy) decideFor(principal *Principal, action Action, kind Kind, name string) Verdict {
	if v, beyond := principal.beyond(action, kind, name); beyond {
		return v
	}
	return p.Decide(principal.Roles, action, kind, name)
}

// decideServiceFor is DecideService for a principal, within the scopes of its token.
func (p *Policy) decideServiceFor(principal *Principal, action Action, service *feature.ServiceVersion) Verdict {
	if v, beyond := principal.beyond(action, KindService, service.Name); beyond {
		return v
	}
	return p.DecideService(principal.Roles, action, service)
}

// decideUseFor is decideUse for a principal, of what is read by reference, within the scopes of its token.
func (p *Policy) decideUseFor(principal *Principal, action Action, use *viewUse) Verdict {
	if v, beyond := principal.beyond(action, KindView, use.view.Name); beyond {
		return v
	}
	return p.decideUse(principal.Roles, action, use, false)
}

// decideAny is Policy.DecideAny for the caller, within the scopes of its token.
func (s *Session) decideAny(action Action, kind Kind) Verdict {
	if v, beyond := s.principal.beyondAny(action, kind); beyond {
		return v
	}
	return s.policy.DecideAny(s.principal.Roles, action, kind)
}
