package server

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Beyond what the last run covers the value of a window is stale: marked so online, refused offline.
func TestWindowsAreStaleBeyondTheLastRun(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	const day = 24 * time.Hour
	d.Views = append(d.Views, feature.View{
		Name: "daily", Entity: "airport", Features: []feature.Column{{Name: "flights", Type: feature.TypeInt64}, {Name: "delay", Type: feature.TypeFloat64}},
		Aggregation: &feature.Aggregation{Source: "flights", Hop: day, Where: "delay IS NOT NULL", Aggregates: []feature.Aggregate{
			{Feature: "flights", Function: feature.Count, Window: day},
			{Feature: "delay", Function: feature.Max, Column: "delay", Window: 2 * day, Where: "number > 0"},
		}},
	})
	d.Services = append(d.Services, feature.Service{Name: "windows", Views: []feature.ServiceView{{View: "daily"}}})
	p.apply(d)
	today := time.Now().UTC().Truncate(day)
	p.ingest(flights(flight("ORD", 1, today.Add(-36*time.Hour), feature.Float64(5)), flight("ORD", 1, today.Add(-12*time.Hour), feature.Float64(3)),
		flight("ORD", 1, today.Add(-13*time.Hour), feature.Float64(2)), flight("ORD", 1, today.Add(-13*time.Hour), feature.Null())), 0)

	r, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{
		Views: []string{"daily"}, From: timestamppb.New(today.Add(-3 * day)), To: timestamppb.New(today.Add(-day)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if run, err := p.watch(p.admin, r.GetRuns()[0].GetId()); err != nil || run.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED {
		t.Fatalf("found the run %v, %v", run, err)
	}
	read := func() string {
		r, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Service: "windows", WithProvenance: true,
			Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD", "JFK")}})
		if err != nil {
			t.Fatal(err)
		}
		if seqs := r.GetProvenance()[0].GetRunSeqs(); seqs[0] == 0 || seqs[1] != 0 {
			t.Errorf("found the runs %v", seqs)
		}
		return vectors(r)
	}
	if got, want := read(), "daily__flights 1/STALE 0/NO_ROW\ndaily__delay 5/STALE 0/NO_ROW\n"; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	late := spineOf(asked("ORD", 1, today.Add(-day)), asked("ORD", 1, today.Add(time.Second))).arrow(t)
	_, _, err = p.build(p.admin, "windows", &headwaterv1.BuildDatasetHeader{}, late)
	stamp := func(at time.Time) string { return at.Format(time.RFC3339) }
	want := fmt.Sprintf("view daily@1: 1 of the spine's 2 rows, from %[1]s to %[1]s, are of times that its runs published by position 1 do not cover; "+
		"they cover [%[2]s, %[3]s); run `headwater materialize daily@1 --to %[4]s --wait`\nor leave these rows out, or allow them: --allow-partial",
		stamp(today.Add(time.Second)), stamp(today.Add(-3*day)), stamp(today.Add(-day)), stamp(today))
	if f := fault.FromError(err); f == nil || f.Reason != fault.NotMaterialized || f.Message != want {
		t.Errorf("found %v\nexpected %s", err, want)
	}
	// The last instant before the next point of the grid is covered.
	covered := spineOf(asked("ORD", 1, today.Add(-time.Microsecond))).arrow(t)
	if _, m, err := p.build(p.admin, "windows", &headwaterv1.BuildDatasetHeader{}, covered); err != nil || m.GetRows() != 1 {
		t.Errorf("found %v, %v", m, err)
	}

	p.materialize("daily")
	eventually(t, "the coverage to be known", func() bool {
		return read() == "daily__flights 2/PRESENT 0/NO_ROW\ndaily__delay 5/PRESENT 0/NO_ROW\n"
	})
	if _, _, err := p.build(p.admin, "windows", &headwaterv1.BuildDatasetHeader{}, late); err != nil {
		t.Error(err)
	}
}
