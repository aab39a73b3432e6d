package definition

import (
	"fmt"
	"strings"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// lines is n lines, each made of its number.
func lines(n int, line func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(i))
	}
	return b.String()
}

// Files that are made to take long are refused at once, and what is told of them has bounds. The test would not end if the
// work grew with the square of what is in them.
func TestLargeAndDeepFilesAreRefused(t *testing.T) {
	entity := func(i int) string { return fmt.Sprintf("- {name: e%d, join_keys: [{name: k, type: string}]}\n", i) }
	for name, c := range map[string]struct{ text, want string }{
		"5 MB": {"# " + strings.Repeat("x", 5<<20), "a.yaml: found a file of more than 2 MB, expected definitions of less; split it"},
		"10,000 deep": {
			"entities: " + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
			"a.yaml:1:12: found a list, expected keys out of name, join_keys",
		},
		"100,000 deep": {
			strings.Repeat("- ", 100_000),
			"a.yaml:1: found text that is not YAML: exceeded max depth of 10000; check indentation (spaces only), colons, brackets and quotes from this line on",
		},
		"33 deep": {
			"tests: [{name: t, loads: [{source: s, rows: [{x: " + strings.Repeat("[", 30) + strings.Repeat("]", 30) + "}]}]}]",
			"a.yaml:1:76: found more than 32 levels, expected fewer: no definition nests as deep",
		},
		"tests in tests": {
			strings.Repeat("{tests: [{name: a, definitions: ", 20) + strings.Repeat("}]}", 20), "found more than 32 levels, expected fewer",
		},
		"many values": {
			"entities:\n" + lines(30_000, entity), "a.yaml:20001:37: found more than 200000 keys and values, expected fewer; split the file",
		},
		"many entities":  {"entities:\n" + lines(10_001, entity), "a.yaml:10002:3: found more than 10000 entities, expected fewer; apply them in parts"},
		"many documents": {strings.Repeat("---\n", 200), "found more than 100 documents, expected one per file; split the file"},
		"many sources": {
			"feature_views:\n- sql:\n    sources:\n" + lines(50_000, func(i int) string { return fmt.Sprintf("    - s%d\n", i) }),
			"a.yaml:132:7: found more than 128 sources, expected at most 128",
		},
		"many renames": {
			"feature_services:\n- views:\n  - view: v\n    rename:\n" + lines(600, func(i int) string { return fmt.Sprintf("      f%d: g\n", i) }),
			"found more than 512 rename, expected at most 512",
		},
		"many unknown keys": {lines(50_000, func(i int) string { return fmt.Sprintf("k%d: 1\n", i) }), "found 50 problems in the definitions\n"},
		"many names of one": {
			"entities:\n" + strings.Repeat("- {name: a, join_keys: [{name: k, type: string}]}\n", 9_999),
			"found 1000 problems in the definitions, of which these are 50\n",
		},
		"many wrong types": {
			"entities:\n" + lines(9_999, func(i int) string { return fmt.Sprintf("- {name: e%d, join_keys: [{name: k, type: x}]}\n", i) }),
			"found 1000 problems in the definitions, of which these are 50\n",
		},
		"many wrong tests": {
			good + "tests:\n" + lines(9_999, func(i int) string { return fmt.Sprintf("- {name: t%d, refused: x, loads: [{source: a}]}\n", i) }),
			"found 1000 problems in the definitions, of which these are 50\n",
		},
		"a long number":   {"tests: [{name: t, loads: [{source: s, replaces: " + strings.Repeat("1", 1<<20) + "}]}]", "a.yaml:1:49: found a long text for replaces"},
		"a long duration": {"feature_views: [{ttl: " + strings.Repeat("1", 1<<20) + "h}]", `a.yaml:1:23: found "1111`},
		"a long name":     {strings.Replace(good, "name: airport", "name: "+strings.Repeat("a", 1<<20), 1), "a.yaml:2:11: found a name of more than 48 characters, expected at most 48"},
		"two long names": {
			strings.NewReplacer("name: airport", "name: "+strings.Repeat("a", 1<<19), "entity: airport", "entity: "+strings.Repeat("b", 1<<19)).Replace(good),
			"a.yaml:14:13: found no entity called bbb",
		},
		"invalid UTF-8":   {"entities: \xff", "a.yaml:1:1: found text that is not UTF-8, expected UTF-8; save the file as such"},
		"UTF-16":          {"e\x00n\x00", "a.yaml:1: found text that is not YAML: control characters are not allowed; check"},
		"NUL":             {"entities: \"\x00\"", "a.yaml:1: found text that is not YAML: control characters are not allowed; check"},
		"escaped NUL":     {strings.Replace(good, "name: airport", `name: "a\0"`, 1), `a.yaml:2:11: found the name "a\x00", expected lower-case letters`},
		"an alias":        {"entities: &e []\nroles: *e\n", "a.yaml:2:8: found the alias *e, expected the value itself: definitions have no aliases"},
		"a merge":         {"<<: {entities: []}\n", `a.yaml:1:1: found the unknown key "<<", expected keys out of entities`},
		"a list as a key": {"? [a]\n: b\n", "a.yaml:1:3: found a list as a key, expected keys out of entities"},
		"a key twice":     {"entities: []\nentities: []\n", "a.yaml:2:1: found entities a second time (the first is in line 1), expected each key once"},
		"a text":          {"hello", `a.yaml:1:1: found the text "hello", expected keys out of entities`},
		"a list":          {"- a", "a.yaml:1:1: found a list, expected keys out of entities"},
		"YAML 1.1's yes":  {strings.Replace(good, "serves_as_grant: true", "serves_as_grant: on", 1), `a.yaml:28:22: found the text "on" for serves_as_grant, expected true or false`},
		"True":            {strings.Replace(good, "serves_as_grant: true", "serves_as_grant: True", 1), `a.yaml:28:22: found True for serves_as_grant, expected true or false`},
		"a tagged text":   {strings.Replace(good, "name: airport", "name: !secret x", 1), "a.yaml:2:11: found a value with the tag !secret for name, expected text"},
	} {
		write(t, map[string]string{"a.yaml": c.text})
		found := refused(t, "a.yaml").Error()
		if !strings.Contains(found, c.want) || len(found) > 20_000 {
			t.Errorf("%s: found    %.1000s\nexpected %s", name, found, c.want)
		}
	}
}

// What comes over the wire was read by no reader of ours.
func TestFilesOfOthersAreRefused(t *testing.T) {
	deep := &headwaterv1.DefinitionFile{}
	for range 5000 {
		deep = &headwaterv1.DefinitionFile{Tests: []*headwaterv1.DefinitionTest{{Name: "t", Definitions: deep}}}
	}
	many := &headwaterv1.DefinitionFile{}
	for range maxDefinitions + 1 {
		many.Roles = append(many.Roles, &headwaterv1.Role{})
	}
	half := &headwaterv1.DefinitionFile{Roles: many.Roles[:maxDefinitions/2+1]}
	nothing := &headwaterv1.DefinitionFile{
		Entities: []*headwaterv1.Entity{nil}, Sources: []*headwaterv1.Source{{}}, FeatureViews: []*headwaterv1.FeatureView{{}},
		FeatureServices: []*headwaterv1.FeatureService{{Views: []*headwaterv1.ServiceView{nil}}}, Roles: []*headwaterv1.Role{{Grants: []*headwaterv1.Grant{nil}}},
	}
	for name, c := range map[string]struct {
		files []*headwaterv1.DefinitionFile
		want  string
	}{
		"nothing":           {[]*headwaterv1.DefinitionFile{nil}, ""},
		"nested":            {[]*headwaterv1.DefinitionFile{deep}, ""},
		"many":              {[]*headwaterv1.DefinitionFile{many}, "roles[10000]: found more than 10000 roles, expected fewer; apply them in parts"},
		"many of two files": {[]*headwaterv1.DefinitionFile{half, half}, "roles[10000]: found more than 10000 roles, expected fewer; apply them in parts"},
		"NUL":               {[]*headwaterv1.DefinitionFile{{Entities: []*headwaterv1.Entity{{Name: "a", Owner: "x\x00", JoinKeys: []*headwaterv1.JoinKey{{Name: "k", Type: "string"}}}}}}, `entities[0].owner: found a NUL character in "x\x00", expected text without one`},
		"empty":             {[]*headwaterv1.DefinitionFile{nothing}, "entities[0].name: found no name, expected one"},
	} {
		var sources []*headwaterv1.DefinitionSource
		for i, f := range c.files {
			sources = append(sources, &headwaterv1.DefinitionSource{Path: fmt.Sprint(i), File: f})
		}
		d, _, violations := FromProto(sources)
		d.Validate(nil)
		found := ""
		if len(violations) > 0 {
			found = violations[0].Field + ": " + violations[0].Description
		}
		if found != c.want {
			t.Errorf("%s: found %q, expected %q", name, found, c.want)
		}
	}
}
