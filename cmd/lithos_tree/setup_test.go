package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"lithos/sysx/lockfile"
)

// A child that a killed daemon was about to execute keeps its lock for a moment.
//
// Covers: K12, N12
func TestStartWaitsForTheLockOfADeadDaemon(t *testing.T) {
	ended := exec.Command("/bin/true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "master.pid")
	hold := func(pid int) *lockfile.File {
		file, err := lockfile.Acquire(path, fmt.Sprintln(pid))
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	held := (*lockfile.HeldError)(nil)
	file := hold(os.Getpid())
	if _, err := acquire(path, time.Hour); !errors.As(err, &held) {
		t.Errorf("of a daemon that lives: %v", err)
	}
	_ = file.Remove()
	file = hold(ended.ProcessState.Pid())
	if _, err := acquire(path, time.Millisecond); !errors.As(err, &held) {
		t.Errorf("of a daemon that is dead, for longer than the limit: %v", err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond) // the moment that it is about
		_ = file.Remove()
	}()
	next, err := acquire(path, time.Hour)
	if err != nil {
		t.Fatalf("of a daemon that is dead: %v", err)
	}
	_ = next.Remove()
}
