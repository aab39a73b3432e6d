package analysis

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a row is made of is told by names:
//
//	r:2   the rows of the query's second entry of the range table that belong to it
//	w:…   the rows that a window function looks at
//	s:…   the rows that a subquery in an expression looks at
//	n:…   rows of an anti join that must not be there, of which some may become known later
//	m:…   the same, within an entry of the range table
//	p:…   picked rows, whose place others may take later
//	o:…   rows that OFFSET leaves out
//	v:…   not rows, but a column of the query: what has it is not before it
//	g:…   the same, of a query within
//
// Names with r, n and v mean something within one query only.

// arrival is what is known of when a column's values could be known.
type arrival struct {
	// all says that the column is not before the arrival of any row that its row is made of.
	all bool
	// covers are further things that it is not before.
	covers set
	// needs are the windows and subqueries that the value is made of, beside its row.
	needs set
}

// both is the arrival of a column that comes from either of two. One without rows of sources covers all that is behind it.
func (x arrival) both(y arrival, xRows, yRows bool) arrival {
	out := arrival{all: (x.all || !xRows) && (y.all || !yRows), needs: set(nil).add(x.needs).add(y.needs)}
	out.covers = x.covers.and(y.covers)
	return out
}

// behind is what stands behind the rows of a relation.
type behind struct {
	// atoms says that there are rows of sources behind it.
	atoms bool
	// anti says that rows are left out because of others, which may become known later than they.
	anti bool
	// picks are in what the rows that were picked are like those that take their place.
	picks []pickedBy
	// bound are columns of the query around it: no row behind was known later than they say. nil: no such columns.
	bound set
	// missing are what keeps a query from having a column that covers all, for messages.
	missing set
	// needs are those of a function's arguments.
	needs set
	// lateral are columns of the query around that it names.
	lateral []*Node
}

// cover is what a value is not before.
func (s *scope) cover(n *Node) set {
	n = bare(n)
	if n == nil {
		return nil
	}
	args := n.nodes("args")
	switch n.Tag {
	case "VAR":
		return s.coverColumn(n)
	case "MINMAX", "MINMAXEXPR":
		var out set
		for i, arg := range args {
			if n.number("op") == 0 {
				out = out.add(s.cover(arg))
			} else if i == 0 {
				out = s.cover(arg)
			} else {
				out = out.and(s.cover(arg))
			}
		}
		return out
	case "COALESCE", "COALESCEEXPR":
		out := s.cover(args[0])
		for _, arg := range args[1:] {
			out = out.and(s.cover(arg))
		}
		// Where an outer join found nothing, there is no row to be late.
		if v := bare(args[0]); v.Tag == "VAR" && v.number("varlevelsup") == 0 {
			if at, rte, _, expr := s.resolve(v); expr == nil && at == s && s.nullable[rte] {
				out = out.add(s.cover(v).and(setOf(fmt.Sprintf("r:%d", rte))))
			}
		}
		return out
	case "CASE", "CASEEXPR":
		return s.coverCase(n, args)
	case "OPEXPR":
		if s.a.catalog.operatorName(n.oid("opno")) != "+" || len(args) != 2 {
			return nil
		}
		at, by := args[0], args[1]
		if exprType(bare(at)) == 1186 {
			at, by = by, at
		}
		added, ok := s.interval(by)
		if !ok || added.months < 0 || added.days < 0 || added.rest < 0 {
			return nil
		}
		if of, unit, ok := s.truncated(at); ok && unit.within(added) {
			return s.cover(of)
		}
		return s.cover(at)
	case "AGGREF":
		if s.a.catalog.functionName(n.oid("aggfnoid")) == "max" && n.node("aggfilter") == nil && len(args) == 1 && n.number("agglevelsup") == 0 {
			return s.cover(args[0])
		}
	case "WINDOWFUNC":
		if s.a.catalog.functionName(n.oid("winfnoid")) == "max" && n.node("aggfilter") == nil && len(args) == 1 {
			return s.coverWindow(n, args[0])
		}
		// The arrival of the very row that such a function looks at.
		if slices.Contains(pointing, s.a.catalog.functionName(n.oid("winfnoid"))) && s.coversLeaves(s.cover(args[0])) {
			return setOf(s.windowName(n))
		}
	case "SUBLINK":
		if n.number("subLinkType") == sublinkExpr {
			sub := s.subquery(n)
			if len(sub.columns) == 1 && sub.columns[0].all {
				return setOf(s.sublinkName(n) + s.sublinkPart(n)).add(sub.columns[0].covers)
			}
		}
	}
	return nil
}

func (s *scope) coverColumn(v *Node) set {
	at, rte, _, expr := s.resolve(v)
	if expr != nil {
		if at == s {
			return s.cover(expr)
		}
		return nil
	}
	if at != s {
		return nil
	}
	out := setOf("v:" + s.canon(v))
	if c := s.columnOf(v); c != nil {
		if c.all && s.relations[rte-1].atoms {
			out[fmt.Sprintf("r:%d", rte)] = true
		}
		out = out.add(c.covers)
	}
	return out
}

// coverCase knows CASE WHEN a > b THEN a ELSE b END, and else takes what all results have.
func (s *scope) coverCase(n *Node, whens []*Node) set {
	last := n.node("defresult")
	if len(whens) == 1 && last != nil && n.node("arg") == nil {
		test, result := whens[0].node("expr"), whens[0].node("result")
		if sides := test.nodes("args"); test.Tag == "OPEXPR" && len(sides) == 2 {
			greater, less := sides[0], sides[1]
			name := s.a.catalog.operatorName(test.oid("opno"))
			if name == "<" || name == "<=" {
				greater, less = less, greater
			}
			if slices.Contains([]string{"<", "<=", ">", ">="}, name) && s.canon(greater) == s.canon(result) && s.canon(less) == s.canon(last) {
				return s.cover(result).add(s.cover(last))
			}
		}
	}
	var out set
	for i, w := range whens {
		if i == 0 {
			out = s.cover(w.node("result"))
		} else {
			out = out.and(s.cover(w.node("result")))
		}
	}
	// Without an ELSE it may be NULL, which greatest and max pass over.
	if last == nil || isNull(last) {
		return nil
	}
	return out.and(s.cover(last))
}

// windowReach says which rows of its partition a window function looks at: all, or those up to the row itself.
func (s *scope) windowReach(f *Node) (all bool) {
	w := s.window(f)
	frame := w.number("frameOptions")
	if w.list("orderClause") == nil {
		return true
	}
	switch s.a.catalog.functionName(f.oid("winfnoid")) {
	case "row_number", "rank", "dense_rank", "lag":
		return false
	case "lead", "ntile", "percent_rank", "cume_dist":
		return true
	}
	return frame&(frameEndCurrent|frameEndPreceding) == 0
}

func (s *scope) partitionName(w *Node) string {
	var names []string
	for _, e := range s.clauseExprs(w.nodes("partitionClause")) {
		names = append(names, s.canon(e))
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

func (s *scope) orderName(w *Node) string {
	var b strings.Builder
	exprs := s.clauseExprs(w.nodes("orderClause"))
	for i, c := range w.nodes("orderClause") {
		fmt.Fprintf(&b, "%s %s %s,", s.canon(exprs[i]), c.text("sortop"), c.text("nulls_first"))
	}
	return b.String()
}

// pointing are the window functions that look at one row.
var pointing = []string{"lag", "lead", "first_value", "last_value", "nth_value"}

func (s *scope) windowName(f *Node) string {
	name := fmt.Sprintf("w:%p:%s:%t", s.query, f.text("winref"), s.windowReach(f))
	if function := s.a.catalog.functionName(f.oid("winfnoid")); slices.Contains(pointing, function) {
		name += ":" + function
		// lag(x) is lag(x, 1).
		if args := f.nodes("args"); len(args) > 1 && !(function != "nth_value" && isOne(args[1])) {
			name += s.canon(args[1])
		}
	}
	return name
}

// coversLeaves says that all that FROM names is covered.
func (s *scope) coversLeaves(covered set) bool {
	for _, i := range s.leaves {
		if s.relations[i-1].atoms && !covered[fmt.Sprintf("r:%d", i)] {
			return false
		}
	}
	return true
}

// coverWindow is what max(arrival) OVER a window is not before: the windows of the same partition that reach no further.
func (s *scope) coverWindow(f, arg *Node) set {
	out := s.cover(arg)
	if !s.coversLeaves(out) {
		return nil
	}
	w := s.window(f)
	frame := w.number("frameOptions")
	whole := w.list("orderClause") == nil && frame&frameRows == 0 || frame&frameStartUnbounded != 0 && frame&frameEndUnbounded != 0
	upToRow := frame&frameStartUnbounded != 0 && frame&(frameEndCurrent|frameEndUnbounded) != 0
	if frame&frameExclusions != 0 || !whole && !upToRow {
		return s.coverFrame(f, out)
	}
	for _, other := range s.windowFunctions() {
		o := s.window(other)
		if s.partitionName(w) == s.partitionName(o) && (whole || !s.windowReach(other) && s.orderName(w) == s.orderName(o)) {
			out = out.add(setOf(s.windowName(other)))
		}
	}
	return out
}

// framed says that a window function looks at the rows of its frame alone.
func (s *scope) framed(f *Node) bool {
	return !slices.Contains([]string{"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead"},
		s.a.catalog.functionName(f.oid("winfnoid")))
}

// coverFrame is what max(arrival) over a frame of other bounds is not before: all that looks at the very same frame, since a row
// that becomes known later and changes the frame is in it. of is what the arrival of one of its rows is not before.
func (s *scope) coverFrame(f *Node, of set) set {
	frame := s.window(f).number("frameOptions")
	out := set{}
	if frame&frameExclusions == 0 && frame&(frameStartUnbounded|frameStartPreceding|frameStartCurrent) != 0 &&
		frame&(frameEndUnbounded|frameEndFollowing|frameEndCurrent) != 0 {
		out.add(of)
	}
	for _, other := range s.windowFunctions() {
		if other.text("winref") == f.text("winref") && s.framed(other) {
			out[s.windowName(other)] = true
		}
	}
	return out
}

// windowFunctions are the window functions of the query.
func (s *scope) windowFunctions() []*Node {
	var all []*Node
	for _, t := range s.query.nodes("targetList") {
		t.walk(nil, func(n *Node, _ []*Node) bool {
			if n.Tag == "WINDOWFUNC" {
				all = append(all, n)
			}
			return n.Tag != "QUERY"
		})
	}
	return all
}

func (s *scope) sublinkName(n *Node) string {
	q := n.node("subselect")
	var b strings.Builder
	s.writeCanonValue(&b, q.get("rtable"), 1)
	s.writeCanonValue(&b, q.get("jointree"), 1)
	return fmt.Sprintf("s:%p:%s", s.query, b.String())
}

// partOf stands between the name of a subquery's rows and that of the part of them which it looks at.
const partOf = "\x00"

// sublinkPart tells which part of its rows a subquery looks at: empty for all, else what picks them.
func (s *scope) sublinkPart(n *Node) string {
	q := n.node("subselect")
	picks := q.node("limitCount") != nil || q.node("limitOffset") != nil || q.list("distinctClause") != nil
	if !picks && q.list("groupClause") == nil && q.list("groupingSets") == nil && q.node("havingQual") == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString(partOf)
	for _, clause := range []string{"sortClause", "distinctClause", "groupClause"} {
		for _, c := range q.nodes(clause) {
			for _, e := range clauseExprs(q.nodes("targetList"), []*Node{c}) {
				s.writeCanonValue(&b, Value{Node: e}, 1)
			}
			fmt.Fprintf(&b, " %s %s,", c.text("sortop"), c.text("nulls_first"))
		}
		b.WriteString(";")
	}
	for _, f := range []string{"groupingSets", "havingQual", "limitCount", "limitOffset", "limitOption"} {
		s.writeCanonValue(&b, q.get(f), 1)
		b.WriteString(";")
	}
	return b.String()
}

// needsOf are the windows and subqueries that a value is made of.
func (s *scope) needsOf(n *Node) set {
	var out set
	if n == nil {
		return nil
	}
	n.walk(nil, func(n *Node, _ []*Node) bool {
		switch n.Tag {
		case "VAR":
			if at, _, _, expr := s.resolve(n); expr != nil {
				out = out.add(at.needsOf(expr))
			} else if c := s.columnOf(n); c != nil && at == s {
				out = out.add(c.needs)
			}
		case "WINDOWFUNC":
			out = out.add(setOf(s.windowName(n)))
		case "SUBLINK":
			out = out.add(s.sublinkNeeds(n))
			if s.subquery(n).anti {
				out = out.add(setOf(lost))
			}
		case "QUERY":
			return false
		}
		return true
	})
	return out
}

func (s *scope) sublinkNeeds(n *Node) set {
	sub := s.subquery(n)
	if !sub.atoms {
		return nil
	}
	if sub.bound != nil {
		return sub.bound
	}
	return setOf(s.sublinkName(n) + s.sublinkPart(n))
}

// rule says that what covers all of from covers to.
type rule struct{ from, to set }

// findArrival works out which columns of a query are not before the arrival of what its rows are made of.
func (s *scope) findArrival(r *relation) {
	if s.query.node("setOperations") != nil {
		for i := range r.columns {
			if !r.columns[i].all {
				r.missing = setOf("the rows of another part of the UNION")
			}
		}
		return
	}
	related := s.grouped() || len(s.windowFunctions()) > 0
	needs, anti := s.rowNeeds(related)
	r.anti = anti
	for _, i := range s.findPicks(r, related) {
		needs[fmt.Sprintf("p:%d", i)] = true
	}
	if s.skips() {
		needs["o:"] = true
	}
	var rules []rule
	for _, i := range s.leaves {
		leaf := s.relations[i-1]
		r.atoms = r.atoms || leaf.atoms
		if leaf.bound != nil {
			rules = append(rules, rule{leaf.bound, setOf(fmt.Sprintf("r:%d", i))})
		}
		r.anti = r.anti || leaf.anti && !related
	}
	for _, c := range s.conditions {
		c.node.walk(nil, func(n *Node, _ []*Node) bool {
			if n.Tag == "SUBLINK" {
				r.atoms = r.atoms || s.subquery(n).atoms
			}
			return n.Tag != "QUERY"
		})
	}
	local, outer := s.boundRules()
	rules = append(rules, local...)
	for _, t := range s.targets() {
		for n := range s.needsOf(t) {
			if strings.HasPrefix(n, "s:") || strings.HasPrefix(n, "v:") {
				r.atoms = true
			}
		}
	}
	for i, t := range s.targets() {
		if i >= len(r.columns) {
			break
		}
		c := &r.columns[i]
		covered := closeOver(s.cover(t), rules)
		missing := lacking(needs, covered)
		c.all = len(missing) == 0
		c.needs = s.global(s.needsOf(t))
		c.covers = s.global(covered)
		if s.up == nil && t.text("resname") == "available_at" {
			r.missing = s.words(missing)
		}
	}
	if len(outer) > 0 {
		binds := func(outer []rule) bool {
			var covered set
			for _, o := range outer {
				covered = covered.add(o.to)
			}
			return len(lacking(needs, closeOver(covered, rules))) == 0
		}
		if binds(outer) {
			// Such as w.event_time <= f.event_time says nothing of arrivals, and is not asked for.
			for i := len(outer) - 1; i >= 0; i-- {
				if less := slices.Delete(slices.Clone(outer), i, i+1); len(less) > 0 && binds(less) {
					outer = less
				}
			}
			for _, o := range outer {
				r.bound = r.bound.add(o.from)
			}
		}
	}
	s.findOwnPicks(r)
}

// rowNeeds is what the rows of the query are made of. related says that one row depends on others.
func (s *scope) rowNeeds(related bool) (needs set, anti bool) {
	needs = set{}
	for _, i := range s.leaves {
		leaf := s.relations[i-1]
		switch {
		case leaf.atoms && s.antiJoined(i):
			if related {
				needs[fmt.Sprintf("n:%d", i)] = true
			}
			anti = true
		case leaf.atoms:
			needs[fmt.Sprintf("r:%d", i)] = true
		}
		// On the far side of an outer join, a row that is taken away leaves NULLs, or lets in what it kept out.
		if leaf.anti && (related || s.nullable[i]) {
			needs[fmt.Sprintf("m:%d", i)] = true
		}
		needs.add(leaf.needs)
	}
	for _, c := range s.conditions {
		switch n := c.node; {
		case s.picksByRank(n):
		case n.Tag == "BOOLEXPR" && n.text("boolop") == "not" && n.nodes("args")[0].Tag == "SUBLINK":
			link := n.nodes("args")[0]
			missing := s.sublinkNeeds(link)
			if related || s.subquery(link).bound != nil {
				needs.add(missing)
			} else if len(missing) > 0 {
				anti = true
			}
			if s.subquery(link).anti {
				// A row that becomes known later may take away one that kept this one out.
				needs.add(setOf(lost))
			}
			needs.add(s.needsOf(link.node("testexpr")))
		case n.Tag == "SUBLINK" && !related:
			needs.add(s.sublinkNeeds(n))
			needs.add(s.needsOf(n.node("testexpr")))
			anti = anti || s.subquery(n).anti
		default:
			needs.add(s.needsOf(n))
		}
	}
	needs.add(s.needsOf(s.query.node("havingQual")))
	for _, e := range append(s.groupExprs(), s.clauseExprs(s.query.nodes("distinctClause"))...) {
		needs.add(s.needsOf(e))
	}
	return needs, anti
}

// antiJoined says that a leaf is joined only to leave out what it matches: LEFT JOIN … WHERE its column IS NULL.
func (s *scope) antiJoined(leaf int) bool {
	if !s.nullable[leaf] {
		return false
	}
	for _, c := range s.conditions {
		if c.join || c.node.Tag != "NULLTEST" || c.node.number("nulltesttype") != 0 {
			continue
		}
		if v := bare(c.node.node("arg")); v != nil && v.Tag == "VAR" && v.number("varlevelsup") == 0 {
			if at, rte, _, expr := s.resolve(v); expr == nil && at == s && rte == leaf {
				return true
			}
		}
	}
	return false
}

// picksByRank says that a condition keeps the first rows by a rank: one that becomes known later may take a row's place, and
// never brings one in.
func (s *scope) picksByRank(n *Node) bool {
	args := n.nodes("args")
	if n.Tag != "OPEXPR" || len(args) != 2 {
		return false
	}
	name, v, k := s.a.catalog.operatorName(n.oid("opno")), bare(args[0]), bare(args[1])
	if k.Tag == "VAR" {
		v, k = k, v
		name = map[string]string{">": "<", ">=": "<=", "=": "="}[name]
	}
	if v.Tag != "VAR" || k.Tag != "CONST" || v.number("varlevelsup") != 0 {
		return false
	}
	c := s.columnOf(v)
	one := len(k.get("constvalue").Datum) > 0 && k.get("constvalue").Datum[0] == 1
	return c != nil && c.rank && (name == "<" || name == "<=" || name == "=" && one)
}

const (
	dateType    = 1082
	timestamptz = 1184
)

// boundRules reads, from conditions such as b.available_at <= a.available_at, that what is not before the one is not before
// the other. outer are those with a column of a query around.
func (s *scope) boundRules() (local, outer []rule) {
	for _, c := range s.conditions {
		args := c.node.nodes("args")
		if c.node.Tag != "OPEXPR" || len(args) != 2 || c.full {
			continue
		}
		less, greater := bare(args[0]), bare(args[1])
		if exprType(less) != timestamptz || exprType(greater) != timestamptz {
			continue
		}
		switch s.a.catalog.operatorName(c.node.oid("opno")) {
		case "<", "<=":
		case ">", ">=":
			less, greater = greater, less
		case "=":
			if greater.Tag != "VAR" || s.coverColumn(less) == nil {
				less, greater = greater, less
			}
		default:
			continue
		}
		covered := s.cover(less)
		if c.outer != nil {
			// A row that matched nothing stays, whatever the condition says of it: only what was matched is bound.
			matched := set{}
			for _, i := range c.outer {
				if name := fmt.Sprintf("r:%d", i); covered[name] {
					matched[name] = true
					// So are those that keep others out.
					matched[fmt.Sprintf("n:%d", i)] = true
				}
			}
			covered = matched
		}
		if greater.Tag != "VAR" || len(covered) == 0 {
			continue
		}
		name := setOf("v:" + s.canon(greater))
		switch greater.number("varlevelsup") {
		case 0:
			local = append(local, rule{name, covered})
		case 1:
			outer = append(outer, rule{name, covered})
		}
	}
	return local, outer
}

func closeOver(covered set, rules []rule) set {
	out := set{}.add(covered)
	for again := true; again; {
		again = false
		for _, r := range rules {
			if len(lacking(r.from, out)) == 0 && len(lacking(r.to, out)) > 0 {
				out, again = out.add(r.to), true
			}
		}
	}
	return out
}

func lacking(needs, covered set) set {
	out := set{}
	for n := range needs {
		// Who covers all rows of a subquery covers each part of them.
		if rows, _, part := strings.Cut(n, partOf); !covered[n] && !(part && covered[rows]) {
			out[n] = true
		}
	}
	return out
}

// global is what means something outside of the query too: its own columns get its name.
func (s *scope) global(names set) set {
	out := set{}
	for n := range names {
		switch n[0] {
		case 'v':
			out[fmt.Sprintf("g:%p:%s", s.query, n[2:])] = true
		case 'w', 's', 'g':
			out[n] = true
		}
	}
	return out
}

// words says what is lacking.
func (s *scope) words(missing set) set {
	out := set{}
	for n := range missing {
		switch n[0] {
		case 'r':
			i, _ := strconv.Atoi(n[2:])
			out[s.relations[i-1].name] = true
		case 'n', 'm':
			i, _ := strconv.Atoi(n[2:])
			out["the rows that keep others out by "+s.relations[i-1].name] = true
		case 'w':
			out["the rows that a window function looks at"] = true
		case 'p':
			i, _ := strconv.Atoi(n[2:])
			out["the rows that take the place of others in "+s.relations[i-1].name] = true
		case 'o':
			out["the rows that OFFSET leaves out"] = true
		default:
			out["the rows that a subquery looks at"] = true
		}
	}
	return out
}

// isOne says that a node is the constant 1.
func isOne(n *Node) bool {
	d := n.get("constvalue").Datum
	return n.Tag == "CONST" && len(d) > 0 && d[0] == 1 && !slices.ContainsFunc(d[1:], func(b byte) bool { return b != 0 })
}

// span is an interval as Postgres keeps it.
type span struct {
	months, days int
	rest         time.Duration
}

// length is how long a span is when it is always as long: months are not. Days are, in UTC.
func (x span) length() (time.Duration, bool) {
	return time.Duration(x.days)*24*time.Hour + x.rest, x.months == 0
}

// within says that y is at least as long, whatever the month.
func (x span) within(y span) bool {
	if x.months > 0 && y.months >= x.months && y.days >= 0 && y.rest >= 0 {
		return true
	}
	longest := time.Duration(x.months*31+x.days)*24*time.Hour + x.rest
	shortest := time.Duration(y.months*28+y.days)*24*time.Hour + y.rest
	return longest <= shortest
}

// interval reads a constant interval, or one times a constant integer.
func (s *scope) interval(n *Node) (span, bool) {
	n = bare(n)
	if n == nil || exprType(n) != 1186 {
		return span{}, false
	}
	if n.Tag == "FUNCEXPR" && s.a.catalog.functionName(n.oid("funcid")) == "interval" {
		return s.interval(n.nodes("args")[0])
	}
	d := n.get("constvalue").Datum
	if n.Tag != "CONST" || len(d) != 16 {
		return span{}, false
	}
	micros := int64(binary.LittleEndian.Uint64(d))
	if micros > int64(time.Duration(1<<62)/time.Microsecond) || micros < 0 && micros < -int64(time.Duration(1<<62)/time.Microsecond) {
		return span{}, false
	}
	return span{
		months: int(int32(binary.LittleEndian.Uint32(d[12:]))), days: int(int32(binary.LittleEndian.Uint32(d[8:]))),
		rest: time.Duration(micros) * time.Microsecond,
	}, true
}

// units are what date_trunc cuts to, with their lengths.
var units = map[string]span{
	"microseconds": {rest: time.Microsecond}, "milliseconds": {rest: time.Millisecond}, "second": {rest: time.Second}, "minute": {rest: time.Minute},
	"hour": {rest: time.Hour}, "day": {days: 1}, "week": {days: 7}, "month": {months: 1}, "quarter": {months: 3}, "year": {months: 12},
	"decade": {months: 120}, "century": {months: 1200},
}

// truncated reads date_trunc(unit, of), date_bin(unit, of, origin) and of::date.
func (s *scope) truncated(n *Node) (of *Node, unit span, ok bool) {
	n = bare(n)
	if n == nil || n.Tag != "FUNCEXPR" {
		return nil, span{}, false
	}
	args := n.nodes("args")
	switch s.a.catalog.functionName(n.oid("funcid")) {
	case "timestamptz", "timestamp":
		// A day as the instant at which it begins.
		if len(args) != 1 {
			return nil, span{}, false
		}
		// From Postgres 18 on, what rows are grouped by is named by a column of the group.
		day := bare(args[0])
		if day != nil && day.Tag == "VAR" {
			if at, _, _, expr := s.resolve(day); at == s && expr != nil {
				day = bare(expr)
			}
		}
		if exprType(day) == dateType {
			return s.truncated(day)
		}
	case "date":
		if len(args) == 1 && slices.Contains([]uint32{1114, timestamptz}, exprType(bare(args[0]))) {
			return args[0], units["day"], true
		}
	case "date_trunc":
		if len(args) < 2 || args[0].Tag != "CONST" || len(args[0].get("constvalue").Datum) < 4 {
			return nil, span{}, false
		}
		unit, ok = units[strings.ToLower(string(args[0].get("constvalue").Datum[4:]))]
		return args[1], unit, ok
	case "date_bin":
		if len(args) == 3 {
			unit, ok = s.interval(args[0])
			return args[1], unit, ok
		}
	}
	return nil, span{}, false
}
