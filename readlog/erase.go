package readlog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/wire"
)

func timestamp(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

// inFlight is how long after it was told of an erasure a server may still answer with what it knew before.
const inFlight = 2 * time.Minute

// eraseBatch is how many reads are looked at in one transaction.
const eraseBatch = 200

// Erasing is what is to be erased.
type Erasing struct {
	// Entity and Key are the entity that is erased.
	Entity, Key string
	// Rows are those of a read that are to be erased besides, because a value in them is the entity's. nil: none are.
	Rows func(*headwaterv1.LoggedRead) ([]int32, error)
	// Views are those, as VIEW@VERSION, whose reads Rows is to see.
	Views []string
	// Record is called in each transaction that erases rows, with how many of a read of which service.
	Record func(ctx context.Context, tx pgx.Tx, service string, rows int64) error
	// Read is called in each such transaction too, with the read and its rows: for what others keep of it. nil: nobody does.
	Read func(ctx context.Context, tx pgx.Tx, readID string, rows []int32) error
}

// Erase takes an entity out of all reads that are in Postgres, and out of those on any server's disk when they come. Done
// again, it goes on. Of a read, what remains is that there was one, and all of its other rows.
func (l *Log) Erase(ctx context.Context, e Erasing) error {
	if err := l.Flush(ctx); err != nil {
		return err
	}
	// Once this has committed, no drain adds the entity: those that began before have ended.
	err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, 0)`, lockClass); err != nil {
			return err
		}
		for version := range l.secrets.keys {
			_, err := tx.Exec(ctx, `INSERT INTO headwater.read_log_erasure (entity, hash_version, hash, until) VALUES ($1, $2, $3, clock_timestamp() + $4)
				ON CONFLICT (entity, hash_version, hash) DO UPDATE SET until = excluded.until`, e.Entity, version, l.Hash(version, e.Entity, e.Key), inFlight)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.walk(ctx, e, func(r *headwaterv1.LoggedRead) error { return l.eraseRead(ctx, r.GetReadId(), e) })
}

// Count is how many rows of reads in Postgres Erase would erase, by service.
func (l *Log) Count(ctx context.Context, e Erasing) (map[string]int64, error) {
	if err := l.Flush(ctx); err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	err := l.walk(ctx, e, func(r *headwaterv1.LoggedRead) error {
		rows, err := l.rowsOf(r, e)
		if len(rows) > 0 {
			counts[r.GetService()] += int64(len(rows))
		}
		return err
	})
	return counts, err
}

// walk calls do with each read that may have rows to erase.
func (l *Log) walk(ctx context.Context, e Erasing, do func(*headwaterv1.LoggedRead) error) error {
	var hashes []int64
	for version := range l.secrets.keys {
		hashes = append(hashes, short(l.Hash(version, e.Entity, e.Key)))
	}
	after := ""
	for {
		rows, err := l.pool.Query(ctx, `
			SELECT r.record FROM headwater.read_log r
			WHERE r.read_id > $1 AND (r.entity_hashes && $2::bigint[] OR (r.day, r.service, r.service_version) IN (
				SELECT c.day, c.service, c.service_version FROM headwater.read_log_count c WHERE c.view || '@' || c.view_version = ANY ($3)))
			ORDER BY r.read_id LIMIT $4`, after, hashes, e.Views, eraseBatch)
		if err != nil {
			return err
		}
		records, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		if err != nil {
			return err
		}
		for _, record := range records {
			r := &headwaterv1.LoggedRead{}
			if err := proto.Unmarshal(record, r); err != nil {
				return fmt.Errorf("a logged read behind %q cannot be decoded: %w", after, err)
			}
			after = r.GetReadId()
			if err := do(r); err != nil {
				return err
			}
		}
		if len(records) < eraseBatch {
			return nil
		}
	}
}

// rowsOf are the rows of a read that are to be erased, ascending.
func (l *Log) rowsOf(r *headwaterv1.LoggedRead, e Erasing) ([]int32, error) {
	rows := l.rowsWith(r, e.Entity, l.Hash(r.GetHashVersion(), e.Entity, e.Key))
	if e.Rows != nil {
		more, err := e.Rows(r)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	slices.Sort(rows)
	rows = slices.Compact(rows)
	return slices.DeleteFunc(rows, func(i int32) bool { return slices.Contains(r.GetErased(), i) }), nil
}

// rowsWith are the rows of an entity, by its hash.
func (l *Log) rowsWith(r *headwaterv1.LoggedRead, entity string, hash []byte) (rows []int32) {
	for _, k := range r.GetKeys() {
		if k.GetEntity() != entity {
			continue
		}
		for i := range entriesOf(k) {
			if slices.Equal(l.hashOf(r, k, i), hash) && hash != nil {
				rows = append(rows, int32(i))
			}
		}
	}
	return rows
}

// eraseRead erases from one read, in a transaction.
func (l *Log) eraseRead(ctx context.Context, readID string, e Erasing) error {
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		var record []byte
		err := tx.QueryRow(ctx, `SELECT record FROM headwater.read_log WHERE read_id = $1 FOR UPDATE`, readID).Scan(&record)
		if err == pgx.ErrNoRows {
			// Its day was dropped meanwhile.
			return nil
		}
		if err != nil {
			return err
		}
		r := &headwaterv1.LoggedRead{}
		if err := proto.Unmarshal(record, r); err != nil {
			return err
		}
		rows, err := l.rowsOf(r, e)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := blank(r, rows); err != nil {
			return err
		}
		if record, err = proto.Marshal(r); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE headwater.read_log SET record = $2, entity_hashes = $3, prediction_id = $4 WHERE read_id = $1`,
			readID, record, l.entityHashes(r), r.GetPredictionId())
		if err == nil && e.Read != nil {
			err = e.Read(ctx, tx, readID, rows)
		}
		if err != nil || e.Record == nil {
			return err
		}
		return e.Record(ctx, tx, r.GetService(), int64(len(rows)))
	})
}

// blankErased takes out of reads that come from the disk what was erased while they were there.
func (l *Log) blankErased(ctx context.Context, tx pgx.Tx, reads []*drained) error {
	first := reads[0].GetServedAt().AsTime()
	for _, r := range reads {
		if at := r.GetServedAt().AsTime(); at.Before(first) {
			first = at
		}
	}
	rows, err := tx.Query(ctx, `SELECT entity, hash_version, hash, until FROM headwater.read_log_erasure WHERE until > $1`, first)
	if err != nil {
		return err
	}
	type erased struct {
		entity  string
		version int32
		hash    []byte
		until   time.Time
	}
	var list []erased
	var one erased
	_, err = pgx.ForEachRow(rows, []any{&one.entity, &one.version, &one.hash, &one.until}, func() error {
		list = append(list, one)
		one.hash = nil
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range reads {
		for _, e := range list {
			if r.GetHashVersion() != e.version || !r.GetServedAt().AsTime().Before(e.until) {
				continue
			}
			if rows := l.rowsWith(r.LoggedRead, e.entity, e.hash); len(rows) > 0 {
				if err := r.blank(rows); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// blank takes rows out of a read: keys, inputs, values and where they came from. A digest stays: it is keyed, and of all rows.
func blank(r *headwaterv1.LoggedRead, rows []int32) error {
	r.Erased = append(r.Erased, rows...)
	slices.Sort(r.Erased)
	r.Erased = slices.Compact(r.Erased)
	n := int(r.GetEntities())
	for _, k := range r.Keys {
		for _, i := range rows {
			if int(i) < len(k.Keys) {
				k.Keys[i] = ""
			}
			if int(i) < len(k.Hashes) {
				k.Hashes[i] = nil
			}
		}
	}
	for _, c := range r.Inputs {
		for _, i := range rows {
			switch {
			case int(i) < len(c.Values):
				c.Values[i] = &headwaterv1.Value{}
			case int(i) < len(c.Strings):
				c.Strings[i] = ""
			case int(i) < len(c.Int64S):
				c.Int64S[i] = 0
			}
		}
	}
	for _, f := range r.Features {
		if err := blankVector(f.Values, rows, n); err != nil {
			return fmt.Errorf("feature %s of read %s: %w", f.GetName(), r.GetReadId(), err)
		}
	}
	for _, p := range r.Provenance {
		for _, i := range rows {
			for _, list := range [][]int64{p.EventTimes, p.AvailableAts, p.RunSeqs, p.Ages} {
				if int(i) < len(list) {
					list[i] = 0
				}
			}
		}
	}
	if len(r.Erased) == n {
		// It would name whom the prediction was about.
		r.PredictionId = ""
	}
	return nil
}

// blankVector makes rows of n values the type's zero, without a status.
func blankVector(v *headwaterv1.ValueVector, rows []int32, n int) error {
	Expand(v, n)
	t, err := wire.VectorType(v)
	if err != nil {
		return err
	}
	v.Nulls = slices.DeleteFunc(v.Nulls, func(i uint32) bool { return slices.Contains(rows, int32(i)) })
	zero := wire.NewVector(t, 1)
	for _, i := range rows {
		v.Status[i] = headwaterv1.ValueStatus_VALUE_STATUS_UNSPECIFIED
		setAt(v.Bools, zero.Bools, i)
		setAt(v.Int64S, zero.Int64S, i)
		setAt(v.Float64S, zero.Float64S, i)
		setAt(v.Strings, zero.Strings, i)
		setAt(v.Timestamps, zero.Timestamps, i)
		setAt(v.Decimals, zero.Decimals, i)
		setAt(v.BytesValues, zero.BytesValues, i)
		setAt(v.Lists, zero.Lists, i)
		if d := t.Dimension(); len(v.Vectors) >= (int(i)+1)*d {
			clear(v.Vectors[int(i)*d : (int(i)+1)*d])
		}
	}
	return nil
}

func setAt[T any](list, zero []T, i int32) {
	if int(i) < len(list) && len(zero) > 0 {
		list[i] = zero[0]
	}
}

// Undrained are the places of the append logs of other servers that may hold reads from before a time, by their word.
func (l *Log) Undrained(ctx context.Context, before time.Time) ([]string, error) {
	rows, err := l.pool.Query(ctx, `SELECT place FROM headwater.read_log_writer WHERE drained_at < $1 AND writer <> $2 ORDER BY place`, before, l.log.Writer())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
