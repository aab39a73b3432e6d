package quality

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/quality/anomaly"
	"github.com/headwaterhq/headwater/quality/profile"
)

// Metric is what was measured of a run: `rows`, `filtered` and `quarantined` (shares of rows), `completeness:COLUMN` or `mean:COLUMN`.
type Metric struct {
	Name  string
	Value float64
}

const (
	completenessMetric = "completeness:"
	meanMetric         = "mean:"
)

// OfValues reports whether a metric tells of values of rows, so that it is for who may read them.
func (m Metric) OfValues() bool { return strings.HasPrefix(m.Name, meanMetric) }

// floor is by how much it differs at least where that means something to people: counts by a tenth, shares by a hundredth, means by a twentieth of themselves.
func (m Metric) floor() anomaly.Floor {
	switch {
	case m.OfValues():
		return anomaly.Floor{Relative: 0.05}
	case m.Name == "rows":
		return anomaly.Floor{Relative: 0.1}
	}
	return anomaly.Floor{Absolute: 0.01}
}

// MetricsOf are those of columns of a run's output. p may be nil.
func MetricsOf(p *profile.Profile) (list []Metric) {
	if p == nil || p.Rows() == 0 {
		return nil
	}
	for _, c := range p.Columns() {
		if c.Key {
			continue
		}
		list = append(list, Metric{completenessMetric + c.Name, float64(c.Present()) / float64(p.Rows())})
		if mean := c.Mean(); mean != nil && !math.IsNaN(*mean) && !math.IsInf(*mean, 0) {
			list = append(list, Metric{meanMetric + c.Name, *mean})
		}
	}
	return list
}

// KeepMetrics keeps what was measured of a run, in the transaction that publishes it.
func KeepMetrics(ctx context.Context, tx pgx.Tx, run, view int64, reach Reach, metrics []Metric) error {
	batch := &pgx.Batch{}
	for _, m := range metrics {
		batch.Queue(`INSERT INTO headwater.run_metric (run_id, view_id, reach, metric, value, measured_at) VALUES ($1, $2, $3, $4, $5, clock_timestamp())
			ON CONFLICT (run_id, metric) DO UPDATE SET value = excluded.value, measured_at = excluded.measured_at`, run, view, reach, m.Name, m.Value)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// maxHistory is how many runs a run is held to.
const maxHistory = 120

// Anomaly is a metric that was held to those of earlier runs.
type Anomaly struct {
	Metric
	anomaly.Finding
}

// Anomalies holds metrics to those of the newest published runs of a view version with the same reach, the run itself left out. All are returned that there was enough to tell of.
func Anomalies(ctx context.Context, q database.Querier, run, view int64, reach Reach, at time.Time, metrics []Metric) ([]Anomaly, error) {
	rows, err := q.Query(ctx, `
		SELECT metric, value, measured_at FROM headwater.run_metric WHERE view_id = $1 AND reach = $2 AND run_id IN
			(SELECT run_id FROM headwater.run_metric WHERE view_id = $1 AND reach = $2 AND run_id < $3 AND metric = 'rows' ORDER BY run_id DESC LIMIT $4)`,
		view, reach, run, maxHistory)
	if err != nil {
		return nil, err
	}
	history := map[string][]anomaly.Point{}
	var name string
	var p anomaly.Point
	_, err = pgx.ForEachRow(rows, []any{&name, &p.Value, &p.At}, func() error {
		history[name] = append(history[name], p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var list []Anomaly
	for _, m := range metrics {
		f := anomaly.Detect(anomaly.Point{At: at, Value: m.Value}, history[m.Name], m.floor())
		if f.State != anomaly.NotEnoughData {
			list = append(list, Anomaly{m, f})
		}
	}
	return list, nil
}

// eraseMeans takes away what a run's metrics tell of values.
func eraseMeans(ctx context.Context, tx pgx.Tx, run any) error {
	_, err := tx.Exec(ctx, `DELETE FROM headwater.run_metric WHERE run_id = $1 AND metric LIKE 'mean:%'`, run)
	return err
}

// Completeness is the mean of the completeness of columns, of those of the runs of which it was measured.
func Completeness(ctx context.Context, q database.Querier, runs []int64) (map[int64]float64, error) {
	rows, err := q.Query(ctx, `SELECT run_id, avg(value) FROM headwater.run_metric WHERE run_id = ANY ($1) AND metric LIKE 'completeness:%' GROUP BY run_id`, runs)
	if err != nil {
		return nil, err
	}
	by := map[int64]float64{}
	var run int64
	var share float64
	_, err = pgx.ForEachRow(rows, []any{&run, &share}, func() error {
		by[run] = share
		return nil
	})
	return by, err
}
