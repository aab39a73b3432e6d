package registry

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// proposal is what applying definitions to a catalog would do.
type proposal struct {
	base *Catalog
	// given is where the definitions of the files stand, by name.
	given map[nameOf]string
	// changes are in order: what a definition reads comes before it, and what ends comes last.
	changes []*proposed
	// The newest version of each name of the files after the changes.
	entities  map[string]*feature.EntityVersion
	sources   map[string]*feature.SourceVersion
	views     map[string]*feature.ViewVersion
	services  map[string]*feature.ServiceVersion
	consumers map[string]*feature.ConsumerVersion
	// uses are the references of what is new, or becomes so.
	uses     []use
	problems []feature.Problem

	checks checks
	// violations are those that the checks found, and broken the views with some.
	violations []fault.Violation
	reason     fault.Reason
	broken     map[string]bool
	// holds are the gates on serving that do not hold.
	holds []Hold
	// err is what a check failed with that is not about the definition.
	err error
}

// checks asks the engines about what is new. Both may be nil.
type checks struct {
	source func(*feature.SourceVersion) error
	view   func(*feature.ViewVersion) (*feature.Analysis, error)
}

// use is a reference of a definition to another.
type use struct {
	from nameOf
	// field is where it stands.
	field string
	to    nameOf
}

// proposed is one change with what is to be written.
type proposed struct {
	change Change
	// field is where the definition stands in the list that was given.
	field string
	body  feature.Definitions
	// before is what the newest version so far says. nil: there is none.
	before   *feature.Definitions
	resolved resolution
	// fresh says that a version is made, rewritten that the words of one are, or what it is resolved to: moved.
	fresh, rewritten, moved bool
	// view is set for views that are fresh or moved, without an ID when fresh; source and oldSource for fresh sources.
	view              *feature.ViewVersion
	source, oldSource *feature.SourceVersion
	// users are what reads from it, and readers, of what ends, the consumers among them.
	users   []dependent
	readers []*feature.ConsumerVersion
}

// propose resolves the definitions against each other and the catalog, has what is new checked, and compares them with the
// newest versions there. What is wrong is in problems and violations, and then there are no changes to speak of.
func propose(base *Catalog, d *feature.Definitions, c checks) *proposal {
	p := &proposal{
		base:      base,
		given:     map[nameOf]string{},
		entities:  map[string]*feature.EntityVersion{},
		sources:   map[string]*feature.SourceVersion{},
		views:     map[string]*feature.ViewVersion{},
		services:  map[string]*feature.ServiceVersion{},
		consumers: map[string]*feature.ConsumerVersion{},
		broken:    map[string]bool{},
		checks:    c,
	}
	if p.problems = d.Validate(base.known()); len(p.problems) > 0 {
		return p
	}
	if p.problems = expr.ExpectationProblems(d, p.entityGiven(d)); len(p.problems) > 0 {
		return p
	}
	p.resolve(d)
	return p
}

// entityGiven finds an entity by name as it will be.
func (p *proposal) entityGiven(d *feature.Definitions) func(name string) *feature.Entity {
	return func(name string) *feature.Entity {
		for i := range d.Entities {
			if d.Entities[i].Name == name {
				return &d.Entities[i]
			}
		}
		if e := p.base.entities.last(name); e != nil {
			return &e.Entity
		}
		return nil
	}
}

// resolve goes through definitions that are valid.
func (p *proposal) resolve(d *feature.Definitions) {
	for i := range d.Entities {
		p.entity(p.give(feature.KindEntity, d.Entities[i].Name, i), &d.Entities[i])
	}
	for i := range d.Sources {
		p.source(p.give(feature.KindSource, d.Sources[i].Name, i), &d.Sources[i])
	}
	// A version that is not there yet can only be the one that is being made.
	order, cycles := feature.OrderViews(d.Views, func(r feature.ViewRef) bool {
		return r.Version == 0 || p.base.views.at(r.Name, r.Version) == nil
	})
	if p.problems = append(p.problems, cycles...); len(cycles) > 0 {
		return
	}
	for i := range d.Views {
		p.give(feature.KindView, d.Views[i].Name, i)
	}
	for _, i := range order {
		p.view(feature.KindView.Path(i), &d.Views[i])
	}
	for i := range d.Services {
		p.service(p.give(feature.KindService, d.Services[i].Name, i), &d.Services[i])
	}
	for i := range d.Roles {
		p.role(p.give(feature.KindRole, d.Roles[i].Name, i), &d.Roles[i])
	}
	for i := range d.Policies {
		p.policy(p.give(feature.KindPolicy, d.Policies[i].Name, i), &d.Policies[i])
	}
	for i := range d.Consumers {
		p.consumer(p.give(feature.KindConsumer, d.Consumers[i].Name, i), &d.Consumers[i])
	}
	p.refuseRetired()
	p.refuseProtected()
}

func (p *proposal) give(kind feature.Kind, name string, i int) (field string) {
	p.given[nameOf{kind, name}] = kind.Path(i)
	return kind.Path(i)
}

// known is what definitions may refer to.
func (c *Catalog) known() *feature.Known {
	k := &feature.Known{
		Entities: map[string]*feature.Entity{}, Sources: map[string]*feature.Source{}, Views: map[string]bool{}, Services: map[string]bool{},
	}
	for _, e := range c.Entities() {
		k.Entities[e.Name] = &e.Entity
	}
	for _, s := range c.Sources() {
		k.Sources[s.Name] = &s.Source
	}
	for _, v := range c.Views() {
		k.Views[v.Name] = true
	}
	for _, s := range c.Services() {
		k.Services[s.Name] = true
	}
	return k
}

// settling is a definition beside the newest version so far.
type settling struct {
	nameOf
	field string
	// old is the number of the version so far, 0 for none.
	old           int
	difference    func() feature.Difference
	fingerprint   feature.Digest
	before, after feature.Definitions
	// moved says that what it is resolved to changes, without a change of meaning.
	moved bool
}

// settle decides what becomes of a definition: a new version when its meaning changes, an update when its words do, else
// nothing, unless it was removed or retired. It returns the version after that, and the change, or nil.
func (p *proposal) settle(s settling) (version int, change *proposed) {
	c := &proposed{field: s.field, body: s.after, fresh: true, change: Change{
		Kind: Add, DefinitionKind: s.kind, Name: s.name, Version: s.old + 1, Fingerprint: s.fingerprint,
	}}
	if s.old > 0 {
		c.before = &s.before
		d, end := s.difference(), p.base.ends[s.nameOf]
		c.fresh, c.moved = !d.WordsOnly, d.WordsOnly && s.moved
		c.rewritten = d.WordsOnly && (s.moved || !proto.Equal(definition.ToProto(&s.before), definition.ToProto(&s.after)))
		switch {
		case c.fresh:
			c.change.Kind = NewVersion
		case c.rewritten || end != nil:
			c.change.Kind, c.change.Version = Update, s.old
		default:
			return s.old, nil
		}
		c.change.Details = d.Lines
		if end != nil {
			c.change.Kind = Revive
			c.change.Details = append([]string{end.text()}, d.Lines...)
		}
	}
	p.changes = append(p.changes, c)
	return c.change.Version, c
}

// text is what became of the name, in words.
func (e *End) text() string {
	what := "retired"
	if e.Removed {
		what = "removed"
	}
	return fmt.Sprintf("was %s on %s by %s", what, e.At.Format(time.DateOnly), e.By)
}

func (p *proposal) entity(field string, e *feature.Entity) {
	v := &feature.EntityVersion{Fingerprint: e.Fingerprint(), Entity: *e}
	old := p.base.entities.last(e.Name)
	s := settling{
		nameOf: nameOf{feature.KindEntity, e.Name}, field: field, difference: func() feature.Difference { return feature.DiffEntity(old, v) },
		fingerprint: v.Fingerprint, after: feature.Definitions{Entities: []feature.Entity{*e}},
	}
	if old != nil {
		s.before.Entities, s.old = []feature.Entity{old.Entity}, old.Version
	}
	v.Version, _ = p.settle(s)
	p.entities[e.Name] = v
}

func (p *proposal) source(field string, w *feature.Source) {
	v := &feature.SourceVersion{Fingerprint: w.Fingerprint(), Source: *w}
	old := p.base.sources.last(w.Name)
	s := settling{
		nameOf: nameOf{feature.KindSource, w.Name}, field: field, difference: func() feature.Difference { return feature.DiffSource(old, v) },
		fingerprint: v.Fingerprint, after: feature.Definitions{Sources: []feature.Source{*w}},
	}
	if old != nil {
		s.before.Sources, s.old = []feature.Source{old.Source}, old.Version
		for _, problem := range w.SuccessionProblems(&old.Source) {
			problem.Field = field + "." + problem.Field
			p.problems = append(p.problems, problem)
		}
	}
	var c *proposed
	v.Version, c = p.settle(s)
	p.sources[w.Name] = v
	if c != nil && c.fresh {
		c.source, c.oldSource = v, old
		if p.checks.source != nil {
			p.judge(s.nameOf, field, "arrival_time.expression", p.checks.source(v))
		}
	}
}

// sourceNow is the newest version of a source after the changes.
func (p *proposal) sourceNow(name string) *feature.SourceVersion {
	if s := p.sources[name]; s != nil {
		return s
	}
	return p.base.sources.last(name)
}

func (p *proposal) entityNow(name string) *feature.EntityVersion {
	if e := p.entities[name]; e != nil {
		return e
	}
	return p.base.entities.last(name)
}

func (p *proposal) viewNow(name string) *feature.ViewVersion {
	if v := p.views[name]; v != nil {
		return v
	}
	return p.base.views.last(name)
}

func (p *proposal) serviceNow(name string) *feature.ServiceVersion {
	if s := p.services[name]; s != nil {
		return s
	}
	return p.base.services.last(name)
}

func (p *proposal) service(field string, w *feature.Service) {
	old := p.base.services.last(w.Name)
	v := &feature.ServiceVersion{Service: *w}
	resolved := resolution{Views: map[string]int{}}
	name := nameOf{feature.KindService, w.Name}
	wrong := len(p.problems)
	var uses []use
	for i := range w.Views {
		sv := &w.Views[i]
		at := fmt.Sprintf("%s.views[%d]", field, i)
		if p.viewNow(sv.View) == nil {
			// It is being made, and what is wrong with it is told there.
			return
		}
		view, why := p.pin(old, sv)
		if view == nil {
			p.problems = append(p.problems, feature.Problem{Kind: feature.KindService, Name: w.Name, Field: at + ".view", Message: why})
			continue
		}
		pin, problems := sv.ResolvePin(view)
		for _, problem := range problems {
			problem.Kind, problem.Name, problem.Field = feature.KindService, w.Name, at+"."+problem.Field
			problem.Message += why
			p.problems = append(p.problems, problem)
		}
		v.Pins = append(v.Pins, pin)
		resolved.Views[sv.View] = view.Version
		uses = append(uses, use{name, at + ".view", nameOf{feature.KindView, sv.View}})
	}
	if len(p.problems) > wrong {
		return
	}
	for _, problem := range v.OutputProblems() {
		problem.Field = field + "." + problem.Field
		p.problems = append(p.problems, problem)
	}
	if len(p.problems) > wrong {
		return
	}
	v.Fingerprint = w.Fingerprint(v.Pins)
	s := settling{
		nameOf: name, field: field, difference: func() feature.Difference { return feature.DiffService(old, v) },
		fingerprint: v.Fingerprint, after: feature.Definitions{Services: []feature.Service{*w}},
	}
	if old != nil {
		s.before.Services, s.old = []feature.Service{old.Service}, old.Version
	}
	var c *proposed
	v.Version, c = p.settle(s)
	p.services[w.Name] = v
	if c != nil {
		c.resolved = resolved
		p.use(c, uses)
	}
}

// pin is the version of the view that a service is pinned to: the one asked for, else where the service is pinned already,
// else the newest. why says, for nil, what is wrong, and for a pin kept, how to move it.
func (p *proposal) pin(service *feature.ServiceVersion, sv *feature.ServiceView) (view *feature.ViewVersion, why string) {
	newest := p.viewNow(sv.View)
	if sv.Version > 0 {
		return p.viewAt(sv.View, sv.Version)
	}
	if service != nil {
		i := slices.IndexFunc(service.Pins, func(pin feature.ServicePin) bool { return pin.View.Name == sv.View })
		// A pin that was followed is where no reader has been for long.
		if i >= 0 && !sv.Published && !service.Pins[i].Published && service.Pins[i].View.Version != newest.Version {
			return service.Pins[i].View, fmt.Sprintf("; the service is pinned to that version: write %s to move it to the newest", newest.Ref())
		}
	}
	return newest, ""
}

// viewAt is a version of a view, of those that are there or are being made. why says, for nil, what is wrong.
func (p *proposal) viewAt(name string, version int) (view *feature.ViewVersion, why string) {
	newest := p.viewNow(name)
	if version == newest.Version {
		return newest, ""
	}
	if view = p.base.views.at(name, version); view == nil {
		return nil, fmt.Sprintf("found no version %d of view %s, expected one of 1 to %d", version, name, newest.Version)
	}
	return view, ""
}

func (p *proposal) role(field string, r *feature.Role) {
	v := &feature.RoleVersion{Fingerprint: r.Fingerprint(), Role: *r}
	old := p.base.roles.last(r.Name)
	s := settling{
		nameOf: nameOf{feature.KindRole, r.Name}, field: field, difference: func() feature.Difference { return feature.DiffRole(old, v) },
		fingerprint: v.Fingerprint, after: feature.Definitions{Roles: []feature.Role{*r}},
	}
	if old != nil {
		s.before.Roles, s.old = []feature.Role{old.Role}, old.Version
	}
	v.Version, _ = p.settle(s)
}

func (p *proposal) policy(field string, policy *feature.Policy) {
	v := &feature.PolicyVersion{Fingerprint: policy.Fingerprint(), Policy: *policy}
	old := p.base.policies.last(policy.Name)
	s := settling{
		nameOf: nameOf{feature.KindPolicy, policy.Name}, field: field, difference: func() feature.Difference { return feature.DiffPolicy(old, v) },
		fingerprint: v.Fingerprint, after: feature.Definitions{Policies: []feature.Policy{*policy}},
	}
	if old != nil {
		s.before.Policies, s.old = []feature.Policy{old.Policy}, old.Version
	}
	v.Version, _ = p.settle(s)
}

// judge takes what a check found about a definition. standard is the field of what it found about none in particular.
func (p *proposal) judge(name nameOf, field, standard string, err error) (ok bool) {
	if err == nil {
		return true
	}
	f := fault.As(err)
	if f == nil || f.Reason != fault.InvalidSQL && f.Reason != fault.InvalidDefinition {
		if p.err == nil {
			p.err = fmt.Errorf("check %s %s: %w", name.kind, name.name, err)
		}
		return false
	}
	if f.Reason != fault.InvalidSQL || p.reason == 0 {
		p.reason = f.Reason
	}
	found := f.Violations
	if len(found) == 0 {
		found = []fault.Violation{{Description: f.Message}}
	}
	for _, v := range found {
		if v.Field == "" {
			v.Field = standard
		}
		v.Field = field + "." + v.Field
		p.violations = append(p.violations, v)
	}
	return false
}

// use keeps the references of a definition that is new, or has a new meaning, or is there again.
func (p *proposal) use(c *proposed, uses []use) {
	if c.change.Kind != Update {
		p.uses = append(p.uses, uses...)
	}
}

// refuseRetired finds new uses of what is retired, and is not there again by these files.
func (p *proposal) refuseRetired() {
	for _, u := range p.uses {
		end := p.base.retired(u.to.kind, u.to.name)
		if _, given := p.given[u.to]; end == nil || given {
			continue
		}
		message := fmt.Sprintf("found %s %s, which was retired on %s and serves only what used it then, expected one in use", u.to.kind, u.to.name,
			end.At.Format(time.DateOnly))
		if d := p.docs(u.to); d != nil && d.Deprecated != nil && d.Deprecated.Replacement != "" {
			message += "; use " + d.Deprecated.Replacement + " instead"
		} else {
			message += "; use another, or put its definition into the files again"
		}
		p.problems = append(p.problems, feature.Problem{Kind: u.from.kind, Name: u.from.name, Field: u.field, Message: message})
	}
}

// docs are the words of the newest version of a name after the changes, or nil.
func (p *proposal) docs(n nameOf) *feature.Docs {
	switch n.kind {
	case feature.KindEntity:
		if v := p.entityNow(n.name); v != nil {
			return &v.Docs
		}
	case feature.KindSource:
		if v := p.sourceNow(n.name); v != nil {
			return &v.Docs
		}
	case feature.KindView:
		if v := p.viewNow(n.name); v != nil {
			return &v.Docs
		}
	case feature.KindService:
		if v := p.serviceNow(n.name); v != nil {
			return &v.Docs
		}
	case feature.KindConsumer:
		if v := p.consumers[n.name]; v != nil {
			return &v.Docs
		}
	}
	return nil
}

// list is the changes without what is to be written.
func (p *proposal) list() []Change {
	changes := make([]Change, len(p.changes))
	for i, c := range p.changes {
		changes[i] = c.change
	}
	return changes
}
