package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// host is a machine with lithos on it, in a temporary directory:
//
//	master.yaml  sandboxes/  processes/   the configs
//	images/NAME                           images with the test binary in them
//	dev/                                  by lithos_mkdev
//	run/  log/                            of the daemon
//	etc/hosts  etc/resolv.conf            what sandboxes copy
//	data/                                 for volumes
type host struct {
	t      *testing.T
	dir    string
	id     string // the directory's name, unique on the machine
	cgroup string // the name of the host's cgroup
	daemon *daemon
	ports  []int // given out by port
}

var hosts atomic.Int64

// newHost makes a host and, at the end of the test, stops its daemon and
// checks that nothing is left. The lines are added to the master config.
func newHost(t *testing.T, master ...string) *host {
	t.Helper()
	dir, err := os.MkdirTemp("", "lithos-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{
		t: t, dir: dir, id: filepath.Base(dir),
		cgroup: fmt.Sprintf("lithos-e2e-%d-%d.slice", os.Getpid(), hosts.Add(1)),
	}
	t.Cleanup(h.tearDown)
	must(t, os.Chmod(dir, 0o755)) // programs run as other users
	for _, sub := range []string{"sandboxes", "processes", "images", "log", "etc", "data"} {
		must(t, os.Mkdir(h.path(sub), 0o755))
	}
	h.write("etc/hosts", "127.0.0.1 localhost\n192.0.2.7 from-the-host\n")
	h.write("etc/resolv.conf", "nameserver 192.0.2.53\n")
	if out, err := exec.Command(filepath.Join(binDir, "lithos_mkdev"), h.path("dev")).CombinedOutput(); err != nil {
		t.Fatalf("lithos_mkdev: %v\n%s", err, out)
	}
	h.master(master...)
	return h
}

// path is a path below the host's directory.
func (h *host) path(elem ...string) string {
	return filepath.Join(append([]string{h.dir}, elem...)...)
}

// master writes the master config. A line replaces the default of that name.
func (h *host) master(lines ...string) {
	h.t.Helper()
	text := strings.Join(lines, "\n") + "\n"
	for _, line := range []string{
		"runtime-dir: " + h.path("run"),
		"devfs-dir: " + h.path("dev"),
		"default-log-dir: " + h.path("log"),
		"config-log-dir: " + h.path("log/config"),
		"stdio-log-dir: " + h.path("log/stderr"),
		"cgroup-name: " + h.cgroup,
		"log-level: info",
	} {
		if key, _, _ := strings.Cut(line, ":"); !strings.HasPrefix(text, key+":") && !strings.Contains(text, "\n"+key+":") {
			text += line + "\n"
		}
	}
	h.write("master.yaml", text)
}

// sandbox writes a sandbox config that allows everything, and its processes.
func (h *host) sandbox(name, more, processes string) {
	h.t.Helper()
	text := dedent(more)
	for _, line := range []string{
		"image-dir: " + h.path("images"),
		"allow-users: [0-65535]",
		"allow-groups: [0-65535]",
		"allow-tcp-ports: [1-65535]",
		"hosts-file: " + h.path("etc/hosts"),
		"resolv-conf: " + h.path("etc/resolv.conf"),
	} {
		if key, _, _ := strings.Cut(line, ":"); !strings.HasPrefix(text, key+":") && !strings.Contains(text, "\n"+key+":") {
			text += line + "\n"
		}
	}
	h.processes(name, processes)
	h.write("sandboxes/"+name+".yaml", text)
}

// processes writes a process config.
func (h *host) processes(sandbox, text string) {
	h.t.Helper()
	h.write("processes/"+sandbox+".yaml", dedent(text))
}

// image makes an image directory with the test binary as /bin/e2e, the mount
// points that containers of these tests want, and these container configs.
func (h *host) image(name string, configs map[string]string) {
	h.t.Helper()
	dir := h.path("images", name)
	for _, sub := range []string{"bin", "config", "dev", "proc", "sys", "etc", "out", "state", "volume", "volume/inner", "scratch"} {
		must(h.t, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	h.write("images/"+name+"/etc/hosts", "the image's own\n")
	h.write("images/"+name+"/etc/resolv.conf", "the image's own\n")
	installProgram(h.t, dir)
	for config, text := range configs {
		h.config(name, config, text)
	}
}

// config writes a container config, by rename, so that a daemon never reads
// half of it.
func (h *host) config(image, name, text string) {
	h.t.Helper()
	h.write("images/"+image+"/config/"+name+".yaml", dedent(text))
}

// write replaces a file below the host's directory in one step.
func (h *host) write(name, text string) {
	h.t.Helper()
	path := h.path(name)
	must(h.t, os.WriteFile(path+".tmp", []byte(text), 0o644))
	must(h.t, os.Rename(path+".tmp", path))
}

// read is the text of a file below the host's directory; "" if there is none.
func (h *host) read(elem ...string) string {
	h.t.Helper()
	data, err := os.ReadFile(h.path(elem...))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		h.t.Fatal(err)
	}
	return string(data)
}

// port gives out a port that is free now, below the range that the kernel
// gives to outgoing connections.
func (h *host) port() int {
	h.t.Helper()
	for range 1000 {
		port := 20000 + int(nextPort.Add(1))%10000
		l, err := net.Listen("tcp", fmt.Sprintf("0.0.0.0:%d", port))
		if err != nil {
			continue
		}
		_ = l.Close()
		h.ports = append(h.ports, port)
		return port
	}
	h.t.Fatal("no free port between 20000 and 30000")
	return 0
}

var nextPort = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(int64(os.Getpid()) * 100)
	return &n
}()

// tearDown ends the daemon if the test did not, and fails the test when
// something is left.
func (h *host) tearDown() {
	if h.daemon != nil && h.daemon.alive() {
		h.stop()
	}
	var err error
	for deadline := time.Now().Add(within(2 * time.Second)); ; time.Sleep(20 * time.Millisecond) {
		// A process that the kernel was told to kill may need a moment.
		if err = h.leftovers(); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		h.t.Errorf("left behind:\n%v", err)
		h.sweep()
	}
	if h.t.Failed() {
		h.showLogs()
	}
	if err := os.RemoveAll(h.dir); err != nil {
		h.t.Error(err)
	}
}

// sweep kills what a failed test left, so that the next one starts clean.
func (h *host) sweep() {
	for name, i := range h.instances() {
		h.t.Logf("killing what is left of %s", name)
		kill(h.t, i.knot, killSignal)
	}
}

// showLogs puts the daemon's logs into the test's.
func (h *host) showLogs() {
	if h.daemon != nil {
		h.t.Logf("daemon's output:\n%s", h.read("daemon.out"))
	}
	logs, _ := filepath.Glob(h.path("log", "*.log"))
	stderr, _ := filepath.Glob(h.path("log", "stderr", "*"))
	records, _ := filepath.Glob(h.path("run", "containers", "*", "*"))
	for _, path := range append(append(logs, stderr...), records...) {
		if data, err := os.ReadFile(path); err == nil && len(data) > 0 {
			const most = 6000
			data = data[max(0, len(data)-most):]
			h.t.Logf("%s:\n%s", strings.TrimPrefix(path, h.dir+"/"), data)
		}
	}
}

// dedent takes the common indentation (of tabs) away, so that configs can be
// written inside of tests; YAML itself is indented by blanks.
func dedent(text string) string {
	lines := strings.Split(strings.Trim(text, "\n\t"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimLeft(line, "\t")
	}
	return strings.Join(lines, "\n") + "\n"
}

// installProgram puts the running test binary into an image as /bin/e2e, with
// the libraries it needs where it was linked to any (with the race detector).
func installProgram(t *testing.T, image string) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	install(t, self, filepath.Join(image, "bin/e2e"))
	for _, library := range libraries() {
		install(t, library, filepath.Join(image, library))
	}
}

// install makes a hard link, or a copy where that is on another file system.
func install(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(to), 0o755))
	if resolved, err := filepath.EvalSymlinks(from); err == nil {
		from = resolved
	}
	_ = os.Remove(to)
	if os.Link(from, to) == nil {
		return
	}
	in, err := os.Open(from)
	must(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, errors.Join(err, out.Close()))
}

func mkdir(path string) error { return os.MkdirAll(path, 0o755) }

// owner is USER:GROUP of a file.
func owner(info os.FileInfo) string {
	s := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", s.Uid, s.Gid)
}
