package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
)

func TestGetFeatures(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	now := time.Now().UTC().Truncate(time.Second)
	old, fresh := now.Add(-48*time.Hour), now.Add(-time.Hour)
	p.ingest(flights(flight("ORD", 7, old, feature.Float64(1)), flight("ORD", 7, fresh, feature.Float64(20)),
		flight("JFK", 8, old, feature.Null())), 0)
	p.materialize("delays", "recent", "traffic")

	r, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{
		Service: "model", Purpose: "checkout", WithProvenance: true, Keys: map[string]*headwaterv1.KeyColumn{
			"origin": {Values: append(texts("ORD", "JFK", "LAX", "ORD").Values, null())},
			"number": {Values: append(numbers(7, 8, 7).Values, null(), numbers(7).Values[0])},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`delays__delay 20/PRESENT 0/NULL 0/NO_ROW 20/PRESENT 0/NO_KEY
delays__words "from ORD"/PRESENT "from JFK"/PRESENT ""/NO_ROW "from ORD"/PRESENT ""/NO_KEY
delays__late true/PRESENT false/NULL false/NO_ROW true/PRESENT false/NO_KEY
delays__left_at %[1]d/PRESENT %[2]d/PRESENT 0/NO_ROW %[1]d/PRESENT 0/NO_KEY
delays__number 7/PRESENT 8/PRESENT 0/NO_ROW 7/PRESENT 0/NO_KEY
recent__delay 20/PRESENT 0/EXPIRED 0/NO_ROW 20/PRESENT 0/NO_KEY
traffic__delay 20/PRESENT 0/NULL 0/NO_ROW 0/NO_KEY 0/NO_KEY
`, fresh.UnixMicro(), old.UnixMicro())
	if got := vectors(r); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	// The position is followed, so it may be one of before.
	if r.GetService() != "model" || r.GetServiceVersion() != 1 || r.GetPosition() < 0 || r.GetPosition() > 3 {
		t.Errorf("found service %s@%d at position %d", r.GetService(), r.GetServiceVersion(), r.GetPosition())
	}
	got := ""
	for _, v := range r.GetProvenance() {
		got += fmt.Sprintf("%s@%d %v %v %v\n", v.GetView(), v.GetViewVersion(), v.GetEventTimes(), v.GetAvailableAts(), v.GetRunSeqs())
	}
	times := func(at ...time.Time) string {
		var micros []int64
		for _, a := range at {
			n := a.UnixMicro()
			if a.IsZero() {
				n = 0
			}
			micros = append(micros, n)
		}
		return fmt.Sprint(micros)
	}
	none := time.Time{}
	delays, recent, traffic := times(fresh, old, none, fresh, none), times(fresh, none, none, fresh, none), times(fresh, old, none, none, none)
	want = "delays@1 " + delays + " " + delays + " [1 1 0 1 0]\nrecent@1 " + recent + " " + recent + " [1 0 0 1 0]\ntraffic@1 " + traffic + " " + traffic + " [1 1 0 0 0]\n"
	if got != want {
		t.Errorf("found the provenance\n%s\nexpected\n%s", got, want)
	}
	found := false
	for _, a := range p.records(p.admin) {
		if a.GetReadId() != "" && a.GetReadId() == r.GetReadId() {
			found = a.GetResource() == "service:model@1" && a.GetPurpose() == "checkout" && a.GetPrincipal() == "ada" && a.GetDecision() == headwaterv1.Decision_DECISION_ALLOWED
		}
	}
	if !found || !strings.HasPrefix(r.GetReadId(), "rd_") {
		t.Errorf("the audit log has no record of read %q", r.GetReadId())
	}

	// A join key from a column of another name; the plan of that read serves no other.
	for range 2 {
		r, err = p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{
			Service: "small@1", Keys: map[string]*headwaterv1.KeyColumn{"airport": texts("JFK")}, KeyMapping: map[string]string{"origin": "airport"},
		})
		if err != nil || vectors(r) != "delays__delay 0/NULL\n" || len(r.GetProvenance()) != 0 {
			t.Errorf("found %v, %v", r, err)
		}
		if got := p.delayOf("small", "ORD"); got != "20/PRESENT" {
			t.Errorf("found %s", got)
		}
	}
}

func TestGetFeaturesRefuses(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	many := make([]string, maxEntities+1)
	keys := func(c map[string]*headwaterv1.KeyColumn) *headwaterv1.GetFeaturesRequest {
		return &headwaterv1.GetFeaturesRequest{Service: "model", Keys: c}
	}
	type columns = map[string]*headwaterv1.KeyColumn
	for name, c := range map[string]struct {
		request *headwaterv1.GetFeaturesRequest
		reason  fault.Reason
		message string
		field   string
	}{
		"unequal columns": {keys(columns{"origin": texts("a", "b"), "number": numbers(1, 2, 3)}), fault.InvalidArgument,
			"keys: column origin: found 2 values, expected as many as in number, 3", `keys["origin"]`},
		"unknown column": {keys(columns{"origin": texts("a"), "number": numbers(1), "dest": texts("a")}), fault.InvalidArgument,
			"keys: column dest: no view of service model has a join key of this name; leave it out, or map a join key to it in key_mapping", `keys["dest"]`},
		"missing column": {keys(columns{"origin": texts("a")}), fault.InvalidArgument,
			"keys: column number: found none, expected the join key number of entity route, which view traffic needs", `keys["number"]`},
		"no columns": {keys(nil), fault.InvalidArgument, "keys: column origin: found none, expected the join key origin of entity airport, which view delays needs", `keys["origin"]`},
		"no values":  {keys(columns{"origin": {}, "number": {}}), fault.InvalidArgument, "keys: column number: found 0 values, expected 1 to 1000", `keys["number"]`},
		"another type": {keys(columns{"origin": texts("a", "b"), "number": texts("1", "2")}), fault.InvalidArgument,
			"keys: column number: value 1: found string, expected int64, the type of join key number of entity route", `keys["number"]`},
		"another type later": {keys(columns{"origin": {Values: []*headwaterv1.Value{texts("a").Values[0], null(), numbers(3).Values[0]}}, "number": numbers(1, 2, 3)}),
			fault.InvalidArgument, "keys: column origin: value 3: found int64, expected string, the type of join key origin of entity airport", `keys["origin"]`},
		"NUL": {keys(columns{"origin": texts("a", "b\x00"), "number": numbers(1, 2)}), fault.InvalidArgument,
			"keys: entity 2: join key origin of entity airport: found a NUL character in \"b\\x00\", expected text without one", ""},
		"too many": {keys(columns{"origin": texts(many...), "number": numbers(make([]int64, maxEntities+1)...)}), fault.InvalidArgument,
			"the request does not hold to its rules", `keys["number"].values`},
		"a mapping of no key": {&headwaterv1.GetFeaturesRequest{Service: "small", Keys: columns{"origin": texts("a")}, KeyMapping: map[string]string{"dest": "origin"}},
			fault.InvalidArgument, "key mapping: dest: no view of service small has a join key of this name; leave it out, or correct it: " +
				"a join key stands on the left, the column to take on the right", `key_mapping["dest"]`},
		"a mapping to nothing": {&headwaterv1.GetFeaturesRequest{Service: "small", Keys: columns{"origin": texts("a")}, KeyMapping: map[string]string{"origin": ""}},
			fault.InvalidArgument, "key mapping: origin: found no column for it, expected the name of one", `key_mapping["origin"]`},
		"a column that is mapped away": {&headwaterv1.GetFeaturesRequest{Service: "small", Keys: columns{"origin": texts("a")}, KeyMapping: map[string]string{"origin": "o"}},
			fault.InvalidArgument, "keys: column origin: no view of service small has a join key of this name; leave it out, or map a join key to it in key_mapping", `keys["origin"]`},
		"inputs": {&headwaterv1.GetFeaturesRequest{Service: "small", Keys: columns{"origin": texts("a")}, Inputs: columns{"x": numbers(1)}},
			fault.InvalidArgument, "inputs: x: service small has no input of this name; leave it out", `inputs["x"]`},
		"unknown service": {&headwaterv1.GetFeaturesRequest{Service: "modle", Keys: columns{"origin": texts("a")}}, fault.NotFound,
			`found no service called "modle"; did you mean model?`, ""},
		"unknown version": {&headwaterv1.GetFeaturesRequest{Service: "small@2", Keys: columns{"origin": texts("a")}}, fault.NotFound,
			`found no version "2" of service small; it has the versions 1 to 1`, ""},
		"no service": {&headwaterv1.GetFeaturesRequest{Keys: columns{"origin": texts("a")}}, fault.InvalidArgument, "the request does not say what it is about", "service"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.online.GetFeatures(p.admin, c.request)
			f := fault.FromError(err)
			if f == nil || f.Reason != c.reason || f.Message != c.message {
				t.Fatalf("found    %v\nexpected %s %s", f, c.reason, c.message)
			}
			if c.field == "" {
				return
			}
			for _, v := range f.Violations {
				if v.Field == c.field {
					return
				}
			}
			t.Errorf("found the violations %+v, expected one of %s", f.Violations, c.field)
		})
	}
	// The most that may be asked for is answered.
	r, err := p.online.GetFeatures(p.admin, keys(columns{"origin": texts(many[1:]...), "number": numbers(make([]int64, maxEntities)...)}))
	if err != nil || wire.VectorLen(r.GetFeatures()[0].GetValues()) != maxEntities {
		t.Errorf("found %v", err)
	}
	// A key of a type that none can be.
	at := &headwaterv1.KeyColumn{Values: []*headwaterv1.Value{{Kind: &headwaterv1.Value_TimestampValue{TimestampValue: &timestamppb.Timestamp{Seconds: 1 << 60}}}}}
	_, err = p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Service: "small", Keys: columns{"origin": at}})
	if f := fault.FromError(err); f == nil || f.Message != "keys: column origin: value 1: found timestamp, expected string, the type of join key origin of entity airport" {
		t.Errorf("found %v", err)
	}
}

// A view that goes back to what it was has its fingerprint again, and rows of its own: so has a service that goes with it.
func TestPlansAreOfVersions(t *testing.T) {
	p := newProduct(t)
	first := definitions()
	p.apply(first)
	at := time.Now().Add(-time.Hour)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(10))), 0)
	p.materialize("delays")
	if got := p.delayOf("small", "ORD"); got != "10/PRESENT" {
		t.Fatalf("found %s", got)
	}

	second := definitions()
	second.Views[0].SQL.Query = strings.Replace(second.Views[0].SQL.Query, "delay, words", "delay * 2 AS delay, words", 1)
	second.Services[1].Views[0].Version = 2
	p.apply(second)
	third := definitions()
	third.Services[1].Views[0].Version = 3
	changes := p.apply(third).GetChanges()
	versions := map[string]*headwaterv1.DefinitionSummary{}
	for _, ref := range []string{"delays@1", "delays@3", "small@1", "small@3"} {
		kind := headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW
		if strings.HasPrefix(ref, "small") {
			kind = headwaterv1.DefinitionKind_DEFINITION_KIND_SERVICE
		}
		d, err := p.registry.GetDefinition(p.admin, &headwaterv1.GetDefinitionRequest{Kind: kind, Name: ref})
		if err != nil {
			t.Fatalf("%s: %v; the changes were %v", ref, err, changes)
		}
		versions[ref] = d.GetSummary()
	}
	if versions["delays@1"].Fingerprint != versions["delays@3"].Fingerprint || versions["small@1"].Fingerprint != versions["small@3"].Fingerprint {
		t.Fatalf("found other fingerprints, so that nothing is shown: %v", versions)
	}
	for service, want := range map[string]string{"small@1": "10/PRESENT", "small@2": "0/NO_ROW", "small@3": "0/NO_ROW", "small": "0/NO_ROW"} {
		if got := p.delayOf(service, "ORD"); got != want {
			t.Errorf("%s: found %s, expected %s before its view is materialized", service, got, want)
		}
	}
	p.materialize("delays@3", "delays@2")
	p.ingest(flights(flight("ORD", 7, at.Add(time.Minute), feature.Float64(11))), 0)
	p.materialize("delays@3")
	for service, want := range map[string]string{"small@1": "10/PRESENT", "small@2": "20/PRESENT", "small@3": "11/PRESENT", "small": "11/PRESENT"} {
		if got := p.delayOf(service, "ORD"); got != want {
			t.Errorf("%s: found %s, expected %s", service, got, want)
		}
	}
	// Datasets read the version of their service too.
	for service, want := range map[string]string{"small@1": "10", "small@2": "20", "small@3": "11"} {
		arrow, m, err := p.build(p.admin, service, &headwaterv1.BuildDatasetHeader{AllowPartial: true}, spineOf(asked("ORD", 7, time.Now())).arrow(t))
		if err != nil {
			t.Fatal(err)
		}
		if rows := readRows(t, arrow); len(rows) != 1 || !strings.HasSuffix(rows[0], " "+want) {
			t.Errorf("%s: found %q with the manifest %v, expected %s", service, rows, m.GetViews(), want)
		}
		if again, _, err := p.fetch(p.admin, m.GetId()); err != nil || string(again) != string(arrow) {
			t.Errorf("%s: fetched other bytes, %v", service, err)
		}
	}
}

func TestARetractedLoadIsWithdrawn(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	at := time.Now().Add(-2 * time.Hour)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1)), flight("JFK", 8, at, feature.Float64(2))), 0)
	wrong := p.ingest(flights(flight("ORD", 7, at.Add(time.Hour), feature.Float64(99)), flight("LAX", 9, at, feature.Float64(3))), 0)
	p.materialize("delays")
	if got := p.delayOf("small", "ORD") + " " + p.delayOf("small", "LAX"); got != "99/PRESENT 3/PRESENT" {
		t.Fatalf("found %s", got)
	}
	r, err := p.loads.RetractLoad(p.admin, &headwaterv1.RetractLoadRequest{Id: wrong.GetId(), Reason: "sent twice"})
	if err != nil || r.GetLoad().GetState() != headwaterv1.LoadState_LOAD_STATE_RETRACTED || r.GetLoad().GetRetractReason() != "sent twice" {
		t.Fatalf("found %v, %v", r, err)
	}
	run := p.materialize("delays")[0]
	if l := run.GetLedger(); l.GetWithdrawn() != 2 || l.GetInserted() != 0 || l.GetLiveAfter() != 2 || run.GetOnlineTombstones() != 1 {
		t.Errorf("found %v and %d tombstones", l, run.GetOnlineTombstones())
	}
	if got := p.delayOf("small", "ORD") + " " + p.delayOf("small", "LAX") + " " + p.delayOf("small", "JFK"); got != "1/PRESENT 0/NO_ROW 2/PRESENT" {
		t.Errorf("found %s, expected the row before it, and none", got)
	}
	_, err = p.loads.RetractLoad(p.admin, &headwaterv1.RetractLoadRequest{Id: wrong.GetId(), Reason: "again"})
	wantFault(t, err, fault.FailedPrecondition, fmt.Sprintf("load %d was retracted already, by load %d; see `headwater loads list flights`", wrong.GetId(), wrong.GetId()+1))
	list, err := p.loads.ListLoads(p.admin, &headwaterv1.ListLoadsRequest{Source: "flights"})
	if err != nil {
		t.Fatal(err)
	}
	states := ""
	for _, l := range list.GetLoads() {
		states += fmt.Sprintf("%d %s; ", l.GetNumber(), strings.TrimPrefix(l.GetState().String(), "LOAD_STATE_"))
	}
	if states != "1 LIVE; 2 RETRACTED; 3 RETRACTION; " {
		t.Errorf("found %s", states)
	}
}
