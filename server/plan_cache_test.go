package server

import (
	"fmt"
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

// A view whose definition goes back to an earlier text has a new version with the earlier fingerprint, and so has a
// service that is moved to it.
func TestPlanCacheTellsVersionsOfOneFingerprintApart(t *testing.T) {
	entity := &feature.EntityVersion{Version: 1, Entity: feature.Entity{Name: "e", JoinKeys: []feature.Column{{Name: "k", Type: feature.TypeString}}}}
	pinnedTo := func(serviceVersion, viewVersion int) *feature.ServiceVersion {
		v := &feature.ViewVersion{
			ID: int64(viewVersion), Version: viewVersion, EntityVersion: entity,
			View: feature.View{Name: "v", Entity: "e", Features: []feature.Column{{Name: "f", Type: feature.TypeInt64}}},
		}
		return &feature.ServiceVersion{
			Version: serviceVersion, Service: feature.Service{Name: "s"}, Pins: []feature.ServicePin{{View: v, Features: []int{0}}},
		}
	}
	var cache planCache
	for _, c := range []struct{ service, view int }{{1, 1}, {3, 3}, {1, 1}} {
		plan, err := cache.get(nil, pinnedTo(c.service, c.view), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := plan.read.Views[0].Version.Version; got != c.view {
			t.Errorf("service version %d reads version %d of its view, expected the %d that it is pinned to", c.service, got, c.view)
		}
	}
}

// Whoever asks in ever new ways pushes out what was made for it, and nothing of others'.
func TestPlansOfOthersStayWhereOneAsksForMany(t *testing.T) {
	const most = 20
	asked := &askedPlans{}
	ask := func(by string, i int) {
		asked = &askedPlans{plans: asked.with(fmt.Sprint(by, i), askedPlan{&compiledPlan{}, by}, most)}
	}
	of := func(by string) (n int) {
		for _, p := range asked.plans {
			if p.by == by {
				n++
			}
		}
		return n
	}
	for i := range 3 {
		ask("model", i)
		ask("batch", i)
	}
	for i := range 100 {
		ask("stranger", i)
		if asked.plans[fmt.Sprint("stranger", i)].compiledPlan == nil {
			t.Fatalf("what was asked for last is not there")
		}
	}
	if of("model") != 3 || of("batch") != 3 || of("stranger") != most-6 {
		t.Errorf("found %d, %d and %d plans", of("model"), of("batch"), of("stranger"))
	}
	// Of one who comes later there is room for as many as of each.
	for i := range 5 {
		ask("late", i)
	}
	if of("model") != 3 || of("late") != 5 || len(asked.plans) != most {
		t.Errorf("found %d and %d of %d plans", of("model"), of("late"), len(asked.plans))
	}
}
