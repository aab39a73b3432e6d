package performance

import (
	"math"
)

// Point is one prediction with a known outcome: in which span of time it was, and how wrong.
type Point struct {
	Span int64
	Loss float64
	// Entities are the numbers of those that it is of, each at its place. Predictions of one entity are wrong in like ways, and count as one observation of it. Without any it is
	// independent of all others.
	Entities []int32

	// usual is the part of the loss that its entities had before.
	usual float64
}

const (
	// leastEntities is of how many entities a slice must be, and the rest at the same time: of fewer nothing tells the slice from what they are.
	leastEntities = 5
	// leastExpected is how many losses of 0 and of 1 a slice and the rest must be expected to have, each: of fewer a chance is no more than a guess.
	leastExpected = 5
	// noise is the part of the mean loss below which a difference is one of rounding.
	noise = 1e-9
)

// Excess is by how much the predictions of a slice were more wrong than the rest at the same time.
type Excess struct {
	// In and Out are how many of the slice and of the rest were in spans that have both.
	In, Out int64
	// Value is the mean difference of losses within spans, and SE what chance makes of it if the slice is like the rest.
	Value, SE float64

	// raw is the difference with what was usual of the entities.
	raw float64
	// alone is the error if all are independent, third the third moment of the difference then, and step half of what one loss of 0 or 1 changes.
	alone, third, step float64
	// few says that losses of 0 and 1 are too few to tell, or the entities are.
	few bool
	// chance is that of such a difference if the slice is like the rest.
	chance float64
}

// clusters are the shares that entities have in a difference, by the place of the entity and its number.
type clusters []*shares

type shares struct {
	of []float64
	// sides are where each has predictions: 1 in the rest, 2 in the slice.
	sides []byte
	// rest are the squares of the shares of predictions without an entity there.
	rest float64
	// in and out are how many entities have predictions in the slice and in the rest.
	in, out int
}

// entities is how many bear on a difference: as many as the side has that has fewer.
func (s *shares) entities() int { return min(s.in, s.out) }

// judge is the standard error, robust to likeness within entities (K.-Y. Liang, S. L. Zeger, 1986), for as many as bear on it, and the chance of a difference. Entities of a
// slice are few, and may be like each other by chance: where that makes it greater, the chance is by the variance of all of them.
func (s *shares) judge(value float64) (se, chance float64) {
	var in, rest, nIn, n float64
	for g, u := range s.of {
		switch {
		case s.sides[g] == 0:
		case s.sides[g]&2 != 0:
			nIn, in = nIn+1, in+u*u
		default:
			n, rest = n+1, rest+u*u
		}
	}
	least := s.entities()
	if se = math.Sqrt((in + rest + s.rest) * float64(least) / float64(least-1)); se == 0 {
		return 0, 0
	}
	chance = aboveT(value/se, least-1)
	if s.rest == 0 && nIn > 1 && n > 1 {
		pooled := math.Sqrt((nIn*nIn*in + n*n*rest) / (nIn + n - 2) * (1/nIn + 1/n) * (nIn + n) / (nIn + n - 1))
		se, chance = max(se, pooled), max(chance, aboveT(value/pooled, int(nIn+n)-2))
	}
	return se, chance
}

// ExcessOf compares points that are in a slice, by their positions, with all others, span by span. The difference has the variance that drawing as many at random from
// each span has, so that for losses of 0 and 1 it is the test of Cochran, Mantel and Haenszel (1959), and for others that of mean scores; or, where that is more, the one that
// drawing entities has.
func ExcessOf(points []Point, in []int) Excess {
	e, _ := compare(points, in)
	return e
}

func compare(points []Point, in []int) (Excess, clusters) {
	type span struct {
		n, nIn                               float64
		sum, sumIn, raw, rawIn, twos, threes float64
	}
	spans := map[int64]*span{}
	var order []int64
	at := make([]*span, len(points))
	is := make([]bool, len(points))
	binary := true
	for i, p := range points {
		s := spans[p.Span]
		if s == nil {
			s = &span{}
			spans[p.Span], order = s, append(order, p.Span)
		}
		at[i] = s
		s.n++
		s.sum += p.Loss - p.usual
		s.raw += p.Loss
		binary = binary && (p.Loss == 0 || p.Loss == 1)
	}
	for i, p := range points {
		d := p.Loss - p.usual - at[i].sum/at[i].n
		at[i].twos += d * d
		at[i].threes += d * d * d
	}
	for _, i := range in {
		is[i] = true
		at[i].nIn++
		at[i].sumIn += points[i].Loss - points[i].usual
		at[i].rawIn += points[i].Loss
	}
	var e Excess
	var weight, total, raw, variance, third, mean, wrongIn, wrongOut float64
	for _, when := range order {
		s := spans[when]
		out := s.n - s.nIn
		if s.nIn == 0 || out == 0 {
			continue
		}
		e.In += int64(s.nIn)
		e.Out += int64(out)
		both := s.nIn * out / s.n
		weight += both
		total += s.sumIn - s.nIn*s.sum/s.n
		raw += s.rawIn - s.nIn*s.raw/s.n
		variance += both * s.twos / (s.n - 1)
		if s.n > 2 {
			third += both * (out - s.nIn) * s.threes / ((s.n - 1) * (s.n - 2))
		}
		mean += math.Abs(s.raw)
		wrongIn += s.nIn * s.raw / s.n
		wrongOut += out * s.raw / s.n
	}
	if weight == 0 {
		return e, nil
	}
	e.Value, e.raw, e.alone, e.third = total/weight, raw/weight, math.Sqrt(variance)/weight, third/(weight*weight*weight)
	if math.Abs(e.Value) <= noise*mean/float64(e.In+e.Out) {
		e.Value = 0
	}
	if binary {
		e.step = 0.5 / weight
		e.few = min(wrongIn, wrongOut, float64(e.In)-wrongIn, float64(e.Out)-wrongOut) < leastExpected
	}
	var by clusters
	for i, p := range points {
		s := at[i]
		if s.nIn == 0 || s.nIn == s.n {
			continue
		}
		x, side := -s.nIn/s.n, byte(1)
		if is[i] {
			x, side = x+1, 2
		}
		u := x * (p.Loss - p.usual - s.sum/s.n - e.Value*x) / weight
		for k := range max(len(p.Entities), len(by)) {
			if k == len(by) {
				// Those before it had none there.
				by = append(by, &shares{})
			}
			if k >= len(p.Entities) {
				by[k].rest += u * u
				continue
			}
			g := int(p.Entities[k])
			for g >= len(by[k].of) {
				by[k].of, by[k].sides = append(by[k].of, 0), append(by[k].sides, 0)
			}
			by[k].of[g] += u
			if by[k].sides[g]&side == 0 {
				by[k].sides[g] |= side
				if side == 2 {
					by[k].in++
				} else {
					by[k].out++
				}
			}
		}
	}
	e.judge(by)
	e.few = e.few || len(by) > 0 && !by.tell()
	return e, by
}

// tell reports whether there are enough entities at a place to tell a slice from them.
func (c clusters) tell() bool {
	for _, s := range c {
		if s.entities() >= leastEntities {
			return true
		}
	}
	return false
}

// judge finds error and chance, the greatest of those by each reckoning.
func (e *Excess) judge(by clusters) {
	e.SE = e.alone
	e.chance = 0
	if e.alone > 0 {
		e.chance = above(straight((e.Value-e.step)/e.alone, e.third/(e.alone*e.alone*e.alone)))
	}
	for _, s := range by {
		if s.entities() >= leastEntities {
			se, chance := s.judge(e.Value)
			e.SE, e.chance = max(e.SE, se), max(e.chance, chance)
		}
	}
	if e.Value <= 0 {
		e.chance = 1
	}
}

// less is the excess beyond another, which was usual before. What both have of an entity is taken together: it was as hard before.
func (e Excess) less(by clusters, usual Excess, usually clusters) Excess {
	if e.Value -= usual.Value; math.Abs(e.Value) <= noise*math.Abs(usual.Value) {
		e.Value = 0
	}
	e.alone, e.third = math.Hypot(e.alone, usual.alone), e.third-usual.third
	var both clusters
	for k, s := range by {
		if k >= len(usually) {
			both = append(both, s)
			continue
		}
		u := usually[k]
		t := &shares{of: make([]float64, max(len(s.of), len(u.of))), sides: make([]byte, max(len(s.of), len(u.of))), rest: s.rest + u.rest, in: min(s.in, u.in), out: min(s.out, u.out)}
		copy(t.of, s.of)
		copy(t.sides, s.sides)
		for g, v := range u.of {
			t.of[g] -= v
			t.sides[g] |= u.sides[g]
		}
		both = append(both, t)
	}
	e.judge(both)
	return e
}

// Enough reports whether there is enough of the slice and of the rest to tell.
func (e Excess) Enough() bool { return e.In >= LeastInSlice && e.Out >= LeastInSlice && !e.few }

// Chance is that of an excess as large if the slice is like the rest, one-sided.
func (e Excess) Chance() float64 { return e.chance }

// straight is a standard normal variable for one of a skewed distribution, as of a sum of rare losses, taken for a gamma distribution's (E. B. Wilson, M. M. Hilferty, 1931). One
// that leans to the left is taken for normal, which errs to the safe side.
func straight(z, skewness float64) float64 {
	if skewness < 1e-6 {
		return z
	}
	root := 2 / skewness
	return 3*root*(math.Cbrt(1+z/root)-1) + 1/(3*root)
}

// aboveT is the chance that a variable of Student's distribution is greater than t, by the sums that it has for whole degrees of freedom (M. Abramowitz, I. A. Stegun, 26.7.3).
func aboveT(t float64, freedom int) float64 {
	if t <= 0 {
		return 1
	}
	if freedom > 500 {
		return above(t)
	}
	angle := math.Atan(t / math.Sqrt(float64(freedom)))
	sin, cos := math.Sincos(angle)
	var inside float64
	if freedom%2 == 1 {
		term := cos
		for k := 3; k <= freedom; k += 2 {
			inside += term
			term *= cos * cos * float64(k-1) / float64(k)
		}
		inside = 2 / math.Pi * (angle + sin*inside)
	} else {
		term := 1.0
		for k := 2; k <= freedom; k += 2 {
			inside += term
			term *= cos * cos * float64(k-1) / float64(k)
		}
		inside *= sin
	}
	return max(0, 1-inside) / 2
}

// usualOf gives points, before and since, what was usual of their entities before: the mean of what an entity's losses were beyond others at the same time, drawn to none
// as far as it is told by few predictions.
func usualOf(before, since []Point) {
	type sums struct{ n, loss float64 }
	spans := map[int64]*sums{}
	places := 0
	for _, p := range before {
		s := spans[p.Span]
		if s == nil {
			s = &sums{}
			spans[p.Span] = s
		}
		s.n++
		s.loss += p.Loss
		places = max(places, len(p.Entities))
	}
	for k := range places {
		var of []sums
		var n, squares, counts, groups float64
		for _, p := range before {
			if k >= len(p.Entities) {
				continue
			}
			g := int(p.Entities[k])
			for g >= len(of) {
				of = append(of, sums{})
			}
			d := p.Loss - p.usual - spans[p.Span].loss/spans[p.Span].n
			of[g].n++
			of[g].loss += d
			n++
			squares += d * d
		}
		var between float64
		for _, s := range of {
			if s.n > 0 {
				groups++
				between += s.loss * s.loss / s.n
				counts += s.n * s.n
			}
		}
		if n <= groups || groups < 2 {
			continue
		}
		// The parts of the variance, by the analysis of it.
		within := (squares - between) / (n - groups)
		among := (between/(groups-1) - within) / ((n - counts/n) / (groups - 1))
		if among <= 0 {
			continue
		}
		for _, list := range [][]Point{before, since} {
			for i := range list {
				if k >= len(list[i].Entities) || int(list[i].Entities[k]) >= len(of) {
					continue
				}
				if s := of[list[i].Entities[k]]; s.n > 0 {
					list[i].usual += s.loss / (s.n + within/among)
				}
			}
		}
	}
}
