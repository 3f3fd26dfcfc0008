package readiness

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"lithos/spawn/records"
	"lithos/sysx/proc"
)

// Channel is a new pipe or socket.
type Channel struct {
	// Heard is the supervisor's end, Told the program's. Of a socket both are
	// the same file.
	Heard, Told *os.File
	Inode       uint64 // for the record, see [Take]
}

func inode(fd int) (uint64, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return st.Ino, err
}

// Take copies the channel that a record names from the PID 1 of its container.
//
// Preconditions: pid is the process of pidfd.
func Take(pid int, pidfd *os.File, c *records.Created) (*os.File, error) {
	inode, want, kind := c.Notice, fmt.Sprintf("pipe:[%d]", c.Notice), uint32(unix.S_IFIFO)
	if c.Notify != 0 {
		inode, want, kind = c.Notify, fmt.Sprintf("socket:[%d]", c.Notify), unix.S_IFSOCK
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot find the readiness channel of pid %d: %w", pid, err)
	}
	for _, entry := range entries {
		link, err := os.Readlink(dir + "/" + entry.Name())
		if err != nil || link != want {
			continue
		}
		number, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		fd, err := proc.TakeFD(pidfd, number)
		if err != nil {
			return nil, err
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != kind || st.Ino != inode {
			unix.Close(fd)
			return nil, errors.Join(errors.New("its readiness channel is another one"), err)
		}
		if kind == unix.S_IFSOCK {
			return os.NewFile(uintptr(fd), "notify socket"), nil
		}
		defer unix.Close(fd)
		// Anew: the program's own must not become non-blocking.
		return reopen(fd, os.O_RDONLY|unix.O_NONBLOCK)
	}
	return nil, errors.New("its PID 1 has no readiness channel")
}
