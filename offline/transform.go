package offline

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline/analysis"
)

// Scope is what a run is asked to do.
type Scope struct {
	View *feature.ViewVersion
	// From and To bound the event times less grain, [From, To). nil: as far as the live loads reach, and at least as far
	// as earlier runs did, so that what was withdrawn at the source is withdrawn here. Both are cut down to multiples of
	// the grain: a group that is not finished is not computed.
	From, To *feature.Time
	// Covered is what earlier runs covered.
	Covered Span
	// Bounds is what the SQL may take.
	Bounds Bounds
	// Databases are those that sources may name.
	Databases *Databases
}

// Transform is one execution of a view's SQL, in a read-only snapshot of its sources.
type Transform struct {
	View *feature.ViewVersion
	// Owned is the span that the output's event times less grain lie in.
	Owned  Span
	Inputs []*Input
	// Now is when the snapshot was taken.
	Now feature.Time
	// ViewInputs are the views that it reads, in the order of View.ViewVersions.
	ViewInputs []*ViewInput
	// Accounted says, when Rows is done, that of each row that was read it is known what became of it: Used of them are in
	// the output, the others are in Filtered.
	Accounted bool
	Used      int64
	Filtered  []Reason

	// corrections are the times at which states of knowledge begin after the first.
	corrections []feature.Time

	tx     pgx.Tx
	conn   *pgx.Conn
	bounds Bounds
	// databases are those that sources may name, remotes the snapshots of those that the run has looked into.
	databases *Databases
	remotes   map[string]remoteSnapshot
	// aggregating is nil for SQL.
	aggregating *aggregating
	// vectorBytes is what each row takes for its vectors.
	vectorBytes int
}

// BeginTransform takes the snapshot on conn: which loads, which span, how many rows. The caller calls Close.
func BeginTransform(ctx context.Context, conn *pgx.Conn, scope Scope) (*Transform, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return nil, err
	}
	t := &Transform{View: scope.View, tx: tx, conn: conn, databases: scope.Databases, remotes: map[string]remoteSnapshot{},
		bounds: scope.Bounds.orDefault()}
	// What the run reads of other databases is copied by then.
	defer t.closeRemotes(ctx)
	if err := t.begin(ctx, scope); err != nil {
		// The connection of a COPY that was broken off is gone, and its transaction with it.
		if conn.IsClosed() {
			return nil, err
		}
		return nil, errors.Join(err, tx.Rollback(context.WithoutCancel(ctx)))
	}
	return t, nil
}

func (t *Transform) begin(ctx context.Context, scope Scope) error {
	if err := pinSession(ctx, t.tx); err != nil {
		return err
	}
	if err := t.checkFunctions(ctx); err != nil {
		return err
	}
	var reach Span
	for _, src := range t.View.SourceVersions {
		in, span, err := t.openInput(ctx, src)
		if err != nil {
			return err
		}
		t.Inputs = append(t.Inputs, in)
		reach = reach.Union(span)
	}
	for _, view := range t.View.ViewVersions {
		in, err := openViewInput(ctx, t.tx, t.View, view)
		if err != nil {
			return err
		}
		t.ViewInputs = append(t.ViewInputs, in)
		reach = reach.Union(in.reach(t.View))
	}
	var now time.Time
	if err := t.tx.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return err
	}
	t.Now = feature.TimeOf(now)
	own := t.own
	if t.View.Aggregation != nil {
		own = t.ownWindows
	}
	if err := own(scope, reach, t.Now); err != nil {
		return err
	}
	// Duplicates are found by hashes and sorts as large as the SQL's may be.
	memory := strconv.FormatInt(t.bounds.WorkMemory>>10, 10) + "kB"
	if _, err := t.tx.Exec(ctx, `SELECT set_config('work_mem', $1, true)`, memory); err != nil {
		return err
	}
	read := t.reads()
	var err error
	if t.corrections, err = t.corrected(read); err != nil {
		return err
	}
	for _, in := range t.Inputs {
		if err := in.read(ctx, t, read); err != nil {
			return err
		}
		if len(t.corrections) > 0 && len(in.arriving) > 0 {
			// What it shows is another thing in each state.
			continue
		}
		if err := in.createView(ctx, t.tx, read); err != nil {
			return arrivalFault(in.Source, err)
		}
	}
	for _, in := range t.ViewInputs {
		if err := in.createView(ctx, t.tx, t.View, read); err != nil {
			return err
		}
		if err := in.count(ctx, t.tx); err != nil {
			return err
		}
	}
	if err := t.bounds.set(ctx, t.tx); err != nil {
		return err
	}
	if len(t.corrections) > 0 {
		return nil
	}
	return become(ctx, t.tx, t.View)
}

// checkFunctions refuses a run whose functions of users are no longer those that the view's version means.
func (t *Transform) checkFunctions(ctx context.Context) error {
	if t.View.Analysis == nil {
		return nil
	}
	changed, err := analysis.ChangedFunctions(ctx, t.tx, t.View.Analysis.Functions)
	if err != nil || len(changed) == 0 {
		return err
	}
	return t.refused(nil, "found another definition of %s than when it was applied, expected the one that is part of its fingerprint; "+
		"apply its definition again, which makes a new version, or restore the function", strings.Join(changed, ", "))
}

// own works out the span that the run owns.
func (t *Transform) own(scope Scope, reach Span, now feature.Time) error {
	grain := t.View.RunGrain()
	reach = Span{Start: reach.Start.Floor(grain), End: reach.End.Ceil(grain)}
	if grain > 0 {
		reach.End = min(reach.End, now.Floor(grain))
	}
	t.Owned = reach.Union(scope.Covered)
	if scope.From != nil {
		t.Owned.Start = scope.From.Floor(grain)
	}
	if scope.To != nil {
		t.Owned.End = scope.To.Floor(grain)
		if grain > 0 {
			t.Owned.End = min(t.Owned.End, now.Floor(grain))
		}
	}
	if t.Owned.IsEmpty() && scope.From == nil && scope.To == nil && reach.IsEmpty() {
		if sources := t.View.SourceVersions; len(sources) > 0 && sources[0].Postgres != nil {
			src := sources[0]
			return fault.New(fault.FailedPrecondition, "view %s: source %s has no rows, and no run covered anything yet; "+
				"wait until there are rows in %s", t.View.Ref(), src.Name, src.Postgres)
		}
		return fault.New(fault.FailedPrecondition, "view %s: no load of its sources is live, and no run covered anything yet; "+
			"send rows first: headwater ingest SOURCE FILE", t.View.Ref())
	}
	if t.Owned.IsEmpty() {
		return fault.New(fault.InvalidArgument, "view %s: the interval [%s, %s) holds no finished group of %s; "+
			"ask for a later end", t.View.Ref(), t.Owned.Start, t.Owned.End, grain)
	}
	return nil
}

// RowsRead is the number of rows that the inputs show.
func (t *Transform) RowsRead() int64 {
	var n int64
	for _, in := range t.Inputs {
		n += in.Rows
	}
	for _, in := range t.ViewInputs {
		n += in.Rows
	}
	return n
}

// Duplicates is how many of the rows read do not count because another row of their unique key does: those equal to it,
// and the others.
func (t *Transform) Duplicates() (exact, conflicting int64) {
	for _, in := range t.Inputs {
		exact += in.Exact
		conflicting += in.Conflicting
	}
	return exact, conflicting
}

// Rows computes the output and calls emit for each row of it. A row that breaks a rule of the view is a RUN_REFUSED fault.
// The row is valid only during the call.
func (t *Transform) Rows(ctx context.Context, emit func(*feature.Row) error) error {
	t.vectorBytes = t.View.VectorBytes()
	checked := func(r *feature.Row) error {
		if err := t.checkRow(r); err != nil {
			return err
		}
		return emit(r)
	}
	if t.aggregating != nil {
		return t.windowRows(ctx, checked)
	}
	return t.queryRows(ctx, checked)
}

// checkRow refuses a row that no store can hold, or that the run does not own.
func (t *Transform) checkRow(r *feature.Row) error {
	if len(r.Key) > feature.MaxKeyBytes {
		return t.refuseKey([]byte(r.Key))
	}
	size := t.vectorBytes
	for _, v := range r.Values {
		size += v.Size()
	}
	if size > feature.MaxRowText {
		return t.refuse("found a row (%s) with %d bytes of text, bytes, lists and vectors in its features and attributes, expected at most %d; cut it down",
			t.describe(r), size, feature.MaxRowText)
	}
	grain := t.View.RunGrain()
	if at := r.EventTime.Add(-grain); at < t.Owned.Start || at >= t.Owned.End {
		return t.refuse("found a row (%s) whose event_time less the grain of %s lies outside of the run's interval [%s, %s); "+
			"a run writes only what it owns: check the grain, or leave other groups out with {{interval.start}} and "+
			"{{interval.end}}", t.describe(r), grain, t.Owned.Start, t.Owned.End)
	}
	return nil
}

func (t *Transform) refuseKey(key []byte) error {
	return t.refuse("found join keys of %d bytes, which begin with %q, expected at most %d; make a shorter key of them, such "+
		"as a hash", len(key), key[:40], feature.MaxKeyBytes)
}

// describe is the row's keys and times for a message.
func (t *Transform) describe(r *feature.Row) string {
	columns := outputColumns(t.View)[:len(t.View.EntityVersion.JoinKeys)+2]
	values, err := t.View.EntityVersion.ParseKey(r.Key)
	if err != nil {
		return r.Key
	}
	return describeRow(columns, append(values, feature.Timestamp(r.EventTime), feature.Timestamp(r.AvailableAt)))
}

// queryRows runs the view's SQL.
func (t *Transform) queryRows(ctx context.Context, emit func(*feature.Row) error) error {
	columns := outputColumns(t.View)
	keys := len(t.View.EntityVersion.JoinKeys)
	values := make([]feature.Value, len(columns))
	var row feature.Row
	var key []byte
	query, problems := feature.ParseQuery(t.View.SQL.Query)
	if len(problems) > 0 {
		return sqlFault(t.View, problems[0].Line, problems[0].Column, problems[0].Message, nil)
	}
	// Not by way of a view of ours, which would read with the rights of its owner. The line break ends a comment.
	from := "(" + query.Render(t.Owned.Start, t.Owned.End) + "\n) AS " + outputView
	began := time.Now()
	err := copyOut(ctx, t.conn, outputSelect(t.View, from), func(fields [][]byte) error {
		for i, f := range fields {
			values[i] = feature.Null()
			if f == nil {
				continue
			}
			v, err := decodeValue(columns[i].Type, f)
			if bad := badValue(""); errors.As(err, &bad) {
				return t.refuseValue(columns, values[:min(i, keys+2)], columns[i].Name, bad)
			}
			if err != nil {
				return err
			}
			values[i] = v
		}
		var ok bool
		var err error
		key, ok, err = t.View.EntityVersion.AppendKey(key[:0], values[:keys])
		if err != nil {
			return t.refuse("%v", err)
		}
		if !ok || values[keys].IsNull() || values[keys+1].IsNull() {
			return t.refuse("found a row (%s) in which a join key, event_time or available_at is NULL, expected none; "+
				"leave such rows out with a WHERE, or give them a value", describeRow(columns[:keys+2], values))
		}
		row.Key = string(key)
		row.EventTime, row.AvailableAt = values[keys].Timestamp(), values[keys+1].Timestamp()
		row.Values = values[keys+2:]
		return emit(&row)
	})
	if f := t.beyondBounds(ctx, err, time.Since(began)); f != nil {
		return f
	}
	if pg := lasting(err); pg != nil {
		return fault.New(fault.RunRefused, "view %s: its SQL failed on the rows of this run: %s; let it cope with such rows "+
			"(NULLIF, CASE, WHERE), or replace the load that brought them", t.View.Ref(), pg.Message).Because(err)
	}
	return err
}

// refuseValue refuses a row for the value of a column. values are those of its keys and times that came before.
func (t *Transform) refuseValue(columns []feature.Column, values []feature.Value, column string, bad badValue) error {
	if len(values) == 0 {
		return t.refuse("column %s: %v", column, bad)
	}
	return t.refuse("column %s of a row (%s): %v", column, describeRow(columns[:len(values)], values), bad)
}

func (t *Transform) refuse(format string, args ...any) error {
	return t.refused(nil, format, args...)
}

// transient are the classes of errors that the same query on the same rows may not meet again: of the connection and the
// transaction, of means that run out, of a server that is stopped or faulty. All others come of the SQL and the rows.
var transient = []string{"08", "25", "40", "53", "55", "57", "58", "F0", "XX"}

// lasting is the error of Postgres in err that comes of the SQL and the rows, or nil.
func lasting(err error) *pgconn.PgError {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) < 2 || slices.Contains(transient, pg.Code[:2]) {
		return nil
	}
	return pg
}

func describeRow(columns []feature.Column, values []feature.Value) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		text := "NULL"
		if !values[i].IsNull() {
			text = values[i].Text()
		}
		parts[i] = c.Name + " " + text
	}
	return strings.Join(parts, ", ")
}

// Close ends the snapshot. Nothing of it stays.
func (t *Transform) Close(ctx context.Context) error {
	return t.tx.Rollback(context.WithoutCancel(ctx))
}
