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
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/anyvalue"
)

// batch is rows of values as a record batch.
func batch(columns []feature.Column, rows [][]feature.Value) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, ArrowSchema(columns))
	for _, row := range rows {
		for i, v := range row {
			Append(b.Field(i), v)
		}
	}
	return b.NewRecordBatch()
}

func encode(t interface{ Fatal(...any) }, format Format, columns []feature.Column, batches ...arrow.RecordBatch) []byte {
	return encodeGroups(t, format, groupRows, groupBytes, columns, batches...)
}

func encodeGroups(t interface{ Fatal(...any) }, format Format, rows, size int64, columns []feature.Column, batches ...arrow.RecordBatch) []byte {
	var buf bytes.Buffer
	w, err := NewWriter(&buf, format, ArrowSchema(columns))
	if err != nil {
		t.Fatal(err)
	}
	w.mostRows, w.endBytes = rows, size
	for _, b := range batches {
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// storable draws what every format gives back: in CSV a carriage return before a line feed is lost.
func storable(typ feature.Type) *rapid.Generator[feature.Value] {
	if typ == feature.TypeString {
		return rapid.Map(rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[a-z",;' |\\\n\t{}]{1,6}`),
			rapid.Map(rapid.String(), func(s string) string { return strings.NewReplacer("\x00", "", "\r", "").Replace(s) })), feature.String)
	}
	return anyvalue.Of(typ)
}

// What is written and read again is the same, in every format and of every type.
func TestRoundTrip(t *testing.T) {
	folder := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		types := rapid.SliceOfN(anyvalue.Type(), 1, 5).Draw(t, "types")
		columns := make([]feature.Column, len(types))
		for i, typ := range types {
			columns[i] = feature.Column{Name: fmt.Sprintf("c %d", i), Type: typ}
		}
		rows := make([][]feature.Value, rapid.IntRange(1, 20).Draw(t, "rows"))
		for r := range rows {
			for _, typ := range types {
				v := feature.Null()
				if rapid.IntRange(0, 4).Draw(t, "null") > 0 {
					v = storable(typ).Draw(t, "value")
				}
				rows[r] = append(rows[r], v)
			}
		}
		format := rapid.SampledFrom([]Format{FormatParquet, FormatCSV, FormatNDJSON, FormatArrow, FormatArrowStream}).Draw(t, "format")
		path := filepath.Join(folder, "f."+format.String())
		if err := os.WriteFile(path, encode(t, format, columns, batch(columns, rows)), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, nil, FormatUnknown)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := f.Read(columns)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for {
			b, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for row := range int(b.NumRows()) {
				for i := range columns {
					if got, err := ValueAt(b.Column(i), row); err != nil || !got.Equal(rows[n][i]) {
						t.Fatalf("%s, row %d, %s: found %q, %v; expected %q", format, n, columns[i].Type, got.Text(), err, rows[n][i].Text())
					}
				}
				n++
			}
		}
		if n != len(rows) || r.Rows() != int64(n) {
			t.Fatalf("found %d rows, expected %d", n, len(rows))
		}
	})
}

// The bytes depend on the rows, not on the batches they come in.
func TestSameRowsSameBytes(t *testing.T) {
	columns := []feature.Column{{Name: "n", Type: feature.TypeInt64}, {Name: "s", Type: feature.TypeString}}
	rows := make([][]feature.Value, groupRows+5000)
	for i := range rows {
		rows[i] = []feature.Value{feature.Int64(int64(i)), feature.String(fmt.Sprint(i % 977))}
		if i%13 == 0 {
			rows[i][1] = feature.Null()
		}
	}
	whole := batch(columns, rows)
	for _, format := range []Format{FormatParquet, FormatCSV, FormatNDJSON, FormatArrow, FormatArrowStream} {
		var parts []arrow.RecordBatch
		for at, size := int64(0), int64(1); at < whole.NumRows(); at, size = at+size, size*3 {
			parts = append(parts, whole.NewSlice(at, min(at+size, whole.NumRows())))
		}
		if !bytes.Equal(encode(t, format, columns, whole), encode(t, format, columns, parts...)) {
			t.Errorf("%s: found other bytes for the same rows in other batches", format)
		}
	}
}

func TestNothingIsHalfWritten(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "out.csv")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	left := func() string {
		var names []string
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(names, " ") + ": " + string(content)
	}
	for _, commit := range []bool{false, true} {
		o, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Write([]byte("after")); err != nil {
			t.Fatal(err)
		}
		want := "out.csv: before"
		if commit {
			want = "out.csv: after"
			if err := o.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		o.Abort()
		if got := left(); got != want {
			t.Errorf("found %q, expected %q", got, want)
		}
	}
	_, err := Create(filepath.Join(folder, "none", "out.csv"))
	if want := fmt.Sprintf("%[1]s/none/out.csv: there is no folder %[1]s/none to write to; make it first", folder); err == nil || err.Error() != want {
		t.Errorf("found %v, expected %s", err, want)
	}
}

// NULL and the empty text are told apart as Postgres, DuckDB and pandas do.
func TestEmptyTextInCSV(t *testing.T) {
	columns := []feature.Column{
		{Name: "s", Type: feature.TypeString}, {Name: "n", Type: feature.TypeInt64}, {Name: "b, \"quoted\"", Type: feature.TypeBytes},
	}
	null := feature.Null()
	found := string(encode(t, FormatCSV, columns, batch(columns, [][]feature.Value{
		{feature.String(""), feature.Int64(1), feature.Bytes("")}, {null, null, null}, {feature.String(" x\n"), null, feature.Bytes("\x00\xff")},
	})))
	if want := "s,n,\"b, \"\"quoted\"\"\"\n\"\",1,\"\"\n,,\n\" x\n\",,AP8=\n"; found != want {
		t.Errorf("found %q, expected %q", found, want)
	}
	found = string(encode(t, FormatCSV, columns[:1], batch(columns[:1], [][]feature.Value{{null}, {feature.String("")}, {feature.String("x")}})))
	if want := "s\n\n\"\"\nx\n"; found != want {
		t.Errorf("found %q, expected %q", found, want)
	}
}

// Groups end by rows or by bytes, whichever is first, at the same rows however these came, and say what is in them.
func TestRowGroups(t *testing.T) {
	const most, size = 1000, 100_000
	wide := strings.Repeat("x", size/100)
	for _, c := range []struct {
		name  string
		rows  int
		text  func(i int) feature.Value
		sizes []int64
	}{
		{"narrow", most + 500, func(i int) feature.Value { return feature.String("abcdefg"[i%7:]) }, []int64{most, 500}},
		{"wide", 250, func(int) feature.Value { return feature.String(wide) }, []int64{99, 99, 52}},
		{"mixed", 250, func(i int) feature.Value {
			if i%2 == 0 {
				return feature.Null()
			}
			return feature.String(wide)
		}, []int64{194, 56}},
	} {
		t.Run(c.name, func(t *testing.T) {
			columns := []feature.Column{{Name: "n", Type: feature.TypeInt64}, {Name: "s", Type: feature.TypeString}, {Name: "l", Type: feature.ListType(feature.TypeString)}}
			var batches []arrow.RecordBatch
			for at, size := 0, 1; at < c.rows; at, size = at+size, size*3 {
				var rows [][]feature.Value
				for i := at; i < min(c.rows, at+size); i++ {
					rows = append(rows, []feature.Value{feature.Int64(int64(i)), c.text(i), feature.Null()})
				}
				batches = append(batches, batch(columns, rows))
			}
			r, err := file.NewParquetReader(bytes.NewReader(encodeGroups(t, FormatParquet, most, size, columns, batches...)))
			if err != nil {
				t.Fatal(err)
			}
			var sizes []int64
			first := int64(0)
			for i := range r.NumRowGroups() {
				group := r.MetaData().RowGroup(i)
				sizes = append(sizes, group.NumRows())
				chunk, err := group.ColumnChunk(0)
				if err != nil {
					t.Fatal(err)
				}
				statistics, err := chunk.Statistics()
				if err != nil || statistics == nil {
					t.Fatalf("group %d: found no statistics, %v", i, err)
				}
				last := first + group.NumRows() - 1
				if n, ok := statistics.(*metadata.Int64Statistics); !ok || n.Min() != first || n.Max() != last || n.NullCount() != 0 {
					t.Errorf("group %d: found %v, expected from %d to %d", i, statistics, first, last)
				}
				first = last + 1
			}
			if fmt.Sprint(sizes) != fmt.Sprint(c.sizes) {
				t.Errorf("found groups of %v rows, expected %v", sizes, c.sizes)
			}
			arrowFile, err := ipc.NewFileReader(bytes.NewReader(encodeGroups(t, FormatArrow, most, size, columns, batches...)))
			if err != nil {
				t.Fatal(err)
			}
			for i := range max(len(c.sizes), arrowFile.NumRecords()) {
				rows, err := arrowFile.RecordBatchAt(i)
				if err != nil {
					t.Fatal(err)
				}
				if rows.NumRows() != c.sizes[i] {
					t.Errorf("batch %d of an Arrow file: found %d rows, expected %d", i, rows.NumRows(), c.sizes[i])
				}
			}
		})
	}
}
