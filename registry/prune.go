package registry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// kindDataset is the kind of datasets in nodes and grants.
const kindDataset = "dataset"

// dependent is what reads from a definition.
type dependent struct {
	node string
	// kind and name are what grants name it by.
	kind, name string
}

func datasetDependent(d *Dataset) dependent {
	return dependent{node: kindDataset + ":" + d.ID, kind: kindDataset, name: d.Name}
}

// prune ends what the files do not have: what nothing that stays uses is removed; the rest is retired, or refused.
func (p *proposal) prune(datasets []Dataset, request Request) error {
	candidates := p.absent()
	removed := map[nameOf]bool{}
	for _, n := range candidates {
		removed[n] = true
	}
	// What stays keeps what it uses; that may keep more.
	kept := map[nameOf][]dependent{}
	for again := true; again; {
		again = false
		for _, n := range candidates {
			if !removed[n] {
				continue
			}
			if users := p.users(n, removed, datasets); len(users) > 0 {
				kept[n], again = users, true
				delete(removed, n)
			}
		}
	}
	var ends []*proposed
	var refused []fault.Violation
	for _, n := range candidates {
		retired := p.base.retired(n.kind, n.name) != nil
		if retired && !removed[n] {
			continue
		}
		if request.MayEnd != nil {
			if err := request.MayEnd(n.kind, n.name); err != nil {
				return err
			}
		}
		switch users := kept[n]; {
		case removed[n]:
			ends = append(ends, p.end(Remove, n, nil, removed))
		case request.Retire:
			p.refuseUseOfRetiring(n)
			ends = append(ends, p.end(Retire, n, users, removed))
		default:
			refused = append(refused, fault.Violation{Field: n.node(), Description: fmt.Sprintf("found it used by %s, and not in the files; "+
				"put it back into them, or end what uses it, or add --retire: then it goes on serving that, and nothing new may use it",
				shownNodes(users, request.Shows))})
		}
	}
	if len(refused) > 0 {
		what := "a definition that is used"
		if len(refused) > 1 {
			what = fmt.Sprintf("%d definitions that are used", len(refused))
		}
		return fault.New(fault.FailedPrecondition, "--prune would remove %s; nothing was changed", what).Violating(refused...)
	}
	p.changes = append(p.changes, ends...)
	return nil
}

// absent is what is in use or retired and not in the files: what reads comes before what it reads.
func (p *proposal) absent() []nameOf {
	var list []nameOf
	for _, kind := range []feature.Kind{feature.KindConsumer, feature.KindPolicy, feature.KindRole, feature.KindService, feature.KindView, feature.KindSource, feature.KindEntity} {
		for _, versions := range sortedEntries(p.base.entries[kind]) {
			n := nameOf{kind, versions[0].summary.Name}
			if _, given := p.given[n]; !given && p.base.removed(n.kind, n.name) == nil {
				list = append(list, n)
			}
		}
	}
	return list
}

// end is the change that removes or retires a name. removed are those that the changes remove.
func (p *proposal) end(kind ChangeKind, n nameOf, users []dependent, removed map[nameOf]bool) *proposed {
	versions := p.base.entries[n.kind][n.name]
	newest := versions[len(versions)-1].summary
	c := &proposed{change: Change{
		Kind: kind, DefinitionKind: n.kind, Name: n.name, Version: newest.Version, Fingerprint: newest.Fingerprint,
	}}
	c.readers = p.consumersOf(n, removed)
	c.users = append(users, consumerDependents(c.readers)...)
	if n.kind == feature.KindPolicy {
		c.change.Warnings = append(c.change.Warnings, "what it hides is seen at once by whoever may read it")
	}
	if n.kind == feature.KindRole {
		c.change.Warnings = append(c.change.Warnings, "tokens that have the role keep its name, and lose its grants at once")
	}
	return c
}

// refuseUseOfRetiring finds new uses of what is being retired.
func (p *proposal) refuseUseOfRetiring(n nameOf) {
	for _, u := range p.uses {
		if u.to == n {
			p.problems = append(p.problems, feature.Problem{Kind: u.from.kind, Name: u.from.name, Field: u.field, Message: fmt.Sprintf(
				"found %s %s, which is not in the files and would be retired, so that nothing new may use it; put its definition into the "+
					"files, or use another", n.kind, n.name)})
		}
	}
}

// users are what stays and uses a name when the given ones are removed.
func (p *proposal) users(n nameOf, removed map[nameOf]bool, datasets []Dataset) []dependent {
	var list []dependent
	for _, v := range p.viewsInUse(removed) {
		uses := n.kind == feature.KindEntity && v.EntityVersion != nil && v.Entity == n.name ||
			n.kind == feature.KindSource && slices.Contains(v.SourceNames(), n.name) ||
			n.kind == feature.KindView && v.Name != n.name &&
				slices.ContainsFunc(v.ViewVersions, func(w *feature.ViewVersion) bool { return w.Name == n.name })
		if uses {
			list = append(list, dependent{node(feature.KindView, v.Ref()), feature.KindView.String(), v.Name})
		}
	}
	if n.kind == feature.KindView {
		for _, s := range p.servicesAfter(removed) {
			if slices.ContainsFunc(s.Pins, func(pin feature.ServicePin) bool { return pin.View.Name == n.name }) {
				list = append(list, dependent{node(feature.KindService, s.Name), feature.KindService.String(), s.Name})
			}
		}
	}
	return append(list, p.base.datasetsOf(n, datasets)...)
}

// datasetsOf are the datasets that were built from a view or a service.
func (c *Catalog) datasetsOf(n nameOf, datasets []Dataset) []dependent {
	var list []dependent
	for i := range datasets {
		d := &datasets[i]
		from := n.kind == feature.KindService && d.Service == n.name ||
			n.kind == feature.KindView && slices.ContainsFunc(c.views[n.name], func(v *feature.ViewVersion) bool {
				return slices.Contains(d.ViewIDs, v.ID)
			})
		if from {
			list = append(list, datasetDependent(d))
		}
	}
	return list
}

// servicesAfter are the newest versions after the changes, by name, without those that are removed.
func (p *proposal) servicesAfter(removed map[nameOf]bool) []*feature.ServiceVersion {
	var list []*feature.ServiceVersion
	for _, name := range namesOf(p.base.services, p.services) {
		n := nameOf{feature.KindService, name}
		if _, given := p.given[n]; given || p.base.removed(n.kind, n.name) == nil && !removed[n] {
			list = append(list, p.serviceNow(name))
		}
	}
	return list
}

// viewsInUse are the versions of views that go on being served or computed, by name and version: the newest of each, what
// services are pinned to, and what those read.
func (p *proposal) viewsInUse(removed map[nameOf]bool) []*feature.ViewVersion {
	var list []*feature.ViewVersion
	seen := map[string]bool{}
	var add func(v *feature.ViewVersion)
	add = func(v *feature.ViewVersion) {
		if seen[v.Ref()] {
			return
		}
		seen[v.Ref()] = true
		list = append(list, v)
		for _, w := range v.ViewVersions {
			add(w)
		}
	}
	for _, name := range namesOf(p.base.views, p.views) {
		n := nameOf{feature.KindView, name}
		if _, given := p.given[n]; given || p.base.removed(n.kind, n.name) == nil && !removed[n] {
			add(p.viewNow(name))
		}
	}
	for _, s := range p.servicesAfter(removed) {
		for _, pin := range s.Pins {
			add(pin.View)
		}
	}
	slices.SortFunc(list, func(a, b *feature.ViewVersion) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return a.Version - b.Version
	})
	return list
}

func namesOf[V any](base history[V], now map[string]*V) []string {
	names := base.names()
	for name := range now {
		if _, there := base[name]; !there {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// maxNodes is how many dependents a message names.
const maxNodes = 20

// shownNodes lists dependents for a message, without those that the caller may not know of.
func shownNodes(users []dependent, shows func(kind, name string) bool) string {
	nodes := visible(users, shows)
	hidden := len(users) - len(nodes)
	more := ""
	if len(nodes) > maxNodes {
		nodes, more = nodes[:maxNodes], fmt.Sprintf(" and %d more", len(nodes)-maxNodes)
	}
	text := strings.Join(nodes, ", ") + more
	switch {
	case hidden > 0 && text == "":
		return fmt.Sprintf("%d that you may not list", hidden)
	case hidden > 0:
		return fmt.Sprintf("%s, and by %d that you may not list", text, hidden)
	}
	return text
}

func visible(users []dependent, shows func(kind, name string) bool) []string {
	var nodes []string
	for _, u := range users {
		if shows == nil || shows(u.kind, u.name) {
			nodes = append(nodes, u.node)
		}
	}
	return nodes
}
