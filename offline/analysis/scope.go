package analysis

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// Kinds of an entry of a range table.
const (
	rteRelation      = 0
	rteSubquery      = 1
	rteJoin          = 2
	rteFunction      = 3
	rteTableFunction = 4
	rteValues        = 5
	rteCTE           = 6
	rteGroup         = 9
)

// Kinds of a join.
const (
	joinInner = 0
	joinLeft  = 1
	joinFull  = 2
	joinRight = 3
)

// scope is one query within the SQL, while it is judged.
type scope struct {
	a     *analyser
	query *Node
	// up is the query around it, nil for the outermost.
	up    *scope
	depth int
	// tables are the entries of the range table, relations what they show; nil for joins, which only rename.
	tables    []*Node
	relations []*relation
	ctes      map[string]*relation
	// leaves are the positions, from 1, of what FROM names; nullable those that an outer join may make NULL.
	leaves     []int
	nullable   map[int]bool
	preserved  map[int][]int
	conditions []condition
	equalities []equality
	// array says that the query's rows become an array, in their order.
	array bool
}

// condition is a part of WHERE or ON that must hold together with the others.
type condition struct {
	node *Node
	// join says that it stands behind ON. outer are the leaves that it may leave NULL, nil for an inner join and for WHERE.
	join  bool
	outer []int
	full  bool
	// inner are the leaves on the other side of an outer join.
	inner []int
}

// equality says that to, a column, is the same wherever from is.
type equality struct {
	from *Node
	to   string
	// inner are the leaves of which there must be one row first: what an outer join adds is the same, or NULL, as they say.
	inner []int
}

// evaluate judges a query and says what it shows.
func (a *analyser) evaluate(query *Node, up *scope, array bool) *relation {
	s := &scope{a: a, query: query, up: up, ctes: map[string]*relation{}, nullable: map[int]bool{}, preserved: map[int][]int{}, array: array}
	if up != nil {
		s.depth = up.depth + 1
	}
	if a.scopes != nil {
		a.scopes[query] = s
	}
	for _, cte := range query.nodes("cteList") {
		s.ctes[cte.text("ctename")] = s.cte(cte)
	}
	s.tables = query.nodes("rtable")
	s.relations = make([]*relation, len(s.tables))
	for i, table := range s.tables {
		s.relations[i] = s.table(table)
	}
	s.from(query.node("jointree"), nil)
	if query.node("setOperations") == nil {
		s.findEqualities()
	}
	r := &relation{}
	if set := query.node("setOperations"); set != nil {
		r = s.setOperation(set)
	} else {
		for _, t := range s.targets() {
			r.columns = append(r.columns, s.target(t))
		}
	}
	r.row = r.row.add(s.rowInputs())
	s.checkOrder()
	s.checkCollations()
	s.findKeys(r)
	if up == nil {
		a.top = s
	}
	s.findArrival(r)
	return r
}

// cte judges a part of WITH. One that reads itself is judged until nothing more comes of it.
func (s *scope) cte(cte *Node) *relation {
	query := cte.node("ctequery")
	if !cte.is("cterecursive") {
		return s.a.evaluate(query, s, false)
	}
	self := &relation{}
	for range cte.list("ctecolnames") {
		self.columns = append(self.columns, column{arrival: arrival{all: true}})
	}
	for range 10 {
		s.ctes[cte.text("ctename")] = self
		before := self.size()
		clear(s.a.subqueries)
		self = s.a.evaluate(query, s, false)
		// Rows of two rounds may be the same.
		if query.node("setOperations").is("all") {
			self.keys = nil
		}
		if self.size() == before {
			break
		}
	}
	return self
}

// size is a number that changes when what is known of a relation does.
func (r *relation) size() int {
	n := len(r.row)
	for _, c := range r.columns {
		n += len(c.inputs) * 2
		if !c.all {
			n += 100_001
		}
	}
	return n
}

func (s *scope) findCTE(name string, levels int) *relation {
	at := s
	for range levels {
		if at.up != nil {
			at = at.up
		}
	}
	return at.ctes[name]
}

// table is what an entry of the range table shows.
func (s *scope) table(table *Node) *relation {
	r := &relation{name: table.node("eref").text("aliasname")}
	names := table.node("eref").list("colnames")
	all := func(in inputs) {
		for range names {
			r.columns = append(r.columns, column{inputs: in})
		}
	}
	switch table.number("rtekind") {
	case rteRelation:
		known := s.a.catalog.relations[table.oid("relid")]
		if known == nil {
			return r
		}
		declared := s.a.relation(known.Name)
		if declared == nil {
			return r
		}
		return s.declared(declared, r.name)
	case rteSubquery:
		sub := *s.a.evaluate(table.node("subquery"), s, false)
		sub.name = r.name
		sub.lateral = freeVars(table.node("subquery"), 0)
		return &sub
	case rteCTE:
		if found := s.findCTE(table.text("ctename"), table.number("ctelevelsup")); found != nil {
			sub := *found
			sub.name = r.name
			return &sub
		}
		all(nil)
	case rteFunction:
		var in inputs
		functions := table.nodes("functions")
		for _, f := range functions {
			in = in.add(s.inputsOf(f.node("funcexpr")))
			r.lateral = append(r.lateral, freeVars(f.node("funcexpr"), 0)...)
			r.needs = r.needs.add(s.needsOf(f.node("funcexpr")))
		}
		all(in)
		for i := range r.columns {
			r.columns[i].needs = r.needs
		}
		if table.is("funcordinality") {
			r.keys = append(r.keys, []int{len(names) - 1})
		} else if len(functions) == 1 {
			call := functions[0].node("funcexpr")
			switch {
			case call != nil && call.Tag == "FUNCEXPR" && s.a.catalog.functionName(call.oid("funcid")) == "generate_series":
				r.keys = append(r.keys, []int{0})
			case call != nil && !call.is("funcretset"):
				r.keys = append(r.keys, []int{})
			}
		}
	case rteTableFunction:
		all(s.inputsOf(table.node("tablefunc")))
		r.lateral = freeVars(table.node("tablefunc"), 0)
	case rteValues:
		all(nil)
		rows := table.list("values_lists")
		for _, row := range rows {
			for i, v := range row.List {
				if i < len(r.columns) && v.Node != nil {
					r.columns[i].inputs = r.columns[i].inputs.add(s.inputsOf(v.Node))
					r.lateral = append(r.lateral, freeVars(v.Node, 0)...)
				}
			}
		}
		for i := range r.columns {
			seen := map[string]bool{}
			for _, row := range rows {
				if i < len(row.List) && row.List[i].Node != nil && row.List[i].Node.Tag == "CONST" {
					seen[fmt.Sprint(row.List[i].Node.get("constvalue").Datum)] = true
				}
			}
			if len(seen) == len(rows) {
				r.keys = append(r.keys, []int{i})
			}
		}
	case rteJoin, rteGroup:
		return nil
	default:
		// One row of nothing.
		r.keys = [][]int{{}}
	}
	return r
}

// declared is a source or view as the SQL sees it.
func (s *scope) declared(d *Relation, name string) *relation {
	s.a.read[d.Name] = true
	r := &relation{name: name}
	r.atoms = true
	position := func(column string) int { return slices.Index(d.Columns, column) }
	positions := func(columns []string) []int {
		var all []int
		for _, c := range columns {
			all = append(all, position(c))
		}
		return all
	}
	for _, c := range d.Columns {
		r.columns = append(r.columns, column{
			inputs:  inputs{{d.Name, c}: bit(feature.InputValue)},
			arrival: arrival{all: d.AvailableAt == c},
		})
	}
	for _, k := range d.Keys {
		r.keys = append(r.keys, positions(k))
	}
	for _, f := range d.Derived {
		r.derived = append(r.derived, positionsDerived{positions(f.From), position(f.Column)})
	}
	return r
}

// subquery is what the query in an expression shows.
func (s *scope) subquery(link *Node) *relation {
	query := link.node("subselect")
	if r := s.a.subqueries[query]; r != nil {
		return r
	}
	r := s.a.evaluate(query, s, link.number("subLinkType") == sublinkArray)
	s.a.subqueries[query] = r
	return r
}

// from walks FROM and WHERE. outer are the leaves that the joins around may leave NULL.
func (s *scope) from(n *Node, outer []int) []int {
	if n == nil {
		return nil
	}
	switch n.Tag {
	case "RANGETBLREF":
		i := n.number("rtindex")
		s.leaves = append(s.leaves, i)
		return []int{i}
	case "FROMEXPR":
		var all []int
		for _, item := range n.nodes("fromlist") {
			all = append(all, s.from(item, outer)...)
		}
		s.conjuncts(n.node("quals"), condition{})
		return all
	case "JOINEXPR":
		left, right := s.from(n.node("larg"), outer), s.from(n.node("rarg"), outer)
		c := condition{join: true}
		switch n.number("jointype") {
		case joinLeft:
			c.outer, c.inner = right, left
		case joinRight:
			c.outer, c.inner = left, right
		case joinFull:
			c.outer, c.full = slices.Concat(left, right), true
		}
		for _, i := range c.outer {
			s.nullable[i] = true
			s.preserved[i] = append(s.preserved[i], c.inner...)
		}
		s.conjuncts(n.node("quals"), c)
		return slices.Concat(left, right)
	}
	return nil
}

// conjuncts takes a condition apart at its ANDs.
func (s *scope) conjuncts(n *Node, like condition) {
	switch {
	case n == nil:
	case n.Tag == "BOOLEXPR" && n.text("boolop") == "and":
		for _, arg := range n.nodes("args") {
			s.conjuncts(arg, like)
		}
	default:
		like.node = n
		s.conditions = append(s.conditions, like)
	}
}

// at is the scope some levels up.
func (s *scope) at(levels int) *scope {
	for range levels {
		if s.up != nil {
			s = s.up
		}
	}
	return s
}

// resolve says of which entry of which scope a column is, or which expression it stands for where a join or a grouping
// renamed it.
func (s *scope) resolve(v *Node) (at *scope, rte, attno int, expr *Node) {
	at, rte, attno = s.at(v.number("varlevelsup")), v.number("varno"), v.number("varattno")
	if rte < 1 || rte > len(at.tables) {
		return at, 1, 0, nil
	}
	table := at.tables[rte-1]
	list := "joinaliasvars"
	switch table.number("rtekind") {
	case rteGroup:
		list = "groupexprs"
	case rteJoin:
	default:
		return at, rte, attno, nil
	}
	if exprs := table.list(list); attno >= 1 && attno <= len(exprs) && exprs[attno-1].Node != nil {
		expr = exprs[attno-1].Node
		if expr.Tag == "VAR" {
			return at.resolve(expr)
		}
		return at, rte, attno, expr
	}
	// A whole row of a join.
	return at, rte, 0, &Node{Tag: "ROW", Fields: []Field{{Name: "args", Value: Value{List: table.list(list)}}}}
}

// targets are the entries of the select list that are output.
func (s *scope) targets() []*Node { return targetsOf(s.query) }

func targetsOf(query *Node) []*Node {
	var all []*Node
	for _, t := range query.nodes("targetList") {
		if !t.is("resjunk") {
			all = append(all, t)
		}
	}
	return all
}

func (s *scope) target(t *Node) column {
	c := column{inputs: s.inputsOf(t), expr: t.node("expr"), scope: s}
	e := bare(c.expr)
	switch {
	case e == nil:
	case e.Tag == "WINDOWFUNC":
		c.rank = slices.Contains([]string{"row_number", "rank", "dense_rank"}, s.a.catalog.functionName(e.oid("winfnoid")))
		if c.rank {
			c.rankedBy, c.firstKnown = s.rankPick(e)
		}
	case e.Tag == "VAR":
		if below := s.columnOf(e); below != nil && below.rank {
			c.rank, c.firstKnown = true, below.firstKnown
			if at, rte, _, expr := s.resolve(e); at == s && expr == nil {
				c.rankedBy = s.passedOn(rte, below.rankedBy)
			}
		}
	}
	return c
}

// columnOf is the column that a name means, nil when it means an expression or a whole row.
func (s *scope) columnOf(v *Node) *column {
	at, rte, attno, expr := s.resolve(v)
	if expr != nil || at.relations[rte-1] == nil {
		return nil
	}
	return at.relations[rte-1].column(attno)
}

// bare is an expression without what changes nothing of its value.
func bare(n *Node) *Node {
	for n != nil && (n.Tag == "RELABELTYPE" || n.Tag == "COLLATEEXPR" || n.Tag == "TARGETENTRY") {
		if n.Tag == "TARGETENTRY" {
			n = n.node("expr")
		} else {
			n = n.node("arg")
		}
	}
	return n
}

// clauseExprs are the expressions that ORDER BY, GROUP BY, DISTINCT or PARTITION BY names.
func (s *scope) clauseExprs(clauses []*Node) []*Node {
	return clauseExprs(s.query.nodes("targetList"), clauses)
}

func clauseExprs(targets, clauses []*Node) []*Node {
	var all []*Node
	for _, c := range clauses {
		ref := c.text("tleSortGroupRef")
		for _, t := range targets {
			if ref != "" && ref != "0" && t.text("ressortgroupref") == ref {
				all = append(all, t.node("expr"))
			}
		}
	}
	return all
}

func (s *scope) groupExprs() []*Node { return s.clauseExprs(s.query.nodes("groupClause")) }

// grouped says that the query's rows are groups.
func (s *scope) grouped() bool {
	return s.query.list("groupClause") != nil || s.query.list("groupingSets") != nil || s.query.is("hasAggs") || s.query.node("havingQual") != nil
}

// window is the clause of a window function.
func (s *scope) window(f *Node) *Node {
	for _, w := range s.query.nodes("windowClause") {
		if w.text("winref") == f.text("winref") {
			return w
		}
	}
	return &Node{}
}

// picks says that the query keeps some of its rows by their order.
func (s *scope) picks() bool {
	return s.query.is("hasDistinctOn") || s.query.node("limitCount") != nil || s.query.node("limitOffset") != nil || s.array
}

// setOperation is what a UNION, INTERSECT or EXCEPT shows.
func (s *scope) setOperation(n *Node) *relation {
	if n.Tag == "RANGETBLREF" {
		sub := *s.relations[n.number("rtindex")-1]
		sub.columns = slices.Clone(sub.columns)
		return &sub
	}
	left, right := s.setOperation(n.node("larg")), s.setOperation(n.node("rarg"))
	const union, intersect, except = 1, 2, 3
	op, all := n.number("op"), n.is("all")
	r := &relation{row: inputs(nil).add(left.row).add(right.row)}
	r.atoms, r.anti = left.atoms || op != except && right.atoms, left.anti || right.anti || op == except && right.atoms
	if picks := slices.Concat(left.picks, right.picks); op == union {
		r.picks = picks
	} else {
		r.anti = r.anti || len(picks) > 0
	}
	for i := range left.columns {
		c := column{inputs: inputs(nil).add(left.columns[i].inputs)}
		if i < len(right.columns) {
			if op == union {
				c.inputs = c.inputs.add(right.columns[i].inputs)
			} else {
				r.row = r.row.add(right.columns[i].inputs.as(feature.InputFilter)).add(left.columns[i].inputs.as(feature.InputFilter))
			}
			if op == except {
				c.arrival = left.columns[i].arrival
				// What is taken away there comes in here.
				c.all = c.all && !right.anti && len(right.picks) == 0
			} else {
				c.arrival = left.columns[i].both(right.columns[i].arrival, left.atoms, right.atoms)
			}
		}
		if !all {
			r.row = r.row.add(c.inputs.as(feature.InputGroup))
		}
		r.columns = append(r.columns, c)
	}
	switch {
	case op != union:
		r.keys = left.keys
	case all:
		r.keys = s.keysOfUnion(n, left, right)
	}
	if !all {
		r.keys = append(slices.Clone(r.keys), positionsUpTo(len(r.columns)))
	}
	return r
}

func positionsUpTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// keysOfUnion are the keys that both sides have, with a column that holds one constant on each.
func (s *scope) keysOfUnion(n *Node, left, right *relation) [][]int {
	var keys [][]int
	for i := range left.columns {
		x, y := s.constant(n.node("larg"), i), s.constant(n.node("rarg"), i)
		if x == "" || y == "" || x == y {
			continue
		}
		for _, k := range left.keys {
			for _, l := range right.keys {
				key := slices.Concat(k, l, []int{i})
				slices.Sort(key)
				keys = append(keys, slices.Compact(key))
			}
		}
	}
	return keys
}

// constant is the constant that a side of a set operation outputs in a column, as text, or empty.
func (s *scope) constant(side *Node, i int) string {
	if side == nil || side.Tag != "RANGETBLREF" {
		return ""
	}
	targets := targetsOf(s.tables[side.number("rtindex")-1].node("subquery"))
	if i < len(targets) {
		if e := bare(targets[i].node("expr")); e != nil && e.Tag == "CONST" {
			return fmt.Sprint(e.get("constvalue").Datum)
		}
	}
	return ""
}

// freeVars are the columns of the scope around that an expression, or a query within it, names. depth is 0 for an
// expression of that scope, and the query itself counts one.
func freeVars(n *Node, depth int) []*Node {
	if n == nil {
		return nil
	}
	if n.Tag == "VAR" {
		if n.number("varlevelsup") == depth {
			return []*Node{n}
		}
		return nil
	}
	if n.Tag == "QUERY" {
		depth++
	}
	var all []*Node
	for i := range n.Fields {
		if n.Fields[i].Name == "joinaliasvars" {
			continue
		}
		n.Fields[i].Value.nodes(func(child *Node) { all = append(all, freeVars(child, depth)...) })
	}
	return all
}

// canon is an expression as text that is the same for what is the same, wherever it stands.
func (s *scope) canon(n *Node) string {
	var b strings.Builder
	s.writeCanon(&b, n, 0)
	return b.String()
}

// meaningless are fields that say nothing about a value.
var meaningless = []string{"location", "varnosyn", "varattnosyn", "varnullingrels", "varreturningtype", "funcformat", "relabelformat", "coerceformat",
	"selectedCols", "insertedCols", "updatedCols", "extraUpdatedCols", "requiredPerms", "perminfoindex", "inFromCl",
	"resno", "resname", "ressortgroupref", "resorigtbl", "resorigcol", "aggno", "aggtransno", "stmt_location", "stmt_len"}

func (s *scope) writeCanon(b *strings.Builder, n *Node, depth int) {
	n = bare(n)
	if n == nil {
		b.WriteString("<>")
		return
	}
	if n.Tag == "VAR" && n.number("varlevelsup") >= depth {
		level := n.number("varlevelsup") - depth
		up := s.at(level)
		at, rte, attno, expr := up.resolve(&Node{Tag: "VAR", Fields: []Field{
			{Name: "varno", Value: n.get("varno")}, {Name: "varattno", Value: n.get("varattno")},
		}})
		if expr != nil {
			at.writeCanon(b, expr, 0)
			return
		}
		fmt.Fprintf(b, "v%d.%d.%d", at.depth, rte, attno)
		return
	}
	if n.Tag == "QUERY" {
		depth++
	}
	b.WriteString("{" + n.Tag)
	for i := range n.Fields {
		f := &n.Fields[i]
		if slices.Contains(meaningless, f.Name) {
			continue
		}
		b.WriteString(" " + f.Name + " ")
		s.writeCanonValue(b, f.Value, depth)
	}
	b.WriteString("}")
}

func (s *scope) writeCanonValue(b *strings.Builder, v Value, depth int) {
	switch {
	case v.Node != nil:
		s.writeCanon(b, v.Node, depth)
	case v.List != nil:
		b.WriteString("(")
		for _, e := range v.List {
			s.writeCanonValue(b, e, depth)
		}
		b.WriteString(")")
	default:
		fmt.Fprintf(b, "%s%v ", v.Atom, v.Datum)
	}
}

// set is a set of texts. The nil set is empty.
type set map[string]bool

func (x set) add(y set) set {
	if len(y) == 0 {
		return x
	}
	if x == nil {
		x = set{}
	}
	maps.Copy(x, y)
	return x
}

func (x set) and(y set) set {
	out := set{}
	for k := range x {
		if y[k] {
			out[k] = true
		}
	}
	return out
}

func setOf(words ...string) set {
	x := set{}
	for _, w := range words {
		x[w] = true
	}
	return x
}
