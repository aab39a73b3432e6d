package online

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/anyvalue"
)

// vector is one entry of testdata/rows.json. Numbers are text, so that no reader rounds them.
type vector struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Header  struct {
		Tombstone   bool   `json:"tombstone,omitempty"`
		Epoch       string `json:"epoch"`
		Seq         string `json:"seq"`
		EventTime   string `json:"event_time"`
		AvailableAt string `json:"available_at"`
		RunSeq      string `json:"run_seq"`
	} `json:"header"`
	Values []*string `json:"values"`
	Row    string    `json:"row"`
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/rows.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

func (v *vector) header(t testing.TB) Header {
	t.Helper()
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return Header{
		Tombstone: v.Header.Tombstone, Epoch: number(v.Header.Epoch), Seq: number(v.Header.Seq),
		EventTime: feature.Time(number(v.Header.EventTime)), AvailableAt: feature.Time(number(v.Header.AvailableAt)),
		RunSeq: number(v.Header.RunSeq),
	}
}

func (v *vector) layout(t testing.TB) *Layout {
	t.Helper()
	types := make([]feature.Type, len(v.Columns))
	for i, name := range v.Columns {
		var err error
		if types[i], err = feature.ParseType(name); err != nil {
			t.Fatal(err)
		}
	}
	return NewLayout(columns(types...))
}

func (v *vector) values(t testing.TB) []feature.Value {
	t.Helper()
	values := make([]feature.Value, len(v.Values))
	for i, text := range v.Values {
		if text == nil {
			continue
		}
		var err error
		switch typ := v.layout(t).slots[i].typ; typ.Kind() {
		case feature.TypeBytes, feature.TypeDecimal, feature.TypeList, feature.TypeVector:
			values[i] = packedValue(t, typ, *text)
			continue
		}
		switch v.Columns[i] {
		case "bool":
			values[i] = feature.Bool(*text == "true")
		case "float64":
			var f float64
			f, err = strconv.ParseFloat(*text, 64)
			if f != f {
				f = math.Float64frombits(0x7ff8000000000000)
			}
			values[i] = feature.Float64(f)
		case "string":
			values[i] = feature.String(*text)
		default:
			var n int64
			n, err = strconv.ParseInt(*text, 10, 64)
			values[i] = feature.Int64(n)
			if v.Columns[i] == "timestamp" {
				values[i] = feature.Timestamp(feature.Time(n))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return values
}

// packedValue reads a decimal, or of bytes, lists and vectors what is in hex.
func packedValue(t testing.TB, typ feature.Type, text string) feature.Value {
	t.Helper()
	if typ.Kind() == feature.TypeDecimal {
		v, err := feature.ParseDecimal(typ, text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	packed, err := hex.DecodeString(text)
	if err == nil && typ == feature.TypeBytes {
		return feature.Bytes(string(packed))
	}
	if err != nil {
		t.Fatal(err)
	}
	v, err := feature.Unpack(typ, string(packed))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestGoldenRows(t *testing.T) {
	for _, v := range readVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			h, l, values := v.header(t), v.layout(t), v.values(t)
			var row []byte
			var err error
			if h.Tombstone {
				row, err = AppendTombstone(nil, h.Epoch, h.Seq, h.RunSeq)
			} else {
				row, err = l.Append(nil, h, values)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(row); got != v.Row {
				t.Errorf("packed\n %s, expected\n %s", got, v.Row)
			}
			golden, err := hex.DecodeString(v.Row)
			if err != nil {
				t.Fatal(err)
			}
			decoded := make([]feature.Value, l.Columns())
			got, err := l.Decode(string(golden), decoded)
			if err != nil {
				t.Fatal(err)
			}
			if got != h {
				t.Errorf("decoded header %+v, expected %+v", got, h)
			}
			for i := range values {
				if !same(decoded[i], values[i]) {
					t.Errorf("decoded %v as column %d, expected %v", decoded[i], i, values[i])
				}
			}
		})
	}
}

func drawHeader(t *rapid.T) Header {
	seq := rapid.Int64Range(1, math.MaxInt64).Draw(t, "seq")
	return Header{
		Epoch:       rapid.Int64Range(0, math.MaxInt64).Draw(t, "epoch"),
		Seq:         seq,
		EventTime:   feature.Time(rapid.Int64().Draw(t, "event time")),
		AvailableAt: feature.Time(rapid.Int64().Draw(t, "available at")),
		RunSeq:      rapid.Int64Range(1, seq).Draw(t, "run seq"),
	}
}

func drawColumns(t *rapid.T) []feature.Column {
	return columns(rapid.SliceOfN(anyvalue.Type(), 0, 20).Draw(t, "types")...)
}

func drawValue(t *rapid.T, typ feature.Type) feature.Value {
	if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		return feature.Null()
	}
	integers := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, -1, 0, 1, math.MaxInt64}))
	switch typ.Kind() {
	case feature.TypeBool:
		return feature.Bool(rapid.Bool().Draw(t, "bool"))
	case feature.TypeInt64:
		return feature.Int64(integers.Draw(t, "int64"))
	case feature.TypeTimestamp:
		return feature.Timestamp(feature.Time(integers.Draw(t, "timestamp")))
	case feature.TypeFloat64:
		return feature.Float64(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{
			math.NaN(), math.Float64frombits(0xfff8000000000001), math.Copysign(0, -1), 0, math.Inf(1), math.Inf(-1),
			math.MaxFloat64, math.SmallestNonzeroFloat64,
		})).Draw(t, "float64"))
	case feature.TypeString:
		return feature.String(strings.ReplaceAll(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"", " ", "é", "日本語", "\U0010ffff", "\u0001", strings.Repeat("x", 300),
		})).Draw(t, "string"), "\x00", ""))
	default:
		return anyvalue.Of(typ).Draw(t, typ.String())
	}
}

func drawValues(t *rapid.T, columns []feature.Column) []feature.Value {
	values := make([]feature.Value, len(columns))
	for i, c := range columns {
		values[i] = drawValue(t, c.Type)
	}
	return values
}

func TestRowsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := drawColumns(t)
		h, values := drawHeader(t), drawValues(t, columns)
		l := NewLayout(columns)
		before := rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "before")
		packed, err := l.Append(slices.Clone(before), h, values)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(packed, before) {
			t.Fatal("what was in dst has changed")
		}
		row := string(packed[len(before):])
		got := make([]feature.Value, len(columns))
		decoded, err := l.Decode(row, got)
		if err != nil {
			t.Fatal(err)
		}
		if decoded != h {
			t.Fatalf("decoded header %+v, expected %+v", decoded, h)
		}
		for i := range values {
			one, err := l.Value(row, i)
			if err != nil {
				t.Fatal(err)
			}
			if !same(got[i], values[i]) || !same(one, values[i]) {
				t.Fatalf("column %d: decoded %v and alone %v, expected %v", i, got[i], one, values[i])
			}
		}
	})
}

// One byte changed or cut off must not go unnoticed, unless it is another row altogether.
func TestDamagedRowsAreRefusedOrOtherRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := drawColumns(t)
		l := NewLayout(columns)
		row, err := l.Append(nil, drawHeader(t), drawValues(t, columns))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "cut") {
			row = row[:rapid.IntRange(0, len(row)-1).Draw(t, "length")]
			if checkDecode(t, l, string(row)) {
				t.Fatalf("a row cut to %d bytes was accepted", len(row))
			}
			return
		}
		row[rapid.IntRange(0, len(row)-1).Draw(t, "at")] ^= rapid.ByteRange(1, 255).Draw(t, "change")
		checkDecode(t, l, string(row))
	})
}

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

// checkDecode decodes any bytes. What is accepted must be what Append makes of it, and each value the same alone.
func checkDecode(t failer, l *Layout, row string) (accepted bool) {
	t.Helper()
	values := make([]feature.Value, l.Columns())
	h, err := l.Decode(row, values)
	if checked, other := l.Check(row); fmt.Sprint(other) != fmt.Sprint(err) || checked != h {
		t.Fatalf("decoding % x gives %+v, %v, and checking it %+v, %v", row, h, err, checked, other)
	}
	if err != nil {
		for i := range values {
			_, _ = l.Value(row, i)
		}
		return false
	}
	var again []byte
	if h.Tombstone {
		again, err = AppendTombstone(nil, h.Epoch, h.Seq, h.RunSeq)
	} else {
		again, err = l.Append(nil, h, values)
	}
	if err != nil || string(again) != row {
		t.Fatalf("accepted % x, which packs again as % x (%v)", row, again, err)
	}
	if !h.Tombstone {
		for i := range values {
			if v, err := l.Value(row, i); err != nil || !same(v, values[i]) {
				t.Fatalf("column %d alone is %v (%v), expected %v", i, v, err, values[i])
			}
		}
	}
	return true
}

func FuzzDecode(f *testing.F) {
	all := anyvalue.Kinds()
	for _, v := range readVectors(f) {
		row, err := hex.DecodeString(v.Row)
		if err != nil {
			f.Fatal(err)
		}
		var types []byte
		for _, c := range v.layout(f).slots {
			types = append(types, byte(max(0, slices.Index(all, c.typ))))
		}
		f.Add(types, string(row))
	}
	f.Fuzz(func(t *testing.T, types []byte, row string) {
		chosen := make([]feature.Type, min(len(types), 64))
		for i := range chosen {
			chosen[i] = all[int(types[i])%len(all)]
		}
		checkDecode(t, NewLayout(columns(chosen...)), row)
	})
}

func TestDecodeNamesWhatIsWrong(t *testing.T) {
	types := []feature.Type{feature.TypeBool, feature.TypeInt64, feature.TypeString, feature.TypeString}
	l := NewLayout(columns(types...))
	h := Header{Epoch: 1, Seq: 5, EventTime: 1000, AvailableAt: 2000, RunSeq: 4}
	good, err := l.Append(nil, h, []feature.Value{feature.Bool(true), feature.Null(), feature.String("ab"), feature.String("é")})
	if err != nil {
		t.Fatal(err)
	}
	tombstone, err := AppendTombstone(nil, 1, 5, 4)
	if err != nil {
		t.Fatal(err)
	}
	const nulls, boolean, integer, text1, text2, tail = 42, 43, 44, 52, 60, 68
	set := func(row []byte, at int, bytes ...byte) []byte {
		row = slices.Clone(row)
		copy(row[at:], bytes)
		return row
	}
	for _, c := range []struct {
		row      []byte
		expected string
	}{
		{nil, "found 0 bytes, expected a row"},
		{set(good, 0, 2), "found row format version 2, expected 1"},
		{good[:41], "found 41 bytes, expected a header of 42"},
		{set(good, 1, 6), "found flags 0x06, expected none but 0x01 (tombstone)"},
		{set(good, 2, 0xff), "found epoch -72057594037927935, expected 0 or more"},
		{set(good, 34+7, 0), "found run sequence 0, expected 1 or more"},
		{set(good, 34+7, 6), "found run sequence 6 after sequence 5, expected the row of a run already published"},
		{set(tombstone, 25, 1), "found a tombstone with event time -9223372036854775807 and available at " +
			"-9223372036854775808, expected the least of both"},
		{append(slices.Clone(tombstone), 0), "found a tombstone of 43 bytes, expected 42"},
		{good[:tail-1], "found 67 bytes, expected at least 68"},
		{set(good, nulls, 0x12), "found null bits 0x12 beyond the last of 4 columns, expected none"},
		{set(good, boolean, 2), "column c0: found byte 0x02, expected 0x00 or 0x01"},
		{set(good, integer+7, 1), "column c1: found a value where the null bit is set, expected zeros"},
		{set(good, text1+3, 1), "column c2: found its text at byte 69, expected 68"},
		{set(good, text1+7, 9), "column c2: found its text at bytes 68 to 77, expected them within 72"},
		{set(good, text1+4, 0xff, 0xff, 0xff, 0xff), "column c2: found its text at bytes 68 to 4294967363, expected them within 72"},
		{set(good, text2+7, 1), "column c3: found invalid UTF-8, expected UTF-8 text"},
		{set(good, tail, 0), "column c2: found a NUL character, expected text without one"},
		{append(slices.Clone(good), 'x'), "found 73 bytes, expected 72"},
	} {
		_, err := l.Decode(string(c.row), make([]feature.Value, 4))
		if err == nil || err.Error() != c.expected {
			t.Errorf("% x:\n found error %v\n expected    %s", c.row, err, c.expected)
		}
	}
	if _, err := l.Decode(string(good), nil); err == nil || err.Error() != "found room for 0 values, expected 4" {
		t.Errorf("decoding into no values: found error %v", err)
	}
	if _, err := l.Value(string(tombstone), 0); err == nil || err.Error() != "found a tombstone, expected a row with values" {
		t.Errorf("a value of a tombstone: found error %v", err)
	}
	if _, err := l.Value(string(good), 4); err == nil || err.Error() != "found column number 4, expected one of 4" {
		t.Errorf("a value beyond the last: found error %v", err)
	}
	// What is wrong elsewhere does not keep a single column from being read.
	if v, err := l.Value(string(set(good, text2+3, 77)), 2); err != nil || v.Str() != "ab" {
		t.Errorf("found %v, %v beside a damaged column, expected ab", v, err)
	}
}

func TestDecodeNamesWhatIsWrongInWideValues(t *testing.T) {
	types := []feature.Type{feature.DecimalType(2, 0), feature.VectorType(1), feature.ListType(feature.TypeInt64), feature.TypeBytes}
	l := NewLayout(columns(types...))
	good, err := l.Append(nil, Header{Seq: 1, RunSeq: 1}, []feature.Value{
		packedValue(t, types[0], "99"), packedValue(t, types[1], "3f800000"), packedValue(t, types[2], "00000000"), feature.Bytes("ab"),
	})
	if err != nil {
		t.Fatal(err)
	}
	const nulls, decimal, vector, list, tail = 42, 43, 59, 63, 79
	set := func(at int, bytes ...byte) string {
		row := slices.Clone(good)
		copy(row[at:], bytes)
		return string(row)
	}
	for row, expected := range map[string]string{
		set(decimal+15, 100):       "column c0: found a decimal of more than 2 digits, expected a decimal(2, 0)",
		set(nulls, 2):              "column c1: found a value where the null bit is set, expected zeros",
		set(vector, 0x80, 0):       "column c1: found bytes that are no packed list or vector",
		set(list+3, 1):             "column c2: found its text at byte 80, expected 79",
		set(tail+3, 1):             "column c2: found bytes that are no packed list or vector",
		string(good[:len(good)-1]): "column c3: found its text at bytes 83 to 85, expected them within 84",
	} {
		if _, err := l.Decode(row, make([]feature.Value, 4)); err == nil || err.Error() != expected {
			t.Errorf("% x:\n found error %v\n expected    %s", row, err, expected)
		}
	}
}

func TestAppendRefusesWhatCannotBeStored(t *testing.T) {
	l := NewLayout(columns(feature.TypeInt64, feature.TypeString))
	h := Header{Seq: 2, RunSeq: 1}
	ok := []feature.Value{feature.Int64(1), feature.String("a")}
	for _, c := range []struct {
		header   Header
		values   []feature.Value
		expected string
	}{
		{h, ok[:1], "found 1 values, expected 2"},
		{h, []feature.Value{feature.Float64(1), ok[1]}, "column c0: found a float64, expected a int64"},
		{h, []feature.Value{ok[0], feature.String("\xff")}, "column c1: found invalid UTF-8, expected UTF-8 text"},
		{h, []feature.Value{ok[0], feature.String("\x00")}, "column c1: found a NUL character, expected text without one"},
		{h, []feature.Value{ok[0], feature.String(strings.Repeat("x", maxRowSize))},
			"column c1: found a row of more than 16 MiB, expected less"},
		{Header{Seq: 2, RunSeq: 3}, ok, "found run sequence 3 after sequence 2, expected the row of a run already published"},
		{Header{Seq: 2}, ok, "found run sequence 0, expected 1 or more"},
		{Header{Epoch: -1, Seq: 2, RunSeq: 1}, ok, "found epoch -1, expected 0 or more"},
		{Header{Tombstone: true, Seq: 2, RunSeq: 1}, ok, "found a tombstone with values, expected AppendTombstone"},
	} {
		dst, err := l.Append([]byte("kept"), c.header, c.values)
		if err == nil || err.Error() != c.expected {
			t.Errorf("found error %v, expected %s", err, c.expected)
		}
		if string(dst) != "kept" {
			t.Errorf("found %q in dst after an error, expected it as it was", dst)
		}
	}
	if _, err := AppendTombstone(nil, 0, 1, 2); err == nil {
		t.Error("a tombstone of a run that is not yet published was packed")
	}
}

// The script compares the stored bytes from epoch to available at: their order must be that of the numbers.
func TestStoredOrderIsHeaderOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawHeader(t), drawHeader(t)
		if rapid.Bool().Draw(t, "same epoch") {
			b.Epoch = a.Epoch
		}
		if rapid.Bool().Draw(t, "same seq") {
			b.Seq, b.RunSeq = a.Seq, a.RunSeq
		}
		if rapid.Bool().Draw(t, "same event time") {
			b.EventTime = a.EventTime
		}
		stored := bytes.Compare(appendHeader(nil, &a)[offEpoch:offRunSeq], appendHeader(nil, &b)[offEpoch:offRunSeq])
		if expected := compareHeaders(a, b); stored != expected {
			t.Fatalf("%+v and %+v compare as %d, stored as %d", a, b, expected, stored)
		}
	})
}

func TestPackingDoesNotAllocate(t *testing.T) {
	types := append(feature.PlainTypes(), feature.DecimalType(38, 2), feature.DecimalType(38, 2), feature.ListType(feature.TypeString), feature.VectorType(2))
	l := NewLayout(columns(types...))
	values := []feature.Value{
		feature.Bool(true), feature.Int64(-7), feature.Float64(0.5), feature.String("departed"), feature.Timestamp(1), feature.Bytes("\xff"),
		packedValue(t, types[6], "-12.50"), packedValue(t, types[7], "123456789012345678901234567890.12"),
		packedValue(t, types[8], "00000001"+"0000000161"), packedValue(t, types[9], "3f80000000000000"),
	}
	h := Header{Seq: 1, RunSeq: 1}
	packed, err := l.Append(nil, h, values)
	if err != nil {
		t.Fatal(err)
	}
	row, into := string(packed), make([]feature.Value, len(values))
	if n := testing.AllocsPerRun(100, func() { packed, _ = l.Append(packed[:0], h, values) }); n != 0 {
		t.Errorf("Append allocates %v times, expected none", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = l.Decode(row, into) }); n != 0 {
		t.Errorf("Decode allocates %v times, expected none", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = l.Check(row) }); n != 0 {
		t.Errorf("Check allocates %v times, expected none", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = l.Value(row, 3) }); n != 0 {
		t.Errorf("Value allocates %v times, expected none", n)
	}
}

// The page that documents the format shows one row in full: it must be the golden one.
func TestDocumentedRow(t *testing.T) {
	page, err := os.ReadFile("../docs/format/online-row.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range readVectors(t) {
		if v.Name != "documented" {
			continue
		}
		shown := ""
		for line := range strings.Lines(string(page)) {
			if at, bytes, ok := strings.Cut(line, "  "); ok && len(at) == 4 {
				if n, err := strconv.ParseUint(at, 10, 32); err == nil && n == uint64(len(shown)/2) {
					hexes, _, _ := strings.Cut(bytes, "  ")
					shown += strings.ReplaceAll(strings.TrimSpace(hexes), " ", "")
				}
			}
		}
		if shown != v.Row {
			t.Errorf("docs/format/online-row.md shows\n %s, expected\n %s", shown, v.Row)
		}
		return
	}
	t.Error("testdata/rows.json has no vector named documented")
}

func BenchmarkDecode(b *testing.B) {
	l := NewLayout(columns(slices.Repeat([]feature.Type{feature.TypeFloat64}, 10)...))
	packed, err := l.Append(nil, Header{Seq: 1, RunSeq: 1}, slices.Repeat([]feature.Value{feature.Float64(1.5)}, 10))
	if err != nil {
		b.Fatal(err)
	}
	row, values := string(packed), make([]feature.Value, 10)
	for b.Loop() {
		if _, err := l.Decode(row, values); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPlainTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.OneOf(rapid.ByteRange(1, 127), rapid.ByteRange(1, 127), rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0x81, 0xff})), 0, 30).Draw(t, "bytes")
		want := !slices.ContainsFunc(b, func(c byte) bool { return c == 0 || c >= 0x80 })
		if isPlain(string(b)) != want {
			t.Fatalf("% x: found %v", b, !want)
		}
	})
}
