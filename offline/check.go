package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline/analysis"
)

// outputView is the temporary view that a transform's query becomes. No source has its name: names of definitions do
// not begin with an underscore.
const outputView = "_headwater_output"

// CheckView has Postgres analyse a view's SQL against empty tables of the sources' shape: it must parse, read nothing but
// its declared sources, call no function that depends on more than its arguments, and output the join keys, both times,
// the features and the attributes with fitting types. Leaves tx as it was. Violations have the field `sql.query`, and a
// line and column inside the SQL where there is one. It returns what the output is made of.
func CheckView(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (*feature.Analysis, error) {
	sp, err := tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	found, err := checkView(ctx, sp, v)
	return found, errors.Join(err, sp.Rollback(ctx))
}

func checkView(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (*feature.Analysis, error) {
	if err := refuseArrivingWindows(v); err != nil {
		return nil, err
	}
	if v.Aggregation != nil {
		return AnalyseAggregation(v), checkAggregation(ctx, tx, v)
	}
	found, err := analyseView(ctx, tx, v)
	if err != nil {
		return nil, err
	}
	if err := checkOutput(ctx, tx, v); err != nil {
		return nil, err
	}
	return found, checkRole(ctx, tx, v)
}

// analyseView makes the view's SQL a temporary view over empty inputs, and holds what Postgres made of it to the rules.
func analyseView(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (*feature.Analysis, error) {
	if err := pinSession(ctx, tx); err != nil {
		return nil, err
	}
	if err := limitAnalysis(ctx, tx); err != nil {
		return nil, err
	}
	if err := createEmptyInputs(ctx, tx, v); err != nil {
		return nil, err
	}
	in := analysis.Input{
		Relations: inputRelations(v), Functions: v.SQL.Functions, Clocks: true, Grain: v.Grain, Lookback: v.Lookback,
	}
	statement, err := outputStatement(v, Span{Start: 0, End: 1})
	if err != nil {
		return nil, err
	}
	if large := analysis.TooLarge(statement.Query); large != nil {
		return nil, refusedSQL(v, []analysis.Refusal{*large})
	}
	if err := createOutputView(ctx, tx, v, Span{Start: 0, End: 1}); err != nil {
		return nil, err
	}
	in.Statement = *statement
	found, refusals, err := analysis.Analyse(ctx, tx, in)
	if err != nil {
		return nil, err
	}
	if len(refusals) > 0 {
		return nil, refusedSQL(v, refusals)
	}
	return found, nil
}

// limitAnalysis bounds what an analysis may take: it reads no rows, so that only SQL that means harm takes long.
func limitAnalysis(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '20s'`)
	return err
}

// sourceRelation is a source as SQL sees it.
func sourceRelation(src *feature.SourceVersion) analysis.Relation {
	r := analysis.Relation{Name: src.Name, AvailableAt: availableAtColumn, EventTime: eventTimeColumn}
	for _, c := range src.Columns {
		r.Columns = append(r.Columns, c.Name)
	}
	if len(src.UniqueKey) > 0 {
		r.Keys = [][]string{src.UniqueKey}
	}
	if src.Column(eventTimeColumn) == nil {
		r.Columns = append(r.Columns, eventTimeColumn)
		r.Derived = append(r.Derived, analysis.Derivation{From: []string{src.EventTime}, Column: eventTimeColumn},
			analysis.Derivation{From: []string{eventTimeColumn}, Column: src.EventTime})
	}
	if src.Column(availableAtColumn) == nil {
		r.Columns = append(r.Columns, availableAtColumn)
		r.Derived = append(r.Derived, analysis.Derivation{From: src.ArrivalColumns(), Column: availableAtColumn})
		if src.ArrivalColumn != "" {
			r.Derived = append(r.Derived, analysis.Derivation{From: []string{availableAtColumn}, Column: src.ArrivalColumn})
		}
	}
	return r
}

// pinSession makes the rest of the transaction independent of the server's and the role's settings. Postgres's own catalog
// comes before the temporary views, so that no source can stand in for a type, or for a table that the checks below read;
// sources have no name of a table in it, since none of theirs begins with pg_.
func pinSession(ctx context.Context, tx pgx.Tx) error {
	for _, s := range feature.SessionSettings {
		if _, err := tx.Exec(ctx, `SELECT set_config($1, $2, true)`, s.Name, s.Value); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `SET LOCAL search_path = pg_catalog, pg_temp`)
	return err
}

// temporary is the name of a temporary relation, which nothing else has.
func temporary(name string) string { return quote("pg_temp", name) }

// createEmptyTable makes an empty table of the source's shape.
func createEmptyTable(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion) error {
	table := quote("_" + src.Name)
	columns := make([]string, len(src.Columns))
	for i, c := range src.Columns {
		columns[i] = quote(c.Name) + " " + columnType(c.Type)
	}
	_, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE "+table+" ("+strings.Join(columns, ", ")+")")
	return err
}

// createEmptyInput makes an empty table of the source's shape, and the view of it that the transform reads.
func createEmptyInput(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion) error {
	if err := createEmptyTable(ctx, tx, src); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "CREATE TEMPORARY VIEW "+quote(src.Name)+" AS "+sourceSelect(src, temporary("_"+src.Name), ""))
	return arrivalFault(src, err)
}

// CheckSource has Postgres analyse a source's arrival expression, which must be of type timestamptz and depend on nothing
// but the row. Leaves tx as it was.
func CheckSource(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion) error {
	if src.ArrivalExpression == "" {
		return nil
	}
	return CheckExpression(ctx, tx, src, "arrival_time.expression", src.ArrivalExpression, "timestamptz")
}

// CheckExpression has Postgres analyse an expression over one row of a source, which a definition has in field: it must be of
// a type (by its name in pg_type) and depend on nothing but the row's columns. What is wrong is an INVALID_DEFINITION fault.
// Leaves tx as it was.
func CheckExpression(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion, field, expression, typ string) error {
	sp, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	return errors.Join(checkExpression(ctx, sp, src, field, expression, typ), sp.Rollback(ctx))
}

func checkExpression(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion, field, expression, typ string) error {
	bad := func(line, column int, found string) *fault.Fault {
		description := found + "; expected an SQL expression over the row's columns, of type " + typ + ", that depends on nothing else"
		place := ""
		if line > 0 {
			place = fmt.Sprintf("line %d, column %d of its SQL: ", line, column)
		}
		return fault.New(fault.InvalidDefinition, "source %s: %s: %s%s", src.Name, expressionNames(field), place, description).
			Violating(fault.Violation{Field: field, Description: description, Line: line, Column: column})
	}
	query, problems := feature.ParseExpression(expression)
	if len(problems) > 0 {
		return bad(problems[0].Line, problems[0].Column, problems[0].Message)
	}
	if large := analysis.TooLarge(query); large != nil {
		return bad(0, 0, large.Message())
	}
	if err := pinSession(ctx, tx); err != nil {
		return err
	}
	if err := limitAnalysis(ctx, tx); err != nil {
		return err
	}
	if err := createEmptyTable(ctx, tx, src); err != nil {
		return err
	}
	relation := analysis.Relation{Name: "_" + src.Name}
	for _, c := range src.Columns {
		relation.Columns = append(relation.Columns, c.Name)
	}
	// The line break ends a comment at the expression's end.
	statement := analysis.Statement{Name: outputView, Before: "SELECT (", After: "\n) AS value FROM " + temporary("_"+src.Name) + " AS " + quote(src.Name), Query: query}
	if _, err := tx.Exec(ctx, statement.Create()); lasting(err) != nil || tooDeep(err) {
		refusal := statement.Failed(err)
		return bad(refusal.Line, refusal.Column, refusal.Message()).Because(err)
	} else if err != nil {
		return err
	}
	var found string
	err := tx.QueryRow(ctx, `
		SELECT t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = $1::text::regclass AND a.attname = 'value'`, temporary(outputView)).Scan(&found)
	if err != nil {
		return err
	}
	if found != typ {
		return bad(1, 1, "found an expression of type "+found)
	}
	_, refusals, err := analysis.Analyse(ctx, tx, analysis.Input{Statement: statement, Relations: []analysis.Relation{relation}, OneRow: true})
	if err != nil || len(refusals) == 0 {
		return err
	}
	return bad(refusals[0].Line, refusals[0].Column, refusals[0].Message())
}

// expressionNames is what a message calls the field of an expression.
func expressionNames(field string) string {
	if field == "arrival_time.expression" {
		return "arrival time"
	}
	return field
}

func arrivalFault(src *feature.SourceVersion, err error) error {
	pg := lasting(err)
	if src.ArrivalExpression == "" || pg == nil {
		return err
	}
	return badArrival(src, pg.Message).Because(err)
}

func badArrival(src *feature.SourceVersion, found string) *fault.Fault {
	description := found + "; expected an SQL expression over the row's columns, of type timestamptz, that depends on nothing else"
	return fault.New(fault.InvalidDefinition, "source %s: arrival time: %s", src.Name, description).
		Violating(fault.Violation{Field: "arrival_time.expression", Description: description})
}

// outputStatement is the view's SQL as the temporary view that it becomes over an interval.
func outputStatement(v *feature.ViewVersion, owned Span) (*analysis.Statement, error) {
	query, problems := feature.ParseQuery(v.SQL.Query)
	if len(problems) > 0 {
		return nil, sqlFault(v, problems[0].Line, problems[0].Column, problems[0].Message, nil)
	}
	return &analysis.Statement{Name: outputView, Query: query, Start: owned.Start, End: owned.End}, nil
}

// createOutputView makes the view's SQL a temporary view, its interval filled in.
func createOutputView(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion, owned Span) error {
	statement, err := outputStatement(v, owned)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, statement.Create())
	if lasting(err) == nil && !tooDeep(err) {
		return err
	}
	refusal := statement.Failed(err)
	return sqlFault(v, refusal.Line, refusal.Column, refusal.Message(), err)
}

// tooDeep says that Postgres met the end of its stack, which for SQL that is analysed comes of the SQL.
func tooDeep(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "54001" || pg.Code == "57014")
}

// refusedSQL tells all refusals: the first in the message, each as a violation.
func refusedSQL(v *feature.ViewVersion, refusals []analysis.Refusal) error {
	f := fault.As(sqlFault(v, refusals[0].Line, refusals[0].Column, refusals[0].Message(), nil))
	f.Violations = nil
	for _, r := range refusals {
		field := r.Field
		if field == "" {
			field = "sql.query"
		}
		f.Violating(fault.Violation{Field: field, Description: r.Message(), Line: r.Line, Column: r.Column})
	}
	return f
}

func sqlFault(v *feature.ViewVersion, line, column int, description string, cause error) error {
	message := "view " + v.Name + ": "
	if line > 0 {
		message += fmt.Sprintf("line %d, column %d of its SQL: ", line, column)
	}
	return fault.New(fault.InvalidSQL, "%s%s", message, description).Because(cause).Violating(fault.Violation{
		Field: "sql.query", Description: description, Line: line, Column: column,
	})
}

// checkOutput compares the query's columns with what the view declares.
func checkOutput(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error {
	rows, err := tx.Query(ctx, `
		SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 ORDER BY a.attnum`, temporary(outputView))
	if err != nil {
		return err
	}
	type output struct{ Name, Type string }
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[output])
	if err != nil {
		return err
	}
	expected := outputColumns(v)
	f := fault.New(fault.InvalidSQL, "view %s: its SQL does not output what the view declares", v.Name)
	for _, c := range expected {
		i := slices.IndexFunc(found, func(o output) bool { return o.Name == c.Name })
		switch {
		case i < 0:
			names := make([]string, len(found))
			for j, o := range found {
				names[j] = o.Name
			}
			f.Violating(fault.Violation{Field: "sql.query", Description: fmt.Sprintf(
				"found no output column %s, expected one of type %s; the query outputs %s", c.Name, c.Type, strings.Join(names, ", "))})
		case !slices.Contains(outputTypes(c.Type), found[i].Type):
			f.Violating(fault.Violation{Field: "sql.query", Description: fmt.Sprintf(
				"found output column %s of type %s, expected %s; write (…)::%s AS %s, or declare another type",
				c.Name, typeShown(found[i].Type), c.Type, castType(c.Type), c.Name)})
		}
	}
	for _, o := range found {
		if !slices.ContainsFunc(expected, func(c feature.Column) bool { return c.Name == o.Name }) {
			f.Violating(fault.Violation{Field: "sql.query", Description: fmt.Sprintf(
				"found output column %s, which is no join key, time, feature or attribute of the view; declare it or leave it out",
				o.Name)})
		}
	}
	if len(f.Violations) > 0 {
		return f
	}
	return nil
}

// outputColumns is what a view's query outputs: join keys, both times, features and attributes.
func outputColumns(v *feature.ViewVersion) []feature.Column {
	columns := slices.Clone(v.EntityVersion.JoinKeys)
	columns = append(columns,
		feature.Column{Name: eventTimeColumn, Type: feature.TypeTimestamp},
		feature.Column{Name: availableAtColumn, Type: feature.TypeTimestamp})
	return append(columns, v.Stored()...)
}

// outputSelect reads the columns of what from shows, the view's output, in the order of outputColumns and in the types of
// decodeValue.
func outputSelect(v *feature.ViewVersion, from string) string {
	columns := outputColumns(v)
	selects := make([]string, len(columns))
	for i, c := range columns {
		selects[i] = quote(c.Name) + "::" + castType(c.Type)
	}
	return "SELECT " + strings.Join(selects, ", ") + " FROM " + from
}
