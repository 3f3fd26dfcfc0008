package root

import (
	"errors"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors"
	"lithos/actors/fakekernel"
	"lithos/configs"
)

func (h *host) wantSockets(want ...string) {
	h.t.Helper()
	var got []string
	for _, s := range h.kernel.Sockets() {
		got = append(got, s.Addr.String())
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("listening on %v, want %v", got, want)
	}
}

func backlog(n int) func(*configs.Container) {
	return func(c *configs.Container) { c.TCPPorts[len(c.TCPPorts)-1].Backlog = n }
}

func reusePort(c *configs.Container) { c.TCPPorts[len(c.TCPPorts)-1].ReusePort = true }

// Covers: G1
func TestInstancesShareOneSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 3, "1", port(80), port(443))), sb("web2", proc("app", 1, "1", port(80)))))
		h.wantSockets("0.0.0.0:80", "0.0.0.0:443")
		for _, p := range k.Living() {
			if p.Name != "web2/app.0" && !slices.Equal(p.Sockets, []string{"0.0.0.0:80", "0.0.0.0:443"}) {
				t.Errorf("%s has %v", p.Name, p.Sockets)
			}
		}
		// Growing, shrinking and mixed versions.
		h.reload(plan(sb("web", proc("app", 5, "2", port(80), port(443)))))
		h.wantSockets("0.0.0.0:80", "0.0.0.0:443")
		h.reload(plan(sb("web", proc("app", 1, "2", port(80), port(443)))))
		h.wantSockets("0.0.0.0:80", "0.0.0.0:443")
		h.stop()
	})
}

// Covers: G1
func TestSocketStaysOpenWhileAnInstanceLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		made := 0
		k.ListenError = func(actors.Socket) error { made++; return nil }
		k.Behave = func(name string, n int) fakekernel.Behaviour {
			if name == "web/app.1" {
				return fakekernel.Behaviour{}
			}
			return fakekernel.Behaviour{Lifetime: 700 * time.Millisecond}
		}
		h := start(t, k, plan(sb("web", proc("app", 2, "1", port(80)))))
		sleep(time.Hour)
		if made != 1 {
			t.Errorf("the socket was made %d times", made)
		}
		h.stop()
	})
}

// Covers: G6
func TestReusePortOpensASocketEachStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 2, "1", port(80), reusePort))))
		h.wantSockets("0.0.0.0:80", "0.0.0.0:80")
		k.End(h.pid("web/app.0"), 0)
		synctest.Wait()
		h.wantSockets("0.0.0.0:80")
		sleep(2 * time.Second)
		h.wantSockets("0.0.0.0:80", "0.0.0.0:80")
		h.stop()
	})
}

// Covers: G9
func TestSocketOptionsStayWhileBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 2, "1", port(80), backlog(128)))))
		k.End(h.pid("web/app.0"), 0)
		h.reload(plan(sb("web", proc("app", 2, "1", port(80), backlog(128)), proc("new", 1, "1", port(80), backlog(5)))))
		sleep(2 * time.Second)
		if got := k.Sockets(); len(got) != 1 || got[0].Backlog != 128 {
			t.Errorf("sockets %+v, want the first one as it was", got)
		}
		// When nobody uses it any more the next one has the new options.
		h.reload(plan(sb("web")))
		h.wantSockets()
		h.reload(plan(sb("web", proc("new", 1, "1", port(80), backlog(5)))))
		if got := k.Sockets(); len(got) != 1 || got[0].Backlog != 5 {
			t.Errorf("sockets %+v, want a new one", got)
		}
		h.stop()
	})
}

// Covers: G12
func TestReplacingAllUsersOfAPortKeepsTheSocket(t *testing.T) {
	for _, instances := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New()
			made := 0
			k.ListenError = func(actors.Socket) error { made++; return nil }
			// They end at once or after a while, and are cleaned up slowly.
			k.Behave = func(_ string, n int) fakekernel.Behaviour {
				return fakekernel.Behaviour{TermTime: time.Duration(n%2) * time.Second, RemoveTime: time.Second}
			}
			h := start(t, k, plan(sb("web", proc("app", instances, "1", port(80), port(81)))))
			for _, version := range []string{"2", "3", "4"} {
				h.reload(plan(sb("web", proc("app", instances, version, port(80), port(81)))))
				for range 50 {
					sleep(100 * time.Millisecond)
					h.wantSockets("0.0.0.0:80", "0.0.0.0:81")
				}
			}
			// One that changes its mind while it is being cleaned up.
			h.reload(plan(sb("web", proc("app", instances, "5", port(80), port(81)))))
			sleep(1500 * time.Millisecond)
			h.reload(plan(sb("web")))
			sleep(time.Minute)
			h.wantSockets()
			if made != 2 {
				t.Errorf("%d sockets were made for two ports", made)
			}
			h.stop()
		})
	}
}

// Covers: G9, G12
func TestChangedSocketIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 1, "1", port(80), backlog(128)))))
		h.reload(plan(sb("web", proc("app", 1, "2", port(80), backlog(5)))))
		sleep(2 * time.Second)
		if got := k.Sockets(); len(got) != 1 || got[0].Backlog != 5 {
			t.Errorf("sockets %+v, want one with the new backlog", got)
		}
		h.reload(plan(sb("web", proc("app", 1, "3", port(80), reusePort))))
		sleep(2 * time.Second)
		h.wantSockets("0.0.0.0:80")
		h.stop()
	})
}

// Covers: G13
func TestSocketClosesWithItsLastUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		// The clean-up takes long: the socket does not wait for it.
		k.Behave = func(_ string, n int) fakekernel.Behaviour {
			return fakekernel.Behaviour{RemoveTime: time.Duration(1-min(n, 1)) * time.Hour}
		}
		h := start(t, k, plan(sb("web", proc("app", 1, "1", port(80), restartTimeout(time.Minute)))))
		h.wantSockets("0.0.0.0:80")
		k.End(h.pid("web/app.0"), 0)
		synctest.Wait()
		h.wantSockets()
		sleep(2 * time.Hour)
		h.wantSockets("0.0.0.0:80")
		h.stop()
	})
}

// Covers: G13
func TestPortsAreAddedAndRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("web", proc("app", 1, "1", port(80)))))
		h.reload(plan(sb("web", proc("app", 1, "2", port(81)))))
		h.wantSockets("0.0.0.0:81")
		h.reload(plan(sb("web", proc("app", 1, "3"))))
		h.wantSockets()
		h.reload(plan(sb("web", proc("app", 1, "4", port(80), port(82)))))
		h.wantSockets("0.0.0.0:80", "0.0.0.0:82")
		// Replaced by one whose socket can't be had, and that one retired.
		k.ListenError = func(s actors.Socket) error { return errors.New("no") }
		h.reload(plan(sb("web", proc("app", 1, "5", port(83)))))
		h.wantSockets()
		h.reload(plan(sb("web")))
		h.wantSockets()
		h.stop()
	})
}

// Covers: G13
func TestSocketClosesDuringALongStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		k.Behave = behave(map[string]fakekernel.Behaviour{"web/slow.0": {TermTime: 50 * time.Second}})
		h := start(t, k, plan(sb("web", proc("app", 1, "1", port(80)), proc("slow", 1, "1", killTimeout(time.Minute)))))
		h.signal(syscall.SIGTERM)
		h.wantSockets()
		h.ended()
	})
}

// Covers: G14
func TestFailedListenIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		var tries []time.Time
		k.ListenError = func(s actors.Socket) error {
			if s.Addr.Port() != 443 {
				return nil
			}
			tries = append(tries, time.Now())
			if len(tries) <= 4 {
				return errors.New("address already in use")
			}
			return nil
		}
		h := start(t, k, plan(sb("web", proc("app", 1, "1", port(80), port(443), restartTimeout(7*time.Second)), proc("other", 1, "1", port(81)))))
		h.wantRunning("web/other.0")
		// Sockets opened before the failed one are closed.
		h.wantSockets("0.0.0.0:81")
		sleep(time.Minute)
		h.wantRunning("web/app.0", "web/other.0")
		for i := 1; i < len(tries); i++ {
			if gap := tries[i].Sub(tries[i-1]); gap != 7*time.Second {
				t.Errorf("%s between two tries, want restart-timeout", gap)
			}
		}
		if n := k.Starts("web/app.0"); n != 1 {
			t.Errorf("%d forks, want none without its sockets", n)
		}
		h.wantLog(`Cannot start container "web/app.0": address already in use`)
		h.stop()
	})
}

// Covers: G14
func TestListenerPanicIsAFailedListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		panics := 3
		k.ListenError = func(actors.Socket) error {
			if panics--; panics >= 0 {
				panic("out of sockets")
			}
			return nil
		}
		h := start(t, k, plan(sb("web", proc("app", 1, "1", port(80)))))
		sleep(10 * time.Second)
		h.wantRunning("web/app.0")
		h.stop()
	})
}

// Covers: G1
func TestPortHeldByAnotherKindOfSocket(t *testing.T) {
	// One with reuse-port and one without can't be had at one address: the
	// second one waits and gets it when the first is gone.
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		h := start(t, k, plan(sb("a", proc("own", 1, "1", port(80), reusePort))))
		h.reload(plan(sb("a", proc("own", 1, "1", port(80), reusePort)), sb("b", proc("shared", 1, "1", port(80)))))
		sleep(10 * time.Second)
		h.wantRunning("a/own.0")
		h.reload(plan(sb("b", proc("shared", 1, "1", port(80)))))
		sleep(10 * time.Second)
		h.wantRunning("b/shared.0")
		h.stop()
	})
}

// Covers: G14
func TestTakenPortIsNotRetriedWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New()
		var tries atomic.Int32
		var free atomic.Bool
		k.ListenError = func(actors.Socket) error {
			tries.Add(1)
			if free.Load() {
				return nil
			}
			return errors.New("in use")
		}
		h := start(t, k, plan(sb("web", proc("app", 1, "1", port(80), restartTimeout(0)))))
		sleep(950 * time.Millisecond)
		if n := tries.Load(); n != 10 {
			t.Errorf("%d tries in a second, want one each tenth of it", n)
		}
		free.Store(true)
		sleep(100 * time.Millisecond)
		h.wantRunning("web/app.0")
		h.stop()
	})
}
