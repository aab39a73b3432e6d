package wire

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// Answers to online reads are written as bytes at once: messages of them would cost more than all else of a read. What is
// written here is what the generated code would write of the same message, byte by byte.

// The fields of ValueVector.
const (
	fieldType        = 1
	fieldStatus      = 2
	fieldBools       = 3
	fieldInt64s      = 4
	fieldFloat64s    = 5
	fieldStrings     = 6
	fieldTimestamps  = 7
	fieldDecimals    = 8
	fieldBytes       = 9
	fieldLists       = 10
	fieldVectors     = 11
	fieldTypeName    = 12
	fieldStatusOfAll = 13
	fieldNulls       = 14
)

// OpenField begins a field whose value has a length, which is about size. CloseField ends it: at is what OpenField returned.
func OpenField(dst []byte, field protowire.Number, size int) (opened []byte, at int) {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	at = len(dst)
	return protowire.AppendVarint(dst, uint64(size)), at
}

// CloseField puts the length of what was appended since OpenField in its place.
func CloseField(dst []byte, at int) []byte {
	_, reserved := binary.Uvarint(dst[at:])
	length := len(dst) - at - reserved
	if needed := protowire.SizeVarint(uint64(length)); needed != reserved {
		var room [binary.MaxVarintLen64]byte
		if needed > reserved {
			dst = append(dst, room[:needed-reserved]...)
		}
		copy(dst[at+needed:], dst[at+reserved:at+reserved+length])
		dst = dst[:at+needed+length]
	}
	binary.PutUvarint(dst[at:], uint64(length))
	return dst
}

// AppendString appends a field of text or bytes.
func AppendString(dst []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), s)
}

// AppendVarint appends a field of a number, and nothing for 0.
func AppendVarint(dst []byte, field protowire.Number, n int64) []byte {
	if n == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), uint64(n))
}

// VectorFrame is what of a ValueVector of one type stands before the status of its values, and behind the values.
type VectorFrame struct {
	Type  feature.Type
	begin []byte
	end   []byte
}

// NewVectorFrame is the frame of vectors of the type.
func NewVectorFrame(t feature.Type) VectorFrame {
	return VectorFrame{
		Type: t, begin: AppendVarint(nil, fieldType, int64(TypeOf(t))), end: AppendString(nil, fieldTypeName, t.String()),
	}
}

// Begin appends what stands before the values. statuses are the numbers of ValueStatus, one for each value; of none all have
// the status ofAll. Its second result is for End.
func (f *VectorFrame) Begin(dst []byte, statuses []byte, ofAll byte) (begun []byte, common byte) {
	dst = append(dst, f.begin...)
	if len(statuses) == 0 {
		return dst, ofAll
	}
	for _, s := range statuses {
		if s != statuses[0] {
			// All of them are small enough to take one byte.
			dst = protowire.AppendTag(dst, fieldStatus, protowire.BytesType)
			dst = protowire.AppendVarint(dst, uint64(len(statuses)))
			return append(dst, statuses...), 0
		}
	}
	return dst, statuses[0]
}

// End appends what stands behind the values.
func (f *VectorFrame) End(dst []byte, common byte) []byte {
	return AppendVarint(append(dst, f.end...), fieldStatusOfAll, int64(common))
}

// ValuesField is the field of the values of a type.
func ValuesField(t feature.Type) protowire.Number {
	switch t.Kind() {
	case feature.TypeBool:
		return fieldBools
	case feature.TypeInt64:
		return fieldInt64s
	case feature.TypeFloat64:
		return fieldFloat64s
	case feature.TypeString:
		return fieldStrings
	case feature.TypeTimestamp:
		return fieldTimestamps
	case feature.TypeDecimal:
		return fieldDecimals
	case feature.TypeBytes:
		return fieldBytes
	case feature.TypeList:
		return fieldLists
	}
	return fieldVectors
}

// IsPacked reports whether the values of a type stand in one field, and not each in a field of its own.
func IsPacked(t feature.Type) bool {
	switch t.Kind() {
	case feature.TypeString, feature.TypeDecimal, feature.TypeBytes, feature.TypeList:
		return false
	}
	return true
}

// AppendVector appends the ValueVector of n values: value gives each of them, which is of the frame's type or NULL. statuses
// has the number of ValueStatus of each.
func (f *VectorFrame) AppendVector(dst []byte, n int, statuses []byte, value func(i int) feature.Value) []byte {
	dst, common := f.Begin(dst, statuses, 0)
	at, packed := 0, IsPacked(f.Type)
	if packed {
		dst, at = OpenField(dst, ValuesField(f.Type), 8*n)
	}
	var nulls []uint32
	for i := range n {
		v := value(i)
		if v.IsNull() && HasValue(headwaterv1.ValueStatus(statuses[i])) {
			nulls = append(nulls, uint32(i))
		}
		dst = f.AppendEntry(dst, v)
	}
	if packed {
		dst = CloseField(dst, at)
	}
	return AppendNulls(f.End(dst, common), nulls)
}

// AppendNulls appends, behind all else, which values are NULL although their status does not say so.
func AppendNulls(dst []byte, nulls []uint32) []byte {
	if len(nulls) == 0 {
		return dst
	}
	dst, at := OpenField(dst, fieldNulls, len(nulls))
	for _, i := range nulls {
		dst = protowire.AppendVarint(dst, uint64(i))
	}
	return CloseField(dst, at)
}

// AppendEntry appends the entry of one value, of the frame's type or NULL: within the values' field where they are packed, else
// with it.
func (f *VectorFrame) AppendEntry(dst []byte, v feature.Value) []byte {
	switch f.Type.Kind() {
	case feature.TypeBool:
		if v.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case feature.TypeInt64:
		if v.IsNull() {
			return append(dst, 0)
		}
		return protowire.AppendVarint(dst, uint64(v.Int64()))
	case feature.TypeFloat64:
		if v.IsNull() {
			return protowire.AppendFixed64(dst, 0)
		}
		return protowire.AppendFixed64(dst, math.Float64bits(v.Float64()))
	case feature.TypeTimestamp:
		if v.IsNull() {
			return protowire.AppendFixed64(dst, 0)
		}
		return protowire.AppendFixed64(dst, uint64(v.Timestamp()))
	case feature.TypeVector:
		dimension := f.Type.Dimension()
		packed := v.Packed()
		at := len(dst)
		dst = append(dst, make([]byte, 4*dimension)...)
		for i := 0; i < len(packed); i += 4 {
			dst[at+i], dst[at+i+1], dst[at+i+2], dst[at+i+3] = packed[i+3], packed[i+2], packed[i+1], packed[i]
		}
		return dst
	case feature.TypeDecimal:
		dst, at := OpenField(dst, fieldDecimals, f.Type.Precision())
		return CloseField(feature.AppendDecimal(dst, f.Type, v), at)
	case feature.TypeList:
		dst, at := OpenField(dst, fieldLists, 10*v.Len())
		return CloseField(appendList(dst, v), at)
	}
	return AppendString(dst, ValuesField(f.Type), v.Str())
}

// The fields of ListValue and Value.
const (
	fieldListValues     = 1
	fieldBoolValue      = 1
	fieldInt64Value     = 2
	fieldFloat64Value   = 3
	fieldStringValue    = 4
	fieldTimestampValue = 5
	fieldDecimalValue   = 6
	fieldBytesValue     = 7
)

// appendList appends the fields of a ListValue.
func appendList(dst []byte, list feature.Value) []byte {
	for _, e := range list.Elements() {
		var at int
		dst, at = OpenField(dst, fieldListValues, 9)
		dst = appendValue(dst, e)
		dst = CloseField(dst, at)
	}
	return dst
}

// appendValue appends the one field of a Value that is an element of a list.
func appendValue(dst []byte, v feature.Value) []byte {
	switch v.Type().Kind() {
	case feature.TypeBool:
		dst = protowire.AppendTag(dst, fieldBoolValue, protowire.VarintType)
		return protowire.AppendVarint(dst, protowire.EncodeBool(v.Bool()))
	case feature.TypeInt64:
		dst = protowire.AppendTag(dst, fieldInt64Value, protowire.VarintType)
		return protowire.AppendVarint(dst, uint64(v.Int64()))
	case feature.TypeFloat64:
		dst = protowire.AppendTag(dst, fieldFloat64Value, protowire.Fixed64Type)
		return protowire.AppendFixed64(dst, math.Float64bits(v.Float64()))
	case feature.TypeString:
		return AppendString(dst, fieldStringValue, v.Str())
	case feature.TypeTimestamp:
		dst, at := OpenField(dst, fieldTimestampValue, 12)
		return CloseField(AppendTimestamp(dst, v.Timestamp()), at)
	case feature.TypeDecimal:
		dst, at := OpenField(dst, fieldDecimalValue, v.Type().Precision())
		return CloseField(feature.AppendDecimal(dst, v.Type(), v), at)
	}
	return AppendString(dst, fieldBytesValue, v.Str())
}

// AppendTimestamp appends the fields of google.protobuf.Timestamp, cut to the years that the contract has.
func AppendTimestamp(dst []byte, t feature.Time) []byte {
	at := t.Calendar()
	return AppendVarint(AppendVarint(dst, 1, at.Unix()), 2, int64(at.Nanosecond()))
}
