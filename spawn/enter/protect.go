package enter

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"lithos/sysx/mount"
)

const self = "/proc/self/exe"

// Protect prepares this process for [Start]: it can't be looked into any more,
// and runs from a file that is read-only by whatever way it is reached. For
// that it executes itself once more where needed, with the same arguments and
// environment; so it is to be called before anything else is done.
func Protect() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot keep others from looking into this process: %w", err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(self, &fs); err != nil {
		return fmt.Errorf("cannot look at this program's own file: %w", err)
	}
	if fs.Flags&unix.ST_RDONLY != 0 {
		return nil
	}
	err := again()
	return fmt.Errorf("cannot make this program's own file read-only for the container: %w", err)
}

// again executes this program from a mount of its own that has no place.
func again() error {
	file, err := unix.Open(self, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	clone, err := mount.Clone(file, false)
	if err != nil {
		return err
	}
	defer unix.Close(clone)
	if err := mount.SetAttr(clone, mount.ReadOnly, 0, false); err != nil {
		return err
	}
	return unix.Exec("/proc/self/fd/"+strconv.Itoa(clone), os.Args, os.Environ())
}
