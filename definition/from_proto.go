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
	c := fromProto{origins: originsOf(files)}
	for i, f := range files {
		c.file = i
		for _, v := range checkRules(f.GetFile()) {
			v.Field = c.origins.whole(i, v.Field)
			c.violations = append(c.violations, v)
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
}

// add adds a violation of a field of the file at hand, unless a rule of the proto has one for it.
func (c *fromProto) add(field, format string, args ...any) {
	field = c.origins.whole(c.file, field)
	for i := range c.violations {
		if c.violations[i].Field == field {
			return
		}
	}
	c.violations = append(c.violations, fault.Violation{Field: field, Description: fmt.Sprintf(format, args...)})
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
}

func (c *fromProto) typ(field, name string) feature.Type {
	t, err := feature.ParseType(name)
	if err == nil {
		return t
	}
	description := err.Error()
	if near, ok := feature.Nearest(name, typeNames()); ok {
		description += "; did you mean " + near + "?"
	} else if other, ok := typesElsewhere[strings.ToLower(name)]; ok {
		description += "; write " + other.String()
	}
	c.add(field, "%s", description)
	return feature.TypeInvalid
}

func typeNames() []string {
	var names []string
	for _, t := range feature.Types() {
		names = append(names, t.String())
	}
	return names
}

// typesElsewhere are names that databases and languages have for our types.
var typesElsewhere = map[string]feature.Type{
	"int": feature.TypeInt64, "integer": feature.TypeInt64, "bigint": feature.TypeInt64, "int32": feature.TypeInt64,
	"long": feature.TypeInt64, "smallint": feature.TypeInt64,
	"float": feature.TypeFloat64, "double": feature.TypeFloat64, "real": feature.TypeFloat64, "float32": feature.TypeFloat64,
	"double precision": feature.TypeFloat64, "numeric": feature.TypeFloat64, "decimal": feature.TypeFloat64,
	"text": feature.TypeString, "varchar": feature.TypeString, "str": feature.TypeString, "utf8": feature.TypeString,
	"boolean":     feature.TypeBool,
	"timestamptz": feature.TypeTimestamp, "datetime": feature.TypeTimestamp, "date": feature.TypeTimestamp, "time": feature.TypeTimestamp,
}

func (c *fromProto) entity(at string, e *headwaterv1.Entity) feature.Entity {
	entity := feature.Entity{Name: e.GetName(), Docs: docs(e)}
	for i, k := range e.GetJoinKeys() {
		entity.JoinKeys = append(entity.JoinKeys, feature.Column{
			Name: k.GetName(), Type: c.typ(indexed(at+".join_keys", i)+".type", k.GetType()),
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

func columns[C typed](c *fromProto, at string, list []C) []feature.Column {
	var columns []feature.Column
	for i, f := range list {
		columns = append(columns, feature.Column{
			Name: f.GetName(), Type: c.typ(indexed(at, i)+".type", f.GetType()), Description: f.GetDescription(), Tags: f.GetTags(),
		})
	}
	return columns
}

func (c *fromProto) source(at string, s *headwaterv1.Source) feature.Source {
	source := feature.Source{
		Name: s.GetName(), Columns: columns(c, at+".columns", s.GetColumns()), EventTime: s.GetEventTime(), Docs: docs(s),
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
	return source
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
		Docs:       docs(v),
	}
	switch kind := v.GetKind().(type) {
	case *headwaterv1.FeatureView_Sql:
		view.SQL = &feature.SQLTransform{Sources: kind.Sql.GetSources(), Query: kind.Sql.GetQuery()}
	case *headwaterv1.FeatureView_Aggregation:
		view.Aggregation = &feature.Aggregation{Source: kind.Aggregation.GetSource()}
	case *headwaterv1.FeatureView_OnDemand:
		view.OnDemand = &feature.OnDemand{Expression: kind.OnDemand.GetExpression()}
	}
	return view
}

func (c *fromProto) duration(field string, d *durationpb.Duration) time.Duration {
	const most = math.MaxInt64 / int64(time.Second)
	if s := d.GetSeconds(); s >= most || s <= -most {
		c.add(field, "found a duration of more than %d hours, expected less; leave it out for no limit", most/3600)
		return 0
	}
	return d.AsDuration()
}

func (c *fromProto) service(at string, s *headwaterv1.FeatureService) feature.Service {
	service := feature.Service{Name: s.GetName(), ServesAsGrant: s.GetServesAsGrant(), Docs: docs(s)}
	for i, v := range s.GetViews() {
		name, version, versioned := strings.Cut(v.GetView(), "@")
		sv := feature.ServiceView{View: name, Features: v.GetFeatures()}
		if versioned {
			n, err := strconv.ParseInt(version, 10, 32)
			if err != nil || n < 1 {
				c.add(indexed(at+".views", i)+".view", "found the version %.20q, expected a whole number from 1 on", version)
			}
			sv.Version = int(n)
		}
		service.Views = append(service.Views, sv)
	}
	return service
}

func (c *fromProto) role(at string, r *headwaterv1.Role) feature.Role {
	role := feature.Role{Name: r.GetName(), Docs: feature.Docs{Description: r.GetDescription(), Owner: r.GetOwner()}}
	for i, g := range r.GetGrants() {
		field := indexed(at+".grants", i)
		grant := feature.Grant{Actions: g.GetActions()}
		for j, s := range g.GetResources() {
			p, err := feature.ParseResourcePattern(s)
			if err != nil {
				c.add(indexed(field+".resources", j), "%s", err)
			}
			grant.Resources = append(grant.Resources, p)
		}
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

func docs(m interface {
	GetDescription() string
	GetOwner() string
	GetTags() []string
}) feature.Docs {
	return feature.Docs{Description: m.GetDescription(), Owner: m.GetOwner(), Tags: m.GetTags()}
}
