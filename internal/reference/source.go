package reference

import "github.com/headwaterhq/headwater/feature"

// SourceRow is one row of a load. Values are those of the source's columns.
type SourceRow struct {
	EventTime, AvailableAt feature.Time
	Values                 []feature.Value
}

// Load is one load, replacement or retraction: an appended fact.
type Load struct {
	// Ends is the number of the load that this one replaces or retracts, 0 for none.
	Ends int
	// Rows is empty for a retraction.
	Rows []SourceRow
}

// Source is the loads of one source. A load's number is its place, counted from 1.
type Source struct{ Loads []Load }

// Append adds a load and returns its number.
func (s *Source) Append(l Load) int {
	s.Loads = append(s.Loads, l)
	return len(s.Loads)
}

// LiveLoads is the numbers of the loads with rows that none up to number ends.
func (s *Source) LiveLoads(number int) []int {
	var live []int
	for i := range s.Loads[:number] {
		ended := false
		for _, l := range s.Loads[:number] {
			ended = ended || l.Ends == i+1
		}
		if !ended && len(s.Loads[i].Rows) > 0 {
			live = append(live, i+1)
		}
	}
	return live
}

// Rows is what the source shows at a load number over an interval of event times.
func (s *Source) Rows(number int, over Interval) []SourceRow {
	var rows []SourceRow
	for _, n := range s.LiveLoads(number) {
		for _, r := range s.Loads[n-1].Rows {
			if over.Contains(r.EventTime) {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// Reach is the smallest interval that holds the event times of all rows live at a load number.
func (s *Source) Reach(number int) (reach Interval, ok bool) {
	for _, n := range s.LiveLoads(number) {
		for _, r := range s.Loads[n-1].Rows {
			if !ok || r.EventTime < reach.Start {
				reach.Start = r.EventTime
			}
			if !ok || r.EventTime >= reach.End {
				reach.End = r.EventTime + 1
			}
			ok = true
		}
	}
	return reach, ok
}
