package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"

	"github.com/headwaterhq/headwater/bench/report"
	"github.com/headwaterhq/headwater/bench/servers"
	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// maskedRole is whom the policies hold for: a row filter that every row passes, so that as many are answered, and two masks, one of them
// a keyed hash.
const maskedRole = "held"

// maskedColumns are what the masks are on: a text and a float of the first view.
var maskedColumns = map[int]bool{7: true, 0: true}

func policies() string {
	return fmt.Sprintf(`roles:
  - {name: %[1]s, attributes: {sizes: [small, large]}}
policies:
  - {name: rows, roles: [%[1]s], resources: ["view:%[2]s"], row_filter: 'row.%[3]s >= 0 && "small" in principal.sizes'}
  - {name: hashed, roles: [%[1]s], resources: ["feature:%[2]s.%[4]s"], mask: {hash: {key: customers}}}
  - {name: rounded, roles: [%[1]s], resources: ["feature:%[2]s.%[5]s"], mask: {round: {to: "10"}}}
`, maskedRole, views[0], featureName(6), featureName(7), featureName(0))
}

// access measures what grants and policies cost: a decision and a row filter by themselves, in the packages' own benchmarks; a server with
// authentication, grants and an audit beside one without; and reads under a row filter, two masks and an audit record each beside reads that no
// policy is about, on one server.
func (b *bench) access(ctx context.Context) (err error) {
	for figure, of := range map[string]struct{ pkg, name string }{
		"decision_ns":   {"./access", "DecideServiceByTag/compiled"},
		"row_filter_ns": {"./expr", "Filter/three"},
	} {
		if b.result[figure], err = nanoseconds(ctx, of.pkg, of.name); err != nil {
			return err
		}
	}
	postgres, err := b.servers.PostgresPID()
	if err != nil {
		return err
	}
	counted := func(t *target, err error) (*target, error) {
		if err == nil {
			t.redis, t.postgres = b.product.redis, postgres
		}
		return t, err
	}
	start := func(name string, arguments ...string) (*target, *servers.Process, error) {
		p, err := b.servers.Another(ctx, name, arguments, nil)
		if err != nil {
			return nil, nil, err
		}
		t, err := counted(b.targetOf(name, p.Address, serviceName, b.token, p.PID(), nil))
		return t, p, err
	}
	grants, first, err := start("grants")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, first.Stop()) }()
	nothing, second, err := start("nothing", plainFlag)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, second.Stop()) }()
	audit, err := client.Dial(first.Address, b.servers.Token, client.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, audit.Close()) }()
	if err := b.worse(ctx, "grants_vs_plain", grants, nothing, audit); err != nil {
		return err
	}
	token, err := b.applyPolicies(ctx)
	if err != nil {
		return err
	}
	free, err := counted(b.targetOf("no policy holds", first.Address, serviceName, b.token, first.PID(), nil))
	if err != nil {
		return err
	}
	held, err := counted(b.heldTarget(first.Address, token, first.PID()))
	if err != nil {
		return err
	}
	return b.worse(ctx, "masked_vs_plain", held, free, audit)
}

// heldTarget asks a server with the token of whom the policies hold for.
func (b *bench) heldTarget(address, token string, pid int) (*target, error) {
	held, err := b.targetOf("policies hold", address, serviceName, token, pid, nil)
	if err != nil {
		return nil, err
	}
	asks := held.ask
	held.ask = func(caller, entities int) asker {
		a := asks(caller, entities)
		if a, ok := a.(*grpcAsker); ok {
			a.masked = maskedColumns
		}
		return a
	}
	return held, nil
}

// hold has the product's server asked by whom policies hold for, for profiles of --only access.
func (b *bench) hold(ctx context.Context) error {
	if b.only != "access" {
		return nil
	}
	token, err := b.applyPolicies(ctx)
	if err != nil {
		return err
	}
	redis := b.product.redis
	if b.product, err = b.heldTarget(b.servers.Address, token, b.servers.PID()); err != nil {
		return err
	}
	b.product.redis = redis
	return nil
}

// worse measures two targets in turns. The figure is the worse ratio of their requests/s, of those at 1 and at 100 entities. What one has left to be
// written to Postgres, audit has written before the other's turn.
func (b *bench) worse(ctx context.Context, figure string, of, to *target, audit *client.Client) error {
	for round := range 3 * b.rounds {
		for _, batch := range []int{1, 100} {
			pair := []*target{of, to}
			if round%2 == 1 {
				pair = []*target{to, of}
			}
			for _, t := range pair {
				if _, err := b.sampled(ctx, t, batch, 0, 0); err != nil {
					return err
				}
				if _, err := audit.Access.ListAuditRecords(ctx, &headwaterv1.ListAuditRecordsRequest{PageSize: 1}); err != nil {
					return err
				}
			}
		}
	}
	ratios := func(figure func(*sample) float64) (one, hundred float64) {
		return b.ratio(1, of, to, figure), b.ratio(100, of, to, figure)
	}
	one, hundred := ratios((*sample).rate)
	oneAllowed, hundredAllowed := ratios((*sample).allowed)
	fmt.Printf("%s: at 1 %.3f, by processor time %.3f; at 100 %.3f, by processor time %.3f\n", figure, one, oneAllowed, hundred, hundredAllowed)
	b.result[figure], b.allowed[figure] = report.Round(min(one, hundred)), min(oneAllowed, hundredAllowed)
	return nil
}

// applyPolicies applies them, and makes a token of whom they hold for.
func (b *bench) applyPolicies(ctx context.Context) (string, error) {
	if err := b.servers.Apply(ctx, b.client, policies()); err != nil {
		return "", err
	}
	reply, err := b.client.Access.CreateToken(ctx, &headwaterv1.CreateTokenRequest{Principal: "held", Roles: []string{readerRole, maskedRole}})
	return reply.GetSecret(), err
}

var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark\S+\s+\d+\s+([0-9.]+) ns/op`)

// nanoseconds is the median of a package's own benchmark, run several times.
func nanoseconds(ctx context.Context, pkg, name string) (float64, error) {
	command := exec.CommandContext(ctx, "go", "test", pkg, "-run", "^$", "-bench", "^Benchmark"+name+"$", "-count", "9", "-benchtime", "100ms")
	out, err := command.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("the benchmark %s of %s: %w\n%s", name, pkg, err, out)
	}
	var all []float64
	for _, m := range benchmarkLine.FindAllSubmatch(bytes.TrimSpace(out), -1) {
		ns, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			return 0, err
		}
		all = append(all, ns)
	}
	if len(all) == 0 {
		return 0, fmt.Errorf("found no figure of the benchmark %s of %s in\n%s", name, pkg, out)
	}
	return report.Median(all), nil
}
