package offline

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// SQL that is large or deep is refused soon, with a message, and leaves the transaction as it was.
func TestLargeSQL(t *testing.T) {
	pool := testenv.Postgres(t)
	const head, tail = "SELECT origin, event_time, available_at, ", " AS n FROM flights"
	const parts = "found more than 300 queries and joins, expected at most so many; part the SQL into several views, or put what it lists into a source"
	const deep = "SQL that is nested too deep, or too large, to be analysed"
	for name, c := range map[string]struct{ sql, want string }{
		"parentheses":   {head + strings.Repeat("(", 10_000) + "delay" + strings.Repeat(")", 10_000) + tail, deep},
		"sum":           {head + strings.Repeat("delay + ", 20_000) + "delay" + tail, deep},
		"subqueries":    {head + strings.Repeat("(SELECT ", 10_000) + "delay" + strings.Repeat(")", 10_000) + tail, parts},
		"FROM":          {strings.Repeat("SELECT * FROM (", 8_000) + "SELECT * FROM flights" + strings.Repeat(") x", 8_000), parts},
		"arms":          {strings.Repeat("SELECT origin, event_time, available_at, delay AS n FROM flights UNION ALL ", 3_000) + head + "delay" + tail, parts},
		"arms in half":  {strings.Repeat("SELECT origin, event_time, available_at, delay AS n FROM flights UNION ALL ", 299) + head + "delay" + tail, ""},
		"CASE":          {head + strings.Repeat("CASE WHEN true THEN ", 6_000) + "delay" + strings.Repeat(" END", 6_000) + tail, deep},
		"a million":     {head + strings.Repeat("1 + ", 250_000) + "delay" + tail, "found SQL of 500012 words and signs, expected at most 50000"},
		"a long list":   {head + "delay IN (" + strings.Repeat("1,", 20_000) + "1)::int" + tail, ""},
		"a long text":   {head + "length('" + strings.Repeat("x", 1_000_000) + "')" + tail, ""},
		"many brackets": {head + strings.Repeat("(", 1_000_000), "that is not closed"},
	} {
		err := inRolledBack(t, pool, func(tx pgx.Tx) error { return checkOnly(t.Context(), tx, viewOf(c.sql)) })
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: refused: %.300s", name, err)
		case c.want != "" && (fault.ReasonOf(err) != fault.InvalidSQL || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s\nfound:    %.300v\nexpected: %s", name, err, c.want)
		}
	}
}

// Whatever the SQL, its analysis ends with a verdict: no panic, no error but a refusal, and nothing left behind.
func FuzzCheckView(f *testing.F) {
	pool := testenv.Postgres(f)
	for _, file := range []string{"shapes", "aggregates", "windows", "picks", "functions", "constants", "json", "clocks", "statements"} {
		for i, s := range readCorpus(f, "testdata/corpus/"+file+".sql") {
			if i%9 == 0 {
				f.Add(strings.Join(s.sql, "\n"))
			}
		}
	}
	f.Add("SELECT (((")
	f.Add("WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) TABLE a")
	f.Add("SELECT {{interval.start}} {{interval.end}}")
	f.Fuzz(func(t *testing.T, sql string) {
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(t.Context()) }()
		v := viewOf(sql)
		v.SourceVersions = append(v.SourceVersions, readCorpusSources(t)[1:]...)
		v.Features = []feature.Column{{Name: "n", Type: feature.TypeInt64}}
		if err := checkOnly(t.Context(), tx, v); err != nil && fault.ReasonOf(err) != fault.InvalidSQL {
			t.Fatalf("%q: %v", sql, err)
		}
		if _, err := tx.Exec(t.Context(), "SELECT 1"); err != nil {
			t.Fatalf("%q: the transaction was left in another state: %v", sql, err)
		}
	})
}
