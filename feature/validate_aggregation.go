package feature

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Limits of windowed aggregations.
const (
	minHop    = time.Second
	minWindow = time.Minute
	maxWindow = 366 * 24 * time.Hour
	// minRelativeError and maxRelativeError bound how fine and how coarse the buckets of a percentile are.
	minRelativeError = 1e-6
	maxRelativeError = 0.25
)

func (v *validation) aggregation(w *View) {
	a := w.Aggregation
	if w.Grain != 0 {
		v.add("grain", "found a grain beside an aggregation, expected none: its hop is the grain; leave it out")
	}
	if w.Lookback != 0 {
		v.add("lookback", "found a lookback beside an aggregation, expected none: its windows say how far back it reads; leave it out")
	}
	switch {
	case a.Hop < minHop:
		v.add("aggregation.hop", "found %s, expected at least %s", a.Hop, minHop)
	default:
		v.duration("aggregation.hop", a.Hop)
	}
	if a.Where != "" {
		_, problems := ParseExpression(a.Where)
		v.addSQL("aggregation.where", problems)
	}
	s := v.findSource(a.Source)
	if s == nil {
		v.add("aggregation.source", "found no source called %s%s", a.Source, didYouMean(a.Source, v.sourceNames()))
	} else if e := v.findEntity(w.Entity); e != nil {
		v.aggregationKeys(a, e, s)
	}
	v.aggregates(w, s)
}

// aggregationKeys checks that the source has a column for each join key.
func (v *validation) aggregationKeys(a *Aggregation, e *Entity, s *Source) {
	for i := range e.JoinKeys {
		k := &e.JoinKeys[i]
		field := "aggregation.source"
		if _, mapped := a.Keys[k.Name]; mapped {
			field = fmt.Sprintf("aggregation.keys[%q]", k.Name)
		}
		switch c := s.Column(a.KeyColumn(k.Name)); {
		case c == nil && field == "aggregation.source":
			v.add(field, "found no column in source %s for the join key %s of entity %s; say under keys which one it is: %s: COLUMN",
				s.Name, k.Name, e.Name, k.Name)
		case c == nil:
			v.add(field, "found no column called %s in source %s%s", a.KeyColumn(k.Name), s.Name,
				didYouMean(a.KeyColumn(k.Name), columnNames(s.Columns)))
		case c.Type != k.Type && c.Type != TypeInvalid && k.Type != TypeInvalid:
			v.add(field, "found column %s of type %s, expected %s, the type of join key %s of entity %s", c.Name, c.Type, k.Type, k.Name, e.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Keys)) {
		if findColumn(e.JoinKeys, name) == nil {
			v.add(fmt.Sprintf("aggregation.keys[%q]", name), "found no join key called %s in entity %s%s", name, e.Name,
				didYouMean(name, columnNames(e.JoinKeys)))
		}
	}
}

// aggregates checks that each feature and attribute has exactly one, and each of them. s may be nil.
func (v *validation) aggregates(w *View, s *Source) {
	a := w.Aggregation
	stored := w.Stored()
	for i := range stored {
		if !slices.ContainsFunc(a.Aggregates, func(g Aggregate) bool { return g.Feature == stored[i].Name }) {
			v.add("aggregation.aggregates", "found no aggregate for %s, expected one for each feature and attribute", stored[i].Name)
		}
	}
	for i := range a.Aggregates {
		g := &a.Aggregates[i]
		at := fmt.Sprintf("aggregation.aggregates[%d]", i)
		if slices.ContainsFunc(a.Aggregates[:i], func(other Aggregate) bool { return other.Feature == g.Feature }) {
			v.add(at+".feature", "found a second aggregate for %s, expected one for each feature and attribute", g.Feature)
		}
		f := findColumn(stored, g.Feature)
		if f == nil {
			v.add(at+".feature", "found no feature or attribute called %s in the view%s", g.Feature, didYouMean(g.Feature, columnNames(stored)))
		}
		v.window(at, a, g)
		if g.Where != "" {
			_, problems := ParseExpression(g.Where)
			v.addSQL(at+".where", problems)
		}
		v.percentile(at, g)
		v.aggregateTypes(at, g, f, s)
	}
}

func (v *validation) window(at string, a *Aggregation, g *Aggregate) {
	switch {
	case g.Window < minWindow || g.Window > maxWindow:
		v.add(at+".window", "found a window of %s, expected from %s to %d days", cmp.Or(durationText(g.Window), "0s"), durationText(minWindow), maxWindow/(24*time.Hour))
	case g.Window < a.Hop:
		v.add(at+".window", "found a window of %s, expected at least the hop, %s: rows between two windows would count in none", durationText(g.Window), durationText(a.Hop))
	default:
		v.duration(at+".window", g.Window)
	}
}

// percentile checks what says which one, of percentiles and of them alone.
func (v *validation) percentile(at string, g *Aggregate) {
	if g.Function != Percentile {
		if g.Quantile != 0 {
			v.add(at+".quantile", "found a quantile of %s, expected one of percentile only; leave it out", g.Function)
		}
		if g.RelativeError != 0 {
			v.add(at+".relative_error", "found a relative error of %s, expected one of percentile only: all others are exact; leave it out",
				g.Function)
		}
		return
	}
	if !(g.Quantile > 0 && g.Quantile < 1) {
		v.add(at+".quantile", "found %v, expected a number between 0 and 1, such as 0.5 for the median; for the ends use min and max", g.Quantile)
	}
	if e := g.RelativeError; e != 0 && !(e >= minRelativeError && e <= maxRelativeError) || math.IsNaN(e) {
		v.add(at+".relative_error", "found %v, expected from %v to %v; leave it out for %v", e, minRelativeError, maxRelativeError, DefaultRelativeError)
	}
}

// aggregateTypes checks the column of an aggregate, and that its feature f has the type of the result. f and s may be nil.
func (v *validation) aggregateTypes(at string, g *Aggregate, f *Column, s *Source) {
	if g.Function == AggregateInvalid {
		v.add(at+".function", "found no function, expected one of %s", strings.Join(AggregateFunctionNames(), ", "))
		return
	}
	var column *Column
	switch {
	case g.Column == "" && g.Function != Count:
		v.add(at+".column", "found no column, expected the one that %s is of; only count goes without, and counts rows", g.Function)
		return
	case g.Column != "" && s == nil:
		return
	case g.Column != "":
		if column = s.Column(g.Column); column == nil {
			v.add(at+".column", "found no column called %s in source %s%s", g.Column, s.Name, didYouMean(g.Column, columnNames(s.Columns)))
			return
		}
	}
	of := TypeInvalid
	if column != nil {
		of = column.Type
	}
	result, takes := g.Function.Result(of)
	if result == TypeInvalid {
		if of != TypeInvalid {
			v.add(at+".column", "found %s of column %s, which is %s, expected a column of type %s", g.Function, g.Column, of, takes)
		}
		return
	}
	if f != nil && f.Type != result && f.Type != TypeInvalid {
		what := g.Function.String()
		if column != nil {
			what += " of the " + column.Type.String() + " column " + column.Name
		}
		v.add(at+".feature", "found %s, which is %s, for %s of type %s; declare the type %s", what, result, f.Name, f.Type, result)
	}
}

// Result is the type of what the function makes of a column of a type (TypeInvalid for count without a column), or
// TypeInvalid when it takes none such: then takes says what it takes.
func (f AggregateFunction) Result(of Type) (result Type, takes string) {
	const numbers = "int64, float64 or decimal(p, s)"
	ordered := !of.IsList() && of.Kind() != TypeVector
	numeric := of == TypeInt64 || of == TypeFloat64 || of.Kind() == TypeDecimal
	switch {
	case f == Count, f == CountDistinct:
		return TypeInt64, ""
	case f == Min, f == Max:
		if ordered {
			return of, ""
		}
		return TypeInvalid, "bool, int64, float64, decimal(p, s), string, bytes or timestamp"
	case f == First, f == Last:
		return of, ""
	case !numeric:
		return TypeInvalid, numbers
	case f != Sum:
		return TypeFloat64, ""
	case of.Kind() == TypeDecimal:
		return DecimalType(MaxPrecision, of.Scale()), ""
	}
	return of, ""
}
