package profile

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/headwaterhq/headwater/feature"
)

// Grain is how wide the cells of a grid of time are, in UTC.
type Grain byte

const (
	Hour Grain = iota
	Day
	Month
	Year
	Century
	// Age is ten thousand years: the last one, of which there are never too many.
	Age
)

var grainNames = [...]string{"hour", "day", "month", "year", "century", "10000 years"}

func (g Grain) String() string { return grainNames[g] }

// maxCells is how many cells of a grid may be in use before they become wider.
const maxCells = 400

// grid counts by cells of time: hours at first, and wider ones where there are more than maxCells. How wide depends on the times alone, as
// levels of a sketch do on its numbers.
type grid struct {
	grain Grain
	// width is how many counts a cell has, after that of its rows.
	width int
	cells map[int64]int
	// counts are those of the cells, one after the other.
	counts []int64
	// last is the cell that was asked for last.
	last   int64
	lastAt int
}

func newGrid(width int) *grid { return &grid{width: width, cells: map[int64]int{}, lastAt: -1} }

// cellOf is the number of a time's cell.
func (g *grid) cellOf(t feature.Time) int64 {
	hour := floorDiv(int64(t), int64(time.Hour/time.Microsecond))
	for grain := Hour; grain < g.grain; grain++ {
		hour = grain.wider(hour)
	}
	return hour
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// wider is the cell of the next grain that a cell lies in.
func (g Grain) wider(cell int64) int64 {
	switch g {
	case Hour:
		return floorDiv(cell, 24)
	case Day:
		y, m, _ := time.Unix(cell*86400, 0).UTC().Date()
		return int64(y)*12 + int64(m) - 1
	case Month:
		return floorDiv(cell, 12)
	}
	return floorDiv(cell, 100)
}

// start is when a cell begins.
func (g Grain) start(cell int64) time.Time {
	switch g {
	case Hour:
		return time.Unix(cell*3600, 0).UTC()
	case Day:
		return time.Unix(cell*86400, 0).UTC()
	case Month:
		return time.Date(int(floorDiv(cell, 12)), time.Month(cell-12*floorDiv(cell, 12))+1, 1, 0, 0, 0, 0, time.UTC)
	case Century:
		cell *= 100
	case Age:
		cell *= 10_000
	}
	return time.Date(int(cell), 1, 1, 0, 0, 0, 0, time.UTC)
}

// at is the counts of a time's cell: of rows, and width more.
func (g *grid) at(t feature.Time) []int64 {
	for {
		c := g.cell(g.cellOf(t))
		if c != nil {
			return c
		}
		g.widen()
	}
}

// cell is the counts of a cell, nil where it would be one too many.
func (g *grid) cell(cell int64) []int64 {
	i := g.lastAt
	if i < 0 || cell != g.last {
		var ok bool
		if i, ok = g.cells[cell]; !ok {
			if len(g.cells) == maxCells && g.grain < Age {
				return nil
			}
			i = len(g.counts)
			g.counts = append(g.counts, make([]int64, 1+g.width)...)
			g.cells[cell] = i
		}
		g.last, g.lastAt = cell, i
	}
	return g.counts[i : i+1+g.width]
}

// widen makes the cells those of the next grain.
func (g *grid) widen() {
	old := *g
	*g = *newGrid(g.width)
	g.grain = old.grain + 1
	for cell, i := range old.cells {
		// Of fewer cells there are never too many.
		addCounts(g.cell(old.grain.wider(cell)), old.counts[i:i+1+g.width])
	}
}

func addCounts(counts, others []int64) {
	for i, n := range others {
		counts[i] += n
	}
}

func (g *grid) merge(o *grid) {
	for g.grain < o.grain {
		g.widen()
	}
	for cell, i := range o.cells {
		wide := cell
		for {
			wide = cell
			for grain := o.grain; grain < g.grain; grain++ {
				wide = grain.wider(wide)
			}
			if c := g.cell(wide); c != nil {
				addCounts(c, o.counts[i:i+1+g.width])
				break
			}
			g.widen()
		}
	}
}

// ascending are the numbers of the cells.
func (g *grid) ascending() []int64 {
	list := make([]int64, 0, len(g.cells))
	for cell := range g.cells {
		list = append(list, cell)
	}
	slices.Sort(list)
	return list
}

func (g *grid) appendTo(dst []byte) []byte {
	list := g.ascending()
	dst = append(dst, byte(g.grain))
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	last := int64(0)
	for _, cell := range list {
		dst = binary.AppendVarint(dst, cell-last)
		last = cell
		i := g.cells[cell]
		for _, n := range g.counts[i : i+1+g.width] {
			dst = binary.AppendUvarint(dst, uint64(n))
		}
	}
	return dst
}

func (g *grid) read(r *reader) {
	if g.grain = Grain(r.byte()); g.grain > Age {
		r.fail("a grid of grain %d", g.grain)
		return
	}
	last := int64(0)
	for range r.count(maxCells) {
		cell := last + r.varint()
		// Far beyond any time that there is.
		if cell < -1<<50 || cell > 1<<50 {
			r.fail("a cell %d of a grid", cell)
			return
		}
		last = cell
		if r.err != nil {
			return
		}
		counts := g.cell(cell)
		if counts == nil {
			r.fail("too many cells of a grid")
			return
		}
		for i := range counts {
			counts[i] += r.rows()
		}
	}
}
