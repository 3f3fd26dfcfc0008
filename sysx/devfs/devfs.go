package devfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// node is one entry, requirement K7.
type node struct {
	name   string
	kind   uint32 // unix.S_IFCHR, S_IFDIR or S_IFLNK
	mode   uint32
	device uint64
	target string
}

var nodes = []node{
	{name: "null", kind: unix.S_IFCHR, mode: 0o666, device: unix.Mkdev(1, 3)},
	{name: "zero", kind: unix.S_IFCHR, mode: 0o666, device: unix.Mkdev(1, 5)},
	{name: "full", kind: unix.S_IFCHR, mode: 0o666, device: unix.Mkdev(1, 7)},
	{name: "random", kind: unix.S_IFCHR, mode: 0o666, device: unix.Mkdev(1, 8)},
	{name: "urandom", kind: unix.S_IFCHR, mode: 0o666, device: unix.Mkdev(1, 9)},
	{name: "tty", kind: unix.S_IFCHR, mode: 0o666, device: unix.Mkdev(5, 0)},
	{name: "pts", kind: unix.S_IFDIR, mode: 0o755},
	{name: "shm", kind: unix.S_IFDIR, mode: 0o755},
	{name: "ptmx", kind: unix.S_IFLNK, target: "pts/ptmx"},
	{name: "fd", kind: unix.S_IFLNK, target: "/proc/self/fd"},
	{name: "stdin", kind: unix.S_IFLNK, target: "/proc/self/fd/0"},
	{name: "stdout", kind: unix.S_IFLNK, target: "/proc/self/fd/1"},
	{name: "stderr", kind: unix.S_IFLNK, target: "/proc/self/fd/2"},
}

// kinds are words for errors.
var kinds = map[uint32]string{
	unix.S_IFCHR: "a character device", unix.S_IFDIR: "a directory", unix.S_IFLNK: "a symbolic link",
	unix.S_IFREG: "a regular file", unix.S_IFBLK: "a block device", unix.S_IFIFO: "a FIFO", unix.S_IFSOCK: "a socket",
}

// Make creates dir, its parents, and all entries. It keeps correct entries. A
// wrong one is an error, because it may be in use. Each entry appears complete,
// with its mode, so that a second run finishes the work after a crash. The umask
// has no effect.
//
// The error has a line for each entry that is wrong or cannot be made.
// Preconditions: root, for mknod.
func Make(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the directory: %w", err)
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open %s: %w", dir, err)
	}
	defer unix.Close(fd)
	var all []error
	for i := range nodes {
		n := &nodes[i]
		err := n.check(fd)
		if errors.Is(err, fs.ErrNotExist) {
			err = n.make(fd)
		}
		if err != nil {
			all = append(all, fmt.Errorf("%s: %w", filepath.Join(dir, n.name), err))
		}
	}
	return errors.Join(all...)
}

// check compares an existing entry.
func (n *node) check(dir int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, n.name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	kind := st.Mode & unix.S_IFMT
	if kind != n.kind {
		return wrong("is %s and should be %s", kinds[kind], kinds[n.kind])
	}
	switch {
	case kind == unix.S_IFLNK:
		target := make([]byte, unix.PathMax)
		k, err := unix.Readlinkat(dir, n.name, target)
		if err != nil {
			return err
		}
		if got := string(target[:k]); got != n.target {
			return wrong("is a link to %s and should be one to %s", got, n.target)
		}
	case kind == unix.S_IFCHR && st.Rdev != n.device:
		return wrong("is device %d:%d and should be %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev),
			unix.Major(n.device), unix.Minor(n.device))
	case kind == unix.S_IFCHR && st.Mode&0o7777 != n.mode:
		return wrong("has mode %04o and should have %04o", st.Mode&0o7777, n.mode)
	}
	return nil
}

func wrong(format string, args ...any) error {
	return fmt.Errorf(format+": if nothing needs it as it is, remove it and run this again", args...)
}

// make makes the entry under a name of its own and then gives it the right one.
func (n *node) make(dir int) error {
	if n.kind == unix.S_IFLNK {
		return unix.Symlinkat(n.target, dir, n.name)
	}
	temporary := fmt.Sprintf(".new-%d-%s", os.Getpid(), n.name)
	flags := 0
	var err error
	if n.kind == unix.S_IFDIR {
		flags = unix.AT_REMOVEDIR
		err = unix.Mkdirat(dir, temporary, n.mode)
	} else {
		err = unix.Mknodat(dir, temporary, n.kind|n.mode, int(n.device))
	}
	if err == unix.EPERM {
		return fmt.Errorf("cannot make %s: %w (it takes root, outside of a user namespace)", kinds[n.kind], err)
	}
	if err != nil {
		return err
	}
	if err = unix.Fchmodat(dir, temporary, n.mode, 0); err == nil {
		err = unix.Renameat2(dir, temporary, dir, n.name, unix.RENAME_NOREPLACE)
	}
	if err != nil {
		_ = unix.Unlinkat(dir, temporary, flags)
	}
	return err
}
