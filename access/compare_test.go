package access

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// What a secret is held to is compared in constant time, and nothing in the package compares bytes in another way.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]int{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				of, ok := call.X.(*ast.Ident)
				if !ok {
					return true
				}
				switch of.Name + "." + call.Sel.Name {
				case "bytes.Equal", "bytes.Compare":
					t.Errorf("%s compares bytes by %s.%s, which takes as long as they are alike", f.Name.Name, of.Name, call.Sel.Name)
				case "subtle.ConstantTimeCompare":
					in[f.Name.Name]++
				}
				return true
			})
		}
	}
	if in["lookup"] != 1 {
		t.Errorf("found %v, expected lookup to compare the hash of a token's secret in constant time", in)
	}
}
