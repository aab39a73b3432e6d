package materialize

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// Stats says how reliable the runs of one view version were from a time on. Pointers are nil where there is nothing to
// measure.
type Stats struct {
	Published, Failed, Cancelled int64
	// SuccessRate is the share of published runs among those that were published or failed.
	SuccessRate *float64
	// Recover is the mean time from the first of failures in a row to the end of the next published run.
	Recover *time.Duration
	// FreshnessKept is the share of the time since the first publication during which the newest published run was as new as
	// is demanded of it.
	FreshnessKept *float64
	// Median and P95 are of the durations of published runs.
	Median, P95     *time.Duration
	LastPublishedAt *time.Time
	// Read and Quarantined are rows of published runs.
	Read, Quarantined int64
	// LastError is why the last failed run failed, with marks around what is of rows, for fault.Hidden and fault.Shown.
	LastError string
}

// Demand says what is demanded of the age of a view's newest run at an instant: that it began at the time returned, or later.
// The zero time demands nothing.
type Demand func(at time.Time) (begun time.Time)

// GetStats measures the runs of a view version that ended in [since, now).
func GetStats(ctx context.Context, q database.Querier, view *feature.ViewVersion, since, now time.Time, demand Demand) (*Stats, error) {
	rows, err := q.Query(ctx, `
		SELECT state, started_at, ended_at, rows_read, quarantined, coalesce(error, '') FROM headwater.run
		WHERE view_id = $1 AND ended_at >= $2 AND ended_at < $3 AND state IN ('published', 'failed', 'cancelled')
		ORDER BY ended_at, id`, view.ID, since, now)
	if err != nil {
		return nil, err
	}
	ended, err := pgx.CollectRows(rows, pgx.RowToStructByPos[endedRun])
	if err != nil {
		return nil, err
	}
	// The newest one from before tells how fresh the beginning was.
	rows, err = q.Query(ctx, `
		SELECT state, started_at, ended_at, rows_read, quarantined, '' FROM headwater.run
		WHERE view_id = $1 AND ended_at < $2 AND state = 'published' ORDER BY ended_at DESC LIMIT 1`, view.ID, since)
	if err != nil {
		return nil, err
	}
	before, err := pgx.CollectRows(rows, pgx.RowToStructByPos[endedRun])
	if err != nil {
		return nil, err
	}
	s := measure(ended)
	if demand != nil {
		s.FreshnessKept = freshnessKept(append(before, ended...), since, now, demand)
	}
	if s.LastPublishedAt == nil && len(before) == 1 {
		s.LastPublishedAt = &before[0].EndedAt
	}
	return s, nil
}

// endedRun is what of a run statistics are made of.
type endedRun struct {
	State             State
	StartedAt         *time.Time
	EndedAt           time.Time
	Read, Quarantined int64
	Error             string
}

// measure takes runs in the order of their ends.
func measure(ended []endedRun) *Stats {
	s := &Stats{}
	var durations []time.Duration
	var failing *time.Time
	var recoveries []time.Duration
	for i := range ended {
		r := &ended[i]
		switch r.State {
		case Published:
			s.Published++
			s.Read += r.Read
			s.Quarantined += r.Quarantined
			s.LastPublishedAt = &r.EndedAt
			if r.StartedAt != nil {
				durations = append(durations, r.EndedAt.Sub(*r.StartedAt))
			}
			if failing != nil {
				recoveries = append(recoveries, r.EndedAt.Sub(*failing))
				failing = nil
			}
		case Failed:
			s.Failed++
			s.LastError = r.Error
			if failing == nil {
				failing = &r.EndedAt
			}
		case Cancelled:
			s.Cancelled++
		}
	}
	if n := s.Published + s.Failed; n > 0 {
		rate := float64(s.Published) / float64(n)
		s.SuccessRate = &rate
	}
	if len(recoveries) > 0 {
		var sum time.Duration
		for _, d := range recoveries {
			sum += d
		}
		mean := sum / time.Duration(len(recoveries))
		s.Recover = &mean
	}
	if len(durations) > 0 {
		slices.Sort(durations)
		s.Median, s.P95 = quantile(durations, 0.5), quantile(durations, 0.95)
	}
	return s
}

// quantile is the smallest of sorted durations that at least a share q of them do not exceed.
func quantile(sorted []time.Duration, q float64) *time.Duration {
	at := int(q * float64(len(sorted)))
	if float64(at) == q*float64(len(sorted)) {
		at--
	}
	return &sorted[min(max(at, 0), len(sorted)-1)]
}

// freshnessSteps is at how many instants, evenly apart, it is asked whether a view was fresh.
const freshnessSteps = 2000

// freshnessKept is the share of [since, now) from the first publication on in which the newest of the published runs had begun
// when it was demanded, or later. runs are in the order of their ends. nil: nothing was published, or nothing demanded.
func freshnessKept(runs []endedRun, since, now time.Time, demand Demand) *float64 {
	published := slices.DeleteFunc(slices.Clone(runs), func(r endedRun) bool { return r.State != Published || r.StartedAt == nil })
	if len(published) == 0 {
		return nil
	}
	if first := published[0].EndedAt; first.After(since) {
		since = first
	}
	step := now.Sub(since) / freshnessSteps
	if step <= 0 {
		return nil
	}
	var asked, kept int
	newest := 0
	for i := range freshnessSteps {
		at := since.Add(time.Duration(i) * step)
		for newest+1 < len(published) && !published[newest+1].EndedAt.After(at) {
			newest++
		}
		begun := demand(at)
		if begun.IsZero() {
			continue
		}
		asked++
		if !published[newest].StartedAt.Before(begun) {
			kept++
		}
	}
	if asked == 0 {
		return nil
	}
	share := float64(kept) / float64(asked)
	return &share
}
