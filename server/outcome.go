package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// recovered turns a panic into an error, with the stack for the log. It is deferred.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}

// status maps what a call ended with to what its caller is told, and logs what only the operator is told: the cause of an
// internal error under an id that the caller gets, and that of an outage. session, where there is one, tells which read it was.
func (g *Guard) status(ctx context.Context, method string, session *access.Session, err error) error {
	if err == nil {
		return nil
	}
	id := newErrorID()
	err = ofPostgres(ctx, err)
	f := fault.As(err)
	if f != nil && f.Reason == fault.Internal {
		known := *f
		known.Metadata = maps.Clone(f.Metadata)
		err = known.With("id", id)
	}
	s := fault.Status(short(err), id)
	switch {
	case s.Code() == codes.Internal || s.Code() == codes.Unknown:
		g.Log.ErrorContext(ctx, "internal error", "id", id, "method", method, "read_id", readIDOf(session), "error", err, "cause", causeOf(f))
	case s.Code() == codes.Unavailable, noRoom(causeOf(f)):
		g.outages.say(ctx, slog.LevelWarn, "unavailable", slog.String("method", method), slog.String("read_id", readIDOf(session)),
			slog.Any("error", err), slog.Any("cause", causeOf(f)))
	}
	if pushback := pushbackOf(f, s.Code()); pushback != "" {
		// It fails where the answer began: then nobody tries again anyway.
		_ = grpc.SetTrailer(ctx, metadata.Pairs(pushbackHeader, pushback))
	}
	return s.Err()
}

// readIDOf is the id of an online read, or empty.
func readIDOf(session *access.Session) string {
	if session == nil {
		return ""
	}
	return session.ReadID()
}

// pushbackHeader tells gRPC's clients in milliseconds when they may try again, or, negative, that they are not to. They look at no
// RetryInfo.
const pushbackHeader = "grpc-retry-pushback-ms"

// pushbackOf is what a failure says of another try, or empty.
func pushbackOf(f *fault.Fault, code codes.Code) string {
	switch {
	case f != nil && f.RetryAfter > 0:
		return strconv.FormatInt(max(f.RetryAfter.Milliseconds(), 1), 10)
	case code == codes.ResourceExhausted:
		// It is of the request, or of a disk that is full.
		return "-1"
	}
	return ""
}

// ofPostgres is where errors of the driver become faults, of whichever handler they come. A call whose time is over ended by
// that, whatever Postgres made of it, and a status of gRPC is none of Postgres's.
func ofPostgres(ctx context.Context, err error) error {
	if ctx.Err() != nil && fault.As(err) == nil {
		return ctx.Err()
	}
	if _, isStatus := status.FromError(err); isStatus {
		return err
	}
	var refused *pgconn.PgError
	if fault.As(err) == nil && errors.As(err, &refused) {
		switch refused.Code {
		case "22021", "22P05":
			return fault.New(fault.InvalidArgument, "found a NUL character in a text of the request, expected text without one").Because(err)
		case "22008":
			return fault.New(fault.InvalidArgument, "found a time in the request that is out of range, expected one in the years 1 to 9999").
				Because(err)
		}
	}
	if fault.As(err) == nil && noRoom(err) {
		return fault.New(fault.ResourceExhausted, "the server's disk is full where it keeps temporary files; make room there, or start it with another "+
			"folder for them in TMPDIR, and try again").Because(err)
	}
	return database.Fault(err)
}

// noRoom reports whether an error is of a full disk of this machine.
func noRoom(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// What a fault says travels in a header, whose size is limited on the way.
const (
	maxMessageText   = 4 << 10
	maxViolationText = 1 << 10
)

// short is err with no text of its fault longer than a header should carry.
func short(err error) error {
	f := fault.As(err)
	if f == nil {
		return err
	}
	cut := *f
	cut.Message = shorten(f.Message, maxMessageText)
	cut.Violations = slices.Clone(f.Violations)
	for i := range cut.Violations {
		v := &cut.Violations[i]
		v.Field, v.Description = shorten(v.Field, maxViolationText), shorten(v.Description, maxViolationText)
	}
	return &cut
}

func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
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
