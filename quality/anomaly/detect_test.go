package anomaly

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var monday = time.Date(2024, 1, 1, 3, 0, 0, 0, time.UTC)

// daily are points a day apart, from a Monday on.
func daily(values ...float64) []Point {
	var points []Point
	for i, v := range values {
		points = append(points, Point{monday.AddDate(0, 0, i), v})
	}
	return points
}

// asked is the day after them.
func asked(history []Point, value float64) Point {
	return Point{monday.AddDate(0, 0, len(history)), value}
}

func TestWhatIsUnlike(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	eight := daily(100, 102, 98, 101, 99, 103, 97, 100)
	var weeks []Point
	for week := range 5 {
		for day := range 7 {
			v := 1000 + float64(week%2)
			if day > 4 {
				v = 100 + float64(week%2)
			}
			weeks = append(weeks, Point{monday.AddDate(0, 0, 7*week+day), v})
		}
	}
	saturday := func(v float64) Point { return Point{monday.AddDate(0, 0, 7*5+5), v} }
	for name, c := range map[string]struct {
		history  []Point
		tested   Point
		floor    Floor
		want     State
		expected float64
		seasonal bool
	}{
		"seven are too few":                      {eight[:7], asked(eight, 1e6), Floor{}, NotEnoughData, 0, false},
		"one that is no number does not count":   {append(daily(1, 1, 1, 1, 1, 1, 1), Point{monday, nan}), asked(eight, 5), Floor{}, NotEnoughData, 0, false},
		"the tested one is not among the others": {append(eight[:7:7], asked(eight, 100)), asked(eight, 100), Floor{}, NotEnoughData, 0, false},
		"usual":                                  {eight, asked(eight, 104), Floor{}, Normal, 100, false},
		"far above":                              {eight, asked(eight, 150), Floor{Relative: 0.1}, Anomalous, 100, false},
		"far below":                              {eight, asked(eight, 50), Floor{Relative: 0.1}, Anomalous, 100, false},
		"beyond the others, and near":            {eight, asked(eight, 109), Floor{Relative: 0.1}, Normal, 100, false},
		"the same without the floor":             {eight, asked(eight, 109), Floor{}, Anomalous, 100, false},
		"the others are all the same":            {daily(5, 5, 5, 5, 5, 5, 5, 5), asked(eight, 5.1), Floor{Relative: 0.1}, Normal, 5, false},
		"and it is another":                      {daily(5, 5, 5, 5, 5, 5, 5, 5), asked(eight, 6), Floor{Relative: 0.1}, Anomalous, 5, false},
		"and the same":                           {daily(5, 5, 5, 5, 5, 5, 5, 5), asked(eight, 5), Floor{}, Normal, 5, false},
		"nothing, within the amount":             {daily(0, 0, 0, 0, 0, 0, 0, 0), asked(eight, 0.005), Floor{Absolute: 0.01}, Normal, 0, false},
		"something, where there was nothing":     {daily(0, 0, 0, 0, 0, 0, 0, 0), asked(eight, 0.5), Floor{Absolute: 0.01}, Anomalous, 0, false},
		"a third of the others is spoilt":        {daily(100, 102, 1e9, 101, 99, 1e9, 97, 1e9, 100), saturday(500), Floor{Relative: 0.1}, Anomalous, 101, false},
		"no number":                              {eight, asked(eight, nan), Floor{}, NotEnoughData, 0, false},
		"infinite":                               {eight, asked(eight, inf), Floor{}, Anomalous, 100, false},
		"a Saturday like Saturdays":              {weeks, saturday(100), Floor{Relative: 0.1}, Normal, 100, true},
		"a Saturday like Mondays":                {weeks, saturday(1000), Floor{Relative: 0.1}, Anomalous, 100, true},
		"too few Saturdays to tell":              {weeks[:12], Point{monday.AddDate(0, 0, 12), 1000}, Floor{Relative: 0.1}, Normal, 1000, false},
	} {
		f := Detect(c.tested, c.history, c.floor)
		if f.State != c.want || f.Expected != c.expected || f.Seasonal != c.seasonal {
			t.Errorf("%s: found %+v, expected %s by %v, seasonal %t", name, f, c.want, c.expected, c.seasonal)
		}
	}
}

// Of numbers that are drawn alike hardly one is told to be unlike the others, with and without seasons.
func TestChanceIsHardlyAnAnomaly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	found := 0
	const rounds = 2000
	for range rounds {
		var history []Point
		for i := range 60 {
			history = append(history, Point{monday.AddDate(0, 0, i), 100 + r.NormFloat64()})
		}
		if Detect(asked(history, 100+r.NormFloat64()), history, Floor{}).State == Anomalous {
			found++
		}
	}
	if found > rounds/100 {
		t.Errorf("found %d of %d, expected less than one of a hundred", found, rounds)
	}
}
