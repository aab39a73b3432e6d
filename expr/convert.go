package expr

import (
	"fmt"
	"math"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/headwaterhq/headwater/feature"
)

// celType is the type that values of t have within an expression.
func celType(t feature.Type) *cel.Type {
	switch t.Kind() {
	case feature.TypeBool:
		return cel.BoolType
	case feature.TypeInt64:
		return cel.IntType
	case feature.TypeFloat64:
		return cel.DoubleType
	case feature.TypeString:
		return cel.StringType
	case feature.TypeTimestamp:
		return cel.TimestampType
	case feature.TypeBytes:
		return cel.BytesType
	case feature.TypeDecimal:
		return decimalType
	case feature.TypeList:
		return cel.ListType(celType(t.Elem()))
	case feature.TypeVector:
		return cel.ListType(cel.DoubleType)
	}
	return cel.DynType
}

// typeText is a type of CEL in the words of definitions.
func typeText(t *cel.Type) string {
	switch t.Kind() {
	case types.BoolKind:
		return "bool"
	case types.IntKind:
		return "int64"
	case types.DoubleKind:
		return "float64"
	case types.StringKind:
		return "string"
	case types.TimestampKind:
		return "timestamp"
	case types.DurationKind:
		return "duration"
	case types.BytesKind:
		return "bytes"
	case types.ListKind:
		if p := t.Parameters(); len(p) == 1 {
			return "list(" + typeText(p[0]) + ")"
		}
		return "list"
	}
	return t.String()
}

// resultRefusal is why features of a type cannot be computed on demand, or "".
func resultRefusal(t feature.Type) string {
	if t.Kind() == feature.TypeDecimal || t.Elem().Kind() == feature.TypeDecimal {
		return fmt.Sprintf("found an on-demand feature of type %s, expected another type: expressions compare decimals and do not "+
			"compute with them; compute it in SQL, or declare it a float64 or a string", t)
	}
	return ""
}

// toCEL is a value within an expression.
func toCEL(v feature.Value) ref.Val {
	switch v.Type().Kind() {
	case feature.TypeBool:
		return types.Bool(v.Bool())
	case feature.TypeInt64:
		return types.Int(v.Int64())
	case feature.TypeFloat64:
		return types.Double(v.Float64())
	case feature.TypeString:
		return types.String(v.Str())
	case feature.TypeTimestamp:
		return types.Timestamp{Time: v.Timestamp().Time()}
	case feature.TypeBytes:
		return types.Bytes(v.Str())
	case feature.TypeDecimal:
		return decimalOf(v)
	case feature.TypeList:
		elements := make([]ref.Val, 0, v.Len())
		for _, e := range v.Elements() {
			elements = append(elements, toCEL(e))
		}
		return types.NewRefValList(types.DefaultTypeAdapter, elements)
	case feature.TypeVector:
		floats := v.AppendFloats(nil)
		elements := make([]ref.Val, len(floats))
		for i, f := range floats {
			elements[i] = types.Double(f)
		}
		return types.NewRefValList(types.DefaultTypeAdapter, elements)
	}
	return null
}

// fromCEL is what an expression gave as a value of type t.
func fromCEL(v ref.Val, t feature.Type) (feature.Value, error) {
	if types.IsUnknown(v) {
		return feature.Null(), nil
	}
	switch t.Kind() {
	case feature.TypeBool:
		if b, ok := v.(types.Bool); ok {
			return feature.Bool(bool(b)), nil
		}
	case feature.TypeInt64:
		if n, ok := v.(types.Int); ok {
			return feature.Int64(int64(n)), nil
		}
	case feature.TypeFloat64:
		if f, ok := v.(types.Double); ok {
			return feature.Float64(float64(f)), nil
		}
	case feature.TypeString:
		if s, ok := v.(types.String); ok {
			return textOf(string(s))
		}
	case feature.TypeTimestamp:
		if at, ok := v.(types.Timestamp); ok {
			return feature.Timestamp(feature.TimeOf(at.Time)), nil
		}
	case feature.TypeBytes:
		if b, ok := v.(types.Bytes); ok {
			return bounded(feature.Bytes(string(b)))
		}
	case feature.TypeList:
		if list, ok := v.(traits.Lister); ok {
			return listOf(list, t)
		}
	case feature.TypeVector:
		if list, ok := v.(traits.Lister); ok {
			return vectorOf(list, t)
		}
	}
	return feature.Null(), fmt.Errorf("found a %T, expected a %s", v, t)
}

// textOf is a text that an expression made, which must be one that every store holds.
func textOf(s string) (feature.Value, error) {
	if err := feature.CheckText(s); err != nil {
		return feature.Null(), err
	}
	return bounded(feature.String(s))
}

func bounded(v feature.Value) (feature.Value, error) {
	if v.Size() > maxResultText {
		return feature.Null(), fmt.Errorf("found a %s of %d bytes, expected at most %d", v.Type(), v.Size(), maxResultText)
	}
	return v, nil
}

func listOf(list traits.Lister, t feature.Type) (feature.Value, error) {
	var elements []feature.Value
	size := 0
	for it := list.Iterator(); it.HasNext() == types.True; {
		v, err := fromCEL(it.Next(), t.Elem())
		if err != nil {
			return feature.Null(), err
		}
		// A list can name one long text many times.
		if size += v.Size(); size > maxResultText {
			return feature.Null(), fmt.Errorf("found a list of more than %d bytes", maxResultText)
		}
		elements = append(elements, v)
	}
	v, err := feature.List(t, elements)
	if err != nil {
		return feature.Null(), err
	}
	return bounded(v)
}

// vectorOf is a list of float64 as a vector of as many floats of 32 bits. A number that is beyond those is an error.
func vectorOf(list traits.Lister, t feature.Type) (feature.Value, error) {
	floats := make([]float32, 0, t.Dimension())
	for it := list.Iterator(); it.HasNext() == types.True; {
		d, ok := it.Next().(types.Double)
		f := float32(d)
		switch {
		case !ok || len(floats) == t.Dimension():
			return feature.Null(), fmt.Errorf("found a list that is no %s", t)
		case math.IsInf(float64(f), 0) && !math.IsInf(float64(d), 0):
			return feature.Null(), fmt.Errorf("found %v, expected a float of 32 bits", d)
		}
		floats = append(floats, f)
	}
	return feature.Vector(t, floats)
}
