package materialize

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/offline"
)

// LeftOut is rows of an input that the run did not use. nil in the run's record: it is from before it was kept.
type LeftOut struct {
	Quarantined, Dropped, TooLate int64
	// Newest is the event time of the newest row of the source, read or not. nil: there was none.
	Newest *time.Time
}

// leftOut is what became of the rows of an input, duplicates and rows that withdraw others besides.
func leftOut(in *offline.Input) *LeftOut {
	sum := func(lists ...[]offline.Reason) (n int64) {
		for _, list := range lists {
			for _, r := range list {
				n += r.Rows
			}
		}
		return n
	}
	l := &LeftOut{Quarantined: sum(in.Quarantined), Dropped: sum(in.LeftOutAtLoad), TooLate: sum(in.TooLate), Newest: timeOrNil(in.Newest)}
	if in.LeftOut != nil {
		l.Quarantined += sum(in.LeftOut.Quarantined)
		l.Dropped += sum(in.LeftOut.Dropped)
	}
	return l
}

// ReadOf is what a view version read of a source, as of the newest of its published runs that read rows of it.
type ReadOf struct {
	ViewID int64
	Source string
	Rows   int64
	LeftOut
	EndedAt time.Time
}

// maxReadRuns is how many published runs of a view version are looked through for one that read rows.
const maxReadRuns = 50

// LastRead is what view versions read of sources, of runs that ended from a time on, and of which it is kept.
func LastRead(ctx context.Context, q database.Querier, views []int64, since time.Time) ([]ReadOf, error) {
	rows, err := q.Query(ctx, `
		SELECT DISTINCT ON (v.id, i.source) v.id, i.source, i.rows_read, i.quarantined, i.dropped, i.too_late, i.newest, n.ended_at
		FROM unnest($1::bigint[]) AS v (id) CROSS JOIN LATERAL (SELECT x.id, x.ended_at FROM headwater.run x WHERE x.view_id = v.id AND x.state = 'published'
			AND x.ended_at >= $2 ORDER BY x.id DESC LIMIT $3) n JOIN headwater.run_input i ON i.run_id = n.id
		WHERE i.rows_read > 0 AND i.quarantined IS NOT NULL ORDER BY v.id, i.source, n.id DESC`, views, since, maxReadRuns)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r ReadOf, err error) {
		err = row.Scan(&r.ViewID, &r.Source, &r.Rows, &r.Quarantined, &r.Dropped, &r.TooLate, &r.Newest, &r.EndedAt)
		return r, err
	})
}
