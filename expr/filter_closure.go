package expr

import (
	"cmp"
	"math"
	"math/bits"

	"github.com/headwaterhq/headwater/feature"
)

// test is a bound condition as a closure: its value on a row. A closure holds no more than its condition needs, where a node holds
// what any may need, and knows the types, so that a row pays for comparisons alone.
type test func(values []feature.Value) truth

// test is the closure of a bound condition.
func (n *node) test() test {
	column, typ := n.left.column, n.left.typ
	switch n.op {
	case opColumn:
		return func(values []feature.Value) truth {
			v := &values[column]
			if v.Type() != feature.TypeBool {
				return isNull
			}
			return truthOf(v.Bool())
		}
	case opNull:
		return func(values []feature.Value) truth { return truthOf(values[column].Type() != typ) }
	case opCompare:
		return n.comparison()
	case opIn:
		return n.list.holding(column)
	case opStarts, opEnds, opContains:
		op, part := n.op, n.right.value.Str()
		return func(values []feature.Value) truth {
			v := &values[column]
			if v.Type() != feature.TypeString {
				return isNull
			}
			return truthOf(op.holds(v.Str(), part))
		}
	case opNot:
		inner := n.nodes[0].test()
		return func(values []feature.Value) truth { return isTrue - inner(values) }
	case opAnd:
		all := n.tests()
		return func(values []feature.Value) truth {
			least := isTrue
			for _, one := range all {
				if least = min(least, one(values)); least == isFalse {
					break
				}
			}
			return least
		}
	case opOr:
		all := n.tests()
		return func(values []feature.Value) truth {
			greatest := isFalse
			for _, one := range all {
				if greatest = max(greatest, one(values)); greatest == isTrue {
					break
				}
			}
			return greatest
		}
	case opIf:
		condition, yes, no := n.nodes[0].test(), n.nodes[1].test(), n.nodes[2].test()
		return func(values []feature.Value) truth {
			switch condition(values) {
			case isTrue:
				return yes(values)
			case isFalse:
				return no(values)
			}
			return isNull
		}
	}
	constant := n.truth
	return func([]feature.Value) truth { return constant }
}

func (n *node) tests() []test {
	tests := make([]test, len(n.nodes))
	for i := range n.nodes {
		tests[i] = n.nodes[i].test()
	}
	return tests
}

func (n *node) comparison() test {
	column, typ, relation := n.left.column, n.left.typ, n.relation
	if n.right.kind == operandColumn {
		order := orderOf(typ, n.right.typ)
		other, otherType := n.right.column, n.right.typ
		return func(values []feature.Value) truth {
			v, w := &values[column], &values[other]
			if v.Type() != typ || w.Type() != otherType {
				return isNull
			}
			return truthOf(relation.holds(order(v, w)))
		}
	}
	literal := n.right.value
	switch {
	case literal.Type() != n.right.typ:
		return func([]feature.Value) truth { return isNull }
	case typ == feature.TypeInt64 || typ == feature.TypeTimestamp:
		low, span, inside := relation.interval(literal.Int64())
		return func(values []feature.Value) truth {
			v := &values[column]
			if v.Type() != typ {
				return isNull
			}
			return truthOf((uint64(v.Int64())-uint64(low) <= span) == inside)
		}
	case typ == feature.TypeString && (relation == equal || relation == less|greater):
		text := literal.Str()
		return func(values []feature.Value) truth {
			v := &values[column]
			if v.Type() != feature.TypeString {
				return isNull
			}
			// Texts of different lengths are not equal, whatever is in them.
			return truthOf((v.Str() == text) == (relation == equal))
		}
	}
	order := orderOf(typ, n.right.typ)
	return func(values []feature.Value) truth {
		v := &values[column]
		if v.Type() != typ {
			return isNull
		}
		return truthOf(relation.holds(order(v, &literal)))
	}
}

// interval is the relation to n as numbers that lie from low on in span more, or, without inside, as those that do not.
func (r relation) interval(n int64) (low int64, span uint64, inside bool) {
	below, above := uint64(n)-1<<63, uint64(math.MaxInt64)-uint64(n)
	switch r {
	case less:
		return n, above, false
	case less | equal:
		return math.MinInt64, below, true
	case equal:
		return n, 0, true
	case equal | greater:
		return n, above, true
	case greater:
		return math.MinInt64, below, false
	case less | greater:
		return n, 0, false
	}
	return math.MinInt64, math.MaxUint64, r != 0
}

// orderOf is how values of two types are compared: -1, 0 or 1. They are of one type but for decimals of two scales.
func orderOf(left, right feature.Type) func(v, w *feature.Value) int {
	switch {
	case left != right:
		return func(v, w *feature.Value) int {
			return compareDecimals(v.Decimal(), left.Scale(), w.Decimal(), right.Scale())
		}
	case left == feature.TypeInt64 || left == feature.TypeTimestamp:
		return func(v, w *feature.Value) int { return cmp.Compare(v.Int64(), w.Int64()) }
	}
	return func(v, w *feature.Value) int { return v.Compare(*w) }
}

// holding is whether a column's value is in the list.
func (l *list) holding(column int) test {
	own := *l
	if own.few == nil {
		return func(values []feature.Value) truth {
			v := &values[column]
			if v.Type() != own.typ {
				return isNull
			}
			return truthOf(own.has(v))
		}
	}
	few := own.few
	return func(values []feature.Value) truth {
		v := &values[column]
		if v.Type() != feature.TypeString {
			return isNull
		}
		text := v.Str()
		return truthOf(few.have(text, endsOf(text)))
	}
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
