package online

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// aloneKeys is from how many commands on a read has a pipeline of its own: there is little to share, and its replies are taken
	// apart by whoever reads them, while they are in the processor's cache.
	aloneKeys = 32
	// maxBatchKeys is about how many commands a shared pipeline has at most: what comes behind a large one waits for all of it.
	maxBatchKeys = 256
	// backlog is how many reads must wait for another pipeline to be sent beside those that are under way.
	backlog = 32
	// smallFor is how long after a small read large ones leave room for the next.
	smallFor = time.Second
)

// batcher sends the commands of reads that come at the same time in one pipeline: fewer writes and reads of sockets, and fewer
// times that Redis and this process wake each other. While a few pipelines are under way others wait, so that they grow
// with the load. A read that comes when none is under way asks by itself, at once.
//
// A query is sent at most once. Where anything goes wrong, each read asks again for itself, by go-redis, with its repetitions and
// under its own deadline.
type batcher struct {
	pool *pool

	mu      sync.Mutex
	waiting []*waiter
	// queued are the waiters by the hash of their query, for reads that ask for the same.
	queued map[uint64]*waiter
	// workers is how many pipelines of small reads are under way.
	workers, maxWorkers int
	// alone has an element for each read that has a pipeline of its own, and is too large to share one. Redis executes what all
	// connections sent it before it answers the first: of a few pipelines it has all or none, and this process waits for it while it waits for
	// this process. So there are many, unless small reads would wait behind them: while there are such, each needs an element in beside
	// too, which has few.
	alone, beside chan struct{}
	// small is when a small read came last, since began; 0 is never.
	small atomic.Int64
}

// began is what times are counted from that no clock changes.
var began = time.Now()

func newBatcher(p *pool) *batcher {
	few := max(4, 2*runtime.GOMAXPROCS(0))
	// As many connections are left for small reads as they have pipelines, where there are enough.
	many := max(few, min(4*few, cap(p.places)-few))
	return &batcher{
		pool: p, queued: map[uint64]*waiter{}, maxWorkers: few, alone: make(chan struct{}, many), beside: make(chan struct{}, few),
	}
}

// waiter is a query in the queue, and those who wait for it.
type waiter struct {
	query *query
	hash  uint64
	done  []*signal
}

// signal tells one read that all of its queries are done.
type signal struct {
	left atomic.Int32
	done chan struct{}
}

// one of the queries is done.
func (s *signal) one() {
	if s.left.Add(-1) == 0 {
		s.done <- struct{}{}
	}
}

// lead reports whether the caller is to ask by itself, because no pipeline is under way. It calls led when it has asked.
func (b *batcher) lead() bool {
	b.small.Store(int64(time.Since(began)))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.workers > 0 {
		return false
	}
	b.workers++
	return true
}

// led has what came meanwhile asked for.
func (b *batcher) led() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) > 0 {
		go b.work()
	} else {
		b.workers--
	}
}

// fetch has all of the queries answered, and puts another in the place of one that is shared. When ctx ends first, its error is
// returned, and what was asked for is answered to nobody.
func (b *batcher) fetch(ctx context.Context, queries []*query, s *signal) error {
	s.left.Store(int32(len(queries)))
	b.mu.Lock()
	for i, q := range queries {
		hash := q.hash()
		if w := b.queued[hash]; w != nil && w.query.same(q) {
			w.query.holders.Add(1)
			w.done = append(w.done, s)
			queries[i] = w.query
			q.release()
			continue
		}
		// The worker's hold.
		q.holders.Add(1)
		w := &waiter{query: q, hash: hash, done: []*signal{s}}
		b.queued[hash] = w
		b.waiting = append(b.waiting, w)
	}
	if len(b.waiting) > 0 && (b.workers == 0 || b.workers < b.maxWorkers && len(b.waiting) >= backlog) {
		b.workers++
		go b.work()
	}
	b.mu.Unlock()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetchAlone has the queries answered in a pipeline of their own; see pool.fetch. The error is that of ctx.
func (b *batcher) fetchAlone(ctx context.Context, queries []*query, commands []command) ([]command, error) {
	select {
	case b.alone <- struct{}{}:
	case <-ctx.Done():
		return commands, ctx.Err()
	}
	defer func() { <-b.alone }()
	if small := b.small.Load(); small > 0 && time.Since(began)-time.Duration(small) < smallFor {
		select {
		case b.beside <- struct{}{}:
		case <-ctx.Done():
			return commands, ctx.Err()
		}
		defer func() { <-b.beside }()
	}
	return b.pool.fetch(ctx, queries, commands), ctx.Err()
}

// work sends pipelines until nothing waits.
func (b *batcher) work() {
	var batch []*waiter
	var queries []*query
	var commands []command
	for {
		if batch = b.take(batch[:0]); len(batch) == 0 {
			return
		}
		queries = queries[:0]
		for _, w := range batch {
			queries = append(queries, w.query)
		}
		commands = b.pool.fetch(context.Background(), queries, commands[:0])
		clear(commands)
		for i, w := range batch {
			for _, s := range w.done {
				s.one()
			}
			w.query.release()
			batch[i] = nil
		}
	}
}

// take takes what waits, as far as it fits into one pipeline, and ends the worker when there is nothing.
func (b *batcher) take(batch []*waiter) []*waiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	keys, n := 0, 0
	for _, w := range b.waiting {
		if len(batch) > 0 && keys+len(w.query.ends) > maxBatchKeys {
			break
		}
		n++
		delete(b.queued, w.hash)
		// Nobody waits for it any more but this worker.
		if w.query.holders.Load() == 1 {
			w.query.release()
			continue
		}
		keys += len(w.query.ends)
		batch = append(batch, w)
	}
	left := copy(b.waiting, b.waiting[n:])
	clear(b.waiting[left:])
	b.waiting = b.waiting[:left]
	if len(batch) == 0 {
		b.workers--
	}
	return batch
}
