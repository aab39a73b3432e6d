package feature

import (
	"slices"
	"testing"
	"time"
)

// windows is flights() with aggregations in the place of the SQL.
func windows() *Definitions {
	d := flights()
	w := &d.Views[0]
	w.SQL, w.Grain, w.Lookback = nil, 0, 0
	w.Aggregation = &Aggregation{
		Source: "flights", Keys: map[string]string{"carrier": "carrier"}, Hop: time.Hour, Where: "NOT cancelled -- flown",
		Aggregates: []Aggregate{
			{Feature: "departures", Function: Count, Window: 24 * time.Hour},
			{Feature: "mean_delay", Function: Mean, Column: "delay", Window: 7 * 24 * time.Hour, Where: "delay > 0"},
			{Feature: "region", Function: Last, Column: "origin", Window: time.Hour},
		},
	}
	return d
}

func TestValidateAggregation(t *testing.T) {
	if problems := windows().Validate(nil); len(problems) > 0 {
		t.Fatal(problems)
	}
	at := "feature_views[0].aggregation"
	for name, c := range map[string]struct {
		change  func(w *View, a *Aggregation)
		field   string
		message string
	}{
		"grain": {func(w *View, a *Aggregation) { w.Grain = time.Hour }, "feature_views[0].grain",
			"found a grain beside an aggregation, expected none: its hop is the grain; leave it out"},
		"lookback": {func(w *View, a *Aggregation) { w.Lookback = time.Hour }, "feature_views[0].lookback",
			"found a lookback beside an aggregation, expected none: its windows say how far back it reads; leave it out"},
		"hop":             {func(w *View, a *Aggregation) { a.Hop = time.Millisecond }, at + ".hop", "found 1ms, expected at least 1s"},
		"fraction of hop": {func(w *View, a *Aggregation) { a.Hop += 1500 }, at + ".hop", "found 1h0m0.0000015s, expected whole microseconds: no store holds less"},
		"source": {func(w *View, a *Aggregation) { a.Source = "fligths" }, at + ".source",
			"found no source called fligths; did you mean flights?"},
		"key without a column": {func(w *View, a *Aggregation) { a.Keys = map[string]string{"carrier": "carier"} }, at + `.keys["carrier"]`,
			"found no column called carier in source flights; did you mean carrier?"},
		"key of a type": {func(w *View, a *Aggregation) { a.Keys = map[string]string{"carrier": "delay"} }, at + `.keys["carrier"]`,
			"found column delay of type float64, expected int64, the type of join key carrier of entity route"},
		"key that is none": {func(w *View, a *Aggregation) { a.Keys = map[string]string{"carier": "carrier"} }, at + `.keys["carier"]`,
			"found no join key called carier in entity route; did you mean carrier?"},
		"where": {func(w *View, a *Aggregation) { a.Where = "{{interval.start}} < date" }, at + ".where",
			"found the placeholder {{interval.start}}, expected none: this expression is over one row, not over an interval"},
		"where of one": {func(w *View, a *Aggregation) { a.Aggregates[0].Where = "true;" }, at + ".aggregates[0].where",
			"found a semicolon in an expression, expected none; remove it"},
		"missing aggregate": {func(w *View, a *Aggregation) { a.Aggregates = a.Aggregates[:2] }, at + ".aggregates",
			"found no aggregate for region, expected one for each feature and attribute"},
		"two aggregates": {func(w *View, a *Aggregation) { a.Aggregates = append(a.Aggregates, a.Aggregates[0]) }, at + ".aggregates[3].feature",
			"found a second aggregate for departures, expected one for each feature and attribute"},
		"unknown feature": {func(w *View, a *Aggregation) { a.Aggregates[0].Feature = "departure" }, at + ".aggregates[0].feature",
			"found no feature or attribute called departure in the view; did you mean departures?"},
		"short window": {func(w *View, a *Aggregation) { a.Aggregates[0].Window = time.Second }, at + ".aggregates[0].window",
			"found a window of 1s, expected from 1m to 366 days"},
		"long window": {func(w *View, a *Aggregation) { a.Aggregates[0].Window = 367 * 24 * time.Hour }, at + ".aggregates[0].window",
			"found a window of 8808h, expected from 1m to 366 days"},
		"window below the hop": {func(w *View, a *Aggregation) { a.Aggregates[2].Window = time.Minute }, at + ".aggregates[2].window",
			"found a window of 1m, expected at least the hop, 1h: rows between two windows would count in none"},
		"fraction of a window": {func(w *View, a *Aggregation) { a.Aggregates[2].Window += 1500 }, at + ".aggregates[2].window",
			"found 1h0m0.0000015s, expected whole microseconds: no store holds less"},
		"quantile of count": {func(w *View, a *Aggregation) { a.Aggregates[0].Quantile = 0.5 }, at + ".aggregates[0].quantile",
			"found a quantile of count, expected one of percentile only; leave it out"},
		"error of count": {func(w *View, a *Aggregation) { a.Aggregates[0].RelativeError = 0.5 }, at + ".aggregates[0].relative_error",
			"found a relative error of count, expected one of percentile only: all others are exact; leave it out"},
		"no quantile": {func(w *View, a *Aggregation) { a.Aggregates[1].Function = Percentile }, at + ".aggregates[1].quantile",
			"found 0, expected a number between 0 and 1, such as 0.5 for the median; for the ends use min and max"},
		"coarse": {func(w *View, a *Aggregation) {
			a.Aggregates[1].Function, a.Aggregates[1].Quantile, a.Aggregates[1].RelativeError = Percentile, 0.5, 0.5
		}, at + ".aggregates[1].relative_error", "found 0.5, expected from 1e-06 to 0.25; leave it out for 0.01"},
		"no function": {func(w *View, a *Aggregation) { a.Aggregates[0].Function = AggregateInvalid }, at + ".aggregates[0].function",
			"found no function, expected one of count, sum, mean, min, max, stddev, first, last, count_distinct, percentile"},
		"no column": {func(w *View, a *Aggregation) { a.Aggregates[1].Column = "" }, at + ".aggregates[1].column",
			"found no column, expected the one that mean is of; only count goes without, and counts rows"},
		"unknown column": {func(w *View, a *Aggregation) { a.Aggregates[1].Column = "dleay" }, at + ".aggregates[1].column",
			"found no column called dleay in source flights; did you mean delay?"},
		"mean of text": {func(w *View, a *Aggregation) { a.Aggregates[1].Column = "origin" }, at + ".aggregates[1].column",
			"found mean of column origin, which is string, expected a column of type int64, float64 or decimal(p, s)"},
		"max of vectors": {func(w *View, a *Aggregation) { a.Aggregates[1].Column, a.Aggregates[1].Function = "seats", Max }, at + ".aggregates[1].column",
			"found max of column seats, which is vector(2), expected a column of type bool, int64, float64, decimal(p, s), string, bytes or timestamp"},
		"type of a count": {func(w *View, a *Aggregation) { w.Features[0].Type = TypeFloat64 }, at + ".aggregates[0].feature",
			"found count, which is int64, for departures of type float64; declare the type int64"},
		"type of a sum": {func(w *View, a *Aggregation) { a.Aggregates[1].Function, a.Aggregates[1].Column = Sum, "price" }, at + ".aggregates[1].feature",
			"found sum of the decimal(10, 2) column price, which is decimal(38, 2), for mean_delay of type float64; declare the type decimal(38, 2)"},
	} {
		d := windows()
		d.Sources[0].Columns = append(d.Sources[0].Columns, Column{Name: "price", Type: DecimalType(10, 2)}, Column{Name: "seats", Type: VectorType(2)})
		c.change(&d.Views[0], d.Views[0].Aggregation)
		problems := d.Validate(nil)
		if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Field == c.field && p.Message == c.message }) {
			t.Errorf("%s: found %+v\nexpected %s: %s", name, problems, c.field, c.message)
		}
	}
	d := windows()
	d.Views[0].Aggregation.Keys = nil
	d.Entities[0].JoinKeys[1].Name = "airline"
	problems := d.Validate(nil)
	if want := "found no column in source flights for the join key airline of entity route; say under keys which one it is: airline: COLUMN"; len(problems) != 1 || problems[0].Message != want {
		t.Errorf("found %+v, expected %s", problems, want)
	}
}
