package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// whole applies definitions as all there is.
func whole(t *testing.T, r *Registry, d *feature.Definitions, retire bool) ([]Change, error) {
	t.Helper()
	request := Request{Files: files(d), Prune: true, Retire: retire}
	planned, _, planErr := r.Plan(t.Context(), request)
	changes, _, err := r.Apply(t.Context(), ApplyRequest{Request: request, Principal: "eve", Origin: "commit 2"})
	if fmt.Sprint(planErr) != fmt.Sprint(err) || !slices.Equal(told(planned), told(changes)) {
		t.Errorf("planned %q, %v and applied %q, %v", told(planned), planErr, told(changes), err)
	}
	return changes, err
}

// refusal is the violations of a refused prune, a line each.
func refusal(t *testing.T, err error) []string {
	t.Helper()
	var lines []string
	for _, v := range faultOf(t, err, fault.FailedPrecondition).Violations {
		lines = append(lines, v.Field+": "+v.Description)
	}
	return lines
}

const putBack = ", and not in the files; put it back into them, or end what uses it, or add --retire: then it goes on serving that, " +
	"and nothing new may use it"

func TestWhatIsNotInTheFilesStays(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	apply(t, r, flights())
	expect(t, "apply", told(apply(t, r, &feature.Definitions{Entities: flights().Entities})))
	if _, err := r.Catalog().Service("model"); err != nil {
		t.Error(err)
	}
}

func TestPruneRemovesWhatNothingUses(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	apply(t, r, flights())
	d := flights()
	d.Services, d.Roles = nil, nil
	changes, err := whole(t, r, d, false)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "changes", told(changes), "remove role:reader@1", "remove service:model@1")
	expect(t, "warnings", changes[0].Warnings, "tokens that have the role keep its name, and lose its grants at once")
	c := r.Catalog()
	if len(c.Roles())+len(c.Services()) != 0 || len(c.Summaries(feature.KindRole))+len(c.Summaries(feature.KindService)) != 0 {
		t.Error("what was removed is listed")
	}
	today := time.Now().UTC().Format(time.DateOnly)
	for _, ref := range []string{"model", "model@1"} {
		_, err := c.Service(ref)
		want := "found no service called \"model\"; it was removed on " + today + "; applying its definition again brings it back"
		if f := faultOf(t, err, fault.NotFound); f.Error() != want {
			t.Errorf("%s: found %s\nexpected %s", ref, f, want)
		}
	}
	if _, err := c.Definition(feature.KindService, "model"); fault.ReasonOf(err) != fault.NotFound {
		t.Errorf("found %v", err)
	}
	// What was made of it can be had still.
	if s, err := c.PastService("model@1"); err != nil || s.Pins[0].View.Name != "delays" {
		t.Errorf("found %v, %v", s, err)
	}
	if d, err := c.Definition(feature.KindService, "model@1"); err != nil || !d.Removed {
		t.Errorf("found %+v, %v", d, err)
	}
	if nodes := c.Dependents(feature.KindView, "delays", 1); len(nodes) > 0 {
		t.Errorf("found %q, which were removed", nodes)
	}
	again, err := whole(t, r, d, false)
	if err != nil || len(again) > 0 || r.Catalog() != c {
		t.Errorf("again: found %q, %v", told(again), err)
	}

	// All of it, in an order that what reads comes first.
	changes, err = whole(t, r, &feature.Definitions{Entities: []feature.Entity{{Name: "gate", JoinKeys: flights().Entities[0].JoinKeys}}}, false)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "all", told(changes), "add entity:gate@1", "remove view:delays@1", "remove source:flights@1", "remove entity:airport@1")
	_, _, err = r.Plan(t.Context(), Request{Files: files(&feature.Definitions{Services: flights().Services})})
	if v := faultOf(t, err, fault.InvalidDefinition).Violations[0]; v.Field != "feature_services[0].views[0].view" || v.Description != "found no view called delays" {
		t.Errorf("found %+v", v)
	}
	if v, err := r.Catalog().PastView("delays@1"); err != nil || v.SourceVersions[0].Name != "flights" {
		t.Errorf("found %v, %v", v, err)
	}
}

func TestPruneKeepsWhatIsUsed(t *testing.T) {
	var datasets []Dataset
	r := open(t, testenv.Postgres(t), Config{Datasets: func(context.Context, pgx.Tx) ([]Dataset, error) { return datasets, nil }})
	apply(t, r, flights())

	d := flights()
	d.Entities, d.Sources, d.Views = nil, nil, nil
	_, err := whole(t, r, d, false)
	expect(t, "used by a service", refusal(t, err),
		"view:delays: found it used by service:model"+putBack,
		"source:flights: found it used by view:delays@1"+putBack,
		"entity:airport: found it used by view:delays@1"+putBack)
	if f := fault.As(err); f.Message != "--prune would remove 3 definitions that are used; nothing was changed" || r.Catalog().Revision() != 1 {
		t.Errorf("found %s at revision %d", f.Message, r.Catalog().Revision())
	}
	d = flights()
	d.Sources = nil
	_, err = whole(t, r, d, false)
	expect(t, "used by a view", refusal(t, err), "source:flights: found it used by view:delays@1"+putBack)

	// A version that a service is pinned to uses its source, though the newest does not.
	d = flights()
	d.Sources = append(d.Sources, feature.Source{Name: "other", EventTime: "date", Columns: flights().Sources[0].Columns})
	d.Views[0].SQL.Sources = []string{"other"}
	apply(t, r, d)
	d.Sources = d.Sources[1:]
	_, err = whole(t, r, d, false)
	expect(t, "used by an older version", refusal(t, err), "source:flights: found it used by view:delays@1"+putBack)
	d.Services[0].Views[0].Version = 2
	changes, err := whole(t, r, d, false)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "moved", told(changes), "new_version service:model@2", "remove source:flights@1")

	// Datasets keep the service and the views that they were built from.
	first, _ := r.Catalog().PastView("delays@1")
	datasets = []Dataset{{ID: "ds_1", Name: "training", Service: "model", ViewIDs: []int64{first.ID}}}
	d.Services, d.Views = nil, nil
	_, err = whole(t, r, d, false)
	expect(t, "used by datasets", refusal(t, err),
		"service:model: found it used by dataset:ds_1"+putBack,
		"view:delays: found it used by service:model, dataset:ds_1"+putBack)
}

func TestRetire(t *testing.T) {
	datasets := []Dataset{{ID: "ds_1", Name: "training", Service: "model"}}
	r := open(t, testenv.Postgres(t), Config{Datasets: func(context.Context, pgx.Tx) ([]Dataset, error) { return datasets, nil }})
	d := flights()
	d.Views[0].Deprecated = &feature.Deprecation{Date: "2027-01-31", Replacement: "waits"}
	apply(t, r, d)
	rest := flights()
	rest.Services, rest.Views = nil, nil
	changes, err := whole(t, r, rest, true)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "changes", told(changes), "retire service:model@1", "retire view:delays@1")
	expect(t, "dependents", changes[1].Dependents, "service:model")
	c := r.Catalog()
	if _, err := c.Service("model"); err != nil {
		t.Errorf("what is retired serves no longer: %v", err)
	}
	if s := c.Summaries(feature.KindView); len(s) != 1 || !s[0].Retired || s[0].Removed {
		t.Errorf("found %+v", s)
	}
	again, err := whole(t, r, rest, true)
	if err != nil || len(again) > 0 {
		t.Errorf("again: found %q, %v", told(again), err)
	}
	again, err = whole(t, r, rest, false)
	if err != nil || len(again) > 0 {
		t.Errorf("again, without retiring: found %q, %v", told(again), err)
	}

	// Nothing new may use it.
	_, _, err = r.Plan(t.Context(), Request{Files: files(&feature.Definitions{Services: []feature.Service{
		{Name: "model_b", Views: []feature.ServiceView{{View: "delays"}}},
	}})})
	today := time.Now().UTC().Format(time.DateOnly)
	v := faultOf(t, err, fault.InvalidDefinition).Violations[0]
	if v.Field != "feature_services[0].views[0].view" || v.Description != "found view delays, which was retired on "+today+
		" and serves only what used it then, expected one in use; use waits instead" {
		t.Errorf("found %+v", v)
	}
	// One that used it may have other words, and no other meaning; as it is retired itself, it is there again.
	service := flights().Services
	_, _, err = r.Plan(t.Context(), Request{Files: files(&feature.Definitions{Services: service})})
	if v := faultOf(t, err, fault.InvalidDefinition).Violations[0]; v.Field != "feature_services[0].views[0].view" {
		t.Errorf("found %+v", v)
	}

	// The same again is the same version; another meaning is the next.
	changes = apply(t, r, d)
	expect(t, "revived", told(changes), "revive view:delays@1", "revive service:model@1")
	expect(t, "details", changes[0].Details, "was retired on "+today+" by eve")
	if _, err := whole(t, r, rest, true); err != nil {
		t.Fatal(err)
	}
	d.Views[0].TTL = time.Hour
	changes = apply(t, r, d)
	expect(t, "revived anew", told(changes), "revive view:delays@2", "revive service:model@1")
	expect(t, "details", changes[0].Details, "was retired on "+today+" by eve", "ttl: set to 1h")

	// Without anything that uses it, what was retired is removed.
	if _, err := whole(t, r, rest, true); err != nil {
		t.Fatal(err)
	}
	datasets = nil
	changes, err = whole(t, r, rest, true)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "no longer used", told(changes), "remove service:model@1", "remove view:delays@2")
	changes = apply(t, r, d)
	expect(t, "back", told(changes), "revive view:delays@2", "revive service:model@1")
	if _, err := r.Catalog().View("delays"); err != nil {
		t.Error(err)
	}

	// Everything that happened is kept, with who did it and from where.
	var kept int
	err = r.pool.QueryRow(t.Context(), `SELECT count(*) FROM headwater.definition_change
		WHERE name = 'delays' AND (change, changed_by, origin) IN (('add', 'ada', 'commit 1'), ('retire', 'eve', 'commit 2'), ('revive', 'ada', 'commit 1'))`).Scan(&kept)
	if err != nil || kept != 7 {
		t.Errorf("found %d records, %v, expected 7", kept, err)
	}
}

func TestNothingNewUsesWhatIsBeingRetired(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	apply(t, r, flights())
	d := flights()
	d.Sources = nil
	second := d.Views[0]
	second.Name = "late"
	d.Views = append(d.Views, second)
	_, err := whole(t, r, d, true)
	v := faultOf(t, err, fault.InvalidDefinition).Violations
	if len(v) != 1 || v[0].Field != "feature_views[1].sql.sources[0]" || v[0].Description != "found source flights, which is not in the files and "+
		"would be retired, so that nothing new may use it; put its definition into the files, or use another" {
		t.Errorf("found %+v", v)
	}
}

func TestWhoEndsWhatIsDecided(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	apply(t, r, flights())
	d := flights()
	d.Roles, d.Views = nil, nil
	no := errors.New("no")
	var asked []string
	request := Request{Files: files(d), Prune: true, MayEnd: func(kind feature.Kind, name string) error {
		asked = append(asked, node(kind, name))
		if kind == feature.KindView {
			return no
		}
		return nil
	}}
	// It is asked before anything is told of what depends on it.
	if _, _, err := r.Plan(t.Context(), request); !errors.Is(err, no) {
		t.Errorf("found %v", err)
	}
	expect(t, "asked", asked, "role:reader", "view:delays")

	request.MayEnd = nil
	request.Shows = func(kind, name string) bool { return false }
	_, _, err := r.Plan(t.Context(), request)
	expect(t, "hidden", refusal(t, err), "view:delays: found it used by 1 that you may not list"+putBack)
	request.Retire = true
	changes, _, err := r.Plan(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "hidden", changes[1].Dependents)
}

func TestManyDependentsAreTold(t *testing.T) {
	var users []dependent
	for i := range maxNodes + 5 {
		users = append(users, dependent{fmt.Sprintf("service:s%02d", i), "service", fmt.Sprintf("s%02d", i)})
	}
	text := shownNodes(users, func(_, name string) bool { return name != "s00" })
	if !strings.HasPrefix(text, "service:s01, service:s02, ") || !strings.HasSuffix(text, "service:s20 and 4 more, and by 1 that you may not list") {
		t.Errorf("found %s", text)
	}
}
