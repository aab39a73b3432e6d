package analysis

import (
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// block is one SELECT of the SQL, as text beside its tree.
type block struct {
	query *Node
	scope *scope
	// parent is the block around it, nil for the outermost; cte its place in the parent's WITH, or -1 where it stands in FROM.
	parent *block
	cte    int
	// why says why the text could not be held against the tree.
	why string
	// lateral says that it names columns of the FROM around it; renamed that its columns have other names there.
	lateral, renamed bool

	ctes []ctePart
	// subqueries are those of FROM by their leaves.
	subqueries map[int]*block
	// Bytes of the SQL: list is the select list, fromAt the word FROM, and WHERE stands from whereAt to whereEnd.
	list               [2]int
	fromAt             int
	fromStart, fromEnd int
	whereAt, whereEnd  int
	// where are the parts of WHERE that must hold together. nil: there is none.
	where []conjunct
}

type ctePart struct {
	name string
	// from is where its name stands, to behind its parenthesis.
	from, to int
	body     *block
}

// conjunct is a part of WHERE.
type conjunct struct {
	from, to int
	// leaves are those that it names.
	leaves []int
}

// shadowWriter writes shadows.
type shadowWriter struct {
	a      *analyser
	query  *feature.Query
	tokens []feature.SQLToken
	// match is, for an opening parenthesis or bracket, where it is closed.
	match map[int]int
	top   *block
	// blocks are all that were found.
	blocks []*block
	// wholeRows says that an expression names a row as a whole, natural that a join is NATURAL.
	wholeRows, natural bool
}

func newWriter(a *analyser) *shadowWriter {
	w := &shadowWriter{a: a, query: a.Statement.Query, tokens: a.Statement.Query.Tokens(), match: map[int]int{}}
	var open []int
	for i := range w.tokens {
		switch t := &w.tokens[i]; {
		case t.Kind == feature.SQLOperator && (t.Text == "(" || t.Text == "["):
			open = append(open, i)
		case t.Kind == feature.SQLOperator && (t.Text == ")" || t.Text == "]") && len(open) > 0:
			w.match[open[len(open)-1]] = i
			open = open[:len(open)-1]
		case w.word(i, "natural"):
			w.natural = true
		}
	}
	a.tree.walk(nil, func(n *Node, _ []*Node) bool {
		w.wholeRows = w.wholeRows || n.Tag == "VAR" && n.number("varattno") == 0
		return true
	})
	w.top = w.block(a.tree, nil, -1, 0, len(w.tokens))
	return w
}

// word says that a token is a key word, and not a name behind AS or a dot.
func (w *shadowWriter) word(i int, word string) bool {
	if i < 0 || i >= len(w.tokens) || w.tokens[i].Kind != feature.SQLWord || w.tokens[i].Canonical() != word {
		return false
	}
	return i == 0 || w.tokens[i-1].Text != "." && !(w.tokens[i-1].Kind == feature.SQLWord && w.tokens[i-1].Canonical() == "as")
}

func (w *shadowWriter) words(i int, words ...string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return w.word(i, word) })
}

func (w *shadowWriter) sign(i int, text string) bool {
	return i >= 0 && i < len(w.tokens) && w.tokens[i].Kind == feature.SQLOperator && w.tokens[i].Text == text
}

// at is the byte at which a token begins, end that behind it.
func (w *shadowWriter) at(i int) int { return w.tokens[i].Offset }
func (w *shadowWriter) end(i int) int {
	return w.tokens[i].Offset + len(w.tokens[i].Text)
}

// skip is the token behind one, or behind the parenthesis that it opens.
func (w *shadowWriter) skip(i int) int {
	if to, ok := w.match[i]; ok {
		return to + 1
	}
	return i + 1
}

// find is the first token from i on, outside of parentheses and before end, that is, or end.
func (w *shadowWriter) find(i, end int, is func(int) bool) int {
	for ; i < end; i = w.skip(i) {
		if is(i) {
			return i
		}
	}
	return end
}

var (
	setWords = []string{"union", "intersect", "except"}
	// lastWords begin what may stand behind FROM and WHERE.
	lastWords = append([]string{"group", "having", "window", "order", "limit", "offset", "fetch", "for"}, setWords...)
)

// block reads the tokens of one query beside its tree.
func (w *shadowWriter) block(query *Node, parent *block, cte, i, end int) *block {
	b := &block{query: query, parent: parent, cte: cte, scope: w.a.scopes[query], subqueries: map[int]*block{}}
	w.blocks = append(w.blocks, b)
	if b.scope == nil {
		b.why = "a query could not be told apart"
		return b
	}
	if i, b.why = w.with(b, i, end); b.why != "" {
		return b
	}
	if query.node("setOperations") != nil {
		b.why = "a set operation puts its rows together with others"
		return b
	}
	if !w.word(i, "select") || w.find(i, end, func(i int) bool { return w.words(i, setWords...) }) != end {
		b.why = "a query is not written as one SELECT"
		return b
	}
	from := w.find(i+1, end, func(i int) bool { return w.word(i, "from") && !w.word(i-1, "distinct") && !w.word(i-1, "rows") })
	if from == end {
		b.why = "a query reads nothing"
		return b
	}
	where := w.find(from+1, end, func(i int) bool { return w.word(i, "where") || w.words(i, lastWords...) })
	last := where
	if w.word(where, "where") {
		last = w.find(where+1, end, func(i int) bool { return w.words(i, lastWords...) })
	}
	if where == from+1 || (w.word(where, "where") != (query.node("jointree").node("quals") != nil)) || w.word(where, "where") && last == where+1 {
		b.why = "a query could not be told apart"
		return b
	}
	b.list = [2]int{i + 1, from}
	b.fromAt, b.fromStart, b.fromEnd = w.at(from), w.at(from+1), w.end(where-1)
	if w.word(where, "where") {
		b.whereAt, b.whereEnd = w.at(where), w.end(last-1)
		w.conjuncts(b, where+1, last)
	}
	w.subqueries(b, from+1, where)
	return b
}

// with reads the WITH of a block, and returns the token behind it.
func (w *shadowWriter) with(b *block, i, end int) (int, string) {
	parts := b.query.nodes("cteList")
	if !w.word(i, "with") {
		if len(parts) > 0 {
			return i, "a query could not be told apart"
		}
		return i, ""
	}
	if b.query.is("hasRecursive") || w.word(i+1, "recursive") {
		return i, "WITH RECURSIVE reads rows of its own"
	}
	i++
	for n, part := range parts {
		c := ctePart{name: part.text("ctename"), from: w.at(i)}
		body := w.find(i, end, func(i int) bool { return w.word(i, "as") })
		for body++; body < end && w.tokens[body].Kind == feature.SQLWord; {
			// NOT MATERIALIZED.
			body++
		}
		close, ok := w.match[body]
		if !ok || !w.sign(body, "(") {
			return i, "a part of WITH could not be told apart"
		}
		c.to = w.end(close)
		c.body = w.block(part.node("ctequery"), b, n, body+1, close)
		c.body.renamed = len(part.list("aliascolnames")) > 0
		b.ctes = append(b.ctes, c)
		i = close + 1
		if n < len(parts)-1 {
			if !w.sign(i, ",") {
				return i, "a part of WITH could not be told apart"
			}
			i++
		}
	}
	return i, ""
}

// conjuncts takes the tokens of WHERE apart as the tree is; where that fails, they are one part.
func (w *shadowWriter) conjuncts(b *block, i, end int) {
	quals := b.query.node("jointree").node("quals")
	nodes := []*Node{quals}
	if quals.Tag == "BOOLEXPR" && quals.text("boolop") == "and" {
		nodes = quals.nodes("args")
	}
	var starts []int
	start, cases, betweens := i, 0, 0
	for j := i; j < end; j = w.skip(j) {
		switch {
		case w.word(j, "case"):
			cases++
		case w.word(j, "end"):
			cases--
		case cases > 0:
		case w.word(j, "between"):
			betweens++
		case w.word(j, "and") && betweens > 0:
			betweens--
		case w.word(j, "and"):
			starts = append(starts, start)
			start = j + 1
		}
	}
	starts = append(starts, start)
	if len(starts) != len(nodes) {
		b.where = []conjunct{{from: w.at(i), to: w.end(end - 1), leaves: b.scope.leavesOf(quals)}}
		return
	}
	for n, s := range starts {
		to := end
		if n+1 < len(starts) {
			to = starts[n+1] - 1
		}
		b.where = append(b.where, conjunct{from: w.at(s), to: w.end(to - 1), leaves: b.scope.leavesOf(nodes[n])})
	}
}

// leavesOf are the leaves of a query's FROM that an expression names, also within queries of its own.
func (s *scope) leavesOf(n *Node) []int {
	var leaves []int
	for _, v := range freeVars(n, 0) {
		at, rte, _, expr := s.resolve(&Node{Tag: "VAR", Fields: []Field{{Name: "varno", Value: v.get("varno")}, {Name: "varattno", Value: v.get("varattno")}}})
		switch {
		case at != s:
		case expr != nil:
			leaves = append(leaves, s.leavesOf(expr)...)
		default:
			leaves = append(leaves, rte)
		}
	}
	slices.Sort(leaves)
	return slices.Compact(leaves)
}

// subqueries reads those of FROM. They are known by their order, so that none may stand in a condition of a join or in the
// arguments of a function.
func (w *shadowWriter) subqueries(b *block, i, end int) {
	var leaves []int
	for _, l := range b.scope.leaves {
		if b.tables()[l-1].number("rtekind") == rteSubquery {
			leaves = append(leaves, l)
		}
	}
	if len(leaves) == 0 {
		return
	}
	var found [][2]int
	var look func(i, end int)
	look = func(i, end int) {
		for ; i < end; i = w.skip(i) {
			to, ok := w.match[i]
			switch {
			case !ok:
			case w.sign(i, "(") && w.words(i+1, "select", "with", "values"):
				found = append(found, [2]int{i + 1, to})
			default:
				look(i+1, to)
			}
		}
	}
	look(i, end)
	if len(found) != len(leaves) {
		return
	}
	for n, l := range leaves {
		table := b.tables()[l-1]
		sub := w.block(table.node("subquery"), b, -1, found[n][0], found[n][1])
		sub.lateral = table.is("lateral")
		sub.renamed = len(table.node("alias").list("colnames")) > 0
		b.subqueries[l] = sub
	}
}

func (b *block) tables() []*Node { return b.scope.tables }

func (b *block) alias(leaf int) string { return b.tables()[leaf-1].node("eref").text("aliasname") }

// limited says that the query keeps some of its rows only.
func (b *block) limited() bool {
	return b.query.node("limitCount") != nil || b.query.node("limitOffset") != nil
}

// collapses says that the query makes one row of several, or several of one, after WHERE.
func (b *block) collapses() bool {
	return b.scope.grouped() || b.query.list("distinctClause") != nil || b.query.is("hasTargetSRFs")
}

// lossless says that every row of a leaf is in a row that passes WHERE.
func (b *block) lossless(leaf int) bool {
	tree := b.query.node("jointree")
	items := tree.nodes("fromlist")
	return tree.node("quals") == nil && len(items) == 1 && preserved(items[0], leaf)
}

// preserved says that the joins of an item of FROM keep every row of a leaf.
func preserved(n *Node, leaf int) bool {
	switch n.Tag {
	case "RANGETBLREF":
		return n.number("rtindex") == leaf
	case "JOINEXPR":
		switch left, right := preserved(n.node("larg"), leaf), preserved(n.node("rarg"), leaf); n.number("jointype") {
		case joinLeft:
			return left
		case joinRight:
			return right
		case joinFull:
			return left || right
		}
	}
	return false
}

// closedOver is what is the same in two rows of FROM that have the same rows of some leaves.
func (b *block) closedOver(leaves []int) *closure {
	c := &closure{s: b.scope, known: set{}, fixed: map[int]bool{}}
	for _, l := range leaves {
		c.fixed[l] = true
		if r := b.scope.relations[l-1]; r != nil {
			for k := range r.columns {
				c.known[b.scope.name(l, k+1)] = true
			}
		}
	}
	c.settle()
	return c
}

// once says that a row of a leaf is in one row of FROM at most, and so of the query while it is not grouped.
func (b *block) once(leaf int) bool {
	return b.closedOver([]int{leaf}).allFixed()
}

func (b *block) without(leaf int) []int {
	return slices.DeleteFunc(slices.Clone(b.scope.leaves), func(l int) bool { return l == leaf })
}

// loses says that a row of a leaf that has no match is lost: the leaf is on no side of an outer join that is looked up, and the
// other leaves do not decide which row of it they want.
func (b *block) loses(leaf int) bool {
	others := b.without(leaf)
	return len(others) > 0 && !b.scope.nullable[leaf] && !b.closedOver(others).fixed[leaf]
}

// others are the names of the other leaves.
func (b *block) others(leaf int) []string {
	var names []string
	for _, l := range b.without(leaf) {
		name := b.alias(l)
		if known := b.scope.a.catalog.relations[b.tables()[l-1].oid("relid")]; known != nil {
			name = known.Name
		}
		names = append(names, name)
	}
	return names
}

// star says that the select list holds all columns of a leaf by a star. known is false where a star could not be told from a
// multiplication.
func (w *shadowWriter) star(b *block, leaf int) (star, known bool) {
	i, end := b.list[0], b.list[1]
	for j := i; j < end; j = w.skip(j) {
		if !w.sign(j, "*") {
			continue
		}
		switch {
		case w.sign(j-1, "."):
			name := w.tokens[j-2].Canonical()
			if w.tokens[j-2].Kind == feature.SQLQuotedName {
				name = strings.ReplaceAll(strings.Trim(name, `"`), `""`, `"`)
			}
			star = star || name == b.alias(leaf)
		case j == i || w.sign(j-1, ",") || w.words(j-1, "all", "distinct", "select"):
			star = true
		case w.sign(j+1, ",") || j+1 == end:
			// A star behind an operand, before the end of an entry.
			return false, false
		}
	}
	return star, true
}

// places are the leaves that read a relation, of the blocks that are read; total is how often the SQL reads it at all.
func (w *shadowWriter) places(relation string) (places []place, total int) {
	is := func(table *Node) bool {
		known := w.a.catalog.relations[table.oid("relid")]
		return table.number("rtekind") == rteRelation && known != nil && known.Name == relation
	}
	unread := map[*Node]bool{}
	for _, b := range w.blocks {
		for _, c := range b.ctes {
			if w.reads(c.name) == 0 {
				unread[c.body.query] = true
			}
		}
	}
	w.a.tree.walk(nil, func(n *Node, above []*Node) bool {
		if unread[n] {
			return false
		}
		if n.Tag == "RTE" || n.Tag == "RANGETBLENTRY" {
			if is(n) {
				total++
			}
		}
		return true
	})
	for _, b := range w.blocks {
		if unread[b.query] || b.scope == nil || b.query.node("setOperations") != nil {
			continue
		}
		for _, l := range b.scope.leaves {
			if is(b.tables()[l-1]) {
				places = append(places, place{b, l})
			}
		}
	}
	return places, total
}

// reads counts how often parts of WITH of a name are read.
func (w *shadowWriter) reads(name string) int {
	n := 0
	w.a.tree.walk(nil, func(node *Node, _ []*Node) bool {
		if (node.Tag == "RTE" || node.Tag == "RANGETBLENTRY") && node.number("rtekind") == rteCTE && node.text("ctename") == name {
			n++
		}
		return true
	})
	return n
}

// reader is the leaf that reads a block. ok is false where it is none, or not the only one.
func (w *shadowWriter) reader(b *block) (p place, ok bool) {
	if b.cte < 0 {
		for l, sub := range b.parent.subqueries {
			if sub == b {
				return place{b.parent, l}, true
			}
		}
		return place{}, false
	}
	name := b.parent.ctes[b.cte].name
	if w.reads(name) != 1 {
		return place{}, false
	}
	for _, r := range w.blocks {
		if r.scope == nil || r.query.node("setOperations") != nil {
			continue
		}
		for _, l := range r.scope.leaves {
			table := r.tables()[l-1]
			if table.number("rtekind") == rteCTE && table.text("ctename") == name {
				if len(table.node("alias").list("colnames")) > 0 {
					b.renamed = true
				}
				return place{r, l}, true
			}
		}
	}
	return place{}, false
}
