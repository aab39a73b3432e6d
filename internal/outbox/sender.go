package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Channel is whom messages are for.
type Channel string

const (
	// OpenLineage are those who are told in its events. Notices are yet to be given to the webhooks that want them.
	OpenLineage Channel = ""
	Notices     Channel = "notice"
)

// SenderConfig is what messages of a channel become, and where they go.
type SenderConfig struct {
	Pool    *pgxpool.Pool
	Channel Channel
	// Name begins what is logged.
	Name      string
	Transport Transport
	// Begin makes, for the messages of a pass, what renders one: what is sent, or nil where nothing is to be. nil: messages have what is sent.
	Begin func(ctx context.Context, conn *pgx.Conn) (Render, error)
	// Keep is how long messages are kept, to be told in the log.
	Keep time.Duration
	// ParkAfter is after how long a message is parked that is tried and not taken, so that those behind it go on. 0: it is tried until it is deleted.
	ParkAfter time.Duration
	Log       *slog.Logger
	// Count counts what became of messages: delivered, failed or parked. nil: nobody does.
	Count func(result string)
	// Every is how often is looked for messages. Default: 500 ms.
	Every time.Duration
}

// Render makes what is sent of a message.
type Render func(ctx context.Context, topic Topic, payload []byte, at time.Time) ([]byte, error)

const (
	// sendEvery is how often the sender looks for messages, and lockEvery how often the other servers look whether there is one.
	sendEvery = 500 * time.Millisecond
	lockEvery = 2 * time.Second
	// batch is how many messages are read at once.
	batch = 200
	// minBackoff, doubled after each attempt up to MaxBackoff, is how long a message waits that was not taken.
	minBackoff = time.Second
	MaxBackoff = time.Minute
	// givenUp failures in a row end a pass: the receiver is away, and not a message wrong.
	givenUp = 3
)

// Sender delivers what the outbox holds of a channel. Of all servers one does at a time.
type Sender struct {
	SenderConfig
	conn *pgx.Conn
	// failing is set while nothing is taken, so that it is logged once.
	failing bool
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// Send begins to deliver. Close ends it.
func Send(c SenderConfig) *Sender {
	c.Every = cmp.Or(c.Every, sendEvery)
	s := &Sender{SenderConfig: c}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.stopped.Go(func() { s.deliver(ctx) })
	return s
}

// Close ends the delivery. What was not delivered is, by the next server that sends.
func (s *Sender) Close() {
	s.stop()
	s.stopped.Wait()
	s.Transport.Close()
}

func (s *Sender) deliver(ctx context.Context) {
	defer s.disconnect()
	for ctx.Err() == nil {
		wait, err := s.pass(ctx)
		if err != nil && ctx.Err() == nil {
			s.disconnect()
			s.Log.WarnContext(ctx, s.Name+": the outbox cannot be read; it is tried again", "error", err)
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
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtextextended($1, 0))`, s.lock()).Scan(&locked)
	if err != nil || !locked {
		return false, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	s.conn = conn
	return true, nil
}

// lock names the advisory lock that the one sender of all servers holds. OpenLineage's is as it was before there were others.
func (s *Sender) lock() string {
	if s.Channel == OpenLineage {
		return "headwater.openlineage"
	}
	return "headwater.outbox." + string(s.Channel)
}

type message struct {
	ID             int64
	Topic          Topic
	Subject        string
	Payload, Event []byte
	At             time.Time
	Attempts       int
}

// selectDue reads messages in their order, but for those behind one of their subject that waits.
const selectDue = `
	SELECT o.id, o.topic, o.subject, o.payload, o.event, o.created_at, o.attempts FROM headwater.outbox o
	WHERE o.channel = $2 AND o.parked_at IS NULL AND (o.not_before IS NULL OR o.not_before <= clock_timestamp())
		AND NOT EXISTS (SELECT FROM headwater.outbox b WHERE b.channel = o.channel AND b.subject = o.subject AND b.id < o.id AND b.parked_at IS NULL
			AND b.not_before > clock_timestamp())
	ORDER BY o.id LIMIT $1`

// pass delivers what is due, and returns how long to wait before the next.
func (s *Sender) pass(ctx context.Context) (time.Duration, error) {
	if ok, err := s.connect(ctx); err != nil || !ok {
		return lockEvery, err
	}
	rows, err := s.conn.Query(ctx, selectDue, batch, s.Channel)
	if err != nil {
		return 0, err
	}
	messages, err := pgx.CollectRows(rows, pgx.RowToStructByPos[message])
	if err != nil || len(messages) == 0 {
		return s.Every, err
	}
	var r Render
	if s.Begin != nil {
		if r, err = s.Begin(ctx, s.conn); err != nil {
			return 0, err
		}
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
		err := s.conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.outbox WHERE channel = $1 AND parked_at IS NULL AND attempts > 0)`, s.Channel).Scan(&s.failing)
		if err != nil {
			return 0, err
		}
		if !s.failing {
			s.Log.InfoContext(ctx, s.Name+": events are delivered again")
		}
	}
	if len(messages) < batch {
		return s.Every, nil
	}
	return 0, nil
}

// one delivers a message, and reports whether it needs to be tried again. An error is of Postgres.
func (s *Sender) one(ctx context.Context, r Render, m *message) (done bool, err error) {
	if m.Event == nil && r != nil {
		if m.Event, err = r(ctx, m.Topic, m.Payload, m.At); err != nil {
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
	err = s.Transport.Send(ctx, m.Event)
	var refused *Refusal
	switch {
	case err == nil:
		s.count("delivered")
		return true, s.forget(ctx, m)
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.As(err, &refused):
		return true, s.park(ctx, m, refused.Error())
	case s.ParkAfter > 0 && time.Since(m.At) > s.ParkAfter && m.Attempts > 0:
		return true, s.park(ctx, m, fmt.Sprintf("not taken for %s: %v", s.ParkAfter, err))
	}
	s.count("failed")
	if !s.failing {
		s.failing = true
		s.Log.WarnContext(ctx, s.Name+": an event was not taken; events wait, and are tried again until they are too old. This is not said "+
			"again until none waits for another try", "keep", s.Keep.String(), "error", err)
	}
	wait := backoff(m.Attempts)
	var b *Busy
	if errors.As(err, &b) {
		wait = max(wait, b.After)
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
	s.count("parked")
	s.Log.ErrorContext(ctx, s.Name+": an event is not tried again", "message", m.ID, "subject", m.Subject, "topic", m.Topic, "error", why)
	_, err := s.conn.Exec(ctx, `UPDATE headwater.outbox SET attempts = attempts + 1, error = $2, parked_at = clock_timestamp() WHERE id = $1`, m.ID, why)
	return err
}

// backoff is how long to wait after the attempt behind so many others, with jitter.
func backoff(attempts int) time.Duration {
	wait := min(minBackoff<<min(attempts, 10), MaxBackoff)
	return wait*3/4 + rand.N(wait/2)
}

func (s *Sender) count(result string) {
	if s.Count != nil {
		s.Count(result)
	}
}
