package server

import (
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Who is denied is told whose the thing is, if they may know of it; to all others it looks as what is not there does.
func TestDenialsNameOwners(t *testing.T) {
	p := newProduct(t)
	d := readers()
	d.Services[0].Owner, d.Services[1].Owner, d.Sources[0].Owner, d.Views[0].Owner = "scoring", "scoring", "operations", "delays team"
	d.Roles = append(d.Roles, role("lister", "list on service:*,source:*,view:*"), role("stranger", "list on view:none"))
	p.apply(d)
	p.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Hour), feature.Float64(1))), 0)
	get := func(who, service string) error {
		_, err := p.online.GetFeatures(p.as(who, who), &headwaterv1.GetFeaturesRequest{Service: service, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
		return err
	}
	reference := func(who string) error {
		_, err := p.online.GetFeatures(p.as(who, who), &headwaterv1.GetFeaturesRequest{Features: []string{"delays.delay"}, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
		return err
	}
	for name, c := range map[string]struct {
		err   error
		owner string
	}{
		"a service":               {get("lister", "small"), "scoring"},
		"a version of a service":  {get("lister", "small@1"), "scoring"},
		"a view":                  {reference("lister"), "delays team"},
		"one that is not there":   {get("lister", "nothing"), ""},
		"to a stranger":           {get("stranger", "small"), ""},
		"a view, to a stranger":   {reference("stranger"), ""},
		"what a stranger made up": {get("stranger", "nothing"), ""},
	} {
		f := fault.FromError(c.err)
		if f == nil || f.Reason != fault.PermissionDenied {
			t.Errorf("%s: found %v, expected a denial", name, c.err)
			continue
		}
		asked := "; ask " + c.owner + ", who owns it; whoever administers the roles can change that"
		if named := strings.Contains(f.Message, "who owns it"); named != (c.owner != "") || named && !strings.HasSuffix(f.Message, asked) {
			t.Errorf("%s: found %q, expected the owner %q", name, f.Message, c.owner)
		}
	}
	real, made := fault.FromError(get("stranger", "small")).Message, fault.FromError(get("stranger", "nothing")).Message
	if strings.ReplaceAll(real, "small", "nothing") != made {
		t.Errorf("found %q of a service and %q of none", real, made)
	}
}
