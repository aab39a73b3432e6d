package server

import (
	"context"

	"google.golang.org/grpc"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
)

// VerifyRuns computes runs again one after the other, and sends what came of each when it is known.
func (s *materializationService) VerifyRuns(req *headwaterv1.VerifyRunsRequest, stream grpc.ServerStreamingServer[headwaterv1.VerifyRunsResponse]) error {
	ctx := stream.Context()
	runs, err := s.runsToVerify(ctx, req)
	if err != nil {
		return err
	}
	for _, id := range runs {
		select {
		case <-s.closing:
			return fault.New(fault.ServerUnavailable, "the server stops; ask again when it or another is there")
		default:
		}
		r, err := materialize.Get(ctx, s.pool, id)
		if err != nil {
			return err
		}
		v, err := s.materializer.Verify(ctx, r)
		if err != nil {
			return err
		}
		run, err := runFor(ctx, s.registry.Catalog(), r)
		if err != nil {
			return err
		}
		sent := &headwaterv1.VerifyRunsResponse{
			Run: run, Verdict: verdicts[v.Verdict], Details: v.Details, DurationMicros: v.Took.Microseconds(), Total: int32(len(runs)),
		}
		if v.Digest != (feature.Digest{}) {
			sent.Digest = v.Digest.String()
		}
		if err := stream.Send(sent); err != nil {
			return err
		}
	}
	return nil
}

var verdicts = map[materialize.Verdict]headwaterv1.Verdict{
	materialize.Same: headwaterv1.Verdict_VERDICT_SAME, materialize.SourceChanged: headwaterv1.Verdict_VERDICT_SOURCE_CHANGED,
	materialize.Different: headwaterv1.Verdict_VERDICT_DIFFERENT, materialize.Errored: headwaterv1.Verdict_VERDICT_ERRORED,
	materialize.Erased: headwaterv1.Verdict_VERDICT_ERASED,
}

// runsToVerify are the ids of the runs that are named, each of a view that the caller may materialize; without any, of those
// published since a time, of all such views.
func (s *materializationService) runsToVerify(ctx context.Context, req *headwaterv1.VerifyRunsRequest) ([]int64, error) {
	since := req.GetSince()
	if len(req.GetRuns()) == 0 {
		if err := access.RequireAny(ctx, access.ActionMaterialize, access.KindView); err != nil {
			return nil, err
		}
	}
	switch {
	case since != nil && !since.IsValid():
		return nil, errNoTime("since")
	case since == nil && len(req.GetRuns()) == 0:
		return nil, fault.New(fault.InvalidArgument, "runs: found none, and no time; name runs, or give since")
	case since != nil && len(req.GetRuns()) > 0:
		return nil, fault.New(fault.InvalidArgument, "runs: found runs and a time, expected one of them")
	case since != nil:
		views, err := access.Filter(ctx, access.ActionMaterialize, access.KindView, s.registry.Catalog().Views(),
			func(v *feature.ViewVersion) string { return v.Name })
		if err != nil {
			return nil, err
		}
		names := []string{}
		for _, v := range views {
			names = append(names, v.Name)
		}
		return materialize.PublishedSince(ctx, s.pool, since.AsTime(), names)
	}
	var ids []int64
	for _, ref := range req.GetRuns() {
		r, err := materialize.Find(ctx, s.pool, ref)
		if err != nil {
			return nil, missing(ctx, access.ActionMaterialize, access.KindView, err)
		}
		none := fault.New(fault.NotFound, "there is no run %s; `headwater runs list` shows those there are", ref)
		if err := requireOr(ctx, access.ActionMaterialize, access.KindView, r.View, none); err != nil {
			return nil, err
		}
		ids = append(ids, r.ID)
	}
	return ids, nil
}
