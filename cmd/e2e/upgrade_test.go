package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lithos/actors/services/api"
)

// own installs the daemon's programs on the host itself, to be replaced there.
func (h *host) own() (tree string) {
	h.t.Helper()
	for _, program := range []string{"lithos_tree", "lithos_knot"} {
		install(h.t, filepath.Join(binDir, program), h.path("bin", program))
	}
	return h.path("bin", "lithos_tree")
}

// startOwn starts the daemon of the host's own.
func (h *host) startOwn(tree string, env ...string) *daemon {
	h.t.Helper()
	cmd := h.command()
	cmd.Path, cmd.Args[0] = tree, tree
	if len(env) > 0 {
		cmd.Env = append(os.Environ(), env...)
	}
	return h.launch(cmd)
}

// replace puts another file in the place of one, as a package does.
func (h *host) replace(path string, content []byte, mode os.FileMode) {
	h.t.Helper()
	must(h.t, os.WriteFile(path+".new", content, 0o600))
	must(h.t, os.Chmod(path+".new", mode))
	must(h.t, os.Rename(path+".new", path))
}

// saidTimes waits for a text in the daemon's log, for the n-th time.
func (h *host) saidTimes(n int, text string) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("%q in the log, %d times", text, n), 20*time.Second, func() error {
		if got := strings.Count(h.read("log/master.log"), text); got < n {
			return fmt.Errorf("%d times", got)
		}
		return nil
	})
}

// programs waits until the programs of these run; others may come and go.
func (h *host) programs(names ...string) map[string]instance {
	h.t.Helper()
	var now map[string]instance
	eventually(h.t, "the containers that stay", 15*time.Second, func() error {
		now = h.instances()
		for _, name := range names {
			if now[name].program == 0 {
				return errors.New(name + " does not run")
			}
		}
		return nil
	})
	return now
}

// same fails the test if one of these is another than before.
func (h *host) same(before map[string]instance, names ...string) {
	h.t.Helper()
	now := h.programs(names...)
	for _, name := range names {
		if now[name].knot != before[name].knot || now[name].knotStart != before[name].knotStart || now[name].program != before[name].program {
			h.t.Errorf("%s is another", name)
		}
	}
}

// ask asks for the status over and over, as a monitor does; end tells how often
// it went well, and the first error.
func (h *host) ask() (end func() (answers int64, err error)) {
	client := api.NewClient(h.path("run/control.sock"))
	stop, ended := make(chan struct{}), make(chan error, 1)
	var answers atomic.Int64
	go func() {
		defer client.Close()
		for {
			select {
			case <-stop:
				ended <- nil
				return
			case <-time.After(2 * time.Millisecond):
			}
			if _, err := client.Status(h.t.Context(), false); err != nil {
				ended <- err
				return
			}
			answers.Add(1)
		}
	}()
	return func() (int64, error) {
		close(stop)
		return answers.Load(), <-ended
	}
}

// One that is replaced once more while it is tried is tried again, without another
// QUIT: the one that came meanwhile meant it.
//
// Covers: G12, O2
func TestProgramReplacedDuringItsTrial(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	tree := h.own()
	d := h.startOwn(tree)
	before := h.running("box/app.0")["box/app.0"]
	program := []byte(h.read("bin/lithos_tree"))
	h.replace(tree, []byte("#!/bin/sh\n: >'"+h.path("tried")+"'\nwhile [ ! -e '"+h.path("replaced")+"' ]; do sleep 0.1; done\nexit 1\n"), 0o755)
	d.signal(syscall.SIGQUIT)
	eventually(t, "the try", 10*time.Second, func() error {
		_, err := os.Stat(h.path("tried"))
		return err
	})
	h.replace(tree, program, 0o755)
	h.write("replaced", "")
	d.signal(syscall.SIGQUIT)
	h.saidTimes(1, "Taken over from lithos_tree")
	if log := h.read("log/master.log"); strings.Contains(log, "can't take over") {
		t.Errorf("what was not there any more is complained of:\n%s", log)
	}
	if now := h.running("box/app.0")["box/app.0"]; now.knot != before.knot {
		t.Errorf("it was %+v and is %+v", before, now)
	}
	h.stop()
}

// A lithos_tree that was replaced takes over at QUIT: with the same pid, the
// same containers, nobody refused on their port or on the control socket, and
// each death learnt of exactly.
//
// Covers: G12, O2
func TestUpgradeInPlaceKeepsContainers(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	h.image("app", map[string]string{"app": port3("", port), "short": simple("restart-timeout: 0.05", "run", "20", "3")})
	rounds, instances := upgrades(4), 3
	if rounds > 4 {
		instances = 98
	}
	h.sandbox("box", "", fmt.Sprintf("app: {image: app, config: /config/app.yaml, instances: %d}\n", instances)+
		"short: {image: app, config: /config/short.yaml, instances: 2}")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: h.path("notify"), Net: "unixgram"})
	must(t, err)
	defer systemd.Close()
	tree := h.own()
	d := h.startOwn(tree, "NOTIFY_SOCKET="+h.path("notify"))
	apps := names("box/app", instances)
	before := h.programs(apps...)
	connect, ask := hammer(port), h.ask()
	program := []byte(h.read("bin/lithos_tree"))
	told := make(chan []string, 1)
	go func() { told <- notifications(systemd, 1+2*rounds) }()
	for round := range rounds {
		h.replace(tree, program, 0o755)
		d.signal(syscall.SIGQUIT)
		h.saidTimes(round+1, "Taken over from lithos_tree")
		eventually(t, "all are adopted", 30*time.Second, func() error {
			if n := strings.Count(h.read("log/box.log"), `Adopted container "box/app.`); n < (round+1)*instances {
				return fmt.Errorf("%d adoptions of %d in %d rounds", n, instances, round+1)
			}
			return nil
		})
		if !d.alive() {
			t.Fatalf("the daemon ended: %v", d.err)
		}
	}
	h.same(before, apps...)
	if pid := strings.TrimSpace(h.read("run/master.pid")); pid != fmt.Sprint(d.cmd.Process.Pid) {
		t.Errorf("the pid file has %s, the daemon is %d", pid, d.cmd.Process.Pid)
	}
	if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", d.cmd.Process.Pid)); string(comm) != "lithos_tree\n" {
		t.Errorf("its name is %q", comm)
	}
	// Without a change there is nothing to take over.
	d.signal(syscall.SIGQUIT)
	h.saidTimes(1, "Reloaded: supervising")
	h.saidTimes(rounds, "Taken over from lithos_tree")
	if n := strings.Count(h.read("log/master.log"), "Taken over"); n != rounds {
		t.Errorf("taken over %d times, want %d", n, rounds)
	}
	connected, err := connect()
	if err != nil || connected == 0 {
		t.Errorf("%d have connected, then: %v", connected, err)
	}
	answers, err := ask()
	if err != nil || answers == 0 {
		t.Errorf("the control socket answered %d times, then: %v", answers, err)
	}
	must(t, systemd.SetReadDeadline(time.Now().Add(within(10*time.Second))))
	texts := <-told
	if len(texts) != 1+2*rounds {
		t.Errorf("systemd is told %d times, want %d", len(texts), 1+2*rounds)
	}
	for n, text := range texts {
		if want := []string{"READY=1\n", "RELOADING=1\nMONOTONIC_USEC="}[n%2]; !strings.HasPrefix(text, want) {
			t.Errorf("systemd is told %q, %d., want %q", text, n, want)
		}
	}
	h.stop()
	log := h.read("log/box.log")
	if strings.Contains(log, "without a trace") || strings.Contains(log, "left no record") {
		t.Error("a death was not seen")
	}
	started := regexp.MustCompile(`Started container "[^"]+" \(pid \d+\)`).FindAllString(log, -1)
	ended := regexp.MustCompile(`Container "[^"]+" \(pid \d+\) (exited|was ended|was stopped)`).FindAllString(log, -1)
	if len(started) != len(ended) || len(started) < 10 {
		t.Errorf("%d starts, %d deaths", len(started), len(ended))
	}
	t.Logf("%d upgrades with %d containers on a port: %d connections, %d answers of the control socket, %d deaths learnt of", rounds, instances, connected, answers, len(ended))
	if err := h.leftovers(); err != nil {
		t.Errorf("after the stop:\n%v", err)
	}
}

// notifications are the first n that systemd got, or those until the deadline.
func notifications(c *net.UnixConn, n int) (texts []string) {
	for buf := make([]byte, 1000); len(texts) < n; {
		size, err := c.Read(buf)
		if err != nil {
			break
		}
		texts = append(texts, string(buf[:size]))
	}
	return texts
}

// One that can't start does not take over: the old one says why, continues, and
// reads the configs.
//
// Covers: O2
func TestFailedUpgradeKeepsTheOldDaemon(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{"app": simple("", "wait")})
	entry := func(n int) string {
		return fmt.Sprintf("app: {image: app, config: /config/app.yaml, instances: %d}", n)
	}
	h.sandbox("box", "", entry(1))
	tree := h.own()
	d := h.startOwn(tree)
	before := h.running("box/app.0")
	program := []byte(h.read("bin/lithos_tree"))
	// 18 and 19 are the machine, little-endian: none is of that number.
	otherMachine := slices.Clone(program)
	otherMachine[18], otherMachine[19] = 0x7f, 0x7f
	script := func(text string) []byte { return []byte("#!/bin/sh\n" + text + "\n") }
	for n, broken := range []struct {
		content []byte
		mode    os.FileMode
		why     string
	}{
		{script("echo broken library >&2; exit 3"), 0o755, "it could not start, exit code 3: broken library"},
		{script("kill -SEGV $$"), 0o755, "it was ended by signal 11"},
		{script("echo 0.17"), 0o755, "it is no lithos_tree that could take over: 0.17"},
		{program, 0o644, "it can't be executed: fork/exec " + tree + ": permission denied"},
		{otherMachine, 0o755, "it can't be executed: fork/exec " + tree + ": exec format error"},
		{program[:len(program)/2], 0o755, ""},
		{nil, 0o755, ""},
		// It says that it could, and can't: it hands back.
		{script(`case " $* " in *--can-start*) echo "lithos_tree can start and take over" ;; *) exec ` + filepath.Join(binDir, "lithos_tree") + ` -C /nonexistent.yaml ;; esac`),
			0o755, "could not take over, this one"},
	} {
		h.replace(tree, broken.content, broken.mode)
		h.processes("box", entry(1+(n+1)%2))
		d.signal(syscall.SIGQUIT)
		h.saidTimes(n+1, " take over, this one (")
		h.running(names("box/app", 1+(n+1)%2)...)
		if !d.alive() {
			t.Fatalf("%d: the daemon ended: %v", n, d.err)
		}
		if log := h.read("log/master.log"); !strings.Contains(log, broken.why) {
			t.Errorf("the log does not say %q", broken.why)
		}
	}
	if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", d.cmd.Process.Pid)); string(comm) != "lithos_tree\n" {
		t.Errorf("its name is %q", comm)
	}
	// In the end a good one.
	h.replace(tree, program, 0o755)
	d.signal(syscall.SIGQUIT)
	h.saidTimes(1, "Taken over from lithos_tree")
	h.same(before, "box/app.0")
	h.stop()
	if err := h.leftovers(); err != nil {
		t.Errorf("after the stop:\n%v", err)
	}
}

// TERM at whatever moment after the QUIT of an upgrade ends everything, whoever
// hears it.
//
// Covers: N4, O2
func TestTermDuringAnUpgrade(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{"app": simple("", "wait")})
	h.sandbox("box", "", "app: {image: app, config: /config/app.yaml, instances: 3}")
	tree := h.own()
	program := []byte(h.read("bin/lithos_tree"))
	for range upgrades(8) {
		d := h.startOwn(tree)
		h.running(names("box/app", 3)...)
		h.replace(tree, program, 0o755)
		// The moment is what is varied, nothing is waited for: half of them
		// from the QUIT on, half of them from the point of no return on.
		late := rand.IntN(2) == 0
		pause := time.Duration(rand.IntN(50_000)) * time.Microsecond
		before := strings.Count(h.read("log/master.log"), "it takes over from this one")
		d.signal(syscall.SIGQUIT)
		if late {
			h.saidTimes(before+1, "it takes over from this one")
		}
		time.Sleep(pause)
		d.signal(syscall.SIGTERM)
		if code := h.wait(d, 20*time.Second); code != 0 {
			t.Errorf("exit code %d (%v), %v after QUIT (or its log line: %v)", code, d.err, pause, late)
		}
		if err := h.leftovers(); err != nil {
			t.Fatal(fmt.Errorf("TERM %v after QUIT (or its log line: %v) left:\n%w", pause, late, err))
		}
	}
}

// upgrades is how many there are: LITHOS_E2E_UPGRADES, or a few.
func upgrades(n int) int {
	_, _ = fmt.Sscan(os.Getenv("LITHOS_E2E_UPGRADES"), &n)
	return n
}

// A waiting lithos_switch gets its answer from the next lithos_tree.
//
// Covers: O2, O9
func TestSwitchWaitsDuringAnUpgrade(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{"app": simple("", "wait")})
	h.sandbox("box", "", "app: {image: app, config: /config/app.yaml}")
	tree := h.own()
	d := h.startOwn(tree)
	before := h.running("box/app.0")
	h.replace(tree, []byte(h.read("bin/lithos_tree")), 0o755)
	h.write("next.yaml", "app: {image: app, config: /config/app.yaml, instances: 3}\n")
	if r := h.switchTo("--wait", "--timeout", "60", "box", h.path("next.yaml")); r.code != 0 {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	h.saidTimes(1, "Taken over from lithos_tree")
	h.running(names("box/app", 3)...)
	h.same(before, "box/app.0")
	if !d.alive() {
		t.Errorf("the daemon ended: %v", d.err)
	}
}
