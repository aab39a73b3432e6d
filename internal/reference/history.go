package reference

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// Live is the SeqTo of a row that no run has ended.
const Live = math.MaxInt64

// Interval is [Start, End).
type Interval struct{ Start, End feature.Time }

// Contains reports whether t lies in the interval.
func (i Interval) Contains(t feature.Time) bool { return i.Start <= t && t < i.End }

// HistoryRow is a row with the run that wrote it and the run that ended it.
type HistoryRow struct {
	feature.Row
	SeqFrom, SeqTo int64
}

// Visible reports whether a reader at seq sees the row.
func (r *HistoryRow) Visible(seq int64) bool { return r.SeqFrom <= seq && seq < r.SeqTo }

// History is all rows that runs of one view version wrote, in the order they were written.
type History struct{ Rows []HistoryRow }

// Ledger is what a run did. Live is the rows of the whole view version after it.
type Ledger struct{ Produced, Unchanged, Inserted, Withdrawn, Live int64 }

func (l Ledger) String() string {
	return fmt.Sprintf("produced %d unchanged %d inserted %d withdrawn %d live %d",
		l.Produced, l.Unchanged, l.Inserted, l.Withdrawn, l.Live)
}

// ApplyRun is Apply for a run of one interval.
func (h *History) ApplyRun(seq int64, owned Interval, grain time.Duration, rows []feature.Row) (Ledger, error) {
	return h.Apply(seq, []Interval{owned}, grain, rows)
}

// Apply makes the live rows whose event time less grain lies in one of owned equal to rows, as run seq: live rows that are not
// among rows end, rows that are not live already begin. An error, for rows that break a rule of runs, leaves the history
// alone.
func (h *History) Apply(seq int64, owned []Interval, grain time.Duration, rows []feature.Row) (Ledger, error) {
	owns := func(r *feature.Row) bool {
		return slices.ContainsFunc(owned, func(i Interval) bool { return i.Contains(r.EventTime.Add(-grain)) })
	}
	for i := range rows {
		if !owns(&rows[i]) {
			return Ledger{}, fmt.Errorf("row %d lies outside of the interval", i)
		}
		for j := range i {
			if sameMoment(&rows[i], &rows[j]) {
				return Ledger{}, fmt.Errorf("rows %d and %d are of one moment", j, i)
			}
		}
	}
	for i := range h.Rows {
		if h.Rows[i].SeqFrom >= seq || (h.Rows[i].SeqTo != Live && h.Rows[i].SeqTo >= seq) {
			return Ledger{}, fmt.Errorf("sequence %d is not after those before", seq)
		}
	}
	var l Ledger
	for i := range h.Rows {
		r := &h.Rows[i]
		if r.SeqTo == Live && owns(&r.Row) && !contains(rows, &r.Row) {
			r.SeqTo = seq
			l.Withdrawn++
		}
	}
	live := h.LiveRows()
	for i := range rows {
		l.Produced++
		if contains(live, &rows[i]) {
			l.Unchanged++
			continue
		}
		h.Rows = append(h.Rows, HistoryRow{Row: rows[i], SeqFrom: seq, SeqTo: Live})
		l.Inserted++
	}
	l.Live = int64(len(h.LiveRows()))
	return l, nil
}

// LiveRows is the rows that no run has ended.
func (h *History) LiveRows() []feature.Row { return h.At(Live - 1) }

// At is the rows that a reader at seq sees.
func (h *History) At(seq int64) []feature.Row {
	var rows []feature.Row
	for i := range h.Rows {
		if h.Rows[i].Visible(seq) {
			rows = append(rows, h.Rows[i].Row)
		}
	}
	return rows
}

// Touched is the entity keys of which run seq wrote or ended a row, each once.
func (h *History) Touched(seq int64) []string {
	var keys []string
	seen := map[string]bool{}
	for i := range h.Rows {
		r := &h.Rows[i]
		if (r.SeqFrom == seq || r.SeqTo == seq) && !seen[r.Key] {
			seen[r.Key] = true
			keys = append(keys, r.Key)
		}
	}
	return keys
}

// PointInTime is the rule: of the rows of key that are visible at seq, true by at, known by at and, with a ttl, not older
// than it, the one with the greatest (event time, available at). Without one the status says why: EXPIRED when a row that
// was known by then is too old, else NOT_YET_KNOWN when a row was true by then and not too old, but not known, else NO_ROW.
func (h *History) PointInTime(key string, at feature.Time, ttl time.Duration, seq int64) read.Winner {
	return h.pointInTime(key, at, ttl, seq, false)
}

// PointInEventTime is PointInTime for who does not mind when rows arrived: all are known from their event time on.
func (h *History) PointInEventTime(key string, at feature.Time, ttl time.Duration, seq int64) read.Winner {
	return h.pointInTime(key, at, ttl, seq, true)
}

func (h *History) pointInTime(key string, at feature.Time, ttl time.Duration, seq int64, anyArrival bool) read.Winner {
	w := read.Winner{Status: read.NoRow}
	expired, unknown := false, false
	for i := range h.Rows {
		r := &h.Rows[i]
		if r.Key != key || !r.Visible(seq) || r.EventTime > at {
			continue
		}
		tooOld := ttl > 0 && r.EventTime < at.Add(-ttl)
		known := anyArrival || r.AvailableAt <= at
		switch {
		case tooOld && known:
			expired = true
		case tooOld:
		case !known:
			unknown = true
		case w.Status != read.Present || later(&r.Row, w):
			w = read.Winner{
				Status: read.Present, EventTime: r.EventTime, AvailableAt: r.AvailableAt, RunSeq: r.SeqFrom, Values: r.Values,
			}
		}
	}
	switch {
	case w.Status == read.Present:
	case expired:
		w.Status = read.Expired
	case unknown:
		w.Status = read.NotYetKnown
	}
	return w
}

func later(r *feature.Row, w read.Winner) bool {
	if r.EventTime != w.EventTime {
		return r.EventTime > w.EventTime
	}
	return r.AvailableAt > w.AvailableAt
}

func sameMoment(a, b *feature.Row) bool {
	return a.Key == b.Key && a.EventTime == b.EventTime && a.AvailableAt == b.AvailableAt
}

// contains is by canonical encoding: what it makes equal is the same value.
func contains(rows []feature.Row, r *feature.Row) bool {
	for i := range rows {
		if bytes.Equal(rows[i].AppendCanonical(nil), r.AppendCanonical(nil)) {
			return true
		}
	}
	return false
}

// Digest is that of rows as a run's output.
func Digest(rows []feature.Row) feature.Digest {
	var d feature.SetDigest
	for i := range rows {
		d.Add(rows[i].AppendCanonical(nil))
	}
	return d.Digest()
}

// Describe is the same text for two winners exactly when they are equal, values by their canonical encoding.
func Describe(w *read.Winner) string {
	if w.Status != read.Present {
		return w.Status.String()
	}
	s := fmt.Sprintf("PRESENT event %s available %s run %d:", w.EventTime, w.AvailableAt, w.RunSeq)
	for _, v := range w.Values {
		switch {
		case v.IsNull():
			s += " NULL"
		case v.Equal(feature.Float64(0)):
			s += " float64 0"
		default:
			s += fmt.Sprintf(" %s %q", v.Type(), v.Text())
		}
	}
	return s
}
