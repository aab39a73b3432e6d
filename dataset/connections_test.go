package dataset

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/fault"
)

// sessions are the joins' connections, once all of them were given back. Nothing is prepared in any.
func (w *world) sessions(t *testing.T) (pids []uint32) {
	t.Helper()
	idle := w.builder.connections.AcquireAllIdle(t.Context())
	for stat := w.builder.connections.Stat; int(stat().TotalConns()) > len(idle); {
		// They are given back in goroutines.
		time.Sleep(time.Millisecond)
		idle = append(idle, w.builder.connections.AcquireAllIdle(t.Context())...)
	}
	for _, c := range idle {
		pids = append(pids, c.Conn().PgConn().PID())
		// Not prepared itself, for it would be found.
		var statements []string
		err := c.QueryRow(t.Context(), "SELECT coalesce(array_agg(statement), '{}') FROM pg_prepared_statements", pgx.QueryExecModeSimpleProtocol).Scan(&statements)
		if err != nil {
			t.Fatal(err)
		}
		if len(statements) > 0 {
			t.Errorf("found statements that are prepared behind a join, expected none: %q", statements)
		}
	}
	for _, c := range idle {
		c.Release()
	}
	return pids
}

// Joins use each other's connections, none of which an error was met on, also where Postgres ended them meanwhile.
func TestConnectionsAreKept(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(7, 8))
	w.randomHistory(t, r)
	if err := w.builder.KeepConnections(); err != nil {
		t.Fatal(err)
	}
	s := randomSpine(r, 600)
	build := func() {
		t.Helper()
		m, out := w.build(t, s, "")
		w.expect(t, s, m, out)
	}
	made := func() int64 { return w.builder.connections.Stat().NewConnsCount() }
	build()
	first := w.sessions(t)
	if len(first) == 0 {
		t.Fatal("found no connections after a dataset, expected those of its joins")
	}
	// What one join leaves to the next is not to be seen in it.
	if n := w.count(t, "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1) AND state <> 'idle'", first); n != 0 {
		t.Errorf("found %d connections that are not idle", n)
	}
	for range 3 {
		build()
		pids := w.sessions(t)
		// More of them may have been needed at once, and none was closed.
		if int64(len(pids)) != made() {
			t.Errorf("found %d connections after another dataset, expected all %d that were made", len(pids), made())
		}
		for _, pid := range first {
			if !slices.Contains(pids, pid) {
				t.Errorf("found connections %v after another dataset, expected %d of the first one among them", pids, pid)
			}
		}
	}
	all := w.sessions(t)
	before := made()
	w.exec(t, "SELECT pg_terminate_backend(pid, 10000) FROM unnest($1::int[]) pid", all)
	build()
	if found := made(); found == before {
		t.Error("found no new connections after the first were ended")
	}
	destroyed := func(stat *pgxpool.Stat) int64 { return stat.NewConnsCount() - int64(stat.TotalConns()) }
	ended := destroyed(w.builder.connections.Stat())
	w.sessions(t)
	// A join that fails half way.
	w.exec(t, "ALTER TABLE "+historyTable(w.view("delays"))+" RENAME COLUMN mean TO moved")
	if _, _, err := w.tryBuild(s.arrow(t, 1000), Request{}); fault.ReasonOf(err) != fault.FailedPrecondition {
		t.Fatalf("found %v of a history without a column, expected FAILED_PRECONDITION", err)
	}
	w.exec(t, "ALTER TABLE "+historyTable(w.view("delays"))+" RENAME COLUMN moved TO mean")
	w.sessions(t)
	if found := destroyed(w.builder.connections.Stat()); found == ended {
		t.Error("found a connection that was kept after an error")
	}
	build()
	pids := w.sessions(t)
	w.builder.Close()
	deadline := time.Now().Add(10 * time.Second)
	for w.count(t, "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1)", pids) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("found connections after the builder was closed, expected none")
		}
		time.Sleep(time.Millisecond)
	}
}
