package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// openForeign looks at a table of others in the run's snapshot, or in the run's one snapshot of its database.
func (t *Transform) openForeign(ctx context.Context, src *feature.SourceVersion) (*Input, Span, error) {
	if in, err := t.openKept(ctx, src); in != nil || err != nil {
		return in, Span{}, err
	}
	r := &relation{source: src, conn: t.conn, tx: t.tx}
	if name := src.Postgres.Database; name != "" {
		remote, ok := t.remotes[name]
		if !ok {
			conn, tx, err := t.databases.begin(ctx, name)
			if err != nil {
				return nil, Span{}, err
			}
			remote = remoteSnapshot{conn: conn, tx: tx}
			t.remotes[name] = remote
			// A lock that nobody gives back must not hold the run, its view and a worker for ever.
			if _, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true)`, strconv.FormatInt(t.bounds.Timeout.Milliseconds(), 10)); err != nil {
				return nil, Span{}, databaseFault(name, err)
			}
		}
		r.conn, r.tx, r.remote, r.timeout = remote.conn, remote.tx, true, t.bounds.Timeout
	}
	columns, err := r.seen(ctx)
	if err != nil {
		return nil, Span{}, err
	}
	span, err := r.bounds(ctx, columns)
	in := &Input{Source: src, foreign: r, table: r.rows()}
	for _, c := range columns {
		in.Schema = append(in.Schema, c.Name+" "+c.Type)
	}
	if !span.IsEmpty() {
		newest := span.End - 1
		in.Newest = &newest
	}
	if _, ok := t.Plan.Marks.Changes[src.Name]; err != nil || ok || src.Postgres.ChangeColumn == "" {
		return in, span, err
	}
	mark, ok, err := in.changeMark(ctx)
	if ok {
		t.Plan.Marks.Changes[src.Name] = mark
	}
	return in, span, err
}

// remoteSnapshot is a run's snapshot of another database.
type remoteSnapshot struct {
	conn *pgx.Conn
	tx   pgx.Tx
}

// closeRemotes ends the snapshots of other databases.
func (t *Transform) closeRemotes(ctx context.Context) {
	for name, r := range t.remotes {
		_ = r.conn.Close(context.WithoutCancel(ctx))
		delete(t.remotes, name)
	}
}

// readForeign reads the rows of the interval once, for their number and digest. Those of another database are copied on the
// way into a table that lives as long as the run's snapshot. Those that the run kept are counted already.
func (in *Input) readForeign(ctx context.Context, t *Transform, read Spans) error {
	r, table := in.foreign, in.table
	if !in.FromKept() {
		query := fmt.Sprintf("SELECT %s FROM %s AS _rows WHERE %s", quoteAll("", columnNames(in.Source.Columns)), r.asTheyAre(),
			inside(in.Source, read))
		counter := newRowCounter(r, read)
		var err error
		if !r.remote {
			err = r.failed(copyOut(ctx, r.conn, query, counter.add))
		} else {
			table = temporary("_rows_" + in.Source.Name)
			err = r.copyHere(ctx, t, query, counter)
		}
		if err != nil {
			return err
		}
		in.counted(counter)
	}
	if err := in.foreignDuplicates(ctx, t, read); err != nil {
		return err
	}
	in.table, in.whole = table, table
	if in.Exact > 0 {
		in.table = in.distinct(read)
	}
	return nil
}

// rowCounter counts rows in the binary format and adds up their digest.
type rowCounter struct {
	relation *relation
	rows     int64
	buckets  *bucketCounter
	// eventTime is the place of that column.
	eventTime int
	buffer    []byte
}

func newRowCounter(r *relation, read Spans) *rowCounter {
	src := r.source
	return &rowCounter{relation: r, buckets: newBucketCounter(read),
		eventTime: slices.IndexFunc(src.Columns, func(c feature.Column) bool { return c.Name == src.EventTime })}
}

func (c *rowCounter) add(fields [][]byte) error {
	c.buffer = c.buffer[:0]
	var at feature.Time
	for i, f := range fields {
		v := feature.Null()
		if f != nil {
			var err error
			src := c.relation.source
			var bad badValue
			if v, err = decodeValue(src.Columns[i].Type, f); err != nil && !errors.As(err, &bad) {
				return err
			}
			if err != nil {
				return fault.New(fault.RunRefused, "source %s: %s, column %s: %s; correct it there, or name a view that does",
					src.Name, c.relation.name(), src.Columns[i].Name, bad)
			}
		}
		if i == c.eventTime && !v.IsNull() {
			at = v.Timestamp()
		}
		c.buffer = v.AppendCanonical(c.buffer)
	}
	c.buckets.add(at, c.buffer)
	c.rows++
	return nil
}

// copyHere copies what the query finds in the other database into a temporary table of the run's transaction.
func (r *relation) copyHere(ctx context.Context, t *Transform, query string, counter *rowCounter) error {
	columns := make([]string, len(r.source.Columns))
	for i, c := range r.source.Columns {
		columns[i] = quote(c.Name) + " " + columnType(c.Type)
	}
	name := "_rows_" + r.source.Name
	_, err := t.tx.Exec(ctx, "CREATE TEMPORARY TABLE "+quote(name)+" ("+strings.Join(columns, ", ")+")")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, out := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		var rowErr error
		d := &copyDecoder{row: func(fields [][]byte) error {
			rowErr = counter.add(fields)
			return rowErr
		}}
		_, err := r.conn.PgConn().CopyTo(ctx, io.MultiWriter(d, out), "COPY ("+query+"\n) TO STDOUT (FORMAT binary)")
		if rowErr != nil {
			err = rowErr
		} else if err == nil {
			err = d.close()
		}
		sent <- err
		out.CloseWithError(err)
	}()
	_, err = t.conn.PgConn().CopyFrom(ctx, in, "COPY "+temporary(name)+" FROM STDIN (FORMAT binary)")
	in.CloseWithError(errCopyEnded)
	if sendErr := <-sent; sendErr != nil && !errors.Is(sendErr, errCopyEnded) {
		if fault.As(sendErr) != nil {
			return sendErr
		}
		return r.failed(sendErr)
	}
	if err != nil {
		return err
	}
	_, err = t.tx.Exec(ctx, "ANALYZE "+temporary(name))
	return err
}

// foreignDuplicates counts the rows of a table of others that repeat another one, and refuses those that the source's rules
// do: its rows have no order of arrival, so that of two that contradict each other none can win.
func (in *Input) foreignDuplicates(ctx context.Context, t *Transform, read Spans) error {
	src, r := in.Source, in.foreign
	if len(src.UniqueKey) == 0 {
		return nil
	}
	key := quoteAll("", src.UniqueKey)
	var noKey bool
	err := r.tx.QueryRow(ctx, fmt.Sprintf(`SELECT EXISTS (SELECT FROM %s AS _rows WHERE %s AND %s)`, in.table, inside(src, read),
		nullKey(src))).Scan(&noKey)
	if err != nil {
		return r.failed(err)
	}
	if noKey {
		return fault.New(fault.RunRefused, "%s: source %s: found rows of %s in which a column of the unique key (%s) is NULL, expected a "+
			"value; fill it in, or name a view that leaves such rows out", t.reader(), src.Name, r.name(), strings.Join(src.UniqueKey, ", "))
	}
	several := severalRows(src, in.table, "true", read)
	ranked := fmt.Sprintf(`
		SELECT %s, %s AS _inside, row_number() OVER (PARTITION BY %s) > 1 AS _exact
		FROM %s AS _rows JOIN (%s) AS _several USING (%s)`,
		key, inside(src, read), quoteAll("", columnNames(src.Columns)), in.table, several, key)
	var exact, keys, distinct int64
	err = r.tx.QueryRow(ctx, fmt.Sprintf(`
		WITH _ranked AS MATERIALIZED (%s)
		SELECT count(*) FILTER (WHERE _exact AND _inside), count(*) FILTER (WHERE NOT _exact),
			(SELECT count(*) FROM (SELECT DISTINCT %s FROM _ranked) AS _keys)
		FROM _ranked`, ranked, key)).Scan(&exact, &distinct, &keys)
	if err != nil {
		return r.failed(err)
	}
	refuse := func(exact bool, having string) error {
		err := duplicateFault(ctx, r.tx, src, duplicated{
			reader: t.reader(), table: in.table, where: "true", exact: exact, place: "NULL::text[]", remedy: "correct the table, or name a view that picks one",
			keys: fmt.Sprintf("SELECT %s FROM (%s) AS _ranked GROUP BY %s HAVING %s", key, ranked, key, having),
		})
		return r.failed(err)
	}
	switch {
	case distinct > keys:
		return refuse(false, "count(*) FILTER (WHERE NOT _exact) > 1")
	case exact > 0 && src.Exact == feature.FailExact:
		return refuse(true, "bool_or(_exact)")
	}
	in.Exact = exact
	return nil
}

// distinct is what stands after FROM for the rows of the interval, each once. Of two zeros one must be it always, so the
// text of numbers that have two decides.
func (in *Input) distinct(read Spans) string {
	order := quoteAll("", in.Source.UniqueKey)
	for _, c := range in.Source.Columns {
		order += ", " + quote(c.Name) + "::text"
	}
	return fmt.Sprintf("(SELECT DISTINCT ON (%s) * FROM %s AS _rows WHERE %s ORDER BY %s)",
		quoteAll("", in.Source.UniqueKey), in.table, inside(in.Source, read), order)
}

// changeMark is the greatest value of the change column in the snapshot. ok is false without one.
func (in *Input) changeMark(ctx context.Context) (mark ChangeMark, ok bool, err error) {
	name := in.Source.Postgres.ChangeColumn
	value := "max(" + quote(name) + ")"
	if in.Source.Column(name).Type == feature.TypeTimestamp {
		value = fmt.Sprintf("CASE WHEN isfinite(%[1]s) THEN (extract(epoch FROM %[1]s) * 1000000)::bigint END", value)
	}
	var greatest *int64
	if err := in.foreign.tx.QueryRow(ctx, fmt.Sprintf("SELECT %s FROM %s AS _rows", value, in.table)).Scan(&greatest); err != nil {
		return mark, false, in.foreign.failed(err)
	}
	if greatest == nil {
		return mark, false, nil
	}
	return ChangeMark{Column: name, Value: *greatest}, true, nil
}

// changedThere is the event times, within some, at which a table of others has rows that were added or changed since its change
// column had the value of mark. known is false when that cannot be told, so that all of it may have changed. A row whose
// change value is NULL counts as changed.
func (in *Input) changedThere(ctx context.Context, t *Transform, mark ChangeMark, within Spans) (changed Spans, known bool, err error) {
	o := in.Source.Postgres
	if o.ChangeColumn == "" || mark.Column != o.ChangeColumn {
		return nil, false, nil
	}
	seen := strconv.FormatInt(mark.Value-o.RereadRows, 10)
	if in.Source.Column(o.ChangeColumn).Type == feature.TypeTimestamp {
		seen = timeLiteral(feature.Time(mark.Value).Add(-o.Reread))
	}
	t.Notes = append(t.Notes, fmt.Sprintf("source %s: its rows were followed by %s; what rows that were deleted, or that moved to another event time, "+
		"left behind is withdrawn by a run with --full", in.Source.Name, o.ChangeColumn))
	from := fmt.Sprintf("FROM %[1]s AS _rows WHERE %[2]s AND (%[3]s > %[4]s OR %[3]s IS NULL)", in.table, inside(in.Source, within),
		quote(o.ChangeColumn), seen)
	changed, err = changedTimes(ctx, in.foreign.tx, quote(in.Source.EventTime), from, within.Hull())
	return changed, true, in.foreign.failed(err)
}
