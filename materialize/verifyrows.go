package materialize

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
)

// A run that is computed again goes without the rows that it went without when it was made: as of its plan, and by the times that its loads
// were committed at. Nothing is set aside for that, and no check has a result.

// leavingOut are the expectations that leave rows out.
func leavingOut(list []feature.Expectation) []feature.Expectation {
	return slices.DeleteFunc(slices.Clone(list), func(e feature.Expectation) bool { return !e.LeavesOut() })
}

// leaveOutAgain says which rows of a source a run that is computed again goes without.
func leaveOutAgain(ctx context.Context, tx pgx.Tx, t *offline.Transform, in *offline.Input, read offline.Spans, run int64) (*offline.LeftOut, error) {
	src := *in.Source
	src.Expectations = leavingOut(src.Expectations)
	outcome, err := holdSource(ctx, tx, holdingOf(t, run), in, &src, read)
	if err != nil || outcome == nil {
		return nil, err
	}
	for _, result := range outcome.Results {
		if result.State == quality.Errored {
			return nil, fault.New(fault.RunRefused, "view %s: source %s: expectation %s cannot be looked at any more: %s; the run left rows out by it",
				t.View.Ref(), src.Name, result.Name, result.Found)
		}
	}
	return leftOutBy(outcome), nil
}

// screenAgain makes the screen of a view's output for a run that is computed again. nil: every row is in the history.
func screenAgain(view *feature.ViewVersion, now feature.Time) (func() *offline.Screen, error) {
	list := leavingOut(view.Expectations)
	conditions, err := quality.Conditions(list, view.OutputColumns(view.EntityVersion.JoinKeys))
	if err != nil || len(conditions) == 0 {
		return nil, err
	}
	return func() *offline.Screen {
		found, evaluate := &offline.Screened{}, quality.Evaluator(conditions, now)
		return &offline.Screen{
			Keep: func(_ *feature.Row, values []feature.Value) (bool, error) {
				var failed []*feature.Expectation
				for _, i := range evaluate(values) {
					failed = append(failed, conditions[i].Expectation)
				}
				quarantined, dropped := deciding(failed)
				switch {
				case quarantined != "":
					found.Add(&offline.Screened{Quarantined: []offline.Reason{{Reason: quarantined, Rows: 1}}})
				case dropped != "":
					found.Add(&offline.Screened{Dropped: []offline.Reason{{Reason: dropped, Rows: 1}}})
				}
				return quarantined == "" && dropped == "", nil
			},
			End: func(context.Context, pgx.Tx, offline.Spans) (*offline.Screened, error) { return found, nil },
		}
	}, nil
}

// compareLeftOut says by which expectations others were left out than by the run: it may be why the output is another one.
func compareLeftOut(v *Verification, t *offline.Transform, screened *offline.Screened) {
	now := &Run{}
	now.Reasons, _ = byExpectations(t)
	now.countScreened(screened)
	rows := func(list []LedgerReason, of LedgerReason) (n int64) {
		for _, r := range list {
			if r.Bucket == of.Bucket && r.Reason == of.Reason {
				n += r.Rows
			}
		}
		return n
	}
	compare := func(list []feature.Expectation, quarantined, dropped string) {
		for _, e := range leavingOut(list) {
			reason := LedgerReason{Bucket: quarantined, Reason: e.Name}
			if e.OnFailure == feature.DropRow {
				reason.Bucket = dropped
			}
			if was, is := rows(v.Run.Reasons, reason), rows(now.Reasons, reason); was != is {
				v.detail("%s by %s: %d rows now, %d in the run", reason.Bucket, reason.Reason, is, was)
			}
		}
	}
	for _, in := range t.Inputs {
		compare(in.Source.Expectations, "quarantined", "dropped")
	}
	compare(t.View.Expectations, "output_quarantined", "output_dropped")
}
