package e2e

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lithos/cmd/e2e/machine"
)

// Where things are; see doc.go.
var (
	binDir    = machine.Directory("LITHOS_BIN", "../../bin")
	imagesDir = machine.Directory("LITHOS_IMAGES", "../../build/images")
	kills     = int(machine.Number("LITHOS_E2E_KILLS", 8))
	howMany   = int(machine.Number("LITHOS_E2E_COUNT", 200))
)

var (
	within     = machine.Within
	must       = machine.Must
	eventually = machine.Eventually
)

// debian is the image of images/build.sh, below imagesDir.
const debian = "debian"

func TestMain(m *testing.M) {
	if err := preflight(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e can't run here: %v\n", err)
		os.Exit(1)
	}
	mounts, cgroups := lithosMounts(), cgroupNames()
	code := m.Run()
	if err := errors.Join(
		difference("mounts", mounts, lithosMounts()),
		difference("cgroups", cgroups, cgroupNames()),
	); err != nil {
		fmt.Fprintf(os.Stderr, "FAIL: the whole run left something behind: %v\n", err)
		code = 1
	}
	os.Exit(code)
}

// preflight says in a sentence what the machine lacks.
func preflight() error {
	if os.Geteuid() != 0 {
		return errors.New("real containers need root; run it as root")
	}
	if err := preflightFiles(); err != nil {
		return err
	}
	return preflightKernel()
}

func preflightFiles() error {
	for _, name := range []string{"lithos_tree", "lithos_knot", "lithos_mkdev", "lithos_check", "lithos_switch", "lithos_clean", "lithos_import", "lithos_cmd", "lithos_ps", "lithos_exec", "lithos_logs"} {
		path := filepath.Join(binDir, name)
		f, err := elf.Open(path)
		if err != nil {
			return fmt.Errorf("%s is missing (%w); run `make build` or set LITHOS_BIN", path, err)
		}
		_ = f.Close()
	}
	if _, err := os.Stat(filepath.Join(imagesDir, debian, "usr/sbin/nginx")); err != nil {
		return fmt.Errorf("the images are missing (%w); run `make images` or set LITHOS_IMAGES", err)
	}
	return nil
}

func preflightKernel() error {
	for _, ns := range []string{"mnt", "pid", "ipc", "uts"} {
		if _, err := os.Stat("/proc/self/ns/" + ns); err != nil {
			return fmt.Errorf("the kernel has no %s namespaces: %w", ns, err)
		}
	}
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("the kernel has no pidfd (5.14 or newer is needed): %w", err)
	}
	_ = unix.Close(fd)
	dir, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return fmt.Errorf("the kernel has no openat2 (5.14 or newer is needed): %w", err)
	}
	_ = unix.Close(dir)
	// A bad descriptor tells a kernel that has the call from one that hasn't.
	if err := unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("the kernel has no mount_setattr (5.14 or newer is needed): %w", err)
	}
	if len(cgroupRoots()) == 0 {
		return errors.New("no cgroup hierarchy is mounted below /sys/fs/cgroup; mount one (mount -t cgroup2 none /sys/fs/cgroup)")
	}
	return nil
}

// difference says which lines came or went.
func difference(what string, before, after []string) error {
	seen := make(map[string]int)
	for _, line := range before {
		seen[line]--
	}
	for _, line := range after {
		seen[line]++
	}
	var diff []string
	for line, n := range seen {
		switch {
		case n > 0:
			diff = append(diff, "+ "+line)
		case n < 0:
			diff = append(diff, "- "+line)
		}
	}
	if len(diff) == 0 {
		return nil
	}
	return fmt.Errorf("%s changed:\n%s", what, strings.Join(diff, "\n"))
}
