package server

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func TestRuns(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	failed, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{Views: []string{"delays"}})
	if err != nil {
		t.Fatal(err)
	}
	last, err := p.watch(p.admin, failed.GetRuns()[0].GetId())
	if err != nil || last.GetState() != headwaterv1.RunState_RUN_STATE_FAILED || last.GetDigest() != "" || last.GetIntervalStart() != nil ||
		last.GetError() != "view delays@1 reads source flights, which has no rows yet; send some: headwater ingest flights FILE" {
		t.Errorf("found %v, %v", last, err)
	}
	at := time.Now().Add(-time.Hour)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1))), 0)
	var runs []*headwaterv1.Run
	for range 4 {
		runs = append(runs, p.materialize("delays")...)
	}
	runs = append(runs, p.materialize("traffic")...)
	if runs[0].GetLedger().GetInserted() != 1 || runs[1].GetLedger().GetInserted() != 0 || runs[1].GetLedger().GetUnchanged() != 1 ||
		runs[0].GetDigest() != runs[3].GetDigest() || runs[0].GetSeq()+3 != runs[3].GetSeq() {
		t.Errorf("found %v", runs)
	}
	ids := func(req *headwaterv1.ListRunsRequest) (list []int64) {
		r, err := p.materialization.ListRuns(p.admin, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range r.GetRuns() {
			list = append(list, run.GetId())
		}
		return list
	}
	all := ids(&headwaterv1.ListRunsRequest{})
	if len(all) != 6 || all[0] != runs[4].GetId() || all[5] != failed.GetRuns()[0].GetId() {
		t.Fatalf("found %v", all)
	}
	// Pages of any size hold every run once, also of one view.
	for size := int32(1); size < 8; size++ {
		for view, want := range map[string][]int64{"": all, "delays": all[1:], "traffic": all[:1], "recent": nil} {
			var got []int64
			before := int64(0)
			for {
				page := ids(&headwaterv1.ListRunsRequest{View: view, PageSize: size, BeforeId: before})
				if len(page) == 0 {
					break
				}
				if len(page) > int(size) {
					t.Fatalf("found a page of %d, expected %d", len(page), size)
				}
				got = append(got, page...)
				before = page[len(page)-1]
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("view %q by %d: found %v, expected %v", view, size, got, want)
			}
		}
	}
	_, err = p.materialization.ListRuns(p.admin, &headwaterv1.ListRunsRequest{View: "delays@1"})
	wantFault(t, err, fault.InvalidArgument, `view: found "delays@1", expected a name without a version: the runs of all versions are listed; ask for "delays"`)
	_, err = p.materialization.ListRuns(p.admin, &headwaterv1.ListRunsRequest{View: "delay"})
	wantFault(t, err, fault.NotFound, `found no view called "delay"; did you mean delays?`)

	for _, ref := range []string{fmt.Sprint(runs[1].GetId()), fmt.Sprintf("delays@1/%d", runs[1].GetSeq())} {
		r, err := p.materialization.GetRun(p.admin, &headwaterv1.GetRunRequest{Run: ref})
		if err != nil || r.GetRun().GetId() != runs[1].GetId() || len(r.GetRun().GetInputs()) != 1 || r.GetRun().GetInputs()[0].GetLoads()[0].GetFileName() != "flights.csv" {
			t.Errorf("%s: found %v, %v", ref, r, err)
		}
	}
	_, err = p.materialization.GetRun(p.admin, &headwaterv1.GetRunRequest{Run: "delays@1/99"})
	wantFault(t, err, fault.NotFound, "there is no run delays@1/99; `headwater runs list` shows those there are")
	_, err = p.watch(p.admin, 1<<40)
	if f := fault.FromError(err); f == nil || f.Reason != fault.NotFound {
		t.Errorf("found %v", err)
	}
	state, err := p.registry.GetDefinition(p.admin, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "delays"})
	if v := state.GetViewState(); err != nil || v.GetLastSeq() != runs[3].GetSeq() || v.GetLastPosition() != runs[3].GetPosition() || v.GetLiveRows() != 1 {
		t.Errorf("found %v, %v", state, err)
	}
}

func TestMaterializeRefuses(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	at := timestamppb.New(time.Date(2001, 1, 2, 0, 0, 0, 0, time.UTC))
	before := timestamppb.New(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))
	for name, c := range map[string]struct {
		request *headwaterv1.MaterializeRequest
		reason  fault.Reason
		message string
		field   string
	}{
		"no views":     {&headwaterv1.MaterializeRequest{}, fault.InvalidArgument, "the request does not say what it is about", "views"},
		"unknown view": {&headwaterv1.MaterializeRequest{Views: []string{"delays", "delay"}}, fault.NotFound, `found no view called "delay"; did you mean delays?`, ""},
		"twice":        {&headwaterv1.MaterializeRequest{Views: []string{"delays", "delays"}}, fault.InvalidArgument, "the request does not hold to its rules", "views"},
		"to before from": {&headwaterv1.MaterializeRequest{Views: []string{"delays"}, From: at, To: before}, fault.InvalidArgument,
			"interval: found from 2001-01-02T00:00:00Z and to 2001-01-01T00:00:00Z, expected from before to", ""},
		"no time": {&headwaterv1.MaterializeRequest{Views: []string{"delays"}, From: &timestamppb.Timestamp{Seconds: 1 << 60}}, fault.InvalidArgument,
			"the request does not hold to its rules", "from"},
	} {
		_, err := p.materialization.Materialize(p.admin, c.request)
		f := fault.FromError(err)
		if f == nil || f.Reason != c.reason || f.Message != c.message || c.field != "" && (len(f.Violations) != 1 || f.Violations[0].Field != c.field) {
			t.Errorf("%s: found %v with %+v", name, f, f.Violations)
		}
	}
	if n := p.count(`SELECT count(*) FROM headwater.run`); n != 0 {
		t.Errorf("found %d runs of requests that were refused", n)
	}
}

// A server that stops answers those who wait, and lets calls end.
func TestCloseWhileCallsRun(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	p.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Hour), feature.Float64(1))), 0)
	// The lease of the view is held by somebody, so that its run waits.
	conn, err := p.pool.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	var view int64
	if err := conn.QueryRow(context.Background(), `SELECT id FROM headwater.definition WHERE name = 'delays'`).Scan(&view); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(context.Background(), `SELECT pg_advisory_lock($1, $2)`, 0x4857, int32(view)); err != nil {
		t.Fatal(err)
	}
	r, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{Views: []string{"delays"}})
	if err != nil {
		t.Fatal(err)
	}
	id := r.GetRuns()[0].GetId()
	stream, err := p.materialization.WatchRun(p.admin, &headwaterv1.WatchRunRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	// An upload that does not end is ended.
	upload, err := p.loads.Ingest(p.admin)
	if err != nil {
		t.Fatal(err)
	}
	if err := upload.Send(&headwaterv1.IngestRequest{Source: "flights", Header: p.header(nil, 0)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the upload to be decided on", func() bool {
		return p.count(`SELECT count(*) FROM headwater.audit_record WHERE method LIKE '%/Ingest'`) == 2
	})
	p.close()
	for err == nil {
		_, err = stream.Recv()
	}
	wantFault(t, err, fault.ServerUnavailable, fmt.Sprintf("the server stops; run %d goes on when it or another is there, so watch it again", id))
	if _, err := upload.CloseAndRecv(); err == nil {
		t.Error("the upload ended well")
	}
	var state string
	if err := p.pool.QueryRow(context.Background(), `SELECT state FROM headwater.run WHERE id = $1`, id).Scan(&state); err != nil || state != "queued" {
		t.Errorf("found the run %s, %v", state, err)
	}
	if n := p.count(`SELECT count(*) FROM headwater.load`); n != 1 {
		t.Errorf("found %d loads", n)
	}
	// The next server takes the run up.
	if _, err := conn.Exec(context.Background(), `SELECT pg_advisory_unlock_all()`); err != nil {
		t.Fatal(err)
	}
	next := openProduct(t, p.url, p.redisURL)
	last, err := next.watch(next.admin, id)
	if err != nil || last.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED {
		t.Errorf("found %v, %v", last, err)
	}
	if got := next.delayOf("small", "ORD"); got != "1/PRESENT" {
		t.Errorf("found %s", got)
	}
}

// What is applied, materialized and revoked on one server is so on another.
func TestTwoServers(t *testing.T) {
	a := newProduct(t)
	b := openProduct(t, a.url, a.redisURL)
	a.apply(definitions())
	eventually(t, "the definitions to reach the other server", func() bool {
		_, err := b.registry.GetDefinition(b.admin, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_SERVICE, Name: "small"})
		return err == nil
	})
	at := time.Now().Add(-time.Hour)
	b.ingest(flights(flight("ORD", 7, at, feature.Float64(5))), 0)
	// Runs queued on one are worked on by either, and watched on the other.
	for range 6 {
		r, err := a.materialization.Materialize(a.admin, &headwaterv1.MaterializeRequest{Views: []string{"delays"}})
		if err != nil {
			t.Fatal(err)
		}
		if run, err := b.watch(b.admin, r.GetRuns()[0].GetId()); err != nil || run.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED {
			t.Fatalf("found %v, %v", run, err)
		}
	}
	if got := b.delayOf("small", "ORD"); got != "5/PRESENT" {
		t.Errorf("found %s", got)
	}
	a.ingest(flights(flight("ORD", 7, at.Add(time.Minute), feature.Float64(6))), 0)
	b.materialize("delays")
	if got := a.delayOf("small", "ORD"); got != "6/PRESENT" {
		t.Errorf("found %s", got)
	}
	// A role taken away on one is taken away on the other.
	d := definitions()
	d.Roles = []feature.Role{role("reader", "read_online on service:small")}
	a.apply(d)
	ctx := a.as("rita", "reader")
	request := &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}}
	eventually(t, "the role to reach the other server", func() bool {
		_, err := b.online.GetFeatures(ctx, request)
		return err == nil
	})
	d.Roles[0] = role("reader", "read_online on service:model")
	a.apply(d)
	eventually(t, "the role to be gone from the other server", func() bool {
		_, err := b.online.GetFeatures(ctx, request)
		return fault.FromError(err) != nil && fault.FromError(err).Reason == fault.PermissionDenied
	})
}
