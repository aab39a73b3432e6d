// Package anyfilter draws row filters, and rows and principals that they tell apart, for property tests. Each filter comes with what it means,
// by an evaluation that is as plain as can be. It is for tests alone.
package anyfilter

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/anyvalue"
)

// Columns are two of each type that a filter compares, decimals of several scales, and two of types that it does not.
var Columns = []feature.Column{
	{Name: "b", Type: feature.TypeBool}, {Name: "c", Type: feature.TypeBool},
	{Name: "i", Type: feature.TypeInt64}, {Name: "j", Type: feature.TypeInt64},
	{Name: "f", Type: feature.TypeFloat64}, {Name: "g", Type: feature.TypeFloat64},
	{Name: "s", Type: feature.TypeString}, {Name: "u", Type: feature.TypeString},
	{Name: "event_time", Type: feature.TypeTimestamp}, {Name: "available_at", Type: feature.TypeTimestamp},
	{Name: "y", Type: feature.TypeBytes}, {Name: "z", Type: feature.TypeBytes},
	{Name: "d", Type: feature.DecimalType(12, 2)}, {Name: "e", Type: feature.DecimalType(38, 0)},
	{Name: "h", Type: feature.DecimalType(38, 38)}, {Name: "k", Type: feature.DecimalType(38, 19)},
	{Name: "l", Type: feature.ListType(feature.TypeString)}, {Name: "n", Type: feature.VectorType(2)},
}

// Pools hold, for each type, a few values that rows and filters draw from, so that they are often equal.
type Pools map[feature.Type][]feature.Value

var hardTexts = []string{
	"", "a", "A", "B", "ab", "abc", "bc", "z", "Z", "é", "e\u0301", "ä", "日本語", "日本", "\U0010ffff", "\uffff", "'", `"`, `\`, `\'`, "%", "_", "$1", "?",
	"'; DROP TABLE headwater.views; --", `' OR '1'='1`, `\') OR true --`, "$$x$$", "/*", "--", "NULL", "true", "{a,b}", "a\nb", "\t", strings.Repeat("long ", 150),
}

// DrawPools draws some values of each type, many of them hard.
func DrawPools(t *rapid.T) Pools {
	p := Pools{}
	for _, c := range Columns {
		values := rapid.SliceOfN(anyvalue.Of(c.Type), 2, 4).Draw(t, "pool")
		if c.Type == feature.TypeString {
			for range 5 {
				values = append(values, feature.String(rapid.SampledFrom(hardTexts).Draw(t, "text")))
			}
		}
		p[c.Type] = append(p[c.Type], values...)
		if c.Type.Kind() == feature.TypeDecimal {
			// Small ones, which other scales hold too.
			small, err := feature.ParseDecimal(c.Type, rapid.SampledFrom([]string{"0", "-0.0", "0e5"}).Draw(t, "small"))
			if err != nil {
				t.Fatal(err)
			}
			p[c.Type] = append(p[c.Type], small)
			for _, text := range []string{"1", "-1", "2.5"} {
				if v, err := feature.ParseDecimal(c.Type, text); err == nil {
					p[c.Type] = append(p[c.Type], v)
				}
			}
		}
	}
	return p
}

// Row draws a value or NULL for each of Columns.
func (p Pools) Row(t *rapid.T) []feature.Value {
	row := make([]feature.Value, len(Columns))
	for i, c := range Columns {
		if rapid.IntRange(0, 5).Draw(t, "null") > 0 {
			row[i] = rapid.SampledFrom(p[c.Type]).Draw(t, c.Name)
		}
	}
	return row
}

// Texts are what a principal may have, beside texts of the pools: some that no column holds.
func (p Pools) Texts(t *rapid.T) []string {
	var texts []string
	for range rapid.IntRange(0, 3).Draw(t, "attributes") * rapid.SampledFrom([]int{1, 1, 6}).Draw(t, "times") {
		texts = append(texts, p.Name(t))
	}
	return texts
}

// Name is one of those texts.
func (p Pools) Name(t *rapid.T) string {
	if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
		return rapid.SampledFrom([]string{"a\x00", "\xff", "\x00"}).Draw(t, "name")
	}
	return rapid.SampledFrom(p[feature.TypeString]).Draw(t, "name").Str()
}

// Filter is a condition in CEL over Columns, and its value for a row of them: 1 true, -1 false, 0 NULL.
type Filter struct {
	Text string
	Eval func(row []feature.Value, p *expr.Principal) int
}

// Filter draws a condition of so many levels, over the values of the pools.
func (p Pools) Filter(t *rapid.T, depth int) Filter { return drawer{t, p}.condition(depth) }

func sign(b bool) int {
	if b {
		return 1
	}
	return -1
}

type drawer struct {
	*rapid.T
	Pools
}

func (d drawer) pick(what string, n int) int { return rapid.IntRange(0, n-1).Draw(d.T, what) }

func (d drawer) column(fits func(feature.Type) bool) int {
	var at []int
	for i, c := range Columns {
		if fits(c.Type) {
			at = append(at, i)
		}
	}
	return at[d.pick("column", len(at))]
}

func scalar(t feature.Type) bool {
	return t.Kind() != feature.TypeList && t.Kind() != feature.TypeVector
}

func isText(t feature.Type) bool { return t == feature.TypeString }

func (d drawer) condition(depth int) Filter {
	if depth > 0 {
		a, b := func() Filter { return d.condition(depth - 1) }, func() Filter { return d.condition(depth - 1) }
		switch d.pick("kind", 6) {
		case 0:
			x := a()
			return Filter{"!(" + x.Text + ")", func(row []feature.Value, p *expr.Principal) int { return -x.Eval(row, p) }}
		case 1:
			x, y := a(), b()
			return Filter{"(" + x.Text + " && " + y.Text + ")", func(row []feature.Value, p *expr.Principal) int {
				return min(x.Eval(row, p), y.Eval(row, p))
			}}
		case 2:
			x, y := a(), b()
			return Filter{"(" + x.Text + " || " + y.Text + ")", func(row []feature.Value, p *expr.Principal) int {
				return max(x.Eval(row, p), y.Eval(row, p))
			}}
		case 3:
			x, y, z := a(), b(), a()
			return Filter{"(" + x.Text + " ? " + y.Text + " : " + z.Text + ")", func(row []feature.Value, p *expr.Principal) int {
				switch x.Eval(row, p) {
				case 1:
					return y.Eval(row, p)
				case -1:
					return z.Eval(row, p)
				}
				return 0
			}}
		}
	}
	return d.leaf()
}

var orders = map[string]func(order int) bool{
	"==": func(o int) bool { return o == 0 }, "!=": func(o int) bool { return o != 0 },
	"<": func(o int) bool { return o < 0 }, "<=": func(o int) bool { return o <= 0 },
	">": func(o int) bool { return o > 0 }, ">=": func(o int) bool { return o >= 0 },
}

var operatorNames = []string{"==", "!=", "<", "<=", ">", ">="}

// side is one side of a comparison; NULL where it has no value.
type side struct {
	text  string
	value func(row []feature.Value, p *expr.Principal) feature.Value
}

func (d drawer) columnSide(at int) side {
	return side{"row." + Columns[at].Name, func(row []feature.Value, _ *expr.Principal) feature.Value { return row[at] }}
}

func (d drawer) literalSide(t feature.Type) side {
	v := rapid.SampledFrom(d.Pools[t]).Draw(d.T, "literal")
	return side{d.literal(v), func([]feature.Value, *expr.Principal) feature.Value { return v }}
}

func nameSide() side {
	return side{"principal.name", func(_ []feature.Value, p *expr.Principal) feature.Value {
		if !utf8.ValidString(p.Name) || strings.Contains(p.Name, "\x00") {
			return feature.Null()
		}
		return feature.String(p.Name)
	}}
}

func (d drawer) leaf() Filter {
	switch d.pick("leaf", 9) {
	case 0:
		at := d.column(func(t feature.Type) bool { return t == feature.TypeBool })
		return Filter{"row." + Columns[at].Name, func(row []feature.Value, _ *expr.Principal) int {
			if row[at].IsNull() {
				return 0
			}
			return sign(row[at].Bool())
		}}
	case 1:
		at := d.column(func(feature.Type) bool { return true })
		operator := rapid.SampledFrom([]string{"==", "!="}).Draw(d.T, "operator")
		return Filter{"row." + Columns[at].Name + " " + operator + " null", func(row []feature.Value, _ *expr.Principal) int {
			return sign(row[at].IsNull() == (operator == "=="))
		}}
	case 2:
		b := rapid.Bool().Draw(d.T, "constant")
		return Filter{strconv.FormatBool(b), func([]feature.Value, *expr.Principal) int { return sign(b) }}
	case 3, 4:
		return d.comparison()
	case 5:
		at := d.column(scalar)
		left, typ := d.columnSide(at), Columns[at].Type
		if isText(typ) && d.pick("name", 3) == 0 {
			left = nameSide()
		}
		var among []side
		var texts []string
		for range rapid.IntRange(1, 12).Draw(d.T, "listed") {
			among = append(among, d.literalSide(typ))
			texts = append(texts, among[len(among)-1].text)
		}
		return Filter{left.text + " in [" + strings.Join(texts, ", ") + "]", func(row []feature.Value, p *expr.Principal) int {
			v := left.value(row, p)
			if v.IsNull() {
				return 0
			}
			return sign(slices.ContainsFunc(among, func(s side) bool { return orderOf(v, s.value(row, p)) == 0 }))
		}}
	case 6:
		left := d.textSide()
		attribute := rapid.SampledFrom([]string{"roles", "regions", "teams", "nothing"}).Draw(d.T, "attribute")
		return Filter{left.text + " in principal." + attribute, func(row []feature.Value, p *expr.Principal) int {
			v := left.value(row, p)
			if v.IsNull() {
				return 0
			}
			texts := p.Attributes[attribute]
			if attribute == "roles" {
				texts = p.Roles
			}
			return sign(slices.Contains(texts, v.Str()))
		}}
	}
	return d.part()
}

func (d drawer) textSide() side {
	switch d.pick("side", 5) {
	case 0:
		return nameSide()
	case 1:
		return d.literalSide(feature.TypeString)
	}
	return d.columnSide(d.column(isText))
}

func (d drawer) part() Filter {
	left := d.columnSide(d.column(isText))
	right := nameSide()
	function := rapid.SampledFrom([]string{"startsWith", "endsWith", "contains"}).Draw(d.T, "function")
	switch d.pick("part", 4) {
	case 0:
	case 1:
		// A part of a text, which is often in one.
		text := []rune(rapid.SampledFrom(d.Pools[feature.TypeString]).Draw(d.T, "whole").Str())
		from := rapid.IntRange(0, len(text)).Draw(d.T, "from")
		part := feature.String(string(text[from:rapid.IntRange(from, len(text)).Draw(d.T, "to")]))
		right = side{d.literal(part), func([]feature.Value, *expr.Principal) feature.Value { return part }}
	default:
		right = d.literalSide(feature.TypeString)
		if d.pick("name", 4) == 0 {
			left = nameSide()
		}
	}
	return Filter{left.text + "." + function + "(" + right.text + ")", func(row []feature.Value, p *expr.Principal) int {
		v, w := left.value(row, p), right.value(row, p)
		if v.IsNull() || w.IsNull() {
			return 0
		}
		text, part := []byte(v.Str()), []byte(w.Str())
		if len(part) > len(text) {
			return -1
		}
		for at := 0; at+len(part) <= len(text); at++ {
			begins, ends := at == 0, at+len(part) == len(text)
			if bytes.Equal(text[at:at+len(part)], part) && (function == "contains" || function == "startsWith" && begins || function == "endsWith" && ends) {
				return 1
			}
		}
		return -1
	}}
}

func (d drawer) comparison() Filter {
	at := d.column(scalar)
	typ := Columns[at].Type
	left, right := d.columnSide(at), d.literalSide(typ)
	switch d.pick("other", 4) {
	case 0:
		// Decimals of other scales too.
		right = d.columnSide(d.column(func(t feature.Type) bool { return t.Kind() == typ.Kind() }))
	case 1:
		if isText(typ) {
			right = nameSide()
		}
	case 2:
		if isText(typ) {
			left = nameSide()
		}
	}
	if rapid.Bool().Draw(d.T, "swapped") {
		left, right = right, left
	}
	operator := rapid.SampledFrom(operatorNames).Draw(d.T, "operator")
	return Filter{left.text + " " + operator + " " + right.text, func(row []feature.Value, p *expr.Principal) int {
		v, w := left.value(row, p), right.value(row, p)
		if v.IsNull() || w.IsNull() {
			return 0
		}
		return sign(orders[operator](orderOf(v, w)))
	}}
}

// orderOf is what the semantics say of two values that are not NULL.
func orderOf(v, w feature.Value) int {
	number := func(v feature.Value) *big.Rat {
		switch v.Type().Kind() {
		case feature.TypeFloat64:
			return new(big.Rat).SetFloat64(v.Float64())
		case feature.TypeDecimal:
			r, ok := new(big.Rat).SetString(v.Text())
			if !ok {
				panic("no number: " + v.Text())
			}
			return r
		case feature.TypeTimestamp:
			return new(big.Rat).SetInt64(int64(v.Timestamp()))
		case feature.TypeBool:
			return new(big.Rat).SetInt64(int64(sign(v.Bool())))
		}
		return new(big.Rat).SetInt64(v.Int64())
	}
	switch v.Type().Kind() {
	case feature.TypeString, feature.TypeBytes:
		return bytes.Compare([]byte(v.Str()), []byte(w.Str()))
	case feature.TypeFloat64:
		rank := func(f float64) int {
			switch {
			case math.IsNaN(f):
				return 3
			case math.IsInf(f, 1):
				return 2
			case math.IsInf(f, -1):
				return 0
			}
			return 1
		}
		a, b := rank(v.Float64()), rank(w.Float64())
		if a != b || a != 1 {
			return a - b
		}
	}
	return number(v).Cmp(number(w))
}

// literal writes a value in CEL, in one of the ways there are.
func (d drawer) literal(v feature.Value) string {
	switch v.Type().Kind() {
	case feature.TypeBool, feature.TypeInt64:
		if n := v.Int64(); v.Type() == feature.TypeInt64 && n > -1000 && n < 1000 && rapid.Bool().Draw(d.T, "float") {
			return strconv.FormatFloat(float64(n), 'f', 1, 64)
		}
		return v.Text()
	case feature.TypeFloat64:
		f := v.Float64()
		switch {
		case math.IsNaN(f):
			return `double("NaN")`
		case math.IsInf(f, 1):
			return `double("Infinity")`
		case math.IsInf(f, -1):
			return `double("-Infinity")`
		case f == math.Trunc(f) && math.Abs(f) < 1<<62 && rapid.Bool().Draw(d.T, "int"):
			return strconv.FormatInt(int64(f), 10)
		}
		return strconv.FormatFloat(f, 'e', -1, 64)
	case feature.TypeTimestamp:
		return `timestamp("` + v.Text() + `")`
	case feature.TypeDecimal:
		if text := v.Text(); v.Type().Scale() == 0 && len(text) < 18 && rapid.Bool().Draw(d.T, "int") {
			return text
		}
		return `decimal("` + v.Text() + `")`
	case feature.TypeBytes:
		text := `b"`
		for _, b := range []byte(v.Str()) {
			text += fmt.Sprintf(`\x%02x`, b)
		}
		return text + `"`
	}
	text := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(v.Str())
	return `"` + text + `"`
}
