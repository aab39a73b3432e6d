package materialize

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/quality"
)

// books are a run's ledger of rows read, with the reasons.
func books(r *Run) string {
	l := r.Ledger
	text := fmt.Sprintf("read %d accepted %d quarantined %d duplicate %d dropped %d too late %d", l.Read, l.Accepted, l.Quarantined, l.Duplicate,
		l.Dropped, l.TooLate)
	var reasons []string
	for _, reason := range r.Reasons {
		reasons = append(reasons, fmt.Sprintf("%s %s %d", reason.Bucket, reason.Reason, reason.Rows))
	}
	slices.Sort(reasons)
	return text + "; " + strings.Join(reasons, ", ")
}

func expectBooks(t *testing.T, r *Run, want string) {
	t.Helper()
	if r.State != Published {
		t.Fatalf("found a run that is %s (%s), expected one that is published", r.State, r.Error)
	}
	if found := books(r); found != want {
		t.Errorf("found    %s\nexpected %s", found, want)
	}
}

// markedReading is a reading with the mark, or without one where gone is NULL.
func markedReading(r reference.SourceRow, gone feature.Value) reference.SourceRow {
	r.Values = append(r.Values, gone)
	return r
}

// A row with the mark withdraws the rows of its key that came before it, wherever they lie, until one comes after it.
func TestDeleteMarker(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.Columns = append(s.Columns, feature.Column{Name: "gone", Type: feature.TypeBool})
		s.UniqueKey, s.Conflicting, s.DeleteMarker = []string{"name", "room"}, feature.KeepNewest, "gone"
	})
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, markedReading(reading("a", 1, hours(1), 1), feature.Bool(false)), markedReading(reading("b", 2, hours(2), 2), feature.Null()))
	expectBooks(t, w.runIncremental(t, view), "read 2 accepted 2 quarantined 0 duplicate 0 dropped 0 too late 0; ")
	expectLive(t, w, view, "a|1 01:00 known 01:00: 1 1", "b|2 02:00 known 02:00: 2 1")

	// The mark lies elsewhere than what it withdraws, and says nothing but the key. One of a key without rows withdraws none.
	nothing := lateReading("a", 1, hours(5), hours(5), feature.Null())
	marker := w.load(t, src, 0, markedReading(nothing, feature.Bool(true)), markedReading(reading("x", 9, hours(5), 0), feature.Bool(true)))
	expectBooks(t, w.runIncremental(t, view), "read 3 accepted 0 quarantined 0 duplicate 1 dropped 2 too late 0; "+
		"dropped delete_marker 2, duplicate conflicting 1")
	expectLive(t, w, view, "b|2 02:00 known 02:00: 2 1")
	// As a run over everything has it.
	expectBooks(t, w.published(t, view, nil), "read 4 accepted 1 quarantined 0 duplicate 1 dropped 2 too late 0; "+
		"dropped delete_marker 2, duplicate conflicting 1")
	expectLive(t, w, view, "b|2 02:00 known 02:00: 2 1")

	// A later row brings the key back.
	back := w.load(t, src, 0, markedReading(reading("a", 1, hours(1), 3), feature.Bool(false)))
	w.runIncremental(t, view)
	expectLive(t, w, view, "a|1 01:00 known 01:00: 3 1", "b|2 02:00 known 02:00: 2 1")
	// Without that row the mark holds again, and without the mark the first row does.
	w.retract(t, back)
	w.runIncremental(t, view)
	expectLive(t, w, view, "b|2 02:00 known 02:00: 2 1")
	w.retract(t, marker)
	w.runIncremental(t, view)
	expectLive(t, w, view, "a|1 01:00 known 01:00: 1 1", "b|2 02:00 known 02:00: 2 1")
}

// In one load the order of rows decides.
func TestDeleteMarkerWithinALoad(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.Columns = append(s.Columns, feature.Column{Name: "gone", Type: feature.TypeBool})
		s.UniqueKey, s.Conflicting, s.DeleteMarker = []string{"name", "room"}, feature.KeepNewest, "gone"
	})
	view := w.newWindowView(t, src, time.Hour)
	w.load(t, src, 0,
		markedReading(reading("a", 1, hours(1), 1), feature.Null()), markedReading(reading("a", 1, hours(1), 1), feature.Bool(true)),
		markedReading(reading("b", 1, hours(1), 1), feature.Bool(true)), markedReading(reading("b", 1, hours(1), 1), feature.Null()))
	r := w.published(t, view, nil)
	expectBooks(t, r, "read 4 accepted 1 quarantined 0 duplicate 2 dropped 1 too late 0; dropped delete_marker 1, duplicate conflicting 2")
	if r.Ledger.Used != 1 {
		t.Errorf("found %d rows used, expected 1", r.Ledger.Used)
	}
	for _, row := range w.live(t, view) {
		if !strings.HasPrefix(row, "b|1") {
			t.Errorf("found the row %s, expected those of b", row)
		}
	}
}

// Rows that arrive too late are left out of every kind of view, and counted; what is not late to the source may be late for a window.
func TestAllowedLateness(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) { s.AllowedLateness = 2 * time.Hour })
	sql, windows := w.newView(t, src, latest, 0), w.newWindowView(t, src, time.Hour)
	unknown := lateReading("u", 1, hours(1), hours(1), feature.Float64(1))
	unknown.Values[1] = feature.Null()
	unknown.Values[2] = feature.Null()
	w.load(t, src, 0,
		reading("a", 1, hours(1), 1),
		// Late by no more than is allowed, and by a microsecond more.
		lateReading("b", 1, hours(1), hours(3), feature.Float64(2)),
		lateReading("c", 1, hours(1), hours(3)+1, feature.Float64(3)),
		unknown)
	expectBooks(t, w.published(t, sql, nil), "read 4 accepted 3 quarantined 0 duplicate 0 dropped 0 too late 1; "+
		"filtered WHERE of the query 1, too_late allowed_lateness 1")
	expectLive(t, w, sql, "a|1 01:00 known 01:00: 1 1", "b|1 01:00 known 03:00: 2 1")
	expectBooks(t, w.published(t, windows, nil), "read 4 accepted 3 quarantined 0 duplicate 0 dropped 0 too late 1; "+
		"filtered available at is NULL 1, filtered available too late for every window 1, too_late allowed_lateness 1")
	expectBooks(t, w.runIncremental(t, sql), "read 0 accepted 0 quarantined 0 duplicate 0 dropped 0 too late 0; ")

	// A later load brings its moment back, with all that is late there.
	w.load(t, src, 0, lateReading("d", 1, hours(1), hours(9), feature.Float64(4)))
	r := w.runIncremental(t, sql)
	if r.Ledger.TooLate != 2 || r.Ledger.Inserted != 0 {
		t.Errorf("found %+v, expected both late rows of the moment to be counted", r.Ledger)
	}
}

// Duplicates are resolved first: a late row that supersedes another takes its place, and is then left out.
func TestAllowedLatenessOfDuplicates(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.AllowedLateness, s.UniqueKey, s.Conflicting = 2*time.Hour, []string{"name", "room"}, feature.KeepNewest
	})
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), 1), lateReading("b", 1, hours(1), hours(9), feature.Float64(2)))
	w.load(t, src, 0, lateReading("a", 1, hours(1), hours(9), feature.Float64(3)), reading("b", 1, hours(1), 4))
	expectBooks(t, w.published(t, view, nil), "read 4 accepted 1 quarantined 0 duplicate 2 dropped 0 too late 1; duplicate conflicting 2, too_late allowed_lateness 1")
	expectLive(t, w, view, "b|1 01:00 known 01:00: 4 1")
}

// A correction that arrives long after is no late row: what counts is when the row itself could be known.
func TestAllowedLatenessOfCorrections(t *testing.T) {
	w := newWorld(t)
	src := w.newArrivingSource(t)
	src.AllowedLateness = 2 * time.Hour
	view := w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, reading("a", 1, hours(1), 1), lateReading("b", 1, hours(1), hours(9), feature.Float64(2)))
	w.commit(t, src, 1, hours(2))
	w.load(t, src, first, reading("a", 1, hours(1), 7), lateReading("b", 1, hours(1), hours(9), feature.Float64(2)))
	w.commit(t, src, 2, hours(50))
	expectBooks(t, w.published(t, view, nil), "read 4 accepted 2 quarantined 0 duplicate 0 dropped 0 too late 2; too_late allowed_lateness 2, "+
		"unaccounted its corrections arrive: it is read once for each state of knowledge 2")
	expectLive(t, w, view, "a|1 01:00 known 01:00: 1 1", "a|1 01:00 known 50:00: 7 1")
}

// withoutTime is a reading without an event time.
func withoutTime(name string) reference.SourceRow {
	r := reading(name, 1, hours(1), 1)
	r.Values = slices.Clone(r.Values)
	r.Values[0] = feature.Null()
	return r
}

// Rows without an event time are counted by runs that read the rest of their load, that are the first to go on to it, or that compute
// all there is; and by none when the load has ended.
func TestRowsWithoutAnEventTime(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) { s.NullEventTime, s.MaxQuarantineRatio = feature.QuarantineNull, all(1.0) })
	view := w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, reading("a", 1, hours(1), 1), withoutTime("x"), reading("b", 1, hours(5), 2), withoutTime("y"))
	const both = "read 4 accepted 2 quarantined 2 duplicate 0 dropped 0 too late 0; quarantined event_time is NULL 2"
	expectBooks(t, w.runIncremental(t, view), both)
	expectLive(t, w, view, "a|1 01:00 known 01:00: 1 1", "b|1 05:00 known 05:00: 2 1")
	expectBooks(t, w.runIncremental(t, view), "read 0 accepted 0 quarantined 0 duplicate 0 dropped 0 too late 0; ")
	expectBooks(t, w.published(t, view, nil), both)
	// Part of the load is read, then all of it.
	expectBooks(t, w.published(t, view, &reference.Interval{Start: hours(0), End: hours(2)}), "read 1 accepted 1 quarantined 0 duplicate 0 dropped 0 too late 0; ")
	expectBooks(t, w.published(t, view, &reference.Interval{Start: hours(0), End: hours(6)}), both)

	// A load of nothing else counts once, in the run that goes on to it, and writes nothing.
	only := w.load(t, src, 0, withoutTime("z"))
	r := w.runIncremental(t, view)
	expectBooks(t, r, "read 1 accepted 0 quarantined 1 duplicate 0 dropped 0 too late 0; quarantined event_time is NULL 1")
	if r.Ledger.Produced != 0 || r.Ledger.LiveAfter != 2 || r.Inputs[0].Rows != 1 {
		t.Errorf("found %+v, %+v", r.Ledger, r.Inputs)
	}
	expectBooks(t, w.runIncremental(t, view), "read 0 accepted 0 quarantined 0 duplicate 0 dropped 0 too late 0; ")
	expectBooks(t, w.published(t, view, nil), "read 5 accepted 2 quarantined 3 duplicate 0 dropped 0 too late 0; quarantined event_time is NULL 3")
	w.retract(t, only)
	expectBooks(t, w.published(t, view, nil), both)
	w.retract(t, first)
	expectBooks(t, w.published(t, view, nil), "read 0 accepted 0 quarantined 0 duplicate 0 dropped 0 too late 0; ")
}

// Rows that came without an event time are shown as the run's that counts them, with those that it set aside itself, and count for the share that
// may be quarantined.
func TestRowsWithoutAnEventTimeAreShown(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.NullEventTime, s.MaxQuarantineRatio = feature.QuarantineNull, all(0.5)
		s.Expectations = expecting(feature.Expectation{Column: "value", Kind: feature.ExpectRange, Max: 10.0, OnFailure: feature.QuarantineRow})
	})
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), 1), withoutTime("x"), reading("b", 1, hours(5), 2), reading("c", 1, hours(6), 11))
	first := w.published(t, view, nil)
	const nameless, both = `row 2 event_time is NULL {"at":null,"seen":"2024-01-01T01:00:00Z","name":"x","room":1,"value":1}`, "2 of 4 rows quarantined (50%)"
	shown := w.aside(t, first)
	if lines := strings.Split(shown, "\n"); len(lines) != 2 || lines[0] != nameless || !strings.HasPrefix(lines[1], "row 4 value_range ") {
		t.Errorf("found\n%s", shown)
	}
	if checks := checksOf(first, quality.SourceSubject(src.Name)); !strings.Contains(checks, "PASSED max_quarantine_ratio : "+both) {
		t.Errorf("found %s", checks)
	}
	groups, err := quality.Groups(context.Background(), w.pool, quality.Filter{Run: first.ID}, 10)
	if err != nil || len(groups) != 2 || groups[0].Reason != "event_time is NULL" || groups[0].Rows != 1 || groups[1].Reason != "value_range" || groups[1].Rows != 1 {
		t.Errorf("found %+v, %v", groups, err)
	}
	rows, err := quality.QuarantinedRows(context.Background(), w.pool, first.ID, []string{quality.SourceSubject(src.Name)}, "", 0, 1)
	if err != nil || len(rows) != 1 {
		t.Fatalf("found %v, %v", rows, err)
	}
	if rest, err := quality.QuarantinedRows(context.Background(), w.pool, first.ID, []string{rows[0].Subject}, "", rows[0].ID, 10); err != nil || len(rest) != 1 {
		t.Errorf("found %v, %v", rest, err)
	}
	// The next run has nothing of them, and the first still does.
	if found := w.aside(t, w.runIncremental(t, view)); found != "" {
		t.Errorf("found %s", found)
	}
	if again := w.aside(t, first); again != shown {
		t.Errorf("found\n%s", again)
	}

	// A load of nothing else is above the limit. The run that fails for it shows it.
	w.load(t, src, 0, withoutTime("y"))
	failed := w.runIncremental(t, view)
	if failed.State != Failed || !strings.Contains(failed.Error, "expected at most 50% of rows quarantined, found 1 of 1 rows quarantined (100%)") {
		t.Errorf("found %s: %s", failed.State, failed.Error)
	}
	if found := w.aside(t, failed); !strings.HasPrefix(found, `row 1 event_time is NULL {"at":null,`) {
		t.Errorf("found %s", found)
	}

	// Without expectations of rows they are held to the limit alike, and cannot be tried again.
	other := w.newSourceWith(t, func(s *feature.Source) { s.NullEventTime = feature.QuarantineNull })
	strict := w.newView(t, other, latest, 0)
	w.load(t, other, 0, reading("a", 1, hours(1), 1), withoutTime("x"))
	failed = w.run(t, strict, nil)
	if failed.State != Failed || !strings.Contains(failed.Error, "at most 10% of rows quarantined, found 1 of 2 rows quarantined (50%)") {
		t.Errorf("found %s: %s", failed.State, failed.Error)
	}
	_, err = w.m.Replay(context.Background(), strict, failed.ID, "")
	if err == nil || !strings.Contains(err.Error(), "those that came without one, or without a part of their key, lie in no interval: send them again with") {
		t.Errorf("found %v", err)
	}
}

func TestRowsWithoutAnEventTimeAreDropped(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) { s.NullEventTime, s.UniqueKey = feature.DropNull, []string{"name"} })
	view := w.newView(t, src, latest, 0)
	noKey := reading("x", 1, hours(1), 1)
	noKey.Values[2] = feature.Null()
	w.load(t, src, 0, reading("a", 1, hours(1), 1), withoutTime("a"), noKey)
	expectBooks(t, w.published(t, view, nil), "read 3 accepted 1 quarantined 0 duplicate 0 dropped 2 too late 0; "+
		"dropped event_time is NULL 1, dropped unique_key is NULL 1")
	if n := w.count(t, `SELECT count(*) FROM headwater.load_set_aside`); n != 0 {
		t.Errorf("found %d rows that were set aside, expected none", n)
	}
	// There is nothing to compute of a source without any row of a time.
	other := w.newSourceWith(t, func(s *feature.Source) { s.NullEventTime = feature.DropNull })
	w.load(t, other, 0, withoutTime("a"))
	r := w.runIncremental(t, w.newView(t, other, latest, 0))
	if r.State != Failed || !strings.Contains(r.Error, "every row of the live loads of its sources came without an event time") ||
		!strings.Contains(r.Error, "0 rows were set aside and 1 left out; send it again, corrected: headwater ingest "+other.Name+" FILE --replaces ") {
		t.Errorf("found %s: %s", r.State, r.Error)
	}
}
