package openlineage

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
)

// Waiting is what the outbox holds.
type Waiting struct {
	// Waiting are messages that wait to be sent, Tried those of them that were not taken yet, and Parked those that their receiver refused.
	Waiting, Tried, Parked int64
	// Oldest is when the oldest that waits was written. nil: none waits.
	Oldest   *time.Time
	Subjects []WaitingSubject
}

// WaitingSubject is what the outbox holds about one thing.
type WaitingSubject struct {
	// First is the id of the first message about it, and Topic and Oldest are that one's.
	First int64
	// Subject is as the messages have it, but of a run with a sequence `run:VIEW@VERSION/SEQ`.
	Subject, Topic  string
	Waiting, Parked int64
	Oldest          time.Time
	// Attempts are those of the message that was tried most often.
	Attempts int
	// NextTry is when the first that waits is tried again. nil: at once, or none waits.
	NextTry *time.Time
	// Error is why the newest that was tried was not taken. Empty: none was tried.
	Error string
}

// ReadWaiting reads what the outbox holds: of all, how many, and what is about the first limit subjects behind the one whose first message is after.
func ReadWaiting(ctx context.Context, q database.Querier, after int64, limit int) (w Waiting, err error) {
	err = q.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE parked_at IS NULL), count(*) FILTER (WHERE parked_at IS NULL AND attempts > 0),
			count(*) FILTER (WHERE parked_at IS NOT NULL), min(created_at) FILTER (WHERE parked_at IS NULL)
		FROM headwater.outbox`).Scan(&w.Waiting, &w.Tried, &w.Parked, &w.Oldest)
	if err != nil {
		return w, err
	}
	rows, err := q.Query(ctx, `
		SELECT min(id), coalesce('run:' || max(payload ->> 'run'), subject), (array_agg(topic ORDER BY id))[1],
			count(*) FILTER (WHERE parked_at IS NULL), count(*) FILTER (WHERE parked_at IS NOT NULL), min(created_at), max(attempts),
			(array_agg(CASE WHEN not_before > clock_timestamp() THEN not_before END ORDER BY id) FILTER (WHERE parked_at IS NULL))[1],
			coalesce((array_agg(error ORDER BY id DESC) FILTER (WHERE error IS NOT NULL))[1], '')
		FROM headwater.outbox GROUP BY subject HAVING min(id) > $1 ORDER BY min(id) LIMIT $2`, after, limit)
	if err != nil {
		return w, err
	}
	w.Subjects, err = pgx.CollectRows(rows, pgx.RowToStructByPos[WaitingSubject])
	return w, err
}
