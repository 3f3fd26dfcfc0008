package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	binDir = directory("LITHOS_BIN", "../../../bin")
	slow   = number("LITHOS_E2E_SLOW", 1)
)

func TestMain(m *testing.M) {
	if os.Args[0] == "lithos_knot" {
		wait() // one that looks like it, see pretend
	}
	if len(os.Args) > 2 && os.Args[1] == "attack" {
		os.Exit(program(os.Args[2], os.Args[3:]))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "attack: real containers need root; run it as root")
		return 1
	}
	for _, name := range []string{"lithos_tree", "lithos_knot", "lithos_mkdev"} {
		if _, err := os.Stat(filepath.Join(binDir, name)); err != nil {
			fmt.Fprintf(os.Stderr, "attack: %v; run `make build` or set LITHOS_BIN\n", err)
			return 1
		}
	}
	// There is shared memory on the host.
	if id, err := unix.SysvShmGet(unix.IPC_PRIVATE, 4096, 0o600); err == nil {
		defer func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) }()
	}
	code := m.Run()
	if err := closeShared(); err != nil {
		fmt.Fprintf(os.Stderr, "FAIL: after all attacks: %v\n", err)
		return 1
	}
	return code
}

func within(d time.Duration) time.Duration { return time.Duration(float64(d) * slow) }

func directory(variable, otherwise string) string {
	dir := os.Getenv(variable)
	if dir == "" {
		dir = otherwise
	}
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

func number(variable string, otherwise float64) float64 {
	if f, err := strconv.ParseFloat(os.Getenv(variable), 64); err == nil && f >= 1 {
		return f
	}
	return otherwise
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls until a condition holds.
func eventually(t testing.TB, what string, limit time.Duration, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(within(limit))
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, within(limit), err)
		}
		time.Sleep(pause)
	}
}
