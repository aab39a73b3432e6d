package offline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Written is what a run did to its history table.
type Written struct {
	// Produced is the rows of the output, Unchanged those that were live already.
	Produced, Unchanged int64
	// Inserted is the rows that begin at this run, Withdrawn those that end at it: corrected or gone.
	Inserted, Withdrawn int64
	// Live is the rows that are live after it, in the whole table, counted; -1 when none was written or ended.
	Live int64
	// Digest is that of the output, free of order and sequences.
	Digest feature.Digest
}

// Write runs the transform and makes the history of its span equal to the output, as sequence seq: rows that are equal
// stay, live rows that are not in the output end, and the others begin. It is one transaction on conn, which is another
// connection than the transform's; fence is called in it first and last, and an error of it undoes all. What is written
// is not visible until seq is published.
func Write(ctx context.Context, conn *pgx.Conn, t *Transform, seq int64, fence func(context.Context, pgx.Tx) error) (*Written, error) {
	w := &Written{}
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := fence(ctx, tx); err != nil {
			return err
		}
		staging, err := stage(ctx, tx, t, seq, w)
		if err != nil {
			return err
		}
		if err := apply(ctx, tx, t, staging, seq, w); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DROP TABLE "+staging); err != nil {
			return err
		}
		return fence(ctx, tx)
	})
	var pg *pgconn.PgError
	if fault.As(err) == nil && errors.As(err, &pg) && strings.HasPrefix(pg.Code, "54") {
		err = t.refuse("a row of its output is more than Postgres can hold: %s; give the view fewer or shorter columns", pg.Message)
	}
	return w, err
}

// stage COPYs the output into a table that no other transaction ever sees, since this one drops it again.
func stage(ctx context.Context, tx pgx.Tx, t *Transform, seq int64, w *Written) (table string, err error) {
	name := fmt.Sprintf("%s_s%d", historyName(t.View), seq)
	table = quote(stagingSchema, name)
	var b strings.Builder
	b.WriteString(`entity_key text COLLATE "C" NOT NULL, event_time timestamptz NOT NULL, available_at timestamptz NOT NULL`)
	for _, c := range t.View.Stored() {
		fmt.Fprintf(&b, ", %s %s", quote(c.Name), columnType(c.Type))
	}
	err = database.CreateTable(ctx, tx, database.Table{
		Kind: database.Staging, Schema: stagingSchema, Name: name, Columns: b.String(), DistributionColumn: "entity_key",
	})
	if err != nil {
		return "", err
	}
	var digest feature.SetDigest
	var encoding []byte
	columns := historyColumns(t.View)
	added := func(r *feature.Row) {
		encoding = r.AppendCanonical(encoding[:0])
		digest.Add(encoding)
		w.Produced++
	}
	if len(t.corrections) > 0 {
		err = stageStates(ctx, tx, t, table, seq, added)
	} else {
		err = copyIn(ctx, tx.Conn(), table, columns, func(e *copyEncoder) error {
			return t.stateRows(ctx, 0, func(r *feature.Row) error {
				added(r)
				e.beginRow(len(columns))
				e.row(r)
				return e.err
			})
		})
	}
	if err != nil {
		return "", err
	}
	w.Digest = digest.Digest()
	// Distinct from the history's own key only in the sequence, so that two rows of one moment cannot both be live.
	_, err = tx.Exec(ctx, "ALTER TABLE "+table+" ADD PRIMARY KEY (entity_key, event_time, available_at)")
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" {
		return "", t.breaks(OneRowPerMoment, "found more than one row for (entity_key, event_time, available_at) = (%s), expected one; "+
			"group by the join keys, or make the times distinct", duplicateIn(pg.Detail))
	}
	if err == nil {
		_, err = tx.Exec(ctx, "ANALYZE "+table)
	}
	return table, err
}

// duplicateIn is the values that Postgres names in the detail of a unique violation: `Key (…)=(VALUES) is duplicated.`
func duplicateIn(detail string) string {
	_, values, _ := strings.Cut(detail, ")=(")
	return strings.TrimSuffix(strings.TrimSuffix(values, "."), ") is duplicated")
}

// apply closes, then inserts, then checks that the live rows of the span are the output, no more and no less.
func apply(ctx context.Context, tx pgx.Tx, t *Transform, staging string, seq int64, w *Written) error {
	history := historyTable(t.View)
	same := []string{"s.entity_key = h.entity_key", "s.event_time = h.event_time", "s.available_at = h.available_at"}
	for _, c := range t.View.Stored() {
		same = append(same, fmt.Sprintf("s.%[1]s IS NOT DISTINCT FROM h.%[1]s", quote(c.Name)))
	}
	grain := t.View.RunGrain()
	owned := fmt.Sprintf("h.seq_to = %d AND %s", int64(SeqLive), t.Plan.Owned.shift(grain).Condition("h.event_time"))

	tag, err := tx.Exec(ctx, fmt.Sprintf(`UPDATE %s h SET seq_to = %d WHERE %s AND NOT EXISTS (SELECT 1 FROM %s s WHERE %s)`,
		history, seq, owned, staging, strings.Join(same, " AND ")))
	if err != nil {
		return err
	}
	w.Withdrawn = tag.RowsAffected()

	columns := quoteAll("", historyColumns(t.View))
	tag, err = tx.Exec(ctx, fmt.Sprintf(`
		INSERT INTO %s (%s, seq_from) SELECT %s, %d FROM %s s
		WHERE NOT EXISTS (SELECT 1 FROM %s h WHERE h.seq_to = %d AND %s)
		ORDER BY s.entity_key, s.event_time, s.available_at`,
		history, columns, quoteAll("s.", historyColumns(t.View)), seq, staging,
		history, int64(SeqLive), strings.Join(same[:3], " AND ")))
	if err != nil {
		return err
	}
	w.Inserted = tag.RowsAffected()
	w.Unchanged = w.Produced - w.Inserted

	var live int64
	if err := tx.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) FROM %s h WHERE %s`, history, owned)).Scan(&live); err != nil {
		return err
	}
	if live != w.Produced {
		return t.breaks(LiveRowsAreTheOutput, "the ledger does not balance: %d rows are live in the run's interval after it, and it produced %d; "+
			"nothing was published", live, w.Produced)
	}
	if w.Live = -1; w.Inserted == 0 && w.Withdrawn == 0 {
		return nil
	}
	return tx.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) FROM %s WHERE seq_to = %d`, history, int64(SeqLive))).Scan(&w.Live)
}

// Undo takes back what an unpublished run wrote: its rows go, and the rows that it ended are live again. Doing it twice
// changes nothing more. The caller holds the view's lease.
func Undo(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion, seq int64) error {
	_, err := tx.Exec(ctx, fmt.Sprintf(`DELETE FROM %s WHERE seq_from = $1`, historyTable(v)), seq)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`UPDATE %s SET seq_to = $2 WHERE seq_to = $1`, historyTable(v)), seq, int64(SeqLive))
	return err
}
