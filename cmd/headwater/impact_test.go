package main

import (
	"context"
	"strings"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// GetImpact reaches one consumer outside, and reads of which not all are logged.
func (c *canned) GetImpact(context.Context, *headwaterv1.GetImpactRequest) (*headwaterv1.GetImpactResponse, error) {
	return &headwaterv1.GetImpactResponse{
		Nodes:    []*headwaterv1.ImpactedNode{{Id: "consumer:board@1", Owner: "board@example.com", Title: "dashboard, reads view delays"}},
		Unlogged: []string{"quiet", "view:delays"}, Notes: []string{"load 8 replaced load 7"},
		Repairs: []*headwaterv1.RepairStep{{Command: "headwater describe consumer board@1", Why: "it is outside: tell board@example.com", Node: "consumer:board@1"}},
	}, nil
}

func TestImpact(t *testing.T) {
	do := (&canned{}).serve(t)
	r := do("impact", "flights", "--load", "8", "--repair")
	for _, want := range []string{
		"Not all reads are logged of quiet: headwater trace --service S --entity k=v --at T computes one.",
		"Features were read by reference, which is not logged, of delays: headwater lineage uses source:flights says who did.",
		"what to know of it", "load 8 replaced load 7",
		"headwater describe consumer board@1", "# consumer:board@1: it is outside: tell board@example.com",
	} {
		if r.code != exitDone || !strings.Contains(r.out, want) {
			t.Errorf("found %d, %s and\n%s\nexpected in it %s", r.code, r.err, r.out, want)
		}
	}
	if r := do("impact", "flights"); strings.Contains(r.out, "describe consumer") {
		t.Errorf("found\n%s\nexpected no repairs that were not asked for", r.out)
	}
}
