package analysis

import (
	"fmt"
	"slices"
)

// closure is all that is the same in two rows of a query wherever some expressions are.
type closure struct {
	s     *scope
	known set
	// fixed are the leaves of which there is one row then. By looks, rows that nobody can tell apart count as one.
	fixed   map[int]bool
	byLooks bool
}

// closed finds what follows from expressions that are the same.
func (s *scope) closed(exprs []*Node, byLooks bool) *closure {
	c := &closure{s: s, known: set{}, fixed: map[int]bool{}, byLooks: byLooks}
	for _, e := range exprs {
		c.add(e)
	}
	c.settle()
	return c
}

// add takes an expression as known, and what it is made of where that can be told from it.
func (c *closure) add(e *Node) {
	e = bare(e)
	if e == nil {
		return
	}
	if telling(e) {
		c.known[c.s.canon(e)] = true
	}
	switch e.Tag {
	case "VAR":
		if at, _, _, expr := c.s.resolve(e); expr != nil && at == c.s {
			c.add(expr)
		}
	case "COALESCE", "COALESCEEXPR":
		// The merged column of FULL JOIN … USING: a row has one of the two, or both and equal.
		if args := e.nodes("args"); len(args) == 2 && c.s.mergedByFullJoin(args[0], args[1]) {
			c.add(args[0])
			c.add(args[1])
		}
	case "COERCEVIAIO":
		// The text of a value tells the value, also where equal ones have several texts.
		if c.s.a.isText(e.oid("resulttype")) {
			if arg := bare(e.node("arg")); arg != nil && arg.Tag == "VAR" {
				c.known[c.s.canon(arg)] = true
			}
		}
	case "FUNCEXPR":
		if args := e.nodes("args"); len(args) == 1 && slices.Contains(widening[c.s.a.catalog.functionName(e.oid("funcid"))], exprType(bare(args[0]))) {
			c.add(args[0])
		}
	case "OPEXPR":
		name, args := c.s.a.catalog.operatorName(e.oid("opno")), e.nodes("args")
		switch {
		case len(args) == 1 && name == "-":
			c.add(args[0])
		case len(args) == 2 && (name == "+" || name == "-") && exactSum(exprType(args[0])) && bare(args[1]).Tag == "CONST":
			c.add(args[0])
		}
	}
}

// widening are functions of one argument that lose nothing of it, with the types of that.
var widening = map[string][]uint32{
	"int8": {20, 21, 23}, "int4": {20, 21, 23}, "numeric": {20, 21, 23}, "timestamptz": {1082, 1114}, "timestamp": {1082, 1184}, "text": {16},
}

// exactSum says that values of a type are told from their sum with a constant.
func exactSum(typ uint32) bool { return slices.Contains([]uint32{20, 21, 23, 1082}, typ) }

// telling says that two values which compare as equal are the same in every way. An interval of 30 days equals one of a
// month; in jsonb, 1.0 equals 1.00; texts may be equal by a collation.
func telling(e *Node) bool {
	return !slices.Contains([]uint32{1186, 3802, 1187, 3807}, exprType(e))
}

func (a *analyser) isText(oid uint32) bool {
	t := a.catalog.types[oid]
	return oid == 25 || oid == 1043 || t != nil && t.Category == "S"
}

// settle follows equalities and keys until nothing is added.
func (c *closure) settle() {
	for again := true; again; {
		again = false
		for _, e := range c.s.equalities {
			if !c.known[e.to] && c.fixedAll(e.inner) && (e.from == nil || c.determined(e.from)) {
				c.known[e.to], again = true, true
			}
		}
		for _, i := range c.s.leaves {
			r := c.s.relations[i-1]
			if r == nil {
				continue
			}
			for _, d := range r.derived {
				if name := c.s.name(i, d.to+1); !c.known[name] && c.knowsAll(i, d.from) {
					c.known[name], again = true, true
				}
			}
			if c.fixed[i] || !c.fixes(i, r) {
				continue
			}
			c.fixed[i], again = true, true
			for k := range r.columns {
				c.known[c.s.name(i, k+1)] = true
			}
		}
	}
}

// name is canon of a column of a leaf.
func (s *scope) name(leaf, attno int) string { return fmt.Sprintf("v%d.%d.%d", s.depth, leaf, attno) }

func (c *closure) knowsAll(leaf int, positions []int) bool {
	for _, p := range positions {
		if !c.known[c.s.name(leaf, p+1)] {
			return false
		}
	}
	return true
}

func (c *closure) fixedAll(leaves []int) bool {
	for _, i := range leaves {
		if !c.fixed[i] {
			return false
		}
	}
	return true
}

func (c *closure) fixes(i int, r *relation) bool {
	// What a LATERAL names must be known first.
	for _, v := range r.lateral {
		if !c.determined(v) {
			return false
		}
	}
	for _, k := range r.keys {
		if c.knowsAll(i, k) && (len(k) > 0 || c.fixedAll(c.s.preserved[i])) {
			return true
		}
	}
	if !c.byLooks {
		return false
	}
	for attno := range c.s.a.demand.used[c.s.query][i] {
		if !c.known[c.s.name(i, attno)] {
			return false
		}
	}
	return true
}

// determined says that an expression is the same wherever the closure's are.
func (c *closure) determined(n *Node) bool { return c.determinedAt(n, 0) }

func (c *closure) determinedAt(n *Node, depth int) bool {
	n = bare(n)
	if n == nil {
		return true
	}
	if depth == 0 && n.Tag != "CONST" && len(c.known) > 0 && c.known[c.s.canon(n)] {
		return true
	}
	switch n.Tag {
	case "VAR":
		if n.number("varlevelsup") != depth {
			return true
		}
		v := &Node{Tag: "VAR", Fields: []Field{{Name: "varno", Value: n.get("varno")}, {Name: "varattno", Value: n.get("varattno")}}}
		_, rte, attno, expr := c.s.resolve(v)
		switch {
		case expr != nil:
			return c.determinedAt(expr, 0)
		case attno == 0:
			return c.fixed[rte]
		}
		return c.known[c.s.name(rte, attno)]
	case "AGGREF":
		if n.number("agglevelsup") == depth {
			return c.one()
		}
	case "WINDOWFUNC":
		if depth == 0 {
			return c.one()
		}
	case "FUNCEXPR":
		if depth == 0 && n.is("funcretset") {
			return false
		}
	case "QUERY":
		depth++
	}
	for i := range n.Fields {
		ok := true
		n.Fields[i].Value.nodes(func(child *Node) { ok = ok && c.determinedAt(child, depth) })
		if !ok {
			return false
		}
	}
	return true
}

// allFixed says that there is one row of FROM.
func (c *closure) allFixed() bool {
	if c.s.query.node("setOperations") != nil {
		return false
	}
	for _, i := range c.s.leaves {
		if !c.fixed[i] {
			return false
		}
	}
	return true
}

// one says that there is one row of the query, before DISTINCT, functions that return several rows, and LIMIT.
func (c *closure) one() bool {
	q := c.s.query
	for _, t := range q.nodes("targetList") {
		if f := bare(t); f != nil && f.Tag == "WINDOWFUNC" && c.s.a.catalog.functionName(f.oid("winfnoid")) == "row_number" && c.known[c.s.canon(f)] {
			known := true
			for _, e := range c.s.clauseExprs(c.s.window(f).nodes("partitionClause")) {
				known = known && c.determined(e)
			}
			if known {
				return true
			}
		}
	}
	if !c.s.grouped() {
		return c.allFixed()
	}
	if q.list("groupingSets") != nil {
		return false
	}
	for _, e := range c.s.groupExprs() {
		if !c.determined(e) {
			return false
		}
	}
	return true
}

// mergedByFullJoin says that two columns are what a FULL JOIN is over, and all that it is over.
func (s *scope) mergedByFullJoin(x, y *Node) bool {
	found, others := false, false
	for _, c := range s.conditions {
		if !c.full {
			continue
		}
		args := c.node.nodes("args")
		if c.node.Tag == "OPEXPR" && len(args) == 2 && s.a.catalog.operatorName(c.node.oid("opno")) == "=" &&
			s.canon(args[0]) == s.canon(x) && s.canon(args[1]) == s.canon(y) {
			found = true
		} else if c.node.Tag != "OPEXPR" || s.a.catalog.operatorName(c.node.oid("opno")) != "=" {
			others = true
		}
	}
	return found && !others
}

// findEqualities reads from the conditions which columns are the same wherever others are.
func (s *scope) findEqualities() {
	add := func(c condition, from, to *Node) {
		to = bare(to)
		if to == nil || to.Tag != "VAR" || to.number("varlevelsup") != 0 || !telling(to) || from != nil && !telling(from) {
			return
		}
		at, rte, _, expr := s.resolve(to)
		if expr != nil || at != s || c.full || c.outer != nil && !slices.Contains(c.outer, rte) {
			return
		}
		s.equalities = append(s.equalities, equality{from, s.canon(to), c.inner})
	}
	for _, c := range s.conditions {
		switch n := c.node; n.Tag {
		case "OPEXPR":
			if args := n.nodes("args"); len(args) == 2 && s.a.catalog.operatorName(n.oid("opno")) == "=" {
				add(c, args[0], args[1])
				add(c, args[1], args[0])
			}
		case "NULLTEST":
			if n.number("nulltesttype") == 0 {
				add(c, nil, n.node("arg"))
			}
		case "VAR":
			add(c, nil, n)
		}
	}
}

// findKeys works out which of the query's columns tell its rows apart.
func (s *scope) findKeys(r *relation) {
	q := s.query
	targets := s.targets()
	if q.node("setOperations") != nil {
		if s.limitsToOne() {
			r.keys = [][]int{{}}
		}
		return
	}
	exprs := func(positions []int) []*Node {
		var all []*Node
		for _, p := range positions {
			all = append(all, targets[p].node("expr"))
		}
		return all
	}
	tells := func(positions []int) bool { return s.closed(exprs(positions), false).one() }
	all := positionsUpTo(len(targets))
	if s.limitsToOne() {
		r.keys = append(r.keys, []int{})
	}
	if q.is("hasDistinctOn") {
		var key []int
		for _, e := range s.clauseExprs(q.nodes("distinctClause")) {
			key = append(key, slices.IndexFunc(targets, func(t *Node) bool { return s.canon(t.node("expr")) == s.canon(e) }))
		}
		if !slices.Contains(key, -1) {
			r.keys = append(r.keys, key)
		}
	} else if q.list("distinctClause") != nil {
		r.keys = append(r.keys, all)
	}
	// Many columns are not tried one by one.
	if q.is("hasTargetSRFs") || len(targets) > 64 || !tells(all) {
		return
	}
	for _, order := range [][]int{all, reversed(all)} {
		key := slices.Clone(all)
		for _, p := range order {
			if less := without(key, p); tells(less) {
				key = less
			}
		}
		if !slices.ContainsFunc(r.keys, func(k []int) bool { return slices.Equal(k, key) }) {
			r.keys = append(r.keys, key)
		}
	}
}

func reversed(all []int) []int {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

func without(all []int, p int) []int {
	return slices.DeleteFunc(slices.Clone(all), func(q int) bool { return q == p })
}

// limitsToOne says that the query ends in LIMIT 1 or LIMIT 0.
func (s *scope) limitsToOne() bool {
	count := s.query.node("limitCount")
	if s.query.number("limitOption") != 0 {
		return false
	}
	for count != nil && count.Tag == "FUNCEXPR" && len(count.nodes("args")) == 1 {
		count = count.nodes("args")[0]
	}
	if count == nil || count.Tag != "CONST" || len(count.get("constvalue").Datum) == 0 {
		return false
	}
	d := count.get("constvalue").Datum
	return d[0] <= 1 && !slices.ContainsFunc(d[1:], func(b byte) bool { return b != 0 })
}
