package access

import (
	"cmp"
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
	drainEvery   = 250 * time.Millisecond
	drainRecords = 4000
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
	// Key signs checkpoints. Default: there are chains, and nobody signs them.
	Key *AuditKey
	// Retention is how long records are kept in Postgres, in whole days. Default: DefaultAuditRetention.
	Retention time.Duration
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
	// clock is that of a test. nil: days are those of Postgres.
	clock     func() time.Time
	dir       string
	key       *AuditKey
	retention time.Duration

	// chain is locked by whoever adds to this server's chain, or reads what follows.
	chain sync.Mutex
	// copying is memory for the records that are being added.
	copying copying
	// folding gathers those of them that go into one row.
	folding folding
	// ends are where the chain may end, as this process has written it. None: it has written nothing.
	ends []end
	// days have a partition.
	days map[time.Time]bool
	// signed is the number of the last checkpoint of this process, and signedAt its time.
	signed   int64
	signedAt time.Time
	// registered: it is known by which key this server signs.
	registered bool

	written chan struct{}
	stop    context.CancelFunc
	drained sync.WaitGroup
}

// OpenAuditLog opens the append log in a directory, which no other process may have open, and begins to drain it.
func OpenAuditLog(dir string, pool *pgxpool.Pool, o AuditOptions) (*AuditLog, error) {
	log, err := appendlog.Open(dir, appendlog.Options{Sync: o.Durable, BatchRecords: drainRecords})
	if err != nil {
		return nil, fault.New(fault.AuditUnavailable, "the audit log in %s cannot be opened: %v", dir, err).Because(err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if n := log.TornBytes(); n > 0 {
		o.Log.Warn("cut an unfinished write off the audit log", "directory", dir, "bytes", n)
	}
	clock := o.now
	if o.now == nil {
		o.now = time.Now
	}
	ctx, stop := context.WithCancel(context.Background())
	a := &AuditLog{
		log: log, pool: pool, out: o.Log, now: o.now, clock: clock, dir: dir, key: o.Key, retention: cmp.Or(o.Retention, DefaultAuditRetention),
		days: map[time.Time]bool{}, written: make(chan struct{}, 1), stop: stop,
	}
	a.counts.all, a.counts.most = map[countKey]*count{}, maxCounts
	a.signal()
	a.drained.Go(func() { a.drainInBackground(ctx) })
	a.drained.Go(func() { a.writeCountsInBackground(ctx) })
	a.drained.Go(func() { a.keepInBackground(ctx) })
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

// WriteTx records what a transaction does, in its commit: no record without the deed, and no deed without the record. The
// record has a Writer that is no server's, and a Number that is distinct for it. It is in no chain, for that of a server would be locked until the
// commit; servers witness it soon after.
func WriteTx(ctx context.Context, tx pgx.Tx, record Record) error {
	if record.Time.IsZero() {
		record.Time = time.Now()
	}
	record.clean()
	r := &kept{Record: record}
	if err := tx.QueryRow(ctx, `SELECT (now() AT TIME ZONE 'UTC')::date`).Scan(&r.day); err != nil {
		return fmt.Errorf("insert an audit record: %w", err)
	}
	// Servers have made it the day before, unless all were away.
	if err := createAuditDayIn(ctx, tx, r.day); err != nil {
		return fmt.Errorf("insert an audit record: %w", err)
	}
	if r.Extent != nil {
		extent, err := (&keptExtents{}).keep(r.Extent)
		if err != nil {
			return err
		}
		r.extent = extent.digest()
		if _, err := tx.Exec(ctx, insertExtent, extent.body, r.day); err != nil {
			return fmt.Errorf("insert what an audit record extends to: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, insertOutside, r.values()...); err != nil {
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
	rows, err := a.pool.Query(ctx, listRecords, f.Principal, f.Resource, nullTime(f.Since), f.Limit)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list audit records: %w", err))
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Record, error) {
		r := &kept{}
		var body []byte
		err := r.scan(row, &body)
		if err == nil && body != nil {
			r.Extent = &Extent{}
			err = json.Unmarshal(body, r.Extent)
		}
		return r.Record, err
	})
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list audit records: %w", err))
	}
	slices.Reverse(records)
	return records, nil
}

// listRecords finds rows r with what became of them: t is the newest record that continues one, or the count of a minute that goes on. A record
// came here on the day of its time or later, as far as the clocks of servers agree, and those that continue it after it. As the row's own record is the
// newest of a row, the newest records are in as many of the newest rows.
var listRecords = unfolded(`
	SELECT `+foldedRecord+`, e.body
	FROM headwater.audit_record r
	LEFT JOIN headwater.audit_extent e ON e.digest = r.extent
	LEFT JOIN LATERAL (
		SELECT c.* FROM headwater.audit_record c
		WHERE c.writer = r.writer AND c.continues = r.logged AND c.continues > 0 AND c.day >= r.day
		UNION ALL
		SELECT (jsonb_populate_record(NULL::headwater.audit_record, c.record)).* FROM headwater.audit_count c
		WHERE c.writer = r.writer AND c.continues = r.logged
		ORDER BY calls DESC LIMIT 1
	) t ON r.last_time IS NOT NULL
	WHERE ($1 = '' OR r.principal = $1) AND ($2 = '' OR r.resource = $2) AND r.continues = 0 AND r.witnessed IS NULL
		AND ($3::timestamptz IS NULL OR r.day >= ($3 AT TIME ZONE 'UTC')::date - 1 AND r.time >= $3::timestamptz - interval '1 minute'
			AND coalesce(t.last_time, r.last_time, r.time) >= $3)
	ORDER BY r.time DESC, r.writer DESC, r.number DESC
	LIMIT $4`, `$3::timestamptz IS NULL OR o.time >= $3`) + `
	ORDER BY o.time DESC, r.writer DESC, o.number DESC
	LIMIT $4`

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
	err := a.drain(ctx)
	if err != nil {
		a.out.Warn("audit records are left for the next start", "pending", a.log.Pending(), "error", err)
	} else if err = a.keepAll(ctx); err != nil {
		a.out.Warn("the chain of audit records is not signed to its end", "error", err)
	}
	return a.log.Close()
}
