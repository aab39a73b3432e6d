package tabular

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A Parquet row group, and a batch of an Arrow file, ends with row groupRows of it, or with the row that brings its values to
// groupBytes. So the bytes of a file depend on its rows alone, and not on the batches they came in, and wide rows do not make
// groups that readers cannot hold.
const (
	groupRows  = 128 << 10
	groupBytes = 64 << 20
)

// Writer writes record batches of one schema in one format.
type Writer struct {
	encode encoder
	// grouped says that encode is given groups, which end with so many rows or bytes; else it is given batches as they come.
	grouped            bool
	mostRows, endBytes int64
	pending            []arrow.RecordBatch
	// rows and bytes are those of pending.
	rows, bytes int64
	schema      *arrow.Schema
}

type encoder interface {
	write(arrow.RecordBatch) error
	close() error
}

// NewWriter writes rows of a schema that ArrowSchema made, in a format other than FormatUnknown, to w. In CSV a NULL is an empty
// cell without quotes, and text or bytes that are empty are ""; in NDJSON a NULL is null, and NaN and the infinities are text. Bytes are in base64; lists and vectors are JSON arrays in both.
func NewWriter(w io.Writer, format Format, schema *arrow.Schema) (*Writer, error) {
	columns, err := ColumnsOf(schema)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "%s", err).Because(err)
	}
	schema = ArrowSchema(columns)
	result := &Writer{schema: schema, grouped: true, mostRows: groupRows, endBytes: groupBytes}
	switch format {
	case FormatParquet:
		// Bytes that depend on the data alone need every property fixed here, and no metadata beside the schema.
		boundCodecs()
		properties := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCompressionLevel(3),
			parquet.WithCreatedBy("headwater"), parquet.WithMaxRowGroupLength(groupRows), parquet.WithVersion(parquet.V2_LATEST))
		// Closing the Parquet writer closes what it writes to, if that can be closed.
		file, err := pqarrow.NewFileWriter(listedSchema(columns), onlyWriter{w}, properties, pqarrow.NewArrowWriterProperties())
		if err != nil {
			return nil, err
		}
		result.encode = parquetEncoder{file, listedSchema(columns)}
	case FormatArrow:
		file, err := ipc.NewFileWriter(w, ipc.WithSchema(schema))
		if err != nil {
			return nil, err
		}
		result.encode = arrowEncoder{file}
	case FormatArrowStream:
		result.encode = arrowEncoder{ipc.NewWriter(w, ipc.WithSchema(schema))}
	case FormatCSV:
		e := &csvEncoder{to: w}
		result.encode, result.grouped = e, false
		for i, c := range columns {
			e.cell(i, feature.String(c.Name))
		}
		if err := e.end(); err != nil {
			return nil, err
		}
	case FormatNDJSON:
		e := &jsonEncoder{to: w}
		for i, c := range columns {
			name, err := json.Marshal(c.Name)
			if err != nil {
				return nil, err
			}
			lead := byte(',')
			if i == 0 {
				lead = '{'
			}
			e.keys = append(e.keys, append(append([]byte{lead}, name...), ':'))
		}
		result.encode, result.grouped = e, false
	default:
		return nil, fault.New(fault.InvalidArgument, "found format %s, expected one of %s", format, FormatNames())
	}
	return result, nil
}

type onlyWriter struct{ io.Writer }

// Write appends the rows of record, which is retained for as long as it is needed.
func (w *Writer) Write(record arrow.RecordBatch) error {
	if record.NumRows() == 0 {
		return nil
	}
	if !w.grouped {
		return w.encode.write(record)
	}
	for record.NumRows() > 0 {
		n, size := w.fits(record)
		w.pending = append(w.pending, record.NewSlice(0, n))
		w.rows += n
		w.bytes += size
		record = record.NewSlice(n, record.NumRows())
		if w.rows == w.mostRows || w.bytes >= w.endBytes {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// fits is how many of a record's first rows belong to the group, at least one, and what they take.
func (w *Writer) fits(record arrow.RecordBatch) (rows, size int64) {
	rows = min(record.NumRows(), w.mostRows-w.rows)
	sizes := make([]func(row int) int64, record.NumCols())
	for i, a := range record.Columns() {
		sizes[i] = sizeOf(a)
	}
	for row := range rows {
		for _, of := range sizes {
			size += of(int(row))
		}
		if w.bytes+size >= w.endBytes {
			return row + 1, size
		}
	}
	return rows, size
}

// sizeOf tells what a value takes without compression, which does not depend on the array that it is in. Flags count as bytes.
func sizeOf(a arrow.Array) func(row int) int64 {
	switch a := a.(type) {
	case *array.String:
		return func(row int) int64 { return 4 + lengthAt(a, row) }
	case *array.Binary:
		return func(row int) int64 { return 4 + lengthAt(a, row) }
	case *array.List:
		of := sizeOf(a.ListValues())
		return func(row int) int64 {
			size := int64(4)
			if a.IsNull(row) {
				return size
			}
			begin, end := a.ValueOffsets(row)
			for i := begin; i < end; i++ {
				size += of(int(i))
			}
			return size
		}
	case *array.FixedSizeList:
		each := 4 * int64(a.DataType().(*arrow.FixedSizeListType).Len())
		return func(int) int64 { return each }
	case *array.Decimal128:
		return func(int) int64 { return 16 }
	case *array.Boolean:
		return func(int) int64 { return 1 }
	}
	return func(int) int64 { return 8 }
}

// lengthAt is the bytes of a text, 0 of a NULL, whatever lies under it.
func lengthAt(a interface {
	IsNull(int) bool
	ValueLen(int) int
}, row int) int64 {
	if a.IsNull(row) {
		return 0
	}
	return int64(a.ValueLen(row))
}

func (w *Writer) flush() error {
	if w.rows == 0 {
		return nil
	}
	columns := make([]arrow.Array, w.schema.NumFields())
	for i := range columns {
		parts := make([]arrow.Array, len(w.pending))
		for j, p := range w.pending {
			parts[j] = p.Column(i)
		}
		var err error
		if columns[i], err = array.Concatenate(parts, memory.DefaultAllocator); err != nil {
			return err
		}
	}
	record := array.NewRecordBatch(w.schema, columns, w.rows)
	w.pending, w.rows, w.bytes = nil, 0, 0
	return w.encode.write(record)
}

// Close writes what is left and the end of the file. It does not close what it writes to.
func (w *Writer) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.encode.close()
}

// parquetEncoder writes vectors as lists of floats: Parquet has no lists of fixed size.
type parquetEncoder struct {
	file   *pqarrow.FileWriter
	schema *arrow.Schema
}

func listedSchema(columns []feature.Column) *arrow.Schema {
	fields := ArrowSchema(columns).Fields()
	for i := range fields {
		if columns[i].Type.Kind() == feature.TypeVector {
			fields[i].Type = arrow.ListOf(arrow.PrimitiveTypes.Float32)
		}
	}
	return arrow.NewSchema(fields, nil)
}

func (e parquetEncoder) write(r arrow.RecordBatch) error {
	columns := slices.Clone(r.Columns())
	for i, a := range columns {
		vectors, ok := a.(*array.FixedSizeList)
		if !ok {
			continue
		}
		b := array.NewListBuilder(memory.DefaultAllocator, arrow.PrimitiveTypes.Float32)
		floats := vectors.ListValues().(*array.Float32).Float32Values()
		for row := range vectors.Len() {
			if vectors.IsNull(row) {
				b.AppendNull()
				continue
			}
			begin, end := vectors.ValueOffsets(row)
			b.Append(true)
			b.ValueBuilder().(*array.Float32Builder).AppendValues(floats[begin:end], nil)
		}
		columns[i] = b.NewArray()
	}
	return e.file.Write(array.NewRecordBatch(e.schema, columns, r.NumRows()))
}

func (e parquetEncoder) close() error { return e.file.Close() }

type arrowEncoder struct {
	file interface {
		Write(arrow.RecordBatch) error
		Close() error
	}
}

func (e arrowEncoder) write(r arrow.RecordBatch) error { return e.file.Write(r) }
func (e arrowEncoder) close() error                    { return e.file.Close() }

type csvEncoder struct {
	to   io.Writer
	line []byte
}

func (e *csvEncoder) write(r arrow.RecordBatch) error {
	for row := range int(r.NumRows()) {
		for i := range int(r.NumCols()) {
			v, err := ValueAt(r.Column(i), row)
			if err != nil {
				return err
			}
			e.cell(i, v)
		}
		if err := e.end(); err != nil {
			return err
		}
	}
	return nil
}

// cell appends a value as encoding/csv writes its text, but that what is not NULL and has no text is in quotes.
func (e *csvEncoder) cell(i int, v feature.Value) {
	if i > 0 {
		e.line = append(e.line, ',')
	}
	text := v.Text()
	first, _ := utf8.DecodeRuneInString(text)
	if v.IsNull() || text != "" && text != `\.` && !strings.ContainsAny(text, ",\"\r\n") && !unicode.IsSpace(first) {
		e.line = append(e.line, text...)
		return
	}
	e.line = append(e.line, '"')
	e.line = append(e.line, strings.ReplaceAll(text, `"`, `""`)...)
	e.line = append(e.line, '"')
}

// end writes the line. That of a NULL alone is blank, as Postgres writes it.
func (e *csvEncoder) end() error {
	e.line = append(e.line, '\n')
	if len(e.line) < csvFlush {
		return nil
	}
	return e.close()
}

// csvFlush is how much is written at once.
const csvFlush = 64 << 10

func (e *csvEncoder) close() error {
	_, err := e.to.Write(e.line)
	e.line = e.line[:0]
	return err
}

type jsonEncoder struct {
	to   io.Writer
	keys [][]byte
	line []byte
}

func (e *jsonEncoder) write(r arrow.RecordBatch) error {
	for row := range int(r.NumRows()) {
		e.line = e.line[:0]
		for i, key := range e.keys {
			v, err := ValueAt(r.Column(i), row)
			if err != nil {
				return err
			}
			e.line = append(e.line, key...)
			if e.line, err = appendJSON(e.line, v); err != nil {
				return err
			}
		}
		if len(e.keys) == 0 {
			e.line = append(e.line, '{')
		}
		e.line = append(e.line, '}', '\n')
		if _, err := e.to.Write(e.line); err != nil {
			return err
		}
	}
	return nil
}

func (e *jsonEncoder) close() error { return nil }

// appendJSON is feature.Value.AppendJSON, but that text is written as encoding/json does: the bytes of a dataset's file are
// promised to stay as they are.
func appendJSON(dst []byte, v feature.Value) ([]byte, error) {
	if v.Type() == feature.TypeString {
		text, err := json.Marshal(v.Str())
		return append(dst, text...), err
	}
	return v.AppendJSON(dst), nil
}
