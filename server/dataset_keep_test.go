package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func TestWhoMayDeleteDatasets(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	d := definitions()
	d.Roles = append(d.Roles, role("builds", "read_offline on service:model", "read_offline on view:delays,view:recent,view:traffic"),
		role("lists", "list on dataset:*"), role("looks_after", "administer on dataset:training"))
	p.apply(d)
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1))), 0)
	p.materialize("delays", "recent", "traffic")
	spine := spineOf(asked("ORD", 7, at)).arrow(t)
	builder := p.as("bea", "builds")
	build := func() string {
		t.Helper()
		_, m, err := p.build(builder, "model", &headwaterv1.BuildDatasetHeader{Name: "training"}, spine)
		if err != nil {
			t.Fatal(err)
		}
		return m.GetId()
	}
	remove := func(ctx context.Context, id, reason string) (*headwaterv1.Manifest, error) {
		r, err := p.datasets.DeleteDataset(ctx, &headwaterv1.DeleteDatasetRequest{Dataset: id, Reason: reason})
		if err != nil {
			return nil, fault.FromError(err)
		}
		return r.GetManifest(), nil
	}
	first := build()
	for name, ctx := range map[string]context.Context{"another builder": p.as("eve", "builds"), "who may list": p.as("eve", "lists")} {
		if _, err := remove(ctx, first, "x"); fault.ReasonOf(err) != fault.PermissionDenied {
			t.Errorf("%s: found %v, expected that it is denied", name, err)
		}
	}
	if _, err := remove(p.as("eve", "looks_after"), "other@1", "x"); fault.ReasonOf(err) != fault.NotFound {
		t.Errorf("found %v, expected none", err)
	}
	if _, err := remove(builder, first, ""); fault.ReasonOf(err) != fault.InvalidArgument {
		t.Errorf("found %v, expected that a reason is asked for", err)
	}
	m, err := remove(builder, first, "wrong labels")
	if err != nil || m.GetState() != headwaterv1.DatasetState_DATASET_STATE_DELETED || m.GetDeletedBy() != "bea" || m.GetDeletedAt() == nil {
		t.Fatalf("found %v, %v", m, err)
	}
	if m, err := remove(p.as("carl", "looks_after"), build(), "old"); err != nil || m.GetDeletedBy() != "carl" || m.GetVersion() != 2 {
		t.Errorf("found %v, %v", m, err)
	}
	gone := "dataset " + first + " (training@1) was deleted by bea at "
	_, err = p.datasets.VerifyDataset(p.admin, &headwaterv1.VerifyDatasetRequest{Dataset: first})
	_, _, fetched := p.fetch(p.admin, first)
	_, differ := p.datasets.DiffDatasets(p.admin, &headwaterv1.DiffDatasetsRequest{A: build(), B: "training@1"})
	for what, err := range map[string]error{"verify": err, "fetch": fetched, "diff": differ} {
		f := fault.FromError(err)
		if f == nil || f.Reason != fault.NotFound || !strings.HasPrefix(f.Error(), gone) {
			t.Errorf("%s: found %v, expected %s…", what, err, gone)
		}
	}
	list, err := p.datasets.ListDatasets(p.admin, &headwaterv1.ListDatasetsRequest{Name: "training"})
	if err != nil || len(list.GetDatasets()) != 3 || list.GetDatasets()[0].GetVersion() != 3 ||
		list.GetDatasets()[2].GetState() != headwaterv1.DatasetState_DATASET_STATE_DELETED {
		t.Errorf("found %v, %v", list, err)
	}
	if n := p.count(`SELECT count(*) FROM headwater.audit_record WHERE method = 'delete' AND principal = 'bea' AND resource = 'dataset:training'
		AND reason LIKE 'deleted ' || $1 || ', training@1: wrong labels'`, first); n != 1 {
		t.Errorf("found %d audit records of the deletion, expected one", n)
	}
}

func TestCollectingHistory(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	p.apply(definitions())
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	load := p.ingest(flights(flight("ORD", 7, at, feature.Float64(1))), 0)
	p.materialize("recent", "delays", "traffic")
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(2))), load.GetId())
	p.materialize("recent", "delays", "traffic")
	collect := func(older *durationpb.Duration, dry bool, views ...string) (*headwaterv1.CollectedView, error) {
		r, err := p.retention.CollectHistory(p.admin, &headwaterv1.CollectHistoryRequest{OlderThan: older, DryRun: dry, Views: views})
		if err != nil {
			return nil, fault.FromError(err)
		}
		return r.GetViews()[0], nil
	}
	_, err := collect(nil, false)
	wantFault(t, err, fault.FailedPrecondition, "how long history is kept is not configured, so nothing is collected; say it, "+
		"--older-than 90d, or configure HEADWATER_HISTORY_RETENTION")
	_, err = collect(durationpb.New(-time.Second), false)
	wantFault(t, err, fault.InvalidArgument, "older_than: found -1s, expected a duration that is not negative")
	if _, err := collect(durationpb.New(0), false, "nothing"); fault.ReasonOf(err) != fault.NotFound {
		t.Errorf("found %v, expected that there is no such view", err)
	}
	if c, err := collect(durationpb.New(24*time.Hour), false, "recent"); err != nil || c.GetHorizonSeq() != 0 {
		t.Errorf("found %v (%v), expected that nothing is so old", c, err)
	}
	dry, err := collect(durationpb.New(0), true, "recent@1")
	if err != nil || dry.GetRowsCollected() != 1 || dry.GetHorizonSeq() != 2 {
		t.Errorf("found %v (%v)", dry, err)
	}
	done, err := collect(durationpb.New(0), false, "recent")
	if err != nil || done.GetRowsCollected() != 1 || done.GetView() != "recent" || done.GetVersion() != 1 {
		t.Errorf("found %v (%v)", done, err)
	}
}

func TestComparingDatasets(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	d := definitions()
	d.Roles = append(d.Roles, role("lists", "list on dataset:*"))
	p.apply(d)
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	load := p.ingest(flights(flight("ORD", 7, at, feature.Float64(1)), flight("JFK", 8, at, feature.Float64(2))), 0)
	p.materialize("recent", "delays", "traffic")
	spine := spineOf(asked("ORD", 7, at), asked("JFK", 8, at)).arrow(t)
	var refs []string
	for i := range 2 {
		_, m, err := p.build(p.admin, "model", &headwaterv1.BuildDatasetHeader{Name: "training"}, spine)
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, m.GetId())
		if i == 0 {
			p.ingest(flights(flight("ORD", 7, at, feature.Float64(5)), flight("JFK", 8, at, feature.Float64(2))), load.GetId())
			p.materialize("recent", "delays", "traffic")
		}
	}
	r, err := p.datasets.DiffDatasets(p.admin, &headwaterv1.DiffDatasetsRequest{A: refs[0], B: "training@2"})
	if err != nil {
		t.Fatal(err)
	}
	if r.GetSame() || r.GetMatchedBy() != "row number" || r.GetRowsBoth() != 2 || r.GetRowsDiffer() != 1 || len(r.GetExamples()) != 1 ||
		r.GetA().GetId() != refs[0] || r.GetB().GetId() != refs[1] {
		t.Errorf("found %v", r)
	}
	e := r.GetExamples()[0]
	if e.GetRowA() != 1 || e.GetKey()["origin"].GetStringValue() != "ORD" || e.GetKey()["timestamp"] == nil || len(e.GetValues()) == 0 {
		t.Fatalf("found %v", e)
	}
	for _, v := range e.GetValues() {
		if v.GetRunA() == v.GetRunB() || v.GetStatusA() != headwaterv1.ValueStatus_VALUE_STATUS_PRESENT {
			t.Errorf("found %v", v)
		}
	}
	_, err = p.datasets.DiffDatasets(p.as("eve", "lists"), &headwaterv1.DiffDatasetsRequest{A: refs[0], B: refs[1]})
	if fault.ReasonOf(fault.FromError(err)) != fault.PermissionDenied {
		t.Errorf("found %v, expected that it is denied", err)
	}
}
