//go:build guest

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/actors/services/api"
)

// The tests of this file change what all of a machine has: they are for the
// virtual machine, and run alone.

// setClock sets the wall clock that much forward, or back.
func setClock(t *testing.T, by time.Duration) {
	t.Helper()
	now := unix.NsecToTimespec(time.Now().Add(by).UnixNano())
	must(t, unix.ClockSettime(unix.CLOCK_REALTIME, &now))
}

// Covers: N3
func TestClockChangeDoesNotDisturbRestarts(t *testing.T) {
	const day = 24 * time.Hour
	h, steady := troubleHost(t)
	begin := time.Now()
	off := time.Duration(0)
	t.Cleanup(func() { setClock(t, -off) })
	set := func(by time.Duration) {
		setClock(t, by)
		off += by
	}
	h.sandbox("calm", "", "one: {image: app, config: /config/steady.yaml}\n")
	h.reloadAndSettle("calm/one.0")
	for i, by := range []time.Duration{day, -2 * day, day} {
		// While the daemon runs, and while none does.
		set(by)
		h.well(steady)
		h.young(begin)
		h.killDaemon()
		set(-by)
		h.start()
		h.says(`Adopted container "box/steady.0"`)
		h.well(steady)
		h.young(begin)
		set(by)
		h.well(steady)
		// Its own restart-timeout, from its start before all that.
		kill(t, steady.knot, unix.SIGKILL)
		eventually(t, "the restart", 10*time.Second, func() error {
			now := h.instances()["box/steady.0"]
			if now.program == 0 || now.knot == steady.knot {
				return fmt.Errorf("%+v", now)
			}
			steady = now
			return nil
		})
		h.well(steady)
		h.write("switched.yaml", fmt.Sprintf("one: {image: app, config: /config/steady.yaml, instances: %d}\n", i+2))
		tool(t, "lithos_switch", "-C", h.path("master.yaml"), "--wait", "calm", h.path("switched.yaml")).
			expect(t, "lithos_switch --wait", 0)
	}
}

// limit gives a file of the kernel another value, and gives back how to undo it.
func limit(t *testing.T, file, value string) (undo func()) {
	t.Helper()
	before, err := os.ReadFile(file)
	must(t, err)
	undo = func() { must(t, os.WriteFile(file, before, 0)) }
	t.Cleanup(undo)
	must(t, os.WriteFile(file, []byte(value), 0))
	return undo
}

// The host has no more mounts, or no more cgroups, for anybody.
//
// Covers: M3, N3
func TestHostWithoutMountsOrCgroups(t *testing.T) {
	h, steady := troubleHost(t)
	more := limit(t, "/proc/sys/fs/mount-max", "1")
	h.says(`Cannot start container "box/flaky\.0": cannot move_mount .* \(a mount namespace .* fs\.mount-max\)`)
	more()
	h.well(steady)
	// Its own mounts are too many.
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	more = limit(t, "/proc/sys/fs/mount-max", strconv.Itoa(strings.Count(string(mounts), "\n")+3))
	h.refused("flaky", `box/flaky\.0: .*fs\.mount-max`)
	if now := h.instances()["box/steady.0"]; now.program != steady.program {
		t.Errorf("what ran was %+v and is %+v", steady, now)
	}
	more()
	h.well(steady)

	// Without a cgroup it runs, and is told to have no limits.
	h.image("other", map[string]string{"limited": simple("memory-limit: 200Mi", "wait")})
	for _, dir := range cgroupsMatching(h.cgroup) {
		if filepath.Base(dir) == h.cgroup {
			more = limit(t, filepath.Join(dir, "cgroup.max.descendants"), "0")
		}
	}
	h.sandbox("box", "", `
		steady: {image: app, config: /config/steady.yaml}
		flaky: {image: app, config: /config/flaky.yaml}
		limited: {image: other, config: /config/limited.yaml}
		`)
	h.reloadAndSettle("box/limited.0")
	h.says(`Container "box/limited.0" runs degraded: no limit is enforced: cannot make a control group: .*cgroup\.max\.descendants`)
	h.well(steady)
	more()
	h.kill("limited")
	h.recovers("limited", func(i *api.Instance) error {
		if len(i.Degraded) > 0 {
			return fmt.Errorf("degraded: %q", i.Degraded)
		}
		return nil
	})
	h.well(steady)
}

// young wants that no uptime is longer than the test.
func (h *troubled) young(begin time.Time) {
	h.t.Helper()
	most := time.Since(begin).Seconds() + 60
	i, err := h.client.Instance(h.t.Context(), "box/steady.0")
	must(h.t, err)
	if i.Uptime < 0 || i.Uptime > most {
		h.t.Errorf("its uptime is %g s", i.Uptime)
	}
	list, err := h.client.Deaths(h.t.Context(), "box/flaky.0")
	must(h.t, err)
	for _, d := range list {
		if d.Uptime < 0 || d.Uptime > most {
			h.t.Errorf("a death after %g s: %+v", d.Uptime, d)
		}
	}
}
