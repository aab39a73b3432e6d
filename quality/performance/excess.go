package performance

import (
	"math"
)

// Point is one prediction with a known outcome: in which span of time it was, and how wrong.
type Point struct {
	Span int64
	Loss float64
}

// Excess is by how much the predictions of a slice were more wrong than the rest at the same time.
type Excess struct {
	// In and Out are how many of the slice and of the rest were in spans that have both.
	In, Out int64
	// Value is the mean difference of losses within spans, and SE what chance makes of it if the slice is like the rest.
	Value, SE float64
}

// ExcessOf compares points that are in a slice, by their positions, with all others, span by span. The difference has the variance that drawing as many at random from
// each span has, so that for losses of 0 and 1 it is the test of Cochran, Mantel and Haenszel (1959) without correction, and for others that of mean scores.
func ExcessOf(points []Point, in []int) Excess {
	type span struct {
		n, nIn              float64
		sum, sumIn, squares float64
	}
	spans := map[int64]*span{}
	var order []int64
	for _, p := range points {
		s := spans[p.Span]
		if s == nil {
			s = &span{}
			spans[p.Span], order = s, append(order, p.Span)
		}
		s.n++
		s.sum += p.Loss
	}
	for _, p := range points {
		s := spans[p.Span]
		d := p.Loss - s.sum/s.n
		s.squares += d * d
	}
	for _, i := range in {
		s := spans[points[i].Span]
		s.nIn++
		s.sumIn += points[i].Loss
	}
	var e Excess
	var weight, total, variance float64
	for _, at := range order {
		s := spans[at]
		out := s.n - s.nIn
		if s.nIn == 0 || out == 0 {
			continue
		}
		e.In += int64(s.nIn)
		e.Out += int64(out)
		weight += s.nIn * out / s.n
		total += s.sumIn - s.nIn*s.sum/s.n
		variance += s.nIn * out / s.n * s.squares / (s.n - 1)
	}
	if weight > 0 {
		e.Value, e.SE = total/weight, math.Sqrt(variance)/weight
	}
	return e
}

// Less is the excess beyond another, which was usual before.
func (e Excess) Less(usual Excess) Excess {
	e.Value -= usual.Value
	e.SE = math.Hypot(e.SE, usual.SE)
	return e
}

// Chance is that of an excess as large if the slice is like the rest: one-sided, normal.
func (e Excess) Chance() float64 {
	switch {
	case e.Value <= 0:
		return 1
	case e.SE == 0:
		return 0
	}
	return above(e.Value / e.SE)
}
