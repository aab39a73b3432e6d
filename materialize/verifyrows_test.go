package materialize

import (
	"fmt"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
)

// newExpectingSource is a source whose runs leave rows out for every kind of expectation that can, of rows in which room refers to
// rooms.
func newExpectingSource(t *testing.T, w *world, rooms *feature.SourceVersion, change func(*feature.Source)) *feature.SourceVersion {
	t.Helper()
	return w.newSourceWith(t, func(s *feature.Source) {
		s.MaxQuarantineRatio = all(1.0)
		s.Expectations = expecting(
			feature.Expectation{Column: "value", Kind: feature.ExpectRange, Min: 0.0, Max: 100.0, OnFailure: feature.DropRow},
			feature.Expectation{Column: "name", Kind: feature.ExpectNotNull, OnFailure: feature.QuarantineRow},
			feature.Expectation{Column: "name", Kind: feature.ExpectRegex, Pattern: "^[a-z]+$", OnFailure: feature.QuarantineRow},
			feature.Expectation{Column: "name", Kind: feature.ExpectLength, MaxLength: all(int64(5)), OnFailure: feature.DropRow},
			feature.Expectation{Column: "value", Kind: feature.ExpectAcceptedValues, Values: []feature.Literal{-1.0, 1.0, 2.0, 3.0, 4.0, 50.0}, OnFailure: feature.QuarantineRow},
			feature.Expectation{Column: "room", Kind: feature.ExpectReferences, References: &feature.Reference{Source: rooms.Name}, OnFailure: feature.QuarantineRow},
			feature.Expectation{Name: "cool", Kind: feature.ExpectCEL, CEL: "row.value < 40.0 || row.room == 2", OnFailure: feature.DropRow},
			feature.Expectation{Column: "at", Kind: feature.ExpectPlausible, Future: time.Hour, OnFailure: feature.QuarantineRow},
			// What leaves no rows out is not looked at again.
			feature.Expectation{Name: "kept", Column: "value", Kind: feature.ExpectRange, Max: 1.5, OnFailure: feature.KeepRow},
			feature.Expectation{Kind: feature.ExpectUnique, Columns: []string{"name", "room"}, OnFailure: feature.KeepRow},
		)
		change(s)
	})
}

// badReadings are rows of which four count, each other is left out for another reason, and b is left out while room 2 is not known.
func badReadings(at float64) []reference.SourceRow {
	nameless := reading("", 1, hours(at+4), 1)
	nameless.Values[2] = feature.Null()
	return []reference.SourceRow{
		reading("a", 1, hours(at), 1), reading("a", 1, hours(at+1), 2), reading("c", 1, hours(at+2), 3), reading("b", 2, hours(at+2), 50),
		reading("a", 1, hours(at+3), -1), nameless, reading("A", 1, hours(at+5), 1), reading("abcdef", 1, hours(at+6), 1), reading("a", 1, hours(at+7), 7),
		reading("a", 9, hours(at+8), 1), reading("a", 1, hours(at+9), 50),
	}
}

// wantNothingKept holds verifying to leave nothing behind.
func (w *world) wantNothingKept(t *testing.T, runs []*Run, verdict Verdict) {
	t.Helper()
	counts := func() string {
		var text string
		for _, table := range []string{"quarantined_row", "check_result", "run", "run_chunk"} {
			text += fmt.Sprintf("%s %d ", table, w.count(t, "SELECT count(*) FROM headwater."+table))
		}
		return text
	}
	before := counts()
	for _, r := range runs {
		w.wantVerdict(t, r, verdict)
	}
	if after := counts(); after != before {
		t.Errorf("found %s after verifying, expected %s", after, before)
	}
	w.wantNoStaging(t)
}

// What runs left out by expectations, verifying leaves out again: by the rows that were referred to then, and by the times of the loads.
func TestRunsThatLeaveRowsOutComputeTheSameAgain(t *testing.T) {
	for _, chunkRows := range []int64{0, 2} {
		t.Run(fmt.Sprint("chunks of ", chunkRows), func(t *testing.T) {
			w := newWorld(t)
			if chunkRows > 0 {
				w = newChunkedWorld(t, chunkRows)
			}
			rooms := w.newSource(t)
			w.registerSource(t, rooms)
			src := newExpectingSource(t, w, rooms, func(*feature.Source) {})
			arriving := newExpectingSource(t, w, rooms, func(s *feature.Source) { s.Corrections = feature.Arrive })
			screened := func(v *feature.ViewVersion) *feature.ViewVersion {
				v.MaxQuarantineRatio = all(1.0)
				v.Expectations = named(
					feature.Expectation{Kind: feature.ExpectRange, Column: "value", Max: 2.5, OnFailure: feature.QuarantineRow},
					feature.Expectation{Name: "not_b", Kind: feature.ExpectCEL, CEL: `row.name != "b"`, OnFailure: feature.DropRow},
					feature.Expectation{Kind: feature.ExpectPlausible, Column: "event_time", Future: 2 * time.Hour, OnFailure: feature.DropRow},
					feature.Expectation{Name: "kept", Kind: feature.ExpectRange, Column: "value", Max: 1.5, OnFailure: feature.KeepRow},
				)
				return v
			}
			views := []*feature.ViewVersion{
				w.newView(t, src, latest, 0), screened(w.newView(t, src, latest, 0)), screened(w.newView(t, src, hourly, time.Hour)),
				w.newWindowView(t, src, time.Hour), screened(w.newWindowView(t, src, time.Hour)), screened(w.newView(t, arriving, latest, 0)),
			}
			views = append(views, screened(w.newViewOver(t, views[0], same, 0, 0)))
			var runs []*Run
			run := func() {
				for _, v := range views {
					runs = append(runs, w.incremental(t, v))
				}
			}
			soon := feature.TimeOf(time.Now())
			room := w.load(t, rooms, 0, reading("x", 1, hours(1), 0))
			first := w.load(t, src, 0, append(badReadings(1), reading("a", 1, soon.Add(30*time.Minute), 1), reading("b", 1, soon.Add(90*time.Minute), 1))...)
			w.load(t, arriving, 0, badReadings(1)...)
			run()
			if r := runs[0]; r.Ledger.Quarantined != 6 || r.Ledger.Dropped != 3 || chunkRows > 0 != (w.count(t, "SELECT count(*) FROM headwater.run_chunk") > 0) {
				t.Errorf("found %s", ledgerText(r))
			}
			if r := runs[1]; r.Ledger.OutputQuarantined != 1 {
				t.Errorf("found %+v", r.Ledger)
			}

			// Room 2 comes, room 1 goes, and the rows are corrected.
			w.load(t, rooms, 0, reading("x", 2, hours(1), 0))
			w.load(t, src, 0, badReadings(20)...)
			w.load(t, arriving, 0, badReadings(20)...)
			run()
			w.retract(t, room)
			w.load(t, src, first, badReadings(1)[1:]...)
			for _, v := range views {
				runs = append(runs, w.published(t, v, nil))
			}
			for _, v := range views[:3] {
				runs = append(runs, w.published(t, v, &reference.Interval{Start: hours(0), End: hours(24)}))
			}
			w.load(t, rooms, 0, reading("x", 1, hours(1), 0), reading("x", 9, hours(1), 0))
			w.wantNothingKept(t, runs, Same)
		})
	}
}

// That others are left out is told by expectation.
func TestOtherRowsLeftOutAreTold(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.MaxQuarantineRatio = all(1.0)
		s.Expectations = expecting(feature.Expectation{Column: "value", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.QuarantineRow})
	})
	view := w.newView(t, src, latest, 0)
	view.MaxQuarantineRatio = all(1.0)
	view.Expectations = named(feature.Expectation{Kind: feature.ExpectRange, Column: "value", Max: 5.0, OnFailure: feature.DropRow})
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("b", 1, hours(2), -2), reading("c", 1, hours(3), 9))
	r := w.published(t, view, nil)
	w.wantVerdict(t, r, Same)
	execute(t, w.pool, "UPDATE headwater_landing."+src.Name+" SET value = 2")
	// Whoever wrote to the table by other means changed the source.
	w.wantVerdict(t, r, SourceChanged, "quarantined by value_range: 0 rows now, 1 in the run", "output_dropped by value_range: 0 rows now, 1 in the run",
		"computed, and not in the history: name b")
}

// Tables of others are held to their expectations by the time of the plan.
func TestTablesOfOthersLeaveTheSameRowsOutAgain(t *testing.T) {
	w := newWorld(t)
	execute(t, w.pool, makeReadings)
	execute(t, w.pool, `INSERT INTO plant.readings SELECT 'a', 1, n, 'x', now() + n * interval '1 minute', now() FROM generate_series(-5, 5) n`)
	src := w.foreignSource(t, "", func(s *feature.Source) {
		s.MaxQuarantineRatio = all(1.0)
		s.Expectations = expecting(
			feature.Expectation{Column: "at", Kind: feature.ExpectPlausible, OnFailure: feature.QuarantineRow},
			feature.Expectation{Name: "cel", Kind: feature.ExpectCEL, CEL: "row.value != -3.0", OnFailure: feature.DropRow},
		)
	})
	view := w.newView(t, src, latest, 0)
	r := w.published(t, view, nil)
	if r.Ledger.Quarantined < 4 || r.Ledger.Dropped != 1 {
		t.Errorf("found %s", ledgerText(r))
	}
	w.wantNothingKept(t, []*Run{r}, Same)
}

// What the rules of a source leave out, and what lacked a time when it came, is left out again.
func TestRowsLeftOutByRulesAreLeftOutAgain(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.Columns = append(s.Columns, feature.Column{Name: "gone", Type: feature.TypeBool})
		s.UniqueKey, s.Conflicting, s.DeleteMarker = []string{"name", "room"}, feature.KeepNewest, "gone"
		s.AllowedLateness, s.NullEventTime, s.MaxQuarantineRatio = 2*time.Hour, feature.QuarantineNull, all(1.0)
	})
	mark := func(r reference.SourceRow, gone bool) reference.SourceRow {
		return markedReading(r, feature.Bool(gone))
	}
	views := []*feature.ViewVersion{w.newView(t, src, latest, 0), w.newWindowView(t, src, time.Hour)}
	var runs []*Run
	load := func(replaces int64, rows ...reference.SourceRow) int64 {
		id := w.load(t, src, replaces, rows...)
		for _, v := range views {
			runs = append(runs, w.incremental(t, v))
		}
		return id
	}
	first := load(0, mark(reading("a", 1, hours(1), 1), false), mark(withoutTime("x"), false), mark(lateReading("l", 1, hours(1), hours(4), feature.Float64(2)), false))
	if r := runs[0]; r.Ledger.Quarantined != 1 || r.Ledger.TooLate != 1 {
		t.Errorf("found %s", books(r))
	}
	marker := load(0, mark(reading("a", 1, hours(5), 0), true), mark(reading("b", 1, hours(5), 2), false))
	load(first, mark(reading("a", 1, hours(2), 3), false), mark(reading("c", 1, hours(3), 3), false))
	w.retract(t, marker)
	load(0, mark(withoutTime("z"), false))
	w.wantNothingKept(t, runs, Same)
}
