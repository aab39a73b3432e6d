package rawconn_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/internal/rawconn"
)

// limit is when a test gives up that waits for what should be at once.
const limit = 2 * time.Minute

// userTimeout is how long what was sent may go unacknowledged.
const userTimeout = 17 * time.Second

// pair is both ends of a connection over TCP: one as a Listener of ours accepted it, or as net did, and the other, of net.
func pair(t *testing.T, ours bool) (accepted net.Conn, other *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if ours {
		l = rawconn.Listener(l, userTimeout)
	}
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{accepted, dialed} {
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
			t.Fatal(err)
		}
	}
	return accepted, dialed.(*net.TCPConn)
}

// Both directions at once, in parts of many sizes, of more than any socket holds: writes go on where they stopped.
func TestBytesComeAsTheyWereSent(t *testing.T) {
	t.Parallel()
	const size = 24 << 20
	random := func(seed uint64) []byte {
		b := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
		return b
	}
	// They are made before the connection, whose deadline they would use up.
	first, second := random(1), random(2)
	c, other := pair(t, true)
	var all sync.WaitGroup
	run := func(from, to net.Conn, sent []byte, seed uint64, most int) {
		sizes := rand.New(rand.NewPCG(seed, 1))
		all.Go(func() {
			for at := 0; at < size; {
				n := min(1+sizes.IntN(most), size-at)
				if written, err := from.Write(sent[at : at+n]); err != nil || written != n {
					t.Errorf("found %d bytes written (%v), expected %d", written, err, n)
					return
				}
				at += n
			}
		})
		all.Go(func() {
			sizes := rand.New(rand.NewPCG(seed, 2))
			b := make([]byte, most)
			for at := 0; at < size; {
				n, err := to.Read(b[:1+sizes.IntN(most)])
				if err != nil || n == 0 || !bytes.Equal(b[:n], sent[at:at+n]) {
					t.Errorf("found %d bytes (%v) at %d, expected those that were sent", n, err, at)
					return
				}
				at += n
			}
		})
	}
	run(c, other, first, 1, 3<<20)
	run(other, c, second, 2, 1<<20)
	all.Wait()
}

// Whoever writes at once with others has all of its bytes stand together.
func TestWritesAreNotMixed(t *testing.T) {
	t.Parallel()
	c, other := pair(t, true)
	const writers, each, size = 8, 20, 100_000
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for range each {
				if _, err := c.Write(bytes.Repeat([]byte{byte(w)}, size)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	got := make([]byte, writers*each*size)
	if _, err := io.ReadFull(other, got); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	for at := 0; at < len(got); at += size {
		if !bytes.Equal(got[at:at+size], bytes.Repeat(got[at:at+1], size)) {
			t.Fatalf("found the bytes of two writes mixed in those from %d on", at)
		}
	}
}

// Each failure is net's own: what it is, what it says, and how much was done before.
func TestFailuresAreThoseOfNet(t *testing.T) {
	t.Parallel()
	past := time.Unix(1, 0)
	soon := func() time.Time { return time.Now().Add(50 * time.Millisecond) }
	b := make([]byte, 1<<10)
	for name, fail := range map[string]func(c net.Conn, other *net.TCPConn) (int, error){
		"read at the end": func(c net.Conn, other *net.TCPConn) (int, error) {
			_ = other.Close()
			return c.Read(b)
		},
		"read after a reset": func(c net.Conn, other *net.TCPConn) (int, error) {
			_ = other.SetLinger(0)
			_ = other.Close()
			return c.Read(b)
		},
		"read when it is late": func(c net.Conn, _ *net.TCPConn) (int, error) {
			_ = c.SetReadDeadline(past)
			return c.Read(b)
		},
		"read until it is late": func(c net.Conn, _ *net.TCPConn) (int, error) {
			_ = c.SetReadDeadline(soon())
			return c.Read(b)
		},
		"read of one that is closed": func(c net.Conn, _ *net.TCPConn) (int, error) {
			_ = c.Close()
			return c.Read(b)
		},
		"read of one that is closed meanwhile": func(c net.Conn, _ *net.TCPConn) (int, error) {
			time.AfterFunc(50*time.Millisecond, func() { _ = c.Close() })
			return c.Read(b)
		},
		"read of nothing":  func(c net.Conn, _ *net.TCPConn) (int, error) { return c.Read(nil) },
		"write of nothing": func(c net.Conn, _ *net.TCPConn) (int, error) { return c.Write(nil) },
		"write when it is late": func(c net.Conn, _ *net.TCPConn) (int, error) {
			_ = c.SetWriteDeadline(past)
			return c.Write(b)
		},
		"write of one that is closed": func(c net.Conn, _ *net.TCPConn) (int, error) {
			_ = c.Close()
			return c.Write(b)
		},
		"write after a reset": func(c net.Conn, other *net.TCPConn) (int, error) {
			_ = other.SetLinger(0)
			_ = other.Close()
			// The first says that there was a reset, if nobody was told before.
			_, _ = c.Read(b)
			return c.Write(b)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := func(ours bool) string {
				c, other := pair(t, ours)
				n, err := fail(c, other)
				said := fmt.Sprint(err)
				if err != nil {
					for name, a := range map[string]net.Addr{"HERE": c.LocalAddr(), "THERE": c.RemoteAddr()} {
						said = strings.ReplaceAll(said, a.String(), name)
					}
				}
				var of net.Error
				return fmt.Sprint(n, " ", said, " timeout: ", errors.As(err, &of) && of.Timeout(), " late: ", errors.Is(err, os.ErrDeadlineExceeded),
					" closed: ", errors.Is(err, net.ErrClosed), " end: ", err == io.EOF)
			}
			if got, want := found(true), found(false); got != want {
				t.Errorf("found %s, expected %s", got, want)
			}
		})
	}
}

// A write that nobody reads ends at its deadline, and says how much of it was taken.
func TestWriteThatIsLateSaysHowMuch(t *testing.T) {
	t.Parallel()
	c, other := pair(t, true)
	b := make([]byte, 64<<20)
	// It is late once some of it has come, however long that takes.
	var begun int64
	var begins sync.WaitGroup
	begins.Go(func() {
		var err error
		if begun, err = io.CopyN(io.Discard, other, 1); err != nil {
			t.Error(err)
		}
		if err := c.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
	})
	n, err := c.Write(b)
	begins.Wait()
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == len(b) {
		t.Fatalf("found %d of %d bytes written (%v), expected some and that it was late", n, len(b), err)
	}
	_ = c.Close()
	if got, err := io.Copy(io.Discard, other); err != nil || begun+got != int64(n) {
		t.Errorf("found %d bytes read (%v), expected the %d that were written", begun+got, err, n)
	}
}

// After one that was late the connection goes on.
func TestReadGoesOnAfterADeadline(t *testing.T) {
	t.Parallel()
	c, other := pair(t, true)
	b := make([]byte, 8)
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("found %v, expected that it was late", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(limit))
	if _, err := other.Write([]byte("later")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(b); err != nil || string(b[:n]) != "later" {
		t.Errorf("found %q (%v), expected later", b[:n], err)
	}
}

// Who waits for a connection has no processor: with far more of them than there are processors, the others work.
func TestWaitingTakesNoProcessor(t *testing.T) {
	t.Parallel()
	const n = 200
	var all sync.WaitGroup
	others := make([]*net.TCPConn, n)
	for i := range n {
		c, other := pair(t, true)
		others[i] = other
		all.Go(func() {
			b := make([]byte, 1)
			if _, err := c.Read(b); err != nil || b[0] != byte(i) {
				t.Errorf("found %d (%v), expected %d", b[0], err, byte(i))
			}
		})
	}
	for i, other := range others {
		if _, err := other.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
}

func TestWhatIsNotOfTCPIsLeftAsItIs(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	defer a.Close()
	if got := rawconn.Wrap(a); got != a {
		t.Errorf("found %T, expected the pipe itself", got)
	}
}
