package reference

import (
	"bytes"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/feature"
)

// Aggregation is a view of windowed aggregations, computed from its definition, point by point and row by row.
type Aggregation struct {
	View   *feature.View
	Source *feature.Source
	Entity *feature.Entity
	// Holds says whether a condition, which is SQL, is true of a row.
	Holds func(condition string, r SourceRow) bool
}

// Rows is the view's history over the grid points g for which g less the hop lies in owned: a row wherever a value of an
// entity is another than at the point before, and at the first point another than live, the rows that the history has,
// say at owned's start. At the first point of the view's coverage it is a row for each entity that has rows in a window.
func (a *Aggregation) Rows(rows []SourceRow, owned Interval, begins bool, live []feature.Row) []feature.Row {
	hop := a.View.Aggregation.Hop
	var keys []string
	for _, r := range live {
		if !begins && !slices.Contains(keys, r.Key) {
			keys = append(keys, r.Key)
		}
	}
	for _, r := range rows {
		if key, ok := a.key(r); ok && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	var out []feature.Row
	for _, key := range keys {
		for g := owned.Start.Add(hop); g <= owned.End; g = g.Add(hop) {
			row := feature.Row{Key: key, EventTime: g, AvailableAt: g, Values: a.At(rows, key, g)}
			if begins && g == owned.Start.Add(hop) {
				if a.any(rows, key, g) {
					out = append(out, row)
				}
				continue
			}
			before := feature.Row{Key: key, EventTime: g, AvailableAt: g, Values: a.At(rows, key, g.Add(-hop))}
			if g == owned.Start.Add(hop) {
				before.Values = a.last(live, key, owned.Start)
			}
			if !bytes.Equal(row.AppendCanonical(nil), before.AppendCanonical(nil)) {
				out = append(out, row)
			}
		}
	}
	return out
}

// last is the values of an entity's last row by a grid point, those of no rows if it has none.
func (a *Aggregation) last(live []feature.Row, key string, g feature.Time) []feature.Value {
	var last *feature.Row
	for i := range live {
		if r := &live[i]; r.Key == key && r.EventTime <= g && (last == nil || r.EventTime > last.EventTime) {
			last = r
		}
	}
	if last == nil {
		return a.At(nil, key, g)
	}
	return last.Values
}

// At is the view's values for an entity at a grid point.
func (a *Aggregation) At(rows []SourceRow, key string, g feature.Time) []feature.Value {
	var values []feature.Value
	for _, stored := range a.View.Stored() {
		for i := range a.View.Aggregation.Aggregates {
			if agg := &a.View.Aggregation.Aggregates[i]; agg.Feature == stored.Name {
				values = append(values, a.value(agg, stored.Type, a.window(agg, rows, key, g)))
			}
		}
	}
	return values
}

func (a *Aggregation) any(rows []SourceRow, key string, g feature.Time) bool {
	for i := range a.View.Aggregation.Aggregates {
		if len(a.window(&a.View.Aggregation.Aggregates[i], rows, key, g)) > 0 {
			return true
		}
	}
	return false
}

// window is the rows that an aggregate covers at g.
func (a *Aggregation) window(agg *feature.Aggregate, rows []SourceRow, key string, g feature.Time) []SourceRow {
	var covered []SourceRow
	for _, r := range rows {
		k, ok := a.key(r)
		if ok && k == key && r.EventTime > g.Add(-agg.Window) && r.EventTime <= g && r.AvailableAt <= g &&
			a.holds(a.View.Aggregation.Where, r) && a.holds(agg.Where, r) {
			covered = append(covered, r)
		}
	}
	return covered
}

func (a *Aggregation) holds(condition string, r SourceRow) bool {
	return condition == "" || a.Holds(condition, r)
}

func (a *Aggregation) key(r SourceRow) (string, bool) {
	values := make([]feature.Value, len(a.Entity.JoinKeys))
	for i, k := range a.Entity.JoinKeys {
		values[i] = a.column(r, a.View.Aggregation.KeyColumn(k.Name))
	}
	key, ok, err := a.Entity.AppendKey(nil, values)
	if err != nil {
		panic(err)
	}
	return string(key), ok
}

func (a *Aggregation) column(r SourceRow, name string) feature.Value {
	return r.Values[slices.IndexFunc(a.Source.Columns, func(c feature.Column) bool { return c.Name == name })]
}

// value is an aggregate of the rows of a window.
func (a *Aggregation) value(agg *feature.Aggregate, typ feature.Type, rows []SourceRow) feature.Value {
	if agg.Column == "" {
		return feature.Int64(int64(len(rows)))
	}
	rows = slices.DeleteFunc(rows, func(r SourceRow) bool { return a.column(r, agg.Column).IsNull() })
	slices.SortStableFunc(rows, func(x, y SourceRow) int {
		if x.EventTime != y.EventTime {
			return compare(x.EventTime, y.EventTime)
		}
		if x.AvailableAt != y.AvailableAt {
			return compare(x.AvailableAt, y.AvailableAt)
		}
		return compareValues(a.column(x, agg.Column), a.column(y, agg.Column))
	})
	var values []feature.Value
	for _, r := range rows {
		values = append(values, a.column(r, agg.Column))
	}
	switch {
	case agg.Function == feature.Count:
		return feature.Int64(int64(len(values)))
	case agg.Function == feature.CountDistinct:
		distinct := map[string]bool{}
		for _, v := range values {
			distinct[string(v.AppendCanonical(nil))] = true
		}
		return feature.Int64(int64(len(distinct)))
	case len(values) == 0:
		return feature.Null()
	}
	sorted := slices.SortedFunc(slices.Values(values), compareValues)
	switch agg.Function {
	case feature.First:
		return values[0]
	case feature.Last:
		return values[len(values)-1]
	case feature.Min:
		return sorted[0]
	case feature.Max:
		return sorted[len(sorted)-1]
	case feature.Percentile:
		f := approximate(number(sorted[int(agg.Quantile*float64(len(sorted)-1))]), agg.ResolvedError())
		if least, most := number(sorted[0]), number(sorted[len(sorted)-1]); f < least && f != 0 {
			f = least
		} else if f > most && f != 0 {
			f = most
		}
		return feature.Float64(f)
	}
	return moment(agg.Function, typ, values)
}

// approximate is the middle of the bucket of a float: 2^bits of them, equally wide, to each power of two.
func approximate(f, relativeError float64) float64 {
	if f == 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	if math.Abs(f) < 0x1p-1022 {
		return 0
	}
	buckets := 1.0
	for 1/(2*buckets) > relativeError {
		buckets *= 2
	}
	fraction, exponent := math.Frexp(math.Abs(f)) // in [1/2, 1)
	middle := (math.Floor((2*fraction-1)*buckets) + 0.5) / buckets
	return math.Copysign(math.Ldexp((1+middle)/2, exponent), f)
}

func number(v feature.Value) float64 {
	if v.Type() == feature.TypeFloat64 {
		return v.Float64()
	}
	f, _ := rational(v).Float64()
	return f
}

// rational is a number as it is, or nil for a float that is not finite.
func rational(v feature.Value) *big.Rat {
	switch v.Type().Kind() {
	case feature.TypeInt64:
		return new(big.Rat).SetInt64(v.Int64())
	case feature.TypeDecimal:
		r, _ := new(big.Rat).SetString(v.Text())
		return r
	}
	return new(big.Rat).SetFloat64(v.Float64())
}

// moment is a sum, a mean or a standard deviation, with fractions of any length until it is rounded.
func moment(f feature.AggregateFunction, typ feature.Type, values []feature.Value) feature.Value {
	sum, squares := new(big.Rat), new(big.Rat)
	special := 0.0
	for _, v := range values {
		x := rational(v)
		if x == nil {
			special += v.Float64()
			continue
		}
		sum.Add(sum, x)
		squares.Add(squares, new(big.Rat).Mul(x, x))
	}
	n := new(big.Rat).SetInt64(int64(len(values)))
	if special != 0 {
		if f == feature.Stddev && len(values) < 2 {
			return feature.Null()
		}
		if f == feature.Stddev {
			special = math.NaN()
		}
		return feature.Float64(special)
	}
	switch f {
	case feature.Sum:
		if typ == feature.TypeInt64 {
			return feature.Int64(sum.Num().Int64())
		}
		if typ.Kind() == feature.TypeDecimal {
			v, err := feature.ParseDecimal(typ, sum.FloatString(typ.Scale()))
			if err != nil {
				panic(err)
			}
			return v
		}
	case feature.Mean:
		sum.Quo(sum, n)
	default:
		if len(values) < 2 {
			return feature.Null()
		}
		// (squares - sum^2 / n) / (n - 1)
		mean := new(big.Rat).Mul(sum, sum)
		squares.Sub(squares, mean.Quo(mean, n))
		squares.Quo(squares, n.Sub(n, big.NewRat(1, 1)))
		root := new(big.Float).SetPrec(600).SetRat(squares)
		r, _ := root.Sqrt(root).Float64()
		return feature.Float64(r)
	}
	r, _ := sum.Float64()
	return feature.Float64(r)
}

func compare[T ~int64 | ~float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// compareValues orders values of one type: false before true, text by its bytes, lists and vectors by what they are
// packed into, NaN after all other floats.
func compareValues(a, b feature.Value) int {
	switch a.Type().Kind() {
	case feature.TypeString, feature.TypeBytes:
		return strings.Compare(a.Str(), b.Str())
	case feature.TypeList, feature.TypeVector:
		return strings.Compare(a.Packed(), b.Packed())
	case feature.TypeDecimal:
		return rational(a).Cmp(rational(b))
	case feature.TypeFloat64:
		if x, y := math.IsNaN(a.Float64()), math.IsNaN(b.Float64()); x || y {
			return compare(b2i(x), b2i(y))
		}
		return compare(a.Float64(), b.Float64())
	case feature.TypeBool:
		return compare(b2i(a.Bool()), b2i(b.Bool()))
	}
	return compare(a.Int64(), b.Int64())
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// AggregationRun is what a run of the view owns when from and to are asked for (nil: as far as the rows reach and earlier
// runs did), given what is covered so far (nil: nothing), and whether its first point begins the view's coverage.
func (a *Aggregation) AggregationRun(reach *Interval, from, to *feature.Time, covered *Interval, now feature.Time) (owned Interval, begins bool) {
	hop := a.View.Aggregation.Hop
	longest := time.Duration(0)
	for _, agg := range a.View.Aggregation.Aggregates {
		longest = max(longest, agg.Window)
	}
	if reach != nil {
		// The first point is the first row's, the last the one at which the last row has left every window.
		owned = Interval{Start: reach.Start.Ceil(hop).Add(-hop), End: (reach.End - 1).Add(longest).Ceil(hop)}
	}
	if covered != nil {
		if reach == nil {
			owned = *covered
		}
		owned = Interval{Start: min(owned.Start, covered.Start), End: max(owned.End, covered.End)}
	}
	if from != nil {
		owned.Start = from.Floor(hop)
	}
	if to != nil {
		owned.End = to.Floor(hop)
	}
	owned.End = min(owned.End, now.Floor(hop))
	if covered == nil {
		return owned, true
	}
	owned.Start = min(owned.Start, covered.End)
	owned.End = max(owned.End, covered.End)
	return owned, owned.Start <= covered.Start
}
