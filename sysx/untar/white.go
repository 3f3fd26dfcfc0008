package untar

import (
	"path"
	"strings"

	"lithos/sysx/inroot"

	"golang.org/x/sys/unix"
)

// white removes what a whiteout says; dir is where it stands.
func (u *unpacker) white(dir, base string) error {
	name := base[len(whiteout):]
	switch {
	case name == "" || name == "." || name == "..":
		return errMarker
	case strings.HasPrefix(base, reserved) && base != opaque:
		return nil
	}
	fd, err := inroot.Open(u.root, dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	switch err {
	case nil:
		defer unix.Close(fd)
	case unix.ENOENT, unix.ENOTDIR:
		return nil
	default:
		return err
	}
	u.forget()
	if base == opaque {
		u.mark(dir)
		return u.empty(fd, dir)
	}
	return u.remove(fd, dir, name)
}

// remove removes one name of the layers below. Of a directory that this layer
// has too, what this layer put into it is kept.
func (u *unpacker) remove(fd int, dir, name string) error {
	full := path.Join(dir, name)
	if !u.own[full] {
		return inroot.RemoveAt(fd, name)
	}
	child, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil // this layer's own, and no directory
	}
	defer unix.Close(child)
	return u.empty(child, full)
}

// empty removes all that the layers below have in a directory.
func (u *unpacker) empty(fd int, dir string) error {
	names, err := inroot.Names(fd)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := u.remove(fd, dir, name); err != nil {
			return err
		}
	}
	return nil
}
