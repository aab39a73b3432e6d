package server

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/offline"
)

// headEvery is how often the publish log is looked at.
const headEvery = time.Second

// head follows the newest position of the publish log, so that a read can name it without asking Postgres. While Postgres
// is away it stays where it was.
type head struct {
	position atomic.Int64
	stop     context.CancelFunc
	stopped  chan struct{}
}

func followHead(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) (*head, error) {
	h := &head{stopped: make(chan struct{})}
	position, err := offline.Head(ctx, pool)
	if err != nil {
		return nil, err
	}
	h.position.Store(position)
	ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(h.stopped)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(headEvery):
			}
			position, err := offline.Head(ctx, pool)
			if err != nil {
				log.DebugContext(ctx, "reading the publish log's head", "error", err)
				continue
			}
			h.position.Store(position)
		}
	}()
	return h, nil
}

func (h *head) close() {
	h.stop()
	<-h.stopped
}
