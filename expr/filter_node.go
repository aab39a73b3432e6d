package expr

import (
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

// list is the values behind in.
type list struct {
	typ feature.Type
	// attribute is that of the principal whose values they are, in a filter that is not bound.
	attribute string
	// values are sorted, no two equal.
	values []feature.Value
	// few holds them where they are few texts, and texts where they are more.
	few   fewTexts
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
		l.few = make(fewTexts, len(l.values))
		for i := range l.values {
			l.few[i] = filterText{text: l.values[i].Str(), ends: endsOf(l.values[i].Str())}
		}
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
		return l.few.have(v.Str(), endsOf(v.Str()))
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

// fewTexts are looked through one by one.
type fewTexts []filterText

type filterText struct {
	text string
	ends uint64
}

// endsOf is the first four bytes of a text and the last four, or, of a shorter one, all. Texts of one length up to eight bytes are equal
// when their ends are, which saves the call that compares memory; of longer ones most differ there.
func endsOf(text string) uint64 {
	switch n := len(text); {
	case n >= 4:
		return uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
			uint64(text[n-4])<<32 | uint64(text[n-3])<<40 | uint64(text[n-2])<<48 | uint64(text[n-1])<<56
	case n > 0:
		return uint64(text[0]) | uint64(text[n/2])<<8 | uint64(text[n-1])<<16
	}
	return 0
}

// have reports whether a text with these ends is one of them.
func (f fewTexts) have(text string, ends uint64) bool {
	for i := range f {
		if f[i].ends == ends && len(f[i].text) == len(text) && (len(text) <= 8 || f[i].text == text) {
			return true
		}
	}
	return false
}
