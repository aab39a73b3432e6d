package access

import (
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// decision is what is recorded of a decision, once per call.
type decision struct {
	action   Action
	resource string
	allowed  bool
	reason   string
	// rules are those that decided, with spaces between them.
	rules string
}

// decisionOf is a verdict as it is recorded.
func decisionOf(action Action, resource string, v *Verdict) *decision {
	return &decision{action: action, resource: resource, allowed: v.Allowed, reason: v.Reason, rules: strings.Join(v.rules, " ")}
}

// compiledKey names what a policy allows a principal to do with one version of a service. A policy never changes, nor does a version,
// and another catalog has another policy: what is compiled holds as long as the policy does.
type compiledKey struct {
	// who is Principal.policyKey.
	who     string
	action  Action
	service *feature.ServiceVersion
}

// maxCompiled bounds what a policy keeps of what it compiled, of each kind. Of more, one goes of the principal for whom most was compiled.
const maxCompiled = 2000

// compiledService is the decision of DecideService, where it is to allow; else nil. It is computed once for each policy
// key of a principal, service version and action. What is denied is not kept: a denial says what it was asked about, which callers choose.
func (p *Policy) compiledService(principal *Principal, action Action, s *feature.ServiceVersion) *decision {
	if p == nil {
		return nil
	}
	key := compiledKey{principal.key(), action, s}
	if d, ok := p.compiled.get(key); ok {
		return d
	}
	if _, beyond := principal.beyond(action, KindService, s.Name); beyond {
		return nil
	}
	v := p.DecideService(principal.Roles, action, s)
	if !v.Allowed {
		return nil
	}
	d := decisionOf(action, resource(KindService, s.Ref()), &v)
	p.compiled.add(key, d, principal.Name, maxCompiled)
	return d
}
