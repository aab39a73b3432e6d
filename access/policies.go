package access

import (
	"sync/atomic"

	"github.com/headwaterhq/headwater/feature"
)

// Policies returns the policy in force. It is asked once per call, so it must be fast. nil denies the call.
type Policies func() *Policy

// CachedPolicies compiles the roles of a catalog once per catalog. A catalog is immutable, and the one in force is
// another value as soon as a role has changed.
func CachedPolicies[C comparable](catalog func() C, roles func(C) []*feature.RoleVersion) Policies {
	type compiled struct {
		catalog C
		policy  *Policy
	}
	var last atomic.Pointer[compiled]
	return func() *Policy {
		now := catalog()
		if c := last.Load(); c != nil && c.catalog == now {
			return c.policy
		}
		c := &compiled{catalog: now, policy: NewPolicy(roles(now))}
		last.Store(c)
		return c.policy
	}
}
