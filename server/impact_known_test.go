package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// What happened since the bad file came is told as far as it is known, and where it is not that is said.
func TestImpactSaysWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	board := feature.Consumer{Name: "board", Docs: feature.Docs{Owner: "board@example.com"}, Type: "dashboard", Reads: []feature.ConsumerRead{{Kind: feature.ReadsService, Name: "scoring"}}}
	wall := feature.Consumer{Name: "wall", Type: "screen", Reads: []feature.ConsumerRead{{Kind: feature.ReadsView, Name: "delays"}}}
	w := newImpactWorld(t, func(d *feature.Definitions) { d.Consumers = []feature.Consumer{board, wall} })
	byLoad := &headwaterv1.GetImpactRequest{Source: "flights", Load: w.bad.GetId()}
	node := func(r *headwaterv1.GetImpactResponse, id string) *headwaterv1.ImpactedNode {
		t.Helper()
		i := slices.IndexFunc(r.GetNodes(), func(n *headwaterv1.ImpactedNode) bool { return n.GetId() == id })
		if i < 0 {
			t.Fatalf("found no %s in\n%s", id, impactText(r))
		}
		return r.GetNodes()[i]
	}
	before := w.impact(w.admin, byLoad)
	if n := node(before, "view:busy@1"); n.GetTitle() != "by 2 of its runs, 1 row; not those at which such rows leave the longest window, which are made without them" {
		t.Errorf("found %v", n)
	}
	if n := node(before, "service:scoring@1"); !n.GetExact() || slices.Contains(before.GetUnlogged(), "view:delays") {
		t.Errorf("found %v and unlogged %v", n, before.GetUnlogged())
	}

	if _, err := w.lineage.RegisterModel(w.admin, &headwaterv1.RegisterModelRequest{Name: "old", Dataset: w.datasets["before"], Service: "idle"}); err != nil {
		t.Fatal(err)
	}
	// A service that was changed may have logged less before; a dataset that was deleted is behind its model still; reads by reference are not logged.
	d := impactDefinitions()
	d.Consumers = []feature.Consumer{board, wall}
	d.Services[0].Docs.Description = "Scores."
	w.apply(d)
	if _, err := w.product.datasets.DeleteDataset(w.admin, &headwaterv1.DeleteDatasetRequest{Dataset: w.datasets["jfk"], Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.product.datasets.DeleteDataset(w.admin, &headwaterv1.DeleteDatasetRequest{Dataset: w.datasets["before"], Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	_, err := w.online.GetFeatures(w.admin, &headwaterv1.GetFeaturesRequest{Features: []string{"delays.delay"}, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("JFK")}})
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	r := w.impact(w.admin, byLoad)
	if n := node(r, "service:scoring@1"); n.GetExact() || !strings.HasPrefix(n.GetWhy(), "it was changed at ") || !strings.HasSuffix(n.GetWhy(), ", and it is not known whether it logged all reads before") ||
		n.GetPredictions() != node(before, "service:scoring@1").GetPredictions() {
		t.Errorf("found %v", n)
	}
	if n := node(r, "dataset:"+w.datasets["jfk"]); n.GetExact() || n.GetWhy() != "it was deleted, so it is told by the runs behind it" {
		t.Errorf("found %v", n)
	}
	if n := node(r, "model:wrong@1"); n.GetTitle() != "trained on dataset "+w.datasets["jfk"]+", reads service counting@1" {
		t.Errorf("found %v", n)
	}
	if found := impactText(r); strings.Contains(found, "dataset before") || strings.Contains(found, "model:old") {
		t.Errorf("found\n%s\nexpected nothing of the dataset from before the load", found)
	}
	if !slices.Equal(r.GetUnlogged(), []string{"quiet", "view:delays"}) {
		t.Errorf("found unlogged %v, expected quiet and view:delays", r.GetUnlogged())
	}
	var told []string
	for _, step := range r.GetRepairs() {
		if strings.HasPrefix(step.GetNode(), "consumer:") {
			told = append(told, step.GetCommand()+" # "+step.GetWhy())
		}
	}
	if want := []string{
		"headwater describe consumer board@1 # it is outside: tell board@example.com (dashboard, reads service scoring)",
		"headwater describe consumer wall@1 # it is outside: tell whoever applied it, for it has no owner (screen, reads view delays)",
	}; !slices.Equal(told, want) {
		t.Errorf("found %q, expected %q", told, want)
	}

	// What a load took away is what the one before it reached.
	rows := flights(flight("JFK", 8, w.start.Add(50*time.Hour), feature.Float64(9))).arrow(t)
	mended, err := w.send(w.admin, "flights", w.header(rows, w.bad.GetId()), rows, 1000)
	if err != nil {
		t.Fatal(err)
	}
	w.run()
	want := fmt.Sprintf("load %d replaced load %d: what became of rows that it took away is not told here; headwater impact flights --load %[2]d does", mended.GetId(), w.bad.GetId())
	if r := w.impact(w.admin, &headwaterv1.GetImpactRequest{Source: "flights", Load: mended.GetId()}); !slices.Contains(r.GetNotes(), want) {
		t.Errorf("found %q, expected %q", r.GetNotes(), want)
	}
}
