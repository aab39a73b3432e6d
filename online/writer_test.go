package online

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// compareHeaders is the order of rows, written down a second time.
func compareHeaders(a, b Header) int {
	return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.EventTime, b.EventTime),
		cmp.Compare(a.AvailableAt, b.AvailableAt))
}

// stored is the row of an entity and view as Redis has it; "" for none.
func stored(t failer, client redis.UniversalClient, entity, key string, viewID int64) string {
	t.Helper()
	row, err := client.HGet(context.Background(), string(appendKey(nil, DefaultPrefix, entity, key)), fieldOf(viewID)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatalf("%v", err)
	}
	return row
}

func TestEveryPairOfRowsIsOrdered(t *testing.T) {
	client := testenv.Redis(t)
	layout := NewLayout(nil)
	var headers []Header
	for _, epoch := range []int64{0, 1} {
		for _, seq := range []int64{2, 1 << 32} {
			for _, event := range []feature.Time{-1, 0, 1} {
				for _, available := range []feature.Time{-1, 0} {
					headers = append(headers, Header{Epoch: epoch, Seq: seq, EventTime: event, AvailableAt: available})
				}
			}
		}
	}
	// Where bytes have their sign bit, where doubles lose bits, and where four bytes end.
	for _, n := range []int64{math.MinInt64, -1 << 53, -1<<53 - 1, -256, 127, 128, 255, 256, 1<<32 - 1, 1 << 53, 1<<53 + 1, math.MaxInt64} {
		headers = append(headers, Header{Seq: 2, EventTime: feature.Time(n)}, Header{Seq: 2, AvailableAt: feature.Time(n)})
		if n > 2 {
			headers = append(headers, Header{Epoch: n, Seq: 2}, Header{Seq: n})
		}
	}
	var firsts, seconds []Item
	for i, a := range headers {
		for j, b := range headers {
			a.RunSeq, b.RunSeq = 1, 2
			for h, items := range map[Header]*[]Item{a: &firsts, b: &seconds} {
				row, err := layout.Append(nil, h, nil)
				if err != nil {
					t.Fatal(err)
				}
				*items = append(*items, Item{Entity: "pair", Key: fmt.Sprintf("%d|%d", i, j), ViewID: 1, Packed: row})
			}
		}
	}
	if result := mustWrite(t, client, firsts...); result != (Result{Written: int64(len(firsts)), Added: int64(len(firsts))}) {
		t.Fatalf("found %+v of first writes, expected all %d written", result, len(firsts))
	}
	result := mustWrite(t, client, seconds...)
	var expected Result
	for n := range seconds {
		i, j := n/len(headers), n%len(headers)
		row := stored(t, client, "pair", seconds[n].Key, 1)
		h, err := DecodeHeader(row)
		if err != nil {
			t.Fatal(err)
		}
		winner := int64(2)
		if compareHeaders(headers[i], headers[j]) > 0 {
			winner = 1
			expected.Stale++
		} else {
			expected.Written++
		}
		if h.RunSeq != winner {
			t.Errorf("%+v, then %+v: found the row of write %d, expected that of write %d", headers[i], headers[j], h.RunSeq, winner)
		}
	}
	if result != expected {
		t.Errorf("found %+v of second writes, expected %+v", result, expected)
	}
}

// Whatever the order and number of writers, what is left is the greatest of all that was written.
func TestGreatestRowIsLeft(t *testing.T) {
	client := testenv.Redis(t)
	layout := NewLayout(columns(feature.TypeInt64))
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		if err := client.FlushDB(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		type place struct {
			key  string
			view int64
		}
		greatest := map[place]Header{}
		var items []Item
		for range rapid.IntRange(1, 60).Draw(t, "items") {
			p := place{rapid.SampledFrom([]string{"", "a", "é|", "\xff"}).Draw(t, "key"), rapid.Int64Range(1, 3).Draw(t, "view")}
			h := Header{
				Epoch: rapid.Int64Range(0, 1).Draw(t, "epoch"), Seq: rapid.Int64Range(1, 3).Draw(t, "seq"), RunSeq: 1,
				EventTime:   feature.Time(rapid.Int64Range(-1, 1).Draw(t, "event time")),
				AvailableAt: feature.Time(rapid.Int64Range(-1, 1).Draw(t, "available at")),
			}
			var row []byte
			var err error
			if rapid.IntRange(0, 4).Draw(t, "tombstone") == 0 {
				h.Tombstone, h.EventTime, h.AvailableAt = true, math.MinInt64, math.MinInt64
				row, err = AppendTombstone(nil, h.Epoch, h.Seq, h.RunSeq)
			} else {
				row, err = layout.Append(nil, h, []feature.Value{feature.Int64(1)})
			}
			if err != nil {
				t.Fatal(err)
			}
			items = append(items, Item{Entity: "airport", Key: p.key, ViewID: p.view, Packed: row})
			if g, ok := greatest[p]; !ok || compareHeaders(h, g) > 0 {
				greatest[p] = h
			}
		}
		const writers = 4
		seed := rapid.Uint64().Draw(t, "seed")
		var wg sync.WaitGroup
		errs := make([]error, writers)
		for n := range writers {
			wg.Go(func() {
				mine := slices.Clone(items)
				rand.New(rand.NewPCG(seed, uint64(n))).Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
				w := NewWriter(client, DefaultPrefix)
				for part := range slices.Chunk(mine, 7) {
					offer := w.Write
					if add := (seed>>n)&1 == 1; add {
						offer = w.Add
					}
					result, err := offer(ctx, part)
					if err == nil && result.Written+result.Stale != int64(len(part)) {
						err = fmt.Errorf("found %+v of %d items", result, len(part))
					}
					errs[n] = errors.Join(errs[n], err)
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for p, expected := range greatest {
			if h, err := DecodeHeader(stored(t, client, "airport", p.key, p.view)); err != nil || h != expected {
				t.Fatalf("%+v: found %+v (%v), expected %+v", p, h, err, expected)
			}
		}
	})
}

func TestTombstones(t *testing.T) {
	client := testenv.Redis(t)
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	row := func(seq int64) Item {
		return Item{"airport", "JFK", 1, pack(t, v, Header{Seq: seq, EventTime: 10, AvailableAt: 10, RunSeq: 1}, feature.Int64(seq))}
	}
	tombstone := func(seq int64) Item {
		packed, err := AppendTombstone(nil, 0, seq, seq)
		if err != nil {
			t.Fatal(err)
		}
		return Item{"airport", "JFK", 1, packed}
	}
	for i, step := range []struct {
		name   string
		item   Item
		wins   bool
		reason string
	}{
		{"row of 1", row(1), true, "nothing was there"},
		{"tombstone of 2", tombstone(2), true, "it is of a later sequence"},
		{"row of 1 again", row(1), false, "it was withdrawn"},
		{"row of 2", row(2), true, "it became current after the tombstone was written"},
		{"tombstone of 2 again", tombstone(2), false, "it was computed before the row became current"},
		{"tombstone of 3", tombstone(3), true, "it is of a later sequence"},
		{"row of 4", row(4), true, "it is of a later sequence"},
	} {
		result := mustWrite(t, client, step.item)
		if (result.Written == 1 && result.Stale == 0) != step.wins || (result.Added == 1) != (i == 0) {
			t.Errorf("%s: found %+v, expected accepted to be %v, as %s", step.name, result, step.wins, step.reason)
		}
		if (stored(t, client, "airport", "JFK", 1) == string(step.item.Packed)) != step.wins {
			t.Errorf("%s: expected it to be stored: %v, as %s", step.name, step.wins, step.reason)
		}
	}
}

func TestWhatIsNoRowIsReplaced(t *testing.T) {
	client := testenv.Redis(t)
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	packed := pack(t, v, Header{Seq: 1, RunSeq: 1}, feature.Int64(1))
	newest := string(pack(t, v, Header{Epoch: math.MaxInt64, Seq: 1, RunSeq: 1}, feature.Int64(1)))
	for name, garbage := range map[string]string{
		"empty": "", "one byte": "\x01", "header cut": newest[:41], "another format": "\x02" + newest[1:], "text": strings.Repeat("z", 60),
	} {
		t.Run(name, func(t *testing.T) {
			if err := client.HSet(context.Background(), "hw:airport:"+name, "1", garbage).Err(); err != nil {
				t.Fatal(err)
			}
			if result := mustWrite(t, client, Item{"airport", name, 1, packed}); result.Written != 1 {
				t.Errorf("found %+v, expected it to be written", result)
			}
			if stored(t, client, "airport", name, 1) != string(packed) {
				t.Error("the garbage is still there")
			}
		})
	}
}

func TestWriteSurvivesLostScript(t *testing.T) {
	client := testenv.Redis(t)
	ctx := context.Background()
	w := NewWriter(client, DefaultPrefix)
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	for seq := int64(1); seq <= 3; seq++ {
		if err := client.ScriptFlush(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		var items []Item
		for n := range int64(2*maxItemsPerCall + 1) {
			items = append(items, Item{"airport", strconv.FormatInt(n, 10), 1, pack(t, v, Header{Seq: seq, RunSeq: seq}, feature.Int64(n))})
		}
		want := Result{Written: int64(len(items))}
		if seq == 1 {
			want.Added = want.Written
		}
		if result, err := w.Write(ctx, items); err != nil || result != want {
			t.Fatalf("sequence %d: found %+v, %v, expected %+v", seq, result, err, want)
		}
	}
}

func TestManyAndLargeRows(t *testing.T) {
	client := testenv.Redis(t)
	v := view(7, "notes", "airport", columns(feature.TypeString))
	var items []Item
	for n := range 3*maxItemsPerPipeline + 17 {
		length := n % 50
		if n%1000 == 0 {
			length = maxBytesPerCall + n
		}
		row := pack(t, v, Header{Seq: 1, RunSeq: 1}, feature.String(strings.Repeat("x", length)))
		items = append(items, Item{"airport", strconv.Itoa(n), 7, row})
	}
	all := Result{Written: int64(len(items)), Added: int64(len(items))}
	if result := mustWrite(t, client, items...); result != all {
		t.Errorf("found %+v, expected %+v", result, all)
	}
	for n := range items {
		if n%97 == 0 && stored(t, client, "airport", items[n].Key, 7) != string(items[n].Packed) {
			t.Errorf("row %d is not what was written", n)
		}
	}
	if size, err := client.DBSize(context.Background()).Result(); err != nil || size != int64(len(items)) {
		t.Errorf("found %d keys (%v), expected %d", size, err, len(items))
	}
	for n := range items {
		items[n].Packed = pack(t, v, Header{Seq: 1, EventTime: -1, RunSeq: 1}, feature.String("old"))
	}
	if result := mustWrite(t, client, items...); result != (Result{Stale: int64(len(items))}) {
		t.Errorf("found %+v of older rows, expected %d stale", result, len(items))
	}
}

// Rows that are added go where nothing is; those that find something are taken or not as ever.
func TestAdd(t *testing.T) {
	client := testenv.Redis(t)
	ctx := context.Background()
	w := NewWriter(client, DefaultPrefix)
	v := view(7, "notes", "airport", columns(feature.TypeString))
	row := func(seq int64, text string) []byte {
		return pack(t, v, Header{Seq: seq, RunSeq: 1}, feature.String(text))
	}
	const count = maxItemsPerPipeline + 17
	large := strings.Repeat("x", maxBytesPerPipeline)
	var items []Item
	for n := range count {
		text := "new"
		if n == 5 {
			text = large
		}
		items = append(items, Item{"airport", strconv.Itoa(n), 7, row(2, text)})
	}
	older, newer, same := Item{"airport", "0", 7, row(1, "old")}, Item{"airport", "1", 7, row(3, "later")}, items[count-1]
	mustWrite(t, client, older, newer, same)
	// Another view version of the same entities is none of it.
	items = append(items, Item{"airport", "1", 8, row(1, "other")}, Item{"airport", "1", 8, row(2, "twice")})
	if err := client.ScriptFlush(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	result, err := w.Add(ctx, items)
	if want := (Result{Written: count - 1 + 2, Stale: 1, Added: count - 3 + 1}); err != nil || result != want {
		t.Errorf("found %+v (%v), expected %+v", result, err, want)
	}
	for n, item := range items[:count] {
		want := string(item.Packed)
		if n == 1 {
			want = string(newer.Packed)
		}
		if n < 7 || n%97 == 0 || n == count-1 {
			if stored(t, client, "airport", item.Key, 7) != want {
				t.Errorf("row %d is not the newest that was offered", n)
			}
		}
	}
	if stored(t, client, "airport", "1", 8) != string(row(2, "twice")) {
		t.Error("of two rows of one entity and view the newer is not there")
	}
	if err := client.Set(ctx, "hw:airport:taken", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	result, err = w.Add(ctx, []Item{{"airport", "free", 7, row(1, "")}, {"airport", "taken", 7, row(1, "")}})
	expected := "Redis at " + client.Options().Addr + " holds something else under a key of an online row; give Headwater a prefix of its own"
	if err == nil || err.Error() != expected || result != (Result{Written: 1, Added: 1}) {
		t.Errorf("found %+v and error %v, expected one row added and %s", result, err, expected)
	}
	result, err = w.Add(ctx, []Item{{"airport", "JFK", 1, []byte("x")}})
	expected = `found 1 bytes as the online row of entity airport key "JFK", expected a packed row`
	if err == nil || err.Error() != expected || result != (Result{}) {
		t.Errorf("found %+v and error %v, expected %s", result, err, expected)
	}
	if result, err := w.Add(ctx, nil); err != nil || result != (Result{}) {
		t.Errorf("adding nothing: found %+v, %v", result, err)
	}
}

func TestWriteFaults(t *testing.T) {
	client := testenv.Redis(t)
	at := client.Options().Addr
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	good := Item{"airport", "JFK", 1, pack(t, v, Header{Seq: 1, RunSeq: 1}, feature.Int64(1))}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	if err := client.Set(context.Background(), "hw:airport:taken", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		ctx      context.Context
		item     Item
		reason   fault.Reason
		expected string
	}{
		{"cancelled", cancelled, good, fault.Cancelled, "the call to Redis at " + at + " was cancelled"},
		{"late", late, good, fault.DeadlineExceeded, "the deadline passed before Redis at " + at +
			" had answered; ask again with a longer one, or for less at once"},
		{"no row", context.Background(), Item{"airport", "JFK", 1, []byte("x")}, fault.Internal,
			`found 1 bytes as the online row of entity airport key "JFK", expected a packed row`},
		{"another's key", context.Background(), Item{"airport", "taken", 1, good.Packed}, fault.RedisUnavailable,
			"Redis at " + at + " holds something else under a key of an online row; give Headwater a prefix of its own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, err := NewWriter(client, DefaultPrefix).Write(c.ctx, []Item{c.item})
			if fault.ReasonOf(err) != c.reason || err == nil || err.Error() != c.expected {
				t.Errorf("found error %v (%v), expected %s", err, fault.ReasonOf(err), c.expected)
			}
			if result != (Result{}) {
				t.Errorf("found %+v, expected nothing counted", result)
			}
		})
	}
	if result, err := NewWriter(client, DefaultPrefix).Write(cancelled, nil); err != nil || result != (Result{}) {
		t.Errorf("writing nothing: found %+v, %v", result, err)
	}
}

func TestCheckPrefix(t *testing.T) {
	for _, prefix := range []string{DefaultPrefix, "a.b-C_9", strings.Repeat("x", 32)} {
		if err := CheckPrefix(prefix); err != nil {
			t.Errorf("%q: %v", prefix, err)
		}
	}
	for _, prefix := range []string{"", "a:b", "{a}", "a b", "é", strings.Repeat("x", 33), "a\n"} {
		err := CheckPrefix(prefix)
		expected := fmt.Sprintf("found the Redis key prefix %q, expected 1 to 32 of the characters A-Z a-z 0-9 _ . -; try \"hw\"", prefix)
		if err == nil || err.Error() != expected {
			t.Errorf("found error %v, expected %s", err, expected)
		}
	}
}
