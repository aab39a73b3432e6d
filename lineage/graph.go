package lineage

import "strings"

// Graph is what a walk found, or a page of it.
type Graph struct {
	// Root is the id of the node that was asked for, as it stands in Nodes, of whichever page.
	Root string
	// Nodes are ordered by id, and hold the root.
	Nodes []Node
	// Edges are ordered by From, To, Kind. Both ends are in Nodes, of this page or one before it.
	Edges []Edge
	// Subjects is, by id, whose lineage each of the nodes is, and each end of the edges: the name of the source, the view, the service (also of
	// predictions) or the dataset, which is what access to it goes by.
	Subjects map[string]string
	// At is what the graph was asked at.
	At Instant
	// NextPage is the token of the next page, "" at the last.
	NextPage string
}

// Node is one thing in the graph.
type Node struct {
	// ID is the node as NodeRef.String writes it, with its version where it has one.
	ID string
	// Title is one line for people, to stand beside the id, which it does not repeat: a file and its digest, a run and its
	// interval.
	Title string
	// Properties are for programs. Numbers are in decimal, times RFC 3339 in UTC, digests hex. What is not known or not set
	// is not there. Of a run, and of a dataset's spine, `rows_read.load:ID` is there for the loads that the walk met it by.
	Properties map[string]string
	// subject is what Graph.Subjects has of it.
	subject string
}

// WithoutDigests takes from a node the digests of rows, by which whoever knows all of them but a value finds that out, for who may not read them.
func (n *Node) WithoutDigests() {
	for name := range n.Properties {
		if strings.HasSuffix(name, "digest") || strings.HasSuffix(name, "_sha256") || strings.HasPrefix(name, RowsDigest) {
			delete(n.Properties, name)
		}
	}
	if file, rest, found := strings.Cut(n.Title, titleDigest); found {
		_, rows, _ := strings.Cut(rest, ", ")
		n.Title = file + ", " + rows
	}
}

// RowsDigest begins the property of a run with the digest of the rows of a source, whose node follows.
const RowsDigest = "rows_digest."

// titleDigest comes before the digest in the title of a load.
const titleDigest = ", sha256 "

// Edge says that data flows from one node to another.
type Edge struct {
	// From and To are ids of nodes.
	From, To string
	Kind     EdgeKind
	// ValidFrom is the position from which on the edge was there: that at which a run was published, or the last one before all else
	// came. ValidTo is the one from which on it was not, 0 where it still is.
	ValidFrom, ValidTo int64
}

// EdgeKind says why data flows along an edge.
type EdgeKind uint8

const (
	// Definition: what is at the edge's end is defined by, or belongs to, what is at its start. source → view, view →
	// feature, view → service, feature → service, source → load, service → dataset, feature → dataset of one without a service,
	// dataset → model, service → model, service → prediction, model → prediction of a read of which nothing was logged that the model predicted, service and
	// model → predictions, what a consumer reads → consumer, and source → column. From a view that columns were asked of, view → column, and, going up, column → view.
	Definition EdgeKind = iota + 1
	// Read: load → run, run → dataset, run → prediction that was given rows of it, run → predictions, run → run of a view that reads the first one's, load → dataset of which the server read the spine
	// from a source, and source → run and source → dataset for a source of whose loads none was read: there was no row, or the rows are in
	// a table of others.
	Read
	// Wrote: run → view, model → prediction that it is known to have made, and of others job → table, job → source and job → load.
	Wrote
	// Replaced: old load → the load that replaced or retracted it. No row flows along it, so a walk follows it to other
	// replacements only, never to what they reach.
	Replaced
	// Value, Filter, Join, Group and Order: column → column, as feature.InputKind has them, those of others too. column → service and column → prediction: the features that it serves
	// by value, the keys that they are found by as a join, and the times that decide which is the newest as an order; column →
	// dataset: the features that were asked for by reference; column → consumer: of features and views that it reads, by value.
	Value
	Filter
	Join
	Group
	Order
	// Corrected: run → a later run of the same view version that ended rows of it. Nothing flows along it: a walk shows those of the run
	// that it begins at, and follows none.
	Corrected
)

var edgeKindNames = [...]string{
	"invalid", "definition", "read", "wrote", "replaced", "value", "filter", "join", "group", "order", "corrected",
}

// String is the kind's name for people.
func (k EdgeKind) String() string { return edgeKindNames[k] }

// Direction says which way edges are followed.
type Direction uint8

const (
	// Up is towards the sources: where does it come from?
	Up Direction = iota + 1
	// Down is towards services, datasets, models and consumers: what does it reach?
	Down
)

const (
	// MaxNodes is how many nodes a graph may have, and MaxEdges how many edges, where it is not asked for by pages. A walk that finds more
	// is refused.
	MaxNodes = 10_000
	MaxEdges = 100_000
	// MaxPagedNodes and MaxPagedEdges bound a graph that is, since each page walks all of it.
	MaxPagedNodes = 50_000
	MaxPagedEdges = 250_000
)
