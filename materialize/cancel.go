package materialize

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/outbox"
)

// cancelEvery is how often a process looks whether runs that it works on were asked to end.
const cancelEvery = 250 * time.Millisecond

// errCancelled ends the context of a run that was asked to end.
var errCancelled = errors.New("the run was cancelled")

// working is the runs that this process works on, some perhaps by two jobs, of which one is soon gone.
type working struct {
	mu   sync.Mutex
	runs map[*work]struct{}
}

type work struct {
	run    int64
	cancel context.CancelCauseFunc
}

// begin derives the context of working on a run. done ends it.
func (w *working) begin(ctx context.Context, id int64) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	one := &work{run: id, cancel: cancel}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runs == nil {
		w.runs = map[*work]struct{}{}
	}
	w.runs[one] = struct{}{}
	return ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.runs, one)
		cancel(nil)
	}
}

func (w *working) ids() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make([]int64, 0, len(w.runs))
	for one := range w.runs {
		ids = append(ids, one.run)
	}
	return ids
}

// end cancels the contexts of runs.
func (w *working) end(ids []int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.runs {
		if slices.Contains(ids, one.run) {
			one.cancel(errCancelled)
		}
	}
}

// Cancel ends runs that have not ended, all of those named or, with an error, none. Queued ones have ended when it returns;
// running ones end within a second, on whichever server they are: their statements are cancelled, and what they wrote is
// undone before their lease is given back. Who cancelled first is kept.
func (m *Materializer) Cancel(ctx context.Context, ids []int64, principal, reason string) error {
	// Locked in one order, so that two callers do not wait on each other.
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	return pgx.BeginFunc(ctx, m.config.Pool, func(tx pgx.Tx) error {
		for _, id := range ids {
			if err := m.cancel(ctx, tx, id, principal, reason); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *Materializer) cancel(ctx context.Context, tx pgx.Tx, id int64, principal, reason string) error {
	// Rows that refer to the run, such as those that it sets aside in a long transaction, lock its key, and that is not waited for.
	if _, err := tx.Exec(ctx, `SELECT FROM headwater.run WHERE id = $1 FOR NO KEY UPDATE`, id); err != nil {
		return err
	}
	r, err := Get(ctx, tx, id)
	switch {
	case err != nil || r.State == Cancelled:
		return err
	case r.State == Published:
		return fault.New(fault.FailedPrecondition, "run %s (id %d) is published, expected one that has not ended; "+
			"run its view again for other rows, or retract the load that it should not have read", r.Ref(), id)
	case r.State.Ended():
		return fault.New(fault.FailedPrecondition, "run %d of %s@%d has %s, expected one that has not ended; there is nothing to cancel",
			id, r.View, r.ViewVersion, r.State)
	}
	_, err = tx.Exec(ctx, `
		UPDATE headwater.run SET cancel_requested_at = clock_timestamp(), cancelled_by = $2, cancel_reason = nullif($3, '')
		WHERE id = $1 AND cancel_requested_at IS NULL`, id, principal, reason)
	if err != nil || r.State != Queued {
		return err
	}
	if r.Seq != 0 {
		// An attempt left it half written, and what is written is undone under the lease.
		_, err = m.jobs.InsertTx(ctx, tx, runArgs{RunID: id}, insertOpts(1, r.Attempts))
		return err
	}
	return m.runner.endCancelled(ctx, tx, id)
}

// endCancelled ends a run that was asked to end, and of which nothing is written.
func (rn *runner) endCancelled(ctx context.Context, tx pgx.Tx, id int64) error {
	r, err := Get(ctx, tx, id)
	if err != nil {
		return err
	}
	attempt := r.OpenAttempt
	_, err = tx.Exec(ctx, `
		UPDATE headwater.run SET state = 'cancelled', ended_at = clock_timestamp(), not_before = NULL, open_attempt = NULL,
			error = 'cancelled by ' || cancelled_by || coalesce(': ' || cancel_reason, '')
		WHERE id = $1 AND state IN ('queued', 'running')`, id)
	if err != nil {
		return err
	}
	if err := forgetProgress(ctx, tx, id); err != nil {
		return err
	}
	if r, err = Get(ctx, tx, id); err != nil {
		return err
	}
	r.OpenAttempt = attempt
	err = tellEnd(ctx, tx, r, outbox.RunCancelled, outbox.Run{By: r.CancelledBy, Reason: r.CancelReason, Error: fault.Hidden(r.KeptError)})
	if err != nil {
		return err
	}
	return rn.cancelled(ctx, tx, r)
}

// cancelAsked ends the work on those runs of this process that were asked to end.
func (m *Materializer) cancelAsked(ctx context.Context) error {
	ids := m.runner.working.ids()
	if len(ids) == 0 {
		return nil
	}
	rows, err := m.config.Pool.Query(ctx, `SELECT id FROM headwater.run
		WHERE id = ANY ($1) AND cancel_requested_at IS NOT NULL AND state IN ('queued', 'running')`, ids)
	if err != nil {
		return err
	}
	asked, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err == nil {
		m.runner.working.end(asked)
	}
	return err
}

// refuseCancelled keeps a run that was asked to end from being published. To be called when the publishing transaction holds
// the run's row.
func refuseCancelled(ctx context.Context, q database.Querier, id int64) error {
	var asked bool
	err := q.QueryRow(ctx, `SELECT cancel_requested_at IS NOT NULL FROM headwater.run WHERE id = $1`, id).Scan(&asked)
	if err == nil && asked {
		err = errCancelled
	}
	return err
}

// giveBackAnew is giveBack after the lease's connection went with what was cancelled on it.
func (rn *runner) giveBackAnew(ctx context.Context, l *lease, r *Run, cause error) error {
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	conn, err := connect(wait, rn.pool)
	if err != nil {
		return errors.Join(cause, err)
	}
	defer conn.Close(wait)
	again, err := awaitLease(wait, conn, l.view)
	if err != nil {
		return errors.Join(cause, err)
	}
	// Closed here, its connection gives it back.
	return rn.giveBack(ctx, again, r, cause)
}
