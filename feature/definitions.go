package feature

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Kind is the kind of a definition.
type Kind uint8

const (
	KindInvalid Kind = iota
	KindEntity
	KindSource
	KindView
	KindService
	KindRole
	KindPolicy
	KindConsumer
)

var kindNames = [...]string{"invalid", "entity", "source", "view", "service", "role", "policy", "consumer"}

// String is the kind's name in nodes and grants: `view` in `view:airport_delays`.
func (k Kind) String() string { return kindNames[k] }

// ParseKind reads what String writes, of a kind that there is.
func ParseKind(s string) (Kind, bool) {
	i := slices.Index(kindNames[1:], s)
	return Kind(i + 1), i >= 0
}

// Definitions is what the files of one repository declare, before names are resolved.
type Definitions struct {
	Entities  []Entity
	Sources   []Source
	Views     []View
	Services  []Service
	Roles     []Role
	Policies  []Policy
	Consumers []Consumer
}

// View finds a view by name, or nil.
func (d *Definitions) View(name string) *View {
	for i := range d.Views {
		if d.Views[i].Name == name {
			return &d.Views[i]
		}
	}
	return nil
}

// Docs are the words of a definition. They never change its meaning, and so never its fingerprint.
type Docs struct {
	Description string
	Owner       string
	Tags        []string
	// Deprecated says that it is to be used no longer. nil: it is not deprecated.
	Deprecated *Deprecation
}

// Deprecation says from when on something is to be used no longer, and what to use instead.
type Deprecation struct {
	// Date is a day, as `2027-01-31`.
	Date        string
	Replacement string
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
	// Deprecated is nil for join keys and request inputs.
	Deprecated *Deprecation
}

// Source is where rows come from.
type Source struct {
	Name string
	// Postgres is where others keep its rows. nil: they are sent by `ingest` into a landing table.
	Postgres *PostgresOrigin
	Columns  []Column
	// EventTime names the column that says when a row was true. It is never NULL.
	EventTime string
	// ArrivalColumn or ArrivalExpression says when a row could be known; both empty: at its event time. The expression
	// is SQL over the row's columns, of type timestamptz.
	ArrivalColumn     string
	ArrivalExpression string
	Corrections       Corrections
	// UniqueKey names the columns that tell one row from another. Empty: in a landing table, load and place do.
	UniqueKey []string
	// Exact and Conflicting say what becomes of rows that share a unique key. They mean nothing without one.
	Exact       ExactDuplicates
	Conflicting ConflictingDuplicates
	// IgnoreNewColumns takes files and tables with columns that the source does not have, and leaves those columns out.
	// Without it they are refused.
	IgnoreNewColumns bool
	// Freshness is how old the newest row may be before the source counts as late. Zero: any age.
	Freshness time.Duration
	// Expectations are what its rows are held to, each time a run reads them.
	Expectations []Expectation
	// MaxQuarantineRatio is as written, nil for none; see QuarantineLimit.
	MaxQuarantineRatio *float64
	// NullEventTime is what becomes of rows that are sent without an event time, or without a value in a column of the unique
	// key. Of a table of others it means nothing.
	NullEventTime NullRule
	// AllowedLateness is how long after its event time a row may arrive: later ones are left out. Zero: however late.
	AllowedLateness time.Duration
	// DeleteMarker names the column, of type bool, that withdraws what the row's unique key stood for where it is true. Empty:
	// no row does.
	DeleteMarker string
	Docs
}

// NullRule is what becomes of a row that is sent without what tells where it belongs.
type NullRule uint8

const (
	// RefuseNull refuses the load.
	RefuseNull NullRule = iota
	// QuarantineNull sets the row aside, and loads the others.
	QuarantineNull
	// DropNull leaves the row out, counted, and loads the others.
	DropNull
)

var nullRuleNames = [...]string{"refuse", "quarantine", "drop"}

// String is the rule as definitions write it.
func (n NullRule) String() string { return nullRuleNames[n] }

// PostgresOrigin is a table or view that others keep.
type PostgresOrigin struct {
	// Database is a name from the server's configuration. Empty: Headwater's own.
	Database      string
	Schema, Table string
	// ChangeColumn names a column of the source that grows whenever a row is added or changed. Empty: runs read all.
	ChangeColumn string
	// Reread is how far before the greatest value seen a timestamp column is read again, RereadRows how far an int64 one is.
	Reread     time.Duration
	RereadRows int64
	// Snapshot keeps the rows that runs read.
	Snapshot bool
}

// rereadText is the part of the change column that is read again, as a definition writes it, empty for none.
func (o *PostgresOrigin) rereadText() string {
	switch {
	case o == nil:
		return ""
	case o.RereadRows > 0:
		return strconv.FormatInt(o.RereadRows, 10)
	}
	return durationText(o.Reread)
}

func (o *PostgresOrigin) snapshotText() string {
	return strconv.FormatBool(o != nil && o.Snapshot)
}

func (o *PostgresOrigin) changeColumn() string {
	if o == nil {
		return ""
	}
	return o.ChangeColumn
}

// String is `SCHEMA.TABLE`, behind the name of the database and a colon when it is another one than Headwater's.
func (o *PostgresOrigin) String() string {
	table := o.Schema + "." + o.Table
	if o.Database != "" {
		table = o.Database + ":" + table
	}
	return table
}

// Origin says in words where the source's rows are: `landing`, or `postgres warehouse:public.orders`.
func (s *Source) Origin() string {
	if s.Postgres == nil {
		return "landing"
	}
	return "postgres " + s.Postgres.String()
}

func (s *Source) schemaChanges() string {
	if s.IgnoreNewColumns {
		return "ignore_new_columns"
	}
	return "refuse"
}

// ExactDuplicates is what becomes of rows that are equal in every column.
type ExactDuplicates uint8

const (
	// DropExact keeps one, and counts the others as duplicates.
	DropExact ExactDuplicates = iota
	// FailExact fails the run.
	FailExact
)

var exactNames = [...]string{"drop", "fail"}

// String is the rule as definitions write it.
func (e ExactDuplicates) String() string { return exactNames[e] }

// ConflictingDuplicates is what becomes of rows that share a unique key and differ.
type ConflictingDuplicates uint8

const (
	// FailConflicting fails the run.
	FailConflicting ConflictingDuplicates = iota
	// KeepNewest keeps the row of the latest load, and in it the last.
	KeepNewest
	// KeepOldest keeps the row of the first load, and in it the first.
	KeepOldest
)

var conflictingNames = [...]string{"fail", "newest", "oldest"}

// String is the rule as definitions write it.
func (c ConflictingDuplicates) String() string { return conflictingNames[c] }

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
	// Arrive: it became known with the load. Spines before that see what was known then.
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
	Name string
	// Entity is empty for on-demand features.
	Entity string
	// Features are served, Attributes are stored and filtered on only.
	Features   []Column
	Attributes []Column
	// TTL is how long after its event time a value may be used. Zero: for ever.
	TTL time.Duration
	// Grain is the length of the groups whose end is the event time, as declared: zero for row-wise views and for
	// aggregations. See RunGrain.
	Grain time.Duration
	// Lookback is how far before its interval a run reads its sources.
	Lookback time.Duration
	// Exactly one of the four is set; of a ViewVersion that pushes, SQL too, which is Push.Transform.
	SQL         *SQLTransform
	Aggregation *Aggregation
	OnDemand    *OnDemand
	// Expectations are what the rows that a run makes are held to.
	Expectations []Expectation
	// MaxQuarantineRatio is as written, nil for none; see QuarantineLimit.
	MaxQuarantineRatio *float64
	Push               *Push
	// Schedule is nil for views that are materialized only when somebody asks.
	Schedule *Schedule
	// Freshness is nil where the newest event time may be of any age.
	Freshness *ViewFreshness
	// Drift is nil where the thresholds are the default.
	Drift *DriftRule
	// Gates are what must hold before a run is published.
	Gates Gates
	// Cache is how long a server may keep an online row in memory. Zero: not at all.
	Cache time.Duration
	// Declassify are where tags of what columns are made of stop.
	Declassify []Declassification
	Docs
}

// Stored is the columns of a history row after the fixed ones: features, then attributes.
func (v *View) Stored() []Column {
	stored := make([]Column, 0, len(v.Features)+len(v.Attributes))
	stored = append(stored, v.Features...)
	return append(stored, v.Attributes...)
}

// VectorBytes is how many bytes of MaxRowText the vectors of each row take.
func (v *View) VectorBytes() int {
	n := 0
	for _, list := range [][]Column{v.Features, v.Attributes} {
		for i := range list {
			if list[i].Type.Kind() == TypeVector {
				n += 4 * list[i].Type.Dimension()
			}
		}
	}
	return n
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

// RunGrain is the length of the groups whose end is the event time: the grain, or the hop of an aggregation. A run owns the
// rows whose event time less this lies in its interval.
func (v *View) RunGrain() time.Duration {
	if v.Aggregation != nil {
		return v.Aggregation.Hop
	}
	return v.Grain
}

// Materialized reports whether the view has a history: on-demand features are computed when they are read.
func (v *View) Materialized() bool { return v.OnDemand == nil }

// SourceNames is the sources that the view reads, in the order of ViewVersion.SourceVersions.
func (v *View) SourceNames() []string {
	switch {
	case v.Push != nil:
		return []string{v.Push.Source}
	case v.SQL != nil:
		return v.SQL.Sources
	case v.Aggregation != nil:
		return []string{v.Aggregation.Source}
	}
	return nil
}

// ViewRefs is the other views that the view reads, in the order of ViewVersion.ViewVersions.
func (v *View) ViewRefs() []ViewRef {
	switch {
	case v.SQL != nil:
		return v.SQL.Views
	case v.OnDemand != nil:
		return v.OnDemand.Views
	}
	return nil
}

// ViewRef names a view that another one reads.
type ViewRef struct {
	Name string
	// Version is the one asked for, or 0: the newest when it is applied.
	Version int
}

// String is the reference as definitions write it.
func (r ViewRef) String() string {
	if r.Version == 0 {
		return r.Name
	}
	return fmt.Sprintf("%s@%d", r.Name, r.Version)
}

// SQLTransform is one SELECT over the declared sources and views.
type SQLTransform struct {
	Sources []string
	Views   []ViewRef
	// Functions are those of users that the query may call.
	Functions []FunctionAllowance
	// Query may hold {{interval.start}} and {{interval.end}}, both timestamptz.
	Query string
}

// FunctionAllowance lets a view's SQL call a function that users made.
type FunctionAllowance struct {
	// Function is its name with schema and argument types, as Postgres's regprocedure reads it.
	Function string
	// Reason is words.
	Reason string
}

// Aggregation is windowed aggregations over a source, on a grid. The value at a point g covers the rows with an event time
// in (g - window, g] that were available by g.
type Aggregation struct {
	Source string
	// Keys holds the source's column for each of the entity's join keys that is not the column of its own name.
	Keys map[string]string
	// Hop is the step of the grid, counted from 1970-01-01T00:00:00Z.
	Hop time.Duration
	// Where is SQL over the row's columns, of type boolean; empty: all rows count.
	Where      string
	Aggregates []Aggregate
}

// KeyColumn is the source's column that holds a join key.
func (a *Aggregation) KeyColumn(joinKey string) string {
	if c, ok := a.Keys[joinKey]; ok {
		return c
	}
	return joinKey
}

// Aggregate is how one feature is computed from the rows of a window.
type Aggregate struct {
	// Feature names a feature or attribute of the view.
	Feature  string
	Function AggregateFunction
	// Column of the source; its NULLs are left out. Empty: rows are counted.
	Column string
	Window time.Duration
	// Where is as that of the Aggregation, beside it.
	Where string
	// Quantile and RelativeError are those of a percentile; RelativeError zero: DefaultRelativeError.
	Quantile, RelativeError float64
}

// ResolvedError is the relative error: that of a percentile with the default filled in, and 0 for other functions.
func (a *Aggregate) ResolvedError() float64 {
	if a.Function == Percentile && a.RelativeError == 0 {
		return DefaultRelativeError
	}
	return a.RelativeError
}

// DefaultRelativeError is how far a percentile may be from the exact one, as a share of it.
const DefaultRelativeError = 0.01

// AggregateFunction says what is made of the rows of a window. Of no rows, counts are 0 and all others NULL.
type AggregateFunction uint8

const (
	AggregateInvalid AggregateFunction = iota
	Count
	Sum
	Mean
	Min
	Max
	// Stddev is that of a sample, NULL of fewer than two rows.
	Stddev
	// First and Last are by event time, then by availability, then by value.
	First
	Last
	CountDistinct
	Percentile
)

var aggregateNames = [...]string{
	"invalid", "count", "sum", "mean", "min", "max", "stddev", "first", "last", "count_distinct", "percentile",
}

// String is the function's name as definitions write it.
func (f AggregateFunction) String() string { return aggregateNames[f] }

// AggregateFunctionNames lists the names that ParseAggregateFunction takes.
func AggregateFunctionNames() []string { return aggregateNames[1:] }

// ParseAggregateFunction reads a function's name.
func ParseAggregateFunction(s string) (AggregateFunction, bool) {
	i := slices.Index(aggregateNames[1:], s)
	return AggregateFunction(i + 1), i >= 0
}

// OnDemand is features computed when they are read, from what the caller gives and from other features.
type OnDemand struct {
	Inputs []Column
	Views  []ViewRef
	// Expressions are one for each feature of the view.
	Expressions []OnDemandExpression
}

// OnDemandExpression is how one feature is computed.
type OnDemandExpression struct{ Feature, CEL string }

// Service is the features that one model reads.
type Service struct {
	Name  string
	Views []ServiceView
	// ServesAsGrant lets whoever may read the service read its features through it.
	ServesAsGrant bool
	// Log says which online reads are kept.
	Log ReadLog
	// Gates are what must hold before the rows of a dataset of it are given out.
	Gates Gates
	// Labels are columns of spines beside keys, times and request inputs.
	Labels []Column
	Docs
}

// ServiceView picks features of one view.
type ServiceView struct {
	View string
	// Version is the version asked for, or 0: where the service is pinned already, else the newest.
	Version int
	// Published follows the newest version of which a run is published. Version is 0.
	Published bool
	// Features in the order of the output. Empty: all.
	Features []string
	// Rename holds the output's name of a feature where that is not VIEW__FEATURE.
	Rename map[string]string
	// Defaults holds, for a feature, what stands in for a value that is missing, as written.
	Defaults map[string]Literal
}

// Literal is a value as a definition writes it, before it is known of what type: nil for null, a bool, a float64, a string,
// or a []any of these.
type Literal any

// Role is a named set of grants.
type Role struct {
	Name   string
	Grants []Grant
	// Attributes are what whoever has the role has beside those of the credential.
	Attributes map[string][]string
	// MayElevateTo are roles that whoever has this one may take for a time: at most MaxElevation, which is DefaultElevation where
	// it is zero.
	MayElevateTo []string
	MaxElevation time.Duration
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
