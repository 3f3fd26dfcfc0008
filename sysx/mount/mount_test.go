package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// own gives the test a mount namespace that ends with its thread.
func own(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: nobody else gets this thread
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatalf("cannot make a mount namespace, run this as root: %v", err)
	}
	must(t, MakePrivate())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openDir(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// mountOn attaches a detached mount, and takes it off when the test ends.
func mountOn(t *testing.T, fd int, path string) {
	t.Helper()
	must(t, Move(fd, openDir(t, path)))
	unix.Close(fd)
	t.Cleanup(func() { must(t, Detach(path)) })
}

// flags are those of the mount on path, "" if there is none.
func flags(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); f[4] == path {
			return f[5]
		}
	}
	return ""
}

// Covers: K5
func TestNewMountHasItsFlags(t *testing.T) {
	own(t)
	dir := t.TempDir()
	fd, err := New("tmpfs", NoSuid|NoDev|NoExec|ReadOnly|NoAtime, Option{"size", "1m"}, Option{"mode", "0700"})
	must(t, err)
	mountOn(t, fd, dir)
	if got := flags(t, dir); got != "ro,nosuid,nodev,noexec,noatime" {
		t.Errorf("flags %s", got)
	}
	if err := os.WriteFile(dir+"/x", nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Errorf("writing: %v", err)
	}
}

// Covers: K6
func TestSetAttrAndCloneAreRecursive(t *testing.T) {
	own(t)
	src, recursive, single := t.TempDir(), t.TempDir(), t.TempDir()
	outer, err := New("tmpfs", NoDev)
	must(t, err)
	mountOn(t, outer, src)
	must(t, os.Mkdir(src+"/sub", 0o755))
	inner, err := New("tmpfs", 0)
	must(t, err)
	mountOn(t, inner, src+"/sub")

	for dir, all := range map[string]bool{recursive: true, single: false} {
		fd, err := Clone(openDir(t, src), all)
		must(t, err)
		must(t, SetAttr(fd, ReadOnly|NoExec, NoDev, all))
		mountOn(t, fd, dir)
		if got := flags(t, dir); got != "ro,noexec,relatime" {
			t.Errorf("recursive %v: flags %s", all, got)
		}
		want := ""
		if all {
			want = "ro,noexec,relatime"
		}
		if got := flags(t, dir+"/sub"); got != want {
			t.Errorf("recursive %v: flags of the inner mount %q, want %q", all, got, want)
		}
	}
	if got := flags(t, src); got != "rw,nodev,relatime" {
		t.Errorf("the source now has %s", got)
	}
}

// Covers: K3
func TestMakePrivateStopsPropagation(t *testing.T) {
	dir := t.TempDir()
	own(t)
	fd, err := New("tmpfs", 0)
	must(t, err)
	mountOn(t, fd, dir)
	text, err := os.ReadFile("/proc/1/mountinfo")
	must(t, err)
	if strings.Contains(string(text), dir) {
		t.Error("the host sees the mount")
	}
	own, err := os.ReadFile("/proc/thread-self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(own)) {
		if strings.Contains(line, " shared:") || strings.Contains(line, " master:") {
			t.Errorf("a mount that is not private: %s", line)
		}
	}
}

// Covers: K13
func TestErrorsNameThePath(t *testing.T) {
	own(t)
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o644))
	_, unknown := New("nosuchfs", 0)
	_, option := New("tmpfs", 0, Option{"size", "much"})
	fd, err := New("tmpfs", 0)
	must(t, err)
	defer unix.Close(fd)
	tests := []struct {
		name string
		err  error
		want unix.Errno
		text string
	}{
		{"K13 unknown file system", unknown, unix.ENODEV, "fsopen nosuchfs: no such device"},
		{"K13 bad option, with the kernel's words", option, unix.EINVAL, "fsconfig tmpfs option size: invalid argument (tmpfs: Bad value for 'size')"},
		{"K13 directory on a file", Move(fd, openDir(t, file)), unix.EINVAL, "move_mount: invalid argument"},
		{"K13 nothing to detach", Detach(file), unix.EINVAL, "umount2 " + file + ": invalid argument"},
		{"K13 root that is no mount", PivotRoot(openDir(t, filepath.Dir(file))), unix.EBUSY, "pivot_root: device or resource busy"},
		{"K13 root that is a file", PivotRoot(openDir(t, file)), unix.ENOTDIR, "fchdir: not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e *Error
			if !errors.As(tt.err, &e) || !errors.Is(tt.err, tt.want) || tt.err.Error() != tt.text {
				t.Errorf("got %v, want %v %q", tt.err, tt.want, tt.text)
			}
		})
	}
}

// Covers: K4
func TestPivotRootNeedsNoPlaceForTheOldRoot(t *testing.T) {
	dir := t.TempDir()
	done := make(chan error, 1)
	go func() { done <- pivotInto(dir) }()
	must(t, <-done)
	if text, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(text), dir) {
		t.Errorf("the mount is seen outside (%v)", err)
	}
}

// pivotInto makes an empty file system on dir the root of a thread that has a
// namespace of its own and ends with it.
func pivotInto(dir string) error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return err
	}
	if err := MakePrivate(); err != nil {
		return err
	}
	fd, err := New("tmpfs", 0)
	if err != nil {
		return err
	}
	target, err := unix.Open(dir, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(Move(fd, target), PivotRoot(fd)); err != nil {
		return err
	}
	entries, err := os.ReadDir("/")
	if err != nil || len(entries) != 0 {
		return fmt.Errorf("the new root has %v (%v)", entries, err)
	}
	if wd, err := unix.Getwd(); err != nil || wd != "/" {
		return fmt.Errorf("the working directory is %q (%v)", wd, err)
	}
	return nil
}
