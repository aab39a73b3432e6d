package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// releasing is a product whose service small has gates on release and the label number, and who builds and who reviews.
type releasing struct {
	*product
	d  *feature.Definitions
	at time.Time
	// offset is the number that the first row of a spine has.
	offset   int
	bea, ann context.Context
}

func newReleasing(t *testing.T, gates ...feature.Gate) *releasing {
	t.Helper()
	r := &releasing{product: newProduct(t), d: definitions(), at: time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)}
	r.d.Services[1].Gates.Release = gates
	r.d.Services[1].Labels = []feature.Column{{Name: "number", Type: feature.TypeInt64}}
	r.d.Roles = append(r.d.Roles, role(builds, "read_offline,list on service:small", "list on dataset:*"), role("reviews", "approve,list on dataset:*"))
	return r
}

// begin applies its definitions, by which there are roles.
func (r *releasing) begin() {
	r.t.Helper()
	r.apply(r.d)
	r.bea, r.ann = r.as("bea", builds), r.as("ann", "reviews", builds)
}

func (r *releasing) dataset(rows int) *headwaterv1.Manifest {
	r.t.Helper()
	var list [][]feature.Value
	for i := range rows {
		list = append(list, asked("ORD", int64(r.offset+i), r.at.Add(time.Duration(i)*time.Second)))
	}
	_, m, err := r.build(r.bea, "small", &headwaterv1.BuildDatasetHeader{Name: "training"}, spineOf(list...).arrow(r.t))
	if err != nil {
		r.t.Fatal(fault.FromError(err))
	}
	return m
}

// opens has ann approve a gate of a dataset that is held by it alone, bea not, and bea release it.
func (r *releasing) opens(m *headwaterv1.Manifest, gate, found string) {
	r.t.Helper()
	if want := fmt.Sprintf("gate %s: found %s", gate, found); m.GetState() != headwaterv1.DatasetState_DATASET_STATE_BUILT || !strings.Contains(m.GetHeld(), want) {
		r.t.Fatalf("found %s\n%s\nexpected it held, by\n%s", m.GetState(), m.GetHeld(), want)
	}
	who := fmt.Sprintf("to approve: headwater dataset approve %s --gate %s --reason R --expires T; whoever has one of the roles [reviews admin] can approve it, but not bea, who made it: ada, ann", m.GetId(), gate)
	release := func() (*headwaterv1.Manifest, error) {
		resp, err := r.datasets.ReleaseDataset(r.bea, &headwaterv1.ReleaseDatasetRequest{Dataset: m.GetId()})
		return resp.GetManifest(), err
	}
	if _, err := release(); fault.FromError(err).Reason != fault.GateRefused || !strings.Contains(fault.FromError(err).Message, who) {
		r.t.Errorf("found %v, expected in it %s", err, who)
	}
	approve := func(ctx context.Context) error {
		_, err := r.datasets.ApproveDataset(ctx, &headwaterv1.ApproveDatasetRequest{Dataset: m.GetId(), Gate: gate, Reason: "a strike", ExpiresAt: timestamppb.New(time.Now().Add(time.Hour))})
		return err
	}
	if f := fault.FromError(approve(r.as("bea", "reviews"))); f == nil || f.Reason != fault.PermissionDenied || !strings.HasPrefix(f.Message, "bea made dataset "+m.GetId()+" itself") {
		r.t.Errorf("found %v of who built it", f)
	}
	if err := approve(r.ann); err != nil {
		r.t.Fatal(fault.FromError(err))
	}
	// One that has expired opens nothing.
	if _, err := r.pool.Exec(r.t.Context(), `UPDATE headwater.approval SET expires_at = approved_at + interval '1 microsecond'`); err != nil {
		r.t.Fatal(err)
	}
	if _, err := release(); fault.ReasonOf(fault.FromError(err)) != fault.GateRefused {
		r.t.Errorf("found %v by an approval that has expired", err)
	}
	if err := approve(r.ann); err != nil {
		r.t.Fatal(fault.FromError(err))
	}
	if released, err := release(); err != nil || released.GetState() != headwaterv1.DatasetState_DATASET_STATE_RELEASED {
		r.t.Errorf("found %v, %v", released, err)
	}
}

func (r *releasing) wantReleased(m *headwaterv1.Manifest, gate, found string) {
	r.t.Helper()
	for _, g := range m.GetGates() {
		if g.GetGate() == gate && g.GetHolds() && g.GetFound() == found {
			return
		}
	}
	r.t.Errorf("found %s by %v (%s), expected that %s holds: %s", m.GetState(), m.GetGates(), m.GetHeld(), gate, found)
}

// Checks of the runs behind a dataset hold it: what warned and was not waived, and what had nothing to compare with.
func TestChecksHoldADatasetBack(t *testing.T) {
	r := newReleasing(t, feature.GateChecks)
	r.d.Sources[0].Expectations = []feature.Expectation{{Name: "filled", Column: "delay", Kind: feature.ExpectCompleteness, Warn: feature.Bounds{Min: proto.Float64(0.9)}}}
	r.begin()
	r.ingest(flights(flight("ORD", 7, r.at, feature.Float64(1)), flight("JFK", 8, r.at, feature.Null())), 0)
	r.materialize("delays")
	r.opens(r.dataset(1), "checks", "filled of source:flights in run delays@1/1 warned: expected the share of rows with a value in delay at least 0.9, found 0.5")

	// A load that mends it, and what is new has nothing to be compared with.
	r.ingest(flights(flight("ORD", 7, r.at, feature.Float64(2)), flight("JFK", 8, r.at, feature.Float64(1))), 1)
	r.materialize("delays")
	m := r.dataset(1)
	r.wantReleased(m, "checks", "no check that warned, of 1 runs")
	r.d.Sources[0].Expectations = []feature.Expectation{{Name: "usual", Kind: feature.ExpectRowCountRatio, Warn: feature.Bounds{Min: proto.Float64(0.5)}}}
	r.apply(r.d)
	r.ingest(flights(flight("ORD", 7, r.at, feature.Float64(3)), flight("JFK", 8, r.at, feature.Float64(1))), 2)
	r.materialize("delays")
	r.opens(r.dataset(1), "checks", "usual of source:flights in run delays@1/3 no baseline: expected ")
}

// A dataset without a baseline is held, one of the same content is none, and one that fails against it is held.
func TestDriftHoldsADatasetBack(t *testing.T) {
	r := newReleasing(t, feature.GateDrift)
	r.begin()
	r.ingest(flights(flight("ORD", 7, r.at, feature.Float64(1))), 0)
	r.materialize("delays")
	m := r.dataset(100)
	set := func(dataset string) {
		t.Helper()
		if _, err := headwaterv1.NewQualityServiceClient(r.conn).SetBaseline(r.admin, &headwaterv1.SetBaselineRequest{Name: "normal", Node: "dataset:" + dataset, Reason: "a quiet month"}); err != nil {
			t.Fatal(fault.FromError(err))
		}
	}
	set(m.GetId())
	r.opens(m, "drift", "no baseline of service:small@1, nor of a model that reads it, of another content; to say what is normal: headwater baseline set NAME dataset:ID --for service:small@1")
	r.wantReleased(r.dataset(101), "drift", "2 NOT_ENOUGH_DATA, 2 OK against baseline normal@1 of service:small@1")
	r.offset = 1000
	r.opens(r.dataset(100), "drift", "1 FAIL, 1 NOT_ENOUGH_DATA, 2 OK against baseline normal@1 of service:small@1: number; to look at it: headwater drift baseline:normal@1 dataset:")
}

// What a dataset is held by is what its service declared when it was built.
func TestAgeHoldsADatasetBack(t *testing.T) {
	r := newReleasing(t, feature.GateFreshness)
	r.d.Views[0].Freshness = &feature.ViewFreshness{MaxAge: time.Hour}
	r.begin()
	r.ingest(flights(flight("ORD", 7, r.at, feature.Float64(1))), 0)
	r.materialize("delays")
	hour := func() string { return time.Now().UTC().Format("2006-01-02T15") }
	held := hour()
	m := r.dataset(1)
	// An hour may end while it is built.
	if now := hour(); strings.Contains(m.GetHeld(), "older than 1h at "+now) {
		held = now
	}
	r.d.Services[1].Gates.Release = nil
	r.apply(r.d)
	r.opens(m, "freshness", "view delays@1 older than 1h at "+held)
	if m := r.dataset(2); m.GetState() != headwaterv1.DatasetState_DATASET_STATE_RELEASED || len(m.GetGates()) != 0 {
		t.Errorf("found %s by %v of a service without gates", m.GetState(), m.GetGates())
	}
	// As of when it was new, it is.
	r.d.Services[1].Gates.Release = []feature.Gate{feature.GateFreshness}
	r.apply(r.d)
	r.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Minute), feature.Float64(1))), 0)
	r.materialize("delays")
	r.wantReleased(r.dataset(3), "freshness", "no view older than it declares")
}

// A service can ask for a report where no tag does.
func TestAServiceAsksForAnImpactReport(t *testing.T) {
	r := newReleasing(t, feature.GateImpactReport)
	r.begin()
	r.ingest(flights(flight("ORD", 7, r.at, feature.Float64(1))), 0)
	r.materialize("delays")
	m := r.dataset(1)
	_, err := headwaterv1.NewBiasServiceClient(r.conn).ReportBias(r.admin, &headwaterv1.ReportBiasRequest{
		Dataset: m.GetId(), Question: &headwaterv1.BiasQuestion{Label: "number", Favourable: "0", By: []string{"origin"}},
	})
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	r.opens(m, gateBiasReport, "that service small asks for an impact report, and no report on what it has in it; to make one: headwater bias report ")
}

// A spine of a service that declares labels has no others, whatever version is asked for, and tags of labels hold what has them.
func TestLabelsOfSpinesAreDeclared(t *testing.T) {
	r := newReleasing(t)
	r.begin()
	r.ingest(flights(flight("ORD", 7, r.at, feature.Float64(1))), 0)
	r.materialize("delays")
	spine := spineOf(asked("ORD", 7, r.at))
	spine.columns = append(spine.columns, feature.Column{Name: "hired", Type: feature.TypeBool})
	spine.rows[0] = append(spine.rows[0], feature.Bool(true))
	refused := func(service, message string) {
		t.Helper()
		_, _, err := r.build(r.bea, service, &headwaterv1.BuildDatasetHeader{Name: "training"}, spine.arrow(t))
		if f := fault.FromError(err); f == nil || f.Reason != fault.InvalidSpine || f.Message != message {
			t.Errorf("found\n%v\nexpected\n%s", err, message)
		}
	}
	refused("small", "spine: found the columns hired, which service small does not declare, expected beside keys, times and request inputs only labels that it does, for it is gated "+
		"(labels it declares: number); declare them with their tags: labels: [{name: hired, type: T}], or leave them out")
	r.d.Services[1].Labels = append(r.d.Services[1].Labels, feature.Column{Name: "hired", Type: feature.TypeString, Tags: []string{"human_decision"}})
	r.apply(r.d)
	refused("small", "spine: column hired: found bool, expected string, the type of the label of that name of service small")
	r.d.Services[1].Labels[1].Type = feature.TypeBool
	r.apply(r.d)
	_, m, err := r.build(r.bea, "small", &headwaterv1.BuildDatasetHeader{Name: "training"}, spine.arrow(t))
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	if tags := m.GetCarriedTags(); len(tags) != 1 || tags[0].GetTag() != "human_decision" || tags[0].GetColumn() != "hired" || strings.Join(tags[0].GetFrom(), " ") != "service:small.hired" ||
		m.GetState() != headwaterv1.DatasetState_DATASET_STATE_BUILT {
		t.Errorf("found %s with the tags %v", m.GetState(), tags)
	}
	if m := r.dataset(1); m.GetState() != headwaterv1.DatasetState_DATASET_STATE_RELEASED {
		t.Errorf("found %s of a spine without that label", m.GetState())
	}
	// An older version is no way around, nor is taking them off by who may only register.
	before := r.d.Services[1]
	r.d.Services[1].Views[0].Features = []string{"delay", "late"}
	r.d.Services[1].Labels = before.Labels[:1]
	r.d.Roles = append(r.d.Roles, role("author", "register,list,read_offline,read_online on entity:*,source:*,view:*,service:*,role:*"))
	r.apply(r.d)
	refused("small@2", "spine: found the columns hired, which service small does not declare, expected beside keys, times and request inputs only labels that it does, for it is gated "+
		"(labels it declares: number); declare them with their tags: labels: [{name: hired, type: T}], or leave them out")
	r.d.Services[1].Labels = nil
	denied(t, "an author", r.tryApply(r.as("mallory", "author"), r.d), "mallory may not administer service:small: what the gates and labels of a service hold back is given out without them")
}
