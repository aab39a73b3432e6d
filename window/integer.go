package window

import (
	"math/big"
	"math/bits"
)

// integers is an exact sum of int64s in 128 bits, and of their squares in 192, from which they can be taken again: room for
// 2^63 of them.
type integers struct {
	hi, lo  uint64
	squares [3]uint64
}

func (x *integers) add(n int64, take bool) {
	high := uint64(n >> 63)
	var c uint64
	if take {
		x.lo, c = bits.Sub64(x.lo, uint64(n), 0)
		x.hi, _ = bits.Sub64(x.hi, high, c)
	} else {
		x.lo, c = bits.Add64(x.lo, uint64(n), 0)
		x.hi, _ = bits.Add64(x.hi, high, c)
	}
}

func (x *integers) addSquare(n int64, take bool) {
	m := uint64(n)
	if n < 0 {
		m = -m
	}
	hi, lo := bits.Mul64(m, m)
	var c uint64
	if take {
		x.squares[0], c = bits.Sub64(x.squares[0], lo, 0)
		x.squares[1], c = bits.Sub64(x.squares[1], hi, c)
		x.squares[2], _ = bits.Sub64(x.squares[2], 0, c)
	} else {
		x.squares[0], c = bits.Add64(x.squares[0], lo, 0)
		x.squares[1], c = bits.Add64(x.squares[1], hi, c)
		x.squares[2], _ = bits.Add64(x.squares[2], 0, c)
	}
}

// int64 is the sum, where it fits.
func (x *integers) int64() (n int64, ok bool) {
	return int64(x.lo), x.hi == uint64(int64(x.lo)>>63)
}

// over is the sum divided by n, rounded once.
func (x *integers) over(n int64) float64 {
	negative, hi, lo := int64(x.hi) < 0, x.hi, x.lo
	if negative {
		var c uint64
		lo, c = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, c)
	}
	shift := uint(bits.LeadingZeros64(hi))
	if hi == 0 {
		if lo == 0 {
			return 0
		}
		hi, lo, shift = lo, 0, 64
		more := uint(bits.LeadingZeros64(hi))
		hi <<= more
		shift += more
	} else {
		hi, lo = hi<<shift|lo>>(64-shift), lo<<shift
	}
	return quotient(negative, hi, lo, -int(shift), false, uint64(n))
}

// big is the sum and that of the squares.
func (x *integers) big() (sum, squares *big.Int) {
	sum = new(big.Int).SetInt64(int64(x.hi))
	sum.Lsh(sum, 64).Add(sum, new(big.Int).SetUint64(x.lo))
	squares = new(big.Int)
	for i := 2; i >= 0; i-- {
		squares.Lsh(squares, 64).Add(squares, new(big.Int).SetUint64(x.squares[i]))
	}
	return sum, squares
}
