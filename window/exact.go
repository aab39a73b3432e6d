package window

import (
	"math"
	"math/big"
	"math/bits"
)

// exact is a sum of floats without any rounding, from which floats can be taken again. It is a number of fixed point over
// the whole range of float64 (a small superaccumulator: R. Neal, Fast exact summation using small and large
// superaccumulators, 2015): chunk i counts multiples of 2^(32i - bias). Chunks overlap, so that adding touches three of
// them and carries are left for later.
type exact struct {
	chunks []int64
	bias   int
	// lo and hi bound the chunks that may not be zero; hi < lo: none.
	lo, hi int
	// adds since carries were last propagated.
	adds int
	// NaNs and infinities have no place in a number of fixed point, and are counted.
	nans, positive, negative int64
}

const (
	// floatBias is the exponent of the smallest float64.
	floatBias = 1074
	// sumChunks hold the largest float64 and 64 bits of carry, squareChunks its square.
	sumChunks    = 2046/32 + 6
	squareChunks = 2*2046/32 + 8
	// maxAdds is far from where a chunk could overflow.
	maxAdds = 1 << 28
)

func newSum() *exact { return &exact{chunks: make([]int64, sumChunks), bias: floatBias, hi: -1} }
func newSquares() *exact {
	return &exact{chunks: make([]int64, squareChunks), bias: 2 * floatBias, hi: -1}
}

func (x *exact) reset() {
	if x.hi >= x.lo {
		clear(x.chunks[x.lo : x.hi+1])
	}
	x.lo, x.hi, x.adds = 0, -1, 0
	x.nans, x.positive, x.negative = 0, 0, 0
}

// parts is |f| as m * 2^(e - floatBias), for a finite f.
func parts(f float64) (m uint64, e int) {
	b := math.Float64bits(f)
	m, e = b&(1<<52-1), int(b>>52&0x7ff)
	if e == 0 {
		return m, 0
	}
	return m | 1<<52, e - 1
}

// special counts a NaN or an infinity, by how many.
func (x *exact) special(f float64, by int64) bool {
	switch {
	case f != f:
		x.nans += by
	case f > math.MaxFloat64:
		x.positive += by
	case f < -math.MaxFloat64:
		x.negative += by
	default:
		return false
	}
	return true
}

// add adds f, or takes it away.
func (x *exact) add(f float64, take bool) {
	b := math.Float64bits(f)
	e := int(b >> 52 & 0x7ff)
	if e == 0x7ff {
		x.special(f, sign(take))
		return
	}
	m := b & (1<<52 - 1)
	if e == 0 {
		if m == 0 {
			return
		}
	} else {
		m |= 1 << 52
		e--
	}
	at := e >> 5
	x.reach(at, at+2)
	shift := uint(e & 31)
	low := m << shift
	c := x.chunks[at : at+3 : at+3]
	a0, a1, a2 := int64(low&math.MaxUint32), int64(low>>32), int64(m>>(64-shift))
	if (b>>63 != 0) != take {
		a0, a1, a2 = -a0, -a1, -a2
	}
	c[0] += a0
	c[1] += a1
	c[2] += a2
	if x.adds++; x.adds >= maxAdds {
		x.carry()
	}
}

// addSquare adds f * f, or takes it away.
func (x *exact) addSquare(f float64, take bool) {
	if f != f || f > math.MaxFloat64 || f < -math.MaxFloat64 {
		x.special(f, sign(take))
		return
	}
	m, e := parts(f)
	if m == 0 {
		return
	}
	hi, lo := bits.Mul64(m, m)
	at := 2 * e >> 5
	shift := uint(2 * e & 31)
	x.reach(at, at+4)
	top := hi >> (64 - shift)
	hi, lo = hi<<shift|lo>>(64-shift), lo<<shift
	c := x.chunks[at : at+5 : at+5]
	for i, v := range [5]uint64{lo & math.MaxUint32, lo >> 32, hi & math.MaxUint32, hi >> 32, top} {
		if take {
			c[i] -= int64(v)
		} else {
			c[i] += int64(v)
		}
	}
	if x.adds++; x.adds >= maxAdds {
		x.carry()
	}
}

func sign(take bool) int64 {
	if take {
		return -1
	}
	return 1
}

func (x *exact) reach(lo, hi int) {
	if x.hi < x.lo {
		x.lo, x.hi = lo, hi
		return
	}
	x.lo, x.hi = min(x.lo, lo), max(x.hi, hi)
}

// carry makes every chunk but the highest a digit of 32 bits. The highest has the sign, and is not zero unless all are.
func (x *exact) carry() {
	x.adds = 0
	if x.hi < x.lo {
		return
	}
	var carry int64
	for i := x.lo; i < x.hi; i++ {
		v := x.chunks[i] + carry
		carry = v >> 32
		x.chunks[i] = v & math.MaxUint32
	}
	x.chunks[x.hi] += carry
	for {
		v := x.chunks[x.hi]
		if v > -1<<32 && v < 1<<32 {
			break
		}
		x.chunks[x.hi] = v & math.MaxUint32
		x.hi++
		x.chunks[x.hi] += v >> 32
	}
	for x.hi >= x.lo && x.chunks[x.hi] == 0 {
		x.hi--
	}
	for x.lo < x.hi && x.chunks[x.lo] == 0 {
		x.lo++
	}
}

// magnitude is the finite part: (hi, lo) * 2^exp, with the highest bit set, plus less than one when more is true. zero
// reports that there is nothing.
func (x *exact) magnitude() (negative bool, hi, lo uint64, exp int, more, zero bool) {
	x.carry()
	if x.hi < x.lo {
		return false, 0, 0, 0, false, true
	}
	var scratch [squareChunks]int64
	digits, top := x.chunks, x.hi
	if x.chunks[x.hi] < 0 {
		negative = true
		var borrow int64
		for i := x.lo; i <= x.hi; i++ {
			v := -x.chunks[i] + borrow
			borrow = v >> 32
			scratch[i] = v & math.MaxUint32
		}
		digits = scratch[:]
		for digits[top] == 0 {
			top--
		}
	}
	digit := func(i int) uint64 {
		if i < x.lo {
			return 0
		}
		return uint64(digits[i])
	}
	hi, lo = digit(top)<<32|digit(top-1), digit(top-2)<<32|digit(top-3)
	below := digit(top - 4)
	shift := uint(bits.LeadingZeros64(hi))
	hi = hi<<shift | lo>>(64-shift)
	lo = lo<<shift | below<<32>>(64-shift)
	more = uint32(below<<shift) != 0
	for i := top - 5; i >= x.lo && !more; i-- {
		more = digits[i] != 0
	}
	return negative, hi, lo, 32*(top-3) - x.bias - int(shift), more, false
}

// over is the sum divided by n, rounded once: to nearest, ties to even.
func (x *exact) over(n int64) float64 {
	if f, ok := x.notFinite(); ok {
		return f
	}
	negative, hi, lo, exp, more, zero := x.magnitude()
	if zero {
		return 0
	}
	if n > 1 {
		return quotient(negative, hi, lo, exp, more, uint64(n))
	}
	return round(negative, hi, lo, exp, more)
}

// notFinite is what NaNs and infinities make of a sum.
func (x *exact) notFinite() (f float64, ok bool) {
	switch {
	case x.nans > 0, x.positive > 0 && x.negative > 0:
		return math.NaN(), true
	case x.positive > 0:
		return math.Inf(1), true
	case x.negative > 0:
		return math.Inf(-1), true
	}
	return 0, false
}

// big is the finite part as m * 2^exp.
func (x *exact) big() (m *big.Int, exp int) {
	x.carry()
	m = new(big.Int)
	for i := x.hi; i >= x.lo; i-- {
		m.Lsh(m, 32)
		m.Add(m, big.NewInt(x.chunks[i]))
	}
	return m, 32*x.lo - x.bias
}

// quotient is (hi, lo) * 2^exp / n rounded once. The highest bit of hi is set; more is that of magnitude.
func quotient(negative bool, hi, lo uint64, exp int, more bool, n uint64) float64 {
	qhi, rest := hi/n, hi%n
	qlo, rest := bits.Div64(rest, lo, n)
	more = more || rest != 0
	shift := uint(bits.LeadingZeros64(qhi))
	// Of n below 2^63 the quotient has at least 65 bits, so that what is shifted in is below all that is kept.
	qhi, qlo = qhi<<shift|qlo>>(64-shift), qlo<<shift
	return round(negative, qhi, qlo, exp-int(shift), more)
}

// round is the float64 nearest to (hi, lo) * 2^exp plus a little when more is true. The highest bit of hi is set.
func round(negative bool, hi, lo uint64, exp int, more bool) float64 {
	e := exp + 127
	keep := 53
	if e < -1022 {
		keep -= -1022 - e
	}
	if keep < 0 || e > 1023 {
		f := 0.0
		if e > 1023 {
			f = math.Inf(1)
		}
		return signed(f, negative)
	}
	m, rest := hi>>(64-uint(keep)), hi<<uint(keep)
	half := uint64(1) << 63
	if rest > half || rest == half && (lo != 0 || more || m&1 != 0) {
		m++
	}
	return signed(math.Ldexp(float64(m), e-keep+1), negative)
}

func signed(f float64, negative bool) float64 {
	if negative && f != 0 {
		return -f
	}
	return f
}

// deviationBits is the precision that a standard deviation is computed in before it is rounded.
const deviationBits = 256

var one = big.NewInt(1)

// deviation is the standard deviation of a sample of n numbers, of which the sum is sum * 2^exp and the sum of the squares
// squares * 2^exp2, both exact, divided by scale. n is at least 2.
func deviation(n int64, sum *big.Int, exp int, squares *big.Int, exp2 int, scale *big.Int) float64 {
	// n * squares - sum^2, over a common exponent.
	v := new(big.Int).Mul(squares, big.NewInt(n))
	s := new(big.Int).Mul(sum, sum)
	common := min(exp2, 2*exp)
	v.Lsh(v, uint(exp2-common))
	s.Lsh(s, uint(2*exp-common))
	v.Sub(v, s)
	if v.Sign() <= 0 {
		return 0
	}
	num := new(big.Float).SetPrec(deviationBits).SetInt(v)
	num.SetMantExp(num, common)
	den := new(big.Int).Mul(big.NewInt(n), big.NewInt(n-1))
	den.Mul(den, scale).Mul(den, scale)
	num.Quo(num, new(big.Float).SetPrec(deviationBits).SetInt(den))
	f, _ := num.Sqrt(num).Float64()
	return f
}
