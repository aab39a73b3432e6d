package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/bench/report"
	"github.com/headwaterhq/headwater/bench/servers"
)

// cell is one line of the table.
type cell struct {
	target string
	// entities is how many the keys are taken from, batch how many one request has.
	entities, batch int
	// share is of the saturation, for the open loop; 0 is the closed one.
	share float64
}

// sampled measures a target once and adds that to its cell.
func (b *bench) sampled(ctx context.Context, t *target, batch int, share, rate float64) (*sample, error) {
	l := load{batch: batch, among: b.loaded, callers: b.callers, warm: warm, measured: b.measured, rate: rate}
	if rate > 0 {
		l.callers = openCallers
	}
	s, err := measure(ctx, t, l)
	if err != nil {
		return nil, err
	}
	c := cell{target: t.name, entities: b.loaded, batch: batch, share: share}
	if b.samples[c] == nil {
		b.cells = append(b.cells, c)
	}
	b.samples[c] = append(b.samples[c], s)
	return s, nil
}

// openCallers bounds the requests under way in the open loop: no more than the server works on at once, so that none is refused.
// Further ones wait here, and their latency is counted.
const openCallers = 128

// closed measures all targets in the closed loop, in turns.
func (b *bench) closed(ctx context.Context) error {
	for range b.rounds {
		for _, batch := range batches {
			for _, t := range []*target{b.product, b.echo, b.bytes, b.redis, b.feast} {
				if t == b.bytes && batch != 1 && batch != 100 {
					continue
				}
				if _, err := b.sampled(ctx, t, batch, 0, 0); err != nil {
					return err
				}
			}
		}
	}
	for _, r := range []struct {
		figure string
		batch  int
		to     *target
	}{
		{"b1_vs_echo", 1, b.echo}, {"b100_vs_echo", 100, b.echo}, {"b100_vs_redis", 100, b.redis}, {"b100_vs_feast_layout", 100, b.feast},
	} {
		b.result[r.figure] = b.ratio(r.batch, b.product, r.to, (*sample).rate)
		b.allowed[r.figure] = b.ratio(r.batch, b.product, r.to, (*sample).allowed)
	}
	fmt.Printf("requests/s of an echo's that passes bytes on: at 1 %.3f, by processor time %.3f; at 100 %.3f, by processor time %.3f\n",
		b.ratio(1, b.product, b.bytes, (*sample).rate), b.ratio(1, b.product, b.bytes, (*sample).allowed),
		b.ratio(100, b.product, b.bytes, (*sample).rate), b.ratio(100, b.product, b.bytes, (*sample).allowed))
	b.result["server_vs_redis_cpu"] = b.median(b.closedCell(b.product, 100), func(s *sample) float64 {
		return s.serverTime.Seconds() / max(s.redisTime.Seconds(), 0.01)
	})
	return nil
}

func (b *bench) closedCell(t *target, batch int) cell {
	return cell{target: t.name, entities: b.loaded, batch: batch}
}

// median is that of one figure of all rounds.
func (b *bench) median(c cell, figure func(*sample) float64) float64 {
	var all []float64
	for _, s := range b.samples[c] {
		all = append(all, figure(s))
	}
	return report.Median(all)
}

// ratio is the median of a figure's ratio between two targets in the closed loop, round by round.
func (b *bench) ratio(batch int, of, to *target, figure func(*sample) float64) float64 {
	var all []float64
	upper, lower := b.samples[b.closedCell(of, batch)], b.samples[b.closedCell(to, batch)]
	for i := range upper {
		all = append(all, figure(upper[i])/figure(lower[i]))
	}
	return report.Median(all)
}

// plainFlag starts a server that lets everybody in and records nothing of it.
const plainFlag = "--insecure-no-auth"

// governed measures a server with all that governs reads beside one without. Both are new, so that neither has what a load left
// in its memory. Short rounds, twice as many, follow what the machine does more closely.
func (b *bench) governed(ctx context.Context) (err error) {
	help, err := exec.CommandContext(ctx, b.program, "serve", "--help").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s serve --help: %w\n%s", b.program, err, help)
	}
	var plainArguments []string
	service := loggedName
	logged, err := b.targetOf("logged", b.servers.Address, service, b.token, 0, nil)
	if err != nil {
		return err
	}
	switch err := logged.ask(0, 1).call(ctx, []int{0}, false); status.Code(err) {
	case codes.OK:
	case codes.Unimplemented:
		service = serviceName
		b.remarks["governed_vs_plain"] = "measured without the read log, which this server does not have"
	default:
		return err
	}
	if strings.Contains(string(help), plainFlag) {
		plainArguments = []string{plainFlag}
	} else {
		b.remarks["governed_vs_plain"] = "not measured: this server has no " + plainFlag + ", and both sides are governed"
	}
	// The client is the same for both: a server that asks nobody who calls is sent the token too.
	start := func(name, service string, arguments []string) (*target, *servers.Process, error) {
		p, err := b.servers.Another(ctx, name, arguments, nil)
		if err != nil {
			return nil, nil, err
		}
		t, err := b.targetOf(name, p.Address, service, b.token, p.PID(), nil)
		if err == nil {
			t.redis = b.product.redis
		}
		return t, p, err
	}
	governed, first, err := start("governed", service, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, first.Stop()) }()
	plain, second, err := start("plain", serviceName, plainArguments)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, second.Stop()) }()
	for round := range 2 * b.rounds {
		for _, batch := range []int{1, 100} {
			pair := []*target{governed, plain}
			if round%2 == 1 {
				pair = []*target{plain, governed}
			}
			for _, t := range pair {
				if _, err := b.sampled(ctx, t, batch, 0, 0); err != nil {
					return err
				}
			}
		}
	}
	b.result["governed_vs_plain"] = min(b.ratio(1, governed, plain, (*sample).rate), b.ratio(100, governed, plain, (*sample).rate))
	b.allowed["governed_vs_plain"] = min(b.ratio(1, governed, plain, (*sample).allowed), b.ratio(100, governed, plain, (*sample).allowed))
	return nil
}

// share is how much of the saturation the open loop asks for.
const share = 0.7

// open measures latency while requests come at their own times, at a share of the closed loop's rate.
func (b *bench) open(ctx context.Context) error {
	const goal = 10
	release, is := awake()
	if release(); !is {
		fmt.Println("processors may sleep while latency is measured: this user may not keep them awake")
	}
	for _, batch := range batches {
		// What the machine does meanwhile changes: saturation is looked for beside the latency that is held to it.
		rounds := 1
		if batch == goal {
			rounds = b.rounds
		}
		for range rounds {
			saturation, err := b.sampled(ctx, b.product, batch, 0, 0)
			if err != nil {
				return err
			}
			for _, t := range []*target{b.product, b.echo} {
				if t == b.echo && batch != goal {
					continue
				}
				if _, err := b.sampled(ctx, t, batch, share, share*saturation.rate()); err != nil {
					return err
				}
			}
		}
	}
	tail := func(t *target) float64 {
		c := b.closedCell(t, goal)
		c.share = share
		return b.median(c, func(s *sample) float64 { return float64(s.p99) / float64(s.p50) })
	}
	b.result["p99_over_p50_at_70"] = tail(b.product)
	fmt.Printf("p99 by p50 of the echo, at 10 and as many requests/s: %.3f\n", tail(b.echo))
	return nil
}

// manyEntities measures the product and the Redis floor over all entities.
func (b *bench) manyEntities(ctx context.Context) error {
	if b.many <= b.few {
		return nil
	}
	if err := b.load(ctx, b.few, b.many); err != nil {
		return err
	}
	for range b.rounds {
		for _, batch := range []int{1, 100} {
			for _, t := range []*target{b.product, b.echo, b.redis} {
				if _, err := b.sampled(ctx, t, batch, 0, 0); err != nil {
					return err
				}
			}
		}
	}
	fmt.Printf("over %d entities: requests/s of the echo's at 1 %.3f, at 100 %.3f, of the Redis floor's at 100 %.3f\n", b.loaded,
		b.ratio(1, b.product, b.echo, (*sample).rate), b.ratio(100, b.product, b.echo, (*sample).rate),
		b.ratio(100, b.product, b.redis, (*sample).rate))
	return nil
}
