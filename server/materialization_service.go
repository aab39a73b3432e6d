package server

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/registry"
)

const (
	defaultRunPage = 50
	// A watched run is looked at after watchSoon, then after twice as long as before, up to watchEvery: many runs are short.
	watchSoon  = 10 * time.Millisecond
	watchEvery = 160 * time.Millisecond
)

// materializationService queues and shows runs.
type materializationService struct {
	headwaterv1.UnimplementedMaterializationServiceServer
	registry     *registry.Registry
	pool         *pgxpool.Pool
	materializer *materialize.Materializer
	log          *slog.Logger
	// closing is closed when the server stops: watching goes on for as long as a run does.
	closing <-chan struct{}
}

func (s *materializationService) Materialize(ctx context.Context, req *headwaterv1.MaterializeRequest) (*headwaterv1.MaterializeResponse, error) {
	for field, t := range map[string]*timestamppb.Timestamp{"from": req.GetFrom(), "to": req.GetTo()} {
		if t != nil && !t.IsValid() {
			return nil, errNoTime(field)
		}
	}
	catalog := s.registry.Catalog()
	var requests []materialize.Request
	for _, ref := range req.GetViews() {
		view, err := catalog.View(ref)
		if err != nil {
			return nil, err
		}
		requests = append(requests, materialize.Request{
			View: view, From: timeOf(req.GetFrom()), To: timeOf(req.GetTo()), Full: req.GetFull(), Principal: access.PrincipalFrom(ctx).Name,
		})
	}
	runs, err := s.materializer.Enqueue(ctx, requests)
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.MaterializeResponse{}
	for _, r := range runs {
		run, err := runFor(ctx, s.registry.Catalog(), r)
		if err != nil {
			return nil, err
		}
		resp.Runs = append(resp.Runs, run)
	}
	return resp, nil
}

func (s *materializationService) ListRuns(ctx context.Context, req *headwaterv1.ListRunsRequest) (*headwaterv1.ListRunsResponse, error) {
	views, err := s.listableViews(ctx, req.GetView())
	if err != nil {
		return nil, err
	}
	limit := int(req.GetPageSize())
	if limit == 0 {
		limit = defaultRunPage
	}
	runs, err := materialize.List(ctx, s.pool, views, req.GetBeforeId(), limit)
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.ListRunsResponse{}
	for _, r := range runs {
		run, err := runFor(ctx, s.registry.Catalog(), r)
		if err != nil {
			return nil, err
		}
		resp.Runs = append(resp.Runs, run)
	}
	return resp, nil
}

// listableViews names the views of which the caller may list runs: one, or all there are.
func (s *materializationService) listableViews(ctx context.Context, one string) ([]string, error) {
	if one != "" {
		if name, _, versioned := strings.Cut(one, "@"); versioned {
			if err := access.Require(ctx, access.ActionList, access.KindView, one); err != nil {
				return nil, err
			}
			return nil, fault.New(fault.InvalidArgument, "view: found %q, expected a name without a version: the runs of all versions are "+
				"listed; ask for %q", shorten(one, maxShownName), shorten(name, maxShownName))
		}
		if err := access.Require(ctx, access.ActionList, access.KindView, one); err != nil {
			return nil, err
		}
		view, err := s.registry.Catalog().PastView(one)
		if err != nil {
			return nil, err
		}
		return []string{view.Name}, nil
	}
	views, err := access.Filter(ctx, access.ActionList, access.KindView, s.registry.Catalog().Views(),
		func(v *feature.ViewVersion) string { return v.Name })
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, v := range views {
		names = append(names, v.Name)
	}
	return names, nil
}

func (s *materializationService) GetRun(ctx context.Context, req *headwaterv1.GetRunRequest) (*headwaterv1.GetRunResponse, error) {
	r, err := s.permittedRun(ctx, req.GetRun(), func() (*materialize.Run, error) {
		return materialize.Find(ctx, s.pool, req.GetRun())
	})
	if err != nil {
		return nil, err
	}
	run, err := runWithChecks(ctx, s.registry.Catalog(), r)
	if err != nil {
		return nil, err
	}
	if run.ToApprove, err = s.toApprove(ctx, r); err != nil {
		return nil, err
	}
	return &headwaterv1.GetRunResponse{Run: run}, nil
}

// permittedRun reads a run. One of a view that the caller may not list looks as if it were not there.
func (s *materializationService) permittedRun(ctx context.Context, ref string, get func() (*materialize.Run, error)) (*materialize.Run, error) {
	r, err := get()
	if err != nil {
		return nil, missing(ctx, access.ActionList, access.KindView, err)
	}
	none := fault.New(fault.NotFound, "there is no run %s; `headwater runs list` shows those there are", ref)
	return r, requireOr(ctx, access.ActionList, access.KindView, r.View, none)
}

func (s *materializationService) WatchRun(req *headwaterv1.WatchRunRequest, stream grpc.ServerStreamingServer[headwaterv1.WatchRunResponse]) error {
	ctx := stream.Context()
	r, err := s.permittedRun(ctx, strconv.FormatInt(req.GetId(), 10), func() (*materialize.Run, error) { return materialize.Get(ctx, s.pool, req.GetId()) })
	if err != nil {
		return err
	}
	var last *headwaterv1.Run
	for wait := watchSoon; ; wait = min(2*wait, watchEvery) {
		now, err := runWithChecks(ctx, s.registry.Catalog(), r)
		if err != nil {
			return err
		}
		if !proto.Equal(now, last) {
			if err := stream.Send(&headwaterv1.WatchRunResponse{Run: now}); err != nil {
				return err
			}
			last = now
		}
		if r.State.Ended() && r.OnlineState != materialize.OnlinePending {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closing:
			return fault.New(fault.ServerUnavailable, "the server stops; run %d goes on when it or another is there, so watch it again", r.ID)
		case <-time.After(wait):
		}
		if r, err = materialize.Get(ctx, s.pool, req.GetId()); err != nil {
			return err
		}
	}
}

// CancelRuns cancels all the runs named, or with an error none.
func (s *materializationService) CancelRuns(ctx context.Context, req *headwaterv1.CancelRunsRequest) (*headwaterv1.CancelRunsResponse, error) {
	var ids []int64
	for _, ref := range req.GetRuns() {
		r, err := s.permittedRun(ctx, ref, func() (*materialize.Run, error) { return materialize.Find(ctx, s.pool, ref) })
		if err != nil {
			return nil, err
		}
		if err := access.Require(ctx, access.ActionMaterialize, access.KindView, r.View); err != nil {
			return nil, err
		}
		ids = append(ids, r.ID)
	}
	if err := s.materializer.Cancel(ctx, ids, access.PrincipalFrom(ctx).Name, req.GetReason()); err != nil {
		return nil, err
	}
	resp := &headwaterv1.CancelRunsResponse{}
	for _, id := range ids {
		r, err := materialize.Get(ctx, s.pool, id)
		if err != nil {
			return nil, err
		}
		run, err := runFor(ctx, s.registry.Catalog(), r)
		if err != nil {
			return nil, err
		}
		resp.Runs = append(resp.Runs, run)
	}
	return resp, nil
}

// RebuildOnline answers once the rows are in the online store.
func (s *materializationService) RebuildOnline(ctx context.Context, req *headwaterv1.RebuildOnlineRequest) (*headwaterv1.RebuildOnlineResponse, error) {
	views, err := s.viewsToRebuild(ctx, req.GetViews())
	if err != nil {
		return nil, err
	}
	rebuilds, err := s.materializer.RebuildOnline(ctx, views)
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.RebuildOnlineResponse{}
	for _, r := range rebuilds {
		resp.Rebuilds = append(resp.Rebuilds, &headwaterv1.OnlineRebuild{
			View: r.View.Name, ViewVersion: int32(r.View.Version), Epoch: r.Epoch, Seq: r.Seq,
			Written: r.Written, Stale: r.Stale, Tombstones: r.Tombstones,
		})
	}
	return resp, nil
}

// viewsToRebuild finds the view versions that refs name, each once, and decides on each view.
func (s *materializationService) viewsToRebuild(ctx context.Context, refs []string) ([]*feature.ViewVersion, error) {
	catalog := s.registry.Catalog()
	if len(refs) == 0 {
		if err := access.RequireAny(ctx, access.ActionMaterialize, access.KindView); err != nil {
			return nil, err
		}
		for _, v := range catalog.Views() {
			if v.Materialized() {
				refs = append(refs, v.Name)
			}
		}
	}
	chosen := map[int64]bool{}
	for _, ref := range refs {
		if err := access.Require(ctx, access.ActionMaterialize, access.KindView, ref); err != nil {
			return nil, err
		}
		view, err := catalog.View(ref)
		if err != nil {
			return nil, err
		}
		if !view.Materialized() {
			return nil, fault.New(fault.InvalidArgument, "view %s: found on-demand features, which are computed when they are read, expected a "+
				"view with online rows", view.Ref())
		}
		for _, v := range catalog.ViewVersions() {
			if (v.ID == view.ID || v.Name == ref) && v.Materialized() {
				chosen[v.ID] = true
			}
		}
	}
	var views []*feature.ViewVersion
	for _, v := range catalog.ViewVersions() {
		if chosen[v.ID] {
			views = append(views, v)
		}
	}
	return views, nil
}
