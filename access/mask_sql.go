package access

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// MaskSQL is a mask of values of a type as SQL over an expression of that type, which does what CompileMask does. parameter gives the SQL
// of a value as a Postgres type. nil: it cannot be said in SQL: hashes, constants that are lists, and rounded floats.
func MaskSQL(m *feature.Mask, t feature.Type) func(column string, parameter func(value any, typ string) string) string {
	if !m.Fits(t) {
		return func(string, func(any, string) string) string { return "NULL" }
	}
	switch m.Kind {
	case feature.MaskRedact:
		return func(string, func(any, string) string) string { return "NULL" }
	case feature.MaskConstant:
		return constantSQL(m, t)
	case feature.MaskPartial:
		return func(column string, parameter func(any, string) string) string {
			with := m.With
			if with == "" {
				with = "*"
			}
			place := parameter(with, "text")
			return fmt.Sprintf("CASE WHEN char_length(%[1]s) > %[2]d THEN left(%[1]s, %[3]d) || repeat(%[5]s, char_length(%[1]s) - %[2]d) || right(%[1]s, %[4]d) "+
				"ELSE repeat(%[5]s, char_length(%[1]s)) END", column, m.First+m.Last, m.First, m.Last, place)
		}
	case feature.MaskBucket:
		return bucketSQL(m, t)
	case feature.MaskRound:
		return roundSQL(m, t)
	case feature.MaskTruncate:
		return func(column string, _ func(any, string) string) string {
			return "date_trunc('" + m.To + "', " + column + ", 'UTC')"
		}
	}
	return nil
}

func constantSQL(m *feature.Mask, t feature.Type) func(string, func(any, string) string) string {
	// It fits.
	v, _ := feature.ValueOf(m.Constant, t)
	var value any = v.Text()
	typ := map[feature.Type]string{
		feature.TypeBool: "boolean", feature.TypeInt64: "bigint", feature.TypeFloat64: "double precision", feature.TypeString: "text", feature.TypeTimestamp: "timestamptz",
		feature.TypeBytes: "bytea", feature.TypeDecimal: "numeric",
	}[t.Kind()]
	switch {
	case typ == "":
		return nil
	case t == feature.TypeBytes:
		value = []byte(v.Str())
	case t == feature.TypeTimestamp:
		value = v.Timestamp().Time()
	case t == feature.TypeBool:
		value = v.Bool()
	case t == feature.TypeInt64:
		value = v.Int64()
	case t == feature.TypeFloat64:
		value = v.Float64()
	}
	return func(column string, parameter func(any, string) string) string {
		return "CASE WHEN " + column + " IS NOT NULL THEN " + numericOr(typ, value, parameter) + " END"
	}
}

// numericOr is a parameter of a type; numbers of any length go as texts.
func numericOr(typ string, value any, parameter func(any, string) string) string {
	if typ == "numeric" {
		return parameter(value, "text") + "::numeric"
	}
	return parameter(value, typ)
}

// greatest is the greatest absolute value of a type of exact numbers.
func greatest(t feature.Type) *big.Rat {
	if t == feature.TypeInt64 {
		return new(big.Rat).SetInt64(math.MaxInt64)
	}
	units := new(big.Int).Sub(power(10, t.Precision()), big.NewInt(1))
	return new(big.Rat).SetFrac(units, power(10, t.Scale()))
}

// numeric is an exact number of a type's scale as a parameter.
func numeric(r *big.Rat, t feature.Type, parameter func(any, string) string) string {
	return numericOr("numeric", r.FloatString(t.Scale()), parameter)
}

func bucketSQL(m *feature.Mask, t feature.Type) func(string, func(any, string) string) string {
	bounds := make([]*big.Rat, len(m.Bounds))
	for i, text := range m.Bounds {
		var ok bool
		if bounds[i], ok = feature.ExactNumber(text); !ok {
			return nil
		}
	}
	return func(column string, parameter func(any, string) string) string {
		var b strings.Builder
		b.WriteString("CASE")
		if t == feature.TypeFloat64 {
			b.WriteString(" WHEN " + column + " = 'NaN'::double precision THEN NULL")
		}
		for _, bound := range slices.Backward(bounds) {
			if t == feature.TypeFloat64 {
				f, _ := bound.Float64()
				shown := parameter(f, "double precision")
				b.WriteString(" WHEN " + column + " >= " + shown + " THEN " + shown)
				continue
			}
			scale := new(big.Rat).SetInt(power(10, t.Scale()))
			least := new(big.Rat).SetInt(ceil(new(big.Rat).Mul(bound, scale)))
			least.Quo(least, scale)
			at := numeric(least, t, parameter)
			shown := at
			if size := new(big.Rat).Abs(least); size.Cmp(greatest(t)) > 0 && !(t == feature.TypeInt64 && least.Cmp(new(big.Rat).SetInt64(math.MinInt64)) == 0) {
				shown = "NULL"
			}
			b.WriteString(" WHEN " + column + " >= " + at + " THEN " + shown)
		}
		b.WriteString(" END")
		return b.String()
	}
}

func roundSQL(m *feature.Mask, t feature.Type) func(string, func(any, string) string) string {
	to, ok := feature.ExactNumber(m.To)
	if !ok || to.Sign() <= 0 || t == feature.TypeFloat64 {
		return nil
	}
	// What CompileMask rounds to.
	scale := new(big.Rat).SetInt(power(10, t.Scale()))
	step := new(big.Rat).SetInt(new(big.Rat).Mul(to, scale).Num())
	step.Quo(step, scale)
	least, most := new(big.Rat).Neg(greatest(t)), greatest(t)
	if t == feature.TypeInt64 {
		least.SetInt64(math.MinInt64)
	}
	return func(column string, parameter func(any, string) string) string {
		by := numeric(step, t, parameter)
		n := "abs((" + column + ")::numeric)"
		rounded := fmt.Sprintf("sign((%s)::numeric) * (div(%[2]s, %[3]s) + CASE WHEN 2 * mod(%[2]s, %[3]s) >= %[3]s THEN 1 ELSE 0 END) * %[3]s", column, n, by)
		return fmt.Sprintf("CASE WHEN %[1]s BETWEEN %[2]s AND %[3]s THEN %[1]s END", rounded, numeric(least, t, parameter), numeric(most, t, parameter))
	}
}
