package openlineage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/outbox"
)

// renderer makes the events of messages, of the records that were committed with them.
type renderer struct {
	maker
	q            database.Querier
	names        Names
	version      string
	installation uuid.UUID
}

func newRenderer(ctx context.Context, q database.Querier, names Names, version string) (*renderer, error) {
	r := &renderer{maker: newMaker(version), q: q, names: names, version: version}
	var id string
	if err := q.QueryRow(ctx, `SELECT id::text FROM headwater.installation`).Scan(&id); err != nil {
		return nil, err
	}
	var err error
	r.installation, err = uuid.Parse(id)
	return r, err
}

// render makes the event of a message, or nil where nothing is to be sent: what it was about is not there any more, or it tells of the end of
// a run whose attempts have all been told of.
func (r *renderer) render(ctx context.Context, topic outbox.Topic, payload []byte, at time.Time) ([]byte, error) {
	var e *Event
	var err error
	switch topic {
	case outbox.RunStarted, outbox.RunPlanned, outbox.RunPublished, outbox.RunFailed, outbox.RunCancelled, outbox.RunInterrupted, outbox.RunAbandoned:
		e, err = decoded(payload, func(p outbox.Run) (*Event, error) { return r.run(ctx, topic, p, at) })
	case outbox.DatasetStarted, outbox.DatasetBuilt, outbox.DatasetFailed:
		e, err = decoded(payload, func(p outbox.Dataset) (*Event, error) { return r.dataset(ctx, topic, p, at) })
	case outbox.DefinitionApplied:
		e, err = decoded(payload, func(p outbox.Definition) (*Event, error) { return r.applied(ctx, p, at) })
	default:
		return nil, fmt.Errorf("the topic %q is not known", topic)
	}
	if errors.Is(err, errGone) {
		return nil, nil
	}
	if err != nil || e == nil {
		return nil, err
	}
	return e.encode()
}

func decoded[P any](payload []byte, do func(P) (*Event, error)) (*Event, error) {
	var p P
	if err := json.Unmarshal(payload, &p); err != nil {
		return nil, err
	}
	return do(p)
}

// calendar is a time as RFC 3339 has it, cut to the years that that has.
func calendar(t time.Time) string { return timestamp(feature.TimeOf(t).Calendar()) }

// applied is the JobEvent of a view, or the DatasetEvent of a source.
func (r *renderer) applied(ctx context.Context, p outbox.Definition, at time.Time) (*Event, error) {
	d, err := readVersion(ctx, r.q, p.Kind, p.Name, p.Version)
	if err != nil {
		return nil, err
	}
	switch p.Kind {
	case "view":
		if d.view().GetOnDemand() != nil {
			// It is computed when it is read: nothing runs.
			return nil, nil
		}
		j, err := r.viewJob(ctx, d)
		if err != nil {
			return nil, err
		}
		e := r.event("JobEvent", at)
		j.event(e)
		return e, nil
	case "source":
		name := r.names.source(d)
		e := r.event("DatasetEvent", at)
		e.Dataset = &Dataset{Namespace: name.Namespace, Name: name.Name, Facets: r.ofSource(name, d)}
		e.Dataset.Facets["version"] = r.maker.version(d.ref())
		return e, nil
	}
	return nil, nil
}

// collect runs a query whose rows are the fields of T, in order.
func collect[T any](ctx context.Context, q database.Querier, sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}
