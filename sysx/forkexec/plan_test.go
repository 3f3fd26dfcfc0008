package forkexec

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPlan_Credentials(t *testing.T) {
	const (
		prSetNoNewPrivs = 38
		prCapbsetDrop   = 24
		prSetKeepcaps   = 8
		sysChroot       = 18
		bindService     = 1 << 10
	)
	out, status := run(t, func(out *os.File) *Attr {
		a := self("status", out)
		a.Last = new(Plan).Chdir("/usr").Setsid().Umask(0o27).
			Prctl("PR_CAPBSET_DROP", prCapbsetDrop, sysChroot).
			Prctl("PR_SET_KEEPCAPS", prSetKeepcaps, 1).
			ClearGroups().Setresgid(1234).Setresuid(4321).
			Capset(bindService, bindService|1<<36, bindService).
			Prctl("PR_SET_NO_NEW_PRIVS", prSetNoNewPrivs, 1, 0, 0, 0).
			Setrlimit(RlimitNofile, 640, 640).
			Sigmask(1 << (syscall.SIGUSR2 - 1))
		return a
	})
	if status.ExitStatus() != 0 {
		t.Fatalf("status %v, output %q", status, out)
	}
	for name, want := range map[string]string{
		"Uid": "4321 4321 4321 4321", "Gid": "1234 1234 1234 1234", "Groups": "", "NoNewPrivs": "1",
		"Umask": "0027", "cwd": "/usr", "sid": "true", "CapInh": "0000000000000400",
		"SigBlk": "0000000000000800",
	} {
		if got := field(out, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	var bounding uint64
	fmt.Sscanf(field(out, "CapBnd"), "%x", &bounding)
	if bounding == 0 || bounding&(1<<sysChroot) != 0 {
		t.Errorf("the bounding set is %x", bounding)
	}
}

func TestStart_Signals(t *testing.T) {
	signal.Ignore(syscall.SIGUSR1)
	defer signal.Reset(syscall.SIGUSR1)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR2)
	const usr1, usr2 = 1 << (syscall.SIGUSR1 - 1), 1 << (syscall.SIGUSR2 - 1)
	for _, reset := range []bool{false, true} {
		out, _ := run(t, func(out *os.File) *Attr {
			a := shell("cat /proc/self/status")(out)
			a.Path, a.Argv = "/bin/cat", []string{"cat", "/proc/self/status"}
			if reset {
				a.Last = new(Plan).DefaultSignals()
			}
			return a
		})
		var ignored, caught, blocked uint64
		fmt.Sscanf(field(out, "SigIgn"), "%x", &ignored)
		fmt.Sscanf(field(out, "SigCgt"), "%x", &caught)
		fmt.Sscanf(field(out, "SigBlk"), "%x", &blocked)
		if (ignored&usr1 != 0) == reset || ignored&usr2 != 0 || caught != 0 || blocked != 0 {
			t.Errorf("reset=%t: ignored %x, caught %x, blocked %x", reset, ignored, caught, blocked)
		}
	}
}

func TestStart_SignalMaskIsTheThreads(t *testing.T) {
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	set := unix.Sigset_t{Val: [16]uint64{1 << (syscall.SIGUSR2 - 1)}}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil); err != nil {
		t.Fatal(err)
	}
	out, _ := run(t, func(out *os.File) *Attr {
		a := shell("")(out)
		a.Path, a.Argv = "/bin/cat", []string{"cat", "/proc/self/status"}
		return a
	})
	if got := field(out, "SigBlk"); got != "0000000000000800" {
		t.Errorf("SigBlk is %s", got)
	}
}

func TestPlan_FeedAndRaw(t *testing.T) {
	file := t.TempDir() + "/f"
	p := new(Plan)
	atCWD := -100
	p.Raw("openat", syscall.SYS_OPENAT, uintptr(atCWD), p.String(file), syscall.O_WRONLY|syscall.O_CREAT, 0o600).Feed(1).
		Write("f", -1, []byte("written by the child"))
	pid, _, err := Start(&Attr{Path: "/bin/true", Argv: []string{"true"}, Steps: p})
	if err != nil {
		t.Fatal(err)
	}
	wait(t, pid)
	if text, err := os.ReadFile(file); err != nil || string(text) != "written by the child" {
		t.Errorf("the file has %q, %v", text, err)
	}
}
