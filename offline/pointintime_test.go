package offline_test

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// wideView has a column of each type, and an attribute.
func wideView() *feature.ViewVersion {
	entity := &feature.EntityVersion{Version: 1, Entity: feature.Entity{Name: "thing", JoinKeys: []feature.Column{
		{Name: "a", Type: feature.TypeString}, {Name: "n", Type: feature.TypeInt64},
	}}}
	return &feature.ViewVersion{ID: 1, Version: 1, EntityVersion: entity, View: feature.View{
		Name: "wide", Entity: "thing",
		Features: []feature.Column{
			{Name: "flag", Type: feature.TypeBool}, {Name: "number", Type: feature.TypeInt64},
			{Name: "share", Type: feature.TypeFloat64}, {Name: "select", Type: feature.TypeString},
		},
		Attributes: []feature.Column{{Name: "since", Type: feature.TypeTimestamp}},
	}}
}

// Keys that look alike when their parts are put together, or under another collation or normal form.
var keys = []string{"1|23", "12|3", `a\||1`, `a|\|1`, "A|1", "a|1", "é|1", "e\u0301|1", "|0"}

// The instants are few, so that ties and equality at every bound are common, and on both sides of Postgres's epoch.
const (
	firstInstant = feature.Time(946_684_800_000_000 - 8)
	instants     = 16
)

var drawInstant = rapid.Map(rapid.IntRange(0, instants-1), func(n int) feature.Time { return firstInstant + feature.Time(n) })

func drawOf(t feature.Type) *rapid.Generator[feature.Value] {
	var values *rapid.Generator[feature.Value]
	switch t {
	case feature.TypeBool:
		values = rapid.Map(rapid.Bool(), feature.Bool)
	case feature.TypeInt64:
		values = rapid.Map(rapid.SampledFrom([]int64{0, 1, math.MinInt64, math.MaxInt64}), feature.Int64)
	case feature.TypeFloat64:
		values = rapid.Map(rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), 0.1, 5e-324}), feature.Float64)
	case feature.TypeString:
		values = rapid.Map(rapid.SampledFrom([]string{"", "x", "Zürich", `\N`, "NULL"}), feature.String)
	case feature.TypeTimestamp:
		values = rapid.Map(drawInstant, feature.Timestamp)
	}
	return rapid.OneOf(rapid.Just(feature.Null()), values, values)
}

// drawRows is the output of a run: no two rows of one moment.
func drawRows(v *feature.ViewVersion, owned reference.Interval, keys []string) *rapid.Generator[[]feature.Row] {
	row := rapid.Custom(func(t *rapid.T) feature.Row {
		r := feature.Row{Key: rapid.SampledFrom(keys).Draw(t, "key"), EventTime: drawInstant.Draw(t, "event time")}
		r.AvailableAt = r.EventTime + feature.Time(rapid.SampledFrom([]int{0, 0, 1, 3, -1}).Draw(t, "arrival"))
		for _, c := range v.Stored() {
			r.Values = append(r.Values, drawOf(c.Type).Draw(t, c.Name))
		}
		return r
	})
	return rapid.Map(rapid.SliceOfNDistinct(row, 4, 16, moment), func(rows []feature.Row) []feature.Row {
		var inside []feature.Row
		for _, r := range rows {
			if owned.Contains(r.EventTime) {
				inside = append(inside, r)
			}
		}
		return inside
	})
}

func moment(r feature.Row) string { return fmt.Sprint(r.Key, " ", r.EventTime, " ", r.AvailableAt) }

func drawOwned() *rapid.Generator[reference.Interval] {
	return rapid.Custom(func(t *rapid.T) reference.Interval {
		if rapid.Bool().Draw(t, "everything") {
			return reference.Interval{Start: math.MinInt64, End: math.MaxInt64}
		}
		a, b := drawInstant.Draw(t, "from"), drawInstant.Draw(t, "to")
		return reference.Interval{Start: min(a, b), End: max(a, b) + 1}
	})
}

// drawHistory is the history after some runs, and the last sequence.
func drawHistory(t *rapid.T, v *feature.ViewVersion) (*reference.History, int64) {
	h := &reference.History{}
	seq := int64(0)
	first := rapid.IntRange(0, len(keys)-3).Draw(t, "first key")
	for range rapid.IntRange(2, 5).Draw(t, "runs") {
		seq += rapid.Int64Range(1, 2).Draw(t, "sequences")
		owned := drawOwned().Draw(t, "owned")
		rows := corrected(t, v, h, owned)
		for _, r := range drawRows(v, owned, keys[first:first+3]).Draw(t, "rows") {
			if !slices.ContainsFunc(rows, func(other feature.Row) bool { return moment(r) == moment(other) }) {
				rows = append(rows, r)
			}
		}
		if _, err := h.ApplyRun(seq, owned, 0, rows); err != nil {
			t.Fatal(err)
		}
	}
	return h, seq
}

// corrected is what is live in the interval with some rows withdrawn and some values changed.
func corrected(t *rapid.T, v *feature.ViewVersion, h *reference.History, owned reference.Interval) []feature.Row {
	var rows []feature.Row
	for _, r := range h.LiveRows() {
		what := rapid.SampledFrom([]string{"keep", "keep", "withdraw", "change"}).Draw(t, "correction")
		if !owned.Contains(r.EventTime) || what == "withdraw" {
			continue
		}
		if what == "change" {
			values := append([]feature.Value(nil), r.Values...)
			i := rapid.IntRange(0, len(values)-1).Draw(t, "column")
			values[i] = drawOf(v.Stored()[i].Type).Draw(t, "value")
			r.Values = values
		}
		rows = append(rows, r)
	}
	return rows
}

type question struct {
	key string
	at  feature.Time
}

// drawSpine asks for every key at every instant, and for an entity that there is not, in any order and some of it twice.
func drawSpine(t *rapid.T) []question {
	var spine []question
	for _, key := range append([]string{"nobody|7"}, keys...) {
		for n := range instants {
			spine = append(spine, question{key: key, at: firstInstant + feature.Time(n)})
		}
	}
	order := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "order")))
	spine = append(spine, spine[:order.IntN(len(spine))]...)
	order.Shuffle(len(spine), func(i, j int) { spine[i], spine[j] = spine[j], spine[i] })
	return spine
}

func spineOf(rows []question) iter.Seq2[offline.SpineRow, error] {
	return func(yield func(offline.SpineRow, error) bool) {
		var key []byte
		for i, r := range rows {
			// The key's memory is used again, as callers may.
			key = append(key[:0], r.key...)
			if !yield(offline.SpineRow{Number: int64(i), Key: key, At: r.at}, nil) {
				return
			}
		}
	}
}

// fill makes the history table hold exactly the rows of h.
func fill(ctx context.Context, conn *pgx.Conn, v *feature.ViewVersion, h *reference.History) error {
	table := pgx.Identifier{"headwater_history", fmt.Sprintf("%s_v%d", v.Name, v.Version)}
	if _, err := conn.Exec(ctx, "TRUNCATE "+table.Sanitize()); err != nil {
		return err
	}
	columns := []string{"entity_key", "event_time", "available_at", "seq_from", "seq_to"}
	for _, c := range v.Stored() {
		columns = append(columns, c.Name)
	}
	_, err := conn.CopyFrom(ctx, table, columns, pgx.CopyFromSlice(len(h.Rows), func(i int) ([]any, error) {
		r := &h.Rows[i]
		fields := []any{r.Key, r.EventTime.Time(), r.AvailableAt.Time(), r.SeqFrom, r.SeqTo}
		for _, value := range r.Values {
			fields = append(fields, plain(value))
		}
		return fields, nil
	}))
	return err
}

func plain(v feature.Value) any {
	switch v.Type() {
	case feature.TypeBool:
		return v.Bool()
	case feature.TypeInt64:
		return v.Int64()
	case feature.TypeFloat64:
		return v.Float64()
	case feature.TypeString:
		return v.Str()
	case feature.TypeTimestamp:
		return v.Timestamp().Time()
	}
	return nil
}

func createHistory(t *testing.T, v *feature.ViewVersion) *pgx.Conn {
	t.Helper()
	ctx := context.Background()
	pool := testenv.Postgres(t)
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return offline.CreateHistory(ctx, tx, v) })
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(ctx) })
	return conn
}

// setPlan lets Postgres use the history's key or not: its order must not be what makes an answer right.
func setPlan(t *rapid.T, conn *pgx.Conn) {
	on := rapid.Bool().Draw(t, "index")
	for _, setting := range []string{"enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"} {
		if _, err := conn.Exec(context.Background(), fmt.Sprintf("SET %s = %t", setting, on)); err != nil {
			t.Fatal(err)
		}
	}
}

// expected is the answer of the reference model, with NULL for what is not wanted.
func expected(h *reference.History, v offline.AsOf, key string, at feature.Time) read.Winner {
	var w read.Winner
	if v.AnyArrival {
		w = h.PointInEventTime(key, at, v.TTL, v.Seq)
	} else {
		w = h.PointInTime(key, at, v.TTL, v.Seq)
	}
	if v.Wanted == nil || w.Status != read.Present {
		return w
	}
	values := make([]feature.Value, len(w.Values))
	for _, i := range v.Wanted {
		values[i] = w.Values[i]
	}
	w.Values = values
	return w
}

// joiners are ways to find winners: on one connection, in segments of a few rows on two with next to no memory, and in
// packed histories; and whatever seems to cost least.
func joiners(conn *pgx.Conn) map[string]*offline.Joiner {
	connect := func(ctx context.Context) (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, conn.Config().Copy()) }
	small := offline.Options{Strategy: offline.Lateral, SegmentRows: 64, SegmentMemory: 4 << 10, SampleRows: 1, Lanes: 2}
	return map[string]*offline.Joiner{
		"lateral":              offline.NewJoiner(connect, offline.Options{Strategy: offline.Lateral}),
		"lateral, in segments": offline.NewJoiner(connect, small),
		"scan":                 offline.NewJoiner(connect, offline.Options{Strategy: offline.Scan}),
		"chosen":               offline.NewJoiner(connect, offline.Options{}),
	}
}

func drawAsOf(view *feature.ViewVersion, last int64) *rapid.Generator[offline.AsOf] {
	return rapid.Custom(func(t *rapid.T) offline.AsOf {
		v := offline.AsOf{View: view, Seq: rapid.Int64Range(0, last+1).Draw(t, "seq"), AnyArrival: rapid.IntRange(0, 3).Draw(t, "any arrival") == 0}
		v.TTL = time.Duration(rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 8)).Draw(t, "ttl")) * time.Microsecond
		if rapid.Bool().Draw(t, "some columns") {
			v.Wanted = []int{}
			for i := range view.Stored() {
				if rapid.Bool().Draw(t, "wanted") {
					v.Wanted = append(v.Wanted, i)
				}
			}
		}
		return v
	})
}

// Each check asks hundreds of spine rows of up to six sequences and TTLs at once, in each way.
func TestPointInTimeIsTheReference(t *testing.T) {
	ctx := context.Background()
	view := wideView()
	conn := createHistory(t, view)
	ways := joiners(conn)
	var asked [read.Unavailable + 1]int
	rapid.Check(t, func(t *rapid.T) {
		h, last := drawHistory(t, view)
		if err := fill(ctx, conn, view, h); err != nil {
			t.Fatal(err)
		}
		setPlan(t, conn)
		views := rapid.SliceOfN(drawAsOf(view, last), 1, 6).Draw(t, "views")
		spine := drawSpine(t)
		check := func(way string, find func(emit func(int64, []read.Winner) error) error) {
			next := int64(0)
			err := find(func(number int64, winners []read.Winner) error {
				if number != next {
					t.Fatalf("%s: found spine row %d, expected %d", way, number, next)
				}
				next++
				for i, v := range views {
					q := spine[number]
					want := expected(h, v, q.key, q.at)
					if got, want := reference.Describe(&winners[i]), reference.Describe(&want); got != want {
						t.Errorf("%s: key %q at %s, ttl %s, seq %d, any arrival %t, columns %v:\nfound    %s\nexpected %s", way, q.key, q.at,
							v.TTL, v.Seq, v.AnyArrival, v.Wanted, got, want)
					}
					asked[want.Status]++
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if next != int64(len(spine)) {
				t.Fatalf("%s: found %d rows, expected %d", way, next, len(spine))
			}
		}
		check("on a connection", func(emit func(int64, []read.Winner) error) error {
			return offline.PointInTime(ctx, conn, "spine", views, spineOf(spine), emit)
		})
		for way, joiner := range ways {
			check(way, func(emit func(int64, []read.Winner) error) error {
				return joiner.PointInTime(ctx, offline.Join{Name: "joined", Views: views, Rows: int64(len(spine))}, spineOf(spine), emit)
			})
		}
	})
	for _, s := range []read.Status{read.Present, read.NoRow, read.Expired, read.NotYetKnown} {
		if asked[s] == 0 {
			t.Errorf("no question had the answer %s", s)
		}
		t.Logf("%s: %d", s, asked[s])
	}
}
