package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/anyvalue"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// sentValue is a value in each form in which it can be sent, and as Postgres writes what must be there.
type sentValue struct {
	// row is what a Go program appends.
	row any
	// value is the same, for Arrow and Parquet.
	value feature.Value
	// csv is a cell, json a literal.
	csv, json string
	landed    string
}

func decimalOf(t feature.Type, s string) feature.Value { return must1(feature.ParseDecimal(t, s)) }

func listOf(t feature.Type, elements ...feature.Value) feature.Value {
	return must1(feature.List(t, elements))
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// sentValues are values of each type, those that are the most likely to be changed on the way.
func sentValues() map[feature.Type][]sentValue {
	money, wide, fraction := feature.DecimalType(12, 2), feature.DecimalType(38, 0), feature.DecimalType(38, 38)
	nines := strings.Repeat("9", 38)
	kolkata := time.FixedZone("", 5*3600+1800)
	at := func(year, month, day, hour, minute, second, micros int, zone *time.Location) time.Time {
		return time.Date(year, time.Month(month), day, hour, minute, second, micros*1000, zone)
	}
	stamp := func(t time.Time) feature.Value { return feature.Timestamp(feature.TimeOf(t)) }
	ones, threes := feature.VectorType(1), feature.VectorType(3)
	vector := func(t feature.Type, floats ...float32) feature.Value { return must1(feature.Vector(t, floats)) }
	list := func(elem feature.Type, elements ...feature.Value) feature.Value {
		return listOf(feature.ListType(elem), elements...)
	}
	of := func(v feature.Value, csv, json, landed string) sentValue { return sentValue{v, v, csv, json, landed} }
	values := map[feature.Type][]sentValue{
		feature.TypeBool: {
			{true, feature.Bool(true), "true", "true", "true"}, {false, feature.Bool(false), "FALSE", "false", "false"},
		},
		feature.TypeInt64: {
			{int64(math.MinInt64), feature.Int64(math.MinInt64), "-9223372036854775808", "-9223372036854775808", "-9223372036854775808"},
			{int64(math.MaxInt64), feature.Int64(math.MaxInt64), "9223372036854775807", "9223372036854775807", "9223372036854775807"},
			{int32(-1), feature.Int64(-1), "-1", "-1", "-1"}, {9007199254740993, feature.Int64(9007199254740993), "9007199254740993", "9007199254740993", "9007199254740993"},
		},
		feature.TypeFloat64: {
			{math.NaN(), feature.Float64(math.NaN()), "NaN", `"NaN"`, "NaN"}, {math.Inf(1), feature.Float64(math.Inf(1)), "Inf", `"Infinity"`, "Infinity"},
			{math.Inf(-1), feature.Float64(math.Inf(-1)), "-inf", `"-Infinity"`, "-Infinity"},
			{math.Copysign(0, -1), feature.Float64(math.Copysign(0, -1)), "-0", "-0", "0"},
			{float32(0.5), feature.Float64(0.5), "0.5", "5e-1", "0.5"}, {0.1, feature.Float64(0.1), "0.1", "0.1", "0.1"},
			{math.MaxFloat64, feature.Float64(math.MaxFloat64), "1.7976931348623157e308", "1.7976931348623157e+308", "1.7976931348623157e+308"},
			{math.SmallestNonzeroFloat64, feature.Float64(math.SmallestNonzeroFloat64), "5e-324", "5e-324", "5e-324"},
		},
		feature.TypeString: {
			{"é日本\U0010ffff", feature.String("é日本\U0010ffff"), "é日本\U0010ffff", `"é日本\udbff\udfff"`, "é日本\U0010ffff"},
			{"e\u0301", feature.String("e\u0301"), "e\u0301", `"e\u0301"`, "e\u0301"},
			{"a,\"b\"\\\n\t'\u0001", feature.String("a,\"b\"\\\n\t'\u0001"), "\"a,\"\"b\"\"\\\n\t'\u0001\"", `"a,\"b\"\\\n\t'\u0001"`, "a,\"b\"\\\n\t'\u0001"},
			{"NULL", feature.String("NULL"), "NULL", `"NULL"`, "NULL"}, {`\N`, feature.String(`\N`), `\N`, `"\\N"`, `\N`},
			{" x ", feature.String(" x "), " x ", `" x "`, " x "},
		},
		feature.TypeBytes: {
			{[]byte{0, 0xff, '\\'}, feature.Bytes("\x00\xff\\"), "AP9c", `"AP9c"`, `\x00ff5c`}, {[]byte("a"), feature.Bytes("a"), "YQ==", `"YQ=="`, `\x61`},
		},
		feature.TypeTimestamp: {
			{at(2001, 1, 31, 10, 5, 0, 123456, kolkata), stamp(at(2001, 1, 31, 4, 35, 0, 123456, time.UTC)), "2001-01-31T10:05:00.123456+05:30",
				`"2001-01-31 10:05:00.123456+0530"`, "2001-01-31 04:35:00.123456+00"},
			{at(2001, 1, 31, 0, 0, 0, 0, time.UTC), stamp(at(2001, 1, 31, 0, 0, 0, 0, time.UTC)), "2001-01-31", `"2001-01-31"`, "2001-01-31 00:00:00+00"},
			{at(1, 1, 1, 0, 0, 0, 0, time.UTC), stamp(at(1, 1, 1, 0, 0, 0, 0, time.UTC)), "0001-01-01", `"0001-01-01T00:00:00Z"`, "0001-01-01 00:00:00+00"},
			{at(9999, 12, 31, 23, 59, 59, 999999, time.UTC), stamp(at(9999, 12, 31, 23, 59, 59, 999999, time.UTC)), "9999-12-31T23:59:59.999999Z",
				`"9999-12-31 23:59:59.999999"`, "9999-12-31 23:59:59.999999+00"},
			{at(1969, 12, 31, 23, 59, 59, 999999, time.UTC), stamp(at(1969, 12, 31, 23, 59, 59, 999999, time.UTC)), "1969-12-31T23:59:59.999999Z",
				`"1970-01-01T00:59:59.999999+01:00"`, "1969-12-31 23:59:59.999999+00"},
		},
		money: {
			of(decimalOf(money, "-0.5"), "-.5", "-0.5", "-0.50"), of(decimalOf(money, "9999999999.99"), "9999999999.99", `"9999999999.99"`, "9999999999.99"),
			of(decimalOf(money, "1e3"), "1e3", "1E3", "1000.00"),
		},
		wide:     {of(decimalOf(wide, nines), nines, nines, nines), of(decimalOf(wide, "-"+nines), "-"+nines, "-"+nines, "-"+nines)},
		fraction: {of(decimalOf(fraction, "0."+nines), "0."+nines, "0."+nines, "0."+nines), of(decimalOf(fraction, "-1e-38"), "-1e-38", "-1e-38", "-0."+strings.Repeat("0", 37)+"1")},
		ones:     {{[]float32{0.1}, vector(ones, 0.1), "[0.1]", "[0.1]", "{0.1}"}},
		threes: {
			{[]float32{float32(math.NaN()), float32(math.Inf(-1)), -1.5}, vector(threes, float32(math.NaN()), float32(math.Inf(-1)), -1.5),
				`"[""NaN"",""-Infinity"",-1.5]"`, `["NaN", "-Infinity", -1.5]`, "{NaN,-Infinity,-1.5}"},
			{[]float32{math.MaxFloat32, math.SmallestNonzeroFloat32, 16777216}, vector(threes, math.MaxFloat32, math.SmallestNonzeroFloat32, 16777216),
				`"[3.4028235e38,1e-45,16777216]"`, "[3.4028235e38,1e-45,16777216]", "{3.4028235e+38,1e-45,1.6777216e+07}"},
		},
		feature.ListType(feature.TypeBool):    {of(list(feature.TypeBool, feature.Bool(true), feature.Bool(false)), `"[true,false]"`, "[true,false]", "{t,f}"), of(list(feature.TypeBool), "[]", "[]", "{}")},
		feature.ListType(feature.TypeInt64):   {of(list(feature.TypeInt64, feature.Int64(math.MaxInt64), feature.Int64(-1)), `"[9223372036854775807,-1]"`, "[9223372036854775807,-1]", "{9223372036854775807,-1}")},
		feature.ListType(feature.TypeFloat64): {of(list(feature.TypeFloat64, feature.Float64(math.NaN()), feature.Float64(0.1)), `"[""NaN"",0.1]"`, `["NaN",0.1]`, "{NaN,0.1}")},
		feature.ListType(feature.TypeString): {of(list(feature.TypeString, feature.String(`x, "y"`), feature.String(""), feature.String("NULL"), feature.String("é")),
			`"[""x, \""y\"""","""",""NULL"",""é""]"`, `["x, \"y\"","","NULL","\u00e9"]`, `{"x, \"y\"","","NULL",é}`)},
		feature.ListType(feature.TypeTimestamp): {of(list(feature.TypeTimestamp, stamp(at(2001, 1, 31, 4, 35, 0, 123456, time.UTC))), `"[""2001-01-31T10:05:00.123456+05:30""]"`,
			`["2001-01-31T04:35:00.123456Z"]`, `{"2001-01-31 04:35:00.123456+00"}`)},
		feature.ListType(feature.TypeBytes): {of(list(feature.TypeBytes, feature.Bytes("\x00\xff"), feature.Bytes("")), `"[""AP8="",""""]"`, `["AP8=",""]`, `{"\\x00ff","\\x"}`)},
		feature.ListType(money):             {of(list(money, decimalOf(money, "0.1"), decimalOf(money, "-2")), `"[0.1,-2]"`, `[0.1,"-2"]`, "{0.10,-2.00}")},
		feature.ListType(wide):              {of(list(wide, decimalOf(wide, nines)), "["+nines+"]", "["+nines+"]", "{"+nines+"}")},
		feature.ListType(fraction):          {of(list(fraction, decimalOf(fraction, "0."+nines)), "[0."+nines+"]", "[0."+nines+"]", "{0."+nines+"}")},
	}
	return values
}

// everyType is a source with a column of each type that there is, and the rows to send: in row i each column has its i-th value, or
// NULL when there are fewer.
type everyType struct {
	columns []feature.Column
	rows    [][]sentValue
	// landed are the rows as Postgres writes them.
	landed string
}

func newEveryType(t *testing.T) *everyType {
	t.Helper()
	e := &everyType{columns: []feature.Column{{Name: "at", Type: feature.TypeTimestamp}, {Name: "n", Type: feature.TypeInt64}}}
	values := sentValues()
	most := 0
	for i, kind := range anyvalue.Kinds() {
		if len(values[kind]) == 0 {
			t.Errorf("there is no value of type %s to send", kind)
		}
		most = max(most, len(values[kind]))
		e.columns = append(e.columns, feature.Column{Name: fmt.Sprintf("c%d", i), Type: kind})
	}
	begin := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	var landed []string
	// The last row is NULL in each column that can be.
	for i := range most + 1 {
		row := []sentValue{
			{begin, feature.Timestamp(feature.TimeOf(begin)), "2001-01-01", `"2001-01-01"`, "2001-01-01 00:00:00+00"},
			{int64(i), feature.Int64(int64(i)), fmt.Sprint(i), fmt.Sprint(i), fmt.Sprint(i)},
		}
		for _, c := range e.columns[2:] {
			v := sentValue{value: feature.Null(), json: "null", landed: "∅"}
			if of := values[c.Type]; i < len(of) {
				v = of[i]
			}
			row = append(row, v)
		}
		e.rows = append(e.rows, row)
		var cells []string
		for j, v := range row {
			cells = append(cells, e.columns[j].Name+" "+v.landed)
		}
		landed = append(landed, strings.Join(cells, "\n"))
	}
	e.landed = strings.Join(landed, "\n\n")
	return e
}

func (e *everyType) definitions() string {
	var b strings.Builder
	b.WriteString("sources:\n")
	for _, form := range everyForm {
		fmt.Fprintf(&b, "  - name: all_%s\n    event_time: at\n    unique_key: [n]\n    landing: {}\n    columns:\n", form)
		for _, c := range e.columns {
			fmt.Fprintf(&b, "      - {name: %s, type: %q}\n", c.Name, c.Type)
		}
	}
	return b.String()
}

// everyForm is each form that rows are sent in.
var everyForm = []string{"rows", "arrow_batch", "csv", "ndjson", "parquet", "arrow", "arrows"}

func (e *everyType) names() (names []string) {
	for _, c := range e.columns {
		names = append(names, c.Name)
	}
	return names
}

// record is the rows as Arrow.
func (e *everyType) record() arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, tabular.ArrowSchema(e.columns))
	for _, row := range e.rows {
		for i, v := range row {
			tabular.Append(b.Field(i), v.value)
		}
	}
	return b.NewRecordBatch()
}

// file is the rows in a file of a form.
func (e *everyType) file(t *testing.T, form string) string {
	t.Helper()
	var b bytes.Buffer
	switch form {
	case "csv":
		fmt.Fprintln(&b, strings.Join(e.names(), ","))
		for _, row := range e.rows {
			for i, v := range row {
				if i > 0 {
					b.WriteByte(',')
				}
				b.WriteString(v.csv)
			}
			b.WriteByte('\n')
		}
	case "ndjson":
		for _, row := range e.rows {
			for i, v := range row {
				fmt.Fprintf(&b, "%s%q:%s", map[bool]string{true: "{", false: ","}[i == 0], e.columns[i].Name, v.json)
			}
			b.WriteString("}\n")
		}
	default:
		format := map[string]tabular.Format{"parquet": tabular.FormatParquet, "arrow": tabular.FormatArrow, "arrows": tabular.FormatArrowStream}[form]
		w := must1(tabular.NewWriter(&b, format, tabular.ArrowSchema(e.columns)))
		if err := w.Write(e.record()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return file(t, "all."+form, b.String())
}

// send sends the rows to a source in a form; batches have a key.
func (e *everyType) send(t *testing.T, s *serverProcess, c *client.Client, source, form, key string) {
	t.Helper()
	switch form {
	case "rows":
		w := c.NewBatchWriter(source, e.names()...)
		for _, row := range e.rows {
			var values []any
			for _, v := range row {
				values = append(values, v.row)
			}
			if err := w.Append(values...); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Cut(key); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	case "arrow_batch":
		var b bytes.Buffer
		w := ipc.NewWriter(&b, ipc.WithSchema(tabular.ArrowSchema(e.columns)))
		if err := w.Write(e.record()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		stream, err := c.Loads.Ingest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&headwaterv1.IngestRequest{Source: source, Header: &headwaterv1.IngestHeader{Batches: true}})
		_ = stream.Send(&headwaterv1.IngestRequest{Batch: &headwaterv1.Batch{IdempotencyKey: key}, Arrow: b.Bytes()})
		if _, err := stream.CloseAndRecv(); err != nil {
			t.Fatal(err)
		}
	default:
		s.must(t, "ingest", source, e.file(t, form))
	}
}

// Values of every type, and NULL, are in the landing table as they were sent, in whatever form, to the last bit.
func TestEveryTypeLandsAsItWasSent(t *testing.T) {
	t.Parallel()
	e := newEveryType(t)
	url := testenv.EmptyPostgresURL(t)
	s := startServe(t, url, testenv.RedisURL(t))
	s.must(t, "apply", file(t, "all.yaml", e.definitions()))
	c, err := client.Dial(s.address, s.token, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "SET TimeZone TO 'UTC'"); err != nil {
		t.Fatal(err)
	}
	var cells []string
	for _, name := range e.names() {
		cells = append(cells, fmt.Sprintf("'%s ' || coalesce(%s::text, '∅')", name, name))
	}
	for _, form := range everyForm {
		t.Run(form, func(t *testing.T) {
			source := "all_" + form
			e.send(t, s, c, source, form, "all")
			var landed string
			err := conn.QueryRow(t.Context(), fmt.Sprintf(`SELECT string_agg(concat_ws(E'\n', %s), E'\n\n' ORDER BY _row) FROM headwater_landing.%s`,
				strings.Join(cells, ", "), source)).Scan(&landed)
			if err != nil {
				t.Fatal(err)
			}
			if landed == e.landed {
				return
			}
			found, expected := strings.Split(landed, "\n"), strings.Split(e.landed, "\n")
			if len(found) != len(expected) {
				t.Fatalf("found\n%s\nexpected\n%s", landed, e.landed)
			}
			for i := range found {
				if found[i] != expected[i] {
					t.Errorf("found %q, expected %q", found[i], expected[i])
				}
			}
		})
	}
	// Text (c3) and bytes (c5) that are empty are not NULL; in CSV, where an empty cell is NULL, they cannot be written.
	for _, form := range []string{"rows", "ndjson", "parquet"} {
		t.Run("empty in "+form, func(t *testing.T) {
			empty := &everyType{columns: e.columns}
			row := slices.Clone(e.rows[0])
			row[1] = sentValue{int64(-1), feature.Int64(-1), "-1", "-1", "-1"}
			for i, c := range e.columns {
				switch c.Type {
				case feature.TypeString:
					row[i] = sentValue{"", feature.String(""), "", `""`, ""}
				case feature.TypeBytes:
					row[i] = sentValue{[]byte{}, feature.Bytes(""), "", `""`, `\x`}
				}
			}
			empty.rows = [][]sentValue{row}
			empty.send(t, s, c, "all_"+form, form, "empty")
			var n int
			err := conn.QueryRow(t.Context(), fmt.Sprintf(`SELECT count(*) FROM headwater_landing.all_%s WHERE n = -1 AND c3 = '' AND c5 = ''`, form)).Scan(&n)
			if err != nil || n != 1 {
				t.Errorf("found %d rows, %v", n, err)
			}
		})
	}
}
