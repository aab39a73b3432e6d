package materialize

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
)

// drawKeyed draws loads in which few keys are shared by many rows, some equal, some not, some hours apart.
var drawKeyed = rapid.Custom(func(t *rapid.T) []reference.SourceRow {
	rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) reference.SourceRow {
		at := hours(float64(rapid.IntRange(0, 8).Draw(t, "halves")) / 2)
		value := rapid.SampledFrom([]feature.Value{
			feature.Null(), feature.Float64(0), feature.Float64(math.Copysign(0, -1)), feature.Float64(math.NaN()), feature.Float64(1.5),
		}).Draw(t, "value")
		return reference.SourceRow{EventTime: at, AvailableAt: at, Values: []feature.Value{
			feature.Timestamp(at), feature.Timestamp(at), feature.String(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")),
			feature.Int64(rapid.Int64Range(1, 2).Draw(t, "room")), value,
		}}
	}), 1, 6).Draw(t, "rows")
	for range rapid.IntRange(0, 2).Draw(t, "repeated") {
		rows = append(rows, rapid.SampledFrom(rows).Draw(t, "row"))
	}
	return rows
})

// Whatever a unique key and the rules for duplicates, runs of any interval over any loads show one row of each key, as the
// reference has it, and their ledgers say what became of the others.
func TestDuplicatesAreTheReference(t *testing.T) {
	w := newWorld(t)
	setChecks(t, "6")
	for _, c := range []struct {
		exact       feature.ExactDuplicates
		conflicting feature.ConflictingDuplicates
		key         []string
	}{
		{feature.DropExact, feature.KeepNewest, []string{"name", "room"}},
		{feature.DropExact, feature.KeepOldest, []string{"room", "name"}},
		{feature.DropExact, feature.FailConflicting, []string{"name", "room", "at"}},
		{feature.FailExact, feature.KeepOldest, []string{"name", "room", "at", "seen"}},
	} {
		t.Run(c.exact.String()+" "+c.conflicting.String(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				src := w.newSourceWith(t, func(s *feature.Source) { s.UniqueKey, s.Exact, s.Conflicting = c.key, c.exact, c.conflicting })
				view := w.newView(t, src, latest, 0)
				m := &model{seen: map[int64]feature.Digest{}, rows: drawKeyed}
				m.source.Exact, m.source.Conflicting = c.exact, c.conflicting
				for _, name := range c.key {
					m.source.Key = append(m.source.Key, slices.IndexFunc(src.Columns, func(c feature.Column) bool { return c.Name == name }))
				}
				m.load(rt, w, t, src, 0)
				for range rapid.IntRange(1, 5).Draw(rt, "steps") {
					m.step(rt, w, t, src, view)
				}
				m.run(rt, w, t, view, nil)
			})
		})
	}
}

func keyed(name string, room int64, hour float64, value feature.Value) reference.SourceRow {
	at := hours(hour)
	return reference.SourceRow{EventTime: at, AvailableAt: at, Values: []feature.Value{
		feature.Timestamp(at), feature.Timestamp(at), feature.String(name), feature.Int64(room), value,
	}}
}

func TestDuplicatesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) { s.UniqueKey, s.Exact = []string{"name", "room"}, feature.FailExact })
	view := w.newView(t, src, latest, 0)
	one := w.load(t, src, 0, keyed("a", 1, 0, feature.Float64(1)), keyed("b", 1, 0, feature.Null()), keyed("c", 1, 2, feature.Float64(1)))
	two := w.load(t, src, 0, keyed("a", 1, 1, feature.Float64(2)), keyed("b", 1, 0, feature.Float64(3)))
	fails := func(interval *reference.Interval, want string) {
		t.Helper()
		if r := w.run(t, view, interval); r.State != Failed || r.Error != want {
			t.Errorf("found run %s: %s\nexpected %s", r.State, r.Error, want)
		}
	}
	const instead = "; replace or retract one of the loads, or let one of them win: duplicates: {conflicting: newest}, or oldest"
	fails(nil, fmt.Sprintf("view %[1]s: source %[2]s: found 2 keys with rows that differ, expected one row for each name, room: "+
		"name a, room 1 (load %[3]d row 1, load %[4]d row 1) in at, seen, value; name b, room 1 (load %[3]d row 2, load %[4]d row 2) in value"+
		instead, view.Ref(), src.Name, one, two))
	// A row that the interval does not hold contradicts one that it does.
	fails(&reference.Interval{Start: hours(1), End: hours(2)}, fmt.Sprintf("view %s: source %s: found 1 key with rows that differ, expected "+
		"one row for each name, room: name a, room 1 (load %d row 1, load %d row 1) in at, seen, value"+instead, view.Ref(), src.Name, one, two))
	w.load(t, src, two, keyed("c", 1, 2, feature.Float64(1)))
	fails(nil, fmt.Sprintf("view %s: source %s: found 1 key with rows that are equal in every column, which duplicates.exact refuses, expected "+
		"one row for each name, room: name c, room 1 (load %d row 3, load %d row 1); replace or retract one of the loads, or write "+
		"duplicates: {exact: drop}", view.Ref(), src.Name, one, two+1))
	if r := w.run(t, view, &reference.Interval{Start: hours(0), End: hours(1)}); r.State != Published || r.Ledger.Duplicate != 0 {
		t.Errorf("found run %s: %s, expected the keys of the interval to be enough", r.State, r.Error)
	}
}

// A row without its key cannot be told from others: none is taken, and those from before the key are found by runs.
func TestRowsWithoutTheirKey(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	row := keyed("a", 1, 0, feature.Null())
	row.Values[3] = feature.Null()
	load := w.load(t, src, 0, keyed("a", 1, 0, feature.Null()), row)
	next := *src
	next.UniqueKey = []string{"name", "room"}
	view := w.newView(t, &next, latest, 0)
	want := fmt.Sprintf("view %s: source %s: found 1 rows of load %d in which a column of the unique key (name, room) is NULL, expected a value: "+
		"the load came before the key; replace it by one that has them, or retract it", view.Ref(), src.Name, load)
	if r := w.run(t, view, nil); r.State != Failed || r.Error != want {
		t.Errorf("found run %s: %s\nexpected %s", r.State, r.Error, want)
	}
	_, err := w.tryLoad(&next, 0, slices.Values([]reference.SourceRow{keyed("b", 1, 0, feature.Null()), row}))
	want = fmt.Sprintf("file%d: row 2: column room is in the unique key of source %s: found NULL, expected a value: without one the row cannot "+
		"be told from others; nothing was loaded, give the row a value or leave it out, or have such rows set aside (null_event_time: quarantine)",
		worldCounter.Load(), src.Name)
	if err == nil || err.Error() != want {
		t.Errorf("found %v\nexpected %s", err, want)
	}
}

func TestLateSourceIsWarnedOf(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) { s.Freshness = time.Hour })
	view := w.newView(t, src, latest, 0)
	load := func(at time.Time) {
		row := keyed("a", 1, 0, feature.Null())
		row.Values[0] = feature.Timestamp(feature.TimeOf(at))
		w.load(t, src, 0, row)
	}
	warned := func() bool {
		t.Helper()
		r := w.published(t, view, nil)
		return slices.ContainsFunc(r.Warnings, func(s string) bool {
			return strings.HasPrefix(s, "source "+src.Name+": its newest row is too old, expected at most 1h;")
		})
	}
	load(time.Now().Add(-2 * time.Hour))
	if !warned() {
		t.Error("found no warning of a row two hours old")
	}
	load(time.Now())
	if warned() {
		t.Error("found a warning of a new row")
	}
}
