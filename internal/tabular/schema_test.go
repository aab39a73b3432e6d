package tabular

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/anyvalue"
)

func TestColumnsOfIsTheInverseOfArrowSchema(t *testing.T) {
	var columns []feature.Column
	for _, typ := range anyvalue.Kinds() {
		columns = append(columns, feature.Column{Name: "c_" + typ.String(), Type: typ})
	}
	got, err := ColumnsOf(ArrowSchema(columns))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range got {
		if c.Name != columns[i].Name || c.Type != columns[i].Type {
			t.Errorf("column %d: found %s %s, expected %s %s", i, c.Name, c.Type, columns[i].Name, columns[i].Type)
		}
	}
}

func TestColumnsOfRefusesOtherTypes(t *testing.T) {
	for name, c := range map[string]struct {
		fields []arrow.Field
		want   string
	}{
		"narrow": {
			[]arrow.Field{{Name: "ok", Type: arrow.PrimitiveTypes.Int64}, {Name: "delay", Type: arrow.PrimitiveTypes.Int16}},
			"column delay: found Arrow type int16, expected bool, int64, float64, utf8, timestamp[us, tz=UTC], decimal128, binary, a list of one of these, or a fixed_size_list of float",
		},
		"another unit": {
			[]arrow.Field{{Name: "at", Type: arrow.FixedWidthTypes.Timestamp_ns}},
			"column at: found Arrow type timestamp[ns, tz=UTC], expected bool, int64, float64, utf8, timestamp[us, tz=UTC], decimal128, binary, a list of one of these, or a fixed_size_list of float",
		},
		"a decimal of 256 bits": {
			[]arrow.Field{{Name: "p", Type: &arrow.Decimal256Type{Precision: 5, Scale: 2}}},
			"column p: found Arrow type decimal256(5, 2), expected " + streamTypes,
		},
		"a scale below zero": {
			[]arrow.Field{{Name: "p", Type: &arrow.Decimal128Type{Precision: 5, Scale: -2}}},
			"column p: found Arrow type decimal(5, -2), expected " + streamTypes,
		},
		"a list of lists": {
			[]arrow.Field{{Name: "l", Type: arrow.ListOf(arrow.ListOf(arrow.PrimitiveTypes.Int64))}},
			"column l: found Arrow type list<item: list<item: int64, nullable>, nullable>, expected " + streamTypes,
		},
		"a vector of float64": {
			[]arrow.Field{{Name: "v", Type: arrow.FixedSizeListOf(3, arrow.PrimitiveTypes.Float64)}},
			"column v: found Arrow type fixed_size_list<item: float64, nullable>[3], expected " + streamTypes,
		},
		"twice": {
			[]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}, {Name: "a", Type: arrow.PrimitiveTypes.Int64}},
			"column a: found twice, expected each name once",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ColumnsOf(arrow.NewSchema(c.fields, nil))
			if err == nil || err.Error() != c.want {
				t.Fatalf("found %v, expected %s", err, c.want)
			}
		})
	}
}

func TestAppendAndValueAt(t *testing.T) {
	for _, v := range []feature.Value{
		feature.Bool(true), feature.Bool(false), feature.Int64(-7), feature.Float64(0.1), feature.String(""),
		feature.String("ORD"), feature.Timestamp(-1), feature.Timestamp(978307200000001),
	} {
		b := array.NewBuilder(memory.DefaultAllocator, ArrowType(v.Type()))
		Append(b, v)
		Append(b, feature.Null())
		a := b.NewArray()
		if got, err := ValueAt(a, 0); err != nil || !got.Equal(v) {
			t.Errorf("found %s %q, %v; expected %s %q", got.Type(), got.Text(), err, v.Type(), v.Text())
		}
		if got, err := ValueAt(a, 1); err != nil || !got.IsNull() {
			t.Errorf("found %q, %v; expected NULL", got.Text(), err)
		}
	}
}
