package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// outputView is the temporary view that a transform's query becomes. No source has its name: names of definitions do
// not begin with an underscore.
const outputView = "_headwater_output"

// CheckView has Postgres analyse a view's SQL against empty tables of the sources' shape: it must parse, read nothing but
// its declared sources, call no function that depends on more than its arguments, and output the join keys, both times,
// the features and the attributes with fitting types. Leaves tx as it was. Violations have the field `sql.query`, and a
// line and column inside the SQL where there is one.
func CheckView(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error {
	sp, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	err = checkView(ctx, sp, v)
	return errors.Join(err, sp.Rollback(ctx))
}

func checkView(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error {
	if err := pinSession(ctx, tx); err != nil {
		return err
	}
	for _, src := range v.SourceVersions {
		if err := createEmptyInput(ctx, tx, src); err != nil {
			return err
		}
	}
	if err := createOutputView(ctx, tx, v, Span{Start: 0, End: 1}); err != nil {
		return err
	}
	if err := checkReferences(ctx, tx, v); err != nil {
		return err
	}
	if err := checkOutput(ctx, tx, v); err != nil {
		return err
	}
	return checkRole(ctx, tx, v)
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

// createEmptyInput makes an empty table of the source's shape, and the view of it that the transform reads.
func createEmptyInput(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion) error {
	table := quote("_" + src.Name)
	columns := make([]string, len(src.Columns))
	for i, c := range src.Columns {
		columns[i] = quote(c.Name) + " " + columnType(c.Type)
	}
	_, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE "+table+" ("+strings.Join(columns, ", ")+")")
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "CREATE TEMPORARY VIEW "+quote(src.Name)+" AS "+sourceSelect(src, temporary("_"+src.Name), ""))
	return arrivalFault(src, err)
}

// CheckSource has Postgres analyse a source's arrival expression, which must be of type timestamptz. Leaves tx as it was.
func CheckSource(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion) error {
	sp, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	err = func() error {
		if err := pinSession(ctx, sp); err != nil {
			return err
		}
		if err := createEmptyInput(ctx, sp, src); err != nil {
			return err
		}
		var found string
		err := sp.QueryRow(ctx, `
			SELECT t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
			WHERE a.attrelid = $1::text::regclass AND a.attname = $2`, temporary(src.Name), availableAtColumn).Scan(&found)
		if err != nil || src.ArrivalExpression == "" {
			return err
		}
		if found != "timestamptz" {
			return badArrival(src, fmt.Sprintf("found an expression of type %s", found))
		}
		foreign, err := foreignReference(ctx, sp, src.Name, []string{"_" + src.Name})
		if err == nil && foreign == "" {
			foreign, err = otherRows(ctx, sp, src.Name)
		}
		if err == nil && foreign == "" {
			var clock *feature.SQLToken
			expression, _ := feature.ParseExpression(src.ArrivalExpression)
			if clock, err = clockConstant(ctx, sp, src.Name, expression); clock != nil {
				foreign = "the constant " + clock.Text + ", which is another time in each run"
			}
		}
		if err == nil && foreign != "" {
			err = badArrival(src, "found "+foreign)
		}
		return err
	}()
	return errors.Join(err, sp.Rollback(ctx))
}

// otherRows says what in a temporary view makes a row depend on others, or become several. Empty when there is nothing.
func otherRows(ctx context.Context, tx pgx.Tx, view string) (found string, err error) {
	err = tx.QueryRow(ctx, `
		SELECT CASE
			WHEN ev_action::text LIKE '%:hasSubLinks true%' THEN 'a subquery'
			WHEN ev_action::text LIKE '%:hasWindowFuncs true%' THEN 'a window function'
			WHEN ev_action::text LIKE '%:hasAggs true%' THEN 'an aggregate'
			WHEN ev_action::text LIKE '%:hasTargetSRFs true%' THEN 'a function that returns several rows'
			ELSE '' END
		FROM pg_rewrite WHERE ev_class = $1::text::regclass`, temporary(view)).Scan(&found)
	return found, err
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

// createOutputView makes the view's SQL a temporary view, its interval filled in.
func createOutputView(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion, owned Span) error {
	query, problems := feature.ParseQuery(v.SQL.Query)
	if len(problems) > 0 {
		return sqlFault(v, problems[0].Line, problems[0].Column, problems[0].Message, nil)
	}
	rendered := query.Render(owned.Start, owned.End)
	create := "CREATE TEMPORARY VIEW " + outputView + " AS "
	_, err := tx.Exec(ctx, create+rendered)
	pg := lasting(err)
	if pg == nil {
		return err
	}
	line, column := 0, 0
	if at := int(pg.Position) - 1 - len(create); at >= 0 {
		line, column = query.Locate(owned.Start, owned.End, byteOffset(rendered, at))
	}
	message := pg.Message
	if pg.Hint != "" {
		message += ". " + pg.Hint
	}
	return sqlFault(v, line, column, message, err)
}

// byteOffset is where the n-th character of s begins; Postgres counts characters.
func byteOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
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

// hiddenInputs are names of functions that Postgres does not call volatile, and that read something other than their
// arguments: the clock, the session, the catalog, or a table by its name.
const hiddenInputs = `^(now|(transaction|statement)_timestamp|current_.*|session_user|version|getpgusername|getdatabaseencoding` +
	`|get_current_ts_config|mxid_age|row_security_active|[a-z]+_to_xml(schema|_and_xmlschema)?|.*_description` +
	`|format_type|oidvectortypes|enum_(first|last|range)|ts_(debug|parse|token_type)|.*acl.*|reg(class|[a-z]+(in|out))` +
	`|(has|inet|txid|lo|to_reg|pg)_.*)$`

// hiddenInputTypes are names of types whose values are read and written by looking into the catalog.
const hiddenInputTypes = `^_?(reg[a-z]+|aclitem)$`

// foreignReference reads what Postgres made of a temporary view, and says what is in it that may not be: a relation other
// than the temporary ones allowed, or a function that is volatile, reads something other than its arguments, or is not
// Postgres's own. Empty when there is none.
func foreignReference(ctx context.Context, tx pgx.Tx, view string, allowed []string) (found string, err error) {
	err = tx.QueryRow(ctx, `
		SELECT coalesce(n.nspname || '.', '') || c.relname
		FROM pg_rewrite r
			CROSS JOIN LATERAL regexp_matches(r.ev_action::text, ':relid (\d+)', 'g') m
			JOIN pg_class c ON c.oid = m[1]::oid
			JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE r.ev_class = $1::text::regclass AND c.oid <> r.ev_class
			AND NOT (c.relnamespace = pg_my_temp_schema() AND c.relname = ANY ($2))
		ORDER BY 1 LIMIT 1`, temporary(view), allowed).Scan(&found)
	if err == nil {
		return "a read of " + found, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return "", err
	}
	err = tx.QueryRow(ctx, `
		SELECT p.oid::regprocedure::text
		FROM pg_rewrite r
			CROSS JOIN LATERAL regexp_matches(r.ev_action::text, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') m
			JOIN pg_proc p ON p.oid = m[1]::oid
		WHERE r.ev_class = $1::text::regclass
			AND (p.provolatile = 'v' OR p.pronamespace <> 'pg_catalog'::regnamespace OR p.proname ~ $2
				OR p.proname = 'age' AND p.pronargs = 1)
		ORDER BY 1 LIMIT 1`, temporary(view), hiddenInputs).Scan(&found)
	if err == nil {
		return "a call of " + found, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return "", err
	}
	// In the tree, the type of a node is a number behind a word that ends in type, typeid or types. Words that end alike and
	// mean something else have numbers smaller than that of any type.
	err = tx.QueryRow(ctx, `
		SELECT format_type(t.oid, NULL)
		FROM pg_rewrite r
			CROSS JOIN LATERAL regexp_matches(r.ev_action::text, ':\w*type(?:id|s)?(?: \(o)?((?: \d+)+)', 'gi') m
			CROSS JOIN LATERAL regexp_split_to_table(ltrim(m[1]), ' ') o
			JOIN pg_type t ON t.oid = o::oid
		WHERE r.ev_class = $1::text::regclass
			AND (t.typname ~ $2 OR t.typnamespace NOT IN ('pg_catalog'::regnamespace, pg_my_temp_schema()))
		ORDER BY 1 LIMIT 1`, temporary(view), hiddenInputTypes).Scan(&found)
	if err == nil {
		return "a value of type " + found, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return "", err
	}
	var clock, locks bool
	err = tx.QueryRow(ctx, `
		SELECT bool_or(ev_action::text LIKE '%{SQLVALUEFUNCTION %'), bool_or(ev_action::text LIKE '%{ROWMARKCLAUSE %')
		FROM pg_rewrite WHERE ev_class = $1::text::regclass`, temporary(view)).Scan(&clock, &locks)
	switch {
	case clock:
		found = "CURRENT_TIMESTAMP or one of its kind"
	case locks:
		found = "a lock of rows (FOR UPDATE or one of its kind)"
	}
	return found, err
}

// checkReferences refuses a query that depends on anything but its declared sources and its interval.
func checkReferences(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error {
	sources := make([]string, len(v.SourceVersions))
	for i, src := range v.SourceVersions {
		sources[i] = src.Name
	}
	query, _ := feature.ParseQuery(v.SQL.Query)
	clock, err := clockConstant(ctx, tx, outputView, query)
	if err != nil {
		return err
	}
	if clock != nil {
		return sqlFault(v, clock.Line, clock.Column, fmt.Sprintf("found the constant %s, which is another time in each run, expected none; "+
			"write the time that is meant, or use {{interval.start}} and {{interval.end}}", clock.Text), nil)
	}
	found, err := foreignReference(ctx, tx, outputView, sources)
	if err != nil || found == "" {
		return err
	}
	return sqlFault(v, 0, 0, fmt.Sprintf("found %s, expected only the declared sources (%s) and functions whose result depends "+
		"on nothing but their arguments; declare what it reads as a source and list it under sql.sources, and for the bounds of "+
		"the run use {{interval.start}} and {{interval.end}}", found, strings.Join(sources, ", ")), nil)
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
