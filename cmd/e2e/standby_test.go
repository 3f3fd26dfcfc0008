package e2e

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/actors/services/api"
)

// told is what the daemon tells of a container, nil = nothing.
func (h *host) told(name string) *api.Instance {
	h.t.Helper()
	client := api.NewClient(h.path("run", api.SocketName))
	defer client.Close()
	status, err := client.Status(h.t.Context(), false)
	if err != nil {
		return nil
	}
	for i := range status.Instances {
		if status.Instances[i].Name == name {
			return &status.Instances[i]
		}
	}
	return nil
}

// nextKnots are the PID 1s that wait to become a container of that name.
func (h *host) nextKnots(name string) (pids []int) {
	for _, p := range processes() {
		if args := arguments(p.pid); len(args) > 4 && args[1] == "--next" && args[2] == name && args[4] == h.path("master.yaml") {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// waiting waits until a container of that name runs and another waits to follow
// it, which is none of these.
func (h *host) waiting(name string, before ...int) (runs instance, waits int) {
	h.t.Helper()
	eventually(h.t, "a standby of "+name, 20*time.Second, func() error {
		in := h.told(name)
		if in == nil || in.State != api.StateRunning || in.Standby != "waiting" {
			return fmt.Errorf("%+v", in)
		}
		runs = h.instances()[name]
		pids := h.nextKnots(name)
		if runs.program == 0 || len(pids) != 1 || slices.Contains(before, pids[0]) {
			return fmt.Errorf("%+v runs, %v wait", runs, pids)
		}
		waits = pids[0]
		return nil
	})
	return runs, waits
}

// alone waits until nothing waits.
func (h *host) alone(name string) {
	h.t.Helper()
	eventually(h.t, "no standby of "+name, 20*time.Second, func() error {
		if pids := h.nextKnots(name); len(pids) > 0 {
			return fmt.Errorf("PID 1s %v", pids)
		}
		if in := h.told(name); in == nil || in.Standby != "" {
			return fmt.Errorf("%+v", in)
		}
		for _, dir := range []string{"run/state/box", "run/containers/box"} {
			entries, err := os.ReadDir(h.path(dir))
			if err != nil || len(entries) != 1 {
				return fmt.Errorf("%v in %s, %v", entries, dir, err)
			}
		}
		return nil
	})
}

const standby = "standby: true\n"

// The one that waited follows, on the same port, and the next one waits again.
//
// Covers: G12, N2
func TestStandbyReplacesADeadProgram(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	h.image("app", map[string]string{"app": port3(standby, port)})
	h.sandbox("box", "", app)
	h.start()
	runs, waits := h.waiting("box/app.0")
	connect := hammer(port)
	for range 4 {
		if groups, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", waits)); strings.Contains(string(groups), "box:app.0") {
			t.Errorf("what waits counts for the limits of what runs: %s", groups)
		}
		kill(t, runs.program, killSignal)
		now := h.successor("box/app.0", runs, 10*time.Second)
		if now.knot != waits {
			t.Errorf("PID 1 was %d, %d waited, and now it is %d", runs.knot, waits, now.knot)
		}
		before := []int{runs.knot, waits}
		runs, waits = h.waiting("box/app.0", before...)
	}
	if served, err := connect(); err != nil || served == 0 {
		t.Errorf("%d connections, %v", served, err)
	}
	if log := h.read("log/box.log"); strings.Count(log, "which was built before and waited") != 4 || strings.Contains(log, "No container waits") {
		t.Error("the log does not say so")
	}
	if in := h.told("box/app.0"); in.Restarts != 4 {
		t.Errorf("%d restarts", in.Restarts)
	}
	h.stop()
}

// A standby of another config is none; the option itself replaces nothing.
//
// Covers: C23
func TestStandbyFollowsTheConfig(t *testing.T) {
	t.Parallel()
	h := one(t, simple(standby, "wait"))
	h.start()
	runs, waits := h.waiting("box/app.0")

	h.config("app", "app", simple(standby+"environ: {VERSION: '2'}\n", "wait"))
	h.reload("box")
	second := h.successor("box/app.0", runs, 10*time.Second)
	if second.knot == waits {
		t.Fatal("what was built from the old config follows")
	}
	runs, waits = h.waiting("box/app.0", waits)
	kill(t, runs.program, killSignal)
	third := h.successor("box/app.0", runs, 10*time.Second)
	if env := environOf(third.program); third.knot != waits || !strings.Contains(env, "VERSION=2") {
		t.Errorf("PID 1 is %d, %d waited, %q", third.knot, waits, env)
	}

	// An option of the next start replaces only the standby.
	runs, waits = h.waiting("box/app.0", waits)
	h.config("app", "app", simple(standby+"environ: {VERSION: '2'}\nkill-timeout: 7\n", "wait"))
	h.reload("box")
	same, waits := h.waiting("box/app.0", waits)
	if same.knot != runs.knot {
		t.Error("the container was replaced for a kill-timeout")
	}
	h.config("app", "app", simple("environ: {VERSION: '2'}\nkill-timeout: 7\n", "wait"))
	h.reload("box")
	h.alone("box/app.0")
	if now := h.instances()["box/app.0"]; now.knot != runs.knot {
		t.Error("the container was replaced for its standby")
	}
	// And again; what died is built again when it is needed next.
	h.config("app", "app", simple(standby+"environ: {VERSION: '2'}\nkill-timeout: 7\n", "wait"))
	h.reload("box")
	runs, waits = h.waiting("box/app.0", waits)
	kill(t, waits, killSignal)
	eventually(t, "a word about it", 10*time.Second, func() error {
		if !strings.Contains(h.read("log/box.log"), "No container waits to follow") {
			return errors.New("none")
		}
		return nil
	})
	kill(t, runs.program, killSignal)
	if now := h.successor("box/app.0", runs, 10*time.Second); now.knot == waits {
		t.Error("the dead one follows")
	}
	h.processes("box", "other: {image: app, config: /config/app.yaml}\n")
	h.reload("box")
	h.running("box/other.0")
	if pids := h.nextKnots("box/app.0"); len(pids) > 0 {
		t.Errorf("PID 1s are left: %v", pids)
	}
	h.stop()
}

// The next container has its own readiness socket and user namespace besides its
// mounts. The general path of PID 1 can stand by as well.
//
// Covers: N2
func TestStandbyOfEveryKindOfContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	kinds := map[string]string{
		"general": simple(standby+"stdout-stderr-file: /out/log\n"+dataVolume, "wait"),
		"fd":      simple(standby+dataVolume+"ready: {fd: 5}\n", "tells", "5", "/out/go", "LINE"),
		"notify":  simple(standby+dataVolume+"ready: {notify: /run/notify}\n", "notifies", "/bin/e2e"),
		"dirs":    simple(standby+"environ: {A: '1'}\nvolumes: {/tmp: !Tmpfs {size: 1Mi}, /own: !Statedir /}\n", "wait"),
	}
	h.image("app", kinds)
	h.notifyFile("app")
	must(t, os.MkdirAll(h.path("images/app/own"), 0o755))
	must(t, os.MkdirAll(h.path("images/app/tmp"), 0o755))
	entries := ""
	for name := range kinds {
		entries += name + ": {image: app, config: /config/" + name + ".yaml}\n"
	}
	h.sandbox("box", "writable-paths: {/data: "+h.path("data")+"}\n", entries)
	h.sandbox("user", mapsOfNet, "app: {image: app, config: /config/dirs.yaml}\n")
	must(t, os.Chmod(h.path("data"), 0o777))
	h.write("data/go", "")
	h.start()
	for _, name := range []string{"box/general.0", "box/fd.0", "box/notify.0", "box/dirs.0", "user/app.0"} {
		runs, waits := h.waiting(name)
		kill(t, runs.program, killSignal)
		if now := h.successor(name, runs, 10*time.Second); now.knot != waits {
			t.Errorf("%s: PID 1 is %d, %d waited", name, now.knot, waits)
		}
		h.waiting(name, waits) // so it has become ready
	}
	h.stop()
}

// A daemon that dies leaves none that waits, and what runs is adopted; then there
// is one again, with the sockets of the adopted one.
//
// Covers: M6
func TestStandbyEndsWithTheDaemon(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	h.image("app", map[string]string{"app": port3(standby, port)})
	h.sandbox("box", "", app)
	h.start()
	runs, waits := h.waiting("box/app.0")
	h.killDaemon()
	eventually(t, "the end of what waits", 10*time.Second, func() error {
		if pids := h.nextKnots("box/app.0"); len(pids) > 0 {
			return fmt.Errorf("%v are there", pids)
		}
		return nil
	})
	connect := hammer(port)
	h.start()
	h.adopted("box/app.0", 1)
	now, next := h.waiting("box/app.0", waits)
	if now.knot != runs.knot || now.program != runs.program {
		t.Fatal("it is another")
	}
	kill(t, now.program, killSignal)
	if last := h.successor("box/app.0", now, 10*time.Second); last.knot != next {
		t.Errorf("PID 1 is %d, %d waited", last.knot, next)
	}
	if served, err := connect(); err != nil || served == 0 {
		t.Errorf("%d connections, %v", served, err)
	}
	if log := h.read("log/box.log") + h.read("log/master.log"); strings.Contains(log, "standby.app.0\" (pid") || strings.Contains(log, "Unidentified") {
		t.Error("what waited was taken for a container")
	}
	h.stop()
}

// Nor does one that another program takes over from.
//
// Covers: O2
func TestStandbyEndsWithAnUpgrade(t *testing.T) {
	t.Parallel()
	h := one(t, simple(standby, "wait"))
	tree := h.own()
	d := h.startOwn(tree)
	runs, waits := h.waiting("box/app.0")
	h.replace(tree, []byte(h.read("bin/lithos_tree")), 0o755)
	d.signal(syscall.SIGQUIT)
	h.saidTimes(1, "Taken over from lithos_tree")
	h.adopted("box/app.0", 1)
	now, next := h.waiting("box/app.0", waits)
	if now.knot != runs.knot {
		t.Fatal("it is another")
	}
	kill(t, now.program, killSignal)
	if last := h.successor("box/app.0", now, 10*time.Second); last.knot != next {
		t.Errorf("PID 1 is %d, %d waited", last.knot, next)
	}
	if log := h.read("log/master.log"); strings.Contains(log, "Unidentified") {
		t.Errorf("what waited was found by the next one:\n%s", log)
	}
	h.stop()
}

// A container that is stopped while a standby waits leaves nothing: the end of
// the test checks it.
//
// Covers: N4
func TestStoppedStandby(t *testing.T) {
	t.Parallel()
	h := one(t, simple(standby, "wait"))
	h.processes("box", strings.Replace(app, "image:", "instances: 5\n  image:", 1))
	d := h.start()
	for _, name := range names("box/app", 5) {
		h.waiting(name)
	}
	d.signal(syscall.SIGTERM)
	if code := h.wait(d, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if err := h.leftovers(); err != nil {
		t.Error(errors.Join(errors.New("left behind"), err))
	}
}

func environOf(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return string(text)
}
