package analysis

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Each rule has a section of the page, and each section of the page is a rule.
func TestEveryRuleIsOnThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/determinism.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []Rule
	for _, line := range strings.Split(string(page), "\n") {
		if name, ok := strings.CutPrefix(line, "### "); ok {
			found = append(found, Rule(name))
		}
	}
	for _, r := range Rules() {
		if !slices.Contains(found, r) {
			t.Errorf("docs/determinism.md has no section %q", r)
		}
	}
	for _, r := range found {
		if !slices.Contains(Rules(), r) {
			t.Errorf("docs/determinism.md has a section %q, which is no rule", r)
		}
	}
}

// Each rule is refused somewhere in the corpus, or elsewhere as told here.
func TestEveryRuleIsInTheCorpus(t *testing.T) {
	elsewhere := map[Rule]string{RuleSize: "TestLargeSQL"}
	files, err := os.ReadDir("../testdata/corpus")
	if err != nil {
		t.Fatal(err)
	}
	var corpus strings.Builder
	for _, f := range files {
		text, err := os.ReadFile("../testdata/corpus/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		corpus.Write(text)
	}
	for _, r := range Rules() {
		if elsewhere[r] == "" && !strings.Contains(corpus.String(), "(rule "+string(r)+")") {
			t.Errorf("no snippet of the corpus breaks rule %s", r)
		}
	}
}
