package definition

import (
	"testing"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/headwaterhq/headwater/feature"
)

// literal is a value as the reader takes it from YAML.
func literal(t *testing.T, text string) *structpb.Value {
	t.Helper()
	var tree yaml.Node
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	d, violations := parse("a.yaml", []byte("tests: [{name: t, loads: [{source: s, rows: [{x: "+text+"}]}]}]"))
	if len(violations) > 0 {
		t.Fatal(violations)
	}
	return d.file.Tests[0].Loads[0].Rows[0].Fields["x"]
}

func TestLiterals(t *testing.T) {
	for _, c := range []struct{ typ, written, want string }{
		{"bool", "true", "true"},
		{"bool", "yes", `error: found the text "yes", expected a bool: true or false`},
		{"int64", "-3", "-3"},
		{"int64", "1e3", "1000"},
		{"int64", "9223372036854775807", "9223372036854775807"},
		{"int64", `"12"`, "12"},
		{"int64", "9223372036854775808", "error: found the number 9.223372036854776e+18, expected an int64: a whole number, in quotes beyond 2^53"},
		{"int64", "18446744073709551617", "error: found the number 1.8446744073709552e+19, expected an int64: a whole number, in quotes beyond 2^53"},
		{"float64", "0.1", "0.1"},
		{"float64", "NaN", "NaN"},
		{"float64", "-Infinity", "-Infinity"},
		{"float64", `"0.1"`, `error: found the text "0.1", expected a float64: a number, or one of the texts NaN, Infinity and -Infinity`},
		{"string", `"5"`, "5"},
		{"string", "2024-01-01", "2024-01-01"},
		{"string", "[a]", "error: found a list, expected a text; put it in quotes"},
		{"timestamp", "2024-01-01T10:00:00.5Z", "2024-01-01T10:00:00.5Z"},
		{"timestamp", "2024-01-01", "2024-01-01T00:00:00Z"},
		{"timestamp", "5", "error: found the number 5, expected a timestamp such as 2001-01-31T10:05:00Z"},
		{"bytes", "aGk=", "aGk="},
		{"bytes", "hi", `error: found the text "hi", expected bytes: base64 in quotes`},
		{"decimal(6, 2)", `"12.50"`, "12.50"},
		{"decimal(6, 2)", "12.5", "12.50"},
		{"decimal(6, 2)", "true", `error: found true, expected a decimal(6, 2): a number in quotes, such as "12.50"`},
		{"list(int64)", "[1, 2]", "[1,2]"},
		{"list(int64)", "[]", "[]"},
		{"list(int64)", "[1, a]", `error: element 2: found the text "a", expected an int64: a whole number, in quotes beyond 2^53`},
		{"list(int64)", "[null]", "error: found NULL as element 1 of a list, expected none: lists hold no NULL; leave it out"},
		{"list(int64)", "1", "error: found the number 1, expected a list(int64): values in [ ]"},
		{"vector(2)", "[1, 0.5]", "[1,0.5]"},
		{"vector(2)", "[1]", "error: found 1 floats, expected 2, as vector(2) has"},
		{"vector(2)", "[1, null]", "error: element 2: found null, expected a number"},
		{"vector(2)", "[1, true]", "error: element 2: found true, expected a float64: a number, or one of the texts NaN, Infinity and -Infinity"},
		{"bytes", "null", ""},
	} {
		typ, err := feature.ParseType(c.typ)
		if err != nil {
			t.Fatal(err)
		}
		value, err := literalOf(typ, literal(t, c.written))
		found := value.Text()
		if err != nil {
			found = "error: " + err.Error()
		}
		if c.typ == "float64" && found == "-Inf" {
			found = "-Infinity"
		}
		if found != c.want {
			t.Errorf("%s as %s: found %s, expected %s", c.written, c.typ, found, c.want)
		}
	}
}
