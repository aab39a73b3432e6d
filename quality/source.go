package quality

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
)

// Reading is the rows of a source that a run reads and that are no duplicates, in the run's snapshot.
type Reading struct {
	Source *feature.SourceVersion
	// Table is what stands after FROM; Where is the condition that rows meet which are looked at. It names the source's columns as
	// they are, or with the source's name before the point.
	Table, Where string
	// Rows is how many rows are read, Exact and Conflicting those of them that are left out as duplicates, Considered those that Where
	// is about.
	Rows, Exact, Conflicting, Considered int64
	// CameAside is how many rows the run counts besides that were set aside when they came, and CameLeftOut that were left out.
	CameAside, CameLeftOut int64
	// Now is the run's, which plausible times of tables of others are held to. Rows of landing sources are held to the time at which
	// their load was committed.
	Now feature.Time
	// Run is how commands name the run.
	Run string
	// Other is of another source what stands after FROM, and the condition that its rows meet which are there.
	Other func(ctx context.Context, source string) (table, where string, err error)
	// Stream runs a query whose first columns are those given, and then texts as many as texts, and calls row for each row. What it
	// is given is valid only during the call. It must not be called again before it has returned.
	Stream func(ctx context.Context, query string, columns []feature.Column, texts int, row func(values []feature.Value, texts []string) error) error
}

// Count is rows by the expectation that decided what became of them.
type Count struct {
	Reason string
	Rows   int64
}

// Outcome is what became of the rows of a source.
type Outcome struct {
	// Results are those of the expectations about each row, in their order.
	Results []Result
	// Quarantined and Dropped are the rows left out, each under its first reason in the order of the definition: that it is
	// quarantined for, else that it is dropped for.
	Quarantined, Dropped []Count
	// LeftOut is SQL for the rows that are left out of a landing source, with the columns _load and _row, as it stands after FROM. "":
	// none are, or others keep the source.
	LeftOut string
	// Out is a condition that rows of a table of others meet which are left out. "": none are, or it is a landing source.
	Out string

	failing string
	names   []string
	subject string
	source  *feature.SourceVersion
}

func total(counts []Count) (n int64) {
	for _, c := range counts {
		n += c.Rows
	}
	return n
}

// Quarantines reports whether rows of the source can be quarantined, be there some or not.
func (o *Outcome) Quarantines() bool {
	return slices.ContainsFunc(o.source.Expectations, func(e feature.Expectation) bool { return e.Kind.OfRows() && quarantines(&e) })
}

// validation looks at the rows of one source.
type validation struct {
	Reading
	tx         pgx.Tx
	conditions []*Condition
	// fails is SQL for each condition, once it can be said.
	fails []string
	// broken is why a condition could not be looked at.
	broken  map[int]error
	outcome *Outcome
}

// ValidateSource holds the rows of a source that a run reads to its expectations. It makes temporary tables in tx, which the
// run's snapshot is, and looks at all rows once; only those that fail are kept. nil: the source has no expectations about each
// row. That checks fail or break is in the results, and no error.
func ValidateSource(ctx context.Context, tx pgx.Tx, r Reading) (*Outcome, error) {
	src := r.Source
	if !slices.ContainsFunc(src.Expectations, func(e feature.Expectation) bool { return e.Kind.OfRows() }) {
		return nil, nil
	}
	v := &validation{
		Reading: r, tx: tx, broken: map[int]error{},
		outcome: &Outcome{subject: SourceSubject(src.Name), source: src, failing: temporary("_failing_" + src.Name)},
	}
	for i := range src.Expectations {
		v.outcome.names = append(v.outcome.names, src.Expectations[i].Name)
	}
	var err error
	if v.conditions, err = Conditions(src.Expectations, src.Columns); err != nil {
		return nil, fmt.Errorf("source %s: %w", src.Name, err)
	}
	if err := v.prepare(ctx); err != nil {
		return nil, err
	}
	if err := v.find(ctx); err != nil {
		return nil, err
	}
	if err := v.count(ctx); err != nil {
		return nil, err
	}
	return v.outcome, v.leaveOut()
}

func (v *validation) landing() bool { return v.Source.Postgres == nil }

func temporary(name string) string { return quote("pg_temp", name) }

// try runs something that may break on the rows, and says so apart from errors that may pass.
func (v *validation) try(ctx context.Context, f func(tx pgx.Tx) error) (broke, err error) {
	tx, err := v.tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	if err = f(tx); err == nil {
		return nil, tx.Commit(ctx)
	}
	rollback := tx.Rollback(ctx)
	if pg := lasting(err); pg != nil && rollback == nil {
		return err, nil
	}
	return nil, errors.Join(err, rollback)
}

// lasting is the error of Postgres in err that comes of SQL and rows, or nil: others may pass.
func lasting(err error) *pgconn.PgError {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) < 2 {
		return nil
	}
	switch pg.Code[:2] {
	case "08", "25", "40", "53", "55", "57", "58", "F0", "XX":
		return nil
	}
	return pg
}

// prepare makes SQL of all conditions. What SQL does not know, or would look for row by row, it finds first.
func (v *validation) prepare(ctx context.Context) error {
	relation := Relation{Name: v.Source.Name, Clock: quote("_l", "_load_at")}
	if !v.landing() {
		relation.Clock = "TIMESTAMPTZ '" + feature.SQLTime(v.Now) + "'"
	}
	for i, c := range v.conditions {
		fails, err := "", error(nil)
		switch c.Expectation.Kind {
		case feature.ExpectCEL:
			fails, err = v.evaluate(ctx, i, c)
		case feature.ExpectReferences:
			fails, err = v.refer(ctx, i, c)
		default:
			fails = c.Fails(relation)
		}
		if err != nil {
			return err
		}
		v.fails = append(v.fails, fails)
	}
	return nil
}

// from is the rows that are looked at, with the time of their load where that is asked for.
func (v *validation) from(clock bool) string {
	from := v.Table + " AS " + quote(v.Source.Name)
	if clock && v.landing() {
		from += ` JOIN (SELECT id AS _load_id, committed_at AS _load_at FROM headwater.load) AS _l ON _l._load_id = ` + quote(v.Source.Name, "_load")
	}
	return from + " WHERE " + v.Where
}

// rowKey is what names a row: its load and row, or the values that c reads of a table of others, which decide alike for all
// rows that have them.
func (v *validation) rowKey(c *Condition) (columns []string, types string) {
	if v.landing() {
		return []string{quote(v.Source.Name, "_load") + "::text", quote(v.Source.Name, "_row") + "::text"}, "_load bigint, _row bigint"
	}
	return []string{v.valuesText(c)}, "_values text"
}

// valuesText is SQL for the values that a condition reads, as a text that no others have.
func (v *validation) valuesText(c *Condition) string {
	names := make([]string, len(c.columns))
	for i, column := range c.columns {
		names[i] = quote(v.Source.Name, column.Name)
	}
	return "ROW(" + strings.Join(names, ", ") + ")::text"
}

// evaluate finds the rows that do not meet an expression, in Go, and lists them in a temporary table.
func (v *validation) evaluate(ctx context.Context, i int, c *Condition) (string, error) {
	key, types := v.rowKey(c)
	var names []string
	for _, column := range c.columns {
		names = append(names, quote(v.Source.Name, column.Name))
	}
	names = append(names, key...)
	spool := &spool{}
	defer spool.close()
	query := "SELECT " + strings.Join(names, ", ") + " FROM " + v.from(false)
	values := make([]feature.Value, len(c.columns))
	found := false
	err := v.Stream(ctx, query, c.columns, len(key), func(row []feature.Value, texts []string) error {
		copy(values, row)
		if c.cel.Holds(values) {
			return nil
		}
		found = true
		return spool.row(texts)
	})
	if pg := lasting(err); pg != nil {
		// The COPY that failed took the snapshot's transaction with it.
		return "", fmt.Errorf("expectation %s of source %s: %w", c.Expectation.Name, v.Source.Name, err)
	}
	if err != nil || !found {
		return "false", err
	}
	name := fmt.Sprintf("_cel_%d_%s", i, v.Source.Name)
	if _, err := v.tx.Exec(ctx, "CREATE TEMPORARY TABLE "+quote(name)+" ("+types+")"); err != nil {
		return "", err
	}
	rows, err := spool.reader()
	if err != nil {
		return "", err
	}
	if _, err := v.tx.Conn().PgConn().CopyFrom(ctx, rows, "COPY "+temporary(name)+" FROM STDIN"); err != nil {
		return "", err
	}
	on, index := "_f._load = "+quote(v.Source.Name, "_load")+" AND _f._row = "+quote(v.Source.Name, "_row"), "_row, _load"
	if !v.landing() {
		// The hash: values may be longer than an index takes.
		on, index = "hashtextextended(_f._values, 0) = hashtextextended("+v.valuesText(c)+", 0) AND _f._values = "+v.valuesText(c), "hashtextextended(_values, 0)"
	}
	return "(EXISTS (SELECT FROM " + temporary(name) + " AS _f WHERE " + on + "))", v.index(ctx, name, index)
}

// index lets failing rows be looked up one by one where Postgres would rather not hash all of them.
func (v *validation) index(ctx context.Context, name, columns string) error {
	_, err := v.tx.Exec(ctx, "CREATE INDEX ON "+temporary(name)+" ("+columns+"); ANALYZE "+temporary(name))
	return err
}

// refer finds the values that are not in the other source, by one join, and lists them in a temporary table.
func (v *validation) refer(ctx context.Context, i int, c *Condition) (string, error) {
	table, where, err := v.Other(ctx, c.Expectation.References.Source)
	if err != nil {
		return "", err
	}
	var names, aliases, equal []string
	for k, column := range c.columns {
		names = append(names, quote(v.Source.Name, column.Name))
		aliases = append(aliases, fmt.Sprintf("%s AS _c%d", names[k], k))
		equal = append(equal, fmt.Sprintf("_f._c%d = %s", k, names[k]))
	}
	fails := c.Fails(Relation{Name: v.Source.Name, Other: func(string) (string, string) { return table, where }})
	name := fmt.Sprintf("_missing_%d_%s", i, v.Source.Name)
	missing := false
	broke, err := v.try(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, fmt.Sprintf("CREATE TEMPORARY TABLE %s AS SELECT DISTINCT %s FROM %s AND %s", quote(name), strings.Join(aliases, ", "),
			v.from(false), fails))
		if err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, "ANALYZE "+temporary(name)); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+temporary(name)+")").Scan(&missing)
	})
	if broke != nil {
		v.broken[i] = broke
	}
	if err != nil || broke != nil || !missing {
		return "false", err
	}
	return "(EXISTS (SELECT FROM " + temporary(name) + " AS _f WHERE " + strings.Join(equal, " AND ") + "))", nil
}

// any is the condition that a row fails one of those that pick takes.
func (v *validation) any(pick func(*feature.Expectation) bool) string {
	var parts []string
	for i, c := range v.conditions {
		if v.fails[i] != "false" && v.broken[i] == nil && pick(c.Expectation) {
			parts = append(parts, v.fails[i])
		}
	}
	if len(parts) == 0 {
		return "false"
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

func quarantines(e *feature.Expectation) bool { return e.OnFailure == feature.QuarantineRow }

// find lists the rows that fail any condition, with the places of all that they fail.
func (v *validation) find(ctx context.Context) error {
	broke, err := v.try(ctx, func(tx pgx.Tx) error { return v.list(ctx, tx) })
	if err != nil || broke == nil {
		return err
	}
	// Which of them broke?
	for i := range v.conditions {
		if v.broken[i] != nil {
			continue
		}
		alone, err := v.try(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "SELECT count(*) FILTER (WHERE "+v.fails[i]+") FROM "+v.from(true))
			return err
		})
		if err != nil {
			return err
		}
		if alone != nil {
			v.broken[i] = alone
		}
	}
	if len(v.broken) == 0 {
		return broke
	}
	again, err := v.try(ctx, func(tx pgx.Tx) error { return v.list(ctx, tx) })
	return errors.Join(err, again)
}

func (v *validation) list(ctx context.Context, tx pgx.Tx) error {
	src := v.Source
	places, clock := []string{}, false
	for i, c := range v.conditions {
		if v.fails[i] != "false" && v.broken[i] == nil {
			places = append(places, fmt.Sprintf("CASE WHEN %s THEN %d END", v.fails[i], c.Place))
			clock = clock || c.Expectation.Kind == feature.ExpectPlausible
		}
	}
	load, row := "0::bigint", "0::bigint"
	if v.landing() {
		load, row = quote(src.Name, "_load"), quote(src.Name, "_row")
	}
	key := []string{}
	for _, name := range src.UniqueKey {
		key = append(key, fmt.Sprintf("left(%s::text, %d)", quote(src.Name, name), 4*maxExampleValue))
	}
	columns := []string{}
	for _, c := range src.Columns {
		columns = append(columns, quote(src.Name, c.Name)+" AS "+quote(c.Name))
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(`
		CREATE TEMPORARY TABLE %s AS
		SELECT %s AS _load, %s AS _row, %s AS _at, ARRAY[%s]::text[] AS _key,
			array_remove(ARRAY[%s]::smallint[], NULL) AS _failed, %s AS _left,
			CASE WHEN %s THEN (SELECT to_jsonb(_columns) FROM (SELECT %s) AS _columns) END AS _json
		FROM %s AND %s`,
		quote("_failing_"+src.Name), load, row, quote(src.Name, src.EventTime), strings.Join(key, ", "), strings.Join(places, ", "),
		v.any((*feature.Expectation).LeavesOut), v.any(quarantines), strings.Join(columns, ", "),
		v.from(clock), v.any(func(*feature.Expectation) bool { return true })))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "ANALYZE "+v.outcome.failing)
	return err
}

// count makes results of the rows that were found.
func (v *validation) count(ctx context.Context) error {
	failed := map[int]int64{}
	rows, err := v.tx.Query(ctx, "SELECT p::integer, count(*) FROM "+v.outcome.failing+", unnest(_failed) AS p GROUP BY 1")
	if err != nil {
		return err
	}
	var place int
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&place, &n}, func() error { failed[place] = n; return nil }); err != nil {
		return err
	}
	at := map[int]int{}
	for i, c := range v.conditions {
		at[c.Place] = i
	}
	for place := range v.Source.Expectations {
		e := &v.Source.Expectations[place]
		switch i, compiled := at[place]; {
		case !e.Kind.OfRows():
		case compiled:
			r := v.result(e, failed[place], v.Considered, v.broken[i])
			if r.Examples, err = v.examples(ctx, place, failed[place]); err != nil {
				return err
			}
			v.outcome.Results = append(v.outcome.Results, r)
		case e.Kind == feature.ExpectUnique:
			r, err := v.unique(ctx, e, place)
			if err != nil {
				return err
			}
			v.outcome.Results = append(v.outcome.Results, r)
		}
	}
	return v.reasons(ctx)
}

func (v *validation) result(e *feature.Expectation, failed, of int64, broke error) Result {
	return RowResult(e, Rows{Subject: v.outcome.subject, Failed: failed, Of: of, Broke: broke, Run: v.Run})
}

// Rows is what a check of rows found.
type Rows struct {
	Subject string
	// Failed of Of rows did not meet the expectation.
	Failed, Of int64
	// Broke is why nothing is known. nil: it did not break.
	Broke error
	// Run is how commands name the run.
	Run string
}

// RowResult holds the share of failing rows to the thresholds of an expectation about each row.
func RowResult(e *feature.Expectation, rows Rows) Result {
	r := Result{
		Name: e.Name, Subject: rows.Subject, State: Passed, Expected: e.Expected(), RowsFailed: rows.Failed, Action: e.OnFailure.String(),
	}
	if limit := e.ErrorThreshold(); limit > 0 && limit < 1 {
		r.Expected += fmt.Sprintf(" in all but %s of rows", percent(limit))
	}
	if rows.Broke != nil {
		r.State, r.Found, r.Look = Errored, "the check broke: "+brokenText(rows.Broke), "the expectation, and rows that it cannot be computed on"
		return r
	}
	share := 0.0
	if rows.Of > 0 {
		share = float64(rows.Failed) / float64(rows.Of)
	}
	r.Metric = &share
	r.Found = fmt.Sprintf("%d of %d rows that do not meet it (%s)", rows.Failed, rows.Of, percent(share))
	switch {
	case share > e.ErrorThreshold():
		r.State = Failed
	case share > e.WarnAbove:
		r.State = Warned
	}
	if rows.Failed == 0 {
		return r
	}
	switch {
	case e.OnFailure == feature.QuarantineRow:
		r.Look = fmt.Sprintf("headwater quarantine show %s --subject %s --reason %s", rows.Run, rows.Subject, e.Name)
	case rows.Subject == Output:
		r.Look = "headwater runs show " + rows.Run
	default:
		name, _ := SourceOf(rows.Subject)
		r.Look = "headwater loads list " + name
	}
	return r
}

func brokenText(err error) string {
	if pg := lasting(err); pg != nil {
		return pg.Message
	}
	return err.Error()
}

func percent(share float64) string { return fmt.Sprintf("%.4g%%", 100*share) }

// RatioName is the name of the check that holds quarantined rows to max_quarantine_ratio.
const RatioName = "max_quarantine_ratio"

// RatioResult holds the share of quarantined rows to a limit.
func RatioResult(rows Rows, limit float64) Result {
	share := 0.0
	if rows.Of > 0 {
		share = float64(rows.Failed) / float64(rows.Of)
	}
	r := Result{
		Name: RatioName, Subject: rows.Subject, State: Passed, Expected: "at most " + percent(limit) + " of rows quarantined", Metric: &share,
		Found: fmt.Sprintf("%d of %d rows quarantined (%s)", rows.Failed, rows.Of, percent(share)), RowsFailed: rows.Failed,
	}
	if share > limit {
		r.State = Failed
		r.Look = fmt.Sprintf("headwater quarantine show %s --subject %s", rows.Run, rows.Subject)
	}
	return r
}

// examples are the keys of the first rows that fail the expectation at place.
func (v *validation) examples(ctx context.Context, place int, failed int64) ([]Example, error) {
	if failed == 0 {
		return nil, nil
	}
	rows, err := v.tx.Query(ctx, fmt.Sprintf(`SELECT _load, _row, _at::text, _key FROM %s WHERE %d = ANY (_failed) ORDER BY _load, _row, _key, _at LIMIT %d`,
		v.outcome.failing, place, MaxExamples))
	if err != nil {
		return nil, err
	}
	var examples []Example
	var load, row int64
	var at *string
	var key []*string
	_, err = pgx.ForEachRow(rows, []any{&load, &row, &at, &key}, func() error {
		var e Example
		for i, name := range v.Source.UniqueKey {
			e = append(e, Field{name, text(key[i])})
		}
		if v.landing() {
			e = append(e, Field{"load", fmt.Sprint(load)}, Field{"row", fmt.Sprint(row)})
		}
		examples = append(examples, append(e, Field{v.Source.EventTime, text(at)}))
		return nil
	})
	return examples, err
}

func text(s *string) string {
	if s == nil {
		return "NULL"
	}
	return *s
}

// reasons counts the rows that are left out, each once.
func (v *validation) reasons(ctx context.Context) error {
	list := func(action feature.FailureAction) string {
		places := []string{}
		for i := range v.Source.Expectations {
			if e := &v.Source.Expectations[i]; e.Kind.OfRows() && e.OnFailure == action {
				places = append(places, fmt.Sprint(i))
			}
		}
		return "'{" + strings.Join(places, ",") + "}'::smallint[]"
	}
	first := "(SELECT min(p) FROM unnest(_failed) AS p WHERE p = ANY (%s))"
	rows, err := v.tx.Query(ctx, fmt.Sprintf(`SELECT q IS NOT NULL, coalesce(q, d)::integer, count(*)
		FROM (SELECT `+first+` AS q, `+first+` AS d FROM %s WHERE _left) AS _first GROUP BY 1, 2 ORDER BY 1, 2`,
		list(feature.QuarantineRow), list(feature.DropRow), v.outcome.failing))
	if err != nil {
		return err
	}
	var quarantined bool
	var place int
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&quarantined, &place, &n}, func() error {
		c := Count{Reason: v.outcome.names[place], Rows: n}
		if quarantined {
			v.outcome.Quarantined = append(v.outcome.Quarantined, c)
		} else {
			v.outcome.Dropped = append(v.outcome.Dropped, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if v.outcome.Quarantines() {
		v.outcome.Results = append(v.outcome.Results, RatioResult(Rows{
			Subject: v.outcome.subject, Failed: total(v.outcome.Quarantined) + v.CameAside, Of: v.Rows + v.CameAside + v.CameLeftOut, Run: v.Run,
		}, v.Source.QuarantineLimit()))
	}
	return nil
}

// leaveOut says which rows the run goes on without.
func (v *validation) leaveOut() error {
	if len(v.outcome.Quarantined)+len(v.outcome.Dropped) == 0 {
		return nil
	}
	if v.landing() {
		v.outcome.LeftOut = "(SELECT _load, _row FROM " + v.outcome.failing + " WHERE _left)"
		return nil
	}
	v.outcome.Out = v.any((*feature.Expectation).LeavesOut)
	return nil
}

// spool keeps the rows of a COPY in memory, and in a file once they are many.
type spool struct {
	buffer bytes.Buffer
	file   *os.File
	w      *bufio.Writer
}

// maxSpool is how many bytes are kept in memory.
const maxSpool = 16 << 20

var copyEscapes = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

// row adds a row in the text format of COPY.
func (s *spool) row(fields []string) error {
	for i, f := range fields {
		if i > 0 {
			s.buffer.WriteByte('\t')
		}
		_, _ = copyEscapes.WriteString(&s.buffer, f)
	}
	s.buffer.WriteByte('\n')
	if s.buffer.Len() < maxSpool {
		return nil
	}
	if s.file == nil {
		file, err := os.CreateTemp("", "headwater-rows-")
		if err != nil {
			return err
		}
		// It has no name from here on, so that it ends with the process.
		if err := os.Remove(file.Name()); err != nil {
			return errors.Join(err, file.Close())
		}
		s.file, s.w = file, bufio.NewWriter(file)
	}
	_, err := s.buffer.WriteTo(s.w)
	return err
}

func (s *spool) reader() (io.Reader, error) {
	if s.file == nil {
		return &s.buffer, nil
	}
	if err := s.w.Flush(); err != nil {
		return nil, err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.MultiReader(s.file, &s.buffer), nil
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
}
