package analysis

import (
	"cmp"
	"slices"

	"github.com/headwaterhq/headwater/feature"
)

// inputKey is a column of a declared relation.
type inputKey struct{ relation, column string }

// inputs are the columns that something depends on, each with the kinds of dependency as bits.
type inputs map[inputKey]uint8

func bit(k feature.InputKind) uint8 { return 1 << k }

func (in inputs) add(other inputs) inputs {
	if in == nil {
		in = inputs{}
	}
	for k, kinds := range other {
		in[k] |= kinds
	}
	return in
}

// as is what depends on in, where the value of in is used in another way than as a value: what decided the value by other
// ways decides still by those.
func (in inputs) as(kind feature.InputKind) inputs {
	out := make(inputs, len(in))
	for k, kinds := range in {
		if kinds&bit(feature.InputValue) != 0 {
			kinds = kinds&^bit(feature.InputValue) | bit(kind)
		}
		out[k] = kinds
	}
	return out
}

// column is a column of a relation within the SQL.
type column struct {
	inputs inputs
	// expr is what computes it, in scope; nil where it is none that can be seen.
	expr  *Node
	scope *scope
	// rank says that it numbers the rows of a window: row_number, rank or dense_rank.
	rank bool
	// rankedBy are the columns in which the rows of one numbering are alike, firstKnown that they are numbered as they became known.
	rankedBy   pickedBy
	firstKnown bool
	arrival
}

// relation is what a part of the SQL shows to the rest: a source, a view, a subquery, a part of WITH, a function.
type relation struct {
	name    string
	columns []column
	// row is what decides whether there is a row, and how often.
	row inputs
	// keys are sets of columns, by position, that tell one row from another. An empty set: there is at most one row.
	keys [][]int
	// derived are columns that others decide, by position.
	derived []positionsDerived
	behind
}

type positionsDerived struct {
	from []int
	to   int
}

func (r *relation) column(attno int) *column {
	if attno < 1 || attno > len(r.columns) {
		return nil
	}
	return &r.columns[attno-1]
}

// inputsOf are the columns that an expression depends on.
func (s *scope) inputsOf(n *Node) inputs {
	if n == nil {
		return nil
	}
	var in inputs
	switch n.Tag {
	case "QUERY":
		return nil
	case "VAR":
		return s.varInputs(n)
	case "AGGREF":
		for _, arg := range append(n.nodes("args"), n.nodes("aggdirectargs")...) {
			kind := feature.InputValue
			if arg.is("resjunk") {
				kind = feature.InputOrder
			}
			in = in.add(s.inputsOf(arg).as(kind))
		}
		return in.add(s.inputsOf(n.node("aggfilter")).as(feature.InputFilter))
	case "WINDOWFUNC":
		for _, arg := range n.nodes("args") {
			in = in.add(s.inputsOf(arg))
		}
		in = in.add(s.inputsOf(n.node("aggfilter")).as(feature.InputFilter))
		w := s.window(n)
		for _, e := range s.clauseExprs(w.nodes("partitionClause")) {
			in = in.add(s.inputsOf(e).as(feature.InputGroup))
		}
		for _, e := range s.clauseExprs(w.nodes("orderClause")) {
			in = in.add(s.inputsOf(e).as(feature.InputOrder))
		}
		return in.add(s.inputsOf(w.node("startOffset")).as(feature.InputOrder)).add(s.inputsOf(w.node("endOffset")).as(feature.InputOrder))
	case "SUBLINK":
		sub := s.subquery(n)
		in = in.add(sub.row)
		switch n.number("subLinkType") {
		case sublinkExists:
		case sublinkExpr, sublinkArray:
			for i := range sub.columns {
				in = in.add(sub.columns[i].inputs)
			}
		default:
			in = in.add(s.inputsOf(n.node("testexpr")).as(feature.InputJoin))
			for i := range sub.columns {
				in = in.add(sub.columns[i].inputs.as(feature.InputJoin))
			}
		}
		return in
	}
	n.children(func(_ string, child *Node) { in = in.add(s.inputsOf(child)) })
	return in
}

func (s *scope) varInputs(v *Node) inputs {
	at, rte, attno, expr := s.resolve(v)
	if expr != nil {
		return at.inputsOf(expr)
	}
	r := at.relations[rte-1]
	if r == nil {
		return nil
	}
	if c := r.column(attno); c != nil {
		return c.inputs
	}
	// A whole row.
	var in inputs
	for i := range r.columns {
		in = in.add(r.columns[i].inputs)
	}
	return in
}

// rowInputs is what decides the rows of a query.
func (s *scope) rowInputs() inputs {
	var in inputs
	for _, i := range s.leaves {
		in = in.add(s.relations[i-1].row)
	}
	for _, c := range s.conditions {
		kind := feature.InputFilter
		if c.join || s.relationsIn(c.node) > 1 {
			kind = feature.InputJoin
		}
		in = in.add(s.inputsOf(c.node).as(kind))
	}
	in = in.add(s.inputsOf(s.query.node("havingQual")).as(feature.InputFilter))
	for _, e := range s.groupExprs() {
		in = in.add(s.inputsOf(e).as(feature.InputGroup))
	}
	for _, e := range s.clauseExprs(s.query.nodes("distinctClause")) {
		in = in.add(s.inputsOf(e).as(feature.InputGroup))
	}
	if s.picks() {
		for _, e := range s.clauseExprs(s.query.nodes("sortClause")) {
			in = in.add(s.inputsOf(e).as(feature.InputOrder))
		}
	}
	for _, f := range []string{"limitOffset", "limitCount"} {
		in = in.add(s.inputsOf(s.query.node(f)).as(feature.InputFilter))
	}
	// A function in FROM makes rows of its arguments.
	for _, i := range s.leaves {
		if kind := s.tables[i-1].number("rtekind"); kind == rteFunction || kind == rteTableFunction {
			for _, c := range s.relations[i-1].columns {
				in = in.add(c.inputs.as(feature.InputFilter))
			}
		}
	}
	return in
}

// relationsIn counts the relations of this query and of those around it that an expression names.
func (s *scope) relationsIn(n *Node) int {
	seen := map[[2]int]bool{}
	n.walk(nil, func(n *Node, _ []*Node) bool {
		if n.Tag == "VAR" {
			if at, rte, _, expr := s.resolve(n); expr == nil {
				seen[[2]int{at.depth, rte}] = true
			}
		}
		return n.Tag != "QUERY"
	})
	return len(seen)
}

// analysisOf is what the outermost query's output is made of.
func (a *analyser) analysisOf(targets []*Node, r *relation) *feature.Analysis {
	found := &feature.Analysis{Uses: map[string][]string{}}
	for name := range a.read {
		found.Uses[name] = []string{}
	}
	for i, t := range targets {
		for k, kinds := range inputs(nil).add(r.columns[i].inputs).add(r.row) {
			for kind := feature.InputValue; kind <= feature.InputOrder; kind++ {
				if kinds&bit(kind) != 0 {
					found.Inputs = append(found.Inputs, feature.ColumnInput{Column: t.text("resname"), Kind: kind, Relation: k.relation, InputColumn: k.column})
				}
			}
			if !slices.Contains(found.Uses[k.relation], k.column) {
				found.Uses[k.relation] = append(found.Uses[k.relation], k.column)
			}
		}
	}
	slices.SortFunc(found.Inputs, func(x, y feature.ColumnInput) int {
		return cmp.Or(cmp.Compare(x.Column, y.Column), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Relation, y.Relation),
			cmp.Compare(x.InputColumn, y.InputColumn))
	})
	for name := range found.Uses {
		slices.Sort(found.Uses[name])
	}
	return found
}
