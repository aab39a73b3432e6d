package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/localserver"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// startServe starts a `headwater serve` on given stores, with an administrator's token that migrate made.
func startServe(t *testing.T, postgres, redis string, environment ...string) *serverProcess {
	t.Helper()
	return startServeIn(t, t.TempDir(), postgres, redis, environment...)
}

// startServeIn is startServe with its files in a folder, where an earlier one of the same database may have left its own.
func startServeIn(t *testing.T, folder, postgres, redis string, environment ...string) *serverProcess {
	t.Helper()
	token := filepath.Join(folder, "admin.token")
	if _, err := os.Stat(token); err != nil {
		if r := runProgram(t, []string{"HEADWATER_POSTGRES_URL=" + postgres}, "migrate", "--admin-token-file", token); r.code != exitDone {
			t.Fatalf("migrate: found status %d and %s", r.code, r.err)
		}
	}
	address := freeAddress(t)
	cmd := program(t, append(environment, "HEADWATER_POSTGRES_URL="+postgres, "HEADWATER_REDIS_URL="+redis, "HEADWATER_LISTEN="+address,
		"HEADWATER_AUDIT_DIR="+filepath.Join(folder, "audit")), "serve")
	secret := strings.TrimSpace(string(readFile(t, token)))
	s := launch(t, cmd, func() bool {
		return headwater("list", "roles", "--server", address, "--token", secret).code == exitDone
	})
	s.address, s.token = address, secret
	return s
}

// stoppableStores starts a Postgres and a Redis that the test may stop.
func stoppableStores(t *testing.T) (*localserver.Postgres, *localserver.Redis) {
	t.Helper()
	folder := passableFolder(t)
	postgres, err := localserver.StartPostgres(context.Background(), localserver.PostgresConfig{Dir: filepath.Join(folder, "postgres")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = postgres.Stop() })
	redis, err := localserver.StartRedis(context.Background(), localserver.RedisConfig{Dir: filepath.Join(folder, "redis")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Stop() })
	return postgres, redis
}

// A server whose stores go away says so to whoever needs them, and goes on serving whoever does not.
func TestServeWithoutItsStores(t *testing.T) {
	t.Parallel()
	postgres, redis := stoppableStores(t)
	w := openShop(t, startServe(t, postgres.URL(), redis.URL()))
	token := strings.TrimSpace(w.must(t, "token", "create", "--principal", "model", "--role", "reader"))
	get := []string{"get", "--service", "shop_model", "--entity", "shop=a"}
	if r := w.runAs(token, get...); r.code != exitDone {
		t.Fatalf("found status %d and %s", r.code, r.err)
	}

	if err := redis.Stop(); err != nil {
		t.Fatal(err)
	}
	redisAddress := strings.Split(strings.Split(redis.URL(), "@")[1], "/")[0]
	w.runAs(token, get...).expect(t, exitFailed, "", "headwater: Redis at "+redisAddress+" is not reachable: connection refused; start it, or "+
		"set HEADWATER_REDIS_URL to one that runs\n")
	// What is in Postgres is there all the same, and a run waits for Redis without failing.
	w.must(t, "list", "views")
	w.must(t, "ingest", "sales", file(t, "corrected.csv", shopSalesCorrected), "--replaces", "1")
	w.must(t, "materialize", "totals")
	var run headwaterv1.GetRunResponse
	await(t, "the run is published", func() bool {
		w.ask(t, &run, "runs", "show", "3")
		return run.GetRun().GetState() == headwaterv1.RunState_RUN_STATE_PUBLISHED
	})
	if got := run.GetRun().GetOnlineState(); got != headwaterv1.OnlineState_ONLINE_STATE_PENDING {
		t.Errorf("found online %s without a Redis, expected it pending", got)
	}

	if err := postgres.Stop(); err != nil {
		t.Fatal(err)
	}
	address := strings.Split(strings.Split(postgres.URL(), "@")[1], "/")[0]
	unreachable := "headwater: Postgres at " + address + " cannot be reached; check that the server runs, listens there and is not behind a " +
		"firewall, and that the connection URL is right\n"
	// Who meets a connection from before is told that it broke.
	broke := "headwater: the connection to Postgres broke; try again, and if it goes on breaking check that the server runs\n"
	await(t, "the connections from before are gone", func() bool {
		r := w.run("runs", "list")
		closing := strings.HasPrefix(r.err, "headwater: Postgres is shutting down or starting (SQLSTATE 57P")
		if r.code != exitFailed || r.out != "" || (r.err != unreachable && r.err != broke && !closing) {
			t.Fatalf("found status %d, standard output %q, standard error\n%s", r.code, r.out, r.err)
		}
		return r.err == unreachable
	})
	out := filepath.Join(t.TempDir(), "out.csv")
	for _, line := range []string{"runs list", "materialize totals", "dataset list", "loads list sales", "token list",
		"ingest sales " + file(t, "more.csv", "at,shop,amount,kind\n2001-01-03 10:05,a,1,ok\n"),
		"dataset build --service shop_model --spine " + file(t, "spine.csv", "shop,timestamp\na,2001-01-02\n") + " --out " + out} {
		r := w.run(strings.Fields(line)...)
		if r.code != exitFailed || r.out != "" || (r.err != unreachable && r.err != broke) {
			t.Errorf("%s: found status %d, standard output %q, standard error\n%s\nexpected 1 and\n%s", line, r.code, r.out, r.err, unreachable)
		}
	}
	expectNoFile(t, out)
	if code := w.signal(t, syscall.SIGTERM); code == -1 {
		t.Errorf("found the server ended by a signal, expected it to end by itself:\n%s", w.said(t))
	}
}

func TestServeRefusals(t *testing.T) {
	t.Parallel()
	nobody := testenv.ClosedAddress(t)
	postgres := "postgres://headwater:a-password@" + nobody + "/headwater"
	reachable := testenv.PostgresURL(t)
	empty, newer := testenv.EmptyPostgresURL(t), testenv.PostgresURL(t)
	setSchemaVersion(t, newer, 99_999)
	unreachable := "headwater: Postgres at " + nobody + " cannot be reached; check that the server runs, listens there and is not behind a " +
		"firewall, and that the connection URL is right\n"
	for _, c := range []struct {
		name, command   string
		postgres, redis string
		code            int
		want            string
	}{
		{"serve without a Postgres", "serve", "", "", exitUsage, "headwater: no Postgres is given; set HEADWATER_POSTGRES_URL, or postgres_url in " +
			"the file that --config names. For a private one, use `headwater dev`\n"},
		{"serve without a Redis", "serve", reachable, "", exitUsage, "headwater: no Redis is given; set HEADWATER_REDIS_URL, or redis_url in the " +
			"file that --config names\n"},
		{"serve where no Postgres answers", "serve", postgres, "redis://" + nobody, exitFailed, unreachable},
		{"serve where no Redis answers", "serve", reachable, "redis://:a-password@" + nobody, exitFailed, "headwater: Redis at " + nobody +
			" is not reachable: connection refused; start it, or set HEADWATER_REDIS_URL to one that runs\n"},
		{"serve on no URL", "serve", "database", "redis://" + nobody, exitUsage, "headwater: the Postgres connection URL cannot be read; expected " +
			"one like postgres://USER:PASSWORD@HOST:5432/DATABASE\n"},
		{"serve on an empty database", "serve", empty, "redis://" + nobody, exitFailed, "headwater: the database has no Headwater schema; run " +
			"`headwater migrate` to make it\n"},
		{"serve on a newer schema", "serve", newer, "redis://" + nobody, exitFailed, "headwater: the database's schema is version 99999, and this " +
			"headwater knows versions up to "},
		{"migrate without a Postgres", "migrate", "", "", exitUsage, "headwater: no Postgres is given; set HEADWATER_POSTGRES_URL, or postgres_url " +
			"in the file that --config names. For a private one, use `headwater dev`\n"},
		{"migrate where no Postgres answers", "migrate", postgres, "", exitFailed, unreachable},
		{"migrate of a newer schema", "migrate", newer, "", exitFailed, "headwater: the database's schema is version 99999, and this headwater " +
			"knows versions up to "},
	} {
		t.Run(c.name, func(t *testing.T) {
			environment := []string{"HEADWATER_LISTEN=127.0.0.1:0", "HEADWATER_AUDIT_DIR=" + t.TempDir()}
			if c.postgres != "" {
				environment = append(environment, "HEADWATER_POSTGRES_URL="+c.postgres)
			}
			if c.redis != "" {
				environment = append(environment, "HEADWATER_REDIS_URL="+c.redis)
			}
			r := runProgram(t, environment, c.command)
			if r.code != c.code || r.out != "" || !strings.HasPrefix(r.err, c.want) || strings.Count(r.err, "\n") != 1 {
				t.Errorf("found status %d, standard output %q, standard error\n%s\nexpected %d and\n%s", r.code, r.out, r.err, c.code, c.want)
			}
			if strings.Contains(r.err, "a-password") {
				t.Errorf("found the password in %s", r.err)
			}
		})
	}
	if got := schemaVersion(t, newer); got != 99_999 {
		t.Errorf("found schema version %d, expected the newer one left alone", got)
	}
	if r := runProgram(t, []string{"HEADWATER_POSTGRES_URL=" + empty}, "migrate"); r.code != exitDone || !strings.HasSuffix(r.out, ", was 0\n") {
		t.Errorf("found status %d and %s%s, expected the empty database migrated", r.code, r.out, r.err)
	}
}

func setSchemaVersion(t *testing.T, url string, version int64) {
	t.Helper()
	onDatabase(t, url, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "INSERT INTO headwater.schema_migration (version_id, is_applied) VALUES ($1, true)", version)
		return err
	})
}

func schemaVersion(t *testing.T, url string) (version int64) {
	t.Helper()
	onDatabase(t, url, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT max(version_id) FROM headwater.schema_migration").Scan(&version)
	})
	return version
}

func onDatabase(t *testing.T, url string, do func(context.Context, *pgx.Conn) error) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := do(ctx, conn); err != nil {
		t.Fatal(err)
	}
}

// freeAddress is one of this machine on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestChunkWorkersAreANumber(t *testing.T) {
	for text, want := range map[string]int{"": 0, "1": 1, "32": 32} {
		if n, err := (serveConfig{RunChunkWorkers: text}).chunkWorkers(); err != nil || n != want {
			t.Errorf("%q: found %d, %v, expected %d", text, n, err, want)
		}
	}
	for _, text := range []string{"0", "33", "-1", "two", "1.5"} {
		_, err := (serveConfig{RunChunkWorkers: text}).chunkWorkers()
		want := fmt.Sprintf("HEADWATER_RUN_CHUNK_WORKERS (run_chunk_workers): found %q, expected a number from 1 to 32", text)
		if err == nil || err.Error() != want {
			t.Errorf("found %v, expected %s", err, want)
		}
	}
}

// A server that was told to ask nobody who calls says so, keeps no folder for an audit, and lets anybody in.
func TestServeThatAsksNobody(t *testing.T) {
	t.Parallel()
	postgres, redis := testenv.PostgresURL(t), testenv.RedisURL(t)
	if r := runProgram(t, []string{"HEADWATER_POSTGRES_URL=" + postgres}, "migrate"); r.code != exitDone {
		t.Fatalf("migrate: found status %d and %s", r.code, r.err)
	}
	address, folder := freeAddress(t), filepath.Join(t.TempDir(), "audit")
	s := launch(t, program(t, []string{
		"HEADWATER_POSTGRES_URL=" + postgres, "HEADWATER_REDIS_URL=" + redis, "HEADWATER_LISTEN=" + address, "HEADWATER_AUDIT_DIR=" + folder,
		"HEADWATER_DRAIN_DELAY=0s",
	}, "serve", "--insecure-no-auth"), func() bool { return headwater("list", "roles", "--server", address).code == exitDone })
	if said := s.said(t); !strings.Contains(said, `"level":"WARN","msg":"THIS SERVER ASKS NOBODY WHO CALLS: whoever reaches its address may read, `) {
		t.Errorf("the log does not say so: %s", said)
	}
	if r := headwater("token", "list", "--server", address); r.code != exitDone {
		t.Errorf("found status %d and %s", r.code, r.err)
	}
	if code := s.signal(t, syscall.SIGTERM); code != exitDone {
		t.Errorf("found status %d at the end, expected %d", code, exitDone)
	}
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("found a folder for an audit: %v", err)
	}
}
