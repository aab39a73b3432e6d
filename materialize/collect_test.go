package materialize

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
)

// collect collects what ended by now.
func (w *world) collect(t testing.TB, v *feature.ViewVersion) *offline.Collected {
	t.Helper()
	c, err := w.m.Collect(context.Background(), v, time.Now().Add(time.Hour), false)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// loaded says that what was published is in the online store, which these tests do not look at.
func (w *world) loaded(t testing.TB) {
	t.Helper()
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE headwater.run SET online_state = 'loaded' WHERE state = 'published'`)
		return err
	})
}

func (w *world) rows(t testing.TB, v *feature.ViewVersion) int64 {
	t.Helper()
	return w.count(t, "SELECT count(*) FROM headwater_history."+v.Name+"_v1")
}

func TestCollectedHistory(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	base := w.newView(t, src, latest, 0)
	over, windows := w.newViewOver(t, base, same, 0, 0), w.newWindowView(t, src, time.Hour)
	load := w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("b", 1, hours(2), 2), reading("c", 1, hours(30), 3))
	var runs []*Run
	run := func() {
		t.Helper()
		for _, v := range []*feature.ViewVersion{base, over, windows} {
			runs = append(runs, w.runIncremental(t, v))
		}
	}
	run()
	load = w.load(t, src, load, reading("a", 1, hours(1), 10), reading("c", 1, hours(30), 3))
	runs = append(runs, w.runIncremental(t, base))
	behind := runs[len(runs)-1]

	// What the online store has not taken stays.
	if c := w.collect(t, base); c.Horizon != 0 || c.Rows != 0 {
		t.Errorf("found %+v, expected that nothing is collected before Redis has it", *c)
	}
	w.loaded(t)
	dry, err := w.m.Collect(context.Background(), base, time.Now().Add(time.Hour), true)
	if err != nil || dry.Horizon != 2 || dry.Rows != 2 || w.rows(t, base) != 4 {
		t.Errorf("found %+v (%v) and %d rows, expected that two would be collected", *dry, err, w.rows(t, base))
	}
	if c, err := w.m.Collect(context.Background(), base, time.Now().Add(-time.Hour), false); err != nil || c.Horizon != 0 || c.Rows != 0 {
		t.Errorf("found %+v (%v), expected that nothing is so old", *c, err)
	}
	if c := w.collect(t, base); c.Horizon != 2 || c.Rows != 2 || c.Protected != 0 {
		t.Errorf("found %+v, expected that the two rows that ended went", *c)
	}
	w.wantVerdict(t, runs[0], Errored, fmt.Sprintf("run %s needs the history of view %s as of run %s/1, and what is before run %s/2 was collected; "+
		"only runs that need nothing before it can be verified", runs[0].Ref(), base.Ref(), base.Ref(), base.Ref()))
	w.wantVerdict(t, runs[1], Errored, fmt.Sprintf("run %s needs the history of view %s as of run %s/1", runs[1].Ref(), base.Ref(), base.Ref()))
	w.wantVerdict(t, behind, Same)
	w.wantVerdict(t, runs[2], Same)

	// A view that had not read what was withdrawn hears of it still.
	run()
	expectLive(t, w, over, w.live(t, base)...)
	w.loaded(t)
	for _, v := range []*feature.ViewVersion{base, over, windows} {
		w.collect(t, v)
		w.wantVerdict(t, w.published(t, v, nil), Same)
	}
	w.wantVerdict(t, runs[2], Errored, "was collected")

	// All of a history went, and it goes on.
	if _, err := offline.RetractLoad(context.Background(), w.pool, load, "wrong", "test"); err != nil {
		t.Fatal(err)
	}
	run()
	w.loaded(t)
	for _, v := range []*feature.ViewVersion{base, over, windows} {
		w.collect(t, v)
		if n := w.rows(t, v); n != 0 {
			t.Errorf("view %s: %d rows are left", v.Name, n)
		}
	}
	w.load(t, src, 0, reading("d", 1, hours(3), 4))
	run()
	expectLive(t, w, base, "d|1 03:00 known 03:00: 4 1")
	expectLive(t, w, over, "d|1 03:00 known 03:00: 4 1")
	for _, r := range runs[len(runs)-3:] {
		w.wantVerdict(t, r, Same)
	}
}

func TestACollectionWaitsForTheRun(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	v := w.newView(t, src, latest, 0)
	load := w.load(t, src, 0, reading("a", 1, hours(1), 1))
	w.runIncremental(t, v)
	w.loaded(t)
	w.load(t, src, load, reading("a", 1, hours(1), 2))
	done := make(chan *offline.Collected, 1)
	begun := false
	w.reached = func(step string) error {
		if step != stepWritten || begun {
			return nil
		}
		begun = true
		conn, err := connect(context.Background(), w.pool)
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		if l, err := tryLease(context.Background(), conn, v); err != nil || l != nil {
			t.Errorf("found the lease free (%v) while a run was at work", err)
		}
		go func() { done <- w.collect(t, v) }()
		return nil
	}
	second := w.runIncremental(t, v)
	w.reached = func(string) error { return nil }
	if c := <-done; !begun || c.Rows != 0 {
		t.Errorf("found %+v, expected that the row of the run that is not loaded stays", *c)
	}
	w.loaded(t)
	if c := w.collect(t, v); c.Rows != 1 || c.Horizon != second.Seq {
		t.Errorf("found %+v", *c)
	}
}
