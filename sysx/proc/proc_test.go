package proc

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	const rest = " 42 3 5 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 8675309 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 9\n"
	tests := []struct {
		name, text string
		want       *Stat
	}{
		{"plain", "7 (cat) R" + rest, &Stat{PID: 7, PPID: 42, Session: 5, Comm: "cat", State: 'R', StartTime: 8675309, WaitStatus: 9}},
		{"a name that looks like fields", "7 (a) R 1 (b) S" + rest, &Stat{PID: 7, PPID: 42, Session: 5, Comm: "a) R 1 (b", State: 'S', StartTime: 8675309, WaitStatus: 9}},
		{"empty", "", nil},
		{"no name", "7 cat R" + rest, nil},
		{"cut off", "7 (cat) R 42 1", nil},
		{"no pid", "x (cat) R" + rest, nil},
		{"reversed", "7 )cat( R" + rest, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStat([]byte(tt.text))
			if (err != nil) != (tt.want == nil) {
				t.Fatalf("error is %v", err)
			}
			if tt.want != nil && *got != *tt.want {
				t.Errorf("got %+v, want %+v", *got, *tt.want)
			}
		})
	}
}

func TestParseStatus(t *testing.T) {
	text := "Name:\ta b\nState:\tS (sleeping)\nPid:\t70\nPPid:\t42\nNSpid:\t70\t1\nVmRSS:\t     900 kB\nThreads:\t5\n"
	if got := ParseStatus([]byte(text)); got.Comm != "a b" || got.State != 'S' || got.PPID != 42 || got.Threads != 5 || got.Memory != 900<<10 || !slices.Equal(got.PIDs, []int{70, 1}) || got.Inner() != 1 {
		t.Errorf("%+v", got)
	}
	if got, err := ReadStatus(os.Getpid()); err != nil || got.PPID != os.Getppid() || got.Memory == 0 || got.PIDs[0] != os.Getpid() || got.Threads == 0 {
		t.Errorf("of this process: %+v, %v", got, err)
	}
	if _, err := ReadStatus(1 << 30); !errors.Is(err, ErrGone) {
		t.Errorf("of none: %v", err)
	}
}

func FuzzParseStat(f *testing.F) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) { _, _ = parseStat(text) })
}

func start(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// reap waits by Wait until some child ended.
func reap(t *testing.T) Exit {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		exit, ok, err := Wait()
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return exit
		}
	}
	t.Fatal("no child ended within a minute")
	return Exit{}
}

func TestOneProcess(t *testing.T) {
	cmd := start(t, "exec sleep 1000")
	pid := cmd.Process.Pid
	started, err := StartTime(pid)
	if err != nil || started == 0 {
		t.Fatalf("start time %d, %v", started, err)
	}
	if own, err := StartTime(os.Getpid()); err != nil || own > started {
		t.Errorf("this process started at %d, its child at %d, %v", own, started, err)
	}
	for start, want := range map[uint64]bool{started: true, started + 1: false} {
		if same, err := Same(pid, start); same != want || err != nil {
			t.Errorf("the process is not recognised by its start time: %v, %v", same, err)
		}
	}
	if _, err := OpenSame(pid, started+1); !errors.Is(err, ErrGone) {
		t.Errorf("opened a process with another start time: %v", err)
	}
	fd, err := OpenSame(pid, started)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	if kids, err := Children(os.Getpid()); err != nil || !slices.Contains(kids, pid) {
		t.Errorf("the children are %d, %v; want %d among them", kids, err, pid)
	}
	if _, ok, err := Wait(); ok || err != nil {
		t.Errorf("reaped a process that runs: %v", err)
	}
	if err := Signal(fd, unix.SIGTERM); err != nil {
		t.Error(err)
	}
	s := zombie(t, pid)
	if s.WaitStatus.Signal() != unix.SIGTERM || s.StartTime != started || MayBeSame(pid, started) {
		t.Errorf("the zombie is %+v", *s)
	}
	if exit := reap(t); exit.PID != pid || exit.Status.Signal() != unix.SIGTERM {
		t.Errorf("reaped %+v", exit)
	}
	if err := Signal(fd, unix.SIGTERM); !errors.Is(err, ErrGone) {
		t.Errorf("signal to a reaped process: %v", err)
	}
	if _, err := OpenPIDFD(pid); !errors.Is(err, ErrGone) {
		t.Errorf("open of a reaped process: %v", err)
	}
	if _, err := StartTime(pid); !errors.Is(err, ErrGone) {
		t.Errorf("start time of a reaped process: %v", err)
	}
	if _, err := Children(pid); !errors.Is(err, ErrGone) {
		t.Errorf("children of a reaped process: %v", err)
	}
	if _, ok, err := Wait(); ok || err != nil {
		t.Errorf("without children: %t, %v", ok, err)
	}
}

// zombie waits until pid is one.
func zombie(t *testing.T, pid int) *Stat {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		s, err := ReadStat(pid)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Alive() {
			return s
		}
	}
	t.Fatalf("process %d does not die", pid)
	return nil
}

func TestSignalName(t *testing.T) {
	for sig, want := range map[syscall.Signal]string{syscall.SIGABRT: "SIGABRT", syscall.SIGKILL: "SIGKILL", 34: "signal 34"} {
		if got := SignalName(sig); got != want {
			t.Errorf("%d: %s, want %s", sig, got, want)
		}
	}
}

func TestWait_StatusAndTime(t *testing.T) {
	cmd, before := start(t, "exit 42"), time.Now()
	exit := reap(t)
	if exit.PID != cmd.Process.Pid || exit.Status.ExitStatus() != 42 || exit.At.Before(before) || time.Since(exit.At) < 0 {
		t.Errorf("reaped %+v", exit)
	}
}

func TestSignal_ClosedFile(t *testing.T) {
	fd, err := OpenPIDFD(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	fd.Close()
	if err := Signal(fd, 0); err == nil {
		t.Error("a closed pidfd takes signals")
	}
}

func TestReadFile(t *testing.T) {
	for _, size := range []int{0, 1, 2047, 2048, 2049, 100_000} {
		file := filepath.Join(t.TempDir(), "file")
		want := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		if err := os.WriteFile(file, want, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	if _, err := ReadFile("/proc/0/stat"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := ReadFile("/proc"); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
}

// A look that fails for want of descriptors is no process that is gone.
func TestShortageIsNoEnd(t *testing.T) {
	pid := os.Getpid()
	started, err := StartTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	same, sameErr := Same(pid, started)
	maybe := MayBeSame(pid, started)
	_, openErr := OpenSame(pid, started)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if same || !Shortage(sameErr) || errors.Is(sameErr, ErrGone) || !maybe {
		t.Errorf("is it the same? %v, %v, perhaps %v", same, sameErr, maybe)
	}
	if !Shortage(openErr) || errors.Is(openErr, os.ErrProcessDone) {
		t.Errorf("opened: %v", openErr)
	}
	if same, err := Same(pid, started); !same || err != nil {
		t.Errorf("afterwards: %v, %v", same, err)
	}
}
