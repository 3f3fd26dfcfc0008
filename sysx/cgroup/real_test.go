package cgroup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/sysx/forkexec"
)

// The tests in this file are on the kernel's own groups, whichever versions are
// mounted here.

// A helper ends by syscall.Exit: the race detector makes os.Exit take a second.
func TestMain(m *testing.M) {
	switch os.Args[0] {
	case "eat": // memory, MiB
		n, _ := strconv.Atoi(os.Args[1])
		eaten := make([]byte, n<<20)
		for i := 0; i < len(eaten); i += 4096 {
			eaten[i] = 1
		}
		syscall.Exit(0)
	case "show": // its groups, and wait for the end of stdin
		text, _ := os.ReadFile("/proc/self/cgroup")
		fmt.Printf("%s.\n", text)
		io.Copy(io.Discard, os.Stdin)
		syscall.Exit(0)
	}
	if os.Geteuid() != 0 {
		fmt.Println("these tests make control groups: run them as root")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// realTree opens a tree of its own and takes it away in the end, moving this
// process back where it was on version 2.
func realTree(t *testing.T) *Tree {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Open(Config{Name: fmt.Sprintf("lithos-test-%d-cgroup", os.Getpid()), Controllers: []string{"name", "cpu,cpuacct", "memory"}})
	if err != nil {
		t.Fatal(err)
	}
	if u := tree.Unavailable(); len(u) != 0 {
		t.Fatalf("this kernel lacks controllers: %v", u)
	}
	t.Cleanup(func() {
		for _, b := range tree.branches {
			if b.v2 {
				back := path.Join(b.path(parseMembership(string(own)).group(b.hierarchy)), "cgroup.procs")
				if err := write(back, strconv.Itoa(os.Getpid())); err != nil {
					t.Errorf("cannot move back: %v", err)
				}
			}
			eventually(t, "removal of "+b.dir, func() bool { return realKernel.removeTree(b.dir) == nil })
		}
	})
	return tree
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("timed out: " + what)
		}
	}
}

// start runs the test binary as helper in the group, as a container's program
// is started.
func start(t *testing.T, g Group, in, out *os.File, argv ...string) int {
	t.Helper()
	j, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	a := &forkexec.Attr{Path: "/proc/self/exe", Argv: argv, Steps: new(forkexec.Plan), FDs: []int{int(in.Fd()), int(out.Fd()), 2}}
	if j.V2 != nil {
		a.UseCgroupFD, a.CgroupFD = true, int(j.V2.Fd())
	}
	for _, f := range j.Tasks {
		a.Steps.Write(f.Name(), int(f.Fd()), []byte("0"))
	}
	if n := len(j.Files()); n != len(g.t.branches) {
		t.Errorf("%d files for %d hierarchies", n, len(g.t.branches))
	}
	pid, _, err := forkexec.Start(a)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func wait(t *testing.T, pid int) syscall.WaitStatus {
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

// Covers: M1, M2, M5
func TestGroupsOfTheKernel(t *testing.T) {
	tree := realTree(t)
	g := tree.Group("web:app.0.scope")
	for range 2 {
		if err := g.Create(); err != nil {
			t.Fatal(err)
		}
	}
	in, stop, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer stop.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pid := start(t, g, in, w, "show")
	w.Close()
	var text strings.Builder
	buf := make([]byte, 4096)
	for !strings.HasSuffix(text.String(), ".\n") {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(buf[:n])
	}
	m := parseMembership(text.String())
	for _, b := range tree.branches {
		if dir := b.path(m.group(b.hierarchy)); dir != path.Join(b.dir, "web:app.0.scope") {
			t.Errorf("M1: the program is in %s, not in %s", dir, b.dir)
		}
	}
	if pids, err := g.PIDs(); err != nil || !slices.Equal(pids, []int{pid}) {
		t.Errorf("the processes are %d, %v; want %d", pids, err, pid)
	}
	if err := g.TryRemove(); !errors.Is(err, ErrBusy) {
		t.Errorf("removing a group with a process: %v", err)
	}
	if err := g.Remove(10 * time.Millisecond); !errors.Is(err, ErrBusy) {
		t.Errorf("removing a group with a process: %v", err)
	}
	stop.Close()
	wait(t, pid)
	if names, err := tree.List(); err != nil || !slices.Equal(names, []string{"web:app.0.scope"}) {
		t.Errorf("M5, M6: the groups are %q, %v", names, err)
	}
	if err := g.Remove(time.Minute); err != nil {
		t.Errorf("M5: %v", err)
	}
	if names, err := tree.List(); err != nil || len(names) != 0 {
		t.Errorf("left is %q, %v", names, err)
	}
}

// Covers: M3, M7
func TestLimitsOfTheKernel(t *testing.T) {
	tree := realTree(t)
	hungry, neighbour := tree.Group("web:hungry.0.scope"), tree.Group("web:neighbour.0.scope")
	for _, g := range []Group{hungry, neighbour} {
		if err := g.Create(); err != nil {
			t.Fatal(err)
		}
		// Up and down: version 1 takes that in one order only.
		for _, limit := range []int64{256 << 20, 32<<20 + 1, 64<<20 + 5000, 0, 40 << 20} {
			if errs := g.SetLimits(Limits{Memory: limit, CPUShares: 512}); errs != nil {
				t.Fatalf("M3: %d bytes: %v", limit, errs)
			}
		}
	}
	if errs := neighbour.SetLimits(Limits{}); errs != nil {
		t.Fatal(errs)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	over, under := start(t, hungry, null, null, "eat", "100"), start(t, neighbour, null, null, "eat", "100")
	if status := wait(t, under); status.ExitStatus() != 0 {
		t.Errorf("the neighbour ended with %#x", status)
	}
	if status := wait(t, over); status.Signal() != syscall.SIGKILL {
		t.Errorf("M3: 100 MiB fit into a limit of 40 MiB: status %#x", status)
	}
	for _, g := range []Group{hungry, neighbour} {
		if err := g.Remove(time.Minute); err != nil {
			t.Error(err)
		}
	}
}
