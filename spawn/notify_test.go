package spawn

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// newNotify is a socket as a start makes it, and where it is sent to.
func newNotify(t *testing.T) (l *launch, heard *os.File, path string) {
	t.Helper()
	dir := t.TempDir()
	// Longer than the address of a socket may be.
	name := "box/" + strings.Repeat("long", 40) + ".0"
	l = &launch{r: &Request{NotifyPath: "/run/notify", Record: filepath.Join(dir, "containers", name)}, spec: Spec{Name: name, Sockets: []int{3}}}
	if err := l.makeNotify(); err != nil {
		t.Fatal(err)
	}
	l.addNotice()
	heard = l.keepNotice()
	l.close()
	t.Cleanup(func() { heard.Close() })
	return l, heard, filepath.Join(dir, "notify", "box:"+strings.TrimPrefix(name, "box/"))
}

// send sends with a file that comes along.
func send(t *testing.T, path, text string) {
	t.Helper()
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	// As a container has it, under a short name.
	short := filepath.Join(t.TempDir(), "n")
	if err := os.Symlink(path, short); err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendmsg(fd, []byte(text), unix.UnixRights(int(dir.Fd())), &unix.SockaddrUnix{Name: short}, 0); err != nil {
		t.Fatal(err)
	}
}

func open() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

func TestNotify(t *testing.T) {
	l, heard, path := newNotify(t)
	v := l.spec.Volumes
	if len(l.spec.Sockets) != 2 || l.spec.Sockets[1] != wire.KeptByPID1 || l.head.Notify == 0 || len(v) != 1 ||
		v[0].Source != path || v[0].MountPoint != "/run/notify" || v[0].Kind != Readonly {
		t.Errorf("sockets %v, inode %d, volumes %+v", l.spec.Sockets, l.head.Notify, v)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o666|os.ModeSocket {
		t.Fatalf("%v, %v", info, err)
	}
	before := open()
	long := strings.Repeat("ü", maxStatus)
	for _, c := range []struct {
		sent            string
		ready, stopping bool
		status          string // "-" = none
	}{
		{"READY=1", true, false, "-"},
		{"READY=1\n", true, false, "-"},
		{"STATUS=a b=c\nREADY=1\nFDSTORE=1\nMAINPID=1", true, false, "a b=c"},
		{"STATUS=", false, false, ""},
		{"STATUS=one\nSTATUS=two", false, false, "two"},
		{"STOPPING=1", false, true, "-"},
		{"READY=0", false, false, "-"},
		{"READY=11\nXREADY=1\nready=1", false, false, "-"},
		{"", false, false, "-"},
		{"\x00\xff=\n\n=", false, false, "-"},
		{"STATUS=\x1b[31mred\x9b\xff\u2028\t", false, false, "?[31mred??\u2028?"},
		{"STATUS=" + long, false, false, long[:maxStatus] + "…"},
		{"READY=1\n" + strings.Repeat("x", maxNotify), false, false, "-"},
	} {
		send(t, path, c.sent)
		for range 2 { // it stays
			n, err := PeekNotice(heard, time.Time{})
			status := "-"
			if n.Status != nil {
				status = *n.Status
			}
			if err != nil || n.Ready != c.ready || n.Stopping != c.stopping || status != c.status {
				t.Errorf("%.40q: %+v, %q, %v", c.sent, n, status, err)
			}
		}
		if err := DropNotice(heard); err != nil {
			t.Error(err)
		}
	}
	if after := open(); after != before {
		t.Errorf("%d files are open, before there were %d", after, before)
	}
	if _, err := PeekNotice(heard, time.Now().Add(10*time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing more: %v", err)
	}
	// One is dropped also when its time is over.
	send(t, path, "READY=1")
	if n, err := PeekNotice(heard, time.Now().Add(time.Minute)); err != nil || !n.Ready {
		t.Errorf("%+v, %v", n, err)
	}
	_ = heard.SetReadDeadline(time.Now().Add(-time.Hour))
	if err := DropNotice(heard); err != nil {
		t.Error(err)
	}
	done := make(chan error)
	go func() {
		_, err := PeekNotice(heard, time.Time{})
		done <- err
	}()
	time.Sleep(10 * time.Millisecond)
	heard.Close()
	if err := <-done; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("closed: %v", err)
	}
}

// A socket that a container left before does not matter, and goes with it.
func TestNotify_OfBefore(t *testing.T) {
	l, _, path := newNotify(t)
	if err := l.makeNotify(); err != nil {
		t.Fatal(err)
	}
	heard := l.keepNotice()
	defer heard.Close()
	send(t, path, "READY=1")
	if n, err := PeekNotice(heard, time.Now().Add(time.Minute)); err != nil || !n.Ready {
		t.Errorf("%+v, %v", n, err)
	}
	if err := NewSpawner(Config{}).Remove(l.spec.Name, "", l.r.Record, false); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
