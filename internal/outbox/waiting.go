package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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
	// Receiver is `openlineage`, or `webhook:NAME`.
	Receiver string
}

// ReadWaiting reads what the outbox holds: of all, how many, and what is about the first limit subjects behind the one whose first message is after.
func ReadWaiting(ctx context.Context, q database.Querier, after int64, limit int) (w Waiting, err error) {
	err = q.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE parked_at IS NULL), count(*) FILTER (WHERE parked_at IS NULL AND attempts > 0),
			count(*) FILTER (WHERE parked_at IS NOT NULL), min(created_at) FILTER (WHERE parked_at IS NULL)
		FROM headwater.outbox WHERE channel <> 'notice'`).Scan(&w.Waiting, &w.Tried, &w.Parked, &w.Oldest)
	if err != nil {
		return w, err
	}
	rows, err := q.Query(ctx, `
		SELECT min(id), coalesce('run:' || max(payload ->> 'run'), subject), (array_agg(topic ORDER BY id))[1],
			count(*) FILTER (WHERE parked_at IS NULL), count(*) FILTER (WHERE parked_at IS NOT NULL), min(created_at), max(attempts),
			(array_agg(CASE WHEN not_before > clock_timestamp() THEN not_before END ORDER BY id) FILTER (WHERE parked_at IS NULL))[1],
			coalesce((array_agg(error ORDER BY id DESC) FILTER (WHERE error IS NOT NULL))[1], ''), CASE channel WHEN '' THEN 'openlineage' ELSE channel END
		FROM headwater.outbox WHERE channel <> 'notice' GROUP BY channel, subject HAVING min(id) > $1 ORDER BY min(id) LIMIT $2`, after, limit)
	if err != nil {
		return w, err
	}
	w.Subjects, err = pgx.CollectRows(rows, pgx.RowToStructByPos[WaitingSubject])
	return w, err
}

// Resend has messages that were parked be tried again, and returns how many: about the subjects, as WaitingSubject has them, or about all, for a receiver or for all.
func Resend(ctx context.Context, pool *pgxpool.Pool, subjects []string, receiver string) (int64, error) {
	tag, err := pool.Exec(ctx, `
		UPDATE headwater.outbox SET parked_at = NULL, not_before = NULL, attempts = 0 WHERE parked_at IS NOT NULL
			AND ($1::text[] IS NULL OR subject = ANY ($1) OR 'run:' || (payload ->> 'run') = ANY ($1))
			AND ($2 = '' OR CASE channel WHEN '' THEN 'openlineage' ELSE channel END = $2)`, subjects, receiver)
	return tag.RowsAffected(), err
}

// DeleteOld deletes messages for OpenLineage's receivers that are older than they are kept, and returns how many.
func DeleteOld(ctx context.Context, pool *pgxpool.Pool, keep time.Duration) (int64, error) {
	return deleteOld(ctx, pool, `channel = ''`, keep)
}

// DeleteOldNotices deletes those for webhooks.
func DeleteOldNotices(ctx context.Context, pool *pgxpool.Pool, keep time.Duration) (int64, error) {
	return deleteOld(ctx, pool, `channel <> ''`, keep)
}

func deleteOld(ctx context.Context, pool *pgxpool.Pool, which string, keep time.Duration) (int64, error) {
	tag, err := pool.Exec(ctx, `DELETE FROM headwater.outbox WHERE `+which+` AND created_at < clock_timestamp() - $1 * interval '1 microsecond'`, keep.Microseconds())
	return tag.RowsAffected(), err
}
