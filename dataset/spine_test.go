package dataset

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
)

func TestBadSpines(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	good := someFlights()
	stream := good.arrow(t, 4)
	with := func(change func(*spine)) []byte {
		s := spine{columns: slices.Clone(good.columns)}
		for _, r := range good.rows {
			s.rows = append(s.rows, slices.Clone(r))
		}
		change(&s)
		return s.arrow(t, 4)
	}
	foreign := func(fields ...arrow.Field) []byte {
		schema := arrow.NewSchema(fields, nil)
		builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer builder.Release()
		for i := range fields {
			builder.Field(i).AppendNull()
		}
		var b bytes.Buffer
		out := ipc.NewWriter(&b, ipc.WithSchema(schema))
		record := builder.NewRecordBatch()
		defer record.Release()
		if err := out.Write(record); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	us := arrow.Field{Name: "timestamp", Type: arrow.FixedWidthTypes.Timestamp_us}
	origin := arrow.Field{Name: "origin", Type: arrow.BinaryTypes.String}
	const types = "bool, int64, float64, utf8, timestamp[us, tz=UTC], decimal128, binary, a list of one of these, or a fixed_size_list of float"
	for name, c := range map[string]struct {
		stream []byte
		want   string
	}{
		"no timestamp": {with(func(s *spine) { s.columns[2].Name = "at" }),
			"found no column timestamp, expected one that says for when each row is; the spine has label, origin, at, number. " +
				"If one of them is it, name it: --timestamp COLUMN"},
		"many columns and no timestamp": {with(func(s *spine) {
			s.columns[2].Name = "at"
			for i := range 30 {
				s.columns = append(s.columns, feature.Column{Name: fmt.Sprintf("c%d", i), Type: feature.TypeBool})
			}
			for i := range s.rows {
				s.rows[i] = append(s.rows[i], make([]feature.Value, 30)...)
			}
		}), "found no column timestamp, expected one that says for when each row is; the spine has label, origin, at, number, c0, c1, c2, c3, c4, " +
			"c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15 and 14 more. If one of them is it, name it: --timestamp COLUMN"},
		"timestamp of another type": {foreign(arrow.Field{Name: "timestamp", Type: arrow.BinaryTypes.String}, origin),
			"column timestamp: found string, expected timestamp"},
		"NULL timestamp": {with(func(s *spine) { s.rows[5][2] = feature.Null() }),
			"row 6: column timestamp is NULL, expected a timestamp; a point in time is needed for every row: give it one, or leave the row out"},
		"no key": {with(func(s *spine) { s.columns[1].Name = "from" }),
			"found no column origin, expected the join key origin of entity airport, which view delays needs; the spine has label, from, " +
				"timestamp, number. If one of them is it, map it: --key-mapping origin=COLUMN"},
		"a key of another type": {foreign(us, arrow.Field{Name: "origin", Type: arrow.PrimitiveTypes.Int64}),
			"column origin: found int64, expected string, the type of join key origin of entity airport"},
		"half a key": {foreign(us, origin),
			"found no column number, expected the join key number of entity route, which view traffic needs; the spine has timestamp, origin. " +
				"If one of them is it, map it: --key-mapping number=COLUMN"},
		"a feature's name": {with(func(s *spine) { s.columns[0].Name = "delays__mean" }),
			"column delays__mean has the name of a feature of service model; rename it"},
		"one name twice":   {foreign(us, origin, origin), "column origin: found twice, expected each name once"},
		"milliseconds":     {foreign(arrow.Field{Name: "timestamp", Type: arrow.FixedWidthTypes.Timestamp_ms}), "column timestamp: found Arrow type timestamp[ms, tz=UTC], expected " + types},
		"no zone":          {foreign(arrow.Field{Name: "timestamp", Type: &arrow.TimestampType{Unit: arrow.Microsecond}}), "column timestamp: found Arrow type timestamp[us], expected " + types},
		"long decimals":    {foreign(us, arrow.Field{Name: "x", Type: &arrow.Decimal256Type{Precision: 50, Scale: 2}}), "column x: found Arrow type decimal256(50, 2), expected " + types},
		"a list of lists":  {foreign(us, arrow.Field{Name: "x", Type: arrow.ListOf(arrow.ListOf(arrow.PrimitiveTypes.Int64))}), `column "x": found a nested type, expected ` + types},
		"no columns":       {foreign(), "found a schema without columns, expected some"},
		"nothing":          {nil, "found nothing, expected an Arrow IPC stream: a schema, record batches and an end marker"},
		"garbage":          {[]byte("timestamp,origin\n"), "found something else than an Arrow IPC stream, expected one: a schema, record batches and an end marker"},
		"cut off":          {stream[:len(stream)-100], "found the stream cut off in record batch 3, expected its end marker last; send all of it"},
		"no end":           {stream[:len(stream)-8], "found no end marker after 3 record batches, expected one; the stream was cut off, or its writer was not closed"},
		"more after":       {append(slices.Clone(stream), 1), "found bytes after the end marker, expected none; send one stream"},
		"NUL":              {with(func(s *spine) { s.rows[1][1] = feature.String("a\x00b") }), `row 2: column origin: found a NUL character in "a\x00b", expected text without one`},
		"a distant future": {with(func(s *spine) { s.rows[0][2] = feature.Timestamp(1 << 60) }), "row 1: column timestamp: found a time 1152921504606846976 µs from 1970-01-01, expected one in the years 1 to 9999"},
	} {
		t.Run(name, func(t *testing.T) {
			w.leavesNothing(t, func() {
				_, out, err := w.tryBuild(c.stream, Request{})
				wantFault(t, err, fault.InvalidSpine, "spine: "+c.want)
				if len(out) > 0 {
					t.Errorf("found %d bytes", len(out))
				}
			})
		})
	}
}

// The first and the last time that a spine may have, with a TTL that reaches before all times.
func TestExtremeTimes(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	first, last := feature.Time(-62_135_596_800)*second, feature.Time(253_402_300_800)*second-1
	s := flights(flight(1, "ORD", first, 7), flight(2, "ORD", last, 7))
	m, out, err := w.tryBuild(s.arrow(t, 2), Request{AllowPartial: true})
	if err != nil {
		t.Fatal(err)
	}
	w.expect(t, s, m, out)
}

// A spine of few rows and much text is cut by its size, and is had again all the same.
func TestLargeTexts(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := someFlights()
	s.columns = append(s.columns, feature.Column{Name: "note", Type: feature.TypeString})
	for i := range s.rows {
		s.rows[i] = append(s.rows[i], feature.String(strings.Repeat("x", tabular.StreamBatchBytes/3)))
	}
	m, out := w.build(t, s, "")
	w.expect(t, s, m, out)
	if n := w.count(t, `SELECT count(*) FROM headwater.dataset_spine WHERE dataset_id = $1`, m.ID); n == 0 {
		t.Error("found no chunks of the spine")
	}
	if _, again, err := w.fetch(t, m.ID); err != nil || !bytes.Equal(again, out) {
		t.Errorf("fetched other bytes, %v", err)
	}
}

// A spine that does not compress is kept in more than one chunk.
func TestSpinesOfSeveralChunks(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := flights()
	s.columns = append(s.columns, feature.Column{Name: "note", Type: feature.TypeString})
	r := rand.New(rand.NewPCG(15, 16))
	for range 6000 {
		note := make([]byte, 300)
		for i := range note {
			note[i] = byte(' ' + r.IntN(90))
		}
		s.rows = append(s.rows, append(flight(r.Float64(), "ORD", hours(4), 7), feature.String(string(note))))
	}
	m, out := w.build(t, s, "")
	if n := w.count(t, `SELECT count(*) FROM headwater.dataset_spine WHERE dataset_id = $1`, m.ID); n < 2 {
		t.Errorf("found %d chunks, expected some", n)
	}
	if _, again, err := w.fetch(t, m.ID); err != nil || !bytes.Equal(again, out) {
		t.Errorf("fetched other bytes, %v", err)
	}
	w.exec(t, `DELETE FROM headwater.dataset_spine WHERE chunk = 1`)
	if differences := w.verify(t, m.ID); len(differences) != 1 || !strings.HasPrefix(differences[0], "kept spine: found it damaged") {
		t.Errorf("found %q", differences)
	}
	if _, err := Find(context.Background(), w.pool, m.ID); err != nil {
		t.Error(err)
	}
}
