package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
)

func (p *product) trace(ctx context.Context, req *headwaterv1.TraceReadRequest) *headwaterv1.TraceReadResponse {
	p.t.Helper()
	r, err := p.lineage.TraceRead(ctx, req)
	if err != nil {
		p.t.Fatal(fault.FromError(err))
	}
	return r
}

// entityOf is an entity of a request, by its columns.
func entityKeys(pairs ...any) map[string]*headwaterv1.Value {
	m := map[string]*headwaterv1.Value{}
	for i := 0; i < len(pairs); i += 2 {
		switch v := pairs[i+1].(type) {
		case string:
			m[pairs[i].(string)] = wire.ToValue(feature.String(v))
		case int:
			m[pairs[i].(string)] = wire.ToValue(feature.Int64(int64(v)))
		}
	}
	return m
}

// traceText is a trace as tests compare it: without ids, digests and times that differ.
func traceText(r *headwaterv1.TraceReadResponse) string {
	var b strings.Builder
	for _, f := range r.GetFeatures() {
		served, recomputed := "-", "-"
		if f.Served != nil {
			served = fmt.Sprintf("%q", f.GetServed())
		}
		if f.Recomputed != nil {
			recomputed = f.GetRecomputed()
		}
		fmt.Fprintf(&b, "%s %s %s %s, now %s: %s %s\n", f.GetName(), served, f.GetStatus(), f.GetRun(), recomputed, f.GetVerdict(), f.GetWhy())
		for _, a := range f.GetArguments() {
			value := "-"
			if a.Value != nil {
				value = a.GetValue()
			}
			fmt.Fprintf(&b, "  of %s %s %s\n", a.GetNode(), value, a.GetRun())
		}
	}
	row := func(r *headwaterv1.TracedRow) string {
		var columns []string
		for _, name := range slices.Sorted(maps.Keys(r.GetColumns())) {
			if name != "date" && name != "known" && name != "event_time" && name != "available_at" && name != "left_at" {
				columns = append(columns, name+"="+r.GetColumns()[name])
			}
		}
		text := strings.Join(columns, " ")
		if r.GetLoad() != 0 {
			text = fmt.Sprintf("%d/%d ", r.GetLoad(), r.GetRow()) + text
		}
		if r.GetReason() != "" {
			text += " (" + r.GetReason() + ")"
		}
		return text
	}
	for _, run := range r.GetRuns() {
		fmt.Fprintf(&b, "run %s\n", run.GetRun())
		for _, in := range run.GetInputs() {
			fmt.Fprintf(&b, "  %s %s", in.GetNode(), in.GetProperties()["file_name"])
			if in.GetRowsLeftOut() != "" {
				fmt.Fprintf(&b, " (%s)", in.GetRowsLeftOut())
			}
			b.WriteString("\n")
			for _, r := range in.GetRows() {
				fmt.Fprintf(&b, "    %s\n", row(r))
			}
		}
		for _, r := range run.GetQuarantined() {
			fmt.Fprintf(&b, "  aside of %s: %s\n", r.GetSubject(), row(r))
		}
		for _, note := range run.GetNotes() {
			fmt.Fprintf(&b, "  note: %s\n", note)
		}
	}
	for _, line := range r.GetLeftOut() {
		fmt.Fprintf(&b, "left out: %s\n", line)
	}
	return b.String()
}

func expectTrace(t *testing.T, r *headwaterv1.TraceReadResponse, want string) {
	t.Helper()
	if found := traceText(r); found != strings.TrimPrefix(want, "\n") {
		t.Errorf("found\n%s\nexpected\n%s", found, want)
	}
}

// ingestFile sends rows under a name of their own.
func (p *product) ingestFile(name string, rows table) *headwaterv1.Load {
	p.t.Helper()
	content := rows.arrow(p.t)
	header := p.header(content, 0)
	header.FileName = name
	load, err := p.send(p.admin, "flights", header, content, 1000)
	if err != nil {
		p.t.Fatal(err)
	}
	return load
}

// One bad file among many: the trace of an entity that it has a row of names it and shows the row, and no other does.
func TestATraceNamesTheBadFile(t *testing.T) {
	p := newProduct(t)
	p.apply(logging("all", "small"))
	start := time.Now().UTC().Truncate(time.Hour).Add(-100 * time.Hour)
	names := []string{"ORD", "JFK", "LAX"}
	for i := range 6 {
		var rows [][]feature.Value
		for k, name := range names {
			rows = append(rows, flight(name, 7, start.Add(time.Duration(i*3+k)*time.Minute), feature.Float64(float64(10*i+k))))
		}
		p.ingestFile(fmt.Sprintf("day-%d.csv", i), flights(rows...))
	}
	bad := p.ingestFile("bad.csv", flights(flight("JFK", 7, start.Add(50*time.Hour), feature.Float64(9999))))
	p.materialize("delays")
	answer := p.readModel(&headwaterv1.GetFeaturesRequest{Service: "small", Purpose: "checkout", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD", "JFK", "SFO")}})
	affected := p.trace(p.admin, &headwaterv1.TraceReadRequest{ReadId: answer.GetReadId(), Entity: entityKeys("origin", "JFK")})
	expectTrace(t, affected, fmt.Sprintf(`
delays__delay "9999" PRESENT delays@1/1, now 9999 PRESENT: match 
run delays@1/1
  source:flights 
  load:%d bad.csv
    %[1]d/1 delay=9999 number=7 origin=JFK words=from JFK
`, bad.GetId()))
	if affected.GetRow() != 1 || affected.GetRows() != 3 || affected.GetPrincipal() != "ada" || affected.GetPurpose() != "checkout" ||
		affected.GetEntity()["origin"].GetStringValue() != "JFK" || affected.GetService() != "small@1" {
		t.Errorf("found %v", affected)
	}
	run := affected.GetRuns()[0]
	if run.GetPosition() != 1 || !strings.HasPrefix(run.GetDefinition(), "SELECT origin, delay, words") || len(run.GetFingerprint()) != 64 || len(run.GetDigest()) != 64 ||
		run.GetStartedBy() != "ada" || run.GetAppliedBy() != "ada" || len(run.GetChecks()) == 0 || !run.GetRowsFrom().AsTime().Equal(start.Add(50*time.Hour)) {
		t.Errorf("found %v", run)
	}
	if load := run.GetInputs()[1]; load.GetProperties()["file_sha256"] != bad.GetFileSha256() || load.GetProperties()["rows_read"] != "1" {
		t.Errorf("found %v", load)
	}
	columns := map[string]string{}
	for _, e := range affected.GetFeatures()[0].GetColumns() {
		columns[e.GetFrom()] += e.GetKind().String()
	}
	if columns["source:flights#delay"] == "" || columns["source:flights#origin"] == "" {
		t.Errorf("found the columns %v", columns)
	}

	clean := p.trace(p.admin, &headwaterv1.TraceReadRequest{ReadId: answer.GetReadId(), Row: 0})
	if text := traceText(clean); strings.Contains(text, "bad.csv") || strings.Contains(text, "9999") || !strings.Contains(text, "day-5.csv") {
		t.Errorf("found\n%s", text)
	}
	none := p.trace(p.admin, &headwaterv1.TraceReadRequest{ReadId: answer.GetReadId(), Row: 2})
	expectTrace(t, none, `
delays__delay "" NO_ROW , now NO_ROW: match 
`)
	for _, c := range []struct {
		req  *headwaterv1.TraceReadRequest
		want string
	}{
		{&headwaterv1.TraceReadRequest{Row: 3}, "row: found row 4, expected one of the 3 of read " + answer.GetReadId()},
		{&headwaterv1.TraceReadRequest{Entity: entityKeys("origin", "XXX")}, "entity: found another than those that read " + answer.GetReadId() + " was of, expected one of them"},
		{&headwaterv1.TraceReadRequest{Service: "small"}, `service: found "small" beside a read id, expected one of them: what was logged says which service it was of`},
		{&headwaterv1.TraceReadRequest{At: timestamppb.Now()}, `at: found a time beside a read id, expected one of them: what was logged says when it was answered`},
		{&headwaterv1.TraceReadRequest{Features: []string{"delays__dely"}}, `features: found "delays__dely", which the read does not have, did you mean delays__delay?`},
	} {
		c.req.ReadId = answer.GetReadId()
		_, err := p.lineage.TraceRead(p.admin, c.req)
		if f := fault.FromError(err); f == nil || f.Reason != fault.InvalidArgument || f.Message != c.want {
			t.Errorf("found %v, expected %s", err, c.want)
		}
	}
	_, err := p.lineage.TraceRead(p.admin, &headwaterv1.TraceReadRequest{ReadId: "rd_none"})
	if f := fault.FromError(err); f == nil || f.Reason != fault.NotFound {
		t.Errorf("found %v", err)
	}

	// A value that the history does not have is told to be one.
	if _, err := p.pool.Exec(context.Background(), `UPDATE headwater_history.delays_v1 SET delay = 5 WHERE entity_key = 'JFK' AND delay = 9999`); err != nil {
		t.Fatal(err)
	}
	f := p.trace(p.admin, &headwaterv1.TraceReadRequest{ReadId: answer.GetReadId(), Row: 1}).GetFeatures()[0]
	if f.GetVerdict() != "mismatch" || f.GetServed() != "9999" || f.GetRecomputed() != "5 PRESENT" {
		t.Errorf("found %v", f)
	}
}
