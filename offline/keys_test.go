package offline_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// watchTables has Postgres tell of every table and index made in the schemas of history and staging. Spines and staging
// tables are gone when their transaction ends; a notice is not.
const watchTables = `
	CREATE FUNCTION tell() RETURNS event_trigger LANGUAGE plpgsql AS $$
	DECLARE said text;
	BEGIN
		FOR said IN
			SELECT DISTINCT format('table %I.%s starts with %I', n.nspname, c.relname, a.attname)
			FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'p')
				JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1
			WHERE n.nspname IN ('headwater_history', 'headwater_staging')
			UNION ALL
			SELECT DISTINCT format('key of %I.%s starts with %s', n.nspname, c.relname, coalesce(a.attname, 'an expression'))
			FROM pg_event_trigger_ddl_commands() d JOIN pg_index i ON d.objid IN (i.indrelid, i.indexrelid)
				JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
				LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
			WHERE (i.indisunique OR i.indisprimary) AND n.nspname IN ('headwater_history', 'headwater_staging')
		LOOP
			RAISE NOTICE '%', said;
		END LOOP;
	END $$;
	CREATE EVENT TRIGGER tell ON ddl_command_end EXECUTE FUNCTION tell()`

// What is joined by entity must be able to lie on one node by entity.
func TestEveryKeyBeginsWithEntityKey(t *testing.T) {
	ctx := context.Background()
	src := readings()
	pool := createSource(t, src)
	if _, err := pool.Exec(ctx, watchTables); err != nil {
		t.Fatal(err)
	}
	var notices []string
	config := pool.Config().ConnConfig.Copy()
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n.Message) }
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	reader, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(ctx)

	view := &feature.ViewVersion{
		ID: 1, Version: 1, SourceVersions: []*feature.SourceVersion{src},
		EntityVersion: &feature.EntityVersion{Version: 1, Entity: feature.Entity{
			Name: "thing", JoinKeys: []feature.Column{{Name: "name", Type: feature.TypeString}},
		}},
		View: feature.View{Name: "seen", Entity: "thing", SQL: &feature.SQLTransform{
			Sources: []string{src.Name}, Query: "SELECT name, event_time, available_at FROM readings",
		}},
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return offline.CreateHistory(ctx, tx, view) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := offline.AppendLoad(ctx, pool, request(src, "file", 0), oneRow); err != nil {
		t.Fatal(err)
	}
	transform, err := offline.BeginTransform(ctx, reader, offline.Scope{View: view})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = transform.Close(ctx) }()
	if err := transform.Read(ctx); err != nil {
		t.Fatal(err)
	}
	written, err := offline.Write(ctx, conn, transform, 1, func(context.Context, pgx.Tx) error { return nil })
	if err != nil || written.Inserted != 1 {
		t.Fatalf("found %+v, %v", written, err)
	}
	spine := spineOf([]question{{"a", firstInstant}})
	err = offline.PointInTime(ctx, conn, "asked", []offline.AsOf{{View: view, Seq: 1}}, spine, func(int64, []read.Winner) error { return nil })
	if err != nil {
		t.Fatal(err)
	}

	for _, notice := range notices {
		if !strings.HasSuffix(notice, "starts with entity_key") {
			t.Errorf("found: %s, expected entity_key", notice)
		}
	}
	for _, want := range []string{
		"table headwater_history.seen_v1", "key of headwater_history.seen_v1",
		"table headwater_staging.next_1_s1", "key of headwater_staging.next_1_s1", "table headwater_staging.asked",
	} {
		if !slices.Contains(notices, want+" starts with entity_key") {
			t.Errorf("found %q, expected to be told of %s", notices, want)
		}
	}
	var kept string
	err = pool.QueryRow(ctx, `SELECT coalesce(string_agg(tablename, ', '), '') FROM pg_tables WHERE schemaname = 'headwater_staging'`).Scan(&kept)
	if err != nil || kept != "" {
		t.Errorf("found the tables %s left in staging, %v", kept, fmt.Sprint(err))
	}
}
