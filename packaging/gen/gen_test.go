package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const sample = `Usage: lithos_x [-C FILE] [--level L] SANDBOX NAME [ARGUMENTS...]
       lithos_x [-C FILE] --json

Does something. It is
only a sample.

Options:
  -C, --config FILE   the master config (default
                      /etc/lithos/master.yaml; also --master)
      --level L       low, high or off; how much
      --dir DIR       a directory
      --json          .' begins a request of roff, \n is none
      --help          print this
  Remarks may stand here.

Examples:
  lithos_x web migrate
      run it

  - is no option

Exit codes: 0 done.
`

func page1(t *testing.T) *page {
	t.Helper()
	p, err := parse("lithos_x", sample)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParse(t *testing.T) {
	p := page1(t)
	if want := []string{"SANDBOX", "NAME", "ARGUMENTS"}; !slices.Equal(p.operands, want) {
		t.Errorf("operands %q, want %q", p.operands, want)
	}
	if want := []string{"-C", "--config", "--master"}; !slices.Equal(p.masters(), want) {
		t.Errorf("the master config is named by %q, want %q", p.masters(), want)
	}
	var got []string
	for _, o := range p.options {
		got = append(got, o.completes())
	}
	if want := []string{files, words + "low high off", dirs, "", ""}; !slices.Equal(got, want) {
		t.Errorf("arguments are completed by %q, want %q", got, want)
	}
	var kinds []kind
	for _, b := range p.blocks {
		kinds = append(kinds, b.kind)
	}
	if want := []kind{text, heading, entry, entry, entry, entry, entry, literal, heading, literal, text}; !slices.Equal(kinds, want) {
		t.Errorf("blocks %v, want %v", kinds, want)
	}
	if got, want := purpose(p), "does something"; got != want {
		t.Errorf("purpose %q, want %q", got, want)
	}
}

func TestParseIsStrict(t *testing.T) {
	for name, change := range map[string][2]string{
		"line 1":                 {"Usage:", "usage:"},
		"line 2":                 {"       lithos_x [-C", "    lithos_x [-C"},
		"is no option":           {"--level L       low", "--Level L       low"},
		"has tabs":               {"run it", "run\tit"},
		"--json is there twice":  {"--dir DIR ", "--json DIR "},
		"of the usage is not":    {"--level L ", "--other L "},
		"does not go on with":    {"                      /etc", "    /etc"},
		"indented by one blank":  {"\n  lithos_x web", "\n lithos_x web"},
		"blanks at its end":      {"run it", "run it "},
		"a description are need": {"Does something. It is\nonly a sample.\n\n", ""},
	} {
		broken := strings.Replace(sample, change[0], change[1], 1)
		if broken == sample {
			t.Fatalf("%q is not in the sample", change[0])
		}
		if _, err := parse("lithos_x", broken); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q instead of %q: %v, want %s", change[1], change[0], err, name)
		}
	}
}

func TestManualIsSafeRoff(t *testing.T) {
	page := manual(page1(t), []string{"lithos_x", "lithos_y"}, "1.0", time.Unix(0, 0))
	for _, want := range []string{
		".TH LITHOS_X 8 1970-01-01", "\\&.\\(aq begins", "\\en is none", ".SH EXIT STATUS\n0 done.\n",
		"\\fB\\-C\\fR, \\fB\\-\\-config\\fR \\fIFILE\\fR", ".BR lithos_y (8),",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
	if strings.Contains(page, ".BR lithos_x (8)") {
		t.Error("the page names itself")
	}
}

// host is a directory with configs; what it returns is its master config.
func host(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range map[string]string{
		"master.yaml":              "sandboxes-dir: ./boxes # mine\n",
		"boxes/web.yaml":           "config-file: other.yaml\n",
		"boxes/db.yaml":            "image-dir: /x\n",
		"boxes/.hidden":            "",
		"processes/other.yaml":     "app:\n  image: a\n  instances: 2\nmigrate:\n  kind: Command\n  image: a\n",
		"processes/unrelated.yaml": "z:\n  image: a\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "master.yaml")
}

// press gives what bash offers for a line whose last word is being typed. The
// words are passed as readline does.
func press(t *testing.T, script, function, dir string, line ...string) []string {
	t.Helper()
	const drive = `. "$1"; f=$2; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); "$f" "$1"; printf '%s\n' "${COMPREPLY[@]}"`
	cmd := exec.Command("bash", append([]string{"--norc", "-uc", drive, "bash", script, function}, line...)...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%q: %v: %s", line, err, stderr.String())
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	return got
}

func TestBashCompletes(t *testing.T) {
	master := host(t)
	script := filepath.Join(t.TempDir(), "lithos_x")
	if err := os.WriteFile(script, []byte(bash(page1(t))), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ line, want string }{
		{"-", "--config --dir --help --json --level"},
		{"--l", "--level"},
		{"--level ", "high low off"},
		{"--level = h", "high"},
		{"--config ", "boxes master.yaml processes"},
		{"--dir ", "boxes processes"},
		{"-C M ", "db web"},
		{"--master = M w", "web"},
		{"-C M web ", "migrate"},
		{"-C M web migrate --l", ""},
		{"-C M web migrate ma", "master.yaml"},
		{"-C M db ", ""},
		{"-C /nonexistent ", ""},
	} {
		line := strings.Split("lithos_x "+strings.ReplaceAll(c.line, "M", master), " ")
		if got := press(t, script, "_lithos_x", filepath.Dir(master), line...); strings.Join(got, " ") != c.want {
			t.Errorf("%q is completed to %q, want %q", c.line, got, c.want)
		}
	}
}

// Checks by hand in these shells, which the tests do without.
func TestZshAndFish(t *testing.T) {
	for _, c := range []struct {
		made  string
		lines []string
	}{
		{zsh(page1(t)), []string{
			"#compdef lithos_x\n", "'!--master=:FILE:_files'", "'(-C --config)--config=[the master config]:FILE:_files'",
			"'1:SANDBOX: _lithos_x_names sandboxes'", "'2:NAME: _lithos_x_names commands'", "'*::ARGUMENTS:_files'",
		}},
		{fish(page1(t)), []string{
			"complete -c lithos_x -s C -l config -r -F -d 'the master config'\n", "-l level -x -a 'low high off'",
			"-n '__lithos_x_at 0' -a '(__lithos_x_names sandboxes)'", "-l json -d '.\\' begins a request of roff, \\\\n is none'",
		}},
	} {
		for _, line := range c.lines {
			if !strings.Contains(c.made, line) {
				t.Errorf("%q is missing in\n%s", line, c.made)
			}
		}
	}
}

func TestListing(t *testing.T) {
	master := host(t)
	for _, c := range []struct{ kind, want string }{
		{sandboxes, "db web"}, {processes, "db web web/app"}, {instances, "web/app.0 web/app.1"},
	} {
		out, err := exec.Command("sh", "-uc", listing, "sh", c.kind, master, "").Output()
		got := strings.Fields(string(out))
		slices.Sort(got)
		// A process config that is missing is passed over, and gives a status.
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.kind, got, c.want)
		}
	}
	if strings.Contains(listing, "'") {
		t.Error("the shells put it between single quotes")
	}
}

// The real programs, as make builds them: each page is understood, and bash
// takes each file and completes the program's options.
func TestPrograms(t *testing.T) {
	const bin = "../../bin"
	entries, err := os.ReadDir(bin)
	if err != nil {
		t.Fatalf("%v: run make build", err)
	}
	out := t.TempDir()
	if err := generate(bin, out); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		// A kept result is void when a program is another one.
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(out, "man", name+".8")); err != nil {
			t.Error(err)
		}
		if name == "lithos_knot" {
			continue
		}
		for _, path := range []string{"zsh/_" + name, "fish/" + name + ".fish"} {
			if _, err := os.Stat(filepath.Join(out, "completions", path)); err != nil {
				t.Error(err)
			}
		}
		script := filepath.Join(out, "completions/bash", name)
		if got := press(t, script, function(name), out, name, "--ver"); !slices.Contains(got, "--version") {
			t.Errorf("%s --ver is completed to %q", name, got)
		}
	}
	got := press(t, filepath.Join(out, "completions/bash/lithos_crypt"), "_lithos_crypt", out, "lithos_crypt", "check-key", "--k")
	if want := []string{"--key-file"}; !slices.Equal(got, want) {
		t.Errorf("lithos_crypt check-key --k is completed to %q", got)
	}
}
