package feature

import (
	"slices"
	"testing"
)

func TestSuccessionProblems(t *testing.T) {
	old := flights().Sources[0]
	next := func(change func(s *Source)) *Source {
		s := flights().Sources[0]
		s.Columns = slices.Clone(s.Columns)
		change(&s)
		return &s
	}
	for _, c := range []struct {
		name   string
		next   *Source
		fields []string
	}{
		{"the same", next(func(*Source) {}), nil},
		{"other words, clock of arrival and order", next(func(s *Source) {
			s.Description, s.ArrivalExpression, s.ArrivalColumn = "other", "", ""
			slices.Reverse(s.Columns)
		}), nil},
		{"a column more", next(func(s *Source) { s.Columns = append(s.Columns, Column{Name: "more", Type: TypeBool}) }), nil},
		{"a column less", next(func(s *Source) { s.Columns = s.Columns[:len(s.Columns)-1] }), []string{"columns"}},
		{"another type", next(func(s *Source) { s.Columns[1].Type = TypeBool }), []string{"columns[1].type"}},
		{"another event time", next(func(s *Source) {
			s.Columns = append(s.Columns, Column{Name: "later", Type: TypeTimestamp})
			s.EventTime = "later"
		}), []string{"event_time"}},
	} {
		var fields []string
		for _, p := range c.next.SuccessionProblems(&old) {
			fields = append(fields, p.Field)
		}
		if !slices.Equal(fields, c.fields) {
			t.Errorf("%s: found problems of %v, expected %v", c.name, fields, c.fields)
		}
	}
}
