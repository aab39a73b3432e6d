// Package report is what the benchmarks' commands have in common: their scale, which of their parts to run, and how figures
// become what is printed. It may be imported by the commands below bench alone.
package report

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Main runs a command until it ends or is interrupted. An error is printed behind the command's name, and is exit status 1. Also
// where nobody reads what it prints any more it ends in peace, so that no server of its own is left behind.
func Main(name string, run func(ctx context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Small reports whether BENCH_SCALE asks for a tenth of the full sizes.
func Small() (bool, error) {
	switch scale := os.Getenv("BENCH_SCALE"); scale {
	case "", "full":
		return false, nil
	case "small":
		return true, nil
	default:
		return false, fmt.Errorf("found BENCH_SCALE %q, expected small or full", scale)
	}
}

// Part is one of those that a command can be asked for by name.
type Part struct {
	Name string
	Do   func(ctx context.Context) error
}

// Run does the parts that only lists, with commas between; all of them where it is empty. A name that no part has is an error.
func Run(ctx context.Context, only string, parts []Part) error {
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if only != "" && !slices.ContainsFunc(parts, func(p Part) bool { return p.Name == name }) {
			names := make([]string, len(parts))
			for i, p := range parts {
				names[i] = p.Name
			}
			return fmt.Errorf("found the part %q, expected some of %s", name, strings.Join(names, ", "))
		}
	}
	for _, p := range parts {
		if only != "" && !slices.Contains(wanted, p.Name) {
			continue
		}
		if err := p.Do(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

// Stay leaves the servers running for a while, and says where they are.
func Stay(ctx context.Context, stay time.Duration, postgres, server string) {
	if stay <= 0 {
		return
	}
	fmt.Fprintf(os.Stderr, "Postgres %s, server %s, for %s\n", postgres, server, stay)
	select {
	case <-ctx.Done():
	case <-time.After(stay):
	}
}

// Round keeps three digits after the point.
func Round(f float64) float64 { return float64(int64(f*1000+0.5)) / 1000 }

// Median is the middle one, of an even number the greater of the two in the middle; the zero value of none.
func Median[T cmp.Ordered](values []T) (median T) {
	if len(values) == 0 {
		return median
	}
	return slices.Sorted(slices.Values(values))[len(values)/2]
}
