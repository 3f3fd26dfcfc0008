package forkexec

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/sysx/forkexec/nofile"
)

// helpers are what the test binary does when it is started again, by the name
// in its argv[0].
var helpers = map[string]func() error{
	"fds":     printFDs,
	"status":  printStatus,
	"pid1":    pid1,
	"nofile":  printNofile,
	"environ": func() error { fmt.Println(strings.Join(os.Environ(), "\n")); return nil },
	"sleep":   func() error { _, err := io.Copy(io.Discard, os.Stdin); return err },
}

// A helper ends by syscall.Exit: the race detector makes os.Exit take a second.
func TestMain(m *testing.M) {
	if helper, ok := helpers[strings.TrimPrefix(os.Args[0], "helper-")]; ok {
		if err := helper(); err != nil {
			fmt.Println("helper:", err)
			syscall.Exit(9)
		}
		syscall.Exit(0)
	}
	if os.Geteuid() != 0 {
		fmt.Println("these tests make namespaces and change users: run them as root")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// self is an Attr that runs helper with out as its stdout.
func self(helper string, out *os.File) *Attr {
	return &Attr{Path: "/proc/self/exe", Argv: []string{"helper-" + helper},
		FDs: []int{0, int(out.Fd()), int(out.Fd())}}
}

// run starts what attr makes of a pipe and returns its output and wait status.
func run(t *testing.T, attr func(out *os.File) *Attr) (string, syscall.WaitStatus) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pid, _, err := Start(attr(w))
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), wait(t, pid)
}

func wait(t *testing.T, pid int) syscall.WaitStatus {
	t.Helper()
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &status, 0, nil)
		if err == nil {
			return status
		}
		if err != syscall.EINTR {
			t.Fatalf("wait4(%d): %v", pid, err)
		}
	}
}

// shell is an Attr for sh -c script.
func shell(script string) func(*os.File) *Attr {
	return func(out *os.File) *Attr {
		return &Attr{Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Env: []string{"PATH=/bin:/usr/bin"},
			FDs: []int{0, int(out.Fd()), int(out.Fd())}}
	}
}

func printFDs() error {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, n := range names {
		link, err := os.Readlink("/proc/self/fd/" + n.Name())
		// The runtime's own epoll and eventfd are close-on-exec, what was
		// inherited is not.
		fd, _ := strconv.Atoi(n.Name())
		flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if err == nil && flags&syscall.FD_CLOEXEC == 0 {
			fmt.Println(n.Name(), filepath.Base(link))
		}
	}
	return nil
}

func printStatus() error {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	sid, _, _ := syscall.Syscall(syscall.SYS_GETSID, 0, 0, 0)
	fmt.Printf("%scwd:\t%s\nsid:\t%t\n", status, dir, int(sid) == os.Getpid())
	return err
}

// field is the value of "name:" in text.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Join(strings.Fields(v), " ")
		}
	}
	return "(no " + name + ")"
}

func printNofile() error {
	fmt.Println("at start", nofile.Soft, nofile.Hard)
	pid, _, err := Start(&Attr{Path: "/bin/sh", Argv: []string{"sh", "-c", "echo child $(ulimit -Sn) $(ulimit -Hn)"},
		FDs: []int{0, 1, 2}})
	if err != nil {
		return err
	}
	_, err = syscall.Wait4(pid, nil, 0, nil)
	return err
}

// pid1 starts two programs that both want to be pid 2.
func pid1() error {
	fmt.Println("init", os.Getpid())
	for range 2 {
		pid, _, err := Start(&Attr{Path: "/bin/sh",
			Argv: []string{"sh", "-c", `echo program $$ $ME $ALSO; exec sleep 1000`},
			Env:  []string{"PATH=/bin:/usr/bin", "ME=wrong"}, PIDEnv: []string{"ME", "ALSO", "ME"}, FDs: []int{0, 1, 2}, TID: 2})
		if err != nil {
			return err
		}
		fmt.Println("started", pid)
	}
	// The threads are in a pid namespace whose numbers continued from 100.
	fmt.Println("thread", syscall.Gettid())
	return nil
}

// openFDs is how many descriptors this process has.
func openFDs(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// noChildren fails if there is any child left, dead or alive.
func noChildren(t *testing.T) {
	t.Helper()
	const wall = 0x40000000
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG|wall, nil); !errors.Is(err, syscall.ECHILD) {
		t.Fatalf("a child is left: wait4 says %d, %v", pid, err)
	}
}

// eventually polls until ok says so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("timed out: " + what)
		}
	}
}

func sortedLines(text string) []string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return lines
}
