package materialize

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

// loadBatch is how many rows are offered to Redis at once.
const loadBatch = 4096

// loader brings the online store up to published runs.
type loader struct {
	pool   *pgxpool.Pool
	writer *online.Writer
	view   func(id int64) *feature.ViewVersion
	now    func() time.Time
}

// loaded counts what was offered to Redis: each row was written or stale, and some of them were tombstones.
type loaded struct{ written, stale, tombstones int64 }

// load computes, for each entity that the run touched, the winner at the newest published sequence and now, and offers it
// to Redis, or a tombstone where none is left. Doing it twice, or after a later run was loaded, changes nothing.
func (ld *loader) load(ctx context.Context, id int64) error {
	r, err := Get(ctx, ld.pool, id)
	if err != nil || r.State != Published || r.OnlineState == OnlineLoaded {
		return err
	}
	view := ld.view(r.ViewID)
	if view == nil {
		return fmt.Errorf("view version %d of run %d is not in the catalog yet", r.ViewID, id)
	}
	return ld.alone(ctx, view, func(conn *pgx.Conn) error {
		progress, stop := report(ctx, ld.pool, id)
		defer stop()
		progress.Phase("online load", 0)
		state, err := getViewState(ctx, conn, r.ViewID)
		if err != nil {
			return err
		}
		n, err := ld.offer(ctx, conn, view, state, r.Seq, r.Seq, progress)
		if err != nil {
			return err
		}
		if err := cover(ctx, conn, view, state); err != nil {
			return err
		}
		_, err = conn.Exec(ctx, `
			UPDATE headwater.run SET online_state = 'loaded', online_written = $2, online_stale = $3, online_tombstones = $4
			WHERE id = $1`, id, n.written, n.stale, n.tombstones)
		return err
	})
}

// Rebuild is what loading a view version again did.
type Rebuild struct {
	View *feature.ViewVersion
	// Epoch is the one that begins with it, Seq the published sequence that was loaded.
	Epoch, Seq                 int64
	Written, Stale, Tombstones int64
}

// rebuild offers the winner at the newest published sequence and now of every entity of a view version, in a new epoch: it
// replaces whatever Redis holds, also rows that claim to be of a later sequence. nil when no run was published.
func (ld *loader) rebuild(ctx context.Context, view *feature.ViewVersion) (*Rebuild, error) {
	var result *Rebuild
	err := ld.alone(ctx, view, func(conn *pgx.Conn) error {
		// Committed before the first row of the new epoch is offered: a load that comes after it is of this epoch too.
		_, err := conn.Exec(ctx, `UPDATE headwater.view_state SET online_epoch = online_epoch + 1
			WHERE view_id = $1 AND published_seq > 0`, view.ID)
		if err != nil {
			return err
		}
		state, err := getViewState(ctx, conn, view.ID)
		if err != nil || state.PublishedSeq == 0 {
			return err
		}
		n, err := ld.offer(ctx, conn, view, state, 0, state.PublishedSeq, nil)
		if err == nil {
			err = cover(ctx, conn, view, state)
		}
		result = &Rebuild{
			View: view, Epoch: state.OnlineEpoch, Seq: state.PublishedSeq,
			Written: n.written, Stale: n.stale, Tombstones: n.tombstones,
		}
		return err
	})
	return result, err
}

// cover notes up to when the online rows of a view with a hop are known, now that those of state are loaded.
func cover(ctx context.Context, conn *pgx.Conn, view *feature.ViewVersion, state viewState) error {
	if view.Aggregation == nil || len(state.Covered) == 0 {
		return nil
	}
	_, err := conn.Exec(ctx, `
		INSERT INTO headwater.online_coverage AS c (view_id, covered_to) VALUES ($1, $2)
		ON CONFLICT (view_id) DO UPDATE SET covered_to = greatest(c.covered_to, excluded.covered_to)`,
		view.ID, state.Covered.Hull().End.Time())
	return err
}

// OnlineCoverage is up to when the online rows are known, for each view version with a hop, by its id: its values at a
// point of the grid after that are stale.
func OnlineCoverage(ctx context.Context, q database.Querier) (map[int64]feature.Time, error) {
	rows, err := q.Query(ctx, `SELECT view_id, covered_to FROM headwater.online_coverage`)
	if err != nil {
		return nil, err
	}
	covered := map[int64]feature.Time{}
	var id int64
	var to time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &to}, func() error {
		covered[id] = feature.TimeOf(to)
		return nil
	})
	return covered, err
}

// alone calls do on a connection that holds the view version's load lock: a second load would do the first one's work
// again. The lock ends with the connection.
func (ld *loader) alone(ctx context.Context, view *feature.ViewVersion, do func(conn *pgx.Conn) error) error {
	conn, err := connect(ctx, ld.pool)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1, $2)`, loadClass, int32(view.ID)); err != nil {
		return err
	}
	return do(conn)
}

// offer writes the winners of the entities that run touched, or of all for 0, to Redis. withdrew is the run that tombstones
// name.
func (ld *loader) offer(ctx context.Context, conn *pgx.Conn, view *feature.ViewVersion, state viewState, touched, withdrew int64,
	progress *reporter,
) (n loaded, err error) {
	layout := online.NewLayout(view.Stored())
	items := make([]online.Item, 0, loadBatch)
	flush := func() error {
		result, err := ld.writer.Write(ctx, items)
		n.written += result.Written
		n.stale += result.Stale
		progress.Rows(int64(len(items)))
		items = items[:0]
		return err
	}
	asOf := offline.AsOf{View: view, Seq: state.PublishedSeq}
	err = offline.TouchedWinners(ctx, conn, asOf, touched, feature.TimeOf(ld.now()), func(key string, w *read.Winner) error {
		item := online.Item{Entity: view.Entity, Key: key, ViewID: view.ID}
		var err error
		if w.Status == read.Present {
			item.Packed, err = layout.Append(nil, online.Header{
				Epoch: state.OnlineEpoch, Seq: state.PublishedSeq, EventTime: w.EventTime, AvailableAt: w.AvailableAt,
				RunSeq: w.RunSeq,
			}, w.Values)
		} else {
			n.tombstones++
			item.Packed, err = online.AppendTombstone(nil, state.OnlineEpoch, state.PublishedSeq, withdrew)
		}
		if err != nil {
			return err
		}
		items = append(items, item)
		if len(items) == loadBatch {
			return flush()
		}
		return nil
	})
	if err == nil && len(items) > 0 {
		err = flush()
	}
	return n, err
}
