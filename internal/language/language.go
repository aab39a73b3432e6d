package language

import (
	"fmt"
	"regexp"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// Language is what the files of definitions may hold.
type Language struct {
	comments map[protoreflect.FullName]string
}

// Root is the message that a file is.
func Root() protoreflect.MessageDescriptor {
	return (&headwaterv1.DefinitionFile{}).ProtoReflect().Descriptor()
}

// New takes the text of definition.proto. An error says which declaration it misses or does not know.
func New(definitionProto string) (*Language, error) {
	comments, err := readComments(definitionProto)
	if err != nil {
		return nil, err
	}
	l := &Language{comments: comments}
	var missing []string
	file := Root().ParentFile()
	var visit func(list protoreflect.MessageDescriptors)
	visit = func(list protoreflect.MessageDescriptors) {
		for i := range list.Len() {
			m := list.Get(i)
			if m.IsMapEntry() {
				continue
			}
			for j := range m.Fields().Len() {
				if name := m.Fields().Get(j).FullName(); !has(comments, name) {
					missing = append(missing, string(name))
				}
			}
			visit(m.Messages())
		}
	}
	visit(file.Messages())
	if len(missing) > 0 {
		return nil, fmt.Errorf("definition.proto: found no declaration of %s; generate code first", strings.Join(missing, ", "))
	}
	return l, nil
}

func has[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
}

var (
	messageLine = regexp.MustCompile(`^message (\w+) \{(\})?`)
	oneofLine   = regexp.MustCompile(`^oneof \w+ \{`)
	fieldLine   = regexp.MustCompile(`^(?:repeated |optional )?(?:map<[^>]*>|[\w.]+) (\w+) = \d+`)
)

// readComments reads the comment before each message and field. buf formats the file, so that a declaration begins a line.
func readComments(text string) (map[protoreflect.FullName]string, error) {
	comments := map[protoreflect.FullName]string{}
	name := Root().ParentFile().Package()
	// depth counts braces inside the message; the fields of a oneof are the message's.
	depth := 0
	message := protoreflect.FullName("")
	var pending []string
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if comment, ok := strings.CutPrefix(line, "//"); ok {
			pending = append(pending, strings.TrimSpace(comment))
			continue
		}
		words := strings.Join(pending, " ")
		pending = nil
		switch m := messageLine.FindStringSubmatch(line); {
		case m != nil && message != "":
			return nil, fmt.Errorf("definition.proto:%d: found a message within a message, expected none", i+1)
		case m != nil:
			comments[name.Append(protoreflect.Name(m[1]))] = words
			if m[2] == "" {
				message = name.Append(protoreflect.Name(m[1]))
			}
		case message == "":
		case line == "}" && depth == 0:
			message = ""
		case oneofLine.MatchString(line):
			depth++
		default:
			if f := fieldLine.FindStringSubmatch(line); f != nil {
				comments[message.Append(protoreflect.Name(f[1]))] = words
			}
			depth += strings.Count(line, "{") - strings.Count(line, "}")
		}
	}
	return comments, nil
}

// Key is one key of a message.
type Key struct {
	Field protoreflect.FieldDescriptor
	// Meaning is Markdown, of one line.
	Meaning string
	// Default is what holds when it is absent, and "" where nothing is said.
	Default string
	// Required says that it may not be absent. A key of a oneof is not, by itself.
	Required bool
}

// Keys are those of a message, in their order.
func (l *Language) Keys(m protoreflect.MessageDescriptor) []Key {
	var keys []Key
	for i := range m.Fields().Len() {
		keys = append(keys, l.key(m.Fields().Get(i)))
	}
	return keys
}

var (
	absentSentence   = regexp.MustCompile(`(?:^| )(?:Absent: |Default )((?:[^.]|\.\S)*)\.(?: |$)`)
	requiredSentence = regexp.MustCompile(`(?:^| )Required\.(?: |$)`)
)

func (l *Language) key(field protoreflect.FieldDescriptor) Key {
	k := Key{Field: field, Meaning: l.comments[field.FullName()]}
	if m := absentSentence.FindStringSubmatchIndex(k.Meaning); m != nil {
		k.Default = k.Meaning[m[2]:m[3]]
		k.Meaning = strings.TrimSpace(k.Meaning[:m[0]] + " " + k.Meaning[m[1]:])
	}
	if at := requiredSentence.FindStringIndex(k.Meaning); at != nil {
		k.Required = true
		k.Meaning = strings.TrimSpace(k.Meaning[:at[0]] + " " + k.Meaning[at[1]:])
	}
	r := rulesOf(field)
	k.Required = k.Required || r.GetRequired() || r.GetString().GetMinLen() > 0 || r.GetRepeated().GetMinItems() > 0 ||
		r.GetString().GetPattern() != "" && !regexp.MustCompile(r.GetString().GetPattern()).MatchString("")
	return k
}

// rulesOf are the rules of a field; of none, there are none.
func rulesOf(field protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// oneRequired reports whether one of the keys of a oneof must be there.
func oneRequired(oneof protoreflect.OneofDescriptor) bool {
	rules, _ := proto.GetExtension(oneof.Options(), validate.E_Oneof).(*validate.OneofRules)
	return rules.GetRequired()
}

// ours reports whether a field holds a message of definitions, and not one of protobuf's own such as a duration.
func ours(field protoreflect.FieldDescriptor) bool {
	return field.Message() != nil && !field.IsMap() && field.Message().ParentFile() == Root().ParentFile()
}

// Proto is what all is made from.
const Proto = "proto/headwater/v1/definition.proto"

// Generated makes each file, named from the repository's root, out of what it is now.
var Generated = map[string]func(l *Language, now string) (string, error){
	"docs/definitions.md": (*Language).Page,
	schemaFile:            (*Language).Schema,
}

const schemaFile = "definition/headwater.schema.json"
