package materialize

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/quality"
)

func atLeast(x float64) feature.Bounds { return feature.Bounds{Min: &x} }

// named gives expectations the names that definitions would.
func named(expectations ...feature.Expectation) []feature.Expectation {
	for i := range expectations {
		if e := &expectations[i]; e.Name == "" {
			e.Name = e.DefaultName()
		}
	}
	return expectations
}

// found is the state and finding of a check of a run, or "".
func found(r *Run, subject, name string) string {
	for _, c := range r.Checks {
		if c.Name == name && c.Subject == subject {
			return fmt.Sprintf("%s: %s", c.State, c.Found)
		}
	}
	return ""
}

func wantCheck(t *testing.T, r *Run, subject, name, want string) {
	t.Helper()
	if got := found(r, subject, name); got != want {
		t.Errorf("run %s, %s of %s: found %q, expected %q", r.Ref(), name, subject, got, want)
	}
}

func TestSetsAreCheckedBeforePublishing(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.Expectations = named(
			feature.Expectation{Kind: feature.ExpectRowCount, Error: atLeast(2)},
			feature.Expectation{Kind: feature.ExpectRowCountRatio, Warn: atLeast(0.5)},
			feature.Expectation{Kind: feature.ExpectSchemaUnchanged},
			feature.Expectation{Kind: feature.ExpectFreshness, WarnAfter: time.Hour},
		)
	})
	view := w.newView(t, src, latest, 0)
	view.Expectations = named(
		feature.Expectation{Kind: feature.ExpectEntitiesKept, Error: atLeast(1)},
		feature.Expectation{Kind: feature.ExpectRowsKept, Error: atLeast(1)},
		feature.Expectation{Kind: feature.ExpectMean, Column: "value", Error: atLeast(1)},
		feature.Expectation{Kind: feature.ExpectCompleteness, Column: "name", Error: atLeast(1)},
	)
	subject := quality.SourceSubject(src.Name)

	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading(`b|\`, 2, hours(2), 3), reading("c", 3, hours(3), 5), reading("d", 3, hours(3), 5))
	r1 := w.runIncremental(t, view)
	wantCheck(t, r1, subject, "row_count", "PASSED: 4")
	wantCheck(t, r1, subject, "row_count_ratio", "NO_BASELINE: 4 rows, and no earlier run that was published, had rows and computed all there is, as this one does")
	wantCheck(t, r1, subject, "schema_unchanged", "NO_BASELINE: 5 columns, and no earlier run that was published and looked at them")
	wantCheck(t, r1, quality.Output, "entities_kept", "PASSED: 1: 4 of 4 entities")
	wantCheck(t, r1, quality.Output, "rows_kept", "PASSED: 1: 4 rows made of 4 that were accepted")
	wantCheck(t, r1, quality.Output, "value_mean", "PASSED: a value within the bounds")
	wantCheck(t, r1, quality.Output, "name_completeness", "PASSED: 1")
	wantCheck(t, r1, quality.Output, "one_row_per_moment", "PASSED: 4 rows")
	if r1.State != Published || found(r1, subject, "freshness") != "WARNED: an age outside of the bounds" {
		t.Errorf("found %s and %s", r1.State, found(r1, subject, "freshness"))
	}
	if w := strings.Join(r1.Warnings, " "); !strings.Contains(w, "freshness of") || strings.Contains(w, "2024") {
		t.Errorf("found the warnings %s, expected that of the age, and no event time", w)
	}
	if len(r1.Gates) == 0 || r1.Gates[0].Detail != "1 warned, 2 no baseline, 9 passed" {
		t.Errorf("found gates %+v", r1.Gates)
	}

	// Nothing new: only what is known without a row is looked at.
	r2 := w.runIncremental(t, view)
	wantCheck(t, r2, subject, "row_count", "SKIPPED: the run read no row")
	wantCheck(t, r2, subject, "schema_unchanged", "PASSED: the same columns")
	wantCheck(t, r2, quality.Output, "entities_kept", "SKIPPED: the run made no row")
	if r2.State != Published || !strings.HasPrefix(found(r2, subject, "freshness"), "WARNED: ") {
		t.Errorf("found %s and %s", r2.State, found(r2, subject, "freshness"))
	}

	// A full run is compared with the first, which found all there was.
	r3 := w.run(t, view, nil)
	wantCheck(t, r3, subject, "row_count_ratio", "PASSED: 4 rows, 1 of 4, the median of 1 earlier runs")

	// Too few rows: nothing is computed, published or left, and the run before serves.
	one := w.load(t, src, 0, reading("a", 1, hours(9), 7))
	r4 := w.runIncremental(t, view)
	if r4.State != Failed || !strings.Contains(r4.Error, "row_count of "+subject+": expected rows at least 2, found 1") ||
		!strings.Contains(r4.Error, "nothing was published") {
		t.Errorf("found %s: %s", r4.State, r4.Error)
	}
	wantCheck(t, r4, subject, "row_count", "FAILED: 1")
	wantCheck(t, r4, quality.Output, "one_row_per_moment", "")
	if n := w.count(t, fmt.Sprintf(`SELECT count(*) FROM headwater_history.%s_v1 WHERE seq_from > 1`, view.Name)); n != 0 {
		t.Errorf("found %d rows of the failed run", n)
	}
	if n := w.count(t, `SELECT published_seq FROM headwater.view_state WHERE view_id = $1`, view.ID); n != r3.Seq {
		t.Errorf("found sequence %d, expected %d to serve", n, r3.Seq)
	}

	// A set of the output fails after it was written, which is undone.
	w.load(t, src, one, reading("a", 1, hours(9), 0.25), reading("a", 1, hours(10), 0.25))
	r5 := w.runIncremental(t, view)
	if r5.State != Failed || !strings.Contains(r5.Error, "value_mean of output: expected the mean of value at least 1, found a value outside of the bounds") {
		t.Errorf("found %s: %s", r5.State, r5.Error)
	}
	wantCheck(t, r5, quality.Output, "one_row_per_moment", "PASSED: 2 rows")
	if n := w.count(t, fmt.Sprintf(`SELECT count(*) FROM headwater_history.%s_v1 WHERE seq_from > 1`, view.Name)); n != 0 {
		t.Errorf("found %d rows of the failed run", n)
	}
}

func TestEntitiesThatVanishAreNamed(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest[:strings.Index(latest, "AND name IS NOT NULL")]+" AND room < 3 GROUP BY name, room, event_time, available_at", 0)
	view.Expectations = named(feature.Expectation{Kind: feature.ExpectEntitiesKept, Error: atLeast(0.6)})
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("b", 2, hours(2), 3), reading(`c|\`, 3, hours(3), 5), reading("d", 4, hours(3), 5))
	r := w.run(t, view, nil)
	wantCheck(t, r, quality.Output, "entities_kept", "FAILED: 0.5: 2 of 4 entities")
	for _, c := range r.Checks {
		if c.Name == "entities_kept" && (fmt.Sprint(c.Examples) != `[name c|\, room 3 name d, room 4]` || c.RowsFailed != 2 || c.Look == "") {
			t.Errorf("found %+v", c)
		}
	}
	if r.State != Failed || strings.Contains(r.Error, `c|\`) {
		t.Errorf("found %s: %s; expected it failed, and to say nothing of a key", r.State, r.Error)
	}
	// Half of them is enough.
	view.Expectations[0].Error = atLeast(0.5)
	if r := w.run(t, view, nil); r.State != Published {
		t.Errorf("found %s: %s", r.State, r.Error)
	}
}

func TestABrokenRuleIsAFailedCheck(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, `SELECT name, room, event_time, available_at, value, 1::bigint AS rows FROM %s
		WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}`, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("a", 1, hours(1), 2))
	r := w.run(t, view, nil)
	if r.State != Failed {
		t.Fatalf("found %s, expected it failed", r.State)
	}
	wantCheck(t, r, quality.Output, "one_row_per_moment", "FAILED: a row that breaks it")
	wantCheck(t, r, quality.Output, "live_rows_are_the_output", "SKIPPED: nothing: the run ended before all of its output was there")
}
