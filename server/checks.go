package server

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
	"github.com/headwaterhq/headwater/registry"
)

// runWithChecks is runFor with what the run's checks found, those that failed first.
func runWithChecks(ctx context.Context, catalog *registry.Catalog, r *materialize.Run) (*headwaterv1.Run, error) {
	out, err := runFor(ctx, catalog, r)
	if err != nil {
		return nil, err
	}
	given := map[string]int64{}
	for _, c := range r.Checks {
		check, err := checkOf(ctx, r.View, &c)
		if err != nil {
			return nil, err
		}
		given[c.Subject] += int64(len(check.Examples))
		out.Checks = append(out.Checks, check)
	}
	if err := recordShown(ctx, catalog, r.View, r.ViewVersion, given); err != nil {
		return nil, err
	}
	if out.Drift, err = driftOf(ctx, catalog, r); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out.Checks, func(a, b *headwaterv1.Check) int { return badness(b.GetState()) - badness(a.GetState()) })
	return out, nil
}

// driftOf is what a run's drift came to: verdicts for who may list it, distances for who may read all rows of the view.
func driftOf(ctx context.Context, catalog *registry.Catalog, r *materialize.Run) (*headwaterv1.RunDrift, error) {
	if r.Drift == nil {
		return nil, nil
	}
	view, err := catalog.PastView(fmt.Sprintf("%s@%d", r.View, r.ViewVersion))
	if err != nil {
		return nil, err
	}
	whole := access.AllowsRows(ctx, access.KindView, r.View) && access.AllowsWholeView(ctx, access.ActionReadOffline, view)
	out := &headwaterv1.RunDrift{Verdict: verdictOf(r.Drift.Verdict), Baseline: r.Drift.Baseline}
	for _, c := range r.Drift.Columns {
		column := &headwaterv1.ColumnVerdict{Name: c.Name, Verdict: verdictOf(c.Verdict)}
		if whole {
			column.Psi, column.PsiFloor, column.Reason = c.PSI, c.Floor, c.Reason
		}
		out.Columns = append(out.Columns, column)
	}
	return out, nil
}

func verdictOf(v drift.Verdict) headwaterv1.DriftVerdict {
	return headwaterv1.DriftVerdict(headwaterv1.DriftVerdict_value["DRIFT_VERDICT_"+string(v)])
}

func badness(s headwaterv1.CheckState) int {
	switch s {
	case headwaterv1.CheckState_CHECK_STATE_ERRORED, headwaterv1.CheckState_CHECK_STATE_FAILED:
		return 2
	case headwaterv1.CheckState_CHECK_STATE_WARNED:
		return 1
	}
	return 0
}

// checkOf is a result as the caller may see it: keys of rows are for who may read them.
func checkOf(ctx context.Context, view string, r *quality.Result) (*headwaterv1.Check, error) {
	out := &headwaterv1.Check{
		Name: r.Name, Subject: r.Subject, Expected: r.Expected, Found: r.Found, Where: r.Look, RowsFailed: r.RowsFailed,
		Action: r.Action, Metric: r.Metric,
		State: headwaterv1.CheckState(headwaterv1.CheckState_value["CHECK_STATE_"+string(r.State)]),
	}
	if len(r.Examples) == 0 {
		return out, nil
	}
	kind, name := subjectResource(view, r.Subject)
	if !access.AllowsRows(ctx, kind, name) {
		out.ExamplesHidden = int32(len(r.Examples))
		return out, nil
	}
	if err := access.RequireRows(ctx, kind, name); err != nil {
		return nil, err
	}
	for _, e := range r.Examples {
		out.Examples = append(out.Examples, e.String())
	}
	return out, nil
}

// subjectResource is what a caller must be allowed to read to see rows of a check's subject.
func subjectResource(view, subject string) (access.Kind, string) {
	if source, ok := quality.SourceOf(subject); ok {
		return access.KindSource, source
	}
	return access.KindView, view
}

// ListCheckResults is decided on by the guard, by the view's name.
func (s *materializationService) ListCheckResults(ctx context.Context, req *headwaterv1.ListCheckResultsRequest) (*headwaterv1.ListCheckResultsResponse, error) {
	view, err := s.registry.Catalog().PastView(req.GetView())
	if err != nil {
		return nil, err
	}
	version := 0
	if view.Ref() == req.GetView() {
		version = view.Version
	}
	limit := int(req.GetPageSize())
	if limit == 0 {
		limit = defaultRunPage
	}
	history, err := quality.History(ctx, s.pool, view.Name, version, req.GetCheck(), req.GetBeforeId(), limit)
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.ListCheckResultsResponse{}
	given := map[string]int64{}
	for i := range history {
		past := &history[i]
		check, err := checkOf(ctx, view.Name, &past.Result)
		if err != nil {
			return nil, err
		}
		given[past.Subject] += int64(len(check.Examples))
		resp.Results = append(resp.Results, &headwaterv1.CheckResult{
			RunId: past.Run, Run: past.Ref, Time: timestamppb.New(past.Time), Check: check, RunState: runStates[materialize.State(past.RunState)],
		})
	}
	return resp, recordShown(ctx, s.registry.Catalog(), view.Name, view.Version, given)
}
