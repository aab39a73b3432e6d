package read

import "slices"

// Slots are the positions, ascending, of the stored columns of one of the plan's views that a read needs. nil: all of them,
// for a row filter may look at any.
func (p *Plan) Slots(view int) []int {
	if p.Views[view].Filter != nil {
		return nil
	}
	slots := []int{}
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
