package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// GuardConfig is what a Guard works with. All fields are required, unless they say otherwise.
type GuardConfig struct {
	// Authenticator is nil where nobody is asked who calls: every call is access.Anonymous.
	Authenticator *access.Authenticator
	// Elevations are roles that principals took for a time. nil: none.
	Elevations *access.Elevations
	Policies   access.Policies
	Audit      *access.AuditLog
	// Service finds an applied service by NAME or NAME@VERSION, or returns nil. It is asked once per read of a service, so
	// it must be fast.
	Service func(ref string) *feature.ServiceVersion
	// Owner is who owns what has a name, or empty. nil: denials name nobody.
	Owner func(kind access.Kind, name string) string
	// Reads bounds online reads. nil: nothing does.
	Reads *admission
	// Calls counts and measures calls. nil: nothing does.
	Calls *calls
	// Closing is closed when calls that go on for ever are to end. nil: never.
	Closing <-chan struct{}
	Log     *slog.Logger
}

// Guard is the one place where calls are let in: it authenticates, decides by the method's permission option, records,
// validates, and turns what comes out into a status. A handler never runs before the decisions that its method declares,
// and one that decides itself does it through the session in its context (access.Require and its kin); an answer without
// any decision does not leave.
type Guard struct {
	GuardConfig
	rules map[string]*methodRule
	// reads is the rule of GetFeatures, which reads on streams follow too.
	reads     *methodRule
	validator protovalidate.Validator
	// outages is the log of what cannot be answered while a store is away, which may be every call.
	outages *limitedLog
}

// NewGuard reads the permissions of all our methods. An error names a method without one.
func NewGuard(c GuardConfig) (*Guard, error) {
	rules, err := allRules()
	if err != nil {
		return nil, err
	}
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("prepare the validation of requests: %w", err)
	}
	return &Guard{GuardConfig: c, rules: rules, reads: rules[headwaterv1.OnlineService_GetFeatures_FullMethodName], validator: validator,
		outages: &limitedLog{log: c.Log}}, nil
}

// Options are the interceptors. Telemetry belongs before them, so that it sees what callers see, and a deadline behind them,
// so that it does not cut off a decision.
func (g *Guard) Options() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(g.unary), grpc.ChainStreamInterceptor(g.stream)}
}

func (g *Guard) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	read, isRead := request.(*headwaterv1.GetFeaturesRequest)
	ctx, w := g.Calls.begin(ctx, info.FullMethod, isRead)
	response, session, err := g.protectedUnary(ctx, w, request, info, next)
	if err != nil {
		response, err = nil, g.status(ctx, info.FullMethod, session, err)
	}
	g.Calls.end(ctx, info.FullMethod, w, session, read, err)
	return response, err
}

// protectedUnary answers a call. The session is nil where none began.
func (g *Guard) protectedUnary(
	ctx context.Context, w *watch, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler,
) (response any, session *access.Session, err error) {
	defer recovered(&err)
	rule := g.rules[info.FullMethod]
	if rule == nil && isExempt(info.FullMethod) {
		response, err = next(ctx, request)
		return response, nil, err
	}
	ctx, session, err = g.authenticate(ctx, info.FullMethod, rule)
	if err != nil {
		return nil, session, err
	}
	if rule.action == access.ActionReadOnline && g.Reads != nil {
		// Nothing is decided on, or recorded, of a read that is refused here: nothing is done about it.
		if err := g.Reads.enter(ctx); err != nil {
			return nil, session, err
		}
		defer g.Reads.leave()
	}
	response, err = g.handle(ctx, w, session, rule, request, next)
	if err = g.tripwire(session, rule, err); err != nil {
		return nil, session, withoutHiddenGuess(session, err)
	}
	return response, session, nil
}

// handle decides on a request, and answers it.
func (g *Guard) handle(
	ctx context.Context, w *watch, session *access.Session, rule *methodRule, request any, next grpc.UnaryHandler,
) (response any, err error) {
	defer recovered(&err)
	w.done(phaseAdmit)
	if err := g.admit(session, rule, request, true); err != nil {
		return nil, err
	}
	w.done(phaseDecide)
	return next(ctx, request)
}

func (g *Guard) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, w := g.Calls.begin(stream.Context(), info.FullMethod, false)
	err := g.status(ctx, info.FullMethod, nil, g.protectedStream(ctx, server, stream, info, next))
	g.Calls.end(ctx, info.FullMethod, w, nil, nil, err)
	return err
}

func (g *Guard) protectedStream(ctx context.Context, server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer recovered(&err)
	rule := g.rules[info.FullMethod]
	if rule == nil && isExempt(info.FullMethod) {
		return next(server, untilClosing(stream, g.Closing))
	}
	ctx, session, err := g.authenticate(ctx, info.FullMethod, rule)
	if err != nil {
		return err
	}
	guarded := &guardedStream{ServerStream: stream, ctx: ctx, guard: g, rule: rule, session: session}
	err = guarded.handle(server, next)
	if refusal := guarded.refusal(); refusal != nil {
		err = refusal
	}
	return withoutHiddenGuess(session, g.tripwire(session, rule, err))
}

// authenticate begins the session of a call, and puts it into its context. A caller that is refused is recorded.
func (g *Guard) authenticate(ctx context.Context, method string, rule *methodRule) (context.Context, *access.Session, error) {
	if rule == nil {
		return nil, nil, fmt.Errorf("method %s has no permission option", method)
	}
	call := access.Call{Audit: g.Audit, Policy: g.Policies(), Method: method, Began: time.Now(), Owner: g.Owner}
	if p, ok := peer.FromContext(ctx); ok {
		call.Address = access.AddressOf(p.Addr)
	}
	var err error
	if g.Authenticator == nil {
		call.Principal = access.Anonymous
	} else {
		call.Principal, err = g.principal(ctx)
	}
	if call.Principal == nil {
		call.Principal = &access.Principal{}
	} else if err == nil {
		call.Principal = g.Elevations.Apply(call.Principal, call.Began)
	}
	if err == nil && rule.action == access.ActionReadOnline {
		call.ReadID = access.NewReadID(call.Began)
	}
	ctx, session := access.Begin(ctx, call)
	if err != nil {
		return nil, nil, g.refuse(session, rule, err)
	}
	return ctx, session, nil
}

// principal is who calls, as the token proves, or, where there is none, the certificate of the connection.
func (g *Guard) principal(ctx context.Context) (*access.Principal, error) {
	token, err := bearer(ctx)
	if err != nil {
		return nil, err
	}
	if token == "" {
		if certificate := peerCertificate(ctx); certificate != nil {
			return g.Authenticator.AuthenticateCertificate(ctx, certificate)
		}
	}
	return g.Authenticator.Authenticate(ctx, token)
}

// bearer is the token of a call, or empty. What is wrong with the header is said without showing any of it, for it may
// hold a secret in the wrong place.
func bearer(ctx context.Context) (string, error) {
	headers := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(headers) == 0 {
		return "", nil
	}
	if len(headers) > 1 {
		return "", fault.New(fault.Unauthenticated, "found %d authorization headers, expected one", len(headers))
	}
	scheme, token, ok := strings.Cut(headers[0], " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return "", fault.New(fault.Unauthenticated, "found an authorization header of another scheme, expected `Bearer hw_…`")
	}
	return token, nil
}

// admit decides on what a message names, and validates it. The first message of a call must name something when the
// method says so.
func (g *Guard) admit(session *access.Session, rule *methodRule, message any, first bool) error {
	if purpose := purposeOf(message); purpose != "" {
		session.SetPurpose(purpose)
	}
	if use := useOf(message); use != "" {
		session.SetUse(use)
	}
	if read, ok := message.(*headwaterv1.GetFeaturesRequest); ok {
		session.SetEntities(entitiesOf(read))
	}
	if err := g.decide(session, rule, message, first); err != nil {
		return err
	}
	return g.validate(message)
}

func (g *Guard) decide(session *access.Session, rule *methodRule, message any, first bool) error {
	switch {
	case rule.inHandler && rule.names == nil:
		return nil
	case rule.names == nil:
		return session.Require(rule.action, rule.kind, access.Whole)
	}
	if rule.action == access.ActionReadOnline {
		if read, ok := message.(*headwaterv1.GetFeaturesRequest); ok && read.GetService() != "" {
			return g.decideOn(session, rule, read.GetService())
		}
	}
	names := rule.names(message)
	if len(names) == 0 && first && !rule.inHandler {
		return g.nothingNamed(session, rule, "found nothing")
	}
	for _, name := range names {
		if err := g.decideOn(session, rule, name); err != nil {
			return err
		}
	}
	return nil
}

func (g *Guard) decideOn(session *access.Session, rule *methodRule, name string) error {
	if rule.kind == access.KindService && (rule.action == access.ActionReadOnline || rule.action == access.ActionReadOffline) {
		if service := g.Service(name); service != nil {
			return session.RequireService(rule.action, name, service)
		}
	}
	return session.Require(rule.action, rule.kind, name)
}

// nothingNamed refuses a call that does not name its resource: as one that may not act on anything of the kind, else as
// one that is wrong.
func (g *Guard) nothingNamed(session *access.Session, rule *methodRule, found string) error {
	if err := session.RequireAny(rule.action, rule.kind); err != nil {
		return err
	}
	return fault.New(fault.InvalidArgument, "the request does not say what it is about").Violating(fault.Violation{
		Field: rule.field, Description: fmt.Sprintf("%s, expected the name of a %s", found, rule.kind),
	})
}

// purposeOf is what a request says it is for.
func purposeOf(message any) string {
	switch m := message.(type) {
	case interface{ GetPurpose() string }:
		return m.GetPurpose()
	case *headwaterv1.BuildDatasetRequest:
		return m.GetHeader().GetPurpose()
	}
	return ""
}

// useOf is what a request says that a dataset is used for.
func useOf(message any) string {
	switch m := message.(type) {
	case *headwaterv1.FetchDatasetRequest:
		return m.GetUse()
	case *headwaterv1.BuildDatasetRequest:
		return m.GetHeader().GetUse()
	}
	return ""
}

// entitiesOf is how many entities a request asks for. Columns of other lengths are refused later.
func entitiesOf(r *headwaterv1.GetFeaturesRequest) int {
	most := 0
	for _, c := range r.GetKeys() {
		most = max(most, len(c.GetValues()), len(c.GetStrings()), len(c.GetInt64S()))
	}
	return most
}

// tripwire lets nothing pass that was not decided on, or that was allowed and is not recorded. A call that failed before a decision is
// recorded as refused.
func (g *Guard) tripwire(session *access.Session, rule *methodRule, err error) error {
	switch {
	case session.Decided():
		if unrecorded := session.End(); unrecorded != nil {
			return unrecorded
		}
		return err
	case err != nil:
		return g.refuse(session, rule, err)
	}
	return g.refuse(session, rule, errUndecided(rule))
}

// withoutHiddenGuess takes out of err the name of something that the caller may not know of.
func withoutHiddenGuess(session *access.Session, err error) error {
	f := fault.As(err)
	if f == nil || f.Guess == "" || session.Allows(access.ActionList, access.Kind(f.Metadata["kind"]), f.Guess) {
		return err
	}
	told := *f
	told.Guess = ""
	return &told
}

func errUndecided(rule *methodRule) error {
	return fmt.Errorf("method %s answered without having asked for a decision", rule.method)
}

// refuse records that a call ended with err before anything was decided on, and returns err.
func (g *Guard) refuse(session *access.Session, rule *methodRule, err error) error {
	reason := "the call failed before a decision"
	var f *fault.Fault
	if errors.As(err, &f) {
		reason = f.Message
	}
	if unrecorded := session.Refuse(rule.action, reason); unrecorded != nil {
		return unrecorded
	}
	return err
}
