package server

import (
	"cmp"
	"time"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/lineage/openlineage"
)

// OpenLineage is who is told, in OpenLineage's events, what is run, built and applied. Zero: nobody.
type OpenLineage struct {
	// URL is an endpoint that takes events by POST, with APIKey as a bearer token if there is one. File is a file that they are appended to,
	// in the place of an endpoint.
	URL, APIKey, File string
	// Namespace is that of jobs and datasets of ours. Default: openlineage.DefaultNamespace.
	Namespace string
	// PostgresHost is `HOST:PORT` of Headwater's own database as others know it. Default: as PostgresURL has it.
	PostgresHost string
	// Keep is how long an event that cannot be delivered is kept. Default: openlineage.DefaultKeep.
	Keep time.Duration
}

// openLineageNames is what events call things.
func (s *Server) openLineageNames() (openlineage.Names, error) {
	names := openlineage.Names{
		Namespace: cmp.Or(s.config.OpenLineage.Namespace, openlineage.DefaultNamespace),
		Postgres:  openlineage.DatabaseOf(s.pool.Config().ConnConfig), Sources: map[string]openlineage.Database{},
		Redis: openlineage.RedisNamespace(s.config.RedisURL), RedisPrefix: s.config.RedisPrefix,
	}
	if host := s.config.OpenLineage.PostgresHost; host != "" {
		names.Postgres.Namespace = "postgres://" + host
	}
	for name, url := range s.config.SourceDatabases {
		config, err := database.ConnConfig(url)
		if err != nil {
			return names, err
		}
		names.Sources[name] = openlineage.DatabaseOf(config)
	}
	return names, nil
}

// tellOthers begins to deliver what the outbox holds.
func (s *Server) tellOthers() error {
	names, err := s.openLineageNames()
	if err != nil {
		return err
	}
	metrics, err := openlineage.NewMetrics(s.metrics.registry, s.pool)
	if err != nil {
		return err
	}
	c := s.config.OpenLineage
	s.events, err = openlineage.Start(openlineage.Config{
		Pool: s.pool, Names: names, Version: s.config.Version, URL: c.URL, APIKey: c.APIKey, File: c.File, Keep: c.Keep, Log: s.config.Log, Metrics: metrics,
	})
	return err
}
