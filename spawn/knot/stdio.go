package knot

import (
	"errors"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/cred"
)

// openLogFlags are how a log is opened; it is not to block in that only.
const openLogFlags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC

// logMode is the mode of a new log file.
const logMode = 0o644

// openLog opens a file that is appended to and doesn't block: a regular file or
// a character device. The descriptor is above those of stdio.
//
// A magic link, as in /proc/self/fd, is not followed: the descriptors of PID 1
// are no files of the container, and lead to the host.
func openLog(path string) (int, error) {
	fd, err := openRetry(path, openLogFlags)
	if err == unix.ENXIO || err == unix.ENODEV {
		return -1, errKind
	}
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFREG && kind != unix.S_IFCHR {
		unix.Close(fd)
		return -1, errKind
	}
	// The flag is for the opening only.
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags&^unix.O_NONBLOCK)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

var errKind = errors.New("it is neither a regular file nor a character device")

func openRetry(path string, flags int) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags), Mode: logMode, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(unix.AT_FDCWD, path, &how)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// output opens what the program gets as 1 and 2: stdout-stderr-file again at
// each start, by the rights of the program, or what there is for all starts.
func (k *knot) output() (fd int, opened bool, err error) {
	path := k.spec.StdoutStderrFile
	if path == "" || k.spec.Interactive {
		return k.log, false, nil
	}
	err = cred.As(k.spec.HostUser, k.spec.HostGroup, func() (err error) {
		fd, err = openLog(path)
		return err
	})
	if err != nil {
		fd = -1
		err = wrap(hint(hint(err,
			unix.EACCES, "the program's user has to be able to write it"),
			unix.EROFS, "it has to lie on a writable volume"),
			"cannot open stdout-stderr-file "+path)
	}
	return fd, err == nil, err
}

// inherited are 0, 1 and 2 for a program that has no log: as PID 1 got them,
// but for the record file, which is not for the program to write.
func inherited() [3]int {
	fds := [3]int{0, 1, 2}
	var record, st unix.Stat_t
	if unix.Fstat(wire.FDRecord, &record) != nil {
		return fds
	}
	for i, fd := range fds {
		if unix.Fstat(fd, &st) == nil && st.Dev == record.Dev && st.Ino == record.Ino {
			fds[i] = 0
		}
	}
	return fds
}

// bringForward gives the terminal to the program. It may have been stopped for
// reading from it before that.
func bringForward(pid int) {
	_ = unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, pid)
	_ = unix.Kill(-pid, unix.SIGCONT)
}

// letGo closes PID 1's own end of what the program reads and writes: who is at
// the other end has to notice when the program closes it.
func letGo() {
	for fd := range 3 {
		_ = unix.Dup3(wire.FDRecord, fd, 0)
	}
}

// writeAll is write(2) until all is written.
func writeAll(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
