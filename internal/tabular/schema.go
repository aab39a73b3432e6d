package tabular

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/headwaterhq/headwater/feature"
)

// timestampType is the one timestamp of the product: microseconds since the epoch, UTC.
var timestampType = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

// ArrowType is the Arrow type that carries values of t: bool, int64, float64, utf8, or timestamp[us, UTC]. It panics on
// a type that is none of feature.Types.
func ArrowType(t feature.Type) arrow.DataType {
	switch t {
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
const streamTypes = "bool, int64, float64, utf8 or timestamp[us, tz=UTC]"

// ColumnsOf is the inverse of ArrowSchema, up to nullability and metadata. The error names the first column whose type
// is not one that ArrowType returns, or whose name is empty, no text that can be stored, or another column's.
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
		t, ok := typeOf(f.Type)
		if !ok {
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

func typeOf(dt arrow.DataType) (feature.Type, bool) {
	for _, t := range feature.PlainTypes()[:5] {
		if arrow.TypeEqual(dt, ArrowType(t)) {
			return t, true
		}
	}
	return feature.TypeInvalid, false
}

// Append appends v to b, the builder of an array of ArrowType(v.Type()). NULL is appended to a builder of any type.
func Append(b array.Builder, v feature.Value) {
	switch v.Type() {
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
	}
}

// ValueAt is the i-th value of a, whose type is one that ArrowType returns; it panics on another. A string shares the
// array's memory, so it must not outlive the record: strings.Clone keeps one.
func ValueAt(a arrow.Array, i int) feature.Value {
	if a.IsNull(i) {
		return feature.Null()
	}
	switch a := a.(type) {
	case *array.Boolean:
		return feature.Bool(a.Value(i))
	case *array.Int64:
		return feature.Int64(a.Value(i))
	case *array.Float64:
		return feature.Float64(a.Value(i))
	case *array.String:
		return feature.String(a.Value(i))
	case *array.Timestamp:
		return feature.Timestamp(feature.Time(a.Value(i)))
	}
	panic("tabular: no value of an array of " + a.DataType().String())
}
