package window

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

var anyFinite = rapid.Custom(func(t *rapid.T) float64 {
	for {
		f := math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	}
})

func TestSumsAreExact(t *testing.T) {
	drawFloat := rapid.OneOf(anyFinite, rapid.Float64Range(-1e6, 1e6),
		rapid.SampledFrom([]float64{0.1, 1, -1, math.MaxFloat64, -math.MaxFloat64, 5e-324, -5e-324, 0x1p-1022, 1 << 53, 0x1p53 + 2}))
	rapid.Check(t, func(t *rapid.T) {
		x, squares := newSum(), newSquares()
		sum, squareSum := new(big.Rat), new(big.Rat)
		n := int64(0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			f := drawFloat.Draw(t, "f")
			x.add(f, false)
			squares.addSquare(f, false)
			if rapid.IntRange(0, 2).Draw(t, "take") == 0 {
				x.add(f, true)
				squares.addSquare(f, true)
				continue
			}
			n++
			r := new(big.Rat).SetFloat64(f)
			sum.Add(sum, r)
			squareSum.Add(squareSum, new(big.Rat).Mul(r, r))
			if rapid.Bool().Draw(t, "carry") {
				x.carry()
			}
		}
		if n == 0 {
			return
		}
		want, _ := sum.Float64()
		if got := x.over(1); got != want {
			t.Fatalf("the sum is %v, want %v", got, want)
		}
		by := rapid.Int64Range(1, math.MaxInt64).Draw(t, "by")
		for _, by := range []int64{n, by} {
			want, _ = new(big.Rat).Quo(sum, new(big.Rat).SetInt64(by)).Float64()
			if got := x.over(by); got != want {
				t.Fatalf("the sum over %d is %v, want %v", by, got, want)
			}
		}
		m, exp := squares.big()
		got := new(big.Rat).SetInt(m)
		scale := new(big.Rat).SetInt(new(big.Int).Lsh(one, uint(max(exp, -exp))))
		if exp < 0 {
			scale.Inv(scale)
		}
		if got.Mul(got, scale); got.Cmp(squareSum) != 0 {
			t.Fatalf("the squares are %s, want %s", got, squareSum)
		}
	})
}

func TestIntegersAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x integers
		sum, squares := new(big.Int), new(big.Int)
		list := rapid.SliceOfN(rapid.Int64(), 1, 40).Draw(t, "ints")
		for i, n := range list {
			x.add(n, false)
			x.addSquare(n, false)
			if i%3 == 2 {
				x.add(n, true)
				x.addSquare(n, true)
				continue
			}
			sum.Add(sum, big.NewInt(n))
			squares.Add(squares, new(big.Int).Mul(big.NewInt(n), big.NewInt(n)))
		}
		gotSum, gotSquares := x.big()
		if gotSum.Cmp(sum) != 0 || gotSquares.Cmp(squares) != 0 {
			t.Fatalf("found %s and %s, want %s and %s", gotSum, gotSquares, sum, squares)
		}
		if n, ok := x.int64(); ok != sum.IsInt64() || ok && n != sum.Int64() {
			t.Fatalf("found %d %v, want %s", n, ok, sum)
		}
		by := rapid.Int64Range(1, math.MaxInt64).Draw(t, "by")
		want, _ := new(big.Rat).SetFrac(sum, big.NewInt(by)).Float64()
		if got := x.over(by); got != want {
			t.Fatalf("over %d it is %v, want %v", by, got, want)
		}
	})
}

func TestMiddleIsNear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFinite.Draw(t, "f")
		relative := rapid.SampledFrom([]float64{0.25, 0.01, 0.0001}).Draw(t, "error")
		bits := resolution(relative)
		got := middle(bucket(f, bits), bits)
		if math.Abs(f) < 0x1p-1022 {
			f = 0
		}
		if math.Abs(got-f) > relative*math.Abs(f) {
			t.Fatalf("%v stands for %v, which is further than %v", got, f, relative)
		}
	})
}

// A tie is one only when nothing is below it, however far.
func TestSumsRoundTiesToEven(t *testing.T) {
	const big = 1 << 53
	for _, c := range []struct {
		terms []float64
		want  float64
	}{
		{[]float64{big, 1}, big},
		{[]float64{big, 1, 0x1p-40}, big + 2},
		{[]float64{big, 1, 5e-324}, big + 2},
		{[]float64{big, 1, -5e-324}, big},
		{[]float64{-big, -1, -0x1p-40}, -big - 2},
		{[]float64{big + 2, 1}, big + 4},
		{[]float64{math.MaxFloat64, math.MaxFloat64, -math.MaxFloat64}, math.MaxFloat64},
		{[]float64{math.MaxFloat64, math.MaxFloat64}, math.Inf(1)},
	} {
		x := newSum()
		for _, f := range c.terms {
			x.add(f, false)
		}
		if got := x.over(1); got != c.want {
			t.Errorf("the sum of %v is %v, want %v", c.terms, got, c.want)
		}
	}
}
