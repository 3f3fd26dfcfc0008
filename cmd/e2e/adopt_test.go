package e2e

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/actors/services/api"
	"lithos/spawn/records"
)

// adopted waits until a container was adopted for the n-th time.
func (h *host) adopted(name string, n int) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("adoption %d of %s", n, name), 15*time.Second, func() error {
		if got := strings.Count(h.read("log/box.log"), "Adopted container \""+name+"\""); got < n {
			return fmt.Errorf("%d adoptions", got)
		}
		return nil
	})
}

// killDaemon ends the daemon in the hardest way.
func (h *host) killDaemon() {
	h.t.Helper()
	h.daemon.signal(syscall.SIGKILL)
	<-h.daemon.done
}

// A daemon that was killed takes no container with it; the next one continues
// with them, and ends what nobody wants any more.
//
// Covers: K12, M6
func TestNextDaemonAdoptsContainersOfAKilledOne(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.processes("box", strings.Replace(app, "image:", "instances: 3\n  image:", 1))
	d := h.start()
	before := h.running(names("box/app", 3)...)
	d.signal(syscall.SIGKILL)
	<-d.done
	// Give a parent-death signal, if there were one, the time to arrive.
	for begin := time.Now(); time.Since(begin) < 300*time.Millisecond; time.Sleep(20 * time.Millisecond) {
		now := h.instances()
		for name, i := range before {
			if now[name].knot != i.knot || now[name].program != i.program {
				t.Fatalf("%s died with the daemon", name)
			}
		}
	}
	// A group without a record and a process is dangling.
	must(t, os.MkdirAll(h.path("run/state/box/gone.0"), 0o755))
	// One is gone from the config meanwhile.
	h.processes("box", strings.Replace(app, "image:", "instances: 2\n  image:", 1))
	h.start()
	h.adopted("box/app.0", 1)
	h.adopted("box/app.1", 1)
	eventually(t, "the same containers, but for the one that is gone from the config", 10*time.Second, func() error {
		now := h.instances()
		if len(now) != 2 {
			return fmt.Errorf("%d containers", len(now))
		}
		for name, i := range now {
			if i.knot != before[name].knot || i.program != before[name].program {
				return fmt.Errorf("%s is another", name)
			}
		}
		return nil
	})
	eventually(t, "no dangling directories", 5*time.Second, func() error {
		entries, err := os.ReadDir(h.path("run/state/box"))
		if err == nil && len(entries) != 2 {
			err = fmt.Errorf("%v in the state directory", entries)
		}
		return err
	})
	// They are supervised like others.
	kill(t, before["box/app.0"].program, killSignal)
	h.successor("box/app.0", before["box/app.0"], 10*time.Second)
	h.stop()
	if err := h.leftovers(); err != nil {
		t.Errorf("after the stop:\n%v", err)
	}
}

// However often the daemon is killed: on a port with a living container nobody
// is refused, and the containers continue.
//
// Covers: G12, K12
func TestKilledDaemonRefusesNoConnection(t *testing.T) {
	t.Parallel()
	h, entry, before, connect := versionsOnAPort(t, 3)
	for round := range 8 {
		h.killDaemon()
		h.start()
		for _, name := range names("box/app", 3) {
			h.adopted(name, round+1)
		}
	}
	for name, i := range h.running(names("box/app", 3)...) {
		if i.knot != before[name].knot || i.knotStart != before[name].knotStart {
			t.Errorf("%s is another", name)
		}
	}
	// The sockets are the daemon's again: they live on while all are replaced.
	h.processes("box", entry(1))
	h.reload("box")
	for name, i := range before {
		h.successor(name, i, 10*time.Second)
	}
	connected, err := connect()
	if err != nil || connected == 0 {
		t.Errorf("%d have connected, then: %v", connected, err)
	}
	h.stop()
	if err := h.leftovers(); err != nil {
		t.Errorf("after the stop:\n%v", err)
	}
}

// The next daemon learns of an exit that happened without a daemon, and the
// restart is not earlier for that; the same holds for exits before that.
//
// Covers: K12, N3, N9, X31
func TestExitsBetweenDaemonsAreRecorded(t *testing.T) {
	t.Parallel()
	h := one(t, simple("restart-timeout: 6\n"+dataVolume, "run", "3000", "3", "/out/starts"))
	h.start()
	h.running("box/app.0")
	h.killDaemon()
	eventually(t, "the container's end", 10*time.Second, func() error {
		if len(h.instances()) > 0 {
			return errors.New("it runs")
		}
		return nil
	})
	h.start()
	deaths := func() []string {
		return regexp.MustCompile(`Container "box/app.0" \(pid \d+\)`).FindAllString(h.read("log/box.log"), -1)
	}
	// In its record, not in the log: a daemon that is killed between these two
	// may have it logged twice.
	eventually(t, "the death that was noted", 10*time.Second, func() error {
		record, err := records.Read(h.path("run/containers/box/app.0"))
		if err == nil && !record.Noted {
			err = errors.New("it is not noted")
		}
		return err
	})
	if log := h.read("log/box.log"); !regexp.MustCompile(`exited with code 3, uptime .*\(it was dead when this daemon started, `).MatchString(log) {
		t.Errorf("the log does not tell of the death:\n%s", log)
	}
	// Once more, while it waits for its restart-timeout.
	h.killDaemon()
	h.start()
	eventually(t, "the second start", 15*time.Second, func() error {
		if n := len(h.starts()); n < 2 {
			return fmt.Errorf("%d starts", n)
		}
		return nil
	})
	if starts := h.starts(); starts[1].Sub(starts[0]) < 4*time.Second {
		// The program takes the times itself, and its own start takes a while.
		t.Errorf("it has restarted after %v, want 6 s", starts[1].Sub(starts[0]))
	}
	h.stop()
	// Each is told once, by whichever daemon.
	told := deaths()
	if want := len(h.starts()); len(told) != want || len(slices.Compact(slices.Sorted(slices.Values(told)))) != want {
		t.Errorf("%d starts, the deaths %q", want, told)
	}
}

// A daemon is killed after it told of a death and before it could note that in the
// record: the next one tells nothing twice, and continues from there.
//
// Covers: K12, N10
func TestDeathIsReportedOnce(t *testing.T) {
	t.Parallel()
	h := one(t, simple("restart-timeout: 3600", "run", "100", "3"))
	client := h.control()
	h.start()
	record := h.path("run/containers/box/app.0")
	noted := func() {
		t.Helper()
		eventually(t, "the death that was noted", 20*time.Second, func() error {
			r, err := records.Read(record)
			if err == nil && !r.Noted {
				err = errors.New("it is not noted")
			}
			return err
		})
	}
	noted()
	h.killDaemon()
	forgetNote := func() {
		t.Helper()
		text := h.read("run/containers/box/app.0")
		must(t, os.Truncate(record, int64(strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n')+1)))
	}
	forgetNote()
	if r, err := records.Read(record); err != nil || r.Noted || r.Exited == nil {
		t.Fatalf("the record is not as a daemon leaves it that is killed over the death: %+v, %v", r, err)
	}
	h.start()
	noted()
	in, err := client.Instance(t.Context(), "box/app.0")
	must(t, err)
	if in.Starts != 1 || in.FailuresInRow != 1 || in.LastExit == nil || in.LastExit.Code != 3 || in.State != api.StateWaiting {
		t.Errorf("it is %+v, its last exit %+v", in, in.LastExit)
	}
	if n := strings.Count(h.read("run/deaths/box/app.0"), "\n"); n != 1 {
		t.Errorf("%d deaths are kept", n)
	}
	if n := strings.Count(h.read("log/box.log"), "exited with code 3"); n != 1 {
		t.Errorf("the log tells of %d deaths", n)
	}

	// One that was killed after the line of its log, before it could keep the death:
	// the line is there twice, and the second says so.
	const again = "exited with code 3, uptime [^\\n]* \\(it was dead when this daemon started, and may have been logged before\\)\n"
	h.killDaemon()
	forgetNote()
	must(t, os.Remove(h.path("run/deaths/box/app.0")))
	h.start()
	noted()
	eventually(t, "the kept death", 20*time.Second, func() error {
		if n := strings.Count(h.read("run/deaths/box/app.0"), "\n"); n != 1 {
			return fmt.Errorf("%d deaths are kept", n)
		}
		return nil
	})
	log := h.read("log/box.log")
	if n, marked := strings.Count(log, "exited with code 3"), len(regexp.MustCompile(again).FindAllString(log, -1)); n != 2 || marked != 1 {
		t.Errorf("the log tells of %d deaths, of %d as ones that may have been logged before:\n%s", n, marked, log)
	}
	h.stop()
}

// A program that fails again and again is not started sooner, nor is it forgotten
// how often it failed, because the daemon was killed.
//
// Covers: K12, N3, N9
func TestFailureRowSurvivesTheDaemon(t *testing.T) {
	t.Parallel()
	// The waits are 0.02 s, 2 s, and 200 s.
	h := one(t, simple("restart-timeout: 0.02\nrestart-backoff: {factor: 100, cap: 3600}\n", "says", "no such table", "3"))
	client := h.control()
	h.start()
	shown := func() (in *api.Instance) {
		t.Helper()
		eventually(t, "the third failure", 10*time.Second, func() error {
			var err error
			in, err = client.Instance(t.Context(), "box/app.0")
			if err == nil && (in.FailuresInRow != 3 || in.State != api.StateWaiting) {
				err = fmt.Errorf("%d failures: %s", in.FailuresInRow, in.Words)
			}
			return err
		})
		return in
	}
	before := shown()
	for range 2 {
		h.killDaemon()
		h.start()
		now := shown()
		if now.Starts != 3 || !now.NextTry.Equal(before.NextTry) || now.LastExit == nil || now.LastExit.Words != "exited with code 3" ||
			!now.LastExit.At.Equal(before.LastExit.At) || !slices.Contains(now.Conditions, api.ConditionFailing) {
			t.Errorf("before the kill it was\n%+v\nand now it is\n%+v, the last exit %+v", before, now, now.LastExit)
		}
	}
	h.stop()
}

// An object whose file breaks while the daemon is dead or stopped keeps running
// as it was.
//
// Covers: C23, K12
func TestNextDaemonKeepsLastGoodConfigs(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{"app": simple("", "wait")})
	h.sandbox("box", "", "app: {image: app, config: /config/app.yaml}\nother: {image: app, config: /config/app.yaml}")
	h.start()
	before := h.running("box/app.0", "box/other.0")
	kept := func() {
		t.Helper()
		eventually(t, "the kept plan", 5*time.Second, func() error {
			_, err := os.Stat(h.path("run/plan.json"))
			return err
		})
	}
	kept()
	if info, err := os.Stat(h.path("run/plan.json")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the kept plan: %v, %v", info, err)
	}
	h.killDaemon()
	h.processes("box", "app: {image: app, config: /config/missing.yaml}\nother: {image: [}")
	h.start()
	h.adopted("box/app.0", 1)
	h.adopted("box/other.0", 1)
	for name, i := range h.running("box/app.0", "box/other.0") {
		if i.knot != before[name].knot {
			t.Errorf("%s is another", name)
		}
	}
	h.stop()
	h.start()
	h.running("box/app.0", "box/other.0")
	h.processes("box", "app: {image: app, config: /config/missing.yaml}")
	h.reload("box")
	h.running("box/app.0")
}
