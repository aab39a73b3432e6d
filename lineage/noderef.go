package lineage

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/headwaterhq/headwater/internal/fault"
)

// NodeKind is the kind of a node, the word before the colon.
type NodeKind uint8

const (
	Source NodeKind = iota + 1
	Load
	Run
	View
	Feature
	Service
	Dataset
	Model
	// Consumer is what reads outside.
	Consumer
	// Prediction is a logged online read, by its read id. A walk begins at one, and meets none.
	Prediction
	// Predictions are the logged reads of a service version together. A walk down meets them; none begins at them.
	Predictions
	// SourceColumn and ViewColumn are single columns. Those of a view are its join keys, event_time, available_at, features and attributes.
	SourceColumn
	ViewColumn
	// OutsideJob and OutsideTable are of others, as their OpenLineage events tell: a job, and a table or a file. Their Name is
	// `NAMESPACE/NAME`. A walk up meets them; none begins at them.
	OutsideJob
	OutsideTable
	// OutsideColumn is one of an OutsideTable.
	OutsideColumn
)

var nodeKindNames = [...]string{"invalid", "source", "load", "run", "view", "feature", "service", "dataset", "model", "consumer", "prediction", "predictions", "source", "view", "job", "table", "table"}

// String is the kind's name in nodes: `view` in `view:airport_delays@1`.
func (k NodeKind) String() string { return nodeKindNames[k] }

// isRoot reports whether a walk may begin at nodes of the kind: neither at what is of others, nor at what stands for many.
func (k NodeKind) isRoot() bool { return k != OutsideJob && k != OutsideTable && k != Predictions }

// NodeRef names a node. Which fields are set goes by its kind; the others are zero.
type NodeRef struct {
	Kind NodeKind
	// Name is that of the source, the view (also of a run or a feature), the service (also of Predictions), the model, the consumer, or the
	// dataset when DatasetID is empty.
	Name string
	// Version is that of the view, the service, the model, the consumer or the dataset. 0: the newest, which a dataset and a run do not have.
	Version int
	Feature string
	// Column is that of a source or of a view.
	Column string
	LoadID int64
	// Seq is the run's sequence within its view version.
	Seq int64
	// DatasetID is `ds_` and what follows it.
	DatasetID string
	// ReadID is `rd_` and what follows it.
	ReadID string
}

// String is the node as Parse reads it.
func (n NodeRef) String() string {
	name := n.Name
	if n.Version != 0 {
		name += "@" + strconv.Itoa(n.Version)
	}
	switch {
	case n.Kind == Load:
		name = strconv.FormatInt(n.LoadID, 10)
	case n.Kind == Run:
		name += "/" + strconv.FormatInt(n.Seq, 10)
	case n.Kind == Feature:
		name += "." + n.Feature
	case n.Column != "":
		name += "#" + n.Column
	case n.DatasetID != "":
		name = n.DatasetID
	case n.Kind == Prediction:
		name = n.ReadID
	}
	return n.Kind.String() + ":" + name
}

const (
	anyName    = `([a-z][a-z0-9_]*)`
	anyVersion = `([1-9][0-9]{0,8})`
	anyNumber  = `([1-9][0-9]{0,17})`
)

// A form is one way to write a node of a kind.
type form struct {
	kind NodeKind
	// written is the form as messages show it.
	written string
	pattern *regexp.Regexp
	// fill takes the pattern's groups, of which the last may be empty.
	fill func(n *NodeRef, groups []string)
}

var forms = []form{
	{Source, "source:NAME", whole(anyName), func(n *NodeRef, g []string) { n.Name = g[0] }},
	{Load, "load:ID", whole(anyNumber), func(n *NodeRef, g []string) { n.LoadID = number(g[0]) }},
	{Run, "run:VIEW@VERSION/SEQ", whole(anyName + "@" + anyVersion + "/" + anyNumber), func(n *NodeRef, g []string) {
		n.Name, n.Version, n.Seq = g[0], int(number(g[1])), number(g[2])
	}},
	{View, "view:NAME[@VERSION]", whole(anyName + "(?:@" + anyVersion + ")?"), fillVersioned},
	{Feature, "feature:VIEW[@VERSION].NAME", whole(anyName + "(?:@" + anyVersion + `)?\.` + anyName),
		func(n *NodeRef, g []string) {
			fillVersioned(n, g)
			n.Feature = g[2]
		}},
	{Service, "service:NAME[@VERSION]", whole(anyName + "(?:@" + anyVersion + ")?"), fillVersioned},
	{SourceColumn, "source:NAME#COLUMN", whole(anyName + "#" + anyName), func(n *NodeRef, g []string) { n.Name, n.Column = g[0], g[1] }},
	{ViewColumn, "view:NAME[@VERSION]#COLUMN", whole(anyName + "(?:@" + anyVersion + ")?#" + anyName), func(n *NodeRef, g []string) {
		fillVersioned(n, g)
		n.Column = g[2]
	}},
	{Dataset, "dataset:ID", whole("(ds_[a-z0-9]+)"), func(n *NodeRef, g []string) { n.DatasetID = g[0] }},
	{Dataset, "dataset:NAME@VERSION", whole(anyName + "@" + anyVersion), fillVersioned},
	{Model, "model:NAME[@VERSION]", whole(anyName + "(?:@" + anyVersion + ")?"), fillVersioned},
	{Consumer, "consumer:NAME[@VERSION]", whole(anyName + "(?:@" + anyVersion + ")?"), fillVersioned},
	{Prediction, "prediction:READ_ID", whole("(rd_[0-9A-Za-z]{1,61})"), func(n *NodeRef, g []string) { n.ReadID = g[0] }},
	{Predictions, "predictions:SERVICE@VERSION", whole(anyName + "@" + anyVersion), fillVersioned},
	{OutsideJob, "job:NAMESPACE/NAME", whole("(.+/.+)"), func(n *NodeRef, g []string) { n.Name = g[0] }},
	{OutsideTable, "table:NAMESPACE/NAME", whole("(.+/.+)"), func(n *NodeRef, g []string) { n.Name = g[0] }},
}

func whole(pattern string) *regexp.Regexp { return regexp.MustCompile("^" + pattern + "$") }

func fillVersioned(n *NodeRef, groups []string) {
	n.Name = groups[0]
	if groups[1] != "" {
		n.Version = int(number(groups[1]))
	}
}

// number reads digits that a pattern has bounded.
func number(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}

// Parse reads a node: `source:NAME`, `load:ID`, `run:VIEW@VERSION/SEQ`, `view:NAME[@VERSION]`, `feature:VIEW[@VERSION].NAME`,
// `service:NAME[@VERSION]`, `source:NAME#COLUMN`, `view:NAME[@VERSION]#COLUMN`, `dataset:ID`, `dataset:NAME@VERSION`, `model:NAME[@VERSION]`,
// `consumer:NAME[@VERSION]` or `prediction:READ_ID`; and what walks meet and none begins at: `predictions:SERVICE@VERSION`, and jobs and tables of others.
// Anything else is an INVALID_ARGUMENT fault.
func Parse(s string) (NodeRef, error) {
	kind, rest, _ := strings.Cut(s, ":")
	var expected []string
	for _, f := range forms {
		if f.kind.String() != kind {
			continue
		}
		if groups := f.pattern.FindStringSubmatch(rest); groups != nil {
			n := NodeRef{Kind: f.kind}
			f.fill(&n, groups[1:])
			return n, nil
		}
		expected = append(expected, "`"+f.written+"`")
	}
	if expected == nil {
		for _, f := range forms {
			if f.kind.isRoot() {
				expected = append(expected, "`"+f.written+"`")
			}
		}
	}
	return NodeRef{}, fault.New(fault.InvalidArgument,
		"node: found %q, expected %s, with names in lower case", s, orList(expected))
}

// orList is `a`, `a or b`, `a, b or c`.
func orList(items []string) string {
	last := len(items) - 1
	if last < 1 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:last], ", ") + " or " + items[last]
}
