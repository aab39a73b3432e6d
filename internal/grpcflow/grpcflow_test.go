package grpcflow_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/headwaterhq/headwater/internal/grpcflow"
)

// recorded is a connection of which all that was read and written is kept.
type recorded struct {
	net.Conn
	mu      sync.Mutex
	in, out bytes.Buffer
}

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.in.Write(p[:n])
	return n, err
}

func (r *recorded) Write(p []byte) (int, error) {
	n, err := r.Conn.Write(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Write(p[:n])
	return n, err
}

// echo answers with what it is sent.
var echo = grpc.ServiceDesc{ServiceName: "Echo", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
	MethodName: "Echo",
	Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		m := &wrapperspb.BytesValue{}
		return m, decode(m)
	},
}}}

// TestNobodyPings holds the options of both sides to what they are for: no pings beside calls, and room for large messages.
func TestNobodyPings(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(append(grpcflow.Server(), grpc.MaxRecvMsgSize(64<<20))...)
	s.RegisterService(&echo, nil)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	defer serving.Wait()
	defer s.Stop()
	var connection *recorded
	client, err := grpc.NewClient("passthrough:///"+l.Addr().String(), append(grpcflow.Client(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)),
		grpc.WithContextDialer(func(_ context.Context, address string) (net.Conn, error) {
			c, err := net.Dial("tcp", address)
			connection = &recorded{Conn: c}
			return connection, err
		}))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const large = 20 << 20
	for _, size := range []int{1, 1000, 30_000, 1, 100_000, large} {
		sent, got := wrapperspb.Bytes(bytes.Repeat([]byte("x"), size)), &wrapperspb.BytesValue{}
		if err := client.Invoke(t.Context(), "/Echo/Echo", sent, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(sent.Value, got.Value) {
			t.Fatalf("found an answer of %d bytes, expected the %d that were sent", len(got.Value), size)
		}
	}
	connection.mu.Lock()
	defer connection.mu.Unlock()
	sent := connection.out.Bytes()
	for _, side := range []struct {
		name  string
		bytes []byte
	}{{"client", bytes.TrimPrefix(sent, []byte(http2.ClientPreface))}, {"server", connection.in.Bytes()}} {
		framer := http2.NewFramer(io.Discard, bytes.NewReader(side.bytes))
		var window uint32
		data := 0
		for {
			f, err := framer.ReadFrame()
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch f := f.(type) {
			case *http2.PingFrame:
				t.Errorf("found a ping of the %s, expected none", side.name)
			case *http2.SettingsFrame:
				if w, ok := f.Value(http2.SettingInitialWindowSize); ok {
					window = w
				}
			case *http2.DataFrame:
				data += len(f.Data())
			}
		}
		if window != 4<<20 || data < large {
			t.Errorf("found a window of %d bytes of the %s's and %d bytes of data, expected 4 MiB and more than %d", window, side.name, data, large)
		}
	}
}
