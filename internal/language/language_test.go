package language

import (
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

func load(t *testing.T) *Language {
	t.Helper()
	text, err := os.ReadFile("../../" + Proto)
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestGeneratedFilesAreWhatTheProtoSays(t *testing.T) {
	l := load(t)
	for name, make := range Generated {
		now, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := make(l, string(now))
		if err != nil {
			t.Fatal(err)
		}
		if want != string(now) {
			t.Errorf("%s is not what %s generates; run `make generate` and commit the result", name, Proto)
		}
	}
}

func TestNewMissesWhatIsNotDeclared(t *testing.T) {
	text, err := os.ReadFile("../../" + Proto)
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(strings.Replace(string(text), "string cel = 2", "string cell = 2", 1))
	if err == nil || err.Error() != "definition.proto: found no declaration of headwater.v1.OnDemandExpression.cel; generate code first" {
		t.Errorf("found %v", err)
	}
}

func TestPageNamesWhatItMisses(t *testing.T) {
	l := load(t)
	page, err := os.ReadFile("../../docs/definitions.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, now, want string }{
		{"## `deprecated`", "## Deprecated", "docs/definitions.md: found no heading with `deprecated`, expected one above the table of its keys"},
		{"| key | type | default | meaning |", "| key | kind |", "docs/definitions.md: found no table under \"## A file\", expected one that begins with \"| key | type | default | meaning |\""},
	} {
		_, err := l.Page(strings.Replace(string(page), c.old, c.now, 1))
		if err == nil || err.Error() != c.want {
			t.Errorf("found %v, expected %s", err, c.want)
		}
	}
}

// What a comment and the rules say of a key.
func TestKeys(t *testing.T) {
	l := load(t)
	for _, c := range []struct {
		message, key string
		want         Key
	}{
		{"Source", "corrections", Key{Default: "`restate`"}},
		{"Aggregate", "relative_error", Key{Default: "0.01"}},
		{"AggregationTransform", "hop", Key{Required: true}},
		{"Column", "name", Key{Required: true}},
		{"Source", "landing", Key{}},
	} {
		m := Root().ParentFile().Messages().ByName(protoreflect.Name(c.message))
		for _, k := range l.Keys(m) {
			if string(k.Field.Name()) != c.key {
				continue
			}
			if k.Default != c.want.Default || k.Required != c.want.Required || k.Meaning == "" || strings.Contains(k.Meaning, "Absent:") {
				t.Errorf("%s.%s: found %+v, expected %+v", c.message, c.key, k, c.want)
			}
		}
	}
}
