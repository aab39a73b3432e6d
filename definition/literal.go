package definition

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/tabular"
)

// literalOf is a value as YAML has it as one of type t. Numbers and booleans are themselves; text is text, a timestamp,
// base64 of bytes, a decimal, or an int64 that floats cannot hold; floats that YAML has no number for are the texts NaN,
// Infinity and -Infinity. The error says what was found and what was expected.
func literalOf(t feature.Type, v *structpb.Value) (feature.Value, error) {
	switch kind := v.GetKind().(type) {
	case nil, *structpb.Value_NullValue:
		return feature.Null(), nil
	case *structpb.Value_BoolValue:
		if t == feature.TypeBool {
			return feature.Bool(kind.BoolValue), nil
		}
	case *structpb.Value_NumberValue:
		switch f := kind.NumberValue; {
		case t == feature.TypeFloat64:
			return feature.Float64(f), nil
		case t == feature.TypeInt64 && f == math.Trunc(f) && math.Abs(f) < 1<<63:
			return feature.Int64(int64(f)), nil
		case t.Kind() == feature.TypeDecimal:
			return feature.ParseDecimal(t, strconv.FormatFloat(f, 'f', -1, 64))
		}
	case *structpb.Value_StringValue:
		if value, err, ok := literalText(t, kind.StringValue); ok {
			return value, err
		}
	case *structpb.Value_ListValue:
		switch t.Kind() {
		case feature.TypeList:
			return literalList(t, kind.ListValue.GetValues())
		case feature.TypeVector:
			return literalVector(t, kind.ListValue.GetValues())
		}
	}
	return feature.Null(), fmt.Errorf("found %s, expected %s", describeLiteral(v), literalForm(t))
}

// literalText is a text as a value, and whether texts of that type are.
func literalText(t feature.Type, s string) (value feature.Value, err error, ok bool) {
	switch t {
	case feature.TypeString:
		return feature.String(s), feature.CheckText(s), true
	case feature.TypeTimestamp:
		at, err := tabular.ParseTimestamp(s)
		return feature.Timestamp(at), err, true
	case feature.TypeInt64:
		n, err := strconv.ParseInt(s, 10, 64)
		return feature.Int64(n), nil, err == nil
	case feature.TypeFloat64:
		switch s {
		case "NaN":
			return feature.Float64(math.NaN()), nil, true
		case "Infinity":
			return feature.Float64(math.Inf(1)), nil, true
		case "-Infinity":
			return feature.Float64(math.Inf(-1)), nil, true
		}
	case feature.TypeBytes:
		b, err := base64.StdEncoding.DecodeString(s)
		return feature.Bytes(string(b)), nil, err == nil
	}
	if t.Kind() == feature.TypeDecimal {
		value, err := feature.ParseDecimal(t, s)
		return value, err, true
	}
	return feature.Null(), nil, false
}

func literalList(t feature.Type, items []*structpb.Value) (feature.Value, error) {
	elements := make([]feature.Value, len(items))
	for i, item := range items {
		var err error
		if elements[i], err = literalOf(t.Elem(), item); err != nil {
			return feature.Null(), fmt.Errorf("element %d: %w", i+1, err)
		}
	}
	return feature.List(t, elements)
}

func literalVector(t feature.Type, items []*structpb.Value) (feature.Value, error) {
	floats := make([]float32, len(items))
	for i, item := range items {
		f, err := literalOf(feature.TypeFloat64, item)
		switch {
		case err != nil:
			return feature.Null(), fmt.Errorf("element %d: %w", i+1, err)
		case f.IsNull():
			return feature.Null(), fmt.Errorf("element %d: found null, expected a number", i+1)
		}
		floats[i] = float32(f.Float64())
	}
	return feature.Vector(t, floats)
}

func describeLiteral(v *structpb.Value) string {
	switch kind := v.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return strconv.FormatBool(kind.BoolValue)
	case *structpb.Value_NumberValue:
		return "the number " + strconv.FormatFloat(kind.NumberValue, 'g', -1, 64)
	case *structpb.Value_StringValue:
		return fmt.Sprintf("the text %.60q", kind.StringValue)
	case *structpb.Value_ListValue:
		return "a list"
	case *structpb.Value_StructValue:
		return "keys and values"
	}
	return "null"
}

// literalForm is how values of a type are written.
func literalForm(t feature.Type) string {
	switch t.Kind() {
	case feature.TypeBool:
		return "a bool: true or false"
	case feature.TypeInt64:
		return "an int64: a whole number, in quotes beyond 2^53"
	case feature.TypeFloat64:
		return "a float64: a number, or one of the texts NaN, Infinity and -Infinity"
	case feature.TypeString:
		return "a text; put it in quotes"
	case feature.TypeTimestamp:
		return "a timestamp such as 2001-01-31T10:05:00Z"
	case feature.TypeBytes:
		return "bytes: base64 in quotes"
	case feature.TypeDecimal:
		return fmt.Sprintf("a %s: a number in quotes, such as \"12.50\"", t)
	}
	return fmt.Sprintf("a %s: values in [ ]", t)
}
