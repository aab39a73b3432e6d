package materialize

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
)

// checkGates holds what a run made to the gates on publishing that its view has beside checks, as checks of its output: what they hold back is approved as any check is.
// They look at what the run made, not at what is published: a run that mends what drifted or is late is published.
func (rn *runner) checkGates(ctx context.Context, r *Run, t *offline.Transform) error {
	view := t.View
	if view.Gates.Publishes(feature.GateDrift) {
		r.Checks = append(r.Checks, r.driftResult(view))
	}
	if view.Gates.Publishes(feature.GateFreshness) && view.Freshness != nil {
		result, err := r.freshnessResult(ctx, rn.pool, t)
		if err != nil {
			return err
		}
		r.Checks = append(r.Checks, result)
	}
	return nil
}

// maxDrifted is how many columns a result names.
const maxDrifted = 5

// driftResult is what the gate on drift finds of what the run made.
func (r *Run) driftResult(view *feature.ViewVersion) quality.Result {
	result := quality.Result{Name: string(feature.GateDrift), Subject: quality.Output, State: quality.Passed, Expected: "no column that fails against the baseline of " + view.Ref()}
	switch {
	case r.Plan.Nothing():
		result.State, result.Found = quality.Skipped, "the run made no row"
		return result
	case r.Drift == nil:
		// Nothing is known: what must not drift is not published by that.
		result.State, result.Found = quality.Failed, "no profile of what the run made: it was made, or a part of it, by a server that keeps none (HEADWATER_PROFILES)"
		return result
	case r.Drift.Verdict == drift.NoBaseline:
		result.State, result.Found = quality.NoBaseline, "no baseline to hold it to"
		return result
	}
	// Another baseline, or other thresholds, are another check.
	result.Expected = fmt.Sprintf("no column that fails against baseline %s: %s", r.Drift.Baseline, view.Drift.FailText())
	counts := map[drift.Verdict]int{}
	var failed []string
	for _, c := range r.Drift.Columns {
		if counts[c.Verdict]++; c.Verdict != drift.Fail {
			continue
		}
		text := c.Name
		if c.PSI != nil {
			text += fmt.Sprintf(" with PSI %.3f", *c.PSI)
		}
		failed = append(failed, text)
	}
	var parts []string
	for _, v := range []drift.Verdict{drift.Fail, drift.Warn, drift.NotEnoughData, drift.NoBaseline, drift.OK} {
		if n := counts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	result.Found = strings.Join(parts, ", ")
	switch {
	case len(failed) > 0:
		if more := len(failed) - maxDrifted; more > 0 {
			failed = append(failed[:maxDrifted], fmt.Sprintf("and %d more", more))
		}
		result.State, result.Found = quality.Failed, result.Found+": "+strings.Join(failed, ", ")
		result.Look = "headwater profile baseline:" + r.Drift.Baseline
	case counts[drift.OK]+counts[drift.Warn] == 0:
		result.State = quality.Skipped
	}
	return result
}

// freshnessResult is what the gate on freshness finds of the view as it would be with the run. One of an interval that somebody asked for is as old as that.
func (r *Run) freshnessResult(ctx context.Context, q database.Querier, t *offline.Transform) (quality.Result, error) {
	view := t.View
	result := quality.Result{
		Name: string(feature.GateFreshness), Subject: quality.Output, State: quality.Passed,
		Expected: "with the run, a newest event time at most " + feature.DurationText(view.Freshness.MaxAge) + " old",
	}
	switch {
	case t.Plan.Kind == offline.Interval:
		result.State, result.Found = quality.Skipped, "the run is of an interval that was asked for"
		return result, nil
	case t.Plan.Nothing():
		result.State, result.Found = quality.Skipped, "the run made no row"
		return result, nil
	}
	c := offline.Current{View: view, Seq: r.Seq, Now: t.Plan.Now}
	newest, err := c.Newest(ctx, q)
	if err != nil {
		return result, err
	}
	if newest == nil {
		result.State, result.Found, result.Look = quality.Failed, "no row that counts by now", "headwater describe view "+view.Ref()
		return result, nil
	}
	// An age is for who may read the rows.
	age := offline.Age(t.Plan.Now, *newest)
	result.Found = "an age within that"
	if age > view.Freshness.MaxAge {
		result.State, result.Found, result.Look = quality.Failed, "an older one", "headwater describe view "+view.Ref()
	}
	result.Examples = []quality.Example{{{Column: "newest row", Value: newest.String()}, {Column: "age", Value: feature.DurationText(age.Round(time.Second))}}}
	return result, nil
}
