package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

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
	source := req.GetSource()
	if source != "" {
		filter.Subject = quality.SourceSubject(source)
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
	if len(resp.Groups) == 0 && source != "" && req.GetBeforeId() == 0 {
		return resp, s.knownSource(ctx, source)
	}
	return resp, nil
}

// knownSource is an error unless the caller may know of a source: that nothing was set aside of one that there is not says nothing.
func (s *quarantineService) knownSource(ctx context.Context, ref string) error {
	name, _, versioned := strings.Cut(ref, "@")
	if versioned {
		return fault.New(fault.InvalidArgument, "source: found %q, expected a name without a version: rows of all versions are counted; ask for %q",
			shorten(ref, maxShownName), shorten(name, maxShownName))
	}
	if access.Allows(ctx, access.ActionList, access.KindSource, name) {
		_, err := s.registry.Catalog().Source(name)
		return err
	}
	return fault.New(fault.NotFound, "found no source called %q; `headwater list source` shows those that there are", shorten(name, maxShownName))
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
		if err := access.RequireRows(ctx, kind, name); err != nil {
			return nil, err
		}
		shown = []string{asked}
	} else {
		for subject, rows := range counts {
			kind, name := subjectResource(r.View, subject)
			if !access.AllowsRows(ctx, kind, name) {
				resp.Hidden += rows
				continue
			}
			if err := access.RequireRows(ctx, kind, name); err != nil {
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
	if len(rows) == 0 && req.GetReason() != "" && req.GetAfterId() == 0 {
		return resp, s.knownReason(ctx, r, shown, req.GetReason())
	}
	given := map[string]int64{}
	for _, row := range rows {
		given[row.Subject]++
		resp.Rows = append(resp.Rows, &headwaterv1.QuarantinedRow{
			Id: row.ID, RunId: r.ID, Subject: row.Subject, Reasons: row.Reasons, LoadId: row.Load, RowNumber: row.Row,
			EventTime: timestampOf(row.EventTime), RowJson: string(row.JSON), QuarantinedAt: timestamppb.New(row.At),
		})
	}
	return resp, recordShown(ctx, s.registry.Catalog(), r.View, r.ViewVersion, given)
}

// recordShown records rows that are about to be shown: how many of each subject of a view version's runs.
func recordShown(ctx context.Context, catalog *registry.Catalog, name string, version int, given map[string]int64) error {
	for _, subject := range slices.Sorted(maps.Keys(given)) {
		if given[subject] == 0 {
			continue
		}
		view, err := catalog.PastView(fmt.Sprintf("%s@%d", name, version))
		if err != nil {
			return err
		}
		shown := access.Shown{Kind: access.KindView, Ref: view.Ref(), Rows: given[subject]}
		if of, isSource := quality.SourceOf(subject); !isSource {
			shown.Features, shown.SourceColumns = access.StoredOf(view)
		} else {
			shown.Kind, shown.Ref = access.KindSource, of
			for _, source := range view.SourceVersions {
				if source.Name == of {
					shown.Ref, shown.SourceColumns = source.Ref(), columnsOf(source, nil)
				}
			}
		}
		if err := access.SessionFrom(ctx).Show(&shown); err != nil {
			return err
		}
	}
	return nil
}

// knownReason is an error for a reason for which a run set aside no row of the subjects, with those for which it did.
func (s *quarantineService) knownReason(ctx context.Context, r *materialize.Run, subjects []string, reason string) error {
	groups, err := quality.Groups(ctx, s.pool, quality.Filter{Run: r.ID}, maxShownReasons)
	if err != nil {
		return err
	}
	var reasons []string
	for _, g := range groups {
		if slices.Contains(subjects, g.Subject) && !slices.Contains(reasons, g.Reason) {
			reasons = append(reasons, g.Reason)
		}
	}
	if slices.Contains(reasons, reason) {
		return nil
	}
	slices.Sort(reasons)
	expected := "it set aside none that you may read"
	if len(reasons) > 0 {
		expected = "expected one of " + strings.Join(reasons[:min(len(reasons), maxShownReasons)], ", ")
	}
	return fault.New(fault.NotFound, "run %s: found no row that was set aside for %q, %s", r.Ref(), shorten(reason, maxShownName), expected)
}

// maxShownReasons is how many reasons a message names.
const maxShownReasons = 50

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
