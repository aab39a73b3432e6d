package window

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/headwaterhq/headwater/feature"
)

// batch is the rows of one part, decoded, with its entities numbered.
type batch struct {
	plan *Plan
	raw  []byte

	keys    []string
	byKey   map[string]uint32
	entity  []uint32
	times   []feature.Time
	enters  []feature.Time
	delays  []feature.Time
	filters [][]bool
	null    [][]bool
	codes   [][]uint64
	texts   [][][]byte
	starts  []uint32 // where the rows of each entity begin in order
	order   []uint32

	// recalled is where in rawRecalled the values of each entity are, by its number; entities beyond it have none.
	rawRecalled []byte
	recalled    map[uint32]int
}

func newBatch(p *Plan) *batch {
	return &batch{
		plan: p, byKey: map[string]uint32{}, recalled: map[uint32]int{}, filters: make([][]bool, len(p.Filters)), null: make([][]bool, len(p.Columns)),
		codes: make([][]uint64, len(p.Columns)), texts: make([][][]byte, len(p.Columns)),
	}
}

// decode reads the rows that store.add wrote, and counts those that no window of the range has.
func (b *batch) decode(rows int, within Range, counts *Counts) {
	b.keys, b.entity, b.times, b.enters, b.delays = b.keys[:0], b.entity[:0], b.times[:0], b.enters[:0], b.delays[:0]
	clear(b.byKey)
	for i := range b.filters {
		b.filters[i] = b.filters[i][:0]
	}
	for i := range b.codes {
		b.null[i], b.codes[i], b.texts[i] = b.null[i][:0], b.codes[i][:0], b.texts[i][:0]
	}
	raw := b.raw
	hop := feature.Time(b.plan.Hop.Microseconds())
	var point feature.Time // the last point that a row entered at
	known := false
	for range rows {
		n, w := binary.Uvarint(raw)
		key := raw[w : w+int(n)]
		raw = raw[w+int(n):]
		at := feature.Time(binary.LittleEndian.Uint64(raw))
		delay, w := binary.Varint(raw[8:])
		raw = raw[8+w:]
		filters := raw[:flagBytes(len(b.filters))]
		raw = raw[len(filters):]
		nulls := raw[:flagBytes(len(b.codes))]
		raw = raw[len(nulls):]

		enters := at + max(feature.Time(delay), 0)
		if !known || enters > point || enters <= point-hop {
			point, known = enters.Ceil(b.plan.Hop), true
		}
		enters = point
		use := b.classify(at, enters, filters, within, counts)
		if use {
			b.entity = append(b.entity, b.numberOf(key))
			b.times = append(b.times, at)
			b.enters = append(b.enters, enters)
			b.delays = append(b.delays, feature.Time(delay))
			for i := range b.filters {
				b.filters[i] = append(b.filters[i], flag(filters, i))
			}
		}
		for i := range b.codes {
			null := flag(nulls, i)
			text := numbered(b.plan.Columns[i].Type)
			var code uint64
			var value []byte
			switch {
			case null:
			case text:
				n, w := binary.Uvarint(raw)
				value = raw[w : w+int(n)]
				raw = raw[w+int(n):]
			default:
				code = binary.LittleEndian.Uint64(raw)
				raw = raw[8:]
			}
			if !use {
				continue
			}
			b.null[i] = append(b.null[i], null)
			if text {
				b.texts[i] = append(b.texts[i], value)
			} else {
				b.codes[i] = append(b.codes[i], code)
			}
		}
	}
}

func (b *batch) numberOf(key []byte) uint32 {
	number, ok := b.byKey[string(key)]
	if !ok {
		number = uint32(len(b.keys))
		b.keys = append(b.keys, string(key))
		b.byKey[b.keys[number]] = number
	}
	return number
}

func flagBytes(n int) int { return (n + 7) / 8 }

func flag(bits []byte, i int) bool { return bits[i/8]>>(i%8)&1 != 0 }

// classify tells whether a row is in a window at a point of the range or at its start, and counts it.
func (b *batch) classify(at, enters feature.Time, filters []byte, within Range, counts *Counts) bool {
	matches, late := false, true
	for i := range b.plan.groups {
		g := &b.plan.groups[i]
		if g.filter >= 0 && !flag(filters, g.filter) {
			continue
		}
		matches = true
		leaves := at.Add(g.window)
		if enters >= leaves {
			continue
		}
		late = false
		if enters <= within.End && leaves > within.Start {
			counts.Used++
			return true
		}
	}
	switch {
	case !matches:
		counts.NoFilter++
	case late:
		counts.TooLate++
	case enters > within.End:
		counts.NotYet++
	default:
		counts.Before++
	}
	return false
}

// group orders the rows by entity, and those of an entity by (event time, available at). Rows of equal times stay in the
// order in which they came, which nothing that is computed depends on.
func (b *batch) group() {
	n := len(b.entity)
	b.starts = append(b.starts[:0], make([]uint32, len(b.keys)+1)...)
	for _, e := range b.entity {
		b.starts[e+1]++
	}
	for i := 1; i < len(b.starts); i++ {
		b.starts[i] += b.starts[i-1]
	}
	at := slices.Clone(b.starts)
	b.order = slices.Grow(b.order[:0], n)[:n]
	for row, e := range b.entity {
		b.order[at[e]] = uint32(row)
		at[e]++
	}
	for e := range b.keys {
		rows := b.order[b.starts[e]:b.starts[e+1]]
		if b.inOrder(rows) {
			continue
		}
		slices.SortFunc(rows, func(x, y uint32) int {
			if c := cmp.Compare(b.times[x], b.times[y]); c != 0 {
				return c
			}
			return cmp.Compare(b.delays[x], b.delays[y])
		})
	}
}

func (b *batch) inOrder(rows []uint32) bool {
	for i := 1; i < len(rows); i++ {
		x, y := rows[i-1], rows[i]
		if b.times[x] > b.times[y] || b.times[x] == b.times[y] && b.delays[x] > b.delays[y] {
			return false
		}
	}
	return true
}

// fill puts the rows of an entity into e.
func (b *batch) fill(number int, e *entity) {
	rows := b.order[b.starts[number]:b.starts[number+1]]
	e.key = b.keys[number]
	e.eventTime, e.enters = gather(e.eventTime, b.times, rows), gather(e.enters, b.enters, rows)
	for i := range b.filters {
		e.filters[i] = gather(e.filters[i], b.filters[i], rows)
	}
	for i := range e.columns {
		c := &e.columns[i]
		c.null = gather(c.null, b.null[i], rows)
		if numbered(c.typ) {
			b.number(c, b.texts[i], rows)
		} else {
			c.codes = gather(c.codes, b.codes[i], rows)
		}
	}
	e.prepare(func(row int) bool {
		x, y := rows[row-1], rows[row]
		return b.times[x] == b.times[y] && b.delays[x] == b.delays[y]
	})
}

func gather[T any](dst, from []T, rows []uint32) []T {
	dst = slices.Grow(dst[:0], len(rows))[:len(rows)]
	for i, r := range rows {
		dst[i] = from[r]
	}
	return dst
}

// number gives the texts of a column their numbers.
func (b *batch) number(c *column, texts [][]byte, rows []uint32) {
	seen := map[string]struct{}{}
	c.texts = c.texts[:0]
	for i, r := range rows {
		if c.null[i] {
			continue
		}
		if _, ok := seen[string(texts[r])]; !ok {
			text := string(texts[r])
			seen[text] = struct{}{}
			c.texts = append(c.texts, text)
		}
	}
	slices.Sort(c.texts)
	c.codes = c.codes[:0]
	for i, r := range rows {
		at := 0
		if !c.null[i] {
			at, _ = slices.BinarySearchFunc(c.texts, texts[r], func(s string, t []byte) int { return cmp.Compare(s, string(t)) })
		}
		c.codes = append(c.codes, uint64(at))
	}
}
