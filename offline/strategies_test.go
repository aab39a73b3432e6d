package offline_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// An entity of a round: its key, and its history after some runs.
type drawnEntity struct {
	key     string
	history reference.History
}

const (
	rounds           = 20
	entitiesPerRound = 520
	lastSeq          = 6
)

// drawKey is a composite key, of parts that look alike when they are put together and are not equally long.
func drawKey(random *rand.Rand, entity *feature.EntityVersion) string {
	letters := []string{"a", "A", "|", `\`, "1", "é", "e\u0301", "bc"}
	var b strings.Builder
	for range random.IntN(5) {
		b.WriteString(letters[random.IntN(len(letters))])
	}
	n := []int64{random.Int64N(4), random.Int64N(100), -random.Int64N(30), random.Int64()}[random.IntN(4)]
	key, ok, err := entity.AppendKey(nil, []feature.Value{feature.String(b.String()), feature.Int64(n)})
	if err != nil || !ok {
		panic(fmt.Sprint(b.String(), n, err))
	}
	return string(key)
}

func drawRow(random *rand.Rand, key string) feature.Row {
	r := feature.Row{Key: key, EventTime: firstInstant + feature.Time(random.IntN(instants))}
	r.AvailableAt = r.EventTime + feature.Time([]int{0, 0, 0, 1, 5, -1}[random.IntN(6)])
	null := func(v feature.Value) feature.Value {
		if random.IntN(4) == 0 {
			return feature.Null()
		}
		return v
	}
	r.Values = []feature.Value{
		null(feature.Bool(random.IntN(2) == 0)), null(feature.Int64(random.Int64N(5))), null(feature.Float64(random.Float64())),
		null(feature.String([]string{"", "x", "Zürich"}[random.IntN(3)])), null(feature.Timestamp(firstInstant)),
	}
	return r
}

// drawEntity has a history of several runs: each keeps, withdraws or changes what was live, and adds rows, late ones and ties
// of event time among them.
func drawEntity(random *rand.Rand, key string) *drawnEntity {
	e := &drawnEntity{key: key}
	everything := reference.Interval{Start: firstInstant - 100, End: firstInstant + 100}
	for seq := int64(1); seq <= lastSeq; seq++ {
		if random.IntN(3) == 0 {
			continue
		}
		var rows []feature.Row
		for _, r := range e.history.LiveRows() {
			switch random.IntN(6) {
			case 0:
				continue
			case 1:
				changed := drawRow(random, key)
				r.Values = changed.Values
			}
			rows = append(rows, r)
		}
		for range random.IntN(5) {
			r := drawRow(random, key)
			if !slices.ContainsFunc(rows, func(other feature.Row) bool { return moment(r) == moment(other) }) {
				rows = append(rows, r)
			}
		}
		if _, err := e.history.ApplyRun(seq, everything, 0, rows); err != nil {
			panic(err)
		}
	}
	return e
}

// A case is one entity: a history of its own, drawn at random, asked at random instants, in random order among the others of
// its round, as of two sequences with TTLs, in each way. There are 10,400, in one database.
func TestTenThousandHistories(t *testing.T) {
	ctx := context.Background()
	view := wideView()
	conn := createHistory(t, view)
	ways := joiners(conn)
	cases, compared := 0, 0
	var atTTL, beyondTTL, tied int
	var statuses [read.Unavailable + 1]int
	for round := range rounds {
		random := rand.New(rand.NewPCG(7, uint64(round)))
		entities := map[string]*drawnEntity{}
		all := &reference.History{}
		for len(entities) < entitiesPerRound {
			key := drawKey(random, view.EntityVersion)
			if entities[key] == nil {
				entities[key] = drawEntity(random, key)
				all.Rows = append(all.Rows, entities[key].history.Rows...)
			}
		}
		random.Shuffle(len(all.Rows), func(i, j int) { all.Rows[i], all.Rows[j] = all.Rows[j], all.Rows[i] })
		if err := fill(ctx, conn, view, all); err != nil {
			t.Fatal(err)
		}
		var spine []question
		for _, key := range slices.Sorted(maps.Keys(entities)) {
			for range 1 + random.IntN(4) {
				spine = append(spine, question{key: key, at: firstInstant - 2 + feature.Time(random.IntN(instants+8))})
			}
		}
		random.Shuffle(len(spine), func(i, j int) { spine[i], spine[j] = spine[j], spine[i] })
		views := []offline.AsOf{
			{View: view, Seq: random.Int64N(lastSeq + 1), TTL: time.Duration(random.IntN(6)) * time.Microsecond, AnyArrival: round%5 == 4},
			{View: view, Seq: lastSeq, TTL: time.Duration(1+random.IntN(6)) * time.Microsecond, Wanted: []int{1, 3}, NoTimes: round%3 == 2},
		}
		describe := func(v offline.AsOf, w read.Winner) string {
			if v.NoTimes {
				w.EventTime, w.AvailableAt = 0, 0
			}
			return reference.Describe(&w)
		}
		want := make([][]string, len(spine))
		for i, q := range spine {
			e := entities[q.key]
			for _, v := range views {
				w := expected(&e.history, v, q.key, q.at)
				want[i] = append(want[i], describe(v, w))
				statuses[w.Status]++
				switch {
				case v.TTL > 0 && w.Status == read.Present && w.EventTime == q.at.Add(-v.TTL):
					atTTL++
				case w.Status == read.Expired && slices.ContainsFunc(e.history.At(v.Seq), func(r feature.Row) bool {
					return r.EventTime == q.at.Add(-v.TTL)-1
				}):
					beyondTTL++
				case w.Status == read.Present && slices.ContainsFunc(e.history.At(v.Seq), func(r feature.Row) bool {
					return r.EventTime == w.EventTime && r.AvailableAt != w.AvailableAt
				}):
					tied++
				}
			}
		}
		cases += len(entities)
		for _, way := range slices.Sorted(maps.Keys(ways)) {
			join := offline.Join{Name: "joined", Views: views, Rows: int64(len(spine))}
			err := ways[way].PointInTime(ctx, join, spineOf(spine), func(number int64, winners []read.Winner) error {
				for i := range winners {
					compared++
					if got := describe(views[i], winners[i]); got != want[number][i] {
						t.Errorf("round %d, %s: key %q at %s of %+v:\nfound    %s\nexpected %s", round, way, spine[number].key, spine[number].at,
							views[i], got, want[number][i])
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d cases, %d answers compared; %d exactly at the TTL, %d a microsecond beyond, %d ties", cases, compared, atTTL, beyondTTL, tied)
	if cases < 10_000 {
		t.Errorf("found %d cases, expected 10,000 or more", cases)
	}
	if atTTL == 0 || beyondTTL == 0 || tied == 0 {
		t.Error("a bound was not met")
	}
	for _, s := range []read.Status{read.Present, read.NoRow, read.Expired, read.NotYetKnown} {
		if statuses[s] == 0 {
			t.Errorf("no question had the answer %s", s)
		}
	}
}

// fillEvenly makes the history rows of n entities at every instant.
func fillEvenly(t *testing.T, conn *pgx.Conn, view *feature.ViewVersion, n int) {
	t.Helper()
	h := &reference.History{}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range n {
		for at := range instants {
			r := drawRow(random, fmt.Sprintf("e%d|%d", i, i))
			r.EventTime = firstInstant + feature.Time(at)
			r.AvailableAt = r.EventTime
			h.Rows = append(h.Rows, reference.HistoryRow{Row: r, SeqFrom: 1, SeqTo: reference.Live})
		}
	}
	if err := fill(context.Background(), conn, view, h); err != nil {
		t.Fatal(err)
	}
}

// Values of rows that arrive after the spine's time are in nobody's answer, however they are found.
func TestNothingLeaksOfWhatArrivesLater(t *testing.T) {
	ctx := context.Background()
	view := wideView()
	conn := createHistory(t, view)
	fillEvenly(t, conn, view, 50)
	_, err := conn.Exec(ctx, `UPDATE headwater_history.wide_v1 SET available_at = event_time + interval '1 hour'`)
	if err != nil {
		t.Fatal(err)
	}
	var spine []question
	for i := range 50 {
		for at := range instants {
			spine = append(spine, question{key: fmt.Sprintf("e%d|%d", i, i), at: firstInstant + feature.Time(at)})
		}
	}
	for way, joiner := range joiners(conn) {
		views := []offline.AsOf{{View: view, Seq: 1}, {View: view, Seq: 1, TTL: 3 * time.Microsecond}}
		err := joiner.PointInTime(ctx, offline.Join{Name: "leak", Views: views, Rows: int64(len(spine))}, spineOf(spine),
			func(number int64, winners []read.Winner) error {
				for _, w := range winners {
					if w.Status != read.NotYetKnown || w.Values != nil {
						t.Errorf("%s: row %d: found %s, expected NOT_YET_KNOWN", way, number, reference.Describe(&w))
					}
				}
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A history that does not fit into what packed histories may take is looked up in Postgres, also where it is found out late.
func TestAHistoryThatDoesNotFitIsNotPacked(t *testing.T) {
	ctx := context.Background()
	view := wideView()
	conn := createHistory(t, view)
	fillEvenly(t, conn, view, 4000)
	connect := func(ctx context.Context) (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, conn.Config().Copy()) }
	spine := []question{{"e1|1", firstInstant + 3}, {"nobody|1", firstInstant}}
	join := offline.Join{Name: "large", Views: []offline.AsOf{{View: view, Seq: 1}}, Rows: 10_000_000}
	find := func(o offline.Options) (found []string, err error) {
		err = offline.NewJoiner(connect, o).PointInTime(ctx, join, spineOf(spine), func(_ int64, winners []read.Winner) error {
			found = append(found, reference.Describe(&winners[0]))
			return nil
		})
		return found, err
	}
	want, err := find(offline.Options{Strategy: offline.Scan})
	if err != nil {
		t.Fatal(err)
	}
	_, err = find(offline.Options{Strategy: offline.Scan, ScanBytes: 2 << 20})
	if err == nil || !strings.Contains(err.Error(), "view wide@1: the history does not fit into the memory that packed histories may take") {
		t.Errorf("found %v", err)
	}
	// Postgres knows nothing of the table, and expects less of it than there is.
	for _, statement := range []string{"", "ANALYZE headwater_history.wide_v1"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
		if got, err := find(offline.Options{ScanBytes: 2 << 20}); err != nil || !slices.Equal(got, want) {
			t.Errorf("found %q, %v, expected %q", got, err, want)
		}
	}
}

// An error of whoever takes the answers, of the spine, or of a caller who went away ends a join, which leaves nothing behind.
func TestAJoinEnds(t *testing.T) {
	ctx := context.Background()
	view := wideView()
	conn := createHistory(t, view)
	fillEvenly(t, conn, view, 50)
	broken := errors.New("broken")
	var spine []question
	for i := range 2000 {
		spine = append(spine, question{key: fmt.Sprintf("e%d|%[1]d", i%50), at: firstInstant + 5})
	}
	for way, joiner := range joiners(conn) {
		join := offline.Join{Name: "ends", Views: []offline.AsOf{{View: view, Seq: 1}}, Rows: int64(len(spine))}
		err := joiner.PointInTime(ctx, join, spineOf(spine), func(number int64, _ []read.Winner) error {
			if number == 700 {
				return broken
			}
			return nil
		})
		if !errors.Is(err, broken) {
			t.Errorf("%s: found %v, expected the error of emit", way, err)
		}
		var failing iter.Seq2[offline.SpineRow, error] = func(yield func(offline.SpineRow, error) bool) {
			for row := range spineOf(spine) {
				if row.Number == 700 {
					yield(row, broken)
					return
				}
				if !yield(row, nil) {
					return
				}
			}
		}
		if err := joiner.PointInTime(ctx, join, failing, func(int64, []read.Winner) error { return nil }); !errors.Is(err, broken) {
			t.Errorf("%s: found %v, expected the error of the spine", way, err)
		}
		canceled, cancel := context.WithCancel(ctx)
		err = joiner.PointInTime(canceled, join, spineOf(spine), func(number int64, _ []read.Winner) error {
			if number == 100 {
				cancel()
			}
			return nil
		})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: found %v, expected it canceled", way, err)
		}
		panics := func(yield func(offline.SpineRow, error) bool) { panic("spine") }
		err = joiner.PointInTime(ctx, join, panics, func(int64, []read.Winner) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "panic: spine") {
			t.Errorf("%s: found %v, expected the panic as an error", way, err)
		}
	}
	var tables int
	err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_tables WHERE schemaname = 'headwater_staging'`).Scan(&tables)
	if err != nil || tables != 0 {
		t.Errorf("found %d tables left in staging, %v", tables, err)
	}
}

// The rule that chooses is right where one strategy takes less by far, and goes over once.
func TestTheCheaperStrategyIsChosen(t *testing.T) {
	for _, c := range []struct {
		spine, visible, skipped int64
		want                    offline.Strategy
	}{
		{10_000, 10_000_000, 0, offline.Lateral}, {1_000_000, 10_000_000, 0, offline.Lateral},
		{1_000_000, 1_000_000, 0, offline.Scan}, {1_000_000, 100_000, 0, offline.Scan}, {1, 1_000_000, 0, offline.Lateral},
		{1_000_000, 1_000_000, 100_000_000, offline.Lateral},
	} {
		if got := offline.Cheapest(c.spine, c.visible, c.skipped, 10); got != c.want {
			t.Errorf("%d rows over %d, %d skipped: found %s, expected %s", c.spine, c.visible, c.skipped, got, c.want)
		}
	}
	seen := []offline.Strategy{}
	for spine := int64(1); spine < 100_000_000; spine *= 2 {
		seen = append(seen, offline.Cheapest(spine, 1_000_000, 0, 10))
	}
	if got := slices.Compact(seen); len(got) != 2 || got[0] != offline.Lateral {
		t.Errorf("found %v, expected lateral for short spines and scan for long ones", got)
	}
}

// Where others have the memory of segments, a join makes do with little.
func TestSegmentsMakeDoWithLittle(t *testing.T) {
	ctx := context.Background()
	view := wideView()
	conn := createHistory(t, view)
	fillEvenly(t, conn, view, 50)
	connect := func(ctx context.Context) (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, conn.Config().Copy()) }
	var spine []question
	for i := range 50_000 {
		spine = append(spine, question{key: fmt.Sprintf("e%d|%[1]d", i%50), at: firstInstant + feature.Time(i%instants)})
	}
	find := func(o offline.Options) (found []int64) {
		o.Strategy = offline.Lateral
		join := offline.Join{Name: "little", Views: []offline.AsOf{{View: view, Seq: 1}}, Rows: int64(len(spine))}
		err := offline.NewJoiner(connect, o).PointInTime(ctx, join, spineOf(spine), func(number int64, winners []read.Winner) error {
			found = append(found, number, int64(winners[0].EventTime))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if much, little := find(offline.Options{}), find(offline.Options{SegmentsMemory: 1}); !slices.Equal(much, little) || len(much) != 2*len(spine) {
		t.Errorf("found other winners, %d and %d of them", len(much)/2, len(little)/2)
	}
}

// Most winners are near, and the first look goes no further: those that are not are found by the second, also where a part of the spine
// is all unlike the rest.
func TestWinnersThatLieFarBackAreFound(t *testing.T) {
	view := wideView()
	conn := createHistory(t, view)
	fillEvenly(t, conn, view, 50)
	connect := func(ctx context.Context) (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, conn.Config().Copy()) }
	last := firstInstant + instants - 1
	var spine []question
	for i := range 70_000 {
		q := question{key: fmt.Sprintf("e%d|%[1]d", i%50), at: firstInstant + feature.Time(i%instants)}
		if i%100 == 7 || i > 40_000 {
			q.at = last.Add(time.Hour)
		}
		spine = append(spine, q)
	}
	join := offline.Join{Name: "far", Views: []offline.AsOf{{View: view, Seq: 1}, {View: view, Seq: 1, TTL: time.Minute}}, Rows: int64(len(spine))}
	err := offline.NewJoiner(connect, offline.Options{Strategy: offline.Lateral}).PointInTime(context.Background(), join, spineOf(spine), func(number int64, winners []read.Winner) error {
		at := spine[number].at
		near, far := winners[1], winners[0]
		if far.Status != read.Present || far.EventTime != min(at, last) {
			t.Errorf("row %d at %s: found %s of %s, expected the row of %s", number, at, far.Status, far.EventTime, min(at, last))
		}
		if want := at <= last; (near.Status == read.Present) != want || !want && near.Status != read.Expired {
			t.Errorf("row %d at %s: found %s within the TTL, expected it present: %t", number, at, near.Status, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
