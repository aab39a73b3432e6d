package server

import (
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// validate holds a message to the rules in its proto: nil, or an INVALID_ARGUMENT fault with a violation for each field
// that breaks one.
func (g *Guard) validate(message any) error {
	switch m := message.(type) {
	case *headwaterv1.GetFeaturesRequest:
		return validateRead(m)
	case *headwaterv1.StreamFeaturesRequest:
		// What is wrong with it is its answer, and not the stream's end; see Guard.Read.
		return nil
	}
	return g.validateByRules(message)
}

func (g *Guard) validateByRules(message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("found a message of type %T, expected a protobuf message", message)
	}
	err := g.validator.Validate(m)
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("validate %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	f := fault.New(fault.InvalidArgument, "the request does not hold to its rules")
	for _, v := range invalid.Violations {
		f.Violating(fault.Violation{
			Field:       protovalidate.FieldPathString(v.Proto.GetField()),
			Description: found(v) + v.Proto.GetMessage(),
		})
	}
	return f
}

const maxFound = 64

// found shows the value of a field, as long as it is short; what was expected follows it.
func found(v *protovalidate.Violation) string {
	if v.FieldDescriptor == nil || !v.FieldValue.IsValid() || v.FieldDescriptor.IsMap() {
		return ""
	}
	switch value := v.FieldValue.Interface().(type) {
	case string:
		return foundText(value)
	case int32, int64, uint32, uint64, float32, float64, bool:
		return fmt.Sprintf("found %v: ", value)
	case protoreflect.EnumNumber:
		if e := v.FieldDescriptor.Enum().Values().ByNumber(value); e != nil {
			return fmt.Sprintf("found %s: ", e.Name())
		}
		return fmt.Sprintf("found %d: ", value)
	case protoreflect.List:
		return fmt.Sprintf("found %d of them: ", value.Len())
	}
	return ""
}

func foundText(s string) string {
	if len(s) > maxFound {
		return fmt.Sprintf("found a text of %d bytes: ", len(s))
	}
	return fmt.Sprintf("found %q: ", access.WithoutSecrets(s))
}

// errNoTime refuses a timestamp whose seconds or nanoseconds are out of bounds.
func errNoTime(field string) error {
	return fault.New(fault.InvalidArgument, "the request does not hold to its rules").Violating(fault.Violation{
		Field: field, Description: "found a time that is none, expected one in the years 1 to 9999",
	})
}
