package offline

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func flightsSource() *feature.SourceVersion {
	return &feature.SourceVersion{Version: 1, Source: feature.Source{
		Name: "flights",
		Columns: []feature.Column{
			{Name: "date", Type: feature.TypeTimestamp}, {Name: "delay", Type: feature.TypeInt64},
			{Name: "origin", Type: feature.TypeString}, {Name: "cost", Type: feature.TypeFloat64},
		},
		EventTime: "date",
	}}
}

func viewOf(query string) *feature.ViewVersion {
	entity := &feature.EntityVersion{Version: 1, Entity: feature.Entity{
		Name: "airport", JoinKeys: []feature.Column{{Name: "origin", Type: feature.TypeString}},
	}}
	return &feature.ViewVersion{
		ID: 1, Version: 1, EntityVersion: entity, SourceVersions: []*feature.SourceVersion{flightsSource()},
		View: feature.View{
			Name: "delays", Entity: "airport", Features: []feature.Column{{Name: "n", Type: feature.TypeInt64}},
			SQL: &feature.SQLTransform{Sources: []string{"flights"}, Query: query},
		},
	}
}

// checkOnly is CheckView without what it found.
func checkOnly(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error {
	_, err := CheckView(ctx, tx, v)
	return err
}

// inRolledBack runs a check in a transaction that leaves nothing, and makes sure that the check left nothing in it.
func inRolledBack(t *testing.T, pool *pgxpool.Pool, check func(tx pgx.Tx) error) error {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	checked := check(tx)
	var left int
	err = tx.QueryRow(t.Context(), `SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()`).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("the check left %d temporary relations: %v", left, err)
	}
	return checked
}

func TestCheckViewAccepts(t *testing.T) {
	pool := testenv.Postgres(t)
	for _, query := range []string{
		`SELECT origin, event_time, available_at, delay AS n FROM flights`,
		`SELECT origin, event_time, available_at, delay::int AS n FROM flights -- the end`,
		`SELECT origin, date_trunc('day', event_time) + interval '1 day' AS event_time, max(available_at) AS available_at,
			count(*) FILTER (WHERE to_char(event_time, 'D') = '1') AS n
			FROM flights WHERE event_time >= {{interval.start}} GROUP BY 1, 2;`,
		`WITH f AS (SELECT *, row_number() OVER w AS i, max(available_at) OVER w AS known FROM flights
			WINDOW w AS (PARTITION BY origin ORDER BY date, delay))
			SELECT f.origin, g.at AS event_time, f.known AS available_at, i AS n
			FROM f, LATERAL generate_series(f.date, f.date + interval '1 hour', interval '1 hour') g(at)`,
	} {
		v := viewOf(query)
		if strings.Contains(query, "date_trunc") {
			v.Grain = 24 * time.Hour
		}
		if err := inRolledBack(t, pool, func(tx pgx.Tx) error { return checkOnly(t.Context(), tx, v) }); err != nil {
			t.Errorf("%s\nrefused: %v", query, err)
		}
	}
}

func TestCheckViewTakesOutputsThatTypesHold(t *testing.T) {
	pool := testenv.Postgres(t)
	price := feature.DecimalType(12, 2)
	for _, c := range []struct {
		typ       feature.Type
		sql, want string
	}{
		{price, "cost::numeric", ""}, {price, "1", ""}, {price, "delay + 1.5", ""},
		{price, "cost", "found output column n of type float8, expected decimal(12, 2); write (…)::numeric AS n, or declare another type"},
		{feature.TypeBytes, "sha256('x')", ""},
		{feature.TypeBytes, "origin", "found output column n of type text, expected bytes; write (…)::bytea AS n, or declare another type"},
		{feature.ListType(feature.TypeInt64), "ARRAY[1::smallint]", ""}, {feature.ListType(feature.TypeString), "ARRAY[origin, 'x']", ""},
		{feature.ListType(feature.TypeString), "ARRAY[1]", "found output column n of type int4[], expected list(string); write (…)::text[] AS n, or declare another type"},
		{feature.ListType(price), "ARRAY[1.5]", ""}, {feature.ListType(feature.TypeFloat64), "ARRAY[cost]", ""},
		{feature.ListType(feature.TypeTimestamp), "ARRAY[date]", ""}, {feature.ListType(feature.TypeBool), "ARRAY[true]", ""},
		{feature.VectorType(2), "ARRAY[1, 2]::real[]", ""},
		{feature.VectorType(2), "ARRAY[cost]", "found output column n of type float8[], expected vector(2); write (…)::real[] AS n, or declare another type"},
	} {
		view := viewOf("SELECT origin, event_time, available_at, " + c.sql + " AS n FROM flights")
		view.Features[0].Type = c.typ
		err := inRolledBack(t, pool, func(tx pgx.Tx) error { return checkOnly(t.Context(), tx, view) })
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s as %s\nfound:    %v\nexpected: %s", c.sql, c.typ, err, c.want)
		}
	}
}

func TestCheckViewRefuses(t *testing.T) {
	pool := testenv.Postgres(t)
	const times = "event_time, available_at"
	for query, want := range map[string]string{
		`SELECT origin, ` + times + `, dealy AS n FROM flights`:                                                         `line 1, column 42 of its SQL: column "dealy" does not exist`,
		"SELECT origin, " + times + ",\n  'é' || {{interval.end}} AS n\nFROM flight":                                    `line 3, column 6 of its SQL: relation "flight" does not exist`,
		`SELECT origin, ` + times + ` FROM flights`:                                                                     `found no output column n, expected one of type int64`,
		`SELECT origin, ` + times + `, delay AS n, cost FROM flights`:                                                   `found output column cost, which is no join key`,
		`SELECT origin, ` + times + `, avg(delay) AS n FROM flights GROUP BY 1, 2, 3`:                                   `found output column n of type numeric, expected int64; write (…)::bigint AS n`,
		`SELECT origin, date::date AS event_time, available_at, delay AS n FROM flights`:                                `found output column event_time of type date, expected timestamp`,
		`SELECT origin, ` + times + `, (SELECT count(*) FROM headwater.token) AS n FROM flights`:                        `found a read of headwater.token`,
		`SELECT origin, ` + times + `, (SELECT count(*) FROM pg_authid) AS n FROM flights`:                              `found a read of pg_catalog.pg_authid`,
		`SELECT origin, ` + times + `, (SELECT count(*) FROM _flights) AS n FROM flights`:                               `found a read of pg_temp`,
		`SELECT origin, ` + times + `, (random() * 9)::bigint AS n FROM flights`:                                        `found a call of random()`,
		`SELECT origin, ` + times + `, extract(epoch FROM now())::bigint AS n FROM flights`:                             `found a call of now()`,
		`SELECT origin, ` + times + `, extract(epoch FROM age(date))::bigint AS n FROM flights`:                         `found a call of age(timestamp`,
		`SELECT origin, ` + times + `, (CURRENT_DATE - date::date)::bigint AS n FROM flights`:                           `line 1, column 43 of its SQL: found CURRENT_DATE, `,
		`SELECT origin, ` + times + `, length(current_setting('port'))::bigint AS n FROM flights`:                       `found a call of current_setting(text)`,
		`SELECT origin, ` + times + `, length(table_to_xml('headwater.token', true, true, '')::text) AS n FROM flights`: `found a call of table_to_xml`,
		`SELECT origin, ` + times + `, length(pg_read_file('/etc/passwd')) AS n FROM flights`:                           `found a call of pg_read_file(text)`,
		`SELECT origin, ` + times + `, delay AS n FROM flights FOR UPDATE`:                                              `found a lock of rows (FOR UPDATE or one of its kind)`,
		`DELETE FROM flights RETURNING origin`:                                                                          `syntax error at or near "DELETE"`,
	} {
		err := inRolledBack(t, pool, func(tx pgx.Tx) error { return checkOnly(t.Context(), tx, viewOf(query)) })
		if f := fault.As(err); f == nil || f.Reason != fault.InvalidSQL || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nfound:    %v\nexpected: %s", query, err, want)
		}
	}
}

func TestCheckSource(t *testing.T) {
	pool := testenv.Postgres(t)
	for expression, want := range map[string]string{
		``:                                   ``,
		`date + delay * interval '1 minute'`: ``,
		`date -- as it is`:                   ``,
		`delay`:                              `found an expression of type int8; expected an SQL expression`,
		`date + late`:                        `column "late" does not exist`,
		`greatest(date, now())`:              `found a call of now()`,
		`date), (SELECT 1 FROM pg_authid`:    "line 1, column 5 of its SQL: found `)` that closes nothing",
		`(SELECT max(created_at) FROM headwater.token)`: `found a read of headwater.token`,
	} {
		src := flightsSource()
		src.ArrivalExpression = expression
		err := inRolledBack(t, pool, func(tx pgx.Tx) error { return CheckSource(t.Context(), tx, src) })
		switch {
		case want == "" && err != nil:
			t.Errorf("%s\nrefused: %v", expression, err)
		case want != "" && (err == nil || fault.ReasonOf(err) != fault.InvalidDefinition || !strings.Contains(err.Error(), want)):
			t.Errorf("%s\nfound:    %v\nexpected: %s", expression, err, want)
		}
	}
}
