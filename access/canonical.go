package access

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// Hash is a SHA-256.
type Hash [sha256.Size]byte

// What is hashed begins with what it is. docs/format/audit-chain.md has the rest.
const (
	chainBegins   = "headwater audit chain 1\n"
	chainRecord   = "headwater audit record 1\n"
	outsideRecord = "headwater audit outside record 1\n"
)

// beginning is the hash before a chain's first record, whose number is behind one.
func beginning(writer string, after int64) Hash {
	b := appendString([]byte(chainBegins), writer)
	return sha256.Sum256(binary.AppendVarint(b, after))
}

// hashAfter is that of a record of a chain, behind the one with another hash.
func (r *kept) hashAfter(before Hash) Hash {
	b := append([]byte(chainRecord), before[:]...)
	return sha256.Sum256(r.appendTo(b))
}

// hashAlone is that of a record that is in no chain, for a witness.
func (r *kept) hashAlone() Hash { return sha256.Sum256(r.appendTo([]byte(outsideRecord))) }

// appendTo appends all that is kept of a record, but for its hash.
func (r *kept) appendTo(b []byte) []byte {
	b = appendString(b, r.Writer)
	b = binary.AppendVarint(b, r.Number)
	b = appendString(b, r.day.Format(time.DateOnly))
	b = binary.AppendVarint(b, r.logged)
	b = appendString(b, string(r.extent))
	return appendCanonical(b, reflect.ValueOf(&r.Record).Elem())
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendCanonical appends a value, so that two values that are not the same append other bytes. The fields of a struct are in the order of
// their names in JSON, without those that have none and those that are zero or empty: a field that is new is nothing in records from before it.
// It panics on a type that no field of a Record has.
func appendCanonical(b []byte, v reflect.Value) []byte {
	if t, ok := v.Interface().(time.Time); ok {
		return binary.AppendVarint(append(b, 't'), t.UnixMicro())
	}
	switch v.Kind() {
	case reflect.String:
		return appendString(append(b, 's'), v.String())
	case reflect.Bool:
		if v.Bool() {
			return append(b, 'b', 1)
		}
		return append(b, 'b', 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		return binary.AppendVarint(append(b, 'i'), v.Int())
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b = append(b, 'x')
			b = binary.AppendUvarint(b, uint64(v.Len()))
			for i := range v.Len() {
				b = append(b, byte(v.Index(i).Uint()))
			}
			return b
		}
		b = binary.AppendUvarint(append(b, 'l'), uint64(v.Len()))
		for i := range v.Len() {
			b = appendCanonical(b, v.Index(i))
		}
		return b
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		b = binary.AppendUvarint(append(b, 'm'), uint64(len(keys)))
		for _, k := range keys {
			b = appendCanonical(appendString(b, k.String()), v.MapIndex(k))
		}
		return b
	case reflect.Struct:
		return appendFields(b, v)
	}
	panic(fmt.Sprintf("access: an audit record has a field of type %s, which has no canonical encoding", v.Type()))
}

func appendFields(b []byte, v reflect.Value) []byte {
	b = append(b, 'r')
	for _, f := range fieldsOf(v.Type()) {
		value := v.FieldByIndex(f.Index)
		if isNothing(value) {
			continue
		}
		b = appendCanonical(appendString(b, f.Name), value)
	}
	// No field has an empty name.
	return append(b, 0)
}

func isNothing(v reflect.Value) bool {
	if t, ok := v.Interface().(time.Time); ok {
		return t.IsZero()
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}

var canonicalFields sync.Map // of reflect.Type to []reflect.StructField

// fieldsOf are the fields of a struct that have a name in JSON, by it, with it as their Name.
func fieldsOf(t reflect.Type) []reflect.StructField {
	if known, ok := canonicalFields.Load(t); ok {
		return known.([]reflect.StructField)
	}
	var fields []reflect.StructField
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			f.Name = name
			fields = append(fields, f)
		}
	}
	slices.SortFunc(fields, func(a, b reflect.StructField) int { return strings.Compare(a.Name, b.Name) })
	canonicalFields.Store(t, fields)
	return fields
}
