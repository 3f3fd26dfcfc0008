package inroot

import (
	"path"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// PathError is a failed removal.
type PathError struct {
	Op, Path string
	Err      error
}

// Error is "op path: error".
func (e *PathError) Error() string { return e.Op + " " + e.Path + ": " + e.Err.Error() }

// Unwrap gives the error number.
func (e *PathError) Unwrap() error { return e.Err }

// RemoveAll removes path and what is below it, whatever it is; that it is
// missing is no error. The directory that path lies in is trusted (symbolic
// links in it are followed), path itself and all below is not: no link is
// followed, and the depth of the tree costs neither descriptors nor memory.
//
// It works by flattening: a directory found in a child of path is moved up to
// path under a new name, so that there are never more than two directories to
// hold. A file system mounted below path in this namespace is an error.
//
// Preconditions: nobody keeps writing below path; then it would not end.
func RemoveAll(name string) error { return RemoveSteps(name, func() {}) }

// RemoveSteps is [RemoveAll] which calls step again and again as long as it continues.
func RemoveSteps(name string, step func()) error {
	dirName, base := path.Split(path.Clean(name))
	if base == "" || base == "." || base == ".." {
		return &PathError{"remove", name, unix.EINVAL}
	}
	if dirName == "" {
		dirName = "."
	}
	parent, err := retryOpen(func() (int, error) {
		return unix.Open(dirName, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return &PathError{"open", dirName, err}
	}
	defer unix.Close(parent)
	if err := removeEntry(parent, base, step); err != nil {
		return &PathError{"remove", name, err}
	}
	return nil
}

// RemoveAt removes an entry of an open directory with all that is in it, as
// [RemoveAll] does; that it is missing is no error.
func RemoveAt(dir int, name string) error {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		return &PathError{"remove", name, unix.EINVAL}
	}
	if err := removeEntry(dir, name, func() {}); err != nil {
		return &PathError{"remove", name, err}
	}
	return nil
}

// Names lists an open directory, whose position it moves.
func Names(dir int) ([]string, error) {
	if _, err := unix.Seek(dir, 0, 0); err != nil {
		return nil, err
	}
	var names []string
	buf := make([]byte, 16<<10)
	for {
		n, err := syscall.ReadDirent(dir, buf)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = syscall.ParseDirent(buf[:n], -1, names)
	}
}

// removeEntry removes one entry of parent with all that is in it.
func removeEntry(parent int, name string, step func()) error {
	done, err := unlink(parent, name)
	if done || err != nil {
		return err
	}
	top, err := openChild(parent, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(top)
	f := flattener{top: top, step: step, buf: make([]byte, 16<<10)}
	if err := f.run(); err != nil {
		return err
	}
	return rmdir(parent, name)
}

// unlink removes a file, or an empty directory.
func unlink(dir int, name string) (done bool, err error) {
	err = unix.Unlinkat(dir, name, 0)
	if err == unix.EISDIR || err == unix.EPERM {
		err = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	}
	switch err {
	case nil, unix.ENOENT:
		return true, nil
	case unix.ENOTEMPTY, unix.EEXIST:
		return false, nil
	case unix.ENOTDIR:
		// EPERM was about a file: an immutable one, for example.
		return false, unix.EPERM
	}
	return false, err
}

func rmdir(dir int, name string) error {
	if err := unix.Unlinkat(dir, name, unix.AT_REMOVEDIR); err != nil && err != unix.ENOENT {
		return err
	}
	return nil
}

// flattener empties the directory top.
type flattener struct {
	top   int
	step  func()
	moved uint64 // names given so far
	buf   []byte // for getdents
}

// run reads top again and again until there is nothing in it: entries are
// moved up into it while it is read.
func (f *flattener) run() error {
	for {
		names, err := f.read(f.top)
		if err != nil || len(names) == 0 {
			return err
		}
		for _, name := range names {
			if err := f.entry(name); err != nil {
				return err
			}
		}
	}
}

// entry removes one entry of top, whose directories come up to top.
func (f *flattener) entry(name string) error {
	f.step()
	done, err := unlink(f.top, name)
	if done || err != nil {
		return err
	}
	dir, err := openChild(f.top, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	for {
		names, err := f.read(dir)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			return rmdir(f.top, name)
		}
		for _, child := range names {
			f.step()
			done, err := unlink(dir, child)
			if err == nil && !done {
				err = f.moveUp(dir, child)
			}
			if err != nil {
				return err
			}
		}
	}
}

// moveUp gives a directory a new name in top.
func (f *flattener) moveUp(dir int, name string) error {
	for {
		f.moved++
		to := ".removed-" + strconv.FormatUint(f.moved, 10)
		err := unix.Renameat2(dir, name, f.top, to, unix.RENAME_NOREPLACE)
		if err == unix.EINVAL {
			// Not every file system knows the flag. Without it an empty
			// directory of that name would be replaced, which is fine.
			err = unix.Renameat(dir, name, f.top, to)
		}
		switch err {
		case unix.EEXIST, unix.ENOTEMPTY, unix.ENOTDIR:
			continue
		case unix.ENOENT:
			return nil
		}
		return err
	}
}

// read gives the first entries of a directory, from its beginning.
func (f *flattener) read(dir int) ([]string, error) {
	if _, err := unix.Seek(dir, 0, 0); err != nil {
		return nil, err
	}
	for {
		n, err := syscall.ReadDirent(dir, f.buf)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return nil, err
		}
		// "." and ".." are left out; a buffer holds more than these two.
		if _, _, names := syscall.ParseDirent(f.buf[:n], -1, nil); len(names) > 0 {
			return names, nil
		}
	}
}
