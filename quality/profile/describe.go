package profile

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/headwaterhq/headwater/feature"
)

// Quantiles are those that a description has.
var Quantiles = []float64{0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99}

// MaxTop is how many of the most frequent values a description has.
const MaxTop = 10

// minSampled is of how many sampled rows a value has to be to be told as frequent.
const minSampled = 5

// Description is what a profile says of a column.
type Description struct {
	Name string
	Type feature.Type
	Key  bool

	Nulls, NaNs, PositiveInfinities, NegativeInfinities, Empty int64
	// Distinct is of values that are there: not NULL, and of floats not NaN. It is an estimate unless exact.
	Distinct      int64
	DistinctExact bool
	// Values is nil where nobody may be shown what is of values: Withhold.
	Values *Values
}

// Values is what of a description tells of values.
type Values struct {
	// Min and Max are literals that feature.ValueOf reads; of text longer than 256 bytes, of bytes, lists and vectors there are none.
	Min, Max feature.Literal
	// Mean and StdDev, that of a sample, are of finite numbers, exact and rounded once.
	Mean, StdDev *float64
	// Quantiles are of finite numbers, in the order of Quantiles, each off by no more than QuantileError of itself.
	Quantiles     []float64
	QuantileError float64
	// Histogram is of finite numbers or of timestamps.
	Histogram []Bin
	// Top are the most frequent values, the first first. Unless exact, their rows are estimated from a sample of 256 rows, and only what is in
	// at least five of them is told.
	Top      []Frequent
	TopExact bool
	// Lengths are of text in characters, of bytes in bytes, of lists in elements.
	Lengths *Lengths
	// TrueShare is of bools.
	TrueShare *float64
}

// Bin is the numbers from From on and below To, in the last one with To.
type Bin struct {
	From, To feature.Literal
	Rows     int64
}

// Frequent is a value with the number of rows that have it.
type Frequent struct {
	// Value is nil where it is longer than what is kept, or a list.
	Value feature.Literal
	Rows  int64
}

// Lengths are those of a column's values.
type Lengths struct {
	Min, Max int64
	Mean     float64
}

// Describe is what is known of the column.
func (c *Column) Describe() *Description {
	d := &Description{
		Name: c.Name, Type: c.Type, Key: c.Key, Nulls: c.nulls, NaNs: c.nans, PositiveInfinities: c.positive, NegativeInfinities: c.negative,
		Empty: c.empty,
	}
	d.Distinct, d.DistinctExact = c.Distinct()
	if c.Key {
		return d
	}
	v := &Values{}
	d.Values = v
	v.Min, v.Max = c.Bounds()
	if c.moments != nil && c.moments.N() > 0 {
		v.Mean, v.StdDev = c.Mean(), c.StdDev()
		list := c.sketch.buckets()
		for _, q := range Quantiles {
			v.Quantiles = append(v.Quantiles, c.sketch.quantile(list, q, c.whole()))
		}
		v.QuantileError = c.sketch.relativeError()
		v.Histogram = c.histogram(list)
	}
	if c.times != nil && c.present > 0 {
		for _, cell := range c.times.ascending() {
			v.Histogram = append(v.Histogram, Bin{
				From: literalTime(c.times.grain.start(cell)), To: literalTime(c.times.grain.start(cell + 1)), Rows: c.times.counts[c.times.cells[cell]],
			})
		}
	}
	v.Top, v.TopExact = c.top()
	if l := c.lengths; l.n > 0 {
		v.Lengths = &Lengths{Min: l.min, Max: l.max, Mean: float64(l.sum) / float64(l.n)}
	}
	if c.kind == feature.TypeBool && c.present > 0 {
		share := float64(c.truths) / float64(c.present)
		v.TrueShare = &share
	}
	return d
}

// literalTime is cut to the years 1 to 9999.
func literalTime(t time.Time) feature.Literal {
	switch {
	case t.Year() < 1:
		t = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 9999:
		t = feature.Time(math.MaxInt64).Calendar()
	}
	return feature.TimeOf(t).String()
}

// whole tells that there are no fractions.
func (c *Column) whole() bool { return c.kind == feature.TypeInt64 }

// Present is how many values are there: not NULL, and of floats not NaN.
func (c *Column) Present() int64 { return c.present }

// Nulls and NaNs are the values that are not there.
func (c *Column) Nulls() int64 { return c.nulls }
func (c *Column) NaNs() int64  { return c.nans }

// Infinities are how many values are infinite, of both signs.
func (c *Column) Infinities() int64 { return c.positive + c.negative }

// Distinct is how many different values are there, and whether that is exact.
func (c *Column) Distinct() (n int64, exact bool) {
	if c.counted.over {
		return c.distinct.count(), c.distinct.exact()
	}
	return int64(len(c.counted.entries)), true
}

// Mean is that of finite numbers, or nil.
func (c *Column) Mean() *float64 {
	if c.moments == nil {
		return nil
	}
	if f, ok := c.moments.Mean(); ok {
		return &f
	}
	return nil
}

// StdDev is the standard deviation of finite numbers, of a sample, or nil.
func (c *Column) StdDev() *float64 {
	if c.moments == nil {
		return nil
	}
	if f, ok := c.moments.StdDev(); ok {
		return &f
	}
	return nil
}

// Bounds are the least and the greatest value, as literals: nil where there are none, of bytes, lists and vectors, and of text longer than
// is kept. Times are cut to the years 1 to 9999.
func (c *Column) Bounds() (least, greatest feature.Literal) {
	switch {
	case c.present == 0 || c.Key:
		return nil, nil
	case c.kind == feature.TypeBool:
		return c.truths == c.present, c.truths > 0
	case c.kind == feature.TypeFloat64:
		low, high := c.sketch.low, c.sketch.high
		if c.sketch.n == 0 {
			low, high = math.Inf(1), math.Inf(-1)
		}
		if c.negative > 0 {
			low = math.Inf(-1)
		}
		if c.positive > 0 {
			high = math.Inf(1)
		}
		// Where all are infinite, of one sign, both are.
		return floatLiteral(min(low, high)), floatLiteral(max(low, high))
	case !c.some:
		return nil, nil
	case c.kind == feature.TypeInt64:
		return feature.Int64(c.low).Text(), feature.Int64(c.high).Text()
	case c.kind == feature.TypeTimestamp:
		return timeLiteral(c.low), timeLiteral(c.high)
	}
	return textLiteral(c.min), textLiteral(c.max)
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
	if len(v.Str()) > maxValue {
		return nil
	}
	return v.Text()
}

// literal is a value that is kept, nil for none.
func literal(v feature.Value) feature.Literal {
	switch {
	case v.IsNull():
		return nil
	case v.Type() == feature.TypeBool:
		return v.Bool()
	case v.Type() == feature.TypeFloat64:
		return floatLiteral(v.Float64())
	case v.Type() == feature.TypeTimestamp:
		return timeLiteral(v.Int64())
	}
	return v.Text()
}

// top are the most frequent values. Of columns in which none is there twice there are none.
func (c *Column) top() (list []Frequent, exact bool) {
	type one struct {
		hash, rows uint64
		value      feature.Value
	}
	var all []one
	if !c.counted.over {
		for _, e := range c.counted.entries {
			all = append(all, one{e.hash, uint64(e.rows), e.value})
		}
	} else {
		at, sampled := map[uint64]int{}, int64(0)
		for _, s := range c.sample.rows {
			i, ok := at[s.hash]
			if !ok {
				i = len(all)
				at[s.hash] = i
				all = append(all, one{hash: s.hash, value: s.value})
			}
			all[i].rows += uint64(s.times)
			sampled += s.times
		}
		all = slices.DeleteFunc(all, func(o one) bool { return o.rows < minSampled })
		for i := range all {
			all[i].rows = uint64(math.Round(float64(all[i].rows) / float64(sampled) * float64(c.present)))
		}
	}
	slices.SortFunc(all, func(a, b one) int { return cmp.Or(cmp.Compare(b.rows, a.rows), cmp.Compare(a.hash, b.hash)) })
	for _, o := range all[:min(len(all), MaxTop)] {
		list = append(list, Frequent{Value: literal(o.value), Rows: int64(o.rows)})
	}
	return list, !c.counted.over
}

// histogramBins is how many bins a description of numbers has at most.
const histogramBins = 20

// histogram is bins of equal width in which buckets lie by their middles, from the least number to the greatest.
func (c *Column) histogram(list []bucket) []Bin {
	low, high := c.sketch.low, c.sketch.high
	if low == high {
		return []Bin{{From: floatLiteral(low), To: floatLiteral(high), Rows: c.sketch.n}}
	}
	n := histogramBins
	if c.whole() && high-low+1 < histogramBins {
		n, high = int(high-low+1), high+1
	}
	// Halved, so that the width of all numbers is one.
	width := (high/2 - low/2) / float64(n) * 2
	bins := make([]Bin, n)
	for i := range bins {
		bins[i].From, bins[i].To = floatLiteral(low+float64(float64(i)*width)), floatLiteral(low+float64(float64(i+1)*width))
	}
	bins[n-1].To = floatLiteral(high)
	for _, b := range list {
		at := int((c.sketch.middle(b, c.whole()) - low) / width)
		bins[min(max(at, 0), n-1)].Rows += b.rows
	}
	return bins
}

// HistogramOn is the histogram of the column's numbers on the edges of that of a baseline. What lies below these or above them is in a bin of its own, which begins at
// the column's least number, or ends at its greatest. nil: either has no numbers.
func (c *Column) HistogramOn(baseline *Column) []Bin {
	if c.sketch == nil || baseline.sketch == nil || c.sketch.n == 0 || baseline.sketch.n == 0 {
		return nil
	}
	bins := baseline.histogram(baseline.sketch.buckets())
	edges := make([]float64, len(bins))
	for i := range bins {
		edges[i], bins[i].Rows = bins[i].From.(float64), 0
	}
	low, high := baseline.sketch.low, baseline.sketch.high
	var below, above int64
	for _, b := range c.sketch.buckets() {
		// A bucket that the baseline reaches into is not outside of it.
		switch {
		case b.low < low && b.high <= low:
			below += b.rows
		case b.low > high:
			above += b.rows
		default:
			at, found := slices.BinarySearch(edges, min(max(c.sketch.middle(b, c.whole()), low), high))
			if !found {
				at--
			}
			bins[at].Rows += b.rows
		}
	}
	if below > 0 {
		bins = slices.Insert(bins, 0, Bin{From: floatLiteral(c.sketch.low), To: floatLiteral(low), Rows: below})
	}
	if above > 0 {
		bins = append(bins, Bin{From: floatLiteral(high), To: floatLiteral(c.sketch.high), Rows: above})
	}
	return bins
}

// Completeness is how many rows there are of some time or group, and of how many each column's value is there.
type Completeness struct {
	// From is when the time begins, and To when it ends.
	From, To time.Time
	// Group is the value that all rows have in the column that they are grouped by, nil for NULL.
	Group   feature.Literal
	Rows    int64
	Present []int64
}

// ByTime is completeness by the time of the rows, ascending, with how wide the steps are. Steps without rows are left out.
func (p *Profile) ByTime() (grain Grain, list []Completeness) {
	for _, cell := range p.times.ascending() {
		i := p.times.cells[cell]
		list = append(list, Completeness{
			From: p.times.grain.start(cell), To: p.times.grain.start(cell + 1),
			Rows: p.times.counts[i], Present: slices.Clone(p.times.counts[i+1 : i+1+p.times.width]),
		})
	}
	return p.times.grain, list
}

// GroupedBy are the columns that completeness was to be counted by.
func (p *Profile) GroupedBy() (columns []string) {
	for _, g := range p.groups {
		columns = append(columns, p.columns[g.column].Name)
	}
	return columns
}

// ByGroup is completeness by the values of a column, the most rows first. Not ok: the column has more than MaxGroups, or was not grouped by.
func (p *Profile) ByGroup(column string) (list []Completeness, ok bool) {
	for _, g := range p.groups {
		if p.columns[g.column].Name != column || g.over {
			continue
		}
		for _, key := range g.keys() {
			one := g.rows[key]
			list = append(list, Completeness{Group: literal(one.value), Rows: one.counts[0], Present: slices.Clone(one.counts[1:])})
		}
		slices.SortStableFunc(list, func(a, b Completeness) int { return cmp.Compare(b.Rows, a.Rows) })
		return list, true
	}
	return nil, false
}

// Numeric reports whether the column is of numbers, so that it has edges, counts between them, and a mean.
func (c *Column) Numeric() bool { return c.moments != nil }

// InfinitiesBySign are how many values are infinite.
func (c *Column) InfinitiesBySign() (positive, negative int64) { return c.positive, c.negative }

// EachNumber gives the finite values, ascending, each with the rows that have about it: off by no more than the description's quantiles are.
func (c *Column) EachNumber(each func(value float64, rows int64)) {
	if c.sketch == nil {
		return
	}
	for _, b := range c.sketch.buckets() {
		each(c.sketch.middle(b, c.whole()), b.rows)
	}
}

// Edges are numbers that cut the finite values of the column into n parts of about as many rows, as far as values that are there often allow: each of these is
// a part of its own. Each edge is the bound of a bucket of this column and of the others, so that what lies between two is counted without error in all of them.
func (c *Column) Edges(n int, others ...*Column) (edges []float64) {
	if c.sketch == nil || c.sketch.n == 0 {
		return nil
	}
	s := c.sketch
	for _, o := range others {
		if o.sketch != nil && o.sketch.level > s.level {
			// A sketch as coarse, and the same otherwise.
			coarse := &sketch{level: o.sketch.level}
			coarse.merge(s)
			s = coarse
		}
	}
	add := func(edge float64) {
		if len(edges) == 0 || edges[len(edges)-1] < edge {
			edges = append(edges, edge)
		}
	}
	var seen int64
	part := 1
	list := s.buckets()
	for i, b := range list {
		if often := float64(b.rows) >= float64(s.n)/float64(n); often {
			add(b.low)
			if b.low == b.high {
				b.high = math.SmallestNonzeroFloat64
			}
			add(b.high)
		}
		// An edge is before the bucket with which a part is full, where that is nearer.
		for part < n && float64(seen)+float64(b.rows)/2 >= float64(s.n)*float64(part)/float64(n) {
			if i > 0 {
				add(b.low)
			}
			part++
		}
		seen += b.rows
	}
	return edges
}

// Counts is how many finite values lie below the first edge, between each two, and from the last one on. edges ascend.
func (c *Column) Counts(edges []float64) []int64 {
	counts := make([]int64, len(edges)+1)
	if c.sketch == nil || c.sketch.n == 0 {
		return counts
	}
	list := c.sketch.buckets()
	var before int64
	for i, edge := range edges {
		rows := below(list, edge)
		counts[i] = rows - before
		before = rows
	}
	counts[len(edges)] = c.sketch.n - before
	return counts
}

// Frequencies are all values with their rows, where the column has few enough that each is counted; else ok is false. Values are named by
// their hash, and NULL and NaN are not among them.
func (c *Column) Frequencies() (rows map[uint64]int64, ok bool) {
	if c.counted.over {
		return nil, false
	}
	rows = make(map[uint64]int64, len(c.counted.entries))
	for _, e := range c.counted.entries {
		rows[e.hash] = e.rows
	}
	return rows, true
}
