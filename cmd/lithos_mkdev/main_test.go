package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// The test binary is also the program.
func TestMain(m *testing.M) {
	if os.Getenv("LITHOS_MKDEV_TEST") != "" {
		main()
	}
	os.Exit(m.Run())
}

// Covers: K7, R8
func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string // its beginning
	}{
		{"R8 help", []string{"--help"}, 0, "Usage: lithos_mkdev DIR\n", ""},
		{"R8 version", []string{"--version"}, 0, "dev\n", ""},
		{"R8 nothing", nil, 2, "", "lithos_mkdev: one directory is needed\nTry lithos_mkdev --help\n"},
		{"R8 empty", []string{""}, 2, "", "lithos_mkdev: one directory is needed\nTry lithos_mkdev --help\n"},
		{"R8 two", []string{"a", "b"}, 2, "", "lithos_mkdev: one directory is needed\nTry lithos_mkdev --help\n"},
		{"R8 unknown option", []string{"--force", "a"}, 2, "", "lithos_mkdev: unknown flag: --force\nTry lithos_mkdev --help\n"},
		{"R8 K7 made", []string{dir + "/dev"}, 0, "", ""},
		{"R8 K7 made again", []string{dir + "/dev"}, 0, "", ""},
		{"R8 name like an option", []string{"--", dir + "/-dev"}, 0, "", ""},
		{"R8 file in the way", []string{"/proc/self/comm/dev"}, 1, "", "lithos_mkdev: cannot make the directory: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(tt.args, &stdout, &stderr)
			if code != tt.code || !begins(stdout.String(), tt.stdout) || !begins(stderr.String(), tt.stderr) {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
			}
		})
	}
	if _, err := os.Stat(dir + "/dev/ptmx"); !os.IsNotExist(err) { // a link that leads nowhere until devpts is mounted
		t.Errorf("ptmx: %v", err)
	}
}

// begins also wants nothing where nothing is expected.
func begins(s, want string) bool { return strings.HasPrefix(s, want) && (want != "" || s == "") }

// Covers: K7, R8
func TestRootIsRequired(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test takes another user's id: run it as root")
	}
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	dir, err := os.MkdirTemp("/tmp", "lithos-test-mkdev-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/fd/3", dir+"/dev")
	cmd.ExtraFiles = []*os.File{exe}
	cmd.Env = []string{"LITHOS_MKDEV_TEST=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 4321}}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v, exit code %d", err, cmd.ProcessState.ExitCode())
	}
	want := "lithos_mkdev: " + dir + "/dev/null: cannot make a character device: operation not permitted (it takes root, outside of a user namespace)\n"
	if !strings.HasPrefix(string(out), want) {
		t.Errorf("got %q, want %q first", out, want)
	}
	if entries, _ := os.ReadDir(dir + "/dev"); len(entries) == 0 {
		t.Error("what needs no root was not made")
	}
}
