package quality

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/quality/drift"
	"github.com/headwaterhq/headwater/quality/profile"
)

// ColumnDrift is what comparing a column with the baseline came to.
type ColumnDrift struct {
	Name string
	*drift.Report
}

// Drifted is what comparing a profile with a baseline came to.
type Drifted struct {
	// Baseline is nil where there is none.
	Baseline *Baseline
	// Columns are those of the profile but for keys, in their order, then those that only the baseline has.
	Columns []ColumnDrift
}

// Thresholds are from which PSI on a column is warned of or fails.
type Thresholds func(column string) drift.Thresholds

// DefaultThresholds are the same for all columns.
func DefaultThresholds(string) drift.Thresholds { return drift.DefaultThresholds }

// ThresholdsOf are those that a view declares, or the default.
func ThresholdsOf(v *feature.View) Thresholds {
	return func(column string) drift.Thresholds { return drift.Thresholds(v.Drift.Of(column)) }
}

// DriftOf holds a profile to the baseline of a subject: `view:NAME@VERSION` for the profile of a run, `service:NAME@VERSION` for that of a dataset, or
// `model:NAME@VERSION`. Without a baseline each column's verdict is NO_BASELINE.
func DriftOf(ctx context.Context, q database.Querier, subject string, p *profile.Profile, thresholds Thresholds) (*Drifted, error) {
	b, err := BaselineOf(ctx, q, subject)
	if err != nil {
		return nil, err
	}
	return b.Drift(p, thresholds)
}

// Drift holds a profile to a baseline, which may be nil.
func (b *Baseline) Drift(p *profile.Profile, thresholds Thresholds) (*Drifted, error) {
	d := &Drifted{Baseline: b}
	var with *profile.Profile
	if b != nil {
		var err error
		if with, err = b.Profile(); err != nil {
			return nil, err
		}
	}
	d.Columns = Compare(with, p, thresholds)
	if b != nil && with == nil {
		for i := range d.Columns {
			d.Columns[i].Reason = fmt.Sprintf("an erasure took baseline %s away at %s: set one anew", b.Ref(), b.Erased.UTC().Format(time.RFC3339))
		}
	}
	return d, nil
}

// Compare holds the columns of a profile to those of a baseline that have the same names; nil is no baseline. Keys are not compared.
func Compare(baseline, current *profile.Profile, thresholds Thresholds) (list []ColumnDrift) {
	for _, c := range current.Columns() {
		if !c.Key {
			list = append(list, ColumnDrift{c.Name, drift.Compare(columnIn(baseline, c.Name), c, thresholds(c.Name))})
		}
	}
	if baseline == nil {
		return list
	}
	for _, c := range baseline.Columns() {
		if !c.Key && columnIn(current, c.Name) == nil {
			list = append(list, ColumnDrift{c.Name, drift.Compare(c, nil, thresholds(c.Name))})
		}
	}
	return list
}

func columnIn(p *profile.Profile, name string) *profile.Column {
	if p == nil {
		return nil
	}
	for _, c := range p.Columns() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// verdicts are the worst first. That nothing is known is worse than that all is well.
var verdicts = []drift.Verdict{drift.Fail, drift.Warn, drift.NotEnoughData, drift.NoBaseline, drift.OK}

// Verdict is the worst of the columns: FAIL, WARN, NOT_ENOUGH_DATA, NO_BASELINE, OK. Without columns there is nothing to compare: NOT_ENOUGH_DATA.
func (d *Drifted) Verdict() drift.Verdict {
	for _, v := range verdicts {
		if len(d.With(v)) > 0 {
			return v
		}
	}
	return drift.NotEnoughData
}

// With are the columns of a verdict.
func (d *Drifted) With(v drift.Verdict) (list []ColumnDrift) {
	for _, c := range d.Columns {
		if c.Verdict == v {
			list = append(list, c)
		}
	}
	return list
}

// Summary counts the columns by verdict, the worst first: `1 FAIL, 3 OK`. It tells nothing of values.
func (d *Drifted) Summary() string {
	var parts []string
	for _, v := range verdicts {
		if n := len(d.With(v)); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	if parts == nil {
		return "no columns"
	}
	return strings.Join(parts, ", ")
}
