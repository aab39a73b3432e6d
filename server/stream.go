package server

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// guardedStream decides on each message that comes in before the handler sees it, and lets none out before a decision.
// Once refused, it stays so, whatever the handler makes of the error.
type guardedStream struct {
	grpc.ServerStream
	// ctx has the session.
	ctx     context.Context
	guard   *Guard
	rule    *methodRule
	session *access.Session
	// received is only used by RecvMsg, which is never called concurrently.
	received bool

	mu      sync.Mutex
	refused error
}

func (s *guardedStream) Context() context.Context { return s.ctx }

// handle decides on what the method needs whatever its messages say, and calls the handler.
func (s *guardedStream) handle(server any, next grpc.StreamHandler) (err error) {
	defer recovered(&err)
	if !s.rule.inHandler && s.rule.names == nil {
		if err := s.session.Require(s.rule.action, s.rule.kind, access.Whole); err != nil {
			return err
		}
	}
	return next(server, s)
}

func (s *guardedStream) RecvMsg(message any) error {
	if err := s.refusal(); err != nil {
		return err
	}
	err := s.ServerStream.RecvMsg(message)
	if errors.Is(err, io.EOF) && !s.received && s.rule.names != nil {
		return s.refuse(s.guard.nothingNamed(s.session, s.rule, "the stream ended before its first message"))
	}
	if err != nil {
		return err
	}
	first := !s.received
	s.received = true
	if err := s.guard.admit(s.session, s.rule, message, first); err != nil {
		return s.refuse(err)
	}
	return nil
}

func (s *guardedStream) SendMsg(message any) error {
	if err := s.refusal(); err != nil {
		return err
	}
	if !s.session.Decided() {
		return s.refuse(errUndecided(s.rule))
	}
	return s.ServerStream.SendMsg(message)
}

func (s *guardedStream) refuse(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused == nil {
		s.refused = err
	}
	return s.refused
}

func (s *guardedStream) refusal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// endingStream ends when a server is about to: whoever watches its health would watch for ever.
type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *endingStream) Context() context.Context { return s.ctx }

func untilClosing(stream grpc.ServerStream, closing <-chan struct{}) grpc.ServerStream {
	ctx, cancel := context.WithCancel(stream.Context())
	go func() {
		defer cancel()
		select {
		case <-closing:
		case <-ctx.Done():
		}
	}()
	return &endingStream{stream, ctx}
}

// Read answers one read of a stream as if it were a call of its own: its token is looked at again, it has a read id of its own, waits
// for its turn, is decided on, recorded and validated, and what comes out is a status. The context is that of the stream, which has
// been decided on when this returns. It may be called concurrently.
func (g *Guard) Read(
	ctx context.Context, r *headwaterv1.GetFeaturesRequest,
	next func(context.Context, *headwaterv1.GetFeaturesRequest) (*headwaterv1.GetFeaturesResponse, error),
) (*headwaterv1.GetFeaturesResponse, error) {
	stream := access.SessionFrom(ctx)
	ctx, w := g.Calls.begin(ctx, stream.Method(), true)
	response, session, err := g.protectedRead(ctx, w, stream, r, next)
	if err != nil {
		response, err = nil, g.status(ctx, stream.Method(), session, err)
	}
	g.Calls.endStreamed(ctx, w, session, r, err)
	return response, err
}

func (g *Guard) protectedRead(
	ctx context.Context, w *watch, stream *access.Session, r *headwaterv1.GetFeaturesRequest,
	next func(context.Context, *headwaterv1.GetFeaturesRequest) (*headwaterv1.GetFeaturesResponse, error),
) (response *headwaterv1.GetFeaturesResponse, session *access.Session, err error) {
	defer recovered(&err)
	rule := g.reads
	ctx, session, err = g.authenticate(ctx, stream.Method(), rule)
	stream.Decide()
	if err != nil {
		return nil, session, err
	}
	if g.Reads != nil {
		if err := g.Reads.enter(ctx); err != nil {
			return nil, session, err
		}
		defer g.Reads.leave()
	}
	if r == nil {
		return nil, session, g.tripwire(session, rule, fault.New(fault.InvalidArgument, "the request does not hold to its rules").
			Violating(fault.Violation{Field: "request", Description: "found nothing, expected a request"}))
	}
	answer, err := g.handle(ctx, w, session, rule, r, func(ctx context.Context, _ any) (any, error) { return next(ctx, r) })
	if err = g.tripwire(session, rule, err); err != nil {
		return nil, session, withoutHiddenGuess(session, err)
	}
	return answer.(*headwaterv1.GetFeaturesResponse), session, nil
}
