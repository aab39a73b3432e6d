package dataset

import (
	"cmp"
	"context"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/read"
)

// Difference is how two datasets differ.
type Difference struct {
	Same bool
	// MatchedBy says how rows were brought together.
	MatchedBy                      string
	RowsBoth, RowsOnlyA, RowsOnlyB int64
	// RowsDiffer are those of RowsBoth in which a column differs.
	RowsDiffer                 int64
	ColumnsOnlyA, ColumnsOnlyB []string
	// Columns are those of both, in the order of A, those that differ first.
	Columns  []ColumnDifference
	Examples []RowDifference
}

// ColumnDifference is a column of both datasets.
type ColumnDifference struct {
	Name string
	Rows int64
	// TypeA and TypeB are set where they differ; then values are not compared.
	TypeA, TypeB string
	// Runs are whose rows gave the values that differ, the most rows first. A value that is computed of rows of several views counts
	// with each view of which the runs differ.
	Runs []RunDifference
}

// RunDifference is a pair of runs as `VIEW@VERSION/SEQ`, empty where there was no row.
type RunDifference struct {
	A, B string
	Rows int64
}

// RowDifference is a row that differs; A and B are its numbers from 1, 0 where it is not there.
type RowDifference struct {
	A, B   int64
	Key    map[string]feature.Value
	Values []ValueDifference
}

// ValueDifference is a value that differs. The statuses are empty of what is no feature. Runs are those of all rows that it is
// computed of, by commas.
type ValueDifference struct {
	Column           string
	A, B             feature.Value
	StatusA, StatusB string
	RunA, RunB       string
}

// Side is a dataset with the plan that it was built by.
type Side struct {
	Manifest *Manifest
	Plan     *read.Plan
}

// differ compares two datasets as they are put together.
type differ struct {
	a, b     *tap
	d        *Difference
	examples int
	// part is how large a part of A may be that is in memory, in bytes of its file.
	part int64
	// columns are the positions of those that are compared, in a and b, and in d.Columns.
	columns [][3]int
	runs    []map[RunDifference]int64
}

// Diff computes two datasets again and compares them. Rows are brought together by their numbers where the spines are the same,
// else by the key columns and times that both have, those with equal ones in their order. At most a part of one of them is in
// memory at a time, however many rows have equal keys.
func (b *Builder) Diff(ctx context.Context, sa, sb Side, examples int) (*Difference, error) {
	d, whole, err := b.diff(ctx, sa, sb, examples, sa.Manifest.SpineDigest == sb.Manifest.SpineDigest && sa.Manifest.Rows == sb.Manifest.Rows)
	if err == nil && !whole {
		d, _, err = b.diff(ctx, sa, sb, examples, false)
	}
	return d, err
}

// diff compares by row number, or else by keys. whole is false, and there is no difference, where a number does not say which row
// of the spine it is.
func (b *Builder) diff(ctx context.Context, sa, sb Side, examples int, byNumber bool) (d *Difference, whole bool, err error) {
	d = &Difference{MatchedBy: "row number"}
	keysA, keysB := sharedKeys(sa, sb)
	buckets := 1
	if !byNumber {
		d.MatchedBy, buckets = strings.Join(keysA, ", "), diffBuckets
	}
	x := &differ{a: newTap(sa.Plan, keysA, buckets), b: newTap(sb.Plan, keysB, buckets), d: d, examples: examples, part: b.diffPart}
	defer x.a.close()
	defer x.b.close()
	for _, side := range []struct {
		Side
		tap *tap
	}{{sa, x.a}, {sb, x.b}} {
		if err := side.Manifest.checkReleased(); err != nil {
			return nil, false, err
		}
		_, differences, err := b.again(ctx, side.Manifest, side.Plan, io.Discard, side.tap)
		if err != nil {
			return nil, false, err
		}
		if len(differences) > 0 {
			return nil, false, fault.New(fault.DigestMismatch, "dataset %s cannot be had again: %s; nothing was compared", side.Manifest.ID,
				strings.Join(differences, "; "))
		}
	}
	if byNumber && (x.a.rows != x.a.spineRows || x.b.rows != x.b.spineRows) {
		return nil, false, nil
	}
	x.describe()
	for i := range x.a.dealt.buckets {
		var err error
		if byNumber {
			err = x.byNumber(x.a.dealt.buckets[i], x.b.dealt.buckets[i])
		} else {
			err = x.byKey(x.a.dealt.buckets[i], x.b.dealt.buckets[i])
		}
		if err != nil {
			return nil, false, err
		}
	}
	x.finish()
	return d, true, nil
}

// sharedKeys are the spines' columns that rows are brought together by: those of both that a view takes its keys from, of one
// type, and last the times.
func sharedKeys(a, b Side) (keysA, keysB []string) {
	typeOf := func(m *Manifest, name string) string {
		for _, c := range m.Columns {
			if c.Name == name && c.Origin == "spine" {
				return c.Type
			}
		}
		return ""
	}
	for _, plan := range []*read.Plan{a.Plan, b.Plan} {
		for i := range plan.Views {
			for _, name := range plan.Views[i].KeyColumns {
				if t := typeOf(a.Manifest, name); t != "" && t == typeOf(b.Manifest, name) && !slices.Contains(keysA, name) {
					keysA = append(keysA, name)
				}
			}
		}
	}
	slices.Sort(keysA)
	keysB = slices.Clone(keysA)
	return append(keysA, a.Manifest.TimestampColumn), append(keysB, b.Manifest.TimestampColumn)
}

func (x *differ) describe() {
	find := func(columns []feature.Column, name string) int {
		return slices.IndexFunc(columns, func(c feature.Column) bool { return c.Name == name })
	}
	for i, c := range x.a.columns {
		j := find(x.b.columns, c.Name)
		if j < 0 {
			x.d.ColumnsOnlyA = append(x.d.ColumnsOnlyA, c.Name)
			continue
		}
		column := ColumnDifference{Name: c.Name}
		if ta, tb := c.Type.String(), x.b.columns[j].Type.String(); ta != tb {
			column.TypeA, column.TypeB = ta, tb
		} else {
			x.columns = append(x.columns, [3]int{i, j, len(x.d.Columns)})
		}
		x.d.Columns = append(x.d.Columns, column)
		x.runs = append(x.runs, map[RunDifference]int64{})
	}
	for _, c := range x.b.columns {
		if find(x.a.columns, c.Name) < 0 {
			x.d.ColumnsOnlyB = append(x.d.ColumnsOnlyB, c.Name)
		}
	}
}

func (x *differ) byNumber(a, b *tapBucket) error {
	ra, err := a.read()
	if err != nil {
		return err
	}
	rb, err := b.read()
	if err != nil {
		return err
	}
	// One is pulled along the other; they have as many rows.
	next, stop := pull(rb)
	defer stop()
	for rowA, err := range ra.Rows() {
		if err != nil {
			return spoiled(err)
		}
		rowB, err := next()
		if err != nil {
			return spoiled(err)
		}
		x.compare(rowA, rowB)
	}
	return nil
}

// byKey compares the rows of a bucket of A with those of the bucket of B that has the same keys.
func (x *differ) byKey(a, b *tapBucket) error {
	size, err := a.size()
	if err != nil {
		return err
	}
	if size <= x.part {
		return x.byKeyInMemory(a, b)
	}
	partsA, err := x.a.split(a)
	if err != nil {
		return err
	}
	defer partsA.close()
	partsB, err := x.b.split(b)
	if err != nil {
		return err
	}
	defer partsB.close()
	for i := range partsA.buckets {
		if err := x.byKeyInMemory(partsA.buckets[i], partsB.buckets[i]); err != nil {
			return err
		}
	}
	return nil
}

func (x *differ) byKeyInMemory(a, b *tapBucket) error {
	ra, err := a.read()
	if err != nil {
		return err
	}
	waiting := map[string][][]feature.Value{}
	for row, err := range ra.Rows() {
		if err != nil {
			return spoiled(err)
		}
		kept := make([]feature.Value, len(row))
		for i, v := range row {
			kept[i] = v.Clone()
		}
		key := string(x.a.keyOf(row))
		waiting[key] = append(waiting[key], kept)
	}
	rb, err := b.read()
	if err != nil {
		return err
	}
	for row, err := range rb.Rows() {
		if err != nil {
			return spoiled(err)
		}
		key := string(x.b.keyOf(row))
		if rows := waiting[key]; len(rows) > 0 {
			x.compare(rows[0], row)
			waiting[key] = rows[1:]
			continue
		}
		x.d.RowsOnlyB++
		x.example(RowDifference{B: x.number(x.b, row), Key: x.keys(x.b, row)})
	}
	for _, rows := range waiting {
		for _, row := range rows {
			x.d.RowsOnlyA++
			x.example(RowDifference{A: x.number(x.a, row), Key: x.keys(x.a, row)})
		}
	}
	return nil
}

func (x *differ) number(t *tap, row []feature.Value) int64 { return row[len(t.columns)].Int64() }

func (x *differ) keys(t *tap, row []feature.Value) map[string]feature.Value {
	key := map[string]feature.Value{}
	for i, name := range t.keys {
		key[name] = row[t.key[i]].Clone()
	}
	return key
}

func (x *differ) compare(rowA, rowB []feature.Value) {
	x.d.RowsBoth++
	var values []ValueDifference
	for _, c := range x.columns {
		va, vb := rowA[c[0]], rowB[c[1]]
		if va.Equal(vb) {
			continue
		}
		column := &x.d.Columns[c[2]]
		column.Rows++
		v := ValueDifference{Column: column.Name, A: va.Clone(), B: vb.Clone()}
		runsA, runsB := x.a.runs(rowA, c[0]), x.b.runs(rowB, c[1])
		v.RunA, v.StatusA = runsA.text(), x.a.status(rowA, c[0])
		v.RunB, v.StatusB = runsB.text(), x.b.status(rowB, c[1])
		for _, pair := range pairs(runsA, runsB) {
			x.runs[c[2]][pair]++
		}
		values = append(values, v)
	}
	if len(values) == 0 {
		return
	}
	x.d.RowsDiffer++
	x.example(RowDifference{A: x.number(x.a, rowA), B: x.number(x.b, rowB), Key: x.keys(x.a, rowA), Values: values})
}

// example keeps the first rows that differ: those of both before those of one, then by number.
func (x *differ) example(r RowDifference) {
	x.d.Examples = append(x.d.Examples, r)
	if len(x.d.Examples) > 2*x.examples+64 {
		x.cut()
	}
}

func (x *differ) cut() {
	slices.SortFunc(x.d.Examples, func(p, q RowDifference) int {
		one := func(r RowDifference) int64 { return min(1, r.A) * min(1, r.B) }
		return cmp.Or(cmp.Compare(one(q), one(p)), cmp.Compare(max(p.A, (1-one(p))*p.B), max(q.A, (1-one(q))*q.B)), cmp.Compare(p.A, q.A))
	})
	x.d.Examples = x.d.Examples[:min(len(x.d.Examples), x.examples)]
}

func (x *differ) finish() {
	x.cut()
	d := x.d
	d.Same = d.RowsDiffer == 0 && d.RowsOnlyA == 0 && d.RowsOnlyB == 0 && len(d.ColumnsOnlyA) == 0 && len(d.ColumnsOnlyB) == 0
	for i := range d.Columns {
		c := &d.Columns[i]
		d.Same = d.Same && c.TypeA == c.TypeB
		for pair, rows := range x.runs[i] {
			c.Runs = append(c.Runs, RunDifference{A: pair.A, B: pair.B, Rows: rows})
		}
		slices.SortFunc(c.Runs, func(p, q RunDifference) int {
			return cmp.Or(cmp.Compare(q.Rows, p.Rows), cmp.Compare(p.A, q.A), cmp.Compare(p.B, q.B))
		})
	}
	slices.SortStableFunc(d.Columns, func(p, q ColumnDifference) int {
		differs := func(c ColumnDifference) int {
			if c.Rows > 0 || c.TypeA != c.TypeB {
				return 0
			}
			return 1
		}
		return cmp.Compare(differs(p), differs(q))
	})
}

// pull reads a stream row by row; the error at its end is io.ErrUnexpectedEOF.
func pull(r *tabular.StreamReader) (next func() ([]feature.Value, error), stop func()) {
	more, stop := iter.Pull2(r.Rows())
	return func() ([]feature.Value, error) {
		row, err, ok := more()
		if !ok {
			return nil, io.ErrUnexpectedEOF
		}
		return row, err
	}, stop
}
