// Command windows measures how fast windowed aggregations are computed: from Postgres's COPY to the rows of the history,
// which are counted and not written. It needs a Postgres of its own:
//
//	withservers go run ./bench/windows
//
// Each figure is the median of several runs, as rows of the source per second of wall clock. Beside it stands the time that
// the processors of this process and of Postgres's spent on a row, which other work on the machine does not change. The last
// line is JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/bench/report"
	"github.com/headwaterhq/headwater/bench/servers"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/offline"
)

func main() {
	rows := flag.Int("rows", 3_000_000, "rows of the source")
	entities := flag.Int("entities", 300, "entities they are of")
	days := flag.Int("days", 90, "days they lie in")
	runs := flag.Int("runs", 3, "runs of which the median is taken")
	flag.Parse()
	report.Main("windows", func(ctx context.Context) error { return measure(ctx, *rows, *entities, *days, *runs) })
}

var source = &feature.SourceVersion{Version: 1, Source: feature.Source{
	Name: "bench_windows",
	Columns: []feature.Column{
		{Name: "at", Type: feature.TypeTimestamp}, {Name: "seen", Type: feature.TypeTimestamp},
		{Name: "place", Type: feature.TypeString}, {Name: "delay", Type: feature.TypeFloat64},
	},
	EventTime: "at", ArrivalColumn: "seen",
}}

func measure(ctx context.Context, rows, entities, days, runs int) error {
	url := os.Getenv(testenv.PostgresVariable)
	if url == "" {
		return fmt.Errorf("set %s, or run it under withservers", testenv.PostgresVariable)
	}
	pool, err := database.Open(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, _, err := database.Migrate(ctx, pool); err != nil {
		return err
	}
	if err := fill(ctx, pool, rows, entities, days); err != nil {
		return err
	}
	defer func() {
		_, _ = pool.Exec(context.WithoutCancel(ctx), `DROP TABLE headwater_landing.bench_windows`)
		_, _ = pool.Exec(context.WithoutCancel(ctx), `DELETE FROM headwater.load WHERE source = 'bench_windows'`)
		_, _ = pool.Exec(context.WithoutCancel(ctx), `DELETE FROM headwater.landing WHERE source = 'bench_windows'`)
	}()
	fmt.Printf("%d rows of %d entities in %d days, every tenth late by up to 3 hours; hop 1h; count, sum and mean of each window\n", rows, entities, days)
	fmt.Printf("%-18s %12s %14s %14s %12s\n", "windows", "rows/s", "Go us/row", "Postgres us/row", "rows out")
	day := 24 * time.Hour
	result := map[string]int64{}
	for _, c := range []struct {
		name, key string
		windows   []time.Duration
	}{
		{"1h, 7d, 30d", "windows_rows_per_s", []time.Duration{time.Hour, 7 * day, 30 * day}},
		{"1h", "windows_1h_rows_per_s", []time.Duration{time.Hour}},
		{"7d", "windows_7d_rows_per_s", []time.Duration{7 * day}},
		{"30d", "windows_30d_rows_per_s", []time.Duration{30 * day}},
		{"365d", "windows_365d_rows_per_s", []time.Duration{365 * day}},
	} {
		var all []sample
		for range runs {
			s, err := once(ctx, pool, view(c.windows))
			if err != nil {
				return err
			}
			all = append(all, s)
		}
		slices.SortFunc(all, func(a, b sample) int { return int(a.wall - b.wall) })
		m := all[len(all)/2]
		perSecond := int64(float64(rows) / m.wall.Seconds())
		result[c.key] = perSecond
		perRow := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(rows) }
		fmt.Printf("%-18s %12d %14.2f %14.2f %12d\n", c.name, perSecond, perRow(m.own), perRow(m.postgres), m.out)
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// fill makes the landing table with one load.
func fill(ctx context.Context, pool *pgxpool.Pool, rows, entities, days int) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := offline.CreateSource(ctx, tx, nil, source); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			WITH load AS (
				INSERT INTO headwater.load (source, number, file_name, file_size, file_sha256, rows, event_time_min, event_time_max,
					principal, committed_at)
				VALUES ('bench_windows', 1, '', 0, '', $1, '2024-01-01', '2024-01-01'::timestamptz + $3::int * interval '1 day', '', now())
				RETURNING id)
			INSERT INTO headwater_landing.bench_windows (_load, _row, at, seen, place, delay)
			SELECT load.id, i, at, at + CASE WHEN i % 10 = 0 THEN random() * interval '3 hours' ELSE interval '0' END,
				'PLACE' || (random() * $2)::int, (random() * 100 - 20)::numeric(8, 1)
			FROM load, generate_series(0, $1::bigint - 1) i,
				LATERAL (SELECT '2024-01-01'::timestamptz + i * ($3::int * interval '1 day' / $1::bigint) AS at) t`,
			rows, entities, days)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE headwater.landing SET last_number = 1 WHERE source = 'bench_windows'`)
		return err
	})
}

func view(windows []time.Duration) *feature.ViewVersion {
	v := &feature.ViewVersion{
		Version: 1, SourceVersions: []*feature.SourceVersion{source},
		EntityVersion: &feature.EntityVersion{Version: 1, Entity: feature.Entity{
			Name: "place", JoinKeys: []feature.Column{{Name: "place", Type: feature.TypeString}},
		}},
		View: feature.View{Name: "bench", Entity: "place", Aggregation: &feature.Aggregation{Source: source.Name, Hop: time.Hour}},
	}
	for i, w := range windows {
		for _, f := range []feature.AggregateFunction{feature.Count, feature.Sum, feature.Mean} {
			name := fmt.Sprintf("f%d%s", i, f)
			typ, _ := f.Result(feature.TypeFloat64)
			v.Features = append(v.Features, feature.Column{Name: name, Type: typ})
			v.Aggregation.Aggregates = append(v.Aggregation.Aggregates, feature.Aggregate{Feature: name, Function: f, Column: "delay", Window: w})
		}
	}
	return v
}

type sample struct {
	wall, own, postgres time.Duration
	out                 int64
}

// once computes the view, its history over all rows.
func once(ctx context.Context, pool *pgxpool.Pool, v *feature.ViewVersion) (s sample, err error) {
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig.Copy())
	if err != nil {
		return s, err
	}
	defer conn.Close(ctx)
	t, err := offline.BeginTransform(ctx, conn, offline.Scope{View: v})
	if err != nil {
		return s, err
	}
	defer t.Close(ctx)
	if err := t.Read(ctx); err != nil {
		return s, err
	}
	pid := int(conn.PgConn().PID())
	before, err := servers.ProcessTime(pid, false)
	if err != nil {
		return s, err
	}
	began, own := time.Now(), processorTime()
	if err := t.Rows(ctx, t.Plan.Owned[0], func(*feature.Row) error {
		s.out++
		return nil
	}); err != nil {
		return s, err
	}
	s.wall, s.own = time.Since(began), processorTime()-own
	after, err := servers.ProcessTime(pid, false)
	s.postgres = after - before
	return s, err
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
