package profile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/window"
)

// Decode reads an encoding whole, and nothing but what AppendCanonical writes.
func Decode(b []byte) (*Profile, error) {
	r := &reader{b: b}
	p := r.profile()
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes behind it", len(r.b))
	}
	if r.err == nil && !bytes.Equal(p.AppendCanonical(nil), b) {
		r.fail("another encoding of it than the canonical one")
	}
	if r.err != nil {
		return nil, fmt.Errorf("profile: %w", r.err)
	}
	return p, nil
}

// reader takes an encoding apart. After an error all that it reads is zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(found string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("found "+found, args...)
	}
}

func (r *reader) profile() *Profile {
	if v := r.byte(); r.err == nil && v != format {
		r.fail("the format %d, expected %d", v, format)
	}
	// Each takes more than two bytes.
	specs := make([]Spec, 0, min(len(r.b)/2, maxColumns))
	for range r.count(min(len(r.b)/2, maxColumns)) {
		name := r.text()
		t, err := feature.ParseType(r.text())
		if r.err == nil && err != nil {
			r.fail("a column %s: %v", name, err)
		}
		flags := r.byte()
		if flags > 3 {
			r.fail("flags %d of a column", flags)
		}
		if r.err != nil {
			return nil
		}
		specs = append(specs, Spec{Name: name, Type: t, Key: flags&1 != 0, Group: flags&2 != 0})
	}
	p, err := New(specs)
	if err != nil {
		r.fail("%v", err)
	}
	if r.err != nil {
		return nil
	}
	p.rows = r.rows()
	p.times.read(r)
	for _, g := range p.groups {
		g.read(r, p.columns[g.column].Type, len(p.columns))
	}
	for _, c := range p.columns {
		c.read(r)
		if n := c.present + c.nulls + c.nans; r.err == nil && n != p.rows {
			r.fail("%d values of column %s, expected %d", n, c.Name, p.rows)
		}
		if r.err != nil {
			return nil
		}
	}
	return p
}

func (r *reader) bytes(n int) []byte {
	if r.err == nil && n > len(r.b) {
		r.fail("%d bytes, expected %d", len(r.b), n)
	}
	if r.err != nil {
		return make([]byte, min(n, 8))
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte { return r.bytes(1)[0] }

func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.bytes(8)) }

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if r.err == nil && size <= 0 {
		r.fail("no whole number at its end")
	}
	if r.err != nil {
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) varint() int64 {
	n := r.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

// rows is a count of rows, which sums of some do not make overflow.
func (r *reader) rows() int64 {
	n := r.uvarint()
	if n > 1<<48 {
		r.fail("%d rows", n)
		return 0
	}
	return int64(n)
}

// count is a number of things, up to a greatest one.
func (r *reader) count(most int) int {
	n := r.uvarint()
	if n > uint64(most) {
		r.fail("%d of what there are %d of at most", n, most)
		return 0
	}
	return int(n)
}

func (r *reader) text() string { return string(r.bytes(r.count(len(r.b)))) }

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendValue appends a value whose type is known, or NULL: 0; or 1, and of text and bytes their length and themselves, of decimals 16 bytes,
// of bools one, of others 8.
func appendValue(dst []byte, v feature.Value) []byte {
	if v.IsNull() {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	switch v.Type().Kind() {
	case feature.TypeString, feature.TypeBytes:
		return appendText(dst, v.Str())
	case feature.TypeBool:
		if v.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case feature.TypeDecimal:
		d := v.Decimal()
		dst = binary.BigEndian.AppendUint64(dst, uint64(d.Hi))
		return binary.BigEndian.AppendUint64(dst, d.Lo)
	case feature.TypeFloat64:
		f := v.Float64()
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(f))
	}
	return binary.BigEndian.AppendUint64(dst, uint64(v.Int64()))
}

func (r *reader) value(t feature.Type) feature.Value {
	if r.byte() == 0 || r.err != nil {
		return feature.Null()
	}
	switch t.Kind() {
	case feature.TypeString:
		return feature.String(r.text())
	case feature.TypeBytes:
		return feature.Bytes(r.text())
	case feature.TypeBool:
		return feature.Bool(r.byte() != 0)
	case feature.TypeDecimal:
		v, err := feature.Decimal(t, feature.Int128{Hi: int64(r.uint64()), Lo: r.uint64()})
		if err != nil {
			r.fail("%v", err)
		}
		return v
	case feature.TypeFloat64:
		return feature.Float64(math.Float64frombits(r.uint64()))
	case feature.TypeInt64:
		return feature.Int64(int64(r.uint64()))
	case feature.TypeTimestamp:
		return feature.Timestamp(feature.Time(r.uint64()))
	}
	r.fail("a value of a %s", t)
	return feature.Null()
}

func (r *reader) moments(t feature.Type) *window.Moments {
	if r.err != nil {
		return window.NewMoments(t)
	}
	m, rest, err := window.DecodeMoments(t, r.b)
	if err != nil {
		r.fail("%v", err)
		return window.NewMoments(t)
	}
	r.b = rest
	return m
}
