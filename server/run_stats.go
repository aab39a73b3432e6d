package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
)

// statsWindow is how far back statistics go when the caller does not say.
const statsWindow = 30 * 24 * time.Hour

// RunStats measures the runs of the views named, or of the newest version of each that the caller may list.
func (s *materializationService) RunStats(ctx context.Context, req *headwaterv1.RunStatsRequest) (*headwaterv1.RunStatsResponse, error) {
	now := time.Now()
	since := now.Add(-statsWindow)
	if t := req.GetSince(); t != nil {
		if !t.IsValid() {
			return nil, errNoTime("since")
		}
		if since = t.AsTime(); !since.Before(now) {
			return nil, fault.New(fault.InvalidArgument, "since: found %s, which is not in the past, expected an earlier time",
				since.Format(time.RFC3339))
		}
	}
	views, err := s.viewsToMeasure(ctx, req.GetViews())
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.RunStatsResponse{}
	for _, v := range views {
		stats, err := materialize.GetStats(ctx, s.pool, v, since, now, demandOf(v))
		if err != nil {
			return nil, err
		}
		out := statsOf(v, stats)
		if out.LastError, err = textFor(ctx, s.registry.Catalog(), v.Name, v.Version, stats.LastError); err != nil {
			return nil, err
		}
		resp.Views = append(resp.Views, out)
	}
	return resp, nil
}

// viewsToMeasure finds the view versions that refs name, and decides on each view.
func (s *materializationService) viewsToMeasure(ctx context.Context, refs []string) ([]*feature.ViewVersion, error) {
	catalog := s.registry.Catalog()
	if len(refs) == 0 {
		views, err := access.Filter(ctx, access.ActionList, access.KindView, catalog.Views(),
			func(v *feature.ViewVersion) string { return v.Name })
		if err != nil {
			return nil, err
		}
		var kept []*feature.ViewVersion
		for _, v := range views {
			if v.Materialized() {
				kept = append(kept, v)
			}
		}
		return kept, nil
	}
	var views []*feature.ViewVersion
	for _, ref := range refs {
		if err := access.Require(ctx, access.ActionList, access.KindView, ref); err != nil {
			return nil, err
		}
		view, err := catalog.View(ref)
		if err != nil {
			return nil, err
		}
		if !view.Materialized() {
			return nil, fault.New(fault.InvalidArgument, "view %s: found on-demand features, which are computed when they are read, expected a "+
				"view that has runs", view.Ref())
		}
		views = append(views, view)
	}
	return views, nil
}

// demandOf is how new the runs of a view are demanded to be: as new as the strictest freshness of its sources. nil: nothing is
// demanded.
func demandOf(v *feature.ViewVersion) materialize.Demand {
	var strictest time.Duration
	for _, src := range v.SourceVersions {
		if src.Freshness > 0 && (strictest == 0 || src.Freshness < strictest) {
			strictest = src.Freshness
		}
	}
	if strictest == 0 {
		return nil
	}
	return func(at time.Time) time.Time { return at.Add(-strictest) }
}

func statsOf(v *feature.ViewVersion, s *materialize.Stats) *headwaterv1.ViewStats {
	out := &headwaterv1.ViewStats{
		View: v.Name, ViewVersion: int32(v.Version), Published: s.Published, Failed: s.Failed, Cancelled: s.Cancelled,
		SuccessRate: s.SuccessRate, FreshnessKept: s.FreshnessKept, RowsRead: s.Read, RowsQuarantined: s.Quarantined,
		RecoverSeconds: seconds(s.Recover), DurationMedianSeconds: seconds(s.Median), DurationP95Seconds: seconds(s.P95),
	}
	if s.LastPublishedAt != nil {
		out.LastPublishedAt = timestamppb.New(*s.LastPublishedAt)
	}
	return out
}

func seconds(d *time.Duration) *float64 {
	if d == nil {
		return nil
	}
	s := d.Seconds()
	return &s
}
