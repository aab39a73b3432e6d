package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/window"
)

// Whoever asks where a value comes from is shown the rows of one entity that it can be made of: those that a run read, with event times
// from which the value's own is reached. They are looked for by what the entity's key is copied from, in columns that have no index; the
// event times keep that short, and what takes longer than behindTimeout is left out.

// behindTimeout is how long it may take to look for rows of one source or view.
const behindTimeout = 5 * time.Second

// ErrNotInTime says that rows were not found in time.
var ErrNotInTime = fmt.Errorf("the rows were not found within %s", behindTimeout)

// ReadsFor is the event times of the rows of sources that a row of a view's history can be made of, given its own event time: a run of that
// alone would read them, and it makes the same row.
func ReadsFor(v *feature.ViewVersion, at feature.Time) Span {
	if v.Aggregation != nil {
		after, last := window.NewPlan(&v.View, &v.SourceVersions[0].Source).Reads(window.Range{Start: at, End: at})
		return Span{Start: after + 1, End: last + 1}
	}
	owned := Span{Start: at, End: at + 1}
	if grain := v.RunGrain(); grain > 0 {
		start := at.Add(-grain).Floor(grain)
		owned = Span{Start: start, End: start.Add(grain)}
	}
	return Span{Start: owned.Start.Add(-v.Lookback), End: owned.End}
}

// RowBehind is a row that a run read, its values as texts without those that are NULL.
type RowBehind struct {
	// Load and Row say where a row of a landing source came from. 0: it is of none.
	Load, Row int64
	EventTime feature.Time
	Columns   map[string]string
	// LeftOut is the rule of the source by which the run did not count it. Empty: it did.
	LeftOut string
}

// behind runs a query of bounded time in a transaction of its own.
func behind(ctx context.Context, conn beginner, pinned bool, do func(tx pgx.Tx) error) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", behindTimeout.Milliseconds()))
		if err == nil && pinned {
			err = pinSession(ctx, tx)
		}
		if err != nil {
			return err
		}
		return do(tx)
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "57014" && ctx.Err() == nil {
		return ErrNotInTime
	}
	return err
}

// micros is a time, as SQL, in microseconds since 1970.
func micros(expression string) string {
	return "(extract(epoch FROM " + expression + ") * 1000000)::bigint"
}

// asText is a column as SQL that textOf reads. Times do not depend on a session's zone.
func asText(prefix string, c feature.Column) string {
	if c.Type == feature.TypeTimestamp {
		return micros(prefix+quote(c.Name)) + "::text"
	}
	return prefix + quote(c.Name) + "::text"
}

func asTexts(prefix string, columns []feature.Column) string {
	texts := make([]string, len(columns))
	for i, c := range columns {
		texts[i] = asText(prefix, c)
	}
	return "ARRAY[" + strings.Join(texts, ", ") + "]::text[]"
}

func textsOf(columns []feature.Column, texts []*string) map[string]string {
	named := map[string]string{}
	for i, text := range texts {
		if i >= len(columns) || text == nil {
			continue
		}
		named[columns[i].Name] = *text
		if columns[i].Type == feature.TypeTimestamp {
			if at, err := strconv.ParseInt(*text, 10, 64); err == nil {
				named[columns[i].Name] = feature.Time(at).String()
			}
		}
	}
	return named
}

// LoadsBehind is which rows of a landing source a run read.
type LoadsBehind struct {
	// Number is the newest load or retraction that was considered.
	Number int64
	// Loads are those that had rows in its interval.
	Loads []int64
}

// RowsBehind finds rows of a landing source that meet one of the matches, with event times within a span, in the loads that a run read:
// the newest first, at most limit. more: there are others.
func RowsBehind(ctx context.Context, conn beginner, src *feature.SourceVersion, of LoadsBehind, matches []feature.RowMatch, within Span, limit int) (found []RowBehind, more bool, err error) {
	if len(matches) == 0 || len(of.Loads) == 0 || within.IsEmpty() {
		return nil, false, nil
	}
	condition, args := matching(matches, func(c string) string { return quote(c) }, 3)
	leftOut := "''"
	if src.DeleteMarker != "" {
		leftOut = fmt.Sprintf("CASE WHEN %s THEN '%s' ELSE %s END", marked(src), reasonDeleted, leftOut)
	}
	if src.AllowedLateness != 0 && src.ArrivalExpression == "" {
		leftOut = fmt.Sprintf("CASE WHEN %s THEN '%s' ELSE %s END", late(src), reasonLate, leftOut)
	}
	query := fmt.Sprintf(`SELECT _load, _row, %[1]s, %[2]s, %[3]s, %[4]s FROM %[5]s AS %[6]s
		WHERE _load = ANY ($1::bigint[]) AND %[7]s AND %[8]s ORDER BY %[9]s DESC, _load DESC, _row DESC LIMIT $2`,
		micros(quote(src.EventTime)), asTexts("", src.Columns), leftOut, superseded(src), quote(landingSchema, src.Name), quote(src.Name),
		inside(src, Spans{within}), condition, quote(src.EventTime))
	args = append([]any{of.Loads, limit + 1}, args...)
	if strings.Contains(query, numberArgument) {
		query = strings.ReplaceAll(query, numberArgument, fmt.Sprintf("$%d::bigint", len(args)+1))
		args = append(args, of.Number)
	}
	err = behind(ctx, conn, false, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r RowBehind, err error) {
			var at int64
			var texts []*string
			var again bool
			err = row.Scan(&r.Load, &r.Row, &at, &texts, &r.LeftOut, &again)
			r.EventTime, r.Columns = feature.Time(at), textsOf(src.Columns, texts)
			if again {
				r.LeftOut = "duplicate"
			}
			return r, err
		})
		return err
	})
	if len(found) > limit {
		return found[:limit], true, err
	}
	return found, false, err
}

// numberArgument stands for the newest load that was considered.
const numberArgument = "$number"

// superseded is SQL that says whether another row of the same unique key counts in the place of one.
func superseded(src *feature.SourceVersion) string {
	if len(src.UniqueKey) == 0 || src.Corrections == feature.Arrive {
		return "false"
	}
	own := quote(src.Name)
	var same []string
	for _, name := range src.UniqueKey {
		same = append(same, fmt.Sprintf("_o.%[2]s IS NOT DISTINCT FROM %[1]s.%[2]s", own, quote(name)))
	}
	way := "<"
	if src.Conflicting == feature.KeepNewest {
		way = ">"
	}
	return fmt.Sprintf(`EXISTS (SELECT FROM %[1]s AS _o JOIN headwater.load _ol ON _ol.id = _o._load JOIN headwater.load _l ON _l.id = %[2]s._load
		WHERE hash_record_extended(ROW(%[3]s), 0) = hash_record_extended(ROW(%[4]s), 0) AND %[5]s AND (_ol.number, _o._row) %[6]s (_l.number, %[2]s._row)
			AND _ol.number <= %[7]s AND NOT EXISTS (SELECT FROM headwater.load _e WHERE _e.ends = _ol.id AND _e.number <= %[7]s))`,
		quote(landingSchema, src.Name), own, quoteAll("_o.", src.UniqueKey), quoteAll(own+".", src.UniqueKey), strings.Join(same, " AND "), way, numberArgument)
}

// KeptBehind is RowsBehind of a table of others whose rows a run kept.
func KeptBehind(ctx context.Context, conn beginner, src *feature.SourceVersion, run int64, kept *Kept, matches []feature.RowMatch, within Span, limit int) (found []RowBehind, more bool, err error) {
	columns := make([]feature.Column, len(kept.Columns))
	at := -1
	for i, c := range kept.Columns {
		if columns[i].Type, err = feature.ParseType(c.Type); err != nil {
			return nil, false, err
		}
		if columns[i].Name = c.Name; c.Name == src.EventTime {
			at = i
		}
	}
	place := func(name string) int {
		return slices.IndexFunc(columns, func(c feature.Column) bool { return c.Name == name })
	}
	for _, m := range matches {
		if slices.ContainsFunc(m.Columns, func(c string) bool { return place(c) < 0 }) {
			return nil, false, nil
		}
	}
	if at < 0 || len(matches) == 0 || within.IsEmpty() {
		return nil, false, nil
	}
	condition, args := matching(matches, func(c string) string { return fmt.Sprintf("k.row[%d]", place(c)+1) }, 4)
	event := fmt.Sprintf("k.row[%d]::timestamptz", at+1)
	texts := make([]string, len(columns))
	for i, c := range columns {
		if texts[i] = fmt.Sprintf("k.row[%d]", i+1); c.Type == feature.TypeTimestamp {
			texts[i] = micros(texts[i]+"::timestamptz") + "::text"
		}
	}
	err = behind(ctx, conn, true, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, fmt.Sprintf(`
			SELECT %[5]s, ARRAY[%[2]s]::text[] FROM headwater.run_kept_row r JOIN headwater.kept_row k ON k.id = r.row_id
			WHERE r.run_id = $1 AND k.source = $2 AND %[3]s AND %[4]s ORDER BY %[1]s DESC, k.id LIMIT $3`,
			event, strings.Join(texts, ", "), Spans{within}.Condition(event), condition, micros(event)), append([]any{run, src.Name, limit + 1}, args...)...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r RowBehind, err error) {
			var at int64
			var texts []*string
			err = row.Scan(&at, &texts)
			r.EventTime, r.Columns = feature.Time(at), textsOf(columns, texts)
			return r, err
		})
		return err
	})
	if len(found) > limit {
		return found[:limit], true, err
	}
	return found, false, err
}

// RunBehind is a run of which another one read rows, with the event times of these.
type RunBehind struct {
	Seq int64
	// EventTimes are ascending, at most as many as rows were asked for.
	EventTimes []feature.Time
	Rows       []RowBehind
}

// ViewBehind finds what a run of reader read of an entity, by its key, in a view at a sequence: its rows with event times in what is read
// for a span, newest first, by the runs that wrote them. At most limit rows; more: there are others.
func ViewBehind(ctx context.Context, conn beginner, reader, v *feature.ViewVersion, seq int64, key string, within Span, limit int) (found []RunBehind, more bool, err error) {
	in := &ViewInput{View: v, Seq: seq}
	read := Spans{within}.shift(in.shift(reader))
	columns := v.Stored()
	keys := make([]string, len(v.EntityVersion.JoinKeys))
	for i := range keys {
		keys[i] = joinKey(&v.EntityVersion.Entity, i) + "::text"
	}
	n := 0
	err = behind(ctx, conn, false, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, fmt.Sprintf(`
			SELECT h.seq_from, %s, %s, ARRAY[%s]::text[], %s
			FROM (SELECT DISTINCT ON (entity_key, event_time) * FROM %s WHERE entity_key = $1 AND seq_from <= $2 AND seq_to > $2 AND %s
				ORDER BY entity_key DESC, event_time DESC, available_at DESC) AS h%s ORDER BY h.event_time DESC LIMIT $3`,
			micros("h.event_time"), micros("h.available_at"), strings.Join(keys, ", "), asTexts("h.", columns), historyTable(v), read.Condition(eventTimeColumn), in.withoutGone()), key, seq, limit+1)
		if err != nil {
			return err
		}
		var from, at, available int64
		var named, texts []*string
		_, err = pgx.ForEachRow(rows, []any{&from, &at, &available, &named, &texts}, func() error {
			if n++; n > limit {
				more = true
				return nil
			}
			i := slices.IndexFunc(found, func(r RunBehind) bool { return r.Seq == from })
			if i < 0 {
				i, found = len(found), append(found, RunBehind{Seq: from})
			}
			row := RowBehind{EventTime: feature.Time(at), Columns: textsOf(columns, texts)}
			for k, text := range named {
				if text != nil {
					row.Columns[v.EntityVersion.JoinKeys[k].Name] = *text
				}
			}
			row.Columns[eventTimeColumn], row.Columns[availableAtColumn] = feature.Time(at).String(), feature.Time(available).String()
			found[i].EventTimes = append([]feature.Time{feature.Time(at)}, found[i].EventTimes...)
			found[i].Rows = append(found[i].Rows, row)
			named, texts = nil, nil
			return nil
		})
		return err
	})
	return found, more, err
}
