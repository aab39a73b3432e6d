package tabular

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// What one column of a file in Arrow's own form holds, read as a type.
func readColumn(t *testing.T, dt arrow.DataType, as feature.Type, fill func(array.Builder)) ([]string, string, error) {
	t.Helper()
	file := record(t, []arrow.Field{{Name: "c", Type: dt}}, func(b *array.RecordBuilder) { fill(b.Field(0)) })
	path := write(t, "f.arrow", string(file.arrow(t, FormatArrow)))
	rows, err := readAll(path, []feature.Column{{Name: "c", Type: as}})
	return rows, path, err
}

func listOf(fill func(values array.Builder)) func(array.Builder) {
	return func(b array.Builder) {
		list := b.(array.ListLikeBuilder)
		list.Append(true)
		fill(list.ValueBuilder())
	}
}

func TestColumnarFilesHoldEveryKind(t *testing.T) {
	price := feature.DecimalType(12, 2)
	for name, c := range map[string]struct {
		dt   arrow.DataType
		as   feature.Type
		fill func(array.Builder)
		want string
	}{
		"a decimal of another scale": {&arrow.Decimal128Type{Precision: 20, Scale: 4}, price, func(b array.Builder) {
			b.(*array.Decimal128Builder).Append(decimal128.FromI64(-125_000))
		}, "-12.50"},
		"a decimal of 256 bits": {&arrow.Decimal256Type{Precision: 50, Scale: 0}, price, func(b array.Builder) {
			b.(*array.Decimal256Builder).Append(decimal256.FromI64(7))
		}, "7.00"},
		"a decimal of 32 bits": {&arrow.Decimal32Type{Precision: 9, Scale: 3}, price, func(b array.Builder) { b.(*array.Decimal32Builder).Append(-10) }, "-0.01"},
		"a scale below zero":   {&arrow.Decimal64Type{Precision: 9, Scale: -3}, price, func(b array.Builder) { b.(*array.Decimal64Builder).Append(12) }, "12000.00"},
		"an integer":           {arrow.PrimitiveTypes.Int64, price, func(b array.Builder) { b.(*array.Int64Builder).Append(3) }, "3.00"},
		"large binary":         {arrow.BinaryTypes.LargeBinary, feature.TypeBytes, func(b array.Builder) { b.(*array.BinaryBuilder).Append([]byte{0, 255}) }, "AP8="},
		"fixed binary": {&arrow.FixedSizeBinaryType{ByteWidth: 2}, feature.TypeBytes, func(b array.Builder) {
			b.(*array.FixedSizeBinaryBuilder).Append([]byte{0, 255})
		}, "AP8="},
		"a large list of narrow integers": {arrow.LargeListOf(arrow.PrimitiveTypes.Int16), feature.ListType(feature.TypeInt64),
			listOf(func(b array.Builder) { b.(*array.Int16Builder).AppendValues([]int16{1, -2}, nil) }), "[1,-2]"},
		"a list of fixed size": {arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Float32), feature.ListType(feature.TypeFloat64),
			listOf(func(b array.Builder) { b.(*array.Float32Builder).AppendValues([]float32{0.5, 2}, nil) }), "[0.5,2]"},
		"a list of decimals": {arrow.ListOf(&arrow.Decimal128Type{Precision: 5, Scale: 1}), feature.ListType(price),
			listOf(func(b array.Builder) { b.(*array.Decimal128Builder).Append(decimal128.FromI64(5)) }), "[0.50]"},
		"a list of words": {arrow.ListOf(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}), feature.ListType(feature.TypeString),
			listOf(func(b array.Builder) {
				if err := b.(*array.BinaryDictionaryBuilder).AppendString("x"); err != nil {
					t.Error(err)
				}
			}), `["x"]`},
		"an empty list": {arrow.ListOf(arrow.BinaryTypes.String), feature.ListType(feature.TypeString), listOf(func(array.Builder) {}), "[]"},
		"no list":       {arrow.ListOf(arrow.BinaryTypes.String), feature.ListType(feature.TypeString), func(b array.Builder) { b.AppendNull() }, "∅"},
		"a list as vector": {arrow.ListOf(arrow.PrimitiveTypes.Float32), feature.VectorType(2),
			listOf(func(b array.Builder) { b.(*array.Float32Builder).AppendValues([]float32{0.1, 2}, nil) }), "[0.1,2]"},
		"floats of 64 bits as vector": {arrow.ListOf(arrow.PrimitiveTypes.Float64), feature.VectorType(2),
			listOf(func(b array.Builder) {
				b.(*array.Float64Builder).AppendValues([]float64{float64(float32(0.1)), 2}, nil)
			}), "[0.1,2]"},
	} {
		rows, _, err := readColumn(t, c.dt, c.as, c.fill)
		if err != nil || strings.Join(rows, " ") != c.want {
			t.Errorf("%s: found %q, %v; expected %s", name, rows, err, c.want)
		}
	}
}

func TestColumnarFilesThatDoNotFit(t *testing.T) {
	price := feature.DecimalType(4, 2)
	for want, c := range map[string]struct {
		dt   arrow.DataType
		as   feature.Type
		fill func(array.Builder)
	}{
		"row 1, column c: found 1.255, with 3 digits behind the point, expected at most 2, as decimal(4, 2) has; round it where it is made": {
			&arrow.Decimal128Type{Precision: 4, Scale: 3}, price, func(b array.Builder) { b.(*array.Decimal128Builder).Append(decimal128.FromI64(1255)) }},
		"row 1, column c: found 100, with 3 digits before the point, expected at most 2, as decimal(4, 2) has": {
			arrow.PrimitiveTypes.Int8, price, func(b array.Builder) { b.(*array.Int8Builder).Append(100) }},
		"column c: found type float64, expected decimal(4, 2) (a decimal, or an integer); convert the column, or declare it otherwise": {
			arrow.PrimitiveTypes.Float64, price, func(b array.Builder) { b.AppendNull() }},
		"column c: found type utf8, expected bytes (binary); convert the column, or declare it otherwise": {
			arrow.BinaryTypes.String, feature.TypeBytes, func(b array.Builder) { b.AppendNull() }},
		"column c: found type int64, expected list(int64) (a list, each element an integer of up to 64 bits, signed, or unsigned of up to 32); convert the column, or declare it otherwise": {
			arrow.PrimitiveTypes.Int64, feature.ListType(feature.TypeInt64), func(b array.Builder) { b.AppendNull() }},
		"column c: found type list<item: int64, nullable>, expected vector(2) (a list of floating point numbers of 32 bits, or of 64 that those hold exactly); convert the column, or declare it otherwise": {
			arrow.ListOf(arrow.PrimitiveTypes.Int64), feature.VectorType(2), func(b array.Builder) { b.AppendNull() }},
		"row 1, column c: found NULL as element 1 of a list, expected none: lists hold no NULL; leave it out": {
			arrow.ListOf(arrow.PrimitiveTypes.Int64), feature.ListType(feature.TypeInt64), listOf(func(b array.Builder) { b.AppendNull() })},
		"row 1, column c: element 1: found a NUL character in \"\\x00\", expected text without one": {
			arrow.ListOf(arrow.BinaryTypes.String), feature.ListType(feature.TypeString), listOf(func(b array.Builder) { b.(*array.StringBuilder).Append("\x00") })},
		"row 1, column c: found 1 floats, expected 2, as vector(2) has": {
			arrow.ListOf(arrow.PrimitiveTypes.Float32), feature.VectorType(2), listOf(func(b array.Builder) { b.(*array.Float32Builder).Append(1) })},
		"row 1, column c: found 0.1 as element 1 of a vector, which a float of 32 bits does not hold exactly; round it where it is made": {
			arrow.ListOf(arrow.PrimitiveTypes.Float64), feature.VectorType(2), listOf(func(b array.Builder) { b.(*array.Float64Builder).Append(0.1) })},
		"row 1, column c: found NULL as element 2 of a vector, expected none: vectors hold no NULL; write 0, or leave the vector out": {
			arrow.ListOf(arrow.PrimitiveTypes.Float32), feature.VectorType(2), listOf(func(b array.Builder) {
				b.(*array.Float32Builder).Append(1)
				b.AppendNull()
			})},
	} {
		_, path, err := readColumn(t, c.dt, c.as, c.fill)
		expectFault(t, err, fault.InvalidRows, path+": "+want)
	}
}

// A file whose columns are not known before has the types that its own stand for.
func TestKindsOfColumnarFiles(t *testing.T) {
	fields := []arrow.Field{
		{Name: "a", Type: &arrow.Decimal256Type{Precision: 38, Scale: 2}}, {Name: "b", Type: arrow.BinaryTypes.LargeBinary},
		{Name: "c", Type: arrow.LargeListOf(arrow.PrimitiveTypes.Int8)}, {Name: "d", Type: arrow.FixedSizeListOf(3, arrow.PrimitiveTypes.Float32)},
		{Name: "e", Type: arrow.FixedSizeListOf(3, arrow.PrimitiveTypes.Float64)},
	}
	file := record(t, fields, func(b *array.RecordBuilder) {
		for _, f := range b.Fields() {
			f.AppendNull()
		}
	})
	f, err := Open(write(t, "f.arrow", string(file.arrow(t, FormatArrow))), nil, FormatUnknown)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	columns, err := f.Columns(nil)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, c := range columns {
		types = append(types, c.Type.String())
	}
	if got, want := strings.Join(types, " "), "decimal(38, 2) bytes list(int64) vector(3) list(float64)"; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
}

func TestTextsOfEveryKind(t *testing.T) {
	for _, c := range []struct {
		typ       feature.Type
		json, csv string
		want      string
	}{
		{feature.DecimalType(38, 2), `123456789012345678901234567890.1`, `123456789012345678901234567890.1`, "123456789012345678901234567890.10"},
		{feature.DecimalType(12, 2), `"-0.5"`, `-.5`, "-0.50"},
		{feature.TypeBytes, `"AP8="`, `AP8=`, "AP8="},
		{feature.ListType(feature.TypeString), ` [ "a\u00e9" , "" ] `, `"[""aé"", """"]"`, `["aé",""]`},
		{feature.ListType(feature.DecimalType(3, 1)), `[0.5,"1"]`, `"[0.5,""1""]"`, "[0.5,1.0]"},
		{feature.ListType(feature.TypeTimestamp), `["2001-01-31"]`, `"[""2001-01-31""]"`, `["2001-01-31T00:00:00Z"]`},
		{feature.ListType(feature.TypeFloat64), `["NaN", 1e2]`, `"[""NaN"", 1e2]"`, `["NaN",100]`},
		{feature.ListType(feature.TypeBool), `[]`, `[]`, "[]"},
		{feature.VectorType(2), `[0.1, "-Infinity"]`, `"[0.1, ""-Infinity""]"`, `[0.1,"-Infinity"]`},
		{feature.VectorType(2), `null`, `""`, "∅"},
	} {
		columns := []feature.Column{{Name: "c", Type: c.typ}, {Name: "n", Type: feature.TypeInt64}}
		rows, err := readAll(write(t, "f.ndjson", `{"c":`+c.json+`,"n":1}`+"\n"), columns)
		expectRows(t, rows, err, c.want+" 1")
		rows, err = readAll(write(t, "f.csv", "c,n\n"+c.csv+",1\n"), columns)
		expectRows(t, rows, err, c.want+" 1")
	}
}

func TestTextsThatDoNotFit(t *testing.T) {
	ints, words, vector := feature.ListType(feature.TypeInt64), feature.ListType(feature.TypeString), feature.VectorType(2)
	for _, c := range []struct {
		typ        feature.Type
		json, want string
	}{
		{feature.DecimalType(4, 2), `1.005`, "found 1.005, with 3 digits behind the point, expected at most 2, as decimal(4, 2) has; round it where it is made"},
		{feature.DecimalType(4, 2), `true`, "found true, expected a decimal(4, 2): a number"},
		{feature.TypeBytes, `"AP8"`, `found "AP8", expected bytes in base64, such as AP8=`},
		{feature.TypeBytes, `7`, "found the number 7, expected bytes: text in quotes, in base64"},
		{ints, `7`, "found the number 7, expected a list(int64): an array of values, in square brackets"},
		{ints, `[1, null]`, "found NULL as element 2 of a list, expected none: lists hold no NULL; leave it out"},
		{ints, `[1, "2"]`, `element 2: found the text "2", expected an int64: a whole number without quotes`},
		{ints, `[[1]]`, "found an array as element 1 of an array, expected a single value"},
		{ints, `[{"a":1}]`, "found an object as element 1 of an array, expected a single value"},
		{words, `["\u0000"]`, `found a NUL character in "\x00", expected text without one`},
		{words, `["\ud800"]`, `found half of a surrogate pair in "�", expected whole characters`},
		{feature.TypeString, `["a"]`, "found an array, expected a single value; flatten it"},
		{vector, `[1]`, "found 1 floats, expected 2, as vector(2) has"},
		{vector, `[1, null]`, "element 2: found null, expected a number without quotes"},
		{vector, `[1, 1e39]`, "element 2: found 1e39, expected a number that a float of 32 bits has room for"},
		{vector, `"[1, 2]"`, `found the text "[1, 2]", expected a vector(2): an array of 2 numbers`},
	} {
		path := write(t, "f.ndjson", `{"c":`+c.json+"}\n")
		_, err := readAll(path, []feature.Column{{Name: "c", Type: c.typ}})
		expectFault(t, err, fault.InvalidRows, path+":1: column c: "+c.want)
	}
	path := write(t, "f.ndjson", `{"c":[1,`+"\n")
	_, err := readAll(path, []feature.Column{{Name: "c", Type: ints}})
	expectFault(t, err, fault.InvalidRows, path+`:1: found "{\"c\":[1,", which is not JSON; expected one whole JSON object a line`)
	for cell, want := range map[string]string{
		"1":           `found "1", expected a list(int64): an array of values, in square brackets`,
		`"[1"`:        `found "[1", expected a list(int64): an array of values, in square brackets`,
		`"[1] 2"`:     `found "[1] 2", expected a list(int64): an array of values, in square brackets`,
		`"[1, null]"`: "found NULL as element 2 of a list, expected none: lists hold no NULL; leave it out",
	} {
		path := write(t, "f.csv", "c\n"+cell+"\n")
		_, err := readAll(path, []feature.Column{{Name: "c", Type: ints}})
		expectFault(t, err, fault.InvalidRows, path+":2: column c: "+want)
	}
	// In a file whose columns are not declared nothing says what a list holds.
	path = write(t, "g.ndjson", `{"c":[1]}`+"\n")
	f, err := Open(path, nil, FormatUnknown)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = f.Columns(nil)
	expectFault(t, err, fault.InvalidRows, path+":1: column c: found an array, expected a single value; flatten it")
}
