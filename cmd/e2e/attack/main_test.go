package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"lithos/cmd/e2e/machine"
)

var (
	binDir = machine.Directory("LITHOS_BIN", "../../../bin")

	within     = machine.Within
	must       = machine.Must
	eventually = machine.Eventually
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
