package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/bench/servers"
)

// target is what is asked for entities.
type target struct {
	name string
	// ask makes what one caller asks with, for requests of so many entities. Callers are numbered.
	ask func(caller, entities int) asker
	// endpoint is where the open loop sends, by connections of its own.
	endpoint endpoint
	// server, redis and postgres are the processes whose time counts, 0 for none; of Postgres with those of its sessions.
	server, redis, postgres int
}

// asker sends one request at a time.
type asker interface {
	// call asks for entities, whose number is always the same; with keep the answer is kept for check.
	call(ctx context.Context, entities []int, keep bool) error
	// check holds the answer that was kept to what was loaded.
	check(entities []int) error
}

// load is how a target is asked.
type load struct {
	// batch is the entities of one request, among is how many they are taken from, at random.
	batch, among int
	// callers are how many requests are under way at once; in the open loop, at most.
	callers int
	// rate is of requests per second in the open loop; 0 is the closed one, in which each caller sends as soon as it has its
	// answer.
	rate float64
	// warm is before what is measured, in which the same is done.
	warm, measured time.Duration
}

// sample is what one measurement found.
type sample struct {
	requests   int
	took       time.Duration
	p50, p99   time.Duration
	entities   int
	serverTime time.Duration
	redisTime  time.Duration
	clientTime time.Duration
	// postgresTime is of the targets that say which it is.
	postgresTime time.Duration
	// stolen is how long the machine's host gave processors to others that this machine had work for, of clocked: in the open loop that is longer
	// than took where requests are sent late.
	stolen, clocked time.Duration
}

func (s *sample) rate() float64         { return float64(s.requests) / s.took.Seconds() }
func (s *sample) entitiesRate() float64 { return s.rate() * float64(s.entities) }

// each is a time per request, in microseconds.
func (s *sample) each(t time.Duration) float64 {
	return float64(t.Nanoseconds()) / 1000 / float64(max(s.requests, 1))
}

// stolenPercent is of the time of all processors.
func (s *sample) stolenPercent() float64 {
	return 100 * s.stolen.Seconds() / s.clocked.Seconds() / float64(runtime.NumCPU())
}

// allowed is the requests/s for which the processors would suffice, if nobody else had any of them and none ever waited.
func (s *sample) allowed() float64 {
	each := s.each(s.serverTime + s.redisTime + s.clientTime + s.postgresTime)
	return float64(runtime.NumCPU()) * 1e6 / max(each, 0.001)
}

// caller is one of those who ask at once.
type caller struct {
	asker
	random   *rand.Rand
	entities []int
	// kept are the entities whose answer is kept.
	kept      []int
	latencies []time.Duration
}

// once sends a request for random entities. The first one with keep has its answer kept.
func (c *caller) once(ctx context.Context, among int, keep bool) error {
	for i := range c.entities {
		c.entities[i] = c.random.IntN(among)
	}
	keep = keep && c.kept == nil
	if err := c.call(ctx, c.entities, keep); err != nil {
		return err
	}
	if keep {
		c.kept = slices.Clone(c.entities)
	}
	return nil
}

// mostTimes bounds how much longer a measurement takes where fewer requests ended than there are callers.
const mostTimes = 10

const (
	warming int32 = iota
	measuring
	ended
)

// measure asks t for a while. Requests that end while it measures are counted, and one answer of each caller is held to what
// was loaded afterwards; in the open loop those that were to be sent meanwhile are counted, and one answer of each connection is.
func measure(ctx context.Context, t *target, l load) (*sample, error) {
	if l.rate > 0 {
		s, err := l.open(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("%s, %d entities, at %.0f requests/s: %w", t.name, l.batch, l.rate, err)
		}
		return s, nil
	}
	callers := make([]*caller, l.callers)
	for i := range callers {
		callers[i] = &caller{
			asker: t.ask(i, l.batch), random: rand.New(rand.NewPCG(uint64(i), uint64(l.batch))), entities: make([]int, l.batch),
			latencies: make([]time.Duration, 0, 1<<12),
		}
	}
	runtime.GC()
	s := &sample{entities: l.batch}
	if err := l.closed(ctx, t, callers, s); err != nil {
		return nil, fmt.Errorf("%s, %d entities: %w", t.name, l.batch, err)
	}
	var all []time.Duration
	for _, c := range callers {
		all = append(all, c.latencies...)
		if c.kept == nil {
			continue
		}
		if err := c.check(c.kept); err != nil {
			return nil, fmt.Errorf("%s, %d entities: %w", t.name, l.batch, err)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s, %d entities: found no request that ended within %s", t.name, l.batch, l.measured)
	}
	s.of(all)
	return s, nil
}

// of notes what requests took.
func (s *sample) of(latencies []time.Duration) {
	slices.Sort(latencies)
	s.requests, s.p50, s.p99 = len(latencies), latencies[len(latencies)/2], latencies[len(latencies)*99/100]
}

// closed has each caller send its next request when it has the answer of the one before. Latency is from there.
func (l load) closed(ctx context.Context, t *target, callers []*caller, s *sample) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var phase, done atomic.Int32
	var all sync.WaitGroup
	errs := make([]error, len(callers))
	for i, c := range callers {
		all.Go(func() {
			for {
				now := phase.Load()
				if now == ended {
					return
				}
				began := time.Now()
				if errs[i] = c.once(ctx, l.among, now == measuring); errs[i] != nil {
					cancel()
					return
				}
				if phase.Load() == measuring {
					c.latencies = append(c.latencies, time.Since(began))
					done.Add(1)
				}
			}
		})
	}
	err := wait(ctx, l.warm)
	if err == nil {
		err = t.times(s, func() error {
			phase.Store(measuring)
			began := time.Now()
			err := wait(ctx, l.measured)
			// Of large requests on a busy machine there may be few.
			for longest := began.Add(mostTimes * l.measured); err == nil && int(done.Load()) < len(callers) && time.Now().Before(longest); {
				err = wait(ctx, l.measured/10)
			}
			phase.Store(ended)
			s.took = time.Since(began)
			return err
		})
	}
	phase.Store(ended)
	all.Wait()
	return first(append(errs, err))
}

// times notes what of their processors the processes took while something is done, and what the machine did not have of them.
func (t *target) times(s *sample, do func() error) error {
	clocks := []struct {
		read func() (time.Duration, error)
		time *time.Duration
	}{
		{clockOf(t.server, ownTime), &s.serverTime}, {clockOf(t.redis, ownTime), &s.redisTime}, {clockOf(os.Getpid(), ownTime), &s.clientTime},
		{clockOf(t.postgres, servers.FamilyTime), &s.postgresTime}, {servers.StolenTime, &s.stolen},
	}
	for _, c := range clocks {
		before, err := c.read()
		if err != nil {
			return err
		}
		*c.time = -before
	}
	began := time.Now()
	if err := do(); err != nil {
		return err
	}
	s.clocked = time.Since(began)
	for _, c := range clocks {
		after, err := c.read()
		if err != nil {
			return err
		}
		*c.time += after
	}
	return nil
}

// clockOf is a clock of a process, which stands where there is none.
func clockOf(pid int, clock func(pid int) (time.Duration, error)) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		if pid == 0 {
			return 0, nil
		}
		return clock(pid)
	}
}

func ownTime(pid int) (time.Duration, error) { return servers.ProcessTime(pid, false) }

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// first is the first error that is not merely that all callers were stopped because of another.
func first(errs []error) (err error) {
	for _, e := range errs {
		if e != nil && (err == nil || stopped(err)) {
			err = e
		}
	}
	return err
}

func stopped(err error) bool {
	return errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled
}
