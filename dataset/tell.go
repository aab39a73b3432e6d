package dataset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/outbox"
)

// telling is what others are told of a build: that it began and how it ended, in one, so that nothing is told of a build that ends with its
// server, of which there is nothing.
type telling struct {
	began time.Time
	// manifest is nil until the spine is there: what ends before that was refused, and did not begin.
	manifest *Manifest
}

// tellTimeout bounds how long the caller of a build that failed waits for it to be told.
const tellTimeout = 5 * time.Second

func (t *telling) built(ctx context.Context, tx pgx.Tx) error {
	return t.tell(ctx, tx, outbox.DatasetBuilt, outbox.Dataset{})
}

func (t *telling) tell(ctx context.Context, tx pgx.Tx, ended outbox.Topic, about outbox.Dataset) error {
	m := t.manifest
	about.ID, about.Name = m.ID, m.Name
	if m.Service != "" {
		about.Service = fmt.Sprintf("%s@%d", m.Service, m.ServiceVersion)
	}
	subject := outbox.DatasetSubject(m.ID)
	began := outbox.Dataset{ID: about.ID, Name: about.Name, Service: about.Service}
	return outbox.Add(ctx, tx,
		outbox.Message{Topic: outbox.DatasetStarted, Subject: subject, Payload: began, At: t.began},
		outbox.Message{Topic: ended, Subject: subject, Payload: about})
}

// tellFailed is tell for a build that failed. One that cannot be told is not: the caller has the error.
func (b *Builder) tellFailed(ctx context.Context, t *telling, cause error) {
	if t.manifest == nil {
		return
	}
	about := outbox.Dataset{Stopped: ctx.Err() != nil || errors.Is(cause, context.Canceled), Error: "the build failed"}
	if f := fault.As(database.Fault(cause)); f != nil {
		// What it says may be of the spine, which is the caller's.
		about.Error += fmt.Sprintf(" with %s", f.Reason)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	_ = pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error { return t.tell(ctx, tx, outbox.DatasetFailed, about) })
}
