package dataset

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"sync/atomic"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/read"
)

// recorder takes the rows of a result, writes them, and tells what the manifest says of them. Writing and telling are beside each other and
// beside what puts the rows together: after the last answer from Postgres there is nothing else that the processors could do.
type recorder struct {
	width, features, views int
	group                  *errgroup.Group
	ctx                    context.Context
	// written and told take each batch; spare are those that both are done with, and filling is the one that rows are added to.
	written, told chan *recorded
	spare         chan *recorded
	filling       *recorded
	tally         *tally
	content       *contentHash
	writer        *tabular.StreamWriter
	bytesHash     hash.Hash
}

// recorded is some rows of a result, and for each the statuses of its features and the runs that its views' winners are of, zero where
// there is none. What the values hold is kept by nobody else.
type recorded struct {
	rows, bytes int
	values      []feature.Value
	statuses    []read.Status
	runs        []int64
	// left is how many have yet to be done with it.
	left atomic.Int32
}

const (
	// recordedRows and recordedBytes end a batch, the latter with the row that brings its text to that.
	recordedRows  = 256
	recordedBytes = 1 << 20
	// recordedBatches is how many there are.
	recordedBatches = 4
)

func newRecorder(ctx context.Context, l *layout, timestamp string, out io.Writer) (*recorder, error) {
	tally, err := newTally(l, timestamp)
	if err != nil {
		return nil, err
	}
	r := &recorder{
		width: len(l.columns), features: len(l.plan.Columns), views: len(l.plan.Views), tally: tally, content: newContentHash(l.columns), bytesHash: sha256.New(),
		written: make(chan *recorded, recordedBatches), told: make(chan *recorded, recordedBatches), spare: make(chan *recorded, recordedBatches),
	}
	r.writer = tabular.NewStreamWriter(io.MultiWriter(out, r.bytesHash), l.columns, false)
	for range recordedBatches {
		r.spare <- &recorded{
			values: make([]feature.Value, recordedRows*r.width), statuses: make([]read.Status, recordedRows*r.features), runs: make([]int64, recordedRows*r.views),
		}
	}
	r.group, r.ctx = errgroup.WithContext(ctx)
	r.group.Go(func() error { return protect(func() error { return r.take(r.written, r.write) }) })
	r.group.Go(func() error { return protect(func() error { return r.take(r.told, r.tell) }) })
	return r, nil
}

// next is the room for a row and the statuses of its features, which add takes.
func (r *recorder) next() (row []feature.Value, statuses []read.Status, err error) {
	if r.filling == nil {
		select {
		case r.filling = <-r.spare:
			r.filling.rows, r.filling.bytes = 0, 0
		case <-r.ctx.Done():
			return nil, nil, context.Cause(r.ctx)
		}
	}
	n := r.filling.rows
	return r.filling.values[n*r.width : (n+1)*r.width], r.filling.statuses[n*r.features : (n+1)*r.features], nil
}

// add takes the row that next made room for, and what it was made of.
func (r *recorder) add(answers *read.Row) error {
	b := r.filling
	for i := range r.views {
		run := int64(0)
		if w := answers.Winner(i); w.Status == read.Present || w.Status == read.Stale {
			run = w.RunSeq
		}
		b.runs[b.rows*r.views+i] = run
	}
	for _, v := range b.values[b.rows*r.width : (b.rows+1)*r.width] {
		b.bytes += tabular.SizeOf(v)
	}
	if b.rows++; b.rows == recordedRows || b.bytes >= recordedBytes {
		return r.pass()
	}
	return nil
}

// pass hands the batch over. There is room for all of them.
func (r *recorder) pass() error {
	b := r.filling
	if b == nil {
		return r.ctx.Err()
	}
	r.filling = nil
	b.left.Store(2)
	r.written <- b
	r.told <- b
	return r.ctx.Err()
}

func (r *recorder) take(batches <-chan *recorded, do func(*recorded) error) error {
	for {
		select {
		case b, ok := <-batches:
			if !ok {
				return nil
			}
			if err := do(b); err != nil {
				return err
			}
			if b.left.Add(-1) == 0 {
				r.spare <- b
			}
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
	}
}

func (r *recorder) write(b *recorded) error {
	for n := range b.rows {
		if err := r.writer.Append(b.values[n*r.width : (n+1)*r.width]); err != nil {
			return err
		}
	}
	return nil
}

func (r *recorder) tell(b *recorded) error {
	for n := range b.rows {
		row := b.values[n*r.width : (n+1)*r.width]
		r.tally.add(row, xxh3.Hash(r.content.add(row)), b.statuses[n*r.features:(n+1)*r.features], b.runs[n*r.views:(n+1)*r.views])
	}
	return nil
}

// end waits for what was taken, after err, or after the last row where that is nil, and gives the result what there is to say of the rows.
// Where it fails it returns why, in the first place what failed here.
func (r *recorder) end(res *result, err error) error {
	if err == nil {
		err = r.pass()
	}
	close(r.written)
	close(r.told)
	if failed := r.group.Wait(); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	if err := r.writer.Close(); err != nil {
		return err
	}
	r.tally.finish(res)
	res.content = r.content.digest()
	r.bytesHash.Sum(res.arrowSHA256[:0])
	return nil
}
