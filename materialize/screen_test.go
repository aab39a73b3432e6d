package materialize

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/quality"
)

// setAside is the rows of the output that a run set aside, as reasons and JSON.
func (w *world) setAside(t *testing.T, r *Run) (rows []string) {
	t.Helper()
	list, err := quality.QuarantinedRows(context.Background(), w.pool, r.ID, []string{quality.Output}, "", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range list {
		rows = append(rows, strings.Join(q.Reasons, "+")+" "+string(q.JSON))
	}
	return rows
}

func TestRowsOfTheOutputAreSetAsideDroppedAndCounted(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	half := 0.5
	view.MaxQuarantineRatio = &half
	view.Expectations = named(
		feature.Expectation{Kind: feature.ExpectRange, Column: "value", Min: 0.0, OnFailure: feature.QuarantineRow},
		feature.Expectation{Name: "not_too_high", Kind: feature.ExpectRange, Column: "value", Max: 100.0, OnFailure: feature.DropRow},
		feature.Expectation{Kind: feature.ExpectRegex, Column: "name", Pattern: "^[a-c]$", OnFailure: feature.KeepRow},
		feature.Expectation{Name: "far_down", Kind: feature.ExpectCEL, CEL: "row.value > -50.0", OnFailure: feature.DropRow},
		feature.Expectation{Kind: feature.ExpectUnique, Columns: []string{"room"}, OnFailure: feature.KeepRow},
	)
	first := w.load(t, src, 0, reading("a", 1, hours(1), 5), reading("b", 1, hours(2), -60), reading("c", 2, hours(3), 101), reading("d", 3, hours(4), 7))
	r := w.published(t, view, nil)
	wantLedger(t, r, Ledger{
		Read: 4, Accepted: 4, Used: 4, Computed: 4, OutputQuarantined: 1, OutputDropped: 1, Produced: 2, Inserted: 2, LiveAfter: 2,
	})
	wantCheck(t, r, quality.Output, "value_range", "WARNED: 1 of 4 rows that do not meet it (25%)")
	wantCheck(t, r, quality.Output, "not_too_high", "WARNED: 1 of 4 rows that do not meet it (25%)")
	wantCheck(t, r, quality.Output, "name_regex", "WARNED: 1 of 4 rows that do not meet it (25%)")
	wantCheck(t, r, quality.Output, "far_down", "WARNED: 1 of 4 rows that do not meet it (25%)")
	wantCheck(t, r, quality.Output, "room_unique", "PASSED: 0 of 2 rows that do not meet it (0%)")
	wantCheck(t, r, quality.Output, "max_quarantine_ratio", "PASSED: 1 of 4 rows quarantined (25%)")
	for _, c := range r.Checks {
		if c.Name == "value_range" && fmt.Sprint(c.Examples) != "[name b, room 1, event_time 2024-01-01T02:00:00Z]" {
			t.Errorf("found %v", c.Examples)
		}
	}
	aside := w.setAside(t, r)
	if len(aside) != 1 || !strings.HasPrefix(aside[0], "value_range+far_down {") || !strings.Contains(aside[0], `"name": "b"`) {
		t.Errorf("found set aside %q", aside)
	}

	// Corrected, it comes in, and nothing is set aside any more.
	w.load(t, src, first, reading("a", 1, hours(1), 5), reading("b", 1, hours(2), 60))
	r = w.runIncremental(t, view)
	if r.State != Published || r.Ledger.Produced != 2 || r.Ledger.OutputQuarantined != 0 || len(w.setAside(t, r)) != 0 {
		t.Errorf("found %s (%s), %+v and %q", r.State, r.Error, r.Ledger, w.setAside(t, r))
	}
	wantCheck(t, r, quality.Output, "room_unique", "WARNED: 1 of 2 rows that do not meet it (50%)")
	if _, err := w.m.Replay(context.Background(), view, 0, "ann"); err == nil || !strings.Contains(err.Error(), "found no rows that are set aside now") {
		t.Errorf("found %v", err)
	}

	// Too many: the run fails, its rows are kept with its record, and none of it is published.
	w.load(t, src, 0, reading("a", 1, hours(5), -1), reading("b", 1, hours(6), -2), reading("c", 1, hours(7), 3))
	r = w.runIncremental(t, view)
	if r.State != Failed || !strings.Contains(r.Error, "max_quarantine_ratio of output: expected at most 50% of rows quarantined, found 2 of 3 rows quarantined (66.67%)") {
		t.Errorf("found %s: %s", r.State, r.Error)
	}
	if aside := w.setAside(t, r); len(aside) != 2 {
		t.Errorf("found set aside %q, expected the two rows with the record of the run", aside)
	}

	// With another limit they are set aside, and tried again.
	one := 1.0
	view.MaxQuarantineRatio = &one
	r = w.runIncremental(t, view)
	if r.State != Published || r.Ledger.OutputQuarantined != 2 {
		t.Fatalf("found %s: %s, %+v", r.State, r.Error, r.Ledger)
	}
	view.Expectations[0].Min = -10.0
	again, err := w.m.Replay(context.Background(), view, r.ID, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.work(again.ID); err != nil {
		t.Fatal(err)
	}
	if again = w.get(t, again.ID); again.State != Published || again.Ledger.Inserted != 2 || again.Ledger.OutputQuarantined != 0 {
		t.Errorf("found %s: %s, %+v", again.State, again.Error, again.Ledger)
	}
}

func TestARowOfTheOutputFailsTheRun(t *testing.T) {
	w := newWorld(t)
	other := w.newSource(t)
	src := w.newSource(t)
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO headwater.definition (kind, name, version, fingerprint, body, revision, applied_at, applied_by)
			VALUES ('source', $1, 1, sha256('other'), '{}', 1, now(), 'test')`, other.Name)
		return err
	})
	view := w.newView(t, src, latest, 0)
	view.Expectations = named(feature.Expectation{
		Kind: feature.ExpectReferences, References: &feature.Reference{Source: other.Name, Columns: map[string]string{"room": "room"}},
	})
	w.load(t, other, 0, reading("x", 1, hours(1), 1))
	w.load(t, src, 0, reading("a", 1, hours(1), 5), reading("b", 9, hours(2), 6))
	r := w.run(t, view, nil)
	if r.State != Failed || strings.Contains(r.Error, "room 9") {
		t.Errorf("found %s: %s", r.State, r.Error)
	}
	wantCheck(t, r, quality.Output, "room_references", "FAILED: 1 of 2 rows that do not meet it (50%)")
	view.Expectations[0].OnFailure = feature.KeepRow
	if r := w.run(t, view, nil); r.State != Published || r.Ledger.Produced != 2 {
		t.Errorf("found %s: %s", r.State, r.Error)
	}
}

func TestWindowsAreScreened(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	one := 1.0
	view := w.add(t, src, feature.View{
		Features: []feature.Column{{Name: "value", Type: feature.TypeFloat64}}, MaxQuarantineRatio: &one,
		Aggregation: &feature.Aggregation{
			Source: src.Name, Hop: time.Hour,
			Aggregates: []feature.Aggregate{{Feature: "value", Function: feature.Max, Column: "value", Window: time.Hour}},
		},
	})
	view.Expectations = named(feature.Expectation{Kind: feature.ExpectRange, Column: "value", Max: 10.0, OnFailure: feature.QuarantineRow})
	w.load(t, src, 0, reading("a", 1, hours(0.5), 5), reading("b", 1, hours(0.5), 50))
	r := w.run(t, view, nil)
	if r.State != Published || r.Ledger.OutputQuarantined != 1 || r.Ledger.Computed != r.Ledger.Produced+1 || len(w.setAside(t, r)) != 1 {
		t.Errorf("found %s: %s, %+v", r.State, r.Error, r.Ledger)
	}
}
