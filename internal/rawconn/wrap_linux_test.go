//go:build linux && !386 && !race

package rawconn_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/mem"
)

// pool counts the buffers that are out.
type pool struct{ out atomic.Int32 }

func (p *pool) Get(n int) *[]byte {
	p.out.Add(1)
	b := make([]byte, n)
	return &b
}

func (p *pool) Put(*[]byte) { p.out.Add(-1) }

// readerOnReady is what gRPC looks for.
type readerOnReady interface {
	ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error)
}

func TestWaitingHoldsNoBuffer(t *testing.T) {
	c, other := pair(t, true)
	p := &pool{}
	type read struct {
		b   *[]byte
		n   int
		err error
	}
	came := make(chan read)
	ask := func() {
		b, n, err := c.(readerOnReady).ReadOnReady(64, p)
		came <- read{b, n, err}
	}
	go ask()
	time.Sleep(50 * time.Millisecond)
	// None but for a moment, to look whether there is something.
	if p.out.Load() != 0 {
		t.Errorf("found %d buffers held while nothing came, expected none", p.out.Load())
	}
	sent := bytes.Repeat([]byte("0123456789"), 10)
	if _, err := other.Write(sent); err != nil {
		t.Fatal(err)
	}
	var all []byte
	for len(all) < len(sent) {
		got := <-came
		if got.err != nil || got.n == 0 || len(*got.b) != 64 {
			t.Fatalf("found %d bytes (%v)", got.n, got.err)
		}
		all = append(all, (*got.b)[:got.n]...)
		p.Put(got.b)
		go ask()
	}
	if !bytes.Equal(all, sent) {
		t.Errorf("found %q, expected what was sent", all)
	}
	_ = other.Close()
	if got := <-came; got.err != io.EOF || got.b != nil || p.out.Load() != 0 {
		t.Errorf("found %v, and %d buffers held at the end, expected EOF and none", got.err, p.out.Load())
	}
	_ = c.SetReadDeadline(time.Unix(1, 0))
	if b, _, err := c.(readerOnReady).ReadOnReady(64, p); !errors.Is(err, os.ErrDeadlineExceeded) || b != nil || p.out.Load() != 0 {
		t.Errorf("found %v, and %d buffers held, expected that it was late and none", err, p.out.Load())
	}
}

func TestWhatGoesUnacknowledgedIsLimited(t *testing.T) {
	c, _ := pair(t, true)
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var found int
	if err := raw.Control(func(fd uintptr) { found, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, 0x12) }); err != nil {
		t.Fatal(err)
	}
	if err != nil || found != int(userTimeout.Milliseconds()) {
		t.Errorf("found %d ms (%v), expected %s", found, err, userTimeout)
	}
}

// The other tests would pass with net's own connections.
func TestConnectionsOfTCPAreWrapped(t *testing.T) {
	c, other := pair(t, true)
	if _, plain := c.(*net.TCPConn); plain {
		t.Fatal("found a connection of net, expected one of ours")
	}
	b := make([]byte, 1<<10)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Read(b); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(b); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("found %v allocations to write and to read, expected none", n)
	}
}
