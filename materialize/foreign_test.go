package materialize

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/offline"
)

// A table of readings that others keep, with types that are not Headwater's own.
const makeReadings = `
	CREATE SCHEMA plant;
	CREATE TABLE plant.readings (name varchar(20), room int, value real, note text, at timestamptz, seen timestamptz NOT NULL)`

// foreignSource is a source over it.
func (w *world) foreignSource(t *testing.T, name string, change func(*feature.Source)) *feature.SourceVersion {
	t.Helper()
	return w.newSourceWith(t, func(s *feature.Source) {
		s.Postgres = &feature.PostgresOrigin{Database: name, Schema: "plant", Table: "readings"}
		s.IgnoreNewColumns = true
		change(s)
	})
}

// elsewhere makes another database, which the world's runs know by name, and returns it with its URL.
func (w *world) elsewhere(t *testing.T, name string) (*pgxpool.Pool, string) {
	t.Helper()
	url := testenv.EmptyPostgresURL(t)
	other, err := database.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	w.know(t, map[string]string{name: url})
	return other, url
}

func (w *world) know(t *testing.T, urls map[string]string) {
	t.Helper()
	databases, err := offline.NewDatabases(urls)
	if err != nil {
		t.Fatal(err)
	}
	w.m.runner.databases = databases
}

func execute(t *testing.T, pool *pgxpool.Pool, query string) {
	t.Helper()
	if _, err := pool.Exec(context.Background(), query); err != nil {
		t.Fatal(err)
	}
}

// A run over a table of others is the same wherever the table is: what it read is told by rows and digest, which follow the
// rows and nothing else.
func TestTablesOfOthersAreRead(t *testing.T) {
	w := newWorld(t)
	other, _ := w.elsewhere(t, "plant_db")
	digests := map[string][]string{}
	for name, pool := range map[string]*pgxpool.Pool{"": w.pool, "plant_db": other} {
		execute(t, pool, makeReadings)
		execute(t, pool, `INSERT INTO plant.readings VALUES
			('a', 1, 1.5, 'x', '2024-01-01 00:10Z', '2024-01-01 00:20Z'), ('a', 1, 'NaN', 'y', '2024-01-01 01:10Z', '2024-01-01 01:10Z'),
			('b', 2, NULL, 'z', '2024-01-01 02:10Z', '2024-01-01 02:20Z'), ('c', 3, -0.0, NULL, '2024-01-01 05:10Z', '2024-01-01 05:20Z')`)
		src := w.foreignSource(t, name, func(*feature.Source) {})
		view := w.newView(t, src, latest, 0)
		r := w.published(t, view, nil)
		relation := strings.TrimPrefix(name+":plant.readings", ":")
		in := r.Inputs[0]
		if r.Ledger.Read != 4 || r.Ledger.Produced != 4 || in.Rows != 4 || in.LoadNumber != 0 || len(in.Loads) != 0 ||
			in.Relation != relation || in.RowsDigest == nil {
			t.Fatalf("found run %+v, inputs %+v", r.Ledger, in)
		}
		if want := "2024-01-01T00:10:00Z 2024-01-01T05:10:00.000001Z"; fmt.Sprint(r.Interval.Start, r.Interval.End) != want {
			t.Errorf("found interval %s, expected %s", r.Interval, want)
		}
		part := w.published(t, view, &reference.Interval{Start: r.Interval.Start, End: r.Interval.Start.Add(2 * 3600e9)})
		if part.Ledger.Read != 2 || part.Ledger.Unchanged != 2 {
			t.Errorf("found %+v, expected two rows in two hours", part.Ledger)
		}
		// In another order, and in columns that are not declared, the rows are the same.
		execute(t, pool, `UPDATE plant.readings SET note = 'changed' WHERE name = 'a'; CREATE INDEX by_room ON plant.readings (room DESC)`)
		execute(t, pool, `CLUSTER plant.readings USING by_room`)
		again := w.published(t, view, nil)
		if *again.Inputs[0].RowsDigest != *in.RowsDigest || again.Ledger.Unchanged != 4 {
			t.Errorf("found another digest, or %+v", again.Ledger)
		}
		execute(t, pool, `UPDATE plant.readings SET value = 7 WHERE name = 'c'; DELETE FROM plant.readings WHERE name = 'b'`)
		changed := w.published(t, view, nil)
		if *changed.Inputs[0].RowsDigest == *in.RowsDigest || changed.Ledger.Inserted != 1 || changed.Ledger.Withdrawn != 2 {
			t.Errorf("found the same digest of other rows, or %+v", changed.Ledger)
		}
		for _, r := range []*Run{r, part, changed} {
			digests[name] = append(digests[name], r.Digest.String(), r.Inputs[0].RowsDigest.String())
		}
		if n := w.count(t, `SELECT count(*) FROM pg_class WHERE relname LIKE '\_rows\_%'`); n != 0 {
			t.Errorf("found %d copies left", n)
		}
	}
	if !slices.Equal(digests[""], digests["plant_db"]) {
		t.Errorf("found other digests for the same rows elsewhere: %v", digests)
	}
}

func TestDuplicatesInTablesOfOthers(t *testing.T) {
	w := newWorld(t)
	other, _ := w.elsewhere(t, "plant_db")
	for name, pool := range map[string]*pgxpool.Pool{"": w.pool, "plant_db": other} {
		execute(t, pool, makeReadings)
		execute(t, pool, `INSERT INTO plant.readings VALUES
			('a', 1, 0.0, 'x', '2024-01-01 00:10Z', '2024-01-01 00:20Z'), ('a', 1, -0.0, 'y', '2024-01-01 00:10Z', '2024-01-01 00:20Z'),
			('b', 1, NULL, 'z', '2024-01-01 02:10Z', '2024-01-01 02:20Z'), ('b', 1, NULL, 'z', '2024-01-01 02:10Z', '2024-01-01 02:20Z'),
			('c', 1, 1, 'z', '2024-01-01 03:10Z', '2024-01-01 03:20Z')`)
		src := w.foreignSource(t, name, func(s *feature.Source) { s.UniqueKey = []string{"name", "room"} })
		strict := w.foreignSource(t, name, func(s *feature.Source) { s.UniqueKey, s.Exact = []string{"name", "room"}, feature.FailExact })
		view, strictView := w.newView(t, src, latest, 0), w.newView(t, strict, latest, 0)
		r := w.published(t, view, nil)
		if r.Ledger.Read != 5 || r.Ledger.Duplicate != 2 || r.Ledger.Accepted != 3 || r.Inputs[0].Duplicates != 2 ||
			!slices.Equal(r.Reasons, []LedgerReason{{"duplicate", "exact", 2}}) {
			t.Errorf("found %+v, %v", r.Ledger, r.Reasons)
		}
		if n := w.count(t, fmt.Sprintf(`SELECT sum(rows) FROM headwater_history.%s_v1`, view.Name)); n != 3 {
			t.Errorf("found %d rows counted by the view, expected 3", n)
		}
		relation := strict.Postgres.String()
		refused := func(view *feature.ViewVersion, want string) {
			t.Helper()
			if r := w.run(t, view, nil); r.State != Failed || r.Error != want {
				t.Errorf("found run %s: %s\nexpected %s", r.State, r.Error, want)
			}
		}
		refused(strictView, fmt.Sprintf("view %s: source %s: found 2 keys with rows that are equal in every column, which duplicates.exact refuses, "+
			"expected one row for each name, room: name a, room 1 (2 rows); name b, room 1 (2 rows); correct the table, or name a view that picks "+
			"one, or write duplicates: {exact: drop}", strictView.Ref(), strict.Name))
		execute(t, pool, `UPDATE plant.readings SET value = 3 WHERE name = 'b' AND ctid = (SELECT min(ctid) FROM plant.readings WHERE name = 'b')`)
		refused(view, fmt.Sprintf("view %s: source %s: found 1 key with rows that differ, expected one row for each name, room: name b, room 1 "+
			"(2 rows) in value; correct the table, or name a view that picks one", view.Ref(), src.Name))
		execute(t, pool, `UPDATE plant.readings SET room = NULL WHERE name = 'c'; DELETE FROM plant.readings WHERE name = 'b'`)
		refused(view, fmt.Sprintf("view %s: source %s: found rows of %s in which a column of the unique key (name, room) is NULL, expected a value; "+
			"fill it in, or name a view that leaves such rows out", view.Ref(), src.Name, relation))
	}
}

// What is wrong with a table of others fails the run, says where, and shows no value of it.
func TestTablesOfOthersThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	other, url := w.elsewhere(t, "plant_db")
	for name, pool := range map[string]*pgxpool.Pool{"": w.pool, "plant_db": other} {
		execute(t, pool, makeReadings)
		src := w.foreignSource(t, name, func(s *feature.Source) { s.IgnoreNewColumns = false })
		view := w.newView(t, src, latest, 0)
		relation := src.Postgres.String()
		fails := func(change, want string) {
			t.Helper()
			execute(t, pool, change)
			if r := w.run(t, view, nil); r.State != Failed || r.Error != want {
				t.Errorf("%s: found run %s: %s\nexpected %s", change, r.State, r.Error, want)
			}
		}
		prefix := fmt.Sprintf("source %s does not fit its table any longer: ", src.Name)
		fails(`SELECT 1`, prefix+"found columns of "+relation+" that the source does not declare: note; declare them, or write schema_changes: "+
			"ignore_new_columns")
		fails(`ALTER TABLE plant.readings DROP COLUMN note`, fmt.Sprintf("view %s: source %s has no rows, and no run covered anything yet; wait until "+
			"there are rows in %s", view.Ref(), src.Name, relation))
		fails(`INSERT INTO plant.readings VALUES ('a', 1, 1, NULL, now())`, fmt.Sprintf("source %s: found rows of %s whose event time at is NULL, "+
			"expected an instant: they belong to no interval; fill it in, or name a view that leaves such rows out", src.Name, relation))
		fails(`UPDATE plant.readings SET at = 'infinity'`, fmt.Sprintf("source %s: %s, column at: found an infinite timestamp, or one that is not "+
			"within the years 4001 BC to 293999, expected an instant; correct the row, or name a view that leaves it out", src.Name, relation))
		fails(`UPDATE plant.readings SET at = '2024-01-01Z', seen = '-infinity'`, "source "+src.Name+": "+relation+", column seen: found an infinite "+
			"timestamp, or one that is not within the years 4001 BC to 293999, expected an instant; correct it there, or name a view that does")
		fails(`ALTER TABLE plant.readings RENAME TO stored;
			CREATE VIEW plant.readings AS SELECT at, at AS seen, 'secret' || name AS name, 1 / (room - 1) AS room, value FROM plant.stored`,
			fmt.Sprintf("source %s: reading %s failed (SQLSTATE 22012); the log of its database says why, such as a row that the view divides by "+
				"zero for", src.Name, relation))
		fails(`DROP VIEW plant.readings`, prefix+`found no table or view "plant"."readings" in database `+
			map[bool]string{true: w.pool.Config().ConnConfig.Database, false: name}[name == ""]+", expected one; create it, or correct postgres.schema "+
			"and postgres.table")
		execute(t, pool, `DROP SCHEMA plant CASCADE`)
	}
	src := w.foreignSource(t, "plant_db", func(*feature.Source) {})
	view := w.newView(t, src, latest, 0)
	w.know(t, nil)
	if r := w.run(t, view, nil); r.State != Failed || r.Error != "found database plant_db, which the server's configuration does not name, expected "+
		"one that it names, and it names none; give the server its URL in HEADWATER_SOURCE_PLANT_DB_URL, or correct the name" {
		t.Errorf("found run %s: %s", r.State, r.Error)
	}
	// A database that is away may come back: the run stays queued.
	w.know(t, map[string]string{"plant_db": strings.Replace(url, "/"+other.Config().ConnConfig.Database, "/away", 1)})
	r := w.enqueue(t, view, nil)
	err := w.m.runner.run(context.Background(), r.ID)
	f := fault.As(err)
	if f == nil || f.Reason != fault.PostgresUnavailable || !strings.HasPrefix(f.Message, "database plant_db (HEADWATER_SOURCE_PLANT_DB_URL): Postgres at ") {
		t.Errorf("found %v", err)
	}
	if r := w.get(t, r.ID); r.State != Queued || r.Error != f.Message {
		t.Errorf("found the run %s, %s, expected it queued, and why: %s", r.State, r.Error, f.Message)
	}
}

// Every type of a source is read of tables of others, and none is rounded to fit.
func TestTypesOfTablesOfOthers(t *testing.T) {
	w := newWorld(t)
	other, _ := w.elsewhere(t, "plant_db")
	const query = `SELECT name, room, event_time, available_at, (price + 1)::float8 AS value,
		(cardinality(tags) + length(blob) + cardinality(spot) + cardinality(prices))::bigint AS rows FROM %s`
	var digests []feature.Digest
	for name, pool := range map[string]*pgxpool.Pool{"": w.pool, "plant_db": other} {
		execute(t, pool, makeReadings+`;
			CREATE DOMAIN plant.price AS numeric(20, 6);
			ALTER TABLE plant.readings ADD price plant.price, ADD blob bytea, ADD tags varchar(9)[], ADD spot real[], ADD prices numeric[];
			INSERT INTO plant.readings VALUES
				('a', 1, 1, 'x', '2024-01-01Z', '2024-01-01Z', 1.25, '\x00ff', '{b,a}', '{1.5,-0}', '{1.10,2}'),
				('a', 1, 1, 'x', '2024-01-01Z', '2024-01-01Z', 1.250000, '\x00ff', '{b,a}', '{1.5,0}', '{1.1,2.00}'),
				('b', 1, 1, 'x', '2024-01-02Z', '2024-01-02Z', NULL, NULL, '{}', NULL, NULL)`)
		src := w.foreignSource(t, name, func(s *feature.Source) {
			s.UniqueKey = []string{"name", "price"}
			s.Columns = append(s.Columns, feature.Column{Name: "price", Type: feature.DecimalType(12, 2)}, feature.Column{Name: "blob", Type: feature.TypeBytes},
				feature.Column{Name: "tags", Type: feature.ListType(feature.TypeString)}, feature.Column{Name: "spot", Type: feature.VectorType(2)},
				feature.Column{Name: "prices", Type: feature.ListType(feature.DecimalType(12, 2))})
		})
		view := w.newView(t, src, query, 0)
		execute(t, pool, `UPDATE plant.readings SET price = 0 WHERE name = 'b'`)
		r := w.published(t, view, nil)
		if r.Ledger.Duplicate != 1 || r.Ledger.Produced != 2 {
			t.Errorf("found %+v", r.Ledger)
		}
		digests = append(digests, *r.Inputs[0].RowsDigest, r.Digest)
		for change, want := range map[string]string{
			"price = 1.005": "price: found 1.005, with 3 digits behind the point, expected at most 2, as decimal(12, 2) has", "spot = '{1}'": "spot: found 1 floats, expected 2",
			"tags = '{a,NULL}'": "tags: found NULL as element 2 of an array, expected none",
		} {
			execute(t, pool, `UPDATE plant.readings SET `+change+` WHERE name = 'b'`)
			if r := w.run(t, view, nil); r.State != Failed || !strings.Contains(r.Error, "column "+want) {
				t.Errorf("%s: found run %s: %s", change, r.State, r.Error)
			}
			execute(t, pool, `UPDATE plant.readings SET price = 0, spot = NULL, tags = '{}' WHERE name = 'b'`)
		}
	}
	if digests[0] != digests[2] || digests[1] != digests[3] {
		t.Errorf("found other digests for the same rows elsewhere: %v", digests)
	}
}
