package dataset

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/axiomhq/hyperloglog"
	"github.com/zeebo/xxh3"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/window"
)

// Summarizer names how columns are summed up: the same name, the same summaries of the same values.
const Summarizer = "1: exact means; distinct values by XXH3-64, exact up to 2048, then axiomhq/hyperloglog 0.3 with 2^14 registers"

// Summary describes the values of a column that are there: not NULL, and of floats not NaN.
type Summary struct {
	// Min and Max are literals that feature.ValueOf reads. nil where there are no values, of bytes, lists and vectors, and of
	// text longer than maxSummaryText. Times are cut to the years 1 to 9999.
	Min feature.Literal `json:"min,omitempty"`
	Max feature.Literal `json:"max,omitempty"`
	// Mean is of numbers, rounded once. nil where there are no values, or one is infinite.
	Mean *float64 `json:"mean,omitempty"`
	NaNs int64    `json:"nans,omitempty"`
	// Distinct is an estimate beyond maxExact.
	Distinct int64 `json:"distinct"`
}

// maxSummaryText is the bytes of the longest text that a summary shows.
const maxSummaryText = 256

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

// summarizer sums up one column. Its memory is bounded whatever it is given, and what it finds does not depend on the order.
type summarizer struct {
	kind feature.Type
	some bool
	// low and high are the least and the greatest of numbers of 64 bits that are compared as they are, lowFloat and highFloat
	// those of floats, min and max those of other types.
	low, high           int64
	lowFloat, highFloat float64
	min, max            feature.Value
	mean                *window.Mean
	nans                int64
	distinct            distinct
	// truths says which of the two bools there are.
	truths [2]bool
	buf    []byte
}

func newSummarizer(t feature.Type) *summarizer {
	return &summarizer{
		kind: t.Kind(), mean: window.NewMean(t), low: math.MaxInt64, high: math.MinInt64, lowFloat: math.Inf(1), highFloat: math.Inf(-1),
	}
}

// add takes a value of the column's type that is not NULL.
func (s *summarizer) add(v feature.Value) {
	switch s.kind {
	case feature.TypeFloat64:
		f := v.Float64()
		if f != f {
			s.nans++
			return
		}
		if f == 0 {
			// The two zeros are one value.
			f = 0
		}
		s.some = true
		if f < s.lowFloat {
			s.lowFloat = f
		}
		if f > s.highFloat {
			s.highFloat = f
		}
		s.mean.AddFloat64(f)
		s.distinct.add(mix(math.Float64bits(f)))
	case feature.TypeInt64:
		n := v.Int64()
		s.some, s.low, s.high = true, min(s.low, n), max(s.high, n)
		s.mean.AddInt64(n)
		s.distinct.add(mix(uint64(n)))
	case feature.TypeTimestamp:
		n := int64(v.Timestamp())
		s.some, s.low, s.high = true, min(s.low, n), max(s.high, n)
		s.distinct.add(mix(uint64(n)))
	case feature.TypeString:
		s.bounds(v)
		s.distinct.add(xxh3.HashString(v.Str()))
	case feature.TypeBool:
		if v.Bool() {
			s.truths[1] = true
		} else {
			s.truths[0] = true
		}
	case feature.TypeDecimal:
		s.bounds(v)
		s.mean.Add(v)
		c := v.Decimal()
		s.distinct.add(mix(c.Lo ^ mix(uint64(c.Hi))))
	case feature.TypeBytes:
		s.distinct.add(xxh3.HashString(v.Str()))
	default:
		s.buf = v.AppendCanonical(s.buf[:0])
		s.distinct.add(xxh3.Hash(s.buf))
	}
}

func (s *summarizer) bounds(v feature.Value) {
	switch {
	case !s.some:
		s.min, s.max, s.some = v.Clone(), v.Clone(), true
	case v.Compare(s.min) < 0:
		s.min = v.Clone()
	case v.Compare(s.max) > 0:
		s.max = v.Clone()
	}
}

func (s *summarizer) summary() *Summary {
	out := &Summary{NaNs: s.nans, Distinct: s.distinct.count()}
	out.Min, out.Max = s.least()
	if s.mean != nil {
		if f, ok := s.mean.Float64(); ok {
			out.Mean = &f
		}
	}
	for _, there := range s.truths {
		if there {
			out.Distinct++
		}
	}
	return out
}

// least is the least and the greatest value, as literals.
func (s *summarizer) least() (least, greatest feature.Literal) {
	switch {
	case s.truths[0] || s.truths[1]:
		return !s.truths[0], s.truths[1]
	case !s.some:
		return nil, nil
	}
	switch s.kind {
	case feature.TypeFloat64:
		return floatLiteral(s.lowFloat), floatLiteral(s.highFloat)
	case feature.TypeInt64:
		return feature.Int64(s.low).Text(), feature.Int64(s.high).Text()
	case feature.TypeTimestamp:
		return timeLiteral(s.low), timeLiteral(s.high)
	}
	return textLiteral(s.min), textLiteral(s.max)
}

func floatLiteral(f float64) feature.Literal {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return f
}

func timeLiteral(n int64) feature.Literal { return feature.TimeOf(feature.Time(n).Calendar()).String() }

func textLiteral(v feature.Value) feature.Literal {
	if len(v.Str()) > maxSummaryText {
		return nil
	}
	return v.Text()
}

// mix spreads the bits of a number over 64 others, one to one (the finalizer of SplitMix64: G. Steele, D. Lea, C. Flood, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// distinct counts the different ones of hashes: each of them while there are few, by HyperLogLog beyond. Registers of it only
// ever grow to the greatest that any hash asks for, and all hashes of the few are given to it, so no order of them matters.
type distinct struct {
	// few is a table of hashes with open addressing; 0 is a free place, and counted aside.
	few  []uint64
	n    int
	zero bool
	last uint64
	many *hyperloglog.Sketch
}

// maxExact is how many distinct values are counted one by one.
const maxExact = 2048

func (d *distinct) add(hash uint64) {
	if hash == d.last {
		// Also 0, before anything was added: it is counted aside.
		d.zero = d.zero || hash == 0
		return
	}
	d.last = hash
	switch {
	case d.many != nil:
		d.many.InsertHash(hash)
	case hash == 0:
		d.zero = true
	default:
		d.insert(hash)
	}
}

func (d *distinct) insert(hash uint64) {
	if 2*d.n >= len(d.few) {
		if d.n >= maxExact {
			d.overflow(hash)
			return
		}
		old := d.few
		d.few = make([]uint64, max(16, 2*len(old)))
		for _, h := range old {
			if h != 0 {
				d.few[d.place(h)] = h
			}
		}
	}
	at := d.place(hash)
	if d.few[at] == 0 {
		d.few[at] = hash
		d.n++
	}
}

// place is where a hash is, or is to be.
func (d *distinct) place(hash uint64) int {
	mask := len(d.few) - 1
	at := int(bits.RotateLeft64(hash, 32)) & mask
	for d.few[at] != 0 && d.few[at] != hash {
		at = (at + 1) & mask
	}
	return at
}

// overflow goes over to HyperLogLog with one more hash, unless that is among the few.
func (d *distinct) overflow(hash uint64) {
	if d.few[d.place(hash)] == hash {
		return
	}
	d.many = hyperloglog.NewNoSparse()
	for _, h := range d.few {
		if h != 0 {
			d.many.InsertHash(h)
		}
	}
	if d.zero {
		d.many.InsertHash(0)
	}
	d.many.InsertHash(hash)
	d.few = nil
}

func (d *distinct) count() int64 {
	switch {
	case d.many != nil:
		return int64(d.many.Estimate())
	case d.zero:
		return int64(d.n) + 1
	}
	return int64(d.n)
}
