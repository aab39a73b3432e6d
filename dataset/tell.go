package dataset

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/notify"
	"github.com/headwaterhq/headwater/internal/outbox"
)

// telling is what others are told of a build: that it began, once its spine is there, for what ends before that was refused; and how it
// ended, which another server tells where this one dies.
type telling struct {
	began time.Time
	// about is nil before it is told that the build began.
	about *outbox.Dataset
	stop  context.CancelFunc
	done  sync.WaitGroup
}

// tellTimeout bounds how long the caller of a build that failed waits for it to be told.
const tellTimeout = 5 * time.Second

// begin tells that the build of a dataset began, and says until end that it is under way.
func (t *telling) begin(ctx context.Context, b *Builder, m *Manifest) error {
	about := outbox.Dataset{ID: m.ID, Name: m.Name}
	if m.Service != "" {
		about.Service = fmt.Sprintf("%s@%d", m.Service, m.ServiceVersion)
	}
	err := pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error { return outbox.BeginDataset(ctx, tx, about, t.began) })
	if err != nil {
		return err
	}
	t.about = &about
	ctx, t.stop = context.WithCancel(context.WithoutCancel(ctx))
	t.done.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(outbox.SeenEvery):
			}
			// What fails is tried again in time.
			_ = outbox.SeenDataset(ctx, b.pool, about.ID)
		}
	})
	return nil
}

func (t *telling) end() {
	if t.stop != nil {
		t.stop()
		t.done.Wait()
	}
}

// built tells that a dataset was built, and of one that is held why.
func (t *telling) built(ctx context.Context, tx pgx.Tx, m *Manifest) error {
	if m.State == Built {
		owned := notify.Notice{
			Kind: notify.DatasetHeld, Node: "dataset:" + m.ID, OwnedKind: "service", OwnedName: m.Service, Found: m.heldFor(), Expected: "gates that hold", Remedy: "headwater dataset show " + m.ID,
		}
		if err := notify.Add(ctx, tx, owned); err != nil {
			return err
		}
	}
	return outbox.EndDataset(ctx, tx, outbox.DatasetBuilt, *t.about)
}

// tellFailed tells of a build that failed. One that cannot be told is told as ended with its server, later.
func (b *Builder) tellFailed(ctx context.Context, t *telling, cause error) {
	if t.about == nil {
		return
	}
	about := *t.about
	about.Stopped, about.Error = ctx.Err() != nil || errors.Is(cause, context.Canceled), "the build failed"
	if f := fault.As(database.Fault(cause)); f != nil {
		// What it says may be of the spine, which is the caller's.
		about.Error += " with " + strings.TrimPrefix(f.Reason.String(), "ERROR_REASON_")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	_ = pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error { return outbox.EndDataset(ctx, tx, outbox.DatasetFailed, about) })
}
