package materialize

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/anomaly"
)

// Anomalies are what holding a run's metrics to those of earlier runs came to.
type Anomalies struct {
	// Tested is how many metrics there was enough to tell of.
	Tested int       `json:"tested"`
	Found  []Anomaly `json:"found,omitempty"`
}

// Anomaly is a metric of a run that is unlike those of the runs before it.
type Anomaly struct {
	Metric string `json:"metric"`
	// Value and Expected are nil where they would tell of values of rows.
	Value    *float64 `json:"value,omitempty"`
	Expected *float64 `json:"expected,omitempty"`
	// Z is by how many deviations it lies above. nil: the others do not differ.
	Z        *float64 `json:"z,omitempty"`
	Points   int      `json:"points"`
	Seasonal bool     `json:"seasonal,omitempty"`
}

// anomalous holds what is measured of the output to what was of earlier runs, before it is published, and warns of what is unlike that.
func (r *Run) anomalous(ctx context.Context, q database.Querier) error {
	if r.Plan.Nothing() {
		return nil
	}
	l := r.Ledger
	r.metrics = []quality.Metric{{Name: "rows", Value: float64(l.Produced)}}
	if l.Accepted > 0 {
		r.metrics = append(r.metrics, quality.Metric{Name: "filtered", Value: float64(l.Filtered) / float64(l.Accepted)})
	}
	if l.Read > 0 {
		r.metrics = append(r.metrics, quality.Metric{Name: "quarantined", Value: float64(l.Quarantined) / float64(l.Read)})
	}
	r.metrics = append(r.metrics, quality.MetricsOf(r.profile)...)
	tested, err := quality.Anomalies(ctx, q, r.ID, r.ViewID, r.reach(), time.Now(), r.metrics)
	if err != nil {
		return err
	}
	r.Anomalies = &Anomalies{Tested: len(tested)}
	for _, t := range tested {
		if t.State != anomaly.Anomalous {
			continue
		}
		a := Anomaly{Metric: t.Name, Points: t.Points, Seasonal: t.Seasonal}
		said := "it is unlike those of the runs before"
		if !t.OfValues() {
			a.Value, a.Expected = &t.Value, &t.Expected
			said = fmt.Sprintf("found %.6g, expected about %.6g", t.Value, t.Expected)
		}
		if !math.IsInf(t.Z, 0) {
			a.Z = &t.Z
		}
		r.Anomalies.Found = append(r.Anomalies.Found, a)
		r.Warnings = append(r.Warnings, fmt.Sprintf("anomaly of %s: %s, by %d earlier runs (headwater quality view:%s@%d)", t.Name, said, t.Points, r.View, r.ViewVersion))
	}
	return nil
}

// Ended are the newest runs of view versions that were published or failed since a time, at most limit of each, by view, then the newest first. Their inputs are not read.
func Ended(ctx context.Context, q database.Querier, views []int64, since time.Time, limit int) ([]*Run, error) {
	rows, err := q.Query(ctx, selectRun+` WHERE r.id IN (
		SELECT n.id FROM unnest($1::bigint[]) AS v (id) CROSS JOIN LATERAL (SELECT x.id FROM headwater.run x WHERE x.view_id = v.id AND x.state IN ('published', 'failed')
			AND x.ended_at >= $2 ORDER BY x.id DESC LIMIT $3) n) ORDER BY r.view_id, r.id DESC`, views, since, limit)
	if err != nil {
		return nil, err
	}
	runs, err := pgx.CollectRows(rows, scanRun)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	checks, err := quality.Of(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		r.Checks = checks[r.ID]
	}
	return runs, nil
}
