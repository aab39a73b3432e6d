package tabular

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/headwaterhq/headwater/feature"
)

// timestampType is the one timestamp of the product: microseconds since the epoch, UTC.
var timestampType = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

// ArrowType is the Arrow type that carries values of t: bool, int64, float64, utf8, timestamp[us, UTC], decimal128, binary,
// a list of one of these, or for a vector a fixed_size_list of float. It panics on a type that is not valid.
func ArrowType(t feature.Type) arrow.DataType {
	switch t.Kind() {
	case feature.TypeBool:
		return arrow.FixedWidthTypes.Boolean
	case feature.TypeInt64:
		return arrow.PrimitiveTypes.Int64
	case feature.TypeFloat64:
		return arrow.PrimitiveTypes.Float64
	case feature.TypeString:
		return arrow.BinaryTypes.String
	case feature.TypeTimestamp:
		return timestampType
	case feature.TypeDecimal:
		return &arrow.Decimal128Type{Precision: int32(t.Precision()), Scale: int32(t.Scale())}
	case feature.TypeBytes:
		return arrow.BinaryTypes.Binary
	case feature.TypeList:
		return arrow.ListOf(ArrowType(t.Elem()))
	case feature.TypeVector:
		return arrow.FixedSizeListOf(int32(t.Dimension()), arrow.PrimitiveTypes.Float32)
	}
	panic("tabular: no Arrow type for " + t.String())
}

// ArrowSchema is the schema of columns, in their order. Every field is nullable.
func ArrowSchema(columns []feature.Column) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i := range columns {
		fields[i] = arrow.Field{Name: columns[i].Name, Type: ArrowType(columns[i].Type), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

// streamTypes lists what ArrowType returns, for messages.
const streamTypes = "bool, int64, float64, utf8, timestamp[us, tz=UTC], decimal128, binary, a list of one of these, " +
	"or a fixed_size_list of float"

// ColumnsOf is the inverse of ArrowSchema, up to nullability, names of list items and metadata. The error names the first
// column whose type is not one that ArrowType returns, or whose name is empty, no text that can be stored, or another
// column's.
func ColumnsOf(s *arrow.Schema) ([]feature.Column, error) {
	columns := make([]feature.Column, s.NumFields())
	seen := make(map[string]bool, s.NumFields())
	for i, f := range s.Fields() {
		if f.Name == "" {
			return nil, fmt.Errorf("column %d: found no name, expected one", i+1)
		}
		if err := checkText(f.Name); err != nil {
			return nil, fmt.Errorf("the name of column %d: %w", i+1, err)
		}
		t := typeOf(f.Type)
		if t == feature.TypeInvalid {
			return nil, fmt.Errorf("column %s: found Arrow type %s, expected %s", shorten(f.Name), shorten(f.Type.String()), streamTypes)
		}
		if seen[f.Name] {
			return nil, fmt.Errorf("column %s: found twice, expected each name once", shorten(f.Name))
		}
		seen[f.Name] = true
		columns[i] = feature.Column{Name: f.Name, Type: t}
	}
	return columns, nil
}

// typeOf is the type whose values dt carries as they are, or TypeInvalid.
func typeOf(dt arrow.DataType) feature.Type {
	switch dt := dt.(type) {
	case *arrow.BooleanType:
		return feature.TypeBool
	case *arrow.Int64Type:
		return feature.TypeInt64
	case *arrow.Float64Type:
		return feature.TypeFloat64
	case *arrow.StringType:
		return feature.TypeString
	case *arrow.TimestampType:
		if arrow.TypeEqual(dt, timestampType) {
			return feature.TypeTimestamp
		}
	case *arrow.Decimal128Type:
		return feature.DecimalType(int(dt.Precision), int(dt.Scale))
	case *arrow.BinaryType:
		return feature.TypeBytes
	case *arrow.ListType:
		return feature.ListType(typeOf(dt.Elem()))
	case *arrow.FixedSizeListType:
		if dt.Elem().ID() == arrow.FLOAT32 {
			return feature.VectorType(int(dt.Len()))
		}
	}
	return feature.TypeInvalid
}

// Append appends v to b, the builder of an array of ArrowType(v.Type()). NULL is appended to a builder of any type.
func Append(b array.Builder, v feature.Value) {
	switch v.Type().Kind() {
	case feature.TypeInvalid:
		b.AppendNull()
	case feature.TypeBool:
		b.(*array.BooleanBuilder).Append(v.Bool())
	case feature.TypeInt64:
		b.(*array.Int64Builder).Append(v.Int64())
	case feature.TypeFloat64:
		b.(*array.Float64Builder).Append(v.Float64())
	case feature.TypeString:
		b.(*array.StringBuilder).Append(v.Str())
	case feature.TypeTimestamp:
		b.(*array.TimestampBuilder).Append(arrow.Timestamp(v.Timestamp()))
	case feature.TypeDecimal:
		c := v.Decimal()
		b.(*array.Decimal128Builder).Append(decimal128.New(c.Hi, c.Lo))
	case feature.TypeBytes:
		b.(*array.BinaryBuilder).AppendString(v.Str())
	case feature.TypeList:
		list := b.(*array.ListBuilder)
		list.Append(true)
		for _, e := range v.Elements() {
			Append(list.ValueBuilder(), e)
		}
	case feature.TypeVector:
		list := b.(*array.FixedSizeListBuilder)
		list.Append(true)
		list.ValueBuilder().(*array.Float32Builder).AppendValues(v.AppendFloats(nil), nil)
	}
}

// ValueAt is the i-th value of a, whose type is one that ArrowType returns; it panics on another. It may share the array's
// memory, so it must not outlive the record: feature.Value.Clone keeps one. An error is of a list with a NULL in it, or of
// a decimal with more digits than its type has.
func ValueAt(a arrow.Array, i int) (feature.Value, error) {
	if a.IsNull(i) {
		return feature.Null(), nil
	}
	switch a := a.(type) {
	case *array.Boolean:
		return feature.Bool(a.Value(i)), nil
	case *array.Int64:
		return feature.Int64(a.Value(i)), nil
	case *array.Float64:
		return feature.Float64(a.Value(i)), nil
	case *array.String:
		return feature.String(a.Value(i)), nil
	case *array.Timestamp:
		return feature.Timestamp(feature.Time(a.Value(i))), nil
	case *array.Decimal128:
		n := a.Value(i)
		return feature.Decimal(typeOf(a.DataType()), feature.Int128{Hi: n.HighBits(), Lo: n.LowBits()})
	case *array.Binary:
		return feature.Bytes(a.ValueString(i)), nil
	case *array.List:
		return listAt(typeOf(a.DataType()), a, i, func(at int) (feature.Value, error) { return ValueAt(a.ListValues(), at) })
	case *array.FixedSizeList:
		return vectorAt(typeOf(a.DataType()), a, i)
	}
	panic("tabular: no value of an array of " + a.DataType().String())
}

// listAt is the i-th list of a, whose elements element reads by their position among those of all lists.
func listAt(t feature.Type, a array.ListLike, i int, element func(at int) (feature.Value, error)) (feature.Value, error) {
	begin, end := a.ValueOffsets(i)
	elements := make([]feature.Value, end-begin)
	for j := range elements {
		at := int(begin) + j
		if a.ListValues().IsNull(at) {
			return feature.Null(), fmt.Errorf("found NULL as element %d of a list, expected none: lists hold no NULL; leave it out", j+1)
		}
		var err error
		if elements[j], err = element(at); err != nil {
			return feature.Null(), fmt.Errorf("element %d: %w", j+1, err)
		}
	}
	return feature.List(t, elements)
}

// vectorAt is the i-th list of a as a vector. Its elements are floats of 32 bits, or such of 64 as those hold exactly.
func vectorAt(t feature.Type, a array.ListLike, i int) (feature.Value, error) {
	begin, end := a.ValueOffsets(i)
	values := a.ListValues()
	for at := begin; at < end; at++ {
		if values.IsNull(int(at)) {
			return feature.Null(), fmt.Errorf("found NULL as element %d of a vector, expected none: vectors hold no NULL; write 0, or leave the vector out", at-begin+1)
		}
	}
	switch values := values.(type) {
	case *array.Float32:
		return feature.Vector(t, values.Float32Values()[begin:end])
	case *array.Float64:
		floats := make([]float32, 0, end-begin)
		for j, f := range values.Float64Values()[begin:end] {
			if floats = append(floats, float32(f)); f == f && float64(floats[j]) != f {
				return feature.Null(), fmt.Errorf("found %v as element %d of a vector, which a float of 32 bits does not hold exactly; "+
					"round it where it is made", f, j+1)
			}
		}
		return feature.Vector(t, floats)
	}
	return feature.Null(), fmt.Errorf("found a list of %s, expected floats of 32 or 64 bits", values.DataType())
}
