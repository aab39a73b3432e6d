package analysis

import (
	"slices"
)

// A row that is picked, by DISTINCT ON, by LIMIT or by its rank, loses its place when one becomes known that comes before it.
// To a view's rows that does no harm: one is taken away, and none made up. What is made of several rows, or of a row and none,
// changes with it, and says so only where the row that takes the place counts in the same way: it is alike in the columns of
// which one each is picked, and so they are all that groups and conditions may look at. Where the first known are picked, no
// place is lost.

// pickedBy are the columns of a relation, by position, in which a row and the one that takes its place are alike.
type pickedBy []int

// lost is what is needed of a subquery whose rows may vanish: nothing covers it.
const lost = "s:lost"

// firstKnown says that an order begins with what was known first.
func (s *scope) firstKnown(order, alike []*Node) bool {
	for _, c := range order {
		if slices.ContainsFunc(alike, func(a *Node) bool { return a.text("tleSortGroupRef") == c.text("tleSortGroupRef") }) {
			continue
		}
		exprs := s.clauseExprs([]*Node{c})
		return len(exprs) == 1 && s.a.catalog.operatorName(c.oid("sortop")) == "<" && s.coversLeaves(s.cover(exprs[0]))
	}
	return false
}

// positionsOf are the columns of the query's output that are one of some expressions.
func (s *scope) positionsOf(exprs []*Node) pickedBy {
	by := pickedBy{}
	for i, t := range s.targets() {
		if slices.ContainsFunc(exprs, func(e *Node) bool { return s.canon(e) == s.canon(t.node("expr")) }) {
			by = append(by, i)
		}
	}
	return by
}

// rankPick says of a rank's column which rows are alike in what is picked by it; first that no place is lost.
func (s *scope) rankPick(f *Node) (by pickedBy, first bool) {
	w := s.window(f)
	partition := s.clauseExprs(w.nodes("partitionClause"))
	return s.positionsOf(partition), s.firstKnown(w.nodes("orderClause"), nil) || !s.grouped() && s.closed(partition, false).allFixed()
}

// passedOn are the columns of the query's output that are those of a leaf.
func (s *scope) passedOn(leaf int, by pickedBy) pickedBy {
	out := pickedBy{}
	for i, t := range s.targets() {
		v := bare(t)
		if v == nil || v.Tag != "VAR" || v.number("varlevelsup") != 0 {
			continue
		}
		if at, rte, attno, expr := s.resolve(v); expr == nil && at == s && rte == leaf && slices.Contains(by, attno-1) {
			out = append(out, i)
		}
	}
	return out
}

// looksBeyond says that an expression looks at columns of a leaf beside some.
func (s *scope) looksBeyond(n *Node, leaf int, by pickedBy, depth int) bool {
	if n == nil {
		return false
	}
	if n.Tag == "VAR" {
		if n.number("varlevelsup") != depth {
			return false
		}
		v := &Node{Tag: "VAR", Fields: []Field{{Name: "varno", Value: n.get("varno")}, {Name: "varattno", Value: n.get("varattno")}}}
		_, rte, attno, expr := s.resolve(v)
		if expr != nil {
			return s.looksBeyond(expr, leaf, by, 0)
		}
		return rte == leaf && !slices.Contains(by, attno-1)
	}
	if n.Tag == "QUERY" {
		depth++
	}
	beyond := false
	for i := range n.Fields {
		n.Fields[i].Value.nodes(func(child *Node) { beyond = beyond || s.looksBeyond(child, leaf, by, depth) })
	}
	return beyond
}

// conditionsBeyond says that a condition, or one of an outer join alone, looks at more of a leaf than a picked row and the one
// that takes its place have in common: then one may be there without the other.
func (s *scope) conditionsBeyond(leaf int, by pickedBy, outer bool) bool {
	for _, c := range s.conditions {
		if (!outer || slices.Contains(c.outer, leaf)) && !s.picksByRank(c.node) && s.looksBeyond(c.node, leaf, by, 0) {
			return true
		}
	}
	return false
}

// groupsBeyond says the same of groups and windows.
func (s *scope) groupsBeyond(leaf int, by pickedBy) bool {
	exprs := s.groupExprs()
	for _, w := range s.query.nodes("windowClause") {
		exprs = append(append(exprs, s.clauseExprs(w.nodes("partitionClause"))...), s.clauseExprs(w.nodes("orderClause"))...)
	}
	return slices.ContainsFunc(exprs, func(e *Node) bool { return s.looksBeyond(e, leaf, by, 0) })
}

// picksOf are the picks from a leaf: those behind it, and those that the query's conditions make by a rank.
func (s *scope) picksOf(leaf int) []pickedBy {
	picks := slices.Clone(s.relations[leaf-1].picks)
	for _, c := range s.conditions {
		if !s.picksByRank(c.node) {
			continue
		}
		for _, arg := range c.node.nodes("args") {
			v := bare(arg)
			if v.Tag != "VAR" {
				continue
			}
			if at, rte, _, _ := s.resolve(v); at == s && rte == leaf {
				if of := s.columnOf(v); of != nil && of.rank && !of.firstKnown {
					picks = append(picks, of.rankedBy)
				}
			}
		}
	}
	return picks
}

// findPicks says which leaves have picked rows whose places others take unseen, and notes in r what is picked by now.
func (s *scope) findPicks(r *relation, related bool) (unseen []int) {
	for _, i := range s.leaves {
		for _, by := range s.picksOf(i) {
			switch beyond := s.conditionsBeyond(i, by, false); {
			case related && (beyond || s.groupsBeyond(i, by)), s.nullable[i] && s.conditionsBeyond(i, by, true):
				unseen = append(unseen, i)
			case related:
			case beyond:
				r.anti = true
			default:
				r.picks = append(r.picks, s.passedOn(i, by))
			}
		}
	}
	return unseen
}

// findOwnPicks notes what the query itself picks of its rows.
func (s *scope) findOwnPicks(r *relation) {
	q := s.query
	if r.bound != nil {
		// All that is picked from was known by the time of the row around.
		return
	}
	distinct := q.nodes("distinctClause")
	if q.is("hasDistinctOn") && !s.firstKnown(q.nodes("sortClause"), distinct) && (s.grouped() || !s.closed(s.clauseExprs(distinct), false).allFixed()) {
		r.picks = append(r.picks, s.positionsOf(s.clauseExprs(distinct)))
	}
	if n := q.node("limitCount"); n != nil && !isNull(n) && !s.firstKnown(q.nodes("sortClause"), nil) {
		r.picks = append(r.picks, pickedBy{})
	}
}

// skips says that the query leaves out its first rows: one more before them brings another in.
func (s *scope) skips() bool {
	n := s.query.node("limitOffset")
	for n != nil && n.Tag == "FUNCEXPR" && len(n.nodes("args")) == 1 {
		n = n.nodes("args")[0]
	}
	if n == nil || isNull(n) {
		return false
	}
	d := n.get("constvalue").Datum
	return n.Tag != "CONST" || slices.ContainsFunc(d, func(b byte) bool { return b != 0 })
}
