package offline

import (
	"slices"
	"testing"
)

func TestTheLastSegmentsGetSmaller(t *testing.T) {
	for _, c := range []struct {
		spine int64
		want  []int
	}{
		{1 << 20, []int{1 << 18, 1 << 18, 1 << 18, 1 << 17, 1 << 16, 1 << 15, 1 << 15}},
		{300_001, []int{75_001, 75_001, 75_001, 37_499, 18_750, 18_749}},
		{20_000, []int{20_000}},
	} {
		p := &pass{join: Join{Rows: c.spine}, rows: max(int(c.spine+3)/4, 32<<10), options: Options{}.withDefaults()}
		var found []int
		for left := c.spine; left > 0; {
			n := min(int64(p.segmentRows(left)), left)
			found, left = append(found, int(n)), left-n
		}
		if !slices.Equal(found, c.want) {
			t.Errorf("%d rows: found segments of %v, expected %v", c.spine, found, c.want)
		}
	}
	// Nobody said how many there are.
	if p := (&pass{rows: 4096, options: Options{}.withDefaults()}); p.segmentRows(-5) != 4096 {
		t.Errorf("found %d rows of a spine that is longer than expected", p.segmentRows(-5))
	}
}
