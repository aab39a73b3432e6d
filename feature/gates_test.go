package feature

import (
	"strings"
	"testing"
	"time"
)

func TestGatesOfViews(t *testing.T) {
	fresh := &ViewFreshness{MaxAge: time.Hour}
	for _, c := range []struct {
		view View
		want string
	}{
		{View{Gates: Gates{Publish: []Gate{GateChecks, GateDrift, GateFreshness}}, Freshness: fresh}, ""},
		{View{Gates: Gates{Publish: []Gate{"drfit"}}}, `gates.publish[0]: found the gate "drfit", expected one of checks, drift, freshness; did you mean drift?`},
		{View{Gates: Gates{Publish: []Gate{"impact_report"}}}, `gates.publish[0]: found the gate "impact_report", expected one of checks, drift, freshness`},
		{View{Gates: Gates{Publish: []Gate{GateDrift, GateDrift}}}, "gates.publish[1]: found drift a second time, expected each gate once"},
		{View{Gates: Gates{Publish: []Gate{GateDrift, GateFreshness}}},
			"gates.publish[1]: found the gate freshness on a view that does not say how new it is to be; declare that: freshness: {max_age: 6h}"},
		{View{Gates: Gates{Publish: []Gate{GateChecks}}, OnDemand: &OnDemand{}},
			"gates.publish: found it on a view of on-demand features, which has no runs; declare it on the views that they read"},
	} {
		v := validation{path: "v"}
		v.viewGates(&c.view)
		var found []string
		for _, p := range v.problems {
			found = append(found, strings.TrimPrefix(p.Field, "v.")+": "+p.Message)
		}
		if got := strings.Join(found, "; "); got != c.want {
			t.Errorf("%v: found\n%s\nexpected\n%s", c.view.Gates, got, c.want)
		}
	}
}

// A gate is no part of what a view means, and its change is told.
func TestGatesAreWords(t *testing.T) {
	before, after := &ViewVersion{View: View{Name: "v"}}, &ViewVersion{View: View{Name: "v", Gates: Gates{Publish: []Gate{GateChecks, GateDrift}}}}
	if before.Meaning() != after.Meaning() {
		t.Error("found another meaning by a gate")
	}
	if d := DiffView(before, after); !d.WordsOnly || strings.Join(d.Lines, "; ") != "gates.publish: set to checks, drift" {
		t.Errorf("found %+v", d)
	}
	if dropped := after.Gates.Dropped(&Gates{Publish: []Gate{GateDrift}}); len(dropped) != 1 || dropped[0] != "publish checks" {
		t.Errorf("found %v", dropped)
	}
	if dropped := before.Gates.Dropped(&after.Gates); dropped != nil {
		t.Errorf("found %v dropped by one that is added", dropped)
	}
}
