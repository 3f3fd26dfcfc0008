//go:build !guest

// Not in the virtual machine: nobody has seen yet how long it takes there.

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// However often containers are restarted, some of them on a bridge: the daemon
// has as many descriptors, threads and goroutines as at the beginning, as much
// memory, and the host as many mounts, cgroups and interfaces. How often says
// LITHOS_E2E_RESTARTS.
//
// Covers: K9, L5, N2, N10
func TestRestartsLeakNothing(t *testing.T) {
	t.Parallel()
	restarts := 160
	_, _ = fmt.Sscan(os.Getenv("LITHOS_E2E_RESTARTS"), &restarts)
	h := newHost(t)
	n := newNetwork(h)
	h.image("app", map[string]string{
		"steady": simple("", "wait"),
		"dies":   simple("restart-timeout: 0.05\nmemory-limit: 64Mi", "run", "0", "3"),
	})
	steady := "steady: {image: app, config: /config/steady.yaml}\n"
	h.sandbox("box", "", steady)
	h.sandbox("net", mapsOfNet+bridgeOf("10.77.0.0/24", ""), "{}")
	n.start(h)
	before := h.running("box/steady.0")
	deaths := func() int { return strings.Count(h.read("log/master.log"), "cause: itself") }
	// restart has so many die, and then none any more.
	restart := func(more int) *usage {
		h.processes("box", steady+"dies: {image: app, config: /config/dies.yaml, instances: 12}\n")
		h.processes("net", "dies: {image: app, config: /config/dies.yaml, instances: 2, ip-addresses: [10.77.0.2, 10.77.0.3]}")
		want := deaths() + more
		h.reload("box")
		eventually(t, fmt.Sprintf("%d restarts", more), 30*time.Second+time.Duration(more)*100*time.Millisecond, func() error {
			if got := deaths(); got < want {
				return fmt.Errorf("%d are missing", want-got)
			}
			return nil
		})
		h.processes("box", steady)
		h.processes("net", "{}")
		h.reload("box")
		h.runningWithin(30*time.Second, "box/steady.0")
		u := h.usage(h.daemon.cmd.Process.Pid)
		n.settle()
		u.interfaces = len(n.ours())
		return u
	}
	first := restart(max(40, restarts/20))
	begin := time.Now()
	last := restart(restarts)
	took := time.Since(begin)
	first.compare(t, last)
	h.same(before, "box/steady.0")
	t.Logf("%d restarts in %v; before: %v; after: %v", restarts, took.Round(time.Second), first, last)
}
