package server

import (
	"cmp"
	"context"
	"net/url"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/outbox"
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
	if err := s.metrics.registry.Register(outbox.Gauges(s.pool)); err != nil {
		return err
	}
	metrics, err := openlineage.NewMetrics(s.metrics.registry)
	if err != nil {
		return err
	}
	c := s.config.OpenLineage
	s.events, err = openlineage.Start(openlineage.Config{
		Pool: s.pool, Names: names, Version: s.config.Version, URL: c.URL, APIKey: c.APIKey, File: c.File, Keep: c.Keep, Log: s.config.Log, Metrics: metrics,
	})
	return err
}

// receiver is where events go, without what may be secret of it; empty where nobody is told.
func (o OpenLineage) receiver() string {
	if o.File != "" {
		return "file:" + o.File
	}
	u, err := url.Parse(o.URL)
	if err != nil || o.URL == "" {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// defaultOutbox is how many subjects a page has unless it is said.
const defaultOutbox = 100

// GetOutbox says what waits to be told to others.
func (s *lineageService) GetOutbox(ctx context.Context, req *headwaterv1.GetOutboxRequest) (*headwaterv1.GetOutboxResponse, error) {
	after := int64(0)
	if token := req.GetPageToken(); token != "" {
		var err error
		if after, err = strconv.ParseInt(token, 10, 64); err != nil || after < 1 {
			return nil, fault.New(fault.InvalidArgument, "page_token: found %q, expected the next_page_token of the page before", token)
		}
	}
	limit := cmp.Or(int(req.GetPageSize()), defaultOutbox)
	w, err := outbox.ReadWaiting(ctx, s.pool, after, limit+1)
	if err != nil {
		return nil, database.Fault(err)
	}
	resp := &headwaterv1.GetOutboxResponse{Receiver: s.receiver, Waiting: w.Waiting, Parked: w.Parked, Tried: w.Tried, Oldest: timestampOf(w.Oldest)}
	for i, subject := range w.Subjects {
		if i == limit {
			resp.NextPageToken = strconv.FormatInt(w.Subjects[i-1].First, 10)
			break
		}
		resp.Subjects = append(resp.Subjects, &headwaterv1.OutboxSubject{
			Subject: subject.Subject, Topic: subject.Topic, Waiting: subject.Waiting, Parked: subject.Parked, Oldest: timestamppb.New(subject.Oldest),
			Attempts: int32(subject.Attempts), NextTry: timestampOf(subject.NextTry), Error: subject.Error, Receiver: subject.Receiver,
		})
	}
	return resp, nil
}

// ResendOutbox has what was parked be tried again.
func (s *lineageService) ResendOutbox(ctx context.Context, req *headwaterv1.ResendOutboxRequest) (*headwaterv1.ResendOutboxResponse, error) {
	n, err := outbox.Resend(ctx, s.pool, req.GetSubjects(), req.GetReceiver())
	if err != nil {
		return nil, database.Fault(err)
	}
	return &headwaterv1.ResendOutboxResponse{Resent: n}, nil
}
