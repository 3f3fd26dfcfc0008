package e2e

import (
	"errors"
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

const killSignal = syscall.SIGKILL

// daemon is one run of lithos_tree.
type daemon struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // valid then
}

// command is the daemon's command line on this host.
func (h *host) command(args ...string) *exec.Cmd {
	h.t.Helper()
	out, err := os.OpenFile(h.path("daemon.out"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	must(h.t, err)
	h.t.Cleanup(func() { _ = out.Close() })
	cmd := exec.Command(filepath.Join(binDir, "lithos_tree"), append([]string{"-C", h.path("master.yaml")}, args...)...)
	cmd.Stdout, cmd.Stderr = out, out
	// A ^C at the tests is not for the daemon: they stop it themselves.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// start starts the daemon; it does not wait for anything.
func (h *host) start(args ...string) *daemon {
	h.t.Helper()
	return h.launch(h.command(args...))
}

// launch starts the daemon by a command line that somebody has prepared.
func (h *host) launch(cmd *exec.Cmd) *daemon {
	h.t.Helper()
	return h.launchBy(cmd, cmd.Start)
}

// launchBy starts it by a function, which says where.
func (h *host) launchBy(cmd *exec.Cmd, start func() error) *daemon {
	h.t.Helper()
	d := &daemon{cmd: cmd, done: make(chan struct{})}
	must(h.t, start())
	go func() {
		d.err = d.cmd.Wait()
		close(d.done)
	}()
	h.daemon = d
	return d
}

// alive says whether it still runs.
func (d *daemon) alive() bool {
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// signal sends a signal to the daemon.
func (d *daemon) signal(s os.Signal) { _ = d.cmd.Process.Signal(s) }

// wait waits for the daemon's end and gives its exit code (-1 for a signal).
func (h *host) wait(d *daemon, limit time.Duration) int {
	h.t.Helper()
	select {
	case <-d.done:
	case <-time.After(within(limit)):
		h.t.Errorf("the daemon did not end within %v", within(limit))
		d.signal(syscall.SIGKILL)
		<-d.done
	}
	return d.cmd.ProcessState.ExitCode()
}

// listens waits until the daemon has signals handled: it says so by its pid
// file. Before that they end it, as they do any program.
func (h *host) listens() {
	h.t.Helper()
	eventually(h.t, "the daemon's pid file", 15*time.Second, func() error {
		pid, err := strconv.Atoi(strings.TrimSpace(h.read("run/master.pid")))
		if h.daemon.alive() && (err != nil || syscall.Kill(pid, 0) != nil) {
			return errors.New("it names none that lives")
		}
		return nil
	})
}

// stop sends TERM and wants a clean end.
func (h *host) stop() {
	h.t.Helper()
	h.listens()
	h.daemon.signal(syscall.SIGTERM)
	if code := h.wait(h.daemon, 20*time.Second); code != 0 {
		h.t.Errorf("the daemon ended with %d after TERM (%v)", code, h.daemon.err)
	}
}

// reload sends QUIT and waits until the configs were read: the config log
// has one more line for this sandbox then (requirement P7).
func (h *host) reload(sandbox string) {
	h.t.Helper()
	lines := func() int { return strings.Count(h.read("log/config", sandbox+".log"), "\n") }
	before := lines()
	h.listens()
	h.daemon.signal(syscall.SIGQUIT)
	eventually(h.t, "reload", 5*time.Second, func() error {
		if lines() <= before {
			return errors.New("no new line in the config log")
		}
		return nil
	})
}

// instance is a running container.
type instance struct {
	knot      int // pid of PID 1, as seen from here
	knotStart uint64
	program   int // pid of the program; 0 while it is not executed
	start     uint64
	argv      []string // of PID 1
}

// instances lists the containers of this host by name.
func (h *host) instances() map[string]instance {
	found := make(map[string]instance)
	all := processes()
	byPID := make(map[int]string)
	for _, p := range all {
		if name, args := h.knotName(p.pid); name != "" {
			byPID[p.pid] = name
			found[name] = instance{knot: p.pid, knotStart: p.start, argv: args}
		}
	}
	// A fork of PID 1 that has not executed the program looks like PID 1.
	for _, p := range all {
		if name := byPID[p.pid]; name != "" && byPID[p.ppid] == name {
			if parent, ok := readProcess(p.ppid); ok {
				args := arguments(p.ppid)
				found[name] = instance{knot: p.ppid, knotStart: parent.start, argv: args}
			}
			delete(byPID, p.pid)
		}
	}
	for _, p := range all {
		name := byPID[p.ppid]
		if name == "" || p.state == "Z" || byPID[p.pid] != "" {
			continue
		}
		if other, _ := h.knotName(p.pid); other != "" {
			continue
		}
		// The program is the oldest child; the others are orphans that PID 1
		// inherited.
		i := found[name]
		if i.knot == p.ppid && (i.program == 0 || p.start < i.start || (p.start == i.start && p.pid < i.program)) {
			i.program, i.start = p.pid, p.start
			found[name] = i
		}
	}
	return found
}

// knotName is the --name of a lithos_knot of this host; "" for others.
func (h *host) knotName(pid int) (string, []string) {
	args := arguments(pid)
	if len(args) < 5 || filepath.Base(args[0]) != "lithos_knot" || args[1] != "--name" || args[4] != h.path("master.yaml") {
		return "", nil
	}
	return args[2], args
}

// running waits until exactly these containers run, each with its program.
func (h *host) running(names ...string) map[string]instance {
	h.t.Helper()
	return h.runningWithin(10*time.Second, names...)
}

func (h *host) runningWithin(limit time.Duration, names ...string) map[string]instance {
	h.t.Helper()
	var now map[string]instance
	eventually(h.t, "running containers", limit, func() error {
		now = h.instances()
		var errs []error
		for _, name := range names {
			if i, ok := now[name]; !ok {
				errs = append(errs, fmt.Errorf("%s does not run", name))
			} else if i.program == 0 {
				errs = append(errs, fmt.Errorf("%s has no program", name))
			}
		}
		for name := range now {
			if !slices.Contains(names, name) {
				errs = append(errs, fmt.Errorf("%s runs", name))
			}
		}
		if len(errs) > 3 {
			errs = append(errs[:3], fmt.Errorf("… %d more", len(errs)-3))
		}
		return errors.Join(errs...)
	})
	return now
}

// successor waits until a container runs with another PID 1 than before.
func (h *host) successor(name string, before instance, limit time.Duration) instance {
	h.t.Helper()
	var now instance
	eventually(h.t, "a new "+name, limit, func() error {
		now = h.instances()[name]
		switch {
		case now.program == 0:
			return errors.New("it does not run")
		case now.knot == before.knot && now.knotStart == before.knotStart:
			return errors.New("it is still the old one")
		}
		return nil
	})
	return now
}

// kill signals one process of ours.
func kill(t *testing.T, pid int, signal syscall.Signal) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no pid to signal: %d", pid)
	}
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
}

// names is SANDBOX/PROCESS.0 … SANDBOX/PROCESS.N-1.
func names(process string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s.%d", process, i)
	}
	return all
}
