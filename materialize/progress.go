package materialize

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// progressEvery is how often what is reported of a run is written down.
const progressEvery = 500 * time.Millisecond

// Progress is how far a run, or its online load, is. Counts are of the phase.
type Progress struct {
	Phase string
	// RowsTotal is 0 where it is not known, and may be more than there turn out to be.
	RowsDone, RowsTotal     int64
	ChunksDone, ChunksTotal int
	UpdatedAt               time.Time
}

// reporter is told by whatever works on a run how far it is, and writes that down twice a second. Its methods may be called
// at once, and do nothing on a nil one; Rows is cheap enough for each row.
type reporter struct {
	rows atomic.Int64

	mu  sync.Mutex
	now Progress
	// written is what the table holds; flush's own.
	written Progress
}

// report starts a reporter of a run, and stop ends it: what nobody works on has no progress.
func report(ctx context.Context, pool *pgxpool.Pool, run int64) (p *reporter, stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p = &reporter{}
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.flush(ctx, pool, run)
			}
		}
	})
	return p, func() {
		cancel()
		done.Wait()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), progressTimeout)
		defer cancel()
		// Where this fails, whatever ends the run does it, or the next to work on it.
		_ = forgetProgress(ctx, pool, run)
	}
}

// progressTimeout bounds what ends a report.
const progressTimeout = 5 * time.Second

// forgetEnded removes what was reported of runs that have ended without that: one whose server died behind its publication.
func forgetEnded(ctx context.Context, q execer) error {
	_, err := q.Exec(ctx, `DELETE FROM headwater.run_progress p USING headwater.run r
		WHERE r.id = p.run_id AND r.state NOT IN ('queued', 'running') AND r.online_state IS DISTINCT FROM 'pending'`)
	return err
}

// forgetProgress removes what was reported of a run.
func forgetProgress(ctx context.Context, q execer, run int64) error {
	_, err := q.Exec(ctx, `DELETE FROM headwater.run_progress WHERE run_id = $1`, run)
	return err
}

// Phase begins a part of the work, with rows expected in it; 0: nobody knows how many.
func (p *reporter) Phase(name string, rows int64) {
	p.set(func() {
		p.rows.Store(0)
		p.now = Progress{Phase: name, RowsTotal: rows}
	})
}

// Rows counts rows of the phase that are done with.
func (p *reporter) Rows(n int64) {
	if p != nil {
		p.rows.Add(n)
	}
}

// Chunks says how many of the chunks are done with.
func (p *reporter) Chunks(done, total int) {
	p.set(func() { p.now.ChunksDone, p.now.ChunksTotal = done, total })
}

func (p *reporter) set(change func()) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// flush writes down what changed. Nothing depends on it: what cannot be written now is, half a second later.
func (p *reporter) flush(ctx context.Context, pool *pgxpool.Pool, run int64) {
	p.mu.Lock()
	now := p.now
	now.RowsDone = p.rows.Load()
	p.mu.Unlock()
	if now.Phase == "" || now == p.written {
		return
	}
	_, err := pool.Exec(ctx, `
		INSERT INTO headwater.run_progress AS p (run_id, phase, rows_done, rows_total, chunks_done, chunks_total, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
		ON CONFLICT (run_id) DO UPDATE SET phase = excluded.phase, rows_done = excluded.rows_done, rows_total = excluded.rows_total,
			chunks_done = excluded.chunks_done, chunks_total = excluded.chunks_total, updated_at = excluded.updated_at`,
		run, now.Phase, now.RowsDone, now.RowsTotal, now.ChunksDone, now.ChunksTotal)
	if err == nil {
		p.written = now
	}
}
