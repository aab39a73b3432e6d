package offline

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// The publish log orders everything that readers can see. A position in it is the one clock of the system: at position P
// each view version is read at its last sequence published by P.

// Head is the newest position, 0 before the first run was published.
func Head(ctx context.Context, q database.Querier) (position int64, err error) {
	err = q.QueryRow(ctx, `SELECT position FROM headwater.publish_head`).Scan(&position)
	return position, err
}

// Publish appends a run to the log and returns its position. Until tx commits, no other run is published, so the order of
// the log is the order of commits: the caller does it last.
func Publish(ctx context.Context, tx pgx.Tx, viewID, seq, runID int64) (position int64, err error) {
	err = tx.QueryRow(ctx, `
		WITH head AS (UPDATE headwater.publish_head SET position = position + 1 RETURNING position)
		INSERT INTO headwater.publish_log (position, view_id, seq, run_id, published_at)
		SELECT position, $1, $2, $3, clock_timestamp() FROM head
		RETURNING position`, viewID, seq, runID).Scan(&position)
	return position, err
}

// ViewAt is a view version at a position.
type ViewAt struct {
	// Seq is the last sequence published by then, 0 for none.
	Seq int64
	// Covered is what the runs up to then covered.
	Covered Spans
	// Looked is when the newest of them that looked at all that there was did: all runs but those of an interval. nil: none did.
	Looked *feature.Time
}

// At reads where a view version stood at a position.
func At(ctx context.Context, q database.Querier, viewID, position int64) (ViewAt, error) {
	var at ViewAt
	err := q.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM headwater.publish_log WHERE view_id = $1 AND position <= $2`,
		viewID, position).Scan(&at.Seq)
	if err != nil {
		return at, err
	}
	if at.Covered, err = coveredAt(ctx, q, viewID, at.Seq); err != nil {
		return at, err
	}
	// Runs of older servers kept no plan. They looked after they were queued.
	var looked *int64
	err = q.QueryRow(ctx, `
		SELECT max(coalesce((plan->>'now')::bigint, (extract(epoch FROM queued_at) * 1000000)::bigint)) FROM headwater.run
		WHERE view_id = $1 AND seq <= $2 AND state = 'published' AND scope <> 'interval'`, viewID, at.Seq).Scan(&looked)
	at.Looked = (*feature.Time)(looked)
	return at, err
}

// Unread is the event time from which on loads into the landing sources of a view have rows that lie beyond all that its runs
// up to a sequence saw: they came later, and no run that looks at all there is has been published since. nil: there are none.
// Rows that came late, of times that runs did see, are not among them.
func Unread(ctx context.Context, q database.Querier, v *feature.ViewVersion, seq int64) (from *feature.Time, err error) {
	for _, source := range v.SourceVersions {
		if source.Postgres != nil {
			continue
		}
		var first *time.Time
		err := q.QueryRow(ctx, `
			WITH seen AS (
				SELECT max((plan->'marks'->'sources'->>$1)::bigint) AS number FROM headwater.run
				WHERE view_id = $2 AND seq <= $3 AND state = 'published' AND scope <> 'interval'
			), last AS (
				SELECT coalesce(max(event_time_max), '-infinity') AS event_time FROM headwater.load, seen
				WHERE source = $1 AND load.number <= seen.number
			)
			SELECT min(greatest(l.event_time_min, last.event_time + interval '1 microsecond')) FROM headwater.load l, seen, last
			WHERE l.source = $1 AND l.number > seen.number AND l.event_time_max > last.event_time
				AND NOT EXISTS (SELECT FROM headwater.load e WHERE e.ends = l.id)`, source.Name, v.ID, seq).Scan(&first)
		if err != nil {
			return nil, err
		}
		if first != nil {
			if t := feature.TimeOf(*first); from == nil || t < *from {
				from = &t
			}
		}
	}
	return from, nil
}

// coveredAt is what the published runs of a view version covered up to a sequence.
func coveredAt(ctx context.Context, q database.Querier, viewID, seq int64) (Spans, error) {
	return ReadSpans(ctx, q, "r.spans", `FROM headwater.run r WHERE r.view_id = $1 AND r.seq <= $2 AND r.state = 'published'`, viewID, seq)
}

// ResolveAsOf turns `pos:17`, `run:VIEW@2/5` (just after that run), an RFC 3339 time or "" (now) into a position.
func ResolveAsOf(ctx context.Context, q database.Querier, asOf string) (int64, error) {
	head, err := Head(ctx, q)
	if err != nil || asOf == "" {
		return head, err
	}
	if s, ok := strings.CutPrefix(asOf, "pos:"); ok {
		p, err := strconv.ParseInt(s, 10, 64)
		if err != nil || p < 0 {
			return 0, badAsOf(asOf)
		}
		if p > head {
			return 0, fault.New(fault.NotFound, "position %d is not reached yet; the newest is %d", p, head)
		}
		return p, nil
	}
	if s, ok := strings.CutPrefix(asOf, "run:"); ok {
		view, version, seq, ok := ParseRunRef(s)
		if !ok {
			return 0, badAsOf(asOf)
		}
		var p int64
		err := q.QueryRow(ctx, `
			SELECT p.position FROM headwater.publish_log p JOIN headwater.definition d ON d.id = p.view_id
			WHERE d.kind = 'view' AND d.name = $1 AND d.version = $2 AND p.seq = $3`, view, version, seq).Scan(&p)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, fault.New(fault.NotFound, "no run %s was published; see `headwater runs list --view %s`", s, view)
		}
		return p, err
	}
	t, err := time.Parse(time.RFC3339Nano, asOf)
	if err != nil {
		return 0, badAsOf(asOf)
	}
	var p int64
	// The newest time first, so that one entry of its index is read.
	err = q.QueryRow(ctx, `
		SELECT coalesce((SELECT position FROM headwater.publish_log WHERE published_at <= $1 ORDER BY published_at DESC, position DESC LIMIT 1), 0)`, t).Scan(&p)
	return p, err
}

func badAsOf(s string) error {
	return fault.New(fault.InvalidArgument,
		"as-of: found %q, expected `pos:N`, `run:VIEW@VERSION/SEQ` or a time such as 2001-02-01T00:00:00Z", s)
}

// ParseRunRef reads `VIEW@VERSION/SEQ`.
func ParseRunRef(s string) (view string, version int, seq int64, ok bool) {
	view, rest, ok := strings.Cut(s, "@")
	if !ok {
		return "", 0, 0, false
	}
	ver, num, ok := strings.Cut(rest, "/")
	if !ok {
		return "", 0, 0, false
	}
	n, err := strconv.ParseInt(ver, 10, 32)
	if err != nil || n < 1 {
		return "", 0, 0, false
	}
	seq, err = strconv.ParseInt(num, 10, 64)
	return view, int(n), seq, err == nil && seq > 0
}
