package tabular

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/feature"
)

// naturalType is the type that a column of a columnar file is read as when none is asked for, TypeInvalid when there is
// none.
func naturalType(dt arrow.DataType) feature.Type {
	switch dt.ID() {
	case arrow.BOOL:
		return feature.TypeBool
	case arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64, arrow.UINT8, arrow.UINT16, arrow.UINT32:
		return feature.TypeInt64
	case arrow.FLOAT32, arrow.FLOAT64:
		return feature.TypeFloat64
	case arrow.STRING, arrow.LARGE_STRING, arrow.STRING_VIEW, arrow.NULL:
		return feature.TypeString
	case arrow.DATE32, arrow.DATE64, arrow.TIMESTAMP:
		return feature.TypeTimestamp
	case arrow.DICTIONARY:
		return naturalType(dt.(*arrow.DictionaryType).ValueType)
	case arrow.DECIMAL32, arrow.DECIMAL64, arrow.DECIMAL128, arrow.DECIMAL256:
		d := dt.(arrow.DecimalType)
		return feature.DecimalType(int(d.GetPrecision()), int(d.GetScale()))
	case arrow.BINARY, arrow.LARGE_BINARY, arrow.BINARY_VIEW, arrow.FIXED_SIZE_BINARY:
		return feature.TypeBytes
	case arrow.LIST, arrow.LARGE_LIST:
		return feature.ListType(naturalType(dt.(arrow.ListLikeType).Elem()))
	case arrow.FIXED_SIZE_LIST:
		list := dt.(*arrow.FixedSizeListType)
		if list.Elem().ID() == arrow.FLOAT32 {
			return feature.VectorType(int(list.Len()))
		}
		return feature.ListType(naturalType(list.Elem()))
	}
	return feature.TypeInvalid
}

// convertible reports whether every value of dt, or all but those a message can name, is a value of t.
func convertible(dt arrow.DataType, t feature.Type) bool {
	if t == feature.TypeInvalid {
		return false
	}
	switch dt.ID() {
	case arrow.NULL:
		return true
	case arrow.DICTIONARY:
		return convertible(dt.(*arrow.DictionaryType).ValueType, t)
	case arrow.INT8, arrow.INT16, arrow.INT32, arrow.UINT8, arrow.UINT16, arrow.UINT32:
		return t == feature.TypeInt64 || t == feature.TypeFloat64 || t.Kind() == feature.TypeDecimal
	case arrow.INT64:
		return t == feature.TypeInt64 || t.Kind() == feature.TypeDecimal
	case arrow.DECIMAL32, arrow.DECIMAL64, arrow.DECIMAL128, arrow.DECIMAL256:
		return t.Kind() == feature.TypeDecimal
	case arrow.LIST, arrow.LARGE_LIST, arrow.FIXED_SIZE_LIST:
		elem := dt.(arrow.ListLikeType).Elem()
		if t.Kind() == feature.TypeVector {
			return elem.ID() == arrow.FLOAT32 || elem.ID() == arrow.FLOAT64
		}
		return t.IsList() && convertible(elem, t.Elem())
	}
	return naturalType(dt) == t
}

// columnarForm is what columns of a columnar file are that can be read as t.
func columnarForm(t feature.Type) string {
	switch t.Kind() {
	case feature.TypeBool:
		return "bool"
	case feature.TypeInt64:
		return "an integer of up to 64 bits, signed, or unsigned of up to 32"
	case feature.TypeFloat64:
		return "a floating point number, or an integer of up to 32 bits"
	case feature.TypeString:
		return "text"
	case feature.TypeTimestamp:
		return "a timestamp or a date"
	case feature.TypeDecimal:
		return "a decimal, or an integer"
	case feature.TypeBytes:
		return "binary"
	case feature.TypeVector:
		return "a list of floating point numbers of 32 bits, or of 64 that those hold exactly"
	}
	return "a list, each element " + columnarForm(t.Elem())
}

func (f *File) checkConvertible(field arrow.Field, t feature.Type) error {
	if convertible(field.Type, t) {
		return nil
	}
	if t == feature.TypeInvalid {
		return f.badAt(place{column: field.Name},
			"found type %s, expected a bool, an integer, a floating point number, a decimal, text, binary, a date, a timestamp or a list of these; convert the column or take it out", field.Type)
	}
	return f.badAt(place{column: field.Name}, "found type %s, expected %s (%s); convert the column, or declare it otherwise",
		field.Type, t, columnarForm(t))
}

// convertArray is a as an array of ArrowType(t). The error is of the value at row, which counts from 0.
func convertArray(a arrow.Array, t feature.Type) (result arrow.Array, row int, err error) {
	if t.Kind() <= feature.TypeTimestamp && arrow.TypeEqual(a.DataType(), ArrowType(t)) {
		if s, ok := a.(*array.String); ok {
			row, err := checkStrings(s)
			return a, row, err
		}
		return a, 0, nil
	}
	value, err := valuesOf(a, t)
	if err != nil {
		return nil, 0, err
	}
	b := array.NewBuilder(memory.DefaultAllocator, ArrowType(t))
	b.Reserve(a.Len())
	for i := range a.Len() {
		if a.IsNull(i) {
			b.AppendNull()
			continue
		}
		v, err := value(i)
		if err != nil {
			return nil, i, err
		}
		Append(b, v)
	}
	return b.NewArray(), 0, nil
}

func checkStrings(a *array.String) (int, error) {
	for i := range a.Len() {
		if a.IsValid(i) {
			if err := checkText(a.Value(i)); err != nil {
				return i, err
			}
		}
	}
	return 0, nil
}

// valuesOf reads single values of a, which are not NULL, as values of t.
func valuesOf(a arrow.Array, t feature.Type) (func(i int) (feature.Value, error), error) {
	integer := func(n int64) (feature.Value, error) {
		switch t.Kind() {
		case feature.TypeFloat64:
			return feature.Float64(float64(n)), nil
		case feature.TypeDecimal:
			return feature.ParseDecimal(t, strconv.FormatInt(n, 10))
		}
		return feature.Int64(n), nil
	}
	text := func(s string) (feature.Value, error) { return feature.String(s), checkText(s) }
	switch a := a.(type) {
	case *array.Null:
		return func(int) (feature.Value, error) { return feature.Null(), nil }, nil
	case *array.Boolean:
		return func(i int) (feature.Value, error) { return feature.Bool(a.Value(i)), nil }, nil
	case *array.Int8:
		return func(i int) (feature.Value, error) { return integer(int64(a.Value(i))) }, nil
	case *array.Int16:
		return func(i int) (feature.Value, error) { return integer(int64(a.Value(i))) }, nil
	case *array.Int32:
		return func(i int) (feature.Value, error) { return integer(int64(a.Value(i))) }, nil
	case *array.Int64:
		return func(i int) (feature.Value, error) { return integer(a.Value(i)) }, nil
	case *array.Uint8:
		return func(i int) (feature.Value, error) { return integer(int64(a.Value(i))) }, nil
	case *array.Uint16:
		return func(i int) (feature.Value, error) { return integer(int64(a.Value(i))) }, nil
	case *array.Uint32:
		return func(i int) (feature.Value, error) { return integer(int64(a.Value(i))) }, nil
	case *array.Float32:
		return func(i int) (feature.Value, error) { return feature.Float64(float64(a.Value(i))), nil }, nil
	case *array.Float64:
		return func(i int) (feature.Value, error) { return feature.Float64(a.Value(i)), nil }, nil
	case *array.String:
		return func(i int) (feature.Value, error) { return text(a.Value(i)) }, nil
	case *array.LargeString:
		return func(i int) (feature.Value, error) { return text(a.Value(i)) }, nil
	case *array.StringView:
		return func(i int) (feature.Value, error) { return text(a.Value(i)) }, nil
	case *array.Date32:
		return func(i int) (feature.Value, error) { return scaled(int64(a.Value(i)), 24*time.Hour) }, nil
	case *array.Date64:
		return func(i int) (feature.Value, error) { return scaled(int64(a.Value(i)), time.Millisecond) }, nil
	case *array.Timestamp:
		unit := a.DataType().(*arrow.TimestampType).Unit.Multiplier()
		return func(i int) (feature.Value, error) { return scaled(int64(a.Value(i)), unit) }, nil
	case *array.Binary:
		return func(i int) (feature.Value, error) { return feature.Bytes(a.ValueString(i)), nil }, nil
	case *array.LargeBinary:
		return func(i int) (feature.Value, error) { return feature.Bytes(a.ValueString(i)), nil }, nil
	case *array.BinaryView:
		return func(i int) (feature.Value, error) { return feature.Bytes(a.ValueString(i)), nil }, nil
	case *array.FixedSizeBinary:
		return func(i int) (feature.Value, error) { return feature.Bytes(string(a.Value(i))), nil }, nil
	case *array.Decimal32:
		return decimalsOf(a.DataType(), t, func(i int) string { return strconv.FormatInt(int64(a.Value(i)), 10) }), nil
	case *array.Decimal64:
		return decimalsOf(a.DataType(), t, func(i int) string { return strconv.FormatInt(int64(a.Value(i)), 10) }), nil
	case *array.Decimal128:
		return decimalsOf(a.DataType(), t, func(i int) string { return a.Value(i).BigInt().String() }), nil
	case *array.Decimal256:
		return decimalsOf(a.DataType(), t, func(i int) string { return a.Value(i).BigInt().String() }), nil
	case array.ListLike:
		if t.Kind() == feature.TypeVector {
			return func(i int) (feature.Value, error) { return vectorAt(t, a, i) }, nil
		}
		element, err := valuesOf(a.ListValues(), t.Elem())
		if err != nil {
			return nil, err
		}
		return func(i int) (feature.Value, error) { return listAt(t, a, i, element) }, nil
	case *array.Dictionary:
		values, err := valuesOf(a.Dictionary(), t)
		if err != nil {
			return nil, err
		}
		return func(i int) (feature.Value, error) {
			at := a.GetValueIndex(i)
			if a.Dictionary().IsNull(at) {
				return feature.Null(), nil
			}
			return values(at)
		}, nil
	}
	return nil, fmt.Errorf("found type %s, expected %s", a.DataType(), t)
}

// decimalsOf reads decimals of dt, whose coefficients are whole numbers, as decimals of t.
func decimalsOf(dt arrow.DataType, t feature.Type, coefficient func(i int) string) func(i int) (feature.Value, error) {
	scale := int(dt.(arrow.DecimalType).GetScale())
	return func(i int) (feature.Value, error) { return feature.ParseDecimal(t, pointed(coefficient(i), scale)) }
}

// pointed is a whole number with so many of its digits behind the point.
func pointed(number string, scale int) string {
	if scale <= 0 {
		return number + strings.Repeat("0", -scale)
	}
	digits, negative := strings.CutPrefix(number, "-")
	digits = strings.Repeat("0", max(0, scale+1-len(digits))) + digits
	number = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	if negative {
		return "-" + number
	}
	return number
}

// scaled is n units since the epoch as a timestamp; what microseconds cannot say is refused.
func scaled(n int64, unit time.Duration) (feature.Value, error) {
	if unit < time.Microsecond {
		if n%1000 != 0 {
			return feature.Null(), fmt.Errorf("found %s, with more than microseconds; expected a timestamp in microseconds, so round it where the file is written",
				time.Unix(0, n).UTC().Format(time.RFC3339Nano))
		}
		return feature.Timestamp(feature.Time(n / 1000)), nil
	}
	factor := unit.Microseconds()
	if n > math.MaxInt64/factor || n < math.MinInt64/factor {
		return feature.Null(), fmt.Errorf("found a time %d × %s from 1970, expected one within 292,000 years of it", n, unit)
	}
	return feature.Timestamp(feature.Time(n * factor)), nil
}
