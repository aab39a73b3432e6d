package feature

import "fmt"

// SuccessionProblems is why s cannot be the next version of old: rows that were loaded are kept as they came, and views of
// old versions go on reading what is loaded next. Fields of the problems are paths from the source on, such as
// `columns[1].type`.
func (s *Source) SuccessionProblems(old *Source) []Problem {
	var problems []Problem
	add := func(field, format string, args ...any) {
		problems = append(problems, Problem{Kind: KindSource, Name: s.Name, Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if (s.Postgres == nil) != (old.Postgres == nil) {
		from, to := "landing", "postgres"
		if s.Postgres == nil {
			from, to = to, from
		}
		add(to, "found the source moved from %s to %s, where the rows that views have read are not; declare it as a source of another "+
			"name", from, to)
		return problems
	}
	if s.Postgres != nil {
		// None of its rows are kept here.
		return nil
	}
	for i := range old.Columns {
		if c := &old.Columns[i]; s.Column(c.Name) == nil {
			add("columns", "found no column %s, which rows that are kept have; keep it, or declare the new shape as a source of "+
				"another name", c.Name)
		}
	}
	for i := range s.Columns {
		c := &s.Columns[i]
		if before := old.Column(c.Name); before != nil && before.Type != c.Type {
			add(fmt.Sprintf("columns[%d].type", i), "found type %s of column %s, which is %s in rows that are kept; keep the type, or "+
				"declare the new shape as a source of another name", c.Type, c.Name, before.Type)
		}
	}
	if s.EventTime != old.EventTime {
		add("event_time", "found the event time moved from column %s to %s, by which rows that are kept were not loaded; keep it, "+
			"or declare the new shape as a source of another name", old.EventTime, s.EventTime)
	}
	return problems
}
