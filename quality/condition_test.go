package quality_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/anyvalue"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/quality"
)

func TestPatternsAreAlikeInGoAndPostgres(t *testing.T) {
	ctx := context.Background()
	pool := testenv.Postgres(t)
	atoms := []string{"a", "b", "é", "日", ".", "[a-c]", "[^a]", `\d`, `\w`, `\W`, `\s`, `\S`, `[[:alpha:]]`, `\pL`, `\PN`, "^", "$", `\.`, `\n`, "(?i:aB)", "(?s:.)",
		"(?i:ß)", "(?i:ſ)", "(?i:K)", "", "[a-zé-ü]", `\x41`, `\x{10FFFF}`, "(?:)", "-", "]", "'", `\\`, "(?i:[k-s])"}
	var pattern func(depth int) *rapid.Generator[string]
	pattern = func(depth int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			if depth == 0 {
				return rapid.SampledFrom(atoms).Draw(t, "atom")
			}
			inner := pattern(depth - 1)
			switch rapid.IntRange(0, 5).Draw(t, "kind") {
			case 0:
				return inner.Draw(t, "left") + inner.Draw(t, "right")
			case 1:
				return "(?:" + inner.Draw(t, "left") + "|" + inner.Draw(t, "right") + ")"
			case 2:
				return "(" + inner.Draw(t, "sub") + ")" + rapid.SampledFrom([]string{"*", "+", "?", "*?", "+?", "??", "{2}", "{0,3}", "{1,}", "{0}"}).Draw(t, "count")
			case 3:
				return "^" + inner.Draw(t, "sub") + "$"
			}
			return inner.Draw(t, "sub")
		})
	}
	texts := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "ab", "b", "\n", "a\n", "\nb", "É", "é", "日本", "K", "K", "ſ", "S", "ß", "\U0010ffff", "ABab", "aB", "-]'\\", "1 2", "٣", "x_y", " ", "A.b"}),
		rapid.Map(rapid.StringOf(rapid.SampledFrom([]rune("abcABé日\n .1-]'\\"))), func(s string) string { return s }),
		rapid.Map(rapid.String(), func(s string) string { return strings.ReplaceAll(s, "\x00", "") }))
	rapid.Check(t, func(t *rapid.T) {
		p, err := feature.ParsePattern(pattern(rapid.IntRange(0, 4).Draw(t, "depth")).Draw(t, "pattern"))
		if err != nil {
			t.Skip(err)
		}
		for range 5 {
			text := texts.Draw(t, "text")
			var got bool
			if err := pool.QueryRow(ctx, `SELECT $1::text COLLATE "C" ~ $2`, text, p.Postgres()).Scan(&got); err != nil {
				t.Fatal(p.Postgres(), err)
			}
			if got != p.Match(text) {
				t.Fatalf("%q: found %t in Postgres, expected %t, by %s", text, got, p.Match(text), p.Postgres())
			}
		}
	})
}

// bigText is a value as SQL writes it, of any type.
func sqlValue(v feature.Value, t feature.Type) string {
	cast := sqlType(t)
	if v.IsNull() {
		return "NULL::" + cast
	}
	text := ""
	switch t.Kind() {
	case feature.TypeTimestamp:
		text = feature.SQLTime(v.Timestamp())
	case feature.TypeBytes:
		text = fmt.Sprintf(`\x%x`, v.Str())
	case feature.TypeFloat64:
		text = v.Text()
		if math.IsInf(v.Float64(), 1) {
			text = "Infinity"
		} else if math.IsInf(v.Float64(), -1) {
			text = "-Infinity"
		}
	case feature.TypeList:
		elements := []string{}
		for _, e := range v.Elements() {
			elements = append(elements, sqlValue(e, t.Elem()))
		}
		return "ARRAY[" + strings.Join(elements, ", ") + "]::" + cast
	default:
		text = v.Text()
	}
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'::" + cast
}

func sqlType(t feature.Type) string {
	switch t.Kind() {
	case feature.TypeBool:
		return "boolean"
	case feature.TypeInt64:
		return "bigint"
	case feature.TypeFloat64:
		return "double precision"
	case feature.TypeString:
		return "text"
	case feature.TypeTimestamp:
		return "timestamptz"
	case feature.TypeBytes:
		return "bytea"
	case feature.TypeDecimal:
		return "numeric"
	}
	return sqlType(t.Elem()) + "[]"
}

// Every kind that both know, over values of every type with NULL, NaN, infinities, extremes and any text: SQL and Go say the same.
func TestConditionsAreAlikeInGoAndPostgres(t *testing.T) {
	ctx := context.Background()
	pool := testenv.Postgres(t)
	rapid.Check(t, func(t *rapid.T) {
		typ := anyvalue.Type().Draw(t, "type")
		if typ.Kind() == feature.TypeVector {
			typ = feature.TypeFloat64
		}
		e := feature.Expectation{Name: "e", Column: "c", Kind: feature.ExpectNotNull}
		bound := func(name string) feature.Literal {
			return literalOf(anyvalue.Of(typ).Draw(t, name))
		}
		kinds := []feature.ExpectationKind{feature.ExpectNotNull}
		switch typ.Kind() {
		case feature.TypeString:
			kinds = append(kinds, feature.ExpectRange, feature.ExpectAcceptedValues, feature.ExpectRegex, feature.ExpectLength)
		case feature.TypeInt64, feature.TypeFloat64, feature.TypeDecimal:
			kinds = append(kinds, feature.ExpectRange, feature.ExpectAcceptedValues)
		case feature.TypeTimestamp:
			kinds = append(kinds, feature.ExpectRange, feature.ExpectAcceptedValues, feature.ExpectPlausible)
		case feature.TypeBytes:
			kinds = append(kinds, feature.ExpectAcceptedValues, feature.ExpectLength)
		case feature.TypeBool:
			kinds = append(kinds, feature.ExpectAcceptedValues)
		case feature.TypeList:
			kinds = append(kinds, feature.ExpectLength)
		}
		e.Kind = rapid.SampledFrom(kinds).Draw(t, "kind")
		switch e.Kind {
		case feature.ExpectRange:
			if rapid.Bool().Draw(t, "has min") {
				e.Min = bound("min")
			}
			if e.Min == nil || rapid.Bool().Draw(t, "has max") {
				e.Max = bound("max")
			}
		case feature.ExpectAcceptedValues:
			for i := range rapid.IntRange(1, 4).Draw(t, "values") {
				e.Values = append(e.Values, bound(fmt.Sprint(i)))
			}
		case feature.ExpectRegex:
			e.Pattern = rapid.SampledFrom([]string{"^[a-z]*$", `\pL`, "^.?$", "(?i:é|b)"}).Draw(t, "pattern")
		case feature.ExpectLength:
			e.MinLength = int64(rapid.IntRange(0, 5).Draw(t, "min"))
			if e.MinLength == 0 || rapid.Bool().Draw(t, "has max") {
				most := e.MinLength + int64(rapid.IntRange(0, 5).Draw(t, "more"))
				e.MaxLength = &most
			}
		case feature.ExpectPlausible:
			if rapid.Bool().Draw(t, "has not before") {
				at := anyvalue.Of(typ).Draw(t, "not before").Timestamp()
				e.NotBefore = &at
			}
		}
		value := anyvalue.OrNull(typ).Draw(t, "value")
		if rapid.Bool().Draw(t, "at a bound") {
			if l := firstOf(e.Min, e.Max); l != nil {
				value, _ = feature.ValueOf(l, typ)
			} else if len(e.Values) > 0 {
				value, _ = feature.ValueOf(e.Values[0], typ)
			}
		}
		columns := []feature.Column{{Name: "c", Type: typ}}
		conditions, err := quality.Conditions([]feature.Expectation{e}, columns)
		if err != nil {
			if e.Min == "NaN" || e.Max == "NaN" {
				t.Skip(err)
			}
			t.Fatal(err)
		}
		clock := feature.Time(1_700_000_000_000_000)
		failed := quality.Evaluator(conditions, clock)([]feature.Value{value})
		var got bool
		query := "SELECT " + conditions[0].Fails(quality.Relation{Name: "r", Clock: "TIMESTAMPTZ '" + feature.SQLTime(clock) + "'"}) +
			" FROM (SELECT " + sqlValue(value, typ) + " AS c) AS r"
		if err := pool.QueryRow(ctx, query).Scan(&got); err != nil {
			t.Fatal(query, err)
		}
		if got != (failed != nil) {
			t.Fatalf("%s of %s: found %t in Postgres, expected %t, by %s", e.Expected(), value.Text(), got, failed != nil, query)
		}
	})
}

func firstOf(list ...feature.Literal) feature.Literal {
	for _, l := range list {
		if l != nil {
			return l
		}
	}
	return nil
}

// literalOf is a value as definitions write it.
func literalOf(v feature.Value) feature.Literal {
	switch v.Type().Kind() {
	case feature.TypeBool:
		return v.Bool()
	case feature.TypeFloat64:
		if math.IsNaN(v.Float64()) {
			return "NaN"
		}
		if math.IsInf(v.Float64(), 0) {
			return map[bool]string{true: "Infinity", false: "-Infinity"}[v.Float64() > 0]
		}
		return v.Float64()
	}
	return v.Text()
}
