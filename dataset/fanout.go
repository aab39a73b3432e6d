package dataset

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/read"
)

// fanout hands rows to several that each do something with all of them, in their order, beside each other and beside what makes the rows:
// while nothing is asked of Postgres there is nothing else that the processors could do. It is for one goroutine.
type fanout struct {
	shape rowShape
	group *errgroup.Group
	ctx   context.Context
	// to has the batches for each; spare are those that all are done with, and filling is the one that rows are added to.
	to      []chan *rowBatch
	spare   chan *rowBatch
	filling *rowBatch
}

// rowShape is what a row has: columns, and statuses and runs of as many features and views.
type rowShape struct{ columns, statuses, runs int }

// rowBatch is some rows, one after another. What their values hold is changed by nobody.
type rowBatch struct {
	shape       rowShape
	rows, bytes int
	values      []feature.Value
	statuses    []read.Status
	runs        []int64
	// left is how many have yet to be done with it.
	left atomic.Int32
}

const (
	// fanoutRows and fanoutBytes end a batch, the latter with the row that brings its text to that.
	fanoutRows  = 256
	fanoutBytes = 1 << 20
	// fanoutBatches is how many there are.
	fanoutBatches = 4
)

func newFanout(ctx context.Context, shape rowShape, each ...func(*rowBatch) error) *fanout {
	f := &fanout{shape: shape, spare: make(chan *rowBatch, fanoutBatches)}
	for range fanoutBatches {
		f.spare <- &rowBatch{
			shape: shape, values: make([]feature.Value, fanoutRows*shape.columns),
			statuses: make([]read.Status, fanoutRows*shape.statuses), runs: make([]int64, fanoutRows*shape.runs),
		}
	}
	f.group, f.ctx = errgroup.WithContext(ctx)
	for _, do := range each {
		// There is room for all batches there are.
		batches := make(chan *rowBatch, fanoutBatches)
		f.to = append(f.to, batches)
		f.group.Go(func() error { return protect(func() error { return f.take(batches, do) }) })
	}
	return f
}

func (f *fanout) take(batches <-chan *rowBatch, do func(*rowBatch) error) error {
	for b := range batches {
		if err := f.ctx.Err(); err != nil {
			return err
		}
		if err := do(b); err != nil {
			return err
		}
		if b.left.Add(-1) == 0 {
			f.spare <- b
		}
	}
	return nil
}

// next is room for a row, which add takes. Without an add between, it is the same again.
func (f *fanout) next() (row []feature.Value, statuses []read.Status, runs []int64, err error) {
	if f.filling == nil {
		select {
		case f.filling = <-f.spare:
			f.filling.rows, f.filling.bytes = 0, 0
		case <-f.ctx.Done():
			return nil, nil, nil, f.ctx.Err()
		}
	}
	row, statuses, runs = f.filling.at(f.filling.rows)
	return row, statuses, runs, nil
}

func (b *rowBatch) at(n int) (row []feature.Value, statuses []read.Status, runs []int64) {
	s := b.shape
	return b.values[n*s.columns : (n+1)*s.columns], b.statuses[n*s.statuses : (n+1)*s.statuses], b.runs[n*s.runs : (n+1)*s.runs]
}

// add takes the row that next made room for.
func (f *fanout) add() {
	b := f.filling
	row, _, _ := b.at(b.rows)
	for _, v := range row {
		b.bytes += tabular.SizeOf(v)
	}
	if b.rows++; b.rows == fanoutRows || b.bytes >= fanoutBytes {
		f.pass()
	}
}

func (f *fanout) pass() {
	b := f.filling
	f.filling = nil
	b.left.Store(int32(len(f.to)))
	for _, batches := range f.to {
		batches <- b
	}
}

// end waits until all rows that were added are done with. It is called whatever becomes of what makes the rows, which is to be protected. err is why there are no more, nil after the last: then it returns what failed here,
// and otherwise that only where it is what ended the rows.
func (f *fanout) end(err error) error {
	if err == nil && f.filling != nil && f.filling.rows > 0 {
		f.pass()
	}
	for _, batches := range f.to {
		close(batches)
	}
	stopped := f.ctx.Err() != nil
	if failed := f.group.Wait(); failed != nil && (err == nil || stopped) {
		return failed
	}
	return err
}
