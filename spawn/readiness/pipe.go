package readiness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
)

// maxLine is the most that a program may write without a newline, bytes.
const maxLine = 4096

// Pipe makes a pipe for the program of a container, which runs as these ids of
// the host. The program's end is open for reading too, so that the pipe never
// breaks, whatever becomes of the supervisor.
func Pipe(container string, uid, gid uint32) (c *Channel, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot make the pipe for its readiness: %w", err)
		}
	}()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	write := ends[1]
	defer unix.Close(write)
	c = &Channel{Heard: os.NewFile(uintptr(ends[0]), "notice of "+container)}
	if c.Told, err = reopen(write, os.O_RDWR); err == nil {
		// The program may open it by /dev/fd/N.
		err = unix.Fchown(write, int(uid), int(gid))
	}
	if err == nil {
		c.Inode, err = inode(write)
	}
	if err != nil {
		return nil, errors.Join(err, c.Heard.Close(), c.Told.Close())
	}
	return c, nil
}

// reopen opens what a descriptor stands for in another way. Not by os.OpenFile,
// which would make a pipe non-blocking.
func reopen(fd, flags int) (*os.File, error) {
	path := "/proc/self/fd/" + strconv.Itoa(fd)
	anew, err := eintr.Get(func() (int, error) { return unix.Open(path, flags|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(anew), "notice"), nil
}

// AwaitLine waits until a program has written a line. The error says why none
// will be heard; closing the file is one.
func AwaitLine(f *os.File) error {
	buf := make([]byte, 512)
	for total := 0; total < maxLine; {
		n, err := f.Read(buf)
		if bytes.IndexByte(buf[:n], '\n') >= 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read the readiness of its program: %w", err)
		}
		total += n
	}
	return fmt.Errorf("its program wrote %d bytes without a newline", maxLine)
}
