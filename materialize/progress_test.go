package materialize

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestAReportIsReadWithTheRunUntilItHasEnded(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	v := w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("b", 1, hours(2), 1), reading("c", 1, hours(3), 1))
	r := w.enqueue(t, v, nil)
	if r.Progress != nil {
		t.Errorf("of a queued run: found progress %+v, expected none", r.Progress)
	}
	seen := map[string]Progress{}
	w.reached = func(step string) error {
		if step != stepWritten && step != stepPlanned {
			return nil
		}
		// The report is written down a moment later than it is made.
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			if now := w.get(t, r.ID); now.Progress != nil && (step == stepPlanned || now.Progress.RowsDone > 0) {
				seen[step] = *now.Progress
				return nil
			}
		}
		return errors.New("nothing was reported")
	}
	if err := w.work(r.ID); err != nil {
		t.Fatal(err)
	}
	if p := seen[stepPlanned]; p.Phase != "plan" || p.RowsDone != 0 || p.UpdatedAt.IsZero() {
		t.Errorf("while it planned: found %+v, expected phase plan without rows", p)
	}
	if p := seen[stepWritten]; p.Phase != "transform and write" || p.RowsDone != 3 || p.RowsTotal != 3 {
		t.Errorf("when it had written: found %+v, expected 3 of 3 rows of phase transform and write", p)
	}
	if err := w.m.loader.load(context.Background(), r.ID); err != nil {
		t.Fatal(err)
	}
	if now := w.get(t, r.ID); now.Progress != nil {
		t.Errorf("of a run that has ended: found progress %+v, expected none", now.Progress)
	}
	if n := w.count(t, `SELECT count(*) FROM headwater.run_progress`); n != 0 {
		t.Errorf("found %d rows of progress, expected none once the run has ended", n)
	}
	// What a server that died left goes with the end of its run.
	w.reached = func(string) error { return nil }
	for _, end := range []func(id int64){
		func(id int64) { w.cancel(t, "ann", "", id) },
		func(id int64) {
			w.inTx(t, func(ctx context.Context, tx pgx.Tx) error { return fail(ctx, tx, w.get(t, id), "broken") })
		},
	} {
		left := w.enqueue(t, v, nil)
		w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO headwater.run_progress (run_id, phase, rows_done, rows_total, chunks_done, chunks_total, updated_at)
				VALUES ($1, 'read', 0, 0, 0, 0, now())`, left.ID)
			return err
		})
		if end(left.ID); w.count(t, `SELECT count(*) FROM headwater.run_progress`) != 0 {
			t.Errorf("found progress of a run that is %s, expected none", w.get(t, left.ID).State)
		}
	}
}

func TestAReportOfNobodyDoesNothing(t *testing.T) {
	var p *reporter
	p.Phase("plan", 1)
	p.Rows(1)
	p.Chunks(1, 2)
}
