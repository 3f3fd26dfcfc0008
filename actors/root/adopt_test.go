package root

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/fakekernel"
	"lithos/actors/services/logs"
	"lithos/configs"
	"lithos/spawn/records"
	"lithos/spawn/wire"
)

func orphan(k *fakekernel.Kernel, name, version string, b fakekernel.Behaviour, ports ...uint16) *fakekernel.Proc {
	var sockets []actors.Socket
	for _, n := range ports {
		sockets = append(sockets, actors.Socket{Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), n), Backlog: 128, ReuseAddr: true})
	}
	return k.AddOrphan(name, b, records.Created{Fingerprint: version, At: time.Now(), Restarts: 3, KillTimeout: 5}, sockets...)
}

// What an earlier daemon left is not touched; its death is seen.
//
// Covers: K12
func TestAdoptedContainersKeepRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		a := orphan(k, "web/app.0", "1", fakekernel.Behaviour{}, 8080)
		b := orphan(k, "web/app.1", "1", fakekernel.Behaviour{}, 8080)
		h := start(t, k, plan(sb("web", proc("app", 2, "1", port(8080)))))
		sleep(time.Minute)
		h.wantRunning("web/app.0", "web/app.1")
		if h.pid("web/app.0") != a.PID || h.pid("web/app.1") != b.PID || len(a.Signals)+len(b.Signals) > 0 {
			t.Errorf("they were touched: %v %v\n%s", a.Signals, b.Signals, h.log)
		}
		if n := len(k.Sockets()); n != 1 {
			t.Errorf("%d sockets, want the one that both have", n)
		}
		h.wantLog("Adopted container \"web/app.0\"")
		k.End(a.PID, 7<<8)
		sleep(2 * time.Second)
		h.wantRunning("web/app.0", "web/app.1")
		if got := h.pid("web/app.0"); got == a.PID || h.pid("web/app.1") != b.PID {
			t.Errorf("app.0 has the pid %d after the death of %d", got, a.PID)
		}
		h.stop()
	})
}

// restart-timeout counts from the start by the earlier daemon.
//
// Covers: N3
func TestAdoptionKeepsTheRestartTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		a := orphan(k, "web/app.0", "1", fakekernel.Behaviour{})
		began := time.Now()
		time.Sleep(4 * time.Second)
		h := start(t, k, plan(sb("web", proc("app", 1, "1", restartTimeout(10*time.Second)))))
		k.End(a.PID, 1<<8)
		sleep(20 * time.Second)
		history := k.History("web/app.0")
		if len(history) != 2 || history[1].Started.Sub(began) != 10*time.Second {
			t.Errorf("history %v\n%s", history, h.log)
		}
		h.stop()
	})
}

// Covers: O3
func TestAdoptedContainerWithAChangedConfigIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		a := orphan(k, "web/app.0", "1", fakekernel.Behaviour{TermTime: time.Second}, 8080)
		gone := orphan(k, "web/old.0", "1", fakekernel.Behaviour{TermTime: time.Second})
		h := start(t, k, plan(sb("web", proc("app", 1, "2", port(8080)))))
		sleep(5 * time.Second)
		h.wantRunning("web/app.0")
		if h.pid("web/app.0") == a.PID || gone.Ended.IsZero() {
			t.Errorf("not replaced, or old.0 not ended\n%s", h.log)
		}
		h.stop()
	})
}

// What ended while there was no daemon is noted once, and restarted when its
// restart-timeout is over.
//
// Covers: K12, N3
func TestDeathsBetweenDaemonsAreRecordedOnce(t *testing.T) {
	forked := &records.Forked{PID: 77}
	for name, c := range map[string]struct {
		left actors.Leftover // without its name and Created
		told int             // how often
	}{
		"dead":          {actors.Leftover{Info: &records.Record{Forked: forked}}, 1},
		"dead, noted":   {actors.Leftover{Info: &records.Record{Forked: forked}, Noted: true}, 0},
		"dead by now":   {actors.Leftover{Info: &records.Record{Forked: forked}, PID: 77, StartTime: 5}, 1},
		"no pid, lived": {actors.Leftover{Info: &records.Record{Started: &wire.ProgramStarted{}}}, 1},
		"never forked":  {actors.Leftover{Info: &records.Record{}}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New()
			began := time.Now()
			c.left.Name = "web/app.0"
			c.left.Info.Created = records.Created{Name: "web/app.0", Fingerprint: "1", At: began, Restarts: 3}
			k.Left.Containers = append(k.Left.Containers, c.left)
			time.Sleep(2 * time.Second)
			h := start(t, k, plan(sb("web", proc("app", 1, "1", restartTimeout(10*time.Second)))))
			sleep(20 * time.Second)
			h.wantRunning("web/app.0")
			history := k.History("web/app.0")
			if len(history) != 1 || history[0].Started.Sub(began) != 10*time.Second {
				t.Errorf("%s: history %v\n%s", name, history, h.log)
			}
			if got := strings.Count(h.log.String(), "ended without a trace"); got != c.told {
				t.Errorf("%s: the death is in the log %d times, want %d\n%s", name, got, c.told, h.log)
			}
			h.stop()
		})
	}
}

// A first plan that can't be used at all leaves everything as the daemon before
// had it; one that is broken in part has that part of the daemon before.
//
// Covers: C23, K12
func TestFirstPlanKeepsLastGoodConfigs(t *testing.T) {
	kept := plan(sb("old", proc("app", 1, "1")), sb("web", proc("app", 1, "1")))
	broken := sb("web")
	broken.Broken = true
	all := configs.Problems{{Severity: configs.SeverityError, Text: "sandboxes-dir can't be read"}}
	for name, c := range map[string]struct {
		loaded   *configs.Plan
		problems configs.Problems
		want     string
	}{
		"nothing is broken":    {plan(sb("web")), nil, "web"},
		"one object is broken": {plan(broken), nil, "web web/app.0"},
		"all is broken":        {plan(), all, "old old/app.0 web web/app.0"},
	} {
		r := newRoot(Config{Logs: logs.To(&logBuffer{}, zerolog.InfoLevel), Plan: c.loaded, Problems: c.problems, Kept: kept}, nil)
		var got []string
		for _, s := range r.firstPlan().Sandboxes {
			got = append(got, s.Name)
		}
		for in := range instances(r.firstPlan()) {
			got = append(got, in)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s, want %s", name, strings.Join(got, " "), c.want)
		}
	}
}

// Covers: K12
func TestStopEndsAdoptedContainers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		orphan(k, "web/app.0", "1", fakekernel.Behaviour{IgnoreTerm: true}, 8080)
		h := start(t, k, plan(sb("web", proc("app", 1, "1", port(8080)))))
		h.stop()
	})
}

// A daemon that is killed between a fork and the line about it leaves a container
// that is found by other means, as long as it lives: whoever adopts it writes down
// its pid, so that its death is one of that pid, whoever learns of it.
//
// Covers: K12, N10
func TestMissingDeathLinesAreWrittenAtAdoption(t *testing.T) {
	written := ""
	kernel := &actors.Kernel{
		TakeSockets: func(int, *os.File, []actors.Socket) ([]actors.Socket, []*os.File) { return nil, nil },
		OpenProcess: func(int, uint64) (*os.File, error) { return os.Open(os.DevNull) },
		AppendLine: func(path, line string) error {
			written += path + ": " + line
			return nil
		},
	}
	wanted := instances(plan(sb("web", proc("app", 1, "1"))))["web/app.0"]
	for _, forked := range []*records.Forked{nil, {PID: 77}, {PID: 77, StartTime: 5}} {
		written = ""
		left := actors.Leftover{
			Name: "web/app.0", Record: "record", PID: 77, StartTime: 5,
			Info: &records.Record{Created: records.Created{Name: "web/app.0"}, Forked: forked},
		}
		a, ok := openAdoptable(kernel, zerolog.Nop(), left, wanted)
		if !ok || a.left.Info.Forked == nil || a.left.Info.Forked.PID != 77 || a.left.Info.Forked.StartTime != 5 {
			t.Fatalf("%+v: %+v", forked, a.left.Info)
		}
		_ = a.pidfd.Close()
		want := ""
		if forked == nil || forked.StartTime == 0 {
			want = "record: " + records.ForkedLine(records.Forked{PID: 77, StartTime: 5})
		}
		if written != want {
			t.Errorf("%+v: it wrote %q, want %q", forked, written, want)
		}
	}
}

// One look that fails is no death: the container would be told dead, and be started
// a second time.
//
// Covers: K12
func TestFailedLooksAreNoDeaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		var pids []int
		for _, name := range []string{"web/app.0", "web/app.1", "web/old.0"} {
			pids = append(pids, orphan(k, name, "1", fakekernel.Behaviour{}).PID)
		}
		dead := orphan(k, "web/app.2", "1", fakekernel.Behaviour{})
		for _, errno := range []syscall.Errno{syscall.ENFILE, syscall.EMFILE, syscall.ENOMEM, syscall.EAGAIN} {
			k.FailingLooks = append(k.FailingLooks, errno, fmt.Errorf("cannot open process: %w", errno))
		}
		h := start(t, k, plan(sb("web", proc("app", 3, "1"))))
		k.End(dead.PID, 9)
		sleep(10 * time.Second)
		h.wantRunning("web/app.0", "web/app.1", "web/app.2")
		if h.pid("web/app.0") != pids[0] || h.pid("web/app.1") != pids[1] || h.pid("web/app.2") == dead.PID {
			t.Errorf("others run now\n%s", h.log)
		}
		if told := strings.Count(h.log.String(), "cause:"); told != 1 {
			t.Errorf("%d deaths are told, want that of app.2\n%s", told, h.log)
		}
		h.wantLog("Cannot find out whether container \"web/app.0\" of an earlier daemon lives")
		h.stop()
	})
}

// A rollout that changes the port is taken back after another daemon came: the port
// that the queued instances have is leased, though it was not wanted when that
// daemon began.
//
// Covers: G12, K12
func TestAdoptionLeasesSocketsThatAreNotWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		a := orphan(k, "web/app.0", "1", fakekernel.Behaviour{}, 8080)
		b := orphan(k, "web/app.1", "1", fakekernel.Behaviour{}, 8080)
		held := func(s actors.Socket) error { // by PID 1s, whatever the daemon has
			for _, p := range k.Living() {
				if (p.PID == a.PID || p.PID == b.PID) && s.Addr.Port() == 8080 {
					return syscall.EADDRINUSE
				}
			}
			return nil
		}
		k.ListenError = held
		rolling := func(version string, n uint16, options ...func(*configs.Container)) *configs.Plan {
			p := proc("app", 2, version, append(options, port(n))...)
			p.Config.MaxUnavailable = 1
			return plan(sb("web", p))
		}
		never := func(c *configs.Container) {
			c.Ready = &configs.Ready{Check: configs.Check{Kind: configs.CheckFD, FD: 9}}
		}
		h := start(t, k, rolling("2", 9090, never))
		sleep(10 * time.Second)
		if h.pid("web/app.0") == a.PID || h.pid("web/app.1") != b.PID {
			t.Fatalf("want the first replaced, the second queued\n%s", h.log)
		}
		h.reload(rolling("1", 8080))
		sleep(10 * time.Second)
		h.wantRunning("web/app.0", "web/app.1")
		if h.pid("web/app.1") != b.PID || strings.Contains(h.log.String(), "Cannot start") {
			t.Errorf("the port is not shared again\n%s", h.log)
		}
		h.stop()
	})
}

// Nothing is concluded from a list that may lack something.
//
// Covers: M6
func TestNothingIsStartedBeforeAllLeftoversAreKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		a := orphan(k, "web/app.0", "1", fakekernel.Behaviour{})
		complete := k.Left.Containers
		k.Left = actors.Leftovers{Unsure: syscall.EMFILE}
		h := start(t, k, plan(sb("web", proc("app", 2, "1"))))
		sleep(time.Minute)
		h.wantRunning("web/app.0")
		k.SetLeft(actors.Leftovers{Containers: complete})
		sleep(time.Second)
		h.wantRunning("web/app.0", "web/app.1")
		if h.pid("web/app.0") != a.PID {
			t.Errorf("it is another one\n%s", h.log)
		}
		h.stop()
	})
}

// Adopted containers do not wait for those being ended: their end is told, each
// is started again, and its socket is there. New containers do.
//
// Covers: K12
func TestAdoptionDoesNotWaitForStoppingContainers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		began := time.Now()
		gone := k.AddOrphan("web/gone.0", fakekernel.Behaviour{IgnoreTerm: true}, records.Created{Fingerprint: "1", At: began, KillTimeout: 60})
		a := orphan(k, "web/app.0", "1", fakekernel.Behaviour{}, 8080)
		orphan(k, "web/other.0", "1", fakekernel.Behaviour{})
		p := plan(sb("web", proc("app", 1, "1", port(8080)), proc("new", 1, "1"), proc("other", 1, "2")), sb("far", proc("new", 1, "1")))
		h := start(t, k, p)
		k.End(a.PID, 1<<8)
		sleep(3 * time.Second)
		h.wantRunning("web/app.0", "web/gone.0", "web/other.0")
		if h.pid("web/app.0") == a.PID || len(k.History("web/other.0")) != 2 {
			t.Errorf("app was not started again, or other not replaced, while gone ends\n%s", h.log)
		}
		if n := len(k.Sockets()); n != 1 {
			t.Errorf("%d sockets are open, want that of app", n)
		}
		h.wantLog(`"web/app.0" (pid`)
		sleep(time.Minute)
		h.wantRunning("far/new.0", "web/app.0", "web/new.0", "web/other.0")
		if ended := gone.Ended.Sub(began); ended < time.Minute || ended > 62*time.Second {
			t.Errorf("gone ended after %s", ended)
		}
		h.stop()
	})
}

// A stop that comes while something is ended also ends what was adopted, and
// waits for both.
//
// Covers: K12, N4
func TestStopWhileLeftoversEnd(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New()
			began := time.Now()
			gone := k.AddOrphan("web/gone.0", fakekernel.Behaviour{IgnoreTerm: true}, records.Created{Fingerprint: "1", At: began, KillTimeout: 20})
			a := orphan(k, "web/app.0", "1", fakekernel.Behaviour{TermTime: time.Second}, 8080)
			h := start(t, k, plan(sb("web", proc("app", 1, "1", port(8080)), proc("new", 1, "1"))))
			sleep(after)
			h.stop()
			if gone.Ended.IsZero() || a.Ended.IsZero() || a.Ended.Sub(began) > after+2*time.Second {
				t.Errorf("stopped after %s: gone ended at %v, app at %v, want both, and app at once\n%s", after, gone.Ended, a.Ended, h.log)
			}
		})
	}
}

// Nor is it forgotten when the stop comes while nothing but files is removed.
//
// Covers: K12, N4
func TestStopWhileLeftoversAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		gone := k.AddOrphan("web/gone.0", fakekernel.Behaviour{RemoveTime: 3 * time.Second}, records.Created{Fingerprint: "1", At: time.Now()})
		k.End(gone.PID, 0)
		k.Left.Containers[0].PID = 0
		a := orphan(k, "web/app.0", "1", fakekernel.Behaviour{}, 8080)
		h := start(t, k, plan(sb("web", proc("app", 1, "1", port(8080)))))
		sleep(time.Second)
		h.stop()
		if a.Ended.IsZero() {
			t.Errorf("app lives on\n%s", h.log)
		}
	})
}
