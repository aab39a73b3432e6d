package feature

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func anyScalar(typ Type) *rapid.Generator[Value] {
	switch typ.Kind() {
	case TypeBool:
		return rapid.Map(rapid.Bool(), Bool)
	case TypeInt64:
		return rapid.Map(rapid.Int64(), Int64)
	case TypeFloat64:
		return rapid.Map(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.NaN(),
			math.Float64frombits(0xfff8000000000001), math.Inf(1)})), Float64)
	case TypeString:
		return rapid.Map(rapid.StringMatching(`[a"\\\n,\x01é]{0,4}`), String)
	case TypeBytes:
		return rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 4), func(b []byte) Value { return Bytes(string(b)) })
	case TypeTimestamp:
		return rapid.Map(rapid.Int64Range(-1e15, 1e15), func(n int64) Value { return Timestamp(Time(n)) })
	}
	return anyDecimal(typ)
}

// anyOf draws a value of the type, not NULL.
func anyOf(typ Type) *rapid.Generator[Value] {
	return rapid.Custom(func(t *rapid.T) Value {
		var v Value
		var err error
		switch typ.Kind() {
		case TypeList:
			v, err = List(typ, rapid.SliceOfN(anyScalar(typ.Elem()), 0, 4).Draw(t, "elements"))
		case TypeVector:
			floats := rapid.OneOf(rapid.Float32(), rapid.SampledFrom([]float32{0, float32(math.Copysign(0, -1)), float32(math.NaN()),
				math.Float32frombits(0xffc00001)}))
			v, err = Vector(typ, rapid.SliceOfN(floats, typ.Dimension(), typ.Dimension()).Draw(t, "floats"))
		default:
			v = anyScalar(typ).Draw(t, "scalar")
		}
		if err != nil {
			t.Fatal(err)
		}
		return v
	})
}

func TestListKeepsItsElements(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		elem := anyScalarType().Draw(t, "type")
		elements := rapid.SliceOfN(anyScalar(elem), 0, 5).Draw(t, "elements")
		v, err := List(ListType(elem), elements)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for i, e := range v.Elements() {
			if i != n || !e.Equal(elements[i]) {
				t.Fatalf("element %d: found %s, expected %s", i, e.Text(), elements[i].Text())
			}
			n++
		}
		if n != len(elements) || v.Len() != n {
			t.Fatalf("found %d elements, Len %d, expected %d", n, v.Len(), len(elements))
		}
	})
}

func TestVectorKeepsItsFloats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		floats := rapid.SliceOfN(rapid.Float32(), 1, 6).Draw(t, "floats")
		v, err := Vector(VectorType(len(floats)), floats)
		if err != nil {
			t.Fatal(err)
		}
		back := v.AppendFloats(nil)
		if len(back) != len(floats) || v.Len() != len(floats) {
			t.Fatalf("found %v, expected %v", back, floats)
		}
		for i := range back {
			if back[i] != floats[i] {
				t.Fatalf("found %v, expected %v", back, floats)
			}
		}
	})
}

// What Packed gives is taken back; of anything else, what is taken gives it back, so that no value has two packed forms.
func TestUnpackIsStrict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.OneOf(rapid.Map(anyScalarType(), ListType), rapid.Map(rapid.IntRange(1, 3), VectorType)).Draw(t, "type")
		v := anyOf(typ).Draw(t, "value")
		if back, err := Unpack(typ, v.Packed()); err != nil || !back.Equal(v) {
			t.Fatalf("found %s, %v; expected %s", back.Text(), err, v.Text())
		}
		bytes := []byte(v.Packed())
		switch rapid.IntRange(0, 2).Draw(t, "damage") {
		case 0:
			bytes = bytes[:rapid.IntRange(0, len(bytes)).Draw(t, "cut")]
		case 1:
			bytes = append(bytes, rapid.Byte().Draw(t, "more"))
		case 2:
			if len(bytes) > 0 {
				bytes[rapid.IntRange(0, len(bytes)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "changed")
			}
		}
		damaged, err := Unpack(typ, string(bytes))
		if err != nil {
			return
		}
		if typ.IsList() {
			var elements []Value
			for _, e := range damaged.Elements() {
				elements = append(elements, e)
			}
			damaged, err = List(typ, elements)
		} else {
			damaged, err = Vector(typ, damaged.AppendFloats(nil))
		}
		if err != nil || damaged.Packed() != string(bytes) {
			t.Fatalf("%x was taken, and gives %x, %v", bytes, damaged.Packed(), err)
		}
	})
}

func TestUnpackRefusals(t *testing.T) {
	decimals, strs, floats := ListType(DecimalType(1, 0)), ListType(TypeString), ListType(TypeFloat64)
	for name, c := range map[string]struct {
		typ    Type
		packed string
	}{
		"no count":                {strs, "\x00\x00\x00"},
		"an element too few":      {strs, "\x00\x00\x00\x01"},
		"a text too short":        {strs, "\x00\x00\x00\x01\x00\x00\x00\x02a"},
		"a NUL":                   {strs, "\x00\x00\x00\x01\x00\x00\x00\x01\x00"},
		"invalid UTF-8":           {strs, "\x00\x00\x00\x01\x00\x00\x00\x01\xff"},
		"more behind":             {strs, "\x00\x00\x00\x00a"},
		"a bool of 2":             {ListType(TypeBool), "\x00\x00\x00\x01\x02"},
		"ten in decimal(1, 0)":    {decimals, "\x00\x00\x00\x01" + strings.Repeat("\x00", 15) + "\x0a"},
		"-0":                      {floats, "\x00\x00\x00\x01\x80" + strings.Repeat("\x00", 7)},
		"another NaN":             {floats, "\x00\x00\x00\x01\x7f\xf8\x00\x00\x00\x00\x00\x01"},
		"a vector's -0":           {VectorType(1), "\x80\x00\x00\x00"},
		"a vector's NaN":          {VectorType(1), "\xff\xc0\x00\x00"},
		"a vector of another len": {VectorType(1), ""},
		"a scalar":                {TypeString, "a"},
	} {
		if v, err := Unpack(c.typ, c.packed); err == nil {
			t.Errorf("%s: was taken as %s", name, v.Text())
		}
	}
}

func TestListRefusals(t *testing.T) {
	ints := ListType(TypeInt64)
	for want, err := range map[string]func() (Value, error){
		"found NULL as element 2 of a list, expected none: lists hold no NULL; leave it out": func() (Value, error) { return List(ints, []Value{Int64(1), Null()}) },
		"found a string as element 1 of a list, expected a int64":                            func() (Value, error) { return List(ints, []Value{String("1")}) },
		"found a list, expected a int64":                                                     func() (Value, error) { return List(TypeInt64, nil) },
		"found a vector, expected a list(int64)":                                             func() (Value, error) { return Vector(ints, nil) },
		"found 1 floats, expected 2, as vector(2) has":                                       func() (Value, error) { return Vector(VectorType(2), []float32{1}) },
	} {
		if _, err := err(); err == nil || err.Error() != want {
			t.Errorf("found %v, expected %s", err, want)
		}
	}
}

// Whatever a value holds, AppendJSON is JSON, and a string's is that string.
func TestJSONIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyOf(anyType().Draw(t, "type")).Draw(t, "value")
		b := v.AppendJSON(nil)
		if !json.Valid(b) {
			t.Fatalf("%s is not JSON", b)
		}
		var s string
		if v.Type() == TypeString && (json.Unmarshal(b, &s) != nil || s != v.Str()) {
			t.Fatalf("%s is not %q", b, v.Str())
		}
	})
}

func TestTextOfValues(t *testing.T) {
	list := func(elem Type, elements ...Value) Value {
		v, err := List(ListType(elem), elements)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	vector, err := Vector(VectorType(3), []float32{0.1, float32(math.Inf(-1)), float32(math.Copysign(0, -1))})
	if err != nil {
		t.Fatal(err)
	}
	price, err := ParseDecimal(DecimalType(12, 2), "-0.5")
	if err != nil {
		t.Fatal(err)
	}
	for want, v := range map[string]Value{
		"-0.50": price, "AP8=": Bytes("\x00\xff"), "[]": list(TypeInt64), "[true,false]": list(TypeBool, Bool(true), Bool(false)),
		`["a\"\\b\u0001","é\n"]`: list(TypeString, String("a\"\\b\x01"), String("é\n")), `["NaN",1.5]`: list(TypeFloat64, Float64(math.NaN()), Float64(1.5)),
		`["AA=="]`: list(TypeBytes, Bytes("\x00")), `["1970-01-01T00:00:01Z"]`: list(TypeTimestamp, Timestamp(1_000_000)),
		"[-0.50]": list(DecimalType(12, 2), price), `[0.1,"-Infinity",0]`: vector,
	} {
		if v.Text() != want {
			t.Errorf("found %s, expected %s", v.Text(), want)
		}
	}
}
