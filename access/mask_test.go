package access

import (
	"flag"
	"fmt"
	"math"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
)

var update = flag.Bool("update", false, "write the golden files anew; they change only with another domain of hashes")

var testSecret = NewMaskSecret("customers", 1, []byte("0123456789abcdef0123456789abcdef"))

func mask(kind feature.MaskKind, change func(m *feature.Mask)) *feature.Mask {
	m := &feature.Mask{Kind: kind}
	if change != nil {
		change(m)
	}
	return m
}

func roundTo(to string) *feature.Mask {
	return mask(feature.MaskRound, func(m *feature.Mask) { m.To = to })
}

func bucketAt(bounds ...string) *feature.Mask {
	return mask(feature.MaskBucket, func(m *feature.Mask) { m.Bounds = bounds })
}

func truncateTo(unit string) *feature.Mask {
	return mask(feature.MaskTruncate, func(m *feature.Mask) { m.To = unit })
}

func partial(first, last int, with string) *feature.Mask {
	return mask(feature.MaskPartial, func(m *feature.Mask) { m.First, m.Last, m.With = first, last, with })
}

func hashBy(perPurpose bool) *feature.Mask {
	return mask(feature.MaskHash, func(m *feature.Mask) { m.Key, m.PerPurpose = "customers", perPurpose })
}

func constantOf(l feature.Literal) *feature.Mask {
	return mask(feature.MaskConstant, func(m *feature.Mask) { m.Constant = l })
}

func decimalText(t *testing.T, p, s int, text string) feature.Value {
	t.Helper()
	v, err := feature.ParseDecimal(feature.DecimalType(p, s), text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func instantOf(t *testing.T, text string) feature.Value {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return feature.Timestamp(feature.TimeOf(at))
}

func TestMasks(t *testing.T) {
	null, i, f, s := feature.Null(), feature.Int64, feature.Float64, feature.String
	d := func(text string) feature.Value { return decimalText(t, 6, 2, text) }
	wide := func(text string) feature.Value { return decimalText(t, 38, 0, text) }
	at := func(text string) feature.Value { return instantOf(t, text) }
	least, most := feature.Timestamp(math.MinInt64), feature.Timestamp(math.MaxInt64)
	before := func(year int, month time.Month, day, hour int) feature.Value {
		return feature.Timestamp(feature.TimeOf(time.Date(year, month, day, hour, 0, 0, 0, time.UTC)))
	}
	list, err := feature.List(feature.ListType(feature.TypeString), []feature.Value{s("a")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mask     *feature.Mask
		in, want feature.Value
	}{
		{mask(feature.MaskRedact, nil), i(7), null}, {mask(feature.MaskRedact, nil), list, null},
		{constantOf(0.0), i(7), i(0)}, {constantOf("x"), s("y"), s("x")}, {constantOf("x"), i(7), null}, {constantOf(2.5), d("7.00"), d("2.50")},
		{constantOf(true), feature.Bool(false), feature.Bool(true)},

		{partial(3, 2, "*"), s("+41791234567"), s("+41*******67")}, {partial(3, 2, ""), s("12345"), s("*****")}, {partial(3, 2, ""), s("123456"), s("123*56")},
		{partial(0, 0, "#"), s("abc"), s("###")}, {partial(0, 4, "*"), s(""), s("")}, {partial(1, 0, ""), s("é"), s("*")}, {partial(1, 1, "··"), s("ééé"), s("é··é")},
		// A combining mark is a character of its own.
		{partial(1, 0, ""), s("e\u0301a"), s("e**")}, {partial(1, 0, ""), s("👩‍👧x"), s("👩***")}, {partial(1, 1, ""), i(7), null},

		{roundTo("10"), i(14), i(10)}, {roundTo("10"), i(15), i(20)}, {roundTo("10"), i(-15), i(-20)}, {roundTo("10"), i(-14), i(-10)}, {roundTo("10"), i(0), i(0)},
		{roundTo("2.5"), i(7), i(5)}, {roundTo("0.05"), i(7), i(7)}, {roundTo("10"), i(math.MaxInt64), null}, {roundTo("10"), i(math.MinInt64), null},
		{roundTo("8"), i(math.MinInt64), i(math.MinInt64)}, {roundTo("8"), i(math.MaxInt64), null}, {roundTo("1000"), i(math.MaxInt64), null},
		{roundTo("100000000000000000000"), i(math.MaxInt64), i(0)}, {roundTo("18446744073709551616"), i(math.MinInt64), null}, {roundTo("18446744073709551616"), i(math.MinInt64 + 1), i(0)},
		{roundTo("0.05"), f(0.12), f(0.1)}, {roundTo("0.05"), f(0.15), f(0.15)}, {roundTo("0.1"), f(0.3), f(0.3)}, {roundTo("10"), f(-15), f(-20)}, {roundTo("10"), f(-4), f(0)},
		{roundTo("10"), f(math.NaN()), f(math.NaN())}, {roundTo("10"), f(math.Inf(-1)), f(math.Inf(-1))}, {roundTo("10"), f(math.MaxFloat64), f(math.MaxFloat64)},
		{roundTo("0.01"), f(5e-324), f(0)}, {roundTo("3"), f(1 << 53), f(9007199254740993)}, {roundTo("9999999999999999999"), f(1e19), f(1e19)},
		{roundTo("0.05"), d("1.12"), d("1.10")}, {roundTo("0.05"), d("-1.13"), d("-1.15")}, {roundTo("0.001"), d("1.13"), d("1.13")}, {roundTo("100"), d("9999.99"), null},
		{roundTo("100"), d("9949.99"), d("9900.00")}, {roundTo("3"), wide("99999999999999999999999999999999999998"), wide("99999999999999999999999999999999999999")},
		{roundTo("100"), wide("99999999999999999999999999999999999950"), null}, {roundTo("10"), s("x"), null},

		{bucketAt("0", "18", "30"), i(17), i(0)}, {bucketAt("0", "18", "30"), i(18), i(18)}, {bucketAt("0", "18"), i(-1), null}, {bucketAt("0", "18"), i(math.MaxInt64), i(18)},
		{bucketAt("0.5", "2.5"), i(1), i(1)}, {bucketAt("0.5", "2.5"), i(0), null}, {bucketAt("0.5", "2.5"), i(3), i(3)}, {bucketAt("-100000000000000000000", "5"), i(4), null},
		{bucketAt("5", "100000000000000000000"), i(math.MaxInt64), i(5)}, {bucketAt("-2.5", "0"), i(-1), i(-2)},
		{bucketAt("0", "0.3"), f(0.3), f(0.3)}, {bucketAt("0", "0.3"), f(math.NaN()), null}, {bucketAt("0", "0.3"), f(math.Inf(1)), f(0.3)}, {bucketAt("0"), f(math.Inf(-1)), null},
		{bucketAt("0.5", "1.005"), d("1.00"), d("0.50")}, {bucketAt("0.5", "1.005"), d("1.01"), d("1.01")}, {bucketAt("-100000", "0"), d("-1.00"), null}, {bucketAt("0"), s("x"), null},

		{truncateTo("minute"), at("2024-02-29T13:14:15.999999Z"), at("2024-02-29T13:14:00Z")}, {truncateTo("hour"), at("1969-12-31T23:59:59Z"), at("1969-12-31T23:00:00Z")},
		{truncateTo("day"), at("1969-12-31T23:59:59Z"), at("1969-12-31T00:00:00Z")}, {truncateTo("week"), at("2024-03-03T23:00:00Z"), at("2024-02-26T00:00:00Z")},
		{truncateTo("week"), at("2024-03-04T00:00:00Z"), at("2024-03-04T00:00:00Z")}, {truncateTo("week"), at("1969-12-28T12:00:00Z"), at("1969-12-22T00:00:00Z")},
		{truncateTo("month"), at("2024-02-29T13:14:15Z"), at("2024-02-01T00:00:00Z")}, {truncateTo("quarter"), at("2024-12-31T23:59:59Z"), at("2024-10-01T00:00:00Z")},
		{truncateTo("quarter"), at("1969-05-05T00:00:00Z"), at("1969-04-01T00:00:00Z")}, {truncateTo("year"), at("2024-02-29T13:14:15Z"), at("2024-01-01T00:00:00Z")},
		// The year 0 is 1 BC, and -43 is 44 BC.
		{truncateTo("year"), before(-43, 3, 15, 12), before(-43, 1, 1, 0)}, {truncateTo("month"), before(0, 2, 29, 1), before(0, 2, 1, 0)},
		{truncateTo("week"), most, null},
		{truncateTo("year"), least, null}, {truncateTo("month"), least, null}, {truncateTo("day"), least, null}, {truncateTo("week"), least, null}, {truncateTo("minute"), least, null},
		{truncateTo("year"), i(7), null}, {truncateTo("fortnight"), most, null},
		{hashBy(false), f(1), null}, {hashBy(false), list, null},
	} {
		if c.mask.To == "week" && c.in.Equal(most) {
			// The Monday before the last instant, by the calendar of package time.
			day := most.Timestamp().Time().Truncate(24 * time.Hour)
			c.want = feature.Timestamp(feature.TimeOf(day.AddDate(0, 0, -(int(day.Weekday())+6)%7)))
		}
		got := CompileMask(c.mask, c.in.Type(), testSecret, "")(c.in)
		if !got.Equal(c.want) {
			t.Errorf("%s of %s: found %s %q, expected %q", c.mask, c.in.Text(), got.Type(), got.Text(), c.want.Text())
		}
		if got := CompileMask(c.mask, c.in.Type(), testSecret, "")(null); !got.IsNull() {
			t.Errorf("%s of NULL: found %s", c.mask, got.Text())
		}
	}
}

// What was hashed is kept in datasets and joined with what is hashed today.
func TestHashesStayWhatTheyAre(t *testing.T) {
	var b strings.Builder
	for _, m := range []*feature.Mask{hashBy(false), hashBy(true)} {
		for _, purpose := range []string{"", "fraud", "marketing"} {
			for _, v := range []feature.Value{
				feature.String(""), feature.String("ada@example.com"), feature.String("Zoë 👩‍👧"), feature.Bytes(""), feature.Bytes("ada@example.com"),
				feature.Bytes("\x00\xff"), feature.Int64(0), feature.Int64(42), feature.Int64(math.MinInt64), feature.Int64(math.MaxInt64),
			} {
				masked := CompileMask(m, v.Type(), testSecret, purpose)(v)
				fmt.Fprintf(&b, "per purpose %t, purpose %q, %s %q: %s\n", m.PerPurpose, purpose, v.Type(), v.Text(), masked.Text())
			}
		}
	}
	const file = "testdata/mask-hash.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("found\n%s\nexpected\n%s", &b, want)
	}
}

func TestHashesByOtherSecretsAreOthers(t *testing.T) {
	v := feature.String("ada@example.com")
	of := func(m *feature.Mask, s MaskSecret, purpose string) string {
		return CompileMask(m, feature.TypeString, s, purpose)(v).Text()
	}
	second := NewMaskSecret("customers", 2, []byte("another of thirty-two bytes here"))
	seen := map[string]bool{}
	for _, hashed := range []string{
		of(hashBy(false), testSecret, "fraud"), of(hashBy(false), second, "fraud"), of(hashBy(true), testSecret, "fraud"),
		of(hashBy(true), testSecret, "marketing"), of(hashBy(true), testSecret, ""), of(hashBy(true), second, "fraud"),
	} {
		if seen[hashed] {
			t.Errorf("found %s twice", hashed)
		}
		seen[hashed] = true
	}
	if of(hashBy(false), testSecret, "fraud") != of(hashBy(false), testSecret, "marketing") {
		t.Error("found other hashes of another purpose, expected those that can be joined")
	}
	if got := CompileMask(hashBy(false), feature.TypeString, MaskSecret{}, "")(v); !got.IsNull() {
		t.Errorf("found the hash %s without a secret", got.Text())
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	text := fmt.Sprintf("%v %+v %#v %s %q %x", testSecret, testSecret, &testSecret, testSecret, testSecret, []MaskSecret{testSecret})
	if strings.Contains(text, "012345") || strings.Contains(text, "3031323334") || !strings.Contains(text, "customers@1") {
		t.Errorf("found %s", text)
	}
}

func TestStrictest(t *testing.T) {
	hash, part, round, redact := hashBy(false), partial(1, 1, ""), roundTo("10"), mask(feature.MaskRedact, nil)
	for _, c := range []struct {
		masks []*feature.Mask
		t     feature.Type
		want  *feature.Mask
	}{
		{nil, feature.TypeString, nil},
		{[]*feature.Mask{part, hash}, feature.TypeString, hash},
		{[]*feature.Mask{part, hash, redact}, feature.TypeString, redact},
		{[]*feature.Mask{partial(2, 2, ""), part}, feature.TypeString, nil},
		// Alone, round would show no text at all.
		{[]*feature.Mask{hash, round}, feature.TypeString, round},
		{[]*feature.Mask{hash, round}, feature.TypeFloat64, hash},
	} {
		got := Strictest(c.masks, c.t)
		if c.want == nil && len(c.masks) > 0 {
			c.want = c.masks[0]
		}
		if got != c.want {
			t.Errorf("%v of %s: found %v, expected %v", c.masks, c.t, got, c.want)
		}
	}
}

// anyValue draws a value of a type, the extremes often.
func anyValue(t feature.Type) *rapid.Generator[feature.Value] {
	return rapid.Custom(func(r *rapid.T) feature.Value {
		switch t.Kind() {
		case feature.TypeInt64:
			return feature.Int64(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-100, 100), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64})).Draw(r, "int"))
		case feature.TypeFloat64:
			return feature.Float64(rapid.OneOf(rapid.Float64(), rapid.Float64Range(-100, 100), rapid.Float64Range(-1e18, 1e18),
				rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), math.MaxFloat64, 5e-324, 0.5, 2.5})).Draw(r, "float"))
		case feature.TypeTimestamp:
			return feature.Timestamp(feature.Time(rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, -1, 0})).Draw(r, "time")))
		case feature.TypeDecimal:
			digits := rapid.StringMatching(fmt.Sprintf(`-?[0-9]{1,%d}`, t.Precision())).Draw(r, "digits")
			n, _ := new(big.Int).SetString(digits, 10)
			c, _ := feature.Int128OfBig(n)
			v, err := feature.Decimal(t, c)
			if err != nil {
				r.Fatal(err)
			}
			return v
		case feature.TypeBytes:
			return feature.Bytes(string(rapid.SliceOf(rapid.Byte()).Draw(r, "bytes")))
		}
		return feature.String(strings.ReplaceAll(rapid.String().Draw(r, "text"), "\x00", ""))
	})
}

func anyMask() *rapid.Generator[*feature.Mask] {
	number := rapid.SampledFrom([]string{"0.001", "0.05", "0.3", "1", "2.5", "3", "7", "10", "1000", "18446744073709551616", "100000000000000000000000000000"})
	return rapid.Custom(func(r *rapid.T) *feature.Mask {
		switch kind := feature.MaskKind(rapid.IntRange(int(feature.MaskRedact), int(feature.MaskTruncate)).Draw(r, "kind")); kind {
		case feature.MaskConstant:
			return constantOf(rapid.SampledFrom([]feature.Literal{7.0, "x", "7.5", "2024-01-01T00:00:00Z", true}).Draw(r, "constant"))
		case feature.MaskHash:
			return hashBy(rapid.Bool().Draw(r, "per purpose"))
		case feature.MaskPartial:
			return partial(rapid.IntRange(0, 4).Draw(r, "first"), rapid.IntRange(0, 4).Draw(r, "last"), rapid.SampledFrom([]string{"", "#", "é"}).Draw(r, "with"))
		case feature.MaskBucket:
			return bucketAt(rapid.SampledFrom([][]string{{"0"}, {"-1000000000000000000000000", "-0.5", "0.3", "7"}, {"1", "2", "3", "1000000000000000000000000000000000000000"}}).Draw(r, "bounds")...)
		case feature.MaskRound:
			return roundTo(number.Draw(r, "to"))
		case feature.MaskTruncate:
			return truncateTo(rapid.SampledFrom(feature.TruncateUnits()).Draw(r, "unit"))
		default:
			return mask(kind, nil)
		}
	})
}

func TestMasksKeepTypesEqualityAndOrder(t *testing.T) {
	types := []feature.Type{
		feature.TypeInt64, feature.TypeFloat64, feature.TypeString, feature.TypeBytes, feature.TypeTimestamp, feature.DecimalType(38, 10),
		feature.DecimalType(5, 2), feature.DecimalType(38, 0),
	}
	rapid.Check(t, func(r *rapid.T) {
		m, typ := anyMask().Draw(r, "mask"), rapid.SampledFrom(types).Draw(r, "type")
		apply := CompileMask(m, typ, testSecret, "fraud")
		a, b := anyValue(typ).Draw(r, "a"), anyValue(typ).Draw(r, "b")
		x, y := apply(a), apply(b)
		if !x.IsNull() && x.Type() != typ {
			r.Fatalf("%s of %s: found %s", m, a.Text(), x.Type())
		}
		if !x.IsNull() && !m.Fits(typ) {
			r.Fatalf("%s of %s: found %s, expected NULL of a type that it does not fit", m, a.Text(), x.Text())
		}
		if !apply(a.Clone()).Equal(x) || a.Equal(b) && !x.Equal(y) {
			r.Fatalf("%s of %s: found two answers", m, a.Text())
		}
		if appendTo := compileTextMask(m, typ, testSecret, "fraud"); appendTo != nil {
			if got := string(appendTo([]byte("before "), a.Str())); x.IsNull() || got != "before "+x.Str() {
				r.Fatalf("%s of %q: found %q appended, expected %q", m, a.Str(), got, x.Str())
			}
		} else if typ == feature.TypeString && (m.Kind == feature.MaskHash || m.Kind == feature.MaskPartial) {
			r.Fatalf("%s of texts is not appended", m)
		}
		if m.Kind != feature.MaskHash && !apply(x).Equal(x) {
			r.Fatalf("%s of %s is %s, and of that %s", m, a.Text(), x.Text(), apply(x).Text())
		}
		switch m.Kind {
		case feature.MaskRound, feature.MaskBucket, feature.MaskTruncate:
			if !x.IsNull() && !y.IsNull() && a.Compare(b) < 0 && x.Compare(y) > 0 {
				r.Fatalf("%s: found %s of %s and %s of %s, in another order", m, x.Text(), a.Text(), y.Text(), b.Text())
			}
		}
		switch m.Kind {
		case feature.MaskBucket, feature.MaskTruncate:
			if !x.IsNull() && x.Compare(a) > 0 {
				r.Fatalf("%s of %s: found %s, which is above", m, a.Text(), x.Text())
			}
		case feature.MaskPartial:
			if typ == feature.TypeString && (utf8.RuneCountInString(x.Str()) != utf8.RuneCountInString(a.Str()) || !utf8.ValidString(x.Str())) {
				r.Fatalf("%s of %q: found %q", m, a.Str(), x.Str())
			}
		}
	})
}

// An exact rounding of fractions agrees with that of whole numbers and decimals.
func TestRoundIsExact(t *testing.T) {
	types := []feature.Type{feature.TypeInt64, feature.DecimalType(38, 10), feature.DecimalType(9, 4)}
	rapid.Check(t, func(r *rapid.T) {
		typ := rapid.SampledFrom(types).Draw(r, "type")
		to := rapid.SampledFrom([]string{"0.5", "0.05", "3", "7", "10", "250", "9223372036854775807", "12345678901234567890123"}).Draw(r, "to")
		v := anyValue(typ).Draw(r, "value")
		unit := new(big.Rat).SetFrac(big.NewInt(1), power(10, typ.Scale()))
		value, step := new(big.Rat).Mul(rat(v), unit), rat(feature.Int64(1))
		step.SetString(to)
		// The step of what the type can hold.
		step.SetInt(new(big.Rat).Quo(step, unit).Num())
		step.Mul(step, unit)
		got := CompileMask(roundTo(to), typ, MaskSecret{}, "")(v)
		if got.IsNull() {
			// What the type cannot hold lies beyond it by less than half a step.
			return
		}
		found := new(big.Rat).Mul(rat(got), unit)
		if !new(big.Rat).Quo(found, step).IsInt() {
			r.Fatalf("%s to %s: found %s, which is no multiple", v.Text(), to, got.Text())
		}
		off := new(big.Rat).Sub(found, value)
		off.Abs(off).Mul(off, big.NewRat(2, 1))
		if c := off.Cmp(step); c > 0 || c == 0 && new(big.Rat).Abs(found).Cmp(new(big.Rat).Abs(value)) < 0 {
			r.Fatalf("%s to %s: found %s, expected the nearest, and of two that away from zero", v.Text(), to, got.Text())
		}
	})
}

// rat is a number without its scale.
func rat(v feature.Value) *big.Rat {
	if v.Type() == feature.TypeInt64 {
		return new(big.Rat).SetInt64(v.Int64())
	}
	return new(big.Rat).SetInt(v.Decimal().Big())
}

func BenchmarkHashMask(b *testing.B) {
	for _, v := range []feature.Value{feature.String("ada.lovelace@example.com"), feature.Int64(42)} {
		b.Run(v.Type().String(), func(b *testing.B) {
			apply := CompileMask(hashBy(true), v.Type(), testSecret, "fraud")
			b.ReportAllocs()
			for b.Loop() {
				apply(v)
			}
		})
	}
}

func BenchmarkMasks(b *testing.B) {
	price, _ := feature.ParseDecimal(feature.DecimalType(12, 2), "1234.56")
	for _, c := range []struct {
		mask *feature.Mask
		v    feature.Value
	}{
		{partial(3, 2, "*"), feature.String("+41791234567")}, {roundTo("10"), feature.Float64(123.4)}, {roundTo("10"), feature.Int64(1234)},
		{roundTo("0.05"), price}, {bucketAt("0", "18", "30", "40", "50", "65"), feature.Int64(42)}, {truncateTo("year"), feature.Timestamp(1_700_000_000_000_000)},
	} {
		b.Run(fmt.Sprint(c.mask.Kind, " of ", c.v.Type()), func(b *testing.B) {
			apply := CompileMask(c.mask, c.v.Type(), testSecret, "")
			b.ReportAllocs()
			for b.Loop() {
				apply(c.v)
			}
		})
	}
}
