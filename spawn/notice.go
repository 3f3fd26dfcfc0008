package spawn

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/proc"
)

// The program of a container may tell that it is ready by a pipe, as for s6: it
// writes a line. The supervisor reads. The program, and PID 1 with it, has the
// pipe open for reading too: so it is never broken, whatever becomes of the
// supervisor, and the next one finds in it what was written meanwhile.

// maxNotice is how much a program may write without a newline, bytes.
const maxNotice = 4096

// makeNotice makes the pipe.
func (l *launch) makeNotice() error {
	if l.r.NoticeFD == 0 {
		return nil
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return fmt.Errorf("cannot make the pipe for its readiness: %w", err)
	}
	read, write := os.NewFile(uintptr(ends[0]), "notice of "+l.spec.Name), ends[1]
	l.opened = append(l.opened, read)
	both, err := l.opens(reopen(write, os.O_RDWR))
	if err == nil {
		// So that it can be opened by /dev/fd/N, too.
		err = unix.Fchown(write, int(l.spec.HostUser), int(l.spec.HostGroup))
	}
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(write, &st)
	}
	unix.Close(write)
	if err != nil {
		return fmt.Errorf("cannot make the pipe for its readiness: %w", err)
	}
	l.head.Notice, l.notice, l.noticeOfProgram = st.Ino, read, both
	return nil
}

// reopen opens what a descriptor stands for in another way. Not by os.OpenFile,
// which would make a pipe non-blocking.
func reopen(fd, flags int) (*os.File, error) {
	path := "/proc/self/fd/" + strconv.Itoa(fd)
	for {
		anew, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err == nil {
			return os.NewFile(uintptr(anew), "notice"), nil
		}
		if err != unix.EINTR {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// addNotice gives it to the program, after its sockets.
func (l *launch) addNotice() {
	if l.notice == nil {
		return
	}
	target := l.r.NoticeFD
	if target == 0 {
		target = wire.KeptByPID1
	}
	l.sockets = append(l.sockets, l.noticeOfProgram)
	l.spec.Sockets = append(slices.Clip(l.spec.Sockets), target)
}

// keepNotice is the supervisor's end, which stays open.
func (l *launch) keepNotice() *os.File {
	if l.notice != nil {
		l.opened = slices.DeleteFunc(l.opened, func(f *os.File) bool { return f == l.notice })
	}
	return l.notice
}

// AwaitNotice waits until a program has written a line. The error says why none
// will be heard; closing the file is one.
func AwaitNotice(f *os.File) error {
	buf := make([]byte, 512)
	for total := 0; total < maxNotice; {
		n, err := f.Read(buf)
		if bytes.IndexByte(buf[:n], '\n') >= 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read what its program tells: %w", err)
		}
		total += n
	}
	return fmt.Errorf("its program wrote %d bytes without a newline", maxNotice)
}

// TakeNotice copies the pipe, or the socket, of a record from the PID 1 of its
// container.
func TakeNotice(pid int, pidfd *os.File, c *records.Created) (*os.File, error) {
	inode, want, kind := c.Notice, fmt.Sprintf("pipe:[%d]", c.Notice), uint32(unix.S_IFIFO)
	if c.Notify != 0 {
		inode, want, kind = c.Notify, fmt.Sprintf("socket:[%d]", c.Notify), unix.S_IFSOCK
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot look for what pid %d tells its readiness by: %w", pid, err)
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
			return nil, errors.Join(errors.New("what it tells its readiness by is another"), err)
		}
		if kind == unix.S_IFSOCK {
			return os.NewFile(uintptr(fd), "notify socket"), nil
		}
		defer unix.Close(fd)
		// Anew: the program's own must not become non-blocking.
		return reopen(fd, os.O_RDONLY|unix.O_NONBLOCK)
	}
	return nil, errors.New("its PID 1 has not what it tells its readiness by")
}
