package analysis

import (
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// Bits of a window's frame.
const (
	frameRows           = 0x4
	frameStartUnbounded = 0x20
	frameEndUnbounded   = 0x100
	frameStartCurrent   = 0x200
	frameEndCurrent     = 0x400
	frameStartPreceding = 0x800
	frameEndPreceding   = 0x1000
	frameEndFollowing   = 0x4000
	frameExclusions     = 0x8000 | 0x10000 | 0x20000
)

// Aggregates of Postgres's own whose result is the same in any order of rows. All others are taken to depend on it.
var orderless = []string{
	"count", "min", "max", "sum", "avg", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp", "bool_and", "bool_or", "every",
	"bit_and", "bit_or", "bit_xor", "range_agg", "range_intersect_agg", "regr_count",
}

// floating are those that add up floats where their arguments are floats: the sum depends on the order.
var floating = []string{
	"sum", "avg", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp", "corr", "covar_pop", "covar_samp", "regr_avgx",
	"regr_avgy", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy",
}

func isFloat(oid uint32) bool { return oid == 700 || oid == 701 }

// checkOrder refuses what depends on an order that the query does not say.
func (s *scope) checkOrder() {
	visit := func(n *Node) {
		n.walk(nil, func(n *Node, above []*Node) bool {
			switch n.Tag {
			case "AGGREF":
				s.checkAggregate(n)
			case "WINDOWFUNC":
				s.checkWindow(n)
			}
			return n.Tag != "QUERY"
		})
	}
	for _, t := range s.query.nodes("targetList") {
		visit(t)
	}
	if n := s.query.node("havingQual"); n != nil {
		visit(n)
	}
	s.checkPicked()
	s.checkEqual()
}

// checkEqual refuses groups of values that are equal and yet not the same: which one stands for all depends on the order of
// rows. Sets are groups of all their columns.
func (s *scope) checkEqual() {
	refuse := func(e *Node, at int, clause string) {
		t := s.a.catalog.types[exprType(bare(e))]
		if e == nil || t == nil || telling(bare(e)) {
			return
		}
		s.a.refuse(Refusal{Rule: RuleEqual, Found: clause + " of values of type " + t.Text + ", of which equal ones may be written in several ways",
			Expected: "values that are the same when they are equal", Remedy: "write (…)::text in its place"}, at, clause)
	}
	for _, e := range s.groupExprs() {
		refuse(e, e.place(), "GROUP BY")
	}
	if s.query.list("distinctClause") != nil && !s.query.is("hasDistinctOn") {
		for _, e := range s.clauseExprs(s.query.nodes("distinctClause")) {
			refuse(e, e.place(), "DISTINCT")
		}
	}
	if set := s.query.node("setOperations"); set != nil && !set.is("all") {
		for _, t := range s.targets() {
			refuse(t.node("expr"), t.place(), "UNION")
		}
	}
}

// sensitive is the rule that an aggregate may break, empty when no order changes its result.
func (s *scope) sensitive(oid uint32, args []*Node) Rule {
	name := s.a.catalog.functionName(oid)
	if slices.Contains(floating, name) {
		for _, arg := range args {
			if isFloat(exprType(bare(arg))) {
				return RuleFloat
			}
		}
	}
	if slices.Contains(orderless, name) {
		return ""
	}
	return RuleAggregate
}

func exprsOf(targets []*Node) []*Node {
	var all []*Node
	for _, t := range targets {
		if t.Tag != "TARGETENTRY" {
			all = append(all, t)
		} else if !t.is("resjunk") {
			all = append(all, t.node("expr"))
		}
	}
	return all
}

func (s *scope) checkAggregate(n *Node) {
	f := s.a.catalog.functions[n.oid("aggfnoid")]
	args := exprsOf(n.nodes("args"))
	if f == nil || n.text("aggkind") != "n" && f.builtIn() {
		return
	}
	rule := s.sensitive(f.OID, args)
	if rule == "" {
		return
	}
	order := clauseExprs(n.nodes("args"), n.nodes("aggorder"))
	if n.list("aggdistinct") != nil || len(order) == 0 && f.builtIn() && strings.HasPrefix(f.Name, "jsonb_object_agg") {
		// DISTINCT sorts by all arguments. A jsonb keeps its keys in an order of its own.
		order = args[:min(len(args), 1)]
		if n.list("aggdistinct") != nil {
			order = args
		}
	}
	if n.number("agglevelsup") == 0 {
		c := s.closed(append(s.groupExprs(), order...), true)
		if s.query.list("groupingSets") != nil {
			c = s.closed(order, true)
		}
		if c.allFixed() || c.determinedAll(args) {
			return
		}
	}
	s.a.refuse(s.unordered(rule, f, args, n.list("aggorder") != nil, false, s.textOf(n)), n.location(), f.Name)
}

func (c *closure) determinedAll(exprs []*Node) bool {
	for _, e := range exprs {
		if !c.determined(e) {
			return false
		}
	}
	return true
}

// textOf is the text of a call from its name to its opening parenthesis, for messages.
func (s *scope) textOf(n *Node) string {
	i := s.a.tokenAt(n.location())
	tokens := s.a.statement.Query.Tokens()
	if n.location() < 0 || i < 0 || i+3 >= len(tokens) || tokens[i+1].Text != "(" || tokens[i+3].Text != ")" {
		return ""
	}
	return tokens[i+2].Text
}

// unordered is the refusal of an aggregate.
func (s *scope) unordered(rule Rule, f *function, args []*Node, ordered, window bool, argument string) Refusal {
	if argument == "" || argument == "*" {
		argument = "x"
	}
	r := Refusal{Rule: rule, Found: f.Name + " of rows in no order", Expected: "an order that is total for what it takes"}
	if ordered {
		r.Found = f.Name + " in an order that leaves ties between different values"
	}
	if rule == RuleFloat {
		r.Found = f.Name + " of floating-point numbers, whose result depends on the order of rows"
		r.Expected = "an exact sum, or a total order"
		switch {
		case len(args) > 1:
			r.Remedy = "write " + f.Name + "(x, y ORDER BY x, y)"
		case window:
			r.Remedy = "write " + f.Name + "(" + argument + "::numeric) OVER …, or add the columns of a unique key to the ORDER BY of the window"
		default:
			r.Remedy = "write " + f.Name + "(" + argument + "::numeric)::float8, or " + f.Name + "(" + argument + " ORDER BY " + argument + ")"
		}
		return r
	}
	if strings.HasPrefix(f.Name, "jsonb_object_agg") && f.builtIn() && !ordered {
		r.Found, r.Remedy = f.Name+" of keys that may repeat, of which the last stays", "write "+f.Name+"(key, value ORDER BY …) by the columns of a unique key"
		return r
	}
	switch {
	case ordered:
		r.Remedy = "add the columns of a unique key, or the value itself, to its ORDER BY"
	case len(args) != 1 && f.Name != "string_agg" || strings.HasPrefix(f.Name, "xml"):
		r.Remedy = "write an ORDER BY inside of its parentheses, by the columns of a unique key; an ORDER BY of a subquery is not kept"
	default:
		call := argument
		if f.Name == "string_agg" {
			call, argument = "x, ','", "x"
		}
		r.Remedy = "write " + f.Name + "(" + call + " ORDER BY " + argument + "), or order by the columns of a unique key; an ORDER BY of a subquery is not kept"
	}
	return r
}

func (s *scope) checkWindow(n *Node) {
	f := s.a.catalog.functions[n.oid("winfnoid")]
	if f == nil {
		return
	}
	w := s.window(n)
	frame := w.number("frameOptions")
	args := exprsOf(n.nodes("args"))
	whole := frame&frameStartUnbounded != 0 && frame&frameEndUnbounded != 0
	rows := frame&frameRows != 0 && !whole
	partition, order := s.clauseExprs(w.nodes("partitionClause")), s.clauseExprs(w.nodes("orderClause"))
	c := s.closed(append(partition, order...), true)
	rule := RuleWindow
	byValue := false
	switch name := s.a.catalog.functionName(f.OID); {
	case slices.Contains([]string{"rank", "dense_rank", "percent_rank", "cume_dist"}, name):
		return
	case slices.Contains([]string{"row_number", "ntile", "lag", "lead"}, name):
	case slices.Contains([]string{"first_value", "last_value", "nth_value"}, name):
		byValue = !rows
	default:
		sensitive := s.sensitive(f.OID, args)
		if sensitive == "" && !rows {
			return
		}
		if sensitive != "" {
			rule = sensitive
		}
		byValue = !rows
	}
	if c.one() || byValue && c.determinedAll(args) {
		return
	}
	at, name := n.location(), f.Name
	if rule == RuleFloat {
		s.a.refuse(s.unordered(rule, f, args, false, true, s.textOf(n)), at, name)
		return
	}
	r := Refusal{Rule: rule, Expected: "an order that tells all rows of a partition apart",
		Remedy: "add the columns of a unique key to the ORDER BY of the window" + s.keyHint()}
	switch {
	case len(order) == 0:
		r.Found = name + " over rows in no order"
	case rows && !slices.Contains([]string{"row_number", "ntile", "lag", "lead"}, name):
		r.Found = name + " over a frame of ROWS whose order leaves ties"
		r.Remedy += ", or write RANGE in place of ROWS"
	default:
		r.Found = name + " over an order that leaves ties"
	}
	if name == "row_number" {
		r.Remedy += ", or write rank()"
	}
	s.a.refuse(r, at, name)
}

// keyHint names the unique keys of what the query reads.
func (s *scope) keyHint() string {
	switch {
	case s.query.node("setOperations") != nil || s.query.list("distinctClause") != nil && !s.query.is("hasDistinctOn"):
		return " (here all that is output)"
	case s.grouped():
		return " (here those of GROUP BY)"
	}
	var hints []string
	for _, i := range s.leaves {
		r := s.relations[i-1]
		if r == nil || len(r.keys) == 0 || len(r.keys[0]) == 0 {
			continue
		}
		var names []string
		colnames := s.tables[i-1].node("eref").list("colnames")
		for _, k := range r.keys[0] {
			if k < len(colnames) {
				names = append(names, colnames[k].Atom)
			}
		}
		hints = append(hints, r.name+": "+strings.Join(names, ", "))
	}
	if len(hints) == 0 {
		return " (declare one by unique_key)"
	}
	return " (" + strings.Join(hints, "; ") + ")"
}

// checkPicked refuses LIMIT, DISTINCT ON and ARRAY(SELECT …) where ties decide what comes out.
func (s *scope) checkPicked() {
	q := s.query
	sort := s.clauseExprs(q.nodes("sortClause"))
	limited := q.node("limitCount") != nil && !isNull(q.node("limitCount")) || q.node("limitOffset") != nil && !isNull(q.node("limitOffset"))
	withTies := q.number("limitOption") == 1 && q.node("limitOffset") == nil
	if !limited && !q.is("hasDistinctOn") && !s.array {
		return
	}
	targets := s.targets()
	if len(targets) == 0 {
		return
	}
	c := s.closed(append(sort, s.clauseExprs(q.nodes("distinctClause"))...), true)
	shown := true
	for _, t := range targets {
		if s.a.demand.outputs[q][t.number("resno")] {
			shown = shown && c.determined(t.node("expr"))
		}
	}
	ok := shown || c.one() && !q.is("hasTargetSRFs")
	begin := -1
	for _, t := range q.nodes("targetList") {
		if at := t.place(); at >= 0 && (begin < 0 || at < begin) {
			begin = at
		}
	}
	if q.is("hasDistinctOn") && !ok {
		s.a.refuse(Refusal{Rule: RuleDistinctOn, Found: "DISTINCT ON whose ORDER BY leaves ties", Expected: "an order that tells all rows apart",
			Remedy: "add the columns of a unique key to the ORDER BY" + s.keyHint()}, s.a.keywordBefore(begin, "distinct"), "DISTINCT")
		return
	}
	// After DISTINCT the output is all there is, so that only the order itself counts.
	c = s.closed(sort, true)
	shown = true
	for _, t := range targets {
		if s.a.demand.outputs[q][t.number("resno")] {
			shown = shown && c.determined(t.node("expr"))
		}
	}
	ok = shown || c.one() && !q.is("hasTargetSRFs") && q.list("distinctClause") == nil
	if q.is("hasDistinctOn") && !ok {
		ok = c.determinedAll(s.clauseExprs(q.nodes("distinctClause")))
	}
	if ok {
		return
	}
	if limited && !withTies {
		n := q.node("limitCount")
		if n == nil || isNull(n) || q.node("limitOffset") != nil && q.node("limitOffset").place() < n.place() {
			n = q.node("limitOffset")
		}
		at := s.a.keywordBefore(n.place(), "limit", "offset", "fetch")
		word := "LIMIT"
		if n.place() < 0 {
			at = s.a.firstOf(s.limitWords())
		}
		if i := s.a.tokenAt(at); i >= 0 && at >= 0 && s.a.statement.Query.Tokens()[i].Kind == feature.SQLWord {
			word = strings.ToUpper(s.a.statement.Query.Tokens()[i].Text)
		}
		r := Refusal{Rule: RuleLimit, Found: word + " of rows in no order", Expected: "an order that tells all rows apart",
			Remedy: "add the columns of a unique key to the ORDER BY" + s.keyHint()}
		if len(sort) > 0 {
			r.Found = word + " of rows in an order that leaves ties"
			if q.node("limitOffset") == nil {
				r.Remedy += ", or write FETCH FIRST … ROWS WITH TIES"
			}
		}
		s.a.refuse(r, at, "LIMIT", "FETCH", "OFFSET")
	}
	if s.array {
		s.a.refuse(Refusal{Rule: RuleArray, Found: "ARRAY(SELECT …) of rows in no total order", Expected: "an ORDER BY that is total for what it outputs",
			Remedy: "write ARRAY(SELECT x FROM … ORDER BY x), or order by the columns of a unique key"}, s.a.keywordBefore(begin, "array"), "ARRAY")
	}
}

// limitWords are those that the query's LIMIT and OFFSET may be written with.
func (s *scope) limitWords() (words []string) {
	if n := s.query.node("limitOffset"); n != nil {
		words = append(words, "offset")
	}
	if n := s.query.node("limitCount"); n != nil && !isNull(n) {
		words = append(words, "limit", "fetch")
	}
	return words
}

// firstOf is where one of the words stands first in the statement, or -1: for trees that do not say where their parts stand, which those of
// Postgres 17 and later do not.
func (a *analyser) firstOf(words []string) int {
	tokens := a.statement.Query.Tokens()
	for i := range tokens {
		if tokens[i].Kind == feature.SQLWord && slices.Contains(words, tokens[i].Canonical()) {
			return a.offsetOf(&tokens[i])
		}
	}
	return -1
}

func isNull(n *Node) bool {
	for n != nil && n.Tag == "FUNCEXPR" && len(n.nodes("args")) == 1 {
		n = n.nodes("args")[0]
	}
	return n != nil && n.Tag == "CONST" && n.is("constisnull")
}
