package spawn

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/cgroup"
	"lithos/sysx/proc"
	"lithos/sysx/sock"
)

func listener(t *testing.T, nonBlock bool) *os.File {
	t.Helper()
	f, err := sock.Listen(sock.Options{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Backlog: 1, NonBlock: nonBlock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func inode(t *testing.T, f *os.File) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(rawFD(f), &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("socket:[%d]", st.Ino)
}

func TestK1_N15_G1_Start(t *testing.T) {
	t.Setenv("TERM", "vt100")
	t.Setenv("SECRET", "of the daemon")
	h := newHost(t, nil)
	a, b := listener(t, true), listener(t, false)
	r := h.request("web/app.0", "/report")
	r.Sockets = []*os.File{a, b, a}
	r.Spec.Sockets = []int{3, 0, 7}
	r.Spec.Env = []string{"A=1"}
	before := time.Now()
	c := h.start(r)
	rec := h.started(r)
	if c.Started.Before(before) || c.Started.After(time.Now()) || c.Degraded != nil {
		t.Errorf("the child is %+v", *c)
	}
	checkNamespaces(t, c.PID)
	checkRecord(t, r, c, rec)
	got := h.report()
	if got.PID != 1 || got.Session != 1 {
		t.Errorf("it is pid %d of session %d", got.PID, got.Session)
	}
	if got.Thread <= 100 {
		t.Errorf("a thread of PID 1 has the id %d, and pid 2 may be taken", got.Thread)
	}
	if !slices.Equal(got.Args, r.Argv) {
		t.Errorf("its command line is %q", got.Args)
	}
	if !slices.Equal(got.Env, []string{"TERM=vt100"}) {
		t.Errorf("N15: its environment is %q", got.Env)
	}
	if !reflect.DeepEqual(got.Spec, *r.Spec) {
		t.Errorf("its spec is %+v, want %+v", got.Spec, *r.Spec)
	}
	if got.Blocked != fmt.Sprintf("%016x", wire.Blocked) || got.Ignored != "0000000000000000" {
		t.Errorf("signals: blocked %s, ignored %s", got.Blocked, got.Ignored)
	}
	record := r.Record
	want := map[int]string{0: "/dev/null", 1: record, 2: record, 3: "/memfd:spec of web/app.0 (deleted)", 4: record,
		5: inode(t, a), 6: inode(t, b), 7: inode(t, a)}
	if !reflect.DeepEqual(got.FDs, want) {
		t.Errorf("G1: its descriptors are %v,\nwant %v", got.FDs, want)
	}
	for f, nonBlock := range map[*os.File]bool{a: true, b: false} {
		if flags, err := unix.FcntlInt(uintptr(rawFD(f)), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 != nonBlock {
			t.Errorf("G7: giving the socket away changed its flags to %o, %v", flags, err)
		}
	}
	if status := h.end(c, syscall.SIGTERM); status.ExitStatus() != ExitNormal {
		t.Errorf("it ended with %#x", status)
	}
}

func checkNamespaces(t *testing.T, pid int) {
	t.Helper()
	for ns, own := range map[string]bool{"mnt": true, "pid": true, "uts": true, "ipc": true, "net": false, "user": false, "cgroup": false} {
		theirs, err1 := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns))
		ours, err2 := os.Readlink("/proc/self/ns/" + ns)
		if err1 != nil || err2 != nil || (theirs != ours) != own {
			t.Errorf("K1: %s is %s, ours is %s (%v, %v)", ns, theirs, ours, err1, err2)
		}
	}
}

func checkRecord(t *testing.T, r *Request, c *Child, rec *Record) {
	t.Helper()
	started, err := proc.StartTime(c.PID)
	if err != nil {
		t.Fatal(err)
	}
	want := Forked{PID: c.PID, StartTime: started}
	if rec.Created != r.RecordHead || rec.Forked == nil || !reflect.DeepEqual(*rec.Forked, want) || rec.Crash != "" {
		t.Errorf("the record is %+v, %+v", *rec, rec.Forked)
	}
	for path, mode := range map[string]os.FileMode{r.Record: 0o600, filepath.Dir(r.Record): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
	}
}

func TestE17_InteractiveKeepsTheStandardDescriptors(t *testing.T) {
	h := newHost(t, nil)
	r := h.request("web/cmd.shell.1", "/report")
	r.Spec.Interactive = true
	in, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer w.Close()
	r.Stdio = [3]*os.File{in, nil, w}
	c := h.start(r)
	h.started(r)
	got := h.report()
	h.end(c, syscall.SIGKILL)
	for fd, f := range map[int]*os.File{0: in, 2: w} {
		want, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", rawFD(f)))
		if err != nil || got.FDs[fd] != want {
			t.Errorf("descriptor %d is %s, want %s, %v", fd, got.FDs[fd], want, err)
		}
	}
	if got.FDs[1] != os.DevNull || got.FDs[4] != r.Record {
		t.Errorf("the descriptors are %v", got.FDs)
	}
	if got.Session == 1 {
		t.Error("it has no access to the caller's terminal: the session is its own")
	}
}

func TestN15_TermIsDumbWithoutOne(t *testing.T) {
	t.Setenv("TERM", "")
	if got := term(); got != "dumb" {
		t.Errorf("TERM is %q", got)
	}
}

// A crash of PID 1 is to be read in the record.
func TestStart_CrashIsInTheRecord(t *testing.T) {
	h := newHost(t, nil)
	r := h.request("web/app.0", "/crash")
	c := h.start(r)
	defer c.PIDFD.Close()
	if status := reap(t, c.PID); status.ExitStatus() != 2 {
		t.Errorf("it ended with %#x", status)
	}
	rec, err := ReadRecord(r.Record)
	if err != nil || !strings.Contains(rec.Crash, "panic: crash of the fake lithos_knot") || rec.Created.Name != "web/app.0" || rec.Forked == nil {
		t.Errorf("the record is %+v, %v", rec, err)
	}
	// The next start begins anew.
	r = h.request("web/app.0", "/exit")
	c = h.start(r)
	defer c.PIDFD.Close()
	reap(t, c.PID)
	if rec, err := ReadRecord(r.Record); err != nil || rec.Crash != "" || rec.Forked.PID != c.PID {
		t.Errorf("the next record is %+v, %v", rec, err)
	}
}

func TestM1_M3_M7_StartInTheCgroup(t *testing.T) {
	h := newHost(t, realTree(t, "name", "cpu", "memory"))
	r := h.request("web/app.0", "/report")
	r.Limits = Limits{Memory: 64 << 20, CPUShares: 2048}
	r.Sockets, r.Spec.Sockets = []*os.File{listener(t, false)}, []int{3}
	spec := *r.Spec
	c := h.start(r)
	h.started(r)
	if len(c.Degraded) != 0 {
		t.Errorf("degraded: %q", c.Degraded)
	}
	if !reflect.DeepEqual(*r.Spec, spec) {
		t.Errorf("the caller's spec was changed: %+v", *r.Spec)
	}
	got := h.report()
	for line := range strings.Lines(got.Groups) {
		for _, controller := range []string{":memory:", ":cpu:", ":cpu,cpuacct:", ":name=systemd:"} {
			if strings.Contains(line, controller) && !strings.HasSuffix(line, "-spawn/web:app.0.scope\n") {
				t.Errorf("M1: the program is in %s", line)
			}
		}
	}
	if !strings.Contains(got.Groups, "web:app.0.scope") {
		t.Errorf("M1: the program is in no group of ours:\n%s", got.Groups)
	}
	own, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.PID))
	if err != nil || strings.Contains(string(own), ".scope\n") && strings.Contains(string(own), "app.0") {
		t.Errorf("PID 1 counts against the limit: %s, %v", own, err)
	}
	h.end(c, syscall.SIGTERM)
	if err := h.spawner.Remove("web/app.0", "", r.Record, false); err != nil {
		t.Fatal(err)
	}
	if groups, err := h.spawner.c.Cgroups.List(); err != nil || len(groups) != 1 {
		t.Errorf("M5: without all the groups are %q, %v", groups, err)
	}
	if err := h.spawner.Remove("web/app.0", "", r.Record, true); err != nil {
		t.Fatal(err)
	}
	if groups, err := h.spawner.c.Cgroups.List(); err != nil || len(groups) != 0 {
		t.Errorf("M5: with all the groups are %q, %v", groups, err)
	}
	if _, err := os.Stat(r.Record); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the record is left: %v", err)
	}
}

func TestM3_MissingLimitsMakeItDegraded(t *testing.T) {
	h := newHost(t, realTree(t, "name"))
	r := h.request("web/app.0", "/exit")
	r.Limits = Limits{Memory: 64 << 20, CPUShares: 2048}
	c := h.start(r)
	c.PIDFD.Close()
	reap(t, c.PID)
	rec, err := ReadRecord(r.Record)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Degraded) != 2 || !strings.Contains(c.Degraded[0], "memory limit") || !slices.Equal(rec.Forked.Degraded, c.Degraded) {
		t.Errorf("degraded: %q, in the record %q", c.Degraded, rec.Forked.Degraded)
	}
	// A group that can't be made is not the end either.
	r = h.request("web/a\nb.0", "/exit")
	c = h.start(r)
	c.PIDFD.Close()
	reap(t, c.PID)
	if len(c.Degraded) != 1 || !strings.Contains(c.Degraded[0], "no limit is enforced: cannot make a control group") {
		t.Errorf("degraded: %q", c.Degraded)
	}
	if err := h.spawner.Remove("web/app.0", "", "", true); err != nil {
		t.Error(err)
	}
}

func TestStart_Errors(t *testing.T) {
	h := newHost(t, nil)
	if err := os.WriteFile(h.path("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closed, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	missing := NewSpawner(Config{Knot: h.path("no/lithos_knot")})
	tests := []struct {
		name   string
		s      *Spawner
		change func(*Request)
		want   string
	}{
		{"no lithos_knot", missing, func(*Request) {}, "no such file or directory (lithos_knot must be installed beside"},
		{"no spec", nil, func(r *Request) { r.Spec = nil }, "no spec"},
		{"sockets", nil, func(r *Request) { r.Spec.Sockets = []int{3} }, "0 sockets for 1 descriptors"},
		{"huge spec", nil, func(r *Request) { r.Spec.Workdir = strings.Repeat("x", 17<<20) }, "more than any program can get"},
		{"no argv", nil, func(r *Request) { r.Argv = nil }, "no command line"},
		{"closed socket", nil, func(r *Request) { r.Sockets, r.Spec.Sockets = []*os.File{closed}, []int{3} }, "a socket is closed"},
		{"record's directory", nil, func(r *Request) { r.Record = h.path("file/web/app.0") }, "cannot make the directory of its record"},
		{"record is a directory", nil, func(r *Request) { r.Record = h.dir }, "cannot make its record"},
		{"long arguments", nil, func(r *Request) { r.Argv = []string{strings.Repeat("x", 1<<20)} }, "argument list too long (the process config"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.s == nil {
				tt.s = h.spawner
			}
			r := h.request("web/app.0", "/exit")
			tt.change(r)
			before := openFDs(t)
			c, err := tt.s.Start(r)
			if err == nil || !strings.HasPrefix(err.Error(), "cannot start ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, child %v", err, c)
			}
			if after := openFDs(t); after != before {
				t.Errorf("%d descriptors, %d before", after, before)
			}
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
				t.Errorf("there is a child %d, %v", pid, err)
			}
		})
	}
}

func TestStart_500TimesWithoutLeaks(t *testing.T) {
	h := newHost(t, realTree(t, "name", "memory"))
	s := listener(t, true)
	runtime.GC()
	before := openFDs(t)
	for i := range 500 {
		r := h.request(fmt.Sprintf("web/app.%d", i%5), "/exit")
		r.Sockets, r.Spec.Sockets = []*os.File{s}, []int{3}
		r.Limits.Memory = 1 << 30
		if i%10 == 9 {
			r.Record = h.dir // an error
			if c, err := h.spawner.Start(r); err == nil {
				t.Fatalf("a child %v", c)
			}
			continue
		}
		c := h.start(r)
		if err := c.PIDFD.Close(); err != nil {
			t.Fatal(err)
		}
		if status := reap(t, c.PID); status.ExitStatus() != 0 {
			t.Fatalf("it ended with %#x", status)
		}
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	for i := range 5 {
		if err := h.spawner.Remove(fmt.Sprintf("web/app.%d", i), "", h.path("containers", fmt.Sprintf("web/app.%d", i)), true); err != nil {
			t.Error(err)
		}
	}
}

func mkdirs(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// The state dir is a hostile program's.
func TestI1_RemoveNeverLeavesTheStateDir(t *testing.T) {
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

func TestM6_Leftovers(t *testing.T) {
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
	for _, group := range []string{"web:group.0.scope", "web:cmd.x.77.scope", "other.service"} {
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
	if n := len(left.Unknown); n != 5 || !strings.Contains(strings.Join(left.Unknown, "\n"), "Leaving the cgroup other.service alone") {
		t.Errorf("unknown: %q", left.Unknown)
	}
	h.end(living, syscall.SIGTERM)
	h.end(nameless, syscall.SIGTERM)
	for _, l := range left.Containers {
		if err := h.spawner.Remove(l.Name, l.StateDir, l.Record, true); err != nil {
			t.Error(err)
		}
	}
	if err := tree.Group("other.service").Remove(time.Second); err != nil {
		t.Error(err)
	}
	left, err = h.spawner.Leftovers(h.path("containers"), h.path("state"))
	if err != nil || len(left.Containers) != 0 {
		t.Errorf("left is %+v, %v", left, err)
	}
}

// Its runtime directory was emptied under a container: the processes in its
// cgroup tell who its PID 1 is.
func TestM6_LeftoverWithoutARecord(t *testing.T) {
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
