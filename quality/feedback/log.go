package feedback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Answer is a class as text, or a number. Neither: none.
type Answer struct {
	Class  *string
	Number *float64
}

// Same reports whether two say the same.
func (a Answer) Same(b Answer) bool {
	return same(a.Class, b.Class) && same(a.Number, b.Number)
}

func same[T comparable](a, b *T) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// None reports whether it says nothing.
func (a Answer) None() bool { return a.Class == nil && a.Number == nil }

// Prediction is one, as it is kept.
type Prediction struct {
	ID string
	// At is when it was made.
	At           time.Time
	ModelVersion int
	Principal    string
	Service      string
	// ReadID is the online read that it was made of, and Row which of its entities. Empty: none.
	ReadID string
	Row    int
	// Entities are the keyed hashes of its entities.
	Entities [][]byte
	Answer
	Score *float64
	// Digest is SHA-256 of what was logged.
	Digest []byte
	// IDHashes are the keyed hashes of model and id by all secrets, the newest first.
	IDHashes [][]byte
	// Erased says that what it was made of is: it is not kept, nor what is told of it.
	Erased bool
}

// Logged is what became of predictions.
type Logged struct {
	New []string
	// Duplicates and Erased were not kept, the latter since they, or what they were made of, were taken away by an erasure before.
	Duplicates, Erased int64
	// Joined are the outcomes that waited for the new ones.
	Joined int64
}

// ErrConflict is of a prediction under the id of another.
var ErrConflict = errors.New("another prediction has the id")

// Conflict is of the i-th prediction of those that were given.
type Conflict struct{ At int }

func (c *Conflict) Error() string { return fmt.Sprintf("prediction %d: %v", c.At, ErrConflict) }

// Unwrap is ErrConflict.
func (c *Conflict) Unwrap() error { return ErrConflict }

// alone has one at a time write of a model, so that what is looked for before stays so.
func alone(ctx context.Context, tx pgx.Tx, model string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('headwater.feedback ' || $1, 0))`, model)
	return err
}

// Log keeps predictions of a model, all or none. Two with one id must be the same, else the error is a *Conflict. Their times are within Kept.
func (s *Store) Log(ctx context.Context, model string, all []Prediction) (done Logged, err error) {
	for _, p := range all {
		if err := s.ensure(ctx, predictions, p.At); err != nil {
			return done, err
		}
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := alone(ctx, tx, model); err != nil {
			return err
		}
		ids := make([]string, len(all))
		for i, p := range all {
			ids[i] = p.ID
		}
		known := map[string][]byte{}
		rows, err := tx.Query(ctx, `SELECT id, digest FROM headwater.prediction WHERE model = $1 AND id = ANY ($2)`, model, ids)
		if err != nil {
			return err
		}
		var id string
		var digest []byte
		_, err = pgx.ForEachRow(rows, []any{&id, &digest}, func() error {
			known[id], digest = digest, nil
			return nil
		})
		if err != nil {
			return err
		}
		gone, err := erased(ctx, tx, len(all), func(i int) [][]byte { return all[i].IDHashes })
		if err != nil {
			return err
		}
		now := s.options.Now().UTC()
		var fresh [][]any
		for i, p := range all {
			switch is, there := known[p.ID]; {
			case gone[i]:
				done.Erased++
			case p.Erased:
				done.Erased++
				// One that is there under the id is another's.
				if there {
					continue
				}
				if _, err := tx.Exec(ctx, `DELETE FROM headwater.outcome WHERE model = $1 AND prediction_id = $2`, model, p.ID); err != nil {
					return err
				}
				if err := mark(ctx, tx, p.IDHashes[0]); err != nil {
					return err
				}
			case there && !bytes.Equal(is, p.Digest):
				return &Conflict{i}
			case there:
				done.Duplicates++
			default:
				known[p.ID] = p.Digest
				done.New = append(done.New, p.ID)
				hashes := slices.Clone(p.Entities)
				if hashes == nil {
					hashes = [][]byte{}
				}
				fresh = append(fresh, []any{p.At.UTC().Truncate(day), model, p.ModelVersion, p.ID, p.At, now, p.Principal, p.Service, p.ReadID, p.Row, hashes,
					p.Class, p.Number, p.Score, p.Digest})
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"headwater", "prediction"}, []string{"day", "model", "model_version", "id", "predicted_at", "logged_at", "principal", "service",
			"read_id", "read_row", "entity_hashes", "class", "number", "score", "digest"}, pgx.CopyFromRows(fresh))
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT count(DISTINCT prediction_id) FROM headwater.outcome WHERE model = $1 AND prediction_id = ANY ($2)`, model, done.New).Scan(&done.Joined)
	})
	if err != nil {
		return Logged{}, err
	}
	return done, nil
}

// erased reports which of n things an erasure took away.
func erased(ctx context.Context, tx pgx.Tx, n int, hashes func(int) [][]byte) (map[int]bool, error) {
	var all [][]byte
	for i := range n {
		all = append(all, hashes(i)...)
	}
	rows, err := tx.Query(ctx, `SELECT hash FROM headwater.prediction_erasure WHERE hash = ANY ($1)`, all)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil || len(found) == 0 {
		return nil, err
	}
	gone := map[int]bool{}
	for i := range n {
		gone[i] = slices.ContainsFunc(hashes(i), func(h []byte) bool {
			return slices.ContainsFunc(found, func(f []byte) bool { return bytes.Equal(f, h) })
		})
	}
	return gone, nil
}

// Outcome is what became of a prediction.
type Outcome struct {
	// ID is that of the prediction.
	ID string
	Answer
	// Known is when it was known. nil: now.
	Known     *time.Time
	Principal string
	IDHashes  [][]byte
}

// Reported is what became of outcomes.
type Reported struct {
	// Recorded are first ones, Revised those that took the place of another, Duplicates those that say what is known, Outdated those that were
	// known before what counts. Parked are those of the first two that have no prediction, or not yet. Erased are of erased predictions.
	Recorded, Revised, Duplicates, Outdated, Parked, Erased int64
}

// Report keeps outcomes of predictions of a model, in their order, all or none.
func (s *Store) Report(ctx context.Context, model string, all []Outcome) (done Reported, err error) {
	now := s.options.Now().UTC()
	if err := s.ensure(ctx, outcomes, now); err != nil {
		return done, err
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := alone(ctx, tx, model); err != nil {
			return err
		}
		ids := make([]string, len(all))
		for i, o := range all {
			ids[i] = o.ID
		}
		type counts struct {
			known time.Time
			Answer
		}
		current := map[string]counts{}
		rows, err := tx.Query(ctx, `
			SELECT DISTINCT ON (prediction_id) prediction_id, known_at, class, value FROM headwater.outcome WHERE model = $1 AND prediction_id = ANY ($2)
			ORDER BY prediction_id, known_at DESC, number DESC`, model, ids)
		if err != nil {
			return err
		}
		var id string
		var c counts
		_, err = pgx.ForEachRow(rows, []any{&id, &c.known, &c.Class, &c.Number}, func() error {
			current[id], c = c, counts{}
			return nil
		})
		if err != nil {
			return err
		}
		rows, err = tx.Query(ctx, `SELECT id FROM headwater.prediction WHERE model = $1 AND id = ANY ($2)`, model, ids)
		if err != nil {
			return err
		}
		predicted, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		gone, err := erased(ctx, tx, len(all), func(i int) [][]byte { return all[i].IDHashes })
		if err != nil {
			return err
		}
		var fresh [][]any
		for i, o := range all {
			known := now
			if o.Known != nil {
				known = *o.Known
			}
			is, there := current[o.ID]
			counted := false
			switch {
			case gone[i]:
				done.Erased++
				continue
			case !there:
				done.Recorded, counted = done.Recorded+1, true
			case is.Same(o.Answer):
				done.Duplicates++
				// That it was still so later counts against what was known in between.
				if o.Known == nil || !known.After(is.known) {
					continue
				}
			case known.Before(is.known):
				done.Outdated++
				continue
			default:
				done.Revised, counted = done.Revised+1, true
			}
			if counted && !slices.Contains(predicted, o.ID) {
				done.Parked++
			}
			current[o.ID] = counts{known, o.Answer}
			fresh = append(fresh, []any{now.Truncate(day), model, o.ID, known, now, o.Principal, o.Class, o.Number})
		}
		if len(fresh) == 0 {
			return nil
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"headwater", "outcome"}, []string{"day", "model", "prediction_id", "known_at", "reported_at", "principal", "class", "value"},
			pgx.CopyFromRows(fresh))
		return err
	})
	if err != nil {
		return Reported{}, err
	}
	return done, nil
}
