package proc

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// orphan starts a shell that is the child of somebody who is gone, and ends
// with 7 when the result is called.
func orphan(t *testing.T) (pid int, end func()) {
	t.Helper()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", `sh -c 'read x <"$0"; exit 7' `+fifo+` >/dev/null 2>&1 & echo $!`).Output()
	if err != nil {
		t.Fatal(err)
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return pid, func() {
		if err := os.WriteFile(fifo, []byte("x\n"), 0); err != nil {
			t.Error(err)
		}
	}
}

func TestWatcherTellsOfOrphansAndTheirStatus(t *testing.T) {
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	type one struct {
		pid   int
		start uint64
		pidfd *os.File
		ended chan struct{}
		end   func()
	}
	var all []one
	for range 20 {
		o := one{ended: make(chan struct{})}
		o.pid, o.end = orphan(t)
		if o.start, err = StartTime(o.pid); err != nil {
			t.Fatal(err)
		}
		if o.pidfd, err = OpenSame(o.pid, o.start); err != nil {
			t.Fatal(err)
		}
		defer o.pidfd.Close()
		if _, ok := OrphanStatus(o.pid, o.start, o.pidfd); ok {
			t.Error("a living process has an exit status")
		}
		if err := w.Watch(o.pidfd, func() { close(o.ended) }); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	for _, o := range all {
		select {
		case <-o.ended:
			t.Error("told of the end of a living process")
		default:
		}
		o.end()
		select {
		case <-o.ended:
		case <-time.After(time.Minute):
			t.Fatal("never told of the end of a process")
		}
		status, ok := AwaitOrphanStatus(o.pid, o.start, o.pidfd)
		// Reaped by now, as like as not: an older kernel can't tell then.
		if !ok && ReadableExit(t) || ok && status.ExitStatus() != 7 {
			t.Errorf("status %v, %v, want exit status 7", status, ok)
		}
	}
}

// ReadableExit says whether the kernel tells how a process ended that another
// has reaped (6.15 on).
func ReadableExit(t *testing.T) bool {
	t.Helper()
	cmd := exec.Command("true")
	pidfd := started(t, cmd)
	_ = cmd.Wait()
	_, ok := OrphanStatus(cmd.Process.Pid, 0, pidfd)
	return ok
}

func TestTakeFDCopiesADescriptor(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	pidfd := started(t, cmd)
	fd, err := TakeFD(pidfd, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte("x")); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	b := make([]byte, 1)
	if _, err := out.Read(b); err != nil || b[0] != 'x' {
		t.Errorf("read %q, %v from the other's pipe", b, err)
	}
	if fd, err := TakeFD(pidfd, 999); err == nil {
		unix.Close(fd)
		t.Error("a descriptor that the other has not was copied")
	}
	_ = in.Close()
	_ = cmd.Wait()
}
