package e2e

import (
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// A reload keeps the listening socket itself: every instance, before and
// after, old version and new, has the same one, and so the same queue.
//
// Covers: G12, O1
func TestReloadKeepsSockets(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	h.image("app", map[string]string{
		"old": port3("environ: {VERSION: old}\n", port),
		"new": port3("environ: {VERSION: new}\n", port),
	})
	entry := func(config string) string {
		return fmt.Sprintf("app: {image: app, config: /config/%s.yaml, instances: 2}\n"+
			"other: {image: app, config: /config/old.yaml}", config)
	}
	h.sandbox("box", "", entry("old"))
	h.start()
	all := append(names("box/app", 2), "box/other.0")
	socket := func(i instance) string {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/3", i.program))
		must(t, err)
		return link
	}
	before := h.running(all...)
	want := socket(before["box/other.0"])
	h.processes("box", entry("new"))
	h.reload("box")
	for _, name := range names("box/app", 2) {
		h.successor(name, before[name], 10*time.Second)
	}
	for name, i := range h.running(all...) {
		if got := socket(i); got != want {
			t.Errorf("%s listens on %s, the port's socket was %s", name, got, want)
		}
	}
}

// Also if all who listen on the port are replaced at once: whoever connects
// waits for the next one, and is never refused.
//
// Covers: G12
func TestReplacingAllListenersRefusesNoConnection(t *testing.T) {
	t.Parallel()
	h, entry, before, connect := versionsOnAPort(t, 2)
	for round := range 3 {
		h.processes("box", entry((round+1)%2))
		h.reload("box")
		for _, name := range names("box/app", 2) {
			before[name] = h.successor(name, before[name], 10*time.Second)
		}
	}
	connected, err := connect()
	must(t, err)
	if connected == 0 {
		t.Error("nobody has connected")
	}
}

// versionsOnAPort runs instances of box/app that share a port, which is connected
// to from then on; entry is the process config with version 0 or 1 of them.
func versionsOnAPort(t *testing.T, instances int) (h *host, entry func(version int) string, before map[string]instance, connect func() (int, error)) {
	t.Helper()
	h = newHost(t)
	port := h.port()
	h.image("app", map[string]string{
		"0": port3("environ: {VERSION: zero}\n", port),
		"1": port3("environ: {VERSION: one}\n", port),
	})
	entry = func(version int) string {
		return fmt.Sprintf("app: {image: app, config: /config/%d.yaml, instances: %d}", version, instances)
	}
	h.sandbox("box", "", entry(0))
	h.start()
	before = h.running(names("box/app", instances)...)
	return h, entry, before, hammer(port)
}

// hammer connects to a port over and over; end stops that and tells how often
// it went well, and the first error, which ends it, too.
func hammer(port int) (end func() (connected int, err error)) {
	stop, ended := make(chan struct{}), make(chan struct{})
	connected, failure := 0, error(nil)
	go func() {
		defer close(ended)
		for {
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				failure = err
				return
			}
			_ = conn.Close()
			connected++
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() (int, error) {
		close(stop)
		<-ended
		return connected, failure
	}
}
