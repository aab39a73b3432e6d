package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"runtime/debug"

	"google.golang.org/grpc/codes"

	"github.com/headwaterhq/headwater/internal/fault"
)

// protect turns a panic into an error, with the stack for the log.
func protect(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

// status maps what a call ended with to what its caller is told, and logs what only the operator is told: the cause of an
// internal error under an id that the caller gets, and that of an outage.
func (g *Guard) status(ctx context.Context, method string, err error) error {
	if err == nil {
		return nil
	}
	id := newErrorID()
	f := fault.As(err)
	if f != nil && f.Reason == fault.Internal {
		known := *f
		known.Metadata = maps.Clone(f.Metadata)
		err = known.With("id", id)
	}
	s := fault.Status(err, id)
	switch {
	case s.Code() == codes.Internal || s.Code() == codes.Unknown:
		g.Log.ErrorContext(ctx, "internal error", "id", id, "method", method, "error", err, "cause", causeOf(f))
	case s.Code() == codes.Unavailable:
		g.Log.WarnContext(ctx, "unavailable", "method", method, "error", err, "cause", causeOf(f))
	}
	return s.Err()
}

func causeOf(f *fault.Fault) error {
	if f == nil {
		return nil
	}
	return f.Cause
}

func newErrorID() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
