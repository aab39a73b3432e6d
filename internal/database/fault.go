package database

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/internal/fault"
)

// Fault is what an error of a call to Postgres means to a caller: POSTGRES_UNAVAILABLE when the server cannot be reached,
// is closing or is full, DEADLINE_EXCEEDED or CANCELLED when the statement's time ended. A Fault, nil and every other error
// come back unchanged; the latter reach a caller as INTERNAL.
func Fault(err error) error {
	if err == nil || fault.As(err) != nil {
		return err
	}
	var connect *pgconn.ConnectError
	var server *pgconn.PgError
	switch {
	case errors.Is(err, context.Canceled):
		return cancelled(err)
	case errors.As(err, &connect):
		return unreachable(connect.Config, err)
	case errors.As(err, &server):
		return faultOfState(server, err)
	case errors.Is(err, context.DeadlineExceeded):
		return late(err)
	case lostConnection(err):
		return fault.New(fault.PostgresUnavailable,
			"the connection to Postgres broke; try again, and if it goes on breaking check that the server runs").Because(err)
	}
	return err
}

// faultOfState goes by the SQLSTATE of an error that the server reported.
func faultOfState(server *pgconn.PgError, err error) error {
	switch {
	case server.Code == "57014" && errors.Is(err, context.DeadlineExceeded),
		server.Code == "57014" && strings.Contains(server.Message, "timeout"),
		server.Code == "55P03", server.Code == "25P03", server.Code == "25P04":
		return late(err)
	case server.Code == "57014":
		return cancelled(err)
	case strings.HasPrefix(server.Code, "57P"), strings.HasPrefix(server.Code, "08"):
		return fault.New(fault.PostgresUnavailable,
			"Postgres is shutting down or starting (SQLSTATE %s); try again in a moment", server.Code).Because(err)
	case server.Code == "53100":
		return fault.New(fault.PostgresUnavailable, "Postgres's disk is full; make room for it, and try again").Because(err)
	case server.Code == "53300":
		return fault.New(fault.PostgresUnavailable,
			"Postgres has no connection left; try again, or raise its max_connections").Because(err)
	}
	return err
}

func late(err error) error {
	return fault.New(fault.DeadlineExceeded,
		"the deadline passed while Postgres was at work; ask for less, or again with a longer one").Because(err)
}

func cancelled(err error) error {
	return fault.New(fault.Cancelled, "the call was cancelled while Postgres was at work").Because(err)
}

func lostConnection(err error) bool {
	var network net.Error
	if errors.As(err, &network) {
		// An error number of the system by itself is one of a file: those of connections come in a net.OpError.
		_, number := network.(syscall.Errno)
		return !number
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, pgconn.ErrConnClosed)
}
