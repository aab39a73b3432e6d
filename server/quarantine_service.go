package server

import (
	"context"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/registry"
)

// quarantineService shows the rows that runs set aside, and has them tried again.
type quarantineService struct {
	headwaterv1.UnimplementedQuarantineServiceServer
	registry     *registry.Registry
	pool         *pgxpool.Pool
	materializer *materialize.Materializer
}

// ListQuarantine counts rows, and shows none: who may list a view may know how many of its rows were set aside, and why.
func (s *quarantineService) ListQuarantine(ctx context.Context, req *headwaterv1.ListQuarantineRequest) (*headwaterv1.ListQuarantineResponse, error) {
	filter := quality.Filter{Before: req.GetBeforeId()}
	if req.GetSource() != "" {
		filter.Subject = quality.SourceSubject(req.GetSource())
	}
	allowed := func(string) bool { return true }
	switch {
	case req.GetView() != "":
		if err := access.Require(ctx, access.ActionList, access.KindView, req.GetView()); err != nil {
			return nil, err
		}
		view, err := s.registry.Catalog().PastView(req.GetView())
		if err != nil {
			return nil, err
		}
		if filter.View = view.Name; view.Ref() == req.GetView() {
			filter.Version = view.Version
		}
	default:
		if err := access.RequireAny(ctx, access.ActionList, access.KindView); err != nil {
			return nil, err
		}
		allowed = func(view string) bool { return access.Allows(ctx, access.ActionList, access.KindView, view) }
	}
	if req.GetRun() != "" {
		r, err := s.run(ctx, req.GetRun(), access.ActionList)
		if err != nil {
			return nil, err
		}
		filter.Run = r.ID
	}
	limit := int(req.GetPageSize())
	if limit == 0 {
		limit = defaultRunPage
	}
	groups, err := quality.Groups(ctx, s.pool, filter, limit)
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.ListQuarantineResponse{}
	for _, g := range groups {
		if !allowed(g.View) {
			continue
		}
		resp.Groups = append(resp.Groups, &headwaterv1.QuarantineGroup{
			RunId: g.Run, Run: g.Ref, View: g.View, ViewVersion: int32(g.ViewVersion), Subject: g.Subject, Reason: g.Reason, Rows: g.Rows,
			QuarantinedAt: timestamppb.New(g.At),
		})
	}
	return resp, nil
}

// run finds a run of a view that the caller may act on. Another looks as if it were not there.
func (s *quarantineService) run(ctx context.Context, ref string, action access.Action) (*materialize.Run, error) {
	r, err := materialize.Find(ctx, s.pool, ref)
	if err != nil {
		return nil, missing(ctx, action, access.KindView, err)
	}
	none := fault.New(fault.NotFound, "there is no run %s; `headwater runs list` shows those there are", ref)
	return r, requireOr(ctx, action, access.KindView, r.View, none)
}

// ShowQuarantine shows rows of the subjects that the caller may read offline, each decided on, and counts the others. The run is
// one of a view that the caller may list.
func (s *quarantineService) ShowQuarantine(ctx context.Context, req *headwaterv1.ShowQuarantineRequest) (*headwaterv1.ShowQuarantineResponse, error) {
	r, err := s.run(ctx, req.GetRun(), access.ActionList)
	if err != nil {
		return nil, err
	}
	counts, err := quality.Subjects(ctx, s.pool, r.ID)
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.ShowQuarantineResponse{}
	var shown []string
	if asked := req.GetSubject(); asked != "" {
		if _, ok := quality.SourceOf(asked); !ok && asked != quality.Output {
			return nil, fault.New(fault.InvalidArgument, "subject: found %q, expected source:NAME or output", shorten(asked, maxShownName))
		}
		// Named, it is refused rather than counted.
		kind, name := subjectResource(r.View, asked)
		if err := access.Require(ctx, access.ActionReadOffline, kind, name); err != nil {
			return nil, err
		}
		shown = []string{asked}
	} else {
		for subject, rows := range counts {
			kind, name := subjectResource(r.View, subject)
			if !access.Allows(ctx, access.ActionReadOffline, kind, name) {
				resp.Hidden += rows
				continue
			}
			if err := access.Require(ctx, access.ActionReadOffline, kind, name); err != nil {
				return nil, err
			}
			shown = append(shown, subject)
		}
		slices.Sort(shown)
	}
	limit := int(req.GetPageSize())
	if limit == 0 {
		limit = defaultRunPage
	}
	rows, err := quality.QuarantinedRows(ctx, s.pool, r.ID, shown, req.GetReason(), req.GetAfterId(), limit)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		resp.Rows = append(resp.Rows, &headwaterv1.QuarantinedRow{
			Id: row.ID, RunId: r.ID, Subject: row.Subject, Reasons: row.Reasons, LoadId: row.Load, RowNumber: row.Row,
			EventTime: timestampOf(row.EventTime), RowJson: string(row.JSON), QuarantinedAt: timestamppb.New(row.At),
		})
	}
	return resp, nil
}

// ReplayQuarantine queues a run over the interval in which the rows lie that are set aside now.
func (s *quarantineService) ReplayQuarantine(ctx context.Context, req *headwaterv1.ReplayQuarantineRequest) (*headwaterv1.ReplayQuarantineResponse, error) {
	var view *feature.ViewVersion
	var run int64
	var err error
	switch {
	case req.GetRun() != "":
		r, err := s.run(ctx, req.GetRun(), access.ActionMaterialize)
		if err != nil {
			return nil, err
		}
		if run = r.ID; req.GetView() != "" {
			return nil, fault.New(fault.InvalidArgument, "found a run and a view, expected one of them")
		}
		if view, err = s.registry.Catalog().View(r.View + "@" + strconv.Itoa(r.ViewVersion)); err != nil {
			return nil, err
		}
	case req.GetView() != "":
		if err := access.Require(ctx, access.ActionMaterialize, access.KindView, req.GetView()); err != nil {
			return nil, err
		}
		if view, err = s.registry.Catalog().View(req.GetView()); err != nil {
			return nil, err
		}
	default:
		if err := access.RequireAny(ctx, access.ActionMaterialize, access.KindView); err != nil {
			return nil, err
		}
		return nil, fault.New(fault.InvalidArgument, "found no run and no view, expected one of them: headwater quarantine list shows what is set aside")
	}
	queued, err := s.materializer.Replay(ctx, view, run, access.PrincipalFrom(ctx).Name)
	if err != nil {
		return nil, err
	}
	return &headwaterv1.ReplayQuarantineResponse{Run: runOf(queued)}, nil
}
