package inroot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Covers: I1
func TestRemoveAll_KindsOfFiles(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.MkdirAll(filepath.Join(outside, "sub"), 0o755))
	must(t, os.WriteFile(filepath.Join(outside, "sub/precious"), []byte("x"), 0o644))

	tests := []struct {
		name string
		make func(t *testing.T, path string)
	}{
		{"I1 missing", func(t *testing.T, path string) {}},
		{"I1 regular file", func(t *testing.T, path string) { must(t, os.WriteFile(path, nil, 0o644)) }},
		{"I1 symlink to a directory", func(t *testing.T, path string) { must(t, os.Symlink(outside, path)) }},
		{"I1 dangling symlink", func(t *testing.T, path string) { must(t, os.Symlink("nowhere", path)) }},
		{"I1 fifo", func(t *testing.T, path string) { must(t, unix.Mkfifo(path, 0o644)) }},
		{"I1 empty directory", func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o755)) }},
		{"I1 no permissions", func(t *testing.T, path string) {
			must(t, os.MkdirAll(path+"/a/b", 0o755))
			must(t, os.WriteFile(path+"/a/b/c", nil, 0))
			must(t, os.Chmod(path+"/a/b", 0))
			must(t, os.Chmod(path+"/a", 0))
		}},
		{"I1 links inside lead out", func(t *testing.T, path string) {
			must(t, os.MkdirAll(path+"/a/b", 0o755))
			must(t, os.Symlink(outside, path+"/link"))
			must(t, os.Symlink(outside, path+"/a/link"))
			must(t, os.Symlink(outside+"/sub", path+"/a/b/link"))
		}},
		{"I1 same names at all depths", func(t *testing.T, path string) {
			must(t, os.MkdirAll(path+"/x/x/x/x", 0o755))
			must(t, os.MkdirAll(path+"/.removed-1/.removed-1/.removed-2", 0o755))
			must(t, os.WriteFile(path+"/.removed-3", nil, 0o644))
		}},
		{"I1 wide", func(t *testing.T, path string) {
			for i := range 3000 {
				must(t, os.MkdirAll(fmt.Sprintf("%s/a/%d/b", path, i), 0o755))
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "victim")
			tt.make(t, path)
			if err := RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("Lstat after RemoveAll: %v, want not existing", err)
			}
			if _, err := os.Stat(filepath.Join(outside, "sub/precious")); err != nil {
				t.Errorf("a file outside is gone: %v", err)
			}
		})
	}
}

// The standard library's RemoveAll holds a descriptor for each level.
//
// Covers: I1
func TestRemoveAllSurvivesAVeryDeepTree(t *testing.T) {
	const depth = 20_000 // ten times PATH_MAX
	// On a tmpfs, where state directories are, and twenty times faster.
	shm, err := os.MkdirTemp("/dev/shm", "lithos-test-")
	must(t, err)
	path := filepath.Join(shm, "victim")
	t.Cleanup(func() { RemoveAll(shm) })
	must(t, os.Mkdir(path, 0o755))
	dir, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	must(t, err)
	for range depth {
		must(t, unix.Mkdirat(dir, "d", 0o755))
		next, err := unix.Openat(dir, "d", unix.O_PATH|unix.O_DIRECTORY, 0)
		must(t, err)
		unix.Close(dir)
		dir = next
	}
	unix.Close(dir)
	if err := RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Lstat after RemoveAll: %v", err)
	}
}

func TestRemoveAll_Errors(t *testing.T) {
	for _, path := range []string{"", ".", "..", "/", "a/.."} {
		if err := RemoveAll(path); !errors.Is(err, unix.EINVAL) {
			t.Errorf("RemoveAll(%q) = %v, want EINVAL", path, err)
		}
	}
	if err := RemoveAll(filepath.Join(t.TempDir(), "no/such/parent")); err != nil {
		t.Errorf("RemoveAll below a missing directory: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
