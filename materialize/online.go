package materialize

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
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
	conn, err := connect(ctx, ld.pool)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// One load per view version at a time: a second would do the first one's work again. It ends with the connection.
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1, $2)`, loadClass, int32(view.ID)); err != nil {
		return err
	}
	state, err := getViewState(ctx, conn, r.ViewID)
	if err != nil {
		return err
	}

	layout := online.NewLayout(view.Stored())
	var written, stale, tombstones int64
	items := make([]online.Item, 0, loadBatch)
	offer := func() error {
		result, err := ld.writer.Write(ctx, items)
		written += result.Written
		stale += result.Stale
		items = items[:0]
		return err
	}
	asOf := offline.AsOf{View: view, Seq: state.PublishedSeq}
	err = offline.TouchedWinners(ctx, conn, asOf, r.Seq, feature.TimeOf(ld.now()), func(key string, w *read.Winner) error {
		item := online.Item{Entity: view.Entity, Key: key, ViewID: view.ID}
		if w.Status == read.Present {
			item.Packed, err = layout.Append(nil, online.Header{
				Epoch: state.OnlineEpoch, Seq: state.PublishedSeq, EventTime: w.EventTime, AvailableAt: w.AvailableAt,
				RunSeq: w.RunSeq,
			}, w.Values)
		} else {
			tombstones++
			item.Packed, err = online.AppendTombstone(nil, state.OnlineEpoch, state.PublishedSeq, r.Seq)
		}
		if err != nil {
			return err
		}
		items = append(items, item)
		if len(items) == loadBatch {
			return offer()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(items) > 0 {
		if err := offer(); err != nil {
			return err
		}
	}
	_, err = ld.pool.Exec(ctx, `
		UPDATE headwater.run SET online_state = 'loaded', online_written = $2, online_stale = $3, online_tombstones = $4
		WHERE id = $1`, id, written, stale, tombstones)
	return err
}
