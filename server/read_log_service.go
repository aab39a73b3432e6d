package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/readlog"
	"github.com/headwaterhq/headwater/registry"
)

// readLogService answers what was answered to online reads.
type readLogService struct {
	headwaterv1.UnimplementedReadLogServiceServer
	registry *registry.Registry
	pool     *pgxpool.Pool
	reads    *readlog.Log
}

// defaultReads is how many reads are listed unless asked otherwise.
const defaultReads = 100

func serviceOf(r *headwaterv1.LoggedRead) string {
	return fmt.Sprintf("%s@%d", r.GetService(), r.GetServiceVersion())
}

// GetRead shows values to who may read the service offline: they are kept values, as those of datasets are.
func (s *readLogService) GetRead(ctx context.Context, req *headwaterv1.GetReadRequest) (*headwaterv1.GetReadResponse, error) {
	r, err := s.find(ctx, access.ActionReadLineage, req.GetReadId())
	if err != nil {
		return nil, err
	}
	shown := false
	if service, err := s.registry.Catalog().PastService(serviceOf(r)); err == nil && access.AllowsServiceRows(ctx, service) {
		if err := access.RequireService(ctx, access.ActionReadOffline, service); err != nil {
			return nil, err
		}
		if err := access.SessionFrom(ctx).Show(s.shownRead(r)); err != nil {
			return nil, err
		}
		shown = true
	}
	if !shown {
		r.Keys, r.Inputs = nil, nil
		for _, f := range r.Features {
			f.Values, f.Digest = &headwaterv1.ValueVector{Type: f.Values.GetType(), TypeName: f.Values.GetTypeName()}, nil
		}
		// As a trace tells of them.
		for _, p := range r.Provenance {
			if access.Hides(ctx, access.KindView, p.GetView()) || !access.Allows(ctx, access.ActionReadLineage, access.KindView, p.GetView()) {
				p.EventTimes, p.AvailableAts, p.RunSeqs = nil, nil, nil
			}
		}
	}
	r.Policy = appliedFor(ctx, r.GetPrincipal(), r.GetPolicy())
	return &headwaterv1.GetReadResponse{Read: r, Shown: shown}, nil
}

// shownRead is what is shown of a read whose values are.
func (s *readLogService) shownRead(r *headwaterv1.LoggedRead) *access.Shown {
	shown := &access.Shown{Kind: access.KindService, Ref: serviceOf(r), Rows: int64(r.GetEntities()), ReadID: r.GetReadId()}
	columns := map[string]bool{}
	for _, f := range r.GetFeatures() {
		ref := fmt.Sprintf("%s@%d", f.GetView(), f.GetViewVersion())
		shown.Features = append(shown.Features, ref+"."+f.GetFeature())
		if view, err := s.registry.Catalog().PastView(ref); err == nil {
			view.SourceColumns(f.GetFeature(), columns)
		}
	}
	shown.SourceColumns = slices.Sorted(maps.Keys(columns))
	return shown
}

// find finds a read on whose service the caller may act.
func (s *readLogService) find(ctx context.Context, action access.Action, readID string) (*headwaterv1.LoggedRead, error) {
	r, err := s.reads.Find(ctx, readID)
	if err != nil {
		return nil, missing(ctx, action, access.KindService, err)
	}
	return r, requireOr(ctx, action, access.KindService, r.GetService(), readlog.NotFound(readID))
}

// ListReads lists those of services whose lineage the caller may read. Whom reads were of is told by their keys, so to ask for the reads of an
// entity is to read them.
func (s *readLogService) ListReads(ctx context.Context, req *headwaterv1.ListReadsRequest) (*headwaterv1.ListReadsResponse, error) {
	catalog := s.registry.Catalog()
	f := readlog.Filter{PredictionID: req.GetPredictionId(), Limit: int(req.GetLimit()), After: req.GetBefore()}
	if f.Limit == 0 {
		f.Limit = defaultReads
	}
	if req.GetSince() != nil {
		f.Since = req.GetSince().AsTime()
	}
	if req.GetUntil() != nil {
		f.Until = req.GetUntil().AsTime()
	}
	action := access.ActionReadLineage
	if req.GetEntity() != "" {
		action = access.ActionReadOffline
	}
	if ref := req.GetService(); ref != "" {
		// The guard has decided that the caller may know of it.
		service, err := catalog.PastService(ref)
		if err != nil {
			return nil, err
		}
		if action != access.ActionReadLineage {
			if err := access.Require(ctx, action, access.KindService, service.Name); err != nil {
				return nil, err
			}
		}
		f.Services = []string{service.Name}
		if _, version, ok := strings.Cut(ref, "@"); ok {
			n, err := strconv.ParseInt(version, 10, 32)
			if err != nil {
				return nil, err
			}
			f.Version = int32(n)
		}
	} else {
		var names []string
		for _, v := range catalog.ServiceVersions() {
			names = append(names, v.Name)
		}
		var err error
		names, err = access.Filter(ctx, action, access.KindService, slices.Compact(names), func(name string) string { return name })
		if err != nil {
			return nil, err
		}
		f.Services = append([]string{}, names...)
	}
	if req.GetEntity() != "" {
		entity, err := entityOf(catalog, req.GetEntity())
		if err != nil {
			return nil, err
		}
		if _, f.Key, err = forgottenKey(entity, req.GetKeys()); err != nil {
			return nil, err
		}
		f.Entity = entity.Name
	} else if len(req.GetKeys()) > 0 {
		return nil, fault.New(fault.InvalidArgument, "keys: found some without an entity, expected the name of the entity whose keys they are").
			Violating(fault.Violation{Field: "entity", Description: "found nothing beside keys, expected the name of an entity"})
	}
	reads, next, err := s.reads.List(ctx, f)
	if err != nil {
		return nil, err
	}
	for _, r := range reads {
		r.Policy = appliedFor(ctx, r.GetPrincipal(), r.GetPolicy())
	}
	return &headwaterv1.ListReadsResponse{Reads: reads, Next: next}, nil
}

// serviceAsRead is the service of a read at the versions of views that it was answered with.
func (s *readLogService) serviceAsRead(r *headwaterv1.LoggedRead) (*feature.ServiceVersion, error) {
	catalog := s.registry.Catalog()
	service, err := catalog.PastService(serviceOf(r))
	if err != nil {
		return nil, err
	}
	if !service.Follows() {
		return service, nil
	}
	versions := map[string]int{}
	for _, p := range r.GetProvenance() {
		versions[p.GetView()] = int(p.GetViewVersion())
	}
	for _, f := range r.GetFeatures() {
		versions[f.GetView()] = int(f.GetViewVersion())
	}
	return service.Follow(func(view string) []*feature.ViewVersion {
		if n, list := versions[view], catalog.VersionsOf(view); n >= 1 && n <= len(list) {
			return list[n-1 : n]
		}
		return nil
	}, func(*feature.ViewVersion) (bool, error) { return true, nil })
}
