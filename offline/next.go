package offline

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// The first run of a view version finds its history empty. It then fills a table beside it, without a key, and puts that in
// the history's place when the key is there: a COPY and a key after it take half of what a COPY under a key does. Until then
// readers have the history as it was, empty and with its key, and the moment in which the tables change places is all that
// they may wait for. The table is logged, as the history is, since chunks of a run that are committed must outlive a crash.

// keyMemory is what Postgres may use to sort a key's rows, unless it is told to use more anyway.
const keyMemory = 256 << 10 // kB

// nextName is the name of the table that becomes the history of a view version by its run seq.
func nextName(v *feature.ViewVersion, seq int64) string { return fmt.Sprintf("next_%d_s%d", v.ID, seq) }

func nextTable(v *feature.ViewVersion, seq int64) string {
	return quote(stagingSchema, nextName(v, seq))
}

// createNext makes the table that becomes the history, where no run of the view version was ever published.
func createNext(ctx context.Context, tx pgx.Tx, t *Transform, seq int64) (empty bool, err error) {
	v := t.View
	if t.Plan.After > 0 {
		return false, nil
	}
	err = tx.QueryRow(ctx, "SELECT NOT EXISTS (SELECT FROM "+historyTable(v)+")").Scan(&empty)
	if err != nil || !empty {
		return false, err
	}
	return true, database.CreateTable(ctx, tx, database.Table{
		Kind: database.History, Schema: stagingSchema, Name: nextName(v, seq), Columns: historyShape(v, fmt.Sprint(seq)),
		DistributionColumn: "entity_key",
	})
}

// hasNext reports whether a run is filling the table that becomes the history.
func hasNext(ctx context.Context, q database.Querier, v *feature.ViewVersion, seq int64) (has bool, err error) {
	err = q.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", nextTable(v, seq)).Scan(&has)
	return has, err
}

func dropNext(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion, seq int64) error {
	_, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+nextTable(v, seq))
	return err
}

// adoptNext gives the table its key and puts it in the history's place, once it has been seen to hold as many rows as were
// produced.
func adoptNext(ctx context.Context, tx pgx.Tx, t *Transform, seq, produced int64) error {
	v := t.View
	next := nextTable(v, seq)
	_, err := tx.Exec(ctx, `SELECT set_config('maintenance_work_mem', $1 || 'kB', true) FROM pg_settings
		WHERE name = 'maintenance_work_mem' AND setting::bigint < $1::bigint`, fmt.Sprint(keyMemory))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf("ALTER TABLE %s ADD %s", next, historyKey))
	if f := t.twice(err, 1); f != nil {
		return f
	}
	if err != nil {
		return err
	}
	// Without statistics the count below would go by way of the key, row by row.
	if _, err := tx.Exec(ctx, "ANALYZE "+next); err != nil {
		return err
	}
	var rows int64
	if err := tx.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM %s WHERE seq_from = %d AND seq_to = %d", next, seq, int64(SeqLive))).Scan(&rows); err != nil {
		return err
	}
	if rows != produced {
		return t.breaks(LiveRowsAreTheOutput, "the ledger does not balance: %d rows are live in the run's interval after it, and it produced %d; "+
			"nothing was published", rows, produced)
	}
	for _, statement := range []string{
		"ALTER TABLE " + next + " ALTER COLUMN seq_from DROP DEFAULT",
		fmt.Sprintf("CREATE INDEX ON %s %s", next, historyTimes),
		"DROP TABLE " + historyTable(v),
		fmt.Sprintf("ALTER TABLE %s SET SCHEMA %s", next, quote(historySchema)),
		fmt.Sprintf("ALTER TABLE %s RENAME TO %s", quote(historySchema, nextName(v, seq)), quote(historyName(v))),
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
