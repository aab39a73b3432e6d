package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// A run of many rows is cut into chunks by the event times that it computes. Each is computed on a connection of its own, in
// the run's snapshot, and written in a transaction of its own, so that several are at work at once, what is compared fits into
// memory, and what is committed outlives the process.

// maxChunks bounds how many there are of one run.
const maxChunks = 256

// sampleRows is about how many rows are looked at to cut a run into chunks of as many rows each.
const sampleRows = 50_000

// Cut divides what the run computes into chunks that read about rows rows each, in the order of time. nil: it is one piece,
// because it is small, or because its parts depend on each other or on rows that only its own connection has: aggregations,
// corrections that arrive, tables of others. before are the chunks of an earlier run, if any: where those ended these end too, if that
// makes none much larger, so that it is known of each what was live in it. It follows Read.
func (t *Transform) Cut(ctx context.Context, rows int64, before []Spans) ([]Spans, error) {
	n := min(t.RowsRead()/max(rows, 1), maxChunks)
	if n < 2 || t.windows != nil || len(t.corrections) > 0 {
		return nil, nil
	}
	for _, in := range t.Inputs {
		if in.foreign != nil {
			return nil, nil
		}
	}
	times, err := t.quantiles(ctx, int(n))
	if err != nil {
		return nil, err
	}
	var chunks []Spans
	left := t.Plan.Owned
	for _, at := range snap(times, left.Hull(), before) {
		at = at.Floor(t.View.RunGrain())
		before := left.Intersect(NewSpans(Span{Start: left.Hull().Start, End: at}))
		if len(before) == 0 {
			continue
		}
		chunks = append(chunks, before)
		if left = left.Minus(before); len(left) == 0 {
			break
		}
	}
	if len(left) > 0 {
		chunks = append(chunks, left)
	}
	if len(chunks) < 2 {
		return nil, nil
	}
	return chunks, nil
}

// snap moves times, which ascend within hull, to the nearest edges of spans, where those are less than half of the way to the next time.
func snap(times []feature.Time, hull Span, chunks []Spans) []feature.Time {
	var edges []feature.Time
	for _, spans := range chunks {
		for _, s := range spans {
			edges = append(edges, s.Start, s.End)
		}
	}
	snapped := slices.Clone(times)
	for i, at := range times {
		before, after := hull.Start, hull.End
		if i > 0 {
			before = times[i-1]
		}
		if i+1 < len(times) {
			after = times[i+1]
		}
		nearest := min(at-before, after-at) / 2
		for _, edge := range edges {
			if way := max(edge-at, at-edge); way < nearest {
				nearest, snapped[i] = way, edge
			}
		}
	}
	return snapped
}

// quantiles are n - 1 event times that cut the rows of the largest input into about equal parts.
func (t *Transform) quantiles(ctx context.Context, n int) ([]feature.Time, error) {
	var most int64
	var column, from, where string
	read := t.Reads()
	for _, in := range t.Inputs {
		if in.Rows > most {
			most, column, where = in.Rows, quote(in.Source.Name, in.Source.EventTime), in.Considered(read)
			from = in.table + " AS " + quote(in.Source.Name)
		}
	}
	for _, in := range t.ViewInputs {
		if in.Rows > most {
			most, column = in.Rows, "h.event_time"
			from = historyTable(in.View) + " AS h"
			where = fmt.Sprintf("h.seq_from <= %[1]d AND h.seq_to > %[1]d AND %[2]s", in.Seq, read.shift(in.shift(t.View)).Condition("h.event_time"))
		}
	}
	parts := make([]float64, n-1)
	for i := range parts {
		parts[i] = float64(i+1) / float64(n)
	}
	percent := min(100, 100*float64(sampleRows)/float64(max(most, 1)))
	var found []time.Time
	err := t.tx.QueryRow(ctx, fmt.Sprintf("SELECT percentile_disc($1::float8[]) WITHIN GROUP (ORDER BY %s) FROM %s TABLESAMPLE SYSTEM (%f) REPEATABLE (1) WHERE %s",
		column, from, percent, where), parts).Scan(&found)
	times := make([]feature.Time, len(found))
	for i, at := range found {
		times[i] = feature.TimeOf(at)
	}
	return times, err
}

// patient lets a transaction wait while others are at work for it.
const patient = "SET LOCAL idle_in_transaction_session_timeout = 0"

// Fork is the transform on another connection, in the same snapshot: what it computes of a span is what t would. It follows
// Read, and t must be open until it has returned. The caller calls Close.
func (t *Transform) Fork(ctx context.Context, conn *pgx.Conn) (*Transform, error) {
	// It waits while its forks are at work.
	if _, err := t.tx.Exec(ctx, patient); err != nil {
		return nil, err
	}
	var snapshot string
	if err := t.tx.QueryRow(ctx, `SELECT pg_export_snapshot()`).Scan(&snapshot); err != nil {
		return nil, err
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return nil, err
	}
	f := &Transform{View: t.View, Plan: t.Plan, Inputs: t.Inputs, ViewInputs: t.ViewInputs, tx: tx, conn: conn, bounds: t.bounds,
		vectorBytes: t.vectorBytes, Count: t.Count, Known: t.Known, screening: t.screening, observe: t.observe}
	err = func() error {
		if _, err := tx.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+snapshot+"'; "+patient); err != nil {
			return err
		}
		if err := pinSession(ctx, tx); err != nil {
			return err
		}
		return t.copyLists(ctx, f)
	}()
	if err != nil {
		return nil, f.broken(ctx, err)
	}
	return f, nil
}

// copyLists copies the temporary tables that say which rows do not count to another session: nobody sees those of a session
// but itself, and they go with it, however it ends.
func (t *Transform) copyLists(ctx context.Context, f *Transform) error {
	var conditions strings.Builder
	for _, in := range t.Inputs {
		conditions.WriteString(strings.Join(in.counts, " "))
	}
	if conditions.Len() == 0 {
		return nil
	}
	rows, err := t.tx.Query(ctx, `
		SELECT c.relname::text, string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relnamespace = pg_my_temp_schema() AND c.relkind = 'r' GROUP BY 1 ORDER BY 1`)
	if err != nil {
		return err
	}
	type list struct{ Name, Columns string }
	lists, err := pgx.CollectRows(rows, pgx.RowToStructByPos[list])
	if err != nil {
		return err
	}
	for _, l := range lists {
		if !strings.Contains(conditions.String(), temporary(l.Name)) {
			continue
		}
		if _, err := f.tx.Exec(ctx, "CREATE TEMPORARY TABLE "+quote(l.Name)+" ("+l.Columns+") ON COMMIT DROP"); err != nil {
			return err
		}
		if err := copyTable(ctx, t.conn, f.conn, temporary(l.Name)); err != nil {
			return err
		}
		if _, err := f.tx.Exec(ctx, "ANALYZE "+temporary(l.Name)); err != nil {
			return err
		}
	}
	return nil
}

// copyTable copies the rows of a table of one session into the table of that name of another.
func copyTable(ctx context.Context, from, to *pgx.Conn, table string) error {
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		_, err := from.PgConn().CopyTo(ctx, w, "COPY "+table+" TO STDOUT (FORMAT binary)")
		w.CloseWithError(err)
		sent <- err
	}()
	_, err := to.PgConn().CopyFrom(ctx, r, "COPY "+table+" FROM STDIN (FORMAT binary)")
	r.CloseWithError(errCopyEnded)
	if sendErr := <-sent; sendErr != nil && !errors.Is(sendErr, errCopyEnded) {
		return sendErr
	}
	return err
}

// BeginChunks makes what the chunks of a run are written to, in the transaction in which it is noted what they are.
func (t *Transform) BeginChunks(ctx context.Context, tx pgx.Tx, seq int64) error {
	_, err := createNext(ctx, tx, t, seq)
	return err
}

// WriteChunk is Write for one of the chunks that Cut made: owned is what it computes. done is called before it is committed.
func WriteChunk(ctx context.Context, conn *pgx.Conn, t *Transform, seq int64, owned Spans, fence Fence,
	done func(context.Context, pgx.Tx, *Written) error,
) (*Written, error) {
	w := &Written{}
	began := time.Now()
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := fence(ctx, tx); err != nil {
			return err
		}
		direct, err := hasNext(ctx, tx, t.View, seq)
		if err != nil {
			return err
		}
		p := &part{t: t, owned: owned, direct: direct}
		if err := p.write(ctx, tx, seq, w); err != nil {
			return err
		}
		w.Write = time.Since(began) - w.Transform
		if err := done(ctx, tx, w); err != nil {
			return err
		}
		return fence(ctx, tx)
	})
	return w, t.tooLarge(err)
}

// EndChunks follows the last chunk of a run: what was written beside an empty history becomes the history. produced is what
// all chunks did together. To do it again changes nothing.
func (t *Transform) EndChunks(ctx context.Context, conn *pgx.Conn, seq, produced int64, fence Fence) error {
	if t.Plan.After > 0 {
		return nil
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := fence(ctx, tx); err != nil {
			return err
		}
		direct, err := hasNext(ctx, tx, t.View, seq)
		if err != nil {
			return err
		}
		if direct {
			return adoptNext(ctx, tx, t, seq, produced)
		}
		// The run was taken up again after its history was put in its place: the rows are to be what was noted of them.
		var rows int64
		err = tx.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM %s WHERE seq_to = %d", historyTable(t.View), int64(SeqLive))).Scan(&rows)
		if err == nil && rows != produced {
			err = t.breaks(LiveRowsAreTheOutput, "the ledger does not balance: %d rows are live after its chunks, and they produced %d; "+
				"nothing was published", rows, produced)
		}
		return err
	})
}
