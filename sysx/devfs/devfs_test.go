package devfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Covers: K7
func TestMakeDevices(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("device nodes are made by root only: run this as root")
	}
	old := unix.Umask(0o077) // is to play no part
	defer unix.Umask(old)
	dir := t.TempDir() + "/some/where/dev"
	must(t, Make(dir))
	want := map[string]string{
		"null": "c 666 1:3", "zero": "c 666 1:5", "full": "c 666 1:7", "random": "c 666 1:8", "urandom": "c 666 1:9", "tty": "c 666 5:0",
		"pts": "d 755", "shm": "d 755",
		"ptmx": "l pts/ptmx", "fd": "l /proc/self/fd", "stdin": "l /proc/self/fd/0", "stdout": "l /proc/self/fd/1", "stderr": "l /proc/self/fd/2",
	}
	check := func() {
		t.Helper()
		entries, err := os.ReadDir(dir)
		must(t, err)
		if len(entries) != len(want) {
			t.Errorf("%d entries, want %d: %v", len(entries), len(want), entries)
		}
		for name, w := range want {
			if got := describe(t, filepath.Join(dir, name)); got != w {
				t.Errorf("%s is %q, want %q", name, got, w)
			}
		}
	}
	check()
	var before, after unix.Stat_t
	must(t, unix.Stat(dir+"/null", &before))
	must(t, Make(dir)) // again: nothing changes
	check()
	must(t, unix.Stat(dir+"/null", &after))
	if before.Ino != after.Ino {
		t.Error("null was made anew")
	}
	f, err := os.OpenFile(dir+"/null", os.O_WRONLY, 0)
	must(t, err)
	f.Close()
}

func describe(t *testing.T, path string) string {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(path, &st))
	mode := string([]byte{'0' + byte(st.Mode>>6&7), '0' + byte(st.Mode>>3&7), '0' + byte(st.Mode&7)})
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return "c " + mode + " " + string(rune('0'+unix.Major(st.Rdev))) + ":" + string(rune('0'+unix.Minor(st.Rdev)))
	case unix.S_IFDIR:
		return "d " + mode
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		must(t, err)
		return "l " + target
	}
	return "?"
}

// Covers: K7
func TestWrongEntriesAreReportedAndKept(t *testing.T) {
	tests := []struct {
		name string
		make func(dir string) error
		want string
	}{
		{"K7 file", func(d string) error { return os.WriteFile(d+"/null", nil, 0o666) },
			"/null: is a regular file and should be a character device"},
		{"K7 wrong device", func(d string) error { return unix.Mknod(d+"/zero", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 1))) },
			"/zero: is device 1:1 and should be 1:5"},
		{"K7 wrong mode", func(d string) error {
			if err := unix.Mknod(d+"/full", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 7))); err != nil {
				return err
			}
			return os.Chmod(d+"/full", 0o600)
		}, "/full: has mode 0600 and should have 0666"},
		{"K7 wrong link", func(d string) error { return os.Symlink("/dev/ptmx", d+"/ptmx") },
			"/ptmx: is a link to /dev/ptmx and should be one to pts/ptmx"},
		{"K7 link instead of a directory", func(d string) error { return os.Symlink("/dev/shm", d+"/shm") },
			"/shm: is a symbolic link and should be a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, tt.make(dir))
			err := Make(dir)
			if err == nil || !strings.Contains(err.Error(), dir+tt.want) || !strings.Contains(err.Error(), "remove it and run this again") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if strings.Count(err.Error(), "\n") != 0 {
				t.Errorf("more than one line: %v", err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != len(nodes) {
				t.Errorf("the others are not there: %v", entries)
			}
		})
	}
}

// Covers: K7
func TestMissingDirectory(t *testing.T) {
	file := t.TempDir() + "/file"
	must(t, os.WriteFile(file, nil, 0o644))
	for _, dir := range []string{file, file + "/dev"} {
		if err := Make(dir); err == nil || !strings.Contains(err.Error(), "cannot make the directory") {
			t.Errorf("Make(%s) = %v", dir, err)
		}
	}
}
