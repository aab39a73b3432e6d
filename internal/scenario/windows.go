package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
)

// windows computes a view of aggregations as the reference does. Conditions are of the form COLUMN > NUMBER, with any of
// >, >=, <, <= and =.
func windows(view *feature.View, entity *feature.Entity, source *feature.Source) (*reference.Aggregation, error) {
	a := view.Aggregation
	conditions := []string{a.Where}
	for i := range a.Aggregates {
		conditions = append(conditions, a.Aggregates[i].Where)
	}
	for _, c := range conditions {
		if c == "" {
			continue
		}
		if _, err := parseCondition(source, c); err != nil {
			return nil, fmt.Errorf("view %s: %w", view.Name, err)
		}
	}
	return &reference.Aggregation{View: view, Source: source, Entity: entity, Holds: func(text string, r reference.SourceRow) bool {
		c, err := parseCondition(source, text)
		return err == nil && c.holds(r)
	}}, nil
}

type condition struct {
	column   int
	operator string
	number   float64
}

func parseCondition(source *feature.Source, text string) (condition, error) {
	words := strings.Fields(text)
	if len(words) == 3 && slices.Contains([]string{">", ">=", "<", "<=", "="}, words[1]) {
		column := slices.IndexFunc(source.Columns, func(c feature.Column) bool { return c.Name == words[0] })
		number, err := strconv.ParseFloat(words[2], 64)
		if column >= 0 && err == nil {
			return condition{column, words[1], number}, nil
		}
	}
	return condition{}, fmt.Errorf("found the condition %q, which the reference does not compute; expected COLUMN > NUMBER", text)
}

func (c condition) holds(r reference.SourceRow) bool {
	v := r.Values[c.column]
	if v.IsNull() {
		return false
	}
	f := v.Float64()
	if v.Type() == feature.TypeInt64 {
		f = float64(v.Int64())
	}
	switch c.operator {
	case ">":
		return f > c.number
	case ">=":
		return f >= c.number
	case "<":
		return f < c.number
	case "<=":
		return f <= c.number
	}
	return f == c.number
}

// own is what a run owns, what it reads, and how it computes its output of that.
func (v *modelView) own(src *reference.Source, run *Materialize) (owned, reads reference.Interval, output func([]reference.SourceRow) []feature.Row) {
	reach, reaches := src.Reach(len(src.Loads))
	if v.windows != nil {
		var r *reference.Interval
		if reaches {
			r = &reach
		}
		owned, begins := v.windows.AggregationRun(r, run.From, run.To, v.covered, feature.TimeOf(time.Now()))
		var longest time.Duration
		for i := range v.view.Aggregation.Aggregates {
			longest = max(longest, v.view.Aggregation.Aggregates[i].Window)
		}
		reads = reference.Interval{Start: owned.Start.Add(-longest) + 1, End: owned.End + 1}
		return owned, reads, func(rows []reference.SourceRow) []feature.Row {
			return v.windows.Rows(rows, owned, begins, v.history.LiveRows())
		}
	}
	grain := v.view.Grain
	reach = reference.Interval{Start: reach.Start.Floor(grain), End: reach.End.Ceil(grain)}
	switch {
	case run.From != nil:
		owned = reference.Interval{Start: run.From.Floor(grain), End: run.To.Floor(grain)}
	case reaches && v.covered != nil:
		owned = union(reach, *v.covered)
	case reaches:
		owned = reach
	case v.covered != nil:
		owned = *v.covered
	}
	return owned, owned, func(rows []reference.SourceRow) []feature.Row { return v.compute(v, rows) }
}
