package server

import (
	"container/list"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/headwaterhq/headwater/internal/fault"
)

// admission bounds how many online reads are worked on at once, so that more load than the server can take makes some reads wait
// for a moment and others be refused at once, rather than all of them slow. Whoever may wait does so in the order of coming, and
// only as long as its own deadline leaves time for.
type admission struct {
	// most reads run at once, mostWaiting wait for a place, and none of them longer than patience.
	most, mostWaiting int
	patience          time.Duration

	mu      sync.Mutex
	running int
	waiting list.List
	// pace is about how long it takes until the next place is free while there are some who wait, as they measured. 0: nobody has.
	pace    time.Duration
	refused int64
}

// waiter is an element of admission.waiting.
type waiter struct {
	admitted chan struct{}
	// place is how many had to leave before it, itself counted, when it came.
	place int
	since time.Time
}

const (
	leastRetry = 10 * time.Millisecond
	mostRetry  = time.Second
)

// enter returns when there is a place, which leave gives back, or a RESOURCE_EXHAUSTED fault that says when to try again: where too
// many wait, where the deadline of ctx would pass on the way, or after patience. When ctx ends first, its error.
func (a *admission) enter(ctx context.Context) error {
	a.mu.Lock()
	if a.running < a.most {
		a.running++
		a.mu.Unlock()
		return nil
	}
	w, err := a.line(ctx)
	a.mu.Unlock()
	if err != nil {
		return err
	}
	timer := time.NewTimer(a.patience)
	defer timer.Stop()
	select {
	case <-w.Value.(*waiter).admitted:
		return nil
	case <-ctx.Done():
		if a.giveUp(w) {
			return ctx.Err()
		}
		a.leave()
		return ctx.Err()
	case <-timer.C:
		if !a.giveUp(w) {
			return nil
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.refuse()
	}
}

// line puts a caller at the end of the line, or refuses it. a is locked.
func (a *admission) line(ctx context.Context) (*list.Element, error) {
	place := a.waiting.Len() + 1
	if place > a.mostWaiting {
		return nil, a.refuse()
	}
	now := time.Now()
	if deadline, ok := ctx.Deadline(); ok && now.Add(time.Duration(place)*a.pace).After(deadline) {
		err := a.refuse()
		// Nobody measures the pace while all are refused for it.
		a.pace /= 2
		return nil, err
	}
	return a.waiting.PushBack(&waiter{admitted: make(chan struct{}), place: place, since: now}), nil
}

// giveUp takes a caller out of the line, unless it was admitted meanwhile.
func (a *admission) giveUp(e *list.Element) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-e.Value.(*waiter).admitted:
		return false
	default:
		a.waiting.Remove(e)
		return true
	}
}

// leave gives a place back, to who waits longest.
func (a *admission) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.waiting.Front()
	if e == nil {
		a.running--
		return
	}
	w := a.waiting.Remove(e).(*waiter)
	took := time.Since(w.since) / time.Duration(w.place)
	if a.pace == 0 {
		a.pace = took
	}
	a.pace += (took - a.pace) / 4
	close(w.admitted)
}

// refuse counts a refusal. a is locked. When to try again has some chance in it, so that those who are refused at once do not
// come back at once.
func (a *admission) refuse() error {
	a.refused++
	after := min(max(time.Duration(a.waiting.Len()+1)*a.pace, leastRetry), mostRetry)
	after = (after/2 + rand.N(after)).Round(time.Millisecond)
	return fault.New(fault.ResourceExhausted, "the server works on as many online reads as it takes at once, %d, and others wait; "+
		"try again in %s, and if it goes on, add a server or raise HEADWATER_MAX_READS (max_reads)", a.most, after).Retrying(after)
}

// load is how many reads run and wait now, and how many were refused so far.
func (a *admission) load() (running, waiting int, refused int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.running, a.waiting.Len(), a.refused
}
