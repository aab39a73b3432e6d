package definition

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

var (
	heading = regexp.MustCompile(`(?m)^#+ .*$`)
	quoted  = regexp.MustCompile("`([^`]*)`")
	keyRow  = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|")
)

// keySections are the keys that docs/definitions.md has, by the path of what they are keys of.
func keySections(text string) map[string][]string {
	sections := map[string][]string{}
	headings := heading.FindAllStringIndex(text, -1)
	for i, at := range headings {
		end := len(text)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		keys := []string{}
		for _, m := range keyRow.FindAllStringSubmatch(text[at[1]:end], -1) {
			keys = append(keys, m[1])
		}
		title := text[at[0]:at[1]]
		switch title {
		case "## A file":
			sections[""] = keys
		case "## Actions":
			sections["actions"] = keys
		}
		for _, m := range quoted.FindAllStringSubmatch(title, -1) {
			sections[m[1]] = keys
		}
	}
	return sections
}

// shared are the messages that have one section for all places where they stand.
var shared = map[protoreflect.Name]string{"Deprecation": "deprecated", "Expectation": "expectations[]", "Bounds": "bounds"}

func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/definitions.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := keySections(string(text))
	if found, want := slices.Sorted(slices.Values(sections["actions"])), slices.Sorted(slices.Values(feature.Actions())); !slices.Equal(found, want) {
		t.Errorf("docs/definitions.md has the actions %v, expected %v", found, want)
	}
	delete(sections, "actions")
	var check func(path string, m protoreflect.MessageDescriptor)
	check = func(path string, m protoreflect.MessageDescriptor) {
		keys, ok := sections[path]
		if !ok {
			t.Errorf("docs/definitions.md has no section on `%s`", path)
			return
		}
		delete(sections, path)
		keys = slices.Clone(keys)
		for i := range m.Fields().Len() {
			field := m.Fields().Get(i)
			name := string(field.Name())
			if at := slices.Index(keys, name); at < 0 {
				t.Errorf("docs/definitions.md does not have the key %s of `%s`", name, path)
			} else {
				keys = slices.Delete(keys, at, at+1)
			}
			if inner := field.Message(); inner != nil && inner.ParentFile() == m.ParentFile() && !field.IsMap() {
				if _, ok := shared[inner.Name()]; ok || inner.Name() == "DefinitionFile" {
					continue
				}
				if field.IsList() {
					name += "[]"
				}
				check(strings.TrimPrefix(path+"."+name, "."), inner)
			}
		}
		if len(keys) > 0 {
			t.Errorf("docs/definitions.md has keys that `%s` does not: %s", path, strings.Join(keys, ", "))
		}
	}
	check("", (&headwaterv1.DefinitionFile{}).ProtoReflect().Descriptor())
	for _, m := range []proto.Message{&headwaterv1.Deprecation{}, &headwaterv1.Expectation{}, &headwaterv1.Bounds{}} {
		d := m.ProtoReflect().Descriptor()
		check(shared[d.Name()], d)
	}
	for path := range sections {
		t.Errorf("docs/definitions.md has a section on `%s`, which is not in a file", path)
	}
}

// The examples of the page are read, and between them have every key.
func TestExamplesOfTheReferenceAreRead(t *testing.T) {
	text, err := os.ReadFile("../docs/definitions.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 5 {
		t.Fatalf("found %d examples, expected one for each kind", len(blocks))
	}
	seen := map[string]bool{}
	for _, block := range blocks {
		// Beside an example of tests there are definitions.
		write(t, map[string]string{"example.yaml": block[1], "else.yaml": "entities: [{name: elsewhere, join_keys: [{name: k, type: string}]}]"})
		set, err := Read([]string{"example.yaml", "else.yaml"})
		if err != nil {
			t.Errorf("%v in\n%s", err, block[1])
			continue
		}
		file := &headwaterv1.DefinitionFile{Tests: set.tests}
		proto.Merge(file, set.Files[0].File)
		forEachKey(file.ProtoReflect(), func(field protoreflect.FieldDescriptor) { seen[string(field.FullName())] = true })
	}
	messages := (&headwaterv1.DefinitionFile{}).ProtoReflect().Descriptor().ParentFile().Messages()
	for i := range messages.Len() {
		for j := range messages.Get(i).Fields().Len() {
			name := string(messages.Get(i).Fields().Get(j).FullName())
			if !seen[name] {
				t.Errorf("no example of docs/definitions.md has the key %s", strings.TrimPrefix(name, "headwater.v1."))
			}
		}
	}
}

// forEachKey calls f with each key that is set in a message of definitions, and in those within.
func forEachKey(m protoreflect.Message, f func(protoreflect.FieldDescriptor)) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		f(field)
		switch {
		case field.Message() == nil || field.IsMap():
		case field.IsList():
			for i := range value.List().Len() {
				forEachKey(value.List().Get(i).Message(), f)
			}
		default:
			forEachKey(value.Message(), f)
		}
		return true
	})
}
