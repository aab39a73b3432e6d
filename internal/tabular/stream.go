package tabular

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/feature"
)

// StreamReader reads an Arrow IPC stream of ArrowSchema row by row. The stream may come from anyone: what is wrong with
// it is an error, also where the library panics.
type StreamReader struct {
	Columns []feature.Column
	r       *ipc.Reader
}

// NewStreamReader reads the schema. The error says what is wrong with the stream or with the type of a column.
func NewStreamReader(r io.Reader) (s *StreamReader, err error) {
	err = guard(func() error {
		reader, err := ipc.NewReader(r, ipc.WithAllocator(memory.DefaultAllocator))
		if err != nil {
			return streamError(err)
		}
		s = &StreamReader{r: reader}
		s.Columns, err = ColumnsOf(reader.Schema())
		return err
	})
	return s, err
}

// Rows are the stream's rows, a value per column. A row is used only until the next; its strings may be kept no longer
// either. It can be ranged over once.
func (s *StreamReader) Rows() iter.Seq2[[]feature.Value, error] {
	return func(yield func([]feature.Value, error) bool) {
		defer s.r.Release()
		row := make([]feature.Value, len(s.Columns))
		for {
			more := false
			err := guard(func() error {
				if more = s.r.Next(); !more && s.r.Err() != nil && !errors.Is(s.r.Err(), io.EOF) {
					return streamError(s.r.Err())
				}
				return nil
			})
			if err != nil {
				yield(nil, err)
				return
			}
			if !more {
				return
			}
			batch := s.r.RecordBatch()
			for i := range int(batch.NumRows()) {
				for c := range row {
					row[c] = ValueAt(batch.Column(c), i)
				}
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = streamError(fmt.Errorf("%v", p))
		}
	}()
	return do()
}

func streamError(err error) error {
	return fmt.Errorf("found no readable Arrow IPC stream (%w), expected a schema, record batches and an end", err)
}

// StreamWriter writes an Arrow IPC stream of ArrowSchema row by row, in batches of StreamBatchRows: the same rows give
// the same bytes, whatever they came in.
type StreamWriter struct {
	w       *ipc.Writer
	builder *array.RecordBuilder
	rows    int
}

// StreamBatchRows is the number of rows in each batch of a StreamWriter but the last.
const StreamBatchRows = 8192

// NewStreamWriter makes a writer to w. Compressed streams have zstd buffers.
func NewStreamWriter(w io.Writer, columns []feature.Column, compressed bool) *StreamWriter {
	schema := ArrowSchema(columns)
	options := []ipc.Option{ipc.WithSchema(schema)}
	if compressed {
		options = append(options, ipc.WithZstd())
	}
	return &StreamWriter{
		w:       ipc.NewWriter(w, options...),
		builder: array.NewRecordBuilder(memory.DefaultAllocator, schema),
	}
}

// Append adds one row: a value per column, of the column's type or NULL.
func (s *StreamWriter) Append(row []feature.Value) error {
	for i, v := range row {
		Append(s.builder.Field(i), v)
	}
	if s.rows++; s.rows == StreamBatchRows {
		return s.flush()
	}
	return nil
}

func (s *StreamWriter) flush() error {
	batch := s.builder.NewRecordBatch()
	defer batch.Release()
	s.rows = 0
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
