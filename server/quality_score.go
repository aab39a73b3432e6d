package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
)

const (
	// defaultQualityAge is how far back quality looks, and maxQualityRuns how many runs it shows of a view.
	defaultQualityAge = 30 * 24 * time.Hour
	maxQualityRuns    = 100
)

// GetQuality scores runs. What it tells is counts, shares and verdicts, for who may list the views.
func (s *qualityService) GetQuality(ctx context.Context, req *headwaterv1.GetQualityRequest) (*headwaterv1.GetQualityResponse, error) {
	since := time.Now().Add(-defaultQualityAge)
	if t := req.GetSince(); t != nil {
		since = t.AsTime()
	}
	var views []*feature.ViewVersion
	limit := 1
	if node := req.GetNode(); node != "" {
		ref, err := lineage.Parse(node)
		if err != nil || ref.Kind != lineage.View {
			return nil, fault.New(fault.InvalidArgument, "node: found %q, expected `view:NAME[@VERSION]`, or none for all views", shorten(node, maxShownName)).
				Violating(fault.Violation{Field: "node", Description: "expected `view:NAME[@VERSION]`"})
		}
		if err := access.Require(ctx, access.ActionList, access.KindView, ref.Name); err != nil {
			return nil, err
		}
		view, err := s.registry.Catalog().PastView(strings.TrimPrefix(ref.String(), "view:"))
		if err != nil {
			return nil, err
		}
		views, limit = append(views, view), maxQualityRuns
	} else {
		var err error
		views, err = access.Filter(ctx, access.ActionList, access.KindView, s.registry.Catalog().Views(), func(v *feature.ViewVersion) string { return v.Name })
		if err != nil {
			return nil, err
		}
	}
	byID := map[int64]*feature.ViewVersion{}
	var ids []int64
	for _, v := range views {
		if v.Materialized() {
			byID[v.ID], ids = v, append(ids, v.ID)
		}
	}
	runs, err := materialize.Ended(ctx, s.pool, ids, since, limit)
	if err != nil {
		return nil, database.Fault(err)
	}
	runIDs := make([]int64, len(runs))
	for i, r := range runs {
		runIDs[i] = r.ID
	}
	complete, err := quality.Completeness(ctx, s.pool, runIDs)
	if err != nil {
		return nil, database.Fault(err)
	}
	resp := &headwaterv1.GetQualityResponse{}
	seen := map[int64]bool{}
	for _, r := range runs {
		view := byID[r.ViewID]
		share, ok := complete[r.ID]
		parts := partsOf(r, share, ok)
		if !seen[r.ViewID] {
			parts = append(parts, s.freshnessPart(view)...)
		}
		seen[r.ViewID] = true
		q := &headwaterv1.ViewQuality{
			View: view.Name, ViewVersion: int32(view.Version), Owner: view.Owner, Run: r.Ref(), Failed: r.State == materialize.Failed, Parts: parts, EndedAt: timestampOf(r.EndedAt),
		}
		if r.Seq == 0 {
			q.Run = fmt.Sprint(r.ID)
		}
		if score, ok := scoreOf(parts); ok || q.Failed {
			if q.Failed {
				score = 0
			}
			q.Score = &score
		}
		resp.Views = append(resp.Views, q)
	}
	if limit > 1 {
		return resp, nil
	}
	for _, v := range views {
		if v.Materialized() && !seen[v.ID] {
			resp.Views = append(resp.Views, &headwaterv1.ViewQuality{View: v.Name, ViewVersion: int32(v.Version), Owner: v.Owner})
		}
	}
	slices.SortStableFunc(resp.Views, func(a, b *headwaterv1.ViewQuality) int {
		return cmp.Or(cmp.Compare(orLast(a.Score), orLast(b.Score)), strings.Compare(a.GetView(), b.GetView()))
	})
	return resp, nil
}

// orLast puts what has no score behind all that have one.
func orLast(score *float64) float64 {
	if score == nil {
		return 101
	}
	return *score
}

// partsOf are those of a run. complete is the mean completeness of its columns, where that was measured.
func partsOf(r *materialize.Run, complete float64, measured bool) (parts []*headwaterv1.QualityPart) {
	add := func(name string, value float64, detail string) {
		parts = append(parts, &headwaterv1.QualityPart{Name: name, Value: value, Detail: detail})
	}
	var sum, n float64
	for _, c := range r.Checks {
		switch c.State {
		case quality.Passed:
			sum, n = sum+1, n+1
		case quality.Warned:
			sum, n = sum+0.5, n+1
		case quality.Failed, quality.Errored:
			n++
		}
	}
	if n > 0 {
		add("checks", sum/n, quality.Summary(r.Checks))
	}
	if measured {
		add("completeness", complete, fmt.Sprintf("%.1f %% of values are there", 100*complete))
	}
	if r.Drift != nil {
		var ok, warned, failed float64
		for _, c := range r.Drift.Columns {
			switch c.Verdict {
			case drift.OK:
				ok++
			case drift.Warn:
				warned++
			case drift.Fail:
				failed++
			}
		}
		if all := ok + warned + failed; all > 0 {
			add("drift", (ok+warned/2)/all, fmt.Sprintf("%.0f OK, %.0f WARN, %.0f FAIL against %s", ok, warned, failed, r.Drift.Baseline))
		}
	}
	if a := r.Anomalies; a != nil && a.Tested > 0 {
		detail := fmt.Sprintf("none of %d metrics", a.Tested)
		if len(a.Found) > 0 {
			names := make([]string, len(a.Found))
			for i, f := range a.Found {
				names[i] = f.Metric
			}
			detail = fmt.Sprintf("%s, of %d metrics", strings.Join(names, ", "), a.Tested)
		}
		add("anomalies", 1-float64(len(a.Found))/float64(a.Tested), detail)
	}
	return parts
}

// freshnessPart is that of what is online of a view version, none where nothing is declared.
func (s *qualityService) freshnessPart(v *feature.ViewVersion) []*headwaterv1.QualityPart {
	if v.Freshness == nil {
		return nil
	}
	f := (*s.head.fresh.Load())[v.ID]
	if f.IsLate(v.Freshness, feature.TimeOf(time.Now())) {
		return []*headwaterv1.QualityPart{{Name: "freshness", Value: 0, Detail: "late: expected a row online of the last " + feature.DurationText(v.Freshness.MaxAge)}}
	}
	return []*headwaterv1.QualityPart{{Name: "freshness", Value: 1, Detail: "as new as declared"}}
}

// scoreOf is the mean of the parts, from 0 to 100. ok: there are some.
func scoreOf(parts []*headwaterv1.QualityPart) (score float64, ok bool) {
	for _, p := range parts {
		score += p.GetValue()
	}
	return 100 * score / float64(max(len(parts), 1)), len(parts) > 0
}
