package feature

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func anyDecimal(typ Type) *rapid.Generator[Value] {
	return rapid.Custom(func(t *rapid.T) Value {
		digits := rapid.StringMatching(`-?[0-9]{0,38}`).Draw(t, "digits")
		n, _ := new(big.Int).SetString(digits+"0", 10)
		n.Quo(n, big.NewInt(10))
		n.Rem(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(typ.Precision())), nil))
		c, ok := Int128OfBig(n)
		if !ok {
			t.Fatalf("%s does not fit into 128 bits", n)
		}
		v, err := Decimal(typ, c)
		if err != nil {
			t.Fatal(err)
		}
		return v
	})
}

// A decimal is what its text says, by arithmetic without bounds, and reads back from it, with zeros put on or an exponent.
func TestDecimalText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		precision := rapid.IntRange(1, MaxPrecision).Draw(t, "precision")
		typ := DecimalType(precision, rapid.IntRange(0, precision).Draw(t, "scale"))
		v := anyDecimal(typ).Draw(t, "value")
		text := v.Text()
		exact, ok := new(big.Rat).SetString(text)
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(typ.Scale())), nil)
		if !ok || exact.Cmp(new(big.Rat).SetFrac(v.Decimal().Big(), scale)) != 0 {
			t.Fatalf("%s of %s at scale %d", text, v.Decimal().Big(), typ.Scale())
		}
		if _, fraction, _ := strings.Cut(text, "."); len(fraction) != typ.Scale() {
			t.Fatalf("%s has not %d digits behind the point", text, typ.Scale())
		}
		padded := text
		if typ.Scale() > 0 {
			padded += rapid.StringMatching(`0{0,3}`).Draw(t, "zeros")
		}
		for _, s := range []string{text, padded, padded + "e0", v.Decimal().Big().String() + "E-" + DecimalType(38, typ.Scale()).scaleText()} {
			if back, err := ParseDecimal(typ, s); err != nil || !back.Equal(v) {
				t.Fatalf("%s reads as %s, %v; expected %s", s, back.Text(), err, text)
			}
		}
	})
}

func (t Type) scaleText() string { return big.NewInt(int64(t.Scale())).String() }

func TestInt128(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) Int128 {
			return Int128{Hi: rapid.Int64().Draw(t, name+" high"), Lo: rapid.Uint64().Draw(t, name+" low")}
		}
		c, d := draw("c"), draw("d")
		if back, ok := Int128OfBig(c.Big()); c.Big().BitLen() <= 127 && (!ok || back != c) {
			t.Fatalf("%v comes back as %v, %t", c, back, ok)
		}
		if c.Compare(d) != c.Big().Cmp(d.Big()) || c.Sign() != c.Big().Sign() {
			t.Fatalf("%s and %s: compare is %d, sign %d", c.Big(), d.Big(), c.Compare(d), c.Sign())
		}
		if n, ok := c.Int64(); ok != c.Big().IsInt64() || ok && n != c.Big().Int64() {
			t.Fatalf("%s: found %d, %t", c.Big(), n, ok)
		}
		if m := c.Neg().Big(); m.BitLen() <= 127 && m.Neg(m).Cmp(c.Big()) != 0 {
			t.Fatalf("-%s: found -%s", c.Big(), m)
		}
	})
}

func TestDecimalRefusals(t *testing.T) {
	long := strings.Repeat("9", 70)
	for _, c := range []struct {
		typ     Type
		s, want string
	}{
		{DecimalType(12, 2), "", `found "", expected a decimal(12, 2): a number such as -1.25`},
		{DecimalType(12, 0), "abc", `found "abc", expected a decimal(12, 0): a number such as -125`},
		{DecimalType(12, 2), "NaN", `found "NaN", expected a decimal(12, 2): a number such as -1.25`},
		{DecimalType(12, 2), "1,5", `found "1,5", expected a decimal(12, 2): a number such as -1.25`},
		{DecimalType(12, 2), ".", `found ".", expected a decimal(12, 2): a number such as -1.25`},
		{DecimalType(12, 2), "1e", `found "1e", expected a decimal(12, 2): a number such as -1.25`},
		{DecimalType(12, 2), "--1", `found "--1", expected a decimal(12, 2): a number such as -1.25`},
		{DecimalType(12, 2), "0.125", "found 0.125, with 3 digits behind the point, expected at most 2, as decimal(12, 2) has; round it where it is made"},
		{DecimalType(12, 0), "-0.5", "found -0.5, with 1 digit behind the point, expected at most 0, as decimal(12, 0) has; round it where it is made"},
		{DecimalType(3, 2), "12.5", "found 12.5, with 2 digits before the point, expected at most 1, as decimal(3, 2) has"},
		{DecimalType(3, 2), "1e9999999", "found 1e9999999, with 10000000 digits before the point, expected at most 1, as decimal(3, 2) has"},
		{DecimalType(38, 0), long, "found " + long[:60] + "…, with 70 digits before the point, expected at most 38, as decimal(38, 0) has"},
	} {
		if v, err := ParseDecimal(c.typ, c.s); err == nil || err.Error() != c.want {
			t.Errorf("%s:\nfound    %s, %v\nexpected %s", c.s, v.Text(), err, c.want)
		}
	}
	if _, err := Decimal(DecimalType(3, 1), Int128Of(1000)); err == nil ||
		err.Error() != "found 100.0, expected at most 2 digits before the point, as decimal(3, 1) has" {
		t.Errorf("found %v", err)
	}
	for s, want := range map[string]string{"0e999999999": "0.00", "-0": "0.00", "+1.500000": "1.50", "12e-1": "1.20", "0.0001e3": "0.10", "1.": "1.00", ".5": "0.50"} {
		if v, err := ParseDecimal(DecimalType(3, 2), s); err != nil || v.Text() != want {
			t.Errorf("%s: found %s, %v", s, v.Text(), err)
		}
	}
}
