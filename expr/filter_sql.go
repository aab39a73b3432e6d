package expr

import (
	"strconv"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/feature"
)

// SQL is the condition as an SQL expression that is true exactly where Holds is, and false elsewhere, never NULL. column gives the
// SQL of the i-th of the filter's Columns. Every value, of the definition or of the principal, is in args, whose parameters are
// numbered from firstParameter on; they are bool, int64, float64, string, time.Time and []byte, and slices of those. The text
// depends on the definition, on which of the principal's values are there, and on what column gives.
//
// Text is compared under COLLATE "C", in a database whose encoding is UTF8.
func (b *Bound) SQL(column func(i int) string, firstParameter int) (sql string, args []any) {
	w := sqlWriter{column: column, first: firstParameter}
	if b.root.op != opConstant {
		w.text.WriteString("(")
		w.condition(&b.root)
		w.text.WriteString(" IS TRUE)")
		return w.text.String(), w.args
	}
	w.condition(&b.root)
	return w.text.String(), nil
}

type sqlWriter struct {
	text   strings.Builder
	args   []any
	column func(i int) string
	first  int
}

var sqlRelations = [...]string{
	equal: "=", less | greater: "<>", less: "<", less | equal: "<=", greater: ">", greater | equal: ">=",
}

// condition writes a condition that any operator may stand beside.
func (w *sqlWriter) condition(n *node) {
	switch n.op {
	case opConstant:
		w.write([...]string{isFalse: "false", isNull: "NULL::boolean", isTrue: "true"}[n.truth])
	case opColumn:
		w.value(&n.left)
	case opNull:
		w.write("((", w.column(n.left.column), ") IS NULL)")
	case opCompare:
		w.write("(")
		w.value(&n.left)
		w.write(" ", sqlRelations[n.relation], " ")
		w.value(&n.right)
		w.write(")")
	case opIn:
		w.in(n)
	case opStarts:
		w.write("starts_with(")
		w.value(&n.left)
		w.write(", ")
		w.value(&n.right)
		w.write(")")
	case opContains:
		w.write("(strpos(")
		w.value(&n.left)
		w.write(", ")
		w.value(&n.right)
		w.write(") > 0)")
	case opEnds:
		part := w.parameter(&n.right)
		w.write("(right(")
		w.value(&n.left)
		w.write(", char_length(", part, `)) COLLATE "C" = `, part, ")")
	case opNot:
		w.write("(NOT ")
		w.condition(&n.nodes[0])
		w.write(")")
	case opAnd, opOr:
		for i := range n.nodes {
			switch {
			case i == 0:
				w.write("(")
			case n.op == opAnd:
				w.write(" AND ")
			default:
				w.write(" OR ")
			}
			w.condition(&n.nodes[i])
		}
		w.write(")")
	case opIf:
		// Of a searched CASE, NULL would take the second branch.
		w.write("(CASE ")
		w.condition(&n.nodes[0])
		w.write(" WHEN true THEN ")
		w.condition(&n.nodes[1])
		w.write(" WHEN false THEN ")
		w.condition(&n.nodes[2])
		w.write(" END)")
	}
}

func (w *sqlWriter) in(n *node) {
	if len(n.list.values) == 0 {
		// Of an empty array, Postgres says false of NULL too.
		w.write("nullif((", w.column(n.left.column), ") IS NULL, true)")
		return
	}
	w.write("(")
	w.value(&n.left)
	w.write(" = ANY (", w.next(n.list.typ, "[]", n.list.argument()), "))")
}

func (w *sqlWriter) write(parts ...string) {
	for _, part := range parts {
		w.text.WriteString(part)
	}
}

// value writes a column or a literal, as a value of its type.
func (w *sqlWriter) value(o *operand) {
	if o.kind == operandLiteral {
		w.write(w.parameter(o))
		return
	}
	w.write("(", w.column(o.column), ")::", sqlType(o.typ))
	if o.typ == feature.TypeString {
		w.write(` COLLATE "C"`)
	}
}

// parameter is the next parameter, for a literal.
func (w *sqlWriter) parameter(o *operand) string {
	v, arg := o.value, any(nil)
	switch o.typ.Kind() {
	case feature.TypeBool:
		arg = v.Bool()
	case feature.TypeInt64:
		arg = v.Int64()
	case feature.TypeFloat64:
		arg = v.Float64()
	case feature.TypeTimestamp:
		arg = v.Timestamp().Time()
	case feature.TypeBytes:
		arg = []byte(v.Str())
	default:
		arg = v.Text()
	}
	return w.next(o.typ, "", arg)
}

// next is the next parameter, as a value of a type or an array of them. Decimals go as texts, of which no driver has a doubt.
func (w *sqlWriter) next(t feature.Type, array string, arg any) string {
	w.args = append(w.args, arg)
	p := "$" + strconv.Itoa(w.first+len(w.args)-1)
	if t.Kind() == feature.TypeDecimal {
		p += "::text" + array
	}
	return p + "::" + sqlType(t) + array
}

// argument is the list as a slice that drivers know.
func (l *list) argument() any {
	switch l.typ.Kind() {
	case feature.TypeBool:
		return slice(l, feature.Value.Bool)
	case feature.TypeInt64:
		return slice(l, feature.Value.Int64)
	case feature.TypeFloat64:
		return slice(l, feature.Value.Float64)
	case feature.TypeTimestamp:
		return slice(l, func(v feature.Value) time.Time { return v.Timestamp().Time() })
	case feature.TypeBytes:
		return slice(l, func(v feature.Value) []byte { return []byte(v.Str()) })
	}
	return slice(l, feature.Value.Text)
}

func slice[T any](l *list, of func(feature.Value) T) []T {
	s := make([]T, len(l.values))
	for i := range l.values {
		s[i] = of(l.values[i])
	}
	return s
}

// sqlType is the Postgres type in which values of a type are compared.
func sqlType(t feature.Type) string {
	switch t.Kind() {
	case feature.TypeBool:
		return "boolean"
	case feature.TypeInt64:
		return "bigint"
	case feature.TypeFloat64:
		return "double precision"
	case feature.TypeTimestamp:
		return "timestamptz"
	case feature.TypeDecimal:
		return "numeric"
	case feature.TypeBytes:
		return "bytea"
	}
	return "text"
}
