package window_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/window"
)

var source = &feature.Source{
	Name: "readings",
	Columns: []feature.Column{
		{Name: "at", Type: feature.TypeTimestamp}, {Name: "key", Type: feature.TypeString},
		{Name: "f", Type: feature.TypeFloat64}, {Name: "n", Type: feature.TypeInt64}, {Name: "s", Type: feature.TypeString},
		{Name: "b", Type: feature.TypeBool}, {Name: "t", Type: feature.TypeTimestamp},
		{Name: "d", Type: cents}, {Name: "l", Type: feature.ListType(feature.TypeInt64)}, {Name: "y", Type: feature.TypeBytes},
	},
	EventTime: "at",
}

var cents = feature.DecimalType(30, 2)

var sensor = &feature.EntityVersion{Entity: feature.Entity{
	Name: "sensor", JoinKeys: []feature.Column{{Name: "key", Type: feature.TypeString}},
}}

// drawable is each function over each column that it takes, with the type of its result.
var drawable = []struct {
	function feature.AggregateFunction
	column   string
	typ      feature.Type
}{
	{feature.Count, "", feature.TypeInt64},
	{feature.Count, "f", feature.TypeInt64},
	{feature.Sum, "f", feature.TypeFloat64},
	{feature.Sum, "n", feature.TypeInt64},
	{feature.Mean, "f", feature.TypeFloat64},
	{feature.Mean, "n", feature.TypeFloat64},
	{feature.Stddev, "f", feature.TypeFloat64},
	{feature.Stddev, "n", feature.TypeFloat64},
	{feature.Min, "f", feature.TypeFloat64},
	{feature.Max, "f", feature.TypeFloat64},
	{feature.Min, "s", feature.TypeString},
	{feature.Max, "n", feature.TypeInt64},
	{feature.Max, "b", feature.TypeBool},
	{feature.First, "f", feature.TypeFloat64},
	{feature.Last, "n", feature.TypeInt64},
	{feature.First, "s", feature.TypeString},
	{feature.Last, "t", feature.TypeTimestamp},
	{feature.CountDistinct, "f", feature.TypeInt64},
	{feature.CountDistinct, "s", feature.TypeInt64},
	{feature.Percentile, "f", feature.TypeFloat64},
	{feature.Percentile, "n", feature.TypeFloat64},
	{feature.Sum, "d", feature.DecimalType(38, 2)},
	{feature.Mean, "d", feature.TypeFloat64},
	{feature.Stddev, "d", feature.TypeFloat64},
	{feature.Min, "d", cents},
	{feature.Last, "d", cents},
	{feature.CountDistinct, "d", feature.TypeInt64},
	{feature.Percentile, "d", feature.TypeFloat64},
	{feature.First, "l", feature.ListType(feature.TypeInt64)},
	{feature.CountDistinct, "l", feature.TypeInt64},
	{feature.Max, "y", feature.TypeBytes},
}

func drawView(t *rapid.T) *feature.View {
	view := &feature.View{Name: "v", Entity: "sensor", Aggregation: &feature.Aggregation{
		Source: "readings", Hop: rapid.SampledFrom([]time.Duration{time.Minute, 7 * time.Minute}).Draw(t, "hop"),
	}}
	if rapid.Bool().Draw(t, "where") {
		view.Aggregation.Where = "b"
	}
	for i := range rapid.IntRange(1, 6).Draw(t, "features") {
		d := rapid.SampledFrom(drawable).Draw(t, "aggregate")
		name := fmt.Sprintf("a%d", i)
		view.Features = append(view.Features, feature.Column{Name: name, Type: d.typ})
		view.Aggregation.Aggregates = append(view.Aggregation.Aggregates, feature.Aggregate{
			Feature: name, Function: d.function, Column: d.column,
			Window:        rapid.SampledFrom([]time.Duration{7 * time.Minute, 10 * time.Minute, time.Hour}).Draw(t, "window"),
			Where:         rapid.SampledFrom([]string{"", "", "n > 0"}).Draw(t, "filter"),
			Quantile:      rapid.SampledFrom([]float64{0.01, 0.5, 0.9}).Draw(t, "quantile"),
			RelativeError: rapid.SampledFrom([]float64{0, 0.01, 0.2}).Draw(t, "error"),
		})
	}
	return view
}

func holds(condition string, r reference.SourceRow) bool {
	if condition == "b" {
		return r.Values[5].Bool()
	}
	return !r.Values[3].IsNull() && r.Values[3].Int64() > 0
}

const minute = feature.Time(60_000_000)

func drawRow(t *rapid.T) reference.SourceRow {
	at := feature.Time(rapid.Int64Range(-40, 80).Draw(t, "minute"))*minute +
		feature.Time(rapid.SampledFrom([]int64{0, 0, 1, 30_000_000}).Draw(t, "offset"))
	late := feature.Time(rapid.SampledFrom([]int64{0, 0, 0, -5, 1, 8, 25, 90}).Draw(t, "late")) * minute
	floats := rapid.OneOf(
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, -1, 0.1, 1e300, -1e300, math.MaxFloat64, 5e-324, -5e-324, 1e-310}),
		rapid.SampledFrom([]float64{math.Inf(1), math.Inf(-1), math.NaN()}), rapid.Float64Range(-1000, 1000), rapid.Float64())
	ints := rapid.SampledFrom([]int64{0, 1, -1, 7, 1 << 40, -1 << 50, 123456789})
	key := rapid.SampledFrom([]feature.Value{feature.String("a"), feature.String("b|"), feature.Null()}).Draw(t, "key")
	values := []feature.Value{
		feature.Timestamp(at), key, feature.Float64(floats.Draw(t, "f")), feature.Int64(ints.Draw(t, "n")),
		feature.String(rapid.SampledFrom([]string{"", "x", "B", "é", "x"}).Draw(t, "s")), feature.Bool(rapid.Bool().Draw(t, "b")),
		feature.Timestamp(feature.Time(rapid.Int64Range(0, 3).Draw(t, "t"))),
	}
	decimal, err := feature.ParseDecimal(cents, rapid.SampledFrom([]string{"0", "1", "-0.01", "12.5", "-12.5", "9999999999999999999999999999.99"}).Draw(t, "d"))
	if err != nil {
		panic(err)
	}
	var elements []feature.Value
	for _, n := range rapid.SliceOfN(rapid.Int64Range(0, 1), 0, 2).Draw(t, "l") {
		elements = append(elements, feature.Int64(n))
	}
	list, err := feature.List(feature.ListType(feature.TypeInt64), elements)
	if err != nil {
		panic(err)
	}
	values = append(values, decimal, list, feature.Bytes(rapid.SampledFrom([]string{"", "\x00", "\xff"}).Draw(t, "y")))
	for i := 2; i < len(values); i++ {
		if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
			values[i] = feature.Null()
		}
	}
	return reference.SourceRow{EventTime: at, AvailableAt: at + late, Values: values}
}

// compute is the engine's answer.
func compute(t rapid.TB, view *feature.View, rows []reference.SourceRow, within window.Range, o window.Options, live ...feature.Row) ([]feature.Row, window.Counts) {
	t.Helper()
	plan := window.NewPlan(view, source)
	e := window.New(plan, within, o)
	defer e.Close()
	for _, r := range rows {
		if err := e.Add(engineRow(plan, view, r)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range live {
		if err := e.Recall([]byte(r.Key), r.Values); err != nil {
			t.Fatal(err)
		}
	}
	var out []feature.Row
	counts, err := e.Run(context.Background(), func(r *feature.Row) error {
		row := *r
		row.Values = slices.Clone(r.Values)
		out = append(out, row)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, counts
}

func engineRow(plan *window.Plan, view *feature.View, r reference.SourceRow) *window.Row {
	row := &window.Row{EventTime: r.EventTime, AvailableAt: r.AvailableAt, Kept: true}
	if key, ok, err := sensor.AppendKey(nil, r.Values[1:2]); err != nil {
		panic(err)
	} else if ok {
		row.Key = key
	}
	if view.Aggregation.Where != "" {
		row.Kept = holds(view.Aggregation.Where, r)
	}
	for _, f := range plan.Filters {
		row.Filters = append(row.Filters, holds(f, r))
	}
	for _, c := range plan.Columns {
		row.Values = append(row.Values, r.Values[slices.IndexFunc(source.Columns, func(s feature.Column) bool { return s.Name == c.Name })])
	}
	return row
}

func sorted(rows []feature.Row) []string {
	lines := make([]string, len(rows))
	for i := range rows {
		r := &rows[i]
		lines[i] = fmt.Sprintf("%s %s %s", r.Key, r.EventTime, r.AvailableAt)
		for _, v := range r.Values {
			lines[i] += fmt.Sprintf(" %q %x", strings.Replace(v.Text(), "-0", "0", 1), v.AppendCanonical(nil))
		}
	}
	slices.Sort(lines)
	return lines
}

func difference(got, want []feature.Row) string {
	var b bytes.Buffer
	g, w := sorted(got), sorted(want)
	for _, line := range g {
		if !slices.Contains(w, line) {
			fmt.Fprintln(&b, "+", line)
		}
	}
	for _, line := range w {
		if !slices.Contains(g, line) {
			fmt.Fprintln(&b, "-", line)
		}
	}
	if len(g) != len(w) {
		fmt.Fprintln(&b, "found", len(g), "rows, expected", len(w))
	}
	return b.String()
}

func TestEqualsTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		view := drawView(t)
		rows := rapid.SliceOfN(rapid.Custom(drawRow), 0, 30).Draw(t, "rows")
		hop := view.Aggregation.Hop
		start := (feature.Time(rapid.Int64Range(-60, 30).Draw(t, "start")) * minute).Floor(hop)
		end := start + feature.Time(rapid.Int64Range(1, 90).Draw(t, "points"))*feature.Time(hop.Microseconds())
		begins := rapid.Bool().Draw(t, "begins")
		ref := &reference.Aggregation{View: view, Source: source, Entity: &sensor.Entity, Holds: holds}
		// What an earlier run left, of the rows that there were then.
		var live []feature.Row
		if !begins {
			then := rapid.SliceOfN(rapid.Custom(drawRow), 0, 5).Draw(t, "rows then")
			live = lastRows(ref.Rows(append(then, rows[:len(rows)/2]...), reference.Interval{Start: start - 90*minute, End: start}, true, nil))
		}
		want := ref.Rows(rows, reference.Interval{Start: start, End: end}, begins, live)

		got, counts := compute(t, view, rows, window.Range{Start: start, End: end, Begins: begins}, window.Options{Workers: 1}, live...)
		if d := difference(got, want); d != "" {
			t.Fatalf("differs from the reference:\n%s", d)
		}
		n := counts.Used + counts.NoKey + counts.NotKept + counts.NoFilter + counts.TooLate + counts.NotYet + counts.Before
		if n != int64(len(rows)) {
			t.Fatalf("counted %d rows of %d: %+v", n, len(rows), counts)
		}

		// Another order, more workers and a file make no difference; nor do rows that the range does not read.
		shuffled := rapid.Permutation(rows).Draw(t, "shuffled")
		from, to := window.NewPlan(view, source).Reads(window.Range{Start: start, End: end})
		shuffled = slices.DeleteFunc(shuffled, func(r reference.SourceRow) bool { return r.EventTime <= from || r.EventTime > to })
		again, _ := compute(t, view, shuffled, window.Range{Start: start, End: end, Begins: begins}, window.Options{
			Workers: 3, Memory: int64(rapid.SampledFrom([]int{1, 100, 1 << 20}).Draw(t, "memory")),
		}, live...)
		if d := difference(again, want); d != "" {
			t.Fatalf("another order of rows differs:\n%s", d)
		}

		// Two runs make the history of one.
		middle := (start + (end-start)/2).Floor(hop)
		if middle == start {
			return
		}
		first, _ := compute(t, view, rows, window.Range{Start: start, End: middle, Begins: begins}, window.Options{Workers: 1}, live...)
		second, _ := compute(t, view, rows, window.Range{Start: middle, End: end}, window.Options{Workers: 1}, lastRows(append(live, first...))...)
		if d := difference(append(first, second...), want); d != "" {
			t.Fatalf("two runs differ from one:\n%s", d)
		}
	})
}

// lastRows is the last row of each entity.
func lastRows(rows []feature.Row) []feature.Row {
	var last []feature.Row
	for _, r := range rows {
		i := slices.IndexFunc(last, func(l feature.Row) bool { return l.Key == r.Key })
		switch {
		case i < 0:
			last = append(last, r)
		case r.EventTime > last[i].EventTime:
			last[i] = r
		}
	}
	return last
}

// What stands for a bucket is no number that lies beyond all of the window's.
func TestPercentilesStayWithinTheValues(t *testing.T) {
	view := &feature.View{Name: "v", Entity: "sensor", Aggregation: &feature.Aggregation{
		Source: "readings", Hop: time.Minute,
		Aggregates: []feature.Aggregate{{Feature: "median", Function: feature.Percentile, Column: "n", Window: time.Minute, Quantile: 0.5}},
	}, Features: []feature.Column{{Name: "median", Type: feature.TypeFloat64}}}
	for _, n := range []int64{1, -3, 1000} {
		rows := make([]reference.SourceRow, 3)
		for i := range rows {
			rows[i] = reference.SourceRow{Values: make([]feature.Value, len(source.Columns))}
			rows[i].Values[1], rows[i].Values[3] = feature.String("a"), feature.Int64(n)
		}
		got, _ := compute(t, view, rows, window.Range{Start: -minute, End: 0, Begins: true}, window.Options{Workers: 1})
		if len(got) != 1 || got[0].Values[0].Float64() != float64(n) {
			t.Errorf("found %v, expected the median %d", got, n)
		}
	}
}
