package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"
)

// endpoint is a server of the contract, for who speaks to it by connections of its own.
type endpoint struct {
	address, service, token string
	connections             int
	// lengths are of the answers by number of entities, where they are known, and not looked into.
	lengths map[int]int
}

// open sends requests at equal distances of time, whether or not those before have their answers. Latency is from when a
// request was to be sent: also where too many were under way, or this process came too late, it is as long as who wanted it
// waited.
func (l load) open(ctx context.Context, t *target) (*sample, error) {
	release, _ := awake()
	defer release()
	// What ends a connection ends the others.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e := t.endpoint
	request, err := newRequest(e.service, l.batch)
	if err != nil {
		return nil, err
	}
	underWay := make(chan struct{}, l.callers)
	var wires []*wire
	var all sync.WaitGroup
	defer all.Wait()
	for range e.connections {
		w, err := dialWire(ctx, e.address, e.token, e.lengths[l.batch], func() { <-underWay })
		if err != nil {
			return nil, err
		}
		wires = append(wires, w)
		defer w.close()
		all.Go(func() {
			if err := w.read(); err != nil {
				cancel(err)
			}
		})
	}
	runtime.GC()
	s := &sample{entities: l.batch}
	p := &pace{load: l, wires: wires, request: request, underWay: underWay, began: time.Now(), random: rand.New(rand.NewPCG(0, uint64(l.batch)))}
	err = p.send(ctx, l.warm)
	if err == nil {
		err = t.times(s, func() error { return p.send(ctx, l.warm+l.measured) })
	}
	s.took = l.measured
	// All have their answers when nobody is under way any more.
	for i := 0; err == nil && i < l.callers; i++ {
		err = p.enter(ctx)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, err
	}
	for _, w := range wires {
		w.close()
	}
	all.Wait()
	var latencies []time.Duration
	for _, w := range wires {
		latencies = append(latencies, w.latencies...)
		if w.kept == nil || w.want > 0 {
			// The bytes are those of an answer to another request, which was looked into.
			continue
		}
		if err := checkBytes(w.kept.answer[messagePrefix:], w.kept.entities, nil); err != nil {
			return nil, err
		}
	}
	if len(latencies) == 0 {
		return nil, fmt.Errorf("found no request that was to be sent within %s", l.measured)
	}
	s.of(latencies)
	return s, nil
}

// pace sends when it is time.
type pace struct {
	load    load
	wires   []*wire
	request *request
	// underWay has an element for each request that has no answer yet.
	underWay chan struct{}
	began    time.Time
	random   *rand.Rand
	sent     int
}

// enter waits until one more may be under way.
func (p *pace) enter(ctx context.Context) error {
	select {
	case p.underWay <- struct{}{}:
		return nil
	default:
	}
	// Those that were put aside are what it waits for.
	if err := p.flush(); err != nil {
		return err
	}
	select {
	case p.underWay <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pace) flush() error {
	for _, w := range p.wires {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return nil
}

// due is when the next request is to be sent.
func (p *pace) due() time.Time {
	return p.began.Add(time.Duration(float64(p.sent) / p.load.rate * float64(time.Second)))
}

// send sends what is due until so long after the beginning. Those that are late go together.
func (p *pace) send(ctx context.Context, until time.Duration) error {
	from, end := p.began.Add(p.load.warm), p.began.Add(until)
	entities := make([]int, p.load.batch)
	for {
		due := p.due()
		if !due.Before(end) {
			return nil
		}
		sleepUntil(due)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for now := time.Now(); due.Before(end) && !due.After(now); due = p.due() {
			if err := p.enter(ctx); err != nil {
				return err
			}
			for i := range entities {
				entities[i] = p.random.IntN(p.load.among)
			}
			p.request.of(entities)
			a := &asked{due: due, counts: !due.Before(from)}
			w := p.wires[p.sent%len(p.wires)]
			if a.counts && !w.keeps {
				w.keeps, a.entities = true, slices.Clone(entities)
			}
			if err := w.add(p.request.bytes, a); err != nil {
				return err
			}
			p.sent++
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
}
