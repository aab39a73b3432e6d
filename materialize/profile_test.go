package materialize

import (
	"errors"
	"fmt"
	"testing"

	"github.com/headwaterhq/headwater/quality"
)

// profileOf is the digest and the rows of a run's profile.
func (w *world) profileOf(t *testing.T, r *Run) string {
	t.Helper()
	k, err := quality.RunProfile(t.Context(), w.pool, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if k == nil || k.Profile == nil {
		return "none"
	}
	return fmt.Sprintf("%s %d", k.Profile.Digest(), k.Profile.Rows())
}

// A run has a profile of its output, which is the same whether it is cut into chunks or not, and whether it was broken off.
func TestRunsAreProfiled(t *testing.T) {
	do := func(w *world, disturb func(r *Run)) string {
		src := w.newSource(t)
		view := w.newView(t, src, latest, 0)
		w.load(t, src, 0, manyReadings(0)...)
		r := w.enqueue(t, view, nil)
		disturb(r)
		if err := w.work(r.ID); err != nil {
			t.Fatal(err)
		}
		if r = w.get(t, r.ID); r.State != Published {
			t.Fatalf("found the run %s: %s", r.State, r.Error)
		}
		if n := w.count(t, `SELECT count(*) FROM headwater.run_chunk WHERE profile IS NOT NULL`); n != 0 {
			t.Errorf("found %d profiles of chunks beside that of the run", n)
		}
		return w.profileOf(t, r)
	}
	none := func(*Run) {}
	want := do(newWorld(t), none)
	if got := do(newChunkedWorld(t, 6), none); got != want || want == "none" {
		t.Errorf("found the profile %s of chunks, expected %s", got, want)
	}
	killed := newChunkedWorld(t, 6)
	got := do(killed, func(r *Run) {
		chunks := 0
		killed.reached = func(step string) error {
			if step == stepChunkDone {
				if chunks++; chunks == 3 {
					return errors.New("killed")
				}
			}
			return nil
		}
		if err := killed.work(r.ID); err == nil {
			t.Error("the run was not broken off")
		}
		killed.reached = func(string) error { return nil }
		if done, all := killed.chunksOf(t, r); done == 0 || done == all {
			t.Errorf("found %d of %d chunks done, expected some", done, all)
		}
	})
	if got != want {
		t.Errorf("found the profile %s of a run that went on, expected %s", got, want)
	}
	off := newWorld(t)
	off.m.runner.noProfiles = true
	if got := do(off, none); got != "none" {
		t.Errorf("found the profile %s where there are to be none", got)
	}
}
