package feature

import (
	"cmp"
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
)

// Time is an instant in microseconds since 1970-01-01T00:00:00Z, the resolution of every store Headwater writes to.
type Time int64

// TimeOf rounds t down to the microsecond.
func TimeOf(t time.Time) Time {
	return Time(t.Unix()*1_000_000 + int64(t.Nanosecond()/1000))
}

// Time is the instant in UTC.
func (t Time) Time() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Calendar is the instant in UTC, cut to the years 1 to 9999: RFC 3339, and so JSON and protobuf's timestamps, have no
// others, while tables hold some and the open end of an interval may be the first instant after them.
func (t Time) Calendar() time.Time {
	const first, last = -62_135_596_800_000_000, 253_402_300_799_999_999
	return min(max(t, first), last).Time()
}

// String is RFC 3339 in UTC, with as many fractional digits as there are.
func (t Time) String() string { return t.Time().Format(time.RFC3339Nano) }

// Floor is the greatest multiple of d since the epoch that is not after t. A d of less than a microsecond leaves t alone.
func (t Time) Floor(d time.Duration) Time {
	step := d.Microseconds()
	if step <= 0 {
		return t
	}
	r := int64(t) % step
	if r < 0 {
		r += step
	}
	return t - Time(r)
}

// Ceil is the smallest multiple of d since the epoch that is not before t.
func (t Time) Ceil(d time.Duration) Time {
	f := t.Floor(d)
	if f == t {
		return t
	}
	return f.Add(d)
}

// Add shifts t by d, in whole microseconds.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Microseconds()) }

// Value is one value of a column or feature. The zero Value is NULL. Values are compared with Equal, never with ==:
// floats have more than one NaN and two zeros.
type Value struct {
	// str is a string, bytes, a packed list or vector, or the 16 bytes of a decimal whose coefficient needs more than bits.
	str  string
	bits uint64
	typ  Type
}

// Null is the value NULL, of any type.
func Null() Value { return Value{} }

// Bool is a value of TypeBool.
func Bool(b bool) Value {
	v := Value{typ: TypeBool}
	if b {
		v.bits = 1
	}
	return v
}

// Int64 is a value of TypeInt64.
func Int64(n int64) Value { return Value{typ: TypeInt64, bits: uint64(n)} }

// Float64 is a value of TypeFloat64.
func Float64(f float64) Value { return Value{typ: TypeFloat64, bits: math.Float64bits(f)} }

// String is a value of TypeString. It must be valid UTF-8 without NUL; readers of outside data check.
func String(s string) Value { return Value{typ: TypeString, str: s} }

// Bytes is a value of TypeBytes, which holds any bytes.
func Bytes(b string) Value { return Value{typ: TypeBytes, str: b} }

// Timestamp is a value of TypeTimestamp.
func Timestamp(t Time) Value { return Value{typ: TypeTimestamp, bits: uint64(t)} }

// IsNull reports whether v is NULL.
func (v Value) IsNull() bool { return v.typ == TypeInvalid }

// Type is the value's type, TypeInvalid for NULL.
func (v Value) Type() Type { return v.typ }

// Bool is the value of a TypeBool, false otherwise.
func (v Value) Bool() bool { return v.typ == TypeBool && v.bits != 0 }

// Int64 is the value of a TypeInt64; for other types its meaning is not defined.
func (v Value) Int64() int64 { return int64(v.bits) }

// Float64 is the value of a TypeFloat64; for other types its meaning is not defined.
func (v Value) Float64() float64 { return math.Float64frombits(v.bits) }

// Str is the text of a TypeString or the bytes of a TypeBytes, "" otherwise.
func (v Value) Str() string {
	if v.typ == TypeString || v.typ == TypeBytes {
		return v.str
	}
	return ""
}

// Size is how many bytes of MaxRowText the value takes: those of text and bytes, of a list the packed ones. A vector takes
// its bytes in every row, be it NULL or not: see View.VectorBytes.
func (v Value) Size() int {
	switch v.typ.Kind() {
	case TypeString, TypeBytes, TypeList:
		return len(v.str)
	}
	return 0
}

// Clone is v with memory of its own, for a value that shares that of what it was read from.
func (v Value) Clone() Value {
	v.str = strings.Clone(v.str)
	return v
}

// Timestamp is the value of a TypeTimestamp; for other types its meaning is not defined.
func (v Value) Timestamp() Time { return Time(v.bits) }

// Equal reports whether v and w have the same canonical encoding: NULL equals NULL, every NaN equals every NaN, and the
// two zeros are one, in lists and vectors too.
func (v Value) Equal(w Value) bool {
	return v.typ == w.typ && v.str == w.str && v.canonicalBits() == w.canonicalBits()
}

// Text is the value for people and for CSV: "" for NULL, RFC 3339 for timestamps, the shortest form that reads back for
// floats, base64 for bytes, as many digits behind the point as its type has for decimals, JSON for lists and vectors.
func (v Value) Text() string {
	switch v.typ {
	case TypeBool:
		return strconv.FormatBool(v.bits != 0)
	case TypeInt64:
		return strconv.FormatInt(int64(v.bits), 10)
	case TypeFloat64:
		return strconv.FormatFloat(v.Float64(), 'g', -1, 64)
	case TypeString:
		return v.str
	case TypeTimestamp:
		return Time(v.bits).String()
	case TypeBytes:
		return base64.StdEncoding.EncodeToString([]byte(v.str))
	}
	switch v.typ.Kind() {
	case TypeDecimal:
		return string(formatDecimal(nil, v.Decimal(), v.typ.Scale()))
	case TypeList, TypeVector:
		return string(v.AppendJSON(nil))
	}
	return ""
}

// AppendJSON appends the value as JSON: null, true or false, a number for the numeric types (with as many digits behind the
// point as its type has for a decimal), a text for the others, base64 for bytes, an array for lists and vectors. Floats
// that JSON has no number for are the texts "NaN", "Infinity" and "-Infinity".
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.typ.Kind() {
	case TypeInvalid:
		return append(dst, "null"...)
	case TypeFloat64:
		return appendJSONFloat(dst, v.Float64(), 64)
	case TypeString:
		return appendJSONText(dst, v.str)
	case TypeTimestamp, TypeBytes:
		dst = append(append(dst, '"'), v.Text()...)
		return append(dst, '"')
	case TypeList:
		dst = append(dst, '[')
		for i, e := range v.Elements() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.AppendJSON(dst)
		}
		return append(dst, ']')
	case TypeVector:
		dst = append(dst, '[')
		for at := 0; at < len(v.str); at += 4 {
			if at > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSONFloat(dst, float64(math.Float32frombits(uint32At(v.str, at))), 32)
		}
		return append(dst, ']')
	}
	return append(dst, v.Text()...)
}

func appendJSONFloat(dst []byte, f float64, bitSize int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bitSize)
}

// appendJSONText appends s, which is UTF-8, in quotes.
func appendJSONText(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// Compare orders two values of one type that are not NULL, as Postgres does under COLLATE "C": false before true, NaN after
// all other floats, text and bytes by their bytes. Of lists and vectors the order is not defined.
func (v Value) Compare(w Value) int {
	switch v.typ.Kind() {
	case TypeFloat64:
		a, b := v.Float64(), w.Float64()
		switch {
		case a < b || !math.IsNaN(a) && math.IsNaN(b):
			return -1
		case a > b || math.IsNaN(a) && !math.IsNaN(b):
			return 1
		}
		return 0
	case TypeString, TypeBytes:
		return strings.Compare(v.str, w.str)
	case TypeDecimal:
		return v.Decimal().Compare(w.Decimal())
	}
	return cmp.Compare(int64(v.bits), int64(w.bits))
}
