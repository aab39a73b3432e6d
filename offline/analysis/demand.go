package analysis

// demand works out which columns of each query within the SQL are used: a row differs from another only as far as somebody
// looks. Queries are looked through from the outermost inwards, until nothing is added.
type demand struct {
	// outputs are the positions, from 1, in a query's select list that somebody uses.
	outputs map[*Node]map[int]bool
	// used are the columns of each entry of a query's range table that somebody uses, both counted from 1.
	used    map[*Node]map[int]map[int]bool
	changed bool
}

// demandsOf asks for all columns of the outermost query.
func demandsOf(query *Node) *demand {
	d := &demand{outputs: map[*Node]map[int]bool{}, used: map[*Node]map[int]map[int]bool{}}
	d.all(query)
	for d.changed {
		d.changed = false
		d.query(query, nil)
	}
	return d
}

func (d *demand) output(query *Node, i int) {
	if d.outputs[query] == nil {
		d.outputs[query] = map[int]bool{}
	}
	if !d.outputs[query][i] {
		d.outputs[query][i], d.changed = true, true
	}
}

func (d *demand) all(query *Node) {
	for _, t := range targetsOf(query) {
		d.output(query, t.number("resno"))
	}
}

// query notes what a query uses. above are the queries around it, the outermost first.
func (d *demand) query(query *Node, above []*Node) {
	stack := append(above[:len(above):len(above)], query)
	set := query.node("setOperations")
	if set != nil || query.list("distinctClause") != nil && !query.is("hasDistinctOn") {
		d.all(query)
	}
	for _, t := range query.nodes("targetList") {
		if d.outputs[query][t.number("resno")] || t.is("resjunk") || t.number("ressortgroupref") != 0 {
			d.expression(t.node("expr"), stack)
		}
	}
	for _, f := range []string{"jointree", "havingQual", "windowClause", "limitOffset", "limitCount"} {
		query.get(f).nodes(func(n *Node) { d.expression(n, stack) })
	}
	for i, table := range query.nodes("rtable") {
		switch table.number("rtekind") {
		case rteSubquery:
			sub := table.node("subquery")
			if set != nil {
				d.all(sub)
			}
			for attno := range d.used[query][i+1] {
				d.output(sub, attno)
			}
			d.query(sub, stack)
		case rteFunction, rteTableFunction, rteValues:
			for _, f := range []string{"functions", "tablefunc", "values_lists"} {
				table.get(f).nodes(func(n *Node) { d.expression(n, stack) })
			}
		}
	}
	// What reads a part of WITH has been seen by now, but for later parts.
	ctes := query.nodes("cteList")
	for i := len(ctes) - 1; i >= 0; i-- {
		d.query(ctes[i].node("ctequery"), stack)
	}
}

func (d *demand) expression(n *Node, stack []*Node) {
	switch {
	case n == nil:
	case n.Tag == "VAR":
		d.column(n, stack)
	case n.Tag == "SUBLINK":
		sub := n.node("subselect")
		if n.number("subLinkType") != sublinkExists {
			d.all(sub)
		}
		d.expression(n.node("testexpr"), stack)
		d.query(sub, stack)
	case n.Tag != "QUERY":
		n.children(func(_ string, child *Node) { d.expression(child, stack) })
	}
}

func (d *demand) column(v *Node, stack []*Node) {
	level := v.number("varlevelsup")
	if level >= len(stack) {
		return
	}
	stack = stack[:len(stack)-level]
	query := stack[len(stack)-1]
	rte, attno := v.number("varno"), v.number("varattno")
	tables := query.nodes("rtable")
	if rte < 1 || rte > len(tables) {
		return
	}
	table := tables[rte-1]
	renamed := map[int]string{rteJoin: "joinaliasvars", rteGroup: "groupexprs"}[table.number("rtekind")]
	if renamed != "" {
		for i, e := range table.list(renamed) {
			if attno == 0 || attno == i+1 {
				d.expression(e.Node, stack)
			}
		}
		return
	}
	attnos := []int{attno}
	if attno == 0 {
		attnos = attnos[:0]
		for i := range table.node("eref").list("colnames") {
			attnos = append(attnos, i+1)
		}
	}
	if d.used[query] == nil {
		d.used[query] = map[int]map[int]bool{}
	}
	if d.used[query][rte] == nil {
		d.used[query][rte] = map[int]bool{}
	}
	for _, attno := range attnos {
		if d.used[query][rte][attno] {
			continue
		}
		d.used[query][rte][attno], d.changed = true, true
		if table.number("rtekind") == rteCTE {
			if cte := findCTE(stack, table); cte != nil {
				d.output(cte, attno)
			}
		}
	}
}

// findCTE is the query of the part of WITH that an entry of a range table names.
func findCTE(stack []*Node, table *Node) *Node {
	level := table.number("ctelevelsup")
	if level >= len(stack) {
		return nil
	}
	for _, cte := range stack[len(stack)-1-level].nodes("cteList") {
		if cte.text("ctename") == table.text("ctename") {
			return cte.node("ctequery")
		}
	}
	return nil
}
