package lineage

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Query asks for a graph.
type Query struct {
	// Node is where the walk begins, as Parse reads it.
	Node      string
	Direction Direction
	// Depth is how many edges are followed, 0 for all.
	Depth int
	// Columns asks for the graph of columns: from a column, a feature, or all columns of a source, view, service, dataset, model, consumer or prediction. A node that
	// is a column asks for it by itself.
	Columns bool
	// HidesRuns reports whether it is not to be told of a prediction which runs wrote the rows that it was given of a view, `NAME@VERSION`, and what is
	// behind them. nil: it is of all.
	HidesRuns func(view string) bool
	// At is when, and AsOf how that was said, for messages. Zero: now.
	At   Instant
	AsOf string
	// PageSize is how many nodes are wanted at once, 0 for all, and PageToken the NextPage of the page before.
	PageSize  int
	PageToken string
}

// Walk follows edges from a node, breadth first, and returns what it met, or a page of it. An edge is in the graph when it was followed,
// so that two nodes at the last depth show none between them.
//
// Faults: INVALID_ARGUMENT for what is no node, has no columns or is a token of another question, NOT_FOUND for a node
// that did not exist then, RESOURCE_EXHAUSTED for a graph of more than MaxNodes or MaxEdges, or MaxPagedNodes or MaxPagedEdges,
// FAILED_PRECONDITION for a token of a graph that has changed since.
func Walk(ctx context.Context, q database.Querier, query Query) (*Graph, error) {
	bounds := limits{nodes: MaxNodes, edges: MaxEdges}
	if query.PageSize > 0 {
		bounds = limits{nodes: MaxPagedNodes, edges: MaxPagedEdges}
	}
	g, err := walk(ctx, q, query, bounds)
	return g, database.Fault(err)
}

type limits struct{ nodes, edges int }

func walk(ctx context.Context, q database.Querier, query Query, limits limits) (*Graph, error) {
	if query.Depth < 0 {
		return nil, fault.New(fault.InvalidArgument, "depth: found %d, expected how many edges to follow, or 0 for all", query.Depth)
	}
	ref, err := Parse(query.Node)
	if err != nil {
		return nil, err
	}
	if ref.Kind == OutsideJob || ref.Kind == OutsideTable {
		return nil, fault.New(fault.Unimplemented, "node: found %q, which is not Headwater's, and which no walk begins at; ask for a source that comes from it, with "+
			"--up", query.Node)
	}
	if ref.Kind == Predictions {
		return nil, errNoRoot(query.Node, ref)
	}
	query.Columns = query.Columns || ref.Column != ""
	if query.Columns && (ref.Kind == Load || ref.Kind == Run) {
		return nil, fault.New(fault.InvalidArgument, "columns: found them asked of %s, expected a source, view, feature, service, dataset, model, consumer or prediction: "+
			"a %s has the columns of its %s", ref, ref.Kind, map[NodeKind]NodeKind{Load: Source, Run: View}[ref.Kind])
	}
	page, err := query.page()
	if err != nil {
		return nil, err
	}
	w := &walker{
		q: takingTurns(q), Query: query, limits: limits, places: places{map[numbered]int32{}, map[node]int32{}}, edgeAt: map[edge]int32{},
		runs: map[int64]*runRecord{}, ends: map[int64]int64{}, viewOf: map[int64]int64{}, sourceInputs: map[int64][]runInput{},
		viewInputs: map[int64][]runViewInput{}, views: map[int64]*view{}, asOf: map[int64]int64{}, outside: map[node]string{},
	}
	if w.at = query.At; page.at != (Instant{}) {
		w.at = page.at
	}
	if w.at, err = w.at.orNow(ctx, q); err != nil {
		return nil, err
	}
	if w.root, err = w.resolve(ctx, ref); err != nil {
		return nil, err
	}
	w.place(w.root, true)
	frontier := []node{w.root}
	for level := 0; len(frontier) > 0 && (query.Depth == 0 || level < query.Depth); level++ {
		w.next, w.last = nil, level+1 == query.Depth
		if err := w.step(ctx, byKind(frontier)); err != nil {
			return nil, err
		}
		if len(w.met) > limits.nodes || len(w.edges) > limits.edges {
			return nil, w.tooMuch(ref, level+1)
		}
		frontier = w.next
	}
	return w.show(ctx, page)
}

// node is a node by the key of its record. id is that of the load, the run, or the definition of the view (also of a
// feature's or a column's), service (also of predictions) or consumer; name is that of the source (also of a column's), the feature or the view's
// column, the dataset's id, the read's id or the model, whose version id is; column is that of the source's column.
type node struct {
	kind   NodeKind
	id     int64
	name   string
	column string
}

// numbered is a node that kind and id tell from all others.
type numbered struct {
	kind NodeKind
	id   int64
}

// places is where each node is of those that were met. Most have no name, and are found without one.
type places struct {
	numbered map[numbered]int32
	named    map[node]int32
}

func (p places) find(n node) (place int32, found bool) {
	if n.name == "" && n.column == "" {
		place, found = p.numbered[numbered{n.kind, n.id}]
	} else {
		place, found = p.named[n]
	}
	return place, found
}

// of is the place of a node that was met.
func (p places) of(n node) int32 {
	place, _ := p.find(n)
	return place
}

func (p places) put(n node, place int32) {
	if n.name == "" && n.column == "" {
		p.numbered[numbered{n.kind, n.id}] = place
	} else {
		p.named[n] = place
	}
}

// edge is by the places of its ends in the walk.
type edge struct {
	from, to int32
	kind     EdgeKind
}

// knownEdge is an edge with what is known of it besides.
type knownEdge struct {
	edge
	known fact
}

// stamp is a moment as it is recorded: by a position, or by a time. Zero: it has not come.
type stamp struct {
	position int64
	time     time.Time
}

func atPosition(p int64) stamp { return stamp{position: p} }

// atTime is zero for infinity, which is read as a zero time.
func atTime(t time.Time) stamp { return stamp{time: t} }

// fact is what is known of an edge besides.
type fact struct {
	// rows are those that were read along it, or 0.
	rows     int64
	from, to stamp
}

// walker is one walk.
type walker struct {
	q database.Querier
	Query
	// at is when the graph is of, also where the query does not say.
	at     Instant
	limits limits
	root   node
	// met is the nodes, in the order in which they were met, and places where each is in it.
	met    []met
	places places
	// edges that were followed, and edgeAt where each is among them.
	edges  []knownEdge
	edgeAt map[edge]int32
	// runs are the records of those that they were needed of, ends up to which sequence each is behind its view version, viewOf which that is, and
	// sourceInputs and viewInputs what each read of sources and of views.
	runs         map[int64]*runRecord
	ends         map[int64]int64
	viewOf       map[int64]int64
	sourceInputs map[int64][]runInput
	viewInputs   map[int64][]runViewInput
	// next is the nodes that the level at work has met first, which last says are not followed further.
	next []node
	last bool
	// views are those of which it was needed what they read.
	views map[int64]*view
	// asOf is the sequence at which a view version is asked for its runs, where it is not the newest published.
	asOf map[int64]int64
	// outside is, for what is of others, the source that it was met by.
	outside map[node]string
	// read is the root where that is a prediction, and given are the runs whose rows it was given.
	read  *headwaterv1.LoggedRead
	given []int64
	// has is asked for by hasAny.
	has *has
}

// met is a node that was met. It is not its own where it is a load that was met only as the replacement of others.
type met struct {
	node
	own bool
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
		{Source, (*walker).sourcesUp},
		{OutsideJob, (*walker).outsideJobsUp},
		{OutsideTable, (*walker).outsideTablesUp},
		{Load, (*walker).loadsUp},
		{Run, (*walker).runsUp},
		{View, (*walker).viewsUp},
		{Feature, (*walker).featuresUp},
		{Service, (*walker).servicesUp},
		{Dataset, (*walker).datasetsUp},
		{Model, (*walker).modelsUp},
		{Consumer, (*walker).consumersUp},
		{Prediction, (*walker).predictionUp},
	},
	Down: {
		{Source, (*walker).sourcesDown},
		{Load, (*walker).loadsDown},
		{Run, (*walker).runsDown},
		{View, (*walker).viewsDown},
		{Feature, (*walker).featuresDown},
		{Service, (*walker).servicesDown},
		{Dataset, (*walker).datasetsDown},
		{Model, (*walker).modelsDown},
	},
}

// columnFollowers are those of the graph of columns.
var columnFollowers = map[Direction][]follower{
	Up: {
		{SourceColumn, (*walker).sourceColumnsUp},
		{OutsideColumn, (*walker).outsideColumnsUp},
		{ViewColumn, (*walker).viewColumnsUp},
		{View, (*walker).columnsOfViewUp},
		{Service, (*walker).columnsOfServicesUp},
		{Dataset, (*walker).columnsOfDatasetsUp},
		{Model, (*walker).modelsUp},
		{Consumer, (*walker).consumersUp},
		{Prediction, (*walker).columnsOfPredictionUp},
	},
	Down: {
		{Source, (*walker).columnsOfSourceDown},
		{SourceColumn, (*walker).sourceColumnsDown},
		{View, (*walker).columnsOfViewDown},
		{ViewColumn, (*walker).viewColumnsDown},
		{Service, (*walker).servicesDown},
		{Dataset, (*walker).datasetsDown},
		{Model, (*walker).modelsDown},
	},
}

func (w *walker) step(ctx context.Context, level map[NodeKind][]node) error {
	all := followers
	if w.Columns {
		all = columnFollowers
	}
	for _, f := range all[w.Direction] {
		if nodes := level[f.kind]; len(nodes) > 0 {
			if err := f.follow(w, ctx, nodes); err != nil {
				return err
			}
		}
	}
	return nil
}

// place is that of a node, and whether it is met for the first time.
func (w *walker) place(n node, own bool) (place int32, first bool) {
	place, before := w.places.find(n)
	if !before {
		place = int32(len(w.met))
		w.places.put(n, place)
		w.met = append(w.met, met{n, own})
	}
	return place, !before
}

// nodes is all that were met.
func (w *walker) nodes() []node {
	list := make([]node, len(w.met))
	for i, m := range w.met {
		list[i] = m.node
	}
	return list
}

// follow records an edge, and the node at its far end for the next level.
func (w *walker) follow(from, to node, kind EdgeKind, known fact) {
	own := w.Direction == Up || kind != Replaced
	start, firstFrom := w.place(from, own)
	end, firstTo := w.place(to, own)
	w.know(edge{start, end, kind}, known)
	switch {
	case w.Direction == Up && firstFrom:
		w.next = append(w.next, from)
	case w.Direction == Down && firstTo:
		w.next = append(w.next, to)
	}
}

// showOnly records an edge whose far end is shown, and not followed.
func (w *walker) showOnly(from, to node, kind EdgeKind, known fact) {
	start, _ := w.place(from, false)
	end, _ := w.place(to, false)
	w.know(edge{start, end, kind}, known)
}

// know records an edge, or anew what is known of it.
func (w *walker) know(e edge, known fact) {
	at, before := w.edgeAt[e]
	if !before {
		at = int32(len(w.edges))
		w.edgeAt[e] = at
		w.edges = append(w.edges, knownEdge{edge: e})
	}
	w.edges[at].known = known
}

// room is how many edges a query may return: one more than there may be, so that a graph that is too large shows as one.
func (w *walker) room() int { return max(w.limits.edges-len(w.edges), 0) + 1 }

func (w *walker) tooMuch(ref NodeRef, level int) error {
	pages := ""
	if w.PageSize == 0 {
		pages = ", or for pages of it"
	}
	return fault.New(fault.ResourceExhausted,
		"the lineage of %s has more than %d nodes or %d edges at a depth of %d; ask for a depth below that, or for a node in it%s",
		ref, w.limits.nodes, w.limits.edges, level, pages)
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

// collect runs a query whose rows are the fields of T, in order; those of a struct that T embeds are fields of it. All rows are read into one T, so
// that its fields are looked up once, and not for each of thousands.
func collect[T any](ctx context.Context, q database.Querier, sql string, args ...any) (list []T, err error) {
	if turns, walk := q.(*inTurns); walk {
		defer turns.take()()
	}
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	var row, none T
	_, err = pgx.ForEachRow(rows, fieldsOf(reflect.ValueOf(&row).Elem(), nil), func() error {
		list = append(list, row)
		// What one row holds is not to be written over by the next.
		row = none
		return nil
	})
	return list, err
}

// collectParts is collect of a query whose $1 is keys, in parts, which are asked for at once, where there are many.
func collectParts[T any](ctx context.Context, w *walker, keys []int64, sql string, args ...any) ([]T, error) {
	return inParts(ctx, w, keys, func(ctx context.Context, part []int64) ([]T, error) {
		return collect[T](ctx, w.q, sql, append([]any{part}, args...)...)
	})
}

// inParts is what read returns for parts of the keys, one after the other in their order; nothing where there are none.
func inParts[K, T any](ctx context.Context, w *walker, keys []K, read func(context.Context, []K) ([]T, error)) ([]T, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	if len(keys) <= minTogether {
		return read(ctx, keys)
	}
	parts := slices.Collect(slices.Chunk(keys, partOf(len(keys))))
	lists := make([][]T, len(parts))
	all := make([]func(context.Context) error, len(parts))
	for i, part := range parts {
		all[i] = func(ctx context.Context) (err error) {
			lists[i], err = read(ctx, part)
			return err
		}
	}
	err := w.together(ctx, all...)
	return slices.Concat(lists...), err
}

// partOf is how many of n are asked for in one question.
func partOf(n int) int { return max(minTogether, (n+maxTogether-1)/maxTogether) }

// fieldsOf appends pointers to the fields of a struct.
func fieldsOf(s reflect.Value, fields []any) []any {
	for i := range s.NumField() {
		if s.Type().Field(i).Anonymous {
			fields = fieldsOf(s.Field(i), fields)
			continue
		}
		fields = append(fields, s.Field(i).Addr().Interface())
	}
	return fields
}

// together calls all, at once where each query may have a connection of its own: while Postgres reads for one, another is decoded. None of them
// may change what others of them look at.
func (w *walker) together(ctx context.Context, all ...func(context.Context) error) error {
	group, groupCtx := errgroup.WithContext(ctx)
	if w.q.(*inTurns).free == nil {
		group.SetLimit(1)
	}
	for _, do := range all {
		group.Go(func() error { return do(groupCtx) })
	}
	return group.Wait()
}

// inTurns is what a walk asks: a pool, so many of whose connections the walk has at once as free has room for, or where that is nil a single connection.
type inTurns struct {
	database.Querier
	free chan struct{}
}

func takingTurns(q database.Querier) *inTurns {
	if _, pool := q.(*pgxpool.Pool); !pool {
		return &inTurns{Querier: q}
	}
	return &inTurns{q, make(chan struct{}, maxTogether)}
}

// take waits for a connection, which done gives back.
func (t *inTurns) take() (done func()) {
	if t.free == nil {
		return func() {}
	}
	t.free <- struct{}{}
	return func() { <-t.free }
}

const (
	// maxTogether is how many questions of a walk are asked at once. Each connection plans what it is asked and maps what it reads by itself, which takes more
	// than a third one gains.
	maxTogether = 2
	// minTogether is how many records are worth a question of their own.
	minTogether = 200
)

// each runs a query and calls do with each of its rows, whose fields are those of T in order.
func each[T any](ctx context.Context, q database.Querier, do func(*T), sql string, args ...any) error {
	list, err := collect[T](ctx, q, sql, args...)
	for i := range list {
		do(&list[i])
	}
	return err
}

// compareEdges orders edges by From, To, Kind.
func compareEdges(a, b Edge) int {
	if c := strings.Compare(a.From, b.From); c != 0 {
		return c
	}
	if c := strings.Compare(a.To, b.To); c != 0 {
		return c
	}
	return int(a.Kind) - int(b.Kind)
}
