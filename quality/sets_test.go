package quality

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

func number64(x float64) *float64 { return &x }

func bounds(limits ...float64) feature.Bounds {
	return feature.Bounds{Min: number64(limits[0]), Max: number64(limits[1])}
}

// check holds rows, given as a SELECT, to expectations.
func (s *seed) check(set Set, rows string, expectations ...feature.Expectation) []Result {
	s.t.Helper()
	set.View, set.Ref, set.EventTime = s.view, "v@1", "at"
	if set.Subject == "" {
		set.Subject = SourceSubject("pay")
	}
	if rows != "" {
		set.From = "(" + rows + ") AS rows"
	}
	for i := range expectations {
		expectations[i].Name = expectations[i].DefaultName()
	}
	var results []Result
	err := pgx.BeginFunc(context.Background(), s.pool, func(tx pgx.Tx) (err error) {
		if _, err := tx.Exec(context.Background(), `SET LOCAL TimeZone TO 'UTC'`); err != nil {
			return err
		}
		results, err = CheckSet(context.Background(), tx, &set, expectations)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return results
}

// said is state, expected and found.
func said(r Result) string { return fmt.Sprintf("%s: %s: %s", r.State, r.Expected, r.Found) }

// ten rows with the amounts 1 to 8 and twice NULL, one row a day from 2026-01-01 on; those without are of the 3rd and the 5th.
const tenRows = `SELECT TIMESTAMPTZ '2026-01-01 12:00Z' + i * INTERVAL '1 day' AS at,
	CASE WHEN i IN (2, 4) THEN NULL WHEN i < 2 THEN i + 1 WHEN i = 3 THEN 3 ELSE i - 1 END::bigint AS amount, (i % 4)::bigint AS kind, 1 / (i - 20) AS fine, i - 9 AS divisor
	FROM generate_series(0, 9) AS i`

func TestEachKindAtItsThresholds(t *testing.T) {
	s := newSeed(t)
	day := 24 * time.Hour
	now := feature.TimeOf(time.Date(2026, 1, 11, 12, 0, 0, 0, time.UTC))
	newest := now.Add(-day)
	set := Set{
		Reach: ReachAll, Now: now, Newest: &newest, Produced: 9, Accepted: 12,
		EntitiesKept: func(context.Context) (int64, int64, []Example, string, error) {
			return 3, 4, []Example{{{Column: "card", Value: "c9"}}}, "", nil
		},
	}
	for _, c := range []struct {
		expectation feature.Expectation
		want        string
	}{
		{feature.Expectation{Kind: feature.ExpectRowCount, Error: bounds(10, 10)}, "PASSED: rows between 10 and 10: 10"},
		{feature.Expectation{Kind: feature.ExpectRowCount, Error: feature.Bounds{Min: number64(11)}}, "FAILED: rows at least 11: 10"},
		{feature.Expectation{Kind: feature.ExpectRowCount, Warn: feature.Bounds{Max: number64(9)}, Error: feature.Bounds{Max: number64(10)}},
			"WARNED: rows at most 10, without a warning at most 9: 10"},
		{feature.Expectation{Kind: feature.ExpectFreshness, WarnAfter: day}, "PASSED: a newest row without a warning at most 24h: an age within the bounds"},
		{feature.Expectation{Kind: feature.ExpectFreshness, WarnAfter: day - time.Second, ErrorAfter: day},
			"WARNED: a newest row at most 24h old, without a warning at most 23h59m59s: an age outside of the bounds"},
		{feature.Expectation{Kind: feature.ExpectFreshness, ErrorAfter: day - time.Microsecond},
			"FAILED: a newest row at most 23h59m59.999999s old: an age outside of the bounds"},
		{feature.Expectation{Kind: feature.ExpectCompleteness, Column: "amount", Error: feature.Bounds{Min: number64(0.8)}},
			"PASSED: the share of rows with a value in amount at least 0.8: 0.8"},
		{feature.Expectation{Kind: feature.ExpectCompleteness, Column: "amount", Error: feature.Bounds{Min: number64(0.81)}},
			"FAILED: the share of rows with a value in amount at least 0.81: 0.8"},
		{feature.Expectation{Kind: feature.ExpectCompleteness, Column: "amount", Bucket: 2 * day, Error: feature.Bounds{Min: number64(0.5)}},
			"PASSED: the share of rows with a value in amount in each 48h at least 0.5: 0.5 in the worst of 5 buckets, of 2 rows"},
		{feature.Expectation{Kind: feature.ExpectCompleteness, Column: "amount", Bucket: day, Error: feature.Bounds{Min: number64(0.1)}},
			"FAILED: the share of rows with a value in amount in each 24h at least 0.1: 0 in the worst of 10 buckets, of 1 rows"},
		{feature.Expectation{Kind: feature.ExpectCompleteness, Column: "amount", Bucket: day, Warn: feature.Bounds{Max: number64(0.9)}},
			"WARNED: the share of rows with a value in amount in each 24h at most 0.9: 1 in the worst of 10 buckets, of 1 rows"},
		{feature.Expectation{Kind: feature.ExpectDistinctRatio, Column: "kind", Error: feature.Bounds{Max: number64(0.4)}},
			"PASSED: different values of kind, divided by the rows with one at most 0.4: 0.4"},
		{feature.Expectation{Kind: feature.ExpectMean, Column: "amount", Error: bounds(4.5, 4.5)}, "PASSED: the mean of amount between 4.5 and 4.5: a value within the bounds"},
		{feature.Expectation{Kind: feature.ExpectQuantile, Column: "amount", Quantile: 0.5, Warn: feature.Bounds{Max: number64(3)}},
			"WARNED: quantile 0.5 of amount at most 3: a value outside of the bounds"},
		{feature.Expectation{Kind: feature.ExpectEntitiesKept, Error: feature.Bounds{Min: number64(0.75)}},
			"PASSED: the share of the inputs' entities that the output has at least 0.75: 0.75: 3 of 4 entities"},
		{feature.Expectation{Kind: feature.ExpectEntitiesKept, Error: feature.Bounds{Min: number64(0.76)}},
			"FAILED: the share of the inputs' entities that the output has at least 0.76: 0.75: 3 of 4 entities"},
		{feature.Expectation{Kind: feature.ExpectRowsKept, Error: feature.Bounds{Min: number64(0.75)}},
			"PASSED: rows made, divided by rows accepted at least 0.75: 0.75: 9 rows made of 12 that were accepted"},
	} {
		results := s.check(set, tenRows, c.expectation)
		if len(results) != 1 || said(results[0]) != c.want {
			t.Errorf("found\n%s\nexpected\n%s", said(results[0]), c.want)
		}
		r := results[0]
		if (r.Look != "") != (r.State == Failed || r.State == Warned) && r.Look != "" {
			t.Errorf("%s: found where to look %q", said(r), r.Look)
		}
	}
	failed := s.check(set, tenRows, feature.Expectation{Kind: feature.ExpectEntitiesKept, Error: feature.Bounds{Min: number64(1)}})[0]
	if fmt.Sprint(failed.Examples) != "[card c9]" || failed.RowsFailed != 1 || failed.Look == "" {
		t.Errorf("found %+v, expected the entity that is missing and where to look", failed)
	}
}

// A mean may be the value of one row, a quantile and the newest event time are: they are told where examples are, for who may
// read the rows.
func TestWhatMayBeAValueOfARowIsToldAsAnExample(t *testing.T) {
	s := newSeed(t)
	newest := feature.TimeOf(time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC))
	for want, e := range map[string]feature.Expectation{
		"[mean of amount 4.5]":                                  {Kind: feature.ExpectMean, Column: "amount", Error: bounds(0, 9)},
		"[quantile 0.5 of amount 4]":                            {Kind: feature.ExpectQuantile, Column: "amount", Quantile: 0.5, Error: bounds(5, 9)},
		"[newest row 2026-01-10T12:00:00Z, age 24h]":            {Kind: feature.ExpectFreshness, ErrorAfter: time.Hour},
		"[newest row 2026-01-10T12:00:00Z, age 24h] ":           {Kind: feature.ExpectFreshness, WarnAfter: 48 * time.Hour},
		"[bucket [2026-01-03T00:00:00Z, 2026-01-05T00:00:00Z)]": {Kind: feature.ExpectCompleteness, Column: "amount", Bucket: 48 * time.Hour, Error: bounds(1, 1)},
	} {
		r := s.check(Set{Reach: ReachNew, Newest: &newest, Now: newest.Add(24 * time.Hour)}, tenRows, e)[0]
		if want = strings.TrimSpace(want); fmt.Sprint(r.Examples) != want || r.Metric != nil && e.Kind != feature.ExpectCompleteness {
			t.Errorf("found %v and the metric %v, expected %s alone", r.Examples, r.Metric, want)
		}
		if strings.Contains(r.String(), "2026") {
			t.Errorf("found %s, expected no time of a row in it", r.String())
		}
	}
}

func TestWhatIsNotThereIsSkipped(t *testing.T) {
	s := newSeed(t)
	all := []feature.Expectation{
		{Kind: feature.ExpectRowCount, Error: feature.Bounds{Min: number64(1)}},
		{Kind: feature.ExpectFreshness, ErrorAfter: time.Hour},
		{Kind: feature.ExpectCompleteness, Column: "amount", Bucket: time.Hour, Error: feature.Bounds{Min: number64(1)}},
		{Kind: feature.ExpectEntitiesKept, Error: feature.Bounds{Min: number64(1)}},
		{Kind: feature.ExpectRowsKept, Error: feature.Bounds{Min: number64(1)}},
	}
	for _, r := range s.check(Set{Reach: ReachNew}, "", all...) {
		if want := "the run read no row"; r.State != Skipped || r.Found != want && r.Found != "there is no row" {
			t.Errorf("found %s, expected it skipped: %s", said(r), want)
		}
	}
	reason := func(context.Context) (int64, int64, []Example, string, error) {
		return 0, 0, nil, "no input has the join keys card", nil
	}
	r := s.check(Set{Reach: ReachNew, EntitiesKept: reason}, tenRows, all[3])[0]
	if r.State != Skipped || r.Found != "no input has the join keys card" {
		t.Errorf("found %s", said(r))
	}
	mean := feature.Expectation{Kind: feature.ExpectMean, Column: "amount", Error: bounds(0, 1)}
	if r := s.check(Set{Reach: ReachNew}, tenRows+" WHERE i = 2", mean)[0]; r.State != Skipped || r.Found != "no row has a value in amount" {
		t.Errorf("found %s", said(r))
	}
	// Without rows there is a count nevertheless.
	if r := s.check(Set{Reach: ReachAll}, tenRows+" WHERE false", all[0])[0]; said(r) != "FAILED: rows at least 1: 0" || r.Measure != "" {
		t.Errorf("found %s", said(r))
	}
}

func TestACheckThatBreaksIsErroredAlone(t *testing.T) {
	s := newSeed(t)
	rows := "SELECT *, 1 / divisor AS broken FROM (" + tenRows + ") AS r"
	results := s.check(Set{Reach: ReachAll}, rows,
		feature.Expectation{Kind: feature.ExpectRowCount, Error: feature.Bounds{Min: number64(1)}},
		feature.Expectation{Kind: feature.ExpectMean, Column: "broken", Error: bounds(0, 1)},
		feature.Expectation{Kind: feature.ExpectCompleteness, Column: "broken", Bucket: time.Hour, Error: feature.Bounds{Min: number64(1)}},
		feature.Expectation{Kind: feature.ExpectMean, Column: "amount", Error: bounds(4, 5)})
	var states []State
	for _, r := range results {
		states = append(states, r.State)
	}
	if want := []State{Passed, Errored, Errored, Passed}; !reflect.DeepEqual(states, want) {
		t.Fatalf("found %v, expected %v", states, want)
	}
	if r := results[1]; r.Found != "the measurement failed (SQLSTATE 22012)" || r.Look == "" || !r.State.Blocks() {
		t.Errorf("found %+v", r)
	}
}

// What is counted by time has a bound, and what the rows do not let be counted breaks the check alone.
func TestRowsKeptByTimeBreaksAlone(t *testing.T) {
	s := newSeed(t)
	kept := feature.Expectation{Kind: feature.ExpectRowsKept, Bucket: time.Minute, Error: feature.Bounds{Min: number64(1)}}
	count := feature.Expectation{Kind: feature.ExpectRowCount, Error: feature.Bounds{Min: number64(1)}}
	inputs := func(context.Context, time.Duration, int) (map[int64]int64, error) { return map[int64]int64{0: 1}, nil }
	set := Set{Reach: ReachAll, Produced: 1, Accepted: 1, InputsByTime: inputs}
	const minutes = "SELECT '2026-01-01'::timestamptz + i * interval '1 minute' AS at FROM generate_series(1, 100001) AS i"
	for rows, want := range map[string]string{
		"SELECT 'infinity'::timestamptz AS at": "the measurement failed (SQLSTATE ",
		minutes:                                "more than 100000 buckets of time have rows",
	} {
		results := s.check(set, rows, kept, count)
		if r := results[0]; r.State != Errored || !strings.HasPrefix(r.Found, want) || r.Look == "" || results[1].State != Passed {
			t.Errorf("found %s and %s, expected it errored alone: %s", said(r), said(results[1]), want)
		}
	}
}

func TestEarlierRunsAreOfTheSameReach(t *testing.T) {
	s := newSeed(t)
	ratio := feature.Expectation{Kind: feature.ExpectRowCountRatio, Runs: 3, Error: feature.Bounds{Min: number64(0.5)}}
	change := feature.Expectation{Kind: feature.ExpectCompletenessChange, Column: "amount", Error: feature.Bounds{Max: number64(0.1)}}
	counted := func(measure string, x float64) Result {
		return Result{Name: "n", Subject: SourceSubject("pay"), State: Passed, Measure: measure, Measured: &x}
	}
	results := s.check(Set{Reach: ReachNew}, tenRows, ratio, change)
	if got, want := said(results[0]), "NO_BASELINE: rows, divided by the median of earlier runs at least 0.5: 10 rows, and no earlier run "+
		"that was published, had rows and computed what was new, as this one does"; got != want || results[0].Measure != "row_count" {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	if results[1].State != NoBaseline || results[1].State.Blocks() {
		t.Errorf("found %s", said(results[1]))
	}
	// Beyond the three newest, of another reach, not published.
	s.run(true, ReachNew, counted("row_count", 1000))
	s.run(true, ReachNew, counted("row_count", 18), counted("completeness:amount", 0.9))
	s.run(true, ReachNew, counted("row_count", 20))
	s.run(true, ReachNew, counted("row_count", 100), counted("row_count", 100))
	s.run(true, ReachAll, counted("row_count", 4000))
	s.run(false, ReachNew, counted("row_count", 4000))
	results = s.check(Set{Reach: ReachNew}, tenRows, ratio, change)
	if got, want := said(results[0]), "PASSED: rows, divided by the median of earlier runs at least 0.5: 10 rows, 0.5 of 20, the median of "+
		"3 earlier runs"; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	// 0.1 is not a number of base two.
	if got := said(results[1]); !strings.HasPrefix(got, "PASSED: ") && !strings.HasPrefix(got, "FAILED: ") ||
		!strings.HasSuffix(got, "completeness 0.8, 0.1 from 0.9, the median of 1 earlier runs") {
		t.Errorf("found %s", got)
	}
	s.run(true, ReachNew, counted("row_count", 21))
	r := s.check(Set{Reach: ReachNew}, tenRows, ratio)[0]
	if r.State != Failed || r.Look != "headwater runs checks v@1 --check row_count_ratio" {
		t.Errorf("found %s, to look at %s", said(r), r.Look)
	}
}

func TestSchemaIsThatOfTheRunBefore(t *testing.T) {
	s := newSeed(t)
	schema := feature.Expectation{Kind: feature.ExpectSchemaUnchanged}
	r := s.check(Set{Reach: ReachAll, Schema: []string{"a int64", "b text"}}, "", schema)[0]
	if r.State != NoBaseline {
		t.Errorf("found %s", said(r))
	}
	s.run(true, ReachAll, r)
	r = s.check(Set{Reach: ReachNew, Schema: []string{"a int64", "b text"}}, "", schema)[0]
	if got := said(r); got != "PASSED: the columns of the run before: the same columns" {
		t.Errorf("found %s", got)
	}
	r = s.check(Set{Reach: ReachNew, Schema: []string{"a int64", "b int64"}}, "", schema)[0]
	if got := said(r); got != "FAILED: the columns of the run before: without b text, with b int64" || r.Look != "headwater describe source pay" {
		t.Errorf("found %s, to look at %s", got, r.Look)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 3}, 3}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("%v: found %g, expected %g", c.values, got, c.want)
		}
	}
}
