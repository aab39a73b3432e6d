package main

import (
	"time"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// runProgress makes the words and the bar of a run that is watched. Rates are those of the phase since it was first seen.
type runProgress struct {
	phase  string
	since  time.Time
	rows   int64
	chunks int32
}

// at is what to show of a run as it is now: a share from 0 to 1, negative where it is not known, what it does, and how far it is.
func (p *runProgress) at(r *headwaterv1.Run, now time.Time) (share float64, what, far string) {
	what = enumName(r.State, "RUN_STATE_")
	switch {
	case r.State == headwaterv1.RunState_RUN_STATE_QUEUED && r.WaitsFor != "":
		what += ", waits for " + r.WaitsFor
	case r.CancelRequestedAt != nil && r.EndedAt == nil:
		what += ", is being cancelled"
	}
	g := r.GetProgress()
	if g == nil {
		return -1, what, ""
	}
	if g.Phase != p.phase {
		p.phase, p.since, p.rows, p.chunks = g.Phase, now, g.RowsDone, g.ChunksDone
	}
	what += ", " + g.Phase
	share = -1
	var left time.Duration
	passed := now.Sub(p.since)
	// left is how long the rest takes at the pace of what was done since.
	pace := func(done, before, total int64) {
		share = float64(done) / float64(total)
		if done > before && done < total {
			left = time.Duration(float64(passed) / float64(done-before) * float64(total-done))
		}
	}
	if g.RowsTotal > 0 {
		pace(g.RowsDone, p.rows, g.RowsTotal)
	}
	if g.ChunksTotal > 1 {
		pace(int64(g.ChunksDone), int64(p.chunks), int64(g.ChunksTotal))
	}
	add := func(s string) {
		if far != "" {
			far += ", "
		}
		far += s
	}
	switch {
	case g.RowsTotal >= g.RowsDone && g.RowsTotal > 0:
		add(number(g.RowsDone) + " of " + number(g.RowsTotal) + " rows")
	case g.RowsDone > 0:
		add(number(g.RowsDone) + " rows")
	}
	if n := g.RowsDone - p.rows; n > 0 && passed >= time.Second {
		add(number(int64(float64(n)/passed.Seconds())) + " rows/s")
	}
	if g.ChunksTotal > 1 {
		add("chunk " + number(g.ChunksDone) + " of " + number(g.ChunksTotal))
	}
	if left >= time.Second {
		add(left.Round(time.Second).String() + " left")
	}
	return share, what, far
}
