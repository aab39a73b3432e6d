package reference

import (
	"bytes"
	"errors"
	"slices"

	"github.com/headwaterhq/headwater/feature"
)

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
	// At is when it was committed. Only corrections that arrive ask for it.
	At feature.Time
}

// Source is the loads of one source. A load's number is its place, counted from 1.
type Source struct {
	Loads []Load
	// Key is the places of the unique key's columns among a row's values, none for a source without one. Exact and
	// Conflicting are what becomes of rows that share a key.
	Key         []int
	Exact       feature.ExactDuplicates
	Conflicting feature.ConflictingDuplicates
}

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

// Resolved is what is left of Rows once one row of each key counts, and how many were left out because a row equal to them
// counts, or one that is not. Which counts is decided among all live rows, inside of the interval or not. The error says that
// the rules refuse the duplicates of a key that has a row in the interval.
func (s *Source) Resolved(number int, over Interval) (rows []SourceRow, exact, conflicting int, err error) {
	if len(s.Key) == 0 {
		return s.Rows(number, over), 0, 0, nil
	}
	// In the order in which they win.
	var all []SourceRow
	for _, n := range s.LiveLoads(number) {
		all = append(all, s.Loads[n-1].Rows...)
	}
	if s.Conflicting == feature.KeepNewest {
		slices.Reverse(all)
	}
	inside := map[string]bool{}
	for i := range all {
		if over.Contains(all[i].EventTime) {
			inside[s.key(&all[i])] = true
		}
	}
	for i := range all {
		again, other := false, false
		for j := range i {
			if s.key(&all[j]) == s.key(&all[i]) {
				equal := bytes.Equal(canonical(all[j].Values), canonical(all[i].Values))
				again, other = again || equal, other || !equal
			}
		}
		switch {
		case !inside[s.key(&all[i])]:
		case again && s.Exact == feature.FailExact:
			err = errors.New("rows are equal")
		case !again && other && s.Conflicting == feature.FailConflicting:
			err = errors.New("rows of one key differ")
		case !over.Contains(all[i].EventTime):
		case again:
			exact++
		case other:
			conflicting++
		default:
			rows = append(rows, all[i])
		}
	}
	return rows, exact, conflicting, err
}

func (s *Source) key(r *SourceRow) string {
	var key []feature.Value
	for _, i := range s.Key {
		key = append(key, r.Values[i])
	}
	return string(canonical(key))
}

func canonical(values []feature.Value) []byte {
	var b []byte
	for _, v := range values {
		b = v.AppendCanonical(b)
	}
	return b
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
