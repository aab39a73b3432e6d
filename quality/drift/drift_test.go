package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/quality/profile"
)

func near(t *testing.T, what string, found, want, off float64) {
	t.Helper()
	if !(math.Abs(found-want) <= off) {
		t.Errorf("%s: found %v, expected %v", what, found, want)
	}
}

// What others have published.
func TestPublishedValues(t *testing.T) {
	// TensorFlow Data Validation, metrics_test: histograms whose edges differ.
	a, b := Align([]Bin{{1, 2, 2}, {2, 3, 2}}, []Bin{{2, 4, 2}, {4, 6, 2}})
	near(t, "Jensen-Shannon divergence", JSDivergenceBits(a, b), 0.655639, 5e-7)
	// The population stability index of ten buckets.
	near(t, "PSI", PSI([]float64{428, 425, 414, 427, 440, 447, 380, 386, 444, 386}, []float64{426, 437, 429, 391, 469, 433, 360, 443, 371, 418}), 0.007406694184, 1e-12)
	// Deequ, distance tests: a, b, c, d, e.
	near(t, "L-infinity", LInfinity([]float64{10, 20, 25, 10, 5}, []float64{11, 20, 25, 10, 10}), 0.060150376, 5e-10)
	// SciPy, examples of scipy.spatial.distance.jensenshannon and scipy.stats.wasserstein_distance.
	near(t, "Jensen-Shannon distance", JSDistanceNats([]float64{1, 0}, []float64{0.5, 0.5}), 0.46450140402245893, 1e-15)
	near(t, "Jensen-Shannon distance of the same", JSDistanceNats([]float64{1, 0, 0}, []float64{1, 0, 0}), 0, 0)
	near(t, "Jensen-Shannon divergence of nothing in common", JSDivergenceBits([]float64{1, 0, 0}, []float64{0, 1, 0}), 1, 1e-15)
	near(t, "Wasserstein", Wasserstein([]Point{{0, 1}, {1, 1}, {3, 1}}, []Point{{5, 1}, {6, 1}, {8, 1}}), 5, 1e-12)
	near(t, "Wasserstein", Wasserstein([]Point{{0, 3}, {1, 1}}, []Point{{0, 2}, {1, 2}}), 0.25, 1e-15)
	near(t, "Wasserstein", Wasserstein([]Point{{3.4, 1.4}, {3.9, 0.9}, {7.5, 3.1}, {7.8, 7.2}}, []Point{{1.4, 3.5}, {4.5, 3.2}}), 4.0781331438047861, 1e-12)
	// Tables of the chi-square distribution: NIST/SEMATECH, e-Handbook of Statistical Methods, 1.3.6.7.4.
	for _, c := range []struct {
		chance  float64
		freedom int
		want    float64
	}{{0.95, 1, 3.841}, {0.95, 9, 16.919}, {0.999, 9, 27.877}, {0.99, 100, 135.807}, {0.999, 1, 10.828}} {
		near(t, fmt.Sprint("chi-square ", c), chiSquareQuantile(c.chance, c.freedom), c.want, 5e-4)
	}
	statistic, freedom, p := ChiSquare([]float64{10, 20}, []float64{20, 10})
	near(t, "chi-square", statistic, 20.0/3, 1e-12)
	near(t, "its chance", p, math.Erfc(math.Sqrt(statistic/2)), 1e-12)
	if freedom != 1 {
		t.Errorf("found %d degrees of freedom, expected 1", freedom)
	}
}

// Distances of samples are those that their definitions have, taken literally.
func TestAgainstDefinitions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		sample := func() (values []float64, points []Point) {
			for range 1 + r.IntN(30) {
				values = append(values, float64(r.IntN(20)))
			}
			slices.Sort(values)
			for _, v := range values {
				points = append(points, Point{v, 1})
			}
			return values, points
		}
		a, pa := sample()
		b, pb := sample()
		upTo := func(values []float64, x float64) float64 {
			n := 0
			for _, v := range values {
				if v <= x {
					n++
				}
			}
			return float64(n) / float64(len(values))
		}
		var ks, moved float64
		for x := range 20 {
			d := math.Abs(upTo(a, float64(x)) - upTo(b, float64(x)))
			ks, moved = max(ks, d), moved+d
		}
		near(t, "Kolmogorov-Smirnov", KolmogorovSmirnov(pa, pb), ks, 1e-12)
		near(t, "Wasserstein", Wasserstein(pa, pb), moved, 1e-12)
		near(t, "Kolmogorov-Smirnov the other way round", KolmogorovSmirnov(pb, pa), ks, 1e-12)
	}
}

// Of pairs of samples of one distribution about one of a thousand is beyond the floor.
func TestFloors(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const pairs = 4000
	beyond := 0
	for range pairs {
		a, b := make([]float64, 10), make([]float64, 10)
		for range 500 {
			a[r.IntN(10)]++
			b[r.IntN(10)]++
		}
		if PSI(a, b) > PSIFloor(500, 500, 10) {
			beyond++
		}
	}
	if beyond > 15 {
		t.Errorf("found %d of %d pairs beyond the floor, expected about %d", beyond, pairs, pairs/1000)
	}
}

func columnOf(t *testing.T, typ feature.Type, values ...feature.Value) *profile.Column {
	t.Helper()
	p, err := profile.New([]profile.Spec{{Name: "c", Type: typ}})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		p.Add(0, uint64(i), []feature.Value{v})
	}
	return p.Columns()[0]
}

func TestVerdicts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	floats := func(n int, mean float64, nulls float64) (values []feature.Value) {
		for range n {
			v := feature.Float64(r.NormFloat64() + mean)
			if r.Float64() < nulls {
				v = feature.Null()
			}
			values = append(values, v)
		}
		return values
	}
	texts := func(n, of int, prefix string) (values []feature.Value) {
		for i := range n {
			values = append(values, feature.String(fmt.Sprint(prefix, i%of)))
		}
		return values
	}
	same := func(n int, v feature.Value) []feature.Value { return slices.Repeat([]feature.Value{v}, n) }
	f, s := feature.TypeFloat64, feature.TypeString
	for name, c := range map[string]struct {
		typ               feature.Type
		baseline, current []feature.Value
		want              Verdict
	}{
		"the same":                      {f, floats(5000, 0, 0), floats(5000, 0, 0), OK},
		"moved a little":                {f, floats(5000, 0, 0), floats(5000, 0.4, 0), Warn},
		"moved":                         {f, floats(5000, 0, 0), floats(5000, 1, 0), Fail},
		"few rows":                      {f, floats(5000, 0, 0), floats(20, 0, 0), NotEnoughData},
		"too few to tell":               {f, floats(100, 0, 0), floats(100, 0, 0), NotEnoughData},
		"few rows that are far away":    {f, floats(200, 0, 0), floats(200, 9, 0), Fail},
		"no rows":                       {f, floats(5000, 0, 0), nil, NotEnoughData},
		"missing values":                {f, floats(5000, 0, 0.01), floats(5000, 0, 0.5), Fail},
		"wholly NULL":                   {f, floats(5000, 0, 0), same(5000, feature.Null()), Fail},
		"NaN":                           {f, floats(5000, 0, 0), append(floats(2500, 0, 0), same(2500, feature.Float64(math.NaN()))...), Fail},
		"infinite":                      {f, floats(5000, 0, 0), append(floats(2500, 0, 0), same(2500, feature.Float64(math.Inf(1)))...), Fail},
		"another constant":              {f, same(5000, feature.Float64(0)), same(5000, feature.Float64(1e-9)), Fail},
		"the same constant":             {f, same(5000, feature.Float64(7)), same(5000, feature.Float64(7)), OK},
		"texts":                         {s, texts(5000, 7, "a"), texts(4000, 7, "a"), OK},
		"other texts":                   {s, texts(5000, 7, "a"), texts(4000, 7, "b"), Fail},
		"texts that are not counted":    {s, texts(5000, 900, "a"), texts(4000, 900, "b"), NotEnoughData},
		"missing texts, not counted":    {s, texts(5000, 900, "a"), append(texts(2500, 900, "a"), same(2500, feature.Null())...), Fail},
		"bools":                         {feature.TypeBool, same(3000, feature.Bool(true)), same(3000, feature.Bool(false)), Fail},
		"what is beyond what there was": {f, floats(5000, 0, 0), append(floats(3500, 0, 0), floats(1500, 1000, 0)...), Fail},
	} {
		report := Compare(columnOf(t, c.typ, c.baseline...), columnOf(t, c.typ, c.current...), DefaultThresholds)
		if report.Verdict != c.want {
			t.Errorf("%s: found %s (%s), expected %s: %+v", name, report.Verdict, report.Reason, c.want, report)
		}
		var a, b int64
		for _, bucket := range report.Buckets {
			a, b = a+bucket.Baseline, b+bucket.Current
		}
		if a != int64(len(c.baseline)) || b != int64(len(c.current)) {
			t.Errorf("%s: found %d and %d rows in buckets, expected %d and %d", name, a, b, len(c.baseline), len(c.current))
		}
	}
	if report := Compare(nil, columnOf(t, f), DefaultThresholds); report.Verdict != NoBaseline {
		t.Errorf("found %s without a baseline", report.Verdict)
	}
	if report := Compare(columnOf(t, s), columnOf(t, f), DefaultThresholds); report.Verdict != NoBaseline || report.Reason != "the baseline is of a string, and the column a float64" {
		t.Errorf("found %s, %s of another type", report.Verdict, report.Reason)
	}
	report := Compare(columnOf(t, s, texts(50, 2, "a")...), columnOf(t, s, append(texts(30, 2, "a"), append(texts(10, 1, "b"), same(10, feature.Null())...)...)...), DefaultThresholds)
	if report.Unseen == nil || *report.Unseen != 0.25 || math.Abs(report.Completeness+0.2) > 1e-12 {
		t.Errorf("found %v unseen and %v more complete, expected 0.25 and -0.2", report.Unseen, report.Completeness)
	}
	// Numbers that move by one are moved by one, within what sketches are off by.
	report = Compare(columnOf(t, f, floats(20_000, 50, 0)...), columnOf(t, f, floats(20_000, 51, 0)...), DefaultThresholds)
	near(t, "Wasserstein", *report.Wasserstein, 1, 0.1)
	near(t, "Kolmogorov-Smirnov", *report.KS, math.Erf(0.5/math.Sqrt2), 0.05)
}
