package server

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// serving is a releasing whose service small has gates on serving, who applies, and who approves.
type serving struct {
	*releasing
	mallory, rex context.Context
}

func newServing(t *testing.T, gates ...feature.Gate) *serving {
	t.Helper()
	s := &serving{releasing: newReleasing(t)}
	s.d.Services[1].Gates.Serve = gates
	s.d.Services[1].Labels = nil
	s.d.Roles = append(s.d.Roles, role("author", "register,list,read_offline,read_online on entity:*,source:*,view:*,service:*,role:*"), role("signs", "approve,list on service:small"))
	return s
}

func (s *serving) begin() {
	s.t.Helper()
	s.releasing.begin()
	s.mallory, s.rex = s.as("mallory", "author"), s.as("rex", "signs")
}

// refused applies as mallory, and returns for what an approval would be.
func (s *serving) refused(message string) (inputs string) {
	s.t.Helper()
	before := s.count(`SELECT revision FROM headwater.registry_head`)
	f := fault.FromError(s.tryApply(s.mallory, s.d))
	if f == nil || f.Reason != fault.GateRefused || !strings.HasPrefix(f.Message, message) {
		s.t.Fatalf("found\n%v\nexpected a refusal that begins with\n%s", f, message)
	}
	if now := s.count(`SELECT revision FROM headwater.registry_head`); now != before {
		s.t.Errorf("found revision %d after a refusal, expected %d", now, before)
	}
	found := regexp.MustCompile(`; to approve: headwater approve service small --gate ([a-z_]+) --inputs ([0-9a-f]{64}) --reason R --expires T; whoever has one of the roles \[signs admin\] can approve it, ` +
		`but not mallory, who made it: ada, rex$`).FindStringSubmatch(f.Message)
	if found == nil {
		s.t.Fatalf("found\n%s\nexpected how to approve it at its end", f.Message)
	}
	return found[2]
}

func (s *serving) approve(ctx context.Context, gate, inputs string) error {
	_, err := headwaterv1.NewApprovalServiceClient(s.conn).ApproveService(ctx, &headwaterv1.ApproveServiceRequest{
		Service: "small", Gate: gate, Inputs: inputs, Reason: "looked at it", ExpiresAt: timestamppb.New(time.Now().Add(time.Hour)),
	})
	return err
}

func (s *serving) applied(version int64) {
	s.t.Helper()
	if err := s.tryApply(s.mallory, s.d); err != nil {
		s.t.Fatal(fault.FromError(err))
	}
	if v := s.count(`SELECT max(version) FROM headwater.definition WHERE kind = 'service' AND name = 'small'`); v != version {
		s.t.Errorf("found version %d, expected %d", v, version)
	}
}

func (s *serving) warnings() string {
	s.t.Helper()
	r, err := s.registry.Plan(s.mallory, &headwaterv1.PlanRequest{Files: []*headwaterv1.DefinitionSource{{Path: "all.yaml", File: definition.ToProto(s.d)}}})
	if err != nil {
		s.t.Fatal(fault.FromError(err))
	}
	text := ""
	for _, c := range r.GetChanges() {
		text += strings.Join(c.GetWarnings(), "\n")
	}
	return text
}

// Definitions that would serve what warned are refused as a whole, what is served goes on, and somebody else approves exactly that.
func TestAServiceIsNotMovedToWhatWarned(t *testing.T) {
	s := newServing(t, feature.GateChecks)
	s.d.Sources[0].Expectations = []feature.Expectation{{Name: "filled", Column: "delay", Kind: feature.ExpectCompleteness, Warn: feature.Bounds{Min: proto.Float64(0.9)}}}
	s.begin()
	s.ingest(flights(flight("ORD", 7, s.at, feature.Float64(1)), flight("JFK", 8, s.at, feature.Null())), 0)
	run := s.materialize("delays")[0].GetId()

	// What declares no gate is not held, nor what is served already.
	s.d.Services[0].Views[0].Features = []string{"delay"}
	s.applied(1)
	s.d.Services[1].Views[0].Features = []string{"delay", "late"}
	s.d.Services[0].Views[0].Features = []string{"late"}
	found := func(run int64) string {
		return fmt.Sprintf("gate checks: found check filled warned in run %d of view delays@1, expected no check that warned unwaived in the newest published run of each view, and none that "+
			"failed in a later one; to look at it: headwater runs show %[1]d; a run that mends it lets it pass: headwater materialize delays@1; ", run)
	}
	message := "nothing was applied, for service small@2 is not to be served, and what is served goes on; "
	if want := "would be refused by " + found(run) + "an apply that is refused says who can approve it, and how"; s.warnings() != want {
		t.Errorf("found the plan\n%s\nexpected\n%s", s.warnings(), want)
	}
	if n := s.count(`SELECT count(*) FROM headwater.held_service`); n != 0 {
		t.Errorf("found %d to approve by a plan", n)
	}
	inputs := s.refused(message + found(run))
	if again := s.refused(message + found(run)); again != inputs {
		t.Errorf("found %s and %s for the same", inputs, again)
	}
	if got := s.delayOf("small", "ORD"); got != "1/PRESENT" {
		t.Errorf("found %s, expected that small goes on serving", got)
	}

	refused := func(what string, err error, reason fault.Reason, message string) {
		t.Helper()
		if f := fault.FromError(err); f == nil || f.Reason != reason || !strings.HasPrefix(f.Message, message) {
			t.Errorf("%s: found\n%v\nexpected %s\n%s", what, f, reason, message)
		}
	}
	refused("who may not", s.approve(s.mallory, "checks", inputs), fault.PermissionDenied, "mallory may not approve service:small")
	refused("who applied", s.approve(s.as("mallory", "signs"), "checks", inputs), fault.PermissionDenied, "mallory made service small@2 itself, and an approval is by somebody else")
	refused("another gate", s.approve(s.rex, "drift", inputs), fault.NotFound, `there is nothing of service "small" to approve at gate drift with the inputs `+inputs)
	if err := s.approve(s.rex, "checks", inputs); err != nil {
		t.Fatal(fault.FromError(err))
	}
	refused("twice", s.approve(s.rex, "checks", inputs), fault.AlreadyExists, "gate checks of service small@2 is approved already, by rex until ")
	if n := s.count(`SELECT count(*) FROM headwater.audit_record WHERE method = 'approve' AND principal = 'rex' AND resource = 'service:small' AND decision = 'allowed'
		AND reason LIKE 'approved gate checks of service small@2, made by mallory, until %: looked at it; it had found check filled warned%'`); n != 1 {
		t.Errorf("found %d records of the approval, expected one", n)
	}
	list, err := headwaterv1.NewApprovalServiceClient(s.conn).ListApprovals(s.rex, &headwaterv1.ListApprovalsRequest{Of: "service:small"})
	if err != nil || len(list.GetApprovals()) != 1 || list.GetApprovals()[0].GetSubject() != "service:small@2" || list.GetApprovals()[0].GetInputs() != inputs {
		t.Errorf("found %v, %v", list, err)
	}

	// Another run is published meanwhile: nobody has looked at that.
	s.ingest(flights(flight("ORD", 7, s.at.Add(time.Hour), feature.Float64(2)), flight("JFK", 8, s.at.Add(time.Hour), feature.Null())), 0)
	run = s.materialize("delays")[0].GetId()
	other := s.refused(message + found(run))
	if other == inputs {
		t.Errorf("found %s again, of another run", other)
	}
	if err := s.approve(s.rex, "checks", other); err != nil {
		t.Fatal(fault.FromError(err))
	}
	// Who approved it does not apply it by that.
	if f := fault.FromError(s.tryApply(s.as("rex", "author"), s.d)); fault.ReasonOf(f) != fault.GateRefused {
		t.Errorf("found %v by who approved it", f)
	}
	s.applied(2)
	if s.warnings() != "" {
		t.Errorf("found %s of what is applied", s.warnings())
	}

	s.d.Services[1].Gates.Serve = nil
	denied(t, "an author", s.tryApply(s.mallory, s.d), "mallory may not administer service:small: what the gates and labels of a service hold back is given out without them")
}

// At night there may be nobody else: who applied opens the gate with a role that it took for a time, which is loud.
func TestBreakGlassMovesAService(t *testing.T) {
	t.Parallel()
	s := newServing(t, feature.GateChecks)
	s.d.Sources[0].Expectations = []feature.Expectation{{Name: "filled", Column: "delay", Kind: feature.ExpectCompleteness, Warn: feature.Bounds{Min: proto.Float64(0.9)}}}
	for i := range s.d.Roles {
		if s.d.Roles[i].Name == "author" {
			s.d.Roles[i].MayElevateTo = []string{"admin"}
		}
	}
	s.begin()
	s.ingest(flights(flight("ORD", 7, s.at, feature.Null())), 0)
	s.materialize("delays")
	s.d.Services[1].Views[0].Features = []string{"delay", "late"}
	inputs := s.refused("nothing was applied, for service small@2 is not to be served")
	if _, err := s.access.Elevate(s.mallory, &headwaterv1.ElevateRequest{Role: "admin", Duration: durationpb.New(time.Minute), Reason: "nobody is there"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the role", func() bool { return s.approve(s.mallory, "checks", inputs) == nil })
	list, err := headwaterv1.NewApprovalServiceClient(s.conn).ListApprovals(s.rex, &headwaterv1.ListApprovalsRequest{Of: "service:small"})
	if a := list.GetApprovals(); err != nil || len(a) != 1 || a[0].GetBreakGlass() != "nobody is there" || a[0].GetApprover() != "mallory" || a[0].GetAuthor() != "mallory" {
		t.Errorf("found %v, %v", list, err)
	}
	if log := s.log.String(); !strings.Contains(log, "BREAK GLASS: a gate was opened") || !strings.Contains(log, "subject=service:small@2") {
		t.Errorf("found no warning in the log: %s", log)
	}
	s.applied(2)
}

// A service that follows a view is held to the version that it would read when it is applied.
func TestAServiceThatFollowsIsHeldToWhatItReads(t *testing.T) {
	t.Parallel()
	s := newServing(t, feature.GateChecks)
	s.d.Sources[0].Expectations = []feature.Expectation{{Name: "filled", Column: "delay", Kind: feature.ExpectCompleteness, Warn: feature.Bounds{Min: proto.Float64(0.9)}}}
	s.d.Services[1].Views[0].Published = true
	s.begin()
	s.ingest(flights(flight("ORD", 7, s.at, feature.Null())), 0)
	s.materialize("delays")
	// The newer version is not read before rows of it are online.
	s.d.Views[0].SQL.Query = strings.Replace(s.d.Views[0].SQL.Query, "origin, delay,", "origin, delay + 10 AS delay,", 1)
	s.apply(s.d)
	s.d.Services[1].Views[0].Features = []string{"delay", "late"}
	of := func(view string) string { return " of view " + view + ", expected no check that warned" }
	if w := s.warnings(); !strings.Contains(w, of("delays@1")) || strings.Contains(w, of("delays@2")) {
		t.Errorf("found %s, expected what is found of delays@1", w)
	}
	s.materialize("delays@2")
	eventually(t, "the second version", func() bool { return strings.Contains(s.warnings(), of("delays@2")) })
	if w := s.warnings(); strings.Contains(w, of("delays@1")) {
		t.Errorf("found %s, which is of what it would not read", w)
	}
	inputs := s.refused("nothing was applied, for service small@2 is not to be served")
	if err := s.approve(s.rex, "checks", inputs); err != nil {
		t.Fatal(fault.FromError(err))
	}
	s.applied(2)
}

// A view that drifted is not what a service is moved to.
func TestAServiceIsNotMovedToWhatDrifted(t *testing.T) {
	s := newServing(t, feature.GateDrift)
	s.begin()
	rows := func(at time.Time, from int) table {
		var list [][]feature.Value
		for i := range 200 {
			list = append(list, flight(fmt.Sprintf("A%d", i), int64(i), at, feature.Float64(float64(from+i%10))))
		}
		return flights(list...)
	}
	s.ingest(rows(s.at, 0), 0)
	s.materialize("delays")
	s.d.Services[1].Views[0].Features = []string{"delay", "late"}
	// Without a baseline there is nothing to hold it to.
	s.applied(2)
	if _, err := headwaterv1.NewQualityServiceClient(s.conn).SetBaseline(s.admin, &headwaterv1.SetBaselineRequest{Name: "normal", Node: "run:delays@1/1", Reason: "a quiet month"}); err != nil {
		t.Fatal(fault.FromError(err))
	}
	s.ingest(rows(s.at.Add(time.Hour), 1000), 0)
	s.materialize("delays")
	s.d.Services[1].Views[0].Features = []string{"late", "delay"}
	inputs := s.refused("nothing was applied, for service small@3 is not to be served, and what is served goes on; gate drift: found ")
	if f := fault.FromError(s.tryApply(s.mallory, s.d)); !strings.Contains(f.Message, " FAIL against baseline normal@1 in run delays@1/2, expected no column that failed against the baseline of its view in the "+
		"newest published run; to look at it: headwater drift baseline:normal@1 run:delays@1/2; ") {
		t.Errorf("found %s", f.Message)
	}
	if err := s.approve(s.rex, "drift", inputs); err != nil {
		t.Fatal(fault.FromError(err))
	}
	s.applied(3)
}

// What is late is not what a service is moved to, nor a view of which there is nothing yet.
func TestAServiceIsNotMovedToWhatIsLate(t *testing.T) {
	s := newServing(t, feature.GateFreshness)
	s.d.Views[0].Freshness = &feature.ViewFreshness{MaxAge: time.Hour}
	s.begin()
	s.ingest(flights(flight("ORD", 7, s.at, feature.Float64(1))), 0)
	s.materialize("delays")
	s.d.Services[1].Views[0].Features = []string{"delay", "late"}
	message := "nothing was applied, for service small@2 is not to be served, and what is served goes on; gate freshness: found "
	s.refused(message + "view delays@1 older than 1h, expected views as new as they declare; to have newer rows: headwater materialize delays@1; ")
	s.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Minute), feature.Float64(1))), 0)
	s.materialize("delays")
	s.applied(2)

	// With another version of the view.
	s.d.Views[0].SQL.Query += " AND number > 0"
	s.d.Services[1].Views[0].Version = 2
	s.refused(strings.Replace(message, "small@2", "small@3", 1) + "that nothing of view delays@2 is published, expected views as new as they declare; " +
		"apply the view without that version of the service, and run it: headwater materialize delays; ")
	if got := s.delayOf("small", "ORD"); !strings.HasPrefix(got, "1/PRESENT") {
		t.Errorf("found %s, expected that small goes on serving", got)
	}
	s.d.Services[1].Views[0].Version = 1
	s.applied(2)
	s.materialize("delays@2")
	s.d.Services[1].Views[0].Version = 2
	s.applied(3)
}

// Somebody has looked at a report on what is to be served, and has not taken that back.
func TestAServiceIsMovedByAnImpactReport(t *testing.T) {
	s := newServing(t, feature.GateImpactReport)
	s.d.Services[1].Gates.Release = []feature.Gate{feature.GateImpactReport}
	s.d.Services[1].Labels = []feature.Column{{Name: "number", Type: feature.TypeInt64}}
	s.begin()
	s.ingest(flights(flight("ORD", 7, s.at, feature.Float64(1))), 0)
	s.materialize("delays")
	s.d.Services[1].Views[0].Features = []string{"delay", "late"}
	message := "nothing was applied, for service small@2 is not to be served, and what is served goes on; gate impact_report: found no dataset named small of delays@1, expected one that was released by an " +
		"approved report of outcomes by group, the approval in force; to build one: headwater dataset build --service S --name small, of a service that reads these versions; "
	s.refused(message)

	_, m, err := s.build(s.bea, "small", &headwaterv1.BuildDatasetHeader{Name: "small"}, spineOf(asked("ORD", 7, s.at)).arrow(t))
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	if _, err := headwaterv1.NewBiasServiceClient(s.conn).ReportBias(s.admin, &headwaterv1.ReportBiasRequest{
		Dataset: m.GetId(), Question: &headwaterv1.BiasQuestion{Label: "number", Favourable: "7", By: []string{"origin"}},
	}); err != nil {
		t.Fatal(fault.FromError(err))
	}
	s.refused(message)
	a, err := s.datasets.ApproveDataset(s.ann, &headwaterv1.ApproveDatasetRequest{Dataset: m.GetId(), Gate: gateBiasReport, Reason: "fair", ExpiresAt: timestamppb.New(time.Now().Add(time.Hour))})
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	s.refused(message)
	if _, err := s.datasets.ReleaseDataset(s.bea, &headwaterv1.ReleaseDatasetRequest{Dataset: m.GetId()}); err != nil {
		t.Fatal(fault.FromError(err))
	}
	s.applied(2)
	if _, err := headwaterv1.NewApprovalServiceClient(s.conn).WithdrawApproval(s.admin, &headwaterv1.WithdrawApprovalRequest{Id: a.GetApproval().GetId(), Reason: "a mistake"}); err != nil {
		t.Fatal(fault.FromError(err))
	}
	s.d.Services[1].Views[0].Features = []string{"late"}
	inputs := s.refused(strings.Replace(message, "small@2", "small@3", 1))
	if err := s.approve(s.rex, "impact_report", inputs); err != nil {
		t.Fatal(fault.FromError(err))
	}
	s.applied(3)
}

// A check that was waived holds nothing back, one that failed in a run after that does, and features on demand are judged by the views that they are computed of.
func TestAServiceIsNotMovedToWhatFailedSince(t *testing.T) {
	s := newServing(t, feature.GateChecks)
	s.d.Sources[0].Expectations = []feature.Expectation{{Name: "sane", Column: "delay", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.FailRun}}
	s.d.Views = append(s.d.Views, onDemandView("doubled", nil, []feature.ViewRef{{Name: "delays"}}, [3]string{"twice", "float64", "delays.delay * 2.0"}))
	s.d.Roles = append(s.d.Roles, role("runs", "materialize,list on view:*"), role("waives", "approve,list on view:*"))
	s.begin()
	s.ingest(flights(flight("ORD", 7, s.at, feature.Float64(-1))), 0)
	bea, ann := s.as("bea", "runs"), s.as("ann", "waives")
	r, err := s.approveRun(ann, s.run(bea, "delays").GetId(), "sane")
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	if run := s.ended(r.GetRun().GetId()); run.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED {
		t.Fatalf("found %v, expected that the waived run is published", run)
	}
	s.d.Services[1].Views = append(s.d.Services[1].Views, feature.ServiceView{View: "doubled"})
	s.applied(2)

	s.ingest(flights(flight("ORD", 8, s.at.Add(time.Hour), feature.Float64(-2))), 0)
	failed := s.run(bea, "delays")
	// Of delays itself nothing is read any more.
	s.d.Services[1].Views = []feature.ServiceView{{View: "doubled"}}
	s.refused(fmt.Sprintf("nothing was applied, for service small@3 is not to be served, and what is served goes on; gate checks: found check sane failed in run %d of view delays@1, expected ", failed.GetId()))

	// What was removed and comes back is served again, so it is asked about as well.
	gone := s.d.Services[1]
	s.d.Services = s.d.Services[:1]
	if _, err := s.prune(s.admin, s.d, false); err != nil {
		t.Fatal(fault.FromError(err))
	}
	gone.Views = append([]feature.ServiceView{{View: "delays", Features: gone.Views[0].Features}}, gone.Views...)
	s.d.Services = append(s.d.Services, gone)
	if f := fault.FromError(s.tryApply(s.mallory, s.d)); fault.ReasonOf(f) != fault.GateRefused {
		t.Errorf("found %v, expected that what comes back is held", f)
	}
}
