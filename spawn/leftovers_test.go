package spawn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/sysx/cgroup"
)

func mkdirs(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// The state dir is a hostile program's.
//
// Covers: I1
func TestRemoveNeverLeavesTheStateDir(t *testing.T) {
	h := newHost(t, nil)
	state, outside := h.path("state/web/app.0"), h.path("outside")
	mkdirs(t, state, outside)
	if err := os.WriteFile(outside+"/precious", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"up": "../../../outside", "abs": outside, "file": outside + "/precious", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(state, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(outside+"/precious", state+"/hard"); err != nil {
		t.Fatal(err)
	}
	deep, err := unix.Open(state, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 5000 { // far deeper than any path can name
		if err := unix.Mkdirat(deep, "d", 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(deep, "d", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		unix.Close(deep)
		if err != nil {
			t.Fatal(err)
		}
		deep = next
	}
	unix.Close(deep)
	if err := h.spawner.Remove("web/app.0", state, h.path("no/record"), true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(state); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state dir is left: %v", err)
	}
	if text, err := os.ReadFile(outside + "/precious"); err != nil || string(text) != "x" {
		t.Errorf("the file outside: %q, %v", text, err)
	}
	// All is tried, and all errors told.
	record := h.path("containers/web/app.0/x")
	mkdirs(t, record)
	err = h.spawner.Remove("web/app.0", h.path("state/web/app.0"), filepath.Dir(record), true)
	if err == nil || !strings.Contains(err.Error(), "cannot remove the record of \"web/app.0\"") {
		t.Errorf("error is %v", err)
	}
}

// Covers: M6
func TestLeftoversAreFound(t *testing.T) {
	h := newHost(t, realTree(t, "name", "memory"))
	// Alive, with its record.
	alive := h.request("web/alive.0", "/wait")
	living := h.start(alive)
	h.started(alive)
	// Alive, but its supervisor died before it wrote the pid.
	unborn := h.request("web/unborn.0", "/wait")
	nameless := h.start(unborn)
	h.started(unborn)
	// Dead.
	dead := h.request("db/dead.1", "/exit")
	c := h.start(dead)
	c.PIDFD.Close()
	reap(t, c.PID)
	// Only a state dir, only a cgroup, only a half record.
	mkdirs(t, h.path("state/web/alive.0"), h.path("state/web/state.3"), h.path("state/web/not ours"), h.path("containers/db/directory.0"))
	tree := h.spawner.c.Cgroups
	for _, group := range []string{"web:group.0.scope", "web:cmd.x.77.scope", "web.example.com:group.0.scope", "other.service", "other:thing.scope"} {
		if err := tree.Group(group).Create(); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{
		h.path("containers/db/half.0"):  `{"created":{"name":"db/ha`,
		h.path("containers/not ours"):   "x",
		h.path("containers/db/strange"): "x",
		unborn.Record:                   `{"created":{"name":"web/unborn.0"}}` + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left, err := h.spawner.Leftovers(h.path("containers"), h.path("state"))
	if err != nil {
		t.Fatal(err)
	}
	type found struct {
		alive, cgroup, info bool
	}
	want := map[string]found{
		"db/dead.1":    {false, true, true},
		"db/half.0":    {false, false, true},
		"web/alive.0":  {true, true, true},
		"web/unborn.0": {true, true, true},
		"web/state.3":  {false, false, false},
		"web/group.0":  {false, true, false},
		"web/cmd.x.77": {false, true, false},

		"web.example.com/group.0": {false, true, false},
	}
	got := map[string]found{}
	for _, l := range left.Containers {
		got[l.Name] = found{l.PID != 0 && l.StartTime != 0, l.Cgroup, l.Info != nil}
		if l.StateDir != h.path("state", l.Name) || l.Record != h.path("containers", l.Name) {
			t.Errorf("the paths of %s are %s and %s", l.Name, l.StateDir, l.Record)
		}
		switch {
		case l.Name == "web/alive.0" && l.PID != living.PID, l.Name == "web/unborn.0" && l.PID != nameless.PID:
			t.Errorf("%s has the pid %d", l.Name, l.PID)
		case l.Name == "web/alive.0" && l.Info.Created.KillTimeout != 2:
			t.Errorf("%s: %+v", l.Name, l.Info)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if n := len(left.Unknown); n != 6 || !strings.Contains(strings.Join(left.Unknown, "\n"), "Leaving the cgroup other.service alone") {
		t.Errorf("unknown: %q", left.Unknown)
	}
	commands, err := h.spawner.CommandLeftovers(h.path("containers"), h.path("state"))
	if err != nil || len(commands.Containers) != 1 || commands.Containers[0].Name != "web/cmd.x.77" || !commands.Containers[0].Cgroup {
		t.Errorf("of commands is left %+v, %v", commands.Containers, err)
	}
	h.end(living, syscall.SIGTERM)
	h.end(nameless, syscall.SIGTERM)
	for _, l := range left.Containers {
		if err := h.spawner.Remove(l.Name, l.StateDir, l.Record, true); err != nil {
			t.Error(err)
		}
	}
	for _, other := range []string{"other.service", "other:thing.scope"} {
		if err := tree.Group(other).Remove(time.Second); err != nil {
			t.Error(err)
		}
	}
	left, err = h.spawner.Leftovers(h.path("containers"), h.path("state"))
	if err != nil || len(left.Containers) != 0 {
		t.Errorf("left is %+v, %v", left, err)
	}
}

// Its runtime directory was emptied under a container: the processes in its
// cgroup tell who its PID 1 is.
//
// Covers: M6
func TestLeftoverWithoutARecord(t *testing.T) {
	h := newHost(t, realTree(t, "name", "memory"))
	r := h.request("web/app.0", "/wait")
	c := h.start(r)
	h.started(r)
	join(t, h.spawner.c.Cgroups, "web:app.0.scope", c.PID)
	if err := os.Remove(r.Record); err != nil {
		t.Fatal(err)
	}
	left, err := h.spawner.Leftovers(h.path("nowhere"), h.path("nowhere"))
	if err != nil || len(left.Containers) != 1 || left.Containers[0].PID != c.PID {
		t.Errorf("left is %+v, %v; want pid %d", left, err, c.PID)
	}
	h.end(c, syscall.SIGTERM)
	if err := h.spawner.Remove("web/app.0", "", "", true); err != nil {
		t.Error(err)
	}
}

// Without descriptors nothing is found, and nothing is concluded from that.
//
// Covers: M6
func TestShortageLeavesLeftoversUnsure(t *testing.T) {
	h := newHost(t, nil)
	r := h.request("web/app.0", "/wait")
	c := h.start(r)
	h.started(r)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	left, _ := h.spawner.Leftovers(h.path("containers"), h.path("state"))
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(left.Unsure, syscall.EMFILE) {
		t.Errorf("left is %+v", left)
	}
	left, err := h.spawner.Leftovers(h.path("containers"), h.path("state"))
	if err != nil || left.Unsure != nil || len(left.Containers) != 1 || left.Containers[0].PID != c.PID {
		t.Errorf("later, left is %+v, %v; want pid %d", left, err, c.PID)
	}
	h.end(c, syscall.SIGTERM)
}

// join moves a process to a group.
func join(t *testing.T, tree *cgroup.Tree, group string, pid int) {
	t.Helper()
	for _, dir := range tree.Dirs() {
		f, err := os.OpenFile(filepath.Join(dir, group, "cgroup.procs"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, fmt.Sprint(pid)); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

func TestLeftovers_NothingThere(t *testing.T) {
	h := newHost(t, nil)
	left, err := h.spawner.Leftovers(h.path("none"), h.path("none"))
	if err != nil || len(left.Containers)+len(left.Unknown) != 0 {
		t.Errorf("left is %+v, %v", left, err)
	}
	if err := os.WriteFile(h.path("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.spawner.Leftovers(h.path("file"), h.path("none")); err == nil {
		t.Error("a file was listed")
	}
}
