package materialize

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
)

// asItIs shows rows as they are.
const asItIs = `SELECT name, room, event_time, available_at, value, room %% 5 AS rows FROM %s
	WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}`

func gated(gates ...feature.Gate) feature.Gates { return feature.Gates{Publish: gates} }

// held is run, for one that is to be held back: it failed at once, and nothing of it is there.
func (w *world) held(t *testing.T, v *feature.ViewVersion, interval *reference.Interval, failed string) *Run {
	t.Helper()
	ctx := context.Background()
	before, err := getViewState(ctx, w.pool, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	r := w.run(t, v, interval)
	if r.State != Failed || r.Attempt != 1 {
		t.Fatalf("found run %s %s after %d attempts (%s), expected it failed at once", r.Ref(), r.State, r.Attempt, r.Error)
	}
	if want := fmt.Sprintf("view %s: %s; nothing was published: correct the rows, or the expectations, and run it again", v.Ref(), failed); r.Error != want {
		t.Errorf("found\n%s\nexpected\n%s", r.Error, want)
	}
	after, err := getViewState(ctx, w.pool, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	if after.PublishedSeq != before.PublishedSeq || after.LiveRows != before.LiveRows {
		t.Errorf("found the view at %+v, expected %+v: nothing was published", after, before)
	}
	return r
}

func (w *world) approve(v *feature.ViewVersion, r *Run, by, check string, until time.Time) (*Run, error) {
	_, again, err := w.m.ApproveRun(context.Background(), r, v, &access.Principal{Name: by}, Waiver{Check: check, Reason: "the sensors are on strike", ExpiresAt: until})
	return again, err
}

// newestApproval is the id of the newest.
func (w *world) newestApproval(t *testing.T) (id int64) {
	t.Helper()
	if err := w.pool.QueryRow(context.Background(), `SELECT max(id) FROM headwater.approval`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// A gate on drift looks at what a run made: without a baseline it holds nothing back, what fails against it is published by an approval alone, and what mends it by itself.
func TestDriftHoldsARunBack(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, asItIs, 0)
	view.Gates = gated(feature.GateDrift)
	first := w.load(t, src, 0, twoYears(func(int) bool { return false })...)
	baseline := w.published(t, view, nil)
	wantCheck(t, baseline, quality.Output, "drift", "NO_BASELINE: no baseline to hold it to")
	name := "normal_" + view.Name
	w.setBaseline(t, name, baseline)
	wantCheck(t, w.published(t, view, nil), quality.Output, "drift", "PASSED: 2 OK")

	drifted := w.load(t, src, first, twoYears(func(month int) bool { return month%4 == 0 })...)
	r := w.run(t, view, nil)
	if r.Drift == nil || r.Drift.Verdict != drift.Fail {
		t.Fatalf("found the drift %+v of a run that failed by it", r.Drift)
	}
	psi := fmt.Sprintf("%.3f", *r.Drift.Columns[0].PSI)
	message := fmt.Sprintf("drift of output: expected no column that fails against baseline %s@1: a population stability index below 0.25, found 1 FAIL, 1 OK: value with PSI %s "+
		"(headwater profile baseline:%[1]s@1)", name, psi)
	r = w.held(t, view, nil, message)
	if names := r.Waivable(); len(names) != 1 || names[0] != "drift" {
		t.Errorf("found that %v can be waived", names)
	}
	tomorrow := time.Now().Add(24 * time.Hour)
	if _, err := w.approve(view, r, "test", "drift", tomorrow); fault.As(err) == nil || fault.As(err).Reason != fault.PermissionDenied {
		t.Errorf("found %v, expected that who started it may not approve it", err)
	}
	// An approval that is over by the time the run begins counts for nothing.
	again, err := w.approve(view, r, "ann", "drift", tomorrow)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.pool.Exec(context.Background(), `UPDATE headwater.approval SET expires_at = approved_at + interval '1 microsecond' WHERE subject = $1`, fmt.Sprint(r.ID)); err != nil {
		t.Fatal(err)
	}
	if err := w.work(again.ID); err != nil {
		t.Fatal(err)
	}
	if late := w.get(t, again.ID); late.State != Failed {
		t.Errorf("found %s by an approval that had expired", late.State)
	}
	if again, err = w.approve(view, r, "ann", "drift", tomorrow); err != nil {
		t.Fatal(err)
	}
	// The worker dies when all is written: what goes on is the same run, by the same approval.
	w.failAt(stepPublishing, 1)
	if err := w.work(again.ID); err == nil {
		t.Fatal("found that it did not break off")
	}
	w.steady()
	if err := w.work(again.ID); err != nil {
		t.Fatal(err)
	}
	waived := w.get(t, again.ID)
	if waived.State != Published || waived.Principal != "test" || len(waived.Gates) != 3 || waived.Gates[2].Name != "check:drift" ||
		!strings.HasPrefix(waived.Gates[2].Detail, "waived for exactly these inputs by ann, until ") {
		t.Errorf("found %s with the gates %+v (%s)", waived.State, waived.Gates, waived.Error)
	}
	wantCheck(t, waived, quality.Output, "drift", fmt.Sprintf("WARNED: 1 FAIL, 1 OK: value with PSI %s, which is waived by approval %d", psi, w.newestApproval(t)))

	// What is published has drifted now. What mends it is not held back by that.
	w.load(t, src, drifted, twoYears(func(int) bool { return false })...)
	if r = w.published(t, view, nil); r.Drift.Verdict != drift.OK {
		t.Errorf("found the drift %+v", r.Drift)
	}
}

// Other thresholds are another check, and a server that keeps no profiles cannot tell.
func TestWhatAGateOnDriftGoesBy(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, asItIs, 0)
	view.Gates = gated(feature.GateDrift)
	view.Drift = &feature.DriftRule{Columns: []feature.ColumnDrift{{Column: "value", DriftThresholds: feature.DriftThresholds{Fail: 10}}}}
	first := w.load(t, src, 0, twoYears(func(int) bool { return false })...)
	r := w.published(t, view, nil)
	w.setBaseline(t, "normal_"+view.Name, r)
	w.load(t, src, first, twoYears(func(month int) bool { return month%4 == 0 })...)
	w.m.runner.noProfiles = true
	w.held(t, view, nil, "drift of output: expected no column that fails against the baseline of "+view.Ref()+", found no profile of what the run made: it was made, or a part of it, "+
		"by a server that keeps none (HEADWATER_PROFILES)")
	w.m.runner.noProfiles = false
	r = w.published(t, view, nil)
	wantCheck(t, r, quality.Output, "drift", "PASSED: 1 WARN, 1 OK")
}

// A gate on checks has warnings be failures, of sources and of the output, and each is approved by itself.
func TestWarningsHoldARunBack(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.Expectations = named(feature.Expectation{Kind: feature.ExpectCompleteness, Column: "value", Warn: atLeast(0.9)})
	})
	view := w.newView(t, src, asItIs, 0)
	view.Expectations = named(feature.Expectation{Kind: feature.ExpectRowCount, Warn: atLeast(4)})
	w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("b", 1, hours(0), 1), lateReading("c", 1, hours(1), hours(1), feature.Null()))
	wantCheck(t, w.published(t, view, nil), quality.Output, "row_count", "WARNED: 3")
	view.Gates = gated(feature.GateChecks)
	subject := quality.SourceSubject(src.Name)
	r := w.held(t, view, nil, "value_completeness of "+subject+": expected the share of rows with a value in value at least 0.9, found 0.666667, a warning, and the view publishes only without")
	tomorrow := time.Now().Add(24 * time.Hour)
	again, err := w.approve(view, r, "ann", "value_completeness", tomorrow)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.work(again.ID); err != nil {
		t.Fatal(err)
	}
	r = w.get(t, again.ID)
	if names := r.Waivable(); r.State != Failed || len(names) != 1 || names[0] != "row_count" {
		t.Fatalf("found %s, of which %v can be waived, expected row_count, which nobody has approved", r.State, names)
	}
	if again, err = w.approve(view, r, "ann", "row_count", tomorrow); err != nil {
		t.Fatal(err)
	}
	if err := w.work(again.ID); err != nil {
		t.Fatal(err)
	}
	if r = w.get(t, again.ID); r.State != Published || len(r.Gates) != 4 {
		t.Errorf("found %s with the gates %v (%s)", r.State, r.Gates, r.Error)
	}
}

// A gate on freshness looks at the view with the run, and not at runs of an interval that is as old as it is.
func TestAgeHoldsARunBack(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, asItIs, 0)
	view.Gates, view.Freshness = gated(feature.GateFreshness), &feature.ViewFreshness{MaxAge: time.Hour}
	w.load(t, src, 0, reading("a", 1, hours(0), 1))
	w.held(t, view, nil, "freshness of output: expected with the run, a newest event time at most 1h old, found an older one (headwater describe view "+view.Ref()+")")
	wantCheck(t, w.published(t, view, &reference.Interval{Start: hours(0), End: hours(24)}), quality.Output, "freshness", "SKIPPED: the run is of an interval that was asked for")
	w.load(t, src, 0, reading("b", 1, feature.TimeOf(time.Now().Add(-time.Minute)), 1), reading("c", 1, feature.TimeOf(time.Now().Add(48*time.Hour)), 1))
	fresh := w.runIncremental(t, view)
	if fresh.State != Published {
		t.Fatalf("found %s: %s", fresh.State, fresh.Error)
	}
	wantCheck(t, fresh, quality.Output, "freshness", "PASSED: an age within that")
	nothing := w.runIncremental(t, view)
	wantCheck(t, nothing, quality.Output, "freshness", "SKIPPED: the run made no row")
}
