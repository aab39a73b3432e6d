package materialize

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
)

// newViewOver makes a view of another one; query has a %s for its name.
func (w *world) newViewOver(t testing.TB, input *feature.ViewVersion, query string, grain, lookback time.Duration) *feature.ViewVersion {
	t.Helper()
	name := fmt.Sprintf("view%d", worldCounter.Add(1))
	v := &feature.ViewVersion{
		Version: 1, Fingerprint: sha256.Sum256([]byte(name)),
		EntityVersion: input.EntityVersion, ViewVersions: []*feature.ViewVersion{input},
		View: feature.View{
			Name: name, Entity: "sensor", Grain: grain, Lookback: lookback,
			Features:   []feature.Column{{Name: "value", Type: feature.TypeFloat64}},
			Attributes: []feature.Column{{Name: "rows", Type: feature.TypeInt64}},
			SQL:        &feature.SQLTransform{Views: []feature.ViewRef{{Name: input.Name}}, Query: fmt.Sprintf(query, input.Name)},
		},
	}
	w.createView(t, v)
	return v
}

const (
	same = `SELECT name, room, event_time, available_at, value, rows FROM %s`
	// daily adds up the hours that ended in a day, its last one included.
	daily = `
		SELECT name, room, date_trunc('day', event_time - interval '1 hour') + interval '1 day' AS event_time,
			greatest(max(available_at), date_trunc('day', event_time - interval '1 hour') + interval '1 day') AS available_at,
			max(value) AS value, sum(rows)::bigint AS rows
		FROM %s GROUP BY name, room, date_trunc('day', event_time - interval '1 hour')`
	// risen is how much a value rose since the one before, however long ago within the look-back.
	risen = `
		SELECT name, room, event_time, available_at, value, rows FROM (
			SELECT name, room, event_time, greatest(available_at, lag(available_at) OVER w) AS available_at,
				value - lag(value) OVER w AS value, rows
			FROM %s WINDOW w AS (PARTITION BY name, room ORDER BY event_time)) r
		WHERE event_time >= {{interval.start}}`
)

// live is the rows of a view that no run has ended, as text.
func (w *world) live(t testing.TB, v *feature.ViewVersion) []string {
	t.Helper()
	var lines []string
	for _, r := range w.history(t, v) {
		if r.SeqTo == reference.Live {
			lines = append(lines, fmt.Sprintf("%s %s known %s: %s %s", r.Key, short(r.EventTime), short(r.AvailableAt), r.Values[0].Text(), r.Values[1].Text()))
		}
	}
	return lines
}

// short is hours and minutes since day.
func short(at feature.Time) string {
	d := time.Duration(at-day) * time.Microsecond
	return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
}

func expectLive(t testing.TB, w *world, v *feature.ViewVersion, want ...string) {
	t.Helper()
	if found := w.live(t, v); !slices.Equal(found, want) {
		t.Errorf("view %s: found %q, expected %q", v.Name, found, want)
	}
}

// A day is made of the hours that lie in it, the one that ends with it included, whatever the intervals of the runs.
func TestAViewOverAViewWithAGrain(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	base := w.newView(t, src, hourly, time.Hour)
	days := w.newViewOver(t, base, daily, 24*time.Hour, 0)
	r := w.run(t, days, nil)
	want := fmt.Sprintf("view %s@1 reads view %s@1, of which no run is published; run that first: headwater materialize %[2]s@1 --wait", days.Name, base.Name)
	if r.State != Failed || r.Error != want {
		t.Fatalf("found %s: %s\nexpected %s", r.State, r.Error, want)
	}
	w.load(t, src, 0, reading(`a|\`, 1, hours(0), 1), reading(`a|\`, 1, hours(23.5), 5), reading(`a|\`, 1, hours(24), 7), reading("b", -1, hours(1), 2))
	w.published(t, base, nil)
	r = w.published(t, days, nil)
	expectLive(t, w, days, `a\|\\|1 24:00 known 24:00: 5 2`, `a\|\\|1 48:00 known 48:00: 7 1`, "b|-1 24:00 known 24:00: 2 1")
	if r.Ledger.Read != 4 || r.Ledger.Used != 4 || len(r.Inputs) != 0 {
		t.Errorf("found %+v, inputs %+v", r.Ledger, r.Inputs)
	}
	if len(r.ViewInputs) != 1 || r.ViewInputs[0] != (ViewInput{ViewID: base.ID, View: base.Name, Version: 1, Seq: 1, Rows: 4}) {
		t.Errorf("found %+v", r.ViewInputs)
	}
	if r.Interval.Start != hours(0) || r.Interval.End != hours(48) {
		t.Errorf("found the interval %v", r.Interval)
	}
	// One day by itself is the same day.
	r = w.published(t, days, &reference.Interval{Start: hours(0), End: hours(24)})
	if r.Ledger.Produced != 2 || r.Ledger.Unchanged != 2 {
		t.Errorf("found %+v", r.Ledger)
	}
	// The input moves on; what was made of it stays until its reader runs again, and then says what it read.
	w.load(t, src, 0, reading("b", -1, hours(23.9), 9))
	w.published(t, base, &reference.Interval{Start: hours(23), End: hours(24)})
	expectLive(t, w, days, `a\|\\|1 24:00 known 24:00: 5 2`, `a\|\\|1 48:00 known 48:00: 7 1`, "b|-1 24:00 known 24:00: 2 1")
	r = w.published(t, days, nil)
	expectLive(t, w, days, `a\|\\|1 24:00 known 24:00: 5 2`, `a\|\\|1 48:00 known 48:00: 7 1`, "b|-1 24:00 known 24:00: 9 2")
	if r.ViewInputs[0].Seq != 2 || r.Ledger.Unchanged != 2 {
		t.Errorf("found %+v, %+v", r.ViewInputs, r.Ledger)
	}
}

// Of several rows of one key and event time the one that became known last is shown, and of those that a run has ended none.
func TestAViewShowsItsNewestRows(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	base := w.newView(t, src, latest, 0)
	copied := w.newViewOver(t, base, same, 0, 0)
	first := w.load(t, src, 0, lateReading("a", 1, hours(1), hours(1), feature.Float64(1)), lateReading("a", 1, hours(1), hours(5), feature.Float64(2)),
		lateReading("a", 1, hours(2), hours(4), feature.Null()), lateReading("a", 1, hours(2), hours(2), feature.Float64(8)))
	w.published(t, base, nil)
	r := w.published(t, copied, nil)
	expectLive(t, w, copied, "a|1 01:00 known 05:00: 2 1", "a|1 02:00 known 04:00:  1")
	if r.Ledger.Read != 2 {
		t.Errorf("found %+v", r.Ledger)
	}
	w.load(t, src, first, lateReading("a", 1, hours(1), hours(1), feature.Float64(1)))
	w.published(t, base, nil)
	w.published(t, copied, nil)
	expectLive(t, w, copied, "a|1 01:00 known 01:00: 1 1")
	// What a run of the input wrote and did not publish is not read.
	w.load(t, src, 0, reading("c", 1, hours(3), 3))
	w.reached = func(step string) error {
		if step == stepWritten {
			return context.Canceled
		}
		return nil
	}
	reader := w.enqueue(t, copied, nil).ID
	id := w.enqueue(t, base, nil).ID
	if err := w.m.runner.run(context.Background(), id); err == nil {
		t.Fatal("expected the run to be stopped")
	}
	w.reached = func(string) error { return nil }
	if err := w.work(reader); err != nil {
		t.Fatal(err)
	}
	if r := w.get(t, reader); r.State != Published {
		t.Fatalf("found %s: %s", r.State, r.Error)
	}
	expectLive(t, w, copied, "a|1 01:00 known 01:00: 1 1")
}

// A reader with a look-back sees rows from before its interval, and writes none there, over views as over sources.
func TestLookbackOverAView(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	base := w.newView(t, src, latest, 0)
	rises := w.newViewOver(t, base, risen, 0, 2*time.Hour)
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("a", 1, hours(2), 3), reading("a", 1, hours(3), 7), reading("a", 1, hours(6), 8))
	w.published(t, base, nil)
	whole := []string{"a|1 01:00 known 01:00:  1", "a|1 02:00 known 02:00: 2 1", "a|1 03:00 known 03:00: 4 1", "a|1 06:00 known 06:00: 1 1"}
	w.published(t, rises, nil)
	expectLive(t, w, rises, whole...)
	r := w.published(t, rises, &reference.Interval{Start: hours(3), End: hours(4)})
	expectLive(t, w, rises, whole...)
	if r.Ledger.Read != 3 || r.Ledger.Produced != 1 {
		t.Errorf("found %+v", r.Ledger)
	}
	short := w.newViewOver(t, base, risen, 0, 0)
	w.published(t, short, &reference.Interval{Start: hours(3), End: hours(4)})
	expectLive(t, w, short, "a|1 03:00 known 03:00:  1")
	outside := w.newViewOver(t, base, same, 0, time.Hour)
	r = w.run(t, outside, &reference.Interval{Start: hours(3), End: hours(4)})
	want := "view " + outside.Name + "@1: found a row (name a, room 1, event_time 2024-01-01T02:00:00Z, available_at 2024-01-01T02:00:00Z) whose " +
		"event_time less the grain of 0s lies outside of the run's interval [2024-01-01T03:00:00Z, 2024-01-01T04:00:00Z); a run writes only what " +
		"it owns: check the grain, or leave other groups out with {{interval.start}} and {{interval.end}}"
	if r.State != Failed || r.Error != want {
		t.Errorf("found %s: %s\nexpected %s", r.State, r.Error, want)
	}
}

// A look-back over a source: a run of a part writes what a run of the whole wrote there.
func TestLookbackOverASource(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	rises := &feature.ViewVersion{
		Version: 1, Fingerprint: sha256.Sum256([]byte("rises")), SourceVersions: []*feature.SourceVersion{src},
		EntityVersion: &feature.EntityVersion{Version: 1, Entity: *sensor},
		View: feature.View{
			Name: "rises", Entity: "sensor", Lookback: 2 * time.Hour,
			Features:   []feature.Column{{Name: "value", Type: feature.TypeFloat64}},
			Attributes: []feature.Column{{Name: "rows", Type: feature.TypeInt64}},
			SQL: &feature.SQLTransform{Sources: []string{src.Name}, Query: fmt.Sprintf(risen,
				"(SELECT name, room, event_time, max(available_at) AS available_at, max(value) AS value, count(*) AS rows FROM "+src.Name+
					" GROUP BY name, room, event_time) r")},
		},
	}
	w.createView(t, rises)
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("a", 1, hours(2), 3), reading("a", 1, hours(3.5), 7))
	w.published(t, rises, nil)
	whole := []string{"a|1 01:00 known 01:00:  1", "a|1 02:00 known 02:00: 2 1", "a|1 03:30 known 03:30: 4 1"}
	expectLive(t, w, rises, whole...)
	for _, part := range []reference.Interval{{Start: hours(2), End: hours(3)}, {Start: hours(3), End: hours(4)}, {Start: hours(1), End: hours(3)}} {
		if r := w.published(t, rises, &part); r.Ledger.Produced != r.Ledger.Unchanged || r.Ledger.Produced == 0 {
			t.Errorf("the run of %v found %+v", part, r.Ledger)
		}
	}
	expectLive(t, w, rises, whole...)
}

// A row-wise view over one with a grain reads what became true in its interval: the groups that ended there.
func TestARowWiseViewOverOneWithAGrain(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	base := w.newView(t, src, hourly, time.Hour)
	copied := w.newViewOver(t, base, same, 0, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("a", 1, hours(2), 2))
	w.published(t, base, nil)
	r := w.published(t, copied, nil)
	expectLive(t, w, copied, "a|1 02:00 known 02:00: 1 1", "a|1 03:00 known 03:00: 2 1")
	if r.Interval.Start != hours(2) || r.Interval.End != hours(4) {
		t.Errorf("found the interval %v", r.Interval)
	}
	r = w.published(t, copied, &reference.Interval{Start: hours(3), End: hours(4)})
	if r.Ledger.Read != 1 || r.Ledger.Produced != 1 {
		t.Errorf("found %+v", r.Ledger)
	}
}

// Who asks for a view and what it is made of gets the one made of the other, whichever is named first.
func TestARunWaitsForOlderRunsOfWhatItReads(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	base := w.newView(t, src, hourly, time.Hour)
	days := w.newViewOver(t, base, daily, 24*time.Hour, 0)
	w.load(t, src, 0, reading("a", 1, hours(0), 1))
	runs, err := w.m.Enqueue(context.Background(), []Request{{View: days, Principal: "p"}, {View: base, Principal: "p"}})
	if err != nil {
		t.Fatal(err)
	}
	if runs[0].View != days.Name || runs[1].View != base.Name || runs[0].ID < runs[1].ID {
		t.Fatalf("found runs %d of %s and %d of %s, expected those of %s and %s, the second queued first", runs[0].ID, runs[0].View,
			runs[1].ID, runs[1].View, days.Name, base.Name)
	}
	if err := w.m.runner.run(context.Background(), runs[0].ID); !errors.Is(err, errInputsUnderWay) {
		t.Fatalf("found %v, expected %v", err, errInputsUnderWay)
	}
	for _, i := range []int{1, 0} {
		if err := w.work(runs[i].ID); err != nil {
			t.Fatal(err)
		}
		if r := w.get(t, runs[i].ID); r.State != Published {
			t.Fatalf("found %s: %s", r.State, r.Error)
		}
	}
	expectLive(t, w, days, "a|1 24:00 known 24:00: 1 1")

	// A younger run of what is read is not waited for.
	older := w.enqueue(t, days, nil)
	w.enqueue(t, base, nil)
	if err := w.work(older.ID); err != nil {
		t.Errorf("found %v", err)
	}
}
