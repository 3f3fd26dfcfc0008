package root

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors/fakekernel"
	"lithos/configs"
	"lithos/spawn/records"
	"lithos/spawn/wire"
)

// behave gives each container one behaviour for all its starts.
func behave(by map[string]fakekernel.Behaviour) func(string, int) fakekernel.Behaviour {
	return func(name string, _ int) fakekernel.Behaviour { return by[name] }
}

// always gives every start of every container the same behaviour.
func always(b fakekernel.Behaviour) func(string, int) fakekernel.Behaviour {
	return func(string, int) fakekernel.Behaviour { return b }
}

// gaps are the times between the starts of a container.
func gaps(k *fakekernel.Kernel, name string) (list []time.Duration) {
	var last time.Time
	for _, p := range k.History(name) {
		if !last.IsZero() {
			list = append(list, p.Started.Sub(last))
		}
		last = p.Started
	}
	return list
}

// Covers: N1, N8
func TestStartByAddingStopByRemovingRestartByKilling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 2, "1"))))
		h.wantRunning("web/app.0", "web/app.1")

		h.reload(plan(sb("web", proc("app", 2, "1"), proc("new", 1, "1"))))
		h.wantRunning("web/app.0", "web/app.1", "web/new.0")

		h.reload(plan(sb("web", proc("app", 1, "1"), proc("new", 1, "1"))))
		h.wantRunning("web/app.0", "web/new.0")

		sleep(time.Minute)
		k.End(h.pid("web/app.0"), syscall.WaitStatus(syscall.SIGKILL))
		synctest.Wait()
		h.wantRunning("web/app.0", "web/new.0")
		if n := k.Starts("web/app.0"); n != 2 {
			t.Errorf("%d starts of the one that was killed, want 2", n)
		}
		if n := k.Starts("web/new.0"); n != 1 {
			t.Errorf("%d starts of its neighbour, want 1", n)
		}
		h.stop()
	})
}

// Covers: E6, N2
func TestCrashesRestartForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = func(_ string, n int) fakekernel.Behaviour {
			// Lifetimes from a millisecond up to less than restart-timeout.
			return fakekernel.Behaviour{Lifetime: time.Duration(1+n%9_000) * time.Millisecond, Status: 2 << 8}
		}
		h := start(t, k, plan(sb("web", proc("app", 1, "1", restartTimeout(10*time.Second)))))
		sleep(24 * time.Hour)
		h.stop()
		if n := k.Starts("web/app.0"); n != 8641 {
			t.Errorf("%d starts in a day, want one each 10 s, 8641", n)
		}
		for i, gap := range gaps(k, "web/app.0") {
			if gap != 10*time.Second {
				t.Fatalf("%s between starts %d and %d: no backoff, no jitter, no giving up", gap, i, i+1)
			}
		}
	})
}

// Covers: E6, N3
func TestRestartTimeoutRunsFromStartToStart(t *testing.T) {
	tests := []struct {
		name     string
		lifetime time.Duration
		want     time.Duration
	}{
		{"dies at once", time.Nanosecond, 5 * time.Second},
		{"dies within the timeout", 2 * time.Second, 5 * time.Second},
		{"dies just before the timeout", 4999 * time.Millisecond, 5 * time.Second},
		{"lived longer: restarted at once", 7 * time.Second, 7 * time.Second},
		{"lived for hours: restarted at once", 3 * time.Hour, 3 * time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New()
				k.Behave = always(fakekernel.Behaviour{Lifetime: test.lifetime})
				h := start(t, k, plan(sb("web", proc("app", 1, "1", restartTimeout(5*time.Second)))))
				sleep(test.want * 10)
				h.stop()
				for _, gap := range gaps(k, "web/app.0") {
					if gap != test.want {
						t.Fatalf("%s from start to start, want %s", gap, test.want)
					}
				}
				if n := k.Starts("web/app.0"); n < 10 {
					t.Errorf("only %d starts", n)
				}
			})
		})
	}
}

// Covers: N3
func TestSpawnErrorsWaitForRestartTimeout(t *testing.T) {
	tests := []struct {
		name    string
		failing fakekernel.Behaviour
		text    string
	}{
		{"an error", fakekernel.Behaviour{ForkError: errors.New("no memory for a process")}, "no memory for a process"},
		{"a panic", fakekernel.Behaviour{ForkPanic: true}, "fork panics as it was told to"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New()
				k.Behave = func(name string, n int) fakekernel.Behaviour {
					if name == "web/app.0" && n < 5 {
						return test.failing
					}
					return fakekernel.Behaviour{}
				}
				began := time.Now()
				h := start(t, k, plan(sb("web", proc("app", 2, "1", port(80), restartTimeout(3*time.Second)))))
				h.wantRunning("web/app.1")
				sleep(time.Minute)
				h.wantRunning("web/app.0", "web/app.1")
				if at := k.History("web/app.0")[0].Started.Sub(began); at != 15*time.Second {
					t.Errorf("it runs after %s, want after 5 tries of 3 s", at)
				}
				h.wantLog(`Cannot start container "web/app.0": `, test.text)
				h.stop()
			})
		})
	}
}

// Covers: N13
func TestOldInstanceStopsBeforeTheNewOneStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = always(fakekernel.Behaviour{TermTime: 3 * time.Second})
		h := start(t, k, plan(sb("web", proc("app", 3, "1", restartTimeout(time.Hour)))))
		began := time.Now()
		h.reload(plan(sb("web", proc("app", 3, "2", restartTimeout(time.Hour)))))
		sleep(10 * time.Second)
		h.wantRunning("web/app.0", "web/app.1", "web/app.2")
		for i := range 3 {
			all := k.History(fmt.Sprintf("web/app.%d", i))
			if len(all) != 2 {
				t.Fatalf("%d containers, want two", len(all))
			}
			if at := all[0].Signals[0].At; !at.Equal(began) {
				t.Errorf("instance %d got TERM %s later", i, at.Sub(began))
			}
			if !all[1].Started.Equal(all[0].Ended) {
				t.Errorf("the new one started %s after the old one's end, want at once", all[1].Started.Sub(all[0].Ended))
			}
			if image := all[1].Request.Spec.Image; image != "/images/i-2" {
				t.Errorf("the new one has the image %s", image)
			}
		}
		h.stop()
	})
}

// Covers: D2, N14
func TestDaemonStartsNoCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		command := proc("shell", 1, "1")
		command.Kind = configs.KindCommand
		h := start(t, k, plan(sb("web", proc("app", 1, "1"), command)))
		h.wantRunning("web/app.0")
		h.reload(plan(sb("web", proc("app", 1, "1"), command)))
		h.wantRunning("web/app.0")
		h.stop()
	})
}

// Covers: D3
func TestInstancesScaleFromZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 0, "1"))))
		h.wantRunning()
		h.reload(plan(sb("web", proc("app", 2, "1"))))
		h.wantRunning("web/app.0", "web/app.1")
		h.reload(plan(sb("web", proc("app", 0, "1"))))
		h.wantRunning()
		h.stop()
	})
}

// Covers: N16
func TestProcessesStartIndependently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = behave(map[string]fakekernel.Behaviour{"a/first.0": {ForkError: errors.New("never")}})
		began := time.Now()
		h := start(t, k, plan(sb("a", proc("first", 1, "1")), sb("b", proc("second", 1, "1"))))
		h.wantRunning("b/second.0")
		if at := k.History("b/second.0")[0].Started; !at.Equal(began) {
			t.Errorf("it was started %s late", at.Sub(began))
		}
		h.stop()
	})
}

// Covers: N9, Q2, Q5
func TestFailuresAreCounted(t *testing.T) {
	// The sandbox owns the counters; the log of process_test shows them here. The
	// root adds that deaths of a stop are expected.
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = always(fakekernel.Behaviour{Record: &records.Record{Exited: &wire.ProgramExited{Code: 0, Asked: true}}})
		h := start(t, k, plan(sb("web", proc("app", 1, "1"))))
		h.stop()
		h.wantLog("exited with code 0 after TERM")
	})
}

// Covers: M5
func TestCgroupSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 1, "1", restartTimeout(time.Minute)))))
		k.End(h.pid("web/app.0"), 0)
		synctest.Wait()
		if left := k.LeftBehind(); !slices.Equal(left, []string{"cgroup web/app.0"}) {
			t.Errorf("while it waits there are %v, want its cgroup only", left)
		}
		h.reload(plan(sb("web")))
		if left := k.LeftBehind(); len(left) != 0 {
			t.Errorf("after it was retired there are %v", left)
		}
		h.stop()
	})
}

// Covers: M3
func TestDegradedContainerIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = always(fakekernel.Behaviour{Degraded: []string{"memory-limit is not enforced: no controller"}})
		h := start(t, k, plan(sb("web", proc("app", 1, "1"))))
		h.wantLog(`[ERROR] Container "web/app.0" runs degraded: memory-limit is not enforced: no controller`)
		h.stop()
	})
}

// Covers: P3, P8
func TestStartsLogAtWarnDeathsAtError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = behave(map[string]fakekernel.Behaviour{
			"web/app.0": {Lifetime: 1500 * time.Millisecond, Status: 2 << 8,
				Record: &records.Record{Exited: &wire.ProgramExited{Code: 3}}},
			"web/bad.0": {Lifetime: time.Millisecond, Status: 1 << 8,
				Record: &records.Record{Failed: "cannot mount /run/lithos/mnt/data: no such directory"}},
		})
		h := start(t, k, plan(sb("web", proc("app", 1, "1"), proc("bad", 1, "1", restartTimeout(time.Hour)))))
		sleep(2 * time.Second)
		app, bad := k.History("web/app.0")[0].PID, k.History("web/bad.0")[0].PID
		h.wantLog(
			fmt.Sprintf(`[2000-01-01T00:00:00Z][WARN] Started container "web/app.0" (pid %d)`, app),
			fmt.Sprintf(`[2000-01-01T00:00:01Z][ERROR] Container "web/app.0" (pid %d) exited with code 3, uptime 1.5s`, app),
			fmt.Sprintf(`[ERROR] Container "web/bad.0" (pid %d) could not be set up: cannot mount /run/lithos/mnt/data: no such directory`, bad))
		h.stop()
	})
}

// TestTwoHundred is a whole host with everything at once.
func TestTwoHundred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		// Two, since the kernel's is used on the spawner's goroutine.
		random, killing := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4))
		k.Behave = func(string, int) fakekernel.Behaviour {
			return fakekernel.Behaviour{
				ForkTime:   time.Duration(random.IntN(3)) * time.Millisecond,
				TermTime:   time.Duration(random.IntN(4000)) * time.Millisecond,
				RemoveTime: time.Duration(random.IntN(50)) * time.Millisecond,
				IgnoreTerm: random.IntN(10) == 0,
			}
		}
		var sandboxes []*configs.Sandbox
		for i := range 10 {
			sandboxes = append(sandboxes, sb(fmt.Sprintf("sb%d", i), proc("app", 20, "1", port(uint16(8000+i)))))
		}
		h := start(t, k, plan(sandboxes...))
		sleep(10 * time.Second)
		if n := len(k.Living()); n != 200 {
			t.Fatalf("%d of 200 run", n)
		}
		for range 3 {
			for _, p := range k.Living() {
				sleep(time.Duration(killing.IntN(30)) * time.Millisecond)
				k.End(p.PID, syscall.WaitStatus(syscall.SIGKILL))
			}
			sleep(30 * time.Second)
			if n := len(k.Living()); n != 200 {
				t.Fatalf("%d of 200 run after each was killed", n)
			}
		}
		h.stop()
	})
}
