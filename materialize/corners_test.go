package materialize

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
)

func instant(text string) feature.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return feature.TimeOf(t)
}

// Runs follow rows of any year that a table holds, forth and back, and compute them the same again.
func TestRunsFollowRowsOfAnyYear(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	rows, groups, windows := w.newView(t, src, latest, 0), w.newView(t, src, hourly, time.Hour), w.newWindowView(t, src, time.Hour)
	views := []*feature.ViewVersion{rows, groups, windows, w.newViewOver(t, rows, same, 0, 0)}
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	for _, v := range views {
		w.incremental(t, v)
	}
	const first, last = feature.Time(-188_395_027_200_000_000), feature.Time(9_215_576_668_799_999_999)
	for _, x := range []struct {
		at   feature.Time
		past bool
	}{{instant("0001-01-01T00:00:00Z"), true}, {instant("9999-12-31T23:59:59.999999Z"), false}, {instant("0001-06-01T00:00:00Z"), true}, {first, true}, {last, false}} {
		load := w.load(t, src, 0, reading("a", 1, x.at, 2), reading("b", 1, x.at, 2))
		var runs []*Run
		for _, v := range views {
			r := w.incremental(t, v)
			runs = append(runs, r)
			if want := x.past || v.RunGrain() == 0; (r.Ledger.Inserted > 0) != want {
				t.Errorf("row of %s: found %d rows inserted, expected some: %v", x.at, r.Ledger.Inserted, want)
			}
			w.wantAsFull(t, v)
		}
		for _, r := range runs {
			w.wantVerdict(t, r, Same)
		}
		if x.at == last {
			w.retract(t, load)
		}
	}
	for _, v := range views {
		w.incremental(t, v)
		w.wantAsFull(t, v)
	}
}

// An interval of which nothing can be computed says which bound to change; one of the future keeps no later run from its rows.
func TestIntervalsOfNothing(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	views := []*feature.ViewVersion{w.newView(t, src, latest, 0), w.newView(t, src, hourly, time.Hour), w.newWindowView(t, src, time.Hour)}
	w.retract(t, w.load(t, src, 0, reading("z", 1, hours(1), 1)))
	// With nothing to read, an end alone is an interval of no rows.
	retracted := w.newView(t, src, hourly, time.Hour)
	to := hours(3).Time()
	runs, err := w.m.Enqueue(context.Background(), []Request{{View: retracted, To: &to, Principal: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.work(runs[0].ID); err != nil {
		t.Fatal(err)
	}
	if r := w.get(t, runs[0].ID); r.State != Published {
		t.Errorf("found a run that is %s: %s", r.State, r.Error)
	}
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("a", 1, hours(5.5), 1))
	far := instant("2999-01-01T00:00:00Z")
	ask := func(v *feature.ViewVersion, from, to feature.Time) (*Run, error) {
		bound := func(at feature.Time) *time.Time {
			if at == 0 {
				return nil
			}
			b := at.Time()
			return &b
		}
		runs, err := w.m.Enqueue(context.Background(), []Request{{View: v, From: bound(from), To: bound(to), Principal: "test"}})
		if err != nil {
			return nil, err
		}
		if err := w.work(runs[0].ID); err != nil {
			t.Fatal(err)
		}
		return w.get(t, runs[0].ID), nil
	}
	for _, v := range views {
		if _, err := ask(v, hours(2), hours(2)); err == nil || !strings.Contains(err.Error(), "expected from before to") {
			t.Errorf("found %v, expected it refused", err)
		}
		for _, c := range []struct {
			from, to feature.Time
			want     string
			grained  bool
		}{
			{hours(20), 0, "found --from 2024-01-01T20:00:00Z without --to, expected it before 2024-01-01T0", false},
			{far, 0, "found --from 2999-01-01T00:00:00Z without --to", false},
			{0, hours(-20), "found --to 2023-12-31T04:00:00Z without --from, expected it after 2024-01-01T0", false},
			{far, far + hours(2) - hours(0), "found an interval that begins at 2999-01-01T00:00:00Z, expected one that begins before", true},
			{hours(1.1), hours(1.2), "cut down to such, it is [2024-01-01T01:00:00Z, 2024-01-01T01:00:00Z), expected a longer one", true},
		} {
			r, err := ask(v, c.from, c.to)
			if err != nil {
				t.Fatal(err)
			}
			if failed := r.State == Failed && strings.Contains(r.Error, c.want); !failed && !(c.grained && v.RunGrain() == 0 && r.State == Published) {
				t.Errorf("[%s, %s): found a run that is %s (%s), expected %q", c.from, c.to, r.State, r.Error, c.want)
			}
		}
		if r, err := ask(v, hours(3), far); err != nil || r.State != Published {
			t.Errorf("found %+v, %v", r, err)
		}
	}
	w.load(t, src, 0, reading("n", 1, hours(30), 1), reading("n", 1, hours(2), 1))
	for _, v := range views {
		if r := w.incremental(t, v); r.Ledger.Inserted == 0 {
			t.Errorf("found %+v, expected the new rows", r.Ledger)
		}
		w.wantAsFull(t, v)
	}
}

// A table of others with a time that is none is refused where the row is; rows that were deleted there go with a full run, the last one too.
func TestTablesOfOthersWithoutEndAndWithoutRows(t *testing.T) {
	w := newWorld(t)
	execute(t, w.pool, makeReadings)
	execute(t, w.pool, `INSERT INTO plant.readings VALUES ('a', 1, 1, '', '2024-01-01 00:00Z', '2024-01-02 00:00Z')`)
	view := w.newView(t, w.foreignSource(t, "", func(s *feature.Source) { s.Postgres.ChangeColumn = "seen" }), latest, 0)
	w.incremental(t, view)
	for _, row := range []string{`'infinity', '2024-01-02 00:01Z'`, `'2024-01-01 00:00Z', 'infinity'`, `'-infinity', '2024-01-02 00:01Z'`} {
		execute(t, w.pool, `INSERT INTO plant.readings VALUES ('b', 1, 1, '', `+row+`)`)
		if r := w.runIncremental(t, view); r.State != Failed || !strings.Contains(r.Error, "found an infinite timestamp") {
			t.Errorf("%s: found a run that is %s: %s", row, r.State, r.Error)
		}
		execute(t, w.pool, `DELETE FROM plant.readings WHERE name = 'b'`)
	}
	execute(t, w.pool, `DELETE FROM plant.readings`)
	if r := w.incremental(t, view); r.Ledger.LiveAfter != 1 || len(r.Warnings) == 0 || !strings.Contains(r.Warnings[0], "withdrawn by a run with --full") {
		t.Errorf("found %+v with %q", r.Ledger, r.Warnings)
	}
	if r := w.published(t, view, nil); r.Ledger.Withdrawn != 1 || r.Ledger.LiveAfter != 0 {
		t.Errorf("found %+v, expected the last row withdrawn", r.Ledger)
	}
	w.incremental(t, view)
}

// As many rows as max_quarantine_ratio says may be set aside, and not one more.
func TestTheShareThatMayBeSetAside(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.MaxQuarantineRatio = all(0.25)
		s.Expectations = expecting(feature.Expectation{Column: "value", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.QuarantineRow})
	})
	view := w.newView(t, src, latest, 0)
	rows := []reference.SourceRow{reading("a", 1, hours(0), -1), reading("a", 1, hours(1), 1), reading("a", 1, hours(2), 1), reading("a", 1, hours(3), 1)}
	load := w.load(t, src, 0, rows...)
	if r := w.incremental(t, view); r.Ledger.Quarantined != 1 || r.Ledger.Accepted != 3 {
		t.Errorf("found %+v", r.Ledger)
	}
	w.load(t, src, load, rows[:3]...)
	r := w.runIncremental(t, view)
	if r.State != Failed || !strings.Contains(r.Error, "expected at most 25% of rows quarantined, found 1 of 3 rows quarantined (33.33%)") {
		t.Errorf("found a run that is %s: %s", r.State, r.Error)
	}
}

// Views read one whose first run had no rows, and follow it from there and back to none.
func TestViewsOverOneThatWasEmpty(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, "SELECT name, room, event_time, available_at, value, 1::bigint AS rows FROM %s WHERE value > 100", 0)
	readers := []*feature.ViewVersion{w.newViewOver(t, view, same, 0, 0), w.newViewOver(t, view, daily, 24*time.Hour, 0)}
	for _, v := range readers {
		if r := w.runIncremental(t, v); r.State != Failed || !strings.Contains(r.Error, "of which no run is published; run that first") {
			t.Errorf("found a run that is %s: %s", r.State, r.Error)
		}
	}
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	w.incremental(t, view)
	for _, v := range readers {
		w.incremental(t, v)
	}
	load := w.load(t, src, 0, reading("a", 1, hours(2), 101), reading("a", 1, hours(70), 101))
	w.incremental(t, view)
	for i, want := range [][]string{{"02:00", "70:00"}, {"24:00", "72:00"}} {
		w.incremental(t, readers[i])
		var lines []string
		for _, at := range want {
			lines = append(lines, "a|1 "+at+" known "+at+": 101 1")
		}
		expectLive(t, w, readers[i], lines...)
	}
	w.retract(t, load)
	w.incremental(t, view)
	for _, v := range readers {
		w.incremental(t, v)
		expectLive(t, w, v)
		w.wantAsFull(t, v)
	}
}
