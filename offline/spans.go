package offline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// Spans is a set of instants: intervals that are not empty, ascending, and apart, so that two equal sets are equal slices.
type Spans []Span

// NewSpans is the set of what lies in any of list, in any order, empty ones too.
func NewSpans(list ...Span) Spans {
	sorted := slices.DeleteFunc(slices.Clone(list), Span.IsEmpty)
	slices.SortFunc(sorted, func(a, b Span) int { return int(min(max(a.Start-b.Start, -1), 1)) })
	var spans Spans
	for _, s := range sorted {
		if n := len(spans); n > 0 && s.Start <= spans[n-1].End {
			spans[n-1].End = max(spans[n-1].End, s.End)
			continue
		}
		spans = append(spans, s)
	}
	return spans
}

// Union is what lies in either.
func (s Spans) Union(t Spans) Spans { return NewSpans(slices.Concat(s, t)...) }

// Minus is what lies in s and not in t.
func (s Spans) Minus(t Spans) Spans {
	var left []Span
	for _, a := range s {
		for _, b := range t {
			if b.End <= a.Start || b.Start >= a.End {
				continue
			}
			left = append(left, Span{Start: a.Start, End: b.Start})
			a.Start = min(b.End, a.End)
		}
		left = append(left, a)
	}
	return NewSpans(left...)
}

// Intersect is what lies in both.
func (s Spans) Intersect(t Spans) Spans {
	var both []Span
	for _, a := range s {
		for _, b := range t {
			both = append(both, Span{Start: max(a.Start, b.Start), End: min(a.End, b.End)})
		}
	}
	return NewSpans(both...)
}

// Hull is the smallest interval that holds all of s, empty when s is.
func (s Spans) Hull() Span {
	if len(s) == 0 {
		return Span{}
	}
	return Span{Start: s[0].Start, End: s[len(s)-1].End}
}

// Contains reports whether an instant lies in s.
func (s Spans) Contains(at feature.Time) bool {
	_, found := slices.BinarySearchFunc(s, at, func(a Span, at feature.Time) int {
		switch {
		case a.End <= at:
			return -1
		case a.Start > at:
			return 1
		}
		return 0
	})
	return found
}

// Condition is SQL that is true of the timestamptz expressions that lie in s.
func (s Spans) Condition(expression string) string {
	if len(s) == 0 {
		return "false"
	}
	parts := make([]string, len(s))
	for i, a := range s {
		parts[i] = fmt.Sprintf("%[1]s >= %[2]s AND %[1]s < %[3]s", expression, timeLiteral(a.Start), timeLiteral(a.End))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// Multirange is s as the text of a tstzmultirange, in UTC. ReadSpans reads it back.
func (s Spans) Multirange() string {
	parts := make([]string, len(s))
	for i, a := range s {
		parts[i] = fmt.Sprintf("[%s,%s)", quotedTime(a.Start), quotedTime(a.End))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// quotedTime is a time within the text of a range.
func quotedTime(t feature.Time) string { return `"` + feature.SQLTime(t) + `"` }

// ReadSpans reads the set of what lies in an expression of type tstzmultirange in any of the rows that from and args find. NULL,
// and no row, are the empty set.
func ReadSpans(ctx context.Context, q database.Querier, expression, from string, args ...any) (Spans, error) {
	rows, err := q.Query(ctx, "SELECT lower(r), upper(r) FROM (SELECT unnest("+expression+") AS r "+from+") AS ranges ORDER BY 1", args...)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Span, error) {
		var start, end time.Time
		err := row.Scan(&start, &end)
		return Span{Start: feature.TimeOf(start), End: feature.TimeOf(end)}, err
	})
	return NewSpans(list...), err
}
