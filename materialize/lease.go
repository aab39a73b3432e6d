package materialize

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/outbox"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
)

// leaseClass is the first half of the advisory locks that leases are; the second is the view version's id.
const leaseClass = 0x4857 // "HW"

// loadClass is the same for online loads, which are a matter of order, not of right.
const loadClass = leaseClass + 1

// leaseRetry is how long a run waits before it asks again for a lease that another one holds.
const leaseRetry = 200 * time.Millisecond

// errLeaseLost means that another attempt took the view version: what this one still wants to write must not be.
var errLeaseLost = errors.New("the lease of the view version was taken over")

// lease is the right to run a view version. It lives as long as its connection does.
type lease struct {
	conn    *pgx.Conn
	view    *feature.ViewVersion
	attempt int64
}

// awaitLease takes the lease of a view version on conn, once no other run holds it. Whatever an earlier run left
// unpublished is undone before it returns.
func awaitLease(ctx context.Context, conn *pgx.Conn, view *feature.ViewVersion) (*lease, error) {
	for {
		l, err := tryLease(ctx, conn, view)
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(leaseRetry):
		}
	}
}

// tryLease is awaitLease without the waiting: nil when another run holds the lease.
func tryLease(ctx context.Context, conn *pgx.Conn, view *feature.ViewVersion) (*lease, error) {
	var locked bool
	err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1, $2)`, leaseClass, int32(view.ID)).Scan(&locked)
	if err != nil || !locked {
		return nil, err
	}
	l := &lease{conn: conn, view: view}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `UPDATE headwater.view_state SET attempt = attempt + 1 WHERE view_id = $1 RETURNING attempt`,
			view.ID).Scan(&l.attempt)
		if err != nil {
			return err
		}
		if err := tellAbandoned(ctx, tx, view); err != nil {
			return err
		}
		return undoAbandoned(ctx, tx, view)
	})
	if err != nil {
		return nil, errors.Join(err, l.release(ctx))
	}
	return l, nil
}

// tellAbandoned writes of each attempt that neither published nor failed in order that it ended, into the run's record and the outbox. One
// of a run that was asked to end is told when that ends.
func tellAbandoned(ctx context.Context, tx pgx.Tx, view *feature.ViewVersion) error {
	rows, err := tx.Query(ctx, `
		UPDATE headwater.run r SET open_attempt = NULL,
			warnings = r.warnings || format('attempt %s ended with its server, and was found so at %s', r.attempt,
				to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
		FROM headwater.run b WHERE b.id = r.id AND r.view_id = $1 AND r.open_attempt IS NOT NULL AND r.state = 'running'
			AND r.cancel_requested_at IS NULL
		RETURNING r.id, b.open_attempt`, view.ID)
	if err != nil {
		return err
	}
	dead, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Run, err error) {
		err = row.Scan(&r.ID, &r.OpenAttempt)
		return r, err
	})
	if err != nil {
		return err
	}
	for i := range dead {
		err := tell(ctx, tx, &dead[i], outbox.RunAbandoned, outbox.Run{Error: "the attempt ended with its server; what it wrote is undone, or gone on with, by the next"})
		if err != nil {
			return err
		}
	}
	return nil
}

// undoAbandoned takes back what runs wrote that neither published nor failed in order: their process died. They are
// queued again; the job that carries them, or recovery, takes them up. A run that was cut into chunks keeps what it wrote and its
// sequence, and goes on.
func undoAbandoned(ctx context.Context, tx pgx.Tx, view *feature.ViewVersion) error {
	rows, err := tx.Query(ctx, `SELECT r.id, r.seq FROM headwater.run r WHERE r.view_id = $1 AND r.state = 'running'
		AND NOT EXISTS (SELECT FROM headwater.run_chunk c WHERE c.run_id = r.id)`, view.ID)
	if err != nil {
		return err
	}
	type run struct{ ID, Seq int64 }
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[run])
	if err != nil {
		return err
	}
	for _, r := range runs {
		if err := offline.Undo(ctx, tx, view, r.Seq); err != nil {
			return err
		}
		if err := quality.Undo(ctx, tx, view.ID, r.Seq); err != nil {
			return err
		}
		if err := offline.ForgetKept(ctx, tx, r.ID); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `UPDATE headwater.run r SET state = 'queued', seq = NULL, started_at = NULL WHERE r.view_id = $1
		AND r.state = 'running' AND NOT EXISTS (SELECT FROM headwater.run_chunk c WHERE c.run_id = r.id)`, view.ID)
	return err
}

// unfinished reports whether a run of the view version other than run is half written and goes on later: until then no other
// may begin.
func (l *lease) unfinished(ctx context.Context, run int64) (unfinished bool, err error) {
	err = l.conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.run WHERE view_id = $1 AND id <> $2 AND seq IS NOT NULL
		AND state IN ('queued', 'running'))`, l.view.ID, run).Scan(&unfinished)
	return unfinished, err
}

// fence fails the transaction when the lease was taken over, and holds off whoever wants to until it ends. Transactions of one
// attempt do not wait for each other.
func (l *lease) fence(ctx context.Context, tx pgx.Tx) error {
	var attempt int64
	err := tx.QueryRow(ctx, `SELECT attempt FROM headwater.view_state WHERE view_id = $1 FOR SHARE`, l.view.ID).Scan(&attempt)
	if err == nil && attempt != l.attempt {
		err = fmt.Errorf("%w: attempt %d, now %d", errLeaseLost, l.attempt, attempt)
	}
	return err
}

// fenceAlone is fence once all transactions of the attempt have ended, also those whose connections were given up.
func (l *lease) fenceAlone(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT FROM headwater.view_state WHERE view_id = $1 FOR UPDATE`, l.view.ID); err != nil {
		return err
	}
	return l.fence(ctx, tx)
}

// release gives the lease back. The connection's end does so too.
func (l *lease) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, err := l.conn.Exec(ctx, `SELECT pg_advisory_unlock($1, $2)`, leaseClass, int32(l.view.ID))
	return err
}
