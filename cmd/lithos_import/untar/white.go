package untar

import (
	"strings"

	"lithos/sysx/inroot"

	"golang.org/x/sys/unix"
)

// white applies a whiteout that stands in dir.
func (u *unpacker) white(dir, base string) error {
	name := base[len(whiteout):]
	switch {
	case name == "" || name == "." || name == "..":
		return errMarker
	case strings.HasPrefix(base, reserved) && base != opaque:
		return nil
	}
	fd, err := u.openBelow(dir)
	if err != nil || fd < 0 {
		return err
	}
	defer unix.Close(fd)
	u.forget()
	if base == opaque {
		if err := u.markDirectory(fd); err != nil {
			return err
		}
		return u.empty(fd)
	}
	return u.remove(fd, name)
}

// openBelow opens the directory that the layers below have at a path, -1 if
// they have none. Where a symbolic link of this layer is on the way, what they
// had there is gone already.
func (u *unpacker) openBelow(dir string) (int, error) {
	fd, err := u.walk(dir, walkBelow)
	switch err {
	case nil:
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP, errOwnLink:
		return -1, nil
	default:
		return -1, err
	}
	defer unix.Close(fd)
	return unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// remove removes one name of the layers below. Of a directory that this layer
// has too, what this layer put into it is kept.
func (u *unpacker) remove(fd int, name string) error {
	in, err := idOf(fd)
	if err != nil {
		return err
	}
	if u.own[entryID{in, name}] {
		return nil
	}
	child, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch err {
	case nil:
	case unix.ENOENT:
		return nil
	case unix.ENOTDIR, unix.ELOOP:
		return inroot.RemoveAt(fd, name)
	default:
		return err
	}
	defer unix.Close(child)
	id, err := idOf(child)
	switch {
	case err != nil:
		return err
	case u.own[entryID{dir: id}]:
		return u.empty(child)
	}
	return inroot.RemoveAt(fd, name)
}

// empty removes all that the layers below have in a directory.
func (u *unpacker) empty(fd int) error {
	names, err := inroot.Names(fd)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := u.remove(fd, name); err != nil {
			return err
		}
	}
	return nil
}
