package offline_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

func readings() *feature.SourceVersion {
	return &feature.SourceVersion{Version: 1, Source: feature.Source{
		Name: "readings", EventTime: "at",
		Columns: []feature.Column{{Name: "at", Type: feature.TypeTimestamp}, {Name: "name", Type: feature.TypeString}},
	}}
}

func createSource(t *testing.T, src *feature.SourceVersion) *pgxpool.Pool {
	t.Helper()
	ctx := context.Background()
	pool := testenv.Postgres(t)
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return offline.CreateSource(ctx, tx, nil, src) })
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func request(src *feature.SourceVersion, file string, replaces int64) offline.LoadRequest {
	return offline.LoadRequest{
		Source: src, FileName: file, FileSHA256: sha256.Sum256([]byte(file)), Replaces: replaces, Principal: "test",
	}
}

func row(name string) []feature.Value {
	return []feature.Value{feature.Timestamp(firstInstant), feature.String(name)}
}

func oneRow(yield func([]feature.Value, error) bool) { yield(row("a"), nil) }

// Postgres expects the rows of a load that has just come, be it a small one: else it joins those of such loads each with each.
func TestFreshLoadsAreExpected(t *testing.T) {
	ctx := context.Background()
	src := readings()
	pool := createSource(t, src)
	for i, file := range []string{"first", "second"} {
		load, err := offline.AppendLoad(ctx, pool, request(src, file, 0), func(yield func([]feature.Value, error) bool) {
			for range 3000 {
				if !yield(row("a"), nil) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		var plans []struct {
			Plan struct {
				Rows float64 `json:"Plan Rows"`
			}
		}
		err = pool.QueryRow(ctx, fmt.Sprintf(`EXPLAIN (FORMAT json) SELECT FROM headwater_landing.readings WHERE _load = ANY ('{%d}'::bigint[])
			AND at < TIMESTAMPTZ '%s' + interval '1 day'`, load.ID, feature.SQLTime(firstInstant))).Scan(&plans)
		if err != nil || len(plans) != 1 || plans[0].Plan.Rows < 1000 || plans[0].Plan.Rows > float64(6000*(i+1)) {
			t.Errorf("load %s: found %v expected (%v), there are 3000", file, plans, err)
		}
	}
}

// A load that began first and ended last has the later number: what a run has read up to a number stays all there is up to it.
func TestLoadNumbersFollowCommits(t *testing.T) {
	ctx := context.Background()
	src := readings()
	pool := createSource(t, src)
	began, goOn := make(chan struct{}), make(chan struct{})
	type outcome struct {
		load *offline.Load
		err  error
	}
	slow := make(chan outcome)
	go func() {
		load, err := offline.AppendLoad(ctx, pool, request(src, "slow", 0), func(yield func([]feature.Value, error) bool) {
			if !yield(row("a"), nil) {
				return
			}
			close(began)
			<-goOn
			yield(row("b"), nil)
		})
		slow <- outcome{load, err}
	}()
	<-began
	quick, err := offline.AppendLoad(ctx, pool, request(src, "quick", 0), oneRow)
	close(goOn)
	first := <-slow
	if err != nil || first.err != nil {
		t.Fatal(err, first.err)
	}
	if first.load.ID > quick.ID {
		t.Fatalf("the slow load did not begin first: ids %d and %d", first.load.ID, quick.ID)
	}
	if quick.Number != 1 || first.load.Number != 2 || first.load.CommittedAt.Before(quick.CommittedAt) {
		t.Errorf("found numbers %d (slow) and %d (quick), expected 2 and 1", first.load.Number, quick.Number)
	}
	loads, err := offline.ListLoads(ctx, pool, src.Name)
	if err != nil || len(loads) != 2 || loads[0].ID != quick.ID || loads[0].Rows != 1 || loads[1].Rows != 2 {
		t.Errorf("found %+v, %v", loads, err)
	}
}

func TestLoadIsWholeOrNothing(t *testing.T) {
	ctx := context.Background()
	src := readings()
	pool := createSource(t, src)
	broken := errors.New("broken")
	tooEarly := feature.TimeOf(time.Date(-4001, 12, 1, 0, 0, 0, 0, time.UTC))
	for _, c := range []struct {
		name string
		rows func(yield func([]feature.Value, error) bool)
		is   error
		want string
	}{
		{"an error of the rows", func(yield func([]feature.Value, error) bool) { _ = yield(row("a"), nil) && yield(nil, broken) }, broken, ""},
		{"no rows", func(func([]feature.Value, error) bool) {}, nil, "file: found no rows, expected at least one"},
		{"no event time", func(yield func([]feature.Value, error) bool) {
			_ = yield(row("a"), nil) && yield([]feature.Value{feature.Null(), feature.Null()}, nil)
		}, nil, "file: row 2: column at is the event time of source readings: found NULL"},
		{"another type", func(yield func([]feature.Value, error) bool) {
			yield([]feature.Value{feature.Timestamp(1), feature.Int64(1)}, nil)
		}, nil, "file: row 1: column name: found a int64, expected a string"},
		{"text with NUL", func(yield func([]feature.Value, error) bool) { yield(row("a\x00"), nil) }, nil, "found a NUL character"},
		{"a cell too few", func(yield func([]feature.Value, error) bool) { yield([]feature.Value{feature.Timestamp(1)}, nil) }, nil,
			"file: row 1: found 1 values, expected 2"},
		{"an instant too far away", func(yield func([]feature.Value, error) bool) {
			yield([]feature.Value{feature.Timestamp(tooEarly), feature.String("a")}, nil)
		}, nil, "column at: found an infinite timestamp, or one that is not within the years 4001 BC to 293999"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := offline.AppendLoad(ctx, pool, request(src, "file", 0), c.rows)
			switch {
			case c.is != nil && !errors.Is(err, c.is):
				t.Errorf("found %v, expected %v", err, c.is)
			case c.is == nil && (fault.ReasonOf(err) != fault.InvalidRows || !strings.Contains(err.Error(), c.want)):
				t.Errorf("found %v, expected %q", err, c.want)
			}
			var rows, loads, last int64
			if err := pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM headwater_landing.readings), (SELECT count(*) FROM headwater.load),
				last_number FROM headwater.landing`).Scan(&rows, &loads, &last); err != nil {
				t.Fatal(err)
			}
			if rows != 0 || loads != 0 || last != 0 {
				t.Errorf("found %d rows, %d loads and number %d, expected nothing", rows, loads, last)
			}
		})
	}
}

// The instants at both ends of what Postgres and Headwater hold go in and come out.
func TestInstantsFarAway(t *testing.T) {
	ctx := context.Background()
	src := readings()
	pool := createSource(t, src)
	instants := []feature.Time{
		feature.TimeOf(time.Date(-4000, 1, 1, 0, 0, 0, 0, time.UTC)), feature.TimeOf(time.Date(0, 2, 29, 0, 0, 0, 1000, time.UTC)),
		feature.TimeOf(time.Date(12024, 1, 1, 0, 0, 0, 0, time.UTC)),
		feature.TimeOf(time.Date(293999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)),
	}
	_, err := offline.AppendLoad(ctx, pool, request(src, "file", 0), func(yield func([]feature.Value, error) bool) {
		for _, at := range instants {
			if !yield([]feature.Value{feature.Timestamp(at), feature.Null()}, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	view := wideView()
	conn := createHistory(t, view)
	h := &reference.History{}
	for i, at := range instants {
		values := []feature.Value{feature.Null(), feature.Int64(int64(i)), feature.Null(), feature.Null(), feature.Timestamp(at)}
		h.Rows = append(h.Rows, reference.HistoryRow{
			Row: feature.Row{Key: "a|1", EventTime: at, AvailableAt: at, Values: values}, SeqFrom: 1, SeqTo: reference.Live,
		})
	}
	if err := fill(ctx, conn, view, h); err != nil {
		t.Fatal(err)
	}
	const ttl = 292 * 365 * 24 * time.Hour
	var spine []question
	for _, at := range instants {
		spine = append(spine, question{key: "a|1", at: at})
		err := offline.Current{View: view, Seq: 1, Touched: 1, Now: at}.Winners(ctx, conn, func(e *offline.Entity) error {
			w := &e.Winner
			if w.EventTime != at || !w.Values[4].Equal(feature.Timestamp(at)) {
				t.Errorf("found %s, expected the row of %s", reference.Describe(w), at)
			}
			return nil
		})
		if err != nil {
			t.Errorf("at %s: %v", at, err)
		}
	}
	views := []offline.AsOf{{View: view, Seq: 1, TTL: ttl}}
	err = offline.PointInTime(ctx, conn, "spine", views, spineOf(spine), func(number int64, winners []read.Winner) error {
		if winners[0].EventTime != instants[number] {
			t.Errorf("found %s, expected the row of %s", reference.Describe(&winners[0]), instants[number])
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	err = offline.PointInTime(ctx, conn, "spine", views, spineOf([]question{{"a|1", instants[0] - 1}}), nil)
	if fault.ReasonOf(err) != fault.InvalidSpine || !strings.Contains(err.Error(), "spine: row 1: found an infinite timestamp, or one") {
		t.Errorf("found %v, expected that the spine is refused", err)
	}
}

func TestOneFileIsTakenOnce(t *testing.T) {
	ctx := context.Background()
	src := readings()
	pool := createSource(t, src)
	load := func(file string, replaces int64) (int64, error) {
		l, err := offline.AppendLoad(ctx, pool, request(src, file, replaces), oneRow)
		if err != nil {
			return 0, err
		}
		return l.ID, nil
	}
	one, err := load("one", 0)
	if err != nil {
		t.Fatal(err)
	}
	two, err := load("two", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, replaces := range []int64{0, two} {
		if _, err := load("one", replaces); fault.ReasonOf(err) != fault.AlreadyExists || !strings.Contains(err.Error(), "is in source readings already") {
			t.Errorf("replacing %d: found %v, expected that the file is there", replaces, err)
		}
	}
	again, err := load("one", one)
	if err != nil {
		t.Fatalf("a load could not be replaced by its own file: %v", err)
	}
	if _, err := load("three", one); fault.ReasonOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), "was replaced already") {
		t.Errorf("found %v, expected that the load has ended", err)
	}
	if _, err := offline.RetractLoad(ctx, pool, again, "wrong", "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := offline.RetractLoad(ctx, pool, again, "wrong", "test"); fault.ReasonOf(err) != fault.FailedPrecondition || !strings.Contains(err.Error(), "was retracted already") {
		t.Errorf("found %v, expected that the load has ended", err)
	}
	if _, err := load("one", 0); err != nil {
		t.Errorf("a file that was retracted could not be loaded again: %v", err)
	}
	if _, err := load("four", 99); fault.ReasonOf(err) != fault.NotFound {
		t.Errorf("found %v, expected that there is no such load", err)
	}
}

// What comes in a large load is summed up in the index of event times and counted in the statistics when it is there.
func TestLargeLoadIsSummedUp(t *testing.T) {
	const rows = 100_000
	ctx := context.Background()
	src := readings()
	pool := createSource(t, src)
	var first int64
	for i, file := range []string{"first", "second"} {
		load, err := offline.AppendLoad(ctx, pool, request(src, file, 0), func(yield func([]feature.Value, error) bool) {
			for j := range rows {
				at := firstInstant.Add(time.Duration(j) * time.Minute)
				if !yield([]feature.Value{feature.Timestamp(at), feature.String(file)}, nil) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		var left int64
		err = pool.QueryRow(ctx, `SELECT sum(brin_summarize_new_values(i.indexrelid::regclass)) FROM pg_index i
			JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
			WHERE i.indrelid = 'headwater_landing.readings'::regclass AND a.amname = 'brin'`).Scan(&left)
		if err != nil || left != 0 {
			t.Errorf("found %d ranges of blocks that are not summed up after load %d (%v), expected none", left, load.ID, err)
		}
		var known []int64
		err = pool.QueryRow(ctx, `SELECT ARRAY(SELECT v::bigint FROM unnest(most_common_vals::text::text[]) v ORDER BY 1) FROM pg_stats
			WHERE schemaname = 'headwater_landing' AND tablename = 'readings' AND attname = '_load'`).Scan(&known)
		if err != nil || len(known) != i+1 || known[i] != load.ID || i == 1 && known[0] != first {
			t.Errorf("found loads %v in the statistics (%v) after load %d", known, err, load.ID)
		}
		first = load.ID
	}
}
