package server

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// lineageOf is the ids of what a node leads to.
func (p *product) lineageOf(ctx context.Context, node string, direction headwaterv1.LineageDirection, columns bool) []string {
	p.t.Helper()
	r, err := p.lineage.GetLineage(ctx, &headwaterv1.GetLineageRequest{Node: node, Direction: direction, Columns: columns})
	if err != nil {
		p.t.Fatal(fault.FromError(err))
	}
	var list []string
	for _, n := range r.GetNodes() {
		list = append(list, n.GetId())
	}
	return list
}

// A prediction is shown to who may trace it, with the runs that a trace tells them, and what is behind these.
func TestThePredictionOfAReadIsHeldToPolicies(t *testing.T) {
	const up, down = headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP, headwaterv1.LineageDirection_LINEAGE_DIRECTION_DOWN
	p := newProduct(t)
	d := withLog(readers(policy("own_places", "view:recent", func(p *feature.Policy) {
		p.RowFilter, p.ExceptRoles = "row.delay < 20.0", []string{"whole"}
	})), "model")
	d.Roles = append(d.Roles, role("lineage", "read_lineage on service:*"), role("seer", "read_lineage on service:*,view:*,source:*"), role("other", "read_lineage on service:none,view:*"))
	p.apply(d)
	now := time.Now().UTC().Truncate(time.Second)
	p.ingest(flights(flight("ORD", 7, now.Add(-time.Hour), feature.Float64(34))), 0)
	p.materialize("delays", "recent", "traffic")
	answer, err := p.online.GetFeatures(p.as("ada", "reader", "whole"), &headwaterv1.GetFeaturesRequest{
		Service: "model", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD"), "number": numbers(7)},
	})
	if err != nil {
		t.Fatal(err)
	}
	node := "prediction:" + answer.GetReadId()

	runs := func(list []string) (runs []string) {
		for _, id := range list {
			if strings.HasPrefix(id, "run:") {
				runs = append(runs, id)
			}
		}
		return runs
	}
	all := p.lineageOf(p.as("whole", "reader", "whole", "seer"), node, up, false)
	if got := runs(all); !slices.Equal(got, []string{"run:delays@1/1", "run:recent@1/1", "run:traffic@1/1"}) || !slices.Contains(all, "load:1") || !slices.Contains(all, "service:model@1") {
		t.Errorf("found %v", all)
	}
	// Who traces it is told these runs, and no others.
	for name, caller := range map[string]struct {
		ctx  context.Context
		want []string
	}{
		"who reads under a policy":     {p.as("less", "reader", "seer"), []string{"run:delays@1/1", "run:traffic@1/1"}},
		"who reads no values":          {p.as("seer", "seer"), []string{"run:delays@1/1", "run:traffic@1/1"}},
		"who may see the service only": {p.as("only", "lineage"), nil},
	} {
		shown := p.lineageOf(caller.ctx, node, up, false)
		traced := p.trace(caller.ctx, &headwaterv1.TraceReadRequest{ReadId: answer.GetReadId()})
		var told []string
		for _, r := range traced.GetRuns() {
			told = append(told, "run:"+r.GetRun())
		}
		slices.Sort(told)
		if got := runs(shown); !slices.Equal(got, caller.want) || !slices.Equal(told, caller.want) {
			t.Errorf("%s: found %v, and a trace tells %v, expected %v", name, got, told, caller.want)
		}
		if !slices.Contains(shown, node) || slices.Contains(shown, "load:1") != (caller.want != nil) {
			t.Errorf("%s: found %v", name, shown)
		}
	}
	columns := p.lineageOf(p.admin, node, up, true)
	for _, want := range []string{node, "view:delays@1#delay", "view:delays@1#event_time", "source:flights#delay"} {
		if !slices.Contains(columns, want) {
			t.Errorf("found %v, expected %s in it", columns, want)
		}
	}
	if reached := p.lineageOf(p.admin, "run:delays@1/1", down, false); !slices.Contains(reached, "predictions:model@1") || slices.Contains(reached, node) {
		t.Errorf("found %v", reached)
	}

	// Who may not see it is told what is told of one that is not there.
	refusal := func(ctx context.Context, node string) string {
		_, err := p.lineage.GetLineage(ctx, &headwaterv1.GetLineageRequest{Node: node, Direction: up})
		f := fault.FromError(err)
		if f == nil {
			t.Fatalf("%s was shown", node)
		}
		return strings.ReplaceAll(f.Reason.String()+" "+f.Message, strings.TrimPrefix(node, "prediction:"), "ID")
	}
	other := p.as("other", "other")
	if denied, none := refusal(other, node), refusal(other, "prediction:rd_none"); denied != none || !strings.Contains(denied, "NOT_FOUND") || !strings.Contains(denied, "headwater trace --service S --entity k=v --at T") {
		t.Errorf("found %q and %q", denied, none)
	}
	nobody := p.as("nobody", "west")
	if denied, none := refusal(nobody, node), refusal(nobody, "prediction:rd_none"); denied != none || !strings.Contains(denied, "PERMISSION_DENIED") {
		t.Errorf("found %q and %q", denied, none)
	}
	// It is recorded who asked for the lineage of whose read.
	records, err := p.access.ListAuditRecords(p.admin, &headwaterv1.ListAuditRecordsRequest{Principal: "seer"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(records.GetRecords(), func(r *headwaterv1.AuditRecord) bool {
		return strings.HasSuffix(r.GetMethod(), "/GetLineage") && r.GetAction() == headwaterv1.Action_ACTION_READ_LINEAGE && r.GetResource() == "service:model"
	}) {
		t.Errorf("found %v", records)
	}
}
