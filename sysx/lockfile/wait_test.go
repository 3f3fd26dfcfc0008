package lockfile

import (
	"os"
	"path/filepath"
	"testing"
)

// Covers: O9
func TestHoldsTellsTheOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.pid")
	if _, err := Holds(path, os.Getpid()); !os.IsNotExist(err) {
		t.Errorf("without a file: %v", err)
	}
	f, err := Acquire(path, "x")
	if err != nil {
		t.Fatal(err)
	}
	for pid, want := range map[int]bool{os.Getpid(): true, os.Getppid(): false} {
		if got, err := Holds(path, pid); got != want || err != nil {
			t.Errorf("pid %d: %v, %v", pid, got, err)
		}
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Holds(other, os.Getpid()); got || err != nil {
		t.Errorf("another file: %v, %v", got, err)
	}
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Holds(path, os.Getpid()); got || err != nil {
		t.Errorf("after the lock's end: %v, %v", got, err)
	}
}

// Covers: O9
func TestLockDirWaits(t *testing.T) {
	dir := t.TempDir()
	first, err := LockDir(dir, func() { t.Error("the first waits") })
	if err != nil {
		t.Fatal(err)
	}
	waits, got := make(chan bool), make(chan error)
	go func() {
		second, err := LockDir(dir, func() { close(waits) })
		if err == nil {
			err = second.Close()
		}
		got <- err
	}()
	<-waits
	select {
	case err := <-got:
		t.Fatalf("the second did not wait: %v", err)
	default:
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if _, err := LockDir(filepath.Join(dir, "none"), func() {}); !os.IsNotExist(err) {
		t.Errorf("a missing directory: %v", err)
	}
}
