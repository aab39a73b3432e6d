package window

import (
	"cmp"
	"math/big"
	"slices"

	"github.com/headwaterhq/headwater/feature"
)

// entity is the rows of one entity in the order of (event time, available at), as columns. It is filled again and again.
type entity struct {
	key       string
	eventTime []feature.Time
	// enters is the first grid point at which the row can be in a window.
	enters []feature.Time
	// order holds positions by enters; nil: they are in that order.
	order   []uint32
	filters [][]bool
	columns []column
}

// column is the values of one column, by position.
type column struct {
	typ   feature.Type
	null  []bool
	codes []uint64
	// texts holds the values that the codes number, in order, for types that are numbered; see appendText.
	texts []string
	// numbersOf holds the coefficients of decimals by their codes, floatsOf the floats next to them.
	numbersOf []*big.Int
	floatsOf  []float64

	// What follows is there when an aggregate needs it.
	inverse []uint64 // codes whose order is the other way round
	ranks   []uint64 // positions, rows of one (event time, available at) by their value
	numbers []uint32 // distinct values, numbered in any order
	// distinct is how many numbers there are.
	distinct int
	sketches []sketchColumn

	wantInverse, wantRanks, wantNumbers bool
	seen                                map[uint64]uint32
}

// sketchColumn is the bucket of each value at one resolution.
type sketchColumn struct {
	bits int
	// buckets are those there are, in order; of is positions in them.
	buckets []uint64
	of      []uint32
}

func newEntity(p *Plan) *entity {
	e := &entity{columns: make([]column, len(p.Columns)), filters: make([][]bool, len(p.Filters))}
	for i := range p.Columns {
		e.columns[i].typ = p.Columns[i].Type
	}
	for _, g := range p.groups {
		for _, c := range g.cells {
			col := &e.columns[c.column]
			col.wantInverse = col.wantInverse || c.max
			col.wantRanks = col.wantRanks || c.first || c.last
			col.wantNumbers = col.wantNumbers || c.set
			for _, r := range c.sketches {
				if !slices.ContainsFunc(col.sketches, func(s sketchColumn) bool { return s.bits == r }) {
					col.sketches = append(col.sketches, sketchColumn{bits: r})
				}
			}
		}
	}
	return e
}

func (c *column) sketchOf(bits int) *sketchColumn {
	for i := range c.sketches {
		if c.sketches[i].bits == bits {
			return &c.sketches[i]
		}
	}
	return nil
}

// value is that of the row at a position, which is not NULL.
func (c *column) value(row uint32) feature.Value {
	if numbered(c.typ) {
		return valueOf(c.typ, c.texts[c.codes[row]])
	}
	return decode(c.typ, c.codes[row])
}

// prepare derives what the aggregates need of the rows that were put in. same tells whether a row has the times of the one
// before it.
func (e *entity) prepare(same func(row int) bool) {
	sorted := slices.IsSorted(e.enters)
	e.order = e.order[:0]
	if !sorted {
		for i := range e.enters {
			e.order = append(e.order, uint32(i))
		}
		slices.SortFunc(e.order, func(a, b uint32) int {
			if c := cmp.Compare(e.enters[a], e.enters[b]); c != 0 {
				return c
			}
			return cmp.Compare(a, b)
		})
	}
	for i := range e.columns {
		c := &e.columns[i]
		if c.typ.Kind() == feature.TypeDecimal {
			c.decimals()
		}
		if c.wantInverse {
			c.inverse = c.inverse[:0]
			for _, code := range c.codes {
				c.inverse = append(c.inverse, ^code)
			}
		}
		if c.wantRanks {
			c.rank(same)
		}
		if c.wantNumbers {
			c.number()
		}
		for s := range c.sketches {
			c.sketch(&c.sketches[s])
		}
	}
}

func (c *column) decimals() {
	c.numbersOf, c.floatsOf = c.numbersOf[:0], c.floatsOf[:0]
	scale := powerOfTen(c.typ.Scale())
	for _, text := range c.texts {
		n := decimalOf(text).Big()
		f, _ := new(big.Rat).SetFrac(n, scale).Float64()
		c.numbersOf, c.floatsOf = append(c.numbersOf, n), append(c.floatsOf, f)
	}
}

func powerOfTen(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func (c *column) rank(same func(row int) bool) {
	n := len(c.codes)
	c.ranks = slices.Grow(c.ranks[:0], n)[:n]
	for i := 0; i < n; {
		end := i + 1
		for end < n && same(end) {
			end++
		}
		for j := i; j < end; j++ {
			c.ranks[j] = uint64(j)
		}
		if end-i > 1 {
			ties := make([]uint32, 0, end-i)
			for j := i; j < end; j++ {
				ties = append(ties, uint32(j))
			}
			slices.SortFunc(ties, func(a, b uint32) int { return cmp.Compare(c.codes[a], c.codes[b]) })
			for k, j := range ties {
				c.ranks[j] = uint64(i + k)
			}
		}
		i = end
	}
}

func (c *column) number() {
	c.numbers = c.numbers[:0]
	if numbered(c.typ) {
		c.distinct = len(c.texts)
		for _, code := range c.codes {
			c.numbers = append(c.numbers, uint32(code))
		}
		return
	}
	if c.seen == nil {
		c.seen = map[uint64]uint32{}
	}
	clear(c.seen)
	for i, code := range c.codes {
		if c.null[i] {
			c.numbers = append(c.numbers, 0)
			continue
		}
		n, ok := c.seen[code]
		if !ok {
			n = uint32(len(c.seen))
			c.seen[code] = n
		}
		c.numbers = append(c.numbers, n)
	}
	c.distinct = len(c.seen)
}

// float is the number of the row at a position, which is not NULL, or the float next to it.
func (c *column) float(row uint32) float64 {
	switch c.typ.Kind() {
	case feature.TypeFloat64:
		return floatOf(c.codes[row])
	case feature.TypeDecimal:
		return c.floatsOf[c.codes[row]]
	}
	return float64(intOf(c.codes[row]))
}

func (c *column) sketch(s *sketchColumn) {
	s.buckets, s.of = s.buckets[:0], s.of[:0]
	bucketOf := func(i int) uint64 { return bucket(c.float(uint32(i)), s.bits) }
	for i := range c.codes {
		if !c.null[i] {
			s.buckets = append(s.buckets, bucketOf(i))
		}
	}
	slices.Sort(s.buckets)
	s.buckets = slices.Compact(s.buckets)
	for i := range c.codes {
		at := 0
		if !c.null[i] {
			at, _ = slices.BinarySearch(s.buckets, bucketOf(i))
		}
		s.of = append(s.of, uint32(at))
	}
}
