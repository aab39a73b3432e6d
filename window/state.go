package window

import (
	"fmt"
	"math"
	"math/big"

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

	// Of sums and squares, those of the column's type.
	floats, squares          *exact
	integers                 integers
	decimals, decimalSquares *big.Int
	min, max, first          queue
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
			if c.typ.Kind() == feature.TypeDecimal {
				c.decimals, c.decimalSquares = new(big.Int), new(big.Int)
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
		if c.decimals != nil {
			c.decimals.SetInt64(0)
			c.decimalSquares.SetInt64(0)
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
			c.add(col, code, take)
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

// add adds a value to the sums, or takes it away.
func (c *cellState) add(col *column, code uint64, take bool) {
	switch {
	case c.floats != nil:
		f := floatOf(code)
		c.floats.add(f, take)
		if c.squares != nil {
			c.squares.addSquare(f, take)
		}
	case c.decimals != nil:
		n := col.numbersOf[code]
		square := new(big.Int)
		if c.plan.squares {
			square.Mul(n, n)
		}
		if take {
			c.decimals.Sub(c.decimals, n)
			c.decimalSquares.Sub(c.decimalSquares, square)
		} else {
			c.decimals.Add(c.decimals, n)
			c.decimalSquares.Add(c.decimalSquares, square)
		}
	default:
		c.integers.add(intOf(code), take)
		if c.plan.squares {
			c.integers.addSquare(intOf(code), take)
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
		return c.sum(out)
	case feature.Mean:
		return feature.Float64(c.mean()), nil
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
	f := middle(sk.buckets[c.sketches[out.sketch].find(k)], sk.bits)
	if f != 0 {
		// A bucket's middle may lie beyond all values, such as when they are equal; zero stands for the smallest numbers too.
		if least := col.float(c.min.first()); f < least {
			f = least
		}
		if most := col.float(c.max.first()); f > most {
			f = most
		}
	}
	return feature.Float64(f), nil
}

// sum is the sum of values, of which there are some.
func (c *cellState) sum(out *output) (feature.Value, error) {
	switch {
	case c.floats != nil:
		return feature.Float64(c.floats.over(1)), nil
	case c.decimals != nil:
		n, ok := feature.Int128OfBig(c.decimals)
		if v, err := feature.Decimal(out.typ, n); ok && err == nil {
			return v, nil
		}
		return feature.Null(), fmt.Errorf("feature %s: found a sum of %s, which %s does not hold; narrow the window or its where, or "+
			"sum a column with fewer digits", out.name, new(big.Rat).SetFrac(c.decimals, powerOfTen(c.typ.Scale())).FloatString(c.typ.Scale()), out.typ)
	}
	n, ok := c.integers.int64()
	if !ok {
		sum, _ := c.integers.big()
		return feature.Null(), fmt.Errorf("feature %s: found a sum of %s, which int64 does not hold; narrow the window or its where, or "+
			"sum a float64 or decimal column", out.name, sum)
	}
	return feature.Int64(n), nil
}

// mean is that of values, of which there are some, rounded once.
func (c *cellState) mean() float64 {
	switch {
	case c.floats != nil:
		return c.floats.over(c.n)
	case c.decimals != nil:
		by := powerOfTen(c.typ.Scale())
		f, _ := new(big.Rat).SetFrac(c.decimals, by.Mul(by, big.NewInt(c.n))).Float64()
		return f
	}
	return c.integers.over(c.n)
}

// stddev is that of the sample, NULL of fewer than two values.
func (c *cellState) stddev() feature.Value {
	if c.n < 2 {
		return feature.Null()
	}
	if c.decimals != nil {
		return feature.Float64(deviation(c.n, c.decimals, 0, c.decimalSquares, 0, powerOfTen(c.typ.Scale())))
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
