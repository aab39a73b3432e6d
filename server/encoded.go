package server

import (
	"sync"

	"google.golang.org/grpc/mem"
)

// encoded is a message as bytes. It is sent once: its memory is used again then.
type encoded struct{ bytes *[]byte }

// MarshalBuffers is of grpccodec.Marshaler.
func (e *encoded) MarshalBuffers() (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.NewBuffer(e.bytes, answerBuffers)}, nil
}

// bufferPool is memory for answers. One that is huge is not kept.
type bufferPool struct{ pool sync.Pool }

var answerBuffers = &bufferPool{}

const (
	leastBuffer = 4 << 10
	mostBuffer  = 4 << 20
)

// Get is memory for about length bytes.
func (p *bufferPool) Get(length int) *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		*b = (*b)[:0]
		return b
	}
	b := make([]byte, 0, max(length, leastBuffer))
	return &b
}

// Put takes memory back that nobody uses any more.
func (p *bufferPool) Put(b *[]byte) {
	if cap(*b) <= mostBuffer {
		p.pool.Put(b)
	}
}
