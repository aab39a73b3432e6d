package materialize

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
)

const (
	// defaultChunkRows is about how many rows a chunk reads: few enough that comparing them needs no disk, and many enough that
	// there are not many passes over a source that is not in the order of time.
	defaultChunkRows = 1_000_000
	// defaultChunkWorkers is how many chunks of one run are at work at once.
	defaultChunkWorkers = 2
)

// chunk is a part of a run that is computed and written by itself.
type chunk struct {
	number int
	spans  offline.Spans
	// written is nil until it is done.
	written *offline.Written
}

// loadChunks reads the chunks of a run, in their order. None: it is not cut.
func loadChunks(ctx context.Context, q database.Querier, run int64) ([]*chunk, error) {
	rows, err := q.Query(ctx, `
		SELECT chunk, spans::text, done_at IS NOT NULL, produced, inserted, withdrawn, live_change, digest, transform_micros, write_micros, screened, corrected, profile
		FROM headwater.run_chunk WHERE run_id = $1 ORDER BY chunk`, run)
	if err != nil {
		return nil, err
	}
	chunks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*chunk, error) {
		c, w := &chunk{}, &offline.Written{}
		var spans string
		var done bool
		var digest []byte
		var transform, write int64
		err := row.Scan(&c.number, &spans, &done, &w.Produced, &w.Inserted, &w.Withdrawn, &w.LiveChange, &digest, &transform, &write, &w.Screened, &w.Corrected, &w.Observed)
		if err != nil || !done {
			return c, err
		}
		w.Unchanged = w.Produced - w.Inserted
		w.Transform, w.Write = time.Duration(transform)*time.Microsecond, time.Duration(write)*time.Microsecond
		w.Digest = feature.Digest(digest)
		c.written = w
		return c, nil
	})
	if err != nil {
		return nil, err
	}
	for _, c := range chunks {
		c.spans, err = offline.ReadSpans(ctx, q, "spans", `FROM headwater.run_chunk WHERE run_id = $1 AND chunk = $2`, run, c.number)
		if err != nil {
			return nil, err
		}
	}
	return chunks, nil
}

// chunks are those that an earlier attempt cut the run into, or those that it is to be cut into now, which are then kept with
// it. None: it is written whole.
func (rn *runner) chunks(ctx context.Context, l *lease, r *Run, t *offline.Transform) ([]*chunk, error) {
	chunks, err := loadChunks(ctx, rn.pool, r.ID)
	if err != nil || len(chunks) > 0 {
		return chunks, err
	}
	before, err := lastCut(ctx, rn.pool, r.ViewID, t.Plan.After)
	if err != nil {
		return nil, err
	}
	cut, err := t.Cut(ctx, rn.chunkRows, before)
	if err != nil || len(cut) == 0 {
		return nil, err
	}
	err = pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error {
		if err := l.fence(ctx, tx); err != nil {
			return err
		}
		for i, spans := range cut {
			chunks = append(chunks, &chunk{number: i + 1, spans: spans})
			_, err := tx.Exec(ctx, `INSERT INTO headwater.run_chunk (run_id, chunk, spans) VALUES ($1, $2, $3::text::tstzmultirange)`,
				r.ID, i+1, spans.Multirange())
			if err != nil {
				return err
			}
		}
		return t.BeginChunks(ctx, tx, r.Seq)
	})
	if err != nil {
		return nil, err
	}
	return chunks, rn.reached(stepCut)
}

// writeChunks computes and writes the chunks that are not done, several at once, and returns what all of them did.
func (rn *runner) writeChunks(ctx context.Context, l *lease, r *Run, t *offline.Transform, chunks []*chunk, timer *phases) (*offline.Written, error) {
	began := time.Now()
	var waiting []*chunk
	for _, c := range chunks {
		if c.written == nil {
			waiting = append(waiting, c)
		} else {
			r.progress.Rows(c.written.Produced)
		}
	}
	var done atomic.Int64
	done.Store(int64(len(chunks) - len(waiting)))
	r.progress.Chunks(int(done.Load()), len(chunks))
	if err := rn.shareChunks(ctx, l, r, t, waiting, func() { r.progress.Chunks(int(done.Add(1)), len(chunks)) }); err != nil {
		return nil, err
	}
	all := &offline.Written{}
	for _, c := range chunks {
		all.Add(c.written)
	}
	// Chunks are at work at once: the parts of their time are shares of the time that all of it took.
	took := time.Since(began)
	transform := took
	if busy := all.Transform + all.Write; busy > 0 {
		transform = time.Duration(float64(took) * float64(all.Transform) / float64(busy))
	}
	timer.add("transform", transform)
	timer.add("write", took-transform)
	parts := make([][]byte, len(chunks))
	for i, c := range chunks {
		parts[i] = c.written.Observed
	}
	if err := r.observed(l.view, parts...); err != nil {
		return nil, err
	}
	if err := rn.reached(stepChunksDone); err != nil {
		return nil, err
	}
	writer, err := connect(ctx, rn.pool)
	if err != nil {
		return nil, err
	}
	defer writer.Close(context.WithoutCancel(ctx))
	if err := t.EndChunks(ctx, writer, r.Seq, all.Produced, l.fence); err != nil {
		return nil, err
	}
	timer.end("key")
	return all, nil
}

// shareChunks has workers take one chunk after the other, and tells of each that is done. The first error ends all of them.
func (rn *runner) shareChunks(ctx context.Context, l *lease, r *Run, t *offline.Transform, waiting []*chunk, tell func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := make(chan *chunk, len(waiting))
	for _, c := range waiting {
		next <- c
	}
	close(next)
	// A snapshot is handed on by its own connection, by one after the other.
	var fork sync.Mutex
	errs := make([]error, min(rn.chunkWorkers, len(waiting)))
	panics := make([]any, len(errs))
	var workers sync.WaitGroup
	for i := range errs {
		workers.Go(func() {
			// One of them ends the job, as it would without workers, and not the process.
			defer func() {
				if panics[i] = recover(); panics[i] != nil {
					cancel()
				}
			}()
			errs[i] = rn.chunkWorker(ctx, l, r, func(conn *pgx.Conn) (*offline.Transform, error) {
				fork.Lock()
				defer fork.Unlock()
				return t.Fork(ctx, conn)
			}, next, tell)
			if errs[i] != nil {
				cancel()
			}
		})
	}
	workers.Wait()
	for _, p := range panics {
		if p != nil {
			panic(p)
		}
	}
	// What cancelling did to the others says nothing.
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(errs...)
}

// chunkWorker computes and writes chunks until there are no more.
func (rn *runner) chunkWorker(ctx context.Context, l *lease, r *Run, fork func(*pgx.Conn) (*offline.Transform, error), next <-chan *chunk,
	tell func(),
) error {
	reader, err := connect(ctx, rn.pool)
	if err != nil {
		return err
	}
	defer reader.Close(context.WithoutCancel(ctx))
	writer, err := connect(ctx, rn.pool)
	if err != nil {
		return err
	}
	defer writer.Close(context.WithoutCancel(ctx))
	t, err := fork(reader)
	if err != nil {
		return err
	}
	defer func() { _ = t.Close(ctx) }()
	for c := range next {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := rn.reached(stepChunk); err != nil {
			return err
		}
		c.written, err = offline.WriteChunk(ctx, writer, t, r.Seq, c.spans, l.fence, func(ctx context.Context, tx pgx.Tx, w *offline.Written) error {
			if err := chunkDone(ctx, tx, r.ID, c.number, w); err != nil {
				return err
			}
			return rn.reached(stepChunkWritten)
		})
		if err != nil {
			return err
		}
		tell()
		if err := rn.reached(stepChunkDone); err != nil {
			return err
		}
	}
	return nil
}

func chunkDone(ctx context.Context, tx pgx.Tx, run int64, number int, w *offline.Written) error {
	_, err := tx.Exec(ctx, `
		UPDATE headwater.run_chunk SET done_at = clock_timestamp(), produced = $3, inserted = $4, withdrawn = $5, live_change = $6,
			digest = $7, transform_micros = $8, write_micros = $9, screened = $10, corrected = $11, profile = $12
		WHERE run_id = $1 AND chunk = $2`,
		run, number, w.Produced, w.Inserted, w.Withdrawn, w.LiveChange, w.Digest[:], w.Transform.Microseconds(), w.Write.Microseconds(), w.Screened, orNone(w.Corrected), w.Observed)
	return err
}

// orNone keeps null out of a column that holds an object.
func orNone(corrected map[int64]int64) map[int64]int64 {
	if corrected == nil {
		corrected = map[int64]int64{}
	}
	return corrected
}

// hasChunks reports whether an attempt cut the run into chunks: another one then goes on with it, under its sequence.
func hasChunks(ctx context.Context, q database.Querier, run int64) (has bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.run_chunk WHERE run_id = $1)`, run).Scan(&has)
	return has, err
}

// undo takes back all that a run wrote which is given up, or is to begin anew.
func undo(ctx context.Context, tx pgx.Tx, view *feature.ViewVersion, run, seq int64) error {
	if err := offline.Undo(ctx, tx, view, seq); err != nil {
		return err
	}
	if err := quality.Undo(ctx, tx, view.ID, seq); err != nil {
		return err
	}
	if err := offline.ForgetKept(ctx, tx, run); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM headwater.run_chunk WHERE run_id = $1`, run)
	return err
}
