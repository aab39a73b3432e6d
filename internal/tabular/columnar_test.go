package tabular

import (
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

type arrowFile interface {
	Write(arrow.RecordBatch) error
	Close() error
}

// arrowWriter writes any Arrow types, where Writer only writes the product's own.
func arrowWriter(t *testing.T, w io.Writer, format Format, schema *arrow.Schema) arrowFile {
	t.Helper()
	if format == FormatArrowStream {
		return ipc.NewWriter(w, ipc.WithSchema(schema))
	}
	f, err := ipc.NewFileWriter(w, ipc.WithSchema(schema))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// wide is a file with a column of each type that is widened.
func wide(t *testing.T) recorded {
	return record(t, []arrow.Field{
		{Name: "i8", Type: arrow.PrimitiveTypes.Int8},
		{Name: "u32", Type: arrow.PrimitiveTypes.Uint32},
		{Name: "f32", Type: arrow.PrimitiveTypes.Float32},
		{Name: "large", Type: arrow.BinaryTypes.LargeString},
		{Name: "word", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}},
		{Name: "day", Type: arrow.FixedWidthTypes.Date32},
		{Name: "naive", Type: &arrow.TimestampType{Unit: arrow.Millisecond}},
		{Name: "nanos", Type: &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "Europe/Rome"}},
	}, func(b *array.RecordBuilder) {
		b.Field(0).(*array.Int8Builder).Append(-8)
		b.Field(1).(*array.Uint32Builder).Append(4294967295)
		b.Field(2).(*array.Float32Builder).Append(0.5)
		b.Field(3).(*array.LargeStringBuilder).Append("long")
		if err := b.Field(4).(*array.BinaryDictionaryBuilder).AppendString("again"); err != nil {
			t.Fatal(err)
		}
		b.Field(5).(*array.Date32Builder).Append(11323)
		b.Field(6).(*array.TimestampBuilder).Append(978307200001)
		b.Field(7).(*array.TimestampBuilder).Append(978307200000001000)
		for _, f := range b.Fields() {
			f.AppendNull()
		}
	})
}

func TestColumnarFilesAreWidened(t *testing.T) {
	for name, content := range map[string][]byte{
		"f.parquet": wide(t).parquet(t), "f.arrow": wide(t).arrow(t, FormatArrow), "f.arrows": wide(t).arrow(t, FormatArrowStream),
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, name, string(content))
			f, err := Open(path, nil, FormatUnknown)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			columns, err := f.Columns([]feature.Column{{Name: "u32", Type: feature.TypeFloat64}})
			if err != nil {
				t.Fatal(err)
			}
			want := []feature.Type{feature.TypeInt64, feature.TypeFloat64, feature.TypeFloat64, feature.TypeString,
				feature.TypeString, feature.TypeTimestamp, feature.TypeTimestamp, feature.TypeTimestamp}
			for i, c := range columns {
				if c.Type != want[i] {
					t.Errorf("column %s: found %s, expected %s", c.Name, c.Type, want[i])
				}
			}
			r, err := f.Read(columns)
			if err != nil {
				t.Fatal(err)
			}
			got, err := rowsOf(r)
			expectRows(t, got, err,
				"-8 4.294967295e+09 0.5 long again 2001-01-01T00:00:00Z 2001-01-01T00:00:00.001Z 2001-01-01T00:00:00.000001Z",
				"∅ ∅ ∅ ∅ ∅ ∅ ∅ ∅")
		})
	}
}

func TestBadColumns(t *testing.T) {
	one := func(dt arrow.DataType, fill func(array.Builder)) recorded {
		return record(t, []arrow.Field{{Name: "c", Type: dt}}, func(b *array.RecordBuilder) { fill(b.Field(0)) })
	}
	null := func(b array.Builder) { b.AppendNull() }
	for name, c := range map[string]struct {
		file recorded
		as   feature.Type
		want string
	}{
		"float for int": {one(arrow.PrimitiveTypes.Float64, null), feature.TypeInt64,
			"column c: found type float64, expected int64 (an integer of up to 64 bits, signed, or unsigned of up to 32); convert the column, or declare it otherwise"},
		"uint64": {one(arrow.PrimitiveTypes.Uint64, null), feature.TypeInt64,
			"column c: found type uint64, expected int64 (an integer of up to 64 bits, signed, or unsigned of up to 32); convert the column, or declare it otherwise"},
		"int64 for float": {one(arrow.PrimitiveTypes.Int64, null), feature.TypeFloat64,
			"column c: found type int64, expected float64 (a floating point number, or an integer of up to 32 bits); convert the column, or declare it otherwise"},
		"text for time": {one(arrow.BinaryTypes.String, null), feature.TypeTimestamp,
			"column c: found type utf8, expected timestamp (a timestamp or a date); convert the column, or declare it otherwise"},
		"list": {one(arrow.ListOf(arrow.PrimitiveTypes.Int64), null), feature.TypeInt64,
			"column c: found type list<element: int64, nullable>, expected int64 (an integer of up to 64 bits, signed, or unsigned of up to 32); convert the column, or declare it otherwise"},
		"nanoseconds": {one(arrow.FixedWidthTypes.Timestamp_ns, func(b array.Builder) {
			b.AppendNull()
			b.(*array.TimestampBuilder).Append(978307200000000001)
		}), feature.TypeTimestamp,
			"row 2, column c: found 2001-01-01T00:00:00.000000001Z, with more than microseconds; expected a timestamp in microseconds, so round it where the file is written"},
		"utf-8": {one(arrow.BinaryTypes.String, func(b array.Builder) { b.(*array.StringBuilder).Append("Z\xfcrich") }), feature.TypeString,
			`row 1, column c: found bytes that are not UTF-8 in "Z\xfcrich", expected UTF-8; convert the file`},
		"NULL": {one(arrow.PrimitiveTypes.Int32, func(b array.Builder) {
			b.(*array.Int32Builder).Append(1)
			b.AppendNull()
		}), feature.TypeInt64, "row 2, column c: found NULL, expected an int64; fill it in, or take the row out"},
		"no rows": {one(arrow.PrimitiveTypes.Int64, func(array.Builder) {}), feature.TypeInt64,
			"found no rows, expected at least one; check what was to write it"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, "f.parquet", string(c.file.parquet(t)))
			_, err := readAll(path, []feature.Column{{Name: "c", Type: c.as}}, "c")
			expectFault(t, err, fault.InvalidRows, path+": "+c.want)
		})
	}
	path := write(t, "f.parquet", string(one(arrow.StructOf(arrow.Field{Name: "a", Type: arrow.PrimitiveTypes.Int64, Nullable: true}), null).parquet(t)))
	f, err := Open(path, nil, FormatUnknown)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = f.Columns(nil)
	expectFault(t, err, fault.InvalidRows, path+": column c: found type struct<a: int64 nullable>, expected a bool, an integer, "+
		"a floating point number, a decimal, text, binary, a date, a timestamp or a list of these; convert the column or take it out")
	_, err = f.Read([]feature.Column{{Name: "origin", Type: feature.TypeString}})
	expectFault(t, err, fault.InvalidRows, path+": found no column origin, expected it; the file has c")
}

// A damaged file may announce more than there is memory; it is a damaged file all the same, in both forms.
func TestLyingLengthsInFiles(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "i", Type: arrow.PrimitiveTypes.Int64}}, nil)
	stream := libraryStream(t, schema, func(b *array.RecordBuilder) { b.Field(0).(*array.Int64Builder).Append(1) }, ipc.WithZstd())
	put64(body(t, stream, 1), 1<<46)
	path := write(t, "f.arrows", string(stream))
	_, err := readAll(path, []feature.Column{{Name: "i", Type: feature.TypeInt64}})
	expectFault(t, err, fault.InvalidRows, path+": found a file that cannot be read as arrows, expected a whole one; copy or write it again")
	stream = libraryStream(t, schema, func(b *array.RecordBuilder) { b.Field(0).(*array.Int64Builder).Append(1) })
	meta := stream[batchAt(stream)+8:]
	put64(meta[table{meta, table{bytes: meta}.uint32(0)}.field(3):], 1<<46)
	path = write(t, "g.arrows", string(stream))
	_, err = readAll(path, []feature.Column{{Name: "i", Type: feature.TypeInt64}})
	expectFault(t, err, fault.InvalidRows, path+": found a file that cannot be read as arrows, expected a whole one; copy or write it again")
}
