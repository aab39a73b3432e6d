package expr

import (
	"errors"
	"math/big"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/headwaterhq/headwater/feature"
)

// decimal is an exact number within an expression: it is compared, and turned into a text or, by an explicit double(), into
// the nearest float64. There is no arithmetic on it, which would have to round without a word.
type decimal struct {
	// coefficient / 10^scale is the value.
	coefficient *big.Int
	scale       int
}

var decimalType = types.NewObjectType("decimal", traits.ComparerType)

var errNative = errors.New("a decimal has no native form")

func (d decimal) ConvertToNative(reflect.Type) (any, error) { return nil, errNative }

func (d decimal) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.StringType:
		return types.String(d.String())
	case types.DoubleType:
		f, err := strconv.ParseFloat(d.String(), 64)
		if err != nil {
			return types.WrapErr(err)
		}
		return types.Double(f)
	case types.TypeType:
		return decimalType
	}
	return types.NewErr("found a decimal, expected a %s", t.TypeName())
}

// String has as many digits behind the point as the decimal's type.
func (d decimal) String() string {
	digits := new(big.Int).Abs(d.coefficient).String()
	if n := d.scale + 1 - len(digits); n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	if d.scale > 0 {
		digits = digits[:len(digits)-d.scale] + "." + digits[len(digits)-d.scale:]
	}
	if d.coefficient.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

func (d decimal) Equal(other ref.Val) ref.Val {
	o, ok := other.(decimal)
	return types.Bool(ok && d.compare(o) == 0)
}

// Compare is -1, 0 or 1. Decimals of different scales are compared by value.
func (d decimal) Compare(other ref.Val) ref.Val {
	o, ok := other.(decimal)
	if !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	return types.Int(d.compare(o))
}

func (d decimal) compare(o decimal) int {
	a, b := d.coefficient, o.coefficient
	if n := o.scale - d.scale; n > 0 {
		a = scaled(a, n)
	} else if n < 0 {
		b = scaled(b, -n)
	}
	return a.Cmp(b)
}

func scaled(n *big.Int, by int) *big.Int {
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(by)), nil)
	return power.Mul(power, n)
}

func (d decimal) Type() ref.Type { return decimalType }

func (d decimal) Value() any { return d.String() }

// decimalOf is a feature's decimal.
func decimalOf(v feature.Value) decimal {
	return decimal{v.Decimal().Big(), v.Type().Scale()}
}

var decimalText = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

// parseDecimal reads what decimal() is given.
func parseDecimal(s string) ref.Val {
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	whole = strings.TrimLeft(whole, "0")
	if !decimalText.MatchString(s) || len(whole)+len(fraction) > feature.MaxPrecision {
		return types.NewErr("found %.60q, expected a decimal of at most %d digits, such as 12.50", s, feature.MaxPrecision)
	}
	n, _ := new(big.Int).SetString("0"+whole+fraction, 10)
	if s[0] == '-' {
		n.Neg(n)
	}
	return decimal{n, len(fraction)}
}

// decimals is what can be done with decimals.
func decimals() []cel.EnvOption {
	var options []cel.EnvOption
	for name, id := range map[string]string{
		operators.Less: "less_decimal", operators.LessEquals: "less_equals_decimal",
		operators.Greater: "greater_decimal", operators.GreaterEquals: "greater_equals_decimal",
	} {
		options = append(options, cel.Function(name, cel.Overload(id, []*cel.Type{decimalType, decimalType}, cel.BoolType)))
	}
	convert := func(name, id string, to *cel.Type) cel.EnvOption {
		return cel.Function(name, cel.Overload(id, []*cel.Type{decimalType}, to,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return v.ConvertToType(to) })))
	}
	return append(options,
		convert("string", "decimal_to_string", cel.StringType),
		convert("double", "decimal_to_double", cel.DoubleType),
		cel.Function("decimal", cel.Overload("string_to_decimal", []*cel.Type{cel.StringType}, decimalType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return parseDecimal(string(v.(types.String))) }))),
	)
}
