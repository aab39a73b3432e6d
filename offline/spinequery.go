package offline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline/analysis"
)

// spineField is the field of a request that has a spine's SQL.
const spineField = "header.query.sql"

// analyse holds the query to the rules, over empty tables of the sources' shape, and finds its columns.
func (s *Spine) analyse(ctx context.Context) error {
	query, problems := feature.ParseQuery(s.scope.SQL)
	for _, t := range query.Tokens() {
		if t.Kind == feature.SQLPlaceholder {
			problems = append(problems, feature.SQLProblem{Line: t.Line, Column: t.Column,
				Message: "found the placeholder " + t.Text + ", expected none: a spine is of no run's interval; write the times that are meant"})
		}
	}
	if len(problems) > 0 {
		return refusedSpine([]analysis.Refusal{{Line: problems[0].Line, Column: problems[0].Column, Words: problems[0].Message}}, nil)
	}
	s.query = query
	sp, err := s.t.tx.Begin(ctx)
	if err != nil {
		return err
	}
	err = s.analyseEmpty(ctx, sp)
	return errors.Join(err, sp.Rollback(ctx))
}

func (s *Spine) analyseEmpty(ctx context.Context, tx pgx.Tx) error {
	if err := limitAnalysis(ctx, tx); err != nil {
		return err
	}
	statement := analysis.Statement{Name: outputView, Query: s.query}
	if large := analysis.TooLarge(s.query); large != nil {
		return refusedSpine([]analysis.Refusal{*large}, nil)
	}
	in := analysis.Input{Statement: statement}
	for _, src := range s.scope.Sources {
		if err := createEmptyInput(ctx, tx, src); err != nil {
			return err
		}
		in.Relations = append(in.Relations, sourceRelation(src))
	}
	if _, err := tx.Exec(ctx, statement.Create()); lasting(err) != nil || tooDeep(err) {
		refusal := *statement.Failed(err)
		if pg := lasting(err); pg != nil && refusal.Words != "" {
			refusal.Words += remedies[pg.Code]
		}
		return refusedSpine([]analysis.Refusal{refusal}, err)
	} else if err != nil {
		return err
	}
	found, refusals, err := analysis.Analyse(ctx, tx, in)
	if err != nil {
		return err
	}
	if len(refusals) > 0 {
		return refusedSpine(refusals, nil)
	}
	if err := s.scope.checkSeen(found.Uses); err != nil {
		return err
	}
	return s.findColumns(ctx, tx)
}

// remedies are behind what Postgres says of some errors, by SQLSTATE: of columns of one name, and of tables that are not there.
var remedies = map[string]string{
	"42701": ", expected each name once; name it: … AS NAME",
	"42P01": "; name it among the sources of the spine",
}

// inSpines makes of remedies that are written into a view's definition those of a spine, which has none.
var inSpines = strings.NewReplacer(
	"the declared sources and views", "the sources of the spine",
	"list it under sql.sources", "name it among the sources of the spine",
	"list it under sql.functions with the reason why its result depends on nothing but its arguments", "leave it out: a spine's SQL calls Postgres's own functions only",
	"; one of an extension is let in by its input function under sql.functions", "")

// refusedSpine tells all refusals: the first in the message, each as a violation.
func refusedSpine(refusals []analysis.Refusal, cause error) error {
	for i := range refusals {
		r := &refusals[i]
		r.Expected, r.Remedy = inSpines.Replace(r.Expected), inSpines.Replace(r.Remedy)
	}
	place := ""
	if r := refusals[0]; r.Line > 0 {
		place = fmt.Sprintf("line %d, column %d of its SQL: ", r.Line, r.Column)
	}
	f := fault.New(fault.InvalidSQL, "spine: %s%s", place, refusals[0].Message()).Because(cause)
	for _, r := range refusals {
		f.Violating(fault.Violation{Field: spineField, Description: r.Message(), Line: r.Line, Column: r.Column})
	}
	return f
}

// findColumns reads the columns of the view that the query became.
func (s *Spine) findColumns(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		SELECT a.attname::text, t.typname::text, a.atttypmod, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 ORDER BY a.attnum`, temporary(outputView))
	if err != nil {
		return err
	}
	type output struct {
		Name, Type string
		Typmod     int32
		Shown      string
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[output])
	if err != nil {
		return err
	}
	var refusals []analysis.Refusal
	for _, o := range found {
		t, ok := readAs(o.Type, o.Typmod, s.scope.Wanted[o.Name])
		switch {
		case o.Name == "?column?":
			refusals = append(refusals, analysis.Refusal{Words: "found an output column without a name, expected each to have one; name it: … AS NAME"})
		case !ok:
			refusals = append(refusals, analysis.Refusal{Words: fmt.Sprintf("found output column %s of type %s, which is no type of columns; write (…)::%s AS %s",
				o.Name, o.Shown, castFor(o.Type), o.Name)})
		}
		s.Columns = append(s.Columns, feature.Column{Name: o.Name, Type: t})
	}
	if len(refusals) > 0 {
		return refusedSpine(refusals, nil)
	}
	return nil
}
