package feedback

import (
	"context"
	"fmt"
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
	// Newest takes the newest first.
	Newest bool
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

// Each gives predictions to do, by time and id or the other way round, at most limit of them. more says that there are others.
func Each(ctx context.Context, q database.Querier, f Filter, limit int, do func(*Told) error) (more bool, err error) {
	since, until := f.bounds()
	order := ""
	if f.Newest {
		order = "DESC"
	}
	// Outcomes of those only: a few are looked up by their keys, and many are hashed.
	rows, err := q.Query(ctx, fmt.Sprintf(`
		WITH p AS MATERIALIZED (
			SELECT id, predicted_at, model_version, service, read_id, read_row, entity_hashes, class, number, score FROM headwater.prediction
			WHERE model = $1 AND ($2 = 0 OR model_version = $2) AND predicted_at >= $3 AND predicted_at < $4
				AND day >= ($3 AT TIME ZONE 'UTC')::date AND day <= ($4 AT TIME ZONE 'UTC')::date
			ORDER BY predicted_at %[1]s, id %[1]s LIMIT $5
		), told AS (
			SELECT DISTINCT ON (o.prediction_id) o.prediction_id, o.class, o.value FROM p JOIN headwater.outcome o ON o.model = $1 AND o.prediction_id = p.id
			ORDER BY o.prediction_id, o.known_at DESC, o.number DESC
		)
		SELECT p.*, o.class, o.value FROM p LEFT JOIN told o ON o.prediction_id = p.id ORDER BY p.predicted_at %[1]s, p.id %[1]s`, order),
		f.Model, f.Version, since, until, limit+1)
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

// Parked is how many predictions of a model are not here while outcomes of theirs are, which were reported since the day of a time. Zero: ever.
func Parked(ctx context.Context, q database.Querier, model string, since time.Time) (n int64, err error) {
	since, _ = Filter{Since: since}.bounds()
	err = q.QueryRow(ctx, `
		SELECT count(DISTINCT o.prediction_id) FROM headwater.outcome o
		WHERE o.model = $1 AND o.day >= ($2 AT TIME ZONE 'UTC')::date
			AND NOT EXISTS (SELECT FROM headwater.prediction p WHERE p.model = $1 AND p.id = o.prediction_id)`, model, since).Scan(&n)
	return n, err
}
