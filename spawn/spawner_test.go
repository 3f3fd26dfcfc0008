package spawn

import (
	"errors"
	"fmt"
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

	"lithos/spawn/records"
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

// Covers: G1, K1, N15
func TestStartMakesTheNamespaces(t *testing.T) {
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
	if !slices.Equal(got.Env, []string{"TERM=vt100", "GOMAXPROCS=1"}) {
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

func checkRecord(t *testing.T, r *Request, c *Child, rec *records.Record) {
	t.Helper()
	started, err := proc.StartTime(c.PID)
	if err != nil {
		t.Fatal(err)
	}
	want := records.Forked{PID: c.PID, StartTime: started}
	head := r.RecordHead
	head.Identity = identity(r)
	if !reflect.DeepEqual(rec.Created, head) || rec.Forked == nil || !reflect.DeepEqual(*rec.Forked, want) || rec.Crash != "" {
		t.Errorf("the record is %+v, %+v", *rec, rec.Forked)
	}
	for path, mode := range map[string]os.FileMode{r.Record: 0o600, filepath.Dir(r.Record): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
	}
}

// Covers: E17
func TestInteractiveKeepsTheStandardDescriptors(t *testing.T) {
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
	if got.Session != 1 {
		t.Error("it shares the session of its caller, and could put input into its terminal")
	}
}

// Covers: N15
func TestTermIsDumbWithoutOne(t *testing.T) {
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
	rec, err := records.Read(r.Record)
	if err != nil || !strings.Contains(rec.Crash, "panic: crash of the fake lithos_knot") || rec.Created.Name != "web/app.0" || rec.Forked == nil {
		t.Errorf("the record is %+v, %v", rec, err)
	}
	// The next start begins again.
	r = h.request("web/app.0", "/exit")
	c = h.start(r)
	defer c.PIDFD.Close()
	reap(t, c.PID)
	if rec, err := records.Read(r.Record); err != nil || rec.Crash != "" || rec.Forked.PID != c.PID {
		t.Errorf("the next record is %+v, %v", rec, err)
	}
}

// Covers: M1, M3, M7
func TestProgramStartsInTheCgroup(t *testing.T) {
	h := newHost(t, realTree(t, "name", "cpu", "memory"))
	r := h.request("web/app.0", "/report")
	r.Limits = cgroup.Limits{Memory: 64 << 20, CPUShares: 2048}
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

// Covers: M3
func TestMissingLimitsDegradeTheContainer(t *testing.T) {
	h := newHost(t, realTree(t, "name"))
	r := h.request("web/app.0", "/exit")
	r.Limits = cgroup.Limits{Memory: 64 << 20, CPUShares: 2048}
	c := h.start(r)
	c.PIDFD.Close()
	reap(t, c.PID)
	rec, err := records.Read(r.Record)
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
			if err == nil || !strings.Contains(err.Error(), tt.want) {
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
	for i := range 5 {
		if err := h.spawner.Remove(fmt.Sprintf("web/app.%d", i), "", h.path("containers", fmt.Sprintf("web/app.%d", i)), true); err != nil {
			t.Error(err)
		}
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
