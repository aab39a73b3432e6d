package drift

import (
	"math"
	"slices"
)

// confidence is how sure a noise floor is: of a thousand pairs of samples of one distribution, one is beyond it.
const confidence = 0.999

// PSIFloor is what the index of two samples of one distribution is below, but for one pair of a thousand: the index is about (1/n + 1/m) times a chi-square of
// one degree of freedom less than there are buckets (B. Yurdakul, Statistical properties of population stability index, 2018). Infinite where there are no rows.
func PSIFloor(n, m float64, buckets int) float64 {
	if n == 0 || m == 0 {
		return math.Inf(1)
	}
	if buckets < 2 {
		return 0
	}
	return (1/n + 1/m) * chiSquareQuantile(confidence, buckets-1)
}

// KSFloor is the same of the Kolmogorov-Smirnov statistic (N. Smirnov, 1948), and of the greatest difference of shares, which is less.
func KSFloor(n, m float64) float64 {
	if n == 0 || m == 0 {
		return math.Inf(1)
	}
	return math.Sqrt(-math.Log((1-confidence)/2)/2) * math.Sqrt((n+m)/(n*m))
}

// chiSquareAbove is the chance that a chi-square is greater than x.
func chiSquareAbove(x float64, freedom int) float64 {
	if x <= 0 {
		return 1
	}
	return upperGamma(float64(freedom)/2, x/2)
}

// chiSquareQuantile is what a chi-square is below with a chance.
func chiSquareQuantile(chance float64, freedom int) float64 {
	low, high := 0.0, float64(freedom)
	for chiSquareAbove(high, freedom) > 1-chance {
		high *= 2
	}
	for range 200 {
		if mid := (low + high) / 2; chiSquareAbove(mid, freedom) > 1-chance {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// upperGamma is the regularized upper incomplete gamma function: by its series where x is small, else by its continued fraction (M. Abramowitz, I. Stegun,
// 6.5.29 and 6.5.31).
func upperGamma(a, x float64) float64 {
	scale, _ := math.Lgamma(a)
	scale = math.Exp(a*math.Log(x) - x - scale)
	const terms, tiny = 10_000, 1e-300
	if x < a+1 {
		term := 1 / a
		sum := term
		for k := 1; k < terms && term > sum*1e-17; k++ {
			term *= x / (a + float64(k))
			sum += term
		}
		return max(1-sum*scale, 0)
	}
	b := x + 1 - a
	c, d := 1/tiny, 1/b
	h := d
	for k := 1; k < terms; k++ {
		an := -float64(k) * (float64(k) - a)
		b += 2
		if d = an*d + b; math.Abs(d) < tiny {
			d = tiny
		}
		if c = b + an/c; math.Abs(c) < tiny {
			c = tiny
		}
		d = 1 / d
		h *= d * c
		if math.Abs(d*c-1) < 1e-16 {
			break
		}
	}
	return scale * h
}

// ascending are the different ones.
func ascending(list []float64) []float64 {
	slices.Sort(list)
	return slices.Compact(list)
}
