package materialize

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// Loads that come while a run of a push view waits share it. One that has decided what it reads does not see them, so that the next
// load queues another.
func TestPushesShareARunThatWaits(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	v := w.newView(t, src, latest, 0)
	v.Push = &feature.Push{Source: src.Name}
	push := func(value float64) int64 {
		t.Helper()
		w.load(t, src, 0, reading("a", 1, hours(value), value))
		var ids []int64
		w.inTx(t, func(ctx context.Context, tx pgx.Tx) (err error) {
			ids, err = w.m.SourceChanged(ctx, tx, src.Name, []*feature.ViewVersion{v}, "ann")
			return err
		})
		if len(ids) != 1 {
			t.Fatalf("found the runs %v, expected one", ids)
		}
		return ids[0]
	}
	first := push(1)
	for i := range 20 {
		if id := push(float64(i + 2)); id != first {
			t.Fatalf("found run %d, expected that which waits, %d", id, first)
		}
	}
	var during int64
	w.reached = func(step string) error {
		if step == stepPlanned {
			during = push(100)
		}
		return nil
	}
	if err := w.work(first); err != nil {
		t.Fatal(err)
	}
	w.reached = func(string) error { return nil }
	if r := w.get(t, first); r.State != Published || r.Ledger.Inserted != 21 || r.Trigger != ByPush {
		t.Errorf("found the run %s, %s, with %d rows, expected all 21 of the loads that share it", r.State, r.Trigger, r.Ledger.Inserted)
	}
	if during == first || w.get(t, during).State != Queued {
		t.Errorf("found run %d for a load that came too late for run %d, expected another that waits", during, first)
	}
	if err := w.work(during); err != nil {
		t.Fatal(err)
	}
	if r := w.get(t, during); r.State != Published || r.Ledger.Inserted != 1 {
		t.Errorf("found the run %s with %d rows: %s", r.State, r.Ledger.Inserted, r.Error)
	}

	// A run that was cancelled is none to share.
	third := push(101)
	w.cancel(t, "ann", "", third)
	if fourth := push(102); fourth == third {
		t.Error("found a load that shares a run which was cancelled")
	}
}

// A run that a load shares can not begin before the load is there to be seen.
func TestARunWaitsForTheLoadThatSharesIt(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	v := w.newView(t, src, latest, 0)
	v.Push = &feature.Push{Source: src.Name}
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	ctx := context.Background()
	share := func(tx pgx.Tx) int64 {
		t.Helper()
		ids, err := w.m.SourceChanged(ctx, tx, src.Name, []*feature.ViewVersion{v}, "ann")
		if err != nil || len(ids) != 1 {
			t.Fatalf("found %v, %v", ids, err)
		}
		return ids[0]
	}
	var id int64
	w.inTx(t, func(_ context.Context, tx pgx.Tx) error { id = share(tx); return nil })
	tx, err := w.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if shared := share(tx); shared != id {
		t.Fatalf("found run %d, expected %d", shared, id)
	}
	ran := make(chan error, 1)
	go func() { ran <- w.m.runner.run(ctx, id) }()
	until(t, "the run to wait for the load", func() bool {
		return w.count(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
			AND query LIKE '%UPDATE headwater.run SET state = ''running''%'`) > 0
	})
	if r := w.get(t, id); r.State != Queued {
		t.Errorf("found the run %s, expected it queued until the load has committed", r.State)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-ran; err != nil || w.get(t, id).State != Published {
		t.Errorf("found %v and the run %s", err, w.get(t, id).State)
	}
}
