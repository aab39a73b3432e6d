package feature

import (
	"fmt"
	"strings"
)

// Type is the type of a column, a join key or a feature. The numbers are part of the canonical encoding: they are
// never given a new meaning.
type Type uint8

const (
	// TypeInvalid is the zero Type. In a Value it means NULL.
	TypeInvalid Type = 0
	TypeBool    Type = 1
	TypeInt64   Type = 2
	TypeFloat64 Type = 3
	TypeString  Type = 4
	// TypeTimestamp is an instant: microseconds, UTC.
	TypeTimestamp Type = 5
)

var typeNames = [...]string{"invalid", "bool", "int64", "float64", "string", "timestamp"}

// Types lists every valid type, in the order of their numbers.
func Types() []Type { return []Type{TypeBool, TypeInt64, TypeFloat64, TypeString, TypeTimestamp} }

// String is the type's name as definitions write it.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// TypeNames lists the names that ParseType takes, for messages.
func TypeNames() string { return strings.Join(typeNames[1:], ", ") }

// ParseType reads a type's name. Names are exact; anything else is an error that lists them.
func ParseType(s string) (Type, error) {
	for i, name := range typeNames[1:] {
		if s == name {
			return Type(i + 1), nil
		}
	}
	return TypeInvalid, fmt.Errorf("found type %q, expected one of %s", s, TypeNames())
}
