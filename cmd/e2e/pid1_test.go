package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/actors/services/api"
)

// waiting starts one that waits, and is not started again by itself.
func waiting(t *testing.T) (*troubled, instance) {
	t.Helper()
	h := &troubled{host: one(t, simple("restart-timeout: 300", "wait"))}
	h.client = h.control()
	h.start()
	h.settled(api.Wait{Reload: 1})
	i := h.running("box/app.0")["box/app.0"]
	return h, i
}

// suspended waits until it is shown that the container is, or is not.
func (h *troubled) suspended(want bool) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("suspended: %v", want), 20*time.Second, func() error {
		in, err := h.client.Instance(h.t.Context(), "box/app.0")
		if err != nil {
			return err
		}
		if got := slices.Contains(in.Conditions, api.ConditionSuspended); got != want || strings.Contains(in.Words, api.ConditionSuspended) != want {
			return errors.New(in.Words)
		}
		return nil
	})
}

// A PID 1 that is stopped by a signal cannot do its work: the state shows it
// while it lasts, and TERM still works.
//
// Covers: N4, N8
func TestStoppedPID1IsReported(t *testing.T) {
	t.Parallel()
	h, i := waiting(t)
	kill(t, i.knot, unix.SIGSTOP)
	h.says(fmt.Sprintf(`PID 1 of container "box/app.0" \(pid %d\) was stopped by SIGSTOP`, i.knot))
	h.suspended(true)
	out, err := exec.Command(filepath.Join(binDir, "lithos_ps"), "-C", h.path("master.yaml"), "--why", "box/app.0").CombinedOutput()
	if want := fmt.Sprintf("kill -CONT %d", i.knot); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("lithos_ps --why does not say %s: %v\n%s", want, err, out)
	}
	kill(t, i.knot, unix.SIGCONT)
	h.says("goes on")
	h.suspended(false)
	// The program alone.
	kill(t, i.program, unix.SIGSTOP)
	h.suspended(true)
	kill(t, i.program, unix.SIGCONT)
	h.suspended(false)

	kill(t, i.knot, unix.SIGSTOP)
	h.suspended(true)
	h.config("app", "app", simple("restart-timeout: 300\nenviron: {VERSION: \"2\"}", "wait"))
	h.reload("box")
	h.successor("box/app.0", i, 10*time.Second)
	if d := h.lastDeath("box/app.0"); d.Cause != api.CauseReplaced || d.Signal != int(unix.SIGTERM) {
		t.Errorf("it was not ended by TERM: %+v", d)
	}
}

// The next daemon says it of what it finds stopped, and the container is its as any
// other.
//
// Covers: K12, N4
func TestPID1StoppedBeforeAdoptionIsReported(t *testing.T) {
	t.Parallel()
	h, i := waiting(t)
	h.killDaemon()
	kill(t, i.knot, unix.SIGSTOP)
	h.start()
	h.says(fmt.Sprintf(`PID 1 of container "box/app.0" \(pid %d\) is stopped by a signal, since before`, i.knot))
	h.suspended(true)
	kill(t, i.knot, unix.SIGCONT)
	h.says("goes on")
	h.suspended(false)
	h.killDaemon()
	kill(t, i.knot, unix.SIGSTOP)
	h.start()
	h.suspended(true)
	h.config("app", "app", simple("restart-timeout: 300\nenviron: {VERSION: \"2\"}", "wait"))
	h.reload("box")
	h.successor("box/app.0", i, 10*time.Second)
	h.stop()
}

// lastDeath is the last death of an instance, of which there has to be one.
func (h *troubled) lastDeath(name string) (last api.Death) {
	h.t.Helper()
	eventually(h.t, "the death of "+name, 10*time.Second, func() error {
		list, err := h.client.Deaths(h.t.Context(), name)
		if err == nil && len(list) == 0 {
			err = errors.New("none")
		}
		if err == nil {
			last = list[0]
		}
		return err
	})
	return last
}

// A PID 1 that is killed takes its container along, the neighbour lives, and the
// kernel's own SIGKILL is told from that of somebody.
//
// Covers: N2, N10
func TestKilledPID1EndsItsContainer(t *testing.T) {
	t.Parallel()
	h := &troubled{host: newHost(t)}
	h.client = h.control()
	h.image("app", map[string]string{"app": simple("restart-timeout: 0.1", "wait")})
	h.sandbox("box", "", "app: {image: app, config: /config/app.yaml, instances: 3}")
	h.tmpfs("data", "64m")
	h.start()
	h.settled(api.Wait{Reload: 1})
	before := h.running(names("box/app", 3)...)

	kill(t, before["box/app.0"].knot, unix.SIGKILL)
	h.successor("box/app.0", before["box/app.0"], 10*time.Second)
	if d := h.lastDeath("box/app.0"); d.Cause != api.CauseOperator || !d.Failure || !strings.Contains(d.Words, "its PID 1 got SIGKILL") {
		t.Errorf("killed by hand: %+v", d)
	}
	h.outOfMemory(before["box/app.1"].knot)
	h.successor("box/app.1", before["box/app.1"], 10*time.Second)
	if d := h.lastDeath("box/app.1"); d.Cause != api.CauseOOM || !d.Failure || !strings.Contains(d.Words, "no memory") {
		t.Errorf("killed by the kernel: %+v", d)
	}
	if now := h.instances()["box/app.2"]; now.program != before["box/app.2"].program {
		t.Errorf("the neighbour was %+v and is %+v", before["box/app.2"], now)
	}
}

// outOfMemory has the kernel choose this process when a cgroup, in which it is
// with a hog, has no more memory.
func (h *troubled) outOfMemory(pid int) {
	h.t.Helper()
	roots := cgroupRoots()
	parent, file := roots["memory"], "memory.limit_in_bytes"
	if parent == "" {
		parent, file = roots[""], "memory.max"
		must(h.t, os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+memory"), 0))
	}
	group := filepath.Join(parent, h.id+".memory")
	must(h.t, os.Mkdir(group, 0o755))
	h.t.Cleanup(func() {
		eventually(h.t, "removing "+group, 10*time.Second, func() error { return os.Remove(group) })
	})
	must(h.t, os.WriteFile(filepath.Join(group, file), []byte("16777216"), 0))
	// Where there is swap it must not help.
	_ = os.WriteFile(filepath.Join(group, "memory.memsw.limit_in_bytes"), []byte("16777216"), 0)
	_ = os.WriteFile(filepath.Join(group, "memory.swap.max"), []byte("0"), 0)
	// Files in memory are nobody's own: the hog has less than PID 1 by its score.
	hog := exec.Command("/bin/sh", "-c", `read go && exec dd if=/dev/zero of="$0" bs=64k`, h.path("data/hog"))
	input, err := hog.StdinPipe()
	must(h.t, err)
	must(h.t, hog.Start())
	defer func() {
		_ = hog.Wait() // the kernel kills it as well, or its file has no more room
	}()
	must(h.t, os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("1000"), 0))
	for _, member := range []int{pid, hog.Process.Pid} {
		must(h.t, os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(member)), 0))
	}
	_, err = input.Write([]byte("go\n"))
	must(h.t, err)
}
