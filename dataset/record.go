package dataset

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/read"
)

// recorder writes the rows of a result, and tells what the manifest says of them.
type recorder struct {
	rows      *fanout
	tally     *tally
	content   *contentHash
	writer    *tabular.StreamWriter
	bytesHash hash.Hash
	// hashes are those of the rows of a batch.
	hashes []uint64
}

func newRecorder(ctx context.Context, l *layout, timestamp string, out io.Writer) (*recorder, error) {
	tally, err := newTally(l, timestamp)
	if err != nil {
		return nil, err
	}
	r := &recorder{tally: tally, content: newContentHash(l.columns), bytesHash: sha256.New()}
	r.writer = tabular.NewStreamWriter(io.MultiWriter(out, r.bytesHash), l.columns, false)
	r.rows = newFanout(ctx, rowShape{columns: len(l.columns), statuses: len(l.plan.Columns), runs: len(l.plan.Views)}, r.write, r.tell)
	return r, nil
}

// next is room for a row and the statuses of its features, which add takes.
func (r *recorder) next() (row []feature.Value, statuses []read.Status, err error) {
	row, statuses, _, err = r.rows.next()
	return row, statuses, err
}

// add takes the row that next made room for, and what it was made of.
func (r *recorder) add(answers *read.Row) error {
	_, _, runs, err := r.rows.next()
	if err != nil {
		return err
	}
	for i := range runs {
		runs[i] = 0
		if w := answers.Winner(i); w.Status == read.Present || w.Status == read.Stale {
			runs[i] = w.RunSeq
		}
	}
	r.rows.add()
	return nil
}

func (r *recorder) write(b *rowBatch) error { return b.writeTo(r.writer) }

func (b *rowBatch) writeTo(w *tabular.StreamWriter) error {
	return w.AppendRows(b.values[:b.rows*b.shape.columns])
}

func (r *recorder) tell(b *rowBatch) error {
	r.hashes = slices.Grow(r.hashes[:0], b.rows)[:b.rows]
	r.content.addRows(b, func(n int, encoding []byte) { r.hashes[n] = xxh3.Hash(encoding) })
	r.tally.add(b, r.hashes)
	return nil
}

// end gives the result what there is to say of its rows, after the last, or after err.
func (r *recorder) end(res *result, err error) error {
	if err := r.rows.end(err); err != nil {
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
