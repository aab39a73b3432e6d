package grpccodec

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// counted counts the buffers that came back.
type counted struct{ back int }

func (c *counted) Get(n int) *[]byte {
	b := make([]byte, n)
	return &b
}

func (c *counted) Put(*[]byte) { c.back++ }

func TestBytesAreWhatProtobufWrites(t *testing.T) {
	codec := New()
	for _, n := range []int{0, 1, 127, 128, 5_000, 1 << 20} {
		value := bytes.Repeat([]byte{7}, n)
		want, err := proto.Marshal(&wrapperspb.BytesValue{Value: value})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			// A field of a oneof is there also when it is empty.
			want = []byte{1<<3 | 2, 0}
		}
		got, err := codec.Marshal(&Bytes{Field: 1, Value: mem.SliceBuffer(value)})
		if err != nil || !bytes.Equal(got.Materialize(), want) {
			t.Errorf("%d bytes: found %d bytes of other content than the %d of protobuf (%v)", n, got.Len(), len(want), err)
		}
		var back wrapperspb.BytesValue
		if err := codec.Unmarshal(got, &back); err != nil || !bytes.Equal(back.GetValue(), value) {
			t.Errorf("%d bytes: found %d back (%v)", n, len(back.GetValue()), err)
		}
	}
}

func TestBytesAreFreedByBothSides(t *testing.T) {
	pool := &counted{}
	room := pool.Get(5_000)
	value := mem.NewBuffer(room, pool)
	out, err := New().Marshal(&Bytes{Field: 3, Value: value})
	if err != nil {
		t.Fatal(err)
	}
	if &out[1].ReadOnlyData()[0] != &(*room)[0] {
		t.Error("the bytes were copied")
	}
	value.Free()
	if pool.back != 0 {
		t.Error("the bytes were given back while they were being sent")
	}
	out.Free()
	if pool.back != 1 {
		t.Errorf("the bytes were given back %d times, expected once", pool.back)
	}
}

func TestOtherMessagesAreLeftToProtobuf(t *testing.T) {
	message := wrapperspb.String("text")
	want, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	codec := New()
	got, err := codec.Marshal(message)
	if err != nil || !bytes.Equal(got.Materialize(), want) {
		t.Errorf("found %x (%v), expected %x", got.Materialize(), err, want)
	}
	if _, err := codec.Marshal(17); err == nil {
		t.Error("a number was marshalled")
	}
	if codec.Name() != "proto" {
		t.Errorf("found the name %q, by which callers ask for another encoding", codec.Name())
	}
}
