package feedback

import (
	"context"
	"time"

	"github.com/headwaterhq/headwater/internal/database"
)

// Told is a prediction with the outcome that counts.
type Told struct {
	Prediction
	// Actual says nothing where the outcome is not known.
	Actual Answer
}

// Filter picks predictions of a model.
type Filter struct {
	Model string
	// Version 0: all.
	Version int
	// Since and Until bound when they were made: from, and before. Zero: nothing does.
	Since, Until time.Time
}

func (f Filter) bounds() (since, until time.Time) {
	if since, until = f.Since, f.Until; since.IsZero() {
		since = time.Unix(0, 0)
	}
	if until.IsZero() {
		until = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return since, until
}

// Each gives predictions to do, by time and id, at most limit of them. more says that there are others.
func Each(ctx context.Context, q database.Querier, f Filter, limit int, do func(*Told) error) (more bool, err error) {
	since, until := f.bounds()
	rows, err := q.Query(ctx, `
		SELECT p.id, p.predicted_at, p.model_version, p.service, p.read_id, p.read_row, p.entity_hashes, p.class, p.number, p.score, o.class, o.value
		FROM headwater.prediction p LEFT JOIN (
			SELECT DISTINCT ON (prediction_id) prediction_id, class, value FROM headwater.outcome WHERE model = $1 ORDER BY prediction_id, known_at DESC, number DESC
		) o ON o.prediction_id = p.id
		WHERE p.model = $1 AND ($2 = 0 OR p.model_version = $2) AND p.predicted_at >= $3 AND p.predicted_at < $4
			AND p.day >= ($3 AT TIME ZONE 'UTC')::date AND p.day <= ($4 AT TIME ZONE 'UTC')::date
		ORDER BY p.predicted_at, p.id LIMIT $5`, f.Model, f.Version, since, until, limit+1)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for n := 0; rows.Next(); n++ {
		if n == limit {
			return true, nil
		}
		t := &Told{}
		err := rows.Scan(&t.ID, &t.At, &t.ModelVersion, &t.Service, &t.ReadID, &t.Row, &t.Entities, &t.Class, &t.Number, &t.Score, &t.Actual.Class, &t.Actual.Number)
		if err != nil {
			return false, err
		}
		if err := do(t); err != nil {
			return false, err
		}
	}
	return false, rows.Err()
}

// Parked is how many predictions of a model are not here while outcomes of theirs are.
func Parked(ctx context.Context, q database.Querier, model string) (n int64, err error) {
	err = q.QueryRow(ctx, `
		SELECT count(DISTINCT o.prediction_id) FROM headwater.outcome o
		WHERE o.model = $1 AND NOT EXISTS (SELECT FROM headwater.prediction p WHERE p.model = $1 AND p.id = o.prediction_id)`, model).Scan(&n)
	return n, err
}
