package offline

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// A source that has a catalog's name does not take its place: not in the queries that judge a view, and not in its SQL.
func TestCheckViewIsNotBlindedByASource(t *testing.T) {
	pool := testenv.Postgres(t)
	for _, catalog := range []string{"pg_class", "pg_rewrite", "pg_proc", "pg_namespace", "pg_type", "pg_attribute"} {
		v := viewOf(`SELECT origin, event_time, available_at, (SELECT count(*) FROM headwater.token) + random()::bigint AS n FROM ` + catalog)
		src := v.SourceVersions[0]
		src.Name = catalog
		for _, c := range []string{"oid", "ev_class", "relnamespace", "pronamespace", "typnamespace", "attrelid"} {
			src.Columns = append(src.Columns, feature.Column{Name: c, Type: feature.TypeInt64})
		}
		for _, c := range []string{"ev_action", "relname", "proname", "provolatile", "nspname", "typname", "attname"} {
			src.Columns = append(src.Columns, feature.Column{Name: c, Type: feature.TypeString})
		}
		err := inRolledBack(t, pool, func(tx pgx.Tx) error { return checkOnly(t.Context(), tx, v) })
		if fault.ReasonOf(err) != fault.InvalidSQL {
			t.Errorf("source %s\nfound:    %v\nexpected: a refusal", catalog, err)
		}
	}
}

// A source that has a type's name is a source, and the type is the type.
func TestSourceWithTheNameOfAType(t *testing.T) {
	pool := testenv.Postgres(t)
	for _, name := range []string{"text", "timestamptz", "regclass", "bool", "oid", "int8"} {
		v := viewOf(`SELECT origin::text, event_time::timestamptz, available_at, delay::int8 AS n FROM ` + name)
		v.SourceVersions[0].Name = name
		v.SourceVersions[0].ArrivalExpression = `date::timestamp AT TIME ZONE 'UTC'`
		err := inRolledBack(t, pool, func(tx pgx.Tx) error {
			if err := CheckSource(t.Context(), tx, v.SourceVersions[0]); err != nil {
				return err
			}
			return checkOnly(t.Context(), tx, v)
		})
		if err != nil {
			t.Errorf("source %s\nrefused: %v", name, err)
		}
	}
}

// What a view's SQL may not read by way of a type or of a function that looks harmless.
func TestCheckViewRefusesTheCatalogByOtherNames(t *testing.T) {
	pool := testenv.Postgres(t)
	for expression, want := range map[string]string{
		`length('headwater.token'::regclass::text)`:                                                           `found a value of type regclass`,
		`length(delay::oid::regclass::text)`:                                                                  `found a value of type regclass`,
		`length(origin::regclass::text)`:                                                                      `found a call of regclass(text)`,
		`cardinality(ARRAY[delay::oid]::regclass[])`:                                                          `found a value of type regclass`,
		`length(CAST(origin AS regrole)::text)`:                                                               `found a value of type regrole`,
		`length((10::oid::regrole)::text)`:                                                                    `found a value of type regrole`,
		`length(delay::oid::regtype::text)`:                                                                   `found a value of type regtype`,
		`length(format_type(delay::oid, NULL))`:                                                               `found a call of format_type(oid,integer)`,
		`length(makeaclitem(delay::oid, 10, 'SELECT', true)::text)`:                                           `found a call of makeaclitem`,
		`length(origin::aclitem::text)`:                                                                       `found a value of type aclitem`,
		`(SELECT count(*) FROM ts_token_type(delay::oid))`:                                                    `found a call of ts_token_type(oid)`,
		`cardinality(enum_range(NULL::headwater_jobs.river_job_state))`:                                       `found a call of enum_range(anyenum)`,
		`length(origin::headwater_jobs.river_job_state::text)`:                                                `found a value of type headwater_jobs.river_job_state`,
		`length((jsonb_populate_record(NULL::headwater.token, '{}')).id)`:                                     `found a value of type headwater.token`,
		`(SELECT count(*) FROM ROWS FROM (json_to_record('{"a":1}') AS (a regclass)) r)`:                      `found a value of type regclass`,
		`(WITH RECURSIVE c(a) AS (VALUES (1::regtype) UNION ALL SELECT a FROM c) SELECT 1)`:                   `found a value of type regtype`,
		`CASE WHEN origin > '' THEN 1 ELSE length((SELECT max(a::text) FROM (VALUES (1::regproc)) v(a))) END`: `found a value of type regproc`,
	} {
		v := viewOf(`SELECT origin, event_time, available_at, ` + expression + ` AS n FROM flights`)
		err := inRolledBack(t, pool, func(tx pgx.Tx) error { return checkOnly(t.Context(), tx, v) })
		if fault.ReasonOf(err) != fault.InvalidSQL || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nfound:    %v\nexpected: %s", expression, err, want)
		}
	}
}

func TestCheckViewRefusesLocks(t *testing.T) {
	pool := testenv.Postgres(t)
	for _, lock := range []string{"FOR UPDATE", "FOR SHARE", "FOR NO KEY UPDATE NOWAIT", "FOR KEY SHARE SKIP LOCKED"} {
		v := viewOf(`SELECT origin, event_time, available_at, delay AS n FROM flights ` + lock)
		err := inRolledBack(t, pool, func(tx pgx.Tx) error { return checkOnly(t.Context(), tx, v) })
		if fault.ReasonOf(err) != fault.InvalidSQL || !strings.Contains(err.Error(), "FOR UPDATE or one of its kind") {
			t.Errorf("%s\nfound: %v\nexpected a refusal", lock, err)
		}
	}
}

// An arrival expression is over one row, and means the same where it is checked and where it runs.
func TestCheckSourceRefusesOtherRows(t *testing.T) {
	pool := testenv.Postgres(t)
	for expression, want := range map[string]string{
		`flights.date`:                             ``,
		`date + (SELECT '1 day'::interval)`:        `found a subquery`,
		`(SELECT max(date) FROM pg_temp._flights)`: `found a subquery`,
		`max(date) OVER ()`:                        `found a window function`,
		`generate_series(date, date, '1 day')`:     `found a function that returns several rows`,
		`_flights.date`:                            `reference to FROM-clause entry for table "_flights"`,
		`'2001-01-01 00:00Z'::timestamptz`:         ``,
		`'2001-01-01'::timestamptz`:                `line 1, column 1 of its SQL: found the constant '2001-01-01'`,
		`date::text::timestamptz`:                  `line 1, column 11 of its SQL: found a cast of text to timestamp with time zone`,
	} {
		src := flightsSource()
		src.ArrivalExpression = expression
		err := inRolledBack(t, pool, func(tx pgx.Tx) error { return CheckSource(t.Context(), tx, src) })
		switch {
		case want == "" && err != nil:
			t.Errorf("%s\nrefused: %v", expression, err)
		case want != "" && (fault.ReasonOf(err) != fault.InvalidDefinition || !strings.Contains(err.Error(), want)):
			t.Errorf("%s\nfound:    %v\nexpected: %s", expression, err, want)
		}
	}
}
