package materialize

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/offline"
)

const someReadings = `INSERT INTO plant.readings VALUES
	('a', 1, 1.5, 'x', '2024-01-01 00:10Z', '2024-01-01 00:20Z'), ('a', 1, '-0', 'y', '2024-01-01 01:10Z', '2024-01-01 01:10Z'),
	('a', 1, '-0', 'y', '2024-01-01 01:10Z', '2024-01-01 01:10Z'), ('b', 2, NULL, 'z', '2024-01-01 02:10Z', '2024-01-01 02:20Z'),
	('c', 3, 'NaN', NULL, '2024-01-01 05:10Z', '2024-01-01 05:20Z')`

func snapshot(s *feature.Source) { s.Postgres.Snapshot = true }

// kept is how many rows are kept in all, and how many of a run.
func (w *world) kept(t *testing.T, r *Run) (all, run int64) {
	t.Helper()
	return w.count(t, "SELECT count(*) FROM headwater.kept_row"),
		w.count(t, "SELECT coalesce(sum(copies), 0) FROM headwater.run_kept_row WHERE run_id = $1", r.ID)
}

// Runs that kept what they read compute the same again, whatever becomes of the table and wherever it is.
func TestRunsThatKeptTheirRowsComputeTheSameAgain(t *testing.T) {
	w := newWorld(t)
	other, _ := w.elsewhere(t, "plant_db")
	for name, pool := range map[string]*pgxpool.Pool{"": w.pool, "plant_db": other} {
		execute(t, pool, makeReadings)
		execute(t, pool, someReadings)
		src := w.foreignSource(t, name, snapshot)
		keyed := w.foreignSource(t, name, func(s *feature.Source) {
			s.Postgres.Snapshot, s.UniqueKey = true, []string{"name", "room", "at"}
			s.Postgres.ChangeColumn, s.Postgres.Reread = "seen", time.Hour
			s.MaxQuarantineRatio = all(1.0)
			s.Expectations = expecting(feature.Expectation{Column: "value", Kind: feature.ExpectNotNull, OnFailure: feature.QuarantineRow},
				feature.Expectation{Column: "at", Kind: feature.ExpectPlausible, OnFailure: feature.QuarantineRow})
		})
		views := []*feature.ViewVersion{w.newView(t, src, latest, 0), w.newView(t, keyed, latest, 0), w.newView(t, keyed, hourly, time.Hour),
			w.newWindowView(t, src, time.Hour)}
		var runs []*Run
		for _, change := range []string{"SELECT 1", "UPDATE plant.readings SET value = 3, seen = '2024-01-01 06:00Z' WHERE name = 'b'",
			"DELETE FROM plant.readings WHERE name = 'c'", "INSERT INTO plant.readings VALUES ('d', 1, 1, 'x', '2024-01-01 04:10Z', '2024-01-01 07:20Z')"} {
			execute(t, pool, change)
			for _, v := range views {
				runs = append(runs, w.incremental(t, v))
			}
		}
		for _, v := range views[:2] {
			runs = append(runs, w.published(t, v, &reference.Interval{Start: hours(1), End: hours(3)}))
		}
		relation := src.Postgres.String()
		first, last := runs[0], runs[len(runs)-2]
		each := w.count(t, "SELECT count(*) FROM headwater.kept_row WHERE source = $1", src.Name)
		if _, of := w.kept(t, first); of != 5 || each != 6 || first.Inputs[0].Kept == nil || first.Inputs[0].Kept.Rows != 5 {
			t.Errorf("found %d rows of %d, %+v; expected five of six", of, each, first.Inputs[0].Kept)
		}
		if r := runs[1]; r.Ledger.Duplicate != 1 || r.Ledger.Quarantined != 1 {
			t.Errorf("found %+v", r.Ledger)
		}
		if v := w.verify(t, last); len(v.Details) != 0 {
			t.Errorf("found %q of a table that has not changed", v.Details)
		}
		used := "; the rows were used that the run kept"
		w.wantVerdict(t, first, Same, relation+" has other rows than the run read: 5 now, 5 then"+used, "rows of [2024-01-01T02:0", "it read 1, there are 0 now")
		execute(t, pool, "DELETE FROM plant.readings")
		w.wantNothingKept(t, runs, Same)
		w.wantVerdict(t, first, Same, relation+" has other rows than the run read: 0 now, 5 then"+used)

		// A table that does not fit, cannot be read or is gone is no matter either.
		const instead = " cannot be read now, so that the rows were used that the run kept: "
		for change, want := range map[string]string{
			"INSERT INTO plant.readings VALUES ('a', 1, 1, 'x', '2024-01-01 01:00Z', 'infinity')": relation + instead + "source " + src.Name + ": " + relation + ", column seen: found an infinite",
			"ALTER TABLE plant.readings DROP COLUMN value":                                        "found no column value in " + relation,
			"ALTER TABLE plant.readings ALTER at TYPE text":                                       "found column at of " + relation + " of type text",
		} {
			execute(t, pool, change)
			w.wantVerdict(t, first, Same, want)
			execute(t, pool, "DROP SCHEMA plant CASCADE;"+makeReadings)
		}
		execute(t, pool, "DROP SCHEMA plant CASCADE")
		w.wantVerdict(t, runs[2], Same)
		// What was kept counts, and not what the source asks for now.
		src.Postgres.Snapshot, keyed.Postgres.Snapshot = false, false
		w.wantVerdict(t, first, Same, `found no table or view "plant"."readings"`)
	}
	w.know(t, nil)
	if id := w.count(t, "SELECT max(run_id) FROM headwater.run_input WHERE relation LIKE 'plant_db:%'"); id > 0 {
		w.wantVerdict(t, w.get(t, id), Same, "cannot be read now, so that the rows were used that the run kept: found database plant_db, which the server's configuration does not name")
	}
}

// What was changed behind Headwater's back is not taken for what a run read.
func TestKeptRowsThatWereChangedAreNotUsed(t *testing.T) {
	w := newWorld(t)
	execute(t, w.pool, makeReadings)
	execute(t, w.pool, someReadings)
	view := w.newView(t, w.foreignSource(t, "", snapshot), latest, 0)
	r := w.published(t, view, nil)
	const changed = "the rows that the run kept are not those that it read: someone changed them by other means"
	for _, tamper := range []string{"UPDATE headwater.kept_row SET row[5] = '7' WHERE row[5] = '1.5'", "UPDATE headwater.kept_row SET row[5] = 'seven' WHERE row[5] = '7'",
		"DELETE FROM headwater.kept_row WHERE row[3] = 'b'", "DELETE FROM headwater.run_kept_row"} {
		execute(t, w.pool, tamper)
		w.wantVerdict(t, r, Same, changed)
	}
	execute(t, w.pool, "DELETE FROM plant.readings WHERE name = 'c'")
	w.wantVerdict(t, r, SourceChanged, changed, "has other rows than the run read: 4 now, 5 then")
	// A history that was changed is an alarm also where the rows are kept.
	execute(t, w.pool, "DELETE FROM headwater.kept_row")
	again := w.published(t, view, nil)
	execute(t, w.pool, "DELETE FROM plant.readings; UPDATE headwater_history."+view.Name+"_v1 SET value = 7 WHERE entity_key = 'a|1'")
	w.wantVerdict(t, again, Different, "0 now, 4 then; the rows were used that the run kept", "2 rows differ")
}

// A run that reads more than is kept is published, and says that it keeps nothing.
func TestRunsKeepNoMoreThanTheBounds(t *testing.T) {
	w := newWorld(t)
	execute(t, w.pool, makeReadings)
	execute(t, w.pool, someReadings)
	src := w.foreignSource(t, "", snapshot)
	view := w.newView(t, src, latest, 0)
	for _, c := range []struct {
		bounds offline.KeepBounds
		kept   bool
	}{
		{offline.KeepBounds{Rows: 4, Bytes: 1 << 20}, false}, {offline.KeepBounds{Rows: 5, Bytes: 200}, false}, {offline.KeepBounds{Rows: 5, Bytes: 1 << 20}, true},
	} {
		w.m.runner.keep = c.bounds
		r := w.published(t, view, nil)
		all, run := w.kept(t, r)
		kept := w.get(t, r.ID).Inputs[0].Kept != nil
		want := fmt.Sprintf("source %s: found more rows than a run keeps, expected at most %d of at most %d bytes together, so that none are kept: once "+
			"plant.readings has changed, the run cannot be computed again; run shorter intervals (--from, --to)", src.Name, c.bounds.Rows, c.bounds.Bytes)
		if warned := strings.Contains(strings.Join(r.Warnings, "\n"), want); kept != c.kept || warned == c.kept || (run == 5) != c.kept || (all == 4) != c.kept {
			t.Errorf("%+v: found %d rows, %d of the run, kept: %t, warnings %q", c.bounds, all, run, kept, r.Warnings)
		}
		w.wantVerdict(t, r, Same)
	}
	before := w.get(t, 1)
	execute(t, w.pool, "DELETE FROM plant.readings WHERE name = 'c'")
	w.wantVerdict(t, before, SourceChanged, "has other rows than the run read")
}

// An attempt that ends between keeping and publishing leaves nothing kept, however it ends; rows of other runs stay.
func TestAttemptsThatAreUndoneKeepNothing(t *testing.T) {
	w := newWorld(t)
	execute(t, w.pool, makeReadings)
	execute(t, w.pool, someReadings)
	src := w.foreignSource(t, "", snapshot)
	other := w.published(t, w.newView(t, src, latest, 0), nil)
	view := w.newView(t, src, latest, 0)
	want := func(r *Run, allWant, runWant int64) {
		t.Helper()
		all, run := w.kept(t, r)
		if _, of := w.kept(t, other); all != allWant || run != runWant || of != 5 {
			t.Errorf("run %s: found %d rows, %d of the run and %d of the other, expected %d, %d and 5", r.Ref(), all, run, of, allWant, runWant)
		}
	}
	// Its process dies, and what it read changes before it is taken up again.
	for _, step := range []string{stepWritten, stepPublishing} {
		execute(t, w.pool, "INSERT INTO plant.readings VALUES ('d', 1, 1, 'x', '2024-01-01 04:10Z', '2024-01-01 07:20Z')")
		r := w.enqueue(t, view, nil)
		w.dieAt(t, r, step)
		want(r, 5, 6)
		execute(t, w.pool, "DELETE FROM plant.readings WHERE name = 'd'")
		if err := w.work(r.ID); err != nil {
			t.Fatal(err)
		}
		if r = w.get(t, r.ID); r.State != Published || r.Ledger.Read != 5 {
			t.Errorf("found the run %s, %+v", r.State, r.Ledger)
		}
		want(r, 4, 5)
		w.wantVerdict(t, r, Same)
	}
	// It is cancelled, or fails for what it makes of the rows.
	execute(t, w.pool, "INSERT INTO plant.readings VALUES ('d', 1, 1, 'x', '2024-01-01 04:10Z', '2024-01-01 07:20Z')")
	r := w.enqueue(t, view, nil)
	w.reached = func(at string) error {
		if at == stepWritten {
			want(r, 5, 6)
			w.cancel(t, "ann", "", r.ID)
		}
		return nil
	}
	if err := w.work(r.ID); err != nil {
		t.Fatal(err)
	}
	w.reached = func(string) error { return nil }
	if r = w.get(t, r.ID); r.State != Cancelled {
		t.Errorf("found the run %s", r.State)
	}
	want(r, 4, 0)
	failing := w.newView(t, src, strings.Replace(latest, "max(value)", "max(1 / (room - 3)::float8)", 1), 0)
	if r = w.run(t, failing, nil); r.State != Failed {
		t.Errorf("found the run %s", r.State)
	}
	want(r, 4, 0)
	if r = w.incremental(t, view); r.Inputs[0].Kept == nil {
		t.Error("found nothing kept")
	}
	want(r, 5, 6)
}

// Views over one table run at once, and each has all of its rows.
func TestRunsKeepTheSameRowsAtOnce(t *testing.T) {
	w := newWorld(t)
	execute(t, w.pool, makeReadings)
	execute(t, w.pool, `INSERT INTO plant.readings SELECT 'a', 1, n, 'x', '2024-01-01Z'::timestamptz + n * interval '1 minute', '2024-01-02Z' FROM generate_series(1, 500) n`)
	src := w.foreignSource(t, "", snapshot)
	var runs []*Run
	done := make(chan error)
	for range 4 {
		runs = append(runs, w.enqueue(t, w.newView(t, src, latest, 0), nil))
	}
	for _, r := range runs {
		go func() { done <- w.m.runner.run(context.Background(), r.ID) }()
	}
	for range runs {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	execute(t, w.pool, "DELETE FROM plant.readings")
	for _, r := range runs {
		r = w.get(t, r.ID)
		if all, run := w.kept(t, r); all != 500 || run != 500 {
			t.Errorf("found %d rows, %d of the run", all, run)
		}
		w.wantVerdict(t, r, Same, "0 now, 500 then")
	}
}
