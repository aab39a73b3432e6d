package quality

import (
	"context"
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

// Columns are columns and the values, as texts, that an entity has in them.
type Columns struct{ Names, Values []string }

// exampleMatches is the condition that an example, as JSON, shows columns of which each has the value of one of the pairs.
const exampleMatches = `EXISTS (SELECT FROM jsonb_array_elements(e) f JOIN unnest($2::text[], $3::text[]) AS p (name, value)
	ON f ->> 'column' = p.name AND f ->> 'value' = p.value)`

// CountExamples counts examples of checks of a view version that show an entity, or a part of its key.
func CountExamples(ctx context.Context, q database.Querier, view int64, c Columns) (rows int64, err error) {
	err = q.QueryRow(ctx, `SELECT count(*) FROM headwater.check_result r CROSS JOIN LATERAL jsonb_array_elements(r.examples) AS e
		WHERE r.view_id = $1 AND `+exampleMatches, view, c.Names, c.Values).Scan(&rows)
	return rows, err
}

// EraseExamples takes those examples away.
func EraseExamples(ctx context.Context, tx pgx.Tx, view int64, c Columns) (rows int64, err error) {
	if rows, err = CountExamples(ctx, tx, view, c); err != nil || rows == 0 {
		return rows, err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`
		UPDATE headwater.check_result r SET examples =
			(SELECT coalesce(jsonb_agg(e ORDER BY place), '[]') FROM jsonb_array_elements(r.examples) WITH ORDINALITY AS x (e, place) WHERE NOT %[1]s)
		WHERE r.view_id = $1 AND EXISTS (SELECT FROM jsonb_array_elements(r.examples) AS e WHERE %[1]s)`, exampleMatches), view, c.Names, c.Values)
	return rows, err
}
