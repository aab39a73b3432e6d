package registry

import (
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Definition is one version of a definition with its neighbours.
type Definition struct {
	Summary
	// Definitions holds it alone.
	Definitions feature.Definitions
	// Inputs are the nodes it reads from, Dependents those that read from it: `view:NAME@VERSION`, `service:NAME`,
	// `source:NAME`, `entity:NAME`, `consumer:NAME`; of a consumer the inputs are as it names them.
	Inputs, Dependents []string
	// ColumnInputs are what each output column of a view is made of; Relation is a node. nil for all else, and for versions
	// from before it was kept.
	ColumnInputs []feature.ColumnInput
	// ColumnTags are the effective tags of the columns of a view or source, in the order of the columns. nil for all else.
	ColumnTags []NamedTags
}

// Definition finds a definition by NAME (the newest version) or NAME@VERSION. The error is a NOT_FOUND fault. One that was
// removed is found by its version.
func (c *Catalog) Definition(kind feature.Kind, ref string) (*Definition, error) {
	d := &Definition{}
	version := 0
	name, _, versioned := strings.Cut(ref, "@")
	if e := c.removed(kind, name); e != nil && !versioned {
		return nil, e.gone(kind, name)
	}
	switch kind {
	case feature.KindEntity:
		e, err := findPast(c.entities, kind, ref)
		if err != nil {
			return nil, err
		}
		d.Name, version, d.Definitions.Entities = e.Name, e.Version, []feature.Entity{e.Entity}
	case feature.KindSource:
		s, err := findPast(c.sources, kind, ref)
		if err != nil {
			return nil, err
		}
		d.Name, version, d.Definitions.Sources = s.Name, s.Version, []feature.Source{s.Source}
		for i := range s.Columns {
			d.tagged(s.Columns[i].Name, c.tags.Source(s, s.Columns[i].Name))
		}
	case feature.KindView:
		v, err := findPast(c.views, kind, ref)
		if err != nil {
			return nil, err
		}
		d.Name, version, d.Definitions.Views = v.Name, v.Version, []feature.View{v.View}
		d.ColumnInputs = columnInputs(v)
		for _, column := range v.TaggedColumns() {
			d.tagged(column, c.tags.Column(v, column))
		}
	case feature.KindService:
		s, err := findPast(c.services, kind, ref)
		if err != nil {
			return nil, err
		}
		d.Name, version, d.Definitions.Services = s.Name, s.Version, []feature.Service{s.Service}
	case feature.KindRole:
		r, err := findPast(c.roles, kind, ref)
		if err != nil {
			return nil, err
		}
		d.Name, version, d.Definitions.Roles = r.Name, r.Version, []feature.Role{r.Role}
	case feature.KindPolicy:
		p, err := findPast(c.policies, kind, ref)
		if err != nil {
			return nil, err
		}
		d.Name, version, d.Definitions.Policies = p.Name, p.Version, []feature.Policy{p.Policy}
	case feature.KindConsumer:
		o, err := findPast(c.consumers, kind, ref)
		if err != nil {
			return nil, err
		}
		d.Name, version, d.Definitions.Consumers = o.Name, o.Version, []feature.Consumer{o.Consumer}
	default:
		return nil, fault.New(fault.InvalidArgument, "found no kind of definitions, expected entity, source, view, service, role, policy or consumer")
	}
	d.Summary = c.summary(c.entries[kind][d.Name][version-1])
	d.Inputs = c.inputs(kind, d.Name, version)
	d.Dependents = c.Dependents(kind, d.Name, version)
	return d, nil
}

// Diff is what differs between two definitions of one kind, each NAME (the newest version) or NAME@VERSION. The error is a
// NOT_FOUND fault.
func (c *Catalog) Diff(kind feature.Kind, before, after string) (a, b *Definition, d feature.Difference, err error) {
	if a, err = c.Definition(kind, before); err != nil {
		return nil, nil, d, err
	}
	if b, err = c.Definition(kind, after); err != nil {
		return nil, nil, d, err
	}
	switch kind {
	case feature.KindEntity:
		d = feature.DiffEntity(c.entities.at(a.Name, a.Version), c.entities.at(b.Name, b.Version))
	case feature.KindSource:
		d = feature.DiffSource(c.sources.at(a.Name, a.Version), c.sources.at(b.Name, b.Version))
	case feature.KindView:
		x, y := c.views.at(a.Name, a.Version), c.views.at(b.Name, b.Version)
		d = feature.DiffView(x, y)
		if x.SQL != nil && y.SQL != nil {
			for _, line := range feature.DiffLines(x.SQL.Query, y.SQL.Query) {
				d.Lines = append(d.Lines, "sql.query | "+line)
			}
		}
	case feature.KindService:
		d = feature.DiffService(c.services.at(a.Name, a.Version), c.services.at(b.Name, b.Version))
	case feature.KindRole:
		d = feature.DiffRole(c.roles.at(a.Name, a.Version), c.roles.at(b.Name, b.Version))
	case feature.KindPolicy:
		d = feature.DiffPolicy(c.policies.at(a.Name, a.Version), c.policies.at(b.Name, b.Version))
	case feature.KindConsumer:
		d = feature.DiffConsumer(c.consumers.at(a.Name, a.Version), c.consumers.at(b.Name, b.Version))
	}
	if a.Name != b.Name {
		d.WordsOnly = false
	}
	return a, b, d, nil
}

// NamedTags are the tags of a column.
type NamedTags struct {
	Column string
	Tags   []feature.ColumnTag
}

func (d *Definition) tagged(column string, tags []feature.ColumnTag) {
	if len(tags) > 0 {
		d.ColumnTags = append(d.ColumnTags, NamedTags{column, tags})
	}
}

// columnInputs names the relations of a view's analysis as nodes.
func columnInputs(v *feature.ViewVersion) []feature.ColumnInput {
	if v.Analysis == nil {
		return nil
	}
	nodes := map[string]string{}
	for _, s := range v.SourceVersions {
		nodes[s.Name] = node(feature.KindSource, s.Name)
	}
	for _, w := range v.ViewVersions {
		nodes[w.Name] = node(feature.KindView, w.Ref())
	}
	inputs := slices.Clone(v.Analysis.Inputs)
	for i := range inputs {
		if n, ok := nodes[inputs[i].Relation]; ok {
			inputs[i].Relation = n
		}
	}
	return inputs
}

func (c *Catalog) inputs(kind feature.Kind, name string, version int) []string {
	var nodes []string
	switch kind {
	case feature.KindView:
		v := c.views.at(name, version)
		if v.EntityVersion != nil {
			nodes = append(nodes, node(feature.KindEntity, v.Entity))
		}
		for _, s := range v.SourceVersions {
			nodes = append(nodes, node(feature.KindSource, s.Name))
		}
		for _, w := range v.ViewVersions {
			nodes = append(nodes, node(feature.KindView, w.Ref()))
		}
	case feature.KindService:
		for _, p := range c.services.at(name, version).Pins {
			nodes = append(nodes, node(feature.KindView, p.View.Ref()))
		}
	case feature.KindConsumer:
		for _, r := range c.consumers.at(name, version).Reads {
			nodes = append(nodes, r.String())
		}
	}
	return nodes
}

// Dependents are the nodes that read from a version of a definition, by what they are now: versions of views, services
// whose newest version is pinned to it, and consumers. What was removed is left out. Views go on reading the version of a source or entity
// that they were made with while nothing that they use changes: they count as reading the newest.
func (c *Catalog) Dependents(kind feature.Kind, name string, version int) []string {
	var nodes []string
	for _, v := range c.views.all() {
		if c.removed(feature.KindView, v.Name) == nil && c.reads(v, kind, name, version) {
			nodes = append(nodes, node(feature.KindView, v.Ref()))
		}
	}
	if kind == feature.KindView {
		for _, s := range c.Services() {
			if slices.ContainsFunc(s.Pins, func(p feature.ServicePin) bool {
				return p.View.Name == name && p.View.Version == version
			}) {
				nodes = append(nodes, node(feature.KindService, s.Name))
			}
		}
	}
	return append(nodes, c.consumersReading(kind, name, version)...)
}

func (c *Catalog) reads(v *feature.ViewVersion, kind feature.Kind, name string, version int) bool {
	switch kind {
	case feature.KindEntity:
		newest := version == len(c.entities[name])
		return v.EntityVersion != nil && v.Entity == name && (newest || v.EntityVersion.Version == version)
	case feature.KindSource:
		newest := version == len(c.sources[name])
		return slices.ContainsFunc(v.SourceVersions, func(s *feature.SourceVersion) bool {
			return s.Name == name && (newest || s.Version == version)
		})
	case feature.KindView:
		return slices.ContainsFunc(v.ViewVersions, func(w *feature.ViewVersion) bool { return w.Name == name && w.Version == version })
	}
	return false
}

func node(kind feature.Kind, name string) string { return kind.String() + ":" + name }
