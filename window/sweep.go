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
	// recalled is what the history has at the start of a range that does not begin it.
	recalled []feature.Value
	emit     func(key string, at feature.Time, values []feature.Value) error
}

func newSweep(p *Plan, within Range, emit func(key string, at feature.Time, values []feature.Value) error) *sweep {
	return &sweep{
		plan: p, within: within, entity: newEntity(p), groups: newStates(p),
		values: make([]feature.Value, len(p.outputs)), before: make([]feature.Value, len(p.outputs)),
		recalled: make([]feature.Value, len(p.outputs)), emit: emit,
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
	// change emits the values at a point where they are others than those told last.
	change := func(at feature.Time) error {
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
		return nil
	}
	for {
		at := s.next(entered)
		if !told && at > s.within.Start {
			// No group was computed yet, so that whatever is told first is all of the values.
			tell := begin
			if !s.within.Begins {
				told, tell = true, change
				copy(s.before, s.recalled)
			}
			if at > first && first <= s.within.End {
				if err := tell(first); err != nil {
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
		if err := change(at); err != nil {
			return err
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
