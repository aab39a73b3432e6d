package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// yardDefinitions are parcels that a landing source has keys for, and the depots that another database keeps.
const yardDefinitions = `entities:
  - name: depot
    join_keys:
      - {name: depot, type: string}
sources:
  - name: parcels
    columns:
      - {name: at, type: timestamp}
      - {name: parcel, type: int64}
      - {name: depot, type: string}
      - {name: weight, type: float64}
    event_time: at
    unique_key: [parcel]
    duplicates: {conflicting: newest}
    schema_changes: ignore_new_columns
    landing: {}
  - name: depots
    columns:
      - {name: opened, type: timestamp}
      - {name: depot, type: string}
      - {name: gates, type: int64}
    event_time: opened
    unique_key: [depot]
    schema_changes: ignore_new_columns
    freshness: 24h
    postgres: {database: yard, schema: yard, table: depots, snapshot: true}
feature_views:
  - name: weights
    entity: depot
    features:
      - {name: weight, type: float64}
    sql:
      sources: [parcels]
      query: SELECT depot, event_time, available_at, weight FROM parcels
  - name: gates
    entity: depot
    features:
      - {name: gates, type: int64}
    sql:
      sources: [depots]
      query: SELECT depot, event_time, available_at, gates FROM depots
`

func TestSourcesWithKeysAndOfOthers(t *testing.T) {
	t.Parallel()
	yard := testenv.EmptyPostgresURL(t)
	onYard := func(query string) {
		t.Helper()
		onDatabase(t, yard, func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, query)
			return err
		})
	}
	onYard(`CREATE SCHEMA yard; CREATE TABLE yard.depots (depot varchar(8), gates smallint, opened timestamptz, note text);
		INSERT INTO yard.depots VALUES ('north', 3, '2001-01-01Z', 'x'), ('south', 5, '2001-01-02Z', NULL)`)
	nobody := testenv.ClosedAddress(t)
	s := startServe(t, testenv.PostgresURL(t), testenv.RedisURL(t), "HEADWATER_SOURCE_YARD_URL="+yard,
		"HEADWATER_SOURCE_AWAY_URL=postgres://clerk:hush@"+nobody+"/yard")

	// What the table does not have is told at its place, and what the server does not know of too.
	path := file(t, "yard.yaml", strings.Replace(yardDefinitions, "{name: gates, type: int64}\n    event_time", "{name: gates, type: float64}\n    event_time", 1))
	s.run("apply", path).expect(t, exitFailed, "", "headwater: found 2 problems in the definitions\n  "+path+
		":21:29: found column gates of yard:yard.depots of type smallint, expected one that is float64 without loss (float8, float4); declare "+
		"another type, or name a view that casts it\n  "+path+":41:14: found output column gates of type float8, expected int64; write "+
		"(…)::bigint AS gates, or declare another type\n")
	path = file(t, "yard.yaml", strings.Replace(yardDefinitions, "database: yard", "database: depot", 1))
	s.run("plan", path).expect(t, exitFailed, "", "headwater: found 1 problem in the definitions\n  "+path+":26:26: "+
		"found database depot, which the server's configuration does not name, expected one of away, yard; give the server its URL in "+
		"HEADWATER_SOURCE_DEPOT_URL, or correct the name\n")
	path = file(t, "yard.yaml", strings.Replace(yardDefinitions, "database: yard", "database: away", 1))
	s.run("plan", path).expect(t, exitFailed, "", "headwater: database away (HEADWATER_SOURCE_AWAY_URL): Postgres at "+nobody+" cannot be "+
		"reached; check that the server runs, listens there and is not behind a firewall, and that the connection URL is right\n")
	s.must(t, "apply", file(t, "yard.yaml", yardDefinitions))

	// A parcel that is weighed again is the same parcel, and a column more is left out.
	s.run("ingest", "parcels", file(t, "a.csv", "at,parcel,depot,weight\n2001-01-01,1,north,1\n2001-01-01,,south,1\n")).
		expectError(t, `:3: column parcel: found no value, expected an int64; fill it in, or take the row out`)
	s.must(t, "ingest", "parcels", file(t, "a.csv", "at,parcel,depot,weight\n2001-01-01,1,north,1\n2001-01-01,1,north,1\n2001-01-02,2,south,1\n"))
	b := file(t, "b.ndjson", `{"at":"2001-01-03","parcel":1,"depot":"north","weight":2,"tags":["a"],"by":{"x":1}}`+"\n")
	r := s.run("ingest", "parcels", b)
	if r.code != exitDone || r.err != b+": left out, as source parcels has no such columns: tags, by\n" {
		t.Errorf("found status %d and %s", r.code, r.err)
	}
	if shown := s.must(t, "loads", "show", "2"); !strings.Contains(shown, "left out     tags, by\n") {
		t.Errorf("found\n%s", shown)
	}
	s.must(t, "materialize", "weights", "--wait")
	var run headwaterv1.GetRunResponse
	s.ask(t, &run, "runs", "show", "weights@1/1")
	l := run.GetRun().GetLedger()
	if l.GetRead() != 4 || l.GetDuplicate() != 2 || l.GetAccepted() != 2 || l.GetProduced() != 2 || run.GetRun().GetInputs()[0].GetDuplicates() != 2 ||
		fmt.Sprint(l.GetReasons()) != `[bucket:"duplicate" reason:"exact" rows:1 bucket:"duplicate" reason:"conflicting" rows:1]` &&
			fmt.Sprint(l.GetReasons()) != `[bucket:"duplicate"  reason:"exact"  rows:1 bucket:"duplicate"  reason:"conflicting"  rows:1]` {
		t.Errorf("found the ledger %s", l)
	}
	if shown := s.must(t, "runs", "show", "weights@1/1"); !regexp.MustCompile(`\n *duplicate +1  exact\n *duplicate +1  conflicting\n`).MatchString(shown) {
		t.Errorf("found\n%s", shown)
	}

	// The other database's rows: read as they are when the run begins, and told of in its record.
	s.must(t, "materialize", "gates", "--wait")
	s.ask(t, &run, "runs", "show", "gates@1/1")
	in := run.GetRun().GetInputs()[0]
	if run.GetRun().GetLedger().GetProduced() != 2 || in.GetRelation() != "yard:yard.depots" || len(in.GetRowsDigest()) != 64 || in.GetRowsRead() != 2 {
		t.Errorf("found %s", run.GetRun())
	}
	if w := strings.Join(run.GetRun().GetWarnings(), "\n"); !strings.Contains(w, "source depots: its newest row is too old, expected at most 24h; headwater describe source depots says how old it is now") {
		t.Errorf("found the warnings %s", w)
	}
	if shown := s.must(t, "runs", "show", "gates@1/1"); !regexp.MustCompile(`\n *depots@1 +yard:yard\.depots \(rows kept\) +[0-9a-f]{12} +2\n`).MatchString(shown) {
		t.Errorf("found\n%s", shown)
	}
	described := s.must(t, "describe", "source", "depots")
	if !regexp.MustCompile(`\norigin +postgres yard:yard\.depots\nsnapshot +runs keep the rows that they read\nunique key +depot\nduplicates +exact: drop, conflicting: fail\n` +
		`newest row +LATE: 2001-01-02T00:00:00Z, \d+h(\d+m)?(\d+s)? old, expected at most 24h\n`).MatchString(described) {
		t.Errorf("found\n%s", described)
	}
	onYard(fmt.Sprintf(`INSERT INTO yard.depots VALUES ('west', 1, '%s')`, time.Now().UTC().Format(time.RFC3339)))
	if described := s.must(t, "describe", "source", "depots"); strings.Contains(described, "LATE") {
		t.Errorf("found it late:\n%s", described)
	}
	const others = "its rows are those of yard:yard.depots, which others keep; write them there, and the next run reads them\n"
	s.run("ingest", "depots", file(t, "d.csv", "nothing\nof\n")).expect(t, exitFailed, "", "headwater: source depots takes no rows: "+others)
	s.run("loads", "list", "depots").expect(t, exitFailed, "", "headwater: source depots has no loads: "+others)

	onYard(`ALTER TABLE yard.depots DROP COLUMN gates`)
	if r := s.run("materialize", "gates", "--wait"); r.code != exitFailed || !strings.Contains(r.err, "source depots does not fit its table any longer: "+
		"found no column gates in yard:yard.depots, expected one of type int64; it has depot, opened, note") {
		t.Errorf("found status %d and %s", r.code, r.err)
	}
	onYard(`DROP SCHEMA yard CASCADE`)
	// The rows of the run that kept them are still there for it.
	if r := s.run("runs", "verify", "gates@1/1"); r.code != exitDone || !regexp.MustCompile(`gates@1/1 +same +\S+ +source depots: yard:yard\.depots cannot be `+
		`read now, so that the rows were used that the run kept: source depots does not fit its table any longer`).MatchString(r.out) {
		t.Errorf("found status %d, %s and\n%s", r.code, r.err, r.out)
	}
	if described := s.must(t, "describe", "source", "depots"); !strings.Contains(described, `unknown: source depots does not fit its table any longer: `+
		`found no table or view "yard"."depots" in database yard`) {
		t.Errorf("found\n%s", described)
	}
}

func (r result) expectError(t *testing.T, part string) {
	t.Helper()
	if r.code == exitDone || !strings.Contains(r.err, part) {
		t.Errorf("found status %d and %s\nexpected %s", r.code, r.err, part)
	}
}

func TestSourceDatabases(t *testing.T) {
	path := filepath.Join(t.TempDir(), "serve.yaml")
	if err := os.WriteFile(path, []byte("source_databases: {yard: in the file, ware_house2: there}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HEADWATER_SOURCE_YARD_URL", "in the environment")
	t.Setenv("HEADWATER_SOURCE_DEPOT_URL", "there too")
	c, err := loadServeConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.sourceConfig.databases()
	if want := "map[depot:there too ware_house2:there yard:in the environment]"; err != nil || fmt.Sprint(found) != want {
		t.Errorf("found %v, %v, expected %s", found, err, want)
	}
	for _, name := range []string{"Yard", "a__b", "2a", "a_", ""} {
		c := sourceConfig{Databases: map[string]string{name: ""}}
		if _, err := c.databases(); err == nil || err.Error() != fmt.Sprintf("source_databases (HEADWATER_SOURCE_NAME_URL): found the name %q, expected "+
			"lower-case letters, digits and single underscores between them, a letter first", name) {
			t.Errorf("%q: found %v", name, err)
		}
	}
}
