package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/localserver"
)

type testOptions struct {
	run     string
	timeout time.Duration
}

func newTest(a *app) *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use: "test PATH…", Short: "Run the tests of definitions on servers of their own; exit status 5 when one does not hold",
		Long: `Runs the tests in the files, and in the .yaml and .yml files of the folders, against the definitions in them. Each test has
a server and a database of its own, on a private Postgres and Redis that are started for the command and end with it.

Shows a line for each test, and where one does not hold a table of what differs.`,
		Args: takes(1, 0, "PATH…"),
		RunE: func(cmd *cobra.Command, paths []string) error { return a.runTests(cmd.Context(), o, paths) },
	}
	cmd.Flags().StringVar(&o.run, "run", "", "regular expression: run only the tests whose names match")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 2*time.Minute, "how long one test may take")
	return cmd
}

// testResult is how a test ended.
type testResult struct {
	Name string `json:"name"`
	File string `json:"file"`
	Line int    `json:"line"`
	// Holds says that all is as expected.
	Holds    bool      `json:"holds"`
	Seconds  float64   `json:"seconds"`
	Problems []problem `json:"problems,omitempty"`
}

// problem is one thing that is not as expected.
type problem struct {
	// What is not: `view airport_delays`, or `answer 2`.
	What    string `json:"what"`
	Message string `json:"message"`
	// Differences are a table, with a header.
	Differences []map[string]string `json:"differences,omitempty"`
	table       table
}

func (a *app) runTests(ctx context.Context, o testOptions, paths []string) error {
	chosen, err := regexp.Compile(o.run)
	if err != nil {
		return usagef("--run: found %q, expected a regular expression: %s", o.run,
			strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if o.timeout <= 0 {
		return usagef("--timeout: found %s, expected more than none", o.timeout)
	}
	tests, err := loadTests(paths, chosen, o.run)
	if err != nil {
		return err
	}
	began := time.Now()
	results, err := a.runAll(ctx, tests, o.timeout)
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range results {
		if !r.Holds {
			failed++
		}
	}
	if err := a.printResults(results); err != nil {
		return err
	}
	words := counted(len(results), "test") + ", all hold"
	switch {
	case failed == 0 && len(results) == 1:
		words = "1 test, which holds"
	case failed == 1:
		words = counted(len(results), "test") + ", of which 1 does not hold"
	case failed > 0:
		words = fmt.Sprintf("%d tests, of which %d do not hold", len(results), failed)
	}
	a.notef("%s (%s)", words, duration(time.Since(began)))
	if failed > 0 {
		return outcome(exitNotHeld)
	}
	return nil
}

// loadTests reads the tests whose names match.
func loadTests(paths []string, chosen *regexp.Regexp, pattern string) ([]*definition.Test, error) {
	set, err := definition.Load(paths)
	if err != nil {
		return nil, err
	}
	tests, err := set.Tests()
	if err != nil {
		return nil, err
	}
	if len(tests) == 0 {
		return nil, fault.New(fault.NotFound, "found no test in %s, expected some under tests: in a file of definitions", strings.Join(paths, ", "))
	}
	var kept []*definition.Test
	var names []string
	for _, t := range tests {
		names = append(names, t.Name)
		if chosen.MatchString(t.Name) {
			kept = append(kept, t)
		}
	}
	if len(kept) == 0 {
		return nil, usagef("--run: found no test whose name matches %q, expected one of %s", pattern, strings.Join(names, ", "))
	}
	return kept, nil
}

// runAll runs tests, some at once, and returns their results in order.
func (a *app) runAll(ctx context.Context, tests []*definition.Test, limit time.Duration) (_ []testResult, err error) {
	bar := a.progress("test")
	defer bar.clear()
	bar.show(0, "starting a Postgres and a Redis")
	bench, err := startBench(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bench.stop()) }()
	results := make([]testResult, len(tests))
	done := make(chan int, len(tests))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(min(4, runtime.GOMAXPROCS(0)))
	finished := make(chan error, 1)
	go func() {
		for i, t := range tests {
			group.Go(func() (err error) {
				defer func() { done <- i }()
				results[i], err = bench.runTest(within, i, t, limit)
				return err
			})
		}
		finished <- group.Wait()
	}()
	for n := 0; ; {
		select {
		case i := <-done:
			n++
			bar.show(float64(n)/float64(len(tests)), fmt.Sprintf("%d of %d, %s", n, len(tests), tests[i].Name))
		case err := <-finished:
			return results, err
		}
	}
}

func (a *app) printResults(results []testResult) error {
	switch a.output {
	case "json":
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Tests []testResult `json:"tests"`
		}{results})
	case "csv":
		t := table{header: []string{"TEST", "FILE", "LINE", "RESULT", "PROBLEM"}}
		for _, r := range results {
			if r.Holds {
				t.add(r.Name, r.File, number(r.Line), "holds", "")
			}
			for _, p := range r.Problems {
				t.add(r.Name, r.File, number(r.Line), "failed", p.What+": "+p.Message)
			}
		}
		return a.print(nil, t)
	}
	for _, r := range results {
		if r.Holds {
			fmt.Fprintln(a.out, "holds   "+r.Name)
			continue
		}
		fmt.Fprintf(a.out, "FAILED  %s  (%s:%d)\n", r.Name, r.File, r.Line)
		for _, p := range r.Problems {
			if err := p.write(a.out); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *problem) write(w io.Writer) error {
	fmt.Fprintf(w, "  %s: %s\n", p.What, strings.ReplaceAll(strings.TrimSpace(p.Message), "\n", "\n  "))
	if len(p.table.rows) == 0 {
		return nil
	}
	return p.table.write(w, "    ")
}

// withDifferences is a problem with a table.
func withDifferences(what, message string, t table) problem {
	p := problem{What: what, Message: message, table: t}
	for _, row := range t.rows {
		difference := map[string]string{}
		for i, cell := range row {
			difference[strings.ReplaceAll(strings.ToLower(t.header[i]), " ", "_")] = cell
		}
		p.Differences = append(p.Differences, difference)
	}
	return p
}

// bench is the private servers that tests run on.
type bench struct {
	folder   string
	postgres *localserver.Postgres
	redis    *localserver.Redis
}

func startBench(ctx context.Context) (*bench, error) {
	folder, err := os.MkdirTemp("", "headwater-definitions-")
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "cannot make a folder for the servers of tests: %v; set TMPDIR to a folder that can be written", err)
	}
	b := &bench{folder: folder}
	// Postgres runs as another user when this process is root's, and must get to its folder.
	err = os.Chmod(folder, 0o711)
	if err == nil {
		var group errgroup.Group
		group.Go(func() (err error) {
			b.postgres, err = localserver.StartPostgres(ctx, localserver.PostgresConfig{Dir: filepath.Join(folder, "postgres")})
			return err
		})
		group.Go(func() (err error) {
			b.redis, err = localserver.StartRedis(ctx, localserver.RedisConfig{Dir: filepath.Join(folder, "redis")})
			return err
		})
		err = group.Wait()
	}
	if err == nil {
		err = migrate(ctx, b.postgres.URL())
	}
	if err != nil {
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

func (b *bench) stop() error {
	var errs []error
	if b.redis != nil {
		errs = append(errs, b.redis.Stop())
	}
	if b.postgres != nil {
		errs = append(errs, b.postgres.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(b.folder))...)
}
