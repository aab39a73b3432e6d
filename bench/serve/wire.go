package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/headwaterhq/headwater/internal/rawconn"
)

// wire is a connection of gRPC that speaks HTTP/2 itself: one goroutine sends the requests of all connections, and one for each
// reads. In the open loop requests come one by one, and a client that wakes goroutines of its own for each takes as much of the
// processors as the server does: what is measured then is the client.
//
// What is under way fits into the windows of grpcflow, so nobody counts what the server may still be sent.
type wire struct {
	address string
	conn    net.Conn
	// want is how long an answer is, where that is known.
	want int
	// ended is called when an answer has come.
	ended func()

	mu sync.Mutex
	// out are frames to be sent, which write makes. headers makes blocks, of one request after the other.
	out     bytes.Buffer
	write   *http2.Framer
	block   bytes.Buffer
	headers *hpack.Encoder
	token   string
	// next is the number of the next request, and asked are those that have no answer yet.
	next  uint32
	asked map[uint32]*asked
	// closed says that it is to end.
	closed bool

	// latencies are of the requests that count. keeps says that one of them was sent whose answer is kept.
	latencies []time.Duration
	keeps     bool
	kept      *asked
}

// asked is a request that was sent, and how much of its answer is there.
type asked struct {
	due    time.Time
	counts bool
	length int
	// answer is as it comes, with gRPC's prefix, where entities say what it is to have.
	answer   []byte
	entities []int
}

const (
	// wireWindow is what a server may send before it is read, on one connection and for one request, in bytes.
	wireWindow = 16 << 20
	// messagePrefix is how many bytes gRPC has before a message: whether it is compressed, and its length.
	messagePrefix = 5
)

// dialWire connects, until ctx ends. Where want is not 0 an answer has so many bytes.
func dialWire(ctx context.Context, address, token string, want int, ended func()) (*wire, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	w := &wire{address: address, conn: rawconn.Wrap(conn), token: token, want: want, ended: ended, next: 1, asked: map[uint32]*asked{}}
	// Who writes to a server that does not read waits, and with it who would close.
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	w.write, w.headers = http2.NewFramer(&w.out, nil), hpack.NewEncoder(&w.block)
	w.out.WriteString(http2.ClientPreface)
	if err := w.control(func() error {
		if err := w.write.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: wireWindow}); err != nil {
			return err
		}
		return w.write.WriteWindowUpdate(0, wireWindow)
	}); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return w, nil
}

// control sends a frame that is of no request.
func (w *wire) control(write func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := write(); err != nil {
		return err
	}
	return w.flushed()
}

// flush sends what waits.
func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flushed()
}

func (w *wire) flushed() error {
	if w.out.Len() == 0 {
		return nil
	}
	_, err := w.conn.Write(w.out.Bytes())
	w.out.Reset()
	return err
}

// add puts a request behind those that are to be sent.
func (w *wire) add(message []byte, a *asked) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.block.Reset()
	// The encoder refers to what it has sent before: of each after the first a few bytes are sent.
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: getFeatures}, {Name: ":authority", Value: w.address},
		{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"}, {Name: "authorization", Value: "Bearer " + w.token},
	} {
		if err := w.headers.WriteField(f); err != nil {
			return err
		}
	}
	id := w.next
	w.next += 2
	w.asked[id] = a
	if err := w.write.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.block.Bytes(), EndHeaders: true}); err != nil {
		return err
	}
	data := binary.BigEndian.AppendUint32(make([]byte, 1, messagePrefix+len(message)), uint32(len(message)))
	return w.write.WriteData(id, true, append(data, message...))
}

// read is what the goroutine does that reads, until the connection is closed.
func (w *wire) read() error {
	frames := http2.NewFramer(io.Discard, bufio.NewReaderSize(w.conn, 128<<10))
	frames.SetReuseFrames()
	var code, text string
	fields := hpack.NewDecoder(4<<10, func(f hpack.HeaderField) {
		switch f.Name {
		case "grpc-status":
			code = f.Value
		case "grpc-message":
			text = f.Value
		}
	})
	unread := 0
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.closed {
				return nil
			}
			return fmt.Errorf("reading answers: %w", err)
		}
		switch f := frame.(type) {
		case *http2.DataFrame:
			// The window is given back seldom, of a connection alone: no answer fills its own.
			if unread += len(f.Data()); unread > wireWindow/4 {
				if err := w.control(func() error { return w.write.WriteWindowUpdate(0, uint32(unread)) }); err != nil {
					return err
				}
				unread = 0
			}
			if a := w.of(f.StreamID); a != nil {
				a.length += len(f.Data())
				if a.entities != nil {
					a.answer = append(a.answer, f.Data()...)
				}
			}
		case *http2.HeadersFrame:
			code, text = "", ""
			if _, err := fields.Write(f.HeaderBlockFragment()); err != nil {
				return err
			}
			if !f.StreamEnded() {
				continue
			}
			if code != "0" {
				return fmt.Errorf("found status %q of a request (%s), expected 0", code, text)
			}
			if err := w.answered(f.StreamID); err != nil {
				return err
			}
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if err := w.control(w.write.WriteSettingsAck); err != nil {
					return err
				}
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				if err := w.control(func() error { return w.write.WritePing(true, f.Data) }); err != nil {
					return err
				}
			}
		case *http2.GoAwayFrame:
			return fmt.Errorf("found that the server ends the connection (%v %q), expected answers", f.ErrCode, f.DebugData())
		case *http2.RSTStreamFrame:
			return fmt.Errorf("found that the server ends a request (%v), expected its answer", f.ErrCode)
		}
	}
}

func (w *wire) of(id uint32) *asked {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[id]
}

// answered counts a request whose answer is there.
func (w *wire) answered(id uint32) error {
	now := time.Now()
	w.mu.Lock()
	a := w.asked[id]
	delete(w.asked, id)
	w.mu.Unlock()
	if a == nil {
		return fmt.Errorf("found an answer to request %d, which nobody waits for", id)
	}
	switch {
	case a.length <= messagePrefix:
		return fmt.Errorf("found an answer of %d bytes, expected a message", max(0, a.length-messagePrefix))
	case w.want > 0 && a.length != messagePrefix+w.want:
		return fmt.Errorf("found an answer of %d bytes, expected %d", a.length-messagePrefix, w.want)
	}
	if a.counts {
		w.latencies = append(w.latencies, now.Sub(a.due))
	}
	if a.entities != nil {
		w.kept = a
	}
	w.ended()
	return nil
}

func (w *wire) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	_ = w.conn.Close()
}
