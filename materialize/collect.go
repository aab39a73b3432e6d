package materialize

import (
	"context"
	"fmt"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
)

// Collect deletes the rows of a view version's history that ended before a time and that no dataset reads, under the version's
// lease: it waits for a run that is at work, and runs wait for it.
func (m *Materializer) Collect(ctx context.Context, view *feature.ViewVersion, before time.Time, dryRun bool) (*offline.Collected, error) {
	rn := m.runner
	if dryRun {
		horizon, err := offline.HorizonAt(ctx, rn.pool, view.ID, before)
		if err != nil {
			return nil, err
		}
		return offline.CountCollectable(ctx, rn.pool, view, horizon)
	}
	conn, err := connect(ctx, rn.pool)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	l, err := awaitLease(ctx, conn, view)
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.release(ctx) }()
	horizon, err := offline.HorizonAt(ctx, conn, view.ID, before)
	if err != nil {
		return nil, err
	}
	if horizon == 0 {
		return &offline.Collected{View: view}, nil
	}
	return offline.Collect(ctx, conn, view, horizon, l.fence)
}

// collected refuses to verify a run that needs what was collected: rows that the history showed at the run's sequence, those that
// a view of windows went on from, or those of a view that the run read.
func (rn *runner) collected(ctx context.Context, r *Run, view *feature.ViewVersion) error {
	needs := []offline.AsOf{{View: view, Seq: r.Seq}}
	if view.Aggregation != nil {
		needs = append(needs, offline.AsOf{View: view, Seq: r.Plan.After})
	}
	for _, in := range view.ViewVersions {
		needs = append(needs, offline.AsOf{View: in, Seq: r.Plan.Marks.Views[in.ID]})
	}
	for _, need := range needs {
		ok, horizon, err := offline.Readable(ctx, rn.pool, need.View.ID, need.Seq, false)
		if err != nil {
			return err
		}
		if !ok {
			return fault.New(fault.FailedPrecondition, "run %s needs the history of view %s as of run %s, and what is before run %s was collected; "+
				"only runs that need nothing before it can be verified", r.Ref(), need.View.Ref(),
				fmt.Sprintf("%s/%d", need.View.Ref(), need.Seq), fmt.Sprintf("%s/%d", need.View.Ref(), horizon))
		}
	}
	return nil
}
