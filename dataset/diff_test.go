package dataset

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

func (w *world) diff(t *testing.T, a, b *Manifest, examples int) *Difference {
	t.Helper()
	d, err := w.builder.Diff(context.Background(), Side{a, w.plan()}, Side{b, w.plan()}, examples)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// text is the difference as lines.
func (d *Difference) text() string {
	lines := []string{fmt.Sprintf("same %t by %s: both %d, only %d and %d, differ %d", d.Same, d.MatchedBy, d.RowsBoth, d.RowsOnlyA, d.RowsOnlyB, d.RowsDiffer)}
	if len(d.ColumnsOnlyA)+len(d.ColumnsOnlyB) > 0 {
		lines = append(lines, fmt.Sprintf("columns %v, %v", d.ColumnsOnlyA, d.ColumnsOnlyB))
	}
	for _, c := range d.Columns {
		if c.Rows == 0 && c.TypeA == c.TypeB {
			continue
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %d %s %s", c.Name, c.Rows, c.TypeA, c.TypeB)))
		for _, r := range c.Runs {
			lines = append(lines, fmt.Sprintf("  %q %q %d", r.A, r.B, r.Rows))
		}
	}
	for _, e := range d.Examples {
		line := fmt.Sprintf("%d/%d %s", e.A, e.B, e.Key["origin"].Text())
		for _, v := range e.Values {
			line += fmt.Sprintf(" %s %s %s/%s %s", v.Column, v.A.Text(), v.StatusA, v.StatusB, v.B.Text())
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func wantText(t *testing.T, found string, want ...string) {
	t.Helper()
	if want := strings.Join(want, "\n"); found != want {
		t.Errorf("found\n%s\nexpected\n%s", found, want)
	}
}

func TestDatasetsAreCompared(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := flights(flight(1, "ORD", hours(4), 7), flight(2, "JFK", hours(2), 8), flight(3, "ORD", hours(0.5), 7), flight(4, "JFK", hours(2), 8))
	a, _ := w.build(t, s, "")
	again, _ := w.build(t, s, "")
	wantText(t, w.diff(t, a, again, 5).text(), "same true by row number: both 4, only 0 and 0, differ 0")

	rows := someDelays()
	rows[1].Values = []feature.Value{feature.Float64(21), feature.Int64(2)}
	w.publish(t, "delays", append(rows[:3:3], row("ORD", hours(0.5), hours(0.5), feature.Float64(1), feature.Int64(9)))...)
	b, _ := w.build(t, s, "")
	wantText(t, w.diff(t, a, b, 5).text(), "same false by row number: both 4, only 0 and 0, differ 4",
		"delays__departures 3", `  "delays@1/1" "" 2`, `  "" "delays@1/2" 1`,
		"delays__mean 4", `  "delays@1/1" "" 2`, `  "" "delays@1/2" 1`, `  "delays@1/1" "delays@1/2" 1`,
		"1/1 ORD delays__mean 20 PRESENT/PRESENT 21",
		"2/2 JFK delays__departures 4 PRESENT/NO_ROW  delays__mean -0.5 PRESENT/NO_ROW ",
		"3/3 ORD delays__departures  NO_ROW/PRESENT 9 delays__mean  NO_ROW/PRESENT 1",
		"4/4 JFK delays__departures 4 PRESENT/NO_ROW  delays__mean -0.5 PRESENT/NO_ROW ")
	if n := len(w.diff(t, a, b, 2).Examples); n != 2 {
		t.Errorf("found %d examples, expected 2", n)
	}

	// Another spine: rows are found by keys and times, equal ones in their order, wherever they stand.
	other := flights(s.rows[3], s.rows[0], flight(5, "ORD", hours(9), 7), s.rows[2])
	c, _ := w.build(t, other, "")
	d := w.diff(t, b, c, 10)
	wantText(t, d.text(), "same false by number, origin, timestamp: both 3, only 1 and 1, differ 1",
		"label 1", "2/1 JFK label 2 / 4", "0/3 ORD", "4/0 JFK")
	back := w.diff(t, c, b, 10)
	if back.RowsOnlyA != 1 || back.RowsOnlyB != 1 || back.RowsDiffer != 1 {
		t.Errorf("found %s", back.text())
	}
	if !slices.Equal(d.ColumnsOnlyA, nil) {
		t.Errorf("found %v", d.ColumnsOnlyA)
	}
}
