package materialize

import (
	"context"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
)

// Rows are held to another source when they are read. What becomes of that one later has nothing read again, and a run that follows what
// is new says so: how many rows may be let in, and how many values that were let in by are gone.
func TestWhatIsReferredToMayChange(t *testing.T) {
	w := newWorld(t)
	rooms := w.newSource(t)
	w.registerSource(t, rooms)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.MaxQuarantineRatio = all(1.0)
		s.Expectations = expecting(feature.Expectation{Name: "known", Column: "room", Kind: feature.ExpectReferences,
			References: &feature.Reference{Source: rooms.Name}, OnFailure: feature.QuarantineRow, WarnAbove: 1})
	})
	view := w.newView(t, src, latest, 0)
	warned := func(r *Run, want ...string) {
		t.Helper()
		if len(r.Warnings) != len(want) {
			t.Errorf("run %s: found warnings %q, expected %q", r.Ref(), r.Warnings, want)
			return
		}
		for i := range want {
			if !strings.Contains(r.Warnings[i], want[i]) {
				t.Errorf("run %s: found warnings %q, expected %q", r.Ref(), r.Warnings, want)
			}
		}
	}
	live := func(want int64) {
		t.Helper()
		if n := w.get(t, w.incremental(t, view).ID).Ledger.LiveAfter; n != want {
			t.Errorf("found %d live rows, expected %d", n, want)
		}
	}
	first := w.load(t, rooms, 0, reading("x", 1, hours(0), 0), reading("x", 2, hours(0), 0))
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("a", 3, hours(2), 1), reading("a", 4, hours(3), 1), reading("b", 2, hours(4), 1))
	warned(w.incremental(t, view))
	warned(w.incremental(t, view))

	// Rooms 3 and 5 come. A new row is held to them, those that were set aside wait.
	w.load(t, rooms, 0, reading("x", 3, hours(0), 0), reading("x", 5, hours(0), 0))
	w.load(t, src, 0, reading("c", 5, hours(50), 1))
	const waits = "2 rows that were set aside by known were not tried again since source"
	warned(w.incremental(t, view), waits)
	warned(w.incremental(t, view), waits)
	live(3)
	queued, err := w.m.Replay(context.Background(), view, 0, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.work(queued.ID); err != nil {
		t.Fatal(err)
	}
	replay := w.get(t, queued.ID)
	if l := replay.Ledger; replay.State != Published || l.Inserted != 1 || l.Quarantined != 1 {
		t.Errorf("found a replay %s with %+v (%s), expected one row in and one aside", replay.State, l, replay.Error)
	}
	warned(w.incremental(t, view))
	live(4)

	// A room goes: what was let in by it stays until it is read again.
	w.load(t, rooms, first, reading("x", 2, hours(0), 0), reading("x", 4, hours(0), 0))
	const gone = "1 values that known looks for are not in source "
	warned(w.incremental(t, view), "1 rows that were set aside by known", gone)
	warned(w.incremental(t, view), "1 rows that were set aside by known")
	live(4)
	full := w.published(t, view, nil)
	warned(full)
	if l := full.Ledger; l.Inserted != 1 || l.Withdrawn != 1 || l.Quarantined != 1 {
		t.Errorf("found %+v, expected room 4 in and room 1 out", l)
	}
	warned(w.incremental(t, view))
	// A value that another load has, too, is not gone.
	w.load(t, rooms, 0, reading("y", 5, hours(0), 0))
	warned(w.published(t, view, &reference.Interval{Start: hours(0), End: hours(1)}))
}
