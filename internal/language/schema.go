package language

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// Schema is the JSON Schema of a file of definitions, draft 7, which editors know best. It takes what the reader of
// definitions takes, as far as one key tells.
func (l *Language) Schema(string) (string, error) {
	messages := map[string]any{"value": map[string]any{
		"description": "A value of a column: a boolean, a number, a text, a list of these, or null.",
		"type":        []string{"boolean", "number", "string", "array", "null"},
		"items":       map[string]any{"$ref": "#/definitions/value"},
	}}
	list := Root().ParentFile().Messages()
	for i := range list.Len() {
		m := list.Get(i)
		schema, err := l.message(m)
		if err != nil {
			return "", err
		}
		messages[string(m.Name())] = schema
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(map[string]any{
		"$schema": "http://json-schema.org/draft-07/schema#",
		"$id":     "https://raw.githubusercontent.com/headwaterhq/headwater/main/" + schemaFile,
		"title":   "Definitions of Headwater",
		// A file may be empty.
		"anyOf":       []any{map[string]any{"$ref": "#/definitions/" + string(Root().Name())}, map[string]any{"type": "null"}},
		"definitions": messages,
	})
	return b.String(), err
}

func (l *Language) message(m protoreflect.MessageDescriptor) (map[string]any, error) {
	properties := map[string]any{}
	var required []string
	for _, k := range l.Keys(m) {
		property, err := l.property(k)
		if err != nil {
			return nil, err
		}
		properties[string(k.Field.Name())] = property
		if k.Required {
			required = append(required, string(k.Field.Name()))
		}
	}
	schema := map[string]any{
		"title": string(m.Name()), "type": "object", "properties": properties, "additionalProperties": false,
	}
	if words := plainWords(l.comments[m.FullName()]); words != "" {
		schema["description"] = words
	}
	if len(required) > 0 {
		schema["required"] = required
	}
	if len(properties) == 0 {
		schema["type"] = []string{"object", "null"}
	}
	for i := range m.Oneofs().Len() {
		if m.Oneofs().Get(i).IsSynthetic() {
			continue
		}
		var choices []any
		for j := range m.Oneofs().Get(i).Fields().Len() {
			choices = append(choices, map[string]any{"required": []string{string(m.Oneofs().Get(i).Fields().Get(j).Name())}})
		}
		if !oneRequired(m.Oneofs().Get(i)) {
			return nil, fmt.Errorf("%s: found a oneof of which none is required, which the schema has no words for", m.FullName())
		}
		schema["oneOf"] = choices
	}
	return schema, nil
}

var (
	markdownLink = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
	quotedOnly   = regexp.MustCompile("^`([^`]*)`$")
)

// plainWords is a comment as text.
func plainWords(comment string) string { return markdownLink.ReplaceAllString(comment, "$1") }

func (l *Language) property(k Key) (map[string]any, error) {
	item, err := single(k.Field)
	if err != nil {
		return nil, err
	}
	property := item
	if r := rulesOf(k.Field).GetRepeated(); k.Field.IsList() {
		property = map[string]any{"type": "array", "items": item}
		if r.GetMinItems() > 0 {
			property["minItems"] = r.GetMinItems()
		}
		if r.GetMaxItems() > 0 {
			property["maxItems"] = r.GetMaxItems()
		}
		if r.GetUnique() {
			property["uniqueItems"] = true
		}
	}
	if ref, ok := property["$ref"]; ok {
		// What stands beside a reference is not looked at.
		property = map[string]any{"allOf": []any{map[string]any{"$ref": ref}}}
	}
	property["title"] = strings.ReplaceAll(string(k.Field.Name()), "_", " ")
	words := plainWords(k.Meaning)
	switch m := quotedOnly.FindStringSubmatch(k.Default); {
	case m != nil && k.Field.Kind() == protoreflect.StringKind && !strings.Contains(m[1], "__"):
		property["default"] = m[1]
	case k.Default != "":
		words += " Absent: " + k.Default + "."
	}
	property["description"] = words
	return property, nil
}

const (
	durationPattern = `^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`
	timePattern     = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[-+][0-9]{2}:[0-9]{2})$`
	// typePattern is what ParseType takes, but for the limits of its numbers.
	typePattern = `^(PLAIN|decimal\( *[0-9]+ *, *[0-9]+ *\)|list\( *(PLAIN|decimal\( *[0-9]+ *, *[0-9]+ *\)) *\)|vector\( *[0-9]+ *\))$`
)

// types are the keys that hold a type.
var types = map[protoreflect.FullName]bool{
	"headwater.v1.Column.type": true, "headwater.v1.Feature.type": true, "headwater.v1.RequestInput.type": true,
}

// words are the closed lists of the keys that have one.
var words = map[protoreflect.FullName][]string{
	"headwater.v1.JoinKey.type":           {feature.TypeString.String(), feature.TypeInt64.String()},
	"headwater.v1.Source.corrections":     {feature.Restate.String(), feature.Arrive.String()},
	"headwater.v1.Source.schema_changes":  {"refuse", "ignore_new_columns"},
	"headwater.v1.Duplicates.exact":       {feature.DropExact.String(), feature.FailExact.String()},
	"headwater.v1.Duplicates.conflicting": {feature.FailConflicting.String(), feature.KeepNewest.String(), feature.KeepOldest.String()},
	"headwater.v1.Source.null_event_time": {"refuse", "quarantine", "drop"},
	"headwater.v1.Expectation.on_failure": {"quarantine", "drop", "fail", "keep"},
	"headwater.v1.Aggregate.function":     feature.AggregateFunctionNames(),
	"headwater.v1.Grant.actions":          feature.Actions(),
	"headwater.v1.Grant.effect":           {"allow", "deny"},
	"headwater.v1.Requirement.uses":       feature.Uses(),
	"headwater.v1.TruncateMask.to":        feature.TruncateUnits(),
}

// single is the schema of one value of a field: of an item for a list.
func single(field protoreflect.FieldDescriptor) (map[string]any, error) {
	if field.IsMap() {
		value, err := single(field.MapValue())
		if field.FullName() == "headwater.v1.TestAnswer.statuses" {
			value = map[string]any{"enum": statuses()}
		}
		return map[string]any{"type": "object", "additionalProperties": value}, err
	}
	switch field.Kind() {
	case protoreflect.StringKind:
		return text(field), nil
	case protoreflect.BoolKind:
		return map[string]any{"type": "boolean"}, nil
	case protoreflect.DoubleKind:
		return map[string]any{"type": "number"}, nil
	case protoreflect.Int64Kind:
		return map[string]any{"type": "integer", "minimum": 0}, nil
	case protoreflect.Int32Kind:
		return map[string]any{"type": "integer", "minimum": 0, "maximum": 1<<31 - 1}, nil
	case protoreflect.MessageKind:
		switch field.Message().FullName() {
		case durationName:
			return map[string]any{"type": "string", "pattern": durationPattern, "examples": []string{"90m", "24h"}}, nil
		case timestampName:
			return map[string]any{"type": "string", "pattern": timePattern}, nil
		case structName:
			return map[string]any{"type": "object", "additionalProperties": map[string]any{"$ref": "#/definitions/value"}}, nil
		case valueName:
			return map[string]any{"$ref": "#/definitions/value"}, nil
		case listName:
			return map[string]any{"type": "array", "items": map[string]any{"type": "string", "minLength": 1}}, nil
		}
		if field.Message().ParentFile() == Root().ParentFile() {
			return map[string]any{"$ref": "#/definitions/" + string(field.Message().Name())}, nil
		}
	}
	return nil, fmt.Errorf("%s has a type that the schema has no words for", field.FullName())
}

func text(field protoreflect.FieldDescriptor) map[string]any {
	schema := map[string]any{"type": "string"}
	rules := rulesOf(field)
	r := rules.GetString()
	if field.IsList() {
		r = rules.GetRepeated().GetItems().GetString()
	}
	switch list, closed := words[field.FullName()]; {
	case closed:
		schema["enum"] = list
	case types[field.FullName()]:
		var plain []string
		for _, t := range feature.PlainTypes() {
			plain = append(plain, t.String())
		}
		schema["pattern"] = strings.ReplaceAll(typePattern, "PLAIN", "("+strings.Join(plain, "|")+")")
		schema["examples"] = append(plain, "decimal(10, 2)", "list(string)", "vector(16)")
	case r.GetPattern() != "":
		schema["pattern"] = r.GetPattern()
	case r.GetMinLen() > 0:
		schema["minLength"] = r.GetMinLen()
	}
	if r.GetMaxLen() > 0 {
		schema["maxLength"] = r.GetMaxLen()
	}
	return schema
}

// statuses are those that a value can have.
func statuses() []string {
	var names []string
	for i := range int32(len(headwaterv1.ValueStatus_name)) {
		if i > 0 {
			names = append(names, strings.TrimPrefix(headwaterv1.ValueStatus_name[i], "VALUE_STATUS_"))
		}
	}
	return names
}
