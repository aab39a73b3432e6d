package readlog

import (
	"context"
	"time"

	"github.com/headwaterhq/headwater/internal/database"
)

var table = database.Partition{Schema: "headwater", Table: "read_log"}

// daysLock is an advisory lock: one makes or drops partitions at a time.
const daysLock = lockClass + 1

// ensureDay makes the partition of a day. Called by the drain, of which one is at work.
func (l *Log) ensureDay(ctx context.Context, d time.Time) error {
	name := d.Format(time.DateOnly)
	if l.days[name] {
		return nil
	}
	if err := createDay(ctx, l.pool, d); err != nil {
		return err
	}
	l.days[name] = true
	return nil
}

// createDay makes the partition of a day where there is none.
func createDay(ctx context.Context, pool database.Beginner, d time.Time) error {
	p := table
	p.Day = d
	return database.EnsurePartition(ctx, pool, p, daysLock)
}

func (l *Log) tendInBackground(ctx context.Context) {
	for {
		wait := tendEvery
		if err := l.tend(ctx); err != nil && ctx.Err() == nil {
			l.options.Log.Warn("the days of the read log could not be tended, and will be again", "error", err)
			wait = drainTimeout
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// tend makes the partitions of today and tomorrow, and drops those of days that are kept no longer.
func (l *Log) tend(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	today := l.options.Now().UTC().Truncate(day)
	for _, d := range []time.Time{today, today.Add(day)} {
		if err := createDay(ctx, l.pool, d); err != nil {
			return err
		}
	}
	// Of a server that is not heard of for longer than reads are kept, nothing is to be waited for.
	_, err := l.pool.Exec(ctx, `DELETE FROM headwater.read_log_writer WHERE drained_at < clock_timestamp() - $1::interval`, l.options.Retention+day)
	if err != nil {
		return err
	}
	return l.dropBefore(ctx, l.KeptFrom())
}

// KeptFrom is the first day of which reads are kept.
func (l *Log) KeptFrom() time.Time {
	keep := max(1, int((l.options.Retention+day-1)/day))
	return l.options.Now().UTC().Truncate(day).AddDate(0, 0, 1-keep)
}

// dropBefore drops the partitions and counts of the days before one.
func (l *Log) dropBefore(ctx context.Context, first time.Time) error {
	p := table
	p.Day = first
	dropped, err := database.DropPartitionsBefore(ctx, l.pool, p, daysLock)
	for _, d := range dropped {
		l.options.Log.Info("dropped a day of the read log, for it is older than reads are kept", "day", d.Format(time.DateOnly))
	}
	if err != nil {
		return err
	}
	_, err = l.pool.Exec(ctx, `DELETE FROM headwater.read_log_count WHERE day < $1`, first)
	return err
}
