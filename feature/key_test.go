package feature

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func keyed(types ...Type) *Entity {
	e := &Entity{Name: "thing"}
	for i, t := range types {
		e.JoinKeys = append(e.JoinKeys, Column{Name: string(rune('a' + i)), Type: t})
	}
	return e
}

func key(t interface{ Fatal(...any) }, e *Entity, values ...Value) string {
	b, ok, err := e.AppendKey(nil, values)
	if err != nil || !ok {
		t.Fatal("no key: ", ok, err)
	}
	return string(b)
}

func TestKeyGolden(t *testing.T) {
	golden(t, "entity-keys.txt", []string{
		`int64(1),int64(23) ` + key(t, keyed(TypeInt64, TypeInt64), Int64(1), Int64(23)),
		`int64(12),int64(3) ` + key(t, keyed(TypeInt64, TypeInt64), Int64(12), Int64(3)),
		`string(a),string(bc) ` + key(t, keyed(TypeString, TypeString), String("a"), String("bc")),
		`string(ab),string(c) ` + key(t, keyed(TypeString, TypeString), String("ab"), String("c")),
		`string(a|),string(b) ` + key(t, keyed(TypeString, TypeString), String("a|"), String("b")),
		`string(a),string(|b) ` + key(t, keyed(TypeString, TypeString), String("a"), String("|b")),
		`string(\),string(\|) ` + key(t, keyed(TypeString, TypeString), String(`\`), String(`\|`)),
		`string(),string() ` + key(t, keyed(TypeString, TypeString), String(""), String("")),
		`int64(-9223372036854775808) ` + key(t, keyed(TypeInt64), Int64(-1<<63)),
	})
}

func TestKeyIsInjectiveAndParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		types := rapid.SliceOfN(rapid.SampledFrom([]Type{TypeString, TypeInt64}), 1, 3).Draw(t, "types")
		e := keyed(types...)
		draw := func(label string) []Value {
			var values []Value
			for _, typ := range types {
				if typ == TypeString {
					values = append(values, String(rapid.OneOf(rapid.StringMatching(`[ab|\\]{0,3}`), rapid.StringMatching(`[^\x00]*`)).Draw(t, label)))
				} else {
					values = append(values, Int64(rapid.OneOf(rapid.Int64Range(-12, 123), rapid.Int64()).Draw(t, label)))
				}
			}
			return values
		}
		a, b := draw("a"), draw("b")
		ka, kb := key(t, e, a...), key(t, e, b...)
		if same := slices.EqualFunc(a, b, Value.Equal); (ka == kb) != same {
			t.Fatalf("%q and %q: the same keys: %t", ka, kb, same)
		}
		parsed, err := e.ParseKey(ka)
		if err != nil || !slices.EqualFunc(parsed, a, Value.Equal) {
			t.Fatalf("%q parses as %v, %v", ka, parsed, err)
		}
	})
}

func TestKeyRefusals(t *testing.T) {
	e := keyed(TypeString, TypeInt64)
	if _, ok, err := e.AppendKey(nil, []Value{Null(), Int64(1)}); ok || err != nil {
		t.Errorf("a NULL: found %t, %v, expected no key and no error", ok, err)
	}
	for _, c := range []struct {
		values  []Value
		message string
	}{
		{[]Value{String("a")}, "entity thing: found 1 key values, expected 2"},
		{[]Value{String("a"), String("b")}, "join key b of entity thing: found string, expected int64"},
		{[]Value{String("a\x00"), Int64(1)}, "NUL"},
		{[]Value{String("\xff"), Int64(1)}, "invalid UTF-8"},
	} {
		if _, _, err := e.AppendKey(nil, c.values); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("AppendKey(%v): found %v, expected %q", c.values, err, c.message)
		}
	}
	for _, s := range []string{"a", `a\|1`, `a\`, `a\b|1`, "a|x", "a|1|2", "a|99999999999999999999"} {
		if v, err := e.ParseKey(s); err == nil {
			t.Errorf("ParseKey(%q): found %v, expected an error", s, v)
		}
	}
}

// Integers have one spelling, so a key that was not written by AppendKey is none.
func TestParseKeyTakesOneSpelling(t *testing.T) {
	e := keyed(TypeInt64)
	for _, s := range []string{"01", "+1", "-0", "", "1_0", "0x1"} {
		if v, err := e.ParseKey(s); err == nil {
			t.Errorf("ParseKey(%q): found %v, expected an error", s, v)
		}
	}
}
