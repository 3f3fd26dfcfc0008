package knot_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/knot"
	"lithos/spawn/wire"
	"lithos/sysx/devfs"
	"lithos/sysx/forkexec"
)

// knotBin and probeBin are the real program and the one that runs in it, both
// static, built once.
var knotBin, probeBin, sharedDevfs string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests make containers: run them as root")
		return 1
	}
	dir, err := os.MkdirTemp("", "lithos-test-knot-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	knotBin, probeBin, sharedDevfs = dir+"/lithos_knot", dir+"/probe", dir+"/dev"
	for bin, pkg := range map[string]string{knotBin: "lithos/cmd/lithos_knot", probeBin: "./testdata/probe"} {
		cmd := exec.Command("go", "build", "-trimpath", "-o", bin, pkg)
		if bin == knotBin && runtime.GOARCH == "amd64" {
			cmd.Args = slices.Insert(cmd.Args, 2, "-ldflags=-E=lithosKnotEntry") // as the Makefile does
		}
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "cannot build", pkg, err)
			return 1
		}
	}
	if err := devfs.Make(sharedDevfs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// general has all containers made by the general path, see bare.go: the tests
// are the same for both. With the race detector, which could not see into PID 1
// anyway, it is that one.
var general = os.Getenv("LITHOS_TEST_GENERAL") != "" || raceDetector

// patience is how long a container may take for what it is sure to do: an
// emulated machine on a busy one is a hundred times slower than this one.
const patience = 2 * time.Minute

// box is one container: what it is made of, and PID 1 when it runs.
type box struct {
	t      testing.TB
	dir    string
	image  string
	out    string // host directory that is the volume /out
	log    string // StdioLog
	record string
	spec   *wire.Spec

	sockets, cgroups []*os.File
	stdio            [3]*os.File // instead of /dev/null, record, record
	inherit          []*os.File  // more descriptors, which nobody asked for

	pid int

	wait func() syscall.WaitStatus
}

// newBox makes an image with nothing in it but the probe, and a Spec that runs
// it with some verbs. The program gets a writable volume /out.
func newBox(t testing.TB, verbs ...string) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{t: t, dir: dir, image: dir + "/image", out: dir + "/out", log: dir + "/stdio.log", record: dir + "/record"}
	for _, d := range []string{"bin", "dev", "sys", "proc", "etc", "out"} {
		b.mkdir(b.image + "/" + d)
	}
	for _, d := range []string{b.out, dir + "/mnt", dir + "/state"} {
		b.mkdir(d)
	}
	must(t, os.Chmod(b.out, 0o777))
	must(t, os.Link(probeBin, b.image+"/bin/probe"))
	b.spec = &wire.Spec{
		Name:  "web/app.0",
		Image: b.image, MountDir: dir + "/mnt", DevfsDir: sharedDevfs, StateDir: dir + "/state/web/app.0",
		Volumes:    []wire.Volume{{Kind: wire.Persistent, MountPoint: "/out", Source: b.out}},
		Executable: "/bin/probe", Argv: append([]string{"/bin/probe"}, verbs...),
		Env:     []string{"TERM=dumb", "LITHOS_NAME=web/app.0"},
		Workdir: "/", UserID: 1234, GroupID: 4321, HostUser: 1234, HostGroup: 4321, FilenoLimit: 1024,
		StdioLog:       b.log,
		RestartTimeout: time.Second, KillTimeout: 20 * time.Second,
	}
	return b
}

func (b *box) mkdir(path string) { b.t.Helper(); must(b.t, os.MkdirAll(path, 0o755)) }

func (b *box) write(path, text string) {
	b.t.Helper()
	b.mkdir(filepath.Dir(path))
	must(b.t, os.WriteFile(path, []byte(text), 0o644))
}

// start forks PID 1 as the supervisor does.
func (b *box) start() {
	b.t.Helper()
	open := func(path string, flags int) *os.File {
		f, err := os.OpenFile(path, flags, 0o644)
		must(b.t, err)
		return f
	}
	null, lastPID := open("/dev/null", os.O_RDWR), open("/proc/sys/kernel/ns_last_pid", os.O_WRONLY)
	record := open(b.record, os.O_CREATE|os.O_APPEND|os.O_RDWR)
	spec := b.memfd()
	defer func() { null.Close(); lastPID.Close(); record.Close(); spec.Close() }()
	fds := []int{int(null.Fd()), int(record.Fd()), int(record.Fd()), int(spec.Fd()), int(record.Fd())}
	for i, f := range b.stdio {
		if f != nil {
			fds[i] = int(f.Fd())
		}
	}
	for _, list := range [][]*os.File{b.sockets, b.cgroups, b.inherit} {
		for _, f := range list {
			fds = append(fds, int(f.Fd()))
		}
	}
	steps := new(forkexec.Plan).Setsid().DefaultSignals().Sigmask(wire.Blocked).
		Write("ns_last_pid", int(lastPID.Fd()), []byte("100"))

	pid, _, err := forkexec.Start(&forkexec.Attr{
		Path: knotBin, Argv: []string{"lithos_knot", "--name", b.spec.Name},
		Env:   []string{"GOMAXPROCS=1"}, // each P more is memory
		Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		Steps: steps, FDs: fds,
	})
	if err != nil {
		b.t.Fatalf("cannot start PID 1, are these tests run as root with all capabilities? %v", err)
	}
	b.pid = pid
	b.wait = sync.OnceValue(func() syscall.WaitStatus {
		var status syscall.WaitStatus
		for {
			if _, err := syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
				return status
			}
		}
	})
	b.t.Cleanup(func() {
		unix.Kill(pid, unix.SIGKILL) // a zombie at most, or still ours
		b.wait()
	})
}

// memfd is the sealed Spec.
func (b *box) memfd() *os.File {
	fd, err := unix.MemfdCreate("spec", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	must(b.t, err)
	f := os.NewFile(uintptr(fd), "spec")
	b.spec.CgroupFDs = len(b.cgroups)
	parts := [][]byte{wire.Encode(b.spec)}
	if !general {
		list := knot.Compile(b.spec)
		defer list.Free()
		parts = wire.Wrap(parts[0], list.Bytes())
	}
	for _, p := range parts {
		_, err = f.Write(p)
		must(b.t, err)
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	must(b.t, err)
	return f
}

// exit waits for PID 1 and gives its exit code.
func (b *box) exit() int {
	b.t.Helper()
	done := make(chan syscall.WaitStatus, 1)
	go func() { done <- b.wait() }()
	select {
	case status := <-done:
		if !status.Exited() {
			b.t.Errorf("PID 1 ended with status %#x", status)
		}
		return status.ExitStatus()
	case <-time.After(patience):
		b.t.Fatalf("PID 1 does not end; record:\n%s\nlog:\n%s", b.read(b.record), b.read(b.log))
		return -1
	}
}

// run starts and waits for the end.
func (b *box) run(wantCode int) {
	b.t.Helper()
	b.start()
	if code := b.exit(); code != wantCode {
		b.t.Fatalf("lithos_knot exited with %d, want %d; record:\n%s\nlog:\n%s", code, wantCode, b.read(b.record), b.read(b.log))
	}
}

func (b *box) signal(sig syscall.Signal) { b.t.Helper(); must(b.t, unix.Kill(b.pid, sig)) }

func (b *box) read(path string) string {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Error(err)
	}
	return string(data)
}

// await polls until ok.
func (b *box) await(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("%s does not come; record:\n%s\nlog:\n%s", what, b.read(b.record), b.read(b.log))
		}
	}
}

func (b *box) awaitFile(name string) {
	b.t.Helper()
	b.await("/out/"+name, func() bool { _, err := os.Stat(b.out + "/" + name); return err == nil })
}

// report is what the probe saw, from the file /out/NAME.
type report struct {
	PID, PPID, SID, PGID   int
	UID, EUID, GID, EGID   int
	Groups                 []int
	Args, Env              []string
	Cwd, Hostname          string
	Umask                  int
	NofileSoft, NofileHard uint64
	FDs, Status, Tried     map[string]string
	MountInfo              string
	Processes              []string
}

func (b *box) report(name string) *report {
	b.t.Helper()
	b.awaitFile(name)
	r := new(report)
	must(b.t, json.Unmarshal([]byte(b.read(b.out+"/"+name)), r))
	return r
}

// look runs the verbs, then a report, in a container of its own.
func (b *box) look(verbs ...string) *report {
	b.t.Helper()
	b.spec.Argv = append(append([]string{"/bin/probe"}, verbs...), "report:/out/report", "exit:0")
	b.spec.Command = true
	b.run(wire.ExitNormal)
	return b.report("report")
}

// event is one line of the record.
type event struct {
	Started *wire.ProgramStarted
	Failed  string
	Killing bool
	Exited  *wire.ProgramExited
}

func (b *box) events() (list []event) {
	b.t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(b.read(b.record)), "\n") {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			b.t.Errorf("record line %q: %v", line, err)
		}
		list = append(list, e)
	}
	return list
}

// failed runs a container that can't be built and gives the reason.
func (b *box) failed() string {
	b.t.Helper()
	b.run(wire.ExitSetup)
	events := b.events()
	return events[len(events)-1].Failed
}

// mountOf is one line of mountinfo.
type mountOf struct {
	root, on        string
	flags           string // of the mount
	fstype, superop string
}

func (m *mountOf) has(flags ...string) bool {
	for _, f := range flags {
		if !bytes.Contains([]byte(","+m.flags+","), []byte(","+f+",")) {
			return false
		}
	}
	return true
}

// mounts is the mount table, in order; the last on a path is the visible one.
func (r *report) mounts() (list []mountOf) {
	for s := bufio.NewScanner(strings.NewReader(r.MountInfo)); s.Scan(); {
		left, right, _ := strings.Cut(s.Text(), " - ")
		l, rf := strings.Fields(left), strings.Fields(right)
		list = append(list, mountOf{root: l[3], on: l[4], flags: l[5], fstype: rf[0], superop: rf[len(rf)-1]})
	}
	return list
}

func (r *report) mount(t *testing.T, on string) *mountOf {
	t.Helper()
	var found *mountOf
	for _, m := range r.mounts() {
		if m.on == on {
			found = &m
		}
	}
	if found == nil {
		t.Fatalf("nothing is mounted on %s:\n%s", on, r.MountInfo)
	}
	return found
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	must(t, err)
	return n
}

// children are those of all threads of PID 1.
func (b *box) children() (list []string) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", b.pid))
	must(b.t, err)
	for _, f := range files {
		list = append(list, strings.Fields(b.read(f))...)
	}
	return list
}
