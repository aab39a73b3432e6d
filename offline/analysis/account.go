package analysis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// What becomes of the rows that a query reads is counted by shadows of it: its FROM and WHERE, as they are written, with
// another select list. A row is used when at least one row that FROM puts together of it passes WHERE. What GROUP BY, HAVING
// and DISTINCT make of the rows after that changes nothing: rows of a group that HAVING leaves out are used.
//
// The one relation that a shadow counts has a hidden column, HiddenColumn, that tells its rows apart. It is the last column,
// and no other relation has one of its name, so that no other name in the SQL comes to mean another thing. Where it could
// (whole rows, columns renamed by position behind a star), or where the text cannot be held against Postgres's own tree
// piece by piece, the relation is not counted, and Why says so.

// HiddenColumn is the column that tells the rows of the counted relation apart. No column of a definition begins with an
// underscore.
const HiddenColumn = "_headwater_row"

// Shadow is how the rows of one relation are counted. The queries have the placeholders of the SQL, and each gives one number.
type Shadow struct {
	Relation string
	// Why says, in words that follow "because", why its rows cannot be counted. Empty: they can.
	Why string
	// All says that every row is used, so that none need be counted.
	All bool
	// Used counts the rows that are used.
	Used string
	// Own counts those that pass the conditions of WHERE on the relation alone, Matched those of them that have a match in the
	// joins. Empty Own: every row does. Empty Matched: those that are used.
	Own, Matched string
	// Filters says that WHERE may leave rows out, Joins that a join may: with Joined, in the order of the SQL.
	Filters, Joins bool
	Joined         []string
	// Loses says that rows that a join leaves out are lost by it: the join is no outer one that looks the relation up, and the
	// relation is not one that the others look up by its key.
	Loses bool
	// Several says that the relation is read more than once: its rows must be told apart alike each time.
	Several bool
}

// Account says how the rows of each relation can be counted. The statement's view is there, and was analysed and accepted.
// tx is left as it was.
func Account(ctx context.Context, tx pgx.Tx, in Input) ([]Shadow, error) {
	a := &analyser{Input: in, statement: &in.Statement, tx: tx, functions: map[uint32]*allowance{}, read: map[string]bool{},
		subqueries: map[*Node]*relation{}, scopes: map[*Node]*scope{}}
	shadows := make([]Shadow, len(in.Relations))
	for i, r := range in.Relations {
		shadows[i].Relation = r.Name
	}
	tree, err := a.readTree(ctx, tx, viewName(in.Statement.Name))
	if errors.Is(err, errTooDeep) || errors.Is(err, errTooLarge) {
		for i := range shadows {
			shadows[i].Why = "the SQL is too large"
		}
		return shadows, nil
	}
	if err != nil {
		return nil, err
	}
	a.tree = tree
	if a.catalog, err = readCatalog(ctx, tx, referencesOf(Value{Node: tree})); err != nil {
		return nil, err
	}
	a.demand = demandsOf(tree)
	a.evaluate(tree, nil, false)
	w := newWriter(a)
	for i := range shadows {
		w.account(&shadows[i])
	}
	return shadows, nil
}

// place is where a relation is read: as a leaf of a block's FROM.
type place struct {
	in   *block
	leaf int
}

// account fills the shadow of one relation.
func (w *shadowWriter) account(sh *Shadow) {
	places, total := w.places(sh.Relation)
	switch {
	case total == 0:
		sh.Why = "the SQL does not read it"
		return
	case len(places) != total:
		sh.Why = "it is read where rows are not those of one FROM: within an expression, a set operation, recursion, or a part of WITH that " +
			"is read more than once"
		return
	case len(places) > 1:
		w.accountSeveral(sh, places)
		return
	}
	path, why := w.path(places[0])
	if sh.Why = why; why != "" {
		return
	}
	lossless := true
	filters := false
	for _, p := range path {
		lossless = lossless && p.in.lossless(p.leaf)
		filters = filters || p.in.where != nil
		if len(p.in.scope.leaves) > 1 {
			sh.Joins = true
			sh.Joined = append(sh.Joined, p.in.others(p.leaf)...)
			sh.Loses = sh.Loses || p.in.loses(p.leaf)
		}
	}
	if sh.Filters = filters; lossless {
		sh.All = true
		return
	}
	if sh.Why = w.hidden(path); sh.Why != "" {
		return
	}
	once := true
	for _, p := range path {
		once = once && p.in.once(p.leaf)
	}
	all := func(*block, conjunct) bool { return true }
	sh.Used = w.count(path, once, all)
	switch top := path[len(path)-1]; {
	case !sh.Joins || !filters:
	case len(path) == 1 && top.in.tables()[top.leaf-1].number("rtekind") == rteRelation:
		own := func(c conjunct) bool { return len(c.leaves) == 1 && c.leaves[0] == top.leaf }
		if slices.ContainsFunc(top.in.where, own) {
			sh.Own = w.own(top, own)
		}
		if slices.ContainsFunc(top.in.where, func(c conjunct) bool { return !own(c) && len(c.leaves) < 2 }) {
			sh.Matched = w.count(path, once, func(_ *block, c conjunct) bool { return own(c) || len(c.leaves) > 1 })
		}
	default:
		sh.Matched = w.count(path, false, func(_ *block, c conjunct) bool { return len(c.leaves) > 1 })
	}
}

// accountSeveral is account for a relation that several leaves of one FROM are.
func (w *shadowWriter) accountSeveral(sh *Shadow, places []place) {
	b := places[0].in
	var rows []string
	for _, p := range places {
		if p.in != b || b.parent != nil {
			sh.Why = "it is read in several places"
			return
		}
		rows = append(rows, fmt.Sprintf("(%s.%s)", quoted(b.alias(p.leaf)), quoted(HiddenColumn)))
		sh.Joined = b.others(p.leaf)
		sh.Loses = sh.Loses || b.loses(p.leaf)
	}
	if b.why != "" || w.wholeRows || w.natural {
		sh.Why = cause(b.why, "it is read in several places, beside NATURAL joins or whole rows")
		return
	}
	if b.limited() {
		sh.Why = limitedWhy
		return
	}
	sh.Several, sh.Joins, sh.Filters = true, true, b.where != nil
	count := func(keep func(conjunct) bool) string {
		before, after := w.around(b, nil)
		return before + "SELECT count(*) FROM (SELECT DISTINCT _v.id FROM " + w.cut(b.fromStart, b.fromEnd, nil) +
			"\n, LATERAL (VALUES " + strings.Join(rows, ", ") + ") AS _v (id)" + w.conditions(b, keep, nil) +
			"\n) AS _ids WHERE id IS NOT NULL" + after
	}
	sh.Used = count(func(conjunct) bool { return true })
	if sh.Filters {
		sh.Matched = count(func(c conjunct) bool { return len(c.leaves) > 1 })
	}
}

func cause(why, otherwise string) string {
	if why != "" {
		return why
	}
	return otherwise
}

const limitedWhy = "LIMIT or OFFSET keeps some of the rows"

// path is the levels from where a relation is read up to the one whose rows are counted: the first that makes groups of rows, or
// the outermost. Levels above must lose nothing.
func (w *shadowWriter) path(p place) (path []place, why string) {
	counted := false
	for {
		b := p.in
		switch {
		case b.why != "":
			return nil, b.why
		case b.limited():
			return nil, limitedWhy
		case counted && !b.lossless(p.leaf):
			return nil, "its rows are grouped in a subquery, and what the query around it leaves out of the groups is not known by row"
		}
		if !counted {
			path = append(path, p)
			if counted = b.collapses(); counted && b.lateral {
				return nil, "its rows are grouped in a LATERAL subquery"
			}
		}
		if b.parent == nil {
			return path, ""
		}
		up, ok := w.reader(b)
		if !ok {
			return nil, "a part of WITH that reads it is read more than once, or within an expression"
		}
		p = up
	}
}

// hidden says why the hidden column cannot be carried along a path: below the last level by a star, or by an entry of the
// select list.
func (w *shadowWriter) hidden(path []place) (why string) {
	if w.wholeRows {
		return "the SQL names whole rows"
	}
	for _, p := range path[:len(path)-1] {
		star, known := w.star(p.in, p.leaf)
		switch {
		case !known:
			return "a select list could not be told apart"
		case star && p.in.renamed:
			return "columns that a star stands for are renamed"
		}
	}
	return ""
}

// edit is a change to the SQL: what stands from one byte to another gives way to text.
type edit struct {
	from, to int
	text     string
}

// count is the shadow over a path that counts the rows of the relation at its beginning, given which parts of WHERE count.
func (w *shadowWriter) count(path []place, once bool, keep func(*block, conjunct) bool) string {
	var edits []edit
	for _, p := range path[:len(path)-1] {
		b := p.in
		if star, _ := w.star(b, p.leaf); !star {
			edits = append(edits, edit{b.fromAt, b.fromAt, fmt.Sprintf("\n, %s.%s AS %s ", quoted(b.alias(p.leaf)), quoted(HiddenColumn), quoted(HiddenColumn))})
		}
		if b.where != nil {
			edits = append(edits, edit{b.whereAt, b.whereEnd, w.conditions(b, func(c conjunct) bool { return keep(b, c) }, nil)})
		}
	}
	last := path[len(path)-1]
	b := last.in
	id := quoted(b.alias(last.leaf)) + "." + quoted(HiddenColumn)
	before, after := w.around(b, edits)
	body := " FROM " + w.cut(b.fromStart, b.fromEnd, edits) + w.conditions(b, func(c conjunct) bool { return keep(b, c) }, edits)
	if once {
		return before + "SELECT count(" + id + ")" + body + "\n" + after
	}
	return before + "SELECT count(*) FROM (SELECT DISTINCT " + id + " AS id" + body + "\n) AS _ids WHERE id IS NOT NULL" + after
}

// own counts the rows of a relation that pass some conditions of WHERE, all on it alone.
func (w *shadowWriter) own(p place, keep func(conjunct) bool) string {
	table := p.in.tables()[p.leaf-1]
	name := quoted(p.in.alias(p.leaf))
	if columns := table.node("alias").list("colnames"); len(columns) > 0 {
		var names []string
		for _, c := range columns {
			names = append(names, quoted(c.Atom))
		}
		name += " (" + strings.Join(names, ", ") + ")"
	}
	before, after := w.around(p.in, nil)
	return before + "SELECT count(*) FROM " + quoted(w.a.catalog.relations[table.oid("relid")].Name) + " AS " + name +
		w.conditions(p.in, keep, nil) + "\n" + after
}

// conditions is the WHERE of a block, with the parts that are kept.
func (w *shadowWriter) conditions(b *block, keep func(conjunct) bool, edits []edit) string {
	var parts []string
	for _, c := range b.where {
		if keep(c) {
			parts = append(parts, w.cut(c.from, c.to, edits)+"\n")
		}
	}
	if len(parts) == 0 {
		return "\n"
	}
	return "\nWHERE " + strings.Join(parts, "AND ")
}

// around is what stands before and after a block that is taken out of the queries around it: the parts of WITH that it may read.
func (w *shadowWriter) around(b *block, edits []edit) (before, after string) {
	for n, first := len(b.ctes), true; b != nil; first = false {
		if n > 0 {
			before = "WITH " + w.cut(b.ctes[0].from, b.ctes[n-1].to, edits) + "\n" + opened(before, first)
			if !first {
				after += ")"
			}
		}
		if b.parent == nil {
			break
		}
		if n = len(b.parent.ctes); b.cte >= 0 {
			n = b.cte
		}
		b = b.parent
	}
	return before, after
}

// opened puts what follows in parentheses, unless it is the query itself.
func opened(inner string, first bool) string {
	if first {
		return inner
	}
	return "(" + inner
}

// cut is the SQL from one byte to another, changed.
func (w *shadowWriter) cut(from, to int, edits []edit) string {
	edits = slices.DeleteFunc(slices.Clone(edits), func(e edit) bool { return e.from < from || e.to > to })
	slices.SortFunc(edits, func(x, y edit) int { return x.from - y.from })
	var b strings.Builder
	for _, e := range edits {
		if e.from < from {
			continue
		}
		b.WriteString(w.query.Text(from, e.from))
		b.WriteString(e.text)
		from = e.to
	}
	b.WriteString(w.query.Text(from, to))
	return b.String()
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }
