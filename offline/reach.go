package offline

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// countTimeout is how long it may take to count the rows of a table of others for a plan.
const countTimeout = time.Second

// ErrNotCounted says that the rows of a table of others could not be counted in time, or not be read.
var ErrNotCounted = errors.New("the rows of a table of others were not counted")

// Reach is how many rows there are for a view to read, and the span of event times that they lie in, empty without rows: of
// its sources the rows of the loads that count and of the tables that others keep, of the views it reads the rows that are
// live. ErrNotCounted leaves the transaction usable.
func (d *Databases) Reach(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (rows int64, span Span, err error) {
	for _, src := range v.SourceVersions {
		if src.Postgres != nil {
			n, s, err := d.countForeign(ctx, tx, src)
			if err != nil {
				return 0, Span{}, err
			}
			rows += n
			span = span.Union(s)
			continue
		}
		loads, err := ListLoads(ctx, tx, src.Name)
		if err != nil {
			return 0, Span{}, err
		}
		for _, l := range loads {
			if l.RetractReason == "" && l.EndedBy == 0 && l.Rows > 0 {
				rows += l.Rows
				span = span.Union(l.span())
			}
		}
	}
	for _, w := range v.ViewVersions {
		var live int64
		err := tx.QueryRow(ctx, `SELECT coalesce(sum(live_rows), 0) FROM headwater.view_state WHERE view_id = $1`, w.ID).Scan(&live)
		if err != nil {
			return 0, Span{}, err
		}
		rows += live
		if live == 0 {
			continue
		}
		covered, err := ReadSpans(ctx, tx, "covered", `FROM headwater.view_state WHERE view_id = $1`, w.ID)
		if err != nil {
			return 0, Span{}, err
		}
		span = span.Union(covered.Hull())
	}
	return rows, span, nil
}

// countForeign counts the rows of a table of others, with the span of their event times.
func (d *Databases) countForeign(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion) (rows int64, span Span, err error) {
	sp, err := tx.Begin(ctx)
	if err != nil {
		return 0, Span{}, err
	}
	limited, cancel := context.WithTimeout(ctx, 2*countTimeout)
	defer cancel()
	err = func() error {
		if err := pinSession(ctx, sp); err != nil {
			return err
		}
		// Postgres keeps the time in Headwater's own database, since a context that ends would end the caller's connection.
		within := ctx
		if src.Postgres.Database != "" {
			within = limited
		}
		return d.with(within, sp, src, func(r *relation) error {
			if _, err := r.tx.Exec(within, `SELECT set_config('statement_timeout', $1, true)`,
				strconv.FormatInt(countTimeout.Milliseconds(), 10)); err != nil {
				return err
			}
			columns, err := r.seen(within)
			if err != nil {
				return err
			}
			if span, err = r.bounds(within, columns); err != nil {
				return err
			}
			return r.tx.QueryRow(within, fmt.Sprintf("SELECT count(*) FROM %s", quote(src.Postgres.Schema, src.Postgres.Table))).Scan(&rows)
		})
	}()
	if undone := sp.Rollback(context.WithoutCancel(ctx)); undone != nil {
		return 0, Span{}, errors.Join(err, undone)
	}
	if err != nil && ctx.Err() == nil {
		return 0, Span{}, ErrNotCounted
	}
	return rows, span, err
}
