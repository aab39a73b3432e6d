// Package anyvalue draws types and values for property tests: of every kind there is, and of each mostly those that
// break things. It is for tests alone. What it draws can be stored everywhere: text without NUL, times of the years 1 to
// 9999.
package anyvalue

import (
	"math"
	"strings"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
)

// Kinds holds types of every kind, and lists of every kind of element.
func Kinds() []feature.Type {
	scalars := append(feature.PlainTypes(), feature.DecimalType(12, 2), feature.DecimalType(38, 0), feature.DecimalType(38, 38))
	kinds := append(scalars[:len(scalars):len(scalars)], feature.VectorType(1), feature.VectorType(3))
	for _, t := range scalars {
		kinds = append(kinds, feature.ListType(t))
	}
	return kinds
}

// Type draws a valid type.
func Type() *rapid.Generator[feature.Type] {
	return rapid.OneOf(rapid.SampledFrom(Kinds()), rapid.Custom(func(t *rapid.T) feature.Type {
		precision := rapid.IntRange(1, feature.MaxPrecision).Draw(t, "precision")
		return feature.DecimalType(precision, rapid.IntRange(0, precision).Draw(t, "scale"))
	}))
}

// OrNull draws a value of the type, or NULL.
func OrNull(typ feature.Type) *rapid.Generator[feature.Value] {
	return rapid.Custom(func(t *rapid.T) feature.Value {
		if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
			return feature.Null()
		}
		return Of(typ).Draw(t, typ.String())
	})
}

// Of draws a value of the type, never NULL.
func Of(typ feature.Type) *rapid.Generator[feature.Value] {
	switch typ.Kind() {
	case feature.TypeBool:
		return rapid.Map(rapid.Bool(), feature.Bool)
	case feature.TypeInt64:
		return rapid.Map(rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, -1, 0, 1, math.MaxInt64})), feature.Int64)
	case feature.TypeFloat64:
		return rapid.Map(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{
			math.NaN(), math.Float64frombits(0xfff8000000000001), math.Copysign(0, -1), 0, math.Inf(1), math.Inf(-1),
			math.MaxFloat64, math.SmallestNonzeroFloat64,
		})), feature.Float64)
	case feature.TypeString:
		return rapid.Map(text(), feature.String)
	case feature.TypeBytes:
		return rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) feature.Value { return feature.Bytes(string(b)) })
	case feature.TypeTimestamp:
		return rapid.Map(rapid.OneOf(rapid.Int64Range(-62_135_596_800_000_000, 253_402_300_799_999_999), rapid.SampledFrom([]int64{
			-62_135_596_800_000_000, -1, 0, 1_000_000, 253_402_300_799_999_999,
		})), func(n int64) feature.Value { return feature.Timestamp(feature.Time(n)) })
	case feature.TypeDecimal:
		return decimals(typ)
	case feature.TypeVector:
		return vectors(typ)
	}
	return lists(typ)
}

func text() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"", " ", "é", "日本語", "\U0010ffff", "\u0001", `"\,{}`, "NULL", "null", "a\r\nb", "'|\t"}),
		rapid.Map(rapid.String(), func(s string) string { return strings.ReplaceAll(s, "\x00", "") }))
}

// decimals draws coefficients of all lengths, the greatest and the least among them.
func decimals(typ feature.Type) *rapid.Generator[feature.Value] {
	return rapid.Custom(func(t *rapid.T) feature.Value {
		n := rapid.IntRange(0, typ.Precision()).Draw(t, "digits")
		digits := make([]byte, 0, 64)
		if rapid.Bool().Draw(t, "negative") {
			digits = append(digits, '-')
		}
		digits = append(digits, '0')
		nines := rapid.Bool().Draw(t, "nines")
		for range n {
			d := byte('9')
			if !nines {
				d = rapid.ByteRange('0', '9').Draw(t, "digit")
			}
			digits = append(digits, d)
		}
		coefficient, err := feature.ParseDecimal(feature.DecimalType(feature.MaxPrecision, 0), string(digits))
		if err != nil {
			t.Fatal(err)
		}
		v, err := feature.Decimal(typ, coefficient.Decimal())
		if err != nil {
			t.Fatal(err)
		}
		return v
	})
}

func vectors(typ feature.Type) *rapid.Generator[feature.Value] {
	float := rapid.OneOf(rapid.Float32(), rapid.SampledFrom([]float32{
		0, float32(math.Copysign(0, -1)), float32(math.NaN()), math.Float32frombits(0xffc00001), float32(math.Inf(1)),
		float32(math.Inf(-1)), math.MaxFloat32, math.SmallestNonzeroFloat32, 0.1,
	}))
	return rapid.Custom(func(t *rapid.T) feature.Value {
		v, err := feature.Vector(typ, rapid.SliceOfN(float, typ.Dimension(), typ.Dimension()).Draw(t, "floats"))
		if err != nil {
			t.Fatal(err)
		}
		return v
	})
}

func lists(typ feature.Type) *rapid.Generator[feature.Value] {
	elements := rapid.SliceOfN(Of(typ.Elem()), 0, 5)
	return rapid.Custom(func(t *rapid.T) feature.Value {
		v, err := feature.List(typ, elements.Draw(t, "elements"))
		if err != nil {
			t.Fatal(err)
		}
		return v
	})
}
