package feature

import (
	"math"
	"strconv"
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
func (t Time) String() string { return t.Time().Format("2006-01-02T15:04:05.999999Z07:00") }

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

// Str is the value of a TypeString, "" otherwise.
func (v Value) Str() string { return v.str }

// Timestamp is the value of a TypeTimestamp; for other types its meaning is not defined.
func (v Value) Timestamp() Time { return Time(v.bits) }

// Equal reports whether v and w have the same canonical encoding: NULL equals NULL, every NaN equals every NaN, and the
// two zeros are one.
func (v Value) Equal(w Value) bool {
	return v.typ == w.typ && v.str == w.str && v.canonicalBits() == w.canonicalBits()
}

// Text is the value for people and for CSV: "" for NULL, RFC 3339 for timestamps, the shortest form that reads back for
// floats.
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
	}
	return ""
}
