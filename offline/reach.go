package offline

import (
	"context"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// Reach is how many rows there are for a view to read, and the span of event times that they lie in, empty without rows: of
// its sources the rows of the loads that count, of the views it reads the rows that are live. Tables that others keep are not
// looked into.
func Reach(ctx context.Context, q database.Querier, v *feature.ViewVersion) (rows int64, span Span, err error) {
	for _, src := range v.SourceVersions {
		if src.Postgres != nil {
			continue
		}
		loads, err := ListLoads(ctx, q, src.Name)
		if err != nil {
			return 0, Span{}, err
		}
		for _, l := range loads {
			if l.RetractReason == "" && l.EndedBy == 0 && l.Rows > 0 {
				rows += l.Rows
				span = span.Union(Span{Start: feature.TimeOf(*l.EventTimeMin), End: feature.TimeOf(*l.EventTimeMax) + 1})
			}
		}
	}
	for _, w := range v.ViewVersions {
		var live int64
		var from, to *time.Time
		err := q.QueryRow(ctx, `SELECT coalesce(sum(live_rows), 0), min(covered_from), max(covered_to) FROM headwater.view_state
			WHERE view_id = $1`, w.ID).Scan(&live, &from, &to)
		if err != nil {
			return 0, Span{}, err
		}
		rows += live
		if live > 0 && from != nil && to != nil {
			span = span.Union(Span{Start: feature.TimeOf(*from), End: feature.TimeOf(*to)})
		}
	}
	return rows, span, nil
}
