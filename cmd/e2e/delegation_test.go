package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A service of systemd with Delegate=yes: on version 2 the daemon keeps to the
// group that is delegated to it, moves to a leaf below it, and makes the
// containers' groups there. Where version 1 has the controllers, containers
// are in its hierarchies as ever, and the daemon stays where it is.
func TestM1_M2_M3_DelegatedGroup(t *testing.T) {
	t.Parallel()
	mount, pure := version2(t)
	name := fmt.Sprintf("lithos-e2e-%d-delegated.service", os.Getpid())
	service := filepath.Join(mount, name)
	if pure {
		// As systemd has it; a group can only pass on what it is given.
		must(t, os.WriteFile(filepath.Join(mount, "cgroup.subtree_control"), []byte("+cpu +memory"), 0))
	}
	must(t, os.Mkdir(service, 0o755))
	t.Cleanup(func() {
		if err := os.Remove(service); err != nil {
			t.Errorf("something is left in the delegated group: %v", err)
		}
	})
	must(t, unix.Setxattr(service, "trusted.delegate", []byte("1"), 0))
	group, err := os.OpenFile(service, unix.O_PATH|unix.O_DIRECTORY, 0)
	must(t, err)
	t.Cleanup(func() { _ = group.Close() })

	h := one(t, simple("memory-limit: 64Mi", "wait"))
	cmd := h.command()
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(group.Fd())
	h.launch(cmd)
	program := h.running("box/app.0")["box/app.0"].program

	own, base := "/"+name, ""
	if pure {
		own, base = own+"/"+h.cgroup+"/supervisor", filepath.Join(service, h.cgroup)
	}
	if got := groupOnVersion2(t, h.daemon.cmd.Process.Pid); got != own {
		t.Errorf("the daemon is in %s, want %s", got, own)
	}
	if pure {
		if got, want := groupOnVersion2(t, program), "/"+name+"/"+h.cgroup+"/box:app.0.scope"; got != want {
			t.Errorf("M1 the program is in %s, want %s", got, want)
		}
		for _, dir := range cgroupsMatching("/" + h.cgroup) {
			if !strings.HasPrefix(dir, base) {
				t.Errorf("M2 %s is outside of the delegated group", dir)
			}
		}
	}
	if file, n := h.limit("box/app.0", "memory.limit_in_bytes", "memory.max"); n != 64<<20 {
		t.Errorf("M3 %s is %d, want 64 MiB", file, n)
	}
	h.stop()
	if pure {
		// There is no way back from the leaf (the group above hands out
		// controllers, so it takes no process): who made the service removes
		// it. The containers' groups have to be gone.
		must(t, os.Remove(filepath.Join(base, "supervisor")))
		must(t, os.Remove(base))
	}
}

// version2 is where version 2 is mounted, and whether it is all there is.
func version2(t *testing.T) (mount string, pure bool) {
	t.Helper()
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(mount, "cgroup.controllers")); err == nil {
			return mount, mount == "/sys/fs/cgroup"
		}
	}
	t.Fatal("no cgroup version 2 is mounted on /sys/fs/cgroup or /sys/fs/cgroup/unified; " +
		"mount it: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified")
	return "", false
}

// groupOnVersion2 is the line of /proc/PID/cgroup for version 2.
func groupOnVersion2(t *testing.T, pid int) string {
	t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	must(t, err)
	for line := range strings.Lines(string(data)) {
		if group, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSpace(group)
		}
	}
	t.Fatalf("process %d is in no group of version 2:\n%s", pid, data)
	return ""
}
