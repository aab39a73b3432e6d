package materialize

import (
	"context"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/quality"
)

// Replay queues a run of a view version over the interval in which the rows lie that are set aside now: of those that a run looked at,
// or with run 0 of all. A FAILED_PRECONDITION fault when there are none.
func (m *Materializer) Replay(ctx context.Context, view *feature.ViewVersion, run int64, principal string) (*Run, error) {
	first, last, err := quality.Open(ctx, m.config.Pool, view.ID, run)
	if err != nil {
		return nil, err
	}
	if first == nil || last == nil {
		without, err := quality.CameWithout(ctx, m.config.Pool, view.ID, run)
		if err != nil {
			return nil, err
		}
		if without {
			return nil, fault.New(fault.FailedPrecondition, "view %s: found no rows with an event time that are set aside now, expected some to try again; "+
				"those that came without one, or without a part of their key, lie in no interval: send them again with `headwater ingest SOURCE FILE "+
				"--replaces LOAD`, and run the view", view.Ref())
		}
		return nil, fault.New(fault.FailedPrecondition, "view %s: found no rows that are set aside now, expected some to try again; "+
			"`headwater quarantine list --view %s` counts those that runs set aside", view.Ref(), view.Name)
	}
	// A row of a source touches the groups from its own to those that look back at it. One of the output, and one on the grid of
	// windows, belongs to the group before its time.
	grain := view.RunGrain()
	from := feature.TimeOf(*first).Floor(grain).Add(-grain).Time()
	to := (feature.TimeOf(*last).Add(view.Lookback) + 1).Ceil(grain).Time()
	runs, err := m.Enqueue(ctx, []Request{{View: view, From: &from, To: &to, Trigger: ByQuarantine, Principal: principal}})
	if err != nil {
		return nil, err
	}
	return runs[0], nil
}
