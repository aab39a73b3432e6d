package server

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/lineage/openlineage"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/registry"
)

// lineageService answers where things come from and what they reach.
type lineageService struct {
	headwaterv1.UnimplementedLineageServiceServer
	registry *registry.Registry
	pool     *pgxpool.Pool
	// onlineRows lists what the online store has of an entity.
	onlineRows func(ctx context.Context, entity string, list func([]lineage.OnlineRow) error) error
	// reads is for traces.
	reads *readLogService
	// copies are what view versions, by id, copy their columns from, once it was asked for.
	copies sync.Map
	// datasets and apart are for impact, as copies; so many are told at a time as impacts has room for.
	datasets *datasetService
	apart    sync.Map
	impacts  chan struct{}
	// impactTime is how long one may take: maxImpactTime.
	impactTime time.Duration
	// names are for events of others.
	names openlineage.Names
	// receiver is where events go.
	receiver string
	// flush brings what this server has recorded in the audit to Postgres.
	flush func(context.Context) error
	// closing is closed when the server stops.
	closing <-chan struct{}
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
	lineage.Value:      headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_VALUE,
	lineage.Filter:     headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_FILTER,
	lineage.Join:       headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_JOIN,
	lineage.Group:      headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_GROUP,
	lineage.Order:      headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_ORDER,
	lineage.Corrected:  headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_CORRECTED,
}

// GetLineage answers with what the caller may read the lineage of. Nodes that it may not are left out with their edges, and
// a root that it may not looks as if it were not there.
func (s *lineageService) GetLineage(ctx context.Context, req *headwaterv1.GetLineageRequest) (*headwaterv1.GetLineageResponse, error) {
	ref, err := lineage.Parse(req.GetNode())
	if err != nil {
		return nil, err
	}
	var hidden error = lineage.NotFoundAsOf(ref, req.GetAsOf())
	kind := resourceKindOf(ref.Kind)
	if err := access.RequireAny(ctx, access.ActionReadLineage, kind); err != nil {
		return nil, err
	}
	// How far a walk goes is not for those to know who may not see its root.
	if ref.Name != "" {
		if err := access.RequireOr(ctx, access.ActionReadLineage, kind, ref.Name, hidden); err != nil {
			return nil, err
		}
	}
	query := lineage.Query{
		Node: req.GetNode(), Direction: directions[req.GetDirection()], Depth: int(req.GetDepth()), Columns: req.GetColumns(),
		AsOf: req.GetAsOf(), PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(),
	}
	if ref.Kind == lineage.Prediction {
		if query.HidesRuns, err = s.ofPrediction(ctx, ref.ReadID); err != nil {
			return nil, err
		}
	}
	if query.AsOf != "" && query.PageToken == "" {
		if query.At, err = s.instant(ctx, query.AsOf); err != nil {
			return nil, err
		}
	}
	graph, err := lineage.Walk(ctx, s.pool, query)
	if err != nil {
		return nil, err
	}
	// Of a prediction it is decided.
	if ref.Kind != lineage.Prediction {
		if err := access.RequireOr(ctx, access.ActionReadLineage, kind, graph.Subjects[graph.Root], hidden); err != nil {
			return nil, err
		}
	}
	shown, kinds := map[string]bool{}, map[string]access.Kind{}
	for id, name := range graph.Subjects {
		n, err := lineage.Parse(id)
		if err != nil {
			return nil, err
		}
		kinds[id] = resourceKindOf(n.Kind)
		shown[id] = access.Allows(ctx, access.ActionReadLineage, kinds[id], name)
	}
	resp := &headwaterv1.GetLineageResponse{Root: graph.Root, NextPageToken: graph.NextPage, Position: graph.At.Position}
	for _, n := range graph.Nodes {
		if shown[n.ID] {
			nodeWithoutDigests(ctx, &n, kinds[n.ID], graph.Subjects[n.ID])
			resp.Nodes = append(resp.Nodes, &headwaterv1.LineageNode{Id: n.ID, Title: n.Title, Properties: n.Properties})
		}
	}
	for _, e := range graph.Edges {
		if shown[e.From] && shown[e.To] {
			resp.Edges = append(resp.Edges, &headwaterv1.LineageEdge{
				From: e.From, To: e.To, Kind: edgeKinds[e.Kind], ValidFrom: e.ValidFrom, ValidTo: e.ValidTo,
			})
		}
	}
	return resp, nil
}

// ofPrediction decides on the lineage of a logged read, and of which views it is not to be told which runs wrote what it was given: as a trace tells of them.
func (s *lineageService) ofPrediction(ctx context.Context, readID string) (hides func(view string) bool, err error) {
	r, err := s.reads.find(ctx, access.ActionReadLineage, readID)
	if err != nil {
		return nil, err
	}
	service, err := s.reads.serviceAsRead(r)
	if err != nil {
		return nil, err
	}
	rules, _ := rulesOf(r.GetPolicy())
	beyond, unreadable := access.SessionFrom(ctx).Beyond(service, rules)
	readable := unreadable == "" && access.AllowsService(ctx, access.ActionReadOffline, service)
	return func(view string) bool {
		name := nameOf(view)
		return hidesRowsOf(ctx, view, name, readable, beyond) || !access.Allows(ctx, access.ActionReadLineage, access.KindView, name)
	}, nil
}

// instant is the moment that as_of says.
func (s *lineageService) instant(ctx context.Context, asOf string) (lineage.Instant, error) {
	position, err := offline.ResolveAsOf(ctx, s.pool, asOf)
	if err != nil {
		return lineage.Instant{}, database.Fault(err)
	}
	var at *time.Time
	if t, err := time.Parse(time.RFC3339Nano, asOf); err == nil {
		at = &t
	}
	instant, err := lineage.At(ctx, s.pool, position, at)
	return instant, database.Fault(err)
}

func resourceKindOf(k lineage.NodeKind) access.Kind {
	switch k {
	case lineage.Source, lineage.SourceColumn, lineage.Load, lineage.OutsideJob, lineage.OutsideTable, lineage.OutsideColumn:
		return access.KindSource
	case lineage.Service, lineage.Prediction, lineage.Predictions:
		return access.KindService
	case lineage.Dataset:
		return access.KindDataset
	case lineage.Model:
		return access.KindModel
	case lineage.Consumer:
		return access.KindConsumer
	default:
		return access.KindView
	}
}
