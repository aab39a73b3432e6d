package materialize

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// counting takes as long as the values of its rows are great.
const counting = `
	SELECT name, room, event_time, available_at, count(*)::double precision AS value, count(*) AS rows
	FROM %s CROSS JOIN LATERAL generate_series(1, value::bigint) AS n
	WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}
	GROUP BY name, room, event_time, available_at`

func (w *world) cancel(t testing.TB, by, reason string, ids ...int64) {
	t.Helper()
	if err := w.m.Cancel(context.Background(), ids, by, reason); err != nil {
		t.Fatal(err)
	}
}

// until waits for what is true soon.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for: %s", what)
		}
	}
}

func TestAQueuedRunIsCancelledAtOnce(t *testing.T) {
	w := newWorld(t)
	audited := 0
	w.audit = func(r *Run) error {
		if r.State == Cancelled && r.CancelledBy == "ann" {
			audited++
		}
		return nil
	}
	src := w.newSource(t)
	v := w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	first, second := w.enqueue(t, v, nil), w.enqueue(t, v, nil)
	w.cancel(t, "ann", "the wrong view", first.ID)
	// Whoever comes later changes nothing.
	w.cancel(t, "ben", "", first.ID, first.ID)
	r := w.get(t, first.ID)
	if r.State != Cancelled || r.EndedAt == nil || r.CancelledBy != "ann" || r.Error != "cancelled by ann: the wrong view" {
		t.Errorf("found the run %s by %q: %q, expected it cancelled by ann for her reason", r.State, r.CancelledBy, r.Error)
	}
	if n := w.count(t, `SELECT count(*) FROM headwater.outbox WHERE topic = 'run.cancelled' AND payload->>'by' = 'ann'`); n != 1 || audited != 1 {
		t.Errorf("found %d messages and %d audit records, expected one of each", n, audited)
	}
	for _, id := range []int64{first.ID, second.ID} {
		if err := w.work(id); err != nil {
			t.Fatal(err)
		}
	}
	if r := w.get(t, second.ID); r.State != Published || r.Seq != 1 || w.get(t, first.ID).State != Cancelled {
		t.Errorf("found the other run %s, expected it published as the first", r.State)
	}

	third := w.enqueue(t, v, nil)
	err := w.m.Cancel(context.Background(), []int64{third.ID, second.ID}, "ann", "")
	if f := fault.As(err); f == nil || f.Reason != fault.FailedPrecondition || !strings.Contains(f.Error(), "is published, expected one that has not ended") {
		t.Errorf("of a published run: found %v, expected it refused", err)
	}
	if r := w.get(t, third.ID); r.State != Queued || r.CancelRequestedAt != nil {
		t.Errorf("found the run that was named with it %s, expected it left alone", r.State)
	}
}

func TestARunIsCancelledWhilePostgresWorksForIt(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	v := w.newView(t, src, counting, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), 2))
	w.published(t, v, nil)
	before := describe(w.history(t, v))
	endless := w.load(t, src, 0, reading("a", 1, hours(2), 1e12))
	// Whichever of the two works on it.
	w.start(t)
	w.start(t)
	busy := func() bool {
		return w.count(t, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'active' AND query LIKE '%generate_series%' AND pid <> pg_backend_pid()`) > 0
	}
	r := w.enqueue(t, v, nil)
	until(t, "the statement", busy)
	next := w.enqueue(t, v, nil)
	until(t, "the next run to wait", func() bool { return strings.Contains(w.get(t, next.ID).WaitsFor, "which has begun") })
	w.cancel(t, "ann", "", next.ID)
	w.cancel(t, "ann", "it never ends", r.ID)
	r = w.await(t, r.ID)
	if r.State != Cancelled || r.Error != "cancelled by ann: it never ends" {
		t.Errorf("found the run %s: %q, expected it cancelled", r.State, r.Error)
	}
	until(t, "the statement's end", func() bool { return !busy() })
	if after := describe(w.history(t, v)); after != before {
		t.Errorf("found %s, expected %s", after, before)
	}
	w.load(t, src, endless, reading("a", 1, hours(2), 3))
	if r := w.await(t, w.enqueue(t, v, nil).ID); r.State != Published {
		t.Errorf("found the run after it %s (%s), expected it published", r.State, r.Error)
	}
}

func TestWhatACancelledRunWroteIsUndone(t *testing.T) {
	for _, step := range []string{stepBegun, stepWritten} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			src := w.newSource(t)
			v := w.newView(t, src, latest, 0)
			first := w.load(t, src, 0, reading("a", 1, hours(1), 1))
			w.published(t, v, nil)
			before := describe(w.history(t, v))
			w.load(t, src, first, reading("a", 1, hours(1), 2))
			r := w.enqueue(t, v, nil)
			w.reached = func(at string) error {
				if at == step {
					w.cancel(t, "ann", "", r.ID)
				}
				return nil
			}
			if err := w.work(r.ID); err != nil {
				t.Fatal(err)
			}
			w.reached = func(string) error { return nil }
			if r = w.get(t, r.ID); r.State != Cancelled {
				t.Errorf("found the run %s, expected it cancelled", r.State)
			}
			if after := describe(w.history(t, v)); after != before {
				t.Errorf("found %s, expected %s", after, before)
			}
			w.published(t, v, nil)
		})
	}
}

func TestARunWhoseServerDiedIsCancelledByAnother(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	v := w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	r := w.enqueue(t, v, nil)
	w.dieAt(t, r, stepWritten)
	w.cancel(t, "ann", "", r.ID)
	if now := w.get(t, r.ID); now.State != Running {
		t.Errorf("found the run %s, expected it running until what it wrote is undone", now.State)
	}
	w.start(t)
	if r = w.await(t, r.ID); r.State != Cancelled || len(w.history(t, v)) != 0 {
		t.Errorf("found the run %s and %s, expected it cancelled and no row", r.State, describe(w.history(t, v)))
	}
}

func TestARunIsTriedAsOftenAsItsViewSays(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	v := w.newView(t, src, latest, 0)
	v.Schedule = &feature.Schedule{Attempts: 3, Priority: 4}
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	r := w.enqueue(t, v, nil)
	if r.Priority != 4 || w.count(t, `SELECT priority FROM headwater_jobs.river_job WHERE (args->>'run_id')::bigint = $1`, r.ID) != 4 {
		t.Errorf("found priority %d, expected 4, of its job too", r.Priority)
	}
	away := fault.New(fault.PostgresUnavailable, "database orders is away")
	w.reached = func(string) error { return away }
	if err := w.m.runner.run(context.Background(), r.ID); !errors.Is(err, away) {
		t.Errorf("found %v, expected the fault", err)
	}
	r = w.get(t, r.ID)
	if r.State != Queued || r.Attempt != 1 || r.NotBefore == nil || !r.NotBefore.After(r.QueuedAt) || r.Error != "database orders is away" {
		t.Errorf("found the run %s after attempt %d, not before %v: %q", r.State, r.Attempt, r.NotBefore, r.Error)
	}
	// The wait is half a second, which may be over before the run is read.
	if _, err := w.pool.Exec(t.Context(), `UPDATE headwater.run SET not_before = now() + interval '1 hour' WHERE id = $1`, r.ID); err != nil {
		t.Fatal(err)
	}
	r = w.get(t, r.ID)
	if want := "its attempt 2 of 3, at "; !strings.HasPrefix(r.WaitsFor, want) {
		t.Errorf("found that it waits for %q, expected %q", r.WaitsFor, want)
	}
	// A server that stops leaves the attempt to another.
	ctx, stop := context.WithCancel(context.Background())
	w.reached = func(string) error { stop(); return ctx.Err() }
	if err := w.m.runner.run(ctx, r.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("found %v, expected that it was stopped", err)
	}
	if r = w.get(t, r.ID); r.State != Queued || r.Attempt != 1 || r.NotBefore != nil {
		t.Errorf("found the run %s after attempt %d, expected it queued after 1", r.State, r.Attempt)
	}
	// One that dies does not.
	w.dieAt(t, r, stepBegun)
	w.reached = func(string) error { return away }
	_ = w.m.runner.run(context.Background(), r.ID)
	r = w.get(t, r.ID)
	if want := "the attempts are used up, the last one ended so: database orders is away"; r.State != Failed || r.Error != want || r.Attempt != 3 {
		t.Errorf("found the run %s after attempt %d: %q, expected it failed after 3: %q", r.State, r.Attempt, r.Error, want)
	}
}

func TestARunThatTakesItsServersAlongEnds(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	v := w.newView(t, src, latest, 0)
	v.Schedule = &feature.Schedule{Attempts: 2}
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	r := w.enqueue(t, v, nil)
	w.dieAt(t, r, stepWritten)
	w.dieAt(t, r, stepWritten)
	if err := w.work(r.ID); err != nil {
		t.Fatal(err)
	}
	if r = w.get(t, r.ID); r.State != Failed || r.Error != errAttemptsUsedUp.Error() || len(w.history(t, v)) != 0 {
		t.Errorf("found the run %s: %q, expected it failed and undone", r.State, r.Error)
	}
}

func TestBackoffGrowsToHalfAMinute(t *testing.T) {
	for attempt, wait := range map[int]time.Duration{0: 500, 1: 500, 2: 1000, 4: 4000, 7: 30000, 90: 30000} {
		wait *= time.Millisecond
		for range 100 {
			if found := backoff(attempt); found < wait*3/4 || found > wait*5/4 {
				t.Fatalf("attempt %d: found %s, expected about %s", attempt, found, wait)
			}
		}
	}
}

// A run that waits to be tried again, or for the lease of its view, has ended when it is cancelled.
func TestARunThatWaitsIsCancelled(t *testing.T) {
	for _, chunkRows := range []int64{0, 6} {
		w := newChunkedWorld(t, chunkRows)
		src := w.newSource(t)
		v := w.newView(t, src, latest, 0)
		w.load(t, src, 0, manyReadings(0)...)
		broken := errors.New("the server went away")
		r, other := w.enqueue(t, v, nil), w.enqueue(t, v, nil)
		var once sync.Once // Chunks end side by side.
		w.reached = func(step string) error {
			switch step {
			case stepChunkDone, stepWritten:
				// Another run of the view finds its lease taken, and is cancelled while it waits for it.
				once.Do(func() {
					if err := w.m.runner.run(context.Background(), other.ID); !errors.Is(err, errLeaseHeld) {
						t.Errorf("found %v, expected the lease held", err)
					}
					w.cancel(t, "ann", "", other.ID)
				})
				return broken
			}
			return nil
		}
		err := w.m.runner.run(context.Background(), r.ID)
		w.reached = func(string) error { return nil }
		if !errors.Is(err, broken) || w.get(t, other.ID).State != Cancelled {
			t.Errorf("found %v, and the other run %s, expected it cancelled", err, w.get(t, other.ID).State)
		}
		if now := w.get(t, r.ID); now.State != Queued || now.NotBefore == nil {
			t.Errorf("found the run %s, expected it to wait for another attempt", now.State)
		}
		w.cancel(t, "ann", "", r.ID)
		// What is half written is undone by whoever takes it up.
		if err := w.work(r.ID); err != nil {
			t.Fatal(err)
		}
		if now := w.get(t, r.ID); now.State != Cancelled || len(w.history(t, v)) != 0 {
			t.Errorf("found the run %s, and %d rows", now.State, len(w.history(t, v)))
		}
		w.wantNoStaging(t)
		w.published(t, v, nil)
	}
}
