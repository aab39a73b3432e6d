package online

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/read"
)

func key(text string) Key { return Key{Text: text, OK: true} }

// readOne reads one view for one entity.
func readOne(t testing.TB, client redis.UniversalClient, plan *read.Plan, k Key, now feature.Time) read.Winner {
	t.Helper()
	winners, err := NewReader(client, DefaultPrefix).Read(context.Background(), NewPlan(plan), [][]Key{{k}}, now)
	if err != nil {
		t.Fatal(err)
	}
	return winners[0][0]
}

func TestStatusAtTheBounds(t *testing.T) {
	client := testenv.Redis(t)
	const now = feature.Time(1_700_000_000_000_000)
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	for _, c := range []struct {
		name             string
		ttl              time.Duration
		event, available feature.Time
		expected         read.Status
	}{
		{"at its TTL", time.Hour, now.Add(-time.Hour), now.Add(-time.Hour), read.Present},
		{"a microsecond beyond its TTL", time.Hour, now.Add(-time.Hour) - 1, now, read.Expired},
		{"of any age without a TTL", 0, -1 << 62, -1 << 62, read.Present},
		{"true now", time.Hour, now, now, read.Present},
		{"true in a microsecond", time.Hour, now + 1, now, read.NotYetKnown},
		{"available now", time.Hour, now.Add(-time.Minute), now, read.Present},
		{"available in a microsecond", time.Hour, now.Add(-time.Minute), now + 1, read.NotYetKnown},
		{"expired before it was available", time.Hour, now.Add(-time.Hour) - 1, now + 1, read.Expired},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := Header{Seq: 9, EventTime: c.event, AvailableAt: c.available, RunSeq: 4}
			mustWrite(t, client, Item{"airport", c.name, 1, pack(t, v, h, feature.Int64(7))})
			plan := planOf(v)
			plan.Views[0].TTL = c.ttl
			w := readOne(t, client, plan, key(c.name), now)
			if w.Status != c.expected {
				t.Fatalf("found %v, expected %v", w.Status, c.expected)
			}
			if c.expected != read.Present {
				if w.EventTime != 0 || w.AvailableAt != 0 || w.RunSeq != 0 || w.Values != nil {
					t.Errorf("found %+v, expected nothing of the row", w)
				}
				return
			}
			if w.EventTime != c.event || w.AvailableAt != c.available || w.RunSeq != 4 || len(w.Values) != 1 || w.Values[0].Int64() != 7 {
				t.Errorf("found %+v, expected the row that was written", w)
			}

			plan.Views[0].Filter = &read.Filter{Slots: []int{0}, Holds: func(values []feature.Value) bool { return values[0].Int64() != 7 }}
			if w := readOne(t, client, plan, key(c.name), now); w.Status != read.NoRow {
				t.Errorf("found %v of a row that the filter hides, expected %v", w.Status, read.NoRow)
			}
		})
	}
}

// Under a filter nothing is told of a row by its times, be it one that the filter passes: offline such rows are not read.
func TestFilteredRowsDoNotShowTheirTimes(t *testing.T) {
	client := testenv.Redis(t)
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	mustWrite(t, client,
		Item{"airport", "old", 1, pack(t, v, Header{Seq: 1, EventTime: 1, AvailableAt: 1, RunSeq: 1}, feature.Int64(7))},
		Item{"airport", "new", 1, pack(t, v, Header{Seq: 1, EventTime: 9e9, AvailableAt: 9e9, RunSeq: 1}, feature.Int64(7))})
	plan := planOf(v)
	plan.Views[0].TTL = time.Second
	for _, c := range []struct {
		key   string
		whole read.Status
	}{
		{"old", read.Expired}, {"new", read.NotYetKnown}, {"none", read.NoRow},
	} {
		plan.Views[0].Filter = nil
		if w := readOne(t, client, plan, key(c.key), 5e9); w.Status != c.whole {
			t.Errorf("%s, without a filter: found %v, expected %v", c.key, w.Status, c.whole)
		}
		for _, hide := range []bool{false, true} {
			plan.Views[0].Filter = &read.Filter{Holds: func([]feature.Value) bool { return !hide }}
			if w := readOne(t, client, plan, key(c.key), 5e9); w.Status != read.NoRow {
				t.Errorf("%s, hidden %v: found %v, expected %v", c.key, hide, w.Status, read.NoRow)
			}
		}
	}
}

func TestMissingRows(t *testing.T) {
	client := testenv.Redis(t)
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	other := view(2, "weather", "airport", columns(feature.TypeInt64))
	tombstone, err := AppendTombstone(nil, 0, 3, 3)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, client, Item{"airport", "gone", 1, tombstone},
		Item{"airport", "other", 2, pack(t, other, Header{Seq: 1, RunSeq: 1}, feature.Int64(1))},
		Item{"route", "here", 1, pack(t, v, Header{Seq: 1, RunSeq: 1}, feature.Int64(1))})
	for _, c := range []struct {
		key      Key
		expected read.Status
	}{
		{key("gone"), read.NoRow}, {key("other"), read.NoRow}, {key("here"), read.NoRow}, {key(""), read.NoRow}, {Key{}, read.NoKey},
		{Key{Text: "gone"}, read.NoKey},
	} {
		if w := readOne(t, client, planOf(v), c.key, 0); w.Status != c.expected || w.Values != nil {
			t.Errorf("%+v: found %+v, expected %v", c.key, w, c.expected)
		}
	}
}

func TestOneRoundTripAndOneCommandPerKey(t *testing.T) {
	client := testenv.Redis(t)
	delays := view(1, "delays", "airport", columns(feature.TypeInt64))
	weather := view(2, "weather", "airport", columns(feature.TypeString, feature.TypeBool))
	routes := view(3, "routes", "route", columns(feature.TypeFloat64))
	h := Header{Seq: 1, RunSeq: 1}
	mustWrite(t, client,
		Item{"airport", "JFK", 1, pack(t, delays, h, feature.Int64(11))},
		Item{"airport", "JFK", 2, pack(t, weather, h, feature.String("fog"), feature.Null())},
		Item{"airport", "LAX", 2, pack(t, weather, h, feature.String("sun"), feature.Bool(true))},
		Item{"route", "JFK|LAX", 3, pack(t, routes, h, feature.Float64(0.5))})
	seen := &gate{}
	reader := NewReader(client, DefaultPrefix)
	t.Cleanup(reader.Close)
	seen.at(reader)

	plan := NewPlan(planOf(delays, routes, weather))
	airports := []Key{key("JFK"), key("LAX"), {}, key("JFK"), key("none")}
	// A key mapping may give two views of an entity different keys in one row.
	weatherAt := []Key{key("JFK"), key("LAX"), key("JFK"), {}, key("SFO")}
	pairs := []Key{key("JFK|LAX"), key("LAX|JFK"), key("JFK|LAX"), key("JFK|LAX"), {}}
	winners, err := reader.Read(context.Background(), plan, [][]Key{airports, pairs, weatherAt}, 0)
	if err != nil {
		t.Fatal(err)
	}
	expectedSent := []string{"hw:airport:JFK", "hw:airport:LAX", "hw:airport:none", "hw:airport:SFO", "hw:route:JFK|LAX", "hw:route:LAX|JFK"}
	if len(seen.sent) != 1 || !equal(seen.sent[0], expectedSent) {
		t.Errorf("sent %q, expected one pipeline of %q", seen.sent, expectedSent)
	}
	expected := [][]string{
		{"11", "NO_ROW", "NO_KEY", "11", "NO_ROW"},
		{"0.5", "NO_ROW", "0.5", "0.5", "NO_KEY"},
		{"fog,", "sun,true", "fog,", "NO_KEY", "NO_ROW"},
	}
	for v := range expected {
		for i, want := range expected[v] {
			w := winners[v][i]
			got := w.Status.String()
			if w.Status == read.Present {
				got = w.Values[0].Text()
				for _, value := range w.Values[1:] {
					got += "," + value.Text()
				}
			}
			if got != want {
				t.Errorf("view %d, row %d: found %s, expected %s", v, i, got, want)
			}
		}
	}

	seen.sent = nil
	winners, err = reader.Read(context.Background(), plan, [][]Key{{{}}, {{}}, {{}}}, 0)
	if err != nil || winners[2][0].Status != read.NoKey || len(seen.sent) != 0 {
		t.Errorf("no keys: found %v, %v after sending %q, expected NO_KEY and nothing sent", winners, err, seen.sent)
	}
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// What is written is read back, of any type.
func TestWrittenRowsAreRead(t *testing.T) {
	client := testenv.Redis(t)
	id := int64(0)
	rapid.Check(t, func(t *rapid.T) {
		id++
		stored := drawColumns(t)
		split := rapid.IntRange(0, len(stored)).Draw(t, "features")
		v := view(id, "drawn", "thing", stored[:split])
		v.Attributes = stored[split:]
		var items []Item
		var keys []Key
		expected := map[string]read.Winner{}
		for n := range rapid.IntRange(1, 5).Draw(t, "rows") {
			h, values := drawHeader(t), drawValues(t, stored)
			h.EventTime, h.AvailableAt = h.EventTime&^(1<<62), h.AvailableAt&^(1<<62)
			row, err := NewLayout(v.Stored()).Append(nil, h, values)
			if err != nil {
				t.Fatal(err)
			}
			text := rapid.String().Draw(t, "key") + strconv.Itoa(n)
			items = append(items, Item{"thing", text, id, row})
			keys = append(keys, key(text), key(text))
			expected[text] = read.Winner{EventTime: h.EventTime, AvailableAt: h.AvailableAt, RunSeq: h.RunSeq, Values: values}
		}
		if _, err := NewWriter(client, "test").Write(context.Background(), items); err != nil {
			t.Fatal(err)
		}
		winners, err := NewReader(client, "test").Read(context.Background(), NewPlan(planOf(v)), [][]Key{keys}, 1<<62)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range winners[0] {
			want := expected[keys[i].Text]
			if w.Status != read.Present || w.EventTime != want.EventTime || w.AvailableAt != want.AvailableAt || w.RunSeq != want.RunSeq {
				t.Fatalf("%q: found %+v, expected %+v", keys[i].Text, w, want)
			}
			for c := range want.Values {
				if !same(w.Values[c], want.Values[c]) {
					t.Fatalf("%q, column %d: found %v, expected %v", keys[i].Text, c, w.Values[c], want.Values[c])
				}
			}
		}
	})
}

func TestReadFaults(t *testing.T) {
	client := testenv.Redis(t)
	at := client.Options().Addr
	ctx := context.Background()
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	if err := client.HSet(ctx, "hw:airport:cut", "1", "\x01").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(ctx, "hw:airport:taken", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, c := range []struct {
		name     string
		ctx      context.Context
		keys     [][]Key
		reason   fault.Reason
		expected string
	}{
		{"corrupt", ctx, [][]Key{{key("none"), key("cut")}}, fault.Internal,
			`the online row of view delays@1 for entity airport key "cut" cannot be read: found 1 bytes, expected a header of 42; ` +
				"something other than this version of Headwater wrote it: `headwater online rebuild delays@1` writes it anew"},
		{"another's key", ctx, [][]Key{{key("taken")}}, fault.RedisUnavailable,
			"Redis at " + at + " holds something else under a key of an online row; give Headwater a prefix of its own"},
		{"cancelled", cancelled, [][]Key{{key("a")}}, fault.Cancelled, "the call to Redis at " + at + " was cancelled"},
		{"keys for another plan", ctx, nil, fault.Internal, "found keys for 0 views, expected 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			winners, err := NewReader(client, DefaultPrefix).Read(c.ctx, NewPlan(planOf(v)), c.keys, 0)
			if fault.ReasonOf(err) != c.reason || err == nil || err.Error() != c.expected {
				t.Errorf("found error %v (%v), expected %s", err, fault.ReasonOf(err), c.expected)
			}
			if winners != nil {
				t.Errorf("found %v beside an error", winners)
			}
		})
	}
}

func TestDiagnosis(t *testing.T) {
	for _, c := range []struct {
		err   error
		found string
	}{
		{&net.DNSError{Err: "no such host", Name: "redis.invalid"}, "is not reachable: no such host"},
		{&net.OpError{Op: "read", Err: timeoutError{}}, "did not answer in time"},
		{redis.ErrPoolTimeout, "has all connections of the pool in use"},
		{errors.New("EOF"), "closed the connection or cannot be reached"},
	} {
		if found, remedy := diagnose(c.err); found != c.found || remedy == "" {
			t.Errorf("%v: found %q and remedy %q, expected %q", c.err, found, remedy, c.found)
		}
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }
