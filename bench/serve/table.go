package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/bench/report"
	"github.com/headwaterhq/headwater/online"
)

// goals are what figures are held to, in the order in which they are printed.
var goals = []struct {
	name    string
	goal    float64
	orLess  bool
	meaning string
}{
	{"b1_vs_echo", 0.55, false, "requests/s at 1 entity, of the echo's"},
	{"b100_vs_echo", 0.18, false, "requests/s at 100 entities, of the echo's"},
	{"b100_vs_redis", 0.80, false, "entities/s at 100, of the Redis floor's"},
	{"server_vs_redis_cpu", 1.1, true, "processor time of the server for an entity at 100, times Redis's own"},
	{"b100_vs_feast_layout", 7, false, "requests/s at 100 entities, times those of Feast's layout"},
	{"governed_vs_plain", 0.92, false, "requests/s with what governs reads, of those without: the worse of 1 and 100"},
	{"decision_ns", 100, true, "a compiled decision"},
	{"row_filter_ns", 50, true, "a row filter on one row"},
	{"grants_vs_plain", 0.95, false, "requests/s with grants and audit, of those without: the worse of 1 and 100"},
	{"masked_vs_plain", 0.80, false, "requests/s under a row filter, two masks and an audit record each, of those that no policy is about: the worse of 1 and 100"},
	{"p99_over_p50_at_70", 3, true, "p99 by p50 at 10 entities, at 70% of saturation"},
}

// settings prints what figures depend on.
func (b *bench) settings(ctx context.Context) error {
	client, err := online.Open(ctx, b.servers.Redis.URL(), online.Options{})
	if err != nil {
		return err
	}
	defer client.Close()
	info, err := client.InfoMap(ctx, "server").Result()
	if err != nil {
		return err
	}
	compact, err := client.ConfigGet(ctx, "hash-max-listpack-value").Result()
	if err != nil {
		return err
	}
	fmt.Printf("%d processors (%s), load %s before; %s; Redis %s, hash-max-listpack-value %s\n", runtime.NumCPU(), processor(), loadAverage(),
		runtime.Version(), info["Server"]["redis_version"], compact["hash-max-listpack-value"])
	fmt.Printf("%d views of %d features, %d and %d entities; client, servers and Redis share the processors; client, echo and Feast's layout with GOGC=%d\n",
		len(views), len(kinds), b.few, b.many, othersGOGC)
	fmt.Printf("closed loop: %d callers on %d connections; open loop: at most %d; %d rounds of %s, after %s that do not count\n\n",
		b.callers, b.connections, openCallers, b.rounds, b.measured, warm)
	return nil
}

// processor is the model of the first one, as Linux has it.
func processor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// loadAverage is of the last minute, as Linux has it.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// redisPID is the number of a Redis among processes.
func redisPID(ctx context.Context, client redis.UniversalClient) (int, error) {
	info, err := client.InfoMap(ctx, "server").Result()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(info["Server"]["process_id"])
}

// table prints all that was measured, and then what is held to goals.
func (b *bench) table() {
	fmt.Printf("\n%-16s %9s %8s %-10s %11s %11s %8s %8s   %s\n", "", "entities", "batch", "loop", "requests/s", "entities/s", "p50 ms", "p99 ms",
		"us of processor per request: server, Redis, client, Postgres where it is asked; requests/s that allows; stolen %")
	for _, c := range b.cells {
		loop := "closed"
		if c.share > 0 {
			loop = fmt.Sprintf("open %.0f%%", 100*c.share)
		}
		of := func(figure func(*sample) float64) float64 { return b.median(c, figure) }
		milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		fmt.Printf("%-16s %9d %8d %-10s %11.0f %11.0f %8.2f %8.2f   %8.1f %8.1f %8.1f %8.1f %10.0f %8.1f\n", c.target, c.entities, c.batch, loop,
			of((*sample).rate), of((*sample).entitiesRate),
			of(func(s *sample) float64 { return milliseconds(s.p50) }), of(func(s *sample) float64 { return milliseconds(s.p99) }),
			of(func(s *sample) float64 { return s.each(s.serverTime) }), of(func(s *sample) float64 { return s.each(s.redisTime) }),
			of(func(s *sample) float64 { return s.each(s.clientTime) }), of(func(s *sample) float64 { return s.each(s.postgresTime) }), of((*sample).allowed),
			of((*sample).stolenPercent))
	}
	fmt.Println()
	for _, g := range goals {
		value, measured := b.result[g.name]
		if !measured {
			continue
		}
		value = report.Round(value)
		b.result[g.name] = value
		bound, met := "or more", value >= g.goal
		if g.orLess {
			bound, met = "or less", value <= g.goal
		}
		verdict := "met"
		if !met {
			verdict = "not met"
		}
		if remark := b.remarks[g.name]; remark != "" {
			verdict = remark
		}
		processor := ""
		if allowed, is := b.allowed[g.name]; is {
			processor = fmt.Sprintf("; by processor time %.3f", allowed)
		}
		fmt.Printf("%-22s %7.3f  %g %s: %s (%s%s)\n", g.name, value, g.goal, bound, verdict, g.meaning, processor)
	}
}
