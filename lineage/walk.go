package lineage

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Walk follows edges from root, breadth first, at most depth of them (0: all), and returns what it met. An edge is in the
// graph when it was followed, so that two nodes at the last depth show none between them.
//
// Faults: INVALID_ARGUMENT for what is no node, UNIMPLEMENTED for a column or a model, NOT_FOUND for a node that does not
// exist, RESOURCE_EXHAUSTED for a graph of more than MaxNodes or MaxEdges.
func Walk(ctx context.Context, q database.Querier, root string, dir Direction, depth int) (*Graph, error) {
	g, err := walk(ctx, q, root, dir, depth, limits{nodes: MaxNodes, edges: MaxEdges})
	return g, database.Fault(err)
}

type limits struct{ nodes, edges int }

func walk(ctx context.Context, q database.Querier, root string, dir Direction, depth int, limits limits) (*Graph, error) {
	if depth < 0 {
		return nil, fault.New(fault.InvalidArgument, "depth: found %d, expected how many edges to follow, or 0 for all", depth)
	}
	ref, err := Parse(root)
	if err != nil {
		return nil, err
	}
	w := &walker{
		q: q, direction: dir, limits: limits, nodes: map[node]bool{}, edges: map[edge]int64{},
		definitions: map[int64]*definition{}, asOf: map[int64]int64{},
	}
	if w.root, err = w.resolve(ctx, ref); err != nil {
		return nil, err
	}
	w.nodes[w.root] = true
	frontier := []node{w.root}
	for level := 0; len(frontier) > 0 && (depth == 0 || level < depth); level++ {
		w.next = nil
		if err := w.step(ctx, byKind(frontier)); err != nil {
			return nil, err
		}
		if len(w.nodes) > limits.nodes || len(w.edges) > limits.edges {
			return nil, w.tooMuch(ref, level+1)
		}
		frontier = w.next
	}
	return w.describe(ctx)
}

// node is a node by the key of its record. id is that of the load, the run, or the definition of the view (also of a
// feature's) or service; name is that of the source or feature, and the dataset's id.
type node struct {
	kind NodeKind
	id   int64
	name string
}

type edge struct {
	from, to node
	kind     EdgeKind
}

// walker is one walk.
type walker struct {
	q         database.Querier
	direction Direction
	limits    limits
	root      node
	// nodes that were met. The value is false for loads that were met only as replacements of others.
	nodes map[node]bool
	// edges that were followed, with the rows that were read along them, or 0.
	edges map[edge]int64
	// next is the nodes that the level at work has met first.
	next        []node
	definitions map[int64]*definition
	// asOf is the sequence at which a view version is asked for its runs, where it is not the newest published.
	asOf map[int64]int64
}

// A follower follows the edges of one level that end, or going down begin, at nodes of one kind: a query per kind of edge,
// whatever the number of nodes.
type follower struct {
	kind   NodeKind
	follow func(w *walker, ctx context.Context, nodes []node) error
}

// followers go by kind, in an order that is the same every time.
var followers = map[Direction][]follower{
	Up: {
		{Load, (*walker).loadsUp},
		{Run, (*walker).runsUp},
		{View, (*walker).viewsUp},
		{Feature, (*walker).featuresUp},
		{Service, (*walker).servicesUp},
		{Dataset, (*walker).datasetsUp},
	},
	Down: {
		{Source, (*walker).sourcesDown},
		{Load, (*walker).loadsDown},
		{Run, (*walker).runsDown},
		{View, (*walker).viewsDown},
		{Feature, (*walker).featuresDown},
		{Service, (*walker).servicesDown},
	},
}

func (w *walker) step(ctx context.Context, level map[NodeKind][]node) error {
	for _, f := range followers[w.direction] {
		if nodes := level[f.kind]; len(nodes) > 0 {
			if err := f.follow(w, ctx, nodes); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow records an edge, and the node at its far end for the next level.
func (w *walker) follow(from, to node, kind EdgeKind, rows int64) {
	w.edges[edge{from, to, kind}] = rows
	far := to
	if w.direction == Up {
		far = from
	}
	if _, met := w.nodes[far]; !met {
		w.nodes[far] = w.direction == Up || kind != Replaced
		w.next = append(w.next, far)
	}
}

// room is how many edges a query may return: one more than there may be, so that a graph that is too large shows as one.
func (w *walker) room() int { return max(w.limits.edges-len(w.edges), 0) + 1 }

func (w *walker) tooMuch(ref NodeRef, level int) error {
	return fault.New(fault.ResourceExhausted,
		"the lineage of %s has more than %d nodes or %d edges at a depth of %d; ask for a depth below that, or for a node in it",
		ref, w.limits.nodes, w.limits.edges, level)
}

func byKind(nodes []node) map[NodeKind][]node {
	kinds := map[NodeKind][]node{}
	for _, n := range nodes {
		kinds[n.kind] = append(kinds[n.kind], n)
	}
	return kinds
}

// ids is the record keys of nodes of one kind, each once.
func ids(nodes []node) []int64 {
	list := make([]int64, len(nodes))
	for i, n := range nodes {
		list[i] = n.id
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// names is the names of nodes of one kind.
func names(nodes []node) []string {
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = n.name
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// collect runs a query whose rows are the fields of T, in order.
func collect[T any](ctx context.Context, q database.Querier, sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}

// describe turns what was met into a graph in its order.
func (w *walker) describe(ctx context.Context) (*Graph, error) {
	described, err := w.describeNodes(ctx)
	if err != nil {
		return nil, err
	}
	g := &Graph{Root: described[w.root].ID}
	for _, n := range described {
		g.Nodes = append(g.Nodes, *n)
	}
	slices.SortFunc(g.Nodes, func(a, b Node) int { return strings.Compare(a.ID, b.ID) })
	for e := range w.edges {
		g.Edges = append(g.Edges, Edge{From: described[e.from].ID, To: described[e.to].ID, Kind: e.kind})
	}
	slices.SortFunc(g.Edges, func(a, b Edge) int {
		if c := strings.Compare(a.From, b.From); c != 0 {
			return c
		}
		if c := strings.Compare(a.To, b.To); c != 0 {
			return c
		}
		return int(a.Kind) - int(b.Kind)
	})
	return g, nil
}
