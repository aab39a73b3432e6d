package definition

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// ToProto turns definitions into one file. What FromProto makes of it are the same definitions.
func ToProto(d *feature.Definitions) *headwaterv1.DefinitionFile {
	f := &headwaterv1.DefinitionFile{}
	for i := range d.Entities {
		f.Entities = append(f.Entities, entityToProto(&d.Entities[i]))
	}
	for i := range d.Sources {
		f.Sources = append(f.Sources, sourceToProto(&d.Sources[i]))
	}
	for i := range d.Views {
		f.FeatureViews = append(f.FeatureViews, viewToProto(&d.Views[i]))
	}
	for i := range d.Services {
		f.FeatureServices = append(f.FeatureServices, serviceToProto(&d.Services[i]))
	}
	for i := range d.Roles {
		f.Roles = append(f.Roles, roleToProto(&d.Roles[i]))
	}
	for i := range d.Policies {
		f.Policies = append(f.Policies, policyToProto(&d.Policies[i]))
	}
	for i := range d.Consumers {
		f.Consumers = append(f.Consumers, consumerToProto(&d.Consumers[i]))
	}
	return f
}

func entityToProto(e *feature.Entity) *headwaterv1.Entity {
	p := &headwaterv1.Entity{Name: e.Name, Description: e.Description, Owner: e.Owner, Tags: e.Tags, Deprecated: deprecationToProto(e.Deprecated)}
	for _, k := range e.JoinKeys {
		p.JoinKeys = append(p.JoinKeys, &headwaterv1.JoinKey{
			Name: k.Name, Type: k.Type.String(), Description: k.Description, Tags: k.Tags,
		})
	}
	return p
}

func sourceToProto(s *feature.Source) *headwaterv1.Source {
	p := &headwaterv1.Source{
		Name: s.Name, EventTime: s.EventTime, Description: s.Description, Owner: s.Owner, Tags: s.Tags,
		Deprecated: deprecationToProto(s.Deprecated), UniqueKey: s.UniqueKey, Freshness: durationToProto(s.Freshness),
		Origin:       &headwaterv1.Source_Landing{Landing: &headwaterv1.LandingOrigin{}},
		Expectations: expectationsToProto(s.Expectations), MaxQuarantineRatio: s.MaxQuarantineRatio,
	}
	if o := s.Postgres; o != nil {
		p.Origin = &headwaterv1.Source_Postgres{Postgres: &headwaterv1.PostgresOrigin{
			Database: o.Database, Schema: o.Schema, Table: o.Table, ChangeColumn: o.ChangeColumn, Reread: durationToProto(o.Reread),
			RereadRows: o.RereadRows, Snapshot: o.Snapshot,
		}}
	}
	if s.Exact != feature.DropExact || s.Conflicting != feature.FailConflicting {
		p.Duplicates = &headwaterv1.Duplicates{Exact: s.Exact.String(), Conflicting: s.Conflicting.String()}
	}
	if s.IgnoreNewColumns {
		p.SchemaChanges = "ignore_new_columns"
	}
	if s.NullEventTime != feature.RefuseNull {
		p.NullEventTime = s.NullEventTime.String()
	}
	p.AllowedLateness, p.DeleteMarker = durationToProto(s.AllowedLateness), s.DeleteMarker
	for _, c := range s.Columns {
		p.Columns = append(p.Columns, &headwaterv1.Column{
			Name: c.Name, Type: c.Type.String(), Description: c.Description, Tags: c.Tags, Deprecated: deprecationToProto(c.Deprecated),
		})
	}
	switch {
	case s.ArrivalColumn != "":
		p.ArrivalTime = &headwaterv1.ArrivalTime{Kind: &headwaterv1.ArrivalTime_Column{Column: s.ArrivalColumn}}
	case s.ArrivalExpression != "":
		p.ArrivalTime = &headwaterv1.ArrivalTime{Kind: &headwaterv1.ArrivalTime_Expression{Expression: s.ArrivalExpression}}
	}
	if s.Corrections != feature.Restate {
		p.Corrections = s.Corrections.String()
	}
	return p
}

func viewToProto(v *feature.View) *headwaterv1.FeatureView {
	p := &headwaterv1.FeatureView{
		Name: v.Name, Entity: v.Entity, Features: featuresToProto(v.Features), Attributes: featuresToProto(v.Attributes),
		Ttl: durationToProto(v.TTL), Grain: durationToProto(v.Grain), Lookback: durationToProto(v.Lookback),
		Description: v.Description, Owner: v.Owner, Tags: v.Tags, Deprecated: deprecationToProto(v.Deprecated),
		Expectations: expectationsToProto(v.Expectations), MaxQuarantineRatio: v.MaxQuarantineRatio,
	}
	if s := v.Schedule; s != nil {
		p.Schedule = &headwaterv1.Schedule{
			Cron: s.Cron, AfterInputs: s.AfterInputs, Priority: int32(s.Priority), Attempts: int32(s.Attempts),
		}
	}
	p.Cache = durationToProto(v.Cache)
	for _, d := range v.Declassify {
		p.Declassify = append(p.Declassify, &headwaterv1.Declassification{Column: d.Column, Tags: d.Tags, Reason: d.Reason})
	}
	if f := v.Freshness; f != nil {
		p.Freshness = &headwaterv1.ViewFreshness{MaxAge: durationToProto(f.MaxAge), Policy: f.Policy}
	}
	if d := v.Drift; d != nil {
		p.Drift = &headwaterv1.DriftRule{Warn: d.Warn, Fail: d.Fail}
		for _, t := range d.Columns {
			p.Drift.Columns = append(p.Drift.Columns, &headwaterv1.ColumnDriftRule{Column: t.Column, Warn: t.Warn, Fail: t.Fail})
		}
	}
	if len(v.Gates.Publish) > 0 {
		p.Gates = &headwaterv1.ViewGates{Publish: gatesToProto(v.Gates.Publish)}
	}
	switch {
	case v.Push != nil:
		p.Kind = &headwaterv1.FeatureView_Push{Push: &headwaterv1.PushTransform{Source: v.Push.Source, Keys: v.Push.Keys}}
	case v.SQL != nil:
		sql := &headwaterv1.SqlTransform{Sources: v.SQL.Sources, Views: viewRefsToProto(v.SQL.Views), Query: v.SQL.Query}
		for _, f := range v.SQL.Functions {
			sql.Functions = append(sql.Functions, &headwaterv1.FunctionAllowance{Function: f.Function, Reason: f.Reason})
		}
		p.Kind = &headwaterv1.FeatureView_Sql{Sql: sql}
	case v.Aggregation != nil:
		a := v.Aggregation
		aggregation := &headwaterv1.AggregationTransform{Source: a.Source, Keys: a.Keys, Hop: durationToProto(a.Hop), Where: a.Where}
		for i := range a.Aggregates {
			g := &a.Aggregates[i]
			aggregation.Aggregates = append(aggregation.Aggregates, &headwaterv1.Aggregate{
				Feature: g.Feature, Function: g.Function.String(), Column: g.Column, Window: durationToProto(g.Window), Where: g.Where,
				Quantile: g.Quantile, RelativeError: g.RelativeError,
			})
		}
		p.Kind = &headwaterv1.FeatureView_Aggregation{Aggregation: aggregation}
	case v.OnDemand != nil:
		onDemand := &headwaterv1.OnDemandTransform{Views: viewRefsToProto(v.OnDemand.Views)}
		for _, c := range v.OnDemand.Inputs {
			onDemand.Inputs = append(onDemand.Inputs, &headwaterv1.RequestInput{
				Name: c.Name, Type: c.Type.String(), Description: c.Description, Tags: c.Tags,
			})
		}
		for _, e := range v.OnDemand.Expressions {
			onDemand.Expressions = append(onDemand.Expressions, &headwaterv1.OnDemandExpression{Feature: e.Feature, Cel: e.CEL})
		}
		p.Kind = &headwaterv1.FeatureView_OnDemand{OnDemand: onDemand}
	}
	return p
}

func gatesToProto(gates []feature.Gate) (names []string) {
	for _, g := range gates {
		names = append(names, string(g))
	}
	return names
}

func viewRefsToProto(refs []feature.ViewRef) []string {
	var list []string
	for _, r := range refs {
		list = append(list, r.String())
	}
	return list
}

func deprecationToProto(d *feature.Deprecation) *headwaterv1.Deprecation {
	if d == nil {
		return nil
	}
	return &headwaterv1.Deprecation{Date: d.Date, Replacement: d.Replacement}
}

func featuresToProto(columns []feature.Column) []*headwaterv1.Feature {
	var list []*headwaterv1.Feature
	for _, c := range columns {
		list = append(list, &headwaterv1.Feature{
			Name: c.Name, Type: c.Type.String(), Description: c.Description, Tags: c.Tags, Deprecated: deprecationToProto(c.Deprecated),
		})
	}
	return list
}

func durationToProto(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func serviceToProto(s *feature.Service) *headwaterv1.FeatureService {
	p := &headwaterv1.FeatureService{
		Name: s.Name, ServesAsGrant: s.ServesAsGrant, Description: s.Description, Owner: s.Owner, Tags: s.Tags,
		Deprecated: deprecationToProto(s.Deprecated), Log: string(s.Log),
	}
	if len(s.Gates.Release)+len(s.Gates.Serve) > 0 {
		p.Gates = &headwaterv1.ServiceGates{Release: gatesToProto(s.Gates.Release), Serve: gatesToProto(s.Gates.Serve)}
	}
	for _, l := range s.Labels {
		p.Labels = append(p.Labels, &headwaterv1.Label{Name: l.Name, Type: l.Type.String(), Description: l.Description, Tags: l.Tags})
	}
	for _, v := range s.Views {
		view := &headwaterv1.ServiceView{View: v.View, Features: v.Features, Rename: v.Rename}
		switch {
		case v.Published:
			view.View += "@" + publishedVersion
		case v.Version > 0:
			view.View += "@" + strconv.Itoa(v.Version)
		}
		for name, literal := range v.Defaults {
			// A literal came out of a Value, so it fits into one.
			if value, err := structpb.NewValue(literal); err == nil {
				if view.Defaults == nil {
					view.Defaults = map[string]*structpb.Value{}
				}
				view.Defaults[name] = value
			}
		}
		p.Views = append(p.Views, view)
	}
	return p
}

func roleToProto(r *feature.Role) *headwaterv1.Role {
	p := &headwaterv1.Role{
		Name: r.Name, Description: r.Description, Owner: r.Owner, Tags: r.Tags, Deprecated: deprecationToProto(r.Deprecated),
		Attributes: attributesToProto(r.Attributes), MayElevateTo: r.MayElevateTo, MaxElevation: durationToProto(r.MaxElevation),
	}
	for _, g := range r.Grants {
		grant := &headwaterv1.Grant{Actions: g.Actions, Resources: patternsToProto(g.Resources)}
		if g.Deny {
			grant.Effect = "deny"
		}
		p.Grants = append(p.Grants, grant)
	}
	return p
}
