package dataset

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/read"
)

const (
	// diffBuckets is how many parts rows are dealt into by their keys, so that only those of one are in memory at a time.
	diffBuckets = 64
	// diffPart is what such a part may take on disk. One that takes more is dealt again, so that rows with equal keys are apart.
	diffPart = 16 << 20
	// dealtBatch is what ends a batch of a part: as many as there are parts are in memory.
	dealtBatch = 256 << 10
)

// rowTap is told of a result while it is put together: how many rows its spine has, its columns and those that are read beside it, each row, also where a rule leaves it out,
// and its end.
type rowTap interface {
	spine(rows int64)
	begin(l *layout, beside []slotOf) error
	add(row []feature.Value, answers *read.Row) error
	leftOut(row []feature.Value, answers *read.Row) error
	end() error
}

// tap takes what a result is made of aside, row by row: its values, the number of each row, the run of each of the plan's views,
// and the status of each of its columns.
type tap struct {
	plan    *read.Plan
	keys    []string
	dealt   *deal
	columns []feature.Column
	// features is for each of columns the position in the plan of the feature that it is, or -1, and views the positions in the
	// plan of the views whose rows it is made of.
	features []int
	views    [][]int
	key      []int
	buf      []byte
	row      []feature.Value
	// rows are those of the result, spineRows those of the spine.
	rows, spineRows int64
}

// newTap deals rows into n buckets by the columns called keys.
func newTap(plan *read.Plan, keys []string, n int) *tap {
	return &tap{plan: plan, keys: keys, dealt: &deal{buckets: make([]*tapBucket, n)}}
}

func (t *tap) close() { t.dealt.close() }

func (t *tap) spine(rows int64) { t.spineRows = rows }

func (t *tap) begin(l *layout, _ []slotOf) error {
	t.columns = l.columns
	t.features, t.views = make([]int, len(l.columns)), make([][]int, len(l.columns))
	for i := range l.columns {
		t.features[i] = -1
	}
	for i := range t.plan.Columns {
		at := l.at(i)
		t.features[at] = i
		t.views[at] = t.plan.ViewsOf(&t.plan.Columns[i])
		if l.each == 2 {
			t.views[at+1] = t.views[at]
		}
	}
	for _, name := range t.keys {
		t.key = append(t.key, slices.IndexFunc(l.columns, func(c feature.Column) bool { return c.Name == name }))
	}
	return t.dealt.begin(t.all())
}

// all is the columns of what is taken aside.
func (t *tap) all() []feature.Column {
	all := append(slices.Clone(t.columns), feature.Column{Name: "#row", Type: feature.TypeInt64})
	for i := range t.plan.Views {
		all = append(all, feature.Column{Name: fmt.Sprintf("#run%d", i), Type: feature.TypeInt64})
	}
	for i := range t.plan.Columns {
		all = append(all, feature.Column{Name: fmt.Sprintf("#status%d", i), Type: feature.TypeInt64})
	}
	return all
}

// keyOf is the canonical encoding of a row's key.
func (t *tap) keyOf(row []feature.Value) []byte {
	t.buf = t.buf[:0]
	for _, i := range t.key {
		t.buf = row[i].AppendCanonical(t.buf)
	}
	return t.buf
}

func (t *tap) add(row []feature.Value, answers *read.Row) error {
	t.rows++
	t.row = append(append(t.row[:0], row...), feature.Int64(t.rows))
	for i := range t.plan.Views {
		seq := int64(0)
		if w := answers.Winner(i); w.Status == read.Present {
			seq = w.RunSeq
		}
		t.row = append(t.row, feature.Int64(seq))
	}
	for i := range t.plan.Columns {
		_, status := answers.Value(&t.plan.Columns[i])
		t.row = append(t.row, feature.Int64(int64(status)))
	}
	return t.dealt.add(t.row, t.keyOf(row))
}

func (t *tap) leftOut([]feature.Value, *read.Row) error { return nil }

func (t *tap) end() error { return t.dealt.end() }

// split deals the rows of a bucket again, by their key and by how many of the same key are before them: those of one key are
// in many parts then, and the n-th of them here is where the n-th is of another dataset.
func (t *tap) split(b *tapBucket) (_ *deal, err error) {
	d := &deal{buckets: make([]*tapBucket, diffBuckets)}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if err := d.begin(t.all()); err != nil {
		return nil, err
	}
	r, err := b.read()
	if err != nil {
		return nil, err
	}
	seen := map[[16]byte]uint64{}
	for row, err := range r.Rows() {
		if err != nil {
			return nil, spoiled(err)
		}
		sum := sha256.Sum256(t.keyOf(row))
		key := [16]byte(sum[:])
		seen[key]++
		if err := d.add(row, binary.BigEndian.AppendUint64(key[:], seen[key])); err != nil {
			return nil, err
		}
	}
	return d, d.end()
}

// status is why a column of a row has no value, empty of what is no feature.
func (t *tap) status(row []feature.Value, column int) string {
	i := t.features[column]
	if i < 0 {
		return ""
	}
	return read.Status(row[len(t.columns)+1+len(t.plan.Views)+i].Int64()).String()
}

// viewRun is the run of the row of one view, as its prefix and name identify it in plans of other versions; run is empty where
// there is no row.
type viewRun struct{ view, run string }

type viewRuns []viewRun

// runs are those of the rows that a column of a row is made of.
func (t *tap) runs(row []feature.Value, column int) viewRuns {
	var runs viewRuns
	for _, i := range t.views[column] {
		v := &t.plan.Views[i]
		r := viewRun{view: v.Prefix + "\x00" + v.Version.Name}
		if seq := row[len(t.columns)+1+i].Int64(); seq != 0 {
			r.run = fmt.Sprintf("%s/%d", v.Version.Ref(), seq)
		}
		runs = append(runs, r)
	}
	return runs
}

// text is the runs that there are, each once, by commas.
func (r viewRuns) text() string {
	var runs []string
	for _, v := range r {
		if v.run != "" && !slices.Contains(runs, v.run) {
			runs = append(runs, v.run)
		}
	}
	return strings.Join(runs, ", ")
}

// pairs are the runs of the views of which they differ, each pair once; or, where they do of none, of all that have a row: then the
// difference is not of them.
func pairs(a, b viewRuns) []RunDifference {
	var all, differ []RunDifference
	add := func(runA, runB string) {
		p := RunDifference{A: runA, B: runB}
		to := &differ
		if runA == runB {
			to = &all
		}
		if runA+runB != "" && !slices.Contains(*to, p) {
			*to = append(*to, p)
		}
	}
	for _, r := range a {
		i := slices.IndexFunc(b, func(o viewRun) bool { return o.view == r.view })
		if i < 0 {
			add(r.run, "")
			continue
		}
		add(r.run, b[i].run)
	}
	for _, r := range b {
		if !slices.ContainsFunc(a, func(o viewRun) bool { return o.view == r.view }) {
			add("", r.run)
		}
	}
	if len(differ) > 0 {
		return differ
	}
	return all
}

// deal is rows in buckets, those of equal keys in one.
type deal struct{ buckets []*tapBucket }

type tapBucket struct {
	file   scratch
	buffer *bufio.Writer
	writer *tabular.StreamWriter
}

func (d *deal) begin(columns []feature.Column) error {
	for i := range d.buckets {
		file, err := newScratch()
		if err != nil {
			return err
		}
		b := &tapBucket{file: file, buffer: bufio.NewWriterSize(file, 64<<10)}
		b.writer = tabular.NewStreamWriter(b.buffer, columns, false)
		b.writer.EndBatchesAt(dealtBatch)
		d.buckets[i] = b
	}
	return nil
}

func (d *deal) add(row []feature.Value, key []byte) error {
	b := d.buckets[0]
	if len(d.buckets) > 1 {
		h := fnv.New64a()
		h.Write(key)
		b = d.buckets[h.Sum64()%uint64(len(d.buckets))]
	}
	return b.writer.Append(row)
}

func (d *deal) end() error {
	for _, b := range d.buckets {
		if err := b.writer.Close(); err != nil {
			return err
		}
		if err := b.buffer.Flush(); err != nil {
			return err
		}
		b.writer, b.buffer = nil, nil
	}
	return nil
}

func (d *deal) close() {
	for _, b := range d.buckets {
		if b != nil {
			b.file.close()
		}
	}
}

// size is what a bucket takes on disk.
func (b *tapBucket) size() (int64, error) {
	info, err := b.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// read opens a bucket. A row is used only until the next.
func (b *tapBucket) read() (*tabular.StreamReader, error) {
	r, err := b.file.content()
	if err != nil {
		return nil, err
	}
	return tabular.NewOwnStreamReader(bufio.NewReaderSize(r, 256<<10))
}
