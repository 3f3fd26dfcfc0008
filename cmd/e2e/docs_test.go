//go:build !guest

// Not in the virtual machine: the pages are not there.

package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pages are all Markdown files of the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	must(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "build" || d.Name() == "bin" || d.Name() == ".git"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			data, err := os.ReadFile(path)
			texts[path] = string(data)
			return err
		}
		return nil
	}))
	if len(texts) < 20 {
		t.Fatalf("only %d pages", len(texts))
	}
	return texts
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// anchor is what a heading is called in a link.
func anchor(heading string) string {
	heading = strings.ToLower(strings.TrimSpace(heading))
	heading = regexp.MustCompile("[^a-z0-9 _-]").ReplaceAllString(heading, "")
	return strings.ReplaceAll(heading, " ", "-")
}

// Each link of a page has its target, and the heading in it.
func TestLinksOfThePages(t *testing.T) {
	t.Parallel()
	for page, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			file, place, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			data, err := os.ReadFile(target)
			if info, statErr := os.Stat(target); statErr == nil && info.IsDir() {
				err = nil
			}
			if err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
				continue
			}
			found := place == ""
			for _, h := range heading.FindAllStringSubmatch(string(data), -1) {
				found = found || anchor(h[1]) == place
			}
			if !found {
				t.Errorf("%s links to %s, where there is no such heading", page, m[1])
			}
		}
	}
}

var flagName = regexp.MustCompile("(?m)(?:^|[\\s`'\"(\\[|,])(--[a-z][a-z-]*[a-z]|-[A-Za-z])\\b")

func flagsIn(text string) []string {
	var list []string
	for _, m := range flagName.FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// helpOf is what a program prints of itself, its commands' help too.
func helpOf(t *testing.T, program string) string {
	t.Helper()
	ask := func(args ...string) string {
		out, _ := exec.Command(filepath.Join(binDir, program), args...).CombinedOutput()
		return string(out)
	}
	text := ask("--help")
	if program == "lithos_crypt" {
		for _, command := range []string{"encrypt", "decrypt", "check-key"} {
			text += ask(command, "--help")
		}
	}
	return text
}

// Flags of others that pages of ours name.
var foreign = map[string][]string{
	"lithos_check":  {"-r"},                                      // jq
	"lithos_clean":  {"-h"},                                      // du
	"lithos_cmd":    {"--table", "--dry-run"},                    // of the commands in its examples
	"lithos_crypt":  {"-t", "-N", "-f", "-P", "-rs", "-p", "-r"}, // ssh-keygen, xxd, read
	"lithos_tree":   {"--timeline", "--wait", "--why"},           // lithos_check, lithos_switch, lithos_ps
	"lithos_exec":   {"-l"},                                      // ls
	"lithos_import": {"--check-container"},                       // lithos_check
	"lithos_ps":     {"-r"},                                      // jq
}

// Each flag of a program is in its help and on its page, and what stands there is
// a flag of it.
func TestFlagsAreDocumented(t *testing.T) {
	t.Parallel()
	programs, err := filepath.Glob("../../cmd/lithos_*/main.go")
	must(t, err)
	for _, main := range programs {
		program := filepath.Base(filepath.Dir(main))
		page, err := os.ReadFile("../../docs/" + program + ".md")
		if err != nil {
			t.Errorf("%s has no page: %v", program, err)
			continue
		}
		if program == "lithos_knot" { // not for people: it has no --help
			continue
		}
		help := flagsIn(helpOf(t, program))
		onPage := flagsIn(string(page))
		if len(help) == 0 {
			t.Errorf("%s --help names no flag", program)
		}
		for _, flag := range help {
			if !slices.Contains(onPage, flag) && flag != "-h" && flag != "--help" && !slices.Contains(foreign[program], flag) {
				t.Errorf("%s %s is in its help, not on its page", program, flag)
			}
		}
		for _, flag := range onPage {
			if !slices.Contains(foreign[program], flag) && !accepts(program, flag) {
				t.Errorf("%s %s is on its page, the program does not know it", program, flag)
			}
		}
		for _, flag := range defined(t, filepath.Dir(main)) {
			if !slices.Contains(help, flag) && !slices.Contains(onPage, flag) {
				t.Errorf("%s %s is in the program, neither in its help nor on its page", program, flag)
			}
		}
	}
}

// accepts tells whether a program knows a flag: what it says of one that it does
// not know is that it does not.
func accepts(program, flag string) bool {
	lines := [][]string{{flag}}
	if program == "lithos_crypt" {
		lines = append(lines, []string{"encrypt", flag}, []string{"decrypt", flag}, []string{"check-key", flag})
	}
	for _, args := range lines {
		out, _ := exec.Command(filepath.Join(binDir, program), args...).CombinedOutput()
		unknown := false
		for _, text := range []string{"unknown option", "there is no option", "there is no command", "unknown flag", "unknown shorthand flag"} {
			unknown = unknown || strings.Contains(string(out), text)
		}
		if !unknown {
			return true
		}
	}
	return false
}

// defined are the flags that a program's source gives to package flag, by their
// names or those in a list beside.
func defined(t *testing.T, dir string) (list []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	must(t, err)
	dashes := func(name string) string {
		if len(name) == 1 {
			return "-" + name
		}
		return "--" + name
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		must(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				s, ok := n.Fun.(*ast.SelectorExpr)
				if !ok || !(strings.HasSuffix(s.Sel.Name, "Var") || strings.HasSuffix(s.Sel.Name, "Func")) {
					return true
				}
				if x, ok := s.X.(*ast.Ident); !ok || x.Name != "flags" && x.Name != "fs" {
					return true
				}
				for _, arg := range n.Args[:min(2, len(n.Args))] {
					if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
						if name, _ := strconv.Unquote(lit.Value); name != "" {
							list = append(list, dashes(name))
						}
						break
					}
				}
			case *ast.RangeStmt:
				x, ok := n.X.(*ast.CompositeLit)
				value, named := n.Value.(*ast.Ident)
				if !ok || !named || value.Name != "name" {
					return true
				}
				for _, e := range x.Elts {
					if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
						name, _ := strconv.Unquote(lit.Value)
						list = append(list, dashes(name))
					}
				}
			}
			return true
		})
	}
	return list
}
