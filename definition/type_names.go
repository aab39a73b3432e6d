package definition

import (
	"regexp"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// typesElsewhere are names that databases and languages have for our types.
var typesElsewhere = map[string]string{
	"int": "int64", "integer": "int64", "bigint": "int64", "int32": "int64", "long": "int64", "smallint": "int64", "int2": "int64",
	"int4": "int64", "int8": "int64",
	"float": "float64", "double": "float64", "real": "float64", "float32": "float64", "double precision": "float64", "float4": "float64",
	"float8":  "float64",
	"numeric": "decimal(p, s)", "number": "decimal(p, s)", "money": "decimal(p, s)",
	"decimal128": "decimal(p, s)",
	"text":       "string", "varchar": "string", "str": "string", "utf8": "string", "character varying": "string",
	"boolean": "bool",
	"bytea":   "bytes", "blob": "bytes", "binary": "bytes", "varbinary": "bytes",
	"timestamptz": "timestamp", "datetime": "timestamp", "date": "timestamp", "time": "timestamp",
	"array": "list(T)", "embedding": "vector(n)",
}

// Shapes of types with parameters, as others write them.
var (
	arrayElsewhere  = regexp.MustCompile(`^(?:(?:array|list|repeated|sequence)\s*[<(\[ ]\s*(.+?)\s*[>)\]]?|(.+?)\s*\[\s*\])$`)
	fixedElsewhere  = regexp.MustCompile(`^(?:(?:vector|array|embedding|list)\s*[<(\[]\s*|(?:float|float32|float4|real)\s*[\[(]\s*)([0-9]+)\s*[>)\]]$`)
	digitsElsewhere = regexp.MustCompile(`^(?:numeric|decimal|decimal128|number)\s*[<(\[]\s*([0-9]+)\s*(?:,\s*([0-9]+)\s*)?[>)\]]$`)
)

// typeMeant is the end of a message about a type that is none: the one that was most likely meant, or "".
func typeMeant(name string) string {
	if len(name) > 60 {
		return ""
	}
	lower := strings.ToLower(strings.TrimSpace(name))
	if other, ok := typesElsewhere[lower]; ok && other != name {
		return "; write " + other
	}
	if other, ok := typeElsewhere(lower); ok && other != name {
		return "; write " + other
	}
	var names []string
	for _, t := range feature.PlainTypes() {
		names = append(names, t.String())
	}
	if near, ok := feature.Nearest(name, names); ok {
		return "; did you mean " + near + "?"
	}
	return ""
}

// typeElsewhere is our spelling of a type with parameters that is written in another way.
func typeElsewhere(name string) (string, bool) {
	spelling := ""
	if m := digitsElsewhere.FindStringSubmatch(name); m != nil {
		spelling = "decimal(" + m[1] + ", " + m[2] + ")"
		if m[2] == "" {
			spelling = "decimal(" + m[1] + ", 0)"
		}
	} else if m := fixedElsewhere.FindStringSubmatch(name); m != nil {
		spelling = "vector(" + m[1] + ")"
	} else if m := arrayElsewhere.FindStringSubmatch(name); m != nil {
		elem := m[1] + m[2]
		if other, ok := typesElsewhere[elem]; ok {
			elem = other
		} else if other, ok := typeElsewhere(elem); ok {
			elem = other
		}
		spelling = "list(" + elem + ")"
		if elem == "decimal" || elem == "decimal(p, s)" {
			return "list(decimal(p, s))", true
		}
	} else if t, err := feature.ParseType(strings.ReplaceAll(name, " (", "(")); err == nil {
		spelling = t.String()
	}
	t, err := feature.ParseType(spelling)
	return t.String(), err == nil
}
