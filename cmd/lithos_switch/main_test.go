package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lithos/configs"
)

// Covers: O9, R5
func TestCommandLine(t *testing.T) {
	for _, tt := range []struct {
		name string
		args string
		want options
		code int // if it ends there
	}{
		{"R5 plain", "box f", options{master: "/etc/lithos/master.yaml", sandbox: "box", file: "f"}, 0},
		{"R5 options in front", "--master m -v box f", options{master: "m", verbose: true, sandbox: "box", file: "f"}, 0},
		{"R5 options between and behind", "box --master=m f -v", options{master: "m", verbose: true, sandbox: "box", file: "f"}, 0},
		{"R5 as lithos_check has it", "-C m box f", options{master: "m", sandbox: "box", file: "f"}, 0},
		{"R5 a file with a dash", "box -- -f", options{master: "/etc/lithos/master.yaml", sandbox: "box", file: "-f"}, 0},
		{"O9 dry run", "--dry-run --json box f", options{master: "/etc/lithos/master.yaml", dryRun: true, json: true, sandbox: "box", file: "f"}, 0},
		{"R5 nothing", "", options{}, exitUsage},
		{"R5 too much", "a b c", options{}, exitUsage},
		{"O9 wait", "--wait --timeout 2.5 box f", options{master: "/etc/lithos/master.yaml", wait: true, timeout: 2500 * time.Millisecond, sandbox: "box", file: "f"}, 0},
		{"O9 wait for nothing", "--wait --dry-run box f", options{}, exitUsage},
		{"O9 wait for who runs", "--wait --stable 10 box f", options{master: "/etc/lithos/master.yaml", wait: true, stable: 10 * time.Second, sandbox: "box", file: "f"}, 0},
		{"O9 less than no time", "--wait --stable -1 box f", options{}, exitUsage},
		{"O9 no time to wait", "--wait --timeout 0 box f", options{}, exitUsage},
		{"R5 unknown", "a b --weight", options{}, exitUsage},
	} {
		var errs bytes.Buffer
		tt.want.timeout = cmp.Or(tt.want.timeout, time.Minute)
		tt.want.stable = cmp.Or(tt.want.stable, time.Second)
		o, code, done := parseOptions(strings.Fields(tt.args), io.Discard, &errs)
		switch {
		case done && (code != tt.code || tt.code == 0 || !strings.Contains(errs.String(), "--help")):
			t.Errorf("%s: ends with %d: %s", tt.name, code, errs.String())
		case !done && (tt.code != 0 || *o != tt.want):
			t.Errorf("%s: got %+v", tt.name, *o)
		}
	}
}

// Covers: O9
func TestStepsAreExplained(t *testing.T) {
	long := strings.Repeat("x", 200)
	steps := []configs.Step{
		{Name: "b/a.0", Action: configs.ActionKeep, Changes: []configs.Change{{Option: "kill-timeout", Old: "1s", New: "2s", Later: true}}},
		{Name: "b/a.1", Action: configs.ActionKeep},
		{Name: "b/a.2", Action: configs.ActionKeep},
		{Name: "b/h.0", Action: configs.ActionReplace, Changes: []configs.Change{{Option: "environ.\x1b[2J", Old: "\x1b[31m", New: long}}},
		{Name: "b/t.0", Action: configs.ActionReplace, MaxUnavailable: 2},
		{Name: "b/t.1", Action: configs.ActionReplace, MaxUnavailable: 2},
		{Name: "b/t.2", Action: configs.ActionReplace, MaxUnavailable: 2},
		{Name: "b/u.0", Action: configs.ActionUnknown},
	}
	const want = `replace  b/h.0
           "environ.\x1b[2J": "\x1b[31m" -> %s…
replace  b/t.0 … b/t.2 (3), 2 at a time
stay     b/a.0
           kill-timeout: 1s -> 2s (from the next start or stop on)
stay     b/a.1 … b/a.2 (2)
unknown  b/u.0
b: 4 replaced, 3 staying, 1 unknown (the config in place has errors)
`
	var out bytes.Buffer
	if err := printSteps(&out, "b", steps); err != nil || out.String() != fmt.Sprintf(want, long[:100]) {
		t.Errorf("%v, got\n%s", err, out.String())
	}
	out.Reset()
	if err := printSteps(&out, "b", nil); err != nil || out.String() != "b: nothing runs, before and after\n" {
		t.Errorf("%v, got\n%s", err, out.String())
	}
}

// Each failure leaves the old file as it is, and nothing beside it.
//
// Covers: O9
func TestFileIsReplacedAtomically(t *testing.T) {
	dir := t.TempDir()
	target, temp := filepath.Join(dir, "box.yaml"), filepath.Join(dir, ".tmp.box")
	want := func(what, text string, entries int) {
		t.Helper()
		data, err := os.ReadFile(target)
		list, _ := os.ReadDir(dir)
		if err != nil || string(data) != text || len(list) != entries {
			t.Errorf("%s: %q, %v, %v", what, data, list, err)
		}
	}
	if err := replaceFile(target, temp, []byte("one")); err != nil {
		t.Fatal(err)
	}
	want("the first", "one", 1)
	if info, _ := os.Stat(target); info.Mode() != 0o644 {
		t.Errorf("a new file has mode %v", info.Mode())
	}
	// The remains of a crash are no obstacle, not even a link to somewhere else.
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("safe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, temp); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(target, temp, []byte("two")); err != nil {
		t.Fatal(err)
	}
	want("after a crash", "two", 1)
	if data, _ := os.ReadFile(victim); string(data) != "safe" {
		t.Errorf("the link was followed: %q", data)
	}
	// A link in the place of the file is replaced, the version it shows kept.
	kept := filepath.Join(dir, "kept.yaml")
	if err := os.Rename(target, kept); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("kept.yaml", target); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(target, temp, []byte("three")); err != nil {
		t.Fatal(err)
	}
	want("through a link", "three", 2)
	if data, _ := os.ReadFile(kept); string(data) != "two" {
		t.Errorf("the version that was kept is %q", data)
	}
	// A directory in the place of the file can't be replaced.
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(target, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(target, temp, []byte("four")); err == nil {
		t.Error("a directory was replaced")
	}
	if _, err := os.Lstat(temp); !os.IsNotExist(err) {
		t.Errorf("the temporary file is left: %v", err)
	}
	if err := replaceFile(filepath.Join(dir, "none/x"), filepath.Join(dir, "none/.tmp"), nil); !os.IsNotExist(err) {
		t.Errorf("no directory: %v", err)
	}
}
