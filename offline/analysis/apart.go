package analysis

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Apart finds the relations whose rows make output of their own keys alone: given the output's key columns, for each such relation the column
// of it that each key is, by the key. A row of it with other values there has no part in the output of a key. Of a relation that is not found this
// cannot be told.
//
// It can be told of one that is read once, that the keys are copied from or are joined to by equality, on a way on which nothing brings rows of different keys
// together or lets one decide on another: groups, partitions and DISTINCT are by all of the keys, and there is no LIMIT, UNION or
// outer join that adds rows without them.
func Apart(ctx context.Context, tx pgx.Tx, in Input, keys []string) (map[string]map[string]string, error) {
	a, err := evaluated(ctx, tx, in)
	if err != nil {
		return nil, err
	}
	var wanted []int
	for _, key := range keys {
		i := slices.IndexFunc(targetsOf(a.tree), func(t *Node) bool { return t.text("resname") == key })
		if i < 0 {
			return nil, nil
		}
		wanted = append(wanted, targetsOf(a.tree)[i].number("resno"))
	}
	found := map[string]map[string]string{}
	a.apart(a.tree, wanted, func(relation string, columns []string) {
		found[relation] = map[string]string{}
		for i, key := range keys {
			found[relation][key] = columns[i]
		}
	})
	return found, nil
}

// tableColumn is a column of an entry of a query's range table.
type tableColumn struct{ rte, attno int }

// apart follows the outputs of a query that are its keys down to relations.
func (a *analyser) apart(query *Node, keys []int, found func(relation string, columns []string)) {
	s := a.scopes[query]
	if s == nil || len(keys) == 0 || query.node("setOperations") != nil || query.node("limitCount") != nil || query.node("limitOffset") != nil ||
		query.list("groupingSets") != nil {
		return
	}
	var named []tableColumn
	for _, resno := range keys {
		i := slices.IndexFunc(query.nodes("targetList"), func(t *Node) bool { return t.number("resno") == resno })
		if i < 0 {
			return
		}
		c, ok := s.tableColumn(query.nodes("targetList")[i].node("expr"))
		if !ok || len(named) > 0 && named[0].rte != c.rte {
			return
		}
		named = append(named, c)
	}
	rte := named[0].rte
	if s.nullable[rte] || !slices.Contains(s.leaves, rte) {
		return
	}
	if s.grouped() && !s.amongThem(named, s.groupExprs()) {
		return
	}
	if distinct := query.nodes("distinctClause"); len(distinct) > 0 && !s.amongThem(named, s.clauseExprs(distinct)) {
		return
	}
	for _, w := range query.nodes("windowClause") {
		if !s.amongThem(named, s.clauseExprs(w.nodes("partitionClause"))) {
			return
		}
	}
	for _, leaf := range s.leaves {
		columns := make([]int, len(named))
		for i, c := range named {
			if columns[i] = c.attno; leaf != rte {
				columns[i] = s.joinedTo(c, leaf)
			}
		}
		if !slices.Contains(columns, 0) {
			s.apartBelow(leaf, columns, found)
		}
	}
}

// joinedTo is a column of an entry of FROM of which only rows with the value of c have a part in a row of c, 0 for none.
func (s *scope) joinedTo(c tableColumn, leaf int) int {
	for _, on := range s.conditions {
		if on.full || len(on.outer) > 0 && !(slices.Contains(on.outer, leaf) && slices.Contains(on.inner, c.rte)) {
			continue
		}
		args := on.node.nodes("args")
		if on.node.Tag != "OPEXPR" || len(args) != 2 || s.a.catalog.operatorName(on.node.oid("opno")) != "=" {
			continue
		}
		x, isX := s.tableColumn(args[0])
		y, isY := s.tableColumn(args[1])
		switch {
		case !isX || !isY:
		case x == c && y.rte == leaf:
			return y.attno
		case y == c && x.rte == leaf:
			return x.attno
		}
	}
	return 0
}

// apartBelow goes on at an entry of FROM of which columns are the keys.
func (s *scope) apartBelow(rte int, keys []int, found func(relation string, columns []string)) {
	a, table := s.a, s.tables[rte-1]
	switch table.number("rtekind") {
	case rteRelation:
		known := a.catalog.relations[table.oid("relid")]
		if known == nil {
			return
		}
		declared := a.relation(known.Name)
		if declared == nil || a.timesRead(func(t *Node) bool { return t.number("rtekind") == rteRelation && t.oid("relid") == table.oid("relid") }) != 1 {
			return
		}
		var columns []string
		for _, attno := range keys {
			if attno < 1 || attno > len(declared.Columns) {
				return
			}
			columns = append(columns, declared.Columns[attno-1])
		}
		found(declared.Name, columns)
	case rteSubquery:
		a.apart(table.node("subquery"), keys, found)
	case rteCTE:
		name := table.text("ctename")
		if a.timesRead(func(t *Node) bool { return t.number("rtekind") == rteCTE && t.text("ctename") == name }) != 1 {
			return
		}
		for _, cte := range s.at(table.number("ctelevelsup")).query.nodes("cteList") {
			if cte.text("ctename") == name && !cte.is("cterecursive") {
				a.apart(cte.node("ctequery"), keys, found)
			}
		}
	}
}

// tableColumn is what an expression names of the query's own FROM. Not ok: it is computed, or of a query around.
func (s *scope) tableColumn(n *Node) (c tableColumn, ok bool) {
	n = bare(n)
	if n == nil || n.Tag != "VAR" {
		return c, false
	}
	at, rte, attno, expr := s.resolve(n)
	return tableColumn{rte, attno}, at == s && expr == nil && attno >= 1
}

// amongThem reports whether each of the columns is one of the expressions.
func (s *scope) amongThem(columns []tableColumn, exprs []*Node) bool {
	for _, c := range columns {
		if !slices.ContainsFunc(exprs, func(e *Node) bool {
			of, ok := s.tableColumn(e)
			return ok && of == c
		}) {
			return false
		}
	}
	return true
}

// timesRead counts entries of all range tables.
func (a *analyser) timesRead(is func(table *Node) bool) (n int) {
	a.tree.walk(nil, func(table *Node, _ []*Node) bool {
		if (table.Tag == "RTE" || table.Tag == "RANGETBLENTRY") && is(table) {
			n++
		}
		return true
	})
	return n
}
