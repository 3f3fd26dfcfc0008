package imagedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tree makes directories (with a trailing slash), files, and links (FROM>TO)
// in a new directory, and opens it.
func tree(t *testing.T, names ...string) (string, *Dir) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		from, to, link := strings.Cut(name, ">")
		path := filepath.Join(dir, from)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		switch {
		case link:
			must(t, os.Symlink(to, path))
		case strings.HasSuffix(name, "/"):
			must(t, os.MkdirAll(path, 0o755))
		default:
			must(t, os.WriteFile(path, []byte("text"), 0o644))
		}
	}
	s, err := Open(dir)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return dir, s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func everything(string, bool) bool { return true }

func names(entries []Entry) []string {
	var list []string
	for _, e := range entries {
		list = append(list, e.Name)
	}
	return list
}

// one is the entry of that name.
func one(t *testing.T, s *Dir, name string) Entry {
	t.Helper()
	entries, err := s.List(strings.Count(name, "/")+1, everything)
	must(t, err)
	for _, e := range entries {
		if e.Name == name {
			return e
		}
	}
	t.Fatalf("no %s in %v", name, entries)
	return Entry{}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestListGivesDirectoriesOfOneDepth(t *testing.T) {
	outside := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(outside, "v1/deep"), 0o755))
	_, s := tree(t, "a/1/x/y/", "a/2/", "b/", "c/file", "file", "d/link>../a/1", "out>"+outside,
		"a/out>"+outside, "dangling>nowhere", ".hidden/1/", "a/.hidden/", "a/\xff\n/", "loop>.")
	for _, test := range []struct {
		levels int
		want   []string
	}{
		{1, []string{".hidden", "a", "b", "c", "d"}},
		{2, []string{".hidden/1", "a/\xff\n", "a/.hidden", "a/1", "a/2"}},
		{3, []string{"a/1/x"}},
		{5, nil},
	} {
		entries, err := s.List(test.levels, everything)
		slices.Sort(test.want)
		got := names(entries)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%d levels: got %q, %v; want %q", test.levels, got, err, test.want)
		}
	}
	entries, err := s.List(2, func(base string, last bool) bool { return last || base == "a" })
	if err != nil || len(entries) != 4 {
		t.Errorf("chosen: %q, %v", names(entries), err)
	}
}

func TestListTellsWhatItCannotRead(t *testing.T) {
	dir, s := tree(t, "a/1/", "b/1/")
	closed := &Dir{fd: -1, path: dir}
	if _, err := closed.List(1, everything); !errors.Is(err, unix.EBADF) {
		t.Errorf("a directory that can't be read: %v", err)
	}
	must(t, os.RemoveAll(dir))
	if entries, err := s.List(2, everything); err != nil || len(entries) > 0 {
		t.Errorf("a directory that was removed: %v, %v", entries, err)
	}
	if _, err := Open(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opened a directory that is missing: %v", err)
	}
}

func TestRenameAndRemove(t *testing.T) {
	dir, s := tree(t, "svc/v1/bin/prog", "svc/v2/", "svc/link>v2")
	e := one(t, s, "svc/v1")
	aside, err := s.Rename(e, ".aside")
	must(t, err)
	if aside.Name != "svc/.aside" || exists(filepath.Join(dir, "svc/v1")) || !exists(filepath.Join(dir, "svc/.aside/bin/prog")) {
		t.Errorf("renamed to %+v", aside)
	}
	back, err := s.Rename(aside, "v1")
	if err != nil || back != e {
		t.Errorf("back is %+v, %v", back, err)
	}
	if _, err := s.Rename(e, "v2"); !errors.Is(err, os.ErrExist) {
		t.Errorf("replaced another one: %v", err)
	}
	must(t, s.Remove(e))
	if exists(filepath.Join(dir, "svc/v1")) || !exists(filepath.Join(dir, "svc/v2")) {
		t.Error("removed the wrong one")
	}
	if err := s.Remove(e); !errors.Is(err, ErrChanged) {
		t.Errorf("removed it twice: %v", err)
	}
}

// An entry that is something else by now is left alone, whatever it is.
func TestAnEntryThatWasReplacedIsLeftAlone(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "precious"), nil, 0o644))
	for name, replace := range map[string]func(path string) error{
		"another directory": func(p string) error { return os.Mkdir(p, 0o755) },
		"a link out":        func(p string) error { return os.Symlink(outside, p) },
		"a file":            func(p string) error { return os.WriteFile(p, nil, 0o644) },
		"nothing":           func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir, s := tree(t, "v1/")
			e := one(t, s, "v1")
			must(t, os.Rename(filepath.Join(dir, "v1"), filepath.Join(dir, "moved")))
			must(t, replace(filepath.Join(dir, "v1")))
			if err := s.Remove(e); !errors.Is(err, ErrChanged) {
				t.Errorf("removed: %v", err)
			}
			if _, err := s.Rename(e, "x"); !errors.Is(err, ErrChanged) {
				t.Errorf("renamed: %v", err)
			}
			if _, err := s.ChangedSince(e, time.Now(), 1, false); !errors.Is(err, ErrChanged) {
				t.Errorf("looked at: %v", err)
			}
			if !exists(filepath.Join(outside, "precious")) || !exists(filepath.Join(dir, "moved")) {
				t.Error("something is gone")
			}
		})
	}
}

// A directory on the way that became a link, with the same names behind it.
func TestNoLinkOnTheWayIsFollowed(t *testing.T) {
	dir, s := tree(t, "svc/v1/")
	e := one(t, s, "svc/v1")
	outside := t.TempDir()
	must(t, os.Rename(filepath.Join(dir, "svc"), filepath.Join(outside, "svc")))
	must(t, os.Symlink(filepath.Join(outside, "svc"), filepath.Join(dir, "svc")))
	if err := s.Remove(e); !errors.Is(err, unix.ELOOP) {
		t.Errorf("removed through a link: %v", err)
	}
	if _, err := s.Rename(e, "x"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("renamed through a link: %v", err)
	}
	if there, err := s.Exists("svc/v1"); there || err != nil {
		t.Errorf("exists: %v, %v", there, err)
	}
	if !exists(filepath.Join(outside, "svc/v1")) {
		t.Error("it is gone")
	}
}

func TestNamesThatAreNoEntries(t *testing.T) {
	dir, s := tree(t, "v1/")
	id, err := Identify(dir)
	must(t, err)
	for _, name := range []string{"", ".", "..", "v1/..", "v1/.", "/", "../" + filepath.Base(dir), "/etc/x", "v1/../../x/y"} {
		if err := s.Remove(Entry{name, id}); err == nil {
			t.Errorf("removed %q", name)
		}
	}
	if !exists(filepath.Join(dir, "v1")) {
		t.Error("it is gone")
	}
}

func TestRemoveFollowsNoLinkInside(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "precious"), nil, 0o644))
	dir, s := tree(t, "v1/etc>"+outside, "v1/up>../..", "v1/a/b>"+outside+"/precious", "v2/")
	must(t, s.Remove(one(t, s, "v1")))
	if exists(filepath.Join(dir, "v1")) || !exists(filepath.Join(dir, "v2")) || !exists(filepath.Join(outside, "precious")) {
		t.Error("removed the wrong things")
	}
}

func TestRemoveAHugeTree(t *testing.T) {
	dir, s := tree(t, "v1/")
	for i := range 60 {
		sub := filepath.Join(dir, "v1", fmt.Sprint(i))
		must(t, os.Mkdir(sub, 0o700))
		for j := range 50 {
			must(t, os.WriteFile(filepath.Join(sub, fmt.Sprint(j)), nil, 0o600))
		}
	}
	// Deeper than a path may be long.
	fd, err := unix.Open(filepath.Join(dir, "v1"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	for range 2200 {
		must(t, unix.Mkdirat(fd, "deep", 0o700))
		child, err := unix.Openat(fd, "deep", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err)
		_ = unix.Close(fd)
		fd = child
	}
	_ = unix.Close(fd)
	e := one(t, s, "v1")
	if changed, err := s.ChangedSince(e, time.Now().Add(time.Hour), 32, false); changed || err != nil {
		t.Errorf("changed in the future: %v, %v", changed, err)
	}
	must(t, s.Remove(e))
	if exists(filepath.Join(dir, "v1")) {
		t.Error("something is left")
	}
}

func TestChangedSince(t *testing.T) {
	dir, s := tree(t, "v1/a/b/c/file", "v1/link>/etc/passwd", "v1/dangling>x")
	e := one(t, s, "v1")
	ask := func(since time.Time, depth int, renamed bool) bool {
		t.Helper()
		changed, err := s.ChangedSince(e, since, depth, renamed)
		must(t, err)
		return changed
	}
	if !ask(time.Now().Add(-time.Hour), 9, false) || ask(time.Now().Add(time.Hour), 9, false) {
		t.Error("a new directory")
	}
	// Copying programs set the mtime to what it was elsewhere: that hides no
	// change, and one in the future is none.
	old := time.Now().Add(-1000 * time.Hour)
	must(t, os.Chtimes(filepath.Join(dir, "v1"), old, old))
	if !ask(time.Now().Add(-time.Hour), 1, false) {
		t.Error("an old mtime hides a change")
	}
	must(t, os.Chtimes(filepath.Join(dir, "v1"), old, time.Now().Add(1000*time.Hour)))
	if mark := settle(t, dir); ask(mark, 9, false) || ask(mark, 9, true) {
		t.Error("a time in the future counts")
	}
	// Each depth is found at its depth, and no deeper.
	for depth, name := range []string{"v1/new", "v1/a/new", "v1/a/b/new", "v1/a/b/c/new"} {
		mark := settle(t, dir)
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
		if !ask(mark, depth+1, false) {
			t.Errorf("%s is not found at depth %d", name, depth+1)
		}
		if depth > 1 && ask(mark, depth-1, false) {
			t.Errorf("%s is found at depth %d", name, depth-1)
		}
	}
	// A rename is none of the changes that matter after it.
	mark := settle(t, dir)
	moved, err := s.Rename(e, "aside")
	must(t, err)
	e = moved
	if !ask(mark, 9, false) || ask(mark, 9, true) {
		t.Error("the ctime of a renamed directory")
	}
	must(t, os.WriteFile(filepath.Join(dir, "aside/new2"), nil, 0o644))
	if !ask(mark, 9, true) {
		t.Error("a change after the rename")
	}
}

// settle gives a time that the file system's clock has passed: it ticks only
// every few milliseconds.
func settle(t *testing.T, dir string) time.Time {
	t.Helper()
	mark := time.Now()
	probe := filepath.Join(dir, "..", filepath.Base(dir)+".probe")
	for deadline := mark.Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		must(t, os.WriteFile(probe, nil, 0o644))
		var st unix.Stat_t
		must(t, unix.Lstat(probe, &st))
		must(t, os.Remove(probe))
		if timeOf(st.Ctim).After(mark) {
			return mark
		}
	}
	t.Fatal("the file system's clock stands still")
	return mark
}

func TestLock(t *testing.T) {
	dir, s := tree(t)
	must(t, s.Lock())
	must(t, s.Lock()) // the same one again
	other, err := Open(dir)
	must(t, err)
	defer other.Close()
	if err := other.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}
	must(t, s.Close())
	must(t, other.Lock())
	s.fd, err = syscall.Dup(other.fd) // for the cleanup
	must(t, err)
}

func TestExistsAndIdentify(t *testing.T) {
	dir, s := tree(t, "a/v1/", "a/link>v1", "a/dangling>x")
	for name, want := range map[string]bool{"a/v1": true, "a/link": true, "a/dangling": true, "a/x": false, "b/v1": false, "a/link/x": false} {
		if got, err := s.Exists(name); got != want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	direct, err := Identify(filepath.Join(dir, "a/v1"))
	must(t, err)
	linked, err := Identify(filepath.Join(dir, "a/link"))
	must(t, err)
	if direct != linked || direct != one(t, s, "a/v1").ID {
		t.Errorf("%v and %v", direct, linked)
	}
	if _, err := Identify(filepath.Join(dir, "a/dangling")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a dangling link: %v", err)
	}
}

// Something mounted in an entry stays whole, and so does what is mounted.
func TestRemoveStopsAtAMount(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "precious"), nil, 0o644))
	dir, s := tree(t, "v1/mnt/")
	point := filepath.Join(dir, "v1/mnt")
	if err := unix.Mount(outside, point, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("cannot mount, this test needs root: %v", err)
	}
	defer func() { _ = unix.Unmount(point, unix.MNT_DETACH) }()
	if err := s.Remove(one(t, s, "v1")); !errors.Is(err, unix.EBUSY) {
		t.Errorf("removed a mount point: %v", err)
	}
	if !exists(filepath.Join(outside, "precious")) {
		t.Error("what was mounted is gone")
	}
}
