package server

import (
	"math"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/grpccodec"
)

// checkRequest reads any bytes: what readRequest takes is what the generated code makes of it.
func checkRequest(t interface {
	Helper()
	Fatalf(string, ...any)
}, message []byte) (taken bool) {
	t.Helper()
	got, want := &headwaterv1.GetFeaturesRequest{}, &headwaterv1.GetFeaturesRequest{}
	if !readRequest(message, got) {
		return false
	}
	if err := proto.Unmarshal(message, want); err != nil || !proto.Equal(got, want) {
		t.Fatalf("% x: found    %v\nexpected %v, %v", message, got, want, err)
	}
	return true
}

func drawRequest(t *rapid.T) *headwaterv1.GetFeaturesRequest {
	text := rapid.String()
	r := &headwaterv1.GetFeaturesRequest{
		Service: text.Draw(t, "service"), Purpose: text.Draw(t, "purpose"), WithProvenance: rapid.Bool().Draw(t, "provenance"),
		AllowPartial: rapid.Bool().Draw(t, "partial"), Encoding: headwaterv1.FeatureEncoding(rapid.Int32Range(-1, 2).Draw(t, "encoding")),
		PredictionId: text.Draw(t, "prediction"), KeyMapping: rapid.MapOfN(text, text, 0, 3).Draw(t, "mapping"),
		Keys: map[string]*headwaterv1.KeyColumn{},
	}
	for range rapid.IntRange(0, 3).Draw(t, "columns") {
		column := &headwaterv1.KeyColumn{}
		switch rapid.IntRange(0, 2).Draw(t, "list") {
		case 0:
			column.Strings = rapid.SliceOf(text).Draw(t, "texts")
		case 1:
			column.Int64S = rapid.SliceOf(rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, -1, 0, math.MaxInt64}))).Draw(t, "numbers")
		}
		r.Keys[text.Draw(t, "name")] = column
	}
	return r
}

func TestRequestsAreReadAsTheGeneratedCodeDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		message, err := proto.Marshal(drawRequest(t))
		if err != nil {
			t.Fatal(err)
		}
		if !checkRequest(t, message) {
			t.Fatalf("% x was left to the generated code", message)
		}
		// One after the other are one message, and what is damaged is another or none.
		second, err := proto.Marshal(drawRequest(t))
		if err != nil {
			t.Fatal(err)
		}
		checkRequest(t, append(message[:len(message):len(message)], second...))
		if len(message) > 0 {
			message[rapid.IntRange(0, len(message)-1).Draw(t, "at")] ^= rapid.ByteRange(1, 255).Draw(t, "change")
			checkRequest(t, message[:rapid.IntRange(0, len(message)).Draw(t, "length")])
		}
	})
}

func TestOtherRequestsAreForTheGeneratedCode(t *testing.T) {
	for name, r := range map[string]*headwaterv1.GetFeaturesRequest{
		"values":   {Keys: map[string]*headwaterv1.KeyColumn{"k": texts("a")}},
		"inputs":   {Inputs: map[string]*headwaterv1.KeyColumn{"k": {Strings: []string{"a"}}}},
		"features": {Features: []string{"v.f"}},
		"joins":    {Joins: []*headwaterv1.FeatureJoin{{Prefix: "home_"}}},
	} {
		message, err := proto.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if readRequest(message, &headwaterv1.GetFeaturesRequest{}) {
			t.Errorf("%s: found that it was read", name)
		}
		read := &headwaterv1.GetFeaturesRequest{}
		// As one buffer and as several.
		in := mem.BufferSlice{mem.SliceBuffer(message)}
		if len(message) > 2 && name == "values" {
			in = mem.BufferSlice{mem.SliceBuffer(message[:2]), mem.SliceBuffer(message[2:])}
		}
		if err := grpccodec.New().Unmarshal(in, requestReader{read}); err != nil || !proto.Equal(read, r) {
			t.Errorf("%s: found %v, %v", name, read, err)
		}
	}
}

func FuzzReadRequest(f *testing.F) {
	for _, r := range []*headwaterv1.GetFeaturesRequest{
		{},
		{Service: "s@2", Purpose: "p", PredictionId: "x", KeyMapping: map[string]string{"k": "c"}, Encoding: 1, AllowPartial: true},
		{Service: "s", Keys: map[string]*headwaterv1.KeyColumn{"a": {Strings: []string{"", "b"}}, "n": {Int64S: []int64{0, -1, 1 << 40}}}},
		{Keys: map[string]*headwaterv1.KeyColumn{"a": texts("a")}, Features: []string{"v"}},
	} {
		message, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message []byte) { checkRequest(t, message) })
}
