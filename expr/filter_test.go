package expr_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/anyfilter"
)

func compileFilter(t testing.TB, cel string, columns []feature.Column) *expr.Filter {
	t.Helper()
	f, problems := expr.CompileFilter(cel, columns)
	if len(problems) > 0 {
		t.Fatalf("%s: %+v", cel, problems)
	}
	return f
}

// valuesOf gives every column that is not in values NULL.
func valuesOf(f *expr.Filter, values map[string]feature.Value) []feature.Value {
	list := make([]feature.Value, len(f.Columns))
	for i, name := range f.Columns {
		list[i] = values[name]
	}
	return list
}

var ann = &expr.Principal{
	Name: "ann", Roles: []string{"EU_ANALYST"},
	Attributes: map[string][]string{"regions": {"UK", "FR", "DE", "FR"}, "odd": {"a\x00b", "\xff"}, "name": {"bob"}, "roles": {"GLOBAL_ADMIN"}},
}

func numberOf(t *testing.T, typ feature.Type, text string) feature.Value {
	t.Helper()
	v, err := feature.ParseDecimal(typ, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What TestFiltersAreAlikeInGoAndPostgres says of random filters, for those that the documentation speaks of.
func TestFilterHolds(t *testing.T) {
	values := map[string]feature.Value{
		"i": feature.Int64(7), "s": feature.String("FR"), "b": feature.Bool(true), "f": feature.Float64(0.5),
		"d": numberOf(t, feature.DecimalType(12, 2), "12.50"), "k": numberOf(t, feature.DecimalType(38, 19), "12.5"),
		"event_time": feature.Timestamp(at), "y": feature.Bytes("\x00\xff"),
	}
	for cel, want := range map[string]bool{
		`row.s in principal.regions`:                                true,
		`row.s in principal.nothing`:                                false,
		`!(row.s in principal.nothing)`:                             true,
		`!(row.u in principal.nothing)`:                             false, // NULL is neither in a list nor not.
		`row.s in ["US", "FR"]`:                                     true,
		`"EU_ANALYST" in principal.roles`:                           true,
		`"GLOBAL_ADMIN" in principal.roles`:                         false, // An attribute called roles is not the roles.
		`principal.name == "ann"`:                                   true,
		`row.s == principal.name`:                                   false,
		`row.i >= 7 && row.i <= 7.0 && 7 == row.i`:                  true,
		`6 < row.i && 8 > row.i`:                                    true,
		`row.j == row.j`:                                            false,
		`row.j != 1 || row.i == 7`:                                  true,
		`row.j == null && row.i != null`:                            true,
		`null == row.l`:                                             true,
		`row.b`:                                                     true,
		`!row.b`:                                                    false,
		`row.c || !row.c`:                                           false,
		`row.c ? true : true`:                                       false,
		`row.b ? row.s == "FR" : row.s == "US"`:                     true,
		`row.d == decimal("12.5") && row.d == row.k`:                true,
		`row.d > 12 && row.d < 13`:                                  true,
		`row.d in [1, decimal("12.500")]`:                           true,
		`row.f < 1`:                                                 true,
		`row.event_time == timestamp("2026-03-01T13:30:00+01:00")`:  true,
		`row.event_time < timestamp("2026-03-01T12:30:00.000001Z")`: true,
		`row.y == b"\x00\xff"`:                                      true,
		`row.s.startsWith("F") && row.s.endsWith("R")`:              true,
		`row.s.contains("")`:                                        true,
		`row.u.contains("")`:                                        false,
		`row.s < "a" && row.s > "B"`:                                true, // By bytes, capitals come first.
		`true`:                                                      true,
		`false`:                                                     false,
	} {
		f := compileFilter(t, cel, anyfilter.Columns)
		if got := f.Bind(ann).Holds(valuesOf(f, values)); got != want {
			t.Errorf("%s: found %t, expected %t", cel, got, want)
		}
	}
}

// Every comparison at the ends of the integers, where one less or one more is none.
func TestFilterAtTheEndsOfIntegers(t *testing.T) {
	edges := []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}
	for relation, want := range map[string]func(a, b int64) bool{
		"<":  func(a, b int64) bool { return a < b },
		"<=": func(a, b int64) bool { return a <= b },
		"==": func(a, b int64) bool { return a == b },
		"!=": func(a, b int64) bool { return a != b },
		">=": func(a, b int64) bool { return a >= b },
		">":  func(a, b int64) bool { return a > b },
	} {
		for _, b := range edges {
			cel := fmt.Sprintf("row.i %s %d", relation, b)
			f := compileFilter(t, cel, anyfilter.Columns)
			bound, not := f.Bind(ann), compileFilter(t, "!("+cel+")", anyfilter.Columns).Bind(ann)
			for _, a := range edges {
				row := valuesOf(f, map[string]feature.Value{"i": feature.Int64(a)})
				if got := bound.Holds(row); got != want(a, b) {
					t.Errorf("%d %s %d: found %v", a, relation, b, got)
				}
				if got := not.Holds(row); got == want(a, b) {
					t.Errorf("!(%d %s %d): found %v", a, relation, b, got)
				}
			}
			if bound.Holds(valuesOf(f, nil)) || not.Holds(valuesOf(f, nil)) {
				t.Errorf("%s: NULL is seen", cel)
			}
		}
	}
}

// Lists of few texts and of many, whose texts differ in one byte at each place, or in their length alone.
func TestFilterFindsTextsInLists(t *testing.T) {
	f := compileFilter(t, "row.s in principal.regions", anyfilter.Columns)
	for length := range 20 {
		text := strings.Repeat("a", length)
		for _, more := range [][]string{nil, {"b", "c", "d", "e", "f", "g", "h", "i"}} {
			bound := f.Bind(&expr.Principal{Name: "ann", Attributes: map[string][]string{"regions": append(more, text, text+"z", "z"+text)}})
			holds := func(s string) bool { return bound.Holds(valuesOf(f, map[string]feature.Value{"s": feature.String(s)})) }
			if !holds(text) {
				t.Errorf("%q is not found", text)
			}
			for _, other := range []string{text + "a", text + "aa", "z" + text + "z"} {
				if holds(other) {
					t.Errorf("%q is found beside %q", other, text)
				}
			}
			for i := range length {
				if other := text[:i] + "x" + text[i+1:]; holds(other) {
					t.Errorf("%q is found beside %q", other, text)
				}
			}
		}
	}
}

func TestFilterOfFloats(t *testing.T) {
	nan, otherNaN, inf, zero := math.NaN(), math.Float64frombits(0xfff8000000000001), math.Inf(1), math.Copysign(0, -1)
	for _, c := range []struct {
		cel  string
		f, g float64
		want bool
	}{
		{`row.f == row.g`, nan, otherNaN, true},
		{`row.f == double("NaN")`, otherNaN, 0, true},
		{`row.f > row.g`, nan, inf, true},
		{`row.f >= 1000`, nan, 0, true},
		{`row.f < row.g`, nan, nan, false},
		{`row.f == double("Infinity")`, inf, 0, true},
		{`row.f > double("-Infinity")`, -inf, 0, false},
		{`row.f == row.g && row.f == 0 && row.f == -0.0`, zero, 0, true},
		{`row.f < row.g`, zero, 0, false},
		{`row.f in [0, 1]`, zero, 0, true},
		{`row.f in [double("NaN")]`, otherNaN, 0, true},
	} {
		f := compileFilter(t, c.cel, anyfilter.Columns)
		values := valuesOf(f, map[string]feature.Value{"f": feature.Float64(c.f), "g": feature.Float64(c.g)})
		if got := f.Bind(ann).Holds(values); got != c.want {
			t.Errorf("%s of %v and %v: found %t, expected %t", c.cel, c.f, c.g, got, c.want)
		}
	}
}

// A row that was written before the column had its type is not seen by chance.
func TestFilterTakesValuesOfOtherTypesForNULL(t *testing.T) {
	for cel, want := range map[string]bool{
		`row.i == 0`: false, `!(row.i == 0)`: false, `row.i != row.j`: false, `row.i in [0, 1]`: false, `!(row.i in [0, 1])`: false,
		`row.i == null`: true, `!row.b`: false, `row.s.contains("") || !row.s.contains("")`: false,
	} {
		f := compileFilter(t, cel, anyfilter.Columns)
		values := valuesOf(f, map[string]feature.Value{
			"i": feature.Float64(0), "j": feature.Int64(1), "b": feature.String("x"), "s": feature.Bytes("x"),
		})
		if got := f.Bind(ann).Holds(values); got != want {
			t.Errorf("%s: found %t, expected %t", cel, got, want)
		}
	}
}

// A name or an attribute that no column can hold is in no list, and a comparison with such a name is NULL.
func TestFilterOfTextsThatNoColumnHolds(t *testing.T) {
	odd := &expr.Principal{Name: "a\x00", Roles: []string{"\xff"}, Attributes: map[string][]string{"regions": {"FR", "\xff", "a\x00"}}}
	long := &expr.Principal{Name: strings.Repeat("x", 2_000)}
	for _, c := range []struct {
		p    *expr.Principal
		cel  string
		want string
	}{
		{odd, `row.s == principal.name`, "never"},
		{odd, `row.s != principal.name`, "never"},
		{odd, `!(row.s < principal.name)`, "never"},
		{odd, `principal.name != "x"`, "never"},
		{odd, `!(principal.name in ["x"])`, "never"},
		{odd, `!row.s.contains(principal.name)`, "never"},
		{odd, `row.s in principal.regions`, `s is "FR"`},
		{odd, `row.s in principal.roles`, "never"},
		{long, `!row.s.contains(principal.name)`, "never"},
		{long, `row.s in principal.roles`, "never"},
	} {
		f := compileFilter(t, c.cel, anyfilter.Columns)
		if got := f.Bind(c.p).Words(); got != c.want {
			t.Errorf("%s: found %s, expected %s", c.cel, got, c.want)
		}
	}
}

func TestFilterWordsAndSQL(t *testing.T) {
	for _, c := range []struct{ cel, words, bound, sql, args string }{
		{`row.s in principal.regions`, `s is one of the principal's regions`, `s is one of "DE", "FR", "UK"`,
			`(((r.s)::text COLLATE "C" = ANY ($3::text[])) IS TRUE)`, `[[DE FR UK]]`},
		{`"GLOBAL_ADMIN" in principal.roles || row.s in principal.regions`,
			`"GLOBAL_ADMIN" is one of the principal's roles or s is one of the principal's regions`, `s is one of "DE", "FR", "UK"`,
			`(((r.s)::text COLLATE "C" = ANY ($3::text[])) IS TRUE)`, `[[DE FR UK]]`},
		{`"EU_ANALYST" in principal.roles || row.s in principal.regions`,
			`"EU_ANALYST" is one of the principal's roles or s is one of the principal's regions`, `always`, `true`, `[]`},
		{`row.s in principal.nothing && row.i > 1`, `s is one of the principal's nothing and i is greater than 1`, `never`, `false`, `[]`},
		{`!(row.s in principal.nothing)`, `not (s is one of the principal's nothing)`, `not (s is in an empty list)`,
			`((NOT nullif((r.s) IS NULL, true)) IS TRUE)`, `[]`},
		{`(row.b || row.i == null) && row.d >= 10 && !row.c`, `(b is true or i is NULL) and d is at least 10.00 and not (c is true)`, ``,
			`((((r.b)::boolean OR ((r.i) IS NULL)) AND ((r.d)::numeric >= $3::text::numeric) AND (NOT (r.c)::boolean)) IS TRUE)`, `[10.00]`},
		{`row.b ? row.s == principal.name : row.event_time < timestamp("2026-01-01T00:00:00Z")`,
			`if b is true then s is the principal's name else event_time is before 2026-01-01T00:00:00Z`,
			`if b is true then s is "ann" else event_time is before 2026-01-01T00:00:00Z`,
			`((CASE (r.b)::boolean WHEN true THEN ((r.s)::text COLLATE "C" = $3::text) WHEN false THEN ((r.event_time)::timestamptz < $4::timestamptz) END) IS TRUE)`,
			`[ann 2026-01-01 00:00:00 +0000 UTC]`},
		{`row.s.startsWith("a") || row.s.endsWith("b") || row.s.contains("c")`, `s starts with "a" or s ends with "b" or s contains "c"`, ``,
			`((starts_with((r.s)::text COLLATE "C", $3::text) OR (right((r.s)::text COLLATE "C", char_length($4::text)) COLLATE "C" = $4::text) OR ` +
				`(strpos((r.s)::text COLLATE "C", $5::text) > 0)) IS TRUE)`, `[a b c]`},
		{`row.d in [1, decimal("2.5")] && row.d < row.k`, `d is one of 1.00, 2.50 and d is less than k`, ``,
			`((((r.d)::numeric = ANY ($3::text[]::numeric[])) AND ((r.d)::numeric < (r.k)::numeric)) IS TRUE)`, `[[1.00 2.50]]`},
		{`row.s >= "'; DROP TABLE x; --" && row.y != b"\x00"`, `s sorts at or after "'; DROP TABLE x; --" and y is not bytes 00`, ``,
			`((((r.s)::text COLLATE "C" >= $3::text) AND ((r.y)::bytea <> $4::bytea)) IS TRUE)`, `['; DROP TABLE x; -- [0]]`},
	} {
		f := compileFilter(t, c.cel, anyfilter.Columns)
		b := f.Bind(ann)
		sql, args := b.SQL(func(i int) string { return "r." + f.Columns[i] }, 3)
		bound := c.bound
		if bound == "" {
			bound = c.words
		}
		if f.Words() != c.words || b.Words() != bound || sql != c.sql || fmt.Sprint(args) != c.args {
			t.Errorf("%s:\nfound    %s\n         %s\n         %s\n         %v\nexpected %s\n         %s\n         %s\n         %s", c.cel,
				f.Words(), b.Words(), sql, args, c.words, bound, c.sql, c.args)
		}
		holds, constant := b.Constant()
		if constant != (bound == "always" || bound == "never") || holds != (bound == "always") {
			t.Errorf("%s: found holds %t, constant %t, expected those of %s", c.cel, holds, constant, bound)
		}
	}
}

func TestFilterNamesWhatItReads(t *testing.T) {
	f := compileFilter(t, `row.s == principal.name || row.i == 1 && row.s in principal.regions && "x" in principal.roles || row.l == null`, anyfilter.Columns)
	if got := fmt.Sprint(f.Columns, f.Attributes); got != "[s i l] [name regions roles]" {
		t.Errorf("found %s", got)
	}
}

func TestFilterRefusals(t *testing.T) {
	for _, c := range [][2]string{
		{"row.i + 1 > 2", "1:7: found +, expected a comparison: a filter does not compute; compute a column in the view's SQL, and compare that"},
		{"row.i == -(5)", "1:10: found -, expected a comparison: a filter does not compute; compute a column in the view's SQL, and compare that"},
		{`row.s.matches("a")`, "1:14: found matches(), expected startsWith(), endsWith() or contains(): Go and Postgres know patterns of different kinds"},
		{`row.l.exists(x, x == "a")`, "1:13: found exists(), expected VALUE in LIST: a filter has no macros"},
		{`row.l.all(x, x == "a")`, "1:10: found all(), expected VALUE in LIST: a filter has no macros"},
		{"has(row.i)", "1:4: found has(), expected a comparison: write row.COLUMN != null"},
		{"size(row.s) > 1", `1:5: found size(), expected a comparison; compare a text with "", and look into the principal's lists with in`},
		{"row.event_time.getHours() > 3", "1:24: found getHours(), which a filter does not have; docs/row-filters.md lists what it has"},
		{`row.l[0] == "a"`, "1:6: found an index, expected row.COLUMN or principal.ATTRIBUTE; look into the principal's lists with in"},
		{"dyn(row.i) == 1", "1:4: found dyn(), expected a column or a literal: a filter converts no values; compare those of one type"},
		{`int("5") == row.i`, "1:4: found int(), expected a column or a literal: a filter converts no values; compare those of one type"},
		{"now() > row.event_time", "1:4: found now(), expected row.COLUMN or principal.ATTRIBUTE: who sees a row does not depend on the clock"},
		{`row.s.startWith("a")`, "1:16: found startWith(), which a filter does not have; did you mean startsWith?"},
		{`lower(row.s) == "a"`, "1:6: found lower(), which a filter does not have; docs/row-filters.md lists what it has"},
		{"request.time > row.event_time", "1:1: found the name request, expected row.COLUMN or principal.ATTRIBUTE"},
		{"regions", "1:1: found the name regions, expected row.COLUMN or principal.ATTRIBUTE"},
		{`s == "x"`, "1:1: found the name s, expected row.COLUMN or principal.ATTRIBUTE; did you mean row.s?"},
		{"row", "1:1: found row alone, expected row.COLUMN"},
		{"principal", "1:1: found principal alone, expected principal.name, principal.roles or principal.ATTRIBUTE"},
		{"row.s in principal.Regions", "1:10: found principal.Regions, which no principal has, expected a name of lower-case letters, digits and single underscores"},
		{"row.ii == 1", "1:1: found no column called ii; did you mean row.i?"},
		{"other.i == 1", "1:1: found the name other, expected row.COLUMN or principal.ATTRIBUTE; did you mean row.i?"},
		{`principal.a.b == "x"`, "1:12: found a field .b, expected row.COLUMN, a literal or principal.name"},
		{"row.s == 5", `1:10: found row.s compared with 5, an int64, expected a string; write "…"`},
		{"row.s == true", `1:10: found row.s compared with true, a bool, expected a string; write "…"`},
		{`row.b == "true"`, `1:10: found row.b compared with "true", a string, expected a bool; write true`},
		{"row.i == 5.5", "1:10: found row.i compared with 5.5, a float64, expected an int64; no int64 is 5.5: write a whole number"},
		{"row.i < 1e300", "1:9: found row.i compared with 1e+300, a float64, expected an int64; no int64 is 1e+300: write a whole number"},
		{`row.i == "5"`, `1:10: found row.i compared with "5", a string, expected an int64; write 5`},
		{"row.f == 9007199254740993", "1:10: found row.f compared with 9007199254740993, an int64, expected a float64; no float64 is 9007199254740993: write the one that is meant, such as 9007199254740992.0"},
		{"row.f > 9223372036854775807", "1:9: found row.f compared with 9223372036854775807, an int64, expected a float64; no float64 is 9223372036854775807: write the one that is meant, such as 9223372036854775808.0"},
		{"row.d > 1.1", `1:9: found row.d compared with 1.1, a float64, expected a decimal(12, 2); a float64 is seldom what is written: write decimal("1.1")`},
		{`row.d == "1"`, `1:10: found row.d compared with "1", a string, expected a decimal(12, 2); write decimal("1")`},
		{`row.d > decimal("1.555")`, `1:16: found row.d compared with decimal("1.555"), a decimal, expected a decimal(12, 2); none is 1.555: write the one that is meant`},
		{"row.d > 10000000000", "1:9: found row.d compared with 10000000000, an int64, expected a decimal(12, 2); none is 10000000000: write the one that is meant"},
		{`row.d > decimal("x")`, `1:16: found "x", expected a decimal of at most 38 digits, such as 12.50`},
		{`row.event_time > "2026-01-01"`, `1:18: found row.event_time compared with "2026-01-01", a string, expected a timestamp; write timestamp("2026-01-01")`},
		{`row.event_time > timestamp("2026-01-01")`, `1:27: found "2026-01-01", expected a time of RFC 3339, such as timestamp("2026-01-31T00:00:00Z")`},
		{`row.event_time == timestamp("2026-01-01T00:00:00.1234567Z")`, `1:28: found "2026-01-01T00:00:00.1234567Z", expected at most 6 digits of a second: timestamps have microseconds`},
		{"row.event_time == timestamp(row.s)", `1:28: found timestamp() of something else, expected a literal text, such as timestamp("2026-01-31T00:00:00Z")`},
		{"row.event_time > 5", `1:18: found row.event_time compared with 5, an int64, expected a timestamp; write timestamp("2026-01-31T00:00:00Z")`},
		{`row.f == double("1.5")`, `1:16: found double("1.5"), expected the number written out, or double("NaN"), double("Infinity") or double("-Infinity")`},
		{"row.f == double(row.i)", `1:16: found double() of something else, expected a literal text, such as double("NaN")`},
		{`row.y == "a"`, `1:10: found row.y compared with "a", a string, expected bytes; write b"…"`},
		{"row.i == 5u", "1:10: found 5u, which is unsigned, expected 5"},
		{"row.s", `1:4: found row.s alone, a string, expected a condition, such as row.s == "…"`},
		{"row.l", "1:4: found row.l alone, a list(string), expected a condition, such as row.l != null"},
		{"principal.name", `1:10: found principal.name alone, a string, expected a condition, such as principal.name == "…"`},
		{"principal.roles", `1:10: found principal.roles alone, a list, expected a condition, such as "…" in principal.roles`},
		{`"x"`, `1:1: found "x", expected a condition: comparisons, in, startsWith(), endsWith(), contains() and columns of type bool, with &&, ||, ! and ? :`},
		{"null", "1:1: found null, expected a condition: comparisons, in, startsWith(), endsWith(), contains() and columns of type bool, with &&, ||, ! and ? :"},
		{"row.b ? null : true", "1:9: found null, expected a condition: comparisons, in, startsWith(), endsWith(), contains() and columns of type bool, with &&, ||, ! and ? :"},
		{`row.b ? "a" : "b"`, `1:9: found "a", expected a condition: comparisons, in, startsWith(), endsWith(), contains() and columns of type bool, with &&, ||, ! and ? :`},
		{"[row.b]", "1:1: found a list, expected a condition: comparisons, in, startsWith(), endsWith(), contains() and columns of type bool, with &&, ||, ! and ? :"},
		{`"x" in row.l`, `1:11: found row.l behind in, expected a list of literals, such as ["…"], or principal.ATTRIBUTE`},
		{"row.l == row.l", "1:4: found row.l, a list(string), expected a column of type bool, int64, float64, string, timestamp, decimal or bytes; a filter can only ask whether it is null"},
		{"row.n != row.n", "1:4: found row.n, a vector(2), expected a column of type bool, int64, float64, string, timestamp, decimal or bytes; a filter can only ask whether it is null"},
		{"row.i in []", "1:10: found an empty list, in which nothing is, expected literals; write false"},
		{"row.i in [1, null]", "1:14: found null, expected a value; NULL is tested for with row.COLUMN == null"},
		{"row.i in [1, row.j]", "1:17: found row.j in a list, expected literals alone; compare with == and ||"},
		{`row.i in [1, "a"]`, `1:14: found row.i compared with "a", a string, expected an int64; write 5`},
		{"row.i in 5", "1:10: found 5 behind in, expected a list of literals, such as [5], or principal.ATTRIBUTE"},
		{"row.i in principal.roles", "1:7: found row.i, an int64, looked for in principal.roles, expected a string: the principal's lists are of strings"},
		{`principal.roles in ["x"]`, "1:10: found principal.roles, a list, where one value is expected; write VALUE in principal.roles"},
		{`"x" in ["x"]`, `1:5: found "x" looked for in a list of literals, expected a column or principal.name before in`},
		{"row.s in principal.name", `1:19: found principal.name behind in, expected a list of literals, such as ["…"], or principal.ATTRIBUTE`},
		{"row.s == principal.roles", "1:19: found principal.roles, a list, where one value is expected; write VALUE in principal.roles"},
		{"row.i < null", "1:9: found null, expected a value; NULL is tested for with row.COLUMN == null"},
		{"principal.name == null", "1:10: found principal.name compared with null, expected a column: nothing else is ever NULL"},
		{"null == null", "1:1: found null compared with null, expected a column: nothing else is ever NULL"},
		{"(row.b && row.c) == true", "1:8: found &&, expected row.COLUMN, a literal or principal.name"},
		{"row.i == (row.b ? 1 : 2)", "1:17: found a conditional, expected row.COLUMN, a literal or principal.name"},
		{`{"a": 1} == row.s`, "1:1: found a map, expected row.COLUMN, a literal or principal.name"},
		{"1 == 1", "1:3: found 1 compared with 1, which no row changes, expected a column on one side"},
		{"principal.name == principal.name", "1:16: found principal.name compared with principal.name, which no row changes, expected a column on one side"},
		{"principal.name.contains(principal.name)", "1:34: found principal.name in contains(), which no row changes, expected a literal text"},
		{"row.i < row.f", "1:7: found row.i, an int64, compared with row.f, a float64, expected two of one type; make both of one type in the view's SQL"},
		{"row.i == principal.name", "1:7: found row.i, an int64, compared with principal.name, a string, expected two of one type; what is known of principals are strings"},
		{"row.s.contains(row.u)", "1:19: found row.u, a string, in contains(), expected a literal text, or principal.name"},
		{`row.i.contains("1")`, "1:4: found contains() of row.i, an int64, expected row.COLUMN of type string, or principal.name"},
		{`"abc".contains(principal.name)`, `1:1: found contains() of "abc", a string, expected row.COLUMN of type string, or principal.name`},
		{"row.s.contains(5)", "1:16: found 5, an int64, in contains(), expected a literal text, or principal.name"},
		{`startsWith(row.s, "a")`, `1:11: found a call of startsWith() of another form, expected row.COLUMN.startsWith("…")`},
		{`row.s.contains("a", "b")`, `1:15: found a call of contains() of another form, expected row.COLUMN.contains("…")`},
		{"row.b &&\n  row.s == \"\\u0000\"", `2:12: found a NUL character in "\x00", expected text without one`},
		{"row.i ==", "1:9: found what is no CEL: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"},
		{"Foo{a: 1}", "1:4: found a message Foo{…}, expected texts, numbers, lists and maps"},
		{"row.i == 99999999999999999999", "1:10: found CEL that cannot be: invalid int literal"},
		{"", "1:1: found what is no CEL: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"},
	} {
		_, problems := expr.CompileFilter(c[0], anyfilter.Columns)
		if len(problems) == 0 {
			t.Errorf("%s: compiled, expected %s", c[0], c[1])
			continue
		}
		p := problems[0]
		if got := fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Message); got != c[1] {
			t.Errorf("%s:\nfound    %s\nexpected %s", c[0], got, c[1])
		}
	}
}

// What docs/row-filters.md shows can be compiled, and gives the words and the SQL that stand there.
func TestFilterPage(t *testing.T) {
	page, err := os.ReadFile("../docs/row-filters.md")
	if err != nil {
		t.Fatal(err)
	}
	price := feature.DecimalType(12, 2)
	columns := []feature.Column{
		{Name: "region", Type: tText}, {Name: "country", Type: tText}, {Name: "owner", Type: tText}, {Name: "path", Type: tText},
		{Name: "amount", Type: price}, {Name: "embargo_until", Type: tTime}, {Name: "active", Type: tBool}, {Name: "a", Type: tInt},
		{Name: "b", Type: tInt}, {Name: "count", Type: tInt}, {Name: "price", Type: price}, {Name: "score", Type: tFloat},
	}
	compiled, refused := 0, 0
	for _, cel := range regexp.MustCompile("(?m)^    ((?:row|\")[^\n]*)$|`([^`\n]*row\\.[^`\n]*|true|false)`").FindAllStringSubmatch(string(page), -1) {
		text := strings.ReplaceAll(cel[1]+cel[2], `\|`, "|")
		_, problems := expr.CompileFilter(text, columns)
		switch {
		case strings.Contains(text, "COLUMN"):
		case strings.HasPrefix(text, "row.count") || strings.HasPrefix(text, "row.price"):
			if refused++; len(problems) == 0 {
				t.Errorf("%s: compiled, expected a refusal", text)
			}
		default:
			if compiled++; len(problems) > 0 {
				t.Errorf("%s: %+v", text, problems)
			}
		}
	}
	if compiled < 18 || refused != 3 {
		t.Errorf("found %d filters, and %d that are refused, expected at least 18 and 3", compiled, refused)
	}
	f := compileFilter(t, `row.region in principal.regions && row.amount < decimal("10000")`, columns)
	b := f.Bind(&expr.Principal{Attributes: map[string][]string{"regions": {"UK", "FR", "DE"}}})
	sql, _ := b.SQL(func(i int) string { return f.Columns[i] }, 1)
	for _, line := range []string{b.Words(), sql} {
		if !strings.Contains(string(page), "\n    "+line+"\n") {
			t.Errorf("found no line %s", line)
		}
	}
}

// That they are stopped before they take long shows in that this test ends.
func TestFilterBombsAreStopped(t *testing.T) {
	const tooLarge = "found an expression that is too deep or too long"
	for name, bomb := range map[string][2]string{
		"an or":               {strings.Repeat("row.b||", 1_400) + "true", tooLarge},
		"a list":              {"row.i in [" + strings.Repeat("1,", 3_000) + "1]", tooLarge},
		"a long text":         {`row.s == "` + strings.Repeat("x", 11_000) + `"`, "found an expression of more than 10000 characters"},
		"nested parentheses":  {strings.Repeat("(", 4_000) + "row.b" + strings.Repeat(")", 4_000), tooLarge},
		"nested conditionals": {strings.Repeat("row.b ? row.c : ", 500) + "true", tooLarge},
		"nots":                {strings.Repeat("!(", 500) + "row.b" + strings.Repeat(")", 500), tooLarge},
		"selects":             {"row" + strings.Repeat(".i", 4_000), tooLarge},
		"open only":           {strings.Repeat("(", 9_000), tooLarge},
		"garbage":             {strings.Repeat("){]}([,;\x00ÿ", 900), "found what is no CEL"},
		"a huge number":       {"row.i == " + strings.Repeat("9", 9_000), "found CEL that cannot be: invalid int literal"},
		"a huge decimal":      {`row.d == decimal("` + strings.Repeat("9", 9_000) + `")`, `found "999`},
		"a long part":         {`row.s.contains("` + strings.Repeat("x", 1_001) + `")`, "found a text of 1001 bytes in contains(), expected at most 1000"},
		"a wide or":           {strings.Repeat(`row.i == 1 || `, 400) + "true", ""},
		"a wide list":         {"row.i in [" + strings.Repeat("1,", 1_900) + "1]", ""},
	} {
		f, problems := expr.CompileFilter(bomb[0], anyfilter.Columns)
		switch {
		case bomb[1] == "" && len(problems) == 0:
			f.Bind(ann).Holds(valuesOf(f, nil))
		case bomb[1] == "" || len(problems) == 0 || !strings.HasPrefix(problems[0].Message, bomb[1]):
			t.Errorf("%s: found %.300v, expected %q", name, problems, bomb[1])
		}
		if len(problems) > 5 {
			t.Errorf("%s: found %d problems, expected at most 5", name, len(problems))
		}
	}
}

func TestFilterIsSafeForConcurrentUse(t *testing.T) {
	f := compileFilter(t, `row.s in principal.regions || row.i in [3, 1, 2]`, anyfilter.Columns)
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			regions := []string{"b", "a", fmt.Sprint(g)}
			b := f.Bind(&expr.Principal{Attributes: map[string][]string{"regions": regions}})
			for i := range int64(200) {
				want := i == int64(g) || i >= 1 && i <= 3
				values := []feature.Value{feature.String(fmt.Sprint(i)), feature.Int64(i)}
				if b.Holds(values) != want {
					t.Errorf("%d of principal %d: found %t", i, g, !want)
				}
			}
			if !slices.Equal(regions, []string{"b", "a", fmt.Sprint(g)}) {
				t.Errorf("found the principal's regions changed: %v", regions)
			}
		})
	}
	group.Wait()
}

func FuzzCompileFilter(f *testing.F) {
	for _, cel := range []string{`row.s in principal.regions`, `"x" in principal.roles || row.s == principal.name`, `row.i == null ? row.b : !row.c`,
		`row.d >= decimal("1.5") && row.d in [1, 2]`, `row.event_time < timestamp("2026-01-01T00:00:00Z")`, `row.f != double("NaN")`, `row.y == b"\x00"`,
		`row.s.contains("a") && row.s.startsWith(principal.name)`, `row.i < 2.5`, `null`, ``, `!!true`, `row.l.exists(x, x == 1)`, `principal.a.b`, `row.k < -1`} {
		f.Add(cel)
	}
	f.Fuzz(func(t *testing.T, cel string) {
		begin := time.Now()
		filter, problems := expr.CompileFilter(cel, anyfilter.Columns)
		if (filter == nil) != (len(problems) > 0) || len(problems) > 5 {
			t.Errorf("%q: found %v and %d problems", cel, filter, len(problems))
		}
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || !strings.Contains(p.Message, "found") {
				t.Errorf("%q: problem %+v", cel, p)
			}
		}
		if filter != nil {
			b := filter.Bind(ann)
			values := valuesOf(filter, map[string]feature.Value{"i": feature.Int64(1), "s": feature.String("abc"), "b": feature.Bool(true)})
			b.Holds(values)
			sql, args := b.SQL(func(i int) string { return filter.Columns[i] }, 1)
			if len(sql) > 100*len(cel)+100 || len(args) > len(cel) || strings.Contains(sql, "'") || len(b.Words())+len(filter.Words()) > 100*len(cel)+200 {
				t.Errorf("%q: found the SQL %q", cel, sql)
			}
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%q: took %s", cel, took)
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("region-%03d", i)
	}
	p := &expr.Principal{Name: "ann", Roles: []string{"EU_ANALYST"}, Attributes: map[string][]string{"regions": {"UK", "FR", "DE"}, "many": many}}
	price, _ := feature.ParseDecimal(feature.DecimalType(12, 2), "12.50")
	values := map[string]feature.Value{
		"i": feature.Int64(7), "j": feature.Int64(8), "s": feature.String("UK"), "u": feature.String("region-077"), "b": feature.Bool(true), "d": price,
		"f": feature.Float64(0.5), "event_time": feature.Timestamp(at),
	}
	for _, c := range []struct{ name, cel string }{
		{"region", `row.s in principal.regions`},
		{"role_or_region", `"GLOBAL_ADMIN" in principal.roles || row.s in principal.regions`},
		{"region_of_100", `row.u in principal.many`},
		{"number", `row.i >= 5`},
		{"decimal", `row.d < 100`},
		{"three", `row.s in principal.regions && row.i >= 5 && row.event_time >= timestamp("2026-01-01T00:00:00Z")`},
		{"conditional", `row.j == null ? row.b : row.s != principal.name && row.f < 1`},
	} {
		f := compileFilter(b, c.cel, anyfilter.Columns)
		bound, row := f.Bind(p), valuesOf(f, values)
		if !bound.Holds(row) {
			b.Fatalf("%s: found false", c.cel)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bound.Holds(row)
			}
		})
	}
	f := compileFilter(b, `"GLOBAL_ADMIN" in principal.roles || row.s in principal.regions`, anyfilter.Columns)
	b.Run("bind", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.Bind(p)
		}
	})
}
