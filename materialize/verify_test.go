package materialize

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/offline"
)

// verify computes a run again.
func (w *world) verify(t *testing.T, r *Run) *Verification {
	t.Helper()
	v, err := w.m.Verify(context.Background(), w.get(t, r.ID))
	if err != nil {
		t.Fatalf("verify of run %s: %v", r.Ref(), err)
	}
	return v
}

func (w *world) wantVerdict(t *testing.T, r *Run, want Verdict, details ...string) {
	t.Helper()
	v := w.verify(t, r)
	all := strings.Join(v.Details, "\n")
	if v.Verdict != want {
		t.Errorf("run %s is %s, expected %s\n%s", r.Ref(), v.Verdict, want, all)
	}
	for _, d := range details {
		if !strings.Contains(all, d) {
			t.Errorf("run %s: found\n%s\nexpected %q in it", r.Ref(), all, d)
		}
	}
	if want == Same && v.Digest != r.Digest {
		t.Errorf("run %s: found digest %s, expected %s", r.Ref(), v.Digest, r.Digest)
	}
}

// Every run of every kind of view computes the same again, whatever loads, replacements, retractions and runs came after it.
func TestRunsComputeTheSameAgain(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	keyed := w.newSourceWith(t, func(s *feature.Source) {
		s.UniqueKey, s.Conflicting = []string{"name", "room"}, feature.KeepNewest
	})
	arriving := w.newArrivingSource(t)
	rowwise, grained := w.newView(t, src, latest, 0), w.newView(t, src, hourly, time.Hour)
	views := []*feature.ViewVersion{
		rowwise, grained, w.newWindowView(t, src, time.Hour), w.newView(t, keyed, latest, 0), w.newView(t, arriving, latest, 0),
		w.newJoin(t, src, src2(t, w), `SELECT l.name, l.room, l.event_time, greatest(l.available_at, max(r.available_at)) AS available_at, max(r.value) AS value, count(*) AS rows
			FROM %[1]s l JOIN %[2]s r ON r.name = l.name AND r.event_time <= l.event_time AND r.available_at <= l.event_time
			WHERE l.event_time >= {{interval.start}} GROUP BY l.name, l.room, l.event_time, l.available_at`, 2*time.Hour),
		w.newViewOver(t, rowwise, same, 0, 0), w.newViewOver(t, grained, daily, 24*time.Hour, 0),
	}
	all := map[*feature.SourceVersion][]int64{}
	load := func(replaces int, rows ...reference.SourceRow) {
		for _, s := range []*feature.SourceVersion{src, keyed, arriving} {
			old := int64(0)
			if replaces >= 0 {
				old = all[s][replaces]
			}
			all[s] = append(all[s], w.load(t, s, old, rows...))
		}
	}
	var runs []*Run
	run := func() {
		for _, v := range views {
			runs = append(runs, w.incremental(t, v))
		}
	}
	load(-1, reading("a", 1, hours(1), 1), reading("a", 1, hours(3), 2), reading("b", 1, hours(30), 5))
	run()
	load(-1, reading("a", 1, hours(2), 9), reading("b", 2, hours(1.5), 5), reading("c", 1, hours(50), -1))
	run()
	load(0, reading("a", 1, hours(1), 3), reading("d", 1, hours(20), 3), reading("b", 1, hours(30), 5))
	run()
	for _, v := range views {
		runs = append(runs, w.published(t, v, &reference.Interval{Start: hours(0), End: hours(24)}))
	}
	for _, s := range []*feature.SourceVersion{src, keyed, arriving} {
		w.retract(t, all[s][1])
	}
	run()
	run()
	several := false
	for _, r := range runs {
		w.wantVerdict(t, r, Same)
		several = several || len(w.get(t, r.ID).Spans) > 1
	}
	if !several {
		t.Error("found no run of several spans, expected some")
	}
}

// src2 is another source with a few rows.
func src2(t *testing.T, w *world) *feature.SourceVersion {
	t.Helper()
	src := w.newSource(t)
	w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("b", 1, hours(29), 2), reading("a", 1, hours(2.5), 4))
	return src
}

// What was changed behind Headwater's back is seen, and told from a change of the source.
func TestWhatWasTamperedWithIsSeen(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("b", 1, hours(2), 2), reading("c", 1, hours(3), 3))
	r := w.published(t, view, nil)
	w.wantVerdict(t, r, Same)
	history := "headwater_history." + view.Name + "_v1"
	execute(t, w.pool, "UPDATE "+history+" SET value = 7 WHERE entity_key = 'b|1'")
	w.wantVerdict(t, r, Different, "changed by other means than a run", "1 rows differ", "other values of value: name b, room 1, event_time 2024-01-01T02:00:00Z")
	execute(t, w.pool, "UPDATE "+history+" SET value = 2 WHERE entity_key = 'b|1'; DELETE FROM "+history+" WHERE entity_key = 'a|1'")
	w.wantVerdict(t, r, Different, "computed, and not in the history: name a, room 1")
	execute(t, w.pool, "UPDATE headwater_landing."+src.Name+" SET value = 8 WHERE name = 'c'")
	w.wantVerdict(t, r, Different, "the same inputs gave 3 rows with another digest, expected the 3 that the run produced", "2 rows differ",
		"has other rows than those that came")
	execute(t, w.pool, "DELETE FROM headwater_landing."+src.Name+" WHERE name = 'c'")
	w.wantVerdict(t, r, SourceChanged, "load 1", "has 2 rows in what the run read, expected 3")
}

// Rows of landing that were changed in place are a change of the source, and the load that has them is told, of a file and of batches.
func TestLoadsThatWereTamperedWithAreTold(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.NullEventTime, s.MaxQuarantineRatio = feature.QuarantineNull, all(0.5)
	})
	view := w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, reading("a", 1, hours(1), 1), lateReading("b", 1, hours(2), hours(2), feature.Float64(math.Copysign(0, -1))),
		lateReading("b", 2, hours(2), hours(2), feature.Null()))
	var sent []*offline.Batch
	for i, name := range []string{"c", "d", "e"} {
		rows := []reference.SourceRow{reading(name, 1, hours(3), float64(i)), reading(name, 2, hours(3), math.NaN())}
		sent = append(sent, &offline.Batch{Key: name, Rows: func(yield func([]feature.Value, error) bool) {
			for _, r := range rows {
				if !yield(r.Values, nil) {
					return
				}
			}
		}})
	}
	second, _, err := offline.AppendBatches(context.Background(), w.pool, w.pool, offline.LoadRequest{Source: src, Principal: "test"},
		func(yield func(*offline.Batch, error) bool) {
			for _, b := range sent {
				if !yield(b, nil) {
					return
				}
			}
		})
	if err != nil {
		t.Fatal(err)
	}
	r := w.published(t, view, nil)
	table := "headwater_landing." + src.Name
	change := func(set, where string, want Verdict, details ...string) {
		t.Helper()
		execute(t, w.pool, "CREATE TABLE kept AS TABLE "+table+"; UPDATE "+table+" SET "+set+" WHERE "+where)
		w.wantVerdict(t, r, want, details...)
		execute(t, w.pool, "TRUNCATE "+table+"; INSERT INTO "+table+" TABLE kept; DROP TABLE kept")
		w.wantVerdict(t, r, Same)
	}
	told := func(load int64) string { return fmt.Sprintf("load %d (", load) }
	change("value = 7", "name = 'a'", SourceChanged, told(first), "has other rows than those that came", fmt.Sprintf("--replaces %d", first))
	change("room = 7", "name = 'd' AND room = 2", SourceChanged, told(second.ID), "has other rows than those that came")
	for _, x := range w.verify(t, r).Details {
		t.Errorf("found %q, expected nothing", x)
	}
	// Columns that the source got since change nothing of the rows that came.
	grown := *src
	grown.Version, grown.Columns = 2, append(slices.Clone(src.Columns), feature.Column{Name: "more", Type: feature.TypeString})
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error { return offline.CreateSource(ctx, tx, src, &grown) })
	change("value = 7", "name = 'a'", SourceChanged, told(first))
	change("value = 7, more = 'x'", "name = 'a'", Different, "is not known, because it has values in columns that version 1 of the source does not have")
	// What says nothing of the rows is no excuse for another output.
	lacking := reading("f", 1, hours(4), 1)
	lacking.Values[0] = feature.Null()
	w.load(t, src, 0, reading("g", 1, hours(50), 1), lacking)
	r = w.published(t, view, &reference.Interval{Start: hours(40), End: hours(60)})
	change("value = 7", "name = 'g'", Different, "is not known, because rows that were set aside or left out when they came are in its digest")
}

// Rows of a table of others that changed are told by the time that they are of.
func TestChangedTablesOfOthersAreTold(t *testing.T) {
	w := newWorld(t)
	execute(t, w.pool, makeReadings)
	execute(t, w.pool, `INSERT INTO plant.readings SELECT 'a', 1, n, 'x', '2024-01-01Z'::timestamptz + n * interval '1 hour', '2024-01-01Z'::timestamptz + n * interval '1 hour'
		FROM generate_series(0, 512) n`)
	view := w.newView(t, w.foreignSource(t, "", func(*feature.Source) {}), latest, 0)
	r := w.published(t, view, nil)
	w.wantVerdict(t, r, Same)
	execute(t, w.pool, `INSERT INTO plant.readings VALUES ('b', 1, 5, 'x', '2025-01-01Z', '2025-01-01Z')`)
	w.wantVerdict(t, r, Same)
	execute(t, w.pool, `UPDATE plant.readings SET value = -1 WHERE at = '2024-01-02 00:00Z'; DELETE FROM plant.readings WHERE at = '2024-01-05 00:00Z'`)
	w.wantVerdict(t, r, SourceChanged, "plant.readings has other rows than the run read: 512 now, 513 then", "rows of [2024-01-01T2", "it read 2, there are 2 now",
		"it read 2, there are 1 now")
	if v := w.verify(t, r); len(v.Details) != 3 {
		t.Errorf("found %q, expected two buckets", v.Details)
	}
}

func TestWhatCannotBeVerifiedSaysWhy(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	failed := w.run(t, view, nil)
	w.wantVerdict(t, failed, Errored, "is failed, expected a published one")
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	r := w.published(t, view, nil)
	nothing := w.incremental(t, view)
	w.wantVerdict(t, nothing, Same)
	delete(w.views, view.ID)
	w.wantVerdict(t, r, Errored, "is not in the catalog any more")
	w.views[view.ID] = view
	execute(t, w.pool, "UPDATE headwater.run SET plan = NULL")
	w.wantVerdict(t, r, Errored, "it was made before plans were kept")
}

// Functions of users may be replaced behind a view: what they make of the same rows now is told, with the function.
func TestAChangedFunctionIsSeen(t *testing.T) {
	w := newWorld(t)
	const define = `CREATE OR REPLACE FUNCTION public.scaled(v float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN v * %s; END'`
	execute(t, w.pool, strings.Replace(define, "%s", "2", 1))
	src := w.newSource(t)
	view := w.add(t, src, feature.View{
		Features:   []feature.Column{{Name: "value", Type: feature.TypeFloat64}},
		Attributes: []feature.Column{{Name: "rows", Type: feature.TypeInt64}},
		SQL: &feature.SQLTransform{Sources: []string{src.Name}, Functions: []feature.FunctionAllowance{{Function: "public.scaled(float8)", Reason: "it is pure"}},
			Query: "SELECT name, room, event_time, available_at, public.scaled(value) AS value, 1::bigint AS rows FROM " + src.Name},
	})
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) (err error) {
		view.Analysis, err = offline.CheckView(ctx, tx, view)
		return err
	})
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("b", 1, hours(2), 0))
	r := w.published(t, view, nil)
	w.wantVerdict(t, r, Same)
	execute(t, w.pool, strings.Replace(define, "%s", "3", 1))
	w.wantVerdict(t, r, Different, "is another one than when the view was applied", "1 rows differ", "other values of value: name a, room 1")
}
