// Package wire turns values of the domain into those of the contract, and back. It may import feature and the generated
// code. Invariant: what one side says comes out of the other exactly, and a value of another type than expected is an error
// that names both.
package wire

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// TypeOf is the kind of a type, as the contract numbers it.
func TypeOf(t feature.Type) headwaterv1.ValueType { return headwaterv1.ValueType(t.Kind()) }

// FromValue is a value on the wire as one of the type t; a message without a kind is NULL. A decimal may be written with any
// zeros that say nothing.
func FromValue(t feature.Type, v *headwaterv1.Value) (feature.Value, error) {
	kind := t.Kind()
	switch k := v.GetKind().(type) {
	case nil:
		return feature.Null(), nil
	case *headwaterv1.Value_BoolValue:
		if kind == feature.TypeBool {
			return feature.Bool(k.BoolValue), nil
		}
	case *headwaterv1.Value_Int64Value:
		if kind == feature.TypeInt64 {
			return feature.Int64(k.Int64Value), nil
		}
	case *headwaterv1.Value_Float64Value:
		if kind == feature.TypeFloat64 {
			return feature.Float64(k.Float64Value), nil
		}
	case *headwaterv1.Value_StringValue:
		if kind == feature.TypeString {
			return feature.String(k.StringValue), feature.CheckText(k.StringValue)
		}
	case *headwaterv1.Value_TimestampValue:
		if kind == feature.TypeTimestamp {
			if err := k.TimestampValue.CheckValid(); err != nil {
				return feature.Null(), errors.New("found a time that is none, expected one in the years 1 to 9999")
			}
			return Timestamp(k.TimestampValue.AsTime())
		}
	case *headwaterv1.Value_DecimalValue:
		if kind == feature.TypeDecimal {
			return feature.ParseDecimal(t, k.DecimalValue)
		}
	case *headwaterv1.Value_BytesValue:
		if kind == feature.TypeBytes {
			return feature.Bytes(string(k.BytesValue)), nil
		}
	case *headwaterv1.Value_ListValue:
		if kind == feature.TypeList {
			return fromList(t, k.ListValue)
		}
	case *headwaterv1.Value_VectorValue:
		if kind == feature.TypeVector {
			return feature.Vector(t, k.VectorValue.GetValues())
		}
	}
	return feature.Null(), fmt.Errorf("found %s, expected %s", KindName(v), t)
}

// Timestamp is an instant as a value. One finer than microseconds is an error, never rounded.
func Timestamp(t time.Time) (feature.Value, error) {
	if t.Nanosecond()%1000 != 0 {
		return feature.Null(), fmt.Errorf("found %s, with more than microseconds, expected whole ones; round it where it is made",
			t.UTC().Format(time.RFC3339Nano))
	}
	return feature.Timestamp(feature.TimeOf(t)), nil
}

func fromList(t feature.Type, list *headwaterv1.ListValue) (feature.Value, error) {
	elements := make([]feature.Value, len(list.GetValues()))
	for i, v := range list.GetValues() {
		var err error
		if elements[i], err = FromValue(t.Elem(), v); err != nil {
			return feature.Null(), fmt.Errorf("element %d: %w", i+1, err)
		}
	}
	return feature.List(t, elements)
}

// KindName is what a value on the wire is, for messages: the name of a type without its parameters.
func KindName(v *headwaterv1.Value) string {
	switch v.GetKind().(type) {
	case *headwaterv1.Value_BoolValue:
		return "bool"
	case *headwaterv1.Value_Int64Value:
		return "int64"
	case *headwaterv1.Value_Float64Value:
		return "float64"
	case *headwaterv1.Value_StringValue:
		return "string"
	case *headwaterv1.Value_TimestampValue:
		return "timestamp"
	case *headwaterv1.Value_DecimalValue:
		return "decimal"
	case *headwaterv1.Value_BytesValue:
		return "bytes"
	case *headwaterv1.Value_ListValue:
		return "list"
	case *headwaterv1.Value_VectorValue:
		return "vector"
	}
	return "NULL"
}

// ToValue is a value for the wire. Timestamps are cut to the years that the contract has.
func ToValue(v feature.Value) *headwaterv1.Value {
	out := &headwaterv1.Value{}
	switch v.Type().Kind() {
	case feature.TypeBool:
		out.Kind = &headwaterv1.Value_BoolValue{BoolValue: v.Bool()}
	case feature.TypeInt64:
		out.Kind = &headwaterv1.Value_Int64Value{Int64Value: v.Int64()}
	case feature.TypeFloat64:
		out.Kind = &headwaterv1.Value_Float64Value{Float64Value: v.Float64()}
	case feature.TypeString:
		out.Kind = &headwaterv1.Value_StringValue{StringValue: v.Str()}
	case feature.TypeTimestamp:
		out.Kind = &headwaterv1.Value_TimestampValue{TimestampValue: timestamppb.New(v.Timestamp().Calendar())}
	case feature.TypeDecimal:
		out.Kind = &headwaterv1.Value_DecimalValue{DecimalValue: v.Text()}
	case feature.TypeBytes:
		out.Kind = &headwaterv1.Value_BytesValue{BytesValue: []byte(v.Str())}
	case feature.TypeList:
		out.Kind = &headwaterv1.Value_ListValue{ListValue: toList(v)}
	case feature.TypeVector:
		out.Kind = &headwaterv1.Value_VectorValue{VectorValue: &headwaterv1.VectorValue{Values: v.AppendFloats(nil)}}
	}
	return out
}

func toList(v feature.Value) *headwaterv1.ListValue {
	list := &headwaterv1.ListValue{Values: make([]*headwaterv1.Value, 0, v.Len())}
	for _, e := range v.Elements() {
		list.Values = append(list.Values, ToValue(e))
	}
	return list
}
