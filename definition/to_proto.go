package definition

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

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
	return f
}

func entityToProto(e *feature.Entity) *headwaterv1.Entity {
	p := &headwaterv1.Entity{Name: e.Name, Description: e.Description, Owner: e.Owner, Tags: e.Tags}
	for _, k := range e.JoinKeys {
		p.JoinKeys = append(p.JoinKeys, &headwaterv1.JoinKey{Name: k.Name, Type: k.Type.String()})
	}
	return p
}

func sourceToProto(s *feature.Source) *headwaterv1.Source {
	p := &headwaterv1.Source{
		Name: s.Name, EventTime: s.EventTime, Description: s.Description, Owner: s.Owner, Tags: s.Tags,
		Origin: &headwaterv1.Source_Landing{Landing: &headwaterv1.LandingOrigin{}},
	}
	for _, c := range s.Columns {
		p.Columns = append(p.Columns, &headwaterv1.Column{Name: c.Name, Type: c.Type.String(), Description: c.Description, Tags: c.Tags})
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
		Description: v.Description, Owner: v.Owner, Tags: v.Tags,
	}
	switch {
	case v.SQL != nil:
		p.Kind = &headwaterv1.FeatureView_Sql{Sql: &headwaterv1.SqlTransform{Sources: v.SQL.Sources, Query: v.SQL.Query}}
	case v.Aggregation != nil:
		p.Kind = &headwaterv1.FeatureView_Aggregation{Aggregation: &headwaterv1.AggregationTransform{Source: v.Aggregation.Source}}
	case v.OnDemand != nil:
		p.Kind = &headwaterv1.FeatureView_OnDemand{OnDemand: &headwaterv1.OnDemandTransform{Expression: v.OnDemand.Expression}}
	}
	return p
}

func featuresToProto(columns []feature.Column) []*headwaterv1.Feature {
	var list []*headwaterv1.Feature
	for _, c := range columns {
		list = append(list, &headwaterv1.Feature{Name: c.Name, Type: c.Type.String(), Description: c.Description, Tags: c.Tags})
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
	}
	for _, v := range s.Views {
		name := v.View
		if v.Version > 0 {
			name += "@" + strconv.Itoa(v.Version)
		}
		p.Views = append(p.Views, &headwaterv1.ServiceView{View: name, Features: v.Features})
	}
	return p
}

func roleToProto(r *feature.Role) *headwaterv1.Role {
	p := &headwaterv1.Role{Name: r.Name, Description: r.Description, Owner: r.Owner}
	for _, g := range r.Grants {
		grant := &headwaterv1.Grant{Actions: g.Actions}
		for _, resource := range g.Resources {
			grant.Resources = append(grant.Resources, resource.String())
		}
		if g.Deny {
			grant.Effect = "deny"
		}
		p.Grants = append(p.Grants, grant)
	}
	return p
}
