package feature

import (
	"strings"
	"testing"
	"time"
)

func mustTime(t *testing.T, s string) Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return TimeOf(at)
}

func TestQueryRender(t *testing.T) {
	q, problems := ParseQuery("SELECT '{{x}}', é -- {{y}}\n FROM t\nWHERE a >= {{interval.start}} AND a<{{ interval.end }} AND b ; -- done")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	start, end := mustTime(t, "2001-01-01T00:00:00Z"), mustTime(t, "2001-02-03T04:05:06.000007Z")
	got := q.Render(start, end)
	want := "SELECT '{{x}}', é -- {{y}}\n FROM t\nWHERE a >= (TIMESTAMPTZ '2001-01-01 00:00:00+00') " +
		"AND a<(TIMESTAMPTZ '2001-02-03 04:05:06.000007+00') AND b "
	if got != want {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
	for _, c := range []struct {
		at           string
		line, column int
	}{
		{"SELECT", 1, 1}, {"é", 1, 17}, {"FROM", 2, 2}, {">=", 3, 9}, {"(TIMESTAMPTZ", 3, 12}, {"2001-01", 3, 12},
		{"AND a<", 3, 31}, {"2001-02", 3, 37}, {"AND b", 3, 56},
	} {
		line, column := q.Locate(start, end, strings.Index(got, c.at))
		if line != c.line || column != c.column {
			t.Errorf("%q is at %d:%d, expected %d:%d", c.at, line, column, c.line, c.column)
		}
	}
}

func TestSQLTime(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2024, 2, 29, 23, 59, 59, 999_999_000, time.UTC), "2024-02-29 23:59:59.999999+00"},
		{time.Date(0, 2, 29, 0, 0, 0, 0, time.UTC), "0001-02-29 00:00:00+00 BC"},
		{time.Date(-43, 3, 15, 0, 0, 0, 0, time.UTC), "0044-03-15 00:00:00+00 BC"},
		{time.Date(12024, 1, 1, 0, 0, 0, 0, time.UTC), "12024-01-01 00:00:00+00"},
	} {
		if got := SQLTime(TimeOf(c.at)); got != c.want {
			t.Errorf("found %q, expected %q", got, c.want)
		}
	}
}

func TestParseQueryProblems(t *testing.T) {
	for _, c := range []struct {
		sql          string
		line, column int
		message      string
	}{
		{"", 1, 1, "found no SQL"},
		{"-- nothing", 1, 1, "found no SQL"},
		{"SELECT 1; SELECT 2", 1, 9, "second statement"},
		{"SELECT 1;;", 1, 9, "second statement"},
		{"SELECT {{run.id}}", 1, 8, "found the placeholder {{run.id}}, expected {{interval.start}} or {{interval.end}}"},
		{"SELECT\n '{{interval.start}}'", 2, 2, "remove the quotes"},
		{"SELECT $1", 1, 8, "found the parameter $1"},
		{"SELECT (1", 1, 8, "not closed, expected `)`"},
		{"SELECT 1) UNION (SELECT 2", 1, 9, "closes nothing"},
		{"SELECT a[1)", 1, 11, "closes nothing"},
		{"SELECT 'a", 1, 8, "does not end"},
		{"SELECT '\x00'", 1, 1, "NUL"},
	} {
		_, problems := ParseQuery(c.sql)
		if len(problems) != 1 {
			t.Errorf("ParseQuery(%q): found %v, expected one problem", c.sql, problems)
			continue
		}
		if p := problems[0]; p.Line != c.line || p.Column != c.column || !strings.Contains(p.Message, c.message) {
			t.Errorf("ParseQuery(%q): found %d:%d: %s", c.sql, p.Line, p.Column, p.Message)
		}
	}
	for _, sql := range []string{"SELECT 1", "SELECT 1;", "SELECT ';' -- ;\n", "SELECT a[1], (b)", "SELECT {{interval.start}}"} {
		if _, problems := ParseQuery(sql); len(problems) > 0 {
			t.Errorf("ParseQuery(%q): found %v, expected no problem", sql, problems)
		}
	}
	for _, sql := range []string{"a;", "{{interval.start}}", "a)"} {
		if _, problems := ParseExpression(sql); len(problems) != 1 {
			t.Errorf("ParseExpression(%q): found %v, expected one problem", sql, problems)
		}
	}
}
