package window

import (
	"math/big"
	"math/bits"

	"github.com/headwaterhq/headwater/feature"
)

// Mean is the mean of numbers of one type: their sum is exact, so that no order of them matters, and is divided and rounded
// once, when it is asked for. It takes the same memory whatever it was given.
type Mean struct {
	kind     feature.Type
	scale    int
	n        int64
	floats   *exact
	integers integers
	// decimals is a sum of coefficients in two's complement of 192 bits, the lowest word first: room for 2^63 of them.
	decimals [3]uint64
}

// NewMean is the mean of values of t, or nil where they are no numbers.
func NewMean(t feature.Type) *Mean {
	m := &Mean{kind: t.Kind()}
	switch m.kind {
	case feature.TypeInt64:
	case feature.TypeFloat64:
		m.floats = newSum()
	case feature.TypeDecimal:
		m.scale = t.Scale()
	default:
		return nil
	}
	return m
}

// AddInt64 is Add of an int64.
func (m *Mean) AddInt64(n int64) {
	m.n++
	m.integers.add(n, false)
}

// AddFloat64 is Add of a float64.
func (m *Mean) AddFloat64(f float64) {
	m.n++
	m.floats.add(f, false)
}

// Add takes one value of the type, which is not NULL.
func (m *Mean) Add(v feature.Value) {
	switch m.kind {
	case feature.TypeInt64:
		m.AddInt64(v.Int64())
	case feature.TypeFloat64:
		m.AddFloat64(v.Float64())
	default:
		m.n++
		c := v.Decimal()
		var carry uint64
		m.decimals[0], carry = bits.Add64(m.decimals[0], c.Lo, 0)
		m.decimals[1], carry = bits.Add64(m.decimals[1], uint64(c.Hi), carry)
		m.decimals[2] += uint64(c.Hi>>63) + carry
	}
}

// Float64 is the mean rounded to nearest, ties to even. There is none of no values, or where one was NaN or infinite.
func (m *Mean) Float64() (mean float64, ok bool) {
	if m.n == 0 {
		return 0, false
	}
	switch m.kind {
	case feature.TypeInt64:
		return m.integers.over(m.n), true
	case feature.TypeFloat64:
		if _, special := m.floats.notFinite(); special {
			return 0, false
		}
		return m.floats.over(m.n), true
	}
	sum := big.NewInt(int64(m.decimals[2]))
	for i := 1; i >= 0; i-- {
		sum.Lsh(sum, 64).Add(sum, new(big.Int).SetUint64(m.decimals[i]))
	}
	by := powerOfTen(m.scale)
	mean, _ = new(big.Rat).SetFrac(sum, by.Mul(by, big.NewInt(m.n))).Float64()
	return mean, true
}
