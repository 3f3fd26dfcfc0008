package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/actors/services/api"
)

// TestKernelRefusalFailsOneContainer: a cgroup that can't be
// made, a volume that is gone, a mount point that is not there.
//
// Covers: M3, N3
func TestKernelRefusalFailsOneContainer(t *testing.T) {
	t.Parallel()
	h, steady := troubleHost(t)
	h.image("other", map[string]string{
		"limited": simple("memory-limit: 200Mi", "wait"),
		"volume":  simple("volumes: {/volume: !Persistent /data/volume}", "wait"),
	})
	must(t, mkdir(h.path("data/volume")))
	const processes = `
		steady: {image: app, config: /config/steady.yaml}
		flaky: {image: app, config: /config/flaky.yaml}
		volume: {image: other, config: /config/volume.yaml}
		`
	more := fmt.Sprintf("writable-paths: {/data: %s}\n", h.path("data"))
	h.sandbox("box", more, processes)
	h.reloadAndSettle("box/volume.0")

	// No cgroup can be made: it runs, and is told to have no limits. When that is
	// possible again, its next start has them.
	mend := h.readOnlyCgroups()
	h.sandbox("box", more, processes+"limited: {image: other, config: /config/limited.yaml}\n")
	h.reloadAndSettle("box/limited.0")
	h.says(`Container "box/limited.0" runs degraded: no limit is enforced: cannot make a control group: .*read-only file system`)
	h.well(steady)
	mend()
	h.kill("limited")
	h.recovers("limited", func(i *api.Instance) error {
		if len(i.Degraded) > 0 {
			return fmt.Errorf("degraded: %q", i.Degraded)
		}
		return nil
	})

	// Its volume is gone, and comes back.
	must(t, os.Rename(h.path("data/volume"), h.path("data/away")))
	h.kill("volume")
	h.refused("volume", `box/volume\.0: cannot .*/data/volume.*no such file or directory`)
	h.well(steady)
	must(t, os.Rename(h.path("data/away"), h.path("data/volume")))
	h.recovers("volume", nil)

	// The image has no mount point for it, and gets one.
	must(t, os.Rename(h.path("images/other/volume"), h.path("images/other/away")))
	h.kill("volume")
	h.refused("volume", `box/volume\.0: cannot mount .*/volume: no such directory in the container \(image `)
	h.well(steady)
	must(t, os.Rename(h.path("images/other/away"), h.path("images/other/volume")))
	h.recovers("volume", nil)
	h.well(steady)
}

func (h *troubled) reloadAndSettle(instance string) {
	h.t.Helper()
	generation, err := h.client.Reload(h.t.Context())
	must(h.t, err)
	h.settled(api.Wait{Reload: generation, Instance: instance})
}

// kill kills PID 1 of a container of the sandbox box.
func (h *troubled) kill(process string) {
	h.t.Helper()
	kill(h.t, h.runs(process).knot, unix.SIGKILL)
}

// refused waits until a container has failed to start twice, with such a
// sentence each time.
func (h *troubled) refused(process, pattern string) {
	h.t.Helper()
	count, wanted := 0, regexp.MustCompile(pattern)
	eventually(h.t, process+" to be refused twice", 20*time.Second, func() error {
		list, err := h.client.Deaths(h.t.Context(), "box/"+process+".0")
		if err != nil {
			return err
		}
		count = 0
		for _, d := range list {
			if d.Cause == api.CauseSetup && wanted.MatchString(d.Words) {
				count++
			}
		}
		if count < 2 {
			return fmt.Errorf("%d times, deaths %+v", count, list)
		}
		return nil
	})
	h.says(fmt.Sprintf(`Container "box/%s\.0" .* could not be set up: %s`, process, pattern))
}

// recovers waits until a container runs again.
func (h *troubled) recovers(process string, and func(*api.Instance) error) {
	h.t.Helper()
	eventually(h.t, process+" to run again", 20*time.Second, func() error {
		i, err := h.client.Instance(h.t.Context(), "box/"+process+".0")
		switch {
		case err != nil:
			return err
		case i.State != api.StateRunning || i.ProgramPID == 0:
			return errors.New(i.Words)
		case and != nil:
			return and(i)
		}
		return nil
	})
}

// readOnlyCgroups makes the host's cgroups read-only for everybody on the
// machine, who are its daemon and its test; it gives back how to undo that.
func (h *troubled) readOnlyCgroups() (undo func()) {
	h.t.Helper()
	var dirs []string
	for _, dir := range cgroupsMatching(h.cgroup) {
		if filepath.Base(dir) == h.cgroup {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		h.t.Fatal("the host has no cgroups")
	}
	done := false
	undo = func() {
		if done {
			return
		}
		done = true
		for _, dir := range dirs {
			// The daemon may just be looking into it.
			eventually(h.t, "unmounting "+dir, 10*time.Second, func() error { return unix.Unmount(dir, 0) })
		}
	}
	for _, dir := range dirs {
		must(h.t, unix.Mount(dir, dir, "", unix.MS_BIND, ""))
		must(h.t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	}
	h.t.Cleanup(undo)
	return undo
}

// runs waits for the program of a container.
func (h *troubled) runs(process string) (now instance) {
	h.t.Helper()
	eventually(h.t, process, 20*time.Second, func() error {
		if now = h.instances()["box/"+process+".0"]; now.program == 0 {
			return fmt.Errorf("no program: %+v", now)
		}
		return nil
	})
	return now
}
