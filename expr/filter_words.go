package expr

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// maxListed is how many values of a list are told in words.
const maxListed = 20

// Words is the condition in English, with the principal's attributes by their names.
func (f *Filter) Words() string { return inWords(&f.root, f.Columns) }

// Words is the condition in English, with what the principal's attributes are: `always` where it holds of every row, `never` where
// of none.
func (b *Bound) Words() string { return inWords(&b.root, b.filter.Columns) }

func inWords(n *node, columns []string) string {
	w := worder{columns: columns}
	w.condition(n, opIf)
	return w.text.String()
}

type worder struct {
	text    strings.Builder
	columns []string
}

// condition writes a condition that stands in one of the kind of above, in brackets where it would be read otherwise without; opIf is
// above nothing that could be.
func (w *worder) condition(n *node, above op) {
	brackets := n.op == opIf && above != opIf || (n.op == opAnd || n.op == opOr) && above != n.op && above != opIf
	if brackets {
		w.text.WriteString("(")
		defer w.text.WriteString(")")
	}
	switch n.op {
	case opConstant:
		w.write([...]string{isFalse: "never", isNull: "unknown", isTrue: "always"}[n.truth])
	case opColumn:
		w.write(w.columns[n.left.column], " is true")
	case opNull:
		w.write(w.columns[n.left.column], " is NULL")
	case opCompare:
		w.write(w.operand(&n.left), " ", relationWords(n.relation, n.left.typ), " ", w.operand(&n.right))
	case opIn:
		w.write(w.operand(&n.left), " is ", w.list(&n.list))
	case opStarts:
		w.write(w.operand(&n.left), " starts with ", w.operand(&n.right))
	case opEnds:
		w.write(w.operand(&n.left), " ends with ", w.operand(&n.right))
	case opContains:
		w.write(w.operand(&n.left), " contains ", w.operand(&n.right))
	case opNot:
		w.write("not (")
		w.condition(&n.nodes[0], opIf)
		w.write(")")
	case opAnd, opOr:
		for i := range n.nodes {
			switch {
			case i == 0:
			case n.op == opAnd:
				w.write(" and ")
			default:
				w.write(" or ")
			}
			w.condition(&n.nodes[i], n.op)
		}
	case opIf:
		for i, word := range []string{"if ", " then ", " else "} {
			w.write(word)
			w.condition(&n.nodes[i], opNot)
		}
	}
}

func (w *worder) write(parts ...string) {
	for _, part := range parts {
		w.text.WriteString(part)
	}
}

func (w *worder) operand(o *operand) string {
	switch o.kind {
	case operandColumn:
		return w.columns[o.column]
	case operandName:
		return "the principal's name"
	}
	return literalWords(o.value)
}

func (w *worder) list(l *list) string {
	switch n := len(l.values); {
	case l.attribute != "":
		return "one of the principal's " + l.attribute
	case n == 0:
		return "in an empty list"
	case n == 1:
		return literalWords(l.values[0])
	}
	var values []string
	for _, v := range l.values[:min(len(l.values), maxListed)] {
		values = append(values, literalWords(v))
	}
	rest := ""
	if more := len(l.values) - maxListed; more > 0 {
		rest = fmt.Sprintf(" and %d more", more)
	}
	return "one of " + strings.Join(values, ", ") + rest
}

func literalWords(v feature.Value) string {
	switch v.Type() {
	case feature.TypeString:
		return strconv.Quote(v.Str())
	case feature.TypeBytes:
		return fmt.Sprintf("bytes %x", v.Str())
	}
	return v.Text()
}

func relationWords(r relation, t feature.Type) string {
	switch r {
	case equal:
		return "is"
	case less | greater:
		return "is not"
	}
	words := [...]string{less: "is less than", less | equal: "is at most", greater: "is greater than", greater | equal: "is at least"}
	switch t.Kind() {
	case feature.TypeTimestamp:
		words = [...]string{less: "is before", less | equal: "is at or before", greater: "is after", greater | equal: "is at or after"}
	case feature.TypeString, feature.TypeBytes:
		words = [...]string{
			less: "sorts before", less | equal: "sorts at or before", greater: "sorts after", greater | equal: "sorts at or after",
		}
	}
	return words[r]
}
