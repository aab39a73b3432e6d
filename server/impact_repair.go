package server

import (
	"fmt"
	"slices"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// repair plans what would mend what is told: the rows first, then what runs wrote of them, what is online, what was built, and what was trained.
// Nothing is named that the caller is not told of.
func (i *impact) repair() {
	step := func(node, why, format string, args ...any) {
		i.resp.Repairs = append(i.resp.Repairs, &headwaterv1.RepairStep{Command: fmt.Sprintf(format, args...), Why: why, Node: node})
	}
	name := i.request.GetSource()
	if i.load != nil && i.load.EndedBy == 0 {
		step(fmt.Sprintf("load:%d", i.load.ID), fmt.Sprintf("its rows count until it is taken back, or replaced: headwater ingest %s FILE --replaces %d", name, i.load.ID),
			"headwater loads retract %d --reason REASON", i.load.ID)
	}
	var online []*impactedView
	for _, v := range i.views {
		if v.rows == nil || !v.visible || v.rows.ByRow && v.rows.Live == 0 {
			continue
		}
		node := "view:" + v.Ref()
		if i.load != nil {
			step(node, "a run takes up what became of the load", "headwater materialize %s --wait", v.Ref())
		} else {
			window := ""
			if v.rows.ByRow {
				window = fmt.Sprintf(" --from %s --to %s", v.rows.From, v.rows.To)
			}
			step(node, "once the rows are right: a run computes it anew", "headwater materialize %s%s --wait", v.Ref(), window)
		}
		if slices.ContainsFunc(i.services, func(s *impactedService) bool {
			return s.live && slices.Contains(s.views, v) && i.allows(access.KindService, s.Name)
		}) {
			online = append(online, v)
		}
	}
	for _, v := range online {
		step("view:"+v.Ref(), "a service serves it: a run loads what it changed, and this whatever Redis may have lost", "headwater online rebuild %s", v.Ref())
	}
	built := map[string]bool{}
	for _, d := range i.datasets {
		if !i.allows(access.KindDataset, d.Name) {
			continue
		}
		built[d.ID] = true
		// The service and the source of a spine may be others' than those that are told of.
		named := func(kind access.Kind, name, hidden string) string {
			if i.allows(kind, name) {
				return name
			}
			return hidden
		}
		what, spine := "--service "+named(access.KindService, d.Service, "SERVICE"), "--spine SPINE"
		if len(d.Features) > 0 {
			what = "--feature FEATURES"
		}
		if o := d.SpineOrigin; o != nil && o.Events != nil {
			spine = "--spine-events " + named(access.KindSource, nameOf(o.Events.Source), "SOURCE")
		} else if o != nil {
			spine = "--spine-sql-file SQL --spine-source " + nameOf(name)
		}
		step("dataset:"+d.ID, "a dataset does not change: build its next version, as its manifest says", "headwater dataset build %s --name %s %s --out FILE", what, d.Name, spine)
	}
	for _, m := range i.models {
		if m.Dataset == "" || !built[m.Dataset] || !i.allows(access.KindModel, m.Name) {
			continue
		}
		service := "SERVICE"
		if i.allows(access.KindService, m.Service) {
			service = m.Service
		}
		step(fmt.Sprintf("model:%s@%d", m.Name, m.Version), "it was trained on what was wrong: train it on the new dataset, and say so",
			"headwater model register %s --dataset DATASET --service %s", m.Name, service)
	}
	for _, c := range i.consumers {
		if !i.allows(access.KindConsumer, c.Name) {
			continue
		}
		who := c.Owner
		if who == "" {
			who = "whoever applied it, for it has no owner"
		}
		step("consumer:"+c.Ref(), fmt.Sprintf("it is outside: tell %s (%s)", who, c.title), "headwater describe consumer %s", c.Ref())
	}
}
