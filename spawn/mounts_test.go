package spawn

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// heldSoFar are those of earlier tests, without what goes any moment now: another
// one may get its number.
func heldSoFar(t *testing.T) []string {
	t.Helper()
	time.Sleep(2 * linger)
	return mountNamespaces(t)
}

// newHeld are the mount namespaces that are held since before.
func newHeld(t *testing.T, before []string) []string {
	t.Helper()
	return slices.DeleteFunc(mountNamespaces(t), func(ns string) bool { return slices.Contains(before, ns) })
}

// mountNamespaces are those that this process holds, by their links in /proc.
func mountNamespaces(t *testing.T) (held []string) {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil && strings.HasPrefix(link, "mnt:") {
			held = append(held, link)
		}
	}
	return held
}

func TestTheMountsOfAContainerAreHeldUntilItIsRemoved(t *testing.T) {
	for _, all := range []bool{false, true} {
		h, before := newHost(t, nil), heldSoFar(t)
		r := h.request("web/app.0", "/report")
		c := h.start(r)
		h.started(r)
		own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", c.PID))
		if err != nil {
			t.Fatal(err)
		}
		if held := newHeld(t, before); len(held) != 1 || held[0] != own {
			t.Errorf("while it runs %q are held, not %s", held, own)
		}
		h.end(c, syscall.SIGKILL)
		if err := h.spawner.Remove("web/app.0", "", r.Record, all); err != nil {
			t.Fatal(err)
		}
		if all {
			// Nothing follows: they are gone by now.
			if held := newHeld(t, before); len(held) > 0 {
				t.Errorf("when it was removed %q are held", held)
			}
		}
		eventually(t, "the end of the mounts", func() bool { return len(newHeld(t, before)) == 0 })
	}
}

// Data on a tmpfs would count for the next test.
func TestTheMountsOfAContainerWithATmpfsAreNotHeld(t *testing.T) {
	h, before := newHost(t, nil), heldSoFar(t)
	r := h.request("web/app.0", "/report")
	r.Spec.Volumes = []Volume{{Kind: Tmpfs, MountPoint: "/tmp", Size: 1 << 20}}
	c := h.start(r)
	h.started(r)
	if held := newHeld(t, before); len(held) > 0 {
		t.Errorf("%q are held", held)
	}
	h.end(c, syscall.SIGKILL)
}

func TestTwoStartsOfAContainerHoldTheMountsOfTheSecond(t *testing.T) {
	h, before := newHost(t, nil), heldSoFar(t)
	r := h.request("web/app.0", "/report")
	first := h.start(r)
	h.started(r)
	h.end(first, syscall.SIGKILL)
	second := h.start(r)
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", second.PID))
	if held := newHeld(t, before); err != nil || len(held) != 1 || held[0] != own {
		t.Errorf("%q are held, not %s (%v)", held, own, err)
	}
	h.started(r)
	h.end(second, syscall.SIGKILL)
	if err := h.spawner.Remove("web/app.0", "", r.Record, true); err != nil {
		t.Fatal(err)
	}
}
