package feature

import (
	"bytes"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCanonicalGolden(t *testing.T) {
	var lines []string
	add := func(name string, b []byte) { lines = append(lines, name+" "+hex.EncodeToString(b)) }
	for _, c := range []struct {
		name  string
		value Value
	}{
		{"null", Null()}, {"false", Bool(false)}, {"true", Bool(true)}, {"int64:-1", Int64(-1)}, {"int64:258", Int64(258)},
		{"float64:1.5", Float64(1.5)}, {"float64:-0", Float64(math.Copysign(0, -1))}, {"float64:nan", Float64(math.NaN())},
		{"float64:-inf", Float64(math.Inf(-1))}, {"string:", String("")}, {"string:é", String("é")},
		{"timestamp:1970-01-01T00:00:01Z", Timestamp(1_000_000)},
	} {
		add(c.name, c.value.AppendCanonical(nil))
	}
	row := Row{Key: "JFK|7", EventTime: 1, AvailableAt: 2, Values: []Value{Int64(3), Null()}}
	add("row", row.AppendCanonical(nil))
	var set SetDigest
	add("set:empty", digestBytes(set.Digest()))
	set.Add(row.AppendCanonical(nil))
	add("set:row", digestBytes(set.Digest()))
	set.Add(row.AppendCanonical(nil))
	add("set:row,row", digestBytes(set.Digest()))
	for _, c := range []struct{ typ, name string }{
		{"bytes", ""}, {"bytes", "\x00\xff"}, {"decimal(12, 2)", "-12.50"}, {"decimal(38, 0)", "99999999999999999999999999999999999999"},
		{"list(bool)", "[true,false]"}, {"list(int64)", "[]"}, {"list(int64)", "[-1,258]"}, {"list(float64)", "[-0,NaN,1.5]"},
		{"list(string)", "[é,]"}, {"list(bytes)", "[\xff]"}, {"list(timestamp)", "[1970-01-01T00:00:01Z]"}, {"list(decimal(3, 1))", "[0.5]"},
		{"vector(3)", "[-0,NaN,0.5]"},
	} {
		add(strings.ReplaceAll(c.typ, " ", "")+":"+strings.Trim(strconv.QuoteToASCII(c.name), `"`), goldenValue(t, c.typ, c.name).AppendCanonical(nil))
	}
	golden(t, "canonical.txt", lines)
}

// goldenValue reads the small language of the golden values: a scalar's text, or such texts in brackets.
func goldenValue(t *testing.T, typeName, text string) Value {
	t.Helper()
	typ, err := ParseType(typeName)
	if err != nil {
		t.Fatal(err)
	}
	scalar := func(typ Type, s string) Value {
		switch typ.Kind() {
		case TypeBool:
			return Bool(s == "true")
		case TypeString:
			return String(s)
		case TypeBytes:
			return Bytes(s)
		case TypeTimestamp:
			at, err := time.Parse(time.RFC3339, s)
			if err != nil {
				t.Fatal(err)
			}
			return Timestamp(TimeOf(at))
		case TypeDecimal:
			v, err := ParseDecimal(typ, s)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		if typ == TypeInt64 {
			return Int64(int64(f))
		}
		return Float64(f)
	}
	inner, listed := strings.CutPrefix(text, "[")
	var parts []string
	if inner = strings.TrimSuffix(inner, "]"); inner != "" {
		parts = strings.Split(inner, ",")
	}
	var v Value
	switch {
	case !listed:
		return scalar(typ, text)
	case typ.IsList():
		elements := make([]Value, len(parts))
		for i := range parts {
			elements[i] = scalar(typ.Elem(), parts[i])
		}
		v, err = List(typ, elements)
	default:
		floats := make([]float32, len(parts))
		for i := range parts {
			floats[i] = float32(scalar(TypeFloat64, parts[i]).Float64())
		}
		v, err = Vector(typ, floats)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func digestBytes(d Digest) []byte { return d[:] }

func anyValue() *rapid.Generator[Value] {
	return rapid.OneOf(
		rapid.Just(Null()),
		rapid.Map(rapid.Bool(), Bool),
		rapid.Map(rapid.Int64Range(-3, 3), Int64),
		rapid.Map(rapid.Int64(), Int64),
		rapid.Map(rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.NaN(), math.Float64frombits(0x7ff8000000000001), 1, math.Inf(1)}), Float64),
		rapid.Map(rapid.Float64(), Float64),
		rapid.Map(rapid.StringMatching(`[ab|\\]{0,4}`), String),
		rapid.Map(rapid.Int64Range(-3, 3), func(n int64) Value { return Timestamp(Time(n)) }),
		rapid.Custom(func(t *rapid.T) Value {
			return anyOf(rapid.SampledFrom([]Type{TypeBytes, DecimalType(2, 1), DecimalType(38, 38), ListType(TypeBool), ListType(TypeString),
				ListType(TypeBytes), ListType(DecimalType(2, 1)), ListType(TypeFloat64), VectorType(1), VectorType(2)}).Draw(t, "type")).Draw(t, "value")
		}),
	)
}

// One value, one encoding; and no row's encoding is another's, however its parts are cut.
func TestCanonicalIsInjective(t *testing.T) {
	row := rapid.Custom(func(t *rapid.T) Row {
		return Row{
			Key: rapid.StringMatching(`[a|]{0,3}`).Draw(t, "key"), EventTime: Time(rapid.Int64Range(0, 2).Draw(t, "event")),
			AvailableAt: Time(rapid.Int64Range(0, 2).Draw(t, "available")), Values: rapid.SliceOfN(anyValue(), 0, 3).Draw(t, "values"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := row.Draw(t, "a"), row.Draw(t, "b")
		same := a.Key == b.Key && a.EventTime == b.EventTime && a.AvailableAt == b.AvailableAt && len(a.Values) == len(b.Values)
		for i := 0; same && i < len(a.Values); i++ {
			same = a.Values[i].Equal(b.Values[i])
		}
		if bytes.Equal(a.AppendCanonical(nil), b.AppendCanonical(nil)) != same {
			t.Fatalf("rows are the same: %t, their encodings are not", same)
		}
	})
}

func TestSetDigestIsASum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 4)).Draw(t, "items")
		var forwards, backwards, left, right SetDigest
		cut := rapid.IntRange(0, len(items)).Draw(t, "cut")
		for i := range items {
			forwards.Add(items[i])
			backwards.Add(items[len(items)-1-i])
			if i < cut {
				left.Add(items[i])
			} else {
				right.Add(items[i])
			}
		}
		left.Merge(right)
		if forwards != backwards || forwards != left {
			t.Fatal("the digest depends on order or on how the set was cut")
		}
		if len(items) > 0 {
			forwards.Add(items[0])
			if forwards == backwards {
				t.Fatal("the digest does not count an encoding that is there twice")
			}
		}
	})
}

// The sum carries over from word to word.
func TestSetDigestCarries(t *testing.T) {
	var s SetDigest
	s.addWords([4]uint64{math.MaxUint64, math.MaxUint64, math.MaxUint64, 0})
	s.addWords([4]uint64{1})
	if want := (Digest{7: 1}); s.Digest() != want {
		t.Fatalf("found %s, expected %s", s.Digest(), want)
	}
}

func TestParseDigest(t *testing.T) {
	d := Digest{0: 0xab, 31: 0x01}
	if got, err := ParseDigest(d.String()); err != nil || got != d {
		t.Fatalf("found %v, %v", got, err)
	}
	for _, s := range []string{"", "ab", d.String() + "00", d.String()[:63] + "x"} {
		if _, err := ParseDigest(s); err == nil {
			t.Errorf("ParseDigest(%q): found no error", s)
		}
	}
}
