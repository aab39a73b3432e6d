package feature

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Type is the type of a column, a join key or a feature. Two types are the same when they are ==.
//
// Its lowest byte is the kind, whose numbers are part of the canonical encoding and never given a new meaning. Above it
// lie, for kinds that have them, the kind of a list's elements (8 bits), a decimal's precision and scale (8 bits each), be
// it a list's element or not, and a vector's dimension (32 bits). A kind without parameters is the type itself.
type Type uint64

const (
	// TypeInvalid is the zero Type. In a Value it means NULL.
	TypeInvalid Type = 0
	TypeBool    Type = 1
	TypeInt64   Type = 2
	TypeFloat64 Type = 3
	TypeString  Type = 4
	// TypeTimestamp is an instant: microseconds, UTC.
	TypeTimestamp Type = 5
	// TypeDecimal is the kind of exact numbers; DecimalType makes a type of it.
	TypeDecimal Type = 6
	TypeBytes   Type = 7
	// TypeList is the kind of lists; ListType makes a type of it.
	TypeList Type = 8
	// TypeVector is the kind of vectors, which hold a fixed number of floats of 32 bits; VectorType makes a type of it.
	TypeVector Type = 9
)

// Limits of what types have.
const (
	// MaxPrecision is the most digits of a decimal: its coefficient fits into 128 bits.
	MaxPrecision = 38
	// MaxDimension is the most floats of a vector.
	MaxDimension = 16000
)

const (
	elemShift      = 8
	precisionShift = 16
	scaleShift     = 24
	dimensionShift = 32
)

var kindNamesOfTypes = [...]string{"invalid", "bool", "int64", "float64", "string", "timestamp", "decimal", "bytes", "list", "vector"}

// DecimalType is decimal(precision, scale): numbers of up to precision digits, scale of them behind the point. It is not
// valid unless precision is from 1 to MaxPrecision and scale from 0 to precision.
func DecimalType(precision, scale int) Type {
	if precision < 1 || precision > MaxPrecision || scale < 0 || scale > precision {
		return TypeInvalid
	}
	return TypeDecimal | Type(precision)<<precisionShift | Type(scale)<<scaleShift
}

// ListType is list(elem). It is not valid unless elem is a valid type other than a list or a vector.
func ListType(elem Type) Type {
	if !elem.IsValid() || elem.Kind() == TypeList || elem.Kind() == TypeVector {
		return TypeInvalid
	}
	return TypeList | elem.Kind()<<elemShift | elem&^0xff
}

// VectorType is vector(dimension). It is not valid unless dimension is from 1 to MaxDimension.
func VectorType(dimension int) Type {
	if dimension < 1 || dimension > MaxDimension {
		return TypeInvalid
	}
	return TypeVector | Type(dimension)<<dimensionShift
}

// Kind is the type without its parameters: TypeBool to TypeVector.
func (t Type) Kind() Type { return t & 0xff }

// IsList reports whether t is a list.
func (t Type) IsList() bool { return t.Kind() == TypeList }

// Elem is the type of a list's elements, TypeInvalid for others.
func (t Type) Elem() Type {
	if !t.IsList() {
		return TypeInvalid
	}
	return t>>elemShift&0xff | t&^0xffff
}

// Precision is how many digits a decimal has at most, and Scale how many of them stand behind the point.
func (t Type) Precision() int { return int(t >> precisionShift & 0xff) }

// Scale is how many digits of a decimal stand behind the point.
func (t Type) Scale() int { return int(t >> scaleShift & 0xff) }

// Dimension is how many floats a vector has.
func (t Type) Dimension() int { return int(t >> dimensionShift) }

// IsValid reports whether values of t can be: it is a kind with the parameters that it takes, and no others.
func (t Type) IsValid() bool {
	switch t.Kind() {
	case TypeBool, TypeInt64, TypeFloat64, TypeString, TypeTimestamp, TypeBytes:
		return t == t.Kind()
	case TypeDecimal:
		return t == DecimalType(t.Precision(), t.Scale())
	case TypeList:
		return t == ListType(t.Elem())
	case TypeVector:
		return t == VectorType(t.Dimension())
	}
	return false
}

// PlainTypes lists the types that have no parameters, in the order of their numbers. There are others.
func PlainTypes() []Type {
	return []Type{TypeBool, TypeInt64, TypeFloat64, TypeString, TypeTimestamp, TypeBytes}
}

// String is the type as definitions write it.
func (t Type) String() string {
	switch t.Kind() {
	case TypeDecimal:
		return fmt.Sprintf("decimal(%d, %d)", t.Precision(), t.Scale())
	case TypeList:
		return "list(" + t.Elem().String() + ")"
	case TypeVector:
		return fmt.Sprintf("vector(%d)", t.Dimension())
	}
	if t < Type(len(kindNamesOfTypes)) {
		return kindNamesOfTypes[t]
	}
	return fmt.Sprintf("type(%d)", uint64(t))
}

// AppendCanonical appends the type's canonical encoding: the kind as one byte; then for a decimal precision and scale, one
// byte each, for a list the encoding of its elements' type, for a vector its dimension as four bytes, big-endian.
func (t Type) AppendCanonical(dst []byte) []byte {
	dst = append(dst, byte(t))
	switch t.Kind() {
	case TypeDecimal:
		return append(dst, byte(t.Precision()), byte(t.Scale()))
	case TypeList:
		return t.Elem().AppendCanonical(dst)
	case TypeVector:
		return binary.BigEndian.AppendUint32(dst, uint32(t.Dimension()))
	}
	return dst
}

const scalarNames = "bool, int64, float64, decimal(p, s), string, bytes, timestamp"

// TypeNames lists what ParseType takes, for messages.
func TypeNames() string { return scalarNames + ", list(T), vector(n)" }

// ParseType reads a type as definitions write it: `int64`, `decimal(12, 2)`, `list(string)`, `vector(128)`. Names are
// exact, white space stands only inside of parentheses; anything else is an error that says what was expected.
func ParseType(s string) (Type, error) {
	name, rest, parameterised := strings.Cut(s, "(")
	argument, closed := strings.CutSuffix(rest, ")")
	argument = strings.Trim(argument, " ")
	if parameterised && !closed {
		return TypeInvalid, unknownType(s)
	}
	switch {
	case name == "decimal":
		return parseDecimalType(s, argument)
	case name == "list":
		return parseListType(s, argument)
	case name == "vector":
		n, ok := parseParameter(argument)
		if !ok || n < 1 || n > MaxDimension {
			return TypeInvalid, fmt.Errorf("found type %s, expected vector(n) with an n from 1 to %d: how many floats there are", shown(s), MaxDimension)
		}
		return VectorType(n), nil
	case !parameterised:
		for _, t := range PlainTypes() {
			if s == t.String() {
				return t, nil
			}
		}
	}
	return TypeInvalid, unknownType(s)
}

func unknownType(s string) error {
	return fmt.Errorf("found type %s, expected one of %s", shown(s), TypeNames())
}

func parseDecimalType(s, argument string) (Type, error) {
	p, q, two := strings.Cut(argument, ",")
	precision, okP := parseParameter(strings.Trim(p, " "))
	scale, okS := parseParameter(strings.Trim(q, " "))
	switch {
	case !two || !okP || !okS:
		return TypeInvalid, fmt.Errorf("found type %s, expected decimal(p, s): p digits, s of them behind the point, such as decimal(12, 2)", shown(s))
	case precision < 1 || precision > MaxPrecision:
		return TypeInvalid, fmt.Errorf("found type %s, expected from 1 to %d digits", shown(s), MaxPrecision)
	case scale > precision:
		return TypeInvalid, fmt.Errorf("found type %s, expected at most as many digits behind the point as there are digits", shown(s))
	}
	return DecimalType(precision, scale), nil
}

func parseListType(s, argument string) (Type, error) {
	elem, err := ParseType(argument)
	switch {
	case err == nil && (elem.Kind() == TypeList || elem.Kind() == TypeVector),
		err != nil && (strings.HasPrefix(argument, "list(") || strings.HasPrefix(argument, "vector(")):
		return TypeInvalid, fmt.Errorf("found type %s, expected a list of one of %s: a list holds no lists and no vectors", shown(s), scalarNames)
	case err != nil && !strings.HasPrefix(argument, "decimal"):
		return TypeInvalid, fmt.Errorf("found type %s, expected a list of one of %s", shown(s), scalarNames)
	}
	return ListType(elem), err
}

// parseParameter reads a whole number as one writes it.
func parseParameter(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && strconv.Itoa(n) == s && n >= 0
}
