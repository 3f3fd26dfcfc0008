package secrets

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Covers: J1
func TestKeyFileOwnerAndMode(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test gives a file to another user: run it as root")
	}
	for _, tt := range []struct {
		name string
		mode uint32
		uid  int
		want string
	}{
		{"0600", 0o600, 0, ""},
		{"0400", 0o400, 0, ""},
		{"0200", 0o200, 0, ""}, // root reads it nevertheless
		{"0640", 0o640, 0, "has the mode 0640, others than root could use it: chmod 600 /"},
		{"0644", 0o644, 0, "has the mode 0644"},
		{"0604", 0o604, 0, "has the mode 0604"},
		{"0620", 0o620, 0, "has the mode 0620"},
		{"0601", 0o601, 0, "has the mode 0601"},
		{"0700", 0o700, 0, "has the mode 0700"},
		{"4600", 0o4600, 0, "has the mode 4600"},
		{"another owner", 0o600, 1234, "belongs to another user than root, who could exchange it: chown root /"},
	} {
		t.Run("J1 "+tt.name, func(t *testing.T) {
			path := keyFile(t)
			if err := os.Chown(path, tt.uid, -1); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			keys, err := ReadPrivateKeys(path)
			switch {
			case tt.want != "":
				wantError(t, err, tt.want)
			case err != nil || len(keys) != 1:
				t.Errorf("%d keys, %v", len(keys), err)
			}
		})
	}
}

// A group of the file is nothing without its bits.
//
// Covers: J1
func TestGroupOfTheFileDoesNotMatter(t *testing.T) {
	path := keyFile(t)
	if err := os.Chown(path, -1, 1234); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPrivateKeys(path); err != nil {
		t.Error(err)
	}
}

// Covers: J1
func TestKeyFileMustBeRegular(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, mode); err != nil {
			t.Fatal(err)
		}
	}
	good := readFile(t, keyFile(t))
	write("good", 0o600, good)
	write("open", 0o644, good)
	write("broken", 0o600, good[:100])
	write("empty", 0o600, nil)
	write("huge", 0o600, make([]byte, 1<<20))
	write("just too large", 0o600, append(good, make([]byte, maxKeyFile-len(good))...))
	for name, target := range map[string]string{"link": "good", "link to open": "open", "nowhere": "gone", "round": "round"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, want string }{
		{"file", "good", ""},
		{"link", "link", ""},
		{"link to a file for all", "link to open", "link to open has the mode 0644"},
		{"link to nowhere", "nowhere", "cannot read the private key: open " + dir + "/nowhere: no such file"},
		{"link to itself", "round", "too many levels"},
		{"missing", "missing", "no such file or directory"},
		{"directory", ".", "is not a regular file"},
		{"FIFO", "fifo", "is not a regular file"},
		{"device", "../../../../../../../../dev/null", "is not a regular file"},
		{"broken key", "broken", "cannot use the private key " + dir + "/broken: key 1 (line 1): its end is missing"},
		{"empty", "empty", "there is no key in it"},
		{"huge", "huge", "are not a key"},
		{"just too large", "just too large", "are not a key"},
	} {
		t.Run("J1 "+tt.name, func(t *testing.T) {
			done := make(chan error, 1)
			go func() {
				keys, err := ReadPrivateKeys(filepath.Join(dir, tt.path))
				if err == nil && len(keys) != 1 {
					t.Errorf("%d keys", len(keys))
				}
				done <- err
			}()
			select {
			case err := <-done:
				if tt.want != "" {
					wantError(t, err, tt.want)
				} else if err != nil {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("it hangs")
			}
		})
	}
}
