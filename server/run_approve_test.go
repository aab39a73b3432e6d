package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// newWaivable is a product in which an early flight fails a run, and one without a number is quarantined.
func newWaivable(t *testing.T) (*product, time.Time) {
	t.Helper()
	p := newProduct(t)
	d := definitions()
	d.Sources[0].Expectations = []feature.Expectation{
		{Name: "sane", Column: "delay", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.FailRun},
		{Name: "numbered", Column: "number", Kind: feature.ExpectRange, Min: 1.0, OnFailure: feature.QuarantineRow, ErrorAbove: proto.Float64(1)},
	}
	d.Sources[0].MaxQuarantineRatio = proto.Float64(1)
	d.Views[0].Owner = "the delays team"
	oncall := role("oncall", "materialize,list on view:*")
	oncall.MayElevateTo = []string{"admin"}
	d.Roles = append(d.Roles, role("runs", "materialize,list on view:*"), role("reviews", "approve,list on view:*"), oncall)
	p.apply(d)
	return p, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
}

// run materializes a view as somebody, whatever comes of it.
func (p *product) run(ctx context.Context, view string) *headwaterv1.Run {
	p.t.Helper()
	r, err := p.materialization.Materialize(ctx, &headwaterv1.MaterializeRequest{Views: []string{view}})
	if err != nil {
		p.t.Fatal(err)
	}
	return p.ended(r.GetRuns()[0].GetId())
}

func (p *product) ended(id int64) *headwaterv1.Run {
	p.t.Helper()
	if _, err := p.watch(p.admin, id); err != nil {
		p.t.Fatal(err)
	}
	r, err := p.materialization.GetRun(p.admin, &headwaterv1.GetRunRequest{Run: fmt.Sprint(id)})
	if err != nil {
		p.t.Fatal(err)
	}
	return r.GetRun()
}

func (p *product) approveRun(ctx context.Context, id int64, check string) (*headwaterv1.ApproveRunResponse, error) {
	return p.materialization.ApproveRun(ctx, &headwaterv1.ApproveRunRequest{Run: fmt.Sprint(id), Check: check, Reason: "they left early"})
}

func TestACheckIsWaivedForExactlyItsInputs(t *testing.T) {
	p, at := newWaivable(t)
	// A row that fails, one that is quarantined, and a good one.
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(-1)), flight("JFK", 0, at, feature.Float64(1)), flight("LAX", 8, at, feature.Float64(2))), 0)
	bea, ann := p.as("bea", "runs"), p.as("ann", "reviews")
	failed := p.run(bea, "delays")
	if failed.GetState() != headwaterv1.RunState_RUN_STATE_FAILED || failed.GetAttempt() != 1 {
		t.Fatalf("found %v, expected that it failed at once", failed)
	}
	id := failed.GetId()
	wanted := fmt.Sprintf("headwater runs approve %d --check sane --reason R waives it for exactly what it has looked at, and runs it again; whoever has one of the roles "+
		"[reviews admin] can approve it, but not bea, who made it: ada, ann; the delays team owns it", id)
	if failed.GetToApprove() != wanted {
		t.Errorf("found\n%s\nexpected\n%s", failed.GetToApprove(), wanted)
	}
	refused := func(what string, err error, reason fault.Reason, message string) {
		t.Helper()
		f := fault.FromError(err)
		if f == nil || f.Reason != reason || !strings.HasPrefix(f.Message, message) {
			t.Errorf("%s: found\n%v\nexpected %s\n%s", what, err, reason, message)
		}
	}
	_, err := p.approveRun(bea, id, "sane")
	refused("who may not", err, fault.PermissionDenied, "bea may not approve view:delays: no grant of approve on view:delays in roles [runs]; ask the delays team, who owns it")
	_, err = p.approveRun(p.as("bea", "reviews"), id, "sane")
	refused("who started it", err, fault.PermissionDenied, fmt.Sprintf("bea made run %d itself, and an approval is by somebody else", id))
	_, err = p.approveRun(ann, id, "nosuch")
	refused("no such check", err, fault.InvalidArgument, fmt.Sprintf(`check: found "nosuch", expected one of those by which run %d failed: [sane]`, id))
	_, err = p.approveRun(ann, id, "numbered")
	refused("one that did not fail", err, fault.FailedPrecondition, fmt.Sprintf("check numbered of run %d did not fail: it is ", id))
	_, err = p.materialization.ApproveRun(ann, &headwaterv1.ApproveRunRequest{Run: fmt.Sprint(id), Check: "sane", Reason: "r", ExpiresAt: timestamppb.New(at)})
	refused("one that is over", err, fault.InvalidArgument, "an approval expires")

	// The server dies before the run begins: the approval and what it queued are one commit.
	died := make(chan struct{})
	stop := func(step string) error {
		if step == "begun" {
			select {
			case <-died:
			default:
				close(died)
				return fault.New(fault.PostgresUnavailable, "the connection is gone")
			}
		}
		return nil
	}
	p.step.Store(&stop)
	r, err := p.approveRun(ann, id, "sane")
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	<-died
	again := p.ended(r.GetRun().GetId())
	if again.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED || again.GetPrincipal() != "bea" || again.GetAttempt() != 2 {
		t.Fatalf("found %v", again)
	}
	if l := again.GetLedger(); l.GetRead() != 3 || l.GetQuarantined() != 1 || l.GetProduced() != 2 {
		t.Errorf("found the ledger %v, expected that the failing row counts and the quarantined one is kept aside", l)
	}
	if n := p.count(`SELECT count(*) FROM headwater.quarantined_row WHERE run_id = $1`, again.GetId()); n != 1 {
		t.Errorf("found %d rows in quarantine, expected one", n)
	}
	gate := fmt.Sprintf("waived for exactly these inputs by ann, until %s (approval %d): they left early", r.GetApprovals()[0].GetExpiresAt().AsTime().Format(time.RFC3339), r.GetApprovals()[0].GetId())
	if g := again.GetGates(); len(g) != 3 || g[2].GetName() != "check:sane" || g[2].GetDetail() != gate {
		t.Errorf("found the gates %v, expected %s", g, gate)
	}
	if n := p.count(`SELECT count(*) FROM headwater.audit_record WHERE method = 'approve' AND principal = 'ann' AND resource = 'view:delays'
		AND reason LIKE 'approved gate check:sane of run ' || $1 || ', made by bea, until %: they left early; it had found source:flights: expected %'`, fmt.Sprint(id)); n != 1 {
		t.Errorf("found %d audit records, expected one", n)
	}
	_, err = p.approveRun(ann, id, "sane")
	refused("again", err, fault.AlreadyExists, fmt.Sprintf("gate check:sane of run %d is approved already, by ann until ", id))
	_, err = p.approveRun(ann, again.GetId(), "sane")
	refused("one that was published", err, fault.FailedPrecondition, fmt.Sprintf("run %d of view delays@1 is published, expected one that failed by a check", again.GetId()))

	// Other inputs are judged afresh.
	p.ingest(flights(flight("ORD", 9, at.Add(time.Hour), feature.Float64(-2))), 0)
	other := p.run(bea, "delays")
	if other.GetState() != headwaterv1.RunState_RUN_STATE_FAILED {
		t.Errorf("found %v, expected that other loads are judged afresh", other)
	}
	if full := p.run(p.as("carl", "runs"), "recent"); full.GetState() != headwaterv1.RunState_RUN_STATE_FAILED {
		t.Errorf("found %v, expected that another view is judged by itself", full)
	}
}

func TestBreakGlassWaivesACheck(t *testing.T) {
	p, at := newWaivable(t)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(-1))), 0)
	olga := p.as("olga", "oncall")
	failed := p.run(olga, "delays")
	if _, err := p.access.Elevate(olga, &headwaterv1.ElevateRequest{Role: "admin", Duration: durationpb.New(time.Minute), Reason: "nobody is there"}); err != nil {
		t.Fatal(err)
	}
	var r *headwaterv1.ApproveRunResponse
	eventually(t, "the role", func() (ok bool) {
		var err error
		r, err = p.approveRun(olga, failed.GetId(), "sane")
		return err == nil
	})
	if run := p.ended(r.GetRun().GetId()); run.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED || r.GetApprovals()[0].GetBreakGlass() != "nobody is there" {
		t.Errorf("found %v and %v", run, r)
	}
	if !strings.Contains(p.log.String(), "BREAK GLASS: a gate was opened") {
		t.Error("found no warning in the log")
	}
}

func TestWhatNobodyCanWaive(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Views[0].SQL.Query = strings.ReplaceAll(d.Views[0].SQL.Query, "SELECT origin,", "SELECT CASE WHEN number > 0 THEN origin END AS origin,")
	p.apply(d)
	p.ingest(flights(flight("ORD", 0, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), feature.Float64(1))), 0)
	failed := p.run(p.admin, "delays")
	if failed.GetState() != headwaterv1.RunState_RUN_STATE_FAILED || failed.GetToApprove() != "" || len(failed.GetChecks()) == 0 {
		t.Fatalf("found %v, expected that it failed by what nobody can approve", failed)
	}
	check := failed.GetChecks()[0].GetName()
	_, err := p.approveRun(p.admin, failed.GetId(), check)
	want := fmt.Sprintf("check %s of run %d: found a row that breaks it; it guards what every run is held to, and nobody can approve that", check, failed.GetId())
	if f := fault.FromError(err); f == nil || f.Reason != fault.GateRefused || f.Message != want {
		t.Errorf("found %v, expected %s", err, want)
	}
}
