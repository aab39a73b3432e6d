package expr_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
)

// at is when the expressions of these tests are evaluated.
var at = feature.TimeOf(time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC))

// columns are what the expressions of these tests can name: of a view and of a request alike, a column for each type.
var columns = []feature.Column{
	{Name: "i", Type: feature.TypeInt64}, {Name: "j", Type: feature.TypeInt64}, {Name: "f", Type: feature.TypeFloat64},
	{Name: "s", Type: feature.TypeString}, {Name: "b", Type: feature.TypeBool}, {Name: "c", Type: feature.TypeBool},
	{Name: "t", Type: feature.TypeTimestamp}, {Name: "y", Type: feature.TypeBytes}, {Name: "d", Type: feature.DecimalType(12, 2)},
	{Name: "l", Type: feature.ListType(feature.TypeInt64)}, {Name: "n", Type: feature.VectorType(2)},
}

func view(cel string, result feature.Type) *feature.View {
	return &feature.View{
		Name: "o", Features: []feature.Column{{Name: "x", Type: result}},
		OnDemand: &feature.OnDemand{
			Inputs: columns, Views: []feature.ViewRef{{Name: "v"}, {Name: "w"}},
			Expressions: []feature.OnDemandExpression{{Feature: "x", CEL: cel}},
		},
	}
}

func features(string) ([]feature.Column, bool) { return columns, true }

func compile(t *testing.T, cel string, result feature.Type) *expr.Expression {
	t.Helper()
	v, problems := expr.Compile(view(cel, result), features)
	if len(problems) > 0 {
		t.Fatalf("%s: %+v", cel, problems)
	}
	return v.Features[0]
}

// evaluate gives every name that is not in values NULL.
func evaluate(e *expr.Expression, values map[string]feature.Value) (feature.Value, bool) {
	args := make([]feature.Value, len(e.Reads))
	for i, r := range e.Reads {
		args[i] = values[r.String()]
	}
	return e.Evaluate(args, at)
}

const (
	tInt, tFloat, tText, tBool, tTime = feature.TypeInt64, feature.TypeFloat64, feature.TypeString, feature.TypeBool, feature.TypeTimestamp
)

var failure = feature.String("\x00 failed")

func TestEvaluate(t *testing.T) {
	n := func(i int64) feature.Value { return feature.Int64(i) }
	values := map[string]feature.Value{
		"v.i": n(7), "v.f": feature.Float64(0.5), "v.s": feature.String("Ünder"), "v.b": feature.Bool(true),
		"v.t": feature.Timestamp(at.Add(-time.Hour)), "request.i": n(3), "request.s": feature.String("a,b"), "w.b": feature.Bool(false),
		"w.i": n(1<<63 - 1),
	}
	null := feature.Null()
	for _, c := range []struct {
		cel    string
		result feature.Type
		want   feature.Value
	}{
		{"v.i + request.i * 2", tInt, n(13)},
		{"double(v.i) / 2.0", tFloat, feature.Float64(3.5)},
		{"v.f > 0 && v.i > 6.5", tBool, feature.Bool(true)},
		{"v.s + '!'", tText, feature.String("Ünder!")},
		{"request.time", tTime, feature.Timestamp(at)},
		{"request.time - v.t > duration('59m')", tBool, feature.Bool(true)},
		{"(request.time - v.t).getSeconds()", tInt, n(3600)},
		{"request.time.getHours() * 100 + request.time.getMinutes()", tInt, n(1230)},
		{`request.time.getHours("+02:00")`, tInt, n(14)},
		{"{'a': 1, 'b': 2}['b']", tInt, n(2)},
		{"[1, 2, 3].exists(x, x == request.i)", tBool, feature.Bool(true)},
		{"size([1, 2, 3].filter(x, x < v.i).map(x, x * 2))", tInt, n(3)},
		{"v.i in [1, 7]", tBool, feature.Bool(true)},
		{"v.s.matches('^Ü.*r$')", tBool, feature.Bool(true)},
		{"math.greatest(v.i, request.i)", tInt, n(7)},
		{"math.round(v.f)", tFloat, feature.Float64(1)},
		{"v.s.lowerAscii() + v.s.upperAscii()", tText, feature.String("ÜnderÜNDER")},
		{"v.s.charAt(0) + v.s.substring(3) + v.s.substring(1, 2)", tText, feature.String("Üern")},
		{"v.s.indexOf('d') * 10 + 'abcabc'.lastIndexOf('c') + 'x'.indexOf('y')", tInt, n(24)},
		{"request.s.split(',').map(x, x + x).join('-')", tText, feature.String("aa-bb")},
		{"' x '.trim() + request.s.replace(',', '.')", tText, feature.String("xa.b")},
		{"v.i == request.i ? 'same' : 'other'", tText, feature.String("other")},
		{"1.0 / 0.0 > 1e308", tBool, feature.Bool(true)},

		// An operation on NULL is NULL.
		{"v.j", tInt, null},
		{"null", tInt, null},
		{"v.j + 1", tInt, null},
		{"-v.j", tInt, null},
		{"string(v.j)", tText, null},
		{"v.j == v.j", tBool, null},
		{"v.j != 1", tBool, null},
		{"v.j in [1, 2]", tBool, null},
		{"size([v.j, 1])", tInt, null},
		{"[1, 2][v.j]", tInt, null},
		{"v.c ? 1 : 2", tInt, null},
		{"v.b ? null : 2", tInt, null},
		{"v.b ? 1 : v.j", tInt, n(1)},
		{"(v.b ? null : v.i) + 1", tInt, null},
		{"w.s.split(',').map(x, x + '!').join('')", tText, null},
		{"[1, 2].map(x, x + v.j).size()", tInt, null},
		{"math.greatest(v.i, v.j)", tInt, null},

		// null is tested for, and nothing else.
		{"v.j == null", tBool, feature.Bool(true)},
		{"null == v.i", tBool, feature.Bool(false)},
		{"v.j != null", tBool, feature.Bool(false)},
		{"v.i != null", tBool, feature.Bool(true)},
		{"null == null", tBool, feature.Bool(true)},
		{"v.j + 1 == null", tBool, feature.Bool(true)},
		{"v.j == null ? 0 : v.j", tInt, n(0)},
		{"w.s == null || w.s == ''", tBool, feature.Bool(true)},
		{"1 / 0 == null", tBool, failure},
		{"[1].exists(x, x == null)", tBool, feature.Bool(false)},

		// Three-valued logic.
		{"v.c && v.b", tBool, null},
		{"v.b && v.c", tBool, null},
		{"v.c && w.b", tBool, feature.Bool(false)},
		{"w.b && v.c", tBool, feature.Bool(false)},
		{"v.c || v.b", tBool, feature.Bool(true)},
		{"v.b || v.c", tBool, feature.Bool(true)},
		{"v.c || w.b", tBool, null},
		{"!v.c", tBool, null},
		{"[true, false].all(x, x || v.c)", tBool, null},
		{"[false, false].all(x, x && v.c)", tBool, feature.Bool(false)},

		// What fails has no value.
		{"1 / 0", tInt, failure},
		{"v.i % (request.i - 3)", tInt, failure},
		{"w.i + 1", tInt, failure},
		{"-(-w.i - 1)", tInt, failure},
		{"int(v.s)", tInt, failure},
		{"int(v.f * 1e300)", tInt, failure},
		{"[1, 2][v.i]", tInt, failure},
		{"{'a': 1}['b']", tInt, failure},
		{"timestamp(v.s)", tTime, failure},
		{"v.s.charAt(5)", tText, failure},
		{"v.s.substring(2, 1)", tText, failure},
		{`"a\u0000b"`, tText, failure},
		{"v.b || 1 / 0 > 1", tBool, feature.Bool(true)},
		{"1 / 0 > 1 || v.b", tBool, feature.Bool(true)},
		{"w.b || 1 / 0 > 1", tBool, failure},
		{"w.b && 1 / 0 > 1", tBool, feature.Bool(false)},
		{"v.b ? 1 : 1 / 0", tInt, n(1)},
		// Of NULL and a failure the failure decides; in && and ||, NULL does.
		{"v.j + 1 / 0", tInt, failure},
		{"1 / 0 + v.j", tInt, failure},
		{"v.j == 1 / 0", tBool, failure},
		{"1 / 0 != v.j", tBool, failure},
		{"v.j < 1 / 0", tBool, failure},
		{"size([v.j, 1 / 0])", tInt, failure},
		{"v.j in [1, 1 / 0]", tBool, failure},
		{"v.c ? 1 / 0 : 1", tInt, null},
		{"1 / 0 > 1 ? v.j : 1", tInt, failure},
		{"1 / 0 > 1 || v.c", tBool, null},
		{"v.c || 1 / 0 > 1", tBool, null},
	} {
		got, failed := evaluate(compile(t, c.cel, c.result), values)
		if failed && c.want.Equal(failure) {
			continue
		}
		if failed || !got.Equal(c.want) {
			t.Errorf("%s: found %q (%s, failed %t), expected %q (%s)", c.cel, got.Text(), got.Type(), failed, c.want.Text(), c.want.Type())
		}
	}
}

func TestTypesWithParameters(t *testing.T) {
	price, err := feature.ParseDecimal(feature.DecimalType(12, 2), "-12.50")
	if err != nil {
		t.Fatal(err)
	}
	cents := feature.DecimalType(12, 2)
	counts, point := feature.ListType(tInt), feature.VectorType(2)
	list := func(typ feature.Type, elements ...feature.Value) feature.Value {
		v, err := feature.List(typ, elements)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	vector := func(floats ...float32) feature.Value {
		v, err := feature.Vector(feature.VectorType(len(floats)), floats)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	large, err := feature.ParseDecimal(feature.DecimalType(38, 0), strings.Repeat("9", 38))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]feature.Value{
		"v.y": feature.Bytes("\x00\xff"), "v.d": price, "v.l": list(counts, feature.Int64(3), feature.Int64(5)), "v.n": vector(0.5, 2),
		"w.l": list(counts), "w.d": large,
	}
	for _, c := range []struct {
		cel    string
		result feature.Type
		want   feature.Value
	}{
		{"v.y", feature.TypeBytes, feature.Bytes("\x00\xff")},
		{"v.y + b'a'", feature.TypeBytes, feature.Bytes("\x00\xffa")},
		{"size(v.y)", tInt, feature.Int64(2)},
		{"string(v.d)", tText, feature.String("-12.50")},
		{"double(v.d)", tFloat, feature.Float64(-12.5)},
		{"v.d < decimal('-12.4')", tBool, feature.Bool(true)},
		{"v.d == decimal('-12.5')", tBool, feature.Bool(true)},
		{"v.d >= decimal('-12.49')", tBool, feature.Bool(false)},
		{"w.d > decimal('0.00000000000000000000000000000000001')", tBool, feature.Bool(true)},
		{"string(decimal('0." + strings.Repeat("9", 38) + "'))", tText, feature.String("0." + strings.Repeat("9", 38))},
		{"string(decimal('-0.05'))", tText, feature.String("-0.05")},
		{"v.d in [decimal('1'), decimal('-12.500')]", tBool, feature.Bool(true)},
		{"decimal(string(v.l[0]) + 'x') == v.d", tBool, failure},
		{"request.d < v.d", tBool, feature.Null()},
		{"v.l", counts, list(counts, feature.Int64(3), feature.Int64(5))},
		{"v.l.map(x, x * 2)", counts, list(counts, feature.Int64(6), feature.Int64(10))},
		{"w.l", counts, list(counts)},
		{"request.l", counts, feature.Null()},
		{"request.l == null ? [1] : request.l", counts, list(counts, feature.Int64(1))},
		{"v.l[1] + size(v.l)", tInt, feature.Int64(7)},
		{"5 in v.l", tBool, feature.Bool(true)},
		{"w.l[0]", tInt, failure},
		{"v.l.map(x, string(x))", feature.ListType(tText), list(feature.ListType(tText), feature.String("3"), feature.String("5"))},
		{"v.n", point, vector(0.5, 2)},
		{"v.n.map(x, x / 2.0)", point, vector(0.25, 1)},
		{"v.n[0] * v.n[1]", tFloat, feature.Float64(1)},
		{"v.n.map(x, x * 1e300)", point, failure},
		{"v.n.filter(x, x > 1.0)", point, failure},
		{"[1.0, 2.0, 3.0]", point, failure},
		{"request.n", point, feature.Null()},
	} {
		got, failed := evaluate(compile(t, c.cel, c.result), values)
		if failed && c.want.Equal(failure) {
			continue
		}
		if failed || !got.Equal(c.want) {
			t.Errorf("%s: found %q (%s, failed %t), expected %q (%s)", c.cel, got.Text(), got.Type(), failed, c.want.Text(), c.want.Type())
		}
	}
	for cel, want := range map[string]string{
		"v.d + v.d == v.d": "1:5: found + of decimal and decimal, which is not there; convert them, such as with string(), int() or double()",
		"v.d < 1":          "1:5: found < of decimal and int64, which is not there; convert them, such as with string(), int() or double()",
	} {
		_, problems := expr.Compile(view(cel, tBool), features)
		if len(problems) == 0 {
			t.Errorf("%s: compiled", cel)
		} else if got := fmt.Sprintf("%d:%d: %s", problems[0].Line, problems[0].Column, problems[0].Message); got != want {
			t.Errorf("%s: found %s\nexpected %s", cel, got, want)
		}
	}
	_, problems := expr.Compile(view("v.d", cents), features)
	want := "features[0].type: found an on-demand feature of type decimal(12, 2), expected another type: expressions compare decimals and do " +
		"not compute with them; compute it in SQL, or declare it a float64 or a string"
	if len(problems) != 1 || problems[0].Field+": "+problems[0].Message != want {
		t.Errorf("found %+v, expected %s", problems, want)
	}
}

func TestCostIsLimitedWhenTextsAreLong(t *testing.T) {
	e := compile(t, "request.s.split(',').map(x, x + x).size()", tInt)
	short, long := strings.Repeat("a,", 100), strings.Repeat("a,", 200_000)
	if v, failed := evaluate(e, map[string]feature.Value{"request.s": feature.String(short)}); failed || v.Int64() != 101 {
		t.Errorf("a short text: found %q, failed %t, expected 101", v.Text(), failed)
	}
	if v, failed := evaluate(e, map[string]feature.Value{"request.s": feature.String(long)}); !failed || !v.IsNull() {
		t.Errorf("a long text: found %q, failed %t, expected a failure", v.Text(), failed)
	}
	// Each would be as long as a product.
	for _, cel := range []string{"request.s.replace('', request.s)", "request.s.split('').map(x, request.s).join('')"} {
		e := compile(t, cel, tText)
		if _, failed := evaluate(e, map[string]feature.Value{"request.s": feature.String(long)}); !failed {
			t.Errorf("%s: found a value, expected a failure", cel)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		cel    string
		result feature.Type
		want   string
	}{
		{"request.k", tInt, "1:1: found no input called k; did you mean request.i?"},
		{"1 +\n  request.tim", tInt, "2:3: found no input called tim; did you mean request.time?"},
		{"v.kind + 1", tInt, "1:1: found no feature called kind in view v"},
		{"other.i", tInt, "1:1: found no view called other among those that the view reads; there is v, w, request"},
		{"i", tInt, "1:1: found the name i, expected request.NAME or VIEW.FEATURE; did you mean request.i?"},
		{"nothing", tInt, "1:1: found the name nothing, expected request.NAME or VIEW.FEATURE"},
		{"v", tInt, "1:1: found view v alone, expected v.FEATURE"},
		{"1 + v.f", tInt, "1:3: found + of int64 and float64, expected two of one type; convert one with double() or int(), and write 2.0 for a float64"},
		{"v.i + 'a'", tInt, "1:5: found + of int64 and string, which is not there; convert them, such as with string(), int() or double()"},
		{"v.i", tFloat, "1:1: found an expression of type int64, expected float64, the type of the feature; write double(…)"},
		{"v.f", tInt, "1:1: found an expression of type float64, expected int64, the type of the feature; write int(…), which cuts off what is behind the point"},
		{"v.f", tText, "1:1: found an expression of type float64, expected string, the type of the feature; write string(…)"},
		{"[v.i]", tInt, "1:1: found an expression of type list(int64), expected int64, the type of the feature"},
		{"v.b ? 1 : 'a'", tInt, "1:5: found a conditional of bool, int64, string, expected a bool and two of one type"},
		{"has(v.i) ? 1 : 0", tInt, "1:4: found has(), expected a comparison: write VIEW.FEATURE != null"},
		{"dyn(v.i)", tInt, "1:4: found dyn(), expected expressions whose type is known before they are evaluated; leave it out"},
		{"now()", tTime, "1:4: found now(), expected request.time: the time of the read, or of the spine's row"},
		{"math.log(v.f)", tFloat, "1:9: found math.log(), whose last bit differs between processors; compute it in the view's SQL, or where the features are used"},
		{"v.s.lowerAsci()", tText, "1:14: found no function called lowerAsci; did you mean lowerAscii?"},
		{"greatest(v.i, 1)", tInt, "1:9: found no function called greatest; did you mean math.greatest?"},
		{"v.s.matches(request.s)", tBool, "1:20: found a pattern that is computed, expected one that is written out"},
		{"v.s.matches('(')", tBool, "1:13: found a pattern that RE2 does not know: error parsing regexp: missing closing ): `(`"},
		{"request.time.getHours('Europe/Berlin')", tInt, `1:23: found a time zone that is not an offset from UTC, expected one such as "+02:00", ` +
			"for the rules of named zones change; write the offset, or compute the feature in SQL"},
		{"{'a': 1, 'b': 2}.exists(k, k == 'a')", tBool, "1:24: found a macro over a map, whose order is not defined, expected one over a list"},
		{"size([1, 'a'])", tInt, "1:6: found a list of values of several types, expected one type; convert them"},
		{"[1].map(v, v)[0]", tInt, "1:8: found the variable v, which is the name of something else here; call it otherwise"},
		{"int('x')", tInt, "1:1: found a constant that always fails: type conversion error from 'string' to 'int'"},
		{"1 in ([1, 2] + [3]) ? 1 : 0", tInt, "1:14: found lists put together with +, expected one list, written out or made by a macro"},
		{"1 +", tInt, "1:4: found what is no CEL: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"},
		{"google.protobuf.Duration{seconds: 1}", tInt, "1:25: found a message google.protobuf.Duration{…}, expected texts, numbers, lists and maps"},
	} {
		_, problems := expr.Compile(view(c.cel, c.result), features)
		if len(problems) == 0 {
			t.Errorf("%s: compiled, expected %s", c.cel, c.want)
			continue
		}
		p := problems[0]
		if got := fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Message); got != c.want {
			t.Errorf("%s:\nfound    %s\nexpected %s", c.cel, got, c.want)
		}
		if p.Field != "on_demand.expressions[0].cel" || p.Kind != feature.KindView || p.Name != "o" {
			t.Errorf("%s: found a problem of %s %s, field %s", c.cel, p.Kind, p.Name, p.Field)
		}
	}
}

// bombs are expressions that would take long, or much memory, if they were let, with what is said of each; nothing where
// they are let, because they do little.
func bombs() map[string][2]string {
	deep := func(open, close string, n int) string {
		return strings.Repeat(open, n) + "1" + strings.Repeat(close, n)
	}
	const tooDeep = "found an expression that is too deep or too long"
	return map[string][2]string{
		"100 kB of a sum":     {strings.Repeat("1+", 49_000) + "1", tooDeep},
		"100 kB of a text":    {"size('" + strings.Repeat("x", 99_000) + "')", ""},
		"more than 100 kB":    {"size('" + strings.Repeat("x", 101_000) + "')", "found an expression of more than 100000 characters"},
		"nested parentheses":  {deep("(", ")", 10_000), tooDeep},
		"nested lists":        {"size(" + deep("[", "]", 10_000) + ")", tooDeep},
		"open only":           {strings.Repeat("(", 99_000), tooDeep},
		"nested calls":        {deep("int(", ")", 10_000), tooDeep},
		"nested conditionals": {strings.Repeat("true ? 1 : ", 9_000) + "1", tooDeep},
		"nots":                {strings.Repeat("!", 90_000) + "true ? 1 : 2", ""},
		"minuses":             {strings.Repeat("-", 90_000) + "1", ""},
		"an and":              {strings.Repeat("true && ", 12_000) + "true ? 1 : 2", tooDeep},
		"selects":             {"v" + strings.Repeat(".i", 40_000), tooDeep},
		"indexes":             {"v.i" + strings.Repeat("[0]", 30_000), tooDeep},
		"nested loops": {"size([1,2,3,4,5,6,7,8].map(a,[1,2,3,4,5,6,7,8].map(b,[1,2,3,4,5,6,7,8].map(c,[1,2,3,4,5,6,7,8].map(d," +
			"[1,2,3,4,5,6,7,8].map(e,[1,2,3,4,5,6,7,8].map(f,1)))))))", "found an expression that may cost 4381534"},
		// What it may cost is estimated low, so that evaluating it is stopped.
		"doubled texts":       {"size(['aaaaaaaa']" + strings.Repeat(".map(x,x+x)", 60) + ")", "failed"},
		"a search in nothing": {"1 in [1,2].map(x,x).filter(x,x>5) ? 1 : 2", ""},
		"doubled lists":       {"size([[1,1]]" + strings.Repeat(".map(x,x+x)", 60) + ")", "found lists put together with +"},
		"a huge number":       {strings.Repeat("9", 90_000), "found CEL that cannot be: invalid int literal"},
		"a huge exponent":     {"int(1e" + strings.Repeat("9", 9_000) + ")", "found CEL that cannot be: invalid double literal"},
		"a pattern": {"'a'.matches('((((((((a{1,9}){1,9}){1,9}){1,9}){1,9}){1,9}){1,9}){1,9})') ? 1 : 2",
			"found a pattern that RE2 does not know"},
		"garbage":    {strings.Repeat("){]}([,;\x00ÿ", 9_000), "found what is no CEL"},
		"quotes":     {strings.Repeat("'''", 30_000), "found what is no CEL"},
		"many loops": {"size([1]" + strings.Repeat(".filter(x,x>0)", 6_000) + ")", tooDeep},
	}
}

// That they are stopped before they take long shows in that this test ends.
func TestBombsAreStopped(t *testing.T) {
	for name, bomb := range bombs() {
		cel, want := bomb[0], bomb[1]
		v, problems := expr.Compile(view(cel, tInt), features)
		found := ""
		if len(problems) > 0 {
			found = problems[0].Message
		} else if _, failed := evaluate(v.Features[0], nil); failed {
			found = "failed"
		}
		if want == "" && found != "" || !strings.HasPrefix(found, want) {
			t.Errorf("%s: found %.200q, expected %q", name, found, want)
		}
	}
}

func TestConcurrentEvaluation(t *testing.T) {
	e := compile(t, "request.s + string(v.i) + ([1, 2].exists(x, x == v.i) ? 'y' : 'n')", tText)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range int64(200) {
				v, failed := evaluate(e, map[string]feature.Value{"request.s": feature.String(fmt.Sprint(g, "/")), "v.i": feature.Int64(i)})
				want := fmt.Sprint(g, "/", i, "n")
				if i == 1 || i == 2 {
					want = fmt.Sprint(g, "/", i, "y")
				}
				if failed || v.Str() != want {
					t.Errorf("found %q, expected %q", v.Str(), want)
				}
			}
		})
	}
	group.Wait()
}

func TestViewsThatAreNotKnownAreNotChecked(t *testing.T) {
	unknown := func(name string) ([]feature.Column, bool) { return columns, name == "v" }
	if v, problems := expr.Compile(view("w.whatever + 1", tInt), unknown); v != nil || len(problems) > 0 {
		t.Errorf("found %v, %+v, expected neither a view nor problems", v, problems)
	}
	if _, problems := expr.Compile(view("w.whatever + v.k", tInt), unknown); len(problems) != 1 {
		t.Errorf("found %+v, expected the unknown feature of the known view", problems)
	}
}

func TestAnalysis(t *testing.T) {
	v, problems := expr.Compile(view("w.j + v.i + request.i + w.i + w.j", tInt), features)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	a := v.Analysis([]feature.Column{{Name: "x"}})
	want := "[{x value v i} {x value w i} {x value w j}] map[v:[i] w:[i j]]"
	if got := fmt.Sprint(a.Inputs, " ", a.Uses); got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
}

func FuzzCompile(f *testing.F) {
	for _, cel := range []string{"v.i + request.i", "v.j == null ? 0 : v.j", "[1, 2].map(x, x * 2).size()", "v.s.matches('a+')",
		"request.time - v.t > duration('1h')", "{'a': 1}['a']", "null", "'\\x00'", "", "v.s.replace('', v.s)", "1 ? 2 : 3", "a.b.c.d()"} {
		f.Add(cel)
	}
	f.Fuzz(func(t *testing.T, cel string) {
		begin := time.Now()
		v, problems := expr.Compile(view(cel, tInt), features)
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.Message == "" {
				t.Errorf("%q: problem %+v", cel, p)
			}
		}
		if v != nil {
			evaluate(v.Features[0], map[string]feature.Value{"v.i": feature.Int64(1), "v.s": feature.String("abc"), "v.t": feature.Timestamp(at)})
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%q: took %s", cel, took)
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	for name, cel := range map[string]string{
		"arithmetic": "v.f * 2.0 + double(v.i) / 3.0", "condition": "v.i == null || v.i > 3 ? 1.0 : v.f",
	} {
		v, problems := expr.Compile(view(cel, tFloat), features)
		if len(problems) > 0 {
			b.Fatal(problems)
		}
		e := v.Features[0]
		args := make([]feature.Value, len(e.Reads))
		for i, r := range e.Reads {
			args[i] = map[string]feature.Value{"v.i": feature.Int64(7), "v.f": feature.Float64(0.25)}[r.String()]
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				e.Evaluate(args, at)
			}
		})
	}
}
