package definition

import (
	"errors"
	"fmt"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// checkRules holds a file to the rules of the proto. Fields are those of the file.
func checkRules(file *headwaterv1.DefinitionFile) []fault.Violation {
	violations := checkTexts(nil, "", file.ProtoReflect())
	err := protovalidate.Validate(file)
	if err == nil {
		return violations
	}
	var broken *protovalidate.ValidationError
	if !errors.As(err, &broken) {
		return []fault.Violation{{Description: "cannot be held to the rules of definitions: " + err.Error()}}
	}
	for _, v := range broken.Violations[:min(len(broken.Violations), maxTold)] {
		violations = append(violations, fault.Violation{
			Field: protovalidate.FieldPathString(v.Proto.GetField()), Description: describeRule(v),
		})
	}
	return violations
}

// checkTexts adds the texts of m that no store can hold, since Postgres has no NUL in text and in jsonb. at is the path of m,
// or "". Values of any type are those of the key they stand for.
func checkTexts(violations []fault.Violation, at string, m protoreflect.Message) []fault.Violation {
	check := func(path string, of protoreflect.FieldDescriptor, v protoreflect.Value) {
		switch {
		case of.Kind() == protoreflect.StringKind:
			if err := feature.CheckText(v.String()); err != nil && len(violations) < maxTold {
				violations = append(violations, fault.Violation{Field: path, Description: err.Error()})
			}
		case of.Kind() == protoreflect.MessageKind && of.Message().ParentFile().Package() == "google.protobuf":
			before := len(violations)
			if violations = checkTexts(violations, path, v.Message()); len(violations) > before {
				violations = violations[:before+1]
				violations[before].Field = path
			}
		case of.Kind() == protoreflect.MessageKind:
			violations = checkTexts(violations, path, v.Message())
		}
	}
	if at != "" {
		at += "."
	}
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		path := at + string(field.Name())
		switch {
		case field.IsList():
			for i := range v.List().Len() {
				check(indexed(path, i), field, v.List().Get(i))
			}
		case field.IsMap():
			v.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
				entry := fmt.Sprintf("%s[%q]", path, key.String())
				check(entry, field.MapKey(), key.Value())
				check(entry, field.MapValue(), v)
				return true
			})
		default:
			check(path, field, v)
		}
		return true
	})
	return violations
}

// describeRule says of a broken rule what was found and what was expected. The rules are those that definition.proto
// uses; for another, the words of the library do.
func describeRule(v *protovalidate.Violation) string {
	name := "a value"
	if v.FieldDescriptor != nil {
		name = string(v.FieldDescriptor.Name())
	}
	limit := ""
	if v.RuleValue.IsValid() {
		limit = fmt.Sprint(v.RuleValue.Interface())
	}
	switch rule := v.Proto.GetRuleId(); {
	case rule == "string.pattern" && v.FieldValue.IsValid() && v.FieldValue.String() == "":
		return fmt.Sprintf("found no %s, expected one", name)
	case rule == "string.pattern" && name == "view":
		return fmt.Sprintf("found the view %.100q, expected NAME or NAME@VERSION, such as airport_delays@2", v.FieldValue.String())
	case rule == "string.pattern":
		return fmt.Sprintf("found the name %.100q, expected lower-case letters, digits and underscores, a letter first", v.FieldValue.String())
	case rule == "string.max_len" && name == "query":
		return fmt.Sprintf("found SQL of more than %s characters, expected less", limit)
	case rule == "string.max_len":
		return fmt.Sprintf("found a %s of more than %s characters, expected at most %s", name, limit, limit)
	case rule == "string.min_len":
		return fmt.Sprintf("found no %s, expected one", name)
	case rule == "repeated.min_items":
		return fmt.Sprintf("found no %s, expected at least %s", name, limit)
	case rule == "repeated.max_items":
		return fmt.Sprintf("found more than %s %s, expected at most %s", limit, name, limit)
	case rule == "map.max_pairs":
		return fmt.Sprintf("found more than %s %s, expected at most %s", limit, name, limit)
	case rule == "repeated.unique":
		return fmt.Sprintf("found one of the %s a second time, expected each once", name)
	case rule == "duration.gt":
		return fmt.Sprintf("found a %s that is not above zero, expected a duration such as 24h; leave it out for none", name)
	case strings.HasPrefix(rule, "double.") && v.FieldValue.IsValid():
		return fmt.Sprintf("found %g for %s, expected a share from 0 to 1", v.FieldValue.Float(), name)
	case (strings.HasPrefix(rule, "int32.") || strings.HasPrefix(rule, "int64.")) && v.FieldValue.IsValid():
		return fmt.Sprintf("found %d for %s, expected %s", v.FieldValue.Int(), name, wholeRange(rule, v.FieldDescriptor))
	case rule == "required":
		if choices := oneofChoices(v); choices != "" {
			return "found none of " + choices + ", expected one of them"
		}
		return fmt.Sprintf("found no %s, expected one", name)
	}
	return v.Proto.GetMessage()
}

// oneofChoices are the keys of the oneof whose rule is broken, or "".
func oneofChoices(v *protovalidate.Violation) string {
	elements := v.Proto.GetField().GetElements()
	if len(elements) == 0 || v.FieldDescriptor != nil && v.FieldDescriptor.Name() == protoreflect.Name(elements[len(elements)-1].GetFieldName()) {
		return ""
	}
	var m protoreflect.MessageDescriptor = (&headwaterv1.DefinitionFile{}).ProtoReflect().Descriptor()
	for _, e := range elements[:len(elements)-1] {
		field := m.Fields().ByName(protoreflect.Name(e.GetFieldName()))
		if field == nil || field.Message() == nil {
			return ""
		}
		m = field.Message()
	}
	oneof := m.Oneofs().ByName(protoreflect.Name(elements[len(elements)-1].GetFieldName()))
	if oneof == nil {
		return ""
	}
	var names []string
	for i := range oneof.Fields().Len() {
		names = append(names, string(oneof.Fields().Get(i).Name()))
	}
	return strings.Join(names, ", ")
}

// wholeRange is the numbers that a rule lets through.
func wholeRange(rule string, field protoreflect.FieldDescriptor) string {
	least, most := "0", ""
	if rules, ok := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules); ok && strings.HasPrefix(rule, "int32.") {
		if n := rules.GetInt32(); n.HasLte() {
			most = " and at most " + fmt.Sprint(n.GetLte())
		}
	}
	return "at least " + least + most
}
