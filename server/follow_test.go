package server

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// followed is what describe says of the service tail: the version it reads, and why no newer one.
func (p *product) followed() string {
	p.t.Helper()
	d, err := p.registry.GetDefinition(p.admin, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_SERVICE, Name: "tail"})
	if err != nil {
		p.t.Fatal(err)
	}
	f := d.GetFollowed()[0]
	return strings.Join(append([]string{f.GetView() + "@" + string('0'+rune(f.GetVersion()))}, f.GetPassedOver()...), "; ")
}

func TestAServiceFollowsThePublished(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	other := openProduct(t, p.url, p.redisURL)
	d := definitions()
	d.Services = append(d.Services, feature.Service{Name: "tail", Views: []feature.ServiceView{{
		View: "delays", Published: true, Features: []string{"delay"}, Rename: map[string]string{"delay": "late_by"},
		Defaults: map[string]feature.Literal{"delay": -1.0},
	}}})
	p.apply(d)
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(3))), 0)
	if got := p.delayOf("tail", "ORD"); got != "-1/DEFAULT" {
		t.Errorf("before any run: found %s", got)
	}
	p.materialize("delays")
	reads := func(p *product, want string) func() bool {
		return func() bool { return p.delayOf("tail", "ORD") == want }
	}
	eventually(t, "the first version on one server", reads(p, "3/PRESENT"))
	eventually(t, "the first version on the other", reads(other, "3/PRESENT"))
	spine := spineOf(asked("ORD", 7, at)).arrow(t)
	first, m1, err := p.build(p.admin, "tail", &headwaterv1.BuildDatasetHeader{}, spine)
	if err != nil {
		t.Fatal(err)
	}
	if got := readRows(t, first); len(got) != 1 || !strings.HasSuffix(got[0], " 3") || m1.GetFollowed()["delays"] != 1 || m1.GetColumns()[3].GetName() != "late_by" ||
		m1.GetColumns()[3].GetOrigin() != "feature:delays@1.delay" {
		t.Errorf("found %v of %v, followed %v", got, m1.GetColumns(), m1.GetFollowed())
	}

	// A version that is not published yet is passed over; applying it makes no version of the service that follows.
	d.Views[0].SQL.Query = strings.Replace(d.Views[0].SQL.Query, "origin, delay,", "origin, delay + 10 AS delay,", 1)
	for _, c := range p.apply(d).GetChanges() {
		if c.GetName() == "tail" {
			t.Errorf("found the change %v of the service that follows", c)
		}
	}
	if got := p.followed(); got != "delays@1; delays@2: no run of it is published and loaded online" {
		t.Errorf("found %s", got)
	}
	if got := p.delayOf("tail", "ORD"); got != "3/PRESENT" {
		t.Errorf("while the second version is not published: found %s", got)
	}
	p.materialize("delays@2")
	eventually(t, "the second version on one server", reads(p, "13/PRESENT"))
	eventually(t, "the second version on the other", reads(other, "13/PRESENT"))

	// One that lacks what the service picks, or has it of another type, is never followed.
	d.Services = d.Services[:2]
	d.Services[1].Views[0].Features, d.Services[1].Views[0].Version = []string{"words"}, 3
	d.Services[0].Views = d.Services[0].Views[1:]
	d.Views[0].Features = append([]feature.Column{{Name: "delay", Type: feature.TypeString}}, d.Views[0].Features[1:]...)
	d.Views[0].SQL.Query = strings.Replace(d.Views[0].SQL.Query, "delay + 10 AS delay", "delay::text AS delay", 1)
	p.apply(d)
	p.materialize("delays@3")
	time.Sleep(2 * servedEvery)
	if got := p.delayOf("tail", "ORD"); got != "13/PRESENT" {
		t.Errorf("after a version with another type: found %s", got)
	}
	if got := p.followed(); got != "delays@2; delays@3: its feature delay is string, not float64" {
		t.Errorf("found %s", got)
	}

	// Datasets are of what was published at their position, and can be had again whatever came after.
	again, _, err := p.fetch(p.admin, m1.GetId())
	if err != nil || !bytes.Equal(again, first) {
		t.Errorf("fetched %d bytes, %v, expected the %d that were built", len(again), err, len(first))
	}
	second, m2, err := p.build(p.admin, "tail", &headwaterv1.BuildDatasetHeader{}, spine)
	if err != nil || m2.GetFollowed()["delays"] != 2 || !strings.HasSuffix(readRows(t, second)[0], " 13") {
		t.Errorf("found %v, %v, expected the second version", m2.GetFollowed(), err)
	}
	_, m3, err := p.build(p.admin, "tail", &headwaterv1.BuildDatasetHeader{AsOf: "run:delays@1/1"}, spine)
	if err != nil || m3.GetFollowed()["delays"] != 1 {
		t.Errorf("found %v, %v, expected the first version as of its run", m3.GetFollowed(), err)
	}
}

func TestServicesOfWhatCannotBe(t *testing.T) {
	p := newProduct(t)
	base := onDemand()
	p.apply(base)
	for name, c := range map[string]struct {
		view feature.ServiceView
		want string
	}{
		"a default of another type": {feature.ServiceView{View: "delays", Defaults: map[string]feature.Literal{"delay": "x"}},
			`feature_services[0].views[0].defaults["delay"]: feature delay, which is float64: found the text "x", expected a float64: a number, "NaN", "Infinity" or "-Infinity"`},
		"a default of a fraction": {feature.ServiceView{View: "delays", Defaults: map[string]feature.Literal{"number": 1.5}},
			`feature_services[0].views[0].defaults["number"]: feature number, which is int64: found 1.5, expected a whole number`},
		"no default": {feature.ServiceView{View: "delays", Defaults: map[string]feature.Literal{"number": nil}},
			`feature_services[0].views[0].defaults["number"]: found null as the default of feature number, expected a value; without a default a missing value is NULL already`},
		"a default of nothing": {feature.ServiceView{View: "delays", Defaults: map[string]feature.Literal{"dely": 1.0}},
			`feature_services[0].views[0].defaults["dely"]: found no feature called dely in view delays@1; did you mean delay?`},
		"a name of what is not picked": {feature.ServiceView{View: "delays", Features: []string{"delay"}, Rename: map[string]string{"late": "tardy"}},
			`feature_services[0].views[0].rename["late"]: found feature late of view delays@1, which the service does not pick; add it to features, or leave this out`},
		"a name twice": {feature.ServiceView{View: "delays", Rename: map[string]string{"late": "x", "delay": "x"}},
			`feature_services[0].views[0].rename["late"]: found the name x for delays.late, which delays.delay has already, expected each name once`},
		"a name like that of another": {feature.ServiceView{View: "delays", Rename: map[string]string{"late": "delays__delay"}},
			`feature_services[0].views[0].rename["late"]: found the name "delays__delay", expected no double underscore: outputs are called VIEW__FEATURE`},
		"a name of a join key": {feature.ServiceView{View: "delays", Rename: map[string]string{"late": "origin"}},
			`feature_services[0].views[0].rename["late"]: found the name origin, which is that of the join key origin of entity airport; give the feature another name`},
		"on demand as published": {feature.ServiceView{View: "mix", Published: true},
			"feature_services[0].views[0].view: found view mix followed as published, expected a version or none: on-demand features are computed " +
				"when they are read, and no run of them is published"},
	} {
		d := &feature.Definitions{Services: []feature.Service{{Name: "wrong", Views: []feature.ServiceView{c.view}}}}
		_, err := p.registry.Apply(p.admin, &headwaterv1.ApplyRequest{Files: files(d)})
		f := fault.FromError(err)
		if f == nil || len(f.Violations) != 1 || f.Violations[0].Field+": "+f.Violations[0].Description != c.want {
			t.Errorf("%s: found %v\nexpected %s", name, err, c.want)
		}
	}
}

// Who applies a service that serves as the grant of a view gives away what that is computed of.
func TestAGrantingServiceTakesReadingWhatIsComputedOf(t *testing.T) {
	p := newProduct(t)
	d := onDemand()
	d.Roles = []feature.Role{role("author", "register on service:*", "read_online,read_offline on view:mix,view:verdict,view:delays")}
	p.apply(d)
	wrong := &feature.Definitions{Services: []feature.Service{{Name: "open", ServesAsGrant: true, Views: []feature.ServiceView{{View: "verdict"}}}}}
	_, err := p.registry.Apply(p.as("eve", "author"), &headwaterv1.ApplyRequest{Files: files(wrong)})
	wantFault(t, err, fault.PermissionDenied, "eve may not read_online view:traffic: no grant of read_online on view:traffic in roles [author]; "+
		"whoever administers the roles can change that")
}
