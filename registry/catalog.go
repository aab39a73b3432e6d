package registry

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Catalog is all applied definitions at one revision, resolved and linked. It is immutable, and so are the definitions it
// hands out.
type Catalog struct {
	revision int64
	entities history[feature.EntityVersion]
	sources  history[feature.SourceVersion]
	views    history[feature.ViewVersion]
	services history[feature.ServiceVersion]
	roles    history[feature.RoleVersion]
	viewByID map[int64]*feature.ViewVersion
	// ids and applied are by kind, then name, then version - 1.
	entries map[feature.Kind]map[string][]entry
}

// entry is what the registry keeps of a version beside the definition.
type entry struct {
	id      int64
	summary Summary
}

// history holds, for each name, its versions from 1 on.
type history[V any] map[string][]*V

func newCatalog(revision int64) *Catalog {
	return &Catalog{
		revision: revision,
		entities: history[feature.EntityVersion]{},
		sources:  history[feature.SourceVersion]{},
		views:    history[feature.ViewVersion]{},
		services: history[feature.ServiceVersion]{},
		roles:    history[feature.RoleVersion]{},
		viewByID: map[int64]*feature.ViewVersion{},
		entries:  map[feature.Kind]map[string][]entry{},
	}
}

// Revision counts the changes of the registry. 0: nothing was ever applied.
func (c *Catalog) Revision() int64 { return c.revision }

// Entity finds an entity by NAME (the newest version) or NAME@VERSION. The error is a NOT_FOUND fault.
func (c *Catalog) Entity(ref string) (*feature.EntityVersion, error) {
	return find(c.entities, feature.KindEntity, ref)
}

// Source finds a source as Entity finds an entity.
func (c *Catalog) Source(ref string) (*feature.SourceVersion, error) {
	return find(c.sources, feature.KindSource, ref)
}

// View finds a view as Entity finds an entity.
func (c *Catalog) View(ref string) (*feature.ViewVersion, error) {
	return find(c.views, feature.KindView, ref)
}

// Service finds a service as Entity finds an entity.
func (c *Catalog) Service(ref string) (*feature.ServiceVersion, error) {
	return find(c.services, feature.KindService, ref)
}

// Role finds a role as Entity finds an entity.
func (c *Catalog) Role(ref string) (*feature.RoleVersion, error) {
	return find(c.roles, feature.KindRole, ref)
}

// ViewByID finds a version of a view by its ID. The error is a NOT_FOUND fault.
func (c *Catalog) ViewByID(id int64) (*feature.ViewVersion, error) {
	if v, ok := c.viewByID[id]; ok {
		return v, nil
	}
	return nil, fault.New(fault.NotFound, "found no version of a view with the id %d", id)
}

// Entities are the newest versions, by name.
func (c *Catalog) Entities() []*feature.EntityVersion { return c.entities.newest() }

// Sources are the newest versions, by name.
func (c *Catalog) Sources() []*feature.SourceVersion { return c.sources.newest() }

// Views are the newest versions, by name.
func (c *Catalog) Views() []*feature.ViewVersion { return c.views.newest() }

// ViewVersions are all versions of all views, by name and version.
func (c *Catalog) ViewVersions() []*feature.ViewVersion { return c.views.all() }

// Services are the newest versions, by name.
func (c *Catalog) Services() []*feature.ServiceVersion { return c.services.newest() }

// Roles are the newest versions, by name: the ones in effect.
func (c *Catalog) Roles() []*feature.RoleVersion { return c.roles.newest() }

func (h history[V]) names() []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (h history[V]) newest() []*V {
	var list []*V
	for _, name := range h.names() {
		list = append(list, h.last(name))
	}
	return list
}

func (h history[V]) all() []*V {
	var list []*V
	for _, name := range h.names() {
		list = append(list, h[name]...)
	}
	return list
}

// last is the newest version of a name, or nil.
func (h history[V]) last(name string) *V {
	if n := len(h[name]); n > 0 {
		return h[name][n-1]
	}
	return nil
}

func (h history[V]) at(name string, version int) *V {
	if version < 1 || version > len(h[name]) {
		return nil
	}
	return h[name][version-1]
}

func find[V any](h history[V], kind feature.Kind, ref string) (*V, error) {
	name, version, err := splitRef(h, kind, ref)
	if err != nil {
		return nil, err
	}
	return h.at(name, version), nil
}

// splitRef takes NAME or NAME@VERSION apart and makes sure that there is such a version.
func splitRef[V any](h history[V], kind feature.Kind, ref string) (name string, version int, err error) {
	name, number, versioned := strings.Cut(ref, "@")
	versions := len(h[name])
	if versions == 0 {
		f := fault.New(fault.NotFound, "found no %s called %q", kind, name).With("kind", kind.String()).With("name", name)
		f.NoGuess = fmt.Sprintf("`headwater list %s` shows those that there are", kind)
		if near, ok := feature.Nearest(name, h.names()); ok {
			f.Guess = near
		}
		return "", 0, f
	}
	if !versioned {
		return name, versions, nil
	}
	n, parseErr := strconv.Atoi(number)
	if parseErr != nil || n < 1 || n > versions {
		return "", 0, fault.New(fault.NotFound, "found no version %q of %s %s; it has the versions 1 to %d", number, kind, name, versions).
			With("kind", kind.String()).With("name", name)
	}
	return name, n, nil
}

// Summary is what the registry keeps about one version of a definition.
type Summary struct {
	Kind        feature.Kind
	Name        string
	Version     int
	Fingerprint feature.Digest
	Description string
	Owner       string
	// AppliedAt, AppliedBy and Origin are those of the apply that made the version.
	AppliedAt time.Time
	AppliedBy string
	Origin    string
}

// Summaries lists all versions of a kind, by name and version.
func (c *Catalog) Summaries(kind feature.Kind) []Summary {
	var list []Summary
	for _, versions := range sortedEntries(c.entries[kind]) {
		for _, e := range versions {
			list = append(list, e.summary)
		}
	}
	return list
}

func sortedEntries(m map[string][]entry) [][]entry {
	var list [][]entry
	for _, versions := range m {
		list = append(list, versions)
	}
	slices.SortFunc(list, func(a, b []entry) int { return strings.Compare(a[0].summary.Name, b[0].summary.Name) })
	return list
}

// Definition is one version of a definition with its neighbours.
type Definition struct {
	Summary
	// Definitions holds it alone.
	Definitions feature.Definitions
	// Inputs are the nodes it reads from, Dependents those that read from it: `view:NAME@VERSION`, `service:NAME`,
	// `source:NAME`, `entity:NAME`.
	Inputs, Dependents []string
}

// Definition finds a definition by NAME (the newest version) or NAME@VERSION. The error is a NOT_FOUND fault.
func (c *Catalog) Definition(kind feature.Kind, ref string) (*Definition, error) {
	d := &Definition{}
	version := 0
	switch kind {
	case feature.KindEntity:
		e, err := c.Entity(ref)
		if err != nil {
			return nil, err
		}
		d.Name, version, d.Definitions.Entities = e.Name, e.Version, []feature.Entity{e.Entity}
	case feature.KindSource:
		s, err := c.Source(ref)
		if err != nil {
			return nil, err
		}
		d.Name, version, d.Definitions.Sources = s.Name, s.Version, []feature.Source{s.Source}
	case feature.KindView:
		v, err := c.View(ref)
		if err != nil {
			return nil, err
		}
		d.Name, version, d.Definitions.Views = v.Name, v.Version, []feature.View{v.View}
	case feature.KindService:
		s, err := c.Service(ref)
		if err != nil {
			return nil, err
		}
		d.Name, version, d.Definitions.Services = s.Name, s.Version, []feature.Service{s.Service}
	case feature.KindRole:
		r, err := c.Role(ref)
		if err != nil {
			return nil, err
		}
		d.Name, version, d.Definitions.Roles = r.Name, r.Version, []feature.Role{r.Role}
	default:
		return nil, fault.New(fault.InvalidArgument, "found no kind of definitions, expected entity, source, view, service or role")
	}
	d.Summary = c.entries[kind][d.Name][version-1].summary
	d.Inputs = c.inputs(kind, d.Name, version)
	d.Dependents = c.Dependents(kind, d.Name, version)
	return d, nil
}

func (c *Catalog) inputs(kind feature.Kind, name string, version int) []string {
	var nodes []string
	switch kind {
	case feature.KindView:
		v := c.views.at(name, version)
		nodes = append(nodes, node(feature.KindEntity, v.Entity))
		for _, s := range v.SourceVersions {
			nodes = append(nodes, node(feature.KindSource, s.Name))
		}
	case feature.KindService:
		for _, p := range c.services.at(name, version).Pins {
			nodes = append(nodes, node(feature.KindView, p.View.Ref()))
		}
	}
	return nodes
}

// Dependents are the nodes that read from a version of a definition, by what they are now: versions of views, and services
// whose newest version is pinned to it.
func (c *Catalog) Dependents(kind feature.Kind, name string, version int) []string {
	var nodes []string
	switch kind {
	case feature.KindEntity, feature.KindSource:
		for _, v := range c.views.all() {
			reads := kind == feature.KindEntity && v.Entity == name && v.EntityVersion.Version == version ||
				kind == feature.KindSource && slices.ContainsFunc(v.SourceVersions, func(s *feature.SourceVersion) bool {
					return s.Name == name && s.Version == version
				})
			if reads {
				nodes = append(nodes, node(feature.KindView, v.Ref()))
			}
		}
	case feature.KindView:
		for _, s := range c.services.newest() {
			if slices.ContainsFunc(s.Pins, func(p feature.ServicePin) bool {
				return p.View.Name == name && p.View.Version == version
			}) {
				nodes = append(nodes, node(feature.KindService, s.Name))
			}
		}
	}
	return nodes
}

func node(kind feature.Kind, name string) string { return kind.String() + ":" + name }
