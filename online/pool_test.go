package online

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// counted has a pool count its connections: those that it dialed, and those that it closed.
type counted struct{ dialed, closed atomic.Int32 }

func (n *counted) at(p *pool, then func(*countedConn)) {
	options := *p.options
	dial := options.Dialer
	options.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		n.dialed.Add(1)
		of := &countedConn{Conn: c, of: n}
		if then != nil {
			then(of)
		}
		return of, nil
	}
	p.options = &options
}

type countedConn struct {
	net.Conn
	of *counted
	// read is in the place of Read, where it is not nil.
	read func(io.Reader, []byte) (int, error)
}

func (c *countedConn) Close() error {
	c.of.closed.Add(1)
	return c.Conn.Close()
}

func (c *countedConn) Read(b []byte) (int, error) {
	if c.read != nil {
		return c.read(c.Conn, b)
	}
	return c.Conn.Read(b)
}

// restOn has a pool that rests do so until it is told otherwise, however long a test takes.
func restOn(t *testing.T, p *pool) {
	t.Helper()
	if p.restsUntil.Load() == 0 {
		t.Error("found a pool that does not rest after a failure")
	}
	p.restsUntil.Store(time.Now().Add(time.Hour).UnixNano())
}

func TestAConnectionIsUsedAgain(t *testing.T) {
	r, plan := held(t, &gate{})
	n := &counted{}
	n.at(r.batcher.pool, nil)
	for range 10 {
		if got, err := r.numbers(context.Background(), plan, 1, 2, 99); got != "1 2 NO_ROW" || err != nil {
			t.Fatalf("found %s, %v", got, err)
		}
	}
	if n.dialed.Load() != 1 || n.closed.Load() != 0 {
		t.Errorf("dialed %d and closed %d, expected one for all", n.dialed.Load(), n.closed.Load())
	}
	// One that nobody used for long may have been given up between here and there.
	r.batcher.pool.idle[0].used = time.Now().Add(-2 * r.batcher.pool.options.ConnMaxIdleTime)
	if got, err := r.numbers(context.Background(), plan, 1); got != "1" || err != nil || n.dialed.Load() != 2 || n.closed.Load() != 1 {
		t.Errorf("found %s, %v, dialed %d and closed %d, expected a new one", got, err, n.dialed.Load(), n.closed.Load())
	}
	r.Close()
	if n.closed.Load() != 2 {
		t.Errorf("closed %d, expected all", n.closed.Load())
	}
	// The client is there still, and asks.
	if got, err := r.numbers(context.Background(), plan, 1); got != "1" || err != nil || n.dialed.Load() != 2 {
		t.Errorf("found %s, %v, dialed %d", got, err, n.dialed.Load())
	}
}

// After any failure a connection may have answers to come of what was asked before: it is closed, and the read asks again.
func TestAConnectionIsClosedAfterAFailure(t *testing.T) {
	for name, read := range map[string]func(io.Reader, []byte) (int, error){
		"an end": func(io.Reader, []byte) (int, error) { return 0, io.EOF },
		"half a reply, and an end": func(from io.Reader, b []byte) (int, error) {
			n, _ := from.Read(b)
			return n / 2, io.ErrUnexpectedEOF
		},
		"more than was asked for": func(from io.Reader, b []byte) (int, error) {
			n, err := from.Read(b)
			return n + copy(b[n:], "+OK\r\n"), err
		},
		"something else": func(from io.Reader, b []byte) (int, error) { return copy(b, "HTTP/1.1 400 Bad Request\r\n"), nil },
	} {
		r, plan := held(t, &gate{})
		n := &counted{}
		n.at(r.batcher.pool, func(c *countedConn) { c.read = read })
		for range 3 {
			if got, err := r.numbers(context.Background(), plan, 3, 99); got != "3 NO_ROW" || err != nil {
				t.Errorf("%s: found %s, %v", name, got, err)
			}
			restOn(t, r.batcher.pool)
		}
		if n.dialed.Load() != 1 || n.closed.Load() != 1 || len(r.batcher.pool.idle) != 0 {
			t.Errorf("%s: dialed %d and closed %d, expected the first one closed, and a rest", name, n.dialed.Load(), n.closed.Load())
		}
		n.at(r.batcher.pool, nil)
		r.batcher.pool.options.Dialer = redis.NewDialer(r.batcher.pool.options)
		r.batcher.pool.restsUntil.Store(0)
		if got, err := r.numbers(context.Background(), plan, 3, 99); got != "3 NO_ROW" || err != nil || len(r.batcher.pool.idle) != 1 {
			t.Errorf("%s: found %s, %v after it", name, got, err)
		}
	}
}

// A read that is in a hurry closes its connection, as the answer is to come yet, and no other.
func TestAHurryIsItsOwn(t *testing.T) {
	server := testenv.StartRedis(t)
	client := openCopies(t, []string{server.Address})
	v := writeNumbered(t, client)
	r, plan := NewReader(client, DefaultPrefix), NewPlan(planOf(v))
	t.Cleanup(r.Close)
	n := &counted{}
	n.at(r.batcher.pool, nil)
	other, err := r.batcher.pool.take(context.Background(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	other.used = time.Now()
	r.batcher.pool.give(other)
	server.Pause(t)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.numbers(ctx, plan, 7); fault.ReasonOf(err) != fault.DeadlineExceeded {
		t.Errorf("found %v, expected DEADLINE_EXCEEDED", err)
	}
	server.Resume(t)
	if r.batcher.pool.rests() || n.closed.Load() != 1 {
		t.Errorf("closed %d, rests %v, expected nothing more", n.closed.Load(), r.batcher.pool.rests())
	}
	// The late answer is nobody's.
	for range 3 {
		if got, err := r.numbers(context.Background(), plan, 8); got != "8" || err != nil {
			t.Errorf("found %s, %v", got, err)
		}
	}
}

// A key that holds something else is refused, which is told, and the connection goes on.
func TestARefusedCommandLeavesItsConnection(t *testing.T) {
	r, plan := held(t, &gate{})
	n := &counted{}
	n.at(r.batcher.pool, nil)
	if err := r.client.Set(context.Background(), "hw:airport:text", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err := r.Read(context.Background(), plan, [][]Key{{key("1"), key("text"), key("2")}}, 0)
		if fault.ReasonOf(err) != fault.RedisUnavailable || !strings.Contains(err.Error(), "holds something else under a key") {
			t.Errorf("found %v", err)
		}
		if got, err := r.numbers(context.Background(), plan, 1, 2); got != "1 2" || err != nil {
			t.Errorf("found %s, %v", got, err)
		}
	}
	if n.dialed.Load() != 1 || n.closed.Load() != 0 {
		t.Errorf("dialed %d and closed %d, expected one for all", n.dialed.Load(), n.closed.Load())
	}
}

// A connection says who the user is, and in which database, or is none.
func TestConnectionsOfUsersAndDatabases(t *testing.T) {
	ctx := context.Background()
	server := testenv.StartRedis(t)
	if err := server.Client.ConfigSet(ctx, "requirepass", "secret").Err(); err != nil {
		t.Fatal(err)
	}
	for number, user := range map[int]string{0: "", 3: "", 5: "default"} {
		client, err := Open(ctx, fmt.Sprintf("redis://%s:secret@%s/%d", user, server.Address, number), Options{DialTimeout: time.Minute, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		v := view(1, "delays", "airport", columns(feature.TypeInt64))
		mustWrite(t, client, Item{"airport", "JFK", 1, pack(t, v, Header{Seq: 1, RunSeq: 1}, feature.Int64(int64(number)))})
		r := NewReader(client, DefaultPrefix)
		defer r.Close()
		winners, err := r.Read(ctx, NewPlan(planOf(v)), [][]Key{{key("JFK")}}, 0)
		if err != nil || winners[0][0].Values == nil || winners[0][0].Values[0].Int64() != int64(number) {
			t.Errorf("database %d: found %v, %v", number, winners, err)
		}
		if len(r.batcher.pool.idle) != 1 {
			t.Errorf("database %d: found %d connections of its own, expected one", number, len(r.batcher.pool.idle))
		}
		for _, wrong := range []redis.Options{{Password: "wrong"}, {Password: "secret", DB: 100_000}} {
			options := *client.(*redis.Client).Options()
			options.Password, options.DB = wrong.Password, wrong.DB
			if c, err := newPool(&options).take(ctx, time.Now()); !errors.Is(err, errGreets) {
				t.Errorf("found %v, %v, expected that it is refused", c, err)
			}
		}
	}
}

// Who waits for a connection waits no longer than it may.
func TestPlacesOfAPool(t *testing.T) {
	g := &gate{pass: make(chan struct{})}
	r, plan := held(t, g)
	r.batcher.pool.places = make(chan struct{}, 1)
	many := make([]int, aloneKeys)
	var want []string
	for i := range many {
		many[i] = 100 + i
		want = append(want, "NO_ROW")
	}
	done := make(chan error)
	go func() {
		got, err := r.numbers(context.Background(), plan, many...)
		if err == nil && got != strings.Join(want, " ") {
			err = errors.New("found " + got)
		}
		done <- err
	}()
	for g.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.numbers(ctx, plan, many...); fault.ReasonOf(err) != fault.DeadlineExceeded {
		t.Errorf("found %v, expected DEADLINE_EXCEEDED", err)
	}
	g.pass <- struct{}{}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The connections to a process that left its cluster are ended when another comes.
func TestPoolsOfProcesses(t *testing.T) {
	var all pools
	client := func(n int) *redis.Client {
		c := redis.NewClient(&redis.Options{
			Addr: "127.0.0.1:" + strconv.Itoa(n), MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		t.Cleanup(func() { c.Close() })
		return c
	}
	first := all.pool(client(1))
	if again := all.pool(client(1)); again != first {
		t.Error("found two pools of one process")
	}
	gone, busy := all.pool(client(2)), all.pool(client(3))
	long := time.Now().Add(-2 * unusedFor).UnixNano()
	gone.asked.Store(long)
	busy.asked.Store(long)
	busy.places <- struct{}{}
	fourth := all.pool(client(4))
	closed := func(of ...*pool) (found []bool) {
		for _, p := range of {
			found = append(found, p.closed)
		}
		return found
	}
	if found := closed(first, gone, busy, fourth); !slices.Equal(found, []bool{false, true, false, false}) || len(all.of) != 3 {
		t.Errorf("found %v closed and %d pools, expected the one that nobody used", found, len(all.of))
	}
	all.close()
	if found := closed(first, busy, fourth, all.pool(client(5))); !slices.Equal(found, []bool{true, true, true, true}) {
		t.Errorf("found %v closed at the end", found)
	}
}

// In a cluster each master is asked for what it has, by connections of the reader's own, and go-redis for what they are refused.
func TestShardsAreAskedAtOnce(t *testing.T) {
	cluster := testenv.StartCluster(t, false)
	client := openCopies(t, cluster.Addresses())
	v := writeNumbered(t, client)
	r, plan := NewReader(client, DefaultPrefix), NewPlan(planOf(v))
	defer r.Close()
	var all []int
	var want []string
	for n := range faultRows {
		all, want = append(all, n), append(want, strconv.Itoa(n))
	}
	check := func(when string) {
		t.Helper()
		if got, err := r.numbers(context.Background(), plan, all...); got != strings.Join(want, " ") || err != nil {
			t.Errorf("%s: found %s, %v", when, got, err)
		}
	}
	for range 3 {
		check("at first")
	}
	var pipelines atomic.Int32
	client.AddHook(countPipelines{&pipelines})
	check("with what is there")
	idle := func() (n int) {
		for _, p := range r.pools.of {
			n += len(p.idle)
		}
		return n
	}
	if len(r.pools.of) != 3 || idle() != 3 || pipelines.Load() != 0 {
		t.Errorf("found %d processes, %d connections, and %d pipelines of go-redis, expected one connection to each, and nothing else",
			len(r.pools.of), idle(), pipelines.Load())
	}
	moveSlots(t, cluster)
	check("after slots moved")
	if n := pipelines.Load(); n == 0 || idle() != 3 {
		t.Errorf("found %d pipelines of go-redis and %d connections after slots moved, expected that it followed them, and no new ones", n, idle())
	}
	eventually(t, "read that knows where slots are", func() bool {
		before := pipelines.Load()
		check("when it is known")
		return pipelines.Load() == before
	})
}

type countPipelines struct{ n *atomic.Int32 }

func (c countPipelines) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (c countPipelines) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (c countPipelines) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmds)
	}
}
