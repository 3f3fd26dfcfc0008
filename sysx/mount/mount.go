package mount

import (
	"errors"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
)

// Attr are flags of one mount, see mount_setattr(2).
type Attr uint64

// The flags.
const (
	ReadOnly Attr = unix.MOUNT_ATTR_RDONLY
	NoSuid   Attr = unix.MOUNT_ATTR_NOSUID
	NoDev    Attr = unix.MOUNT_ATTR_NODEV
	NoExec   Attr = unix.MOUNT_ATTR_NOEXEC
	NoAtime  Attr = unix.MOUNT_ATTR_NOATIME
)

// Option is one option of a file system; a Value of "" makes it a flag.
type Option struct{ Key, Value string }

// Clone makes a detached copy of the mount that fd (which may be O_PATH) lies
// in, with the file of fd as its root, and with recursive the mounts below it
// too. The copy vanishes with its descriptor unless it is attached by [Move].
func Clone(fd int, recursive bool) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return retry("open_tree", func() (int, error) { return unix.OpenTree(fd, "", flags) })
}

// New makes a detached mount of a new file system.
func New(fstype string, attr Attr, options ...Option) (int, error) {
	fs, err := retry("fsopen", func() (int, error) { return unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC) })
	if err != nil {
		err.(*Error).Path = fstype
		return -1, err
	}
	defer unix.Close(fs)
	// The source that mountinfo shows; the type by default, as with mount(8).
	for _, o := range append([]Option{{"source", fstype}}, options...) {
		_, err := retry("fsconfig", func() (int, error) {
			if o.Value == "" {
				return 0, unix.FsconfigSetFlag(fs, o.Key)
			}
			return 0, unix.FsconfigSetString(fs, o.Key, o.Value)
		})
		if err != nil {
			return -1, explain(err, fs, fstype+" option "+o.Key)
		}
	}
	if _, err := retry("fsconfig", func() (int, error) { return 0, unix.FsconfigCreate(fs) }); err != nil {
		return -1, explain(err, fs, fstype)
	}
	fd, err := retry("fsmount", func() (int, error) {
		return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(attr))
	})
	if err != nil {
		return -1, explain(err, fs, fstype)
	}
	return fd, nil
}

// explain adds the messages that the kernel keeps for a file system context:
// one a read, "e text" for an error.
func explain(err error, fs int, path string) error {
	e := err.(*Error)
	e.Path = path
	var said []string
	buf := make([]byte, 256)
	for {
		n, err := unix.Read(fs, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 2 {
			break
		}
		said = append(said, strings.TrimSpace(string(buf[2:n])))
	}
	e.Detail = strings.Join(said, "; ")
	return e
}

// SetAttr gives flags to the mount whose root is fd and takes others away from
// it, and with recursive does so to the mounts below it too.
func SetAttr(fd int, set, clear Attr, recursive bool) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	_, err := retry("mount_setattr", func() (int, error) {
		return 0, unix.MountSetattr(fd, "", flags,
			&unix.MountAttr{Attr_set: uint64(set), Attr_clr: uint64(clear)})
	})
	return err
}

// MapIDs makes the files of the mount whose root is fd appear with the owners
// that the user namespace gives them: what belongs to an inside id on the disk
// belongs to its outside id here, and so to the inside id again for programs in
// the namespace (mount_setattr(2), MOUNT_ATTR_IDMAP). Mounts below it stay.
//
// Preconditions: the mount is detached and not mapped yet, its file system can.
func MapIDs(fd, userns int) error {
	_, err := retry("mount_setattr", func() (int, error) {
		return 0, unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH,
			&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns)})
	})
	return err
}

// MakePrivate makes all mounts of the namespace private: nothing that is
// mounted here is seen elsewhere, nor the other way round.
func MakePrivate() error {
	_, err := retry("mount_setattr", func() (int, error) {
		return 0, unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE,
			&unix.MountAttr{Propagation: unix.MS_PRIVATE})
	})
	if err != nil {
		err.(*Error).Path = "/"
	}
	return err
}

// Move attaches the detached mount fd on the file target (which may be
// O_PATH), a directory on a directory, anything else on anything else.
func Move(fd, target int) error {
	_, err := retry("move_mount", func() (int, error) {
		return 0, unix.MoveMount(fd, "", target, "",
			unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	})
	if errors.Is(err, syscall.ENOSPC) {
		err.(*Error).Detail = "a mount namespace has as many mounts as it may: sysctl fs.mount-max"
	}
	return err
}

// PivotRoot makes the mount whose root is fd the root of the namespace and of
// the calling process, and detaches the old root from it. It needs no
// directory for the old root: pivot_root(".", ".") puts that on top of the new
// one, from where it is taken off.
//
// Preconditions: fd is the root of an attached mount, and neither it nor the
// present root is shared. The root of an initramfs can't be pivoted.
func PivotRoot(fd int) error {
	steps := []struct {
		op string
		do func() error
	}{
		{"fchdir", func() error { return unix.Fchdir(fd) }},
		{"pivot_root", func() error { return unix.PivotRoot(".", ".") }},
		{"umount2", func() error { return unix.Unmount(".", unix.MNT_DETACH) }},
		{"chdir", func() error { return unix.Chdir("/") }},
	}
	for _, s := range steps {
		if _, err := retry(s.op, func() (int, error) { return 0, s.do() }); err != nil {
			return err
		}
	}
	return nil
}

// Detach takes the topmost mount off path, which must be no symbolic link.
func Detach(path string) error {
	_, err := retry("umount2", func() (int, error) {
		return 0, unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	})
	if err != nil {
		err.(*Error).Path = path
	}
	return err
}

// retry repeats a call that a signal interrupted.
func retry(op string, call func() (int, error)) (int, error) {
	n, err := eintr.Get(call)
	if err != nil {
		return -1, &Error{Op: op, Err: err}
	}
	return n, nil
}
