package drift

import "math"

// shares are counts divided by their sum; of nothing all are 0.
func shares(counts []float64) []float64 {
	var sum float64
	for _, n := range counts {
		sum += n
	}
	list := make([]float64, len(counts))
	if sum > 0 {
		for i, n := range counts {
			list[i] = n / sum
		}
	}
	return list
}

// PSI is the population stability index of counts in the same buckets, in nats: the sum of (q - p) ln(q / p) over their shares p and q. An
// empty bucket counts as half a row of its sample, since the index of a bucket that one of them does not have is infinite. 0 where either
// sample is empty, and where both lack a bucket.
func PSI(baseline, current []float64) float64 {
	n, m := total(baseline), total(current)
	if n == 0 || m == 0 {
		return 0
	}
	var psi float64
	for i := range baseline {
		b, c := baseline[i], current[i]
		if b == 0 && c == 0 {
			continue
		}
		p, q := max(b, 0.5)/n, max(c, 0.5)/m
		psi += (q - p) * math.Log(q/p)
	}
	return psi
}

func total(counts []float64) (sum float64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// JSDivergenceBits is the Jensen-Shannon divergence of counts in the same buckets, in bits: from 0, the same, to 1, nothing in common (J. Lin,
// 1991).
func JSDivergenceBits(a, b []float64) float64 { return jensenShannon(a, b) / math.Ln2 }

// JSDistanceNats is the Jensen-Shannon distance: the square root of the divergence in nats (D. Endres, J. Schindelin, 2003), from 0 to the square
// root of ln 2.
func JSDistanceNats(a, b []float64) float64 { return math.Sqrt(jensenShannon(a, b)) }

func jensenShannon(a, b []float64) float64 {
	p, q := shares(a), shares(b)
	var sum float64
	for i := range p {
		m := (p[i] + q[i]) / 2
		if p[i] > 0 {
			sum += p[i] * math.Log(p[i]/m)
		}
		if q[i] > 0 {
			sum += q[i] * math.Log(q[i]/m)
		}
	}
	// Rounding may leave a little less than nothing.
	return max(sum/2, 0)
}

// LInfinity is the greatest difference of the shares of a bucket.
func LInfinity(a, b []float64) (most float64) {
	p, q := shares(a), shares(b)
	for i := range p {
		most = max(most, math.Abs(p[i]-q[i]))
	}
	return most
}

// ChiSquare is Pearson's statistic of whether counts in the same buckets are of one distribution, with its degrees of freedom and the chance of one as
// great if they are. Buckets that both lack are left out. Of fewer than two buckets, or an empty sample, it says nothing: 0, 0 and 1.
func ChiSquare(a, b []float64) (statistic float64, freedom int, p float64) {
	n, m := total(a), total(b)
	if n == 0 || m == 0 {
		return 0, 0, 1
	}
	buckets := 0
	for i := range a {
		both := a[i] + b[i]
		if both == 0 {
			continue
		}
		buckets++
		for _, s := range [2]struct{ found, of float64 }{{a[i], n}, {b[i], m}} {
			expected := both * s.of / (n + m)
			statistic += (s.found - expected) * (s.found - expected) / expected
		}
	}
	if buckets < 2 {
		return 0, 0, 1
	}
	return statistic, buckets - 1, chiSquareAbove(statistic, buckets-1)
}

// Point is a value with the rows that have it.
type Point struct {
	Value float64
	Rows  float64
}

// cumulate walks two samples by value, ascending: at each, the shares of both up to it, and the step to the next one. Both must be ascending and not empty.
func cumulate(a, b []Point, at func(p, q, step float64)) {
	weigh := func(points []Point) (sum float64) {
		for _, p := range points {
			sum += p.Rows
		}
		return sum
	}
	n, m := weigh(a), weigh(b)
	var p, q float64
	for i, k := 0, 0; i < len(a) || k < len(b); {
		x := math.Inf(1)
		if i < len(a) {
			x = a[i].Value
		}
		if k < len(b) {
			x = min(x, b[k].Value)
		}
		for ; i < len(a) && a[i].Value == x; i++ {
			p += a[i].Rows
		}
		for ; k < len(b) && b[k].Value == x; k++ {
			q += b[k].Rows
		}
		next := math.Inf(1)
		if i < len(a) {
			next = a[i].Value
		}
		if k < len(b) {
			next = min(next, b[k].Value)
		}
		step := next - x
		if math.IsInf(next, 1) {
			step = 0
		}
		at(p/n, q/m, step)
	}
}

// KolmogorovSmirnov is the greatest difference of the shares up to a value. 0 where either sample is empty.
func KolmogorovSmirnov(a, b []Point) (most float64) {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	cumulate(a, b, func(p, q, _ float64) { most = max(most, math.Abs(p-q)) })
	return most
}

// Wasserstein is the first Wasserstein distance, in the unit of the values: how far rows are moved, on the average, to make one sample the other. 0 where either
// sample is empty.
func Wasserstein(a, b []Point) (moved float64) {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	cumulate(a, b, func(p, q, step float64) { moved += math.Abs(p-q) * step })
	return moved
}

// Bin is rows of values from From on and below To.
type Bin struct{ From, To, Rows float64 }

// Align cuts histograms at the edges of both, a bin's rows by width, and returns their counts between these. The bins of each must ascend and not
// overlap.
func Align(a, b []Bin) (countsA, countsB []float64) {
	var edges []float64
	for _, bins := range [2][]Bin{a, b} {
		for _, bin := range bins {
			edges = append(edges, bin.From, bin.To)
		}
	}
	edges = ascending(edges)
	for i := 0; i+1 < len(edges); i++ {
		countsA, countsB = append(countsA, within(a, edges[i], edges[i+1])), append(countsB, within(b, edges[i], edges[i+1]))
	}
	return countsA, countsB
}

func within(bins []Bin, from, to float64) (rows float64) {
	for _, b := range bins {
		if b.From <= from && to <= b.To {
			rows += b.Rows * (to - from) / (b.To - b.From)
		}
	}
	return rows
}
