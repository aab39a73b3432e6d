package tabular

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"

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

// groupRows is the rows of one Parquet row group, and of one batch of an Arrow file. It is fixed so that the bytes of a
// file depend on its rows alone, and not on the batches they came in.
const groupRows = 128 << 10

// Writer writes record batches of one schema in one format.
type Writer struct {
	encode encoder
	// group is the number of rows that encode is given at once; 0: any.
	group   int64
	pending []arrow.RecordBatch
	rows    int64
	schema  *arrow.Schema
}

type encoder interface {
	write(arrow.RecordBatch) error
	close() error
}

// NewWriter writes rows of a schema that ArrowSchema made, in a format other than FormatUnknown, to w. In CSV NULL and the
// empty string are both an empty cell; in NDJSON a NULL is null, and NaN and the
// infinities are text. Bytes are in base64; lists and vectors are JSON arrays in both.
func NewWriter(w io.Writer, format Format, schema *arrow.Schema) (*Writer, error) {
	columns, err := ColumnsOf(schema)
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "%s", err).Because(err)
	}
	schema = ArrowSchema(columns)
	result := &Writer{schema: schema, group: groupRows}
	switch format {
	case FormatParquet:
		// Bytes that depend on the data alone need every property fixed here, and no metadata beside the schema.
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
		e := &csvEncoder{to: w, csv: csv.NewWriter(w)}
		result.encode, result.group = e, 0
		if err := e.csv.Write(namesOf(columns)); err != nil {
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
		result.encode, result.group = e, 0
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
	if w.group == 0 {
		return w.encode.write(record)
	}
	for record.NumRows() > 0 {
		n := min(record.NumRows(), w.group-w.rows)
		w.pending = append(w.pending, record.NewSlice(0, n))
		w.rows += n
		record = record.NewSlice(n, record.NumRows())
		if w.rows == w.group {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
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
	w.pending, w.rows = nil, 0
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
	to  io.Writer
	csv *csv.Writer
}

func (e *csvEncoder) write(r arrow.RecordBatch) error {
	cells := make([]string, r.NumCols())
	for row := range int(r.NumRows()) {
		for i := range cells {
			v, err := ValueAt(r.Column(i), row)
			if err != nil {
				return err
			}
			cells[i] = v.Text()
		}
		if len(cells) == 1 && cells[0] == "" {
			// encoding/csv would write a blank line, which readers drop.
			e.csv.Flush()
			if _, err := io.WriteString(e.to, "\"\"\n"); err != nil {
				return err
			}
			continue
		}
		if err := e.csv.Write(cells); err != nil {
			return err
		}
	}
	e.csv.Flush()
	return e.csv.Error()
}

func (e *csvEncoder) close() error {
	e.csv.Flush()
	return e.csv.Error()
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
