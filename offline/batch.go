package offline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Batch is a part of a load that counts once, however often it is sent.
type Batch struct {
	// Key is of the sender's choosing, for these rows in this order.
	Key string
	// Rows are as those of AppendLoad; they can be ranged over more than once.
	Rows iter.Seq2[[]feature.Value, error]
	// IgnoredColumns are those that were sent and are left out.
	IgnoredColumns []string
}

// BatchResult is what became of a batch.
type BatchResult struct {
	Key string
	// Rows is how many it has, those that were set aside or left out among them.
	Rows int64
	// LoadID is the load that has it; Duplicate says that it was there already, or twice in the stream.
	LoadID    int64
	Duplicate bool
}

// batched is a batch whose rows have come.
type batched struct {
	BatchResult
	digest feature.Digest
	// from and to are the numbers of its rows in the load, from < number <= to. It is not in the load when they are equal.
	from, to int64
	landed   tally
}

// AppendBatches is AppendLoad for rows in batches: those that are in no live load of the source become one load. It is nil
// when there are none. A batch with the key of one that is there and other rows than it is refused, and the whole stream
// with it. known is asked, beside the transaction, which keys are there, so that their rows need not be copied.
func AppendBatches(ctx context.Context, db beginner, known database.Querier, req LoadRequest, batches iter.Seq2[*Batch, error]) (
	*Load, []BatchResult, error,
) {
	var load *Load
	var results []BatchResult
	err := landing(ctx, db, func(tx pgx.Tx, id int64) error {
		aside, err := newAside(req.Source)
		if err != nil {
			return err
		}
		defer aside.close()
		s := &batchStream{req: req, known: known, byKey: map[string]*batched{}, lander: &lander{source: req.Source, load: id, aside: aside}}
		err = s.lander.copy(ctx, tx.Conn(), func() error {
			for b, err := range batches {
				if err != nil {
					return err
				}
				if err := s.add(ctx, b); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(s.all) == 0 {
			return fault.New(fault.InvalidRows, "found no batches, expected at least one")
		}
		made := newLoad{LoadRequest: s.req, id: id}
		if err := made.lock(ctx, tx); err != nil {
			return err
		}
		if err := s.settle(ctx, tx); err != nil {
			return err
		}
		for _, b := range s.all {
			if !b.Duplicate {
				made.batches++
				made.landed.add(&b.landed)
			}
			results = append(results, b.BatchResult)
		}
		if made.batches == 0 {
			if req.Replaces != 0 {
				return fault.New(fault.AlreadyExists, "every batch is in other loads of source %s already, so that there is nothing to put in the place "+
					"of load %d; to withdraw it, use `headwater loads retract`", req.Source.Name, req.Replaces)
			}
			return errNothingNew
		}
		if err := checkReplaces(ctx, tx, &made); err != nil {
			return err
		}
		if load, err = made.insert(ctx, tx, aside); err != nil {
			return err
		}
		return s.record(ctx, tx, id)
	})
	if errors.Is(err, errNothingNew) {
		err = nil
	}
	if err != nil {
		return nil, nil, err
	}
	if load != nil {
		tendLanding(ctx, db, req.Source, load)
	}
	return load, results, nil
}

// errNothingNew undoes a load without batches of its own.
var errNothingNew = errors.New("every batch is there already")

// batchStream is the batches of one call.
type batchStream struct {
	req    LoadRequest
	known  database.Querier
	lander *lander
	all    []*batched
	byKey  map[string]*batched
}

// add lands the rows of a batch, unless it is there already.
func (s *batchStream) add(ctx context.Context, b *Batch) error {
	digest := newRowsDigest(s.req.Source)
	one := &batched{BatchResult: BatchResult{Key: b.Key, LoadID: s.lander.load}}
	for row, err := range b.Rows {
		if err != nil {
			return err
		}
		if len(row) != len(s.req.Source.Columns) {
			return fault.New(fault.InvalidRows, "%s: row %d: found %d values, expected %d", batchPlace(b.Key), one.Rows+1, len(row),
				len(s.req.Source.Columns))
		}
		digest.add(row)
		one.Rows++
	}
	if one.Rows == 0 {
		return fault.New(fault.InvalidRows, "%s: found no rows, expected at least one", batchPlace(b.Key))
	}
	one.digest = digest.sum()
	for _, name := range b.IgnoredColumns {
		if !slices.Contains(s.req.IgnoredColumns, name) {
			s.req.IgnoredColumns = append(slices.Clone(s.req.IgnoredColumns), name)
		}
	}
	s.all = append(s.all, one)
	if before := s.byKey[b.Key]; before != nil {
		if before.digest != one.digest {
			return otherRows(b.Key, fmt.Sprintf("earlier in this stream, with %d rows", before.Rows))
		}
		one.Duplicate, one.LoadID = true, before.LoadID
		return nil
	}
	s.byKey[b.Key] = one
	held, err := s.held(ctx, s.known, []string{b.Key})
	if err != nil {
		return err
	}
	if len(held) > 0 {
		return s.there(one, held[0])
	}
	s.lander.place, s.lander.inPlace, s.lander.came = batchPlace(b.Key), 0, tally{}
	one.from = s.lander.number
	for row, err := range b.Rows {
		if err != nil {
			return err
		}
		if err := s.lander.add(row); err != nil {
			return err
		}
	}
	one.to, one.landed = s.lander.number, s.lander.came
	return nil
}

func batchPlace(key string) string { return fmt.Sprintf("batch %.64q", key) }

func otherRows(key, where string) error {
	return fault.New(fault.AlreadyExists, "%s: found a batch of this idempotency key %s, expected the same rows in the same order; send other rows "+
		"with another key, or retract that load first", batchPlace(key), where)
}

// there notes that a batch is in a live load.
func (s *batchStream) there(b *batched, h heldBatch) error {
	if b.digest != h.digest {
		return otherRows(b.Key, fmt.Sprintf("in load %d, with %d rows", h.load, h.rows))
	}
	b.Duplicate, b.LoadID = true, h.load
	return nil
}

// heldBatch is a batch of a live load.
type heldBatch struct {
	key        string
	load, rows int64
	digest     feature.Digest
}

// held is which of the keys are in live loads, those of the load that is to be replaced not among them.
func (s *batchStream) held(ctx context.Context, q database.Querier, keys []string) ([]heldBatch, error) {
	rows, err := q.Query(ctx, `
		SELECT b.key, b.load_id, b.rows, b.digest FROM headwater.load_batch b
		WHERE b.source = $1 AND b.key = ANY ($2) AND b.load_id <> $3
			AND NOT EXISTS (SELECT FROM headwater.load e WHERE e.ends = b.load_id)`, s.req.Source.Name, keys, s.req.Replaces)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (h heldBatch, err error) {
		var digest []byte
		err = row.Scan(&h.key, &h.load, &h.rows, &digest)
		copy(h.digest[:], digest)
		return h, err
	})
}

// settle decides under the landing row's lock which batches are there, and takes back what was copied of those that another
// client was quicker with.
func (s *batchStream) settle(ctx context.Context, tx pgx.Tx) error {
	keys := make([]string, 0, len(s.byKey))
	for key := range s.byKey {
		keys = append(keys, key)
	}
	held, err := s.held(ctx, tx, keys)
	if err != nil {
		return err
	}
	now := map[string]bool{}
	for _, h := range held {
		now[h.key] = true
		b := s.byKey[h.key]
		if err := s.there(b, h); err != nil {
			return err
		}
		if b.to == b.from {
			continue
		}
		if b.landed.rows > 0 {
			at := quote(s.req.Source.EventTime)
			_, err := tx.Exec(ctx, fmt.Sprintf("DELETE FROM %s WHERE %s >= %s AND %s <= %s AND _load = $1 AND _row > $2 AND _row <= $3",
				quote(landingSchema, s.req.Source.Name), at, timeLiteral(b.landed.first), at, timeLiteral(b.landed.last)), s.lander.load, b.from, b.to)
			if err != nil {
				return err
			}
		}
		s.lander.aside.leaveOut(b.from, b.to)
	}
	for _, b := range s.all {
		first := s.byKey[b.Key]
		if first.Duplicate && !now[b.Key] {
			return fault.New(fault.FailedPrecondition, "%s: load %d, which had it when it was sent, was retracted or replaced meanwhile; nothing was "+
				"loaded, send the stream again", batchPlace(b.Key), first.LoadID)
		}
		if b != first {
			b.LoadID = first.LoadID
		}
	}
	return nil
}

// record keeps the batches of the load.
func (s *batchStream) record(ctx context.Context, tx pgx.Tx, load int64) error {
	var rows [][]any
	for _, b := range s.all {
		if !b.Duplicate {
			rows = append(rows, []any{load, len(rows) + 1, s.req.Source.Name, b.Key, b.Rows, b.digest[:]})
		}
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"headwater", "load_batch"}, []string{"load_id", "number", "source", "key", "rows", "digest"},
		pgx.CopyFromRows(rows))
	return err
}

// ListBatches reads the batches of a load in their order, at most limit of them.
func ListBatches(ctx context.Context, q database.Querier, load int64, limit int) ([]BatchResult, error) {
	rows, err := q.Query(ctx, `SELECT key, rows, load_id FROM headwater.load_batch WHERE load_id = $1 ORDER BY number LIMIT $2`, load, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (b BatchResult, err error) {
		err = row.Scan(&b.Key, &b.Rows, &b.LoadID)
		return b, err
	})
}
