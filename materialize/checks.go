package materialize

import (
	"fmt"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
)

// ruleExpects is what each rule that every output is held to expects, in the order of a run's record.
var ruleExpects = []struct {
	rule    offline.Rule
	expects string
}{
	{offline.KeysAndTimesNotNull, "no NULL in join keys, event_time, available_at"},
	{offline.InsideInterval, "event_time less grain in what the run owns"},
	{offline.OneRowPerMoment, "one row per key, event_time and available_at"},
	{offline.LiveRowsAreTheOutput, "as many rows live in what the run owns as it produced"},
}

// builtIn is the results of the rules that every output is held to, of a run that kept all of them.
func builtIn(produced int64) []quality.Result {
	var results []quality.Result
	for _, r := range ruleExpects {
		results = append(results, quality.Result{
			Name: string(r.rule), Subject: quality.Output, State: quality.Passed, Expected: r.expects, Found: fmt.Sprintf("%d rows", produced),
		})
	}
	return results
}

// brokenRule is the same of a run that cause ended, because its output broke one of them. nil when it was for something else.
func brokenRule(cause error) []quality.Result {
	broken := offline.BrokenRule(cause)
	if broken == "" {
		return nil
	}
	results := builtIn(0)
	for i := range results {
		r := &results[i]
		if r.State, r.Found = quality.Skipped, "nothing: the run ended before all of its output was there"; r.Name == string(broken) {
			r.State, r.Found, r.Look = quality.Failed, "a row that breaks it", "the run's error names the row"
		}
	}
	return results
}

// blocked is why the run may not go on, by what its checks found so far. nil: it may.
func (r *Run) blocked(view *feature.ViewVersion) error {
	blocking := quality.Blocking(r.Checks)
	if len(blocking) == 0 {
		return nil
	}
	said := make([]string, len(blocking))
	for i := range blocking {
		said[i] = blocking[i].String()
		// What broke a check may be a value of a row.
		if found := blocking[i].Found; blocking[i].State == quality.Errored && found != "" {
			said[i] = strings.ReplaceAll(said[i], found, fault.Data(found))
		}
	}
	return fault.New(fault.RunRefused, "view %s: %s; nothing was published: correct the rows, or the expectations, and run it again",
		view.Ref(), strings.Join(said, "; "))
}

// gate decides whether the run may be published, by what its checks found. Its ledger balances.
func (r *Run) gate(view *feature.ViewVersion) error {
	if err := r.blocked(view); err != nil {
		return err
	}
	r.Gates = []Gate{
		{Name: "checks", Passed: true, Detail: quality.Summary(r.Checks)},
		{Name: "ledger", Passed: true, Detail: "read, accepted, computed, produced and live rows balance"},
	}
	r.Gates = append(r.Gates, r.waived...)
	for _, c := range r.Checks {
		if c.State == quality.Warned {
			r.Warnings = append(r.Warnings, c.String())
		}
	}
	return nil
}

// reach says which runs its checks are compared with. Of runs that follow what is new the first finds all there is.
func (r *Run) reach() quality.Reach {
	switch {
	case r.Plan == nil || r.Plan.Kind == offline.Interval:
		return quality.ReachInterval
	case r.Plan.Kind == offline.Full || r.Plan.After == 0:
		return quality.ReachAll
	}
	return quality.ReachNew
}
