package materialize

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

func wantLedger(t *testing.T, r *Run, want Ledger) {
	t.Helper()
	// Unless the view has expectations that leave rows out.
	if want.Computed == 0 {
		want.Computed = want.Produced
	}
	if r.Ledger != want {
		t.Errorf("run %s: found the ledger\n%+v\nexpected\n%+v", r.Ref(), r.Ledger, want)
	}
}

func TestLedger(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("a", 1, hours(1), 2), reading("b", 1, hours(1), 3))
	second := w.load(t, src, 0, reading("b", 1, hours(2), 4))

	r1 := w.published(t, view, nil)
	wantLedger(t, r1, Ledger{Read: 4, Accepted: 4, Used: 4, Produced: 4, Inserted: 4, LiveAfter: 4})
	if r1.Interval != (offline.Span{Start: hours(0), End: hours(2) + 1}) || r1.Position != 1 || r1.Seq != 1 {
		t.Errorf("found %+v at position %d, sequence %d", r1.Interval, r1.Position, r1.Seq)
	}
	if in := r1.Inputs[0]; in.LoadNumber != 2 || len(in.Loads) != 2 || in.Loads[0].ID != first || in.Loads[0].Rows != 3 ||
		in.Loads[1].ID != second || in.Loads[1].Rows != 1 {
		t.Errorf("found inputs %+v", in)
	}
	if r1.OnlineWritten = w.get(t, r1.ID).OnlineWritten; r1.OnlineWritten != 2 {
		t.Errorf("found %d online rows written, expected one per entity", r1.OnlineWritten)
	}

	// Nothing changed: the run is published all the same, says so, and touches no row.
	before := describe(w.history(t, view))
	r2 := w.published(t, view, nil)
	wantLedger(t, r2, Ledger{Read: 4, Accepted: 4, Used: 4, Produced: 4, Unchanged: 4, LiveBefore: 4, LiveAfter: 4})
	if after := describe(w.history(t, view)); after != before {
		t.Errorf("found %s\nexpected %s", after, before)
	}
	if r2.Digest != r1.Digest {
		t.Error("the same inputs gave another digest")
	}
	if r := w.get(t, r2.ID); r.OnlineWritten+r.OnlineTombstones != 0 {
		t.Errorf("found %d online rows written, expected none", r.OnlineWritten)
	}

	// A replaced load: one value corrected, one row gone, one more, one as it was.
	w.load(t, src, first, reading("a", 1, hours(0), 1), reading("a", 1, hours(1), 20), reading("c", 1, hours(1), 5))
	r3 := w.published(t, view, nil)
	wantLedger(t, r3, Ledger{
		Read: 4, Accepted: 4, Used: 4, Produced: 4, Unchanged: 2, Inserted: 2, Withdrawn: 2, LiveBefore: 4, LiveAfter: 4,
	})
	if n := w.count(t, fmt.Sprintf(`SELECT count(*) FROM headwater_history.%s_v1 WHERE seq_from = 3`, view.Name)); n != 2 {
		t.Errorf("found %d rows written by the correction, expected 2", n)
	}
	if r := w.get(t, r3.ID); r.OnlineWritten != 3 || r.OnlineTombstones != 0 {
		t.Errorf("found %d online rows written, %d of them tombstones", r.OnlineWritten, r.OnlineTombstones)
	}

	// Over an interval: what lies outside is left alone, though its load is gone.
	if _, err := offline.RetractLoad(context.Background(), w.pool, second, "wrong file", "test"); err != nil {
		t.Fatal(err)
	}
	r4 := w.published(t, view, &reference.Interval{Start: hours(0), End: hours(1)})
	wantLedger(t, r4, Ledger{Read: 1, Accepted: 1, Used: 1, Produced: 1, Unchanged: 1, LiveBefore: 4, LiveAfter: 4})
	r5 := w.published(t, view, nil)
	wantLedger(t, r5, Ledger{Read: 3, Accepted: 3, Used: 3, Produced: 3, Unchanged: 3, Withdrawn: 1, LiveBefore: 4, LiveAfter: 3})
}

// A row that is withdrawn uncovers the one before it, and the last one leaves a tombstone.
func TestWithdrawnRowFallsBackOnline(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, reading("a", 1, hours(0), 1))
	second := w.load(t, src, 0, reading("a", 1, hours(1), 2))
	expect := func(want string) {
		t.Helper()
		w.published(t, view, nil)
		if got := reference.Describe(&w.online(t, view, "a|1")[0]); got != want {
			t.Errorf("found %s, expected %s", got, want)
		}
	}
	expect(`PRESENT event 2024-01-01T01:00:00Z available 2024-01-01T01:00:00Z run 1: float64 "2" int64 "1"`)
	for _, load := range []int64{second, first} {
		if _, err := offline.RetractLoad(context.Background(), w.pool, load, "wrong", "test"); err != nil {
			t.Fatal(err)
		}
		if load == second {
			expect(`PRESENT event 2024-01-01T00:00:00Z available 2024-01-01T00:00:00Z run 1: float64 "1" int64 "1"`)
		} else {
			expect("NO_ROW")
		}
	}
}

func TestFailedRunLeavesTheHistoryAlone(t *testing.T) {
	for _, c := range []struct{ name, query, message string }{
		{"a key that is NULL", `SELECT nullif(name, 'b') AS name, room, event_time, available_at, value, 1 AS rows FROM %s`,
			"in which a join key, event_time or available_at is NULL"},
		{"a time that is NULL", `SELECT name, room, event_time, nullif(available_at, event_time) AS available_at, value, 1 AS rows FROM %s`,
			"in which a join key, event_time or available_at is NULL"},
		{"two rows of one moment", `SELECT name, room, event_time, available_at, value, g AS rows FROM %s, generate_series(1, 2) g`,
			"found more than one row for"},
		{"outside of the interval", `SELECT name, room, event_time + interval '1 year' AS event_time, available_at, value, 1 AS rows FROM %s`,
			"lies outside of the run's interval"},
		{"division by zero", `SELECT name, room, event_time, available_at, 1 / (value - 2) AS value, 1 AS rows FROM %s`,
			"its SQL failed on the rows of this run: division by zero"},
		{"infinity", `SELECT name, room, event_time, 'infinity'::timestamptz AS available_at, value, 1 AS rows FROM %s`,
			"found an infinite timestamp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			src := w.newSource(t)
			view := w.newView(t, src, latest, 0)
			first := w.load(t, src, 0, reading("a", 1, hours(0), 1))
			w.published(t, view, nil)
			before := describe(w.history(t, view))
			w.load(t, src, first, reading("a", 1, hours(0), 3), reading("b", 1, hours(1), 2))

			good := view.SQL
			view.SQL = &feature.SQLTransform{Sources: good.Sources, Query: fmt.Sprintf(c.query, src.Name)}
			r := w.run(t, view, nil)
			if r.State != Failed || !strings.Contains(r.Error, c.message) {
				t.Fatalf("found the run %s: %q, expected it failed: %q", r.State, r.Error, c.message)
			}
			if r.EndedAt == nil || r.Seq != 2 || r.Position != 0 {
				t.Errorf("found ended at %v, sequence %d, position %d", r.EndedAt, r.Seq, r.Position)
			}
			if after := describe(w.history(t, view)); after != before {
				t.Errorf("found %s\nexpected %s", after, before)
			}
			if n := w.count(t, `SELECT count(*) FROM headwater.outbox WHERE topic = 'run.failed' AND channel = ''`); n != 1 {
				t.Errorf("found %d messages of the failure, expected 1", n)
			}

			view.SQL = good
			r = w.published(t, view, nil)
			wantLedger(t, r, Ledger{
				Read: 2, Accepted: 2, Used: 2, Produced: 2, Inserted: 2, Withdrawn: 1, LiveBefore: 1, LiveAfter: 2,
			})
			if r.Seq != 3 || r.Position != 2 {
				t.Errorf("found sequence %d at position %d, expected a new sequence at the next position", r.Seq, r.Position)
			}
		})
	}
}

func TestSourceWithoutRows(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	r := w.run(t, view, nil)
	if want := "which has no rows yet; send some: headwater ingest " + src.Name; r.State != Failed || !strings.Contains(r.Error, want) {
		t.Fatalf("found %s: %q, expected %q", r.State, r.Error, want)
	}
}

// The end that a run is asked for does not make it compute a group that is not finished.
func TestUnfinishedGroupIsNotComputed(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, hourly, time.Hour)
	now := feature.TimeOf(time.Now())
	open := now.Floor(time.Hour)
	w.load(t, src, 0, reading("a", 1, open.Add(-time.Hour), 1), reading("a", 1, open.Add(2*time.Hour), 2))
	r := w.published(t, view, &reference.Interval{Start: open.Add(-2 * time.Hour), End: open.Add(5 * time.Hour)})
	if r.Ledger.Produced != 1 || r.Interval.End > feature.TimeOf(time.Now()) {
		t.Errorf("found %d rows up to %s, expected the one of the hour that has ended", r.Ledger.Produced, r.Interval.End)
	}
}

// errDied stands for the end of a process: a run's deferred calls end its connections, as the system would, and nothing else.
var errDied = errors.New("died")

func (w *world) dieAt(t *testing.T, r *Run, step string) {
	t.Helper()
	w.reached = func(at string) error {
		if at == step {
			panic(errDied)
		}
		return nil
	}
	defer func() {
		w.reached = func(string) error { return nil }
		if died := recover(); died != errDied {
			t.Fatalf("the run did not reach %s: %v", step, died)
		}
	}()
	err := w.m.runner.run(context.Background(), r.ID)
	t.Fatalf("the run lived: %v", err)
}

// age makes everything that waits look old enough to be taken up.
func (w *world) age(t *testing.T) {
	t.Helper()
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE headwater.run SET queued_at = queued_at - interval '1 minute', ended_at = ended_at - interval '1 minute'`)
		if err == nil {
			// The jobs that carried them died with the process.
			_, err = tx.Exec(ctx, `DELETE FROM headwater_jobs.river_job`)
		}
		return err
	})
}

func TestDeadRunIsUndoneAndTakenUpAgain(t *testing.T) {
	for _, step := range []string{stepBegun, stepWritten, stepPublished} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			src := w.newSource(t)
			view := w.newView(t, src, latest, 0)
			first := w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("b", 1, hours(0), 1))
			w.published(t, view, nil)
			w.load(t, src, first, reading("a", 1, hours(0), 2), reading("c", 1, hours(0), 1))
			r := w.enqueue(t, view, nil)
			w.dieAt(t, r, step)

			if step == stepWritten {
				if n := w.count(t, fmt.Sprintf(`SELECT count(*) FROM headwater_history.%s_v1 WHERE 2 IN (seq_from, seq_to)`, view.Name)); n != 4 {
					t.Errorf("found %d rows that the dead run touched, expected 4", n)
				}
			}
			if step != stepPublished {
				w.sees(t, view, 1, map[string]string{"a|1": "1", "b|1": "1", "c|1": ""})
			}
			w.age(t)
			w.start(t)
			r = w.await(t, r.ID)
			if r.State != Published {
				t.Fatalf("found the run %s: %s", r.State, r.Error)
			}
			wantLedger(t, r, Ledger{
				Read: 2, Accepted: 2, Used: 2, Produced: 2, Inserted: 2, Withdrawn: 2, LiveBefore: 2, LiveAfter: 2,
			})
			want := map[string]int64{stepBegun: 3, stepWritten: 3, stepPublished: 2}[step]
			if r.Seq != want || r.Position != 2 {
				t.Errorf("found sequence %d at position %d, expected sequence %d at position 2", r.Seq, r.Position, want)
			}
			w.sees(t, view, 1, map[string]string{"a|1": "1", "b|1": "1", "c|1": ""})
			w.sees(t, view, r.Seq, map[string]string{"a|1": "2", "b|1": "", "c|1": "1"})
			if got := w.online(t, view, "a|1", "b|1", "c|1"); got[0].Values[0].Text() != "2" || got[1].Status != read.NoRow || got[2].Status != read.Present {
				t.Errorf("found online %v", got)
			}
			if n := w.count(t, fmt.Sprintf(`SELECT count(*) FROM headwater_history.%s_v1`, view.Name)); n != 4 {
				t.Errorf("found %d rows in the history, expected 4", n)
			}
		})
	}
}

// sees compares the value of each key at a sequence; "" is none.
func (w *world) sees(t *testing.T, view *feature.ViewVersion, seq int64, want map[string]string) {
	t.Helper()
	h := reference.History{Rows: w.history(t, view)}
	for key, value := range want {
		winner := h.PointInTime(key, hours(100), 0, seq)
		got := ""
		if winner.Status == read.Present {
			got = winner.Values[0].Text()
		}
		if got != value {
			t.Errorf("%s at sequence %d: found %q, expected %q", key, seq, got, value)
		}
	}
}

func TestUndoTwice(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("b", 1, hours(0), 1))
	w.published(t, view, nil)
	before := describe(w.history(t, view))
	w.load(t, src, first, reading("a", 1, hours(0), 2))
	w.dieAt(t, w.enqueue(t, view, nil), stepWritten)
	if describe(w.history(t, view)) == before {
		t.Fatal("the run wrote nothing")
	}
	for range 2 {
		w.inTx(t, func(ctx context.Context, tx pgx.Tx) error { return offline.Undo(ctx, tx, view, 2) })
		if after := describe(w.history(t, view)); after != before {
			t.Errorf("found %s\nexpected %s", after, before)
		}
	}
}

// An error on the way that is not the run's own fault undoes it, and another attempt may have it.
func TestBrokenAttemptIsUndone(t *testing.T) {
	for _, step := range []string{stepBegun, stepWritten, "audit", stepPublished} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			src := w.newSource(t)
			view := w.newView(t, src, latest, 0)
			w.load(t, src, 0, reading("a", 1, hours(0), 1))
			r := w.enqueue(t, view, nil)
			broken := errors.New("broken")
			w.reached = func(at string) error {
				if at == step {
					return broken
				}
				return nil
			}
			w.audit = func(*Run) error {
				if step == "audit" {
					return broken
				}
				return nil
			}
			err := w.m.runner.run(context.Background(), r.ID)
			r = w.get(t, r.ID)
			if step == stepPublished {
				if err != nil || r.State != Published || len(w.history(t, view)) != 1 {
					t.Fatalf("found %v and the run %s, expected what is published to stay", err, r.State)
				}
				return
			}
			if !errors.Is(err, broken) || r.State != Queued || r.Seq != 0 || len(w.history(t, view)) != 0 {
				t.Fatalf("found %v, the run %s with sequence %d and %d rows, expected it undone", err, r.State, r.Seq, len(w.history(t, view)))
			}
			w.reached, w.audit = func(string) error { return nil }, func(*Run) error { return nil }
			if err := w.work(r.ID); err != nil {
				t.Fatal(err)
			}
			if r = w.get(t, r.ID); r.State != Published || r.Seq != 2 || r.Position != 1 {
				t.Errorf("found the run %s, sequence %d, position %d", r.State, r.Seq, r.Position)
			}
		})
	}
}

// A run that is given up while a dead attempt's rows are still there takes them back first.
func TestGivenUpRunIsUndone(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, reading("a", 1, hours(0), 1))
	w.published(t, view, nil)
	before := describe(w.history(t, view))
	w.load(t, src, first, reading("a", 1, hours(0), 2))
	r := w.enqueue(t, view, nil)
	w.dieAt(t, r, stepWritten)
	cause := fault.New(fault.PostgresUnavailable, "Postgres is away").Because(errors.New("secret"))
	if err := w.m.runner.giveUp(context.Background(), r.ID, cause); err != nil {
		t.Fatal(err)
	}
	r = w.get(t, r.ID)
	if want := "the attempts are used up, the last one ended so: Postgres is away"; r.State != Failed || r.Error != want {
		t.Errorf("found the run %s: %q, expected it failed: %q", r.State, r.Error, want)
	}
	if after := describe(w.history(t, view)); after != before {
		t.Errorf("found %s\nexpected %s", after, before)
	}
	r = w.published(t, view, nil)
	if err := w.m.runner.giveUp(context.Background(), r.ID, cause); err != nil || w.get(t, r.ID).State != Published {
		t.Errorf("found %v and the run %s, expected what is published to stay", err, w.get(t, r.ID).State)
	}
	if n := w.count(t, `SELECT count(*) FROM headwater.outbox WHERE topic = 'run.failed' AND channel = ''`); n != 1 {
		t.Errorf("found %d messages of failure, expected 1", n)
	}
}

// An attempt whose lease another took over writes and publishes nothing, and undoes nothing of the other's.
func TestStaleAttemptIsFencedOff(t *testing.T) {
	for _, step := range []string{stepBegun, stepWritten} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			src := w.newSource(t)
			view := w.newView(t, src, latest, 0)
			w.load(t, src, 0, reading("a", 1, hours(0), 1))
			r := w.enqueue(t, view, nil)
			taken := false
			w.reached = func(at string) error {
				if at != step || taken {
					return nil
				}
				taken = true
				w.loseLease(t, view)
				// Another process carries the same run to its end, while this one still thinks that it is its own.
				if err := w.work(r.ID); err != nil {
					t.Error(err)
				}
				return nil
			}
			err := w.m.runner.run(context.Background(), r.ID)
			if err == nil {
				t.Error("found no error of the stale attempt")
			}
			got := w.get(t, r.ID)
			if got.State != Published || got.Seq != 2 || got.Position != 1 {
				t.Errorf("found the run %s, sequence %d, position %d: %v", got.State, got.Seq, got.Position, err)
			}
			if rows := w.history(t, view); len(rows) != 1 || rows[0].SeqFrom != 2 || rows[0].SeqTo != reference.Live {
				t.Errorf("found %s", describe(rows))
			}
			if n := w.count(t, `SELECT count(*) FROM headwater.publish_log`); n != 1 {
				t.Errorf("found %d publications, expected 1", n)
			}
		})
	}
}

// loseLease ends the connection that holds the view's lease, as a network that breaks would in the server's eyes.
func (w *world) loseLease(t *testing.T, view *feature.ViewVersion) {
	t.Helper()
	n := w.count(t, `
		SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_locks
		WHERE locktype = 'advisory' AND classid = $1::bigint::oid AND objid = $2::bigint::oid
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, int64(leaseClass), view.ID)
	if n != 1 {
		t.Errorf("found %d holders of the lease, expected 1", n)
	}
}

// The same as fence alone sees it: the connection lives, but the attempt is no longer the newest.
func TestFenceRefusesAnOldAttempt(t *testing.T) {
	for _, step := range []string{stepBegun, stepWritten} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			src := w.newSource(t)
			view := w.newView(t, src, latest, 0)
			w.load(t, src, 0, reading("a", 1, hours(0), 1))
			r := w.enqueue(t, view, nil)
			w.reached = func(at string) error {
				if at == step {
					w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
						_, err := tx.Exec(ctx, `UPDATE headwater.view_state SET attempt = attempt + 1 WHERE view_id = $1`, view.ID)
						return err
					})
				}
				return nil
			}
			if err := w.m.runner.run(context.Background(), r.ID); !errors.Is(err, errLeaseLost) {
				t.Errorf("found %v, expected %v", err, errLeaseLost)
			}
			if n := w.count(t, `SELECT count(*) FROM headwater.publish_log`); n != 0 {
				t.Errorf("found %d publications, expected none", n)
			}
		})
	}
}

func TestTwoRunsOfOneViewStartedTogether(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("b", 1, hours(1), 1))
	// Two processes.
	w.start(t)
	w.start(t)
	runs, err := w.m.Enqueue(context.Background(), []Request{{View: view, Full: true, Principal: "test"}, {View: view, Full: true, Principal: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	seqs := map[int64]*Run{}
	for _, r := range runs {
		r = w.await(t, r.ID)
		seqs[r.Seq] = r
	}
	if seqs[1] == nil || seqs[2] == nil {
		t.Fatalf("found sequences %v, expected 1 and 2", seqs)
	}
	wantLedger(t, seqs[1], Ledger{Read: 2, Accepted: 2, Used: 2, Produced: 2, Inserted: 2, LiveAfter: 2})
	wantLedger(t, seqs[2], Ledger{Read: 2, Accepted: 2, Used: 2, Produced: 2, Unchanged: 2, LiveBefore: 2, LiveAfter: 2})
	if seqs[1].Position != 1 || seqs[2].Position != 2 {
		t.Errorf("found positions %d and %d", seqs[1].Position, seqs[2].Position)
	}
}

// While one run is in the commit that publishes it, none gets a position after it, let alone before.
func TestPublishingWaitsForTheCommitBefore(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	slow, quick := w.newView(t, src, latest, 0), w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(0), 1))
	inside, leave := make(chan struct{}), make(chan struct{})
	w.audit = func(r *Run) error {
		if r.ViewID == slow.ID {
			close(inside)
			<-leave
		}
		return nil
	}
	first, second := w.enqueue(t, slow, nil), w.enqueue(t, quick, nil)
	var group sync.WaitGroup
	carry := func(id int64) {
		group.Go(func() {
			if err := w.work(id); err != nil {
				t.Error(err)
			}
		})
	}
	carry(first.ID)
	<-inside
	carry(second.ID)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		waiting := w.count(t, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%publish_head%'`)
		if waiting == 1 {
			break
		}
		if time.Now().After(deadline) {
			close(leave)
			group.Wait()
			t.Fatal("the second run never waited for the first")
		}
	}
	if head := w.count(t, `SELECT position FROM headwater.publish_head`); head != 0 {
		t.Errorf("found position %d before anything was published", head)
	}
	close(leave)
	group.Wait()
	if a, b := w.get(t, first.ID).Position, w.get(t, second.ID).Position; a != 1 || b != 2 {
		t.Errorf("found positions %d and %d, expected 1 and 2", a, b)
	}
}

func TestPublishLogIsDense(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	w.load(t, src, 0, reading("a", 1, hours(0), 1))
	views := []*feature.ViewVersion{w.newView(t, src, latest, 0), w.newView(t, src, latest, 0), w.newView(t, src, hourly, time.Hour)}
	// Every third publication breaks on its last step, after it took a position.
	var mu sync.Mutex
	publications := 0
	w.audit = func(*Run) error {
		mu.Lock()
		defer mu.Unlock()
		if publications++; publications%3 == 0 {
			return errors.New("broken")
		}
		return nil
	}
	const each = 4
	var group sync.WaitGroup
	for _, v := range views {
		for range each {
			r := w.enqueue(t, v, nil)
			group.Go(func() {
				for w.get(t, r.ID).State != Published {
					_ = w.m.runner.run(context.Background(), r.ID)
				}
			})
		}
	}
	group.Wait()
	bad := w.count(t, `
		SELECT count(*) FROM (
			SELECT position, row_number() OVER (ORDER BY position) AS n,
				published_at < lag(published_at) OVER (ORDER BY position) AS early,
				seq <= lag(seq) OVER (PARTITION BY view_id ORDER BY position) AS disordered
			FROM headwater.publish_log) p
		WHERE position <> n OR early OR disordered`)
	if n := w.count(t, `SELECT count(*) FROM headwater.publish_log`); bad != 0 || n != int64(each*len(views)) {
		t.Errorf("found %d publications, %d of them out of order, expected %d in order", n, bad, each*len(views))
	}
	if head := w.count(t, `SELECT position FROM headwater.publish_head`); head != int64(each*len(views)) {
		t.Errorf("found the newest position %d, expected %d", head, each*len(views))
	}
}

// What is loaded online in the wrong order, twice or late ends as if it had been loaded in order.
func TestOnlineLoadsInAnyOrder(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("b", 1, hours(0), 1))
	r1 := w.run(t, view, nil)
	w.load(t, src, first, reading("a", 1, hours(0), 2), reading("c", 1, hours(0), 1))
	r2 := w.run(t, view, nil)
	for _, r := range []*Run{r2, r1, r2, r1} {
		if err := w.m.loader.load(context.Background(), r.ID); err != nil {
			t.Fatal(err)
		}
		w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE headwater.run SET online_state = 'pending'`)
			return err
		})
		got := w.online(t, view, "a|1", "b|1", "c|1")
		if got[0].Status != read.Present || got[0].Values[0].Text() != "2" || got[0].RunSeq != 2 || got[1].Status != read.NoRow ||
			got[2].Status != read.Present {
			t.Fatalf("after the load of run %d: found %+v", r.Seq, got)
		}
	}
}
