package lockfile

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
)

// LockDir locks a directory, which needs no file of its own, and waits for the
// holder. It calls waiting once before it waits. The lock ends when the file is
// closed, or with the process.
func LockDir(dir string, waiting func()) (*os.File, error) {
	file, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	err = flock(file)
	if errors.Is(err, unix.EWOULDBLOCK) {
		waiting()
		err = eintr.Retry(func() error { return unix.Flock(int(file.Fd()), unix.LOCK_EX) })
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", dir, err)
	}
	return file, nil
}

// Holds tells whether a process holds the file by [Acquire], without touching
// the lock: even a short one would keep out who acquires it at that moment. It
// looks at /proc/locks (proc(5)) for the file's inode.
func Holds(path string, pid int) (bool, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return false, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return false, err
	}
	defer locks.Close()
	lines := bufio.NewScanner(locks)
	for lines.Scan() {
		if holds(lines.Text(), pid, st.Ino) {
			return true, nil
		}
	}
	return false, lines.Err()
}

// holds understands a line such as
//
//	1: FLOCK  ADVISORY  WRITE 1234 00:1b:5678 0 EOF
//
// The device is not compared: stat tells another one on some file systems
// (btrfs), and a process that has two files of one inode number locked is none
// of ours.
func holds(line string, pid int, inode uint64) bool {
	f := strings.Fields(line)
	if len(f) < 6 || f[1] != "FLOCK" || f[3] != "WRITE" || f[4] != strconv.Itoa(pid) {
		return false
	}
	return f[5][strings.LastIndexByte(f[5], ':')+1:] == strconv.FormatUint(inode, 10)
}
