package vm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeQemu stands for the emulator: a shell script with the guest's behaviour, told where the host expects its status
// and the kernel's log.
const fakeQemu = `#!/bin/sh
for arg; do
	case $arg in
	file,id=status,path=*) status=${arg#file,id=status,path=} ;;
	file,id=kernel,path=*) kernel=${arg#file,id=kernel,path=} ;;
	esac
done
%s
`

type bootRun struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	dir    string
}

func prepareBoot(t *testing.T, behaviour, limit string) *bootRun {
	t.Helper()
	run := &bootRun{dir: t.TempDir()}
	qemu := filepath.Join(run.dir, "qemu")
	if err := os.WriteFile(qemu, fmt.Appendf(nil, fakeQemu, behaviour), 0o755); err != nil {
		t.Fatal(err)
	}
	run.cmd = exec.Command("./boot.sh", "root.img", "images.img")
	run.cmd.Env = append(os.Environ(), "LITHOS_QEMU="+qemu, "LITHOS_VM_DIR="+run.dir, "LITHOS_VM_LIMIT="+limit,
		"TMPDIR="+run.dir)
	run.cmd.Stdout, run.cmd.Stderr = &run.output, &run.output
	return run
}

func exitStatus(t *testing.T, err error) int {
	t.Helper()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("cannot run boot.sh: %v", err)
	}
	return 0
}

func TestBootJudgesTheGuest(t *testing.T) {
	tests := []struct {
		name, behaviour, limit string
		status                 int
		says                   string
	}{
		{"success", `echo hello from the guest; printf 'step tests\nexit 0\n' >"$status"`, "60",
			0, "hello from the guest\n"},
		{"failing tests", `echo "exit 1" >"$status"`, "60", 1, ""},
		{"output is not a status", `echo "exit 0"`, "60", 1, "ended without a status"},
		{"kernel panic", `echo "step mounting" >"$status"; echo "Kernel panic - not syncing" >"$kernel"`, "60",
			1, "Kernel panic - not syncing\ntest-vm: the guest ended without a status (a kernel panic, or the machine was reset) while mounting\n"},
		{"hang", `echo "step running x" >"$status"; exec sleep 1000`, "1",
			1, "the guest was stopped at the time limit of 1 s while running x\n"},
		{"qemu fails", `echo "no such machine" >&2; exit 3`, "60",
			1, "no such machine\ntest-vm: qemu failed with exit status 3 while booting\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run := prepareBoot(t, test.behaviour, test.limit)
			if got := exitStatus(t, run.cmd.Run()); got != test.status {
				t.Errorf("exit status %d, want %d", got, test.status)
			}
			if got := run.output.String(); !strings.Contains(got, test.says) {
				t.Errorf("it says:\n%s\nwant in it:\n%s", got, test.says)
			}
		})
	}
}

func TestBootEndedEndsTheEmulator(t *testing.T) {
	run := prepareBoot(t, `echo $$ >"$status.pid.new"; mv "$status.pid.new" "`+"$LITHOS_VM_DIR"+`/pid"; exec sleep 1000`, "600")
	if err := run.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := waitForPid(t, filepath.Join(run.dir, "pid"))
	if err := run.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := exitStatus(t, run.cmd.Wait()); got != 143 {
		t.Errorf("exit status %d after SIGTERM, want 143; it says:\n%s", got, run.output.String())
	}
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the emulator (pid %d) outlives boot.sh", pid)
		}
	}
	left, err := filepath.Glob(filepath.Join(run.dir, "lithos-vm.*"))
	if err != nil || len(left) != 0 {
		t.Errorf("boot.sh leaves %v (%v)", left, err)
	}
}

func waitForPid(t *testing.T, file string) int {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatalf("the pid file holds %q", text)
		}
		return pid
	}
	t.Fatal("the emulator was not started within 10 s")
	return 0
}

func TestMissingProgramsAreNamedWithTheirPackages(t *testing.T) {
	packages, err := os.ReadFile("packages")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(packages), "\n") != 1 {
		t.Errorf("packages is to be one line, it is %q", packages)
	}
	path := t.TempDir()
	for _, program := range []string{"bash", "dirname", "cat"} {
		found, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(found, filepath.Join(path, program)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("./run.sh")
	cmd.Env = []string{"PATH=" + path}
	output, err := cmd.CombinedOutput()
	if exitStatus(t, err) != 1 {
		t.Errorf("run.sh without its programs: %v", err)
	}
	want := "test-vm: cannot find qemu-system-x86_64 busybox mke2fs cpio dpkg-deb on this host; as root: " +
		"apt-get install --no-install-recommends " + string(packages)
	if string(output) != want {
		t.Errorf("it says:\n%s\nwant:\n%s", output, want)
	}
}
