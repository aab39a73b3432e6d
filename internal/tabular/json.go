package tabular

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/headwaterhq/headwater/feature"
)

// jsonArray is the elements of an array: tokens that are nil (null), bool, json.Number or string.
type jsonArray []json.Token

// readArray reads an array's elements up to its end. An array or object in it is an error.
func readArray(d *json.Decoder, text []byte) (jsonArray, error) {
	array := jsonArray{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, errNoJSON
		}
		if _, nested := t.(json.Delim); nested {
			return nil, fmt.Errorf("found %s as element %d of an array, expected a single value", describe(t), len(array)+1)
		}
		if s, ok := t.(string); ok {
			if err := checkJSONString(s, text); err != nil {
				return nil, err
			}
		}
		array = append(array, t)
	}
	if _, err := d.Token(); err != nil {
		return nil, errNoJSON
	}
	return array, nil
}

var errNoJSON = fmt.Errorf("no JSON")

// parseArray reads the text of a list or vector: a JSON array.
func parseArray(t feature.Type, s string) (feature.Value, error) {
	bad := func() (feature.Value, error) {
		return feature.Null(), fmt.Errorf("found %s, expected %s", quote(s), jsonForm(t))
	}
	if !utf8.ValidString(s) {
		return feature.Null(), checkText(s)
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if begin, err := d.Token(); err != nil || begin != json.Delim('[') {
		return bad()
	}
	array, err := readArray(d, []byte(s))
	if err == errNoJSON {
		return bad()
	}
	if err != nil {
		return feature.Null(), err
	}
	if _, err := d.Token(); err != io.EOF {
		return bad()
	}
	return jsonValue(t, array)
}

// checkJSONString refuses what the decoder repairs without a word: an escaped half of a surrogate pair becomes U+FFFD. text
// is what the string was read from.
func checkJSONString(s string, text []byte) error {
	if err := checkText(s); err != nil {
		return err
	}
	if strings.ContainsRune(s, utf8.RuneError) && !bytes.Contains(text, []byte(string(utf8.RuneError))) &&
		!bytes.Contains(bytes.ToLower(text), []byte(`\ufffd`)) {
		return fmt.Errorf("found half of a surrogate pair in %s, expected whole characters", quote(s))
	}
	return nil
}

func describe(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(t)
	case json.Number:
		return "the number " + t.String()
	case string:
		return "the text " + quote(t)
	case jsonArray:
		return "an array"
	case json.Delim:
		if t == '[' {
			return "an array"
		}
		return "an object"
	}
	return fmt.Sprint(t)
}

// jsonValue is a token, or a jsonArray, as a value of type t. Numbers and bools are themselves, a decimal is a number or
// text, text is text, a timestamp or bytes in base64; floats that JSON has no number for are the texts NaN, Infinity and
// -Infinity.
func jsonValue(t feature.Type, token json.Token) (feature.Value, error) {
	kind := t.Kind()
	switch token := token.(type) {
	case nil:
		return feature.Null(), nil
	case bool:
		if kind == feature.TypeBool {
			return feature.Bool(token), nil
		}
	case json.Number:
		if kind == feature.TypeInt64 || kind == feature.TypeFloat64 || kind == feature.TypeDecimal {
			return parseText(t, token.String())
		}
	case string:
		switch kind {
		case feature.TypeString, feature.TypeTimestamp, feature.TypeDecimal, feature.TypeBytes:
			return parseText(t, token)
		case feature.TypeFloat64:
			if isSpecialFloat(token) {
				return parseText(t, token)
			}
		}
	case jsonArray:
		switch kind {
		case feature.TypeList:
			return jsonList(t, token)
		case feature.TypeVector:
			return jsonVector(t, token)
		}
		return feature.Null(), fmt.Errorf("found an array, expected a single value; flatten it")
	}
	return feature.Null(), fmt.Errorf("found %s, expected %s", describe(token), jsonForm(t))
}

func jsonList(t feature.Type, array jsonArray) (feature.Value, error) {
	elements := make([]feature.Value, len(array))
	for i, token := range array {
		var err error
		if elements[i], err = jsonValue(t.Elem(), token); err != nil {
			return feature.Null(), fmt.Errorf("element %d: %w", i+1, err)
		}
	}
	return feature.List(t, elements)
}

// jsonVector takes for each number the float of 32 bits that is nearest.
func jsonVector(t feature.Type, array jsonArray) (feature.Value, error) {
	floats := make([]float32, len(array))
	for i, token := range array {
		switch token := token.(type) {
		case json.Number:
			f, err := strconv.ParseFloat(token.String(), 32)
			if err != nil {
				return feature.Null(), fmt.Errorf("element %d: found %s, expected a number that a float of 32 bits has room for", i+1, shorten(token.String()))
			}
			floats[i] = float32(f)
			continue
		case string:
			if isSpecialFloat(token) {
				f, _ := parseFloat(token)
				floats[i] = float32(f)
				continue
			}
		}
		return feature.Null(), fmt.Errorf("element %d: found %s, expected a number without quotes", i+1, describe(token))
	}
	return feature.Vector(t, floats)
}

// jsonForm is how JSON has values of t.
func jsonForm(t feature.Type) string {
	switch t.Kind() {
	case feature.TypeBool:
		return "a bool: true or false"
	case feature.TypeInt64:
		return "an int64: a whole number without quotes"
	case feature.TypeFloat64:
		return "a float64: a number without quotes"
	case feature.TypeString:
		return "text in quotes"
	case feature.TypeTimestamp:
		return timestampForms
	case feature.TypeDecimal:
		return "a " + t.String() + ": a number"
	case feature.TypeBytes:
		return "bytes: text in quotes, in base64"
	case feature.TypeVector:
		return fmt.Sprintf("a %s: an array of %d numbers", t, t.Dimension())
	}
	return "a " + t.String() + ": an array of values, in square brackets"
}
