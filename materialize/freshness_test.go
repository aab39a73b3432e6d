package materialize

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
)

// newest is the newest event time online that is noted of a view, and the run that is; "" and 0 for none.
func (w *world) newest(t testing.TB, v *feature.ViewVersion) (at string, seq int64) {
	t.Helper()
	all, err := OnlineFreshness(context.Background(), w.pool)
	if err != nil {
		t.Fatal(err)
	}
	f := all[v.ID]
	if f.Newest != nil {
		at = f.Newest.String()
	}
	if (f.PublishedAt == nil) != (f.LoadedSeq == 0) {
		t.Errorf("found run %d published at %v", f.LoadedSeq, f.PublishedAt)
	}
	return at, f.LoadedSeq
}

func (w *world) wantNewest(t testing.TB, v *feature.ViewVersion, when string, at feature.Time, seq int64) {
	t.Helper()
	if found, run := w.newest(t, v); found != at.String() || run != seq {
		t.Errorf("%s: found the newest event time %q and run %d, expected %s and %d", when, found, run, at, seq)
	}
}

// What is noted is the newest event time that is online: not one that is yet to count, and not one that is gone.
func TestTheNewestEventTimeOnlineIsNoted(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	w.at(hours(10))
	if at, seq := w.newest(t, view); at != "" || seq != 0 {
		t.Errorf("found %q and run %d before any run", at, seq)
	}
	old := w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("a", 1, hours(12), 2))
	w.published(t, view, nil)
	w.wantNewest(t, view, "with a row of two hours later", hours(1), 1)

	w.load(t, src, 0, reading("b", 1, hours(3), 1))
	r := w.run(t, view, nil)
	w.wantNewest(t, view, "before the load", hours(1), 1)
	w.failAt(stepLoadDone, 1)
	if err := w.m.loader.load(ctx, r.ID); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	w.wantNewest(t, view, "when the load broke off", hours(1), 1)
	w.steady()
	if err := w.m.loader.load(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	w.wantNewest(t, view, "when the load that broke off has ended", hours(3), 2)
	w.published(t, view, nil)
	w.wantNewest(t, view, "after a run that changed nothing", hours(3), 3)
	w.at(hours(12))
	w.loadDue(t)
	w.wantNewest(t, view, "two hours later", hours(12), 3)

	// The newest is withdrawn, while an earlier run is still to be loaded.
	w.load(t, src, 0, reading("c", 1, hours(4), 1))
	waits := w.run(t, view, nil)
	w.load(t, src, old, reading("a", 1, hours(2), 1))
	withdraws := w.run(t, view, nil)
	if err := w.m.loader.load(ctx, withdraws.ID); err != nil {
		t.Fatal(err)
	}
	w.wantNewest(t, view, "while a run waits to be loaded", hours(12), 5)
	if err := w.m.loader.load(ctx, waits.ID); err != nil {
		t.Fatal(err)
	}
	w.wantNewest(t, view, "when all is loaded", hours(4), 5)

	if _, err := w.pool.Exec(ctx, `UPDATE headwater.online_freshness SET newest = NULL, exact = false`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.m.loader.rebuild(ctx, view); err != nil {
		t.Fatal(err)
	}
	w.wantNewest(t, view, "after a rebuild", hours(4), 5)
}

func TestAViewIsLate(t *testing.T) {
	at := feature.TimeOf(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))
	declared := &feature.ViewFreshness{MaxAge: time.Hour}
	for _, c := range []struct {
		newest   *feature.Time
		declared *feature.ViewFreshness
		after    time.Duration
		late     bool
	}{
		{&at, declared, time.Hour, false}, {&at, declared, time.Hour + time.Microsecond, true}, {&at, declared, -time.Hour, false},
		{nil, declared, 0, true}, {&at, nil, 100 * time.Hour, false}, {nil, nil, 0, false},
	} {
		f := &Freshness{Newest: c.newest}
		if late := f.IsLate(c.declared, at.Add(c.after)); late != c.late {
			t.Errorf("%v after %s: found late %t", c.declared, c.after, late)
		}
	}
}
