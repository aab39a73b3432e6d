package materialize

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// The digest of time zone data is taken where the SQL may name a zone, and once for many runs.
func TestEngine(t *testing.T) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, testenv.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	e := &engines{version: "v1", chunkRows: 7}
	for sql, zones := range map[string]bool{
		"SELECT a FROM b": false, "SELECT date_trunc('day', a) FROM b": false, "SELECT a AT TIME ZONE x FROM b": true,
		"SELECT date_trunc('day', a, 'Europe/Berlin') FROM b": true, "SELECT timezone('UTC', a) FROM b": true,
	} {
		found, err := e.of(ctx, conn, &feature.ViewVersion{View: feature.View{SQL: &feature.SQLTransform{Query: sql}}})
		if err != nil {
			t.Fatal(err)
		}
		if (len(found.TimeZones) == 12) != zones || found.Headwater != "v1" || found.ChunkRows != 7 || found.Postgres == "" {
			t.Errorf("%s: found %+v, expected time zone data: %t", sql, found, zones)
		}
	}
	looked := e.lookedAt
	e.lookedAt = looked.Add(-2 * zonesKept)
	if _, err := e.of(ctx, conn, &feature.ViewVersion{View: feature.View{SQL: &feature.SQLTransform{Query: "zone"}}}); err != nil || time.Since(e.lookedAt) > zonesKept {
		t.Errorf("found %v, looked at %s, expected that the data is looked at again", err, e.lookedAt)
	}
}
