package database_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func openEmpty(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := database.Open(t.Context(), testenv.EmptyPostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// faulty asserts a fault whose message holds all of the parts and nothing of the hidden ones.
func faulty(t *testing.T, err error, reason fault.Reason, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", reason)
	}
	if got := fault.ReasonOf(err); got != reason {
		t.Errorf("reason %v, want %v: %v", got, reason, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("message lacks %q: %v", part, err)
		}
	}
}

func TestOpenPinsTheSession(t *testing.T) {
	pool := openEmpty(t)
	for name, want := range map[string]string{"TimeZone": "UTC", "application_name": "headwater"} {
		var got string
		if err := pool.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", name, got, want, err)
		}
	}
	if got := pool.Config().MaxConns; got != 16 {
		t.Errorf("%d connections at most, want 16", got)
	}
	if got := pool.Config().PingTimeout; got != 5*time.Second {
		t.Errorf("an idle connection is waited for %s, want 5s", got)
	}
	sized, err := database.Open(t.Context(), pool.Config().ConnString()+"&pool_max_conns=3&pool_ping_timeout=700ms")
	if err != nil {
		t.Fatal(err)
	}
	defer sized.Close()
	if got := sized.Config().MaxConns; got != 3 {
		t.Errorf("%d connections at most, want the URL's 3", got)
	}
	if got := sized.Config().PingTimeout; got != 700*time.Millisecond {
		t.Errorf("an idle connection is waited for %s, want the URL's 700ms", got)
	}
}

// A connection whose other end says nothing any more is left for another.
func TestASilentConnectionIsLeft(t *testing.T) {
	direct, err := database.ConnConfig(openEmpty(t).Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var silent atomic.Bool
	var running sync.WaitGroup
	ended, end := context.WithCancel(context.Background())
	t.Cleanup(func() { end(); l.Close(); running.Wait() })
	// What the first connections are sent is read, and answered by nobody, once they are to be silent.
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			first := !silent.Load()
			network, address := pgconn.NetworkAddress(direct.Host, direct.Port)
			s, err := net.Dial(network, address)
			if err != nil {
				t.Error(err)
				return
			}
			context.AfterFunc(ended, func() { c.Close(); s.Close() })
			running.Go(func() { io.Copy(s, c); s.Close() })
			running.Go(func() {
				defer c.Close()
				b := make([]byte, 64<<10)
				for {
					n, err := s.Read(b)
					if err != nil {
						return
					}
					if first && silent.Load() {
						continue
					}
					if _, err := c.Write(b[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(direct.User, direct.Password), Host: l.Addr().String(), Path: "/" + direct.Database,
		RawQuery: "sslmode=disable&pool_ping_timeout=200ms",
	}
	pool, err := database.Open(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	silent.Store(true)
	// What was used a moment ago is taken to be there.
	time.Sleep(1100 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var one int
	if err := pool.QueryRow(ctx, "SELECT 1").Scan(&one); err != nil || one != 1 {
		t.Errorf("found %d (%v), expected 1 from a connection that answers", one, err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	good, err := url.Parse(testenv.EmptyPostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*url.URL)) string {
		u := *good
		change(&u)
		return u.String()
	}
	nobody := testenv.ClosedAddress(t)
	for name, c := range map[string]struct {
		url    string
		reason fault.Reason
		parts  []string
	}{
		"not a URL": {
			"postgres://u:s3cret@host:port/x", fault.InvalidArgument, []string{"postgres://USER:PASSWORD@HOST:5432/DATABASE"},
		},
		"nobody listens": {
			changed(func(u *url.URL) { u.Host = nobody; u.User = url.UserPassword("u", "s3cret") }),
			fault.PostgresUnavailable, []string{"Postgres at " + nobody + " cannot be reached", "check that the server runs"},
		},
		"no such host": {
			"postgres://u:s3cret@host.invalid:5432/x", fault.PostgresUnavailable,
			[]string{"Postgres at host.invalid:5432", `no host "host.invalid"`},
		},
		"wrong password": {
			changed(func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "s3cret") }),
			fault.PostgresUnavailable,
			[]string{"Postgres at " + good.Host, "refused the login of user", "check the user and the password"},
		},
		"no such database": {
			changed(func(u *url.URL) { u.Path = "/nowhere" }),
			fault.PostgresUnavailable, []string{`has no database "nowhere"`, "createdb nowhere"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := database.Open(t.Context(), c.url)
			faulty(t, err, c.reason, c.parts...)
			for _, secret := range []string{"s3cret", "SQLSTATE 28P01", "dial tcp"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the message shows %q: %v", secret, err)
				}
			}
		})
	}
}

func TestMigrate(t *testing.T) {
	pool := openEmpty(t)
	faulty(t, database.CheckVersion(t.Context(), pool), fault.SchemaVersion, "no Headwater schema", "`headwater migrate`")
	known := database.KnownVersion()
	if known < 1 {
		t.Fatalf("known version %d", known)
	}
	from, to, err := database.Migrate(t.Context(), pool)
	if err != nil || from != 0 || to != known {
		t.Fatalf("migrated from %d to %d, want 0 to %d: %v", from, to, known, err)
	}
	if err := database.CheckVersion(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	from, to, err = database.Migrate(t.Context(), pool)
	if err != nil || from != known || to != known {
		t.Fatalf("migrated again from %d to %d, want nothing to do at %d: %v", from, to, known, err)
	}
	for _, table := range []string{"headwater.publish_head", "headwater_jobs.river_job"} {
		var there bool
		if err := pool.QueryRow(t.Context(), "SELECT to_regclass($1) IS NOT NULL", table).Scan(&there); err != nil || !there {
			t.Errorf("no table %s (%v)", table, err)
		}
	}
}

func TestMigrateOnOneConnection(t *testing.T) {
	pool, err := database.Open(t.Context(), testenv.EmptyPostgresURL(t)+"&pool_max_conns=1")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, _, err := database.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
}

func TestManyMigrateAtOnce(t *testing.T) {
	empty := testenv.EmptyPostgresURL(t)
	known := database.KnownVersion()
	var wait sync.WaitGroup
	var mu sync.Mutex
	var worked int
	for range 4 {
		wait.Go(func() {
			pool, err := database.Open(t.Context(), empty)
			if err != nil {
				t.Error(err)
				return
			}
			defer pool.Close()
			from, to, err := database.Migrate(t.Context(), pool)
			if err != nil || to != known {
				t.Errorf("migrated from %d to %d: %v", from, to, err)
				return
			}
			if err := database.CheckVersion(t.Context(), pool); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if from == 0 {
				worked++
			}
		})
	}
	wait.Wait()
	if worked != 1 {
		t.Errorf("%d of 4 found an empty database, want 1", worked)
	}
}

func TestOtherSchemaVersionsAreRefused(t *testing.T) {
	pool := testenv.Postgres(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	known := database.KnownVersion()
	newer := fmt.Sprintf("the database's schema is version %d, and this headwater knows versions up to %d", known+2, known)

	exec("INSERT INTO headwater.schema_migration (version_id, is_applied) VALUES ($1, true)", known+2)
	faulty(t, database.CheckVersion(t.Context(), pool), fault.SchemaVersion, newer, "a later one")
	from, to, err := database.Migrate(t.Context(), pool)
	faulty(t, err, fault.SchemaVersion, newer)
	if from != known+2 || to != known+2 {
		t.Errorf("says it migrated from %d to %d", from, to)
	}
	exec("DELETE FROM headwater.schema_migration WHERE version_id > 0")
	faulty(t, database.CheckVersion(t.Context(), pool), fault.SchemaVersion, "run `headwater migrate`")
	exec("INSERT INTO headwater.schema_migration (version_id, is_applied) VALUES ($1, true)", known)

	exec("INSERT INTO headwater_jobs.river_migration (line, version) VALUES ('main', 1000)")
	faulty(t, database.CheckVersion(t.Context(), pool), fault.SchemaVersion, "job tables are version 1000")
	exec("DELETE FROM headwater_jobs.river_migration WHERE version > 3")
	faulty(t, database.CheckVersion(t.Context(), pool), fault.SchemaVersion, "job tables are version 3", "run `headwater migrate`")
}

func TestMigrateMayNotMakeSchemas(t *testing.T) {
	owner := openEmpty(t)
	u, err := url.Parse(owner.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	user := "guest_of_" + name
	if _, err := owner.Exec(t.Context(), "CREATE ROLE "+user+" LOGIN PASSWORD 'secret'"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := owner.Exec(context.Background(), "DROP ROLE "+user); err != nil {
			t.Error(err)
		}
	})
	u.User = url.UserPassword(user, "secret")
	guest, err := database.Open(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer guest.Close()
	_, _, err = database.Migrate(t.Context(), guest)
	faulty(t, err, fault.FailedPrecondition, `user "`+user+`"`, `GRANT CREATE ON DATABASE "`+name+`" TO "`+user+`"`)
}

func TestMigrationsHashIsStable(t *testing.T) {
	one, err := database.MigrationsHash()
	if err != nil || len(one) != 64 {
		t.Fatalf("hash %q, %v", one, err)
	}
	if two, err := database.MigrationsHash(); err != nil || one != two {
		t.Errorf("hash %q, then %q, %v", one, two, err)
	}
}

func TestFaultOfARunningCall(t *testing.T) {
	pool := openEmpty(t)
	late, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := pool.Exec(late, "SELECT pg_sleep(60)")
	faulty(t, database.Fault(err), fault.DeadlineExceeded, "the deadline passed")

	cancelled, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = pool.Exec(cancelled, "SELECT pg_sleep(60)")
	faulty(t, database.Fault(err), fault.Cancelled, "cancelled")

	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "SET LOCAL statement_timeout = '20ms'; SELECT pg_sleep(60)")
		return err
	})
	faulty(t, database.Fault(err), fault.DeadlineExceeded, "the deadline passed")

	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())")
		return err
	})
	faulty(t, database.Fault(err), fault.PostgresUnavailable, "shutting down")
}

func TestFaultOfAServerThatWent(t *testing.T) {
	config, err := pgxpool.ParseConfig("postgres://u:s3cret@" + testenv.ClosedAddress(t) + "/x")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	_, err = pool.Exec(t.Context(), "SELECT 1")
	faulty(t, database.Fault(err), fault.PostgresUnavailable, "Postgres at 127.0.0.1:", "cannot be reached")

	conn, err := pgx.Connect(t.Context(), testenv.EmptyPostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), "SELECT 1")
	faulty(t, database.Fault(err), fault.PostgresUnavailable, "the connection to Postgres broke")
}

func TestFaultLeavesOthersAlone(t *testing.T) {
	if database.Fault(nil) != nil {
		t.Error("nil became an error")
	}
	ours := fault.New(fault.NotFound, "no such view")
	if got := database.Fault(fmt.Errorf("read: %w", ours)); fault.ReasonOf(got) != fault.NotFound {
		t.Errorf("a fault became %v", got)
	}
	pool := openEmpty(t)
	_, err := pool.Exec(t.Context(), "SELECT 1/0")
	if got := database.Fault(err); got != err {
		t.Errorf("a division by zero became %v", got)
	}
	if got := database.Fault(pgx.ErrNoRows); !errors.Is(got, pgx.ErrNoRows) || fault.As(got) != nil {
		t.Errorf("no rows became %v", got)
	}
	// An error number of the system looks like an error of the network, and here it is one of a file.
	written := &fs.PathError{Op: "write", Path: "/tmp/spine", Err: syscall.ENOSPC}
	if got := database.Fault(written); got != error(written) {
		t.Errorf("an error of a file became %v", got)
	}
}

func TestFaultOfAFullDisk(t *testing.T) {
	pool := openEmpty(t)
	_, err := pool.Exec(t.Context(), `DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$`)
	faulty(t, database.Fault(err), fault.PostgresUnavailable, "Postgres's disk is full; make room for it, and try again")
}

func TestCreateTable(t *testing.T) {
	pool := openEmpty(t)
	const keyed = "entity_key text PRIMARY KEY"
	for name, c := range map[string]struct {
		table database.Table
		// persistence is pg_class's: p for permanent, u for unlogged, nothing when the table is not to be made.
		persistence string
		err         string
	}{
		"history": {
			table: database.Table{
				Name: `Odd "name"`, Kind: database.History, DistributionColumn: "entity_key", Columns: keyed,
			},
			persistence: "p",
		},
		"spine": {
			table: database.Table{
				Name: "spine", Kind: database.Spine, DistributionColumn: "entity_key", Columns: keyed,
			},
			persistence: "u",
		},
		"staging": {
			table: database.Table{
				Name: "staging", Kind: database.Staging, DistributionColumn: "entity_key", Columns: keyed,
			},
			persistence: "u",
		},
		"landing without a distribution column": {
			table:       database.Table{Name: "landing", Kind: database.Landing, Columns: "x int"},
			persistence: "p",
		},
		"registry": {
			table:       database.Table{Name: "registry", Kind: database.Registry, Columns: "x int"},
			persistence: "p",
		},
		"history without a distribution column": {
			table: database.Table{Name: "undistributed", Kind: database.History, Columns: keyed},
			err:   `create history table "public"."undistributed": found the distribution column "", expected entity_key`,
		},
		"staging without a distribution column": {
			table: database.Table{Name: "undistributed", Kind: database.Staging, Columns: keyed},
			err:   `create staging table "public"."undistributed": found the distribution column "", expected entity_key`,
		},
		"registry with a distribution column": {
			table: database.Table{
				Name: "local", Kind: database.Registry, DistributionColumn: "entity_key", Columns: keyed,
			},
			err: "a local table has no distribution column",
		},
		"no kind": {
			table: database.Table{Name: "unkind", Columns: "x int"},
			err:   "unknown kind Kind(0)",
		},
		"columns that are none": {
			table: database.Table{Name: "broken", Kind: database.Landing, Columns: "x whatever"},
			err:   `create landing table "public"."broken"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.table.Schema = "public"
			err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				return database.CreateTable(t.Context(), tx, c.table)
			})
			switch {
			case c.err == "" && err != nil:
				t.Fatal(err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Fatalf("error %v, want one with %q", err, c.err)
			}
			var persistence string
			err = pool.QueryRow(t.Context(), "SELECT coalesce(max(relpersistence), '') FROM pg_class WHERE relname = $1",
				c.table.Name).Scan(&persistence)
			if err != nil || persistence != c.persistence {
				t.Errorf("persistence %q, want %q (%v)", persistence, c.persistence, err)
			}
		})
	}
}

// A partition numbers by its table: from Postgres 17 on one with an identity of its own is not taken.
func TestPartitionsHaveTheIdentityOfTheirTable(t *testing.T) {
	pool := openEmpty(t)
	if _, err := pool.Exec(t.Context(), `CREATE TABLE public.parts (day date NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (day, number)) PARTITION BY RANGE (day)`); err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range 2 {
		p := database.Partition{Schema: "public", Table: "parts", Day: day.AddDate(0, 0, i)}
		if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return database.CreatePartition(t.Context(), tx, p) }); err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(t.Context(), `INSERT INTO public.parts (day) VALUES ($1), ($1)`, p.Day); err != nil {
			t.Fatal(err)
		}
	}
	var numbers, sequences int
	if err := pool.QueryRow(t.Context(), `SELECT (SELECT count(DISTINCT number) FROM public.parts), (SELECT count(*) FROM pg_sequences WHERE schemaname = 'public')`).Scan(&numbers, &sequences); err != nil {
		t.Fatal(err)
	}
	if numbers != 4 || sequences != 1 {
		t.Errorf("found %d numbers of %d sequences, expected four of one", numbers, sequences)
	}
}
