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
	revision  int64
	entities  history[feature.EntityVersion]
	sources   history[feature.SourceVersion]
	views     history[feature.ViewVersion]
	services  history[feature.ServiceVersion]
	roles     history[feature.RoleVersion]
	policies  history[feature.PolicyVersion]
	consumers history[feature.ConsumerVersion]
	viewByID  map[int64]*feature.ViewVersion
	tags      *feature.Tags
	// ids and applied are by kind, then name, then version - 1.
	entries map[feature.Kind]map[string][]entry
	// ends holds the names that are removed or retired.
	ends map[nameOf]*End
}

// entry is what the registry keeps of a version beside the definition.
type entry struct {
	id      int64
	summary Summary
}

// history holds, for each name, its versions from 1 on.
type history[V any] map[string][]*V

func newCatalog(revision int64) *Catalog {
	c := &Catalog{
		revision:  revision,
		entities:  history[feature.EntityVersion]{},
		sources:   history[feature.SourceVersion]{},
		views:     history[feature.ViewVersion]{},
		services:  history[feature.ServiceVersion]{},
		roles:     history[feature.RoleVersion]{},
		policies:  history[feature.PolicyVersion]{},
		consumers: history[feature.ConsumerVersion]{},
		viewByID:  map[int64]*feature.ViewVersion{},
		entries:   map[feature.Kind]map[string][]entry{},
		ends:      map[nameOf]*End{},
	}
	c.tags = feature.NewTags(c.entities.last, c.sources.last, c.views.last)
	return c
}

// Revision counts the changes of the registry. 0: nothing was ever applied.
func (c *Catalog) Revision() int64 { return c.revision }

// Entity finds an entity by NAME (the newest version) or NAME@VERSION. The error is a NOT_FOUND fault, also for what was
// removed.
func (c *Catalog) Entity(ref string) (*feature.EntityVersion, error) {
	return find(c, c.entities, feature.KindEntity, ref)
}

// Source finds a source as Entity finds an entity.
func (c *Catalog) Source(ref string) (*feature.SourceVersion, error) {
	return find(c, c.sources, feature.KindSource, ref)
}

// View finds a view as Entity finds an entity.
func (c *Catalog) View(ref string) (*feature.ViewVersion, error) {
	return find(c, c.views, feature.KindView, ref)
}

// Service finds a service as Entity finds an entity.
func (c *Catalog) Service(ref string) (*feature.ServiceVersion, error) {
	return find(c, c.services, feature.KindService, ref)
}

// Role finds a role as Entity finds an entity.
func (c *Catalog) Role(ref string) (*feature.RoleVersion, error) {
	return find(c, c.roles, feature.KindRole, ref)
}

// NewestSource is the newest version of a source, also of one that was removed, or nil.
func (c *Catalog) NewestSource(name string) *feature.SourceVersion { return c.sources.last(name) }

// PastSource finds a source as Source does, one that was removed too.
func (c *Catalog) PastSource(ref string) (*feature.SourceVersion, error) {
	return findPast(c.sources, feature.KindSource, ref)
}

// PastPolicy finds a policy by NAME@VERSION, also one that was removed, or nil.
func (c *Catalog) PastPolicy(ref string) *feature.PolicyVersion {
	p, err := findPast(c.policies, feature.KindPolicy, ref)
	if err != nil {
		return nil
	}
	return p
}

// Policies are the newest versions, as Entities are: the ones in effect.
func (c *Catalog) Policies() []*feature.PolicyVersion {
	return inUse(c, c.policies, feature.KindPolicy)
}

// PastView finds a view as View does, one that was removed too: for what was made of it, not for new use of it.
func (c *Catalog) PastView(ref string) (*feature.ViewVersion, error) {
	return findPast(c.views, feature.KindView, ref)
}

// PastService finds a service as PastView finds a view.
func (c *Catalog) PastService(ref string) (*feature.ServiceVersion, error) {
	return findPast(c.services, feature.KindService, ref)
}

// ViewByID finds a version of a view by its ID. The error is a NOT_FOUND fault.
func (c *Catalog) ViewByID(id int64) (*feature.ViewVersion, error) {
	if v, ok := c.viewByID[id]; ok {
		return v, nil
	}
	return nil, fault.New(fault.NotFound, "found no version of a view with the id %d", id)
}

// Entities are the newest versions, by name, without those that were removed.
func (c *Catalog) Entities() []*feature.EntityVersion {
	return inUse(c, c.entities, feature.KindEntity)
}

// Sources are the newest versions, as Entities are.
func (c *Catalog) Sources() []*feature.SourceVersion { return inUse(c, c.sources, feature.KindSource) }

// Views are the newest versions, as Entities are.
func (c *Catalog) Views() []*feature.ViewVersion { return inUse(c, c.views, feature.KindView) }

// ViewsToRun are Views without those that are retired.
func (c *Catalog) ViewsToRun() []*feature.ViewVersion {
	return slices.DeleteFunc(c.Views(), func(v *feature.ViewVersion) bool { return c.retired(feature.KindView, v.Name) != nil })
}

// VersionsOf are all versions of a view, from 1 on, also of one that was removed.
func (c *Catalog) VersionsOf(view string) []*feature.ViewVersion { return c.views[view] }

// ViewVersions are all versions of all views, by name and version, those that were removed too.
func (c *Catalog) ViewVersions() []*feature.ViewVersion { return c.views.all() }

// ServiceVersions are all versions of all services, by name and version, those that were removed too.
func (c *Catalog) ServiceVersions() []*feature.ServiceVersion { return c.services.all() }

// Services are the newest versions, as Entities are.
func (c *Catalog) Services() []*feature.ServiceVersion {
	return inUse(c, c.services, feature.KindService)
}

// Roles are the newest versions, as Entities are: the ones in effect.
func (c *Catalog) Roles() []*feature.RoleVersion { return inUse(c, c.roles, feature.KindRole) }

// Consumers are the newest versions, as Entities are.
func (c *Catalog) Consumers() []*feature.ConsumerVersion {
	return inUse(c, c.consumers, feature.KindConsumer)
}

// Tags are the tags of the catalog's columns.
func (c *Catalog) Tags() *feature.Tags { return c.tags }

// OwnTags are those of a definition as a whole, of the newest version and without those of its columns. nil: none, or no such kind or
// name.
func (c *Catalog) OwnTags(kind feature.Kind, name string) []string {
	switch kind {
	case feature.KindEntity:
		if v := c.entities.last(name); v != nil {
			return v.Docs.Tags
		}
	case feature.KindSource:
		if v := c.sources.last(name); v != nil {
			return v.Docs.Tags
		}
	case feature.KindView:
		if v := c.views.last(name); v != nil {
			return v.Docs.Tags
		}
	case feature.KindService:
		if v := c.services.last(name); v != nil {
			return v.Docs.Tags
		}
	case feature.KindRole:
		if v := c.roles.last(name); v != nil {
			return v.Docs.Tags
		}
	case feature.KindPolicy:
		if v := c.policies.last(name); v != nil {
			return v.Docs.Tags
		}
	case feature.KindConsumer:
		if v := c.consumers.last(name); v != nil {
			return v.Docs.Tags
		}
	}
	return nil
}

// NewestView is the newest version of a view, also of one that was removed, or nil.
func (c *Catalog) NewestView(name string) *feature.ViewVersion { return c.views.last(name) }

func inUse[V any](c *Catalog, h history[V], kind feature.Kind) []*V {
	var list []*V
	for _, name := range h.names() {
		if c.removed(kind, name) == nil {
			list = append(list, h.last(name))
		}
	}
	return list
}

func (h history[V]) names() []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
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

func find[V any](c *Catalog, h history[V], kind feature.Kind, ref string) (*V, error) {
	name, _, _ := strings.Cut(ref, "@")
	if e := c.removed(kind, name); e != nil {
		return nil, e.gone(kind, name)
	}
	return findPast(h, kind, ref)
}

// findPast finds also what was removed.
func findPast[V any](h history[V], kind feature.Kind, ref string) (*V, error) {
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
	// Deprecated is nil unless the version says that it is.
	Deprecated *feature.Deprecation
	// Retired and Removed are those of the name.
	Retired, Removed bool
}

// Summaries lists all versions of a kind, by name and version, without names that were removed.
func (c *Catalog) Summaries(kind feature.Kind) []Summary {
	var list []Summary
	for _, versions := range sortedEntries(c.entries[kind]) {
		for _, e := range versions {
			if s := c.summary(e); !s.Removed {
				list = append(list, s)
			}
		}
	}
	return list
}

// summary is what is known of a version, with what became of its name since.
func (c *Catalog) summary(e entry) Summary {
	s := e.summary
	s.Removed, s.Retired = c.removed(s.Kind, s.Name) != nil, c.retired(s.Kind, s.Name) != nil
	return s
}

func sortedEntries(m map[string][]entry) [][]entry {
	var list [][]entry
	for _, versions := range m {
		list = append(list, versions)
	}
	slices.SortFunc(list, func(a, b []entry) int { return strings.Compare(a[0].summary.Name, b[0].summary.Name) })
	return list
}
