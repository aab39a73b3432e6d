package offline

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
)

// InputsByTime counts the rows of the inputs that count, in what the run owns, by buckets of event time of a width: bucket n begins n widths after the epoch.
// Of each input it counts at most that many buckets.
func (t *Transform) InputsByTime(ctx context.Context, width time.Duration, most int) (map[int64]int64, error) {
	rows := map[int64]int64{}
	err := t.Within(ctx, func(tx pgx.Tx) error {
		for _, in := range t.Inputs {
			from := fmt.Sprintf("%s AS %s WHERE %s", in.table, quote(in.Source.Name), in.Considered(t.Plan.Owned))
			if err := countByTime(ctx, tx, rows, quote(in.Source.EventTime), from, width, most); err != nil {
				return err
			}
		}
		for _, in := range t.ViewInputs {
			if err := countByTime(ctx, tx, rows, eventTimeColumn, "("+in.query(t.View, t.Plan.Owned)+") AS shown", width, most); err != nil {
				return err
			}
		}
		return nil
	})
	return rows, err
}

func countByTime(ctx context.Context, q database.Querier, into map[int64]int64, column, from string, width time.Duration, most int) error {
	rows, err := q.Query(ctx, fmt.Sprintf("SELECT floor(extract(epoch FROM %s) * 1000000 / %d)::bigint, count(*) FROM %s GROUP BY 1 LIMIT %d", column, width.Microseconds(), from, most))
	if err != nil {
		return err
	}
	var bucket, n int64
	_, err = pgx.ForEachRow(rows, []any{&bucket, &n}, func() error {
		into[bucket] += n
		return nil
	})
	return err
}
