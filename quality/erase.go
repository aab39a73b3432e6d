package quality

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
)

// Matching is SQL that says which rows are an entity's. What it compares with are arguments of the statement.
type Matching struct {
	// Condition is over the JSON object `q.row`, its arguments numbered from 3 on.
	Condition string
	Args      []any
}

// CountQuarantined counts the rows of a subject that are set aside for a view version, whichever run found them, and that match.
func CountQuarantined(ctx context.Context, q database.Querier, view int64, subject string, m Matching) (rows int64, err error) {
	err = q.QueryRow(ctx, `SELECT count(*) FROM headwater.quarantined_row q WHERE q.view_id = $1 AND q.subject = $2 AND `+m.Condition,
		append([]any{view, subject}, m.Args...)...).Scan(&rows)
	return rows, err
}

// EraseQuarantined erases the rows that CountQuarantined counts. Runs go on counting how many they set aside.
func EraseQuarantined(ctx context.Context, tx pgx.Tx, view int64, subject string, m Matching) (rows int64, err error) {
	tag, err := tx.Exec(ctx, `DELETE FROM headwater.quarantined_row q WHERE q.view_id = $1 AND q.subject = $2 AND `+m.Condition,
		append([]any{view, subject}, m.Args...)...)
	return tag.RowsAffected(), err
}

// Key is the columns of an entity's key, and the values of it, as texts.
type Key struct{ Names, Values []string }

// Shown are what tells an entity where checks show rows of a subject, or of several.
type Shown []Key

// condition is that of an example `e`, as JSON: it shows a value of the key, as far as examples show values, or rows of which nobody can say
// whose they are, since no whole key is among what it shows. What it shows of all rows together, such as a mean, is named in words, and stays.
const shownCondition = `(EXISTS (SELECT FROM jsonb_array_elements(e) f JOIN unnest($2::text[], $3::text[]) AS p (name, value)
		ON f ->> 'column' = p.name AND f ->> 'value' IN (p.value, left(p.value, $5)))
	OR NOT EXISTS (SELECT FROM jsonb_array_elements(e) f WHERE f ->> 'column' LIKE '% %')
		AND NOT EXISTS (SELECT FROM unnest($4::text[]) AS k (names) WHERE k.names::jsonb <@ (SELECT jsonb_agg(f -> 'column') FROM jsonb_array_elements(e) f)))`

func (s Shown) arguments(view int64) ([]any, error) {
	var names, values, keys []string
	for _, k := range s {
		names, values = append(names, k.Names...), append(values, k.Values...)
		text, err := json.Marshal(k.Names)
		if err != nil {
			return nil, err
		}
		keys = append(keys, string(text))
	}
	return []any{view, names, values, keys, shownCharacters}, nil
}

// CountExamples counts examples of checks of a view version that show an entity, or rows that may be its.
func CountExamples(ctx context.Context, q database.Querier, view int64, s Shown) (rows int64, err error) {
	args, err := s.arguments(view)
	if err != nil {
		return 0, err
	}
	err = q.QueryRow(ctx, `SELECT count(*) FROM headwater.check_result r CROSS JOIN LATERAL jsonb_array_elements(r.examples) AS e
		WHERE r.view_id = $1 AND `+shownCondition, args...).Scan(&rows)
	return rows, err
}

// whatBroke stands for what was found by a check that broke: what it broke at may be a value of a row.
const whatBroke = "[erased]"

// EraseExamples takes those examples away, and what checks that broke say of the value that they broke at.
func EraseExamples(ctx context.Context, tx pgx.Tx, view int64, s Shown) (rows int64, err error) {
	_, err = tx.Exec(ctx, `UPDATE headwater.check_result SET found = $2 WHERE view_id = $1 AND state = 'ERRORED' AND found <> $2`, view, whatBroke)
	if err != nil {
		return 0, err
	}
	if rows, err = CountExamples(ctx, tx, view, s); err != nil || rows == 0 {
		return rows, err
	}
	args, err := s.arguments(view)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`
		UPDATE headwater.check_result r SET examples =
			(SELECT coalesce(jsonb_agg(e ORDER BY place), '[]') FROM jsonb_array_elements(r.examples) WITH ORDINALITY AS x (e, place) WHERE NOT %[1]s)
		WHERE r.view_id = $1 AND EXISTS (SELECT FROM jsonb_array_elements(r.examples) AS e WHERE %[1]s)`, shownCondition), args...)
	return rows, err
}
