package materialize

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// newArrivingSource is newSource with corrections that arrive.
func (w *world) newArrivingSource(t testing.TB) *feature.SourceVersion {
	src := w.newSource(t)
	src.Corrections = feature.Arrive
	return src
}

// commit moves the time at which a load, or the retraction of one, was committed.
func (w *world) commit(t testing.TB, src *feature.SourceVersion, number int, at feature.Time) {
	t.Helper()
	tag, err := w.pool.Exec(context.Background(), `UPDATE headwater.load SET committed_at = $3 WHERE source = $1 AND number = $2`, src.Name, number, at.Time())
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("load %d of %s: %v, %v", number, src.Name, tag, err)
	}
}

func (w *world) retract(t testing.TB, id int64) {
	t.Helper()
	if _, err := offline.RetractLoad(context.Background(), w.pool, id, "wrong", "test"); err != nil {
		t.Fatal(err)
	}
}

// What was known stays for the spines of its time: through a correction, a correction of that, rows that went and a load that
// was taken back.
func TestCorrectionsThatArrive(t *testing.T) {
	w := newWorld(t)
	src := w.newArrivingSource(t)
	view := w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("b", 1, hours(1), 2), reading("c", 1, hours(1), 3))
	w.commit(t, src, 1, hours(2))
	w.published(t, view, nil)
	expectLive(t, w, view, "a|1 01:00 known 01:00: 1 1", "b|1 01:00 known 01:00: 2 1", "c|1 01:00 known 01:00: 3 1")
	// a is another, b is gone, c is what it was, d is new.
	second := w.load(t, src, first, reading("a", 1, hours(1), 7), reading("c", 1, hours(1), 3), reading("d", 1, hours(1), 4))
	w.commit(t, src, 2, hours(5))
	r := w.published(t, view, nil)
	corrected := []string{"a|1 01:00 known 01:00: 1 1", "a|1 01:00 known 05:00: 7 1", "b|1 01:00 known 01:00: 2 1", "b|1 01:00 known 05:00:  ",
		"c|1 01:00 known 01:00: 3 1", "d|1 01:00 known 05:00: 4 1"}
	expectLive(t, w, view, corrected...)
	if r.Ledger.Read != 6 || r.Ledger.Produced != 6 || r.Ledger.Unchanged != 3 || r.Ledger.Withdrawn != 0 || len(r.Inputs[0].Loads) != 2 {
		t.Errorf("found %+v, %+v", r.Ledger, r.Inputs)
	}
	// The same inputs give the same digest, and nothing to write.
	if again := w.published(t, view, nil); again.Digest != r.Digest || again.Ledger.Unchanged != 6 {
		t.Errorf("found the digest %s, expected %s; %+v", again.Digest, r.Digest, again.Ledger)
	}
	// A plain load adds to every state.
	w.load(t, src, 0, reading("e", 1, hours(3), 5))
	w.commit(t, src, 3, hours(6))
	w.retract(t, second)
	w.commit(t, src, 4, hours(9))
	w.published(t, view, nil)
	expectLive(t, w, view, append([]string{"a|1 01:00 known 01:00: 1 1", "a|1 01:00 known 05:00: 7 1", "a|1 01:00 known 09:00:  ", "b|1 01:00 known 01:00: 2 1",
		"b|1 01:00 known 05:00:  ", "c|1 01:00 known 01:00: 3 1", "c|1 01:00 known 09:00:  ", "d|1 01:00 known 05:00: 4 1", "d|1 01:00 known 09:00:  "},
		"e|1 03:00 known 03:00: 5 1")...)
	// Beside an interval that no correction touched nothing is computed twice.
	r = w.published(t, view, &reference.Interval{Start: hours(2), End: hours(4)})
	if r.Ledger.Read != 1 || r.Ledger.Unchanged != 1 {
		t.Errorf("found %+v", r.Ledger)
	}
	if n := w.count(t, `SELECT count(*) FROM pg_tables WHERE schemaname = 'headwater_staging'`); n != 0 {
		t.Errorf("found %d tables left in staging", n)
	}
}

// What a correction took away counts for nothing in a view of the view, while a NULL that there is counts.
func TestAViewOverCorrectionsThatArrive(t *testing.T) {
	w := newWorld(t)
	src := w.newArrivingSource(t)
	base := w.newView(t, src, latest, 0)
	counted := w.newViewOver(t, base, `SELECT name, room, date_trunc('day', event_time) + interval '1 day' AS event_time,
		greatest(max(available_at), date_trunc('day', event_time) + interval '1 day') AS available_at, max(value) AS value, count(*) AS rows
		FROM %s GROUP BY name, room, date_trunc('day', event_time)`, 24*time.Hour, 0)
	first := w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("a", 1, hours(2), 9), lateReading("a", 1, hours(3), hours(3), feature.Null()),
		reading("b", 1, hours(1), 4))
	w.commit(t, src, 1, hours(2))
	w.published(t, base, nil)
	w.published(t, counted, nil)
	expectLive(t, w, counted, "a|1 24:00 known 24:00: 9 3", "b|1 24:00 known 24:00: 4 1")
	w.load(t, src, first, reading("a", 1, hours(1), 1), lateReading("a", 1, hours(3), hours(3), feature.Null()))
	w.commit(t, src, 2, hours(5))
	w.published(t, base, nil)
	expectLive(t, w, base, "a|1 01:00 known 01:00: 1 1", "a|1 02:00 known 02:00: 9 1", "a|1 02:00 known 05:00:  ", "a|1 03:00 known 03:00:  1",
		"b|1 01:00 known 01:00: 4 1", "b|1 01:00 known 05:00:  ")
	w.published(t, counted, nil)
	expectLive(t, w, counted, "a|1 24:00 known 24:00: 1 2")
}

// known is what the rule says of a key and an instant: of the rows in the state of knowledge of that instant the one with the
// greatest event time, then the one known last; the values are NULL where there was a row of a later event time in an earlier
// state, which has gone.
func (m *model) known(key string, at feature.Time, over reference.Interval) (values []feature.Value, found bool) {
	events := map[feature.Time]bool{}
	latestIn := func(when feature.Time) map[feature.Time]*feature.Row {
		rows := m.transform(m.source.RowsKnown(when, over))
		best := map[feature.Time]*feature.Row{}
		for i := range rows {
			r := &rows[i]
			if r.Key != key || r.EventTime > at || r.AvailableAt > when {
				continue
			}
			if b := best[r.EventTime]; b == nil || r.AvailableAt > b.AvailableAt {
				best[r.EventTime] = r
			}
		}
		return best
	}
	// Just before each correction, its state had shown all that it ever would.
	for _, c := range m.source.Corrections() {
		if c <= at {
			for event := range latestIn(c - 1) {
				events[event] = true
			}
		}
	}
	now := latestIn(at)
	for event := range now {
		events[event] = true
	}
	var newest feature.Time
	for event := range events {
		if !found || event > newest {
			newest, found = event, true
		}
	}
	if r := now[newest]; found && r != nil {
		return r.Values, true
	}
	return []feature.Value{feature.Null(), feature.Null()}, found
}

// Loads, replacements and retractions at any times: at every instant a reader of the history finds what was known then.
func TestCorrectionsAreTheReference(t *testing.T) {
	w := newWorld(t)
	setChecks(t, "10")
	for _, c := range []struct {
		name  string
		query string
		grain time.Duration
	}{{"rows", latest, 0}, {"groups", hourly, time.Hour}} {
		t.Run(c.name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				src := w.newArrivingSource(t)
				view := w.newView(t, src, c.query, c.grain)
				m := &model{grain: c.grain, seen: map[int64]feature.Digest{}}
				now := hours(0)
				committed := func() {
					number := len(m.source.Loads)
					now = now.Add(time.Duration(rapid.IntRange(0, 8).Draw(rt, "quarters later")) * 15 * time.Minute)
					w.commit(t, src, number, now)
					m.source.Loads[number-1].At = now
				}
				m.load(rt, w, t, src, 0)
				committed()
				for range rapid.IntRange(1, 5).Draw(rt, "steps") {
					live := m.source.LiveLoads(len(m.source.Loads))
					what := rapid.SampledFrom([]string{"load", "replace", "replace", "retract", "run"}).Draw(rt, "what")
					switch {
					case what == "run":
						if r := w.runIncremental(t, view); r.State != Published {
							rt.Fatalf("found run %s %s: %s", r.Ref(), r.State, r.Error)
						}
						continue
					case what == "load" || len(live) == 0:
						m.load(rt, w, t, src, 0)
					case what == "replace":
						m.load(rt, w, t, src, rapid.SampledFrom(live).Draw(rt, "ended"))
					default:
						number := rapid.SampledFrom(live).Draw(rt, "ended")
						w.retract(t, m.ids[number-1])
						m.ids = append(m.ids, 0)
						m.source.Append(reference.Load{Ends: number})
					}
					committed()
				}
				r := w.runIncremental(t, view)
				history := reference.History{Rows: w.history(t, view)}
				left := digestOf(history.Rows, r.Seq)
				if r = w.published(t, view, nil); r.Ledger.Inserted+r.Ledger.Withdrawn > 0 || digestOf(w.history(t, view), r.Seq) != left {
					rt.Fatalf("a full run after an incremental one found %+v to do", r.Ledger)
				}
				over := reference.Interval{Start: r.Interval.Start, End: r.Interval.End}
				for quarter := range 60 {
					at := hours(float64(quarter)/4 - 1)
					for _, key := range []string{"1|23", "12|3", `a\||1`, "a|1", "é|-1", "|0", "nobody|1"} {
						winner := history.PointInTime(key, at, 0, r.Seq)
						values, found := m.known(key, at, over)
						want := fmt.Sprint(found)
						got := fmt.Sprint(winner.Status == read.Present)
						if found {
							want += reference.Describe(&read.Winner{Status: read.Present, Values: values})
						}
						if winner.Status == read.Present {
							got += reference.Describe(&read.Winner{Status: read.Present, Values: winner.Values})
						}
						if got != want {
							rt.Fatalf("key %s at %s: found %s, expected %s\nhistory %s", key, short(at), got, want, describe(history.Rows))
						}
					}
				}
			})
		})
	}
}
