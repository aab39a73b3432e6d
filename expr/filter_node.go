package expr

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/headwaterhq/headwater/feature"
)

// truth is the value of a condition. The order makes && the least of its operands, || the greatest, and ! what is as far from
// the other end.
type truth uint8

const (
	isFalse truth = iota
	isNull
	isTrue
)

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// op is what a node of a filter is. The list is closed: a back end that meets another has a bug.
type op uint8

const (
	opConstant op = iota // truth
	opColumn             // left, a bool column
	opNull               // whether left, a column, is NULL
	opCompare            // left RELATION right
	opIn                 // left in list, or in the principal's attribute
	opStarts             // left begins with right
	opEnds               // left ends in right
	opContains           // left has right in it
	opNot                // nodes[0]
	opAnd                // nodes
	opOr                 // nodes
	opIf                 // nodes[0] ? nodes[1] : nodes[2]
)

// node is one node of a filter. In a bound one left is a column, right a column or a literal, and no list is the principal's.
type node struct {
	op       op
	truth    truth
	relation relation
	left     operand
	right    operand
	list     list
	nodes    []node
}

type operandKind uint8

const (
	operandColumn operandKind = iota + 1
	operandLiteral
	// operandName is the principal's name.
	operandName
	// operandAttribute is a list of the principal's, which stands behind in alone.
	operandAttribute
)

type operand struct {
	kind operandKind
	// column is the position among the filter's columns.
	column    int
	typ       feature.Type
	value     feature.Value
	attribute string
}

// relation is a set of the three ways in which a value can stand to another, each a bit.
type relation uint8

const (
	less    relation = 1
	equal   relation = 2
	greater relation = 4
)

// holds reports whether the order of two values, -1, 0 or 1, is in the set.
func (r relation) holds(order int) bool { return r>>(order+1)&1 != 0 }

// mirrored is the relation that b has to a when a has r to b.
func (r relation) mirrored() relation { return r&equal | r&less<<2 | r&greater>>2 }

// eval is the value of a bound condition on a row.
func (n *node) eval(values []feature.Value) truth {
	switch n.op {
	case opColumn:
		v := &values[n.left.column]
		if v.Type() != feature.TypeBool {
			return isNull
		}
		return truthOf(v.Bool())
	case opNull:
		return truthOf(values[n.left.column].Type() != n.left.typ)
	case opCompare:
		return n.compare(values)
	case opIn:
		v := &values[n.left.column]
		if v.Type() != n.left.typ {
			return isNull
		}
		return truthOf(n.list.has(v))
	case opStarts, opEnds, opContains:
		v := &values[n.left.column]
		if v.Type() != feature.TypeString {
			return isNull
		}
		return truthOf(n.op.holds(v.Str(), n.right.value.Str()))
	case opNot:
		return isTrue - n.nodes[0].eval(values)
	case opAnd:
		least := isTrue
		for i := range n.nodes {
			if least = min(least, n.nodes[i].eval(values)); least == isFalse {
				break
			}
		}
		return least
	case opOr:
		greatest := isFalse
		for i := range n.nodes {
			if greatest = max(greatest, n.nodes[i].eval(values)); greatest == isTrue {
				break
			}
		}
		return greatest
	case opIf:
		switch n.nodes[0].eval(values) {
		case isTrue:
			return n.nodes[1].eval(values)
		case isFalse:
			return n.nodes[2].eval(values)
		}
		return isNull
	}
	return n.truth
}

func (n *node) compare(values []feature.Value) truth {
	v, w := &values[n.left.column], &n.right.value
	if n.right.kind == operandColumn {
		w = &values[n.right.column]
	}
	switch typ := n.left.typ; {
	case v.Type() != typ || w.Type() != n.right.typ:
		return isNull
	case typ == feature.TypeInt64 || typ == feature.TypeTimestamp:
		return truthOf(n.relation.holds(cmp.Compare(v.Int64(), w.Int64())))
	case typ == feature.TypeString && (n.relation == equal || n.relation == less|greater):
		// Texts of different lengths are not equal, whatever is in them.
		return truthOf((v.Str() == w.Str()) == (n.relation == equal))
	case typ != n.right.typ:
		return truthOf(n.relation.holds(compareDecimals(v.Decimal(), typ.Scale(), w.Decimal(), n.right.typ.Scale())))
	}
	return truthOf(n.relation.holds(v.Compare(*w)))
}

// compareDecimals compares a / 10^s with b / 10^t.
func compareDecimals(a feature.Int128, s int, b feature.Int128, t int) int {
	if order := cmp.Compare(a.Sign(), b.Sign()); order != 0 {
		return order
	}
	order := 0
	x, y := raised(a, max(t-s, 0)), raised(b, max(s-t, 0))
	for i := len(x) - 1; i >= 0 && order == 0; i-- {
		switch {
		case x[i] < y[i]:
			order = -1
		case x[i] > y[i]:
			order = 1
		}
	}
	return order * a.Sign()
}

// raised is |c| × 10^by, the lowest word first. by is at most feature.MaxPrecision, so that 256 bits hold it.
func raised(c feature.Int128, by int) [4]uint64 {
	if c.Sign() < 0 {
		c = c.Neg()
	}
	n := [4]uint64{c.Lo, uint64(c.Hi)}
	for by > 0 {
		digits := min(by, 19)
		power := uint64(1)
		for range digits {
			power *= 10
		}
		carry := uint64(0)
		for i := range n {
			high, low := bits.Mul64(n[i], power)
			var over uint64
			n[i], over = bits.Add64(low, carry, 0)
			carry = high + over
		}
		by -= digits
	}
	return n
}

// list is the values behind in.
type list struct {
	typ feature.Type
	// attribute is that of the principal whose values they are, in a filter that is not bound.
	attribute string
	// values are sorted, no two equal.
	values []feature.Value
	// scan holds them where they are few texts, and texts where they are more.
	scan  []string
	texts map[string]struct{}
}

// scanned is how many texts are looked through one by one.
const scanned = 8

// newList takes values of one type in any order, and keeps the slice.
func newList(t feature.Type, values []feature.Value) list {
	slices.SortFunc(values, feature.Value.Compare)
	l := list{typ: t, values: slices.CompactFunc(values, func(v, w feature.Value) bool { return v.Compare(w) == 0 })}
	if t != feature.TypeString {
		return l
	}
	if len(l.values) <= scanned {
		l.scan = slice(&l, feature.Value.Str)
		return l
	}
	l.texts = make(map[string]struct{}, len(l.values))
	for i := range l.values {
		l.texts[l.values[i].Str()] = struct{}{}
	}
	return l
}

// has takes a value of the list's type.
func (l *list) has(v *feature.Value) bool {
	switch {
	case l.texts != nil:
		_, ok := l.texts[v.Str()]
		return ok
	case l.typ == feature.TypeString:
		// Most texts differ in their length or where they begin.
		text := v.Str()
		if text == "" {
			return slices.Contains(l.scan, "")
		}
		for _, s := range l.scan {
			if len(s) == len(text) && s[0] == text[0] && s == text {
				return true
			}
		}
		return false
	}
	low, high := 0, len(l.values)
	for low < high {
		middle := (low + high) / 2
		switch order := v.Compare(l.values[middle]); {
		case order == 0:
			return true
		case order < 0:
			high = middle
		default:
			low = middle + 1
		}
	}
	return false
}
