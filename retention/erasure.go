package retention

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// Erasure is the record of an entity that was erased, or is being.
type Erasure struct {
	ID, Entity string
	// KeyHash tells whether two erasures are of one entity.
	KeyHash   []byte
	Reason    string
	Principal string
	StartedAt time.Time
	// DoneAt is nil while it is not done.
	DoneAt *time.Time
	Erased []Erased
	// Touched are the runs and datasets whose records hold old and new digests since: `run:VIEW@VERSION/SEQ` and `dataset:ID`.
	Touched []string
	// Recomputing are the ids of the runs that were queued, nil before any were.
	Recomputing []int64
}

// Erased is what was erased in one place.
type Erased struct {
	// Place is `landing`, `history` and so on, Name a source, a view version or a dataset.
	Place, Name string
	Rows        int64
	Note        string
	// First and Last are the event times, both within, between which is to be computed anew what was made of the rows. nil: nothing is.
	First, Last *time.Time
}

// execer is a pool, a connection or a transaction.
type execer interface {
	database.Querier
	Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error)
}

// HashKey is the keyed hash of an entity, under the database's key, which is made when there is none.
func HashKey(ctx context.Context, q execer, entity, key string) ([]byte, error) {
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return nil, err
	}
	if _, err := q.Exec(ctx, `INSERT INTO headwater.erasure_key (key) VALUES ($1) ON CONFLICT DO NOTHING`, fresh); err != nil {
		return nil, err
	}
	var secret []byte
	if err := q.QueryRow(ctx, `SELECT key FROM headwater.erasure_key`).Scan(&secret); err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(entity))))
	mac.Write([]byte(entity))
	mac.Write([]byte(key))
	return mac.Sum(nil), nil
}

// lockClass is an advisory lock of its own.
const lockClass = 0x48574552 // "HWER"

// Lock has conn alone erase, once no other does. It ends with the connection.
func Lock(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1, 0)`, lockClass)
	return err
}

// Find is the erasure of an entity that is under way, or else the last one that is done. nil: there is none.
func Find(ctx context.Context, q database.Querier, entity string, keyHash []byte) (*Erasure, error) {
	list, err := list(ctx, q, ` WHERE e.entity = $1 AND e.key_hash = $2 ORDER BY e.done_at IS NULL DESC, e.number DESC LIMIT 1`, entity, keyHash)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// Begin records that an erasure is under way.
func Begin(ctx context.Context, q execer, e *Erasure) error {
	e.ID = "er_" + strings.ToLower(rand.Text())
	return q.QueryRow(ctx, `
		INSERT INTO headwater.erasure (id, entity, key_hash, reason, principal, started_at) VALUES ($1, $2, $3, $4, $5, clock_timestamp())
		RETURNING started_at`, e.ID, e.Entity, e.KeyHash, e.Reason, e.Principal).Scan(&e.StartedAt)
}

// Record notes what was erased in a place, in the transaction that erases it there, with what was before.
func Record(ctx context.Context, q execer, erasure string, done ...Erased) error {
	for _, d := range done {
		_, err := q.Exec(ctx, `
			INSERT INTO headwater.erasure_place AS p (erasure_id, place, name, rows, note, first, last) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (erasure_id, place, name) DO UPDATE SET rows = p.rows + excluded.rows,
				note = CASE WHEN excluded.note = '' THEN p.note ELSE excluded.note END,
				first = least(p.first, excluded.first), last = greatest(p.last, excluded.last)`,
			erasure, d.Place, d.Name, d.Rows, d.Note, d.First, d.Last)
		if err != nil {
			return err
		}
	}
	return nil
}

// Get reads an erasure that is there.
func Get(ctx context.Context, q database.Querier, id string) (*Erasure, error) {
	list, err := list(ctx, q, ` WHERE e.id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("the record of the erasure is gone")
	}
	return list[0], nil
}

// List reads all erasures, newest first.
func List(ctx context.Context, q database.Querier) ([]*Erasure, error) {
	return list(ctx, q, ` ORDER BY e.number DESC`)
}

func list(ctx context.Context, q database.Querier, where string, args ...any) ([]*Erasure, error) {
	rows, err := q.Query(ctx, `
		SELECT e.id, e.entity, e.key_hash, e.reason, e.principal, e.started_at, e.done_at, e.recomputing,
			array(SELECT 'run:' || d.name || '@' || d.version || '/' || r.seq FROM headwater.run_erasure x JOIN headwater.run r ON r.id = x.run_id
				JOIN headwater.definition d ON d.id = r.view_id WHERE x.erasure_id = e.id ORDER BY d.name, d.version, r.seq)
			|| array(SELECT 'dataset:' || x.dataset_id FROM headwater.dataset_erasure x WHERE x.erasure_id = e.id ORDER BY 1)
		FROM headwater.erasure e`+where, args...)
	if err != nil {
		return nil, err
	}
	erasures, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Erasure, error) {
		var e Erasure
		err := row.Scan(&e.ID, &e.Entity, &e.KeyHash, &e.Reason, &e.Principal, &e.StartedAt, &e.DoneAt, &e.Recomputing, &e.Touched)
		return &e, err
	})
	if err != nil {
		return nil, err
	}
	for _, e := range erasures {
		rows, err := q.Query(ctx, `
			SELECT place, name, rows, note, first, last FROM headwater.erasure_place WHERE erasure_id = $1 ORDER BY place COLLATE "C", name COLLATE "C"`, e.ID)
		if err != nil {
			return nil, err
		}
		if e.Erased, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Erased]); err != nil {
			return nil, err
		}
	}
	return erasures, nil
}

// End records that an erasure is done.
func End(ctx context.Context, q execer, id string) error {
	_, err := q.Exec(ctx, `UPDATE headwater.erasure SET done_at = clock_timestamp() WHERE id = $1 AND done_at IS NULL`, id)
	return err
}

// Head is the number of times that datasets were looked through so far.
func Head(ctx context.Context, q database.Querier) (number int64, err error) {
	err = q.QueryRow(ctx, `SELECT number FROM headwater.erasure_head`).Scan(&number)
	return number, err
}

// RaiseHead has builds of datasets that are under way be refused. When it returns, each of them is refused or has committed.
func RaiseHead(ctx context.Context, q execer) error {
	_, err := q.Exec(ctx, `UPDATE headwater.erasure_head SET number = number + 1`)
	return err
}

// HoldHead is Head in a transaction before whose end it stays what it is.
func HoldHead(ctx context.Context, tx pgx.Tx) (number int64, err error) {
	err = tx.QueryRow(ctx, `SELECT number FROM headwater.erasure_head FOR SHARE`).Scan(&number)
	return number, err
}

// OfRun is what erasures did to a run, the oldest first. A digest is zero where it is not known.
type OfRun struct {
	ID, Principal, Reason string
	Time                  time.Time
	Rows                  int64
	Old, New              feature.Digest
	// Known says that New is.
	Known bool
}

// OfRuns reads what erasures did to runs, by run.
func OfRuns(ctx context.Context, q database.Querier, runs []int64) (map[int64][]OfRun, error) {
	rows, err := q.Query(ctx, `
		SELECT x.run_id, e.id, e.principal, e.reason, e.started_at, x.rows, x.old_digest, x.new_digest
		FROM headwater.run_erasure x JOIN headwater.erasure e ON e.id = x.erasure_id WHERE x.run_id = ANY ($1) ORDER BY e.number`, runs)
	if err != nil {
		return nil, err
	}
	found := map[int64][]OfRun{}
	var run int64
	var o OfRun
	var before, after []byte
	_, err = pgx.ForEachRow(rows, []any{&run, &o.ID, &o.Principal, &o.Reason, &o.Time, &o.Rows, &before, &after}, func() error {
		one := o
		copy(one.Old[:], before)
		copy(one.New[:], after)
		one.Known = after != nil
		found[run] = append(found[run], one)
		return nil
	})
	return found, err
}

// TouchRun records what an erasure did to a run: how many of the rows that it produced are gone, and the sum of their hashes. known
// says that these are all that the run produced of the entity. Rows of the same erasure add up.
func TouchRun(ctx context.Context, q execer, erasure string, run, rows int64, gone feature.Digest, known bool) error {
	var now []byte
	err := q.QueryRow(ctx, `
		SELECT CASE WHEN x.run_id IS NULL THEN r.digest ELSE x.new_digest END FROM headwater.run r LEFT JOIN LATERAL (
			SELECT x.run_id, x.new_digest FROM headwater.run_erasure x JOIN headwater.erasure e ON e.id = x.erasure_id
			WHERE x.run_id = r.id ORDER BY e.number DESC LIMIT 1) x ON true
		WHERE r.id = $1`, run).Scan(&now)
	if err != nil {
		return err
	}
	var left []byte
	if now != nil && known {
		var sum feature.SetDigest
		sum.AddDigest(feature.Digest(now))
		sum.SubtractDigest(gone)
		d := sum.Digest()
		left = d[:]
	}
	_, err = q.Exec(ctx, `
		INSERT INTO headwater.run_erasure AS x (run_id, erasure_id, rows, old_digest, new_digest) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (run_id, erasure_id) DO UPDATE SET rows = x.rows + excluded.rows, new_digest = excluded.new_digest`, run, erasure, rows, now, left)
	return err
}

// HashText is a keyed hash for people.
func (e *Erasure) HashText() string { return hex.EncodeToString(e.KeyHash) }
