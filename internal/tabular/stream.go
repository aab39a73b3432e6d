package tabular

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/feature"
)

// StreamReader reads an Arrow IPC stream of ArrowSchema row by row. What is wrong with the stream is a *StreamError, also
// where the library panics; an error of the source is returned as it is.
type StreamReader struct {
	Columns []feature.Column
	r       *ipc.Reader
	from    *messages
}

// NewStreamReader reads the schema of a stream that may come from anyone. Its batches are at most MaxBatchBytes long and not
// compressed, its columns have distinct names, no dictionaries, and no children but a list's elements.
func NewStreamReader(r io.Reader) (*StreamReader, error) {
	return newStreamReader(&messages{r: r, maxBody: MaxBatchBytes})
}

// NewOwnStreamReader reads the schema of a stream that a StreamWriter wrote, compressed or not.
func NewOwnStreamReader(r io.Reader) (*StreamReader, error) {
	// A batch ends with the row that fills it, and that row was in a batch of its own sender's.
	return newStreamReader(&messages{r: r, maxBody: 4 * MaxBatchBytes, compressed: true})
}

func newStreamReader(from *messages) (s *StreamReader, err error) {
	s = &StreamReader{from: from}
	err = s.guard(func() (err error) {
		s.r, err = ipc.NewReaderFromMessageReader(from, ipc.WithAllocator(boundedTo(from.maxBody)))
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.Columns, err = ColumnsOf(s.r.Schema()); err != nil {
		return nil, badStream("%s", err)
	}
	return s, nil
}

// Rows are the stream's rows, a value per column: text is valid UTF-8 without NUL, and times lie in the years 1 to 9999. A
// row is used only until the next. What its values hold lies in memory of its batch, which one of them keeps whole: clone what is to stay. It
// can be ranged over once.
func (s *StreamReader) Rows() iter.Seq2[[]feature.Value, error] {
	return func(yield func([]feature.Value, error) bool) {
		defer s.r.Release()
		width := len(s.Columns)
		block := make([]feature.Value, blockRows*width)
		for number := int64(0); ; {
			batch, err := s.next()
			if err != nil {
				yield(nil, err)
				return
			}
			if batch == nil {
				return
			}
			for from, rows := 0, int(batch.NumRows()); from < rows; from += blockRows {
				n := min(rows-from, blockRows)
				var bad error
				for c := range width {
					// What is wrong in an earlier row, or in an earlier column of the same, is told first.
					at, err := columnInto(block[c:], batch.Column(c), from, n, width)
					if err != nil {
						n, bad = at, badStream("row %d: column %s: %s", number+int64(at)+1, s.Columns[c].Name, err)
					}
				}
				for i := range n {
					if !yield(block[i*width:(i+1)*width:(i+1)*width], nil) {
						return
					}
				}
				if bad != nil {
					yield(nil, bad)
					return
				}
				number += int64(n)
			}
		}
	}
}

// blockRows is how many rows of a batch are read at once, column by column.
const blockRows = 256

// columnInto reads n values of a, the first at from, into the first of each width values. An error is of the value at a row, which counts from 0.
func columnInto(values []feature.Value, a arrow.Array, from, n, width int) (row int, err error) {
	switch a := a.(type) {
	case *array.Float64:
		for i := range n {
			if values[i*width] = feature.Null(); !a.IsNull(from + i) {
				values[i*width] = feature.Float64(a.Value(from + i))
			}
		}
	case *array.Int64:
		for i := range n {
			if values[i*width] = feature.Null(); !a.IsNull(from + i) {
				values[i*width] = feature.Int64(a.Value(from + i))
			}
		}
	case *array.String:
		for i := range n {
			if values[i*width] = feature.Null(); a.IsNull(from + i) {
				continue
			}
			text := a.Value(from + i)
			if !isPlain(text) {
				if err := checkText(text); err != nil {
					return i, err
				}
			}
			values[i*width] = feature.String(text)
		}
	default:
		for i := range n {
			v, err := ValueAt(a, from+i)
			if err == nil {
				err = CheckStored(v)
			}
			if err != nil {
				return i, err
			}
			values[i*width] = v
		}
	}
	return 0, nil
}

// isPlain reports whether a text is short, and ASCII without NUL: of such ones nothing else has to be looked at.
func isPlain(text string) bool {
	const short = 64
	if len(text) > short {
		return false
	}
	for i := range len(text) {
		if text[i]-1 >= utf8.RuneSelf-1 {
			return false
		}
	}
	return true
}

// next is the next batch, made sure of so that no value of it can panic; nil after the last.
func (s *StreamReader) next() (batch arrow.RecordBatch, err error) {
	err = s.guard(func() error {
		if !s.r.Next() {
			return s.r.Err()
		}
		batch = s.r.RecordBatch()
		return checkBatch(batch, s.from.bodyLen, s.from.compressed)
	})
	if err != nil {
		return nil, err
	}
	s.from.batches++
	return batch, nil
}

// guard calls the library, and tells what the sender did wrong from what reading the source failed with.
func (s *StreamReader) guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.from.damaged(fmt.Errorf("%v", p))
		}
	}()
	err = do()
	switch {
	case s.from.err == io.EOF:
		return nil
	case s.from.err != nil:
		return s.from.err
	case err != nil:
		return s.from.damaged(err)
	}
	return nil
}

// checkBatch makes sure that the buffers of a batch hold what its arrays say.
func checkBatch(batch arrow.RecordBatch, bodyLen int64, compressed bool) error {
	var sum int64
	for _, a := range batch.Columns() {
		if int64(a.Len()) != batch.NumRows() {
			return fmt.Errorf("found an array of %d values in a batch of %d", a.Len(), batch.NumRows())
		}
		n, err := checkArray(a)
		if err != nil {
			return err
		}
		sum += n
	}
	if sum > bodyLen && !compressed {
		return errors.New("buffers lie over each other")
	}
	return nil
}

// checkArray makes sure of one array and, where it is of lists, of their elements. size is the bytes of all its buffers.
func checkArray(a arrow.Array) (size int64, err error) {
	buffers := a.Data().Buffers()
	for _, b := range buffers {
		size += int64(lengthOf(b))
	}
	n := a.Len()
	bitmap := lengthOf(buffers[0])
	if bitmap < (n+7)/8 && (bitmap > 0 || a.Data().NullN() > 0) {
		return 0, fmt.Errorf("found %d bytes of validity for %d values", bitmap, n)
	}
	held := 0
	switch a := a.(type) {
	case *array.String:
		return size, checkOffsets(a, buffers[1], a.ValueOffsets, lengthOf(buffers[2]))
	case *array.Binary:
		return size, checkOffsets(a, buffers[1], a.ValueOffsets, lengthOf(buffers[2]))
	case *array.List:
		below, err := checkArray(a.ListValues())
		if err != nil {
			return 0, err
		}
		return size + below, checkOffsets(a, buffers[1], a.Offsets, a.ListValues().Len())
	case *array.FixedSizeList:
		below, err := checkArray(a.ListValues())
		if each := int(a.DataType().(*arrow.FixedSizeListType).Len()); err == nil && a.ListValues().Len()/each < n {
			err = fmt.Errorf("found %d elements for %d lists of %d", a.ListValues().Len(), n, each)
		}
		return size + below, err
	case *array.Boolean:
		held = 8 * lengthOf(buffers[1])
	case *array.Decimal128:
		held = lengthOf(buffers[1]) / 16
	case *array.Float32:
		held = lengthOf(buffers[1]) / 4
	default:
		held = lengthOf(buffers[1]) / 8
	}
	if held < n && !allNull(a) {
		return 0, fmt.Errorf("found room for %d values in an array of %d", held, n)
	}
	return size, nil
}

// checkOffsets makes sure that an array's offsets go up, and no further than what they point into.
func checkOffsets(a arrow.Array, buffer *memory.Buffer, read func() []int32, held int) error {
	n := a.Len()
	if lengthOf(buffer)/4 < n+1 {
		if n == 0 || allNull(a) {
			return nil
		}
		return fmt.Errorf("found %d bytes of offsets for %d values", lengthOf(buffer), n)
	}
	offsets := read()
	for i := range n {
		if offsets[i] < 0 || offsets[i+1] < offsets[i] {
			return fmt.Errorf("found offset %d after %d", offsets[i+1], offsets[i])
		}
	}
	if int(offsets[n]) > held {
		return fmt.Errorf("found offset %d in %d", offsets[n], held)
	}
	return nil
}

func lengthOf(b *memory.Buffer) int {
	if b == nil {
		return 0
	}
	return b.Len()
}

// allNull goes by the values, not by how many are said to be NULL.
func allNull(a arrow.Array) bool {
	for i := range a.Len() {
		if !a.IsNull(i) {
			return false
		}
	}
	return true
}

var (
	firstTime = feature.TimeOf(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
	endTime   = feature.TimeOf(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))
)

// CheckStored reports a value that a store or a message could not hold.
func CheckStored(v feature.Value) error {
	switch v.Type().Kind() {
	case feature.TypeString:
		return checkText(v.Str())
	case feature.TypeList:
		for i, e := range v.Elements() {
			if err := CheckStored(e); err != nil {
				return fmt.Errorf("element %d: %w", i+1, err)
			}
		}
	case feature.TypeTimestamp:
		if at := v.Timestamp(); at < firstTime || at >= endTime {
			return fmt.Errorf("found a time %d µs from 1970-01-01, expected one in the years 1 to 9999", int64(at))
		}
	}
	return nil
}

// StreamWriter writes an Arrow IPC stream of ArrowSchema row by row, in batches that end with row StreamBatchRows, or with
// the row that brings them to StreamBatchBytes: the same rows give the same bytes, whatever they came in.
type StreamWriter struct {
	w       *ipc.Writer
	builder *array.RecordBuilder
	// width is how many columns there are, sized the positions of those whose values may be of other sizes than eight bytes.
	width int
	sized []int
	rows  int
	bytes int
	// endBytes is what ends a batch.
	endBytes int
}

const (
	// StreamBatchRows is the most rows of a batch of a StreamWriter.
	StreamBatchRows = 8192
	// StreamBatchBytes is what ends a batch earlier: what its values take, and eight bytes for each.
	StreamBatchBytes = 8 << 20
)

// NewStreamWriter makes a writer to w. Compressed streams have zstd buffers, and only NewOwnStreamReader takes them.
func NewStreamWriter(w io.Writer, columns []feature.Column, compressed bool) *StreamWriter {
	return newStreamWriter(w, ArrowSchema(columns), compressed)
}

// NewAnnotatedWriter is NewStreamWriter whose columns have metadata: each its own, or nil. Readers of ours pay no
// heed to it.
func NewAnnotatedWriter(w io.Writer, columns []feature.Column, metadata []map[string]string) *StreamWriter {
	fields := ArrowSchema(columns).Fields()
	for i := range fields {
		fields[i].Metadata = arrow.MetadataFrom(metadata[i])
	}
	return newStreamWriter(w, arrow.NewSchema(fields, nil), false)
}

func newStreamWriter(w io.Writer, schema *arrow.Schema, compressed bool) *StreamWriter {
	options := []ipc.Option{ipc.WithSchema(schema)}
	if compressed {
		options = append(options, ipc.WithZstd())
	}
	s := &StreamWriter{
		w:       ipc.NewWriter(w, options...),
		builder: array.NewRecordBuilder(memory.DefaultAllocator, schema), endBytes: StreamBatchBytes, width: schema.NumFields(),
	}
	for i, field := range schema.Fields() {
		switch field.Type.ID() {
		case arrow.BOOL, arrow.INT64, arrow.FLOAT64, arrow.TIMESTAMP, arrow.DECIMAL128:
		default:
			s.sized = append(s.sized, i)
		}
	}
	return s
}

// EndBatchesAt has batches end with the row that brings them to so many bytes, in place of StreamBatchBytes.
func (s *StreamWriter) EndBatchesAt(bytes int) { s.endBytes = bytes }

// Append adds one row: a value per column, of the column's type or NULL.
func (s *StreamWriter) Append(row []feature.Value) error {
	for i, v := range row {
		Append(s.builder.Field(i), v)
		s.bytes += 8 + SizeOf(v)
	}
	if s.rows++; s.rows == StreamBatchRows || s.bytes >= s.endBytes {
		return s.flush()
	}
	return nil
}

// AppendRows is Append of rows that follow one another, column by column.
func (s *StreamWriter) AppendRows(values []feature.Value) error {
	for len(values) > 0 {
		n, full := s.fit(values)
		for i, b := range s.builder.Fields() {
			appendColumn(b, values[i:], n, s.width)
		}
		values = values[n*s.width:]
		if s.rows += n; full {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// fit is how many of the rows go into the batch, and whether the last of them ends it.
func (s *StreamWriter) fit(values []feature.Value) (n int, full bool) {
	for at := 0; at < len(values); at += s.width {
		s.bytes += 8 * s.width
		for _, i := range s.sized {
			s.bytes += SizeOf(values[at+i])
		}
		if n++; s.rows+n == StreamBatchRows || s.bytes >= s.endBytes {
			return n, true
		}
	}
	return n, false
}

// appendColumn appends the first of each width values, n of them. What a builder has room for shows in the bytes of a batch: it is made as one
// value after another makes it, to the next power of two.
func appendColumn(b array.Builder, values []feature.Value, n, width int) {
	switch b := b.(type) {
	case *array.Float64Builder:
		b.Reserve(n)
		for at := 0; at < n*width; at += width {
			if v := &values[at]; v.Type() == feature.TypeFloat64 {
				b.UnsafeAppend(v.Float64())
			} else {
				Append(b, *v)
			}
		}
	case *array.Int64Builder:
		b.Reserve(n)
		for at := 0; at < n*width; at += width {
			if v := &values[at]; v.Type() == feature.TypeInt64 {
				b.UnsafeAppend(v.Int64())
			} else {
				Append(b, *v)
			}
		}
	case *array.TimestampBuilder:
		b.Reserve(n)
		for at := 0; at < n*width; at += width {
			if v := &values[at]; v.Type() == feature.TypeTimestamp {
				b.UnsafeAppend(arrow.Timestamp(v.Timestamp()))
			} else {
				Append(b, *v)
			}
		}
	default:
		for at := 0; at < n*width; at += width {
			Append(b, values[at])
		}
	}
}

// SizeOf is the bytes of text, bytes, a list or a vector, zero for others.
func SizeOf(v feature.Value) int {
	if t := v.Type(); t.Kind() == feature.TypeVector {
		return 4 * t.Dimension()
	}
	return v.Size()
}

func (s *StreamWriter) flush() error {
	batch := s.builder.NewRecordBatch()
	defer batch.Release()
	s.rows, s.bytes = 0, 0
	return s.w.Write(batch)
}

// Close writes what is left and the stream's end. It does not close the underlying writer.
func (s *StreamWriter) Close() error {
	defer s.builder.Release()
	if s.rows > 0 {
		if err := s.flush(); err != nil {
			return errors.Join(err, s.w.Close())
		}
	}
	return s.w.Close()
}
