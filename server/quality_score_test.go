package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// qualityLines are the nodes of an answer, a line each.
func qualityLines(r *headwaterv1.GetQualityResponse) string {
	var list []string
	for _, n := range r.GetNodes() {
		score := "none"
		if n.Score != nil {
			score = fmt.Sprintf("%.2f", n.GetScore())
		}
		line := fmt.Sprintf("%s of %s by %s: %s", n.GetNode(), n.GetOwner(), n.GetRun(), score)
		for _, part := range n.GetParts() {
			value := "?"
			if part.Value != nil {
				value = fmt.Sprintf("%.3f", part.GetValue())
			}
			line += fmt.Sprintf(", %s %s (%s)", part.GetName(), value, part.GetDetail())
		}
		list = append(list, line)
	}
	return strings.Join(list, "\n")
}

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
	lines := qualityLines
	r, err := service.GetQuality(p.admin, &headwaterv1.GetQualityRequest{Kind: "view"})
	if err != nil {
		t.Fatal(err)
	}
	const passed = "checks 1.000 (4 passed)"
	want := "view:delays@1 of delays-team by delays@1/2: 84.44, " + passed + ", completeness 0.733 (73.3 % of values are there), drift 0.800 (4 OK, 0 WARN, 1 FAIL against a@1), " +
		"freshness ? (none is declared), anomalies ? (there are not enough earlier runs)"
	got := strings.Split(lines(r), "\n")
	if len(got) != 3 || !strings.HasPrefix(got[0], "view:delays@1 of delays-team by delays@1/2: ") || !strings.Contains(got[0], passed) || !strings.Contains(got[0], "FAIL against a@1)") ||
		!strings.Contains(got[0], "freshness ? (none is declared), anomalies ? (there are not enough earlier runs)") ||
		!strings.HasPrefix(got[1], "view:recent@1 of  by recent@1/1: 100.00, "+passed) || !strings.HasPrefix(got[2], "view:traffic@1 of  by : none, checks ? (no run ended in that time)") {
		t.Errorf("found\n%s\nexpected the first to be such as\n%s", strings.Join(got, "\n"), want)
	}
	if r, err = service.GetQuality(p.admin, &headwaterv1.GetQualityRequest{Node: "view:delays"}); err != nil || len(r.GetNodes()) != 2 || r.GetNodes()[0].GetRun() != "delays@1/2" ||
		r.GetNodes()[1].GetScore() <= r.GetNodes()[0].GetScore() {
		t.Errorf("found %v, %v over time", lines(r), err)
	}
	if r, err = service.GetQuality(p.as("l", "lister"), &headwaterv1.GetQualityRequest{}); err != nil || len(r.GetNodes()) != 2 || strings.Contains(lines(r), "delays") {
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
	if r, err = service.GetQuality(p.admin, &headwaterv1.GetQualityRequest{}); err != nil || r.GetNodes()[0].GetNode() != "view:recent@1" || r.GetNodes()[0].GetScore() != 0 || !r.GetNodes()[0].GetFailed() {
		t.Errorf("found %v, %v", lines(r), err)
	}
	for node, want := range map[string]string{
		"load:7": "node: found \"load:7\", expected `view:NAME[@VERSION]`, `service:NAME[@VERSION]` or `source:NAME`, or none for all", "source:flights#date": "or none for all",
		"view:none": "found no view called \"none\"", "service:none": "found no service called \"none\"", "source:none": "found no source called \"none\"",
	} {
		if _, err := service.GetQuality(p.admin, &headwaterv1.GetQualityRequest{Node: node}); err == nil || !strings.Contains(fault.FromError(err).Message, want) {
			t.Errorf("%s: found %v", node, err)
		}
	}
	if _, err := service.GetQuality(p.as("n", "nobody"), &headwaterv1.GetQualityRequest{}); fault.FromError(err) == nil || fault.FromError(err).Reason != fault.PermissionDenied {
		t.Errorf("found %v", err)
	}
}

// A source that is bad, and a service whose reads find nothing, are the worst of their kinds, for the part that is bad; and what they were like is kept by the hour.
func TestQualityOfSourcesAndServices(t *testing.T) {
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), ReadSample: 1})
	d := readers()
	all := 1.0
	good := d.Sources[0]
	good.Name, good.Owner = "good", "good-team"
	good.Expectations = []feature.Expectation{{Name: "known_delay", Column: "delay", Kind: feature.ExpectNotNull, OnFailure: feature.QuarantineRow}}
	d.Sources = append(d.Sources, good)
	d.Sources[0].Owner, d.Sources[0].MaxQuarantineRatio, d.Sources[0].Freshness = "flights-team", &all, 100*24*time.Hour
	d.Sources[0].Expectations = []feature.Expectation{
		{Name: "delay_range", Column: "delay", Kind: feature.ExpectRange, Max: 20.0, OnFailure: feature.QuarantineRow},
		{Name: "known_delay", Column: "delay", Kind: feature.ExpectNotNull, OnFailure: feature.DropRow},
	}
	d.Views[1].SQL.Sources = []string{"good"}
	d.Views[1].SQL.Query = strings.ReplaceAll(d.Views[1].SQL.Query, "FROM flights", "FROM good")
	d.Services[0].Owner, d.Services[1].Owner = "model-team", "small-team"
	d.Services = append(d.Services, feature.Service{Name: "fine", Docs: feature.Docs{Owner: "fine-team"}, Views: []feature.ServiceView{{View: "recent"}}})
	d.Roles = append(d.Roles, role("services", "list on service:*"), role("sources", "list on source:good"))
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Hour)
	rows := manyFlights(1000, 5, at)
	p.ingest(flights(rows...), 0)
	whole := flights(manyFlights(1000, 0, at)...).arrow(t)
	if _, err := p.send(p.admin, "good", p.header(whole, 0), whole, len(whole)); err != nil {
		t.Fatal(fault.FromError(err))
	}
	p.materialize("delays", "recent")
	service := headwaterv1.NewQualityServiceClient(p.conn)
	list := func(who context.Context, req *headwaterv1.GetQualityRequest) (*headwaterv1.GetQualityResponse, string) {
		t.Helper()
		r, err := service.GetQuality(who, req)
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		return r, qualityLines(r)
	}
	// Of 1000 rows 200 have no delay. Of the others as many have a delay above 20 as can.
	above := 0
	for _, row := range rows {
		if v := row[4]; !v.IsNull() && v.Float64() > 20 {
			above++
		}
	}
	want := fmt.Sprintf("source:flights of flights-team by : %s, checks 0.667 (2 warned, 1 passed), quarantine %.3f (%d of 1000 rows were set aside), dropped 0.800 (200 of 1000 rows were left out), "+
		"lateness ? (no allowed_lateness is declared), freshness 1.000 (as new as declared), drift ? (not enough is known in columns of views that are made of it)",
		"SCORE", 1-float64(above)/1000, above)
	r, got := list(p.admin, &headwaterv1.GetQualityRequest{Kind: "source"})
	first, second, _ := strings.Cut(got, "\n")
	score := fmt.Sprintf("%.2f", r.GetNodes()[0].GetScore())
	if first != strings.Replace(want, "SCORE", score, 1) || !strings.HasPrefix(second, "source:good of good-team by : 100.00, ") {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	// Reads of what is not there. 30 of them tell something.
	var there, gone []string
	for i := range 40 {
		there, gone = append(there, "ORD"), append(gone, fmt.Sprint("none", i))
	}
	for service, keys := range map[string][]string{"fine": there, "small": gone} {
		if _, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Service: service, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts(keys...)}}); err != nil {
			t.Fatal(fault.FromError(err))
		}
	}
	if err := p.server.scores.look(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	_, got = list(p.admin, &headwaterv1.GetQualityRequest{Kind: "service"})
	lines := strings.Split(got, "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "service:small@1 of small-team") || !strings.Contains(lines[0], "reads 0.000 (of 40 rows that were measured 0 were present, 0 stale, 40 missing)") ||
		!strings.Contains(lines[0], "the worst is delays@1 with ") || !strings.HasPrefix(lines[2], "service:fine@1 of fine-team by : 100.00, views 1.000 (of 1 views that it reads 1 have a score)") ||
		!strings.Contains(lines[2], "reads 1.000 (") || !strings.Contains(lines[1], "of 3 views that it reads 2 have a score") || !strings.Contains(lines[1], "reads ? (0 rows") {
		t.Errorf("found\n%s", got)
	}
	// All kinds are in one list, the worst first.
	if r, got = list(p.admin, &headwaterv1.GetQualityRequest{}); len(r.GetNodes()) != 8 || r.GetNodes()[0].GetNode() != "service:small@1" {
		t.Errorf("found\n%s", got)
	}
	for i := 1; i < len(r.GetNodes()); i++ {
		if orLast(r.GetNodes()[i-1].Score) > orLast(r.GetNodes()[i].Score) {
			t.Errorf("found\n%s\nexpected the worst first", got)
		}
	}
	// Who may not list a node sees neither it nor whose it is, nor its name in the words of others.
	for who, want := range map[string]struct {
		nodes  int
		hidden []string
	}{"services": {3, []string{"view:", "source:", "delays@", "flights-team"}}, "sources": {1, []string{"flights", "view:", "service:", "delays", "small-team"}}} {
		r, got := list(p.as(who, who), &headwaterv1.GetQualityRequest{})
		if len(r.GetNodes()) != want.nodes {
			t.Errorf("%s: found\n%s", who, got)
		}
		for _, hidden := range want.hidden {
			if strings.Contains(got, hidden) {
				t.Errorf("%s: found %q in\n%s", who, hidden, got)
			}
		}
	}
	for _, node := range []string{"source:flights", "view:delays", "service:small"} {
		if _, err := service.GetQuality(p.as("sources", "sources"), &headwaterv1.GetQualityRequest{Node: node}); err == nil || fault.FromError(err).Reason != fault.PermissionDenied {
			t.Errorf("%s: found %v", node, err)
		}
	}
	if _, err := service.GetQuality(p.as("sources", "sources"), &headwaterv1.GetQualityRequest{Kind: "view"}); err == nil || fault.FromError(err).Reason != fault.PermissionDenied {
		t.Errorf("found %v", err)
	}
	// What was lowest in an hour stays, whatever comes after it, and another hour is another point.
	now := time.Now().UTC()
	exec := func(sql string) {
		t.Helper()
		if _, err := p.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	// A look of the server itself would be one more point.
	p.server.scores.close()
	exec("DELETE FROM headwater.quality_score")
	kept := func(at time.Time) {
		t.Helper()
		if err := p.server.scores.look(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	kept(now.Add(-3 * time.Hour))
	exec("DELETE FROM headwater.read_status WHERE service = 'small'")
	kept(now.Add(-3 * time.Hour))
	kept(now.Add(-2 * time.Hour))
	r, _ = list(p.admin, &headwaterv1.GetQualityRequest{Node: "service:small"})
	if h := r.GetHistory(); len(h) != 3 || !(h[0].GetScore() < h[1].GetScore()) || h[1].GetScore() != h[2].GetScore() || h[0].GetParts()[len(h[0].GetParts())-1].GetName() != "reads" ||
		!h[0].GetAt().AsTime().Truncate(time.Hour).Equal(now.Add(-3*time.Hour).Truncate(time.Hour)) {
		t.Errorf("found the history %v", h)
	}
	if r, _ = list(p.admin, &headwaterv1.GetQualityRequest{Node: "service:small", Since: timestamppb.New(now.Add(-time.Minute - time.Hour))}); len(r.GetHistory()) != 1 {
		t.Errorf("found the history %v, expected what is now alone", r.GetHistory())
	}
	// Prometheus is told of the last look, without names of hidden things being at stake: it is for operators.
	metrics := p.scrape()
	for _, line := range []string{
		`headwater_quality_part{kind="source",node="flights",part="dropped"} 0.8`, `headwater_quality_score{kind="service",node="fine@1"} 100`,
		`headwater_checks{kind="source",node="flights",state="warned"} 2`, `headwater_checks{kind="view",node="delays@1",state="failed"} 0`, `headwater_quality_nodes_left_out 0`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("found no %s among the metrics", line)
		}
	}
	if strings.Contains(metrics, `node="traffic@1",part=`) || strings.Contains(metrics, `part="reads",`) {
		t.Error("found parts that are unknown among the metrics")
	}
}
