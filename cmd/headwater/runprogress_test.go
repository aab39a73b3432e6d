package main

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func TestAWatchedRunSaysHowFarItIs(t *testing.T) {
	var p runProgress
	begin := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		after     time.Duration
		run       *headwaterv1.Run
		share     float64
		what, far string
	}{
		{0, &headwaterv1.Run{State: headwaterv1.RunState_RUN_STATE_QUEUED, WaitsFor: "run a@1/2 (id 7) of the same view, which has begun"}, -1,
			"queued, waits for run a@1/2 (id 7) of the same view, which has begun", ""},
		{0, running("plan", 0, 0, 0, 0), -1, "running, plan", ""},
		{time.Second, running("transform and write", 0, 1000, 0, 0), 0, "running, transform and write", "0 of 1000 rows"},
		{3 * time.Second, running("transform and write", 250, 1000, 0, 0), 0.25, "running, transform and write", "250 of 1000 rows, 125 rows/s, 6s left"},
		// There turn out to be more than were expected.
		{9 * time.Second, running("transform and write", 2000, 1000, 0, 0), 2, "running, transform and write", "2000 rows, 250 rows/s"},
		{10 * time.Second, running("chunks", 0, 0, 2, 10), 0.2, "running, chunks", "chunk 2 of 10"},
		{20 * time.Second, running("chunks", 500, 0, 4, 10), 0.4, "running, chunks", "500 rows, 50 rows/s, chunk 4 of 10, 30s left"},
		{21 * time.Second, &headwaterv1.Run{State: headwaterv1.RunState_RUN_STATE_RUNNING, CancelRequestedAt: timestamppb.Now()}, -1,
			"running, is being cancelled", ""},
	} {
		share, what, far := p.at(c.run, begin.Add(c.after))
		if share != c.share || what != c.what || far != c.far {
			t.Errorf("after %s: found %g, %q, %q, expected %g, %q, %q", c.after, share, what, far, c.share, c.what, c.far)
		}
	}
}

func running(phase string, rows, total int64, chunks, chunksTotal int32) *headwaterv1.Run {
	return &headwaterv1.Run{State: headwaterv1.RunState_RUN_STATE_RUNNING, Progress: &headwaterv1.Progress{
		Phase: phase, RowsDone: rows, RowsTotal: total, ChunksDone: chunks, ChunksTotal: chunksTotal,
	}}
}

func TestProgressIsALineForEachStepWhereThereIsNoTerminal(t *testing.T) {
	var out bytes.Buffer
	p := (&app{streams: streams{err: &out}}).progress("run a@1")
	p.step(-1, "queued", "")
	if out.Len() > 0 {
		t.Errorf("found %q of work that is short so far, expected nothing", &out)
	}
	p.began = p.began.Add(-plainAfter)
	for _, step := range []string{"queued", "queued", "running, plan", "running, plan", "published"} {
		p.step(-1, step, "1 row")
	}
	p.clear()
	if expected := "run a@1: queued\nrun a@1: running, plan\nrun a@1: published\n"; out.String() != expected {
		t.Errorf("found %q, expected %q", &out, expected)
	}
}
