package window

import (
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
func numbered(t feature.Type) bool { return t == feature.TypeString }

// encode is the code of a value that is not numbered, given by its bits: those of the integer, the float, the microseconds.
func encode(t feature.Type, bits uint64) uint64 {
	switch t {
	case feature.TypeFloat64:
		return orderedFloat(math.Float64frombits(bits))
	case feature.TypeBool:
		return bits
	}
	return orderedInt(int64(bits))
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
