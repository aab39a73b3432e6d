package online

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/headwaterhq/headwater/feature"
)

// Layout says where each stored column of one view version lies in its rows. It is compiled once, immutable, and safe for
// concurrent use. Neither packing nor unpacking allocates, but for the growth of dst and for errors.
//
// Every encoding is the only one of its row: what Decode accepts, Append makes again byte by byte.
type Layout struct {
	slots []slot
	// tail is where the bytes of strings and of what else has no fixed length begin: the length of a row without any.
	tail int
	// checked are the columns of which not all bytes are a value.
	checked []int
}

type slot struct {
	name   string
	typ    feature.Type
	offset int
	size   int
	form   form
}

// form is how a type's slot is packed.
type form uint8

const (
	// formFixed is 8 bytes that are the value: int64, float64, timestamp.
	formFixed form = iota
	formBool
	// formTail is the place of a string, bytes or a packed list in the tail.
	formTail
	// formWide is as many bytes as the type says: a decimal's coefficient, a packed vector.
	formWide
)

// NewLayout compiles the layout of rows with the given columns, which are a view's View.Stored().
func NewLayout(stored []feature.Column) *Layout {
	l := &Layout{slots: make([]slot, len(stored)), tail: headerSize + (len(stored)+7)/8}
	for i, c := range stored {
		s := slot{name: c.Name, typ: c.Type, offset: l.tail}
		s.form, s.size = formOf(c.Type)
		l.slots[i] = s
		l.tail += s.size
		if s.form != formFixed {
			l.checked = append(l.checked, i)
		}
	}
	return l
}

func formOf(t feature.Type) (f form, size int) {
	switch t.Kind() {
	case feature.TypeBool:
		return formBool, 1
	case feature.TypeInt64, feature.TypeFloat64, feature.TypeTimestamp:
		return formFixed, 8
	case feature.TypeString, feature.TypeBytes, feature.TypeList:
		return formTail, 8
	case feature.TypeDecimal:
		return formWide, 16
	case feature.TypeVector:
		return formWide, 4 * t.Dimension()
	}
	panic("online: no slot for a " + t.String())
}

// Columns is the number of values in a row.
func (l *Layout) Columns() int { return len(l.slots) }

// Append appends one packed row to dst. The values are those of the layout's columns, in order; any may be NULL. An error
// names the column whose value cannot be stored, and leaves dst as it was.
func (l *Layout) Append(dst []byte, h Header, values []feature.Value) ([]byte, error) {
	start := len(dst)
	row, err := l.append(dst, &h, values)
	if err != nil {
		return dst[:start], err
	}
	return row, nil
}

func (l *Layout) append(dst []byte, h *Header, values []feature.Value) ([]byte, error) {
	if h.Tombstone {
		return dst, errors.New("found a tombstone with values, expected AppendTombstone")
	}
	if err := h.check(); err != nil {
		return dst, err
	}
	if len(values) != len(l.slots) {
		return dst, fmt.Errorf("found %d values, expected %d", len(values), len(l.slots))
	}
	start := len(dst)
	dst = appendHeader(dst, h)
	dst = slices.Grow(dst, l.tail-headerSize)[:start+l.tail]
	clear(dst[start+headerSize:])
	for i := range l.slots {
		s, v := &l.slots[i], values[i]
		if v.IsNull() {
			dst[start+headerSize+i/8] |= 1 << (i % 8)
			continue
		}
		if v.Type() != s.typ {
			return dst, fmt.Errorf("column %s: found a %s, expected a %s", s.name, v.Type(), s.typ)
		}
		at := start + s.offset
		switch s.form {
		case formBool:
			if v.Bool() {
				dst[at] = 1
			}
		case formTail:
			text := v.Packed()
			if !s.typ.IsList() {
				text = v.Str()
			}
			if s.typ == feature.TypeString {
				if err := checkText(text); err != nil {
					return dst, fmt.Errorf("column %s: %w", s.name, err)
				}
			}
			if len(dst)-start+len(text) > maxRowSize {
				return dst, fmt.Errorf("column %s: found a row of more than %d MiB, expected less", s.name, maxRowSize>>20)
			}
			binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-start-l.tail))
			binary.BigEndian.PutUint32(dst[at+4:], uint32(len(text)))
			dst = append(dst, text...)
		case formWide:
			if s.typ.Kind() == feature.TypeVector {
				copy(dst[at:at+s.size], v.Packed())
			} else {
				v.Decimal().Append(dst[:at])
			}
		default:
			bits := uint64(v.Int64())
			if s.typ == feature.TypeFloat64 {
				bits = math.Float64bits(v.Float64())
			}
			binary.BigEndian.PutUint64(dst[at:], bits)
		}
	}
	return dst, nil
}

// Decode unpacks a row into values, which must be as long as the layout has columns. A tombstone leaves them alone.
// Strings, bytes, lists and vectors share the row's memory. After an error, which names what is wrong and where, values holds nothing of use.
func (l *Layout) Decode(row string, values []feature.Value) (Header, error) {
	h, err := DecodeHeader(row)
	if err != nil || h.Tombstone {
		return h, err
	}
	if len(values) != len(l.slots) {
		return Header{}, fmt.Errorf("found room for %d values, expected %d", len(values), len(l.slots))
	}
	if err := l.checkFixed(row); err != nil {
		return Header{}, err
	}
	next := l.tail
	for i := range l.slots {
		s := &l.slots[i]
		if s.form == formTail && !l.null(row, i) {
			if begin := l.tail + int(uint32At(row, s.offset)); begin != next {
				return Header{}, fmt.Errorf("column %s: found its text at byte %d, expected %d", s.name, begin, next)
			}
			next += int(uint32At(row, s.offset+4))
		}
		if values[i], err = l.value(row, i); err != nil {
			return Header{}, err
		}
	}
	if next != len(row) {
		return Header{}, fmt.Errorf("found %d bytes, expected %d", len(row), next)
	}
	return h, nil
}

// Check is Decode without the values: its error is Decode's.
func (l *Layout) Check(row string) (h Header, err error) {
	if err := l.check(row, &h); err != nil {
		return Header{}, err
	}
	return h, nil
}

// check is Check into h. After an error h holds nothing of use.
func (l *Layout) check(row string, h *Header) error {
	if err := h.decode(row); err != nil || h.Tombstone {
		return err
	}
	if err := l.checkFixed(row); err != nil {
		return err
	}
	if !l.holds(row) {
		// Decode says what is wrong with it.
		_, err := l.Decode(row, make([]feature.Value, len(l.slots)))
		return err
	}
	return nil
}

// holds reports whether a row that passed checkFixed is one that Decode takes.
func (l *Layout) holds(row string) bool {
	for b := range (len(l.slots) + 7) / 8 {
		for nulls := row[headerSize+b]; nulls != 0; nulls &= nulls - 1 {
			s := &l.slots[8*b+bits.TrailingZeros8(nulls)]
			for at := s.offset; at < s.offset+s.size; at++ {
				if row[at] != 0 {
					return false
				}
			}
		}
	}
	next := uint64(l.tail)
	for _, i := range l.checked {
		if l.null(row, i) {
			continue
		}
		s := &l.slots[i]
		switch s.form {
		case formBool:
			if row[s.offset] > 1 {
				return false
			}
		case formTail:
			place := uint64At(row, s.offset)
			begin := uint64(l.tail) + place>>32
			end := begin + place&math.MaxUint32
			if begin != next || end > uint64(len(row)) {
				return false
			}
			next = end
			if s.typ == feature.TypeString {
				if text := row[begin:end]; !isPlain(text) && checkText(text) != nil {
					return false
				}
			} else if s.typ.IsList() {
				if _, err := feature.Unpack(s.typ, row[begin:end]); err != nil {
					return false
				}
			}
		default:
			if _, err := s.wideValue(row[s.offset : s.offset+s.size]); err != nil {
				return false
			}
		}
	}
	return next == uint64(len(row))
}

// Value unpacks column i of a row that is not a tombstone, and looks at no other. It may share the row's memory.
func (l *Layout) Value(row string, i int) (feature.Value, error) {
	h, err := DecodeHeader(row)
	if err != nil {
		return feature.Null(), err
	}
	if h.Tombstone {
		return feature.Null(), errors.New("found a tombstone, expected a row with values")
	}
	if i < 0 || i >= len(l.slots) {
		return feature.Null(), fmt.Errorf("found column number %d, expected one of %d", i, len(l.slots))
	}
	if err := l.checkFixed(row); err != nil {
		return feature.Null(), err
	}
	return l.value(row, i)
}

// checkFixed checks all that lies between the header and the tail but the slots themselves.
func (l *Layout) checkFixed(row string) error {
	if len(row) < l.tail {
		return fmt.Errorf("found %d bytes, expected at least %d", len(row), l.tail)
	}
	if used := len(l.slots) % 8; used != 0 {
		if last := row[headerSize+len(l.slots)/8]; last>>used != 0 {
			return fmt.Errorf("found null bits %#02x beyond the last of %d columns, expected none", last, len(l.slots))
		}
	}
	return nil
}

func (l *Layout) null(row string, i int) bool {
	return row[headerSize+i>>3]>>(i&7)&1 != 0
}

// value unpacks column i of a row that is at least l.tail long.
func (l *Layout) value(row string, i int) (feature.Value, error) {
	s := &l.slots[i]
	packed := row[s.offset : s.offset+s.size]
	if l.null(row, i) {
		for at := range len(packed) {
			if packed[at] != 0 {
				return feature.Null(), fmt.Errorf("column %s: found a value where the null bit is set, expected zeros", s.name)
			}
		}
		return feature.Null(), nil
	}
	switch s.form {
	case formBool:
		if packed[0] > 1 {
			return feature.Null(), fmt.Errorf("column %s: found byte %#02x, expected 0x00 or 0x01", s.name, packed[0])
		}
		return feature.Bool(packed[0] == 1), nil
	case formTail:
		return l.tailValue(row, s)
	case formWide:
		return s.wideValue(packed)
	}
	bits := uint64At(packed, 0)
	switch s.typ {
	case feature.TypeInt64:
		return feature.Int64(int64(bits)), nil
	case feature.TypeFloat64:
		return feature.Float64(math.Float64frombits(bits)), nil
	default:
		return feature.Timestamp(feature.Time(bits)), nil
	}
}

func (s *slot) wideValue(packed string) (feature.Value, error) {
	if s.typ.Kind() == feature.TypeDecimal {
		v, err := feature.DecimalOfBytes(s.typ, packed)
		if err != nil {
			return v, fmt.Errorf("column %s: found a decimal of more than %d digits, expected a %s", s.name, s.typ.Precision(), s.typ)
		}
		return v, nil
	}
	v, err := feature.Unpack(s.typ, packed)
	if err != nil {
		return v, fmt.Errorf("column %s: %w", s.name, err)
	}
	return v, nil
}

func (l *Layout) tailValue(row string, s *slot) (feature.Value, error) {
	bits := uint64At(row, s.offset)
	begin, length := uint64(l.tail)+bits>>32, bits&math.MaxUint32
	if begin+length > uint64(len(row)) {
		return feature.Null(), fmt.Errorf("column %s: found its text at bytes %d to %d, expected them within %d",
			s.name, begin, begin+length, len(row))
	}
	text := row[begin : begin+length]
	switch s.typ {
	case feature.TypeBytes:
		return feature.Bytes(text), nil
	case feature.TypeString:
		if err := checkText(text); err != nil {
			return feature.Null(), fmt.Errorf("column %s: %w", s.name, err)
		}
		return feature.String(text), nil
	}
	v, err := feature.Unpack(s.typ, text)
	if err != nil {
		return v, fmt.Errorf("column %s: %w", s.name, err)
	}
	return v, nil
}

// checkText is feature.CheckText without the text in the message: what a row holds is data under policy, and an error is
// not.
func checkText(s string) error {
	if isPlain(s) {
		return nil
	}
	if !utf8.ValidString(s) {
		return errors.New("found invalid UTF-8, expected UTF-8 text")
	}
	if strings.IndexByte(s, 0) >= 0 {
		return errors.New("found a NUL character, expected text without one")
	}
	return nil
}

// isPlain reports whether s is of ASCII without NUL, as most texts are, eight characters at a time.
func isPlain(s string) bool {
	const high, ones = 0x8080808080808080, 0x0101010101010101
	// Of (x-ones)&^x&high a bit is left when a byte of x is 0.
	if last := len(s) - 8; last >= 0 {
		for at := 0; at < last; at += 8 {
			if x := uint64At(s, at); (x|(x-ones)&^x)&high != 0 {
				return false
			}
		}
		x := uint64At(s, last)
		return (x|(x-ones)&^x)&high == 0
	}
	for i := range len(s) {
		if s[i] == 0 || s[i] >= 0x80 {
			return false
		}
	}
	return true
}
