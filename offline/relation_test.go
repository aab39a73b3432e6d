package offline

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func ordersSource(databaseName, schema, table string) *feature.SourceVersion {
	return &feature.SourceVersion{Version: 1, Source: feature.Source{
		Name: "orders", Postgres: &feature.PostgresOrigin{Database: databaseName, Schema: schema, Table: table},
		Columns: []feature.Column{
			{Name: "at", Type: feature.TypeTimestamp}, {Name: "customer", Type: feature.TypeString}, {Name: "pieces", Type: feature.TypeInt64},
		},
		EventTime: "at",
	}}
}

const makeOrders = `
	CREATE SCHEMA shop;
	CREATE TYPE shop.size AS ENUM ('small', 'large');
	CREATE DOMAIN shop.code AS varchar(8) CHECK (value <> '');
	CREATE DOMAIN shop.short_code AS shop.code;
	CREATE TABLE shop.orders (at timestamptz NOT NULL, customer varchar(20), pieces smallint);
	CREATE TABLE shop.coded (at timestamptz, customer shop.short_code, pieces int);
	CREATE TABLE shop.sized (at timestamptz, customer shop.size, pieces bigint);
	CREATE TABLE shop.more (at timestamptz, customer text, pieces int, price numeric, note text);
	CREATE TABLE shop.wrong (at timestamp, customer text[], pieces numeric);
	CREATE TABLE shop.parted (at timestamptz, customer text, pieces int) PARTITION BY RANGE (at);
	CREATE TABLE shop.part PARTITION OF shop.parted DEFAULT;
	CREATE SEQUENCE shop.counter;
	CREATE VIEW shop.seen AS SELECT * FROM shop.orders;
	CREATE MATERIALIZED VIEW shop.kept AS SELECT at, customer, pieces + (random() * 0)::int AS pieces FROM shop.orders;
	CREATE VIEW shop.rolling AS SELECT at, customer, (pieces + random())::int AS pieces FROM shop.orders;
	CREATE VIEW shop.over_rolling AS SELECT * FROM shop.rolling;
	CREATE VIEW shop.catalog AS SELECT now() AS at, relname::text AS customer, relnatts AS pieces FROM pg_class;
	CREATE FUNCTION shop.orders_of() RETURNS SETOF shop.orders LANGUAGE sql STABLE AS 'SELECT * FROM shop.orders';
	DO $$ BEGIN CREATE ROLE headwater_test_maker; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
	CREATE FUNCTION shop.ours(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1';
	CREATE FUNCTION shop.theirs(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1';
	ALTER FUNCTION shop.theirs(text) OWNER TO headwater_test_maker;
	CREATE VIEW shop.called AS SELECT at, shop.ours(customer) AS customer, pieces FROM shop.orders;
	CREATE VIEW shop.handed AS SELECT at, shop.theirs(customer) AS customer, pieces FROM shop.orders;
	CREATE MATERIALIZED VIEW shop.kept_handed AS SELECT * FROM shop.handed;
	CREATE FOREIGN DATA WRAPPER far; CREATE SERVER away FOREIGN DATA WRAPPER far;
	CREATE FOREIGN TABLE shop.abroad (at timestamptz, customer text, pieces int) SERVER away;
	CREATE VIEW shop.over_abroad AS SELECT * FROM shop.abroad;
	CREATE TABLE shop.half (at timestamptz, customer text, pieces int) PARTITION BY RANGE (at);
	CREATE FOREIGN TABLE shop.half_abroad PARTITION OF shop.half DEFAULT SERVER away;`

// makeTokensView is a view of Headwater's own tables.
const makeTokensView = `CREATE VIEW shop.tokens AS SELECT created_at AS at, principal AS customer, 1 AS pieces FROM headwater.token;
	CREATE MATERIALIZED VIEW shop.kept_tokens AS SELECT * FROM shop.tokens`

func checkOrders(t *testing.T, pool *pgxpool.Pool, d *Databases, src *feature.SourceVersion) string {
	t.Helper()
	err := inRolledBack(t, pool, func(tx pgx.Tx) error { return d.CheckSource(t.Context(), tx, src) })
	if err == nil {
		return ""
	}
	f := fault.As(err)
	if f == nil || f.Reason != fault.InvalidDefinition {
		t.Fatalf("found %v, expected an INVALID_DEFINITION fault", err)
	}
	lines := make([]string, len(f.Violations))
	for i, v := range f.Violations {
		lines[i] = v.Field + ": " + v.Description
	}
	return strings.Join(lines, "\n")
}

func TestTablesOfOthersAreLookedAt(t *testing.T) {
	pool := testenv.Postgres(t)
	if _, err := pool.Exec(t.Context(), makeOrders+makeTokensView); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]string{
		"orders": "", "coded": "", "sized": "", "parted": "", "seen": "", "kept": "", "called": "", "kept_handed": "",
		"handed": notTable("handed", "it calls shop.theirs(text), which headwater_test_maker may change and which runs with the rights of the "+
			"server's user (materialize the view, or read it as another user, by a name and a URL for this database)"),
		"more": "columns: found columns of shop.more that the source does not declare: price, note; declare them, or write schema_changes: " +
			"ignore_new_columns",
		"wrong": "columns[0].type: found column at of shop.wrong of type timestamp without time zone, expected one that is timestamp without loss " +
			"(timestamptz); declare another type, or name a view that casts it\n" +
			"columns[1].type: found column customer of shop.wrong of type text[], expected one that is string without loss (text, varchar, " +
			"bpchar, name, uuid, an enum); declare another type, or name a view that casts it\n" +
			"columns[2].type: found column pieces of shop.wrong of type numeric, expected one that is int64 without loss (int8, int4, int2); " +
			"declare another type, or name a view that casts it",
		"nothing": `postgres.table: found no table or view "shop"."nothing" in database ` + pool.Config().ConnConfig.Database +
			", expected one; create it, or correct postgres.schema and postgres.table",
		"counter": notTable("counter", "something else of that name"),
		"orders_of": `postgres.table: found no table or view "shop"."orders_of" in database ` + pool.Config().ConnConfig.Database +
			", expected one; create it, or correct postgres.schema and postgres.table",
		"rolling":      notTable("rolling", "it calls random(), which is volatile"),
		"over_rolling": notTable("over_rolling", "it calls random(), which is volatile"),
		"catalog":      notTable("catalog", "it reads pg_catalog.pg_class, which is Postgres's or Headwater's own"),
		"tokens":       notTable("tokens", "it reads headwater.token, which is Postgres's or Headwater's own"),
		"kept_tokens":  notTable("kept_tokens", "it reads headwater.token, which is Postgres's or Headwater's own"),
		"abroad":       notTable("abroad", "a foreign table, whose rows are read in another server's snapshot"),
		"over_abroad":  notTable("over_abroad", "it reads the foreign table shop.abroad, whose rows are read in another server's snapshot"),
		"half":         notTable("half", "it reads the foreign table shop.half_abroad, whose rows are read in another server's snapshot"),
	} {
		t.Run(table, func(t *testing.T) {
			if found := checkOrders(t, pool, nil, ordersSource("", "shop", table)); found != want {
				t.Errorf("found\n%s\nexpected\n%s", found, want)
			}
		})
	}
	src := ordersSource("", "shop", "more")
	src.IgnoreNewColumns = true
	if found := checkOrders(t, pool, nil, src); found != "" {
		t.Errorf("ignore_new_columns: found %s", found)
	}
	src.Columns = append(slices.Clone(src.Columns), feature.Column{Name: "size", Type: feature.TypeString})
	const missing = "columns[3].name: found no column size in shop.more, expected one of type string; it has at, customer, pieces, price, note"
	if found := checkOrders(t, pool, nil, src); found != missing {
		t.Errorf("found %s\nexpected %s", found, missing)
	}
}

func notTable(name, what string) string {
	return "postgres.table: found shop." + name + ": " + what + ", expected a table, view or materialized view over tables of the same database"
}

// A temporary table is in a schema of a session's own.
func TestTemporaryTablesAreRefused(t *testing.T) {
	pool := testenv.Postgres(t)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	var schema string
	if _, err := tx.Exec(t.Context(), `CREATE TEMP TABLE sold (at timestamptz, customer text, pieces int)`); err != nil {
		t.Fatal(err)
	}
	if err := tx.QueryRow(t.Context(), `SELECT pg_my_temp_schema()::regnamespace::text`).Scan(&schema); err != nil {
		t.Fatal(err)
	}
	err = (*Databases)(nil).CheckSource(t.Context(), tx, ordersSource("", schema, "sold"))
	if err == nil || !strings.Contains(err.Error(), "a temporary table, which is gone when its session ends") {
		t.Errorf("found %v", err)
	}
}

func TestOtherDatabases(t *testing.T) {
	pool, url := testenv.Postgres(t), testenv.EmptyPostgresURL(t)
	other, err := database.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Exec(t.Context(), makeOrders); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), `
		DO $$ BEGIN CREATE ROLE headwater_test_clerk LOGIN PASSWORD 'hush'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
		GRANT USAGE ON SCHEMA shop TO headwater_test_clerk; GRANT SELECT (at, pieces) ON shop.orders TO headwater_test_clerk; GRANT SELECT ON shop.seen TO headwater_test_clerk;
		CREATE SCHEMA locked; CREATE TABLE locked.orders (LIKE shop.orders)`); err != nil {
		t.Fatal(err)
	}
	clerk := other.Config().ConnConfig.Copy()
	clerk.User, clerk.Password = "headwater_test_clerk", "hush"
	gone := clerk.Copy()
	gone.Database = "there_is_none"
	d, err := NewDatabases(map[string]string{"warehouse": url})
	if err != nil {
		t.Fatal(err)
	}
	d.configs["clerks"], d.configs["gone"] = clerk, gone
	for _, c := range []struct{ database, schema, table, want string }{
		{"warehouse", "shop", "orders", ""},
		{"clerks", "shop", "seen", ""},
		{"warehouse", "shop", "handed", ""},
		{"clerks", "shop", "orders", `postgres.table: found clerks:shop.orders, of which the server's user may not read customer, expected that it ` +
			`may: GRANT SELECT ON "shop"."orders" TO "headwater_test_clerk"`},
		{"clerks", "locked", "orders", `postgres.schema: found schema locked of database clerks, which the server's user may not use, expected that ` +
			`it may: GRANT USAGE ON SCHEMA "locked" TO "headwater_test_clerk"`},
		{"warehouse", "shop", "abroad", "postgres.table: found warehouse:shop.abroad: a foreign table, whose rows are read in another server's " +
			"snapshot, expected a table, view or materialized view over tables of the same database"},
		{"warehouse", "shop", "nothing", `postgres.table: found no table or view "shop"."nothing" in database warehouse, expected one; create it, or ` +
			"correct postgres.schema and postgres.table"},
		{"depot", "shop", "orders", "postgres.database: found database depot, which the server's configuration does not name, expected one of " +
			"clerks, gone, warehouse; give the server its URL in HEADWATER_SOURCE_DEPOT_URL, or correct the name"},
	} {
		if found := checkOrders(t, pool, d, ordersSource(c.database, c.schema, c.table)); found != c.want {
			t.Errorf("%s %s.%s: found\n%s\nexpected\n%s", c.database, c.schema, c.table, found, c.want)
		}
	}
	err = inRolledBack(t, pool, func(tx pgx.Tx) error { return d.CheckSource(t.Context(), tx, ordersSource("gone", "shop", "orders")) })
	f := fault.As(err)
	if f == nil || f.Reason != fault.PostgresUnavailable ||
		!strings.HasPrefix(f.Message, "database gone (HEADWATER_SOURCE_GONE_URL): Postgres at ") ||
		!strings.Contains(f.Message, `has no database "there_is_none"`) || strings.Contains(f.Message, "hush") {
		t.Errorf("found %v", err)
	}
	_, err = NewDatabases(map[string]string{"warehouse": "postgres://clerk:hush@[bad/shop"})
	const unreadable = "database warehouse (HEADWATER_SOURCE_WAREHOUSE_URL): the Postgres connection URL cannot be read; expected one like " +
		"postgres://USER:PASSWORD@HOST:5432/DATABASE"
	if f := fault.As(err); f == nil || f.Reason != fault.InvalidArgument || f.Message != unreadable {
		t.Errorf("found %v", err)
	}
	if _, err := (*Databases)(nil).config("depot"); err == nil || err.Error() != "found database depot, which the server's configuration does not "+
		"name, expected one that it names, and it names none; give the server its URL in HEADWATER_SOURCE_DEPOT_URL, or correct the name" {
		t.Errorf("found %v", err)
	}
}
