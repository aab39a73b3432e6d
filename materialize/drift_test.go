package materialize

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
)

// complete keeps rows whose value is there.
const complete = `SELECT name, room, event_time, available_at, value, room %% 5 AS rows FROM %s
	WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}} AND value IS NOT NULL`

// twoYears are six readings a day, of which those of the months named by without have no value.
func twoYears(without func(month int) bool) []reference.SourceRow {
	var rows []reference.SourceRow
	for i := range 730 * 6 {
		at := hours(float64(i) * 4)
		value := feature.Float64(float64((i * 37) % 101))
		// Buckets of thirty days are counted from 1970: the first of them has 17 of these days.
		if without((i/6 + 13) / 30) {
			value = feature.Null()
		}
		rows = append(rows, lateReading(fmt.Sprint("s", i%4), int64(i%40), at, at, value))
	}
	return rows
}

func (w *world) setBaseline(t *testing.T, name string, r *Run) {
	t.Helper()
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
		return quality.SetBaseline(ctx, tx, &quality.Baseline{Name: name, Subject: fmt.Sprintf("view:%s@%d", r.View, r.ViewVersion), Run: r.ID, Node: "run:" + r.Ref(), SetBy: "test"})
	})
}

// A column is wholly NULL for half a year, and the view drops rows without it: of what is left nothing is missing and no distribution has moved, so that only the ledger and
// what is counted by time can tell.
func TestHalfAYearThatIsDropped(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.Expectations = named(feature.Expectation{Kind: feature.ExpectCompleteness, Column: "value", Bucket: 30 * 24 * time.Hour, Warn: atLeast(0.5)})
	})
	view := w.newView(t, src, complete, 0)
	view.Expectations = named(feature.Expectation{Kind: feature.ExpectRowsKept, Bucket: 30 * 24 * time.Hour, Warn: atLeast(0.5)},
		feature.Expectation{Name: "output", Kind: feature.ExpectCompleteness, Column: "value", Bucket: 30 * 24 * time.Hour, Error: atLeast(1)})
	subject := quality.SourceSubject(src.Name)
	first := w.load(t, src, 0, twoYears(func(int) bool { return false })...)
	r1 := w.published(t, view, nil)
	wantCheck(t, r1, quality.Output, "rows_kept", "PASSED: 1 in the worst of 25 buckets, 102 rows made of 102")
	if r1.Drift == nil || r1.Drift.Verdict != drift.NoBaseline || r1.Drift.Baseline != "" || len(r1.Warnings) != 0 {
		t.Errorf("found drift %+v and warnings %q of a run without a baseline", r1.Drift, r1.Warnings)
	}
	w.setBaseline(t, "normal_"+view.Name, r1)

	w.load(t, src, first, twoYears(func(month int) bool { return month >= 8 && month < 14 })...)
	r2 := w.published(t, view, nil)
	wantCheck(t, r2, quality.Output, "output", "PASSED: 1 in the worst of 19 buckets, of 102 rows")
	wantCheck(t, r2, subject, "value_completeness", "WARNED: 0 in the worst of 25 buckets, of 180 rows")
	wantCheck(t, r2, quality.Output, "rows_kept", "WARNED: 0 in the worst of 25 buckets, 0 rows made of 180; 6 buckets are outside of the bounds")
	if l := r2.Ledger; l.Filtered != 6*180 || l.Used != l.Produced || l.Unaccounted != 0 {
		t.Errorf("found the ledger %+v, expected 1080 rows filtered", l)
	}
	if r2.Drift.Verdict != drift.OK || len(r2.Drift.Columns) != 2 {
		t.Errorf("found the drift %+v", r2.Drift)
	}
	for _, c := range r2.Drift.Columns {
		if c.PSI == nil || *c.PSI >= 0.01 {
			t.Errorf("found PSI %v of %s, expected less than 0.01: otherwise drift would tell", c.PSI, c.Name)
		}
	}
	// As declared: it fails.
	view.Expectations[0].Error = atLeast(0.25)
	r3 := w.run(t, view, nil)
	wantCheck(t, r3, quality.Output, "rows_kept", "FAILED: 0 in the worst of 25 buckets, 0 rows made of 180; 6 buckets are outside of the bounds")
	if r3.State != Failed || !strings.Contains(r3.Error, "rows_kept of output: expected rows made, divided by rows accepted in each 720h at least 0.25") {
		t.Errorf("found %s: %s", r3.State, r3.Error)
	}
	if strings.Contains(r3.Error, "2024") {
		t.Errorf("found a time of rows in %s", r3.Error)
	}
}

// A run is held to the baseline of its version by the thresholds that the view declares, and told of what drifted.
func TestRunsAreHeldToBaselines(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, `SELECT name, room, event_time, available_at, value, room %% 5 AS rows FROM %s
		WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}`, 0)
	first := w.load(t, src, 0, twoYears(func(int) bool { return false })...)
	name := "normal_" + view.Name
	baseline := w.published(t, view, nil)
	w.setBaseline(t, name, baseline)
	w.load(t, src, first, twoYears(func(month int) bool { return month%4 == 0 })...)
	verdicts := func(r *Run) string {
		text := fmt.Sprintf("%s by %s:", r.Drift.Verdict, r.Drift.Baseline)
		for _, c := range r.Drift.Columns {
			text += fmt.Sprintf(" %s %s", c.Name, c.Verdict)
		}
		return text
	}
	r := w.published(t, view, nil)
	if got, want := verdicts(r), "FAIL by "+name+"@1: value FAIL rows OK"; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
	if want := fmt.Sprintf("drift of value: FAIL against baseline %s@1 (headwater drift baseline:%[1]s@1 run:%s)", name, r.Ref()); len(r.Warnings) != 1 || r.Warnings[0] != want {
		t.Errorf("found warnings %q, expected %q", r.Warnings, want)
	}
	view.Drift = &feature.DriftRule{Columns: []feature.ColumnDrift{{Column: "value", DriftThresholds: feature.DriftThresholds{Fail: 10}}}}
	if got, want := verdicts(w.published(t, view, nil)), "WARN by "+name+"@1: value WARN rows OK"; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
	view.Drift = &feature.DriftRule{DriftThresholds: feature.DriftThresholds{Warn: 5, Fail: 10}}
	if got, want := verdicts(w.published(t, view, nil)), "OK by "+name+"@1: value OK rows OK"; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
	// What declares drift and has nothing to be held to is told so.
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error { return quality.EraseRunProfile(ctx, tx, baseline.ID) })
	r = w.published(t, view, nil)
	want := fmt.Sprintf("view %s declares drift: found that an erasure took baseline %s@1 away, expected one to hold its rows to; headwater baseline set %[2]s run:%s", view.Ref(), name, r.Ref())
	if len(r.Warnings) != 1 || r.Warnings[0] != want {
		t.Errorf("found warnings %q, expected %q", r.Warnings, want)
	}
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE headwater.baseline SET ended_at = clock_timestamp(), ended_by = 'test' WHERE name = $1`, name)
		return err
	})
	r = w.published(t, view, nil)
	want = fmt.Sprintf("view %s declares drift: found no baseline, expected one to hold its rows to; headwater baseline set NAME run:%s", view.Ref(), r.Ref())
	if len(r.Warnings) != 1 || r.Warnings[0] != want {
		t.Errorf("found warnings %q, expected %q", r.Warnings, want)
	}
}
