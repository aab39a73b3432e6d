package registry

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
)

// proposal is what applying definitions to a catalog would do. It is made without Postgres.
type proposal struct {
	base *Catalog
	// changes are in order: what a definition reads comes before it.
	changes []*proposed
	// now holds the newest version of each name after the changes.
	entities map[string]*feature.EntityVersion
	sources  map[string]*feature.SourceVersion
	views    map[string]*feature.ViewVersion
	problems []feature.Problem
}

// proposed is one change with what is to be written.
type proposed struct {
	change Change
	// field is where the definition stands in the list that was given.
	field    string
	body     feature.Definitions
	resolved resolution
	// view, source and oldSource are set for new versions of views and sources. view has no ID yet.
	view              *feature.ViewVersion
	source, oldSource *feature.SourceVersion
}

// propose resolves the definitions against each other and the catalog, and compares them with the newest versions there.
// What is wrong is in problems, and then there are no changes to speak of.
func propose(base *Catalog, d *feature.Definitions) *proposal {
	p := &proposal{
		base:     base,
		entities: map[string]*feature.EntityVersion{},
		sources:  map[string]*feature.SourceVersion{},
		views:    map[string]*feature.ViewVersion{},
	}
	if p.problems = d.Validate(base.known()); len(p.problems) > 0 {
		return p
	}
	for i := range d.Entities {
		p.entity(feature.KindEntity.Path(i), &d.Entities[i])
	}
	for i := range d.Sources {
		p.source(feature.KindSource.Path(i), &d.Sources[i])
	}
	for i := range d.Views {
		p.view(feature.KindView.Path(i), &d.Views[i])
	}
	for i := range d.Services {
		p.service(feature.KindService.Path(i), &d.Services[i])
	}
	for i := range d.Roles {
		p.role(feature.KindRole.Path(i), &d.Roles[i])
	}
	return p
}

// known is what definitions may refer to.
func (c *Catalog) known() *feature.Known {
	k := &feature.Known{Entities: map[string]*feature.Entity{}, Sources: map[string]bool{}, Views: map[string]bool{}}
	for _, e := range c.entities.newest() {
		k.Entities[e.Name] = &e.Entity
	}
	for name := range c.sources {
		k.Sources[name] = true
	}
	for name := range c.views {
		k.Views[name] = true
	}
	return k
}

// settle decides what becomes of a definition whose newest version so far is old (0 for none): a new version when its
// meaning changes, an update when its words do, else nothing. It returns the version after that, and the change, or nil.
func (p *proposal) settle(kind feature.Kind, name, field string, old int, difference func() feature.Difference,
	fingerprint feature.Digest, before, after feature.Definitions) (version int, change *proposed) {
	c := &proposed{field: field, body: after, change: Change{DefinitionKind: kind, Name: name, Version: old + 1, Fingerprint: fingerprint}}
	if old == 0 {
		c.change.Kind = Add
	} else {
		d := difference()
		switch {
		case !d.WordsOnly:
			c.change.Kind = NewVersion
		case proto.Equal(definition.ToProto(&before), definition.ToProto(&after)):
			return old, nil
		default:
			c.change.Kind, c.change.Version = Update, old
		}
		c.change.Details = d.Lines
		c.change.Dependents = p.base.Dependents(kind, name, old)
	}
	p.changes = append(p.changes, c)
	return c.change.Version, c
}

func (p *proposal) entity(field string, e *feature.Entity) {
	v := &feature.EntityVersion{Fingerprint: e.Fingerprint(), Entity: *e}
	old := p.base.entities.last(e.Name)
	before, number := feature.Definitions{}, 0
	if old != nil {
		before.Entities, number = []feature.Entity{old.Entity}, old.Version
	}
	v.Version, _ = p.settle(feature.KindEntity, e.Name, field, number, func() feature.Difference { return feature.DiffEntity(old, v) },
		v.Fingerprint, before, feature.Definitions{Entities: []feature.Entity{*e}})
	p.entities[e.Name] = v
}

func (p *proposal) source(field string, s *feature.Source) {
	v := &feature.SourceVersion{Fingerprint: s.Fingerprint(), Source: *s}
	old := p.base.sources.last(s.Name)
	before, number := feature.Definitions{}, 0
	if old != nil {
		before.Sources, number = []feature.Source{old.Source}, old.Version
		for _, problem := range s.SuccessionProblems(&old.Source) {
			problem.Field = field + "." + problem.Field
			p.problems = append(p.problems, problem)
		}
	}
	var c *proposed
	v.Version, c = p.settle(feature.KindSource, s.Name, field, number, func() feature.Difference { return feature.DiffSource(old, v) },
		v.Fingerprint, before, feature.Definitions{Sources: []feature.Source{*s}})
	if c != nil && c.change.Kind != Update {
		c.source, c.oldSource = v, old
	}
	p.sources[s.Name] = v
}

func (p *proposal) view(field string, w *feature.View) {
	v := &feature.ViewVersion{View: *w, EntityVersion: p.entities[w.Entity]}
	if v.EntityVersion == nil {
		v.EntityVersion = p.base.entities.last(w.Entity)
	}
	resolved := resolution{Entity: v.EntityVersion.Version, Sources: map[string]int{}}
	var fingerprints []feature.Digest
	for _, name := range w.SourceNames() {
		s := p.sources[name]
		if s == nil {
			s = p.base.sources.last(name)
		}
		v.SourceVersions = append(v.SourceVersions, s)
		resolved.Sources[name] = s.Version
		fingerprints = append(fingerprints, s.Fingerprint)
	}
	v.Fingerprint = w.Fingerprint(v.EntityVersion.Fingerprint, fingerprints)
	old := p.base.views.last(w.Name)
	before, number := feature.Definitions{}, 0
	if old != nil {
		before.Views, number, v.ID = []feature.View{old.View}, old.Version, old.ID
	}
	var c *proposed
	v.Version, c = p.settle(feature.KindView, w.Name, field, number, func() feature.Difference { return feature.DiffView(old, v) },
		v.Fingerprint, before, feature.Definitions{Views: []feature.View{*w}})
	if c != nil && c.change.Kind != Update {
		v.ID = 0
		c.view, c.resolved = v, resolved
	}
	p.views[w.Name] = v
}

func (p *proposal) service(field string, s *feature.Service) {
	old := p.base.services.last(s.Name)
	v := &feature.ServiceVersion{Service: *s}
	resolved := resolution{Views: map[string]int{}}
	for i := range s.Views {
		sv := &s.Views[i]
		at := fmt.Sprintf("%s.views[%d]", field, i)
		view, why := p.pin(old, sv)
		if view == nil {
			p.problems = append(p.problems, feature.Problem{Kind: feature.KindService, Name: s.Name, Field: at + ".view", Message: why})
			continue
		}
		pin, problems := sv.ResolvePin(view)
		for _, problem := range problems {
			problem.Kind, problem.Name, problem.Field = feature.KindService, s.Name, at+"."+problem.Field
			problem.Message += why
			p.problems = append(p.problems, problem)
		}
		v.Pins = append(v.Pins, pin)
		resolved.Views[sv.View] = view.Version
	}
	if len(p.problems) > 0 {
		return
	}
	v.Fingerprint = s.Fingerprint(v.Pins)
	before, number := feature.Definitions{}, 0
	if old != nil {
		before.Services, number = []feature.Service{old.Service}, old.Version
	}
	_, c := p.settle(feature.KindService, s.Name, field, number, func() feature.Difference { return feature.DiffService(old, v) },
		v.Fingerprint, before, feature.Definitions{Services: []feature.Service{*s}})
	if c != nil {
		c.resolved = resolved
	}
}

// pin is the version of the view that a service is pinned to: the one asked for, else where the service is pinned already,
// else the newest. why says, for nil, what is wrong, and for a pin kept, how to move it.
func (p *proposal) pin(service *feature.ServiceVersion, sv *feature.ServiceView) (view *feature.ViewVersion, why string) {
	newest := p.views[sv.View]
	if newest == nil {
		newest = p.base.views.last(sv.View)
	}
	if sv.Version > 0 {
		if sv.Version == newest.Version {
			return newest, ""
		}
		if view = p.base.views.at(sv.View, sv.Version); view == nil {
			return nil, fmt.Sprintf("found no version %d of view %s, expected one of 1 to %d", sv.Version, sv.View, newest.Version)
		}
		return view, ""
	}
	if service != nil {
		i := slices.IndexFunc(service.Pins, func(pin feature.ServicePin) bool { return pin.View.Name == sv.View })
		if i >= 0 && service.Pins[i].View.Version != newest.Version {
			return service.Pins[i].View, fmt.Sprintf("; the service is pinned to that version: write %s to move it to the newest", newest.Ref())
		}
	}
	return newest, ""
}

func (p *proposal) role(field string, r *feature.Role) {
	v := &feature.RoleVersion{Fingerprint: r.Fingerprint(), Role: *r}
	old := p.base.roles.last(r.Name)
	before, number := feature.Definitions{}, 0
	if old != nil {
		before.Roles, number = []feature.Role{old.Role}, old.Version
	}
	v.Version, _ = p.settle(feature.KindRole, r.Name, field, number, func() feature.Difference { return feature.DiffRole(old, v) },
		v.Fingerprint, before, feature.Definitions{Roles: []feature.Role{*r}})
}

// list is the changes without what is to be written.
func (p *proposal) list() []Change {
	changes := make([]Change, len(p.changes))
	for i, c := range p.changes {
		changes[i] = c.change
	}
	return changes
}
