package definition

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// write makes a folder with files and goes there, so that messages have short paths.
func write(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// refused is the fault that Load gives, as a caller sees it.
func refused(t *testing.T, paths ...string) *fault.Fault {
	t.Helper()
	set, err := Load(paths)
	if err == nil {
		t.Fatalf("Load(%q): found no error, but %+v", paths, set.Definitions)
	}
	f := fault.As(err)
	if f == nil || f.Reason != fault.InvalidDefinition || len(f.Violations) == 0 {
		t.Fatalf("Load(%q): found %#v, expected INVALID_DEFINITION with violations", paths, err)
	}
	return f
}

func TestLoad(t *testing.T) {
	set, err := Load([]string{"testdata/flights"})
	if err != nil {
		t.Fatal(err)
	}
	d := set.Definitions
	if len(set.Files) != 2 || set.Files[0].Path != "testdata/flights/entities.yaml" || set.Files[1].Path != "testdata/flights/views.yml" {
		t.Errorf("found files %v", set.Files)
	}
	if len(d.Entities) != 2 || len(d.Sources) != 1 || len(d.Views) != 1 || len(d.Services) != 1 || len(d.Roles) != 1 {
		t.Fatalf("found %+v", d)
	}
	v := d.Views[0]
	if v.TTL.Hours() != 168 || v.Lookback.Minutes() != 90 || v.Attributes[0].Type != feature.TypeInt64 || v.SQL == nil {
		t.Errorf("found the view %+v", v)
	}
	if g := d.Roles[0].Grants[1]; !g.Deny || g.Resources[0].String() != "source:*" {
		t.Errorf("found the grant %+v", g)
	}
	for field, want := range map[string][2]int{
		"feature_views[0].features[1].type": {6, 34}, "feature_views[0].sql.query": {14, 14}, "feature_views[0].owner": {2, 5},
		"feature_services[0].views[0].features[1]": {27, 32}, "": {1, 1}, "roles[7].name": {31, 3},
	} {
		if line, column := set.Locate(field, "testdata/flights/views.yml"); [2]int{line, column} != want {
			t.Errorf("%s is at %d:%d, expected %v", field, line, column, want)
		}
	}
}

func TestProtoRoundTrip(t *testing.T) {
	for _, folder := range []string{"testdata/flights", "testdata/policies"} {
		t.Run(folder, func(t *testing.T) { roundTrip(t, folder) })
	}
}

func roundTrip(t *testing.T, folder string) {
	set, err := Load([]string{folder})
	if err != nil {
		t.Fatal(err)
	}
	file := ToProto(&set.Definitions)
	again, _, violations := FromProto([]*headwaterv1.DefinitionSource{{File: file}})
	if len(violations) > 0 {
		t.Fatal(violations)
	}
	if !proto.Equal(ToProto(&again), file) || fmt.Sprintf("%+v", again.Roles) != fmt.Sprintf("%+v", set.Definitions.Roles) {
		t.Fatalf("found %s\nexpected %s", protojson.Format(ToProto(&again)), protojson.Format(file))
	}
	// Nothing that the files say is lost on the way.
	joined := &headwaterv1.DefinitionFile{}
	for _, f := range set.Files {
		proto.Merge(joined, f.File)
	}
	if !proto.Equal(joined, file) {
		t.Fatalf("found %s\nexpected %s", protojson.Format(file), protojson.Format(joined))
	}
}

const good = `entities:
  - name: airport
    join_keys:
      - {name: origin, type: string}
sources:
  - name: flights
    event_time: date
    landing: {}
    columns:
      - {name: date, type: timestamp}
      - {name: origin, type: string}
feature_views:
  - name: delays
    entity: airport
    features:
      - {name: departures, type: int64}
    ttl: 24h
    sql:
      sources: [flights]
      query: |
        SELECT origin,
          count(*) AS departures
        FROM flights
feature_services:
  - name: model
    views:
      - view: delays
    serves_as_grant: true
roles:
  - name: reader
    grants:
      - {actions: [list], resources: ["view:*"]}
`

func TestLoadTellsPlaceAndRemedy(t *testing.T) {
	for _, c := range []struct {
		name, old, now string
		want           string
	}{
		{"unknown key", "event_time: date", "event_tim: date", `a.yaml:7:5: found the unknown key "event_tim"; did you mean event_time?`},
		{"strange key", "event_time: date", "zzz: date", `a.yaml:7:5: found the unknown key "zzz", expected keys out of name, columns, event_time`},
		{"a type that a comma cuts", "departures, type: int64", "departures, type: decimal(12, 2)", `a.yaml:16:46: found "2)" behind a comma, which ends a value in {…}, expected a key; write the value in quotes: "decimal(12, 2)"`},
		{"key in another spelling", "feature_views:", "featureViews:", `found the unknown key "featureViews"; did you mean feature_views?`},
		{"field number", "entities:", "1:", `a.yaml:1:1: found the unknown key "1", expected keys out of entities`},
		{"number for text", "name: airport", "name: 5", "a.yaml:2:11: found the number 5 for name, expected text; put it in quotes"},
		{"bool for text", "entity: airport", "entity: true", "a.yaml:14:13: found true for entity, expected text; put it in quotes"},
		{"date for text", "entity: airport", "entity: 2024-01-01", "found the date 2024-01-01 for entity, expected text"},
		{"null for text", "entity: airport", "entity:", "a.yaml:14:12: found nothing for entity, expected text"},
		{"list for text", "entity: airport", "entity: [airport]", "a.yaml:14:13: found a list for entity, expected text"},
		{"text for bool", "serves_as_grant: true", "serves_as_grant: yes", `found the text "yes" for serves_as_grant, expected true or false`},
		{"text for list", "sources: [flights]", "sources: flights", `a.yaml:19:16: found the text "flights" for sources, expected a list`},
		{"text for message", "sql:\n      sources: [flights]\n      query", "sql: x\n    description", `found the text "x", expected keys out of sources, query`},
		{"fields of an empty message", "landing: {}", "landing: {table: x}", "expected {}, which has no keys"},
		{"days", "ttl: 24h", "ttl: 7d", "a.yaml:17:10: found the duration 7d, expected hours, minutes and seconds; write 168h"},
		{"weeks", "ttl: 24h", "ttl: 2w", "write 336h"},
		{"no unit", "ttl: 24h", "ttl: 3600", `found "3600" for ttl, expected a duration of hours (h), minutes (m)`},
		{"no duration", "ttl: 24h", "ttl: 0s", "a.yaml:17:10: found a ttl that is not above zero"},
		{"endless duration", "ttl: 24h", "ttl: 9999999h", "found a duration of more than"},
		{"nanoseconds", "ttl: 24h", "ttl: 1500ns", "a.yaml:17:10: found 1.5µs, expected whole microseconds"},
		{"type", "departures, type: int64", "departures, type: int46", `a.yaml:16:34: found type "int46", expected one of bool, int64, float64, decimal(p, s), string, bytes, timestamp, list(T), vector(n); did you mean int64?`},
		{"type of a database", "departures, type: int64", "departures, type: bigint", "; write int64"},
		{"key type", "origin, type: string}\nsources", "origin, type: float64}\nsources", "a.yaml:4:30: found a join key of type float64, expected string or int64"},
		{"name", "name: airport", "name: Air Port", `a.yaml:2:11: found the name "Air Port", expected lower-case letters`},
		{"no name", "- name: airport\n    join_keys", "- join_keys", "a.yaml:2:5: found no name, expected one"},
		{"no features", "      - {name: departures, type: int64}", "      []", "a.yaml:16:7: found no features, expected at least 1"},
		{"no origin", "    landing: {}\n", "", "a.yaml:6:5: found none of landing, postgres, expected one of them"},
		{"two of a oneof", "    ttl: 24h", "    on_demand: {expression: x}", "a.yaml:18:5: found sql beside on_demand, expected one of them"},
		{"key twice", "    ttl: 24h", "    ttl: 24h\n    ttl: 25h", "a.yaml:18:5: found ttl a second time (the first is in line 17), expected each key once"},
		{"reference", "entity: airport", "entity: airprt", "a.yaml:14:13: found no entity called airprt; did you mean airport?"},
		{"effect", `resources: ["view:*"]}`, `resources: ["view:*"], effect: forbid}`, `a.yaml:32:58: found "forbid", expected allow or deny`},
		{"resource", `"view:*"`, "everything", `found the resource "everything", expected KIND:NAME`},
		{"pin", "- view: delays", "- view: delays@x", `found the view "delays@x", expected NAME or NAME@VERSION`},
		{"SQL", "count(*) AS", "count({{x}}) AS", "a.yaml:22:17: found the placeholder {{x}}, expected {{interval.start}} or {{interval.end}}"},
		{"folded SQL", "query: |\n        SELECT origin,", "query: >\n        SELECT {{x}},", "a.yaml:20:14: found the placeholder {{x}}, expected {{interval.start}} or {{interval.end}} (line 1, column 8 of the SQL)"},
		{"SQL in a line", "query: |\n        SELECT origin,\n          count(*) AS departures\n        FROM flights\n", "query: \"SELECT é, {{x}}\"\n", "a.yaml:20:25: found the placeholder"},
		{"plain SQL", "query: |\n        SELECT origin,\n          count(*) AS departures\n        FROM flights\n", "query: SELECT {{x}}\n", "a.yaml:20:21: found the placeholder"},
		{"alias", "name: airport\n", "name: &x airport\n", "a.yaml:2:11: found the anchor &x"},
		{"two documents", "sources:\n  - name", "---\nsources:\n  - name", "a.yaml:5:1: found a second document, expected one per file"},
		{"no YAML", "entity: airport", "entity: [airport", "a.yaml:14: found text that is not YAML: did not find expected ',' or ']'; check indentation"},
		{"tabs", "    entity: airport", "\tentity: airport", "a.yaml:13: found text that is not YAML: found a tab character that violates indentation"},
		{"a tag", "name: airport", "name: !!binary YQ==", "found a value with the tag !!binary for name, expected text"},
		{"arrival column", "    landing: {}", "    landing: {}\n    arrival_time: {column: \"\"}", "a.yaml:9:28: found no column"},
		{"NUL", "name: airport", `owner: "a\0"
    name: airport`, `a.yaml:2:12: found a NUL character in "a\x00", expected text without one`},
		{"NUL in a list", "name: airport", `tags: [a, "\0"]
    name: airport`, `a.yaml:2:15: found a NUL character in "\x00", expected text without one`},
		{"NUL in a default", "- view: delays", `- view: delays
        defaults: {departures: ["a\0", "\0"]}`, `:32: found a NUL character in "a\x00", expected text without one`},
		{"NUL in a key", "- view: delays", `- view: delays
        rename: {"a\0": b}`, `found a NUL character in "a\x00", expected text without one`},
		{"corrections", "    landing: {}", "    landing: {}\n    corrections: replace", `a.yaml:9:18: found "replace", expected restate or arrive`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.now, 1)
			if text == good {
				t.Fatalf("%q is not in the example", c.old)
			}
			write(t, map[string]string{"a.yaml": text})
			if got := refused(t, "a.yaml").Error(); !strings.Contains(got, c.want) {
				t.Fatalf("found    %s\nexpected %s", got, c.want)
			}
		})
	}
}

func TestLoadGood(t *testing.T) {
	// A text of an editor on Windows, and one with documents that are empty, say the same.
	for name, text := range map[string]string{
		"as it is": good, "CRLF": strings.ReplaceAll(good, "\n", "\r\n"), "CR": strings.ReplaceAll(good, "\n", "\r"),
		"BOM": "\ufeff" + good, "empty documents": "---\n# nothing\n---\n" + good + "---\n",
	} {
		write(t, map[string]string{"a.yaml": text})
		set, err := Load([]string{"a.yaml"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if set.Definitions.Views[0].Name != "delays" {
			t.Errorf("%s: found %+v", name, set.Definitions)
		}
	}
}

func TestLoadPlacesSQLInCRLF(t *testing.T) {
	write(t, map[string]string{"a.yaml": strings.ReplaceAll(strings.Replace(good, "count(*)", "count({{x}})", 1), "\n", "\r\n")})
	if got := refused(t, "a.yaml").Violations[0].Place(); got != "a.yaml:22:17" {
		t.Fatalf("found %s", got)
	}
}

func TestLoadNamesBothPlaces(t *testing.T) {
	write(t, map[string]string{"a.yaml": good, "b/c.yml": "entities:\n- name: airport\n  join_keys: [{name: k, type: int64}]\n"})
	f := refused(t, ".")
	if len(f.Violations) != 1 {
		t.Fatalf("found %v", f)
	}
	v := f.Violations[0]
	want := "found a second entity called airport, expected one of each name; rename or remove one; the other is at a.yaml:2:11"
	if v.Place() != "b/c.yml:2:9" || v.Field != "entities[0].name" || v.Description != want {
		t.Fatalf("found %+v", v)
	}
}

func TestLoadTellsAllProblemsInOrder(t *testing.T) {
	text := strings.NewReplacer("entity: airport", "entity: x", "departures, type: int64", "departures, type: int46", "name: reader", "name: admin").Replace(good)
	write(t, map[string]string{"a.yaml": text, "b.yaml": "roles:\n- name: a__b\n"})
	var places []string
	for _, v := range refused(t, ".").Violations {
		places = append(places, v.Place())
	}
	if want := []string{"a.yaml:14:13", "a.yaml:16:34", "a.yaml:30:11", "b.yaml:2:9"}; !slices.Equal(places, want) {
		t.Fatalf("found %v, expected %v", places, want)
	}
}

func TestLoadPaths(t *testing.T) {
	write(t, map[string]string{
		"b.yaml": "roles: []\n", "a/z.yml": good, "a/notes.txt": "no", ".git/x.yaml": "no: [", "empty/readme.md": "", "nothing.yaml": "# nothing\n",
		"big.yaml": "# " + strings.Repeat("x", maxFileSize),
	})
	set, err := Load([]string{"b.yaml", "a", "a/z.yml", "./b.yaml", "nothing.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range set.Files {
		paths = append(paths, f.Path)
	}
	if want := []string{"b.yaml", "a/z.yml", "nothing.yaml"}; !slices.Equal(paths, want) {
		t.Errorf("found %q, expected %q", paths, want)
	}
	for path, want := range map[string]string{
		"nowhere": "nowhere: found no such file or folder", "empty": "empty: found no .yaml or .yml file in this folder",
		"big.yaml": "big.yaml: found a file of more than 2 MB, expected definitions of less; split it", "nothing.yaml": "nothing.yaml: found no definition, expected entities",
	} {
		if got := refused(t, path).Error(); !strings.Contains(got, want) {
			t.Errorf("found %s, expected %s", got, want)
		}
	}
	if got := refused(t).Error(); !strings.Contains(got, "found no path") {
		t.Errorf("found %s", got)
	}
}

func TestReadLeavesNamesToTheRegistry(t *testing.T) {
	write(t, map[string]string{"a.yaml": good[strings.Index(good, "feature_views:"):]})
	refused(t, "a.yaml")
	if _, err := Read([]string{"a.yaml"}); err != nil {
		t.Fatal(err)
	}
}

// A file made to exhaust a reader is refused as any other.
func TestLoadRefusesBombs(t *testing.T) {
	bomb := "a0: &a0 x\n"
	for i := 1; i < 40; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	for name, text := range map[string]string{
		"brackets":         "entities: " + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
		"many brackets":    strings.Repeat("[", 1<<20),
		"braces":           strings.Repeat("{entities: ", 9_000),
		"blocks":           strings.Repeat("- ", 9_000) + "x",
		"keys":             strings.Repeat("? ", 9_000) + "x",
		"aliases":          bomb,
		"aliased messages": "entities:\n- &e {name: a, join_keys: [{name: k, type: string}]}\n" + strings.Repeat("- *e\n", 1000),
		"itself":           "entities: &e\n- *e\n",
		"merge":            "<<: {entities: []}\n",
	} {
		_, violations := parse("a.yaml", []byte(text))
		if len(violations) == 0 || len(violations) > maxViolations {
			t.Errorf("%s: found %d violations", name, len(violations))
		}
		for _, v := range violations {
			if v.Line == 0 || len(v.Description) > 300 {
				t.Errorf("%s: found %+v", name, v)
			}
		}
	}
}

func TestAnnotatePlacesFieldsOfTheServer(t *testing.T) {
	write(t, map[string]string{"a.yaml": strings.ReplaceAll(good, "roles:", "# roles\nroles:"), "b.yaml": strings.NewReplacer(
		"name: delays", "name: late", "name: airport", "name: port", "entity: airport", "entity: port", "name: flights", "name: planes",
		"[flights]", "[planes]", "name: model", "name: model_b", "view: delays", "view: late", "name: reader", "name: reader_b").Replace(good)})
	set, err := Load([]string{"a.yaml", "b.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	sent := fault.New(fault.InvalidSQL, "no").Violating(
		fault.Violation{Field: "feature_views[1].sql.query", Line: 2, Column: 3, Description: "sql"},
		fault.Violation{Field: "feature_views[0].entity", Description: "entity"},
		fault.Violation{Field: "spine.columns", Description: "else"},
		fault.Violation{Field: "feature_views[0].ttl", File: "elsewhere.yaml", Line: 1, Description: "placed"},
	)
	got := map[string]string{}
	for _, v := range Annotate(set, fault.FromError(fault.Status(sent, "").Err())).Violations {
		got[v.Description] = v.Place() + " " + v.Field
	}
	want := map[string]string{
		"sql": "b.yaml:22:11 feature_views[0].sql.query", "entity": "a.yaml:14:13 feature_views[0].entity",
		"else": "spine.columns spine.columns", "placed": "elsewhere.yaml:1 feature_views[0].ttl",
	}
	if !maps.Equal(got, want) {
		t.Fatalf("found %v\nexpected %v", got, want)
	}
	if sent.Violations[0].File != "" {
		t.Error("the fault given was changed")
	}
}

// The closed lists of grants are those of the proto.
func TestGrantListsAreTheProtos(t *testing.T) {
	lower := func(values map[int32]string, prefix string) []string {
		var names []string
		for i := int32(1); i < int32(len(values)); i++ {
			names = append(names, strings.ToLower(strings.TrimPrefix(values[i], prefix)))
		}
		return names
	}
	if got, want := feature.Actions(), lower(headwaterv1.Action_name, "ACTION_"); !slices.Equal(got, want) {
		t.Errorf("actions: found %v, the proto has %v", got, want)
	}
	if got, want := feature.ResourceKinds(), lower(headwaterv1.ResourceKind_name, "RESOURCE_KIND_"); !slices.Equal(got, want) {
		t.Errorf("resource kinds: found %v, the proto has %v", got, want)
	}
}

// FuzzParse holds that no text stops the program, and that what is taken can be validated, placed and written again.
func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("entities: [{name: a, join_keys: [{name: k, type: string}]}]")
	f.Add("feature_views: [{ttl: 9223372036854775807h, sql: {query: \"{{\"}}]")
	f.Add("\r\u2028\u0085---\r\nroles: []")
	f.Add("? [a]\n: b\n")
	f.Add("--- |\n x\n--- >\n y")
	f.Add(tested)
	f.Add(values)
	f.Add("tests: [{name: a, loads: [{source: s, rows: [{x: [1, 017, .nan, ~, 2001-01-01]}]}], definitions: {roles: []}}]")
	f.Fuzz(func(t *testing.T, text string) {
		d, violations := parse("a.yaml", []byte(text))
		if len(violations) > 0 {
			return
		}
		files := []*headwaterv1.DefinitionSource{{Path: "a.yaml", File: d.file}}
		set := &Set{Files: files, documents: []*document{d}}
		set.Definitions, set.origins, violations = FromProto(files)
		set.tests = d.file.Tests
		d.file.Tests = nil
		for _, p := range set.problems() {
			violations = append(violations, set.violation(&p))
		}
		_, wrong := set.readTests()
		violations = append(violations, wrong...)
		for _, v := range Annotate(set, invalid(violations)).Violations {
			if v.File == "" || v.Line == 0 {
				t.Fatalf("a violation without a place: %+v", v)
			}
		}
		ToProto(&set.Definitions)
	})
}
