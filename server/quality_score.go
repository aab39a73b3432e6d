package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/score"
)

const (
	// defaultQualityAge is how far back quality looks, and maxQualityRuns how many runs it shows of a view.
	defaultQualityAge = 30 * 24 * time.Hour
	maxQualityRuns    = 100
)

// scoredKinds are those that have scores, with what is decided on to list them.
var scoredKinds = []access.Kind{access.KindView, access.KindService, access.KindSource}

const scoredNodes = "`view:NAME[@VERSION]`, `service:NAME[@VERSION]` or `source:NAME`"

// GetQuality scores what the caller may list. What it tells is counts, shares and verdicts.
func (s *qualityService) GetQuality(ctx context.Context, req *headwaterv1.GetQualityRequest) (*headwaterv1.GetQualityResponse, error) {
	since := time.Now().Add(-defaultQualityAge)
	if t := req.GetSince(); t != nil {
		since = t.AsTime()
	}
	if req.GetNode() == "" {
		return s.listQuality(ctx, access.Kind(req.GetKind()), since)
	}
	if req.GetKind() != "" {
		return nil, fault.New(fault.InvalidArgument, "kind: found %q with a node, expected none: a node has its kind", req.GetKind()).
			Violating(fault.Violation{Field: "kind", Description: "expected none with a node"})
	}
	return s.nodeQuality(ctx, req.GetNode(), since)
}

// mayName says which views the words of a service may name to the caller.
func mayName(ctx context.Context) func(ref string) bool {
	return func(ref string) bool {
		name, _, _ := strings.Cut(ref, "@")
		return access.Allows(ctx, access.ActionList, access.KindView, name)
	}
}

// listQuality lists what is in use of a kind, or of all, the worst first. A caller is denied who may list nothing of any of them.
func (s *qualityService) listQuality(ctx context.Context, only access.Kind, since time.Time) (*headwaterv1.GetQualityResponse, error) {
	f, err := s.scores.facts(ctx, since)
	if err != nil {
		return nil, database.Fault(err)
	}
	all := worstFirst(f.all(mayName(ctx)))
	resp := &headwaterv1.GetQualityResponse{}
	shown := map[string]bool{}
	for _, kind := range s.listable(ctx, only) {
		var of []*scored
		for _, one := range all {
			if access.Kind(one.kind) == kind {
				of = append(of, one)
			}
		}
		kept, err := access.Filter(ctx, access.ActionList, kind, of, func(one *scored) string { return one.name })
		if err != nil {
			return nil, err
		}
		for _, one := range kept {
			shown[one.node] = true
		}
	}
	for _, one := range all {
		if shown[one.node] {
			resp.Nodes = append(resp.Nodes, one.message())
		}
	}
	return resp, nil
}

// listable are the kinds of which there may be something for the caller; where there is none, one that is decided on.
func (s *qualityService) listable(ctx context.Context, only access.Kind) (kinds []access.Kind) {
	if only != "" {
		return []access.Kind{only}
	}
	for _, kind := range scoredKinds {
		if access.AllowsAny(ctx, access.ActionList, kind) {
			kinds = append(kinds, kind)
		}
	}
	if kinds == nil {
		return scoredKinds[:1]
	}
	return kinds
}

// worstFirst sorts by score, then by node; what has none is last.
func worstFirst(list []*scored) []*scored {
	return slices.SortedStableFunc(slices.Values(list), func(a, b *scored) int {
		return cmp.Or(cmp.Compare(orLast(a.score), orLast(b.score)), strings.Compare(a.node, b.node))
	})
}

// orLast puts what has no score behind all that have one.
func orLast(score *float64) float64 {
	if score == nil {
		return 101
	}
	return *score
}

// message is what is told of a score.
func (s *scored) message() *headwaterv1.NodeQuality {
	out := &headwaterv1.NodeQuality{Node: s.node, Owner: s.owner, Score: s.score, Parts: partMessages(s.parts)}
	if r := s.run; r != nil {
		out.Run, out.Failed, out.EndedAt = r.Ref(), r.State == materialize.Failed, timestampOf(r.EndedAt)
		if r.Seq == 0 {
			out.Run = fmt.Sprint(r.ID)
		}
	}
	return out
}

func partMessages(parts []score.Part) (list []*headwaterv1.QualityPart) {
	for i := range parts {
		p := &parts[i]
		list = append(list, &headwaterv1.QualityPart{Name: p.Name, Value: p.Value, Detail: p.Detail})
	}
	return list
}

// nodeQuality is what one node is like, of a view by its runs, and what it was.
func (s *qualityService) nodeQuality(ctx context.Context, node string, since time.Time) (*headwaterv1.GetQualityResponse, error) {
	ref, err := lineage.Parse(node)
	if err != nil || ref.Column != "" || ref.Kind != lineage.View && ref.Kind != lineage.Service && ref.Kind != lineage.Source {
		return nil, fault.New(fault.InvalidArgument, "node: found %q, expected %s, or none for all", shorten(node, maxShownName), scoredNodes).
			Violating(fault.Violation{Field: "node", Description: "expected " + scoredNodes})
	}
	kind := map[lineage.NodeKind]access.Kind{lineage.View: access.KindView, lineage.Service: access.KindService, lineage.Source: access.KindSource}[ref.Kind]
	if err := access.Require(ctx, access.ActionList, kind, ref.Name); err != nil {
		return nil, err
	}
	f, err := s.scores.facts(ctx, since)
	if err != nil {
		return nil, database.Fault(err)
	}
	catalog, name := s.registry.Catalog(), ref.Name
	if ref.Version > 0 {
		name = fmt.Sprintf("%s@%d", ref.Name, ref.Version)
	}
	resp := &headwaterv1.GetQualityResponse{}
	var now *scored
	switch ref.Kind {
	case lineage.Source:
		src, err := catalog.PastSource(name)
		if err != nil {
			return nil, err
		}
		now = f.source(src)
		resp.Nodes = append(resp.Nodes, now.message())
	case lineage.Service:
		service, err := catalog.PastService(name)
		if err != nil {
			return nil, err
		}
		now = f.service(service, mayName(ctx))
		resp.Nodes = append(resp.Nodes, now.message())
	default:
		view, err := catalog.PastView(name)
		if err != nil {
			return nil, err
		}
		if now, resp.Nodes, err = s.runQuality(ctx, f, view, since); err != nil {
			return nil, database.Fault(err)
		}
	}
	return resp, database.Fault(s.addHistory(ctx, resp, now, since))
}

// runQuality is the quality of a view version's runs, the newest first.
func (s *qualityService) runQuality(ctx context.Context, f *facts, view *feature.ViewVersion, since time.Time) (now *scored, list []*headwaterv1.NodeQuality, err error) {
	runs, err := materialize.Ended(ctx, s.pool, []int64{view.ID}, since, maxQualityRuns)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]int64, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	complete, err := quality.Completeness(ctx, s.pool, ids)
	if err != nil {
		return nil, nil, err
	}
	if len(runs) > 0 {
		// A version that is in use no more is not among those that were looked at.
		f.runs[view.ID], f.complete[runs[0].ID] = runs[0], complete[runs[0].ID]
		if _, measured := complete[runs[0].ID]; !measured {
			delete(f.complete, runs[0].ID)
		}
	}
	now = f.view(view)
	list = append(list, now.message())
	for i, r := range runs {
		if i == 0 {
			continue
		}
		share, measured := complete[r.ID]
		one := &scored{node: now.node, owner: now.owner, run: r, parts: partsOf(r, share, measured)}
		one.score = scoreOfRun(r, one.parts)
		list = append(list, one.message())
	}
	return now, list, nil
}

// addHistory adds what a node was like, and what it is like now.
func (s *qualityService) addHistory(ctx context.Context, resp *headwaterv1.GetQualityResponse, now *scored, since time.Time) error {
	kept, err := quality.Scores(ctx, s.pool, now.node, since)
	if err != nil {
		return err
	}
	if now.score != nil {
		kept = append(kept, quality.Scored{At: time.Now(), Score: *now.score, Parts: now.parts})
	}
	for i := range kept {
		point := &headwaterv1.QualityPoint{At: timestamppb.New(kept[i].At), Score: kept[i].Score}
		for _, p := range kept[i].Parts {
			if p.Value != nil && *p.Value < 1 {
				point.Parts = append(point.Parts, &headwaterv1.QualityPart{Name: p.Name, Value: p.Value})
			}
		}
		resp.History = append(resp.History, point)
	}
	return nil
}
