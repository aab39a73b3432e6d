package online

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// cachedReader is a reader of views delays and weather, with a clock of its own and a gate that counts what is asked of Redis.
func cachedReader(t *testing.T, g *gate, delays, weather time.Duration) (r *Reader, plan *Plan, clock *time.Time) {
	r, _ = held(t, g)
	at := time.Now()
	r.now = func() time.Time { return at }
	v, w := view(1, "delays", "airport", columns(feature.TypeInt64)), view(2, "weather", "airport", columns(feature.TypeInt64))
	v.Cache, w.Cache = delays, weather
	return r, NewPlan(planOf(v, w)), &at
}

// rewrite gives airports another value, with the sequence as the value.
func rewrite(t *testing.T, r *Reader, to int, airports ...int) {
	t.Helper()
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	for _, n := range airports {
		mustWrite(t, r.client, Item{"airport", strconv.Itoa(n), 1, pack(t, v, Header{Seq: int64(to), RunSeq: 1}, feature.Int64(int64(to)))})
	}
}

func (r *Reader) both(t *testing.T, plan *Plan, want string, airports ...int) {
	t.Helper()
	var keys []Key
	for _, n := range airports {
		keys = append(keys, key(strconv.Itoa(n)))
	}
	winners, err := r.Read(context.Background(), plan, [][]Key{keys, keys}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, w := range winners[0] {
		text := w.Status.String()
		if w.Values != nil {
			text = w.Values[0].Text()
		}
		found = append(found, text)
	}
	if got := strings.Join(found, " "); got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
}

func (g *gate) keys() (n int) {
	for _, keys := range g.sent {
		n += len(keys)
	}
	g.sent = nil
	return n
}

func TestCachedRowsAreServedForAsLongAsTheirViewsSay(t *testing.T) {
	g := &gate{}
	r, plan, clock := cachedReader(t, g, 500*time.Millisecond, time.Second)
	r.both(t, plan, "1 2 NO_ROW 1", 1, 2, 99, 1)
	if n := g.keys(); n != 3 {
		t.Errorf("asked for %d keys, expected 3", n)
	}
	rewrite(t, r, 100, 1, 2, 3, 99)
	*clock = clock.Add(499 * time.Millisecond)
	// What is not there is kept too, and what is asked for the first time is asked.
	r.both(t, plan, "100 2 1 NO_ROW", 3, 2, 1, 99)
	if n := g.keys(); n != 1 {
		t.Errorf("asked for %d keys, expected the one that is not kept", n)
	}
	*clock = clock.Add(time.Millisecond)
	r.both(t, plan, "100 100 100 100", 1, 2, 3, 99)
	if n := g.keys(); n != 3 {
		t.Errorf("asked for %d keys, expected those that are too old", n)
	}
	r.both(t, plan, "100 100 100 100", 1, 2, 3, 99)
	if n := g.keys(); n != 0 {
		t.Errorf("asked for %d keys, expected none", n)
	}
	// Another plan has entries of its own.
	_, other, _ := plan, NewPlan(planOf(plan.views[0].Version, plan.views[1].Version)), clock
	rewrite(t, r, 200, 1)
	r.both(t, other, "200", 1)
	r.both(t, plan, "100", 1)
}

func TestRowsOfAViewWithoutACacheAreAskedFor(t *testing.T) {
	g := &gate{}
	r, plan, _ := cachedReader(t, g, time.Minute, 0)
	for want := range 3 {
		rewrite(t, r, want+1, 5)
		r.both(t, plan, strconv.Itoa(want+1), 5)
	}
	if n := g.keys(); n != 3 {
		t.Errorf("asked for %d keys, expected one each time", n)
	}
}

// Age counts from when Redis was asked: an answer that took long is old when it comes.
func TestAgeCountsFromTheQuestion(t *testing.T) {
	g := &gate{pass: make(chan struct{})}
	r, plan, clock := cachedReader(t, g, 500*time.Millisecond, 500*time.Millisecond)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.both(t, plan, "7", 7)
	}()
	until(r.batcher, func() bool { return r.batcher.workers == 1 && len(r.batcher.waiting) == 0 })
	g.pass <- struct{}{}
	<-done
	g.pass = nil
	rewrite(t, r, 100, 7)
	*clock = clock.Add(500 * time.Millisecond)
	r.both(t, plan, "100", 7)

	// What was asked for earlier does not replace what was asked for later.
	c := newRowCache(1 << 20)
	grp := &group{id: 1, cache: time.Second}
	rows := func(s string) []storedRow { return []storedRow{{s, true}} }
	c.put([]byte("k"), rows("later"), clock.Add(time.Millisecond))
	c.put([]byte("k"), rows("earlier"), *clock)
	if found := c.get([]byte("k"), grp, *clock); found == nil || found[0].row != "later" {
		t.Errorf("found %v", found)
	}
}

func TestACacheIsBounded(t *testing.T) {
	const most = 1 << 20
	c := newRowCache(most)
	g := &group{id: 1, cache: time.Second}
	now := time.Now()
	for n := range 20_000 {
		c.put(fmt.Append(nil, n), []storedRow{{strings.Repeat("x", 100), true}, {}}, now)
	}
	bytes, last := 0, 0
	for i := range c.shards {
		for _, entries := range []map[string]cached{c.shards[i].young, c.shards[i].old} {
			for k, e := range entries {
				bytes += entryBytes + len(k)
				for _, r := range e.rows {
					bytes += rowBytes + len(r.row)
				}
			}
		}
	}
	if bytes > most || bytes < most/4 {
		t.Errorf("found %d bytes, expected about %d", bytes, most)
	}
	for n := range 20_000 {
		if c.get(fmt.Append(nil, n), g, now) != nil {
			last = n
		}
	}
	if last != 19_999 {
		t.Errorf("found %d as the last that is kept, expected the newest", last)
	}
	if c.put([]byte("huge"), []storedRow{{strings.Repeat("x", most), true}}, now); c.get([]byte("huge"), g, now) != nil {
		t.Error("found an entry that is larger than the cache")
	}
}

func TestWhatIsCachedDoesNotHideThatRedisIsAway(t *testing.T) {
	r, plan, _ := cachedReader(t, &gate{}, time.Minute, time.Minute)
	r.both(t, plan, "1", 1)
	r.Close()
	if err := r.client.Close(); err != nil {
		t.Fatal(err)
	}
	r.both(t, plan, "1", 1)
	if _, err := r.Read(context.Background(), plan, [][]Key{{key("1"), key("2")}, {key("1"), key("2")}}, 0); fault.ReasonOf(err) != fault.RedisUnavailable {
		t.Errorf("found %v, expected that it is told", err)
	}
}

func TestTheMemoryOfTheCacheIsSaid(t *testing.T) {
	g := &gate{}
	r, plan, _ := cachedReader(t, g, time.Hour, time.Hour)
	const most = 64 << 10
	r.BoundCache(most)
	rewrite(t, r, 1, 7)
	r.both(t, plan, "1", 7)
	r.both(t, plan, "1", 7)
	if s := r.CacheStats(); s.Hits != 1 || s.Misses != 1 || s.Bytes <= 0 || s.Most != most {
		t.Errorf("found %+v, expected a hit, a miss and the bytes of one row, of at most %d", s, most)
	}
	for n := range 5000 {
		r.both(t, plan, "NO_ROW", 1000+n)
		if s := r.CacheStats(); s.Bytes > most {
			t.Fatalf("found %d bytes after %d entities, expected at most %d", s.Bytes, n, most)
		}
	}
	if s := r.CacheStats(); s.Misses != 5001 || s.Bytes < most/4 {
		t.Errorf("found %+v, expected 5001 misses, and the memory to be used", s)
	}
}
