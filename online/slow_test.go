package online

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/read"
)

// slowWay is a way to a server on which answers take a time.
type slowWay struct {
	address string
	delay   atomic.Int64
}

func newSlowWay(t testing.TB, to string) *slowWay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	way := &slowWay{address: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go way.carry(c, to)
		}
	}()
	return way
}

func (w *slowWay) carry(c net.Conn, to string) {
	defer c.Close()
	s, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	go func() {
		defer s.Close()
		_, _ = io.Copy(s, c)
	}()
	for b := make([]byte, 64<<10); ; {
		n, err := s.Read(b)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(w.delay.Load()))
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

// Redis is slow: reads that cannot wait for it end at their deadlines, reads that can are answered beside them, and what comes
// late is nobody else's answer.
func TestReadsOfASlowRedis(t *testing.T) {
	server := testenv.StartRedis(t)
	v := writeNumbered(t, openCopies(t, []string{server.Address}))
	way := newSlowWay(t, server.Address)
	reader := NewReader(openCopies(t, []string{way.address}), DefaultPrefix)
	plan := NewPlan(planOf(v))
	l := startLoad(reader, v)
	l.works(t, "while Redis is as fast as it is")
	way.delay.Store(int64(100 * time.Millisecond))
	for n := range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		_, err := reader.Read(ctx, plan, [][]Key{{key("1"), key("2")}}, 0)
		cancel()
		if reason := fault.ReasonOf(err); reason != fault.DeadlineExceeded && reason != fault.RedisUnavailable {
			t.Fatalf("read %d: found %v, expected DEADLINE_EXCEEDED or REDIS_UNAVAILABLE", n, err)
		}
		winners, err := reader.Read(context.Background(), plan, [][]Key{{key("3")}}, 0)
		if err != nil || winners[0][0].Status != read.Present || winners[0][0].Values[0].Int64() != 3 {
			t.Fatalf("read %d: found %v, %v of one that waits", n, winners, err)
		}
	}
	way.delay.Store(0)
	l.works(t, "when Redis is fast again")
	l.end(t)
}
