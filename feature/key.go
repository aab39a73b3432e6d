package feature

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The entity key is the join keys in one text: their values in the entity's order, joined by '|'. In a value '\' is
// written `\\` and '|' is written `\|`; integers are decimal without leading zeros. Within one entity the number and
// types of keys are fixed, so no two key tuples share an encoding: ("a|", "b") is `a\||b`, ("a", "|b") is `a|\|b`.
// Drawn in docs/format/entity-key.md.

// AppendKey appends the encoding of values, one per join key, to dst. ok is false when a value is NULL: such an entity
// has no key. The error names the join key whose value does not fit.
func (e *Entity) AppendKey(dst []byte, values []Value) (key []byte, ok bool, err error) {
	if len(values) != len(e.JoinKeys) {
		return dst, false, fmt.Errorf("entity %s: found %d key values, expected %d", e.Name, len(values), len(e.JoinKeys))
	}
	for i, v := range values {
		k := &e.JoinKeys[i]
		if v.IsNull() {
			return dst, false, nil
		}
		if v.Type() != k.Type {
			return dst, false, fmt.Errorf("join key %s of entity %s: found %s, expected %s", k.Name, e.Name, v.Type(), k.Type)
		}
		if i > 0 {
			dst = append(dst, '|')
		}
		switch k.Type {
		case TypeInt64:
			dst = strconv.AppendInt(dst, v.Int64(), 10)
		case TypeString:
			if err := CheckText(v.Str()); err != nil {
				return dst, false, fmt.Errorf("join key %s of entity %s: %w", k.Name, e.Name, err)
			}
			dst = appendEscaped(dst, v.Str())
		default:
			return dst, false, fmt.Errorf("join key %s of entity %s: a %s cannot be a key", k.Name, e.Name, k.Type)
		}
	}
	return dst, true, nil
}

func appendEscaped(dst []byte, s string) []byte {
	if strings.IndexByte(s, '|') < 0 && strings.IndexByte(s, '\\') < 0 {
		return append(dst, s...)
	}
	for i := range len(s) {
		if s[i] == '|' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return dst
}

// ParseKey is the inverse of AppendKey. A text that AppendKey does not write is an error.
func (e *Entity) ParseKey(key string) ([]Value, error) {
	parts := make([]string, 0, len(e.JoinKeys))
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		switch c := key[i]; c {
		case '\\':
			i++
			if i == len(key) || (key[i] != '\\' && key[i] != '|') {
				return nil, fmt.Errorf("entity key %q of %s: found a stray backslash", key, e.Name)
			}
			b.WriteByte(key[i])
		case '|':
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	parts = append(parts, b.String())
	if len(parts) != len(e.JoinKeys) {
		return nil, fmt.Errorf("entity key %q of %s: found %d parts, expected %d", key, e.Name, len(parts), len(e.JoinKeys))
	}
	values := make([]Value, len(parts))
	for i, part := range parts {
		if e.JoinKeys[i].Type == TypeString {
			values[i] = String(part)
			continue
		}
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != part {
			return nil, fmt.Errorf("entity key %q of %s: found %q for %s, expected an integer", key, e.Name, part, e.JoinKeys[i].Name)
		}
		values[i] = Int64(n)
	}
	return values, nil
}

// CheckText reports text that the stores cannot hold: invalid UTF-8, or a NUL character.
func CheckText(s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("found a NUL character in %s, expected text without one", shown(s))
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("found invalid UTF-8 in %s, expected UTF-8 text", shown(s))
	}
	return nil
}

// shown is s for a message, which it must not flood.
func shown(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
