package offline

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/read"
)

// AsOf is a view version at one of its sequences.
type AsOf struct {
	View *feature.ViewVersion
	// Seq is the last sequence that is visible, 0 for none.
	Seq int64
	// TTL is how long after its event time a row may be used; zero: for ever.
	TTL time.Duration
}

// SpineRow asks for the winners of one entity at one time.
type SpineRow struct {
	// Number orders the answers. Distinct within a spine.
	Number int64
	// Key is the entity's encoded join keys. Used only until the next row.
	Key []byte
	At  feature.Time
}

// PointInTime finds, for each row of a spine and each of the views (all of one entity), the winner of the point-in-time
// rule: of the rows with the spine row's key that are visible at the view's sequence, with event_time <= t, available_at
// <= t and, for a view with a TTL, event_time >= t - ttl, the one with the greatest (event_time, available_at).
//
// emit is called once per spine row, by ascending number, with a winner per view; it may keep the winners. name must be
// unique among running calls: the spine is staged under it, in a transaction on conn that drops it again.
func PointInTime(ctx context.Context, conn *pgx.Conn, name string, views []AsOf, spine iter.Seq2[SpineRow, error],
	emit func(number int64, winners []read.Winner) error,
) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		table, err := stageSpine(ctx, tx, name, spine)
		if err != nil {
			return err
		}
		if err := joinSpine(ctx, tx, table, views, emit); err != nil {
			return err
		}
		// Dropped and committed, not rolled back: Postgres writes a commit to its log before it takes the table's files away,
		// and a rollback after. Where it dies between the two, its next recovery stumbles over what is left of an unlogged
		// table, and does not start.
		_, err = tx.Exec(ctx, "DROP TABLE "+table)
		return err
	})
}

// joinSpine emits the winners of a staged spine.
func joinSpine(ctx context.Context, tx pgx.Tx, table string, views []AsOf, emit func(number int64, winners []read.Winner) error) error {
	// A nested loop over the history's key is the plan; compiling it costs more than it saves.
	for _, set := range []string{`SET LOCAL jit = off`, `SET LOCAL work_mem = '64MB'`} {
		if _, err := tx.Exec(ctx, set); err != nil {
			return err
		}
	}
	return copyOut(ctx, tx.Conn(), pointInTimeQuery(table, views), func(fields [][]byte) error {
		number, err := decodeInt64(fields[0])
		if err != nil {
			return err
		}
		winners := make([]read.Winner, len(views))
		at := 1
		for i, v := range views {
			n := winnerFields(v.View)
			if winners[i], err = decodeWinner(v.View, fields[at:at+n]); err != nil {
				return err
			}
			at += n
		}
		return emit(number, winners)
	})
}

// stageSpine COPYs the spine into a table of its own: lateral joins against temporary tables, VALUES or arrays cannot be
// pushed down by a distributed Postgres.
func stageSpine(ctx context.Context, tx pgx.Tx, name string, spine iter.Seq2[SpineRow, error]) (table string, err error) {
	table = quote(stagingSchema, name)
	err = database.CreateTable(ctx, tx, database.Table{
		Kind: database.Spine, Schema: stagingSchema, Name: name, DistributionColumn: "entity_key",
		Columns: `entity_key text COLLATE "C" NOT NULL, row_number bigint NOT NULL, at timestamptz NOT NULL`,
	})
	if err != nil {
		return "", err
	}
	err = copyIn(ctx, tx.Conn(), table, []string{"entity_key", "row_number", "at"}, func(e *copyEncoder) error {
		for row, err := range spine {
			if err != nil {
				return err
			}
			if err := checkTime(row.At); err != nil {
				return fault.New(fault.InvalidSpine, "spine: row %d: %v", row.Number+1, err)
			}
			e.beginRow(3)
			e.bytes(row.Key)
			e.int64(row.Number)
			e.time(row.At)
		}
		return nil
	})
	if err == nil {
		_, err = tx.Exec(ctx, "ANALYZE "+table)
	}
	return table, err
}

// winnerFields is the number of fields that winnerColumns selects.
func winnerFields(v *feature.ViewVersion) int { return 4 + len(v.Features) + len(v.Attributes) }

// winnerColumns selects a winner from the lateral named alias: why it is missing, its times and run, its values.
func winnerColumns(v *feature.ViewVersion, alias, missing string) string {
	columns := []string{
		fmt.Sprintf("CASE WHEN %s.seq_from IS NULL THEN (%s)::bigint END", alias, missing),
		alias + ".event_time", alias + ".available_at", alias + ".seq_from",
	}
	for _, c := range v.Stored() {
		columns = append(columns, alias+"."+quote(c.Name))
	}
	return strings.Join(columns, ", ")
}

func decodeWinner(v *feature.ViewVersion, fields [][]byte) (read.Winner, error) {
	if fields[0] != nil {
		status, err := decodeInt64(fields[0])
		return read.Winner{Status: read.Status(status)}, err
	}
	w := read.Winner{Status: read.Present}
	var err error
	if w.EventTime, err = decodeTime(fields[1]); err != nil {
		return w, err
	}
	if w.AvailableAt, err = decodeTime(fields[2]); err != nil {
		return w, err
	}
	if w.RunSeq, err = decodeInt64(fields[3]); err != nil {
		return w, err
	}
	stored := v.Stored()
	w.Values = make([]feature.Value, len(stored))
	for i, c := range stored {
		f := fields[4+i]
		if f == nil {
			continue
		}
		if w.Values[i], err = decodeValue(c.Type, f); err != nil {
			return w, fmt.Errorf("%s.%s: %w", v.Ref(), c.Name, err)
		}
	}
	return w, nil
}

func pointInTimeQuery(spine string, views []AsOf) string {
	var selects, laterals strings.Builder
	for i, v := range views {
		alias := fmt.Sprintf("v%d", i)
		selects.WriteString(", " + winnerColumns(v.View, alias, missingStatus(v, "s.entity_key", "s.at")))
		fmt.Fprintf(&laterals, "\nLEFT JOIN LATERAL (%s) %s ON true", winnerQuery(v, "s.entity_key", "s.at"), alias)
	}
	// Walking the spine by entity and time keeps the history's pages warm from one row to the next.
	return fmt.Sprintf("SELECT s.row_number%s\nFROM (SELECT * FROM %s ORDER BY entity_key, at) s%s\nORDER BY s.row_number",
		selects.String(), spine, laterals.String())
}

// visible is the condition on h that it is a row of the entity at the view's sequence.
func (v AsOf) visible(key string) string {
	return fmt.Sprintf("h.entity_key = %s AND h.seq_from <= %d AND %d < h.seq_to", key, v.Seq, v.Seq)
}

func (v AsOf) oldest(at string) string {
	return fmt.Sprintf("%s - interval '%d microseconds'", at, v.TTL.Microseconds())
}

// winnerQuery is the point-in-time rule for one entity and time, both SQL.
func winnerQuery(v AsOf, key, at string) string {
	columns := append([]string{eventTimeColumn, availableAtColumn, "seq_from"}, storedNames(v.View)...)
	query := fmt.Sprintf("SELECT %s FROM %s h WHERE %s AND h.event_time <= %s AND h.available_at <= %s",
		quoteAll("h.", columns), historyTable(v.View), v.visible(key), at, at)
	if v.TTL > 0 {
		query += " AND h.event_time >= " + v.oldest(at)
	}
	return query + " ORDER BY h.event_time DESC, h.available_at DESC LIMIT 1"
}

func storedNames(v *feature.ViewVersion) []string {
	stored := v.Stored()
	names := make([]string, len(stored))
	for i, c := range stored {
		names[i] = c.Name
	}
	return names
}

// missingStatus says why there is no winner: a row that was available is too old, else a row that was true by then was
// not available yet, else there is none.
func missingStatus(v AsOf, key, at string) string {
	from := fmt.Sprintf("SELECT 1 FROM %s h WHERE %s AND ", historyTable(v.View), v.visible(key))
	fresh, expired := "", ""
	if v.TTL > 0 {
		expired = fmt.Sprintf("WHEN EXISTS (%s h.event_time < %s AND h.available_at <= %s) THEN %d ",
			from, v.oldest(at), at, read.Expired)
		fresh = " AND h.event_time >= " + v.oldest(at)
	}
	return fmt.Sprintf("CASE %sWHEN EXISTS (%s h.event_time <= %s%s AND h.available_at > %s) THEN %d ELSE %d END",
		expired, from, at, fresh, at, read.NotYetKnown, read.NoRow)
}
