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
	return sha256.Sum256(r.appendAfter(nil, before))
}

// appendAfter appends what is hashed of a record behind another one.
func (r *kept) appendAfter(b []byte, before Hash) []byte {
	return r.appendTo(append(append(b, chainRecord...), before[:]...))
}

// hashAlone is that of a record that is in no chain, for a witness.
func (r *kept) hashAlone() Hash { return sha256.Sum256(r.appendTo([]byte(outsideRecord))) }

// appendTo appends all that is kept of a record, but for its hash.
func (r *kept) appendTo(b []byte) []byte {
	b = appendString(b, r.Writer)
	b = binary.AppendVarint(b, r.Number)
	var room [16]byte
	b = appendString(b, r.day.AppendFormat(room[:0], time.DateOnly))
	b = binary.AppendVarint(b, r.logged)
	b = appendString(b, r.extent)
	return r.appendCanonical(b)
}

func appendString[T ~string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendCanonical appends what the function of that name does of a Record, without looking for its fields: each record that comes is hashed.
func (r *Record) appendCanonical(b []byte) []byte {
	b = append(b, 'r')
	b = appendTextField(b, "action", string(r.Action))
	b = appendTextField(b, "as_of", r.AsOf)
	b = appendNumberField(b, "calls", r.Calls)
	b = appendTextField(b, "client_address", r.ClientAddress)
	b = appendNumberField(b, "continues", r.Continues)
	b = appendTextField(b, "credential", r.Credential)
	b = appendTextField(b, "dataset", r.Dataset)
	b = appendTextField(b, "decision", string(r.Decision))
	if !r.Earlier.isNothing() {
		b = r.Earlier.appendCanonical(appendString(b, "earlier"))
	}
	b = appendNumberField(b, "entities", r.Entities)
	b = appendTextField(b, "entities_hash", r.EntitiesHash)
	b = appendTextField(b, "last_read_id", r.LastReadID)
	b = appendTimeField(b, "last_time", r.LastTime)
	b = appendTextField(b, "method", r.Method)
	b = appendTextField(b, "principal", r.Principal)
	b = appendTextField(b, "purpose", r.Purpose)
	b = appendTextField(b, "read_id", r.ReadID)
	b = appendTextField(b, "reason", r.Reason)
	b = appendTextField(b, "resource", r.Resource)
	b = appendListField(b, "roles", r.Roles, appendTextElement)
	b = appendNumberField(b, "rows_hidden", r.RowsHidden)
	b = appendNumberField(b, "rows_returned", r.RowsReturned)
	b = appendTimeField(b, "time", r.Time)
	if len(r.Witnessed) > 0 {
		b = appendCanonical(appendString(b, "witnessed"), reflect.ValueOf(r.Witnessed))
	}
	return append(b, 0)
}

// appendCanonical is for reads what that of Record is.
func (e *Earlier) appendCanonical(b []byte) []byte {
	b = append(b, 'r')
	b = appendListField(b, "addresses", e.Addresses, appendTextElement)
	b = appendListField(b, "entities", e.Entities, appendNumberElement)
	b = appendListField(b, "entities_hashes", e.EntitiesHashes, appendTextElement)
	b = appendListField(b, "logged", e.Logged, appendNumberElement)
	b = appendListField(b, "read_ids", e.ReadIDs, appendTextElement)
	b = appendListField(b, "rows_hidden", e.RowsHidden, appendNumberElement)
	b = appendListField(b, "rows_returned", e.RowsReturned, appendNumberElement)
	b = appendListField(b, "times", e.Times, appendTimeElement)
	return append(b, 0)
}

func appendTextElement(b []byte, text string) []byte { return appendString(append(b, 's'), text) }

func appendNumberElement(b []byte, n int64) []byte { return binary.AppendVarint(append(b, 'i'), n) }

func appendTimeElement(b []byte, t time.Time) []byte {
	return binary.AppendVarint(append(b, 't'), t.UnixMicro())
}

func appendListField[T any](b []byte, name string, list []T, element func([]byte, T) []byte) []byte {
	if len(list) == 0 {
		return b
	}
	b = binary.AppendUvarint(append(appendString(b, name), 'l'), uint64(len(list)))
	for _, v := range list {
		b = element(b, v)
	}
	return b
}

func appendTextField(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return appendString(append(appendString(b, name), 's'), text)
}

func appendNumberField(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return binary.AppendVarint(append(appendString(b, name), 'i'), n)
}

func appendTimeField(b []byte, name string, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return binary.AppendVarint(append(appendString(b, name), 't'), t.UnixMicro())
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
