package access

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/database"
)

// DefaultAuditRetention is how long audit records are kept when nobody says.
const DefaultAuditRetention = 400 * day

const day = 24 * time.Hour

// daysLock is an advisory lock: one makes or drops partitions at a time.
const daysLock = 0x48574144 // "HWAD"

var auditTable = database.Partition{Schema: "headwater", Table: "audit_record"}

// createAuditDay makes the partition of a day where there is none.
func createAuditDay(ctx context.Context, pool *pgxpool.Pool, d time.Time) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return createAuditDayIn(ctx, tx, d) })
}

func createAuditDayIn(ctx context.Context, tx pgx.Tx, d time.Time) error {
	p := auditTable
	p.Day = d
	name := pgx.Identifier{p.Schema, p.Name()}.Sanitize()
	isThere := func() (there bool, err error) {
		// Not to_regclass, which may not know yet what another has just made.
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'headwater'::regnamespace AND relname = $1)`, p.Name()).Scan(&there)
		return there, err
	}
	if there, err := isThere(); err != nil || there {
		return err
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, 0)`, daysLock); err != nil {
		return err
	}
	if there, err := isThere(); err != nil || there {
		return err
	}
	if err := database.CreatePartition(ctx, tx, p); err != nil {
		return err
	}
	// A trigger on a table is not that of its partitions where it is about statements.
	_, err := tx.Exec(ctx, `CREATE TRIGGER is_kept_whole BEFORE TRUNCATE ON `+name+` EXECUTE FUNCTION headwater.audit_is_kept()`)
	return err
}

// tend makes the partitions of today and tomorrow, and drops the days that are kept no longer.
func (a *AuditLog) tend(ctx context.Context) error {
	var now time.Time
	if err := a.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return err
	}
	today := a.dayOf(now)
	for _, d := range []time.Time{today, today.Add(day)} {
		if err := createAuditDay(ctx, a.pool, d); err != nil {
			return fmt.Errorf("make the partition of %s: %w", d.Format(time.DateOnly), err)
		}
	}
	keep := max(1, int((a.retention+day-1)/day))
	return a.dropBefore(ctx, today.AddDate(0, 0, 1-keep))
}

// dropBefore drops the days before one, and says in the same transaction, signed, where each chain goes on.
func (a *AuditLog) dropBefore(ctx context.Context, first time.Time) error {
	var said []checkpoint
	err := pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) (err error) {
		// Reads that take long are not to hold up those who write and wait behind this.
		if _, err = tx.Exec(ctx, `SET LOCAL lock_timeout = '3s'`); err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, 0)`, daysLock); err != nil {
			return err
		}
		old, err := auditDaysBefore(ctx, tx, first)
		if err != nil || len(old) == 0 {
			return err
		}
		if said, err = a.dropped(ctx, tx, first.Add(-day)); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		for _, d := range old {
			p := auditTable
			p.Day = d
			batch.Queue(`DROP TABLE ` + pgx.Identifier{p.Schema, p.Name()}.Sanitize())
		}
		batch.Queue(`SET LOCAL headwater.audit_drops = 'on'`)
		batch.Queue(`DELETE FROM headwater.audit_waiting WHERE day < $1`, first)
		batch.Queue(`DELETE FROM headwater.audit_count WHERE last_time < $1`, first)
		batch.Queue(`DELETE FROM headwater.audit_extent WHERE last_day < $1`, first)
		for i := range said {
			// Nothing is left that these could be compared with.
			batch.Queue(`DELETE FROM headwater.audit_checkpoint WHERE writer = $1 AND (number < $2 OR kind = 'dropped')`, said[i].writer, said[i].number)
			said[i].queue(batch)
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return fmt.Errorf("drop the audit records from before %s: %w", first.Format(time.DateOnly), err)
	}
	for i := range said {
		a.tell(&said[i])
	}
	if said != nil {
		a.out.Info("dropped audit records, for they are older than they are kept", "before", first.Format(time.DateOnly))
	}
	return nil
}

// dropped is what is said of the days up to one that are dropped: that they are, and where the chains are then.
func (a *AuditLog) dropped(ctx context.Context, tx pgx.Tx, last time.Time) ([]checkpoint, error) {
	if a.key != nil {
		if err := a.register(ctx, tx); err != nil {
			return nil, err
		}
	}
	rows, err := tx.Query(ctx, `SELECT DISTINCT ON (writer) 'dropped', writer, number, hash, $1::date, clock_timestamp(), '', ''::bytea
		FROM headwater.audit_record WHERE day <= $1 AND hash IS NOT NULL ORDER BY writer, number DESC`, last)
	if err != nil {
		return nil, err
	}
	said, err := pgx.CollectRows(rows, scanCheckpoint)
	if err != nil {
		return nil, err
	}
	var now time.Time
	if err := tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return nil, err
	}
	said = append(said, checkpoint{kind: kindDropped, day: last, time: now})
	for i := range said {
		a.key.sign(&said[i])
	}
	return said, nil
}

// auditDaysBefore are the days before one that have a partition.
func auditDaysBefore(ctx context.Context, tx pgx.Tx, first time.Time) ([]time.Time, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'headwater.audit_record'::regclass ORDER BY c.relname`)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var days []time.Time
	for _, name := range names {
		if d, err := time.Parse(auditTable.Table+"_20060102", name); err == nil && d.Before(first) {
			days = append(days, d)
		}
	}
	return days, nil
}
