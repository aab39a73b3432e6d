package server

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// gated is a product whose delays are about employment: datasets of them are held.
type gated struct {
	*product
	at        time.Time
	spine     []byte
	bea, ann  context.Context
	approvals headwaterv1.ApprovalServiceClient
}

// builds is the role of who builds datasets of the service small.
const builds = "builds"

func newGated(t *testing.T) *gated {
	t.Helper()
	p := newProduct(t)
	g := &gated{product: p, at: time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), approvals: headwaterv1.NewApprovalServiceClient(p.conn)}
	p.apply(gatedDefinitions())
	p.ingest(flights(flight("ORD", 7, g.at, feature.Float64(1))), 0)
	p.materialize("delays")
	g.spine = spineOf(asked("ORD", 7, g.at)).arrow(t)
	g.bea, g.ann = p.as("bea", builds), p.as("ann", "reviews", builds)
	return g
}

func gatedDefinitions() *feature.Definitions {
	d := definitions()
	d.Sources[0].Columns[4].Tags = []string{"employment"}
	d.Services[1].Owner = "the delays team"
	oncall := role("oncall", "read_offline on service:small")
	oncall.MayElevateTo = []string{"admin"}
	d.Roles = append(d.Roles, role(builds, "read_offline,list on service:small", "list on dataset:*"), role("reviews", "approve,list on dataset:*"), role("trains", "list on dataset:training"), oncall)
	return d
}

// buildHeld builds a dataset that must be held.
func (g *gated) buildHeld(ctx context.Context, spine []byte) *headwaterv1.Manifest {
	g.t.Helper()
	sent, m, err := g.build(ctx, "small", &headwaterv1.BuildDatasetHeader{Name: "training"}, spine)
	if err != nil {
		g.t.Fatal(fault.FromError(err))
	}
	if m.GetState() != headwaterv1.DatasetState_DATASET_STATE_BUILT || len(sent) != 0 {
		g.t.Fatalf("found a dataset %s and %d bytes of it, expected that it is held", m.GetState(), len(sent))
	}
	return m
}

// report makes a report on a dataset, which the gate asks for, and returns its id.
func (g *gated) report(dataset string) string {
	g.t.Helper()
	r, err := headwaterv1.NewBiasServiceClient(g.conn).ReportBias(g.admin, &headwaterv1.ReportBiasRequest{
		Dataset: dataset, Question: &headwaterv1.BiasQuestion{Label: "number", Favourable: "7", By: []string{"origin"}},
	})
	if err != nil {
		g.t.Fatal(fault.FromError(err))
	}
	return r.GetReport().GetId()
}

func (g *gated) approve(ctx context.Context, dataset string) (*headwaterv1.Approval, error) {
	r, err := g.datasets.ApproveDataset(ctx, &headwaterv1.ApproveDatasetRequest{
		Dataset: dataset, Gate: gateBiasReport, Reason: "looked at it", ExpiresAt: timestamppb.New(time.Now().Add(time.Hour)),
	})
	return r.GetApproval(), err
}

func (g *gated) release(ctx context.Context, dataset string) (*headwaterv1.Manifest, error) {
	r, err := g.datasets.ReleaseDataset(ctx, &headwaterv1.ReleaseDatasetRequest{Dataset: dataset})
	return r.GetManifest(), err
}

func (g *gated) mustApprove(ctx context.Context, dataset string) *headwaterv1.Approval {
	g.t.Helper()
	g.report(dataset)
	a, err := g.approve(ctx, dataset)
	if err != nil {
		g.t.Fatal(fault.FromError(err))
	}
	return a
}

func TestADatasetIsHeldUntilAnotherApprovesIt(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	m := g.buildHeld(g.bea, g.spine)
	id := m.GetId()
	held := "dataset " + id + " (training@1) is held, and its rows are not given out before it is released; gate bias_report: found tag employment in column " +
		"delays__delay, from source:flights.delay, and no report on what it has in it; to make one: headwater bias report " + id + " --label L --favourable V --by A; to approve: headwater dataset approve " + id +
		" --gate bias_report --reason R --expires T; whoever has one of the roles [reviews admin] can approve it, but not bea, who made it: ada, ann; " +
		"the delays team owns it; then: headwater dataset release " + id
	const withheld = "; what tells of values in it is withheld until then from all but who may approve it"
	if m.GetHeld() != held+withheld {
		t.Errorf("found\n%s\nexpected\n%s", m.GetHeld(), held+withheld)
	}
	if tags := m.GetCarriedTags(); len(tags) != 1 || tags[0].GetTag() != "employment" || tags[0].GetColumn() != "delays__delay" || !slices.Equal(tags[0].GetFrom(), []string{"source:flights.delay"}) {
		t.Errorf("found the tags %v", tags)
	}
	shown, err := g.datasets.GetDataset(g.bea, &headwaterv1.GetDatasetRequest{Dataset: id})
	if err != nil || shown.GetManifest().GetHeld() != held+withheld || len(shown.GetManifest().GetGates()) != 1 || shown.GetManifest().GetGates()[0].GetHolds() {
		t.Errorf("found %v, %v", shown, err)
	}
	refused := func(what string, err error, reason fault.Reason, message string) {
		t.Helper()
		f := fault.FromError(err)
		if f == nil || f.Reason != reason || f.Message != message {
			t.Errorf("%s: found\n%v\nexpected %s\n%s", what, err, reason, message)
		}
	}
	sent, _, err := g.fetch(g.bea, id)
	refused("fetch", err, fault.GateRefused, held)
	_, _, err = g.fetch(g.admin, id)
	if len(sent) > 0 || fault.ReasonOf(fault.FromError(err)) != fault.GateRefused {
		t.Errorf("found %v of who may do everything, expected that it is held", err)
	}
	_, err = g.datasets.DiffDatasets(g.bea, &headwaterv1.DiffDatasetsRequest{A: id, B: "training@1"})
	refused("diff", err, fault.GateRefused, held)
	_, err = g.release(g.bea, id)
	refused("release", err, fault.GateRefused, held)
	if v, err := g.datasets.VerifyDataset(g.bea, &headwaterv1.VerifyDatasetRequest{Dataset: id}); err != nil || !v.GetSame() {
		t.Errorf("verify: found %v, %v", v, err)
	}

	// Not before there is something to look at, on exactly this.
	_, err = g.approve(g.ann, id)
	none := "gate bias_report of dataset " + id + ": found no report on what it has in it, expected one to look at before it is approved; headwater bias report " + id + " --label L --favourable V --by A"
	refused("without a report", err, fault.GateRefused, none)
	other := g.buildHeld(g.bea, spineOf(asked("ORD", 7, g.at), asked("ORD", 7, g.at)).arrow(t))
	g.report(other.GetId())
	_, err = g.approve(g.ann, id)
	refused("with one on another content", err, fault.GateRefused, none)
	report := g.report(id)
	shown, err = g.datasets.GetDataset(g.bea, &headwaterv1.GetDatasetRequest{Dataset: id})
	if want := "and no approval of what it has in it, on which there is report " + report + " by ada: number not enough data; to look at it: headwater bias show " + report + "; to approve: "; err != nil ||
		!strings.Contains(shown.GetManifest().GetHeld(), want) {
		t.Errorf("found %v, %v\nexpected in it %s", shown.GetManifest().GetHeld(), err, want)
	}

	// By whom, for what, and until when.
	_, err = g.approve(g.bea, id)
	if f := fault.FromError(err); f == nil || f.Reason != fault.PermissionDenied || !strings.HasPrefix(f.Message, "bea may not approve dataset:training: no grant of approve on dataset:training") {
		t.Errorf("found %v", err)
	}
	_, err = g.approve(g.as("bea", "reviews"), id)
	refused("by the builder", err, fault.PermissionDenied, "bea made dataset "+id+" itself, and an approval is by somebody else; in an emergency take a role for a time, "+
		"which opens it and is told of: headwater access elevate")
	_, err = g.approve(g.as("eve", "oncall"), id)
	refused("by who may not know of it", err, fault.PermissionDenied, fault.FromError(func() error { _, err := g.approve(g.as("eve", "oncall"), "nosuch@1"); return err }()).Message)
	ask := func(change func(*headwaterv1.ApproveDatasetRequest)) error {
		req := &headwaterv1.ApproveDatasetRequest{Dataset: id, Gate: gateBiasReport, Reason: "r", ExpiresAt: timestamppb.New(time.Now().Add(time.Hour))}
		change(req)
		_, err := g.datasets.ApproveDataset(g.ann, req)
		return err
	}
	refused("another gate", ask(func(r *headwaterv1.ApproveDatasetRequest) { r.Gate = "drift" }), fault.InvalidArgument,
		`gate: found "drift", expected one of dataset `+id+": bias_report")
	refused("no reason", ask(func(r *headwaterv1.ApproveDatasetRequest) { r.Reason = " " }), fault.InvalidArgument, "an approval needs a reason")
	for what, at := range map[string]*timestamppb.Timestamp{
		"no expiry": nil, "one that is over": timestamppb.New(time.Now().Add(-time.Hour)), "one that is far": timestamppb.New(time.Now().Add(400 * 24 * time.Hour)),
	} {
		err := ask(func(r *headwaterv1.ApproveDatasetRequest) { r.ExpiresAt = at })
		refused(what, err, fault.InvalidArgument, "an approval expires")
		if v := fault.FromError(err).Violations; len(v) != 1 || v[0].Field != "expires_at" || !strings.HasSuffix(v[0].Description, ", expected a time after now and at most 366 days ahead") {
			t.Errorf("%s: found %v", what, v)
		}
	}

	// Of two at once one is.
	errs := make(chan error, 2)
	for _, ctx := range []context.Context{g.ann, g.as("bob", "reviews")} {
		go func() {
			_, err := g.approve(ctx, id)
			errs <- err
		}()
	}
	first, second := <-errs, <-errs
	if first != nil {
		first, second = second, first
	}
	if f := fault.FromError(second); first != nil || f == nil || f.Reason != fault.AlreadyExists || !strings.HasPrefix(f.Message, "gate bias_report of dataset "+id+" is approved already, by ") {
		t.Errorf("found %v and %v", first, second)
	}
	if n := g.count(`SELECT count(*) FROM headwater.audit_record WHERE method = 'approve' AND action = 'approve' AND resource = 'dataset:training' AND decision = 'allowed'
		AND reason LIKE 'approved gate bias_report of dataset ' || $1 || ', made by bea, until %: looked at it; it had found tag employment in column %on which there is report ' || $2 || '%'`, id, report); n != 1 {
		t.Errorf("found %d audit records of the approval, expected one", n)
	}
	shown, err = g.datasets.GetDataset(g.bea, &headwaterv1.GetDatasetRequest{Dataset: id})
	if a := shown.GetManifest().GetGates()[0].GetApproval(); err != nil || a.GetReason() != "looked at it" || a.GetInputs() != m.GetContentDigest() ||
		shown.GetManifest().GetHeld() != "dataset "+id+" (training@1) is held, and its rows are not given out before it is released: all of its gates hold now; headwater dataset release "+id+withheld {
		t.Errorf("found %v, %v", shown, err)
	}
	if _, _, err := g.fetch(g.bea, id); fault.ReasonOf(fault.FromError(err)) != fault.GateRefused {
		t.Errorf("found %v, expected that it is held until it is released", err)
	}
	released, err := g.release(g.bea, id)
	if err != nil || released.GetState() != headwaterv1.DatasetState_DATASET_STATE_RELEASED || released.GetReleasedBy() != "bea" || released.GetReleasedAt() == nil {
		t.Fatalf("found %v, %v", released, err)
	}
	if again, err := g.release(g.ann, id); err != nil || again.GetReleasedBy() != "bea" {
		t.Errorf("found %v, %v of one that is released", again, err)
	}
	if n := g.count(`SELECT count(*) FROM headwater.audit_record WHERE method = 'release' AND principal = 'bea' AND reason LIKE 'released ' || $1 || ', training@1: gates hold: bias_report by approval %'`, id); n != 1 {
		t.Errorf("found %d audit records of the release, expected one", n)
	}
	rows, fetched, err := g.fetch(g.bea, id)
	if err != nil || sha(rows) != m.GetArrowSha256() || fetched.GetState() != headwaterv1.DatasetState_DATASET_STATE_RELEASED {
		t.Errorf("found %d bytes, %v, %v", len(rows), fetched, err)
	}
	if again, _, err := g.fetch(g.bea, "training@1"); err != nil || !bytes.Equal(again, rows) {
		t.Errorf("found other bytes, %v", err)
	}
}

// A row at a time would tell of all of them, were that which tells of values shown of what is held.
func TestWhatTellsOfValuesIsWithheldOfWhatIsHeld(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	sent, built, err := g.build(g.bea, "small", &headwaterv1.BuildDatasetHeader{Name: "training", LeaveOut: []*headwaterv1.LeaveOutRule{whereRule("row.delays__delay > 0.0")}}, g.spine)
	if err != nil || len(sent) != 0 {
		t.Fatalf("found %d bytes, %v", len(sent), err)
	}
	if n := built.GetLeftOut()[0].GetRows(); n != 0 || built.GetSpineRows() != 1 {
		t.Errorf("found %d rows left out of %d, expected that it is not told", n, built.GetSpineRows())
	}
	m := g.buildHeld(g.bea, g.spine)
	told := func(m *headwaterv1.Manifest) (values int) {
		for _, c := range m.GetColumns() {
			if s := c.GetSummary(); s.GetMin() != nil || s.GetMax() != nil || s.Mean != nil || s.GetDistinct() > 0 {
				values++
			}
		}
		return values
	}
	shown := func(ctx context.Context) *headwaterv1.Manifest {
		r, err := g.datasets.GetDataset(ctx, &headwaterv1.GetDatasetRequest{Dataset: m.GetId()})
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		return r.GetManifest()
	}
	verified, err := g.datasets.VerifyDataset(g.bea, &headwaterv1.VerifyDatasetRequest{Dataset: m.GetId()})
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	for what, m := range map[string]*headwaterv1.Manifest{
		"the build": m, "its builder": shown(g.bea), "its builder who approves": shown(g.as("bea", "reviews", builds)), "a verification": verified.GetManifest(),
	} {
		if n := told(m); n > 0 {
			t.Errorf("%s is told of the values of %d columns", what, n)
		}
	}
	if m := shown(g.ann); told(m) == 0 || strings.HasSuffix(m.GetHeld(), "who may approve it") {
		t.Errorf("found %v, expected that who may approve it is told", m)
	}
	profiles := headwaterv1.NewQualityServiceClient(g.conn)
	profile := func(ctx context.Context) string {
		r, err := profiles.GetProfile(ctx, &headwaterv1.GetProfileRequest{Node: "dataset:" + m.GetId()})
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		return r.GetProfile().GetWithheld()
	}
	want := "dataset " + m.GetId() + " is held until it is released: what tells of values in it is withheld until then from all but who may approve it"
	if got := profile(g.bea); got != want {
		t.Errorf("found %q, expected %q", got, want)
	}
	if got := profile(g.ann); got != "" {
		t.Errorf("found %q for who may approve it", got)
	}
	g.mustApprove(g.ann, m.GetId())
	if _, err := g.release(g.bea, m.GetId()); err != nil {
		t.Fatal(err)
	}
	if got := profile(g.bea); got != "" || told(shown(g.bea)) == 0 {
		t.Errorf("found %q of what is released", got)
	}
}

func TestAnApprovalIsForExactlyThatContent(t *testing.T) {
	t.Parallel()
	g := newGated(t)
	first := g.buildHeld(g.bea, g.spine)
	a := g.mustApprove(g.ann, first.GetId())
	// The same rows again are what was looked at, but not where who approved has built them.
	sent, same, err := g.build(g.bea, "small", &headwaterv1.BuildDatasetHeader{Name: "training"}, g.spine)
	if err != nil || same.GetState() != headwaterv1.DatasetState_DATASET_STATE_RELEASED || sha(sent) != same.GetArrowSha256() {
		t.Fatalf("found %v, %v", same, err)
	}
	if own := g.buildHeld(g.ann, g.spine); own.GetContentDigest() != first.GetContentDigest() {
		t.Errorf("found another digest")
	}
	// Others are not, nor are they under another name.
	other := g.buildHeld(g.bea, spineOf(asked("ORD", 7, g.at), asked("ORD", 7, g.at)).arrow(t))
	if _, err := g.release(g.bea, other.GetId()); fault.ReasonOf(fault.FromError(err)) != fault.GateRefused {
		t.Errorf("found %v, expected that a rebuild with another digest is held", err)
	}
	_, named, err := g.build(g.bea, "small", &headwaterv1.BuildDatasetHeader{Name: "elsewhere"}, g.spine)
	if err != nil || named.GetState() != headwaterv1.DatasetState_DATASET_STATE_BUILT {
		t.Errorf("found %v, %v", named, err)
	}

	// What is withdrawn holds what it had opened, and what is expired opens nothing.
	if _, err := g.approvals.WithdrawApproval(g.bea, &headwaterv1.WithdrawApprovalRequest{Id: a.GetId(), Reason: "no"}); fault.ReasonOf(fault.FromError(err)) != fault.PermissionDenied {
		t.Errorf("found %v", err)
	}
	if _, err := g.release(g.bea, first.GetId()); err != nil {
		t.Fatal(err)
	}
	w, err := g.approvals.WithdrawApproval(g.as("bob", "reviews"), &headwaterv1.WithdrawApprovalRequest{Id: a.GetId(), Reason: "the labels are wrong"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{first.GetId(), same.GetId()}
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(w.GetHeldAgain())); !slices.Equal(got, want) || w.GetApproval().GetInForce() || w.GetApproval().GetWithdrawnBy() != "bob" {
		t.Errorf("found %v, expected that %v are held again", w, want)
	}
	for _, id := range want {
		if _, _, err := g.fetch(g.bea, id); fault.ReasonOf(fault.FromError(err)) != fault.GateRefused {
			t.Errorf("found %v, expected that %s is held again", err, id)
		}
	}
	_, err = g.approvals.WithdrawApproval(g.ann, &headwaterv1.WithdrawApprovalRequest{Id: a.GetId(), Reason: "again"})
	if f := fault.FromError(err); f == nil || f.Reason != fault.FailedPrecondition || !strings.HasPrefix(f.Message, fmt.Sprintf("approval %d was withdrawn by bob at ", a.GetId())) {
		t.Errorf("found %v", err)
	}
	late := g.mustApprove(g.ann, first.GetId())
	if _, err := g.pool.Exec(context.Background(), `UPDATE headwater.approval SET approved_at = approved_at - interval '2 hours', expires_at = expires_at - interval '2 hours' WHERE id = $1`, late.GetId()); err != nil {
		t.Fatal(err)
	}
	if _, err := g.release(g.bea, first.GetId()); fault.ReasonOf(fault.FromError(err)) != fault.GateRefused {
		t.Errorf("found %v, expected that an approval that expired opens nothing", err)
	}
	g.mustApprove(g.ann, first.GetId())
	if _, err := g.release(g.bea, first.GetId()); err != nil {
		t.Errorf("found %v of a new approval", err)
	}
	list, err := g.approvals.ListApprovals(g.bea, &headwaterv1.ListApprovalsRequest{Of: "dataset:training"})
	if err != nil || len(list.GetApprovals()) != 3 || !list.GetApprovals()[0].GetInForce() || list.GetApprovals()[1].GetInForce() || list.GetApprovals()[0].GetSubject() != "dataset:"+first.GetId() {
		t.Errorf("found %v, %v", list, err)
	}
	// What somebody may not list takes no place of what they may, however little is asked for.
	if _, err := g.pool.Exec(context.Background(), `INSERT INTO headwater.approval (kind, subject, resource, inputs, gate, found, author, approver, credential, reason, break_glass, approved_at, expires_at)
		SELECT kind, 'ds_' || n, 'dataset:other', inputs, gate, found, author, approver, credential, reason, break_glass, approved_at, expires_at
		FROM headwater.approval, generate_series(1, 5) n WHERE id = $1`, late.GetId()); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int32]int{1: 1, 2: 2, 3: 3, 4: 3, 0: 3} {
		list, err := g.approvals.ListApprovals(g.as("tom", "trains"), &headwaterv1.ListApprovalsRequest{PageSize: size})
		if err != nil || len(list.GetApprovals()) != want || list.GetApprovals()[0].GetResource() != "dataset:training" {
			t.Errorf("page_size %d: found %v, %v, expected %d of training", size, list, err, want)
		}
	}
	if list, err := g.approvals.ListApprovals(g.as("eve", "oncall"), &headwaterv1.ListApprovalsRequest{}); fault.ReasonOf(fault.FromError(err)) != fault.PermissionDenied {
		t.Errorf("found %v, %v", list, err)
	}
}

// A report opens the way to an approval where it is about an outcome of the dataset, by what is protected where there is such, and its verdict is told.
func TestAGateAsksForAReportAboutItsOutcomes(t *testing.T) {
	p := newProduct(t)
	spine := p.applied()
	d := applicants()
	d.Sources[0].Column("race").Tags = []string{feature.ProtectedTag}
	d.Services[0].Tags = []string{"employment"}
	d.Roles = append(d.Roles, role("reviews", "approve,list on dataset:*"))
	p.apply(d)
	_, m, err := p.build(p.admin, "hiring", &headwaterv1.BuildDatasetHeader{}, spine.arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	report := func(label, favourable string, by ...string) {
		t.Helper()
		_, err := headwaterv1.NewBiasServiceClient(p.conn).ReportBias(p.admin, &headwaterv1.ReportBiasRequest{
			Dataset: m.GetId(), Question: &headwaterv1.BiasQuestion{Label: label, Favourable: favourable, By: by},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	approve := func() error {
		_, err := p.datasets.ApproveDataset(p.as("ann", "reviews"), &headwaterv1.ApproveDatasetRequest{
			Dataset: m.GetId(), Gate: gateBiasReport, Reason: "r", ExpiresAt: timestamppb.New(time.Now().Add(time.Hour)),
		})
		return err
	}
	report("hired", "yes", "site")
	report("scores__score", "3", "people.race")
	none := "no report on what it has in it of hired or site or predicted by a column with the tag protected"
	want := "gate bias_report of dataset " + m.GetId() + ": found " + none + ", expected one to look at before it is approved; headwater bias report " + m.GetId() + " --label L --favourable V --by A"
	if f := fault.FromError(approve()); f == nil || f.Reason != fault.GateRefused || f.Message != want {
		t.Errorf("found %v\nexpected %s", f, want)
	}
	held := func() string {
		t.Helper()
		shown, err := p.datasets.GetDataset(p.admin, &headwaterv1.GetDatasetRequest{Dataset: m.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		return shown.GetManifest().GetHeld()
	}
	if got := held(); !strings.Contains(got, ", and "+none+"; to make one: ") {
		t.Errorf("found %s", got)
	}
	report("hired", "yes", "people.race", "site")
	if got := held(); !strings.Contains(got, " by ada: hired below four fifths; to look at it: ") {
		t.Errorf("found %s, expected the verdict", got)
	}
	if err := approve(); err != nil {
		t.Error(err)
	}
}

func TestWhatMayLeakIsNotReleased(t *testing.T) {
	g := newGated(t)
	_, m, err := g.build(g.bea, "small", &headwaterv1.BuildDatasetHeader{Name: "training", Knowledge: headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_EVENT}, g.spine)
	if err != nil {
		t.Fatal(err)
	}
	found := "gate knowledge: found knowledge event, by which values may come from the future; build it again with knowledge arrival; nobody can approve that; gate bias_report: "
	if !m.GetMayLeak() || !strings.Contains(m.GetHeld(), found) {
		t.Errorf("found %s, expected %s", m.GetHeld(), found)
	}
	_, err = g.datasets.ApproveDataset(g.ann, &headwaterv1.ApproveDatasetRequest{
		Dataset: m.GetId(), Gate: gateKnowledge, Reason: "r", ExpiresAt: timestamppb.New(time.Now().Add(time.Hour)),
	})
	want := "gate knowledge of dataset " + m.GetId() + ": found knowledge event, by which values may come from the future; nobody can approve that; build it again with knowledge arrival"
	if f := fault.FromError(err); f == nil || f.Reason != fault.GateRefused || f.Message != want {
		t.Errorf("found %v, expected %s", err, want)
	}
	// Where nothing gates the release, it is let through with its mark.
	if sent, m, err := g.build(g.admin, "", &headwaterv1.BuildDatasetHeader{Name: "words", Features: []string{"delays.words"}, Knowledge: headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_EVENT}, g.spine); err != nil ||
		len(sent) == 0 || !m.GetMayLeak() || len(m.GetGates()) > 0 {
		t.Errorf("found %v, %v", m, err)
	}
}

func TestBreakGlassOpensAGate(t *testing.T) {
	g := newGated(t)
	olga := g.as("olga", "oncall")
	m := g.buildHeld(olga, g.spine)
	g.report(m.GetId())
	elevated, err := g.access.Elevate(olga, &headwaterv1.ElevateRequest{Role: "admin", Duration: durationpb.New(time.Minute), Reason: "nobody is there"})
	if err != nil {
		t.Fatal(err)
	}
	var a *headwaterv1.Approval
	eventually(t, "the role", func() bool {
		a, err = g.approve(olga, m.GetId())
		return err == nil
	})
	if a.GetBreakGlass() != "nobody is there" || a.GetApprover() != "olga" || a.GetAuthor() != "olga" {
		t.Errorf("found %v", a)
	}
	if _, err := g.release(olga, m.GetId()); err != nil {
		t.Fatal(err)
	}
	if rows, _, err := g.fetch(olga, m.GetId()); err != nil || sha(rows) != m.GetArrowSha256() {
		t.Errorf("found %v", err)
	}
	if end := a.GetExpiresAt().AsTime(); end.After(elevated.GetElevation().GetUntil().AsTime()) {
		t.Errorf("found that it expires at %s, after the role ends at %s", end, elevated.GetElevation().GetUntil().AsTime())
	}
	// It is for that dataset alone, not for its content wherever it is built again.
	for _, ctx := range []context.Context{olga, g.bea} {
		if again := g.buildHeld(ctx, g.spine); again.GetContentDigest() != m.GetContentDigest() {
			t.Errorf("found another content")
		}
	}
	// Who may approve without it breaks no glass by having taken a role.
	eve := g.as("eve", "oncall", "reviews")
	if _, err := g.access.Elevate(eve, &headwaterv1.ElevateRequest{Role: "admin", Duration: durationpb.New(time.Minute), Reason: "something else"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the role", func() bool {
		_, err := g.access.ListElevations(eve, &headwaterv1.ListElevationsRequest{})
		return err == nil
	})
	other := g.buildHeld(g.bea, g.spine)
	if b := g.mustApprove(eve, other.GetId()); b.GetBreakGlass() != "" {
		t.Errorf("found %v, expected that it breaks no glass", b)
	}
	if own := g.buildHeld(eve, g.spine); own.GetContentDigest() != other.GetContentDigest() {
		t.Errorf("found another content")
	}
	if log := g.log.String(); !strings.Contains(log, "BREAK GLASS: a gate was opened by who had taken a role for a time") || !strings.Contains(log, "gate=bias_report") {
		t.Errorf("found the log\n%s", log)
	}
	for _, method := range []string{"approve", "release"} {
		if n := g.count(`SELECT count(*) FROM headwater.audit_record WHERE method = $1 AND principal = 'olga' AND reason LIKE 'break glass: nobody is there; %'`, method); n != 1 {
			t.Errorf("found %d loud records of %s, expected one", n, method)
		}
	}
}

func TestTagsThatHoldADataset(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	d := gatedDefinitions()
	d.Views = append(d.Views, feature.View{Name: "ratio", Features: []feature.Column{{Name: "of_delay", Type: feature.TypeFloat64}}, OnDemand: &feature.OnDemand{
		Views: []feature.ViewRef{{Name: "recent"}}, Expressions: []feature.OnDemandExpression{{Feature: "of_delay", CEL: "recent.delay * 2.0"}},
	}})
	p.apply(d)
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1))), 0)
	p.materialize("delays", "recent")
	spine := spineOf(asked("ORD", 7, at)).arrow(t)
	tags := func(header *headwaterv1.BuildDatasetHeader, spine []byte) string {
		t.Helper()
		header.Name = "training"
		sent, m, err := p.build(p.admin, "", header, spine)
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		if held := m.GetState() == headwaterv1.DatasetState_DATASET_STATE_BUILT; held != (len(m.GetCarriedTags()) > 0) || held != (len(sent) == 0) {
			t.Errorf("found the state %s and %d bytes with the tags %v", m.GetState(), len(sent), m.GetCarriedTags())
		}
		var list []string
		for _, c := range m.GetCarriedTags() {
			list = append(list, fmt.Sprintf("%s %q of %s", c.GetTag(), c.GetColumn(), strings.Join(c.GetFrom(), " ")))
		}
		return strings.Join(list, "; ")
	}
	features := func(names ...string) *headwaterv1.BuildDatasetHeader {
		return &headwaterv1.BuildDatasetHeader{Features: names}
	}
	events := func(columns ...string) *headwaterv1.BuildDatasetHeader {
		return &headwaterv1.BuildDatasetHeader{Features: []string{"delays.words"}, Spine: &headwaterv1.BuildDatasetHeader_Events{
			Events: &headwaterv1.SpineEvents{Source: "flights", Columns: columns},
		}}
	}
	query := &headwaterv1.BuildDatasetHeader{Features: []string{"delays.words"}, Spine: &headwaterv1.BuildDatasetHeader_Query{Query: &headwaterv1.SpineQuery{
		Sql: "SELECT origin, event_time AS timestamp FROM flights", Sources: []string{"flights"},
	}}}
	for what, c := range map[string]struct {
		header *headwaterv1.BuildDatasetHeader
		spine  []byte
		want   string
	}{
		"a column that is made of another": {features("delays.words"), spine, ""},
		"what is computed of it":           {features("delays.late"), spine, `employment "delays__late" of source:flights.delay`},
		"what is computed on demand":       {features("ratio.of_delay"), spine, `employment "ratio__of_delay" of source:flights.delay`},
		"events with it":                   {events("origin", "delay"), nil, `employment "delay" of source:flights.delay`},
		"events without it":                {events("origin"), nil, ""},
		"a query of its source":            {query, nil, `employment "" of source:flights.delay`},
	} {
		if got := tags(c.header, c.spine); got != c.want {
			t.Errorf("%s: found %s, expected %s", what, got, c.want)
		}
	}
	// A whole source, of whatever is made of it; and a tag that is not of people holds nothing.
	d.Sources[0].Columns[4].Tags, d.Sources[0].Tags = []string{"nightly"}, []string{"human_decision"}
	p.apply(d)
	if got, want := tags(features("delays.words"), spine), `human_decision "" of source:flights`; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
	// A whole view, behind another and behind what is computed on demand.
	d.Sources[0].Tags = nil
	for i := range d.Views {
		if d.Views[i].Name == "recent" {
			d.Views[i].Tags = []string{"housing"}
		}
	}
	p.apply(d)
	if got, want := tags(features("ratio.of_delay"), spine), `housing "" of view:recent`; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
}

func TestAnImpactTagIsTakenOffByWhoAdministersIt(t *testing.T) {
	p := newProduct(t)
	d := gatedDefinitions()
	d.Roles = append(d.Roles, role("author", "register,list,read_offline,read_online on entity:*,source:*,view:*,service:*,role:*"))
	p.apply(d)
	d.Sources[0].Columns[4].Tags = nil
	denied(t, "an author", p.tryApply(p.as("mallory", "author"), d), "mallory may not administer tag:employment")
}
