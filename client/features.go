package client

import (
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
)

// Features are the values of an answer, by name and by entity. Entities count from 0, in the order of the request. It may be used
// concurrently, and looks at the answer, which must stay as it is.
type Features struct {
	vectors map[string]*headwaterv1.ValueVector
	names   []string
	n       int
}

// NewFeatures are those of an answer with a vector for each feature, as GetFeatures and StreamFeatures give it unless they are asked
// for Arrow.
func NewFeatures(response *headwaterv1.GetFeaturesResponse) *Features {
	f := &Features{vectors: map[string]*headwaterv1.ValueVector{}}
	for _, v := range response.GetFeatures() {
		f.vectors[v.GetName()] = v.GetValues()
		f.names = append(f.names, v.GetName())
		f.n = wire.VectorLen(v.GetValues())
	}
	return f
}

// Len is how many entities there are values of.
func (f *Features) Len() int { return f.n }

// Names are those of the features, in the order of the answer.
func (f *Features) Names() []string { return f.names }

// Value is the value of a feature for an entity, of whichever type it is, and its status. It is NULL where there is none, and the
// status says why. The error is of a name that the answer does not have, with what there may have been meant, or of an entity beyond its
// last.
func (f *Features) Value(name string, entity int) (feature.Value, headwaterv1.ValueStatus, error) {
	vector, ok := f.vectors[name]
	if !ok {
		meant := ""
		if near, found := feature.Nearest(name, f.names); found {
			meant = "; did you mean " + near + "?"
		}
		return feature.Null(), 0, fault.New(fault.NotFound, "feature %s: the answer has no such feature, expected one of the %d it has%s", name, len(f.names), meant)
	}
	if entity < 0 || entity >= wire.VectorLen(vector) {
		return feature.Null(), 0, fault.New(fault.InvalidArgument, "feature %s: found entity %d, expected one from 0 to %d", name, entity, wire.VectorLen(vector)-1)
	}
	value, err := Value(vector, entity)
	return value, wire.StatusAt(vector, entity), err
}

// typed is Value of a feature of a kind of types, as read gives it of a value that is not NULL. NULL is the zero of T.
func typed[T any](f *Features, name string, entity int, t feature.Type, read func(feature.Value) T) (got T, status headwaterv1.ValueStatus, err error) {
	value, status, err := f.Value(name, entity)
	if err != nil || value.IsNull() {
		return got, status, err
	}
	if value.Type().Kind() != t {
		return got, status, fault.New(fault.InvalidArgument, "feature %s: found %s, expected %s; ask for it as what it is", name, value.Type(), kindName(t))
	}
	return read(value), status, nil
}

func kindName(t feature.Type) string {
	switch t {
	case feature.TypeList:
		return "a list"
	case feature.TypeVector:
		return "a vector"
	}
	return t.String()
}

// Float64 is Value of a float64: 0 for NULL, which the status tells from a value, and where that is STALE or MASKED Value does.
func (f *Features) Float64(name string, entity int) (float64, headwaterv1.ValueStatus, error) {
	return typed(f, name, entity, feature.TypeFloat64, feature.Value.Float64)
}

// Int64 is Value of an int64: 0 for NULL, which the status tells from a value, and where that is STALE or MASKED Value does.
func (f *Features) Int64(name string, entity int) (int64, headwaterv1.ValueStatus, error) {
	return typed(f, name, entity, feature.TypeInt64, feature.Value.Int64)
}

// Bool is Value of a bool: false for NULL, which the status tells from a value, and where that is STALE or MASKED Value does.
func (f *Features) Bool(name string, entity int) (bool, headwaterv1.ValueStatus, error) {
	return typed(f, name, entity, feature.TypeBool, feature.Value.Bool)
}

// String is Value of a string: empty for NULL, which the status tells from a value, and where that is STALE or MASKED Value does.
func (f *Features) String(name string, entity int) (string, headwaterv1.ValueStatus, error) {
	return typed(f, name, entity, feature.TypeString, feature.Value.Str)
}

// Timestamp is Value of a timestamp, in UTC: the zero time for NULL, which the status tells from a value, and where that is STALE or MASKED Value does.
func (f *Features) Timestamp(name string, entity int) (time.Time, headwaterv1.ValueStatus, error) {
	return typed(f, name, entity, feature.TypeTimestamp, func(v feature.Value) time.Time { return v.Timestamp().Time() })
}

// Bytes is Value of bytes: nil for NULL, which the status tells from a value, and where that is STALE or MASKED Value does.
func (f *Features) Bytes(name string, entity int) ([]byte, headwaterv1.ValueStatus, error) {
	return typed(f, name, entity, feature.TypeBytes, func(v feature.Value) []byte { return []byte(v.Str()) })
}

// Vector is Value of a vector: nil for NULL, which the status tells from a value, and where that is STALE or MASKED Value does.
func (f *Features) Vector(name string, entity int) ([]float32, headwaterv1.ValueStatus, error) {
	return typed(f, name, entity, feature.TypeVector, func(v feature.Value) []float32 { return v.AppendFloats(nil) })
}

// List is Value of a list, its elements of one type, and none of them NULL: nil for NULL, which the status tells from an empty list.
func (f *Features) List(name string, entity int) ([]feature.Value, headwaterv1.ValueStatus, error) {
	return typed(f, name, entity, feature.TypeList, func(v feature.Value) []feature.Value {
		elements := make([]feature.Value, 0, v.Len())
		for _, e := range v.Elements() {
			elements = append(elements, e)
		}
		return elements
	})
}
