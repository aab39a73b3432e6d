package server

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func missingRule(columns ...string) *headwaterv1.LeaveOutRule {
	return &headwaterv1.LeaveOutRule{Rule: &headwaterv1.LeaveOutRule_AnyMissing{AnyMissing: &headwaterv1.LeaveOutMissing{Columns: columns}}}
}

func whereRule(cel string) *headwaterv1.LeaveOutRule {
	return &headwaterv1.LeaveOutRule{Rule: &headwaterv1.LeaveOutRule_Condition{Condition: cel}}
}

func TestWhatAManifestSaysOfItsRows(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	d := definitions()
	d.Roles = []feature.Role{
		role("trainer", "read_offline on service:*,view:*", "list on dataset:*"), role("looker", "list on dataset:*"),
	}
	p.apply(d)
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1)), flight("JFK", 8, at, feature.Float64(3))), 0)
	p.materialize("delays", "recent", "traffic")
	trainer := p.as("tim", "trainer")
	spine := spineOf(asked("ORD", 7, at), asked("JFK", 7, at), asked("LAX", 7, at)).arrow(t)
	header := &headwaterv1.BuildDatasetHeader{Name: "training", WithStatuses: true, LeaveOut: []*headwaterv1.LeaveOutRule{
		missingRule("delays__delay"), whereRule("row.number == 3"),
	}}
	arrow, m, err := p.build(trainer, "model", header, spine)
	if err != nil {
		t.Fatal(err)
	}
	if rows := readRows(t, arrow); len(rows) != 2 || !strings.Contains(rows[1], "NO_ROW") || m.GetRows() != 2 || m.GetSpineRows() != 3 || !m.GetWithStatuses() {
		t.Errorf("found %q of %d rows", rows, m.GetSpineRows())
	}
	var left []string
	for i, l := range m.GetLeftOut() {
		if !proto.Equal(l.GetRule(), header.LeaveOut[i]) {
			t.Errorf("found %v, expected %v", l.GetRule(), header.LeaveOut[i])
		}
		left = append(left, fmt.Sprint(l.GetRows()))
	}
	if !slices.Equal(left, []string{"1", "0"}) {
		t.Errorf("found left out %q", left)
	}
	summary := func(m *headwaterv1.Manifest, name string) *headwaterv1.ColumnSummary {
		i := slices.IndexFunc(m.GetColumns(), func(c *headwaterv1.ManifestColumn) bool { return c.GetName() == name })
		return m.GetColumns()[i].GetSummary()
	}
	whole := &headwaterv1.ColumnSummary{
		Min: &headwaterv1.Value{Kind: &headwaterv1.Value_Float64Value{Float64Value: 1}}, Max: &headwaterv1.Value{Kind: &headwaterv1.Value_Float64Value{Float64Value: 3}},
		Mean: proto.Float64(2), Distinct: 2,
	}
	if got := summary(m, "delays__delay"); !proto.Equal(got, whole) {
		t.Errorf("found %v, expected %v", got, whole)
	}
	if got := summary(m, "origin"); got.GetMin().GetStringValue() != "JFK" || got.GetMax().GetStringValue() != "ORD" || got.Mean != nil {
		t.Errorf("found %v", got)
	}
	if summary(m, "delays__delay__status") != nil {
		t.Error("found a summary of statuses")
	}
	if v := m.GetVersions(); v.GetServer() != "test" || v.GetPostgres() == "" || fmt.Sprint(m.GetPolicy().GetRoles()) != "[trainer]" {
		t.Errorf("found %v and %v", v, m.GetPolicy())
	}
	if got := fmt.Sprint(m.GetViews()[0].GetRuns()); got != "[1]" {
		t.Errorf("found runs %s", got)
	}
	again, sent, err := p.fetch(trainer, m.GetId())
	if err != nil || !bytes.Equal(again, arrow) || !proto.Equal(sent, m) {
		t.Errorf("fetched other bytes or %v, %v", sent, err)
	}
	if v, err := p.datasets.VerifyDataset(trainer, &headwaterv1.VerifyDatasetRequest{Dataset: m.GetId()}); err != nil || !v.GetSame() {
		t.Errorf("found %v, %v", v, err)
	}

	// Values are for who may read them, and lists have no details.
	get := &headwaterv1.GetDatasetRequest{Dataset: m.GetId()}
	if g, err := p.datasets.GetDataset(trainer, get); err != nil || !proto.Equal(g.GetManifest(), m) {
		t.Errorf("found %v, %v", g, err)
	}
	g, err := p.datasets.GetDataset(p.as("lou", "looker"), get)
	if got := summary(g.GetManifest(), "delays__delay"); err != nil || !proto.Equal(got, &headwaterv1.ColumnSummary{}) || g.GetManifest().GetContentDigest()+g.GetManifest().GetArrowSha256()+g.GetManifest().GetSpineDigest() != "" {
		t.Errorf("found %v, %v, expected no values, and no digests of them", got, err)
	}
	list, err := p.datasets.ListDatasets(trainer, &headwaterv1.ListDatasetsRequest{})
	if err != nil || summary(list.GetDatasets()[0], "delays__delay") != nil || list.GetDatasets()[0].GetViews()[0].GetRuns() != nil {
		t.Errorf("found %v, %v", list, err)
	}

	_, _, err = p.build(trainer, "model", &headwaterv1.BuildDatasetHeader{LeaveOut: []*headwaterv1.LeaveOutRule{missingRule(), whereRule("row.origin ==")}}, spine)
	if f := fault.FromError(err); f == nil || f.Reason != fault.InvalidArgument || len(f.Violations) != 1 || f.Violations[0].Field != "header.leave_out[1].condition" {
		t.Errorf("found %v", err)
	}
}
