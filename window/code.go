package window

import (
	"encoding/binary"
	"math"

	"github.com/headwaterhq/headwater/feature"
)

// A code is a value as 64 bits whose order is that of the values: false before true, NaN after all other floats, zero
// without a sign. Values that have more than 64 bits are numbered, for each entity, in their order.

func orderedInt(n int64) uint64 { return uint64(n) ^ 1<<63 }

func intOf(code uint64) int64 { return int64(code ^ 1<<63) }

const canonicalNaN = 0x7ff8000000000000

func orderedFloat(f float64) uint64 {
	b := math.Float64bits(f)
	switch {
	case f != f:
		b = canonicalNaN
	case f == 0:
		b = 0
	}
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

func floatOf(code uint64) float64 {
	if code>>63 != 0 {
		return math.Float64frombits(code &^ (1 << 63))
	}
	return math.Float64frombits(^code)
}

// numbered reports whether values of the type are numbered.
func numbered(t feature.Type) bool {
	switch t {
	case feature.TypeBool, feature.TypeInt64, feature.TypeFloat64, feature.TypeTimestamp:
		return false
	}
	return true
}

// encode is the code of a value that is not numbered.
func encode(v feature.Value) uint64 {
	switch v.Type() {
	case feature.TypeFloat64:
		return orderedFloat(v.Float64())
	case feature.TypeBool:
		if v.Bool() {
			return 1
		}
		return 0
	}
	return orderedInt(v.Int64())
}

// decode is the value of a code.
func decode(t feature.Type, code uint64) feature.Value {
	switch t {
	case feature.TypeFloat64:
		return feature.Float64(floatOf(code))
	case feature.TypeBool:
		return feature.Bool(code != 0)
	case feature.TypeTimestamp:
		return feature.Timestamp(feature.Time(intOf(code)))
	}
	return feature.Int64(intOf(code))
}

// appendText appends the length and the bytes of a value that is numbered. Their order is that of the values, where values
// of the type have one: that of decimals has the sign turned over.
func appendText(b []byte, v feature.Value) []byte {
	switch v.Type().Kind() {
	case feature.TypeDecimal:
		c := v.Decimal()
		c.Hi ^= math.MinInt64
		return c.Append(append(b, 16))
	case feature.TypeList, feature.TypeVector:
		b = binary.AppendUvarint(b, uint64(len(v.Packed())))
		return append(b, v.Packed()...)
	}
	b = binary.AppendUvarint(b, uint64(len(v.Str())))
	return append(b, v.Str()...)
}

// valueOf is the value of a text that appendText wrote.
func valueOf(t feature.Type, text string) feature.Value {
	var v feature.Value
	var err error
	switch t.Kind() {
	case feature.TypeString:
		return feature.String(text)
	case feature.TypeBytes:
		return feature.Bytes(text)
	case feature.TypeDecimal:
		v, err = feature.Decimal(t, decimalOf(text))
	default:
		v, err = feature.Unpack(t, text)
	}
	if err != nil {
		// It was a value of the type when it went in.
		panic(err)
	}
	return v
}

func decimalOf(text string) feature.Int128 {
	return feature.Int128{
		Hi: int64(binary.BigEndian.Uint64([]byte(text))) ^ math.MinInt64, Lo: binary.BigEndian.Uint64([]byte(text[8:])),
	}
}
