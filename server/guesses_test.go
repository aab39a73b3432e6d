package server

import (
	"testing"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A name that is like a hidden one is answered as one that is like none.
func TestGuessesDoNotTellOfWhatIsHidden(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Roles = []feature.Role{
		role("narrow", "list,materialize on view:delay,view:dela", "read_online,read_offline on service:modl", "ingest on source:flightz"),
		role("wide", "list,materialize on view:dela*"),
	}
	p.apply(d)
	narrow, wide := p.as("ned", "narrow"), p.as("wes", "wide")

	lists := func(kind string) string { return "; `headwater list " + kind + "` shows those that there are" }
	_, err := p.materialization.Materialize(narrow, &headwaterv1.MaterializeRequest{Views: []string{"delay"}})
	wantFault(t, err, fault.NotFound, `found no view called "delay"`+lists("view"))
	_, err = p.registry.GetDefinition(narrow, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "dela"})
	wantFault(t, err, fault.NotFound, `found no view called "dela"`+lists("view"))
	_, err = p.online.GetFeatures(narrow, &headwaterv1.GetFeaturesRequest{Service: "modl", Keys: map[string]*headwaterv1.KeyColumn{"origin": {Values: []*headwaterv1.Value{{}}}}})
	wantFault(t, err, fault.NotFound, `found no service called "modl"`+lists("service"))
	stream, err := p.datasets.BuildDataset(narrow)
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&headwaterv1.BuildDatasetRequest{Service: "modl", Header: &headwaterv1.BuildDatasetHeader{}})
	_, err = stream.Recv()
	wantFault(t, err, fault.NotFound, `found no service called "modl"`+lists("service"))

	_, err = p.materialization.Materialize(wide, &headwaterv1.MaterializeRequest{Views: []string{"delay"}})
	wantFault(t, err, fault.NotFound, `found no view called "delay"; did you mean delays?`)
}

// A service that serves as the grant of its views is no way around their grants for who may only register.
func TestServingAsGrantTakesWhatItGives(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Roles = []feature.Role{
		role("registrar", "register,list on service:*,view:*", "read_online on service:*"),
		role("half", "register on service:*", "read_online on view:delays"),
		role("reader", "register on service:*", "read_online,read_offline on view:delays"),
	}
	p.apply(d)
	files := func(serves bool, view string) []*headwaterv1.DefinitionSource {
		return []*headwaterv1.DefinitionSource{{Path: "s.yaml", File: definition.ToProto(&feature.Definitions{Services: []feature.Service{
			{Name: "opened", ServesAsGrant: serves, Views: []feature.ServiceView{{View: view}}},
		}})}}
	}
	for role, missing := range map[string]string{"registrar": "read_online", "half": "read_offline"} {
		caller := p.as(role, role)
		for _, view := range []string{"delays", "nosuch"} {
			if role == "half" && view == "nosuch" {
				continue
			}
			want := role + " may not " + missing + " view:" + view + ": no grant of " + missing + " on view:" + view + " in roles [" + role +
				"]; whoever administers the roles can change that"
			_, err := p.registry.Plan(caller, &headwaterv1.PlanRequest{Files: files(true, view)})
			wantFault(t, err, fault.PermissionDenied, want)
			_, err = p.registry.Apply(caller, &headwaterv1.ApplyRequest{Files: files(true, view)})
			wantFault(t, err, fault.PermissionDenied, want)
		}
	}
	if _, err := p.registry.Plan(p.as("registrar", "registrar"), &headwaterv1.PlanRequest{Files: files(false, "delays")}); err != nil {
		t.Errorf("a service that opens nothing: %v", err)
	}
	if _, err := p.registry.Apply(p.as("reader", "reader"), &headwaterv1.ApplyRequest{Files: files(true, "delays")}); err != nil {
		t.Errorf("by who may read the view: %v", err)
	}
}
