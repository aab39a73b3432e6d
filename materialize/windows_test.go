package materialize

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
)

const longestWindow = 2 * time.Hour

// positive is a condition of tests, isPositive the same in Go.
const positive = "value > 0"

func isPositive(_ string, r reference.SourceRow) bool {
	v := r.Values[4]
	return !v.IsNull() && !(v.Float64() <= 0)
}

// newWindowView makes a view of the mean of the last hour, and how many positive readings there were in the last two.
func (w *world) newWindowView(t testing.TB, src *feature.SourceVersion, hop time.Duration) *feature.ViewVersion {
	t.Helper()
	return w.add(t, src, feature.View{
		Features:   []feature.Column{{Name: "value", Type: feature.TypeFloat64}},
		Attributes: []feature.Column{{Name: "rows", Type: feature.TypeInt64}},
		Aggregation: &feature.Aggregation{Source: src.Name, Hop: hop, Aggregates: []feature.Aggregate{
			{Feature: "value", Function: feature.Mean, Column: "value", Window: 50 * time.Minute},
			{Feature: "rows", Function: feature.Count, Window: longestWindow, Where: positive},
		}},
	})
}

// ownedWindows is the span of a run of aggregations that was asked for interval.
func (m *model) ownedWindows(interval *reference.Interval) (owned reference.Interval) {
	var reach, covered *reference.Interval
	if r, ok := m.source.Reach(len(m.source.Loads)); ok {
		reach = &r
	}
	if m.covered.Start != m.covered.End {
		covered = &m.covered
	}
	var from, to *feature.Time
	if interval != nil {
		from, to = &interval.Start, &interval.End
	}
	owned, m.begins = m.windows.AggregationRun(reach, from, to, covered, feature.TimeOf(time.Now()))
	return owned
}

// The ledger of a run of aggregations says of each row that was read what became of it.
func TestWindowsAccountForEachRow(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newWindowView(t, src, time.Hour)
	noKey := reading("", 1, hours(1), 1)
	noKey.Values[2] = feature.Null()
	never := reading("a", 1, hours(1), 1)
	never.Values[1] = feature.Null()
	w.load(t, src, 0,
		reading("a", 1, hours(1), 5), noKey, never,
		lateReading("a", 1, hours(1), hours(4), feature.Float64(5)),
		lateReading("a", 1, hours(2.9), hours(3.5), feature.Float64(5)),
		reading("a", 1, hours(0.5), -1),
	)
	r := w.published(t, view, &reference.Interval{Start: hours(2), End: hours(3)})
	l := r.Ledger
	if l.Read != 6 || l.Used != 1 || l.Filtered != 5 || l.Unaccounted != 0 || len(r.Warnings) != 0 {
		t.Errorf("found the ledger %+v with warnings %q", l, r.Warnings)
	}
	want := []LedgerReason{
		{"filtered", "join key is NULL", 1},
		{"filtered", "available at is NULL", 1},
		{"filtered", "available too late for every window", 1},
		{"filtered", "not available by the end of the run", 1},
		{"filtered", "before every window of the run", 1},
	}
	if !slices.Equal(r.Reasons, want) {
		t.Errorf("found the reasons %v, expected %v", r.Reasons, want)
	}
}

func TestWindowsRefuseASumThatDoesNotFit(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.add(t, src, feature.View{
		Features:   []feature.Column{{Name: "value", Type: feature.TypeInt64}},
		Attributes: []feature.Column{{Name: "rows", Type: feature.TypeInt64}},
		Aggregation: &feature.Aggregation{Source: src.Name, Hop: time.Hour, Aggregates: []feature.Aggregate{
			{Feature: "value", Function: feature.Sum, Column: "room", Window: time.Hour},
			{Feature: "rows", Function: feature.Count, Window: time.Hour},
		}},
	})
	const most = 1<<63 - 1
	w.load(t, src, 0, reading("a", most, hours(1), 1), reading("a", most, hours(1), 1))
	r := w.run(t, view, nil)
	want := "feature value: found a sum of 18446744073709551614, which int64 does not hold; narrow the window or its where, or sum a " +
		"float64 or decimal column"
	if r.State != Failed || !strings.Contains(r.Error, want) {
		t.Errorf("found run %s: %s, expected it to fail with %s", r.State, r.Error, want)
	}
}
