package cmd

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "lithos"

// layers are the folders of Go code and what each may import of the others:
// always the lower ones, never an upper one.
var layers = map[string][]string{
	"cmd":     {"configs", "actors", "spawn", "sysx"},
	"actors":  {"configs", "spawn", "sysx"},
	"spawn":   {"sysx"},
	"sysx":    {},
	"configs": {},
	// Not part of what is shipped.
	"bench":    {"configs", "actors", "spawn", "sysx"},
	"examples": {},
	// It runs the programs, as anybody can.
	"packaging": {},
}

// topLevel is everything that may lie in the root of the repository.
var topLevel = []string{
	"cmd", "actors", "spawn", "sysx", "configs", "bench", "examples",
	"docs", "packaging", "findings", ".ci",
	"go.mod", "go.sum", "Makefile", "README.md", "LICENSE", ".gitignore",
}

// bans are imports that a layer does without, and why.
var bans = []struct {
	layer, path string // a path ending in / bans all below it
	tests       bool   // in tests, too
	why         string
}{
	{"sysx", "log", false, "a kernel facility returns errors, others log"},
	{"sysx", "log/slog", false, "a kernel facility returns errors, others log"},
	{"spawn", "log", false, "PID 1 writes events to its record, the supervisor logs"},
	{"spawn", "log/slog", false, "PID 1 writes events to its record, the supervisor logs"},
	{"configs", "log", false, "a Problem is returned"},
	{"configs", "log/slog", false, "a Problem is returned"},
	{"sysx", "github.com/", true, "the kernel needs no library but golang.org/x/sys"},
	{"spawn", "github.com/", true, "no actors, no logger in PID 1"},
	{"spawn", "go.yaml.in/", true, "no YAML in PID 1"},
	{"configs", "github.com/", true, "reading files needs no actors and no logger"},
	{"actors", "go.yaml.in/", false, "file formats belong to configs"},
	{"actors", "golang.org/x/sys/", false, "system calls belong to sysx"},
	{"sysx", "os/exec", false, "nothing shells out"},
	{"spawn", "os/exec", false, "nothing shells out"},
	{"configs", "os/exec", false, "nothing shells out"},
	{"actors", "os/exec", false, "nothing shells out"},
}

// exceptions are packages that may import what is banned for their layer.
var exceptions = []struct {
	dir, path string
	why       string
}{
	{"sysx/bridge", "github.com/vishvananda/netlink", "the protocol is large, and the supervisor alone links it"},
}

func excepted(dir, imported string) bool {
	for _, e := range exceptions {
		if e.dir == dir && e.path == imported {
			return true
		}
	}
	return false
}

// source is one Go file of the repository, of whatever platform.
type source struct {
	path, dir string // below the root, with slashes
	test      bool
	file      *ast.File
	imports   []string
}

// sources reads all of them. The files are read by the test itself, so that a
// change in any of them makes a kept result void, also that of a test which
// asks `go list`.
func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || path == "bin" || path == "build" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		body, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, body, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s := source{path: path, dir: filepath.Dir(path), test: strings.HasSuffix(path, "_test.go"), file: file}
		for _, i := range file.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, imported)
		}
		list = append(list, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 20 {
		t.Fatalf("only %d Go files were found", len(list))
	}
	return list
}

// dependencies lists everything that a program links.
func dependencies(t *testing.T, program string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "./cmd/"+program)
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -deps ./cmd/%s: %v", program, err)
	}
	return strings.Fields(string(out))
}

// layerOf is the first folder of one of our packages, "" for others'.
func layerOf(imported string) string {
	rest, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		return ""
	}
	layer, _, _ := strings.Cut(rest, "/")
	return layer
}

func TestImportsPointDownwards(t *testing.T) {
	for _, s := range sources(t) {
		layer, _, _ := strings.Cut(s.path, "/")
		allowed, known := layers[layer]
		if !known {
			t.Errorf("%s belongs to no layer", s.path)
			continue
		}
		for _, imported := range s.imports {
			if to := layerOf(imported); to != "" && to != layer && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s: %s may import %v", s.path, imported, layer, allowed)
			}
			for _, b := range bans {
				if b.layer == layer && (b.tests || !s.test) && matches(imported, b.path) && !excepted(s.dir, imported) {
					t.Errorf("%s imports %s: %s", s.path, imported, b.why)
				}
			}
		}
	}
}

// TestServicesKnowNoActor: actors call the services, never the other way round.
func TestServicesKnowNoActor(t *testing.T) {
	const services = module + "/actors/services/"
	for _, s := range sources(t) {
		if s.test || !strings.HasPrefix(s.dir, "actors/services/") {
			continue
		}
		for _, imported := range s.imports {
			if layerOf(imported) == "actors" && imported != module+"/actors" && !strings.HasPrefix(imported, services) {
				t.Errorf("%s imports the actor %s", s.path, imported)
			}
		}
	}
}

// TestNoFolderImportsBackUp: of two folders side by side one imports the other,
// never both each other, with all that is below them and over any number of
// steps. Go itself forbids that for packages only.
func TestNoFolderImportsBackUp(t *testing.T) {
	imports := make(map[string]map[string]bool)
	for _, s := range sources(t) {
		for _, imported := range s.imports {
			if from, to, ok := siblings(s.dir, strings.TrimPrefix(imported, module+"/")); ok && !s.test {
				if imports[from] == nil {
					imports[from] = make(map[string]bool)
				}
				imports[from][to] = true
			}
		}
	}
	var reaches func(from, to string, seen map[string]bool) bool
	reaches = func(from, to string, seen map[string]bool) bool {
		seen[from] = true
		for next := range imports[from] {
			if next == to || !seen[next] && reaches(next, to, seen) {
				return true
			}
		}
		return false
	}
	for from := range imports {
		if reaches(from, from, make(map[string]bool)) {
			t.Errorf("%s imports what imports %s", from, from)
		}
	}
}

// siblings are the folders side by side that two packages are in: for
// "actors/root" and "actors/services/logs", "actors/root" and "actors/services".
func siblings(a, b string) (from, to string, ok bool) {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return strings.Join(as[:i+1], "/"), strings.Join(bs[:i+1], "/"), i > 0 || layerOf(module+"/"+b) != ""
		}
	}
	return "", "", false
}

// matches tells whether an import is the path, or below it if that ends in /.
func matches(imported, path string) bool {
	return imported == path || strings.HasSuffix(path, "/") && strings.HasPrefix(imported, path)
}

// Each container has a lithos_knot, so what it links is paid for as often.
func TestKnotIsTiny(t *testing.T) {
	banned := []string{
		"github.com/", "go.yaml.in/", "go.opentelemetry.io/", "google.golang.org/",
		"encoding/json", "fmt", "net", "net/", "log", "log/slog", "os/exec", "regexp",
		module + "/configs", module + "/actors/",
	}
	sources(t)
	for _, dep := range dependencies(t, "lithos_knot") {
		for _, b := range banned {
			if matches(dep, b) {
				t.Errorf("lithos_knot links %s", dep)
			}
		}
	}
}

// Only the supervisor, and who runs containers as it does, pays for the actor
// library.
func TestActorLibraryStaysInTheSupervisor(t *testing.T) {
	for _, program := range programs(t) {
		if program == "lithos_tree" || program == "lithos_cmd" {
			continue
		}
		for _, dep := range dependencies(t, program) {
			if matches(dep, "github.com/asynkron/") {
				t.Errorf("%s links %s", program, dep)
			}
		}
	}
}

// Only who pulls images pays for the client of registries, and for the TLS in it.
func TestRegistryClientStaysInTheImport(t *testing.T) {
	for _, program := range programs(t) {
		if program == "lithos_import" {
			continue
		}
		for _, dep := range dependencies(t, program) {
			if matches(dep, "oras.land/") || matches(dep, "github.com/opencontainers/") {
				t.Errorf("%s links %s", program, dep)
			}
		}
	}
}

// Tools that only read and write configs go to build machines and orchestrators.
// They link nothing that runs containers. The client of the control socket is an
// exception: lithos_switch waits with it.
func TestConfigToolsLinkOnlyConfigs(t *testing.T) {
	sources(t)
	for _, program := range []string{"lithos_check", "lithos_switch"} {
		for _, dep := range dependencies(t, program) {
			if to := layerOf(dep); dep != module+"/actors/services/api" && (to == "actors" || to == "spawn") {
				t.Errorf("%s links %s", program, dep)
			}
		}
	}
}

func programs(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, s := range sources(t) {
		if name := filepath.Base(s.dir); s.dir == "cmd/"+name && strings.HasPrefix(name, "lithos_") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatal("there are no programs in cmd/")
	}
	return names
}

// The charter of a package is the comment in its doc.go, or in its only file. A
// package of tests needs none.
func TestEachPackageHasACharter(t *testing.T) {
	charter := make(map[string]bool)
	for _, s := range sources(t) {
		if !s.test {
			charter[s.dir] = charter[s.dir] || s.file.Doc != nil
		}
	}
	for dir, has := range charter {
		if !has {
			t.Errorf("%s has no doc.go with a package comment", dir)
		}
	}
}

func TestTopLevelEntries(t *testing.T) {
	for _, name := range trackedTopLevel(t) {
		if !slices.Contains(topLevel, name) {
			t.Errorf("%s has no place in the root of the repository", name)
		}
	}
}

// trackedTopLevel asks git, because bin/, build/ and whatever an editor
// leaves are nobody's business; without git everything counts but these.
func trackedTopLevel(t *testing.T) []string {
	t.Helper()
	var names []string
	if out, err := exec.Command("git", "-C", "..", "ls-tree", "--name-only", "HEAD").Output(); err == nil {
		return strings.Fields(string(out))
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains([]string{".git", "bin", "build"}, e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// A kernel facility could move to another project as it is: no name and no
// text in it says lithos. Comments may.
func TestSysxKnowsNothingOfLithos(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !strings.HasPrefix(s.path, "sysx/") {
			continue
		}
		for _, word := range words(s.file) {
			if strings.Contains(strings.ToLower(word), module) {
				t.Errorf("%s says %s", s.path, word)
			}
		}
	}
}

// words are the identifiers and literals of a file, without its imports.
func words(file *ast.File) []string {
	var list []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Ident:
			list = append(list, n.Name)
		case *ast.BasicLit:
			list = append(list, n.Value)
		}
		return true
	})
	return list
}

// The version that the Makefile links in has to have a variable to go to.
func TestProgramsHaveAVersion(t *testing.T) {
	has := make(map[string]bool)
	for _, s := range sources(t) {
		has[filepath.Base(s.dir)] = has[filepath.Base(s.dir)] || declaresVersion(s.file)
	}
	for _, program := range programs(t) {
		if !has[program] {
			t.Errorf(`%s has no: var version = "dev"`, program)
		}
	}
}

func declaresVersion(file *ast.File) bool {
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			if len(v.Values) != 1 || v.Names[0].Name != "version" {
				continue
			}
			if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Value == strconv.Quote("dev") {
				return true
			}
		}
	}
	return false
}
