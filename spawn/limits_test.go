package spawn

import (
	"lithos/sysx/cgroup"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limited is a host with a container that has limits.
type limited struct {
	*host
	r *Request
}

func newLimited(t *testing.T) *limited {
	t.Helper()
	h := newHost(t, realTree(t, "name", "cpu", "memory"))
	l := &limited{h, h.request("web/app.0", "/exit")}
	l.r.Limits = cgroup.Limits{Memory: 64 << 20, CPUShares: 2048}
	t.Cleanup(func() {
		if err := h.spawner.Remove("web/app.0", "", "", true); err != nil {
			t.Error(err)
		}
	})
	return l
}

// restart is a start and the end.
func (l *limited) restart() {
	l.t.Helper()
	c := l.start(l.r)
	c.PIDFD.Close()
	reap(l.t, c.PID)
	if len(c.Degraded) != 0 {
		l.t.Errorf("degraded: %q", c.Degraded)
	}
}

// file is the group's file with its share of the processors.
func (l *limited) file() string {
	l.t.Helper()
	for _, dir := range l.spawner.c.Cgroups.Dirs() {
		for _, name := range []string{"cpu.shares", "cpu.weight"} {
			file := filepath.Join(dir, "web:app.0.scope", name)
			if _, err := os.Stat(file); err == nil {
				return file
			}
		}
	}
	l.t.Fatal("no group has a share of the processors")
	return ""
}

func (l *limited) share() string {
	l.t.Helper()
	text, err := os.ReadFile(l.file())
	if err != nil {
		l.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// byHand is somebody who changes it.
func (l *limited) byHand() string {
	l.t.Helper()
	if err := os.WriteFile(l.file(), []byte("99"), 0); err != nil {
		l.t.Fatal(err)
	}
	return "99"
}

// Covers: M3
func TestUnchangedLimitsAreNotRewritten(t *testing.T) {
	l := newLimited(t)
	l.restart()
	wanted := l.share()
	changed := l.byHand()
	l.restart()
	if got := l.share(); got != changed {
		t.Errorf("the group was not taken as it was: its share is %s", got)
	}
	stored, _ := l.spawner.groups.known.Load("web/app.0")
	stored.(*known).at = time.Now().Add(-limitsHold - time.Second)
	l.restart()
	if got := l.share(); got != wanted {
		t.Errorf("a while later the share is %s, not %s", got, wanted)
	}
	l.byHand()
	l.r.Limits.Memory = 63 << 20
	l.restart()
	if got := l.share(); got != wanted {
		t.Errorf("with other limits the share is %s, not %s", got, wanted)
	}
}

// Covers: M3
func TestRecreatedGroupGetsItsLimits(t *testing.T) {
	l := newLimited(t)
	l.restart()
	wanted := l.share()
	// Somebody takes the group away, and makes another one.
	if err := l.spawner.c.Cgroups.Group("web:app.0.scope").Remove(removePatience); err != nil {
		t.Fatal(err)
	}
	l.restart()
	if got := l.share(); got != wanted {
		t.Errorf("after the group was gone the share is %s, not %s", got, wanted)
	}
	if err := l.spawner.c.Cgroups.Group("web:app.0.scope").Remove(removePatience); err != nil {
		t.Fatal(err)
	}
	if err := l.spawner.c.Cgroups.Group("web:app.0.scope").Create(); err != nil {
		t.Fatal(err)
	}
	l.restart()
	if got := l.share(); got != wanted {
		t.Errorf("in another group of the same name the share is %s, not %s", got, wanted)
	}
}

// Covers: M3
func TestFailedLimitsAreRetried(t *testing.T) {
	h := newHost(t, realTree(t, "name"))
	r := h.request("web/app.0", "/exit")
	r.Limits = cgroup.Limits{Memory: 64 << 20}
	for range 2 {
		c := h.start(r)
		h.end(c, syscall.SIGKILL)
		if len(c.Degraded) != 1 {
			t.Errorf("degraded: %q", c.Degraded)
		}
	}
	if err := h.spawner.Remove("web/app.0", "", "", true); err != nil {
		t.Error(err)
	}
}
