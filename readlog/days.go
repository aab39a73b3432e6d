package readlog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

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

// beginner is a pool.
type beginner interface {
	Begin(context.Context) (pgx.Tx, error)
}

// createDay makes the partition of a day where there is none.
func createDay(ctx context.Context, pool beginner, d time.Time) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		p := table
		p.Day = d
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, 0)`, daysLock); err != nil {
			return err
		}
		var there bool
		err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, pgx.Identifier{p.Schema, p.Name()}.Sanitize()).Scan(&there)
		if err != nil || there {
			return err
		}
		return database.CreatePartition(ctx, tx, p)
	})
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
	rows, err := l.pool.Query(ctx, `
		SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'headwater.read_log'::regclass ORDER BY c.relname`)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		d, err := time.Parse(table.Table+"_20060102", name)
		if err != nil || !d.Before(first) {
			continue
		}
		err = pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
			// Reads of the table that take long are not to hold up others that wait behind this.
			_, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '3s'`)
			if err == nil {
				_, err = tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, 0)`, daysLock)
			}
			if err == nil {
				_, err = tx.Exec(ctx, `DROP TABLE IF EXISTS `+pgx.Identifier{table.Schema, name}.Sanitize())
			}
			if err == nil {
				_, err = tx.Exec(ctx, `DELETE FROM headwater.read_log_count WHERE day = $1`, d)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("drop the reads of %s: %w", d.Format(time.DateOnly), err)
		}
		l.options.Log.Info("dropped a day of the read log, for it is older than reads are kept", "day", d.Format(time.DateOnly))
	}
	return nil
}
