package openlineage

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
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
	// sendEvery is how often the sender looks for messages, and lockEvery how often the other servers look whether there is one.
	sendEvery = 500 * time.Millisecond
	lockEvery = 2 * time.Second
	// sweepEvery is how often is looked for messages that are too old, and for builds that ended with their servers.
	sweepEvery = time.Minute
	// batch is how many messages are read at once.
	batch = 200
	// minBackoff, doubled after each attempt up to maxBackoff, is how long a message waits that was not taken.
	minBackoff = time.Second
	maxBackoff = time.Minute
	// givenUp failures in a row end a pass: the receiver is away, and not a message wrong.
	givenUp = 3
)

// sendingLock is the advisory lock that the one sender of all servers holds.
const sendingLock = `hashtextextended('headwater.openlineage', 0)`

// Sender delivers what the outbox holds. Of all servers one does at a time.
type Sender struct {
	Config
	transport transport
	conn      *pgx.Conn
	// failing is set while nothing is taken, so that it is logged once.
	failing bool
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// Start begins to deliver. Close ends it.
func Start(c Config) (*Sender, error) {
	c.Keep, c.Timeout, c.every = cmp.Or(c.Keep, DefaultKeep), cmp.Or(c.Timeout, DefaultTimeout), cmp.Or(c.every, sendEvery)
	s := &Sender{Config: c}
	switch {
	case c.URL != "":
		if err := CheckURL(c.URL); err != nil {
			return nil, err
		}
		s.transport = newHTTP(c.URL, c.APIKey, c.Timeout)
	case c.File != "":
		s.transport = &fileTransport{c.File}
	}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.stopped.Go(func() { s.sweepOld(ctx) })
	if s.transport != nil {
		s.stopped.Go(func() { s.deliver(ctx) })
	}
	return s, nil
}

// Close ends the delivery. What was not delivered is, by the next server that sends.
func (s *Sender) Close() {
	s.stop()
	s.stopped.Wait()
	if s.transport != nil {
		s.transport.close()
	}
}

func (s *Sender) deliver(ctx context.Context) {
	defer s.disconnect()
	for ctx.Err() == nil {
		wait, err := s.pass(ctx)
		if err != nil && ctx.Err() == nil {
			s.disconnect()
			s.Log.WarnContext(ctx, "OpenLineage: the outbox cannot be read; it is tried again", "error", err)
			wait = lockEvery
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// disconnect gives the lock back.
func (s *Sender) disconnect() {
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx)
	s.conn = nil
}

// connect takes the lock, on a connection of the sender's own, or returns false when another server has it.
func (s *Sender) connect(ctx context.Context) (bool, error) {
	if s.conn != nil {
		return true, nil
	}
	conn, err := pgx.ConnectConfig(ctx, s.Pool.Config().ConnConfig.Copy())
	if err != nil {
		return false, err
	}
	var locked bool
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(`+sendingLock+`)`).Scan(&locked)
	if err != nil || !locked {
		return false, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	s.conn = conn
	return true, nil
}

type message struct {
	ID             int64
	Topic          outbox.Topic
	Subject        string
	Payload, Event []byte
	At             time.Time
	Attempts       int
}

// selectDue reads messages in their order, but for those behind one of their subject that waits.
const selectDue = `
	SELECT o.id, o.topic, o.subject, o.payload, o.event, o.created_at, o.attempts FROM headwater.outbox o
	WHERE o.parked_at IS NULL AND (o.not_before IS NULL OR o.not_before <= clock_timestamp())
		AND NOT EXISTS (SELECT FROM headwater.outbox b WHERE b.subject = o.subject AND b.id < o.id AND b.parked_at IS NULL
			AND b.not_before > clock_timestamp())
	ORDER BY o.id LIMIT $1`

// pass delivers what is due, and returns how long to wait before the next.
func (s *Sender) pass(ctx context.Context) (time.Duration, error) {
	if ok, err := s.connect(ctx); err != nil || !ok {
		return lockEvery, err
	}
	rows, err := s.conn.Query(ctx, selectDue, batch)
	if err != nil {
		return 0, err
	}
	messages, err := pgx.CollectRows(rows, pgx.RowToStructByPos[message])
	if err != nil || len(messages) == 0 {
		return s.every, err
	}
	r, err := newRenderer(ctx, s.conn, s.Names, s.Version)
	if err != nil {
		return 0, err
	}
	waits := map[string]bool{}
	// failed is how many were not taken, inARow how many of them one after the other.
	failed, inARow := 0, 0
	for i := range messages {
		m := &messages[i]
		if waits[m.Subject] {
			continue
		}
		taken, err := s.one(ctx, r, m)
		if err != nil {
			return 0, err
		}
		if taken {
			inARow = 0
			continue
		}
		waits[m.Subject] = true
		failed++
		if inARow++; inARow == givenUp {
			return minBackoff, nil
		}
	}
	if failed == 0 && s.failing {
		err := s.conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.outbox WHERE parked_at IS NULL AND attempts > 0)`).Scan(&s.failing)
		if err != nil {
			return 0, err
		}
		if !s.failing {
			s.Log.InfoContext(ctx, "OpenLineage: events are delivered again")
		}
	}
	if len(messages) < batch {
		return s.every, nil
	}
	return 0, nil
}

// one delivers a message, and reports whether it needs to be tried again. An error is of Postgres.
func (s *Sender) one(ctx context.Context, r *renderer, m *message) (done bool, err error) {
	if m.Event == nil {
		if m.Event, err = r.render(ctx, m.Topic, m.Payload, m.At); err != nil {
			if s.conn.IsClosed() || ctx.Err() != nil {
				return false, err
			}
			return true, s.park(ctx, m, "no event can be made of it: "+err.Error())
		}
		if m.Event == nil {
			return true, s.forget(ctx, m)
		}
		// Kept before it is sent, so that it is the same if it is sent again.
		if _, err := s.conn.Exec(ctx, `UPDATE headwater.outbox SET event = $2 WHERE id = $1`, m.ID, m.Event); err != nil {
			return false, err
		}
	}
	err = s.transport.send(ctx, m.Event)
	var refused *refusal
	switch {
	case err == nil:
		s.Metrics.count("delivered")
		return true, s.forget(ctx, m)
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.As(err, &refused):
		return true, s.park(ctx, m, refused.Error())
	}
	s.Metrics.count("failed")
	if !s.failing {
		s.failing = true
		s.Log.WarnContext(ctx, "OpenLineage: an event was not taken; events wait, and are tried again until they are too old. This is not said "+
			"again until none waits for another try", "keep", s.Keep.String(), "error", err)
	}
	wait := backoff(m.Attempts)
	var b *busy
	if errors.As(err, &b) {
		wait = max(wait, b.after)
	}
	_, err = s.conn.Exec(ctx, `UPDATE headwater.outbox SET attempts = attempts + 1, error = $2,
		not_before = clock_timestamp() + $3 * interval '1 microsecond' WHERE id = $1`, m.ID, err.Error(), wait.Microseconds())
	return false, err
}

func (s *Sender) forget(ctx context.Context, m *message) error {
	_, err := s.conn.Exec(ctx, `DELETE FROM headwater.outbox WHERE id = $1`, m.ID)
	return err
}

// park keeps a message, with why, for the operator, and out of the way of others.
func (s *Sender) park(ctx context.Context, m *message, why string) error {
	s.Metrics.count("parked")
	s.Log.ErrorContext(ctx, "OpenLineage: an event is not tried again", "message", m.ID, "subject", m.Subject, "topic", m.Topic, "error", why)
	_, err := s.conn.Exec(ctx, `UPDATE headwater.outbox SET attempts = attempts + 1, error = $2, parked_at = clock_timestamp() WHERE id = $1`, m.ID, why)
	return err
}

// backoff is how long to wait after the attempt behind so many others, with jitter.
func backoff(attempts int) time.Duration {
	wait := min(minBackoff<<min(attempts, 10), maxBackoff)
	return wait*3/4 + rand.N(wait/2)
}

// sweepOld deletes messages that are older than they are kept, and notes which builds of datasets ended with their servers: every server does, also
// one that sends nothing.
func (s *Sender) sweepOld(ctx context.Context) {
	for {
		if err := outbox.AbandonDatasets(ctx, s.Pool); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "OpenLineage: that builds of datasets ended with their servers cannot be noted; it is tried again", "error", err)
		}
		tag, err := s.Pool.Exec(ctx, `DELETE FROM headwater.outbox WHERE created_at < clock_timestamp() - $1 * interval '1 microsecond'`, s.Keep.Microseconds())
		switch {
		case err != nil && ctx.Err() == nil:
			s.Log.WarnContext(ctx, "OpenLineage: old messages of the outbox cannot be deleted; it is tried again", "error", err)
		case err == nil && tag.RowsAffected() > 0 && s.transport != nil:
			s.Metrics.add("given_up", float64(tag.RowsAffected()))
			s.Log.ErrorContext(ctx, "OpenLineage: events were given up, which nobody took for as long as they are kept", "events", tag.RowsAffected(),
				"keep", s.Keep.String())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepEvery):
		}
	}
}
