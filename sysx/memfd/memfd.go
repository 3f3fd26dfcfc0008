// Package memfd makes files in memory that can't be changed any more.
package memfd

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Sealed makes a file with the parts as its content, one after the other, which nobody can write to,
// shrink, grow or execute; close-on-exec, its offset 0. The name is shown in
// /proc/PID/fd.
func Sealed(name string, parts ...[]byte) (*os.File, error) {
	f, err := create(name)
	if err != nil {
		return nil, err
	}
	if err := fill(f, parts); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot write a file in memory: %w", err)
	}
	return f, nil
}

func create(name string) (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	// Not executable is known from Linux 6.3 on, where a host may demand it
	// (sysctl vm.memfd_noexec).
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func fill(f *os.File, parts [][]byte) error {
	var at int64
	for _, p := range parts {
		if _, err := f.WriteAt(p, at); err != nil {
			return err
		}
		at += int64(len(p))
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
	return err
}
