package spawn

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
)

// donation is the files that were opened for PID 1 alone. They are closed here
// after the fork, whether or not it succeeded.
type donation []*os.File

// add takes a file over, and returns the error of its opening.
func (d *donation) add(f *os.File, err error) (*os.File, error) {
	if err == nil {
		*d = append(*d, f)
	}
	return f, err
}

func (d *donation) close() {
	for _, f := range *d {
		f.Close()
	}
}

// open opens a file without package os, which would have Go's runtime poll it, and
// wake up another thread.
func open(path string, flags int) (*os.File, error) {
	fd, err := eintr.Get(func() (int, error) { return unix.Open(path, flags|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// rawFD is f's descriptor, -1 if it is closed. Unlike File.Fd it leaves a
// non-blocking file non-blocking, for all who share it.
func rawFD(f *os.File) int {
	fd := -1
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}
