package server

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
)

const (
	// headEvery is how often the publish log is looked at.
	headEvery = time.Second
	// firstPosition is that of the first publication.
	firstPosition = 1
)

// head follows the newest position of the publish log, up to when the online rows of aggregations are known, and how new what is
// online is, so that a read can tell without asking Postgres. While Postgres is away they stay where they were.
type head struct {
	position atomic.Int64
	// covered is by the id of the view version; see materialize.OnlineCoverage.
	covered atomic.Pointer[map[int64]feature.Time]
	// fresh is by the id of the view version; see materialize.OnlineFreshness.
	fresh   atomic.Pointer[map[int64]materialize.Freshness]
	stop    context.CancelFunc
	stopped chan struct{}
}

func followHead(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) (*head, error) {
	h := &head{stopped: make(chan struct{})}
	if err := h.look(ctx, pool); err != nil {
		return nil, err
	}
	ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(h.stopped)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(headEvery):
			}
			if err := h.look(ctx, pool); err != nil {
				log.DebugContext(ctx, "reading the publish log's head", "error", err)
			}
		}
	}()
	return h, nil
}

func (h *head) look(ctx context.Context, pool *pgxpool.Pool) error {
	position, err := offline.Head(ctx, pool)
	if err != nil {
		return err
	}
	covered, err := materialize.OnlineCoverage(ctx, pool)
	if err != nil {
		return err
	}
	fresh, err := materialize.OnlineFreshness(ctx, pool)
	if err != nil {
		return err
	}
	h.position.Store(position)
	h.covered.Store(&covered)
	h.fresh.Store(&fresh)
	return nil
}

// isStale reports whether what is online of a view version may not be its values at now: those of the grid point before now
// were not computed yet.
func (h *head) isStale(v *feature.ViewVersion, now feature.Time) bool {
	if v.Aggregation == nil {
		return false
	}
	return now.Floor(v.Aggregation.Hop) > (*h.covered.Load())[v.ID]
}

func (h *head) close() {
	h.stop()
	<-h.stopped
}
