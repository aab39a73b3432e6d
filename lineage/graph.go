package lineage

// Graph is what a walk found.
type Graph struct {
	// Root is the id of the node that was asked for, as it stands in Nodes.
	Root string
	// Nodes are ordered by id, and hold the root.
	Nodes []Node
	// Edges are ordered by From, To, Kind. Both ends are in Nodes.
	Edges []Edge
}

// Node is one thing in the graph.
type Node struct {
	// ID is the node as NodeRef.String writes it, with its version where it has one.
	ID string
	// Title is one line for people, to stand beside the id, which it does not repeat: a file and its digest, a run and its
	// interval.
	Title string
	// Properties are for programs. Numbers are in decimal, times RFC 3339 in UTC, digests hex. What is not known or not set
	// is not there. A load has `source` and a dataset `name` always, which are what access to them goes by. Of a run,
	// and of a dataset's spine, `rows_read.load:ID` is there for the loads that the walk met it by.
	Properties map[string]string
}

// Edge says that data flows from one node to another.
type Edge struct {
	// From and To are ids of nodes.
	From, To string
	Kind     EdgeKind
}

// EdgeKind says why data flows along an edge.
type EdgeKind uint8

const (
	// Definition: what is at the edge's end is defined by, or belongs to, what is at its start. source → view, view →
	// feature, view → service, feature → service, source → load, service → dataset, and feature → dataset of one without a service.
	Definition EdgeKind = iota + 1
	// Read: load → run, run → dataset, run → run of a view that reads the first one's, load → dataset of which the server read the spine
	// from a source, and source → run and source → dataset for a source of whose loads none was read: there was no row, or the rows are in
	// a table of others.
	Read
	// Wrote: run → view.
	Wrote
	// Replaced: old load → the load that replaced or retracted it. No row flows along it, so a walk follows it to other
	// replacements only, never to what they reach.
	Replaced
)

var edgeKindNames = [...]string{"invalid", "definition", "read", "wrote", "replaced"}

// String is the kind's name for people.
func (k EdgeKind) String() string { return edgeKindNames[k] }

// Direction says which way edges are followed.
type Direction uint8

const (
	// Up is towards the sources: where does it come from?
	Up Direction = iota + 1
	// Down is towards services and datasets: what does it reach?
	Down
)

const (
	// MaxNodes is how many nodes a graph may have, and MaxEdges how many edges. A walk that finds more is refused.
	MaxNodes = 10_000
	MaxEdges = 100_000
)
