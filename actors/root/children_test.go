package root

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors/fakekernel"
)

// Covers: N7
func TestUnidentifiedChildrenAreEnded(t *testing.T) {
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

// Covers: N7
func TestReloadFindsUnidentifiedChildrenBesideForks(t *testing.T) {
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

// Covers: N7
func TestStopWaitsForUnidentifiedChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.AddStray("nohup", fakekernel.Behaviour{IgnoreTerm: true})
		h := start(t, k, plan())
		h.stop()
	})
}

// Covers: N10
func TestEveryDeadChildIsReaped(t *testing.T) {
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

// Covers: N10
func TestExitReportedBeforeItsFork(t *testing.T) {
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

// Covers: N10
func TestReusedPid(t *testing.T) {
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

// Covers: M6
func TestLeftoversAreRemovedBeforeTheFirstStart(t *testing.T) {
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
		h.wantLog("Skipping what is not ours: /run/lithos/state/lost+found", `Removing leftovers of an earlier daemon: "old/gone.3"`)
		h.stop()
	})
}

// Covers: M6
func TestStopDuringCleanUpStartsNothing(t *testing.T) {
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
