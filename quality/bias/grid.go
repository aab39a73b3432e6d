package bias

import (
	"math"
	"slices"
	"strconv"

	"github.com/headwaterhq/headwater/feature"
)

// grid counts numbers by group: each by itself as long as there are few, else by their leading bits, which keep their order. How many bits it
// keeps depends on the numbers alone: the most with which no more entries than the limit are there.
type grid struct {
	limit int
	// drop is how many trailing bits are not looked at.
	drop  uint
	cells map[gridKey]int64
}

type gridKey struct {
	// at is a number's bits in the order of the numbers.
	at    uint64
	group int32
}

// dropStep is by how many bits a grid becomes coarser at once, maxDrop where that ends.
const (
	dropStep = 4
	maxDrop  = 60
)

func newGrid(limit int) *grid { return &grid{limit: limit, cells: map[gridKey]int64{}} }

func (g *grid) add(f float64, group int32) {
	if f == 0 {
		// There is one zero.
		f = 0
	}
	bits := math.Float64bits(f)
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	g.cells[gridKey{bits >> g.drop << g.drop, group}]++
	for len(g.cells) > g.limit && g.drop < maxDrop {
		g.drop += dropStep
		coarser := make(map[gridKey]int64, g.limit)
		for k, n := range g.cells {
			coarser[gridKey{k.at >> g.drop << g.drop, k.group}] += n
		}
		g.cells = coarser
	}
}

// step is the rows of one number, or of numbers near each other, by group.
type step struct {
	rows map[int32]int64
}

// steps are ascending.
func (g *grid) steps() []step {
	by := map[uint64]map[int32]int64{}
	for k, n := range g.cells {
		if by[k.at] == nil {
			by[k.at] = map[int32]int64{}
		}
		by[k.at][k.group] += n
	}
	at := make([]uint64, 0, len(by))
	for k := range by {
		at = append(at, k)
	}
	slices.Sort(at)
	list := make([]step, len(at))
	for i, k := range at {
		list[i].rows = by[k]
	}
	return list
}

// exact reports whether each number is counted by itself.
func (g *grid) exact() bool { return g.drop == 0 }

// auc is the chance that a number of the first kind is greater than one of the second, ties as half, and by how much it may be off. kind says of which a
// group is: 1, 0, or -1 for neither. ok is false where either has none.
func (g *grid) auc(steps []step, kind func(group int32) int) (auc, off float64, ok bool) {
	var first, second, ties int64
	var sum float64
	for _, s := range steps {
		var n [2]int64
		for group, rows := range s.rows {
			if k := kind(group); k >= 0 {
				n[k] += rows
			}
		}
		// Of the first kind here, and of the second before.
		sum += float64(n[1]) * float64(second)
		ties += n[1] * n[0]
		first, second = first+n[1], second+n[0]
	}
	if first == 0 || second == 0 {
		return 0, 0, false
	}
	pairs := float64(first) * float64(second)
	auc = (sum + float64(ties)/2) / pairs
	if !g.exact() {
		off = float64(ties) / 2 / pairs
	}
	return auc, off, true
}

// number is the number that a value is, if it is one: of bools 0 and 1, of times microseconds.
func number(v feature.Value) (float64, bool) {
	if v.IsNull() {
		return 0, false
	}
	switch t := v.Type(); t.Kind() {
	case feature.TypeInt64:
		return float64(v.Int64()), true
	case feature.TypeFloat64:
		f := v.Float64()
		return f, !math.IsNaN(f)
	case feature.TypeBool:
		if v.Bool() {
			return 1, true
		}
		return 0, true
	case feature.TypeTimestamp:
		return float64(v.Timestamp()), true
	case feature.TypeDecimal:
		f, err := strconv.ParseFloat(v.Text(), 64)
		return f, err == nil
	}
	return 0, false
}
