package server

import (
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

// Whoever is held back does not take the gate off first.
func TestAGateIsTakenOffByWhoAdministersWhatHasIt(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Roles = append(d.Roles, role("author", "register,list,read_offline,read_online on entity:*,source:*,view:*,service:*,role:*"))
	p.apply(d)
	mallory := p.as("mallory", "author")
	d.Views[0].Gates.Publish = []feature.Gate{feature.GateChecks, feature.GateDrift}
	if err := p.tryApply(mallory, d); err != nil {
		t.Fatalf("found %v, expected that who registers a view gives it gates", err)
	}
	d.Views[0].Gates.Publish = []feature.Gate{feature.GateDrift}
	denied(t, "an author", p.tryApply(mallory, d), "mallory may not administer view:delays: what the gates of a view hold back is given out without them")
	if v := p.count(`SELECT max(version) FROM headwater.definition WHERE kind = 'view' AND name = 'delays'`); v != 1 {
		t.Errorf("found version %d by a gate, expected 1", v)
	}
	p.apply(d)
}
