package window

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/headwaterhq/headwater/feature"
)

// Engine computes one run: rows go in with Add, then Run emits the history.
type Engine struct {
	plan    *Plan
	within  Range
	options Options
	store   store
	// recalled holds what the history has at the start of the range, in the parts of store.
	recalled store
	counts   Counts
}

// Options is what an engine may use.
type Options struct {
	// Workers sweep at once. Zero: as many as there are processors.
	Workers int
	// Memory is how many bytes of rows are held before they go to a file, and Folder where that file is. Zero and empty:
	// 128 MiB, and the system's folder for temporary files.
	Memory int64
	Folder string
}

const defaultMemory = 128 << 20

// Counts says what became of the rows that went in. Each row is in one of them.
type Counts struct {
	// Used is rows that are in a window at a point of the range, or at its start.
	Used int64
	// NoKey is rows in which a join key is NULL, NotKept those of which the view's where is not true, NoFilter those of which
	// no aggregate's is.
	NoKey, NotKept, NoFilter int64
	// TooLate is rows that became available after they would have left every window, NotYet those that do so after the
	// range, Before those that had left every window before it.
	TooLate, NotYet, Before int64
}

func (c *Counts) merge(d *Counts) {
	c.Used += d.Used
	c.NoKey += d.NoKey
	c.NotKept += d.NotKept
	c.NoFilter += d.NoFilter
	c.TooLate += d.TooLate
	c.NotYet += d.NotYet
	c.Before += d.Before
}

// Refusal is an error of the rows: a value that cannot be computed of them.
type Refusal struct{ err error }

func (r *Refusal) Error() string { return r.err.Error() }
func (r *Refusal) Unwrap() error { return r.err }

// New makes an engine for the grid points of a range. The caller calls Close.
func New(plan *Plan, within Range, options Options) *Engine {
	if options.Workers == 0 {
		options.Workers = runtime.GOMAXPROCS(0)
	}
	if options.Memory == 0 {
		options.Memory = defaultMemory
	}
	e := &Engine{plan: plan, within: within, options: options}
	e.store.budget, e.store.folder = options.Memory, options.Folder
	e.recalled.budget, e.recalled.folder = options.Memory, options.Folder
	return e
}

// Add takes a row, of which nothing is kept that is the caller's. Rows that Plan.Reads does not ask for do no harm.
func (e *Engine) Add(r *Row) error {
	switch {
	case r.Key == nil:
		e.counts.NoKey++
		return nil
	case !r.Kept:
		e.counts.NotKept++
		return nil
	}
	return e.store.add(e.plan, r)
}

// Recall takes what the history has of an entity at the start of the range: the values of its last row by then, of which
// nothing is kept that is the caller's. Changes are told from those, as rows that came or went since an earlier run may
// have made them others. An entity that is not recalled has no row. Not for a range that begins the history.
func (e *Engine) Recall(key []byte, values []feature.Value) error {
	return e.recalled.recall(e.plan, key, values)
}

// outBatch is how many rows pass from a worker to the caller of Run at once.
const outBatch = 512

// Run calls emit for each row of the history within the range: those of an entity in the order of their times, entities in
// no particular order. A row is valid only during the call. It is called once, after the last Add.
func (e *Engine) Run(ctx context.Context, emit func(*feature.Row) error) (Counts, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make(chan []feature.Row, 2*e.options.Workers)
	var next atomic.Int64
	var workers sync.WaitGroup
	var merging sync.Mutex
	for range e.options.Workers {
		workers.Go(func() {
			w := &worker{engine: e, ctx: ctx, out: out}
			err := w.run(&next)
			if err != nil {
				cancel(err)
			}
			merging.Lock()
			defer merging.Unlock()
			e.counts.merge(&w.counts)
		})
	}
	go func() {
		workers.Wait()
		close(out)
	}()
	for rows := range out {
		for i := range rows {
			if ctx.Err() != nil {
				break
			}
			if err := emit(&rows[i]); err != nil {
				cancel(err)
			}
		}
	}
	return e.counts, context.Cause(ctx)
}

// Close lets go of the rows.
func (e *Engine) Close() error { return errors.Join(e.store.close(), e.recalled.close()) }

// worker sweeps one part after another.
type worker struct {
	engine *Engine
	ctx    context.Context
	out    chan<- []feature.Row
	counts Counts
	rows   []feature.Row
	values []feature.Value
}

func (w *worker) run(next *atomic.Int64) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	b := newBatch(w.engine.plan)
	s := newSweep(w.engine.plan, w.engine.within, w.emit)
	for {
		n := int(next.Add(1)) - 1
		if n >= partitions {
			return w.flush()
		}
		rows, recalled := w.engine.store.parts[n].rows, w.engine.recalled.parts[n].rows
		if rows == 0 && recalled == 0 {
			continue
		}
		if b.raw, err = w.engine.store.take(n, b.raw[:0]); err != nil {
			return err
		}
		b.decode(rows, w.engine.within, &w.counts)
		if b.rawRecalled, err = w.engine.recalled.take(n, b.rawRecalled[:0]); err != nil {
			return err
		}
		b.recall(recalled)
		b.group()
		for i := range b.keys {
			b.fill(i, s.entity)
			b.recalledOf(i, s.recalled)
			if err := s.run(); err != nil {
				return err
			}
		}
	}
}

func (w *worker) emit(key string, at feature.Time, values []feature.Value) error {
	if w.rows == nil {
		w.rows = make([]feature.Row, 0, outBatch)
		w.values = make([]feature.Value, 0, outBatch*len(values))
	}
	from := len(w.values)
	w.values = append(w.values, values...)
	w.rows = append(w.rows, feature.Row{Key: key, EventTime: at, AvailableAt: at, Values: w.values[from:len(w.values):len(w.values)]})
	if len(w.rows) == outBatch {
		return w.flush()
	}
	return nil
}

func (w *worker) flush() error {
	if len(w.rows) == 0 {
		return nil
	}
	select {
	case w.out <- w.rows:
		w.rows, w.values = nil, nil
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}
