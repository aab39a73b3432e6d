package profile

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/zeebo/xxh3"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/window"
)

// Column is what a profile knows of one column.
type Column struct {
	Spec
	kind feature.Type
	// seed sets the sample of the column apart from those of others, so that nobody puts rows together again.
	seed uint64

	// present are values that are there: not NULL, and of floats not NaN.
	present, nulls, nans int64
	positive, negative   int64
	empty, truths        int64

	// some: there are low and high, the least and the greatest of numbers of 64 bits that are compared as they are, or min and max, those of
	// other types. Of floats the sketch has the finite ones.
	some      bool
	low, high int64
	min, max  feature.Value

	moments *window.Moments
	sketch  *sketch
	// times counts timestamps.
	times    *grid
	counted  counted
	distinct distinct
	sample   sample
	lengths  lengths
	buf      []byte
}

// lengths are those of text in characters, of bytes in bytes, of lists in elements.
type lengths struct {
	// n is of how many values there is one.
	n, min, max, sum int64
}

func newColumn(spec Spec) *Column {
	c := &Column{Spec: spec, kind: spec.Type.Kind(), seed: xxh3.HashString(spec.Name)}
	if spec.Key {
		return c
	}
	c.moments = window.NewMoments(spec.Type)
	if c.moments != nil {
		c.sketch = &sketch{}
	}
	if c.kind == feature.TypeTimestamp {
		c.times = newGrid(0)
	}
	return c
}

// add takes a value of the column's type, of a row of which hash is that of all its values, and reports whether it is there.
func (c *Column) add(v feature.Value, row uint64) bool {
	if v.IsNull() {
		c.nulls++
		return false
	}
	var hash uint64
	switch c.kind {
	case feature.TypeFloat64:
		f := v.Float64()
		switch {
		case f != f:
			c.nans++
			return false
		case f == 0:
			// The two zeros are one value.
			f, v = 0, feature.Float64(0)
		}
		hash = mix(math.Float64bits(f))
		switch {
		case c.Key:
		case f > math.MaxFloat64:
			c.positive++
		case f < -math.MaxFloat64:
			c.negative++
		default:
			c.moments.AddFloat64(f)
			c.sketch.add(f)
		}
	case feature.TypeInt64:
		n := v.Int64()
		hash = mix(uint64(n))
		if !c.Key {
			c.bounds64(n)
			c.moments.AddInt64(n)
			c.sketch.add(float64(n))
		}
	case feature.TypeTimestamp:
		n := int64(v.Timestamp())
		hash = mix(uint64(n))
		if !c.Key {
			c.bounds64(n)
			c.times.at(feature.Time(n))[0]++
		}
	case feature.TypeString:
		text := v.Str()
		hash = xxh3.HashString(text)
		if !c.Key {
			c.bounds(v)
			c.length(int64(utf8.RuneCountInString(text)))
		}
	case feature.TypeBool:
		if v.Bool() {
			c.truths++
			hash = 1
		}
		hash = mix(hash)
	case feature.TypeDecimal:
		d := v.Decimal()
		hash = mix(d.Lo ^ mix(uint64(d.Hi)))
		if !c.Key {
			c.bounds(v)
			c.moments.Add(v)
			c.sketch.add(decimalFloat(d, c.Type.Scale()))
		}
	case feature.TypeBytes:
		hash = xxh3.HashString(v.Str())
		c.length(int64(len(v.Str())))
	default:
		c.buf = v.AppendCanonical(c.buf[:0])
		hash = xxh3.Hash(c.buf)
		if c.kind == feature.TypeList {
			c.length(int64(v.Len()))
		}
	}
	c.present++
	if !c.counted.over {
		if c.counted.add(hash, c.shown(v), 1) {
			c.overflow()
			c.distinct.add(hash)
		}
	} else {
		c.distinct.add(hash)
	}
	if !c.Key {
		if row = mix(row ^ c.seed); len(c.sample.rows) < maxSampled || row <= c.sample.rows[0].row {
			c.sample.add(row, hash, v, 1)
		}
	}
	return true
}

// shown is a value that may be kept: none of a key.
func (c *Column) shown(v feature.Value) feature.Value {
	if c.Key {
		return feature.Null()
	}
	return v
}

// overflow goes on without counting values one by one.
func (c *Column) overflow() {
	for i := range c.counted.entries {
		c.distinct.add(c.counted.entries[i].hash)
	}
	c.counted = counted{over: true}
}

func (c *Column) bounds64(n int64) {
	if !c.some {
		c.low, c.high, c.some = n, n, true
		return
	}
	c.low, c.high = min(c.low, n), max(c.high, n)
}

func (c *Column) bounds(v feature.Value) {
	switch {
	case !c.some:
		c.min, c.max, c.some = v.Clone(), v.Clone(), true
	case v.Compare(c.min) < 0:
		c.min = v.Clone()
	case v.Compare(c.max) > 0:
		c.max = v.Clone()
	}
}

func (c *Column) length(n int64) {
	if c.Key {
		return
	}
	if n == 0 {
		c.empty++
	}
	l := &c.lengths
	if l.n == 0 {
		l.min, l.max = n, n
	}
	l.n, l.min, l.max, l.sum = l.n+1, min(l.min, n), max(l.max, n), l.sum+n
}

// decimalFloat is a float64 near a decimal, the same on every processor: no two of its steps may be fused.
func decimalFloat(d feature.Int128, scale int) float64 {
	negative := d.Hi < 0
	if negative {
		d = d.Neg()
	}
	high := math.Ldexp(float64(uint64(d.Hi)), 64)
	f := float64(high + float64(d.Lo))
	f /= math.Pow10(scale)
	if negative && f != 0 {
		return -f
	}
	return f
}

func (c *Column) merge(o *Column) {
	c.present, c.nulls, c.nans = c.present+o.present, c.nulls+o.nulls, c.nans+o.nans
	c.positive, c.negative = c.positive+o.positive, c.negative+o.negative
	c.empty, c.truths = c.empty+o.empty, c.truths+o.truths
	if o.some {
		switch c.kind {
		case feature.TypeInt64, feature.TypeTimestamp:
			c.bounds64(o.low)
			c.bounds64(o.high)
		default:
			c.bounds(o.min)
			c.bounds(o.max)
		}
	}
	if c.moments != nil {
		c.moments.Merge(o.moments)
		c.sketch.merge(o.sketch)
	}
	if c.times != nil {
		c.times.merge(o.times)
	}
	if l := o.lengths; l.n > 0 {
		if c.lengths.n == 0 {
			c.lengths = l
		} else {
			a := c.lengths
			c.lengths = lengths{n: a.n + l.n, min: min(a.min, l.min), max: max(a.max, l.max), sum: a.sum + l.sum}
		}
	}
	if o.counted.over && !c.counted.over {
		c.overflow()
	}
	for i := range o.counted.entries {
		e := &o.counted.entries[i]
		if c.counted.over {
			c.distinct.add(e.hash)
		} else if c.counted.add(e.hash, e.value, e.rows) {
			c.overflow()
			c.distinct.add(e.hash)
		}
	}
	c.distinct.merge(&o.distinct)
	c.sample.merge(&o.sample)
}

// has says which bounds the encoding of a column has.
func (c *Column) bounded() bool {
	switch c.kind {
	case feature.TypeInt64, feature.TypeTimestamp, feature.TypeString, feature.TypeDecimal:
		return !c.Key
	}
	return false
}

func (c *Column) appendTo(dst []byte) []byte {
	for _, n := range []int64{c.present, c.nulls, c.nans, c.positive, c.negative, c.empty, c.truths} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	if c.bounded() && c.present > 0 {
		least, greatest := c.min, c.max
		switch c.kind {
		case feature.TypeInt64:
			least, greatest = feature.Int64(c.low), feature.Int64(c.high)
		case feature.TypeTimestamp:
			least, greatest = feature.Timestamp(feature.Time(c.low)), feature.Timestamp(feature.Time(c.high))
		}
		dst = appendValue(appendValue(dst, least), greatest)
	}
	if c.moments != nil {
		dst = c.sketch.appendTo(c.moments.AppendCanonical(dst))
	}
	if c.times != nil {
		dst = c.times.appendTo(dst)
	}
	if l := c.lengths; !c.Key && (c.kind == feature.TypeString || c.kind == feature.TypeBytes || c.kind == feature.TypeList) {
		for _, n := range []int64{l.n, l.min, l.max, l.sum} {
			dst = binary.AppendUvarint(dst, uint64(n))
		}
	}
	dst = c.counted.appendTo(dst)
	if c.counted.over {
		dst = c.distinct.appendTo(dst)
	}
	if !c.Key {
		dst = c.sample.appendTo(dst)
	}
	return dst
}

func (c *Column) read(r *reader) {
	for _, n := range []*int64{&c.present, &c.nulls, &c.nans, &c.positive, &c.negative, &c.empty, &c.truths} {
		*n = r.rows()
	}
	if c.bounded() && c.present > 0 {
		least, greatest := r.value(c.Type), r.value(c.Type)
		if r.err == nil && (least.IsNull() || greatest.IsNull() || least.Compare(greatest) > 0) {
			r.fail("bounds of column %s that no values have", c.Name)
		}
		if r.err != nil {
			return
		}
		c.some = true
		switch c.kind {
		case feature.TypeInt64, feature.TypeTimestamp:
			c.low, c.high = least.Int64(), greatest.Int64()
		default:
			c.min, c.max = least, greatest
		}
	}
	if c.moments != nil {
		c.moments = r.moments(c.Type)
		c.sketch.read(r)
	}
	if c.times != nil {
		c.times.read(r)
	}
	if !c.Key && (c.kind == feature.TypeString || c.kind == feature.TypeBytes || c.kind == feature.TypeList) {
		for _, n := range []*int64{&c.lengths.n, &c.lengths.min, &c.lengths.max, &c.lengths.sum} {
			*n = r.rows()
		}
	}
	c.counted.read(r, c.Type)
	if c.counted.over {
		c.distinct.read(r)
	}
	if !c.Key {
		c.sample.read(r, c.Type)
	}
}
