package window

import "math"

// A quantile is read from counts of buckets. A bucket is all floats with the same sign, exponent and highest bits of the
// mantissa, so that its middle is within a share of each of them, as in DDSketch (Masson, Rim, Lee 2019), and which bucket
// a float is in is a matter of its bits alone: no logarithm, whose last digit differs between machines. Counts can be
// taken from as well as added to. Numbers below the smallest normal one count as zero.

// resolution is the highest bits of the mantissa that a relative error asks for: a bucket is 2^-bits wide relative to its
// start, and its middle at most half of that away.
func resolution(relativeError float64) int {
	bits := 0
	for math.Ldexp(1, -bits-1) > relativeError && bits < 52 {
		bits++
	}
	return bits
}

// bucket is the number of f's bucket; numbers are in the order of the floats in them, NaN last.
func bucket(f float64, bits int) uint64 {
	if math.Abs(f) < 0x1p-1022 {
		f = 0
	}
	return orderedFloat(f) >> (52 - bits)
}

// middle is the float that stands for a bucket.
func middle(bucket uint64, bits int) float64 {
	start := floatOf(bucket << (52 - bits))
	end := floatOf(bucket<<(52-bits) | (1<<(52-bits) - 1))
	// Of a negative bucket the start is the end that is further from zero.
	near, far := start, end
	if math.Signbit(start) {
		near, far = end, start
	}
	b := math.Float64bits(near)
	switch {
	case math.Abs(near) < 0x1p-1022:
		return 0
	case math.IsNaN(near) || math.IsInf(near, 0) || math.IsNaN(far):
		return near
	case bits == 52:
		return near
	}
	return math.Float64frombits(b | 1<<(51-bits))
}

// tree counts buckets, and finds the one that the k-th count falls into (P. Fenwick, 1994).
type tree struct{ counts []int32 }

func (t *tree) reset(n int) {
	if cap(t.counts) < n+1 {
		t.counts = make([]int32, n+1)
		return
	}
	t.counts = t.counts[:n+1]
	clear(t.counts)
}

func (t *tree) add(i uint32, by int32) {
	for at := int(i) + 1; at < len(t.counts); at += at & -at {
		t.counts[at] += by
	}
}

// find is the bucket of the k-th, counted from 0.
func (t *tree) find(k int64) uint32 {
	step := 1
	for step*2 < len(t.counts) {
		step *= 2
	}
	at := 0
	for ; step > 0; step /= 2 {
		if next := at + step; next < len(t.counts) && int64(t.counts[next]) <= k {
			at = next
			k -= int64(t.counts[next])
		}
	}
	return uint32(at)
}
