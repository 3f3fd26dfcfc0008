package readiness

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newSocket is a socket, and its path, which is longer than an address may be.
func newSocket(t *testing.T) (*Channel, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify", "box:"+strings.Repeat("long", 40)+".0")
	c, err := Socket(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Heard.Close() })
	return c, path
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

func TestSocket(t *testing.T) {
	channel, path := newSocket(t)
	heard := channel.Heard
	if channel.Inode == 0 || channel.Told != heard {
		t.Errorf("%+v", channel)
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
		{"READY=1\n" + strings.Repeat("x", maxMessage), false, false, "-"},
	} {
		send(t, path, c.sent)
		for range 2 { // it stays
			n, err := Peek(heard, time.Time{})
			status := "-"
			if n.Status != nil {
				status = *n.Status
			}
			if err != nil || n.Ready != c.ready || n.Stopping != c.stopping || status != c.status {
				t.Errorf("%.40q: %+v, %q, %v", c.sent, n, status, err)
			}
		}
		if err := Drop(heard); err != nil {
			t.Error(err)
		}
	}
	if after := open(); after != before {
		t.Errorf("%d files are open, before there were %d", after, before)
	}
	if _, err := Peek(heard, time.Now().Add(10*time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing more: %v", err)
	}
	// One is dropped also when its time is over.
	send(t, path, "READY=1")
	if n, err := Peek(heard, time.Now().Add(time.Minute)); err != nil || !n.Ready {
		t.Errorf("%+v, %v", n, err)
	}
	_ = heard.SetReadDeadline(time.Now().Add(-time.Hour))
	if err := Drop(heard); err != nil {
		t.Error(err)
	}
	done := make(chan error)
	go func() {
		_, err := Peek(heard, time.Time{})
		done <- err
	}()
	time.Sleep(10 * time.Millisecond)
	heard.Close()
	if err := <-done; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("closed: %v", err)
	}
}

// A socket of the container before is replaced.
func TestSocketReplacesTheOneBefore(t *testing.T) {
	_, path := newSocket(t)
	channel, err := Socket(path)
	if err != nil {
		t.Fatal(err)
	}
	defer channel.Heard.Close()
	send(t, path, "READY=1")
	if n, err := Peek(channel.Heard, time.Now().Add(time.Minute)); err != nil || !n.Ready {
		t.Errorf("%+v, %v", n, err)
	}
	if there, err := os.ReadDir(filepath.Dir(path)); err != nil || len(there) != 1 {
		t.Errorf("there: %v, %v", there, err)
	}
}
