package server

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/lineage"
)

// impactedConsumer is a consumer outside with what it reads of what is told.
type impactedConsumer struct {
	*feature.ConsumerVersion
	title string
}

// findConsumers finds the consumers outside that read something that is told, now that all else is. What they were given is not known here, so
// none is exact; a read that names no version may have been of any.
func (i *impact) findConsumers() {
	for _, c := range i.catalog.Consumers() {
		var by []string
		for _, r := range c.Reads {
			affected, visible := i.readsAffected(r)
			what := fmt.Sprintf("reads %s %s", r.Kind, r.Ref())
			if !visible {
				what = fmt.Sprintf("reads a %s that you may not see", r.Kind)
			}
			if affected && !slices.Contains(by, what) {
				by = append(by, what)
			}
		}
		if len(by) == 0 {
			continue
		}
		title := strings.Join(by, ", ")
		if c.Type != "" {
			title = c.Type + ", " + title
		}
		i.consumers = append(i.consumers, impactedConsumer{c, title})
		i.add(lineage.Consumer, i.allows(access.KindConsumer, c.Name), &headwaterv1.ImpactedNode{
			Id: "consumer:" + c.Ref(), Owner: c.Owner, Title: title, Why: "it is outside, so what it was given is not known",
		})
	}
}

// readsAffected reports whether what a consumer reads is among what is affected, and whether the caller may read the lineage of it.
func (i *impact) readsAffected(r feature.ConsumerRead) (affected, visible bool) {
	is := func(name string, version int) bool { return r.Name == name && (r.Version == 0 || r.Version == version) }
	switch r.Kind {
	case feature.ReadsService:
		return slices.ContainsFunc(i.services, func(s *impactedService) bool { return is(s.Name, s.Version) }), i.allows(access.KindService, r.Name)
	case feature.ReadsView, feature.ReadsFeature:
		return slices.ContainsFunc(i.views, func(v *impactedView) bool {
			_, has := v.features[r.Feature]
			return is(v.Name, v.Version) && (r.Kind == feature.ReadsView || has)
		}), i.allows(access.KindView, r.Name)
	case feature.ReadsDataset:
		return slices.ContainsFunc(i.datasets, func(d *impactedDataset) bool { return is(d.Name, d.Version) }), i.allows(access.KindDataset, r.Name)
	case feature.ReadsModel:
		return slices.ContainsFunc(i.models, func(m *lineage.ModelVersion) bool { return is(m.Name, m.Version) }), i.allows(access.KindModel, r.Name)
	}
	return false, false
}
