package offline

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// Rows of an entity are erased, for good: loads and runs keep their records, and the rows are gone. It is the one exception to that
// landing tables and histories are only appended to.
//
// Values are compared as texts, and are arguments of statements: no statement holds one.

// matching is the condition that any of the matches meets, and its arguments, numbered from first on. column says what stands for one.
func matching(matches []feature.RowMatch, column func(string) string, first int) (condition string, args []any) {
	var any []string
	for _, m := range matches {
		var all []string
		for i, c := range m.Columns {
			args = append(args, m.Values[i].Text())
			all = append(all, fmt.Sprintf("(%s)::text = $%d", column(c), first+len(args)-1))
		}
		any = append(any, "("+strings.Join(all, " AND ")+")")
	}
	if len(any) == 0 {
		return "false", nil
	}
	return "(" + strings.Join(any, " OR ") + ")", args
}

// MatchJSON is the condition that a JSON object of columns, as SQL, meets one of the matches.
func MatchJSON(object string, matches []feature.RowMatch, first int) (condition string, args []any) {
	return matching(matches, func(c string) string { return fmt.Sprintf("%s ->> '%s'", object, strings.ReplaceAll(c, "'", "''")) }, first)
}

// ErasedLoad is how many rows of a load are erased, or were set aside when it came and are.
type ErasedLoad struct {
	Load, Rows, SetAside int64
}

// ErasedRows is what is erased of a landing table.
type ErasedRows struct {
	Loads []ErasedLoad
	// First and Last are the event times between which rows are gone, or others of the same unique key count in their place. nil:
	// there are none.
	First, Last *time.Time
}

// hasTable reports whether a landing table is there.
func hasTable(ctx context.Context, q database.Querier, name string) (there bool, err error) {
	err = q.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, name).Scan(&there)
	return there, err
}

// EraseLanding erases the rows of a landing source that meet one of the matches, of all loads, also of those that ended. Without
// erase it only says what it would.
func EraseLanding(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion, matches []feature.RowMatch, erase bool) (*ErasedRows, error) {
	found := &ErasedRows{}
	table := quote(landingSchema, src.Name)
	there, err := hasTable(ctx, tx, table)
	if err != nil || !there || src.Postgres != nil {
		return found, err
	}
	condition, args := matching(matches, func(c string) string { return "l." + quote(c) }, 1)
	touched := condition
	if len(src.UniqueKey) > 0 {
		touched = fmt.Sprintf("%[1]s IN (SELECT %[1]s FROM %[2]s l WHERE %[3]s)", keyHash(src), table, condition)
	}
	err = tx.QueryRow(ctx, fmt.Sprintf("SELECT min(%[1]s), max(%[1]s) FROM %[2]s l WHERE %[3]s", quote(src.EventTime), table, touched), args...).
		Scan(&found.First, &found.Last)
	if err != nil {
		return nil, err
	}
	loads := map[int64]*ErasedLoad{}
	of := func(id int64) *ErasedLoad {
		if loads[id] == nil {
			loads[id] = &ErasedLoad{Load: id}
		}
		return loads[id]
	}
	collect := func(from, condition, load string, args []any, add func(l *ErasedLoad, rows int64)) error {
		query := fmt.Sprintf("SELECT %s AS load, count(*) FROM %s l WHERE %s GROUP BY 1", load, from, condition)
		if erase {
			query = fmt.Sprintf("WITH gone AS (DELETE FROM %s l WHERE %s RETURNING %s AS load) SELECT load, count(*) FROM gone GROUP BY 1", from, condition, load)
		}
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		var id, n int64
		_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error { add(of(id), n); return nil })
		return err
	}
	if err := collect(table, condition, "l._load", args, func(l *ErasedLoad, n int64) { l.Rows = n }); err != nil {
		return nil, err
	}
	aside, asideArgs := MatchJSON("l.body", matches, 2)
	err = collect("headwater.load_set_aside", "l.load_id IN (SELECT id FROM headwater.load WHERE source = $1) AND "+aside, "l.load_id",
		append([]any{src.Name}, asideArgs...), func(l *ErasedLoad, n int64) { l.SetAside = n })
	if err != nil {
		return nil, err
	}
	for _, l := range loads {
		found.Loads = append(found.Loads, *l)
	}
	return found, nil
}

// historyColumn is what stands for a join key or another column of a history whose rows are h.
func historyColumn(v *feature.ViewVersion) func(string) string {
	return func(column string) string {
		for i, k := range v.EntityVersion.JoinKeys {
			if k.Name == column {
				return joinKey(&v.EntityVersion.Entity, i)
			}
		}
		return "h." + quote(column)
	}
}

// historyMatch is the condition that rows h of a history meet: those of the keys, or of one of the matches.
func historyMatch(v *feature.ViewVersion, keys []string, matches []feature.RowMatch, first int) (condition string, args []any) {
	condition, args = matching(matches, historyColumn(v), first+1)
	return fmt.Sprintf("(h.entity_key = ANY ($%d::text[]) OR %s)", first, condition), append([]any{keys}, args...)
}

// CountHistory counts rows of a history, of any sequence, and says between which event times they lie.
func CountHistory(ctx context.Context, q database.Querier, v *feature.ViewVersion, keys []string, matches []feature.RowMatch) (rows int64, first, last *time.Time, err error) {
	condition, args := historyMatch(v, keys, matches, 1)
	err = q.QueryRow(ctx, fmt.Sprintf("SELECT count(*), min(event_time), max(event_time) FROM %s h WHERE %s", historyTable(v), condition), args...).
		Scan(&rows, &first, &last)
	return rows, first, last, err
}

// HistoryRow is a row of a history that is erased.
type HistoryRow struct {
	Key            string
	EventTime      feature.Time
	SeqFrom, SeqTo int64
	// Digest is that of its canonical encoding.
	Digest feature.Digest
}

// EraseHistory erases rows of a history, of any sequence, and calls gone with each. The caller holds the view's lease, and has undone
// what was not published.
func EraseHistory(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion, keys []string, matches []feature.RowMatch, gone func(*HistoryRow) error) error {
	condition, args := historyMatch(v, keys, matches, 1)
	stored := v.Stored()
	row := feature.Row{Values: make([]feature.Value, len(stored))}
	var encoding []byte
	rows, err := tx.Query(ctx, fmt.Sprintf("DELETE FROM %s h WHERE %s RETURNING %s, h.seq_from, h.seq_to", historyTable(v), condition,
		quoteAll("h.", historyColumns(v))), append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		fields := rows.RawValues()
		if err := decodeHistory(&row, stored, fields); err != nil {
			return err
		}
		one := &HistoryRow{Key: row.Key, EventTime: row.EventTime}
		if one.SeqFrom, err = decodeInt64(fields[len(fields)-2]); err != nil {
			return err
		}
		if one.SeqTo, err = decodeInt64(fields[len(fields)-1]); err != nil {
			return err
		}
		encoding = row.AppendCanonical(encoding[:0])
		var digest feature.SetDigest
		digest.Add(encoding)
		one.Digest = digest.Digest()
		if err := gone(one); err != nil {
			return err
		}
	}
	return rows.Err()
}

// HistoryKeys are the entities of which a history has rows that meet one of the matches, in order.
func HistoryKeys(ctx context.Context, q database.Querier, v *feature.ViewVersion, matches []feature.RowMatch) ([]string, error) {
	condition, args := matching(matches, historyColumn(v), 1)
	rows, err := q.Query(ctx, fmt.Sprintf("SELECT DISTINCT h.entity_key FROM %s h WHERE %s ORDER BY 1", historyTable(v), condition), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// EraseKept erases, of what runs kept of a table of others, the rows that meet one of the matches, and notes it with what they kept.
// Without erase it only counts them, each as often as runs kept it.
func EraseKept(ctx context.Context, tx pgx.Tx, source string, matches []feature.RowMatch, erase bool) (erased int64, err error) {
	rows, err := tx.Query(ctx, `SELECT run_id, kept FROM headwater.run_input WHERE source = $1 AND kept IS NOT NULL ORDER BY run_id`, source)
	if err != nil {
		return 0, err
	}
	type keptBy struct {
		Run  int64
		Kept *Kept
	}
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[keptBy])
	if err != nil || len(runs) == 0 {
		return 0, err
	}
	if erase {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock("+keptLock+")"); err != nil {
			return 0, err
		}
	}
	var ids []int64
	for _, run := range runs {
		// A column that the run did not keep has no values.
		condition, args := matching(matches, func(c string) string {
			for i, k := range run.Kept.Columns {
				if k.Name == c {
					return fmt.Sprintf("k.row[%d]", i+1)
				}
			}
			return "NULL"
		}, 3)
		query := "SELECT r.row_id FROM headwater.run_kept_row r, headwater.kept_row k WHERE r.run_id = $1 AND k.id = r.row_id AND k.source = $2 AND " + condition
		if erase {
			query = "DELETE FROM headwater.run_kept_row r USING headwater.kept_row k WHERE r.run_id = $1 AND k.id = r.row_id AND k.source = $2 AND " + condition +
				" RETURNING r.row_id"
		}
		rows, err := tx.Query(ctx, query, append([]any{run.Run, source}, args...)...)
		if err != nil {
			return 0, err
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return 0, err
		}
		ids, erased = append(ids, found...), erased+int64(len(found))
		if len(found) == 0 || !erase {
			continue
		}
		run.Kept.Erased += int64(len(found))
		_, err = tx.Exec(ctx, `UPDATE headwater.run_input SET kept = $3 WHERE run_id = $1 AND source = $2`, run.Run, source, run.Kept)
		if err != nil {
			return 0, err
		}
	}
	if erase && len(ids) > 0 {
		_, err = tx.Exec(ctx, `DELETE FROM headwater.kept_row k WHERE k.id = ANY ($1)
			AND NOT EXISTS (SELECT FROM headwater.run_kept_row r WHERE r.row_id = k.id)`, ids)
	}
	return erased, err
}
