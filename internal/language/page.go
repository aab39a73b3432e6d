package language

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

var (
	pageHeading = regexp.MustCompile(`^#+ (.*)$`)
	pagePath    = regexp.MustCompile("`([^`]*)`")
	tableHead   = "| key | type | default | meaning |"
)

// fileHeading is the heading of the keys of a whole file.
const fileHeading = "A file"

// Page is the text of docs/definitions.md with its tables of keys as they should be. Each stands under a heading that has
// the paths of its message in backquotes, such as `entities[].join_keys[]`; everything else is left as it is. An error
// says which message has no heading, or which heading no table.
func (l *Language) Page(text string) (string, error) {
	sections := l.sections()
	lines := strings.Split(text, "\n")
	anchors := map[string]string{}
	for _, line := range lines {
		for _, path := range headingPaths(line) {
			anchors[path] = anchor(pageHeading.FindStringSubmatch(line)[1])
		}
	}
	for path := range sections {
		if _, ok := anchors[path]; !ok {
			return "", fmt.Errorf("docs/definitions.md: found no heading with `%s`, expected one above the table of its keys", path)
		}
	}
	var out []string
	var waiting protoreflect.MessageDescriptor
	var heading, path string
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if pageHeading.MatchString(line) {
			if waiting != nil {
				return "", noTable(heading)
			}
			heading = line
			for _, p := range headingPaths(line) {
				if m, ok := sections[p]; ok && m.Fields().Len() > 0 {
					waiting, path = m, p
				}
			}
		}
		if line != tableHead || waiting == nil {
			out = append(out, line)
			continue
		}
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|") {
			i++
		}
		out = append(out, l.table(waiting, path, anchors)...)
		waiting = nil
	}
	if waiting != nil {
		return "", noTable(heading)
	}
	return strings.Join(out, "\n"), nil
}

func noTable(heading string) error {
	return fmt.Errorf("docs/definitions.md: found no table under %q, expected one that begins with %q", heading, tableHead)
}

// sections are the messages that have a table, by the path of what they are keys of.
func (l *Language) sections() map[string]protoreflect.MessageDescriptor {
	sections := map[string]protoreflect.MessageDescriptor{"": Root()}
	var visit func(path string, m protoreflect.MessageDescriptor)
	visit = func(path string, m protoreflect.MessageDescriptor) {
		for i := range m.Fields().Len() {
			field := m.Fields().Get(i)
			if !ours(field) || field.Message() == Root() {
				continue
			}
			inner := sectionOf(path, field)
			if _, ok := sections[inner]; !ok {
				sections[inner] = field.Message()
				visit(inner, field.Message())
			}
		}
	}
	visit("", Root())
	return sections
}

// shared are the messages that have one table for all places where they stand.
var shared = map[protoreflect.Name]string{"DefinitionFile": "", "Deprecation": "deprecated", "Expectation": "expectations[]", "Bounds": "bounds"}

// sectionOf is the path of the table of what a field holds.
func sectionOf(path string, field protoreflect.FieldDescriptor) string {
	if s, ok := shared[field.Message().Name()]; ok {
		return s
	}
	path = strings.TrimPrefix(path+"."+string(field.Name()), ".")
	if field.IsList() {
		path += "[]"
	}
	return path
}

func headingPaths(line string) []string {
	m := pageHeading.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	if m[1] == fileHeading {
		return []string{""}
	}
	var paths []string
	for _, p := range pagePath.FindAllStringSubmatch(m[1], -1) {
		paths = append(paths, p[1])
	}
	return paths
}

var notInAnchors = regexp.MustCompile(`[^a-z0-9 _-]`)

// anchor is what a heading is called in links.
func anchor(heading string) string {
	return "#" + strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

func (l *Language) table(m protoreflect.MessageDescriptor, path string, anchors map[string]string) []string {
	rows := []string{tableHead, "|---|---|---|---|"}
	for _, k := range l.Keys(m) {
		standard := k.Default
		switch oneof := k.Field.ContainingOneof(); {
		case k.Required:
			standard = "required"
		case standard == "" && oneof != nil && oneRequired(oneof):
			standard = oneofKeys(oneof)
		case standard == "":
			standard = "none"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |", k.Field.Name(), cell(typeOf(path, k.Field, anchors)), cell(standard), cell(k.Meaning)))
	}
	return rows
}

// cell is a text in a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func oneofKeys(oneof protoreflect.OneofDescriptor) string {
	var names []string
	for i := range oneof.Fields().Len() {
		names = append(names, "`"+string(oneof.Fields().Get(i).Name())+"`")
	}
	if len(names) > 6 {
		return "one of the kinds"
	}
	return "one of " + strings.Join(names, ", ")
}

// typeOf says in words what a key holds, and how much of it.
func typeOf(path string, field protoreflect.FieldDescriptor, anchors map[string]string) string {
	r := rulesOf(field)
	if field.IsList() {
		var words string
		if ours(field) {
			words = fmt.Sprintf("list of [%s](%s)", strings.ReplaceAll(string(field.Name()), "_", " "), anchors[sectionOf(path, field)])
		} else {
			words = "list of " + kindOf(field) + "s"
		}
		least, most := r.GetRepeated().GetMinItems(), r.GetRepeated().GetMaxItems()
		switch {
		case least > 0 && most > 0:
			words += fmt.Sprintf(", %d to %s", least, grouped(most))
		case most > 0:
			words += ", at most " + grouped(most)
		case least > 0:
			words += fmt.Sprintf(", at least %d", least)
		}
		if r.GetRepeated().GetUnique() {
			words += ", each once"
		}
		return words
	}
	if ours(field) {
		if field.Message().Fields().Len() == 0 {
			return "`{}`"
		}
		return fmt.Sprintf("[mapping](%s)", anchors[sectionOf(path, field)])
	}
	words := kindOf(field)
	if field.IsMap() && field.MapValue().Message() != nil && field.MapValue().Message().FullName() == listName {
		words = "map of lists of strings"
	}
	if most := r.GetString().GetMaxLen(); words == "name" && most != nameLength || words == "string" && most > 0 {
		words += fmt.Sprintf(", up to %s characters", grouped(most))
	}
	return words
}

const (
	namePattern = "^[a-z][a-z0-9_]*$"
	nameLength  = 48
)

// kindOf is a field's type in a word, that of an item for a list.
func kindOf(field protoreflect.FieldDescriptor) string {
	if field.IsMap() {
		return "map"
	}
	switch field.Kind() {
	case protoreflect.StringKind:
		if rulesOf(field).GetString().GetPattern() == namePattern {
			return "name"
		}
		return "string"
	case protoreflect.BoolKind:
		return "bool"
	case protoreflect.DoubleKind:
		return "number"
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return "whole number"
	case protoreflect.MessageKind:
		switch field.Message().FullName() {
		case durationName:
			return "duration"
		case timestampName:
			return "time"
		case structName:
			return "map"
		case valueName:
			return "value"
		}
	}
	panic(fmt.Sprintf("%s has a type that the page has no word for", field.FullName()))
}

const (
	durationName  protoreflect.FullName = "google.protobuf.Duration"
	timestampName protoreflect.FullName = "google.protobuf.Timestamp"
	structName    protoreflect.FullName = "google.protobuf.Struct"
	valueName     protoreflect.FullName = "google.protobuf.Value"
	listName      protoreflect.FullName = "google.protobuf.ListValue"
)

// grouped writes a number with a comma at the thousands.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
