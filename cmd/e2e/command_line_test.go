package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// lithosTree runs the daemon of a directory until it ends by itself.
func lithosTree(t *testing.T, bin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(filepath.Join(bin, "lithos_tree"), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(within(10 * time.Second)):
		kill(t, cmd.Process.Pid, killSignal)
		<-ended
		t.Errorf("lithos_tree %q kept running", args)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// Covers: B6, N11, R1
func TestDaemonThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	alone := t.TempDir()
	install(t, filepath.Join(binDir, "lithos_tree"), filepath.Join(alone, "lithos_tree"))
	good := newHost(t)
	noDevfs := newHost(t, "devfs-dir: /nonexistent/dev")
	broken := newHost(t)
	broken.write("master.yaml", "runtime-dir: [\n")
	for _, tt := range []struct {
		name, bin string
		args      []string
		code      int
		want      string // on standard error
	}{
		{"N11 programs not next to each other", alone, []string{"-C", good.path("master.yaml")}, 127, "lithos_knot"},
		{"N11 no master config", binDir, []string{"--config", good.path("missing.yaml")}, 1, "missing.yaml"},
		{"N11 broken master config", binDir, []string{"-C", broken.path("master.yaml")}, 1, "master.yaml:"},
		{"B6 no devfs", binDir, []string{"-C", noDevfs.path("master.yaml")}, 1, "/nonexistent/dev"},
	} {
		code, _, stderr := lithosTree(t, tt.bin, tt.args...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit code %d, %q", tt.name, code, stderr)
		}
	}
	if code, stdout, _ := lithosTree(t, binDir, "--version"); code != 0 || strings.TrimSpace(stdout) == "" {
		t.Errorf("R1 --version: exit code %d, %q", code, stdout)
	}
}

// The command line's level wins over the config's, and --log-stderr puts the
// log where the operator sees it.
//
// Covers: B13, B14, R1
func TestLogOptionsOverrideTheConfig(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"), "log-level: error", "log-file: other.log")
	h.start()
	h.running("box/app.0")
	if log := h.read("log/other.log"); log != "" { // a start is a warning
		t.Errorf("B14 log-level error has more than errors:\n%s", log)
	}
	h.stop()
	if _, err := os.Stat(h.path("log/other.log")); err != nil {
		t.Errorf("B13 %v", err)
	}
	h.start("--log-stderr", "--log-level", "info")
	h.running("box/app.0")
	eventually(t, "the log on standard error", 5*time.Second, func() error { return h.outputIn("daemon.out", "box/app.0") })
}

// The command line of the daemon changes nothing about which containers are
// its own (requirement O5).
//
// Covers: O5
func TestReloadWithFlagsKeepsContainers(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.start("--log-stderr", "--log-level", "debug")
	before := h.running("box/app.0")
	h.reload("box")
	h.quiet("a reload", before)
	h.daemon.signal(syscall.SIGTERM)
	if code := h.wait(h.daemon, 5*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
