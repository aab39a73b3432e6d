package materialize

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/retention"
)

// Redis loses an entity after the history has: a row that is gone from Redis and not from the history would come back with the next load.
// Which entities those are is noted in the transaction that takes the rows, since nothing else tells it afterwards; who finds the note, the
// erasure itself or any server that looks for what is due, takes them out of Redis and loads what is left of them.

// StepErasedOnline is the step of an erasure before it is noted that Redis has what is left. stepErasedLeft is the same step of who follows
// the note of an erasure that was broken off.
const (
	StepErasedOnline = "erased online"
	stepErasedLeft   = "erased left"
)

// eraseBatch is how many entities are taken out of Redis in one transaction.
const eraseBatch = 1000

// wholly reports whether the rows of an entity of the view, by its encoded key, are all the erased entity's.
func (e *erasing) wholly(key string) (bool, error) {
	if slices.Contains(e.keys, key) {
		return true, nil
	}
	values, err := e.view.EntityVersion.ParseKey(key)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(e.whole, func(match feature.RowMatch) bool {
		for i, c := range match.Columns {
			at := slices.IndexFunc(e.view.EntityVersion.JoinKeys, func(k feature.Column) bool { return k.Name == c })
			if values[at].Text() != match.Values[i].Text() {
				return false
			}
		}
		return true
	}), nil
}

// countOnline counts the entities among keys that go whole, and of which Redis has a row of the view.
func (m *Materializer) countOnline(ctx context.Context, e *erasing, keys []string) (retention.Erased, error) {
	var whole []string
	for _, key := range keys {
		is, err := e.wholly(key)
		if err != nil {
			return retention.Erased{}, err
		}
		if is {
			whole = append(whole, key)
		}
	}
	rows, err := m.config.Writer.Count(ctx, e.view.Entity, e.view.ID, whole)
	return retention.Erased{Place: placeOnline, Name: e.view.Ref(), Rows: rows}, err
}

// onlineKeys are the entities of a view that go whole and that Redis has, though its history has no row of them any more: rows that ended
// were collected, and their tombstones are still there.
func (m *Materializer) onlineKeys(ctx context.Context, e *erasing) (keys []string, err error) {
	if len(e.whole) == 0 {
		return nil, nil
	}
	var collected bool
	err = m.config.Pool.QueryRow(ctx, `SELECT horizon_seq > 0 FROM headwater.view_state WHERE view_id = $1`, e.view.ID).Scan(&collected)
	if err != nil || !collected {
		return nil, err
	}
	err = m.config.Reader.Keys(ctx, e.view.Entity, func(found []string) error {
		for _, key := range found {
			// What is no key of such an entity is not this one's.
			if is, err := e.wholly(key); err == nil && is {
				keys = append(keys, key)
			}
		}
		return nil
	})
	return keys, err
}

// CountOnline says how many rows of a view version EraseView would take out of Redis.
func (m *Materializer) CountOnline(ctx context.Context, t *retention.Trace, v *feature.ViewVersion) ([]retention.Erased, error) {
	e := newErasing(t, v)
	if e.traced == nil {
		return nil, nil
	}
	keys, err := offline.HistoryKeys(ctx, m.config.Pool, v, e.whole)
	if err != nil {
		return nil, err
	}
	there, err := m.onlineKeys(ctx, e)
	if err != nil {
		return nil, err
	}
	found, err := m.countOnline(ctx, e, withKeys(keys, e.keys, there))
	if err != nil || found.Rows == 0 {
		return nil, err
	}
	return []retention.Erased{found}, nil
}

// leaveOnline leaves a note of the entities that lost rows, and takes away what notes of loads say of them. The caller holds the lock of
// the view's loads.
func (m *Materializer) leaveOnline(ctx context.Context, tx pgx.Tx, erasure string, e *erasing, gone map[string]bool) error {
	if e.traced == nil {
		return nil
	}
	there, err := m.onlineKeys(ctx, e)
	if err != nil {
		return err
	}
	all := withKeys(slices.Collect(maps.Keys(gone)), e.keys, there)
	rows, err := tx.Query(ctx, `INSERT INTO headwater.online_erase (view_id, entity_key) SELECT $1, * FROM unnest($2::text[]) ON CONFLICT DO NOTHING
		RETURNING entity_key`, e.view.ID, all)
	if err != nil {
		return err
	}
	// What was noted before, by an erasure that was broken off, was counted then.
	noted, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	found, err := m.countOnline(ctx, e, noted)
	if err != nil {
		return err
	}
	if _, err := recorded(ctx, tx, erasure, found); err != nil {
		return err
	}
	// Who loads what is due has locked it, and may put it off while this waits: then it is there anew. Once there is nothing, nobody is at work
	// on any of it, and nobody will be.
	for left := true; left; {
		if _, err := tx.Exec(ctx, `DELETE FROM headwater.online_due WHERE view_id = $1 AND entity_key = ANY ($2)`, e.view.ID, all); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.online_due WHERE view_id = $1 AND entity_key = ANY ($2))`, e.view.ID, all).Scan(&left)
		if err != nil {
			return err
		}
	}
	// The newest event time may have been the entity's: the next load looks.
	if _, err := tx.Exec(ctx, `UPDATE headwater.online_freshness SET exact = false WHERE view_id = $1`, e.view.ID); err != nil {
		return err
	}
	// A load that was broken off behind the entity begins anew.
	_, err = tx.Exec(ctx, `
		UPDATE headwater.online_load l SET after_key = NULL, written = 0, stale = 0, tombstones = 0
		FROM headwater.run r WHERE r.id = l.run_id AND r.view_id = $1 AND l.after_key = ANY ($2)`, e.view.ID, all)
	return err
}

// withKeys are the keys of some lists, each once, in order.
func withKeys(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

// eraseLeft takes the entities of a view version that are noted out of Redis, and loads what is left of them. conn holds the lock of the
// view's loads.
func (ld *loader) eraseLeft(ctx context.Context, conn *pgx.Conn, view *feature.ViewVersion, step string) error {
	for more := true; more; {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, `SELECT entity_key FROM headwater.online_erase WHERE view_id = $1 ORDER BY 1 LIMIT $2`, view.ID, eraseBatch)
			if err != nil {
				return err
			}
			keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil || len(keys) == 0 {
				more = false
				return err
			}
			more = len(keys) == eraseBatch
			// What is there is of a later event time than what is left, and would stay.
			if err := ld.writer.Drop(ctx, view.Entity, view.ID, keys); err != nil {
				return err
			}
			if err := ld.loadKeys(ctx, tx, view.ID, keys); err != nil {
				return err
			}
			if err := ld.reached(step); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `DELETE FROM headwater.online_erase WHERE view_id = $1 AND entity_key = ANY ($2)`, view.ID, keys)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eraseAllLeft does so for all view versions of which nobody else is at it.
func (ld *loader) eraseAllLeft(ctx context.Context) error {
	rows, err := ld.pool.Query(ctx, `SELECT DISTINCT view_id FROM headwater.online_erase ORDER BY 1`)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(ids) == 0 {
		return err
	}
	conn, err := connect(ctx, ld.pool)
	if err != nil {
		return err
	}
	// The locks end with it.
	defer conn.Close(context.WithoutCancel(ctx))
	for _, id := range ids {
		view := ld.view(id)
		if view == nil {
			continue
		}
		var alone bool
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1, $2)`, loadClass, int32(id)).Scan(&alone); err != nil {
			return err
		}
		if !alone {
			continue
		}
		if err := ld.eraseLeft(ctx, conn, view, stepErasedLeft); err != nil {
			return err
		}
	}
	return nil
}

// EraseOnline takes the entity out of Redis whole, whatever is left of it there: of views that are no longer known too.
func (m *Materializer) EraseOnline(ctx context.Context, erasure string, t *retention.Trace) error {
	n, err := m.config.Writer.Erase(ctx, t.Entity.Name, []string{t.Key})
	if err != nil || n == 0 {
		return err
	}
	return retention.Record(ctx, m.config.Pool, erasure, retention.Erased{Place: placeOnline, Name: t.Entity.Name, Rows: n})
}
