package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/bias"
)

// applicants are a source of people with a score and attributes; the view with attributes that no service reads, and a service of the scores.
func applicants() *feature.Definitions {
	sql := func(columns string) *feature.SQLTransform {
		return &feature.SQLTransform{Sources: []string{"applications"}, Query: "SELECT applicant, " + columns + ", event_time, available_at FROM applications " +
			"WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}"}
	}
	least := feature.Literal(0.0)
	return &feature.Definitions{
		Entities: []feature.Entity{{Name: "applicant", JoinKeys: []feature.Column{{Name: "applicant", Type: feature.TypeInt64}}}},
		Sources: []feature.Source{{
			Name: "applications", EventTime: "at", ArrivalColumn: "at", MaxQuarantineRatio: proto.Float64(1), Columns: []feature.Column{
				{Name: "at", Type: feature.TypeTimestamp}, {Name: "applicant", Type: feature.TypeInt64}, {Name: "score", Type: feature.TypeFloat64},
				{Name: "club", Type: feature.TypeString}, {Name: "race", Type: feature.TypeString}, {Name: "female", Type: feature.TypeBool},
			},
			Expectations: []feature.Expectation{{Name: "a_score", Column: "score", Kind: feature.ExpectRange, Min: least, OnFailure: feature.QuarantineRow, ErrorAbove: proto.Float64(1)}},
		}},
		Views: []feature.View{
			{Name: "scores", Entity: "applicant", Features: []feature.Column{{Name: "score", Type: feature.TypeFloat64}, {Name: "club", Type: feature.TypeString}}, SQL: sql("score, club")},
			{
				Name: "people", Entity: "applicant", Features: []feature.Column{{Name: "seen", Type: feature.TypeBool}},
				Attributes: []feature.Column{{Name: "race", Type: feature.TypeString}, {Name: "female", Type: feature.TypeBool}}, SQL: sql("true AS seen, race, female"),
			},
		},
		Services: []feature.Service{{Name: "hiring", Views: []feature.ServiceView{{View: "scores"}}}},
		Roles: []feature.Role{
			role("scientist", "list,read_offline on service:*,view:scores,dataset:*"), role("ethics", "list,read_offline on service:*,view:*,dataset:*"), role("clerk", "list on dataset:*"),
		},
	}
}

// applied applies the definitions, runs their views over 300 applicants, every third of whom is of group b, and returns the spine: 120 of the 200 others are hired and 40 of those 100.
func (p *product) applied() table {
	p.t.Helper()
	p.apply(applicants())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	source := table{columns: applicants().Sources[0].Columns}
	spine := table{columns: []feature.Column{
		{Name: "applicant", Type: feature.TypeInt64}, {Name: "timestamp", Type: feature.TypeTimestamp}, {Name: "hired", Type: feature.TypeString}, {Name: "site", Type: feature.TypeInt64},
		{Name: "predicted", Type: feature.TypeFloat64},
	}}
	row := func(i int, score float64, race string) {
		source.rows = append(source.rows, []feature.Value{
			feature.Timestamp(feature.TimeOf(at)), feature.Int64(int64(i)), feature.Float64(score), feature.String("club " + race), feature.String(race), feature.Bool(i%2 == 0),
		})
	}
	for i := range 300 {
		race, place, hired := "a", i-i/3-1, "no"
		if i%3 == 0 {
			race, place = "b", i/3
		}
		if race == "a" && place < 120 || race == "b" && place < 40 {
			hired = "yes"
		}
		row(i, float64(i%10), race)
		spine.rows = append(spine.rows, []feature.Value{
			feature.Int64(int64(i)), feature.Timestamp(feature.TimeOf(at.Add(time.Hour))), feature.String(hired), feature.Int64(int64(place % 2)), feature.Float64(float64(300-place) / 300),
		})
	}
	for i := range 5 {
		row(1000+i, -1, "b")
	}
	for i := range 70 {
		row(1005+i, -1, fmt.Sprint("only aside ", i))
	}
	content := source.arrow(p.t)
	if _, err := p.send(p.admin, "applications", p.header(content, 0), content, 1000); err != nil {
		p.t.Fatal(err)
	}
	p.materialize("scores", "people")
	return spine
}

func TestBiasReports(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	spine := p.applied()
	service := headwaterv1.NewBiasServiceClient(p.conn)
	leaveOut := []*headwaterv1.LeaveOutRule{{Rule: &headwaterv1.LeaveOutRule_Condition{Condition: "row.scores__score == 9.0"}}}
	_, m, err := p.build(p.admin, "hiring", &headwaterv1.BuildDatasetHeader{LeaveOut: leaveOut}, spine.arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	_, whole, err := p.build(p.admin, "hiring", &headwaterv1.BuildDatasetHeader{}, spine.arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	question := &headwaterv1.BiasQuestion{
		Label: "hired", Favourable: "yes", By: []string{"people.race", "people.female"}, Intersections: true, Prediction: "predicted", Threshold: proto.Float64(0.5), Stratify: "site",
		References: map[string]string{"people.race": "a"},
	}
	r, err := service.ReportBias(p.admin, &headwaterv1.ReportBiasRequest{Dataset: whole.GetId(), Question: question})
	if err != nil {
		t.Fatal(err)
	}
	report := r.GetReport()
	if report.GetContentDigest() != whole.GetContentDigest() || report.GetDatasetRef() != "hiring@2" || report.GetPrincipal() != "ada" || !strings.HasPrefix(report.GetId(), "br_") {
		t.Errorf("found %v", report)
	}
	found := report.GetFindings()
	if n := len(found.GetGroupings()); n != 3 || found.GetRows() != 300 || found.GetSetAside() != 75 {
		t.Fatalf("found %d groupings, %d rows, %d set aside", n, found.GetRows(), found.GetSetAside())
	}
	race := found.GetGroupings()[0]
	a, b := race.GetGroups()[0], race.GetGroups()[1]
	if a.GetValues()[0].GetText() != "a" || a.GetLabel().GetFavourable() != 120 || a.GetLabel().GetKnown() != 200 || !a.GetLabel().GetReference() || b.GetLabel().GetFavourable() != 40 ||
		b.GetRows() != 100 || b.GetSetAside() != 5 {
		t.Errorf("found %v and %v", a, b)
	}
	if ratio := b.GetLabel().GetImpactRatio(); ratio < 0.666 || ratio > 0.667 || race.GetLabel().GetVerdict() != headwaterv1.BiasVerdict_BIAS_VERDICT_BELOW_FOUR_FIFTHS ||
		!race.GetLabel().GetSignificant() || b.GetLabel().GetStratified().GetStrata() != 2 {
		t.Errorf("found %v of %v", race.GetLabel(), b.GetLabel())
	}
	if a.GetErrors().Auc == nil || a.GetErrors().GetAuc() != 1 {
		t.Errorf("found %v, expected predictions that tell all", a.GetErrors())
	}
	if proxy := found.GetProxies()[0]; proxy.GetAttribute() != "people.race" || proxy.GetColumn() != "scores__club" || proxy.GetCramersV() < 0.999 {
		t.Errorf("found %v, expected the club to stand for the group", proxy)
	}

	// Rows that a rule left out have a group too.
	r, err = service.ReportBias(p.admin, &headwaterv1.ReportBiasRequest{Dataset: m.GetId(), Question: &headwaterv1.BiasQuestion{Label: "hired", Favourable: "yes", By: []string{"people.race"}}})
	if err != nil {
		t.Fatal(err)
	}
	if f := r.GetReport().GetFindings(); f.GetRows() != 270 || f.GetLeftOut() != 30 || f.GetGroupings()[0].GetGroups()[1].GetLeftOut() != 10 {
		t.Errorf("found %v", f)
	}

	// It is kept as it was, and shown to who may have the dataset and read the attributes.
	again, err := service.GetBiasReport(p.admin, &headwaterv1.GetBiasReportRequest{Id: report.GetId()})
	if err != nil || !proto.Equal(again.GetReport(), report) {
		t.Errorf("found %v, %v\nexpected %v", again, err, report)
	}
	ethics, scientist, clerk := p.as("eva", "ethics"), p.as("sid", "scientist"), p.as("cleo", "clerk")
	shown, err := service.GetBiasReport(ethics, &headwaterv1.GetBiasReportRequest{Id: report.GetId()})
	if f := shown.GetReport().GetFindings(); err != nil || !f.GetSetAsideWithheld() || f.GetSetAside() != 0 || f.GetGroupings()[0].GetGroups()[1].GetSetAside() != 0 {
		t.Errorf("found %v, %v, expected the rows that were set aside of a source to be withheld from who may not read it", f, err)
	}
	// So is the group of values that only these have, which is one.
	others := func(r *headwaterv1.BiasReport) (rows int64, groups int) {
		for _, g := range r.GetFindings().GetGroupings()[0].GetGroups() {
			if g.GetValues()[0].GetOther() {
				rows, groups = rows+g.GetSetAside(), groups+1
			}
		}
		return rows, groups
	}
	if rows, n := others(report); rows != 70 || n != 1 || strings.Contains(report.String(), "only aside") {
		t.Errorf("found %d groups of %d rows in %v, expected one of all values that no row of the spine has", n, rows, report)
	}
	if _, n := others(shown.GetReport()); n != 0 {
		t.Errorf("found %v, expected no group that only rows that were set aside have", shown)
	}
	list := func(ctx context.Context, of string) int {
		t.Helper()
		r, err := service.ListBiasReports(ctx, &headwaterv1.ListBiasReportsRequest{Dataset: of})
		if err != nil {
			t.Fatal(err)
		}
		for _, of := range r.GetReports() {
			if of.GetFindings() != nil {
				t.Errorf("found findings in a list: %v", of)
			}
		}
		return len(r.GetReports())
	}
	if n, k := list(clerk, ""), list(ethics, "hiring@1"); n != 2 || k != 1 {
		t.Errorf("found %d and %d reports, expected 2 and 1", n, k)
	}
	// Pages are the whole, and columns of views are for who may list these.
	var ids []string
	for req := (&headwaterv1.ListBiasReportsRequest{PageSize: 1}); ; {
		page, err := service.ListBiasReports(clerk, req)
		if err != nil || len(page.GetReports()) != 1 {
			t.Fatalf("found %v, %v, expected a page of one", page, err)
		}
		of := page.GetReports()[0]
		ids = append(ids, of.GetId())
		if q := of.GetQuestion(); len(q.GetBy()) > 0 || !of.GetColumnsWithheld() || q.GetLabel() != "hired" {
			t.Errorf("found %v, expected no column of a view that may not be listed", of)
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if len(ids) != 2 || ids[1] != report.GetId() || ids[0] == ids[1] {
		t.Errorf("found %v, expected two reports, the newest first", ids)
	}
	listed, err := service.ListBiasReports(ethics, &headwaterv1.ListBiasReportsRequest{Dataset: "hiring@2"})
	if of := listed.GetReports(); err != nil || len(of) != 1 || of[0].GetColumnsWithheld() || len(of[0].GetQuestion().GetBy()) != 2 || len(of[0].GetQuestion().GetReferences()) > 0 {
		t.Errorf("found %v, %v, expected columns for who may list their view, and no references", listed, err)
	}
	if _, err := service.ListBiasReports(clerk, &headwaterv1.ListBiasReportsRequest{PageToken: "x"}); fault.FromError(err) == nil ||
		fault.FromError(err).Message != `page_token: found "x", expected the next_page_token of the page before` {
		t.Errorf("found %v", err)
	}
	refused := func(ctx context.Context, q *headwaterv1.BiasQuestion, reason fault.Reason, message string) {
		t.Helper()
		_, err := service.ReportBias(ctx, &headwaterv1.ReportBiasRequest{Dataset: "hiring@2", Question: q})
		if f := fault.FromError(err); f == nil || f.Reason != reason || f.Message != message {
			t.Errorf("found %v\nexpected %s %s", err, reason, message)
		}
	}
	by := func(columns ...string) *headwaterv1.BiasQuestion {
		return &headwaterv1.BiasQuestion{Label: "hired", Favourable: "yes", By: columns}
	}
	_, err = service.ReportBias(scientist, &headwaterv1.ReportBiasRequest{Dataset: "hiring@2", Question: by("people.race")})
	if fault.FromError(err).Reason != fault.PermissionDenied {
		t.Errorf("found %v, expected the attributes of a view not to be for who may not read it", err)
	}
	if _, err := service.ReportBias(scientist, &headwaterv1.ReportBiasRequest{Dataset: "hiring@2", Question: by("site")}); err != nil {
		t.Errorf("found %v, expected columns of the dataset to be for who may have it", err)
	}
	for ctx, what := range map[context.Context]string{scientist: "a report by attributes", clerk: "any report"} {
		if _, err := service.GetBiasReport(ctx, &headwaterv1.GetBiasReportRequest{Id: report.GetId()}); fault.FromError(err).Reason != fault.PermissionDenied {
			t.Errorf("found %v, expected %s to be refused", err, what)
		}
	}
	if _, err := service.GetBiasReport(p.admin, &headwaterv1.GetBiasReportRequest{Id: "br_x"}); fault.FromError(err).Reason != fault.NotFound {
		t.Errorf("found %v", err)
	}

	refused(p.admin, &headwaterv1.BiasQuestion{Label: "hired", Favourable: "Yes", By: []string{"site"}}, fault.InvalidArgument,
		`favourable: found no row with hired = Yes, expected one of its values: no, yes`)
	refused(p.admin, by("applicant"), fault.InvalidArgument, "by: column applicant: found more than 64 values, expected one of few; leave it out, or bring its values to fewer in the spine")
	refused(p.admin, by("predicted"), fault.InvalidArgument, "by: column predicted: found float64, expected bool, int64 or string")
	refused(p.admin, by("race"), fault.InvalidArgument, "by: found no column race in dataset hiring@2, expected one of applicant, timestamp, hired, site, predicted, scores__score, scores__club, "+
		"or VIEW.COLUMN for one that a view stores")
	refused(p.admin, by("people.rice"), fault.InvalidArgument, "by: found no column rice in view people@1, expected one of seen, race, female")
	refused(p.admin, by("hired"), fault.InvalidArgument, "by: found hired, which is label already, expected another column")
	q := by("people.race")
	q.References = map[string]string{"people.race": "c"}
	refused(p.admin, q, fault.InvalidArgument, "references: reference people.race=c: found no row with that value, expected one of a, b")
	q = by("people.race")
	q.Prediction = "predicted"
	refused(p.admin, q, fault.InvalidArgument, "prediction: column predicted: found float64, expected string, the type of hired; of scores say the threshold from which on they are favourable")
	refused(p.admin, &headwaterv1.BiasQuestion{Label: "site", Favourable: "one", By: []string{"people.race"}}, fault.InvalidArgument, `favourable: found "one", expected a int64, the type of site`)

	// Too many strata are told of where they were asked for.
	err = (&biasQuestion{}).refusal(&bias.TooMany{Column: "site", Most: 1024, Strata: true})
	if f := fault.As(err); f == nil || f.Message != "stratify: column site: found more than 1024 values, expected one of few; leave it out, or bring its values to fewer in the spine" {
		t.Errorf("found %v", err)
	}

	// An erasure takes away what was found of the entity's rows.
	_, err = p.retention.Forget(p.admin, &headwaterv1.ForgetRequest{
		Entity: "applicant", Keys: map[string]*headwaterv1.Value{"applicant": {Kind: &headwaterv1.Value_Int64Value{Int64Value: 7}}}, Reason: "asked for it",
	})
	if err != nil {
		t.Fatal(err)
	}
	again, err = service.GetBiasReport(p.admin, &headwaterv1.GetBiasReportRequest{Id: report.GetId()})
	if err != nil || again.GetReport().GetFindings() != nil || again.GetReport().GetErasedAt() == nil {
		t.Errorf("found %v, %v, expected what was found to be erased", again, err)
	}
	// A report that was being made meanwhile is not kept, and would not be shown.
	late := &quality.BiasReport{Dataset: report.GetDataset(), Digest: report.GetContentDigest(), Findings: &quality.BiasFindings{}, Principal: "ada"}
	left, err := dataset.Find(t.Context(), p.pool, whole.GetId())
	if err != nil {
		t.Fatal(err)
	}
	err = (&biasService{pool: p.pool}).keep(t.Context(), left, late)
	if f := fault.As(err); f == nil || f.Reason != fault.FailedPrecondition ||
		f.Message != "dataset hiring@2: an erasure took rows out of it while the report was made, so it is not kept; ask for it again" || late.ID != "" {
		t.Errorf("found %v and report %q", err, late.ID)
	}
	if err := quality.KeepBiasReport(t.Context(), p.pool, late); err != nil {
		t.Fatal(err)
	}
	again, err = service.GetBiasReport(p.admin, &headwaterv1.GetBiasReportRequest{Id: late.ID})
	if err != nil || again.GetReport().GetFindings() != nil || again.GetReport().GetErasedAt() == nil {
		t.Errorf("found %v, %v, expected nothing of what is not there any more", again, err)
	}
	r, err = service.ReportBias(p.admin, &headwaterv1.ReportBiasRequest{Dataset: whole.GetId(), Question: by("people.race")})
	if err != nil || r.GetReport().GetFindings().GetRows() != 299 || r.GetReport().GetContentDigest() == report.GetContentDigest() {
		t.Errorf("found %v, %v, expected a report on what is left", r, err)
	}
}

// What is protected is an attribute, and becomes no feature by SQL, by a view over it, or by a tag that comes later, unless a view declares it.
func TestProtectedValuesAreNoFeatures(t *testing.T) {
	p := newProduct(t)
	refused := func(d *feature.Definitions, field, message string) {
		t.Helper()
		_, err := p.registry.Apply(p.admin, &headwaterv1.ApplyRequest{Files: []*headwaterv1.DefinitionSource{{Path: "all.yaml", File: definition.ToProto(d)}}})
		f := fault.FromError(err)
		if f == nil || f.Reason != fault.InvalidDefinition || len(f.Violations) != 1 || !strings.HasSuffix(f.Violations[0].Field, field) || f.Violations[0].Description != message {
			t.Errorf("found %v with %v\nexpected at %s: %s", err, f.Violations, field, message)
		}
	}
	tagged := func() *feature.Definitions {
		d := applicants()
		d.Sources[0].Column("race").Tags = []string{feature.ProtectedTag}
		return d
	}
	// Attributes may have it, and reports are by them: see above.
	p.apply(tagged())

	const of = "found the tag protected on feature %s of view %s, from source:applications.race, expected none on what can be served; make it an attribute, which can be looked at in bias reports"
	const declare = ", or declare why it is served: declassify: [{column: %s, tags: [protected], reason: ...}], which takes administer on tag:protected"
	d := tagged()
	d.Views = append(d.Views, feature.View{
		Name: "coded", Entity: "applicant", Features: []feature.Column{{Name: "code", Type: feature.TypeString}, {Name: "club", Type: feature.TypeString}}, SQL: &feature.SQLTransform{
			Views: []feature.ViewRef{{Name: "people"}, {Name: "scores"}}, Query: "SELECT p.applicant, upper(p.race) AS code, s.club, p.event_time, greatest(p.available_at, s.available_at) AS available_at " +
				"FROM people p JOIN scores s ON s.applicant = p.applicant AND s.event_time = p.event_time WHERE p.event_time >= {{interval.start}} AND p.event_time < {{interval.end}}",
		},
	})
	refused(d, "feature_views[2].features[0]", fmt.Sprintf(of+declare, "code", "coded@1", "code"))

	// Whoever declares it may administer the tag.
	d.Views[2].Declassify = []feature.Declassification{{Column: "code", Tags: []string{feature.ProtectedTag}, Reason: "the law asks for it"}}
	d.Roles = append(d.Roles, role("engineer", "register,list,read_offline,read_online on entity:*,source:*,view:*,service:*,role:*"))
	p.apply(tagged())
	_, err := p.registry.Apply(p.admin, &headwaterv1.ApplyRequest{Files: []*headwaterv1.DefinitionSource{{Path: "roles.yaml", File: definition.ToProto(&feature.Definitions{
		Roles: d.Roles[len(d.Roles)-1:],
	})}}})
	if err != nil {
		t.Fatal(err)
	}
	denied(t, "an author", p.tryApply(p.as("eng", "engineer"), d), "eng may not administer tag:protected")
	p.apply(d)
	// So does whoever takes the tag off.
	open := applicants()
	open.Roles = d.Roles
	denied(t, "an author", p.tryApply(p.as("eng", "engineer"), open), "eng may not administer tag:protected")

	// A tag of a feature itself, and one that comes to a source of what is served already.
	d = tagged()
	d.Views[0].Features[0].Tags = []string{feature.ProtectedTag}
	refused(d, "feature_views[0].features[0]", "found the tag protected on feature score of view scores@1, from view:scores.score, expected none on what can be served; make it an attribute, "+
		"which can be looked at in bias reports, or take the tag off the feature")
	late := &feature.Definitions{Sources: tagged().Sources}
	late.Sources[0].Column("club").Tags = []string{feature.ProtectedTag}
	_, err = p.registry.Apply(p.admin, &headwaterv1.ApplyRequest{Files: []*headwaterv1.DefinitionSource{{Path: "late.yaml", File: definition.ToProto(late)}}})
	f := fault.FromError(err)
	if f == nil || len(f.Violations) != 2 || !strings.HasSuffix(f.Violations[0].Field, "sources[0].columns[3]") || !strings.Contains(f.Violations[0].Description, "feature club of view ") {
		t.Errorf("found %v with %v", err, f)
	}
}

// A view from before analyses were kept has the tags of all that it reads.
func TestViewsWithoutAnalysisAreHeldToProtectedTags(t *testing.T) {
	p := newProduct(t)
	p.apply(applicants())
	if _, err := p.pool.Exec(p.admin, `UPDATE headwater.definition SET analysis = NULL WHERE kind = 'view' AND name = 'scores'`); err != nil {
		t.Fatal(err)
	}
	url, redis := p.url, p.redisURL
	p.close()
	p = openProduct(t, url, redis)
	late := &feature.Definitions{Sources: applicants().Sources}
	late.Sources[0].Column("race").Tags = []string{feature.ProtectedTag}
	_, err := p.registry.Apply(p.admin, &headwaterv1.ApplyRequest{Files: []*headwaterv1.DefinitionSource{{Path: "late.yaml", File: definition.ToProto(late)}}})
	f := fault.FromError(err)
	if f == nil || f.Reason != fault.InvalidDefinition || len(f.Violations) != 2 || !strings.Contains(f.Violations[0].Description, "feature score of view scores@1, from source:applications.race") {
		t.Errorf("found %v with %v", err, f)
	}
}
