package quality

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
)

// SetAside says what a run set aside of a subject, or of a part of it.
type SetAside struct {
	Run, View, Seq int64
	Subject        string
	SourceVersion  int
	// Spans is what was looked at: SQL of type tstzmultirange over event times. NULL lies in it.
	Spans string
}

// QuarantinedRow is a row that was set aside.
type QuarantinedRow struct {
	ID, Run int64
	Subject string
	// Reasons are the names of all expectations that it failed, in the order of the definition.
	Reasons []string
	// Load and Row are where it came from. Of tables of others and of output the load is 0.
	Load, Row int64
	// EventTime is nil where it is none.
	EventTime *time.Time
	// JSON is the row, as an object of its columns.
	JSON json.RawMessage
	// At is when it was found first.
	At time.Time
}

// seqLive is the seq_to of a row that no run has looked at again without finding it.
const seqLive = math.MaxInt64

// stage is the table by which rows come, with these columns.
const (
	stage        = "_set_aside"
	stageColumns = "_load, _row, _at, _reasons, _json"
)

// Keep brings the store of a subject, within the spans, to the rows that a run set aside there. fill writes them as a binary COPY of
// the columns load (bigint), row (bigint), event time (timestamptz), reasons (text[]) and row (jsonb); nil: there are none. What is
// written is of the run's sequence, so that it is seen once that is published; Undo takes it back. Doing it twice changes nothing.
func Keep(ctx context.Context, tx pgx.Tx, s SetAside, fill func(w io.Writer) error) error {
	return keep(ctx, tx, s, func() error {
		if fill == nil {
			return nil
		}
		return copyFrom(ctx, tx.Conn(), "COPY pg_temp."+stage+" ("+stageColumns+") FROM STDIN (FORMAT binary)", fill)
	})
}

func keep(ctx context.Context, tx pgx.Tx, s SetAside, fill func() error) error {
	if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE "+stage+" (_load bigint, _row bigint, _at timestamptz, _reasons text[], _json jsonb) ON COMMIT DROP"); err != nil {
		return err
	}
	if err := fill(); err != nil {
		return err
	}
	statements := []string{
		fmt.Sprintf("UPDATE pg_temp.%s SET _row = _n FROM (SELECT ctid AS _id, row_number() OVER (PARTITION BY _json, _reasons, _at) AS _n FROM pg_temp.%s WHERE _load = 0) AS _equal "+
			"WHERE %s.ctid = _id", stage, stage, stage),
		fmt.Sprintf(`CREATE TEMPORARY TABLE _found ON COMMIT DROP AS
			SELECT *, sha256(convert_to(_load || ' ' || _row || ' ' || coalesce(extract(epoch FROM _at)::text, 'NULL') || ' ' || _reasons::text
				|| CASE WHEN _load = 0 THEN ' ' || _json::text ELSE '' END, 'UTF8')) AS _identity FROM pg_temp.%s`, stage),
		"CREATE UNIQUE INDEX ON pg_temp._found (_identity)",
		"ANALYZE pg_temp._found",
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(`
		UPDATE headwater.quarantined_row q SET seq_to = $3
		WHERE view_id = $1 AND subject = $2 AND seq_to = %d AND seq_from < $3 AND coalesce(event_time <@ (%s), true)
			AND NOT EXISTS (SELECT FROM pg_temp._found WHERE _identity = q.identity)`, int64(seqLive), s.Spans), s.View, s.Subject, s.Seq)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`
		INSERT INTO headwater.quarantined_row (view_id, subject, source_version, load_id, row_number, event_time, reasons, row, identity,
			run_id, seq_from, quarantined_at)
		SELECT $1, $2, $3, _load, _row, _at, _reasons, _json, _identity, $4, $5, clock_timestamp() FROM pg_temp._found
		WHERE NOT EXISTS (SELECT FROM headwater.quarantined_row q
			WHERE q.view_id = $1 AND q.subject = $2 AND q.seq_to = %d AND q.identity = _identity)
		ORDER BY _load, _row, _at`, int64(seqLive)), s.View, s.Subject, s.SourceVersion, s.Run, s.Seq)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO headwater.quarantine_run AS r (run_id, subject, view_id, seq, spans) VALUES ($1, $2, $3, $4, `+s.Spans+`)
		ON CONFLICT (run_id, subject) DO UPDATE SET seq = excluded.seq,
			spans = CASE WHEN r.seq = excluded.seq THEN r.spans + excluded.spans ELSE excluded.spans END`, s.Run, s.Subject, s.View, s.Seq)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "DROP TABLE pg_temp."+stage+", pg_temp._found")
	return err
}

// KeepRows is Keep for rows that Go makes: rows calls emit with each. Load and Row of output are 0.
func KeepRows(ctx context.Context, tx pgx.Tx, s SetAside, rows func(emit func(QuarantinedRow) error) error) error {
	return keep(ctx, tx, s, func() error {
		var batch [][]any
		send := func() error {
			_, err := tx.CopyFrom(ctx, pgx.Identifier{"pg_temp", stage}, strings.Split(stageColumns, ", "), pgx.CopyFromRows(batch))
			batch = batch[:0]
			return err
		}
		err := rows(func(r QuarantinedRow) error {
			batch = append(batch, []any{r.Load, r.Row, r.EventTime, r.Reasons, string(r.JSON)})
			if len(batch) < maxKeptBatch {
				return nil
			}
			return send()
		})
		if err != nil {
			return err
		}
		return send()
	})
}

// maxKeptBatch is how many rows are sent at once.
const maxKeptBatch = 500

// copyFrom runs a COPY FROM of what fill writes.
func copyFrom(ctx context.Context, conn *pgx.Conn, statement string, fill func(io.Writer) error) error {
	r, w := io.Pipe()
	filled := make(chan error, 1)
	go func() {
		err := fill(w)
		w.CloseWithError(err)
		filled <- err
	}()
	_, err := conn.PgConn().CopyFrom(ctx, r, statement)
	// Unblocks fill when the COPY failed first.
	r.CloseWithError(errCopyEnded)
	if fillErr := <-filled; fillErr != nil && !errors.Is(fillErr, errCopyEnded) {
		return fillErr
	}
	return err
}

var errCopyEnded = errors.New("the COPY ended")

// CopyQuarantined writes the rows that are quarantined, as Keep takes them. conn is the snapshot's. nil: there are none.
func (o *Outcome) CopyQuarantined(ctx context.Context, conn *pgx.Conn) func(w io.Writer) error {
	if len(o.Quarantined) == 0 {
		return nil
	}
	return func(w io.Writer) error {
		_, err := conn.PgConn().CopyTo(ctx, w, "COPY ("+o.selectQuarantined()+") TO STDOUT (FORMAT binary)")
		return err
	}
}

// selectQuarantined is the columns that Keep takes.
func (o *Outcome) selectQuarantined() string {
	names := make([]string, len(o.names))
	for i, n := range o.names {
		names[i] = textLiteral(n)
	}
	return fmt.Sprintf(`SELECT _load, _row, _at, (SELECT array_agg((ARRAY[%s])[p + 1] ORDER BY p) FROM unnest(_failed) AS p), _json
		FROM %s WHERE _json IS NOT NULL`, strings.Join(names, ", "), o.failing)
}

// What is kept of the rows of a run that failed.
const (
	maxFailedRows  = 1000
	maxFailedBytes = 4 << 20
)

// FailedRows are some of the rows that would have been quarantined, for the record of a run that fails: at most a thousand of at most
// 4 MB together.
func (o *Outcome) FailedRows(ctx context.Context, tx pgx.Tx) ([]QuarantinedRow, error) {
	if len(o.Quarantined) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, fmt.Sprintf(`
		SELECT * FROM (SELECT *, sum(length(_json::text)) OVER (ORDER BY _load, _row, _at, _json ROWS UNBOUNDED PRECEDING) AS _bytes
			FROM (%s LIMIT %d) AS _all (_load, _row, _at, _reasons, _json)) AS _some WHERE _bytes <= %d`,
		o.selectQuarantined(), maxFailedRows, maxFailedBytes))
	if err != nil {
		return nil, err
	}
	var list []QuarantinedRow
	var r QuarantinedRow
	var bytes int64
	_, err = pgx.ForEachRow(rows, []any{&r.Load, &r.Row, &r.EventTime, &r.Reasons, &r.JSON, &bytes}, func() error {
		r.Subject = o.subject
		kept := r
		kept.JSON, kept.Reasons = append(json.RawMessage(nil), r.JSON...), append([]string(nil), r.Reasons...)
		if r.EventTime != nil {
			at := *r.EventTime
			kept.EventTime = &at
		}
		list = append(list, kept)
		return nil
	})
	return list, err
}

// KeepFailed keeps rows of a run that failed, with its record. They are of no sequence that readers see. loads is as of Finish.
func KeepFailed(ctx context.Context, tx pgx.Tx, run, view, seq int64, rows []QuarantinedRow, loads map[string][]int64) error {
	batch := &pgx.Batch{}
	subjects := map[string]bool{}
	for i, r := range rows {
		subjects[r.Subject] = true
		batch.Queue(`
			INSERT INTO headwater.quarantined_row (view_id, subject, load_id, row_number, event_time, reasons, row, identity, run_id, seq_from,
				seq_to, quarantined_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, sha256(convert_to($8::bigint::text, 'UTF8')), $9, $10, $10, clock_timestamp())`,
			view, r.Subject, r.Load, r.Row, r.EventTime, r.Reasons, r.JSON, i, run, seq)
	}
	for subject := range subjects {
		batch.Queue(`
			INSERT INTO headwater.quarantine_run (run_id, subject, view_id, seq, spans) VALUES ($1, $2, $3, $4, '{}')
			ON CONFLICT (run_id, subject) DO UPDATE SET spans = '{}'`, run, subject, view, seq)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	return Finish(ctx, tx, run, view, seq, loads)
}

// Undo takes back what a sequence that was not published wrote.
func Undo(ctx context.Context, tx pgx.Tx, view, seq int64) error {
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM headwater.quarantined_row WHERE view_id = $1 AND seq_from = $2 AND seq_to > $2`, view, seq)
	batch.Queue(fmt.Sprintf(`UPDATE headwater.quarantined_row SET seq_to = %d WHERE view_id = $1 AND seq_to = $2 AND seq_from < $2`, int64(seqLive)), view, seq)
	batch.Queue(`DELETE FROM headwater.quarantine_run WHERE view_id = $1 AND seq = $2`, view, seq)
	return tx.SendBatch(ctx, batch).Close()
}

// atRun is the condition that a row q of the store is one that a run looked at and set aside, where r is of quarantine_run.
const atRun = `(q.view_id = r.view_id AND q.subject = r.subject AND q.seq_from <= r.seq AND r.seq < q.seq_to AND coalesce(q.event_time <@ r.spans, true)
	OR q.run_id = r.run_id AND q.subject = r.subject AND q.seq_from = q.seq_to)`

// Finish counts what a run set aside, in the transaction that publishes it. loads are, by subject, those of which it counted the rows
// that were set aside when they came.
func Finish(ctx context.Context, tx pgx.Tx, run, view, seq int64, loads map[string][]int64) error {
	if err := keepLoads(ctx, tx, run, view, seq, loads); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		UPDATE headwater.quarantine_run r SET
			rows = (SELECT count(*) FROM headwater.quarantined_row q WHERE `+atRun+`)
				+ (SELECT count(*) FROM headwater.load_set_aside a WHERE a.load_id = ANY (r.loads)),
			reasons = (SELECT coalesce(jsonb_object_agg(reason, n), '{}') FROM (
				SELECT reason, count(*) AS n FROM (
					SELECT reason FROM headwater.quarantined_row q, unnest(q.reasons) AS reason WHERE `+atRun+`
					UNION ALL SELECT a.reason FROM headwater.load_set_aside a WHERE a.load_id = ANY (r.loads)) AS found
				GROUP BY 1) AS counted)
		WHERE r.run_id = $1`, run)
	return err
}

// keepLoads has the rows that came with loads and were set aside be the run's too.
func keepLoads(ctx context.Context, tx pgx.Tx, run, view, seq int64, loads map[string][]int64) error {
	for _, subject := range slices.Sorted(maps.Keys(loads)) {
		_, err := tx.Exec(ctx, `
			INSERT INTO headwater.quarantine_run (run_id, subject, view_id, seq, spans, loads) VALUES ($1, $2, $3, $4, '{}', $5)
			ON CONFLICT (run_id, subject) DO UPDATE SET loads = excluded.loads`, run, subject, view, seq, loads[subject])
		if err != nil {
			return err
		}
	}
	return nil
}

// Group is rows that a run set aside, by subject and reason. A row of several reasons is in several groups.
type Group struct {
	Run int64
	// Ref is `VIEW@VERSION/SEQ`, or empty for a run that was not published.
	Ref, View       string
	ViewVersion     int
	Subject, Reason string
	Rows            int64
	At              time.Time
}

// Filter says which groups are asked for. Zero fields leave nothing out.
type Filter struct {
	View    string
	Version int
	Subject string
	Run     int64
	// Before leaves those of runs with ids below it.
	Before int64
}

// Groups lists what published and failed runs set aside, newest run first, then by subject and reason. At most limit groups, but a
// run's are never cut in two, so that the next page can begin below the last run.
func Groups(ctx context.Context, q database.Querier, f Filter, limit int) ([]Group, error) {
	rows, err := q.Query(ctx, `
		SELECT r.run_id, CASE WHEN run.state = 'published' THEN d.name || '@' || d.version || '/' || r.seq ELSE '' END, d.name, d.version,
			r.subject, c.key, c.value::bigint, coalesce(run.ended_at, run.queued_at)
		FROM headwater.quarantine_run r JOIN headwater.run run ON run.id = r.run_id JOIN headwater.definition d ON d.id = r.view_id,
			jsonb_each_text(r.reasons) AS c
		WHERE run.state IN ('published', 'failed') AND ($1 = '' OR d.name = $1) AND ($2 = 0 OR d.version = $2) AND ($3 = '' OR r.subject = $3)
			AND ($4::bigint = 0 OR r.run_id = $4) AND ($5::bigint = 0 OR r.run_id < $5)
		ORDER BY r.run_id DESC, r.subject, c.key LIMIT $6`, f.View, f.Version, f.Subject, f.Run, f.Before, limit+maxResults)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var groups []Group
	for rows.Next() {
		var g Group
		if err := rows.Scan(&g.Run, &g.Ref, &g.View, &g.ViewVersion, &g.Subject, &g.Reason, &g.Rows, &g.At); err != nil {
			return nil, err
		}
		if len(groups) >= limit && groups[len(groups)-1].Run != g.Run {
			break
		}
		groups = append(groups, g)
	}
	rows.Close()
	return groups, rows.Err()
}

// Subjects are what a run looked at and set rows aside of, with how many.
func Subjects(ctx context.Context, q database.Querier, run int64) (map[string]int64, error) {
	rows, err := q.Query(ctx, `
		SELECT r.subject, r.rows FROM headwater.quarantine_run r JOIN headwater.run run ON run.id = r.run_id
		WHERE r.run_id = $1 AND run.state IN ('published', 'failed')`, run)
	if err != nil {
		return nil, err
	}
	subjects := map[string]int64{}
	var subject string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&subject, &n}, func() error { subjects[subject] = n; return nil })
	return subjects, err
}

// quarantinedAt are the rows of subjects, $2, that a run, $1, set aside.
const quarantinedAt = `
	SELECT q.id, q.run_id, q.subject, q.reasons, q.load_id, q.row_number, q.event_time, q.row::json, q.quarantined_at
	FROM headwater.quarantine_run r JOIN headwater.run run ON run.id = r.run_id JOIN headwater.quarantined_row q ON ` + atRun + `
	WHERE r.run_id = $1 AND run.state IN ('published', 'failed') AND r.subject = ANY ($2)
	UNION ALL
	SELECT a.id, r.run_id, r.subject, ARRAY[a.reason], a.load_id, a.row, NULL, a.body, l.committed_at
	FROM headwater.quarantine_run r JOIN headwater.run run ON run.id = r.run_id JOIN headwater.load_set_aside a ON a.load_id = ANY (r.loads)
		JOIN headwater.load l ON l.id = a.load_id
	WHERE r.run_id = $1 AND run.state IN ('published', 'failed') AND r.subject = ANY ($2)`

// QuarantinedRows reads rows that a run set aside, of some subjects, by id: those with an id above after, at most limit, and with one
// reason or, with "", with any.
func QuarantinedRows(ctx context.Context, q database.Querier, run int64, subjects []string, reason string, after int64, limit int) ([]QuarantinedRow, error) {
	return quarantinedRows(ctx, q, `SELECT * FROM (`+quarantinedAt+`) AS q WHERE ($3 = '' OR $3 = ANY (q.reasons)) AND q.id > $4 ORDER BY 1 LIMIT $5`,
		run, subjects, reason, after, limit)
}

// QuarantinedOf reads rows that a run set aside of a subject and that match, by id, at most limit.
func QuarantinedOf(ctx context.Context, q database.Querier, run int64, subject string, m Matching, limit int) ([]QuarantinedRow, error) {
	return quarantinedRows(ctx, q, fmt.Sprintf(`SELECT * FROM (`+quarantinedAt+`) AS q WHERE %s ORDER BY 1 LIMIT %d`, m.Condition, limit),
		append([]any{run, []string{subject}}, m.Args...)...)
}

func quarantinedRows(ctx context.Context, q database.Querier, query string, args ...any) ([]QuarantinedRow, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r QuarantinedRow, err error) {
		err = row.Scan(&r.ID, &r.Run, &r.Subject, &r.Reasons, &r.Load, &r.Row, &r.EventTime, &r.JSON, &r.At)
		return r, err
	})
}

// Open is the span of event times, both within, of the rows that are set aside now of a view version: of all, or of those that a run
// looked at. nil, nil: there are none.
func Open(ctx context.Context, q database.Querier, view, run int64) (from, to *time.Time, err error) {
	err = q.QueryRow(ctx, fmt.Sprintf(`
		SELECT min(q.event_time), max(q.event_time)
		FROM headwater.quarantined_row q JOIN headwater.view_state s ON s.view_id = q.view_id
		WHERE q.view_id = $1 AND q.seq_from <= s.published_seq AND s.published_seq < q.seq_to
			AND ($2::bigint = 0 OR EXISTS (SELECT FROM headwater.quarantine_run r WHERE r.run_id = $2 AND %s))`, atRun), view, run).Scan(&from, &to)
	return from, to, err
}

// CameWithout reports whether rows of live loads that were set aside when they came are among those of a view version, or of a run of it.
func CameWithout(ctx context.Context, q database.Querier, view, run int64) (some bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.quarantine_run r JOIN headwater.load l ON l.id = ANY (r.loads)
		WHERE r.view_id = $1 AND ($2::bigint = 0 OR r.run_id = $2) AND NOT EXISTS (SELECT FROM headwater.load e WHERE e.ends = l.id))`,
		view, run).Scan(&some)
	return some, err
}
