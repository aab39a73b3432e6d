package server

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/lineage"
)

// lineageService answers where things come from and what they reach.
type lineageService struct {
	headwaterv1.UnimplementedLineageServiceServer
	pool *pgxpool.Pool
}

var directions = map[headwaterv1.LineageDirection]lineage.Direction{
	headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP:   lineage.Up,
	headwaterv1.LineageDirection_LINEAGE_DIRECTION_DOWN: lineage.Down,
}

var edgeKinds = map[lineage.EdgeKind]headwaterv1.LineageEdgeKind{
	lineage.Definition: headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_DEFINITION,
	lineage.Read:       headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_READ,
	lineage.Wrote:      headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_WROTE,
	lineage.Replaced:   headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_REPLACED,
}

// GetLineage answers with what the caller may read the lineage of. Nodes that it may not are left out with their edges, and
// a root that it may not looks as if it were not there.
func (s *lineageService) GetLineage(ctx context.Context, req *headwaterv1.GetLineageRequest) (*headwaterv1.GetLineageResponse, error) {
	ref, err := lineage.Parse(req.GetNode())
	if err != nil {
		return nil, err
	}
	kind := resourceKindOf(ref.Kind)
	if err := access.RequireAny(ctx, access.ActionReadLineage, kind); err != nil {
		return nil, err
	}
	// How far a walk goes is not for those to know who may not see its root.
	if ref.Name != "" {
		if err := access.RequireOr(ctx, access.ActionReadLineage, kind, ref.Name, lineage.NotFound(ref)); err != nil {
			return nil, err
		}
	}
	graph, err := lineage.Walk(ctx, s.pool, req.GetNode(), directions[req.GetDirection()], int(req.GetDepth()))
	if err != nil {
		return nil, err
	}
	shown := map[string]bool{}
	resp := &headwaterv1.GetLineageResponse{Root: graph.Root}
	for _, n := range graph.Nodes {
		kind, name, err := resourceOf(n)
		if err != nil {
			return nil, err
		}
		if n.ID == graph.Root {
			if err := access.RequireOr(ctx, access.ActionReadLineage, kind, name, lineage.NotFound(ref)); err != nil {
				return nil, err
			}
		}
		if !access.Allows(ctx, access.ActionReadLineage, kind, name) {
			continue
		}
		shown[n.ID] = true
		resp.Nodes = append(resp.Nodes, &headwaterv1.LineageNode{Id: n.ID, Title: n.Title, Properties: n.Properties})
	}
	for _, e := range graph.Edges {
		if shown[e.From] && shown[e.To] {
			resp.Edges = append(resp.Edges, &headwaterv1.LineageEdge{From: e.From, To: e.To, Kind: edgeKinds[e.Kind]})
		}
	}
	return resp, nil
}

// resourceOf is what a grant must name for a node to be shown: loads go with their source, features and runs with their
// view.
func resourceOf(n lineage.Node) (access.Kind, string, error) {
	ref, err := lineage.Parse(n.ID)
	if err != nil {
		return "", "", err
	}
	name := ref.Name
	switch ref.Kind {
	case lineage.Load:
		name = n.Properties["source"]
	case lineage.Dataset:
		name = n.Properties["name"]
	}
	return resourceKindOf(ref.Kind), name, nil
}

func resourceKindOf(k lineage.NodeKind) access.Kind {
	switch k {
	case lineage.Source, lineage.Load:
		return access.KindSource
	case lineage.Service:
		return access.KindService
	case lineage.Dataset:
		return access.KindDataset
	default:
		return access.KindView
	}
}
