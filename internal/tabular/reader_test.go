package tabular

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

var flightColumns = []feature.Column{
	{Name: "date", Type: feature.TypeTimestamp},
	{Name: "delay", Type: feature.TypeInt64},
	{Name: "distance", Type: feature.TypeFloat64},
	{Name: "origin", Type: feature.TypeString},
	{Name: "diverted", Type: feature.TypeBool},
}

// write puts content into a file of the name given, in a folder of the test's own.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll is the rows of a file as text, NULL as ∅.
func readAll(path string, columns []feature.Column, notNull ...string) ([]string, error) {
	f, err := Open(path, nil, FormatUnknown)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := f.Read(columns, notNull...)
	if err != nil {
		return nil, err
	}
	return rowsOf(r)
}

func rowsOf(r *Reader) ([]string, error) {
	var rows []string
	for {
		batch, err := r.Next()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		for row := range int(batch.NumRows()) {
			var cells []string
			for _, a := range batch.Columns() {
				v, err := ValueAt(a, row)
				if err != nil {
					return nil, err
				}
				if v.IsNull() {
					cells = append(cells, "∅")
				} else {
					cells = append(cells, v.Text())
				}
			}
			rows = append(rows, strings.Join(cells, " "))
		}
	}
}

func expectRows(t *testing.T, got []string, err error, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Fatalf("found rows\n%s\nexpected\n%s", g, w)
	}
}

func TestReadCSV(t *testing.T) {
	path := write(t, "flights.csv", "\ufefforigin,diverted,date,distance,delay\r\n"+
		"ORD,true,2001-01-01 00:05,867,-3\r\n"+
		"\"S\n,\"\"X\",F,2001-01-01T06:00:00.5+05:30,1e2,\r\n"+
		",,2001-01-02,,+7\n")
	got, err := readAll(path, flightColumns)
	expectRows(t, got, err,
		"2001-01-01T00:05:00Z -3 867 ORD true",
		"2001-01-01T00:30:00.5Z ∅ 100 S\n,\"X false",
		"2001-01-02T00:00:00Z 7 ∅ ∅ ∅")
}

func TestReadNDJSON(t *testing.T) {
	path := write(t, "flights.jsonl", `{"origin":"ORD","diverted":true,"date":"2001-01-01T00:05:00Z","distance":867,"delay":-3}

{"date":"2001-01-02", "delay":null, "distance":"NaN"}
{"date":"2001-01-02 10:00:00+02", "delay":9007199254740993, "distance":1.5e3, "diverted":false, "origin":""}`)
	got, err := readAll(path, flightColumns)
	expectRows(t, got, err,
		"2001-01-01T00:05:00Z -3 867 ORD true",
		"2001-01-02T00:00:00Z ∅ NaN ∅ ∅",
		"2001-01-02T08:00:00Z 9007199254740993 1500  false")
}

func TestBadText(t *testing.T) {
	const header = "date,delay,distance,origin,diverted\n"
	const good = "2001-01-01,1,2,ORD,true\n"
	for name, c := range map[string]struct{ file, content, want string }{
		"empty":            {"f.csv", "", "found an empty file, expected rows; check what was to write it"},
		"blank":            {"f.csv", "\n\n", "found no header, expected a first line with the names of the columns"},
		"header alone":     {"f.csv", header, "found no rows, expected at least one; check what was to write it"},
		"missing column":   {"f.csv", "date,Delay,distance,origin,diverted\n" + good, "found no column delay, expected it; the file has date, Delay, distance, origin, diverted"},
		"missing columns":  {"f.csv", "date,delay,distance\n2001-01-01,1,2\n", "found no columns origin, diverted, expected them; the file has date, delay, distance"},
		"extra column":     {"f.csv", "date,delay,distance,origin,diverted,\" tail\"\n", `found column " tail", expected only date, delay, distance, origin, diverted; take it out of the file, declare it, or have such columns left out (schema_changes: ignore_new_columns)`},
		"column twice":     {"f.csv", "date,date,distance,origin,diverted\n", "found column date twice, expected each name once"},
		"unnamed column":   {"f.csv", "date,,distance,origin,diverted\n", `found no name for column 2, expected one; the file has date, "", distance, origin, diverted`},
		"timestamp":        {"f.csv", header + good + "01/02/2001,1,2,ORD,true\n", `:3: column date: found "01/02/2001", expected ` + timestampForms},
		"no such day":      {"f.csv", header + "2001-02-29,1,2,ORD,true\n", `:2: column date: found "2001-02-29", expected ` + timestampForms},
		"nanoseconds":      {"f.csv", header + "2001-02-01 10:00:00.1234567,1,2,ORD,true\n", `:2: column date: found "2001-02-01 10:00:00.1234567", with more than microseconds; expected at most six digits after the point`},
		"integer":          {"f.csv", header + good + good + "2001-01-01,1.5,2,ORD,true\n", `:4: column delay: found "1.5", expected an int64: a whole number from -9223372036854775808 to 9223372036854775807`},
		"integer too big":  {"f.csv", header + "2001-01-01,9223372036854775808,2,ORD,true\n", `:2: column delay: found "9223372036854775808", expected an int64: a whole number from -9223372036854775808 to 9223372036854775807`},
		"float":            {"f.csv", header + "2001-01-01,1,0x10,ORD,true\n", `:2: column distance: found "0x10", expected a float64: a number such as -3.5 or 1e6`},
		"float too big":    {"f.csv", header + "2001-01-01,1,1e999,ORD,true\n", `:2: column distance: found "1e999", expected a float64: a number such as -3.5 or 1e6`},
		"bool":             {"f.csv", header + "2001-01-01,1,2,ORD,yes\n", `:2: column diverted: found "yes", expected a bool: true or false`},
		"line after quote": {"f.csv", header + "2001-01-01,1,2,\"O\nD\",true\n2001-01-01,x,2,ORD,true\n", `:4: column delay: found "x", expected an int64: a whole number from -9223372036854775808 to 9223372036854775807`},
		"utf-8":            {"f.csv", header + "2001-01-01,1,2,Z\xfcrich,true\n", `:2: column origin: found bytes that are not UTF-8 in "Z\xfcrich", expected UTF-8; convert the file`},
		"nul":              {"f.csv", header + "2001-01-01,1,2,a\x00b,true\n", `:2: column origin: found a NUL character in "a\x00b", expected text without one`},
		"ragged":           {"f.csv", header + good + "2001-01-01,1\n", ":3: found 2 cells, expected 5 as in the header; is a comma or a quote missing, or a comma not quoted?"},
		"open quote":       {"f.csv", header + "2001-01-01,1,2,\"ORD,true\n" + good, ":2: found a quoted cell that is not closed, or text after its closing quote; write a quote in a cell as \"\""},
		"bare quote":       {"f.csv", header + "2001-01-01,1,2,O\"RD,true\n", ":2: found a quote in a cell that does not begin with one; write the cell in quotes, and the quote as \"\""},
		"NULL time":        {"f.csv", header + ",1,2,ORD,true\n", ":2: column date: found no value, expected a timestamp; fill it in, or take the row out"},

		"json":          {"f.ndjson", `{"date":"2001-01-01"}` + "\n{\"date\":\n", `:2: found "{\"date\":", which is not JSON; expected one whole JSON object a line`},
		"json array":    {"f.ndjson", "[1]\n", `:1: found an array, expected one JSON object a line, such as {"origin": "ORD"}`},
		"json two":      {"f.ndjson", `{"date":"2001-01-01"} {}`, `:1: found more after the object, expected one JSON object a line`},
		"json nested":   {"f.ndjson", `{"date":{"day":1}}`, ":1: column date: found an object, expected a single value; flatten it"},
		"json twice":    {"f.ndjson", `{"date":"2001-01-01","date":null}`, ":1: found key date twice, expected each once"},
		"json extra":    {"f.ndjson", `{"date":"2001-01-01","tail":1}`, ":1: found column tail, expected only date, delay, distance, origin, diverted; take it out of the file, declare it, or have such columns left out (schema_changes: ignore_new_columns)"},
		"json missing":  {"f.ndjson", `{"date":"2001-01-01","delay":1,"origin":"ORD"}`, "found no columns distance, diverted, expected them; the file has date, delay, origin"},
		"json integer":  {"f.ndjson", `{"date":"2001-01-01","delay":"1"}`, `:1: column delay: found the text "1", expected an int64: a whole number without quotes`},
		"json fraction": {"f.ndjson", `{"date":"2001-01-01","delay":1.0}`, `:1: column delay: found "1.0", expected an int64: a whole number from -9223372036854775808 to 9223372036854775807`},
		"json text":     {"f.ndjson", `{"date":"2001-01-01","origin":12}`, `:1: column origin: found the number 12, expected text in quotes`},
		"json time":     {"f.ndjson", `{"date":978307200}`, `:1: column date: found the number 978307200, expected ` + timestampForms},
		"json utf-8":    {"f.ndjson", "{\"origin\":\"Z\xfcrich\"}", ":1: found bytes that are not UTF-8, expected UTF-8; convert the file"},
		"json nul":      {"f.ndjson", `{"origin":"a\u0000b"}`, `:1: column origin: found a NUL character in "a\x00b", expected text without one`},
		"json half":     {"f.ndjson", `{"origin":"\ud800"}`, `:1: column origin: found half of a surrogate pair in "�", expected whole characters`},
		"json NULL":     {"f.ndjson", `{"delay":1}`, ":1: column date: found no value, expected a timestamp; fill it in, or take the row out"},
		"json no rows":  {"f.ndjson", "\n\n", "found no columns date, delay, distance, origin, diverted, expected them; the file has no column"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.file, c.content)
			_, err := readAll(path, flightColumns, "date")
			want := path + ": " + c.want
			if strings.HasPrefix(c.want, ":") {
				want = path + c.want
			}
			expectFault(t, err, fault.InvalidRows, want)
		})
	}
}

func expectFault(t *testing.T, err error, reason fault.Reason, want string) {
	t.Helper()
	f := fault.As(err)
	if f == nil {
		t.Fatalf("found error %v, expected the fault %s", err, want)
	}
	if f.Error() != want {
		t.Errorf("found message\n%s\nexpected\n%s", f.Error(), want)
	}
	if f.Reason != reason {
		t.Errorf("found reason %s, expected %s", f.Reason, reason)
	}
}

// A cell without quotes is NULL, "" is the empty text where there is one, wherever in a line and in a file they are.
func TestEmptyCells(t *testing.T) {
	columns := []feature.Column{{Name: "s", Type: feature.TypeString}, {Name: "n", Type: feature.TypeInt64}, {Name: "b", Type: feature.TypeBytes}}
	shown := func(content string) string {
		got, err := readAll(write(t, "f.csv", content), columns)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(got, "|")
	}
	for content, want := range map[string]string{
		"s,n,b\n,,\n":                             "∅ ∅ ∅",
		"s,n,b\n\"\",\"\",\"\"\n":                 " ∅ ",
		"s,n,b\r\n\"\",,\"\"\r\n,,\r\n":           " ∅ |∅ ∅ ∅",
		"s,n,b\n\"\",,":                           " ∅ ∅",
		"s,n,b\n,,\"\"":                           "∅ ∅ ",
		"b,s,n\n\"AP8=\",\"\",\"\"\n,\"a\",\n":    " ∅ AP8=|a ∅ ∅",
		"n,b,s\n1,,\"\"\"\"\n2,\"\",\"x\n\"\n3,,": "\" 1 ∅|x\n 2 |∅ 3 ∅",
	} {
		if got := shown(content); got != want {
			t.Errorf("%q: found %q, expected %q", content, got, want)
		}
	}
	// Beyond what is read at once.
	var content, want strings.Builder
	content.WriteString("n,s,b\n")
	for i := range 20_000 {
		last, shownAs := `""`, ""
		if i%3 == 0 {
			last, shownAs = "", "∅"
		}
		fmt.Fprintf(&content, "%d,\"%s\",%s\n", i, strings.Repeat("x,", i%500), last)
		fmt.Fprintf(&want, "|%s %d %s", strings.Repeat("x,", i%500), i, shownAs)
	}
	if got := shown(content.String()); "|"+got != want.String() {
		t.Error("found other values in a long file")
	}
}

func TestBlankLinesInAFileOfOneColumn(t *testing.T) {
	columns := []feature.Column{{Name: "s", Type: feature.TypeString}}
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"between":    {"s\n1\n\n\n2\n", []string{"1", "∅", "∅", "2"}},
		"at the end": {"s\r\n1\r\n\r\n", []string{"1", "∅"}},
		"only":       {"s\n\n", []string{"∅"}},
		"empty text": {"s\n\n\"\"\n\"\n\n\"\n\nx", []string{"∅", "", "\n\n", "∅", "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(write(t, "f.csv", c.content), columns)
			expectRows(t, got, err, c.want...)
		})
	}
	path := write(t, "f.csv", "s\n1\n2\n\n\n")
	_, err := readAll(path, columns, "s")
	expectFault(t, err, fault.InvalidRows, path+":4: column s: found no value, expected a string; fill it in, or take the row out")
	got, err := readAll(write(t, "f.csv", "n\n1\n\"\"\n2"), []feature.Column{{Name: "n", Type: feature.TypeInt64}})
	expectRows(t, got, err, "1", "∅", "2")
}

func TestRecordThatNeverEnds(t *testing.T) {
	path := write(t, "f.csv", "origin\nORD\n\""+strings.Repeat("x", maxRecordBytes+1<<20))
	_, err := readAll(path, []feature.Column{{Name: "origin", Type: feature.TypeString}})
	expectFault(t, err, fault.InvalidRows, path+":3: found a record longer than 16 MiB, expected less; is a quote not closed?")
	path = write(t, "f.ndjson", "{\"origin\":\""+strings.Repeat("x", maxRecordBytes+1<<20))
	_, err = readAll(path, []feature.Column{{Name: "origin", Type: feature.TypeString}})
	expectFault(t, err, fault.InvalidRows, path+":1: found a line longer than 16 MiB, expected less")
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	parquet := record(t, []arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, func(b *array.RecordBuilder) {
		b.Field(0).(*array.Int64Builder).Append(1)
	}).parquet(t)
	for name, c := range map[string]struct {
		path   string
		reason fault.Reason
		want   string
	}{
		"no file":   {filepath.Join(folder, "none.csv"), fault.NotFound, "there is no such file; check the path"},
		"folder":    {folder + ".csv", fault.InvalidArgument, "found a folder, expected a file; name the files in it"},
		"extension": {write(t, "f.xlsx", "PK"), fault.InvalidArgument, "found extension .xlsx, expected .parquet, .csv, .ndjson, .jsonl, .arrow, .feather or .arrows; rename the file, or name its format"},
		"none":      {write(t, "flights", "x"), fault.InvalidArgument, "found no extension, expected .parquet, .csv, .ndjson, .jsonl, .arrow, .feather or .arrows; rename the file, or name its format"},
		"truncated": {write(t, "f.parquet", string(parquet[:len(parquet)-40])), fault.InvalidRows, fmt.Sprintf("found the beginning of a Parquet file without its end (%d bytes), expected it to end with PAR1; it was cut short, so copy or write it again", len(parquet)-40)},
		"tiny":      {write(t, "f.parquet", "PAR1PAR1"), fault.InvalidRows, "found the beginning of a Parquet file without its end (8 bytes), expected it to end with PAR1; it was cut short, so copy or write it again"},
		"not one":   {write(t, "f.parquet", "date,delay\n"), fault.InvalidRows, `found a file that begins with "date,del", expected parquet; it is not a file of that format, or it is damaged`},
		"in csv":    {write(t, "f.csv", string(parquet)), fault.InvalidRows, "found a file of format parquet, expected csv; rename the file, or name its format"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "folder" {
				if err := os.Mkdir(c.path, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Open(c.path, nil, FormatUnknown)
			expectFault(t, err, c.reason, c.path+": "+c.want)
		})
	}
}

func TestDamagedColumnarFiles(t *testing.T) {
	r := record(t, []arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, func(b *array.RecordBuilder) {
		for i := range 1000 {
			b.Field(0).(*array.Int64Builder).Append(int64(i * i))
		}
	})
	columns := []feature.Column{{Name: "n", Type: feature.TypeInt64}}
	for name, content := range map[string][]byte{"f.parquet": r.parquet(t), "f.arrow": r.arrow(t, FormatArrow), "f.arrows": r.arrow(t, FormatArrowStream)} {
		t.Run(name, func(t *testing.T) {
			if _, err := readAll(write(t, name, string(content)), columns); err != nil {
				t.Fatal(err)
			}
			// Whatever is broken, the answer is a fault that names the file, or, where a format has no checksum, rows.
			for at := 8; at < len(content); at += max(1, len(content)/60) {
				broken := bytes.Clone(content)
				for i := at; i < min(at+3, len(broken)); i++ {
					broken[i] ^= 0x5a
				}
				path := write(t, name, string(broken))
				if _, err := readAll(path, columns); err != nil {
					if f := fault.As(err); f == nil || !strings.HasPrefix(f.Message, path+": ") || f.Reason != fault.InvalidRows {
						t.Fatalf("byte %d: found %v, expected a fault that names the file", at, err)
					}
				}
			}
		})
	}
	stream := r.arrow(t, FormatArrowStream)
	path := write(t, "f.arrows", string(stream[:len(stream)-8]))
	_, err := readAll(path, columns)
	expectFault(t, err, fault.InvalidRows, path+": found a file that ends early, expected whole arrows; copy or write it again")
}

// recorded is one record batch of any Arrow types.
type recorded struct{ batch arrow.RecordBatch }

func record(t *testing.T, fields []arrow.Field, fill func(*array.RecordBuilder)) recorded {
	t.Helper()
	for i := range fields {
		fields[i].Nullable = true
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	fill(b)
	return recorded{b.NewRecordBatch()}
}

func (r recorded) parquet(t *testing.T) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := pqarrow.NewFileWriter(r.batch.Schema(), &buf, nil, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(r.batch); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func (r recorded) arrow(t *testing.T, format Format) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := arrowWriter(t, &buf, format, r.batch.Schema())
	if err := w.Write(r.batch); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
