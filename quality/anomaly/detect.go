package anomaly

import (
	"math"
	"slices"
	"time"
)

// Point is what was measured at a time.
type Point struct {
	At    time.Time
	Value float64
}

// State is what a number is told to be.
type State string

const (
	Normal    State = "NORMAL"
	Anomalous State = "ANOMALOUS"
	// NotEnoughData: fewer than MinPoints were measured before.
	NotEnoughData State = "NOT_ENOUGH_DATA"
)

const (
	// MinPoints is how many numbers there must be to hold one to.
	MinPoints = 8
	// minOfWeekday is how many of a day of the week there must be, for each that counts, to hold a number to those of its day: four weeks of days.
	minOfWeekday = 4
	// Threshold is from which robust z on a number is unlike others (B. Iglewicz, D. Hoaglin, How to detect and handle outliers, 1993).
	Threshold = 3.5
	// normal makes of a median absolute deviation a standard deviation, of normally distributed numbers.
	normal = 1.482602218505602
)

// Floor is by how much a number has to differ at least from what is expected: by a share of that, and by an amount.
type Floor struct{ Relative, Absolute float64 }

// Finding is what a number was held to.
type Finding struct {
	State State
	// Expected is the median of the numbers before, or of those of the same day of the week where Seasonal.
	Expected float64
	// Z is by how many deviations it lies above. Infinite where the others do not differ.
	Z        float64
	Points   int
	Seasonal bool
}

// Detect holds a point to those before it, in any order; points that are no numbers are left out, and so is one of the same time as the tested.
func Detect(tested Point, history []Point, floor Floor) Finding {
	history = slices.DeleteFunc(slices.Clone(history), func(p Point) bool {
		return math.IsNaN(p.Value) || math.IsInf(p.Value, 0) || p.At.Equal(tested.At)
	})
	f := Finding{State: NotEnoughData, Points: len(history)}
	if len(history) < MinPoints || math.IsNaN(tested.Value) {
		return f
	}
	values := make([]float64, len(history))
	for i, p := range history {
		values[i] = p.Value
	}
	f.Expected = median(values)
	scale := deviation(values, f.Expected)
	if expected, ofDays, points, ok := byWeekday(tested, history); ok && ofDays < scale {
		f.Expected, scale, f.Points, f.Seasonal = expected, ofDays, points, true
	}
	off := tested.Value - f.Expected
	switch {
	case off == 0:
	case scale == 0:
		f.Z = math.Copysign(math.Inf(1), off)
	default:
		f.Z = off / scale
	}
	f.State = Normal
	if math.Abs(f.Z) > Threshold && math.Abs(off) > max(floor.Relative*math.Abs(f.Expected), floor.Absolute) {
		f.State = Anomalous
	}
	return f
}

// byWeekday holds each number to the median of its day of the week, in UTC. ok: there are enough of the tested one's day.
func byWeekday(tested Point, history []Point) (expected, scale float64, points int, ok bool) {
	var days [7][]float64
	for _, p := range history {
		d := p.At.UTC().Weekday()
		days[d] = append(days[d], p.Value)
	}
	own := days[tested.At.UTC().Weekday()]
	if len(own) < minOfWeekday {
		return 0, 0, 0, false
	}
	var residuals []float64
	for _, values := range days {
		if len(values) < minOfWeekday {
			continue
		}
		m := median(values)
		for _, v := range values {
			// The median of few lies nearer to them than to others.
			residuals = append(residuals, (v-m)*math.Sqrt(float64(len(values))/float64(len(values)-1)))
		}
	}
	if len(residuals) < MinPoints {
		return 0, 0, 0, false
	}
	return median(own), deviation(residuals, 0), len(residuals), true
}

// deviation is the median absolute deviation from a centre, as a standard deviation.
func deviation(values []float64, centre float64) float64 {
	off := make([]float64, len(values))
	for i, v := range values {
		off[i] = math.Abs(v - centre)
	}
	return normal * median(off)
}

// median of numbers; of an even number of them the mean of the two in the middle.
func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	if n%2 == 1 {
		return values[n/2]
	}
	return values[n/2-1]/2 + values[n/2]/2
}
