package materialize

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

// Rows whose event time or availability lies ahead become current without a run. Each load notes, of each entity of which
// it saw such rows, when the next one does, in the transaction that notes its progress. Every server looks each second for
// entities that are due and that no other is at work on, and loads them.
//
// An entry only says when to look again. So one of a row that was withdrawn does no harm, and one that a later load
// replaced is that load's.

const (
	// dueEvery is how often entities that are due are looked for.
	dueEvery = time.Second
	// dueBatch is how many are loaded in one transaction.
	dueBatch = 1000
	// dueLater is when an entity is looked at again whose view version is not in the catalog yet.
	dueLater = time.Minute
)

// insertDue notes when entities are due, in the place of what is noted of them.
func insertDue(ctx context.Context, tx pgx.Tx, viewID int64, due dueKeys) error {
	if len(due.keys) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO headwater.online_due (view_id, entity_key, due) SELECT $1, * FROM unnest($2::text[], $3::timestamptz[])
		ON CONFLICT (view_id, entity_key) DO UPDATE SET due = excluded.due`, viewID, due.keys, due.times)
	return err
}

// followDue loads what is due, and what is left of entities that lost rows to an erasure, until ctx ends. While Redis or Postgres is away nothing is lost: what is due stays noted.
func (ld *loader) followDue(ctx context.Context, log *slog.Logger) {
	failing := false
	for {
		err := errors.Join(ld.eraseAllLeft(ctx), ld.loadAllDue(ctx))
		if err != nil && ctx.Err() == nil && !failing {
			log.WarnContext(ctx, "loading rows that became current, and what an erasure left; it is tried again each second", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(dueEvery):
		}
	}
}

// loadAllDue loads what is due now.
func (ld *loader) loadAllDue(ctx context.Context) error {
	for {
		if n, err := ld.loadDue(ctx); err != nil || n < dueBatch {
			return err
		}
	}
}

type dueEntity struct {
	ViewID int64
	Key    string
}

// loadDue loads entities that are due, at most dueBatch of them, and returns how many there were. Their entries are locked
// meanwhile: other servers pass them over, and a load that saw a later row of one waits to note it.
func (ld *loader) loadDue(ctx context.Context) (n int, err error) {
	err = pgx.BeginFunc(ctx, ld.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT view_id, entity_key FROM headwater.online_due WHERE due <= $1
			ORDER BY due, view_id, entity_key LIMIT $2 FOR UPDATE SKIP LOCKED`, ld.now(), dueBatch)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[dueEntity])
		if err != nil {
			return err
		}
		n = len(found)
		keys := map[int64][]string{}
		for _, e := range found {
			keys[e.ViewID] = append(keys[e.ViewID], e.Key)
		}
		for id, keys := range keys {
			if err := ld.loadKeys(ctx, tx, id, keys); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// loadKeys brings entities of one view version up to now, and notes when they are due again.
func (ld *loader) loadKeys(ctx context.Context, tx pgx.Tx, viewID int64, keys []string) error {
	now, view := ld.now(), ld.view(viewID)
	if view == nil {
		_, err := tx.Exec(ctx, `UPDATE headwater.online_due SET due = $3 WHERE view_id = $1 AND entity_key = ANY ($2)`,
			viewID, keys, now.Add(dueLater))
		return err
	}
	// Read after the entries were locked, so that it is not older than the state that a load had that noted them.
	state, err := getViewState(ctx, tx, viewID)
	if err != nil {
		return err
	}
	current := offline.Current{View: view, Seq: state.PublishedSeq, Now: feature.TimeOf(now)}
	entities, err := current.Of(ctx, tx, keys)
	if err != nil {
		return err
	}
	pack := &packer{view: view, layout: online.NewLayout(view.Stored()), state: state, withdrew: state.PublishedSeq}
	var items []online.Item
	var due dueKeys
	var newest *feature.Time
	for _, key := range keys {
		e := entities[key]
		if e == nil {
			continue
		}
		packed, err := pack.append(nil, e)
		if err != nil {
			return err
		}
		items = append(items, online.Item{Entity: view.Entity, Key: key, ViewID: viewID, Packed: packed})
		due.add(e)
		if e.Winner.Status == read.Present {
			newest = newer(newest, e.Winner.EventTime)
		}
	}
	if _, err := ld.writer.Write(ctx, items); err != nil {
		return err
	}
	if err := ld.reached(stepDueBatch); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM headwater.online_due WHERE view_id = $1 AND entity_key = ANY ($2)`, viewID, keys)
	if err != nil {
		return err
	}
	if err := freshen(ctx, tx, viewID, newest); err != nil {
		return err
	}
	return insertDue(ctx, tx, viewID, due)
}
