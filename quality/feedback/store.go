package feedback

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/database"
)

const (
	// DefaultRetention is 90 days, as long as reads are kept.
	DefaultRetention = 90 * day

	day = 24 * time.Hour
	// ahead is how far a prediction's time may be ahead of the server's.
	ahead = time.Hour

	tendEvery, tendRetry, tendTimeout = time.Hour, 30 * time.Second, 30 * time.Second
	// daysLock is an advisory lock: one makes or drops partitions at a time.
	daysLock = 0x48574642 // "HWFB"
)

// Options are how feedback is kept.
type Options struct {
	// Retention is how long, by the time of a prediction and by the day on which an outcome was reported. 0: DefaultRetention.
	Retention time.Duration
	// Log is told of days that are dropped, and of outages. Default: nobody is.
	Log *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Store keeps predictions and outcomes in Postgres. Its methods may be called concurrently.
type Store struct {
	pool    *pgxpool.Pool
	options Options
	// days are the partitions that are known to be there, by their names.
	days    sync.Map
	stop    context.CancelFunc
	working sync.WaitGroup
}

// The two tables with partitions.
var predictions, outcomes = database.Partition{Schema: "headwater", Table: "prediction"}, database.Partition{Schema: "headwater", Table: "outcome"}

// Open begins to make and drop days until Close.
func Open(pool *pgxpool.Pool, o Options) *Store {
	if o.Retention <= 0 {
		o.Retention = DefaultRetention
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Store{pool: pool, options: o, stop: stop}
	s.working.Go(func() { s.tendInBackground(ctx) })
	return s
}

// Close ends what goes on in the background.
func (s *Store) Close() {
	s.stop()
	s.working.Wait()
}

// Kept is the times of which predictions are kept: from, and before.
func (s *Store) Kept() (from, to time.Time) {
	now := s.options.Now().UTC()
	keep := max(1, int((s.options.Retention+day-1)/day))
	return now.Truncate(day).AddDate(0, 0, 1-keep), now.Add(ahead)
}

// ensure makes the partition of a day where there is none.
func (s *Store) ensure(ctx context.Context, p database.Partition, at time.Time) error {
	p.Day = at.UTC().Truncate(day)
	if _, known := s.days.Load(p.Name()); known {
		return nil
	}
	if err := database.EnsurePartition(ctx, s.pool, p, daysLock); err != nil {
		return err
	}
	s.days.Store(p.Name(), true)
	return nil
}

func (s *Store) tendInBackground(ctx context.Context) {
	for {
		wait := tendEvery
		if err := s.tend(ctx); err != nil && ctx.Err() == nil {
			s.options.Log.Warn("the days of predictions and outcomes could not be tended, and will be again", "error", err)
			wait = tendRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// tend makes the partitions of today and tomorrow, and drops those of days that are kept no longer.
func (s *Store) tend(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tendTimeout)
	defer cancel()
	today := s.options.Now().UTC().Truncate(day)
	first, _ := s.Kept()
	for _, table := range []database.Partition{predictions, outcomes} {
		for _, at := range []time.Time{today, today.Add(day)} {
			if err := s.ensure(ctx, table, at); err != nil {
				return err
			}
		}
		table.Day = first
		dropped, err := database.DropPartitionsBefore(ctx, s.pool, table, daysLock)
		for _, d := range dropped {
			s.options.Log.Info("dropped a day of feedback, for it is older than feedback is kept", "table", table.Table, "day", d.Format(time.DateOnly))
		}
		if err != nil {
			return err
		}
	}
	_, err := s.pool.Exec(ctx, `DELETE FROM headwater.prediction_erasure WHERE erased_at < $1`, first)
	return err
}
