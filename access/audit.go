package access

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/appendlog"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

const (
	drainEvery   = 100 * time.Millisecond
	drainRetry   = time.Second
	drainTimeout = 30 * time.Second
	closeTimeout = 5 * time.Second
)

// AuditOptions of an audit log. The zero value is good.
type AuditOptions struct {
	// Durable makes Write wait for the disk. Default: a record survives the process, and the disk is synced a moment later.
	Durable bool
	// Log is told of outages of Postgres. Default: nobody is.
	Log *slog.Logger
	// now is a clock that tests hold.
	now func() time.Time
}

// AuditLog records decisions: first in an append log of this machine, then, in the background, in
// headwater.audit_record. It takes records while Postgres is away.
type AuditLog struct {
	log  *appendlog.Log
	pool *pgxpool.Pool
	out  *slog.Logger
	// off: nothing is recorded, and there is no log.
	off    bool
	counts counts
	now    func() time.Time

	written chan struct{}
	stop    context.CancelFunc
	drained sync.WaitGroup
}

// OpenAuditLog opens the append log in a directory, which no other process may have open, and begins to drain it.
func OpenAuditLog(dir string, pool *pgxpool.Pool, o AuditOptions) (*AuditLog, error) {
	log, err := appendlog.Open(dir, appendlog.Options{Sync: o.Durable})
	if err != nil {
		return nil, fault.New(fault.AuditUnavailable, "the audit log in %s cannot be opened: %v", dir, err).Because(err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if n := log.TornBytes(); n > 0 {
		o.Log.Warn("cut an unfinished write off the audit log", "directory", dir, "bytes", n)
	}
	if o.now == nil {
		o.now = time.Now
	}
	ctx, stop := context.WithCancel(context.Background())
	a := &AuditLog{log: log, pool: pool, out: o.Log, now: o.now, written: make(chan struct{}, 1), stop: stop}
	a.counts.all, a.counts.most = map[countKey]*count{}, maxCounts
	a.signal()
	a.drained.Go(func() { a.drainInBackground(ctx) })
	a.drained.Go(func() { a.writeCountsInBackground(ctx) })
	return a, nil
}

// NoAuditLog records no decisions, for a server that does not ask who calls. List shows what others recorded, and what WriteTx did.
func NoAuditLog(pool *pgxpool.Pool) *AuditLog { return &AuditLog{pool: pool, off: true} }

// Write records a decision. When it has returned, the record survives the process. An AUDIT_UNAVAILABLE fault means that
// it is not recorded, and nothing may be done about what it decided.
func (a *AuditLog) Write(r Record) error {
	if a.off {
		return nil
	}
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	if _, err := a.append(r); err != nil {
		return errUnrecorded(err)
	}
	return nil
}

func errUnrecorded(err error) error {
	return fault.New(fault.AuditUnavailable, "the decision cannot be recorded in the server's audit log, so the call is "+
		"refused; see the server's log, and whether its disk is full").Because(err)
}

// append returns the record's number.
func (a *AuditLog) append(r Record) (int64, error) {
	r.clean()
	payload, err := json.Marshal(&r)
	if err != nil {
		return 0, err
	}
	number, err := a.log.Append(payload)
	if err == nil {
		a.signal()
	}
	return number, err
}

func (a *AuditLog) signal() {
	select {
	case a.written <- struct{}{}:
	default:
	}
}

// Pending counts the records that are not in Postgres yet.
func (a *AuditLog) Pending() int64 {
	if a.off {
		return 0
	}
	return a.log.Pending()
}

// Flush returns when all that was recorded before the call is in Postgres.
func (a *AuditLog) Flush(ctx context.Context) error {
	if a.off {
		return nil
	}
	if err := a.writeCounts(a.now()); err != nil {
		return errUnrecorded(err)
	}
	return database.Fault(a.log.Drain(ctx, a.insert))
}

// writeCountsInBackground tells of an append log that fails once, for each call that it refuses is told to its caller.
func (a *AuditLog) writeCountsInBackground(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(countEvery):
		}
		err := a.writeCounts(a.now())
		switch {
		case err != nil && !failing:
			a.out.Error("how often something was read cannot be recorded, so online reads are refused", "error", err)
		case err == nil && failing:
			a.out.Info("online reads are recorded again")
		}
		failing = err != nil
	}
}

func (a *AuditLog) drainInBackground(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.written:
		}
		wait := drainEvery
		if failing {
			wait = drainRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		err := a.drain(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			if !failing {
				a.out.Error("audit records wait on this machine's disk for Postgres", "pending", a.log.Pending(), "error", err)
			}
			failing = true
			a.signal()
		case failing && err == nil:
			a.out.Info("audit records are in Postgres again")
			failing = false
		}
	}
}

func (a *AuditLog) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	return a.log.Drain(ctx, a.insert)
}

// insert puts a batch into Postgres, all of it or none. A record that is there already is left alone.
func (a *AuditLog) insert(ctx context.Context, records []appendlog.Record) error {
	batch := &pgx.Batch{}
	for _, record := range records {
		var r Record
		if err := json.Unmarshal(record.Payload, &r); err != nil {
			return fmt.Errorf("audit record %d of %s cannot be read: %w", record.Number, a.log.Writer(), err)
		}
		if r.Writer, r.Number = a.log.Writer(), record.Number; r.Continues != 0 {
			batch.Queue(continueRecord, r.Writer, r.Continues, r.Calls, r.Entities, r.LastTime, r.LastReadID)
			continue
		}
		batch.Queue(insertRecord, r.columns()...)
	}
	if err := a.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("insert audit records: %w", err)
	}
	return nil
}

const insertRecord = `INSERT INTO headwater.audit_record (writer, number, time, principal, credential, roles, method, action,
	resource, decision, reason, purpose, client_address, read_id, calls, entities, last_time, last_read_id)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
	ON CONFLICT (writer, number) DO NOTHING`

// continueRecord may come twice, and after a later one.
const continueRecord = `UPDATE headwater.audit_record SET calls = $3, entities = $4, last_time = $5, last_read_id = $6
	WHERE writer = $1 AND number = $2 AND calls < $3`

func (r *Record) columns() []any {
	return []any{
		r.Writer, r.Number, r.Time, r.Principal, r.Credential, r.Roles, r.Method, r.Action, r.Resource, r.Decision, r.Reason,
		r.Purpose, r.ClientAddress, r.ReadID, max(r.Calls, 1), r.Entities, nullTime(r.LastTime), r.LastReadID,
	}
}

// WriteTx records what a transaction does, in its commit: no record without the deed, and no deed without the record. The
// record has a Writer that is no server's, and a Number that is distinct for it.
func WriteTx(ctx context.Context, tx pgx.Tx, r Record) error {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	r.clean()
	if _, err := tx.Exec(ctx, insertRecord, r.columns()...); err != nil {
		return fmt.Errorf("insert an audit record: %w", err)
	}
	return nil
}

// AuditFilter picks records. Empty fields pick all.
type AuditFilter struct {
	Principal string
	// Resource is KIND:NAME.
	Resource string
	// Since picks records of that time and later, and those that count calls of then.
	Since time.Time
	// Limit is how many to return at most, the newest. 0: 100.
	Limit int
}

// List returns what is in Postgres, of all servers, the newest last. Call Flush before to see this server's own.
func (a *AuditLog) List(ctx context.Context, f AuditFilter) ([]Record, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	rows, err := a.pool.Query(ctx, `SELECT writer, number, time, principal, credential, roles, method, action, resource,
		decision, reason, purpose, client_address, read_id, calls, entities, last_time, last_read_id
		FROM headwater.audit_record
		WHERE ($1 = '' OR principal = $1) AND ($2 = '' OR resource = $2) AND ($3::timestamptz IS NULL OR time >= $3::timestamptz - interval '1 minute' AND coalesce(last_time, time) >= $3)
		ORDER BY time DESC, writer DESC, number DESC
		LIMIT $4`, f.Principal, f.Resource, nullTime(f.Since), f.Limit)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list audit records: %w", err))
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Record, err error) {
		var last *time.Time
		err = row.Scan(&r.Writer, &r.Number, &r.Time, &r.Principal, &r.Credential, &r.Roles, &r.Method, &r.Action, &r.Resource, &r.Decision,
			&r.Reason, &r.Purpose, &r.ClientAddress, &r.ReadID, &r.Calls, &r.Entities, &last, &r.LastReadID)
		r.Time, r.LastTime = r.Time.UTC(), timeOf(last)
		return r, err
	})
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list audit records: %w", err))
	}
	slices.Reverse(records)
	return records, nil
}

// Close drains once more, as long as a few seconds allow, and closes the append log. What is left is drained after the
// next OpenAuditLog.
func (a *AuditLog) Close() error {
	if a.off {
		return nil
	}
	a.stop()
	a.drained.Wait()
	if err := a.writeCounts(a.now()); err != nil {
		a.out.Error("how often something was read within the last second is not recorded", "error", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := a.drain(ctx); err != nil {
		a.out.Warn("audit records are left for the next start", "pending", a.log.Pending(), "error", err)
	}
	return a.log.Close()
}
