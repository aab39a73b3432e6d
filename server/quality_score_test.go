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

// Views are listed by the score of their newest run, the worst first, with whose they are, for who may list them.
func TestQuality(t *testing.T) {
	p := newProduct(t)
	d := readers()
	d.Roles = append(d.Roles, role("lister", "list on view:recent,view:traffic"), role("nobody", "read_audit on system:*"))
	d.Views[0].Owner = "delays-team"
	p.apply(d)
	at := time.Now().Add(-30 * time.Hour).Truncate(time.Hour)
	p.ingest(flights(manyFlights(1000, 0, at)...), 0)
	p.materialize("delays", "recent")
	service := headwaterv1.NewQualityServiceClient(p.conn)
	for name, view := range map[string]string{"a": "delays", "b": "recent"} {
		if _, err := service.SetBaseline(p.admin, &headwaterv1.SetBaselineRequest{Name: name, Node: "run:" + view + "@1/1"}); err != nil {
			t.Fatal(err)
		}
	}
	p.ingest(flights(manyFlights(1000, 2, at.Add(2*time.Hour))...), 0)
	p.materialize("delays")
	lines := func(r *headwaterv1.GetQualityResponse) string {
		var list []string
		for _, v := range r.GetViews() {
			score := "none"
			if v.Score != nil {
				score = fmt.Sprintf("%.1f", v.GetScore())
			}
			line := fmt.Sprintf("%s of %s: %s %s", v.GetRun(), v.GetOwner(), v.GetView(), score)
			for _, part := range v.GetParts() {
				line += fmt.Sprintf(", %s %.3f (%s)", part.GetName(), part.GetValue(), part.GetDetail())
			}
			list = append(list, line)
		}
		return strings.Join(list, "\n")
	}
	r, err := service.GetQuality(p.admin, &headwaterv1.GetQualityRequest{})
	if err != nil {
		t.Fatal(err)
	}
	const passed = "checks 1.000 (4 passed)"
	want := "delays@1/2 of delays-team: delays 84.4, " + passed + ", completeness 0.733 (73.3 % of values are there), drift 0.800 (4 OK, 0 WARN, 1 FAIL against a@1)"
	got := strings.Split(lines(r), "\n")
	if len(got) != 3 || !strings.HasPrefix(got[0], "delays@1/2 of delays-team: delays ") || !strings.Contains(got[0], passed) || !strings.Contains(got[0], "FAIL against a@1)") ||
		!strings.HasPrefix(got[1], "recent@1/1 of : recent 100.0, "+passed) || got[2] != " of : traffic none" {
		t.Errorf("found\n%s\nexpected the first to be such as\n%s", strings.Join(got, "\n"), want)
	}
	if r, err = service.GetQuality(p.admin, &headwaterv1.GetQualityRequest{Node: "view:delays"}); err != nil || len(r.GetViews()) != 2 || r.GetViews()[0].GetRun() != "delays@1/2" ||
		r.GetViews()[1].GetScore() <= r.GetViews()[0].GetScore() {
		t.Errorf("found %v, %v over time", lines(r), err)
	}
	if r, err = service.GetQuality(p.as("l", "lister"), &headwaterv1.GetQualityRequest{}); err != nil || len(r.GetViews()) != 2 || strings.Contains(lines(r), "delays@") {
		t.Errorf("found %v, %v", lines(r), err)
	}
	// A run that failed is as bad as it gets.
	d.Views[1].Expectations = []feature.Expectation{{Name: "few", Kind: feature.ExpectRowCount, Error: feature.Bounds{Max: new(float64)}}}
	p.apply(d)
	p.ingest(flights(manyFlights(10, 0, at.Add(4*time.Hour))...), 0)
	if runs, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{Views: []string{"recent"}, Full: true}); err != nil {
		t.Fatal(err)
	} else {
		_, _ = p.watch(p.admin, runs.GetRuns()[0].GetId())
	}
	if r, err = service.GetQuality(p.admin, &headwaterv1.GetQualityRequest{}); err != nil || r.GetViews()[0].GetView() != "recent" || r.GetViews()[0].GetScore() != 0 || !r.GetViews()[0].GetFailed() {
		t.Errorf("found %v, %v", lines(r), err)
	}
	for node, want := range map[string]string{"source:flights": "node: found \"source:flights\", expected `view:NAME[@VERSION]`, or none for all views", "view:none": "found no view called \"none\""} {
		if _, err := service.GetQuality(p.admin, &headwaterv1.GetQualityRequest{Node: node}); err == nil || !strings.Contains(fault.FromError(err).Message, want) {
			t.Errorf("%s: found %v", node, err)
		}
	}
	if _, err := service.GetQuality(p.as("n", "nobody"), &headwaterv1.GetQualityRequest{}); fault.FromError(err) == nil || fault.FromError(err).Reason != fault.PermissionDenied {
		t.Errorf("found %v", err)
	}
}
