// Command datasets measures training datasets on a server of its own, beside what else finds the same rows. It starts a
// durable Postgres, a Redis, and `headwater serve` as a process, drives that over gRPC, and writes what comes to a file:
//
//	bench-datasets --headwater bin/headwater
//
// The views are registered and published through the product; then their histories are filled in Postgres, in the order of
// time, with rows of that run: a hundred for each entity, seven floats and three integers each. The spine is rows of random
// entities at random times, in random order, with a label. A dataset's time is from the call that sends the spine to the last
// byte of the result, an Arrow IPC stream, in the client's file: the server takes the spine in and digests it, joins it, digests
// and writes the result and keeps spine and manifest, with as many connections as it uses by itself. What is compared is
// measured in turns, and figures are medians.
//
// The floor is the LATERAL query that one would write by hand, on one connection: the spine, which lies in a table already in
// its random order, is sorted by entity and time, and each row takes the newest row of the history by the product's own
// conditions, by way of the history's key. Rows are COPYed out in the binary format and thrown away, in the order in which they
// are found.
//
// The last line is JSON, with these figures:
//
//   - pit_vs_lateral: a dataset of one view, divided by the floor.
//   - three_views_vs_lateral: a dataset of three views, divided by the sum of their three floors.
//   - row_number_vs_pit_1m: the join that Feast documents, to all earlier rows of each entity, of which ROW_NUMBER keeps the newest,
//     cut off at 5 minutes, divided by the dataset of one view. The spine is in a table already.
//   - row_number_in_one_pass_vs_pit_1m: the same with the earlier rows gone through once.
//   - duckdb_total_vs_pit: DuckDB's ASOF JOIN from Python, the history got out of Postgres before, divided by the dataset of
//     one view. What the join takes alone is printed. It goes by event time alone, so that it does less.
//   - cost_rule_right: whether the strategy that the cost rule takes was the faster one at every ratio of spine and history in
//     the table, of which each line is measured in this process.
//   - python_stream_vs_bare: the time of a bare gRPC stream to Python, in messages of as many bytes as the product's that grpcio
//     hands over undecoded, divided by the time in which the Python client has fetched, hashed and checked a dataset of 40
//     columns that the server keeps, as an Arrow table of the same bytes.
//   - peak_rss_mb: the most memory that the server's process had, in MB of 2^20 bytes.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/bench/report"
	"github.com/headwaterhq/headwater/bench/servers"
	"github.com/headwaterhq/headwater/client"
)

// The sizes of a full run. BENCH_SCALE=small is a tenth.
const (
	fullHistory = 10_000_000
	fullSpine   = 1_000_000
	smallPart   = 10
)

func main() {
	b := &bench{result: map[string]any{}}
	flag.StringVar(&b.program, "headwater", "bin/headwater", "the server's program")
	flag.StringVar(&b.folder, "folder", "", "where the servers keep what they have, to be used again. Empty: nowhere")
	flag.StringVar(&b.venv, "venv", ".cache/bench-datasets", "where the environment for Python is, or is to be made")
	flag.StringVar(&b.source, "python", "python/src", "where the Python client's source is")
	flag.StringVar(&b.only, "only", "", "parts to run, with commas between: datasets, rownumber, duckdb, strategies, python. Empty: all")
	flag.IntVar(&b.rounds, "rounds", 3, "how many times to measure what is compared, in turns")
	flag.DurationVar(&b.stay, "stay", 0, "how long to leave the servers running at the end, to look at them")
	flag.Parse()
	report.Main("datasets", func(ctx context.Context) error {
		small, err := report.Small()
		if err != nil {
			return err
		}
		b.history = fullHistory
		rows := fullSpine
		if small {
			b.history, rows = b.history/smallPart, rows/smallPart
		}
		b.spine = spine(rows, b.history/perEntity)
		return b.run(ctx)
	})
}

// bench is one run of this command.
type bench struct {
	program, folder, only, venv, source string
	stay                                time.Duration
	// rounds is how many times what is compared is measured, in turns.
	rounds int
	// history is the rows of the large histories.
	history int
	spine   []spineRow

	servers *servers.Servers
	client  *client.Client
	// peak is the most memory of a server that was ended since.
	peak float64
	// admin is a connection to Postgres beside the server's.
	admin *pgx.Conn
	// keys are the names of the histories' keys, by view.
	keys map[string]string
	// pit is the time of the dataset of one view.
	pit    time.Duration
	result map[string]any
}

func (b *bench) run(ctx context.Context) (err error) {
	began := time.Now()
	b.servers, err = servers.Start(ctx, servers.Config{Program: b.program, Folder: b.folder, SharedBuffersMB: servers.QuarterMB})
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
	fmt.Printf("a spine of %d rows over histories of %d rows with %d features; Postgres durable, shared_buffers=%dMB\n\n",
		len(b.spine), b.history, floats+integers, servers.QuarterMB)
	fmt.Printf("%-44s %10s %12s\n", "", "seconds", "rows/s")
	if err := b.prepare(ctx); err != nil {
		return err
	}
	err = report.Run(ctx, b.only, []report.Part{
		{Name: "datasets", Do: b.datasets}, {Name: "rownumber", Do: b.rowNumber}, {Name: "duckdb", Do: b.duckdb},
		{Name: "strategies", Do: b.strategies}, {Name: "python", Do: b.stream},
	})
	if err != nil {
		return err
	}
	peak, err := b.servers.PeakMemory()
	if err != nil {
		return err
	}
	peak = max(peak, b.peak)
	b.result["peak_rss_mb"] = report.Round(peak)
	fmt.Printf("%-44s %10.0f\n", "peak memory of the server (VmHWM), MB", peak)
	fmt.Printf("\nall of it took %s\n", time.Since(began).Round(time.Second))
	report.Stay(ctx, b.stay, b.servers.Postgres.URL(), b.servers.Address)
	return json.NewEncoder(os.Stdout).Encode(b.result)
}

// prepare registers the definitions, has them published, and makes the histories and the floors' spine.
func (b *bench) prepare(ctx context.Context) error {
	_, seeded := os.Stat(filepath.Join(b.servers.Folder, servers.Definitions))
	if err := b.servers.Apply(ctx, b.client, definitions()); err != nil {
		return err
	}
	if seeded != nil {
		if err := b.seed(ctx); err != nil {
			return err
		}
	}
	if err := b.fill(ctx); err != nil {
		return err
	}
	return b.stage(ctx, b.spine)
}

func (b *bench) row(name string, took time.Duration, rows int) {
	fmt.Printf("%-44s %10.2f %12.0f\n", name, took.Seconds(), float64(rows)/took.Seconds())
}

func (b *bench) ratio(name string, value float64, meaning string) {
	b.result[name] = report.Round(value)
	fmt.Printf("    %s: %.2f (%s)\n", name, value, meaning)
}

// checkpoint has Postgres write what it holds back, so that a figure does not pay for what was before it.
func (b *bench) checkpoint(ctx context.Context) error {
	_, err := b.admin.Exec(ctx, "CHECKPOINT")
	return err
}
