package registry

import (
	"maps"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// kindTag is the kind of tags in grants and policies, and byTag begins the name of what a grant names by its tags.
const (
	kindTag = "tag"
	byTag   = "tag="
)

// loosen asks about what the changes could let somebody do or see more; see Request.MayLoosen. It goes by the rules in force: those that
// come with the changes are not yet.
func (p *proposal) loosen(may func(kind, name string) error) error {
	if may == nil {
		return nil
	}
	tags := map[string]bool{}
	for _, c := range p.changes {
		n := nameOf{c.change.DefinitionKind, c.change.Name}
		ends := c.change.Kind == Remove || c.change.Kind == Retire
		switch n.kind {
		case feature.KindRole:
			// What it denied may be gone with it, and whoever still has its name gets what comes back.
			if c.fresh || ends || c.change.Kind == Revive {
				if err := may(n.kind.String(), n.name); err != nil {
					return err
				}
			}
		case feature.KindPolicy:
			// One that was not in force can only hide more.
			if there := len(p.base.entries[n.kind][n.name]) > 0 && p.base.removed(n.kind, n.name) == nil; there && (c.fresh || ends) {
				if err := may(n.kind.String(), n.name); err != nil {
					return err
				}
			}
		default:
			if ends || c.before == nil {
				continue
			}
			if c.dropsGates() {
				if err := may(n.kind.String(), n.name); err != nil {
					return err
				}
			}
			p.loosenedTags(tags, c)
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		if err := may(kindTag, tag); err != nil {
			return err
		}
	}
	return nil
}

// dropsGates reports whether a change takes off what must hold before something is given out.
func (c *proposed) dropsGates() bool {
	for i := range c.body.Views {
		if before := c.before.Views; len(before) > i && before[i].Gates.Dropped(&c.body.Views[i].Gates) != nil {
			return true
		}
	}
	for i := range c.body.Services {
		before, after := c.before.Services, &c.body.Services[i]
		if len(before) > i && (before[i].Gates.Dropped(&after.Gates) != nil || before[i].HoldsSpines() && !after.HoldsSpines()) {
			return true
		}
	}
	return false
}

// loosenedTags adds the tags that a change takes off what stays, where something that restricts goes by them, or puts on what is there,
// where something that allows does. What comes anew with its tags is for who may read what it is made of.
func (p *proposal) loosenedTags(tags map[string]bool, c *proposed) {
	before, after := writtenTags(c.before), writtenTags(&c.body)
	for place, was := range before {
		is, stays := after[place]
		if !stays {
			continue
		}
		for _, tag := range was {
			if !slices.Contains(is, tag) && p.goBy(tag, false) {
				tags[tag] = true
			}
		}
		for _, tag := range is {
			if !slices.Contains(was, tag) && p.goBy(tag, true) {
				tags[tag] = true
			}
		}
	}
}

// goBy reports whether a grant that allows names a tag, or, not allowing, a policy or a grant that denies, or datasets are held or features refused
// by it.
func (p *proposal) goBy(tag string, allowing bool) bool {
	if !allowing && (feature.IsImpactTag(tag) || tag == feature.ProtectedTag) {
		return true
	}
	for _, r := range p.base.Roles() {
		for _, g := range r.Grants {
			if g.Deny != allowing && slices.ContainsFunc(g.Resources, func(r feature.ResourcePattern) bool {
				pattern, tagged := strings.CutPrefix(r.Name, byTag)
				return tagged && feature.MatchesPattern(pattern, tag)
			}) {
				return true
			}
		}
	}
	return !allowing && slices.ContainsFunc(p.base.Policies(), func(v *feature.PolicyVersion) bool {
		return slices.ContainsFunc(v.Resources, func(r feature.ResourcePattern) bool {
			return r.Kind == kindTag && feature.MatchesPattern(r.Name, tag)
		})
	})
}

// writtenTags are the tags that one definition writes, by the place where they stand: itself, or a column.
func writtenTags(d *feature.Definitions) map[string][]string {
	tags := map[string][]string{}
	columns := func(place string, list []feature.Column) {
		for i := range list {
			tags[place+"."+list[i].Name] = list[i].Tags
		}
	}
	for i := range d.Entities {
		tags[""] = d.Entities[i].Tags
		columns("key", d.Entities[i].JoinKeys)
	}
	for i := range d.Sources {
		tags[""] = d.Sources[i].Tags
		columns("column", d.Sources[i].Columns)
	}
	for i := range d.Views {
		v := &d.Views[i]
		tags[""] = v.Tags
		columns("column", v.Features)
		columns("column", v.Attributes)
		if v.OnDemand != nil {
			columns("input", v.OnDemand.Inputs)
		}
	}
	for i := range d.Services {
		tags[""] = d.Services[i].Tags
		columns("label", d.Services[i].Labels)
	}
	for i := range d.Consumers {
		tags[""] = d.Consumers[i].Tags
	}
	return tags
}
