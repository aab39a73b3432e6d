package offline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Rows of a history that ended are collected up to a horizon, a sequence that never goes back. The horizon is raised before a row
// goes, in a transaction of its own: from there on whoever wants to read the view at a sequence before it is refused, unless
// a dataset reads it there, whose rows stay. So nobody reads a history that misses a row, wherever a collection is stopped.

// Collected is what a collection did, or would do, to the history of a view version.
type Collected struct {
	View *feature.ViewVersion
	// Horizon is the first sequence that can be read whatever datasets there are.
	Horizon int64
	// Rows are gone; Protected ended by the horizon, and stay for datasets.
	Rows, Protected int64
}

// endedKey is the order in which rows are collected, and the key of the index that has those alone which ended.
var endedKey = []string{"seq_to", "entity_key", "event_time", "available_at", "seq_from"}

// indexEnded makes the index that a collection finds rows by that ended, if the history has none: a pass over it that a
// collection without the index makes too, and more than once. Rows that are live are not in it, so that a load costs the same, and
// histories of which nothing is collected do without. Nobody writes while the view's lease is held, and reading goes on.
func indexEnded(ctx context.Context, conn *pgx.Conn, v *feature.ViewVersion, fence Fence) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := fence(ctx, tx); err != nil {
			return err
		}
		var has bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_index WHERE indrelid = $1::text::regclass AND indpred IS NOT NULL)`, historyTable(v)).Scan(&has)
		if err != nil || has {
			return err
		}
		_, err = tx.Exec(ctx, fmt.Sprintf("CREATE INDEX ON %s (%s) WHERE seq_to < %d", historyTable(v), quoteAll("", endedKey), int64(SeqLive)))
		return err
	})
}

// collectBatch is how many rows are deleted in one transaction.
const collectBatch = 10_000

// HorizonAt is up to which sequence rows may be collected that ended at a time or before: the last one published by then, or one
// before it for what is not done with them: runs that have a plan and have not ended, and rows that the online store has not
// taken.
func HorizonAt(ctx context.Context, q database.Querier, viewID int64, at time.Time) (horizon int64, err error) {
	err = q.QueryRow(ctx, `
		SELECT greatest(s.horizon_seq, least(
			(SELECT coalesce(max(p.seq), 0) FROM headwater.publish_log p WHERE p.view_id = s.view_id AND p.published_at <= $2),
			s.published_seq,
			(SELECT min((r.plan->'marks'->'views'->>(s.view_id::text))::bigint) FROM headwater.run r
				WHERE r.state IN ('queued', 'running') AND r.plan->'marks'->'views' ? (s.view_id::text)),
			(SELECT min((r.plan->>'after')::bigint) FROM headwater.run r
				WHERE r.view_id = s.view_id AND r.state IN ('queued', 'running') AND r.plan IS NOT NULL),
			(SELECT min(r.seq) - 1 FROM headwater.run r
				WHERE r.view_id = s.view_id AND r.state = 'published' AND r.online_state IN ('pending', 'failed'))))
		FROM headwater.view_state s WHERE s.view_id = $1`, viewID, at).Scan(&horizon)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return horizon, err
}

// collectable is the condition on rows h of a view version's history that they may go at a horizon, and protected that on
// those of them that a dataset reads.
func collectable(v *feature.ViewVersion, horizon int64) (where, protected string) {
	return fmt.Sprintf("h.seq_to <= %d", horizon), fmt.Sprintf("EXISTS (SELECT FROM headwater.dataset_view d WHERE d.view_id = %d "+
		"AND h.seq_from <= d.seq AND d.seq < h.seq_to)", v.ID)
}

// CountCollectable says what Collect would do.
func CountCollectable(ctx context.Context, q database.Querier, v *feature.ViewVersion, horizon int64) (*Collected, error) {
	c := &Collected{View: v, Horizon: horizon}
	where, protected := collectable(v, horizon)
	err := q.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FILTER (WHERE NOT p), count(*) FILTER (WHERE p) FROM (SELECT %s AS p FROM %s h WHERE %s) h",
		protected, historyTable(v), where)).Scan(&c.Rows, &c.Protected)
	return c, err
}

// Collect raises the horizon of a view version and deletes the rows that ended by it and that no dataset reads, in transactions
// of a bounded number of rows on conn, each held to fence. The caller holds the view's lease. Stopped anywhere it leaves what
// can be read as it was, and the next one goes on.
func Collect(ctx context.Context, conn *pgx.Conn, v *feature.ViewVersion, horizon int64, fence Fence) (*Collected, error) {
	return collect(ctx, conn, v, horizon, collectBatch, fence)
}

func collect(ctx context.Context, conn *pgx.Conn, v *feature.ViewVersion, horizon int64, batch int, fence Fence) (*Collected, error) {
	c := &Collected{View: v}
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := fence(ctx, tx); err != nil {
			return err
		}
		// Whoever commits a dataset read the horizon under a lock: it is committed before this, and protects its rows, or it
		// sees the new one.
		return tx.QueryRow(ctx, `UPDATE headwater.view_state SET horizon_seq = greatest(horizon_seq, $2) WHERE view_id = $1 RETURNING horizon_seq`,
			v.ID, horizon).Scan(&c.Horizon)
	})
	if err != nil {
		return nil, err
	}
	if err := indexEnded(ctx, conn, v, fence); err != nil {
		return nil, err
	}
	where, protected := collectable(v, c.Horizon)
	var same, last []string
	for _, name := range endedKey {
		same = append(same, fmt.Sprintf("h.%[1]s = g.%[1]s", name))
		last = append(last, name+" DESC")
	}
	after := ""
	var entity, event, available string
	var from, to int64
	for n := int64(batch); n == int64(batch); {
		query := fmt.Sprintf(`
			WITH g AS (SELECT %[2]s FROM %[1]s h WHERE %[3]s AND NOT %[4]s%[5]s ORDER BY %[2]s LIMIT %[6]d),
			gone AS (DELETE FROM %[1]s h USING g WHERE %[7]s)
			SELECT count(*) OVER (), seq_to, entity_key, event_time::text, available_at::text, seq_from FROM g ORDER BY %[8]s LIMIT 1`,
			historyTable(v), quoteAll("", endedKey), where, protected, after, batch, strings.Join(same, " AND "), strings.Join(last, ", "))
		var args []any
		if after != "" {
			args = []any{to, entity, event, available, from}
		}
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if err := fence(ctx, tx); err != nil {
				return err
			}
			err := tx.QueryRow(ctx, query, args...).Scan(&n, &to, &entity, &event, &available, &from)
			if errors.Is(err, pgx.ErrNoRows) {
				n, err = 0, nil
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		c.Rows += n
		after = fmt.Sprintf(` AND (%s) > ($1::bigint, $2::text COLLATE "C", $3::text::timestamptz, $4::text::timestamptz, $5::bigint)`,
			quoteAll("h.", endedKey))
	}
	err = conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM %s h WHERE %s", historyTable(v), where)).Scan(&c.Protected)
	return c, err
}

// Horizon is the first sequence of a view version that can be read whatever datasets there are.
func Horizon(ctx context.Context, q database.Querier, viewID int64) (horizon int64, err error) {
	err = q.QueryRow(ctx, `SELECT horizon_seq FROM headwater.view_state WHERE view_id = $1`, viewID).Scan(&horizon)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return horizon, err
}

// Readable reports whether a view version can be read at a sequence: it is not before the horizon, or a dataset reads it there.
// With hold, that stays so until the end of the transaction: whoever records there that a dataset reads the view protects it.
func Readable(ctx context.Context, q database.Querier, viewID, seq int64, hold bool) (readable bool, horizon int64, err error) {
	lock := ""
	if hold {
		lock = " FOR SHARE"
	}
	err = q.QueryRow(ctx, `SELECT horizon_seq FROM headwater.view_state WHERE view_id = $1`+lock, viewID).Scan(&horizon)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return true, 0, nil
	case err != nil:
		return false, 0, err
	case seq == 0 || seq >= horizon:
		// Nothing begins at sequence 0.
		return true, horizon, nil
	}
	var found int
	err = q.QueryRow(ctx, `SELECT 1 FROM headwater.dataset_view WHERE view_id = $1 AND seq = $2 LIMIT 1`+lock, viewID, seq).Scan(&found)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, horizon, nil
	}
	return err == nil, horizon, err
}

// CheckReadable refuses to read view versions as of sequences whose history was collected, in
// one message for all. hold is that of Readable.
func CheckReadable(ctx context.Context, q database.Querier, views []AsOf, hold bool) error {
	var lines []string
	var latest int64
	seen := map[int64]bool{}
	for _, v := range views {
		if seen[v.View.ID] {
			continue
		}
		seen[v.View.ID] = true
		ok, horizon, err := Readable(ctx, q, v.View.ID, v.Seq, hold)
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		lines = append(lines, fmt.Sprintf("view %[1]s: its history before run %[1]s/%[2]d was collected, and run %[1]s/%[3]d was asked for", v.View.Ref(), horizon, v.Seq))
		var position int64
		err = q.QueryRow(ctx, `SELECT position FROM headwater.publish_log WHERE view_id = $1 AND seq = $2`, v.View.ID, horizon).Scan(&position)
		if err != nil {
			return err
		}
		latest = max(latest, position)
	}
	if len(lines) == 0 {
		return nil
	}
	return fault.New(fault.FailedPrecondition, "%s; ask for a later state, --as-of pos:%d or after, or fetch a dataset that was built then",
		strings.Join(lines, "\n"), latest)
}
