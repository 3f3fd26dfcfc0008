package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lithosExec is lithos_exec on this host.
func (h *host) lithosExec(args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(binDir, "lithos_exec"), append([]string{"--master", h.path("master.yaml")}, args...)...)
}

// inside runs a line of shell in box/app.0.
func (h *host) inside(line string) result {
	h.t.Helper()
	return finish(h.t, h.lithosExec("box/app.0", "--", "sh", "-c", line))
}

// joined is a host whose container box/app.0 has reported what it sees.
func joined(t *testing.T, sandbox, config string) *host {
	t.Helper()
	h := shellHost(t)
	h.sandbox("box", "writable-paths: {/data: "+h.path("data")+"}\n"+sandbox, app)
	h.config("app", "app", config)
	return h
}

// status are the lines of /proc/self/status about rights, and the umask.
func status(text string) (lines []string) {
	for line := range strings.Lines(text) {
		for _, name := range []string{"Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:", "Seccomp", "Umask:", "SigIgn:", "SigBlk:"} {
			if strings.HasPrefix(line, name) {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}

// Only pid and session tell a program of lithos_exec from the container's own.
//
// Covers: R10
func TestExecHasTheProgramsSurroundings(t *testing.T) {
	t.Parallel()
	const volumes = "environ: {PATH: /bin, MARK: 'a b=c'}\nvolumes: {/out: !Persistent /data}\nworkdir: /scratch\nfileno-limit: 777\n"
	config := simple(volumes, "report", "/out/seen")
	root := strings.NewReplacer("user-id: 1000", "user-id: 0", "group-id: 1000", "group-id: 0").Replace(config)
	for _, tt := range []struct{ name, sandbox, config, processes string }{
		{"plain", "", config, ""},
		{"root", "seccomp: default\n", root, ""},
		{"loosened", "seccomp: default\nallow-new-privileges: true\nadd-capabilities: [NET_RAW, SYS_PTRACE]\n", root, ""},
		{"limited", "", "pids-limit: 50\ncpu-quota: 0.9\nmemory-limit: 100M\n" + config, ""},
		{"mapped", mapsOfNet + "seccomp: default\n", root, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := joined(t, tt.sandbox, tt.config)
			h.start()
			h.running("box/app.0")
			h.compare(h.lithosExec("box/app", "/bin/e2e", "e2e-program", "look"), finish)
		})
	}
}

// compare runs a program that looks, and wants it to see what the container's
// program has reported.
func (h *host) compare(cmd *exec.Cmd, run func(*testing.T, *exec.Cmd) result) {
	h.t.Helper()
	var own, got seen
	eventually(h.t, "a report", 10*time.Second, func() error { return json.Unmarshal([]byte(h.read("data/seen")), &own) })
	r := run(h.t, cmd)
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != 0 || r.stderr != "" {
		h.t.Fatalf("%v; %s", err, r)
	}
	if own, got := status(own.Status), status(got.Status); !slices.Equal(own, got) || len(got) < 10 {
		h.t.Errorf("rights are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(own, "\n"))
	}
	slices.Sort(own.Env)
	slices.Sort(got.Env)
	for _, f := range []struct {
		what      string
		got, want any
	}{
		{"namespaces", got.Spaces, own.Spaces}, {"control groups", got.Cgroup, own.Cgroup},
		{"mounts", got.MountInfo, own.MountInfo}, {"variables", got.Env, own.Env},
		{"workdir", got.Workdir, own.Workdir}, {"name", got.Hostname, own.Hostname},
		{"open files", got.NoFile, own.NoFile}, {"user", got.UID, own.UID}, {"group", got.GID, own.GID},
	} {
		if g, w := fmt.Sprintf("%q", f.got), fmt.Sprintf("%q", f.want); g != w {
			h.t.Errorf("%s: %s, want %s", f.what, g, w)
		}
	}
	if len(got.FDs) != 3 || got.PID == own.PID || got.SID != got.PID {
		h.t.Errorf("descriptors %v, pid %d, session %d", got.FDs, got.PID, got.SID)
	}
	for fd, target := range got.FDs {
		if !strings.HasPrefix(target, "pipe:") {
			h.t.Errorf("descriptor %d is %s", fd, target)
		}
	}
}

// With a user namespace and a network of its own.
//
// Covers: L1, R10
func TestExecJoinsTheBridgedNetwork(t *testing.T) {
	t.Parallel()
	h := joined(t, mapsOfNet+bridgeOf("10.77.0.0/24", ""), "")
	h.processes("box", "app: {image: app, config: /config/app.yaml, ip-addresses: [10.77.0.9]}")
	h.config("app", "app", simple("environ: {PATH: /bin}\nvolumes: {/out: !Persistent {path: /data/made, mkdir: true, user: 1000}}\n", "report", "/out/seen"))
	must(t, os.Symlink("made/seen", h.path("data/seen")))
	n := newNetwork(h)
	n.start(h)
	h.running("box/app.0")
	h.compare(h.lithosExec("box/app.0", "/bin/e2e", "e2e-program", "look"), finish)
	if r := h.inside("cat /proc/net/fib_trie"); !strings.Contains(r.stdout, "10.77.0.9") {
		t.Errorf("it is in another network: %s", r)
	}
}

// Covers: R10
func TestExecExitsAsItsProgram(t *testing.T) {
	t.Parallel()
	h := joined(t, "", simple("environ: {PATH: /bin}\n", "wait"))
	h.processes("box", strings.Replace(app, "image:", "instances: 2\n  image:", 1))
	must(t, os.WriteFile(h.path("images/app/bin/data"), []byte("no program\n"), 0o644))
	must(t, os.WriteFile(h.path("images/app/bin/broken"), []byte("#!/bin/gone\n"), 0o755))
	h.start()
	now := h.running("box/app.0", "box/app.1")
	for _, tt := range []struct {
		line, stdout string
		code         int
	}{
		{"echo out", "out\n", 0}, {"exit 77", "", 77}, {"kill -SEGV $$", "", 128 + 11}, {"kill -KILL $$", "", 128 + 9},
		{"echo $LITHOS_NAME", "box/app.0\n", 0},
	} {
		if r := h.inside(tt.line); r.code != tt.code || r.stdout != tt.stdout || r.stderr != "" {
			t.Errorf("%s: want %d and %q: %s", tt.line, tt.code, tt.stdout, r)
		}
	}
	run := func(args ...string) result { return finish(t, h.lithosExec(args...)) }
	run("box/app", "true").expect(t, "two instances", 125, "2 instances", "box/app.0, box/app.1")
	run("box/ap.0", "true").expect(t, "a wrong name", 125, `no container "box/ap.0"`, "did you mean box/app.0?")
	run("box", "true").expect(t, "a sandbox", 125, "box is a sandbox", "box/app.0, box/app.1")
	run("nothing/alike", "true").expect(t, "no such name", 125, "there are: box/app.0, box/app.1")
	run().expect(t, "no name", 125, "lithos_exec --help")
	run("--oops", "box/app.0").expect(t, "a wrong option", 125, "oops")
	run("box/app.0", "nothing").expect(t, "no program", 127, "no such program in the container")
	run("box/app.0", "/bin/nothing").expect(t, "no program", 127, "/bin/nothing")
	run("box/app.0", "broken").expect(t, "no interpreter", 127, "interpreter")
	run("box/app.0", "/bin/data").expect(t, "no executable", 126, "permission denied")
	run("-w", "/none", "box/app.0", "sh").expect(t, "no workdir", 125, "chdir to /none")
	if r := run("-u", "0:7", "-e", "A=1", "-e", "A=2", "-w", "/etc", "box/app.1", "--", "sh", "-c", "echo $A $(pwd) $(id -u):$(id -g)"); r.stdout != "2 /etc 0:7\n" {
		t.Errorf("options: %s", r)
	}
	if r := run("--help"); r.code != 0 || !strings.Contains(r.stdout, "Examples:") {
		t.Errorf("--help: %s", r)
	}
	if after := h.instances(); after["box/app.0"].program != now["box/app.0"].program {
		t.Error("the container is another one")
	}
	// One that waits for its next start.
	h.config("app", "app", simple("restart-timeout: 3600\n", "run", "0", "7"))
	h.reload("box")
	eventually(t, "a container that waits", 10*time.Second, func() error {
		if r := run("box/app.0", "true"); r.code != 125 || !strings.Contains(r.stderr, "box/app.0 does not run: ") {
			return errors.New(r.String())
		}
		return nil
	})
}

// Covers: R10
func TestExecInAPipeline(t *testing.T) {
	t.Parallel()
	h := joined(t, "", simple("environ: {PATH: /bin}\n", "wait"))
	h.start()
	h.running("box/app.0")
	data := make([]byte, 8<<20)
	_, _ = rand.New(rand.NewSource(1)).Read(data)
	// By pipes, and by files, which the container must not get itself.
	must(t, os.WriteFile(h.path("in"), data, 0o600))
	in, err := os.Open(h.path("in"))
	must(t, err)
	defer in.Close()
	out, err := os.Create(h.path("out"))
	must(t, err)
	defer out.Close()
	cmd := h.lithosExec("box/app.0", "--", "sh", "-c", "for fd in 0 1 2; do readlink /proc/$$/fd/$fd; done >&2; exec cat")
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &errs
	must(t, cmd.Run())
	if back := h.read("out"); sha256.Sum256([]byte(back)) != sha256.Sum256(data) {
		t.Errorf("%d bytes came back as %d others", len(data), len(back))
	}
	if n := strings.Count(errs.String(), "pipe:"); n != 3 {
		t.Errorf("the program has the caller's files: %s", errs.String())
	}
	cmd = h.lithosExec("box/app.0", "cat")
	cmd.Stdin = bytes.NewReader(data)
	if back, err := cmd.Output(); err != nil || sha256.Sum256(back) != sha256.Sum256(data) {
		t.Errorf("%d bytes came back as %d others: %v", len(data), len(back), err)
	}
	// Descriptors of the program's children do not delay the end.
	must(t, out.Truncate(0))
	cmd = h.lithosExec("box/app.0", "--", "sh", "-c", "sleep 1000 & echo left")
	cmd.Stdout = out
	must(t, cmd.Start())
	h.endsWith(cmd, 0)
	if text := strings.TrimLeft(h.read("out"), "\x00"); text != "left\n" {
		t.Errorf("the output is %q", text)
	}
	// When the reader goes away the writer gets SIGPIPE.
	cmd = h.lithosExec("box/app.0", "cat", "/dev/zero")
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	_, err = io.ReadFull(stdout, make([]byte, 100000))
	must(t, errors.Join(err, stdout.Close()))
	h.endsWith(cmd, 128+int(syscall.SIGPIPE))
}

// Covers: N14, R10
func TestExecForwardsSignals(t *testing.T) {
	t.Parallel()
	h := joined(t, "", simple("environ: {PATH: /bin}\n", "wait"))
	h.start()
	h.running("box/app.0")
	ready := func(line string) *exec.Cmd {
		cmd := h.lithosExec("box/app.0", "--", "sh", "-c", line)
		stdout, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		_, err = io.ReadFull(stdout, make([]byte, len("ready\n")))
		must(t, err)
		return cmd
	}
	for sig, code := range map[syscall.Signal]int{syscall.SIGTERM: 11, syscall.SIGINT: 12, syscall.SIGUSR1: 13} {
		cmd := ready("trap 'exit 11' TERM; trap 'exit 12' INT; trap 'exit 13' USR1; echo ready; while :; do sleep 0.05; done")
		must(t, cmd.Process.Signal(sig))
		h.endsWith(cmd, code)
	}
	// Killed itself, it takes its program along.
	cmd := ready("echo ready; exec sleep 98765")
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	eventually(t, "the program to end", 10*time.Second, func() error {
		if r := h.inside("grep -la sleep.9876[5] /proc/[0-9]*/cmdline"); strings.Contains(r.stdout, "/proc/") {
			return errors.New(r.String())
		}
		return nil
	})
	// It ends with the container.
	cmd = ready("echo ready; exec sleep 1000")
	h.stop()
	h.endsWith(cmd, 128+int(syscall.SIGKILL))
}

// Covers: R10
func TestExecOnATerminal(t *testing.T) {
	t.Parallel()
	h := joined(t, mapsOfNet, simple("environ: {PATH: /bin}\n", "wait"))
	h.start()
	h.running("box/app.0")
	p := startOnTerminal(t, h.lithosExec("box/app.0"), 33, 101)
	p.send("stty size; test -t 0 && test -t 1 && test -t 2 && echo t''ty\r")
	p.expect("33 101")
	p.expect("tty")
	p.resize(44, 120)
	p.send("stty size; echo $(id -u)hällo\r")
	p.expect("44 120")
	p.expect("1000hällo")
	// Ctrl-C is for the job, not for the shell.
	p.send("echo re''ady; sleep 1000\r")
	p.expect("ready")
	p.send("\x03")
	p.send("echo af''ter; exit 4\r")
	p.expect("after")
	if code := p.exit(); code != 4 {
		t.Errorf("exit code %d, want 4", code)
	}
	if p.settings() != p.before {
		t.Error("the terminal is not as it was")
	}
	h.config("app", "app", simple("environ: {PATH: /bin}\n", "wait"))
	typesNothing(t, h.lithosExec("box/app.0", "/bin/e2e", "e2e-program", "inject"))
}

// A container that has lithos_exec run itself (/proc/self/exe as a command or
// as an interpreter) must not get a file of the host that it can write to.
//
// Covers: K10, R10
func TestExecLeaksNoHostFile(t *testing.T) {
	t.Parallel()
	config := strings.NewReplacer("user-id: 1000", "user-id: 0").Replace(simple("environ: {PATH: /bin}\n", "wait"))
	h := joined(t, "", config)
	// A copy: if this goes wrong, it is not the others' program.
	own := h.path("lithos_exec")
	data, err := os.ReadFile(filepath.Join(binDir, "lithos_exec"))
	must(t, err)
	must(t, os.WriteFile(own, data, 0o755))
	must(t, os.Symlink("/proc/self/exe", h.path("images/app/bin/me")))
	must(t, os.WriteFile(h.path("images/app/bin/script"), []byte("#!/proc/self/exe -C\n"), 0o755))
	h.start()
	h.running("box/app.0")
	for _, program := range []string{"me", "script"} {
		// As a program of the container it finds nothing to enter, and says so
		// on a pipe that nobody reads: there it stays, with its file.
		cmd := exec.Command(own, "-C", h.path("master.yaml"), "box/app.0", program, "--help")
		var pipe [2]int
		must(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
		_, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_SETPIPE_SZ, 4096)
		must(t, err)
		_, err = unix.Write(pipe[1], make([]byte, 4096))
		must(t, err)
		r, w := os.NewFile(uintptr(pipe[0]), "r"), os.NewFile(uintptr(pipe[1]), "w")
		cmd.Stdout, cmd.Stderr = w, w
		must(t, cmd.Start())
		look := h.inside
		eventually(t, program, 10*time.Second, func() error {
			// The process whose file is none of the image.
			r := look(`for p in /proc/[0-9]*; do e=$(readlink $p/exe) && case $e in /bin/*) ;; *) echo found; if true 2>/dev/null >>$p/exe; then echo WRITABLE; fi; esac; done`)
			if strings.Contains(r.stdout, "WRITABLE") {
				t.Errorf("%s: the container can write to a program of the host", program)
			}
			if !strings.Contains(r.stdout, "found") {
				return errors.New(r.String())
			}
			return nil
		})
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		must(t, errors.Join(w.Close(), r.Close()))
	}
	if now, err := os.ReadFile(own); err != nil || !bytes.Equal(now, data) {
		t.Errorf("lithos_exec was changed (%v)", err)
	}
}
