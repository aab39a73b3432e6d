package materialize

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/retention"
)

// StepErasingTexts is the step of an erasure before what texts say of the entity is committed to be gone.
const StepErasingTexts = "erasing texts"

// placeText is what an erasure calls texts that people and programs chose.
const placeText = "text"

// hideErrors takes what is of rows out of the errors of a view's runs and their jobs, and the examples out of what is kept of parts of
// runs: whose rows they are of is not known.
func hideErrors(ctx context.Context, tx pgx.Tx, view *feature.ViewVersion) error {
	rows, err := tx.Query(ctx, `SELECT id, error FROM headwater.run WHERE view_id = $1 AND error IS NOT NULL`, view.ID)
	if err != nil {
		return err
	}
	type failed struct {
		ID    int64
		Error string
	}
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[failed])
	if err != nil {
		return err
	}
	for _, r := range runs {
		if !fault.HoldsData(r.Error) {
			continue
		}
		if _, err := tx.Exec(ctx, `UPDATE headwater.run SET error = $2 WHERE id = $1`, r.ID, fault.Hidden(r.Error)); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `UPDATE headwater.run_chunk c SET screened = c.screened - 'Examples' FROM headwater.run r
		WHERE r.id = c.run_id AND r.view_id = $1 AND c.screened ? 'Examples'`, view.ID)
	if err != nil {
		return err
	}
	// Each attempt's error stays one: how many there were says when the next attempt is.
	_, err = tx.Exec(ctx, `
		UPDATE headwater_jobs.river_job j SET errors = ARRAY(
			SELECT e || jsonb_build_object('error', $2::text, 'trace', '') FROM unnest(j.errors) WITH ORDINALITY AS x (e, place) ORDER BY place)
		WHERE cardinality(j.errors) > 0 AND j.args ->> 'run_id' IN (SELECT id::text FROM headwater.run WHERE view_id = $1)`, view.ID, retention.Mark)
	return err
}

// chosenTexts are texts that people and programs chose, and that say nothing of rows unless they put it there.
var chosenTexts = []struct {
	name, table, column string
	// id tells the row, as a text.
	id string
	// whole is SQL that stands for all of the text. Empty: it stays, but for the key.
	whole string
}{
	{name: "names of files", table: "headwater.load", column: "file_name", id: "id"},
	{name: "reasons of retractions", table: "headwater.load", column: "retract_reason", id: "id"},
	// Two batches that have no key any more are two.
	{name: "keys of batches", table: "headwater.load_batch", column: "key", id: "load_id || '/' || number", whole: "load_id || '/' || number"},
	{name: "errors of runs", table: "headwater.run", column: "error", id: "id"},
	{name: "reasons of cancellations", table: "headwater.run", column: "cancel_reason", id: "id"},
	{name: "reasons of erasures", table: "headwater.erasure", column: "reason", id: "id"},
}

// EraseTexts takes the key out of texts that somebody chose: names of files, keys of batches, reasons and errors. With erasure empty it only
// counts them.
func (m *Materializer) EraseTexts(ctx context.Context, erasure string, t *retention.Trace) (done []retention.Erased, err error) {
	err = pgx.BeginFunc(ctx, m.config.Pool, func(tx pgx.Tx) error {
		for _, place := range chosenTexts {
			texts, err := textsWith(ctx, tx, t, fmt.Sprintf("SELECT (%s)::text, %s FROM %s WHERE ", place.id, place.column, place.table), place.column)
			if err != nil {
				return err
			}
			one := retention.Erased{Place: placeText, Name: place.name}
			for id, text := range texts {
				redacted, named := t.Redact(text)
				if !named {
					continue
				}
				if one.Rows++; erasure == "" {
					continue
				}
				set, args := "$2", []any{id, redacted}
				if place.whole != "" {
					set, args[1] = "$2 || ' ' || "+place.whole, retention.Mark
				}
				_, err := tx.Exec(ctx, fmt.Sprintf("UPDATE %s SET %s = %s WHERE (%s)::text = $1", place.table, place.column, set, place.id), args...)
				if err != nil {
					return err
				}
			}
			done = append(done, one)
		}
		if done, err = recorded(ctx, tx, erasure, done...); err != nil || erasure == "" {
			return err
		}
		return m.config.Reached(StepErasingTexts)
	})
	return done, err
}

// textsWith are the texts, by id, of a query of both that is to be completed, which have a value of the key in them, as a word or not.
func textsWith(ctx context.Context, q database.Querier, t *retention.Trace, query, column string) (map[string]string, error) {
	values := make([]string, len(t.Values))
	for i, v := range t.Values {
		values[i] = v.Text()
	}
	rows, err := q.Query(ctx, query+fmt.Sprintf("EXISTS (SELECT FROM unnest($1::text[]) v WHERE position(v IN %[1]s) > 0 OR position(replace(v, '''', '''''') IN %[1]s) > 0)",
		column), values)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	var id, text string
	_, err = pgx.ForEachRow(rows, []any{&id, &text}, func() error {
		texts[id] = text
		return nil
	})
	return texts, err
}
