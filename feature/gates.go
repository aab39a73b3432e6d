package feature

import (
	"fmt"
	"slices"
	"strings"
)

// Gate is what a definition can ask for before something is given out.
type Gate string

// The gates. The list is closed.
const (
	// GateChecks asks that checks passed: none warns, unless an approval waives it. Those that fail end a run whatever it asks.
	GateChecks Gate = "checks"
	// GateDrift asks that no column fails against the baseline.
	GateDrift Gate = "drift"
	// GateFreshness asks that the newest event time is as new as each view declares.
	GateFreshness Gate = "freshness"
	// GateImpactReport asks that somebody has looked at a report of outcomes by group.
	GateImpactReport Gate = "impact_report"
)

// Gates are what must hold, by what it holds back. They change nothing that a definition means, so that they make no new version.
type Gates struct {
	// Publish holds back the run of a view, Release the rows of a dataset of a service, and Serve another version of a service.
	Publish, Release, Serve []Gate
}

// publishGates are those that a run can be held to.
var publishGates = []Gate{GateChecks, GateDrift, GateFreshness}

// serviceGates are those that a dataset, and a version of a service, can be held to.
var serviceGates = []Gate{GateChecks, GateDrift, GateFreshness, GateImpactReport}

// HoldsSpines reports whether spines of the service have no columns but those that it declares.
func (s *Service) HoldsSpines() bool { return len(s.Labels) > 0 || len(s.Gates.Release) > 0 }

// Publishes reports whether a run is held to a gate before it is published.
func (g *Gates) Publishes(gate Gate) bool { return slices.Contains(g.Publish, gate) }

// Dropped are the gates that a definition had and has no more, such as `publish drift`.
func (g *Gates) Dropped(after *Gates) (list []string) {
	for i, lists := range [][2][]Gate{{g.Publish, after.Publish}, {g.Release, after.Release}, {g.Serve, after.Serve}} {
		for _, gate := range lists[0] {
			if !slices.Contains(lists[1], gate) {
				list = append(list, gateOccasions[i]+" "+string(gate))
			}
		}
	}
	return list
}

// gateOccasions are what gates hold back, as definitions call it.
var gateOccasions = []string{"publish", "release", "serve"}

func (d *Difference) gates(before, after *Gates) {
	d.names("gates.publish", gateNames(before.Publish), gateNames(after.Publish))
	d.names("gates.release", gateNames(before.Release), gateNames(after.Release))
	d.names("gates.serve", gateNames(before.Serve), gateNames(after.Serve))
}

func gateNames(gates []Gate) []string {
	names := make([]string, len(gates))
	for i, g := range gates {
		names[i] = string(g)
	}
	return names
}

// gateList checks the gates of one occasion.
func (v *validation) gateList(field string, gates, allowed []Gate) {
	for i, g := range gates {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case !slices.Contains(allowed, g):
			message := fmt.Sprintf("found the gate %s, expected one of %s", shown(string(g)), strings.Join(gateNames(allowed), ", "))
			if near, ok := Nearest(string(g), gateNames(allowed)); ok {
				message += "; did you mean " + near + "?"
			}
			v.add(at, "%s", message)
		case slices.Contains(gates[:i], g):
			v.add(at, "found %s a second time, expected each gate once", g)
		}
	}
}

func (v *validation) viewGates(view *View) {
	g := &view.Gates
	if len(g.Publish) > 0 && view.OnDemand != nil {
		v.add("gates.publish", "found it on a view of on-demand features, which has no runs; declare it on the views that they read")
		return
	}
	v.gateList("gates.publish", g.Publish, publishGates)
	if i := slices.Index(g.Publish, GateFreshness); i >= 0 && view.Freshness == nil {
		v.add(fmt.Sprintf("gates.publish[%d]", i), "found the gate freshness on a view that does not say how new it is to be; declare that: freshness: {max_age: 6h}")
	}
}

// serviceGates checks the gates and labels of a service.
func (v *validation) serviceGates(s *Service) {
	v.gateList("gates.release", s.Gates.Release, serviceGates)
	v.gateList("gates.serve", s.Gates.Serve, serviceGates)
	v.columns("labels", "label", s.Labels, map[string]string{})
}
