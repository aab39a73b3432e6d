package profile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

// Up to the limit distinct values are counted, and beyond it the estimate is near, whatever the order and the repetitions.
func TestDistinctValues(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range []feature.Type{feature.TypeInt64, feature.TypeString, feature.TypeFloat64} {
		for _, n := range []int{1, 15, 16, 17, 1000, maxExact, maxExact + 1, 5000, 20_000, 200_000} {
			values := make([]feature.Value, n)
			for i := range values {
				switch typ {
				case feature.TypeInt64:
					values[i] = feature.Int64(int64(i) * 1000)
				case feature.TypeString:
					values[i] = feature.String(fmt.Sprint("value ", i))
				default:
					values[i] = feature.Float64(float64(i) / 8)
				}
			}
			var counts []int64
			for round := range 3 {
				c := newColumn(Spec{Name: "column", Type: typ})
				for _, v := range values {
					c.add(v, r.Uint64())
					if round == 2 {
						c.add(values[r.IntN(n)], r.Uint64())
					}
				}
				found, exact := c.Distinct()
				if exact != (n <= maxExact) {
					t.Errorf("%s: found %d told as exact: %v", typ, n, exact)
				}
				counts = append(counts, found)
				r.Shuffle(n, func(i, j int) { values[i], values[j] = values[j], values[i] })
			}
			if counts[0] != counts[1] || counts[0] != counts[2] {
				t.Errorf("%s, %d: found %v in other orders, expected the same", typ, n, counts)
			}
			if off := math.Abs(float64(counts[0])-float64(n)) / float64(n); n <= maxExact && off != 0 || off > 0.025 {
				t.Errorf("%s: found %d, expected %d", typ, counts[0], n)
			}
		}
	}
	// The hash 0 is one like any other.
	for _, n := range []int{10, 5000} {
		var with, first, without distinct
		first.add(0)
		for i := range n {
			with.add(mix(uint64(i)))
			first.add(mix(uint64(i)))
			without.add(mix(uint64(i)))
		}
		with.add(0)
		with.add(0)
		if with.count() != first.count() || n == 10 && with.count() != without.count()+1 {
			t.Errorf("found %d and %d, and %d without", with.count(), first.count(), without.count())
		}
	}
}
