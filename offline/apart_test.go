package offline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// Of each query, flights of other origins have no part in the output of one, or this cannot be told.
func TestApart(t *testing.T) {
	pool := testenv.Postgres(t)
	weather := &feature.SourceVersion{Version: 1, Source: feature.Source{Name: "weather", EventTime: "at", Columns: []feature.Column{
		{Name: "at", Type: feature.TypeTimestamp}, {Name: "station", Type: feature.TypeString}, {Name: "town", Type: feature.TypeString},
	}}}
	const flights, towns, both, none = "flights.origin", "weather.town", "flights.origin weather.station", ""
	for _, c := range []struct{ query, want string }{
		{`SELECT origin FROM flights`, flights},
		{`SELECT origin::text COLLATE "C" AS origin FROM flights WHERE delay > 1`, flights},
		{`SELECT origin, max(delay) FROM flights GROUP BY origin`, flights},
		{`SELECT origin, date, max(delay) FROM flights GROUP BY date, origin HAVING count(*) > 1`, flights},
		{`SELECT x AS origin FROM (SELECT origin AS x FROM flights) s`, flights},
		{`WITH a AS (SELECT origin AS x FROM flights), b AS (SELECT x AS y FROM a) SELECT y AS origin FROM b`, flights},
		{`SELECT origin, lag(delay) OVER (PARTITION BY origin ORDER BY date) FROM flights`, flights},
		{`SELECT DISTINCT origin, delay FROM flights`, flights},
		{`SELECT DISTINCT ON (origin, date) origin, delay FROM flights ORDER BY origin, date, delay`, flights},
		// What is joined by the key is apart too, and of an outer join what it adds.
		{`SELECT f.origin FROM flights f LEFT JOIN weather w ON w.station = f.origin`, both},
		{`SELECT f.origin FROM flights f JOIN weather w ON f.origin = w.station AND w.at < f.date`, both},
		{`SELECT f.origin FROM flights f, weather w WHERE w.station = f.origin`, both},
		{`SELECT f.origin FROM flights f JOIN (SELECT station AS s, max(town) FROM weather GROUP BY station) w ON w.s = f.origin`, both},
		{`SELECT f.origin FROM flights f JOIN (SELECT station AS s, max(town) OVER () FROM weather) w ON w.s = f.origin`, flights},
		{`SELECT f.origin FROM flights f JOIN weather w ON w.station >= f.origin`, flights},
		{`SELECT f.origin FROM flights f JOIN weather w ON w.station = lower(f.origin)`, flights},
		{`SELECT f.origin FROM flights f JOIN weather w ON w.station = f.origin OR w.at = f.date`, flights},
		{`SELECT f.origin, (SELECT max(town) FROM weather w WHERE w.at < f.date) FROM flights f`, flights},
		{`SELECT f.origin FROM flights f CROSS JOIN LATERAL (SELECT max(w.town) FROM weather w WHERE w.station = f.origin) AS x`, flights},
		{`SELECT f.origin FROM flights f LEFT JOIN (weather w JOIN generate_series(1, 2) AS g ON true) ON w.station = f.origin`, both},
		{`SELECT w.town AS origin FROM weather w JOIN flights f ON f.origin = w.station`, towns},
		// Computed keys.
		{`SELECT lower(origin) AS origin FROM flights`, none},
		{`SELECT coalesce(f.origin, w.town) AS origin FROM flights f CROSS JOIN weather w`, none},
		{`SELECT max(origin) AS origin FROM flights`, none},
		// Rows of several origins together.
		{`SELECT origin, sum(delay) OVER (ORDER BY date) FROM flights`, none},
		{`SELECT origin, sum(delay) OVER (PARTITION BY origin), rank() OVER (PARTITION BY date ORDER BY delay) FROM flights`, none},
		{`SELECT DISTINCT ON (date) origin, delay FROM flights ORDER BY date, delay, origin`, none},
		{`SELECT origin FROM flights ORDER BY delay LIMIT 1`, none},
		{`SELECT s.origin FROM (SELECT origin FROM flights ORDER BY date, origin LIMIT 3) s`, none},
		{`SELECT origin FROM flights GROUP BY GROUPING SETS ((origin), (date))`, none},
		// Read twice.
		{`SELECT a.origin, b.delay FROM flights a JOIN flights b ON b.date = a.date`, none},
		{`SELECT origin FROM flights WHERE delay > (SELECT avg(delay) FROM flights)`, none},
		{`WITH a AS (SELECT origin, delay FROM flights) SELECT a.origin FROM a JOIN a AS b ON a.delay = b.delay`, none},
		{`SELECT origin FROM flights UNION ALL SELECT town FROM weather`, none},
		{`WITH RECURSIVE r AS (SELECT origin AS x FROM flights UNION SELECT x FROM r) SELECT x AS origin FROM r`, none},
		// An outer join adds rows where there is none.
		{`SELECT f.origin FROM weather w LEFT JOIN flights f ON w.station = f.origin`, none},
		{`SELECT f.origin FROM weather w FULL JOIN flights f ON w.station = f.origin`, none},
	} {
		v := viewOf(c.query)
		v.SourceVersions = append(v.SourceVersions, weather)
		v.SQL.Sources = append(v.SQL.Sources, "weather")
		err := inRolledBack(t, pool, func(tx pgx.Tx) error {
			found, err := Apart(t.Context(), tx, v)
			if err != nil {
				return err
			}
			var parts []string
			for relation, columns := range found {
				parts = append(parts, relation+"."+columns["origin"])
			}
			slices.Sort(parts)
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
