package root

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors/fakekernel"
	"lithos/actors/services/logs"
	"lithos/configs"
)

// host is a daemon on a fake kernel.
type host struct {
	t      *testing.T
	kernel *fakekernel.Kernel
	log    *logBuffer
	config Config
	done   chan error
	endAt  time.Time // when the daemon ended
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	// block holds up whoever logs a line with that text, until it is closed.
	text  string
	block chan struct{}
}

// hold has the next actor that logs text wait there; the result lets it continue.
func (l *logBuffer) hold(text string) (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	block := make(chan struct{})
	l.text, l.block = text, block
	return func() { close(block) }
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	block := l.block
	if block != nil && bytes.Contains(p, []byte(l.text)) {
		l.block = nil
		l.mu.Unlock()
		<-block
	} else {
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a daemon; the test must be in a synctest bubble, and must stop it.
func start(t *testing.T, kernel *fakekernel.Kernel, plan *configs.Plan) *host {
	t.Helper()
	h := &host{t: t, kernel: kernel, log: &logBuffer{}, done: make(chan error, 1)}
	h.config = Config{
		Kernel: kernel.Actors(), Logs: logs.To(h.log, zerolog.InfoLevel), Plan: plan,
		Knot: "/usr/bin/lithos_knot", Signals: kernel.Signals, Deaths: kernel.Deaths,
	}
	go func() { h.done <- Run(h.config) }()
	synctest.Wait()
	return h
}

func (h *host) signal(sig os.Signal) {
	h.kernel.Signals <- sig
	synctest.Wait()
}

// reload has the daemon read another plan.
func (h *host) reload(plan *configs.Plan, problems ...configs.Problem) {
	h.kernel.LoadFunc = func() (*configs.Plan, configs.Problems) { return plan, problems }
	h.signal(syscall.SIGQUIT)
}

// stop ends the daemon and checks that nothing is left.
func (h *host) stop() {
	h.t.Helper()
	h.kernel.Signals <- syscall.SIGTERM
	h.ended()
}

func (h *host) ended() {
	h.t.Helper()
	select {
	case err := <-h.done:
		if err != nil {
			h.t.Errorf("the daemon ended with: %v", err)
		}
	case <-time.After(48 * time.Hour):
		h.t.Fatalf("the daemon does not end; log:\n%s", h.log)
	}
	h.endAt = time.Now()
	// The actor library's dead letters, of late timers, have a goroutine
	// that lives for a second.
	sleep(2 * time.Second)
	if left := h.kernel.LeftBehind(); len(left) > 0 {
		h.t.Errorf("left behind: %v\nlog:\n%s", left, h.log)
	}
}

// sleep lets time pass, and what happens in it happen.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wantRunning compares what lives with names.
func (h *host) wantRunning(names ...string) {
	h.t.Helper()
	var got []string
	for _, p := range h.kernel.Living() {
		got = append(got, p.Name)
	}
	slices.Sort(names)
	if !slices.Equal(got, names) {
		h.t.Errorf("running: %v, want %v\nlog:\n%s", got, names, h.log)
	}
}

// pid is that of the container of that name, 0 if it does not run.
func (h *host) pid(name string) int {
	for _, p := range h.kernel.Living() {
		if p.Name == name {
			return p.PID
		}
	}
	return 0
}

func (h *host) wantLog(texts ...string) {
	h.t.Helper()
	for _, text := range texts {
		if !strings.Contains(h.log.String(), text) {
			h.t.Errorf("the log does not say %q:\n%s", text, h.log)
		}
	}
}

// plan makes a plan of sandboxes; they have to be sorted by name.
func plan(sandboxes ...*configs.Sandbox) *configs.Plan {
	return &configs.Plan{
		Master: &configs.Master{
			File: "/etc/lithos/master.yaml", RuntimeDir: "/run/lithos", StateDir: "/run/lithos/state",
			MountDir: "/run/lithos/mnt", DevfsDir: "/var/lib/lithos/dev", StdioLogDir: "/var/log/lithos/stderr",
			LogLevel: "info",
		},
		Sandboxes: sandboxes,
	}
}

func sb(name string, processes ...*configs.Process) *configs.Sandbox {
	p := &configs.Sandbox{Name: name, Config: &configs.SandboxConfig{LogLevel: "info"}, Processes: processes}
	for _, process := range processes {
		for _, inst := range process.Instances {
			inst.Sandbox = name
			inst.Name = fmt.Sprintf("%s/%s.%d", name, inst.Process, inst.Index)
		}
	}
	return p
}

// proc makes a daemon with instances that are equal if their version is.
func proc(name string, instances int, version string, options ...func(*configs.Container)) *configs.Process {
	p := &configs.Process{
		Name: name, Kind: configs.KindDaemon,
		Config: &configs.ProcessConfig{Kind: configs.KindDaemon, Image: "i-" + version, Config: "/c.yaml", Instances: instances},
	}
	for i := range instances {
		c := &configs.Container{
			Image: "/images/i-" + version, Kind: configs.KindDaemon, Executable: "/bin/" + name,
			RestartTimeout: time.Second, KillTimeout: 5 * time.Second,
		}
		for _, option := range options {
			option(c)
		}
		p.Instances = append(p.Instances, &configs.Instance{
			Process: name, Index: i, JSON: "{}", Fingerprint: version, Container: c,
		})
	}
	return p
}

func port(n uint16) func(*configs.Container) {
	return func(c *configs.Container) {
		c.TCPPorts = append(c.TCPPorts, configs.TCPPort{
			Port: n, FD: 3 + len(c.TCPPorts), Host: netip.IPv4Unspecified(), Backlog: 128, ReuseAddr: true,
		})
	}
}

func restartTimeout(d time.Duration) func(*configs.Container) {
	return func(c *configs.Container) { c.RestartTimeout = d }
}

func killTimeout(d time.Duration) func(*configs.Container) {
	return func(c *configs.Container) { c.KillTimeout = d }
}
