package drift

import (
	"fmt"
	"maps"
	"slices"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/quality/profile"
)

// Verdict is what a comparison comes to.
type Verdict string

const (
	// OK: it is not more than the thresholds say, and there is enough data to tell.
	OK   Verdict = "OK"
	Warn Verdict = "WARN"
	Fail Verdict = "FAIL"
	// NotEnoughData: samples of these sizes could differ by more than the threshold on their own.
	NotEnoughData Verdict = "NOT_ENOUGH_DATA"
	// NoBaseline: there is nothing to compare with.
	NoBaseline Verdict = "NO_BASELINE"
)

// Thresholds are of the population stability index.
type Thresholds struct{ Warn, Fail float64 }

// DefaultThresholds are those of definitions that say nothing else.
var DefaultThresholds = Thresholds(feature.DefaultDrift)

const (
	// parts is into how many a baseline is cut: deciles, with open ends.
	parts = 10
	// minRows is what either sample has to have at least.
	minRows = 30
)

// Bucket is the rows of both samples that have a value of it.
type Bucket struct {
	// Label is `NULL`, `NaN`, `-Infinity`, `Infinity`, `below X`, `X to Y`, `from X`, `value` of those that are counted one by one, and `other` of all that
	// are there where none of these can be told apart.
	Label             string
	Baseline, Current int64
}

// Report is how far two samples of a column lie apart.
type Report struct {
	Verdict Verdict
	// Reason says why, for people.
	Reason            string
	Baseline, Current int64
	Buckets           []Bucket
	// PSI and what follows are over the buckets. Floor is what PSI is below by chance.
	PSI, Floor                       float64
	JSDistanceNats, JSDivergenceBits float64
	LInfinity                        float64
	ChiSquare                        float64
	ChiSquareFreedom                 int
	ChiSquareP                       float64
	// KS and Wasserstein are of finite numbers, as the sketches have them; KSFloor is what KS is below by chance. nil: either sample has none.
	KS, KSFloor, Wasserstein *float64
	// Unseen is the share of the current values that the baseline has none of. nil: not all values of both are counted.
	Unseen *float64
	// Completeness is by how much the share of values that are there has grown.
	Completeness float64
}

// Compare holds a column to its baseline, nil for none.
func Compare(baseline, current *profile.Column, t Thresholds) *Report {
	switch {
	case baseline == nil:
		return &Report{Verdict: NoBaseline, Reason: "there is no baseline"}
	case current == nil:
		return &Report{Verdict: NotEnoughData, Reason: "there is no such column to compare"}
	case baseline.Type != current.Type:
		return &Report{Verdict: NoBaseline, Reason: fmt.Sprintf("the baseline is of a %s, and the column a %s", baseline.Type, current.Type)}
	}
	r := &Report{Baseline: rowsOf(baseline), Current: rowsOf(current)}
	var uncounted bool
	r.Buckets, r.Unseen, uncounted = buckets(baseline, current)
	a, b := make([]float64, len(r.Buckets)), make([]float64, len(r.Buckets))
	for i, bucket := range r.Buckets {
		a[i], b[i] = float64(bucket.Baseline), float64(bucket.Current)
	}
	n, m := float64(r.Baseline), float64(r.Current)
	r.PSI, r.Floor = PSI(a, b), PSIFloor(n, m, len(r.Buckets))
	r.JSDistanceNats, r.JSDivergenceBits, r.LInfinity = JSDistanceNats(a, b), JSDivergenceBits(a, b), LInfinity(a, b)
	r.ChiSquare, r.ChiSquareFreedom, r.ChiSquareP = ChiSquare(a, b)
	if n > 0 && m > 0 {
		r.Completeness = float64(current.Present())/m - float64(baseline.Present())/n
	}
	if p, q := points(baseline), points(current); len(p) > 0 && len(q) > 0 {
		ks, moved := KolmogorovSmirnov(p, q), Wasserstein(p, q)
		floor := KSFloor(rowsIn(p), rowsIn(q))
		r.KS, r.KSFloor, r.Wasserstein = &ks, &floor, &moved
	}
	r.judge(t)
	if uncounted && r.Verdict == OK {
		r.Verdict, r.Reason = NotEnoughData, "either sample has more than 256 different values, which are not counted one by one; what is missing does not differ"
	}
	return r
}

func (r *Report) judge(t Thresholds) {
	switch {
	case r.Baseline < minRows || r.Current < minRows:
		r.Verdict, r.Reason = NotEnoughData, fmt.Sprintf("the baseline has %d rows and the sample %d, expected at least %d of each", r.Baseline, r.Current, minRows)
	case r.PSI > r.Floor && r.PSI >= t.Fail:
		r.Verdict, r.Reason = Fail, fmt.Sprintf("PSI is %.4g, expected less than %v", r.PSI, t.Fail)
	case r.PSI > r.Floor && r.PSI >= t.Warn:
		r.Verdict, r.Reason = Warn, fmt.Sprintf("PSI is %.4g, expected less than %v", r.PSI, t.Warn)
	case r.Floor >= t.Warn:
		r.Verdict, r.Reason = NotEnoughData, fmt.Sprintf("PSI is %.4g, and samples of %d and %d rows may have %.4g by chance, expected less than %v", r.PSI, r.Baseline, r.Current,
			r.Floor, t.Warn)
	default:
		r.Verdict, r.Reason = OK, fmt.Sprintf("PSI is %.4g", r.PSI)
	}
}

func rowsOf(c *profile.Column) int64 { return c.Present() + c.Nulls() + c.NaNs() }

// buckets are those of what is missing or infinite, where either sample has any, and of values: of numbers the deciles of the baseline, of others each
// value, or all of them in one where these are not counted.
func buckets(baseline, current *profile.Column) (list []Bucket, unseen *float64, uncounted bool) {
	add := func(label string, a, b int64) {
		if a > 0 || b > 0 {
			list = append(list, Bucket{label, a, b})
		}
	}
	add("NULL", baseline.Nulls(), current.Nulls())
	add("NaN", baseline.NaNs(), current.NaNs())
	p, countedP := baseline.Frequencies()
	q, countedQ := current.Frequencies()
	if countedP && countedQ && current.Present() > 0 {
		var news int64
		for hash, rows := range q {
			if p[hash] == 0 {
				news += rows
			}
		}
		share := float64(news) / float64(current.Present())
		unseen = &share
	}
	switch {
	case baseline.Numeric():
		aPositive, aNegative := baseline.InfinitiesBySign()
		bPositive, bNegative := current.InfinitiesBySign()
		add("-Infinity", aNegative, bNegative)
		edges := baseline.Edges(parts, current)
		a, b := baseline.Counts(edges), current.Counts(edges)
		for i := range a {
			add(labelOf(edges, i), a[i], b[i])
		}
		add("Infinity", aPositive, bPositive)
	case countedP && countedQ:
		for _, v := range union(p, q) {
			add("value", p[v], q[v])
		}
	default:
		add("other", baseline.Present(), current.Present())
		uncounted = true
	}
	return list, unseen, uncounted
}

// union are the values of both, ascending by hash, so that sums over them are of one order.
func union(p, q map[uint64]int64) []uint64 {
	list := slices.Collect(maps.Keys(p))
	for v := range q {
		if _, ok := p[v]; !ok {
			list = append(list, v)
		}
	}
	slices.Sort(list)
	return list
}

func labelOf(edges []float64, i int) string {
	switch {
	case len(edges) == 0:
		return "any number"
	case i == 0:
		return fmt.Sprintf("below %.6g", edges[0])
	case i == len(edges):
		return fmt.Sprintf("from %.6g", edges[i-1])
	}
	return fmt.Sprintf("%.6g to %.6g", edges[i-1], edges[i])
}

func points(c *profile.Column) []Point {
	var list []Point
	c.EachNumber(func(value float64, rows int64) { list = append(list, Point{value, float64(rows)}) })
	return list
}

func rowsIn(points []Point) (sum float64) {
	for _, p := range points {
		sum += p.Rows
	}
	return sum
}
