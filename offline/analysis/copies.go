package analysis

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// Copies says of each output column of a view that a statement made from which columns its values are taken as they are. Whoever looks
// for the rows behind a value finds them there by that value, and where the column is not whole, not all of them.
//
// Columns that a condition has equal are taken to be each other's, in outer joins too: a row of one with the value had a part in the
// output of that value.
func Copies(ctx context.Context, tx pgx.Tx, in Input) (map[string]feature.CopiedColumn, error) {
	a, err := evaluated(ctx, tx, in)
	if err != nil {
		return nil, err
	}
	tree := a.tree
	c := &copies{analyser: a, seen: map[outputOf]bool{}}
	equal := c.equalities()
	found := map[string]feature.CopiedColumn{}
	for _, t := range targetsOf(tree) {
		from := c.output(tree, t.number("resno"))
		column := feature.CopiedColumn{Whole: from.whole}
		for key := range withEqual(from.columns, equal) {
			column.From = append(column.From, feature.CopiedFrom{Relation: key.relation, Column: key.column})
		}
		slices.SortFunc(column.From, func(x, y feature.CopiedFrom) int {
			return cmp.Or(cmp.Compare(x.Relation, y.Relation), cmp.Compare(x.Column, y.Column))
		})
		found[t.text("resname")] = column
	}
	return found, nil
}

// evaluated is a statement with its queries judged, each in a scope that is kept.
func evaluated(ctx context.Context, tx pgx.Tx, in Input) (*analyser, error) {
	a := &analyser{Input: in, statement: &in.Statement, tx: tx, functions: map[uint32]*allowance{}, read: map[string]bool{},
		subqueries: map[*Node]*relation{}, scopes: map[*Node]*scope{}}
	tree, err := a.readTree(ctx, tx, viewName(in.Statement.Name))
	if err != nil {
		return nil, err
	}
	a.tree = tree
	if a.catalog, err = readCatalog(ctx, tx, referencesOf(Value{Node: tree})); err != nil {
		return nil, err
	}
	a.demand = demandsOf(tree)
	a.evaluate(tree, nil, false)
	return a, nil
}

// copied are the columns that values are taken from.
type copied struct {
	columns map[inputKey]bool
	whole   bool
}

func (c copied) with(other copied) copied {
	if len(other.columns) > 0 {
		if c.columns == nil {
			c.columns = map[inputKey]bool{}
		}
		maps.Copy(c.columns, other.columns)
	}
	c.whole = c.whole && other.whole
	return c
}

type outputOf struct {
	query *Node
	resno int
}

type copies struct {
	*analyser
	// seen are the outputs being followed: a part of WITH may read itself.
	seen map[outputOf]bool
}

// output is what an output column of a query is taken from.
func (c *copies) output(query *Node, resno int) copied {
	at := outputOf{query, resno}
	if query == nil || c.seen[at] {
		return copied{whole: query != nil}
	}
	c.seen[at] = true
	defer delete(c.seen, at)
	s := c.scopes[query]
	if s == nil {
		return copied{}
	}
	if set := query.node("setOperations"); set != nil {
		found := copied{whole: true}
		set.walk(nil, func(n *Node, _ []*Node) bool {
			if n.Tag == "RANGETBLREF" {
				found = found.with(c.output(s.tables[n.number("rtindex")-1].node("subquery"), resno))
			}
			return true
		})
		return found
	}
	for _, t := range query.nodes("targetList") {
		if t.number("resno") == resno {
			return c.expression(s, t.node("expr"))
		}
	}
	return copied{}
}

// Functions that give back one of the values that they are given.
var (
	pickingAggregates = []string{"min", "max", "any_value"}
	pickingWindows    = []string{"first_value", "last_value", "nth_value", "lag", "lead", "min", "max", "any_value"}
)

// expression is what an expression in a scope is taken from.
func (c *copies) expression(s *scope, n *Node) copied {
	n = bare(n)
	all := func(nodes []*Node) copied {
		found := copied{whole: true}
		for _, arg := range nodes {
			found = found.with(c.expression(s, arg))
		}
		return found
	}
	if n == nil {
		return copied{whole: true}
	}
	switch n.Tag {
	case "CONST", "PARAM":
		return copied{whole: true}
	case "VAR":
		return c.variable(s, n)
	case "COALESCEEXPR", "MINMAXEXPR":
		return all(n.nodes("args"))
	case "NULLIFEXPR":
		return all(n.nodes("args")[:1])
	case "CASEEXPR":
		found := all([]*Node{n.node("defresult")})
		for _, when := range n.nodes("args") {
			found = found.with(c.expression(s, when.node("result")))
		}
		return found
	case "AGGREF":
		if slices.Contains(pickingAggregates, c.catalog.functionName(n.oid("aggfnoid"))) {
			return all(n.nodes("args"))
		}
	case "WINDOWFUNC":
		name := c.catalog.functionName(n.oid("winfnoid"))
		if args := n.nodes("args"); slices.Contains(pickingWindows, name) && len(args) > 0 {
			found := all(args[:1])
			// The default of lag and lead.
			return found.with(all(args[min(2, len(args)):]))
		}
	case "SUBLINK":
		if n.number("subLinkType") == sublinkExpr {
			s.subquery(n)
			return c.output(n.node("subselect"), 1)
		}
	}
	return copied{}
}

// variable is what a column that a query names is taken from.
func (c *copies) variable(s *scope, v *Node) copied {
	at, rte, attno, expr := s.resolve(v)
	if expr != nil {
		return c.expression(at, expr)
	}
	if rte < 1 || rte > len(at.tables) || attno < 1 {
		return copied{}
	}
	table := at.tables[rte-1]
	switch table.number("rtekind") {
	case rteRelation:
		known := c.catalog.relations[table.oid("relid")]
		if known == nil {
			return copied{}
		}
		declared := c.relation(known.Name)
		if declared == nil || attno > len(declared.Columns) {
			return copied{}
		}
		return copied{columns: map[inputKey]bool{{declared.Name, declared.Columns[attno-1]}: true}, whole: true}
	case rteSubquery:
		return c.output(table.node("subquery"), attno)
	case rteCTE:
		up := at.at(table.number("ctelevelsup"))
		for _, cte := range up.query.nodes("cteList") {
			if cte.text("ctename") == table.text("ctename") {
				return c.output(cte.node("ctequery"), attno)
			}
		}
	case rteValues:
		found := copied{whole: true}
		for _, row := range table.list("values_lists") {
			if attno <= len(row.List) {
				found = found.with(c.expression(at, row.List[attno-1].Node))
			}
		}
		return found
	}
	return copied{}
}

// equalities are the columns that conditions have equal, each with those beside it.
func (c *copies) equalities() map[inputKey]map[inputKey]bool {
	equal := map[inputKey]map[inputKey]bool{}
	same := func(x, y copied) {
		for k := range x.columns {
			for l := range y.columns {
				for _, pair := range [][2]inputKey{{k, l}, {l, k}} {
					if equal[pair[0]] == nil {
						equal[pair[0]] = map[inputKey]bool{}
					}
					equal[pair[0]][pair[1]] = true
				}
			}
		}
	}
	for _, s := range c.scopes {
		for _, condition := range s.conditions {
			n := condition.node
			link := n
			if n.Tag == "SUBLINK" {
				n = n.node("testexpr")
			}
			if n == nil || n.Tag != "OPEXPR" || c.catalog.operatorName(n.oid("opno")) != "=" || len(n.nodes("args")) != 2 {
				continue
			}
			left, right := c.expression(s, n.nodes("args")[0]), c.expression(s, n.nodes("args")[1])
			if link != n {
				right = c.output(link.node("subselect"), 1)
			}
			same(left, right)
		}
	}
	return equal
}

// withEqual is columns with all that are equal to them, also by way of others.
func withEqual(columns map[inputKey]bool, equal map[inputKey]map[inputKey]bool) map[inputKey]bool {
	found := maps.Clone(columns)
	for next := slices.Collect(maps.Keys(columns)); len(next) > 0; {
		k := next[0]
		next = next[1:]
		for l := range equal[k] {
			if !found[l] {
				found[l] = true
				next = append(next, l)
			}
		}
	}
	return found
}
