package read

import "github.com/headwaterhq/headwater/feature"

// MaskForTest masks a feature, by VIEW@VERSION.NAME, wherever the plan has it.
func (p *Plan) MaskForTest(ref string, mask func(feature.Value) feature.Value) {
	for _, columns := range [][]Column{p.Columns, p.reads} {
		for i := range columns {
			if columns[i].Ref() == ref {
				columns[i].Mask = mask
			}
		}
	}
}
