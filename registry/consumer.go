package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// A consumer is outside: what it reads may change and end without it, and whoever does that is told. It holds nothing back.

func (p *proposal) consumer(field string, c *feature.Consumer) {
	v := &feature.ConsumerVersion{Fingerprint: c.Fingerprint(), Consumer: *c}
	for i, r := range c.Reads {
		if why := p.unreadable(r); why != "" {
			p.problems = append(p.problems, feature.Problem{
				Kind: feature.KindConsumer, Name: c.Name, Field: field + "." + c.ReadField(i), Message: why,
			})
		}
	}
	old := p.base.consumers.last(c.Name)
	s := settling{
		nameOf: nameOf{feature.KindConsumer, c.Name}, field: field, difference: func() feature.Difference { return feature.DiffConsumer(old, v) },
		fingerprint: v.Fingerprint, after: feature.Definitions{Consumers: []feature.Consumer{*c}},
	}
	if old != nil {
		s.before.Consumers, s.old = []feature.Consumer{old.Consumer}, old.Version
	}
	v.Version, _ = p.settle(s)
	p.consumers[c.Name] = v
}

// unreadable says which version or feature of a read is not there; or "".
func (p *proposal) unreadable(r feature.ConsumerRead) string {
	switch r.Kind {
	case feature.ReadsService:
		newest := p.serviceNow(r.Name)
		if newest == nil || r.Version == 0 || r.Version == newest.Version || p.base.services.at(r.Name, r.Version) != nil {
			return ""
		}
		return fmt.Sprintf("found no version %d of service %s, expected one of 1 to %d", r.Version, r.Name, newest.Version)
	case feature.ReadsView, feature.ReadsFeature:
		view := p.viewNow(r.Name)
		if view == nil {
			// It is being made, and what is wrong with it is told there.
			return ""
		}
		if r.Version != 0 {
			var why string
			if view, why = p.viewAt(r.Name, r.Version); view == nil {
				return why
			}
		}
		if r.Kind == feature.ReadsFeature {
			return view.MissingFeature(r.Feature, view.Ref())
		}
	}
	return ""
}

// consumersOf are the consumers after the changes that read something of a definition, by name, without those that are removed.
func (p *proposal) consumersOf(n nameOf, removed map[nameOf]bool) []*feature.ConsumerVersion {
	var list []*feature.ConsumerVersion
	for _, name := range namesOf(p.base.consumers, p.consumers) {
		c, self := p.consumers[name], nameOf{feature.KindConsumer, name}
		if c == nil && p.base.removed(self.kind, self.name) == nil && !removed[self] {
			c = p.base.consumers.last(name)
		}
		if c != nil && slices.ContainsFunc(c.Reads, func(r feature.ConsumerRead) bool { return r.Of(n.kind, n.name) }) {
			list = append(list, c)
		}
	}
	return list
}

func consumerDependents(consumers []*feature.ConsumerVersion) []dependent {
	var list []dependent
	for _, c := range consumers {
		list = append(list, dependent{node(feature.KindConsumer, c.Name), feature.KindConsumer.String(), c.Name})
	}
	return list
}

// consumersReading are the consumers in use that read a version of a definition; those that name none read the newest.
func (c *Catalog) consumersReading(kind feature.Kind, name string, version int) []string {
	var nodes []string
	newest := version == len(c.entries[kind][name])
	for _, o := range c.Consumers() {
		if slices.ContainsFunc(o.Reads, func(r feature.ConsumerRead) bool {
			return r.Of(kind, name) && (r.Version == version || r.Version == 0 && newest)
		}) {
			nodes = append(nodes, node(feature.KindConsumer, o.Name))
		}
	}
	return nodes
}

// warnOfReaders tells which consumers read what ends, or the features that a new version of a view has no more.
func (p *proposal) warnOfReaders(c *proposed, shows func(kind, name string) bool) {
	hidden := 0
	tell := func(o *feature.ConsumerVersion, what string) {
		if shows != nil && !shows(feature.KindConsumer.String(), o.Name) {
			hidden++
			return
		}
		c.change.Warnings = append(c.change.Warnings, fmt.Sprintf("%s, %s", o.Title(), what))
	}
	switch {
	case c.change.Kind == Remove:
		for _, o := range c.readers {
			tell(o, "reads it outside and is not asked: it finds nothing there any more; tell its owner, and take it out of its reads")
		}
	case c.change.Kind == Retire:
		for _, o := range c.readers {
			tell(o, "reads it outside and goes on being served; tell its owner that nothing new may use it")
		}
	case c.view != nil && c.fresh && c.change.Version > 1:
		removed := map[nameOf]bool{}
		for _, other := range p.changes {
			removed[nameOf{other.change.DefinitionKind, other.change.Name}] = other.change.Kind == Remove
		}
		for _, o := range p.consumersOf(nameOf{feature.KindView, c.view.Name}, removed) {
			var gone []string
			for _, r := range o.Reads {
				if r.Kind == feature.ReadsFeature && r.Name == c.view.Name && r.Version == 0 && c.view.FeatureIndex(r.Feature) < 0 {
					gone = append(gone, r.Feature)
				}
			}
			if len(gone) > 0 {
				tell(o, fmt.Sprintf("reads %s outside, which version %d does not have; tell its owner, and change its reads",
					strings.Join(gone, ", "), c.change.Version))
			}
		}
	}
	switch {
	case hidden == 1:
		c.change.Warnings = append(c.change.Warnings, "a consumer outside that you may not list reads what ends here")
	case hidden > 1:
		c.change.Warnings = append(c.change.Warnings, fmt.Sprintf("%d consumers outside that you may not list read what ends here", hidden))
	}
}

// warnOfReads tells what a consumer reads that is retired, and what is not there yet. What whoever asks may not list looks as if it were
// not.
func (r *Registry) warnOfReads(ctx context.Context, tx pgx.Tx, p *proposal, c *proposed, datasets []Dataset, shows func(kind, name string) bool) error {
	var models []string
	if r.config.Models != nil {
		var err error
		if models, err = r.config.Models(ctx, tx); err != nil {
			return fmt.Errorf("list the models: %w", err)
		}
	}
	there := func(read feature.ConsumerRead) bool {
		if shows != nil && !shows(read.Kind.String(), read.Name) {
			return false
		}
		if read.Kind == feature.ReadsModel {
			return slices.Contains(models, read.Name)
		}
		return slices.ContainsFunc(datasets, func(d Dataset) bool { return d.Name == read.Name })
	}
	for _, read := range p.consumers[c.change.Name].Reads {
		switch read.Kind {
		case feature.ReadsDataset, feature.ReadsModel:
			if !there(read) {
				c.change.Warnings = append(c.change.Warnings, fmt.Sprintf("reads %s %s, of which there is none that you may list; lineage and impact "+
					"reach the consumer from it once there is: `headwater %[1]s list` shows those there are", read.Kind, read.Name))
			}
			continue
		}
		n := nameOf{feature.KindView, read.Name}
		if read.Kind == feature.ReadsService {
			n.kind = feature.KindService
		}
		if _, given := p.given[n]; given {
			continue
		}
		if end := p.base.retired(n.kind, n.name); end != nil {
			c.change.Warnings = append(c.change.Warnings, fmt.Sprintf("reads %s %s, which was retired on %s; use another", n.kind, n.name,
				end.At.Format(time.DateOnly)))
		}
	}
	return nil
}
