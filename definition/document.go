package definition

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protoyaml"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// maxDepth is how deep a file may nest. The deepest definition is at 9.
const maxDepth = 32

// maxNodes is how many keys and values a file may have, and maxDocuments how many empty documents beside the one that is
// not. Reading takes time in proportion to them.
const (
	maxNodes     = 200_000
	maxDocuments = 100
)

// maxViolations is how many violations are told at once.
const maxViolations = 50

// document is one YAML file: its tree for positions, its message for meaning.
type document struct {
	path string
	// lines are the text's, with their breaks.
	lines []string
	// root is the tree's top mapping; nil for a file without content.
	root *yaml.Node
	file *headwaterv1.DefinitionFile
}

// parse reads one file. Its violations have places; with any, the document is of use for nothing.
func parse(path string, data []byte) (*document, []fault.Violation) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	p := &parser{document: document{path: path, lines: splitLines(string(data)), file: &headwaterv1.DefinitionFile{}}}
	if utf8.Valid(data) {
		p.parse(data)
	} else {
		p.at(&yaml.Node{Line: 1, Column: 1}, "found text that is not UTF-8, expected UTF-8; save the file as such")
	}
	return &p.document, p.violations
}

// splitLines cuts a text into lines, with their breaks, where YAML does.
func splitLines(text string) []string {
	var lines []string
	start := 0
	for i, r := range text {
		switch end := i + utf8.RuneLen(r); {
		case r == '\r' && strings.HasPrefix(text[end:], "\n"):
		case r == '\n', r == '\r', r == '\u0085', r == '\u2028', r == '\u2029':
			lines = append(lines, text[start:end])
			start = end
		}
	}
	return append(lines, text[start:])
}

type parser struct {
	document
	violations []fault.Violation
}

// at adds a violation at a node.
func (p *parser) at(n *yaml.Node, format string, args ...any) {
	if len(p.violations) == maxViolations {
		return
	}
	p.violations = append(p.violations, fault.Violation{
		File: p.path, Line: n.Line, Column: n.Column, Description: fmt.Sprintf(format, args...),
	})
}

func (p *parser) parse(data []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for documents := 0; ; documents++ {
		var tree yaml.Node
		err := decoder.Decode(&tree)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			p.syntax(err)
			return
		}
		if documents == maxDocuments {
			p.at(&tree, "found more than %d documents, expected one per file; split the file", maxDocuments)
			return
		}
		if len(tree.Content) != 1 || tree.Content[0].Tag == "!!null" && tree.Content[0].Value == "" {
			continue
		}
		if p.root != nil {
			p.at(&tree, "found a second document, expected one per file; join them, or split the file")
			return
		}
		p.root = tree.Content[0]
	}
	if p.root == nil {
		return
	}
	if beyond := nodeBeyond(p.root, maxNodes); beyond != nil {
		p.at(beyond, "found more than %d keys and values, expected fewer; split the file", maxNodes)
		return
	}
	p.message(p.root, p.file.ProtoReflect().Descriptor(), 0)
	if len(p.violations) > 0 {
		return
	}
	// The tree has been found to be all that Unmarshal takes, which reads the first document of a text.
	content := strings.Join(p.lines[p.root.Line-1:], "")
	if err := (protoyaml.UnmarshalOptions{}).Unmarshal([]byte(content), p.file); err != nil {
		p.unmarshalling(err)
	}
}

// nodeBeyond is the node after the first most of a tree, or nil. The parser of YAML bounds how deep a tree is.
func nodeBeyond(n *yaml.Node, most int) *yaml.Node {
	left := most
	var visit func(n *yaml.Node) *yaml.Node
	visit = func(n *yaml.Node) *yaml.Node {
		if left == 0 {
			return n
		}
		left--
		for _, inner := range n.Content {
			if beyond := visit(inner); beyond != nil {
				return beyond
			}
		}
		return nil
	}
	return visit(n)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// countedFromZero are the messages for which the YAML parser gives the number of lines before, and not that of the line.
var countedFromZero = regexp.MustCompile(`^did not find expected (<document start>|node content|'-' indicator|key|',' or)`)

// syntax reports an error of the YAML parser. It knows the line in which what it was reading begins, and no column.
func (p *parser) syntax(err error) {
	v := fault.Violation{File: p.path, Line: 1, Description: "found text that is not YAML: " + err.Error()}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			v.Line = n
			if countedFromZero.MatchString(m[2]) {
				v.Line++
			}
		}
		v.Description = "found text that is not YAML: " + m[2] + "; check indentation (spaces only), colons, brackets and quotes from this line on"
	}
	p.violations = append(p.violations, v)
}

var unmarshalPlace = regexp.MustCompile(`(?s)^:(\d+):(\d+) ([^\n]*)`)

func (p *parser) unmarshalling(err error) {
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	for _, err := range list {
		v := fault.Violation{File: p.path, Description: err.Error()}
		if m := unmarshalPlace.FindStringSubmatch(err.Error()); m != nil {
			v.Line, _ = strconv.Atoi(m[1])
			v.Column, _ = strconv.Atoi(m[2])
			v.Description = m[3]
		}
		p.violations = append(p.violations, v)
	}
}

// plain refuses what YAML has and definitions have not.
func (p *parser) plain(n *yaml.Node, depth int) bool {
	switch {
	case depth > maxDepth:
		p.at(n, "found more than %d levels, expected fewer: no definition nests as deep", maxDepth)
	case n.Kind == yaml.AliasNode:
		p.at(n, "found the alias *%.60s, expected the value itself: definitions have no aliases", n.Value)
	case n.Anchor != "":
		p.at(n, "found the anchor &%.60s, expected a value without one: definitions have no aliases", n.Anchor)
	default:
		return true
	}
	return false
}

// message checks that a node can be a message: a mapping of its fields' names, each once.
func (p *parser) message(n *yaml.Node, m protoreflect.MessageDescriptor, depth int) {
	if !p.plain(n, depth) {
		return
	}
	if m.Fields().Len() == 0 && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		p.at(n, "found %s, expected %s", describe(n), fieldsOf(m))
		return
	}
	seen := map[string]int{}
	oneofs := map[protoreflect.FullName]string{}
	for i := 0; i+1 < len(n.Content) && len(p.violations) < maxViolations; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !p.plain(key, depth+1) {
			continue
		}
		var field protoreflect.FieldDescriptor
		if key.Kind == yaml.ScalarNode {
			field = m.Fields().ByName(protoreflect.Name(key.Value))
		}
		if field == nil {
			if i == 0 || !p.cutValue(n.Content[i-1], key) {
				p.unknownKey(key, m)
			}
			continue
		}
		if line, ok := seen[key.Value]; ok {
			p.at(key, "found %s a second time (the first is in line %d), expected each key once", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		if oneof := field.ContainingOneof(); oneof != nil {
			if other, ok := oneofs[oneof.FullName()]; ok {
				p.at(key, "found %s beside %s, expected one of them", key.Value, other)
				continue
			}
			oneofs[oneof.FullName()] = key.Value
		}
		p.field(value, field, depth+1)
	}
}

// cutValue reports whether a key is the end of the value before it, which a comma in it ended: `{type: decimal(12, 2)}`.
func (p *parser) cutValue(before, key *yaml.Node) bool {
	if key.Kind != yaml.ScalarNode || before.Kind != yaml.ScalarNode || !strings.HasSuffix(key.Value, ")") ||
		strings.Count(before.Value, "(") <= strings.Count(before.Value, ")") {
		return false
	}
	p.at(key, "found %.60q behind a comma, which ends a value in {…}, expected a key; write the value in quotes: \"%.60s, %.60s\"",
		key.Value, before.Value, key.Value)
	return true
}

func (p *parser) unknownKey(key *yaml.Node, m protoreflect.MessageDescriptor) {
	if key.Kind != yaml.ScalarNode {
		p.at(key, "found %s as a key, expected %s", describe(key), fieldsOf(m))
		return
	}
	if near, ok := feature.Nearest(key.Value, fieldNames(m)); ok {
		p.at(key, "found the unknown key %.60q; did you mean %s?", key.Value, near)
		return
	}
	p.at(key, "found the unknown key %.60q, expected %s", key.Value, fieldsOf(m))
}

func fieldNames(m protoreflect.MessageDescriptor) []string {
	names := make([]string, m.Fields().Len())
	for i := range names {
		names[i] = string(m.Fields().Get(i).Name())
	}
	return names
}

// fieldsOf says what a message looks like.
func fieldsOf(m protoreflect.MessageDescriptor) string {
	names := fieldNames(m)
	if len(names) == 0 {
		return "{}, which has no keys"
	}
	return "keys out of " + strings.Join(names, ", ")
}

func (p *parser) field(n *yaml.Node, field protoreflect.FieldDescriptor, depth int) {
	if !p.plain(n, depth) {
		return
	}
	if field.IsMap() {
		p.mapping(n, field, depth)
		return
	}
	if !field.IsList() {
		p.single(n, field, depth)
		return
	}
	if n.Kind != yaml.SequenceNode {
		p.at(n, "found %s for %s, expected a list: each item on a line of its own after `- `, or all in [ ]", describe(n), field.Name())
		return
	}
	rules, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	if most := rules.GetRepeated().GetMaxItems(); most > 0 && uint64(len(n.Content)) > most {
		p.at(n.Content[most], "found more than %d %s, expected at most %d", most, field.Name(), most)
		return
	}
	for _, item := range n.Content {
		if len(p.violations) == maxViolations {
			return
		}
		p.single(item, field, depth+1)
	}
}

func (p *parser) single(n *yaml.Node, field protoreflect.FieldDescriptor, depth int) {
	switch {
	case !p.plain(n, depth):
	case field.Message() == nil:
		p.scalar(n, field)
	case field.Message().FullName() == "google.protobuf.Duration":
		p.duration(n, field)
	case field.Message().FullName() == "google.protobuf.Timestamp":
		p.timestamp(n, field)
	case field.Message().FullName() == "google.protobuf.Struct":
		p.values(n, field, depth)
	case field.Message().FullName() == "google.protobuf.Value":
		p.value(n, depth)
	case field.Message().FullName() == "google.protobuf.ListValue":
		if n.Kind != yaml.SequenceNode {
			p.at(n, "found %s, expected a list of texts in [ ]", describe(n))
			return
		}
		p.value(n, depth)
	default:
		p.message(n, field.Message(), depth)
	}
}

func (p *parser) scalar(n *yaml.Node, field protoreflect.FieldDescriptor) {
	switch field.Kind() {
	case protoreflect.StringKind:
		switch {
		case n.Kind == yaml.ScalarNode && (n.Tag == "!!str" || n.Tag == "!!timestamp" && isDate(n, field)):
		case n.Kind == yaml.ScalarNode && n.Value != "":
			p.at(n, "found %s for %s, expected text; put it in quotes", describe(n), field.Name())
		default:
			p.at(n, "found %s for %s, expected text", describe(n), field.Name())
		}
	case protoreflect.BoolKind:
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Value != "true" && n.Value != "false" {
			p.at(n, "found %s for %s, expected true or false", describe(n), field.Name())
		}
	case protoreflect.Int32Kind:
		if i, err := strconv.ParseInt(n.Value, 10, 32); n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || !isDecimal(n) || i < 0 {
			p.at(n, "found %s for %s, expected a whole number such as 1", describe(n), field.Name())
		}
	case protoreflect.DoubleKind:
		if !isNumber(n) || !isDecimal(n) {
			p.at(n, "found %s for %s, expected a number such as 0.5", describe(n), field.Name())
		}
	}
}

var days = regexp.MustCompile(`^(\d{1,6})([dw])$`)

func (p *parser) duration(n *yaml.Node, field protoreflect.FieldDescriptor) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		p.at(n, "found %s for %s, expected a duration such as 90m or 24h", describe(n), field.Name())
		return
	}
	if m := days.FindStringSubmatch(n.Value); m != nil {
		count, _ := strconv.Atoi(m[1])
		hours := 24 * count
		if m[2] == "w" {
			hours *= 7
		}
		p.at(n, "found the duration %s, expected hours, minutes and seconds; write %dh", n.Value, hours)
		return
	}
	if _, err := protoyaml.ParseDuration(n.Value); err != nil {
		p.at(n, "found %.60q for %s, expected a duration of hours (h), minutes (m) and seconds (s, ms, us), such as 90m or 168h", n.Value, field.Name())
	}
}

// describe says what a node is.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.MappingNode:
		return "keys and values"
	case n.Tag == "!!null" && n.Value != "":
		return n.Value
	case n.Tag == "!!null":
		return "nothing"
	case strings.Contains(n.Value, "\n") || len(n.Value) > 60:
		return "a long text"
	case n.Tag == "!!int" || n.Tag == "!!float":
		return "the number " + n.Value
	case n.Tag == "!!bool":
		return n.Value
	case n.Tag == "!!timestamp":
		return "the date " + n.Value
	case n.Tag != "!!str":
		return fmt.Sprintf("a value with the tag %.20s", n.Tag)
	}
	return fmt.Sprintf("the text %q", n.Value)
}
