package client

import (
	"context"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
)

// chunkSize is where streams of bytes are cut into messages.
const chunkSize = 1 << 20

// Rows are record batches of one schema. An error is the last element, and ends the call with it; a batch need only be
// valid until the next is asked for.
type Rows struct {
	Schema  *arrow.Schema
	Batches iter.Seq2[arrow.RecordBatch, error]
}

// Ingest sends rows as one load of a source. The header says what they were read from. The load exists when Ingest
// returns; on an error that the server tells, or one from rows, nothing does. When the connection was lost the load may be there
// all the same, and sending it again, with the same SHA-256 or without one, is refused then as ALREADY_EXISTS.
func (c *Client) Ingest(ctx context.Context, source string, header *headwaterv1.IngestHeader, rows Rows) (*headwaterv1.IngestResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Loads.Ingest(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(&headwaterv1.IngestRequest{Source: source, Header: header}); err != nil {
		return ended(err, stream.CloseAndRecv)
	}
	err = rows.send(func(part []byte) error { return stream.Send(&headwaterv1.IngestRequest{Arrow: part}) })
	if err != nil {
		return ended(err, stream.CloseAndRecv)
	}
	return stream.CloseAndRecv()
}

// ended tells why a stream could not be sent to: io.EOF stands for the server's error, which receive returns.
func ended[T any](err error, receive func() (T, error)) (T, error) {
	var none T
	if err != io.EOF {
		return none, err
	}
	_, err = receive()
	if err == nil {
		err = fault.New(fault.Internal, "the server ended the call before it had read all of it; see the server's log")
	}
	return none, err
}

// send writes rows as an Arrow IPC stream, in parts.
func (r Rows) send(send func([]byte) error) error {
	cut := &chunks{send: send}
	w := ipc.NewWriter(cut, ipc.WithSchema(r.Schema))
	for batch, err := range r.Batches {
		if err != nil {
			return err
		}
		for piece := range pieces(batch, tabular.MaxBatchBytes/2) {
			if err := w.Write(piece); err != nil {
				return cut.cause(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		return cut.cause(err)
	}
	return cut.flush()
}

// pieces are the rows of a batch in batches of about limit bytes at most, or of one row: the server bounds them.
func pieces(batch arrow.RecordBatch, limit int64) iter.Seq[arrow.RecordBatch] {
	return func(yield func(arrow.RecordBatch) bool) { cutInto(batch, limit, yield) }
}

func cutInto(batch arrow.RecordBatch, limit int64, yield func(arrow.RecordBatch) bool) bool {
	n := batch.NumRows()
	if n <= 1 || bytesOf(batch) <= limit {
		return yield(batch)
	}
	for _, half := range [][2]int64{{0, n / 2}, {n / 2, n}} {
		piece := batch.NewSlice(half[0], half[1])
		more := cutInto(piece, limit, yield)
		piece.Release()
		if !more {
			return false
		}
	}
	return true
}

// bytesOf is about the size of a batch on the wire.
func bytesOf(batch arrow.RecordBatch) (n int64) {
	for _, column := range batch.Columns() {
		n += arrayBytes(column)
	}
	return n
}

func arrayBytes(a arrow.Array) int64 {
	n := 9 * int64(a.Len())
	if a.Len() == 0 {
		return n
	}
	switch a := a.(type) {
	case *array.String:
		n += int64(len(a.ValueBytes()))
	case *array.Binary:
		n += int64(len(a.ValueBytes()))
	case *array.Decimal128:
		n += 8 * int64(a.Len())
	case array.ListLike:
		begin, _ := a.ValueOffsets(0)
		_, end := a.ValueOffsets(a.Len() - 1)
		elements := array.NewSlice(a.ListValues(), begin, end)
		defer elements.Release()
		n += arrayBytes(elements)
	}
	return n
}

// chunks collects bytes and sends them on in messages of chunkSize.
type chunks struct {
	send    func([]byte) error
	pending []byte
	err     error
}

func (c *chunks) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if c.pending == nil {
			// A message may be looked at after it was sent, so no buffer is used twice.
			c.pending = make([]byte, 0, chunkSize)
		}
		take := min(len(p), chunkSize-len(c.pending))
		c.pending = append(c.pending, p[:take]...)
		p = p[take:]
		if len(c.pending) == chunkSize {
			if err := c.flush(); err != nil {
				return n - len(p), err
			}
		}
	}
	return n, nil
}

func (c *chunks) flush() error {
	if len(c.pending) == 0 || c.err != nil {
		return c.err
	}
	c.err = c.send(c.pending)
	c.pending = nil
	return c.err
}

// cause is why the sending failed, when it did, instead of what the encoder made of it.
func (c *chunks) cause(err error) error {
	if c.err != nil {
		return c.err
	}
	return err
}
