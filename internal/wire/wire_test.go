package wire

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/anyvalue"
)

// sent is a message as it arrives.
func sent[M proto.Message](t *rapid.T, m, into M) M {
	b, err := proto.Marshal(m)
	if err == nil {
		err = proto.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
	return into
}

func TestValuesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := anyvalue.Type().Draw(t, "type")
		v := anyvalue.OrNull(typ).Draw(t, "value")
		back, err := FromValue(typ, sent(t, ToValue(v), &headwaterv1.Value{}))
		if err != nil || !back.Equal(v) {
			t.Fatalf("%s: found %s, %v; expected %s", typ, back.Text(), err, v.Text())
		}
	})
}

func TestVectorsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := anyvalue.Type().Draw(t, "type")
		values := rapid.SliceOfN(anyvalue.OrNull(typ), 1, 5).Draw(t, "values")
		out := NewVector(typ, len(values))
		for i, v := range values {
			status := rapid.SampledFrom([]headwaterv1.ValueStatus{
				headwaterv1.ValueStatus_VALUE_STATUS_PRESENT, headwaterv1.ValueStatus_VALUE_STATUS_STALE, headwaterv1.ValueStatus_VALUE_STATUS_MASKED,
			}).Draw(t, "status")
			if out.Status[i] = status; v.IsNull() && status == headwaterv1.ValueStatus_VALUE_STATUS_PRESENT {
				out.Status[i] = headwaterv1.ValueStatus_VALUE_STATUS_NULL
			}
			SetVector(out, i, v)
		}
		statuses := slices.Clone(out.Status)
		if len(slices.Compact(slices.Clone(statuses))) == 1 {
			out.StatusOfAll, out.Status = statuses[0], nil
		}
		in := sent(t, out, &headwaterv1.ValueVector{})
		if found, err := VectorType(in); err != nil || found != typ {
			t.Fatalf("found %s, %v; expected %s", found, err, typ)
		}
		if n := VectorLen(in); n != len(values) {
			t.Fatalf("%s: found %d values, expected %d", typ, n, len(values))
		}
		for i, v := range values {
			if found := StatusAt(in, i); found != statuses[i] {
				t.Fatalf("%s: found status %s of value %d, expected %s", typ, found, i, statuses[i])
			}
			if back, err := FromVector(in, i); err != nil || !back.Equal(v) {
				t.Fatalf("%s: found %s, %v; expected %s", typ, back.Text(), err, v.Text())
			}
		}
	})
}

func TestFromValueRefusals(t *testing.T) {
	list := feature.ListType(feature.TypeInt64)
	text := func(s string) *headwaterv1.Value { return ToValue(feature.String(s)) }
	listed := func(values ...*headwaterv1.Value) *headwaterv1.Value {
		return &headwaterv1.Value{Kind: &headwaterv1.Value_ListValue{ListValue: &headwaterv1.ListValue{Values: values}}}
	}
	for _, c := range []struct {
		typ  feature.Type
		v    *headwaterv1.Value
		want string
	}{
		{feature.TypeInt64, text("1"), "found string, expected int64"},
		{feature.TypeString, text("a\x00"), `found a NUL character in "a\x00", expected text without one`},
		{feature.DecimalType(4, 2), ToValue(feature.Float64(1)), "found float64, expected decimal(4, 2)"},
		{feature.DecimalType(4, 2), &headwaterv1.Value{Kind: &headwaterv1.Value_DecimalValue{DecimalValue: "1.005"}},
			"found 1.005, with 3 digits behind the point, expected at most 2, as decimal(4, 2) has; round it where it is made"},
		{list, text("[1]"), "found string, expected list(int64)"},
		{list, listed(ToValue(feature.Int64(1)), &headwaterv1.Value{}), "found NULL as element 2 of a list, expected none: lists hold no NULL; leave it out"},
		{list, listed(text("1")), "element 1: found string, expected int64"},
		{list, listed(listed()), "element 1: found list, expected int64"},
		{feature.VectorType(2), &headwaterv1.Value{Kind: &headwaterv1.Value_VectorValue{VectorValue: &headwaterv1.VectorValue{Values: []float32{1}}}},
			"found 1 floats, expected 2, as vector(2) has"},
		{feature.TypeTimestamp, &headwaterv1.Value{Kind: &headwaterv1.Value_TimestampValue{TimestampValue: &timestamppb.Timestamp{Seconds: 1 << 40}}},
			"found a time that is none, expected one in the years 1 to 9999"},
		{feature.TypeTimestamp, &headwaterv1.Value{Kind: &headwaterv1.Value_TimestampValue{TimestampValue: &timestamppb.Timestamp{Nanos: 1001}}},
			"found 1970-01-01T00:00:00.000001001Z, with more than microseconds, expected whole ones; round it where it is made"},
	} {
		if v, err := FromValue(c.typ, c.v); err == nil || err.Error() != c.want {
			t.Errorf("found %s, %v; expected %s", v.Text(), err, c.want)
		}
	}
}

func TestFromVectorRefusals(t *testing.T) {
	present := []headwaterv1.ValueStatus{headwaterv1.ValueStatus_VALUE_STATUS_PRESENT}
	for want, v := range map[string]*headwaterv1.ValueVector{
		"found no value 1 in a vector of 0":                                                                {TypeName: "int64"},
		"found fewer values of type vector(3) than the 1 that their statuses say":                          {TypeName: "vector(3)", Status: present, Vectors: []float32{1, 2}},
		"found fewer values of type decimal(3, 1) than the 1 that their statuses say":                      {TypeName: "decimal(3, 1)", Status: present},
		"found values of type VALUE_TYPE_DECIMAL without its name, expected one of " + feature.TypeNames(): {Type: headwaterv1.ValueType_VALUE_TYPE_DECIMAL, Status: present},
		`found type "json", expected one of ` + feature.TypeNames():                                        {TypeName: "json", Status: present},
	} {
		if value, err := FromVector(v, 0); err == nil || err.Error() != want {
			t.Errorf("found %s, %v; expected %s", value.Text(), err, want)
		}
	}
	// Servers that do not send names of types have only those without parameters.
	old := &headwaterv1.ValueVector{Type: headwaterv1.ValueType_VALUE_TYPE_INT64, Status: present, Int64S: []int64{7}}
	if v, err := FromVector(old, 0); err != nil || !v.Equal(feature.Int64(7)) {
		t.Errorf("found %s, %v", v.Text(), err)
	}
}

// What is written at once is what the generated code writes of the message.
func TestVectorsAreWrittenAsMessagesAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := anyvalue.Type().Draw(t, "type")
		values := rapid.SliceOfN(anyvalue.OrNull(typ), 1, 40).Draw(t, "values")
		one := rapid.Bool().Draw(t, "one status")
		m := NewVector(typ, len(values))
		statuses := make([]byte, len(values))
		for i, v := range values {
			statuses[i] = 5
			if !one {
				statuses[i] = byte(rapid.IntRange(1, 11).Draw(t, "status"))
			}
			m.Status[i] = headwaterv1.ValueStatus(statuses[i])
			SetVector(m, i, v)
		}
		if len(slices.Compact(slices.Clone(statuses))) == 1 {
			m.StatusOfAll, m.Status = m.Status[0], nil
		}
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		frame := NewVectorFrame(typ)
		got := frame.AppendVector([]byte("before"), len(values), statuses, func(i int) feature.Value { return values[i] })
		if string(got) != "before"+string(want) {
			t.Fatalf("%s %v: found  %x\nexpected %x", typ, values, got[6:], want)
		}
	})
}

func TestFieldsOfAnyLength(t *testing.T) {
	for _, length := range []int{0, 1, 127, 128, 16383, 16384} {
		for _, guess := range []int{0, 127, 128, 1 << 14, 1 << 21} {
			text := strings.Repeat("x", length)
			b, at := OpenField([]byte("before"), 3, guess)
			if got, want := string(CloseField(append(b, text...), at)), string(AppendString([]byte("before"), 3, text)); got != want {
				t.Errorf("%d bytes, %d guessed: found %x, expected %x", length, guess, got[:min(20, len(got))], want[:min(20, len(want))])
			}
		}
	}
}
