package tabular

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/endian"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/feature"
)

// everyType is a column of each type.
var everyType = []feature.Column{
	{Name: "b", Type: feature.TypeBool}, {Name: "i", Type: feature.TypeInt64}, {Name: "f", Type: feature.TypeFloat64},
	{Name: "s", Type: feature.TypeString}, {Name: "t", Type: feature.TypeTimestamp}, {Name: "y", Type: feature.TypeBytes},
	{Name: "d", Type: feature.DecimalType(12, 2)}, {Name: "l", Type: feature.ListType(feature.TypeString)},
	{Name: "n", Type: feature.ListType(feature.DecimalType(3, 1))}, {Name: "v", Type: feature.VectorType(3)},
}

func everyRow(n int) []feature.Value {
	if n%5 == 4 {
		return make([]feature.Value, len(everyType))
	}
	return []feature.Value{
		feature.Bool(n%2 == 0), feature.Int64(int64(n) - 3), feature.Float64(float64(n) / 3), feature.String(strings.Repeat("é", n%7)),
		feature.Timestamp(feature.Time(n) * 1_000_003), feature.Bytes(strings.Repeat("\xff", n%3)),
		must(feature.Decimal(everyType[6].Type, feature.Int128Of(int64(n)-3))),
		must(feature.List(everyType[7].Type, []feature.Value{feature.String("a"), feature.String(strings.Repeat("é", n%5))}[:n%3])),
		must(feature.List(everyType[8].Type, []feature.Value{must(feature.ParseDecimal(everyType[8].Type.Elem(), "-12.5"))}[:n%2])),
		must(feature.Vector(everyType[9].Type, []float32{float32(n), 0.1, -1})),
	}
}

func must(v feature.Value, err error) feature.Value {
	if err != nil {
		panic(err)
	}
	return v
}

// streamOf is rows as a StreamWriter writes them.
func streamOf(t testing.TB, columns []feature.Column, compressed bool, rows ...[]feature.Value) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewStreamWriter(&b, columns, compressed)
	for _, row := range rows {
		if err := w.Append(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// libraryStream is one batch as the library writes it.
func libraryStream(t testing.TB, schema *arrow.Schema, fill func(*array.RecordBuilder), options ...ipc.Option) []byte {
	t.Helper()
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	fill(builder)
	batch := builder.NewRecordBatch()
	defer batch.Release()
	var b bytes.Buffer
	w := ipc.NewWriter(&b, append(options, ipc.WithSchema(schema))...)
	if err := errors.Join(w.Write(batch), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readStream reads all rows, as text.
func readStream(r io.Reader) (rows []string, err error) {
	s, err := NewStreamReader(r)
	if err != nil {
		return nil, err
	}
	return rowTexts(s)
}

func rowTexts(s *StreamReader) (rows []string, err error) {
	for row, err := range s.Rows() {
		if err != nil {
			return rows, err
		}
		rows = append(rows, rowText(row))
	}
	return rows, nil
}

func rowText(row []feature.Value) string {
	texts := make([]string, len(row))
	for i, v := range row {
		texts[i] = v.Type().String() + ":" + v.Text()
	}
	return strings.Join(texts, " ")
}

func TestStreamsComeBackAsTheyWere(t *testing.T) {
	for _, n := range []int{0, 1, 2, StreamBatchRows - 1, StreamBatchRows, StreamBatchRows + 1, 2*StreamBatchRows + 5} {
		var rows [][]feature.Value
		var want []string
		for i := range n {
			rows = append(rows, everyRow(i))
			want = append(want, rowText(everyRow(i)))
		}
		plain := streamOf(t, everyType, false, rows...)
		// A source may come in any pieces.
		for name, r := range map[string]io.Reader{
			"whole": bytes.NewReader(plain), "halves": iotest.HalfReader(bytes.NewReader(plain)), "data with EOF": iotest.DataErrReader(bytes.NewReader(plain)),
		} {
			got, err := readStream(r)
			if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%d rows, %s: found %d rows, %v", n, name, len(got), err)
			}
		}
		own, err := NewOwnStreamReader(bytes.NewReader(streamOf(t, everyType, true, rows...)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := rowTexts(own)
		if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%d rows, compressed: found %d rows, %v", n, len(got), err)
		}
	}
}

// Rows that are written together make the bytes that they make one by one, wherever batches end.
func TestRowsWrittenTogether(t *testing.T) {
	for name, c := range map[string]struct{ rows, together, endBytes int }{
		"one":                     {1, 1, StreamBatchBytes},
		"a few":                   {33, 7, StreamBatchBytes},
		"up to a batch":           {StreamBatchRows, 256, StreamBatchBytes},
		"over the ends of some":   {3*StreamBatchRows + 576, 300, StreamBatchBytes},
		"more than a batch":       {2*StreamBatchRows + 5, 2*StreamBatchRows + 5, StreamBatchBytes},
		"batches that bytes end":  {5000, 256, 10_000},
		"a batch of each row":     {40, 11, 1},
		"full ones after shorter": {2 * StreamBatchRows, 1000, 900_000},
	} {
		for _, compressed := range []bool{false, true} {
			var alone, together bytes.Buffer
			a, b := NewStreamWriter(&alone, everyType, compressed), NewStreamWriter(&together, everyType, compressed)
			a.EndBatchesAt(c.endBytes)
			b.EndBatchesAt(c.endBytes)
			var values []feature.Value
			for i := range c.rows {
				row := everyRow(i)
				if err := a.Append(row); err != nil {
					t.Fatal(err)
				}
				if values = append(values, row...); (i+1)%c.together != 0 && i+1 < c.rows {
					continue
				}
				if err := b.AppendRows(values); err != nil {
					t.Fatal(err)
				}
				values = values[:0]
			}
			if err := errors.Join(a.Close(), b.Close()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(alone.Bytes(), together.Bytes()) {
				t.Errorf("%s, compressed %t: found %d bytes, expected those %d of rows one by one", name, compressed, together.Len(), alone.Len())
			}
		}
	}
}

// The rows before what is wrong come, and of two things that are wrong the one in the earlier row is told.
func TestRowsComeBeforeWhatIsWrong(t *testing.T) {
	columns := []feature.Column{{Name: "a", Type: feature.TypeString}, {Name: "b", Type: feature.TypeString}}
	for name, c := range map[string]struct {
		a, b int
		want string
	}{
		"in the later column first":  {700, 300, "row 301: column b: found a NUL character"},
		"in the same block":          {301, 300, "row 301: column b: found a NUL character"},
		"in the earlier column":      {299, 300, "row 300: column a: found a NUL character"},
		"in both columns of one row": {300, 300, "row 301: column a: found a NUL character"},
		"in the second batch":        {StreamBatchRows + 3, StreamBatchRows + 4, fmt.Sprintf("row %d: column a: found a NUL character", StreamBatchRows+4)},
	} {
		rows := make([][]feature.Value, StreamBatchRows+10)
		for i := range rows {
			rows[i] = []feature.Value{feature.String(fmt.Sprint(i)), feature.String("é")}
		}
		rows[c.a][0], rows[c.b][1] = feature.String("a\x00"), feature.String("\x00")
		got, err := readStream(bytes.NewReader(streamOf(t, columns, false, rows...)))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: found %v, expected %q", name, err, c.want)
		}
		if want := min(c.a, c.b); len(got) != want || got[want-1] != rowText(rows[want-1]) {
			t.Errorf("%s: found %d rows, expected the %d before", name, len(got), want)
		}
	}
}

func TestStreamOfNullsAlone(t *testing.T) {
	null := make([]feature.Value, len(everyType))
	got, err := readStream(bytes.NewReader(streamOf(t, everyType, false, null, null)))
	if err != nil || len(got) != 2 {
		t.Errorf("found %q, %v", got, err)
	}
}

func TestBatchesEndWithTheRowThatFillsThem(t *testing.T) {
	columns := []feature.Column{{Name: "s", Type: feature.TypeString}}
	text := feature.String(strings.Repeat("x", StreamBatchBytes/2))
	r, err := ipc.NewReader(bytes.NewReader(streamOf(t, columns, false, []feature.Value{text}, []feature.Value{text}, []feature.Value{text})))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	var batches []int64
	for r.Next() {
		batches = append(batches, r.RecordBatch().NumRows())
	}
	if fmt.Sprint(batches) != "[2 1]" {
		t.Errorf("found batches of %v rows, expected 2 and 1", batches)
	}
}

// Other byte orders are turned into this machine's.
func TestOtherByteOrder(t *testing.T) {
	other := endian.BigEndian
	if endian.NativeEndian == other {
		other = endian.LittleEndian
	}
	schema := arrow.NewSchemaWithEndian([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil, other)
	stream := libraryStream(t, schema, func(b *array.RecordBuilder) {
		b.Field(0).(*array.Int64Builder).Append(int64(bits.ReverseBytes64(258)))
	})
	got, err := readStream(bytes.NewReader(stream))
	if err != nil || len(got) != 1 || got[0] != "int64:258" {
		t.Errorf("found %q, %v", got, err)
	}
}

func one(name string, dt arrow.DataType) *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{{Name: name, Type: dt}}, nil)
}

func appendNull(b *array.RecordBuilder) { b.Field(0).AppendNull() }

// batchAt is where the message of the first batch begins.
func batchAt(stream []byte) int {
	return 8 + int(binary.LittleEndian.Uint32(stream[4:]))
}

// batchTable is the RecordBatch of the first batch, over the stream's own bytes.
func batchTable(t testing.TB, stream []byte) table {
	t.Helper()
	meta := stream[batchAt(stream)+8:]
	batch, ok := table{meta, table{bytes: meta}.uint32(0)}.table(messageHeader)
	if !ok {
		t.Fatal("the batch has no table")
	}
	return batch
}

func put64(b []byte, n int64) { binary.LittleEndian.PutUint64(b, uint64(n)) }

// strings3 is a stream with one column of three texts.
func strings3(t testing.TB) []byte {
	rows := [][]feature.Value{{feature.String("one")}, {feature.String("two")}, {feature.Null()}}
	return streamOf(t, []feature.Column{{Name: "s", Type: feature.TypeString}}, false, rows...)
}

func badStreams(t testing.TB) map[string]struct {
	stream []byte
	want   string
} {
	good := streamOf(t, everyType, false, everyRow(0), everyRow(1))
	change := func(stream []byte, do func([]byte)) []byte {
		changed := bytes.Clone(stream)
		do(changed)
		return changed
	}
	// In a RecordBatch slot 1 is the nodes (length, NULLs) and slot 2 the buffers (offset, length).
	node := func(b []byte, i, field int, n int64) {
		batch := batchTable(t, b)
		first, _ := batch.vector(1)
		put64(batch.bytes[first+16*i+8*field:], n)
	}
	buffer := func(b []byte, i, field int, n int64) {
		batch := batchTable(t, b)
		first, _ := batch.vector(2)
		put64(batch.bytes[first+16*i+8*field:], n)
	}
	const whole = ", expected an Arrow IPC stream; send it again as it was written"
	const types = streamTypes
	withMetadata := arrow.NewMetadata([]string{strings.Repeat("k", maxMetadataBytes)}, []string{""})
	return map[string]struct {
		stream []byte
		want   string
	}{
		"nothing": {nil, "found nothing, expected an Arrow IPC stream: a schema, record batches and an end marker"},
		"text": {[]byte("timestamp,origin\n2001-01-01,ORD\n"),
			"found something else than an Arrow IPC stream, expected one: a schema, record batches and an end marker"},
		"the file form": {[]byte("ARROW1\x00\x00"),
			"found something else than an Arrow IPC stream, expected one: a schema, record batches and an end marker"},
		"three bytes":       {good[:3], "found the stream cut off in the schema, expected its end marker last; send all of it"},
		"no length":         {good[:6], "found the stream cut off in the schema, expected its end marker last; send all of it"},
		"half a schema":     {good[:40], "found the stream cut off in the schema, expected its end marker last; send all of it"},
		"half a batch":      {good[:batchAt(good)+20], "found the stream cut off in record batch 1, expected its end marker last; send all of it"},
		"half a body":       {good[:len(good)-9], "found the stream cut off in record batch 1, expected its end marker last; send all of it"},
		"half an end":       {good[:len(good)-4], "found the stream cut off in record batch 2, expected its end marker last; send all of it"},
		"no end":            {good[:len(good)-8], "found no end marker after 1 record batches, expected one; the stream was cut off, or its writer was not closed"},
		"a schema alone":    {good[:batchAt(good)], "found no end marker after 0 record batches, expected one; the stream was cut off, or its writer was not closed"},
		"two streams":       {append(bytes.Clone(good), good...), "found bytes after the end marker, expected none; send one stream"},
		"an end alone":      {arrowStreamEnd, "found an end marker first, expected a schema"},
		"two schemas":       {append(bytes.Clone(good[:batchAt(good)]), good...), "found record batch 1 damaged" + whole},
		"a batch first":     {good[batchAt(good):], "found the schema damaged" + whole},
		"garbage metadata":  {append([]byte("\xff\xff\xff\xff\x40\x00\x00\x00"), bytes.Repeat([]byte{0xee}, 64)...), "found the schema damaged" + whole},
		"huge metadata":     {[]byte("\xff\xff\xff\xff\xff\xff\xff\x7f"), "found 2147483647 bytes of metadata before the schema, expected at most 1048576; send fewer columns or shorter names, and no metadata"},
		"negative metadata": {[]byte("\xff\xff\xff\xff\xff\xff\xff\xff"), "found 4294967295 bytes of metadata before the schema, expected at most 1048576; send fewer columns or shorter names, and no metadata"},
		"much metadata": {libraryStream(t, arrow.NewSchema(one("n", arrow.PrimitiveTypes.Int64).Fields(), &withMetadata), appendNull),
			"found 1048752 bytes of metadata before the schema, expected at most 1048576; send fewer columns or shorter names, and no metadata"},
		"a huge batch": {change(good, func(b []byte) {
			meta := b[batchAt(b)+8:]
			put64(meta[table{meta, table{bytes: meta}.uint32(0)}.field(3):], 1<<40)
		}), "found record batch 1 of 1099511627776 bytes, expected at most 67108864; send smaller batches"},
		"a negative batch": {change(good, func(b []byte) {
			meta := b[batchAt(b)+8:]
			put64(meta[table{meta, table{bytes: meta}.uint32(0)}.field(3):], -1)
		}), "found record batch 1 of 18446744073709551615 bytes, expected at most 67108864; send smaller batches"},
		"compressed": {streamOf(t, everyType, true, everyRow(0)),
			"found a compressed record batch, expected plain buffers; write the stream without compression"},
		"compressed with lz4": {libraryStream(t, one("n", arrow.PrimitiveTypes.Int64), appendNull, ipc.WithLZ4()),
			"found a compressed record batch, expected plain buffers; write the stream without compression"},
		"a dictionary column": {libraryStream(t, one("d", &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}), appendNull),
			`column "d": found a dictionary, expected plain values of ` + types},
		"a list of lists": {libraryStream(t, one("l", arrow.ListOf(arrow.ListOf(arrow.PrimitiveTypes.Int64))), appendNull),
			`column "l": found a nested type, expected ` + types},
		"a struct column": {libraryStream(t, one("l", arrow.StructOf(arrow.Field{Name: "a", Type: arrow.PrimitiveTypes.Int64})), appendNull),
			`column "l": found a nested type, expected ` + types},
		"a map column": {libraryStream(t, one("l", arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64)), appendNull),
			`column "l": found a nested type, expected ` + types},
		"a list of dictionaries": {libraryStream(t, one("l", arrow.ListOf(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String})), appendNull),
			`column "l": found a dictionary, expected plain values of ` + types},
		"a list of narrow integers": {libraryStream(t, one("l", arrow.ListOf(arrow.PrimitiveTypes.Int32)), appendNull),
			`column l: found Arrow type list<item: int32, nullable>, expected ` + types},
		"no columns": {libraryStream(t, arrow.NewSchema(nil, nil), func(*array.RecordBuilder) {}), "found a schema without columns, expected some"},
		"no name":    {libraryStream(t, one("", arrow.PrimitiveTypes.Int64), appendNull), "column 1: found no name, expected one"},
		"a NUL in a name": {libraryStream(t, one("a\x00b", arrow.PrimitiveTypes.Int64), appendNull),
			`the name of column 1: found a NUL character in "a\x00b", expected text without one`},
		"a name not in UTF-8": {libraryStream(t, one("a\xff", arrow.PrimitiveTypes.Int64), appendNull),
			`the name of column 1: found bytes that are not UTF-8 in "a\xff", expected UTF-8; convert the file`},
		"another type": {libraryStream(t, one("n", arrow.PrimitiveTypes.Int32), appendNull),
			"column n: found Arrow type int32, expected " + types},
		"a long zone": {libraryStream(t, one("t", &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: strings.Repeat("Z", 5000)}), appendNull),
			`column t: found Arrow type "timestamp[us, tz=ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ"…, expected ` + types},
		"as many columns as can be said": {change(good, func(b []byte) {
			schema := schemaTable(t, b)
			first, _ := schema.vector(schemaFields)
			binary.LittleEndian.PutUint32(schema.bytes[first-4:], math.MaxUint32)
		}), "found the schema damaged" + whole},
		"names over each other": {aliased(t), "found the schema damaged" + whole},

		"NUL": {streamOf(t, everyType[3:4], false, []feature.Value{feature.String("ok")}, []feature.Value{feature.String("a\x00")}),
			`row 2: column s: found a NUL character in "a\x00", expected text without one`},
		"not UTF-8": {streamOf(t, everyType[3:4], false, []feature.Value{feature.String(strings.Repeat("é", 100) + "\xff")}),
			`row 1: column s: found bytes that are not UTF-8 in "` + strings.Repeat("é", 30) + `"…, expected UTF-8; convert the file`},
		"year 0": {streamOf(t, everyType[4:5], false, []feature.Value{feature.Timestamp(firstTime - 1)}),
			"row 1: column t: found a time -62135596800000001 µs from 1970-01-01, expected one in the years 1 to 9999"},
		"year 10000": {streamOf(t, everyType[4:5], false, []feature.Value{feature.Timestamp(endTime)}),
			"row 1: column t: found a time 253402300800000000 µs from 1970-01-01, expected one in the years 1 to 9999"},
		"infinity": {streamOf(t, everyType[4:5], false, []feature.Value{feature.Timestamp(math.MaxInt64)}),
			"row 1: column t: found a time 9223372036854775807 µs from 1970-01-01, expected one in the years 1 to 9999"},

		"NULL in a list": {libraryStream(t, one("l", arrow.ListOf(arrow.PrimitiveTypes.Int64)), func(b *array.RecordBuilder) {
			b.Field(0).(*array.ListBuilder).Append(true)
			b.Field(0).(*array.ListBuilder).ValueBuilder().AppendNull()
		}), "row 1: column l: found NULL as element 1 of a list, expected none: lists hold no NULL; leave it out"},
		"NULL in a vector": {libraryStream(t, one("v", arrow.FixedSizeListOf(1, arrow.PrimitiveTypes.Float32)), func(b *array.RecordBuilder) {
			b.Field(0).(*array.FixedSizeListBuilder).Append(true)
			b.Field(0).(*array.FixedSizeListBuilder).ValueBuilder().AppendNull()
		}), "row 1: column v: found NULL as element 1 of a vector, expected none: vectors hold no NULL; write 0, or leave the vector out"},
		"NUL in a list": {streamOf(t, everyType[7:8], false, []feature.Value{must(feature.List(everyType[7].Type, []feature.Value{feature.String(""), feature.String("\x00")}))}),
			`row 1: column l: element 2: found a NUL character in "\x00", expected text without one`},
		"too many digits": {libraryStream(t, one("d", &arrow.Decimal128Type{Precision: 3, Scale: 1}), func(b *array.RecordBuilder) {
			b.Field(0).(*array.Decimal128Builder).Append(decimal128.FromI64(1000))
		}), "row 1: column d: found 100.0, expected at most 2 digits before the point, as decimal(3, 1) has"},
		"list offsets beyond": {change(lists2(t), func(b []byte) { body(t, b, 1)[4] = 3; body(t, b, 1)[8] = 3 }), "found record batch 1 damaged" + whole},
		"few elements":        {change(lists2(t), func(b []byte) { node(b, 1, 0, 1) }), "found record batch 1 damaged" + whole},
		"many elements":       {change(lists2(t), func(b []byte) { node(b, 1, 0, 1<<40) }), "found record batch 1 damaged" + whole},
		"few floats":          {change(vectors2(t), func(b []byte) { node(b, 1, 0, 3) }), "found record batch 1 damaged" + whole},
		"a short vector":      {change(vectors2(t), func(b []byte) { buffer(b, 2, 1, 12) }), "found record batch 1 damaged" + whole},

		"more rows than values": {change(good, func(b []byte) {
			batch := batchTable(t, b)
			put64(batch.bytes[batch.field(0):], 1<<40)
		}), "found record batch 1 damaged" + whole},
		"fewer rows than values": {change(good, func(b []byte) {
			batch := batchTable(t, b)
			put64(batch.bytes[batch.field(0):], 1)
		}), "found record batch 1 damaged" + whole},
		"a long array":          {change(strings3(t), func(b []byte) { node(b, 0, 0, 1<<40) }), "found record batch 1 damaged" + whole},
		"a negative array":      {change(strings3(t), func(b []byte) { node(b, 0, 0, -1) }), "found record batch 1 damaged" + whole},
		"NULLs without bitmap":  {change(good, func(b []byte) { node(b, 1, 1, 1); buffer(b, 2, 1, 0) }), "found record batch 1 damaged" + whole},
		"a buffer out of bound": {change(good, func(b []byte) { buffer(b, 3, 0, 1<<20) }), "found record batch 1 damaged" + whole},
		"a buffer before":       {change(good, func(b []byte) { buffer(b, 3, 0, -64) }), "found record batch 1 damaged" + whole},
		"a huge buffer":         {change(good, func(b []byte) { buffer(b, 3, 1, math.MaxInt64) }), "found record batch 1 damaged" + whole},
		"a short buffer":        {change(good, func(b []byte) { buffer(b, 3, 1, 8) }), "found record batch 1 damaged" + whole},
		"an odd buffer":         {change(good, func(b []byte) { buffer(b, 3, 1, 15) }), "found record batch 1 damaged" + whole},
		"short offsets":         {change(strings3(t), func(b []byte) { buffer(b, 1, 1, 12) }), "found record batch 1 damaged" + whole},
		"no offsets":            {change(strings3(t), func(b []byte) { buffer(b, 1, 1, 0) }), "found record batch 1 damaged" + whole},
		"no bitmap":             {change(strings3(t), func(b []byte) { buffer(b, 0, 1, 0) }), "found record batch 1 damaged" + whole},
		"offsets that go back": {change(strings3(t), func(b []byte) { body(t, b, 1)[4] = 200 }),
			"found record batch 1 damaged" + whole},
		"offsets beyond": {change(strings3(t), func(b []byte) { body(t, b, 1)[8] = 200; body(t, b, 1)[12] = 200 }),
			"found record batch 1 damaged" + whole},
		"negative offsets": {change(strings3(t), func(b []byte) { binary.LittleEndian.PutUint32(body(t, b, 1), 1<<31) }),
			"found record batch 1 damaged" + whole},
		"buffers over each other": {change(good, func(b []byte) {
			for i := range 26 {
				buffer(b, i, 0, 0)
				buffer(b, i, 1, 128)
			}
		}), "found record batch 1 damaged" + whole},
	}
}

// lists2 is two lists of one integer each, vectors2 two vectors of two floats.
func lists2(t testing.TB) []byte {
	typ := feature.ListType(feature.TypeInt64)
	one := must(feature.List(typ, []feature.Value{feature.Int64(1)}))
	return streamOf(t, []feature.Column{{Name: "l", Type: typ}}, false, []feature.Value{one}, []feature.Value{one})
}

func vectors2(t testing.TB) []byte {
	typ := feature.VectorType(2)
	one := must(feature.Vector(typ, []float32{1, 2}))
	return streamOf(t, []feature.Column{{Name: "v", Type: typ}}, false, []feature.Value{one}, []feature.Value{one})
}

// schemaTable is the Schema, over the stream's own bytes.
func schemaTable(t testing.TB, stream []byte) table {
	t.Helper()
	meta := stream[8:]
	schema, ok := table{meta, table{bytes: meta}.uint32(0)}.table(messageHeader)
	if !ok {
		t.Fatal("the schema has no table")
	}
	return schema
}

// body is what the i-th buffer of the first batch holds.
func body(t testing.TB, stream []byte, i int) []byte {
	batch := batchTable(t, stream)
	first, _ := batch.vector(2)
	offset := binary.LittleEndian.Uint64(batch.bytes[first+16*i:])
	at := batchAt(stream)
	return stream[at+8+int(binary.LittleEndian.Uint32(stream[at+4:]))+int(offset):]
}

// aliased is a schema with many fields that are all the one with a long name.
func aliased(t testing.TB) []byte {
	fields := []arrow.Field{{Name: strings.Repeat("n", 200_000), Type: arrow.PrimitiveTypes.Int64}}
	for i := range 1000 {
		fields = append(fields, arrow.Field{Name: fmt.Sprint(i), Type: arrow.PrimitiveTypes.Int64})
	}
	long := libraryStream(t, arrow.NewSchema(fields, nil), func(*array.RecordBuilder) {})
	schema := schemaTable(t, long)
	meta := schema.bytes
	first, n := schema.vector(schemaFields)
	named := schema.element(first, 0).at
	for i := range n {
		at := first + 4*i
		binary.LittleEndian.PutUint32(meta[at:], uint32(named-at))
	}
	return long
}

func TestBadStreams(t *testing.T) {
	for name, c := range badStreams(t) {
		t.Run(name, func(t *testing.T) {
			_, err := readStream(bytes.NewReader(c.stream))
			var bad *StreamError
			if !errors.As(err, &bad) || err.Error() != c.want {
				t.Errorf("found    %v\nexpected %s", err, c.want)
			}
		})
	}
}

// What reading the source fails with is not the stream's fault, wherever it comes.
func TestErrorsOfTheSourceAreItsOwn(t *testing.T) {
	good := streamOf(t, everyType, false, everyRow(0))
	for _, gone := range []error{
		errors.New("the sender went away"), fmt.Errorf("the connection broke: %w", io.ErrUnexpectedEOF), fmt.Errorf("the connection ended: %w", io.EOF),
	} {
		for n := range len(good) + 1 {
			_, err := readStream(io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(gone)))
			if !errors.Is(err, gone) || err.Error() != gone.Error() {
				t.Fatalf("after %d bytes: found %v, expected the source's own error, %v", n, err, gone)
			}
		}
	}
}

// A stream cut off at any byte is refused.
func TestEveryPrefixIsRefused(t *testing.T) {
	good := streamOf(t, everyType, false, everyRow(0), everyRow(1))
	for n := range len(good) {
		var bad *StreamError
		if _, err := readStream(bytes.NewReader(good[:n])); !errors.As(err, &bad) {
			t.Fatalf("the first %d of %d bytes: found %v", n, len(good), err)
		}
	}
}

// What is announced and does not come takes no memory.
func TestMemoryFollowsWhatComes(t *testing.T) {
	stream := badStreams(t)["a huge batch"].stream
	meta := stream[batchAt(stream)+8:]
	put64(meta[table{meta, table{bytes: meta}.uint32(0)}.field(3):], MaxBatchBytes)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := readStream(bytes.NewReader(stream))
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("found no error")
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > MaxBatchBytes/4 {
		t.Errorf("found %d bytes allocated for a stream of %d", grown, len(stream))
	}
}

// Compressed buffers of a trusted stream that say they are larger than any may be.
func TestLyingLengthsOfCompressedBuffers(t *testing.T) {
	for _, size := range []int64{1 << 40, math.MaxInt64, -2} {
		stream := streamOf(t, everyType[1:2], true, []feature.Value{feature.Int64(1)})
		put64(body(t, stream, 1), size)
		s, err := NewOwnStreamReader(bytes.NewReader(stream))
		if err != nil {
			t.Fatal(err)
		}
		_, err = rowTexts(s)
		if want := "found record batch 1 damaged, expected an Arrow IPC stream; send it again as it was written"; err == nil || err.Error() != want {
			t.Errorf("%d bytes: found %v, expected %s", size, err, want)
		}
	}
}

// A stream of this machine may be damaged on disk; whichever byte that is, it is read or refused.
func TestEveryByteOfOwnStreams(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		good := streamOf(t, everyType, compressed, everyRow(0), everyRow(1), everyRow(4))
		for at := range good {
			for _, mask := range []byte{1, 0x80, 0xff} {
				stream := bytes.Clone(good)
				stream[at] ^= mask
				var bad *StreamError
				s, err := NewOwnStreamReader(bytes.NewReader(stream))
				if err == nil {
					_, err = rowTexts(s)
				}
				if err != nil && !errors.As(err, &bad) {
					t.Fatalf("byte %d: found %v, expected an error of the stream", at, err)
				}
			}
		}
	}
}

func FuzzStreamReader(f *testing.F) {
	for _, c := range badStreams(f) {
		if len(c.stream) < 4096 {
			f.Add(c.stream)
		}
	}
	f.Add(streamOf(f, everyType, false, everyRow(0), everyRow(1), everyRow(4)))
	f.Fuzz(func(t *testing.T, stream []byte) {
		s, err := NewStreamReader(bytes.NewReader(stream))
		var bad *StreamError
		if err != nil {
			if !errors.As(err, &bad) {
				t.Fatalf("found %v, expected an error of the stream", err)
			}
			return
		}
		// What was read whole is written and read to the same.
		var again bytes.Buffer
		w := NewStreamWriter(&again, s.Columns, false)
		var rows []string
		for row, err := range s.Rows() {
			if err != nil {
				if !errors.As(err, &bad) {
					t.Fatalf("found %v, expected an error of the stream", err)
				}
				return
			}
			rows = append(rows, rowText(row))
			if err := w.Append(row); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := readStream(&again)
		if err != nil || strings.Join(got, "\n") != strings.Join(rows, "\n") {
			t.Errorf("found %q and %v, expected %q", got, err, rows)
		}
	})
}
