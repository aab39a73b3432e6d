package expr

import (
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

var (
	constantFalse = node{op: opConstant, truth: isFalse}
	constantNull  = node{op: opConstant, truth: isNull}
)

func constant(b bool) node { return node{op: opConstant, truth: truthOf(b)} }

// bind is the condition for a principal, with what is then constant folded. positive says that NULL and false are one where the
// condition stands, since only && and || and the branches of conditionals are above it.
func (n *node) bind(p *Principal, positive bool) node {
	bound := n.bound(p, positive)
	if positive && bound.op == opConstant && bound.truth == isNull {
		return constantFalse
	}
	return bound
}

func (n *node) bound(p *Principal, positive bool) node {
	switch n.op {
	case opCompare, opStarts, opEnds, opContains:
		return n.boundOperands(p)
	case opIn:
		return n.boundList(p, positive)
	case opNot:
		inner := n.nodes[0].bind(p, false)
		switch inner.op {
		case opConstant:
			return node{op: opConstant, truth: isTrue - inner.truth}
		case opNot:
			return inner.nodes[0]
		}
		return node{op: opNot, nodes: []node{inner}}
	case opAnd:
		return n.boundAll(p, positive, isFalse)
	case opOr:
		return n.boundAll(p, positive, isTrue)
	case opIf:
		test := n.nodes[0].bind(p, false)
		if test.op == opConstant {
			switch test.truth {
			case isTrue:
				return n.nodes[1].bind(p, positive)
			case isFalse:
				return n.nodes[2].bind(p, positive)
			}
			return constantNull
		}
		return node{op: opIf, nodes: []node{test, n.nodes[1].bind(p, positive), n.nodes[2].bind(p, positive)}}
	}
	return *n
}

// boundAll is an && or ||. decides is the truth of one operand that is enough; its opposite makes no difference.
func (n *node) boundAll(p *Principal, positive bool, decides truth) node {
	rest := make([]node, 0, len(n.nodes))
	for i := range n.nodes {
		switch inner := n.nodes[i].bind(p, positive); {
		case inner.op == opConstant && inner.truth == decides:
			return inner
		case inner.op == opConstant && inner.truth == isTrue-decides:
		case inner.op == n.op:
			rest = append(rest, inner.nodes...)
		default:
			rest = append(rest, inner)
		}
	}
	switch len(rest) {
	case 0:
		return node{op: opConstant, truth: isTrue - decides}
	case 1:
		return rest[0]
	}
	return node{op: n.op, nodes: rest}
}

// boundOperands is a comparison of two values, or of a text with what it may begin with, end in or have in it.
func (n *node) boundOperands(p *Principal) node {
	b := *n
	for _, o := range []*operand{&b.left, &b.right} {
		if o.kind != operandName {
			continue
		}
		if feature.CheckText(p.Name) != nil {
			// No column holds such a text, and none of Postgres's comparisons takes it.
			return constantNull
		}
		o.kind, o.value = operandLiteral, feature.String(p.Name)
	}
	if n.op != opCompare && len(b.right.value.Str()) > maxFilterPart {
		return constantNull
	}
	if b.left.kind != operandLiteral {
		return b
	}
	if n.op == opCompare {
		return constant(n.relation.holds(b.left.value.Compare(b.right.value)))
	}
	return constant(n.op.holds(b.left.value.Str(), b.right.value.Str()))
}

// boundList is an in. Nothing is in an empty list; NULL still is neither in it nor not.
func (n *node) boundList(p *Principal, positive bool) node {
	b := *n
	if attribute := n.list.attribute; attribute != "" {
		texts := p.attribute(attribute)
		values := make([]feature.Value, 0, len(texts))
		for _, text := range texts {
			// No column holds a text that is refused here, so that leaving it out changes nothing.
			if feature.CheckText(text) == nil {
				values = append(values, feature.String(text))
			}
		}
		b.list = newList(feature.TypeString, values)
	}
	left := b.left.value
	switch b.left.kind {
	case operandName:
		if left = feature.String(p.Name); feature.CheckText(p.Name) != nil {
			return constantNull
		}
		fallthrough
	case operandLiteral:
		return constant(b.list.has(&left))
	}
	if positive && len(b.list.values) == 0 {
		return constantFalse
	}
	return b
}

// holds is what the three comparisons of a text with a part say.
func (o op) holds(text, part string) bool {
	switch o {
	case opStarts:
		return strings.HasPrefix(text, part)
	case opEnds:
		return strings.HasSuffix(text, part)
	}
	return strings.Contains(text, part)
}
