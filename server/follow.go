package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/registry"
)

// servedEvery is how often it is looked for view versions that can be served anew.
const servedEvery = 500 * time.Millisecond

// served follows which view versions have rows online: a run of them is published, and its rows are loaded. Services that
// follow a view as published move online only to such a version, for until its rows are loaded every value of it would be
// missing. A version that was served once stays served. While Postgres is away nothing is added.
type served struct {
	versions atomic.Pointer[map[int64]bool]
	stop     context.CancelFunc
	stopped  chan struct{}
}

func followServed(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) (*served, error) {
	s := &served{stopped: make(chan struct{})}
	s.versions.Store(&map[int64]bool{})
	if err := s.look(ctx, pool); err != nil {
		return nil, err
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(s.stopped)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(servedEvery):
			}
			if err := s.look(ctx, pool); err != nil {
				log.DebugContext(ctx, "reading which view versions are served", "error", err)
			}
		}
	}()
	return s, nil
}

func (s *served) close() {
	s.stop()
	<-s.stopped
}

// look adds the versions that are served and not known to be.
func (s *served) look(ctx context.Context, pool *pgxpool.Pool) error {
	known := *s.versions.Load()
	ids := make([]int64, 0, len(known))
	for id := range known {
		ids = append(ids, id)
	}
	rows, err := pool.Query(ctx, `
		SELECT s.view_id FROM headwater.view_state s
		WHERE s.published_seq > 0 AND s.view_id <> ALL ($1)
			AND EXISTS (SELECT FROM headwater.run r WHERE r.view_id = s.view_id AND r.online_state = 'loaded')`, ids)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(found) == 0 {
		return err
	}
	now := make(map[int64]bool, len(known)+len(found))
	for _, id := range append(ids, found...) {
		now[id] = true
	}
	s.versions.Store(&now)
	return nil
}

// follow is the service with the views that it follows at the versions that are read online now.
func (s *served) follow(catalog *registry.Catalog, service *feature.ServiceVersion) (*feature.ServiceVersion, error) {
	if !service.Follows() {
		return service, nil
	}
	versions := *s.versions.Load()
	return service.Follow(catalog.VersionsOf, func(v *feature.ViewVersion) (bool, error) { return versions[v.ID], nil })
}

// followedVersions tells plans of one service version apart.
func followedVersions(s *feature.ServiceVersion) string {
	if !s.Follows() {
		return ""
	}
	var b strings.Builder
	for i := range s.Pins {
		if pin := &s.Pins[i]; pin.Published {
			fmt.Fprintf(&b, "%s ", pin.View.Ref())
		}
	}
	return b.String()
}

// describe says where the followed views of a service stand online, and why newer versions are not read.
func (s *served) describe(catalog *registry.Catalog, ref string) []*followedView {
	service, err := catalog.PastService(ref)
	if err != nil {
		return nil
	}
	versions := *s.versions.Load()
	now, err := s.follow(catalog, service)
	if err != nil {
		return nil
	}
	var list []*followedView
	for i := range service.Pins {
		pin := &service.Pins[i]
		if !pin.Published {
			continue
		}
		f := &followedView{view: pin.View.Name, version: now.Pins[i].View.Version}
		for _, v := range catalog.VersionsOf(pin.View.Name) {
			if v.Version <= f.version {
				continue
			}
			why := pin.Misfit(v)
			if why == "" && !versions[v.ID] {
				why = "no run of it is published and loaded online"
			}
			f.passedOver = append(f.passedOver, fmt.Sprintf("%s: %s", v.Ref(), why))
		}
		list = append(list, f)
	}
	return list
}

type followedView struct {
	view       string
	version    int
	passedOver []string
}

// follow makes the plans of datasets of a service that follows views as published: at the versions that are published at the
// dataset's position. nil for a service that follows none.
func (s *datasetService) follow(service *feature.ServiceVersion, plan func(*feature.ServiceVersion) (*read.Plan, error)) func(context.Context, int64) (*read.Plan, error) {
	if !service.Follows() {
		return nil
	}
	return func(ctx context.Context, position int64) (*read.Plan, error) {
		followed, err := service.Follow(s.registry.Catalog().VersionsOf, func(v *feature.ViewVersion) (bool, error) {
			at, err := offline.At(ctx, s.pool, v.ID, position)
			return at.Seq > 0, err
		})
		if err != nil {
			return nil, err
		}
		return plan(followed)
	}
}

// followed is the service with the views that it follows at the versions that a dataset was built of.
func (s *datasetService) followed(service *feature.ServiceVersion, m *dataset.Manifest) (*feature.ServiceVersion, error) {
	if !service.Follows() {
		return service, nil
	}
	catalog := s.registry.Catalog()
	return service.Follow(func(view string) []*feature.ViewVersion {
		if n, list := m.Followed[view], catalog.VersionsOf(view); n >= 1 && n <= len(list) {
			return list[n-1 : n]
		}
		return nil
	}, func(*feature.ViewVersion) (bool, error) { return true, nil })
}
