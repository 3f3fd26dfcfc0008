package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/sysx/bridge"
)

// shellHost is a host with commands that are a shell: "sh" reads and writes what
// lithos_cmd does, "logged" writes to the log; "app" is a daemon.
func shellHost(t *testing.T) *host {
	t.Helper()
	const shell = "executable: /bin/busybox\narguments: [sh]\nuser-id: 1000\ngroup-id: 1000\nkill-timeout: 1\n" +
		"volumes: {/out: !Persistent /data}\nenviron: {PATH: /bin}\n"
	h := one(t, simple("", "wait"))
	h.config("app", "sh", "kind: Command\ninteractive: true\n"+shell)
	h.config("app", "logged", "kind: CommandOrDaemon\n"+shell)
	h.config("app", "lacking", "kind: Command\ninteractive: true\nexecutable: /bin/nothing\nuser-id: 1000\n")
	box, err := os.ReadFile(filepath.Join(imagesDir, debian, "bin/busybox"))
	must(t, err)
	must(t, os.WriteFile(h.path("images/app/bin/busybox"), box, 0o755))
	for _, name := range []string{"sh", "cat", "sleep", "stty", "head", "sha256sum", "readlink", "id", "grep"} {
		must(t, os.Symlink("busybox", h.path("images/app/bin", name)))
	}
	h.processes("box", app+`
	sh: {kind: Command, image: app, config: /config/sh.yaml}
	logged: {kind: Command, image: app, config: /config/logged.yaml}
	lacking: {kind: Command, image: app, config: /config/lacking.yaml}
	`)
	return h
}

// lithosCmd is lithos_cmd on this host.
func (h *host) lithosCmd(args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(binDir, "lithos_cmd"), append([]string{"--master", h.path("master.yaml")}, args...)...)
}

// sh runs a line of shell by lithos_cmd.
func (h *host) sh(line string) result {
	h.t.Helper()
	return finish(h.t, h.lithosCmd("box", "sh", "-c", line))
}

// nothingLeft wants no container, state dir, record or cgroup of a command.
func (h *host) nothingLeft() {
	h.t.Helper()
	for _, pattern := range []string{h.path("run/containers/box/cmd.*"), h.path("run/state/box/cmd.*")} {
		if left, _ := filepath.Glob(pattern); len(left) > 0 {
			h.t.Errorf("left behind: %v", left)
		}
	}
	for _, root := range cgroupRoots() {
		if left, _ := filepath.Glob(filepath.Join(root, h.cgroup, "box:cmd.*")); len(left) > 0 {
			h.t.Errorf("left behind: %v", left)
		}
	}
}

// removeShared takes away what lithos_cmd leaves: what containers share.
func (h *host) removeShared() {
	h.t.Cleanup(func() {
		_ = os.Remove(h.path("run/containers/box"))
		_ = os.Remove(h.path("run/state/box"))
		for _, root := range cgroupRoots() {
			_ = os.Remove(filepath.Join(root, h.cgroup))
		}
	})
}

// Covers: D2, D10, E1, E9, N14, R3, X24
func TestCommandEndsWithItsExitCode(t *testing.T) {
	t.Parallel()
	h := shellHost(t)
	h.removeShared()
	for _, tt := range []struct {
		line           string
		code           int
		stdout, stderr string
	}{
		{"echo out; echo err >&2", 0, "out\n", "err\n"},
		{"exit 1", 1, "", ""},
		{"exit 77", 77, "", ""},
		{"kill -SEGV $$", 128 + 11, "", ""},
		{"kill -TERM $$", 128 + 15, "", ""},
		{"kill -KILL $$", 128 + 9, "", ""},
	} {
		if r := h.sh(tt.line); r.code != tt.code || r.stdout != tt.stdout || r.stderr != tt.stderr {
			t.Errorf("R3 %s: want exit code %d: %s", tt.line, tt.code, r)
		}
	}
	r := h.sh("echo $LITHOS_NAME $LITHOS_CONFIG $TERM; cat /proc/1/comm")
	if !regexp.MustCompile(`^box/cmd\.sh\.\d+ /config/sh\.yaml \S+\nlithos_knot\n$`).MatchString(r.stdout) {
		t.Errorf("D10 %s", r)
	}
	h.nothingLeft()
	finish(t, h.lithosCmd("box", "app")).expect(t, "D2 a daemon", 125, "no command but a daemon", "kind: Command")
	finish(t, h.lithosCmd("box", "none")).expect(t, "no such command", 125, `no command "none"`, "there are: lacking, logged, sh")
	finish(t, h.lithosCmd("bax", "sh")).expect(t, "no such sandbox", 125, `no sandbox "bax"`, "there are: box")
	finish(t, h.lithosCmd("box", "lacking")).expect(t, "no such program", 125, "/bin/nothing")
	finish(t, h.lithosCmd("box")).expect(t, "no name", 125, "lithos_cmd --help")
	finish(t, h.lithosCmd("--oops", "box", "sh")).expect(t, "a wrong option", 125, "oops")
	if r := finish(t, h.lithosCmd("--help")); r.code != 0 || !strings.Contains(r.stdout, "Examples:") {
		t.Errorf("R3 --help: %s", r)
	}
	h.config("app", "sh", "kind: Daemon\nexecutable: /bin/sh\nuser-id: 1\n")
	h.sh("true").expect(t, "E1 the container is a daemon's", 125, "sh.yaml", "kind")
	h.nothingLeft()
}

// Covers: E17
func TestCommandThatIsNotInteractiveWritesToTheLog(t *testing.T) {
	t.Parallel()
	h := shellHost(t)
	h.removeShared()
	cmd := h.lithosCmd("box", "logged", "-c", "echo said; read x || echo nothing to read; exit 3")
	cmd.Stdin = strings.NewReader("something\n")
	if r := finish(t, cmd); r.code != 3 || r.stdout+r.stderr != "" {
		t.Errorf("E17 want only exit code 3: %s", r)
	}
	if log := h.read("log/stderr/box.log"); !strings.Contains(log, "said\nnothing to read\n") {
		t.Errorf("E17 the log has\n%s", log)
	}
	h.nothingLeft()
}

// Covers: E17, R3
func TestCommandInAPipeline(t *testing.T) {
	t.Parallel()
	h := shellHost(t)
	h.removeShared()
	data := make([]byte, 20<<20)
	_, _ = rand.New(rand.NewSource(1)).Read(data)
	sum := sha256.Sum256(data)
	cmd := h.lithosCmd("box", "sh", "-c", "cat")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if back := sha256.Sum256(out); err != nil || back != sum {
		t.Errorf("%d bytes came back as %d others (%s): %v", len(data), len(out), hex.EncodeToString(back[:4]), err)
	}
	// When the reader goes away the writer gets SIGPIPE.
	cmd = h.lithosCmd("box", "sh", "-c", "exec cat /dev/zero")
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	_, err = io.ReadFull(stdout, make([]byte, 100000))
	must(t, err)
	must(t, stdout.Close())
	h.endsWith(cmd, 128+int(syscall.SIGPIPE))
	// The command closes its output and continues: who reads sees the end.
	cmd = h.lithosCmd("box", "sh", "-c", "echo all; exec >&-; exec sleep 1000")
	stdout, err = cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if text, err := io.ReadAll(stdout); err != nil || string(text) != "all\n" {
		t.Errorf("read %q, %v", text, err)
	}
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	h.endsWith(cmd, 128+int(syscall.SIGTERM))
	h.nothingLeft()
}

// endsWith waits for the end of lithos_cmd.
func (h *host) endsWith(cmd *exec.Cmd, code int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within(20*time.Second))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != code {
		h.t.Errorf("lithos_cmd ended with %v, want exit code %d", cmd.ProcessState, code)
	}
}

// ready starts a line of shell that says when it is ready.
func (h *host) ready(line string) *exec.Cmd {
	h.t.Helper()
	cmd := h.lithosCmd("box", "sh", "-c", line)
	stdout, err := cmd.StdoutPipe()
	must(h.t, err)
	cmd.Stderr = os.Stderr
	must(h.t, cmd.Start())
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		h.t.Fatalf("%s: %v", line, err)
	}
	return cmd
}

// Covers: E7, N5, N14
func TestSignalsAreForwardedToACommand(t *testing.T) {
	t.Parallel()
	h := shellHost(t)
	h.removeShared()
	for sig, code := range map[syscall.Signal]int{syscall.SIGTERM: 11, syscall.SIGINT: 12, syscall.SIGHUP: 11} {
		cmd := h.ready("trap 'exit 11' TERM; trap 'exit 12' INT; echo ready; while :; do sleep 0.05; done")
		must(t, cmd.Process.Signal(sig))
		h.endsWith(cmd, code)
	}
	cmd := h.ready("trap 'echo got >>/out/terms' TERM; echo ready; while :; do sleep 0.05; done")
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	h.endsWith(cmd, 128+int(syscall.SIGKILL)) // after its kill-timeout of 1 s
	if terms := h.read("data/terms"); terms != "got\n" {
		t.Errorf("N5 TERM came as %q, want once", terms)
	}
	h.nothingLeft()
}

// Covers: M6, N14
func TestCommandsSurviveADaemonAndAreClearedAfterAKill(t *testing.T) {
	t.Parallel()
	h := shellHost(t)
	h.removeShared()
	living := h.ready("trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")
	killed := h.ready("echo ready; exec sleep 1000")
	must(t, killed.Process.Kill())
	_ = killed.Wait()
	h.start()
	h.running("box/app.0", fmt.Sprintf("box/cmd.sh.%d", living.Process.Pid))
	if left, _ := filepath.Glob(h.path("run/*/box", fmt.Sprintf("cmd.sh.%d", killed.Process.Pid))); len(left) != 0 {
		t.Errorf("the daemon left %v", left)
	}
	// And the next command clears up as well.
	killed = h.ready("echo ready; exec sleep 1000")
	must(t, killed.Process.Kill())
	_ = killed.Wait()
	if r := h.sh("exit 9"); r.code != 9 {
		t.Errorf("%s", r)
	}
	h.running("box/app.0", fmt.Sprintf("box/cmd.sh.%d", living.Process.Pid))
	h.stop()
	must(t, living.Process.Signal(syscall.SIGTERM))
	h.endsWith(living, 5)
	h.nothingLeft()
}

// Covers: E17, R3, X25
func TestCommandOnATerminal(t *testing.T) {
	t.Parallel()
	h := shellHost(t)
	h.removeShared()
	p := startOnTerminal(t, h.lithosCmd("box", "sh", "-c", `stty size; echo "[$TERM]"; test -t 0 && test -t 1 && test -t 2 && echo tty; read line; echo "got $line"; stty size; trap "echo INT; exit 4" INT; echo ready; while :; do sleep 0.05; done`), 33, 101)
	p.expect("33 101")
	p.expect("tty")
	p.resize(44, 120)
	p.send("hällo\r")
	p.expect("got hällo")
	p.expect("44 120")
	p.expect("ready")
	p.send("\x03")
	p.expect("INT")
	if code := p.exit(); code != 4 {
		t.Errorf("exit code %d, want 4: Ctrl-C was the command's to handle", code)
	}
	if p.settings() != p.before {
		t.Error("the terminal is not as it was")
	}
	h.nothingLeft()
}

// Covers: R3
func TestCtrlZStopsACommandAndItGoesOn(t *testing.T) {
	t.Parallel()
	h := shellHost(t)
	h.removeShared()
	// The shell outside has jobs, as that of an operator.
	line := strings.Join(h.lithosCmd("box", "sh", "-c", "'echo begun; read x; echo went on $x'").Args, " ")
	p := startOnTerminal(t, exec.Command(filepath.Join(imagesDir, debian, "bin/busybox"), "sh", "-m", "-c",
		line+`; echo stopped; fg; echo end $?`), 24, 80)
	p.expect("begun")
	p.send("\x1a")
	p.expect("stopped")
	p.send("fine\r")
	p.expect("went on fine")
	p.expect("end 0")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	h.nothingLeft()
}

// A program can't put input into the terminal of who called it.
//
// Covers: K8, R3
func TestCommandCannotTypeIntoTheCallersTerminal(t *testing.T) {
	t.Parallel()
	h := shellHost(t)
	h.removeShared()
	h.config("app", "sh", "kind: Command\ninteractive: true\n"+simple("", "inject"))
	typesNothing(t, h.lithosCmd("box", "sh"))
}

// typesNothing wants the program `inject` to have typed nothing into the terminal
// of whoever has it run.
func typesNothing(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	p := startOnTerminal(t, cmd, 24, 80)
	p.expect("injected")
	p.exit()
	if n := p.unread(); n != 0 {
		t.Errorf("%d bytes were put into the caller's terminal", n)
	}
}

// A command of a bridged sandbox has only loopback unless it is given an
// address, and lithos_cmd makes its user namespace as the daemon does.
//
// Covers: C16, L6, R3
func TestCommandsInAUserNamespaceOnABridge(t *testing.T) {
	t.Parallel()
	h := shellHost(t)
	h.removeShared()
	h.sandbox("box", bridgeOf("10.77.0.0/24", "")+mapsOfNet+"writable-paths: {/data: "+h.path("data")+"}\n", `
		alone: {kind: Command, image: app, config: /config/sh.yaml}
		addressed: {kind: Command, image: app, config: /config/sh.yaml, ip-addresses: [10.77.0.7]}
		`)
	n := newNetwork(h)
	for name, interfaces := range map[string]int{"alone": 1, "addressed": 2} {
		cmd := h.lithosCmd("box", name, "-c", "cat /proc/self/uid_map /proc/net/dev")
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := bridge.Inside(n.ns, cmd.Run); err != nil {
			t.Errorf("%s: %v\n%s", name, err, errs.String())
		}
		if f := strings.Fields(out.String()); len(f) < 3 || strings.Join(f[:3], " ") != "0 100000 2000" {
			t.Errorf("C16 %s: %s", name, out.String())
		}
		// Two lines of head, and the one of the map.
		if got := strings.Count(out.String(), "\n") - 3; got != interfaces || !strings.Contains(out.String(), " lo:") {
			t.Errorf("L6 %s has %d interfaces, want %d:\n%s", name, got, interfaces, out.String())
		}
	}
	h.nothingLeft()
	eventually(t, "the interfaces to go", 5*time.Second, func() error {
		if left := n.ours(); len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
}
