package expr

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/headwaterhq/headwater/feature"
)

// lowering makes the tree of a filter out of CEL whose names are resolved. Where a literal is meant as a value of a column's
// type, such as the 5 in `row.price > 5`, it is put in place of what was written, for CEL's own check of types.
type lowering struct {
	*compilation
	// index has what the names mean.
	index   map[string]operand
	factory ast.ExprFactory
}

var relations = map[string]relation{
	"_==_": equal, "_!=_": less | greater, "_<_": less, "_<=_": less | equal, "_>_": greater, "_>=_": greater | equal,
}

var partOps = map[string]op{"startsWith": opStarts, "endsWith": opEnds, "contains": opContains}

// condition lowers what must be a condition. What it gives when it adds a problem means nothing.
func (l *lowering) condition(e ast.Expr) node {
	switch e.Kind() {
	case ast.LiteralKind:
		if b, ok := e.AsLiteral().(types.Bool); ok {
			return constant(bool(b))
		}
	case ast.IdentKind:
		switch o := l.index[e.AsIdent()]; {
		case o.kind == operandColumn && o.typ == feature.TypeBool:
			return node{op: opColumn, left: o}
		case o.kind == operandAttribute:
			l.at(e.ID(), `found %s alone, a list, expected a condition, such as "…" in %s`, e.AsIdent(), e.AsIdent())
		case o.kind == operandColumn && !isScalar(o.typ):
			l.at(e.ID(), "found %s alone, %s, expected a condition, such as %s != null", e.AsIdent(), article(o.typ), e.AsIdent())
		default:
			l.at(e.ID(), "found %s alone, %s, expected a condition, such as %s == %s", e.AsIdent(), article(o.typ), e.AsIdent(), example(o.typ))
		}
		return node{}
	case ast.CallKind:
		return l.call(e, e.AsCall())
	}
	return l.noCondition(e)
}

func (l *lowering) noCondition(e ast.Expr) node {
	l.at(e.ID(), "found %s, expected a condition: comparisons, in, startsWith(), endsWith(), contains() and columns of type bool, "+
		"with &&, ||, ! and ? :", l.shown(e))
	return node{}
}

func (l *lowering) call(e ast.Expr, call ast.CallExpr) node {
	name, args := call.FunctionName(), call.Args()
	switch name {
	case "_&&_", "_||_":
		n := node{op: opAnd}
		if name == "_||_" {
			n.op = opOr
		}
		for _, arg := range args {
			if inner := l.condition(arg); inner.op == n.op {
				n.nodes = append(n.nodes, inner.nodes...)
			} else {
				n.nodes = append(n.nodes, inner)
			}
		}
		return n
	case "!_":
		return node{op: opNot, nodes: []node{l.condition(args[0])}}
	case "_?_:_":
		return node{op: opIf, nodes: []node{l.condition(args[0]), l.condition(args[1]), l.condition(args[2])}}
	case isNullFunction:
		if o := l.index[identOf(args[0])]; o.kind == operandColumn {
			return node{op: opNull, left: o}
		}
		l.at(args[0].ID(), "found %s compared with null, expected a column: nothing else is ever NULL", l.shown(args[0]))
		return node{}
	case "@in":
		return l.in(e, args[0], args[1])
	}
	if r, ok := relations[name]; ok {
		return l.comparison(e, r, args[0], args[1])
	}
	if o, ok := partOps[name]; ok && call.IsMemberFunction() && len(args) == 1 {
		return l.part(o, name, call.Target(), args[0])
	}
	if partOps[name] != 0 {
		l.at(e.ID(), `found a call of %s() of another form, expected row.COLUMN.%s("…")`, name, name)
		return node{}
	}
	return l.noCondition(e)
}

func (l *lowering) comparison(e ast.Expr, r relation, a, b ast.Expr) node {
	left, ok := l.operand(a)
	right, alsoOK := l.operand(b)
	if !ok || !alsoOK {
		return node{}
	}
	if left.kind == right.kind && left.kind != operandColumn {
		l.at(e.ID(), "found %s compared with %s, which no row changes, expected a column on one side", l.shown(a), l.shown(b))
		return node{}
	}
	if left.kind == operandLiteral || left.kind == operandName && right.kind == operandColumn {
		left, right, a, b, r = right, left, b, a, r.mirrored()
	}
	if right.kind == operandLiteral {
		if right, ok = l.literalOf(b, right, l.shown(a), left.typ); !ok {
			return node{}
		}
	} else if left.typ.Kind() != right.typ.Kind() {
		remedy := "make both of one type in the view's SQL"
		if left.kind == operandName || right.kind == operandName {
			remedy = "what is known of principals are strings"
		}
		l.at(e.ID(), "found %s, %s, compared with %s, %s, expected two of one type; %s",
			l.shown(a), article(left.typ), l.shown(b), article(right.typ), remedy)
		return node{}
	}
	return node{op: opCompare, relation: r, left: left, right: right}
}

func (l *lowering) in(e, value, among ast.Expr) node {
	left, ok := l.operand(value)
	if !ok {
		return node{}
	}
	if among.Kind() == ast.ListKind {
		if left.kind == operandLiteral {
			l.at(e.ID(), "found %s looked for in a list of literals, expected a column or principal.name before in", l.shown(value))
			return node{}
		}
		elements := among.AsList().Elements()
		if len(elements) == 0 {
			l.at(among.ID(), "found an empty list, in which nothing is, expected literals; write false")
			return node{}
		}
		values := make([]feature.Value, 0, len(elements))
		for _, element := range elements {
			o, ok := l.operand(element)
			if ok && o.kind != operandLiteral {
				l.at(element.ID(), "found %s in a list, expected literals alone; compare with == and ||", l.shown(element))
				ok = false
			}
			if ok {
				o, ok = l.literalOf(element, o, l.shown(value), left.typ)
			}
			if !ok {
				return node{}
			}
			values = append(values, o.value)
		}
		return node{op: opIn, left: left, list: newList(left.typ, values)}
	}
	of := l.index[identOf(among)]
	switch {
	case of.kind != operandAttribute:
		l.at(among.ID(), "found %s behind in, expected a list of literals, such as [%s], or principal.ATTRIBUTE",
			l.shown(among), example(left.typ))
	case left.typ != feature.TypeString:
		l.at(e.ID(), "found %s, %s, looked for in %s, expected a string: the principal's lists are of strings",
			l.shown(value), article(left.typ), l.shown(among))
	default:
		return node{op: opIn, left: left, list: list{typ: feature.TypeString, attribute: of.attribute}}
	}
	return node{}
}

func (l *lowering) part(o op, name string, text, part ast.Expr) node {
	left, ok := l.operand(text)
	right, alsoOK := l.operand(part)
	switch {
	case !ok || !alsoOK:
	case left.kind == operandLiteral || left.typ != feature.TypeString:
		l.at(text.ID(), "found %s() of %s, %s, expected row.COLUMN of type string, or principal.name", name, l.shown(text), article(left.typ))
	case right.kind == operandColumn || right.typ != feature.TypeString:
		l.at(part.ID(), "found %s, %s, in %s(), expected a literal text, or principal.name", l.shown(part), article(right.typ), name)
	case len(right.value.Str()) > maxFilterPart:
		l.at(part.ID(), "found a text of %d bytes in %s(), expected at most %d", len(right.value.Str()), name, maxFilterPart)
	case left.kind == right.kind:
		l.at(part.ID(), "found %s in %s(), which no row changes, expected a literal text", l.shown(part), name)
	default:
		return node{op: o, left: left, right: right}
	}
	return node{}
}

// operand lowers one side of a comparison. A literal has the type that it is written in.
func (l *lowering) operand(e ast.Expr) (operand, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		o := l.index[e.AsIdent()]
		switch {
		case o.kind == operandAttribute:
			l.at(e.ID(), "found %s, a list, where one value is expected; write VALUE in %s", e.AsIdent(), e.AsIdent())
		case o.kind == operandColumn && !isScalar(o.typ):
			l.at(e.ID(), "found %s, %s, expected a column of type bool, int64, float64, string, timestamp, decimal or bytes; a filter can only "+
				"ask whether it is null", e.AsIdent(), article(o.typ))
		default:
			return o, true
		}
		return o, false
	case ast.LiteralKind:
		return l.literal(e)
	case ast.CallKind:
		call := e.AsCall()
		switch name := call.FunctionName(); name {
		case "timestamp", "decimal", "double":
			return l.written(e, name, call)
		case nullFunction:
			l.at(e.ID(), "found null, expected a value; NULL is tested for with row.COLUMN == null")
			return operand{}, false
		}
	}
	l.at(e.ID(), "found %s, expected row.COLUMN, a literal or principal.name", l.shown(e))
	return operand{}, false
}

func literalOperand(v feature.Value) operand {
	return operand{kind: operandLiteral, typ: v.Type(), value: v}
}

func (l *lowering) literal(e ast.Expr) (operand, bool) {
	switch v := e.AsLiteral().(type) {
	case types.Bool:
		return literalOperand(feature.Bool(bool(v))), true
	case types.Int:
		return literalOperand(feature.Int64(int64(v))), true
	case types.Double:
		return literalOperand(feature.Float64(float64(v))), true
	case types.Bytes:
		return literalOperand(feature.Bytes(string(v))), true
	case types.String:
		if err := feature.CheckText(string(v)); err != nil {
			l.at(e.ID(), "%v", err)
			return operand{}, false
		}
		return literalOperand(feature.String(string(v))), true
	case types.Uint:
		l.at(e.ID(), "found %du, which is unsigned, expected %d", uint64(v), uint64(v))
	default:
		l.at(e.ID(), "found %s, expected row.COLUMN, a literal or principal.name", l.shown(e))
	}
	return operand{}, false
}

// written is a literal that is written as a call: timestamp("…"), decimal("…") or, of floats that have no digits, double("…").
func (l *lowering) written(e ast.Expr, name string, call ast.CallExpr) (operand, bool) {
	text, ok := types.String(""), false
	if args := call.Args(); len(args) == 1 && !call.IsMemberFunction() && args[0].Kind() == ast.LiteralKind {
		text, ok = args[0].AsLiteral().(types.String)
	}
	if !ok {
		l.at(e.ID(), "found %s() of something else, expected a literal text, such as %s", name, map[string]string{
			"timestamp": example(feature.TypeTimestamp), "decimal": example(feature.TypeDecimal), "double": `double("NaN")`,
		}[name])
		return operand{}, false
	}
	switch name {
	case "timestamp":
		at, err := time.Parse(time.RFC3339Nano, string(text))
		switch {
		case err != nil || !feature.TimeOf(at).Time().Equal(feature.TimeOf(at).Calendar()):
			l.at(e.ID(), "found %.60q, expected a time of RFC 3339, such as %s", string(text), example(feature.TypeTimestamp))
		case !feature.TimeOf(at).Time().Equal(at):
			l.at(e.ID(), "found %.60q, expected at most 6 digits of a second: timestamps have microseconds", string(text))
		default:
			return literalOperand(feature.Timestamp(feature.TimeOf(at))), true
		}
	case "decimal":
		if d, ok := parseDecimal(string(text)).(decimal); ok {
			// It has a value only as one of its column's type.
			return operand{kind: operandLiteral, typ: feature.DecimalType(feature.MaxPrecision, d.scale), value: feature.String(d.String())}, true
		}
		l.at(e.ID(), "%v", parseDecimal(string(text)))
	default:
		switch text {
		case "NaN", "Infinity", "-Infinity":
			f, _ := strconv.ParseFloat(string(text), 64)
			return literalOperand(feature.Float64(f)), true
		}
		l.at(e.ID(), `found double(%.60q), expected the number written out, or double("NaN"), double("Infinity") or double("-Infinity")`,
			string(text))
	}
	return operand{}, false
}

// literalOf is a literal as a value of the type t, that of what it is compared with. It is never rounded.
func (l *lowering) literalOf(e ast.Expr, o operand, with string, t feature.Type) (operand, bool) {
	refuse := func(remedy string, args ...any) (operand, bool) {
		l.at(e.ID(), "found %s compared with %s, %s, expected %s; %s",
			with, l.shown(e), article(o.typ), article(t), fmt.Sprintf(remedy, args...))
		return operand{}, false
	}
	from, to := o.typ.Kind(), t.Kind()
	switch {
	case to == feature.TypeDecimal && (from == feature.TypeDecimal || from == feature.TypeInt64):
		text := o.value.Text()
		v, err := feature.ParseDecimal(t, text)
		if err != nil {
			return refuse("none is %s: write the one that is meant", text)
		}
		if from == feature.TypeInt64 {
			id := ast.MaxID(l.ast) + 1
			l.ast.SourceInfo().SetOffsetRange(id, rangeOf(l.ast, e.ID()))
			e.SetKindCase(l.factory.NewCall(e.ID(), "decimal", l.factory.NewLiteral(id, types.String(text))))
		}
		return operand{kind: operandLiteral, typ: t, value: v}, true
	case from == to:
		return o, true
	case to == feature.TypeFloat64 && from == feature.TypeInt64:
		n := o.value.Int64()
		f := float64(n)
		if f >= 1<<63 || int64(f) != n {
			return refuse("no float64 is %d: write the one that is meant, such as %.1f", n, f)
		}
		e.SetKindCase(l.factory.NewLiteral(e.ID(), types.Double(f)))
		return literalOperand(feature.Float64(f)), true
	case to == feature.TypeInt64 && from == feature.TypeFloat64:
		f := o.value.Float64()
		if f != math.Trunc(f) || f < -1<<63 || f >= 1<<63 {
			return refuse("no int64 is %s: write a whole number", o.value.Text())
		}
		e.SetKindCase(l.factory.NewLiteral(e.ID(), types.Int(int64(f))))
		return literalOperand(feature.Int64(int64(f))), true
	case to == feature.TypeDecimal && from == feature.TypeFloat64:
		return refuse(`a float64 is seldom what is written: write decimal("%s")`, strconv.FormatFloat(o.value.Float64(), 'f', -1, 64))
	case to == feature.TypeTimestamp && from == feature.TypeString:
		return refuse("write timestamp(%s)", l.shown(e))
	case to == feature.TypeDecimal && from == feature.TypeString:
		return refuse("write decimal(%s)", l.shown(e))
	}
	return refuse("write %s", example(t))
}

func identOf(e ast.Expr) string {
	if e.Kind() == ast.IdentKind {
		return e.AsIdent()
	}
	return ""
}

// isScalar reports whether values of a type can be compared in a filter.
func isScalar(t feature.Type) bool {
	return t.Kind() != feature.TypeList && t.Kind() != feature.TypeVector
}

// article is a type with its article.
func article(t feature.Type) string {
	switch t.Kind() {
	case feature.TypeInt64:
		return "an int64"
	case feature.TypeBytes:
		return "bytes"
	case feature.TypeDecimal:
		if t.Precision() == feature.MaxPrecision {
			return "a decimal"
		}
	}
	return "a " + t.String()
}

// example is a literal of the type.
func example(t feature.Type) string {
	switch t.Kind() {
	case feature.TypeBool:
		return "true"
	case feature.TypeInt64:
		return "5"
	case feature.TypeFloat64:
		return "2.5"
	case feature.TypeTimestamp:
		return `timestamp("2026-01-31T00:00:00Z")`
	case feature.TypeDecimal:
		return `decimal("12.50")`
	case feature.TypeBytes:
		return `b"…"`
	}
	return `"…"`
}

var operatorTexts = map[string]string{"_?_:_": "a conditional", "@in": "in", isNullFunction: "a comparison with null", nullFunction: "null"}

// operatorText is an operator, or a function with its brackets, for a message.
func operatorText(name string) string {
	if text, ok := operatorTexts[name]; ok {
		return text
	}
	if operator := strings.Trim(name, "_"); !strings.ContainsAny(operator, "abcdefghijklmnopqrstuvwxyz") {
		return operator
	}
	return name + "()"
}

// shown is a part of the filter for a message, which it must not flood.
func (l *lowering) shown(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent()
	case ast.LiteralKind:
		switch v := e.AsLiteral().(type) {
		case types.String:
			return fmt.Sprintf("%.60q", string(v))
		case types.Double:
			return strconv.FormatFloat(float64(v), 'g', -1, 64)
		case types.Bytes:
			return fmt.Sprintf("b%.60q", string(v))
		default:
			return fmt.Sprint(v.Value())
		}
	case ast.SelectKind:
		return "a field ." + e.AsSelect().FieldName()
	case ast.ListKind:
		return "a list"
	case ast.MapKind:
		return "a map"
	case ast.CallKind:
		call := e.AsCall()
		if args := call.Args(); len(args) == 1 && args[0].Kind() == ast.LiteralKind && !call.IsMemberFunction() {
			return call.FunctionName() + "(" + l.shown(args[0]) + ")"
		}
		return operatorText(call.FunctionName())
	}
	return "something else"
}
