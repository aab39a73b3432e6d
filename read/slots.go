package read

import "slices"

// Slots are the positions, ascending, of the stored columns of one of the plan's views that a read needs: those that it shows, those
// that on-demand features read, and those that its row filter looks at.
func (p *Plan) Slots(view int) []int {
	slots := []int{}
	if f := p.Views[view].Filter; f != nil {
		for _, slot := range f.Slots {
			if slot >= 0 {
				slots = append(slots, slot)
			}
		}
	}
	for _, columns := range [][]Column{p.Columns, p.reads} {
		for i := range columns {
			if columns[i].View == view {
				slots = append(slots, columns[i].Slot)
			}
		}
	}
	slices.Sort(slots)
	return slices.Compact(slots)
}
