package quality

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	day   = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	spans = func(from, to int) string {
		return fmt.Sprintf("tstzmultirange(tstzrange('%s', '%s'))", day.AddDate(0, 0, from).Format(time.RFC3339), day.AddDate(0, 0, to).Format(time.RFC3339))
	}
)

func aside(load, row int64, at int, reasons ...string) QuarantinedRow {
	when := day.AddDate(0, 0, at)
	return QuarantinedRow{Load: load, Row: row, EventTime: &when, Reasons: reasons, JSON: json.RawMessage(fmt.Sprintf(`{"n": %d}`, row))}
}

// keep makes a run and keeps rows of it.
func (s *seed) keep(published bool, span string, rows ...QuarantinedRow) (run int64) {
	s.t.Helper()
	ctx := context.Background()
	run = s.run(published, ReachAll)
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		set := SetAside{Run: run, View: s.view, Seq: s.runs, Subject: "source:a", SourceVersion: 1, Spans: span}
		for range 2 { // Twice: it changes nothing.
			err := KeepRows(ctx, tx, set, func(emit func(QuarantinedRow) error) error {
				for _, r := range rows {
					if err := emit(r); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return Finish(ctx, tx, run, s.view, s.runs, nil)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return run
}

// rows are those that a run set aside, as LOAD/ROW REASONS.
func (s *seed) rows(run int64) string {
	s.t.Helper()
	list, err := QuarantinedRows(context.Background(), s.pool, run, []string{"source:a", "output"}, "", 0, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	var texts []string
	for _, r := range list {
		texts = append(texts, fmt.Sprintf("%d/%d %s", r.Load, r.Row, strings.Join(r.Reasons, "+")))
	}
	slices.Sort(texts)
	return strings.Join(texts, ", ")
}

func TestQuarantineKeepsWhatEachRunSaw(t *testing.T) {
	s := newSeed(t)
	ctx := context.Background()
	first := s.keep(true, spans(0, 10), aside(1, 1, 1, "low"), aside(1, 2, 2, "low", "late"), aside(1, 3, 8, "low"))
	// The second looks at the first days again: one row is there no more, one fails for another reason.
	second := s.keep(true, spans(0, 5), aside(1, 2, 2, "low"))
	// The third at the last days, where another row has come.
	third := s.keep(true, spans(7, 10), aside(1, 3, 8, "low"), aside(2, 1, 9, "low"))
	for run, want := range map[int64]string{
		first: "1/1 low, 1/2 low+late, 1/3 low", second: "1/2 low", third: "1/3 low, 2/1 low",
	} {
		if got := s.rows(run); got != want {
			t.Errorf("run %d: found %s, expected %s", run, got, want)
		}
	}
	var kept int
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM headwater.quarantined_row`).Scan(&kept); err != nil {
		t.Fatal(err)
	}
	if kept != 5 {
		t.Errorf("found %d rows in the store, expected each of them once: 5", kept)
	}
	groups, err := Groups(ctx, s.pool, Filter{View: "v"}, 10)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, g := range groups {
		texts = append(texts, fmt.Sprintf("%s %s %s %d", g.Ref, g.Subject, g.Reason, g.Rows))
	}
	want := []string{"v@1/3 source:a low 2", "v@1/2 source:a low 1", "v@1/1 source:a late 1", "v@1/1 source:a low 3"}
	if !slices.Equal(texts, want) {
		t.Errorf("found %q\nexpected %q", texts, want)
	}
	if page, err := Groups(ctx, s.pool, Filter{Before: second}, 1); err != nil || len(page) != 2 || page[0].Run != first {
		t.Errorf("found %v, %v, expected both groups of the first run", page, err)
	}
	if _, err := s.pool.Exec(ctx, `INSERT INTO headwater.view_state (view_id, last_seq, published_seq) VALUES ($1, 3, 3)`, s.view); err != nil {
		t.Fatal(err)
	}
	from, to, err := Open(ctx, s.pool, s.view, 0)
	if err != nil || from == nil || !from.Equal(day.AddDate(0, 0, 2)) || !to.Equal(day.AddDate(0, 0, 9)) {
		t.Errorf("found %v to %v, %v", from, to, err)
	}
	if from, to, err = Open(ctx, s.pool, s.view, first); err != nil || from == nil || !from.Equal(day.AddDate(0, 0, 8)) || !to.Equal(*from) {
		t.Errorf("found %v to %v, %v, expected the row that the first run saw and that is set aside still", from, to, err)
	}
}

func TestQuarantineIsUndone(t *testing.T) {
	s := newSeed(t)
	ctx := context.Background()
	first := s.keep(true, spans(0, 10), aside(1, 1, 1, "low"), aside(1, 2, 2, "low"))
	failed := s.keep(false, spans(0, 10), aside(1, 2, 2, "low"), aside(2, 1, 1, "low"))
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for range 2 {
			if err := Undo(ctx, tx, s.view, s.runs); err != nil {
				return err
			}
		}
		row := aside(2, 1, 1, "low", "late")
		row.Subject = "source:a"
		return KeepFailed(ctx, tx, failed, s.view, s.runs, []QuarantinedRow{row}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.rows(failed); got != "2/1 low+late" {
		t.Errorf("found %s, expected what is kept of the failed run", got)
	}
	if got := s.rows(first); got != "1/1 low, 1/2 low" {
		t.Errorf("found %s, expected what the first run saw", got)
	}
	if got := s.rows(s.keep(true, spans(0, 10), aside(1, 1, 1, "low"))); got != "1/1 low" {
		t.Errorf("found %s, expected only what the last run saw", got)
	}
}

func TestEqualRowsWithoutAPlaceAreEachKept(t *testing.T) {
	s := newSeed(t)
	r := aside(0, 0, 1, "low")
	other := aside(0, 0, 1, "low")
	other.JSON = json.RawMessage(`{"n": 7}`)
	run := s.keep(true, spans(0, 10), r, r, other)
	if got := s.rows(run); got != "0/1 low, 0/1 low, 0/2 low" {
		t.Errorf("found %s", got)
	}
}
