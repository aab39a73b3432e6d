package server

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// refsHeader asks for features by reference.
func refsHeader(name string, refs ...string) *headwaterv1.BuildDatasetHeader {
	return &headwaterv1.BuildDatasetHeader{Name: name, Features: refs}
}

// newOnDemandProduct has the definitions of onDemand, with rows of ORD and JFK, and the views of them up to now.
func newOnDemandProduct(t *testing.T, roles ...feature.Role) (*product, time.Time) {
	p := newProduct(t)
	d := onDemand()
	d.Roles = roles
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(3)), flight("JFK", 8, at, feature.Float64(0))), 0)
	p.materialize("delays", "traffic")
	return p, at
}

func TestDatasetsOfFeatureReferences(t *testing.T) {
	t.Parallel()
	p, at := newOnDemandProduct(t)
	spine := spineOf(asked("ORD", 7, at), asked("JFK", 7, at), asked("LAX", 7, at)).arrow(t)
	refs := []string{"traffic.delay", "delays@1.words", "delays.delay"}
	arrow, m, err := p.build(p.admin, "", refsHeader("few", refs...), spine)
	if err != nil {
		t.Fatal(err)
	}
	stamp := at.UTC().Format("2006-01-02T15:04:05.999999Z")
	want := []string{"ORD 7 " + stamp + " 3 from ORD 3", "JFK 7 " + stamp + " ∅ from JFK 0", "LAX 7 " + stamp + " ∅ ∅ ∅"}
	if got := readRows(t, arrow); !slices.Equal(got, want) {
		t.Errorf("found\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var columns []string
	for _, c := range m.GetColumns() {
		columns = append(columns, c.GetName())
	}
	if got := strings.Join(columns, " "); got != "origin number timestamp traffic__delay delays__words delays__delay" {
		t.Errorf("found the columns %s", got)
	}
	if got := strings.Join(m.GetFeatures(), " "); got != "traffic@1.delay delays@1.words delays@1.delay" || m.GetService() != "" || m.GetServiceVersion() != 0 || m.GetServiceFingerprint() != "" || m.GetName() != "few" {
		t.Errorf("found the manifest %v", m)
	}

	// What a view means later is another version.
	d := onDemand()
	d.Views[slices.IndexFunc(d.Views, func(v feature.View) bool { return v.Name == "delays" })].SQL.Query += " AND delay IS NOT NULL"
	p.apply(d)
	for _, ref := range []string{m.GetId(), "few@1"} {
		again, sent, err := p.fetch(p.admin, ref)
		if err != nil || !bytes.Equal(again, arrow) || strings.Join(sent.GetFeatures(), " ") != strings.Join(m.GetFeatures(), " ") {
			t.Errorf("%s: fetched other bytes, %v", ref, err)
		}
		v, err := p.datasets.VerifyDataset(p.admin, &headwaterv1.VerifyDatasetRequest{Dataset: ref})
		if err != nil || !v.GetSame() {
			t.Errorf("%s: found %v, %v", ref, v, err)
		}
	}
	list, err := p.datasets.ListDatasets(p.admin, &headwaterv1.ListDatasetsRequest{Name: "few"})
	if err != nil || len(list.GetDatasets()) != 1 || len(list.GetDatasets()[0].GetFeatures()) != 3 {
		t.Errorf("found %v, %v", list, err)
	}

	p.materialize("delays")

	// All features of a view, and what is computed of views.
	spine2 := spineOf(asked("ORD", 7, at))
	spine2.columns = append(spine2.columns, feature.Column{Name: "note", Type: feature.TypeString}, feature.Column{Name: "hour", Type: feature.TypeInt64})
	spine2.rows[0] = append(spine2.rows[0], feature.String("n"), feature.Int64(5))
	arrow, m, err = p.build(p.admin, "", refsHeader("computed", "mix", "traffic"), spine2.arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := readRows(t, arrow)[0], "ORD 7 "+stamp+" n 5 0.5 true from ORD/n ∅ 3"; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
	if got := strings.Join(m.GetFeatures(), " "); got != "mix@2.share mix@2.late_hour mix@2.label mix@2.age traffic@1.delay" {
		t.Errorf("found %s", got)
	}
}

func TestJoinsOfDatasets(t *testing.T) {
	p, at := newOnDemandProduct(t)
	spine := table{columns: []feature.Column{
		{Name: "home", Type: feature.TypeString}, {Name: "away", Type: feature.TypeString}, {Name: "flight", Type: feature.TypeInt64},
		{Name: "timestamp", Type: feature.TypeTimestamp}, {Name: "note", Type: feature.TypeString}, {Name: "hour", Type: feature.TypeInt64},
	}}
	for _, ends := range [][2]string{{"ORD", "JFK"}, {"JFK", "ORD"}} {
		spine.rows = append(spine.rows, []feature.Value{feature.String(ends[0]), feature.String(ends[1]), feature.Int64(7),
			feature.Timestamp(feature.TimeOf(at)), feature.String("n"), feature.Int64(5)})
	}
	header := refsHeader("pairs", "delays.words", "traffic.delay", "mix.label")
	header.KeyMapping = map[string]string{"number": "flight"}
	header.Joins = []*headwaterv1.DatasetJoin{
		{Prefix: "home_", KeyMapping: map[string]string{"origin": "home"}}, {Prefix: "away_", KeyMapping: map[string]string{"origin": "away"}},
	}
	arrow, m, err := p.build(p.admin, "", header, spine.arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range readRows(t, arrow) {
		got = append(got, row[strings.Index(row, " n 5 ")+5:])
	}
	want := []string{"from ORD from JFK 3 ∅ from ORD/n from JFK/n", "from JFK from ORD ∅ 3 from JFK/n from ORD/n"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, expected %q", got, want)
	}
	if len(m.GetJoins()) != 2 || m.GetJoins()[1].GetPrefix() != "away_" || m.GetJoins()[1].GetKeyMapping()["origin"] != "away" ||
		strings.Join(m.GetJoins()[1].GetViews(), " ") != "delays traffic" || len(m.GetViews()) != 2 || m.GetKeyMapping()["number"] != "flight" {
		t.Errorf("found the manifest %v", m)
	}
	again, _, err := p.fetch(p.admin, m.GetId())
	if err != nil || !bytes.Equal(again, arrow) {
		t.Errorf("fetched other bytes, %v", err)
	}
	v, err := p.datasets.VerifyDataset(p.admin, &headwaterv1.VerifyDatasetRequest{Dataset: m.GetId()})
	if err != nil || !v.GetSame() {
		t.Errorf("found %v, %v", v, err)
	}
	// A service's features are joined alike.
	arrow, m, err = p.build(p.admin, "ranked", &headwaterv1.BuildDatasetHeader{KeyMapping: header.KeyMapping, Joins: header.Joins[:1]}, spine.arrow(t))
	if err != nil || m.GetService() != "ranked" || m.GetColumns()[len(spine.columns)].GetName() != "home_mix__label" {
		t.Errorf("found %v, %v", m, err)
	}
	if again, _, err := p.fetch(p.admin, m.GetId()); err != nil || !bytes.Equal(again, arrow) {
		t.Errorf("fetched other bytes, %v", err)
	}
}

func TestFeatureReferencesThatAreRefused(t *testing.T) {
	p, at := newOnDemandProduct(t)
	spine := spineOf(asked("ORD", 7, at)).arrow(t)
	unnamed := refsHeader("", "delays.delay")
	joined := func(joins ...*headwaterv1.DatasetJoin) *headwaterv1.BuildDatasetHeader {
		h := refsHeader("few", "delays.delay")
		h.Joins = joins
		return h
	}
	mapped := refsHeader("few", "delays.delay")
	mapped.KeyMapping = map[string]string{"number": "flight"}
	for _, c := range []struct {
		service string
		header  *headwaterv1.BuildDatasetHeader
		reason  fault.Reason
		want    string
	}{
		{"", refsHeader("few", "delay.delay"), fault.NotFound, `found no view called "delay"; did you mean delays?`},
		{"", refsHeader("few", "delays@2.delay"), fault.NotFound, `found no version "2" of view delays; it has the versions 1 to 1`},
		{"", refsHeader("few", "delays.delay", "delays.wrds"), fault.InvalidArgument, `features: found no feature called "wrds" in view delays@1; did you mean words?`},
		{"", refsHeader("few", "delays.humidity"), fault.InvalidArgument, `features: found no feature called "humidity" in view delays@1; there is delay, words, late, left_at, number`},
		{"", refsHeader("few", "delays.delay", "delays@1.delay"), fault.InvalidArgument, "features: found delays@1.delay a second time, expected each feature once"},
		{"", refsHeader("few", "delays.delay", "delays"), fault.InvalidArgument, "features: found delays@1.delay a second time, expected each feature once"},
		{"", refsHeader("few", "delays."), fault.InvalidArgument, `features: found "delays.", expected VIEW.FEATURE, VIEW@VERSION.FEATURE, or a view for all of its features`},
		{"", refsHeader("few", ""), fault.InvalidArgument, `features: found "", expected VIEW.FEATURE, VIEW@VERSION.FEATURE, or a view for all of its features`},
		{"", unnamed, fault.InvalidArgument, "name: found none, expected one: a dataset of features by reference has no service to be called after"},
		{"", &headwaterv1.BuildDatasetHeader{}, fault.InvalidArgument, "the first message of a build has neither a service nor features, expected one of the two"},
		{"model", refsHeader("few", "delays.delay"), fault.InvalidArgument, "the first message of a build has both a service and features, expected one of the two"},
		{"", mapped, fault.InvalidArgument, "key mapping: number: no view of the request has a join key of this name; leave it out, or correct it: a join key " +
			"stands on the left, the column to take on the right"},
		{"", joined(&headwaterv1.DatasetJoin{Prefix: "a_", KeyMapping: map[string]string{"number": "x"}}), fault.InvalidArgument,
			"join a_: number: no view of the request has a join key of this name; there is origin"},
		{"", joined(&headwaterv1.DatasetJoin{Prefix: "A", KeyMapping: map[string]string{"origin": "x"}}), fault.InvalidArgument, "the request does not hold to its rules"},
		{"", joined(&headwaterv1.DatasetJoin{Prefix: "a_", KeyMapping: map[string]string{"origin": "x"}}), fault.InvalidSpine,
			"spine: found no column x, expected the join key origin of entity airport, which view delays needs in join a_; the spine has origin, number, " +
				"timestamp. If one of them is it, map it: --join a_:origin=COLUMN"},
	} {
		arrow, m, err := p.build(p.admin, c.service, c.header, spine)
		f := fault.FromError(err)
		if f == nil || f.Reason != c.reason || f.Message != c.want || len(arrow) > 0 || m != nil {
			t.Errorf("found    %v\nexpected %s %s", f, c.reason, c.want)
		}
	}
}

// Each view is decided on, those that on-demand features are computed of too; whoever may not read one is told of that alone.
func TestWhoMayReadFeaturesByReference(t *testing.T) {
	p, at := newOnDemandProduct(t, role("some", "read_offline on view:delays,view:mix"), role("less", "read_offline on view:traffic"),
		role("nothing", "list on source:flights"), role("services", "read_offline on service:*"), role("lists", "list on dataset:few"))
	some, less, nothing := p.as("sam", "some"), p.as("les", "less"), p.as("nat", "nothing")
	spine := spineOf(asked("ORD", 7, at)).arrow(t)
	_, m, err := p.build(some, "", refsHeader("few", "delays@1.delay", "delays.words"), spine)
	if err != nil {
		t.Fatal(err)
	}
	var decisions []string
	for _, r := range p.records(p.admin) {
		if r.GetPrincipal() == "sam" {
			decisions = append(decisions, fmt.Sprintf("%s %s %s", r.GetAction(), r.GetResource(), r.GetDecision()))
		}
	}
	// The decision, and what was given out.
	const once = "ACTION_READ_OFFLINE view:delays@1 DECISION_ALLOWED"
	if got, want := strings.Join(decisions, "\n"), once+"\n"+once; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	denied := func(who, asked, view, roles string) string {
		return who + " may not read_offline view:" + asked + ": no grant of read_offline on view:" + view + " in roles [" + roles + "]; whoever administers the " +
			"roles can change that"
	}
	build := func(ctx context.Context, refs ...string) error {
		_, _, err := p.build(ctx, "", refsHeader("few", refs...), spine)
		return err
	}
	wantFault(t, build(some, "delays.delay", "traffic.delay"), fault.PermissionDenied, denied("sam", "traffic", "traffic", "some"))
	wantFault(t, build(some, "mix.label"), fault.PermissionDenied, denied("sam", "traffic@1", "traffic", "some"))
	// What is hidden looks like what is not there.
	for _, view := range []string{"traffic", "traffik", "traffic@1", "traffic@9"} {
		bare, _, _ := strings.Cut(view, "@")
		wantFault(t, build(some, view+".nothing"), fault.PermissionDenied, denied("sam", view, bare, "some"))
	}

	if _, _, err := p.fetch(some, m.GetId()); err != nil {
		t.Error(err)
	}
	none := func(ref string) string {
		return `there is no dataset "` + ref + "\"; `headwater dataset list` shows those there are, by id and by NAME@VERSION"
	}
	for _, ref := range []string{"few@1", "few@2"} {
		_, _, err = p.fetch(less, ref)
		wantFault(t, err, fault.NotFound, none(ref))
		_, _, err = p.fetch(nothing, ref)
		wantFault(t, err, fault.PermissionDenied, "nat may not read_offline service:*: no grant of read_offline on any service in roles [nothing]; whoever "+
			"administers the roles can change that")
		_, _, err = p.fetch(p.as("sal", "services"), ref)
		wantFault(t, err, fault.NotFound, none(ref))
	}
	// Who may know of the dataset is told what is missing.
	_, _, err = p.fetch(p.as("lea", "less", "lists"), "few@1")
	wantFault(t, err, fault.PermissionDenied, denied("lea", "delays@1", "delays", "less lists"))
}

// Rows of times that no run covers are refused, or counted where that is allowed.
func TestPartialCoverage(t *testing.T) {
	p, at := newOnDemandProduct(t)
	later := time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
	spine := spineOf(asked("ORD", 7, at), asked("ORD", 7, later)).arrow(t)
	_, m, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{}, spine)
	f := fault.FromError(err)
	stamp := later.Format("2006-01-02T15:04:05.999999Z")
	if f == nil || f.Reason != fault.NotMaterialized || m != nil || !strings.HasPrefix(f.Message, "view delays@1: 1 of the spine's 2 rows, from "+stamp+" to "+stamp+
		", are of times that its runs published by position 2 do not cover; they cover all that there was on ") ||
		!strings.HasSuffix(f.Message, "; no run covers times that are still to come\nor leave these rows out, or allow them: --allow-partial") {
		t.Errorf("found %v", f)
	}
	arrow, m, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{AllowPartial: true}, spine)
	if err != nil || len(m.GetPartial()) != 1 {
		t.Fatalf("found %v, %v", m, err)
	}
	if c := m.GetPartial()[0]; c.GetView() != "delays" || c.GetViewVersion() != 1 || c.GetRows() != 1 || !c.GetFirst().AsTime().Equal(later) || !c.GetLast().AsTime().Equal(later) {
		t.Errorf("found %v", c)
	}
	if again, _, err := p.fetch(p.admin, m.GetId()); err != nil || !bytes.Equal(again, arrow) {
		t.Errorf("fetched other bytes, %v", err)
	}
}

// Knowledge of events is told of in every manifest, and refused for windows.
func TestKnowledgeOfDatasets(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	d := definitions()
	d.Views = append(d.Views, feature.View{
		Name: "daily", Entity: "airport", Features: []feature.Column{{Name: "flights", Type: feature.TypeInt64}},
		Aggregation: &feature.Aggregation{Source: "flights", Hop: 24 * time.Hour, Aggregates: []feature.Aggregate{
			{Feature: "flights", Function: feature.Count, Window: 24 * time.Hour},
		}},
	})
	p.apply(d)
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	late := flight("ORD", 7, at, feature.Float64(1))
	late[1] = feature.Timestamp(feature.TimeOf(at.Add(2 * time.Hour)))
	p.ingest(flights(late), 0)
	p.materialize("delays", "daily")
	spine := spineOf(asked("ORD", 7, at.Add(time.Hour))).arrow(t)
	for mode, want := range map[headwaterv1.KnowledgeMode]string{
		headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_UNSPECIFIED: "ORD 7 2001-01-01T01:00:00Z ∅",
		headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_ARRIVAL:     "ORD 7 2001-01-01T01:00:00Z ∅",
		headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_EVENT:       "ORD 7 2001-01-01T01:00:00Z 1",
	} {
		arrow, m, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{Knowledge: mode}, spine)
		if err != nil {
			t.Fatal(err)
		}
		event := mode == headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_EVENT
		if rows := readRows(t, arrow); len(rows) != 1 || rows[0] != want || m.GetMayLeak() != event || (m.GetKnowledge() == headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_EVENT) != event ||
			m.GetKnowledge() == headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_UNSPECIFIED {
			t.Errorf("%s: found %q, expected %s; knowledge %s, may leak: %v", mode, rows, want, m.GetKnowledge(), m.GetMayLeak())
		}
		again, sent, err := p.fetch(p.admin, m.GetId())
		if err != nil || !bytes.Equal(again, arrow) || sent.GetMayLeak() != event {
			t.Errorf("%s: fetched other bytes, %v", mode, err)
		}
	}
	header := refsHeader("few", "delays.delay", "daily.flights")
	header.Knowledge = headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_EVENT
	_, _, err := p.build(p.admin, "", header, spine)
	wantFault(t, err, fault.InvalidArgument, "knowledge: found event with windowed aggregations, expected arrival: their values are computed of what had arrived by each "+
		"point of time, in view daily@1; leave these out, or build with knowledge arrival")
}
