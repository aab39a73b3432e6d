package access

import (
	"sync/atomic"
)

// Policies returns the policy in force. It is asked once per call, so it must be fast. nil denies the call.
type Policies func() *Policy

// CachedPolicies compiles what a catalog says once per catalog. A catalog is immutable, and the one in force is another value as
// soon as a role or a policy has changed.
func CachedPolicies[C comparable](catalog func() C, compile func(C) *Policy) Policies {
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
		c := &compiled{catalog: now, policy: compile(now)}
		last.Store(c)
		return c.policy
	}
}
