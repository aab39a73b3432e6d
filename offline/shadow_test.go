package offline

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// Sources of these names stand where the checks, or the literals and casts of a run, would find something else.
var shadows = []string{"pg_class", "pg_rewrite", "pg_proc", "pg_attribute", "pg_type", "text", "timestamptz", "regclass", "bool", "date"}

func shadowing(name, query string) *feature.ViewVersion {
	v := viewOf(query)
	src := flightsSource()
	src.Name = name
	// Columns that the checks ask the catalog for.
	for _, c := range []string{"oid", "ev_class", "relnamespace", "attrelid", "pronamespace"} {
		src.Columns = append(src.Columns, feature.Column{Name: c, Type: feature.TypeInt64})
	}
	for _, c := range []string{"ev_action", "relname", "proname", "provolatile", "attname", "typname"} {
		src.Columns = append(src.Columns, feature.Column{Name: c, Type: feature.TypeString})
	}
	v.SourceVersions = []*feature.SourceVersion{src}
	v.SQL.Sources = []string{name}
	return v
}

func TestNoSourceHidesWhatAQueryReads(t *testing.T) {
	pool := testenv.Postgres(t)
	for _, name := range shadows {
		v := shadowing(name, `SELECT t.id AS origin, now() AS event_time, now() AS available_at, 1 AS n FROM headwater.token t`)
		err := inRolledBack(t, pool, func(tx pgx.Tx) error { return checkOnly(t.Context(), tx, v) })
		if err == nil || !strings.Contains(err.Error(), "found a read of headwater.token") {
			t.Errorf("with a source called %s: found %v, expected the read of headwater.token to be refused", name, err)
		}
	}
}

func TestSourcesMayBeCalledLikeTypes(t *testing.T) {
	pool := testenv.Postgres(t)
	for _, name := range shadows {
		if strings.HasPrefix(name, "pg_") {
			continue
		}
		v := shadowing(name, `SELECT origin, event_time, available_at, (delay::text)::int8 AS n FROM "`+name+`"
			WHERE event_time >= {{interval.start}} AND date::date > '2001-01-01'`)
		err := inRolledBack(t, pool, func(tx pgx.Tx) error {
			if err := CheckSource(t.Context(), tx, v.SourceVersions[0]); err != nil {
				return err
			}
			return checkOnly(t.Context(), tx, v)
		})
		if err != nil {
			t.Errorf("with a source called %s: %v", name, err)
		}
	}
}
