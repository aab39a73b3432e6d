package offline_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
)

// readSpine is the columns and rows of a spine as text, a line each.
func readSpine(t *testing.T, pool *pgxpool.Pool, scope offline.SpineScope) (string, *offline.Spine, error) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	spine, err := offline.OpenSpine(ctx, conn, scope)
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err := spine.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	var lines []string
	for _, c := range spine.Columns {
		lines = append(lines, c.Name+" "+c.Type.String())
	}
	lines = []string{strings.Join(lines, ", ")}
	if err := spine.Read(ctx); err != nil {
		return "", nil, err
	}
	err = spine.Rows(ctx, func(values []feature.Value) error {
		var line []string
		for _, v := range values {
			if v.IsNull() {
				line = append(line, "NULL")
				continue
			}
			line = append(line, v.Text())
		}
		lines = append(lines, strings.Join(line, " "))
		return nil
	})
	if err != nil {
		return "", nil, err
	}
	return strings.Join(lines, "\n"), spine, nil
}

// orders is a source with a key, of which the newest row counts, and rows that withdraw others.
func orders() *feature.SourceVersion {
	return &feature.SourceVersion{Version: 1, Source: feature.Source{
		Name: "orders", EventTime: "placed", ArrivalColumn: "seen", AllowedLateness: 24 * time.Hour, UniqueKey: []string{"number"}, DeleteMarker: "gone",
		Exact: feature.DropExact, Conflicting: feature.KeepNewest,
		Columns: []feature.Column{
			{Name: "placed", Type: feature.TypeTimestamp}, {Name: "seen", Type: feature.TypeTimestamp}, {Name: "number", Type: feature.TypeInt64},
			{Name: "price", Type: feature.DecimalType(8, 2)}, {Name: "gone", Type: feature.TypeBool},
		},
	}}
}

// order is a row of orders, placed some hours after the first instant and seen later.
func order(placed, seen float64, number int64, price string, gone bool) []feature.Value {
	p, err := feature.ParseDecimal(feature.DecimalType(8, 2), price)
	if err != nil {
		panic(err)
	}
	return []feature.Value{hour(placed), hour(seen), feature.Int64(number), p, feature.Bool(gone)}
}

func hour(n float64) feature.Value {
	return feature.Timestamp(feature.TimeOf(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)).Add(time.Duration(n * float64(time.Hour))))
}

func appendRows(t *testing.T, pool *pgxpool.Pool, src *feature.SourceVersion, replaces int64, rows ...[]feature.Value) *offline.Load {
	t.Helper()
	l, err := offline.AppendLoad(t.Context(), pool, request(src, fmt.Sprint(rows), replaces), func(yield func([]feature.Value, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// newOrders has orders with duplicates, a row that is late, one that withdraws another, and a load that was replaced.
func newOrders(t *testing.T) (*pgxpool.Pool, *feature.SourceVersion) {
	t.Helper()
	src := orders()
	pool := createSource(t, src)
	appendRows(t, pool, src, 0, order(3, 3, 30, "3.00", false), order(1, 1, 12, "1.20", false), order(1, 1, 11, "1.10", false), order(2, 2, 20, "2.00", false))
	wrong := appendRows(t, pool, src, 0, order(4, 4, 40, "999.00", false))
	appendRows(t, pool, src, wrong.ID, order(4, 4, 41, "4.10", false), order(4, 40, 42, "4.20", false))
	appendRows(t, pool, src, 0, order(5, 5, 20, "5.00", false), order(2.5, 6, 30, "0.00", true), order(1, 1, 11, "1.10", false))
	return pool, src
}

func TestSpineOfEvents(t *testing.T) {
	pool, src := newOrders(t)
	one := []*feature.SourceVersion{src}
	found, spine, err := readSpine(t, pool, offline.SpineScope{Sources: one})
	want := "placed timestamp, seen timestamp, number int64, price decimal(8, 2), gone bool\n" +
		"2001-01-01T01:00:00Z 2001-01-01T01:00:00Z 11 1.10 false\n" +
		"2001-01-01T01:00:00Z 2001-01-01T01:00:00Z 12 1.20 false\n" +
		"2001-01-01T04:00:00Z 2001-01-01T04:00:00Z 41 4.10 false\n" +
		"2001-01-01T05:00:00Z 2001-01-01T05:00:00Z 20 5.00 false"
	if err != nil || found != want {
		t.Fatalf("found\n%s\n%v\nexpected\n%s", found, err, want)
	}
	if in := spine.Inputs(); len(in) != 1 || in[0].LoadNumber != 4 {
		t.Errorf("found inputs %+v", in)
	}
	from, to := hour(1).Timestamp()+1, hour(5).Timestamp()
	found, _, err = readSpine(t, pool, offline.SpineScope{Sources: one, From: &from, To: &to, Columns: []string{"number"}})
	if want := "placed timestamp, number int64\n2001-01-01T04:00:00Z 41"; err != nil || found != want {
		t.Errorf("found\n%s\n%v\nexpected\n%s", found, err, want)
	}
	from, to = hour(1).Timestamp(), hour(5).Timestamp()+1
	found, _, err = readSpine(t, pool, offline.SpineScope{Sources: one, From: &from, To: &to, Columns: []string{"number", "placed"}})
	if want := "number int64, placed timestamp\n11 2001-01-01T01:00:00Z\n12 2001-01-01T01:00:00Z\n41 2001-01-01T04:00:00Z\n20 2001-01-01T05:00:00Z"; err != nil || found != want {
		t.Errorf("found\n%s\n%v\nexpected\n%s", found, err, want)
	}
	// There is nothing in a time of no rows.
	from, to = hour(50).Timestamp(), hour(60).Timestamp()
	if found, _, err = readSpine(t, pool, offline.SpineScope{Sources: one, From: &from, To: &to, Columns: []string{"placed"}}); err != nil || found != "placed timestamp" {
		t.Errorf("found\n%s\n%v", found, err)
	}
	for want, columns := range map[string][]string{
		"spine: source orders has no column nmber; it has placed, seen, number, price, gone": {"nmber"},
		"spine: found column number of source orders a second time, expected each once":      {"number", "number"},
	} {
		if _, _, err := readSpine(t, pool, offline.SpineScope{Sources: one, Columns: columns}); fault.ReasonOf(err) != fault.InvalidSpine || err.Error() != want {
			t.Errorf("found %v\nexpected %s", err, want)
		}
	}
	empty := readings()
	if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return offline.CreateSource(t.Context(), tx, nil, empty) }); err != nil {
		t.Fatal(err)
	}
	_, _, err = readSpine(t, pool, offline.SpineScope{Sources: []*feature.SourceVersion{empty}})
	if want := "spine reads source readings, which has no rows yet; send some: headwater ingest readings FILE"; fault.ReasonOf(err) != fault.FailedPrecondition || err.Error() != want {
		t.Errorf("found %v\nexpected %s", err, want)
	}
	// Without a key rows stand in the order in which they came.
	appendRows(t, pool, empty, 0, row("b"), row("a"))
	appendRows(t, pool, empty, 0, row("0"), row("b"))
	found, _, err = readSpine(t, pool, offline.SpineScope{Sources: []*feature.SourceVersion{empty}, Columns: []string{"name", "at"}})
	if got := strings.ReplaceAll(found, " "+row("")[0].Text(), ""); err != nil || got != "name string, at timestamp\nb\na\n0\nb" {
		t.Errorf("found\n%s\n%v", got, err)
	}
	// Contradictions that the source refuses are refused here too.
	strict := *src
	strict.Conflicting = feature.FailConflicting
	_, _, err = readSpine(t, pool, offline.SpineScope{Sources: []*feature.SourceVersion{&strict}})
	if fault.ReasonOf(err) != fault.FailedPrecondition || !strings.HasPrefix(err.Error(), "spine: source orders: found 2 keys with rows that differ, expected one row for each number: ") {
		t.Errorf("found %v", err)
	}
}

// What became known with a load is known to a spine, whenever its rows are.
func TestSpineOfCorrectionsThatArrive(t *testing.T) {
	src := readings()
	src.Corrections = feature.Arrive
	pool := createSource(t, src)
	wrong := appendRows(t, pool, src, 0, row("wrong"))
	appendRows(t, pool, src, 0, row("kept"))
	appendRows(t, pool, src, wrong.ID, row("right"))
	one := []*feature.SourceVersion{src}
	for _, scope := range []offline.SpineScope{{Sources: one, Columns: []string{"name", "at"}}, {Sources: one, SQL: "SELECT name, at FROM readings ORDER BY name"}} {
		found, _, err := readSpine(t, pool, scope)
		if got := strings.ReplaceAll(found, " "+row("")[0].Text(), ""); err != nil || got != "name string, at timestamp\nkept\nright" {
			t.Errorf("%q: found\n%s\n%v", scope.SQL, got, err)
		}
	}
}

func TestSpineOfAQuery(t *testing.T) {
	pool, src := newOrders(t)
	one := []*feature.SourceVersion{src}
	for query, want := range map[string]string{
		// As a view's SQL sees it.
		"SELECT number, event_time AS timestamp, available_at FROM orders ORDER BY number DESC": "number int64, timestamp timestamp, available_at timestamp\n" +
			"41 2001-01-01T04:00:00Z 2001-01-01T04:00:00Z\n20 2001-01-01T05:00:00Z 2001-01-01T05:00:00Z\n" +
			"12 2001-01-01T01:00:00Z 2001-01-01T01:00:00Z\n11 2001-01-01T01:00:00Z 2001-01-01T01:00:00Z",
		"SELECT number FROM orders ORDER BY price DESC, number LIMIT 2 OFFSET 1; -- an end": "number int64\n41\n12",
		"SELECT sum(price)::numeric(12, 2) AS total, count(*)::int4 AS n, max(placed) AS at FROM orders": "total decimal(12, 2), n int64, at timestamp\n" +
			"11.40 4 2001-01-01T05:00:00Z",
		"WITH few AS (SELECT number AS n FROM orders WHERE price < 2) SELECT DISTINCT n, 'x' AS label, NULL AS nothing FROM few ORDER BY n": "n int64, label string, " +
			"nothing string\n11 x NULL\n12 x NULL",
		`SELECT number AS "a ""b""", price, price > 2 AS dear, '\x00ff'::bytea AS b, 1.5::float4 AS f, ARRAY[number] AS l, number::int2 AS s FROM orders WHERE number = 11`: `a "b" int64, ` +
			"price decimal(8, 2), dear bool, b bytes, f float64, l list(int64), s int64\n11 1.10 false AP8= 1.5 [11] 11",
		// What is refused below passes with the cast that is told.
		"SELECT (placed::date)::timestamptz AS day, (placed AT TIME ZONE 'UTC')::timestamptz AS there, (ARRAY[placed::date])::timestamptz[] AS days, sum(price)::numeric(18, 4) AS n " +
			"FROM orders WHERE number = 20 GROUP BY placed": "day timestamp, there timestamp, days list(timestamp), n decimal(18, 4)\n" +
			"2001-01-01T00:00:00Z 2001-01-01T05:00:00Z [\"2001-01-01T00:00:00Z\"] 5.0000",
		"VALUES (1::bigint, 'a'), (2, 'b') ORDER BY 1":                                                  "column1 int64, column2 string\n1 a\n2 b",
		"SELECT number FROM orders WHERE placed >= '2001-01-01 04:00:00Z'::timestamptz ORDER BY number": "number int64\n20\n41",
		"SELECT a.number, (SELECT count(*) FROM orders b WHERE b.placed < a.placed) AS earlier FROM orders a ORDER BY 1": "number int64, earlier int64\n" +
			"11 0\n12 0\n20 3\n41 2",
	} {
		found, _, err := readSpine(t, pool, offline.SpineScope{Sources: one, SQL: query})
		if err != nil || found != want {
			t.Errorf("%s\nfound:    %s\n%v\nexpected: %s", query, found, err, want)
		}
	}
	// What the reader needs decides where the type of a column leaves it open.
	found, _, err := readSpine(t, pool, offline.SpineScope{
		Sources: one, SQL: "SELECT sum(price) AS total, ARRAY[1, 2]::float4[] AS v, max(number) AS d FROM orders",
		Wanted: map[string]feature.Type{"total": feature.DecimalType(20, 3), "v": feature.VectorType(2), "d": feature.DecimalType(5, 1), "other": feature.TypeBool},
	})
	if want := "total decimal(20, 3), v vector(2), d decimal(5, 1)\n11.400 [1,2] 41.0"; err != nil || found != want {
		t.Errorf("found\n%s\n%v\nexpected\n%s", found, err, want)
	}
	for query, want := range map[string]string{
		"SELECT sum(price) AS total, placed::date AS day, placed AT TIME ZONE 'UTC' AS there, gone FROM orders GROUP BY 2, 3, 4": "spine: found output column total of type numeric, " +
			"which is no type of columns; write (…)::numeric(18, 4) AS total\n" +
			"  header.query.sql: found output column day of type date, which is no type of columns; write (…)::timestamptz AS day\n" +
			"  header.query.sql: found output column there of type timestamp without time zone, which is no type of columns; write (…)::timestamptz AS there",
		"SELECT number::text::uuid AS id, ARRAY[placed::date] AS days FROM orders": "spine: found output column id of type uuid, which is no type of columns; write (…)::text AS id\n" +
			"  header.query.sql: found output column days of type date[], which is no type of columns; write (…)::timestamptz[] AS days",
		"SELECT number + 1 FROM orders":              "spine: found an output column without a name, expected each to have one; name it: … AS NAME",
		"SELECT number, price AS number FROM orders": `spine: column "number" specified more than once, expected each name once; name it: … AS NAME`,
		"SELECT number FROM orders WHERE placed < {{interval.end}}": "spine: line 1, column 42 of its SQL: found the placeholder {{interval.end}}, expected none: a spine " +
			"is of no run's interval; write the times that are meant",
		"SELECT numbr FROM orders": `spine: line 1, column 8 of its SQL: column "numbr" does not exist. Perhaps you meant to reference the column "orders.number".`,
		"SELECT number FROM orders ORDER BY placed LIMIT 1": "spine: line 1, column 43 of its SQL: found LIMIT of rows in an order that leaves ties, expected an order that " +
			"tells all rows apart; add the columns of a unique key to the ORDER BY (orders: number), or write FETCH FIRST … ROWS WITH TIES (rule limit-order)",
	} {
		_, _, err := readSpine(t, pool, offline.SpineScope{Sources: one, SQL: query})
		if fault.ReasonOf(err) != fault.InvalidSQL || err.Error() != want {
			t.Errorf("%s\nfound:    %v\nexpected: %s", query, err, want)
		}
	}
	for query, want := range map[string]string{
		"SELECT number / (number - 11) AS n FROM orders":   "spine: its SQL failed on the rows that it reads: division by zero; let it cope with such rows (NULLIF, CASE, WHERE)",
		"SELECT 'NaN'::numeric(4, 2) AS n FROM orders":     "spine: row 1: column n: found NaN, expected a number: a decimal(4, 2) has no other; leave it out, or make it NULL",
		"SELECT 'infinity'::timestamptz AS at FROM orders": "spine: row 1: column at: found an infinite timestamp, or one that is not within the years 4001 BC to 293999, expected an instant",
		"SELECT repeat('x', 17000000) AS long FROM orders": "spine: row 1: found 17000000 bytes of text, bytes and lists, expected at most 16711680; cut it down",
	} {
		_, _, err := readSpine(t, pool, offline.SpineScope{Sources: one, SQL: query})
		if fault.ReasonOf(err) != fault.InvalidSpine || err.Error() != want {
			t.Errorf("%s\nfound:    %v\nexpected: %s", query, err, want)
		}
	}
}

// A spine's SQL is text of whoever may read the sources: it reads them and nothing else, and does nothing.
func TestSpinesReadNothingElse(t *testing.T) {
	pool, src := newOrders(t)
	other := readings()
	if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return offline.CreateSource(t.Context(), tx, nil, other) }); err != nil {
		t.Fatal(err)
	}
	appendRows(t, pool, other, 0, row("secret"))
	if _, err := pool.Exec(t.Context(), `CREATE TABLE public.open (a int); GRANT SELECT ON public.open TO PUBLIC;
		CREATE FUNCTION public.peek() RETURNS text LANGUAGE sql SECURITY DEFINER IMMUTABLE AS 'SELECT name FROM headwater_landing.readings'`); err != nil {
		t.Fatal(err)
	}
	const here = "SELECT number FROM orders"
	for attack, want := range map[string]string{
		// Other tables.
		"SELECT name FROM readings":                                             `relation "readings" does not exist; name it among the sources of the spine`,
		"SELECT name FROM headwater_landing.readings":                           "found a read of headwater_landing.readings",
		"SELECT id FROM headwater.token":                                        "found a read of headwater.token",
		"SELECT number FROM headwater_landing.orders":                           "found a read of headwater_landing.orders",
		"SELECT a FROM public.open":                                             "found a read of public.open, expected only the sources of the spine (orders); declare it as a source and name it among the sources of the spine",
		`SELECT number FROM pg_temp."_orders"`:                                  "found a read of pg_temp",
		here + " WHERE EXISTS (SELECT FROM headwater.audit)":                    "headwater.audit",
		"TABLE headwater.token":                                                 "found a read of headwater.token",
		"SELECT state::text FROM headwater_jobs.river_job":                      "found a read of headwater_jobs.river_job",
		"SELECT relname::text AS n FROM pg_class":                               "found a read of pg_catalog.pg_class",
		"SELECT rolname::text AS n FROM pg_catalog.pg_roles":                    "found a read of pg_catalog.pg_roles",
		"SELECT table_name::text AS n FROM information_schema.tables":           "found a read of information_schema.tables",
		"SELECT query FROM pg_stat_activity":                                    "found a read of pg_catalog.pg_stat_activity",
		here + " WHERE 'headwater.token'::regclass IS NOT NULL":                 "regclass",
		"WITH orders AS (SELECT id FROM headwater.token) SELECT id FROM orders": "found a read of headwater.token",
		// Functions.
		here + " WHERE pg_read_file('PG_VERSION') <> ''":                     "pg_read_file",
		"SELECT f FROM pg_ls_dir('.') f":                                     "pg_ls_dir",
		here + " WHERE lo_import('/etc/passwd') > 0":                         "lo_import",
		here + " WHERE query_to_xml('SELECT 1', true, true, '') IS NOT NULL": "query_to_xml",
		here + " WHERE set_config('role', 'none', true) = ''":                "set_config",
		here + " WHERE pg_sleep(1) IS NULL":                                  "pg_sleep",
		here + " WHERE pg_terminate_backend(1)":                              "pg_terminate_backend",
		here + " WHERE public.peek() <> ''":                                  "peek",
		here + " WHERE txid_current() > 0":                                   "txid_current",
		"SELECT currval('headwater.load_id_seq') AS n FROM orders":           "currval",
		"SELECT inet_server_addr()::text AS a FROM orders":                   "inet_server_addr",
		here + " WHERE current_setting('data_directory') <> ''":              "current_setting",
		"SELECT number, random() AS r FROM orders":                           "random",
		"SELECT number, now() AS at FROM orders":                             "now",
		"SELECT number, CURRENT_DATE::text AS at FROM orders":                "CURRENT_DATE",
		"SELECT number, 'now'::timestamptz AS at FROM orders":                "'now'",
		"SELECT number, clock_timestamp() AS at FROM orders":                 "clock_timestamp",
		"SELECT gen_random_uuid()::text AS u FROM orders":                    "gen_random_uuid",
		"SELECT current_user::text AS u FROM orders":                         "CURRENT_USER",
		here + " TABLESAMPLE SYSTEM (50)":                                    "TABLESAMPLE",
		here + " FOR UPDATE":                                                 "FOR UPDATE",
		// Statements.
		here + "; SELECT 1":                                     "found a second statement after the semicolon",
		here + "; DROP TABLE headwater.token":                   "found a second statement after the semicolon",
		here + ") TO STDOUT; DROP TABLE headwater.token; --":    "found `)` that closes nothing",
		here + ") x; COMMIT; --":                                "found `)` that closes nothing",
		here + " /* not closed":                                 "comment",
		"WITH w AS (DELETE FROM orders RETURNING *) " + here:    "found a part of the WITH that changes rows",
		"WITH w AS (INSERT INTO orders VALUES (now())) " + here: "found a part of the WITH that changes rows",
		"WITH w AS (UPDATE orders SET number = 1) " + here:      "found a part of the WITH that changes rows",
		"DELETE FROM orders":                                    "found DELETE",
		"INSERT INTO orders VALUES (now())":                     "found INSERT",
		"SELECT number INTO stolen FROM orders":                 "found SELECT INTO",
		"SET ROLE postgres":                                     "found SET",
		"RESET ROLE":                                            "found RESET",
		"COPY orders TO '/tmp/x'":                               "found COPY",
		"COPY (SELECT 1) TO PROGRAM 'id'":                       "found COPY",
		"DO $$ BEGIN END $$":                                    "found DO",
		"EXPLAIN " + here:                                       "found EXPLAIN",
		"CREATE TABLE x (a int)":                                "found CREATE",
		"COMMIT":                                                "found COMMIT",
		"SELECT $1 AS a FROM orders":                            "found the parameter $1",
		"":                                                      "",
	} {
		if attack == "" {
			continue
		}
		found, _, err := readSpine(t, pool, offline.SpineScope{Sources: []*feature.SourceVersion{src}, SQL: attack})
		if fault.ReasonOf(err) != fault.InvalidSQL || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "spine: ") {
			t.Errorf("%s\nfound:    %s %v\nexpected: %s", attack, found, err, want)
		}
	}
	// A source that is not named is not there, and one that is named is.
	both := []*feature.SourceVersion{src, other}
	if found, _, err := readSpine(t, pool, offline.SpineScope{Sources: both, SQL: "SELECT name FROM readings"}); err != nil || found != "name string\nsecret" {
		t.Errorf("found %s, %v", found, err)
	}
}

func TestBoundsOfSpines(t *testing.T) {
	pool, src := newOrders(t)
	scope := offline.SpineScope{Sources: []*feature.SourceVersion{src}, Bounds: offline.Bounds{Timeout: 100 * time.Millisecond},
		SQL: "SELECT count(*) AS n FROM generate_series(1, 100000) a, generate_series(1, 100000) b, orders"}
	_, _, err := readSpine(t, pool, scope)
	want := "spine: its SQL ran for longer than 100ms, which is all that a view may take on this server; let it read less, such as a shorter time, or raise " +
		"HEADWATER_VIEW_TIMEOUT where the server runs"
	if fault.ReasonOf(err) != fault.FailedPrecondition || err.Error() != want {
		t.Errorf("found %v\nexpected %s", err, want)
	}
}

// An ORDER BY holds for the spine, whatever plan Postgres makes: with workers, too.
func TestSpinesKeepTheirOrder(t *testing.T) {
	src := readings()
	pool := createSource(t, src)
	const rows = 20_000
	var all [][]feature.Value
	for i := range rows {
		all = append(all, row(fmt.Sprintf("%05d", i*7919%rows)))
	}
	appendRows(t, pool, src, 0, all...)
	var name string
	if err := pool.QueryRow(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	for _, set := range []string{"parallel_setup_cost = 0", "parallel_tuple_cost = 0", "min_parallel_table_scan_size = 0", "max_parallel_workers_per_gather = 4"} {
		if _, err := pool.Exec(t.Context(), fmt.Sprintf(`ALTER DATABASE "%s" SET %s`, name, set)); err != nil {
			t.Fatal(err)
		}
	}
	one := []*feature.SourceVersion{src}
	for _, query := range []string{
		"SELECT name FROM readings ORDER BY name DESC",
		"SELECT name FROM readings GROUP BY name ORDER BY name DESC LIMIT 15000",
	} {
		found, _, err := readSpine(t, pool, offline.SpineScope{Sources: one, SQL: query})
		lines := strings.Split(found, "\n")
		if err != nil || len(lines) < 15_001 {
			t.Fatalf("%s: found %d rows, %v", query, len(lines)-1, err)
		}
		for i := 2; i < len(lines); i++ {
			if lines[i] >= lines[i-1] {
				t.Errorf("%s: found %s behind %s", query, lines[i], lines[i-1])
				break
			}
		}
	}
}
