package knot

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// A container of Spec.Standby is built before it is wanted. When all is done but
// the start of its program, PID 1 says so by a byte to a socket whose other end
// the supervisor has, and waits for a byte from there. The end of the socket is
// its end, too: a supervisor that dies leaves none that waits.

// standbyFD is the descriptor of the socket, the last of those that PID 1
// inherits.
func standbyFD(spec *wire.Spec) int {
	fd := spacesAt(spec)
	for _, given := range []bool{spec.UserNS, spec.NetNS, hasAddress(spec)} {
		if given {
			fd++
		}
	}
	return fd
}

// takeName changes the flag on the command line, in place: from here on it is a
// container like others, for whoever looks for it.
func takeName(flag *[len(wire.FlagNext)]byte) {
	for i := range len(wire.FlagNext) {
		if flag[i] != wire.FlagNext[i] {
			return
		}
	}
	for i := range len(wire.FlagName) {
		flag[i] = wire.FlagName[i]
	}
}

// standBy waits; false = the program is not to run.
func standBy(fd int) bool {
	b := []byte{0}
	_, _ = unix.Write(fd, b)
	for {
		n, err := unix.Read(fd, b)
		if err == unix.EINTR {
			continue
		}
		unix.Close(fd)
		if err != nil || n != 1 {
			return false
		}
		// The strings are where the kernel has put them.
		if len(os.Args) > 1 && len(os.Args[1]) == len(wire.FlagNext) {
			takeName((*[len(wire.FlagNext)]byte)(unsafe.Pointer(unsafe.StringData(os.Args[1]))))
		}
		return true
	}
}
