package server

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Profiles go with the history that they are of; baselines stay, and so does what a model was trained on.
func TestProfilesOfWhatIsGoneAreCollected(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	p.apply(definitions())
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Second)
	for i := range 3 {
		p.ingest(flights(flight("ORD", 7, at, feature.Float64(float64(i)))), 0)
		p.materialize("delays")
		at = at.Add(time.Minute)
		if i == 0 {
			_, err := headwaterv1.NewQualityServiceClient(p.conn).SetBaseline(p.admin, &headwaterv1.SetBaselineRequest{Name: "first", Node: "run:delays@1/1"})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var ids []string
	for range 2 {
		_, m, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{AllowPartial: true}, spineOf(asked("ORD", 7, time.Now())).arrow(t))
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		ids = append(ids, m.GetId())
	}
	if _, err := p.lineage.RegisterModel(p.admin, &headwaterv1.RegisterModelRequest{Name: "m", Service: "small", Dataset: ids[0]}); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if _, err := p.datasets.DeleteDataset(p.admin, &headwaterv1.DeleteDatasetRequest{Dataset: id, Reason: "test"}); err != nil {
			t.Fatal(fault.FromError(err))
		}
	}
	count := func() (n int) {
		if err := p.pool.QueryRow(t.Context(), `SELECT count(*) FROM headwater.profile`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	collect := func(dry bool, views ...string) int64 {
		r, err := p.retention.CollectHistory(p.admin, &headwaterv1.CollectHistoryRequest{OlderThan: durationpb.New(0), DryRun: dry, Views: views})
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		return r.GetProfilesCollected()
	}
	if n := collect(false, "delays"); n != int64(before-count()) || n == 0 || count() < 3 {
		t.Errorf("found %d collected of %d, %d left; expected those of runs before the last, and not those of datasets", n, before, count())
	}
	left := count()
	if n := collect(true); n != 1 || count() != left {
		t.Errorf("found %d that would be collected, expected that of the dataset without a model", n)
	}
	if n := collect(false); n != 1 || count() != left-1 {
		t.Errorf("found %d collected", n)
	}
	service := headwaterv1.NewQualityServiceClient(p.conn)
	if _, err := service.GetProfile(p.admin, &headwaterv1.GetProfileRequest{Node: "run:delays@1/1"}); err == nil || !strings.Contains(fault.FromError(err).Message, "it was collected (headwater gc)") {
		t.Errorf("found %v of a run whose history is gone", err)
	}
	if r, err := service.GetProfile(p.admin, &headwaterv1.GetProfileRequest{Node: "baseline:first"}); err != nil || r.GetProfile().GetRows() != 1 {
		t.Errorf("found %v, %v of its baseline", r, err)
	}
	// What would take too long to read is not.
	if _, err := p.pool.Exec(t.Context(), `UPDATE headwater.view_state SET live_rows = 20000001`); err != nil {
		t.Fatal(err)
	}
	if _, err := service.GetProfile(p.admin, &headwaterv1.GetProfileRequest{Node: "view:delays"}); err == nil ||
		!strings.HasPrefix(fault.FromError(err).Message, "view delays@1: found 20000001 rows, expected at most 20000000 to be read for a profile; ") {
		t.Errorf("found %v", err)
	}
}
