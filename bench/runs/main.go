// Command runs measures the life of a run on a server of its own: a first backfill, the same rows again in the place of
// the first ones, a run with nothing new, windowed aggregations, and the load of the online store, each beside what plain
// COPY and plain HSET take for the same bytes in the same minutes on the same Postgres and Redis. It starts a durable
// Postgres, a Redis, and `headwater serve` as a process, and drives that over gRPC:
//
//	bench-runs --headwater bin/headwater
//
// The floor of a backfill is: COPY (SELECT …) TO STDOUT in the binary format of the same columns of the landing table, its
// bytes passed on in pieces of a MiB to COPY … FROM STDIN into a table that has a history's columns; then ALTER TABLE … ADD
// PRIMARY KEY of a history's key, and COMMIT. The table is logged, and made by the transaction that fills it, as a first history
// is: with wal_level=minimal, as here, its rows are synced at the commit and not logged. Out and in run at once, on two connections, so that
// it is less than the sum of the two. Before each figure Postgres writes a checkpoint, so that none pays for another.
//
// Times of runs are from their record: from when they began to when they were published. The last line is JSON, with these
// figures. Each is a time on the wall beside another one of the same minutes, so that what else the machine does weighs on
// both, though not alike: runs and floors keep different numbers of processes busy.
//
//   - sql_view_vs_copy: the first backfill of a SQL view, key and statistics of its history included, divided by the floor.
//   - nothing_new_s: seconds of a run that finds nothing new, from the call that asks for it to the end of the watch, which is
//     when it is published and said to be in the online store: both waits in the queue are in it.
//   - replaced_vs_first: the run after the same rows came again in a load that replaces the first, divided by the first
//     backfill. It reads, validates, computes, digests and stages all rows, finds in the records of the first run that they are what is
//     live, which it counts, and writes none. As for the first load, marking the rows as committed, summing them up in the BRIN index
//     and analyzing them is in the time of the ingest.
//   - windows_rows_per_s: source rows divided by the phase "transform" of a backfill of three windows: Postgres sends the rows,
//     they are decoded and added up, and rows of history are encoded. Counting and validating the source (the phase "read") and
//     waiting for Postgres to take the history (the phase "write") are not in it.
//   - online_load_vs_hset: the time of the floor, HSET of the same keys, fields and bytes to an empty Redis in pipelines on one
//     connection, divided by the phase "redis": the time in which at least one batch was on its way to Redis or its answer on
//     its way back, however many were at once. Postgres looks for the rows at the same time, on the same processors: the table
//     also has the time of its processor that Redis took for both.
//   - peak_rss_mb: the most memory that the server's process had, in MB of 2^20 bytes.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/bench/report"
	"github.com/headwaterhq/headwater/bench/servers"
	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// The sizes of a full run. BENCH_SCALE=small is a tenth.
const (
	fullRows     = 10_000_000
	fullEntities = 100_000
	fullUsers    = 1_000_000
	smallPart    = 10
)

func main() {
	program := flag.String("headwater", "bin/headwater", "the server's program")
	only := flag.String("only", "", "parts to run, with commas between: sql, windows, online. Empty: all")
	stay := flag.Duration("stay", 0, "how long to leave the servers running at the end, to look at them")
	rows := flag.Int("rows", 0, "payments. 0: as many as the scale has")
	flag.Parse()
	report.Main("runs", func(ctx context.Context) error {
		small, err := report.Small()
		if err != nil {
			return err
		}
		b := &bench{rows: fullRows, entities: fullEntities, users: fullUsers, result: map[string]float64{}}
		if small {
			b.rows, b.entities, b.users = b.rows/smallPart, b.entities/smallPart, b.users/smallPart
		}
		if *rows > 0 {
			b.rows = *rows
		}
		return b.run(ctx, *program, *only, *stay)
	})
}

// bench is one run of this command.
type bench struct {
	rows, entities, users int

	servers *servers.Servers
	client  *client.Client
	// admin is a connection to Postgres beside the server's.
	admin *pgx.Conn
	// load is the one that has the events.
	load   int64
	result map[string]float64
}

func (b *bench) run(ctx context.Context, program, only string, stay time.Duration) (err error) {
	began := time.Now()
	b.servers, err = servers.Start(ctx, servers.Config{Program: program})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.servers.Stop()) }()
	if b.client, err = client.Dial(b.servers.Address, b.servers.Token, client.Options{}); err != nil {
		return err
	}
	defer b.client.Close()
	if b.admin, err = pgx.Connect(ctx, b.servers.Postgres.URL()); err != nil {
		return err
	}
	defer b.admin.Close(ctx)
	if err := b.apply(ctx); err != nil {
		return err
	}
	fmt.Printf("%d rows of %d entities with 7 columns, %d users; Postgres durable, with its write-ahead log\n\n", b.rows, b.entities, b.users)
	fmt.Printf("%-44s %10s %12s\n", "", "seconds", "rows/s")
	if err := report.Run(ctx, only, []report.Part{{Name: "sql", Do: b.backfill}, {Name: "windows", Do: b.windows}, {Name: "online", Do: b.online}}); err != nil {
		return err
	}
	peak, err := b.servers.PeakMemory()
	if err != nil {
		return err
	}
	b.result["peak_rss_mb"] = report.Round(peak)
	fmt.Printf("%-44s %10.0f\n", "peak memory of the server (VmHWM), MB", peak)
	fmt.Printf("\nall of it took %s\n", time.Since(began).Round(time.Second))
	report.Stay(ctx, stay, b.servers.Postgres.URL(), b.servers.Address)
	return json.NewEncoder(os.Stdout).Encode(b.result)
}

func (b *bench) row(name string, took time.Duration, rows int) {
	if rows == 0 {
		fmt.Printf("%-44s %10.2f\n", name, took.Seconds())
		return
	}
	fmt.Printf("%-44s %10.2f %12.0f\n", name, took.Seconds(), float64(rows)/took.Seconds())
}

// apply registers the definitions.
func (b *bench) apply(ctx context.Context) error {
	return b.servers.Apply(ctx, b.client, definitions)
}

// checkpoint has Postgres write what it holds back, so that a figure does not pay for what was before it.
func (b *bench) checkpoint(ctx context.Context) error {
	_, err := b.admin.Exec(ctx, "CHECKPOINT")
	return err
}

// materialize carries one run to its end and to the online store, and fails unless it is published.
func (b *bench) materialize(ctx context.Context, request *headwaterv1.MaterializeRequest) (*headwaterv1.Run, error) {
	if err := b.checkpoint(ctx); err != nil {
		return nil, err
	}
	response, err := b.client.Materialization.Materialize(ctx, request)
	if err != nil {
		return nil, err
	}
	r, err := b.client.WatchRun(ctx, response.GetRuns()[0].GetId(), nil)
	if err != nil {
		return nil, err
	}
	if r.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED {
		return nil, fmt.Errorf("run %d is %s: %s", r.GetId(), r.GetState(), r.GetError())
	}
	return r, nil
}

func took(r *headwaterv1.Run) time.Duration {
	return r.GetEndedAt().AsTime().Sub(r.GetStartedAt().AsTime())
}

// phases prints the parts of a run's time, as its record has them.
func phases(r *headwaterv1.Run) {
	for _, p := range r.GetPhases() {
		fmt.Printf("    %-40s %10.2f\n", p.GetName(), (time.Duration(p.GetDurationMicros()) * time.Microsecond).Seconds())
	}
}

// phase is the time of the phases of a name.
func phase(r *headwaterv1.Run, name string) (sum time.Duration) {
	for _, p := range r.GetPhases() {
		if p.GetName() == name {
			sum += time.Duration(p.GetDurationMicros()) * time.Microsecond
		}
	}
	return sum
}
