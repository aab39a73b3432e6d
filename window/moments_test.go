package window

import (
	"bytes"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

// The mean is that of the numbers as fractions, rounded once, in whatever order they come.
func TestMeansAreExact(t *testing.T) {
	price := feature.DecimalType(38, 2)
	decimal := func(text string) feature.Value {
		v, err := feature.ParseDecimal(price, text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	r := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		typ    feature.Type
		values []feature.Value
	}{
		"int64": {feature.TypeInt64, []feature.Value{feature.Int64(math.MaxInt64), feature.Int64(math.MaxInt64), feature.Int64(math.MinInt64), feature.Int64(7), feature.Int64(-2)}},
		"float64": {feature.TypeFloat64, []feature.Value{feature.Float64(1e308), feature.Float64(1e308), feature.Float64(-1e308), feature.Float64(1e-300),
			feature.Float64(math.Copysign(0, -1)), feature.Float64(5e-324)}},
		"decimal": {price, []feature.Value{decimal("999999999999999999999999999999999999.99"), decimal("999999999999999999999999999999999999.99"),
			decimal("-0.01"), decimal("-999999999999999999999999999999999999.98"), decimal("12.34")}},
	} {
		want := new(big.Rat)
		for _, v := range c.values {
			n := new(big.Rat)
			if c.typ == feature.TypeFloat64 {
				n.SetFloat64(v.Float64())
			} else if _, ok := n.SetString(v.Text()); !ok {
				t.Fatal(v.Text())
			}
			want.Add(want, n)
		}
		expected, _ := want.Quo(want, big.NewRat(int64(len(c.values)), 1)).Float64()
		for range 20 {
			r.Shuffle(len(c.values), func(i, j int) { c.values[i], c.values[j] = c.values[j], c.values[i] })
			m := NewMoments(c.typ)
			for _, v := range c.values {
				m.Add(v)
			}
			if found, ok := m.Mean(); !ok || found != expected {
				t.Errorf("%s: found %v, %v, expected %v", name, found, ok, expected)
			}
		}
	}
	infinite := NewMoments(feature.TypeFloat64)
	if _, ok := infinite.Mean(); ok {
		t.Error("found a mean of nothing")
	}
	infinite.Add(feature.Float64(math.Inf(1)))
	if _, ok := infinite.Mean(); ok {
		t.Error("found a mean of an infinity")
	}
	if NewMoments(feature.TypeBool) != nil || NewMoments(feature.ListType(feature.TypeInt64)) != nil {
		t.Error("found means of what is no number")
	}
}

// However numbers are cut into parts and whatever the order that the parts are merged in, the moments have the same bytes, and what is decoded
// of them is the same; the standard deviation is that of a plain one in fractions.
func TestMomentsMergeInAnyOrder(t *testing.T) {
	price := feature.DecimalType(38, 2)
	r := rand.New(rand.NewPCG(7, 8))
	for name, c := range map[string]struct {
		typ feature.Type
		any func() feature.Value
	}{
		"int64":   {feature.TypeInt64, func() feature.Value { return feature.Int64(int64(r.Uint64()) >> r.IntN(64)) }},
		"float64": {feature.TypeFloat64, func() feature.Value { return feature.Float64(math.Ldexp(r.Float64()-0.5, r.IntN(2000)-1000)) }},
		"decimal": {price, func() feature.Value {
			v, err := feature.Decimal(price, feature.Int128{Hi: int64(r.Uint64()) >> (2 + r.IntN(60)), Lo: r.Uint64()})
			if err != nil {
				v, err = feature.Decimal(price, feature.Int128Of(r.Int64()))
			}
			if err != nil {
				t.Fatal(err)
			}
			return v
		}},
	} {
		for range 50 {
			whole := NewMoments(c.typ)
			parts := make([]*Moments, 1+r.IntN(5))
			for i := range parts {
				parts[i] = NewMoments(c.typ)
			}
			sum, squares := new(big.Rat), new(big.Rat)
			n := 2 + r.IntN(40)
			for range n {
				v := c.any()
				whole.Add(v)
				parts[r.IntN(len(parts))].Add(v)
				f := new(big.Rat)
				if c.typ == feature.TypeFloat64 {
					f.SetFloat64(v.Float64())
				} else {
					f.SetString(v.Text())
				}
				sum.Add(sum, f)
				squares.Add(squares, f.Mul(f, f))
			}
			r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			merged := NewMoments(c.typ)
			for _, p := range parts {
				decoded, rest, err := DecodeMoments(c.typ, append(p.AppendCanonical(nil), "rest"...))
				if err != nil || string(rest) != "rest" {
					t.Fatalf("%s: %v, and %q is left", name, err, rest)
				}
				merged.Merge(decoded)
			}
			if found, want := merged.AppendCanonical(nil), whole.AppendCanonical(nil); !bytes.Equal(found, want) {
				t.Fatalf("%s: found %x of the parts, expected %x", name, found, want)
			}
			variance := new(big.Rat).Mul(squares, big.NewRat(int64(n), 1))
			variance.Sub(variance, sum.Mul(sum, sum))
			variance.Quo(variance, big.NewRat(int64(n)*int64(n-1), 1))
			want, _ := new(big.Float).SetPrec(300).SetRat(variance).Float64()
			if want = math.Sqrt(want); want == 0 || math.IsInf(want, 0) {
				continue
			}
			if found, ok := merged.StdDev(); !ok || math.Abs(found/want-1) > 1e-15 {
				t.Fatalf("%s: found %v, %v, expected %v", name, found, ok, want)
			}
		}
	}
}
