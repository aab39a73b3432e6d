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
}

// AuditLog records decisions: first in an append log of this machine, then, in the background, in
// headwater.audit_record. It takes records while Postgres is away.
type AuditLog struct {
	log  *appendlog.Log
	pool *pgxpool.Pool
	out  *slog.Logger

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
	ctx, stop := context.WithCancel(context.Background())
	a := &AuditLog{log: log, pool: pool, out: o.Log, written: make(chan struct{}, 1), stop: stop}
	a.signal()
	a.drained.Go(func() { a.drainInBackground(ctx) })
	return a, nil
}

// Write records a decision. When it has returned, the record survives the process. An AUDIT_UNAVAILABLE fault means that
// it is not recorded, and nothing may be done about what it decided.
func (a *AuditLog) Write(r Record) error {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	r.clean()
	payload, err := json.Marshal(&r)
	if err == nil {
		_, err = a.log.Append(payload)
	}
	if err != nil {
		return fault.New(fault.AuditUnavailable, "the decision cannot be recorded in the server's audit log, so the call is "+
			"refused; see the server's log, and whether its disk is full").Because(err)
	}
	a.signal()
	return nil
}

func (a *AuditLog) signal() {
	select {
	case a.written <- struct{}{}:
	default:
	}
}

// Pending counts the records that are not in Postgres yet.
func (a *AuditLog) Pending() int64 { return a.log.Pending() }

// Flush returns when all records written before the call are in Postgres.
func (a *AuditLog) Flush(ctx context.Context) error {
	return database.Fault(a.log.Drain(ctx, a.insert))
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
		r.Writer, r.Number = a.log.Writer(), record.Number
		batch.Queue(insertRecord, r.columns()...)
	}
	if err := a.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("insert audit records: %w", err)
	}
	return nil
}

const insertRecord = `INSERT INTO headwater.audit_record (writer, number, time, principal, credential, roles, method, action,
	resource, decision, reason, purpose, client_address, read_id)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
	ON CONFLICT (writer, number) DO NOTHING`

func (r *Record) columns() []any {
	return []any{
		r.Writer, r.Number, r.Time, r.Principal, r.Credential, r.Roles, r.Method, r.Action, r.Resource, r.Decision, r.Reason,
		r.Purpose, r.ClientAddress, r.ReadID,
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
	// Since picks records of that time and later.
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
		decision, reason, purpose, client_address, read_id
		FROM headwater.audit_record
		WHERE ($1 = '' OR principal = $1) AND ($2 = '' OR resource = $2) AND ($3::timestamptz IS NULL OR time >= $3)
		ORDER BY time DESC, writer DESC, number DESC
		LIMIT $4`, f.Principal, f.Resource, nullTime(f.Since), f.Limit)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list audit records: %w", err))
	}
	records, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Record])
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list audit records: %w", err))
	}
	for i := range records {
		records[i].Time = records[i].Time.UTC()
	}
	slices.Reverse(records)
	return records, nil
}

// Close drains once more, as long as a few seconds allow, and closes the append log. What is left is drained after the
// next OpenAuditLog.
func (a *AuditLog) Close() error {
	a.stop()
	a.drained.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := a.drain(ctx); err != nil {
		a.out.Warn("audit records are left for the next start", "pending", a.log.Pending(), "error", err)
	}
	return a.log.Close()
}
