package userns

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lithos/sysx/forkexec"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests make namespaces: run them as root")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// Covers: C16
func TestNetworkBelongsToTheUserNamespace(t *testing.T) {
	n, err := Make(Options{
		UIDs:    []Map{{0, 100000, 1000}, {5000, 200000, 7}},
		GIDs:    []Map{{0, 300000, 1}},
		Network: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	owner, err := unix.IoctlRetInt(int(n.Network.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		t.Fatal(err)
	}
	var a, b unix.Stat_t
	if unix.Fstat(owner, &a) != nil || unix.Fstat(int(n.User.Fd()), &b) != nil || a.Ino != b.Ino {
		t.Error("the network namespace belongs to another user namespace")
	}
	unix.Close(owner)

	// A program in it sees the maps.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	pid, _, err := forkexec.Start(&forkexec.Attr{
		Path:  "/bin/cat",
		Argv:  []string{"cat", "/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/setgroups"},
		Steps: new(forkexec.Plan).Raw("setns", unix.SYS_SETNS, n.User.Fd(), unix.CLONE_NEWUSER),
		FDs:   []int{0, int(w.Fd()), 2},
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if _, waitErr := syscall.Wait4(pid, nil, 0, nil); err != nil || waitErr != nil {
		t.Fatal(err, waitErr)
	}
	if got, want := strings.Join(strings.Fields(string(out)), " "), "0 100000 1000 5000 200000 7 0 300000 1 allow"; got != want {
		t.Errorf("maps %q, want %q", got, want)
	}
}

// Covers: L1
func TestNetworkNamespaceAlone(t *testing.T) {
	n, err := Make(Options{Network: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if n.User != nil {
		t.Error("there is a user namespace")
	}
	var own, other unix.Stat_t
	if unix.Stat("/proc/self/ns/net", &own) != nil || unix.Fstat(int(n.Network.Fd()), &other) != nil || own.Ino == other.Ino {
		t.Error("it is the caller's own namespace")
	}
}

// Covers: C16
func TestInvalidMapsAreRefused(t *testing.T) {
	_, err := Make(Options{UIDs: []Map{{0, 1, 1}, {0, 2, 1}}, GIDs: []Map{{0, 1, 1}}})
	if err == nil || !strings.Contains(err.Error(), "cannot write the uid-map: ") || !errors.Is(err, unix.EINVAL) {
		t.Errorf("error %v", err)
	}
}

// No process is left, and many at a time do not hurt each other or the runtime.
func TestNothingIsLeft(t *testing.T) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				n, err := Make(Options{UIDs: []Map{{0, 100000, 10}}, GIDs: []Map{{0, 100000, 10}}})
				if err != nil {
					t.Error(err)
					return
				}
				n.Close()
				runtime.GC()
			}
		})
	}
	all.Wait()
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG|0x40000000, nil); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("child %d is left (%v)", pid, err)
	}
}
