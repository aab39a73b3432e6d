package server

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/quality"
)

func (s *retentionService) CollectHistory(ctx context.Context, req *headwaterv1.CollectHistoryRequest) (*headwaterv1.CollectHistoryResponse, error) {
	age := s.historyRetention
	if d := req.GetOlderThan(); d != nil {
		if !d.IsValid() || d.AsDuration() < 0 {
			return nil, fault.New(fault.InvalidArgument, "older_than: found %s, expected a duration that is not negative", d.AsDuration()).
				Violating(fault.Violation{Field: "older_than", Description: "expected a duration that is not negative"})
		}
		age = d.AsDuration()
	} else if age == 0 {
		return nil, fault.New(fault.FailedPrecondition, "how long history is kept is not configured, so nothing is collected; say it, "+
			"--older-than 90d, or configure HEADWATER_HISTORY_RETENTION")
	}
	views, err := s.viewsToCollect(req.GetViews())
	if err != nil {
		return nil, err
	}
	before := time.Now().Add(-age)
	resp := &headwaterv1.CollectHistoryResponse{}
	for _, v := range views {
		c, err := s.materializer.Collect(ctx, v, before, req.GetDryRun())
		if err != nil {
			return nil, err
		}
		resp.Views = append(resp.Views, &headwaterv1.CollectedView{
			View: v.Name, Version: int32(v.Version), HorizonSeq: c.Horizon, RowsCollected: c.Rows, RowsProtected: c.Protected,
		})
	}
	ids := make([]int64, len(views))
	for i, v := range views {
		ids[i] = v.ID
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		resp.ProfilesCollected, err = quality.CollectProfiles(ctx, tx, ids, len(req.GetViews()) == 0, before, req.GetDryRun())
		return err
	})
	return resp, database.Fault(err)
}

// viewsToCollect finds the view versions that refs name, each once, or all: those that were removed too.
func (s *retentionService) viewsToCollect(refs []string) ([]*feature.ViewVersion, error) {
	catalog := s.registry.Catalog()
	chosen := map[int64]bool{}
	for _, ref := range refs {
		view, err := catalog.PastView(ref)
		if err != nil {
			return nil, err
		}
		if !view.Materialized() {
			return nil, fault.New(fault.InvalidArgument, "view %s: found on-demand features, which are computed when they are read, expected a "+
				"view with a history", view.Ref())
		}
		for _, v := range catalog.ViewVersions() {
			if v.ID == view.ID || v.Name == ref {
				chosen[v.ID] = true
			}
		}
	}
	var views []*feature.ViewVersion
	for _, v := range catalog.ViewVersions() {
		if v.Materialized() && (len(refs) == 0 || chosen[v.ID]) {
			views = append(views, v)
		}
	}
	return views, nil
}
