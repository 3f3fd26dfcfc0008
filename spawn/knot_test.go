package spawn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/cgroup"
	"lithos/sysx/forkexec"
	"lithos/sysx/proc"
)

// TestMain is also the lithos_knot of the tests: the test binary started again,
// which does what the name of the container's executable says. It ends by
// syscall.Exit: the race detector makes os.Exit take a second.
func TestMain(m *testing.M) {
	switch os.Args[0] {
	case "lithos_knot":
		fakeKnot()
	case "program": // of a fake container: tells its groups
		text, _ := os.ReadFile("/proc/self/cgroup")
		os.Stdout.Write(text)
		syscall.Exit(0)
	}
	if os.Geteuid() != 0 {
		fmt.Println("these tests make containers: run them as root")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// report is what the fake lithos_knot found.
type report struct {
	PID, Parent int
	Thread      int // the id of another thread
	Session     int
	Args, Env   []string
	FDs         map[int]string
	Spec        Spec
	Ignored     string
	Blocked     string
	Groups      string // of the program
}

func fakeKnot() {
	spec, err := readSpec()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake lithos_knot:", err)
		syscall.Exit(ExitSetup)
	}
	switch spec.Executable {
	case "/exit":
		syscall.Exit(ExitNormal)
	case "/crash":
		panic("crash of the fake lithos_knot")
	case "/report":
		text, err := json.Marshal(look(spec))
		if err != nil {
			panic(err)
		}
		if err := os.WriteFile(spec.StdioLog, text, 0o600); err != nil {
			panic(err)
		}
	}
	// Before others can know that it runs: a TERM that nobody awaits is exit code 2.
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	record := os.NewFile(wire.FDRecord, "record")
	record.Write(wire.AppendStarted(nil, &wire.ProgramStarted{PID: 2, At: time.Now()}))
	<-term
	syscall.Exit(ExitNormal)
}

func readSpec() (*Spec, error) {
	data, err := io.ReadAll(io.NewSectionReader(os.NewFile(wire.FDSpec, "spec"), 0, wire.MaxSpec))
	if err != nil {
		return nil, err
	}
	return wire.Decode(data)
}

func look(spec *Spec) report {
	r := report{PID: os.Getpid(), Parent: os.Getppid(), Args: os.Args, Env: os.Environ(), FDs: map[int]string{}, Spec: *spec}
	r.Session, _ = unix.Getsid(0)
	r.FDs = inherited()
	// The runtime has more than one thread by now.
	tasks, _ := filepath.Glob("/proc/self/task/*")
	for _, task := range tasks {
		status, _ := os.ReadFile(task + "/status")
		ids := strings.Fields(field(string(status), "NSpid"))
		if id, _ := strconv.Atoi(ids[len(ids)-1]); id != 1 {
			r.Thread = id
		}
	}
	status, _ := os.ReadFile("/proc/self/status")
	r.Ignored, r.Blocked = field(string(status), "SigIgn"), field(string(status), "SigBlk")
	r.Groups = runProgram(spec)
	return r
}

// inherited are the descriptors that are not close-on-exec. /proc is still the
// host's: the fake has a mount namespace, but mounts nothing.
func inherited() map[int]string {
	fds := map[int]string{}
	names, _ := os.ReadDir("/proc/self/fd")
	for _, n := range names {
		fd, _ := strconv.Atoi(n.Name())
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			fds[fd], _ = os.Readlink("/proc/self/fd/" + n.Name())
		}
	}
	return fds
}

func field(status, name string) string {
	for line := range strings.Lines(status) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return "?"
}

// runProgram starts the program in the container's groups, as lithos_knot does,
// and returns which those are.
func runProgram(spec *Spec) string {
	r, w, err := os.Pipe()
	if err != nil {
		return err.Error()
	}
	a := &forkexec.Attr{Path: "/proc/self/exe", Argv: []string{"program"}, FDs: []int{0, int(w.Fd()), 2}, Steps: new(forkexec.Plan)}
	for i := range spec.CgroupFDs {
		fd := wire.FDSockets + len(spec.Sockets) + i
		if i == 0 && spec.CgroupV2 {
			a.UseCgroupFD, a.CgroupFD = true, fd
		} else {
			a.Steps.Write("tasks", fd, []byte("0"))
		}
	}
	pid, _, err := forkexec.Start(a)
	w.Close()
	if err != nil {
		return err.Error()
	}
	text, _ := io.ReadAll(r)
	syscall.Wait4(pid, nil, 0, nil)
	return string(text)
}

// host is a host of a test's own.
type host struct {
	t       *testing.T
	dir     string
	spawner *Spawner
}

func newHost(t *testing.T, tree *cgroup.Tree) *host {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &host{t, t.TempDir(), NewSpawner(Config{Knot: exe, Cgroups: tree})}
}

func (h *host) path(elem ...string) string { return filepath.Join(append([]string{h.dir}, elem...)...) }

// request is a start of name that does what executable says.
func (h *host) request(name, executable string) *Request {
	return &Request{
		Spec:       &Spec{Name: name, Executable: executable, StdioLog: h.path("report")},
		Argv:       []string{"lithos_knot", "--name", name, "--master", "/m.yaml", "--config", "{}"},
		Record:     h.path("containers", name),
		RecordHead: records.Created{Name: name, Fingerprint: "abc", KillTimeout: 2},
	}
}

func (h *host) start(r *Request) *Child {
	h.t.Helper()
	c, err := h.spawner.Start(r)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// end sends TERM, or whatever, and reaps.
func (h *host) end(c *Child, sig syscall.Signal) syscall.WaitStatus {
	h.t.Helper()
	defer c.PIDFD.Close()
	if err := proc.Signal(c.PIDFD, sig); err != nil {
		h.t.Fatal(err)
	}
	return reap(h.t, c.PID)
}

func reap(t *testing.T, pid int) syscall.WaitStatus {
	t.Helper()
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &status, 0, nil); err == nil {
			return status
		} else if err != syscall.EINTR {
			t.Fatal(err)
		}
	}
}

// record waits until the program's start is in it.
func (h *host) started(r *Request) *records.Record {
	h.t.Helper()
	var rec *records.Record
	eventually(h.t, "start of "+r.Spec.Name, func() bool {
		var err error
		rec, err = records.Read(r.Record)
		return err == nil && rec.Started != nil
	})
	return rec
}

func (h *host) report() report {
	h.t.Helper()
	var r report
	text, err := os.ReadFile(h.path("report"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("timed out: " + what)
		}
	}
}

// openFDs is how many descriptors this process has, but for the mounts of what is
// dead, which are given back some time later.
func openFDs(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names) - len(mountNamespaces(t))
}

// realTree opens cgroups of the test's own, and takes them away in the end.
func realTree(t *testing.T, controllers ...string) *cgroup.Tree {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := cgroup.Open(cgroup.Config{Name: fmt.Sprintf("lithos-test-%d-spawn", os.Getpid()), Controllers: controllers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		moveBack(t, own)
		groups, err := tree.List()
		if err != nil {
			t.Error(err)
		}
		for _, g := range groups { // of a test that failed
			t.Error("the test left the group " + g)
			if err := tree.Group(g).Remove(removePatience); err != nil {
				t.Error(err)
			}
		}
		for _, dir := range tree.Dirs() {
			eventually(t, "removal of "+dir, func() bool {
				_ = os.Remove(filepath.Join(dir, cgroup.Leaf))
				err := os.Remove(dir)
				return err == nil || errors.Is(err, os.ErrNotExist)
			})
		}
	})
	return tree
}

// moveBack undoes the move to the leaf of version 2. The tests' process was in
// the root group, or nothing was moved.
func moveBack(t *testing.T, own []byte) {
	now, err := os.ReadFile("/proc/self/cgroup")
	if err != nil || bytes.Equal(own, now) {
		return
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); f[2] == "cgroup2" {
			if err := os.WriteFile(f[1]+"/cgroup.procs", []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
				t.Error(err)
			}
		}
	}
}
