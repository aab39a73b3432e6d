package database

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/fault"
)

const (
	defaultMaxConns = 16
	connectTimeout  = 5 * time.Second
)

// Open connects a pool to the database of a connection URL (or key=value string), and makes sure that it answers. Sessions
// have TimeZone UTC and application_name headwater. There are at most 16 connections, unless the URL has pool_max_conns. One that does not
// say within 5 s that it is still there is left for another, unless the URL has pool_ping_timeout.
//
// A string that is not a connection URL is an INVALID_ARGUMENT fault; a server that cannot be reached or does not let us in
// is POSTGRES_UNAVAILABLE. Neither message has the password.
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, unreadable(err)
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = defaultMaxConns
	}
	// A connection that was idle is asked whether it is still there. One whose other end went without a word would be waited for as long
	// as TCP has patience, a quarter of an hour.
	if !strings.Contains(url, "pool_ping_timeout") {
		config.PingTimeout = connectTimeout
	}
	config.MaxConnIdleTime = 5 * time.Minute
	config.MaxConnLifetimeJitter = 5 * time.Minute
	ourSession(config.ConnConfig)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("make the Postgres pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, unreachable(&config.ConnConfig.Config, err)
	}
	return pool, nil
}

// ConnConfig reads a connection URL as Open does, for single connections. Nothing is connected.
func ConnConfig(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, unreadable(err)
	}
	ourSession(config)
	return config, nil
}

func ourSession(config *pgx.ConnConfig) {
	if config.ConnectTimeout == 0 || config.ConnectTimeout > connectTimeout {
		config.ConnectTimeout = connectTimeout
	}
	config.RuntimeParams["timezone"] = "UTC"
	config.RuntimeParams["application_name"] = "headwater"
}

func unreadable(err error) error {
	return fault.New(fault.InvalidArgument,
		"the Postgres connection URL cannot be read; expected one like postgres://USER:PASSWORD@HOST:5432/DATABASE",
	).Because(err)
}

// unreachable says where the server was looked for, what happened, and what to check.
func unreachable(config *pgconn.Config, err error) error {
	if errors.Is(err, context.Canceled) {
		return Fault(err)
	}
	address := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	var found, try string
	var refused *pgconn.PgError
	var unknownHost *net.DNSError
	switch {
	case errors.As(err, &refused) && (refused.Code == "28P01" || refused.Code == "28000"):
		found = fmt.Sprintf("refused the login of user %q", config.User)
		try = "check the user and the password of the connection URL, and the server's pg_hba.conf"
	case errors.As(err, &refused) && refused.Code == "3D000":
		found = fmt.Sprintf("has no database %q", config.Database)
		try = fmt.Sprintf("create it (`createdb %s`), or correct the connection URL", config.Database)
	case errors.As(err, &refused) && refused.Code == "53300":
		found = "has no connection left"
		try = "raise its max_connections, or lower pool_max_conns in the connection URL"
	case errors.As(err, &refused):
		found = "does not take connections (SQLSTATE " + refused.Code + ")"
		try = "look into the server's log"
	case errors.As(err, &unknownHost):
		found = fmt.Sprintf("cannot be reached: there is no host %q", config.Host)
		try = "check the host in the connection URL"
	default:
		found = "cannot be reached"
		try = "check that the server runs, listens there and is not behind a firewall, and that the connection URL is right"
	}
	return fault.New(fault.PostgresUnavailable, "Postgres at %s %s; %s", address, found, try).
		With("address", address).Because(err)
}
