package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
)

// answerRows are the values of an answer as readRows has those of a dataset, entity by entity.
func answerRows(t testing.TB, r *headwaterv1.GetFeaturesResponse) []string {
	t.Helper()
	var rows []string
	for i := range wire.VectorLen(r.GetFeatures()[0].GetValues()) {
		var texts []string
		for _, f := range r.GetFeatures() {
			v, err := wire.FromVector(f.GetValues(), i)
			if err != nil {
				t.Fatal(err)
			}
			text := v.Text()
			if v.IsNull() {
				text = "∅"
			}
			texts = append(texts, text)
		}
		rows = append(rows, strings.Join(texts, " "))
	}
	return rows
}

func answerNames(r *headwaterv1.GetFeaturesResponse) string {
	var names []string
	for _, f := range r.GetFeatures() {
		names = append(names, f.GetName())
	}
	return strings.Join(names, " ")
}

func TestOnlineReadsByReferencesAreDatasetsOfNow(t *testing.T) {
	p, _ := newOnDemandProduct(t)
	refs := []string{"traffic.delay", "delays@1.words", "mix.share", "mix.late_hour", "mix.label", "delays.delay", "recent"}
	spine := spineOf(asked("ORD", 7, time.Now()), asked("JFK", 7, time.Now()), asked("LAX", 7, time.Now()))
	spine.columns = append(spine.columns, feature.Column{Name: "note", Type: feature.TypeString}, feature.Column{Name: "hour", Type: feature.TypeInt64})
	for i := range spine.rows {
		spine.rows[i] = append(spine.rows[i], feature.String("n"), feature.Int64(5))
	}
	p.materialize("recent")
	header := refsHeader("now", refs...)
	header.AllowPartial = true
	arrow, m, err := p.build(p.admin, "", header, spine.arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	request := &headwaterv1.GetFeaturesRequest{
		Features: refs, Purpose: "checkout", WithProvenance: true,
		Keys:   map[string]*headwaterv1.KeyColumn{"origin": texts("ORD", "JFK", "LAX"), "number": numbers(7, 7, 7)},
		Inputs: map[string]*headwaterv1.KeyColumn{"note": texts("n", "n", "n"), "hour": numbers(5, 5, 5)},
	}
	for range 2 {
		r, err := p.online.GetFeatures(p.admin, request)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range m.GetColumns()[len(spine.columns):] {
			names = append(names, c.GetName())
		}
		if got, want := answerNames(r), strings.Join(names, " "); got != want {
			t.Errorf("found %s, expected %s", got, want)
		}
		// A text of words is one.
		for i, row := range readRows(t, arrow) {
			if got := answerRows(t, r)[i]; !strings.HasSuffix(row, " n 5 "+got) {
				t.Errorf("entity %d: found %q, expected the end of %q", i, got, row)
			}
		}
		if r.GetService() != "" || r.GetServiceVersion() != 0 || len(r.GetProvenance()) != 3 || !strings.HasPrefix(r.GetReadId(), "rd_") {
			t.Errorf("found %v", r)
		}
	}
	var read []string
	for _, a := range p.records(p.admin) {
		if a.GetMethod() == headwaterv1.OnlineService_GetFeatures_FullMethodName && a.GetPurpose() == "checkout" {
			read = append(read, a.GetResource())
		}
	}
	slices.Sort(read)
	if got := strings.Join(slices.Compact(read), " "); got != "view:delays@1 view:mix@1 view:recent@1 view:traffic@1" {
		t.Errorf("found records of %s", got)
	}
}

func TestOnlineJoinsAreThoseOfDatasets(t *testing.T) {
	p, _ := newOnDemandProduct(t)
	spine := table{columns: []feature.Column{
		{Name: "home", Type: feature.TypeString}, {Name: "away", Type: feature.TypeString}, {Name: "flight", Type: feature.TypeInt64},
		{Name: "timestamp", Type: feature.TypeTimestamp}, {Name: "note", Type: feature.TypeString}, {Name: "hour", Type: feature.TypeInt64},
	}}
	now := feature.Timestamp(feature.TimeOf(time.Now()))
	for _, ends := range [][2]string{{"ORD", "JFK"}, {"JFK", "ORD"}, {"LAX", "ORD"}} {
		spine.rows = append(spine.rows, []feature.Value{feature.String(ends[0]), feature.String(ends[1]), feature.Int64(7), now, feature.String("n"), feature.Int64(5)})
	}
	mappings := []map[string]string{{"origin": "home"}, {"origin": "away"}}
	header := refsHeader("pairs", "delays.words", "traffic.delay", "mix.label")
	header.KeyMapping, header.AllowPartial = map[string]string{"number": "flight"}, true
	header.Joins = []*headwaterv1.DatasetJoin{{Prefix: "home_", KeyMapping: mappings[0]}, {Prefix: "away_", KeyMapping: mappings[1]}}
	keys := map[string]*headwaterv1.KeyColumn{"home": texts("ORD", "JFK", "LAX"), "away": texts("JFK", "ORD", "ORD"), "flight": numbers(7, 7, 7)}
	inputs := map[string]*headwaterv1.KeyColumn{"note": texts("n", "n", "n")}
	joins := []*headwaterv1.FeatureJoin{{Prefix: "home_", KeyMapping: mappings[0]}, {Prefix: "away_", KeyMapping: mappings[1]}}
	for _, service := range []string{"", "ranked"} {
		request := &headwaterv1.GetFeaturesRequest{
			Service: service, Features: header.Features, KeyMapping: header.KeyMapping, Joins: joins, Keys: keys, Inputs: inputs, WithProvenance: true,
		}
		if service != "" {
			header, request.Features = &headwaterv1.BuildDatasetHeader{KeyMapping: header.KeyMapping, Joins: header.Joins, AllowPartial: true}, nil
			// What is computed of the time of the read is another value each time, but for the entities that have none.
			request.Inputs = map[string]*headwaterv1.KeyColumn{"note": inputs["note"], "hour": numbers(5, 5, 5)}
		}
		arrow, m, err := p.build(p.admin, service, header, spine.arrow(t))
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.online.GetFeatures(p.admin, request)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range m.GetColumns()[len(spine.columns):] {
			names = append(names, c.GetName())
		}
		if got, want := answerNames(r), strings.Join(names, " "); got != want {
			t.Errorf("found %s, expected %s", got, want)
		}
		for i, row := range readRows(t, arrow) {
			if got := answerRows(t, r)[i]; !strings.HasSuffix(row, " n 5 "+got) {
				t.Errorf("service %q, entity %d: found %q, expected the end of %q", service, i, got, row)
			}
		}
		var views []string
		for _, v := range r.GetProvenance() {
			views = append(views, fmt.Sprint(v.GetPrefix(), v.GetView(), v.GetRunSeqs()))
		}
		if got, want := strings.Join(views, " "), "home_delays[1 1 0] away_delays[1 1 1] home_traffic[1 0 0] away_traffic[0 1 1]"; service == "" && got != want {
			t.Errorf("found the provenance %s, expected %s", got, want)
		}
	}
}

func TestOnlineReadsOfReferencesAndJoinsRefuse(t *testing.T) {
	p, _ := newOnDemandProduct(t, role("one", "read_online on view:delays,service:small"))
	keys := map[string]*headwaterv1.KeyColumn{"origin": texts("ORD"), "number": numbers(7)}
	refs := func(refs ...string) *headwaterv1.GetFeaturesRequest {
		return &headwaterv1.GetFeaturesRequest{Features: refs, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}}
	}
	joined := func(joins ...*headwaterv1.FeatureJoin) *headwaterv1.GetFeaturesRequest {
		return &headwaterv1.GetFeaturesRequest{Features: []string{"delays.delay"}, Joins: joins, Keys: keys}
	}
	mapping := map[string]string{"origin": "home"}
	both := refs("delays.delay")
	both.Service = "small"
	unmapped := refs("delays.delay")
	unmapped.KeyMapping = map[string]string{"nmber": "x"}
	for name, c := range map[string]struct {
		request *headwaterv1.GetFeaturesRequest
		reason  fault.Reason
		message string
		field   string
	}{
		"both": {both, fault.InvalidArgument, "the request has both a service and features, expected one of the two", "features"},
		"not a reference": {refs("delays.delay", "delays."), fault.InvalidArgument,
			`features: found "delays.", expected VIEW.FEATURE, VIEW@VERSION.FEATURE, or a view for all of its features`, "features[1]"},
		"no feature": {refs("delays.dely"), fault.InvalidArgument,
			`features: found no feature called "dely" in view delays@1; did you mean delay?`, "features[0]"},
		"twice":   {refs("delays", "delays@1.delay"), fault.InvalidArgument, "features: found delays@1.delay a second time, expected each feature once", "features[1]"},
		"no view": {refs("dalays.delay"), fault.NotFound, `found no view called "dalays"; did you mean delays?`, ""},
		"no key": {refs("traffic.delay"), fault.InvalidArgument,
			"keys: column number: found none, expected the join key number of entity route, which view traffic needs", `keys["number"]`},
		"a key of nothing": {&headwaterv1.GetFeaturesRequest{Features: []string{"delays.delay"}, Keys: keys}, fault.InvalidArgument,
			"keys: column number: no view of the request has a join key of this name; leave it out, or map a join key to it in key_mapping", `keys["number"]`},
		"a mapping of nothing": {unmapped, fault.InvalidArgument, "key mapping: nmber: no view of the request has a join key of this name; leave it out, " +
			"or correct it: a join key stands on the left, the column to take on the right", `key_mapping["nmber"]`},
		"a prefix twice": {joined(&headwaterv1.FeatureJoin{Prefix: "a_", KeyMapping: mapping}, &headwaterv1.FeatureJoin{Prefix: "a_", KeyMapping: mapping}),
			fault.InvalidArgument, "join a_: found this prefix a second time, expected each once", "joins[1]"},
		"a join of nothing": {joined(&headwaterv1.FeatureJoin{Prefix: "a_", Views: []string{"traffic"}, KeyMapping: mapping}), fault.InvalidArgument,
			"join a_: the request reads no view traffic; there is delays", "joins[0]"},
		"a join without its column": {joined(&headwaterv1.FeatureJoin{Prefix: "a_", KeyMapping: mapping}), fault.InvalidArgument,
			"keys: column number: no view of the request has a join key of this name; leave it out, or map a join key to it in key_mapping", `keys["number"]`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.online.GetFeatures(p.admin, c.request)
			f := fault.FromError(err)
			if f == nil || f.Reason != c.reason || f.Error() != c.message && f.Message != c.message {
				t.Fatalf("found    %v\nexpected %s %s", f, c.reason, c.message)
			}
			if c.field != "" && !slices.ContainsFunc(f.Violations, func(v fault.Violation) bool { return v.Field == c.field }) {
				t.Errorf("found %v, expected one of %s", f.Violations, c.field)
			}
		})
	}

	// Views are decided on one by one, and what is hidden looks like what is not there.
	ada := p.as("one_model", "one")
	if _, err := p.online.GetFeatures(ada, refs("delays.delay")); err != nil {
		t.Error(err)
	}
	for _, view := range []string{"traffic", "nothing"} {
		_, err := p.online.GetFeatures(ada, refs("delays.delay", view+".delay"))
		wantFault(t, err, fault.PermissionDenied, "one_model may not read_online view:"+view+": no grant of read_online on view:"+view+
			" in roles [one]; whoever administers the roles can change that")
	}
	// A plan that was made for another caller lets nobody read more.
	whole := &headwaterv1.GetFeaturesRequest{Features: []string{"delays.delay", "traffic.delay"}, Keys: keys}
	for range 2 {
		if _, err := p.online.GetFeatures(p.admin, whole); err != nil {
			t.Error(err)
		}
		if _, err := p.online.GetFeatures(ada, whole); fault.FromError(err).Reason != fault.PermissionDenied {
			t.Errorf("found %v", err)
		}
	}
}
