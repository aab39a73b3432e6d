package materialize

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
)

// Redis acknowledges a write before its replicas have it, and before it is on a disk: a replica that takes over, or a process that is
// started again, may lack what was acknowledged shortly before. Every server looks every few seconds which processes have the data.
// When they are others, what was loaded lately of each view version is noted to be loaded again, in the transaction that
// notes the new ones; any server does it, and doing it twice changes nothing.

const (
	// storeEvery is how often it is looked which Redis has the data.
	storeEvery = 2 * time.Second
	// seenEvery is how often it is noted that it is still the same.
	seenEvery = 30 * time.Second
	// repairWindow is how far back from when the former Redis was last seen what was loaded is loaded again: far longer than a
	// replica may be behind, or a log on a disk.
	repairWindow = 15 * time.Minute
)

// stepRepaired is the step of a repair before it is noted that it is done.
const stepRepaired = "repaired"

// followStore notices that another Redis has the data, and loads again what it may lack.
func (m *Materializer) followStore(ctx context.Context) error {
	views, err := m.loader.noticeStore(ctx)
	if err != nil {
		return err
	}
	if views > 0 {
		m.config.Log.WarnContext(ctx, "another Redis process has the online store, and may lack what the former one acknowledged: "+
			"what was loaded lately is loaded again", "views", views, "window", repairWindow)
	}
	return m.loader.repairAll(ctx)
}

// watchStore is followStore, silent while Redis is away: reads and loads say so.
func (m *Materializer) watchStore(ctx context.Context) error {
	err := m.followStore(ctx)
	if fault.ReasonOf(err) == fault.RedisUnavailable {
		return nil
	}
	return err
}

// noticeStore notes which Redis has the data, and returns of how many view versions it may lack something.
func (ld *loader) noticeStore(ctx context.Context) (views int64, err error) {
	store, err := ld.writer.Store(ctx)
	if err != nil {
		return 0, err
	}
	err = pgx.BeginFunc(ctx, ld.pool, func(tx pgx.Tx) error {
		now := ld.now()
		var known string
		var seen time.Time
		err := tx.QueryRow(ctx, `SELECT store, seen_at FROM headwater.online_store`).Scan(&known, &seen)
		if err == nil && known == store && now.Sub(seen) < seenEvery {
			return nil
		}
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		// Another server may notice the same: the first one to come here notes it.
		_, err = tx.Exec(ctx, `INSERT INTO headwater.online_store (store, seen_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, store, now)
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT store, seen_at FROM headwater.online_store FOR UPDATE`).Scan(&known, &seen)
		if err != nil {
			return err
		}
		if known != store {
			tag, err := tx.Exec(ctx, `
				INSERT INTO headwater.online_repair AS r (view_id, noticed_at, since)
				SELECT view_id, $1, $2 FROM headwater.view_state WHERE published_seq > 0
				ON CONFLICT (view_id) DO UPDATE SET noticed_at = excluded.noticed_at, ended_at = NULL, entities = 0,
					since = CASE WHEN r.ended_at IS NULL THEN least(r.since, excluded.since) ELSE excluded.since END`,
				now, seen.Add(-repairWindow))
			if err != nil {
				return err
			}
			views = tag.RowsAffected()
		}
		_, err = tx.Exec(ctx, `UPDATE headwater.online_store SET store = $1, seen_at = $2`, store, now)
		return err
	})
	return views, err
}

// repair is what is to be loaded again of a view version.
type repair struct {
	ViewID           int64
	NoticedAt, Since time.Time
}

// repairAll does the repairs that are to be done, but for those of view versions of which another process has the load lock: that one
// loads, or repairs, and they are looked at again.
func (ld *loader) repairAll(ctx context.Context) error {
	rows, err := ld.pool.Query(ctx, `SELECT view_id, noticed_at, since FROM headwater.online_repair WHERE ended_at IS NULL ORDER BY view_id`)
	if err != nil {
		return err
	}
	todo, err := pgx.CollectRows(rows, pgx.RowToStructByPos[repair])
	if err != nil || len(todo) == 0 {
		return err
	}
	for _, r := range todo {
		view := ld.view(r.ViewID)
		if view == nil {
			continue
		}
		if err := ld.repair(ctx, view, r); err != nil {
			return err
		}
	}
	return nil
}

func (ld *loader) repair(ctx context.Context, view *feature.ViewVersion, r repair) error {
	conn, err := connect(ctx, ld.pool)
	if err != nil {
		return err
	}
	// The lock ends with it.
	defer conn.Close(context.WithoutCancel(ctx))
	var alone bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1, $2)`, loadClass, int32(view.ID)).Scan(&alone); err != nil || !alone {
		return err
	}
	state, err := getViewState(ctx, conn, view.ID)
	if err != nil {
		return err
	}
	l := &loading{loader: ld, conn: conn, view: view, state: state, withdrew: state.PublishedSeq}
	if l.recent, err = recentOf(ctx, conn, view, r.Since); err != nil {
		return err
	}
	if err := l.run(ctx); err != nil {
		return err
	}
	if err := ld.reached(stepRepaired); err != nil {
		return err
	}
	// One that was noticed meanwhile is not done.
	_, err = conn.Exec(ctx, `
		UPDATE headwater.online_repair SET ended_at = $3, entities = $4 WHERE view_id = $1 AND noticed_at = $2 AND ended_at IS NULL`,
		view.ID, r.NoticedAt, ld.now(), l.progress.written+l.progress.stale)
	return err
}

// recentOf is what was loaded of a view version since a time. nil: all of it.
func recentOf(ctx context.Context, q database.Querier, view *feature.ViewVersion, since time.Time) (*offline.Recent, error) {
	var whole bool
	var seq *int64
	err := q.QueryRow(ctx, `
		SELECT coalesce(s.online_rebuilt_at >= $2, false),
			(SELECT min(r.seq) FROM headwater.run r WHERE r.view_id = $1 AND r.online_loaded_at >= $2)
		FROM headwater.view_state s WHERE s.view_id = $1`, view.ID, since).Scan(&whole, &seq)
	if err != nil || whole {
		return nil, err
	}
	recent := &offline.Recent{After: feature.TimeOf(since)}
	if seq != nil {
		recent.Seq = *seq
	}
	return recent, nil
}
