package mount

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"lithos/sysx/forkexec"
)

// ReadOnlyFile adds the steps by which a child makes a file read-only for
// itself, in a mount namespace that it has just got: whoever gets hold of the
// file by way of the child (/proc/PID/exe, if it executes it) can't open it for
// writing. All mounts of the namespace are made private first.
func ReadOnlyFile(p *forkexec.Plan, path string) {
	const (
		cwd        = ^uintptr(99) // AT_FDCWD, -100
		sizeofAttr = 32
	)
	name, none, slash := p.String(path), p.String(""), p.String("/")
	private := p.Bytes(attributes(unix.MountAttr{Propagation: unix.MS_PRIVATE}))
	readOnly := p.Bytes(attributes(unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}))
	p.Raw("make the mounts private", unix.SYS_MOUNT_SETATTR, cwd, slash, unix.AT_RECURSIVE, private, sizeofAttr)
	p.Raw("use "+path, unix.SYS_OPEN_TREE, cwd, name, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC).Feed(1)
	p.Raw("move_mount "+path, unix.SYS_MOVE_MOUNT, 0, none, cwd, name, unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS)
	p.Raw("mount_setattr "+path, unix.SYS_MOUNT_SETATTR, cwd, name, 0, readOnly, sizeofAttr)
}

// attributes are as the kernel has them.
func attributes(a unix.MountAttr) []byte {
	var b []byte
	for _, v := range []uint64{a.Attr_set, a.Attr_clr, a.Propagation, a.Userns_fd} {
		b = binary.NativeEndian.AppendUint64(b, v)
	}
	return b
}
