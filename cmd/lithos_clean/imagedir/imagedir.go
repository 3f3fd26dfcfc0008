package imagedir

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
	"lithos/sysx/inroot"
)

// ErrChanged is an entry that is another directory by now, or none.
var ErrChanged = errors.New("it is not the same directory any more")

// ErrLocked is a directory that another process has locked.
var ErrLocked = errors.New("it is locked by another process")

// ID identifies a directory, under any name.
type ID struct{ Dev, Ino uint64 }

// Identify gives the ID of what a path leads to, symbolic links followed. The file
// system that it leads to is not asked, see [look].
func Identify(path string) (ID, error) {
	id, _, err := look(unix.AT_FDCWD, path, 0)
	if err != nil {
		return ID{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return id, nil
}

// look returns the ID and the mode of an entry of a directory. A mount point is
// inspected without asking the mounted file system, which may not answer.
func look(dir int, name string, flags int) (id ID, mode uint16, err error) {
	var st unix.Statx_t
	_, err = eintr.Get(func() (int, error) {
		return 0, unix.Statx(dir, name, flags|unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC, unix.STATX_INO|unix.STATX_TYPE, &st)
	})
	return ID{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino}, st.Mode, err
}

func idOf(st *unix.Stat_t) ID { return ID{uint64(st.Dev), st.Ino} }

// Entry is one image.
type Entry struct {
	Name string // path below the directory
	ID   ID
}

// Dir is an open image directory.
type Dir struct {
	// Step is called for each entry that is looked at, and while one is removed: so
	// that it is known whether it continues. Nil is not at all.
	Step func()

	fd   int
	path string
}

// Open opens the directory; symbolic links on the way to it are followed.
func Open(dir string) (*Dir, error) {
	fd, err := eintr.Get(func() (int, error) {
		return unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return &Dir{fd: fd, path: dir}, nil
}

// Close closes it and gives its lock up.
func (d *Dir) Close() error { return unix.Close(d.fd) }

// Lock locks the directory (flock) against others that do so; it does not
// wait, the error is [ErrLocked].
func (d *Dir) Lock() error {
	_, err := eintr.Get(func() (int, error) { return 0, unix.Flock(d.fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// List gives the directories that lie exactly levels deep, sorted within each
// directory. Symbolic links are neither listed nor followed. want chooses by
// the name of each, and of those on the way to it, for which last is false.
// With an error, which may be several, the entries found are returned, too.
func (d *Dir) List(levels int, want func(base string, last bool) bool) ([]Entry, error) {
	l := lister{want: want, step: d.step}
	l.read(d.fd, "", d.path, levels)
	return l.found, errors.Join(l.errs...)
}

func (d *Dir) step() {
	if d.Step != nil {
		d.Step()
	}
}

type lister struct {
	want  func(string, bool) bool
	step  func()
	found []Entry
	errs  []error
}

func (l *lister) fail(op, path string, err error) {
	l.errs = append(l.errs, &fs.PathError{Op: op, Path: path, Err: err})
}

// read lists one directory; at is its path below the directory.
func (l *lister) read(dir int, at, full string, levels int) {
	names, err := readNames(dir, full)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it may be gone by now
		l.errs = append(l.errs, err)
	}
	for _, name := range names {
		if !l.want(name, levels == 1) {
			continue
		}
		l.step()
		id, mode, err := look(dir, name, unix.AT_SYMLINK_NOFOLLOW)
		switch {
		case err == unix.ENOENT:
			continue
		case err != nil:
			l.fail("stat", path.Join(full, name), err)
			continue
		case mode&unix.S_IFMT != unix.S_IFDIR:
			continue
		}
		if levels == 1 {
			l.found = append(l.found, Entry{path.Join(at, name), id})
			continue
		}
		child, err := openDir(dir, name)
		if err == unix.ENOENT || err == unix.ELOOP || err == unix.ENOTDIR {
			continue // it was replaced meanwhile
		}
		if err != nil {
			l.fail("open", path.Join(full, name), err)
			continue
		}
		l.read(child, path.Join(at, name), path.Join(full, name), levels-1)
		_ = unix.Close(child)
	}
}

// readNames lists a directory; it leaves the descriptor where it is.
func readNames(dir int, full string) ([]string, error) {
	fd, err := openDir(dir, ".")
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: full, Err: err}
	}
	f := os.NewFile(uintptr(fd), full)
	defer f.Close()
	entries, err := f.ReadDir(-1)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, err
}

// openDir opens the directory name in dir, which must be no symbolic link.
func openDir(dir int, name string) (int, error) {
	return eintr.Get(func() (int, error) {
		return unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
}

// parent opens the directory that an entry lies in.
func (d *Dir) parent(name string) (fd int, base string, err error) {
	dir, base := path.Split(name)
	if base == "" || base == "." || base == ".." {
		return -1, "", unix.EINVAL
	}
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	// EAGAIN: something was renamed meanwhile, which must not continue for ever.
	for range 100 {
		fd, err = eintr.Get(func() (int, error) { return unix.Openat2(d.fd, path.Join(dir, "."), &how) })
		if err != unix.EAGAIN {
			break
		}
	}
	return fd, base, err
}

// check says whether name in dir is still the directory with that ID.
func check(dir int, name string, id ID) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
	switch {
	case err == unix.ENOENT:
		return ErrChanged
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT != unix.S_IFDIR || idOf(&st) != id:
		return ErrChanged
	}
	return nil
}

// Rename gives an entry another name in the directory that it lies in. Nothing
// is replaced. If it turns out that another directory was renamed, that one
// gets its name back, and the error is [ErrChanged].
func (d *Dir) Rename(e Entry, to string) (Entry, error) {
	fail := func(err error) (Entry, error) {
		return e, &fs.PathError{Op: "rename", Path: path.Join(d.path, e.Name), Err: err}
	}
	parent, base, err := d.parent(e.Name)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(parent)
	if err := check(parent, base, e.ID); err != nil {
		return fail(err)
	}
	if err := unix.Renameat2(parent, base, parent, to, unix.RENAME_NOREPLACE); err != nil {
		return fail(err)
	}
	if err := check(parent, to, e.ID); err != nil {
		return fail(errors.Join(err, unix.Renameat2(parent, to, parent, base, unix.RENAME_NOREPLACE)))
	}
	return Entry{path.Join(path.Dir(e.Name), to), e.ID}, nil
}

// Remove removes an entry with all that is in it.
//
// Preconditions: nobody keeps writing below it.
func (d *Dir) Remove(e Entry) error {
	parent, base, err := d.parent(e.Name)
	if err == nil {
		defer unix.Close(parent)
		err = check(parent, base, e.ID)
	}
	if err == nil {
		// The magic link is the one way to give inroot a descriptor.
		err = inroot.RemoveSteps("/proc/self/fd/"+strconv.Itoa(parent)+"/"+base, d.step)
	}
	if err == nil {
		return nil
	}
	var inner *inroot.PathError
	if errors.As(err, &inner) {
		err = inner.Err // its path is the descriptor's
	}
	return &fs.PathError{Op: "remove", Path: path.Join(d.path, e.Name), Err: err}
}

// Exists says whether there is anything of that name.
func (d *Dir) Exists(name string) (bool, error) {
	parent, base, err := d.parent(name)
	if err == nil {
		defer unix.Close(parent)
		var st unix.Stat_t
		err = unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	switch err {
	case nil:
		return true, nil
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP:
		return false, nil
	}
	return false, &fs.PathError{Op: "stat", Path: path.Join(d.path, name), Err: err}
}

// ChangedSince says whether an entry, or anything in it down to depth
// directories below, was changed after a time, by its ctime: each change sets
// that, and nobody can set it to another time, as copying programs do with the
// mtime. But renaming a directory sets it, too: with renamed, the entry itself
// counts by its mtime.
func (d *Dir) ChangedSince(e Entry, since time.Time, depth int, renamed bool) (bool, error) {
	fail := func(err error) (bool, error) {
		return false, &fs.PathError{Op: "look at", Path: path.Join(d.path, e.Name), Err: err}
	}
	parent, base, err := d.parent(e.Name)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(parent)
	if err := check(parent, base, e.ID); err != nil {
		return fail(err)
	}
	var st unix.Stat_t
	if err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fail(err)
	}
	recent := after(st.Ctim, since)
	if renamed {
		recent = after(st.Mtim, since) && timeOf(st.Mtim).Before(time.Now())
	}
	if recent {
		return true, nil
	}
	changed, err := d.changedBelow(parent, base, since, depth)
	if err != nil {
		return fail(err)
	}
	return changed, nil
}

func (d *Dir) changedBelow(parent int, base string, since time.Time, depth int) (bool, error) {
	dir, err := openDir(parent, base)
	if err != nil {
		return false, err
	}
	f := os.NewFile(uintptr(dir), base)
	defer f.Close()
	for {
		names, readErr := f.Readdirnames(1024)
		for _, name := range names {
			d.step()
			var st unix.Stat_t
			if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT); err != nil {
				if err == unix.ENOENT {
					return true, nil // gone this very moment
				}
				return false, err
			}
			if after(st.Ctim, since) {
				return true, nil
			}
			if st.Mode&unix.S_IFMT == unix.S_IFDIR && depth > 1 {
				if changed, err := d.changedBelow(dir, name, since, depth-1); changed || err != nil {
					return changed, err
				}
			}
		}
		if len(names) == 0 {
			if readErr == io.EOF {
				readErr = nil
			}
			return false, readErr
		}
	}
}

func after(ts unix.Timespec, since time.Time) bool { return timeOf(ts).After(since) }

func timeOf(ts unix.Timespec) time.Time { return time.Unix(ts.Unix()) }
