package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/configs"
)

// parentOf starts a program with that name which has a child, and gives the
// pids of both.
func parentOf(t *testing.T, name string) (parent, child int) {
	t.Helper()
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, shell, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", "sleep 3600 & echo $!; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if child, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(child, syscall.SIGKILL)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid, child
}

// Covers: M6
func TestContainersOfAnotherLivingDaemonAreNoLeftovers(t *testing.T) {
	daemon, container := parentOf(t, "lithos_tree")
	if got, err := daemonOf(container); got != daemon || err != nil {
		t.Errorf("the daemon of a container is %d, %v, want %d", got, err, daemon)
	}
	_, stranger := parentOf(t, "init")
	for what, pid := range map[string]int{"an orphan's": stranger, "our own child's": daemon, "nobody's": 0} {
		if got, err := daemonOf(pid); got != 0 || err != nil {
			t.Errorf("%s daemon is %d, %v, want none", what, got, err)
		}
	}
}

func TestRealKernel_SignalsAndWaits(t *testing.T) {
	k, err := newKernel("/lithos_knot", &configs.Master{RuntimeDir: t.TempDir(), StateDir: t.TempDir()}, newImages(), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	kernel := k.functions()
	_, pid := parentOf(t, "init")
	children, err := kernel.Children(nil)
	if err != nil || len(children) == 0 || children[0].StartTime == 0 || children[0].Command != "init" {
		t.Errorf("children: %+v, %v", children, err)
	}
	if others, err := kernel.Children([]int{children[0].PID}); err != nil || len(others) != len(children)-1 {
		t.Errorf("all but the first: %+v of %+v, %v", others, children, err)
	}
	if err := kernel.SignalChild(actors.Child{PID: pid, StartTime: 1}, syscall.SIGKILL); err == nil {
		t.Error("a signal to a pid of another start time was sent")
	}
	if _, err := kernel.OpenProcess(pid, 1); err == nil {
		t.Error("a pid of another start time was opened")
	}
	start := startTime(t, pid)
	pidfd, err := kernel.OpenProcess(pid, start)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kernel.Close(pidfd) }()
	if kernel.AwaitEnd(pidfd, time.Millisecond) {
		t.Error("a living process has ended")
	}
	if err := kernel.Signal(pidfd, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if !kernel.AwaitEnd(pidfd, 10*time.Second) {
		t.Error("a process that got TERM has not ended")
	}
	// Until its parent has reaped it too, and then: no error.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if err := kernel.Signal(pidfd, syscall.SIGTERM); err != nil {
			t.Fatalf("a signal to a dead process: %v", err)
		}
		if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); errors.Is(err, os.ErrNotExist) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it is never reaped")
		}
	}
	if err := kernel.Signal(pidfd, syscall.SIGTERM); err != nil {
		t.Errorf("a signal to a process that was reaped: %v", err)
	}
}

func startTime(t *testing.T, pid int) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(strings.Fields(string(text))[21], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
