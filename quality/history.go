package quality

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
)

// Reach says which runs are alike, so that what they read and made can be compared.
type Reach string

const (
	// ReachAll computes all there is: the first run of a view version, and those with --full.
	ReachAll Reach = "all"
	// ReachNew follows what is new since the run before.
	ReachNew Reach = "new"
	// ReachInterval has bounds that were asked for.
	ReachInterval Reach = "interval"
)

// Record keeps the results of a run, in their order, in place of those that an earlier attempt of it left.
func Record(ctx context.Context, tx pgx.Tx, run, view int64, reach Reach, results []Result) error {
	if _, err := tx.Exec(ctx, `DELETE FROM headwater.check_result WHERE run_id = $1`, run); err != nil {
		return err
	}
	batch := &pgx.Batch{}
	for i, r := range results {
		examples := r.Examples
		if examples == nil {
			examples = []Example{}
		}
		batch.Queue(`
			INSERT INTO headwater.check_result (run_id, place, view_id, name, subject, state, expected, found, look, examples, rows_failed,
				action, metric, measure, measured, measured_text, reach, inputs, checked_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, clock_timestamp())`,
			run, i+1, view, r.Name, r.Subject, r.State, r.Expected, r.Found, r.Look, examples, r.RowsFailed,
			r.Action, r.Metric, r.Measure, r.Measured, r.MeasuredText, reach, r.Inputs)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// maxResults is more than the results that one run can have.
const maxResults = 20000

const selectResult = `SELECT c.name, c.subject, c.state, c.expected, c.found, c.look, c.examples, c.rows_failed, c.action, c.metric, c.measure,
	c.measured, c.measured_text, c.inputs`

func scanResult(scan func(...any) error, r *Result, more ...any) error {
	var examples []byte
	err := scan(append([]any{&r.Name, &r.Subject, &r.State, &r.Expected, &r.Found, &r.Look, &examples, &r.RowsFailed, &r.Action, &r.Metric,
		&r.Measure, &r.Measured, &r.MeasuredText, &r.Inputs}, more...)...)
	if err != nil {
		return err
	}
	return json.Unmarshal(examples, &r.Examples)
}

// Of reads the results of runs, by run, each in the order of its record.
func Of(ctx context.Context, q database.Querier, runs []int64) (map[int64][]Result, error) {
	rows, err := q.Query(ctx, selectResult+`, c.run_id FROM headwater.check_result c WHERE c.run_id = ANY ($1) ORDER BY c.run_id, c.place`, runs)
	if err != nil {
		return nil, err
	}
	results := map[int64][]Result{}
	var run int64
	defer rows.Close()
	for rows.Next() {
		var r Result
		if err := scanResult(rows.Scan, &r, &run); err != nil {
			return nil, err
		}
		results[run] = append(results[run], r)
	}
	return results, rows.Err()
}

// Past is a result in the history of a check.
type Past struct {
	Result
	Run int64
	// Ref is `VIEW@VERSION/SEQ`, or empty for a run that took no sequence.
	Ref string
	// RunState is what became of the run.
	RunState string
	Time     time.Time
}

// History reads results of a view, newest run first and within it in the order of its record: of one version or, with 0, of
// all; of one check or, with "", of all; of runs with ids below before, or with 0 from the newest. At most limit results, but a
// run's are never cut in two, so that the next page can begin below the last run.
func History(ctx context.Context, q database.Querier, view string, version int, check string, before int64, limit int) ([]Past, error) {
	rows, err := q.Query(ctx, selectResult+`, c.run_id, CASE WHEN r.seq IS NULL THEN '' ELSE d.name || '@' || d.version || '/' || r.seq END,
			r.state, c.checked_at
		FROM headwater.check_result c JOIN headwater.definition d ON d.id = c.view_id
			JOIN headwater.run r ON r.id = c.run_id
		WHERE d.kind = 'view' AND d.name = $1 AND ($2 = 0 OR d.version = $2) AND ($3 = '' OR c.name = $3) AND ($4::bigint = 0 OR c.run_id < $4)
		ORDER BY c.run_id DESC, c.place LIMIT $5`, view, version, check, before, limit+maxResults)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var history []Past
	for rows.Next() {
		var p Past
		if err := scanResult(rows.Scan, &p.Result, &p.Run, &p.Ref, &p.RunState, &p.Time); err != nil {
			return nil, err
		}
		if len(history) >= limit && history[len(history)-1].Run != p.Run {
			break
		}
		history = append(history, p)
	}
	rows.Close()
	return history, rows.Err()
}
