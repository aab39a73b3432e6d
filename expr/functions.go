package expr

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"

	"github.com/headwaterhq/headwater/feature"
)

// functions are those that an expression may call, by name, operators and what macros make apart. Functions of math that
// have no exact result (exp, log, sin) are left out: their last bit differs between processors.
var functions = []string{
	// CEL's own.
	"int", "double", "string", "bool", "bytes", "timestamp", "duration",
	"size", "contains", "startsWith", "endsWith", "matches",
	"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
	"getHours", "getMinutes", "getSeconds", "getMilliseconds",
	// cel-go's math extension.
	"math.abs", "math.ceil", "math.floor", "math.round", "math.trunc", "math.sign", "math.sqrt",
	"math.greatest", "math.least", "math.isNaN", "math.isInf", "math.isFinite",
	"math.bitAnd", "math.bitOr", "math.bitXor", "math.bitNot", "math.bitShiftLeft", "math.bitShiftRight",
	// Below, and in decimal.go.
	"decimal", "charAt", "indexOf", "join", "lastIndexOf", "lowerAscii", "replace", "split", "substring", "trim", "upperAscii",
	// Macros.
	"all", "exists", "exists_one", "map", "filter",
}

// operatorNames are what parsing makes of operators and macros.
var operatorNames = []string{
	"_+_", "_-_", "_*_", "_/_", "_%_", "-_", "!_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "_?_:_",
	"@in", "_[_]", "@not_strictly_false", "math.@max", "math.@min",
}

// callable reports whether a function, by the name that parsing gives it, may be called.
func callable(name string) bool {
	return slices.Contains(functions, name) || slices.Contains(operatorNames, name)
}

// zoned are the functions that take a time zone.
var zoned = []string{
	"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
	"getHours", "getMinutes", "getSeconds", "getMilliseconds",
}

// library is the functions beside CEL's own. Those on texts count characters, and bound what they make before they make it:
// a replacement of each character of one text by another is as long as their product.
func library() []cel.EnvOption {
	text, number, texts := cel.StringType, cel.IntType, cel.ListType(cel.StringType)
	member := func(name, id string, args []*cel.Type, result *cel.Type, do func(args []ref.Val) ref.Val) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload(id, args, result, cel.FunctionBinding(func(args ...ref.Val) ref.Val {
			return do(args)
		})))
	}
	str := func(v ref.Val) string { return string(v.(types.String)) }
	num := func(v ref.Val) int64 { return int64(v.(types.Int)) }
	return []cel.EnvOption{
		ext.Math(ext.MathVersion(2)),
		member("lowerAscii", "string_lower_ascii", []*cel.Type{text}, text, func(a []ref.Val) ref.Val {
			return types.String(mapASCII(str(a[0]), 'A', 'Z', 'a'-'A'))
		}),
		member("upperAscii", "string_upper_ascii", []*cel.Type{text}, text, func(a []ref.Val) ref.Val {
			return types.String(mapASCII(str(a[0]), 'a', 'z', 'A'-'a'))
		}),
		member("trim", "string_trim", []*cel.Type{text}, text, func(a []ref.Val) ref.Val {
			return types.String(strings.TrimSpace(str(a[0])))
		}),
		member("charAt", "string_char_at_int", []*cel.Type{text, number}, text, func(a []ref.Val) ref.Val {
			runes, i := []rune(str(a[0])), num(a[1])
			if i < 0 || i >= int64(len(runes)) {
				return outOfRange(i, len(runes))
			}
			return types.String(runes[i])
		}),
		member("indexOf", "string_index_of_string", []*cel.Type{text, text}, number, func(a []ref.Val) ref.Val {
			return characters(str(a[0]), strings.Index(str(a[0]), str(a[1])))
		}),
		member("lastIndexOf", "string_last_index_of_string", []*cel.Type{text, text}, number, func(a []ref.Val) ref.Val {
			return characters(str(a[0]), strings.LastIndex(str(a[0]), str(a[1])))
		}),
		member("substring", "string_substring_int", []*cel.Type{text, number}, text, func(a []ref.Val) ref.Val {
			runes := []rune(str(a[0]))
			return substring(runes, num(a[1]), int64(len(runes)))
		}),
		cel.Function("substring", cel.MemberOverload("string_substring_int_int", []*cel.Type{text, number, number}, text,
			cel.FunctionBinding(func(a ...ref.Val) ref.Val { return substring([]rune(str(a[0])), num(a[1]), num(a[2])) }))),
		member("split", "string_split_string", []*cel.Type{text, text}, texts, func(a []ref.Val) ref.Val {
			return types.DefaultTypeAdapter.NativeToValue(strings.Split(str(a[0]), str(a[1])))
		}),
		member("replace", "string_replace_string_string", []*cel.Type{text, text, text}, text, func(a []ref.Val) ref.Val {
			s, old, by := str(a[0]), str(a[1]), str(a[2])
			n := strings.Count(s, old)
			if grown := int64(len(by)-len(old)) * int64(n); int64(len(s))+grown > maxResultText {
				return tooLong(int64(len(s)) + grown)
			}
			return types.String(strings.ReplaceAll(s, old, by))
		}),
		member("join", "list_join_string", []*cel.Type{texts, text}, text, func(a []ref.Val) ref.Val {
			list, separator := a[0].(traits.Lister), str(a[1])
			var parts []string
			size := int64(0)
			for it := list.Iterator(); it.HasNext() == types.True; {
				part := str(it.Next())
				if size += int64(len(part) + len(separator)); size > maxResultText {
					return tooLong(size)
				}
				parts = append(parts, part)
			}
			return types.String(strings.Join(parts, separator))
		}),
	}
}

func mapASCII(s string, from, to byte, by int) string {
	b := []byte(s)
	for i, c := range b {
		if c >= from && c <= to {
			b[i] = byte(int(c) + by)
		}
	}
	return string(b)
}

// characters turns an index in bytes into one in characters; -1 stays.
func characters(s string, at int) ref.Val {
	if at < 0 {
		return types.Int(-1)
	}
	return types.Int(len([]rune(s[:at])))
}

func substring(runes []rune, from, to int64) ref.Val {
	n := int64(len(runes))
	switch {
	case from < 0 || from > n:
		return outOfRange(from, len(runes))
	case to < from || to > n:
		return outOfRange(to, len(runes))
	}
	return types.String(runes[from:to])
}

func outOfRange(i int64, n int) ref.Val {
	return types.NewErr("found the index %d in a text of %d characters", i, n)
}

func tooLong(n int64) ref.Val {
	return types.NewErr("found a text of %d bytes, expected at most %d", n, maxResultText)
}

// unknownFunction is what to say of a call that is not callable.
func unknownFunction(name string) string {
	switch name {
	case "has":
		return "found has(), expected a comparison: write VIEW.FEATURE != null"
	case "dyn", "type":
		return fmt.Sprintf("found %s(), expected expressions whose type is known before they are evaluated; leave it out", name)
	case "now", "today", "getTime":
		return fmt.Sprintf("found %s(), expected request.time: the time of the read, or of the spine's row", name)
	case "uint":
		return "found uint(), expected int(): there is no feature of an unsigned type"
	case "math.exp", "math.log", "math.log2", "math.log10", "math.pow", "math.sin", "math.cos", "math.tan":
		return fmt.Sprintf("found %s(), whose last bit differs between processors; compute it in the view's SQL, or where the "+
			"features are used", name)
	case "format":
		return "found format(), which is not there; put texts together with +, and numbers with string()"
	}
	message := fmt.Sprintf("found no function called %s", name)
	if near, ok := feature.Nearest(name, functions); ok {
		return message + "; did you mean " + near + "?"
	}
	if _, short, ok := strings.Cut(name, "."); ok {
		if near, ok := feature.Nearest(short, functions); ok {
			return message + "; did you mean " + near + "?"
		}
	}
	if slices.Contains(functions, "math."+name) {
		return message + "; did you mean math." + name + "?"
	}
	return message + "; docs/definitions.md lists those there are"
}
