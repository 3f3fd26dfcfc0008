package inroot

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Open opens path with root as the root directory of the lookup. flags and
// mode are those of open(2); O_CLOEXEC is added. A path of "", "." or "/" is
// the root itself.
func Open(root int, path string, flags int, mode uint32) (int, error) {
	if path == "" {
		path = "."
	}
	how := unix.OpenHow{
		Flags:   uint64(flags) | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&unix.O_CREAT != 0 {
		how.Mode = uint64(mode)
	}
	return retryOpen(func() (int, error) { return unix.Openat2(root, path, &how) })
}

// openChild opens an entry of dir, never through a symbolic link.
func openChild(dir int, name string, flags int) (int, error) {
	return retryOpen(func() (int, error) {
		return unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
}

// retryOpen repeats an open that a signal, or a rename elsewhere in the tree
// (EAGAIN of openat2), made fail.
func retryOpen(open func() (int, error)) (int, error) {
	for tries := 0; ; tries++ {
		fd, err := open()
		switch {
		case err == nil:
			return fd, nil
		case err == unix.EINTR:
		case err == unix.EAGAIN && tries < 1000:
		default:
			return -1, err
		}
	}
}

// Owner is the owner of new directories.
type Owner struct {
	UID, GID uint32
	Mode     uint32 // permission bits, sticky bit included; no umask is applied
}

// parentsMode is the mode of directories made on the way to the one asked for.
const parentsMode = 0o755

// MkdirAll opens the directory path below root (O_PATH), and makes it where it
// is missing. Only a directory that is made gets o; the ones made on the way to
// it get mode 0755 and the caller's ids. An existing symbolic link is followed
// inside root, a dangling one is an error.
func MkdirAll(root int, path string, o Owner) (fd int, created bool, err error) {
	dir, err := Open(root, path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != unix.ENOENT {
		return dir, false, err
	}
	names := split(path)
	for i := range names {
		prefix := strings.Join(names[:i+1], "/")
		dir, err := Open(root, prefix, unix.O_PATH|unix.O_DIRECTORY, 0)
		if err == nil {
			unix.Close(dir)
			continue
		}
		if err != unix.ENOENT {
			return -1, false, err
		}
		if created, err = mkdirBelow(root, names[:i], names[i], i == len(names)-1, o); err != nil {
			return -1, false, err
		}
	}
	dir, err = Open(root, path, unix.O_PATH|unix.O_DIRECTORY, 0)
	return dir, created && err == nil, err
}

// split gives the names in a path. ".." is left in: mkdirat refuses it.
func split(path string) []string {
	var names []string
	for _, n := range strings.Split(path, "/") {
		if n != "" && n != "." {
			names = append(names, n)
		}
	}
	return names
}

// mkdirBelow makes one directory; created is false if somebody else was first.
func mkdirBelow(root int, parents []string, name string, last bool, o Owner) (created bool, err error) {
	parent, err := Open(root, strings.Join(parents, "/"), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(parent)
	// 0700 until it has its owner.
	if err := unix.Mkdirat(parent, name, 0o700); err != nil {
		if err == unix.EEXIST {
			// A directory of a neighbour that shares the volume, or a
			// dangling link, which the next lookup tells apart.
			return false, nil
		}
		return false, err
	}
	dir, err := openChild(parent, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return false, err
	}
	defer unix.Close(dir)
	if !last {
		return true, unix.Fchmod(dir, parentsMode)
	}
	if err := unix.Fchown(dir, int(o.UID), int(o.GID)); err != nil {
		return false, err
	}
	return true, unix.Fchmod(dir, o.Mode)
}
