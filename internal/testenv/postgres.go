package testenv

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/database"
)

// templateLock is the advisory lock under which a template is made.
const templateLock = 0x7465_6d70_6c61_7465

var databases atomic.Int64

// Postgres is a pool on a migrated database of the test's own, dropped at its end.
func Postgres(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return open(t, PostgresURL(t))
}

// PostgresURL is the URL of a migrated database of the test's own, dropped at its end.
func PostgresURL(t testing.TB) string {
	t.Helper()
	return newDatabase(t, func(ctx context.Context, server string) (string, error) { return template(ctx, server) })
}

// EmptyPostgresURL is the URL of a database of the test's own with nothing in it, dropped at its end.
func EmptyPostgresURL(t testing.TB) string {
	t.Helper()
	return newDatabase(t, func(context.Context, string) (string, error) { return "template0", nil })
}

func open(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := database.Open(context.Background(), url)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// newDatabase clones what pick names.
func newDatabase(t testing.TB, pick func(ctx context.Context, server string) (string, error)) string {
	t.Helper()
	requireMain(t)
	ctx := context.Background()
	server := os.Getenv(PostgresVariable)
	if server == "" {
		var err error
		if server, err = own.PostgresURL(ctx); err != nil {
			t.Fatalf("testenv: %v", err)
		}
	}
	from, err := pick(ctx, server)
	if err != nil {
		t.Fatalf("testenv: the template database: %v", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	// Processes of other machines, and of other containers of this one, may be on a given server too.
	name := fmt.Sprintf("test_%.20s_%d_%d", sanitized(host), os.Getpid(), databases.Add(1))
	statement := fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", identifier(name), identifier(from))
	if err := execute(ctx, server, "DROP DATABASE IF EXISTS "+identifier(name)+" WITH (FORCE)", statement); err != nil {
		t.Fatalf("testenv: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(ctx, server, "DROP DATABASE "+identifier(name)+" WITH (FORCE)"); err != nil {
			t.Errorf("testenv: %v", err)
		}
	})
	own, err := otherDatabase(server, name)
	if err != nil {
		t.Fatalf("testenv: %s: %v", PostgresVariable, err)
	}
	return own
}

// template is the name of a database on server that is migrated and used by nobody, made on the first call for a set of
// migrations. It gets its name when it is finished.
func template(ctx context.Context, server string) (string, error) {
	hash, err := database.MigrationsHash()
	if err != nil {
		return "", err
	}
	name := "headwater_template_" + hash[:16]
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return "", err
	}
	// Closing the session gives the lock back.
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(templateLock)); err != nil {
		return "", err
	}
	var there bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there)
	if err != nil || there {
		return name, err
	}
	unfinished := name + "_unfinished"
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + identifier(unfinished) + " WITH (FORCE)",
		"CREATE DATABASE " + identifier(unfinished) + " TEMPLATE template0",
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return "", err
		}
	}
	if err := migrate(ctx, server, unfinished); err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", identifier(unfinished), identifier(name)))
	return name, err
}

func migrate(ctx context.Context, server, name string) error {
	target, err := otherDatabase(server, name)
	if err != nil {
		return err
	}
	pool, err := database.Open(ctx, target)
	if err != nil {
		return err
	}
	defer pool.Close()
	_, _, err = database.Migrate(ctx, pool)
	return err
}

func execute(ctx context.Context, server string, statements ...string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// otherDatabase is server's URL with another database.
func otherDatabase(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme == "" {
		// The error would show the password.
		return "", fmt.Errorf("not a URL like postgres://USER:PASSWORD@HOST:5432/DATABASE")
	}
	u.Path = "/" + name
	return u.String(), nil
}

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }

func sanitized(host string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(host))
}
