package feature

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
)

// Lists and vectors hold their elements packed in one immutable text, which is also what the canonical encoding and the
// online row have of them. It is drawn in docs/format/canonical.md. Their floats have one NaN and one zero from the
// beginning, so that two of a type are equal when their packed texts are.

const canonicalNaN32 = 0x7fc00000

// List is a value of the list type t. The elements are of its element type and none is NULL.
func List(t Type, elements []Value) (Value, error) {
	if !t.IsList() {
		return Value{}, fmt.Errorf("found a list, expected a %s", t)
	}
	elem := t.Elem()
	packed := binary.BigEndian.AppendUint32(make([]byte, 0, 4+8*len(elements)), uint32(len(elements)))
	for i, v := range elements {
		if v.IsNull() {
			return Value{}, fmt.Errorf("found NULL as element %d of a list, expected none: lists hold no NULL; leave it out", i+1)
		}
		if v.typ != elem {
			return Value{}, fmt.Errorf("found a %s as element %d of a list, expected a %s", v.typ, i+1, elem)
		}
		packed = v.appendPacked(packed)
	}
	return Value{typ: t, str: string(packed)}, nil
}

// appendPacked appends the value as lists hold it.
func (v Value) appendPacked(dst []byte) []byte {
	switch v.typ.Kind() {
	case TypeBool:
		return append(dst, byte(v.bits))
	case TypeString, TypeBytes:
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(v.str)))
		return append(dst, v.str...)
	case TypeDecimal:
		return v.Decimal().Append(dst)
	}
	return binary.BigEndian.AppendUint64(dst, v.canonicalBits())
}

// Vector is a value of the vector type t. There are as many floats as it has dimensions.
func Vector(t Type, floats []float32) (Value, error) {
	if t.Kind() != TypeVector {
		return Value{}, fmt.Errorf("found a vector, expected a %s", t)
	}
	if len(floats) != t.Dimension() {
		return Value{}, fmt.Errorf("found %d floats, expected %d, as %s has", len(floats), t.Dimension(), t)
	}
	packed := make([]byte, 0, 4*len(floats))
	for _, f := range floats {
		bits := math.Float32bits(f)
		if f != f {
			bits = canonicalNaN32
		} else if f == 0 {
			bits = 0
		}
		packed = binary.BigEndian.AppendUint32(packed, bits)
	}
	return Value{typ: t, str: string(packed)}, nil
}

// Packed is the elements of a list or vector in one text, "" for other types. Unpack is its inverse.
func (v Value) Packed() string {
	if k := v.typ.Kind(); k == TypeList || k == TypeVector {
		return v.str
	}
	return ""
}

var errPacked = errors.New("found bytes that are no packed list or vector")

// Unpack is the value of a list or vector type whose Packed is the text. A text that no value has is an error.
func Unpack(t Type, packed string) (Value, error) {
	switch t.Kind() {
	case TypeVector:
		if len(packed) != 4*t.Dimension() {
			return Value{}, errPacked
		}
		for at := 0; at < len(packed); at += 4 {
			bits := uint32At(packed, at)
			if f := math.Float32frombits(bits); (f != f && bits != canonicalNaN32) || (f == 0 && bits != 0) {
				return Value{}, errPacked
			}
		}
	case TypeList:
		if len(packed) < 4 {
			return Value{}, errPacked
		}
		elem, rest := t.Elem(), packed[4:]
		for range uint32At(packed, 0) {
			n, err := checkPacked(elem, rest)
			if err != nil {
				return Value{}, err
			}
			rest = rest[n:]
		}
		if rest != "" {
			return Value{}, errPacked
		}
	default:
		return Value{}, fmt.Errorf("found a packed text, expected a %s", t)
	}
	return Value{typ: t, str: packed}, nil
}

func uint32At(s string, at int) uint32 {
	return uint32(s[at])<<24 | uint32(s[at+1])<<16 | uint32(s[at+2])<<8 | uint32(s[at+3])
}

func uint64At(s string, at int) uint64 {
	return uint64(uint32At(s, at))<<32 | uint64(uint32At(s, at+4))
}

// packedSize is the length of the element that s begins with, and whether s has all of it.
func packedSize(elem Type, s string) (int, bool) {
	n := 8
	switch elem.Kind() {
	case TypeBool:
		n = 1
	case TypeDecimal:
		n = 16
	case TypeString, TypeBytes:
		if len(s) < 4 {
			return 0, false
		}
		n = 4 + int(uint32At(s, 0))
	}
	return n, n <= len(s)
}

// checkPacked is packedSize for an element that may not be one.
func checkPacked(elem Type, s string) (int, error) {
	n, ok := packedSize(elem, s)
	if !ok {
		return 0, errPacked
	}
	switch elem.Kind() {
	case TypeBool:
		ok = s[0] <= 1
	case TypeFloat64:
		bits := uint64At(s, 0)
		ok = Value{typ: TypeFloat64, bits: bits}.canonicalBits() == bits
	case TypeDecimal:
		_, err := DecimalOfBytes(elem, s[:16])
		ok = err == nil
	case TypeString:
		ok = CheckText(s[4:n]) == nil
	}
	if !ok {
		return 0, errPacked
	}
	return n, nil
}

func unpackElement(elem Type, s string) (v Value, size int) {
	size, _ = packedSize(elem, s)
	switch elem.Kind() {
	case TypeBool:
		return Bool(s[0] != 0), size
	case TypeString, TypeBytes:
		return Value{typ: elem, str: s[4:size]}, size
	case TypeDecimal:
		v, _ = DecimalOfBytes(elem, s[:16])
		return v, size
	}
	return Value{typ: elem, bits: uint64At(s, 0)}, size
}

// Len is how many elements a list or vector has, 0 for other types.
func (v Value) Len() int {
	switch v.typ.Kind() {
	case TypeList:
		return int(uint32At(v.str, 0))
	case TypeVector:
		return v.typ.Dimension()
	}
	return 0
}

// Elements goes through the elements of a list, with their positions from 0; none is NULL. There are none for other types.
func (v Value) Elements() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		if !v.typ.IsList() {
			return
		}
		elem, rest := v.typ.Elem(), v.str[4:]
		for i := 0; rest != ""; i++ {
			e, n := unpackElement(elem, rest)
			if !yield(i, e) {
				return
			}
			rest = rest[n:]
		}
	}
}

// AppendFloats appends the floats of a vector, and nothing for other types.
func (v Value) AppendFloats(dst []float32) []float32 {
	if v.typ.Kind() == TypeVector {
		for at := 0; at < len(v.str); at += 4 {
			dst = append(dst, math.Float32frombits(uint32At(v.str, at)))
		}
	}
	return dst
}
