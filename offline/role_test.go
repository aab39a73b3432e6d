package offline_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
)

// seenBy is a view of readings whose SQL is query.
func seenBy(query string, sources ...*feature.SourceVersion) *feature.ViewVersion {
	v := &feature.ViewVersion{
		ID: 1, Version: 1, SourceVersions: sources,
		EntityVersion: &feature.EntityVersion{Version: 1, Entity: feature.Entity{
			Name: "thing", JoinKeys: []feature.Column{{Name: "name", Type: feature.TypeString}},
		}},
		View: feature.View{Name: "seen", Entity: "thing", SQL: &feature.SQLTransform{Query: query}},
	}
	for _, src := range sources {
		v.SQL.Sources = append(v.SQL.Sources, src.Name)
	}
	return v
}

// output runs a view's SQL as a run does, without the check that stands before it when it is applied.
func output(t *testing.T, pool *pgxpool.Pool, v *feature.ViewVersion, bounds offline.Bounds) (rows int, err error) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	transform, err := offline.BeginTransform(ctx, conn, offline.Scope{View: v, Bounds: bounds})
	if err != nil {
		return 0, err
	}
	defer func() { _ = transform.Close(ctx) }()
	if err := transform.Read(ctx); err != nil {
		return 0, err
	}
	err = transform.Rows(ctx, transform.Plan.Owned[0], func(*feature.Row) error { rows++; return nil })
	return rows, err
}

// A query that got past every check reads its declared sources and nothing else.
func TestTheRoleOfViewsReadsNothingElse(t *testing.T) {
	src := readings()
	pool := createSource(t, src)
	other := readings()
	other.Name = "secrets"
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return offline.CreateSource(t.Context(), tx, nil, other) })
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*feature.SourceVersion{src, other} {
		if _, err := offline.AppendLoad(t.Context(), pool, request(s, "file", 0), oneRow); err != nil {
			t.Fatal(err)
		}
	}
	const here = "SELECT name, event_time, available_at FROM readings"
	if rows, err := output(t, pool, seenBy(here+" -- its end", src), offline.Bounds{}); err != nil || rows != 1 {
		t.Fatalf("found %d rows, %v, expected the one that is there", rows, err)
	}
	for attack, want := range map[string]string{
		here + ` WHERE EXISTS (SELECT FROM headwater.token)`:                                      "permission denied for schema headwater",
		here + ` WHERE (SELECT count(*) FROM headwater_landing.secrets) > 0`:                      "permission denied for schema headwater_landing",
		`SELECT name, at AS event_time, at AS available_at FROM headwater_landing.readings`:       "permission denied for schema headwater_landing",
		here + ` WHERE EXISTS (SELECT FROM headwater_jobs.river_job)`:                             "permission denied for schema headwater_jobs",
		here + ` WHERE EXISTS (SELECT FROM pg_authid)`:                                            "permission denied for table pg_authid",
		here + ` WHERE EXISTS (SELECT FROM pg_shadow)`:                                            "permission denied for view pg_shadow",
		here + ` WHERE pg_read_file('PG_VERSION') <> ''`:                                          "permission denied for function pg_read_file",
		here + ` WHERE EXISTS (SELECT FROM pg_ls_dir('.'))`:                                       "permission denied for function pg_ls_dir",
		here + ` WHERE query_to_xml('SELECT * FROM headwater.token', true, true, '') IS NOT NULL`: "permission denied for schema headwater",
		here + ` WHERE lo_get(1) IS NOT NULL OR pg_reload_conf()`:                                 "permission denied for function pg_reload_conf",
	} {
		rows, err := output(t, pool, seenBy(attack, src), offline.Bounds{})
		text := "view seen@1: its SQL runs as the role headwater_view, which may read its declared sources and views and nothing else: " + want
		if fault.ReasonOf(err) != fault.RunRefused || err.Error() != text {
			t.Errorf("%s\nfound:    %d rows, %v\nexpected: %s", attack, rows, err, text)
		}
	}
	// What it cannot read it cannot write either.
	rows, err := output(t, pool, seenBy(`WITH w AS (DELETE FROM readings RETURNING *) `+here, src), offline.Bounds{})
	if err == nil {
		t.Errorf("found %d rows of a query that deletes", rows)
	}
}

func TestBoundsOfViews(t *testing.T) {
	src := readings()
	pool := createSource(t, src)
	if _, err := offline.AppendLoad(t.Context(), pool, request(src, "file", 0), oneRow); err != nil {
		t.Fatal(err)
	}
	slow := seenBy(`SELECT name, event_time, available_at FROM readings WHERE pg_sleep(20) IS NULL`, src)
	began := time.Now()
	_, err := output(t, pool, slow, offline.Bounds{Timeout: 50 * time.Millisecond})
	want := "view seen@1: its SQL ran for longer than 50ms, which is all that a view may take on this server; run shorter intervals " +
		"(--from, --to), or raise HEADWATER_VIEW_TIMEOUT where the server runs"
	if fault.ReasonOf(err) != fault.RunRefused || err.Error() != want || time.Since(began) > 10*time.Second {
		t.Errorf("found %v after %s\nexpected %s", err, time.Since(began), want)
	}

	sorted := seenBy(`SELECT name, event_time, available_at FROM readings, (SELECT count(*) AS n FROM (
		SELECT g FROM generate_series(1, 200000) g ORDER BY g::text, g OFFSET 1) big) c`, src)
	if rows, err := output(t, pool, sorted, offline.Bounds{WorkMemory: 64 << 10}); err != nil || rows != 1 {
		t.Errorf("found %d rows, %v, expected one", rows, err)
	}
	_, err = output(t, pool, sorted, offline.Bounds{WorkMemory: 64 << 10, TempFiles: 1 << 20})
	want = "view seen@1: its SQL needs more room for temporary files than it may take: temporary file size exceeds " +
		"temp_file_limit (1024kB); run shorter intervals (--from, --to), or raise HEADWATER_VIEW_TEMP_FILES where the server runs, " +
		"or temp_file_limit of its Postgres"
	if fault.ReasonOf(err) != fault.RunRefused || err.Error() != want {
		t.Errorf("found    %v\nexpected %s", err, want)
	}
	// Memory enough, and nothing goes to disk: so the bound of memory is what the other case met.
	if rows, err := output(t, pool, sorted, offline.Bounds{TempFiles: 1 << 20}); err != nil || rows != 1 {
		t.Errorf("found %d rows, %v, expected one", rows, err)
	}
	settings := seenBy(`SELECT name, event_time, available_at FROM readings WHERE current_setting('work_mem') = '64MB'
		AND current_setting('hash_mem_multiplier') = '1' AND current_setting('statement_timeout') = '1h'
		AND current_user = 'headwater_view'`, src)
	if rows, err := output(t, pool, settings, offline.Bounds{}); err != nil || rows != 1 {
		t.Errorf("found %d rows, %v, expected the defaults", rows, err)
	}
}

func TestBoundsThatCannotBe(t *testing.T) {
	good := offline.Bounds{Timeout: time.Hour, WorkMemory: 1 << 20}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		bounds offline.Bounds
		want   string
	}{
		{offline.Bounds{Timeout: 0, WorkMemory: 1 << 20}, "the timeout of views' SQL: found 0s, expected from 1ms to 576h0m0s"},
		{offline.Bounds{Timeout: 600 * time.Hour, WorkMemory: 1 << 20}, "the timeout of views' SQL: found 600h0m0s, expected from 1ms to 576h0m0s"},
		{offline.Bounds{Timeout: time.Hour, WorkMemory: 1}, "the work memory of views' SQL: found 1 bytes, expected from 64kB to 2047GB"},
		{offline.Bounds{Timeout: time.Hour, WorkMemory: 1 << 20, TempFiles: 5},
			"the temporary files of views' SQL: found 5 bytes, expected from 1kB to 2047GB, or none"},
	} {
		if err := c.bounds.Check(); err == nil || err.Error() != c.want {
			t.Errorf("found    %v\nexpected %s", err, c.want)
		}
	}
}

// Who may not set the limit of temporary files is told of it, and by whom it can be changed.
func TestBoundsThatTheUserMayNotSet(t *testing.T) {
	pool := createSource(t, readings())
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	for _, statement := range []string{"CREATE ROLE a_server", "SET LOCAL ROLE a_server"} {
		if _, err := tx.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := offline.CheckBounds(t.Context(), tx, offline.Bounds{}); err != nil {
		t.Error(err)
	}
	err = offline.CheckBounds(t.Context(), tx, offline.Bounds{TempFiles: 1 << 30})
	want := `a limit of temporary files is given for the SQL of views, which user "a_server" of the connection URL may not set; let an ` +
		`administrator of this Postgres run: GRANT SET ON PARAMETER temp_file_limit TO "a_server"`
	if fault.ReasonOf(err) != fault.FailedPrecondition || err.Error() != want {
		t.Errorf("found    %v\nexpected %s", err, want)
	}
	if _, err := tx.Exec(t.Context(), "RESET ROLE; GRANT SET ON PARAMETER temp_file_limit TO a_server; SET LOCAL ROLE a_server"); err != nil {
		t.Fatal(err)
	}
	if err := offline.CheckBounds(t.Context(), tx, offline.Bounds{TempFiles: 1 << 30}); err != nil {
		t.Error(err)
	}
}

// A function that the role may not call is found when the view is applied.
func TestCheckViewAsTheRole(t *testing.T) {
	src := readings()
	pool := createSource(t, src)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	v := seenBy(`SELECT upper(name) AS name, event_time, available_at FROM readings`, src)
	if _, err := offline.CheckView(t.Context(), tx, v); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "REVOKE EXECUTE ON FUNCTION pg_catalog.upper(text) FROM PUBLIC"); err != nil {
		t.Fatal(err)
	}
	_, err = offline.CheckView(t.Context(), tx, v)
	want := "view seen: found that permission denied for function upper for the role headwater_view, as which it runs; read declared sources " +
		"and views only, or have the right granted to PUBLIC"
	if fault.ReasonOf(err) != fault.InvalidSQL || err.Error() != want {
		t.Errorf("found    %v\nexpected %s", err, want)
	}
	if _, err := offline.CheckView(t.Context(), tx, seenBy(`SELECT name, event_time, available_at FROM readings WHERE 1 / 0 = 1`, src)); err != nil {
		t.Errorf("found %v, expected that to be for a run to tell", err)
	}
}

// A function that is another one by now is not run under the fingerprint of what it was.
func TestRunOfChangedFunctions(t *testing.T) {
	src := readings()
	pool := createSource(t, src)
	if _, err := offline.AppendLoad(t.Context(), pool, request(src, "file", 0), oneRow); err != nil {
		t.Fatal(err)
	}
	execute := func(statement string) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	execute(`CREATE FUNCTION public.cut(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT left(x, 9)';
		CREATE FUNCTION public.loud(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(public.cut(x))';
		CREATE AGGREGATE public.longest(text) (sfunc = pg_catalog.text_larger, stype = text)`)
	v := seenBy(`SELECT public.longest(public.loud(name)) AS name, max(event_time) AS event_time, max(available_at) AS available_at FROM readings GROUP BY name`, src)
	for _, f := range []string{"public.loud(text)", "public.cut(text)", "public.longest(text)"} {
		v.SQL.Functions = append(v.SQL.Functions, feature.FunctionAllowance{Function: f, Reason: "it is pure"})
	}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v.Analysis, err = offline.CheckView(t.Context(), tx, v)
	if err := errors.Join(err, tx.Rollback(t.Context())); err != nil {
		t.Fatal(err)
	}
	if rows, err := output(t, pool, v, offline.Bounds{}); err != nil || rows != 1 {
		t.Fatalf("found %d rows, %v, expected one", rows, err)
	}
	execute(`CREATE OR REPLACE FUNCTION public.cut(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT left(x, 1)';
		DROP AGGREGATE public.longest(text)`)
	_, err = output(t, pool, v, offline.Bounds{})
	want := "view seen@1: found another definition of public.cut(text), public.longest(text) than when it was applied, expected the one that is part " +
		"of its fingerprint; apply its definition again, which makes a new version, or restore the function"
	if fault.ReasonOf(err) != fault.RunRefused || err.Error() != want {
		t.Errorf("found    %v\nexpected %s", err, want)
	}
}
