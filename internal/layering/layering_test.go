package layering

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/headwaterhq/headwater"
	// maxLines is where a file has become more than one subject.
	maxLines = 800
)

// layer is a set of packages under one import rule.
type layer struct {
	name string
	// folders are those of its packages, each with all below it.
	folders []string
	// knows are the layers that it may import.
	knows []string
	// apart forbids its folders to import each other.
	apart bool
}

// layers is the import rule: feature knows nothing of the world; engines know it and not each other; orchestrations and the
// server know engines; commands know everything. The first layer with a package's folder is its own.
var layers = []layer{
	{name: "domain", folders: []string{"feature"}},
	{name: "plan", folders: []string{"read", "expr", "window"}, knows: []string{"domain"}},
	{name: "contract", folders: []string{"gen"}},
	{
		name:    "test support",
		folders: []string{"internal/testenv", "internal/anyvalue", "internal/anyfilter", "internal/reference", "internal/scenario"},
		knows:   []string{"domain", "plan", "contract", "internal", "files", "engine", "orchestration", "server", "client"},
	},
	{name: "internal", folders: []string{"internal"}, knows: []string{"domain", "plan", "contract"}},
	{name: "files", folders: []string{"definition"}, knows: []string{"domain", "plan", "contract", "internal"}},
	{
		name:    "engine",
		folders: []string{"registry", "offline", "online", "access", "lineage", "quality", "retention", "readlog"},
		knows:   []string{"domain", "plan", "contract", "internal", "files"},
		apart:   true,
	},
	{
		name:    "orchestration",
		folders: []string{"materialize", "dataset"},
		knows:   []string{"domain", "plan", "contract", "internal", "files", "engine"},
		apart:   true,
	},
	{
		name:    "server",
		folders: []string{"server"},
		knows:   []string{"domain", "plan", "contract", "internal", "files", "engine", "orchestration"},
	},
	{name: "client", folders: []string{"client"}, knows: []string{"domain", "plan", "contract", "internal", "files"}},
	{
		name:    "command",
		folders: []string{"cmd", "bench", "examples"},
		knows: []string{
			"domain", "plan", "contract", "internal", "files", "engine", "orchestration", "server", "client",
			"test support",
		},
	},
}

// layerOf finds the layer and the folder in it that hold a package, given by its path in the module.
func layerOf(pkg string) (l layer, folder string, found bool) {
	for _, l := range layers {
		for _, folder := range l.folders {
			if pkg == folder || strings.HasPrefix(pkg, folder+"/") {
				return l, folder, true
			}
		}
	}
	return layer{}, "", false
}

// outsideWorld are the standard packages by which the domain could notice where it runs.
var outsideWorld = []string{
	"context", "crypto/rand", "database", "io/fs", "log", "math/rand", "net", "os", "path/filepath", "plugin", "syscall",
}

// refusal is why a package (by its path in the module) may not import another (by its import path), empty when it may.
func refusal(pkg, imported string) string {
	from, fromFolder, ok := layerOf(pkg)
	if !ok {
		return "it is in no layer"
	}
	inside, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		return refusalOutside(from, imported)
	}
	to, toFolder, ok := layerOf(inside)
	switch {
	case !ok:
		return "that one is in no layer; give it one in this test"
	case from.name == to.name && (fromFolder == toFolder || !from.apart):
		return ""
	case from.name == to.name:
		return fmt.Sprintf("packages of the %s layer do not know each other", from.name)
	case !slices.Contains(from.knows, to.name):
		return fmt.Sprintf("the %s layer does not know the %s layer", from.name, to.name)
	}
	return ""
}

func refusalOutside(from layer, imported string) string {
	if from.name != "domain" {
		return ""
	}
	if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
		return "the domain imports nothing but the standard library"
	}
	for _, world := range outsideWorld {
		if imported == world || strings.HasPrefix(imported, world+"/") {
			return "the domain knows nothing of the world"
		}
	}
	return ""
}

func TestRefusal(t *testing.T) {
	for _, c := range []struct{ pkg, imported, want string }{
		{"feature", "strings", ""},
		{"feature", "crypto/sha256", ""},
		{"feature", "os", "the domain knows nothing of the world"},
		{"feature", "net/http", "the domain knows nothing of the world"},
		{"feature", "github.com/jackc/pgx/v5", "the domain imports nothing but the standard library"},
		{"feature", module + "/internal/fault", "the domain layer does not know the internal layer"},
		{"read", module + "/feature", ""},
		{"read", module + "/offline", "the plan layer does not know the engine layer"},
		{"offline", module + "/internal/database", ""},
		{"offline/sql", module + "/offline", ""},
		{"offline", module + "/online", "packages of the engine layer do not know each other"},
		{"offlinestore", "strings", "it is in no layer"},
		{"online", module + "/server", "the engine layer does not know the server layer"},
		{"online", module + "/internal/testenv", "the engine layer does not know the test support layer"},
		{"materialize", module + "/offline", ""},
		{"materialize", module + "/dataset", "packages of the orchestration layer do not know each other"},
		{"internal/database", module + "/internal/fault", ""},
		{"internal/database", module + "/registry", "the internal layer does not know the engine layer"},
		{"internal/reference", module + "/offline", ""},
		{"server", module + "/dataset", ""},
		{"server", module + "/cmd/headwater", "the server layer does not know the command layer"},
		{"registry", module + "/definition", ""},
		{"definition", module + "/registry", "the files layer does not know the engine layer"},
		{"client", module + "/server", "the client layer does not know the server layer"},
		{"cmd/headwater", module + "/server", ""},
		{"cmd/headwater", module + "/stray", "that one is in no layer; give it one in this test"},
	} {
		if got := refusal(c.pkg, c.imported); got != c.want {
			t.Errorf("%s importing %s: %q, want %q", c.pkg, c.imported, got, c.want)
		}
	}
}

func TestImportRule(t *testing.T) {
	strays := map[string]bool{}
	for _, f := range sources(t) {
		if f.isTest() {
			continue
		}
		if _, _, ok := layerOf(f.pkg()); !ok {
			if !strays[f.pkg()] {
				t.Errorf("%s is in no layer; give it one in this test", f.pkg())
			}
			strays[f.pkg()] = true
			continue
		}
		for _, spec := range f.syntax.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if why := refusal(f.pkg(), imported); why != "" {
				t.Errorf("%s imports %s: %s", f.path, imported, why)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	// By package: whether it has code, and whether one of its files has a doc comment that opens as it should.
	documented := map[string]bool{}
	for _, f := range sources(t) {
		if f.isTest() || strings.HasPrefix(f.path, "gen/") {
			continue
		}
		opening := "Package " + f.syntax.Name.Name + " "
		if f.syntax.Name.Name == "main" {
			opening = "Command " + path.Base(f.pkg()) + " "
		}
		documented[f.pkg()] = documented[f.pkg()] || strings.HasPrefix(f.syntax.Doc.Text(), opening)
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("%s has no comment above its package clause that opens with `Package NAME` (`Command NAME` for a main)", pkg)
		}
	}
}

func TestNoFileOutgrowsItsReader(t *testing.T) {
	for _, f := range sources(t) {
		if f.lines > maxLines && !ast.IsGenerated(f.syntax) {
			t.Errorf("%s has %d lines, more than %d; part it by its nouns", f.path, f.lines, maxLines)
		}
	}
}

// source is a Go file of the module.
type source struct {
	// path is the file's in the module, with slashes.
	path   string
	syntax *ast.File
	lines  int
}

func (s source) pkg() string { return path.Dir(s.path) }

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// sources are all Go files of the module, whatever the build constraints, with their imports and comments.
func sources(t *testing.T) []source {
	t.Helper()
	root := moduleRoot(t)
	var all []source
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != root && ignored(name) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		files := token.NewFileSet()
		// Whole, because whether a file is generated and how long it is does not show in its imports.
		syntax, err := parser.ParseFile(files, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		inModule, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		all = append(all, source{
			path: filepath.ToSlash(inModule), syntax: syntax, lines: files.File(syntax.FileStart).LineCount(),
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("no Go files under %s", root)
	}
	return all
}

// ignored tells folders that the go command passes over too: hidden ones, test data, and modules of their own.
func ignored(folder string) bool {
	base := filepath.Base(folder)
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" {
		return true
	}
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		above := filepath.Dir(folder)
		if above == folder {
			t.Fatal("no go.mod above this test")
		}
		folder = above
	}
}
