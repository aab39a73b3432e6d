package bias

import (
	"hash/fnv"
	"slices"

	"github.com/headwaterhq/headwater/feature"
)

const (
	// maxNumbers is how many entries the numbers of a column are counted in.
	maxNumbers = 4096
	// maxTexts is how many values of another type are counted each by itself.
	maxTexts = 256
	// parts is into how many of about as many rows numbers are cut.
	parts = 10
)

// column counts the values of a column by each attribute's values, and those that are missing by group.
type column struct {
	name string
	typ  feature.Type
	// numbers are by attribute, and nil for types without an order, texts for others.
	numbers []*grid
	texts   []map[textKey]int64
	// known are the texts that are told apart; nil: there are too many, and they are counted by their hash.
	known       map[string]uint64
	buf         []byte
	nulls, nans map[int32]int64
}

type textKey struct {
	// at is a hash of the value, of that of the attribute.
	at uint64
	of int32
}

func newColumn(of feature.Column, attributes int) *column {
	c := &column{name: of.Name, typ: of.Type, nulls: map[int32]int64{}, nans: map[int32]int64{}}
	switch of.Type.Kind() {
	case feature.TypeBool, feature.TypeInt64, feature.TypeFloat64, feature.TypeTimestamp, feature.TypeDecimal:
		for range attributes {
			c.numbers = append(c.numbers, newGrid(maxNumbers))
		}
	default:
		c.known = map[string]uint64{}
		for range attributes {
			c.texts = append(c.texts, map[textKey]int64{})
		}
	}
	return c
}

// add takes a value of a row whose group is made of values of the attributes.
func (c *column) add(v feature.Value, group int32, of *tuple) {
	switch {
	case v.IsNull():
		c.nulls[group]++
		return
	case c.numbers != nil:
		f, ok := number(v)
		if !ok {
			c.nans[group]++
			return
		}
		for i, g := range c.numbers {
			g.add(f, of[i])
		}
		return
	}
	c.buf = v.AppendCanonical(c.buf[:0])
	at, ok := c.known[string(c.buf)]
	if !ok {
		h := fnv.New64a()
		h.Write(c.buf)
		at = h.Sum64()
		switch {
		case c.known == nil:
			at = fold(at)
		case len(c.known) == maxTexts:
			for i, texts := range c.texts {
				folded := map[textKey]int64{}
				for k, n := range texts {
					folded[textKey{fold(k.at), k.of}] += n
				}
				c.texts[i] = folded
			}
			c.known, at = nil, fold(at)
		default:
			c.known[string(c.buf)] = at
		}
	}
	for i, texts := range c.texts {
		texts[textKey{at, of[i]}]++
	}
}

// fold is which of maxTexts a value counts as where there are too many: no more of an attribute is told by it than by the value itself.
func fold(at uint64) uint64 { return (at ^ at>>32) % maxTexts }

// exact reports whether values are told apart as they are, by an attribute.
func (c *column) exact(attribute int) bool {
	if c.numbers != nil {
		return c.numbers[attribute].exact()
	}
	return c.known != nil
}

// table counts rows by what value they have, in parts of about as many rows for numbers, and by an attribute's values: places says where each of these is counted, -1
// for nowhere, and groups which of them a group has. NULL and NaN are values like any other. Values that nobody has are left out.
func (c *column) table(steps []step, attribute int, places []int, groups []tuple) [][]int64 {
	var table [][]int64
	row := func() []int64 { return make([]int64, len(places)) }
	count := func(into []int64, of int32, n int64) {
		if at := places[of]; at >= 0 {
			into[at] += n
		}
	}
	keep := func(r []int64) {
		if slices.ContainsFunc(r, func(n int64) bool { return n > 0 }) {
			table = append(table, r)
		}
	}
	for _, m := range []map[int32]int64{c.nulls, c.nans} {
		r := row()
		for group, n := range m {
			count(r, groups[group][attribute], n)
		}
		keep(r)
	}
	if c.numbers == nil {
		byValue := map[uint64][]int64{}
		for k, n := range c.texts[attribute] {
			if byValue[k.at] == nil {
				byValue[k.at] = row()
			}
			count(byValue[k.at], k.of, n)
		}
		at := make([]uint64, 0, len(byValue))
		for k := range byValue {
			at = append(at, k)
		}
		slices.Sort(at)
		for _, k := range at {
			keep(byValue[k])
		}
		return table
	}
	var total, before int64
	for _, s := range steps {
		for _, n := range s.rows {
			total += n
		}
	}
	var part []int64
	at := int64(-1)
	for _, s := range steps {
		if k := before * parts / max(total, 1); k != at {
			if part != nil {
				keep(part)
			}
			part, at = row(), k
		}
		for group, n := range s.rows {
			count(part, group, n)
			before += n
		}
	}
	if part != nil {
		keep(part)
	}
	return table
}
