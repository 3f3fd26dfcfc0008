package lockfile

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
)

// HeldError says that another process holds the file.
type HeldError struct {
	Path    string
	Content string // written by the holder, at most 100 bytes
}

func (e *HeldError) Error() string { return fmt.Sprintf("%s is held by another process", e.Path) }

// File is a lock file that this process holds.
type File struct {
	path string
	file *os.File
}

// Acquire makes the file if it is missing, locks it and writes content into
// it. It does not wait: the error is a [*HeldError] if another process holds
// the file. The descriptor is close-on-exec, so no child keeps the lock.
func Acquire(path, content string) (*File, error) {
	for {
		f, err := try(path)
		if err != nil {
			return nil, err
		}
		if f == nil {
			continue
		}
		if err := f.write(content); err != nil {
			f.file.Close()
			return nil, fmt.Errorf("cannot write %s: %w", path, err)
		}
		return f, nil
	}
}

// try is one attempt; the result is nil if the file that was locked had been
// removed by its last holder, between opening and locking: a lock on it would
// not keep out who makes the file again.
func try(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := flock(file); err != nil {
		defer file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			content, _ := io.ReadAll(io.LimitReader(file, 100))
			return nil, &HeldError{path, string(content)}
		}
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	locked, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	there, err := os.Stat(path)
	if err != nil || !os.SameFile(locked, there) {
		file.Close()
		return nil, nil
	}
	return &File{path, file}, nil
}

func flock(file *os.File) error {
	return eintr.Retry(func() error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
}

func (f *File) write(content string) error {
	if err := f.file.Truncate(0); err != nil {
		return err
	}
	_, err := f.file.WriteAt([]byte(content), 0)
	return err
}

// Handle is the open file with the lock. A program that is executed with it
// continues with [Inherit].
func (f *File) Handle() *os.File { return f.file }

// Inherit continues with a lock that this process held before an exec. It takes
// the handle, also with an error.
func Inherit(path string, handle *os.File) (*File, error) {
	err := flock(handle)
	if err == nil {
		var locked, there os.FileInfo
		if locked, err = handle.Stat(); err == nil {
			there, err = os.Stat(path)
		}
		if err == nil && !os.SameFile(locked, there) {
			err = errors.New("another file is in its place")
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot go on with the lock of %s: %w", path, err), handle.Close())
	}
	return &File{path, handle}, nil
}

// Remove removes the file and then releases the lock.
func (f *File) Remove() error {
	return errors.Join(os.Remove(f.path), f.file.Close())
}
