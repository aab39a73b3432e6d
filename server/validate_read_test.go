package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// drawText is a text around the bounds of those in requests.
func drawText(most int, characters ...string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		n := rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(most-1, most+1), rapid.IntRange(0, 2*most)).Draw(t, "length")
		return strings.Repeat(rapid.SampledFrom(characters).Draw(t, "character"), n) + rapid.SampledFrom([]string{"", "", "a", "\n", "é"}).Draw(t, "end")
	})
}

func drawColumns(t *rapid.T, what string) map[string]*headwaterv1.KeyColumn {
	columns := map[string]*headwaterv1.KeyColumn{}
	for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"", "origin", "a b", `q"uote`, "é", "\x00", "new\nline", "\u202e"}), 0, 3).Draw(t, what) {
		n := rapid.OneOf(rapid.Just(0), rapid.IntRange(999, 1001))
		c := &headwaterv1.KeyColumn{
			Strings: make([]string, n.Draw(t, "strings")), Int64S: make([]int64, n.Draw(t, "int64s")), Values: make([]*headwaterv1.Value, n.Draw(t, "values")),
		}
		for i := range c.Values {
			c.Values[i] = &headwaterv1.Value{}
		}
		columns[name] = c
	}
	return columns
}

func drawRead(t *rapid.T) *headwaterv1.GetFeaturesRequest {
	r := &headwaterv1.GetFeaturesRequest{
		Service: drawText(5, "s").Draw(t, "service"), Keys: drawColumns(t, "keys"), Inputs: drawColumns(t, "inputs"),
		Purpose: drawText(maxPurpose, "p", "é", "\U0001F600").Draw(t, "purpose"), PredictionId: drawText(maxPredictionID, "p", "é").Draw(t, "prediction"),
		KeyMapping:     map[string]string{"a": ""},
		WithProvenance: rapid.Bool().Draw(t, "provenance"),
		Encoding:       headwaterv1.FeatureEncoding(rapid.IntRange(-1, 3).Draw(t, "encoding")),
		Features:       make([]string, rapid.OneOf(rapid.Just(0), rapid.IntRange(1999, 2001)).Draw(t, "features")),
		AllowPartial:   rapid.Bool().Draw(t, "partial"),
	}
	for range rapid.OneOf(rapid.IntRange(0, 2), rapid.IntRange(49, 51)).Draw(t, "joins") {
		r.Joins = append(r.Joins, &headwaterv1.FeatureJoin{
			Prefix: drawText(maxPrefix, "a", "_", "9", "Z", "é").Draw(t, "prefix"), KeyMapping: map[string]string{"": ""}, Views: []string{""},
		})
	}
	return r
}

func TestReadsAreValidatedAsTheirProtoSays(t *testing.T) {
	validator, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	g := &Guard{validator: validator}
	// The order in which the columns of a map are told of is not the proto's to say.
	told := func(err error) string {
		f := fault.As(err)
		if f == nil {
			return fmt.Sprint(err)
		}
		lines := []string{}
		for _, v := range f.Violations {
			lines = append(lines, v.Field+": "+v.Description)
		}
		slices.Sort(lines)
		return fmt.Sprint(f.Reason, " ", f.Message, "\n", strings.Join(lines, "\n"))
	}
	wrong := 0
	rapid.Check(t, func(t *rapid.T) {
		r := drawRead(t)
		want := told(g.validateByRules(r))
		if got := told(g.validate(r)); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
		if want != "<nil>" {
			wrong++
		}
	})
	if wrong == 0 {
		t.Error("no request was wrong")
	}
	if err := g.validate(features("s")); err != nil {
		t.Errorf("a request that is right: %v", err)
	}
}

// A rule that is added to the proto must be added to validateRead too.
func TestTheRulesOfReadsAreThoseKnown(t *testing.T) {
	var rules []string
	var walk func(m protoreflect.MessageDescriptor, at string, depth int)
	walk = func(m protoreflect.MessageDescriptor, at string, depth int) {
		if proto.Size(m.Options()) > 0 {
			rules = append(rules, at+" as a whole")
		}
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			name := at + "." + string(f.Name())
			if proto.Size(f.Options()) > 0 {
				rules = append(rules, name)
			}
			of := f
			if f.IsMap() {
				of = f.MapValue()
			}
			if of.Kind() == protoreflect.MessageKind && depth < 4 {
				walk(of.Message(), name, depth+1)
			}
		}
	}
	walk((&headwaterv1.GetFeaturesRequest{}).ProtoReflect().Descriptor(), "", 0)
	want := []string{
		".keys.values", ".keys.strings", ".keys.int64s", ".purpose", ".inputs.values", ".inputs.strings", ".inputs.int64s", ".features", ".joins",
		".joins.prefix", ".prediction_id",
	}
	if !slices.Equal(rules, want) {
		t.Errorf("the proto has rules for\n%q\nand validateRead knows\n%q", rules, want)
	}
}
