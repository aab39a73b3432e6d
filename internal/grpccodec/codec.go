// Package grpccodec is how messages become bytes of a call and bytes messages: as protobuf has it, and without copying where a
// message is little but bytes that are there already. It may import gRPC and protobuf alone.
//
// Invariant: what goes out is what protobuf would write of the message that is meant, so whoever receives it sees no difference.
package grpccodec

import (
	"google.golang.org/grpc/encoding"
	// Registers the codec of protobuf, which is the one beneath.
	_ "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// Marshaler is a message that is marshalled by itself. The caller frees the buffers, which nobody changes from then on.
type Marshaler interface {
	MarshalBuffers() (mem.BufferSlice, error)
}

// Unmarshaler is a message that is unmarshalled by itself. It keeps nothing of data. beneath is protobuf's codec, for what it leaves to
// that.
type Unmarshaler interface {
	UnmarshalBuffers(data mem.BufferSlice, beneath encoding.CodecV2) error
}

// Codec has a Marshaler and an Unmarshaler do it themselves, and leaves everything else to the codec beneath.
type Codec struct{ encoding.CodecV2 }

// New makes a Codec over gRPC's own of protobuf.
func New() Codec { return Codec{encoding.GetCodecV2("proto")} }

// Marshal is of encoding.CodecV2.
func (c Codec) Marshal(message any) (mem.BufferSlice, error) {
	if m, ok := message.(Marshaler); ok {
		return m.MarshalBuffers()
	}
	return c.CodecV2.Marshal(message)
}

// Unmarshal is of encoding.CodecV2.
func (c Codec) Unmarshal(data mem.BufferSlice, message any) error {
	if m, ok := message.(Unmarshaler); ok {
		return m.UnmarshalBuffers(data, c.CodecV2)
	}
	return c.CodecV2.Unmarshal(data, message)
}

// Bytes is a message of one field, of bytes, which are sent from where they lie.
type Bytes struct {
	Field protowire.Number
	// Value is not nil. Whoever made the message frees it once the message was sent: what is under way has references of its own.
	Value mem.Buffer
}

// MarshalBuffers is of Marshaler.
func (b *Bytes) MarshalBuffers() (mem.BufferSlice, error) {
	head := protowire.AppendVarint(protowire.AppendTag(nil, b.Field, protowire.BytesType), uint64(b.Value.Len()))
	b.Value.Ref()
	return mem.BufferSlice{mem.SliceBuffer(head), b.Value}, nil
}
