package expr

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/headwaterhq/headwater/feature"
)

// celType is the type that values of t have within an expression.
func celType(t feature.Type) *cel.Type {
	switch t {
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

// toCEL is a value within an expression.
func toCEL(v feature.Value) ref.Val {
	switch v.Type() {
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
	}
	return null
}

// fromCEL is what an expression gave as a value of type t.
func fromCEL(v ref.Val, t feature.Type) (feature.Value, error) {
	switch v := v.(type) {
	case *types.Unknown:
		return feature.Null(), nil
	case types.Bool:
		if t == feature.TypeBool {
			return feature.Bool(bool(v)), nil
		}
	case types.Int:
		if t == feature.TypeInt64 {
			return feature.Int64(int64(v)), nil
		}
	case types.Double:
		if t == feature.TypeFloat64 {
			return feature.Float64(float64(v)), nil
		}
	case types.String:
		if t == feature.TypeString {
			return textOf(string(v))
		}
	case types.Timestamp:
		if t == feature.TypeTimestamp {
			return feature.Timestamp(feature.TimeOf(v.Time)), nil
		}
	}
	return feature.Null(), fmt.Errorf("found a %T, expected a %s", v, t)
}

// textOf is a text that an expression made, which must be one that every store holds.
func textOf(s string) (feature.Value, error) {
	if len(s) > maxResultText {
		return feature.Null(), fmt.Errorf("found a text of %d bytes, expected at most %d", len(s), maxResultText)
	}
	if err := feature.CheckText(s); err != nil {
		return feature.Null(), err
	}
	return feature.String(s), nil
}
