package server

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// scraped are the lines of the server's metrics that begin with name.
func (p *product) scraped(name string) string {
	w := httptest.NewRecorder()
	p.server.MetricsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var lines []string
	for _, line := range strings.Split(w.Body.String(), "\n") {
		if strings.HasPrefix(line, name) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// A view that is later than it declares is served with a mark, or refused, as its policy says; and served again once it is not late.
func TestReadsOfLateViews(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	p.apply(d)
	p.ingest(flights(flight("ORD", 7, time.Now().Add(-3*time.Hour), feature.Float64(1))), 0)
	read := func(service string) (*headwaterv1.GetFeaturesResponse, error) {
		return p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{
			Service: service, WithProvenance: true, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")},
		})
	}
	declare := func(policy string) {
		d.Views[0].Freshness = &feature.ViewFreshness{MaxAge: time.Hour, Policy: policy}
		p.apply(d)
		if n := p.count(`SELECT count(*) FROM headwater.definition WHERE name = 'delays'`); n != 1 {
			t.Errorf("found %d versions of the view, expected 1", n)
		}
	}
	refusal := func() *fault.Fault {
		_, err := read("small")
		f := fault.FromError(err)
		if fault.ReasonOf(f) != fault.NotFresh || status.Code(err) != codes.FailedPrecondition {
			t.Fatalf("found %v, expected NOT_FRESH", err)
		}
		return f
	}

	declare(feature.FreshnessFails)
	if found, want := refusal().Message, "view delays@1 is late: nothing of it is online, expected at most 1h, or reads of it fail; no run of it is online; "+
		"run it, with `headwater materialize delays@1 --wait`, or see whether what it reads is late: `headwater describe view delays@1`"; found != want {
		t.Errorf("found    %s\nexpected %s", found, want)
	}
	p.materialize("delays")
	eventually(t, "the server to know of the run", func() bool { return strings.Contains(refusal().Message, "delays@1/1") })
	f := refusal()
	if want := regexp.MustCompile(`^view delays@1 is late: its newest event time that is online is 3h\S* old, expected at most 1h, or reads of it fail; ` +
		`the newest run that is online, delays@1/1, was published \S.* ago; run it, with .headwater materialize delays@1 --wait., or see`); !want.MatchString(f.Message) {
		t.Errorf("found %s", f.Message)
	}
	if f.Metadata["view"] != "delays@1" || f.Metadata["max_age_seconds"] != "3600" || f.Metadata["run"] != "delays@1/1" || !strings.HasPrefix(f.Metadata["age_seconds"], "108") {
		t.Errorf("found the metadata %v", f.Metadata)
	}
	if r, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{
		Features: []string{"recent.delay"}, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}}); err != nil {
		t.Errorf("found %v, %v of a view that declares nothing", r, err)
	}
	if got := p.scraped("headwater_view_late"); got != `headwater_view_late{view="delays@1"} 1` {
		t.Errorf("found %s", got)
	}
	if got := p.scraped("headwater_view_online_newest_age_seconds"); !strings.HasPrefix(got, `headwater_view_online_newest_age_seconds{view="delays@1"} 108`) {
		t.Errorf("found %s", got)
	}
	if got := p.scraped("headwater_view_online_run_age_seconds"); !strings.HasPrefix(got, `headwater_view_online_run_age_seconds{view="delays@1"} `) {
		t.Errorf("found %s", got)
	}

	describe := func() *headwaterv1.ViewState {
		r, err := p.registry.GetDefinition(p.admin, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "delays"})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetViewState()
	}
	if s := describe(); !s.GetLate() || s.GetOnlineSeq() != 1 || s.GetNewestHidden() || s.GetNewestOnlineAge().AsDuration().Truncate(time.Hour) != 3*time.Hour {
		t.Errorf("found %v", s)
	}
	lister := p.as("lister", p.roleOf(d, role("lister", "list on view:*")))
	r, err := p.registry.GetDefinition(lister, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "delays"})
	if s := r.GetViewState(); err != nil || !s.GetLate() || !s.GetNewestHidden() || s.GetNewestOnline() != nil || s.GetNewestOnlineAge() != nil {
		t.Errorf("found %v, %v for who may not read the view", s, err)
	}

	declare(feature.FreshnessWarns)
	answer, err := read("small")
	if err != nil || !answer.GetProvenance()[0].GetLate() || answer.GetFeatures()[0].GetValues().GetFloat64S()[0] != 1 {
		t.Errorf("found %v, %v with the policy warn", answer, err)
	}

	declare(feature.FreshnessFails)
	refusal()
	p.ingest(flights(flight("JFK", 8, time.Now().Add(-time.Minute), feature.Float64(2))), 0)
	p.materialize("delays")
	eventually(t, "the view to be fresh", func() bool {
		answer, err = read("small")
		return err == nil
	})
	if answer.GetProvenance()[0].GetLate() || describe().GetLate() || p.scraped("headwater_view_late") != `headwater_view_late{view="delays@1"} 0` {
		t.Errorf("found %v, %v, %s of a view that is fresh", answer.GetProvenance(), describe(), p.scraped("headwater_view_late"))
	}
	// A dataset says of each row what was known at its time.
	d.Views[0].Freshness.MaxAge = time.Microsecond
	p.apply(d)
	refusal()
	if _, _, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{}, spineOf(asked("ORD", 7, time.Now().Add(-time.Hour))).arrow(t)); err != nil {
		t.Errorf("found %v of a dataset", err)
	}
}

// roleOf applies a role, and returns its name.
func (p *product) roleOf(d *feature.Definitions, r feature.Role) string {
	p.t.Helper()
	d.Roles = append(d.Roles, r)
	p.apply(d)
	return r.Name
}
