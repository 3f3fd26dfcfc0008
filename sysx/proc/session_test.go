package proc

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A shell's children, in its session or below it, die with it; a daemon and
// others survive.
func TestKillSession(t *testing.T) {
	// Orphans become this process's, as they become PID 1's.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
		for err := error(nil); err != unix.ECHILD; { // other tests wait for any child
			_, err = unix.Wait4(-1, nil, 0, nil)
		}
	}()
	other := exec.Command("sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	// The trap is against those who send TERM.
	const line = `trap "" TERM HUP
		sleep 601 & echo session $!
		(sleep 602 & echo session $!; wait) & echo session $!
		(sleep 605 & echo orphan $!)
		setsid sh -c 'sleep 603 & echo session $$ $!; wait' &
		(setsid sh -c 'echo daemon $$; exec sleep 604' &)
		while :; do sleep 0.01; done`
	cmd := exec.Command("sh", "-c", line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var session, daemons, orphans []int
	for lines := bufio.NewScanner(out); len(session)+len(daemons) < 7 && lines.Scan(); {
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		for _, f := range strings.Fields(rest) {
			pid := 0
			if _, err := fmt.Sscan(f, &pid); err != nil {
				t.Fatal(err)
			}
			if kind == "daemon" {
				daemons = append(daemons, pid)
			} else {
				session = append(session, pid)
			}
			if kind != "session" {
				orphans = append(orphans, pid)
			}
		}
	}
	if len(session) != 6 || len(daemons) != 1 {
		t.Fatalf("session %v, daemons %v", session, daemons)
	}
	defer func() { _ = syscall.Kill(daemons[0], syscall.SIGKILL) }()
	for _, pid := range orphans {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if s, err := ReadStat(pid); err == nil && s.PPID == os.Getpid() {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d is no orphan", pid)
			}
		}
	}
	KillSession(cmd.Process.Pid, os.Getpid())
	_ = cmd.Wait()
	if code := cmd.ProcessState.Sys().(syscall.WaitStatus); code.Signal() != syscall.SIGKILL {
		t.Errorf("it ended by %v", cmd.ProcessState)
	}
	for _, pid := range session {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			s, err := ReadStat(pid)
			if err != nil || !s.Alive() {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("%d, %s, is left in state %c", pid, s.Comm, s.State)
				break
			}
		}
	}
	for _, pid := range append(daemons, other.Process.Pid) {
		if s, err := ReadStat(pid); err != nil || !s.Alive() || s.Stopped() {
			t.Errorf("%d of others: %+v, %v", pid, s, err)
		}
	}
}

// One that has ended needs nothing.
func TestKillSession_Gone(t *testing.T) {
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for s, err := ReadStat(cmd.Process.Pid); err == nil && s.Alive(); s, err = ReadStat(cmd.Process.Pid) {
		time.Sleep(time.Millisecond)
	}
	KillSession(cmd.Process.Pid, os.Getpid())
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// A process that forks on and on, each child a session leader: one that was made
// after the look at it would be nobody's, and stay.
func TestKillSession_WhileItForks(t *testing.T) {
	for range 20 {
		name := fmt.Sprintf("6%09d", time.Now().UnixNano()%1e9) // seconds of sleep, and a mark
		cmd := exec.Command("sh", "-c", "while :; do setsid sleep "+name+" & done")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		KillSession(cmd.Process.Pid, os.Getpid())
		_ = cmd.Wait()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			left := sleepers(t, name)
			if len(left) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d are left", len(left))
			}
		}
	}
}

// sleepers lists the processes that run sleep for so long.
func sleepers(t *testing.T, seconds string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && string(text) == "sleep\x00"+seconds+"\x00" {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}
