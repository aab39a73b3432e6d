package feature

import (
	"fmt"
	"slices"
	"strings"
)

// DriftThresholds are from which population stability index on a column is warned of, or fails. Zero: as the rule has it, or the default.
type DriftThresholds struct{ Warn, Fail float64 }

// DefaultDrift are those of the practice of credit scoring.
var DefaultDrift = DriftThresholds{Warn: 0.1, Fail: 0.25}

// DriftRule is what drift of a view's output is judged by.
type DriftRule struct {
	DriftThresholds
	// Columns are features and attributes for which it is another.
	Columns []ColumnDrift
}

// ColumnDrift is what drift of a column is judged by.
type ColumnDrift struct {
	Column string
	DriftThresholds
}

// Of are those of a column, none of them zero. r may be nil.
func (r *DriftRule) Of(column string) DriftThresholds {
	t := DefaultDrift
	if r == nil {
		return t
	}
	t = t.with(r.DriftThresholds)
	for _, c := range r.Columns {
		if c.Column == column {
			t = t.with(c.DriftThresholds)
		}
	}
	return t
}

func (t DriftThresholds) with(o DriftThresholds) DriftThresholds {
	if o.Warn > 0 {
		t.Warn = o.Warn
	}
	if o.Fail > 0 {
		t.Fail = o.Fail
	}
	return t
}

func (t DriftThresholds) text() string { return fmt.Sprintf("warn %g, fail %g", t.Warn, t.Fail) }

// text is the rule in words, "" for none.
func (r *DriftRule) text() string {
	if r == nil {
		return ""
	}
	parts := []string{r.Of("").text()}
	for _, c := range r.Columns {
		parts = append(parts, c.Column+": "+r.Of(c.Column).text())
	}
	return strings.Join(parts, "; ")
}

// FailText is from which index on columns fail. r may be nil.
func (r *DriftRule) FailText() string {
	text := fmt.Sprintf("a population stability index below %g", r.Of("").Fail)
	if r == nil {
		return text
	}
	for _, c := range r.Columns {
		text += fmt.Sprintf(", of %s below %g", c.Column, r.Of(c.Column).Fail)
	}
	return text
}

func (v *validation) drift(view *View) {
	r := view.Drift
	if r == nil {
		return
	}
	if view.OnDemand != nil {
		v.add("drift", "found it on a view of on-demand features, which have no rows; declare it on the views that they read")
		return
	}
	check := func(at string, t DriftThresholds) {
		switch {
		case t.Warn < 0 || t.Fail < 0:
			v.add(at, "found %s, expected 0 or more", t.text())
		case t.Warn > t.Fail:
			v.add(at+".warn", "found %g, expected no more than fail, which is %g", t.Warn, t.Fail)
		}
	}
	check("drift", r.Of(""))
	stored := view.Stored()
	for i, c := range r.Columns {
		at := fmt.Sprintf("drift.columns[%d]", i)
		switch {
		case !slices.ContainsFunc(stored, func(s Column) bool { return s.Name == c.Column }):
			v.add(at+".column", "found no feature or attribute called %s in the view%s", shown(c.Column), didYouMean(c.Column, columnNames(stored)))
		case slices.ContainsFunc(r.Columns[:i], func(o ColumnDrift) bool { return o.Column == c.Column }):
			v.add(at+".column", "found %s a second time, expected each column once", c.Column)
		default:
			check(at, r.Of(c.Column))
		}
	}
}
