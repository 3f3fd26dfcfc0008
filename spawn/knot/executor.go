package knot

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/inroot"
	"lithos/sysx/mount"
)

// executor carries out a recipe, in a process with Go's runtime.
type executor struct {
	k      *knot
	spaces spaces

	files []int // open ones, see closeFrom
	err   error
	// fresh says that the last operation is the one that failed.
	fresh bool
	// skipping says that the operations up to until are left out, see may.
	skipping bool
}

// do carries out an operation, if none has failed.
func (x *executor) do(operation func() error) {
	x.fresh = false
	if x.err != nil || x.skipping {
		return
	}
	for {
		if x.err = operation(); x.err != unix.EINTR {
			break
		}
	}
	x.fresh = x.err != nil
}

// get is do for what opens a file.
func (x *executor) get(open func() (int, error)) (f handle) {
	x.do(func() error {
		fd, err := open()
		if err == nil {
			f = num(fd)
			x.files = append(x.files, fd)
		}
		return err
	})
	return f
}

func (f handle) fd() int { return int(f.n) }

func (x *executor) failure() error { return x.err }

func (x *executor) failed(errno unix.Errno) bool { return x.fresh && errors.Is(x.err, errno) }

func (x *executor) amend(err error) { x.err = err }

func (x *executor) refuse(err error) { x.do(func() error { return err }) }

func (x *executor) may(errnos []unix.Errno) (mark int) {
	for _, errno := range errnos {
		if x.failed(errno) {
			x.err, x.fresh, x.skipping = nil, false, true
			return 0
		}
	}
	return noMark
}

func (x *executor) until(mark int) { x.skipping = x.skipping && mark == noMark }

func (x *executor) opened() (mark int) { return len(x.files) }

func (x *executor) closeFrom(mark int) {
	for _, fd := range x.files[mark:] {
		unix.Close(fd)
	}
	x.files = x.files[:mark]
}

func (x *executor) call(trap uintptr, a, b, c uintptr) {
	x.do(func() error {
		if _, _, errno := unix.Syscall(trap, a, b, c); errno != 0 {
			return errno
		}
		return nil
	})
}

func (x *executor) openLog(path string) {
	x.do(func() (err error) {
		x.k.log, err = openLog(path)
		return err
	})
}

func (x *executor) askForAddress(n *wire.Network) {
	x.do(func() error { return claim(x.spaces.network, n) })
}

func (x *executor) claimAddress(*wire.Network) {}

func (x *executor) run(command []string) {
	x.do(func() error { return x.k.afterSetup(command, x.spaces.network) })
}

func (x *executor) open(dir handle, path string, flags int, mode uint32) handle {
	return x.get(func() (int, error) { return unix.Openat(dir.fd(), path, flags|unix.O_CLOEXEC, mode) })
}

func (x *executor) openIn(root handle, path string, owner *inroot.Owner) handle {
	return x.get(func() (fd int, err error) {
		if root == host {
			fd, err = unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		} else {
			fd, err = inroot.Open(root.fd(), path, unix.O_PATH, 0)
		}
		if err == unix.ENOENT && owner != nil {
			return mkdirAll(root, path, *owner)
		}
		return fd, err
	})
}

func (x *executor) removeAll(path string) { x.do(func() error { return inroot.RemoveAll(path) }) }

func (x *executor) makeDir(root handle, path string, o inroot.Owner) handle {
	return x.get(func() (int, error) { return mkdirAll(root, path, o) })
}

// mkdirAll opens a directory, and makes it where it is missing.
func mkdirAll(root handle, path string, o inroot.Owner) (fd int, err error) {
	top := root.fd()
	if root == host {
		if top, err = unix.Open("/", dirFlags|unix.O_CLOEXEC, 0); err != nil {
			return -1, err
		}
		defer unix.Close(top)
	}
	fd, _, err = inroot.MkdirAll(top, path, o)
	return fd, err
}

func (x *executor) mkdir(dir handle, name string, mode uint32) {
	x.do(func() error { return unix.Mkdirat(dir.fd(), name, mode) })
}

func (x *executor) chmod(f handle, mode uint32) {
	x.do(func() error { return unix.Fchmod(f.fd(), mode) })
}

func (x *executor) write(f handle, text []byte) {
	x.do(func() error { return writeAll(f.fd(), text) })
}

// copyFile does not hold the file in memory.
func (x *executor) copyFile(f handle, source string, wholeLines bool) {
	x.do(func() error {
		src, err := unix.Open(source, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(src)
		typ, err := typeOf(src)
		if err != nil {
			return err
		}
		if typ != unix.S_IFREG {
			return errors.New("it is no regular file")
		}
		last, err := appendFrom(f.fd(), src)
		if err == nil && wholeLines && last != '\n' {
			err = writeAll(f.fd(), []byte{'\n'})
		}
		return err
	})
}

// appendFrom gives the last byte, '\n' if there is none.
func appendFrom(f, src int) (last byte, err error) {
	buf := make([]byte, 4096)
	last = '\n'
	for {
		n, err := unix.Read(src, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return last, err
		}
		if err := writeAll(f, buf[:n]); err != nil {
			return last, err
		}
		last = buf[n-1]
	}
}

func typeOf(fd int) (uint32, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return st.Mode & unix.S_IFMT, err
}

func (x *executor) kind(f handle, types []uint32) {
	x.do(func() error {
		typ, err := typeOf(f.fd())
		if err == nil && !slices.Contains(types, typ) {
			err = unix.EINVAL
		}
		return err
	})
}

func (x *executor) makePrivate() { x.do(mount.MakePrivate) }

func (x *executor) newFS(fstype string, attr mount.Attr, options []mount.Option) handle {
	return x.get(func() (int, error) { return mount.New(fstype, attr, options...) })
}

func (x *executor) clone(f handle, recursive bool) handle {
	return x.get(func() (int, error) { return mount.Clone(f.fd(), recursive) })
}

func (x *executor) setAttr(tree handle, set, clear mount.Attr, recursive bool) {
	x.do(func() error { return mount.SetAttr(tree.fd(), set, clear, recursive) })
}

func (x *executor) mapIDs(tree handle, userns int) {
	x.do(func() error { return mount.MapIDs(tree.fd(), userns) })
}

// move explains an EINVAL of the kernel.
func (x *executor) move(tree, target handle) {
	x.do(func() error {
		err := mount.Move(tree.fd(), target.fd())
		if !errors.Is(err, unix.EINVAL) {
			return err
		}
		source, sourceErr := typeOf(tree.fd())
		dest, destErr := typeOf(target.fd())
		switch {
		case sourceErr != nil || destErr != nil:
		case source == unix.S_IFDIR && dest != unix.S_IFDIR:
			return errors.New("the source is a directory, the mount point is none")
		case source != unix.S_IFDIR && dest == unix.S_IFDIR:
			return errors.New("the source is no directory, the mount point is one")
		}
		return err
	})
}

func (x *executor) pivot(root handle) { x.do(func() error { return mount.PivotRoot(root.fd()) }) }
