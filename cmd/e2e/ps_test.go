package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/actors/services/api"
)

// ps is lithos_ps on this host.
func (h *host) ps(args ...string) result {
	h.t.Helper()
	return tool(h.t, "lithos_ps", append([]string{"-C", h.path("master.yaml")}, args...)...)
}

// psShows says what is missing in the output of lithos_ps.
func (h *host) psShows(args []string, patterns ...string) error {
	h.t.Helper()
	r := h.ps(args...)
	for _, pattern := range patterns {
		if r.code != 0 || !regexp.MustCompile(pattern).MatchString(r.stdout) {
			return fmt.Errorf("lithos_ps %v has no %q: %s", args, pattern, r)
		}
	}
	return nil
}

// Everything that is configured is there, running or not, with a daemon,
// without one, and after one that was killed.
//
// Covers: R9
func TestPsShowsEveryInstance(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"main": simple("memory-limit: 64Mi", "wait"),
		"dies": simple("restart-timeout: 300", "says", "its last words", "3"),
	})
	h.sandbox("box", "", "main: {image: app, config: /config/main.yaml, instances: 2}\ndies: {image: app, config: /config/dies.yaml}")

	// Before the daemon was ever started.
	if err := h.psShows(nil, `^lithos_tree does not run: .*; 3 instances: 3 stopped\n`, `main\.1 +stopped`); err != nil {
		t.Error(err)
	}
	h.start()
	now := h.running("box/main.0", "box/main.1")
	pid := now["box/main.0"].knot
	alive := fmt.Sprintf(`main\.0 +running +%d +\S+ +0 +\S+ +[0-9.]+[KM]/64\.0M +[1-9]`, pid)
	eventually(t, "lithos_ps", 10*time.Second, func() error {
		return h.psShows(nil, `^lithos_tree \S+, pid \d+, up \S+; 3 instances: 2 running, 1 waiting, 1 failing\n`,
			alive, `dies\.0 +waiting, failing +.* next try in (5m0s|4m\d+s); last exited with code 3, \S+ ago\n`)
	})
	eventually(t, "the death", 10*time.Second, func() error {
		return h.psShows([]string{"--why", "box/dies.0"}, `(?m)^waits for next try in \S+: restart-timeout 5m0s`,
			`(?m)^asks for  image \S+/images/app, config /config/dies.yaml$`,
			`exited with code 3 after \S+ \[itself\]\n(    .*\n)*    \| its last words\n`)
	})
	h.psJSON("daemon", pid)
	h.psNames()
	// The daemon continues with what the master config said before it was broken.
	master := h.read("master.yaml")
	h.write("master.yaml", master+"log-level: 7\n")
	r := h.ps("box/main")
	r.expect(t, "lithos_ps beside a broken master config", 0, "log-level", "7")
	if !regexp.MustCompile(alive).MatchString(r.stdout) {
		t.Errorf("it prints %s", r.stdout)
	}
	h.write("master.yaml", master)

	h.daemon.signal(syscall.SIGKILL)
	<-h.daemon.done
	if err := h.psShows(nil, `^lithos_tree does not run: .*; 3 instances: 2 running, 1 stopped\n`, alive, `dies\.0 +stopped .* last exited with code 3, `); err != nil {
		t.Error(err)
	}
	if err := h.psShows([]string{"--why", "box/dies.0"}, "lithos_tree does not run", "waits for lithos_tree to be started", "its last words"); err != nil {
		t.Error(err)
	}
	h.psJSON("files", pid)
	h.start() // it cleans up
	h.settled(api.Wait{Reload: 1, Instance: "box/main.0", State: "running"})
}

// psJSON compares --json with what is known of box/main.0.
func (h *host) psJSON(source string, pid int) {
	h.t.Helper()
	var s struct {
		Source    string
		Instances []struct {
			api.Instance
			Threads int
		}
		Trees []struct {
			PID      int
			Children []struct {
				Name      string
				PID       int
				OK        bool
				Processes []struct{ Processes, Threads int }
			}
		}
	}
	r := h.ps("--json", "box/main.0")
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		h.t.Fatalf("%v: %s", err, r)
	}
	if s.Source != source || len(s.Instances) != 1 || s.Instances[0].PID != pid || s.Instances[0].Threads < 2 || s.Instances[0].State != api.StateRunning {
		h.t.Errorf("%+v", s)
	}
	daemon := 0
	if source == "daemon" {
		daemon = h.daemon.cmd.Process.Pid
	}
	if len(s.Trees) != 1 || s.Trees[0].PID != daemon || len(s.Trees[0].Children) != 1 {
		h.t.Fatalf("trees: %+v", s.Trees)
	}
	if c := s.Trees[0].Children[0]; c.Name != "box/main.0" || c.PID != pid || !c.OK || len(c.Processes) != 1 || c.Processes[0].Processes != 1 || c.Processes[0].Threads < 1 {
		h.t.Errorf("trees: %+v", s.Trees)
	}
}

// psNames are names that there are, or are not, and colours.
func (h *host) psNames() {
	h.t.Helper()
	if r := h.ps("box/main"); r.code != 0 || strings.Contains(r.stdout, "dies") || !strings.Contains(r.stdout, "main.1") || strings.Contains(r.stdout, "\x1b") {
		h.t.Errorf("one process: %s", r)
	}
	if r := h.ps("--color"); !strings.Contains(r.stdout, "\x1b[32mrunning\x1b[0m") {
		h.t.Errorf("no colours: %s", r)
	}
	for _, args := range [][]string{{"nobox"}, {"--why", "box/none.0"}} {
		if r := h.ps(args...); r.code != 1 || !strings.Contains(r.stderr, "there is no") {
			h.t.Errorf("%v: %s", args, r)
		}
	}
}

// psMonitor is lithos_ps --monitor on a terminal that shows box/app.0 by now.
func (h *host) psMonitor() *pseudoTerminal {
	h.t.Helper()
	p := startOnTerminal(h.t, exec.Command(filepath.Join(binDir, "lithos_ps"), "-C", h.path("master.yaml"), "--monitor", "box"), 24, 200)
	p.expect("\x1b[?1049h")
	p.expect("box/app.0")
	return p
}

// left says that the terminal is as it was.
func (p *pseudoTerminal) left() {
	p.t.Helper()
	p.expect("\x1b[?1049l")
	if code := p.exit(); code != 0 || p.settings() != p.before {
		p.t.Errorf("exit code %d, settings %+v, before %+v", code, p.settings(), p.before)
	}
}

// The screen is drawn again each second, at each key and each change of its
// size, and given back as it was, whatever ends it.
//
// Covers: R9
func TestPsMonitorRefreshes(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.start()
	before := h.running("box/app.0")["box/app.0"]

	p := h.psMonitor()
	p.send("c")
	p.expect("sort: n name")
	p.resize(10, 30)
	p.expect("…\x1b[K")
	p.resize(24, 200)
	kill(t, before.program, killSignal) // it shows what happens
	after := h.successor("box/app.0", before, 20*time.Second)
	p.expect(fmt.Sprintf(" %d ", after.knot))
	p.send("q")
	p.left()

	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		p := h.psMonitor()
		kill(t, p.cmd.Process.Pid, sig)
		p.left()
	}
	p = h.psMonitor()
	p.send("\x03")
	p.left()

	if r := h.ps("--monitor"); r.code != 1 || !strings.Contains(r.stderr, "needs a terminal") {
		t.Errorf("without a terminal: %s", r)
	}
}
