package rotate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// places are file systems that can take blocks out of a file, and that can't:
// one of them is a tmpfs. With mkfs.xfs and mkfs.btrfs there are these, too, of
// which one can and the other can't; the virtual machine has neither.
func places(t *testing.T) map[string]string {
	t.Helper()
	shm, err := os.MkdirTemp("/dev/shm", "rotate-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(shm) })
	all := map[string]string{"temp": t.TempDir(), "shm": shm}
	for _, kind := range []string{"xfs", "btrfs"} {
		if lacks := imageLacks(t, kind); lacks != "" {
			t.Logf("not on %s: %s", kind, lacks)
			continue
		}
		all[kind] = imageOf(t, kind)
	}
	return all
}

// imageLacks says why there is no file system of a kind here.
func imageLacks(t *testing.T, kind string) string {
	t.Helper()
	if _, err := exec.LookPath("mkfs." + kind); err != nil {
		return err.Error()
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return err.Error()
	}
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(known), "\t"+kind+"\n") {
		return "the kernel, as it is loaded, has none"
	}
	return ""
}

// imageOf mounts a new file system that lies in a file, for the test.
func imageOf(t *testing.T, kind string) string {
	t.Helper()
	dir := t.TempDir()
	image, on := filepath.Join(dir, "image"), filepath.Join(dir, "on")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// The least that mkfs.xfs makes is 300 MB, of which next to nothing is
	// written.
	if err := os.Truncate(image, 320<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(on, 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	run("mkfs."+kind, "-q", image)
	run("mount", "-o", "loop", image, on)
	t.Cleanup(func() { run("umount", on) })
	return on
}

// TestCollapses: which way is taken is what the file systems are known to do.
func TestCollapses(t *testing.T) {
	want := map[string]bool{"shm": false, "xfs": true, "btrfs": false}
	for kind, dir := range places(t) {
		if can, known := want[kind]; known && collapses(t, dir) != can {
			t.Errorf("%s: takes blocks out of a file: %v", kind, !can)
		}
	}
}
