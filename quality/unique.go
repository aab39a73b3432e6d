package quality

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// unique counts the rows that share the values of columns with an earlier one: those that repeat it in every column apart from those
// that contradict it. Rows in which one of the columns is NULL share nothing. Of the source's own unique key the duplicates are
// counted that were left out.
func (v *validation) unique(ctx context.Context, e *feature.Expectation, place int) (Result, error) {
	columns := e.Columns
	if len(columns) == 0 {
		columns = v.Source.UniqueKey
	}
	if sameSet(columns, v.Source.UniqueKey) {
		return v.uniqueResult(e, v.Exact, v.Conflicting, v.Rows, nil), nil
	}
	var exact, conflicting int64
	var examples []Example
	broke, err := v.try(ctx, func(tx pgx.Tx) (err error) {
		exact, conflicting, examples, err = v.shared(ctx, tx, columns, place)
		return err
	})
	if err != nil {
		return Result{}, err
	}
	r := v.uniqueResult(e, exact, conflicting, v.Considered, broke)
	r.Examples = examples
	return r, nil
}

func (v *validation) uniqueResult(e *feature.Expectation, exact, conflicting, of int64, broke error) Result {
	r := v.result(e, exact+conflicting, of, broke)
	if broke == nil {
		r.Found += fmt.Sprintf(", %d equal to another, %d that differ from one", exact, conflicting)
	}
	return r
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func (v *validation) shared(ctx context.Context, tx pgx.Tx, columns []string, place int) (exact, conflicting int64, examples []Example, err error) {
	var key, there, all []string
	for _, name := range columns {
		key = append(key, quote(v.Source.Name, name))
		there = append(there, quote(v.Source.Name, name)+" IS NOT NULL")
	}
	for _, c := range v.Source.Columns {
		all = append(all, quote(v.Source.Name, c.Name))
	}
	// Numbers are grouped in a fraction of the time that keys are.
	hash := "hash_record_extended(ROW(" + strings.Join(key, ", ") + "), 0)"
	table := fmt.Sprintf("_shared_%d_%s", place, v.Source.Name)
	for _, statement := range []string{
		fmt.Sprintf("CREATE TEMPORARY TABLE %s AS SELECT %s AS _hash FROM %s AND %s GROUP BY 1 HAVING count(*) > 1", quote(table), hash, v.from(false),
			strings.Join(there, " AND ")),
		"ANALYZE " + temporary(table),
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return 0, 0, nil, err
		}
	}
	texts := make([]string, len(key))
	for i, k := range key {
		texts[i] = fmt.Sprintf("left(%s::text, %d)", k, 4*maxExampleValue)
	}
	grouped := fmt.Sprintf(`SELECT count(*) AS _rows, count(DISTINCT ROW(%s)) AS _kinds, ARRAY[%s] AS _key FROM %s AND %s AND %s IN (SELECT _hash FROM %s)
		GROUP BY %s HAVING count(*) > 1`, strings.Join(all, ", "), strings.Join(texts, ", "), v.from(false), strings.Join(there, " AND "), hash,
		temporary(table), strings.Join(key, ", "))
	found := fmt.Sprintf("_repeated_%d_%s", place, v.Source.Name)
	if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE "+quote(found)+" AS "+grouped); err != nil {
		return 0, 0, nil, err
	}
	err = tx.QueryRow(ctx, "SELECT coalesce(sum(_rows - _kinds), 0)::bigint, coalesce(sum(_kinds - 1), 0)::bigint FROM "+temporary(found)).Scan(&exact, &conflicting)
	if err != nil || exact+conflicting == 0 {
		return exact, conflicting, nil, err
	}
	rows, err := tx.Query(ctx, fmt.Sprintf("SELECT _key, _rows FROM %s ORDER BY _key LIMIT %d", temporary(found), MaxExamples))
	if err != nil {
		return 0, 0, nil, err
	}
	var values []string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&values, &n}, func() error {
		var e Example
		for i, name := range columns {
			e = append(e, Field{name, values[i]})
		}
		examples = append(examples, append(e, Field{"rows", fmt.Sprint(n)}))
		return nil
	})
	return exact, conflicting, examples, err
}
