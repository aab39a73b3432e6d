package definition

import (
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

// Whoever writes a type as another system does is told how it is written here, and what is told is a type.
func TestTypeMeant(t *testing.T) {
	for name, want := range map[string]string{
		"integer": "int64", "INT": "int64", "double precision": "float64", "text": "string", "bytea": "bytes", "BLOB": "bytes",
		"numeric": "decimal(p, s)", "numeric(12,2)": "decimal(12, 2)", "Decimal(12, 2)": "decimal(12, 2)", "decimal(12)": "decimal(12, 0)",
		"decimal128<38, 10>": "decimal(38, 10)", "int64[]": "list(int64)", "int8[]": "list(int64)", "text []": "list(string)",
		"array<int64>": "list(int64)", "list<string>": "list(string)", "repeated double": "list(float64)", "list[bytea]": "list(bytes)",
		"numeric(12, 2)[]": "list(decimal(12, 2))", "numeric[]": "list(decimal(p, s))", "list(numeric)": "list(decimal(p, s))",
		"list(int)": "list(int64)", "vector<128>": "vector(128)", "vector[3]": "vector(3)", "float32[64]": "vector(64)", "array(3)": "vector(3)",
		"embedding": "vector(n)", "array": "list(T)", "decimal (12,2)": "decimal(12, 2)", "List(int64)": "list(int64)",
	} {
		if got := typeMeant(name); got != "; write "+want {
			t.Errorf("%s: found %q, expected %q", name, got, "; write "+want)
		}
		if _, err := feature.ParseType(want); err != nil && !strings.ContainsAny(want, "pnT") {
			t.Errorf("%s: %s is no type: %v", name, want, err)
		}
	}
	for name, want := range map[string]string{
		"int46": "; did you mean int64?", "byte": "; did you mean bytes?", "json": "", "": "", "list(json)": "", "vector(0)": "", "decimal(40, 2)": "",
		strings.Repeat("a", 1000): "",
	} {
		if got := typeMeant(name); got != want {
			t.Errorf("%s: found %q, expected %q", name, got, want)
		}
	}
}
