package cgroup

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
)

// The kernel's files are read and written here without package os. That would
// have the Go runtime poll each of them, which it can and which is of no use:
// two system calls more a file, and each time another thread wakes up, for the
// files are always ready.

// pageSize is the least there is.
const pageSize = 4096

// openFile opens one, blocking.
func openFile(file string, flags int) (int, error) {
	fd, err := eintr.Get(func() (int, error) { return unix.Open(file, flags|unix.O_CLOEXEC, 0) })
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: file, Err: err}
	}
	return fd, nil
}

// openHeld is openFile for a file that is handed on.
func openHeld(file string, flags int) (*os.File, error) {
	fd, err := openFile(file, flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), file), nil
}

// write is one write(2): the kernel takes each as a whole.
func write(file, value string) error {
	fd, err := openFile(file, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := eintr.Get(func() (int, error) { return unix.Write(fd, []byte(value)) }); err != nil {
		return &fs.PathError{Op: "write", Path: file, Err: err}
	}
	return nil
}

// read returns a whole file. A short read of less than a page marks its end; a
// second read to confirm that would be one system call in four.
func read(file string) (string, error) {
	fd, err := openFile(file, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var first [512]byte
	text := first[:0]
	for {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		room := text[len(text):cap(text)]
		n, err := unix.Read(fd, room)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return string(text), &fs.PathError{Op: "read", Path: file, Err: err}
		}
		text = text[:len(text)+n]
		if n == 0 || n < len(room) && len(text) < pageSize {
			return string(text), nil
		}
	}
}
