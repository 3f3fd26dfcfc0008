package images

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Place is what a path of a config leads to.
type Place struct {
	Real    string // the path without symbolic links; what does not exist at its end stays as it is
	Missing bool
	// Dev and Ino make a directory the same, whatever its name. 0 is not known.
	Dev, Ino uint64
	Err      error // why it can't be looked at
}

// same tells whether two places are one directory.
func (p Place) same(o Place) bool {
	return p.Real == o.Real || p.Ino != 0 && p.Ino == o.Ino && p.Dev == o.Dev
}

// Find looks at a path. The file system that is mounted where it leads to is not
// asked, since it may not answer. One that it leads through is.
func Find(path string) Place {
	path = filepath.Clean(path)
	fd, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Place{Real: Real(path), Missing: true}
	}
	if err != nil {
		return Place{Real: Real(path), Err: &fs.PathError{Op: "open", Path: path, Err: err}}
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &st); err != nil {
		return Place{Real: Real(path), Err: &fs.PathError{Op: "stat", Path: path, Err: err}}
	}
	return Place{Real: nameOf(fd, path), Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino}
}

// open opens what a path leads to without asking it for anything.
func open(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// nameOf is the path that the kernel has for a descriptor.
func nameOf(fd int, path string) string {
	buf := make([]byte, 2*unix.PathMax)
	n, err := unix.Readlink("/proc/self/fd/"+strconv.Itoa(fd), buf)
	// One that was removed meanwhile has more behind its name.
	if real := string(buf[:max(n, 0)]); err == nil && filepath.IsAbs(real) && n < unix.PathMax && !strings.HasSuffix(real, " (deleted)") {
		return real
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// Real is the path without symbolic links; what does not exist at its end
// stays as it is.
func Real(path string) string {
	path = filepath.Clean(path)
	if fd, err := open(path); err == nil {
		defer unix.Close(fd)
		return nameOf(fd, path)
	}
	if dir := filepath.Dir(path); dir != path {
		return filepath.Join(Real(dir), filepath.Base(path))
	}
	return path
}
