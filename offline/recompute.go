package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// Recomputed is what a plan computes now, beside what the history holds of it.
type Recomputed struct {
	Rows   int64
	Digest feature.Digest
	// History is the digest of the rows that the history shows of the plan's spans at the run's sequence.
	History     feature.Digest
	HistoryRows int64
	// Screened is what was found in the output that is not in Rows.
	Screened Screened

	part  *part
	table string
	tx    pgx.Tx
	seq   int64
}

// Recompute computes the output of t again and reads what the history holds of it as of sequence seq. t was read. It works in a
// transaction on conn, another connection than that of t, and writes nothing that stays: Close undoes it.
func Recompute(ctx context.Context, conn *pgx.Conn, t *Transform, seq int64) (*Recomputed, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	r := &Recomputed{part: &part{t: t, owned: t.Plan.Owned, states: len(t.corrections) > 0}, tx: tx, seq: seq}
	if err = r.compute(ctx); err == nil {
		err = r.readHistory(ctx)
	}
	if err != nil {
		return nil, errors.Join(t.tooLarge(err), r.Close(ctx))
	}
	return r, nil
}

// compute stages the rows that the screen keeps.
func (r *Recomputed) compute(ctx context.Context) (err error) {
	t, w := r.part.t, &Written{}
	if t.screening != nil {
		t.screen = t.screening()
	}
	if r.table, err = r.part.stage(ctx, r.tx, r.seq, w); err != nil {
		return err
	}
	if err := analyzeRoughly(ctx, r.tx, r.table); err != nil {
		return err
	}
	r.Rows, r.Digest = w.Produced, w.Digest
	if t.screen == nil {
		return nil
	}
	screened, err := t.screen.End(ctx, r.tx, r.part.owned.shift(t.View.RunGrain()))
	if err == nil {
		r.Screened.Add(screened)
	}
	return err
}

// Close undoes what was written for it.
func (r *Recomputed) Close(ctx context.Context) error {
	if r.tx.Conn().IsClosed() {
		return nil
	}
	return r.tx.Rollback(context.WithoutCancel(ctx))
}

// shown is the rows that the history shows of the spans at the sequence, as what stands after FROM.
func (r *Recomputed) shown() string {
	t := r.part.t
	return fmt.Sprintf("(SELECT %s FROM %s h WHERE h.seq_from <= %d AND h.seq_to > %d AND %s)", quoteAll("h.", historyColumns(t.View)),
		historyTable(t.View), r.seq, r.seq, r.part.owned.shift(t.View.RunGrain()).Condition("h.event_time"))
}

func (r *Recomputed) readHistory(ctx context.Context) error {
	var digest feature.SetDigest
	var encoding []byte
	stored := r.part.t.View.Stored()
	row := feature.Row{Values: make([]feature.Value, len(stored))}
	err := copyOut(ctx, r.tx.Conn(), "SELECT * FROM "+r.shown()+" AS h", func(fields [][]byte) (err error) {
		if err := decodeHistory(&row, stored, fields); err != nil {
			return err
		}
		encoding = row.AppendCanonical(encoding[:0])
		digest.Add(encoding)
		r.HistoryRows++
		return nil
	})
	r.History = digest.Digest()
	return err
}

// decodeHistory reads a row of historyColumns.
func decodeHistory(row *feature.Row, stored []feature.Column, fields [][]byte) (err error) {
	row.Key = string(fields[0])
	if row.EventTime, err = decodeTime(fields[1]); err != nil {
		return err
	}
	if row.AvailableAt, err = decodeTime(fields[2]); err != nil {
		return err
	}
	for i, c := range stored {
		row.Values[i] = feature.Null()
		if f := fields[len(moment)+i]; f != nil {
			if row.Values[i], err = decodeValue(c.Type, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// Differences describes up to limit rows in which what was computed and the history differ, by key and time: the keys, and which
// columns differ, but no values of these. total is how many there are.
func (r *Recomputed) Differences(ctx context.Context, limit int) (lines []string, total int64, err error) {
	t := r.part.t
	var joined, names []string
	differs := []string{"s.entity_key IS NULL", "h.entity_key IS NULL"}
	for _, c := range moment {
		joined = append(joined, fmt.Sprintf("s.%[1]s = h.%[1]s", c))
	}
	for _, c := range t.View.Stored() {
		differs = append(differs, fmt.Sprintf("s.%[1]s IS DISTINCT FROM h.%[1]s", quote(c.Name)))
		names = append(names, fmt.Sprintf("CASE WHEN s.%[1]s IS DISTINCT FROM h.%[1]s THEN '%[2]s' END", quote(c.Name), c.Name))
	}
	if len(names) == 0 {
		names = []string{"NULL"}
	}
	if _, err := r.tx.Exec(ctx, "SET LOCAL enable_mergejoin = off"); err != nil {
		return nil, 0, err
	}
	rows, err := r.tx.Query(ctx, fmt.Sprintf(`
		SELECT count(*) OVER (), coalesce(s.entity_key, h.entity_key), coalesce(s.event_time, h.event_time), coalesce(s.available_at, h.available_at),
			s.entity_key IS NOT NULL, h.entity_key IS NOT NULL, array_remove(ARRAY[%s]::text[], NULL)
		FROM %s s FULL JOIN %s h ON %s WHERE %s ORDER BY 2, 3, 4 LIMIT %d`,
		strings.Join(names, ", "), r.table, r.shown(), strings.Join(joined, " AND "), strings.Join(differs, " OR "), limit))
	if err != nil {
		return nil, 0, err
	}
	lines, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var out feature.Row
		var event, known time.Time
		var computed, held bool
		var columns []string
		if err := row.Scan(&total, &out.Key, &event, &known, &computed, &held, &columns); err != nil {
			return "", err
		}
		out.EventTime, out.AvailableAt = feature.TimeOf(event), feature.TimeOf(known)
		switch name := t.describe(&out); {
		case !held:
			return "computed, and not in the history: " + name, nil
		case !computed:
			return "in the history, and not computed: " + name, nil
		default:
			slices.Sort(columns)
			return "other values of " + strings.Join(columns, ", ") + ": " + name, nil
		}
	})
	return lines, total, err
}
