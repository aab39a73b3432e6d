package reference

import (
	"slices"

	"github.com/headwaterhq/headwater/feature"
)

// Corrections of a source that arrive, by the rule itself: what is known at an instant is what the loads that were there by
// then say.

// Corrections are the times at which a load replaced or retracted another one, in order, each once.
func (s *Source) Corrections() []feature.Time {
	var times []feature.Time
	for _, l := range s.Loads {
		if l.Ends != 0 {
			times = append(times, l.At)
		}
	}
	slices.Sort(times)
	return slices.Compact(times)
}

// RowsKnown is what the source shows in the state of knowledge at an instant: the rows of loads that replace none, whenever
// they came, and of those that had replaced another one by then, each not known before its load; without those of loads
// that had been replaced or retracted by then.
func (s *Source) RowsKnown(at feature.Time, over Interval) []SourceRow {
	var rows []SourceRow
	for i, l := range s.Loads {
		live := l.Ends == 0 || l.At <= at
		for _, other := range s.Loads {
			if other.Ends == i+1 && other.At <= at {
				live = false
			}
		}
		if !live {
			continue
		}
		for _, r := range l.Rows {
			if !over.Contains(r.EventTime) {
				continue
			}
			if l.Ends != 0 {
				r.AvailableAt = max(r.AvailableAt, l.At)
			}
			rows = append(rows, r)
		}
	}
	return rows
}
