package analysis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseTree(t *testing.T) {
	for text, want := range map[string]string{
		`<>`:                                  `-`,
		`({QUERY :a 1 :b <>})`:                `({QUERY a:1 b:-})`,
		`{N :list (o 25 701) :bits (b)}`:      `{N list:(25 701) bits:()}`,
		`{N :names ("date" "delay")}`:         `{N names:(date delay)}`,
		`{CONST :constvalue 4 [ 1 0 -1 0 ]}`:  `{CONST constvalue:4[1 0 255 0]}`,
		`{CONST :constvalue <> :location 7}`:  `{CONST constvalue:- location:7}`,
		`{N :name a\ b\(c\) :next \<> :q ""}`: `{N name:a b(c) next:<> q:-}`,
		`{N :cols 2 1 2 (i 3) {X} :then 1}`:   `{N cols:2 then:1}`,
		`{}`:                                  `node tree, byte 2: found "}", expected the name of a node`,
		`{N :a`:                               `node tree, byte 5: found the end of the text, expected a value`,
		`{N a}`:                               `node tree, byte 4: found "a" in N, expected a field`,
		`(1`:                                  `node tree, byte 2: found the end of the text, expected a value`,
		`)`:                                   `node tree, byte 1: found ")", expected a value`,
		`1 2`:                                 `node tree, byte 3: found more behind the tree`,
		`{N :a 1 [ x ]}`:                      `node tree, byte 11: found "x", expected a byte of a constant`,
		`{N :a 1 [ 1`:                         `node tree, byte 11: found "", expected a byte of a constant`,
	} {
		v, err := parseTree(text)
		got := print(v)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s\nfound:    %s\nexpected: %s", text, got, want)
		}
	}
}

func print(v Value) string {
	switch {
	case v.Node != nil:
		var b strings.Builder
		b.WriteString("{" + v.Node.Tag)
		for _, f := range v.Node.Fields {
			b.WriteString(" " + f.Name + ":" + print(f.Value))
		}
		return b.String() + "}"
	case v.List != nil:
		words := make([]string, len(v.List))
		for i, e := range v.List {
			words[i] = print(e)
		}
		return "(" + strings.Join(words, " ") + ")"
	case v.Datum != nil:
		return v.Atom + fmt.Sprint(v.Datum)
	case v.Atom == "":
		return "-"
	}
	return v.Atom
}

func TestDeepTreesAreRefused(t *testing.T) {
	if _, err := parseTree(strings.Repeat("(", maxDepth+1)); !errors.Is(err, errTooDeep) {
		t.Errorf("found %v, expected %v", err, errTooDeep)
	}
	if _, err := parseTree(strings.Repeat("(", maxDepth) + strings.Repeat(")", maxDepth)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}

func FuzzParseTree(f *testing.F) {
	f.Add(`({QUERY :a 1 :b <> :c (o 1 2) :d 4 [ 1 0 ] :e "x\ y" :f {VAR :varno 1}})`)
	f.Add(`{N :a`)
	f.Add(`{N :a 1 [ `)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseTree(text)
		if err != nil {
			return
		}
		// What was read can be walked.
		v.nodes(func(n *Node) {
			n.walk(nil, func(n *Node, _ []*Node) bool { return n.place() != -2 })
		})
		referencesOf(v)
	})
}
