package performance

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/quality/drift"
)

// Kind is what a slice is of. Upstream kinds come first, and before others that stand out as much.
type Kind int

// The kinds.
const (
	OfLoad Kind = iota
	OfRun
	OfSource
	OfNulls
	OfFeature
)

// Upstream reports whether a slice of the kind names something that is loaded or computed.
func (k Kind) Upstream() bool { return k <= OfSource }

// Slice is a part of the predictions.
type Slice struct {
	Kind Kind
	Name string
	// In are the positions of its points since, and Before of those that were like it before, whose excess is usual: of a load those of its source, of a run those of its
	// view.
	In, Before []int
}

// Judged is a slice with what is found of it.
type Judged struct {
	Slice
	// Excess is beyond what is usual.
	Excess Excess
	// Usual is the difference of before, of its entities and of what is like it.
	Usual float64
	// P is the chance of such an excess by itself, and Q that corrected for all slices that were tested.
	P, Q float64
	// Tested says that it has enough to tell.
	Tested bool
}

// StandsOut reports whether the slice is worse than the rest, by more than chance.
func (j *Judged) StandsOut() bool { return j.Tested && j.Q <= FalseDiscoveries && j.Excess.Value > 0 }

// Verdict is what a model's loss comes from.
type Verdict string

// The verdicts.
const (
	UpstreamSuspect    Verdict = "UPSTREAM_SUSPECT"
	UniformDecay       Verdict = "UNIFORM_DECAY"
	LabelIssue         Verdict = "LABEL_ISSUE"
	InsufficientLabels Verdict = "INSUFFICIENT_LABELS"
	NoDecay            Verdict = "NO_DECAY"
)

const (
	// LeastLabels is how many outcomes must be known, since and before, and LeastInSlice in a slice and at the same time outside of it.
	LeastLabels, LeastInSlice = 50, 10
	// FalseDiscoveries is the share of slices that stand out by mistake, at most, on average.
	FalseDiscoveries = 0.05
	// sure is the chance below which labels or losses changed.
	sure = 0.001
	// moved is the stability index from which on it matters.
	moved = 0.1
	// leastOfClass is of how many of each class scores must tell outcomes apart, or upside down.
	leastOfClass = 10
	// asKnown is the part of the coverage before from which on outcomes are taken to be as complete. Below it those that come late are missing, which may be of one kind.
	asKnown = 0.8
)

// Period is what was predicted and found in a time.
type Period struct {
	Points   []Point
	Examples []Example
	// Predictions are how many there are, with those whose outcome is not known. 0: as many as points.
	Predictions int64
}

// coverage is the share whose outcome is known.
func (p Period) coverage() float64 {
	return float64(len(p.Points)) / float64(max(p.Predictions, int64(len(p.Points)), 1))
}

// Attribution is a verdict with what it stands on.
type Attribution struct {
	Verdict Verdict
	Reason  string
	// Slices are those that were given, those that stand out most first; of equal ones loads before runs before sources before others.
	Slices []Judged
	// Suspect is the first upstream one that stands out. nil: none does.
	Suspect *Judged
	// Before and Since are the mean losses. nil: none is known.
	Before, Since *Estimate
	// Worse is the chance of such a difference by itself. NaN: there is nothing to compare.
	Worse float64
	// LabelsMoved and PredictionsMoved are the stability indices of outcomes and of predictions, since against before. NaN: there is nothing to compare.
	LabelsMoved, PredictionsMoved float64
}

// Attribute finds what a model's loss since a time comes from, by what was before it.
func (m Model) Attribute(before, since Period, list []Slice) *Attribution {
	a := &Attribution{Before: meanLoss(before.Points), Since: meanLoss(since.Points), Worse: math.NaN(), LabelsMoved: math.NaN(), PredictionsMoved: math.NaN()}
	a.Slices = judge(before.Points, since.Points, list)
	for i := range a.Slices {
		if a.Slices[i].Kind.Upstream() && a.Slices[i].StandsOut() {
			a.Suspect = &a.Slices[i]
			break
		}
	}
	if len(since.Points) < LeastLabels {
		a.Verdict, a.Suspect = InsufficientLabels, nil
		a.Reason = fmt.Sprintf("%d outcomes of predictions since are known, and at least %d are needed", len(since.Points), LeastLabels)
		return a
	}
	comparable := len(before.Points) >= LeastLabels
	if comparable {
		a.Worse = welch(before.Points, since.Points)
		if a.Verdict, a.Reason = m.labels(a, before, since); a.Verdict != "" {
			return a
		}
	}
	switch {
	case a.Suspect != nil:
		a.Verdict = UpstreamSuspect
		a.Reason = fmt.Sprintf("%s has a loss of %.4g more than the rest at the same time (q %.2g)", a.Suspect.Name, a.Suspect.Excess.Value, a.Suspect.Q)
	case !comparable:
		a.Verdict = InsufficientLabels
		a.Reason = fmt.Sprintf("no load, run or source stands out, and %d outcomes of before are known, of which at least %d are needed to tell whether the model became worse",
			len(before.Points), LeastLabels)
	case a.Worse < sure:
		a.Verdict = UniformDecay
		a.Reason = fmt.Sprintf("the loss went from %.4g to %.4g, and no load, run or source stands out", a.Before.Value, a.Since.Value)
		if others := standing(a.Slices); len(others) > 0 {
			a.Reason += "; what does is " + strings.Join(others, ", ")
		}
	default:
		a.Verdict = NoDecay
		a.Reason = fmt.Sprintf("the loss went from %.4g to %.4g, which is not more than chance, and no load, run or source stands out", a.Before.Value, a.Since.Value)
	}
	return a
}

// standing are the names of the first slices that stand out.
func standing(list []Judged) (names []string) {
	for i := range list {
		if list[i].StandsOut() && len(names) < 3 {
			names = append(names, list[i].Name)
		}
	}
	return names
}

func meanLoss(points []Point) *Estimate {
	losses := make([]float64, len(points))
	for i, p := range points {
		losses[i] = p.Loss
	}
	return Mean(losses)
}

// welch is the chance that the loss since is that much greater than before by itself.
func welch(before, since []Point) float64 {
	a, b := meanLoss(before), meanLoss(since)
	difference := b.Value - a.Value
	if se := math.Hypot((a.High-a.Value)/z95, (b.High-b.Value)/z95); difference > noise*(math.Abs(a.Value)+math.Abs(b.Value)) {
		return above(difference / se)
	}
	return 1
}

// judge compares each slice with the rest, and all together.
func judge(before, since []Point, list []Slice) []Judged {
	out := make([]Judged, len(list))
	before, since = slices.Clone(before), slices.Clone(since)
	usualOf(before, since)
	var tested []int
	var chances []float64
	for i, s := range list {
		excess, by := compare(since, s.In)
		j := Judged{Slice: s, P: 1, Q: 1, Excess: excess}
		if j.Tested = excess.Enough(); j.Tested {
			if usual, usually := compare(before, s.Before); usual.Enough() {
				j.Excess = excess.less(by, usual, usually)
			}
			j.Usual = excess.raw - j.Excess.Value
			j.P = j.Excess.Chance()
			tested, chances = append(tested, i), append(chances, j.P)
		}
		out[i] = j
	}
	for k, q := range BenjaminiHochberg(chances) {
		out[tested[k]].Q = q
	}
	slices.SortStableFunc(out, func(a, b Judged) int {
		return cmp.Or(cmp.Compare(b.rank(), a.rank()), cmp.Compare(a.Kind, b.Kind), cmp.Compare(b.Excess.In, a.Excess.In), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// rank is how sure it is that a slice is worse, in standard errors, rounded so that equal slices are equal whatever order they were added up in.
func (j *Judged) rank() float64 {
	switch {
	case !j.Tested:
		return math.Inf(-1)
	case j.Excess.SE == 0:
		return math.Copysign(math.MaxFloat64, j.Excess.Value) * min(1, math.Abs(j.Excess.Value))
	}
	return math.Round(j.Excess.Value/j.Excess.SE*1e6) / 1e6
}

// labels is why outcomes are to be doubted rather than predictions, none if they are not: what was predicted is as it was, and outcomes moved or are upside down. If they moved
// while fewer are known, they may be those that are known early.
func (m Model) labels(a *Attribution, was, is Period) (Verdict, string) {
	before, since := was.Examples, is.Examples
	var labelled, predicted moves
	if m.Task == Regression {
		labelled = movesOfNumbers(before, since, func(e Example) float64 { return e.Found })
		predicted = movesOfNumbers(before, since, func(e Example) float64 { return e.Value })
	} else {
		labelled = movesOfClasses(before, since, func(e Example) string { return e.Actual })
		if m.Scored {
			predicted = movesOfNumbers(before, since, func(e Example) float64 { return e.Score })
		} else {
			predicted = movesOfClasses(before, since, func(e Example) string { return e.Predicted })
		}
	}
	a.LabelsMoved, a.PredictionsMoved = labelled.index, predicted.index
	if predicted.are() {
		return "", ""
	}
	if m.Task == Classification && m.Positive != "" && m.bothClasses(before) && m.bothClasses(since) {
		was, is := m.Measure(int64(len(before)), before).AUC, m.Measure(int64(len(since)), since).AUC
		if was != nil && is != nil && was.Low > 0.5 && is.High < 0.5 {
			return LabelIssue, fmt.Sprintf("scores told outcomes apart before (AUC %.3f) and tell them upside down since (AUC %.3f): look at how labels are made before anything else", was.Value, is.Value)
		}
	}
	switch {
	case !labelled.are():
		return "", ""
	case is.coverage() < asKnown*was.coverage():
		return InsufficientLabels, fmt.Sprintf("outcomes moved (stability index %.3f) and what was predicted did not (%.3f), but %.0f%% of outcomes since are known against %.0f%% before: those that come later may be of other kinds",
			labelled.index, predicted.index, 100*is.coverage(), 100*was.coverage())
	}
	return LabelIssue, fmt.Sprintf("outcomes moved (stability index %.3f) and what was predicted did not (%.3f): look at how labels are made before the model is trained anew", labelled.index, predicted.index)
}

// bothClasses reports whether there are enough of the positive class and of others.
func (m Model) bothClasses(list []Example) bool {
	n := 0
	for _, e := range list {
		if e.Actual == m.Positive {
			n++
		}
	}
	return min(n, len(list)-n) >= leastOfClass
}

// moves is how far a distribution moved.
type moves struct{ index, floor float64 }

func (m moves) are() bool { return m.index >= moved && m.index > m.floor }

func movesOf(before, since []float64) moves {
	n, k := 0.0, 0.0
	for i := range before {
		n, k = n+before[i], k+since[i]
	}
	return moves{drift.PSI(before, since), drift.PSIFloor(n, k, len(before))}
}

func movesOfClasses(before, since []Example, of func(Example) string) moves {
	at := map[string]int{}
	var counts [2][]float64
	for k, list := range [][]Example{before, since} {
		for _, e := range list {
			i, known := at[of(e)]
			if !known {
				i = len(at)
				at[of(e)] = i
				counts[0], counts[1] = append(counts[0], 0), append(counts[1], 0)
			}
			counts[k][i]++
		}
	}
	return movesOf(counts[0], counts[1])
}

// movesOfNumbers cuts at the deciles of before.
func movesOfNumbers(before, since []Example, of func(Example) float64) moves {
	values := make([]float64, len(before))
	for i, e := range before {
		values[i] = of(e)
	}
	edges := Quantiles(values, 10)
	var counts [2][]float64
	for k, list := range [][]Example{before, since} {
		counts[k] = make([]float64, len(edges)+1)
		for _, e := range list {
			counts[k][BucketOf(edges, of(e))]++
		}
	}
	return movesOf(counts[0], counts[1])
}

// Quantiles are values that cut a list into n parts of about one size, ascending, each once. The list is sorted.
func Quantiles(values []float64, n int) (edges []float64) {
	slices.Sort(values)
	for i := 1; i < n && len(values) > 0; i++ {
		edges = append(edges, values[min(len(values)-1, i*len(values)/n)])
	}
	return slices.Compact(edges)
}

// BucketOf is which part a value is in: the i-th ends before the i-th edge.
func BucketOf(edges []float64, v float64) int {
	i, is := slices.BinarySearch(edges, v)
	if is {
		i++
	}
	return i
}
