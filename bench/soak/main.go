// Command soak has a server of its own answer online reads for a long while, with loads and runs beside them, and says at the end
// whether it holds:
//
//	bench-soak --headwater bin/headwater --for 30m
//
// It starts a Postgres, a Redis and `headwater serve` as a process, and puts customers online. Callers then read batches of them at a fixed
// rate; beside them a part of the customers gets new values every few seconds, by a load and a run, and all of them are computed again
// once in a while. Each row carries its generation and a sum of it and its customer, so that every answer can be held to what was loaded: a
// value that belongs to another customer or to two generations, one that nobody has loaded yet, and one older than what an earlier read of
// the same customer saw are wrong.
//
// The server's memory and goroutines are sampled throughout. It holds when no value was wrong, no read failed, and the second half of the
// time took no more memory and goroutines than the first did, but for what is allowed below. The last line is JSON; the exit status is
// 1 where it does not hold.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/bench/report"
	"github.com/headwaterhq/headwater/bench/servers"
	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

const (
	customers  = 20_000
	batch      = 20
	callers    = 8
	loadEvery  = 5 * time.Second
	loadedPart = 10
	// fullEvery is after how many loads all customers are computed again.
	fullEvery   = 24
	sampleEvery = 2 * time.Second

	// What the second half may take more than the first: a share, and MiB or goroutines beyond it.
	moreMemory, roomMemory = 1.15, 32
	// smallMemory is what a server may take in any case, in MiB: a heap below 256 MiB is collected seldom, and so grows to that.
	smallMemory                    = 384
	moreGoroutines, roomGoroutines = 1.2, 50
)

const definitions = `entities:
  - name: customer
    join_keys: [{name: customer, type: int64}]
sources:
  - name: states
    columns:
      - {name: customer, type: int64}
      - {name: at, type: timestamp}
      - {name: generation, type: int64}
      - {name: total, type: int64}
    event_time: at
    landing: {}
feature_views:
  - name: state
    entity: customer
    features: [{name: generation, type: int64}, {name: total, type: int64}]
    sql:
      sources: [states]
      query: |
        SELECT customer, event_time, available_at, generation, total FROM states
        WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}
feature_services:
  - {name: states, views: [{view: state}], log: sample 0.01}
`

// total is what a row carries to be known by.
func total(customer, generation int64) int64 { return customer*1_000_003 + generation*7 }

func main() {
	s := &soak{}
	flag.StringVar(&s.program, "headwater", "bin/headwater", "the server's program")
	flag.DurationVar(&s.length, "for", 30*time.Minute, "how long")
	flag.IntVar(&s.rate, "rate", 500, "reads per second")
	flag.Parse()
	report.Main("soak", s.run)
}

type soak struct {
	program string
	length  time.Duration
	rate    int

	servers *servers.Servers
	client  *client.Client
	metrics string

	// loaded is the newest generation that a load was begun of. seen[c] is the newest of customer c that a read has returned.
	loaded              atomic.Int64
	seen                []atomic.Int64
	reads, failed, runs atomic.Int64
	mu                  sync.Mutex
	wrong               []string
	failures            map[string]int
	memory, goroutines  []float64
}

func (s *soak) run(ctx context.Context) (err error) {
	if s.metrics, err = servers.FreeAddress(); err != nil {
		return err
	}
	s.servers, err = servers.Start(ctx, servers.Config{Program: s.program, Environment: []string{"HEADWATER_METRICS_LISTEN=" + s.metrics}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.servers.Stop()) }()
	if s.client, err = client.Dial(s.servers.Address, s.servers.Token, client.Options{}); err != nil {
		return err
	}
	defer s.client.Close()
	s.seen, s.failures = make([]atomic.Int64, customers), map[string]int{}
	if err := s.apply(ctx); err != nil {
		return err
	}
	if err := s.load(ctx, 0, customers, false); err != nil {
		return err
	}
	fmt.Printf("%d customers are online; %d reads/s of %d of them for %s, a load and a run every %s\n", customers, s.rate, batch, s.length, loadEvery)
	until, cancel := context.WithTimeout(ctx, s.length)
	defer cancel()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() { s.read(until) })
	}
	all.Go(func() { s.sample(until) })
	err = s.write(until)
	cancel()
	all.Wait()
	if err != nil {
		return err
	}
	return s.verdict()
}

func (s *soak) apply(ctx context.Context) error {
	return s.servers.Apply(ctx, s.client, definitions)
}

// rows are the next generation of customers from first up to end.
func rows(first, end int, generation int64) client.Rows {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "customer", Type: arrow.PrimitiveTypes.Int64}, {Name: "at", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}},
		{Name: "generation", Type: arrow.PrimitiveTypes.Int64}, {Name: "total", Type: arrow.PrimitiveTypes.Int64},
	}, nil)
	return client.Rows{Schema: schema, Batches: iter.Seq2[arrow.RecordBatch, error](func(yield func(arrow.RecordBatch, error) bool) {
		builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer builder.Release()
		at := arrow.Timestamp(time.Now().UnixMicro())
		for c := first; c < end; c++ {
			builder.Field(0).(*array.Int64Builder).Append(int64(c))
			builder.Field(1).(*array.TimestampBuilder).Append(at)
			builder.Field(2).(*array.Int64Builder).Append(generation)
			builder.Field(3).(*array.Int64Builder).Append(total(int64(c), generation))
		}
		records := builder.NewRecordBatch()
		defer records.Release()
		yield(records, nil)
	})}
}

// load brings a new generation of some customers online, by a load and a run.
func (s *soak) load(ctx context.Context, first, end int, full bool) error {
	generation := s.loaded.Add(1)
	_, err := s.client.Ingest(ctx, "states", &headwaterv1.IngestHeader{
		FileName: "states.arrow", FileSha256: fmt.Sprintf("%064x", generation),
	}, rows(first, end, generation))
	if err != nil {
		return err
	}
	response, err := s.client.Materialization.Materialize(ctx, &headwaterv1.MaterializeRequest{Views: []string{"state"}, Full: full})
	if err != nil {
		return err
	}
	for _, r := range response.GetRuns() {
		r, err := s.client.WatchRun(ctx, r.GetId(), nil)
		if err != nil {
			return err
		}
		if r.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED {
			return fmt.Errorf("run %d is %s, expected it published: %s", r.GetId(), r.GetState(), r.GetError())
		}
		s.runs.Add(1)
	}
	return nil
}

// write loads until the time is over.
func (s *soak) write(ctx context.Context) error {
	const part = customers / loadedPart
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(loadEvery):
		}
		first := n % loadedPart * part
		if err := s.load(context.WithoutCancel(ctx), first, first+part, n%fullEvery == 0); err != nil {
			return err
		}
	}
}

// read asks for customers at this caller's part of the rate.
func (s *soak) read(ctx context.Context) {
	every := time.NewTicker(time.Second * callers / time.Duration(s.rate))
	defer every.Stop()
	asked, before := make([]int64, batch), make([]int64, batch)
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		for i := range asked {
			asked[i] = rand.Int64N(customers)
			before[i] = s.seen[asked[i]].Load()
		}
		// What was begun is ended, also when the time is over.
		answer, err := s.client.Online.GetFeatures(context.WithoutCancel(ctx), &headwaterv1.GetFeaturesRequest{
			Service: "states", Keys: map[string]*headwaterv1.KeyColumn{"customer": {Int64S: asked}},
		})
		if err != nil {
			s.fail(err)
			continue
		}
		s.reads.Add(1)
		s.check(client.NewFeatures(answer), asked, before)
	}
}

func (s *soak) fail(err error) {
	s.failed.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[err.Error()]++
}

// check holds an answer to what was loaded. before is the newest generation of each customer that was seen when the read began.
func (s *soak) check(f *client.Features, asked, before []int64) {
	for i, customer := range asked {
		generation, status, err := f.Int64("state__generation", i)
		sum, _, err2 := f.Int64("state__total", i)
		found := ""
		switch err = errors.Join(err, err2); {
		case err != nil:
			found = err.Error()
		case status != headwaterv1.ValueStatus_VALUE_STATUS_PRESENT:
			found = "status " + status.String()
		case sum != total(customer, generation):
			found = fmt.Sprintf("generation %d with the sum %d, expected %d", generation, sum, total(customer, generation))
		case generation > s.loaded.Load():
			found = fmt.Sprintf("generation %d, which nobody has loaded", generation)
		case generation < before[i]:
			found = fmt.Sprintf("generation %d after %d", generation, before[i])
		}
		if found != "" {
			s.mu.Lock()
			s.wrong = append(s.wrong, fmt.Sprintf("customer %d: found %s", customer, found))
			s.mu.Unlock()
			continue
		}
		for seen := s.seen[customer].Load(); seen < generation && !s.seen[customer].CompareAndSwap(seen, generation); seen = s.seen[customer].Load() {
		}
	}
}

// sample notes the server's memory and goroutines. What cannot be read is left out, and too little of it fails in the end.
func (s *soak) sample(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(sampleEvery):
		}
		memory, err := residentMemory(s.servers.PID())
		goroutines, err2 := gauge(ctx, s.metrics, "go_goroutines")
		if errors.Join(err, err2) != nil {
			continue
		}
		s.memory, s.goroutines = append(s.memory, memory), append(s.goroutines, goroutines)
	}
}

// residentMemory is what a process has in memory, in MiB.
func residentMemory(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("memory is read where there is a /proc: %w", err)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("found %q as the memory of process %d", text, pid)
	}
	pages, err := strconv.ParseFloat(fields[1], 64)
	return pages * float64(os.Getpagesize()) / (1 << 20), err
}

// gauge is a metric without labels, as Prometheus would read it.
func gauge(ctx context.Context, address, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.Join(fmt.Errorf("found no metric %s", name), lines.Err())
}

// halves are medians of the first half of the samples, without what came while the server got warm, a tenth of them, and of the second.
func halves(samples []float64) (first, second float64) {
	warm := samples[len(samples)/10:]
	return report.Median(warm[:len(warm)/2]), report.Median(warm[len(warm)/2:])
}

// verdict prints what was found. An error says what does not hold.
func (s *soak) verdict() error {
	if len(s.memory) < 10 {
		return fmt.Errorf("found %d samples of the server's memory, expected 10 or more; take a longer time", len(s.memory))
	}
	memory1, memory2 := halves(s.memory)
	goroutines1, goroutines2 := halves(s.goroutines)
	var bad []error
	if n := len(s.wrong); n > 0 {
		bad = append(bad, fmt.Errorf("found %d wrong values, such as %s", n, strings.Join(s.wrong[:min(n, 3)], "; ")))
	}
	for _, message := range slices.Sorted(maps.Keys(s.failures)) {
		bad = append(bad, fmt.Errorf("%d reads failed: %s", s.failures[message], message))
	}
	if s.reads.Load() == 0 {
		bad = append(bad, errors.New("found no read that was answered"))
	}
	if memory2 > max(memory1*moreMemory+roomMemory, smallMemory) {
		bad = append(bad, fmt.Errorf("found %.0f MiB of memory in the second half, %.0f in the first", memory2, memory1))
	}
	if goroutines2 > goroutines1*moreGoroutines+roomGoroutines {
		bad = append(bad, fmt.Errorf("found %.0f goroutines in the second half, %.0f in the first", goroutines2, goroutines1))
	}
	if err := errors.Join(bad...); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"minutes": report.Round(s.length.Minutes()), "reads": float64(s.reads.Load()), "runs": float64(s.runs.Load()), "wrong": 0, "failed": 0,
		"memory_mb_first_half": report.Round(memory1), "memory_mb_second_half": report.Round(memory2), "memory_mb_most": report.Round(slices.Max(s.memory)),
		"goroutines_first_half": goroutines1, "goroutines_second_half": goroutines2,
	})
}
