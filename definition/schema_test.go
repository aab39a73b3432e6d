package definition

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/headwaterhq/headwater/feature"
)

// compiled is the schema as a validator of others understands it.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("headwater.schema.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("headwater.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is a YAML text as JSON knows it, which has no dates.
func instance(t *testing.T, text string) any {
	t.Helper()
	var tree yaml.Node
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	var value func(n *yaml.Node) any
	value = func(n *yaml.Node) any {
		switch {
		case n.Kind == yaml.DocumentNode:
			return value(n.Content[0])
		case n.Kind == yaml.MappingNode:
			object := map[string]any{}
			for i := 0; i < len(n.Content); i += 2 {
				object[n.Content[i].Value] = value(n.Content[i+1])
			}
			return object
		case n.Kind == yaml.SequenceNode:
			array := []any{}
			for _, item := range n.Content {
				array = append(array, value(item))
			}
			return array
		case n.Tag == "!!null":
			return nil
		case n.Tag == "!!bool":
			return n.Value == "true"
		case n.Tag == "!!int" || n.Tag == "!!float":
			f, err := strconv.ParseFloat(n.Value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		return n.Value
	}
	return value(&tree)
}

// What the reader takes, the schema takes: the examples, those of the reference, and those of the tests.
func TestSchemaTakesWhatTheReaderTakes(t *testing.T) {
	s := compiled(t)
	texts := map[string]string{
		"an empty file": "# nothing\n{}", "good": good,
		"landing without braces": strings.Replace(good, "landing: {}", "landing:", 1),
	}
	page, err := os.ReadFile("../docs/definitions.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		texts["docs/definitions.md, example "+strconv.Itoa(i+1)] = block[1]
	}
	files := 0
	for _, folder := range []string{"../examples", "testdata/flights"} {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if extension := filepath.Ext(path); err == nil && (extension == ".yaml" || extension == ".yml") && !strings.HasPrefix(entry.Name(), "corpus") {
				text, err := os.ReadFile(path)
				texts[path] = string(text)
				files++
				return err
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 3 {
		t.Fatalf("found %d files of definitions, expected more", files)
	}
	for name, text := range texts {
		if err := s.Validate(instance(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, written := range []string{"24h", "90m", "1h30m", "1.5h", "100ms", "5us"} {
		if err := s.Validate(instance(t, strings.Replace(good, "ttl: 24h", "ttl: "+written, 1))); err != nil {
			t.Errorf("ttl: %s: %v", written, err)
		}
	}
	for _, written := range []string{"decimal(12, 2)", "decimal(12,2)", "list(string)", "list( decimal(3, 1) )", "vector(128)", "bytes", "timestamp"} {
		if _, err := feature.ParseType(written); err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(good, "departures, type: int64", "departures, type: \""+written+"\"", 1)
		if err := s.Validate(instance(t, text)); err != nil {
			t.Errorf("type: %s: %v", written, err)
		}
	}
}

// What one key tells is refused by both.
func TestSchemaRefusesWhatTheReaderRefuses(t *testing.T) {
	s := compiled(t)
	base := good + `tests:
  - name: t
    loads:
      - {source: flights, rows: [{date: "2024-01-01T10:00:00Z"}]}
      - {source: flights, rows: [{origin: JFK}], replaces: 1}
    answers:
      - service: model
        entity: {origin: JFK}
        at: 2024-01-01T10:00:00Z
        features: {delays__departures: 1}
        statuses: {delays__departures: EXPIRED}
`
	for _, c := range []struct{ old, now string }{
		{"event_time: date", "event_tim: date"},
		{"feature_views:", "featureViews:"},
		{"name: airport", "name: 5"},
		{"entity: airport", "entity:"},
		{"entity: airport", "entity: [airport]"},
		{"serves_as_grant: true", "serves_as_grant: \"true\""},
		{"sources: [flights]", "sources: flights"},
		{"landing: {}", "landing: {table: x}"},
		{"    landing: {}\n", ""},
		{"    ttl: 24h", "    on_demand: {}"},
		{"ttl: 24h", "ttl: 7d"},
		{"ttl: 24h", "ttl: 3600"},
		{"departures, type: int64", "departures, type: int46"},
		{"departures, type: int64", "departures, type: decimal"},
		{"departures, type: int64", "departures, type: list(list(int64))"},
		{"origin, type: string}\nsources", "origin, type: float64}\nsources"},
		{"name: airport", "name: Air Port"},
		{"name: airport", "name: " + strings.Repeat("a", 49)},
		{"- name: airport\n    join_keys", "- join_keys"},
		{"      - {name: departures, type: int64}", "      []"},
		{"view: delays", "view: delays@x"},
		{"actions: [list]", "actions: [lists]"},
		{"actions: [list]", "actions: [list, list]"},
		{`resources: ["view:*"]}`, `resources: ["view:*"], effect: forbid}`},
		{"    landing: {}", "    landing: {}\n    corrections: replace"},
		{"    landing: {}", "    landing: {}\n    duplicates: {exact: keep}"},
		{"    landing: {}", "    landing: {}\n    deprecated: {date: soon}"},
		{"rows: [{origin: JFK}]", "rows: [JFK]"},
		{"rows: [{origin: JFK}]", "rows: [{origin: {a: b}}]"},
		{"replaces: 1", "replaces: 1.5"},
		{"at: 2024-01-01T10:00:00Z", "at: noon"},
		{"        at: 2024-01-01T10:00:00Z\n", ""},
		{"EXPIRED", "MISSING"},
	} {
		text := strings.Replace(base, c.old, c.now, 1)
		if text == base {
			t.Fatalf("%q is not in the text", c.old)
		}
		if s.Validate(instance(t, text)) == nil {
			t.Errorf("%q is taken by the schema", c.now)
		}
		write(t, map[string]string{"a.yaml": text})
		if _, err := Load([]string{"a.yaml"}); err == nil {
			t.Errorf("%q is taken by the reader", c.now)
		}
	}
	write(t, map[string]string{"a.yaml": base})
	if _, err := Load([]string{"a.yaml"}); err != nil {
		t.Error(err)
	}
}
