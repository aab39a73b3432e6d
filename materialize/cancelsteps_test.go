package materialize

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// wantTooLate holds the error of cancelling a run that was published to what it is to say.
func wantTooLate(t *testing.T, err error) {
	t.Helper()
	if f := fault.As(err); f == nil || f.Reason != fault.FailedPrecondition || !strings.Contains(f.Error(), "is published, expected one that has not ended") {
		t.Errorf("found %v, expected to be told that the run is published", err)
	}
}

// blocked reports whether a statement on a run's row waits for another transaction.
func (w *world) blocked(t *testing.T) bool {
	t.Helper()
	return w.count(t, `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%headwater.run WHERE id = $1 FOR NO KEY UPDATE%'`) > 0
}

// left is what runs leave in the tables beside the history.
func (w *world) left(t *testing.T) string {
	t.Helper()
	text := ""
	for _, table := range []string{"run_chunk", "run_progress", "run_input", "run_load", "quarantine_run", "quarantined_row", "check_result", "publish_log"} {
		text += fmt.Sprintf(" %s %d", table, w.count(t, "SELECT count(*) FROM headwater."+table))
	}
	return text
}

// A run that is cancelled at a step, whether its work is broken off there or it finds out itself when it is to be published, ends
// cancelled and leaves nothing; from the moment on that its publication holds its row, it is published, and who cancels is told.
func TestCancellingAtEachStep(t *testing.T) {
	whole := []string{stepBegun, stepPlanned, stepRead, stepWritten, stepPublishing, stepPublished, stepLoadBegun, stepLoadBatch, stepLoadDone}
	cut := []string{stepBegun, stepPlanned, stepRead, stepCut, stepChunk, stepChunkWritten, stepChunkDone, stepChunksDone, stepWritten, stepPublishing, stepPublished}
	for chunkRows, steps := range map[int64][]string{0: whole, 6: cut} {
		w := newChunkedWorld(t, chunkRows)
		for _, step := range steps {
			for _, first := range []bool{true, false} {
				name := fmt.Sprintf("%s, chunks of %d, first run %t", step, chunkRows, first)
				// Those that are broken off are first runs of several chunks and later ones of one.
				t.Run(name, func(t *testing.T) { w.cancelAt(t, step, first, first == (chunkRows > 0)) })
			}
		}
	}
}

func (w *world) cancelAt(t *testing.T, step string, first, brokenOff bool) {
	src := w.newSource(t)
	v := w.newView(t, src, latest, 0)
	all := 1.0
	v.MaxQuarantineRatio = &all
	v.Expectations = named(feature.Expectation{Kind: feature.ExpectRange, Column: "value", Max: 1000.0, OnFailure: feature.QuarantineRow})
	rows := append(manyReadings(0), reading("bad", 1, hours(3), 5000))
	load := w.load(t, src, 0, rows...)
	if !first {
		w.published(t, v, nil)
		w.load(t, src, load, append(manyReadings(100), reading("bad", 1, hours(3), 6000))...)
	}
	before, left := describe(w.history(t, v)), w.left(t)
	r := w.enqueue(t, v, nil)
	var once sync.Once
	var err error
	var asked sync.WaitGroup
	w.reached = func(at string) error {
		if at != step {
			return nil
		}
		once.Do(func() {
			asked.Go(func() { err = w.m.Cancel(context.Background(), []int64{r.ID}, "ann", "at a step") })
			if step == stepPublishing {
				until(t, "the cancelling to wait for the publication", func() bool { return w.blocked(t) })
				return
			}
			asked.Wait()
			if brokenOff {
				err = errors.Join(err, w.m.cancelAsked(context.Background()))
			}
		})
		return nil
	}
	defer func() { w.reached = func(string) error { return nil } }()
	ran := w.m.runner.run(context.Background(), r.ID)
	if now := w.get(t, r.ID); ran == nil && now.State == Published {
		ran = w.m.loader.load(context.Background(), r.ID)
	}
	asked.Wait()
	if ran != nil {
		t.Errorf("the run ended with %v", ran)
	}
	now := w.get(t, r.ID)
	switch step {
	case stepPublishing, stepPublished, stepLoadBegun, stepLoadBatch, stepLoadDone:
		wantTooLate(t, err)
		if now.State != Published || now.OnlineState != OnlineLoaded || now.CancelRequestedAt != nil || now.CancelledBy != "" {
			t.Errorf("found the run %s, %s, cancelled by %q, expected it published as if nobody had cancelled it", now.State, now.OnlineState, now.CancelledBy)
		}
	default:
		if err != nil {
			t.Errorf("cancelling: %v", err)
		}
		if now.State != Cancelled || now.Error != "cancelled by ann: at a step" || now.EndedAt == nil || now.Progress != nil {
			t.Errorf("found the run %s: %q, expected it cancelled", now.State, now.Error)
		}
		if after := describe(w.history(t, v)); after != before {
			t.Errorf("found the history\n%s\nexpected\n%s", after, before)
		}
		if after := w.left(t); after != left {
			t.Errorf("found%s\nexpected%s", after, left)
		}
	}
	w.wantNoStaging(t)
	w.reached = func(string) error { return nil }
	// The lease is free, and the next run does what this one would have.
	if again := w.published(t, v, nil); again.Ledger.OutputQuarantined != 1 {
		t.Errorf("found %+v, expected the next run to set a row aside", again.Ledger)
	}
}

// A cancelling and a publication of one run, from two connections at once: one of them wins, the other is told so, and the record,
// the history, the messages and the audit say which.
func TestCancellingRacesWithPublishing(t *testing.T) {
	w := newWorld(t)
	audited := map[State]int{}
	w.audit = func(r *Run) error {
		// The publication's is made before it is known to be one.
		if r.State == Cancelled {
			audited[Cancelled]++
		}
		return nil
	}
	src := w.newSource(t)
	v := w.newView(t, src, latest, 0)
	won := map[State]int{}
	load := w.load(t, src, 0, reading("a", 1, hours(1), 0))
	w.published(t, v, nil)
	for i := range 20 {
		load = w.load(t, src, load, reading("a", 1, hours(1), float64(i+1)))
		before := describe(w.history(t, v))
		r := w.enqueue(t, v, nil)
		var err error
		var cancelling sync.WaitGroup
		// It is let go before the publication begins, or when all of it is written.
		from := []string{stepWritten, stepPublishing}[i%2]
		w.reached = func(at string) error {
			if at == from {
				cancelling.Go(func() { err = w.m.Cancel(context.Background(), []int64{r.ID}, "ann", "") })
			}
			return nil
		}
		ran := w.m.runner.run(context.Background(), r.ID)
		cancelling.Wait()
		if ran != nil {
			t.Fatal(ran)
		}
		now := w.get(t, r.ID)
		won[now.State]++
		published := w.count(t, `SELECT count(*) FROM headwater.outbox WHERE topic = 'run.published' AND payload->>'run_id' = $1`, fmt.Sprint(r.ID))
		cancelled := w.count(t, `SELECT count(*) FROM headwater.outbox WHERE topic = 'run.cancelled' AND payload->>'run_id' = $1`, fmt.Sprint(r.ID))
		positions := w.count(t, `SELECT count(*) FROM headwater.publish_log WHERE run_id = $1`, r.ID)
		changed := describe(w.history(t, v)) != before
		switch now.State {
		case Published:
			wantTooLate(t, err)
			if published != 1 || cancelled != 0 || positions != 1 || !changed || now.CancelRequestedAt != nil {
				t.Errorf("a published run: found %d and %d messages, %d positions, the history changed %t, cancelled at %v", published, cancelled,
					positions, changed, now.CancelRequestedAt)
			}
		case Cancelled:
			if err != nil || published != 0 || cancelled != 1 || positions != 0 || changed || now.CancelledBy != "ann" || now.Position != 0 {
				t.Errorf("a cancelled run: found %v, %d and %d messages, %d positions, the history changed %t, cancelled by %q", err, published,
					cancelled, positions, changed, now.CancelledBy)
			}
		default:
			t.Errorf("found the run %s: %s", now.State, now.Error)
		}
	}
	if won[Published] < 10 || audited[Cancelled] != won[Cancelled] {
		t.Errorf("found %v and %d cancellings audited, expected those let go last to have come too late, and each other one on record", won, audited[Cancelled])
	}
}
