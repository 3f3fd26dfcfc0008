package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// TERM at any moment of a start ends it with 0 and leaves nothing.
//
// Covers: N4
func TestTermDuringAStart(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{"app": simple("", "wait")})
	h.sandbox("box", "", "app: {image: app, config: /config/app.yaml, instances: 20}")
	for n := range 12 {
		d := h.start()
		h.pidFile()
		time.Sleep(time.Duration(n) * 5 * time.Millisecond) // the moment, not a wait for anything
		d.signal(syscall.SIGTERM)
		if code := h.wait(d, 10*time.Second); code != 0 {
			t.Errorf("exit code %d (%v), %d ms after the pid file", code, d.err, n*5)
		}
		if err := h.leftovers(); err != nil {
			t.Fatalf("TERM %d ms after the pid file left:\n%v", n*5, err)
		}
	}
}

// Containers that die all the time, configs that change all the time, kills of
// PID 1s: no name ever runs twice, the last config is what runs at the end,
// and TERM leaves nothing.
//
// Covers: N1, N4, O1
func TestStormOfReloadsAndKills(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"dying": simple("restart-timeout: 0.02", "run", "60", "1"),
		"other": simple("restart-timeout: 0.02", "run", "200", "0"),
		"calm":  simple("", "wait"),
	})
	configs := []string{"dying", "other", "calm"}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	change := func() {
		h.processes("box", fmt.Sprintf("a: {image: app, config: /config/%s.yaml, instances: %d}\nb: {image: app, config: /config/%s.yaml, instances: %d}\n",
			configs[rng.IntN(3)], rng.IntN(8), configs[rng.IntN(3)], rng.IntN(8)))
	}
	h.sandbox("box", "", "{}")
	change()
	h.start()
	h.pidFile()
	for end := time.Now().Add(within(3 * time.Second)); time.Now().Before(end); {
		switch rng.IntN(3) {
		case 0:
			change()
			h.daemon.signal(syscall.SIGQUIT)
		case 1:
			for _, i := range h.instances() {
				kill(t, i.knot, killSignal)
				break
			}
		default:
			h.uniqueNames()
		}
		if !h.daemon.alive() {
			t.Fatalf("the daemon ended: %v", h.daemon.err)
		}
	}
	h.processes("box", "a: {image: app, config: /config/calm.yaml, instances: 6}\n")
	h.daemon.signal(syscall.SIGQUIT)
	h.runningWithin(15*time.Second, names("box/a", 6)...)
	h.stop()
	if err := h.leftovers(); err != nil {
		t.Errorf("right after the end:\n%v", err)
	}
}

// pidFile waits until others can find the daemon, which it can be sent
// signals from then on.
func (h *host) pidFile() {
	h.t.Helper()
	eventually(h.t, "the pid file", 5*time.Second, func() error {
		if h.read("run/master.pid") == "" {
			return errors.New("it is not there")
		}
		return nil
	})
}

// uniqueNames fails the test when two PID 1s have one name.
func (h *host) uniqueNames() {
	h.t.Helper()
	pids := make(map[string]process)
	for _, p := range processes() {
		name, _ := h.knotName(p.pid)
		if name == "" || p.ppid != h.daemon.cmd.Process.Pid {
			continue // the fork of a PID 1 on its way to be the program
		}
		if other, ok := pids[name]; ok {
			// The table is no snapshot: the first may have ended meanwhile.
			if again, alive := readProcess(other.pid); alive && again.start == other.start && again.state != "Z" {
				h.t.Errorf("%s runs as %d and as %d", name, other.pid, p.pid)
			}
		}
		pids[name] = p
	}
}
