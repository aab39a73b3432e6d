package expr_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/anyfilter"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// table is rows as arrays, a parameter for each column.
func table(rows [][]feature.Value) []any {
	args := make([]any, len(anyfilter.Columns))
	for i, c := range anyfilter.Columns {
		switch c.Type.Kind() {
		case feature.TypeBool:
			args[i] = pointers(rows, i, feature.Value.Bool)
		case feature.TypeInt64:
			args[i] = pointers(rows, i, feature.Value.Int64)
		case feature.TypeFloat64:
			args[i] = pointers(rows, i, feature.Value.Float64)
		case feature.TypeTimestamp:
			args[i] = pointers(rows, i, func(v feature.Value) time.Time { return v.Timestamp().Time() })
		case feature.TypeBytes:
			args[i] = pointers(rows, i, func(v feature.Value) []byte { return []byte(v.Str()) })
		case feature.TypeList, feature.TypeVector:
			args[i] = pointers(rows, i, func(feature.Value) string { return "{}" })
		default:
			args[i] = pointers(rows, i, feature.Value.Text)
		}
	}
	return args
}

func pointers[T any](rows [][]feature.Value, at int, of func(feature.Value) T) []*T {
	all := make([]*T, len(rows))
	for i, row := range rows {
		if !row[at].IsNull() {
			v := of(row[at])
			all[i] = &v
		}
	}
	return all
}

var (
	arrayTypes = map[feature.Type]string{
		feature.TypeBool: "boolean", feature.TypeInt64: "bigint", feature.TypeFloat64: "double precision", feature.TypeTimestamp: "timestamptz",
		feature.TypeBytes: "bytea",
	}
	// rowsSQL has the rows, with texts under a collation that sorts otherwise than their bytes do.
	rowsSQL = func() string {
		var arrays, names, selects []string
		for i, c := range anyfilter.Columns {
			array, selected := arrayTypes[c.Type.Kind()], c.Name
			switch {
			case c.Type.Kind() == feature.TypeDecimal:
				array, selected = "text", fmt.Sprintf("%s::numeric(%d, %d) AS %s", c.Name, c.Type.Precision(), c.Type.Scale(), c.Name)
			case c.Name == "s":
				array, selected = "text", `s COLLATE "en-x-icu" AS s`
			case c.Type == feature.TypeString:
				array = "text"
			case array == "":
				array, selected = "text", c.Name+"::real[] AS "+c.Name
				if c.Type.Kind() == feature.TypeList {
					selected = c.Name + "::text[] AS " + c.Name
				}
			}
			arrays = append(arrays, fmt.Sprintf("$%d::%s[]", i+1, array))
			names, selects = append(names, c.Name), append(selects, selected)
		}
		return "SELECT " + strings.Join(selects, ", ") + ", place FROM unnest(" + strings.Join(arrays, ", ") + ") WITH ORDINALITY AS t (" +
			strings.Join(names, ", ") + ", place)"
	}()
	sqlWord = regexp.MustCompile(`[A-Za-z_]\w*|[^\w\s]`)
	// sqlWords are all that a filter's SQL is made of, beside columns.
	sqlWords = strings.Fields(`AND OR NOT IS NULL TRUE true false CASE WHEN THEN END ANY COLLATE C nullif starts_with strpos right char_length
		text bigint double precision boolean timestamptz numeric bytea ( ) [ ] : $ , " = < >`)
)

// filterChecks is how many filters are drawn for each set of rows, and filterRows how many rows.
const filterChecks, filterRows = 8, 30

// Whatever a filter says, whatever rows and principals have: SQL, Holds and the plain evaluation say the same.
func TestFiltersAreAlikeInGoAndPostgres(t *testing.T) {
	ctx := context.Background()
	pool := testenv.Postgres(t)
	conn, err := pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	cases, shown, constant := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p := anyfilter.DrawPools(t)
		rows := make([][]feature.Value, filterRows)
		for i := range rows {
			rows[i] = p.Row(t)
		}
		for range filterChecks {
			want := p.Filter(t, rapid.IntRange(0, 4).Draw(t, "depth"))
			f, problems := expr.CompileFilter(want.Text, anyfilter.Columns)
			if len(problems) > 0 {
				t.Fatalf("%s: %+v", want.Text, problems)
			}
			principal := &expr.Principal{
				Name: p.Name(t), Roles: p.Texts(t), Attributes: map[string][]string{"regions": p.Texts(t), "teams": p.Texts(t)},
			}
			bound := f.Bind(principal)
			sql, args := bound.SQL(func(i int) string { return "r." + f.Columns[i] }, len(anyfilter.Columns)+1)
			for _, word := range sqlWord.FindAllString(sql, -1) {
				if !slices.Contains(sqlWords, word) && word != "r" && word != "." && !slices.Contains(f.Columns, word) {
					t.Fatalf("%s: found %q in the SQL %s", want.Text, word, sql)
				}
			}
			var passing []int
			var nulls int
			query := "SELECT coalesce(array_agg(r.place) FILTER (WHERE " + sql + "), '{}'), count(*) FILTER (WHERE " + sql + " IS NULL) FROM (" + rowsSQL + ") r"
			err := conn.QueryRow(ctx, query, append(append([]any{pgx.QueryExecModeDescribeExec}, table(rows)...), args...)...).Scan(&passing, &nulls)
			if err != nil {
				t.Fatalf("%s: %s: %v", want.Text, sql, err)
			}
			if nulls > 0 {
				t.Fatalf("%s: found NULL in SQL: %s", want.Text, sql)
			}
			if _, ok := bound.Constant(); ok {
				constant++
			}
			for i, row := range rows {
				values := make([]feature.Value, len(f.Columns))
				for at, name := range f.Columns {
					values[at] = row[slices.IndexFunc(anyfilter.Columns, func(c feature.Column) bool { return c.Name == name })]
				}
				holds, inSQL, plainly := bound.Holds(values), slices.Contains(passing, i+1), want.Eval(row, principal) == 1
				if holds != plainly || inSQL != plainly {
					t.Fatalf("%s\nof row %v and %+v: found %t in Go and %t in Postgres, expected %t\n%s\n%v", want.Text, row, principal, holds, inSQL, plainly, sql, args)
				}
				cases++
				if holds {
					shown++
				}
			}
		}
	})
	t.Logf("%d cases, %d of rows that are shown, %d filters that are constant", cases, shown, constant)
	if !t.Failed() && (cases < 10_000 || shown < cases/10 || shown > cases*9/10) {
		t.Errorf("found %d rows shown in %d cases, expected at least 10000 cases of which many are shown and many are not", shown, cases)
	}
}
