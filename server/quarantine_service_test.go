package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func TestQuarantinedRowsAreForWhoMayReadThem(t *testing.T) {
	p := newProduct(t)
	quarantine := headwaterv1.NewQuarantineServiceClient(p.conn)
	d := definitions()
	all := 1.0
	d.Sources[0].Freshness = time.Minute
	d.Sources[0].MaxQuarantineRatio = &all
	d.Sources[0].Expectations = []feature.Expectation{
		{Name: "delay_range", Column: "delay", Kind: feature.ExpectRange, Max: 100.0, OnFailure: feature.QuarantineRow},
		{Name: "fresh", Kind: feature.ExpectFreshness, WarnAfter: time.Minute},
	}
	for i := range d.Views {
		if v := &d.Views[i]; v.Name == "delays" {
			v.MaxQuarantineRatio = &all
			v.Expectations = []feature.Expectation{
				{Name: "not_early", Column: "delay", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.QuarantineRow},
			}
		}
	}
	d.Roles = []feature.Role{
		role("lists", "list on view:delays"),
		role("lists_source", "list on source:flights"),
		role("reads_source", "list on view:delays", "list on source:flights", "read_offline on source:flights"),
		role("reads_view", "list on view:delays", "read_offline on view:delays", "materialize on view:delays"),
		role("elsewhere", "list on view:routes"),
	}
	p.apply(d)
	at := time.Now().Add(-time.Hour)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(101)), flight("JFK", 7, at, feature.Float64(-1)), flight("LAX", 7, at, feature.Float64(1))), 0)
	run := p.materialize("delays")[0]

	for _, c := range []struct {
		role string
		// subjects are what is shown of the two rows, hidden is how many are not, examples the checks whose keys are shown.
		subjects string
		hidden   int64
		examples string
	}{
		{"lists", "", 2, ""},
		{"reads_source", "source:flights", 1, "delay_range"},
		{"reads_view", "output", 1, "not_early"},
		{"admin", "source:flights output", 0, "delay_range not_early"},
	} {
		ctx := p.as("p_"+c.role, c.role)
		r, err := quarantine.ShowQuarantine(ctx, &headwaterv1.ShowQuarantineRequest{Run: fmt.Sprint(run.Id)})
		if err != nil {
			t.Fatalf("%s: %v", c.role, err)
		}
		found := map[string]bool{}
		for _, row := range r.Rows {
			found[row.Subject] = true
		}
		for _, subject := range []string{"source:flights", "output"} {
			if found[subject] != strings.Contains(c.subjects, subject) {
				t.Errorf("%s: found %v, expected %q", c.role, found, c.subjects)
			}
		}
		if r.Hidden != c.hidden {
			t.Errorf("%s: found %d hidden, expected %d", c.role, r.Hidden, c.hidden)
		}
		groups, err := quarantine.ListQuarantine(ctx, &headwaterv1.ListQuarantineRequest{View: "delays"})
		if err != nil || len(groups.Groups) != 2 {
			t.Errorf("%s: found groups %v and %v, expected both counted", c.role, groups, err)
		}
		shown, err := p.materialization.GetRun(ctx, &headwaterv1.GetRunRequest{Run: fmt.Sprint(run.Id)})
		if err != nil {
			t.Fatal(err)
		}
		// The newest event time is a value of a row.
		reads := strings.Contains(c.subjects, "source:flights")
		for _, check := range shown.Run.Checks {
			if check.Name == "fresh" && (strings.Contains(check.String(), at.UTC().Format(time.DateOnly)) != reads || check.Metric != nil ||
				check.Found != "an age outside of the bounds") {
				t.Errorf("%s: found %v, expected its event time shown: %t", c.role, check, reads)
			}
			if check.Name != "delay_range" && check.Name != "not_early" {
				continue
			}
			if sees := strings.Contains(c.examples, check.Name); (len(check.Examples) == 1) != sees || (check.ExamplesHidden == 1) == sees {
				t.Errorf("%s: found %v, expected its example shown: %t", c.role, check, sees)
			}
		}
		if w := strings.Join(shown.Run.Warnings, "; "); strings.Contains(w, at.UTC().Format(time.DateOnly)) || !strings.Contains(w, "its newest row is too old") {
			t.Errorf("%s: found the warnings %s", c.role, w)
		}
		if first := shown.Run.Checks[0].State; first != headwaterv1.CheckState_CHECK_STATE_WARNED {
			t.Errorf("found %v first, expected what is not as it should be", shown.Run.Checks[0])
		}
	}

	// A description says to who may only list it that the source is late, and no more.
	for name, reads := range map[string]bool{"lists_source": false, "reads_source": true} {
		described, err := p.registry.GetDefinition(p.as("d_"+name, name), &headwaterv1.GetDefinitionRequest{
			Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_SOURCE, Name: "flights",
		})
		if state := described.GetSourceState(); err != nil || !state.GetLate() || state.GetNewestHidden() == reads ||
			(state.GetNewestRow() != nil) != reads || (state.GetAge() != nil) != reads {
			t.Errorf("%s: found %v, %v", name, state, err)
		}
	}

	// What there is not is told from what set nothing aside; a source that one may not know of is as one that there is not.
	admin := p.admin
	empty := func(req *headwaterv1.ListQuarantineRequest) error {
		t.Helper()
		groups, err := quarantine.ListQuarantine(admin, req)
		if len(groups.GetGroups()) != 0 {
			t.Errorf("found %v", groups)
		}
		return err
	}
	wantFault(t, empty(&headwaterv1.ListQuarantineRequest{Source: "flight"}), fault.NotFound, `found no source called "flight"; did you mean flights?`)
	wantFault(t, empty(&headwaterv1.ListQuarantineRequest{Source: "flights@1"}), fault.InvalidArgument,
		`source: found "flights@1", expected a name without a version: rows of all versions are counted; ask for "flights"`)
	wantFault(t, empty(&headwaterv1.ListQuarantineRequest{View: "delay"}), fault.NotFound, `found no view called "delay"; did you mean delays?`)
	if err := empty(&headwaterv1.ListQuarantineRequest{Source: "flights", View: "traffic"}); err != nil {
		t.Errorf("of a source of which nothing was set aside: %v", err)
	}
	admin = p.as("ren", "elsewhere")
	for _, name := range []string{"flights", "nope"} {
		wantFault(t, empty(&headwaterv1.ListQuarantineRequest{Source: name}), fault.NotFound,
			fmt.Sprintf("found no source called %q; `headwater list source` shows those that there are", name))
	}
	show := func(role, reason string) error {
		t.Helper()
		_, err := quarantine.ShowQuarantine(p.as("s_"+role, role), &headwaterv1.ShowQuarantineRequest{Run: fmt.Sprint(run.Id), Reason: reason})
		return err
	}
	name := run.GetView() + "@1/" + fmt.Sprint(run.GetSeq())
	wantFault(t, show("admin", "nope"), fault.NotFound, "run "+name+`: found no row that was set aside for "nope", expected one of delay_range, not_early`)
	wantFault(t, show("reads_source", "not_early"), fault.NotFound, "run "+name+`: found no row that was set aside for "not_early", expected one of delay_range`)
	wantFault(t, show("lists", "not_early"), fault.NotFound, "run "+name+`: found no row that was set aside for "not_early", it set aside none that you may read`)
	if err := show("admin", "not_early"); err != nil {
		t.Error(err)
	}

	// Who asks for a subject by name is refused, and it is on record.
	_, err := quarantine.ShowQuarantine(p.as("lea", "lists"), &headwaterv1.ShowQuarantineRequest{Run: fmt.Sprint(run.Id), Subject: "output"})
	wantReason(t, err, fault.PermissionDenied)
	// A run of a view that one may not list is not there.
	_, err = quarantine.ShowQuarantine(p.as("eve", "elsewhere"), &headwaterv1.ShowQuarantineRequest{Run: fmt.Sprint(run.Id)})
	wantReason(t, err, fault.NotFound)
	if groups, err := quarantine.ListQuarantine(p.as("eli", "elsewhere"), &headwaterv1.ListQuarantineRequest{}); err != nil || len(groups.Groups) != 0 {
		t.Errorf("found %v and %v, expected nothing of another view", groups, err)
	}
	_, err = quarantine.ReplayQuarantine(p.as("leo", "lists"), &headwaterv1.ReplayQuarantineRequest{View: "delays"})
	wantReason(t, err, fault.PermissionDenied)
	replayed, err := quarantine.ReplayQuarantine(p.as("rey", "reads_view"), &headwaterv1.ReplayQuarantineRequest{Run: fmt.Sprint(run.Id)})
	if err != nil {
		t.Fatal(err)
	}
	last, err := p.watch(p.admin, replayed.Run.Id)
	if err != nil || last.State != headwaterv1.RunState_RUN_STATE_PUBLISHED || last.Ledger.Quarantined != 1 {
		t.Errorf("found %v and %v", last, err)
	}
	_, err = quarantine.ReplayQuarantine(p.admin, &headwaterv1.ReplayQuarantineRequest{})
	wantReason(t, err, fault.InvalidArgument)
}

func wantReason(t *testing.T, err error, want fault.Reason) {
	t.Helper()
	if got := fault.ReasonOf(fault.FromError(err)); got != want {
		t.Errorf("found %v, expected %s", err, want)
	}
}
