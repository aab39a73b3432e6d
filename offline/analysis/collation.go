package analysis

import "slices"

// folding are functions and operators whose result depends on what a locale takes for letters.
var folding = []string{"lower", "upper", "initcap", "texticlike", "texticnlike", "texticregexeq", "texticregexne", "casefold"}

// stable says that a collation sorts by code points, on every machine and in every version: C and its like.
func (c *collation) stable() bool {
	return slices.Contains([]string{"C", "POSIX", "C.UTF-8", "C.utf8", "ucs_basic"}, c.Name) || c.Provider == "b" ||
		c.Provider == "c" && slices.Contains([]string{"C", "POSIX", "C.UTF-8", "C.utf8"}, c.Locale)
}

const defaultCollation = 100

// refuseCollation refuses an order by a collation that depends on the server. An equality only needs one that tells all
// texts apart.
func (a *analyser) refuseCollation(c *catalog, oid uint32, what string, sorts bool, at int, refuse report) {
	found := c.collations[oid]
	if found == nil || oid == 0 || found.stable() || !sorts && (found.Deterministic || oid == defaultCollation) {
		return
	}
	name := `collation "` + found.Name + `"`
	if oid == defaultCollation {
		name = "the database's own collation"
	}
	refuse(Refusal{Rule: RuleCollation, Found: what + " by " + name + ", which another server or version may sort in another way",
		Expected: `collation "C"`, Remedy: `write COLLATE "C" behind the text`}, at)
}

// checkCollation judges one node of a tree.
func (a *analyser) checkCollation(n *Node, at int, c *catalog, refuse report) {
	switch n.Tag {
	case "OPEXPR", "SCALARARRAYOPEXPR", "DISTINCTEXPR", "NULLIFEXPR":
		name := c.operatorName(n.oid("opno"))
		switch {
		case slices.Contains([]string{"<", "<=", ">", ">="}, name):
			a.refuseCollation(c, n.oid("inputcollid"), "texts compared", true, at, refuse)
		case slices.Contains(folding, c.functionName(n.oid("opfuncid"))):
			a.refuseFolding(c, n, at, refuse)
		default:
			a.refuseCollation(c, n.oid("inputcollid"), "texts compared", false, at, refuse)
		}
	case "MINMAX", "MINMAXEXPR":
		a.refuseCollation(c, n.oid("inputcollid"), "texts compared", true, at, refuse)
	case "ROWCOMPARE", "ROWCOMPAREEXPR":
		for _, v := range n.list("inputcollids") {
			a.refuseCollation(c, v.oid(), "texts compared", true, at, refuse)
		}
	case "AGGREF", "WINDOWFUNC":
		name := c.functionName(max(n.oid("aggfnoid"), n.oid("winfnoid")))
		if slices.Contains([]string{"min", "max", "percentile_disc", "mode"}, name) || n.list("aggdistinct") != nil && n.list("aggorder") == nil && name != "count" {
			a.refuseCollation(c, n.oid("inputcollid"), name+" of texts", true, at, refuse)
		}
	case "FUNCEXPR":
		if slices.Contains(folding, c.functionName(n.oid("funcid"))) {
			a.refuseFolding(c, n, at, refuse)
		}
	}
}

// refuseFolding refuses letters by a named locale. Those of the database's own do not change while it lives.
func (a *analyser) refuseFolding(c *catalog, n *Node, at int, refuse report) {
	if oid := n.oid("inputcollid"); oid != defaultCollation {
		a.refuseCollation(c, oid, "letters changed or compared", true, at, refuse)
	}
}

// checkCollations judges the orders that decide something: of what is picked, of aggregates and of windows.
func (s *scope) checkCollations() {
	check := func(exprs []*Node, what string, at int) {
		for _, e := range exprs {
			place := e.place()
			if place < 0 {
				place = at
			}
			s.a.refuseCollation(s.a.catalog, collationOf(e), what, true, place, s.a.refuse)
		}
	}
	if s.picks() {
		check(s.clauseExprs(s.query.nodes("sortClause")), "rows ordered", -1)
	}
	for _, w := range s.query.nodes("windowClause") {
		check(s.clauseExprs(w.nodes("orderClause")), "a window ordered", -1)
	}
	for _, t := range s.query.nodes("targetList") {
		t.walk(nil, func(n *Node, _ []*Node) bool {
			if n.Tag == "AGGREF" {
				check(clauseExprs(n.nodes("args"), n.nodes("aggorder")), "an aggregate ordered", n.location())
			}
			return n.Tag != "QUERY"
		})
	}
}

// collationOf is the collation that an expression sorts by, 0 when it sorts by none.
func collationOf(n *Node) uint32 {
	if n == nil {
		return 0
	}
	for _, f := range []string{"varcollid", "constcollid", "funccollid", "opcollid", "resultcollid", "aggcollid", "wincollid", "collOid", "casecollid",
		"coalescecollid", "minmaxcollid"} {
		if v := n.get(f); v.Atom != "" {
			return v.oid()
		}
	}
	return 0
}
