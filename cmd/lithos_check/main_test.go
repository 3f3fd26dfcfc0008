package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checked runs the program with its output in files.
func checked(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	errs, err := os.Create(filepath.Join(dir, "err"))
	if err != nil {
		t.Fatal(err)
	}
	defer errs.Close()
	code = run(args, out, errs)
	a, _ := os.ReadFile(out.Name())
	b, _ := os.ReadFile(errs.Name())
	return code, string(a), string(b)
}

// A thousand processes that share what is wrong say it once.
//
// Covers: R4
func TestProblemsAreReportedOnce(t *testing.T) {
	master := bigHost(t, 1)
	if err := os.Remove(filepath.Join(filepath.Dir(master), "images/v0/proc")); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := checked(t, "-C", master)
	if n := strings.Count(stderr, "the mount point /proc is missing"); code != exitErrors || n != 1 {
		t.Errorf("exit code %d, told %d times:\n%.3000s", code, n, stderr)
	}
}

// Covers: R4
func TestWarningsExitWithZero(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.yaml")
	write(t, file, "executable: /bin/app\nmemory-limit: 0100000000\n", 0o644)
	code, stdout, stderr := checked(t, "--check-container", file)
	if code != exitOK || stdout != "" || !strings.Contains(stderr, "app.yaml:2:15: warning: memory-limit: ") || !strings.HasSuffix(stderr, "\n1 warning\n") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

// The flags in the help are those that there are.
//
// Covers: R4
func TestHelpNamesEveryOption(t *testing.T) {
	code, stdout, _ := checked(t, "--help")
	if code != exitOK {
		t.Fatal(code)
	}
	for _, flag := range []string{
		"-C", "--config", "--sandbox", "--sandbox-name", "-T", "--tree", "--subtree-name", "--alternate-config",
		"--check-container", "--timeline", "--json", "-v", "--verbose", "--version", "--help",
	} {
		if !strings.Contains(stdout, flag) {
			t.Errorf("%s is not in the help", flag)
		}
		if code, _, stderr := checked(t, flag+"=x", "--unknown"); strings.Contains(stderr, "unknown flag: "+flag) || strings.Contains(stderr, "unknown shorthand flag") {
			t.Errorf("%s is unknown (%d): %s", flag, code, stderr)
		}
	}
}
