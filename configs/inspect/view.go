package inspect

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/configs/document"
	"lithos/configs/files"
)

// view is what a container will see: the image with everything mounted on it,
// looked at before it exists. Nothing in it is trusted. A path is looked up
// name by name, never through a link that the kernel would follow, or by
// openat2 where no link and no mount is on the way; so it leads nowhere else
// than it would in the container.
type view struct {
	mounts map[string]*layer // by mount point, without links; "/" is the image
}

// layer is what is mounted somewhere.
type layer struct {
	dir  int // O_PATH; -1: it does not exist before the container does
	what string
	// empty: nothing at all will be in it.
	empty            bool
	readOnly, noExec bool
}

// found is a file that exists in the view.
type found struct {
	fd   int
	path string // without links
	on   *layer
	st   unix.Stat_t
}

func (f *found) close() {
	if f.fd >= 0 {
		unix.Close(f.fd)
	}
}

func (f *found) is(kind uint32) bool { return f.st.Mode&unix.S_IFMT == kind }

// absentError: the container will not have this path.
type absentError struct {
	at  string // the first part of it that is missing
	on  *layer
	err error
}

func (e *absentError) Error() string {
	switch {
	case errors.Is(e.err, unix.ENOTDIR):
		return fmt.Sprintf("%s is no directory on %s", document.Clip(e.at), e.on.what)
	case errors.Is(e.err, unix.ELOOP):
		return fmt.Sprintf("%s is a loop of symbolic links", document.Clip(e.at))
	}
	return fmt.Sprintf("%s does not exist on %s", document.Clip(e.at), e.on.what)
}

// unknownError: whether the path exists can't be told now.
type unknownError struct {
	at  string
	on  *layer
	err error // nil: on does not exist yet
}

func (e *unknownError) Error() string {
	if e.err != nil {
		return fmt.Sprintf("cannot look at %s on %s: %s", document.Clip(e.at), e.on.what, e.err)
	}
	return fmt.Sprintf("whether %s is there can't be told: %s is made at the start", document.Clip(e.at), e.on.what)
}

func (v *view) close() {
	for _, l := range v.mounts {
		if l.dir >= 0 {
			unix.Close(l.dir)
		}
	}
}

const (
	maxLinks = 40   // as the kernel
	maxSteps = 5000 // names looked up for one path, links counted
)

// lookup finds what a path will be. The error is an [*absentError] or an
// [*unknownError].
func (v *view) lookup(p string) (*found, error) {
	if f, err := v.direct(p); f != nil || err != nil {
		return f, err
	}
	return v.walk(p)
}

// direct looks a path up at once if nothing is mounted on the way; nil if that
// can't be done.
func (v *view) direct(p string) (*found, error) {
	if strings.Contains(p, "..") {
		return nil, nil
	}
	clean := path.Clean("/" + p)
	for point := range v.mounts {
		if point != "/" && (clean == point || strings.HasPrefix(clean, point+"/")) {
			return nil, nil
		}
	}
	image := v.mounts["/"]
	fd, err := files.Openat2(image.dir, clean, unix.O_PATH, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return nil, nil // the long way tells which part of it
	}
	return newFound(fd, clean, image)
}

func newFound(fd int, p string, on *layer) (*found, error) {
	f := &found{fd: fd, path: p, on: on}
	if err := unix.Fstat(fd, &f.st); err != nil {
		unix.Close(fd)
		return nil, &unknownError{p, on, err}
	}
	return f, nil
}

// walk looks a path up name by name.
func (v *view) walk(p string) (*found, error) {
	names := strings.Split(p, "/")
	at, err := v.enter("/")
	links := 0
	for steps := 0; err == nil && len(names) > 0; steps++ {
		name := names[0]
		names = names[1:]
		if steps > maxSteps {
			at.close()
			return nil, &absentError{p, at.on, unix.ELOOP}
		}
		switch name {
		case "", ".":
			continue
		case "..":
			names = append(strings.Split(path.Dir(at.path), "/"), names...)
			at.close()
			at, err = v.enter("/")
			continue
		}
		var next *found
		next, err = v.child(at, name)
		if err != nil {
			at.close()
			break
		}
		if !next.is(unix.S_IFLNK) {
			at.close()
			at = next
			continue
		}
		var target string
		target, err = readLink(next)
		next.close()
		if links++; err == nil && links > maxLinks {
			err = &absentError{next.path, next.on, unix.ELOOP}
		}
		if err != nil {
			at.close()
			break
		}
		names = append(strings.Split(target, "/"), names...)
		if path.IsAbs(target) {
			at.close()
			at, err = v.enter("/")
		}
	}
	if err != nil {
		return nil, err
	}
	return at, nil
}

// enter is the root of what is mounted on a path.
func (v *view) enter(p string) (*found, error) {
	l := v.mounts[p]
	if l.dir < 0 {
		return &found{fd: -1, path: p, on: l, st: unix.Stat_t{Mode: unix.S_IFDIR | 0o777}}, nil
	}
	fd, err := unix.FcntlInt(uintptr(l.dir), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &unknownError{p, l, err}
	}
	return newFound(fd, p, l)
}

// child is an entry of a directory, or what is mounted on it.
func (v *view) child(dir *found, name string) (*found, error) {
	p := path.Join(dir.path, name)
	if v.mounts[p] != nil {
		return v.enter(p)
	}
	switch {
	case dir.fd < 0 && dir.on.empty:
		return nil, &absentError{p, dir.on, unix.ENOENT}
	case dir.fd < 0:
		return nil, &unknownError{p, dir.on, nil}
	}
	fd, err := files.RetryEINTR(func() (int, error) {
		return unix.Openat(dir.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	switch err {
	case nil:
		return newFound(fd, p, dir.on)
	case unix.ENOTDIR:
		return nil, &absentError{dir.path, dir.on, err}
	case unix.ENOENT, unix.ENAMETOOLONG:
		return nil, &absentError{p, dir.on, err}
	}
	return nil, &unknownError{p, dir.on, err}
}

// readLink reads a symbolic link that was opened itself.
func readLink(f *found) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(f.fd, "", buf)
	if err != nil {
		return "", &unknownError{f.path, f.on, err}
	}
	return string(buf[:n]), nil
}
