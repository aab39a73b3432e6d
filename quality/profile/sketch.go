package profile

import (
	"encoding/binary"
	"math"
)

const (
	// sketchBits is how many bits of the mantissa name a bucket at first: buckets are 1/64 of an octave wide.
	sketchBits = 6
	// maxBuckets is how many may be in use before pairs of neighbours become one.
	maxBuckets = 2048
	// keyBits is the width of a key at first: the exponent's bits and those of the mantissa.
	keyBits = 11 + sketchBits
	// maxSketchLevel leaves one bucket of each sign.
	maxSketchLevel = keyBits
)

// sketch is a DDSketch (C. Masson, J. Rim, H. Lee, 2019) with linear interpolation: a bucket is the exponent and the first bits of the
// mantissa of a float64, so that finding it takes a shift and no logarithm, which processors round differently. It is bounded by uniform
// collapse (I. Epicoco et al., UDDSketch, 2020): where more than maxBuckets are in use, each pair of neighbours becomes one. How often
// depends on the buckets in use alone: those of a part are never more than those of the whole, so no part collapses further than it.
type sketch struct {
	level int
	zero  int64
	n     int64
	// used is how many buckets are.
	used int
	// sides are the buckets of positive and of negative numbers, by their magnitude, in pages of 64.
	sides [2]side
	// low and high are the least and the greatest number.
	low, high float64
}

// side has nil where no bucket of a page is in use.
type side []*[64]int64

// add takes a number that is neither NaN nor infinite.
func (s *sketch) add(f float64) {
	if s.n == 0 || f < s.low {
		s.low = f
	}
	if s.n == 0 || f > s.high {
		s.high = f
	}
	s.n++
	if f == 0 {
		s.zero++
		return
	}
	b := math.Float64bits(f)
	s.count(int(b>>63), int(b<<1>>1>>(52-sketchBits))>>s.level, 1)
}

func (s *sketch) count(sign, key int, rows int64) {
	pages := s.sides[sign]
	at := key >> 6
	if at >= len(pages) {
		pages = append(pages, make(side, at+1-len(pages))...)
		s.sides[sign] = pages
	}
	page := pages[at]
	if page == nil {
		page = new([64]int64)
		pages[at] = page
	}
	if page[key&63] == 0 {
		s.used++
	}
	page[key&63] += rows
	if s.used > maxBuckets {
		s.collapse(s.level + 1)
	}
}

// collapse makes the buckets those of a higher level.
func (s *sketch) collapse(level int) {
	old, by := s.sides, level-s.level
	s.level, s.used, s.sides = level, 0, [2]side{}
	for sign, pages := range old {
		pages.each(func(key int, rows int64) { s.count(sign, key>>by, rows) })
	}
}

func (p side) each(do func(key int, rows int64)) {
	for at, page := range p {
		if page == nil {
			continue
		}
		for i, rows := range page {
			if rows != 0 {
				do(at<<6|i, rows)
			}
		}
	}
}

func (s *sketch) merge(o *sketch) {
	if o.n == 0 {
		return
	}
	if s.n == 0 || o.low < s.low {
		s.low = o.low
	}
	if s.n == 0 || o.high > s.high {
		s.high = o.high
	}
	s.n, s.zero = s.n+o.n, s.zero+o.zero
	if o.level > s.level {
		s.collapse(o.level)
	}
	for sign, pages := range o.sides {
		// Counting may collapse further.
		pages.each(func(key int, rows int64) { s.count(sign, key>>(s.level-o.level), rows) })
	}
}

// bucket is some numbers between two, from low on and below high; all of zero: both are.
type bucket struct {
	low, high float64
	rows      int64
}

// bounds are those of a bucket of positive numbers.
func (s *sketch) bounds(key int) (low, high float64) {
	bound := func(key int) float64 {
		b := uint64(key) << (s.level + 52 - sketchBits)
		if b >= math.Float64bits(math.Inf(1)) {
			return math.MaxFloat64
		}
		return math.Float64frombits(b)
	}
	return bound(key), bound(key + 1)
}

// buckets are those in use, ascending.
func (s *sketch) buckets() []bucket {
	list := make([]bucket, 0, s.used+1)
	s.sides[1].each(func(key int, rows int64) {
		low, high := s.bounds(key)
		// What is above -high, up to -low.
		list = append(list, bucket{low: math.Nextafter(-high, 0), high: math.Nextafter(-low, 1), rows: rows})
	})
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	if s.zero > 0 {
		list = append(list, bucket{rows: s.zero})
	}
	s.sides[0].each(func(key int, rows int64) {
		low, high := s.bounds(key)
		list = append(list, bucket{low: low, high: high, rows: rows})
	})
	return list
}

// relativeError bounds by how much a quantile may be off, as a share of it.
func (s *sketch) relativeError() float64 {
	if width := sketchBits - s.level; width >= 0 {
		// Of the first bucket of an octave, [1, 1 + w), the middle is (1 + w/2): at most w/2 off.
		return math.Ldexp(1, -width-1)
	}
	return 1
}

// middle is what stands for a bucket, within what there is.
func (s *sketch) middle(b bucket, whole bool) float64 {
	m := b.low/2 + b.high/2
	if whole {
		// Numbers without a fraction are exact where a bucket has one of them.
		m = math.Round(m)
		if b.high-b.low <= 1 {
			m = math.Ceil(b.low)
		}
	}
	return min(max(m, s.low), s.high)
}

// quantile is the value of rank q * (n - 1) rounded down, within relativeError; the least and the greatest are exact. whole says that
// there are no fractions. There must be numbers.
func (s *sketch) quantile(list []bucket, q float64, whole bool) float64 {
	rank := int64(q * float64(s.n-1))
	switch {
	case rank <= 0:
		return s.low
	case rank >= s.n-1:
		return s.high
	}
	for _, b := range list {
		if rank -= b.rows; rank < 0 {
			return s.middle(b, whole)
		}
	}
	return s.high
}

// appendTo appends the level, the least, the greatest, and the buckets in use: of negative numbers, of zero, of positive ones.
func (s *sketch) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.n))
	if s.n == 0 {
		return dst
	}
	dst = append(dst, byte(s.level))
	dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(s.low))
	dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(s.high))
	dst = binary.AppendUvarint(dst, uint64(s.zero))
	for _, pages := range s.sides {
		used := 0
		pages.each(func(int, int64) { used++ })
		dst = binary.AppendUvarint(dst, uint64(used))
		last := -1
		pages.each(func(key int, rows int64) {
			dst = binary.AppendUvarint(dst, uint64(key-last-1))
			dst = binary.AppendUvarint(dst, uint64(rows))
			last = key
		})
	}
	return dst
}

func (s *sketch) read(r *reader) {
	n := r.rows()
	if n == 0 {
		return
	}
	s.level = int(r.byte())
	if s.level > maxSketchLevel {
		r.fail("a sketch of level %d", s.level)
		return
	}
	low, high := math.Float64frombits(r.uint64()), math.Float64frombits(r.uint64())
	if !(low <= high) || math.IsInf(low, 0) || math.IsInf(high, 0) {
		r.fail("bounds %v and %v of a sketch", low, high)
		return
	}
	s.low, s.high = low, high
	s.zero = r.rows()
	total := s.zero
	for sign := range s.sides {
		key := -1
		for range r.count(maxBuckets) {
			key += 1 + r.count(1<<keyBits)
			rows := r.rows()
			if r.err != nil {
				return
			}
			if key >= 1<<(keyBits-s.level) && key > 0 || rows == 0 {
				r.fail("a bucket %d of level %d with %d rows", key, s.level, rows)
				return
			}
			s.count(sign, key, rows)
			total += rows
		}
	}
	s.n = n
	if total != n {
		r.fail("%d numbers in buckets, expected %d", total, n)
	}
}

// below is how many numbers are less than an edge, where buckets are cut no further: those of a bucket count as its least does.
func below(list []bucket, edge float64) (rows int64) {
	for _, b := range list {
		if b.low >= edge {
			break
		}
		rows += b.rows
	}
	return rows
}
