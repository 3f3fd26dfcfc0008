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
//
// Covers: M1, M2, M3
func TestDaemonUsesADelegatedCgroup(t *testing.T) {
	t.Parallel()
	mount, pure := version2(t)
	name := fmt.Sprintf("lithos-e2e-%d-delegated.service", os.Getpid())
	service := filepath.Join(mount, name)
	if pure {
		// As systemd has it; a group can only pass on what it is given.
		must(t, os.WriteFile(filepath.Join(mount, "cgroup.subtree_control"), []byte("+cpu +memory"), 0))
	}
	group := delegatedGroup(t, service)

	h := one(t, simple("memory-limit: 64Mi", "wait"))
	h.startIn(group)
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

// The packaged unit is in the slice that has the name of the containers' group.
// The daemon stays in its group there and takes it for no container's, and the
// next one can be started in it, as systemd does it, while a container runs.
//
// Covers: M1, M6
func TestDaemonRunsInItsOwnSlice(t *testing.T) {
	t.Parallel()
	mount, pure := version2(t)
	h := one(t, simple("memory-limit: 64Mi", "wait"))
	slice := filepath.Join(mount, h.cgroup)
	if pure {
		must(t, os.WriteFile(filepath.Join(mount, "cgroup.subtree_control"), []byte("+cpu +memory"), 0))
	}
	must(t, os.Mkdir(slice, 0o755))
	t.Cleanup(func() {
		if err := os.Remove(slice); err != nil {
			t.Errorf("something is left in the slice: %v", err)
		}
	})
	group := delegatedGroup(t, filepath.Join(slice, "lithos.service"))
	own := "/" + h.cgroup + "/lithos.service"

	h.startIn(group)
	before := h.running("box/app.0")["box/app.0"]
	if pure {
		if got, want := groupOnVersion2(t, before.program), "/"+h.cgroup+"/box:app.0.scope"; got != want {
			t.Errorf("M1 the program is in %s, want %s", got, want)
		}
	}
	h.killDaemon()
	h.startIn(group)
	h.adopted("box/app.0", 1)
	if now := h.running("box/app.0")["box/app.0"]; now.program != before.program {
		t.Errorf("M6 the program was %d, is %d", before.program, now.program)
	}
	if got := groupOnVersion2(t, h.daemon.cmd.Process.Pid); got != own {
		t.Errorf("the daemon is in %s, want %s", got, own)
	}
	if log := h.read("log/master.log"); strings.Contains(log, "lithos.service") {
		t.Errorf("M6 the daemon wonders about its own group:\n%s", log)
	}
	h.stop()
}

// delegatedGroup makes a group, marked as systemd does with Delegate=yes.
func delegatedGroup(t *testing.T, dir string) *os.File {
	t.Helper()
	must(t, os.Mkdir(dir, 0o755))
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("something is left in the delegated group: %v", err)
		}
	})
	must(t, unix.Setxattr(dir, "trusted.delegate", []byte("1"), 0))
	group, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	must(t, err)
	t.Cleanup(func() { _ = group.Close() })
	return group
}

// startIn starts the daemon in a group.
func (h *host) startIn(group *os.File) {
	h.t.Helper()
	cmd := h.command()
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(group.Fd())
	h.launch(cmd)
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
