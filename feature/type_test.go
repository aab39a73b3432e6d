package feature

import (
	"testing"

	"pgregory.net/rapid"
)

// anyType draws a valid type.
func anyType() *rapid.Generator[Type] {
	scalar := anyScalarType()
	return rapid.OneOf(scalar, rapid.Map(scalar, ListType), rapid.Map(rapid.IntRange(1, 5), VectorType))
}

func anyScalarType() *rapid.Generator[Type] {
	return rapid.OneOf(rapid.SampledFrom(PlainTypes()), rapid.Custom(func(t *rapid.T) Type {
		precision := rapid.IntRange(1, MaxPrecision).Draw(t, "precision")
		return DecimalType(precision, rapid.IntRange(0, precision).Draw(t, "scale"))
	}))
}

// A type is read back from what it is written as, is valid, and has the parts it was made of.
func TestTypeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := anyType().Draw(t, "type")
		if got, err := ParseType(typ.String()); err != nil || got != typ || !typ.IsValid() {
			t.Fatalf("%s: found %s, %v", typ, got, err)
		}
		if typ.IsList() != (typ.Elem() != TypeInvalid) || typ.IsList() && ListType(typ.Elem()) != typ {
			t.Fatalf("%s: its elements are %s", typ, typ.Elem())
		}
	})
}

func TestTypeParts(t *testing.T) {
	d := ListType(DecimalType(38, 6))
	if d.Kind() != TypeList || d.Elem().Kind() != TypeDecimal || d.Elem().Precision() != 38 || d.Elem().Scale() != 6 {
		t.Errorf("found %s of %s", d, d.Elem())
	}
	if v := VectorType(MaxDimension); v.Kind() != TypeVector || v.Dimension() != MaxDimension {
		t.Errorf("found %s of %d", v, v.Dimension())
	}
}

func TestInvalidTypes(t *testing.T) {
	for name, typ := range map[string]Type{
		"none": TypeInvalid, "bare decimal": TypeDecimal, "bare list": TypeList, "bare vector": TypeVector, "unknown": 10,
		"no digits": DecimalType(0, 0), "39 digits": DecimalType(39, 0), "scale over precision": DecimalType(3, 4), "negative scale": DecimalType(3, -1),
		"list of lists": ListType(ListType(TypeBool)), "list of vectors": ListType(VectorType(2)), "list of nothing": ListType(TypeInvalid),
		"empty vector": VectorType(0), "vast vector": VectorType(MaxDimension + 1),
		"int64 with a scale": TypeInt64 | 1<<scaleShift, "list with a dimension": ListType(TypeInt64) | 1<<dimensionShift,
	} {
		if typ.IsValid() {
			t.Errorf("%s: %s is valid", name, typ)
		}
	}
}

func TestParseTypeRefusals(t *testing.T) {
	const names = "bool, int64, float64, decimal(p, s), string, bytes, timestamp, list(T), vector(n)"
	const scalars = "bool, int64, float64, decimal(p, s), string, bytes, timestamp"
	for s, want := range map[string]string{
		"":                    `found type "", expected one of ` + names,
		"Int64":               `found type "Int64", expected one of ` + names,
		" int64":              `found type " int64", expected one of ` + names,
		"int64()":             `found type "int64()", expected one of ` + names,
		"list(int64":          `found type "list(int64", expected one of ` + names,
		"decimal":             `found type "decimal", expected decimal(p, s): p digits, s of them behind the point, such as decimal(12, 2)`,
		"decimal(12)":         `found type "decimal(12)", expected decimal(p, s): p digits, s of them behind the point, such as decimal(12, 2)`,
		"decimal(012, 2)":     `found type "decimal(012, 2)", expected decimal(p, s): p digits, s of them behind the point, such as decimal(12, 2)`,
		"decimal(12, -2)":     `found type "decimal(12, -2)", expected decimal(p, s): p digits, s of them behind the point, such as decimal(12, 2)`,
		"decimal(39, 2)":      `found type "decimal(39, 2)", expected from 1 to 38 digits`,
		"decimal(2, 3)":       `found type "decimal(2, 3)", expected at most as many digits behind the point as there are digits`,
		"list":                `found type "list", expected a list of one of ` + scalars,
		"list(int)":           `found type "list(int)", expected a list of one of ` + scalars,
		"list(list(int64))":   `found type "list(list(int64))", expected a list of one of ` + scalars + ": a list holds no lists and no vectors",
		"list(vector(3))":     `found type "list(vector(3))", expected a list of one of ` + scalars + ": a list holds no lists and no vectors",
		"list(decimal(9,10))": `found type "decimal(9,10)", expected at most as many digits behind the point as there are digits`,
		"vector":              `found type "vector", expected vector(n) with an n from 1 to 16000: how many floats there are`,
		"vector(0)":           `found type "vector(0)", expected vector(n) with an n from 1 to 16000: how many floats there are`,
		"vector(16001)":       `found type "vector(16001)", expected vector(n) with an n from 1 to 16000: how many floats there are`,
	} {
		if _, err := ParseType(s); err == nil || err.Error() != want {
			t.Errorf("%s:\nfound    %v\nexpected %s", s, err, want)
		}
	}
	for s, want := range map[string]Type{
		"decimal(12,2)": DecimalType(12, 2), "decimal( 12 ,  2 )": DecimalType(12, 2), "list( decimal(3, 0) )": ListType(DecimalType(3, 0)),
	} {
		if got, err := ParseType(s); err != nil || got != want {
			t.Errorf("%s: found %s, %v", s, got, err)
		}
	}
}
