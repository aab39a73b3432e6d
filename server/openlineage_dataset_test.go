package server

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/outbox"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// A build that fails leaves a START and a FAIL that says why without a word of its spine; one whose server died an ABORT; and one that was refused nothing.
func TestBuildsThatFailAreToldOf(t *testing.T) {
	r := newReceiver(t)
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), OpenLineage: OpenLineage{URL: r.server.URL + "/api/v1/lineage"}})
	p.apply(definitions())
	at := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(20))), 0)
	p.materialize("delays")

	// No run has looked at what came since.
	p.ingest(flights(flight("ORD", 7, at.Add(20*time.Minute), feature.Float64(30))), 0)
	uncovered := spineOf(asked("ORD", 7, at.Add(30*time.Minute)))
	_, _, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{Name: "failing"}, uncovered.arrow(t))
	if fault.ReasonOf(fault.FromError(err)) != fault.NotMaterialized {
		t.Fatalf("found %v, expected that the times of the spine are covered by no run", err)
	}
	// A spine that cannot be one is refused before anything begins.
	other := uncovered
	other.columns = append([]feature.Column{{Name: "destination", Type: feature.TypeString}}, other.columns[1:]...)
	if _, _, err := p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{Name: "refused"}, other.arrow(t)); err == nil {
		t.Fatal("found no error")
	}
	_, _, err = p.build(p.admin, "small", &headwaterv1.BuildDatasetHeader{Name: "whole"}, spineOf(asked("ORD", 7, at)).arrow(t))
	if err != nil {
		t.Fatal(err)
	}

	// As a server leaves it that is killed while it builds. Another that is under way is left alone.
	ctx := context.Background()
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		for _, id := range []string{"ds_lost", "ds_live"} {
			if err := outbox.BeginDataset(ctx, tx, outbox.Dataset{ID: id, Name: id[3:], Service: "small@1"}, at); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `UPDATE headwater.dataset_build SET seen_at = seen_at - interval '1 hour'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := outbox.SeenDataset(ctx, p.pool, "ds_live"); err != nil {
		t.Fatal(err)
	}
	if err := outbox.AbandonDatasets(ctx, p.pool); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all events", func() bool { return p.count(`SELECT count(*) FROM headwater.outbox WHERE channel = ''`) == 0 })
	v := newValidator(t)
	for _, event := range r.taken() {
		v.check(t, event)
		if bytes.Contains(event, []byte("ORD")) {
			t.Errorf("found a value of the spine in %s", event)
		}
	}
	for name, want := range map[string]struct{ types, message string }{
		"failing": {"START FAIL", "the build failed with NOT_MATERIALIZED"}, "refused": {"", ""}, "whole": {"START COMPLETE", ""},
		"lost": {"START ABORT", "the build ended with its server"}, "live": {"START", ""},
	} {
		list := r.told("dataset." + name)
		if got := typesOf(list); got != want.types {
			t.Errorf("%s: found %q told, expected %q", name, got, want.types)
			continue
		}
		for i, e := range list {
			if e.Run.RunID != list[0].Run.RunID || i > 0 && e.Run.Facets.ErrorMessage.Message != want.message {
				t.Errorf("%s: found %+v, expected one run that says %q", name, e.Run, want.message)
			}
		}
	}
	if n := p.count(`SELECT count(*) FROM headwater.dataset_build WHERE id <> 'ds_live'`); n != 0 {
		t.Errorf("found %d builds that are said to be under way", n)
	}
}
