package inroot

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// hostileRoot makes a directory whose links all try to lead out of it.
func hostileRoot(t *testing.T) (dir string, root int) {
	t.Helper()
	top := t.TempDir()
	must(t, os.WriteFile(filepath.Join(top, "secret"), []byte("outside"), 0o644))
	must(t, os.Mkdir(filepath.Join(top, "outdir"), 0o755))
	dir = filepath.Join(top, "root")
	must(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "sub/file"), []byte("inside"), 0o644))
	for name, target := range map[string]string{
		"up":       "../secret",
		"abs":      filepath.Join(top, "secret"),
		"dirup":    "../outdir",
		"slash":    "/",
		"good":     "/sub/file",
		"loop":     "loop",
		"magic":    "/proc/self/root/etc/passwd",
		"dangling": "nowhere",
	} {
		must(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(root) })
	return dir, root
}

// Covers: H1
func TestOpenStaysInTheRoot(t *testing.T) {
	_, root := hostileRoot(t)
	tests := []struct {
		name string
		path string
		want error // nil = the inside file
	}{
		{"H1 plain", "sub/file", nil},
		{"H1 absolute", "/sub/file", nil},
		{"H1 dot dot stays", "../../sub/file", nil},
		{"H1 link to an absolute path is inside", "good", nil},
		{"H1 link to the root", "slash/slash/sub/file", nil},
		{"H1 link up", "up", unix.ENOENT},
		{"H1 link to a host path", "abs", unix.ENOENT},
		{"H1 loop", "loop", unix.ELOOP},
		{"H1 missing", "sub/none", unix.ENOENT},
		{"H1 file as directory", "sub/file/x", unix.ENOTDIR},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fd, err := Open(root, tt.path, unix.O_RDONLY, 0)
			if err != tt.want {
				t.Fatalf("Open(%q) = %v, want %v", tt.path, err, tt.want)
			}
			if err != nil {
				return
			}
			defer unix.Close(fd)
			buf := make([]byte, 20)
			n, err := unix.Read(fd, buf)
			if err != nil || string(buf[:n]) != "inside" {
				t.Errorf("read %q, %v; want the inside file", buf[:n], err)
			}
		})
	}
}

// Covers: H1
func TestOpenRefusesMagicLinks(t *testing.T) {
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY, 0)
	must(t, err)
	defer unix.Close(root)
	if _, err := Open(root, "proc/self/root/etc", unix.O_PATH, 0); err != unix.ELOOP {
		t.Errorf("Open through /proc/self/root = %v, want ELOOP", err)
	}
}

// Covers: H3
func TestMkdirAll(t *testing.T) {
	owner := Owner{UID: 1234, GID: 4321, Mode: 0o1770}
	tests := []struct {
		name, path, made string // made: host path below the root; "" = an error
		created          bool
	}{
		{"H3 one level", "new", "new", true},
		{"H3 several levels", "/a/b//c/.", "a/b/c", true},
		{"H3 existing keeps its owner", "sub", "sub", false},
		{"H3 root", "/", "", false},
		{"H3 below a link to the root", "slash/made", "made", true},
		{"H3 dot dot stays inside", "../../esc", "esc", true},
	}
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, root := hostileRoot(t)
			fd, created, err := MkdirAll(root, tt.path, owner)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if created != tt.created {
				t.Errorf("created = %v, want %v", created, tt.created)
			}
			var got, want unix.Stat_t
			must(t, unix.Fstat(fd, &got))
			must(t, unix.Lstat(filepath.Join(dir, tt.made), &want))
			if got.Ino != want.Ino || got.Dev != want.Dev {
				t.Errorf("the descriptor is not of %s", tt.made)
			}
			isOurs := got.Uid == owner.UID && got.Gid == owner.GID && got.Mode&0o7777 == owner.Mode
			if isOurs != tt.created {
				t.Errorf("owner %d:%d mode %o, created %v", got.Uid, got.Gid, got.Mode, tt.created)
			}
			if tt.path == "/a/b//c/." {
				must(t, unix.Lstat(filepath.Join(dir, "a/b"), &got))
				if got.Uid != 0 || got.Mode&0o7777 != 0o755 {
					t.Errorf("parent: owner %d mode %o, want 0 and 755", got.Uid, got.Mode&0o7777)
				}
			}
		})
	}
}

// Covers: H3
func TestMkdirAllNeverLeadsOut(t *testing.T) {
	dir, root := hostileRoot(t)
	for _, path := range []string{"up/x", "abs/x", "dirup/x", "loop/x", "sub/file/x", "dangling"} {
		if fd, _, err := MkdirAll(root, path, Owner{Mode: 0o777}); err == nil {
			unix.Close(fd)
			t.Errorf("MkdirAll(%q) succeeded", path)
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "../outdir"))
	must(t, err)
	if len(entries) != 0 {
		t.Errorf("something was made outside: %v", entries)
	}
}
