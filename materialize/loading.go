package materialize

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

const (
	// loadBatch rows are offered to Redis at once. In a Redis Cluster they are of many slots, each of which is a call.
	loadBatch = 4096
	// maxLoadBytes bounds a batch of large rows; a few batches are in memory at a time.
	maxLoadBytes = 4 << 20
	// loadLanes keeps Redis busy while other batches are on their way to it, or their answers back.
	loadLanes = 3
)

// progress is how far a load is: all entities up to after are in the online store, and what became of them was counted.
type progress struct {
	after *string
	// Each entity was written or stale, and some of them were tombstones.
	written, stale, tombstones int64
	// winnersMicros is the time that finding the winners took, redisMicros that in which Redis had rows to take; both pass
	// at once.
	winnersMicros, redisMicros int64
}

// loading is one attempt at bringing entities of a view version into the online store: one connection streams them out of
// Postgres by their keys, batches of them go to Redis beside each other, and what Redis acknowledged without a gap is noted.
type loading struct {
	*loader
	// conn holds the view version's load lock.
	conn *pgx.Conn
	view *feature.ViewVersion
	// state is where the view version stood when the attempt began.
	state viewState
	// touched is the run whose entities are loaded; 0: all. withdrew is the run that tombstones name.
	touched, withdrew int64
	// recent leaves out entities that what was loaded lately does not touch; nil: none.
	recent *offline.Recent
	// first means that all entities with a row that is visible are those of the run.
	first bool
	// adding means that the online store probably has nothing of the entities yet: so it begins in a first load, and so it was
	// of most of the last batch that was acknowledged.
	adding atomic.Bool
	// save notes the progress; nil: nothing does.
	save     func(ctx context.Context, tx pgx.Tx, p progress) error
	progress progress
	// newest is the newest event time among the rows that Redis acknowledged in this attempt. nil: there was none.
	newest *feature.Time
	// told is told of rows; nil: nothing is.
	told *reporter

	winners stopwatch
	redis   stopwatch
}

// loadedBatch is some entities on their way to Redis, and what became of them.
type loadedBatch struct {
	number     int
	items      []online.Item
	bytes      int
	last       string
	tombstones int64
	due        dueKeys
	newest     *feature.Time
	result     online.Result
	err        error
}

// dueKeys are entities, and when the next row of each becomes current.
type dueKeys struct {
	keys  []string
	times []time.Time
}

func (d *dueKeys) add(e *offline.Entity) {
	if e.Due != nil {
		d.keys, d.times = append(d.keys, e.Key), append(d.times, e.Due.Time())
	}
}

func (l *loading) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	filled, acked := make(chan *loadedBatch), make(chan *loadedBatch, l.lanes)
	var readErr error
	go func() {
		defer close(filled)
		readErr = l.read(reading, filled)
	}()
	var lanes sync.WaitGroup
	for range l.lanes {
		lanes.Go(func() {
			for b := range filled {
				l.write(ctx, b)
				select {
				case acked <- b:
				case <-ctx.Done():
				}
			}
		})
	}
	go func() {
		lanes.Wait()
		close(acked)
	}()

	var failed error
	waiting, next := map[int]*loadedBatch{}, 0
	for b := range acked {
		if b.err != nil && failed == nil {
			// Those on their way may be acknowledged yet, and are noted if nothing is missing before them.
			failed = b.err
			stopReading()
		}
		waiting[b.number] = b
		var due dueKeys
		begun := next
		for n := waiting[next]; n != nil && n.err == nil; n = waiting[next] {
			delete(waiting, next)
			next++
			l.progress.after = &n.last
			l.progress.written += n.result.Written
			l.progress.stale += n.result.Stale
			l.progress.tombstones += n.tombstones
			l.told.Rows(n.result.Written + n.result.Stale)
			due.keys, due.times = append(due.keys, n.due.keys...), append(due.times, n.due.times...)
			if n.newest != nil {
				l.newest = newer(l.newest, *n.newest)
			}
		}
		if next == begun || ctx.Err() != nil {
			continue
		}
		if err := l.note(ctx, due); err != nil {
			failed = err
			cancel()
		}
	}
	if failed != nil {
		return failed
	}
	return readErr
}

// write offers a batch to Redis.
func (l *loading) write(ctx context.Context, b *loadedBatch) {
	l.redis.begin()
	defer l.redis.end()
	offer := l.writer.Write
	if l.adding.Load() {
		offer = l.writer.Add
	}
	b.result, b.err = offer(ctx, b.items)
	l.adding.Store(2*b.result.Added > int64(len(b.items)))
	b.items = nil
}

// note commits the progress, and when the entities are due again.
func (l *loading) note(ctx context.Context, due dueKeys) error {
	if err := l.reached(stepLoadBatch); err != nil {
		return err
	}
	if l.save == nil && len(due.keys) == 0 {
		return nil
	}
	return pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error {
		if err := insertDue(ctx, tx, l.view.ID, due); err != nil || l.save == nil {
			return err
		}
		p := l.progress
		p.winnersMicros += l.winners.total().Microseconds()
		p.redisMicros += l.redis.total().Microseconds()
		return l.save(ctx, tx, p)
	})
}

// read streams the entities out of Postgres, and fills batches with their rows.
func (l *loading) read(ctx context.Context, filled chan<- *loadedBatch) error {
	conn, err := connect(ctx, l.pool)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// A nested loop over the history's key is the plan; compiling it costs more than it saves.
	if _, err := conn.Exec(ctx, `SET jit = off`); err != nil {
		return err
	}
	l.winners.begin()
	defer l.winners.end()
	pack := &packer{view: l.view, layout: online.NewLayout(l.view.Stored()), state: l.state, withdrew: l.withdrew}
	number, b := 0, &loadedBatch{}
	send := func() error {
		l.winners.end()
		defer l.winners.begin()
		select {
		case filled <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
		number++
		b = &loadedBatch{number: number}
		return nil
	}
	var packed []byte
	c := offline.Current{
		View: l.view, Seq: l.state.PublishedSeq, Now: feature.TimeOf(l.now()), Touched: l.touched, Recent: l.recent, After: l.progress.after,
	}
	if l.first {
		c.Touched = 0
	}
	err = c.Winners(ctx, conn, func(e *offline.Entity) error {
		missing := e.Winner.Status != read.Present
		if missing && l.first && e.Due == nil {
			// Only a run that is not published has rows of it.
			return nil
		}
		if missing {
			b.tombstones++
		} else {
			b.newest = newer(b.newest, e.Winner.EventTime)
		}
		begin := len(packed)
		var err error
		if packed, err = pack.append(packed, e); err != nil {
			return err
		}
		b.items = append(b.items, online.Item{Entity: l.view.Entity, Key: e.Key, ViewID: l.view.ID, Packed: packed[begin:len(packed):len(packed)]})
		b.bytes += len(packed) - begin
		b.last = e.Key
		b.due.add(e)
		if len(b.items) == l.batch || b.bytes >= maxLoadBytes {
			packed = make([]byte, 0, len(packed))
			return send()
		}
		return nil
	})
	if err == nil && len(b.items) > 0 {
		err = send()
	}
	return err
}

// stopwatch measures how long at least one is at work.
type stopwatch struct {
	mu      sync.Mutex
	working int
	since   time.Time
	elapsed time.Duration
}

func (w *stopwatch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.working++; w.working == 1 {
		w.since = time.Now()
	}
}

func (w *stopwatch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.working--; w.working == 0 {
		w.elapsed += time.Since(w.since)
	}
}

func (w *stopwatch) total() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.working > 0 {
		return w.elapsed + time.Since(w.since)
	}
	return w.elapsed
}
