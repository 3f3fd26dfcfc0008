package untar

import (
	"archive/tar"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"
	"time"

	"lithos/sysx/inroot"

	"golang.org/x/sys/unix"
)

const implied = 0o755 // mode of directories that the archive does not name

// parent opens the directory of a name, which is made if it is missing. The
// descriptor stays the unpacker's.
func (u *unpacker) parent(name string) (int, error) {
	dir := path.Dir(name)
	if u.dir >= 0 && u.dirName == dir {
		return u.dir, nil
	}
	u.forget()
	fd, err := inroot.Open(u.root, dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err == unix.ENOENT {
		fd, err = u.walk(dir, walkMake)
	}
	if err == nil {
		if err = u.markDirectory(fd); err == nil {
			u.dirID, err = idOf(fd)
		}
		if err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return -1, fmt.Errorf("cannot open its directory: %w", err)
	}
	u.dir, u.dirName = fd, dir
	return fd, nil
}

// imply makes a directory that the archive does not name.
func imply(dir int, name string) error {
	if err := unix.Mkdirat(dir, name, 0o700); err != nil {
		return err
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fchmod(fd, implied)
}

// vacate removes the file of that name.
func (u *unpacker) vacate(dir int, name string) error {
	err := inroot.RemoveAt(dir, path.Base(name))
	if err != nil {
		return fmt.Errorf("cannot remove what is there: %w", err)
	}
	return nil
}

// directory makes one, or takes the one that is there.
func (u *unpacker) directory(name string, h *tar.Header) error {
	fd, err := u.openDirectory(name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := u.markDirectory(fd); err != nil {
		return err
	}
	u.when = append(u.when, dated{name, times(h)})
	return u.attributes(fd, h)
}

func (u *unpacker) openDirectory(name string) (int, error) {
	if name == "." {
		return inroot.Open(u.root, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	}
	dir, err := u.parent(name)
	if err != nil {
		return -1, err
	}
	base := path.Base(name)
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(dir, base, flags, 0)
	if err == nil {
		return fd, nil
	}
	if err != unix.ENOENT {
		if err := u.vacate(dir, name); err != nil {
			return -1, err
		}
		// A replaced link may have been on the way to the kept directory.
		defer u.forget()
	}
	if err := unix.Mkdirat(dir, base, 0o700); err != nil {
		return -1, err
	}
	return unix.Openat(dir, base, flags, 0)
}

// file makes a regular file with its content.
func (u *unpacker) file(name string, h *tar.Header, body io.Reader) error {
	switch {
	case h.Size < 0:
		return errNegSize
	case h.Size > u.o.MaxBytes-u.done.Bytes:
		return fmt.Errorf("with this file of %d bytes the archive has more than %d", h.Size, u.o.MaxBytes)
	}
	u.done.Bytes += h.Size
	dir, err := u.free(name)
	if err != nil {
		return err
	}
	fd, err := unix.Openat(dir, path.Base(name), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := u.fill(fd, body, h.Size); err != nil {
		return err
	}
	if err := u.attributes(fd, h); err != nil {
		return err
	}
	t := times(h)
	return futimens(fd, &t)
}

// free makes a name free and gives the directory that it will be in.
func (u *unpacker) free(name string) (dir int, err error) {
	if dir, err = u.vacant(name); err == nil {
		u.own[entryID{u.dirID, path.Base(name)}] = true
	}
	return dir, err
}

func (u *unpacker) vacant(name string) (dir int, err error) {
	if dir, err = u.parent(name); err != nil {
		return -1, err
	}
	var st unix.Stat_t
	switch err := unix.Fstatat(dir, path.Base(name), &st, unix.AT_SYMLINK_NOFOLLOW); err {
	case unix.ENOENT:
		return dir, nil
	case nil:
	default:
		return -1, err
	}
	if err := u.vacate(dir, name); err != nil {
		return -1, err
	}
	if kind := st.Mode & unix.S_IFMT; kind == unix.S_IFDIR || kind == unix.S_IFLNK {
		u.forget()
		return u.parent(name)
	}
	return dir, nil
}

// fill copies the content; runs of zeros become holes.
func (u *unpacker) fill(fd int, body io.Reader, size int64) error {
	buf := make([]byte, min(size, 256<<10))
	var at int64
	for at < size {
		n, err := io.ReadFull(body, buf[:min(int64(len(buf)), size-at)])
		if err != nil {
			return &readError{err}
		}
		if !zero(buf[:n]) {
			if err := writeAt(fd, buf[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
	}
	return unix.Ftruncate(fd, size)
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func writeAt(fd int, b []byte, at int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, at)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b, at = b[n:], at+int64(n)
	}
	return nil
}

func (u *unpacker) symlink(name string, h *tar.Header) error {
	dir, err := u.free(name)
	if err != nil {
		return err
	}
	for range attributesOf(h) {
		u.done.Attributes++ // a link can have none of those that are kept
	}
	base := path.Base(name)
	if err := unix.Symlinkat(h.Linkname, dir, base); err != nil {
		return err
	}
	if err := unix.Fchownat(dir, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	t := times(h)
	return unix.UtimesNanoAt(dir, base, t[:], unix.AT_SYMLINK_NOFOLLOW)
}

// link makes a hard link; the target's own attributes stay.
func (u *unpacker) link(name string, h *tar.Header) error {
	target, err := clean(h.Linkname)
	switch {
	case err != nil:
		return fmt.Errorf("the file that it links to %w", err)
	case target == name:
		return errLink
	}
	from, err := inroot.Open(u.root, path.Dir(target), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("cannot find the file that it links to, %q: %w", clip(h.Linkname), err)
	}
	defer unix.Close(from)
	in, err := idOf(from)
	if err != nil {
		return err
	}
	// Before the name is made free: it may be the target by another way.
	var st unix.Stat_t
	if err := unix.Fstatat(from, path.Base(target), &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		if err == unix.ENOENT && u.no[entryID{in, path.Base(target)}] {
			return u.device(name)
		}
		return fmt.Errorf("cannot find the file that it links to, %q: %w", clip(h.Linkname), err)
	}
	if !u.own[entryID{in, path.Base(target)}] {
		u.done.Once++
	}
	dir, err := u.free(name)
	if err != nil {
		return err
	}
	return unix.Linkat(from, path.Base(target), dir, path.Base(name), 0)
}

// device leaves a device out: the name is free, as if the device had been made
// and taken away.
func (u *unpacker) device(name string) error {
	if _, err := u.free(name); err != nil {
		return err
	}
	u.no[entryID{u.dirID, path.Base(name)}] = true
	u.done.Devices = append(u.done.Devices, name)
	return nil
}

func (u *unpacker) fifo(name string, h *tar.Header) error {
	dir, err := u.free(name)
	if err != nil {
		return err
	}
	base := path.Base(name)
	if err := unix.Mkfifoat(dir, base, 0o600); err != nil {
		return err
	}
	fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return u.attributes(fd, h)
}

// attributes sets owner, extended attributes and mode, in this order: a change
// of the owner takes off bits and capabilities.
func (u *unpacker) attributes(fd int, h *tar.Header) error {
	if err := unix.Fchown(fd, h.Uid, h.Gid); err != nil {
		return err
	}
	for name, text := range attributesOf(h) {
		if !u.keeps(name) {
			u.done.Attributes++
			continue
		}
		switch err := unix.Fsetxattr(fd, name, []byte(text), 0); err {
		case nil:
		case unix.ENOTSUP, unix.EPERM, unix.E2BIG, unix.ERANGE, unix.ENOSPC, unix.EINVAL:
			// The file system can't hold it: on a file of this kind, of this
			// name or size, or not at all.
			u.done.Attributes++
		default:
			return fmt.Errorf("cannot set the attribute %s: %w", clip(name), err)
		}
	}
	mode := uint32(h.Mode) & 0o7777
	if h.Typeflag != tar.TypeDir && !u.o.Privileged && mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
		mode &^= unix.S_ISUID | unix.S_ISGID
		u.done.SetID++
	}
	return unix.Fchmod(fd, mode)
}

// attributesOf gives the extended attributes of an entry.
func attributesOf(h *tar.Header) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for key, value := range h.PAXRecords {
			if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok && !yield(name, value) {
				return
			}
		}
	}
}

func (u *unpacker) keeps(attribute string) bool {
	switch {
	case strings.HasPrefix(attribute, "user."):
		return true
	case attribute == "system.posix_acl_access" || attribute == "system.posix_acl_default":
		return true
	case attribute == "security.capability":
		return u.o.Privileged
	}
	return false
}

// times are those of access and change, the second one if there is no first.
func times(h *tar.Header) [2]unix.Timespec {
	at := h.AccessTime
	if at.IsZero() {
		at = h.ModTime
	}
	return [2]unix.Timespec{timespec(at), timespec(h.ModTime)}
}

func timespec(t time.Time) unix.Timespec {
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}

// futimens sets the times of a descriptor.
func futimens(fd int, t *[2]unix.Timespec) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), t[:], 0)
}

// dates sets the times of directories, which every entry in them had changed.
// One that is gone meanwhile, or became something else, has none.
func (u *unpacker) dates() error {
	for _, d := range u.when {
		fd, err := inroot.Open(u.root, d.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		err = futimens(fd, &d.times)
		unix.Close(fd)
		if err != nil {
			return &Error{d.name, err}
		}
	}
	return nil
}
