package e2e

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// simple is a container config that runs a program of ours.
func simple(more, program string, args ...string) string {
	text := dedent(more) + "user-id: 1000\ngroup-id: 1000\nexecutable: /bin/e2e\narguments:\n- e2e-program\n- " + program + "\n"
	for _, arg := range args {
		text += "- " + strconv.Quote(arg) + "\n"
	}
	if !strings.Contains(more, "restart-timeout") {
		text += "restart-timeout: 0.1\n"
	}
	return text
}

// one is a host with the sandbox "box" and one process "app" in it.
func one(t *testing.T, config string, master ...string) *host {
	t.Helper()
	h := newHost(t, master...)
	h.image("app", map[string]string{"app": config})
	h.sandbox("box", "writable-paths: {/data: "+h.path("data")+"}\n", app)
	must(t, os.Chmod(h.path("data"), 0o777))
	return h
}

const app = `
	app:
	  image: app
	  config: /config/app.yaml
	`

// Covers: N4
func TestTermStopsEverythingAndExitsZero(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.processes("box", strings.Replace(app, "image:", "instances: 5\n  image:", 1))
	d := h.start()
	h.running(names("box/app", 5)...)
	d.signal(syscall.SIGTERM)
	if code := h.wait(d, 5*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if err := h.leftovers(); err != nil {
		t.Errorf("right after the end: %v", err)
	}
}

// Covers: N4
func TestIntStopsEverything(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	d := h.start()
	h.running("box/app.0")
	d.signal(syscall.SIGINT)
	if code := h.wait(d, 5*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Covers: E7, N5, X16
func TestKillTimeoutEndsAProgramThatIgnoresTerm(t *testing.T) {
	t.Parallel()
	h := one(t, simple("kill-timeout: 1", "stubborn"))
	d := h.start()
	h.running("box/app.0")
	eventually(t, "the program ignores TERM", 5*time.Second, func() error { return h.logged("stubborn") })
	begin := time.Now()
	d.signal(syscall.SIGTERM)
	if code := h.wait(d, 5*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(begin); took < time.Second || took > within(2500*time.Millisecond) {
		t.Errorf("it took %v with a kill-timeout of 1 s", took)
	}
	if log := h.read("log/stderr/box.log"); !strings.Contains(log, "illing") {
		t.Errorf("no line about the kill in the stdio log:\n%s", log)
	}
}

// A PID 1 without Go's runtime forwards it, and with restart-process-only one
// with the runtime.
//
// Covers: N5
func TestStopSignalEndsTheProgram(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"quit":     simple("stop-signal: quit", "asked"),
		"realtime": simple("stop-signal: SIGRTMIN+3\nrestart-process-only: true", "asked"),
	})
	for _, name := range []string{"quit", "realtime"} {
		h.sandbox(name, "", strings.Replace(app, "app.yaml", name+".yaml", 1))
	}
	d := h.start()
	h.running("quit/app.0", "realtime/app.0")
	log := func(name, want string) func() error {
		return func() error { return h.outputIn("log/stderr/"+name+".log", want) }
	}
	for _, name := range []string{"quit", "realtime"} {
		eventually(t, name+" listens", 10*time.Second, log(name, "listening"))
	}
	d.signal(syscall.SIGTERM)
	if code := h.wait(d, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for name, want := range map[string]string{"quit": "asked by signal 3\n", "realtime": "asked by signal 37\n"} {
		if err := log(name, want)(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A second TERM is forwarded again, and moves nothing: the kill-timeout of the
// first counts (requirement N5: forwarded once by PID 1).
//
// Covers: N4, N5
func TestSecondTermKeepsTheKillTimeout(t *testing.T) {
	t.Parallel()
	h := one(t, simple("kill-timeout: 1.5", "stubborn"))
	d := h.start()
	h.running("box/app.0")
	eventually(t, "the program ignores TERM", 5*time.Second, func() error { return h.logged("stubborn") })
	begin := time.Now()
	d.signal(syscall.SIGTERM)
	eventually(t, "a moment", 5*time.Second, func() error {
		if since := time.Since(begin); since < time.Second {
			return fmt.Errorf("only %v", since)
		}
		return nil
	})
	d.signal(syscall.SIGTERM)
	if code := h.wait(d, 5*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(begin); took < 1500*time.Millisecond || took > within(2400*time.Millisecond) {
		t.Errorf("it took %v with a kill-timeout of 1.5 s", took)
	}
}

// Covers: N10, X1
func TestZombiesAreReapedAndStrayChildrenKilled(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "litter"))
	h.start()
	i := h.running("box/app.0")["box/app.0"]
	eventually(t, "the litter", 20*time.Second, func() error { return h.logged("littered") })
	var family []process
	eventually(t, "no zombie below PID 1, but its two orphans", 5*time.Second, func() error {
		family = nil
		for _, p := range processes() {
			if p.ppid == i.knot {
				family = append(family, p)
			}
		}
		for _, p := range family {
			if p.state == "Z" {
				return fmt.Errorf("%d is a zombie", p.pid)
			}
		}
		if len(family) != 3 {
			return fmt.Errorf("%d children, want the program and 2 orphans", len(family))
		}
		return nil
	})

	// The program's death takes the orphans along, though they ignore TERM.
	kill(t, i.program, killSignal)
	h.successor("box/app.0", i, 5*time.Second)
	for _, p := range family {
		if now, ok := readProcess(p.pid); ok && now.start == p.start {
			t.Errorf("%d outlived its container", p.pid)
		}
	}
	for _, p := range processes() {
		if p.ppid == h.daemon.cmd.Process.Pid && p.state == "Z" {
			t.Errorf("the daemon has a zombie: %d", p.pid)
		}
	}
}

// Covers: N12
func TestSecondDaemonIsRefused(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	d := h.start()
	before := h.running("box/app.0")
	if pid := strings.TrimSpace(h.read("run/master.pid")); pid != strconv.Itoa(d.cmd.Process.Pid) {
		t.Errorf("pid file %q, want %d", pid, d.cmd.Process.Pid)
	}
	second := h.command()
	ended := make(chan error, 1)
	must(t, second.Start())
	go func() { ended <- second.Wait() }()
	select {
	case <-ended:
		if code := second.ProcessState.ExitCode(); code != 1 {
			t.Errorf("exit code of the second daemon %d, want 1", code)
		}
	case <-time.After(within(10 * time.Second)):
		kill(t, second.Process.Pid, killSignal)
		<-ended
		t.Error("the second daemon kept running")
	}
	if now := h.running("box/app.0"); now["box/app.0"].knot != before["box/app.0"].knot {
		t.Error("the container was touched")
	}
	if pid := strings.TrimSpace(h.read("run/master.pid")); pid != strconv.Itoa(d.cmd.Process.Pid) {
		t.Errorf("pid file %q after the second daemon, want %d", pid, d.cmd.Process.Pid)
	}
}

// logged wants a line in the stdio log of the sandbox "box": what a program
// wrote, or that begins like that.
func (h *host) logged(begin string) error {
	if !strings.Contains("\n"+h.read("log/stderr/box.log"), "\n"+begin) {
		return errors.New("no such line in the stdio log: " + begin)
	}
	return nil
}
