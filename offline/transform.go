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
	"github.com/headwaterhq/headwater/window"
)

// Transform is one execution of a view's SQL or aggregations, in a read-only snapshot of its sources.
type Transform struct {
	// View is nil where a spine is read; see Spine.
	View *feature.ViewVersion
	// Plan is what it computes, and up to where it considers what it reads.
	Plan   Plan
	Inputs []*Input
	// ViewInputs are the views that it reads, in the order of View.ViewVersions.
	ViewInputs []*ViewInput
	// Notes say what of the plan its reader should know.
	Notes []string
	// Accounted says, when Rows is done for all spans, that of each row that was read it is known what became of it: Used of
	// them are in the output, the others are in Filtered.
	Accounted bool
	Used      int64
	Filtered  []Reason
	// Count, unless nil, is called with rows as Rows is done with them: of the source for aggregations, else of the output.
	Count func(rows int64)
	// Known, unless nil, is what the live rows of the history are known to be whose event times less grain lie in spans; nil where
	// nobody knows. An output that is the same is not compared with them. It may be called for several parts of the output at once.
	Known func(ctx context.Context, spans Spans) (*Known, error)

	// corrections are the times at which states of knowledge begin after the first.
	corrections []feature.Time

	tx       pgx.Tx
	conn     *pgx.Conn
	bounds   Bounds
	validate Validate
	// consumed is up to where earlier runs have taken up everything, nil for nothing.
	consumed *Marks
	// screening makes the screen of a part of the output, and screen is that of the part at work. nil: every row is written.
	screening func() *Screen
	screen    *Screen
	// observe makes the observer of a part of the output. nil: nobody looks at it.
	observe func() *Observer
	// databases are those that sources may name, remotes the snapshots of those that the run has looked into.
	databases *Databases
	remotes   map[string]remoteSnapshot
	// kept is what a run that is computed again kept of tables of others.
	kept KeptRun
	// windows is nil for SQL.
	windows *window.Plan
	// vectorBytes is what each row takes for its vectors.
	vectorBytes int
}

// BeginTransform takes the snapshot on conn, and makes the plan. The caller calls Read unless the plan holds nothing, and Close.
func BeginTransform(ctx context.Context, conn *pgx.Conn, scope Scope) (*Transform, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return nil, err
	}
	t := &Transform{View: scope.View, tx: tx, conn: conn, databases: scope.Databases, remotes: map[string]remoteSnapshot{},
		bounds: scope.Bounds.orDefault(), validate: scope.Validate, screening: scope.Screen, observe: scope.Observe, consumed: scope.Consumed, kept: scope.Kept,
		vectorBytes: scope.View.VectorBytes()}
	if a := t.View.Aggregation; a != nil {
		t.windows = window.NewPlan(&t.View.View, &t.View.SourceVersions[0].Source)
	}
	if err := t.begin(ctx, &scope); err != nil {
		return nil, t.broken(ctx, err)
	}
	return t, nil
}

// broken ends the snapshot after an error.
func (t *Transform) broken(ctx context.Context, err error) error {
	t.closeRemotes(ctx)
	// The connection of a COPY that was broken off is gone, and its transaction with it.
	if t.conn.IsClosed() {
		return err
	}
	return errors.Join(err, t.tx.Rollback(context.WithoutCancel(ctx)))
}

func (t *Transform) begin(ctx context.Context, scope *Scope) error {
	if err := pinSession(ctx, t.tx); err != nil {
		return err
	}
	if !scope.AnyFunctions {
		if err := t.checkFunctions(ctx); err != nil {
			return err
		}
	}
	// Duplicates, and what changed, are found by hashes and sorts as large as the SQL's may be.
	memory := strconv.FormatInt(t.bounds.WorkMemory>>10, 10) + "kB"
	if _, err := t.tx.Exec(ctx, `SELECT set_config('work_mem', $1, true)`, memory); err != nil {
		return err
	}
	if scope.Plan == nil {
		return t.plan(ctx, scope)
	}
	t.Plan = *scope.Plan
	_, err := t.openInputs(ctx, scope)
	return err
}

// Read counts the rows that all spans of the plan read, and finds those that do not count.
func (t *Transform) Read(ctx context.Context) error {
	// What the run reads of other databases is copied by then.
	defer t.closeRemotes(ctx)
	t.CountSetAside()
	read := t.Reads()
	var err error
	if t.corrections, err = t.corrected(read); err != nil {
		return err
	}
	for _, in := range t.Inputs {
		if err := in.read(ctx, t, read); err != nil {
			return err
		}
		if err := in.leaveOutByRules(ctx, t, read); err != nil {
			return err
		}
		if err := in.validate(ctx, t, read); err != nil {
			return err
		}
	}
	for _, in := range t.ViewInputs {
		if err := in.count(ctx, t.tx, t.View, read); err != nil {
			return err
		}
	}
	return nil
}

// checkFunctions refuses a run whose functions of users are no longer those that the view's version means.
func (t *Transform) checkFunctions(ctx context.Context) error {
	changed, err := t.ChangedFunctions(ctx)
	if err != nil || len(changed) == 0 {
		return err
	}
	return t.refused(nil, "found another definition of %s than when it was applied, expected the one that is part of its fingerprint; "+
		"apply its definition again, which makes a new version, or restore the function", strings.Join(changed, ", "))
}

// ChangedFunctions are the functions of users that are others than those that the view's version means.
func (t *Transform) ChangedFunctions(ctx context.Context) ([]string, error) {
	if t.View.Analysis == nil {
		return nil, nil
	}
	return analysis.ChangedFunctions(ctx, t.tx, t.View.Analysis.Functions)
}

// RowsRead is the number of rows that the inputs show.
func (t *Transform) RowsRead() int64 {
	var n int64
	for _, in := range t.Inputs {
		n += in.Rows + in.SetAside()
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

// Rows computes the output of a span of the plan, and calls emit for each row of it. A row that breaks a rule of the view is a
// RUN_REFUSED fault. The row is valid only during the call. After an error only Close may be called.
func (t *Transform) Rows(ctx context.Context, span Span, emit func(*feature.Row) error) error {
	return t.rows(ctx, span, nil, emit)
}

// rows is Rows in the state of knowledge that begins at a time, nil for the first.
func (t *Transform) rows(ctx context.Context, span Span, state *feature.Time, emit func(*feature.Row) error) error {
	if _, err := t.tx.Exec(ctx, "SAVEPOINT span"); err != nil {
		return err
	}
	read := NewSpans(t.reads(span))
	for _, in := range t.Inputs {
		create := in.createView
		if len(in.arriving) > 0 {
			create = func(ctx context.Context, tx pgx.Tx, read Spans) error {
				return in.createArrivingView(ctx, tx, read, state)
			}
		}
		if err := create(ctx, t.tx, read); err != nil {
			return arrivalFault(in.Source, err)
		}
	}
	for _, in := range t.ViewInputs {
		if err := in.createView(ctx, t.tx, t.View, read); err != nil {
			return err
		}
	}
	emit = t.screened(emit)
	checked := func(r *feature.Row) error {
		if err := t.checkRow(span, r); err != nil {
			return err
		}
		if t.Count != nil && t.windows == nil {
			t.Count(1)
		}
		return emit(r)
	}
	compute := t.queryRows
	if t.windows != nil {
		compute = t.windowRows
	}
	if err := compute(ctx, span, checked); err != nil {
		return err
	}
	// Views, grants, bounds and role are taken back.
	_, err := t.tx.Exec(ctx, "ROLLBACK TO SAVEPOINT span; RELEASE SAVEPOINT span")
	return err
}

// become is done before text of the view runs.
func (t *Transform) become(ctx context.Context) error {
	if err := t.bounds.set(ctx, t.tx); err != nil {
		return err
	}
	return become(ctx, t.tx, inputNames(t.View))
}

// checkRow refuses a row that no store can hold, or that the run does not own.
func (t *Transform) checkRow(span Span, r *feature.Row) error {
	if len(r.Key) > feature.MaxKeyBytes {
		return t.refuseKey([]byte(r.Key))
	}
	size := t.vectorBytes
	for _, v := range r.Values {
		size += v.Size()
	}
	if size > feature.MaxRowText {
		return t.refuse("found a row (%s) with %d bytes of text, bytes, lists and vectors in its features and attributes, expected at most %d; cut it down",
			fault.Data(t.describe(r)), size, feature.MaxRowText)
	}
	grain := t.View.RunGrain()
	if at := r.EventTime.Add(-grain); at < span.Start || at >= span.End {
		return t.breaks(InsideInterval, "found a row (%s) whose event_time less the grain of %s lies outside of the run's interval [%s, %s); "+
			"a run writes only what it owns: check the grain, or leave other groups out with {{interval.start}} and "+
			"{{interval.end}}", fault.Data(t.describe(r)), grain, span.Start, span.End)
	}
	return nil
}

func (t *Transform) refuseKey(key []byte) error {
	return t.refuse("found join keys of %d bytes, which begin with %s, expected at most %d; make a shorter key of them, such "+
		"as a hash", len(key), fault.Data(strconv.Quote(string(key[:40]))), feature.MaxKeyBytes)
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
func (t *Transform) queryRows(ctx context.Context, span Span, emit func(*feature.Row) error) error {
	if err := t.become(ctx); err != nil {
		return err
	}
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
	from := "(" + query.Render(span.Start, span.End) + "\n) AS " + outputView
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
			return t.breaks(KeysAndTimesNotNull, "found a row (%s) in which a join key, event_time or available_at is NULL, expected none; "+
				"leave such rows out with a WHERE, or give them a value", fault.Data(describeRow(columns[:keys+2], values)))
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
			"(NULLIF, CASE, WHERE), or replace the load that brought them", t.View.Ref(), fault.Data(pg.Message)).Because(err)
	}
	return err
}

// refuseValue refuses a row for the value of a column. values are those of its keys and times that came before.
func (t *Transform) refuseValue(columns []feature.Column, values []feature.Value, column string, bad badValue) error {
	if len(values) == 0 {
		return t.refuse("column %s: %s", column, fault.Data(string(bad)))
	}
	return t.refuse("column %s of a row (%s): %s", column, fault.Data(describeRow(columns[:len(values)], values)), fault.Data(string(bad)))
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
	t.closeRemotes(ctx)
	return t.tx.Rollback(context.WithoutCancel(ctx))
}
