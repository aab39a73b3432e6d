package materialize

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/quality"
)

// expecting gives expectations the names that they have in files.
func expecting(list ...feature.Expectation) []feature.Expectation {
	for i := range list {
		if list[i].Name == "" {
			list[i].Name = list[i].DefaultName()
		}
	}
	return list
}

// checks are the results of a run about a subject, one to a line, with examples.
func checksOf(r *Run, subject string) string {
	var lines []string
	for _, c := range r.Checks {
		if c.Subject == subject {
			line := fmt.Sprintf("%s %s %s: %s", c.State, c.Name, c.Action, c.Found)
			for _, e := range c.Examples {
				line += " | " + e.String()
			}
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func wantText(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: found\n%s\nexpected\n%s", what, got, want)
	}
}

// reasonsOfLedger is the ledger in one line.
func ledgerText(r *Run) string {
	l := r.Ledger
	text := fmt.Sprintf("read %d accepted %d quarantined %d duplicate %d dropped %d", l.Read, l.Accepted, l.Quarantined, l.Duplicate, l.Dropped)
	for _, reason := range r.Reasons {
		if reason.Bucket == "quarantined" || reason.Bucket == "dropped" {
			text += fmt.Sprintf(", %s by %s %d", reason.Bucket, reason.Reason, reason.Rows)
		}
	}
	return text
}

func (w *world) aside(t *testing.T, r *Run) string {
	t.Helper()
	subjects, err := quality.Subjects(context.Background(), w.pool, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for s := range subjects {
		names = append(names, s)
	}
	rows, err := quality.QuarantinedRows(context.Background(), w.pool, r.ID, names, "", 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, row := range rows {
		lines = append(lines, fmt.Sprintf("row %d %s %s", row.Row, strings.Join(row.Reasons, "+"), row.JSON))
	}
	return strings.Join(lines, "\n")
}

func all[T any](v T) *T { return &v }

func TestEveryActionOnRowsThatFail(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.MaxQuarantineRatio = all(0.5)
		s.Expectations = expecting(
			feature.Expectation{Column: "value", Kind: feature.ExpectRange, Min: 0.0, Max: 10.0, OnFailure: feature.DropRow},
			feature.Expectation{Column: "name", Kind: feature.ExpectNotNull, OnFailure: feature.QuarantineRow},
			feature.Expectation{Column: "name", Kind: feature.ExpectRegex, Pattern: "^[a-c]$", OnFailure: feature.KeepRow, WarnAbove: 0.5},
			feature.Expectation{Column: "room", Kind: feature.ExpectAcceptedValues, Values: []feature.Literal{1.0, 2.0}, OnFailure: feature.QuarantineRow},
			feature.Expectation{Name: "warm", Kind: feature.ExpectCEL, CEL: "row.value > 0.5 || row.room == 2", OnFailure: feature.KeepRow},
			feature.Expectation{Column: "name", Kind: feature.ExpectLength, MinLength: 1, ErrorAbove: all(0.2)},
			feature.Expectation{Column: "at", Kind: feature.ExpectPlausible, NotBefore: all(hours(-1)), OnFailure: feature.DropRow},
			feature.Expectation{Kind: feature.ExpectUnique, Columns: []string{"name", "room"}, OnFailure: feature.KeepRow},
		)
	})
	view := w.newView(t, src, latest, 0)
	nameless := lateReading("", 1, hours(5), hours(5), feature.Float64(11))
	nameless.Values[2] = feature.Null()
	w.load(t, src, 0,
		reading("a", 1, hours(1), 1),
		reading("a", 1, hours(2), 11), // 2: dropped
		nameless,                      // 3: quarantined, though it would be dropped, too
		reading("b", 3, hours(3), 2),  // 4: quarantined
		lateReading("c", 2, hours(4), hours(4), feature.Null()),         // 5: NULL meets all but not_null
		reading("d", 2, hours(-2), 0.1),                                 // 6: dropped, and kept for its name and 0.1 at room 2
		reading("a", 1, hours(6), 0.25),                                 // 7: fails only warm
		reading("a", 1, hours(1), 1),                                    // 8: equal to the first
		lateReading("é", 2, hours(7), hours(7), feature.Float64(1e300)), // 9: dropped, and not of a to c
	)
	r := w.run(t, view, nil)
	if r.State != Published {
		t.Fatalf("found %s: %s", r.State, r.Error)
	}
	subject := quality.SourceSubject(src.Name)
	at := func(h int) string {
		return fmt.Sprintf("at %s", strings.Replace(hours(float64(h)).Time().Format("2006-01-02 15:04:05"), "T", " ", 1)+"+00")
	}
	wantText(t, "checks", checksOf(r, subject), strings.Join([]string{
		"WARNED value_range drop: 3 of 9 rows that do not meet it (33.33%) | load 1, row 2, " + at(2) + " | load 1, row 3, " + at(5) + " | load 1, row 9, " + at(7),
		"WARNED name_not_null quarantine: 1 of 9 rows that do not meet it (11.11%) | load 1, row 3, " + at(5),
		"PASSED name_regex keep: 2 of 9 rows that do not meet it (22.22%) | load 1, row 6, " + at(-2) + " | load 1, row 9, " + at(7),
		"WARNED room_accepted_values quarantine: 1 of 9 rows that do not meet it (11.11%) | load 1, row 4, " + at(3),
		"WARNED warm keep: 1 of 9 rows that do not meet it (11.11%) | load 1, row 7, " + at(6),
		"PASSED name_length fail: 0 of 9 rows that do not meet it (0%)",
		"WARNED at_plausible drop: 1 of 9 rows that do not meet it (11.11%) | load 1, row 6, " + at(-2),
		"WARNED name_room_unique keep: 3 of 9 rows that do not meet it (33.33%), 1 equal to another, 2 that differ from one | name a, room 1, rows 4",
		"PASSED max_quarantine_ratio : 2 of 9 rows quarantined (22.22%)",
	}, "\n"))
	wantText(t, "ledger", ledgerText(r), "read 9 accepted 4 quarantined 2 duplicate 0 dropped 3, quarantined by name_not_null 1, "+
		"quarantined by room_accepted_values 1, dropped by value_range 2, dropped by at_plausible 1")
	wantText(t, "quarantine", w.aside(t, r), strings.Join([]string{
		`row 3 value_range+name_not_null {"at": "2024-01-01T05:00:00+00:00", "name": null, "room": 1, "seen": "2024-01-01T05:00:00+00:00", "value": 11}`,
		`row 4 room_accepted_values {"at": "2024-01-01T03:00:00+00:00", "name": "b", "room": 3, "seen": "2024-01-01T03:00:00+00:00", "value": 2}`,
	}, "\n"))
	// A view sees what is left: a at 1 (two rows), a at 6, c at 4.
	if n := w.count(t, fmt.Sprintf(`SELECT count(*) FROM headwater_history.%s_v1`, view.Name)); n != 3 {
		t.Errorf("found %d rows in the history, expected 3", n)
	}
	if r.Ledger.Accepted != 4 || len(r.Warnings) == 0 || strings.Contains(strings.Join(r.Warnings, "\n"), "row 2") {
		t.Errorf("found %q; warnings name no row", r.Warnings)
	}
}

func TestThresholdsFailTheRunAndItsRecordKeepsAll(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.Expectations = expecting(
			feature.Expectation{Column: "value", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.QuarantineRow, ErrorAbove: all(0.25)},
			feature.Expectation{Column: "room", Kind: feature.ExpectRange, Max: 5.0},
		)
		s.MaxQuarantineRatio = all(0.9)
	})
	view := w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("a", 1, hours(2), 2), reading("a", 1, hours(3), 3), reading("a", 1, hours(4), -4))
	if r := w.run(t, view, nil); r.State != Published {
		t.Fatalf("a share of 0.25 is not above it: found %s: %s", r.State, r.Error)
	}
	w.load(t, src, first, reading("a", 1, hours(1), -1), reading("a", 1, hours(2), 2), reading("a", 7, hours(3), 3), reading("a", 1, hours(4), -4))
	r := w.run(t, view, nil)
	subject := quality.SourceSubject(src.Name)
	if r.State != Failed || !strings.Contains(r.Error, "value_range of "+subject+": expected value at least 0 in all but 25% of rows, "+
		"found 2 of 4 rows that do not meet it (50%)") || !strings.Contains(r.Error, "room_range") ||
		!strings.Contains(r.Error, "headwater quarantine show") || strings.Contains(r.Error, "row 3") {
		t.Errorf("found %s: %s", r.State, r.Error)
	}
	wantText(t, "checks", checksOf(r, subject), strings.Join([]string{
		"FAILED value_range quarantine: 2 of 4 rows that do not meet it (50%) | load 2, row 1, at 2024-01-01 01:00:00+00 | load 2, row 4, at 2024-01-01 04:00:00+00",
		"FAILED room_range fail: 1 of 4 rows that do not meet it (25%) | load 2, row 3, at 2024-01-01 03:00:00+00",
		"PASSED max_quarantine_ratio : 2 of 4 rows quarantined (50%)",
	}, "\n"))
	wantText(t, "quarantine of the failed run", w.aside(t, r), strings.Join([]string{
		`row 1 value_range {"at": "2024-01-01T01:00:00+00:00", "name": "a", "room": 1, "seen": "2024-01-01T01:00:00+00:00", "value": -1}`,
		`row 4 value_range {"at": "2024-01-01T04:00:00+00:00", "name": "a", "room": 1, "seen": "2024-01-01T04:00:00+00:00", "value": -4}`,
	}, "\n"))
	// What the published run set aside is there still.
	if n := w.count(t, `SELECT count(*) FROM headwater.quarantined_row WHERE view_id = $1 AND seq_to > seq_from AND seq_to = 9223372036854775807`, view.ID); n != 1 {
		t.Errorf("found %d rows set aside now, expected that of the published run", n)
	}
	// More quarantined than is let pass fails the run by itself.
	src.Expectations[0].ErrorAbove, src.Expectations[1].OnFailure, src.MaxQuarantineRatio = nil, feature.KeepRow, all(0.49)
	if r = w.run(t, view, nil); r.State != Failed || !strings.Contains(r.Error, "max_quarantine_ratio of "+subject+
		": expected at most 49% of rows quarantined, found 2 of 4 rows quarantined (50%)") {
		t.Errorf("found %s: %s", r.State, r.Error)
	}
}

func TestReferencesLookAtWhatIsThere(t *testing.T) {
	w := newWorld(t)
	rooms := w.newSource(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.MaxQuarantineRatio = all(1.0)
		s.Expectations = expecting(
			feature.Expectation{Column: "room", Kind: feature.ExpectReferences, References: &feature.Reference{Source: rooms.Name}, OnFailure: feature.KeepRow},
			feature.Expectation{
				Name: "known", Kind: feature.ExpectReferences, OnFailure: feature.QuarantineRow,
				References: &feature.Reference{Source: rooms.Name, Columns: map[string]string{"room": "room", "name": "name"}},
			},
		)
	})
	w.registerSource(t, rooms)
	view := w.newView(t, src, latest, 0)
	a := w.load(t, rooms, 0, reading("a", 1, hours(1), 0), reading("b", 2, hours(1), 0))
	roomless := reading("a", 1, hours(4), 4)
	roomless.Values[3] = feature.Null()
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("a", 2, hours(2), 2), reading("b", 3, hours(3), 3), roomless)
	r := w.run(t, view, nil)
	subject := quality.SourceSubject(src.Name)
	wantText(t, "checks", checksOf(r, subject), strings.Join([]string{
		"WARNED room_references keep: 1 of 4 rows that do not meet it (25%) | load 2, row 3, at 2024-01-01 03:00:00+00",
		"WARNED known quarantine: 2 of 4 rows that do not meet it (50%) | load 2, row 2, at 2024-01-01 02:00:00+00 | load 2, row 3, at 2024-01-01 03:00:00+00",
		"PASSED max_quarantine_ratio : 2 of 4 rows quarantined (50%)",
	}, "\n"))
	if len(r.Inputs) != 2 || r.Inputs[0].Source != rooms.Name || r.Inputs[0].LoadNumber != 1 || r.Inputs[0].Rows != 0 || r.Inputs[0].SourceVersion != 1 {
		t.Errorf("found inputs %+v, expected the source that is referred to beside the one that is read", r.Inputs)
	}
	// What was replaced is not there any more, and what came is.
	w.load(t, rooms, a, reading("a", 2, hours(1), 0))
	r = w.run(t, view, nil)
	if got := checksOf(r, subject); !strings.Contains(got, "known quarantine: 2 of 4 rows that do not meet it (50%) | load 2, row 1, ") {
		t.Errorf("found\n%s", got)
	}
}

// registerSource puts a source among the definitions.
func (w *world) registerSource(t *testing.T, s *feature.SourceVersion) {
	t.Helper()
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO headwater.definition (kind, name, version, fingerprint, body, revision, applied_at, applied_by)
			VALUES ('source', $1, 1, sha256('s'), '{}', 1, now(), 'test')`, s.Name)
		return err
	})
}

// Incremental runs keep in the store what each saw, and a row that its load's replacement put right comes in.
func TestQuarantineFollowsIncrementalRuns(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.MaxQuarantineRatio = all(1.0)
		s.Expectations = expecting(feature.Expectation{Column: "value", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.QuarantineRow})
	})
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), -1), reading("a", 1, hours(100), 1))
	r1 := w.runIncremental(t, view)
	bad := w.load(t, src, 0, reading("b", 1, hours(200), -2))
	r2 := w.runIncremental(t, view)
	w.load(t, src, bad, reading("b", 1, hours(200), 2))
	r3 := w.runIncremental(t, view)
	r4 := w.run(t, view, nil)
	for i, c := range []struct {
		run          *Run
		ledger, want string
	}{
		{r1, "read 2 accepted 1 quarantined 1 duplicate 0 dropped 0, quarantined by value_range 1", "row 1"},
		{r2, "read 1 accepted 0 quarantined 1 duplicate 0 dropped 0, quarantined by value_range 1", "row 1"},
		{r3, "read 1 accepted 1 quarantined 0 duplicate 0 dropped 0", ""},
		{r4, "read 3 accepted 2 quarantined 1 duplicate 0 dropped 0, quarantined by value_range 1", "row 1"},
	} {
		if c.run.State != Published {
			t.Fatalf("run %d: found %s: %s", i+1, c.run.State, c.run.Error)
		}
		wantText(t, fmt.Sprintf("ledger of run %d", i+1), ledgerText(c.run), c.ledger)
		if got := w.aside(t, c.run); (got == "") != (c.want == "") || strings.Count(got, "row ") != strings.Count(c.want, "row ") {
			t.Errorf("run %d: found %q set aside, expected %q", i+1, got, c.want)
		}
	}
	if n := w.count(t, `SELECT count(*) FROM headwater.quarantined_row`); n != 2 {
		t.Errorf("found %d rows in the store, expected each of two once", n)
	}
}

// A process that dies after rows were set aside leaves nothing of them that a reader sees, and the next attempt does it once.
func TestQuarantineOfAnAttemptThatDies(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.MaxQuarantineRatio = all(1.0)
		s.Expectations = expecting(feature.Expectation{Column: "value", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.QuarantineRow})
	})
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), -1), reading("a", 1, hours(2), 1))
	died := errors.New("died")
	w.reached = func(step string) error {
		if step == stepWritten {
			return died
		}
		return nil
	}
	r := w.enqueue(t, view, nil)
	for range 2 {
		if err := w.m.runner.run(context.Background(), r.ID); !errors.Is(err, died) {
			t.Fatalf("found %v", err)
		}
		if rows := w.aside(t, w.get(t, r.ID)); rows != "" {
			t.Errorf("found %s of an attempt that is not published", rows)
		}
	}
	w.reached = func(string) error { return nil }
	if err := w.work(r.ID); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(w.aside(t, w.get(t, r.ID)), "row "); got != 1 || w.count(t, `SELECT count(*) FROM headwater.quarantined_row`) != 1 {
		t.Errorf("found %d rows, expected one", got)
	}
}

// Rows are held to the time at which their load was committed, so that a row does not become plausible by waiting.
func TestPlausibleGoesByTheLoad(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.MaxQuarantineRatio = all(1.0)
		s.Expectations = expecting(feature.Expectation{Column: "at", Kind: feature.ExpectPlausible, Future: time.Hour, OnFailure: feature.QuarantineRow})
	})
	view := w.newView(t, src, latest, 0)
	now := feature.TimeOf(time.Now())
	first := w.load(t, src, 0, reading("a", 1, now.Add(30*time.Minute), 1), reading("b", 1, now.Add(90*time.Minute), 1))
	wantText(t, "ledger", ledgerText(w.run(t, view, nil)), "read 2 accepted 1 quarantined 1 duplicate 0 dropped 0, quarantined by at_plausible 1")
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE headwater.load SET committed_at = committed_at - interval '1 day' WHERE id = $1`, first)
		return err
	})
	wantText(t, "ledger", ledgerText(w.run(t, view, nil)), "read 2 accepted 0 quarantined 2 duplicate 0 dropped 0, quarantined by at_plausible 2")
}

// Of tables of others the values decide, for there is nothing else to tell rows by.
func TestExpectationsOfTablesOfOthers(t *testing.T) {
	w := newWorld(t)
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			CREATE TABLE public.meters (at timestamptz, seen timestamptz, name text, room bigint, value double precision);
			INSERT INTO public.meters SELECT t, t, n, 1, v FROM (VALUES
				('2024-01-01 01:00Z'::timestamptz, 'a', 1.0), ('2024-01-01 02:00Z', 'a', -1), ('2024-01-01 02:00Z', 'a', -1),
				('2024-01-01 03:00Z', 'tab	and \', 2), ('2024-01-01 04:00Z', NULL, 3), ('2024-01-01 05:00Z', '', 4)) AS r (t, n, v)`)
		return err
	})
	src := &feature.SourceVersion{Version: 1, Source: feature.Source{
		Name: "meters", Postgres: &feature.PostgresOrigin{Schema: "public", Table: "meters"},
		Columns: []feature.Column{
			{Name: "at", Type: feature.TypeTimestamp}, {Name: "seen", Type: feature.TypeTimestamp}, {Name: "name", Type: feature.TypeString},
			{Name: "room", Type: feature.TypeInt64}, {Name: "value", Type: feature.TypeFloat64},
		},
		EventTime: "at", ArrivalColumn: "seen", MaxQuarantineRatio: all(1.0),
		Expectations: expecting(
			feature.Expectation{Column: "value", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.QuarantineRow},
			feature.Expectation{Name: "short", Kind: feature.ExpectCEL, CEL: `row.name == null || row.name == "" || row.name.size() < 2`, OnFailure: feature.DropRow},
		),
	}}
	view := w.newView(t, src, latest, 0)
	r := w.run(t, view, nil)
	if r.State != Published {
		t.Fatalf("found %s: %s", r.State, r.Error)
	}
	wantText(t, "ledger", ledgerText(r), "read 6 accepted 3 quarantined 2 duplicate 0 dropped 1, quarantined by value_range 2, dropped by short 1")
	if got := strings.Count(w.aside(t, r), "value_range"); got != 2 {
		t.Errorf("found %s", w.aside(t, r))
	}
}

// A check that breaks says so, blocks, and does not take others with it.
func TestAReferenceThatIsGoneIsRefused(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.Expectations = expecting(feature.Expectation{Column: "room", Kind: feature.ExpectReferences, References: &feature.Reference{Source: "nowhere"}})
	})
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	if r := w.run(t, view, nil); r.State != Failed || !strings.Contains(r.Error, "expects values of source nowhere, which is not there any more; apply its definition") {
		t.Errorf("found %s: %s", r.State, r.Error)
	}
}

// Windows leave rows out as SQL does, and so does what an incremental run of them reads again.
func TestWindowsLeaveRowsOut(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.MaxQuarantineRatio = all(1.0)
		s.Expectations = expecting(feature.Expectation{Name: "cel", Kind: feature.ExpectCEL, CEL: "1.0 / row.value > 0.0", OnFailure: feature.DropRow})
	})
	view := w.add(t, src, feature.View{
		Features:   []feature.Column{{Name: "value", Type: feature.TypeFloat64}},
		Attributes: []feature.Column{{Name: "rows", Type: feature.TypeInt64}},
		Aggregation: &feature.Aggregation{Source: src.Name, Hop: time.Hour, Aggregates: []feature.Aggregate{
			{Feature: "value", Function: feature.Sum, Column: "value", Window: 2 * time.Hour},
			{Feature: "rows", Function: feature.Count, Window: 2 * time.Hour},
		}},
	})
	w.load(t, src, 0, reading("a", 1, hours(1), 1), reading("a", 1, hours(2), -1), reading("a", 1, hours(3), 3))
	r := w.runIncremental(t, view)
	wantText(t, "ledger", ledgerText(r), "read 3 accepted 2 quarantined 0 duplicate 0 dropped 1, dropped by cel 1")
	w.load(t, src, 0, reading("a", 1, hours(4), -4))
	if r = w.runIncremental(t, view); r.Ledger.Dropped == 0 {
		t.Errorf("found %s", ledgerText(r))
	}
	full := w.history(t, view)
	w.run(t, view, nil)
	if now := w.history(t, view); describe(full) != describe(now) {
		t.Errorf("found another history after a full run:\n%s\n%s", describe(full), describe(now))
	}
}

// A run that tries quarantined rows again looks at little else, so that many of them fail again: it is published all the same, and says so.
func TestTryingRowsAgainIsNotHeldToTheShare(t *testing.T) {
	w := newWorld(t)
	src := w.newSourceWith(t, func(s *feature.Source) {
		s.Expectations = expecting(feature.Expectation{Column: "value", Kind: feature.ExpectRange, Max: 10.0, OnFailure: feature.QuarantineRow})
	})
	view := w.newView(t, src, latest, 0)
	rows := []reference.SourceRow{reading("z", 1, hours(100), 11)}
	for i := range 9 {
		rows = append(rows, reading("a", 1, hours(float64(i)), 1))
	}
	w.load(t, src, 0, rows...)
	first := w.published(t, view, nil)
	queued, err := w.m.Replay(context.Background(), view, first.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.work(queued.ID); err != nil {
		t.Fatal(err)
	}
	r := w.get(t, queued.ID)
	if r.State != Published || !strings.Contains(checksOf(r, quality.SourceSubject(src.Name)),
		"WARNED max_quarantine_ratio : 1 of 1 rows quarantined (100%), which does not stop a run that tries quarantined rows again") {
		t.Errorf("found %s %s\n%s", r.State, r.Error, checksOf(r, quality.SourceSubject(src.Name)))
	}
	if shown := w.aside(t, r); !strings.HasPrefix(shown, "row 1 value_range ") {
		t.Errorf("found %s", shown)
	}
	// A run of that interval that someone asks for is held to it.
	if r := w.run(t, view, &reference.Interval{Start: hours(100), End: hours(101)}); r.State != Failed {
		t.Errorf("found %s", r.State)
	}
}
