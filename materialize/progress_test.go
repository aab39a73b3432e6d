package materialize

import (
	"context"
	"errors"
	"testing"
	"time"
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
	if err := w.m.runner.run(context.Background(), r.ID); err != nil {
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
}

func TestAReportOfNobodyDoesNothing(t *testing.T) {
	var p *reporter
	p.Phase("plan", 1)
	p.Rows(1)
	p.Chunks(1, 2)
}
