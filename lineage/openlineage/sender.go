package openlineage

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/outbox"
)

// Config is where events go, and what they call things.
type Config struct {
	Pool  *pgxpool.Pool
	Names Names
	// Version of the binary.
	Version string
	// URL is an endpoint that takes events by POST, with APIKey as a bearer token if there is one. File is a file that they are appended to.
	// At most one of both is given; with none, nothing is sent, and messages are deleted when they are old.
	URL, APIKey, File string
	// Keep is how long an event that cannot be delivered is kept. Default: DefaultKeep.
	Keep time.Duration
	// Timeout bounds one attempt. Default: DefaultTimeout.
	Timeout time.Duration
	Log     *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
	// every is how often is looked for messages; for tests.
	every time.Duration
}

const (
	DefaultKeep    = 7 * 24 * time.Hour
	DefaultTimeout = 10 * time.Second
	// sweepEvery is how often is looked for messages that are too old, and for builds that ended with their servers.
	sweepEvery = time.Minute
)

// Sender delivers events of what the outbox holds. Of all servers one does at a time.
type Sender struct {
	Config
	// sender is nil where nobody is told.
	sender  *outbox.Sender
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// Start begins to deliver. Close ends it.
func Start(c Config) (*Sender, error) {
	c.Keep, c.Timeout = cmp.Or(c.Keep, DefaultKeep), cmp.Or(c.Timeout, DefaultTimeout)
	s := &Sender{Config: c}
	var transport outbox.Transport
	switch {
	case c.URL != "":
		if err := CheckURL(c.URL); err != nil {
			return nil, err
		}
		transport = newHTTP(c.URL, c.APIKey, c.Timeout)
	case c.File != "":
		transport = &fileTransport{c.File}
	}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.stopped.Go(func() { s.sweepOld(ctx) })
	if transport != nil {
		s.sender = outbox.Send(outbox.SenderConfig{
			Pool: c.Pool, Channel: outbox.OpenLineage, Name: "OpenLineage", Transport: transport, Keep: c.Keep, Log: c.Log, Count: c.Metrics.count, Every: c.every,
			Begin: func(ctx context.Context, conn *pgx.Conn) (outbox.Render, error) {
				r, err := newRenderer(ctx, conn, c.Names, c.Version)
				if err != nil {
					return nil, err
				}
				return r.render, nil
			},
		})
	}
	return s, nil
}

// Close ends the delivery. What was not delivered is, by the next server that sends.
func (s *Sender) Close() {
	s.stop()
	s.stopped.Wait()
	if s.sender != nil {
		s.sender.Close()
	}
}

// sweepOld deletes messages that are older than they are kept, and notes which builds of datasets ended with their servers: every server does, also
// one that sends nothing.
func (s *Sender) sweepOld(ctx context.Context) {
	for {
		if err := outbox.AbandonDatasets(ctx, s.Pool); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "OpenLineage: that builds of datasets ended with their servers cannot be noted; it is tried again", "error", err)
		}
		gone, err := outbox.DeleteOld(ctx, s.Pool, s.Keep)
		switch {
		case err != nil && ctx.Err() == nil:
			s.Log.WarnContext(ctx, "OpenLineage: old messages of the outbox cannot be deleted; it is tried again", "error", err)
		case err == nil && gone > 0 && s.sender != nil:
			s.Metrics.add("given_up", float64(gone))
			s.Log.ErrorContext(ctx, "OpenLineage: events were given up, which nobody took for as long as they are kept", "events", gone, "keep", s.Keep.String())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepEvery):
		}
	}
}
