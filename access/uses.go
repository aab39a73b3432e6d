package access

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
)

// Usage is a reading of data that was allowed, as query_history has it: what somebody was given, or what a run that was published had read.
type Usage struct {
	// Writer and Number name the record.
	Writer string
	Number int64
	// Time is that of the first of Calls.
	Time      time.Time
	Principal string
	// Use is `materialize` for a run, and Store `online` or `offline`.
	Use, Store string
	// Resource is `KIND:NAME[@VERSION]`, or `run:VIEW@VERSION/SEQ`.
	Resource string
	Purpose  string
	Calls    int64
	ReadID   string
	Dataset  string
	// Features, VIEW@VERSION.FEATURE, are those that were given out, and Sources the names of those that were read.
	Features, Sources []string
}

// UsageFilter chooses readings: of a source or a column of one, or runs of views.
type UsageFilter struct {
	// Source is the name of the source that is behind, and Column that of its column, "" for any.
	Source, Column string
	// Runs are the view versions, NAME@VERSION, of which runs are meant: of those that read the source where there is a Column, and of no
	// other reading where there is no Source.
	Runs []string
	// Since is the time of the last call of the oldest. Zero: all that is kept.
	Since time.Time
	// Before is the reading behind which the next ones are wanted. nil: the newest.
	Before *UsageKey
	Limit  int
}

// UsageKey is where a reading stands among all.
type UsageKey struct {
	Time   time.Time
	Writer string
	Number int64
}

// Usages lists readings, the newest first.
func Usages(ctx context.Context, db DB, f UsageFilter) ([]Usage, error) {
	var before UsageKey
	if f.Before != nil {
		before = *f.Before
	}
	rows, err := db.Query(ctx, `
		SELECT h.writer, h.number, h.time, h.principal, h.use, h.store, h.resource, h.purpose, h.calls, h.read_id, h.dataset, h.features, h.sources
		FROM headwater.query_history h
		WHERE CASE WHEN $1 = '' THEN h.use = 'materialize' AND split_part(substr(h.resource, 5), '/', 1) = ANY ($3)
				WHEN $2 = '' THEN $1 = ANY (h.sources)
				ELSE $1 || '.' || $2 = ANY (h.source_columns)
					OR h.use = 'materialize' AND $1 = ANY (h.sources) AND split_part(substr(h.resource, 5), '/', 1) = ANY ($3) END
			AND ($4::timestamptz IS NULL OR h.day >= ($4 AT TIME ZONE 'UTC')::date - 1 AND h.time >= $4::timestamptz - interval '1 minute'
				AND coalesce(h.last_time, h.time) >= $4)
			AND ($5::timestamptz IS NULL OR (h.time, h.writer, h.number) < ($5, $6, $7))
		ORDER BY h.time DESC, h.writer DESC, h.number DESC LIMIT $8`,
		f.Source, f.Column, f.Runs, nullTime(f.Since), nullTime(before.Time), before.Writer, before.Number, f.Limit)
	if err != nil {
		return nil, database.Fault(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Usage])
	return list, database.Fault(err)
}
