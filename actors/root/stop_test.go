package root

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors/fakekernel"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
)

// Covers: N4
func TestTermEndsEverything(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New()
				k.Behave = behave(map[string]fakekernel.Behaviour{
					"web/slow.0": {TermTime: 20 * time.Second},
					"web/loop.0": {Lifetime: time.Millisecond},
				})
				h := start(t, k, plan(
					sb("db", proc("pg", 1, "1")),
					sb("web", proc("app", 3, "1", port(80)), proc("loop", 1, "1"), proc("slow", 1, "1", killTimeout(time.Minute)))))
				began := time.Now()
				h.signal(sig)
				h.wantRunning("web/slow.0")
				h.ended()
				if took := h.endAt.Sub(began); took != 20*time.Second {
					t.Errorf("the stop took %s, want as long as the slowest, 20 s", took)
				}
				for _, p := range k.History("web/app.1") {
					if len(p.Signals) != 1 || p.Signals[0].Signal != spawn.StopSignal {
						t.Errorf("got signals %v, want the request to stop once", p.Signals)
					}
				}
				h.wantLog("Everything has ended")
			})
		})
	}
}

// Covers: N4
func TestStopHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = behave(map[string]fakekernel.Behaviour{
			"web/short.0": {IgnoreTerm: true}, "web/long.0": {IgnoreTerm: true},
		})
		h := start(t, k, plan(sb("web",
			proc("long", 1, "1", killTimeout(30*time.Second)), proc("short", 1, "1", killTimeout(2*time.Second)))))
		began := time.Now()
		h.stop()
		if took := h.endAt.Sub(began); took != 31*time.Second {
			t.Errorf("the stop took %s, want the longest kill-timeout and a second", took)
		}
		short := k.History("web/short.0")[0]
		if lived := short.Ended.Sub(began); lived != 3*time.Second {
			t.Errorf("the one of the short kill-timeout was killed after %s, want 3 s", lived)
		}
	})
}

// Covers: N4
func TestSecondTermIsForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = always(fakekernel.Behaviour{IgnoreTerm: true})
		h := start(t, k, plan(sb("web", proc("app", 1, "1", killTimeout(30*time.Second)))))
		began := time.Now()
		h.signal(syscall.SIGTERM)
		sleep(10 * time.Second)
		h.signal(syscall.SIGINT)
		sleep(5 * time.Second)
		h.signal(syscall.SIGTERM)
		h.ended()
		var got []string
		for _, s := range k.History("web/app.0")[0].Signals {
			got = append(got, fmt.Sprintf("%d after %s", s.Signal, s.At.Sub(began)))
		}
		const stop, kill = spawn.StopSignal, syscall.SIGKILL
		want := []string{
			fmt.Sprintf("%d after 0s", stop), fmt.Sprintf("%d after 10s", stop), fmt.Sprintf("%d after 15s", stop),
			fmt.Sprintf("%d after 31s", kill),
		}
		if !slices.Equal(got, want) {
			t.Errorf("got signals %v, want %v: a further TERM must not put off the KILL", got, want)
		}
	})
}

// Covers: N4
func TestUnkillableContainersAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = behave(map[string]fakekernel.Behaviour{"web/stuck.0": {IgnoreTerm: true, IgnoreKill: true}})
		h := start(t, k, plan(sb("web", proc("app", 1, "1"), proc("stuck", 1, "1"))))
		h.kernel.Signals <- syscall.SIGTERM
		err := <-h.done
		if err == nil || !strings.Contains(err.Error(), "web/stuck.0") || strings.Contains(err.Error(), "web/app.0") {
			t.Errorf("the daemon ends with %v, want it to name what is left", err)
		}
		k.End(h.pid("web/stuck.0"), 0)
		sleep(time.Minute)
	})
}

// Covers: N4
func TestStopAtAnyMoment(t *testing.T) {
	// Forks that take long, deaths, replacements and clean-ups are under way.
	for at := time.Duration(0); at < 6*time.Second; at += 137 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New()
			k.Behave = func(name string, n int) fakekernel.Behaviour {
				return fakekernel.Behaviour{
					ForkTime: 300 * time.Millisecond, Lifetime: 900 * time.Millisecond,
					TermTime: 200 * time.Millisecond, RemoveTime: 250 * time.Millisecond,
				}
			}
			h := start(t, k, plan(sb("web", proc("app", 2, "1", port(80)))))
			time.AfterFunc(2*time.Second, func() {
				k.LoadFunc = func() (*configs.Plan, configs.Problems) {
					return plan(sb("web", proc("app", 2, "2", port(81)))), nil
				}
				k.Signals <- syscall.SIGQUIT
			})
			sleep(at)
			h.stop()
		})
	}
}

// Covers: N8
func TestRetiredContainersKeepTheirKillTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = always(fakekernel.Behaviour{IgnoreTerm: true})
		h := start(t, k, plan(sb("web",
			proc("a", 1, "1", killTimeout(2*time.Second)), proc("b", 1, "1", killTimeout(40*time.Second)))))
		began := time.Now()
		h.reload(plan(sb("web")))
		// A reload in between does not put the KILL off (O7).
		sleep(time.Second)
		h.reload(plan(sb("web")))
		sleep(time.Minute)
		for name, want := range map[string]time.Duration{"web/a.0": 3 * time.Second, "web/b.0": 41 * time.Second} {
			p := k.History(name)[0]
			if got := p.Ended.Sub(began); got != want {
				t.Errorf("%s was killed after %s, want %s", name, got, want)
			}
			if len(p.Signals) != 2 {
				t.Errorf("%s got %v, want one TERM and one KILL", name, p.Signals)
			}
		}
		h.stop()
	})
}

// Covers: N8, O7
func TestKillTimeoutIsTheOneThatPID1Has(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = func(_ string, n int) fakekernel.Behaviour { return fakekernel.Behaviour{IgnoreTerm: n == 0} }
		h := start(t, k, plan(sb("web",
			proc("replaced", 1, "1", killTimeout(30*time.Second)), proc("updated", 1, "1", killTimeout(40*time.Second)))))
		h.reload(plan(sb("web",
			proc("replaced", 1, "2", killTimeout(time.Second)), proc("updated", 1, "1", killTimeout(time.Second)))))
		began := time.Now()
		h.reload(plan(sb("web", proc("replaced", 1, "2", killTimeout(time.Second)))))
		sleep(time.Minute)
		for name, want := range map[string]time.Duration{"web/replaced.0": 31 * time.Second, "web/updated.0": 41 * time.Second} {
			if got := k.History(name)[0].Ended.Sub(began); got != want {
				t.Errorf("%s was killed after %s, want %s", name, got, want)
			}
		}
		h.wantRunning("web/replaced.0")
		h.stop()
	})
}

// Covers: N4
func TestStopDuringAForkUsesItsKillTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = always(fakekernel.Behaviour{ForkTime: 2 * time.Second, TermTime: 20 * time.Second})
		h := start(t, k, plan(sb("web", proc("app", 1, "1", killTimeout(30*time.Second)))))
		began := time.Now()
		h.stop()
		p := k.History("web/app.0")[0]
		if got := p.Ended.Sub(began); got != 22*time.Second || len(p.Signals) != 1 {
			t.Errorf("it ended after %s with %v, want 20 s after its fork, and no KILL", got, p.Signals)
		}
	})
}

// Covers: N4
func TestForkLongerThanTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = always(fakekernel.Behaviour{ForkTime: 12 * time.Second, IgnoreTerm: true})
		h := start(t, k, plan(sb("web", proc("app", 3, "1"))))
		began := time.Now()
		h.stop()
		if took := h.endAt.Sub(began); took != 12*time.Second {
			t.Errorf("the stop took %s, want a KILL as soon as the fork under way is done", took)
		}
	})
}

// Whether it is wanted or not: nothing is handed on when the daemon is to stop.
//
// Covers: M6, N4
func TestStopWaitsForLeftovers(t *testing.T) {
	for _, name := range []string{"web/old.0", "web/app.0"} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New()
			old := k.AddOrphan(name, fakekernel.Behaviour{IgnoreTerm: true}, records.Created{Fingerprint: "1", KillTimeout: 30})
			k.LeftTime = time.Second
			h := start(t, k, plan(sb("web", proc("app", 1, "1"))))
			began := time.Now()
			h.stop()
			if took := h.endAt.Sub(began); took != 32*time.Second || old.Ended.IsZero() {
				t.Errorf("%s: the stop took %s, want the second until it was found, its kill-timeout and a second\n%s", name, took, h.log)
			}
			if name == "web/app.0" { // known to this daemon: its death is told
				h.wantLog(`"web/app.0" (pid 101) was killed`)
			}
		})
	}
}
