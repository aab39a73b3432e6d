package read

import "github.com/headwaterhq/headwater/feature"

// Status is what is known of one value. The numbers are those of the proto's ValueStatus, which documents them.
type Status uint8

const (
	Present     Status = 1
	Null        Status = 2
	Default     Status = 3
	NoKey       Status = 4
	NoRow       Status = 5
	Expired     Status = 6
	NotYetKnown Status = 7
	Stale       Status = 8
	Masked      Status = 9
	Error       Status = 10
	Unavailable Status = 11
)

var statusNames = [...]string{
	"UNSPECIFIED", "PRESENT", "NULL", "DEFAULT", "NO_KEY", "NO_ROW", "EXPIRED", "NOT_YET_KNOWN", "STALE", "MASKED",
	"ERROR", "UNAVAILABLE",
}

func (s Status) String() string { return statusNames[s] }

// Winner is the row that the point-in-time rule chose for one view and one entity, or why there is none.
type Winner struct {
	// Status is Present when there is a row, Stale when it may be another by now, else NoKey, NoRow, Expired, NotYetKnown or Unavailable.
	Status Status
	// EventTime, AvailableAt and RunSeq (the run that wrote the row) are zero without a row.
	EventTime, AvailableAt feature.Time
	RunSeq                 int64
	// Values are the view's stored columns. Not used without a row.
	Values []feature.Value
}

// Missing is what is told of a row that the point-in-time rule does not give: why, unless the view has a filter, which decides on rows
// that are given. Of others nobody knows whether it would hide them, and so they look like those that are not there.
func (v *View) Missing(s Status) Status {
	if v.Filter != nil && (s == Expired || s == NotYetKnown) {
		return NoRow
	}
	return s
}

// Admit applies the view's row filter: a winner that the caller may not see becomes a missing row. It reports whether it did; that is for
// the audit, and not for the caller.
func (v *View) Admit(w *Winner) (hidden bool) {
	if v.Filter == nil {
		return false
	}
	if w.Status != Present && w.Status != Stale {
		w.Status = v.Missing(w.Status)
		return false
	}
	var room [8]feature.Value
	values := v.Filter.AppendValues(room[:0], w.EventTime, w.AvailableAt, func(slot int) feature.Value { return w.Values[slot] })
	if !v.Filter.Holds(values) {
		*w = Winner{Status: NoRow}
		return true
	}
	return false
}

// Value is what the caller gets of an admitted winner: mask, then default.
func (c *Column) Value(w *Winner) (feature.Value, Status) {
	v, s := feature.Null(), w.Status
	if s == Present || s == Stale {
		v = w.Values[c.Slot]
		// A NULL that is stale may be a value by now.
		if v.IsNull() && (s == Present || c.Default != nil) {
			s = Null
		} else if !v.IsNull() && c.Mask != nil {
			v, s = c.Mask.Apply(v), Masked
		}
	}
	if c.Default != nil && s != Present && s != Stale && s != Masked && s != Unavailable {
		return *c.Default, Default
	}
	return v, s
}
