package server

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// consumersOf is a line for each consumer of an impact.
func consumersOf(r *headwaterv1.GetImpactResponse) string {
	var b strings.Builder
	for _, n := range r.GetNodes() {
		if strings.HasPrefix(n.GetId(), "consumer:") {
			b.WriteString(n.GetId() + " of " + n.GetOwner() + ": " + n.GetTitle() + "\n")
			if n.GetExact() || n.GetWhy() != "it is outside, so what it was given is not known" {
				b.WriteString("found " + n.GetWhy() + "\n")
			}
		}
	}
	return b.String()
}

func TestConsumers(t *testing.T) {
	t.Parallel()
	w := newImpactWorld(t, func(d *feature.Definitions) {
		consumer := func(name, kind string, reads ...feature.ConsumerRead) feature.Consumer {
			return feature.Consumer{Name: name, Type: kind, Docs: feature.Docs{Owner: name + "@example.com"}, Reads: reads}
		}
		d.Consumers = []feature.Consumer{
			consumer("board", "dashboard", feature.ConsumerRead{Kind: feature.ReadsService, Name: "scoring"}),
			consumer("nightly", "job", feature.ConsumerRead{Kind: feature.ReadsFeature, Name: "delays", Feature: "words"}, feature.ConsumerRead{Kind: feature.ReadsDataset, Name: "jfk"}),
			consumer("app", "application", feature.ConsumerRead{Kind: feature.ReadsModel, Name: "unsure"}),
			consumer("tally", "report", feature.ConsumerRead{Kind: feature.ReadsView, Name: "numbers", Version: 1}),
			consumer("calm", "report", feature.ConsumerRead{Kind: feature.ReadsDataset, Name: "ord"}, feature.ConsumerRead{Kind: feature.ReadsModel, Name: "right"}),
		}
		d.Roles = []feature.Role{
			role("some", "read_lineage on source:*,view:*,consumer:nightly,consumer:board"), role("declarer", "register,list on consumer:mine_*", "list on view:*"),
		}
	})
	byLoad := &headwaterv1.GetImpactRequest{Source: "flights", Load: w.bad.GetId()}
	all := w.impact(w.admin, byLoad)
	const want = `consumer:app@1 of app@example.com: application, reads model unsure
consumer:board@1 of board@example.com: dashboard, reads service scoring
consumer:nightly@1 of nightly@example.com: job, reads feature delays.words, reads dataset jfk
consumer:tally@1 of tally@example.com: report, reads view numbers@1
`
	if found := consumersOf(all); found != want {
		t.Errorf("found\n%s\nexpected\n%s", found, want)
	}
	if last := all.GetNodes()[len(all.GetNodes())-1].GetId(); last != "consumer:tally@1" {
		t.Errorf("found %s last", last)
	}
	// By a column, those that read nothing of it are not reached.
	byColumn := w.impact(w.admin, &headwaterv1.GetImpactRequest{Source: "flights", Load: w.bad.GetId(), Column: "number"})
	if found := consumersOf(byColumn); found != "consumer:tally@1 of tally@example.com: report, reads view numbers@1\n" {
		t.Errorf("found\n%s", found)
	}

	// Those whose lineage the caller may not read are counted, and what they read is not named.
	some := w.as("sam", "some")
	fewer := w.impact(some, byLoad)
	if found := consumersOf(fewer); found != "consumer:board@1 of board@example.com: dashboard, reads a service that you may not see\n"+
		"consumer:nightly@1 of nightly@example.com: job, reads feature delays.words, reads a dataset that you may not see\n" || fewer.GetHidden() == 0 {
		t.Errorf("found\n%s, %d hidden", found, fewer.GetHidden())
	}

	down, up := headwaterv1.LineageDirection_LINEAGE_DIRECTION_DOWN, headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP
	r, err := w.lineage.GetLineage(some, &headwaterv1.GetLineageRequest{Node: "source:flights", Direction: down})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, n := range r.GetNodes() {
		if strings.HasPrefix(n.GetId(), "consumer:") {
			found = append(found, n.GetId())
		}
	}
	if !slices.Equal(found, []string{"consumer:board@1", "consumer:nightly@1"}) {
		t.Errorf("found %v", found)
	}
	if r, err := w.lineage.GetLineage(some, &headwaterv1.GetLineageRequest{Node: "consumer:nightly", Direction: up, Depth: 1}); err != nil || len(r.GetNodes()) != 2 ||
		r.GetNodes()[1].GetId() != "feature:delays@1.words" {
		t.Errorf("found %v, %v", r, err)
	}
	for _, name := range []string{"calm", "nothing"} {
		_, err := w.lineage.GetLineage(some, &headwaterv1.GetLineageRequest{Node: "consumer:" + name, Direction: up})
		wantFault(t, err, fault.NotFound, "there is no consumer "+name+"; `headwater list consumers` shows those there are")
	}

	// Declaring one takes the right to that alone, and tells of no dataset that the caller may not list.
	declare := func(name string) (*headwaterv1.ApplyResponse, error) {
		return w.registry.Apply(w.as("dee", "declarer"), &headwaterv1.ApplyRequest{Files: files(&feature.Definitions{Consumers: []feature.Consumer{{
			Name: name, Type: "job", Reads: []feature.ConsumerRead{{Kind: feature.ReadsView, Name: "delays"}, {Kind: feature.ReadsDataset, Name: "jfk"}},
		}}})})
	}
	applied, err := declare("mine_1")
	if err != nil || len(applied.GetChanges()) != 1 || len(applied.GetChanges()[0].GetWarnings()) != 1 ||
		!strings.HasPrefix(applied.GetChanges()[0].GetWarnings()[0], "reads dataset jfk, of which there is none that you may list;") {
		t.Errorf("found %v, %v", applied, err)
	}
	if _, err := declare("board"); status.Code(err) != codes.PermissionDenied {
		t.Errorf("found %v", err)
	}
	d, err := w.registry.GetDefinition(w.admin, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "delays"})
	if err != nil || !slices.Contains(d.GetDependents(), "consumer:mine_1") || !slices.Contains(d.GetDependents(), "consumer:nightly") {
		t.Errorf("found %v, %v", d.GetDependents(), err)
	}
	list, err := w.registry.ListDefinitions(w.as("dee", "declarer"), &headwaterv1.ListDefinitionsRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_CONSUMER})
	if err != nil || len(list.GetDefinitions()) != 1 || list.GetDefinitions()[0].GetName() != "mine_1" {
		t.Errorf("found %v, %v", list, err)
	}
}
