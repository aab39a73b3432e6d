package feature

import "time"

// Kind is the kind of a definition.
type Kind uint8

const (
	KindInvalid Kind = iota
	KindEntity
	KindSource
	KindView
	KindService
	KindRole
)

var kindNames = [...]string{"invalid", "entity", "source", "view", "service", "role"}

// String is the kind's name in nodes and grants: `view` in `view:airport_delays`.
func (k Kind) String() string { return kindNames[k] }

// Definitions is what the files of one repository declare, before names are resolved.
type Definitions struct {
	Entities []Entity
	Sources  []Source
	Views    []View
	Services []Service
	Roles    []Role
}

// Docs are the words of a definition. They never change its meaning, and so never its fingerprint.
type Docs struct {
	Description string
	Owner       string
	Tags        []string
}

// Entity is a thing that features describe.
type Entity struct {
	Name string
	// JoinKeys identify one, in order. At least one. Their type is TypeString or TypeInt64.
	JoinKeys []Column
	Docs
}

// Column is a typed column of a source, a join key, a feature or an attribute.
type Column struct {
	Name        string
	Type        Type
	Description string
	Tags        []string
}

// Source is where rows come from. All its rows are sent by `ingest` into a landing table.
type Source struct {
	Name    string
	Columns []Column
	// EventTime names the column that says when a row was true. It is never NULL.
	EventTime string
	// ArrivalColumn or ArrivalExpression says when a row could be known; both empty: at its event time. The expression
	// is SQL over the row's columns, of type timestamptz.
	ArrivalColumn     string
	ArrivalExpression string
	Corrections       Corrections
	Docs
}

// Column finds a column by name, or nil.
func (s *Source) Column(name string) *Column { return findColumn(s.Columns, name) }

func findColumn(columns []Column, name string) *Column {
	for i := range columns {
		if columns[i].Name == name {
			return &columns[i]
		}
	}
	return nil
}

// Corrections says what a load that replaces another means for spines between the two.
type Corrections uint8

const (
	// Restate: the fact was always so. Arrival is kept, and spines of any time see the correction.
	Restate Corrections = iota
	// Arrive: it became known with the load. Not available yet.
	Arrive
)

// String is the rule as definitions write it.
func (c Corrections) String() string {
	if c == Arrive {
		return "arrive"
	}
	return "restate"
}

// View is features of one entity, computed from sources.
type View struct {
	Name   string
	Entity string
	// Features are served, Attributes are stored and filtered on only.
	Features   []Column
	Attributes []Column
	// TTL is how long after its event time a value may be used. Zero: for ever.
	TTL time.Duration
	// Grain is the length of the groups whose end is the event time. Zero for row-wise views. A run owns the rows whose
	// event time less grain lies in its interval.
	Grain time.Duration
	// Lookback is how far before its interval a run reads its sources.
	Lookback time.Duration
	// Exactly one of the three is set.
	SQL         *SQLTransform
	Aggregation *Aggregation
	OnDemand    *OnDemand
	Docs
}

// Stored is the columns of a history row after the fixed ones: features, then attributes.
func (v *View) Stored() []Column {
	stored := make([]Column, 0, len(v.Features)+len(v.Attributes))
	stored = append(stored, v.Features...)
	return append(stored, v.Attributes...)
}

// FeatureIndex is the position of a feature by name, or -1.
func (v *View) FeatureIndex(name string) int {
	for i := range v.Features {
		if v.Features[i].Name == name {
			return i
		}
	}
	return -1
}

// SQLTransform is one SELECT over the declared sources.
type SQLTransform struct {
	Sources []string
	// Query may hold {{interval.start}} and {{interval.end}}, both timestamptz.
	Query string
}

// Aggregation is a windowed aggregation. Not available yet.
type Aggregation struct{ Source string }

// OnDemand is features computed when they are read. Not available yet.
type OnDemand struct{ Expression string }

// Service is the features that one model reads.
type Service struct {
	Name  string
	Views []ServiceView
	// ServesAsGrant lets whoever may read the service read its features through it.
	ServesAsGrant bool
	Docs
}

// ServiceView picks features of one view.
type ServiceView struct {
	View string
	// Version is the version asked for, or 0: where the service is pinned already, else the newest.
	Version int
	// Features in the order of the output. Empty: all.
	Features []string
}

// Role is a named set of grants.
type Role struct {
	Name   string
	Grants []Grant
	Docs
}

// AdminRole is the role that is built in and may do everything. It cannot be defined.
const AdminRole = "admin"

// Grant allows, or denies, actions on resources. A deny beats every allow.
type Grant struct {
	Deny      bool
	Actions   []string
	Resources []ResourcePattern
}

// ResourcePattern is `KIND:NAME`, where NAME may hold `*` for any run of characters.
type ResourcePattern struct{ Kind, Name string }

// String is the pattern as definitions write it.
func (p ResourcePattern) String() string { return p.Kind + ":" + p.Name }
