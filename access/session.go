package access

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Session is one call's right to decide: who asks, under which policy, and where decisions are recorded. It may be used
// concurrently.
type Session struct {
	principal *Principal
	policy    *Policy
	audit     *AuditLog
	method    string
	address   Address
	began     time.Time
	readID    string
	owner     func(kind Kind, name string) string

	mu       sync.Mutex
	purpose  string
	use      string
	entities int
	// last is the decision recorded last, and recorded all of them where there are several.
	last     decision
	decided  bool
	byParts  bool
	recorded map[decision]struct{}
	// allowed are decisions on an online read that are to be recorded with what comes of it, before it is answered; first is the memory of
	// the first of them.
	allowed []*decision
	first   [1]*decision
	// rules are those that allowed what else it reads.
	rules []string
}

// Call is what a session is begun with.
type Call struct {
	Audit *AuditLog
	// Principal is not nil.
	Principal *Principal
	// Policy denies everything where it is nil.
	Policy *Policy
	// Method is the gRPC method, as /PACKAGE.SERVICE/METHOD.
	Method  string
	Address Address
	// Began is when it came. ReadID is that of an online read, else empty.
	Began  time.Time
	ReadID string
	// Owner is who owns what has a name, or empty. It is asked where the caller may know of it. nil: nobody is named.
	Owner func(kind Kind, name string) string
}

// sessionContext is a call's context with its session, in one piece of memory.
type sessionContext struct {
	context.Context
	session Session
}

// Value finds the session, and what the context around the call has.
func (c *sessionContext) Value(key any) any {
	if _, ours := key.(sessionKey); ours {
		return &c.session
	}
	return c.Context.Value(key)
}

type sessionKey struct{}

// Begin begins a call's session, and puts it into the call's context.
func Begin(ctx context.Context, c Call) (context.Context, *Session) {
	with := &sessionContext{Context: ctx}
	s := &with.session
	s.audit, s.principal, s.policy, s.method, s.address, s.readID = c.Audit, c.Principal, c.Policy, c.Method, c.Address, c.ReadID
	s.began, s.owner = c.Began, c.Owner
	return with, s
}

// Principal is who asks.
func (s *Session) Principal() *Principal { return s.principal }

// SetPurpose says what the caller wants the answer for; decisions from now on are recorded with it.
func (s *Session) SetPurpose(purpose string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.purpose = purpose
}

// SetUse says what the caller uses a dataset for, one of feature.Uses, where that is not training.
func (s *Session) SetUse(use string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.use = use
}

// SetEntities says how many entities an online read asks for; it is counted with that.
func (s *Session) SetEntities(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entities = n
}

// ReadID is the id under which an online read can be traced later, or empty in other calls.
func (s *Session) ReadID() string { return s.readID }

// Method is the gRPC method of the call.
func (s *Session) Method() string { return s.method }

// Decide says that what the call is about is decided on by sessions of its parts, such as the reads of a stream.
func (s *Session) Decide() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byParts = true
}

// Decided reports whether any decision was recorded, or is left to sessions of the call's parts.
func (s *Session) Decided() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.decided || s.byParts
}

// Require decides and records. nil: allowed. Else a PERMISSION_DENIED fault that names the permission and why it is
// missing, the same whether or not there is such a resource, but to callers who may list it, who are told its owner; or AUDIT_UNAVAILABLE.
func (s *Session) Require(action Action, kind Kind, name string) error {
	return s.settle(action, resource(kind, name), s.decide(action, kind, name))
}

// RequireService is Require for a service and the views it reads; see Policy.DecideService. The caller asked for it as
// NAME or NAME@VERSION: a denial says no more than that, so a service that is hidden looks like one that is not there.
func (s *Session) RequireService(action Action, asked string, service *feature.ServiceVersion) error {
	if d := s.policy.compiledService(s.principal, action, service); d != nil {
		return s.allow(d)
	}
	v := s.decideService(action, service)
	if v.Allowed {
		asked = service.Ref()
	}
	return s.settle(action, resource(KindService, asked), v)
}

// RequireReference is Require for a feature of a view that the caller asked for as NAME or NAME@VERSION, or with an empty name for all of
// its features: the view must be allowed, or each of them. A denial says no more than the view's name as it was asked for, so that what is
// hidden looks like what is not there. A nil view: there is none.
func (s *Session) RequireReference(action Action, asked, name string, view *feature.ViewVersion) error {
	v := s.decideReference(action, bare(asked), name, view)
	if v.Allowed && view != nil {
		return s.allow(decisionOf(action, resource(KindView, view.Ref()), &v))
	}
	return s.settle(action, resource(KindView, asked), v)
}

// RequireViews is Require for each of the views that features read by reference take: those of a service that has no name, and
// those that on-demand features of them are computed of.
func (s *Session) RequireViews(action Action, service *feature.ServiceVersion) error {
	list := uses(service)
	for i := range list {
		view := list[i].view
		v := s.decideUse(action, &list[i])
		if !v.Allowed {
			return s.settle(action, resource(KindView, view.Ref()), v)
		}
		if err := s.allow(decisionOf(action, resource(KindView, view.Ref()), &v)); err != nil {
			return err
		}
	}
	return nil
}

// decideUse is Policy.decideUse for the caller, within the scopes of its token.
func (s *Session) decideUse(action Action, use *viewUse) Verdict {
	return s.policy.decideUseFor(s.principal, action, use)
}

// RequireAny decides and records whether there may be anything of the kind for the caller; see Policy.DecideAny.
func (s *Session) RequireAny(action Action, kind Kind) error {
	return s.settle(action, resource(kind, Whole), s.decideAny(action, kind))
}

// Refuse records that a call ended before anything was decided on.
func (s *Session) Refuse(action Action, reason string) error {
	return s.record(action, "", Verdict{Reason: reason})
}

func (s *Session) settle(action Action, resource string, v Verdict) error {
	if err := s.record(action, resource, v); err != nil || v.Allowed {
		return err
	}
	return fault.New(fault.PermissionDenied, "%s may not %s %s: %s; %s",
		s.principal.Name, action, withoutSecrets(resource), withoutSecrets(v.Reason), cmp.Or(v.remedy, s.ownerRemedy(resource), rolesRemedy)).With("action", string(action)).With("resource", withoutSecrets(resource))
}

// ownerRemedy names who owns a resource, KIND:NAME, to a caller who may know of it. Empty: nobody is named.
func (s *Session) ownerRemedy(resource string) string {
	kind, name, _ := strings.Cut(resource, ":")
	name = bare(name)
	if s.owner == nil || name == Whole || !s.Allows(ActionList, Kind(kind), name) {
		return ""
	}
	owner := s.owner(Kind(kind), name)
	if owner == "" {
		return ""
	}
	return "ask " + owner + ", who owns it; " + rolesRemedy
}

// record records a decision, once per call.
func (s *Session) record(action Action, resource string, v Verdict) error {
	d := decisionOf(action, resource, &v)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isRecorded(d) {
		return nil
	}
	r := s.recordOf(d)
	if resource != "" {
		r.Extent = s.extentOf(d)
	}
	if d.allowed && d.action == ActionReadOffline {
		s.rules = withRules(s.rules, v.rules)
	}
	err := s.audit.Write(r)
	if err == nil {
		s.keep(d)
	}
	return err
}

// recordOf is a record of a decision. s is locked.
func (s *Session) recordOf(d *decision) Record {
	outcome := Denied
	if d.allowed {
		outcome = Allowed
	}
	return Record{
		Principal: s.principal.Name, Credential: s.principal.Credential, Roles: s.principal.Roles,
		Method: s.method, Action: d.action, Resource: d.resource, Decision: outcome, Reason: s.principal.because(d.reason),
		Purpose: s.purpose, ClientAddress: s.address.String(), ReadID: s.readID,
	}
}

// allow keeps a decision that allows: at once, once per call, but for online reads. Those are recorded with what they were given, by Served,
// or at their end.
func (s *Session) allow(d *decision) error {
	if d.action != ActionReadOnline {
		return s.record(d.action, d.resource, Verdict{Allowed: true, Reason: d.reason, rules: strings.Fields(d.rules)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isRecorded(d) {
		return nil
	}
	if s.allowed == nil {
		s.allowed = s.first[:0]
	}
	s.allowed = append(s.allowed, d)
	s.keep(d)
	return nil
}

func (s *Session) isRecorded(d *decision) bool {
	if !s.decided {
		return false
	}
	if s.last == *d {
		return true
	}
	_, done := s.recorded[*d]
	return done
}

func (s *Session) keep(d *decision) {
	if s.decided {
		if s.recorded == nil {
			s.recorded = map[decision]struct{}{s.last: {}}
		}
		s.recorded[*d] = struct{}{}
	}
	s.last, s.decided = *d, true
}

// SessionFrom is the session of a call, or nil.
func SessionFrom(ctx context.Context) *Session {
	s, _ := ctx.Value(sessionKey{}).(*Session)
	return s
}

// PrincipalFrom is who called, or a principal without name and roles outside of a call.
func PrincipalFrom(ctx context.Context) Principal {
	if s := SessionFrom(ctx); s != nil {
		return *s.principal
	}
	return Principal{}
}

func session(ctx context.Context) (*Session, error) {
	if s := SessionFrom(ctx); s != nil {
		return s, nil
	}
	return nil, fault.New(fault.Internal, "a decision was asked for outside of a call; nothing is allowed there")
}

// Require is Session.Require for the call of ctx. Without a call it is an error.
func Require(ctx context.Context, action Action, kind Kind, name string) error {
	s, err := session(ctx)
	if err != nil {
		return err
	}
	return s.Require(action, kind, name)
}

// RequireService is Session.RequireService for the call of ctx, of a service that the caller may know of.
func RequireService(ctx context.Context, action Action, service *feature.ServiceVersion) error {
	s, err := session(ctx)
	if err != nil {
		return err
	}
	return s.RequireService(action, service.Ref(), service)
}

// RequireReference is Session.RequireReference for the call of ctx.
func RequireReference(ctx context.Context, action Action, asked, name string, view *feature.ViewVersion) error {
	s, err := session(ctx)
	if err != nil {
		return err
	}
	return s.RequireReference(action, asked, name, view)
}

// RequireViews is Session.RequireViews for the call of ctx.
func RequireViews(ctx context.Context, action Action, service *feature.ServiceVersion) error {
	s, err := session(ctx)
	if err != nil {
		return err
	}
	return s.RequireViews(action, service)
}

// RequireAny is Session.RequireAny for the call of ctx.
func RequireAny(ctx context.Context, action Action, kind Kind) error {
	s, err := session(ctx)
	if err != nil {
		return err
	}
	return s.RequireAny(action, kind)
}

// RequireOr is Require for a resource that the caller named by something else, such as a run by its id: a denial is
// recorded, and returned as the error that the caller gets when there is no such thing, so that the two look the same.
func RequireOr(ctx context.Context, action Action, kind Kind, name string, missing error) error {
	err := Require(ctx, action, kind, name)
	if fault.ReasonOf(err) == fault.PermissionDenied {
		return missing
	}
	return err
}

// Filter keeps the items that the caller may act on, in their order, and records one decision for all: the kind as a
// whole, with how many of how many were kept. A caller who may not act on anything of the kind is denied, whatever there
// is. Each item has the name that nameOf gives.
func Filter[T any](ctx context.Context, action Action, kind Kind, items []T, nameOf func(T) string) ([]T, error) {
	s, err := session(ctx)
	if err != nil {
		return nil, err
	}
	v := s.decideAny(action, kind)
	var kept []T
	if v.Allowed {
		for _, item := range items {
			if s.decide(action, kind, nameOf(item)).Allowed {
				kept = append(kept, item)
			}
		}
		v.Reason = fmt.Sprintf("%s; %d of %d shown", v.Reason, len(kept), len(items))
	}
	if err := s.settle(action, resource(kind, Whole), v); err != nil {
		return nil, err
	}
	return kept, nil
}

// Allows decides without a record: for parts of an answer whose whole was decided on by Require and recorded.
func Allows(ctx context.Context, action Action, kind Kind, name string) bool {
	s := SessionFrom(ctx)
	return s != nil && s.Allows(action, kind, name)
}

// Allows is the function of that name for this session.
func (s *Session) Allows(action Action, kind Kind, name string) bool {
	return s.decide(action, kind, name).Allowed
}

// AllowsService decides, without a record, on a service with the views that it reads, or, where it has no name, on each view
// that features read by reference take.
func AllowsService(ctx context.Context, action Action, service *feature.ServiceVersion) bool {
	s := SessionFrom(ctx)
	if s == nil {
		return false
	}
	if service.Name != "" {
		return s.decideService(action, service).Allowed
	}
	list := uses(service)
	for i := range list {
		if !s.decideUse(action, &list[i]).Allowed {
			return false
		}
	}
	return true
}

// AllowsAny decides, without a record, whether there may be anything of the kind for the caller; see Policy.DecideAny.
func AllowsAny(ctx context.Context, action Action, kind Kind) bool {
	s := SessionFrom(ctx)
	return s != nil && s.decideAny(action, kind).Allowed
}
