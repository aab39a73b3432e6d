package tabular

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/parquet"
	parquetfile "github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/headwaterhq/headwater/feature"
)

// recordSource is a columnar file as it is: record batches of its own schema, then io.EOF.
type recordSource interface {
	Schema() *arrow.Schema
	Read() (arrow.RecordBatch, error)
}

// maxColumnBytes is more than a buffer of text with 32-bit offsets holds: what a damaged file announces beyond it is not made
// room for.
const maxColumnBytes = 1 << 32

// maxParquetBytes bounds a buffer of a batch of a Parquet file: a text that is written once and repeated by its number takes nothing in the
// file, and its whole length for each row when it is read. Tests make it less.
var maxParquetBytes int64 = 1 << 30

// batchBytes is about how much of a Parquet file becomes one batch.
const batchBytes = 64 << 20

// records opens the file with the library of its format.
func (f *File) records() (source recordSource, err error) {
	err = f.guarded(func() error {
		switch {
		case f.Format == FormatParquet:
			source, err = f.parquet()
		case f.isArrowFile():
			var r *ipc.FileReader
			if r, err = ipc.NewFileReader(f.content(), ipc.WithAllocator(boundedTo(maxColumnBytes))); err == nil {
				source = r
			}
		case !f.endsWith(arrowStreamEnd):
			err = io.ErrUnexpectedEOF
		default:
			from := &messages{r: f.content(), maxBody: f.Size, compressed: true, nested: true}
			source, err = ipc.NewReaderFromMessageReader(from, ipc.WithAllocator(boundedTo(maxColumnBytes)))
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	return source, err
}

// endsWith asks more of a stream than the format does, which lets one end anywhere between two batches: then a stream
// cut short could not be told from a whole one.
func (f *File) endsWith(end []byte) bool {
	tail := make([]byte, len(end))
	_, err := f.file.ReadAt(tail, max(f.Size-int64(len(end)), 0))
	return err == nil && string(tail) == string(end)
}

func (f *File) isArrowFile() bool {
	head := make([]byte, len(arrowMagic))
	_, err := f.file.ReadAt(head, 0)
	return err == nil && string(head) == string(arrowMagic)
}

func (f *File) parquet() (recordSource, error) {
	boundCodecs()
	within := boundedTo(maxParquetBytes)
	properties := parquet.NewReaderProperties(within)
	properties.BufferedStreamEnabled = true
	file, err := parquetfile.NewParquetReader(f.content(), parquetfile.WithReadProps(properties))
	if err != nil {
		return nil, err
	}
	reader, err := pqarrow.NewFileReader(file, pqarrow.ArrowReadProperties{BatchSize: parquetRows(file)}, within)
	if err != nil {
		return nil, err
	}
	schema, err := reader.Schema()
	if err != nil {
		return nil, err
	}
	if file.NumRows() == 0 {
		return emptySource{schema}, nil
	}
	records, err := reader.GetRecordReader(context.Background(), nil, nil)
	if err != nil {
		return nil, err
	}
	return parquetSource{records, file.NumRows()}, nil
}

// parquetRows is how many rows of a file become one batch: fewer where they are long.
func parquetRows(file *parquetfile.Reader) int64 {
	rows := int64(batchRows)
	for i := range file.NumRowGroups() {
		group := file.MetaData().RowGroup(i)
		if n, size := group.NumRows(), group.TotalByteSize(); n > 0 && size/n > 0 {
			rows = min(rows, max(1, batchBytes/(size/n)))
		}
	}
	return rows
}

// parquetSource is a Parquet file, which says how many rows it has.
type parquetSource struct {
	pqarrow.RecordReader
	rows int64
}

// emptySource is a file that has columns and no rows.
type emptySource struct{ schema *arrow.Schema }

func (e emptySource) Schema() *arrow.Schema            { return e.schema }
func (e emptySource) Read() (arrow.RecordBatch, error) { return nil, io.EOF }

// guarded turns what the format's library says of a damaged file into a fault, also where it panics. io.EOF passes.
func (f *File) guarded(read func() error) (err error) {
	defer func() {
		p := recover()
		if large, ok := p.(*tooLarge); ok {
			err = f.bad("found values that take %d bytes at once when they are unpacked, expected at most %d; write it with shorter values, or without a dictionary",
				large.found, large.limit)
			return
		}
		if p != nil {
			err = f.bad("found a damaged file, expected whole %s; copy or write it again", f.Format)
		}
	}()
	switch err = read(); {
	case err == nil || err == io.EOF:
		return err
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return f.bad("found a file that ends early, expected whole %s; copy or write it again", f.Format).Because(err)
	}
	return f.bad("found a file that cannot be read as %s, expected a whole one; copy or write it again", f.Format).Because(err)
}

type columnarBatches struct {
	file    *File
	source  recordSource
	columns []feature.Column
	schema  *arrow.Schema
	// fields is, for each column, its position in the file's schema.
	fields  []int
	notNull []bool
	row     int64
	// rows is how many there are, 0 where the format does not say.
	rows int64
}

func (f *File) readColumnar(columns []feature.Column, notNull []int) (batches, error) {
	source, err := f.records()
	if err != nil {
		return nil, err
	}
	found := fieldNames(source.Schema())
	if err := f.checkNames(columns, found); err != nil {
		return nil, err
	}
	b := &columnarBatches{
		file: f, source: source, columns: columns, schema: ArrowSchema(columns), notNull: flags(len(columns), notNull),
	}
	if p, ok := source.(parquetSource); ok {
		b.rows = p.rows
	}
	for _, c := range columns {
		i := slices.Index(found, c.Name)
		if err := f.checkConvertible(source.Schema().Field(i), c.Type); err != nil {
			return nil, err
		}
		b.fields = append(b.fields, i)
	}
	return b, nil
}

func fieldNames(s *arrow.Schema) []string {
	names := make([]string, s.NumFields())
	for i, f := range s.Fields() {
		names[i] = f.Name
	}
	return names
}

func (b *columnarBatches) next() (arrow.RecordBatch, error) {
	for {
		var record arrow.RecordBatch
		err := b.file.guarded(func() (err error) {
			record, err = b.source.Read()
			return err
		})
		if err != nil {
			return nil, err
		}
		if record.NumRows() == 0 {
			continue
		}
		arrays := make([]arrow.Array, len(b.columns))
		for i := range b.columns {
			if arrays[i], err = b.convert(record.Column(b.fields[i]), i); err != nil {
				return nil, err
			}
		}
		b.row += record.NumRows()
		return array.NewRecordBatch(b.schema, arrays, record.NumRows()), nil
	}
}

func (b *columnarBatches) done() float64 {
	if b.rows == 0 {
		return 0
	}
	return float64(b.row) / float64(b.rows)
}

func (b *columnarBatches) convert(a arrow.Array, i int) (arrow.Array, error) {
	c := &b.columns[i]
	at := func(row int) place { return place{row: b.row + int64(row) + 1, column: c.Name} }
	var result arrow.Array
	err := b.file.guarded(func() error {
		converted, row, err := convertArray(a, c.Type)
		if err != nil {
			return valueError{row, err}
		}
		result = converted
		return nil
	})
	if v := (valueError{}); errors.As(err, &v) {
		return nil, b.file.badAt(at(v.row), "%s", v.err)
	}
	if err != nil {
		return nil, err
	}
	if b.notNull[i] && result.NullN() > 0 {
		for row := range result.Len() {
			if result.IsNull(row) {
				return nil, b.file.badNull(at(row), c.Type)
			}
		}
	}
	return result, nil
}

// valueError is a value that does not fit, at a row of the batch, counting from 0.
type valueError struct {
	row int
	err error
}

func (v valueError) Error() string { return v.err.Error() }

func (f *File) inferColumnar(typed []feature.Column) ([]feature.Column, error) {
	source, err := f.records()
	if err != nil {
		return nil, err
	}
	schema := source.Schema()
	if err := f.checkDistinct(fieldNames(schema)); err != nil {
		return nil, err
	}
	columns := make([]feature.Column, schema.NumFields())
	for i, field := range schema.Fields() {
		t, given := typedAs(typed, field.Name)
		if !given {
			t = naturalType(field.Type)
		}
		if err := f.checkConvertible(field, t); err != nil {
			return nil, err
		}
		columns[i] = feature.Column{Name: field.Name, Type: t}
	}
	return columns, nil
}
