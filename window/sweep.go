package window

import (
	"fmt"
	"math"

	"github.com/headwaterhq/headwater/feature"
)

// sweep walks the grid over the rows of one entity after another.
type sweep struct {
	plan   *Plan
	within Range
	entity *entity
	groups []groupState
	// values are the outputs at the point that the sweep has reached, before those at the point that was told last.
	values, before []feature.Value
	emit           func(key string, at feature.Time, values []feature.Value) error
}

func newSweep(p *Plan, within Range, emit func(key string, at feature.Time, values []feature.Value) error) *sweep {
	return &sweep{
		plan: p, within: within, entity: newEntity(p), groups: newStates(p),
		values: make([]feature.Value, len(p.outputs)), before: make([]feature.Value, len(p.outputs)), emit: emit,
	}
}

const never = feature.Time(math.MaxInt64)

// run emits a row for each point of the range at which a value of the entity changes.
func (s *sweep) run() error {
	e := s.entity
	for i := range s.groups {
		s.groups[i].reset(e)
	}
	first := s.within.Start.Add(s.plan.Hop)
	entered := 0
	told := false
	// tell is called before what happens after the range's start is applied, once: it makes the values at the start those
	// that changes are told from.
	tell := func() error {
		told = true
		return s.compute(s.within.Start, s.before)
	}
	begin := func(at feature.Time) error {
		told = true
		if err := s.compute(at, s.before); err != nil {
			return err
		}
		if s.isEmpty() {
			return nil
		}
		return s.emit(e.key, at, s.before)
	}
	for {
		at := s.next(entered)
		if !told && at > s.within.Start {
			switch {
			case !s.within.Begins:
				if err := tell(); err != nil {
					return err
				}
			case at > first && first <= s.within.End:
				if err := begin(first); err != nil {
					return err
				}
			}
		}
		if at > s.within.End {
			return nil
		}
		entered = s.step(at, entered)
		if at <= s.within.Start {
			continue
		}
		if !told {
			if err := begin(at); err != nil {
				return err
			}
			continue
		}
		copy(s.values, s.before)
		if err := s.compute(at, s.values); err != nil {
			return err
		}
		for i := range s.values {
			if !s.values[i].Equal(s.before[i]) {
				if err := s.emit(e.key, at, s.values); err != nil {
					return err
				}
				s.values, s.before = s.before, s.values
				break
			}
		}
	}
}

// row is the position of the n-th row to enter.
func (e *entity) row(n int) uint32 {
	if len(e.order) > 0 {
		return e.order[n]
	}
	return uint32(n)
}

// next is the next point at which a row enters or leaves, or never.
func (s *sweep) next(entered int) feature.Time {
	e := s.entity
	at := never
	if entered < len(e.enters) {
		at = e.enters[e.row(entered)]
	}
	for i := range s.groups {
		g := &s.groups[i]
		for ; g.leaving < len(e.eventTime); g.leaving++ {
			if row := uint32(g.leaving); g.has(e, row) {
				leaves := e.eventTime[row].Add(g.plan.window)
				if leaves < at {
					if leaves = leaves.Ceil(s.plan.Hop); leaves < at {
						at = leaves
					}
				}
				break
			}
		}
	}
	return at
}

// has reports whether the row is ever in the group's window.
func (g *groupState) has(e *entity, row uint32) bool {
	return (g.plan.filter < 0 || e.filters[g.plan.filter][row]) && e.enters[row] < e.eventTime[row].Add(g.plan.window)
}

// step applies what happens at a grid point, and returns how many rows have entered.
func (s *sweep) step(at feature.Time, entered int) int {
	e := s.entity
	for ; entered < len(e.enters); entered++ {
		row := e.row(entered)
		if e.enters[row] > at {
			break
		}
		for i := range s.groups {
			if g := &s.groups[i]; g.has(e, row) {
				g.enter(e, row, false)
			}
		}
	}
	for i := range s.groups {
		g := &s.groups[i]
		for ; g.leaving < len(e.eventTime); g.leaving++ {
			row := uint32(g.leaving)
			if e.eventTime[row].Add(g.plan.window) > at {
				break
			}
			if g.has(e, row) {
				g.enter(e, row, true)
			}
		}
	}
	return entered
}

// compute fills in the outputs of the groups that changed.
func (s *sweep) compute(at feature.Time, values []feature.Value) error {
	for i := range s.groups {
		g := &s.groups[i]
		if !g.changed {
			continue
		}
		g.changed = false
		for _, o := range g.plan.outputs {
			v, err := g.value(s.entity, &s.plan.outputs[o])
			if err != nil {
				return &Refusal{fmt.Errorf("entity %s at %s: %w", s.entity.key, at, err)}
			}
			values[o] = v
		}
	}
	return nil
}

// isEmpty reports whether no row is in any window.
func (s *sweep) isEmpty() bool {
	for i := range s.groups {
		if s.groups[i].rows > 0 {
			return false
		}
	}
	return true
}
