package materialize

import (
	"context"
	"fmt"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
)

// What a run computes is not compared with the rows that are live where the records say that it is these rows. To see it, one of them
// is changed where no run knows of it: a run that compares puts it right.
func TestOutputThatIsKnownToBeLiveIsNotCompared(t *testing.T) {
	for _, chunkRows := range []int64{6, 1000} {
		t.Run(fmt.Sprint("chunks of ", chunkRows), func(t *testing.T) {
			w := newChunkedWorld(t, chunkRows)
			src := w.newSource(t)
			view := w.newView(t, src, latest, 0)
			load := w.load(t, src, 0, manyReadings(0)...)
			w.published(t, view, nil)
			good := describe(w.history(t, view))
			tamper := func(sql string) {
				t.Helper()
				if _, err := w.pool.Exec(t.Context(), fmt.Sprintf(sql, "headwater_history."+view.Name+"_v1")); err != nil {
					t.Fatal(err)
				}
			}
			again := func() *Run {
				t.Helper()
				load = w.load(t, src, load, manyReadings(0)...)
				r := w.published(t, view, nil)
				if _, n := w.chunksOf(t, r); (n > 0) != (chunkRows == 6) {
					t.Errorf("found %d chunks of a run", n)
				}
				return r
			}

			const change, back = `UPDATE %s SET value = 700 WHERE value = 7`, `UPDATE %s SET value = 7 WHERE value = 700`
			tamper(change)
			if r := again(); r.Ledger.Unchanged != 40 || r.Ledger.Inserted+r.Ledger.Withdrawn != 0 {
				t.Errorf("found %+v, expected 40 rows unchanged and none looked at", r.Ledger)
			}
			tamper(back)
			if found := describe(w.history(t, view)); found != good {
				t.Errorf("found %s\nexpected %s", found, good)
			}

			// Their number is looked at.
			tamper(`DELETE FROM %s WHERE value = 7`)
			if r := again(); r.Ledger.Inserted != 1 || r.Ledger.Withdrawn != 0 || len(w.history(t, view)) != 40 {
				t.Errorf("found %+v, expected the row that was missing to be back", r.Ledger)
			}

			// The records speak of what was live before a run changed it, and then of what that run left.
			changed := manyReadings(0)
			changed[7] = reading("s3", 3, hours(7), 77)
			load = w.load(t, src, load, changed...)
			w.published(t, view, nil)
			if r := again(); r.Ledger.Inserted != 1 || r.Ledger.Withdrawn != 1 {
				t.Errorf("found %+v, expected one row to be corrected again", r.Ledger)
			}
		})
	}
}

// Chunks end where those of the run before did, though the rows are others.
func TestChunksEndWhereTheyDid(t *testing.T) {
	w := newChunkedWorld(t, 6)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	load := w.load(t, src, 0, manyReadings(0)...)
	cut := func(r *Run) []offline.Spans {
		t.Helper()
		chunks, err := lastCut(context.Background(), w.pool, view.ID, r.Seq)
		if err != nil {
			t.Fatal(err)
		}
		return chunks
	}
	before := cut(w.published(t, view, nil))
	// As many, and more of them early.
	w.load(t, src, load, append(manyReadings(0)[2:], reading("more", 1, hours(0), 1), reading("more", 1, hours(3.5), 1))...)
	if after := cut(w.published(t, view, nil)); len(before) < 4 || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("found chunks %v, expected those of the first run: %v", after, before)
	}
}

func TestPiecesOfRuns(t *testing.T) {
	span := func(from, to feature.Time) offline.Spans { return offline.NewSpans(offline.Span{Start: from, End: to}) }
	one := func(seq int64, from, to feature.Time, changed offline.Spans) piece {
		return piece{seq: seq, spans: span(from, to), known: offline.Known{Rows: int64(to - from)}, changed: changed}
	}
	for _, c := range []struct {
		name   string
		pieces []piece
		spans  offline.Spans
		part   bool
		rows   int64
	}{
		{"nothing ran", nil, span(0, 10), false, 0},
		{"it is not known what ran", nil, span(0, 10), true, -1},
		{"one run", []piece{one(1, 0, 10, span(0, 10))}, span(0, 10), false, 10},
		{"one run and more that is not known", []piece{one(1, 0, 10, span(0, 10))}, span(0, 10), true, 10},
		{"chunks", []piece{one(1, 0, 4, span(0, 10)), one(1, 4, 10, span(0, 10))}, span(0, 10), false, 10},
		{"chunks of several runs", []piece{one(2, 4, 10, nil), one(1, 0, 4, span(0, 10)), one(1, 4, 10, span(0, 10))}, span(0, 10), false, 10},
		{"part of a run", []piece{one(1, 0, 10, span(0, 10))}, span(0, 9), false, -1},
		{"more than was run", []piece{one(1, 0, 10, span(0, 10))}, span(-5, 20), false, 10},
		{"a later run changed a part", []piece{one(2, 3, 5, span(3, 5)), one(1, 0, 10, span(0, 10))}, span(0, 10), false, -1},
		{"a later run changed nothing", []piece{one(2, 3, 5, nil), one(1, 0, 10, span(0, 10))}, span(0, 10), false, 10},
		{"a later run that changed nothing ends elsewhere", []piece{one(2, 0, 6, nil), one(1, 0, 10, span(0, 10))}, span(0, 6), false, 6},
		{"a later run of what lies around changed nothing", []piece{one(2, -3, 15, nil), one(1, 0, 10, span(0, 10))}, span(0, 10), false, 10},
		{"a later run of what lies around changed something", []piece{one(2, -3, 15, span(-3, 15)), one(1, 0, 10, span(0, 10))}, span(0, 10), false, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := int64(-1)
			if known := addUp(c.pieces, c.spans, !c.part); known != nil {
				found = known.Rows
			}
			if found != c.rows {
				t.Errorf("found %d rows, expected %d (-1: not known)", found, c.rows)
			}
		})
	}
}
