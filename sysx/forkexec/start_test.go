package forkexec

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStart_RunsAndIsWaitedFor(t *testing.T) {
	out, status := run(t, shell("echo hello; exit 7"))
	if out != "hello\n" || status.ExitStatus() != 7 {
		t.Errorf("got %q, exit status %d", out, status.ExitStatus())
	}
	noChildren(t)
}

func TestStart_PIDFD(t *testing.T) {
	a := &Attr{Path: "/bin/sleep", Argv: []string{"sleep", "1000"}, PIDFD: true}
	pid, pidfd, err := Start(a)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pidfd)
	if flags, err := unix.FcntlInt(uintptr(pidfd), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
		t.Errorf("pidfd has flags %d, %v; want close-on-exec", flags, err)
	}
	if err := unix.PidfdSendSignal(pidfd, syscall.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	if status := wait(t, pid); status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended by %v", status.Signal())
	}
}

func TestStart_Errors(t *testing.T) {
	tmp := t.TempDir()
	script := tmp + "/noexec"
	if err := os.WriteFile(script, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	chdir := func(dir string) *Plan { return new(Plan).Umask(0o22).Chdir(dir) }
	tests := []struct {
		name  string
		attr  Attr
		step  int
		errno syscall.Errno
		text  string
	}{
		{"no file", Attr{Path: tmp + "/none"}, -1, syscall.ENOENT, "exec " + tmp + "/none"},
		{"no program", Attr{Path: script}, -1, syscall.ENOEXEC, "exec " + script},
		{"arguments too long", Attr{Path: "/bin/true", Env: []string{strings.Repeat("x", 1<<20)}}, -1, syscall.E2BIG, "exec /bin/true"},
		{"a first step", Attr{Path: "/bin/true", Steps: chdir(tmp + "/a")}, 1, syscall.ENOENT, "chdir to " + tmp + "/a"},
		{"a last step", Attr{Path: "/bin/true", Steps: chdir("/"), Last: chdir(tmp + "/b")}, 3, syscall.ENOENT, "chdir to " + tmp + "/b"},
		{"a closed descriptor", Attr{Path: "/bin/true", FDs: []int{0, 1, 2, 12345}}, -1, syscall.EBADF, "pass descriptor 12345 as 3"},
		{"a low closed descriptor", Attr{Path: "/bin/true", FDs: append(make([]int, 900), 899)}, -1, syscall.EBADF, "duplicate descriptor 899"},
		{"a bad flag", Attr{Path: "/bin/true", Flags: 1 << 63}, -1, syscall.EINVAL, "clone3"},
		{"a bad cgroup", Attr{Path: "/bin/true", UseCgroupFD: true, CgroupFD: 12345}, -1, syscall.EBADF, "clone3"},
		{"a NUL in the path", Attr{Path: "/bin\x00"}, -1, syscall.EINVAL, `exec "/bin\x00"`},
		{"a NUL in the environment", Attr{Path: "/bin/true", Env: []string{"A=\x00"}}, -1, syscall.EINVAL, "pass a variable with a NUL"},
		{"a NUL in an argument", Attr{Path: "/bin/true", Argv: []string{"\x00"}}, -1, syscall.EINVAL, "pass arguments with a NUL"},
		{"a NUL in a pid variable", Attr{Path: "/bin/true", PIDEnv: []string{"\x00"}}, -1, syscall.EINVAL, "pass a variable with a NUL"},
		{"no argv[0]", Attr{Path: "/bin/true", Argv: []string{}}, -1, syscall.EINVAL, "exec /bin/true without argv[0]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := openFDs(t)
			if tt.attr.Argv == nil {
				tt.attr.Argv = []string{"x"}
			}
			tt.attr.PIDFD = true
			_, pidfd, err := Start(&tt.attr)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v", err)
			}
			if e.Step != tt.step || e.Errno != tt.errno || e.Name != tt.text {
				t.Errorf("got step %d, %q, %v", e.Step, e.Name, e.Errno)
			}
			if want := "cannot " + tt.text + ": " + tt.errno.Error(); err.Error() != want || !errors.Is(err, tt.errno) {
				t.Errorf("text is %q, want %q", err, want)
			}
			if pidfd != -1 || openFDs(t) != before {
				t.Errorf("pidfd %d, %d descriptors, %d before", pidfd, openFDs(t), before)
			}
			noChildren(t)
		})
	}
}

func TestStart_IgnoredErrorGoesOn(t *testing.T) {
	out, _ := run(t, func(out *os.File) *Attr {
		a := shell("pwd")(out)
		a.Last = new(Plan).Chdir("/no/such/place").IgnoreErr().Chdir("/usr")
		return a
	})
	if out != "/usr\n" {
		t.Errorf("got %q", out)
	}
}

func TestStart_KilledBeforeExec(t *testing.T) {
	p := new(Plan).Raw("getpid", syscall.SYS_GETPID).Feed(1).Raw("kill", syscall.SYS_KILL, 0, uintptr(syscall.SIGKILL))
	_, _, err := Start(&Attr{Path: "/bin/true", Argv: []string{"true"}, Steps: p, PIDFD: true})
	if err == nil || !strings.Contains(err.Error(), "killed before it ran") {
		t.Errorf("error is %v", err)
	}
	noChildren(t)
}

// A failing child must not be seen by the one who waits for all children, who
// would wonder whose it was.
func TestStart_FailingChildIsInvisibleToWait(t *testing.T) {
	var stop atomic.Bool
	var seen atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err == nil && pid > 0 {
				seen.Add(1)
			}
		}
	}()
	for range 200 {
		if _, _, err := Start(&Attr{Path: "/no/such", Argv: []string{"x"}}); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("error is %v", err)
		}
	}
	stop.Store(true)
	<-done
	if seen.Load() != 0 {
		t.Errorf("wait4(-1) saw %d of the failed children", seen.Load())
	}
	noChildren(t)
}

func memfd(t *testing.T, name string) int {
	t.Helper()
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func TestStart_Descriptors(t *testing.T) {
	a, b, c := memfd(t, "a"), memfd(t, "b"), memfd(t, "c")
	// Something that another package forgot to make close-on-exec.
	leak, err := unix.MemfdCreate("leak", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	wide := slices.Repeat([]int{-1}, c+20)
	wide[c], wide[a], wide[b] = a, b, c
	wide[c+19] = c
	tests := []struct {
		name string
		fds  []int // from target 3 on
		want map[int]string
	}{
		{"none", nil, nil},
		{"in order", []int{a, b, c}, map[int]string{3: "a", 4: "b", 5: "c"}},
		{"the same twice", []int{a, a}, map[int]string{3: "a", 4: "a"}},
		{"gaps", []int{-1, c, -1, -1, b}, map[int]string{4: "c", 7: "b"}},
		{"swapped in a circle", wide[3:], map[int]string{c: "a", a: "b", b: "c", c + 19: "c"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, _ := run(t, func(out *os.File) *Attr {
				attr := self("fds", out)
				attr.FDs = append(attr.FDs, tt.fds...)
				// The pipe's number might be one of the targets.
				return attr
			})
			var got []string
			for line := range strings.Lines(out) {
				if strings.Contains(line, "memfd") {
					got = append(got, strings.TrimSpace(line))
				}
			}
			var want []string
			for fd, name := range tt.want {
				want = append(want, fmt.Sprintf("%d memfd:%s (deleted)", fd, name))
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if n := len(sortedLines(out)); n != 3+len(want) {
				t.Errorf("%d descriptors: %q", n, out)
			}
		})
	}
}

func TestStart_StandardDescriptorsCanBeClosed(t *testing.T) {
	out, _ := run(t, func(out *os.File) *Attr {
		a := shell("readlink /proc/self/fd/0 || echo closed")(out)
		a.FDs[0] = -1
		return a
	})
	if out != "closed\n" {
		t.Errorf("stdin is %q", out)
	}
}

func TestStart_PIDEnv(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a := self("environ", w)
	a.Env = []string{"A=1", "LISTEN_PID=wrong", "B=2"}
	a.PIDEnv = []string{"LISTEN_PID", "P"}
	pid, _, err := Start(a)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, _ := r.Read(buf)
	wait(t, pid)
	want := []string{"A=1", "B=2", fmt.Sprintf("LISTEN_PID=%d", pid), fmt.Sprintf("P=%d", pid)}
	if got := sortedLines(string(buf[:n])); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Covers: K1
func TestChildHasNewNamespaces(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a := self("sleep", w)
	a.FDs[0] = int(r.Fd())
	a.Flags = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC
	pid, _, err := Start(a)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { w.Close(); syscall.Kill(pid, syscall.SIGKILL); wait(t, pid) }()
	for ns, own := range map[string]bool{"mnt": true, "pid": true, "uts": true, "ipc": true, "net": false, "user": false, "cgroup": false} {
		theirs, err1 := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns))
		ours, err2 := os.Readlink("/proc/self/ns/" + ns)
		if err1 != nil || err2 != nil || (theirs != ours) != own {
			t.Errorf("%s is %s, ours is %s (%v, %v)", ns, theirs, ours, err1, err2)
		}
	}
}

// The program is pid 2, as K2 says: PID 1's threads are made to take
// other numbers, and where 2 is taken the program gets another.
//
// Covers: K2
func TestProgramIsPID2(t *testing.T) {
	last, err := os.OpenFile("/proc/sys/kernel/ns_last_pid", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	out, status := run(t, func(out *os.File) *Attr {
		a := self("pid1", out)
		a.Flags = syscall.CLONE_NEWPID
		a.Steps = new(Plan).Write("ns_last_pid", int(last.Fd()), []byte("100"))
		return a
	})
	var started []int
	programs := 0
	for line := range strings.Lines(out) {
		var a, b, c int
		switch {
		case strings.HasPrefix(line, "started"):
			fmt.Sscanf(line, "started %d", &a)
			started = append(started, a)
		case strings.HasPrefix(line, "program"):
			programs++
			if n, _ := fmt.Sscanf(line, "program %d %d %d", &a, &b, &c); n != 3 || a != b || b != c {
				t.Errorf("variables and pid differ: %q", line)
			}
		case strings.HasPrefix(line, "thread"):
			if fmt.Sscanf(line, "thread %d", &a); a != 1 && a <= 100 {
				t.Errorf("PID 1 has a thread %d", a)
			}
		}
	}
	if !strings.Contains(out, "init 1\n") || status.ExitStatus() != 0 {
		t.Errorf("status %d, output %q", status.ExitStatus(), out)
	}
	if len(started) != 2 || started[0] != 2 || started[1] <= 100 {
		t.Errorf("programs have the pids %d, want 2 and one above 100; output %q", started, out)
	}
}

func TestStart_NofileIsTheOriginal(t *testing.T) {
	for _, lim := range [][2]uint64{{300, 5000}, {777, 777}, {776, 777}} {
		out, _ := run(t, func(out *os.File) *Attr {
			a := self("nofile", out)
			a.Last = new(Plan).Setrlimit(RlimitNofile, lim[0], lim[1])
			return a
		})
		want := fmt.Sprintf("at start %d %d\nchild %d %d\n", lim[0], lim[1], lim[0], lim[1])
		if out != want {
			t.Errorf("got %q, want %q", out, want)
		}
	}
}

func TestStart_IntoCgroupV2(t *testing.T) {
	base := cgroup2(t)
	dir := fmt.Sprintf("%s/lithos-test-%d-forkexec", base, os.Getpid())
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer func() {
		eventually(t, "rmdir "+dir, func() bool { return os.Remove(dir) == nil })
	}()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, _ := run(t, func(out *os.File) *Attr {
		a := shell("cat /proc/self/cgroup")(out)
		a.UseCgroupFD, a.CgroupFD = true, int(f.Fd())
		return a
	})
	if !strings.Contains(out, "lithos-test-") {
		t.Errorf("the child is in %q", out)
	}
}

// cgroup2 is where the version 2 hierarchy is mounted.
func cgroup2(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); f[2] == "cgroup2" {
			return f[1]
		}
	}
	t.Fatal("no cgroup2 file system is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified")
	return ""
}

// Many starts from many goroutines while others allocate, collect garbage and
// grow their stacks: nothing leaks, hangs or crashes.
func TestStart_Stress(t *testing.T) {
	before := openFDs(t)
	stop := make(chan struct{})
	var noise sync.WaitGroup
	noise.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				deep(200)
				runtime.GC()
			}
		}
	})
	plan := new(Plan).Setsid().Umask(0o77)
	var starts sync.WaitGroup
	for g := range 8 {
		starts.Go(func() {
			for i := range 150 {
				a := &Attr{Path: "/bin/true", Argv: []string{"true"}, Env: []string{strings.Repeat("x", 100)},
					PIDEnv: []string{"P"}, PIDFD: true, Steps: plan, FDs: []int{0, 1, 2, 2, 0}}
				bad := (g+i)%5 == 0
				if bad {
					a.Path = "/no/such/file"
				}
				pid, pidfd, err := Start(a)
				if bad {
					if !errors.Is(err, syscall.ENOENT) {
						t.Errorf("error is %v", err)
					}
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				syscall.Close(pidfd)
				var status syscall.WaitStatus
				for {
					_, err = syscall.Wait4(pid, &status, 0, nil)
					if err != syscall.EINTR {
						break
					}
				}
				if err != nil || status != 0 {
					t.Errorf("wait: %v, %v", status, err)
				}
			}
		})
	}
	starts.Wait()
	close(stop)
	noise.Wait()
	noChildren(t)
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func deep(n int) int {
	var pad [256]byte
	if n == 0 {
		return int(pad[0])
	}
	return deep(n-1) + int(pad[n%len(pad)])
}

func BenchmarkStart(b *testing.B) {
	a := &Attr{Path: "/bin/true", Argv: []string{"true"}, PIDFD: true}
	for b.Loop() {
		pid, pidfd, err := Start(a)
		if err != nil {
			b.Fatal(err)
		}
		syscall.Close(pidfd)
		syscall.Wait4(pid, nil, 0, nil)
	}
}
