package materialize

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// runsOf is the runs of a view, oldest first.
func (w *world) runsOf(t testing.TB, v *feature.ViewVersion) []*Run {
	t.Helper()
	runs, err := List(context.Background(), w.pool, []string{v.Name}, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i, j := 0, len(runs)-1; i < j; i, j = i+1, j-1 {
		runs[i], runs[j] = runs[j], runs[i]
	}
	return runs
}

// carry carries a run to its end here.
func (w *world) carry(t testing.TB, r *Run) {
	t.Helper()
	if err := w.work(r.ID); err != nil {
		t.Fatal(err)
	}
	if r = w.get(t, r.ID); r.State != Published {
		t.Fatalf("found run %d %s (%s), expected it published", r.ID, r.State, r.Error)
	}
}

func TestServersQueueOneRunForATick(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	v := w.newView(t, src, latest, 0)
	v.Schedule = &feature.Schedule{Cron: "0 * * * *"}
	asked := w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	servers := []*Materializer{w.m, w.materializer(t), w.materializer(t)}
	tick := func(expected int) {
		t.Helper()
		var together sync.WaitGroup
		for _, m := range servers {
			together.Go(func() {
				if err := m.tick(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		together.Wait()
		if n := len(w.runsOf(t, v)); n != expected {
			t.Fatalf("at %s: found %d runs, expected %d", w.now, n, expected)
		}
	}
	w.now = time.Date(2024, 6, 1, 10, 20, 0, 0, time.UTC)
	tick(0)
	w.now = time.Date(2024, 6, 1, 10, 59, 59, 0, time.UTC)
	tick(0)
	w.now = time.Date(2024, 6, 1, 11, 0, 0, 0, time.UTC)
	tick(1)
	tick(1)
	r := w.runsOf(t, v)[0]
	if r.Trigger != BySchedule || r.Principal != ScheduleInvoker || r.Scope != "incremental" {
		t.Errorf("found a run by %s of %s, %s, expected an incremental one by schedule", r.Trigger, r.Principal, r.Scope)
	}
	// The run that waits will see what there is then.
	w.now = w.now.Add(time.Hour)
	tick(1)
	w.carry(t, r)
	tick(1)
	// Nobody was there for days.
	servers = []*Materializer{w.materializer(t), w.materializer(t)}
	w.now = w.now.Add(75 * time.Hour)
	tick(2)
	tick(2)
	// One that is at work has decided what it reads.
	w.reached = func(step string) error {
		if step == stepPlanned {
			w.now = w.now.Add(time.Hour)
			tick(3)
		}
		return nil
	}
	if err := w.work(w.runsOf(t, v)[1].ID); err != nil {
		t.Fatal(err)
	}
	if n := len(w.runsOf(t, asked)); n != 0 {
		t.Errorf("found %d runs of a view without a schedule, expected none", n)
	}
}

// changed is what a server does in the transaction of a load.
func (w *world) changed(t testing.TB, src *feature.SourceVersion) (ids []int64) {
	t.Helper()
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) (err error) {
		ids, err = w.m.SourceChanged(ctx, tx, src.Name, nil, "ann")
		return err
	})
	return ids
}

func TestViewsRunAfterWhatTheyRead(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	base := w.newView(t, src, latest, 0)
	left, right := w.newViewOver(t, base, same, 0, 0), w.newViewOver(t, base, same, 0, 0)
	top := w.newViewOver(t, left, same, 0, 0)
	top.ViewVersions = append(top.ViewVersions, right)
	aside := w.newViewOver(t, base, same, 0, 0)
	for _, v := range []*feature.ViewVersion{base, left, right, top} {
		v.Schedule = &feature.Schedule{AfterInputs: true}
	}
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	if ids := w.changed(t, src); len(ids) != 1 {
		t.Fatalf("found the runs %v, expected one of the view that reads the source", ids)
	}
	if ids := w.changed(t, src); len(ids) != 0 {
		t.Errorf("found the runs %v, expected the one that waits to see both loads", ids)
	}
	r := w.runsOf(t, base)
	if len(r) != 1 || r[0].Trigger != ByInputs {
		t.Fatalf("found %d runs, expected one after its inputs", len(r))
	}
	w.carry(t, r[0])
	if l, r := w.runsOf(t, left), w.runsOf(t, right); len(l) != 1 || len(r) != 1 || len(w.runsOf(t, top)) != 0 {
		t.Fatalf("found %d, %d and %d runs, expected one of each view that reads it, and none yet of what reads those",
			len(l), len(r), len(w.runsOf(t, top)))
	}
	w.carry(t, w.runsOf(t, left)[0])
	last := w.runsOf(t, top)
	if len(last) != 1 {
		t.Fatalf("found %d runs, expected one", len(last))
	}
	waits := w.get(t, last[0].ID).WaitsFor
	if want := "runs of views that it reads: " + right.Name + "@1 (id "; len(waits) < len(want) || waits[:len(want)] != want {
		t.Errorf("found that it waits for %q, expected %q", waits, want)
	}
	w.carry(t, w.runsOf(t, right)[0])
	if n := len(w.runsOf(t, top)); n != 1 {
		t.Errorf("found %d runs, expected the one that waits to see both", n)
	}
	w.carry(t, last[0])
	if n := len(w.runsOf(t, aside)); n != 0 {
		t.Errorf("found %d runs of a view that is not to run after its inputs, expected none", n)
	}
	// A run that writes nothing is no news.
	w.run(t, base, nil)
	if n := len(w.runsOf(t, left)); n != 1 {
		t.Errorf("found %d runs after one that wrote nothing, expected 1", n)
	}
}

// A load that commits while the run that waits begins is seen by it, or queues another.
func TestALoadIsNotMissedByARunThatBegins(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	v := w.newView(t, src, latest, 0)
	v.Schedule = &feature.Schedule{AfterInputs: true}
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	w.changed(t, src)
	first := w.runsOf(t, v)[0]
	begun := make(chan error, 1)
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
		if ids, err := w.m.SourceChanged(ctx, tx, src.Name, nil, "ann"); err != nil || len(ids) != 0 {
			t.Errorf("found the runs %v (%v), expected the one that waits to do", ids, err)
		}
		go func() { begun <- w.m.runner.run(context.Background(), first.ID) }()
		until(t, "the run to wait for the load", func() bool {
			return w.count(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
				AND query LIKE '%state = ''running''%'`) > 0
		})
		return nil
	})
	if err := <-begun; err != nil {
		t.Fatal(err)
	}
	if ids := w.changed(t, src); len(ids) != 1 {
		t.Errorf("found the runs %v after it had begun, expected one", ids)
	}
}
