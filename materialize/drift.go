package materialize

import (
	"context"
	"fmt"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
)

// Drift is what holding a run's output to the baseline of its view version came to. It tells nothing of values but distances.
type Drift struct {
	Verdict drift.Verdict `json:"verdict"`
	// Baseline is `NAME@VERSION`, empty where there was none.
	Baseline string          `json:"baseline,omitempty"`
	Columns  []DriftedColumn `json:"columns"`
}

// DriftedColumn is the verdict on a column.
type DriftedColumn struct {
	Name    string        `json:"name"`
	Verdict drift.Verdict `json:"verdict"`
	Reason  string        `json:"reason"`
	// PSI and Floor are nil where there was nothing to compare.
	PSI   *float64 `json:"psi,omitempty"`
	Floor *float64 `json:"floor,omitempty"`
}

// drifted holds the output to the baseline of its view version, before it is published, and warns of columns that drifted. A gate may say more.
func (r *Run) drifted(ctx context.Context, q database.Querier, view *feature.ViewVersion) error {
	if r.profile == nil {
		return nil
	}
	d, err := quality.DriftOf(ctx, q, "view:"+view.Ref(), r.profile, quality.ThresholdsOf(&view.View))
	if err != nil {
		return err
	}
	r.Drift = &Drift{Verdict: d.Verdict()}
	if d.Baseline != nil {
		r.Drift.Baseline = d.Baseline.Ref()
	}
	if view.Drift != nil && (d.Baseline == nil || d.Baseline.Erased != nil) {
		found, name := "no baseline", "NAME"
		if d.Baseline != nil {
			found, name = "that an erasure took baseline "+r.Drift.Baseline+" away", d.Baseline.Name
		}
		r.Warnings = append(r.Warnings, fmt.Sprintf("view %s declares drift: found %s, expected one to hold its rows to; headwater baseline set %s run:%s", view.Ref(), found, name, r.Ref()))
	}
	for _, c := range d.Columns {
		column := DriftedColumn{Name: c.Name, Verdict: c.Verdict, Reason: c.Reason}
		if c.Baseline > 0 && c.Current > 0 {
			column.PSI, column.Floor = &c.PSI, &c.Floor
		}
		r.Drift.Columns = append(r.Drift.Columns, column)
		if c.Verdict == drift.Warn || c.Verdict == drift.Fail {
			r.Warnings = append(r.Warnings, fmt.Sprintf("drift of %s: %s against baseline %s (headwater drift baseline:%[3]s run:%s)", c.Name, c.Verdict, r.Drift.Baseline, r.Ref()))
		}
	}
	return nil
}
