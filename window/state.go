package window

import (
	"fmt"
	"math"

	"github.com/headwaterhq/headwater/feature"
)

// groupState is the rows that are in one group's window, as the sweep of one entity has it.
type groupState struct {
	plan  *group
	rows  int64
	cells []cellState
	// leaving is the position of the next row to leave.
	leaving int
	// changed says that rows came or went since the outputs were computed.
	changed bool
}

// cellState is what is kept of one column's values in one group.
type cellState struct {
	plan *cellPlan
	typ  feature.Type
	// n counts values that are not NULL.
	n int64

	floats, squares *exact
	integers        integers
	min, max, first queue
	// last is the position of the last row, while n is not 0.
	last uint32
	// distinct counts values by their number; different is how many numbers have a count.
	distinct  []int32
	different int64
	sketches  []tree
}

func newStates(p *Plan) []groupState {
	states := make([]groupState, len(p.groups))
	for i := range p.groups {
		g := &p.groups[i]
		states[i] = groupState{plan: g, cells: make([]cellState, len(g.cells))}
		for j := range g.cells {
			c := &states[i].cells[j]
			c.plan, c.typ = &g.cells[j], p.Columns[g.cells[j].column].Type
			if c.typ == feature.TypeFloat64 {
				if c.plan.sum {
					c.floats = newSum()
				}
				if c.plan.squares {
					c.squares = newSquares()
				}
			}
			c.sketches = make([]tree, len(c.plan.sketches))
		}
	}
	return states
}

// reset empties the group for the rows of another entity.
func (g *groupState) reset(e *entity) {
	g.rows, g.leaving, g.changed = 0, 0, true
	for i := range g.cells {
		c := &g.cells[i]
		col := &e.columns[c.plan.column]
		c.n, c.integers, c.different = 0, integers{}, 0
		if c.floats != nil {
			c.floats.reset()
		}
		if c.squares != nil {
			c.squares.reset()
		}
		c.min.reset(col.codes)
		c.max.reset(col.inverse)
		c.first.reset(col.ranks)
		if c.plan.set {
			c.distinct = append(c.distinct[:0], make([]int32, col.distinct)...)
		}
		for s, r := range c.plan.sketches {
			c.sketches[s].reset(len(col.sketchOf(r).buckets))
		}
	}
}

// enter adds the row at a position, or with take takes it away.
func (g *groupState) enter(e *entity, row uint32, take bool) {
	by := sign(take)
	g.rows += by
	g.changed = true
	for i := range g.cells {
		c := &g.cells[i]
		col := &e.columns[c.plan.column]
		if col.null[row] {
			continue
		}
		c.n += by
		code := col.codes[row]
		if c.plan.sum {
			switch {
			case c.floats == nil:
				c.integers.add(intOf(code), take)
				if c.plan.squares {
					c.integers.addSquare(intOf(code), take)
				}
			default:
				f := floatOf(code)
				c.floats.add(f, take)
				if c.squares != nil {
					c.squares.addSquare(f, take)
				}
			}
		}
		if c.plan.min {
			c.min.step(row, take)
		}
		if c.plan.max {
			c.max.step(row, take)
		}
		if c.plan.first {
			c.first.step(row, take)
		}
		if c.plan.last && !take && (c.n == 1 || col.ranks[row] > col.ranks[c.last]) {
			c.last = row
		}
		if c.plan.set {
			at := &c.distinct[col.numbers[row]]
			if *at == 0 {
				c.different++
			}
			if *at += int32(by); *at == 0 {
				c.different--
			}
		}
		for s, r := range c.plan.sketches {
			c.sketches[s].add(col.sketchOf(r).of[row], int32(by))
		}
	}
}

func (q *queue) step(row uint32, take bool) {
	if take {
		q.leave(row)
	} else {
		q.add(row)
	}
}

// value is an output of the group. An error is that of a sum that its type does not hold.
func (g *groupState) value(e *entity, out *output) (feature.Value, error) {
	if out.cell < 0 {
		return feature.Int64(g.rows), nil
	}
	c := &g.cells[out.cell]
	col := &e.columns[c.plan.column]
	switch out.function {
	case feature.Count:
		return feature.Int64(c.n), nil
	case feature.CountDistinct:
		return feature.Int64(c.different), nil
	}
	if c.n == 0 {
		return feature.Null(), nil
	}
	switch out.function {
	case feature.Sum:
		if c.floats != nil {
			return feature.Float64(c.floats.over(1)), nil
		}
		n, ok := c.integers.int64()
		if !ok {
			sum, _ := c.integers.big()
			return feature.Null(), fmt.Errorf("feature %s: found a sum of %s, which int64 does not hold; declare float64 and sum a "+
				"float64 column, or narrow the window or its where", out.name, sum)
		}
		return feature.Int64(n), nil
	case feature.Mean:
		if c.floats != nil {
			return feature.Float64(c.floats.over(c.n)), nil
		}
		return feature.Float64(c.integers.over(c.n)), nil
	case feature.Stddev:
		return c.stddev(), nil
	case feature.Min:
		return col.value(c.min.first()), nil
	case feature.Max:
		return col.value(c.max.first()), nil
	case feature.First:
		return col.value(c.first.first()), nil
	case feature.Last:
		return col.value(c.last), nil
	}
	// The rank that the quantile falls on, as DDSketch has it.
	k := int64(math.Floor(float64(out.quantile * float64(c.n-1))))
	sk := col.sketchOf(c.plan.sketches[out.sketch])
	return feature.Float64(middle(sk.buckets[c.sketches[out.sketch].find(k)], sk.bits)), nil
}

func (c *cellState) stddev() feature.Value {
	if c.n < 2 {
		return feature.Null()
	}
	if c.floats == nil {
		sum, squares := c.integers.big()
		return feature.Float64(deviation(c.n, sum, 0, squares, 0, one))
	}
	if _, ok := c.floats.notFinite(); ok {
		return feature.Float64(math.NaN())
	}
	sum, exp := c.floats.big()
	squares, exp2 := c.squares.big()
	return feature.Float64(deviation(c.n, sum, exp, squares, exp2, one))
}
