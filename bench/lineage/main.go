// Command lineage measures how fast lineage is answered on a large graph: 10,000 views in five layers over 500 sources, 200,000 edges
// between columns, a million runs. The definitions are applied as the registry stores them and noted by the database as it notes them;
// the records of runs are written by SQL, as publishing would. It starts the servers that it needs:
//
//	bench-lineage --headwater bin/headwater
//
// Each figure is the median over roots of one kind, each walked once after a first walk of another root, five edges deep, nodes named and
// described as the server answers them. The last line is JSON:
//
//   - walk5_ms: the slowest of these medians but the last one, which is told beside them: everything that a source with all of its
//     loads and runs ever reached.
//   - run_overhead: the share of the time of runs of 20,000 rows each, on a durable server of their own, in which they write their lineage
//     and what others are told of them: the phase "lineage" of their records.
//   - trace_ms: a trace of a logged read, on that server, of the values of a view and of one over it, with the rows of 20 files behind them,
//     from the call to the answer. A million other reads are in the log, and there are a million other runs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/bench/report"
	"github.com/headwaterhq/headwater/bench/servers"
	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/gomemory"
	"github.com/headwaterhq/headwater/internal/localserver"
	"github.com/headwaterhq/headwater/lineage"
)

// The sizes of a full run. BENCH_SCALE=small is a tenth of the views and sources.
const (
	fullViews  = 10_000
	runsOfView = 100
	layers     = 5
	smallPart  = 10
)

// result is the last line.
type result struct {
	Walk5MS     float64 `json:"walk5_ms"`
	TraceMS     float64 `json:"trace_ms"`
	RunOverhead float64 `json:"run_overhead"`
}

func main() {
	program := flag.String("headwater", "bin/headwater", "the server's program, for runs")
	roots := flag.Int("roots", 25, "roots of each kind of which the median is taken")
	flag.Parse()
	report.Main("lineage", func(ctx context.Context) error {
		small, err := report.Small()
		if err != nil {
			return err
		}
		g := graph{views: fullViews, roots: *roots, program: *program}
		if small {
			g.views /= smallPart
		}
		g.sources = g.views / 20
		return g.measure(ctx)
	})
}

// graph is what is walked.
type graph struct {
	views, sources, roots int
	pool                  *pgxpool.Pool
	program               string
}

func (g *graph) measure(ctx context.Context) error {
	r, err := g.walked(ctx)
	if err != nil {
		return err
	}
	err = served(ctx, g.program, func(s *servers.Servers, c *client.Client) (err error) {
		if r.RunOverhead, err = overhead(ctx, s, c); err != nil {
			return err
		}
		r.TraceMS, err = trace(ctx, s, c, g.roots)
		return err
	})
	if err != nil {
		return err
	}
	r.Walk5MS, r.TraceMS, r.RunOverhead = report.Round(r.Walk5MS), report.Round(r.TraceMS), report.Round(r.RunOverhead)
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	return nil
}

// walked makes the graph and walks it.
func (g *graph) walked(ctx context.Context) (r result, err error) {
	folder, err := servers.Folder()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	postgres, err := localserver.StartPostgres(ctx, localserver.PostgresConfig{
		Dir: filepath.Join(folder, "postgres"), Durable: true, SharedBuffersMB: servers.QuarterMB,
	})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, postgres.Stop()) }()
	if g.pool, err = database.Open(ctx, postgres.URL()); err != nil {
		return r, err
	}
	defer g.pool.Close()
	if _, _, err := database.Migrate(ctx, g.pool); err != nil {
		return r, err
	}
	began := time.Now()
	if err := g.fill(ctx); err != nil {
		return r, err
	}
	var edges, runs int64
	if err := g.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM headwater.column_edge WHERE to_column LIKE 'f%'), (SELECT count(*) FROM headwater.run)`).
		Scan(&edges, &runs); err != nil {
		return r, err
	}
	fmt.Printf("%d views of %d columns each in %d layers, %d edges between their columns, %d runs; made in %.0f s\n\n", g.views, columnsOfView, layers, edges, runs,
		time.Since(began).Seconds())
	return g.walks(ctx)
}

// walk is one kind of question.
type walk struct {
	name string
	dir  lineage.Direction
	// root is the node of the n-th root.
	root func(n int) string
	// told is measured, and not held to the bound.
	told bool
}

func (g *graph) walks(ctx context.Context) (r result, err error) {
	// As a server has it.
	gomemory.Set(slog.New(slog.DiscardHandler))
	perLayer := g.views / layers
	top := func(n int) int { return g.views - perLayer + n*7%perLayer + 1 }
	fmt.Printf("%-44s %10s %10s %8s %8s\n", "five edges", "median ms", "most ms", "nodes", "edges")
	for _, w := range []walk{
		{name: "up from a feature's column", dir: lineage.Up, root: func(n int) string { return fmt.Sprintf("view:v%d@1#f%d", top(n), n%columnsOfView+1) }},
		{name: "down from a source's column", dir: lineage.Down, root: func(n int) string {
			return fmt.Sprintf("source:s%d#c%d", n*3%g.sources+1, n%columnsOfView+1)
		}},
		{name: "up from a feature, with runs and loads", dir: lineage.Up, root: func(n int) string { return fmt.Sprintf("feature:v%d@1.f1", top(n)) }},
		{name: "up from a run", dir: lineage.Up, root: func(n int) string { return fmt.Sprintf("run:v%d@1/%d", top(n), runsOfView-n%50) }},
		{name: "down from a run", dir: lineage.Down, root: func(n int) string { return fmt.Sprintf("run:v%d@1/%d", n*7%perLayer+1, runsOfView-n%50) }},
		{name: "down from a load", dir: lineage.Down, root: func(n int) string { return fmt.Sprintf("load:%d", n*g.sources+n*3%g.sources+1) }},
		{name: "up from a dataset", dir: lineage.Up, root: func(n int) string { return fmt.Sprintf("dataset:d%d@1", n+1) }},
		{name: "down from a source, with all runs ever", dir: lineage.Down, told: true, root: func(n int) string { return fmt.Sprintf("source:s%d", n*3%g.sources+1) }},
	} {
		var times []float64
		var nodes, edges int
		for n := range g.roots + 1 {
			began := time.Now()
			found, err := lineage.Walk(ctx, g.pool, lineage.Query{Node: w.root(n), Direction: w.dir, Depth: 5, PageSize: 10_000})
			if err != nil {
				return r, fmt.Errorf("%s: %w", w.name, err)
			}
			if took := time.Since(began); n > 0 {
				times = append(times, took.Seconds()*1000)
				nodes, edges = max(nodes, len(found.Nodes)), max(edges, len(found.Edges))
			}
		}
		slices.Sort(times)
		median := times[len(times)/2]
		fmt.Printf("%-44s %10.1f %10.1f %8d %8d\n", w.name, median, times[len(times)-1], nodes, edges)
		if !w.told {
			r.Walk5MS = max(r.Walk5MS, median)
		}
	}
	fmt.Println()
	return r, nil
}
