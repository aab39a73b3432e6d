package wire

import (
	"fmt"
	"slices"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// NewVector makes room for n values of the type t, each of them missing as yet.
func NewVector(t feature.Type, n int) *headwaterv1.ValueVector {
	out := &headwaterv1.ValueVector{Type: TypeOf(t), TypeName: t.String(), Status: make([]headwaterv1.ValueStatus, n)}
	switch t.Kind() {
	case feature.TypeBool:
		out.Bools = make([]bool, n)
	case feature.TypeInt64:
		out.Int64S = make([]int64, n)
	case feature.TypeFloat64:
		out.Float64S = make([]float64, n)
	case feature.TypeString:
		out.Strings = make([]string, n)
	case feature.TypeTimestamp:
		out.Timestamps = make([]int64, n)
	case feature.TypeDecimal:
		zero, _ := feature.Decimal(t, feature.Int128{})
		out.Decimals = make([]string, n)
		for i, text := 0, zero.Text(); i < n; i++ {
			out.Decimals[i] = text
		}
	case feature.TypeBytes:
		out.BytesValues = make([][]byte, n)
	case feature.TypeList:
		out.Lists = make([]*headwaterv1.ListValue, n)
		for i := range out.Lists {
			out.Lists[i] = &headwaterv1.ListValue{}
		}
	case feature.TypeVector:
		out.Vectors = make([]float32, n*t.Dimension())
	}
	return out
}

// SetVector sets the i-th value of what NewVector made for the value's type, in the order of their numbers, once its status is set.
func SetVector(out *headwaterv1.ValueVector, i int, v feature.Value) {
	if v.IsNull() && HasValue(out.Status[i]) {
		out.Nulls = append(out.Nulls, uint32(i))
	}
	switch v.Type().Kind() {
	case feature.TypeBool:
		out.Bools[i] = v.Bool()
	case feature.TypeInt64:
		out.Int64S[i] = v.Int64()
	case feature.TypeFloat64:
		out.Float64S[i] = v.Float64()
	case feature.TypeString:
		out.Strings[i] = v.Str()
	case feature.TypeTimestamp:
		out.Timestamps[i] = int64(v.Timestamp())
	case feature.TypeDecimal:
		out.Decimals[i] = v.Text()
	case feature.TypeBytes:
		out.BytesValues[i] = []byte(v.Str())
	case feature.TypeList:
		out.Lists[i] = toList(v)
	case feature.TypeVector:
		n := v.Len()
		v.AppendFloats(out.Vectors[i*n : i*n : (i+1)*n])
	}
}

// VectorType is the type of a vector's values. A server that does not send names of types has those without parameters.
func VectorType(v *headwaterv1.ValueVector) (feature.Type, error) {
	if v.GetTypeName() != "" {
		return feature.ParseType(v.GetTypeName())
	}
	t := feature.Type(v.GetType())
	if !t.IsValid() {
		return feature.TypeInvalid, fmt.Errorf("found values of type %s without its name, expected one of %s", v.GetType(), feature.TypeNames())
	}
	return t, nil
}

// HasValue reports whether there is a value where the status is s, unless it is among the vector's nulls.
func HasValue(s headwaterv1.ValueStatus) bool {
	switch s {
	case headwaterv1.ValueStatus_VALUE_STATUS_PRESENT, headwaterv1.ValueStatus_VALUE_STATUS_DEFAULT,
		headwaterv1.ValueStatus_VALUE_STATUS_STALE, headwaterv1.ValueStatus_VALUE_STATUS_MASKED:
		return true
	}
	return false
}

// VectorLen is how many values a vector has.
func VectorLen(v *headwaterv1.ValueVector) int {
	if n := len(v.GetStatus()); n > 0 || v.GetStatusOfAll() == 0 {
		return n
	}
	// One of the lists has an entry for each value.
	n := max(len(v.Bools), len(v.Int64S), len(v.Float64S), len(v.Strings), len(v.Timestamps), len(v.Decimals), len(v.BytesValues), len(v.Lists))
	if t, err := VectorType(v); err == nil && t.Kind() == feature.TypeVector {
		n = len(v.Vectors) / t.Dimension()
	}
	return n
}

// StatusAt is the status of the i-th value of a vector.
func StatusAt(v *headwaterv1.ValueVector, i int) headwaterv1.ValueStatus {
	if i < len(v.GetStatus()) {
		return v.Status[i]
	}
	return v.GetStatusOfAll()
}

// FromVector is the i-th value of a vector: NULL where its status says that there is none. A vector that is shorter than it
// says, or holds what its type does not, is an error.
func FromVector(v *headwaterv1.ValueVector, i int) (feature.Value, error) {
	if n := VectorLen(v); i < 0 || i >= n {
		return feature.Null(), fmt.Errorf("found no value %d in a vector of %d", i+1, n)
	}
	t, err := VectorType(v)
	if err != nil || !HasValue(StatusAt(v, i)) {
		return feature.Null(), err
	}
	if _, null := slices.BinarySearch(v.GetNulls(), uint32(i)); null {
		return feature.Null(), nil
	}
	switch n := t.Dimension(); t.Kind() {
	case feature.TypeBool:
		if i < len(v.Bools) {
			return feature.Bool(v.Bools[i]), nil
		}
	case feature.TypeInt64:
		if i < len(v.Int64S) {
			return feature.Int64(v.Int64S[i]), nil
		}
	case feature.TypeFloat64:
		if i < len(v.Float64S) {
			return feature.Float64(v.Float64S[i]), nil
		}
	case feature.TypeString:
		if i < len(v.Strings) {
			return feature.String(v.Strings[i]), nil
		}
	case feature.TypeTimestamp:
		if i < len(v.Timestamps) {
			return feature.Timestamp(feature.Time(v.Timestamps[i])), nil
		}
	case feature.TypeDecimal:
		if i < len(v.Decimals) {
			return feature.ParseDecimal(t, v.Decimals[i])
		}
	case feature.TypeBytes:
		if i < len(v.BytesValues) {
			return feature.Bytes(string(v.BytesValues[i])), nil
		}
	case feature.TypeList:
		if i < len(v.Lists) {
			return fromList(t, v.Lists[i])
		}
	case feature.TypeVector:
		if (i+1)*n <= len(v.Vectors) {
			return feature.Vector(t, v.Vectors[i*n:(i+1)*n])
		}
	}
	return feature.Null(), fmt.Errorf("found fewer values of type %s than the %d that their statuses say", t, VectorLen(v))
}
