package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// groups finds the directories of a container's cgroup, one a hierarchy.
func (h *host) groups(name string) []string {
	return cgroupsMatching("/" + h.cgroup + "/" + strings.Replace(name, "/", ":", 1) + ".scope")
}

// limit reads a limit of a container's cgroup: the first of these files that
// is there, so version 1's name and version 2's.
func (h *host) limit(name string, files ...string) (file string, value int64) {
	h.t.Helper()
	for _, dir := range h.groups(name) {
		for _, file := range files {
			data, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				continue
			}
			n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
			if err != nil {
				h.t.Errorf("%s of %s is %q", file, name, data)
			}
			return file, n
		}
	}
	h.t.Errorf("none of %v in %v", files, h.groups(name))
	return "", 0
}

// Covers: E3, E4, M1, M3
func TestCgroupNamesAndLimits(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"small": simple("memory-limit: 64Mi\ncpu-shares: 512", "wait"),
		"big":   simple("memory-limit: 128_000k", "wait"),
	})
	h.sandbox("box", "", `
		small: {image: app, config: /config/small.yaml, instances: 2}
		big: {image: app, config: /config/big.yaml}
		`)
	h.start()
	now := h.running("box/small.0", "box/small.1", "box/big.0")

	for name, want := range map[string]int64{"box/small.0": 64 << 20, "box/small.1": 64 << 20, "box/big.0": 128_000_000 / 4096 * 4096} {
		if file, n := h.limit(name, "memory.limit_in_bytes", "memory.max"); n != want {
			t.Errorf("E3 %s of %s is %d, want %d", file, name, n, want)
		}
		// Where swap is counted, it is in the limit too: memory and swap
		// together on version 1, no swap at all on version 2.
		for _, dir := range h.groups(name) {
			if data, err := os.ReadFile(filepath.Join(dir, "memory.memsw.limit_in_bytes")); err == nil {
				if got := strings.TrimSpace(string(data)); got != strconv.FormatInt(want, 10) {
					t.Errorf("E3 memsw of %s is %s, want %d", name, got, want)
				}
			}
			if data, err := os.ReadFile(filepath.Join(dir, "memory.swap.max")); err == nil {
				if got := strings.TrimSpace(string(data)); got != "0" {
					t.Errorf("E3 memory.swap.max of %s is %s, want 0", name, got)
				}
			}
		}
	}
	file, small := h.limit("box/small.0", "cpu.shares", "cpu.weight")
	_, big := h.limit("box/big.0", "cpu.shares", "cpu.weight")
	if file == "cpu.shares" && (small != 512 || big != 1024) {
		t.Errorf("E4 cpu.shares are %d and %d, want 512 and the default 1024", small, big)
	}
	if small >= big {
		t.Errorf("E4 %s is %d for 512 shares and %d for 1024", file, small, big)
	}

	// M1: the program is in the group, in every hierarchy that has it, and
	// its PID 1 is not (its memory must not count).
	scope := h.cgroup + "/box:small.0.scope"
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", now["box/small.0"].program))
	must(t, err)
	if in := strings.Count(string(data), scope); in < len(h.groups("box/small.0")) || in == 0 {
		t.Errorf("M1 the program is in %d groups of %v:\n%s", in, h.groups("box/small.0"), data)
	}
	data, err = os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", now["box/small.0"].knot))
	must(t, err)
	if strings.Contains(string(data), scope) {
		t.Errorf("PID 1 is in its container's group:\n%s", data)
	}
}

// Covers: E3, M7
func TestMemoryHogDiesAlone(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"hog":       simple("memory-limit: 64Mi", "hog"),
		"family":    simple("memory-limit: 64Mi", "hog", "child"),
		"neighbour": simple("memory-limit: 128Mi", "hold", "24"),
	})
	h.sandbox("box", "", `
		neighbour: {image: app, config: /config/neighbour.yaml}
		`)
	h.sandbox("hogs", "", `
		hog: {image: app, config: /config/hog.yaml}
		family: {image: app, config: /config/family.yaml}
		`)
	h.start()
	var neighbour instance
	eventually(t, "the neighbour", 10*time.Second, func() error {
		if err := h.logged("holding 24"); err != nil {
			return err
		}
		// Only now: before it is executed it has no pid here.
		neighbour = h.instances()["box/neighbour.0"]
		return nil
	})
	eventually(t, "the hog killed twice, and the hog's child", 30*time.Second, func() error {
		log := h.read("log/stderr/hogs.log")
		if n := strings.Count(log, `Starting "hogs/hog.0"`); n < 3 {
			return fmt.Errorf("%d starts of the hog", n)
		}
		if !strings.Contains(log, "child hog: signal: killed") && strings.Count(log, `Starting "hogs/family.0"`) < 2 {
			return errors.New("neither the hog's child nor its parent was killed")
		}
		return nil
	})
	if now := h.instances()["box/neighbour.0"]; now.knot != neighbour.knot || now.program != neighbour.program || now.program == 0 {
		t.Errorf("the neighbour was %+v and is %+v", neighbour, now)
	}
}

// Covers: B7, B9
func TestWithoutCgroupsNothingIsLimited(t *testing.T) {
	t.Parallel()
	h := one(t, simple("memory-limit: 16Mi", "hold", "48"), "cgroup-name: null")
	h.start()
	i := h.running("box/app.0")["box/app.0"]
	eventually(t, "three times its limit", 10*time.Second, func() error { return h.logged("holding 48") })
	if now := h.running("box/app.0")["box/app.0"]; now.program != i.program {
		t.Error("the program was restarted")
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	must(t, err)
	its, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", i.program))
	must(t, err)
	if string(own) != string(its) {
		t.Errorf("its groups\n%sare not the daemon's\n%s", its, own)
	}
	if groups := h.groups("box/app.0"); groups != nil {
		t.Errorf("groups %v", groups)
	}
}

// With [name] alone containers are named and not limited.
//
// Covers: B8
func TestNameControllerLimitsNothing(t *testing.T) {
	t.Parallel()
	h := one(t, simple("memory-limit: 16Mi", "hold", "48"), "cgroup-controllers: [name]")
	h.start()
	i := h.running("box/app.0")["box/app.0"]
	eventually(t, "three times its limit", 10*time.Second, func() error { return h.logged("holding 48") })
	if now := h.running("box/app.0")["box/app.0"]; now.program != i.program {
		t.Error("the program was restarted")
	}
	if groups := h.groups("box/app.0"); len(groups) != 1 {
		t.Errorf("groups %v, want the one that names it", groups)
	}
}

// Every default controller that is mounted here has the container's group,
// and keeps it through a restart.
//
// Covers: B8, M5
func TestDefaultControllersLimit(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.start()
	i := h.running("box/app.0")["box/app.0"]
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", i.program))
	must(t, err)
	roots := cgroupRoots()
	for _, controller := range []string{"cpu", "cpuacct", "memory", "blkio"} {
		if roots[controller] == "" {
			continue // version 2's controllers are in its one group
		}
		found := false
		for _, line := range strings.Split(string(data), "\n") {
			f := strings.SplitN(line, ":", 3)
			if len(f) == 3 && strings.Contains(","+f[1]+",", ","+controller+",") {
				found = strings.HasSuffix(f[2], "/"+h.cgroup+"/box:app.0.scope")
			}
		}
		if !found {
			t.Errorf("not in its group of %s:\n%s", controller, data)
		}
	}
	if !strings.Contains(string(data), "/"+h.cgroup+"/box:app.0.scope") {
		t.Errorf("in no group of its own:\n%s", data)
	}
	identity := func() []string {
		var all []string
		for _, dir := range h.groups("box/app.0") {
			info, err := os.Stat(dir)
			must(t, err)
			all = append(all, fmt.Sprint(dir, " inode ", info.Sys().(*syscall.Stat_t).Ino))
		}
		return all
	}
	before := identity()
	kill(t, i.program, killSignal)
	h.successor("box/app.0", i, 5*time.Second)
	if after := identity(); !slices.Equal(before, after) {
		t.Errorf("M5 the groups were made anew: %v, %v", before, after)
	}
}

// The limits that lithos doesn't have: the lower of the sandbox's and the
// container's, read back; one that can't be applied makes the container degraded.
//
// Covers: M3, M4
func TestLimitsOfPidsCpusetAndQuota(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"own":  simple("pids-limit: 30\ncpu-quota: 0.25", "wait"),
		"none": simple("", "wait"),
	})
	h.sandbox("box", "pids-limit: 50\ncpuset: 0", `
		own: {image: app, config: /config/own.yaml}
		none: {image: app, config: /config/none.yaml}
		`)
	h.sandbox("wrong", "cpuset: 4000", `
		none: {image: app, config: /config/none.yaml}
		`)
	h.start()
	h.running("box/own.0", "box/none.0", "wrong/none.0")
	for name, want := range map[string]int64{"box/own.0": 30, "box/none.0": 50} {
		if file, n := h.limit(name, "pids.max"); n != want {
			t.Errorf("%s of %s is %d, want %d", file, name, n, want)
		}
		if file, n := h.limit(name, "cpuset.effective_cpus", "cpuset.cpus.effective"); n != 0 {
			t.Errorf("%s of %s is %d, want 0", file, name, n)
		}
	}
	for _, dir := range h.groups("box/own.0") {
		for _, file := range []string{"cpu.cfs_quota_us", "cpu.max"} {
			data, err := os.ReadFile(filepath.Join(dir, file))
			if err == nil && strings.Fields(string(data))[0] != "25000" {
				t.Errorf("%s is %s", file, data)
			}
		}
	}
	if log := h.read("log/wrong.log"); !strings.Contains(log, "the restriction to the processors 4000 is not enforced") {
		t.Errorf("M3 nothing says that the limit can't be applied:\n%s", log)
	}
}
