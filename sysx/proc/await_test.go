package proc

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestAwaitEnd(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pidfd := started(t, cmd)
	began := time.Now()
	if dead, err := AwaitEnd(pidfd, 50*time.Millisecond); dead || err != nil {
		t.Errorf("a living process: %v, %v", dead, err)
	}
	if waited := time.Since(began); waited < 50*time.Millisecond {
		t.Errorf("waited only %s", waited)
	}
	_ = in.Close()
	if dead, err := AwaitEnd(pidfd, time.Minute); !dead || err != nil {
		t.Errorf("a process that ends: %v, %v", dead, err)
	}
	_ = cmd.Wait()
	if dead, err := AwaitEnd(pidfd, 0); !dead || err != nil {
		t.Errorf("a process that was reaped: %v, %v", dead, err)
	}
}

// started starts a process and opens it.
func started(t *testing.T, cmd *exec.Cmd) (pidfd *os.File) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pidfd, err := OpenPIDFD(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pidfd.Close() })
	return pidfd
}
