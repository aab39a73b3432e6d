package access

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
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

	mu       sync.Mutex
	purpose  string
	readID   string
	recorded map[decision]struct{}
}

// decision is what is recorded once per call.
type decision struct {
	action   Action
	resource string
	allowed  bool
	reason   string
}

// NewSession begins a call's session. A nil policy denies everything; the principal is not nil.
func NewSession(audit *AuditLog, principal *Principal, policy *Policy, method string) *Session {
	return &Session{audit: audit, principal: principal, policy: policy, method: method, recorded: map[decision]struct{}{}}
}

// Principal is who asks.
func (s *Session) Principal() *Principal { return s.principal }

// SetPurpose says what the caller wants the answer for; decisions from now on are recorded with it.
func (s *Session) SetPurpose(purpose string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.purpose = purpose
}

// SetReadID gives the call's read id to its records from now on.
func (s *Session) SetReadID(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readID = id
}

// ReadID is the id under which an online read can be traced later, or empty in other calls.
func (s *Session) ReadID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readID
}

// Decided reports whether any decision was recorded.
func (s *Session) Decided() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.recorded) > 0
}

// Require decides and records. nil: allowed. Else a PERMISSION_DENIED fault that names the permission and why it is
// missing, the same whether or not there is such a resource, or AUDIT_UNAVAILABLE.
func (s *Session) Require(action Action, kind Kind, name string) error {
	return s.settle(action, resource(kind, name), s.policy.Decide(s.principal.Roles, action, kind, name))
}

// RequireService is Require for a service and the views it reads; see Policy.DecideService. The caller asked for it as
// NAME or NAME@VERSION: a denial says no more than that, so a service that is hidden looks like one that is not there.
func (s *Session) RequireService(action Action, asked string, service *feature.ServiceVersion) error {
	v := s.policy.DecideService(s.principal.Roles, action, service)
	if v.Allowed {
		asked = service.Ref()
	}
	return s.settle(action, resource(KindService, asked), v)
}

// RequireView is Require for a view that the caller asked for as NAME or NAME@VERSION: a denial says no more than that, so a
// view that is hidden looks like one that is not there. nil: there is none.
func (s *Session) RequireView(action Action, asked string, view *feature.ViewVersion) error {
	v := s.policy.Decide(s.principal.Roles, action, KindView, bare(asked))
	if v.Allowed && view != nil {
		asked = view.Ref()
	}
	return s.settle(action, resource(KindView, asked), v)
}

// RequireViews is Require for each of the views that features read by reference take: those of a service that has no name, and
// those that on-demand features of them are computed of.
func (s *Session) RequireViews(action Action, service *feature.ServiceVersion) error {
	for _, v := range viewsRead(service) {
		if err := s.RequireView(action, v.Ref(), v); err != nil {
			return err
		}
	}
	return nil
}

// RequireAny decides and records whether there may be anything of the kind for the caller; see Policy.DecideAny.
func (s *Session) RequireAny(action Action, kind Kind) error {
	return s.settle(action, resource(kind, Whole), s.policy.DecideAny(s.principal.Roles, action, kind))
}

// Refuse records that a call ended before anything was decided on.
func (s *Session) Refuse(action Action, reason string) error {
	return s.record(action, "", Verdict{Reason: reason})
}

func (s *Session) settle(action Action, resource string, v Verdict) error {
	if err := s.record(action, resource, v); err != nil || v.Allowed {
		return err
	}
	return fault.New(fault.PermissionDenied, "%s may not %s %s: %s; whoever administers the roles can change that",
		s.principal.Name, action, resource, v.Reason).With("action", string(action)).With("resource", resource)
}

// record writes a decision, once per call.
func (s *Session) record(action Action, resource string, v Verdict) error {
	d := decision{action: action, resource: resource, allowed: v.Allowed, reason: v.Reason}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, done := s.recorded[d]; done {
		return nil
	}
	outcome := Denied
	if v.Allowed {
		outcome = Allowed
	}
	err := s.audit.Write(Record{
		Principal: s.principal.Name, Credential: s.principal.Credential, Roles: s.principal.Roles,
		Method: s.method, Action: action, Resource: resource, Decision: outcome, Reason: v.Reason,
		Purpose: s.purpose, ClientAddress: s.principal.ClientAddress, ReadID: s.readID,
	})
	if err == nil {
		s.recorded[d] = struct{}{}
	}
	return err
}

type sessionKey struct{}

// WithSession puts a session into a call's context.
func WithSession(ctx context.Context, s *Session) context.Context {
	return context.WithValue(ctx, sessionKey{}, s)
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

// RequireView is Session.RequireView for the call of ctx.
func RequireView(ctx context.Context, action Action, asked string, view *feature.ViewVersion) error {
	s, err := session(ctx)
	if err != nil {
		return err
	}
	return s.RequireView(action, asked, view)
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
	roles := s.principal.Roles
	v := s.policy.DecideAny(roles, action, kind)
	var kept []T
	if v.Allowed {
		for _, item := range items {
			if s.policy.Decide(roles, action, kind, nameOf(item)).Allowed {
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

var readIDEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewReadID returns `rd_` and 26 characters that sort by time, to the millisecond.
func NewReadID() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(time.Now().UnixMilli())<<16)
	rand.Read(b[6:])
	return "rd_" + readIDEncoding.EncodeToString(b[:])
}

// Allows decides without a record: for parts of an answer whose whole was decided on by Require and recorded.
func Allows(ctx context.Context, action Action, kind Kind, name string) bool {
	s := SessionFrom(ctx)
	return s != nil && s.Allows(action, kind, name)
}

// Allows is the function of that name for this session.
func (s *Session) Allows(action Action, kind Kind, name string) bool {
	return s.policy.Decide(s.principal.Roles, action, kind, name).Allowed
}

// AllowsService decides, without a record, on a service with the views that it reads, or, where it has no name, on each view
// that features read by reference take.
func AllowsService(ctx context.Context, action Action, service *feature.ServiceVersion) bool {
	s := SessionFrom(ctx)
	if s == nil {
		return false
	}
	if service.Name != "" {
		return s.policy.DecideService(s.principal.Roles, action, service).Allowed
	}
	for _, v := range viewsRead(service) {
		if !s.Allows(action, KindView, v.Name) {
			return false
		}
	}
	return true
}

// AllowsAny decides, without a record, whether there may be anything of the kind for the caller; see Policy.DecideAny.
func AllowsAny(ctx context.Context, action Action, kind Kind) bool {
	s := SessionFrom(ctx)
	return s != nil && s.policy.DecideAny(s.principal.Roles, action, kind).Allowed
}
