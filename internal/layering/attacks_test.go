package layering

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The tests that docs/security.md names are there.
func TestAttacksThatAreNamedAreTested(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs/security.md"))
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	for _, s := range sources(t) {
		if !s.isTest() {
			continue
		}
		for _, d := range s.syntax.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				declared[f.Name.Name] = true
			}
		}
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z]*)`").FindAllStringSubmatch(string(text), -1) {
		if named[name[1]] = true; !declared[name[1]] {
			t.Errorf("docs/security.md names %s, which is no test", name[1])
		}
	}
	for name := range declared {
		if strings.HasPrefix(name, "TestAttack") && name != "TestAttacksThatAreNamedAreTested" && !named[name] {
			t.Errorf("docs/security.md does not name %s", name)
		}
	}
}
