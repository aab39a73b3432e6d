package server

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"

	"github.com/headwaterhq/headwater/access"
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
