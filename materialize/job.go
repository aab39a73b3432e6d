package materialize

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// Trigger is why there is a run.
type Trigger string

const (
	// ByRequest: someone asked for it. Also the zero Trigger.
	ByRequest  Trigger = "request"
	BySchedule Trigger = "schedule"
	// ByInputs: a view or source that its view reads has something new.
	ByInputs Trigger = "inputs"
	// ByPush: rows were sent to a push source.
	ByPush Trigger = "push"
	// ByQuarantine: quarantined rows are tried again.
	ByQuarantine Trigger = "quarantine"
)

// Job is how a run is queued and tried.
type Job struct {
	Trigger Trigger
	// Priority is 1 for those that begin first, to 4.
	Priority int
	// Attempt is the one under way, or the last one. Attempts is how many there may be.
	Attempt, Attempts int
	// NotBefore is when a queued run is tried again, nil for at once.
	NotBefore *time.Time
	// WaitsFor is what a queued run waits for, in words. Empty: for a worker.
	WaitsFor string
	// CancelRequestedAt is when it was asked to end, by CancelledBy for CancelReason. nil: it was not.
	CancelRequestedAt         *time.Time
	CancelledBy, CancelReason string
	// Progress is nil unless somebody works on the run or its online load, and has told.
	Progress *Progress
}

// selectJobs tells of what a run waits for by the runs it waits on: the one of its view version that has begun, and the
// older ones of views that it reads.
const selectJobs = `
	SELECT r.id, r.trigger, r.priority, r.attempt, r.attempts, r.not_before, r.cancel_requested_at, coalesce(r.cancelled_by, ''),
		coalesce(r.cancel_reason, ''),
		CASE WHEN r.state = 'queued' THEN (
			SELECT coalesce(array_agg(d.name || '@' || d.version || coalesce('/' || w.seq, '') || ' (id ' || w.id || ')' ORDER BY w.id), '{}')
			FROM headwater.run w JOIN headwater.definition d ON d.id = w.view_id
			WHERE w.view_id = ANY (r.reads_views) AND w.id < r.id AND w.state IN ('queued', 'running')) END,
		CASE WHEN r.state = 'queued' THEN (
			SELECT d.name || '@' || d.version || coalesce('/' || w.seq, '') || ' (id ' || w.id || ')'
			FROM headwater.run w JOIN headwater.definition d ON d.id = w.view_id
			WHERE w.view_id = r.view_id AND w.id <> r.id AND w.seq IS NOT NULL AND w.state IN ('queued', 'running') LIMIT 1) END,
		p.phase, p.rows_done, p.rows_total, p.chunks_done, p.chunks_total, p.updated_at, clock_timestamp()
	FROM headwater.run r
		LEFT JOIN headwater.run_progress p ON p.run_id = r.id AND (r.state = 'running' OR r.online_state = 'pending')
			AND p.updated_at >= coalesce(r.ended_at, r.started_at)
	WHERE r.id = ANY ($1)`

// readJobs fills in Job of runs.
func readJobs(ctx context.Context, q database.Querier, runs []*Run) error {
	ids, byID := make([]int64, len(runs)), map[int64]*Run{}
	for i, r := range runs {
		ids[i], byID[r.ID] = r.ID, r
	}
	rows, err := q.Query(ctx, selectJobs, ids)
	if err != nil {
		return err
	}
	var id int64
	var j Job
	var inputs []string
	var holder, phase *string
	var done, total *int64
	var chunks, chunksTotal *int
	var updated *time.Time
	var now time.Time
	_, err = pgx.ForEachRow(rows, []any{
		&id, &j.Trigger, &j.Priority, &j.Attempt, &j.Attempts, &j.NotBefore, &j.CancelRequestedAt, &j.CancelledBy, &j.CancelReason,
		&inputs, &holder, &phase, &done, &total, &chunks, &chunksTotal, &updated, &now,
	}, func() error {
		j.Progress = nil
		if phase != nil {
			j.Progress = &Progress{
				Phase: *phase, RowsDone: *done, RowsTotal: *total, ChunksDone: *chunks, ChunksTotal: *chunksTotal, UpdatedAt: *updated,
			}
		}
		r := byID[id]
		r.Job = j
		if r.State == Queued {
			r.WaitsFor = waitsFor(&j, inputs, holder, now)
		}
		return nil
	})
	return err
}

// maxNamed is how many of the runs that a run waits for are named.
const maxNamed = 3

func waitsFor(j *Job, inputs []string, holder *string, now time.Time) string {
	var reasons []string
	if j.NotBefore != nil && j.NotBefore.After(now) {
		reasons = append(reasons, fmt.Sprintf("its attempt %d of %d, at %s", j.Attempt+1, j.Attempts, feature.TimeOf(*j.NotBefore)))
	}
	if len(inputs) > 0 {
		more := ""
		if len(inputs) > maxNamed {
			more = fmt.Sprintf(" and %d more", len(inputs)-maxNamed)
			inputs = inputs[:maxNamed]
		}
		reasons = append(reasons, "runs of views that it reads: "+strings.Join(inputs, ", ")+more)
	}
	if holder != nil {
		reasons = append(reasons, "run "+*holder+" of the same view, which has begun")
	}
	return strings.Join(reasons, "; ")
}
