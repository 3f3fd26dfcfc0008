package spare

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// The limit is the whole process': it is tried in one of its own.
func TestMain(m *testing.M) {
	if os.Getenv("SPARE_HELPER") == "" {
		os.Exit(m.Run())
	}
	if err := exhausted(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func open() error {
	f, err := os.Open("/proc/self/stat")
	if err != nil {
		return err
	}
	return f.Close()
}

func exhausted() error {
	held := Hold(2)
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
	if err := (*Files)(nil).Do(open); !errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("without any held back: %w", err)
	}
	for range 3 {
		if err := held.Do(open); err != nil {
			return fmt.Errorf("with descriptors held back: %w", err)
		}
	}
	held.Close()
	for range 2 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return fmt.Errorf("after Close: %w", err)
		}
		all = append(all, f)
	}
	if err := held.Do(open); !errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("after Close, all in use (%d): %w", len(all), err)
	}
	return nil
}

func TestWhatIsHeldBackIsThereWhenNothingElseIs(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "SPARE_HELPER=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestOtherErrorsAreReturnedAtOnce(t *testing.T) {
	held, tries := Hold(1), 0
	defer held.Close()
	if err := held.Do(func() error { tries++; return syscall.ENOENT }); !errors.Is(err, syscall.ENOENT) || tries != 1 {
		t.Errorf("%v after %d tries", err, tries)
	}
}
