package window

import (
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
			m := NewMean(c.typ)
			for _, v := range c.values {
				m.Add(v)
			}
			if found, ok := m.Float64(); !ok || found != expected {
				t.Errorf("%s: found %v, %v, expected %v", name, found, ok, expected)
			}
		}
	}
	infinite := NewMean(feature.TypeFloat64)
	if _, ok := infinite.Float64(); ok {
		t.Error("found a mean of nothing")
	}
	infinite.Add(feature.Float64(math.Inf(1)))
	if _, ok := infinite.Float64(); ok {
		t.Error("found a mean of an infinity")
	}
	if NewMean(feature.TypeBool) != nil || NewMean(feature.ListType(feature.TypeInt64)) != nil {
		t.Error("found means of what is no number")
	}
}
