package database_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// guest is a user who may do in the owner's database what its owner may, and nothing else.
func guest(t *testing.T, owner *pgxpool.Pool) (user string, pool *pgxpool.Pool) {
	t.Helper()
	u, err := url.Parse(owner.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	user = "owner_of_" + name
	for _, statement := range []string{
		"CREATE ROLE " + user + " LOGIN PASSWORD 'secret'", "ALTER DATABASE " + name + " OWNER TO " + user,
	} {
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	u.User = url.UserPassword(user, "secret")
	pool, err = database.Open(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		for _, statement := range []string{
			"ALTER DATABASE " + name + " OWNER TO CURRENT_USER", "DROP OWNED BY " + user + " CASCADE", "DROP ROLE " + user,
		} {
			if _, err := owner.Exec(context.Background(), statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
	})
	return user, pool
}

// Who may not make roles is told what an administrator has to run, and goes on once it was run.
func TestMigrateByWhoMayNotMakeRoles(t *testing.T) {
	testenv.Postgres(t) // The role is there: the first migration of a Postgres made it.
	owner := openEmpty(t)
	user, pool := guest(t, owner)
	_, _, err := database.Migrate(t.Context(), pool)
	grant := `GRANT headwater_view TO "` + user + `"`
	if serverVersion(t, owner) >= 160000 {
		grant += " WITH SET TRUE, INHERIT FALSE"
	}
	want := `user "` + user + `" of the connection URL may not make the role headwater_view, under which the SQL of views runs; let an ` +
		"administrator of this Postgres run: " + grant
	if fault.ReasonOf(err) != fault.FailedPrecondition || err.Error() != want {
		t.Fatalf("found    %v\nexpected %s", err, want)
	}
	err = database.CheckViewRole(t.Context(), pool)
	want = `the SQL of views runs as the role headwater_view, which user "` + user + `" of the connection URL cannot become; run ` +
		"`headwater migrate`, or let an administrator of this Postgres run: " + grant
	if fault.ReasonOf(err) != fault.FailedPrecondition || err.Error() != want {
		t.Errorf("found    %v\nexpected %s", err, want)
	}
	if _, err := owner.Exec(t.Context(), grant); err != nil {
		t.Fatal(err)
	}
	if _, to, err := database.Migrate(t.Context(), pool); err != nil || to != database.KnownVersion() {
		t.Fatalf("found version %d, %v", to, err)
	}
	if err := database.CheckViewRole(t.Context(), pool); err != nil {
		t.Error(err)
	}
	// It reads what it is granted, with the rights of the view's owner, and nothing else.
	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		for _, statement := range []string{
			"CREATE TEMPORARY VIEW shown AS SELECT count(*) FROM headwater.run", "CREATE TEMPORARY VIEW hidden AS SELECT 1",
			"GRANT SELECT ON shown TO headwater_view", "SET LOCAL ROLE headwater_view", "SELECT * FROM shown",
		} {
			if _, err := tx.Exec(t.Context(), statement); err != nil {
				return err
			}
		}
		_, err := tx.Exec(t.Context(), "SELECT * FROM hidden")
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" {
			t.Errorf("found %v, expected the view that was not granted to be refused", err)
		}
		return nil
	})
	if !errors.Is(err, pgx.ErrTxCommitRollback) {
		t.Error(err)
	}
}

func serverVersion(t *testing.T, pool *pgxpool.Pool) (version int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		t.Fatal(err)
	}
	return version
}

// The role is of use only while it can do nothing by itself, in whatever way it came to.
func TestCheckViewRole(t *testing.T) {
	pool := testenv.Postgres(t)
	if err := database.CheckViewRole(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	for statement, want := range map[string]string{
		"DROP ROLE headwater_view": `which user "`,
		"ALTER ROLE headwater_view CREATEDB BYPASSRLS": "the SQL of views runs as the role headwater_view: found it with CREATEDB, BYPASSRLS, " +
			"expected no power of its own; let an administrator of this Postgres run: ALTER ROLE headwater_view NOCREATEDB NOBYPASSRLS",
		"GRANT pg_read_all_data TO headwater_view": "the SQL of views runs as the role headwater_view: found it a member of pg_read_all_data, " +
			`expected of none; let an administrator of this Postgres run: REVOKE "pg_read_all_data" FROM headwater_view`,
		"GRANT USAGE ON SCHEMA headwater_landing, headwater TO PUBLIC": "the SQL of views runs as the role headwater_view: found that it may use " +
			`schema headwater, headwater_landing, expected none of Headwater's; run: REVOKE ALL ON SCHEMA "headwater", "headwater_landing" ` +
			"FROM headwater_view, PUBLIC",
	} {
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		err = database.CheckViewRole(t.Context(), tx)
		if fault.ReasonOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nfound    %v\nexpected %s", statement, err, want)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
