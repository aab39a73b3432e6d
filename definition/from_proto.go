package definition

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// FromProto turns files into definitions, in their order, holding them to the rules of the proto. Names are not resolved
// yet: that is for Definitions.Validate. Violations name their fields from the whole list on and have no places; with
// any, the definitions are of use only for finding more.
func FromProto(files []*headwaterv1.DefinitionSource) (feature.Definitions, *Origins, []fault.Violation) {
	c := fromProto{origins: originsOf(files), seen: map[string]bool{}}
	if c.tooMany(files) {
		return c.definitions, c.origins, c.violations
	}
	for i, f := range files {
		c.file = i
		for _, v := range checkRules(f.GetFile()) {
			v.Field = c.origins.whole(i, v.Field)
			c.tell(v)
		}
		c.convert(f.GetFile())
	}
	return c.definitions, c.origins, c.violations
}

type fromProto struct {
	origins     *Origins
	file        int
	definitions feature.Definitions
	violations  []fault.Violation
	// seen are the fields of the violations.
	seen map[string]bool
}

const (
	// maxDefinitions is how many definitions of one kind, or tests, are read together: the work of checking references grows
	// with their square.
	maxDefinitions = 10_000
	// maxTold bounds the violations that are collected; fewer are shown.
	maxTold = 1000
)

// tooMany refuses more definitions of one kind than are read together.
func (c *fromProto) tooMany(files []*headwaterv1.DefinitionSource) bool {
	for i, f := range files {
		found := c.origins.counts[i]
		after := originsOf([]*headwaterv1.DefinitionSource{f}).total
		for list, n := range after {
			if found[list]+n > maxDefinitions {
				c.violations = append(c.violations, fault.Violation{
					Field:       indexed(list, maxDefinitions),
					Description: fmt.Sprintf("found more than %d %s, expected fewer; apply them in parts", maxDefinitions, list),
				})
				return true
			}
		}
	}
	return false
}

func (c *fromProto) tell(v fault.Violation) {
	if len(c.violations) < maxTold {
		v.Description = bounded(v.Description)
		c.violations = append(c.violations, v)
		c.seen[v.Field] = true
	}
}

// add adds a violation of a field of the file at hand, unless a rule of the proto has one for it.
func (c *fromProto) add(field, format string, args ...any) {
	field = c.origins.whole(c.file, field)
	if !c.seen[field] {
		c.tell(fault.Violation{Field: field, Description: fmt.Sprintf(format, args...)})
	}
}

func (c *fromProto) convert(f *headwaterv1.DefinitionFile) {
	d := &c.definitions
	for i, e := range f.GetEntities() {
		d.Entities = append(d.Entities, c.entity(feature.KindEntity.Path(i), e))
	}
	for i, s := range f.GetSources() {
		d.Sources = append(d.Sources, c.source(feature.KindSource.Path(i), s))
	}
	for i, v := range f.GetFeatureViews() {
		d.Views = append(d.Views, c.view(feature.KindView.Path(i), v))
	}
	for i, s := range f.GetFeatureServices() {
		d.Services = append(d.Services, c.service(feature.KindService.Path(i), s))
	}
	for i, r := range f.GetRoles() {
		d.Roles = append(d.Roles, c.role(feature.KindRole.Path(i), r))
	}
	for i, p := range f.GetPolicies() {
		d.Policies = append(d.Policies, c.policy(feature.KindPolicy.Path(i), p))
	}
	for i, p := range f.GetConsumers() {
		d.Consumers = append(d.Consumers, c.consumer(feature.KindConsumer.Path(i), p))
	}
}

func (c *fromProto) typ(field, name string) feature.Type {
	t, err := feature.ParseType(name)
	if err == nil {
		return t
	}
	c.add(field, "%s%s", err, typeMeant(name))
	return feature.TypeInvalid
}

func (c *fromProto) entity(at string, e *headwaterv1.Entity) feature.Entity {
	entity := feature.Entity{Name: e.GetName(), Docs: c.docs(at, e)}
	for i, k := range e.GetJoinKeys() {
		entity.JoinKeys = append(entity.JoinKeys, feature.Column{
			Name: k.GetName(), Type: c.typ(indexed(at+".join_keys", i)+".type", k.GetType()), Description: k.GetDescription(),
			Tags: k.GetTags(),
		})
	}
	return entity
}

// typed is what columns of sources and features have.
type typed interface {
	GetName() string
	GetType() string
	GetDescription() string
	GetTags() []string
}

// deprecable is what can be deprecated.
type deprecable interface {
	GetDeprecated() *headwaterv1.Deprecation
}

func columns[C typed](c *fromProto, at string, list []C) []feature.Column {
	var columns []feature.Column
	for i, f := range list {
		column := feature.Column{
			Name: f.GetName(), Type: c.typ(indexed(at, i)+".type", f.GetType()), Description: f.GetDescription(), Tags: f.GetTags(),
		}
		if d, ok := any(f).(deprecable); ok {
			column.Deprecated = c.deprecation(indexed(at, i), d.GetDeprecated())
		}
		columns = append(columns, column)
	}
	return columns
}

func (c *fromProto) source(at string, s *headwaterv1.Source) feature.Source {
	source := feature.Source{
		Name: s.GetName(), Columns: columns(c, at+".columns", s.GetColumns()), EventTime: s.GetEventTime(), Docs: c.docs(at, s),
	}
	switch kind := s.GetArrivalTime().GetKind().(type) {
	case *headwaterv1.ArrivalTime_Column:
		if source.ArrivalColumn = kind.Column; kind.Column == "" {
			c.add(at+".arrival_time.column", "found no column, expected the name of a timestamp column")
		}
	case *headwaterv1.ArrivalTime_Expression:
		if source.ArrivalExpression = kind.Expression; strings.TrimSpace(kind.Expression) == "" {
			c.add(at+".arrival_time.expression", "found no expression, expected SQL of type timestamptz")
		}
	}
	switch s.GetCorrections() {
	case "", feature.Restate.String():
	case feature.Arrive.String():
		source.Corrections = feature.Arrive
	default:
		c.add(at+".corrections", "found %q, expected restate or arrive", s.GetCorrections())
	}
	if p := s.GetPostgres(); p != nil {
		source.Postgres = &feature.PostgresOrigin{Database: p.GetDatabase(), Schema: p.GetSchema(), Table: p.GetTable(), ChangeColumn: p.GetChangeColumn(),
			Reread: c.duration(at+".postgres.reread", p.GetReread()), RereadRows: p.GetRereadRows(),
			Snapshot: p.GetSnapshot()}
		if p.GetSchema() == "" {
			source.Postgres.Schema = defaultSchema
		}
	}
	source.UniqueKey = s.GetUniqueKey()
	if s.GetDuplicates() != nil && len(source.UniqueKey) == 0 {
		c.add(at+".duplicates", "%s", feature.NoKeyForDuplicates)
	}
	source.Exact = choice(c, at+".duplicates.exact", s.GetDuplicates().GetExact(), feature.DropExact, feature.FailExact)
	source.Conflicting = choice(c, at+".duplicates.conflicting", s.GetDuplicates().GetConflicting(),
		feature.FailConflicting, feature.KeepNewest, feature.KeepOldest)
	switch s.GetSchemaChanges() {
	case "", "refuse":
	case "ignore_new_columns":
		source.IgnoreNewColumns = true
	default:
		c.add(at+".schema_changes", "found %q, expected refuse or ignore_new_columns", s.GetSchemaChanges())
	}
	source.Freshness = c.duration(at+".freshness", s.GetFreshness())
	source.Expectations, source.MaxQuarantineRatio = c.expectations(at, s.GetExpectations()), s.MaxQuarantineRatio
	source.NullEventTime = choice(c, at+".null_event_time", s.GetNullEventTime(), feature.RefuseNull, feature.QuarantineNull, feature.DropNull)
	source.AllowedLateness = c.duration(at+".allowed_lateness", s.GetAllowedLateness())
	source.DeleteMarker = s.GetDeleteMarker()
	return source
}

// defaultSchema is where the table of a source is that names no schema.
const defaultSchema = "public"

// choice reads one of the names of standard and others; none is standard.
func choice[T fmt.Stringer](c *fromProto, field, found string, standard T, others ...T) T {
	if found == "" || found == standard.String() {
		return standard
	}
	names := standard.String()
	for i, other := range others {
		if found == other.String() {
			return other
		}
		if i == len(others)-1 {
			names += " or " + other.String()
		} else {
			names += ", " + other.String()
		}
	}
	c.add(field, "found %.100q, expected %s", found, names)
	return standard
}

func (c *fromProto) view(at string, v *headwaterv1.FeatureView) feature.View {
	view := feature.View{
		Name:       v.GetName(),
		Entity:     v.GetEntity(),
		Features:   columns(c, at+".features", v.GetFeatures()),
		Attributes: columns(c, at+".attributes", v.GetAttributes()),
		TTL:        c.duration(at+".ttl", v.GetTtl()),
		Grain:      c.duration(at+".grain", v.GetGrain()),
		Lookback:   c.duration(at+".lookback", v.GetLookback()),
		Docs:       c.docs(at, v),

		Expectations: c.expectations(at, v.GetExpectations()), MaxQuarantineRatio: v.MaxQuarantineRatio,
	}
	if s := v.GetSchedule(); s != nil {
		view.Schedule = &feature.Schedule{
			Cron: s.GetCron(), AfterInputs: s.GetAfterInputs(), Priority: int(s.GetPriority()), Attempts: int(s.GetAttempts()),
		}
	}
	view.Cache = c.duration(at+".cache", v.GetCache())
	for _, d := range v.GetDeclassify() {
		view.Declassify = append(view.Declassify, feature.Declassification{Column: d.GetColumn(), Tags: d.GetTags(), Reason: d.GetReason()})
	}
	if f := v.GetFreshness(); f != nil {
		view.Freshness = &feature.ViewFreshness{MaxAge: c.duration(at+".freshness.max_age", f.GetMaxAge()), Policy: f.GetPolicy()}
	}
	if d := v.GetDrift(); d != nil {
		view.Drift = &feature.DriftRule{DriftThresholds: feature.DriftThresholds{Warn: d.GetWarn(), Fail: d.GetFail()}}
		for _, t := range d.GetColumns() {
			view.Drift.Columns = append(view.Drift.Columns, feature.ColumnDrift{
				Column: t.GetColumn(), DriftThresholds: feature.DriftThresholds{Warn: t.GetWarn(), Fail: t.GetFail()},
			})
		}
	}
	view.Gates.Publish = gates(v.GetGates().GetPublish())
	switch kind := v.GetKind().(type) {
	case *headwaterv1.FeatureView_Sql:
		view.SQL = &feature.SQLTransform{
			Sources: kind.Sql.GetSources(), Views: c.viewRefs(at+".sql.views", kind.Sql.GetViews()), Query: kind.Sql.GetQuery(),
		}
		for _, f := range kind.Sql.GetFunctions() {
			view.SQL.Functions = append(view.SQL.Functions, feature.FunctionAllowance{Function: f.GetFunction(), Reason: f.GetReason()})
		}
	case *headwaterv1.FeatureView_Push:
		view.Push = &feature.Push{Source: kind.Push.GetSource(), Keys: kind.Push.GetKeys()}
	case *headwaterv1.FeatureView_Aggregation:
		view.Aggregation = c.aggregation(at+".aggregation", kind.Aggregation)
	case *headwaterv1.FeatureView_OnDemand:
		view.OnDemand = &feature.OnDemand{
			Inputs: columns(c, at+".on_demand.inputs", kind.OnDemand.GetInputs()),
			Views:  c.viewRefs(at+".on_demand.views", kind.OnDemand.GetViews()),
		}
		for _, e := range kind.OnDemand.GetExpressions() {
			view.OnDemand.Expressions = append(view.OnDemand.Expressions, feature.OnDemandExpression{Feature: e.GetFeature(), CEL: e.GetCel()})
		}
	}
	return view
}

// gates are those that are named; which there are is for package feature to say.
func gates(names []string) (list []feature.Gate) {
	for _, name := range names {
		list = append(list, feature.Gate(name))
	}
	return list
}

func (c *fromProto) aggregation(at string, a *headwaterv1.AggregationTransform) *feature.Aggregation {
	aggregation := &feature.Aggregation{
		Source: a.GetSource(), Keys: a.GetKeys(), Hop: c.duration(at+".hop", a.GetHop()), Where: a.GetWhere(),
	}
	for i, p := range a.GetAggregates() {
		field := indexed(at+".aggregates", i)
		function, ok := feature.ParseAggregateFunction(p.GetFunction())
		if !ok {
			description := fmt.Sprintf("found the function %.100q, expected one of %s", p.GetFunction(),
				strings.Join(feature.AggregateFunctionNames(), ", "))
			if near, ok := feature.Nearest(p.GetFunction(), feature.AggregateFunctionNames()); ok {
				description += "; did you mean " + near + "?"
			}
			c.add(field+".function", "%s", description)
		}
		aggregation.Aggregates = append(aggregation.Aggregates, feature.Aggregate{
			Feature: p.GetFeature(), Function: function, Column: p.GetColumn(), Window: c.duration(field+".window", p.GetWindow()),
			Where: p.GetWhere(), Quantile: p.GetQuantile(), RelativeError: p.GetRelativeError(),
		})
	}
	return aggregation
}

func (c *fromProto) viewRefs(field string, list []string) []feature.ViewRef {
	var refs []feature.ViewRef
	for i, s := range list {
		name, version := c.viewRef(indexed(field, i), s)
		refs = append(refs, feature.ViewRef{Name: name, Version: version})
	}
	return refs
}

// viewRef reads `NAME` or `NAME@VERSION`.
func (c *fromProto) viewRef(field, s string) (name string, version int) {
	name, number, versioned := strings.Cut(s, "@")
	if !versioned {
		return name, 0
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || n < 1 {
		c.add(field, "found the version %.20q, expected a whole number from 1 on", number)
	}
	return name, int(n)
}

func (c *fromProto) duration(field string, d *durationpb.Duration) time.Duration {
	const most = math.MaxInt64 / int64(time.Second)
	if s := d.GetSeconds(); s >= most || s <= -most {
		c.add(field, "found a duration of more than %d hours, expected less; leave it out for no limit", most/3600)
		return 0
	}
	return d.AsDuration()
}

// publishedVersion is written for a version that a service follows.
const publishedVersion = "published"

func (c *fromProto) service(at string, s *headwaterv1.FeatureService) feature.Service {
	service := feature.Service{Name: s.GetName(), ServesAsGrant: s.GetServesAsGrant(), Log: feature.ReadLog(s.GetLog()), Docs: c.docs(at, s)}
	service.Gates.Serve = gates(s.GetGates().GetServe())
	service.Gates.Release, service.Labels = gates(s.GetGates().GetRelease()), columns(c, at+".labels", s.GetLabels())
	for i, v := range s.GetViews() {
		field := indexed(at+".views", i)
		sv := feature.ServiceView{Features: v.GetFeatures(), Rename: v.GetRename()}
		if name, ok := strings.CutSuffix(v.GetView(), "@"+publishedVersion); ok {
			sv.View, sv.Published = name, true
		} else {
			sv.View, sv.Version = c.viewRef(field+".view", v.GetView())
		}
		for name, value := range v.GetDefaults() {
			if sv.Defaults == nil {
				sv.Defaults = map[string]feature.Literal{}
			}
			sv.Defaults[name] = value.AsInterface()
		}
		service.Views = append(service.Views, sv)
	}
	return service
}

func (c *fromProto) role(at string, r *headwaterv1.Role) feature.Role {
	role := feature.Role{
		Name: r.GetName(), Attributes: c.attributes(at+".attributes", r.GetAttributes()), MayElevateTo: r.GetMayElevateTo(),
		MaxElevation: c.duration(at+".max_elevation", r.GetMaxElevation()), Docs: c.docs(at, r),
	}
	for i, g := range r.GetGrants() {
		field := indexed(at+".grants", i)
		grant := feature.Grant{Actions: g.GetActions()}
		grant.Resources = c.patterns(field+".resources", g.GetResources())
		switch g.GetEffect() {
		case "", "allow":
		case "deny":
			grant.Deny = true
		default:
			c.add(field+".effect", "found %q, expected allow or deny", g.GetEffect())
		}
		role.Grants = append(role.Grants, grant)
	}
	return role
}

func (c *fromProto) docs(at string, m interface {
	GetDescription() string
	GetOwner() string
	GetTags() []string
	deprecable
}) feature.Docs {
	return feature.Docs{
		Description: m.GetDescription(), Owner: m.GetOwner(), Tags: m.GetTags(), Deprecated: c.deprecation(at, m.GetDeprecated()),
	}
}

func (c *fromProto) deprecation(at string, d *headwaterv1.Deprecation) *feature.Deprecation {
	if d == nil {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, d.GetDate()); err != nil {
		c.add(at+".deprecated.date", "found %.40q, expected a day such as 2027-01-31", d.GetDate())
	}
	return &feature.Deprecation{Date: d.GetDate(), Replacement: d.GetReplacement()}
}
