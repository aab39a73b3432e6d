package bias

import (
	"cmp"
	"math"
	"slices"
)

// Names of tests, as reports have them.
const (
	FisherExact   = "Fisher's exact test"
	TwoProportion = "two-proportion z test"
	// Correction is how chances are corrected for how many there are.
	Correction = "Holm"
)

// minExpected is how many rows are to be expected in each of the four fields of a table for the z test.
const minExpected = 5

// Difference is the chance of a difference as great between two shares, good of n each, where there is none, and by which test. Both sides count. Of an
// empty group the chance is 1.
func Difference(good1, n1, good2, n2 int64) (p float64, test string) {
	good, n := float64(good1+good2), float64(n1+n2)
	if n1 == 0 || n2 == 0 {
		return 1, FisherExact
	}
	if least := min(float64(n1), float64(n2)) * min(good, n-good) / n; least < minExpected {
		return Fisher(good1, n1-good1, good2, n2-good2), FisherExact
	}
	_, p = TwoProportions(good1, n1, good2, n2)
	return p, TwoProportion
}

// Fisher is the two-sided chance of a table with rows a, b and c, d in Fisher's exact test (R. Fisher, 1935): that of all tables of the same sums that are no more likely.
func Fisher(a, b, c, d int64) float64 {
	n1, n2, good := a+b, c+d, a+c
	low, high := max(0, good-n2), min(good, n1)
	all := logChoose(n1+n2, good)
	chance := func(x int64) float64 { return math.Exp(logChoose(n1, x) + logChoose(n2, good-x) - all) }
	// Rounding must not make a table that is as likely more so.
	most := chance(a) * (1 + 1e-7)
	var p float64
	for x := low; x <= high; x++ {
		if q := chance(x); q <= most {
			p += q
		}
	}
	return min(p, 1)
}

func logChoose(n, k int64) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// TwoProportions is the z statistic of the difference of two shares, with the pooled variance and without correction, and its two-sided chance. Its square is Pearson's
// chi-square of the table.
func TwoProportions(good1, n1, good2, n2 int64) (z, p float64) {
	x, y := float64(n1), float64(n2)
	pooled := float64(good1+good2) / (x + y)
	deviation := math.Sqrt(pooled * (1 - pooled) * (1/x + 1/y))
	if deviation == 0 {
		return 0, 1
	}
	z = (float64(good1)/x - float64(good2)/y) / deviation
	return z, math.Erfc(math.Abs(z) / math.Sqrt2)
}

// Holm corrects chances for how many there are (S. Holm, 1979), in their order: the chance of any false one among those that are no more than some chance is no more
// than that. of is how many there are, of which these may be some that the data chose.
func Holm(p []float64, of int) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, k int) int { return cmp.Compare(p[i], p[k]) })
	corrected := make([]float64, len(p))
	var most float64
	for rank, i := range order {
		most = max(most, min(1, float64(of-rank)*p[i]))
		corrected[i] = most
	}
	return corrected
}

// Fourfold is a stratum: two groups, and how many of each are good and not.
type Fourfold struct{ Good1, Bad1, Good2, Bad2 int64 }

// Stratified is what a Cochran-Mantel-Haenszel test says.
type Stratified struct {
	// Strata are those that have rows of both groups and of both outcomes.
	Strata int `json:"strata"`
	// Statistic is with continuity correction, of one degree of freedom.
	Statistic float64 `json:"statistic"`
	P         float64 `json:"p"`
	PAdjusted float64 `json:"p_adjusted"`
	// OddsRatio is the common one of Mantel and Haenszel, with bounds at 95 % (J. Robins, N. Breslow, S. Greenland, 1986). nil: it is none.
	OddsRatio *float64 `json:"odds_ratio,omitempty"`
	Low       *float64 `json:"odds_ratio_low,omitempty"`
	High      *float64 `json:"odds_ratio_high,omitempty"`
}

// CochranMantelHaenszel tells whether the first group differs from the second within strata (W. Cochran, 1954; N. Mantel, W. Haenszel, 1959). nil: no stratum can tell.
func CochranMantelHaenszel(strata []Fourfold) *Stratified {
	var delta, variance, r, s, rr, rs, ss float64
	out := &Stratified{}
	for _, f := range strata {
		a, b, c, d := float64(f.Good1), float64(f.Bad1), float64(f.Good2), float64(f.Bad2)
		n := a + b + c + d
		if (a+b) == 0 || (c+d) == 0 || (a+c) == 0 || (b+d) == 0 {
			continue
		}
		out.Strata++
		delta += a - (a+b)*(a+c)/n
		variance += (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1))
		p, q, x, y := (a+d)/n, (b+c)/n, a*d/n, b*c/n
		r, s = r+x, s+y
		rr, rs, ss = rr+p*x, rs+p*y+q*x, ss+q*y
	}
	if out.Strata == 0 {
		return nil
	}
	correction := 0.0
	if math.Abs(delta) >= 0.5 {
		correction = 0.5
	}
	out.Statistic = math.Pow(math.Abs(delta)-correction, 2) / variance
	out.P = math.Erfc(math.Sqrt(out.Statistic / 2))
	out.PAdjusted = out.P
	if r > 0 && s > 0 {
		odds := r / s
		deviation := math.Sqrt(rr/(2*r*r) + rs/(2*r*s) + ss/(2*s*s))
		const normal = 1.959963984540054
		low, high := odds*math.Exp(-normal*deviation), odds*math.Exp(normal*deviation)
		out.OddsRatio, out.Low, out.High = &odds, &low, &high
	}
	return out
}

// Association is how far two columns go together, by how many rows have each pair of values: Cramér's V, the same without what chance adds to it (W. Bergsma, 2013), and the mutual
// information in nats with the share of the second column's entropy that it is. Of fewer than two values on either side all are 0.
func Association(table [][]int64) (v, corrected, nats, share float64) {
	if len(table) == 0 {
		return 0, 0, 0, 0
	}
	var n float64
	across, down := make([]float64, len(table)), make([]float64, len(table[0]))
	for i, row := range table {
		for k, rows := range row {
			n, across[i], down[k] = n+float64(rows), across[i]+float64(rows), down[k]+float64(rows)
		}
	}
	some := func(sums []float64) (count float64) {
		for _, s := range sums {
			if s > 0 {
				count++
			}
		}
		return count
	}
	r, k := some(across), some(down)
	if r < 2 || k < 2 {
		return 0, 0, 0, 0
	}
	var chi, entropy float64
	for i, row := range table {
		for j, rows := range row {
			expected := across[i] * down[j] / n
			if expected == 0 {
				continue
			}
			found := float64(rows)
			chi += (found - expected) * (found - expected) / expected
			if found > 0 {
				nats += found / n * math.Log(found/expected)
			}
		}
	}
	for _, d := range down {
		if d > 0 {
			entropy -= d / n * math.Log(d/n)
		}
	}
	v = math.Sqrt(chi / n / (min(r, k) - 1))
	if n > 1 {
		phi := max(0, chi/n-(r-1)*(k-1)/(n-1))
		if least := min(r-(r-1)*(r-1)/(n-1), k-(k-1)*(k-1)/(n-1)) - 1; least > 0 {
			corrected = math.Sqrt(phi / least)
		}
	}
	nats = max(nats, 0)
	return min(v, 1), min(corrected, 1), nats, nats / entropy
}
