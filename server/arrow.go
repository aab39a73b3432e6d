package server

import (
	"io"
	"sync"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/headwaterhq/headwater/internal/grpccodec"
)

const (
	// arrowChunk is the size of the pieces that a result is sent in.
	arrowChunk = 1 << 20
	// arrowField is the field of the messages that have them.
	arrowField protowire.Number = 1
)

// arrowParts is the bytes of a stream's messages, end to end.
type arrowParts struct {
	part []byte
	next func() ([]byte, error)
}

func (p *arrowParts) Read(b []byte) (int, error) {
	for len(p.part) == 0 {
		part, err := p.next()
		if err != nil {
			return 0, err
		}
		p.part = part
	}
	n := copy(b, p.part)
	p.part = p.part[n:]
	return n, nil
}

// chunkWriter sends what is written to it, or read by it, in pieces of arrowChunk: messages whose field arrowField they are. A
// piece is sent from where it was put together, in memory that is used again when gRPC is done with it.
type chunkWriter struct {
	// send is given a *grpccodec.Bytes.
	send func(message any) error
	// buf is the room for the piece that is being filled, up to n; nil: none is.
	buf *[]byte
	n   int
}

func (w *chunkWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := copy(w.room(), p)
		p = p[k:]
		if err := w.took(k); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// ReadFrom is of io.ReaderFrom. What was read before an error is sent, or is the beginning of the next piece.
func (w *chunkWriter) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	for {
		n, err := r.Read(w.room())
		total += int64(n)
		if err := w.took(n); err != nil {
			return total, err
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// room is where the piece goes on.
func (w *chunkWriter) room() []byte {
	if w.buf == nil {
		w.buf, w.n = chunks.Get(arrowChunk), 0
	}
	return (*w.buf)[w.n:]
}

// took says that n bytes of the room are filled.
func (w *chunkWriter) took(n int) error {
	if w.n += n; w.n == arrowChunk {
		return w.flush()
	}
	return nil
}

// flush sends what there is of a piece.
func (w *chunkWriter) flush() error {
	if w.buf == nil || w.n == 0 {
		return nil
	}
	*w.buf = (*w.buf)[:w.n]
	piece := mem.NewBuffer(w.buf, &chunks)
	w.buf = nil
	defer piece.Free()
	return w.send(&grpccodec.Bytes{Field: arrowField, Value: piece})
}

// chunkPool has memory for pieces: of a stream a few are under way at once.
type chunkPool struct{ pool sync.Pool }

var chunks chunkPool

// Get is of mem.BufferPool. Every piece has room for arrowChunk.
func (p *chunkPool) Get(int) *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, arrowChunk)
	return &b
}

// Put is of mem.BufferPool.
func (p *chunkPool) Put(b *[]byte) {
	*b = (*b)[:cap(*b)]
	p.pool.Put(b)
}
