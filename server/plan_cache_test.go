package server

import (
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
