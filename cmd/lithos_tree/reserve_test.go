package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

func openStat() error {
	f, err := os.Open("/proc/self/stat")
	if err != nil {
		return err
	}
	return f.Close()
}

// exhausted is run in a process of its own: the limit is the whole process's.
func exhausted() error {
	held := newReserve(2)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 40, Max: 40}); err != nil {
		return err
	}
	var all []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	if err := (*reserve)(nil).do(openStat); !errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("without any held back: %w", err)
	}
	for range 3 {
		if err := held.do(openStat); err != nil {
			return fmt.Errorf("with descriptors held back: %w", err)
		}
	}
	held.close()
	for range 2 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return fmt.Errorf("after close: %w", err)
		}
		all = append(all, f)
	}
	if err := held.do(openStat); !errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("after close, all in use (%d): %w", len(all), err)
	}
	return nil
}

func TestReserveIsThereWhenNoOtherDescriptorIs(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "BE_EXHAUSTED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestReserveIsForWantOfDescriptorsOnly(t *testing.T) {
	held, tries := newReserve(1), 0
	defer held.close()
	if err := held.do(func() error { tries++; return syscall.ENOENT }); !errors.Is(err, syscall.ENOENT) || tries != 1 {
		t.Errorf("%v after %d tries", err, tries)
	}
}
