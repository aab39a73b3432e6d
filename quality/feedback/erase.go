package feedback

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// eraseBatch is how many predictions are taken away in one transaction.
const eraseBatch = 200

// Erasing is what is to be erased.
type Erasing struct {
	// Entities are the keyed hashes of the entity by all secrets.
	Entities [][]byte
	// Hash is the keyed hash of a prediction's model and id.
	Hash func(model, id string) []byte
	// Record is called in each transaction that erases, with how many predictions and outcomes of a model it does.
	Record func(ctx context.Context, tx pgx.Tx, model string, rows int64) error
}

// gone is a prediction that is erased.
type gone struct{ Model, ID string }

// Count is how many predictions and outcomes of an entity there are, by model.
func (s *Store) Count(ctx context.Context, entities [][]byte) (map[string]int64, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT p.model, count(*) + coalesce(sum((SELECT count(*) FROM headwater.outcome o WHERE o.model = p.model AND o.prediction_id = p.id)), 0)::bigint
		FROM headwater.prediction p WHERE p.entity_hashes && $1::bytea[] GROUP BY 1`, entities)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	var model string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&model, &n}, func() error {
		counts[model] = n
		return nil
	})
	return counts, err
}

// Erase takes away the predictions of an entity with their outcomes. Done again, it goes on.
func (s *Store) Erase(ctx context.Context, e Erasing) error {
	for {
		n := 0
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			if err := aloneWithAll(ctx, tx, `entity_hashes && $1::bytea[]`, e.Entities); err != nil {
				return err
			}
			rows, err := tx.Query(ctx, `SELECT model, id FROM headwater.prediction WHERE entity_hashes && $1::bytea[] ORDER BY model, id LIMIT $2 FOR UPDATE`, e.Entities, eraseBatch)
			if err != nil {
				return err
			}
			found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[gone])
			n = len(found)
			if err != nil || n == 0 {
				return err
			}
			return e.take(ctx, tx, found)
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

// EraseRows takes away, in tx, the predictions that were made of rows of a read, with their outcomes.
func (e Erasing) EraseRows(ctx context.Context, tx pgx.Tx, readID string, of []int32) error {
	if err := aloneWithAll(ctx, tx, `read_id = $1 AND read_id <> '' AND read_row = ANY ($2)`, readID, of); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `SELECT model, id FROM headwater.prediction WHERE read_id = $1 AND read_id <> '' AND read_row = ANY ($2) ORDER BY model, id FOR UPDATE`, readID, of)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[gone])
	if err != nil || len(found) == 0 {
		return err
	}
	return e.take(ctx, tx, found)
}

// aloneWithAll has nobody else write of the models of predictions: an outcome that is on its way is kept before it is looked for, or finds the erasure.
func aloneWithAll(ctx context.Context, tx pgx.Tx, where string, args ...any) error {
	rows, err := tx.Query(ctx, `SELECT DISTINCT model FROM headwater.prediction WHERE `+where+` ORDER BY 1`, args...)
	if err != nil {
		return err
	}
	models, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, model := range models {
		if err := alone(ctx, tx, model); err != nil {
			return err
		}
	}
	return nil
}

func (e Erasing) take(ctx context.Context, tx pgx.Tx, found []gone) error {
	counts := map[string]int64{}
	for _, p := range found {
		for _, sql := range []string{
			`DELETE FROM headwater.prediction WHERE model = $1 AND id = $2`, `DELETE FROM headwater.outcome WHERE model = $1 AND prediction_id = $2`,
		} {
			tag, err := tx.Exec(ctx, sql, p.Model, p.ID)
			if err != nil {
				return err
			}
			counts[p.Model] += tag.RowsAffected()
		}
		if err := mark(ctx, tx, e.Hash(p.Model, p.ID)); err != nil {
			return err
		}
	}
	for model, n := range counts {
		if err := e.Record(ctx, tx, model, n); err != nil {
			return err
		}
	}
	return nil
}

// mark has what is told of a prediction later not be kept.
func mark(ctx context.Context, tx pgx.Tx, hash []byte) error {
	_, err := tx.Exec(ctx, `INSERT INTO headwater.prediction_erasure (hash, erased_at) VALUES ($1, clock_timestamp()) ON CONFLICT (hash) DO UPDATE SET erased_at = excluded.erased_at`, hash)
	return err
}
