package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func files(d *feature.Definitions) []*headwaterv1.DefinitionSource {
	return []*headwaterv1.DefinitionSource{{Path: "all.yaml", File: definition.ToProto(d)}}
}

func changed(changes []*headwaterv1.Change) (lines string) {
	for _, c := range changes {
		lines += fmt.Sprintf("%s %s %s@%d; ", strings.TrimPrefix(c.GetKind().String(), "CHANGE_KIND_"),
			strings.ToLower(strings.TrimPrefix(c.GetDefinitionKind().String(), "DEFINITION_KIND_")), c.GetName(), c.GetVersion())
	}
	return lines
}

func TestPlanAndApply(t *testing.T) {
	p := newProduct(t)
	const all = "ADD entity airport@1; ADD entity route@1; ADD source flights@1; ADD view delays@1; ADD view recent@1; ADD view traffic@1; " +
		"ADD service model@1; ADD service small@1; "
	plan, err := p.registry.Plan(p.admin, &headwaterv1.PlanRequest{Files: files(definitions())})
	if err != nil || changed(plan.GetChanges()) != all || plan.GetRegistryRevision() != 0 {
		t.Fatalf("found %v, %v", plan, err)
	}
	applied, err := p.registry.Apply(p.admin, &headwaterv1.ApplyRequest{Files: files(definitions()), ExpectedRegistryRevision: &plan.RegistryRevision, Origin: "commit 1"})
	if err != nil || changed(applied.GetChanges()) != all {
		t.Fatalf("found %v, %v", applied, err)
	}
	again, err := p.registry.Apply(p.admin, &headwaterv1.ApplyRequest{Files: files(definitions())})
	if err != nil || len(again.GetChanges()) != 0 || again.GetRegistryRevision() != applied.GetRegistryRevision() {
		t.Errorf("found %v, %v", again, err)
	}
	_, err = p.registry.Apply(p.admin, &headwaterv1.ApplyRequest{Files: files(definitions()), ExpectedRegistryRevision: &plan.RegistryRevision})
	if f := fault.FromError(err); f == nil || f.Reason != fault.StalePlan {
		t.Errorf("found %v", err)
	}

	list, err := p.registry.ListDefinitions(p.admin, &headwaterv1.ListDefinitionsRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW})
	if err != nil || len(list.GetDefinitions()) != 3 || list.GetDefinitions()[0].GetName() != "delays" || list.GetDefinitions()[0].GetAppliedBy() != "ada" {
		t.Errorf("found %v, %v", list, err)
	}
	d, err := p.registry.GetDefinition(p.admin, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "delays"})
	if err != nil || len(d.GetDefinition().GetFeatureViews()) != 1 || strings.Join(d.GetInputs(), " ") != "entity:airport source:flights" ||
		strings.Join(d.GetDependents(), " ") != "service:model service:small" || d.GetViewState() == nil || d.GetViewState().GetLastSeq() != 0 {
		t.Errorf("found %v, %v", d, err)
	}
	_, err = p.registry.GetDefinition(p.admin, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "delays@2"})
	wantFault(t, err, fault.NotFound, `found no version "2" of view delays; it has the versions 1 to 1`)
	_, err = p.registry.ListDefinitions(p.admin, &headwaterv1.ListDefinitionsRequest{Kind: 9})
	if f := fault.FromError(err); f == nil || f.Reason != fault.InvalidArgument || len(f.Violations) != 1 || f.Violations[0].Field != "kind" {
		t.Errorf("found %v", err)
	}
	_, err = p.registry.Plan(p.admin, &headwaterv1.PlanRequest{})
	wantFault(t, err, fault.InvalidArgument, "found no definition in the request, expected at least one")

	wrong := definitions()
	wrong.Views[0].SQL.Query = "SELECT no_such_column FROM flights"
	_, err = p.registry.Plan(p.admin, &headwaterv1.PlanRequest{Files: files(wrong)})
	if f := fault.FromError(err); f == nil || f.Reason != fault.InvalidSQL || len(f.Violations) != 1 || f.Violations[0].Field != "feature_views[0].sql.query" ||
		!strings.Contains(f.Violations[0].Description, "no_such_column") {
		t.Errorf("found %v", err)
	}
}

// A denial names what is denied, the same each time: that of the first definition that may not be.
func TestRegisterIsDecidedInOrder(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Roles = []feature.Role{role("some", "register on entity:*,source:*,view:delays,service:small")}
	p.apply(d)
	ctx := p.as("sam", "some")
	for range 10 {
		_, err := p.registry.Apply(ctx, &headwaterv1.ApplyRequest{Files: files(definitions())})
		wantFault(t, err, fault.PermissionDenied, "sam may not register view:recent: no grant of register on view:recent in roles [some]; "+
			"whoever administers the roles can change that")
	}
	if _, err := p.registry.Plan(ctx, &headwaterv1.PlanRequest{Files: files(&feature.Definitions{Entities: definitions().Entities})}); err != nil {
		t.Error(err)
	}
}
