package access

import (
	"context"
	"errors"
	"time"
)

const (
	// keepEvery is about how long what a transaction recorded has no witness.
	keepEvery = time.Second
	// tendEvery is how often days are made and dropped, and tendRetry how soon after a failure.
	tendEvery = time.Hour
	tendRetry = time.Minute
	// countsEndAfter is how long after its last call a count is taken to be over: its minute is.
	countsEndAfter = 2 * time.Minute
)

// keepInBackground sees to what is in Postgres: what transactions recorded is witnessed, counts end, the chain is signed, and days are made and dropped.
func (a *AuditLog) keepInBackground(ctx context.Context) {
	var tend time.Time
	failing := false
	for {
		err := a.keep(ctx)
		if time.Since(tend) >= 0 {
			next := tendEvery
			if tending := a.tendWithin(ctx); tending != nil {
				err, next = errors.Join(err, tending), tendRetry
			}
			tend = time.Now().Add(next)
		}
		switch {
		case err != nil && ctx.Err() == nil && !failing:
			a.out.Warn("audit records in Postgres cannot be seen to; that is tried again", "error", err)
			failing = true
		case err == nil:
			failing = false
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(keepEvery):
		}
	}
}

func (a *AuditLog) tendWithin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	return a.tend(ctx)
}

func (a *AuditLog) keep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	over := a.now().Add(-countsEndAfter)
	var waiting, counted bool
	err := a.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.audit_waiting), EXISTS (SELECT FROM headwater.audit_count WHERE writer = $1 AND last_time < $2)`,
		a.log.Writer(), over).Scan(&waiting, &counted)
	if err != nil {
		return err
	}
	for waiting && err == nil {
		waiting, err = a.witness(ctx)
	}
	if counted && err == nil {
		err = a.endCounts(ctx, over)
	}
	if err == nil && a.checkpointDue(a.now()) {
		err = a.checkpoint(ctx)
	}
	return err
}

// keepAll leaves nothing for the next start.
func (a *AuditLog) keepAll(ctx context.Context) error {
	for more := true; more; {
		var err error
		if more, err = a.witness(ctx); err != nil {
			return err
		}
	}
	if err := a.endCounts(ctx, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		return err
	}
	return a.checkpoint(ctx)
}
