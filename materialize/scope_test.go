package materialize

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
)

// incremental is runIncremental for a run that must succeed.
func (w *world) incremental(t testing.TB, v *feature.ViewVersion) *Run {
	t.Helper()
	r := w.runIncremental(t, v)
	if r.State != Published {
		t.Fatalf("found run %s %s (%s), expected it published", r.Ref(), r.State, r.Error)
	}
	return r
}

// wantSpans holds a run's intervals to those given, in hours and microseconds.
func wantSpans(t *testing.T, r *Run, want ...string) {
	t.Helper()
	var found []string
	for _, s := range r.Spans {
		found = append(found, fmt.Sprintf("%s-%s", s.Start.Time().Format("15:04:05.999999"), s.End.Time().Format("15:04:05.999999")))
	}
	if got := strings.Join(found, " "); got != strings.Join(want, " ") {
		t.Errorf("run %s: found the intervals %s, expected %s", r.Ref(), got, strings.Join(want, " "))
	}
}

// wantAsFull runs all of it again, which must find nothing to do.
func (w *world) wantAsFull(t *testing.T, v *feature.ViewVersion) {
	t.Helper()
	if r := w.published(t, v, nil); r.Ledger.Inserted+r.Ledger.Withdrawn > 0 {
		t.Errorf("a full run after incremental ones found %+v to do", r.Ledger)
	}
}

func TestARunWithNothingNewReadsAndWritesNothing(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	over := w.newViewOver(t, view, same, 0, 0)
	windows := w.newWindowView(t, src, 30*time.Minute)
	w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("b", 1, hours(1), 1))
	for _, v := range []*feature.ViewVersion{view, over, windows} {
		first := w.incremental(t, v)
		// Whoever reads landing or a history waits.
		tx, err := w.pool.Begin(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{`headwater_landing."` + src.Name + `"`, `headwater_history."` + view.Name + `_v1"`, `headwater_history."` + v.Name + `_v1"`} {
			if _, err := tx.Exec(context.Background(), "LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE"); err != nil {
				t.Fatal(err)
			}
		}
		r := w.incremental(t, v)
		if err := tx.Rollback(context.Background()); err != nil {
			t.Fatal(err)
		}
		wantSpans(t, r)
		live := first.Ledger.LiveAfter
		wantLedger(t, r, Ledger{LiveBefore: live, LiveAfter: live})
		if r.Position != first.Position+1 || r.Seq != first.Seq+1 || r.Scope != "incremental" {
			t.Errorf("found %s, %s at position %d, expected it published behind %d", r.Ref(), r.Scope, r.Position, first.Position)
		}
		if err := w.m.loader.load(context.Background(), r.ID); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARunOfAnIntervalWhoseSourceDidNotChangeWritesNothing(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	for _, view := range []*feature.ViewVersion{w.newView(t, src, latest, 0), w.newView(t, src, hourly, time.Hour), w.newWindowView(t, src, 30*time.Minute)} {
		w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("b", 1, hours(1.2), 2), reading("a", 1, hours(3), 2))
		w.incremental(t, view)
		before := describe(w.history(t, view))
		r := w.published(t, view, &reference.Interval{Start: hours(1), End: hours(2)})
		if r.Ledger.Produced == 0 || r.Ledger.Inserted+r.Ledger.Withdrawn > 0 || r.Ledger.Unchanged != r.Ledger.Produced {
			t.Errorf("found %+v", r.Ledger)
		}
		if after := describe(w.history(t, view)); after != before {
			t.Errorf("found history\n%s\nexpected\n%s", after, before)
		}
	}
}

// Late rows, replaced and retracted ones are followed by load number, wherever in time they lie.
func TestIncrementalRunsFollowLoads(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	groups, rows := w.newView(t, src, hourly, time.Hour), w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, reading("a", 1, hours(0.5), 1), reading("a", 1, hours(5.5), 1))
	wantSpans(t, w.incremental(t, groups), "00:00:00-06:00:00")
	wantSpans(t, w.incremental(t, rows), "00:30:00-05:30:00.000001")

	late := w.load(t, src, 0, reading("b", 1, hours(2.1), 1), reading("a", 1, hours(7), 1))
	wantSpans(t, w.incremental(t, groups), "02:00:00-03:00:00", "06:00:00-08:00:00")
	wantSpans(t, w.incremental(t, rows), "02:06:00-02:06:00.000001", "05:30:00.000001-07:00:00.000001")

	if w.load(t, src, first, reading("a", 1, hours(0.5), 2), reading("a", 1, hours(4.5), 1)) == 0 {
		t.Fatal("no load")
	}
	r := w.incremental(t, groups)
	wantSpans(t, r, "00:00:00-01:00:00", "04:00:00-06:00:00")
	if r.Ledger.Inserted != 2 || r.Ledger.Withdrawn != 2 || r.Ledger.Read != 2 {
		t.Errorf("found %+v", r.Ledger)
	}
	w.retract(t, late)
	wantSpans(t, w.incremental(t, groups), "02:00:00-03:00:00", "07:00:00-08:00:00")
	wantSpans(t, w.incremental(t, rows), "00:30:00-00:30:00.000001", "02:06:00-02:06:00.000001", "04:30:00-04:30:00.000001",
		"05:30:00-05:30:00.000001", "07:00:00-07:00:00.000001")
	w.wantAsFull(t, groups)
	w.wantAsFull(t, rows)
}

// A load that began first and commits last has the greater number, and is not missed.
func TestALoadThatCommitsOutOfOrderIsNotMissed(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	begun, finish, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		_, err := w.tryLoad(src, 0, func(yield func(reference.SourceRow) bool) {
			close(begun)
			<-finish
			yield(reading("slow", 1, hours(1), 1))
		})
		done <- err
	}()
	<-begun
	w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("a", 1, hours(5), 1))
	if r := w.incremental(t, view); r.Ledger.Inserted != 2 {
		t.Errorf("found %+v", r.Ledger)
	}
	close(finish)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r := w.incremental(t, view)
	wantSpans(t, r, "01:00:00-01:00:00.000001")
	if r.Ledger.Read != 1 || r.Ledger.Inserted != 1 {
		t.Errorf("found %+v", r.Ledger)
	}
	w.wantAsFull(t, view)
}

// A run of an interval is no reason to think that what is new elsewhere was seen.
func TestARunOfAnIntervalLeavesWhatIsNewElsewhere(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, hourly, time.Hour)
	w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("a", 1, hours(3), 1))
	w.incremental(t, view)
	w.load(t, src, 0, reading("b", 1, hours(0), 1), reading("b", 1, hours(2), 1))
	w.published(t, view, &reference.Interval{Start: hours(2), End: hours(3)})
	r := w.incremental(t, view)
	wantSpans(t, r, "00:00:00-01:00:00", "02:00:00-03:00:00")
	if r.Ledger.Inserted != 1 || r.Ledger.Unchanged != 2 {
		t.Errorf("found %+v", r.Ledger)
	}
	// One of all that was covered has seen it all.
	w.load(t, src, 0, reading("c", 1, hours(0), 1))
	w.published(t, view, &reference.Interval{Start: hours(-1), End: hours(4)})
	wantSpans(t, w.incremental(t, view))
	w.wantAsFull(t, view)
}

// What runs cover has gaps until runs fill them.
func TestCoverageIsNoHull(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, hourly, time.Hour)
	w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("a", 1, hours(2), 1), reading("a", 1, hours(4), 1))
	w.published(t, view, &reference.Interval{Start: hours(0), End: hours(1)})
	w.published(t, view, &reference.Interval{Start: hours(4), End: hours(5)})
	r := w.incremental(t, view)
	if r.Ledger.LiveAfter != 3 || r.Ledger.Inserted != 1 {
		t.Errorf("found %+v in %v", r.Ledger, r.Spans)
	}
	w.wantAsFull(t, view)
}

func TestARowThatSupersedesAnotherIsFollowedToIt(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.UniqueKey, s.Conflicting = []string{"name", "room"}, feature.KeepNewest
	})
	view := w.newView(t, src, hourly, time.Hour)
	w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("b", 1, hours(1), 1), reading("c", 1, hours(2), 1))
	w.incremental(t, view)
	moved := w.load(t, src, 0, reading("b", 1, hours(2.5), 2))
	r := w.incremental(t, view)
	wantSpans(t, r, "01:00:00-03:00:00")
	expectLive(t, w, view, "a|1 01:00 known 01:00: 1 1", "b|1 03:00 known 03:00: 2 1", "c|1 03:00 known 03:00: 1 1")
	w.retract(t, moved)
	wantSpans(t, w.incremental(t, view), "01:00:00-03:00:00")
	expectLive(t, w, view, "a|1 01:00 known 01:00: 1 1", "b|1 02:00 known 02:00: 1 1", "c|1 03:00 known 03:00: 1 1")
	w.wantAsFull(t, view)
}

// A late row changes windows until it has left the longest, and no further; the row behind them is right as it is.
func TestWindowsAreComputedAsFarAsARowIsSeen(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newWindowView(t, src, 30*time.Minute)
	w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("a", 1, hours(5), 1), reading("a", 1, hours(10), 1))
	wantSpans(t, w.incremental(t, view), "23:30:00-12:00:00")
	late := w.load(t, src, 0, reading("a", 1, hours(3.1), 5))
	r := w.incremental(t, view)
	wantSpans(t, r, "03:00:00-05:30:00")
	if r.Ledger.Read != 2 || r.Ledger.Used != 2 {
		t.Errorf("found %+v", r.Ledger)
	}
	w.wantAsFull(t, view)
	w.retract(t, late)
	wantSpans(t, w.incremental(t, view), "03:00:00-05:30:00")
	w.wantAsFull(t, view)
	// Before all that was covered.
	w.load(t, src, 0, reading("a", 1, hours(-4), 1), reading("a", 1, hours(-0.75), 1))
	wantSpans(t, w.incremental(t, view), "19:30:00-01:30:00")
	w.wantAsFull(t, view)
}

func TestViewsOverViewsFollowRuns(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	base := w.newView(t, src, hourly, time.Hour)
	days := w.newViewOver(t, base, daily, 24*time.Hour, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("a", 1, hours(30), 1), reading("a", 1, hours(50), 1))
	w.incremental(t, base)
	w.incremental(t, days)
	w.load(t, src, 0, reading("a", 1, hours(31), 7))
	w.incremental(t, base)
	r := w.incremental(t, days)
	if len(r.Spans) != 1 || r.Spans[0].Start != hours(24) || r.Spans[0].End != hours(48) || r.Ledger.Read != 2 || r.Ledger.Inserted != 1 {
		t.Errorf("found %+v in %v", r.Ledger, r.Spans)
	}
	w.wantAsFull(t, days)
}

func TestRunsOfTablesOfOthersFollowTheirChangeColumn(t *testing.T) {
	w := newWorld(t)
	execute(t, w.pool, makeReadings)
	execute(t, w.pool, `INSERT INTO plant.readings VALUES ('a', 1, 1, '', '2024-01-01 00:00Z', '2024-01-02 00:00Z'),
		('b', 1, 1, '', '2024-01-01 01:00Z', '2024-01-02 00:01Z'), ('c', 1, 1, '', '2024-01-01 02:00Z', '2024-01-02 00:02Z')`)
	all := w.newView(t, w.foreignSource(t, "", func(*feature.Source) {}), latest, 0)
	src := w.foreignSource(t, "", func(s *feature.Source) { s.Postgres.ChangeColumn = "seen" })
	view := w.newView(t, src, latest, 0)
	const whole = "00:00:00-02:00:00.000001"
	for _, v := range []*feature.ViewVersion{all, view} {
		wantSpans(t, w.incremental(t, v), whole)
	}
	wantSpans(t, w.incremental(t, all), whole)
	wantSpans(t, w.incremental(t, view))

	execute(t, w.pool, `UPDATE plant.readings SET value = 2, seen = '2024-01-02 01:00Z' WHERE name = 'b'; DELETE FROM plant.readings WHERE name = 'a'`)
	r := w.incremental(t, view)
	wantSpans(t, r, "01:00:00-01:00:00.000001")
	if want := "source " + src.Name + ": its rows were followed by seen; what rows that were deleted, or that moved to another event time, left " +
		"behind is withdrawn by a run with --full"; len(r.Warnings) == 0 || r.Warnings[0] != want {
		t.Errorf("found warnings %q, expected %s", r.Warnings, want)
	}
	if n := w.count(t, `SELECT count(*) FROM headwater_history."`+view.Name+`_v1" WHERE seq_to > 1000`); n != 3 {
		t.Errorf("found %d live rows, expected that of the deleted one too", n)
	}
	if r := w.published(t, view, nil); r.Ledger.Withdrawn != 1 || r.Ledger.Inserted != 0 {
		t.Errorf("found %+v, expected the deleted row withdrawn", r.Ledger)
	}
	// What was committed late is within what is read again.
	src.Postgres.Reread = time.Hour
	execute(t, w.pool, `UPDATE plant.readings SET value = 3, seen = '2024-01-02 00:30Z' WHERE name = 'c'`)
	if r := w.incremental(t, view); r.Ledger.Inserted != 1 || r.Ledger.Withdrawn != 1 {
		t.Errorf("found %+v", r.Ledger)
	}
	// Another column tells nothing of what was seen of this one.
	src.Postgres.ChangeColumn, src.Postgres.Reread = "at", 0
	wantSpans(t, w.incremental(t, view), whole)
	wantSpans(t, w.incremental(t, view))
}

// An attempt that follows one which died reads by the plan of the first, whatever came since.
func TestALaterAttemptReadsByThePlan(t *testing.T) {
	for _, step := range []string{stepPlanned, stepRead, stepWritten, stepPublishing} {
		w := newWorld(t)
		src := w.newSource(t)
		view := w.newView(t, src, latest, 0)
		w.load(t, src, 0, reading("a", 1, hours(0), 1))
		runs, err := w.m.Enqueue(context.Background(), []Request{{View: view, Principal: "test"}})
		if err != nil {
			t.Fatal(err)
		}
		id := runs[0].ID
		w.m.runner.reached = func(at string) error {
			if at == step {
				return fmt.Errorf("stopped at %s", at)
			}
			return nil
		}
		if err := w.m.runner.run(context.Background(), id); err == nil {
			t.Fatalf("found a run that went through %s", step)
		}
		w.m.runner.reached = func(string) error { return nil }
		w.load(t, src, 0, reading("b", 1, hours(1), 1))
		if err := w.work(id); err != nil {
			t.Fatal(err)
		}
		r := w.get(t, id)
		if r.State != Published || r.Ledger.Read != 1 || r.Inputs[0].LoadNumber != 1 {
			t.Errorf("%s: found %s %+v, up to load %d", step, r.State, r.Ledger, r.Inputs[0].LoadNumber)
		}
		if r := w.incremental(t, view); r.Ledger.Read != 1 || r.Ledger.Inserted != 1 || r.Inputs[0].LoadNumber != 2 {
			t.Errorf("%s: found %+v", step, r.Ledger)
		}
	}
}
