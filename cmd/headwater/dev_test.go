package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// connect opens a connection to the private Postgres, which nobody but its owner can.
func (d *dev) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	folder := filepath.Join(d.folder, "postgres")
	pid := strings.Split(string(readFile(t, filepath.Join(folder, "data", "postmaster.pid"))), "\n")
	password := strings.TrimSpace(string(readFile(t, filepath.Join(folder, "password"))))
	conn, err := pgx.Connect(context.Background(), fmt.Sprintf("postgres://headwater:%s@127.0.0.1:%s/headwater", password, pid[3]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func countRows(t *testing.T, conn *pgx.Conn, query string) (n int) {
	t.Helper()
	if err := conn.QueryRow(context.Background(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func execute(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func TestDevStopsAndStartsAgain(t *testing.T) {
	t.Parallel()
	folder := passableFolder(t)
	d := startDev(t, folder)
	postgres, redis := d.servers(t)
	said := d.said(t)
	for _, want := range []string{
		" answers on " + d.address + ", its data in " + d.folder + ". In another terminal:\n",
		"  export HEADWATER_SERVER=" + d.address + "\n  export HEADWATER_TOKEN=$(cat " + filepath.Join(d.folder, "admin.token") + ")\n",
		"\nInterrupt to stop.\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("found\n%s\nexpected\n%s", said, want)
		}
	}
	if info, err := os.Stat(filepath.Join(d.folder, "admin.token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("found %v and %v, expected a token file that only its owner reads", info, err)
	}
	w := openShop(t, d.serverProcess)
	before := w.state(t)

	// Its folder is one dev's at a time, its address one server's.
	second := runProgram(t, nil, "dev", "--data-dir", d.folder, "--listen", "127.0.0.1:0")
	inUse := fmt.Sprintf(" is in use by process %d; stop that one first, or choose another directory\n", d.cmd.Process.Pid)
	if second.code != exitFailed || !strings.HasPrefix(second.err, "headwater: data directory "+d.folder) || !strings.HasSuffix(second.err, inUse) ||
		strings.Count(second.err, "\n") != 1 {
		t.Errorf("found status %d and\n%s\nexpected 1 and that the data directory%s", second.code, second.err, inUse)
	}
	third := filepath.Join(folder, "third")
	runProgram(t, nil, "dev", "--data-dir", third, "--listen", d.address).expect(t, exitFailed, "",
		"headwater: cannot listen on "+d.address+": bind: address already in use; name another address with --listen "+
			"(HEADWATER_LISTEN), or port 0 for a free one\n")
	if after := w.state(t); after != before {
		t.Errorf("found\n%s\nafter others were refused, expected\n%s", after, before)
	}

	nowhere := filepath.Join(folder, "nowhere")
	runProgram(t, nil, "dev", "--data-dir", third, "--listen", "127.0.0.1:0", "--ready-file", filepath.Join(nowhere, "ready")).expect(t, exitFailed, "",
		"headwater: ready file "+filepath.Join(nowhere, "ready")+": "+nowhere+" is no folder; make it, or name another file with --ready-file\n")

	if code := d.signal(t, syscall.SIGINT); code != exitDone {
		t.Errorf("found exit status %d after an interrupt, expected 0, and\n%s", code, d.said(t))
	}
	if got := d.said(t); got != said {
		t.Errorf("found\n%s\nexpected no word more than\n%s", got, said)
	}
	awaitGone(t, postgres)
	awaitGone(t, redis)
	w.run("list", "views").expect(t, exitFailed, "", "headwater: no server answers at "+d.address+
		" (connection refused); is it running? Start one with `headwater dev`, or say where it is with --server or HEADWATER_SERVER\n")

	again := startDev(t, folder)
	if again.token != d.token {
		t.Error("found another administrator's token after a restart, expected the one before")
	}
	if after := (&shop{again.serverProcess}).state(t); after != before {
		t.Errorf("found\n%s\nafter a restart, expected\n%s", after, before)
	}
	if code := again.signal(t, syscall.SIGTERM); code != exitDone {
		t.Errorf("found exit status %d after SIGTERM, expected 0, and\n%s", code, again.said(t))
	}
}

// Postgres must get to its folder through those that dev makes, also when others may pass through no new folder.
func TestDevMakesItsFoldersPassable(t *testing.T) {
	t.Parallel()
	folder := passableFolder(t)
	data, ready := filepath.Join(folder, "above", "data"), filepath.Join(folder, "ready")
	cmd := program(t, nil, "dev", "--data-dir", data, "--listen", "127.0.0.1:0", "--ready-file", ready)
	cmd.Args = append([]string{"sh", "-c", `umask 077 && exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	s := launch(t, cmd, func() bool { _, err := os.Stat(ready); return err == nil })
	for _, made := range []string{filepath.Dir(data), data} {
		if info, err := os.Stat(made); err != nil || info.Mode().Perm() != 0o711 {
			t.Errorf("%s: found %v and %v, expected mode 0711", made, info, err)
		}
	}
	if code := s.signal(t, syscall.SIGINT); code != exitDone {
		t.Errorf("found exit status %d, expected 0, and\n%s", code, s.said(t))
	}
}

func TestDevEndsWithItsServers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, want string }{
		{"postgres", "headwater: the private Postgres ended by itself; %s/postgres/postgres.log says why\n"},
		{"redis", "headwater: the private Redis ended by itself; %s/redis/redis.log says why\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := startDev(t, passableFolder(t))
			postgres, redis := d.servers(t)
			victim, other := postgres, redis
			if c.name == "redis" {
				victim, other = redis, postgres
			}
			if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if code := d.wait(t); code != exitFailed {
				t.Errorf("found exit status %d, expected 1", code)
			}
			if said, want := d.said(t), fmt.Sprintf(c.want, d.folder); !strings.Contains(said, want) {
				t.Errorf("found\n%s\nexpected\n%s", said, want)
			}
			awaitGone(t, other)
		})
	}
}

func TestDevRefusals(t *testing.T) {
	t.Parallel()
	folder := passableFolder(t)
	data, empty := filepath.Join(folder, "data"), filepath.Join(folder, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	blocked := file(t, "data", "not a folder")
	for _, c := range []struct {
		name        string
		environment []string
		args        []string
		want        string
	}{
		{"no postgres programs", []string{"HEADWATER_PG_BIN=" + empty}, []string{"--data-dir", data},
			"headwater: HEADWATER_PG_BIN is " + empty + ", which has no working initdb and postgres; set it to the folder that has them, or " +
				"unset it to have the usual folders searched\n"},
		{"no redis program", []string{"HEADWATER_REDIS_BIN=" + empty}, []string{"--data-dir", data},
			"headwater: HEADWATER_REDIS_BIN is " + empty + ", which has no working redis-server; set it to the folder that has it, or unset it " +
				"to have PATH searched\n"},
		{"no folder", nil, []string{"--data-dir", blocked},
			"headwater: data folder " + blocked + ": cannot be made: mkdir " + blocked + ": not a directory; name another with --data-dir\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			runProgram(t, c.environment, append([]string{"dev", "--listen", "127.0.0.1:0"}, c.args...)...).expect(t, exitFailed, "", c.want)
		})
	}
}

// A dev that is killed takes its servers with it, and the next one on its folder ends what it had begun: a first run in
// the middle of its writing, and a second run that has written and not published.
func TestDevKilledWithinRuns(t *testing.T) {
	t.Parallel()
	folder := passableFolder(t)
	d := startDev(t, folder)
	w := &shop{d.serverProcess}
	w.must(t, "apply", file(t, "shop.yaml", shopDefinitions))
	w.must(t, "ingest", "sales", file(t, "sales.csv", shopSales))
	w.must(t, "materialize", "totals", "--wait")
	w.must(t, "ingest", "sales", file(t, "corrected.csv", shopSalesCorrected), "--replaces", "1")

	writing, publishing, watch := d.connect(t), d.connect(t), d.connect(t)
	execute(t, writing, "BEGIN; LOCK TABLE headwater_history.ratios_v1 IN SHARE MODE")
	execute(t, publishing, "BEGIN; SELECT position FROM headwater.publish_head FOR UPDATE")
	w.must(t, "materialize", "totals", "ratios")
	await(t, "both runs wait for a lock", func() bool {
		return countRows(t, watch, `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
			AND (query LIKE '%publish_head%' OR query LIKE '%headwater_history%ratios_v1%')`) == 2
	})
	if n := countRows(t, watch, "SELECT count(*) FROM headwater_history.totals_v1 WHERE seq_from = 2 OR seq_to = 2"); n != 2 {
		t.Errorf("found %d rows written by the second run, expected one withdrawn and one inserted", n)
	}
	// What is not published is not served.
	w.expectServed(t, "a 4 -", "b 40 -")
	postgres, redis := d.servers(t)
	d.signal(t, syscall.SIGKILL)
	awaitGone(t, postgres)
	awaitGone(t, redis)

	d = startDev(t, folder)
	w = &shop{d.serverProcess}
	w.expectServed(t, "a 4 -", "b 40 -")
	var runs headwaterv1.ListRunsResponse
	await(t, "both runs have ended and are loaded", func() bool {
		w.ask(t, &runs, "runs", "list")
		for _, r := range runs.Runs {
			if r.OnlineState != headwaterv1.OnlineState_ONLINE_STATE_LOADED {
				return false
			}
		}
		return true
	})
	if len(runs.Runs) != 3 {
		t.Fatalf("found %d runs, expected 3", len(runs.Runs))
	}
	for _, r := range runs.Runs {
		checkLedger(t, r)
		// The sequences of the killed attempts are not used again.
		switch runName(r) {
		case "totals@1/1":
			expectWrote(t, r, "run 1: 4 produced, 4 inserted, 0 withdrawn, 0 unchanged, 4 live")
		case "totals@1/3":
			expectWrote(t, r, "run 3: 4 produced, 1 inserted, 1 withdrawn, 3 unchanged, 4 live")
		case "ratios@1/2":
			expectWrote(t, r, "run 2: 6 produced, 6 inserted, 0 withdrawn, 0 unchanged, 6 live")
		default:
			t.Errorf("found run %s", runName(r))
		}
	}
	w.expectServed(t, "a 5 20", "b 40 2")
	watch = d.connect(t)
	if n := countRows(t, watch, "SELECT count(*) FROM headwater_history.totals_v1 WHERE seq_from = 2 OR seq_to = 2"); n != 0 {
		t.Errorf("found %d rows of the killed attempt, expected them undone", n)
	}
	if n := countRows(t, watch, "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'headwater_staging'"); n != 0 {
		t.Errorf("found %d relations left in headwater_staging", n)
	}
	if n := countRows(t, watch, "SELECT count(*) FROM headwater_history.totals_v1"); n != 5 {
		t.Errorf("found %d rows of history, expected 4 and the corrected one", n)
	}
	w.must(t, "materialize", "totals", "ratios", "--wait")
	w.expectServed(t, "a 5 20", "b 40 2")
	if code := d.signal(t, syscall.SIGINT); code != exitDone {
		t.Errorf("found exit status %d, expected 0, and\n%s", code, d.said(t))
	}
}
