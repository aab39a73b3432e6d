package server

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// Rows of the entity that were set aside or came too late are shown as such, a value beyond its TTL is EXPIRED and traced all the same, and
// a history that was collected is said to be.
func TestATraceOfRowsThatDidNotCount(t *testing.T) {
	p := newProduct(t)
	d := logging("all", "model", "small")
	all := 1.0
	d.Sources[0].Expectations = []feature.Expectation{{Name: "sane", Column: "delay", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.QuarantineRow}}
	d.Sources[0].MaxQuarantineRatio, d.Sources[0].AllowedLateness = &all, 24*time.Hour
	p.apply(d)
	at := time.Now().UTC().Truncate(time.Second).Add(-100 * time.Hour)
	late := flight("ORD", 7, at, feature.Float64(4))
	late[1] = feature.Timestamp(feature.TimeOf(at.Add(48 * time.Hour)))
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(3)), flight("ORD", 7, at, feature.Float64(-7)), late, flight("JFK", 7, at, feature.Float64(1))), 0)
	p.materialize("delays", "recent", "traffic")
	answer := p.readModel(&headwaterv1.GetFeaturesRequest{Service: "model", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD"), "number": numbers(7)}})
	r := p.trace(p.admin, &headwaterv1.TraceReadRequest{ReadId: answer.GetReadId(), Features: []string{"delays__delay", "recent__delay"}})
	text := traceText(r)
	for _, line := range []string{
		`delays__delay "3" PRESENT delays@1/1, now 3 PRESENT: match`, `recent__delay "" EXPIRED`, "  aside of source:flights: 1/2 delay=-7", "delay=4 number=7 origin=ORD words=from ORD (allowed_lateness)",
		"delay=-7 number=7 origin=ORD words=from ORD (set aside)",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("found\n%s\nexpected %q in it", text, line)
		}
	}
	if strings.Contains(text, "JFK") {
		t.Errorf("found another entity in\n%s", text)
	}

	// What the read's run wrote ends, and is collected: the trace still names the run, and says so.
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(9))), 1)
	p.materialize("delays")
	if _, err := p.retention.CollectHistory(p.admin, &headwaterv1.CollectHistoryRequest{OlderThan: durationpb.New(0)}); err != nil {
		t.Fatal(err)
	}
	text = traceText(p.trace(p.admin, &headwaterv1.TraceReadRequest{ReadId: answer.GetReadId(), Features: []string{"delays__delay"}}))
	for _, line := range []string{`delays__delay "3" PRESENT delays@1/1`, "run delays@1/1", "  note: the history of delays@1 before its run 2 was collected: of what this run wrote, what had ended by then is gone"} {
		if !strings.Contains(text, line) {
			t.Errorf("found\n%s\nexpected %q in it", text, line)
		}
	}
}
