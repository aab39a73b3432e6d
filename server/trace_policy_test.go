package server

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func withLog(d *feature.Definitions, services ...string) *feature.Definitions {
	for i := range d.Services {
		if slices.Contains(services, d.Services[i].Name) {
			d.Services[i].Log = "all"
		}
	}
	return d
}

// Each caller sees what their own policies allow of what was read. What is left out is the same whether a row is there or not.
func TestATraceIsHeldToItsCallersPolicies(t *testing.T) {
	p := newProduct(t)
	d := withLog(readers(policy("own_places", "view:recent", func(p *feature.Policy) {
		p.RowFilter, p.ExceptRoles = "row.delay < 20.0", []string{"whole"}
	}), policy("rounded", "feature:delays.delay", roundTo("10"))), "model")
	d.Roles = append(d.Roles, role("lineage", "read_lineage on service:*"))
	p.apply(d)
	now := time.Now().UTC().Truncate(time.Second)
	p.ingest(flights(flight("ORD", 7, now.Add(-time.Hour), feature.Float64(34))), 0)
	p.materialize("delays", "recent", "traffic")
	read := func(origin string) string {
		r, err := p.online.GetFeatures(p.as("r_"+strings.ToLower(origin), "reader", "whole"), &headwaterv1.GetFeaturesRequest{
			Service: "model", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts(origin), "number": numbers(7)},
		})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetReadId()
	}
	there, none := read("ORD"), read("LAX")

	less := p.as("less", "reader")
	r := p.trace(less, &headwaterv1.TraceReadRequest{ReadId: there, Features: []string{"delays__delay", "delays__words", "recent__delay", "traffic__delay"}})
	expectTrace(t, r, `
delays__delay -  delays@1/1, now -: not_checked it is left out
delays__words "from ORD" PRESENT delays@1/1, now from ORD PRESENT: match 
recent__delay -  , now -: not_checked it is left out
traffic__delay "34" PRESENT traffic@1/1, now 34 PRESENT: match 
run delays@1/1
  source:flights 
  load:1 flights.csv
    1/1 delay=34 number=7 origin=ORD words=from ORD
run traffic@1/1
  source:flights 
  load:1 flights.csv
    1/1 delay=34 number=7 origin=ORD words=from ORD
left out: what policy rounded@1 hides from you of delays@1.delay
left out: what policy own_places@1 hides from you of recent@1
left out: rows of view delays that were set aside: you may not read_offline it as a whole
`)
	hidden := func(r *headwaterv1.TraceReadResponse) string {
		var lines []string
		for _, line := range strings.Split(traceText(r), "\n") {
			if strings.HasPrefix(line, "recent__delay") || strings.HasPrefix(line, "left out: what") || strings.Contains(line, "recent@1/") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n")
	}
	if a, b := hidden(r), hidden(p.trace(less, &headwaterv1.TraceReadRequest{ReadId: none})); a != b || !strings.Contains(a, "recent__delay -  , now -") {
		t.Errorf("found\n%s\nof a row that is there, and\n%s\nof none", a, b)
	}

	// Who may read the lineage of services alone is told no value, no row and no run, and is not told whom it was of.
	only := p.as("only", "lineage")
	r = p.trace(only, &headwaterv1.TraceReadRequest{ReadId: there})
	text := traceText(r)
	if strings.Contains(r.String(), "ORD") || strings.Contains(text, "34") || len(r.GetRuns()) > 0 || len(r.GetEntity()) > 0 ||
		!strings.Contains(text, "left out: values, keys and request inputs, and rows of the entity: you may not read_offline service:model and all of its views\n") ||
		!strings.Contains(text, "left out: runs of view delays: you may not read its lineage\n") {
		t.Errorf("found\n%s\n%v", text, r)
	}
	if again := traceText(p.trace(only, &headwaterv1.TraceReadRequest{ReadId: none})); again != text {
		t.Errorf("found\n%s\nof a row that is there, and\n%s\nof none", text, again)
	}
	for name, req := range map[string]*headwaterv1.TraceReadRequest{
		"confirming an entity": {ReadId: there, Entity: entityKeys("origin", "ORD", "number", 7)},
		"computing a read":     {Service: "model", Entity: entityKeys("origin", "ORD", "number", 7), At: timestamppb.Now()},
	} {
		_, err := p.lineage.TraceRead(only, req)
		if f := fault.FromError(err); f == nil || f.Reason != fault.PermissionDenied {
			t.Errorf("%s: found %v", name, err)
		}
	}
	nobody := p.as("nobody", "west")
	for _, req := range []*headwaterv1.TraceReadRequest{{ReadId: there}, {ReadId: "rd_none"}, {Service: "model"}, {}} {
		_, err := p.lineage.TraceRead(nobody, req)
		if f := fault.FromError(err); f == nil || f.Reason != fault.PermissionDenied {
			t.Errorf("found %v", err)
		}
	}

	// A read that nobody logged is computed as its caller reads.
	time.Sleep(time.Until(now.Add(time.Second)))
	r = p.trace(less, &headwaterv1.TraceReadRequest{Service: "model", Entity: entityKeys("origin", "ORD", "number", 7), At: timestamppb.Now(), Features: []string{"delays__delay", "recent__delay"}})
	want := `
delays__delay - MASKED delays@1/1, now 30 MASKED: not_checked the read was not logged: nothing says what was served
recent__delay - NO_ROW , now NO_ROW: not_checked the read was not logged: nothing says what was served
run delays@1/1
  source:flights 
  load:1 flights.csv
    1/1 delay=34 number=7 origin=ORD words=from ORD
left out: rows of view delays that were set aside: you may not read_offline it as a whole
`
	expectTrace(t, r, want)
	if r.GetReadId() != "" || len(r.GetPolicies()) != 2 {
		t.Errorf("found %v", r)
	}
	_, err := p.lineage.TraceRead(less, &headwaterv1.TraceReadRequest{Service: "model", Entity: entityKeys("origin", "ORD", "number", 7), At: timestamppb.New(now.Add(time.Hour))})
	if f := fault.FromError(err); f == nil || f.Reason != fault.InvalidArgument || !strings.Contains(f.Message, "which is yet to come, expected when it was read") {
		t.Errorf("found %v", err)
	}

	// What is shown is recorded: values of the read, and rows of the source.
	records, err := p.access.ListAuditRecords(p.admin, &headwaterv1.ListAuditRecordsRequest{Principal: "less"})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, a := range records.GetRecords() {
		if a.GetMethod() == headwaterv1.LineageService_TraceRead_FullMethodName && a.GetRowsReturned() > 0 {
			found[a.GetResource()] = true
		}
	}
	if !found["service:model@1"] || !found["source:flights@1"] {
		t.Errorf("found records of rows of %v", found)
	}
}

func TestATraceOfHashedKeys(t *testing.T) {
	p := newProduct(t)
	d := logging("all", "small")
	d.Entities[0].JoinKeys[0].Tags = []string{"pii"}
	p.apply(d)
	p.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Hour), feature.Float64(1))), 0)
	p.materialize("delays")
	id := p.readModel(&headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("JFK", "ORD")}}).GetReadId()
	expectTrace(t, p.trace(p.admin, &headwaterv1.TraceReadRequest{ReadId: id, Row: 1}), `
delays__delay "1" PRESENT delays@1/1, now -: not_checked its key is kept as a hash; give it, to have the value computed again
run delays@1/1
  source:flights  (the key is kept as a hash; give the entity to be shown its rows)
  load:1 flights.csv
`)
	r := p.trace(p.admin, &headwaterv1.TraceReadRequest{ReadId: id, Entity: entityKeys("origin", "ORD")})
	expectTrace(t, r, `
delays__delay "1" PRESENT delays@1/1, now 1 PRESENT: match 
run delays@1/1
  source:flights 
  load:1 flights.csv
    1/1 delay=1 number=7 origin=ORD words=from ORD
`)
	if r.GetRow() != 1 {
		t.Errorf("found row %d", r.GetRow())
	}
	_, err := p.lineage.TraceRead(p.admin, &headwaterv1.TraceReadRequest{ReadId: id, Entity: entityKeys("origin", "LAX")})
	if f := fault.FromError(err); f == nil || f.Reason != fault.InvalidArgument {
		t.Errorf("found %v", err)
	}
}

// On-demand features lead to what they are computed of, windows to the rows that are in them, and views over views to the runs behind those.
func TestATraceFollowsWhatIsComputed(t *testing.T) {
	p := newProduct(t)
	d := onDemand()
	const day = 24 * time.Hour
	d.Views = append(d.Views,
		feature.View{
			Name: "daily", Entity: "airport", Features: []feature.Column{{Name: "flights", Type: feature.TypeInt64}},
			Aggregation: &feature.Aggregation{Source: "flights", Hop: day, Aggregates: []feature.Aggregate{{Feature: "flights", Function: feature.Count, Window: day}}},
		},
		feature.View{
			Name: "copied", Entity: "airport", Features: []feature.Column{{Name: "delay", Type: feature.TypeFloat64}},
			SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "delays"}}, Query: "SELECT origin, event_time, available_at, delay FROM delays"},
		},
		feature.View{
			Name: "shouted", Entity: "airport", Features: []feature.Column{{Name: "delay", Type: feature.TypeFloat64}},
			SQL: &feature.SQLTransform{Sources: []string{"flights"}, Query: "SELECT upper(origin) AS origin, event_time, available_at, delay FROM flights"},
		},
	)
	d.Services = append(d.Services, feature.Service{Name: "windows", Views: []feature.ServiceView{{View: "daily"}, {View: "copied"}, {View: "shouted"}, {View: "recent"}}})
	p.apply(withLog(d, "windows", "ranked"))
	today := time.Now().UTC().Truncate(day)
	p.ingest(flights(flight("ORD", 7, today.Add(-36*time.Hour), feature.Float64(5)), flight("ORD", 7, today.Add(-12*time.Hour), feature.Float64(3)),
		flight("ORD", 7, today.Add(-11*time.Hour), feature.Null()), flight("JFK", 7, today.Add(-13*time.Hour), feature.Float64(2))), 0)
	p.materialize("delays", "traffic", "daily", "shouted")
	p.materialize("copied")
	// A day and more ago: no row of a view with a TTL of a day.
	ord := p.readModel(&headwaterv1.GetFeaturesRequest{Service: "windows", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}}).GetReadId()
	r := p.trace(p.admin, &headwaterv1.TraceReadRequest{ReadId: ord})
	// Whether the server knew of the last run when it answered is not what this is about.
	if f := r.GetFeatures()[0]; f.GetStatus() == "STALE" {
		f.Status = "PRESENT"
	}
	expectTrace(t, r, `
daily__flights "2" PRESENT daily@1/1, now 2 PRESENT: match 
copied__delay "" NULL copied@1/1, now NULL: match 
shouted__delay "" NULL shouted@1/1, now NULL: match 
recent__delay "" NO_ROW , now NO_ROW: match 
run daily@1/1
  source:flights 
  load:1 flights.csv
    1/3 number=7 origin=ORD words=from ORD
    1/2 delay=3 number=7 origin=ORD words=from ORD
run copied@1/1
  run:delays@1/1 
    number=7 origin=ORD words=from ORD
run shouted@1/1
  source:flights  (view shouted@1 computes origin: nothing tells which rows are of the entity)
  load:1 flights.csv
run delays@1/1
  source:flights 
  load:1 flights.csv
    1/3 number=7 origin=ORD words=from ORD
`)

	id := p.readModel(&headwaterv1.GetFeaturesRequest{Service: "ranked", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("JFK"), "number": numbers(7)},
		Inputs: map[string]*headwaterv1.KeyColumn{"hour": numbers(23), "note": texts("x")}}).GetReadId()
	expectTrace(t, p.trace(p.admin, &headwaterv1.TraceReadRequest{ReadId: id, Features: []string{"verdict__bad"}}), `
verdict__bad "true" PRESENT , now true PRESENT: match 
  of mix@1.share 0.5 PRESENT 
  of traffic@1.delay - traffic@1/1
  of delays@1.delay - delays@1/1
  of mix@1.late_hour - 
  of input:hour 23 
run delays@1/1
  source:flights 
  load:1 flights.csv
    1/4 delay=2 number=7 origin=JFK words=from JFK
run traffic@1/1
  source:flights 
  load:1 flights.csv
    1/4 delay=2 number=7 origin=JFK words=from JFK
`)
	unlogged := &headwaterv1.TraceReadRequest{Service: "ranked", Entity: entityKeys("origin", "JFK", "number", 7), At: timestamppb.Now(), Features: []string{"verdict__bad"}}
	if f := p.trace(p.admin, unlogged).GetFeatures()[0]; f.Recomputed != nil || !strings.HasSuffix(f.GetWhy(), " was not given") {
		t.Errorf("found %v", f)
	}
	unlogged.Inputs = entityKeys("hour", 23, "note", "x")
	if f := p.trace(p.admin, unlogged).GetFeatures()[0]; f.GetRecomputed() != "true PRESENT" {
		t.Errorf("found %v", f)
	}

	// What was erased since is said to be.
	_, err := p.retention.Forget(p.admin, &headwaterv1.ForgetRequest{Entity: "airport", Keys: entityKeys("origin", "JFK"), Reason: "asked for"})
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	text := traceText(p.trace(p.admin, &headwaterv1.TraceReadRequest{ReadId: id}))
	if strings.Contains(text, "JFK") || strings.Contains(text, "run ") || !strings.Contains(text, "verdict__bad -  , now -: not_checked the entity was erased\n") ||
		!strings.Contains(text, "left out: what was read of this row was erased\n") {
		t.Errorf("found\n%s", text)
	}
	if text := traceText(p.trace(p.admin, &headwaterv1.TraceReadRequest{ReadId: ord})); !strings.Contains(text, " ada erased 1 row that it produced: asked for\n") {
		t.Errorf("found\n%s", text)
	}
}
