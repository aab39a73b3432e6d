package feature

import (
	"slices"
	"strings"
	"testing"
)

func TestDriftRules(t *testing.T) {
	view := viewVersion(flights()).View
	name := view.Features[0].Name
	for _, c := range []struct {
		rule     *DriftRule
		of       DriftThresholds
		expected string
	}{
		{nil, DriftThresholds{0.1, 0.25}, ""},
		{&DriftRule{}, DriftThresholds{0.1, 0.25}, ""},
		{&DriftRule{DriftThresholds: DriftThresholds{Warn: 0.2}}, DriftThresholds{0.2, 0.25}, ""},
		{&DriftRule{DriftThresholds: DriftThresholds{Fail: 1}, Columns: []ColumnDrift{{name, DriftThresholds{Warn: 0.5}}}}, DriftThresholds{0.5, 1}, ""},
		{&DriftRule{DriftThresholds: DriftThresholds{Warn: 0.3}}, DriftThresholds{0.3, 0.25}, "drift.warn: found 0.3, expected no more than fail, which is 0.25"},
		{&DriftRule{Columns: []ColumnDrift{{name, DriftThresholds{Fail: 0.05}}}}, DriftThresholds{0.1, 0.05}, "drift.columns[0].warn: found 0.1, expected no more than fail, which is 0.05"},
		{&DriftRule{DriftThresholds: DriftThresholds{Warn: -1}}, DriftThresholds{0.1, 0.25}, ""},
		{&DriftRule{Columns: []ColumnDrift{{Column: name}, {Column: name}}}, DriftThresholds{0.1, 0.25}, "drift.columns[1].column: found " + name + " a second time, expected each column once"},
		{&DriftRule{Columns: []ColumnDrift{{Column: "nothing"}}}, DriftThresholds{0.1, 0.25}, "drift.columns[0].column: found no feature or attribute called \"nothing\" in the view; there is departures, mean_delay, region"},
	} {
		if got := c.rule.Of(name); got != c.of {
			t.Errorf("%+v: found %+v, expected %+v", c.rule, got, c.of)
		}
		v := &validation{}
		view.Drift = c.rule
		v.drift(&view)
		var said []string
		for _, p := range v.problems {
			said = append(said, strings.TrimPrefix(p.Field, ".")+": "+p.Message)
		}
		if got := strings.Join(said, "; "); got != c.expected {
			t.Errorf("%+v: found %q, expected %q", c.rule, got, c.expected)
		}
	}
	v := &validation{}
	v.drift(&View{OnDemand: &OnDemand{}, Drift: &DriftRule{}})
	if len(v.problems) != 1 || !strings.Contains(v.problems[0].Message, "which have no rows") {
		t.Errorf("found %v", v.problems)
	}
	before := viewVersion(flights())
	after := *before
	after.Drift = &DriftRule{DriftThresholds: DriftThresholds{Warn: 0.2}, Columns: []ColumnDrift{{name, DriftThresholds{Fail: 1}}}}
	diff := DiffView(before, &after)
	if expected := []string{"drift: set to warn 0.2, fail 0.25; " + name + ": warn 0.2, fail 1"}; !diff.WordsOnly || !slices.Equal(diff.Lines, expected) {
		t.Errorf("found %t %q, expected %q", diff.WordsOnly, diff.Lines, expected)
	}
}
