// Command quality measures what profiles take of runs: two servers of its own, alike but that one keeps no profiles, are sent the same loads, and each
// run takes one. They take turns, so that what else the machine does weighs on both.
//
//	bench-quality --headwater bin/headwater
//
// The last line is JSON. profile_overhead is the time of the runs with profiles divided by that of those without, less one: the median of the pairs. It is to be
// at most 0.25. Times are from the records of runs, from when they began to when they were published.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/bench/report"
	"github.com/headwaterhq/headwater/bench/servers"
	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

const definitions = `
entities:
  - name: card
    join_keys: [{name: card, type: string}]
sources:
  - name: payments
    columns:
      - {name: card, type: string}
      - {name: at, type: timestamp}
      - {name: amount, type: float64}
      - {name: items, type: int64}
      - {name: shop, type: string}
      - {name: distance, type: float64}
      - {name: region, type: string}
    event_time: at
    landing: {}
feature_views:
  - name: payments_as_they_are
    entity: card
    features:
      - {name: amount, type: float64}
      - {name: items, type: int64}
      - {name: shop, type: string}
      - {name: distance, type: float64}
    attributes:
      - {name: region, type: string}
    sql:
      sources: [payments]
      query: SELECT card, event_time, available_at, amount, items, shop, distance, region FROM payments
`

// pairs is how many loads there are, the first of which is not measured.
const (
	pairs     = 8
	fullRows  = 1_000_000
	smallRows = 100_000
)

func main() {
	program := flag.String("headwater", "bin/headwater", "the server's program")
	flag.Parse()
	report.Main("quality", func(ctx context.Context) error {
		small, err := report.Small()
		if err != nil {
			return err
		}
		rows := fullRows
		if small {
			rows = smallRows
		}
		return run(ctx, *program, rows)
	})
}

// side is a server with its client.
type side struct {
	name    string
	servers *servers.Servers
	client  *client.Client
}

func start(ctx context.Context, program, name string, environment ...string) (*side, error) {
	s, err := servers.Start(ctx, servers.Config{Program: program, Environment: environment})
	if err != nil {
		return nil, err
	}
	c, err := client.Dial(s.Address, s.Token, client.Options{})
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.Apply(ctx, c, definitions); err != nil {
		return nil, errors.Join(err, c.Close(), s.Stop())
	}
	return &side{name: name, servers: s, client: c}, nil
}

func (s *side) stop() error { return errors.Join(s.client.Close(), s.servers.Stop()) }

// load sends a load and has a run take it.
func (s *side) load(ctx context.Context, n, rows int) (time.Duration, error) {
	name := fmt.Sprint("payments", n)
	sum := sha256.Sum256([]byte(name))
	if _, err := s.client.Ingest(ctx, "payments", &headwaterv1.IngestHeader{FileName: name, FileSha256: hex.EncodeToString(sum[:])}, payments(n, rows)); err != nil {
		return 0, err
	}
	begun, err := s.client.Materialization.Materialize(ctx, &headwaterv1.MaterializeRequest{Views: []string{"payments_as_they_are"}})
	if err != nil {
		return 0, err
	}
	r, err := s.client.WatchRun(ctx, begun.GetRuns()[0].GetId(), nil)
	if err != nil {
		return 0, err
	}
	if r.GetLedger().GetInserted() != int64(rows) {
		return 0, fmt.Errorf("run %d of the server %s inserted %d rows, expected %d: %s", r.GetId(), s.name, r.GetLedger().GetInserted(), rows, r.GetError())
	}
	return r.GetEndedAt().AsTime().Sub(r.GetStartedAt().AsTime()), nil
}

func run(ctx context.Context, program string, rows int) (err error) {
	with, err := start(ctx, program, "with profiles")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, with.stop()) }()
	without, err := start(ctx, program, "without profiles", "HEADWATER_PROFILES=off")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, without.stop()) }()
	fmt.Printf("runs of %d rows with five columns of values, on two servers in turn\n\n%10s %12s %12s\n", rows, "seconds", "with", "without")
	var ratios []float64
	for n := range pairs {
		var took [2]time.Duration
		order := []int{0, 1}
		if n%2 == 1 {
			order = []int{1, 0}
		}
		for _, i := range order {
			if took[i], err = []*side{with, without}[i].load(ctx, n, rows); err != nil {
				return err
			}
		}
		fmt.Printf("%10d %12.2f %12.2f\n", n, took[0].Seconds(), took[1].Seconds())
		if n > 0 {
			ratios = append(ratios, took[0].Seconds()/took[1].Seconds())
		}
	}
	p, err := with.client.Quality.GetProfile(ctx, &headwaterv1.GetProfileRequest{Node: fmt.Sprintf("run:payments_as_they_are@1/%d", pairs)})
	if err != nil {
		return err
	}
	if n := p.GetProfile().GetRows(); n != int64(rows) {
		return fmt.Errorf("found a profile of %d rows, expected %d", n, rows)
	}
	slices.Sort(ratios)
	overhead := report.Round(ratios[len(ratios)/2] - 1)
	fmt.Printf("\nprofiles take %.2f of a run without (0.25 or less)\n", overhead)
	line, err := json.Marshal(map[string]float64{"profile_overhead": overhead})
	if err == nil {
		fmt.Println(string(line))
	}
	return err
}

// payments are the rows of one load.
func payments(load, rows int) client.Rows {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "card", Type: arrow.BinaryTypes.String}, {Name: "at", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}},
		{Name: "amount", Type: arrow.PrimitiveTypes.Float64}, {Name: "items", Type: arrow.PrimitiveTypes.Int64}, {Name: "shop", Type: arrow.BinaryTypes.String},
		{Name: "distance", Type: arrow.PrimitiveTypes.Float64}, {Name: "region", Type: arrow.BinaryTypes.String},
	}, nil)
	return client.Rows{Schema: schema, Batches: func(yield func(arrow.RecordBatch, error) bool) {
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer b.Release()
		r := rand.New(rand.NewPCG(uint64(load), 1))
		at := time.Date(2024, 1, 1+load, 0, 0, 0, 0, time.UTC).UnixMicro()
		for i := range rows {
			b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("card%07d", i))
			b.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(at + int64(i)*80_000))
			if r.IntN(20) == 0 {
				b.Field(2).(*array.Float64Builder).AppendNull()
			} else {
				b.Field(2).(*array.Float64Builder).Append(float64(r.IntN(100_000)) / 100)
			}
			b.Field(3).(*array.Int64Builder).Append(int64(r.IntN(50)))
			b.Field(4).(*array.StringBuilder).Append(fmt.Sprintf("shop%04d", r.IntN(5000)))
			b.Field(5).(*array.Float64Builder).Append(r.Float64() * 1000)
			b.Field(6).(*array.StringBuilder).Append(fmt.Sprintf("region%d", r.IntN(12)))
			if (i+1)%10_000 != 0 && i+1 < rows {
				continue
			}
			batch := b.NewRecordBatch()
			more := yield(batch, nil)
			batch.Release()
			if !more {
				return
			}
		}
	}}
}
