package offline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// The column origin of each query is copied from just these columns, and whole or not.
func TestCopies(t *testing.T) {
	pool := testenv.Postgres(t)
	weather := &feature.SourceVersion{Version: 1, Source: feature.Source{Name: "weather", EventTime: "at", Columns: []feature.Column{
		{Name: "at", Type: feature.TypeTimestamp}, {Name: "station", Type: feature.TypeString}, {Name: "town", Type: feature.TypeString},
	}}}
	for _, c := range []struct{ query, want string }{
		{`SELECT origin FROM flights`, "flights.origin whole"},
		{`SELECT origin::text COLLATE "C" AS origin FROM flights`, "flights.origin whole"},
		{`SELECT lower(origin) AS origin FROM flights`, ""},
		{`SELECT origin || '' AS origin FROM flights`, ""},
		{`SELECT coalesce(f.origin, w.town) AS origin FROM flights f CROSS JOIN weather w`, "flights.origin weather.town whole"},
		{`SELECT CASE WHEN delay > 1 THEN origin ELSE upper(origin) END AS origin FROM flights`, "flights.origin"},
		{`SELECT CASE delay WHEN 1 THEN origin ELSE 'none' END AS origin FROM flights`, "flights.origin whole"},
		{`SELECT nullif(origin, 'x') AS origin FROM flights`, "flights.origin whole"},
		{`SELECT greatest(origin, 'A') AS origin FROM flights`, "flights.origin whole"},
		{`SELECT max(origin) AS origin FROM flights`, "flights.origin whole"},
		{`SELECT string_agg(origin, ',') AS origin FROM flights`, ""},
		{`SELECT lag(origin) OVER (ORDER BY date) AS origin FROM flights`, "flights.origin whole"},
		{`SELECT origin FROM flights GROUP BY origin`, "flights.origin whole"},
		{`SELECT x AS origin FROM (SELECT origin AS x FROM flights) s`, "flights.origin whole"},
		{`WITH a AS (SELECT origin AS x FROM flights), b AS (SELECT x AS y FROM a) SELECT y AS origin FROM b`, "flights.origin whole"},
		{`SELECT origin FROM flights UNION ALL SELECT town FROM weather`, "flights.origin weather.town whole"},
		{`SELECT origin FROM flights UNION SELECT upper(town) FROM weather`, "flights.origin"},
		{`SELECT (SELECT max(town) FROM weather w WHERE w.at < f.date) AS origin FROM flights f`, "weather.town whole"},
		{`SELECT f.origin FROM flights f JOIN weather w ON w.station = f.origin AND w.at < f.date`, "flights.origin weather.station whole"},
		{`SELECT f.origin FROM flights f LEFT JOIN weather w ON w.station = f.origin`, "flights.origin weather.station whole"},
		{`SELECT f.origin FROM flights f, weather w, weather v WHERE w.station = f.origin AND v.town = w.station`,
			"flights.origin weather.station weather.town whole"},
		{`SELECT origin FROM flights WHERE origin IN (SELECT station FROM weather)`, "flights.origin weather.station whole"},
		{`SELECT origin FROM flights f WHERE EXISTS (SELECT FROM weather w WHERE w.station = f.origin)`, "flights.origin weather.station whole"},
		{`SELECT f.origin FROM flights f JOIN weather w ON w.at = f.date`, "flights.origin whole"},
		{`SELECT v.origin FROM flights f CROSS JOIN LATERAL (VALUES (f.origin), ('x')) AS v (origin)`, "flights.origin whole"},
		{`WITH RECURSIVE r AS (SELECT origin AS x FROM flights UNION SELECT x FROM r) SELECT x AS origin FROM r`, "flights.origin whole"},
	} {
		v := viewOf(c.query)
		v.SourceVersions = append(v.SourceVersions, weather)
		v.SQL.Sources = append(v.SQL.Sources, "weather")
		err := inRolledBack(t, pool, func(tx pgx.Tx) error {
			found, err := Copies(t.Context(), tx, v)
			if err != nil {
				return err
			}
			var parts []string
			for _, f := range found["origin"].From {
				parts = append(parts, f.Relation+"."+f.Column)
			}
			if found["origin"].Whole {
				parts = append(parts, "whole")
			}
			if got := strings.Join(parts, " "); got != c.want {
				return fmt.Errorf("found %q, expected %q", got, c.want)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", c.query, err)
		}
	}
}
