// Command serve measures online reads on a server of its own, beside what the same answers would take at least. It starts a
// Postgres, a Redis, and `headwater serve` as a process; registers four views of ten features over one source and a service of
// all forty; has the rows loaded, materialized and put online by the product; and asks for random entities with a token that
// may read the service and nothing else:
//
//	bench-serve --headwater bin/headwater
//
// The server is asked in turns with others, by the same callers of this process, which send requests that are encoded
// already and do not look into answers, but for one of each caller and measurement: its values are held to what was loaded, and
// a wrong one fails the command.
//
//   - The echo is a process of its own: a gRPC server that looks at nothing of a request but its length, has what the product
//     answered to one of as many entities as a message, and encodes it by code written for it into the same bytes. It has the
//     product's options of transport. No server that answers with values is faster.
//   - Another echo passes the bytes on without encoding them. Ratios to it are printed beside the others.
//   - The Redis floor is this process: the HMGETs that the product sends, with go-redis and its options, in pipelines of as many.
//   - Feast's layout is a process of its own, with another Redis: a hash field per feature, called by a Murmur3 hash, that holds a
//     protobuf message. It decodes them and answers the same contract with the same columns, with one pipeline for each request.
//
// In the closed loop each of 48 callers sends its next request when it has an answer. In the open loop requests are sent at
// equal distances of time, by a client of HTTP/2 that does no more than that, on processors that are kept awake where this user
// may; latency is from when one was to be sent, whether or not it could be. Processor time is that of
// each process, in user and kernel mode. Everything is measured in turns, several rounds; figures are medians of the rounds, and
// ratios are medians of each round's ratio.
//
// The last line is JSON, with these figures, over the smaller number of entities:
//
//   - b1_vs_echo, b100_vs_echo: requests/s of the product, divided by those of the echo that encodes, at 1 and at
//     100 entities.
//   - b100_vs_redis: entities/s of the product at 100, divided by those of the Redis floor.
//   - server_vs_redis_cpu: processor time of the product's server for an entity at 100, divided by that of its Redis meanwhile.
//   - b100_vs_feast_layout: requests/s of the product at 100, divided by those of Feast's layout.
//   - governed_vs_plain: requests/s of a server with authentication, roles, aggregated audit and a read log of one read in a
//     hundred, divided by those of one without them, at 1 and at 100: the worse of the two. Both are started for it.
//   - decision_ns, row_filter_ns, grants_vs_plain, masked_vs_plain, with --only access (make bench-access): a compiled decision; a row filter on
//     one row; requests/s of a server with authentication, grants and audit by those of one without; and those of reads under a row filter, two masks, one
//     of them a keyed hash, and an audit record each, by those of reads that no policy is about. Ratios are the worse of those at 1 and at 100.
//   - p99_over_p50_at_70: p99 by p50 of latency at 10 entities in the open loop, at 70% of the closed loop's requests/s.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/bench/report"
	"github.com/headwaterhq/headwater/bench/servers"
	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/localserver"
	"github.com/headwaterhq/headwater/online"
)

// The sizes of a full run: entities at first, and in the end. BENCH_SCALE=small is a tenth, in fewer and shorter rounds.
const (
	fullFew, fullMany = 100_000, 1_000_000
	smallPart         = 10

	fullRounds, smallRounds     = 5, 3
	fullMeasured, smallMeasured = 1500 * time.Millisecond, 500 * time.Millisecond
	warm                        = 250 * time.Millisecond
)

// batches are the entities of one request.
var batches = []int{1, 10, 100, 500}

func main() {
	b := &bench{result: map[string]float64{}, allowed: map[string]float64{}, remarks: map[string]string{}, samples: map[cell][]*sample{}}
	var as, listen, answers string
	var few, many int
	flag.StringVar(&b.program, "headwater", "bin/headwater", "the server's program")
	flag.StringVar(&b.folder, "folder", "", "where the servers keep what they have, to be looked at. Empty: nowhere. It must be new")
	flag.StringVar(&b.only, "only", "", "parts to run, with commas between: closed, governed, open, many, access. Empty: all but access. "+
		"What is measured of parts left out is not in the last line")
	flag.IntVar(&b.rounds, "rounds", 0, "how many times to measure, in turns. 0: as many as the scale has")
	flag.DurationVar(&b.measured, "measured", 0, "how long one measurement takes. 0: as long as the scale has it")
	flag.IntVar(&few, "few", 0, "entities at first. 0: as many as the scale has")
	flag.IntVar(&many, "many", 0, "entities in the end. 0: as many as the scale has")
	flag.IntVar(&b.callers, "callers", 48, "requests under way at once in the closed loop")
	flag.IntVar(&b.connections, "connections", 2, "gRPC connections they are spread over")
	flag.StringVar(&b.profiles, "profile", "", "folder to write profiles of the server to, at 1 and at 100 entities, instead of measuring; with --only access of reads that policies hold for")
	flag.DurationVar(&b.stay, "stay", 0, "how long to leave the servers running at the end, to look at them")
	flag.StringVar(&as, "as", "", "what this process is, for processes that this command starts: echo, bytes or feast")
	flag.StringVar(&listen, "listen", "", "where such a process answers")
	flag.StringVar(&answers, "answers", "", "folder of the answers that the echo gives")
	flag.Parse()
	report.Main("serve", func(ctx context.Context) error {
		if as != "" {
			return serveOther(ctx, as, listen, answers)
		}
		// The client is to be cheap, as the others are.
		debug.SetGCPercent(othersGOGC)
		small, err := report.Small()
		if err != nil {
			return err
		}
		b.few, b.many = fullFew, fullMany
		rounds, measured := fullRounds, fullMeasured
		if small {
			b.few, b.many, rounds, measured = b.few/smallPart, b.many/smallPart, smallRounds, smallMeasured
		}
		for _, given := range []struct{ from, to *int }{{&few, &b.few}, {&many, &b.many}} {
			if *given.from > 0 {
				*given.to = *given.from
			}
		}
		if b.rounds == 0 {
			b.rounds = rounds
		}
		if b.measured == 0 {
			b.measured = measured
		}
		return b.run(ctx)
	})
}

// bench is one run of this command.
type bench struct {
	program, folder, only, profiles string
	stay, measured                  time.Duration
	rounds, callers, connections    int
	few, many                       int

	servers *servers.Servers
	client  *client.Client
	// token is of a principal that may read the services and nothing else.
	token string
	// loaded is how many entities are online.
	loaded int
	// product, echo, bytes, redis and feast are what is asked in turns.
	product, echo, bytes, redis, feast *target
	// closers end what was started for them, the last first.
	closers []func() error
	// samples are what was measured, cells those of them in the order in which they came.
	samples map[cell][]*sample
	cells   []cell
	result  map[string]float64
	// allowed are the ratios that processor time alone would allow, for those of requests/s.
	allowed map[string]float64
	// remarks are on figures that are not what their name says.
	remarks map[string]string
}

func (b *bench) run(ctx context.Context) (err error) {
	began := time.Now()
	config := servers.Config{Program: b.program, Folder: b.folder}
	var scrapes string
	if b.profiles != "" {
		if scrapes, err = servers.FreeAddress(); err != nil {
			return err
		}
		config.Environment = []string{"HEADWATER_METRICS_LISTEN=" + scrapes, "HEADWATER_METRICS_PROFILES=on"}
	}
	if b.servers, err = servers.Start(ctx, config); err != nil {
		return err
	}
	b.closers = append(b.closers, b.servers.Stop)
	defer func() { err = errors.Join(err, b.close()) }()
	if b.client, err = client.Dial(b.servers.Address, b.servers.Token, client.Options{}); err != nil {
		return err
	}
	b.closers = append(b.closers, b.client.Close)
	if err := b.settings(ctx); err != nil {
		return err
	}
	if err := b.apply(ctx); err != nil {
		return err
	}
	if err := b.load(ctx, 0, b.few); err != nil {
		return err
	}
	if err := b.startProduct(ctx); err != nil {
		return err
	}
	if b.profiles != "" {
		if err := b.hold(ctx); err != nil {
			return err
		}
		return b.profile(ctx, scrapes)
	}
	if b.only != "access" {
		if err := b.startOthers(ctx); err != nil {
			return err
		}
	}
	only := b.only
	if only == "" {
		only = "closed,governed,open,many"
	}
	err = report.Run(ctx, only, []report.Part{
		{Name: "closed", Do: b.closed}, {Name: "governed", Do: b.governed}, {Name: "open", Do: b.open}, {Name: "many", Do: b.manyEntities},
		{Name: "access", Do: b.access},
	})
	// What was measured before something failed is worth seeing.
	b.table()
	if err != nil {
		return err
	}
	fmt.Printf("\nall of it took %s\n", time.Since(began).Round(time.Second))
	report.Stay(ctx, b.stay, b.servers.Postgres.URL(), b.servers.Address)
	return json.NewEncoder(os.Stdout).Encode(b.result)
}

func (b *bench) close() (err error) {
	for i := len(b.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, b.closers[i]())
	}
	b.closers = nil
	return err
}

// startProduct connects to the product's server, and to the Redis that it has.
func (b *bench) startProduct(ctx context.Context) error {
	client, err := online.Open(ctx, b.servers.Redis.URL(), online.Options{})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, client.Close)
	pid, err := redisPID(ctx, client)
	if err != nil {
		return err
	}
	if n, err := client.DBSize(ctx).Result(); err != nil || n != int64(b.loaded) {
		return errors.Join(err, fmt.Errorf("found %d keys in Redis, expected %d", n, b.loaded))
	}
	floor, err := newRedisFloor(ctx, client)
	if err != nil {
		return err
	}
	b.redis = &target{name: "Redis floor", ask: floor.ask, redis: pid}
	b.product, err = b.targetOf("headwater", b.servers.Address, serviceName, b.token, b.servers.PID(), nil)
	if err != nil {
		return err
	}
	b.product.redis = pid
	return nil
}

// targetOf connects to a server of the contract.
func (b *bench) targetOf(name, address, service, token string, pid int, lengths map[int]int) (*target, error) {
	connections, err := dial(address, b.connections)
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, connections.close)
	return &target{
		name: name, ask: connections.ask(service, token, lengths), server: pid,
		endpoint: endpoint{address: address, service: service, token: token, connections: b.connections, lengths: lengths},
	}, nil
}

// startOthers starts the echo, with answers of the product, and the server of Feast's layout, with a Redis of its own.
func (b *bench) startOthers(ctx context.Context) error {
	lengths, err := b.recordAnswers(ctx)
	if err != nil {
		return err
	}
	for _, echo := range []struct {
		as, name string
		to       **target
	}{{asEcho, "gRPC echo", &b.echo}, {asBytes, "echo of bytes", &b.bytes}} {
		p, err := b.startOther(ctx, echo.as)
		if err != nil {
			return err
		}
		b.closers = append(b.closers, p.Stop)
		if *echo.to, err = b.targetOf(echo.name, p.Address, serviceName, b.token, p.PID(), lengths); err != nil {
			return err
		}
	}
	redis, err := localserver.StartRedis(ctx, localserver.RedisConfig{Dir: filepath.Join(b.servers.Folder, "feast-redis")})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, redis.Stop)
	client, err := online.Open(ctx, redis.URL(), online.Options{})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, client.Close)
	began := time.Now()
	if err := fillFeast(ctx, client, b.few); err != nil {
		return err
	}
	fmt.Printf("entities 0 to %d in Feast's layout after %.1f s\n\n", b.few-1, time.Since(began).Seconds())
	feast, err := b.startOther(ctx, asFeast, othersRedis+"="+redis.URL())
	if err != nil {
		return err
	}
	b.closers = append(b.closers, feast.Stop)
	if b.feast, err = b.targetOf("Feast's layout", feast.Address, serviceName, b.token, feast.PID(), nil); err != nil {
		return err
	}
	b.feast.redis, err = redisPID(ctx, client)
	return err
}

// recordAnswers writes an answer of the product for each size of request, and says how long they are.
func (b *bench) recordAnswers(ctx context.Context) (lengths map[int]int, err error) {
	if err := os.MkdirAll(b.answers(), 0o700); err != nil {
		return nil, err
	}
	lengths = map[int]int{}
	for _, batch := range batches {
		a, ok := b.product.ask(0, batch).(*grpcAsker)
		if !ok {
			return nil, fmt.Errorf("no request of %d entities can be made", batch)
		}
		entities := make([]int, batch)
		for i := range entities {
			entities[i] = (i*7 + 1) % b.loaded
		}
		if err := a.call(ctx, entities, true); err != nil {
			return nil, err
		}
		if err := a.check(entities); err != nil {
			return nil, err
		}
		answer := &headwaterv1.GetFeaturesResponse{}
		if err := proto.Unmarshal(a.answer.bytes, answer); err != nil {
			return nil, err
		}
		lengths[batch] = len(a.answer.bytes)
		file := filepath.Join(b.answers(), fmt.Sprintf("%d.answer", len(a.request.bytes)))
		if err := os.WriteFile(file, a.answer.bytes, 0o600); err != nil {
			return nil, err
		}
	}
	return lengths, nil
}
