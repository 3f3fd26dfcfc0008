package root

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors/fakekernel"
	"lithos/configs"
	"lithos/spawn"
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

func TestN1_N8_StartByAddingStopByRemovingRestartByKilling(t *testing.T) {
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

func TestN2_E6_ADayOfCrashes(t *testing.T) {
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

func TestE6_N3_TimerRunsFromStartToStart(t *testing.T) {
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

func TestN3_SpawnErrorsWaitForRestartTimeout(t *testing.T) {
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

func TestN4_TermEndsEverything(t *testing.T) {
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

func TestN4_TheStopHasADeadline(t *testing.T) {
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

func TestN4_ASecondTermIsPassedOn(t *testing.T) {
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

func TestN4_WhatCannotBeKilledIsNamed(t *testing.T) {
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

func TestN4_StopAtAnyMoment(t *testing.T) {
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

func TestN7_UnidentifiedChildrenAreEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		tame := k.AddStray("sleep", fakekernel.Behaviour{})
		wild := k.AddStray("nohup", fakekernel.Behaviour{IgnoreTerm: true})
		began := time.Now()
		h := start(t, k, plan(sb("web", proc("app", 2, "1"))))
		sleep(time.Second)
		h.reload(plan(sb("web", proc("app", 2, "1")))) // finds it again, and leaves it be
		sleep(time.Minute)
		if n := len(wild.Signals); n != 2 {
			t.Errorf("it got %v, want one TERM and one KILL", wild.Signals)
		}
		if took := tame.Ended.Sub(began); took != 0 {
			t.Errorf("the one that takes TERM ended after %s", took)
		}
		if took := wild.Ended.Sub(began); took != 5*time.Second {
			t.Errorf("the one that does not take TERM ended after %s, want 5 s", took)
		}
		h.wantRunning("web/app.0", "web/app.1")
		if n := k.Starts("web/app.0"); n != 1 {
			t.Errorf("a container was taken for an unidentified child: %d starts", n)
		}
		h.wantLog("Unidentified child")
		h.stop()
	})
}

func TestN7_AReloadLooksForThemBesideForks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = always(fakekernel.Behaviour{ForkTime: time.Second})
		h := start(t, k, plan(sb("web", proc("app", 1, "1"))))
		sleep(2 * time.Second)
		stray := k.AddStray("sleep", fakekernel.Behaviour{IgnoreTerm: true})
		// Forks are under way while the children are listed.
		h.reload(plan(sb("web", proc("app", 3, "1"))))
		sleep(time.Minute)
		h.wantRunning("web/app.0", "web/app.1", "web/app.2")
		for _, name := range []string{"web/app.0", "web/app.1", "web/app.2"} {
			if n := k.Starts(name); n != 1 {
				t.Errorf("%s was started %d times: taken for unidentified", name, n)
			}
		}
		if stray.Ended.IsZero() {
			t.Error("the unidentified child lives")
		}
		h.stop()
	})
}

func TestN7_AStopWaitsForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.AddStray("nohup", fakekernel.Behaviour{IgnoreTerm: true})
		h := start(t, k, plan())
		h.stop()
	})
}

func TestN8_RetiredOnesGetTheirOwnKillTimeout(t *testing.T) {
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

func TestN8_O7_TheKillTimeoutIsTheOneThatPID1Has(t *testing.T) {
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

func TestN10_EveryDeadChildIsReaped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 1, "1"))))
		var orphans []*fakekernel.Proc
		for range 50 {
			orphans = append(orphans, k.AddStray("orphan", fakekernel.Behaviour{}))
		}
		for _, p := range orphans {
			k.End(p.PID, 0)
		}
		synctest.Wait()
		h.wantRunning("web/app.0")
		h.stop()
	})
}

func TestN10_AnExitBeforeTheForkIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = func(_ string, n int) fakekernel.Behaviour {
			return fakekernel.Behaviour{Instant: n < 20, Status: 1 << 8}
		}
		h := start(t, k, plan(sb("web", proc("app", 5, "1", port(80)))))
		sleep(time.Minute)
		for i := range 5 {
			name := fmt.Sprintf("web/app.%d", i)
			if n := k.Starts(name); n != 21 {
				t.Errorf("%s: %d starts, want 20 that die at once and one that stays", name, n)
			}
		}
		h.stop()
	})
}

func TestN10_APidThatIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan())
		orphan := k.AddStray("orphan", fakekernel.Behaviour{})
		k.End(orphan.PID, 0)
		sleep(time.Second)
		k.NextPID(orphan.PID)
		h.reload(plan(sb("web", proc("app", 1, "1"))))
		sleep(time.Minute)
		if all := k.History("web/app.0"); len(all) != 1 || all[0].PID != orphan.PID {
			t.Errorf("%d starts: the orphan's death was taken for the container's", len(all))
		}
		h.stop()
	})
}

func TestN4_AForkUnderWayGetsItsKillTimeout(t *testing.T) {
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

func TestN4_AForkThatTakesLongerThanTheStop(t *testing.T) {
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

func TestN13_AllInstancesAtOnceAndOldBeforeNew(t *testing.T) {
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

func TestD2_N14_CommandsAreNotStarted(t *testing.T) {
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

func TestD3_InstancesFromNoneToMany(t *testing.T) {
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

func TestN16_NothingWaitsForAnything(t *testing.T) {
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

func TestN9_Q2_Q5_WhatCountsAsFailure(t *testing.T) {
	// The counters are the sandbox's; here they are seen through the log of
	// process_test. What the root adds is that a stop's deaths are asked for.
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = always(fakekernel.Behaviour{Record: &spawn.Record{Exited: &spawn.ProgramExited{Code: 0, Asked: true}}})
		h := start(t, k, plan(sb("web", proc("app", 1, "1"))))
		h.stop()
		h.wantLog("exited with code 0 after TERM")
	})
}

func TestM5_CgroupsStayOverARestart(t *testing.T) {
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

func TestM6_LeftoversGoBeforeAnythingStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		began := time.Now()
		tame := k.AddLeftover("web/app.0", fakekernel.Behaviour{TermTime: time.Second}, 5*time.Second)
		wild := k.AddLeftover("old/gone.3", fakekernel.Behaviour{IgnoreTerm: true}, 7*time.Second)
		k.Left.Unknown = []string{"Skipping what is not ours: /run/lithos/state/lost+found"}
		h := start(t, k, plan(sb("web", proc("app", 1, "1"))))
		if n := k.Starts("web/app.0"); n != 0 {
			t.Error("it was started beside an earlier daemon's container of the same name")
		}
		sleep(time.Minute)
		if took := tame.Ended.Sub(began); took != time.Second {
			t.Errorf("the one that takes TERM ended after %s", took)
		}
		if took := wild.Ended.Sub(began); took != 8*time.Second {
			t.Errorf("the other one ended after %s, want its kill-timeout and a second", took)
		}
		h.wantRunning("web/app.0")
		h.wantLog("Skipping what is not ours: /run/lithos/state/lost+found", `Removing what an earlier daemon left of "old/gone.3"`)
		h.stop()
	})
}

func TestM6_AStopMeanwhileStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.AddLeftover("web/app.0", fakekernel.Behaviour{TermTime: 3 * time.Second}, 5*time.Second)
		h := start(t, k, plan(sb("web", proc("app", 1, "1"))))
		h.stop()
		if n := k.Starts("web/app.0"); n != 0 {
			t.Errorf("%d starts", n)
		}
	})
}

func TestM3_DegradedIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = always(fakekernel.Behaviour{Degraded: []string{"memory-limit is not enforced: no controller"}})
		h := start(t, k, plan(sb("web", proc("app", 1, "1"))))
		h.wantLog(`[ERROR] Container "web/app.0" runs degraded: memory-limit is not enforced: no controller`)
		h.stop()
	})
}

func TestP3_P8_StartsAtWarnDeathsAtError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = behave(map[string]fakekernel.Behaviour{
			"web/app.0": {Lifetime: 1500 * time.Millisecond, Status: 2 << 8,
				Record: &spawn.Record{Exited: &spawn.ProgramExited{Code: 3}}},
			"web/bad.0": {Lifetime: time.Millisecond, Status: 1 << 8,
				Record: &spawn.Record{Failed: "cannot mount /run/lithos/mnt/data: no such directory"}},
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

// TestTwoHundred is a whole host with everything going on at once.
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
