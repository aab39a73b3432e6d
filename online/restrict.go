package online

import (
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// hides reports whether the filter of a view hides a row that was checked. Only what the filter looks at is unpacked.
func (l *Lookup) hides(view *viewPlan, row string, h *Header) (bool, error) {
	var failed error
	l.filtered = view.Filter.AppendValues(l.filtered[:0], h.EventTime, h.AvailableAt, func(slot int) feature.Value {
		if view.layout.null(row, slot) {
			return feature.Null()
		}
		v, err := view.layout.value(row, slot)
		if err != nil {
			failed = err
		}
		return v
	})
	if failed != nil {
		return true, failed
	}
	return !view.Filter.Holds(l.filtered), nil
}

// appendMasked is AppendVector of a column that has a mask: what read.Column.Value makes of each winner. Rows of one entity are masked
// once.
func (l *Lookup) appendMasked(dst []byte, i int, c *read.Column) ([]byte, bool) {
	rows, judged, layout := l.rows[c.View], l.judged[c.View], l.plan.views[c.View].layout
	values := make([]feature.Value, len(judged))
	known := make([]bool, len(judged))
	statuses := l.statuses[:0]
	for _, k := range rows {
		j := &judged[k]
		status := j.status
		if j.row != "" && layout.null(j.row, c.Slot) {
			if status == read.Present {
				status = read.Null
			}
		} else if j.row != "" {
			if !known[k] {
				// The row was checked.
				v, _ := layout.value(j.row, c.Slot)
				values[k], known[k] = c.Mask.Apply(v), true
			}
			status = read.Masked
		}
		statuses = append(statuses, byte(status))
	}
	l.statuses = statuses
	return l.plan.frames[i].AppendVector(dst, len(rows), statuses, func(row int) feature.Value { return values[rows[row]] }), true
}
