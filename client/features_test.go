package client_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
)

func TestFeaturesAreTyped(t *testing.T) {
	present, missing := headwaterv1.ValueStatus_VALUE_STATUS_PRESENT, headwaterv1.ValueStatus_VALUE_STATUS_NO_ROW
	vector := func(name string, v *headwaterv1.ValueVector) *headwaterv1.FeatureVector {
		v.Status = []headwaterv1.ValueStatus{present, missing}
		return &headwaterv1.FeatureVector{Name: name, Values: v}
	}
	at := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	same := &headwaterv1.FeatureVector{Name: "same", Values: &headwaterv1.ValueVector{
		Type: headwaterv1.ValueType_VALUE_TYPE_INT64, Int64S: []int64{5, 6}, StatusOfAll: headwaterv1.ValueStatus_VALUE_STATUS_STALE,
	}}
	embedding, err := feature.Vector(feature.VectorType(2), []float32{0.5, -1})
	if err != nil {
		t.Fatal(err)
	}
	stops, err := feature.List(feature.ListType(feature.TypeInt64), []feature.Value{feature.Int64(4), feature.Int64(7)})
	if err != nil {
		t.Fatal(err)
	}
	f := client.NewFeatures(&headwaterv1.GetFeaturesResponse{Features: []*headwaterv1.FeatureVector{
		vector("mean", &headwaterv1.ValueVector{Type: headwaterv1.ValueType_VALUE_TYPE_FLOAT64, Float64S: []float64{7.5, 0}}),
		vector("count", &headwaterv1.ValueVector{Type: headwaterv1.ValueType_VALUE_TYPE_INT64, Int64S: []int64{3, 0}}),
		vector("late", &headwaterv1.ValueVector{Type: headwaterv1.ValueType_VALUE_TYPE_BOOL, Bools: []bool{true, false}}),
		vector("words", &headwaterv1.ValueVector{Type: headwaterv1.ValueType_VALUE_TYPE_STRING, Strings: []string{"a", ""}}),
		vector("left_at", &headwaterv1.ValueVector{Type: headwaterv1.ValueType_VALUE_TYPE_TIMESTAMP, Timestamps: []int64{at.UnixMicro(), 0}}),
		same,
		vector("picture", valueAndNull(feature.TypeBytes, feature.Bytes("\x00\x01"))),
		vector("embedding", valueAndNull(feature.VectorType(2), embedding)),
		vector("stops", valueAndNull(feature.ListType(feature.TypeInt64), stops)),
	}})
	if f.Len() != 2 || len(f.Names()) != 9 || f.Names()[1] != "count" {
		t.Errorf("found %d entities of %v", f.Len(), f.Names())
	}
	for entity, status := range []headwaterv1.ValueStatus{present, missing} {
		there := entity == 0
		wantValue(t, there, 7.5, status)(f.Float64("mean", entity))
		wantValue(t, there, int64(3), status)(f.Int64("count", entity))
		wantValue(t, there, true, status)(f.Bool("late", entity))
		wantValue(t, there, "a", status)(f.String("words", entity))
		wantValue(t, there, at, status)(f.Timestamp("left_at", entity))
	}
	picture, _, err1 := f.Bytes("picture", 0)
	floats, _, err2 := f.Vector("embedding", 0)
	elements, _, err3 := f.List("stops", 0)
	if err := errors.Join(err1, err2, err3); err != nil || !slices.Equal(picture, []byte{0, 1}) || !slices.Equal(floats, []float32{0.5, -1}) ||
		len(elements) != 2 || elements[0].Int64() != 4 || elements[1].Int64() != 7 {
		t.Errorf("found %v, %v, %v, %v", picture, floats, elements, err)
	}
	if floats, status, err := f.Vector("embedding", 1); floats != nil || status != missing || err != nil {
		t.Errorf("found %v, %s, %v, expected no vector", floats, status, err)
	}
	wantValue(t, true, int64(6), headwaterv1.ValueStatus_VALUE_STATUS_STALE)(f.Int64("same", 1))
	// A value that is stale and one that is NULL and stale are told apart.
	same.Values.Int64S, same.Values.Nulls = []int64{0, 0}, []uint32{1}
	for entity, null := range []bool{false, true} {
		if v, status, err := f.Value("same", entity); err != nil || v.IsNull() != null || status != headwaterv1.ValueStatus_VALUE_STATUS_STALE {
			t.Errorf("found %s %s, %v of entity %d", v.Text(), status, err, entity)
		}
	}

	for name, c := range map[string]struct {
		read    func() error
		reason  fault.Reason
		message string
	}{
		"another type": {func() error { _, _, err := f.Int64("mean", 0); return err }, fault.InvalidArgument,
			"feature mean: found float64, expected int64; ask for it as what it is"},
		"no vector": {func() error { _, _, err := f.Vector("stops", 0); return err }, fault.InvalidArgument,
			"feature stops: found list(int64), expected a vector; ask for it as what it is"},
		"no list": {func() error { _, _, err := f.List("embedding", 0); return err }, fault.InvalidArgument,
			"feature embedding: found vector(2), expected a list; ask for it as what it is"},
		"no feature": {func() error { _, _, err := f.Int64("coutn", 0); return err }, fault.NotFound,
			"feature coutn: the answer has no such feature, expected one of the 9 it has; did you mean count?"},
		"no entity": {func() error { _, _, err := f.Int64("count", 2); return err }, fault.InvalidArgument,
			"feature count: found entity 2, expected one from 0 to 1"},
	} {
		if err := fault.As(c.read()); err == nil || err.Reason != c.reason || err.Message != c.message {
			t.Errorf("%s: found %v, expected %s", name, err, c.message)
		}
	}
}

// valueAndNull is a value and NULL.
func valueAndNull(t feature.Type, value feature.Value) *headwaterv1.ValueVector {
	v := wire.NewVector(t, 2)
	wire.SetVector(v, 0, value)
	wire.SetVector(v, 1, feature.Null())
	return v
}

// wantValue takes what a getter returns: want where there is a value, else the zero of its type, with the status.
func wantValue[T comparable](t *testing.T, there bool, want T, status headwaterv1.ValueStatus) func(T, headwaterv1.ValueStatus, error) {
	t.Helper()
	return func(got T, s headwaterv1.ValueStatus, err error) {
		t.Helper()
		if !there {
			want = *new(T)
		}
		if err != nil || got != want || s != status {
			t.Errorf("found %v, %s, %v, expected %v, %s", got, s, err, want, status)
		}
	}
}
