package lineage

import (
	"context"
	"time"

	"github.com/headwaterhq/headwater/internal/database"
)

// Instant is a moment of the graph. Runs are there by the publish log, everything else by when it was committed.
type Instant struct {
	// Position is the last one that was published.
	Position int64
	// Before is the first time of which nothing is in the graph.
	Before time.Time
}

// At is the moment of a position: up to when the next one was published. Where t is not nil it is that time, of which position is the
// last one.
func At(ctx context.Context, q database.Querier, position int64, t *time.Time) (Instant, error) {
	at := Instant{Position: position}
	var now time.Time
	var next *time.Time
	err := q.QueryRow(ctx, `SELECT clock_timestamp(), (SELECT published_at FROM headwater.publish_log WHERE position = $1 + 1)`, position).Scan(&now, &next)
	if err != nil {
		return at, err
	}
	switch {
	case t != nil && t.Before(now):
		at.Before = t.Truncate(time.Microsecond).Add(time.Microsecond)
	case next != nil:
		at.Before = *next
	default:
		at.Before = now
	}
	return at, nil
}

// orNow is the instant, or now where it is zero.
func (at Instant) orNow(ctx context.Context, q database.Querier) (Instant, error) {
	if at != (Instant{}) {
		return at, nil
	}
	err := q.QueryRow(ctx, `SELECT position, clock_timestamp() FROM headwater.publish_head`).Scan(&at.Position, &at.Before)
	return at, err
}

// positions finds the position of each time: the last one published by then, 0 for none.
func positions(ctx context.Context, q database.Querier, times map[time.Time]int64) error {
	if len(times) == 0 {
		return nil
	}
	list := make([]time.Time, 0, len(times))
	for t := range times {
		list = append(list, t)
	}
	type found struct {
		Place    int64
		Position int64
	}
	rows, err := collect[found](ctx, q, `
		SELECT t.place, coalesce((SELECT p.position FROM headwater.publish_log p WHERE p.published_at <= t.t ORDER BY p.published_at DESC, p.position DESC LIMIT 1), 0)
		FROM unnest($1::timestamptz[]) WITH ORDINALITY AS t (t, place)`, list)
	for _, r := range rows {
		times[list[r.Place-1]] = r.Position
	}
	return err
}
