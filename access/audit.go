package access

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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
	off     bool
	counts  counts
	extents keptExtents
	now     func() time.Time

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
	var extent *keptExtent
	if r.Extent != nil {
		var err error
		if extent, err = a.extents.keep(r.Extent); err != nil {
			return 0, err
		}
	}
	return a.appendKept(r, extent)
}

// appendKept is append of a record whose extent is kept; nil: it has none.
func (a *AuditLog) appendKept(r Record, extent *keptExtent) (int64, error) {
	r.clean()
	p := payload{Record: &r}
	day := dayOf(r.Time)
	if extent != nil {
		p.Digest = extent.hex
		if extent.day.Load() < day {
			p.Body = extent.body
		}
	}
	number, err := a.log.Append(p.append(nil))
	if err != nil {
		return 0, err
	}
	if p.Body != nil {
		extent.wrote(day)
	}
	a.signal()
	return number, nil
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
	rows := make([]payload, len(records))
	for i, record := range records {
		rows[i].Record = &Record{}
		if err := rows[i].decode(record.Payload); err != nil {
			return fmt.Errorf("audit record %d of %s cannot be read: %w", record.Number, a.log.Writer(), err)
		}
		rows[i].Writer, rows[i].Number = a.log.Writer(), record.Number
	}
	err := pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error { return insertAll(ctx, tx, rows) })
	if err != nil {
		return fmt.Errorf("insert audit records: %w", err)
	}
	return nil
}

// insertAll inserts what a writer wrote, in its order. COPY takes a fraction of what a statement for each would: where every read is
// recorded, this is the most of it.
func insertAll(ctx context.Context, tx pgx.Tx, rows []payload) error {
	var fresh [][]any
	var extents, continued []*payload
	there, err := recorded(ctx, tx, rows[0].Writer, rows[0].Number)
	if err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		if r.Body != nil {
			extents = append(extents, r)
		}
		switch {
		case r.Continues != 0:
			continued = append(continued, r)
		case !there[r.Number]:
			values, err := r.columns()
			if err != nil {
				return err
			}
			fresh = append(fresh, values)
		}
	}
	if len(fresh) > 0 {
		if _, err := tx.CopyFrom(ctx, auditTable, auditColumns, pgx.CopyFromRows(fresh)); err != nil {
			return err
		}
	}
	batch := &pgx.Batch{}
	// Servers that insert the same ones at once take them in one order, so that neither waits for the other for ever.
	slices.SortFunc(extents, func(a, b *payload) int { return strings.Compare(string(a.Body), string(b.Body)) })
	for _, r := range extents {
		batch.Queue(insertExtent, []byte(r.Body), r.Time)
	}
	for _, r := range continued {
		batch.Queue(continueRecord, r.Writer, r.Continues, r.Calls, r.Entities, r.LastTime, r.LastReadID, r.RowsReturned)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// recorded are the numbers of a writer's records that are there, of those from a number on.
func recorded(ctx context.Context, tx pgx.Tx, writer string, from int64) (map[int64]bool, error) {
	rows, err := tx.Query(ctx, `SELECT number FROM headwater.audit_record WHERE writer = $1 AND number >= $2`, writer, from)
	if err != nil {
		return nil, err
	}
	there := map[int64]bool{}
	var number int64
	_, err = pgx.ForEachRow(rows, []any{&number}, func() error {
		there[number] = true
		return nil
	})
	return there, err
}

var (
	auditTable   = pgx.Identifier{"headwater", "audit_record"}
	auditColumns = []string{
		"writer", "number", "time", "principal", "credential", "roles", "method", "action", "resource", "decision", "reason", "purpose",
		"client_address", "read_id", "calls", "entities", "last_time", "last_read_id", "extent", "rows_returned", "rows_hidden", "entities_hash",
		"as_of", "dataset",
	}
	insertRecord = fmt.Sprintf(`INSERT INTO headwater.audit_record (%s) VALUES (%s) ON CONFLICT (writer, number) DO NOTHING`,
		strings.Join(auditColumns, ", "), parameters(len(auditColumns)))
)

func parameters(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("$%d", i+1)
	}
	return strings.Join(list, ", ")
}

const insertExtent = `INSERT INTO headwater.audit_extent (digest, body, last_day)
	VALUES (sha256($1), convert_from($1, 'UTF8')::json, ($2::timestamptz AT TIME ZONE 'UTC')::date)
	ON CONFLICT (digest) DO UPDATE SET last_day = greatest(audit_extent.last_day, excluded.last_day)`

// continueRecord may come twice, and after a later one.
const continueRecord = `UPDATE headwater.audit_record SET calls = $3, entities = $4, last_time = $5, last_read_id = $6, rows_returned = $7
	WHERE writer = $1 AND number = $2 AND calls < $3`

// columns are the values of auditColumns.
func (p *payload) columns() ([]any, error) {
	var digest []byte
	if p.Digest != "" {
		var err error
		if digest, err = hex.DecodeString(p.Digest); err != nil {
			return nil, fmt.Errorf("audit record %d of %s has the extent %q: %w", p.Number, p.Writer, p.Digest, err)
		}
	}
	r := p.Record
	return []any{
		r.Writer, r.Number, r.Time, r.Principal, r.Credential, r.Roles, r.Method, string(r.Action), r.Resource, string(r.Decision), r.Reason,
		r.Purpose, r.ClientAddress, r.ReadID, max(r.Calls, 1), r.Entities, nullTime(r.LastTime), r.LastReadID, digest, r.RowsReturned,
		r.RowsHidden, r.EntitiesHash, r.AsOf, r.Dataset,
	}, nil
}

// WriteTx records what a transaction does, in its commit: no record without the deed, and no deed without the record. The
// record has a Writer that is no server's, and a Number that is distinct for it.
func WriteTx(ctx context.Context, tx pgx.Tx, r Record) error {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	r.clean()
	p := payload{Record: &r}
	if r.Extent != nil {
		kept, err := (&keptExtents{}).keep(r.Extent)
		if err != nil {
			return err
		}
		p.Digest = kept.hex
		if _, err := tx.Exec(ctx, insertExtent, kept.body, r.Time); err != nil {
			return fmt.Errorf("insert what an audit record extends to: %w", err)
		}
	}
	values, err := p.columns()
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, insertRecord, values...); err != nil {
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
		decision, reason, purpose, client_address, read_id, calls, entities, last_time, last_read_id, rows_returned, rows_hidden, entities_hash,
		as_of, dataset, body
		FROM headwater.audit_record LEFT JOIN headwater.audit_extent ON digest = extent
		WHERE ($1 = '' OR principal = $1) AND ($2 = '' OR resource = $2) AND ($3::timestamptz IS NULL OR time >= $3::timestamptz - interval '1 minute' AND coalesce(last_time, time) >= $3)
		ORDER BY time DESC, writer DESC, number DESC
		LIMIT $4`, f.Principal, f.Resource, nullTime(f.Since), f.Limit)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list audit records: %w", err))
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Record, err error) {
		var last *time.Time
		var body []byte
		err = row.Scan(&r.Writer, &r.Number, &r.Time, &r.Principal, &r.Credential, &r.Roles, &r.Method, &r.Action, &r.Resource, &r.Decision,
			&r.Reason, &r.Purpose, &r.ClientAddress, &r.ReadID, &r.Calls, &r.Entities, &last, &r.LastReadID, &r.RowsReturned, &r.RowsHidden,
			&r.EntitiesHash, &r.AsOf, &r.Dataset, &body)
		r.Time, r.LastTime = r.Time.UTC(), timeOf(last)
		if err == nil && body != nil {
			r.Extent = &Extent{}
			err = json.Unmarshal(body, r.Extent)
		}
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
