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

func TestGatesAndLabelsOfServices(t *testing.T) {
	label := func(name string) Column { return Column{Name: name, Type: TypeString} }
	for _, c := range []struct {
		service Service
		want    string
	}{
		{Service{Gates: Gates{Release: []Gate{GateChecks, GateDrift, GateFreshness, GateImpactReport}}, Labels: []Column{label("hired")}}, ""},
		{Service{Gates: Gates{Release: []Gate{"impact"}}}, `gates.release[0]: found the gate "impact", expected one of checks, drift, freshness, impact_report`},
		{Service{Gates: Gates{Serve: []Gate{GateChecks, GateDrift, GateFreshness, GateImpactReport}}}, ""},
		{Service{Gates: Gates{Serve: []Gate{GateDrift, "fresh"}}}, `gates.serve[1]: found the gate "fresh", expected one of checks, drift, freshness, impact_report`},
		{Service{Labels: []Column{label("hired"), label("hired")}}, "labels[1].name: found a second column called hired (there is a label of that name), expected each name once"},
		{Service{Labels: []Column{{Name: "hired"}}}, "labels[0].type: found no type, expected one of " + TypeNames()},
	} {
		v := validation{path: "s"}
		v.serviceGates(&c.service)
		var found []string
		for _, p := range v.problems {
			found = append(found, strings.TrimPrefix(p.Field, "s.")+": "+p.Message)
		}
		if got := strings.Join(found, "; "); got != c.want {
			t.Errorf("%v: found\n%s\nexpected\n%s", c.service.Gates, got, c.want)
		}
	}
	keys := &EntityVersion{Entity: Entity{Name: "person", JoinKeys: []Column{label("person")}}}
	view := &ViewVersion{View: View{Name: "skills", Entity: "person", Features: []Column{label("test")}}, EntityVersion: keys}
	s := &ServiceVersion{Service: Service{Name: "s", Labels: []Column{label("person"), label("points"), label("hired")}},
		Pins: []ServicePin{{View: view, Features: []int{0}, Names: []string{"points"}}}}
	var found []string
	for _, p := range s.OutputProblems() {
		found = append(found, p.Field+": "+p.Message)
	}
	want := "labels[0].name: found the name person, which is that of the join key person of entity person; leave it out: spines have that column anyway\n" +
		"labels[1].name: found the name points, which is that of a feature; give the label another name"
	if got := strings.Join(found, "\n"); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	// Neither makes a new version.
	before := *s
	before.Labels = nil
	if s.Service.Fingerprint(s.Pins) != before.Service.Fingerprint(s.Pins) {
		t.Error("found another fingerprint by labels")
	}
	s.Fingerprint, before.Fingerprint = s.Service.Fingerprint(s.Pins), s.Service.Fingerprint(s.Pins)
	if d := DiffService(&before, s); !d.WordsOnly || len(d.Lines) != 3 {
		t.Errorf("found %+v", d)
	}
}
