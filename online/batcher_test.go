package online

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/read"
)

// gate stands at a reader's own connections. It holds pipelines up, one for each that is let through, and records their keys. fail makes
// them fail.
type gate struct {
	pass chan struct{}
	fail bool

	mu   sync.Mutex
	sent [][]string
}

// at puts the gate before a reader's connections to the one Redis.
func (g *gate) at(r *Reader) {
	options := *r.batcher.pool.options
	if g.pass != nil {
		// A pipeline that is held up for longer would fail.
		options.DialTimeout, options.ReadTimeout = time.Hour, time.Hour
	}
	dial := options.Dialer
	options.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		return &gatedConn{Conn: c, gate: g}, err
	}
	r.batcher.pool.options = &options
}

// count is how many pipelines came to the gate.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.sent)
}

type gatedConn struct {
	net.Conn
	gate *gate
}

var asked = regexp.MustCompile(`\r\nHMGET\r\n\$[0-9]+\r\n([^\r]*)\r\n`)

func (c *gatedConn) Write(b []byte) (int, error) {
	var keys []string
	for _, found := range asked.FindAllSubmatch(b, -1) {
		keys = append(keys, string(found[1]))
	}
	if g := c.gate; keys != nil {
		g.mu.Lock()
		g.sent = append(g.sent, keys)
		g.mu.Unlock()
		if g.pass != nil {
			<-g.pass
		}
		if g.fail {
			return 0, errors.New("the connection broke")
		}
	}
	return c.Conn.Write(b)
}

// held is a reader with one shared pipeline at a time, and rows of some airports.
func held(t *testing.T, g *gate) (*Reader, *Plan) {
	client := testenv.Redis(t)
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	for n := range 20 {
		mustWrite(t, client, Item{"airport", strconv.Itoa(n), 1, pack(t, v, Header{Seq: 1, RunSeq: 1}, feature.Int64(int64(n)))})
	}
	r := NewReader(client, DefaultPrefix)
	t.Cleanup(r.Close)
	g.at(r)
	r.batcher.maxWorkers = 1
	return r, NewPlan(planOf(v))
}

func (r *Reader) numbers(ctx context.Context, plan *Plan, airports ...int) (string, error) {
	var keys []Key
	for _, n := range airports {
		keys = append(keys, key(strconv.Itoa(n)))
	}
	winners, err := r.Read(ctx, plan, [][]Key{keys}, 0)
	if err != nil {
		return "", err
	}
	var found []string
	for _, w := range winners[0] {
		text := w.Status.String()
		if w.Status == read.Present {
			text = w.Values[0].Text()
		}
		found = append(found, text)
	}
	return strings.Join(found, " "), nil
}

// until waits for what another goroutine is about to do.
func until(b *batcher, is func() bool) {
	for {
		b.mu.Lock()
		done := is()
		b.mu.Unlock()
		if done {
			return
		}
		runtime.Gosched()
	}
}

func (b *batcher) sharers() (n int) {
	for _, w := range b.waiting {
		n += len(w.done)
	}
	return n
}

func TestReadsThatComeTogetherShareAPipeline(t *testing.T) {
	g := &gate{pass: make(chan struct{})}
	r, plan := held(t, g)
	var wait sync.WaitGroup
	ask := func(want string, airports ...int) {
		wait.Go(func() {
			if got, err := r.numbers(context.Background(), plan, airports...); got != want || err != nil {
				t.Errorf("%v: found %s, %v, expected %s", airports, got, err, want)
			}
		})
	}
	ask("0", 0)
	until(r.batcher, func() bool { return g.count() == 1 })
	for range 5 {
		ask("7", 7)
		ask("3 4 3", 3, 4, 3)
		// The same keys, and another order of rows.
		ask("3 3 4", 3, 3, 4)
	}
	ask("4 3", 4, 3)
	ask("NO_ROW 19", 99, 19)
	until(r.batcher, func() bool { return r.batcher.sharers() == 17 })
	g.pass <- struct{}{}
	g.pass <- struct{}{}
	wait.Wait()
	if len(g.sent) != 2 {
		t.Fatalf("found the pipelines %q, expected two", g.sent)
	}
	slices.Sort(g.sent[1])
	var want []string
	for _, n := range []int{7, 3, 4, 4, 3, 99, 19} {
		want = append(want, fmt.Sprintf("hw:airport:%d", n))
	}
	slices.Sort(want)
	if !slices.Equal(g.sent[1], want) {
		t.Errorf("sent %q, expected %q: what is asked for alike is asked once", g.sent[1], want)
	}
	until(r.batcher, func() bool { return r.batcher.workers == 0 })
	if len(r.batcher.queued) != 0 {
		t.Errorf("found %v left behind", r.batcher.queued)
	}
}

func TestAReadThatIsLeftDoesNotLeaveOthers(t *testing.T) {
	g := &gate{pass: make(chan struct{})}
	r, plan := held(t, g)
	var wait sync.WaitGroup
	ask := func(ctx context.Context, reason fault.Reason, want string, airports ...int) {
		wait.Go(func() {
			got, err := r.numbers(ctx, plan, airports...)
			if got != want || fault.ReasonOf(err) != reason {
				t.Errorf("%v: found %s, %v, expected %s", airports, got, err, want)
			}
		})
	}
	background := context.Background()
	sent, leaveSent := context.WithCancel(background)
	waiting, leaveWaiting := context.WithCancel(background)
	ask(sent, fault.Cancelled, "", 0)
	until(r.batcher, func() bool { return g.count() == 1 })
	// The first to ask for 5 leaves, and the second does not; nobody is left for 6.
	ask(waiting, fault.Cancelled, "", 5)
	until(r.batcher, func() bool { return r.batcher.sharers() == 1 })
	ask(background, fault.ReasonOf(nil), "5", 5)
	ask(waiting, fault.Cancelled, "", 6)
	until(r.batcher, func() bool { return r.batcher.sharers() == 3 })
	leaveSent()
	leaveWaiting()
	until(r.batcher, func() bool {
		for _, w := range r.batcher.waiting {
			if want := map[string]int32{"hw:airport:5": 2, "hw:airport:6": 1}[string(w.query.text)]; w.query.holders.Load() != want {
				return false
			}
		}
		return true
	})
	g.pass <- struct{}{}
	g.pass <- struct{}{}
	wait.Wait()
	if len(g.sent) != 2 || len(g.sent[1]) != 1 || g.sent[1][0] != "hw:airport:5" {
		t.Errorf("sent %q, expected that nothing is asked for nobody", g.sent)
	}
	// What was left is used again, whole.
	g.pass = nil
	for range 10 {
		if got, err := r.numbers(background, plan, 6, 7); got != "6 7" || err != nil {
			t.Errorf("found %s, %v", got, err)
		}
	}
}

func TestASharedPipelineThatFailsIsAskedAgainByEach(t *testing.T) {
	g := &gate{fail: true}
	r, plan := held(t, g)
	if got, err := r.numbers(context.Background(), plan, 1, 99, 1); got != "1 NO_ROW 1" || err != nil || len(g.sent) != 1 {
		t.Errorf("found %s, %v after %d shared pipelines", got, err, len(g.sent))
	}
	// It is left to go-redis for a while, and asked itself again.
	g.fail = false
	restOn(t, r.batcher.pool)
	for range 2 {
		if got, err := r.numbers(context.Background(), plan, 1, 2); got != "1 2" || err != nil || len(g.sent) != 1 {
			t.Errorf("found %s, %v after %d pipelines of its own", got, err, len(g.sent))
		}
	}
	// Connections that the server closed meanwhile.
	for range 5 {
		r.batcher.pool.restsUntil.Store(0)
		if err := r.client.Do(context.Background(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := r.numbers(context.Background(), plan, 2, 3); got != "2 3" || err != nil {
			t.Errorf("found %s, %v", got, err)
		}
	}
	if len(g.sent) != 6 {
		t.Errorf("sent %q, expected each read once", g.sent)
	}
}

// Large reads have as many pipelines as keep Redis at work, few of them new while there are small reads, which would come behind them; and
// small ones always have connections.
func TestLargeReadsLeaveRoomForSmallOnes(t *testing.T) {
	airports := make([]int, aloneKeys)
	for i := range airports {
		airports[i] = 100 + i
	}
	none := strings.TrimSpace(strings.Repeat(" NO_ROW", aloneKeys))
	g := &gate{pass: make(chan struct{})}
	r, plan := held(t, g)
	b := r.batcher
	many, few, connections := cap(b.alone), cap(b.beside), cap(b.pool.places)
	if many <= few || connections-many < few {
		t.Fatalf("found %d large reads at once, %d beside small ones, and %d connections, expected more alone, and connections for small ones", many, few, connections)
	}
	var wait sync.WaitGroup
	ask := func(want string, airports ...int) {
		wait.Go(func() {
			if got, err := r.numbers(context.Background(), plan, airports...); got != want || err != nil {
				t.Errorf("found %s, %v, expected %s", got, err, want)
			}
		})
	}
	// exactly that many pipelines were sent, and no more are.
	exactly := func(want int) {
		t.Helper()
		until(b, func() bool { return g.count() >= want })
		for range 2000 {
			runtime.Gosched()
		}
		if got := g.count(); got != want {
			t.Fatalf("found %d pipelines sent, expected %d", got, want)
		}
	}
	for range 3 * many {
		ask(none, airports...)
	}
	exactly(many)
	// A small one has a connection, and from then on large ones follow few at a time.
	ask("7", 7)
	exactly(many + 1)
	b.small.Store(int64(time.Since(began) + time.Hour))
	for range many + 1 {
		g.pass <- struct{}{}
	}
	exactly(many + 1 + few)
	close(g.pass)
	wait.Wait()
	if len(b.alone) > 0 || len(b.beside) > 0 || len(b.pool.places) > 0 {
		t.Errorf("found %d, %d and %d places taken in the end, expected none", len(b.alone), len(b.beside), len(b.pool.places))
	}
}

// Many reads at once, of all kinds, get what they ask for: memory that is used again is nobody else's.
func TestReadsAtOnce(t *testing.T) {
	r, plan := held(t, &gate{})
	r.batcher.maxWorkers = 3
	var wait sync.WaitGroup
	for reader := range 16 {
		wait.Go(func() {
			for n := range 60 {
				first := (reader * n) % 19
				if got, err := r.numbers(context.Background(), plan, first, first+1, 50); got != fmt.Sprintf("%d %d NO_ROW", first, first+1) || err != nil {
					t.Errorf("found %s, %v, expected %d", got, err, first)
					return
				}
				ctx, cancel := context.WithCancel(context.Background())
				go cancel()
				if got, err := r.numbers(ctx, plan, first); err == nil && got != strconv.Itoa(first) {
					t.Errorf("found %s, expected %d", got, first)
				}
				cancel()
			}
		})
	}
	wait.Wait()
}
