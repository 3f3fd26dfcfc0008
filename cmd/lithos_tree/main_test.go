package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be lithos_tree, or a process without descriptors.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("BE_LITHOS_TREE") != "":
		main()
	case os.Getenv("BE_EXHAUSTED") != "":
		if err := exhausted(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		fmt.Println("these tests run lithos_tree: run them as root")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// host is a directory with everything that lithos_tree needs; no container is
// started in these tests (cmd/e2e does that).
type host struct {
	t   *testing.T
	dir string
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t, t.TempDir()}
	for _, dir := range []string{"bin", "etc/sandboxes", "etc/processes", "dev"} {
		if err := os.MkdirAll(h.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	h.write("bin/lithos_tree", string(binary))
	h.write("bin/lithos_knot", "never run here")
	for _, name := range []string{"lithos_tree", "lithos_knot"} {
		if err := os.Chmod(h.path("bin/"+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.master("")
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

func (h *host) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(h.path(name), []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// master writes the master config; more is added to it, or is it if it begins
// with "only:".
func (h *host) master(more string) {
	text, only := strings.CutPrefix(more, "only:")
	if !only {
		text = strings.ReplaceAll(`runtime-dir: DIR/run
devfs-dir: DIR/dev
default-log-dir: DIR/log
config-log-dir: DIR/log/config
stdio-log-dir: DIR/log/stderr
cgroup-name: null
`, "DIR", h.dir) + strings.ReplaceAll(more, "DIR", h.dir)
	}
	h.write("etc/master.yaml", text)
}

type tree struct {
	*exec.Cmd
	h              *host
	stdout, stderr bytes.Buffer
	ended          chan struct{}
}

func (h *host) start(args ...string) *tree {
	h.t.Helper()
	p := &tree{h: h, Cmd: exec.Command(h.path("bin/lithos_tree"), args...), ended: make(chan struct{})}
	p.Env = append(os.Environ(), "BE_LITHOS_TREE=1")
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	if err := p.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() { _ = p.Wait(); close(p.ended) }()
	h.t.Cleanup(func() { _ = p.Process.Kill(); <-p.ended })
	return p
}

// code waits for the end and gives the exit code.
func (p *tree) code() int {
	p.h.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		p.h.t.Fatal("it does not end")
	}
	return p.ProcessState.ExitCode()
}

// daemon starts it and waits until it supervises.
func (h *host) daemon(args ...string) *tree {
	h.t.Helper()
	p := h.start(append([]string{"-C", h.path("etc/master.yaml")}, args...)...)
	h.await(p, "log/master.log", "Supervising")
	return p
}

// await waits for a text in a file; p has to live meanwhile.
func (h *host) await(p *tree, name, text string) {
	h.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		got, _ := os.ReadFile(h.path(name))
		if strings.Contains(string(got), text) {
			return
		}
		select {
		case <-p.ended:
			h.t.Fatalf("it ended with %d: %s", p.ProcessState.ExitCode(), p.stderr.String())
		default:
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%s does not say %q:\n%s", name, text, got)
		}
	}
}

func (p *tree) stop() {
	p.h.t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		p.h.t.Fatal(err)
	}
	if code := p.code(); code != 0 {
		p.h.t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
}

// Covers: R1
func TestCommandLine(t *testing.T) {
	h := newHost(t)
	tests := []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"--version"}, 0, version + "\n", ""},
		{[]string{"--help"}, 0, "Usage: lithos_tree", ""},
		{[]string{"-h"}, 0, "lithos_mkdev", ""},
		{[]string{"--log-level", "loud"}, 2, "", `unknown log level "loud": use error, warn`},
		{[]string{"--unknown"}, 2, "", "Try lithos_tree --help"},
		{[]string{"file"}, 2, "", `unexpected argument "file"`},
		{[]string{"-C"}, 2, "", "flag needs an argument"},
	}
	for _, test := range tests {
		p := h.start(test.args...)
		if code := p.code(); code != test.code || !strings.Contains(p.stdout.String(), test.stdout) || !strings.Contains(p.stderr.String(), test.stderr) {
			t.Errorf("%q: exit code %d\n%s%s", test.args, code, p.stdout.String(), p.stderr.String())
		}
	}
}

// Covers: R1
func TestOptionSpellings(t *testing.T) {
	for _, args := range [][]string{
		{"-C", "f"}, {"--config", "f"}, {"--config=f"}, {"-C=f"}, {"--log-stderr", "-C", "f", "--log-level=debug"},
	} {
		o, _, done := parseOptions(args, &bytes.Buffer{}, &bytes.Buffer{})
		if done || o.config != "f" {
			t.Errorf("%q: %+v", args, o)
		}
	}
	if o, _, _ := parseOptions(nil, nil, nil); o.config != "/etc/lithos/master.yaml" {
		t.Errorf("the default is %q", o.config)
	}
}

// Covers: B6, B7, B17, M2, N11
func TestExitCodes(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(*host)
		code    int
		stderr  string
	}{
		{"lithos_knot is not beside it", func(h *host) { _ = os.Remove(h.path("bin/lithos_knot")) }, 127, "must be installed beside lithos_tree"},
		{"lithos_knot is no program", func(h *host) { _ = os.Chmod(h.path("bin/lithos_knot"), 0o644) }, 127, "lithos_knot"},
		{"no master config", func(h *host) { _ = os.Remove(h.path("etc/master.yaml")) }, 1, "etc/master.yaml"},
		{"a broken master config", func(h *host) { h.master("nonsense: 1\n") }, 1, "master.yaml:7:1: error: nonsense: unknown key"},
		{"B6 no devfs-dir", func(h *host) { _ = os.Remove(h.path("dev")) }, 1, "make it with: lithos_mkdev"},
		{"B6 devfs-dir is a file", func(h *host) { h.master(""); _ = os.Remove(h.path("dev")); h.write("dev", "") }, 1, "not a directory"},
		{"B17 no parent of runtime-dir", func(h *host) { h.master("only:runtime-dir: " + h.dir + "/a/b\ndevfs-dir: " + h.dir + "/dev\n") }, 1, "mkdir -p"},
		{"B17 runtime-dir is a file", func(h *host) { h.write("run", "") }, 1, "something else than a directory"},
		{"B7 M2 cgroups that can't be used", func(h *host) {
			text, _ := os.ReadFile(h.path("etc/master.yaml"))
			h.master("only:" + strings.Replace(string(text), "cgroup-name: null", fmt.Sprintf("cgroup-name: lithos-test-%d\ncgroup-controllers: [rdma]", os.Getpid()), 1))
		}, 1, "cgroup-name: null"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t)
			test.prepare(h)
			p := h.start("-C", h.path("etc/master.yaml"))
			if code := p.code(); code != test.code || !strings.Contains(p.stderr.String(), test.stderr) {
				t.Errorf("exit code %d, want %d:\n%s", code, test.code, p.stderr.String())
			}
			if _, err := os.Stat(h.path("run/master.pid")); err == nil {
				t.Error("the pid file is left")
			}
		})
	}
}

// Covers: B3, B4, B5, B10, B11, B12, B17
func TestDirectoriesAreCreated(t *testing.T) {
	h := newHost(t)
	p := h.daemon()
	for dir, mode := range map[string]os.FileMode{
		"run": 0o755, "run/state": 0o755, "run/mnt": 0o755, "run/containers": 0o700,
		"log": 0o755, "log/config": 0o755, "log/stderr": 0o755,
	} {
		info, err := os.Stat(h.path(dir))
		if err != nil || !info.IsDir() || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
	}
	p.stop()
}

// Covers: B11
func TestConfigLogDirNullCreatesNothing(t *testing.T) {
	h := newHost(t)
	text, _ := os.ReadFile(h.path("etc/master.yaml"))
	h.master("only:" + strings.Replace(string(text), "config-log-dir: "+h.dir+"/log/config", "config-log-dir: null", 1))
	h.write("etc/sandboxes/web.yaml", "image-dir: "+h.dir+"\nallow-users: [1]\nallow-groups: [1]\n")
	h.write("etc/processes/web.yaml", "{}\n")
	p := h.daemon()
	p.stop()
	if _, err := os.Stat(h.path("log/config")); err == nil {
		t.Error("there is a config log directory")
	}
}

// Covers: N12
func TestOneDaemonPerRuntimeDir(t *testing.T) {
	h := newHost(t)
	// A pid that lives, of another program, blocks nobody.
	if err := os.Mkdir(h.path("run"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.write("run/master.pid", fmt.Sprintln(os.Getpid()))
	first := h.daemon()
	pid := strconv.Itoa(first.Process.Pid)
	if text, _ := os.ReadFile(h.path("run/master.pid")); string(text) != pid+"\n" {
		t.Errorf("the pid file has %q, want %s", text, pid)
	}
	second := h.start("-C", h.path("etc/master.yaml"))
	if code := second.code(); code != 1 || !strings.Contains(second.stderr.String(), "another lithos_tree runs") || !strings.Contains(second.stderr.String(), pid) {
		t.Errorf("exit code %d: %s", code, second.stderr.String())
	}
	first.stop()
	if _, err := os.Stat(h.path("run/master.pid")); err == nil {
		t.Error("the pid file is left after the stop")
	}
	// After a hard kill its file is there, and the next one starts.
	killed := h.daemon()
	_ = killed.Process.Kill()
	<-killed.ended
	h.write("log/master.log", "")
	h.daemon().stop()
}

// Covers: N4, N11
func TestSignalsExitWithZero(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		h := newHost(t)
		p := h.daemon()
		if err := p.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if code := p.code(); code != 0 {
			t.Errorf("%v: exit code %d", sig, code)
		}
	}
}

// Covers: O1
func TestQuitReloadsAndReopensTheLog(t *testing.T) {
	h := newHost(t)
	p := h.daemon()
	if err := os.Rename(h.path("log/master.log"), h.path("log/old")); err != nil {
		t.Fatal(err)
	}
	h.write("etc/sandboxes/web.yaml", "image-dir: "+h.dir+"\nallow-users: [1]\nallow-groups: [1]\n")
	h.write("etc/processes/web.yaml", "{}\n")
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGHUP} {
		if err := p.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		h.await(p, "log/master.log", "Reloaded: supervising 0 containers in 1 sandbox")
		if err := os.Remove(h.path("log/master.log")); err != nil {
			t.Fatal(err)
		}
	}
	h.master("nonsense: 1\n")
	if err := p.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	h.await(p, "log/master.log", "Reload refused")
	h.await(p, "log/master.log", "master.yaml:7:1: error: nonsense: unknown key")
	h.master("")
	if err := p.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	h.await(p, "log/master.log", "Reloaded")
	p.stop()
	if _, err := os.Stat(h.path("log/web.log")); err != nil {
		t.Errorf("C6: the sandbox has no log: %v", err)
	}
	if text, _ := os.ReadFile(h.path("log/config/web.log")); !strings.Contains(string(text), "Z {}\n") {
		t.Errorf("P7: the config log has %q", text)
	}
}

// Covers: R1
func TestLogOptions(t *testing.T) {
	h := newHost(t)
	p := h.daemon("--log-stderr", "--log-level", "debug")
	p.stop()
	if !strings.Contains(p.stderr.String(), "[WARN] Supervising 0 containers") {
		t.Errorf("standard error has %q", p.stderr.String())
	}
	quiet := newHost(t)
	p = quiet.start("-C", quiet.path("etc/master.yaml"), "--log-level=off")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(quiet.path("run/master.pid")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not start")
		}
	}
	p.stop()
	if text, _ := os.ReadFile(quiet.path("log/master.log")); len(text) != 0 || p.stderr.Len() != 0 {
		t.Errorf("with off there is %q, %q", text, p.stderr.String())
	}
}

func TestAReaderOfStderrThatGoesAwayEndsNothing(t *testing.T) {
	h := newHost(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(h.path("bin/lithos_tree"), "-C", h.path("etc/master.yaml"), "--log-stderr")
	cmd.Env = append(os.Environ(), "BE_LITHOS_TREE=1")
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	p := &tree{h: h, Cmd: cmd, ended: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-p.ended })
	h.await(p, "log/master.log", "Supervising")
	_ = r.Close()
	for range 3 {
		if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
			t.Fatal(err)
		}
		h.await(p, "log/master.log", "Reloaded")
		_ = os.Truncate(h.path("log/master.log"), 0)
	}
	p.stop()
}

// Covers: N7
func TestChildrenOfAnEarlierProgramAreEnded(t *testing.T) {
	h := newHost(t)
	// A shell leaves a child and becomes lithos_tree by exec.
	script := `trap '' TERM; sleep 3600 & echo $! > "$1/wild"; trap - TERM; sleep 3600 & echo $! > "$1/tame"; exec "$1/bin/lithos_tree" -C "$1/etc/master.yaml"`
	cmd := exec.Command("/bin/sh", "-c", script, "sh", h.dir)
	cmd.Env = append(os.Environ(), "BE_LITHOS_TREE=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &tree{h: h, Cmd: cmd, ended: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-p.ended })
	h.await(p, "log/master.log", "Supervising")
	alive := func(name string) bool {
		text, _ := os.ReadFile(h.path(name))
		_, err := os.Stat("/proc/" + strings.TrimSpace(string(text)))
		return err == nil
	}
	began := time.Now()
	for alive("tame") || alive("wild") {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("tame lives: %v, wild lives: %v", alive("tame"), alive("wild"))
		}
		time.Sleep(10 * time.Millisecond)
	}
	if took := time.Since(began); took < 4*time.Second {
		t.Errorf("the one that ignores TERM was killed after %s, want 5 s", took)
	}
	p.stop()
}

func TestProblemsAtTheStartAreSaidOnStderrToo(t *testing.T) {
	h := newHost(t)
	h.write("etc/sandboxes/bad.yaml", "nonsense: 1\n")
	p := h.daemon()
	p.stop()
	for where, text := range map[string]string{"stderr": p.stderr.String(), "log": readFile(t, h.path("log/master.log"))} {
		if !strings.Contains(text, "bad.yaml:1:1: error: nonsense: unknown key") {
			t.Errorf("%s has %q", where, text)
		}
	}
}

func TestCgroupsOfTheDaemonGoWithIt(t *testing.T) {
	h := newHost(t)
	name := fmt.Sprintf("lithos-test-%d-tree", os.Getpid())
	h.master("only:" + strings.Replace(readFile(t, h.path("etc/master.yaml")), "cgroup-name: null", "cgroup-name: "+name, 1))
	p := h.daemon()
	if len(groups(t, name)) == 0 {
		t.Error("no cgroup was made")
	}
	p.stop()
	if left := groups(t, name); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func groups(t *testing.T, name string) (found []string) {
	t.Helper()
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/", "/sys/fs/cgroup/*/*/"} {
		matches, err := filepath.Glob(pattern + name)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, matches...)
	}
	slices.Sort(found)
	return found
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
