package offline

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

const (
	// tendRows is how many rows of a load are more than a few ranges of the BRIN index.
	tendRows = 10_000
	// statisticsRows is how many rows of a load Postgres must know of, if they are largePart of the table: it expects hardly any of a load
	// that is not in its statistics, and joins the rows of such loads each with each.
	statisticsRows = 1_000
	largePart      = 20
	// largeRows is how many rows of a load are worth waiting for an autovacuum.
	largeRows = 100_000
)

// tendLanding prepares the landing table for the run that reads a load next, as an autovacuum would some minutes later. A range of
// blocks that the index of event times does not sum up is read by every chunk of a run, and of a load that is not in its statistics
// Postgres expects no rows. Summing up is also the first look at the rows, which marks them as committed: now, while their blocks
// are still to be written, and not in a later checkpoint's time, once more. The load is committed: what fails here costs later
// runs some time, and nothing else.
func tendLanding(ctx context.Context, db beginner, src *feature.SourceVersion, l *Load) {
	if l.Rows < statisticsRows {
		return
	}
	table := quote(landingSchema, src.Name)
	_ = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var before float64
		if err := tx.QueryRow(ctx, `SELECT reltuples FROM pg_class WHERE oid = $1::text::regclass`, table).Scan(&before); err != nil {
			return err
		}
		little := float64(l.Rows)*largePart < before
		// An autovacuum of the table gives way to who waits for a second. It would have to come again for a large load.
		patience := "100ms"
		if l.Rows >= largeRows && !little {
			patience = "5s"
		}
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '"+patience+"'"); err != nil {
			return err
		}
		if l.Rows >= tendRows {
			if err := summarize(ctx, tx, table); err != nil {
				return err
			}
		}
		if little {
			return nil
		}
		// An ANALYZE of some columns leaves the others to the next autovacuum, as it would be without this one.
		_, err := tx.Exec(ctx, "ANALYZE "+table+" (_load, "+quote(src.EventTime)+")")
		return err
	})
}

// summarize has the index of event times sum up the blocks that it does not.
func summarize(ctx context.Context, tx pgx.Tx, table string) error {
	_, err := tx.Exec(ctx, `
		SELECT brin_summarize_new_values(i.indexrelid::regclass)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam AND a.amname = 'brin'
		WHERE i.indrelid = $1::text::regclass`, table)
	return err
}
