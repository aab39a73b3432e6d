package window

import (
	"encoding/binary"
	"errors"
	"math/big"
	"math/bits"

	"github.com/headwaterhq/headwater/feature"
)

// Moments are the mean and the standard deviation of numbers of one type: their sum and that of their squares are exact, so that no
// order of them matters, nor how they are cut into parts that are merged, and what is asked for is rounded once. They take the same
// memory whatever they were given.
type Moments struct {
	kind            feature.Type
	scale           int
	n               int64
	floats, squares *exact
	integers        integers
	// decimals is a sum of coefficients in two's complement of 192 bits, the lowest word first, and decimalSquares one of their
	// squares in 320: room for 2^63 of them.
	decimals       [3]uint64
	decimalSquares [5]uint64
}

// NewMoments are those of values of t, or nil where they are no numbers.
func NewMoments(t feature.Type) *Moments {
	m := &Moments{kind: t.Kind()}
	switch m.kind {
	case feature.TypeInt64:
	case feature.TypeFloat64:
		m.floats, m.squares = newSum(), newSquares()
	case feature.TypeDecimal:
		m.scale = t.Scale()
	default:
		return nil
	}
	return m
}

// AddInt64 is Add of an int64.
func (m *Moments) AddInt64(n int64) {
	m.n++
	m.integers.add(n, false)
	m.integers.addSquare(n, false)
}

// AddFloat64 is Add of a float64.
func (m *Moments) AddFloat64(f float64) {
	m.n++
	m.floats.add(f, false)
	m.squares.addSquare(f, false)
}

// Add takes one value of the type, which is not NULL.
func (m *Moments) Add(v feature.Value) {
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
		if c.Hi < 0 {
			c = c.Neg()
		}
		addWords(m.decimalSquares[:], square(uint64(c.Hi), c.Lo))
	}
}

// square is (hi, lo)^2, the lowest word first. hi is at most 2^63.
func square(hi, lo uint64) [4]uint64 {
	var w [4]uint64
	w[1], w[0] = bits.Mul64(lo, lo)
	w[3], w[2] = bits.Mul64(hi, hi)
	ch, cl := bits.Mul64(hi, lo)
	for range 2 {
		var carry uint64
		w[1], carry = bits.Add64(w[1], cl, 0)
		w[2], carry = bits.Add64(w[2], ch, carry)
		w[3] += carry
	}
	return w
}

// addWords adds to a sum of more words than four.
func addWords(sum []uint64, w [4]uint64) {
	var carry uint64
	for i := range sum {
		var add uint64
		if i < len(w) {
			add = w[i]
		}
		sum[i], carry = bits.Add64(sum[i], add, carry)
	}
}

// bigOf is a number in two's complement, the lowest word first.
func bigOf(words []uint64, signed bool) *big.Int {
	n := new(big.Int)
	for i := len(words) - 1; i >= 0; i-- {
		n.Lsh(n, 64).Add(n, new(big.Int).SetUint64(words[i]))
	}
	if top := len(words) - 1; signed && int64(words[top]) < 0 {
		n.Sub(n, new(big.Int).Lsh(one, uint(64*len(words))))
	}
	return n
}

// wordsOf is bigOf the other way round, and whether the words hold n.
func wordsOf(words []uint64, n *big.Int, signed bool) bool {
	room := 64 * len(words)
	if signed {
		room--
	}
	if n.BitLen() > room || !signed && n.Sign() < 0 {
		return false
	}
	m := n
	if n.Sign() < 0 {
		m = new(big.Int).Add(n, new(big.Int).Lsh(one, uint(64*len(words))))
	}
	b := m.FillBytes(make([]byte, 8*len(words)))
	for i := range words {
		words[i] = binary.BigEndian.Uint64(b[8*(len(words)-1-i):])
	}
	return true
}

// N is how many numbers there are.
func (m *Moments) N() int64 { return m.n }

// sums are the sum of the numbers, sum * 2^exp, and that of their squares, squares * 2^exp2; of decimals, of their coefficients. They are
// not there where one was NaN or infinite.
func (m *Moments) sums() (sum *big.Int, exp int, squares *big.Int, exp2 int, ok bool) {
	switch m.kind {
	case feature.TypeInt64:
		sum, squares = m.integers.big()
		return sum, 0, squares, 0, true
	case feature.TypeFloat64:
		if _, special := m.floats.notFinite(); special {
			return nil, 0, nil, 0, false
		}
		sum, exp = m.floats.big()
		squares, exp2 = m.squares.big()
		return sum, exp, squares, exp2, true
	}
	return bigOf(m.decimals[:], true), 0, bigOf(m.decimalSquares[:], false), 0, true
}

// Mean is rounded to nearest, ties to even. There is none of no values, or where one was NaN or infinite.
func (m *Moments) Mean() (mean float64, ok bool) {
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
	by := powerOfTen(m.scale)
	mean, _ = new(big.Rat).SetFrac(bigOf(m.decimals[:], true), by.Mul(by, big.NewInt(m.n))).Float64()
	return mean, true
}

// StdDev is the standard deviation of a sample. There is none of fewer than two values, or where one was NaN or infinite.
func (m *Moments) StdDev() (deviates float64, ok bool) {
	if m.n < 2 {
		return 0, false
	}
	sum, exp, squares, exp2, ok := m.sums()
	if !ok {
		return 0, false
	}
	return deviation(m.n, sum, exp, squares, exp2, powerOfTen(m.scale)), true
}

// Merge adds the numbers of others, of the same type.
func (m *Moments) Merge(o *Moments) {
	m.n += o.n
	switch m.kind {
	case feature.TypeInt64:
		var c uint64
		m.integers.lo, c = bits.Add64(m.integers.lo, o.integers.lo, 0)
		m.integers.hi, _ = bits.Add64(m.integers.hi, o.integers.hi, c)
		addUp(m.integers.squares[:], o.integers.squares[:])
	case feature.TypeFloat64:
		m.floats.merge(o.floats)
		m.squares.merge(o.squares)
	default:
		addUp(m.decimals[:], o.decimals[:])
		addUp(m.decimalSquares[:], o.decimalSquares[:])
	}
}

func addUp(sum, others []uint64) {
	var c uint64
	for i := range sum {
		sum[i], c = bits.Add64(sum[i], others[i], c)
	}
}

// merge adds another sum.
func (x *exact) merge(o *exact) {
	x.nans, x.positive, x.negative = x.nans+o.nans, x.positive+o.positive, x.negative+o.negative
	if o.hi < o.lo {
		return
	}
	// Of both, every chunk but the highest is a digit then, and there is room for many more.
	x.carry()
	o.carry()
	if o.hi < o.lo {
		return
	}
	x.reach(o.lo, o.hi)
	for i := o.lo; i <= o.hi; i++ {
		x.chunks[i] += o.chunks[i]
	}
	x.adds++
}

// set makes x a finite number m * 2^exp, and reports whether it has room for it.
func (x *exact) set(m *big.Int, exp int) bool {
	x.reset()
	if m.Sign() == 0 {
		return true
	}
	shift := exp + x.bias
	if shift < 0 || shift+m.BitLen() > 32*(len(x.chunks)-1) {
		return false
	}
	sign, rest := int64(m.Sign()), new(big.Int).Abs(m)
	rest.Lsh(rest, uint(shift&31))
	b := rest.FillBytes(make([]byte, (rest.BitLen()+31)/32*4))
	x.lo = shift >> 5
	x.hi = x.lo + len(b)/4 - 1
	for i := range len(b) / 4 {
		x.chunks[x.hi-i] = sign * int64(binary.BigEndian.Uint32(b[4*i:]))
	}
	return true
}

// AppendCanonical appends what decodes to the same moments: equal ones have equal bytes. None of them may be of NaN or infinities.
func (m *Moments) AppendCanonical(dst []byte) []byte {
	sum, exp, squares, exp2, _ := m.sums()
	dst = binary.AppendUvarint(dst, uint64(m.n))
	return appendScaled(appendScaled(dst, sum, exp), squares, exp2)
}

// appendScaled appends m * 2^exp: exp, the number of bytes of |m| with its lowest bit set, twice that and the sign, and the bytes.
func appendScaled(dst []byte, m *big.Int, exp int) []byte {
	if m.Sign() == 0 {
		return append(dst, 0, 0)
	}
	negative := m.Sign() < 0
	zeros := m.TrailingZeroBits()
	b := new(big.Int).Rsh(new(big.Int).Abs(m), zeros).Bytes()
	head := uint64(len(b)) << 1
	if negative {
		head |= 1
	}
	dst = binary.AppendVarint(dst, int64(exp)+int64(zeros))
	return append(binary.AppendUvarint(dst, head), b...)
}

var errMoments = errors.New("found moments that no numbers have")

// DecodeMoments reads what AppendCanonical wrote of values of t, which are numbers, and returns what is left of b.
func DecodeMoments(t feature.Type, b []byte) (m *Moments, rest []byte, err error) {
	m = NewMoments(t)
	n, size := binary.Uvarint(b)
	if size <= 0 || n > 1<<62 {
		return nil, nil, errMoments
	}
	m.n, b = int64(n), b[size:]
	sum, exp, b, ok := readScaled(b)
	if !ok {
		return nil, nil, errMoments
	}
	squares, exp2, b, ok := readScaled(b)
	if !ok || squares.Sign() < 0 {
		return nil, nil, errMoments
	}
	if m.kind == feature.TypeFloat64 {
		ok = m.floats.set(sum, exp) && m.squares.set(squares, exp2)
		if !ok {
			return nil, nil, errMoments
		}
		return m, b, nil
	}
	if exp < 0 || exp2 < 0 || exp+sum.BitLen() > 192 || exp2+squares.BitLen() > 320 {
		return nil, nil, errMoments
	}
	sum.Lsh(sum, uint(exp))
	squares.Lsh(squares, uint(exp2))
	if m.kind == feature.TypeInt64 {
		var words [2]uint64
		ok = wordsOf(words[:], sum, true) && wordsOf(m.integers.squares[:], squares, false)
		m.integers.lo, m.integers.hi = words[0], words[1]
	} else {
		ok = wordsOf(m.decimals[:], sum, true) && wordsOf(m.decimalSquares[:], squares, false)
	}
	if !ok {
		return nil, nil, errMoments
	}
	return m, b, nil
}

// maxScaledBytes is beyond what any sum takes.
const maxScaledBytes = 600

func readScaled(b []byte) (m *big.Int, exp int, rest []byte, ok bool) {
	e, size := binary.Varint(b)
	if size <= 0 || e < -1<<16 || e > 1<<16 {
		return nil, 0, nil, false
	}
	b = b[size:]
	head, size := binary.Uvarint(b)
	n := head >> 1
	if size <= 0 || n > maxScaledBytes || uint64(len(b)-size) < n {
		return nil, 0, nil, false
	}
	b = b[size:]
	m = new(big.Int).SetBytes(b[:n])
	if head&1 != 0 {
		m.Neg(m)
	}
	return m, int(e), b[n:], true
}
