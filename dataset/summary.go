package dataset

import (
	"fmt"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/quality/profile"
)

// Summarizer names how columns are summed up: the same name, the same summaries of the same values.
const Summarizer = "1: exact means; " + profile.Distinct

// Summary describes the values of a column that are there: not NULL, and of floats not NaN.
type Summary struct {
	// Min and Max are literals that feature.ValueOf reads. nil where there are no values, of bytes, lists and vectors, and of
	// text longer than 256 bytes. Times are cut to the years 1 to 9999.
	Min feature.Literal `json:"min,omitempty"`
	Max feature.Literal `json:"max,omitempty"`
	// Mean is of numbers, rounded once. nil where there are no values, or one is infinite.
	Mean *float64 `json:"mean,omitempty"`
	NaNs int64    `json:"nans,omitempty"`
	// Distinct is an estimate where there are many: see Summarizer.
	Distinct int64 `json:"distinct"`
}

func (s *Summary) equal(o *Summary) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.Min == o.Min && s.Max == o.Max && s.NaNs == o.NaNs && s.Distinct == o.Distinct &&
		(s.Mean == nil) == (o.Mean == nil) && (s.Mean == nil || *s.Mean == *o.Mean)
}

// String is the summary for a message.
func (s *Summary) String() string {
	if s == nil {
		return "no summary"
	}
	text := func(l feature.Literal) string {
		if l == nil {
			return "none"
		}
		return fmt.Sprint(l)
	}
	mean := "none"
	if s.Mean != nil {
		mean = fmt.Sprint(*s.Mean)
	}
	return fmt.Sprintf("least %s, greatest %s, mean %s, %d NaN, %d distinct", text(s.Min), text(s.Max), mean, s.NaNs, s.Distinct)
}

// summaryOf is what a manifest says of a column of a profile.
func summaryOf(c *profile.Column) *Summary {
	s := &Summary{NaNs: c.NaNs()}
	s.Min, s.Max = c.Bounds()
	s.Distinct, _ = c.Distinct()
	if c.Infinities() == 0 {
		s.Mean = c.Mean()
	}
	return s
}
