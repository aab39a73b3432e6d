package performance

import (
	"math"
	"slices"
)

// z95 is what a normal variable lies within of its mean, in standard deviations, with a chance of 95%.
const z95 = 1.959963984540054

// Estimate is a measure with its interval of 95%, of N predictions.
type Estimate struct {
	Value, Low, High float64
	N                int64
}

// Share is k of n, with Wilson's interval (E. B. Wilson, 1927), which holds near 0 and 1 and for few. nil of none.
func Share(k, n int64) *Estimate {
	if n == 0 {
		return nil
	}
	p, m := float64(k)/float64(n), float64(n)
	centre := (p + z95*z95/(2*m)) / (1 + z95*z95/m)
	half := z95 / (1 + z95*z95/m) * math.Sqrt(p*(1-p)/m+z95*z95/(4*m*m))
	return &Estimate{Value: p, Low: max(0, centre-half), High: min(1, centre+half), N: n}
}

// Mean is that of values, with the normal interval of a mean. Of fewer than two the interval has no ends.
func Mean(values []float64) *Estimate {
	n := len(values)
	if n == 0 {
		return nil
	}
	mean, variance := moments(values)
	half := math.Inf(1)
	if n > 1 {
		half = z95 * math.Sqrt(variance/float64(n))
	}
	return &Estimate{Value: mean, Low: mean - half, High: mean + half, N: int64(n)}
}

// moments are mean and variance, the latter by n-1.
func moments(values []float64) (mean, variance float64) {
	for _, v := range values {
		mean += v
	}
	mean /= float64(len(values))
	for _, v := range values {
		variance += (v - mean) * (v - mean)
	}
	if len(values) > 1 {
		variance /= float64(len(values) - 1)
	}
	return mean, variance
}

// RMSE is the root of the mean of squares of errors; its interval is the root of that of the mean.
func RMSE(errors []float64) *Estimate {
	squares := make([]float64, len(errors))
	for i, e := range errors {
		squares[i] = e * e
	}
	m := Mean(squares)
	if m == nil {
		return nil
	}
	return &Estimate{Value: math.Sqrt(m.Value), Low: math.Sqrt(max(0, m.Low)), High: math.Sqrt(m.High), N: m.N}
}

// AUC is the chance that a positive has a higher score than a negative, ties as half, with the interval of DeLong, DeLong and Clarke-Pearson (1988), by midranks (X. Sun, W. Xu,
// 2014). nil without both.
func AUC(scores []float64, positive []bool) *Estimate {
	var of [2][]float64
	for i, s := range scores {
		k := 0
		if positive[i] {
			k = 1
		}
		of[k] = append(of[k], s)
	}
	m, n := float64(len(of[1])), float64(len(of[0]))
	if m == 0 || n == 0 {
		return nil
	}
	all := midranks(slices.Concat(of[1], of[0]))
	above := midranks(of[1])
	below := midranks(of[0])
	// Of each positive the share of negatives that it is above, of each negative that of positives that are above it.
	v10, v01 := make([]float64, len(of[1])), make([]float64, len(of[0]))
	for i := range v10 {
		v10[i] = (all[i] - above[i]) / n
	}
	for j := range v01 {
		v01[j] = 1 - (all[len(v10)+j]-below[j])/m
	}
	auc, s10 := moments(v10)
	_, s01 := moments(v01)
	half := math.Inf(1)
	if m > 1 && n > 1 {
		half = z95 * math.Sqrt(s10/m+s01/n)
	}
	return &Estimate{Value: auc, Low: max(0, auc-half), High: min(1, auc+half), N: int64(len(scores))}
}

// midranks are the ranks of values from 1 on, equal ones having their mean.
func midranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return a - b
	})
	ranks := make([]float64, len(values))
	for from := 0; from < len(order); {
		to := from
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			ranks[i] = float64(from+to+1) / 2
		}
		from = to
	}
	return ranks
}

// above is the chance that a standard normal variable is greater than z.
func above(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 }

// BenjaminiHochberg adjusts chances so that, of those that come out below q, a share of q at most is by mistake on average (Y. Benjamini, Y. Hochberg, 1995). In the order given.
func BenjaminiHochberg(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] > p[b]:
			return -1
		case p[a] < p[b]:
			return 1
		}
		return 0
	})
	q, least := make([]float64, len(p)), 1.0
	for k, i := range order {
		least = min(least, p[i]*float64(len(p))/float64(len(p)-k))
		q[i] = least
	}
	return q
}
