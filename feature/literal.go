package feature

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// maxExactFloat is the first whole number after which a float64 leaves some out: 2^53.
const maxExactFloat = 1 << 53

// ValueOf reads a literal as a value of the type t, without rounding: int64 beyond 2^53, decimals, timestamps (RFC 3339) and
// bytes (base64) are written as text, and a decimal may be a number where that is exact. null is NULL. The error says what
// was found and what was expected.
func ValueOf(l Literal, t Type) (Value, error) {
	switch l := l.(type) {
	case nil:
		return Null(), nil
	case bool:
		if t == TypeBool {
			return Bool(l), nil
		}
	case float64:
		return valueOfNumber(l, t)
	case string:
		return valueOfText(l, t)
	case []any:
		return valueOfList(l, t)
	}
	return Null(), fmt.Errorf("found %s, expected %s", literalShown(l), literalForm(t))
}

func valueOfNumber(f float64, t Type) (Value, error) {
	switch t.Kind() {
	case TypeFloat64:
		return Float64(f), nil
	case TypeInt64:
		switch {
		case f != math.Trunc(f):
			return Null(), fmt.Errorf("found %s, expected a whole number", literalShown(f))
		case math.Abs(f) > maxExactFloat:
			return Null(), fmt.Errorf("found %s, which is beyond 2^53 and may have been rounded, expected a text: \"9007199254740993\"",
				literalShown(f))
		}
		return Int64(int64(f)), nil
	case TypeDecimal:
		// The shortest text that reads back is what was written, up to 15 digits.
		text := strconv.FormatFloat(f, 'f', -1, 64)
		if math.Abs(f) >= maxExactFloat || len(text) > 17 {
			return Null(), fmt.Errorf("found %s, which may have been rounded, expected a text: \"12.50\"", literalShown(f))
		}
		return ParseDecimal(t, text)
	}
	return Null(), fmt.Errorf("found %s, expected %s", literalShown(f), literalForm(t))
}

func valueOfText(s string, t Type) (Value, error) {
	switch t.Kind() {
	case TypeString:
		return String(s), CheckText(s)
	case TypeInt64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return Null(), fmt.Errorf("found %s, expected an int64: a whole number from -2^63 to 2^63-1", shown(s))
		}
		return Int64(n), nil
	case TypeFloat64:
		switch s {
		case "NaN":
			return Float64(math.NaN()), nil
		case "Infinity":
			return Float64(math.Inf(1)), nil
		case "-Infinity":
			return Float64(math.Inf(-1)), nil
		}
	case TypeDecimal:
		return ParseDecimal(t, s)
	case TypeTimestamp:
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return Null(), fmt.Errorf("found %s, expected a time such as 2026-01-31T12:00:00Z", shown(s))
		}
		return Timestamp(TimeOf(at)), nil
	case TypeBytes:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return Null(), fmt.Errorf("found %s, expected bytes in base64", shown(s))
		}
		return Bytes(string(b)), nil
	}
	return Null(), fmt.Errorf("found the text %s, expected %s", shown(s), literalForm(t))
}

func valueOfList(list []any, t Type) (Value, error) {
	switch t.Kind() {
	case TypeList:
		elements := make([]Value, len(list))
		for i, l := range list {
			v, err := ValueOf(l, t.Elem())
			if err != nil {
				return Null(), fmt.Errorf("element %d: %w", i+1, err)
			}
			elements[i] = v
		}
		return List(t, elements)
	case TypeVector:
		floats := make([]float32, len(list))
		for i, l := range list {
			f, ok := l.(float64)
			if !ok {
				return Null(), fmt.Errorf("element %d: found %s, expected a number", i+1, literalShown(l))
			}
			floats[i] = float32(f)
		}
		return Vector(t, floats)
	}
	return Null(), fmt.Errorf("found a list, expected %s", literalForm(t))
}

// literalForm is how a value of t is written.
func literalForm(t Type) string {
	switch t.Kind() {
	case TypeBool:
		return "a bool: true or false"
	case TypeInt64:
		return "an int64: a whole number"
	case TypeFloat64:
		return `a float64: a number, "NaN", "Infinity" or "-Infinity"`
	case TypeString:
		return "a text"
	case TypeTimestamp:
		return "a time such as 2026-01-31T12:00:00Z"
	case TypeDecimal:
		return fmt.Sprintf("a %s: a number such as \"12.50\"", t)
	case TypeBytes:
		return "bytes in base64"
	}
	return fmt.Sprintf("a %s: a list such as [1, 2]", t)
}

// literalShown is a literal for a message, as JSON.
func literalShown(l Literal) string {
	text, err := json.Marshal(l)
	if err != nil {
		return "something else"
	}
	const most = 60
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}
