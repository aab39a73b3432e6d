// Command datasets measures training datasets on a server of its own, beside what else finds the same rows. It starts a
// durable Postgres, a Redis, and `headwater serve` as a process, drives that over gRPC, and writes what comes to a file:
//
//	bench-datasets --headwater bin/headwater
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/bench/servers"
	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/definition"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
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
	flag.StringVar(&b.only, "only", "", "parts to run, with commas between: datasets, rownumber, duckdb, strategies. Empty: all")
	flag.DurationVar(&b.stay, "stay", 0, "how long to leave the servers running at the end, to look at them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b.history = fullHistory
	rows := fullSpine
	switch scale := os.Getenv("BENCH_SCALE"); scale {
	case "", "full":
	case "small":
		b.history, rows = b.history/smallPart, rows/smallPart
	default:
		fmt.Fprintf(os.Stderr, "datasets: found BENCH_SCALE %q, expected small or full\n", scale)
		os.Exit(2)
	}
	b.spine = spine(rows, b.history/perEntity)
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "datasets:", err)
		os.Exit(1)
	}
}

// bench is one run of this command.
type bench struct {
	program, folder, only string
	stay                  time.Duration
	// history is the rows of the large histories.
	history int
	spine   []spineRow

	servers *servers.Servers
	client  *client.Client
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
	b.servers, err = servers.Start(ctx, servers.Config{Program: b.program, Folder: b.folder})
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
	fmt.Printf("a spine of %d rows over histories of %d rows with %d features; Postgres durable\n\n", len(b.spine), b.history, floats+integers)
	fmt.Printf("%-44s %10s %12s\n", "", "seconds", "rows/s")
	if err := b.prepare(ctx); err != nil {
		return err
	}
	wanted := func(part string) bool { return b.only == "" || strings.Contains(","+b.only+",", ","+part+",") }
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{{"datasets", b.datasets}, {"rownumber", b.rowNumber}} {
		if !wanted(part.name) {
			continue
		}
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	peak, err := b.servers.PeakMemory()
	if err != nil {
		return err
	}
	b.result["peak_rss_mb"] = round(peak)
	fmt.Printf("%-44s %10.0f\n", "peak memory of the server (VmHWM), MB", peak)
	fmt.Printf("\nall of it took %s\n", time.Since(began).Round(time.Second))
	if b.stay > 0 {
		fmt.Fprintf(os.Stderr, "Postgres %s, server %s, for %s\n", b.servers.Postgres.URL(), b.servers.Address, b.stay)
		select {
		case <-ctx.Done():
		case <-time.After(b.stay):
		}
	}
	return json.NewEncoder(os.Stdout).Encode(b.result)
}

// prepare registers the definitions, has them published, and makes the histories and the floors' spine.
func (b *bench) prepare(ctx context.Context) error {
	file := b.servers.Folder + "/bench.yaml"
	if _, err := os.Stat(file); err != nil {
		if err := os.WriteFile(file, []byte(definitions()), 0o600); err != nil {
			return err
		}
		set, err := definition.Load([]string{file})
		if err != nil {
			return err
		}
		if _, err := b.client.Registry.Apply(ctx, &headwaterv1.ApplyRequest{Files: set.Files}); err != nil {
			return err
		}
		if err := b.seed(ctx); err != nil {
			return err
		}
	}
	if err := b.fill(ctx); err != nil {
		return err
	}
	return b.stage(ctx, b.spine)
}

// round keeps three digits after the point.
func round(f float64) float64 { return float64(int64(f*1000+0.5)) / 1000 }

func (b *bench) row(name string, took time.Duration, rows int) {
	fmt.Printf("%-44s %10.2f %12.0f\n", name, took.Seconds(), float64(rows)/took.Seconds())
}

func (b *bench) ratio(name string, value float64, meaning string) {
	b.result[name] = round(value)
	fmt.Printf("    %s: %.2f (%s)\n", name, value, meaning)
}

// checkpoint has Postgres write what it holds back, so that a figure does not pay for what was before it.
func (b *bench) checkpoint(ctx context.Context) error {
	_, err := b.admin.Exec(ctx, "CHECKPOINT")
	return err
}
