package untar

import (
	"errors"
	"path"
	"strings"

	"lithos/sysx/inroot"

	"golang.org/x/sys/unix"
)

// walkHow is how a walk treats what it meets.
type walkHow int

const (
	walkMake  walkHow = iota // missing directories are made, also at the target of a link
	walkBelow                // a link of this layer is errOwnLink
)

var errOwnLink = errors.New("is below a symbolic link of the same layer")

const maxLinks = 40 // as the kernel's

// walker looks up a directory name by name, with the root as the root directory
// of the lookup. No call of it follows a link, and ".." never leads above the
// root.
type walker struct {
	u     *unpacker
	how   walkHow
	fd    int      // the directory reached (O_PATH), -1 after an error
	at    []string // its names from the root, no links
	todo  []string
	links int
}

// walk opens a directory (O_PATH).
func (u *unpacker) walk(dir string, how walkHow) (int, error) {
	w := walker{u: u, how: how, fd: -1, todo: names(dir)}
	err := w.restart()
	for err == nil && len(w.todo) > 0 {
		name := w.todo[0]
		w.todo = w.todo[1:]
		err = w.step(name)
	}
	if err != nil {
		w.moveTo(-1)
		return -1, err
	}
	return w.fd, nil
}

func names(dir string) []string {
	return strings.FieldsFunc(dir, func(r rune) bool { return r == '/' })
}

func (w *walker) moveTo(fd int) {
	if w.fd >= 0 {
		unix.Close(w.fd)
	}
	w.fd = fd
}

// restart opens the directory of w.at from the root.
func (w *walker) restart() error {
	fd, err := inroot.Open(w.u.root, strings.Join(w.at, "/"), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err == nil {
		w.moveTo(fd)
	}
	return err
}

// step goes to a name in the directory reached.
func (w *walker) step(name string) error {
	switch name {
	case ".":
		return nil
	case "..":
		w.at = w.at[:max(len(w.at)-1, 0)]
		return w.restart()
	}
	var target [unix.PathMax]byte
	if n, err := unix.Readlinkat(w.fd, name, target[:]); err == nil {
		return w.link(name, string(target[:n]))
	} else if err == unix.ENOENT && w.how == walkMake {
		if err := imply(w.fd, name); err != nil {
			return err
		}
	}
	fd, err := unix.Openat(w.fd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	w.moveTo(fd)
	w.at = append(w.at, name)
	return nil
}

// link puts the target of a symbolic link before the names that are left.
func (w *walker) link(name, target string) error {
	if w.how == walkBelow {
		in, err := idOf(w.fd)
		if err != nil {
			return err
		}
		if w.u.own[entryID{in, name}] {
			return errOwnLink
		}
		w.u.done.Once++
	}
	if w.links++; w.links > maxLinks || len(w.todo) > unix.PathMax {
		return unix.ELOOP
	}
	w.todo = append(names(target), w.todo...)
	if path.IsAbs(target) {
		w.at = nil
		return w.restart()
	}
	return nil
}
