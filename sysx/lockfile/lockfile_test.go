package lockfile

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestMain lets the test binary be another process that holds a lock until
// its standard input is closed.
func TestMain(m *testing.M) {
	if path := os.Getenv("LOCKFILE_HOLD"); path != "" {
		f, err := Acquire(path, "holder\n")
		if err != nil {
			os.Stdout.WriteString("error: " + err.Error() + "\n")
			os.Exit(1)
		}
		os.Stdout.WriteString("held\n")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		_ = f.Remove()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hold starts another process that holds path.
func hold(t *testing.T, path string) (end func(kill bool)) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LOCKFILE_HOLD="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "held\n" {
		t.Fatalf("the holder says %q", line)
	}
	return func(kill bool) {
		if kill {
			_ = cmd.Process.Kill()
		}
		_ = in.Close()
		_ = cmd.Wait()
	}
}

// Covers: N12
func TestLockHeldByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.pid")
	end := hold(t, path)
	_, err := Acquire(path, "me\n")
	var held *HeldError
	if !errors.As(err, &held) || held.Content != "holder\n" {
		t.Fatalf("got %v, want a HeldError with the holder's content", err)
	}
	end(false)
	f, err := Acquire(path, "me\n")
	if err != nil {
		t.Fatalf("after the holder's end: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "me\n" {
		t.Errorf("the file has %q", text)
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

// Covers: N12
func TestStaleLockBlocksNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.pid")
	hold(t, path)(true)
	// The pid in it is alive, and longer than what is written next.
	if err := os.WriteFile(path, []byte(strings.Repeat("1", 50)), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Acquire(path, "7\n")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Remove()
	if text, _ := os.ReadFile(path); string(text) != "7\n" {
		t.Errorf("the file has %q", text)
	}
}

// TestLockIsExclusive has many take and remove the same file at once.
//
// Covers: N12
func TestLockIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.pid")
	var holders, taken atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				f, err := Acquire(path, "x")
				var held *HeldError
				if errors.As(err, &held) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				taken.Add(1)
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold it", n)
				}
				holders.Add(-1)
				if err := f.Remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if taken.Load() == 0 {
		t.Error("nobody ever got it")
	}
}

func TestErrors(t *testing.T) {
	if _, err := Acquire(filepath.Join(t.TempDir(), "no", "such"), ""); err == nil {
		t.Error("no error for a directory that is missing")
	}
}
