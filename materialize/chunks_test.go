package materialize

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
)

// manyReadings are rows of four sensors over forty hours.
func manyReadings(value float64) []reference.SourceRow {
	var rows []reference.SourceRow
	for i := range 40 {
		rows = append(rows, reading(fmt.Sprint("s", i%4), int64(i%4), hours(float64(i)), value+float64(i)))
	}
	return rows
}

// state is what a run left: its digest, its ledger and the view's history.
func (w *world) state(t *testing.T, v *feature.ViewVersion, r *Run) string {
	t.Helper()
	return fmt.Sprintf("%s %+v %v\n%s", r.Digest, r.Ledger, r.Reasons, describe(w.history(t, v)))
}

func (w *world) wantNoStaging(t *testing.T) {
	t.Helper()
	if n := w.count(t, `SELECT count(*) FROM pg_tables WHERE schemaname = 'headwater_staging'`); n != 0 {
		t.Errorf("found %d tables in staging, expected none", n)
	}
}

func (w *world) chunksOf(t *testing.T, r *Run) (done, all int64) {
	t.Helper()
	return w.count(t, `SELECT count(*) FROM headwater.run_chunk WHERE run_id = $1 AND done_at IS NOT NULL`, r.ID),
		w.count(t, `SELECT count(*) FROM headwater.run_chunk WHERE run_id = $1`, r.ID)
}

func (w *world) makeFull(t *testing.T, r *Run) {
	t.Helper()
	if _, err := w.pool.Exec(t.Context(), `UPDATE headwater.run SET scope = 'full' WHERE id = $1`, r.ID); err != nil {
		t.Fatal(err)
	}
}

// whole runs the same as do in a world without chunks.
func whole(t *testing.T, do func(w *world) string) string {
	t.Helper()
	return do(newWorld(t))
}

// A run in chunks does what one in a piece does: to an empty history, to one that has most of it, with duplicates, and over
// groups.
func TestChunksAreTheRun(t *testing.T) {
	for _, c := range []struct {
		name, query string
		grain       time.Duration
		change      func(*feature.Source)
	}{
		{"rows", latest, 0, func(*feature.Source) {}},
		{"groups", hourly, time.Hour, func(*feature.Source) {}},
		{"duplicates", latest, 0, func(s *feature.Source) {
			s.UniqueKey, s.Exact, s.Conflicting = []string{"name", "room", "at"}, feature.DropExact, feature.KeepNewest
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			do := func(w *world) string {
				src := w.newSourceWith(t, c.change)
				view := w.newView(t, src, c.query, c.grain)
				first := w.load(t, src, 0, manyReadings(0)...)
				w.load(t, src, 0, reading("s1", 1, hours(1), 700), reading("s2", 2, hours(2), 2))
				r1 := w.published(t, view, nil)
				states := w.state(t, view, r1)
				changed := manyReadings(0)
				changed[7] = reading("s3", 3, hours(7), 99)
				changed = slices.Delete(changed, 20, 22)
				w.load(t, src, first, append(changed, reading("new", 9, hours(50), 1))...)
				for _, full := range []bool{false, true} {
					r := w.enqueue(t, view, nil)
					if full {
						w.makeFull(t, r)
					}
					if err := w.work(r.ID); err != nil {
						t.Fatal(err)
					}
					states += w.state(t, view, w.get(t, r.ID))
				}
				w.wantNoStaging(t)
				return states
			}
			chunked := newChunkedWorld(t, 6)
			if got, want := do(chunked), whole(t, do); got != want {
				t.Errorf("found %s\nexpected %s", got, want)
			}
			if n := chunked.count(t, `SELECT count(*) FROM headwater.run_chunk WHERE done_at IS NOT NULL`); n < 8 {
				t.Errorf("found %d chunks, expected several of each run", n)
			}
		})
	}
}

// A process dies at each step of a run in chunks, twice over: the run goes on under its sequence, computes no chunk again, and
// ends as one that nobody disturbed.
func TestRunGoesOnAtTheFirstChunkThatIsNotDone(t *testing.T) {
	scenario := func(w *world, disturb func(r *Run)) string {
		src := w.newSource(t)
		view := w.newView(t, src, latest, 0)
		first := w.load(t, src, 0, manyReadings(0)...)
		var states strings.Builder
		for i := range 2 {
			r := w.enqueue(t, view, nil)
			disturb(r)
			if err := w.work(r.ID); err != nil {
				t.Fatal(err)
			}
			if r = w.get(t, r.ID); r.State != Published || r.Seq != int64(i+1) {
				t.Fatalf("found the run %s %s (%s), expected it published as sequence %d", r.Ref(), r.State, r.Error, i+1)
			}
			states.WriteString(w.state(t, view, r))
			first = w.load(t, src, first, manyReadings(5)...)
		}
		w.wantNoStaging(t)
		return states.String()
	}
	want := scenario(newChunkedWorld(t, 6), func(*Run) {})
	for _, step := range []string{stepCut, stepChunk, stepChunkWritten, stepChunkDone, stepChunksDone, stepWritten, stepPublishing} {
		t.Run(step, func(t *testing.T) {
			w := newChunkedWorld(t, 6)
			got := scenario(w, func(r *Run) {
				times := 2
				if step == stepCut {
					// Once is enough for good.
					times = 1
				}
				for range times {
					before, _ := w.chunksOf(t, r)
					w.dieAt(t, r, step)
					done, all := w.chunksOf(t, r)
					if all < 2 || done < before {
						t.Errorf("found %d of %d chunks done after %s, %d before", done, all, step, before)
					}
					if step == stepChunkDone && done == 0 {
						t.Error("found no chunk done, expected those that were committed")
					}
				}
			})
			if got != want {
				t.Errorf("found %s\nexpected %s", got, want)
			}
		})
	}
}

// What cannot go on now goes on later, where it was.
func TestBrokenChunkIsTriedAgain(t *testing.T) {
	w := newChunkedWorld(t, 6)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, manyReadings(0)...)
	r := w.enqueue(t, view, nil)
	var chunks atomic.Int64
	broken := errors.New("broken")
	w.reached = func(step string) error {
		if step == stepChunk && chunks.Add(1) > 3 {
			return broken
		}
		return nil
	}
	if err := w.m.runner.run(context.Background(), r.ID); !errors.Is(err, broken) {
		t.Fatalf("found %v, expected %v", err, broken)
	}
	done, all := w.chunksOf(t, r)
	if r = w.get(t, r.ID); r.State != Queued || r.Seq != 1 || done == 0 || done == all {
		t.Errorf("found the run %s as sequence %d with %d of %d chunks, expected it to wait with some of them", r.State, r.Seq, done, all)
	}
	// Another run of the view version waits until the one that is half written has ended.
	other := w.enqueue(t, view, nil)
	if err := w.m.runner.run(context.Background(), other.ID); !errors.Is(err, errLeaseHeld) {
		t.Errorf("found %v, expected %v", err, errLeaseHeld)
	}
	chunks.Store(0)
	w.reached = func(step string) error {
		if step == stepChunk {
			chunks.Add(1)
		}
		return nil
	}
	if err := w.work(r.ID); err != nil {
		t.Fatal(err)
	}
	if n := chunks.Load(); n != all-done {
		t.Errorf("found %d chunks computed after that, expected the %d that were left", n, all-done)
	}
	if err := w.work(other.ID); err != nil {
		t.Fatal(err)
	}
	if r = w.get(t, r.ID); r.State != Published || r.Seq != 1 || w.get(t, other.ID).Seq != 2 {
		t.Errorf("found the run %s as sequence %d", r.State, r.Seq)
	}
}

// A run that is given up after some of its chunks leaves nothing of them, whether it is a first one or not.
func TestGivenUpChunksAreUndone(t *testing.T) {
	for _, first := range []bool{true, false} {
		for _, how := range []string{"refused", "given up"} {
			t.Run(fmt.Sprint(how, " first ", first), func(t *testing.T) {
				w := newChunkedWorld(t, 6)
				src := w.newSource(t)
				view := w.newView(t, src, latest, 0)
				load := w.load(t, src, 0, manyReadings(0)...)
				if !first {
					w.published(t, view, nil)
					w.load(t, src, load, manyReadings(5)...)
				}
				before := describe(w.history(t, view))
				r := w.enqueue(t, view, nil)
				if how == "refused" {
					good := view.SQL
					query := strings.Replace(good.Query, "max(value)", "max(1 / (value - 39 - 5))", 1)
					if first {
						query = strings.Replace(good.Query, "max(value)", "max(1 / (value - 39))", 1)
					}
					view.SQL = &feature.SQLTransform{Sources: good.Sources, Query: query}
					if err := w.work(r.ID); err != nil {
						t.Fatal(err)
					}
					view.SQL = good
				} else {
					w.dieAt(t, r, stepChunkDone)
					if err := w.m.runner.giveUp(context.Background(), r.ID, errors.New("away")); err != nil {
						t.Fatal(err)
					}
				}
				if r = w.get(t, r.ID); r.State != Failed {
					t.Errorf("found the run %s, expected it failed", r.State)
				}
				if after := describe(w.history(t, view)); after != before {
					t.Errorf("found %s\nexpected %s", after, before)
				}
				if _, all := w.chunksOf(t, r); all != 0 {
					t.Errorf("found %d chunks, expected none", all)
				}
				w.wantNoStaging(t)
				if r := w.published(t, view, nil); r.Ledger.LiveAfter != 40 {
					t.Errorf("found %d live rows after the next run, expected 40", r.Ledger.LiveAfter)
				}
			})
		}
	}
}

// Two rows of one moment are refused in words, by the key that is built after and by the comparison.
func TestTwoRowsOfOneMomentInChunks(t *testing.T) {
	for _, first := range []bool{true, false} {
		w := newChunkedWorld(t, 6)
		src := w.newSource(t)
		view := w.newView(t, src, latest, 0)
		w.load(t, src, 0, manyReadings(0)...)
		if !first {
			w.published(t, view, nil)
		}
		view.SQL = &feature.SQLTransform{Sources: view.SQL.Sources, Query: fmt.Sprintf(
			`SELECT name, room, event_time, available_at, value, 1 AS rows FROM %s, generate_series(1, 1 + (value = 17)::int) g`, src.Name)}
		r := w.enqueue(t, view, nil)
		w.makeFull(t, r)
		if err := w.work(r.ID); err != nil {
			t.Fatal(err)
		}
		want := "found more than one row for (entity_key, event_time, available_at) = (s1|1, 2024-01-01 17:00:00+00, 2024-01-01 17:00:00+00)"
		if r = w.get(t, r.ID); r.State != Failed || !strings.Contains(r.Error, want) {
			t.Errorf("first %t: found the run %s: %q, expected %q", first, r.State, r.Error, want)
		}
		w.wantNoStaging(t)
	}
}
