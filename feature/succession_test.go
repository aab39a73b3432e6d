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
		{"rules", next(func(s *Source) {
			s.UniqueKey, s.Conflicting, s.IgnoreNewColumns = []string{"origin"}, KeepNewest, true
		}), nil},
		{"a table of others", next(func(s *Source) { s.Postgres = &PostgresOrigin{Schema: "public", Table: "t"} }), []string{"postgres"}},
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

// Of a table of others nothing is kept, so that it may become another one; a landing table it does not become.
func TestSuccessionOfTablesOfOthers(t *testing.T) {
	old, next := flights().Sources[0], flights().Sources[0]
	old.Postgres, next.Postgres = &PostgresOrigin{Schema: "public", Table: "t"}, &PostgresOrigin{Database: "shop", Schema: "public", Table: "u"}
	next.Columns, next.EventTime = next.Columns[1:2], "landed"
	if problems := next.SuccessionProblems(&old); len(problems) > 0 {
		t.Errorf("found %v", problems)
	}
	next.Postgres = nil
	problems := next.SuccessionProblems(&old)
	const want = "found the source moved from postgres to landing, where the rows that views have read are not; declare it as a source of another name"
	if len(problems) != 1 || problems[0].Field != "landing" || problems[0].Message != want {
		t.Errorf("found %v", problems)
	}
}
