package quality

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Shared counts the rows of from that share the values of columns with an earlier one, and names the values of a few. Rows in which one
// of the columns is NULL share nothing.
func Shared(ctx context.Context, tx pgx.Tx, from string, columns []string) (n int64, examples []Example, err error) {
	var names, there []string
	for _, c := range columns {
		names, there = append(names, quoted(c)), append(there, quoted(c)+" IS NOT NULL")
	}
	key := strings.Join(names, ", ")
	table := fmt.Sprintf("(SELECT %s, count(*) AS _rows FROM %s WHERE %s GROUP BY %s HAVING count(*) > 1)", key, from, strings.Join(there, " AND "), key)
	if err := tx.QueryRow(ctx, "SELECT coalesce(sum(_rows - 1), 0)::bigint FROM "+table+" AS shared").Scan(&n); err != nil || n == 0 {
		return n, nil, err
	}
	examples, err = examplesOf(ctx, tx, table+" AS shared", "", columns)
	return n, examples, err
}

// Failing counts the rows of from that a condition is true of, and names a few by columns.
func Failing(ctx context.Context, tx pgx.Tx, from, condition string, columns []string) (n int64, examples []Example, err error) {
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM "+from+" WHERE "+condition).Scan(&n); err != nil || n == 0 {
		return n, nil, err
	}
	examples, err = examplesOf(ctx, tx, from, " WHERE "+condition, columns)
	return n, examples, err
}

func examplesOf(ctx context.Context, tx pgx.Tx, from, where string, columns []string) ([]Example, error) {
	texts, order := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		texts[i], order[i] = fmt.Sprintf("coalesce(left(%s::text, %d), 'NULL')", quoted(c), shownCharacters), quoted(c)
	}
	rows, err := tx.Query(ctx, fmt.Sprintf("SELECT ARRAY[%s] FROM %s%s ORDER BY %s LIMIT %d", strings.Join(texts, ", "), from, where,
		strings.Join(order, ", "), MaxExamples))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Example, err error) {
		var values []string
		err = row.Scan(&values)
		for i, v := range values {
			e = append(e, Field{columns[i], v})
		}
		return e, err
	})
}
