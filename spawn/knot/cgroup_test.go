package knot_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// The program and what it starts are in the container's group, PID 1 is where
// the supervisor is: its memory is not the container's.
//
// Covers: M7
func TestProgramJoinsItsGroupsAndPIDOneDoesNot(t *testing.T) {
	hierarchies := cgroupMounts(t)
	if len(hierarchies) == 0 {
		t.Fatal("no cgroups are mounted on this machine")
	}
	for fstype, dir := range hierarchies {
		t.Run("M7 "+fstype, func(t *testing.T) {
			name := fmt.Sprintf("lithos-test-%d-knot", os.Getpid())
			group := dir + "/" + name
			must(t, os.Mkdir(group, 0o755))
			b := newBox(t, "daemon:touch:/out/daemon+forever", "await:/out/daemon", "touch:/out/up", "forever")
			t.Cleanup(func() {
				unix.Kill(b.pid, unix.SIGKILL)
				b.wait()
				b.await("the group to be empty", func() bool { return os.Remove(group) == nil })
			})
			path, flags := group+"/tasks", os.O_WRONLY
			if fstype == "cgroup2" {
				path, flags, b.spec.CgroupV2 = group, os.O_RDONLY, true
			}
			f, err := os.OpenFile(path, flags, 0)
			must(t, err)
			defer f.Close()
			b.listen(3) // the group's descriptor comes after it
			b.cgroups = []*os.File{f}
			b.start()
			b.awaitFile("up")
			procs := strings.Fields(b.read(group + "/cgroup.procs"))
			if len(procs) != 2 {
				t.Errorf("processes %v in the group, want the program and its daemon", procs)
			}
			for _, pid := range procs {
				if pid == fmt.Sprint(b.pid) {
					t.Error("PID 1 is in the group")
				}
			}
			b.signal(unix.SIGTERM)
			if code := b.exit(); code != wire.ExitNormal {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// cgroupMounts is one mount point of each version, as there is.
func cgroupMounts(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mounts")
	must(t, err)
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[2] == "cgroup2" || f[2] == "cgroup" && strings.Contains(f[3], "memory") {
			found[f[2]] = f[1]
		}
	}
	return found
}

// Where joining fails the program isn't run without its limits.
//
// Covers: M7
func TestUnjoinableGroup(t *testing.T) {
	b := newBox(t)
	f, err := os.Open("/dev/full")
	must(t, err)
	defer f.Close()
	b.cgroups = []*os.File{f} // opened for reading
	if got := b.failed(); !strings.Contains(got, "cannot write to the cgroup's tasks file") {
		t.Errorf("%q", got)
	}
}
