package server

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/anyvalue"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
)

// everyKind is a source with a column of each kind of type.
func everyKind() *feature.SourceVersion {
	src := &feature.SourceVersion{Version: 1, Source: feature.Source{Name: "all", EventTime: "c4"}}
	for i, t := range anyvalue.Kinds() {
		src.Columns = append(src.Columns, feature.Column{Name: fmt.Sprintf("c%d", i), Type: t})
	}
	return src
}

// decoded is what the server makes of a message: its rows, or why not.
func decoded(src *feature.SourceVersion, m *headwaterv1.IngestRequest) (rows [][]feature.Value, err error) {
	b, err := batchOf(src, m)
	if err != nil {
		return nil, err
	}
	for row, err := range b.Rows {
		if err != nil {
			return rows, err
		}
		rows = append(rows, append([]feature.Value{}, row...))
	}
	return rows, nil
}

// wrongValue draws a value that no column of the type takes.
func wrongValue(t *rapid.T, typ feature.Type) *headwaterv1.Value {
	kind := typ
	if typ.IsList() {
		kind = typ.Elem()
	}
	var wrong *headwaterv1.Value
	switch {
	case kind.Kind() == feature.TypeString && rapid.Bool().Draw(t, "text"):
		wrong = &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: "a\x00b"}}
	case kind == feature.TypeTimestamp && rapid.Bool().Draw(t, "time"):
		wrong = &headwaterv1.Value{Kind: &headwaterv1.Value_TimestampValue{TimestampValue: rapid.SampledFrom([]*timestamppb.Timestamp{
			{Nanos: 1}, {Nanos: -1}, {Seconds: 1 << 62}, {Seconds: -1 << 62}, {Nanos: 1_000_000_000},
		}).Draw(t, "instant")}}
	case kind.Kind() == feature.TypeDecimal && rapid.Bool().Draw(t, "decimal"):
		wrong = &headwaterv1.Value{Kind: &headwaterv1.Value_DecimalValue{DecimalValue: rapid.SampledFrom([]string{
			"", "-", ".", "NaN", "1e999999999999", "0x1", "1_0", strings.Repeat("9", 39), "1e-39", "١",
		}).Draw(t, "number")}}
	case kind.Kind() == feature.TypeVector && rapid.Bool().Draw(t, "vector"):
		wrong = &headwaterv1.Value{Kind: &headwaterv1.Value_VectorValue{VectorValue: &headwaterv1.VectorValue{Values: make([]float32, kind.Dimension()+1)}}}
	default:
		other := rapid.SampledFrom(anyvalue.Kinds()).Filter(func(o feature.Type) bool { return o.Kind() != kind.Kind() && !o.IsList() }).Draw(t, "other")
		wrong = wire.ToValue(anyvalue.Of(other).Draw(t, "value"))
	}
	if typ.IsList() {
		if rapid.Bool().Draw(t, "NULL element") {
			wrong = &headwaterv1.Value{}
		}
		wrong = &headwaterv1.Value{Kind: &headwaterv1.Value_ListValue{ListValue: &headwaterv1.ListValue{Values: []*headwaterv1.Value{wrong}}}}
	}
	return wrong
}

// Rows of values of every type are decoded as they were sent; with one value that is wrong the batch is refused, and told are its
// key, the row and the column.
func TestOneWrongValueIsNamed(t *testing.T) {
	src := everyKind()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "rows")
		sent := table{columns: src.Columns}
		for range n {
			row := make([]feature.Value, len(src.Columns))
			for i, c := range src.Columns {
				row[i] = anyvalue.OrNull(c.Type).Draw(t, c.Name)
			}
			sent.rows = append(sent.rows, row)
		}
		m := rowBatch("k", sent)
		rows, err := decoded(src, m)
		if err != nil || len(rows) != n {
			t.Fatalf("found %d rows, %v; expected %d", len(rows), err, n)
		}
		for i, row := range rows {
			for j, v := range row {
				if !v.Equal(sent.rows[i][j]) {
					t.Fatalf("row %d, column %s: found %s, expected %s", i+1, src.Columns[j].Name, v.Text(), sent.rows[i][j].Text())
				}
			}
		}
		row, column := rapid.IntRange(0, n-1).Draw(t, "row"), rapid.IntRange(0, len(src.Columns)-1).Draw(t, "column")
		c := src.Columns[column]
		m.Batch.Rows[row].Values[column] = wrongValue(t, c.Type)
		_, err = decoded(src, m)
		if place := fmt.Sprintf(`batch "k": row %d: column %s: `, row+1, c.Name); fault.ReasonOf(err) != fault.InvalidRows || !strings.HasPrefix(err.Error(), place) {
			t.Fatalf("%s: found %v, expected %s…", c.Type, err, place)
		}
	})
}

// However a message is damaged, it is decoded or refused for a reason that is the sender's.
func FuzzBatches(f *testing.F) {
	src := everyKind()
	values := table{columns: src.Columns, rows: [][]feature.Value{{}, {}}}
	for _, c := range src.Columns {
		values.rows[0] = append(values.rows[0], anyvalue.Of(c.Type).Example(1))
		values.rows[1] = append(values.rows[1], feature.Null())
	}
	short := rowBatch("k", values)
	short.Batch.Rows[1].Values = short.Batch.Rows[1].Values[1:]
	absent := rowBatch("k", values)
	absent.Batch.Rows = append(absent.Batch.Rows, nil, &headwaterv1.IngestRow{Values: []*headwaterv1.Value{nil}})
	for _, m := range []*headwaterv1.IngestRequest{rowBatch("k", values), arrowBatch(f, "k", values), short, absent, {}} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &headwaterv1.IngestRequest{}
		if proto.Unmarshal(b, m) != nil {
			return
		}
		_, err := decoded(src, m)
		switch fault.ReasonOf(err) {
		case fault.InvalidRows, fault.InvalidArgument, fault.ResourceExhausted:
		default:
			if err != nil {
				t.Errorf("found %v, expected it refused for what was sent", err)
			}
		}
	})
}

// The same, with messages that are mostly whole: a byte of one is changed, left out or put in.
func TestDamagedBatches(t *testing.T) {
	src := everyKind()
	rapid.Check(t, func(t *rapid.T) {
		row := make([]feature.Value, len(src.Columns))
		for i, c := range src.Columns {
			row[i] = anyvalue.OrNull(c.Type).Draw(t, c.Name)
		}
		b, err := proto.Marshal(rowBatch("k", table{columns: src.Columns, rows: [][]feature.Value{row}}))
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 4).Draw(t, "damages") {
			at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				b[at] = rapid.Byte().Draw(t, "byte")
			case 1:
				b = append(b[:at:at], b[at+1:]...)
			case 2:
				b = append(append(b[:at:at], rapid.Byte().Draw(t, "byte")), b[at:]...)
			}
		}
		m := &headwaterv1.IngestRequest{}
		if proto.Unmarshal(b, m) != nil {
			return
		}
		if _, err := decoded(src, m); err != nil {
			switch fault.ReasonOf(err) {
			case fault.InvalidRows, fault.InvalidArgument, fault.ResourceExhausted:
			default:
				t.Fatalf("found %v, expected it refused for what was sent", err)
			}
		}
	})
}
